//! Removes stores to the stack that nothing reads: those of slots never read, and those overwritten first.

use super::places::Places;
use crate::ir::inst::{Func, Op, SlotId, Term};

/// Bytes of a slot that will be written before they are read.
type Doomed = [u64; 8];

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    if func.slots.is_empty() {
        return false;
    }
    let places = Places::new(func);
    let unread = unread(func, &places);
    let mut changed = false;
    let mut doomed: Vec<Doomed> = vec![[0; 8]; func.slots.len()];
    for block in &mut func.blocks {
        let start = if matches!(block.term, Term::Exit(_)) {
            u64::MAX
        } else {
            0
        };
        doomed.fill([start; 8]);
        let mut keep = vec![true; block.insts.len()];
        for (at, inst) in block.insts.iter().enumerate().rev() {
            match inst.op {
                Op::Store {
                    size, base, off, ..
                } => {
                    if let Some((slot, off)) = places.slot(base, off) {
                        let bytes = range(off, size.bytes());
                        let mine = &mut doomed[slot.0 as usize];
                        if unread[slot.0 as usize]
                            || bytes.iter().zip(&*mine).all(|(b, d)| b & !d == 0)
                        {
                            keep[at] = false;
                            changed = true;
                        }
                        for (d, b) in mine.iter_mut().zip(bytes) {
                            *d |= b;
                        }
                    }
                }
                Op::Load {
                    size, base, off, ..
                }
                | Op::Atomic {
                    size, base, off, ..
                } => match places.slot(base, off) {
                    Some((slot, off)) => {
                        let bytes = range(off, size.bytes());
                        for (d, b) in doomed[slot.0 as usize].iter_mut().zip(bytes) {
                            *d &= !b;
                        }
                    }
                    None => spare_escaped(&mut doomed, &places),
                },
                Op::Call { .. } => spare_escaped(&mut doomed, &places),
                _ => {}
            }
        }
        let mut at = 0;
        block.insts.retain(|_| {
            at += 1;
            keep[at - 1]
        });
    }
    changed
}

fn spare_escaped(doomed: &mut [Doomed], places: &Places) {
    for (doomed, &escaped) in doomed.iter_mut().zip(&places.escaped) {
        if escaped {
            *doomed = [0; 8];
        }
    }
}

/// The bytes of an access; all of them if it is outside any frame.
fn range(off: i32, len: u32) -> Doomed {
    let mut bytes = [0; 8];
    for at in off..off + len as i32 {
        match usize::try_from(at) {
            Ok(at) if at < 512 => bytes[at / 64] |= 1 << (at % 64),
            _ => return [u64::MAX; 8],
        }
    }
    bytes
}

/// Slots that are only ever stored to.
fn unread(func: &Func, places: &Places) -> Vec<bool> {
    let mut unread: Vec<bool> = places.escaped.iter().map(|e| !e).collect();
    for inst in func.blocks.iter().flat_map(|b| &b.insts) {
        if let Op::Load { base, off, .. } | Op::Atomic { base, off, .. } = inst.op
            && let Some((SlotId(slot), _)) = places.slot(base, off)
        {
            unread[slot as usize] = false;
        }
    }
    unread
}
