//! Raw system calls and other things that need `unsafe`, behind safe functions.

pub mod file_map;
pub mod sdt;
