//! The notes of section `.note.stapsdt`, from bytes to values.
//!
//! ```text
//! note   ┌ namesz 4 ┬ descsz 4 ┬ type 4 = 3 ┬ "stapsdt\0" ┬ pad ┬ desc ┬ pad ┐
//! desc   ┌ pc ┬ base ┬ semaphore ┬ provider\0 ┬ name\0 ┬ arguments\0 ┐     addresses are as wide as the ELF class has them
//! ```

use goblin::elf::section_header::SHT_NOTE;

use crate::elf;
use crate::usdt::Error;

/// Note type of a version 3 probe descriptor (`sys/sdt.h`: `_SDT_NOTE_TYPE`).
const NOTE_TYPE: u64 = 3;
/// The notes' owner.
const OWNER: &[u8] = b"stapsdt\0";

/// One site of a USDT probe, as its note has it. Its texts are slices of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// Provider, e.g. `net`.
    pub provider: &'a str,
    /// Name, e.g. `inbound_message`.
    pub name: &'a str,
    /// The operands, not yet parsed.
    pub args: &'a str,
    /// Vaddr of the site, prelink undone.
    pub pc: u64,
    /// Vaddr of the semaphore, prelink undone; 0 for none.
    pub semaphore: u64,
    /// How far prelink moved the file since it was linked (almost always 0).
    pub moved: u64,
}

/// Reads all notes of an image, in file order.
///
/// Memory is at most a small multiple of the bytes that the notes have in the file.
pub(super) fn read<'a>(elf: &elf::Image<'a>) -> Result<Vec<Note<'a>>, Error> {
    let base = elf.section(".stapsdt.base").map(|s| s.addr);
    let mut notes = Vec::new();
    let mut total = 0;
    for section in elf.sections() {
        if section.kind != SHT_NOTE || section.name != ".note.stapsdt" {
            continue;
        }
        let Some(bytes) = section.bytes else {
            return Err(Error::Note {
                offset: section.offset,
                why: "section `.note.stapsdt` lies outside of the file",
            });
        };
        total += bytes.len();
        if total > elf.bytes().len() {
            return Err(Error::Overlap);
        }
        let align = match section.align {
            0..=4 => 4,
            8 => 8,
            other => return Err(Error::Align(other)),
        };
        let reader = Reader {
            elf,
            base,
            align,
            start: section.offset,
        };
        reader.section(bytes, &mut notes)?;
    }
    Ok(notes)
}

/// Reads one section.
struct Reader<'e, 'a> {
    elf: &'e elf::Image<'a>,
    /// Vaddr of `.stapsdt.base` in this file.
    base: Option<u64>,
    align: usize,
    /// File offset of the section, for errors.
    start: u64,
}

impl<'a> Reader<'_, 'a> {
    fn section(&self, bytes: &'a [u8], notes: &mut Vec<Note<'a>>) -> Result<(), Error> {
        let mut at = 0;
        while at < bytes.len() {
            let fail = |why| Error::Note {
                offset: self.start.saturating_add(at as u64),
                why,
            };
            let word = |n: usize| {
                let field = bytes.get(at + 4 * n..at + 4 * n + 4);
                field.map(|b| self.elf.number(b))
            };
            let (Some(namesz), Some(descsz), Some(kind)) = (word(0), word(1), word(2)) else {
                // A section may be padded at its end.
                if bytes[at..].iter().all(|b| *b == 0) {
                    break;
                }
                return Err(fail("its header is cut short"));
            };
            let owner_end = self
                .end(at + 12, namesz)
                .ok_or(fail("its owner is too long"))?;
            let desc_start = self.pad(owner_end);
            let desc_end = self
                .end(desc_start, descsz)
                .filter(|end| *end <= bytes.len())
                .ok_or(fail("it is longer than its section"))?;
            if kind == NOTE_TYPE && bytes.get(at + 12..owner_end) == Some(OWNER) {
                let desc = bytes.get(desc_start..desc_end).unwrap_or_default();
                let note = self.desc(desc).map_err(fail)?;
                // Address 0: the linker dropped the code as unused, but not its note.
                if note.pc != note.moved {
                    notes.push(note);
                }
            }
            at = self.pad(desc_end);
        }
        Ok(())
    }

    /// Decodes a descriptor: see the picture at the top of this file.
    fn desc(&self, desc: &'a [u8]) -> Result<Note<'a>, &'static str> {
        let width = self.elf.word();
        let address = |n: usize| {
            let field = desc.get(n * width..(n + 1) * width);
            field.map(|b| self.elf.number(b))
        };
        let (Some(pc), Some(base), Some(semaphore)) = (address(0), address(1), address(2)) else {
            return Err("it is too short for its three addresses");
        };
        let mut rest = desc.get(3 * width..).unwrap_or_default();
        let mut text = || {
            let end = rest.iter().position(|b| *b == 0)?;
            let (text, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            Some(text)
        };
        let (Some(provider), Some(name), Some(args)) = (text(), text(), text()) else {
            return Err("a string in it has no end");
        };
        let utf8 =
            |text: &'a [u8]| std::str::from_utf8(text).map_err(|_| "a string in it is not UTF-8");
        let moved = match self.base {
            Some(now) if base != 0 => now.wrapping_sub(base),
            _ => 0,
        };
        Ok(Note {
            provider: utf8(provider)?,
            name: utf8(name)?,
            args: utf8(args)?,
            pc: pc.wrapping_add(moved),
            semaphore: match semaphore {
                0 => 0,
                linked => linked.wrapping_add(moved),
            },
            moved,
        })
    }

    fn end(&self, start: usize, size: u64) -> Option<usize> {
        // Headroom for the padding, so that it cannot overflow.
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        (end < usize::MAX - 16).then_some(end)
    }

    fn pad(&self, at: usize) -> usize {
        at.next_multiple_of(self.align)
    }
}
