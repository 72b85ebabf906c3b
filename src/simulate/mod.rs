//! Runs compiled scripts wholly in user space, on events from a file: what a live run prints, without rights or kernel.

pub mod events;
mod layout;

pub use events::{Event, EventError, Value};
