//! The built-in target: a process that fires Bitcoin Core's tracepoints with invented but plausible data.
//!
//! It stands in for `bitcoind` in the demo, in tests and in benches. The same options fire the same events in the same order.
//! Reading order: `options`, `data` (numbers and names), `story` (what happens), `target` (when, and how fast).

mod data;
mod odd;
mod options;
mod story;
pub mod target;

pub use options::{OptionError, Options};

/// What the target tells in its first `rounds`, a line for each event, without firing anything that is not traced.
///
/// A line is the probe's name and its arguments, divided by tabs; of a message's bytes it has the first 16.
pub fn lines(options: &Options, rounds: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut seen = |line: Option<String>| {
        lines.extend(line);
        true
    };
    let mut story = story::Story::new(0, options.payload, true, &mut seen).always();
    for _ in 0..rounds {
        story.round();
    }
    lines
}
