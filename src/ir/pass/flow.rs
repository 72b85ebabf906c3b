//! Joins blocks that always follow each other, threads empty ones, and empties those that cannot be reached.

use crate::ir::inst::{BlockId, Func, Term};

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    let mut changed = thread(func);
    changed |= sweep(func);
    changed |= join(func);
    changed |= sweep(func);
    changed
}

/// Sends jumps to blocks that only jump on to where those go.
fn thread(func: &mut Func) -> bool {
    let goes: Vec<BlockId> = (0..func.blocks.len() as u32)
        .map(|start| {
            let mut at = start;
            for _ in 0..64 {
                let block = &func.blocks[at as usize];
                match block.term {
                    Term::Goto(to) if block.insts.is_empty() && to.0 != at => at = to.0,
                    _ => break,
                }
            }
            BlockId(at)
        })
        .collect();
    let mut changed = false;
    for block in &mut func.blocks {
        block.term.each_target_mut(&mut |to| {
            changed |= *to != goes[to.0 as usize];
            *to = goes[to.0 as usize];
        });
        if let Term::If { then, els, .. } = block.term
            && then == els
        {
            block.term = Term::Goto(then);
            changed = true;
        }
    }
    changed
}

/// Appends a block to its only predecessor where that goes nowhere else.
fn join(func: &mut Func) -> bool {
    let mut preds = vec![0u32; func.blocks.len()];
    for block in &func.blocks {
        for to in block.term.targets() {
            preds[to.0 as usize] += 1;
        }
    }
    let mut changed = false;
    for at in 0..func.blocks.len() {
        while let Term::Goto(to) = func.blocks[at].term {
            let to = to.0 as usize;
            if to == 0 || to == at || preds[to] != 1 {
                break;
            }
            let next = &mut func.blocks[to];
            let mut insts = std::mem::take(&mut next.insts);
            let (term, span) = (next.term.clone(), next.term_span);
            next.term = Term::Goto(BlockId(to as u32));
            preds[to] = 0;
            let block = &mut func.blocks[at];
            block.insts.append(&mut insts);
            block.term = term;
            block.term_span = span;
            changed = true;
        }
    }
    changed
}

/// Takes unreachable blocks out, keeping the others' order.
fn sweep(func: &mut Func) -> bool {
    let mut place = vec![u32::MAX; func.blocks.len()];
    let reachable = func.reverse_post_order();
    if reachable.len() == func.blocks.len() {
        return false;
    }
    for id in &reachable {
        place[id.0 as usize] = 0;
    }
    let mut next = 0;
    for slot in &mut place {
        if *slot == 0 {
            *slot = next;
            next += 1;
        }
    }
    let mut at = 0;
    func.blocks.retain(|_| {
        at += 1;
        place[at - 1] != u32::MAX
    });
    for block in &mut func.blocks {
        block
            .term
            .each_target_mut(&mut |to| *to = BlockId(place[to.0 as usize]));
    }
    true
}
