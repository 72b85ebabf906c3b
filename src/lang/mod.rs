//! The bpftrace language: script text to checked, typed tree.

pub mod ast;
pub mod builtin;
pub mod checked;
mod constants;
pub mod diag;
mod lexer;
mod number;
mod parser;
pub mod points;
mod preproc;
pub mod print;
mod suggest;
mod token;

pub use diag::{Diagnostic, Severity};
pub use parser::parse;
pub use points::{Wanted, wanted};
pub use print::print;
