//! The program's shape: functions, jump targets, what can be reached, and where paths are compared.

use super::error::What;
use crate::asm::{
    Callee, Imm64, Insn, helper,
    helper::{Arg, Ret},
    kfunc::Known,
};

/// Most instructions of a program, in slots.
const MAX_SLOTS: usize = 1_000_000;

/// Where control goes, by index of instruction.
#[derive(Debug)]
pub(super) struct Shape {
    /// Target of each jump.
    pub(super) target: Vec<Option<usize>>,
    /// Function that each instruction calls or takes the address of.
    pub(super) callee: Vec<Option<usize>>,
    /// First instruction of each function, in order; the program itself is the first.
    pub(super) starts: Vec<usize>,
    /// The function that each instruction is part of.
    pub(super) function: Vec<usize>,
    /// Whether paths are compared here.
    pub(super) compare: Vec<bool>,
    /// Whether the state is always kept here: loops that the kernel bounds by itself.
    pub(super) keep: Vec<bool>,
    /// Whether the instruction asks a count for its next number.
    pub(super) counts: Vec<bool>,
    /// Whether the instruction calls a helper that calls back.
    pub(super) calls_back: Vec<bool>,
}

impl Shape {
    /// Instructions that may come next within the function.
    pub(super) fn successors(&self, at: usize, insn: &Insn) -> [Option<usize>; 2] {
        match insn {
            Insn::Exit => [None, None],
            Insn::Ja { .. } | Insn::Jal { .. } => [self.target[at], None],
            Insn::Jmp { .. } | Insn::MayGoto { .. } => [Some(at + 1), self.target[at]],
            _ => [Some(at + 1), None],
        }
    }

    /// The shape, if it is one that the kernel takes.
    ///
    /// # Errors
    /// The instruction to blame and why.
    pub(super) fn of(
        insns: &[Insn],
        kfunc: fn(i32) -> Option<Known>,
    ) -> Result<Shape, (usize, What)> {
        if insns.is_empty() {
            return Err((0, What::Empty));
        }
        let mut slots = Vec::with_capacity(insns.len());
        let mut count = 0usize;
        for insn in insns {
            slots.push(count);
            count += insn.slots();
        }
        if count > MAX_SLOTS {
            return Err((insns.len() - 1, What::TooLong { slots: count }));
        }
        let find = |at: usize, distance: i64| -> Result<usize, What> {
            let next = i64::try_from(slots[at] + insns[at].slots()).unwrap_or(i64::MAX);
            let slot = next.saturating_add(distance);
            let inside = usize::try_from(slot).ok().filter(|slot| *slot < count);
            let Some(inside) = inside else {
                return Err(What::JumpOutside { slot });
            };
            slots
                .binary_search(&inside)
                .map_err(|_| What::JumpIntoWide { slot })
        };
        let mut shape = Shape {
            target: vec![None; insns.len()],
            callee: vec![None; insns.len()],
            starts: vec![0],
            function: vec![0; insns.len()],
            compare: vec![false; insns.len()],
            keep: vec![false; insns.len()],
            counts: vec![false; insns.len()],
            calls_back: vec![false; insns.len()],
        };
        let mut called = vec![None; insns.len()];
        for (at, insn) in insns.iter().enumerate() {
            let fail = |what| (at, what);
            match *insn {
                Insn::Ja { off } | Insn::Jmp { off, .. } | Insn::MayGoto { off } => {
                    shape.target[at] = Some(find(at, off.into()).map_err(fail)?);
                }
                Insn::Jal { imm } => shape.target[at] = Some(find(at, imm.into()).map_err(fail)?),
                Insn::Call {
                    callee: Callee::Local(distance),
                } => called[at] = Some(find(at, distance.into()).map_err(fail)?),
                Insn::LoadImm64 {
                    imm: Imm64::Func(distance),
                    ..
                } => {
                    // The distance counts from the slot after the first of the two.
                    let distance = i64::from(distance) - 1;
                    called[at] = Some(find(at, distance).map_err(fail)?);
                }
                Insn::Call {
                    callee: Callee::Kfunc { id, .. },
                } => {
                    let next = |known| matches!(known, Known::Row(row) if matches!(row.ret, Ret::NextOrNull(_)));
                    shape.counts[at] = kfunc(id).is_some_and(next);
                }
                Insn::Call {
                    callee: Callee::Helper(id),
                } => {
                    let helper = helper::by_id(id);
                    shape.calls_back[at] = helper.is_some_and(|h| h.args.contains(&Arg::Func));
                }
                _ => {}
            }
        }
        shape.starts.extend(called.iter().flatten());
        shape.starts.sort_unstable();
        shape.starts.dedup();
        let starts = &shape.starts;
        let number = |at: usize| starts.partition_point(|start| *start <= at) - 1;
        shape.function = (0..insns.len()).map(number).collect();
        shape.callee = called.iter().map(|target| target.map(number)).collect();
        shape.check(insns)?;
        shape.mark(insns);
        Ok(shape)
    }

    fn check(&self, insns: &[Insn]) -> Result<(), (usize, What)> {
        for (at, insn) in insns.iter().enumerate() {
            if let Some(target) = self.target[at]
                && self.function[target] != self.function[at]
            {
                return Err((at, What::JumpIntoFunction { target }));
            }
            let last = at + 1 == insns.len() || self.function[at + 1] != self.function[at];
            if last && !matches!(insn, Insn::Exit | Insn::Ja { .. } | Insn::Jal { .. }) {
                return Err((at, What::FallsOff));
            }
        }
        let mut seen = vec![false; insns.len()];
        let mut todo = vec![0];
        seen[0] = true;
        while let Some(at) = todo.pop() {
            let function = self.callee[at].map(|callee| self.starts[callee]);
            let [a, b] = self.successors(at, &insns[at]);
            for next in [a, b, function].into_iter().flatten() {
                if !seen[next] {
                    seen[next] = true;
                    todo.push(next);
                }
            }
        }
        match seen.iter().position(|seen| !seen) {
            Some(at) => Err((at, What::Unreachable)),
            None => Ok(()),
        }
    }

    fn mark(&mut self, insns: &[Insn]) {
        for (at, insn) in insns.iter().enumerate() {
            if let Some(target) = self.target[at] {
                self.compare[target] = true;
            }
            let local = matches!(
                insn,
                Insn::Call {
                    callee: Callee::Local(_)
                }
            );
            if local && at + 1 < insns.len() {
                self.compare[at + 1] = true;
            }
            if matches!(insn, Insn::MayGoto { .. }) || self.calls_back[at] || self.counts[at] {
                self.compare[at] = true;
                self.keep[at] = true;
            }
        }
    }
}
