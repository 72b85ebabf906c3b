//! BTF made by ourselves: it names each function of a program and the script line of each instruction.
//!
//! ```text
//! header 24 bytes · types · strings                  (Documentation/bpf/btf.rst)
//! type 1  INT `int`        the return type
//! type 2  FUNC_PROTO       int (*)()
//! type 3… FUNC static      one for each function of each program
//! ```

use std::os::fd::{AsFd, OwnedFd};

use crate::{
    asm::{Callee, Imm64, Insn},
    spec::{Object, ProgramSpec},
    sys::{
        bpf::{self, BtfInfo},
        trace,
    },
};

const MAGIC: u16 = 0xeb9f;
const HEADER: u32 = 24;
const KIND_INT: u32 = 1;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const INT_SIGNED: u32 = 1;

/// The loaded BTF object and, for each program, what refers to it.
pub(super) struct Btf {
    fd: OwnedFd,
    programs: Vec<Info>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Info {
    funcs: Vec<[u32; 2]>,
    lines: Vec<[u32; 4]>,
}

impl Btf {
    /// Builds and loads it; `None` where the kernel will not have it. No load fails for want of it.
    pub(super) fn load(object: &Object) -> Option<Btf> {
        let (blob, programs) = build(object)?;
        let _why = trace::because(|| "names of functions, lines of the script".to_owned());
        let fd = bpf::btf_load(&blob).ok()?;
        Some(Btf { fd, programs })
    }

    /// What the load of program `index` is given.
    pub(super) fn info(&self, index: usize) -> Option<BtfInfo<'_>> {
        let info = self.programs.get(index)?;
        Some(BtfInfo {
            btf: self.fd.as_fd(),
            funcs: &info.funcs,
            lines: &info.lines,
        })
    }
}

/// Slots at which the functions of a program begin, its entry first.
fn functions(insns: &[Insn]) -> Vec<u32> {
    let mut starts = vec![0];
    let mut slot = 0i64;
    for insn in insns {
        let distance = match insn {
            Insn::Call {
                callee: Callee::Local(distance),
            } => Some(distance),
            Insn::LoadImm64 {
                imm: Imm64::Func(distance),
                ..
            } => Some(distance),
            _ => None,
        };
        if let Some(distance) = distance {
            starts.extend(u32::try_from(slot + 1 + i64::from(*distance)));
        }
        slot += if insn.slots() == 2 { 2 } else { 1 };
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// Whether the program has functions besides its entry: the kernel takes callbacks only with BTF.
pub(super) fn has_functions(insns: &[Insn]) -> bool {
    functions(insns).len() > 1
}

/// The string section: NUL-terminated, offset 0 is the empty string.
struct Strings(Vec<u8>);

impl Strings {
    fn add(&mut self, text: &str) -> Option<u32> {
        let at = u32::try_from(self.0.len()).ok()?;
        self.0
            .extend(text.bytes().map(|b| if b == 0 { b' ' } else { b }));
        self.0.push(0);
        Some(at)
    }
}

/// A C identifier, as function names must be.
fn identifier(name: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let mut out: String = name.chars().map(good).take(100).collect();
    if !out.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        out.insert(0, '_');
    }
    out
}

/// The blob, and the records of each program; `None` if something is too large to be numbered.
fn build(object: &Object) -> Option<(Vec<u8>, Vec<Info>)> {
    let mut strings = Strings(vec![0]);
    let int = strings.add("int")?;
    let file = strings.add(&object.script_name)?;
    let mut types = vec![
        int,
        KIND_INT << 24,
        4,
        INT_SIGNED << 24 | 32,
        0,
        KIND_FUNC_PROTO << 24,
        1,
    ];
    let mut next_type = 3;
    let mut lines = Lines::new(&object.source);
    let mut programs = Vec::new();
    for program in &object.programs {
        let starts = functions(&program.insns);
        let mut funcs = Vec::with_capacity(starts.len());
        for (n, start) in starts.iter().enumerate() {
            let name = match n {
                0 => identifier(&program.name),
                _ => format!("{}_{n}", identifier(&program.name)),
            };
            types.extend([strings.add(&name)?, KIND_FUNC << 24, 2]);
            funcs.push([*start, next_type]);
            next_type += 1;
        }
        let records = lines.records(program, &starts, file, &mut strings)?;
        programs.push(Info {
            funcs,
            lines: records,
        });
    }
    let type_len = u32::try_from(types.len() * 4).ok()?;
    let str_len = u32::try_from(strings.0.len()).ok()?;
    let mut blob = Vec::new();
    blob.extend(MAGIC.to_ne_bytes());
    blob.extend([1, 0]);
    for number in [HEADER, 0, type_len, type_len, str_len] {
        blob.extend(number.to_ne_bytes());
    }
    blob.extend(types.iter().flat_map(|word| word.to_ne_bytes()));
    blob.extend(strings.0);
    Some((blob, programs))
}

/// The script's lines: where they begin, and their place in the string section once used.
struct Lines<'a> {
    source: &'a str,
    starts: Vec<usize>,
    strings: Vec<Option<u32>>,
}

impl<'a> Lines<'a> {
    fn new(source: &'a str) -> Self {
        let after = source.match_indices('\n').map(|(at, _)| at + 1);
        let starts: Vec<usize> = std::iter::once(0).chain(after).collect();
        Lines {
            source,
            strings: vec![None; starts.len()],
            starts,
        }
    }

    /// Line (from 0) and column (from 1, in bytes) of a byte.
    fn place(&self, byte: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= byte).max(1) - 1;
        (line, byte.saturating_sub(self.starts[line]) + 1)
    }

    fn string(&mut self, line: usize, strings: &mut Strings) -> Option<u32> {
        if let Some(at) = self.strings[line] {
            return Some(at);
        }
        let rest = self.source.get(self.starts[line]..).unwrap_or("");
        let at = strings.add(rest.lines().next().unwrap_or("").trim())?;
        self.strings[line] = Some(at);
        Some(at)
    }

    /// `struct bpf_line_info` for each instruction at which the place changes; every function's first one has to have
    /// one (`kernel/bpf/verifier.c: check_btf_line`).
    fn records(
        &mut self,
        program: &ProgramSpec,
        starts: &[u32],
        file: u32,
        strings: &mut Strings,
    ) -> Option<Vec<[u32; 4]>> {
        let mut out: Vec<[u32; 4]> = Vec::new();
        let mut place = program.origins.iter().flatten().next().copied();
        let mut slot = 0u32;
        for (index, insn) in program.insns.iter().enumerate() {
            place = program.origins.get(index).copied().flatten().or(place);
            let byte = place.map_or(0, |span| span.start as usize);
            let (line, column) = self.place(byte);
            let number = u32::try_from(line + 1).ok()?.min((1 << 22) - 1);
            let packed = number << 10 | u32::try_from(column).ok()?.min(1023);
            let changed = out.last().is_none_or(|last| last[3] != packed);
            if changed || starts.contains(&slot) {
                out.push([slot, file, self.string(line, strings)?, packed]);
            }
            slot += if insn.slots() == 2 { 2 } else { 1 };
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::Reg;
    use crate::span::Span;
    use crate::spec::{EventPlan, ProgramKind};

    fn object() -> Object {
        let wide = Insn::LoadImm64 {
            dst: Reg::R0,
            imm: Imm64::Value(0),
        };
        Object {
            script_name: "a.bt".into(),
            source: "BEGIN {\n  exit()\n}\n".into(),
            license: String::new(),
            maps: vec![],
            programs: vec![ProgramSpec {
                name: "0begin".into(),
                probe: "BEGIN".into(),
                kind: ProgramKind::RawTracepoint,
                insns: vec![wide, wide, Insn::Exit],
                origins: vec![None, Some(Span::new(10, 14)), None],
                sleepable: false,
                attach: vec![],
            }],
            events: EventPlan::default(),
        }
    }

    #[test]
    fn the_blob_has_the_layout_of_its_header() {
        let (blob, programs) = build(&object()).unwrap();
        let word = |at: usize| u32::from_ne_bytes(blob[at..at + 4].try_into().unwrap());
        assert_eq!(word(0) & 0xffff, 0xeb9f);
        assert_eq!((word(4), word(8), word(16)), (24, 0, word(12)));
        assert_eq!(blob.len() as u32, 24 + word(12) + word(20));
        assert_eq!(word(12), 16 + 12 + 12);
        let strings = String::from_utf8(blob[64..].to_vec()).unwrap();
        assert_eq!(strings, "\0int\0a.bt\0_0begin\0exit()\0");
        // One place for all three: the first instruction takes the first known one.
        assert_eq!(programs[0].lines, [[0, 5, 18, 2 << 10 | 3]]);
        assert_eq!(programs[0].funcs, [[0, 3]]);
    }

    #[test]
    fn functions_begin_where_calls_lead() {
        let local = |distance| Insn::Call {
            callee: Callee::Local(distance),
        };
        let callback = Insn::LoadImm64 {
            dst: Reg::R2,
            imm: Imm64::Func(3),
        };
        let insns = [callback, local(0), Insn::Exit, Insn::Exit, Insn::Exit];
        assert_eq!(functions(&insns), [0, 3, 4]);
        assert!(!has_functions(&[Insn::Exit]));
    }
}
