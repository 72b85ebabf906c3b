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

/// Positions at which a slot is in use, both ends included. Each block takes one position for its start, one for each
/// instruction, and one for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
}

/// Where one block names a slot.
#[derive(Clone, Copy)]
struct Mention {
    block: usize,
    range: Range,
    /// The first of them writes all of it: what it held does not matter before.
    kills: bool,
}

/// Lays out the slots of `func`, whose blocks are in the order they will be emitted in.
pub(super) fn layout(func: &MFunc) -> Frame {
    let mut use_of = Uses {
        mentions: vec![Vec::new(); func.slots.len()],
        pinned: vec![false; func.slots.len()],
        sources: sources(func),
        block: 0,
    };
    use_of.scan(func);
    let flow = Flow::new(func);
    let mut scratch = Scratch::new(func.blocks.len());
    let ranges: Vec<Vec<Range>> = use_of
        .mentions
        .iter()
        .zip(&use_of.pinned)
        .map(|(mentions, pinned)| match pinned {
            true => vec![flow.all()],
            false => flow.ranges(mentions, &mut scratch),
        })
        .collect();
    pack(func, &ranges)
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

/// Who names which slots where.
struct Uses {
    /// Of each slot, by block.
    mentions: Vec<Vec<Mention>>,
    /// The address goes where it cannot be followed: in use throughout.
    pinned: Vec<bool>,
    sources: Sources,
    /// The block that is looked at.
    block: usize,
}

impl Uses {
    fn mark(&mut self, slot: u32, at: u32) {
        self.mention(slot, at, false);
    }

    fn mention(&mut self, slot: u32, at: u32, kills: bool) {
        let mentions = &mut self.mentions[slot as usize];
        match mentions.last_mut().filter(|last| last.block == self.block) {
            Some(last) => last.range.last = at,
            None => mentions.push(Mention {
                block: self.block,
                range: Range {
                    first: at,
                    last: at,
                },
                kills,
            }),
        }
    }

    fn scan(&mut self, func: &MFunc) {
        let mut at = 0;
        for (index, block) in func.blocks.iter().enumerate() {
            self.block = index;
            // Slots whose addresses are in argument registers, until the call.
            let mut passed: Vec<u32> = Vec::new();
            for inst in &block.insts {
                at += 1;
                self.inst(func, &inst.op, at, &mut passed);
            }
            at += 1;
            let mut read = Vec::new();
            block.term.each(|reg| read.push(reg));
            for reg in read {
                self.mark_sources(reg, at);
            }
            at += 1;
        }
    }

    fn mark_sources(&mut self, reg: R, at: u32) {
        if let Some(slots) = self.sources.get(&reg) {
            for slot in slots.clone() {
                self.mark(slot, at);
            }
        }
    }

    fn inst(&mut self, func: &MFunc, op: &Mi, at: u32, passed: &mut Vec<u32>) {
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
            Mi::Store {
                base,
                src,
                size,
                off,
            } => {
                if let Base::Slot(slot) = base {
                    let all = func.slots[slot.0 as usize].0 == size.bytes();
                    self.mention(slot.0, at, all && off == 0);
                }
                if let MSrc::Reg(src) = src
                    && let Some(slots) = self.sources.get(&src)
                {
                    for slot in slots.clone() {
                        self.pinned[slot as usize] = true;
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
}

/// How control flows between blocks, and which positions they have.
struct Flow {
    preds: Vec<Vec<usize>>,
    succs: Vec<Vec<usize>>,
    spans: Vec<Range>,
}

/// Marks on blocks for one slot at a time.
struct Scratch {
    /// A mention may come later: from the start of the block, and from its end.
    live_in: Vec<bool>,
    live_out: Vec<bool>,
    /// A mention may have come before the block.
    reached: Vec<bool>,
    marked: Vec<usize>,
    open: Vec<usize>,
}

impl Scratch {
    fn new(blocks: usize) -> Scratch {
        Scratch {
            live_in: vec![false; blocks],
            live_out: vec![false; blocks],
            reached: vec![false; blocks],
            marked: Vec::new(),
            open: Vec::new(),
        }
    }

    fn clear(&mut self) {
        for block in self.marked.drain(..) {
            (self.live_in[block], self.live_out[block]) = (false, false);
            self.reached[block] = false;
        }
    }
}

impl Flow {
    fn new(func: &MFunc) -> Flow {
        let mut preds = vec![Vec::new(); func.blocks.len()];
        let (mut succs, mut spans) = (Vec::new(), Vec::new());
        let mut at = 0;
        for (index, block) in func.blocks.iter().enumerate() {
            let targets: Vec<usize> = block.term.targets().collect();
            for &to in &targets {
                preds[to].push(index);
            }
            succs.push(targets);
            let end = at + block.insts.len() as u32 + 1;
            spans.push(Range {
                first: at,
                last: end,
            });
            at = end + 1;
        }
        Flow {
            preds,
            succs,
            spans,
        }
    }

    /// All positions.
    fn all(&self) -> Range {
        Range {
            first: 0,
            last: self.spans.last().map_or(0, |span| span.last),
        }
    }

    /// Where a slot is in use: between two mentions that can follow each other, unless the second writes all of it.
    fn ranges(&self, mentions: &[Mention], s: &mut Scratch) -> Vec<Range> {
        s.clear();
        s.open.clear();
        for mention in mentions.iter().filter(|mention| !mention.kills) {
            s.live_in[mention.block] = true;
            s.marked.push(mention.block);
            s.open.push(mention.block);
        }
        let killed = |block: usize| {
            let found = mentions.binary_search_by_key(&block, |mention| mention.block);
            found.is_ok_and(|at| mentions[at].kills)
        };
        while let Some(block) = s.open.pop() {
            for &pred in &self.preds[block] {
                s.live_out[pred] = true;
                s.marked.push(pred);
                if !s.live_in[pred] && !killed(pred) {
                    s.live_in[pred] = true;
                    s.open.push(pred);
                }
            }
        }
        s.open.extend(mentions.iter().map(|mention| mention.block));
        while let Some(block) = s.open.pop() {
            for &succ in &self.succs[block] {
                if s.live_in[succ] && !s.reached[succ] {
                    s.reached[succ] = true;
                    s.open.push(succ);
                }
            }
        }
        let mut ranges = Vec::new();
        let mut mentioned = vec![];
        for mention in mentions {
            mentioned.push(mention.block);
            let (block, mut range) = (mention.block, mention.range);
            if s.reached[block] {
                range.first = self.spans[block].first;
            }
            if s.live_out[block] {
                range.last = self.spans[block].last;
            }
            ranges.push(range);
        }
        // What only passes through.
        for &block in &s.marked {
            if s.reached[block] && s.live_out[block] && mentioned.binary_search(&block).is_err() {
                ranges.push(self.spans[block]);
            }
        }
        ranges.sort_unstable_by_key(|range| range.first);
        ranges.dedup();
        ranges
    }
}

/// Whether two slots are in use at once; both lists are sorted.
fn clash(one: &[Range], other: &[Range]) -> bool {
    let (mut a, mut b) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        if x.last < y.first {
            a.next();
        } else if y.last < x.first {
            b.next();
        } else {
            return true;
        }
    }
    false
}

/// Gives each slot the least depth that no slot has that is in use with it.
fn pack(func: &MFunc, ranges: &[Vec<Range>]) -> Frame {
    let mut frame = Frame {
        depth: vec![0; ranges.len()],
        size: 0,
    };
    let hull = |ranges: &[Range]| {
        Some(Range {
            first: ranges.first()?.first,
            last: ranges.iter().map(|range| range.last).max()?,
        })
    };
    let mut order: Vec<(Range, usize)> = ranges
        .iter()
        .enumerate()
        .filter_map(|(slot, ranges)| hull(ranges).map(|range| (range, slot)))
        .collect();
    order.sort_by_key(|&(range, slot)| (range.first, slot));
    // Slots that may be in use now: (low depth, high depth, last position, slot).
    let mut active: Vec<(u32, u32, u32, usize)> = Vec::new();
    for (range, slot) in order {
        active.retain(|&(_, _, last, _)| last >= range.first);
        active.sort_unstable();
        let (size, align) = func.slots[slot];
        let (size, align) = (size.max(1), align.max(1));
        let mut top = 0u32;
        let mut depth = size.next_multiple_of(align);
        for &(low, high, _, other) in &active {
            if !clash(&ranges[slot], &ranges[other]) {
                continue;
            }
            if depth <= low && top <= low {
                break;
            }
            top = top.max(high);
            depth = (top + size).next_multiple_of(align);
        }
        frame.depth[slot] = depth;
        frame.size = frame.size.max(depth);
        // Bytes from depth - size to depth.
        active.push((depth - size, depth, range.last, slot));
    }
    frame.size = frame.size.next_multiple_of(8);
    frame
}
