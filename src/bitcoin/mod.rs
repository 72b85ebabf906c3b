//! Bitcoin Core's tracepoints, and what is built on them.

pub mod tracepoint;
