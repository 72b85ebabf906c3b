//! Gives each value of a register that is written several times in a block its own name, so that passes which know of
//! registers written once see it. The last value keeps the name: it is the one that other blocks read.

use crate::ir::inst::{Func, Opnd, VReg};

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    let several: Vec<bool> = func.def_counts().iter().map(|&n| n > 1).collect();
    if !several.contains(&true) {
        return false;
    }
    let before = func.vregs;
    // Writes still to come in the block, and the name now in use.
    let mut left = vec![0u32; several.len()];
    let mut name: Vec<VReg> = (0..before).map(VReg).collect();
    for block in &mut func.blocks {
        for inst in &block.insts {
            if let Some(dst) = inst.op.dst() {
                left[dst.0 as usize] += 1;
            }
        }
        for inst in &mut block.insts {
            inst.op.each_opnd_mut(&mut |opnd| {
                if let Opnd::Reg(reg) = opnd {
                    *reg = name[reg.0 as usize];
                }
            });
            inst.op
                .each_fixed_mut(&mut |reg| *reg = name[reg.0 as usize]);
            let Some(dst) = inst.op.dst_mut() else {
                continue;
            };
            let old = *dst;
            let at = old.0 as usize;
            left[at] -= 1;
            name[at] = old;
            if several[at] && left[at] > 0 {
                *dst = VReg(func.vregs);
                func.vregs += 1;
                name[at] = *dst;
            }
        }
    }
    func.vregs != before
}
