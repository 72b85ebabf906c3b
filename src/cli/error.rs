//! Why a command did not succeed.

use crate::{lang::diag, session::color};
use std::{fmt, io};

/// Why a command did not succeed, with what the user may do about it.
#[derive(Debug)]
pub enum CliError {
    /// The command line is not right; the text is complete, its last line a hint.
    Usage(String),
    /// A negative answer, already printed.
    Negative,
    /// The script is wrong: diagnostics as text.
    Diagnosed(String),
    /// Could not be done: what, and perhaps how to get there.
    Failed {
        /// What we did, to what, what the system said.
        what: String,
        /// What to do.
        help: Option<String>,
    },
    /// Told in bpftrace's words, which end with this exit code.
    Said {
        /// The whole text.
        text: String,
        /// The exit code.
        code: u8,
    },
    /// Output could not be written.
    Output(io::Error),
    /// The script asked for this exit code.
    Exit(u8),
}

impl CliError {
    /// An error without a remedy of its own.
    pub fn failed(what: impl fmt::Display) -> Self {
        CliError::Failed {
            what: what.to_string(),
            help: None,
        }
    }

    /// An error with its remedy.
    pub fn with_help(what: impl fmt::Display, help: impl fmt::Display) -> Self {
        CliError::Failed {
            what: what.to_string(),
            help: Some(help.to_string()),
        }
    }

    /// The process's exit code. A wrong command line is 1 for `bpftrace`.
    pub fn exit_code(&self, as_bpftrace: bool) -> u8 {
        match self {
            CliError::Output(err) if err.kind() == io::ErrorKind::BrokenPipe => 0,
            CliError::Exit(code) | CliError::Said { code, .. } => *code,
            CliError::Negative | CliError::Diagnosed(_) => 1,
            _ if as_bpftrace => 1,
            CliError::Usage(_) | CliError::Failed { .. } | CliError::Output(_) => 2,
        }
    }

    /// What to say, in `bpftrace`'s words if it was called so.
    pub fn text(&self, as_bpftrace: bool) -> String {
        let text = self.to_string();
        if as_bpftrace {
            diag::bpftrace::words(&text, color::wanted())
        } else {
            text
        }
    }

    /// Nothing to say: the answer was printed, or nobody reads it.
    pub fn is_silent(&self) -> bool {
        match self {
            CliError::Output(err) => err.kind() == io::ErrorKind::BrokenPipe,
            CliError::Exit(_) | CliError::Negative => true,
            CliError::Usage(_)
            | CliError::Diagnosed(_)
            | CliError::Said { .. }
            | CliError::Failed { .. } => false,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Usage(text) | CliError::Diagnosed(text) | CliError::Said { text, .. } => {
                f.write_str(text)
            }
            CliError::Failed { what, help: None } => write!(f, "error: {what}"),
            CliError::Failed {
                what,
                help: Some(help),
            } => write!(f, "error: {what}\nhelp: {help}"),
            CliError::Output(err) => write!(f, "error: write output: {err}"),
            CliError::Exit(_) | CliError::Negative => Ok(()),
        }
    }
}

impl std::error::Error for CliError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CliError::Output(err) => Some(err),
            _ => None,
        }
    }
}

impl From<io::Error> for CliError {
    fn from(err: io::Error) -> Self {
        CliError::Output(err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        let pipe = CliError::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(pipe.exit_code(false), 0);
        assert!(pipe.is_silent());
        assert_eq!(CliError::Usage(String::new()).exit_code(false), 2);
        assert_eq!(CliError::failed("x").exit_code(false), 2);
        assert_eq!(CliError::failed("x").exit_code(true), 1);
        assert_eq!(CliError::Negative.exit_code(false), 1);
        assert_eq!(CliError::Exit(7).exit_code(true), 7);
    }

    #[test]
    fn help_is_on_its_own_line() {
        let err = CliError::with_help("open `x`: no such file", "give a path");
        assert_eq!(
            err.to_string(),
            "error: open `x`: no such file\nhelp: give a path"
        );
    }
}
