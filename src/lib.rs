//! `baretrace`: traces Linux programs with eBPF, from script to ring, without LLVM, clang, libbpf or C.

pub mod asm;
pub mod cli;
pub mod ir;
pub mod lang;
pub mod session;
pub mod kernel;
pub mod span;
pub mod spec;
pub mod sys;
