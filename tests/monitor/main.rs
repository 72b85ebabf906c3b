//! The monitors on a terminal, and captures on files that fail: on the built-in target, with the rights to load programs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod captures;
mod endings;
mod memory;
mod place;
mod screens;
mod terminal;
