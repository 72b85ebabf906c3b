//! An errno in words, never bare: `Operation not permitted (EPERM)`.

use std::{fmt, io};

use nix::errno::Errno;

/// What bpf(2) returns where a program type has no test run, or an instruction cannot be probed.
pub const ENOTSUPP: i32 = 524;

/// Shows an [`io::Error`] as the system's words with the errno's name.
pub struct Described<'a>(pub &'a io::Error);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.raw_os_error() {
            Some(ENOTSUPP) => write!(f, "Operation is not supported (ENOTSUPP)"),
            Some(raw) => match Errno::from_raw(raw) {
                Errno::UnknownErrno => write!(f, "errno {raw}"),
                errno => write!(f, "{} ({errno:?})", errno.desc()),
            },
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_is_named_and_described() {
        let text = |raw| Described(&io::Error::from_raw_os_error(raw)).to_string();
        assert_eq!(text(libc::EPERM), "Operation not permitted (EPERM)");
        assert_eq!(text(ENOTSUPP), "Operation is not supported (ENOTSUPP)");
        assert_eq!(text(9999), "errno 9999");
        assert_eq!(Described(&io::Error::other("odd")).to_string(), "odd");
    }
}
