//! Scripts run in user space on invented events.

mod bad;
mod command;
mod events;
mod scripts;
mod speed;
mod support;
