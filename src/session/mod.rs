//! One run of a script, end to end: compile, load, attach, read, print, leave nothing behind.

mod options;

pub use options::{Attach, Buffering, Debug, Format, Options, Script};
