//! A loaded program's code, after the verifier and as machine code, with the script's lines that were given with it.

use crate::{
    asm::{self, Callee, Imm64, Insn},
    audit::plain::counted,
    loader::tag::Hex,
    symbols,
    sys::bpf::{self, Map, ProgramInfo},
};
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs, io,
    os::fd::{AsFd, BorrowedFd},
};

/// What to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// The instructions after the verifier's rewriting.
    pub xlated: bool,
    /// The machine code.
    pub jited: bool,
}

/// The code of a loaded program.
///
/// # Errors
/// The kernel's: `ENOENT` if there is no such program (any more).
pub fn listing(id: u32, code: Code) -> io::Result<String> {
    let fd = bpf::program_by_id(id)?;
    let fd = fd.as_fd();
    let info = bpf::program_info(fd)?;
    let places = places(fd, info.btf_id);
    let mut text = String::new();
    if code.xlated {
        xlated(&mut text, fd, &info, &places)?;
    }
    if code.jited {
        jited(&mut text, fd, &info, &places)?;
    }
    Ok(text)
}

/// A line of the script, and the slot at which its instructions begin.
struct Place {
    slot: u32,
    text: String,
}

/// The lines that the program was loaded with; none without BTF.
fn places(fd: BorrowedFd<'_>, btf: u32) -> Vec<Place> {
    if btf == 0 {
        return Vec::new();
    }
    let (Ok(lines), Ok(btf)) = (bpf::program_lines(fd), bpf::btf_bytes(btf)) else {
        return Vec::new();
    };
    let one = |[slot, _, source, line]: &[u32; 4]| Place {
        slot: *slot,
        text: format!(
            "; {}: {}",
            line >> 10,
            string(&btf, *source).unwrap_or_default()
        ),
    };
    lines.iter().map(one).collect()
}

/// The string at that offset of a BTF object's string section (`struct btf_header`: `hdr_len` at 4, `str_off` at 16).
fn string(btf: &[u8], at: u32) -> Option<String> {
    let word = |at: usize| -> Option<usize> {
        let bytes: [u8; 4] = *btf.get(at..)?.first_chunk()?;
        usize::try_from(u32::from_ne_bytes(bytes)).ok()
    };
    let start = word(4)? + word(16)? + usize::try_from(at).ok()?;
    let rest = btf.get(start..)?;
    let len = rest.iter().position(|b| *b == 0)?;
    Some(String::from_utf8_lossy(&rest[..len]).into_owned())
}

fn head(text: &mut String, info: &ProgramInfo, what: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "program {} {}, tag {}: {what}",
        info.id,
        info.name,
        Hex(info.tag)
    );
}

fn xlated(
    text: &mut String,
    fd: BorrowedFd<'_>,
    info: &ProgramInfo,
    places: &[Place],
) -> io::Result<()> {
    let bytes = bpf::program_xlated(fd)?;
    if bytes.is_empty() {
        head(text, info, "the kernel does not show its instructions");
        return Ok(());
    }
    head(
        text,
        info,
        &format!("{} slots after the verifier", bytes.len() / 8),
    );
    let insns = decoded(&bytes);
    let calls = Calls::of(&insns);
    let maps = map_names(fd);
    let mut last = "";
    for (slot, insn) in insns {
        if let Some(place) = places
            .iter()
            .find(|place| usize::try_from(place.slot) == Ok(slot))
            && place.text != last
        {
            last = &place.text;
            let _ = writeln!(text, "{last}");
        }
        let words = match insn {
            Ok(insn) => words(&insn, slot, &calls, &maps),
            Err(raw) => own(raw),
        };
        let _ = writeln!(text, "{slot:>5}: {words}");
    }
    Ok(())
}

/// Slot by slot, what can be decoded; the kernel has some instructions of its own that cannot be loaded.
fn decoded(bytes: &[u8]) -> Vec<(usize, Result<Insn, [u8; 8]>)> {
    let (slots, _) = bytes.as_chunks::<8>();
    let mut out = Vec::with_capacity(slots.len());
    let mut slot = 0;
    while let Some(one) = slots.get(slot) {
        let wide = if one[0] == 0x18 { 2 } else { 1 };
        let whole = bytes.get(slot * 8..(slot + wide) * 8).unwrap_or(one);
        let insn = asm::decode(whole)
            .ok()
            .and_then(|insns| insns.first().copied());
        out.push((slot, insn.ok_or(*one)));
        slot += wide;
    }
    out
}

fn words(insn: &Insn, slot: usize, calls: &Calls, maps: &BTreeMap<i32, String>) -> String {
    let name = |id: i32| {
        maps.get(&id)
            .map_or_else(|| format!("id {id}"), Clone::clone)
    };
    match insn {
        Insn::Call {
            callee: Callee::Helper(distance),
        } => match calls.0.get(&distance.cast_signed()) {
            Some(name) => format!("call {name}"),
            None if *distance == 0 => "call a helper that the kernel hides".to_owned(),
            None => format!("call a kernel function at {:+#x}", distance.cast_signed()),
        },
        Insn::LoadImm64 {
            dst,
            imm: Imm64::MapFd(id),
        } => format!("{dst} = map[{}]", name(*id)),
        Insn::LoadImm64 {
            dst,
            imm: Imm64::MapValue { fd, off },
        } => format!("{dst} = map[{}][0]+{off}", name(*fd)),
        insn => match distance(insn).and_then(|by| (slot + 1).checked_add_signed(by)) {
            Some(to) => format!("{insn:<40} -> {to}"),
            None => insn.to_string(),
        },
    }
}

/// An instruction that only the kernel itself makes. A move with offset -1 makes a per-CPU pointer one of this CPU
/// (`BPF_ADDR_PERCPU`; the notation is `kernel/bpf/disasm.c`'s).
fn own(raw: [u8; 8]) -> String {
    match raw {
        [0xbf, regs, 0xff, 0xff, 0, 0, 0, 0] => {
            format!("r{} = &(void __percpu *)(r{})", regs & 15, regs >> 4)
        }
        raw => format!(".slot {}  (of the kernel's own)", hex(&raw)),
    }
}

/// How many slots a jump leads on from the next one.
fn distance(insn: &Insn) -> Option<isize> {
    match *insn {
        Insn::Ja { off } | Insn::Jmp { off, .. } | Insn::MayGoto { off } => Some(off.into()),
        Insn::Jal { imm } => isize::try_from(imm).ok(),
        _ => None,
    }
}

/// The maps of the program by their ids, which its instructions hold now.
fn map_names(fd: BorrowedFd<'_>) -> BTreeMap<i32, String> {
    let ids = bpf::program_map_ids(fd).unwrap_or_default();
    ids.into_iter()
        .filter_map(|id| {
            let map = Map::by_id(id).ok()?;
            let name = bpf::map_info(map.as_fd()).ok()?.name;
            Some((i32::try_from(id).ok()?, format!("{name}, id {id}")))
        })
        .collect()
}

/// Kernel functions by their distance from `__bpf_call_base`, which a call holds after the verifier.
struct Calls(BTreeMap<i32, String>);

impl Calls {
    fn of(insns: &[(usize, Result<Insn, [u8; 8]>)]) -> Calls {
        let distances = insns.iter().filter_map(|(_, insn)| match insn {
            Ok(Insn::Call {
                callee: Callee::Helper(distance),
            }) if *distance != 0 => Some(distance.cast_signed()),
            _ => None,
        });
        let distances: Vec<i32> = distances.collect();
        if distances.is_empty() {
            return Calls(BTreeMap::new());
        }
        Calls::named(
            &fs::read_to_string("/proc/kallsyms").unwrap_or_default(),
            &distances,
        )
    }

    /// Lines are `address type name`; addresses are 0 for who may not see them.
    fn named(kallsyms: &str, distances: &[i32]) -> Calls {
        let symbols = || {
            kallsyms.lines().filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let address = u64::from_str_radix(words.next()?, 16).ok()?;
                Some((address, words.nth(1)?))
            })
        };
        let base = symbols().find(|(_, name)| *name == "__bpf_call_base");
        let Some((base @ 1.., _)) = base else {
            return Calls(BTreeMap::new());
        };
        let wanted: BTreeMap<u64, i32> = distances
            .iter()
            .map(|by| (base.wrapping_add_signed((*by).into()), *by))
            .collect();
        let mut names = BTreeMap::new();
        for (address, name) in symbols() {
            if let Some(by) = wanted.get(&address) {
                names.entry(*by).or_insert_with(|| name.to_owned());
            }
        }
        Calls(names)
    }
}

fn jited(
    text: &mut String,
    fd: BorrowedFd<'_>,
    info: &ProgramInfo,
    places: &[Place],
) -> io::Result<()> {
    let code = bpf::program_jited(fd)?;
    if code.is_empty() {
        head(
            text,
            info,
            "no machine code, or the kernel does not show it",
        );
        return Ok(());
    }
    let (lines, start) = bpf::program_jited_lines(fd)?;
    let what = match start {
        0 => format!("{} of machine code", counted(code.len(), "byte")),
        at => format!("{} of machine code at {at:#x}", counted(code.len(), "byte")),
    };
    head(text, info, &what);
    let mut at = 0;
    let mut last = "";
    while at < code.len() {
        let here = u64::try_from(at).ok().and_then(|at| start.checked_add(at));
        let begins = lines
            .iter()
            .position(|line| *line != 0 && Some(*line) == here);
        if let Some(place) = begins
            .and_then(|line| places.get(line))
            .filter(|p| p.text != last)
        {
            last = &place.text;
            let _ = writeln!(text, "{last}");
        }
        let rest = &code[at..];
        let length = symbols::instruction_length(rest)
            .unwrap_or(1)
            .min(rest.len());
        let _ = writeln!(text, "{at:>5x}: {}", hex(&rest[..length]));
        at += length;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_named_by_their_distance() {
        let kallsyms = "ffffffff81000000 T __bpf_call_base\nffffffff81000010 T bpf_one\nffffffff80fffff0 t bpf_two\n";
        let calls = Calls::named(kallsyms, &[16, -16, 5]);
        assert_eq!(calls.0.get(&16).map(String::as_str), Some("bpf_one"));
        assert_eq!(calls.0.get(&-16).map(String::as_str), Some("bpf_two"));
        assert_eq!(calls.0.get(&5), None);
        assert!(Calls::named("0 T __bpf_call_base\n", &[16]).0.is_empty());
    }

    #[test]
    fn what_cannot_be_decoded_is_shown_as_bytes() {
        let exit = [0x95, 0, 0, 0, 0, 0, 0, 0];
        let own = [0xc2, 0, 0, 0, 0, 0, 0, 0];
        let insns = decoded(&[own, exit].concat());
        assert_eq!(insns[0], (0, Err(own)));
        assert_eq!(insns[1], (1, Ok(Insn::Exit)));
    }
}
