//! `baretrace`: traces Linux programs with eBPF, from script to ring, without LLVM, clang, libbpf or C.

pub mod asm;
pub mod check;
pub mod cli;
pub mod codegen;
pub mod compile;
pub mod demo;
pub mod elf;
pub mod ir;
pub mod kernel;
pub mod lang;
pub mod loader;
pub mod lower;
pub mod runtime;
pub mod session;
pub mod span;
pub mod spec;
pub mod suggest;
pub mod sys;
pub mod usdt;
pub mod vm;
pub mod wildcard;
