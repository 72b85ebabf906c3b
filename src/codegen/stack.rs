//! Places stack slots in the frame; slots that are never in use at once share bytes.

use std::collections::BTreeMap;

use super::mach::{Base, Cheap, FIRST, MFunc, MSrc, Mi, R};

/// Where each slot begins, in bytes below the frame pointer.
pub(super) struct Frame {
    /// Depth of each slot: its address is r10 minus this.
    pub(super) depth: Vec<u32>,
    /// Bytes in use, a multiple of 8.
    pub(super) size: u32,
}

/// First and last position at which a slot is in use.
#[derive(Clone, Copy)]
struct Range {
    first: u32,
    last: u32,
}

/// Lays out the slots of `func`, whose blocks are in the order they will be emitted in.
pub(super) fn layout(func: &MFunc) -> Frame {
    let mut use_of = Uses {
        ranges: vec![None; func.slots.len()],
        sources: sources(func),
        end: 0,
    };
    use_of.scan(func);
    use_of.extend_over_loops(func);
    pack(func, &use_of.ranges)
}

/// Which slots each register may point into.
type Sources = BTreeMap<R, Vec<u32>>;

fn merge(into: &mut Vec<u32>, from: &[u32]) -> bool {
    let before = into.len();
    for slot in from {
        if !into.contains(slot) {
            into.push(*slot);
        }
    }
    into.len() != before
}

/// Follows slot addresses through registers and through stack slots they are kept in.
fn sources(func: &MFunc) -> Sources {
    let mut regs: Sources = BTreeMap::new();
    let mut kept: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    loop {
        let mut changed = false;
        for inst in func.blocks.iter().flat_map(|b| &b.insts) {
            let (dst, found) = match inst.op {
                Mi::Const {
                    dst,
                    what: Cheap::Slot(slot, _),
                } => (dst, vec![slot.0]),
                Mi::Copy { dst, src }
                | Mi::Alu {
                    dst,
                    src: MSrc::Reg(src),
                    ..
                } => match regs.get(&src) {
                    Some(found) => (dst, found.clone()),
                    None => continue,
                },
                Mi::Load {
                    dst,
                    base: Base::Slot(slot),
                    ..
                } => match kept.get(&slot.0) {
                    Some(found) => (dst, found.clone()),
                    None => continue,
                },
                Mi::Store {
                    base: Base::Slot(slot),
                    src: MSrc::Reg(src),
                    ..
                } => {
                    if let Some(found) = regs.get(&src) {
                        let found = found.clone();
                        changed |= merge(kept.entry(slot.0).or_default(), &found);
                    }
                    continue;
                }
                _ => continue,
            };
            if dst >= FIRST {
                changed |= merge(regs.entry(dst).or_default(), &found);
            }
        }
        if !changed {
            return regs;
        }
    }
}

struct Uses {
    ranges: Vec<Option<Range>>,
    sources: Sources,
    end: u32,
}

impl Uses {
    fn mark(&mut self, slot: u32, at: u32) {
        let range = self.ranges[slot as usize].get_or_insert(Range {
            first: at,
            last: at,
        });
        range.first = range.first.min(at);
        range.last = range.last.max(at);
    }

    /// A slot whose address goes where it cannot be followed is in use throughout.
    fn pin(&mut self, slot: u32) {
        let end = self.end;
        self.mark(slot, 0);
        self.mark(slot, end);
    }

    fn scan(&mut self, func: &MFunc) {
        self.end = func
            .blocks
            .iter()
            .map(|block| block.insts.len() as u32 + 1)
            .sum();
        let mut at = 0;
        for block in &func.blocks {
            // Slots whose addresses are in argument registers, until the call.
            let mut passed: Vec<u32> = Vec::new();
            for inst in &block.insts {
                at += 1;
                self.inst(&inst.op, at, &mut passed);
            }
            at += 1;
            let mut read = Vec::new();
            block.term.each(|reg| read.push(reg));
            for reg in read {
                self.mark_sources(reg, at);
            }
        }
    }

    fn mark_sources(&mut self, reg: R, at: u32) {
        if let Some(slots) = self.sources.get(&reg) {
            for slot in slots.clone() {
                self.mark(slot, at);
            }
        }
    }

    fn inst(&mut self, op: &Mi, at: u32, passed: &mut Vec<u32>) {
        let mut named = Vec::new();
        op.each(|reg, _| named.push(reg));
        for reg in named {
            self.mark_sources(reg, at);
        }
        match *op {
            Mi::Const {
                dst,
                what: Cheap::Slot(slot, _),
            } => {
                self.mark(slot.0, at);
                if dst < FIRST {
                    passed.push(slot.0);
                }
            }
            Mi::Copy { dst, src } if dst < FIRST => {
                if let Some(slots) = self.sources.get(&src) {
                    passed.extend(slots);
                }
            }
            Mi::Call { .. } => {
                for slot in passed.drain(..) {
                    self.mark(slot, at);
                }
            }
            Mi::Load {
                dst,
                base: Base::Slot(slot),
                ..
            } => {
                self.mark(slot.0, at);
                // An address fetched from where it was kept, straight into an argument register.
                if dst < FIRST {
                    passed.push(slot.0);
                }
            }
            Mi::Store { base, src, .. } => {
                if let Base::Slot(slot) = base {
                    self.mark(slot.0, at);
                }
                if let MSrc::Reg(src) = src
                    && let Some(slots) = self.sources.get(&src)
                {
                    for slot in slots.clone() {
                        self.pin(slot);
                    }
                }
            }
            Mi::Atomic {
                base: Base::Slot(slot),
                ..
            } => self.mark(slot.0, at),
            _ => {}
        }
    }

    /// A slot in use anywhere in a loop is in use in all of it.
    fn extend_over_loops(&mut self, func: &MFunc) {
        let mut start = Vec::with_capacity(func.blocks.len());
        let mut at = 0;
        for block in &func.blocks {
            start.push(at);
            at += block.insts.len() as u32 + 1;
        }
        let mut loops = Vec::new();
        for (index, block) in func.blocks.iter().enumerate() {
            for to in block.term.targets().filter(|&to| to <= index) {
                loops.push((start[to], start[index] + block.insts.len() as u32 + 1));
            }
        }
        let mut changed = !loops.is_empty();
        while changed {
            changed = false;
            for range in self.ranges.iter_mut().flatten() {
                for &(first, last) in &loops {
                    let apart = range.last < first || range.first > last;
                    if !apart && (range.first > first || range.last < last) {
                        range.first = range.first.min(first);
                        range.last = range.last.max(last);
                        changed = true;
                    }
                }
            }
        }
    }
}

/// Gives each slot the least depth that is free for as long as it is in use.
fn pack(func: &MFunc, ranges: &[Option<Range>]) -> Frame {
    let mut frame = Frame {
        depth: vec![0; ranges.len()],
        size: 0,
    };
    let mut order: Vec<(Range, usize)> = ranges
        .iter()
        .enumerate()
        .filter_map(|(slot, range)| range.map(|r| (r, slot)))
        .collect();
    order.sort_by_key(|&(range, slot)| (range.first, slot));
    // Slots in use now: (low depth, high depth, last position).
    let mut active: Vec<(u32, u32, u32)> = Vec::new();
    for (range, slot) in order {
        active.retain(|&(_, _, last)| last >= range.first);
        active.sort_unstable();
        let (size, align) = func.slots[slot];
        let (size, align) = (size.max(1), align.max(1));
        let mut top = 0u32;
        let mut depth = size.next_multiple_of(align);
        for &(low, high, _) in &active {
            if depth <= low && top <= low {
                break;
            }
            top = top.max(high);
            depth = (top + size).next_multiple_of(align);
        }
        frame.depth[slot] = depth;
        frame.size = frame.size.max(depth);
        // Bytes from depth - size to depth.
        active.push((depth - size, depth, range.last));
    }
    frame.size = frame.size.next_multiple_of(8);
    frame
}
