//! What the instructions tell of each other without being run: where jumps lead, and which one set a register.

use crate::asm::{AluOp, Callee, Imm64, Insn, Reg, Src};

/// Whether some jump leads to instruction `at`.
fn is_target(insns: &[Insn], at: usize) -> bool {
    let starts = starts(insns);
    (0..insns.len()).any(|from| target(insns, &starts, from) == Some(at))
}

/// The instruction that sets `reg` last before `at`, within straight-line code.
pub(super) fn setter(insns: &[Insn], at: usize, reg: Reg) -> Option<(usize, &Insn)> {
    // What stands after a join may have been set on the other way.
    match is_target(insns, at) {
        true => None,
        false => setter_above(insns, at, reg),
    }
}

/// The same for who comes to `at` from the instruction above it.
pub(super) fn setter_above(insns: &[Insn], at: usize, reg: Reg) -> Option<(usize, &Insn)> {
    for before in (0..at).rev() {
        let insn = &insns[before];
        if before + 1 < at && is_target(insns, before + 1)
            || matches!(insn, Insn::Ja { .. } | Insn::Jal { .. } | Insn::Exit)
        {
            return None;
        }
        let sets = match insn {
            Insn::Alu { dst, .. }
            | Insn::Neg { dst, .. }
            | Insn::Movsx { dst, .. }
            | Insn::Endian { dst, .. }
            | Insn::AddrSpaceCast { dst, .. }
            | Insn::Load { dst, .. }
            | Insn::LoadAcquire { dst, .. }
            | Insn::LoadImm64 { dst, .. } => *dst == reg,
            Insn::Call { .. } | Insn::Callx { .. } => {
                matches!(
                    reg,
                    Reg::R0 | Reg::R1 | Reg::R2 | Reg::R3 | Reg::R4 | Reg::R5
                )
            }
            Insn::Atomic { src, .. } => *src == reg || reg == Reg::R0,
            Insn::LoadAbs { .. } | Insn::LoadInd { .. } => reg == Reg::R0,
            _ => false,
        };
        if sets {
            return Some((before, insn));
        }
    }
    None
}

/// The constant in `reg` before `at`, as a length.
pub(super) fn constant(insns: &[Insn], at: usize, reg: Reg) -> Option<u64> {
    match setter(insns, at, reg)? {
        (
            _,
            Insn::Alu {
                op: AluOp::Mov,
                src: Src::Imm(value),
                ..
            },
        ) => u64::try_from(*value).ok(),
        (
            before,
            Insn::Alu {
                op: AluOp::Mov,
                src: Src::Reg(from),
                ..
            },
        ) => constant(insns, before, *from),
        (
            _,
            Insn::Alu {
                op: AluOp::And,
                src: Src::Imm(mask),
                ..
            },
        ) => u64::try_from(*mask).ok(),
        (
            _,
            Insn::LoadImm64 {
                imm: Imm64::Value(value),
                ..
            },
        ) => Some(*value),
        _ => None,
    }
}

/// The map in `reg` before `at`.
pub(super) fn map_in(insns: &[Insn], at: usize, reg: Reg) -> Option<i32> {
    match setter(insns, at, reg)? {
        (
            _,
            Insn::LoadImm64 {
                imm: Imm64::MapIdx(map),
                ..
            },
        ) => Some(*map),
        (
            before,
            Insn::Alu {
                op: AluOp::Mov,
                src: Src::Reg(from),
                ..
            },
        ) => map_in(insns, before, *from),
        _ => None,
    }
}

/// First slot of each instruction.
pub(super) fn starts(insns: &[Insn]) -> Vec<usize> {
    let step = |slot: &mut usize, insn: &Insn| {
        let start = *slot;
        *slot += insn.slots();
        Some(start)
    };
    insns.iter().scan(0, step).collect()
}

/// The instruction that a jump leads to.
pub(super) fn target(insns: &[Insn], starts: &[usize], at: usize) -> Option<usize> {
    let distance = match insns[at] {
        Insn::Ja { off } | Insn::Jmp { off, .. } | Insn::MayGoto { off } => i64::from(off),
        Insn::Jal { imm } => i64::from(imm),
        _ => return None,
    };
    let slot = i64::try_from(starts[at]).ok()? + 1 + distance;
    starts.binary_search(&usize::try_from(slot).ok()?).ok()
}

/// The function that instruction `at` calls, or takes the address of.
pub(super) fn callee(insns: &[Insn], starts: &[usize], at: usize) -> Option<usize> {
    let distance = match insns[at] {
        Insn::Call {
            callee: Callee::Local(distance),
        }
        | Insn::LoadImm64 {
            imm: Imm64::Func(distance),
            ..
        } => i64::from(distance),
        _ => return None,
    };
    // It counts from the slot after the first one.
    let slot = i64::try_from(starts[at]).ok()? + 1 + distance;
    starts.binary_search(&usize::try_from(slot).ok()?).ok()
}
