//! `baretrace`: traces Linux programs with eBPF, from script to ring, without LLVM, clang, libbpf or C.

pub mod asm;
pub mod codegen;
pub mod ir;
pub mod kernel;
pub mod lang;
pub mod span;
pub mod spec;
pub mod sys;
