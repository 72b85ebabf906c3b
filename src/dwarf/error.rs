//! Why a file's debug information cannot be used.

use std::fmt;

use crate::elf;

/// Why a file's debug information cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file is not a readable ELF file.
    Elf(elf::Error),
    /// A section is compressed in a way that is not supported, or damaged.
    Section {
        /// The section.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The debug information contradicts itself.
    Dwarf(gimli::Error),
    /// It has more entries than are read for one question.
    TooLarge,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Elf(e) => write!(f, "{e}"),
            Error::Section { name, why } => write!(f, "read section `{name}`: {why}"),
            Error::Dwarf(e) => write!(f, "read debug information: {e}"),
            Error::TooLarge => write!(f, "read debug information: it has too many entries"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Elf(e) => Some(e),
            Error::Dwarf(e) => Some(e),
            _ => None,
        }
    }
}

impl From<elf::Error> for Error {
    fn from(e: elf::Error) -> Self {
        Error::Elf(e)
    }
}

impl From<gimli::Error> for Error {
    fn from(e: gimli::Error) -> Self {
        Error::Dwarf(e)
    }
}
