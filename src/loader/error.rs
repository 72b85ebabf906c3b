//! Why an object could not be loaded.

use std::{error, fmt, io};

use super::verifier_log::Telling;
use crate::{asm::EncodeError, kernel::detect::Situation, span::Span, sys::errno::Described};

/// A program that the kernel refused.
#[derive(Debug)]
pub struct Rejected {
    /// Index into the object's programs.
    pub program: usize,
    /// The probe, as the script has it.
    pub probe: String,
    /// The errno.
    pub source: io::Error,
    /// What the verifier said, in short; `None` if it said nothing.
    pub telling: Option<Telling>,
    /// Index of the instruction it stopped at.
    pub insn: Option<usize>,
    /// The script text of that instruction.
    pub span: Option<Span>,
    /// What this crate's own checker knows of the registers there.
    pub known: Option<String>,
    /// The verifier's whole log.
    pub log: String,
}

/// Why an object could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// A map could not be created or filled in.
    Map {
        /// Its name.
        name: String,
        /// The step: `bpf(BPF_MAP_CREATE)`.
        call: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A program has no bytes.
    Encode {
        /// The probe.
        probe: String,
        /// Which instruction, and why.
        source: EncodeError,
        /// Its script text.
        span: Option<Span>,
    },
    /// A program refers to a map that the object does not have.
    NoSuchMap {
        /// The probe.
        probe: String,
        /// Index of the instruction.
        insn: usize,
        /// Index of the map.
        map: i32,
    },
    /// A program is for a function that the running kernel's BTF does not have.
    NoSuchFunction {
        /// The probe.
        probe: String,
        /// The function.
        function: String,
    },
    /// The license holds a NUL.
    License,
    /// A program was refused.
    Rejected(Box<Rejected>),
}

impl LoadError {
    /// Where in the script to look.
    pub fn span(&self) -> Option<Span> {
        match self {
            LoadError::Encode { span, .. } => *span,
            LoadError::Rejected(rejected) => rejected.span,
            _ => None,
        }
    }

    /// What the system said.
    pub fn errno(&self) -> Option<i32> {
        match self {
            LoadError::Map { source, .. } => source.raw_os_error(),
            LoadError::Rejected(rejected) => rejected.source.raw_os_error(),
            _ => None,
        }
    }

    fn is_trampoline(&self) -> bool {
        let of = |probe: &str| probe.starts_with("fentry:") || probe.starts_with("fexit:");
        matches!(self, LoadError::Rejected(rejected) if of(&rejected.probe))
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        let verdict = matches!(self, LoadError::Rejected(r) if r.telling.is_some());
        match self.errno()? {
            _ if verdict => Some(
                "this is a fault of baretrace (or of whoever made the bundle), not of the script; please report it with the \
                 script and the output of `baretrace features`; -v prints the verifier's whole log"
                    .to_owned(),
            ),
            libc::EPERM if self.is_trampoline() => Some(
                "the kernel lets no program onto its functions here (lockdown, or a security module): use a `tracepoint` or \
                 `rawtracepoint`"
                    .to_owned(),
            ),
            libc::EPERM => Some(Situation::now().refusal(false)),
            libc::ENOSYS => Some("this kernel has no bpf(2) (CONFIG_BPF_SYSCALL)".to_owned()),
            libc::ENOMEM => Some("the map may be too large for this machine".to_owned()),
            libc::EMFILE => Some("raise the limit of open files (ulimit -n)".to_owned()),
            _ => None,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Map { name, call, source } => {
                write!(f, "create map `{name}`: {call}: {}", Described(source))
            }
            LoadError::Encode { probe, source, .. } => {
                write!(f, "load program `{probe}`: {source}")
            }
            LoadError::NoSuchMap { probe, insn, map } => {
                write!(
                    f,
                    "load program `{probe}`: insn {insn}: there is no map {map}"
                )
            }
            LoadError::NoSuchFunction { probe, function } => {
                write!(
                    f,
                    "load program `{probe}`: the types of this kernel (/sys/kernel/btf/vmlinux) have no function `{function}`"
                )
            }
            LoadError::License => write!(f, "load programs: the license holds a NUL byte"),
            LoadError::Rejected(rejected) => rejected.fmt(f),
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rejected { probe, source, .. } = self;
        let Some(telling) = &self.telling else {
            return write!(
                f,
                "load program `{probe}`: bpf(BPF_PROG_LOAD): {}",
                Described(source)
            );
        };
        write!(
            f,
            "load program `{probe}`: rejected by the verifier: {}",
            Described(source)
        )?;
        if let Some(insn) = &telling.insn_line {
            write!(f, "\n  {insn}")?;
        }
        write!(f, "\n  {}", telling.line)?;
        if telling.others > 0 {
            write!(f, "     ({} lines left out)", telling.others)?;
        }
        if let Some(known) = self.known.as_ref().filter(|known| !known.is_empty()) {
            write!(f, "\n  known there: {known}")?;
        }
        Ok(())
    }
}

impl error::Error for LoadError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            LoadError::Map { source, .. } => Some(source),
            LoadError::Encode { source, .. } => Some(source),
            LoadError::Rejected(rejected) => Some(&rejected.source),
            LoadError::NoSuchMap { .. } | LoadError::NoSuchFunction { .. } | LoadError::License => {
                None
            }
        }
    }
}
