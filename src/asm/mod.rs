//! The eBPF instruction set: registers, instructions, encoding, text (RFC 9669).

pub mod build;
mod decode;
pub mod disasm;
mod encode;
pub mod forms;
pub mod helper;
mod insn;
pub mod kfunc;
mod label;
mod map_decl;
pub mod object;
mod raw;
mod reg;
pub mod table;
pub mod text;

pub use decode::{DecodeError, Field, decode, decode_at};
pub use encode::{EncodeError, encode};
pub use insn::{AluOp, AtomicOp, Callee, Cond, EndianOp, Imm64, Insn, Size, Src, Width};
pub use label::{Assembler, Label, LabelError};
pub use map_decl::{KINDS as MAP_KINDS, MapDecl};
pub use raw::{Raw, Unencodable};
pub use reg::Reg;
