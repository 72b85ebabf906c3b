//! Programs that are nearly right: random instructions over registers that mostly hold what they need, and changes
//! of one instruction or two in programs that are right.

use baretrace::asm::{
    AluOp, AtomicOp, Callee, Cond, EndianOp, Imm64, Insn, Reg, Size, Src, Width, build::*,
};

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

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

const OPS: &[AluOp] = &[
    AluOp::Add,
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Mod,
    AluOp::Or,
    AluOp::And,
    AluOp::And,
    AluOp::Xor,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Arsh,
    AluOp::Mov,
    AluOp::Mov,
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
const SIZES: &[Size] = &[Size::B, Size::H, Size::W, Size::DW, Size::DW, Size::DW];

fn reg(rng: &mut Rng) -> Reg {
    Reg::new(rng.below(10) as u8).expect("a register")
}

fn imm(rng: &mut Rng) -> i32 {
    match rng.below(6) {
        0..=2 => rng.below(72) as i32 - 4,
        3 => 1 << rng.below(31),
        4 => rng.next() as i32,
        _ => rng.pick(&[0, 1, 7, 8, 31, 32, 63, 64, -1, 255, i32::MAX, i32::MIN]),
    }
}

fn src(rng: &mut Rng) -> Src {
    if rng.below(2) == 0 {
        Src::Reg(reg(rng))
    } else {
        Src::Imm(imm(rng))
    }
}

fn width(rng: &mut Rng) -> Width {
    rng.pick(&[Width::W64, Width::W64, Width::W32])
}

fn off(rng: &mut Rng) -> i16 {
    match rng.below(8) {
        0..=4 => rng.below(8) as i16 * 8 - 64,
        5 => rng.below(80) as i16 - 72,
        6 => rng.below(9) as i16 * 8,
        _ => rng.pick(&[-512, -520, -8, -4, 0, 4, 8, 56, 60, 64, 160, 168]),
    }
}

fn any(rng: &mut Rng, maps: u64) -> Insn {
    let (dst, size) = (reg(rng), rng.pick(SIZES));
    let base = if rng.below(2) == 0 {
        Reg::R10
    } else {
        reg(rng)
    };
    match rng.below(20) {
        0..=6 => Insn::Alu {
            op: rng.pick(OPS),
            width: width(rng),
            dst,
            src: src(rng),
        },
        7 => Insn::Movsx {
            width: Width::W64,
            from: rng.pick(&[Size::B, Size::H, Size::W]),
            dst,
            src: reg(rng),
        },
        8 => match rng.below(2) {
            0 => Insn::Neg {
                width: width(rng),
                dst,
            },
            _ => Insn::Endian {
                op: EndianOp::ToBe,
                bits: 32,
                dst,
            },
        },
        9..=11 => Insn::Load {
            size,
            signed: size != Size::DW && rng.below(4) == 0,
            dst,
            src: base,
            off: off(rng),
        },
        12..=14 => Insn::Store {
            size,
            dst: base,
            off: off(rng),
            src: src(rng),
        },
        15 => Insn::Atomic {
            op: rng.pick(&[
                AtomicOp::Add { fetch: false },
                AtomicOp::Or { fetch: true },
                AtomicOp::Xchg,
                AtomicOp::Cmpxchg,
            ]),
            size: rng.pick(&[Size::W, Size::DW]),
            dst: base,
            off: off(rng),
            src: reg(rng),
        },
        16 => Insn::LoadImm64 {
            dst,
            imm: match rng.below(3) {
                0 => Imm64::Value(rng.next()),
                1 => Imm64::MapIdx(rng.below(maps) as i32),
                _ => Imm64::MapIdxValue {
                    idx: rng.below(maps) as i32,
                    off: rng.below(9) as u32 * 8,
                },
            },
        },
        17 => call(rng.pick(&[1, 2, 3, 5, 7, 8, 14, 16, 112, 113, 130, 131, 132, 133])),
        _ => Insn::Jmp {
            cond: rng.pick(CONDS),
            width: width(rng),
            dst,
            src: src(rng),
            off: rng.below(5) as i16,
        },
    }
}

/// Right pieces to build on: a lookup with its check, a record, a bounded index, a spill.
fn piece(rng: &mut Rng, out: &mut Vec<Insn>) {
    match rng.below(7) {
        0 | 1 => {
            let map = rng.pick(&[0, 1, 2]);
            out.push(store(Size::DW, Reg::R10, -8, rng.below(3) as i32));
            out.push(load_map(Reg::R1, map));
            out.push(mov64(Reg::R2, Reg::R10));
            out.push(add64_imm(Reg::R2, -8));
            out.push(call(1));
            out.push(jump_if(Cond::Ne, Reg::R0, 0, 2));
            out.push(mov64_imm(Reg::R0, 0));
            out.push(exit());
            out.push(mov64(reg_kept(rng), Reg::R0));
        }
        2 => {
            out.push(load_map(Reg::R1, 3));
            out.push(mov64_imm(Reg::R2, 16));
            out.push(mov64_imm(Reg::R3, 0));
            out.push(call(131));
            out.push(jump_if(Cond::Eq, Reg::R0, 0, 4));
            out.push(store(Size::DW, Reg::R0, 8, rng.below(9) as i32));
            out.push(mov64(Reg::R1, Reg::R0));
            out.push(mov64_imm(Reg::R2, 0));
            out.push(call(rng.pick(&[132, 133])));
        }
        3 => {
            let (index, base) = (reg_kept(rng), reg_kept(rng));
            out.push(call(7));
            out.push(mov64(index, Reg::R0));
            if rng.below(2) == 0 {
                out.push(and64_imm(index, rng.pick(&[7, 15, 31, 56, 63])));
            } else {
                let cond = rng.pick(&[Cond::Lt, Cond::Le, Cond::Slt]);
                out.push(jump_if(cond, index, rng.pick(&[8, 32, 56, 57, 64]), 2));
                out.push(mov64_imm(Reg::R0, 0));
                out.push(exit());
            }
            if base != index {
                out.push(add64(base, index));
                out.push(load(rng.pick(SIZES), Reg::R0, base, 0));
            }
        }
        4 => {
            let (at, kept) = (off(rng), reg_kept(rng));
            out.push(store(Size::DW, Reg::R10, at, kept));
            out.push(load(rng.pick(SIZES), reg_kept(rng), Reg::R10, at));
        }
        5 => {
            let count = reg_kept(rng);
            out.push(mov64_imm(count, 0));
            let from = out.len();
            for _ in 0..rng.below(3) {
                let insn = any(rng, 4);
                if insn.slots() == 1 {
                    out.push(insn);
                }
            }
            out.push(add64_imm(count, 1));
            let back = -((out.len() - from) as i16) - 1;
            out.push(jump_if(Cond::Lt, count, rng.below(20) as i32 + 1, back));
        }
        _ => {
            let size = rng.below(20) as i32;
            out.push(mov64(Reg::R1, Reg::R10));
            out.push(add64_imm(Reg::R1, off(rng).into()));
            out.push(mov64_imm(Reg::R2, size));
            out.push(mov64(Reg::R3, reg_kept(rng)));
            out.push(call(rng.pick(&[16, 112, 113, 114])));
        }
    }
}

fn reg_kept(rng: &mut Rng) -> Reg {
    Reg::new(6 + rng.below(4) as u8).expect("a register")
}

/// A random program.
pub(crate) fn program(rng: &mut Rng, maps: u64) -> Vec<Insn> {
    let mut out = vec![mov64(Reg::R6, Reg::R1)];
    for at in 7..10 {
        let kept = Reg::new(at).expect("a register");
        match rng.below(4) {
            0 => out.push(load_map_value(kept, 1, rng.below(4) as u32 * 8)),
            1 => out.push(mov64(kept, Reg::R10)),
            _ => out.push(mov64_imm(kept, imm(rng))),
        }
    }
    for _ in 0..1 + rng.below(5) {
        piece(rng, &mut out);
        for _ in 0..rng.below(3) {
            out.push(any(rng, maps));
        }
    }
    if rng.below(8) != 0 {
        out.push(mov64_imm(Reg::R0, 0));
    }
    out.push(exit());
    out
}

/// One or two changes to a program.
pub(crate) fn mutate(rng: &mut Rng, insns: &mut Vec<Insn>, maps: u64) {
    for _ in 0..1 + rng.below(2) {
        let at = rng.below(insns.len() as u64) as usize;
        match rng.below(5) {
            0 => {
                let other = rng.below(insns.len() as u64) as usize;
                insns.swap(at, other);
            }
            1 if insns.len() > 2 => {
                insns.remove(at);
            }
            2 => insns[at] = any(rng, maps),
            _ => match &mut insns[at] {
                Insn::Load { off: o, dst, .. } => {
                    *o = off(rng);
                    *dst = reg(rng);
                }
                Insn::Store { off: o, src: s, .. } => {
                    *o = off(rng);
                    *s = src(rng);
                }
                Insn::Alu { op, src: s, .. } => {
                    *op = rng.pick(OPS);
                    *s = src(rng);
                }
                Insn::Jmp {
                    off, cond, src: s, ..
                } => {
                    *off = rng.below(8) as i16 - 3;
                    *cond = rng.pick(CONDS);
                    *s = src(rng);
                }
                Insn::Call { callee } => {
                    *callee = Callee::Helper(rng.pick(&[1, 2, 3, 5, 16, 112, 130, 131, 132]));
                }
                other => *other = any(rng, maps),
            },
        }
    }
}

/// One small change: a byte further, another size, the next number, the other way of a comparison.
pub(crate) fn nudge(rng: &mut Rng, insns: &mut [Insn]) {
    for _ in 0..20 {
        let at = rng.below(insns.len() as u64) as usize;
        let by = rng.pick(&[-8, -4, -2, -1, 1, 2, 4, 8]);
        match &mut insns[at] {
            Insn::Load { off, size, .. } | Insn::Store { off, size, .. } => match rng.below(4) {
                0 => *size = rng.pick(SIZES),
                _ => *off = off.wrapping_add(by),
            },
            Insn::Alu {
                op,
                src: Src::Imm(imm),
                ..
            } => match rng.below(5) {
                0 => *op = rng.pick(&[AluOp::Add, AluOp::Sub, AluOp::And, AluOp::Mov]),
                1 => *imm <<= 1,
                _ => *imm = imm.wrapping_add(by.into()),
            },
            Insn::Alu {
                dst,
                src: Src::Reg(src),
                ..
            } => match rng.below(2) {
                0 => *dst = reg(rng),
                _ => *src = reg(rng),
            },
            Insn::Jmp { cond, dst, src, .. } => match (rng.below(3), *src) {
                (0, Src::Reg(other)) => (*dst, *src) = (other, Src::Reg(*dst)),
                (1, Src::Reg(_)) => *src = Src::Reg(reg(rng)),
                _ => *cond = rng.pick(CONDS),
            },
            _ => continue,
        }
        // There is no load of eight bytes that extends the sign.
        if let Insn::Load {
            size: Size::DW,
            signed,
            ..
        } = &mut insns[at]
        {
            *signed = false;
        }
        return;
    }
}
