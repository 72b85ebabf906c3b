//! Propagates constants and copies, computes what is known, simplifies what is half known.

use crate::{
    asm::{AluOp, Cond, Size, Width},
    ir::inst::{Func, Op, Opnd, Term, VReg},
};

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    let single: Vec<bool> = func.def_counts().iter().map(|&n| n == 1).collect();
    let mut known = Known {
        value: vec![None; single.len()],
        version: vec![0; single.len()],
        local: vec![None; single.len()],
        block: 0,
        single,
    };
    let mut changed = false;
    for id in func.reverse_post_order() {
        known.block += 1;
        let block = &mut func.blocks[id.0 as usize];
        for inst in &mut block.insts {
            changed |= known.substitute(&mut inst.op);
            if let Some(better) = simplify(&inst.op)
                && better != inst.op
            {
                inst.op = better;
                changed = true;
            }
            known.learn(&inst.op);
        }
        let mut term = block.term.clone();
        term.each_opnd_mut(&mut |o| *o = known.resolve(*o));
        if let Term::If {
            cond,
            width,
            a,
            b,
            then,
            els,
        } = term
        {
            let fixed = match (a, b) {
                (Opnd::Imm(a), Opnd::Imm(b)) => Some(holds(cond, width, a, b)),
                (Opnd::Reg(x), Opnd::Reg(y)) if x == y => same(cond),
                _ => None,
            };
            if let Some(fixed) = fixed {
                term = Term::Goto(if fixed { then } else { els });
            }
        }
        changed |= term != block.term;
        block.term = term;
    }
    changed
}

/// What a register is known to equal at the end of what has been seen of a block.
#[derive(Clone, Copy)]
struct Local {
    block: u32,
    version: u32,
    is: Opnd,
    /// Version of the register in `is`.
    of: u32,
}

struct Known {
    single: Vec<bool>,
    /// For registers written once.
    value: Vec<Option<Opnd>>,
    /// For the others: how often each was written so far.
    version: Vec<u32>,
    local: Vec<Option<Local>>,
    block: u32,
}

impl Known {
    fn resolve(&self, opnd: Opnd) -> Opnd {
        let Opnd::Reg(reg) = opnd else { return opnd };
        let at = reg.0 as usize;
        if self.single[at]
            && let Some(value) = self.value[at]
        {
            return value;
        }
        match self.local[at] {
            Some(local) if local.block == self.block && local.version == self.version[at] => {
                match local.is {
                    Opnd::Reg(other) if self.version[other.0 as usize] != local.of => opnd,
                    is => is,
                }
            }
            _ => opnd,
        }
    }

    fn substitute(&self, op: &mut Op) -> bool {
        let mut changed = false;
        op.each_opnd_mut(&mut |opnd| {
            let new = self.resolve(*opnd);
            changed |= new != *opnd;
            *opnd = new;
        });
        op.each_fixed_mut(&mut |reg| {
            if let Opnd::Reg(new) = self.resolve(Opnd::Reg(*reg)) {
                changed |= new != *reg;
                *reg = new;
            }
        });
        changed
    }

    fn learn(&mut self, op: &Op) {
        let Some(dst) = op.dst() else { return };
        let at = dst.0 as usize;
        self.version[at] += 1;
        let Op::Mov { src, .. } = *op else { return };
        let constant = match src {
            Opnd::Imm(_) => true,
            Opnd::Reg(src) => src != dst && self.single[src.0 as usize],
        };
        if self.single[at] && constant {
            self.value[at] = Some(src);
        }
        let of = match src {
            Opnd::Reg(src) if src == dst => return,
            Opnd::Reg(src) => self.version[src.0 as usize],
            Opnd::Imm(_) => 0,
        };
        self.local[at] = Some(Local {
            block: self.block,
            version: self.version[at],
            is: src,
            of,
        });
    }
}

/// What `x cond x` is.
fn same(cond: Cond) -> Option<bool> {
    match cond {
        Cond::Eq | Cond::Ge | Cond::Le | Cond::Sge | Cond::Sle => Some(true),
        Cond::Ne | Cond::Gt | Cond::Lt | Cond::Sgt | Cond::Slt => Some(false),
        Cond::Set => None,
    }
}

/// What a comparison of numbers is.
pub(super) fn holds(cond: Cond, width: Width, x: i64, y: i64) -> bool {
    let (x, y) = match width {
        Width::W64 => (x, y),
        Width::W32 => (i64::from(x as i32), i64::from(y as i32)),
    };
    // Sign extension keeps the unsigned order of 32-bit numbers.
    let (a, b) = (x as u64, y as u64);
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
        Cond::Lt => a < b,
        Cond::Le => a <= b,
        Cond::Set => a & b != 0,
        Cond::Sgt => x > y,
        Cond::Sge => x >= y,
        Cond::Slt => x < y,
        Cond::Sle => x <= y,
    }
}

/// Low bytes of a number, extended.
pub(super) fn extend(value: i64, from: Size, signed: bool) -> i64 {
    let unused = 64 - from.bytes() * 8;
    if signed {
        value << unused >> unused
    } else {
        ((value as u64) << unused >> unused) as i64
    }
}

fn compute(op: AluOp, width: Width, x: i64, y: i64) -> i64 {
    let narrow = width == Width::W32;
    let signed = matches!(op, AluOp::Sdiv | AluOp::Smod | AluOp::Arsh);
    let (x, y) = if narrow {
        (extend(x, Size::W, signed), extend(y, Size::W, signed))
    } else {
        (x, y)
    };
    let (a, b) = (x as u64, y as u64);
    let shift = b & if narrow { 31 } else { 63 };
    let result = match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Sdiv if y == 0 => 0,
        AluOp::Sdiv => x.wrapping_div(y) as u64,
        AluOp::Smod if y == 0 => a,
        AluOp::Smod => x.wrapping_rem(y) as u64,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Lsh => a << shift,
        AluOp::Rsh => a >> shift,
        AluOp::Arsh => (x >> shift) as u64,
        AluOp::Mov => b,
    };
    extend(
        result as i64,
        if narrow { Size::W } else { Size::DW },
        false,
    )
}

/// A simpler operation with the same result.
fn simplify(op: &Op) -> Option<Op> {
    match *op {
        Op::Alu {
            op: alu,
            width,
            dst,
            a,
            b,
        } => simplify_alu(alu, width, dst, a, b),
        Op::Ext {
            dst,
            src: Opnd::Imm(imm),
            from,
            signed,
        } => Some(Op::Mov {
            dst,
            src: Opnd::Imm(extend(imm, from, signed)),
        }),
        Op::Neg {
            dst,
            src: Opnd::Imm(imm),
        } => Some(Op::Mov {
            dst,
            src: Opnd::Imm(imm.wrapping_neg()),
        }),
        _ => None,
    }
}

fn simplify_alu(alu: AluOp, width: Width, dst: VReg, a: Opnd, b: Opnd) -> Option<Op> {
    let again = |op, a, b| {
        Some(Op::Alu {
            op,
            width,
            dst,
            a,
            b,
        })
    };
    // `opnd` itself in this width.
    let this = |opnd: Opnd| {
        Some(match (width, opnd) {
            (Width::W32, Opnd::Reg(_)) => Op::Ext {
                dst,
                src: opnd,
                from: Size::W,
                signed: false,
            },
            (Width::W32, Opnd::Imm(imm)) => Op::Mov {
                dst,
                src: Opnd::Imm(extend(imm, Size::W, false)),
            },
            (Width::W64, _) => Op::Mov { dst, src: opnd },
        })
    };
    match (a, b) {
        (Opnd::Imm(x), Opnd::Imm(y)) => {
            return Some(Op::Mov {
                dst,
                src: Opnd::Imm(compute(alu, width, x, y)),
            });
        }
        (Opnd::Imm(_), Opnd::Reg(_))
            if matches!(
                alu,
                AluOp::Add | AluOp::Mul | AluOp::And | AluOp::Or | AluOp::Xor
            ) =>
        {
            return simplify_alu(alu, width, dst, b, a).or_else(|| again(alu, b, a));
        }
        (Opnd::Reg(x), Opnd::Reg(y)) if x == y => {
            return match alu {
                AluOp::And | AluOp::Or => this(a),
                AluOp::Xor | AluOp::Sub => this(Opnd::Imm(0)),
                _ => None,
            };
        }
        _ => {}
    }
    let Opnd::Imm(imm) = b else { return None };
    let imm = if width == Width::W32 {
        extend(imm, Size::W, true)
    } else {
        imm
    };
    let power = (imm as u64
        & if width == Width::W32 {
            0xffff_ffff
        } else {
            u64::MAX
        })
    .is_power_of_two()
    .then(|| i64::from(imm.trailing_zeros()));
    match (alu, imm) {
        (AluOp::Add | AluOp::Sub | AluOp::Or | AluOp::Xor, 0)
        | (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, 0)
        | (AluOp::Mul | AluOp::Div | AluOp::Sdiv, 1)
        | (AluOp::Mod | AluOp::Smod, 0)
        | (AluOp::And, -1) => this(a),
        (AluOp::Mul | AluOp::And | AluOp::Div | AluOp::Sdiv, 0)
        | (AluOp::Mod, 1)
        | (AluOp::Smod, 1 | -1) => this(Opnd::Imm(0)),
        (AluOp::Or, -1) => this(Opnd::Imm(-1)),
        (AluOp::Mul, _) if power.is_some() => again(AluOp::Lsh, a, Opnd::Imm(power?)),
        (AluOp::Div, _) if power.is_some() => again(AluOp::Rsh, a, Opnd::Imm(power?)),
        (AluOp::Mod, _) if power.is_some() && i32::try_from(imm.wrapping_sub(1)).is_ok() => {
            again(AluOp::And, a, Opnd::Imm(imm.wrapping_sub(1)))
        }
        (AluOp::And, 0xffff_ffff) if width == Width::W64 => Some(Op::Ext {
            dst,
            src: a,
            from: Size::W,
            signed: false,
        }),
        _ => None,
    }
}
