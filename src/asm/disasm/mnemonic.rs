//! The mnemonic style: operation first, `%` before registers, memory in brackets.
//!
//! Names are those of bpf_conformance and ubpf; what they have no name for is named alike: `ldacqw`
//! (load-acquire), `strelw`, `may_goto`, `jx` (`gotox`), `addr_space_cast`, `call kfunc`.

use super::{Around, write_target, write_wide};
use crate::asm::table::{alu_row, atomic_row, cond_row, endian_row, size_row};
use crate::asm::{AtomicOp, Callee, Insn, Reg, Size, Src, Width, helper};
use std::fmt::{self, Write};

/// A memory operand: `[%r1+8]`.
struct At(Reg, i16);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            0 => write!(f, "[%{}]", self.0),
            off => write!(f, "[%{}{off:+}]", self.0),
        }
    }
}

struct Operand(Src);

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Src::Reg(reg) => write!(f, "%{reg}"),
            Src::Imm(imm) => write!(f, "{imm}"),
        }
    }
}

const fn width_suffix(width: Width) -> &'static str {
    match width {
        Width::W32 => "32",
        Width::W64 => "",
    }
}

pub(super) fn write(out: &mut dyn Write, insn: &Insn, around: &Around<'_>) -> fmt::Result {
    match *insn {
        Insn::Alu {
            op,
            width,
            dst,
            src,
        } => {
            let (name, bits) = (alu_row(op).name, width_suffix(width));
            write!(out, "{name}{bits} %{dst}, {}", Operand(src))
        }
        Insn::Neg { width, dst } => write!(out, "neg{} %{dst}", width_suffix(width)),
        Insn::Movsx {
            width,
            from,
            dst,
            src,
        } => write!(
            out,
            "movsx{}{} %{dst}, %{src}",
            from.bytes() * 8,
            width.bits()
        ),
        Insn::AddrSpaceCast { dst, src, imm } => {
            let [b0, b1, b2, b3] = imm.to_le_bytes();
            let from = u16::from_le_bytes([b0, b1]);
            let to = u16::from_le_bytes([b2, b3]);
            write!(out, "addr_space_cast %{dst}, %{src}, {to}, {from}")
        }
        Insn::Endian { op, bits, dst } => write!(out, "{}{bits} %{dst}", endian_row(op).mnemonic),
        Insn::Load {
            size,
            signed,
            dst,
            src,
            off,
        } => {
            let s = if signed { "s" } else { "" };
            let suffix = size_row(size).suffix;
            write!(out, "ldx{s}{suffix} %{dst}, {}", At(src, off))
        }
        Insn::Store {
            size,
            dst,
            off,
            src,
        } => {
            let x = if matches!(src, Src::Reg(_)) { "x" } else { "" };
            let suffix = size_row(size).suffix;
            write!(out, "st{x}{suffix} {}, {}", At(dst, off), Operand(src))
        }
        Insn::Atomic {
            op,
            size,
            dst,
            off,
            src,
        } => {
            let name = match (op, atomic_row(op).name) {
                (AtomicOp::Xchg | AtomicOp::Cmpxchg, name) => name,
                (_, name) => name.strip_prefix("fetch_").unwrap_or(name),
            };
            let fetch = match atomic_row(op).name.starts_with("fetch_") {
                true => "fetch ",
                false => "",
            };
            let bits = if matches!(size, Size::DW) { "" } else { "32" };
            write!(out, "lock {fetch}{name}{bits} {}, %{src}", At(dst, off))
        }
        Insn::LoadAcquire {
            size,
            dst,
            src,
            off,
        } => write!(
            out,
            "ldacq{} %{dst}, {}",
            size_row(size).suffix,
            At(src, off)
        ),
        Insn::StoreRelease {
            size,
            dst,
            off,
            src,
        } => write!(
            out,
            "strel{} {}, %{src}",
            size_row(size).suffix,
            At(dst, off)
        ),
        Insn::LoadImm64 { dst, imm } => {
            write!(out, "lddw %{dst}, ")?;
            write_wide(out, imm, around)
        }
        Insn::LoadAbs { size, imm } => write!(out, "ldabs{} {imm}", size_row(size).suffix),
        Insn::LoadInd { size, src, imm } => {
            write!(out, "ldind{} %{src}, {imm}", size_row(size).suffix)
        }
        Insn::Ja { off } => write_jump(out, "ja ", i64::from(off), around),
        Insn::Jal { imm } => write_jump(out, "ja32 ", i64::from(imm), around),
        Insn::MayGoto { off } => write_jump(out, "may_goto ", i64::from(off), around),
        Insn::Jx { dst } => write!(out, "jx %{dst}"),
        Insn::Jmp {
            cond,
            width,
            dst,
            src,
            off,
        } => {
            let (name, bits) = (cond_row(cond).name, width_suffix(width));
            write!(out, "{name}{bits} %{dst}, {}, ", Operand(src))?;
            write_jump(out, "", i64::from(off), around)
        }
        Insn::Call { callee } => match callee {
            Callee::Helper(id) => match helper::by_id(id) {
                Some(helper) if !around.plain_calls => write!(out, "call {}", helper.name),
                _ => write!(out, "call {id}"),
            },
            Callee::Local(distance) => write_jump(out, "call local ", i64::from(distance), around),
            Callee::Kfunc { id, off: 0 } => write!(out, "call kfunc {id}"),
            Callee::Kfunc { id, off } => write!(out, "call kfunc {id}@{off}"),
        },
        Insn::Callx { dst } => write!(out, "callx %{dst}"),
        Insn::Exit => out.write_str("exit"),
    }
}

fn write_jump(out: &mut dyn Write, word: &str, distance: i64, around: &Around<'_>) -> fmt::Result {
    out.write_str(word)?;
    write_target(out, around, format_args!("{distance:+}"))
}
