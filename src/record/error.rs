//! Why a recording cannot be written or read.

use super::format::VERSION;
use crate::sys::errno::Described;
use std::{fmt, io, path::PathBuf};

/// Why a recording cannot be written.
#[derive(Debug)]
pub enum WriteError {
    /// The file cannot be made.
    Create(PathBuf, io::Error),
    /// It cannot be written to any more.
    Write {
        /// The file.
        path: PathBuf,
        /// Hits that are in it.
        hits: u64,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Create(path, err) => {
                write!(
                    f,
                    "create recording `{}`: {}",
                    path.display(),
                    Described(err)
                )
            }
            WriteError::Write { path, hits, source } => write!(
                f,
                "write recording `{}`: {}; its first {hits} hits are in the file",
                path.display(),
                Described(source)
            ),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WriteError::Create(_, err) | WriteError::Write { source: err, .. } => Some(err),
        }
    }
}

/// Why a recording cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// The file cannot be opened.
    Open(io::Error),
    /// It is something else.
    NotOne,
    /// It was written in another version of the format.
    Version(u32),
    /// It is of a machine that is not known here.
    Machine(String),
    /// Its first block is not there: nothing tells what was recorded.
    NoMeta,
    /// Something was changed in it.
    Damaged {
        /// First byte of the block.
        at: usize,
        /// What is wrong.
        what: String,
    },
}

impl ReadError {
    pub(super) fn damaged(at: usize, what: impl Into<String>) -> Self {
        let what = what.into();
        ReadError::Damaged { at, what }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            ReadError::NotOne => Some("make one with `baretrace record -o FILE SCRIPT`"),
            ReadError::Version(version) if *version > VERSION => {
                Some("a newer baretrace wrote it, and can read it")
            }
            ReadError::Version(_) => Some("record it again"),
            ReadError::Damaged { .. } => Some(
                "every block has a checksum: the file was changed after it was written; take a copy of the original",
            ),
            ReadError::NoMeta => {
                Some("the recorder was stopped before it wrote anything; record it again")
            }
            ReadError::Open(_) | ReadError::Machine(_) => None,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Open(err) => Described(err).fmt(f),
            ReadError::NotOne => f.write_str("this is no recording"),
            ReadError::Version(version) => write!(
                f,
                "this recording has version {version} of the format, version {VERSION} is known here"
            ),
            ReadError::Machine(name) => {
                write!(
                    f,
                    "this recording is of {name}; x86-64 and aarch64 are known here"
                )
            }
            ReadError::NoMeta => f.write_str("this recording ends before its first block"),
            ReadError::Damaged { at, what } => write!(f, "damaged at byte {at}: {what}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReadError::Open(err) => Some(err),
            _ => None,
        }
    }
}
