//! From loaded programs to what the user reads: attach, read the rings, decode records and maps, print.

mod compile;
mod fault;
mod gfp;
mod printmap;
mod short_keys;
mod syscalls;
#[cfg(test)]
mod tests;
mod tseries;

pub use actions::{Flow, OutputOptions, PlayError, Player, RecordCtx};
pub use maps::{Address, Entry, MapReader, NoSymbols, Symbols};
pub use output::{Buffering, Form, Output, Sent};

pub mod actions;
pub mod aggregate;
pub mod attach;
pub mod child;
pub mod clock;
pub mod head_start;
pub mod hit;
pub mod int;
pub mod json;
pub mod maps;
pub mod names;
pub mod output;
pub mod perf_record;
pub mod perf_ring;
pub mod printf;
pub mod record;
pub mod value;
