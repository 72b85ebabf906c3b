//! Addresses that a simulated program sees: made up, the same on every machine, far from user space.
//!
//! ```text
//! ffff_e100_0000_0000  context              ffff_e400_…  map handles (never readable)
//! ffff_e200_0000_0000  memory of `exec`     ffff_e500_…  functions (never readable)
//! ffff_e300_0000_0000  ring buffer records  ffff_e600_…  keys shown to callbacks, 1 MiB a frame
//!                                           ffff_e800_… to ffff_efff_…  map values, 4 GiB a map
//! ```
//!
//! Only the stack has its real address: the interpreter reaches it without asking.

/// First byte of the context.
pub(super) const CTX: u64 = 0xffff_e100_0000_0000;
/// First byte of `exec`'s memory.
pub(super) const MEM: u64 = 0xffff_e200_0000_0000;
/// First byte of the reserved records.
pub(super) const RECORD: u64 = 0xffff_e300_0000_0000;
const HANDLE: u64 = 0xffff_e400_0000_0000;
const FUNCTION: u64 = 0xffff_e500_0000_0000;
/// First byte of the keys that callbacks see.
pub(super) const KEY: u64 = 0xffff_e600_0000_0000;
const MAPS: u64 = 0xffff_e800_0000_0000;
/// Most maps of an object.
pub(super) const MAX_MAPS: usize = 0x800;
/// Most bytes of values of a map.
pub(super) const MAX_MAP_BYTES: u64 = 1 << 30;

/// A made-up address, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Ctx(u64),
    Mem(u64),
    Record(u64),
    Map(usize, u64),
    Handle(u64),
    Function(u64),
    Key(u64),
    Other,
}

/// Where an address lies.
pub(super) fn part(addr: u64) -> Part {
    let low = addr & 0xff_ffff_ffff;
    match addr >> 40 {
        0xff_ffe1 => Part::Ctx(low),
        0xff_ffe2 => Part::Mem(low),
        0xff_ffe3 => Part::Record(low),
        0xff_ffe4 => Part::Handle(low),
        0xff_ffe5 => Part::Function(low),
        0xff_ffe6 => Part::Key(low),
        0xff_ffe8..=0xff_ffef => {
            let at = addr - MAPS;
            Part::Map(usize::try_from(at >> 32).unwrap_or(0), at & 0xffff_ffff)
        }
        _ => Part::Other,
    }
}

/// What `r1 = map[i] ll` gives.
pub(super) fn map_handle(index: usize) -> u64 {
    HANDLE + ((index as u64) << 8)
}

/// The map that a handle names.
pub(super) fn handle_map(addr: u64) -> Option<usize> {
    match part(addr) {
        Part::Handle(low) if low & 0xff == 0 => usize::try_from(low >> 8).ok(),
        _ => None,
    }
}

/// Address of a byte of a map's values.
pub(super) fn map_value(index: usize, offset: u64) -> u64 {
    MAPS + ((index as u64) << 32) + offset
}

/// What a function load gives.
pub(super) fn function(index: usize) -> u64 {
    FUNCTION + ((index as u64) << 4)
}

/// The function that an address names.
pub(super) fn function_index(addr: u64) -> Option<usize> {
    match part(addr) {
        Part::Function(low) if low & 0xf == 0 => usize::try_from(low >> 4).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_apart_as_they_were_made() {
        assert_eq!(part(map_value(2047, 0xfff)), Part::Map(2047, 0xfff));
        assert_eq!(handle_map(map_handle(77)), Some(77));
        assert_eq!(handle_map(map_handle(77) + 1), None);
        assert_eq!(function_index(function(3)), Some(3));
        assert_eq!(part(0x7fff_0000_0000), Part::Other);
        assert_eq!(part(CTX + 8), Part::Ctx(8));
    }
}
