//! ELF objects: written so that libbpf and `bpftool prog load` take them, read so that their code can be listed.
//!
//! What is written is what clang would make of the same instructions: the program in a section named after its attach
//! point (`socket`, `kprobe/vfs_read`), the functions it calls in `.text`, calls between the two as relocations, the
//! licence in a section `license`, declared maps in `.maps` and `.BTF`.

use super::disasm::target_slot;
use super::{Callee, DecodeError, EncodeError, Imm64, Insn, MapDecl, decode, encode, map_decl};
use goblin::elf::{Elf, header, section_header, sym};
use std::fmt;

/// `R_BPF_64_64`: the wide immediate holds a symbol's address.
const R_BPF_64_64: u32 = 1;
/// `R_BPF_64_32`: the call goes to a symbol.
const R_BPF_64_32: u32 = 10;

/// A program to write.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its instructions; functions follow the program itself.
    pub insns: &'a [Insn],
    /// Section name: libbpf takes the program type from it.
    pub section: &'a str,
    /// The program's name.
    pub name: &'a str,
    /// Licence, such as `Dual MIT/GPL`.
    pub license: &'a str,
    /// Functions by the slot they begin at, as [`super::text::Program::functions`] gives them.
    pub functions: &'a [(usize, String)],
    /// Its maps by index; `None` for one that is not declared.
    pub maps: &'a [Option<MapDecl>],
}

/// Why an object could not be written or read.
#[derive(Debug)]
pub enum ObjectError {
    /// An instruction has no encoding.
    Encode(EncodeError),
    /// The bytes are no ELF file.
    Elf(goblin::error::Error),
    /// An ELF file for another machine, or not 64-bit little-endian.
    Machine(u16),
    /// A map that is not declared.
    Map {
        /// The instruction's slot.
        slot: usize,
    },
    /// A jump or call that crosses from the program into a function or back in a way no relocation can say.
    Crossing {
        /// The instruction's slot.
        slot: usize,
        /// Where it leads.
        to: i64,
    },
    /// A section reaches outside the file.
    Section(String),
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectError::Encode(error) => write!(f, "write object: {error}"),
            ObjectError::Elf(error) => write!(f, "read object: {error}"),
            ObjectError::Machine(machine) => write!(
                f,
                "read object: the file is for machine {machine}, not 64-bit little-endian BPF (247)"
            ),
            ObjectError::Map { slot } => write!(
                f,
                "write object: slot {slot} loads a map that is not declared"
            ),
            ObjectError::Crossing { slot, to } => write!(
                f,
                "write object: slot {slot} leads to slot {to}, across the border between program and functions"
            ),
            ObjectError::Section(name) => {
                write!(f, "read object: section `{name}` reaches outside the file")
            }
        }
    }
}

impl std::error::Error for ObjectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ObjectError::Encode(error) => Some(error),
            ObjectError::Elf(error) => Some(error),
            _ => None,
        }
    }
}

/// The ELF object of a program.
///
/// # Errors
/// [`ObjectError`] if an instruction has no encoding, loads a map by index, or jumps between program and functions.
pub fn write(source: &Source<'_>) -> Result<Vec<u8>, ObjectError> {
    let mut functions: Vec<(usize, &str)> = source
        .functions
        .iter()
        .map(|(slot, name)| (*slot, name.as_str()))
        .collect();
    functions.sort_unstable();
    functions.dedup_by_key(|function| function.0);
    let Parts {
        main,
        text,
        main_relocations,
        text_relocations,
    } = split(source, &functions)?;
    let maps: Vec<MapDecl> = source.maps.iter().flatten().cloned().collect();
    let border = main.len() / 8;

    let mut names = Names::default();
    let mut symbols = vec![0_u8; 24];
    let (sec_main, sec_text) = (1_u16, 2_u16);
    let global_func = (sym::STB_GLOBAL << 4) | sym::STT_FUNC;
    let global_object = (sym::STB_GLOBAL << 4) | sym::STT_OBJECT;
    let size_of = |bytes: &[u8]| bytes.len() as u64;
    symbol(
        &mut symbols,
        names.add(source.name),
        global_func,
        sec_main,
        0,
        size_of(&main),
    );
    for (at, (slot, name)) in functions.iter().enumerate() {
        let start = (slot - border) * 8;
        let end = functions
            .get(at + 1)
            .map_or(text.len(), |next| (next.0 - border) * 8);
        let size = end.saturating_sub(start);
        symbol(
            &mut symbols,
            names.add(name),
            global_func,
            sec_text,
            start as u64,
            size as u64,
        );
    }
    let mut license = source.license.as_bytes().to_vec();
    license.push(0);
    symbol(
        &mut symbols,
        names.add("_license"),
        global_object,
        4,
        0,
        size_of(&license),
    );

    let mut offset = 0;
    for map in &maps {
        let (name, size) = (names.add(&map.name), u64::from(map.size()));
        symbol(&mut symbols, name, global_object, SEC_MAPS, offset, size);
        offset += size;
    }

    let code = u64::from(section_header::SHF_ALLOC | section_header::SHF_EXECINSTR);
    let data = u64::from(section_header::SHF_ALLOC | section_header::SHF_WRITE);
    let progbits = section_header::SHT_PROGBITS;
    let (symtab, strtab) = if maps.is_empty() { (5, 6) } else { (8, 9) };
    let relocations = |name: u32, of: u32, bytes: Vec<u8>| Section {
        link: symtab,
        info: of,
        entry: 16,
        ..Section::new(name, section_header::SHT_REL, 0, bytes, 8)
    };
    let mut sections = vec![
        Section::new(names.add(source.section), progbits, code, main, 8),
        Section::new(names.add(".text"), progbits, code, text, 8),
        relocations(
            names.add(&format!(".rel{}", source.section)),
            1,
            main_relocations,
        ),
        Section::new(names.add("license"), progbits, data, license, 1),
    ];
    if !maps.is_empty() {
        let room = vec![0; usize::try_from(offset).unwrap_or(0)];
        let described = map_decl::btf(&maps);
        sections.extend([
            Section::new(names.add(".maps"), progbits, data, room, 8),
            Section::new(names.add(".BTF"), progbits, 0, described, 4),
            relocations(names.add(".rel.text"), 2, text_relocations),
        ]);
    }
    sections.push(Section {
        link: strtab,
        info: 1,
        entry: 24,
        ..Section::new(
            names.add(".symtab"),
            section_header::SHT_SYMTAB,
            0,
            symbols,
            8,
        )
    });
    let own_name = names.add(".strtab");
    let strings = Section::new(own_name, section_header::SHT_STRTAB, 0, names.bytes, 1);
    Ok(file(&sections, &strings))
}

/// Section of the maps, where there are any.
const SEC_MAPS: u16 = 5;

/// The code of the program, of its functions, and the relocations of both.
#[derive(Default)]
struct Parts {
    main: Vec<u8>,
    text: Vec<u8>,
    main_relocations: Vec<u8>,
    text_relocations: Vec<u8>,
}

fn relocation(out: &mut Vec<u8>, at: usize, symbol: usize, kind: u32) {
    out.extend((at as u64).to_le_bytes());
    out.extend(((symbol as u64) << 32 | u64::from(kind)).to_le_bytes());
}

fn split(source: &Source<'_>, functions: &[(usize, &str)]) -> Result<Parts, ObjectError> {
    let border = functions.first().map(|function| function.0);
    let mut parts = Parts::default();
    let mut slot = 0;
    for insn in source.insns {
        let in_main = border.is_none_or(|border| slot < border);
        let mut insn = *insn;
        let (out, relocations) = match in_main {
            true => (&mut parts.main, &mut parts.main_relocations),
            false => (&mut parts.text, &mut parts.text_relocations),
        };
        if let Insn::LoadImm64 { imm, .. } = &mut insn
            && let Imm64::MapIdx(idx) | Imm64::MapIdxValue { idx, .. } = *imm
        {
            let whole = matches!(imm, Imm64::MapIdx(_));
            let at = usize::try_from(idx).ok().filter(|_| whole);
            let declared = at.and_then(|at| Some((at, source.maps.get(at)?.as_ref()?)));
            let Some((at, _)) = declared else {
                return Err(ObjectError::Map { slot });
            };
            let before = source.maps.iter().take(at).flatten().count();
            // Symbols: the null one, the program, its functions, the licence, then the maps.
            relocation(
                relocations,
                out.len(),
                functions.len() + 3 + before,
                R_BPF_64_64,
            );
            *imm = Imm64::Value(0);
        }
        if let (Some(to), Some(border)) = (target_slot(&insn, slot), border) {
            let to_main = usize::try_from(to).map_or(to < 0, |to| to < border);
            if in_main != to_main {
                let at = functions
                    .iter()
                    .position(|f| usize::try_from(to) == Ok(f.0));
                let kind = match (&mut insn, at) {
                    (Insn::Call { callee }, Some(_)) if in_main => {
                        // libbpf adds 1 to what stands here.
                        *callee = Callee::Local(-1);
                        R_BPF_64_32
                    }
                    (Insn::LoadImm64 { imm, .. }, Some(_)) if in_main => {
                        *imm = Imm64::Value(0);
                        R_BPF_64_64
                    }
                    _ => return Err(ObjectError::Crossing { slot, to }),
                };
                relocation(relocations, out.len(), at.unwrap_or(0) + 2, kind);
            }
        }
        let bytes = encode(&[insn]).map_err(ObjectError::Encode)?;
        out.extend(bytes);
        slot += insn.slots();
    }
    Ok(parts)
}

/// A string table being made.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
}

impl Names {
    fn add(&mut self, name: &str) -> u32 {
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        let at = u32::try_from(self.bytes.len()).unwrap_or(0);
        // A NUL would end the name early.
        self.bytes.extend(name.bytes().filter(|byte| *byte != 0));
        self.bytes.push(0);
        at
    }
}

fn symbol(out: &mut Vec<u8>, name: u32, info: u8, section: u16, value: u64, size: u64) {
    out.extend(name.to_le_bytes());
    out.extend([info, sym::STV_DEFAULT]);
    out.extend(section.to_le_bytes());
    out.extend(value.to_le_bytes());
    out.extend(size.to_le_bytes());
}

struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    bytes: Vec<u8>,
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

impl Section {
    const fn new(name: u32, kind: u32, flags: u64, bytes: Vec<u8>, align: u64) -> Section {
        Section {
            name,
            kind,
            flags,
            bytes,
            link: 0,
            info: 0,
            align,
            entry: 0,
        }
    }
}

/// Header, contents, section headers, in that order.
fn file(sections: &[Section], strings: &Section) -> Vec<u8> {
    let mut out = vec![0_u8; 64];
    let mut headers = vec![0_u8; 64];
    for section in sections.iter().chain([strings]) {
        out.resize(out.len().next_multiple_of(8), 0);
        let at = out.len() as u64;
        out.extend(&section.bytes);
        headers.extend(section.name.to_le_bytes());
        headers.extend(section.kind.to_le_bytes());
        headers.extend(section.flags.to_le_bytes());
        headers.extend(0_u64.to_le_bytes());
        headers.extend(at.to_le_bytes());
        headers.extend((section.bytes.len() as u64).to_le_bytes());
        headers.extend(section.link.to_le_bytes());
        headers.extend(section.info.to_le_bytes());
        headers.extend(section.align.to_le_bytes());
        headers.extend(section.entry.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(8), 0);
    let table = out.len() as u64;
    let count = sections.len() as u16 + 2;
    let mut head = Vec::with_capacity(64);
    // Magic; 64 bits, little-endian, version 1.
    head.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.extend(header::ET_REL.to_le_bytes());
    head.extend(header::EM_BPF.to_le_bytes());
    head.extend(1_u32.to_le_bytes());
    head.extend([0; 16]);
    head.extend(table.to_le_bytes());
    head.extend(0_u32.to_le_bytes());
    for half in [64_u16, 0, 0, 64, count, count - 1] {
        head.extend(half.to_le_bytes());
    }
    if let Some(place) = out.get_mut(..64) {
        place.copy_from_slice(&head);
    }
    out.extend(headers);
    out
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

/// A name that a slot refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The slot.
    pub slot: usize,
    /// The symbol, or the section if the symbol has no name.
    pub name: String,
    /// The slot in this section that the symbol stands at, if it is code of this section.
    pub here: Option<usize>,
    /// Whether it is a map, not data or code.
    pub is_map: bool,
    /// Whether it is what a call goes to.
    pub is_call: bool,
}

impl CodeSection {
    /// Functions elsewhere that its instructions call, for [`super::disasm::Options::externs`].
    pub fn externs(&self) -> Vec<(usize, &str)> {
        let elsewhere = |r: &&Relocation| r.here.is_none() && r.is_call;
        let found = self.relocations.iter().filter(elsewhere);
        found.map(|r| (r.slot, r.name.as_str())).collect()
    }

    /// Its instructions with names put in: wide immediates that refer to maps and data become loads of a map by
    /// index into the names returned, and calls within the section get their distance.
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
                put_in(insn, slot, relocation, &mut maps);
            }
            slot += insn.slots();
        }
        Ok((insns, maps))
    }
}

fn put_in(insn: &mut Insn, slot: usize, relocation: &Relocation, maps: &mut Vec<String>) {
    let next = slot as i64 + 1;
    match insn {
        Insn::LoadImm64 { imm, .. } => {
            let Imm64::Value(offset) = *imm else { return };
            if let Some(here) = relocation.here {
                if let Ok(distance) = i32::try_from(here as i64 - next) {
                    *imm = Imm64::Func(distance);
                }
                return;
            }
            let at = maps.iter().position(|name| *name == relocation.name);
            let idx = at.unwrap_or_else(|| {
                maps.push(relocation.name.clone());
                maps.len() - 1
            });
            let (Ok(idx), Ok(off)) = (i32::try_from(idx), u32::try_from(offset)) else {
                return;
            };
            *imm = match relocation.is_map {
                true => Imm64::MapIdx(idx),
                false => Imm64::MapIdxValue { idx, off },
            };
        }
        Insn::Call {
            callee: Callee::Local(distance),
        } => {
            let target = relocation
                .here
                .map(|here| here as i64 + i64::from(*distance) + 1);
            if let Some(Ok(near)) = target.map(|to| i32::try_from(to - next)) {
                *distance = near;
            }
        }
        _ => {}
    }
}

/// The sections of an object that hold code.
///
/// # Errors
/// [`ObjectError`] if the bytes are no ELF object for 64-bit little-endian BPF, or are cut.
pub fn read(bytes: &[u8]) -> Result<Vec<CodeSection>, ObjectError> {
    let elf = Elf::parse(bytes).map_err(ObjectError::Elf)?;
    if elf.header.e_machine != header::EM_BPF || !elf.is_64 || !elf.little_endian {
        return Err(ObjectError::Machine(elf.header.e_machine));
    }
    let mut found = Vec::new();
    for (index, head) in elf.section_headers.iter().enumerate() {
        let is_code = head.is_executable() && head.sh_type == section_header::SHT_PROGBITS;
        if !is_code || head.sh_size == 0 {
            continue;
        }
        let name = section_name(&elf, index);
        let Some(code) = head.file_range().and_then(|range| bytes.get(range)) else {
            return Err(ObjectError::Section(name));
        };
        let mut functions: Vec<(usize, String)> = elf
            .syms
            .iter()
            .filter(|symbol| symbol.st_shndx == index && symbol.is_function())
            .filter_map(|symbol| {
                let slot = usize::try_from(symbol.st_value / 8).ok()?;
                Some((slot, elf.strtab.get_at(symbol.st_name)?.to_owned()))
            })
            .collect();
        functions.sort();
        found.push(CodeSection {
            name,
            bytes: code.to_vec(),
            functions,
            relocations: relocations(&elf, index),
        });
    }
    Ok(found)
}

fn section_name(elf: &Elf<'_>, index: usize) -> String {
    let head = elf.section_headers.get(index);
    let name = head.and_then(|head| elf.shdr_strtab.get_at(head.sh_name));
    name.unwrap_or("").to_owned()
}

fn relocations(elf: &Elf<'_>, section: usize) -> Vec<Relocation> {
    let mut found = Vec::new();
    for (head, entries) in &elf.shdr_relocs {
        let info = elf
            .section_headers
            .get(*head)
            .map(|head| head.sh_info as usize);
        if info != Some(section) {
            continue;
        }
        for entry in entries.iter() {
            let Some(symbol) = elf.syms.get(entry.r_sym) else {
                continue;
            };
            let Ok(slot) = usize::try_from(entry.r_offset / 8) else {
                continue;
            };
            let named = elf.strtab.get_at(symbol.st_name).unwrap_or("");
            let home = section_name(elf, symbol.st_shndx);
            let in_maps = home == ".maps" || home == "maps";
            // Data is one map a section: the symbol's own offset does not name it.
            let is_code = symbol.is_function() || symbol.st_shndx == 0 || in_maps;
            let name = if is_code && !named.is_empty() {
                named
            } else {
                &home
            };
            let here = usize::try_from(symbol.st_value / 8).ok();
            found.push(Relocation {
                slot,
                name: name.to_owned(),
                here: here.filter(|_| symbol.st_shndx == section),
                is_map: in_maps || symbol.st_shndx == 0,
                is_call: entry.r_type == R_BPF_64_32,
            });
        }
    }
    found.sort_by_key(|relocation| relocation.slot);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::text::{self, assemble};

    const PROGRAM: &str = "\
  r6 = r1
  r1 = 20
  call twice
  r1 = r0
  call more
  exit
twice:
  r0 = r1
  r0 += r1
  exit
more:
  r0 = r1
  r0 += 2
  exit
";

    fn object(text: &str) -> Result<Vec<u8>, ObjectError> {
        let program = assemble(text, text::Options::default()).unwrap();
        write(&Source {
            insns: &program.insns,
            section: "socket",
            name: "answer",
            license: "GPL",
            functions: &program.functions(),
            maps: &program.declared,
        })
    }

    #[test]
    fn what_is_written_reads_back() {
        let sections = read(&object(PROGRAM).unwrap()).unwrap();
        let [main, text] = &sections[..] else {
            panic!("{sections:?}")
        };
        assert_eq!(
            (main.name.as_str(), text.name.as_str()),
            ("socket", ".text")
        );
        assert_eq!(main.functions, [(0, "answer".to_owned())]);
        assert_eq!(
            text.functions,
            [(0, "twice".to_owned()), (3, "more".to_owned())]
        );
        let names: Vec<(usize, &str)> = main
            .relocations
            .iter()
            .map(|r| (r.slot, r.name.as_str()))
            .collect();
        assert_eq!(names, [(2, "twice"), (4, "more")]);
        assert_eq!(main.externs(), names);
        assert_eq!(main.insns().unwrap().0.len(), 6);
        assert_eq!(text.insns().unwrap().0.len(), 6);
    }

    /// `readelf` and `bpftool prog load` take the same bytes; here they are read back.
    #[test]
    fn declared_maps_are_symbols_and_relocations() {
        let text = ".map hits hash 4 8 16\n.map ring ringbuf 0 0 4096\nr1 = map[ring]\ncall pc+2\nr0 = 0\nexit\n\
                    r1 = map[hits]\nr0 = 0\nexit\n";
        let bytes = object(text).unwrap();
        let sections = read(&bytes).unwrap();
        let of = |at: usize| {
            let (insns, maps) = sections[at].insns().unwrap();
            (insns[0], maps)
        };
        let load = |idx| Insn::LoadImm64 {
            dst: crate::asm::Reg::R1,
            imm: Imm64::MapIdx(idx),
        };
        assert_eq!(of(0), (load(0), vec!["ring".to_owned()]));
        assert_eq!(of(1), (load(0), vec!["hits".to_owned()]));
        // What is called by its distance alone has a name too.
        assert_eq!(sections[0].externs(), [(2, "f5")]);
        let elf = Elf::parse(&bytes).unwrap();
        let named = |name: &str| {
            let found = elf
                .syms
                .iter()
                .find(|s| elf.strtab.get_at(s.st_name) == Some(name));
            found.map(|s| (s.st_value, s.st_size)).unwrap()
        };
        assert_eq!((named("hits"), named("ring")), ((0, 32), (32, 16)));
        let btf = elf
            .section_headers
            .iter()
            .find(|s| elf.shdr_strtab.get_at(s.sh_name) == Some(".BTF"));
        assert!(btf.is_some());
    }

    #[test]
    fn what_an_object_cannot_say_is_refused() {
        let error = object("r1 = map[hits]\nr0 = 0\nexit\n").unwrap_err();
        assert!(error.to_string().contains("slot 0 loads a map"), "{error}");
        let error = object("main:\ncall f\nexit\nf:\ngoto main\n").unwrap_err();
        assert!(
            error.to_string().contains("slot 2 leads to slot 0"),
            "{error}"
        );
    }

    #[test]
    fn damaged_objects_are_errors() {
        let good = object(PROGRAM).unwrap();
        assert!(read(&good).is_ok());
        assert!(matches!(read(b"no ELF"), Err(ObjectError::Elf(_))));
        for cut in 0..good.len() {
            let _ =
                read(good.get(..cut).unwrap()).map(|all| all.iter().for_each(|s| drop(s.insns())));
        }
        for at in 0..good.len() {
            for bit in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= bit;
                let _ = read(&bad).map(|all| all.iter().for_each(|s| drop(s.insns())));
            }
        }
        let mut other = good;
        other[18] = 62;
        assert!(matches!(read(&other), Err(ObjectError::Machine(62))));
    }
}
