//! Reaches all bytes of one map value from one address, so that it is loaded once.

use std::collections::BTreeMap;

use crate::{
    asm::{AluOp, Width},
    ir::inst::{Func, Inst, Op, Opnd, VReg},
};

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    // Lowest offset of each map, and whether there are others.
    let mut lowest: BTreeMap<u32, (u32, bool)> = BTreeMap::new();
    for inst in func.blocks.iter().flat_map(|b| &b.insts) {
        if let Op::MapValue { map, off, .. } = inst.op {
            let entry = lowest.entry(map).or_insert((off, false));
            entry.1 |= entry.0 != off;
            entry.0 = entry.0.min(off);
        }
    }
    if !lowest.values().any(|&(_, several)| several) {
        return false;
    }
    let mut vregs = func.vregs;
    for block in &mut func.blocks {
        let old = std::mem::take(&mut block.insts);
        for inst in old {
            if let Op::MapValue { dst, map, off } = inst.op
                && let Some(&(low, true)) = lowest.get(&map)
                && off != low
            {
                let base = VReg(vregs);
                vregs += 1;
                for op in [
                    Op::MapValue {
                        dst: base,
                        map,
                        off: low,
                    },
                    Op::Alu {
                        op: AluOp::Add,
                        width: Width::W64,
                        dst,
                        a: Opnd::Reg(base),
                        b: Opnd::Imm(i64::from(off - low)),
                    },
                ] {
                    block.insts.push(Inst {
                        op,
                        span: inst.span,
                    });
                }
            } else {
                block.insts.push(inst);
            }
        }
    }
    func.vregs = vregs;
    true
}
