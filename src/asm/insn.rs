//! One instruction as a value (RFC 9669 §3–§5): the typed form that every stage shares.

use super::Reg;

/// Operand width of an ALU or jump instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// 32 bits (`w1`): the upper half of the destination becomes zero.
    W32,
    /// 64 bits (`r1`).
    W64,
}

impl Width {
    /// Number of bits.
    pub const fn bits(self) -> u32 {
        match self {
            Width::W32 => 32,
            Width::W64 => 64,
        }
    }
}

/// Width of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Size {
    /// 1 byte.
    B,
    /// 2 bytes.
    H,
    /// 4 bytes.
    W,
    /// 8 bytes.
    DW,
}

impl Size {
    /// Number of bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Size::B => 1,
            Size::H => 2,
            Size::W => 4,
            Size::DW => 8,
        }
    }

    /// The size of that many bytes.
    pub const fn from_bytes(bytes: u32) -> Option<Size> {
        match bytes {
            1 => Some(Size::B),
            2 => Some(Size::H),
            4 => Some(Size::W),
            8 => Some(Size::DW),
            _ => None,
        }
    }
}

/// Second operand of an ALU, jump or store instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Src {
    /// A register.
    Reg(Reg),
    /// An immediate, sign-extended to the operation's width.
    Imm(i32),
}

/// Two-operand arithmetic, `dst = dst op src` (RFC 9669 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the RFC's own names")]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    Div,
    Sdiv,
    Mod,
    Smod,
    Or,
    And,
    Xor,
    Lsh,
    Rsh,
    Arsh,
    Mov,
}

/// Byte-order instruction (RFC 9669 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndianOp {
    /// Between host order and little-endian.
    ToLe,
    /// Between host order and big-endian.
    ToBe,
    /// Unconditional swap.
    Bswap,
}

/// Condition of a jump, on `dst` and `src` (RFC 9669 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the RFC's own names")]
pub enum Cond {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Set,
    Sgt,
    Sge,
    Slt,
    Sle,
}

/// Atomic read-modify-write (RFC 9669 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtomicOp {
    /// `*p += src`; with `fetch`, the old value goes to `src`.
    Add {
        #[expect(missing_docs)]
        fetch: bool,
    },
    /// `*p |= src`.
    Or {
        #[expect(missing_docs)]
        fetch: bool,
    },
    /// `*p &= src`.
    And {
        #[expect(missing_docs)]
        fetch: bool,
    },
    /// `*p ^= src`.
    Xor {
        #[expect(missing_docs)]
        fetch: bool,
    },
    /// `src = xchg(p, src)`.
    Xchg,
    /// `r0 = cmpxchg(p, r0, src)`.
    Cmpxchg,
}

/// What a two-slot immediate load means: its `src` field (RFC 9669 §5.4, `BPF_PSEUDO_*` in `linux/bpf.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Imm64 {
    /// A plain 64-bit number (src 0).
    Value(u64),
    /// Map by file descriptor (src 1).
    MapFd(i32),
    /// Address inside the value of a one-element array map, by file descriptor (src 2).
    MapValue {
        #[expect(missing_docs)]
        fd: i32,
        #[expect(missing_docs)]
        off: u32,
    },
    /// Kernel variable or per-CPU variable by BTF id, with the BTF object's fd (src 3).
    BtfId {
        #[expect(missing_docs)]
        id: i32,
        #[expect(missing_docs)]
        obj_fd: i32,
    },
    /// Function of this program, as a relative slot distance (src 4).
    Func(i32),
    /// Map by index: into the object's maps before loading, into `fd_array` in the kernel (src 5).
    MapIdx(i32),
    /// As `MapValue`, by index (src 6).
    MapIdxValue {
        #[expect(missing_docs)]
        idx: i32,
        #[expect(missing_docs)]
        off: u32,
    },
}

/// Whom a call instruction calls (its `src` field, RFC 9669 §4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    /// Helper function by its number (src 0).
    Helper(u32),
    /// Function of this program, `imm` slots from the next instruction (src 1).
    Local(i32),
    /// Kernel function by BTF id (src 2); `off` is an index into `fd_array`, 0 for vmlinux.
    Kfunc {
        #[expect(missing_docs)]
        id: i32,
        #[expect(missing_docs)]
        off: i16,
    },
}

/// One instruction. Jump distances count slots from the next instruction; an [`Insn::LoadImm64`] takes two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "field names are those of RFC 9669 §3.1")]
pub enum Insn {
    /// `dst = dst op src`.
    Alu {
        op: AluOp,
        width: Width,
        dst: Reg,
        src: Src,
    },
    /// `dst = -dst`.
    Neg { width: Width, dst: Reg },
    /// `dst = (s8|s16|s32)src`, sign-extended to `width`. `from` is B, H or W.
    Movsx {
        width: Width,
        from: Size,
        dst: Reg,
        src: Reg,
    },
    /// `dst = addr_space_cast(dst, from, to)`: `imm` is `to << 16 | from` as the kernel has it.
    AddrSpaceCast { dst: Reg, src: Reg, imm: i32 },
    /// Byte order of the low `bits` (16, 32, 64) of `dst`.
    Endian { op: EndianOp, bits: u8, dst: Reg },
    /// `dst = *(size *)(src + off)`, sign-extending if `signed`.
    Load {
        size: Size,
        signed: bool,
        dst: Reg,
        src: Reg,
        off: i16,
    },
    /// `*(size *)(dst + off) = src`.
    Store {
        size: Size,
        dst: Reg,
        off: i16,
        src: Src,
    },
    /// Atomic operation on `*(size *)(dst + off)`.
    Atomic {
        op: AtomicOp,
        size: Size,
        dst: Reg,
        off: i16,
        src: Reg,
    },
    /// `dst = load_acquire((size *)(src + off))` (kernel 6.15).
    LoadAcquire {
        size: Size,
        dst: Reg,
        src: Reg,
        off: i16,
    },
    /// `store_release((size *)(dst + off), src)` (kernel 6.15).
    StoreRelease {
        size: Size,
        dst: Reg,
        off: i16,
        src: Reg,
    },
    /// `dst = imm ll`.
    LoadImm64 { dst: Reg, imm: Imm64 },
    /// `r0 = *(size *)skb[imm]`, legacy.
    LoadAbs { size: Size, imm: i32 },
    /// `r0 = *(size *)skb[src + imm]`, legacy.
    LoadInd { size: Size, src: Reg, imm: i32 },
    /// `goto +off`.
    Ja { off: i16 },
    /// `gotol +imm`.
    Jal { imm: i32 },
    /// `gotox dst`: indirect jump.
    Jx { dst: Reg },
    /// `if dst cond src goto +off`.
    Jmp {
        cond: Cond,
        width: Width,
        dst: Reg,
        src: Src,
        off: i16,
    },
    /// `may_goto +off` (kernel 6.9).
    MayGoto { off: i16 },
    /// `call`.
    Call { callee: Callee },
    /// `callx dst`: call by register (not accepted by the kernel, emitted by clang).
    Callx { dst: Reg },
    /// `exit`.
    Exit,
}

impl Insn {
    /// How many 8-byte slots it takes.
    pub const fn slots(&self) -> usize {
        if matches!(self, Insn::LoadImm64 { .. }) {
            2
        } else {
            1
        }
    }
}
