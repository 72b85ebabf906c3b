//! A direct evaluator of RFC 9669, written from its text alone and for clearness: the judge, not a product.

use baretrace::asm::{AluOp, AtomicOp, Callee, Cond, EndianOp, Imm64, Insn, Reg, Size, Src, Width};

const MEM: u64 = 0x1_0000_0000;
const STACK: u64 = 0x2_0000_0000;
const FRAME: u64 = 512;

struct State<'a> {
    regs: [u64; 11],
    stack: Vec<u8>,
    mem: &'a mut [u8],
}

fn index(reg: Reg) -> usize {
    usize::from(reg.number())
}

impl State<'_> {
    fn bytes(&mut self, addr: u64, len: usize) -> &mut [u8] {
        if addr >= STACK {
            let at = (addr - STACK) as usize;
            &mut self.stack[at..at + len]
        } else {
            let at = (addr - MEM) as usize;
            &mut self.mem[at..at + len]
        }
    }

    fn load(&mut self, addr: u64, size: Size) -> u64 {
        let bytes = self.bytes(addr, size.bytes() as usize);
        bytes
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u64::from(byte))
    }

    fn store(&mut self, addr: u64, size: Size, value: u64) {
        let len = size.bytes() as usize;
        let bytes = value.to_le_bytes();
        self.bytes(addr, len).copy_from_slice(&bytes[..len]);
    }

    fn src(&self, src: Src) -> u64 {
        match src {
            Src::Reg(reg) => self.regs[index(reg)],
            Src::Imm(imm) => imm as i64 as u64,
        }
    }
}

fn alu64(op: AluOp, a: u64, b: u64) -> u64 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Sdiv if b == 0 => 0,
        AluOp::Sdiv => (a as i64).wrapping_div(b as i64) as u64,
        AluOp::Smod if b == 0 => a,
        AluOp::Smod => (a as i64).wrapping_rem(b as i64) as u64,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Lsh => a << (b & 63),
        AluOp::Rsh => a >> (b & 63),
        AluOp::Arsh => ((a as i64) >> (b & 63)) as u64,
        AluOp::Mov => b,
    }
}

fn alu32(op: AluOp, a: u32, b: u32) -> u32 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Sdiv if b == 0 => 0,
        AluOp::Sdiv => (a as i32).wrapping_div(b as i32) as u32,
        AluOp::Smod if b == 0 => a,
        AluOp::Smod => (a as i32).wrapping_rem(b as i32) as u32,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Lsh => a << (b & 31),
        AluOp::Rsh => a >> (b & 31),
        AluOp::Arsh => ((a as i32) >> (b & 31)) as u32,
        AluOp::Mov => b,
    }
}

fn extend(value: u64, from: Size) -> u64 {
    match from {
        Size::B => value as i8 as u64,
        Size::H => value as i16 as u64,
        Size::W => value as i32 as u64,
        Size::DW => value,
    }
}

fn holds(cond: Cond, width: Width, a: u64, b: u64) -> bool {
    let (a, b) = match width {
        Width::W64 => (a, b),
        Width::W32 => (a & 0xffff_ffff, b & 0xffff_ffff),
    };
    let signed = |value: u64| match width {
        Width::W64 => value as i64,
        Width::W32 => i64::from(value as i32),
    };
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
        Cond::Lt => a < b,
        Cond::Le => a <= b,
        Cond::Set => a & b != 0,
        Cond::Sgt => signed(a) > signed(b),
        Cond::Sge => signed(a) >= signed(b),
        Cond::Slt => signed(a) < signed(b),
        Cond::Sle => signed(a) <= signed(b),
    }
}

fn endian(op: EndianOp, bits: u8, value: u64) -> u64 {
    match (op, bits) {
        (EndianOp::ToLe, 16) => value & 0xffff,
        (EndianOp::ToLe, 32) => value & 0xffff_ffff,
        (EndianOp::ToLe, _) => value,
        (_, 16) => u64::from((value as u16).swap_bytes()),
        (_, 32) => u64::from((value as u32).swap_bytes()),
        _ => value.swap_bytes(),
    }
}

/// Runs a program on a little-endian machine: `r1` is the address of `mem`, `r2` its length.
pub(crate) fn run(insns: &[Insn], mem: &mut [u8]) -> u64 {
    let mut at_slot = Vec::new();
    let mut slot_of = Vec::new();
    for (at, insn) in insns.iter().enumerate() {
        slot_of.push(at_slot.len() as i64);
        at_slot.extend(std::iter::repeat_n(at, insn.slots()));
    }
    let len = mem.len() as u64;
    let mut s = State {
        regs: [0; 11],
        stack: vec![0; 8 * FRAME as usize],
        mem,
    };
    s.regs[1] = MEM;
    s.regs[2] = len;
    s.regs[10] = STACK + 8 * FRAME;
    let mut calls: Vec<(usize, [u64; 4])> = Vec::new();
    let mut pc = 0;
    for _ in 0..1_000_000 {
        let at = pc;
        pc += 1;
        let jump = |distance: i64| at_slot[(slot_of[at] + 1 + distance) as usize];
        match insns[at] {
            Insn::Alu {
                op,
                width,
                dst,
                src,
            } => {
                let (a, b) = (s.regs[index(dst)], s.src(src));
                s.regs[index(dst)] = match width {
                    Width::W64 => alu64(op, a, b),
                    Width::W32 => u64::from(alu32(op, a as u32, b as u32)),
                };
            }
            Insn::Neg { width, dst } => {
                let a = s.regs[index(dst)].wrapping_neg();
                s.regs[index(dst)] = if width == Width::W64 {
                    a
                } else {
                    a & 0xffff_ffff
                };
            }
            Insn::Movsx {
                width,
                from,
                dst,
                src,
            } => {
                let value = extend(s.regs[index(src)], from);
                s.regs[index(dst)] = if width == Width::W64 {
                    value
                } else {
                    value & 0xffff_ffff
                };
            }
            Insn::Endian { op, bits, dst } => {
                s.regs[index(dst)] = endian(op, bits, s.regs[index(dst)]);
            }
            Insn::Load {
                size,
                signed,
                dst,
                src,
                off,
            } => {
                let value = s.load(s.regs[index(src)].wrapping_add(off as u64), size);
                s.regs[index(dst)] = if signed { extend(value, size) } else { value };
            }
            Insn::LoadAcquire {
                size,
                dst,
                src,
                off,
            } => {
                s.regs[index(dst)] = s.load(s.regs[index(src)].wrapping_add(off as u64), size);
            }
            Insn::Store {
                size,
                dst,
                off,
                src,
            } => s.store(
                s.regs[index(dst)].wrapping_add(off as u64),
                size,
                s.src(src),
            ),
            Insn::StoreRelease {
                size,
                dst,
                off,
                src,
            } => s.store(
                s.regs[index(dst)].wrapping_add(off as u64),
                size,
                s.regs[index(src)],
            ),
            Insn::Atomic {
                op,
                size,
                dst,
                off,
                src,
            } => {
                let addr = s.regs[index(dst)].wrapping_add(off as u64);
                let old = s.load(addr, size);
                let value = s.regs[index(src)];
                let (new, fetch) = match op {
                    AtomicOp::Add { fetch } => (old.wrapping_add(value), fetch),
                    AtomicOp::Or { fetch } => (old | value, fetch),
                    AtomicOp::And { fetch } => (old & value, fetch),
                    AtomicOp::Xor { fetch } => (old ^ value, fetch),
                    AtomicOp::Xchg => (value, true),
                    AtomicOp::Cmpxchg => {
                        let whole = size == Size::DW;
                        let expected = if whole {
                            s.regs[0]
                        } else {
                            s.regs[0] & 0xffff_ffff
                        };
                        s.regs[0] = old;
                        (if expected == old { value } else { old }, false)
                    }
                };
                s.store(addr, size, new);
                if fetch {
                    s.regs[index(src)] = old;
                }
            }
            Insn::LoadImm64 {
                dst,
                imm: Imm64::Value(value),
            } => s.regs[index(dst)] = value,
            Insn::Ja { off } => pc = jump(i64::from(off)),
            Insn::Jal { imm } => pc = jump(i64::from(imm)),
            Insn::Jmp {
                cond,
                width,
                dst,
                src,
                off,
            } => {
                if holds(cond, width, s.regs[index(dst)], s.src(src)) {
                    pc = jump(i64::from(off));
                }
            }
            Insn::Call {
                callee: Callee::Local(imm),
            } => {
                let kept = [s.regs[6], s.regs[7], s.regs[8], s.regs[9]];
                calls.push((pc, kept));
                s.regs[10] -= FRAME;
                pc = jump(i64::from(imm));
            }
            Insn::Exit => match calls.pop() {
                None => return s.regs[0],
                Some((back, kept)) => {
                    s.regs[6..10].copy_from_slice(&kept);
                    s.regs[10] += FRAME;
                    pc = back;
                }
            },
            other => panic!("the generator made {other:?}"),
        }
    }
    panic!("the generator made an endless loop");
}
