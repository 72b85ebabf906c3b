//! `dw_ustack`: the stack of a program without frame pointers, walked with the tables of [`crate::spec::Caller`].
//!
//! Everything that changes from frame to frame lives in scratch memory, of which the verifier knows nothing: it sees the
//! body of each loop once. Where a process or an address has no row, the frame pointer is followed.
//!
//! ```text
//! u64 frame[127] · u64 mark · u64 ip · u64 sp · u64 fp · u64 at · u64 word · u32 frames · u32 low · u32 high · u32 key
//! ```

use super::{
    helper,
    program::{Lower, Restart},
    record::Addr,
};
use crate::{
    asm::{AluOp, Cond, Size},
    ir::{BlockId, Op, Opnd, Term, VReg},
    lang::ast::Expr,
    spec::{Arch, Caller, UNWIND_BLOCK, UNWIND_HEAD, UNWIND_RANGE, UNWIND_RANGES, UNWIND_ROW},
};

/// Frames of a stack at most.
const FRAMES: u32 = 127;

/// Places in memory.
const MARK: u32 = 8 * FRAMES;
const IP: u32 = MARK + 8;
const SP: u32 = IP + 8;
const FP: u32 = SP + 8;
const AT: u32 = FP + 8;
const WORD: u32 = AT + 8;
const COUNT: u32 = WORD + 8;
const LOW: u32 = COUNT + 4;
const HIGH: u32 = LOW + 4;
const KEY: u32 = HIGH + 4;
const SIZE: u32 = KEY + 4;

/// Bytes of a stack in its map: the frames, and a number that tells it from others with the same id.
pub(super) const WALKED_STACK: u32 = MARK + 8;

/// `rbp` in `struct pt_regs` of x86-64.
const RBP: u16 = 32;

/// Ids that are tried for a stack.
const TRIES: i64 = 4;

/// An odd number with bits everywhere: the golden ratio in 64 bits.
const MIX: i64 = 0x9e37_79b9_7f4a_7c15_u64.cast_signed();

/// `struct ucontext` of x86-64: where the registers of an interrupted function are (`arch/x86/include/uapi/asm/sigcontext.h`
/// from byte 40 on).
const UCONTEXT: [(u32, i64); 3] = [(FP, 0x78), (IP, 0xa8), (SP, 0xa0)];

/// What the blocks of a walk share.
struct Walk {
    /// Memory.
    m: Addr,
    /// The process's entry, or 0.
    process: VReg,
    /// The next frame.
    head: BlockId,
    /// By the frame pointer.
    chain: BlockId,
    done: BlockId,
}

impl Lower<'_> {
    /// Walks the stack of the process that the program runs for; its id and how many frames it has.
    pub(super) fn walked_stack(
        &mut self,
        expr: &Expr,
        depth: u32,
    ) -> Result<(Opnd, Opnd), Restart> {
        if self.target.arch != Arch::X86_64 {
            return self.fail(expr, "`dw_ustack` is for x86-64");
        }
        if !self.target.features.may_goto {
            return self.fail(expr, "`dw_ustack` needs a kernel with may_goto (6.9)");
        }
        let m = self.alloc(SIZE)?;
        self.zero(m, SIZE)?;
        let ctx = self.ctx();
        let regs = [(IP, self.abi.ip), (SP, self.abi.sp), (FP, RBP)];
        for (to, reg) in regs {
            let value = self.f.load(Size::DW, ctx, reg.cast_signed());
            self.store_at(m.plus(to), Size::DW, value.into());
        }
        let both = self.f.call(helper::GET_CURRENT_PID_TGID, &[]);
        let pid = self.f.alu(AluOp::Rsh, both, 32);
        self.store_at(m.plus(KEY), Size::W, pid.into());
        let map = self.shared.unwind_processes();
        let process = self.entry(map, m);
        let [head, body, chain, done] = std::array::from_fn(|_| self.f.block());
        let walk = Walk {
            m,
            process,
            head,
            chain,
            done,
        };
        self.f.end(Term::Goto(head));
        self.f.switch_to(head);
        self.f.end(Term::MayGoto {
            go: body,
            stop: done,
        });
        self.f.switch_to(body);
        let pc = self.frame(&walk, depth.min(FRAMES));
        self.find_range(&walk, pc);
        self.find_row(&walk);
        self.step_by_row(&walk);
        self.f.switch_to(chain);
        self.step_by_frame(&walk);
        self.f.switch_to(done);
        Ok(self.keep_stack(m))
    }

    /// The entry of a map under the key in memory, or 0.
    fn entry(&mut self, map: u32, m: Addr) -> VReg {
        let ptr = self.f.vreg();
        self.f.push(Op::Map { dst: ptr, map });
        let key = self.addr_reg(m.plus(KEY));
        self.f
            .call(helper::MAP_LOOKUP_ELEM, &[ptr.into(), key.into()])
    }

    /// Goes on in a new block if `cond` does not hold, and to `out` if it does.
    fn unless(&mut self, cond: Cond, a: impl Into<Opnd>, b: impl Into<Opnd>, out: BlockId) {
        let on = self.f.block();
        self.f.branch(cond, a, b, out, on);
        self.f.switch_to(on);
    }

    /// Notes the instruction as a frame; the address that its row is looked for by.
    fn frame(&mut self, w: &Walk, depth: u32) -> VReg {
        let m = w.m;
        let count = self.load_at(m.plus(COUNT), Size::W, false);
        self.unless(Cond::Ge, count, i64::from(depth), w.done);
        let ip = self.load_at(m.plus(IP), Size::DW, false);
        // The kernel's addresses are in the upper half: a timer that fired there has no registers of the process.
        self.unless(Cond::Sle, ip, 0, w.done);
        let into = self.f.alu(AluOp::Lsh, count, 3);
        let base = self.addr_reg(m);
        let at = self.f.alu(AluOp::Add, base, into);
        self.store_at(Addr { base: at, off: 0 }, Size::DW, ip.into());
        let next = self.f.alu(AluOp::Add, count, 1);
        self.store_at(m.plus(COUNT), Size::W, next.into());
        let mark = self.load_at(m.plus(MARK), Size::DW, false);
        let mark = self.f.alu(AluOp::Xor, mark, ip);
        let mark = self.f.alu(AluOp::Mul, mark, MIX);
        let high = self.f.alu(AluOp::Rsh, mark, 32);
        let mark = self.f.alu(AluOp::Xor, mark, high);
        self.store_at(m.plus(MARK), Size::DW, mark.into());
        // A call may be the last instruction of its function: the return address is then another's.
        let pc = self.f.mov(ip);
        let (call, on) = (self.f.block(), self.f.block());
        self.f.branch(Cond::Eq, count, 0, on, call);
        self.f.switch_to(call);
        let before = self.f.alu(AluOp::Sub, ip, 1);
        self.f.set(pc, before);
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        self.unless(Cond::Eq, w.process, 0, w.chain);
        pc
    }

    /// Looks for the range of the process that `pc` is in: its vaddr and the rows to search.
    fn find_range(&mut self, w: &Walk, pc: VReg) {
        let m = w.m;
        self.store_at(m.plus(AT), Size::DW, pc.into());
        self.store_at(m.plus(LOW), Size::W, Opnd::Imm(0));
        let (head, body, next) = (self.f.block(), self.f.block(), self.f.block());
        self.f.end(Term::Goto(head));
        self.f.switch_to(head);
        self.f.end(Term::MayGoto {
            go: body,
            stop: w.chain,
        });
        self.f.switch_to(body);
        let at = self.load_at(m.plus(LOW), Size::W, false);
        self.unless(Cond::Ge, at, i64::from(UNWIND_RANGES), w.chain);
        let ranges = self.f.load(Size::W, w.process, 0);
        self.unless(Cond::Ge, at, ranges, w.chain);
        let after = self.f.alu(AluOp::Add, at, 1);
        self.store_at(m.plus(LOW), Size::W, after.into());
        let into = self.f.alu(AluOp::Mul, at, i64::from(UNWIND_RANGE));
        let range = self.f.alu(AluOp::Add, w.process, into);
        let field = |n: u32| (UNWIND_HEAD + n).cast_signed() as i16;
        let pc = self.load_at(m.plus(AT), Size::DW, false);
        let start = self.f.load(Size::DW, range, field(0));
        self.unless(Cond::Lt, pc, start, next);
        let end = self.f.load(Size::DW, range, field(8));
        self.unless(Cond::Ge, pc, end, next);
        let rows = self.f.load(Size::W, range, field(28));
        self.unless(Cond::Eq, rows, 0, w.chain);
        let bias = self.f.load(Size::DW, range, field(16));
        let vaddr = self.f.alu(AluOp::Sub, pc, bias);
        self.store_at(m.plus(AT), Size::DW, vaddr.into());
        let first = self.f.load(Size::W, range, field(24));
        self.store_at(m.plus(LOW), Size::W, first.into());
        let end = self.f.alu(AluOp::Add, first, rows);
        self.store_at(m.plus(HIGH), Size::W, end.into());
        let found = self.f.block();
        self.f.end(Term::Goto(found));
        self.f.switch_to(next);
        self.f.end(Term::Goto(head));
        self.f.switch_to(found);
    }

    /// The row of that number.
    fn row(&mut self, w: &Walk, number: VReg) -> VReg {
        let block = self
            .f
            .alu(AluOp::Rsh, number, i64::from(UNWIND_BLOCK.ilog2()));
        self.store_at(w.m.plus(KEY), Size::W, block.into());
        let map = self.shared.unwind_rows();
        let block = self.entry(map, w.m);
        self.unless(Cond::Eq, block, 0, w.chain);
        let into = self.f.alu(AluOp::And, number, i64::from(UNWIND_BLOCK - 1));
        let into = self.f.alu(AluOp::Mul, into, i64::from(UNWIND_ROW));
        self.f.alu(AluOp::Add, block, into)
    }

    /// Halves the rows until one is left.
    fn find_row(&mut self, w: &Walk) {
        let m = w.m;
        let (head, body, found) = (self.f.block(), self.f.block(), self.f.block());
        self.f.end(Term::Goto(head));
        self.f.switch_to(head);
        self.f.end(Term::MayGoto {
            go: body,
            stop: w.chain,
        });
        self.f.switch_to(body);
        let low = self.load_at(m.plus(LOW), Size::W, false);
        let high = self.load_at(m.plus(HIGH), Size::W, false);
        let last = self.f.alu(AluOp::Add, low, 1);
        self.unless(Cond::Ge, last, high, found);
        let middle = self.f.alu(AluOp::Add, low, high);
        let middle = self.f.alu(AluOp::Rsh, middle, 1);
        let row = self.row(w, middle);
        let vaddr = self.f.load(Size::DW, row, 0);
        let at = self.load_at(m.plus(AT), Size::DW, false);
        let (below, above) = (self.f.block(), self.f.block());
        self.f.branch(Cond::Gt, vaddr, at, below, above);
        self.f.switch_to(below);
        self.store_at(m.plus(HIGH), Size::W, middle.into());
        self.f.end(Term::Goto(head));
        self.f.switch_to(above);
        self.store_at(m.plus(LOW), Size::W, middle.into());
        self.f.end(Term::Goto(head));
        self.f.switch_to(found);
    }

    /// The registers of the caller, as the row says.
    fn step_by_row(&mut self, w: &Walk) {
        let m = w.m;
        let low = self.load_at(m.plus(LOW), Size::W, false);
        let row = self.row(w, low);
        // The first row may begin behind the address.
        let vaddr = self.f.load(Size::DW, row, 0);
        let at = self.load_at(m.plus(AT), Size::DW, false);
        self.unless(Cond::Gt, vaddr, at, w.chain);
        let how = self.f.load(Size::B, row, 8);
        let saved = self.f.load(Size::B, row, 9);
        let off = self.load_at(Addr { base: row, off: 10 }, Size::H, true);
        let offset = self.load_at(Addr { base: row, off: 12 }, Size::W, true);
        let sp = self.load_at(m.plus(SP), Size::DW, false);
        let fp = self.load_at(m.plus(FP), Size::DW, false);
        let is = |caller: Caller| caller as i64;
        self.unless(Cond::Eq, how, is(Caller::Unknown), w.chain);
        self.unless(Cond::Eq, how, is(Caller::None), w.done);
        let [signal, stack, frame, plt, at_frame, known] = std::array::from_fn(|_| self.f.block());
        self.unless(Cond::Eq, how, is(Caller::Signal), signal);
        let caller = self.f.mov(0);
        self.unless(Cond::Eq, how, is(Caller::Stack), stack);
        self.unless(Cond::Eq, how, is(Caller::Frame), frame);
        self.unless(Cond::Eq, how, is(Caller::Plt), plt);
        self.f.end(Term::Goto(at_frame));

        self.sum_in(stack, caller, (sp, offset), known);
        self.sum_in(frame, caller, (fp, offset), known);

        self.f.switch_to(plt);
        let value = self.f.alu(AluOp::Add, sp, 8);
        self.f.set(caller, value);
        let ip = self.load_at(m.plus(IP), Size::DW, false);
        let into = self.f.alu(AluOp::And, ip, 15);
        self.unless(Cond::Lt, into, offset, known);
        let value = self.f.alu(AluOp::Add, sp, 16);
        self.f.set(caller, value);
        self.f.end(Term::Goto(known));

        self.f.switch_to(at_frame);
        let from = self.f.alu(AluOp::Add, fp, offset);
        let value = self.word(w, from.into());
        self.f.set(caller, value);
        self.f.end(Term::Goto(known));

        self.f.switch_to(signal);
        for (to, at) in UCONTEXT {
            let sp = self.load_at(m.plus(SP), Size::DW, false);
            let from = self.f.alu(AluOp::Add, sp, at);
            let value = self.word(w, from.into());
            self.store_at(m.plus(to), Size::DW, value.into());
        }
        self.f.end(Term::Goto(w.head));

        self.f.switch_to(known);
        // Towards the bottom of the stack, or the walk goes in a circle.
        self.unless(Cond::Le, caller, sp, w.done);
        self.store_at(m.plus(SP), Size::DW, caller.into());
        let [by_caller, by_frame, read, on] = std::array::from_fn(|_| self.f.block());
        let from = self.f.mov(0);
        self.unless(Cond::Eq, saved, 0, on);
        self.f.branch(Cond::Eq, saved, 1, by_caller, by_frame);
        self.sum_in(by_caller, from, (caller, off), read);
        self.sum_in(by_frame, from, (fp, off), read);
        self.f.switch_to(read);
        let value = self.word(w, from.into());
        self.store_at(m.plus(FP), Size::DW, value.into());
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        let sp = self.load_at(m.plus(SP), Size::DW, false);
        let from = self.f.alu(AluOp::Sub, sp, 8);
        let ip = self.word(w, from.into());
        self.store_at(m.plus(IP), Size::DW, ip.into());
        self.f.end(Term::Goto(w.head));
    }

    /// A block that sets `to` to a sum, and goes on.
    fn sum_in(&mut self, block: BlockId, to: VReg, (a, b): (VReg, VReg), on: BlockId) {
        self.f.switch_to(block);
        let value = self.f.alu(AluOp::Add, a, b);
        self.f.set(to, value);
        self.f.end(Term::Goto(on));
    }

    /// The registers of the caller where functions keep frame pointers.
    fn step_by_frame(&mut self, w: &Walk) {
        let m = w.m;
        let fp = self.load_at(m.plus(FP), Size::DW, false);
        let sp = self.load_at(m.plus(SP), Size::DW, false);
        self.unless(Cond::Lt, fp, sp, w.done);
        let from = self.f.alu(AluOp::Add, fp, 8);
        let ip = self.word(w, from.into());
        self.store_at(m.plus(IP), Size::DW, ip.into());
        let fp = self.load_at(m.plus(FP), Size::DW, false);
        let value = self.word(w, fp.into());
        let fp = self.load_at(m.plus(FP), Size::DW, false);
        let sp = self.f.alu(AluOp::Add, fp, 16);
        self.store_at(m.plus(SP), Size::DW, sp.into());
        self.store_at(m.plus(FP), Size::DW, value.into());
        self.f.end(Term::Goto(w.head));
    }

    /// A word of the process's memory; the walk ends where there is none.
    fn word(&mut self, w: &Walk, from: Opnd) -> VReg {
        let to = self.addr_reg(w.m.plus(WORD));
        let args = [to.into(), Opnd::Imm(8), from];
        let ret = self.f.call(helper::PROBE_READ_USER, &args);
        self.unless(Cond::Ne, ret, 0, w.done);
        self.load_at(w.m.plus(WORD), Size::DW, false)
    }

    /// Puts the frames into the map of stacks, if they are not there: the id and how many there are.
    fn keep_stack(&mut self, m: Addr) -> (Opnd, Opnd) {
        let map = self.shared.walked_stacks(self.checked.config.max_map_keys);
        let mark = self.load_at(m.plus(MARK), Size::DW, false);
        self.store_at(m.plus(KEY), Size::W, mark.into());
        self.store_at(m.plus(LOW), Size::W, Opnd::Imm(0));
        let [head, body, new, again, kept] = std::array::from_fn(|_| self.f.block());
        self.f.end(Term::Goto(head));
        self.f.switch_to(head);
        self.f.end(Term::MayGoto {
            go: body,
            stop: kept,
        });
        self.f.switch_to(body);
        let entry = self.entry(map, m);
        self.unless(Cond::Eq, entry, 0, new);
        let known = self.f.load(Size::DW, entry, MARK.cast_signed() as i16);
        let mark = self.load_at(m.plus(MARK), Size::DW, false);
        self.f.branch(Cond::Eq, known, mark, kept, again);
        self.f.switch_to(again);
        let tried = self.load_at(m.plus(LOW), Size::W, false);
        let tried = self.f.alu(AluOp::Add, tried, 1);
        self.store_at(m.plus(LOW), Size::W, tried.into());
        self.unless(Cond::Ge, tried, TRIES, kept);
        let id = self.load_at(m.plus(KEY), Size::W, false);
        let id = self.f.alu(AluOp::Add, id, 1);
        self.store_at(m.plus(KEY), Size::W, id.into());
        self.f.end(Term::Goto(head));
        self.f.switch_to(new);
        let ptr = self.f.vreg();
        self.f.push(Op::Map { dst: ptr, map });
        let (key, value) = (self.addr_reg(m.plus(KEY)), self.addr_reg(m));
        let args = [ptr.into(), key.into(), value.into(), Opnd::Imm(0)];
        self.f.call(helper::MAP_UPDATE_ELEM, &args);
        self.f.end(Term::Goto(kept));
        self.f.switch_to(kept);
        let id = self.load_at(m.plus(KEY), Size::W, false);
        let count = self.load_at(m.plus(COUNT), Size::W, false);
        (id.into(), count.into())
    }
}
