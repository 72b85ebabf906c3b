//! From vaddr to file offset: a probe's site and its semaphore.

use crate::elf;
use crate::spec::Arch;
use crate::usdt::Note;
use crate::usdt::error::SiteError;

/// Byte in the file of a note's site: in an executable segment, and a nop.
///
/// The kernel accepts a uprobe in the middle of an instruction and damages the program, so a note that does not
/// point to a nop is refused.
pub(super) fn site(elf: &elf::Image<'_>, arch: Arch, note: &Note<'_>) -> Result<u64, SiteError> {
    let (segment, offset) = elf.locate(note.pc).ok_or(SiteError::NotCode)?;
    if !segment.exec {
        return Err(SiteError::NotCode);
    }
    let start = usize::try_from(offset).map_err(|_| SiteError::NotCode)?;
    let code = elf.bytes().get(start..).unwrap_or_default();
    let code = code.get(..16).unwrap_or(code);
    let nop = match arch {
        Arch::X86_64 => is_nop_x86_64(code),
        // `nop` is d503201f; instructions are little-endian on all aarch64.
        // The other is the `brk` of a tracer that is attached already.
        Arch::Aarch64 => [[0x1f, 0x20, 0x03, 0xd5], [0xa0, 0x00, 0x20, 0xd4]]
            .iter()
            .any(|insn| code.starts_with(insn)),
    };
    if nop {
        Ok(offset)
    } else {
        Err(SiteError::NotNop(code.iter().take(4).copied().collect()))
    }
}

/// `nop` (90), or the long `nop r/m` (0f 1f /0), each after any number of operand-size and segment prefixes.
///
/// Source: Intel SDM volume 2, NOP, with the recommended multi-byte forms.
fn is_nop_x86_64(code: &[u8]) -> bool {
    let prefixes = code.iter().take_while(|b| [0x66, 0x2e].contains(*b));
    match code.get(prefixes.count()..) {
        // 0xcc: a mapping of the file, even a private one only for reading, shows the breakpoint of a tracer that is
        // attached there already (kernel/events/uprobes.c: valid_vma).
        Some([0x90 | 0xcc, ..]) => true,
        Some([0x0f, 0x1f, modrm, ..]) => modrm >> 3 & 7 == 0,
        _ => false,
    }
}

/// Byte in the file of a note's semaphore, 0 for none. It must be in a writable segment.
///
/// Prelink moves the semaphore with everything else; a file whose semaphore was left where it was is read as well.
pub(super) fn semaphore(elf: &elf::Image<'_>, note: &Note<'_>) -> Result<u64, SiteError> {
    if note.semaphore == 0 {
        return Ok(0);
    }
    [note.semaphore, note.semaphore.wrapping_sub(note.moved)]
        .into_iter()
        .find_map(|vaddr| elf.locate(vaddr).filter(|(segment, _)| segment.write))
        .map(|(_, offset)| offset)
        .ok_or(SiteError::Semaphore(note.semaphore))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nops() {
        for (code, want) in [
            (&[0x90][..], true),
            (&[0x66, 0x90], true),
            (&[0x0f, 0x1f, 0x00], true),
            (&[0x0f, 0x1f, 0x44, 0x00, 0x00], true),
            (&[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], true),
            (&[0x0f, 0x1f, 0x08], false),
            (&[0x0f, 0x1f], false),
            (&[0xcc], true),
            (&[0xf3, 0x90], false),
            (&[0xf3, 0x0f, 0x1e, 0xfa], false),
            (&[0x66], false),
            (&[], false),
        ] {
            assert_eq!(is_nop_x86_64(code), want, "{code:02x?}");
        }
    }
}
