//! Removes pure operations whose results nobody reads.

use crate::ir::inst::{Func, Op, VReg};

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    let mut uses = func.use_counts();
    // Where each register is written.
    let mut writers: Vec<Vec<(u32, u32)>> = vec![Vec::new(); func.vregs as usize];
    for (b, block) in func.blocks.iter().enumerate() {
        for (i, inst) in block.insts.iter().enumerate() {
            if let Some(dst) = inst.op.dst() {
                writers[dst.0 as usize].push((b as u32, i as u32));
            }
        }
    }
    let mut gone: Vec<Vec<bool>> = func
        .blocks
        .iter()
        .map(|block| vec![false; block.insts.len()])
        .collect();
    let mut work: Vec<VReg> = (0..func.vregs)
        .filter(|&v| uses[v as usize] == 0 && !writers[v as usize].is_empty())
        .map(VReg)
        .collect();
    let mut changed = false;
    while let Some(reg) = work.pop() {
        for &(b, i) in &writers[reg.0 as usize] {
            let op = &mut func.blocks[b as usize].insts[i as usize].op;
            if let Op::Call { dst, .. } = op
                && dst.is_some()
                && !op.is_pure()
            {
                if let Op::Call { dst, .. } = op {
                    *dst = None;
                }
                changed = true;
                continue;
            }
            if !op.is_pure() || gone[b as usize][i as usize] {
                continue;
            }
            gone[b as usize][i as usize] = true;
            changed = true;
            op.each_use(|used| {
                let count = &mut uses[used.0 as usize];
                *count -= 1;
                if *count == 0 {
                    work.push(used);
                }
            });
        }
    }
    for (block, gone) in func.blocks.iter_mut().zip(&gone) {
        let mut at = 0;
        block.insts.retain(|_| {
            at += 1;
            !gone[at - 1]
        });
    }
    changed
}
