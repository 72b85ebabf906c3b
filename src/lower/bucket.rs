//! Buckets of histograms.

use super::program::Lower;
use crate::{
    asm::{AluOp, Cond, Width},
    ir::{Op, Opnd, Term, VReg},
};

impl Lower<'_> {
    /// Bucket of a `hist`: the numbering is that of `spec::hist`.
    pub(super) fn hist_bucket(&mut self, v: Opnd, bits: u8, signed: bool) -> VReg {
        // 0: negative; 1..=2^bits: the values 0..2^bits; then 2^bits buckets a power of two.
        let bucket = self.f.vreg();
        let v = self.f.mov(v);
        let (neg, pos, small, big, on) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        if signed {
            self.f.branch(Cond::Slt, v, 0, neg, pos);
        } else {
            self.f.end(Term::Goto(pos));
        }
        self.f.switch_to(neg);
        self.f.set(bucket, 0);
        self.f.end(Term::Goto(on));
        self.f.switch_to(pos);
        self.f.branch(Cond::Lt, v, 1i64 << bits, small, big);
        self.f.switch_to(small);
        let plain = self.f.alu(AluOp::Add, v, 1);
        self.f.set(bucket, plain);
        self.f.end(Term::Goto(on));
        self.f.switch_to(big);
        // log2 by halving: rest holds the bits still to be looked at.
        let (rest, log) = (self.f.mov(v), self.f.mov(0));
        for step in [32i64, 16, 8, 4, 2, 1] {
            let (more, next) = (self.f.block(), self.f.block());
            if step == 32 {
                // No comparison holds so large a number.
                let high = self.f.alu(AluOp::Rsh, rest, step);
                self.f.branch(Cond::Ne, high, 0, more, next);
            } else {
                self.f.branch(Cond::Lt, rest, 1 << step, next, more);
            }
            self.f.switch_to(more);
            if step > 1 {
                self.f.push(Op::Alu {
                    op: AluOp::Rsh,
                    width: Width::W64,
                    dst: rest,
                    a: rest.into(),
                    b: Opnd::Imm(step),
                });
            }
            self.add_assign(log, step);
            self.f.end(Term::Goto(next));
            self.f.switch_to(next);
        }
        // log >= bits; mantissa = the `bits` bits below the leading one.
        let power = self.f.alu(AluOp::Sub, log, i64::from(bits));
        let shifted = self.f.alu(AluOp::Rsh, v, power);
        let mantissa = self.f.alu(AluOp::And, shifted, (1i64 << bits) - 1);
        let row = self.f.alu(AluOp::Lsh, power, i64::from(bits));
        let sum = self.f.alu(AluOp::Add, row, mantissa);
        let index = self.f.alu(AluOp::Add, sum, (1i64 << bits) + 1);
        self.f.set(bucket, index);
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        bucket
    }

    /// Bucket of an `lhist`: 0 below `min`, then one a step, the last for `max` and above.
    pub(super) fn lhist_bucket(
        &mut self,
        v: Opnd,
        (min, max, step): (i64, i64, i64),
        signed: bool,
    ) -> VReg {
        let bucket = self.f.vreg();
        let v = self.f.mov(v);
        let (under, not_under, over, inside, on) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        let steps = (max - min) / step.max(1);
        let max = min + steps * step;
        // An unsigned number above the signed ones is above every edge.
        let signed = signed || min < 0;
        let (below, above) = if signed {
            (Cond::Slt, Cond::Sge)
        } else {
            (Cond::Lt, Cond::Ge)
        };
        self.f.branch(below, v, min, under, not_under);
        self.f.switch_to(under);
        self.f.set(bucket, 0);
        self.f.end(Term::Goto(on));
        self.f.switch_to(not_under);
        self.f.branch(above, v, max, over, inside);
        self.f.switch_to(over);
        self.f.set(bucket, steps + 1);
        self.f.end(Term::Goto(on));
        self.f.switch_to(inside);
        let from = self.f.alu(AluOp::Sub, v, min);
        let nth = self.f.alu(AluOp::Div, from, step.max(1));
        let index = self.f.alu(AluOp::Add, nth, 1);
        self.f.set(bucket, index);
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        bucket
    }
}
