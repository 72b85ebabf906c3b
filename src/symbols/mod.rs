//! Names and addresses of code: which function an address is in, and which addresses a name means.
//!
//! [`Symbolizer`] names the addresses of running processes; [`functions()`] finds the places that a uprobe's name means;
//! [`library::find`] and [`debug_file`] find the files to look in.
//!
//! Reading order: `demangle`; `table` and `process`, then `symbolizer`; `function` with `insn_length`; `library`, `debug`.

mod crc32;
mod debug;
mod demangle;
mod function;
mod insn_length;
mod kernel;
pub mod library;
mod process;
mod symbolizer;
mod table;

pub use debug::debug_file;
pub use demangle::demangle;
pub use function::{Function, FunctionError, Language, Pattern, functions};
pub use symbolizer::Symbolizer;
