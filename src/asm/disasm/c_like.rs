//! The kernel's and LLVM's styles: operators between operands, as in C.

use super::{Around, write_target, write_wide};
use crate::asm::table::{alu_row, atomic_row, cond_row, endian_row, size_row};
use crate::asm::{AtomicOp, Callee, Imm64, Insn, Reg, Size, Src, Width, helper};
use std::fmt::{self, Write};

/// What differs between the two.
#[derive(Clone, Copy)]
pub(super) struct Flavour {
    /// LLVM: hexadecimal signed numbers, spaces around `+`, `w` registers for narrow accesses.
    llvm: bool,
}

pub(super) const KERNEL: Flavour = Flavour { llvm: false };
pub(super) const LLVM: Flavour = Flavour { llvm: true };

/// A signed number in hexadecimal: `-0x4`.
struct Hex(i64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{:#x}", self.0.unsigned_abs())
    }
}

/// A distance: `pc+3` or `+0x3`.
struct Distance(Flavour, i64);

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.llvm, self.1) {
            (false, n) => write!(f, "pc{n:+}"),
            (true, n) if n < 0 => write!(f, "{}", Hex(n)),
            (true, n) => write!(f, "+{}", Hex(n)),
        }
    }
}

/// An address: `r1 +8` or `r1 + 0x8`.
struct At(Flavour, Reg, i16);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At(flavour, reg, off) = *self;
        if !flavour.llvm {
            write!(f, "{reg} {off:+}")
        } else if off < 0 {
            write!(f, "{reg} - {:#x}", off.unsigned_abs())
        } else {
            write!(f, "{reg} + {off:#x}")
        }
    }
}

/// A number: decimal, or hexadecimal in LLVM's.
struct Number(Flavour, i32);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.llvm {
            write!(f, "{}", Hex(i64::from(self.1)))
        } else {
            write!(f, "{}", self.1)
        }
    }
}

/// A register with the letter of its width.
struct Sized(Width, Reg);

impl fmt::Display for Sized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.0 {
            Width::W32 => 'w',
            Width::W64 => 'r',
        };
        write!(f, "{letter}{}", self.1.number())
    }
}

impl Flavour {
    /// A register that is loaded, stored or exchanged: LLVM writes `w1` for up to four bytes.
    fn narrow(self, size: Size, reg: Reg) -> Sized {
        let narrow = self.llvm && !matches!(size, Size::DW);
        Sized(if narrow { Width::W32 } else { Width::W64 }, reg)
    }
}

pub(super) fn write(
    out: &mut dyn Write,
    insn: &Insn,
    fl: Flavour,
    around: &Around<'_>,
) -> fmt::Result {
    match *insn {
        Insn::Alu {
            op,
            width,
            dst,
            src,
        } => {
            write!(out, "{} {} ", Sized(width, dst), alu_row(op).sym)?;
            match src {
                Src::Reg(reg) => write!(out, "{}", Sized(width, reg)),
                Src::Imm(imm) => write!(out, "{}", Number(fl, imm)),
            }
        }
        Insn::Neg { width, dst } => write!(out, "{0} = -{0}", Sized(width, dst)),
        Insn::Movsx {
            width,
            from,
            dst,
            src,
        } => write!(
            out,
            "{} = ({}){}",
            Sized(width, dst),
            size_row(from).signed,
            Sized(width, src)
        ),
        Insn::AddrSpaceCast { dst, src, imm } => {
            let [b0, b1, b2, b3] = imm.to_le_bytes();
            let from = u16::from_le_bytes([b0, b1]);
            let to = u16::from_le_bytes([b2, b3]);
            if fl.llvm {
                write!(out, "{dst} = addr_space_cast({src}, {to:#x}, {from:#x})")
            } else {
                write!(out, "{dst} = addr_space_cast({src}, {to}, {from})")
            }
        }
        Insn::Endian { op, bits, dst } => {
            write!(out, "{dst} = {}{bits} {dst}", endian_row(op).name)
        }
        Insn::Load {
            size,
            signed,
            dst,
            src,
            off,
        } => {
            let row = size_row(size);
            let (ty, dst) = if signed {
                (row.signed, Sized(Width::W64, dst))
            } else {
                (row.unsigned, fl.narrow(size, dst))
            };
            write!(out, "{dst} = *({ty} *)({})", At(fl, src, off))
        }
        Insn::Store {
            size,
            dst,
            off,
            src,
        } => {
            write!(
                out,
                "*({} *)({}) = ",
                size_row(size).unsigned,
                At(fl, dst, off)
            )?;
            match src {
                Src::Reg(reg) => write!(out, "{}", fl.narrow(size, reg)),
                Src::Imm(imm) => write!(out, "{}", Number(fl, imm)),
            }
        }
        Insn::Atomic {
            op,
            size,
            dst,
            off,
            src,
        } => write_atomic(out, fl, op, size, At(fl, dst, off), src),
        Insn::LoadAcquire {
            size,
            dst,
            src,
            off,
        } => write!(
            out,
            "{} = load_acquire(({} *)({}))",
            fl.narrow(size, dst),
            size_row(size).unsigned,
            At(fl, src, off)
        ),
        Insn::StoreRelease {
            size,
            dst,
            off,
            src,
        } => write!(
            out,
            "store_release(({} *)({}), {})",
            size_row(size).unsigned,
            At(fl, dst, off),
            fl.narrow(size, src)
        ),
        Insn::LoadImm64 { dst, imm } => {
            write!(out, "{dst} = ")?;
            match imm {
                Imm64::Value(value) if fl.llvm => write!(out, "{} ll", Hex(value.cast_signed())),
                Imm64::Value(value) => write!(out, "{value:#x} ll"),
                _ => write_wide(out, imm, around),
            }
        }
        Insn::LoadAbs { size, imm } => write!(
            out,
            "r0 = *({} *)skb[{}]",
            size_row(size).unsigned,
            Number(fl, imm)
        ),
        Insn::LoadInd { size, src, imm: 0 } if fl.llvm => {
            write!(out, "r0 = *({} *)skb[{src}]", size_row(size).unsigned)
        }
        Insn::LoadInd { size, src, imm } => write!(
            out,
            "r0 = *({} *)skb[{src} + {}]",
            size_row(size).unsigned,
            Number(fl, imm)
        ),
        Insn::Ja { off } => write_goto(out, fl, "goto", i64::from(off), around),
        Insn::Jal { imm } => write_goto(out, fl, "gotol", i64::from(imm), around),
        Insn::MayGoto { off } => write_goto(out, fl, "may_goto", i64::from(off), around),
        Insn::Jx { dst } => write!(out, "gotox {dst}"),
        Insn::Jmp {
            cond,
            width,
            dst,
            src,
            off,
        } => {
            write!(out, "if {} {} ", Sized(width, dst), cond_row(cond).sym)?;
            match src {
                Src::Reg(reg) => write!(out, "{} ", Sized(width, reg))?,
                Src::Imm(imm) if fl.llvm => write!(out, "{} ", Hex(i64::from(imm)))?,
                Src::Imm(imm) => write!(out, "{imm:#x} ")?,
            }
            write_goto(out, fl, "goto", i64::from(off), around)
        }
        Insn::Call { callee } => write_call(out, fl, callee, around),
        Insn::Callx { dst } => write!(out, "callx {dst}"),
        Insn::Exit => out.write_str("exit"),
    }
}

fn write_goto(
    out: &mut dyn Write,
    fl: Flavour,
    word: &str,
    distance: i64,
    around: &Around<'_>,
) -> fmt::Result {
    write!(out, "{word} ")?;
    write_target(out, around, format_args!("{}", Distance(fl, distance)))
}

fn write_call(
    out: &mut dyn Write,
    fl: Flavour,
    callee: Callee,
    around: &Around<'_>,
) -> fmt::Result {
    match callee {
        Callee::Helper(id) if fl.llvm => write!(out, "call {id:#x}"),
        Callee::Helper(id) if around.plain_calls => write!(out, "call {id}"),
        Callee::Helper(id) => {
            let name = helper::by_id(id).map_or("unknown", |helper| helper.name);
            write!(out, "call {name}#{id}")
        }
        Callee::Local(distance) => {
            out.write_str("call ")?;
            write_target(out, around, format_args!("pc{distance:+}"))
        }
        Callee::Kfunc { id, off: 0 } => write!(out, "call kernel-function#{id}"),
        Callee::Kfunc { id, off } => write!(out, "call kernel-function#{id}@{off}"),
    }
}

fn write_atomic(
    out: &mut dyn Write,
    fl: Flavour,
    op: AtomicOp,
    size: Size,
    at: At,
    src: Reg,
) -> fmt::Result {
    let row = atomic_row(op);
    let ty = size_row(size).unsigned;
    let src = fl.narrow(size, src);
    let wide = matches!(size, Size::DW);
    match (op, fl.llvm) {
        (_, _) if !row.sym.is_empty() => write!(out, "lock *({ty} *)({at}) {} {src}", row.sym),
        (AtomicOp::Cmpxchg, false) => {
            let bits = if wide { "64" } else { "" };
            write!(out, "r0 = atomic{bits}_cmpxchg(({ty} *)({at}), r0, {src})")
        }
        (AtomicOp::Cmpxchg, true) => {
            let (r0, name) = if wide {
                ("r0", "cmpxchg_64")
            } else {
                ("w0", "cmpxchg32_32")
            };
            write!(out, "{r0} = {name}({at}, {r0}, {src})")
        }
        (AtomicOp::Xchg, true) => {
            let name = if wide { "xchg_64" } else { "xchg32_32" };
            write!(out, "{src} = {name}({at}, {src})")
        }
        (_, true) => write!(out, "{src} = atomic_{}(({ty} *)({at}), {src})", row.name),
        (_, false) => {
            let bits = if wide { "64" } else { "" };
            write!(
                out,
                "{src} = atomic{bits}_{}(({ty} *)({at}), {src})",
                row.name
            )
        }
    }
}
