//! Drops masks, shifts and extensions of what already has that form, and those whose effect nobody sees.

use crate::{
    asm::{AluOp, Cond, Size, Width},
    ir::inst::{Func, Op, Opnd, Term, VReg},
};

/// What is known of a value: which bits may be set, and from how many low bits it is sign-extended.
#[derive(Clone, Copy)]
struct Bits {
    maybe: u64,
    signed: u32,
}

const UNKNOWN: Bits = Bits {
    maybe: u64::MAX,
    signed: 64,
};

const LOW32: u64 = 0xffff_ffff;

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    let single: Vec<bool> = func.def_counts().iter().map(|&n| n == 1).collect();
    let mut known = Known {
        bits: vec![UNKNOWN; single.len()],
        strips: vec![None; single.len()],
        uses: func.use_counts(),
        loads: vec![None; single.len()],
        single,
    };
    let mut changed = false;
    // Loads that are to be sign-extending: (block, instruction).
    let mut widened = Vec::new();
    for id in func.reverse_post_order() {
        let block = &mut func.blocks[id.0 as usize];
        for (index, inst) in block.insts.iter_mut().enumerate() {
            if let Some(new) = known.shorten(&inst.op)
                && new != inst.op
            {
                inst.op = new;
                changed = true;
            }
            if let Op::Ext {
                dst,
                src: Opnd::Reg(src),
                from,
                signed: true,
            } = inst.op
                && known.uses[src.0 as usize] == 1
                && let Some((at, size)) = known.loads[src.0 as usize]
                && size == from
            {
                widened.push(at);
                inst.op = Op::Mov {
                    dst,
                    src: Opnd::Reg(src),
                };
                changed = true;
                continue;
            }
            known.learn(&inst.op, (id.0, index as u32));
        }
        if let Term::If {
            width: Width::W32,
            a,
            b,
            ..
        } = &mut block.term
        {
            for opnd in [a, b] {
                let new = known.strip(*opnd, LOW32);
                changed |= new != *opnd;
                *opnd = new;
            }
        }
        if let Term::If {
            cond: Cond::Eq | Cond::Ne,
            width: width @ Width::W64,
            a: Opnd::Reg(a),
            b: Opnd::Imm(imm),
            ..
        } = &mut block.term
            && known.bits_of(Opnd::Reg(*a)).maybe <= LOW32
            && (0..=LOW32 as i64).contains(imm)
            && i32::try_from(*imm).is_err()
        {
            // The number fits a 32-bit comparison, not a 64-bit one.
            *width = Width::W32;
            changed = true;
        }
    }
    for (block, inst) in widened {
        if let Op::Load { signed, .. } = &mut func.blocks[block as usize].insts[inst as usize].op {
            *signed = true;
        }
    }
    changed
}

struct Known {
    single: Vec<bool>,
    bits: Vec<Bits>,
    /// A register that has the same bits under a mask.
    strips: Vec<Option<(VReg, u64)>>,
    uses: Vec<u32>,
    /// Zero-extending loads narrower than a register.
    loads: Vec<Option<((u32, u32), Size)>>,
}

fn low(size: Size) -> u64 {
    u64::MAX >> (64 - size.bytes() * 8)
}

impl Known {
    fn bits_of(&self, opnd: Opnd) -> Bits {
        match opnd {
            Opnd::Reg(reg) => self.bits[reg.0 as usize],
            Opnd::Imm(imm) => Bits {
                maybe: imm as u64,
                signed: 65 - imm.leading_zeros().max((!imm).leading_zeros()),
            },
        }
    }

    /// A value of which the bits in `wanted` are those of `opnd`. Only values with no other reader are passed over: what
    /// the verifier has learnt of one from a comparison would be lost.
    fn strip(&self, opnd: Opnd, wanted: u64) -> Opnd {
        self.strip_if(opnd, wanted, |reg| self.uses[reg.0 as usize] == 1)
    }

    fn strip_if(&self, opnd: Opnd, wanted: u64, free: impl Fn(VReg) -> bool) -> Opnd {
        let Opnd::Reg(mut reg) = opnd else {
            return opnd;
        };
        while let Some((under, kept)) = self.strips[reg.0 as usize] {
            if wanted & !kept != 0 || !free(reg) {
                break;
            }
            reg = under;
        }
        Opnd::Reg(reg)
    }

    /// The operation on less, or a plain move.
    fn shorten(&self, op: &Op) -> Option<Op> {
        match *op {
            Op::Ext {
                dst,
                src,
                from,
                signed,
            } => {
                let bits = self.bits_of(src);
                let fits = if signed {
                    bits.maybe <= low(from) >> 1 || bits.signed <= from.bytes() * 8
                } else {
                    bits.maybe <= low(from)
                };
                if fits {
                    return Some(Op::Mov { dst, src });
                }
                Some(Op::Ext {
                    dst,
                    src: self.strip(src, low(from)),
                    from,
                    signed,
                })
            }
            Op::Store {
                size,
                base,
                off,
                src,
            } => Some(Op::Store {
                size,
                base,
                off,
                // Nothing needs to be known of what is stored.
                src: self.strip_if(src, low(size), |_| true),
            }),
            Op::Alu {
                op: AluOp::And,
                width,
                dst,
                a,
                b: Opnd::Imm(imm),
            } => {
                let mask = match width {
                    Width::W32 => imm as u64 & LOW32,
                    Width::W64 => imm as u64,
                };
                if self.bits_of(a).maybe & !mask == 0 {
                    return Some(Op::Mov { dst, src: a });
                }
                Some(Op::Alu {
                    op: AluOp::And,
                    width,
                    dst,
                    a: self.strip(a, mask),
                    b: Opnd::Imm(imm),
                })
            }
            Op::Alu {
                op: AluOp::Rsh,
                width: Width::W64,
                dst,
                a,
                b: Opnd::Imm(by),
            } if self.bits_of(a).maybe >> (by & 63) == 0 => Some(Op::Mov {
                dst,
                src: Opnd::Imm(0),
            }),
            Op::Alu {
                op: op @ (AluOp::Add | AluOp::Sub | AluOp::Mul | AluOp::Or | AluOp::Xor),
                width: Width::W32,
                dst,
                a,
                b,
            } => Some(Op::Alu {
                op,
                width: Width::W32,
                dst,
                a: self.strip(a, LOW32),
                b: self.strip(b, LOW32),
            }),
            _ => None,
        }
    }

    fn learn(&mut self, op: &Op, at: (u32, u32)) {
        let Some(dst) = op.dst() else { return };
        let slot = dst.0 as usize;
        if !self.single[slot] {
            return;
        }
        self.bits[slot] = self.result(op);
        match *op {
            Op::Ext {
                src: Opnd::Reg(src),
                from,
                ..
            } if self.single[src.0 as usize] => {
                self.strips[slot] = Some((src, low(from)));
            }
            Op::Alu {
                op: AluOp::And,
                width: Width::W64,
                a: Opnd::Reg(src),
                b: Opnd::Imm(imm),
                ..
            } if self.single[src.0 as usize] => {
                self.strips[slot] = Some((src, imm as u64));
            }
            Op::Load {
                size,
                signed: false,
                ..
            } if size != Size::DW => self.loads[slot] = Some((at, size)),
            _ => {}
        }
    }

    fn result(&self, op: &Op) -> Bits {
        let unsigned = |maybe: u64| Bits {
            maybe,
            signed: (65 - maybe.leading_zeros()).min(64),
        };
        match *op {
            Op::Mov { src, .. } => self.bits_of(src),
            Op::Load { size, signed, .. }
            | Op::Ext {
                from: size, signed, ..
            } => {
                if signed {
                    Bits {
                        maybe: u64::MAX,
                        signed: size.bytes() * 8,
                    }
                } else {
                    unsigned(low(size))
                }
            }
            Op::Alu {
                op, width, a, b, ..
            } => {
                let cap = match width {
                    Width::W32 => LOW32,
                    Width::W64 => u64::MAX,
                };
                let (x, y) = (self.bits_of(a).maybe & cap, self.bits_of(b).maybe & cap);
                let by = match b {
                    Opnd::Imm(imm) => Some(imm as u32 & if cap == LOW32 { 31 } else { 63 }),
                    Opnd::Reg(_) => None,
                };
                let maybe = match (op, by) {
                    (AluOp::And, _) => x & y,
                    (AluOp::Or | AluOp::Xor, _) => x | y,
                    (AluOp::Lsh, Some(by)) => x << by,
                    (AluOp::Rsh, Some(by)) => x >> by,
                    _ => u64::MAX,
                };
                unsigned(maybe & cap)
            }
            _ => UNKNOWN,
        }
    }
}
