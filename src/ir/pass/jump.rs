//! Threads jumps whose outcome the jumping block has just decided: `v = 1; goto b` where `b` only asks for `v`.

use super::fold::holds;
use crate::ir::inst::{BlockId, Func, Op, Opnd, Term, VReg};

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    let mut changed = false;
    for at in 0..func.blocks.len() {
        for _ in 0..8 {
            let Term::Goto(to) = func.blocks[at].term else {
                break;
            };
            let Some(next) = decided(func, at, to) else {
                break;
            };
            func.blocks[at].term = Term::Goto(next);
            changed = true;
        }
    }
    changed
}

fn decided(func: &Func, at: usize, to: BlockId) -> Option<BlockId> {
    let asked = &func.blocks[to.0 as usize];
    if !asked.insts.is_empty() {
        return None;
    }
    let Term::If {
        cond,
        width,
        a: Opnd::Reg(reg),
        b: Opnd::Imm(imm),
        then,
        els,
    } = asked.term
    else {
        return None;
    };
    let value = last_value(func, at, reg)?;
    Some(if holds(cond, width, value, imm) {
        then
    } else {
        els
    })
}

/// The number that a block leaves in a register.
fn last_value(func: &Func, at: usize, reg: VReg) -> Option<i64> {
    let writes = func.blocks[at]
        .insts
        .iter()
        .rev()
        .find(|inst| inst.op.dst() == Some(reg))?;
    match writes.op {
        Op::Mov {
            src: Opnd::Imm(imm),
            ..
        } => Some(imm),
        _ => None,
    }
}
