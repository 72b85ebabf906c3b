//! What a reviewer asks of a program first: what it reads, what it writes, what it can do, how long it takes.

use super::{
    Bundle, BundleError, Program,
    bound::{Bound, bound},
    walk::{constant, map_in, setter},
};
use crate::{
    asm::{AluOp, Callee, Imm64, Insn, Reg, Src, helper},
    check::{self, CheckError},
};
use serde::Serialize;
use std::collections::BTreeSet;

/// What a program does, as far as its instructions tell without running them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The probe.
    pub probe: String,
    /// How many instructions.
    pub instructions: usize,
    /// How many slots of 8 bytes.
    pub slots: usize,
    /// Most instructions of one hit, where the checker walked every turn.
    pub worst_case: Option<usize>,
    /// Most instructions of one hit by what ends its loops and callbacks; `None` where that is not known.
    pub bound: Option<Bound>,
    /// Instructions that this crate's own checker walked on all paths; `None` where it has no verdict.
    pub processed: Option<usize>,
    /// What this crate's own checker says the kernel's verifier will refuse.
    pub refused: Option<String>,
    /// Bytes of stack: the checker's count, or else down to the lowest address that is formed.
    pub stack: u32,
    /// Where user memory is read.
    pub user_reads: Vec<Read>,
    /// Maps that it changes.
    pub writes: Vec<String>,
    /// Rings that it sends to.
    pub rings: Vec<String>,
    /// Maps that it refers to.
    pub maps: Vec<String>,
    /// Helpers that it calls.
    pub helpers: Vec<String>,
    /// It can send a signal.
    pub can_signal: bool,
    /// It can change the return value of a function.
    pub can_override: bool,
    /// It can write the memory of the traced process.
    pub can_write_user: bool,
    /// It may sleep.
    pub can_sleep: bool,
}

/// One call that reads the traced process's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Read {
    /// Slot of the call.
    pub slot: usize,
    /// The helper.
    pub helper: String,
    /// Most bytes; `None` where the length is computed and the checker has no verdict.
    pub at_most: Option<u64>,
    /// Line of the script.
    pub line: Option<usize>,
    /// What stands there.
    pub script: Option<String>,
}

/// Helpers that read user memory, with the register of the length.
const USER_READS: &[(&str, Reg)] = &[
    ("bpf_probe_read_user", Reg::R2),
    ("bpf_probe_read_user_str", Reg::R2),
    ("bpf_probe_read", Reg::R2),
    ("bpf_probe_read_str", Reg::R2),
    ("bpf_copy_from_user", Reg::R2),
    ("bpf_copy_from_user_task", Reg::R2),
];

/// Helpers that change the map in their first argument.
const MAP_WRITES: &[&str] = &[
    "bpf_map_update_elem",
    "bpf_map_delete_elem",
    "bpf_map_push_elem",
    "bpf_map_pop_elem",
    "bpf_get_stackid",
];

/// Helpers that hand out a pointer into a map's values, through which a program may write.
const MAP_VALUES: &[&str] = &[
    "bpf_map_lookup_elem",
    "bpf_map_lookup_percpu_elem",
    "bpf_for_each_map_elem",
];

/// Helpers that send to a ring, with the register of the ring.
const RINGS: &[(&str, Reg)] = &[
    ("bpf_perf_event_output", Reg::R2),
    ("bpf_ringbuf_output", Reg::R1),
    ("bpf_ringbuf_reserve", Reg::R1),
];

impl Summary {
    /// Of one program of a bundle.
    ///
    /// # Errors
    /// Bytes that are no instructions.
    pub fn new(bundle: &Bundle, program: &Program) -> Result<Summary, BundleError> {
        let insns = program.decoded()?;
        let report = report(bundle, program, false)?;
        let refused = match &report {
            Err(error) if !error.what.is_undecided() => Some(format!(
                "insn {} `{}`: {}",
                error.insn, error.text, error.what
            )),
            _ => None,
        };
        let report = report.ok();
        let (lengths, given) = match &report {
            Some(report) => (report.lengths.clone(), report.given.clone()),
            None => (Vec::new(), Vec::new()),
        };
        let name = |map: i32| {
            let found = usize::try_from(map).ok().and_then(|at| bundle.maps.get(at));
            found.map_or(format!("map {map}"), |map| map.name.clone())
        };
        let mut out = Summary {
            probe: program.probe.clone(),
            instructions: insns.len(),
            slots: insns.iter().map(Insn::slots).sum(),
            worst_case: report.as_ref().and_then(|report| report.longest),
            bound: bound(&insns, &bundle.maps),
            refused,
            processed: report.as_ref().map(|report| report.processed),
            stack: report
                .and_then(|report| u32::try_from(report.max_stack).ok())
                .unwrap_or_else(|| stack(&insns)),
            user_reads: Vec::new(),
            writes: Vec::new(),
            rings: Vec::new(),
            maps: Vec::new(),
            helpers: program.helpers.clone(),
            can_signal: calls(program, &["bpf_send_signal", "bpf_send_signal_thread"]),
            can_override: calls(program, &["bpf_override_return"]),
            can_write_user: calls(program, &["bpf_probe_write_user"]),
            can_sleep: program.sleepable
                && program
                    .helpers
                    .iter()
                    .any(|called| helper::by_name(called).is_some_and(|row| row.may_sleep())),
        };
        let (mut writes, mut rings, mut maps) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (at, insn) in insns.iter().enumerate() {
            if let Insn::LoadImm64 { imm, .. } = insn {
                match imm {
                    Imm64::MapIdx(map) => {
                        maps.insert(name(*map));
                    }
                    Imm64::MapIdxValue { idx, .. } => {
                        maps.insert(name(*idx));
                        // The address of its value: whether it is written through is not followed.
                        writes.insert(name(*idx));
                    }
                    _ => {}
                }
            }
            let Insn::Call {
                callee: Callee::Helper(id),
            } = insn
            else {
                continue;
            };
            let Some(row) = helper::by_id(*id) else {
                continue;
            };
            if let Some((_, reg)) = USER_READS.iter().find(|(name, _)| *name == row.name) {
                let line = &program.insns[at];
                out.user_reads.push(Read {
                    slot: line.slot,
                    helper: row.name.to_string(),
                    at_most: constant(&insns, at, *reg)
                        .or(lengths.get(at).copied().filter(|n| *n > 0)),
                    line: script_line(bundle, line.script),
                    script: line.script.and_then(|(start, end)| {
                        let text = bundle.script.text.get(start as usize..end as usize)?;
                        Some(text.lines().next()?.trim_end().to_owned())
                    }),
                });
            }
            // Which map a register has may depend on the path: the checker walked them all.
            let from = |reg: Reg| match (map_in(&insns, at, reg), given.get(at)) {
                (Some(map), _) => vec![name(map)],
                (None, Some(maps)) if !maps.is_empty() => {
                    maps.iter().map(|map| name(i32::from(*map))).collect()
                }
                _ => vec!["a map that is not told here".to_string()],
            };
            if MAP_WRITES.contains(&row.name) || MAP_VALUES.contains(&row.name) {
                writes.extend(from(Reg::R1));
            }
            if let Some((_, reg)) = RINGS.iter().find(|(name, _)| *name == row.name) {
                rings.extend(from(*reg));
            }
        }
        out.writes = writes.into_iter().collect();
        out.rings = rings.into_iter().collect();
        out.maps = maps.into_iter().collect();
        Ok(out)
    }
}

/// What the checker finds out about a program, or why it has no verdict or a bad one.
///
/// # Errors
/// Bytes that are no instructions.
pub(super) fn report(
    bundle: &Bundle,
    program: &Program,
    trace: bool,
) -> Result<Result<check::Report, CheckError>, BundleError> {
    let object = bundle.compiled()?.object;
    // Two programs of one probe have the same name.
    let index = bundle.programs.iter().position(|one| one == program);
    let spec = index
        .and_then(|index| object.programs.get(index))
        .ok_or(BundleError::NotABundle)?;
    let env = check::Env {
        trace,
        ..check::env(&object, spec)
    };
    Ok(check::program(&spec.insns, &env))
}

/// Line of the script, from 1.
pub(super) fn script_line(bundle: &Bundle, range: Option<(u32, u32)>) -> Option<usize> {
    let (start, end) = range?;
    let span = crate::span::Span::new(start, end);
    Some(span.line_col(&bundle.script.text).0)
}

impl Summary {
    /// Most instructions of one hit; `None` where that is not known.
    pub fn per_hit(&self) -> Option<u64> {
        let walked = self.worst_case.and_then(|count| u64::try_from(count).ok());
        walked.or(self.bound.as_ref().map(|bound| bound.most))
    }
}

fn calls(program: &Program, names: &[&str]) -> bool {
    program
        .helpers
        .iter()
        .any(|called| names.contains(&called.as_str()))
}

/// Bytes between the frame's end and the lowest address that is formed from it.
fn stack(insns: &[Insn]) -> u32 {
    let mut lowest = 0i64;
    for (at, insn) in insns.iter().enumerate() {
        let offset = match insn {
            Insn::Load {
                src: Reg::R10, off, ..
            }
            | Insn::Store {
                dst: Reg::R10, off, ..
            }
            | Insn::Atomic {
                dst: Reg::R10, off, ..
            } => i64::from(*off),
            Insn::Alu {
                op: AluOp::Add,
                dst,
                src: Src::Imm(imm),
                ..
            } => match setter(insns, at, *dst) {
                Some((
                    _,
                    Insn::Alu {
                        op: AluOp::Mov,
                        src: Src::Reg(Reg::R10),
                        ..
                    },
                )) => i64::from(*imm),
                _ => continue,
            },
            _ => continue,
        };
        lowest = lowest.min(offset);
    }
    u32::try_from(-lowest).unwrap_or(0)
}
