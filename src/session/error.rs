//! Why a run did not come about, or did not go on.

use super::binary::BinaryError;
use crate::{
    check::CheckError,
    compile::CompileError,
    kernel::detect::Missing,
    loader::{self, LoadError},
    record::WriteError,
    runtime::{PlayError, attach::AttachError, child::ChildError, perf_ring::RingError},
    span::Span,
    sys::errno::Described,
    vm::DryRunError,
};
use std::{fmt, io, path::PathBuf};

/// Why a run did not come about, or did not go on.
#[derive(Debug)]
pub enum SessionError {
    /// The script has errors: the diagnostics as text.
    Script(String),
    /// The environment sets something wrongly, or a C header is wrong: the whole text.
    Setup(String),
    /// Named parameters were given that the script does not ask for.
    Options {
        /// They, comma-separated.
        unknown: String,
        /// Those that it asks for.
        known: Vec<String>,
    },
    /// A probe is not in the binary that the script names: the diagnostic as text.
    Missing(String),
    /// A binary that the script names cannot be read.
    Binary(BinaryError),
    /// The checked script does not compile.
    Compile(Placed<CompileError>),
    /// The recording cannot be written.
    Record(WriteError),
    /// A program goes wrong when it is run in user space.
    DryRun(Box<Placed<DryRunError>>),
    /// A compiled program breaks a rule of the kernel's verifier: the compiler is wrong, not the script.
    Check {
        /// Its probe.
        probe: String,
        /// The rule, and where it is broken.
        error: Box<Placed<CheckError>>,
    },
    /// This process may not trace.
    Rights(Vec<Missing>),
    /// The kernel's features cannot be found out.
    Features(io::Error),
    /// The kernel refused a map or a program.
    Load(Placed<LoadError>),
    /// The kernel has other instructions than it was given.
    Tag(loader::tag::Verdict),
    /// The rings cannot be set up.
    Ring(RingError),
    /// A probe cannot be attached.
    Attach {
        /// Its name.
        probe: String,
        /// Why.
        error: AttachError,
    },
    /// Nothing that the script wants could be attached.
    NoneAttached,
    /// The command of `-c` does not start.
    Child(ChildError),
    /// The process of `-p` is not there.
    Process(u32, io::Error),
    /// A stage cannot be printed.
    Emit(String),
    /// A record or a map makes no sense.
    Play(PlayError),
    /// A file that the script imports cannot be read.
    Import(PathBuf, io::Error),
    /// With `--no-loss`: so many events were lost all the same.
    Lost(u64),
    /// Output could not be written, which was said when it happened.
    Output,
    /// Nothing of the script runs in this mode; its probes of that kind run in another.
    NoProbes(Option<&'static str>),
    /// `--probe-filter` is no regular expression.
    Filter {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file of `-o` cannot be made.
    OutputFile(PathBuf, io::Error),
    /// The file of `--traceable-functions` cannot be read.
    Traceable(PathBuf, io::Error),
    /// A file or a system call besides.
    Io(&'static str, io::Error),
}

/// An error with its place in the script, as text.
#[derive(Debug)]
pub struct Placed<E> {
    /// The error.
    pub error: E,
    /// `FILE:LINE:COLUMN` with the line itself, if there is a place.
    pub place: Option<String>,
}

impl<E> Placed<E> {
    /// `error`, which comes from `span` of the script.
    pub fn new(error: E, span: Option<Span>, name: &str, source: &str) -> Self {
        let place = span.map(|span| {
            let (line, column) = span.line_col(source);
            let text = source.lines().nth(line.saturating_sub(1)).unwrap_or("");
            let width = line.to_string().len();
            let left = text
                .chars()
                .take(column - 1)
                .map(|c| if c == '\t' { '\t' } else { ' ' });
            let left: String = left.collect();
            let marks = span
                .text(source)
                .lines()
                .next()
                .map_or(1, |l| l.chars().count().max(1));
            format!(
                "{:width$}--> {name}:{line}:{column}\n{line} | {text}\n{:width$} | {left}{}",
                "",
                "",
                "^".repeat(marks)
            )
        });
        Placed { error, place }
    }
}

impl<E: fmt::Display> fmt::Display for Placed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{}\n{place}", self.error),
            None => self.error.fmt(f),
        }
    }
}

impl SessionError {
    /// Whether the script itself is wrong, rather than that something could not be done.
    pub fn is_negative(&self) -> bool {
        matches!(
            self,
            SessionError::Script(_)
                | SessionError::Setup(_)
                | SessionError::Options { .. }
                | SessionError::Missing(_)
                | SessionError::Compile(_)
                | SessionError::DryRun(_)
        )
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            SessionError::Binary(err) => err.help().map(str::to_string),
            SessionError::Compile(err) => err.error.help().map(str::to_string),
            SessionError::Load(err) => err.error.help(),
            SessionError::Check { .. } => Some(
                "this is a fault of baretrace, not of the script; please report it with the script".to_string(),
            ),
            SessionError::Ring(err) => err.help().map(str::to_string),
            SessionError::Attach { error, .. } => error.help(),
            SessionError::Rights(_) => Some(
                "run it as root; without rights there are `check`, `-l`, `disasm`, `exec` and `demo`".to_string(),
            ),
            SessionError::Options { known, .. } if known.is_empty() => {
                Some("the script has no named parameters".to_string())
            }
            SessionError::Options { known, .. } => {
                Some(format!("the script asks for {}", known.join(", ")))
            }
            SessionError::Lost(_) => Some(
                "raise the config variable `perf_rb_pages`, or print less".to_string(),
            ),
            SessionError::NoProbes(_) => Some(
                "`test` probes run with --test, `bench` probes with --bench, and all others without these".to_string(),
            ),
            SessionError::Process(_, err) => Some(match err.raw_os_error() {
                Some(libc::EINVAL | libc::ENOENT) => {
                    "that is a thread; give the number of its process".to_string()
                }
                _ => "see `ps`; the process may have ended".to_string(),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Script(text)
            | SessionError::Setup(text)
            | SessionError::Missing(text) => f.write_str(text.trim_end()),
            SessionError::Options { unknown, .. } => {
                write!(f, "the script does not ask for {unknown}")
            }
            SessionError::Binary(err) => err.fmt(f),
            SessionError::Compile(err) => err.fmt(f),
            SessionError::Record(err) => err.fmt(f),
            SessionError::DryRun(err) => err.fmt(f),
            SessionError::Check { probe, error } => {
                write!(f, "check `{probe}`: internal error: {error}")
            }
            SessionError::Rights(missing) => {
                f.write_str("trace: this process lacks")?;
                missing.iter().try_for_each(|what| write!(f, "\n  {what}"))
            }
            SessionError::Features(err) => {
                write!(
                    f,
                    "probe the kernel: bpf(BPF_PROG_LOAD): {}",
                    Described(err)
                )
            }
            SessionError::Load(err) => err.fmt(f),
            SessionError::Tag(verdict) => verdict.fmt(f),
            SessionError::Ring(err) => err.fmt(f),
            SessionError::Attach { probe, error } => write!(f, "attach `{probe}`: {error}"),
            SessionError::Child(err) => err.fmt(f),
            SessionError::Process(pid, err) => {
                write!(f, "watch process {pid}: pidfd_open: {}", Described(err))
            }
            SessionError::Emit(why) => f.write_str(why),
            SessionError::Play(err) => err.fmt(f),
            SessionError::Import(path, err) => match err.raw_os_error() {
                Some(_) => write!(f, "import `{}`: {}", path.display(), Described(err)),
                None => write!(f, "import `{}`: {err}", path.display()),
            },
            SessionError::Lost(count) => write!(f, "--no-loss: {count} events were lost"),
            SessionError::Output => f.write_str("output is not complete"),
            SessionError::NoProbes(None) => f.write_str("no probes to attach"),
            SessionError::NoProbes(Some(kind)) => {
                write!(
                    f,
                    "No probes attached; use --{kind} to run {} probes.",
                    if *kind == "bench" { "benchmark" } else { kind }
                )
            }
            SessionError::NoneAttached => {
                f.write_str("none of the script's probes could be attached")
            }
            SessionError::Filter { pattern, why } => {
                write!(f, "read --probe-filter: `{pattern}`: {why}")
            }
            SessionError::OutputFile(path, err) => {
                write!(f, "create `{}`: {}", path.display(), Described(err))
            }
            SessionError::Traceable(path, err) => {
                let path = path.display();
                write!(
                    f,
                    "read traceable functions from `{path}`: {}",
                    Described(err)
                )
            }
            SessionError::Io(what, err) => write!(f, "{what}: {}", Described(err)),
        }
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SessionError::Binary(err) => Some(err),
            SessionError::Compile(err) => Some(&err.error),
            SessionError::Record(err) => Some(err),
            SessionError::DryRun(err) => Some(&err.error),
            SessionError::Check { error, .. } => Some(&error.error),
            SessionError::Load(err) => Some(&err.error),
            SessionError::Ring(err) => Some(err),
            SessionError::Attach { error, .. } => Some(error),
            SessionError::Child(err) => Some(err),
            SessionError::Play(err) => Some(err),
            SessionError::Features(err)
            | SessionError::Process(_, err)
            | SessionError::Import(_, err)
            | SessionError::OutputFile(_, err)
            | SessionError::Traceable(_, err)
            | SessionError::Io(_, err) => Some(err),
            SessionError::Script(_)
            | SessionError::Setup(_)
            | SessionError::Options { .. }
            | SessionError::NoneAttached
            | SessionError::Missing(_)
            | SessionError::Rights(_)
            | SessionError::Tag(_)
            | SessionError::Emit(_)
            | SessionError::NoProbes(_)
            | SessionError::Lost(_)
            | SessionError::Output
            | SessionError::Filter { .. } => None,
        }
    }
}

impl From<BinaryError> for SessionError {
    fn from(err: BinaryError) -> Self {
        SessionError::Binary(err)
    }
}

impl From<PlayError> for SessionError {
    fn from(err: PlayError) -> Self {
        SessionError::Play(err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_shows_its_line() {
        let source = "begin {\n\tx = 1;\n}\n";
        let placed = Placed::new("no such thing", Some(Span::new(9, 10)), "a.bt", source);
        assert_eq!(
            placed.to_string(),
            "no such thing\n --> a.bt:2:2\n2 | \tx = 1;\n  | \t^"
        );
    }
}
