//! The command line: flags, dispatch, output.
//!
//! Results go to stdout, everything else to stderr. Exit code 0 says done, 1 is a negative answer (a script with an
//! error, a target that does not match), 2 says that it could not be done. Called through a link named `bpftrace` the
//! verbs are gone, so that a script file may have any name, and the exit codes are bpftrace's.

mod args;
mod asm;
mod audit;
mod bitcoin;
mod check;
mod command;
mod completions;
mod demo;
mod disasm;
mod env;
mod error;
mod exec;
mod explain;
mod features;
mod info;
mod learn;
mod list;
mod list_kernel;
mod man;
mod out;
mod program;
mod record;
mod replay;
mod run;
mod simulate;
mod usage;
mod verify;

pub use command::{COMMANDS, Call, Command, dispatch};
pub use error::CliError;
