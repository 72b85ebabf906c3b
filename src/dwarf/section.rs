//! The debug sections of an ELF file, decompressed where they are compressed.

use std::borrow::Cow;

use gimli::{DwarfSections, EndianSlice, RunTimeEndian, SectionId};

use crate::dwarf::Error;
use crate::elf::{Image, Section};

/// What debug information is read from.
pub(super) type Slice<'s> = EndianSlice<'s, RunTimeEndian>;

/// `SHF_COMPRESSED`: the section begins with a compression header.
const COMPRESSED: u64 = 0x800;
/// `ELFCOMPRESS_ZLIB`.
const ZLIB: u64 = 1;
/// Largest section after decompression.
const LARGEST: u64 = 2 << 30;
/// Deflate makes at most this many bytes of one.
const RATIO: u64 = 1032;

/// The debug sections of a file.
pub(super) struct Sections<'a> {
    sections: DwarfSections<Cow<'a, [u8]>>,
    endian: RunTimeEndian,
}

impl<'a> Sections<'a> {
    /// The sections of types, functions and source lines; `None` if the file has none.
    pub(super) fn load(image: &Image<'a>) -> Result<Option<Sections<'a>>, Error> {
        if image.section(".debug_info").is_none() {
            return Ok(None);
        }
        let unused = |id| {
            matches!(
                id,
                SectionId::DebugMacinfo
                    | SectionId::DebugMacro
                    | SectionId::DebugNames
                    | SectionId::DebugLoc
                    | SectionId::DebugLocLists
            )
        };
        let sections = DwarfSections::load(|id| match image.section(id.name()) {
            Some(section) if !unused(id) => contents(image, &section, id.name()),
            _ => Ok(Cow::Borrowed(&[][..])),
        })?;
        // A number of two bytes tells the byte order.
        let endian = match image.number(&[1, 0]) {
            1 => RunTimeEndian::Little,
            _ => RunTimeEndian::Big,
        };
        Ok(Some(Sections { sections, endian }))
    }

    /// The reader of these sections.
    pub(super) fn dwarf(&self) -> gimli::Dwarf<Slice<'_>> {
        self.sections
            .borrow(|section| EndianSlice::new(section, self.endian))
    }

    /// The same sections, each after `damage` was done to it.
    #[cfg(test)]
    pub(super) fn damaged(&self, mut damage: impl FnMut(&mut Vec<u8>)) -> Sections<'static> {
        let dwarf = self.dwarf();
        let sections = DwarfSections::load(|id| {
            let mut bytes = match id {
                SectionId::DebugInfo => gimli::Section::reader(&dwarf.debug_info).to_vec(),
                SectionId::DebugAbbrev => gimli::Section::reader(&dwarf.debug_abbrev).to_vec(),
                SectionId::DebugStr => gimli::Section::reader(&dwarf.debug_str).to_vec(),
                SectionId::DebugLine => gimli::Section::reader(&dwarf.debug_line).to_vec(),
                SectionId::DebugLineStr => gimli::Section::reader(&dwarf.debug_line_str).to_vec(),
                _ => Vec::new(),
            };
            damage(&mut bytes);
            Ok::<_, Error>(Cow::Owned(bytes))
        });
        Sections {
            sections: sections.unwrap_or_default(),
            endian: self.endian,
        }
    }
}

/// The section's bytes; a compressed one begins with `Elf64_Chdr`: type, padding, size, alignment.
fn contents<'a>(
    image: &Image<'a>,
    section: &Section<'a>,
    name: &'static str,
) -> Result<Cow<'a, [u8]>, Error> {
    let bad = |why: &str| Error::Section {
        name,
        why: why.to_owned(),
    };
    let Some(bytes) = section.bytes else {
        return Ok(Cow::Borrowed(&[]));
    };
    if section.flags & COMPRESSED == 0 {
        return Ok(Cow::Borrowed(bytes));
    }
    let word = image.word();
    let (size_at, header) = (word, word * 3);
    let short = || bad("its compression header is cut off");
    let kind = image.number(bytes.get(..4).ok_or_else(short)?);
    let size = image.number(bytes.get(size_at..size_at + word).ok_or_else(short)?);
    let packed = bytes.get(header..).ok_or_else(short)?;
    if kind != ZLIB {
        return Err(bad("it is compressed with zstd, which is not supported"));
    }
    let most = (packed.len() as u64)
        .saturating_mul(RATIO)
        .saturating_add(RATIO);
    if size > LARGEST.min(most) {
        return Err(bad("it says that it is larger than it can be"));
    }
    let size = usize::try_from(size).map_err(|_| bad("it is too large"))?;
    miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, size)
        .map(Cow::Owned)
        .map_err(|e| bad(&e.to_string()))
}
