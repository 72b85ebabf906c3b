//! What a recorded program does besides: it keeps what it learns of the world, and sends that when it ends.
//!
//! A pass over finished three-address code. Each program takes one of its CPU's buffers at its start and notes there
//! who it runs for, the time, and the registers. Behind each call that tells something (memory of the process, a
//! clock, a random number) the answer is noted. At its end the buffer goes to the ring that the script's output goes
//! to; earlier when it is full, which makes several parts of one hit.
//!
//! ```text
//! buffer := u64 in use · u64 bytes of the part · part
//! part   := u32 length · u32 program | flags << 16 · u64 pid, tid · u64 gid, uid · u64 boot time · 16 bytes comm ·
//!           u64 for each register kept · item*
//! item   := u32 bytes of data · u32 helper · u64 address · u64 answer · the data, padded to 8
//! ```

use crate::{
    asm::{AluOp, AtomicOp, Cond, Size, Width},
    ir::{Block, BlockId, Func, Inst, Op, Opnd, Program, Slot, SlotId, Term, VReg},
    span::Span,
    spec,
};

/// In the flags of a part: it is one, not a record of the script.
pub(super) const TAP: u32 = spec::TAP as u32;
/// In the flags of a part: no more of this hit.
pub(super) const LAST: u32 = 8;

/// Bytes of a part before its registers.
pub(super) const HEADER: usize = 48;
/// Bytes of an item before its data.
pub(super) const ITEM: usize = 24;

/// Offsets into the buffer.
const BUSY: i16 = 0;
const USED: i16 = 8;
const PART: i16 = 16;

/// Buffers a CPU: a probe that is preempted keeps its own. One more is for what finds none free, and is never sent.
pub(super) const SLOTS: u32 = 4;
/// A part that has reached this size is sent before the next item is added.
const FULL: u32 = 2048;
/// The same for programs with callbacks, which cannot send.
const FULL_CALLBACK: u32 = 16 << 10;
/// Most bytes of one item's data, without callbacks and with them: a buffer is no larger than a per-CPU value can be.
const ROOM_MAX: u32 = 28 << 10;
const ROOM_MAX_CALLBACK: u32 = 14 << 10;
/// From an item's place in the buffer to its data.
const PART_ITEM: i64 = PART as i64 + ITEM as i64;
/// `BPF_F_CURRENT_CPU`.
const CURRENT_CPU: i64 = 0xffff_ffff;

const LOOKUP: u32 = 1;
const COMM: u32 = 16;
const PID_TGID: u32 = 14;
const UID_GID: u32 = 15;
const OUTPUT: u32 = 25;
pub(super) const STACK_ID: u32 = 27;
const STACK: u32 = 67;
const READ_USER: u32 = 112;
const READ_KERNEL: u32 = 113;
const READ_USER_STR: u32 = 114;
const BOOT_NS: u32 = 125;
const COPY_USER: u32 = 148;

/// Helpers whose number is noted: clocks, random numbers, and what the kernel alone knows. Of a stack that is its id or
/// its length, with the flags that ask for it as the address.
pub(super) const NUMBERS: &[u32] = &[
    5, 7, STACK_ID, 35, 42, STACK, 80, 118, BOOT_NS, 160, 173, 174, 208,
];
/// Helpers whose bytes are noted.
pub(super) const READS: &[u32] = &[READ_USER, READ_USER_STR, COPY_USER];

/// Maps and settings that all programs of an object share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The buffers' map.
    pub(super) buffers: u32,
    /// One `u64` a program: hits that were not kept.
    pub(super) lost: u32,
    /// The ring.
    pub(super) ring: u32,
    /// Most bytes of one item's data.
    pub(super) room: u32,
    /// A part of this size is sent.
    pub(super) full: u32,
    /// The kernel has atomics that fetch.
    pub(super) atomics: bool,
}

impl Plan {
    /// Bytes of a buffer.
    pub(super) fn buffer_size(&self) -> u32 {
        16 + self.part_max()
    }

    fn part_max(&self) -> u32 {
        self.full + 24 + self.room + 8
    }
}

/// What a set of programs needs: the most bytes of one item, and the size at which a part is sent.
pub(super) fn needs(programs: &[&Program]) -> (u32, u32) {
    let mut room = 16;
    let mut full = FULL;
    for program in programs {
        for (number, func) in program.funcs.iter().enumerate() {
            for inst in func.blocks.iter().flat_map(|block| &block.insts) {
                let Op::Call { helper, args, .. } = &inst.op else {
                    continue;
                };
                if READS.contains(helper) {
                    let size = match args.get(1) {
                        Some(Opnd::Imm(size)) => u32::try_from(*size).unwrap_or(ROOM_MAX),
                        _ => ROOM_MAX,
                    };
                    room = room.max(size.next_multiple_of(8).min(ROOM_MAX));
                }
                if number > 0 && (READS.contains(helper) || NUMBERS.contains(helper)) {
                    full = FULL_CALLBACK;
                }
            }
        }
    }
    if full == FULL_CALLBACK {
        room = room.min(ROOM_MAX_CALLBACK);
    }
    (room, full)
}

/// Offsets into the context that the program reads, 8 bytes each, with the script's text that reads them.
pub(super) fn context_reads(program: &Program) -> Vec<(u16, Option<Span>)> {
    let mut found = Vec::new();
    let Some(entry) = program.funcs.first() else {
        return found;
    };
    let insts = || entry.blocks.iter().flat_map(|block| &block.insts);
    let mut ctx: Vec<VReg> = insts()
        .filter_map(|inst| match inst.op {
            Op::Ctx { dst } => Some(dst),
            _ => None,
        })
        .collect();
    for inst in insts() {
        match inst.op {
            Op::Mov {
                dst,
                src: Opnd::Reg(src),
            } if ctx.contains(&src) => ctx.push(dst),
            Op::Load { base, off, .. } if ctx.contains(&base) => {
                found.extend(u16::try_from(off).ok().map(|off| (off & !7, inst.span)));
            }
            _ => {}
        }
    }
    found
}

/// Changes `program`, which is number `index` of its object, to keep what it learns: first `regs`, bytes into its context.
/// With `mute` its own output is left out.
pub(super) fn tap(program: &mut Program, index: u32, regs: &[u16], plan: &Plan, mute: bool) {
    for (number, func) in program.funcs.iter_mut().enumerate() {
        if mute {
            silence(func);
        }
        let mut tapper = Tapper {
            plan,
            index,
            empty: HEADER as i64 + 8 * regs.len() as i64,
            base: VReg(func.vregs),
            ctx: VReg(func.vregs + 1),
            span: None,
            func,
            at: BlockId(0),
        };
        tapper.func.vregs += 2;
        if number == 0 {
            tapper.entry(regs);
        } else {
            tapper.callback();
        }
    }
}

/// Takes the calls out that send the script's records.
fn silence(func: &mut Func) {
    for inst in func.blocks.iter_mut().flat_map(|block| &mut block.insts) {
        if let Op::Call {
            dst,
            helper: OUTPUT,
            ..
        } = inst.op
        {
            inst.op = Op::Mov {
                dst: dst.unwrap_or(VReg(func.vregs)),
                src: Opnd::Imm(0),
            };
        }
    }
    // Where nobody wanted the answer, it goes to a register of its own.
    func.vregs += 1;
}

struct Tapper<'f> {
    plan: &'f Plan,
    index: u32,
    func: &'f mut Func,
    /// Bytes of a part without items.
    empty: i64,
    /// The buffer; 0 in a callback that found none.
    base: VReg,
    ctx: VReg,
    span: Option<Span>,
    at: BlockId,
}

impl Tapper<'_> {
    fn entry(&mut self, regs: &[u16]) {
        let old = self.func.blocks.len();
        self.take_context();
        self.answers(old, true);
        self.exits();
        self.span = None;
        // The old entry moves to make room for the prologue.
        let moved = self.block();
        for block in &mut self.func.blocks {
            retarget(&mut block.term, BlockId(0), moved);
        }
        self.func.blocks.swap(0, moved.0 as usize);
        self.at = BlockId(0);
        self.push(Op::Ctx { dst: self.ctx });
        self.take_buffer(moved, regs);
    }

    fn callback(&mut self) {
        let old = self.func.blocks.len();
        if !tapped(self.func) {
            return;
        }
        self.answers(old, false);
        self.span = None;
        let moved = self.block();
        for block in &mut self.func.blocks {
            retarget(&mut block.term, BlockId(0), moved);
        }
        self.func.blocks.swap(0, moved.0 as usize);
        // Arguments must be taken in the entry block, before anything is called.
        let insts = std::mem::take(&mut self.func.blocks[moved.0 as usize].insts);
        let (args, rest) = insts
            .into_iter()
            .partition(|inst| matches!(inst.op, Op::Arg { .. }));
        self.func.blocks[0].insts = args;
        self.func.blocks[moved.0 as usize].insts = rest;
        self.at = BlockId(0);
        self.find_buffer(moved);
    }

    /// The register of the context becomes ours: it is set before all else.
    fn take_context(&mut self) {
        let entry = &mut self.func.blocks[0].insts;
        let at = entry
            .iter()
            .position(|inst| matches!(inst.op, Op::Ctx { .. }));
        if let Some(at) = at
            && let Op::Ctx { dst } = entry.remove(at).op
        {
            self.ctx = dst;
        }
    }

    /// Notes the answer behind each call of the first `old` blocks that tells something.
    fn answers(&mut self, old: usize, may_send: bool) {
        for number in 0..old {
            let insts = std::mem::take(&mut self.func.blocks[number].insts);
            let term =
                std::mem::replace(&mut self.func.blocks[number].term, Term::Exit(Opnd::Imm(0)));
            let term_span = self.func.blocks[number].term_span;
            self.at = BlockId(u32::try_from(number).unwrap_or(u32::MAX));
            for Inst { op, span } in insts {
                self.span = span;
                match op {
                    Op::Call { dst, helper, args } if is_told(helper) => {
                        self.call(dst, helper, args, may_send);
                    }
                    op => self.push(op),
                }
            }
            let block = &mut self.func.blocks[self.at.0 as usize];
            block.term = term;
            block.term_span = term_span;
        }
    }

    fn call(&mut self, dst: Option<VReg>, helper: u32, args: Vec<Opnd>, may_send: bool) {
        // The call may write the registers that it reads.
        let args: Vec<Opnd> = args
            .into_iter()
            .map(|arg| match arg {
                Opnd::Reg(reg) if dst == Some(reg) => self.mov(arg).into(),
                arg => arg,
            })
            .collect();
        let answer = dst.unwrap_or_else(|| self.vreg());
        self.push(Op::Call {
            dst: Some(answer),
            helper,
            args: args.clone(),
        });
        let (after, add) = (self.block(), self.block());
        if !may_send {
            let found = self.block();
            self.branch(Cond::Eq, self.base, 0, after, found);
            self.at = found;
        }
        let used = self.load(Size::DW, self.base, USED);
        let full = i64::from(self.plan.full);
        if may_send {
            let send = self.block();
            self.branch(Cond::Gt, used, full, send, add);
            self.at = send;
            self.send(TAP);
            self.push(Op::Mov {
                dst: used,
                src: Opnd::Imm(self.empty),
            });
            self.end(Term::Goto(add));
        } else {
            // No room: what is not kept is missed when it is asked for.
            self.branch(Cond::Gt, used, full, after, add);
        }
        self.at = add;
        self.add(helper, &args, answer, used);
        self.end(Term::Goto(after));
        self.at = after;
    }

    /// Adds an item at `used`, which is within bounds.
    fn add(&mut self, helper: u32, args: &[Opnd], answer: VReg, used: VReg) {
        let item = self.alu(AluOp::Add, self.base, used);
        let len = self.mov(Opnd::Imm(0));
        let mut addr = match (helper, args) {
            (STACK_ID, &[.., flags]) | (STACK, &[.., flags]) => flags,
            _ => Opnd::Imm(0),
        };
        if READS.contains(&helper)
            && let &[to, size, from, ..] = args
        {
            addr = from;
            let (copy, done) = (self.block(), self.block());
            let size = if helper == READ_USER_STR {
                answer.into()
            } else {
                let read = self.block();
                self.branch(Cond::Eq, answer, 0, read, done);
                self.at = read;
                size
            };
            let room = i64::from(self.plan.room);
            match size {
                Opnd::Imm(size) if (0..=room).contains(&size) => self.end(Term::Goto(copy)),
                // An error is a very big number.
                size => self.branch(Cond::Gt, size, room, done, copy),
            }
            self.at = copy;
            self.push(Op::Mov {
                dst: len,
                src: size,
            });
            let data = self.alu(AluOp::Add, item, PART_ITEM);
            self.call_helper(READ_KERNEL, &[data.into(), size, to]);
            self.end(Term::Goto(done));
            self.at = done;
        }
        self.store(Size::W, item, PART, len);
        self.store(Size::W, item, PART + 4, i64::from(helper));
        self.store(Size::DW, item, PART + 8, addr);
        self.store(Size::DW, item, PART + 16, answer);
        let end = self.alu(AluOp::Add, used, len);
        let end = self.alu(AluOp::Add, end, ITEM as i64 + 7);
        let end = self.alu(AluOp::And, end, -8);
        self.store(Size::DW, self.base, USED, end);
    }

    /// Takes one of the CPU's free buffers and begins a part; then on to `body`.
    fn take_buffer(&mut self, body: BlockId, regs: &[u16]) {
        let key = self.key();
        let number = self.mov(Opnd::Imm(0));
        let (look, found, none, start) = (self.block(), self.block(), self.block(), self.block());
        self.end(Term::Goto(look));
        self.at = look;
        self.lookup(key, number.into());
        self.branch(Cond::Eq, self.base, 0, none, found);
        self.at = found;
        if self.plan.atomics {
            let next = self.block();
            let one = self.mov(Opnd::Imm(1));
            let old = self.vreg();
            self.push(Op::Atomic {
                op: AtomicOp::Xchg,
                size: Size::DW,
                base: self.base,
                off: BUSY,
                src: one,
                dst: Some(old),
                expect: None,
            });
            self.branch(Cond::Eq, old, 0, start, next);
            self.at = next;
            self.push(Op::Alu {
                op: AluOp::Add,
                width: Width::W64,
                dst: number,
                a: number.into(),
                b: Opnd::Imm(1),
            });
            self.branch(Cond::Ne, number, i64::from(SLOTS), look, none);
        } else {
            self.store(Size::DW, self.base, BUSY, 1);
            self.end(Term::Goto(start));
        }
        // The script runs on, into a buffer that is never sent.
        self.at = none;
        self.count_lost();
        self.lookup(key, Opnd::Imm(i64::from(SLOTS)));
        let gone = self.block();
        self.branch(Cond::Eq, self.base, 0, gone, start);
        self.at = gone;
        self.end(Term::Exit(Opnd::Imm(0)));
        self.at = start;
        let base = self.base;
        let head = i64::from(self.index | TAP << 16);
        self.store(Size::W, base, PART + 4, head);
        for (helper, at) in [(PID_TGID, 8), (UID_GID, 16), (BOOT_NS, 24)] {
            let answer = self.call_helper(helper, &[]);
            self.store(Size::DW, base, PART + at, answer);
        }
        let comm = self.alu(AluOp::Add, base, i64::from(PART) + 32);
        self.call_helper(COMM, &[comm.into(), Opnd::Imm(16)]);
        let mut at = PART + 48;
        for reg in regs {
            let value = self.load(Size::DW, self.ctx, i16::try_from(*reg).unwrap_or(0));
            self.store(Size::DW, base, at, value);
            at += 8;
        }
        self.store(Size::DW, base, USED, self.empty);
        self.end(Term::Goto(body));
    }

    /// Finds the buffer that the program took: its own, in use, of this thread.
    fn find_buffer(&mut self, body: BlockId) {
        let key = self.key();
        let number = self.mov(Opnd::Imm(0));
        let me = self.call_helper(PID_TGID, &[]);
        let (look, found, thread, program, next, none) = (
            self.block(),
            self.block(),
            self.block(),
            self.block(),
            self.block(),
            self.block(),
        );
        self.end(Term::Goto(look));
        self.at = look;
        self.lookup(key, number.into());
        self.branch(Cond::Eq, self.base, 0, none, found);
        self.at = found;
        let busy = self.load(Size::DW, self.base, BUSY);
        self.branch(Cond::Eq, busy, 0, next, thread);
        self.at = thread;
        let whose = self.load(Size::DW, self.base, PART + 8);
        self.branch(Cond::Ne, whose, me, next, program);
        self.at = program;
        let head = self.load(Size::W, self.base, PART + 4);
        let own = i64::from(self.index | TAP << 16);
        self.branch(Cond::Eq, head, own, body, next);
        self.at = next;
        self.push(Op::Alu {
            op: AluOp::Add,
            width: Width::W64,
            dst: number,
            a: number.into(),
            b: Opnd::Imm(1),
        });
        self.branch(Cond::Ne, number, i64::from(SLOTS), look, none);
        self.at = none;
        self.push(Op::Mov {
            dst: self.base,
            src: Opnd::Imm(0),
        });
        self.end(Term::Goto(body));
    }

    /// Sends the last part where the program ends, and gives the buffer back.
    fn exits(&mut self) {
        let (answer, over) = (self.vreg(), self.block());
        for number in 0..self.func.blocks.len() - 1 {
            let block = &mut self.func.blocks[number];
            if let Term::Exit(value) = block.term {
                block.insts.push(Inst {
                    op: Op::Mov {
                        dst: answer,
                        src: value,
                    },
                    span: None,
                });
                block.term = Term::Goto(over);
            }
        }
        self.at = over;
        self.send(TAP | LAST);
        self.store(Size::DW, self.base, BUSY, 0);
        self.end(Term::Exit(answer.into()));
    }

    /// Sends the part, if the buffer is a real one.
    fn send(&mut self, flags: u32) {
        let (real, sane, lost, on) = (self.block(), self.block(), self.block(), self.block());
        let base = self.base;
        let busy = self.load(Size::DW, base, BUSY);
        self.branch(Cond::Eq, busy, 0, on, real);
        self.at = real;
        let len = self.load(Size::DW, base, USED);
        let most = i64::from(self.plan.part_max());
        self.branch(Cond::Gt, len, most, on, sane);
        self.at = sane;
        self.store(Size::W, base, PART, len);
        self.store(Size::W, base, PART + 4, i64::from(self.index | flags << 16));
        let data = self.alu(AluOp::Add, base, i64::from(PART));
        let ring = self.vreg();
        self.push(Op::Map {
            dst: ring,
            map: self.plan.ring,
        });
        let args = [
            self.ctx.into(),
            ring.into(),
            Opnd::Imm(CURRENT_CPU),
            data.into(),
            len.into(),
        ];
        let sent = self.call_helper(OUTPUT, &args);
        self.branch(Cond::Eq, sent, 0, on, lost);
        self.at = lost;
        self.count_lost();
        self.end(Term::Goto(on));
        self.at = on;
    }

    fn count_lost(&mut self) {
        let counter = self.vreg();
        self.push(Op::MapValue {
            dst: counter,
            map: self.plan.lost,
            off: self.index * 8,
        });
        let one = self.mov(Opnd::Imm(1));
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

    fn key(&mut self) -> SlotId {
        self.func.slots.push(Slot { size: 4, align: 4 });
        SlotId(u32::try_from(self.func.slots.len() - 1).unwrap_or(u32::MAX))
    }

    /// The buffer of that number, in `base`.
    fn lookup(&mut self, slot: SlotId, number: Opnd) {
        let (key, map) = (self.vreg(), self.vreg());
        self.push(Op::Slot {
            dst: key,
            slot,
            off: 0,
        });
        self.store(Size::W, key, 0, number);
        self.push(Op::Map {
            dst: map,
            map: self.plan.buffers,
        });
        self.push(Op::Call {
            dst: Some(self.base),
            helper: LOOKUP,
            args: vec![map.into(), key.into()],
        });
    }

    fn vreg(&mut self) -> VReg {
        self.func.vregs += 1;
        VReg(self.func.vregs - 1)
    }

    fn block(&mut self) -> BlockId {
        self.func.blocks.push(Block {
            insts: Vec::new(),
            term: Term::Exit(Opnd::Imm(0)),
            term_span: None,
        });
        BlockId(u32::try_from(self.func.blocks.len() - 1).unwrap_or(u32::MAX))
    }

    fn push(&mut self, op: Op) {
        let span = self.span;
        self.func.blocks[self.at.0 as usize]
            .insts
            .push(Inst { op, span });
    }

    fn end(&mut self, term: Term) {
        self.func.blocks[self.at.0 as usize].term = term;
    }

    fn branch(
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

    fn mov(&mut self, src: Opnd) -> VReg {
        let dst = self.vreg();
        self.push(Op::Mov { dst, src });
        dst
    }

    fn alu(&mut self, op: AluOp, a: VReg, b: impl Into<Opnd>) -> VReg {
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

    fn load(&mut self, size: Size, base: VReg, off: i16) -> VReg {
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

    fn store(&mut self, size: Size, base: VReg, off: i16, src: impl Into<Opnd>) {
        self.push(Op::Store {
            size,
            base,
            off,
            src: src.into(),
        });
    }

    fn call_helper(&mut self, helper: u32, args: &[Opnd]) -> VReg {
        let dst = self.vreg();
        self.push(Op::Call {
            dst: Some(dst),
            helper,
            args: args.to_vec(),
        });
        dst
    }
}

fn is_told(helper: u32) -> bool {
    READS.contains(&helper) || NUMBERS.contains(&helper)
}

fn tapped(func: &Func) -> bool {
    let mut insts = func.blocks.iter().flat_map(|block| &block.insts);
    insts.any(|inst| matches!(inst.op, Op::Call { helper, .. } if is_told(helper)))
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
