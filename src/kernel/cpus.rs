//! Which CPUs there are.

use std::io;

use crate::sys::cpu;

pub use crate::sys::cpu::possible_count;

/// CPUs that run now.
///
/// # Errors
/// What the file system said.
pub fn online() -> io::Result<Vec<u32>> {
    cpu::read_list("online")
}

/// CPUs that may ever run: the ones per-CPU maps have values for.
///
/// # Errors
/// What the file system said.
pub fn possible() -> io::Result<Vec<u32>> {
    cpu::read_list("possible")
}
