//! What matters at each instruction: registers and stack slots read later, and which of their numbers anything
//! depended on.
//!
//! Instructions that read the stack through pointers, and numbers that decide something, are learned while paths
//! are walked ([`Facts`]). When a walk has learned something new, the walk is done again with it; what the last walk
//! took as known was then complete.

use super::{shape::Shape, state::Matters};
use crate::asm::{AluOp, AtomicOp, Callee, Insn, Reg, Size, Src, helper};

/// What walks learn, by instruction.
#[derive(Debug)]
pub(super) struct Facts {
    /// Slots of the frame read.
    reads: Vec<u64>,
    /// Slots of the frame from which a spilled register was restored.
    fills: Vec<u64>,
    /// Slots of the frame to which a register was spilled.
    spills: Vec<u64>,
    /// Registers whose number decided something.
    decides: Vec<u16>,
    /// Slots whose number decided something.
    slots: Vec<u64>,
    /// Registers and slots that were narrowed together.
    linked: Vec<(u16, u64)>,
    /// Something was learned since the last [`Facts::flow`].
    pub(super) changed: bool,
}

fn bit(reg: Reg) -> u16 {
    1 << reg.number()
}

impl Facts {
    pub(super) fn new(count: usize) -> Facts {
        Facts {
            reads: vec![0; count],
            fills: vec![0; count],
            spills: vec![0; count],
            decides: vec![0; count],
            slots: vec![0; count],
            linked: vec![(0, 0); count],
            changed: true,
        }
    }

    fn learn(&mut self, of: fn(&mut Facts) -> &mut Vec<u64>, at: usize, slots: u64) {
        let word = &mut of(self)[at];
        if *word | slots != *word {
            *word |= slots;
            self.changed = true;
        }
    }

    pub(super) fn read(&mut self, at: usize, slots: u64) {
        self.learn(|f| &mut f.reads, at, slots);
    }

    pub(super) fn fill(&mut self, at: usize, slots: u64) {
        self.learn(|f| &mut f.fills, at, slots);
    }

    pub(super) fn spill(&mut self, at: usize, slots: u64) {
        self.learn(|f| &mut f.spills, at, slots);
    }

    pub(super) fn slot_decides(&mut self, at: usize, slots: u64) {
        self.learn(|f| &mut f.slots, at, slots);
    }

    pub(super) fn decides(&mut self, at: usize, reg: Reg) {
        if self.decides[at] & bit(reg) == 0 {
            self.decides[at] |= bit(reg);
            self.changed = true;
        }
    }

    pub(super) fn link(&mut self, at: usize, regs: u16, slots: u64) {
        let now = &mut self.linked[at];
        let next = (now.0 | regs, now.1 | slots);
        if *now != next {
            *now = next;
            self.changed = true;
        }
    }

    /// Works out what matters before each instruction.
    pub(super) fn flow(&mut self, insns: &[Insn], shape: &Shape) -> Flow {
        self.changed = false;
        let mut flow = Flow {
            before: vec![Matters::default(); insns.len()],
            returned: vec![0; shape.starts.len()],
        };
        loop {
            let mut moved = false;
            for at in (0..insns.len()).rev() {
                let out = flow.after(at, &insns[at], shape);
                if let Some(callee) = shape.callee[at] {
                    let wanted = out.precise_regs & 1;
                    moved |= flow.returned[callee] | wanted != flow.returned[callee];
                    flow.returned[callee] |= wanted;
                }
                let new = self.before(at, &insns[at], shape, &flow, out);
                let old = &mut flow.before[at];
                moved |= old.regs != new.regs
                    || old.slots != new.slots
                    || old.precise_regs != new.precise_regs
                    || old.precise_slots != new.precise_slots;
                *old = new;
            }
            if !moved {
                return flow;
            }
        }
    }

    fn before(&self, at: usize, insn: &Insn, shape: &Shape, flow: &Flow, out: Matters) -> Matters {
        let (uses, defines) = registers(insn);
        let mut m = out;
        m.regs = m.regs & !defines | uses;
        let exact = match insn {
            Insn::Store {
                size: Size::DW,
                dst: Reg::R10,
                off,
                ..
            } => own_slot(*off),
            _ => 0,
        };
        m.slots = m.slots & !exact | self.reads[at];
        self.precise(at, insn, shape, flow, &mut m, exact);
        m.precise_regs |= self.decides[at];
        m.precise_slots |= self.slots[at];
        m
    }

    fn precise(
        &self,
        at: usize,
        insn: &Insn,
        shape: &Shape,
        flow: &Flow,
        m: &mut Matters,
        exact: u64,
    ) {
        let wanted = |m: &Matters, reg: Reg| m.precise_regs & bit(reg) != 0;
        match *insn {
            Insn::Alu { op, dst, src, .. } if wanted(m, dst) => {
                if op == AluOp::Mov {
                    m.precise_regs &= !bit(dst);
                }
                if let Src::Reg(src) = src {
                    m.precise_regs |= bit(src);
                }
            }
            Insn::Movsx { dst, src, .. } | Insn::AddrSpaceCast { dst, src, .. }
                if wanted(m, dst) =>
            {
                m.precise_regs &= !bit(dst);
                m.precise_regs |= bit(src);
            }
            Insn::Load { dst, .. } | Insn::LoadAcquire { dst, .. } if wanted(m, dst) => {
                m.precise_regs &= !bit(dst);
                m.precise_slots |= self.fills[at];
            }
            Insn::LoadImm64 { dst, .. } => m.precise_regs &= !bit(dst),
            Insn::Store { src, .. } => {
                if let Src::Reg(src) = src
                    && m.precise_slots & self.spills[at] != 0
                {
                    m.precise_regs |= bit(src);
                }
                m.precise_slots &= !exact;
            }
            Insn::StoreRelease { src, .. } if m.precise_slots & self.spills[at] != 0 => {
                m.precise_regs |= bit(src);
            }
            Insn::Atomic { op, src, .. } => {
                let to = if op == AtomicOp::Cmpxchg {
                    Reg::R0
                } else {
                    src
                };
                if fetches(op) && wanted(m, to) {
                    m.precise_regs &= !bit(to);
                    m.precise_slots |= self.fills[at];
                }
            }
            Insn::Call { callee } => {
                m.precise_regs &= !0x3f;
                if let (Callee::Local(_), Some(callee)) = (callee, shape.callee[at]) {
                    m.precise_regs |= flow.before[shape.starts[callee]].precise_regs & 0x3e;
                }
                if shape.calls_back[at] {
                    m.precise_regs |= 0x3e;
                }
            }
            Insn::LoadAbs { .. } | Insn::LoadInd { .. } => m.precise_regs &= !0x3f,
            Insn::Jmp { dst, src, .. } => {
                let mut together = (bit(dst), 0);
                if let Src::Reg(src) = src {
                    together.0 |= bit(src);
                }
                together.0 |= self.linked[at].0;
                together.1 |= self.linked[at].1;
                if m.precise_regs & together.0 != 0 || m.precise_slots & together.1 != 0 {
                    m.precise_regs |= together.0;
                    m.precise_slots |= together.1;
                }
            }
            _ => {}
        }
    }
}

/// What matters before each instruction.
#[derive(Debug)]
pub(super) struct Flow {
    before: Vec<Matters>,
    returned: Vec<u16>,
}

impl Flow {
    fn after(&self, at: usize, insn: &Insn, shape: &Shape) -> Matters {
        let mut out = Matters::default();
        if matches!(insn, Insn::Exit) {
            out.precise_regs = self.returned[shape.function[at]];
        }
        for next in shape.successors(at, insn).into_iter().flatten() {
            let Some(m) = self.before.get(next) else {
                continue;
            };
            out.regs |= m.regs;
            out.slots |= m.slots;
            out.precise_regs |= m.precise_regs;
            out.precise_slots |= m.precise_slots;
        }
        out
    }

    /// Of the frame that is at this instruction.
    pub(super) fn here(&self, at: usize) -> Matters {
        self.before[at]
    }

    /// Of a frame that waits for its call to return.
    pub(super) fn waiting(&self, at: usize, insn: &Insn, shape: &Shape) -> Matters {
        let (a, b) = (self.before[at], self.after(at, insn, shape));
        let kept = if shape.calls_back[at] { 0x3fe } else { 0x3c0 };
        Matters {
            regs: (a.regs | b.regs) & kept,
            slots: a.slots | b.slots,
            precise_regs: a.precise_regs | b.precise_regs,
            precise_slots: a.precise_slots | b.precise_slots,
        }
    }
}

/// Whether the old value goes to a register.
fn fetches(op: AtomicOp) -> bool {
    match op {
        AtomicOp::Add { fetch }
        | AtomicOp::Or { fetch }
        | AtomicOp::And { fetch }
        | AtomicOp::Xor { fetch } => fetch,
        AtomicOp::Xchg | AtomicOp::Cmpxchg => true,
    }
}

/// The slot of an aligned access of eight bytes through the frame pointer.
fn own_slot(off: i16) -> u64 {
    if off % 8 == 0 && (-512..0).contains(&off) {
        1 << (-off / 8 - 1)
    } else {
        0
    }
}

/// Registers that an instruction uses and defines.
fn registers(insn: &Insn) -> (u16, u16) {
    let of = |src: Src| match src {
        Src::Reg(reg) => bit(reg),
        Src::Imm(_) => 0,
    };
    match *insn {
        Insn::Alu { op, dst, src, .. } => match op {
            AluOp::Mov => (of(src), bit(dst)),
            _ => (bit(dst) | of(src), 0),
        },
        Insn::Neg { dst, .. } | Insn::Endian { dst, .. } => (bit(dst), 0),
        Insn::Movsx { dst, src, .. } | Insn::AddrSpaceCast { dst, src, .. } => (bit(src), bit(dst)),
        Insn::Load { dst, src, .. } | Insn::LoadAcquire { dst, src, .. } => (bit(src), bit(dst)),
        Insn::Store { dst, src, .. } => (bit(dst) | of(src), 0),
        Insn::StoreRelease { dst, src, .. } => (bit(dst) | bit(src), 0),
        Insn::Atomic { op, dst, src, .. } => {
            let r0 = if op == AtomicOp::Cmpxchg { 1 } else { 0 };
            (bit(dst) | bit(src) | r0, 0)
        }
        Insn::LoadImm64 { dst, .. } => (0, bit(dst)),
        Insn::LoadAbs { .. } => (1 << 6, 0x3f),
        Insn::LoadInd { src, .. } => (1 << 6 | bit(src), 0x3f),
        Insn::Jmp { dst, src, .. } => (bit(dst) | of(src), 0),
        Insn::Jx { dst } | Insn::Callx { dst } => (bit(dst), 0),
        Insn::Call { callee } => {
            let count = match callee {
                Callee::Helper(id) => helper::by_id(id).map_or(5, |h| h.args.len()),
                _ => 5,
            };
            (((1 << count) - 1) << 1, 0x3f)
        }
        Insn::Exit => (1, 0),
        Insn::Ja { .. } | Insn::Jal { .. } | Insn::MayGoto { .. } => (0, 0),
    }
}
