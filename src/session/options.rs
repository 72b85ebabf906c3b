//! What a run is asked to do: plain values, made by the command line or by a test.

use super::Stage;
use std::path::PathBuf;

/// A script with its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// File name, `stdin` for standard input and `-e`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// How user probes are attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// `uprobe_multi` links where the kernel has them, perf events otherwise.
    #[default]
    Auto,
    /// `uprobe_multi` links or nothing.
    Multi,
    /// Perf events, on any kernel.
    Perf,
}

/// When output is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Buffering {
    /// At once.
    None,
    /// At the end of a batch of records, so that whole lines go out together.
    #[default]
    Line,
    /// When the buffer is full.
    Full,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As the script formats it.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which probes are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All but `test` and `bench`.
    #[default]
    Trace,
    /// `begin`, `test` and `end`.
    Test,
    /// `begin`, `bench` and `end`.
    Bench,
}

/// What a run is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What to run.
    pub script: Script,
    /// Positional parameters, `$1` first.
    pub params: Vec<String>,
    /// Named parameters, with their value if they have one.
    pub named: Vec<(String, Option<String>)>,
    /// `BPFTRACE_*` settings: lower-case name without the prefix, value.
    pub config: Vec<(String, String)>,
    /// `-p`.
    pub pid: Option<u32>,
    /// `--dwarf-pid`: processes besides that `dw_ustack` is for.
    pub dwarf_pids: Vec<u32>,
    /// `-c`, split into words.
    pub command: Option<Vec<String>>,
    /// `-o`.
    pub output: Option<PathBuf>,
    /// `-f`.
    pub format: Format,
    /// `-B`.
    pub buffering: Buffering,
    /// `-q`: no notices.
    pub quiet: bool,
    /// `-v`.
    pub verbose: bool,
    /// `-d`: stages printed on stderr.
    pub debug: Vec<Stage>,
    /// Stop once everything is attached.
    pub dry_run: bool,
    /// `--unsafe`.
    pub allow_unsafe: bool,
    /// `-k`: say which reads of memory and lookups in maps failed.
    pub helper_errors: bool,
    /// Print no warnings.
    pub no_warnings: bool,
    /// Header files put before the script.
    pub include: Vec<PathBuf>,
    /// Directories to search for header files.
    pub include_dirs: Vec<PathBuf>,
    /// Only probes whose name this regular expression matches.
    pub probe_filter: Option<String>,
    /// How to attach user probes.
    pub attach: Attach,
    /// `--test`, `--bench`.
    pub mode: Mode,
    /// Kernel features to do without, by name.
    pub without: Vec<String>,
    /// `--traceable-functions`: the kernel functions that can be probed, instead of what tracefs lists.
    pub traceable: Option<PathBuf>,
    /// Slow the traced program down rather than lose a record.
    pub no_loss: bool,
    /// Called as `bpftrace`: its notices, its exit codes.
    pub as_bpftrace: bool,
}
