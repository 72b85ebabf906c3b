//! One run of a script, end to end: compile, load, attach, read, print, leave nothing behind.
//!
//! Reading order: `options`, `binary` and `target` (what the script names), `imports`, `compile`, `wake`, `maps`, `run`, `feed`.

pub mod binary;
pub mod color;
mod compile;
mod debug;
mod emit;
mod error;
mod feed;
pub mod functions;
mod headers;
mod imports;
mod kernel;
mod maps;
mod options;
mod privileges;
mod run;
mod said;
mod settings;
mod target;
mod wake;

pub use compile::{Compiled, Session, named};
pub use emit::{Stage, emit};
pub use error::{Placed, SessionError};
pub use feed::{Feed, Hit};
pub use options::{Attach, Buffering, Format, Mode, Options, Script};
pub use run::{Outcome, Record, record, run, run_exactly, watch};
pub use settings::Settings;
pub use wake::{Signals, Timer};
