//! Recordings: of live runs, made by hand, and damaged.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bad;
mod file;
mod live;
mod script;
mod speed;
mod support;
