//! Runs compiled scripts wholly in user space, on events from a file: what a live run prints, without rights or kernel.
//!
//! ```
//! use baretrace::simulate::{self, Script};
//!
//! let script = Script {
//!     name: "test.bt".to_owned(),
//!     text: r#"usdt:app:app:hit { printf("%d\n", arg0); }"#.to_owned(),
//!     ..Script::default()
//! };
//! let printed = simulate::text(&script, r#"{"probe": "app:hit", "args": [7]}"#)?;
//! assert_eq!(printed.output, "7\n\n\n");
//! # Ok::<(), simulate::TextError>(())
//! ```
//!
//! Reading order: `events` (the file), `layout` (registers and memory of an event), `plan` (which programs it runs), `run`; `script` and
//! `invent` (a script without its binaries), `output`, `diff`.

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
pub(crate) use layout::{CTX_SIZE, address};
pub use output::{Capture, Printed, TextError, player, print, text};
pub use run::{Outcome, Settings, run};
pub(crate) use run::{Run, TRACER};
pub(crate) use script::diagnostic;
pub use script::{Compiled, Script, ScriptError, compile};
