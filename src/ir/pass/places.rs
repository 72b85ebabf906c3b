//! What each register that is written once points at, for passes over memory.

use crate::ir::inst::{Func, Op, Opnd, SlotId, VReg};

/// Slot addresses by register, and which slots are only ever accessed directly.
pub(super) struct Places {
    slots: Vec<Option<(SlotId, i32)>>,
    /// Slots whose address goes anywhere but into a load or store.
    pub(super) escaped: Vec<bool>,
}

impl Places {
    pub(super) fn new(func: &Func) -> Places {
        let defs = func.def_counts();
        let mut places = Places {
            slots: vec![None; defs.len()],
            escaped: vec![false; func.slots.len()],
        };
        for inst in func.blocks.iter().flat_map(|b| &b.insts) {
            if let Op::Slot { dst, slot, off } = inst.op {
                if defs[dst.0 as usize] == 1 {
                    places.slots[dst.0 as usize] = Some((slot, off));
                } else {
                    places.escaped[slot.0 as usize] = true;
                }
            }
        }
        for block in &func.blocks {
            for inst in &block.insts {
                match &inst.op {
                    // Bases are followed, what is stored is not.
                    Op::Load { .. } => {}
                    Op::Store { src, .. } => places.escape(*src),
                    Op::Atomic { src, expect, .. } => {
                        places.escape(Opnd::Reg(*src));
                        places.escape(expect.unwrap_or(Opnd::Imm(0)));
                    }
                    op => op.each_use(|reg| places.escape(Opnd::Reg(reg))),
                }
            }
            block.term.each_use(|reg| places.escape(Opnd::Reg(reg)));
        }
        places
    }

    fn escape(&mut self, opnd: Opnd) {
        if let Opnd::Reg(reg) = opnd
            && let Some((slot, _)) = self.slots[reg.0 as usize]
        {
            self.escaped[slot.0 as usize] = true;
        }
    }

    /// Slot and offset of a memory access, if it is one to a slot.
    pub(super) fn slot(&self, base: VReg, off: i16) -> Option<(SlotId, i32)> {
        self.slots[base.0 as usize].map(|(slot, at)| (slot, at + i32::from(off)))
    }
}
