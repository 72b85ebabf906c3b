//! Bitcoin Core's tracepoints, and what is built on them.
//!
//! A line tool is a row of [`tool::TOOLS`]: which tracepoints it wants, and how it prints them. [`follow::Follow`] gives it the
//! events of a node over restarts and upgrades. All of it uses [`crate::trace`] as anyone can.

pub mod bench;
pub mod capture;
pub mod date;
pub mod follow;
pub mod json;
pub mod lines;
pub mod message;
pub mod monitor;
pub mod node;
pub mod pcapng;
mod records;
pub mod schema;
mod sinks;
pub mod tool;
pub mod tracepoint;
pub mod wire;
