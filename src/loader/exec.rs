//! Runs a bare program once in the kernel: what [`crate::vm::exec`] does in user space, by `BPF_PROG_TEST_RUN`.
//!
//! The program becomes a `syscall` program. Its memory is the value of an array map, which the verifier tracks byte by
//! byte; a test run returns only the lower half of `r0`, so every `exit` of the main program goes by way of a second map:
//!
//! ```text
//!   r1 = map[memory][0]+0          put before it
//!   r2 = LENGTH
//!   …                              the program, its `exit`s now `goto out`
//! out:
//!   r1 = map[result][0]+0          put behind it
//!   *(u64 *)(r1 +0) = r0
//!   r0 = 0
//!   exit
//! ```
//!
//! Distances inside the program do not change; calls of functions behind it are made longer by what is put between.

use std::{error, fmt, io, os::fd::AsFd};

use super::{
    LoadError,
    btf::{self, Btf},
    verifier_log::telling,
};
use crate::{
    asm::{self, Callee, EncodeError, Imm64, Insn, Reg, Size, build::*, helper::ProgType},
    check::{self, CheckError, Env},
    kernel::kfuncs,
    spec::{AttachSpec, MapKind, MapRole, MapSpec, Object, ProgramSpec},
    sys::{
        bpf::{self, Map, MapCreate, ProgLoad, TestRun},
        errno::Described,
        uapi,
    },
};

/// Room for the verifier's log; of a longer one the kernel keeps the end.
const LOG: usize = 1 << 20;

/// Why a program did not run in the kernel.
#[derive(Debug)]
pub enum ExecError {
    /// An instruction has no bytes.
    Encode(EncodeError),
    /// A map for memory or result could not be made or read.
    Map(&'static str, io::Error),
    /// A map that the program declares could not be made.
    Maps(Box<LoadError>),
    /// The program names a map that is not declared.
    NoMap(i32),
    /// The memory is longer than a map's value may be.
    TooLong(usize),
    /// The kernel refused the program.
    Refused {
        /// Index of the instruction the verifier stopped at; `None` if it names none.
        insn: Option<usize>,
        /// What the verifier objects to; empty if it said nothing.
        line: String,
        /// The errno.
        source: io::Error,
    },
    /// The test run failed.
    Run(io::Error),
}

impl ExecError {
    /// The instruction at fault.
    pub fn insn(&self) -> Option<usize> {
        match self {
            ExecError::Encode(error) => Some(error.insn),
            ExecError::Refused { insn, .. } => *insn,
            _ => None,
        }
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecError::Encode(error) => write!(f, "{error}"),
            ExecError::Map(call, error) => {
                write!(f, "memory as a map: {call}: {}", Described(error))
            }
            ExecError::Maps(error) => write!(f, "{error}"),
            ExecError::NoMap(index) => write!(f, "no map {index} is declared"),
            ExecError::TooLong(len) => {
                write!(
                    f,
                    "memory of {len} bytes is more than the value of a map holds"
                )
            }
            ExecError::Refused { line, source, .. } if line.is_empty() => {
                write!(f, "bpf(BPF_PROG_LOAD): {}", Described(source))
            }
            ExecError::Refused { line, source, .. } => {
                write!(f, "refused by the verifier: {line}: {}", Described(source))
            }
            ExecError::Run(error) => write!(f, "bpf(BPF_PROG_TEST_RUN): {}", Described(error)),
        }
    }
}

impl error::Error for ExecError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            ExecError::Encode(error) => Some(error),
            ExecError::Map(_, error) | ExecError::Run(error) => Some(error),
            ExecError::Refused { source, .. } => Some(source),
            ExecError::Maps(error) => Some(error.as_ref()),
            ExecError::TooLong(_) | ExecError::NoMap(_) => None,
        }
    }
}

/// Runs the program: `r1` is the address of `mem`, or 0 if that is empty, `r2` its length. Gives all 64 bits of `r0`.
///
/// # Errors
/// [`ExecError`]; `mem` is unchanged then.
pub fn exec(insns: &[Insn], maps: &[MapSpec], mem: &mut [u8]) -> Result<u64, ExecError> {
    let len = i32::try_from(mem.len()).map_err(|_| ExecError::TooLong(mem.len()))?;
    let maps = super::map::create_all(maps).map_err(|e| ExecError::Maps(Box::new(e)))?;
    let fds: Vec<i32> = maps.iter().map(Map::raw_fd).collect();
    let insns = &super::reloc::resolve(insns, &fds).map_err(|none| ExecError::NoMap(none.map))?[..];
    let result = one("result", 8)?;
    let memory = match mem.len() {
        0 => None,
        size => Some(one("memory", size)?),
    };
    if let Some(memory) = &memory {
        let put = memory.update(&KEY, mem, 0);
        put.map_err(|e| ExecError::Map("bpf(BPF_MAP_UPDATE_ELEM)", e))?;
    }
    let (code, origins) = whole(insns, memory.as_ref().map(value_of), len, value_of(&result));
    let bytes = asm::encode(&code).map_err(|mut error| {
        error.insn = origins.get(error.insn).copied().flatten().unwrap_or(0);
        ExecError::Encode(error)
    })?;
    // Callbacks need a BTF description of their function.
    let by_hand = ProgramSpec::user_probe("exec", code.clone(), AttachSpec::Manual("exec".into()));
    let btf = match btf::has_functions(&code) {
        true => Btf::load(&Object::by_hand(Vec::new(), vec![by_hand])),
        false => None,
    };
    let attr = ProgLoad {
        kind: uapi::BPF_PROG_TYPE_SYSCALL,
        attach_type: 0,
        name: "exec",
        insns: &bytes,
        license: c"Dual MIT/GPL",
        flags: uapi::BPF_F_SLEEPABLE,
        attach_btf_id: 0,
        btf: btf.as_ref().and_then(|btf| btf.info(0)),
    };
    let program = match super::map::with_memlock(|| bpf::prog_load(&attr, None)) {
        Ok(program) => program,
        Err(first) => return Err(refused(&attr, first, &code, &origins)),
    };
    bpf::test_run(program.as_fd(), TestRun::default()).map_err(ExecError::Run)?;
    let mut value = [0; 8];
    read(&result, &mut value)?;
    if let Some(memory) = &memory {
        read(memory, mem)?;
    }
    Ok(u64::from_ne_bytes(value))
}

/// Whether the kernel would run the program with so much memory, in the checker's eyes: [`check::program`] on what
/// [`exec`] loads.
///
/// # Errors
/// What is wrong, with the index of the program's own instruction; `None` if it is none of them.
#[expect(clippy::result_large_err, reason = "made once for a program")]
pub fn check_exec(
    insns: &[Insn],
    maps: &[MapSpec],
    len: usize,
) -> Result<(), (Option<usize>, CheckError)> {
    let size = |len| u32::try_from(len).unwrap_or(u32::MAX);
    let array = |name: &str, value_size| MapSpec {
        name: name.into(),
        kind: MapKind::Array,
        key_size: 4,
        value_size,
        max_entries: 1,
        flags: 0,
        init: Vec::new(),
        role: MapRole::Data,
    };
    let mut maps = maps.to_vec();
    let result = i32::try_from(maps.len()).unwrap_or(i32::MAX - 1);
    maps.extend([array("result", 8), array("memory", size(len.max(1)))]);
    let value = |idx| {
        let imm = Imm64::MapIdxValue { idx, off: 0 };
        Insn::LoadImm64 { dst: Reg::R1, imm }
    };
    let memory = (len > 0).then(|| value(result + 1));
    let len = i32::try_from(len).unwrap_or(i32::MAX);
    let (code, origins) = whole(insns, memory, len, value(result));
    let mut env = Env::new(ProgType::Syscall, &maps);
    env.limit = QUICK;
    env.kfunc = kfuncs::by_id;
    let Err(error) = check::program(&code, &env) else {
        return Ok(());
    };
    // What is put behind the program speaks of the place that led there.
    let mut exits = insns
        .iter()
        .enumerate()
        .filter(|(_, insn)| **insn == Insn::Exit);
    let only_exit = exits.next().filter(|_| exits.next().is_none());
    let behind = || only_exit.map(|(at, _)| at).filter(|_| error.insn > 2);
    let place = origins.get(error.insn).copied().flatten().or_else(behind);
    match error.what.is_undecided() {
        true => Ok(()),
        false => Err((place, error)),
    }
}

/// The program as it is loaded, given how the addresses of memory and result get into `r1`.
fn whole(
    insns: &[Insn],
    memory: Option<Insn>,
    len: i32,
    result: Insn,
) -> (Vec<Insn>, Vec<Option<usize>>) {
    let before = [
        memory.unwrap_or(mov64_imm(Reg::R1, 0)),
        mov64_imm(Reg::R2, len),
    ];
    let after = [
        result,
        store(Size::DW, Reg::R1, 0, Reg::R0),
        mov64_imm(Reg::R0, 0),
        exit(),
    ];
    wrap(insns, &before, &after)
}

/// Instructions that the checker follows before it leaves the verdict to the kernel.
const QUICK: usize = 100_000;

/// The key of an array's only entry.
const KEY: [u8; 4] = [0; 4];

/// An array map with one value of that size.
fn one(name: &str, size: usize) -> Result<Map, ExecError> {
    let spec = MapCreate {
        kind: uapi::BPF_MAP_TYPE_ARRAY,
        key_size: 4,
        value_size: u32::try_from(size).map_err(|_| ExecError::TooLong(size))?,
        max_entries: 1,
        flags: 0,
        name,
    };
    super::map::with_memlock(|| Map::create(&spec)).map_err(|e| match e.raw_os_error() {
        Some(libc::E2BIG) => ExecError::TooLong(size),
        _ => ExecError::Map("bpf(BPF_MAP_CREATE)", e),
    })
}

fn read(map: &Map, value: &mut [u8]) -> Result<(), ExecError> {
    match map.lookup(&KEY, value) {
        Ok(_) => Ok(()),
        Err(e) => Err(ExecError::Map("bpf(BPF_MAP_LOOKUP_ELEM)", e)),
    }
}

/// `r1 =` the address of the map's value.
fn value_of(map: &Map) -> Insn {
    let imm = Imm64::MapValue {
        fd: map.raw_fd(),
        off: 0,
    };
    Insn::LoadImm64 { dst: Reg::R1, imm }
}

fn slots(insns: &[Insn]) -> i64 {
    insns.iter().map(|insn| insn.slots() as i64).sum()
}

/// The distance to a function of the program: to be called, or as a callback.
fn function(insn: &mut Insn) -> Option<&mut i32> {
    match insn {
        Insn::Call {
            callee: Callee::Local(distance),
        }
        | Insn::LoadImm64 {
            imm: Imm64::Func(distance),
            ..
        } => Some(distance),
        _ => None,
    }
}

/// The program with `before` and `after` put round its main function, and for each instruction the index it had.
fn wrap(insns: &[Insn], before: &[Insn], after: &[Insn]) -> (Vec<Insn>, Vec<Option<usize>>) {
    let mut starts = Vec::with_capacity(insns.len());
    let mut slot = 0;
    for insn in insns {
        starts.push(slot);
        slot += insn.slots() as i64;
    }
    let target = |insn: &Insn, start: i64| {
        function(&mut { *insn }).map(|distance| start + 1 + i64::from(*distance))
    };
    // The main function ends where the first function begins that is called.
    let called = insns.iter().zip(&starts);
    let called = called.filter_map(|(insn, start)| target(insn, *start));
    let border = called.filter(|to| *to > 0).min().unwrap_or(slot).min(slot);
    // Nothing would lead there from a program without an `exit`, and the verifier wants a way to every instruction.
    let main = insns
        .iter()
        .zip(&starts)
        .take_while(|(_, start)| **start < border);
    let after = match main.into_iter().any(|(insn, _)| *insn == Insn::Exit) {
        true => after,
        false => &[],
    };
    let gap = slots(after);
    let mut code = before.to_vec();
    let mut origins = vec![None; before.len()];
    let mut ended = false;
    for (index, (insn, &start)) in insns.iter().zip(&starts).enumerate() {
        if start >= border && !ended {
            code.extend(after);
            origins.resize(code.len(), None);
            ended = true;
        }
        let (mut insn, in_main) = (*insn, start < border);
        if let Some(to) = target(&insn, start) {
            let crossed = i64::from(to >= border) - i64::from(!in_main);
            if let Some(distance) = function(&mut insn) {
                // No program is long enough for this to leave the range.
                *distance = distance.saturating_add(i32::try_from(crossed * gap).unwrap_or(0));
            }
        }
        if in_main && insn == Insn::Exit {
            let distance = border - start - 1;
            insn = match i16::try_from(distance) {
                Ok(near) => goto(near),
                Err(_) => gotol(i32::try_from(distance).unwrap_or(i32::MAX)),
            };
        }
        code.push(insn);
        origins.push(Some(index));
    }
    if !ended {
        code.extend(after);
        origins.resize(code.len(), None);
    }
    (code, origins)
}

/// Loads once more, with a log, and reads off it what the verifier objects to.
fn refused(
    attr: &ProgLoad<'_>,
    first: io::Error,
    code: &[Insn],
    origins: &[Option<usize>],
) -> ExecError {
    let mut log = vec![0; LOG];
    let source = match bpf::prog_load(attr, Some(&mut log)) {
        Ok(_) => first,
        Err(second) => second,
    };
    let end = log.iter().position(|b| *b == 0).unwrap_or(log.len());
    let telling = telling(&String::from_utf8_lossy(&log[..end]));
    let at_slot = |slot: usize| {
        let mut next = 0;
        let at = code.iter().position(|insn| {
            next += insn.slots();
            slot < next
        });
        origins.get(at?).copied().flatten()
    };
    ExecError::Refused {
        insn: telling.as_ref().and_then(|t| t.slot).and_then(at_slot),
        line: telling.map(|t| t.line).unwrap_or_default(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_of_the_main_program_lead_out_and_calls_keep_their_target() {
        let insns = [call_local(2), exit(), exit(), call_local(0), exit()];
        let before = [mov64_imm(Reg::R2, 0)];
        let after = [load_imm64(Reg::R1, 1), exit()];
        let (code, origins) = wrap(&insns, &before, &after);
        assert_eq!(
            code,
            [
                before[0],
                call_local(5), // from slot 1 to slot 7, which was slot 3
                goto(1),
                goto(0),
                after[0],
                after[1],
                call_local(0),
                exit()
            ]
        );
        let moved = [
            None,
            Some(0),
            Some(1),
            Some(2),
            None,
            None,
            Some(3),
            Some(4),
        ];
        assert_eq!(origins, moved);
    }

    #[test]
    fn a_program_without_functions_ends_with_the_rest() {
        let (code, origins) = wrap(&[exit()], &[], &[exit()]);
        assert_eq!(code, [goto(0), exit()]);
        assert_eq!(origins, [Some(0), None]);
        let (code, _) = wrap(&[goto(-1)], &[], &[exit()]);
        assert_eq!(code, [goto(-1)]);
    }
}
