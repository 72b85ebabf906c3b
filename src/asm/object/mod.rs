//! ELF objects: written so that libbpf and `bpftool prog load` take them, read so that their code can be listed.
//!
//! What is written is what clang would make of the same instructions: the program in a section named after its attach
//! point (`socket`, `kprobe/vfs_read`), the functions it calls in `.text`, calls between the two as relocations, the
//! licence in a section `license`, declared maps in `.maps` and `.BTF`, maps whose value is addressed in sections of
//! data (`.data.NAME`, or the map's name if that begins with a dot).

mod link;
mod maps;
mod read;

pub use link::{LinkError, Linked};
pub use read::{CodeSection, Object, Relocation, To, read};

use super::disasm::target_slot;
use super::{Callee, EncodeError, Imm64, Insn, MapDecl, encode, map_decl};
use goblin::elf::{header, section_header, sym};
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
    /// A map whose value cannot be a section of data.
    Value {
        /// Its name.
        name: String,
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
            ObjectError::Value { name } => write!(
                f,
                "write object: the value of map `{name}` is addressed, so it becomes data, which is an array of one \
                 entry with keys of 4 bytes and cannot be passed to helpers"
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
    let roles = roles(source)?;
    let of_role = |wanted: Role| {
        let pairs = source.maps.iter().zip(&roles);
        let found = pairs.filter_map(move |(map, role)| map.as_ref().filter(|_| *role == wanted));
        found.cloned().collect::<Vec<MapDecl>>()
    };
    let (maps, data) = (of_role(Role::Map), of_role(Role::Data));
    let Parts {
        main,
        text,
        main_relocations,
        text_relocations,
    } = split(source, &functions, &roles)?;
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

    let first_data = if maps.is_empty() {
        SEC_MAPS
    } else {
        SEC_MAPS + 2
    };
    for (home, map) in (first_data..).zip(&data) {
        let name = names.add(&map.name);
        let size = u64::from(map.value_size);
        symbol(&mut symbols, name, global_object, home, 0, size);
    }

    let code = u64::from(section_header::SHF_ALLOC | section_header::SHF_EXECINSTR);
    let writable = u64::from(section_header::SHF_ALLOC | section_header::SHF_WRITE);
    let progbits = section_header::SHT_PROGBITS;
    let relocated_text = u32::from(!text_relocations.is_empty());
    let symtab = u32::from(first_data) + data.len() as u32 + relocated_text;
    let strtab = symtab + 1;
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
        Section::new(names.add("license"), progbits, writable, license, 1),
    ];
    if !maps.is_empty() {
        let room = vec![0; usize::try_from(offset).unwrap_or(0)];
        let described = map_decl::btf(&maps);
        sections.extend([
            Section::new(names.add(".maps"), progbits, writable, room, 8),
            Section::new(names.add(".BTF"), progbits, 0, described, 4),
        ]);
    }
    for map in &data {
        sections.push(data_section(&mut names, map));
    }
    if relocated_text == 1 {
        sections.push(relocations(names.add(".rel.text"), 2, text_relocations));
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

/// What a map is in an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Neither declared nor used, or only one of them.
    None,
    Map,
    Data,
}

/// What each map is: its value's address is taken, or it is named as a whole.
fn roles(source: &Source<'_>) -> Result<Vec<Role>, ObjectError> {
    let mut roles: Vec<Role> = source
        .maps
        .iter()
        .map(|map| map.as_ref().map_or(Role::None, |_| Role::Map))
        .collect();
    let mut whole = vec![false; roles.len()];
    let mut slot = 0;
    for insn in source.insns {
        if let Insn::LoadImm64 {
            imm: imm @ (Imm64::MapIdx(idx) | Imm64::MapIdxValue { idx, .. }),
            ..
        } = *insn
        {
            let at = usize::try_from(idx).unwrap_or(usize::MAX);
            match roles.get_mut(at) {
                Some(Role::None) | None => return Err(ObjectError::Map { slot }),
                Some(_) if matches!(imm, Imm64::MapIdx(_)) => whole[at] = true,
                Some(role) => *role = Role::Data,
            }
        }
        slot += insn.slots();
    }
    for ((map, role), whole) in source.maps.iter().zip(&mut roles).zip(whole) {
        let Some(map) = map else { continue };
        if is_data(&map.name) {
            *role = Role::Data;
        }
        let fits = map.kind == ARRAY && map.key_size == 4 && map.max_entries == 1;
        let wrong = match *role {
            Role::Data => whole || !fits || map.flags != 0,
            // Only data has something in it from the start.
            _ => !map.init.is_empty(),
        };
        if wrong {
            let name = map.name.clone();
            return Err(ObjectError::Value { name });
        }
    }
    Ok(roles)
}

/// `BPF_MAP_TYPE_ARRAY`.
const ARRAY: u32 = 2;

/// Whether a section of this name holds data that loaders make a map of.
fn is_data(name: &str) -> bool {
    [".data", ".rodata", ".bss"].iter().any(|kind| {
        let rest = name.strip_prefix(kind);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The section that a map's only value becomes.
fn data_section(names: &mut Names, map: &MapDecl) -> Section {
    let name = match is_data(&map.name) {
        true => names.add(&map.name),
        false => names.add(&format!(".data.{}", map.name)),
    };
    let mut flags = u64::from(section_header::SHF_ALLOC);
    if !map.name.starts_with(".rodata") {
        flags |= u64::from(section_header::SHF_WRITE);
    }
    let size = u64::from(map.value_size);
    if map.name.starts_with(".bss") {
        let section = Section::new(name, section_header::SHT_NOBITS, flags, Vec::new(), 8);
        return Section { size, ..section };
    }
    let mut bytes = map.init.clone();
    bytes.resize(usize::try_from(size).unwrap_or(0), 0);
    Section::new(name, section_header::SHT_PROGBITS, flags, bytes, 8)
}

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

fn split(
    source: &Source<'_>,
    functions: &[(usize, &str)],
    roles: &[Role],
) -> Result<Parts, ObjectError> {
    // Symbols: the null one, the program, its functions, the licence, then the maps, then data.
    let maps = roles.iter().filter(|role| **role == Role::Map).count();
    let symbol_of = |at: usize| {
        let role = roles.get(at).copied().unwrap_or(Role::None);
        let before = roles
            .iter()
            .take(at)
            .filter(|other| **other == role)
            .count();
        functions.len() + 3 + before + if role == Role::Data { maps } else { 0 }
    };
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
            let at = usize::try_from(idx).unwrap_or(usize::MAX);
            relocation(relocations, out.len(), symbol_of(at), R_BPF_64_64);
            *imm = match *imm {
                Imm64::MapIdxValue { off, .. } => Imm64::Value(u64::from(off)),
                _ => Imm64::Value(0),
            };
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
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

impl Section {
    fn new(name: u32, kind: u32, flags: u64, bytes: Vec<u8>, align: u64) -> Section {
        Section {
            name,
            kind,
            flags,
            size: bytes.len() as u64,
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
        headers.extend(section.size.to_le_bytes());
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
        let object = read(&object(PROGRAM).unwrap()).unwrap();
        let [main, text] = &object.code[..] else {
            panic!("{object:?}")
        };
        assert_eq!(
            (main.name.as_str(), text.name.as_str()),
            ("socket", ".text")
        );
        assert_eq!(object.license.as_deref(), Some("GPL"));
        assert_eq!(main.functions, [(0, "answer".to_owned())]);
        assert_eq!(
            text.functions,
            [(0, "twice".to_owned()), (3, "more".to_owned())]
        );
        let names = [(2, "twice".to_owned()), (4, "more".to_owned())];
        assert_eq!(main.externs(), names);
        assert_eq!(main.insns().unwrap().0.len(), 6);
        assert_eq!(text.insns().unwrap().0.len(), 6);
        // Put together, it is the program that was written.
        let linked = object.program(main).unwrap();
        assert_eq!(
            linked.insns,
            assemble(PROGRAM, text::Options::default()).unwrap().insns
        );
    }

    /// `readelf` and `bpftool prog load` take the same bytes; here they are read back.
    #[test]
    fn maps_data_and_functions_read_back_to_the_same_program() {
        let source = ".map hits hash 4 8 16 flags 0x1\n.map ring ringbuf 0 0 4096\n\
                      .map seen array 4 16 1\n.map .rodata array 4 8 1 = 0x0102\n.map .bss array 4 24 1\n\
                      r1 = map[ring]\nr3 = map[seen][0]+8\ncall pc+5\nr2 = map[.rodata][0]+1\n\
                      r2 = subprog[pc+8]\nr0 = 0\nexit\n\
                      r1 = map[hits]\nr2 = map[.bss][0]+16\nr0 = 0\nexit\nr0 = 1\nexit\n";
        let program = assemble(
            &source
                .replace("pc+5", "f")
                .replace("subprog[pc+8]", "subprog[g]")
                .replace("r1 = map[hits]", "f:\nr1 = map[hits]")
                .replace("r0 = 1", "g:\nr0 = 1"),
            text::Options::default(),
        )
        .unwrap();
        let bytes = write(&Source {
            insns: &program.insns,
            section: "socket",
            name: "answer",
            license: "GPL",
            functions: &program.functions(),
            maps: &program.declared,
        })
        .unwrap();
        let object = read(&bytes).unwrap();
        let linked = object.program(&object.code[0]).unwrap();
        let names = ["ring", ".data.seen", ".rodata", "hits", ".bss"];
        assert_eq!(linked.maps, names);
        // What is in `.rodata` fills its section up.
        let lines: Vec<String> = linked
            .declared
            .iter()
            .flatten()
            .map(MapDecl::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                ".map ring ringbuf 0 0 4096",
                ".map .data.seen array 4 16 1",
                ".map .rodata array 4 8 1 = 0x0102000000000000",
                ".map hits hash 4 8 16 flags 0x1",
                ".map .bss array 4 24 1"
            ]
        );
        assert_eq!(
            linked.functions[1..],
            [(11, "f".to_owned()), (17, "g".to_owned())]
        );
        // Maps are numbered as they come.
        let renumbered = |insns: &[Insn], names: &[String]| -> Vec<(Insn, String)> {
            let name = |insn: &Insn| match insn {
                Insn::LoadImm64 {
                    imm: Imm64::MapIdx(i) | Imm64::MapIdxValue { idx: i, .. },
                    ..
                } => names[*i as usize].trim_start_matches(".data.").to_owned(),
                _ => String::new(),
            };
            let bare = |insn: &Insn| match *insn {
                Insn::LoadImm64 {
                    dst,
                    imm: Imm64::MapIdx(_),
                } => Insn::LoadImm64 {
                    dst,
                    imm: Imm64::MapIdx(0),
                },
                Insn::LoadImm64 {
                    dst,
                    imm: Imm64::MapIdxValue { off, .. },
                } => Insn::LoadImm64 {
                    dst,
                    imm: Imm64::MapIdxValue { idx: 0, off },
                },
                other => other,
            };
            insns.iter().map(|insn| (bare(insn), name(insn))).collect()
        };
        assert_eq!(
            renumbered(&linked.insns, &linked.maps),
            renumbered(&program.insns, &program.maps)
        );
    }

    #[test]
    fn what_an_object_cannot_say_is_refused() {
        let error = object("r1 = map[hits]\nr0 = 0\nexit\n").unwrap_err();
        assert!(error.to_string().contains("slot 0 loads a map"), "{error}");
        for (map, load) in [
            ("hash 4 8 16", "map[x][0]+0"),
            ("array 4 8 2", "map[x][0]+0"),
            ("array 4 8 1", "map[x][0]+0\nr1 = map[x]"),
            ("array 4 8 1 = 0x01", "map[x]"),
        ] {
            let text = format!(".map x {map}\nr1 = {load}\nr0 = 0\nexit\n");
            let error = object(&text).unwrap_err();
            assert!(
                matches!(error, ObjectError::Value { .. }),
                "{text}: {error}"
            );
        }
        let error = object("main:\ncall f\nexit\nf:\ngoto main\n").unwrap_err();
        assert!(
            error.to_string().contains("slot 2 leads to slot 0"),
            "{error}"
        );
    }

    #[test]
    fn damaged_objects_are_errors() {
        let maps =
            ".map hits hash 4 8 16\n.map .data array 4 8 1\nr1 = map[hits]\nr1 = map[.data][0]+4\n";
        let good = object(&format!("{maps}{PROGRAM}")).unwrap();
        assert!(read(&good).is_ok());
        assert!(matches!(read(b"no ELF"), Err(ObjectError::Elf(_))));
        let all = |bytes: &[u8]| {
            if let Ok(object) = read(bytes) {
                object
                    .code
                    .iter()
                    .for_each(|one| drop((one.insns(), object.program(one))));
            }
        };
        for cut in 0..good.len() {
            all(good.get(..cut).unwrap());
        }
        for at in 0..good.len() {
            for bit in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= bit;
                all(&bad);
            }
        }
        let mut other = good;
        other[18] = 62;
        assert!(matches!(read(&other), Err(ObjectError::Machine(62))));
    }
}
