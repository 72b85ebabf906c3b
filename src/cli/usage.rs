//! A wrong command line, said as bpftrace says it to those who call this program by that name.

use super::CliError;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// How bpftrace is called; what its flags mean is in the man page and in `--help`.
const CALLS: &str = "USAGE:
    bpftrace [options] filename
    bpftrace [options] - <stdin input>
    bpftrace [options] -e 'program'
    use -- before named script parameters";

/// Largest process number (`PID_MAX_LIMIT` in `include/linux/threads.h`).
const PID_MAX: u32 = 4 * 1024 * 1024;

/// What is said of a value that a flag does not take; `{}` stands for the value.
const VALUES: &[(&str, &str)] = &[
    (
        "--format",
        "error: Invalid output format \"{}\"\nValid formats: 'text', 'json'",
    ),
    (
        "--buffering",
        "error: USAGE: -B must be either 'line', 'full', or 'none'.",
    ),
    ("--debug", "error: USAGE: invalid option for -d: {}"),
    (
        "--no-feature",
        "error: USAGE: --no-feature can only have values 'kprobe_multi,kprobe_session,uprobe_multi'.",
    ),
    (
        "--mode",
        "error: USAGE: --mode can only be 'codegen', 'compiler-bench', 'bench', 'test' or 'format'.",
    ),
    ("--pid", "error: Failed to parse pid: invalid integer: {}"),
];

/// Flags with a value that are written short.
const SHORT: &[(&str, char)] = &[
    ("--program", 'e'),
    ("--cmd", 'c'),
    ("--output", 'o'),
    ("--include-dir", 'I'),
];

/// An error of clap's.
pub(super) fn of(err: &clap::Error) -> CliError {
    let text = |kind| match err.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let (arg, value) = (
        text(ContextKind::InvalidArg),
        text(ContextKind::InvalidValue),
    );
    let said = match err.kind() {
        // A value that is left out has no text; one that is none of those allowed has.
        ErrorKind::InvalidValue
            if value.is_empty() && !VALUES.iter().any(|(flag, _)| arg.starts_with(flag)) =>
        {
            let what = match SHORT.iter().find(|(long, _)| arg.starts_with(long)) {
                Some((_, short)) => format!("option requires an argument -- '{short}'"),
                None => format!(
                    "option '{}' requires an argument",
                    arg.split(' ').next().unwrap_or(arg)
                ),
            };
            Some(format!("bpftrace: {what}\n{CALLS}"))
        }
        ErrorKind::UnknownArgument => {
            let what = match arg.strip_prefix("--") {
                Some(_) => format!("unrecognized option '{arg}'"),
                None => format!("invalid option -- '{}'", arg.trim_start_matches('-')),
            };
            Some(format!("bpftrace: {what}\n{CALLS}"))
        }
        ErrorKind::TooManyValues => {
            let what = format!("option '{arg}' doesn't allow an argument");
            Some(format!("bpftrace: {what}\n{CALLS}"))
        }
        ErrorKind::ValueValidation
            if arg.starts_with("--pid") && value.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            Some(match value.bytes().all(|b| b.is_ascii_digit()) {
                true => format!("error: Pid out of range: {value}"),
                false => format!("error: Failed to parse pid: invalid trailing bytes: {value}"),
            })
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let row = VALUES.iter().find(|(flag, _)| arg.starts_with(flag));
            row.map(|(_, said)| said.replace("{}", value))
        }
        _ => None,
    };
    CliError::Usage(said.unwrap_or_else(|| err.to_string().trim_end().to_string()))
}

/// Flags that do not go together, and numbers that are no process.
pub(super) fn check(matches: &clap::ArgMatches) -> Result<(), CliError> {
    let pid = matches.get_one::<u32>("pid");
    if pid.is_some() && matches.contains_id("cmd") {
        let said = "error: USAGE: Cannot use both -c and -p.";
        return Err(CliError::Usage(format!("{said}\n{CALLS}")));
    }
    match pid {
        Some(pid) if *pid > PID_MAX => {
            Err(CliError::Usage(format!("error: Pid out of range: {pid}")))
        }
        _ => Ok(()),
    }
}

/// Neither a file nor a program, with flags or with nothing at all.
pub(super) fn no_script(flag: bool) -> CliError {
    CliError::Usage(match flag {
        true => "error: USAGE: filename or -e 'program' required.".to_string(),
        false => CALLS.to_string(),
    })
}
