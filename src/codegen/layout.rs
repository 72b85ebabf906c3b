//! Order of blocks: threads jumps, joins equal blocks, drops unreachable ones, and puts each before its successor.

use std::collections::HashMap;

use super::mach::{MBlock, MFunc, MTerm, Mi};

/// Tidies the control flow of an allocated or unallocated function and orders its blocks.
pub(super) fn arrange(func: &mut MFunc) {
    loop {
        drop_moves(func);
        let mut changed = thread(func);
        changed |= join_equal(func);
        order(func);
        changed |= fuse(func);
        if !changed {
            return;
        }
    }
}

/// Drops copies of a register to itself.
fn drop_moves(func: &mut MFunc) {
    for block in &mut func.blocks {
        block
            .insts
            .retain(|inst| !matches!(inst.op, Mi::Copy { dst, src } if dst == src));
    }
}

/// Sends jumps to empty blocks where those go, and makes branches with one target jumps.
fn thread(func: &mut MFunc) -> bool {
    let goes: Vec<usize> = (0..func.blocks.len())
        .map(|start| {
            let mut at = start;
            for _ in 0..64 {
                match func.blocks[at].term {
                    MTerm::Goto(to) if func.blocks[at].insts.is_empty() && to != at => at = to,
                    _ => break,
                }
            }
            at
        })
        .collect();
    let mut changed = false;
    for block in &mut func.blocks {
        let old = block.term;
        block.term.retarget(|to| goes[to]);
        if let MTerm::If { then, els, .. } = block.term
            && then == els
        {
            block.term = MTerm::Goto(then);
        }
        changed |= old != block.term;
    }
    changed
}

/// Lets one block stand for all that do the same.
fn join_equal(func: &mut MFunc) -> bool {
    let mut first: HashMap<(Vec<Mi>, MTerm), usize> = HashMap::new();
    let mut stands: Vec<usize> = (0..func.blocks.len()).collect();
    let mut changed = false;
    for (index, block) in func.blocks.iter().enumerate().skip(1) {
        if block.insts.len() > 4 || matches!(block.term, MTerm::MayGoto { .. }) {
            continue;
        }
        let key = key(block);
        let stand = *first.entry(key).or_insert(index);
        if stand != index {
            stands[index] = stand;
            changed = true;
        }
    }
    if changed {
        for block in &mut func.blocks {
            block.term.retarget(|to| stands[to]);
        }
    }
    changed
}

fn key(block: &MBlock) -> (Vec<Mi>, MTerm) {
    (block.insts.iter().map(|i| i.op).collect(), block.term)
}

/// Appends to a block that ends in a jump its only successor, where it is that one's only predecessor.
fn fuse(func: &mut MFunc) -> bool {
    let mut preds = vec![0u32; func.blocks.len()];
    for block in &func.blocks {
        for to in block.term.targets() {
            preds[to] += 1;
        }
    }
    let mut changed = false;
    for at in 0..func.blocks.len() {
        while let MTerm::Goto(to) = func.blocks[at].term {
            if to == 0 || to == at || preds[to] != 1 {
                break;
            }
            let insts = std::mem::take(&mut func.blocks[to].insts);
            let (term, span) = (func.blocks[to].term, func.blocks[to].span);
            // What is left is unreachable, and dropped when blocks are ordered.
            func.blocks[to].term = MTerm::Goto(to);
            preds[to] = 0;
            func.blocks[at].insts.extend(insts);
            func.blocks[at].term = term;
            func.blocks[at].span = span;
            changed = true;
        }
    }
    if changed {
        order(func);
    }
    changed
}

/// Puts blocks in reverse post-order, the `then` side of a branch right after it, and drops unreachable ones.
fn order(func: &mut MFunc) {
    let count = func.blocks.len();
    let mut seen = vec![false; count];
    let mut post = Vec::with_capacity(count);
    // (block, successors still to visit, last one first)
    let mut stack: Vec<(usize, Vec<usize>)> = Vec::new();
    let successors = |at: usize| -> Vec<usize> {
        match func.blocks[at].term {
            // Visited last is placed next.
            MTerm::If { then, els, .. } => vec![then, els],
            MTerm::MayGoto { go, stop } => vec![go, stop],
            MTerm::Goto(to) => vec![to],
            MTerm::Exit => vec![],
        }
    };
    if count == 0 {
        return;
    }
    seen[0] = true;
    stack.push((0, successors(0)));
    while let Some((at, rest)) = stack.last_mut() {
        match rest.pop() {
            Some(to) if !seen[to] => {
                seen[to] = true;
                stack.push((to, successors(to)));
            }
            Some(_) => {}
            None => {
                post.push(*at);
                stack.pop();
            }
        }
    }
    post.reverse();
    let mut place = vec![0; count];
    for (new, &old) in post.iter().enumerate() {
        place[old] = new;
    }
    let mut old: Vec<Option<MBlock>> = func.blocks.drain(..).map(Some).collect();
    for index in post {
        if let Some(mut block) = old[index].take() {
            block.term.retarget(|to| place[to]);
            func.blocks.push(block);
        }
    }
}

/// How many loops each block is in: those whose backward jump spans it in the present order.
pub(super) fn loop_depth(func: &MFunc) -> Vec<u32> {
    let mut change = vec![0i32; func.blocks.len() + 1];
    for (index, block) in func.blocks.iter().enumerate() {
        for to in block.term.targets().filter(|&to| to <= index) {
            change[to] += 1;
            change[index + 1] -= 1;
        }
    }
    let mut depth = 0i32;
    change
        .iter()
        .take(func.blocks.len())
        .map(|step| {
            depth += step;
            depth as u32
        })
        .collect()
}
