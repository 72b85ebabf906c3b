//! The tables of the instruction set: what encode, decode, text and `explain` are driven by (RFC 9669 §3–§5).
//!
//! A code byte is built as the RFC draws it:
//!
//! ```text
//! ALU and jumps    | code:4 | s:1 | class:3 |      s: 0 = K (immediate), 1 = X (register)
//! loads and stores | mode:3 | size:2 | class:3 |
//! ```

use super::{AluOp, AtomicOp, Cond, EndianOp, Size};
use std::fmt;

/// Class bits of a code byte.
pub const CLASS_LD: u8 = 0x00;
/// Loads into a register.
pub const CLASS_LDX: u8 = 0x01;
/// Stores of an immediate.
pub const CLASS_ST: u8 = 0x02;
/// Stores of a register.
pub const CLASS_STX: u8 = 0x03;
/// 32-bit arithmetic.
pub const CLASS_ALU: u8 = 0x04;
/// 64-bit jumps, calls, exit.
pub const CLASS_JMP: u8 = 0x05;
/// 32-bit jumps, `gotol`.
pub const CLASS_JMP32: u8 = 0x06;
/// 64-bit arithmetic.
pub const CLASS_ALU64: u8 = 0x07;
/// Source bit: the second operand is a register.
pub const SRC_X: u8 = 0x08;

/// Mode: wide immediate.
pub const MODE_IMM: u8 = 0x00;
/// Mode: legacy packet load at a constant.
pub const MODE_ABS: u8 = 0x20;
/// Mode: legacy packet load at register plus constant.
pub const MODE_IND: u8 = 0x40;
/// Mode: plain memory.
pub const MODE_MEM: u8 = 0x60;
/// Mode: sign-extending load.
pub const MODE_MEMSX: u8 = 0x80;
/// Mode: atomic operations.
pub const MODE_ATOMIC: u8 = 0xc0;

/// `-r`.
pub const OP_NEG: u8 = 0x80;
/// Byte order.
pub const OP_END: u8 = 0xd0;
/// `goto`, `gotol`, `gotox`.
pub const OP_JA: u8 = 0x00;
/// `call`, `callx`.
pub const OP_CALL: u8 = 0x80;
/// `exit`.
pub const OP_EXIT: u8 = 0x90;
/// `may_goto` and its kin (`BPF_JCOND`).
pub const OP_JCOND: u8 = 0xe0;
/// `imm` bit of an atomic that returns the old value.
pub const ATOMIC_FETCH: i32 = 0x01;
/// `imm` of a load-acquire.
pub const LOAD_ACQ: i32 = 0x100;
/// `imm` of a store-release.
pub const STORE_REL: i32 = 0x110;
/// `off` that marks `addr_space_cast`.
pub const OFF_ADDR_SPACE_CAST: i16 = 1;

/// Kernel version in which something first worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Since(pub u8, pub u8);

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Conformance group (RFC 9669 §2.4), without its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// `base32`, `base64`.
    Base,
    /// `divmul32`, `divmul64`.
    Divmul,
    /// `atomic32`, `atomic64`.
    Atomic,
    /// `packet`.
    Packet,
    /// Linux only: not in the RFC.
    Linux,
}

impl Group {
    /// The RFC's name of the group for operands of `bits` bits.
    pub const fn name(self, bits: u32) -> &'static str {
        match (self, bits) {
            (Group::Base, 64) => "base64",
            (Group::Base, _) => "base32",
            (Group::Divmul, 64) => "divmul64",
            (Group::Divmul, _) => "divmul32",
            (Group::Atomic, 64) => "atomic64",
            (Group::Atomic, _) => "atomic32",
            (Group::Packet, _) => "packet",
            (Group::Linux, _) => "none (Linux)",
        }
    }
}

/// One arithmetic operation. `off` tells apart operations that share a code.
#[derive(Clone, Copy, Debug)]
pub struct AluRow {
    /// The operation.
    pub op: AluOp,
    /// High four bits of the code byte.
    pub code: u8,
    /// The `off` field.
    pub off: i16,
    /// Operator in the kernel's dialect.
    pub sym: &'static str,
    /// Name in the mnemonic dialect.
    pub name: &'static str,
    /// Conformance group.
    pub group: Group,
    /// First kernel.
    pub since: Since,
    /// What it does, in a sentence with `{dst}` and `{src}`.
    pub means: &'static str,
}

#[expect(clippy::too_many_arguments, reason = "a row of the table")]
const fn alu(
    op: AluOp,
    code: u8,
    off: i16,
    sym: &'static str,
    name: &'static str,
    group: Group,
    since: Since,
    means: &'static str,
) -> AluRow {
    AluRow {
        op,
        code,
        off,
        sym,
        name,
        group,
        since,
        means,
    }
}

const V3_18: Since = Since(3, 18);
const V4_14: Since = Since(4, 14);
const V5_12: Since = Since(5, 12);
const V6_6: Since = Since(6, 6);

/// Arithmetic (RFC 9669 §4.1), in the order of [`AluOp`]'s variants.
pub const ALU: &[AluRow] = &[
    alu(
        AluOp::Add,
        0x00,
        0,
        "+=",
        "add",
        Group::Base,
        V3_18,
        "adds {src} to {dst}",
    ),
    alu(
        AluOp::Sub,
        0x10,
        0,
        "-=",
        "sub",
        Group::Base,
        V3_18,
        "subtracts {src} from {dst}",
    ),
    alu(
        AluOp::Mul,
        0x20,
        0,
        "*=",
        "mul",
        Group::Divmul,
        V3_18,
        "multiplies {dst} by {src}",
    ),
    alu(
        AluOp::Div,
        0x30,
        0,
        "/=",
        "div",
        Group::Divmul,
        V3_18,
        "divides {dst} by {src}, unsigned; by zero gives 0",
    ),
    alu(
        AluOp::Sdiv,
        0x30,
        1,
        "s/=",
        "sdiv",
        Group::Divmul,
        V6_6,
        "divides {dst} by {src}, signed, truncating towards zero; by zero gives 0",
    ),
    alu(
        AluOp::Mod,
        0x90,
        0,
        "%=",
        "mod",
        Group::Divmul,
        V3_18,
        "leaves in {dst} the remainder of its unsigned division by {src}; by zero leaves {dst} as it is",
    ),
    alu(
        AluOp::Smod,
        0x90,
        1,
        "s%=",
        "smod",
        Group::Divmul,
        V6_6,
        "leaves in {dst} the remainder of its signed division by {src}, with the sign of {dst}; by zero leaves {dst} as it is",
    ),
    alu(
        AluOp::Or,
        0x40,
        0,
        "|=",
        "or",
        Group::Base,
        V3_18,
        "sets in {dst} the bits of {src}",
    ),
    alu(
        AluOp::And,
        0x50,
        0,
        "&=",
        "and",
        Group::Base,
        V3_18,
        "keeps in {dst} only the bits that {src} has too",
    ),
    alu(
        AluOp::Xor,
        0xa0,
        0,
        "^=",
        "xor",
        Group::Base,
        V3_18,
        "flips in {dst} the bits of {src}",
    ),
    alu(
        AluOp::Lsh,
        0x60,
        0,
        "<<=",
        "lsh",
        Group::Base,
        V3_18,
        "shifts {dst} left by {src} bits (modulo the width)",
    ),
    alu(
        AluOp::Rsh,
        0x70,
        0,
        ">>=",
        "rsh",
        Group::Base,
        V3_18,
        "shifts {dst} right by {src} bits (modulo the width), zeros come in",
    ),
    alu(
        AluOp::Arsh,
        0xc0,
        0,
        "s>>=",
        "arsh",
        Group::Base,
        V3_18,
        "shifts {dst} right by {src} bits (modulo the width), copies of the sign come in",
    ),
    alu(
        AluOp::Mov,
        0xb0,
        0,
        "=",
        "mov",
        Group::Base,
        V3_18,
        "copies {src} to {dst}",
    ),
];

/// One condition of a jump.
#[derive(Clone, Copy, Debug)]
pub struct CondRow {
    /// The condition.
    pub cond: Cond,
    /// High four bits of the code byte.
    pub code: u8,
    /// Operator in the kernel's dialect.
    pub sym: &'static str,
    /// Name in the mnemonic dialect.
    pub name: &'static str,
    /// First kernel, for 64 bits; 32-bit jumps came with 5.1.
    pub since: Since,
    /// The condition in words, with `{dst}` and `{src}`.
    pub means: &'static str,
}

const fn cond(
    cond: Cond,
    code: u8,
    sym: &'static str,
    name: &'static str,
    since: Since,
    means: &'static str,
) -> CondRow {
    CondRow {
        cond,
        code,
        sym,
        name,
        since,
        means,
    }
}

/// First kernel with 32-bit conditional jumps.
pub const SINCE_JMP32: Since = Since(5, 1);

/// Conditions (RFC 9669 §4.3), in the order of [`Cond`]'s variants.
pub const CONDS: &[CondRow] = &[
    cond(Cond::Eq, 0x10, "==", "jeq", V3_18, "{dst} equals {src}"),
    cond(
        Cond::Ne,
        0x50,
        "!=",
        "jne",
        V3_18,
        "{dst} differs from {src}",
    ),
    cond(
        Cond::Gt,
        0x20,
        ">",
        "jgt",
        V3_18,
        "{dst} is above {src}, unsigned",
    ),
    cond(
        Cond::Ge,
        0x30,
        ">=",
        "jge",
        V3_18,
        "{dst} is above or equal to {src}, unsigned",
    ),
    cond(
        Cond::Lt,
        0xa0,
        "<",
        "jlt",
        V4_14,
        "{dst} is below {src}, unsigned",
    ),
    cond(
        Cond::Le,
        0xb0,
        "<=",
        "jle",
        V4_14,
        "{dst} is below or equal to {src}, unsigned",
    ),
    cond(
        Cond::Set,
        0x40,
        "&",
        "jset",
        V3_18,
        "{dst} and {src} share a set bit",
    ),
    cond(
        Cond::Sgt,
        0x60,
        "s>",
        "jsgt",
        V3_18,
        "{dst} is greater than {src}, signed",
    ),
    cond(
        Cond::Sge,
        0x70,
        "s>=",
        "jsge",
        V3_18,
        "{dst} is greater than or equal to {src}, signed",
    ),
    cond(
        Cond::Slt,
        0xc0,
        "s<",
        "jslt",
        V4_14,
        "{dst} is less than {src}, signed",
    ),
    cond(
        Cond::Sle,
        0xd0,
        "s<=",
        "jsle",
        V4_14,
        "{dst} is less than or equal to {src}, signed",
    ),
];

/// One access size.
#[derive(Clone, Copy, Debug)]
pub struct SizeRow {
    /// The size.
    pub size: Size,
    /// Size bits of the code byte.
    pub code: u8,
    /// C type in the kernel's dialect.
    pub unsigned: &'static str,
    /// C type of a sign-extending load.
    pub signed: &'static str,
    /// Suffix in the mnemonic dialect.
    pub suffix: &'static str,
}

/// Sizes (RFC 9669 §5), in the order of [`Size`]'s variants.
pub const SIZES: &[SizeRow] = &[
    SizeRow {
        size: Size::B,
        code: 0x10,
        unsigned: "u8",
        signed: "s8",
        suffix: "b",
    },
    SizeRow {
        size: Size::H,
        code: 0x08,
        unsigned: "u16",
        signed: "s16",
        suffix: "h",
    },
    SizeRow {
        size: Size::W,
        code: 0x00,
        unsigned: "u32",
        signed: "s32",
        suffix: "w",
    },
    SizeRow {
        size: Size::DW,
        code: 0x18,
        unsigned: "u64",
        signed: "s64",
        suffix: "dw",
    },
];

/// One atomic operation.
#[derive(Clone, Copy, Debug)]
pub struct AtomicRow {
    /// The operation.
    pub op: AtomicOp,
    /// The `imm` field.
    pub imm: i32,
    /// Operator in the kernel's dialect, for the forms without fetch.
    pub sym: &'static str,
    /// Name in both dialects.
    pub name: &'static str,
    /// First kernel.
    pub since: Since,
    /// What it does, with `{mem}` and `{src}`.
    pub means: &'static str,
}

const fn atomic(
    op: AtomicOp,
    imm: i32,
    sym: &'static str,
    name: &'static str,
    since: Since,
    means: &'static str,
) -> AtomicRow {
    AtomicRow {
        op,
        imm,
        sym,
        name,
        since,
        means,
    }
}

/// Atomic operations (RFC 9669 §5.3).
pub const ATOMICS: &[AtomicRow] = &[
    atomic(
        AtomicOp::Add { fetch: false },
        0x00,
        "+=",
        "add",
        V3_18,
        "adds {src} to {mem}",
    ),
    atomic(
        AtomicOp::Or { fetch: false },
        0x40,
        "|=",
        "or",
        V5_12,
        "sets in {mem} the bits of {src}",
    ),
    atomic(
        AtomicOp::And { fetch: false },
        0x50,
        "&=",
        "and",
        V5_12,
        "keeps in {mem} only the bits that {src} has too",
    ),
    atomic(
        AtomicOp::Xor { fetch: false },
        0xa0,
        "^=",
        "xor",
        V5_12,
        "flips in {mem} the bits of {src}",
    ),
    atomic(
        AtomicOp::Add { fetch: true },
        0x01,
        "",
        "fetch_add",
        V5_12,
        "adds {src} to {mem}; the old value goes to {src}",
    ),
    atomic(
        AtomicOp::Or { fetch: true },
        0x41,
        "",
        "fetch_or",
        V5_12,
        "sets in {mem} the bits of {src}; the old value goes to {src}",
    ),
    atomic(
        AtomicOp::And { fetch: true },
        0x51,
        "",
        "fetch_and",
        V5_12,
        "keeps in {mem} only the bits that {src} has too; the old value goes to {src}",
    ),
    atomic(
        AtomicOp::Xor { fetch: true },
        0xa1,
        "",
        "fetch_xor",
        V5_12,
        "flips in {mem} the bits of {src}; the old value goes to {src}",
    ),
    atomic(
        AtomicOp::Xchg,
        0xe1,
        "",
        "xchg",
        V5_12,
        "swaps {src} with {mem}",
    ),
    atomic(
        AtomicOp::Cmpxchg,
        0xf1,
        "",
        "cmpxchg",
        V5_12,
        "stores {src} in {mem} if {mem} equals r0; r0 gets the old value either way",
    ),
];

/// One byte-order operation.
#[derive(Clone, Copy, Debug)]
pub struct EndianRow {
    /// The operation.
    pub op: EndianOp,
    /// The whole code byte.
    pub code: u8,
    /// Name in the kernel's dialect, before the width.
    pub name: &'static str,
    /// Name in the mnemonic dialect, before the width.
    pub mnemonic: &'static str,
    /// First kernel.
    pub since: Since,
    /// What it does, with `{dst}` and `{bits}`.
    pub means: &'static str,
}

/// Byte order (RFC 9669 §4.2), in the order of [`EndianOp`]'s variants.
pub const ENDIANS: &[EndianRow] = &[
    EndianRow {
        op: EndianOp::ToLe,
        code: CLASS_ALU | OP_END,
        name: "le",
        mnemonic: "le",
        since: V3_18,
        means: "converts the low {bits} bits of {dst} between host order and little-endian; higher bits become zero",
    },
    EndianRow {
        op: EndianOp::ToBe,
        code: CLASS_ALU | OP_END | SRC_X,
        name: "be",
        mnemonic: "be",
        since: V3_18,
        means: "converts the low {bits} bits of {dst} between host order and big-endian; higher bits become zero",
    },
    EndianRow {
        op: EndianOp::Bswap,
        code: CLASS_ALU64 | OP_END,
        name: "bswap",
        mnemonic: "swap",
        since: V6_6,
        means: "reverses the low {bits} bits of {dst} byte by byte; higher bits become zero",
    },
];

/// One meaning of a wide immediate: its `src` field.
#[derive(Clone, Copy, Debug)]
pub struct PseudoRow {
    /// The `src` field.
    pub src: u8,
    /// Word in front of the parenthesis in text; empty for a plain number.
    pub word: &'static str,
    /// The kernel's constant.
    pub constant: &'static str,
    /// Whether the second slot's `imm` carries a value.
    pub high: bool,
    /// First kernel.
    pub since: Since,
    /// What `dst` gets.
    pub means: &'static str,
}

/// Wide immediates (RFC 9669 §5.4, `BPF_PSEUDO_*` in `include/uapi/linux/bpf.h`), by `src`.
pub const PSEUDOS: &[PseudoRow] = &[
    PseudoRow {
        src: 0,
        word: "",
        constant: "0",
        high: true,
        since: V3_18,
        means: "the 64-bit number",
    },
    PseudoRow {
        src: 1,
        word: "map_by_fd",
        constant: "BPF_PSEUDO_MAP_FD",
        high: false,
        since: V3_18,
        means: "the map with that file descriptor",
    },
    PseudoRow {
        src: 2,
        word: "map_val_by_fd",
        constant: "BPF_PSEUDO_MAP_VALUE",
        high: true,
        since: Since(5, 2),
        means: "an address inside the value of the one-element array map with that file descriptor",
    },
    PseudoRow {
        src: 3,
        word: "var_addr",
        constant: "BPF_PSEUDO_BTF_ID",
        high: true,
        since: Since(5, 10),
        means: "the address of the kernel variable with that BTF id",
    },
    PseudoRow {
        src: 4,
        word: "code_addr",
        constant: "BPF_PSEUDO_FUNC",
        high: false,
        since: Since(5, 13),
        means: "the address of a function of this program, for use as a callback",
    },
    PseudoRow {
        src: 5,
        word: "map_by_idx",
        constant: "BPF_PSEUDO_MAP_IDX",
        high: false,
        since: Since(5, 14),
        means: "the map at that index of `fd_array`",
    },
    PseudoRow {
        src: 6,
        word: "map_val_by_idx",
        constant: "BPF_PSEUDO_MAP_IDX_VALUE",
        high: true,
        since: Since(5, 14),
        means: "an address inside the value of the one-element array map at that index of `fd_array`",
    },
];

/// The row of an arithmetic operation.
pub const fn alu_row(op: AluOp) -> &'static AluRow {
    &ALU[op as usize]
}

/// The row of a condition.
pub const fn cond_row(cond: Cond) -> &'static CondRow {
    &CONDS[cond as usize]
}

/// The row of a size.
pub const fn size_row(size: Size) -> &'static SizeRow {
    &SIZES[size as usize]
}

/// The row of a byte-order operation.
pub const fn endian_row(op: EndianOp) -> &'static EndianRow {
    &ENDIANS[op as usize]
}

/// The row of an atomic operation.
pub const fn atomic_row(op: AtomicOp) -> &'static AtomicRow {
    let at = match op {
        AtomicOp::Add { fetch: false } => 0,
        AtomicOp::Or { fetch: false } => 1,
        AtomicOp::And { fetch: false } => 2,
        AtomicOp::Xor { fetch: false } => 3,
        AtomicOp::Add { fetch: true } => 4,
        AtomicOp::Or { fetch: true } => 5,
        AtomicOp::And { fetch: true } => 6,
        AtomicOp::Xor { fetch: true } => 7,
        AtomicOp::Xchg => 8,
        AtomicOp::Cmpxchg => 9,
    };
    &ATOMICS[at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn rows_stand_where_their_lookup_expects_them() {
        for row in ALU {
            assert_eq!(alu_row(row.op).op, row.op);
        }
        for row in CONDS {
            assert_eq!(cond_row(row.cond).cond, row.cond);
        }
        for row in SIZES {
            assert_eq!(size_row(row.size).size, row.size);
        }
        for row in ENDIANS {
            assert_eq!(endian_row(row.op).op, row.op);
        }
        for row in ATOMICS {
            assert_eq!(atomic_row(row.op).op, row.op);
        }
        for (at, row) in PSEUDOS.iter().enumerate() {
            assert_eq!(usize::from(row.src), at);
        }
    }

    #[test]
    fn keys_are_unique() {
        let alu: HashSet<_> = ALU.iter().map(|r| (r.code, r.off)).collect();
        assert_eq!(alu.len(), ALU.len());
        let conds: HashSet<_> = CONDS.iter().map(|r| r.code).collect();
        assert_eq!(conds.len(), CONDS.len());
        let atomics: HashSet<_> = ATOMICS.iter().map(|r| r.imm).collect();
        assert_eq!(atomics.len(), ATOMICS.len());
        let names: HashSet<_> = ALU
            .iter()
            .map(|r| r.name)
            .chain(CONDS.iter().map(|r| r.name))
            .collect();
        assert_eq!(names.len(), ALU.len() + CONDS.len());
    }
}
