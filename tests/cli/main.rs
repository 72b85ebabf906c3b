//! Command lines, what they print, and their exit codes.

mod bad_binary;
mod commands;
mod live;
mod scripts;
mod support;
mod symbols;
