//! Raw system calls, each behind one safe function: the home of `unsafe`.
//!
//! Slices and borrowed file descriptors go in, `io::Result` comes out. Pointers never leave the call they were made
//! for, and a buffer that the kernel writes to is never smaller than what it writes.

pub mod bpf;
pub mod cpu;
pub mod errno;
pub mod file_map;
pub mod map_view;
pub mod mmap;
pub mod names;
pub mod perf;
pub mod process;
pub mod sdt;
pub mod strftime;
pub mod trace;
pub mod uapi;
