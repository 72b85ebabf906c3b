//! The way from each instruction of a file to the caller of its function, for programs compiled without frame pointers.
//!
//! [`rows`] reads a file's `.eh_frame`; [`Tables`] gives the kernel's maps what they want to know of a process. The walk
//! itself is a program's: `lower::unwind`.

mod rows;
mod tables;

pub use rows::rows;
pub use tables::Tables;
