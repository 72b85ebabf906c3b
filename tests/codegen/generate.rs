//! Random programs that always end, never read what was not written, and tell what they computed.

use baretrace::{
    asm::{AluOp, AtomicOp, Cond, EndianOp, Size, Width},
    ir::{Func, FuncBuilder, Op, Opnd, SlotId, Term, VReg},
};

/// Bytes of context that programs read.
pub(crate) const INPUT: usize = 64;
/// Bytes of context after these that programs write.
pub(crate) const OUTPUT: usize = 256;

/// Xorshift.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 32) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

struct Generator<'a> {
    rng: &'a mut Rng,
    b: FuncBuilder,
    ctx: VReg,
    /// Registers written on every path to here.
    ready: Vec<VReg>,
    /// Registers written more than once.
    vars: Vec<VReg>,
    slots: Vec<SlotId>,
    loops: u32,
}

const SLOT_SIZE: u32 = 16;

const OPS: &[AluOp] = &[
    AluOp::Add,
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Or,
    AluOp::And,
    AluOp::And,
    AluOp::Xor,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Rsh,
    AluOp::Arsh,
];

const CONDS: &[Cond] = &[
    Cond::Eq,
    Cond::Ne,
    Cond::Gt,
    Cond::Ge,
    Cond::Lt,
    Cond::Le,
    Cond::Set,
    Cond::Sgt,
    Cond::Sge,
    Cond::Slt,
    Cond::Sle,
];

const SIZES: &[Size] = &[Size::B, Size::H, Size::W, Size::DW];

/// A program of about `size` statements.
pub(crate) fn program(rng: &mut Rng, size: u64) -> Func {
    let mut b = FuncBuilder::new("random");
    let ctx = b.vreg();
    b.push(Op::Ctx { dst: ctx });
    let mut g = Generator {
        rng,
        b,
        ctx,
        ready: Vec::new(),
        vars: Vec::new(),
        slots: Vec::new(),
        loops: 0,
    };
    for _ in 0..1 + g.rng.below(5) {
        let slot = g.b.slot(SLOT_SIZE, 8);
        g.slots.push(slot);
        for off in [0, 8] {
            let value = g.constant();
            let base = g.slot(slot);
            g.b.store(Size::DW, base, off, value);
        }
    }
    for _ in 0..2 + g.rng.below(4) {
        let value = g.opnd();
        let var = g.b.mov(value);
        g.vars.push(var);
        g.ready.push(var);
    }
    g.block(size, 0);
    g.finish()
}

impl Generator<'_> {
    fn constant(&mut self) -> Opnd {
        let imm = match self.rng.below(8) {
            0..=2 => self.rng.below(20) as i64 - 4,
            3 => 1 << self.rng.below(63),
            4 => (1i64 << self.rng.below(63)).wrapping_sub(1),
            5 => self.rng.next() as i64,
            6 => i64::from(self.rng.next() as u32),
            _ => i64::from(self.rng.next() as i32),
        };
        Opnd::Imm(imm)
    }

    fn opnd(&mut self) -> Opnd {
        if self.ready.is_empty() || self.rng.below(4) == 0 {
            return self.constant();
        }
        let late = self.rng.below(2) == 0;
        let count = self.ready.len() as u64;
        let at = if late && count > 4 {
            count - 1 - self.rng.below(4)
        } else {
            self.rng.below(count)
        };
        Opnd::Reg(self.ready[at as usize])
    }

    fn slot(&mut self, slot: SlotId) -> VReg {
        let dst = self.b.vreg();
        self.b.push(Op::Slot { dst, slot, off: 0 });
        dst
    }

    fn any_slot(&mut self) -> VReg {
        let slot = self.rng.pick(&self.slots.clone());
        self.slot(slot)
    }

    fn width(&mut self) -> Width {
        if self.rng.below(3) == 0 {
            Width::W32
        } else {
            Width::W64
        }
    }

    fn block(&mut self, size: u64, depth: u32) {
        for _ in 0..size {
            self.statement(size, depth);
        }
    }

    /// An aligned place in a slot.
    fn place(&mut self, size: Size) -> i16 {
        let count = u64::from(SLOT_SIZE / size.bytes());
        (self.rng.below(count) as u32 * size.bytes()) as i16
    }

    fn statement(&mut self, size: u64, depth: u32) {
        match self.rng.below(24) {
            0..=7 => {
                let (op, width) = (self.rng.pick(OPS), self.width());
                let (a, b) = (self.opnd(), self.opnd());
                let dst = self.dst();
                self.b.push(Op::Alu {
                    op,
                    width,
                    dst,
                    a,
                    b,
                });
                self.ready.push(dst);
            }
            8 | 9 => {
                let (src, from) = (self.opnd(), self.rng.pick(&SIZES[..3]));
                let signed = self.rng.below(2) == 0;
                let dst = self.dst();
                self.b.push(Op::Ext {
                    dst,
                    src,
                    from,
                    signed,
                });
                self.ready.push(dst);
            }
            10 => {
                let src = self.opnd();
                let dst = self.dst();
                let op = self
                    .rng
                    .pick(&[EndianOp::ToBe, EndianOp::ToLe, EndianOp::Bswap]);
                let bits = self.rng.pick(&[16, 32, 64]);
                self.b.push(match self.rng.below(2) {
                    0 => Op::Neg { dst, src },
                    _ => Op::Endian { op, bits, dst, src },
                });
                self.ready.push(dst);
            }
            11 => {
                let src = self.opnd();
                let dst = self.dst();
                self.b.push(Op::Mov { dst, src });
                self.ready.push(dst);
            }
            12 | 13 => {
                let (size, ctx) = (self.rng.pick(SIZES), self.ctx);
                let count = INPUT as u64 / u64::from(size.bytes());
                let off = (self.rng.below(count) as u32 * size.bytes()) as i16;
                let base = if self.rng.below(2) == 0 {
                    ctx
                } else {
                    let dst = self.b.vreg();
                    self.b.push(Op::Ctx { dst });
                    dst
                };
                let signed = self.rng.below(4) == 0;
                self.load(size, signed, base, off);
            }
            14 | 15 => {
                let size = self.rng.pick(SIZES);
                let (base, off) = (self.any_slot(), self.place(size));
                let signed = self.rng.below(3) == 0;
                self.load(size, signed, base, off);
            }
            16 | 17 => {
                let size = self.rng.pick(SIZES);
                let (base, off) = (self.any_slot(), self.place(size));
                let src = self.opnd();
                self.b.store(size, base, off, src);
            }
            18 => {
                let call = self.b.call(self.rng.pick(&[5, 7]), &[]);
                let zero = self.b.alu(AluOp::Rsh, call, 63);
                self.ready.push(zero);
            }
            19 if self.slots.len() > 1 => {
                let (to, from) = (self.rng.below(2), self.rng.below(2));
                let (dst, src) = (self.slots[to as usize], self.slots[1 - to as usize]);
                let (dst, src) = (self.slot(dst), self.slot(src));
                let src = self.b.alu(AluOp::Add, src, 8 * from as i64);
                let len = self.rng.pick(&[1i64, 4, 8]);
                self.b
                    .call(113, &[Opnd::Reg(dst), Opnd::Imm(len), Opnd::Reg(src)]);
            }
            20 => self.atomic(),
            21 | 22 if depth < 3 => self.branch(size / 3, depth),
            23 if depth < 2 && self.loops < 2 => self.looping(size / 4, depth),
            _ => {}
        }
    }

    /// Mostly a fresh register, at times a variable.
    fn dst(&mut self) -> VReg {
        if self.rng.below(4) == 0 {
            self.rng.pick(&self.vars.clone())
        } else {
            self.b.vreg()
        }
    }

    fn load(&mut self, size: Size, signed: bool, base: VReg, off: i16) {
        let dst = self.b.vreg();
        self.b.push(Op::Load {
            dst,
            size,
            signed,
            base,
            off,
        });
        self.ready.push(dst);
    }

    fn atomic(&mut self) {
        let size = self.rng.pick(&[Size::W, Size::DW]);
        let (base, off) = (self.any_slot(), self.place(size));
        let fetch = self.rng.below(2) == 0;
        let op = self.rng.pick(&[
            AtomicOp::Add { fetch },
            AtomicOp::Or { fetch },
            AtomicOp::And { fetch },
            AtomicOp::Xor { fetch },
            AtomicOp::Xchg,
            AtomicOp::Cmpxchg,
        ]);
        let value = self.opnd();
        let src = self.b.mov(value);
        let fetch = fetch || matches!(op, AtomicOp::Xchg | AtomicOp::Cmpxchg);
        let dst = fetch.then(|| self.b.vreg());
        let expect = (op == AtomicOp::Cmpxchg).then(|| self.opnd());
        self.b.push(Op::Atomic {
            op,
            size,
            base,
            off,
            src,
            dst,
            expect,
        });
        self.ready.extend(dst);
    }

    fn branch(&mut self, size: u64, depth: u32) {
        let (then, els, join) = (self.b.block(), self.b.block(), self.b.block());
        let (cond, width) = (self.rng.pick(CONDS), self.width());
        let (a, b) = (self.opnd(), self.opnd());
        let to = if self.rng.below(3) == 0 { join } else { els };
        self.b.end(Term::If {
            cond,
            width,
            a,
            b,
            then,
            els: to,
        });
        let ready = self.ready.len();
        for side in [then, els] {
            self.b.switch_to(side);
            if side == then || to == els {
                self.block(size, depth + 1);
            }
            self.ready.truncate(ready);
            self.b.end(Term::Goto(join));
        }
        self.b.switch_to(join);
    }

    fn looping(&mut self, size: u64, depth: u32) {
        self.loops += 1;
        let (head, body, done) = (self.b.block(), self.b.block(), self.b.block());
        let count = self.b.mov(0);
        let limit = 1 + self.rng.below(3) as i64;
        self.b.end(Term::Goto(head));
        self.b.switch_to(head);
        self.b.branch(Cond::Lt, count, limit, body, done);
        self.b.switch_to(body);
        let ready = self.ready.len();
        self.block(size, depth + 1);
        self.ready.truncate(ready);
        let next = self.b.alu(AluOp::Add, count, 1);
        self.b.push(Op::Mov {
            dst: count,
            src: Opnd::Reg(next),
        });
        self.b.end(Term::Goto(head));
        self.b.switch_to(done);
    }

    /// Writes everything that is known to the context.
    fn finish(mut self) -> Func {
        let mut off = INPUT as i16;
        let mut all = Opnd::Imm(0);
        for reg in self.ready.clone() {
            if ((off as usize) < INPUT + OUTPUT - 64) && self.rng.below(3) > 0 {
                self.b.store(Size::DW, self.ctx, off, reg);
                off += 8;
            } else {
                all = Opnd::Reg(self.b.alu(AluOp::Xor, all, reg));
            }
        }
        for slot in self.slots.clone() {
            let base = self.slot(slot);
            let value = self.b.load(Size::DW, base, 0);
            let sum = self.b.alu(AluOp::Add, all, value);
            let value = self.b.load(Size::DW, base, 8);
            all = Opnd::Reg(self.b.alu(AluOp::Xor, sum, value));
        }
        self.b.store(Size::DW, self.ctx, off, all);
        self.b.end(Term::Exit(all));
        self.b.finish()
    }
}
