//! Runs compiled scripts wholly in user space, on events from a file: what a live run prints, without rights or kernel.
//!
//! Reading order: `events` (the file), `layout` (registers and memory of an event), `plan` (which programs it runs), `run`.

pub mod demo;
mod diff;
mod error;
pub mod events;
pub mod invent;
mod layout;
mod maps;
mod output;
mod plan;
mod run;
mod script;

pub use diff::diff;
pub use error::SimulateError;
pub use events::{Event, EventError, Value};
pub use output::{Capture, Printed, TextError, player, print, text};
pub use run::{Outcome, Settings, run};
pub use script::{Compiled, Script, ScriptError, compile};
