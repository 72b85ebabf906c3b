//! Makes a function block by block.

use super::inst::{Block, BlockId, Func, Inst, Op, Opnd, Slot, SlotId, Term, VReg};
use crate::{
    asm::{AluOp, AtomicOp, Cond, Size, Width},
    span::Span,
};

/// Instructions of a block that may still be open, and its end.
type Open = (Vec<Inst>, Option<(Term, Option<Span>)>);

/// Builds one [`Func`]. Instructions go to the current block; a block is closed by its terminator, and what comes after
/// a terminator before the next [`FuncBuilder::switch_to`] is unreachable and dropped.
#[derive(Debug)]
pub struct FuncBuilder {
    name: String,
    blocks: Vec<Open>,
    slots: Vec<Slot>,
    vregs: u32,
    current: BlockId,
    span: Option<Span>,
}

impl FuncBuilder {
    /// A function with an empty entry block, which is current.
    pub fn new(name: impl Into<String>) -> Self {
        FuncBuilder {
            name: name.into(),
            blocks: vec![(Vec::new(), None)],
            slots: Vec::new(),
            vregs: 0,
            current: BlockId(0),
            span: None,
        }
    }

    /// A function that is there already, with its entry block current: blocks that end stay closed.
    pub fn resume(func: Func) -> Self {
        let closed = |block: Block| (block.insts, Some((block.term, block.term_span)));
        FuncBuilder {
            name: func.name,
            blocks: func.blocks.into_iter().map(closed).collect(),
            slots: func.slots,
            vregs: func.vregs,
            current: BlockId(0),
            span: None,
        }
    }

    /// How many blocks there are.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is no block.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Takes a block's contents, makes it current, and leaves it open.
    pub fn reopen(&mut self, block: BlockId) -> Open {
        self.current = block;
        std::mem::take(&mut self.blocks[block.0 as usize])
    }

    /// Moves the contents of the entry block to a fresh block, which is where jumps to it lead; the entry block is
    /// current and open.
    pub fn move_entry(&mut self) -> BlockId {
        let moved = self.block();
        for (_, end) in &mut self.blocks {
            if let Some((term, _)) = end {
                retarget(term, BlockId(0), moved);
            }
        }
        self.blocks[moved.0 as usize] = self.reopen(BlockId(0));
        moved
    }

    /// Script text that instructions come from until the next call; returns what was set before.
    pub fn set_span(&mut self, span: Option<Span>) -> Option<Span> {
        std::mem::replace(&mut self.span, span)
    }

    /// Script text that instructions come from now.
    pub fn span(&self) -> Option<Span> {
        self.span
    }

    /// A fresh virtual register.
    pub fn vreg(&mut self) -> VReg {
        self.vregs += 1;
        VReg(self.vregs - 1)
    }

    /// A fresh stack slot.
    pub fn slot(&mut self, size: u32, align: u32) -> SlotId {
        self.slots.push(Slot { size, align });
        SlotId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
    }

    /// A fresh, open block.
    pub fn block(&mut self) -> BlockId {
        self.blocks.push((Vec::new(), None));
        BlockId(u32::try_from(self.blocks.len() - 1).unwrap_or(u32::MAX))
    }

    /// Makes `block` current.
    pub fn switch_to(&mut self, block: BlockId) {
        self.current = block;
    }

    /// The current block.
    pub fn current(&self) -> BlockId {
        self.current
    }

    /// Whether the current block has its terminator.
    pub fn closed(&self) -> bool {
        self.blocks[self.current.0 as usize].1.is_some()
    }

    /// Appends to the current block.
    pub fn push(&mut self, op: Op) {
        let span = self.span;
        let (insts, term) = &mut self.blocks[self.current.0 as usize];
        if term.is_none() {
            insts.push(Inst { op, span });
        }
    }

    /// Ends the current block.
    pub fn end(&mut self, term: Term) {
        let span = self.span;
        let (_, old) = &mut self.blocks[self.current.0 as usize];
        if old.is_none() {
            *old = Some((term, span));
        }
    }

    /// Gives `dst` another value.
    pub fn set(&mut self, dst: VReg, src: impl Into<Opnd>) {
        let src = src.into();
        self.push(Op::Mov { dst, src });
    }

    /// `src` in a fresh register.
    pub fn mov(&mut self, src: impl Into<Opnd>) -> VReg {
        let dst = self.vreg();
        self.push(Op::Mov {
            dst,
            src: src.into(),
        });
        dst
    }

    /// 64-bit `a op b` in a fresh register.
    pub fn alu(&mut self, op: AluOp, a: impl Into<Opnd>, b: impl Into<Opnd>) -> VReg {
        let dst = self.vreg();
        self.push(Op::Alu {
            op,
            width: Width::W64,
            dst,
            a: a.into(),
            b: b.into(),
        });
        dst
    }

    /// Zero-extending load into a fresh register.
    pub fn load(&mut self, size: Size, base: VReg, off: i16) -> VReg {
        let dst = self.vreg();
        self.push(Op::Load {
            dst,
            size,
            signed: false,
            base,
            off,
        });
        dst
    }

    /// Store.
    pub fn store(&mut self, size: Size, base: VReg, off: i16, src: impl Into<Opnd>) {
        self.push(Op::Store {
            size,
            base,
            off,
            src: src.into(),
        });
    }

    /// Helper call with its result in a fresh register.
    pub fn call(&mut self, helper: u32, args: &[Opnd]) -> VReg {
        let dst = self.vreg();
        self.push(Op::Call {
            dst: Some(dst),
            helper,
            args: args.to_vec(),
        });
        dst
    }

    /// Adds one to the `u64` at `off` of a map's only value.
    pub fn count(&mut self, map: u32, off: u32) {
        let counter = self.vreg();
        self.push(Op::MapValue {
            dst: counter,
            map,
            off,
        });
        let one = self.mov(1);
        self.push(Op::Atomic {
            op: AtomicOp::Add { fetch: false },
            size: Size::DW,
            base: counter,
            off: 0,
            src: one,
            dst: None,
            expect: None,
        });
    }

    /// The time that stands before what is sent (`bpf_ktime_get_ns`): the kernel's own stamp of a sample costs twice as much.
    pub fn stamp(&mut self) -> VReg {
        const KTIME_GET_NS: u32 = 5;
        self.call(KTIME_GET_NS, &[])
    }

    /// Sends `len` bytes at `data` to the ring of this CPU (`bpf_perf_event_output`); what it returned.
    pub fn send(&mut self, ctx: VReg, ring: u32, data: VReg, len: Opnd) -> VReg {
        const PERF_EVENT_OUTPUT: u32 = 25;
        const CURRENT_CPU: i64 = 0xffff_ffff;
        let map = self.vreg();
        self.push(Op::Map {
            dst: map,
            map: ring,
        });
        let cpu = Opnd::Imm(CURRENT_CPU);
        let args = [ctx.into(), map.into(), cpu, data.into(), len];
        self.call(PERF_EVENT_OUTPUT, &args)
    }

    /// Ends the current block with a 64-bit comparison.
    pub fn branch(
        &mut self,
        cond: Cond,
        a: impl Into<Opnd>,
        b: impl Into<Opnd>,
        then: BlockId,
        els: BlockId,
    ) {
        self.end(Term::If {
            cond,
            width: Width::W64,
            a: a.into(),
            b: b.into(),
            then,
            els,
        });
    }

    /// The function; open blocks return 0.
    pub fn finish(self) -> Func {
        let blocks = self
            .blocks
            .into_iter()
            .map(|(insts, term)| {
                let (term, term_span) = term.unwrap_or((Term::Exit(Opnd::Imm(0)), None));
                Block {
                    insts,
                    term,
                    term_span,
                }
            })
            .collect();
        Func {
            name: self.name,
            blocks,
            slots: self.slots,
            vregs: self.vregs,
        }
    }
}

fn retarget(term: &mut Term, from: BlockId, to: BlockId) {
    let change = |id: &mut BlockId| {
        if *id == from {
            *id = to;
        }
    };
    match term {
        Term::Goto(id) => change(id),
        Term::If { then, els, .. } => {
            change(then);
            change(els);
        }
        Term::MayGoto { go, stop } => {
            change(go);
            change(stop);
        }
        Term::Exit(_) => {}
    }
}

impl From<VReg> for Opnd {
    fn from(reg: VReg) -> Self {
        Opnd::Reg(reg)
    }
}

impl From<i64> for Opnd {
    fn from(imm: i64) -> Self {
        Opnd::Imm(imm)
    }
}
