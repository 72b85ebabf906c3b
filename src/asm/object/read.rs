//! Reading an object: its code, what the code refers to by name, its maps, data and licence.

use super::{ObjectError, R_BPF_64_32, is_data, maps};
use crate::asm::{Callee, DecodeError, Imm64, Insn, MapDecl, decode};
use goblin::elf::{Elf, header, section_header, sym};

/// An object's content, as far as programs need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The sections that hold code.
    pub code: Vec<CodeSection>,
    /// Maps that it declares, and sections of data, which are maps too.
    pub maps: Vec<MapDecl>,
    /// What its section `license` says.
    pub license: Option<String>,
}

/// A section of code in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeSection {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Functions and programs by the slot they begin at.
    pub functions: Vec<(usize, String)>,
    /// What slots refer to by name.
    pub relocations: Vec<Relocation>,
}

/// What a slot refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The slot.
    pub slot: usize,
    /// What it means.
    pub to: To,
}

/// What a name of an object stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A map.
    Map(String),
    /// A place in a section of data.
    Data {
        /// The section.
        section: String,
        /// Offset in it.
        off: u64,
        /// Name of the variable there, if it has one of its own.
        variable: Option<String>,
    },
    /// A place in code.
    Code {
        /// The section.
        section: String,
        /// The slot there.
        slot: usize,
        /// The function that begins there, if one does.
        function: Option<String>,
    },
    /// What the object does not hold: a variable or function of the kernel.
    Outside(String),
}

impl To {
    /// Its name in a listing.
    pub fn name(&self) -> String {
        match self {
            To::Map(name) | To::Outside(name) => name.clone(),
            To::Data { section, off, .. } => format!("{section}+{off}"),
            To::Code {
                function: Some(name),
                ..
            } => name.clone(),
            To::Code { section, slot, .. } => format!("{section}+{slot}"),
        }
    }
}

impl CodeSection {
    /// Functions elsewhere that its instructions refer to, for [`crate::asm::disasm::Options::externs`].
    pub fn externs(&self) -> Vec<(usize, String)> {
        let elsewhere = |r: &&Relocation| match &r.to {
            To::Code { section, .. } => *section != self.name,
            To::Outside(_) => true,
            _ => false,
        };
        let found = self.relocations.iter().filter(elsewhere);
        found.map(|r| (r.slot, r.to.name())).collect()
    }

    /// Names of the variables that slots refer to, for [`crate::asm::disasm::Options::notes`].
    pub fn variables(&self) -> Vec<(usize, String)> {
        let named = |r: &Relocation| match &r.to {
            To::Data { variable, .. } => Some((r.slot, variable.clone()?)),
            _ => None,
        };
        self.relocations.iter().filter_map(named).collect()
    }

    /// Its instructions with names put in: wide immediates that refer to maps and data become loads of a map by
    /// index into the names returned, and what refers to this section gets its distance.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn insns(&self) -> Result<(Vec<Insn>, Vec<String>), DecodeError> {
        let mut insns = decode(&self.bytes)?;
        let mut maps: Vec<String> = Vec::new();
        let mut slot = 0;
        for insn in &mut insns {
            let found = self.relocations.iter().find(|r| r.slot == slot);
            if let Some(relocation) = found {
                self.put_in(insn, slot, &relocation.to, &mut maps);
            }
            slot += insn.slots();
        }
        Ok((insns, maps))
    }

    fn put_in(&self, insn: &mut Insn, slot: usize, to: &To, maps: &mut Vec<String>) {
        let next = slot as i64 + 1;
        match (insn, to) {
            (
                Insn::LoadImm64 { imm, .. },
                To::Code {
                    section, slot: to, ..
                },
            ) => {
                // Elsewhere the distance is not known; its name is printed in its place.
                let distance = if *section == self.name {
                    *to as i64 - next
                } else {
                    -1
                };
                *imm = Imm64::Func(i32::try_from(distance).unwrap_or(-1));
            }
            (
                Insn::Call {
                    callee: Callee::Local(distance),
                },
                To::Code {
                    section, slot: to, ..
                },
            ) if *section == self.name => {
                *distance = i32::try_from(*to as i64 - next).unwrap_or(-1);
            }
            (Insn::LoadImm64 { imm, .. }, To::Map(name)) => {
                *imm = Imm64::MapIdx(index_of(name, maps));
            }
            (Insn::LoadImm64 { imm, .. }, To::Data { section, off, .. }) => {
                let idx = index_of(section, maps);
                let off = u32::try_from(*off).unwrap_or(u32::MAX);
                *imm = Imm64::MapIdxValue { idx, off };
            }
            _ => {}
        }
    }
}

/// The index of a name, which is added if it is new.
pub(super) fn index_of(name: &str, names: &mut Vec<String>) -> i32 {
    let at = names.iter().position(|other| other == name);
    let at = at.unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    });
    i32::try_from(at).unwrap_or(i32::MAX)
}

/// What an object holds.
///
/// # Errors
/// [`ObjectError`] if the bytes are no ELF object for 64-bit little-endian BPF, or are cut.
pub fn read(bytes: &[u8]) -> Result<Object, ObjectError> {
    let elf = Elf::parse(bytes).map_err(ObjectError::Elf)?;
    if elf.header.e_machine != header::EM_BPF || !elf.is_64 || !elf.little_endian {
        return Err(ObjectError::Machine(elf.header.e_machine));
    }
    let mut object = Object {
        code: Vec::new(),
        maps: Vec::new(),
        license: None,
    };
    for (index, head) in elf.section_headers.iter().enumerate() {
        let name = section_name(&elf, index);
        let has_bytes = head.sh_type == section_header::SHT_PROGBITS;
        let content = head.file_range().and_then(|range| bytes.get(range));
        if has_bytes && head.is_executable() && head.sh_size != 0 {
            let Some(code) = content else {
                return Err(ObjectError::Section(name));
            };
            object.code.push(CodeSection {
                functions: functions(&elf, index),
                relocations: relocations(&elf, index, code),
                bytes: code.to_vec(),
                name,
            });
        } else if name == "license" && has_bytes {
            let text = content.unwrap_or_default().split(|byte| *byte == 0).next();
            object.license = text.map(|text| String::from_utf8_lossy(text).into_owned());
        } else if name == ".BTF" && has_bytes {
            object
                .maps
                .extend(maps::declared(content.unwrap_or_default()));
        } else if is_data(&name) && head.sh_size != 0 {
            object.maps.push(MapDecl {
                name,
                kind: super::ARRAY,
                key_size: 4,
                value_size: u32::try_from(head.sh_size).unwrap_or(u32::MAX),
                max_entries: 1,
                flags: 0,
                init: match content.filter(|_| has_bytes) {
                    Some(bytes) if bytes.iter().any(|byte| *byte != 0) => bytes.to_vec(),
                    _ => Vec::new(),
                },
            });
        }
    }
    Ok(object)
}

fn functions(elf: &Elf<'_>, section: usize) -> Vec<(usize, String)> {
    let here = elf
        .syms
        .iter()
        .filter(|symbol| symbol.st_shndx == section && symbol.is_function());
    let mut found: Vec<(usize, String)> = here
        .filter_map(|symbol| {
            let slot = usize::try_from(symbol.st_value / 8).ok()?;
            Some((slot, elf.strtab.get_at(symbol.st_name)?.to_owned()))
        })
        .collect();
    found.sort();
    found
}

fn section_name(elf: &Elf<'_>, index: usize) -> String {
    let head = elf.section_headers.get(index);
    let name = head.and_then(|head| elf.shdr_strtab.get_at(head.sh_name));
    name.unwrap_or("").to_owned()
}

fn relocations(elf: &Elf<'_>, section: usize, code: &[u8]) -> Vec<Relocation> {
    let mut found = Vec::new();
    for (head, entries) in &elf.shdr_relocs {
        let head = elf.section_headers.get(*head);
        if head.map(|head| head.sh_info as usize) != Some(section) {
            continue;
        }
        for entry in entries.iter() {
            let (Some(symbol), Ok(slot)) = (
                elf.syms.get(entry.r_sym),
                usize::try_from(entry.r_offset / 8),
            ) else {
                continue;
            };
            let imm = code
                .get(slot.saturating_mul(8)..)
                .and_then(|at| at.get(4..8));
            let imm = imm.and_then(|imm| imm.first_chunk()).copied();
            let imm = i64::from(i32::from_le_bytes(imm.unwrap_or_default()));
            let is_call = entry.r_type == R_BPF_64_32;
            if let Some(to) = meaning(elf, &symbol, is_call, imm) {
                found.push(Relocation { slot, to });
            }
        }
    }
    found.sort_by_key(|relocation| relocation.slot);
    found
}

/// What a symbol stands for, together with the immediate that stands in the instruction (`R_BPF_64_64` and
/// `R_BPF_64_32` in LLVM's BPF backend, `bpf_program__record_reloc` in libbpf).
fn meaning(elf: &Elf<'_>, symbol: &sym::Sym, is_call: bool, imm: i64) -> Option<To> {
    let name = elf.strtab.get_at(symbol.st_name).unwrap_or("");
    if symbol.st_shndx == 0 {
        return Some(To::Outside(name.to_owned()));
    }
    let home = section_name(elf, symbol.st_shndx);
    if home == ".maps" || home == "maps" {
        return Some(To::Map(name.to_owned()));
    }
    let value = i64::try_from(symbol.st_value).ok()?;
    let executable = elf.section_headers.get(symbol.st_shndx)?.is_executable();
    if executable {
        let slot = match is_call {
            // Counted from the next instruction, as if the caller stood before the symbol.
            true => value / 8 + imm + 1,
            false => value.checked_add(imm)? / 8,
        };
        let slot = usize::try_from(slot).ok()?;
        let there = functions(elf, symbol.st_shndx);
        let function = there.into_iter().find(|(at, _)| *at == slot);
        return Some(To::Code {
            section: home,
            slot,
            function: function.map(|(_, name)| name),
        });
    }
    let off = u64::try_from(value.checked_add(imm)?).ok()?;
    let own = elf.syms.iter().find(|other| {
        let is_variable = other.st_type() == sym::STT_OBJECT && other.st_shndx == symbol.st_shndx;
        is_variable && other.st_value == off
    });
    let variable = own.and_then(|own| elf.strtab.get_at(own.st_name));
    Some(To::Data {
        variable: variable.filter(|name| **name != home).map(str::to_owned),
        section: home,
        off,
    })
}
