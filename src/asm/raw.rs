//! One 8-byte slot as its five fields (RFC 9669 §3.1, `struct bpf_insn`).

use super::table::{self, *};
use super::{AluOp, Callee, Imm64, Insn, Reg, Size, Src, Width};
use std::fmt;

/// The fields of one slot, as they stand in memory on a little-endian machine:
///
/// ```text
/// byte 0    1          2 3   4 5 6 7
///      code src:4|dst:4 off   imm
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Raw {
    /// Operation.
    pub code: u8,
    /// Destination register's number, 0 to 15.
    pub dst: u8,
    /// Source register's number or pseudo source, 0 to 15.
    pub src: u8,
    /// Offset.
    pub off: i16,
    /// Immediate.
    pub imm: i32,
}

impl Raw {
    /// The eight bytes.
    pub const fn to_bytes(self) -> [u8; 8] {
        let [o0, o1] = self.off.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        [
            self.code,
            (self.src << 4) | (self.dst & 0xf),
            o0,
            o1,
            i0,
            i1,
            i2,
            i3,
        ]
    }

    /// The slot of eight bytes.
    pub const fn from_bytes(b: [u8; 8]) -> Raw {
        Raw {
            code: b[0],
            dst: b[1] & 0xf,
            src: b[1] >> 4,
            off: i16::from_le_bytes([b[2], b[3]]),
            imm: i32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        }
    }
}

/// Why a value of [`Insn`] has no encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unencodable {
    /// A sign-extending move from that size to that width does not exist.
    Movsx(Size, Width),
    /// Byte-order instructions exist for 16, 32 and 64 bits.
    EndianBits(u8),
    /// A sign-extending load of 8 bytes does not exist.
    SignedLoad,
    /// Atomics exist for 4 and 8 bytes.
    AtomicSize(Size),
    /// Packet loads exist for 1, 2 and 4 bytes.
    PacketSize(Size),
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unencodable::Movsx(from, width) => write!(
                f,
                "a sign-extending move from {} to {} bits does not exist; sizes are 8 and 16, and 32 for a 64-bit move",
                from.bytes() * 8,
                width.bits()
            ),
            Unencodable::EndianBits(bits) => write!(
                f,
                "byte order of {bits} bits does not exist; widths are 16, 32 and 64"
            ),
            Unencodable::SignedLoad => {
                f.write_str("a sign-extending load of 8 bytes does not exist; load it unsigned")
            }
            Unencodable::AtomicSize(size) => write!(
                f,
                "an atomic operation on {} byte(s) does not exist; sizes are 4 and 8",
                size.bytes()
            ),
            Unencodable::PacketSize(size) => write!(
                f,
                "a packet load of {} bytes does not exist; sizes are 1, 2 and 4",
                size.bytes()
            ),
        }
    }
}

impl std::error::Error for Unencodable {}

const fn slot(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Raw {
    Raw {
        code,
        dst,
        src,
        off,
        imm,
    }
}

const fn alu_class(width: Width) -> u8 {
    match width {
        Width::W32 => CLASS_ALU,
        Width::W64 => CLASS_ALU64,
    }
}

const fn operand(src: Src) -> (u8, u8, i32) {
    match src {
        Src::Reg(reg) => (SRC_X, reg.number(), 0),
        Src::Imm(imm) => (0, 0, imm),
    }
}

impl Insn {
    /// Its first slot, and the second one of a wide immediate.
    ///
    /// # Errors
    /// [`Unencodable`] for the few values of this type that no bytes stand for.
    pub const fn to_raw(&self) -> Result<(Raw, Option<Raw>), Unencodable> {
        let raw = match *self {
            Insn::Alu {
                op,
                width,
                dst,
                src,
            } => {
                let row = table::alu_row(op);
                let (bit, src, imm) = operand(src);
                slot(
                    row.code | bit | alu_class(width),
                    dst.number(),
                    src,
                    row.off,
                    imm,
                )
            }
            Insn::Neg { width, dst } => slot(OP_NEG | alu_class(width), dst.number(), 0, 0, 0),
            Insn::Movsx {
                width,
                from,
                dst,
                src,
            } => {
                let off = match (from, width) {
                    (Size::B, _) => 8,
                    (Size::H, _) => 16,
                    (Size::W, Width::W64) => 32,
                    _ => return Err(Unencodable::Movsx(from, width)),
                };
                let code = table::alu_row(AluOp::Mov).code | SRC_X | alu_class(width);
                slot(code, dst.number(), src.number(), off, 0)
            }
            Insn::AddrSpaceCast { dst, src, imm } => {
                let code = table::alu_row(AluOp::Mov).code | SRC_X | CLASS_ALU64;
                slot(code, dst.number(), src.number(), OFF_ADDR_SPACE_CAST, imm)
            }
            Insn::Endian { op, bits, dst } => match bits {
                16 | 32 | 64 => slot(table::endian_row(op).code, dst.number(), 0, 0, bits as i32),
                _ => return Err(Unencodable::EndianBits(bits)),
            },
            Insn::Load {
                size,
                signed,
                dst,
                src,
                off,
            } => {
                let mode = match (signed, size) {
                    (true, Size::DW) => return Err(Unencodable::SignedLoad),
                    (true, _) => MODE_MEMSX,
                    (false, _) => MODE_MEM,
                };
                let code = mode | table::size_row(size).code | CLASS_LDX;
                slot(code, dst.number(), src.number(), off, 0)
            }
            Insn::Store {
                size,
                dst,
                off,
                src,
            } => {
                let bits = MODE_MEM | table::size_row(size).code;
                match src {
                    Src::Reg(reg) => slot(bits | CLASS_STX, dst.number(), reg.number(), off, 0),
                    Src::Imm(imm) => slot(bits | CLASS_ST, dst.number(), 0, off, imm),
                }
            }
            Insn::Atomic {
                op,
                size,
                dst,
                off,
                src,
            } => match size {
                Size::W | Size::DW => slot(
                    MODE_ATOMIC | table::size_row(size).code | CLASS_STX,
                    dst.number(),
                    src.number(),
                    off,
                    table::atomic_row(op).imm,
                ),
                _ => return Err(Unencodable::AtomicSize(size)),
            },
            Insn::LoadAcquire {
                size,
                dst,
                src,
                off,
            } => slot(
                MODE_ATOMIC | table::size_row(size).code | CLASS_STX,
                dst.number(),
                src.number(),
                off,
                LOAD_ACQ,
            ),
            Insn::StoreRelease {
                size,
                dst,
                off,
                src,
            } => slot(
                MODE_ATOMIC | table::size_row(size).code | CLASS_STX,
                dst.number(),
                src.number(),
                off,
                STORE_REL,
            ),
            Insn::LoadImm64 { dst, imm } => return Ok(wide(dst, imm)),
            Insn::LoadAbs { size, imm } => match size {
                Size::DW => return Err(Unencodable::PacketSize(size)),
                _ => slot(
                    MODE_ABS | table::size_row(size).code | CLASS_LD,
                    0,
                    0,
                    0,
                    imm,
                ),
            },
            Insn::LoadInd { size, src, imm } => match size {
                Size::DW => return Err(Unencodable::PacketSize(size)),
                _ => slot(
                    MODE_IND | table::size_row(size).code | CLASS_LD,
                    0,
                    src.number(),
                    0,
                    imm,
                ),
            },
            Insn::Ja { off } => slot(OP_JA | CLASS_JMP, 0, 0, off, 0),
            Insn::Jal { imm } => slot(OP_JA | CLASS_JMP32, 0, 0, 0, imm),
            Insn::Jx { dst } => slot(OP_JA | SRC_X | CLASS_JMP, dst.number(), 0, 0, 0),
            Insn::Jmp {
                cond,
                width,
                dst,
                src,
                off,
            } => {
                let class = match width {
                    Width::W32 => CLASS_JMP32,
                    Width::W64 => CLASS_JMP,
                };
                let (bit, src, imm) = operand(src);
                let code = table::cond_row(cond).code | bit | class;
                slot(code, dst.number(), src, off, imm)
            }
            Insn::MayGoto { off } => slot(OP_JCOND | CLASS_JMP, 0, 0, off, 0),
            Insn::Call { callee } => {
                let (src, off, imm) = match callee {
                    Callee::Helper(id) => (0, 0, id as i32),
                    Callee::Local(distance) => (1, 0, distance),
                    Callee::Kfunc { id, off } => (2, off, id),
                };
                slot(OP_CALL | CLASS_JMP, 0, src, off, imm)
            }
            Insn::Callx { dst } => slot(OP_CALL | SRC_X | CLASS_JMP, dst.number(), 0, 0, 0),
            Insn::Exit => slot(OP_EXIT | CLASS_JMP, 0, 0, 0, 0),
        };
        Ok((raw, None))
    }
}

/// The two slots of a wide immediate.
const fn wide(dst: Reg, imm: Imm64) -> (Raw, Option<Raw>) {
    let (src, low, high) = match imm {
        Imm64::Value(value) => (0, value as u32 as i32, (value >> 32) as u32 as i32),
        Imm64::MapFd(fd) => (1, fd, 0),
        Imm64::MapValue { fd, off } => (2, fd, off as i32),
        Imm64::BtfId { id, obj_fd } => (3, id, obj_fd),
        Imm64::Func(distance) => (4, distance, 0),
        Imm64::MapIdx(idx) => (5, idx, 0),
        Imm64::MapIdxValue { idx, off } => (6, idx, off as i32),
    };
    let code = MODE_IMM | table::size_row(Size::DW).code | CLASS_LD;
    (
        slot(code, dst.number(), src, 0, low),
        Some(slot(0, 0, 0, 0, high)),
    )
}
