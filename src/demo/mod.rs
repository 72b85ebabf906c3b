//! The built-in target: a process that fires Bitcoin Core's tracepoints with invented but plausible data.
//!
//! It stands in for `bitcoind` in the demo, in tests and in benches. The same options fire the same events in the same order.
//! Reading order: `options`, `data` (numbers and names), `story` (what happens), `target` (when, and how fast).

mod data;
mod options;
mod story;
pub mod target;

pub use options::{OptionError, Options};
