//! The checked tree becomes three-address code: maps, records and one program for each attach point.
//!
//! A pure function of the checked script and its target. Each program is lowered by trying plans from the cheapest up
//! (no record; record on the stack; record in per-CPU scratch memory), see `program`.

pub(crate) mod abi;
mod aggregate;
mod argument;
mod arith;
mod bucket;
mod call;
mod chunk;
mod compare;
mod each;
mod error;
mod fault;
mod helper;
mod kernel;
mod map;
mod output;
mod program;
mod record;
mod shared;
mod short_key;
mod stmt;
mod store;
mod text;
mod unwind;
mod usage;
mod value;

pub use error::LowerError;

use crate::{
    ir,
    lang::checked::{Checked, CheckedPoint, Point},
    spec::{AttachSpec, EventPlan, MapSpec, ProgramKind, Site, Target, UserSite},
};
use std::{collections::BTreeSet, path::Path};
use usage::Usage;

/// Where programs and links are kept by name.
const BPFFS: &str = "/sys/fs/bpf";

/// A program before code generation.
#[derive(Clone, Debug)]
pub struct LoweredProgram {
    /// Its code.
    pub ir: ir::Program,
    /// Full name of the attach point.
    pub probe: String,
    /// Program type.
    pub kind: ProgramKind,
    /// Where it runs.
    pub attach: Vec<AttachSpec>,
}

/// A script before code generation.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Programs in script order.
    pub programs: Vec<LoweredProgram>,
    /// Maps; the script's own come first, by [`crate::lang::checked::MapId`].
    pub maps: Vec<MapSpec>,
    /// How records read.
    pub events: EventPlan,
}

/// The text of a script, for messages that name their place.
#[derive(Clone, Copy, Debug)]
pub struct Text<'t> {
    /// What messages call the script.
    pub name: &'t str,
    /// All of it.
    pub source: &'t str,
}

impl Text<'_> {
    /// `name:line:first-last`, as messages of running scripts begin.
    fn place(&self, span: crate::span::Span) -> String {
        let (line, col) = span.line_col(self.source);
        let width = span.text(self.source).chars().count();
        format!("{}:{line}:{col}-{}", self.name, col + width)
    }
}

/// Lowers a checked script. The programs named by `settled` are made so that the verifier sees the same state wherever
/// paths meet, at the price of some loads and stores (see `docs/decisions/0013-loops-the-verifier-can-follow.md`).
///
/// # Errors
/// The first construct that cannot be compiled, with its place.
pub fn lower(
    checked: &Checked,
    target: &Target,
    text: Text<'_>,
    settled: &BTreeSet<usize>,
) -> Result<Lowered, LowerError> {
    let mut shared = shared::Shared::new(checked, target);
    let mut programs = Vec::new();
    let mut scratch = [0; 2];
    for probe in &checked.probes {
        let mut usage = usage::of(checked, probe);
        usage.kernel_pointers |= checked.probes.iter().any(kernel::has_pointers);
        for point in &probe.points {
            for (sites, attach) in variants(point, target, &usage) {
                let args = sites.first().map_or(&[][..], |site| &site.args);
                let job = program::Job {
                    checked,
                    target,
                    text,
                    probe,
                    point,
                    args,
                    usage: &usage,
                    index: programs.len(),
                    settled: target.features.may_goto
                        && (usage.tangled || settled.contains(&programs.len())),
                };
                let lowered = program::lower(&job, &mut shared)?;
                let most = &mut scratch[usize::from(lowered.large)];
                *most = lowered.scratch.max(*most);
                programs.push(LoweredProgram {
                    ir: lowered.ir,
                    probe: point.name.clone(),
                    kind: kind(&point.point),
                    attach: vec![attach],
                });
            }
        }
    }
    shared.finish(scratch, programs.len());
    let events = EventPlan {
        groups: shared.groups,
        structs: checked.structs.clone(),
        faults: shared.faults.into_iter().map(|(_, fault)| fault).collect(),
    };
    Ok(Lowered {
        programs,
        maps: shared.maps,
        events,
    })
}

fn kind(point: &Point) -> ProgramKind {
    match point {
        Point::Usdt { .. } | Point::Uprobe { .. } | Point::Kprobe { .. } => ProgramKind::Kprobe,
        Point::Profile(_) | Point::Software(..) | Point::Hardware(..) | Point::Watch(..) => {
            ProgramKind::PerfEvent
        }
        Point::Begin
        | Point::End
        | Point::Signal(_)
        | Point::Manual(..)
        | Point::Interval(_)
        | Point::RawTracepoint(_) => ProgramKind::RawTracepoint,
        Point::Tracepoint(_) => ProgramKind::Tracepoint,
        Point::Trampoline { .. } | Point::Iter { .. } => ProgramKind::Tracing,
    }
}

/// The programs that one attach point needs: one for all sites whose used operands are the same.
fn variants<'t>(
    point: &CheckedPoint,
    target: &'t Target,
    usage: &Usage,
) -> Vec<(Vec<&'t Site>, AttachSpec)> {
    let plain = |spec| vec![(Vec::new(), spec)];
    match &point.point {
        Point::Begin => plain(AttachSpec::Begin),
        Point::End => plain(AttachSpec::End),
        Point::Signal(n) => plain(AttachSpec::Signal(*n)),
        Point::Manual(name, _) => plain(AttachSpec::Manual(name.clone())),
        Point::Interval(i) => plain(AttachSpec::Interval(*i)),
        Point::Profile(i) => plain(AttachSpec::Profile(*i)),
        Point::Software(config, period) => plain(AttachSpec::Software {
            config: *config,
            period: *period,
        }),
        Point::Hardware(config, period) => plain(AttachSpec::Hardware {
            config: *config,
            period: *period,
        }),
        Point::Tracepoint(index) => match target.kernel.tracepoints.get(*index) {
            Some(tracepoint) => plain(AttachSpec::Tracepoint {
                system: tracepoint.system.clone(),
                name: tracepoint.name.clone(),
            }),
            None => Vec::new(),
        },
        Point::RawTracepoint(name) => plain(AttachSpec::RawTracepoint(name.clone())),
        Point::Trampoline { function, ret } => plain(AttachSpec::Trampoline {
            function: function.clone(),
            ret: *ret,
        }),
        Point::Iter { kind, pin } => plain(AttachSpec::Iter {
            kind: kind.clone(),
            pin: pin.as_ref().map(|pin| Path::new(BPFFS).join(pin)),
        }),
        Point::Kprobe {
            function,
            offset,
            ret,
        } => plain(AttachSpec::Kprobe {
            function: function.clone(),
            offset: *offset,
            ret: *ret,
        }),
        Point::Watch(addr, len, mode) => plain(AttachSpec::Watch {
            addr: *addr,
            len: *len,
            mode: *mode,
            pid: target.pid,
        }),
        Point::Uprobe {
            binary,
            offset,
            ret,
            ..
        } => {
            let Some(binary) = target.binaries.get(*binary) else {
                return Vec::new();
            };
            let site = UserSite {
                offset: *offset,
                ref_ctr: 0,
                cookie: 0,
            };
            plain(AttachSpec::User {
                path: binary.path.clone(),
                sites: vec![site],
                ret: *ret,
                pid: target.pid,
            })
        }
        Point::Usdt { binary, probe } => {
            let Some(binary) = target.binaries.get(*binary) else {
                return Vec::new();
            };
            let Some(probe) = binary.usdt.get(*probe) else {
                return Vec::new();
            };
            let mut groups: Vec<Vec<&Site>> = Vec::new();
            for site in &probe.sites {
                let same = |other: &&Site| {
                    usage
                        .args
                        .iter()
                        .all(|n| other.args.get(*n as usize) == site.args.get(*n as usize))
                };
                match groups.iter_mut().find(|g| g.first().is_some_and(same)) {
                    Some(group) => group.push(site),
                    None => groups.push(vec![site]),
                }
            }
            groups
                .into_iter()
                .map(|sites| {
                    let user = sites
                        .iter()
                        .map(|s| UserSite {
                            offset: s.offset,
                            ref_ctr: s.ref_ctr,
                            cookie: 0,
                        })
                        .collect();
                    let spec = AttachSpec::User {
                        path: binary.path.clone(),
                        sites: user,
                        ret: false,
                        pid: target.pid,
                    };
                    (sites, spec)
                })
                .collect()
        }
    }
}
