//! Why a file's USDT probes cannot be used.

use std::fmt;

use crate::elf;

/// Why a file's USDT probes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file is not a readable ELF file.
    Elf(elf::Error),
    /// A note contradicts itself.
    Note {
        /// Byte in the file at which it begins.
        offset: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The note section's alignment is neither 4 nor 8.
    Align(u64),
    /// The note sections together are longer than the file.
    Overlap,
    /// The file is for a processor whose operands are not known here.
    Arch(String),
    /// One site of an asked-for probe cannot be attached to.
    Site {
        /// Provider of the probe.
        provider: String,
        /// Name of the probe.
        name: String,
        /// The site's vaddr.
        vaddr: u64,
        /// Why not.
        why: SiteError,
    },
}

/// Why one site of a probe cannot be attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteError {
    /// The vaddr is in no executable part of the file.
    NotCode,
    /// The instruction there is not a nop; its first bytes.
    NotNop(Vec<u8>),
    /// The semaphore's vaddr is in no writable part of the file.
    Semaphore(u64),
    /// More arguments than any known `sys/sdt.h` makes.
    TooManyArgs(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Elf(e) => write!(f, "{e}"),
            Error::Note { offset, why } => {
                write!(f, "read USDT note at file offset {offset:#x}: {why}")
            }
            Error::Align(align) => write!(
                f,
                "read section `.note.stapsdt`: alignment {align} is neither 4 nor 8"
            ),
            Error::Overlap => write!(
                f,
                "read sections `.note.stapsdt`: they overlap and hold more bytes than the file"
            ),
            Error::Arch(machine) => write!(
                f,
                "read USDT operands: the file is for {machine}; x86-64 and aarch64 are supported"
            ),
            Error::Site {
                provider,
                name,
                vaddr,
                why,
            } => {
                write!(
                    f,
                    "use USDT probe `{provider}:{name}` at vaddr {vaddr:#x}: {why}"
                )
            }
        }
    }
}

impl fmt::Display for SiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SiteError::NotCode => write!(f, "no executable segment of the file holds this address"),
            SiteError::NotNop(bytes) => {
                write!(f, "the instruction there is not a nop but begins with")?;
                bytes.iter().try_for_each(|b| write!(f, " {b:02x}"))
            }
            SiteError::Semaphore(vaddr) => write!(
                f,
                "its semaphore at vaddr {vaddr:#x} is in no writable segment of the file"
            ),
            SiteError::TooManyArgs(count) => {
                write!(f, "{count} arguments; at most {} are read", super::MAX_ARGS)
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Elf(e) => Some(e),
            _ => None,
        }
    }
}

impl From<elf::Error> for Error {
    fn from(e: elf::Error) -> Self {
        Error::Elf(e)
    }
}
