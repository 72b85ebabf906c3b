//! `baretrace`: traces Linux programs with eBPF, from script to ring, without LLVM, clang, libbpf or C.

pub mod asm;
pub mod explain;
pub mod span;
pub mod spec;
