//! Recordings: what the probes of a live run told, kept in a file, and any script run over it again.
//!
//! Reading order: `tap` (what recorded programs do besides), `hit` (one hit of a probe), `notes` (names and stacks),
//! `sights` (whose), `recorder` (from the rings to a file), `format`, `write` and `read` (the file), `probes` (a script from the names of
//! probes), `replay`, `lines` (as events of `simulate`).

mod error;
mod format;
mod hit;
mod lines;
mod notes;
mod probes;
mod read;
mod recorder;
mod replay;
mod sights;
mod tap;
mod tapped;
mod write;

pub use error::{ReadError, WriteError};
pub use format::{End, Meta, Point, Recorded, VERSION};
pub use hit::{Hit, Item};
pub use lines::{LinesError, lines};
pub use notes::{Named, Notes};
pub use probes::script as probes_script;
pub use read::{Reader, Recording};
pub use recorder::Recorder;
pub use replay::{Replay, ReplayError, Replayed, replay};
pub(crate) use tapped::object;
pub use write::Writer;
