//! Writes tiny ELF files: one code segment, one data segment, notes, symbols, build id.

/// One USDT note.
#[derive(Clone)]
pub(crate) struct Note {
    pub(crate) provider: &'static str,
    pub(crate) name: &'static str,
    pub(crate) args: String,
    pub(crate) pc: u64,
    pub(crate) semaphore: u64,
}

/// What to write. Vaddrs: code at [`CODE`], data at [`DATA`]; in the file they stand at lower offsets.
#[derive(Clone)]
pub(crate) struct Elf {
    pub(crate) wide: bool,
    pub(crate) machine: u16,
    /// Bytes of the code segment.
    pub(crate) code: Vec<u8>,
    pub(crate) notes: Vec<Note>,
    /// The notes' idea of where `.stapsdt.base` is; in the file it is at [`BASE`].
    pub(crate) linked_base: u64,
    pub(crate) note_align: u64,
    /// Name, vaddr, size, whether it is a function.
    pub(crate) symbols: Vec<(&'static str, u64, u64, bool)>,
    pub(crate) build_id: Option<Vec<u8>>,
    pub(crate) debuglink: Option<&'static str>,
}

pub(crate) const CODE: u64 = 0x40_1000;
pub(crate) const CODE_OFFSET: u64 = 0x200;
pub(crate) const DATA: u64 = 0x60_3000;
pub(crate) const DATA_OFFSET: u64 = 0x400;
pub(crate) const BASE: u64 = CODE + 0x80;

pub(crate) const X86_64: u16 = 62;
pub(crate) const AARCH64: u16 = 183;
pub(crate) const RISCV: u16 = 243;
pub(crate) const S390: u16 = 22;

impl Default for Elf {
    fn default() -> Self {
        Elf {
            wide: true,
            machine: X86_64,
            code: vec![0x90; 0x100],
            notes: Vec::new(),
            linked_base: BASE,
            note_align: 4,
            symbols: Vec::new(),
            build_id: None,
            debuglink: None,
        }
    }
}

struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    addr: u64,
    offset: u64,
    size: u64,
    link: u32,
    align: u64,
    entry: u64,
}

struct Out {
    bytes: Vec<u8>,
    wide: bool,
}

impl Out {
    fn u16(&mut self, n: u16) {
        self.bytes.extend(n.to_le_bytes());
    }
    fn u32(&mut self, n: u32) {
        self.bytes.extend(n.to_le_bytes());
    }
    fn word(&mut self, n: u64) {
        if self.wide {
            self.bytes.extend(n.to_le_bytes());
        } else {
            self.bytes.extend((n as u32).to_le_bytes());
        }
    }
    fn text(&mut self, s: &str) {
        self.bytes.extend(s.as_bytes());
        self.bytes.push(0);
    }
    fn align(&mut self, n: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(n), 0);
    }
    fn note(&mut self, owner: &str, kind: u32, desc: &[u8], align: usize) {
        self.u32(owner.len() as u32 + 1);
        self.u32(desc.len() as u32);
        self.u32(kind);
        self.text(owner);
        self.align(align);
        self.bytes.extend(desc);
        self.align(align);
    }
}

impl Elf {
    /// The file's bytes.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Out {
            bytes: vec![0; CODE_OFFSET as usize],
            wide: self.wide,
        };
        out.bytes.extend(&self.code);
        out.bytes.resize(DATA_OFFSET as usize, 0);
        out.bytes.resize(DATA_OFFSET as usize + 0x40, 0);
        let none = Section {
            name: "",
            kind: 0,
            flags: 0,
            addr: 0,
            offset: 0,
            size: 0,
            link: 0,
            align: 0,
            entry: 0,
        };
        let mut sections = vec![
            Section { ..none },
            Section {
                name: ".text",
                kind: 1,
                flags: 6,
                addr: CODE,
                offset: CODE_OFFSET,
                size: self.code.len() as u64,
                align: 16,
                ..none
            },
            Section {
                name: ".stapsdt.base",
                kind: 1,
                flags: 2,
                addr: BASE,
                offset: CODE_OFFSET + BASE - CODE,
                size: 1,
                align: 1,
                ..none
            },
        ];
        let start = out.bytes.len();
        let align = self.note_align.clamp(4, 8) as usize;
        for note in &self.notes {
            let mut desc = Out {
                bytes: Vec::new(),
                wide: self.wide,
            };
            desc.word(note.pc);
            desc.word(self.linked_base);
            desc.word(note.semaphore);
            desc.text(note.provider);
            desc.text(note.name);
            desc.text(&note.args);
            out.note("stapsdt", 3, &desc.bytes, align);
        }
        sections.push(Section {
            name: ".note.stapsdt",
            kind: 7,
            offset: start as u64,
            size: (out.bytes.len() - start) as u64,
            align: self.note_align,
            ..none
        });
        if let Some(id) = &self.build_id {
            let start = out.bytes.len();
            out.note("GNU", 3, id, 4);
            sections.push(Section {
                name: ".note.gnu.build-id",
                kind: 7,
                offset: start as u64,
                size: (out.bytes.len() - start) as u64,
                align: 4,
                ..none
            });
        }
        if let Some(name) = self.debuglink {
            let start = out.bytes.len();
            out.text(name);
            out.align(4);
            out.u32(0x1234_5678);
            sections.push(Section {
                name: ".gnu_debuglink",
                kind: 1,
                offset: start as u64,
                size: (out.bytes.len() - start) as u64,
                align: 4,
                ..none
            });
        }
        let strings = out.bytes.len();
        out.bytes.push(0);
        let mut names = Vec::new();
        for (name, ..) in &self.symbols {
            names.push((out.bytes.len() - strings) as u32);
            out.text(name);
        }
        let link = sections.len() as u32;
        sections.push(Section {
            name: ".strtab",
            kind: 3,
            offset: strings as u64,
            size: (out.bytes.len() - strings) as u64,
            align: 1,
            ..none
        });
        out.align(8);
        let start = out.bytes.len();
        for (name, (_, value, size, function)) in names.iter().zip(&self.symbols) {
            let info = 0x10 | if *function { 2 } else { 1 };
            out.u32(*name);
            if !self.wide {
                out.word(*value);
                out.word(*size);
            }
            out.bytes.extend([info, 0]);
            out.u16(1);
            if self.wide {
                out.word(*value);
                out.word(*size);
            }
        }
        sections.push(Section {
            name: ".symtab",
            kind: 2,
            offset: start as u64,
            size: (out.bytes.len() - start) as u64,
            link,
            align: 8,
            entry: if self.wide { 24 } else { 16 },
            ..none
        });
        self.finish(out, sections, none)
    }

    /// Section names, section headers, program headers, header.
    fn finish(&self, mut out: Out, mut sections: Vec<Section>, none: Section) -> Vec<u8> {
        let strings = out.bytes.len();
        let mut names: Vec<u32> = Vec::new();
        for name in sections.iter().map(|s| s.name).chain([".shstrtab"]) {
            names.push((out.bytes.len() - strings) as u32);
            out.text(name);
        }
        sections.push(Section {
            name: ".shstrtab",
            kind: 3,
            offset: strings as u64,
            size: (out.bytes.len() - strings) as u64,
            align: 1,
            ..none
        });
        out.align(8);
        let table = out.bytes.len() as u64;
        for (name, s) in names.iter().zip(&sections) {
            out.u32(*name);
            out.u32(s.kind);
            for n in [s.flags, s.addr, s.offset, s.size] {
                out.word(n);
            }
            out.u32(s.link);
            out.u32(0);
            out.word(s.align);
            out.word(s.entry);
        }
        let mut head = Out {
            bytes: Vec::new(),
            wide: self.wide,
        };
        let (class, header, segment, section) = match self.wide {
            true => (2, 64, 56, 64),
            false => (1, 52, 32, 40),
        };
        head.bytes.extend([0x7f, b'E', b'L', b'F', class, 1, 1]);
        head.bytes.resize(16, 0);
        head.u16(2);
        head.u16(self.machine);
        head.u32(1);
        head.word(CODE);
        head.word(header);
        head.word(table);
        head.u32(0);
        for n in [
            header as u16,
            segment,
            2,
            section,
            sections.len() as u16,
            sections.len() as u16 - 1,
        ] {
            head.u16(n);
        }
        let code = (5, CODE_OFFSET, CODE, self.code.len() as u64);
        for (flags, offset, vaddr, size) in [code, (6, DATA_OFFSET, DATA, 0x40)] {
            head.u32(1);
            if self.wide {
                head.u32(flags);
            }
            for n in [offset, vaddr, vaddr, size, size] {
                head.word(n);
            }
            if !self.wide {
                head.u32(flags);
            }
            head.word(0x1000);
        }
        out.bytes[..head.bytes.len()].copy_from_slice(&head.bytes);
        out.bytes
    }
}
