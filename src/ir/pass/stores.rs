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
    let mut doomed = Memory::new(&places);
    for block in &mut func.blocks {
        doomed.enter(matches!(block.term, Term::Exit(_)));
        let mut keep = vec![true; block.insts.len()];
        for (at, inst) in block.insts.iter().enumerate().rev() {
            match inst.op {
                Op::Store {
                    size, base, off, ..
                } => {
                    if let Some((slot, off)) = places.slot(base, off) {
                        let bytes = range(off, size.bytes());
                        let mine = doomed.of(slot);
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
                        for (d, b) in doomed.of(slot).iter_mut().zip(bytes) {
                            *d &= !b;
                        }
                    }
                    None => doomed.spare_escaped(),
                },
                Op::Call { .. } => doomed.spare_escaped(),
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

/// Doomed bytes of all slots, going backwards. Changes to many slots at once are noted by time and done when asked.
struct Memory<'a> {
    bytes: Vec<(u32, Doomed)>,
    escaped: &'a [bool],
    now: u32,
    /// When the block was entered, and with what.
    entered: (u32, u64),
    /// When slots whose address went elsewhere were last read.
    spared: u32,
}

impl<'a> Memory<'a> {
    fn new(places: &'a Places) -> Self {
        Memory {
            bytes: vec![(0, [0; 8]); places.escaped.len()],
            escaped: &places.escaped,
            now: 0,
            entered: (0, 0),
            spared: 0,
        }
    }

    /// Begins at the end of a block: after an exit nothing is read.
    fn enter(&mut self, exit: bool) {
        self.now += 1;
        self.entered = (self.now, if exit { u64::MAX } else { 0 });
    }

    fn spare_escaped(&mut self) {
        self.now += 1;
        self.spared = self.now;
    }

    fn of(&mut self, slot: SlotId) -> &mut Doomed {
        let (seen, bytes) = &mut self.bytes[slot.0 as usize];
        if *seen < self.entered.0 {
            *bytes = [self.entered.1; 8];
        }
        if self.escaped[slot.0 as usize] && self.spared > self.entered.0.max(*seen) {
            *bytes = [0; 8];
        }
        *seen = self.now;
        bytes
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
