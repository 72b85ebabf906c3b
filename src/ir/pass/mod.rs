//! Passes over the IR: each a small file with a `run(&mut Func) -> bool` that says whether it changed anything.

mod address;
mod bits;
mod common;
mod dead;
mod dominators;
mod flow;
mod fold;
mod jump;
mod merge;
mod names;
mod places;
mod reads;
mod stores;
mod values;

use super::inst::{Func, Program};

/// A pass: its name for `--emit ir:NAME`, and what runs it on one function.
type Pass = (&'static str, fn(&mut Func) -> bool);

/// All passes, in the order they run.
const PASSES: &[Pass] = &[
    ("flow", flow::run),
    ("names", names::run),
    ("values", values::run),
    ("fold", fold::run),
    ("address", address::run),
    ("common", common::run),
    ("bits", bits::run),
    ("dead", dead::run),
    ("reads", reads::run),
    ("jump", jump::run),
    ("flow2", flow::run),
    ("names2", names::run),
    ("fold2", fold::run),
    ("address2", address::run),
    ("common2", common::run),
    ("bits2", bits::run),
    ("fold3", fold::run),
    ("stores", stores::run),
    ("merge", merge::run),
    ("dead2", dead::run),
    ("flow3", flow::run),
];

/// Passes that keep values for later in place of computing them again: less code, more registers.
pub const KEEPING: &[&str] = &["common", "common2"];

/// The passes' names, in the order they run.
pub fn names() -> impl Iterator<Item = &'static str> {
    PASSES.iter().map(|(name, _)| *name)
}

/// Runs all passes; `seen` is called after each with its name and the program as it is then.
pub fn run_all(program: &mut Program, seen: &mut dyn FnMut(&str, &Program)) {
    run(program, &[], seen);
}

/// Runs all passes but those named `without`.
pub fn run(program: &mut Program, without: &[&str], seen: &mut dyn FnMut(&str, &Program)) {
    for (name, pass) in PASSES {
        if without.contains(name) {
            continue;
        }
        for func in &mut program.funcs {
            pass(func);
        }
        debug_assert_eq!(super::verify(program), Ok(()), "after pass {name}");
        seen(name, program);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        asm::{AluOp, Cond, Size},
        ir::{FuncBuilder, Op, Opnd, Term, VReg},
    };

    /// The blocks of what all passes make of a function.
    fn passed(build: impl FnOnce(&mut FuncBuilder, VReg)) -> String {
        let mut b = FuncBuilder::new("f");
        let ctx = b.vreg();
        b.push(Op::Ctx { dst: ctx });
        build(&mut b, ctx);
        let mut program = Program {
            funcs: vec![b.finish()],
        };
        run_all(&mut program, &mut |_, _| {});
        program.funcs[0]
            .blocks
            .iter()
            .map(|b| b.to_string())
            .collect()
    }

    fn ext(b: &mut FuncBuilder, src: VReg, from: Size, signed: bool) -> VReg {
        let dst = b.vreg();
        b.push(Op::Ext {
            dst,
            src: Opnd::Reg(src),
            from,
            signed,
        });
        dst
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = PASSES.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PASSES.len());
    }

    #[test]
    fn an_argument_read_twice_is_fetched_once() {
        let text = passed(|b, ctx| {
            let x = b.load(Size::DW, ctx, 8);
            let y = b.load(Size::DW, ctx, 8);
            let sum = b.alu(AluOp::Add, x, y);
            b.end(Term::Exit(Opnd::Reg(sum)));
        });
        assert_eq!(
            text,
            "    v0 = ctx\n    v1 = load u64 [v0 + 8]\n    v3 = add v1, v1\n    exit v3\n"
        );
    }

    #[test]
    fn a_reassigned_variable_is_followed() {
        let text = passed(|b, ctx| {
            let var = b.mov(2);
            let sum = b.alu(AluOp::Add, var, 3);
            b.push(Op::Mov {
                dst: var,
                src: Opnd::Reg(sum),
            });
            b.store(Size::DW, ctx, 0, var);
        });
        assert_eq!(text, "    v0 = ctx\n    store u64 [v0], 5\n    exit 0\n");
    }

    #[test]
    fn extensions_of_what_is_extended_go() {
        let text = passed(|b, ctx| {
            let byte = b.load(Size::B, ctx, 0);
            let byte = ext(b, byte, Size::B, false);
            let byte = ext(b, byte, Size::W, true);
            let byte = b.alu(AluOp::And, byte, 0xfff);
            b.end(Term::Exit(Opnd::Reg(byte)));
        });
        assert_eq!(text, "    v0 = ctx\n    v1 = load u8 [v0]\n    exit v1\n");
    }

    #[test]
    fn a_compared_value_keeps_its_bounds() {
        // `far` is made of `near`, which was compared: it must not be made of `arg` directly.
        let text = passed(|b, ctx| {
            let arg = b.load(Size::DW, ctx, 0);
            let near = b.alu(AluOp::Add, arg, 4);
            let (small, large) = (b.block(), b.block());
            b.branch(Cond::Lt, near, 100, small, large);
            b.switch_to(small);
            let far = b.alu(AluOp::Add, near, 4);
            b.end(Term::Exit(Opnd::Reg(far)));
        });
        assert!(text.contains("v3 = add v2, 4"), "{text}");
    }

    #[test]
    fn conditions_made_of_branches_are_branches() {
        let text = passed(|b, ctx| {
            let arg = b.load(Size::DW, ctx, 0);
            let flag = b.vreg();
            let (yes, no, join) = (b.block(), b.block(), b.block());
            let (then, els) = (b.block(), b.block());
            b.branch(Cond::Eq, arg, 7, yes, no);
            for (side, value) in [(yes, 1), (no, 0)] {
                b.switch_to(side);
                b.push(Op::Mov {
                    dst: flag,
                    src: Opnd::Imm(value),
                });
                b.end(Term::Goto(join));
            }
            b.switch_to(join);
            b.branch(Cond::Ne, flag, 0, then, els);
            for (side, value) in [(then, 10), (els, 20)] {
                b.switch_to(side);
                b.end(Term::Exit(Opnd::Imm(value)));
            }
        });
        assert_eq!(
            text,
            "    v0 = ctx\n    v1 = load u64 [v0]\n    if v1 == 7 goto b1 else b2\n    exit 10\n    exit 20\n"
        );
    }

    #[test]
    fn neighbouring_reads_are_one() {
        let text = passed(|b, ctx| {
            let p = b.load(Size::DW, ctx, 8);
            let mut sum = b.mov(0);
            for i in 0..4 {
                let (slot, from, dst) = (b.slot(8, 8), b.alu(AluOp::Add, p, 31 - i), b.vreg());
                b.push(Op::Slot { dst, slot, off: 0 });
                b.push(Op::Call {
                    dst: None,
                    helper: 112,
                    args: vec![dst.into(), Opnd::Imm(1), from.into()],
                });
                let byte = b.load(Size::B, dst, 0);
                sum = b.alu(AluOp::Add, sum, byte);
            }
            b.end(Term::Exit(sum.into()));
        });
        assert_eq!(text.matches("call #112").count(), 1, "{text}");
        assert!(text.contains(", 4, v"), "{text}");
    }

    #[test]
    fn stores_are_joined_and_dead_ones_dropped() {
        let text = passed(|b, _| {
            let (slot, unread) = (b.slot(8, 8), b.slot(8, 8));
            let (at, other) = (b.vreg(), b.vreg());
            for (dst, slot) in [(at, slot), (other, unread)] {
                b.push(Op::Slot { dst, slot, off: 0 });
            }
            b.store(Size::DW, at, 0, 0);
            b.store(Size::W, at, 0, 5);
            b.store(Size::W, at, 4, 0);
            b.store(Size::DW, other, 0, 9);
            b.call(16, &[Opnd::Reg(at), Opnd::Imm(8)]);
        });
        assert_eq!(
            text,
            "    v1 = &s0 + 0\n    store u64 [v1], 5\n    call #16(v1, 8)\n    exit 0\n"
        );
    }
}
