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
//! # What is taken, and what comes
//!
//! Which hits, in the kernel: [`Filter`] has the syntax of the command line's `--filter`. Which arguments: all but payloads,
//! or those of [`Subscription::only`]; payloads with [`Subscription::payload`].
//!
//! ```no_run
//! # use baretrace::trace::{Binary, Filter, TraceError, Value};
//! # use std::time::Duration;
//! # let node = Binary::open("./build/bin/bitcoind")?;
//! let large: Filter = "type=block|tx,size>=100000,direction=in".parse()?;
//! let mut events = node.subscribe(&["net:*_message"])?.filter(&large)?.payload(4_000_000).start()?;
//! while !events.is_over() {
//!     let Some(event) = events.poll(Duration::from_secs(1))? else { continue };
//!     println!("{:?} cpu {} pid {}", event.wall(), event.cpu(), event.pid());
//!     for (arg, value) in event.values() {
//!         match value {
//!             Value::Int(n) => println!("{} = {n}", arg.name),
//!             Value::Bytes(bytes) => println!("{} bytes of payload", bytes.len()),
//!             value => println!("{} = {value}", arg.name),
//!         }
//!     }
//!     for (probe, count) in events.lost()? {
//!         eprintln!("{count} events of {probe} found no room so far");
//!     }
//! }
//! # Ok::<(), TraceError>(())
//! ```
//!
//! # Every kind of tracepoint
//!
//! ```no_run
//! # use baretrace::trace::{Binary, TraceError};
//! # let node = Binary::of_process(4711)?;
//! let names = ["net:closed_connection", "mempool:added", "utxocache:flush", "validation:block_connected", "coin_selection:selected_coins"];
//! for event in node.subscribe(&names)?.start()? {
//!     let e = event?;
//!     match e.name() {
//!         "net:closed_connection" => println!("{} by {} since {}", e.text("addr")?, e.text("network")?, e.int("established")?),
//!         "mempool:added" => println!("{} pays {} sat for {} vbytes", e.hash("txid")?, e.int("fee")?, e.int("vsize")?),
//!         "utxocache:flush" => println!("{}: {} coins, for pruning: {}", e.text("mode")?, e.int("coins")?, e.flag("for_prune")?),
//!         "validation:block_connected" => println!("{} at {}", e.hash("hash")?, e.int("height")?),
//!         _ => println!("{} selects {} of {} sat", e.text("wallet")?, e.int("selected")?, e.int("target")?),
//!     }
//! }
//! # Ok::<(), TraceError>(())
//! ```
//!
//! An argument that is not there, or is of another type, is an error that names it and what there is. Memory that cannot be
//! read is an empty text, [`Value::Hash`] without a hash, or a payload that is shorter than its size.
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
