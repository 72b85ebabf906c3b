//! An ELF file's headers: class, machine, sections, segments, and the way from vaddr to file offset.

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{
    EI_CLASS, EI_DATA, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, EM_AARCH64, EM_X86_64,
};
use goblin::elf::program_header::{PF_W, PF_X, PT_LOAD};
use goblin::elf::section_header::{SHN_XINDEX, SHT_NOBITS};
use goblin::elf::{Elf, ProgramHeader, SectionHeader};

use crate::elf::Error;
use crate::spec::Arch;

/// `e_machine` values that a refusal names.
const MACHINES: &[(u16, &str)] = &[
    (3, "i386"),
    (8, "mips"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (43, "sparc64"),
    (62, "x86-64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

/// One section, as its header has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Name, or empty where it cannot be read.
    pub name: &'a str,
    /// `sh_type`.
    pub kind: u32,
    /// Vaddr, 0 if it is not loaded.
    pub addr: u64,
    /// First byte in the file.
    pub offset: u64,
    /// `sh_addralign`.
    pub align: u64,
    /// Its bytes; `None` if it has none in the file or its header lies.
    pub bytes: Option<&'a [u8]>,
    /// `sh_link`: the string table of a symbol table.
    pub link: u32,
    /// `sh_flags`.
    pub flags: u64,
}

/// One loaded segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First vaddr.
    pub vaddr: u64,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub size: u64,
    /// Mapped executable.
    pub exec: bool,
    /// Mapped writable.
    pub write: bool,
}

/// An ELF file with its headers read.
#[derive(Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    ctx: Ctx,
    machine: u16,
    sections: Vec<SectionHeader>,
    segments: Vec<ProgramHeader>,
    /// The bytes of the section names.
    names: &'a [u8],
}

impl<'a> Image<'a> {
    /// Reads the headers of an ELF file.
    ///
    /// # Errors
    /// [`Error::NotElf`] for another kind of file, [`Error::Damaged`] for tables that lie outside of the file.
    pub fn parse(bytes: &'a [u8]) -> Result<Image<'a>, Error> {
        if bytes.get(..4) != Some(b"\x7fELF") {
            return Err(Error::NotElf);
        }
        let container = match bytes.get(EI_CLASS) {
            Some(&ELFCLASS32) => Container::Little,
            Some(&ELFCLASS64) => Container::Big,
            other => return Err(damaged("header", format!("class {other:?}"))),
        };
        let endian = match bytes.get(EI_DATA) {
            Some(&ELFDATA2LSB) => Endian::Little,
            Some(&ELFDATA2MSB) => Endian::Big,
            other => return Err(damaged("header", format!("byte order {other:?}"))),
        };
        let ctx = Ctx::new(container, endian);
        let header = Elf::parse_header(bytes).map_err(|e| damaged("header", e))?;
        if header.e_shoff != 0 && usize::from(header.e_shentsize) != SectionHeader::size(ctx) {
            return Err(damaged(
                "section headers",
                format!("{} bytes each", header.e_shentsize),
            ));
        }
        if header.e_phnum != 0 && usize::from(header.e_phentsize) != ProgramHeader::size(ctx) {
            return Err(damaged(
                "program headers",
                format!("{} bytes each", header.e_phentsize),
            ));
        }
        let sections = SectionHeader::parse(
            bytes,
            index(header.e_shoff),
            usize::from(header.e_shnum),
            ctx,
        )
        .map_err(|e| damaged("section headers", e))?;
        let segments = ProgramHeader::parse(
            bytes,
            index(header.e_phoff),
            usize::from(header.e_phnum),
            ctx,
        )
        .map_err(|e| damaged("program headers", e))?;
        let mut names_index = usize::from(header.e_shstrndx);
        if header.e_shstrndx == SHN_XINDEX as u16 {
            names_index = sections.first().map_or(0, |s| index(u64::from(s.sh_link)));
        }
        let names = sections
            .get(names_index)
            .and_then(|s| section_bytes(bytes, s))
            .unwrap_or(&[]);
        Ok(Image {
            bytes,
            ctx,
            machine: header.e_machine,
            sections,
            segments,
            names,
        })
    }

    /// The whole file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The processor, if it is one that this crate can trace.
    pub fn arch(&self) -> Option<Arch> {
        match (self.machine, self.ctx.le.is_little()) {
            (EM_X86_64, true) => Some(Arch::X86_64),
            (EM_AARCH64, true) => Some(Arch::Aarch64),
            _ => None,
        }
    }

    /// The processor's name, for messages.
    pub fn machine_name(&self) -> String {
        let name = MACHINES
            .iter()
            .find(|m| m.0 == self.machine)
            .map_or_else(|| format!("machine {}", self.machine), |m| m.1.to_owned());
        match (self.machine, self.ctx.le.is_little()) {
            (EM_AARCH64, false) => format!("{name} (big-endian)"),
            _ => name,
        }
    }

    /// Width of an address in bytes: 4 or 8, by the ELF class.
    pub fn word(&self) -> usize {
        match self.ctx.container {
            Container::Little => 4,
            Container::Big => 8,
        }
    }

    /// Reads the file's container and byte order context, for tables of goblin's types.
    pub(super) fn ctx(&self) -> Ctx {
        self.ctx
    }

    /// A number in the file's byte order; `bytes` are the 1 to 8 bytes of it.
    pub fn number(&self, bytes: &[u8]) -> u64 {
        let fold = |acc: u64, b: &u8| acc << 8 | u64::from(*b);
        match self.ctx.le {
            Endian::Little => bytes.iter().rev().fold(0, fold),
            Endian::Big => bytes.iter().fold(0, fold),
        }
    }

    /// All sections in the order of the table. Empty for a file stripped of its section headers.
    pub fn sections(&self) -> impl Iterator<Item = Section<'a>> + '_ {
        self.sections.iter().map(|s| self.section_of(s))
    }

    /// The section at `number` of the table.
    pub fn section_at(&self, number: usize) -> Option<Section<'a>> {
        self.sections.get(number).map(|s| self.section_of(s))
    }

    /// The first section of that name.
    pub fn section(&self, name: &str) -> Option<Section<'a>> {
        self.sections().find(|s| s.name == name)
    }

    fn section_of(&self, header: &SectionHeader) -> Section<'a> {
        Section {
            name: self
                .names
                .get(header.sh_name..)
                .and_then(c_str)
                .unwrap_or(""),
            kind: header.sh_type,
            addr: header.sh_addr,
            offset: header.sh_offset,
            align: header.sh_addralign,
            bytes: section_bytes(self.bytes, header),
            link: header.sh_link,
            flags: header.sh_flags,
        }
    }

    /// The loaded segments (`PT_LOAD`).
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        self.segments
            .iter()
            .filter(|p| p.p_type == PT_LOAD)
            .map(|p| Segment {
                vaddr: p.p_vaddr,
                offset: p.p_offset,
                size: p.p_filesz,
                exec: p.p_flags & PF_X != 0,
                write: p.p_flags & PF_W != 0,
            })
    }

    /// The loaded segment whose bytes in the file hold `vaddr`, and the file offset of it:
    /// `vaddr - p_vaddr + p_offset`.
    pub fn locate(&self, vaddr: u64) -> Option<(Segment, u64)> {
        self.segments().find_map(|s| {
            let into = vaddr.checked_sub(s.vaddr).filter(|d| *d < s.size)?;
            let offset = s.offset.checked_add(into)?;
            (offset < self.bytes.len() as u64).then_some((s, offset))
        })
    }

    /// The vaddr at which byte `offset` of the file is loaded.
    pub fn vaddr(&self, offset: u64) -> Option<u64> {
        self.segments().find_map(|s| {
            let into = offset.checked_sub(s.offset).filter(|d| *d < s.size)?;
            s.vaddr.checked_add(into)
        })
    }
}

/// The bytes of a section, if it has some and they are in the file.
fn section_bytes<'a>(bytes: &'a [u8], header: &SectionHeader) -> Option<&'a [u8]> {
    if header.sh_type == SHT_NOBITS {
        return None;
    }
    let end = header.sh_offset.checked_add(header.sh_size)?;
    bytes.get(index(header.sh_offset)..index(end))
}

/// A file offset as an index; what does not fit is past the end of any slice.
pub(super) fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Longest name of a section or symbol that is read: longer ones would let a hostile file cost quadratic time.
const MAX_NAME: usize = 4096;

/// The NUL-terminated UTF-8 string at the start of `bytes`.
pub(super) fn c_str(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.get(..MAX_NAME).unwrap_or(bytes);
    let end = bytes.iter().position(|b| *b == 0)?;
    std::str::from_utf8(bytes.get(..end)?).ok()
}

fn damaged(part: &'static str, why: impl ToString) -> Error {
    Error::Damaged {
        part,
        why: why.to_string(),
    }
}
