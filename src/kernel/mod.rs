//! Read-only facts of the running kernel.

pub mod cpus;
pub mod detect;
pub mod features;
pub mod kfuncs;
pub mod lockdown;
pub mod rights;
pub mod tracefs;
pub mod version;
