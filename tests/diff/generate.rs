//! Random programs that the kernel's verifier accepts, with every instruction form in them.
//!
//! ```text
//! r0–r6 numbers   r7 loop counter   r8 = r10 − 64   r9 = context
//! context: 0..64 registers at the end · 64..128 stack at the end · 128..256 random input, read and written
//! ```

use baretrace::asm::{AluOp, AtomicOp, Callee, Cond, EndianOp, Imm64, Insn, Reg, Size, Src, Width};

/// Bytes of context.
const CTX: usize = 256;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Numbers at which arithmetic goes wrong, or any.
    fn value(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => i64::MIN as u64,
            3 => i64::MAX as u64,
            4 => self.of(&[0x8000_0000, 0xffff_ffff, 0x7fff_ffff, 1, 0x1_0000_0000]),
            5 => self.next() & 0xff,
            6 => (self.next() as i32) as i64 as u64,
            _ => self.next(),
        }
    }

    fn imm(&mut self) -> i32 {
        match self.below(4) {
            0 => self.of(&[-1, 0, 1, i32::MIN, i32::MAX, -2]),
            1 => self.below(16) as i32 - 8,
            _ => self.next() as i32,
        }
    }

    fn width(&mut self) -> Width {
        self.of(&[Width::W32, Width::W64])
    }

    fn number(&mut self) -> Reg {
        r(self.below(7) as u8)
    }

    fn src(&mut self) -> Src {
        if self.chance(50) {
            Src::Reg(self.number())
        } else {
            Src::Imm(self.imm())
        }
    }
}

fn r(n: u8) -> Reg {
    Reg::new(n).expect("a register's number")
}

fn mov(dst: Reg, src: Src) -> Insn {
    Insn::Alu {
        op: AluOp::Mov,
        width: Width::W64,
        dst,
        src,
    }
}

fn add(dst: Reg, imm: i32) -> Insn {
    Insn::Alu {
        op: AluOp::Add,
        width: Width::W64,
        dst,
        src: Src::Imm(imm),
    }
}

fn store(base: Reg, off: i16, src: Src) -> Insn {
    Insn::Store {
        size: Size::DW,
        dst: base,
        off,
        src,
    }
}

fn load(dst: Reg, base: Reg, off: i16) -> Insn {
    Insn::Load {
        size: Size::DW,
        signed: false,
        dst,
        src: base,
        off,
    }
}

const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];

const CONDS: [Cond; 11] = [
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

const OPS: [AluOp; 14] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Or,
    AluOp::And,
    AluOp::Xor,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Arsh,
    AluOp::Mov,
];

struct Maker {
    random: Random,
    out: Vec<Insn>,
    /// Calls of the function at the end: where they stand.
    calls: Vec<usize>,
    /// In the called function there is no context and no loop.
    callee: bool,
}

impl Maker {
    /// A place in memory: base, offset, on a boundary of the size. The context only where `ctx`.
    fn place(&mut self, size: Size, ctx: bool) -> (Reg, i16) {
        let bytes = size.bytes() as i16;
        let step = i64::from(bytes);
        if ctx && !self.callee && self.random.chance(40) {
            let at = self.random.below((128 / step) as u64) as i16;
            return (r(9), 128 + at * bytes);
        }
        let at = self.random.below((64 / step) as u64) as i16 * bytes;
        if !self.callee && self.random.chance(50) {
            (r(8), at)
        } else {
            (Reg::R10, at - 64)
        }
    }

    fn arithmetic(&mut self) {
        let (op, width, dst) = (
            self.random.of(&OPS),
            self.random.width(),
            self.random.number(),
        );
        let src = match (op, self.random.src()) {
            (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Src::Imm(imm)) => {
                let bits = if width == Width::W64 { 64 } else { 32 };
                Src::Imm(imm.rem_euclid(bits))
            }
            (AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod, Src::Imm(0)) => Src::Imm(-1),
            (_, src) => src,
        };
        self.out.push(Insn::Alu {
            op,
            width,
            dst,
            src,
        });
    }

    fn simple(&mut self) {
        match self.random.below(14) {
            0..=4 => self.arithmetic(),
            5 => {
                let (width, dst) = (self.random.width(), self.random.number());
                self.out.push(Insn::Neg { width, dst });
            }
            6 => {
                let width = self.random.width();
                let from = match width {
                    Width::W64 => self.random.of(&[Size::B, Size::H, Size::W]),
                    Width::W32 => self.random.of(&[Size::B, Size::H]),
                };
                let (dst, src) = (self.random.number(), self.random.number());
                self.out.push(Insn::Movsx {
                    width,
                    from,
                    dst,
                    src,
                });
            }
            7 => {
                let op = self
                    .random
                    .of(&[EndianOp::ToLe, EndianOp::ToBe, EndianOp::Bswap]);
                let bits = self.random.of(&[16, 32, 64]);
                let dst = self.random.number();
                self.out.push(Insn::Endian { op, bits, dst });
            }
            8 => {
                let signed = self.random.chance(40);
                let size = self.random.of(&SIZES[..if signed { 3 } else { 4 }]);
                let dst = self.random.number();
                let (src, off) = self.place(size, true);
                self.out.push(Insn::Load {
                    size,
                    signed,
                    dst,
                    src,
                    off,
                });
            }
            9 => {
                let size = self.random.of(&SIZES);
                let src = self.random.src();
                // The verifier has the context's stores of immediates refused.
                let (dst, off) = self.place(size, matches!(src, Src::Reg(_)));
                self.out.push(Insn::Store {
                    size,
                    dst,
                    off,
                    src,
                });
            }
            10 | 11 => {
                let fetch = self.random.chance(50);
                let op = self.random.of(&[
                    AtomicOp::Add { fetch },
                    AtomicOp::Or { fetch },
                    AtomicOp::And { fetch },
                    AtomicOp::Xor { fetch },
                    AtomicOp::Xchg,
                    AtomicOp::Cmpxchg,
                ]);
                let size = self.random.of(&[Size::W, Size::DW]);
                let src = self.random.number();
                let (dst, off) = self.place(size, false);
                self.out.push(Insn::Atomic {
                    op,
                    size,
                    dst,
                    off,
                    src,
                });
            }
            12 => {
                let size = self.random.of(&SIZES);
                let reg = self.random.number();
                let (base, off) = self.place(size, false);
                self.out.push(if self.random.chance(50) {
                    Insn::LoadAcquire {
                        size,
                        dst: reg,
                        src: base,
                        off,
                    }
                } else {
                    Insn::StoreRelease {
                        size,
                        dst: base,
                        off,
                        src: reg,
                    }
                });
            }
            _ => {
                let (dst, value) = (self.random.number(), self.random.value());
                self.out.push(Insn::LoadImm64 {
                    dst,
                    imm: Imm64::Value(value),
                });
            }
        }
    }

    fn slots(&self, from: usize) -> i16 {
        self.out[from..]
            .iter()
            .map(|i| i.slots() as i16)
            .sum::<i16>()
    }

    fn branch(&mut self, depth: u32) {
        let at = self.out.len();
        let (cond, width) = (self.random.of(&CONDS), self.random.width());
        let (dst, src) = (self.random.number(), self.random.src());
        self.out.push(Insn::Exit); // replaced below, when the distance is known
        self.block(depth + 1);
        let otherwise = self.random.chance(50);
        let middle = self.out.len();
        if otherwise {
            self.out.push(Insn::Exit);
        }
        self.out[at] = Insn::Jmp {
            cond,
            width,
            dst,
            src,
            off: self.slots(at + 1),
        };
        if otherwise {
            self.block(depth + 1);
            let over = self.slots(middle + 1);
            self.out[middle] = if self.random.chance(50) {
                Insn::Ja { off: over }
            } else {
                Insn::Jal {
                    imm: i32::from(over),
                }
            };
        }
    }

    fn bounded_loop(&mut self) {
        let turns = self.random.below(5) as i32 + 1;
        self.out.push(mov(r(7), Src::Imm(0)));
        let top = self.out.len();
        for _ in 0..=self.random.below(5) {
            self.simple();
        }
        self.out.push(add(r(7), 1));
        let back = -(self.slots(top) + 1);
        self.out.push(Insn::Jmp {
            cond: Cond::Lt,
            width: Width::W64,
            dst: r(7),
            src: Src::Imm(turns),
            off: back,
        });
    }

    fn local_call(&mut self) {
        self.calls.push(self.out.len());
        self.out.push(Insn::Exit); // replaced when the function's place is known
        self.fill(1..6);
    }

    fn fill(&mut self, regs: std::ops::Range<u8>) {
        for n in regs {
            let imm = Imm64::Value(self.random.value());
            self.out.push(Insn::LoadImm64 { dst: r(n), imm });
        }
    }

    fn block(&mut self, depth: u32) {
        for _ in 0..=self.random.below(8) {
            match self.random.below(12) {
                0 | 1 if depth < 3 => self.branch(depth),
                2 if depth == 0 && !self.callee => self.bounded_loop(),
                3 if depth < 2 && !self.callee => self.local_call(),
                _ => self.simple(),
            }
        }
    }

    fn clear_stack(&mut self) {
        for at in 0..8 {
            let value = self.random.imm();
            self.out
                .push(store(Reg::R10, -64 + 8 * at, Src::Imm(value)));
        }
    }

    fn main(&mut self) {
        self.out.push(mov(r(9), Src::Reg(Reg::R1)));
        self.out.push(mov(r(8), Src::Reg(Reg::R10)));
        self.out.push(add(r(8), -64));
        self.clear_stack();
        self.fill(0..7);
        self.out.push(mov(r(7), Src::Imm(3)));
        for _ in 0..3 {
            self.block(0);
        }
        for n in 0..8u8 {
            self.out.push(store(r(9), i16::from(n) * 8, Src::Reg(r(n))));
        }
        for at in 0..8 {
            self.out.push(load(r(1), Reg::R10, -64 + 8 * at));
            self.out.push(store(r(9), 64 + 8 * at, Src::Reg(r(1))));
        }
        self.out.push(Insn::Exit);
    }

    fn function(&mut self) {
        let entry = self.out.len();
        self.callee = true;
        self.clear_stack();
        self.fill(0..1);
        self.fill(6..7);
        self.block(1);
        self.out.push(Insn::Exit);
        for at in std::mem::take(&mut self.calls) {
            let distance = i32::from(self.slots(at + 1) - self.slots(entry));
            self.out[at] = Insn::Call {
                callee: Callee::Local(distance),
            };
        }
    }
}

/// The program of a seed, and the context that it starts with.
pub(crate) fn program(seed: u64) -> (Vec<Insn>, Vec<u8>) {
    let mut maker = Maker {
        random: Random(seed.wrapping_mul(0xd134_2543_de82_ef95)),
        out: Vec::new(),
        calls: Vec::new(),
        callee: false,
    };
    maker.main();
    if !maker.calls.is_empty() {
        maker.function();
    }
    let mut input = vec![0; CTX];
    for word in input[128..].chunks_exact_mut(8) {
        word.copy_from_slice(&maker.random.value().to_le_bytes());
    }
    (maker.out, input)
}
