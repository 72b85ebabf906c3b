//! The bpftrace language: script text to checked, typed tree.
//!
//! In this order: [`parse()`] reads a text; [`expand()`] puts in imports and macros; [`wanted()`] says what must be looked up
//! in binaries; [`check()`] resolves names and types against a target. [`diag::render`] shows what any of them had to say,
//! [`diag::bpftrace::render`] in the form of bpftrace.

pub mod ast;
pub mod builtin;
mod check;
pub mod checked;
mod config;
pub use config::{is_setting, wrong_settings};
mod constants;
mod debug;
pub mod diag;
mod expand;
pub mod header;
mod lexer;
mod named;
mod number;
mod parser;
pub mod points;
mod preproc;
pub mod print;
mod token;
mod visit;
mod wanted_kernel;

pub use check::check;
pub use debug::{WantedDebug, wanted_debug};
pub use diag::{Diagnostic, Severity};
pub use expand::{expand, import};
pub use named::{Named, named};
pub use parser::{parse, parse_with};
pub use points::{Wanted, wanted};
pub use print::print;
pub use wanted_kernel::{WantedKernel, wanted_kernel};
