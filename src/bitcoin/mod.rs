//! Bitcoin Core's tracepoints, and what is built on them.

pub mod capture;
pub mod date;
pub mod message;
pub mod monitor;
pub mod pcapng;
pub mod tracepoint;
pub mod wire;
