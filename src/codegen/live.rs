//! Which virtual registers are live at the end of each block, with dead instructions taken out on the way.

use super::mach::{FIRST, MFunc, Mi, R};

/// Virtual registers live at the end of each block.
pub(super) type LiveOut = Vec<Vec<R>>;

/// Finds live registers one variable at a time, walking back from its uses: the cost is the size of the live ranges.
pub(super) fn live_out(func: &MFunc) -> LiveOut {
    let blocks = func.blocks.len();
    let vregs = (func.regs - FIRST) as usize;
    let mut preds: Vec<Vec<u32>> = vec![Vec::new(); blocks];
    for (index, block) in func.blocks.iter().enumerate() {
        for to in block.term.targets() {
            preds[to].push(index as u32);
        }
    }
    let mut exposed: Vec<Vec<u32>> = vec![Vec::new(); vregs];
    let mut defs: Vec<Vec<u32>> = vec![Vec::new(); vregs];
    for (index, block) in func.blocks.iter().enumerate() {
        let index = index as u32;
        let mut read = |reg: R, defs: &Vec<Vec<u32>>| {
            if reg >= FIRST {
                let at = (reg - FIRST) as usize;
                if defs[at].last() != Some(&index) && exposed[at].last() != Some(&index) {
                    exposed[at].push(index);
                }
            }
        };
        for inst in &block.insts {
            inst.op.each(|reg, role| {
                if role.reads() {
                    read(reg, &defs);
                }
            });
            inst.op.each(|reg, role| {
                if role.writes() && reg >= FIRST {
                    let list = &mut defs[(reg - FIRST) as usize];
                    if list.last() != Some(&index) {
                        list.push(index);
                    }
                }
            });
        }
        block.term.each(|reg| read(reg, &defs));
    }
    let mut out: LiveOut = vec![Vec::new(); blocks];
    let mut defined = vec![u32::MAX; blocks];
    let mut entered = vec![u32::MAX; blocks];
    let mut stack = Vec::new();
    for var in 0..vregs as u32 {
        if exposed[var as usize].is_empty() {
            continue;
        }
        for &block in &defs[var as usize] {
            defined[block as usize] = var;
        }
        stack.clear();
        for &block in &exposed[var as usize] {
            entered[block as usize] = var;
            stack.push(block);
        }
        while let Some(block) = stack.pop() {
            for &pred in &preds[block as usize] {
                let live = &mut out[pred as usize];
                if live.last() != Some(&(FIRST + var)) {
                    live.push(FIRST + var);
                }
                if defined[pred as usize] != var && entered[pred as usize] != var {
                    entered[pred as usize] = var;
                    stack.push(pred);
                }
            }
        }
    }
    out
}

/// A set of virtual registers with constant-time changes and ordered iteration cost of its size.
#[derive(Debug)]
pub(super) struct LiveSet {
    list: Vec<R>,
    place: Vec<u32>,
}

impl LiveSet {
    /// The empty set over registers below `regs`.
    pub(super) fn new(regs: R) -> Self {
        LiveSet {
            list: Vec::new(),
            place: vec![u32::MAX; regs as usize],
        }
    }

    /// Empties it and puts in `regs`.
    pub(super) fn reset(&mut self, regs: &[R]) {
        while let Some(reg) = self.list.pop() {
            self.place[reg as usize] = u32::MAX;
        }
        for &reg in regs {
            self.insert(reg);
        }
    }

    pub(super) fn insert(&mut self, reg: R) {
        if self.place[reg as usize] == u32::MAX {
            self.place[reg as usize] = self.list.len() as u32;
            self.list.push(reg);
        }
    }

    pub(super) fn remove(&mut self, reg: R) {
        let at = self.place[reg as usize];
        if at != u32::MAX {
            self.list.swap_remove(at as usize);
            if let Some(&moved) = self.list.get(at as usize) {
                self.place[moved as usize] = at;
            }
            self.place[reg as usize] = u32::MAX;
        }
    }

    pub(super) fn contains(&self, reg: R) -> bool {
        self.place[reg as usize] != u32::MAX
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = R> + '_ {
        self.list.iter().copied()
    }
}

/// Takes out instructions whose results nobody reads.
pub(super) fn remove_dead(func: &mut MFunc) {
    let mut live = LiveSet::new(func.regs);
    loop {
        let out = live_out(func);
        let mut changed = false;
        for (index, block) in func.blocks.iter_mut().enumerate() {
            live.reset(&out[index]);
            block.term.each(|reg| {
                if reg >= FIRST {
                    live.insert(reg);
                }
            });
            let mut keep = vec![true; block.insts.len()];
            for (at, inst) in block.insts.iter().enumerate().rev() {
                let mut wanted = !inst.op.pure()
                    || matches!(inst.op, Mi::Copy { dst, src } if dst < FIRST && src != dst);
                inst.op.each(|reg, role| {
                    if role.writes() {
                        wanted |= reg < FIRST || live.contains(reg);
                    }
                });
                if !wanted {
                    keep[at] = false;
                    changed = true;
                    continue;
                }
                inst.op.each(|reg, role| {
                    if role.writes() && reg >= FIRST {
                        live.remove(reg);
                    }
                });
                inst.op.each(|reg, role| {
                    if role.reads() && reg >= FIRST {
                        live.insert(reg);
                    }
                });
            }
            let mut at = 0;
            block.insts.retain(|_| {
                at += 1;
                keep[at - 1]
            });
        }
        if !changed {
            return;
        }
    }
}
