//! Tracing as a library: open a binary or a process, list its probes, subscribe, take events.
//!
//! ```no_run
//! use baretrace::trace::Binary;
//!
//! let node = Binary::open("./build/bin/bitcoind")?;
//! for event in node.subscribe(&["net:inbound_message", "net:outbound_message"])?.start()? {
//!     let event = event?;
//!     println!("{}: {} of {} bytes", event.name(), event.text("msg_type")?, event.int("size")?);
//! }
//! # Ok::<(), baretrace::trace::TraceError>(())
//! ```
//!
//! - [`Binary`] is a file, or the program of a process; it lists [`Probe`]s with the operands of their notes.
//! - [`Subscription`] says which probes, which arguments and, as a [`Filter`], which hits. The filter runs in the kernel: what
//!   it turns away costs no record.
//! - [`Events`] is an iterator that waits. [`Events::poll`] waits for a given time only, [`Events::stopper`] ends it from
//!   another thread. [`Events::lost`] counts what found no room, for each probe.
//! - [`Event`] has the kernel's time, CPU, process, thread and typed arguments. Those of Bitcoin Core's tracepoints have
//!   names and types (see [`crate::bitcoin::tracepoint`]); others are numbers called `arg0`, `arg1`, … unless
//!   [`Subscription::args`] says otherwise.
//! - [`Script`] runs a script of the tracing language and yields what it prints as values.
//!
//! A subscription is compiled from a short script, which [`Subscription::script`] shows; all that the command line can do
//! with a script (`check --emit asm`, `audit`) can be done with it. Needs the rights to load eBPF programs.

mod binary;
mod error;
mod event;
mod events;
mod filter;
mod script;
mod subscription;

pub use crate::bitcoin::tracepoint::Kind;
pub use binary::{Binary, Probe};
pub use error::TraceError;
pub use event::{Event, Hash, Value};
pub use events::{Events, Stopper};
pub use filter::{Filter, FilterError};
pub use script::{Output, Outputs, Script};
pub use subscription::{Arg, Subscription};
