//! Command lines, what they print, and their exit codes.

mod bad_binary;
mod bpftrace;
mod commands;
mod faults;
mod features;
mod kernel_probes;
mod live;
mod process;
mod rights;
mod scripts;
mod support;
mod symbols;
mod talk;
mod walked;
mod words;

#[path = "../elf/writer.rs"]
#[expect(dead_code, reason = "its other user writes other files")]
mod writer;
