//! One run of a script, end to end: compile, load, attach, read, print, leave nothing behind.

pub mod binary;
mod child;
mod options;
mod wake;
mod words;

pub use child::{Child, ChildError};
pub use options::{Attach, Buffering, Debug, Format, Options, Script};
pub use wake::{Signals, Timer};
pub use words::{WordsError, split as split_words};
