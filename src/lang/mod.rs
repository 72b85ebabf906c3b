//! The bpftrace language: script text to checked, typed tree.

pub mod ast;
pub mod checked;
