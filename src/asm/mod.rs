//! The eBPF instruction set: registers, instructions, encoding, text (RFC 9669).

mod insn;
mod reg;

pub use insn::{AluOp, AtomicOp, Callee, Cond, EndianOp, Imm64, Insn, Size, Src, Width};
pub use reg::Reg;
