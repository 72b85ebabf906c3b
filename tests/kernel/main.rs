//! Tests that load, attach, fire and read back on the running kernel. They need root (CAP_BPF, CAP_PERFMON, and
//! CAP_SYS_ADMIN for perf uprobes); without it each says so and is skipped.

mod chunks;
mod features;
mod fixture;
mod killed;
mod load;
mod rings;
mod support;
mod timed;
mod user;
