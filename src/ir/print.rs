//! The IR as text: `v3 = add v1, 8`, a line each.

use std::fmt;

use super::inst::{Block, BlockId, Func, FuncId, Op, Opnd, Program, SlotId, Term, VReg};
use crate::asm::{AluOp, AtomicOp, Cond, EndianOp, Size, Width};

impl fmt::Display for VReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Display for FuncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "f{}", self.0)
    }
}

impl fmt::Display for Opnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Opnd::Reg(reg) => reg.fmt(f),
            Opnd::Imm(imm) if imm.unsigned_abs() >= 1 << 20 => {
                if *imm < 0 {
                    write!(f, "-")?;
                }
                write!(f, "{:#x}", imm.unsigned_abs())
            }
            Opnd::Imm(imm) => imm.fmt(f),
        }
    }
}

fn alu(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "add",
        AluOp::Sub => "sub",
        AluOp::Mul => "mul",
        AluOp::Div => "div",
        AluOp::Sdiv => "sdiv",
        AluOp::Mod => "mod",
        AluOp::Smod => "smod",
        AluOp::Or => "or",
        AluOp::And => "and",
        AluOp::Xor => "xor",
        AluOp::Lsh => "lsh",
        AluOp::Rsh => "rsh",
        AluOp::Arsh => "arsh",
        AluOp::Mov => "mov",
    }
}

fn cond(cond: Cond) -> &'static str {
    match cond {
        Cond::Eq => "==",
        Cond::Ne => "!=",
        Cond::Gt => ">",
        Cond::Ge => ">=",
        Cond::Lt => "<",
        Cond::Le => "<=",
        Cond::Set => "&",
        Cond::Sgt => "s>",
        Cond::Sge => "s>=",
        Cond::Slt => "s<",
        Cond::Sle => "s<=",
    }
}

fn narrow(width: Width) -> &'static str {
    match width {
        Width::W32 => "32",
        Width::W64 => "",
    }
}

fn atomic(op: AtomicOp) -> &'static str {
    match op {
        AtomicOp::Add { fetch: false } => "add",
        AtomicOp::Add { fetch: true } => "fetch_add",
        AtomicOp::Or { fetch: false } => "or",
        AtomicOp::Or { fetch: true } => "fetch_or",
        AtomicOp::And { fetch: false } => "and",
        AtomicOp::And { fetch: true } => "fetch_and",
        AtomicOp::Xor { fetch: false } => "xor",
        AtomicOp::Xor { fetch: true } => "fetch_xor",
        AtomicOp::Xchg => "xchg",
        AtomicOp::Cmpxchg => "cmpxchg",
    }
}

/// `u32 [v1 + 8]`.
struct Mem(Size, bool, VReg, i16);

impl fmt::Display for Mem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mem(size, signed, base, off) = *self;
        let kind = if signed { 's' } else { 'u' };
        write!(f, "{kind}{} [{base}", size.bytes() * 8)?;
        match off {
            0 => {}
            off if off < 0 => write!(f, " - {}", off.unsigned_abs())?,
            off => write!(f, " + {off}")?,
        }
        f.write_str("]")
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(dst) = self.dst() {
            write!(f, "{dst} = ")?;
        }
        match self {
            Op::Mov { src, .. } => write!(f, "{src}"),
            Op::Alu {
                op, width, a, b, ..
            } => write!(f, "{}{} {a}, {b}", alu(*op), narrow(*width)),
            Op::Ext {
                src, from, signed, ..
            } => {
                let kind = if *signed { "sext" } else { "zext" };
                write!(f, "{kind}{} {src}", from.bytes() * 8)
            }
            Op::Neg { src, .. } => write!(f, "neg {src}"),
            Op::Endian { op, bits, src, .. } => {
                let name = match op {
                    EndianOp::ToLe => "le",
                    EndianOp::ToBe => "be",
                    EndianOp::Bswap => "bswap",
                };
                write!(f, "{name}{bits} {src}")
            }
            Op::Load {
                size,
                signed,
                base,
                off,
                ..
            } => write!(f, "load {}", Mem(*size, *signed, *base, *off)),
            Op::Store {
                size,
                base,
                off,
                src,
            } => write!(f, "store {}, {src}", Mem(*size, false, *base, *off)),
            Op::Atomic {
                op,
                size,
                base,
                off,
                src,
                expect,
                ..
            } => {
                write!(
                    f,
                    "atomic {} {}, {src}",
                    atomic(*op),
                    Mem(*size, false, *base, *off)
                )?;
                match expect {
                    Some(expect) => write!(f, ", expect {expect}"),
                    None => Ok(()),
                }
            }
            Op::Ctx { .. } => f.write_str("ctx"),
            Op::Arg { index, .. } => write!(f, "arg {index}"),
            Op::Slot { slot, off, .. } => write!(f, "&{slot} + {off}"),
            Op::Map { map, .. } => write!(f, "map {map}"),
            Op::MapValue { map, off, .. } => write!(f, "&map {map} value + {off}"),
            Op::FuncAddr { func, .. } => write!(f, "&{func}"),
            Op::Call { helper, args, .. } => {
                write!(f, "call #{helper}(")?;
                for (index, arg) in args.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{arg}")?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Goto(to) => write!(f, "goto {to}"),
            Term::If {
                cond: c,
                width,
                a,
                b,
                then,
                els,
            } => write!(
                f,
                "if{} {a} {} {b} goto {then} else {els}",
                narrow(*width),
                cond(*c)
            ),
            Term::MayGoto { go, stop } => write!(f, "may_goto {go} else {stop}"),
            Term::Exit(value) => write!(f, "exit {value}"),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for inst in &self.insts {
            writeln!(f, "    {}", inst.op)?;
        }
        writeln!(f, "    {}", self.term)
    }
}

impl fmt::Display for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "func {}", self.name)?;
        for (index, slot) in self.slots.iter().enumerate() {
            writeln!(f, "  s{index}: {} bytes, align {}", slot.size, slot.align)?;
        }
        for (index, block) in self.blocks.iter().enumerate() {
            writeln!(f, "  b{index}:")?;
            write!(f, "{block}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, func) in self.funcs.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{func}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        asm::{AluOp, Cond, Size},
        ir::{FuncBuilder, Op},
    };

    #[test]
    fn text_of_a_function() {
        let mut b = FuncBuilder::new("probe");
        let (slot, ctx, at) = (b.slot(8, 8), b.vreg(), b.vreg());
        b.push(Op::Ctx { dst: ctx });
        b.push(Op::Slot {
            dst: at,
            slot,
            off: 0,
        });
        let arg = b.load(Size::W, ctx, 112);
        let sum = b.alu(AluOp::Add, arg, -8);
        b.store(Size::DW, at, 0, sum);
        let (then, els) = (b.block(), b.block());
        b.branch(Cond::Sgt, sum, 0, then, els);
        let want = "func probe\n  s0: 8 bytes, align 8\n  b0:\n    v0 = ctx\n    v1 = &s0 + 0\n    \
                    v2 = load u32 [v0 + 112]\n    v3 = add v2, -8\n    store u64 [v1], v3\n    \
                    if v3 s> 0 goto b1 else b2\n  b1:\n    exit 0\n  b2:\n    exit 0\n";
        assert_eq!(b.finish().to_string(), want);
    }
}
