//! Scripts run in user space on invented events.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bad;
mod command;
mod events;
mod live;
mod names;
mod scripts;
mod speed;
mod support;
