//! Failures of a run as bpftrace tells them: its sentence and its exit code.

use super::binary::BinaryError;
use super::error::SessionError;
use crate::{runtime::child::ChildError, symbols::FunctionError};
use nix::errno::Errno;
use std::{io, path::Path};

/// Exit code where the kernel refuses what is loaded or attached, or a filter is no pattern.
const REFUSED: u8 = 255;
/// Exit code where the environment or a C header is wrong.
const SETUP: u8 = 2;

impl SessionError {
    /// bpftrace's exit code.
    pub fn bpftrace_code(&self) -> u8 {
        match self {
            SessionError::Setup(_) => SETUP,
            SessionError::Load(_)
            | SessionError::Attach { .. }
            | SessionError::NoneAttached
            | SessionError::NoProbes(Some(_))
            | SessionError::Filter { .. }
            | SessionError::Binary(BinaryError::Place(..)) => REFUSED,
            _ => 1,
        }
    }

    /// bpftrace's sentence, where it has one for that.
    pub fn bpftrace_words(&self) -> Option<String> {
        Some(match self {
            SessionError::Setup(text) => text.clone(),
            SessionError::Options { unknown, known } => {
                let named: Vec<&str> = known.iter().rev().map(String::as_str).collect();
                let hint = match named.is_empty() {
                    true => "no custom program options defined.".to_string(),
                    false => format!("expected program options: {}", named.join(": ")),
                };
                format!("error: unexpected program command line options: {unknown}\nHINT: {hint}")
            }
            SessionError::NoProbes(Some(_)) => format!("error: {self}"),
            SessionError::Attach { probe, .. } => unattached(probe),
            SessionError::Binary(BinaryError::Place(path, error)) => {
                let (at, why) = misplaced(path, error);
                format!("error: {why}\n{}", unattached(&format!("uprobe:{at}")))
            }
            SessionError::NoneAttached => "error: Attachment failed for all probes.".to_string(),
            SessionError::Filter { pattern, why } => {
                format!("error: Invalid --probe-filter regex '{pattern}': {why}")
            }
            SessionError::Child(ChildError::Empty) => {
                "error: Failed to fork child: Path '' does not exist or is not executable (No such file or directory)".to_string()
            }
            SessionError::Child(ChildError::Start { command, source }) => format!(
                "error: Failed to fork child: Path '{command}' does not exist or is not executable ({})",
                reason(command, source)
            ),
            SessionError::Process(_, err) => format!(
                "error: Failed to attach to pid: Unable to open pidfd ({})",
                plain(err)
            ),
            SessionError::OutputFile(path, err) => format!(
                "error: Failed to open output file: \"{}\": {}",
                path.display(),
                plain(err)
            ),
            SessionError::Traceable(path, err) => format!(
                "error: Failed to open kernel function info: Could not read functions from {}. ({})",
                path.display(),
                plain(err)
            ),
            _ => return None,
        })
    }
}

/// What is not attached, in an error.
fn unattached(probe: &str) -> String {
    format!(
        "error: Unable to attach probe: {}. If this is expected, set the 'missing_probes' config variable to 'warn'.",
        plain_numbers(probe)
    )
}

/// A place in a file where no probe can be: its name, and why.
fn misplaced(path: &Path, error: &FunctionError) -> (String, String) {
    let path = path.display();
    let force = "Use --unsafe to force attachment. WARNING: This option could lead to data corruption in the target process.";
    match error {
        FunctionError::Outside { name, size, offset } => (
            format!("{path}:{name}+{offset}"),
            format!("Offset outside the function bounds ('{name}' size is {size})"),
        ),
        FunctionError::Middle { name, offset, .. } => {
            let at = format!("{path}:{name}+{offset}");
            let why = format!("Could not add uprobe into middle of instruction: {at}\n{force}");
            (at, why)
        }
        FunctionError::NotCode(vaddr) | FunctionError::NoSymbol(vaddr) => {
            let at = format!("{path}:{vaddr}");
            let why = format!(
                "Could not determine instruction boundary for uprobe:{at} (binary appears stripped).\n{force}"
            );
            (at, why)
        }
    }
}

/// What is not attached, in a warning.
pub(super) fn skipped(probe: &str) -> String {
    format!(
        "WARNING: Unable to attach probe: {}. Skipping.",
        plain_numbers(probe)
    )
}

/// A probe's name with its hexadecimal numbers written in decimal.
fn plain_numbers(probe: &str) -> String {
    let parts = probe.split(':').map(|part| {
        part.strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map_or_else(|| part.to_string(), |number| number.to_string())
    });
    parts.collect::<Vec<_>>().join(":")
}

/// Why a program does not start. What is no file that can be run counts as not there.
fn reason(command: &str, err: &io::Error) -> String {
    let denied = err.kind() == io::ErrorKind::PermissionDenied;
    if Path::new(command).is_dir() || denied {
        return Errno::ENOENT.desc().to_string();
    }
    plain(err)
}

/// The system's words for an error, without its number.
fn plain(err: &io::Error) -> String {
    match err.raw_os_error() {
        Some(code) => Errno::from_raw(code).desc().to_string(),
        None => err.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_probes_are_decimal() {
        assert_eq!(plain_numbers("watchpoint:0x10:8:w"), "watchpoint:16:8:w");
        assert_eq!(
            plain_numbers("uprobe:/bin/0x1f/a:f+0x2"),
            "uprobe:/bin/0x1f/a:f+0x2"
        );
    }

    #[test]
    fn a_command_that_is_not_there() {
        let source = io::Error::from_raw_os_error(libc::ENOENT);
        let command = "/no/such".to_string();
        let err = SessionError::Child(ChildError::Start { command, source });
        assert_eq!(err.bpftrace_code(), 1);
        assert_eq!(
            err.bpftrace_words().unwrap(),
            "error: Failed to fork child: Path '/no/such' does not exist or is not executable (No such file or directory)"
        );
    }
}
