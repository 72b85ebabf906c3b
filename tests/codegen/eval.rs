//! Runs the IR directly: what compiled code is compared with.

use baretrace::{
    asm::{AluOp, AtomicOp, Cond, EndianOp, Size, Width},
    ir::{Func, Op, Opnd, Term, VReg},
};

const CTX: u64 = 1 << 50;
const SLOT: u64 = 1 << 40;
const SLOT_STEP: u64 = 4096;

/// Steps after which a program counts as running for ever.
const MAX_STEPS: u32 = 1_000_000;

/// Memory and registers of one run.
pub(crate) struct Machine<'a> {
    func: &'a Func,
    regs: Vec<u64>,
    slots: Vec<Vec<u8>>,
    ctx: &'a mut [u8],
}

/// Runs `func` on `ctx`, which it may write; returns what it exits with.
pub(crate) fn run(func: &Func, ctx: &mut [u8]) -> u64 {
    let mut machine = Machine {
        func,
        regs: vec![0; func.vregs as usize],
        slots: func
            .slots
            .iter()
            .map(|s| vec![0; s.size as usize])
            .collect(),
        ctx,
    };
    let mut at = 0usize;
    for _ in 0..MAX_STEPS {
        let block = &machine.func.blocks[at];
        for inst in &block.insts {
            machine.op(&inst.op);
        }
        match &block.term {
            Term::Goto(to) => at = to.0 as usize,
            Term::MayGoto { go, .. } => at = go.0 as usize,
            Term::Exit(value) => return machine.get(*value),
            Term::If {
                cond,
                width,
                a,
                b,
                then,
                els,
            } => {
                let holds = compare(*cond, *width, machine.get(*a), machine.get(*b));
                at = if holds { then.0 } else { els.0 } as usize;
            }
        }
    }
    panic!("runs for ever:\n{func}");
}

pub(crate) fn compare(cond: Cond, width: Width, mut a: u64, mut b: u64) -> bool {
    let (mut x, mut y) = (a as i64, b as i64);
    if width == Width::W32 {
        (a, b) = (a & 0xffff_ffff, b & 0xffff_ffff);
        (x, y) = (i64::from(a as i32), i64::from(b as i32));
    }
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
        Cond::Lt => a < b,
        Cond::Le => a <= b,
        Cond::Set => a & b != 0,
        Cond::Sgt => x > y,
        Cond::Sge => x >= y,
        Cond::Slt => x < y,
        Cond::Sle => x <= y,
    }
}

fn alu64(op: AluOp, a: u64, b: u64) -> u64 {
    let (x, y) = (a as i64, b as i64);
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Sdiv if y == 0 => 0,
        AluOp::Sdiv => x.wrapping_div(y) as u64,
        AluOp::Smod if y == 0 => a,
        AluOp::Smod => x.wrapping_rem(y) as u64,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Lsh => a << (b & 63),
        AluOp::Rsh => a >> (b & 63),
        AluOp::Arsh => (x >> (b & 63)) as u64,
        AluOp::Mov => b,
    }
}

fn alu32(op: AluOp, a: u32, b: u32) -> u32 {
    let (x, y) = (a as i32, b as i32);
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Sdiv if y == 0 => 0,
        AluOp::Sdiv => x.wrapping_div(y) as u32,
        AluOp::Smod if y == 0 => a,
        AluOp::Smod => x.wrapping_rem(y) as u32,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Lsh => a << (b & 31),
        AluOp::Rsh => a >> (b & 31),
        AluOp::Arsh => (x >> (b & 31)) as u32,
        AluOp::Mov => b,
    }
}

fn extend(value: u64, size: Size, signed: bool) -> u64 {
    let unused = 64 - size.bytes() * 8;
    if signed {
        ((value << unused) as i64 >> unused) as u64
    } else {
        value << unused >> unused
    }
}

impl Machine<'_> {
    fn get(&self, opnd: Opnd) -> u64 {
        match opnd {
            Opnd::Reg(reg) => self.regs[reg.0 as usize],
            Opnd::Imm(imm) => imm as u64,
        }
    }

    fn set(&mut self, reg: VReg, value: u64) {
        self.regs[reg.0 as usize] = value;
    }

    fn bytes(&mut self, address: u64, len: usize) -> &mut [u8] {
        if address >= CTX {
            let at = (address - CTX) as usize;
            return &mut self.ctx[at..at + len];
        }
        let slot = (address - SLOT) / SLOT_STEP;
        let at = ((address - SLOT) % SLOT_STEP) as usize;
        &mut self.slots[slot as usize][at..at + len]
    }

    fn load(&mut self, size: Size, address: u64) -> u64 {
        let mut raw = [0; 8];
        let len = size.bytes() as usize;
        raw[..len].copy_from_slice(self.bytes(address, len));
        u64::from_le_bytes(raw)
    }

    fn store(&mut self, size: Size, address: u64, value: u64) {
        let len = size.bytes() as usize;
        self.bytes(address, len)
            .copy_from_slice(&value.to_le_bytes()[..len]);
    }

    fn address(&self, base: VReg, off: i16) -> u64 {
        self.regs[base.0 as usize].wrapping_add(i64::from(off) as u64)
    }

    fn op(&mut self, op: &Op) {
        match *op {
            Op::Mov { dst, src } => self.set(dst, self.get(src)),
            Op::Alu {
                op,
                width,
                dst,
                a,
                b,
            } => {
                let (a, b) = (self.get(a), self.get(b));
                let value = match width {
                    Width::W64 => alu64(op, a, b),
                    Width::W32 => u64::from(alu32(op, a as u32, b as u32)),
                };
                self.set(dst, value);
            }
            Op::Ext {
                dst,
                src,
                from,
                signed,
            } => self.set(dst, extend(self.get(src), from, signed)),
            Op::Neg { dst, src } => self.set(dst, self.get(src).wrapping_neg()),
            Op::Endian { op, bits, dst, src } => {
                let value = self.get(src);
                let unused = 64 - u32::from(bits);
                let kept = value << unused >> unused;
                let value = match op {
                    EndianOp::ToLe => kept,
                    EndianOp::ToBe | EndianOp::Bswap => kept.swap_bytes() >> unused,
                };
                self.set(dst, value);
            }
            Op::Load {
                dst,
                size,
                signed,
                base,
                off,
            } => {
                let value = self.load(size, self.address(base, off));
                self.set(dst, extend(value, size, signed));
            }
            Op::Store {
                size,
                base,
                off,
                src,
            } => self.store(size, self.address(base, off), self.get(src)),
            Op::Atomic {
                op,
                size,
                base,
                off,
                src,
                dst,
                expect,
            } => {
                let address = self.address(base, off);
                let (old, src) = (self.load(size, address), self.get(Opnd::Reg(src)));
                let expect = expect.map(|e| extend(self.get(e), size, false));
                let new = match op {
                    AtomicOp::Add { .. } => old.wrapping_add(src),
                    AtomicOp::Or { .. } => old | src,
                    AtomicOp::And { .. } => old & src,
                    AtomicOp::Xor { .. } => old ^ src,
                    AtomicOp::Xchg => src,
                    AtomicOp::Cmpxchg if expect == Some(old) => src,
                    AtomicOp::Cmpxchg => old,
                };
                self.store(size, address, new);
                if let Some(dst) = dst {
                    self.set(dst, old);
                }
            }
            Op::Ctx { dst } => self.set(dst, CTX),
            Op::Slot { dst, slot, off } => self.set(
                dst,
                SLOT + u64::from(slot.0) * SLOT_STEP + i64::from(off) as u64,
            ),
            Op::Call {
                dst,
                helper,
                ref args,
            } => {
                let args: Vec<u64> = args.iter().map(|&a| self.get(a)).collect();
                let value = match helper {
                    // ktime_get_ns, get_prandom_u32: anything that fits.
                    5 | 7 => 12345,
                    // probe_read_kernel(dst, size, src)
                    113 => {
                        let from = self.bytes(args[2], args[1] as usize).to_vec();
                        self.bytes(args[0], from.len()).copy_from_slice(&from);
                        0
                    }
                    other => panic!("helper {other}"),
                };
                if let Some(dst) = dst {
                    self.set(dst, value);
                }
            }
            Op::Arg { .. } | Op::Map { .. } | Op::MapValue { .. } | Op::FuncAddr { .. } => {
                panic!("not made by the generator")
            }
        }
    }
}
