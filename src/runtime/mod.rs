//! From the bytes of records and maps to what the user reads.

pub mod actions;
pub mod aggregate;
pub mod clock;
mod compile;
mod gfp;
pub mod int;
pub mod json;
pub mod maps;
pub mod names;
pub mod output;
pub mod printf;
mod printmap;
pub mod record;
mod syscalls;
#[cfg(test)]
mod tests;
mod tseries;
pub mod value;

pub use actions::{Flow, OutputOptions, PlayError, Player, RecordCtx};
pub use maps::{Address, Entry, MapReader, NoSymbols, Symbols};
pub use output::{Buffering, Form, Output, Sent};
