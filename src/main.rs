//! The `baretrace` command.

use baretrace::cli;
use std::{io::Write, process::ExitCode};

fn main() -> ExitCode {
    let call = cli::Call::new(std::env::args_os());
    match cli::dispatch(&call) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            if !err.is_silent() {
                // Whoever closed stderr does not want to know.
                let _ = writeln!(std::io::stderr(), "{}", err.text(call.as_bpftrace()));
            }
            ExitCode::from(err.exit_code(call.as_bpftrace()))
        }
    }
}
