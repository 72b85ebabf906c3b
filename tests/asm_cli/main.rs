//! `asm`, `disasm`, `exec` and `explain` from outside: what they print, where they complain, their exit codes.

#![allow(clippy::unwrap_used, reason = "a test")]

mod bad_input;
mod convert;
mod every_insn;
mod examples;
mod exec;
mod explain;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod support;
mod verify;
