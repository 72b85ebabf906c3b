//! Rewrites operations that the target's kernel lacks in terms of those it has.

use super::CodegenError;
use crate::{
    asm::{AluOp, AtomicOp, EndianOp, Size, Width},
    ir::{Func, Inst, Op, Opnd, Term, VReg},
    spec::Features,
};

/// Makes every operation of `func` one that a kernel with `features` takes.
pub(super) fn legalize(func: &mut Func, features: &Features) -> Result<(), CodegenError> {
    let lacks = |what| CodegenError::Feature {
        func: func.name.clone(),
        what,
    };
    let mut ctx = vec![false; func.vregs as usize];
    let mut work = false;
    for inst in func.blocks.iter().flat_map(|b| &b.insts) {
        match inst.op {
            Op::Ctx { dst } => ctx[dst.0 as usize] = true,
            Op::Load { signed, .. } => work |= signed,
            Op::Atomic { op, .. }
                if !features.atomics && op != (AtomicOp::Add { fetch: false }) =>
            {
                return Err(lacks("atomics other than add (5.12)"));
            }
            Op::Alu { op, .. } => {
                work |= !features.cpu_v4 && matches!(op, AluOp::Sdiv | AluOp::Smod);
            }
            Op::Endian { op, .. } => work |= !features.cpu_v4 && op == EndianOp::Bswap,
            _ => {}
        }
    }
    if !features.may_goto
        && func
            .blocks
            .iter()
            .any(|b| matches!(b.term, Term::MayGoto { .. }))
    {
        return Err(lacks("may_goto (6.9)"));
    }
    if !work {
        return Ok(());
    }
    let mut vregs = func.vregs;
    for block in &mut func.blocks {
        let old = std::mem::take(&mut block.insts);
        for inst in old {
            let mut out = Rewriter {
                vregs: &mut vregs,
                out: &mut block.insts,
                span: inst.span,
            };
            match inst.op {
                Op::Load {
                    dst,
                    size,
                    signed: true,
                    base,
                    off,
                } if size == Size::DW || !features.cpu_v4 || ctx[base.0 as usize] => {
                    let signed = size != Size::DW;
                    out.push(Op::Load {
                        dst,
                        size,
                        signed: false,
                        base,
                        off,
                    });
                    if signed {
                        out.push(Op::Ext {
                            dst,
                            src: Opnd::Reg(dst),
                            from: size,
                            signed,
                        });
                    }
                }
                Op::Alu {
                    op: op @ (AluOp::Sdiv | AluOp::Smod),
                    width,
                    dst,
                    a,
                    b,
                } if !features.cpu_v4 => out.divide(op, width, dst, a, b),
                Op::Endian {
                    op: EndianOp::Bswap,
                    bits,
                    dst,
                    src,
                } if !features.cpu_v4 => out.push(Op::Endian {
                    // Every target is little-endian.
                    op: EndianOp::ToBe,
                    bits,
                    dst,
                    src,
                }),
                op => out.push(op),
            }
        }
    }
    func.vregs = vregs;
    Ok(())
}

struct Rewriter<'a> {
    vregs: &'a mut u32,
    out: &'a mut Vec<Inst>,
    span: Option<crate::span::Span>,
}

impl Rewriter<'_> {
    fn push(&mut self, op: Op) {
        self.out.push(Inst {
            op,
            span: self.span,
        });
    }

    fn alu(&mut self, op: AluOp, a: Opnd, b: Opnd) -> Opnd {
        *self.vregs += 1;
        let dst = VReg(*self.vregs - 1);
        self.push(Op::Alu {
            op,
            width: Width::W64,
            dst,
            a,
            b,
        });
        Opnd::Reg(dst)
    }

    fn sext(&mut self, src: Opnd) -> Opnd {
        *self.vregs += 1;
        let dst = VReg(*self.vregs - 1);
        self.push(Op::Ext {
            dst,
            src,
            from: Size::W,
            signed: true,
        });
        Opnd::Reg(dst)
    }

    /// Signed division by unsigned: `s` is 0 or -1, and `(x ^ s) - s` turns the sign of `x` by it.
    fn divide(&mut self, op: AluOp, width: Width, dst: VReg, mut a: Opnd, mut b: Opnd) {
        if width == Width::W32 {
            a = self.sext(a);
            b = self.sext(b);
        }
        let sign_a = self.alu(AluOp::Arsh, a, Opnd::Imm(63));
        let sign_b = self.alu(AluOp::Arsh, b, Opnd::Imm(63));
        let flip = |this: &mut Self, x, s| {
            let x = this.alu(AluOp::Xor, x, s);
            this.alu(AluOp::Sub, x, s)
        };
        let abs_a = flip(self, a, sign_a);
        let abs_b = flip(self, b, sign_b);
        let (unsigned, sign) = if op == AluOp::Sdiv {
            (AluOp::Div, self.alu(AluOp::Xor, sign_a, sign_b))
        } else {
            (AluOp::Mod, sign_a)
        };
        let result = self.alu(unsigned, abs_a, abs_b);
        let result = flip(self, result, sign);
        self.push(if width == Width::W32 {
            Op::Ext {
                dst,
                src: result,
                from: Size::W,
                signed: false,
            }
        } else {
            Op::Mov { dst, src: result }
        });
    }
}
