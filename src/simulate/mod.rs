//! Runs compiled scripts wholly in user space, on events from a file: what a live run prints, without rights or kernel.
//!
//! Reading order: `events` (the file), `layout` (registers and memory of an event), `plan` (which programs it runs), `run`.

pub mod demo;
mod error;
pub mod events;
pub mod invent;
mod layout;
mod maps;
mod plan;
mod run;
mod script;

pub use error::SimulateError;
pub use events::{Event, EventError, Value};
pub use run::{Outcome, Settings, run};
pub use script::{Compiled, Script, ScriptError, compile};
