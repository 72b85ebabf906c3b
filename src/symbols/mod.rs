//! Names and addresses of code: which function an address is in, and which addresses a name means.
//!
//! [`Symbolizer`] names the addresses of running processes; [`functions()`] finds the places that a uprobe's name means;
//! [`library::find`] and [`debug_file`] find the files to look in.
//!
//! Reading order: `demangle`; `table` and `process`, then `symbolizer`; `code` for processes of another time;
//! `function` with `insn_length`; `library`, `debug`.

mod code;
pub(crate) mod crc32;
mod debug;
mod demangle;
mod function;
mod insn_length;
mod kernel;
pub mod library;
mod process;
mod symbolizer;
mod table;

pub use code::{CodeFile, CodeRange, CodeReader, ProcessCode, open_mapped};
pub use debug::{debug_file, search_debug_files};
pub use demangle::demangle;
pub use function::{Function, FunctionError, Language, Pattern, Want, functions};
pub use symbolizer::Symbolizer;

/// Bytes of the machine instruction that `code` begins with, on the processor this runs on; `None` if it is none that is
/// known.
pub fn instruction_length(code: &[u8]) -> Option<usize> {
    if cfg!(target_arch = "aarch64") {
        return (code.len() >= 4).then_some(4);
    }
    insn_length::x86_64(code)
}
