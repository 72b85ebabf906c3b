//! Compiles a script so that its programs keep what they learn.

use super::{
    format::Point,
    tap::{self, Plan, SLOTS},
};
use crate::{
    compile::{self, CompileError},
    ir::Program,
    lang::checked::Checked,
    lower::{Lowered, LoweredProgram, abi::abi},
    spec::{
        ArgLoc, AttachSpec, IndexExt, MapKind, MapRole, MapSpec, Object, ProgramKind, Target,
        UsdtArg,
    },
};

/// A script compiled to be recorded.
#[derive(Debug)]
pub(crate) struct Tapped {
    /// What is loaded.
    pub(crate) object: Object,
    /// Its programs, as the recording describes them.
    pub(crate) points: Vec<Point>,
    /// Index of the map that counts hits that were not sent.
    pub(crate) lost: usize,
}

/// Compiles a checked script; the output of programs is left out with `mute`.
///
/// # Errors
/// The script does not compile.
pub(crate) fn object(
    checked: &Checked,
    target: &Target,
    name: &str,
    source: &str,
    mute: bool,
) -> Result<Tapped, CompileError> {
    let change = |lowered: &mut Lowered| tap_all(lowered, target, mute);
    let (object, (points, lost)) = compile::changed(checked, target, name, source, change)?;
    Ok(Tapped {
        object,
        points,
        lost,
    })
}

/// Makes all programs keep what they learn; what they are as points, and the index of the map that counts what was not sent.
fn tap_all(lowered: &mut Lowered, target: &Target, mute: bool) -> (Vec<Point>, usize) {
    let codes: Vec<&Program> = lowered.programs.iter().map(|program| &program.ir).collect();
    let (room, full) = tap::needs(&codes);
    let maps = &mut lowered.maps;
    let ring = match maps.iter().position(|map| map.role == MapRole::Ring) {
        Some(ring) => ring,
        None => add(maps, "ring", MapKind::PerfEventArray, 4, 0, MapRole::Ring),
    };
    let lost_size = 8 * lowered.programs.len().max(2);
    let lost = add(
        maps,
        "tap_lost",
        MapKind::Array,
        lost_size,
        1,
        MapRole::Data,
    );
    let mut plan = Plan {
        buffers: 0,
        lost: number(lost),
        ring: number(ring),
        room,
        full,
        atomics: target.features.atomics,
    };
    let size = plan.buffer_size().next_multiple_of(8) as usize;
    let kind = MapKind::PercpuArray;
    plan.buffers = number(add(maps, "tap", kind, size, SLOTS + 1, MapRole::Scratch));
    let mut points = Vec::with_capacity(lowered.programs.len());
    for (index, program) in lowered.programs.iter_mut().enumerate() {
        let regs = registers(program, target);
        tap::tap(&mut program.ir, number(index), &regs, &plan, mute);
        points.extend(program.attach.first().map(|attach| Point {
            probe: program.probe.clone(),
            kind: program.kind,
            attach: attach.clone(),
            regs,
        }));
    }
    (points, lost)
}

fn add(
    maps: &mut Vec<MapSpec>,
    name: &str,
    kind: MapKind,
    value_size: usize,
    max_entries: u32,
    role: MapRole,
) -> usize {
    maps.push(MapSpec {
        name: name.to_owned(),
        kind,
        key_size: 4,
        value_size: number(value_size),
        max_entries,
        flags: 0,
        init: Vec::new(),
        role,
    });
    maps.len() - 1
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The registers that are kept of a program's hits: those that it reads, those that its arguments are in or are found by,
/// and where it runs.
fn registers(program: &LoweredProgram, target: &Target) -> Vec<u16> {
    if program.kind == ProgramKind::RawTracepoint {
        return Vec::new();
    }
    let abi = abi(target.arch);
    let reads = tap::context_reads(&program.ir);
    let mut regs: Vec<u16> = reads.into_iter().map(|(at, _)| at).collect();
    regs.extend([abi.ip, abi.sp]);
    if program.kind == ProgramKind::Kprobe {
        let args = arguments(&program.attach, target);
        if args.is_empty() {
            regs.extend(abi.args);
            regs.push(abi.ret);
        }
        for arg in args {
            regs.extend(operand(&arg.loc));
        }
    }
    regs.sort_unstable();
    regs.dedup();
    regs
}

/// The registers of an operand.
fn operand(loc: &ArgLoc) -> Vec<u16> {
    match loc {
        ArgLoc::Reg { reg } => vec![*reg & !7],
        ArgLoc::Mem { base, index, .. } => {
            let index = index.map(|(reg, _, _): (u16, u8, IndexExt)| reg);
            base.iter()
                .copied()
                .chain(index)
                .map(|reg| reg & !7)
                .collect()
        }
        ArgLoc::Const(_) | ArgLoc::IpRel { .. } | ArgLoc::Unreadable(_) => Vec::new(),
    }
}

/// The arguments at all sites of a USDT probe; none for others.
pub(super) fn arguments<'t>(attach: &[AttachSpec], target: &'t Target) -> Vec<&'t UsdtArg> {
    let mut found = Vec::new();
    for spec in attach {
        let AttachSpec::User { path, sites, .. } = spec else {
            continue;
        };
        let binaries = target.binaries.iter().filter(|binary| binary.path == *path);
        let notes = binaries
            .flat_map(|binary| &binary.usdt)
            .flat_map(|probe| &probe.sites);
        for note in notes {
            if sites.iter().any(|site| site.offset == note.offset) {
                found.extend(&note.args);
            }
        }
    }
    found
}
