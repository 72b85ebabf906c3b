//! What a recorded program does besides: it keeps what it learns of the world, and sends that when it ends.
//!
//! A pass over finished three-address code. Each program takes one of its CPU's buffers at its start and notes there
//! who it runs for, the time, and the registers. Behind each call that tells something (memory of the process, a
//! clock, a random number) the answer is noted. At its end the buffer goes to the ring that the script's output goes
//! to; earlier when it is full, which makes several parts of one hit.
//!
//! ```text
//! buffer := u64 in use · u64 bytes of the part · u64 time (`spec::STAMP`) · part
//! part   := u32 length · u32 program | flags << 16 · u64 pid, tid · u64 gid, uid · u64 boot time · 16 bytes comm ·
//!           u64 for each register kept · item*
//! item   := u32 bytes of data · u32 helper · u64 address · u64 answer · the data, padded to 8
//! ```

use crate::{
    asm::{AluOp, AtomicOp, Cond, Size, Width},
    ir::{BlockId, Func, FuncBuilder, Inst, Op, Opnd, Program, SlotId, Term, VReg},
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
const STAMP: i16 = 16;
const PART: i16 = 24;

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

const LOOKUP: u32 = 1;
const COMM: u32 = 16;
const PID_TGID: u32 = 14;
const UID_GID: u32 = 15;
const OUTPUT: u32 = 25;
pub(super) const STACK_ID: u32 = 27;
pub(super) const STACK: u32 = 67;
pub(super) const CGROUP: u32 = 80;
const READ_USER: u32 = 112;
const READ_KERNEL: u32 = 113;
const READ_USER_STR: u32 = 114;
const BOOT_NS: u32 = 125;
const COPY_USER: u32 = 148;

/// Helpers whose number is noted: clocks, random numbers, and what the kernel alone knows. Of a stack that is its id or
/// its length, with the flags that ask for it as the address.
pub(super) const NUMBERS: &[u32] = &[
    5, 7, STACK_ID, 35, 42, STACK, CGROUP, 118, BOOT_NS, 160, 173, 174, 208,
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
        24 + self.part_max()
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
        if number > 0 && !tapped(func) {
            continue;
        }
        let empty = Func {
            name: String::new(),
            blocks: Vec::new(),
            slots: Vec::new(),
            vregs: 0,
        };
        let mut f = FuncBuilder::resume(std::mem::replace(func, empty));
        let (base, ctx) = (f.vreg(), f.vreg());
        let mut tapper = Tapper {
            plan,
            index,
            empty: HEADER as i64 + 8 * regs.len() as i64,
            base,
            ctx,
            f,
        };
        if number == 0 {
            tapper.entry(regs);
        } else {
            tapper.callback();
        }
        *func = tapper.f.finish();
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

struct Tapper<'p> {
    plan: &'p Plan,
    index: u32,
    f: FuncBuilder,
    /// Bytes of a part without items.
    empty: i64,
    /// The buffer; 0 in a callback that found none.
    base: VReg,
    ctx: VReg,
}

impl Tapper<'_> {
    fn entry(&mut self, regs: &[u16]) {
        let old = self.f.len();
        self.take_context();
        self.answers(old, true);
        self.exits();
        // The old entry moves to make room for the prologue.
        let moved = self.f.move_entry();
        self.f.push(Op::Ctx { dst: self.ctx });
        self.take_buffer(moved, regs);
    }

    fn callback(&mut self) {
        let old = self.f.len();
        self.answers(old, false);
        let moved = self.f.move_entry();
        // Arguments must be taken in the entry block, before anything is called.
        let (insts, end) = self.f.reopen(moved);
        let (args, rest): (Vec<Inst>, Vec<Inst>) = insts
            .into_iter()
            .partition(|inst| matches!(inst.op, Op::Arg { .. }));
        self.put(rest, end);
        self.f.switch_to(BlockId(0));
        self.put(args, None);
        self.find_buffer(moved);
    }

    /// Appends to the current block, and ends it.
    fn put(&mut self, insts: Vec<Inst>, end: Option<(Term, Option<Span>)>) {
        for Inst { op, span } in insts {
            self.f.set_span(span);
            self.f.push(op);
        }
        if let Some((term, span)) = end {
            self.f.set_span(span);
            self.f.end(term);
        }
        self.f.set_span(None);
    }

    /// The register of the context becomes ours: it is set before all else.
    fn take_context(&mut self) {
        let (mut insts, end) = self.f.reopen(BlockId(0));
        let at = insts
            .iter()
            .position(|inst| matches!(inst.op, Op::Ctx { .. }));
        if let Some(at) = at
            && let Op::Ctx { dst } = insts.remove(at).op
        {
            self.ctx = dst;
        }
        self.put(insts, end);
    }

    /// Notes the answer behind each call of the first `old` blocks that tells something.
    fn answers(&mut self, old: usize, may_send: bool) {
        for number in 0..old {
            let block = BlockId(u32::try_from(number).unwrap_or(u32::MAX));
            let (insts, end) = self.f.reopen(block);
            for Inst { op, span } in insts {
                self.f.set_span(span);
                match op {
                    Op::Call { dst, helper, args } if is_told(helper) => {
                        self.call(dst, helper, args, may_send);
                    }
                    op => self.f.push(op),
                }
            }
            self.put(Vec::new(), end);
        }
    }

    fn call(&mut self, dst: Option<VReg>, helper: u32, args: Vec<Opnd>, may_send: bool) {
        // The call may write the registers that it reads.
        let args: Vec<Opnd> = args
            .into_iter()
            .map(|arg| match arg {
                Opnd::Reg(reg) if dst == Some(reg) => self.f.mov(arg).into(),
                arg => arg,
            })
            .collect();
        let answer = dst.unwrap_or_else(|| self.f.vreg());
        self.f.push(Op::Call {
            dst: Some(answer),
            helper,
            args: args.clone(),
        });
        let (after, add) = (self.f.block(), self.f.block());
        if !may_send {
            let found = self.f.block();
            self.f.branch(Cond::Eq, self.base, 0, after, found);
            self.f.switch_to(found);
        }
        let used = self.f.load(Size::DW, self.base, USED);
        let full = i64::from(self.plan.full);
        if may_send {
            let send = self.f.block();
            self.f.branch(Cond::Gt, used, full, send, add);
            self.f.switch_to(send);
            self.send(TAP);
            self.f.set(used, self.empty);
            self.f.end(Term::Goto(add));
        } else {
            // No room: what is not kept is missed when it is asked for.
            self.f.branch(Cond::Gt, used, full, after, add);
        }
        self.f.switch_to(add);
        self.add(helper, &args, answer, used);
        self.f.end(Term::Goto(after));
        self.f.switch_to(after);
    }

    /// Adds an item at `used`, which is within bounds.
    fn add(&mut self, helper: u32, args: &[Opnd], answer: VReg, used: VReg) {
        let item = self.f.alu(AluOp::Add, self.base, used);
        let len = self.f.mov(Opnd::Imm(0));
        let mut addr = match (helper, args) {
            (STACK_ID, &[.., flags]) | (STACK, &[.., flags]) => flags,
            _ => Opnd::Imm(0),
        };
        if READS.contains(&helper)
            && let &[to, size, from, ..] = args
        {
            addr = from;
            let (copy, done) = (self.f.block(), self.f.block());
            let size = if helper == READ_USER_STR {
                answer.into()
            } else {
                let read = self.f.block();
                self.f.branch(Cond::Eq, answer, 0, read, done);
                self.f.switch_to(read);
                size
            };
            let room = i64::from(self.plan.room);
            match size {
                Opnd::Imm(size) if (0..=room).contains(&size) => self.f.end(Term::Goto(copy)),
                // An error is a very big number.
                size => self.f.branch(Cond::Gt, size, room, done, copy),
            }
            self.f.switch_to(copy);
            self.f.set(len, size);
            let data = self.f.alu(AluOp::Add, item, PART_ITEM);
            self.f.call(READ_KERNEL, &[data.into(), size, to]);
            self.f.end(Term::Goto(done));
            self.f.switch_to(done);
        }
        self.f.store(Size::W, item, PART, len);
        self.f.store(Size::W, item, PART + 4, i64::from(helper));
        self.f.store(Size::DW, item, PART + 8, addr);
        self.f.store(Size::DW, item, PART + 16, answer);
        let end = self.f.alu(AluOp::Add, used, len);
        let end = self.f.alu(AluOp::Add, end, ITEM as i64 + 7);
        let end = self.f.alu(AluOp::And, end, -8);
        self.f.store(Size::DW, self.base, USED, end);
    }

    /// Takes one of the CPU's free buffers and begins a part; then on to `body`.
    fn take_buffer(&mut self, body: BlockId, regs: &[u16]) {
        let key = self.f.slot(4, 4);
        let number = self.f.mov(Opnd::Imm(0));
        let (look, found, none, start) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        self.f.end(Term::Goto(look));
        self.f.switch_to(look);
        self.lookup(key, number.into());
        self.f.branch(Cond::Eq, self.base, 0, none, found);
        self.f.switch_to(found);
        if self.plan.atomics {
            let next = self.f.block();
            let one = self.f.mov(Opnd::Imm(1));
            let old = self.f.vreg();
            self.f.push(Op::Atomic {
                op: AtomicOp::Xchg,
                size: Size::DW,
                base: self.base,
                off: BUSY,
                src: one,
                dst: Some(old),
                expect: None,
            });
            self.f.branch(Cond::Eq, old, 0, start, next);
            self.f.switch_to(next);
            self.f.push(Op::Alu {
                op: AluOp::Add,
                width: Width::W64,
                dst: number,
                a: number.into(),
                b: Opnd::Imm(1),
            });
            self.f
                .branch(Cond::Ne, number, i64::from(SLOTS), look, none);
        } else {
            self.f.store(Size::DW, self.base, BUSY, 1);
            self.f.end(Term::Goto(start));
        }
        // The script runs on, into a buffer that is never sent.
        self.f.switch_to(none);
        self.count_lost();
        self.lookup(key, Opnd::Imm(i64::from(SLOTS)));
        let gone = self.f.block();
        self.f.branch(Cond::Eq, self.base, 0, gone, start);
        self.f.switch_to(gone);
        self.f.end(Term::Exit(Opnd::Imm(0)));
        self.f.switch_to(start);
        let base = self.base;
        let head = i64::from(self.index | TAP << 16);
        self.f.store(Size::W, base, PART + 4, head);
        for (helper, at) in [(PID_TGID, 8), (UID_GID, 16), (BOOT_NS, 24)] {
            let answer = self.f.call(helper, &[]);
            self.f.store(Size::DW, base, PART + at, answer);
        }
        let comm = self.f.alu(AluOp::Add, base, i64::from(PART) + 32);
        self.f.call(COMM, &[comm.into(), Opnd::Imm(16)]);
        let mut at = PART + 48;
        for reg in regs {
            let value = self
                .f
                .load(Size::DW, self.ctx, i16::try_from(*reg).unwrap_or(0));
            self.f.store(Size::DW, base, at, value);
            at += 8;
        }
        self.f.store(Size::DW, base, USED, self.empty);
        self.f.end(Term::Goto(body));
    }

    /// Finds the buffer that the program took: its own, in use, of this thread.
    fn find_buffer(&mut self, body: BlockId) {
        let key = self.f.slot(4, 4);
        let number = self.f.mov(Opnd::Imm(0));
        let me = self.f.call(PID_TGID, &[]);
        let (look, found, thread, program, next, none) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        self.f.end(Term::Goto(look));
        self.f.switch_to(look);
        self.lookup(key, number.into());
        self.f.branch(Cond::Eq, self.base, 0, none, found);
        self.f.switch_to(found);
        let busy = self.f.load(Size::DW, self.base, BUSY);
        self.f.branch(Cond::Eq, busy, 0, next, thread);
        self.f.switch_to(thread);
        let whose = self.f.load(Size::DW, self.base, PART + 8);
        self.f.branch(Cond::Ne, whose, me, next, program);
        self.f.switch_to(program);
        let head = self.f.load(Size::W, self.base, PART + 4);
        let own = i64::from(self.index | TAP << 16);
        self.f.branch(Cond::Eq, head, own, body, next);
        self.f.switch_to(next);
        self.f.push(Op::Alu {
            op: AluOp::Add,
            width: Width::W64,
            dst: number,
            a: number.into(),
            b: Opnd::Imm(1),
        });
        self.f
            .branch(Cond::Ne, number, i64::from(SLOTS), look, none);
        self.f.switch_to(none);
        self.f.set(self.base, 0);
        self.f.end(Term::Goto(body));
    }

    /// Sends the last part where the program ends, and gives the buffer back.
    fn exits(&mut self) {
        let (answer, old) = (self.f.vreg(), self.f.len());
        let over = self.f.block();
        for number in 0..old {
            let block = BlockId(u32::try_from(number).unwrap_or(u32::MAX));
            let (insts, end) = self.f.reopen(block);
            if let Some((Term::Exit(value), span)) = end {
                self.put(insts, None);
                self.f.set(answer, value);
                self.put(Vec::new(), Some((Term::Goto(over), span)));
            } else {
                self.put(insts, end);
            }
        }
        self.f.switch_to(over);
        self.send(TAP | LAST);
        self.f.store(Size::DW, self.base, BUSY, 0);
        self.f.end(Term::Exit(answer.into()));
    }

    /// Sends the part, if the buffer is a real one.
    fn send(&mut self, flags: u32) {
        let (real, sane, lost, on) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        let base = self.base;
        let busy = self.f.load(Size::DW, base, BUSY);
        self.f.branch(Cond::Eq, busy, 0, on, real);
        self.f.switch_to(real);
        let len = self.f.load(Size::DW, base, USED);
        let most = i64::from(self.plan.part_max());
        self.f.branch(Cond::Gt, len, most, on, sane);
        self.f.switch_to(sane);
        self.f.store(Size::W, base, PART, len);
        self.f
            .store(Size::W, base, PART + 4, i64::from(self.index | flags << 16));
        let now = self.f.stamp();
        self.f.store(Size::DW, base, STAMP, now);
        let data = self.f.alu(AluOp::Add, base, i64::from(STAMP));
        let len = self.f.alu(AluOp::Add, len, i64::from(PART - STAMP));
        let sent = self.f.send(self.ctx, self.plan.ring, data, len.into());
        self.f.branch(Cond::Eq, sent, 0, on, lost);
        self.f.switch_to(lost);
        self.count_lost();
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
    }

    fn count_lost(&mut self) {
        self.f.count(self.plan.lost, self.index * 8);
    }

    /// The buffer of that number, in `base`.
    fn lookup(&mut self, slot: SlotId, number: Opnd) {
        let (key, map) = (self.f.vreg(), self.f.vreg());
        self.f.push(Op::Slot {
            dst: key,
            slot,
            off: 0,
        });
        self.f.store(Size::W, key, 0, number);
        self.f.push(Op::Map {
            dst: map,
            map: self.plan.buffers,
        });
        self.f.push(Op::Call {
            dst: Some(self.base),
            helper: LOOKUP,
            args: vec![map.into(), key.into()],
        });
    }
}

fn is_told(helper: u32) -> bool {
    READS.contains(&helper) || NUMBERS.contains(&helper)
}

fn tapped(func: &Func) -> bool {
    let mut insts = func.blocks.iter().flat_map(|block| &block.insts);
    insts.any(|inst| matches!(inst.op, Op::Call { helper, .. } if is_told(helper)))
}
