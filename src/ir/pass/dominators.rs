//! Dominator tree (Cooper, Harvey, Kennedy 2001).

use crate::ir::inst::Func;

/// Children of each block in the dominator tree.
pub(super) fn children(func: &Func) -> Vec<Vec<u32>> {
    let order = func.reverse_post_order();
    let mut number = vec![u32::MAX; func.blocks.len()];
    for (index, id) in order.iter().enumerate() {
        number[id.0 as usize] = index as u32;
    }
    let preds = func.preds();
    // Immediate dominators, all by number in reverse post-order.
    let mut idom = vec![u32::MAX; order.len()];
    if let Some(first) = idom.first_mut() {
        *first = 0;
    }
    let mut changed = true;
    while changed {
        changed = false;
        for (index, id) in order.iter().enumerate().skip(1) {
            let mut new = u32::MAX;
            for pred in &preds[id.0 as usize] {
                let mut other = number[pred.0 as usize];
                if other == u32::MAX || idom[other as usize] == u32::MAX {
                    continue;
                }
                if new == u32::MAX {
                    new = other;
                    continue;
                }
                while new != other {
                    while new > other {
                        new = idom[new as usize];
                    }
                    while other > new {
                        other = idom[other as usize];
                    }
                }
            }
            if idom[index] != new {
                idom[index] = new;
                changed = true;
            }
        }
    }
    let mut children = vec![Vec::new(); func.blocks.len()];
    for (index, id) in order.iter().enumerate().skip(1) {
        children[order[idom[index] as usize].0 as usize].push(id.0);
    }
    children
}
