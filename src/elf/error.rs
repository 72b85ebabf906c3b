//! Why a file could not be read as ELF.

use std::fmt;

/// Why a file could not be read as ELF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file does not begin with `\x7fELF`.
    NotElf,
    /// A header or table lies outside of the file or contradicts itself.
    Damaged {
        /// The part of the file.
        part: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotElf => write!(f, "not an ELF file"),
            Error::Damaged { part, why } => write!(f, "damaged ELF file: {part}: {why}"),
        }
    }
}

impl std::error::Error for Error {}
