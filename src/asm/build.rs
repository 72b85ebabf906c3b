//! Builders: one function for each kind of instruction, so that hand-written programs read like assembly.
//!
//! ```
//! use baretrace::asm::{Reg, Size, build::*, encode};
//! let program = [
//!     mov64_imm(Reg::R0, 0),
//!     load(Size::DW, Reg::R1, Reg::R1, 8),
//!     add64(Reg::R0, Reg::R1),
//!     exit(),
//! ];
//! assert_eq!(encode(&program)?.len(), 32);
//! # Ok::<(), baretrace::asm::EncodeError>(())
//! ```
//!
//! What has no encoding cannot be said here: registers are [`Reg`], distances `i16`, sizes with gaps have types of
//! their own. Distances that are known only later are the job of [`super::Assembler`].

use super::{AluOp, AtomicOp, Callee, Cond, EndianOp, Imm64, Insn, Reg, Size, Src, Width, helper};

impl From<Reg> for Src {
    fn from(reg: Reg) -> Src {
        Src::Reg(reg)
    }
}

impl From<i32> for Src {
    fn from(imm: i32) -> Src {
        Src::Imm(imm)
    }
}

/// Source width of a sign-extending move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrow {
    /// The low 8 bits.
    S8,
    /// The low 16 bits.
    S16,
}

/// Width of a byte-order instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// The low 16 bits.
    B16,
    /// The low 32 bits.
    B32,
    /// All 64 bits.
    B64,
}

/// `dst = dst op src` in 64 bits; `src` is a register or an immediate.
pub fn alu64(op: AluOp, dst: Reg, src: impl Into<Src>) -> Insn {
    alu(op, Width::W64, dst, src)
}

/// `dst = dst op src` in 32 bits; the upper half of `dst` becomes zero.
pub fn alu32(op: AluOp, dst: Reg, src: impl Into<Src>) -> Insn {
    alu(op, Width::W32, dst, src)
}

/// `dst = dst op src` in that width.
pub fn alu(op: AluOp, width: Width, dst: Reg, src: impl Into<Src>) -> Insn {
    let src = src.into();
    Insn::Alu {
        op,
        width,
        dst,
        src,
    }
}

/// `dst = src`.
pub fn mov64(dst: Reg, src: Reg) -> Insn {
    alu64(AluOp::Mov, dst, src)
}

/// `dst = imm`, sign-extended to 64 bits.
pub fn mov64_imm(dst: Reg, imm: i32) -> Insn {
    alu64(AluOp::Mov, dst, imm)
}

/// `dst = (u32)src`.
pub fn mov32(dst: Reg, src: Reg) -> Insn {
    alu32(AluOp::Mov, dst, src)
}

/// `dst = (u32)imm`.
pub fn mov32_imm(dst: Reg, imm: i32) -> Insn {
    alu32(AluOp::Mov, dst, imm)
}

/// `dst += src`.
pub fn add64(dst: Reg, src: Reg) -> Insn {
    alu64(AluOp::Add, dst, src)
}

/// `dst += imm`.
pub fn add64_imm(dst: Reg, imm: i32) -> Insn {
    alu64(AluOp::Add, dst, imm)
}

/// `dst -= src`.
pub fn sub64(dst: Reg, src: Reg) -> Insn {
    alu64(AluOp::Sub, dst, src)
}

/// `dst &= imm`, with the immediate sign-extended.
pub fn and64_imm(dst: Reg, imm: i32) -> Insn {
    alu64(AluOp::And, dst, imm)
}

/// `dst <<= imm`.
pub fn lsh64_imm(dst: Reg, imm: i32) -> Insn {
    alu64(AluOp::Lsh, dst, imm)
}

/// `dst >>= imm`, zeros come in.
pub fn rsh64_imm(dst: Reg, imm: i32) -> Insn {
    alu64(AluOp::Rsh, dst, imm)
}

/// `dst = -dst` in 64 bits.
pub const fn neg64(dst: Reg) -> Insn {
    let width = Width::W64;
    Insn::Neg { width, dst }
}

/// `dst = -dst` in 32 bits.
pub const fn neg32(dst: Reg) -> Insn {
    let width = Width::W32;
    Insn::Neg { width, dst }
}

/// `dst = (s8|s16)src`, sign-extended to `width`.
pub const fn movsx(width: Width, from: Narrow, dst: Reg, src: Reg) -> Insn {
    let from = match from {
        Narrow::S8 => Size::B,
        Narrow::S16 => Size::H,
    };
    Insn::Movsx {
        width,
        from,
        dst,
        src,
    }
}

/// `dst = (s32)src`, sign-extended to 64 bits.
pub const fn movsx32(dst: Reg, src: Reg) -> Insn {
    Insn::Movsx {
        width: Width::W64,
        from: Size::W,
        dst,
        src,
    }
}

/// `dst = le16|le32|le64 dst` and the like.
pub const fn endian(op: EndianOp, bits: Bits, dst: Reg) -> Insn {
    let bits = match bits {
        Bits::B16 => 16,
        Bits::B32 => 32,
        Bits::B64 => 64,
    };
    Insn::Endian { op, bits, dst }
}

/// `dst = *(size *)(src + off)`.
pub const fn load(size: Size, dst: Reg, src: Reg, off: i16) -> Insn {
    Insn::Load {
        size,
        signed: false,
        dst,
        src,
        off,
    }
}

/// `dst = *(s8|s16 *)(src + off)`, sign-extended to 64 bits.
pub const fn load_signed(from: Narrow, dst: Reg, src: Reg, off: i16) -> Insn {
    let size = match from {
        Narrow::S8 => Size::B,
        Narrow::S16 => Size::H,
    };
    Insn::Load {
        size,
        signed: true,
        dst,
        src,
        off,
    }
}

/// `dst = *(s32 *)(src + off)`, sign-extended to 64 bits.
pub const fn load_signed32(dst: Reg, src: Reg, off: i16) -> Insn {
    Insn::Load {
        size: Size::W,
        signed: true,
        dst,
        src,
        off,
    }
}

/// `*(size *)(dst + off) = src`, with a register or an immediate.
pub fn store(size: Size, dst: Reg, off: i16, src: impl Into<Src>) -> Insn {
    let src = src.into();
    Insn::Store {
        size,
        dst,
        off,
        src,
    }
}

/// An atomic operation on `*(u64 *)(dst + off)`.
pub const fn atomic64(op: AtomicOp, dst: Reg, off: i16, src: Reg) -> Insn {
    Insn::Atomic {
        op,
        size: Size::DW,
        dst,
        off,
        src,
    }
}

/// An atomic operation on `*(u32 *)(dst + off)`.
pub const fn atomic32(op: AtomicOp, dst: Reg, off: i16, src: Reg) -> Insn {
    Insn::Atomic {
        op,
        size: Size::W,
        dst,
        off,
        src,
    }
}

/// `dst = load_acquire((size *)(src + off))`.
pub const fn load_acquire(size: Size, dst: Reg, src: Reg, off: i16) -> Insn {
    Insn::LoadAcquire {
        size,
        dst,
        src,
        off,
    }
}

/// `store_release((size *)(dst + off), src)`.
pub const fn store_release(size: Size, dst: Reg, off: i16, src: Reg) -> Insn {
    Insn::StoreRelease {
        size,
        dst,
        off,
        src,
    }
}

/// `dst = value`, all 64 bits, in two slots.
pub const fn load_imm64(dst: Reg, value: u64) -> Insn {
    let imm = Imm64::Value(value);
    Insn::LoadImm64 { dst, imm }
}

/// `dst =` the map at that index of the object.
pub const fn load_map(dst: Reg, index: i32) -> Insn {
    let imm = Imm64::MapIdx(index);
    Insn::LoadImm64 { dst, imm }
}

/// `dst =` an address inside the value of the one-element array at that index of the object.
pub const fn load_map_value(dst: Reg, index: i32, off: u32) -> Insn {
    let imm = Imm64::MapIdxValue { idx: index, off };
    Insn::LoadImm64 { dst, imm }
}

/// `goto +off`, in slots from the next instruction.
pub const fn goto(off: i16) -> Insn {
    Insn::Ja { off }
}

/// `gotol +imm`, in slots from the next instruction.
pub const fn gotol(imm: i32) -> Insn {
    Insn::Jal { imm }
}

/// `if dst cond src goto +off`, in 64 bits.
pub fn jump_if(cond: Cond, dst: Reg, src: impl Into<Src>, off: i16) -> Insn {
    let src = src.into();
    Insn::Jmp {
        cond,
        width: Width::W64,
        dst,
        src,
        off,
    }
}

/// `if dst cond src goto +off`, in 32 bits.
pub fn jump32_if(cond: Cond, dst: Reg, src: impl Into<Src>, off: i16) -> Insn {
    let src = src.into();
    Insn::Jmp {
        cond,
        width: Width::W32,
        dst,
        src,
        off,
    }
}

/// `may_goto +off`: leaves a loop once the kernel's budget is used up.
pub const fn may_goto(off: i16) -> Insn {
    Insn::MayGoto { off }
}

/// Calls a helper; [`super::helper`] has the numbers.
pub const fn call(helper: u32) -> Insn {
    let callee = Callee::Helper(helper);
    Insn::Call { callee }
}

/// Calls a kernel helper by name, with or without `bpf_`; `None` if there is none of that name.
pub fn call_named(name: &str) -> Option<Insn> {
    helper::by_name(name).map(|helper| call(helper.id))
}

/// Calls a function of this program, that many slots from the next instruction.
pub const fn call_local(distance: i32) -> Insn {
    let callee = Callee::Local(distance);
    Insn::Call { callee }
}

/// Calls a kernel function of vmlinux by its BTF id.
pub const fn call_kfunc(btf_id: i32) -> Insn {
    let callee = Callee::Kfunc { id: btf_id, off: 0 };
    Insn::Call { callee }
}

/// `exit`.
pub const fn exit() -> Insn {
    Insn::Exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::encode;

    #[test]
    fn builds_known_bytes() {
        let (r1, r2) = (Reg::R1, Reg::R2);
        let rows: &[(Insn, [u8; 8])] = &[
            (mov64(r1, r2), [0xbf, 0x21, 0, 0, 0, 0, 0, 0]),
            (mov32_imm(r1, -1), [0xb4, 1, 0, 0, 255, 255, 255, 255]),
            (
                load(Size::DW, r1, r2, -8),
                [0x79, 0x21, 0xf8, 0xff, 0, 0, 0, 0],
            ),
            (store(Size::W, r1, 4, 7), [0x62, 1, 4, 0, 7, 0, 0, 0]),
            (store(Size::B, r1, 4, r2), [0x73, 0x21, 4, 0, 0, 0, 0, 0]),
            (
                jump32_if(Cond::Sgt, r1, 255, 3),
                [0x66, 1, 3, 0, 255, 0, 0, 0],
            ),
            (call(5), [0x85, 0, 0, 0, 5, 0, 0, 0]),
            (
                endian(EndianOp::Bswap, Bits::B16, r1),
                [0xd7, 1, 0, 0, 16, 0, 0, 0],
            ),
            (
                movsx(Width::W32, Narrow::S16, r1, r2),
                [0xbc, 0x21, 16, 0, 0, 0, 0, 0],
            ),
            (exit(), [0x95, 0, 0, 0, 0, 0, 0, 0]),
        ];
        for (insn, bytes) in rows {
            assert_eq!(encode(&[*insn]).unwrap(), bytes, "{insn:?}");
        }
    }
}
