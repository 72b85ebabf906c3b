//! Computes once what is computed again under a block that already has it.

use std::collections::HashMap;

use super::dominators;
use crate::ir::inst::{Func, Op, Opnd, VReg};

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    let single: Vec<bool> = func.def_counts().iter().map(|&n| n == 1).collect();
    let mut finder = Finder {
        contexts: contexts(func, &single),
        single,
        stands: (0..func.vregs).map(VReg).collect(),
        table: HashMap::new(),
    };
    let children = dominators::children(func);
    let mut changed = false;
    // Blocks to enter, and keys to forget when a block's part of the tree is done.
    enum Step {
        Enter(u32),
        Leave(Vec<Op>),
    }
    let mut steps = vec![Step::Enter(0)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Leave(keys) => {
                for key in keys {
                    finder.table.remove(&key);
                }
            }
            Step::Enter(at) => {
                let mut keys = Vec::new();
                changed |= finder.block(func, at as usize, &mut keys);
                steps.push(Step::Leave(keys));
                steps.extend(children[at as usize].iter().rev().map(|&c| Step::Enter(c)));
            }
        }
    }
    changed
}

/// Registers that hold the context pointer.
fn contexts(func: &Func, single: &[bool]) -> Vec<bool> {
    let mut found = vec![false; single.len()];
    for inst in func.blocks.iter().flat_map(|b| &b.insts) {
        if let Op::Ctx { dst } = inst.op {
            found[dst.0 as usize] = single[dst.0 as usize];
        }
    }
    found
}

struct Finder {
    single: Vec<bool>,
    contexts: Vec<bool>,
    /// The register that stands for each.
    stands: Vec<VReg>,
    /// What is computed above, with register 0 as its destination.
    table: HashMap<Op, VReg>,
}

impl Finder {
    fn block(&mut self, func: &mut Func, at: usize, keys: &mut Vec<Op>) -> bool {
        let mut changed = false;
        let stands = &mut self.stands;
        let block = &mut func.blocks[at];
        for inst in &mut block.insts {
            inst.op.each_opnd_mut(&mut |opnd| {
                if let Opnd::Reg(reg) = opnd {
                    *reg = stands[reg.0 as usize];
                }
            });
            inst.op
                .each_fixed_mut(&mut |reg| *reg = stands[reg.0 as usize]);
            let Some(dst) = inst.op.dst() else { continue };
            if !self.single[dst.0 as usize] || !stays_same(&inst.op, &self.single, &self.contexts) {
                continue;
            }
            let mut key = inst.op.clone();
            if let Some(dst) = key.dst_mut() {
                *dst = VReg(0);
            }
            match self.table.get(&key) {
                Some(&earlier) => {
                    stands[dst.0 as usize] = earlier;
                    changed = true;
                }
                None => {
                    self.table.insert(key.clone(), dst);
                    keys.push(key);
                }
            }
        }
        block.term.each_opnd_mut(&mut |opnd| {
            if let Opnd::Reg(reg) = opnd {
                *reg = stands[reg.0 as usize];
            }
        });
        changed
    }
}

/// Whether the operation gives the same wherever it is done below.
fn stays_same(op: &Op, single: &[bool], contexts: &[bool]) -> bool {
    let mut fixed = true;
    op.each_use(|reg| fixed &= single[reg.0 as usize]);
    fixed
        && match op {
            Op::Mov { .. } => false,
            Op::Load { base, .. } => contexts[base.0 as usize],
            op => op.is_pure(),
        }
}
