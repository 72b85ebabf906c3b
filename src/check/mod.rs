//! The verifier before the verifier: follows every path of a program as the kernel would, and says what it would
//! refuse in words.
//!
//! A program is walked instruction by instruction with what is known of each register and stack slot in place of
//! values (`value`, `scalar`, `state`). A branch that both ways are open to is walked both ways; a path that
//! comes to a jump target in a state that an earlier path covers ends there (`live` says what has to be covered).
//! The rules are those of `kernel/bpf/verifier.c` in 6.18 for a program loaded with all capabilities; where they are
//! simpler here, they refuse more. What is not modelled is refused by name ([`What::NotModelled`]).
//!
//! ```
//! use baretrace::asm::{Reg, Size, build::*, helper::ProgType};
//! use baretrace::check::{Env, program};
//! let insns = [load(Size::DW, Reg::R0, Reg::R2, 0), exit()];
//! let refused = program(&insns, &Env::new(ProgType::Kprobe, &[])).unwrap_err();
//! assert_eq!(refused.what.to_string(), "r2 has no value here");
//! ```

mod alu;
mod branch;
mod call;
mod context;
mod error;
mod function;
mod jump;
mod kept;
mod kfunc;
mod live;
mod memory;
mod objects;
mod packet;
mod scalar;
mod shape;
mod state;
mod tnum;
mod value;
mod walk;

pub use error::{CheckError, Region, Thing, What};

use crate::{
    asm::{Insn, helper::ProgType, kfunc::Known},
    spec::{AttachSpec, Features, MapSpec, Object, ProgramKind, ProgramSpec},
};

/// What a program is checked for.
#[derive(Clone, Debug)]
pub struct Env<'a> {
    /// Program type: its context and helpers.
    pub kind: ProgType,
    /// The maps that its instructions name by index.
    pub maps: &'a [MapSpec],
    /// Loaded under a GPL-compatible license.
    pub license_gpl: bool,
    /// Loaded with `BPF_F_SLEEPABLE`.
    pub sleepable: bool,
    /// What the kernel has.
    pub features: Features,
    /// The kernel lets privileged programs read stack that was never written (6.3).
    pub uninit_stack: bool,
    /// Instructions followed on all paths before it is given up as [`What::TooComplex`]; the kernel's limit if no
    /// other is given.
    pub limit: usize,
    /// Keep [`Report::states`].
    pub trace: bool,
    /// What the kernel's BTF has at an id: which function a call means.
    pub kfunc: fn(i32) -> Option<Known>,
}

impl<'a> Env<'a> {
    /// A GPL program that does not sleep, on a current kernel.
    pub fn new(kind: ProgType, maps: &'a [MapSpec]) -> Self {
        Env {
            kind,
            maps,
            license_gpl: true,
            sleepable: kind == ProgType::Syscall,
            features: Features::all(),
            uninit_stack: true,
            limit: walk::MAX_PROCESSED,
            trace: false,
            kfunc: |_| None,
        }
    }
}

/// What was found out about a program that is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Instructions walked on all paths; the kernel's limit is 1,000,000.
    pub processed: usize,
    /// Paths that ended because an earlier one covers them.
    pub pruned: usize,
    /// States kept to compare with.
    pub kept: usize,
    /// Bytes of stack that the longest chain of calls takes.
    pub max_stack: i64,
    /// Most instructions of one run, where every path ends by itself; `None` where turns of a callback, or of `may_goto`,
    /// are not counted.
    pub longest: Option<usize>,
    /// For each instruction: if it calls a helper that takes a length, the most that it was on any path.
    pub lengths: Vec<u64>,
    /// For each instruction: the maps that the helper it calls is given, on all paths.
    pub given: Vec<Vec<u16>>,
    /// With [`Env::trace`]: what was known before each instruction when it was first come to.
    pub states: Vec<String>,
}

/// Checks one program.
///
/// # Errors
/// The first thing the kernel would refuse, or that is not modelled.
pub fn program(insns: &[Insn], env: &Env<'_>) -> Result<Report, CheckError> {
    walk::check(insns, env)
}

/// Instructions followed before a start goes on without a verdict: a few milliseconds.
const QUICK: usize = 50_000;

/// Looks for a program of an object that the kernel is sure to refuse, before it is loaded. What is not modelled, or
/// takes long to follow, is left to the kernel.
///
/// # Errors
/// Index of the program and what is wrong with it.
#[expect(clippy::result_large_err, reason = "made once for an object")]
pub fn before_load(object: &Object) -> Result<(), (usize, CheckError)> {
    for (index, spec) in object.programs.iter().enumerate() {
        if spec.kind == ProgramKind::Tracing {
            // What its context holds depends on the function.
            continue;
        }
        let mut env = env(object, spec);
        env.limit = QUICK;
        match program(&spec.insns, &env) {
            Err(error) if !error.what.is_undecided() => return Err((index, error)),
            _ => {}
        }
    }
    Ok(())
}

/// Checks all programs of an object, as they are loaded on a current kernel.
///
/// # Errors
/// Index of the program and what is wrong with it.
#[expect(clippy::result_large_err, reason = "made once for an object")]
pub fn object(object: &Object) -> Result<Vec<Report>, (usize, CheckError)> {
    let check = |(index, spec): (usize, &ProgramSpec)| {
        program(&spec.insns, &env(object, spec)).map_err(|error| (index, error))
    };
    object.programs.iter().enumerate().map(check).collect()
}

/// What a program of an object is checked for.
pub fn env<'a>(object: &'a Object, spec: &ProgramSpec) -> Env<'a> {
    let kind = match spec.kind {
        ProgramKind::Kprobe => ProgType::Kprobe,
        ProgramKind::PerfEvent => ProgType::PerfEvent,
        ProgramKind::Tracepoint => ProgType::Tracepoint,
        // The arguments of a function lie as those of a raw tracepoint.
        ProgramKind::RawTracepoint | ProgramKind::Tracing => ProgType::RawTracepoint,
    };
    let user = |attach: &AttachSpec| matches!(attach, AttachSpec::User { .. });
    let mut env = Env::new(kind, &object.maps);
    env.license_gpl = is_gpl(&object.license);
    env.sleepable = spec.sleepable && kind == ProgType::Kprobe && spec.attach.iter().all(user);
    env
}

/// Whether a licence lets a program call helpers for GPL programs (`include/linux/license.h`); an empty one is replaced when loading.
pub fn is_gpl(license: &str) -> bool {
    let names = [
        "",
        "GPL",
        "GPL v2",
        "GPL and additional rights",
        "Dual BSD/GPL",
        "Dual MIT/GPL",
        "Dual MPL/GPL",
    ];
    names.contains(&license)
}
