//! Folds additions of constants into the addresses that they make, and into each other.

use crate::{
    asm::{AluOp, Width},
    ir::inst::{Func, Op, Opnd, VReg},
};

/// What a register is: another plus a constant.
#[derive(Clone, Copy)]
struct Sum {
    base: VReg,
    plus: i64,
}

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    let single: Vec<bool> = func.def_counts().iter().map(|&n| n == 1).collect();
    let uses = func.use_counts();
    let mut sums: Vec<Option<Sum>> = vec![None; single.len()];
    // Slot addresses: (slot, offset).
    let mut slots = vec![None; single.len()];
    let mut changed = false;
    for id in func.reverse_post_order() {
        for inst in &mut func.blocks[id.0 as usize].insts {
            if let Op::Slot { dst, slot, off } = inst.op {
                slots[dst.0 as usize] = single[dst.0 as usize].then_some((slot, off));
            }
            if let Some((dst, Sum { base, plus })) = sum(&inst.op)
                && single[base.0 as usize]
            {
                if let Some((slot, off)) = slots[base.0 as usize]
                    && let Ok(off) = i32::try_from(i64::from(off) + plus)
                {
                    inst.op = Op::Slot { dst, slot, off };
                    slots[dst.0 as usize] = single[dst.0 as usize].then_some((slot, off));
                    changed = true;
                    continue;
                }
                let mut whole = Sum { base, plus };
                // A sum with other readers may have been compared, and the verifier knows its bounds: keep it.
                if let Some(under) = sums[base.0 as usize]
                    && uses[base.0 as usize] == 1
                    && let Some(plus) = under.plus.checked_add(plus)
                    && i32::try_from(plus).is_ok()
                {
                    whole = Sum {
                        base: under.base,
                        plus,
                    };
                    inst.op = Op::Alu {
                        op: AluOp::Add,
                        width: Width::W64,
                        dst,
                        a: Opnd::Reg(whole.base),
                        b: Opnd::Imm(plus),
                    };
                    changed = true;
                }
                if single[dst.0 as usize] {
                    sums[dst.0 as usize] = Some(whole);
                }
            }
            let (Op::Load { base, off, .. }
            | Op::Store { base, off, .. }
            | Op::Atomic { base, off, .. }) = &mut inst.op
            else {
                continue;
            };
            if let Some(sum) = sums[base.0 as usize]
                && let Ok(new) = i16::try_from(i64::from(*off) + sum.plus)
            {
                *base = sum.base;
                *off = new;
                changed = true;
            }
        }
    }
    changed
}

fn sum(op: &Op) -> Option<(VReg, Sum)> {
    let Op::Alu {
        op,
        width: Width::W64,
        dst,
        a: Opnd::Reg(base),
        b: Opnd::Imm(imm),
    } = *op
    else {
        return None;
    };
    let plus = match op {
        AluOp::Add => imm,
        AluOp::Sub => imm.checked_neg()?,
        _ => return None,
    };
    Some((dst, Sum { base, plus }))
}
