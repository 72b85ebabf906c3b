//! The eBPF instruction set: registers, instructions, encoding, text (RFC 9669).

mod decode;
mod encode;
mod insn;
mod raw;
mod reg;
pub mod table;

pub use decode::{DecodeError, Field, decode, decode_at};
pub use encode::{EncodeError, encode};
pub use insn::{AluOp, AtomicOp, Callee, Cond, EndianOp, Imm64, Insn, Size, Src, Width};
pub use raw::{Raw, Unencodable};
pub use reg::Reg;
