//! The kernel's release: for messages and for judging skipped tests, never for choosing a feature.

use std::{fmt, fs};

/// Major and minor number of a kernel release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `6` of `6.18.44-foo`.
    pub major: u32,
    /// `18` of `6.18.44-foo`.
    pub minor: u32,
}

impl Version {
    /// That version.
    pub const fn new(major: u32, minor: u32) -> Version {
        Version { major, minor }
    }

    /// Reads a release string.
    pub fn parse(release: &str) -> Option<Version> {
        let mut numbers = release.trim().split(|c: char| !c.is_ascii_digit());
        Some(Version {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }

    /// The running kernel's; `None` without /proc.
    pub fn running() -> Option<Version> {
        Version::parse(&fs::read_to_string("/proc/sys/kernel/osrelease").ok()?)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_parse_and_order() {
        let v = |text| Version::parse(text);
        assert_eq!(v("6.18.44-fc-v509\n"), Some(Version::new(6, 18)));
        assert_eq!(v("5.10.0-32-cloud-amd64"), Some(Version::new(5, 10)));
        assert_eq!(v("7.3-rc1"), Some(Version::new(7, 3)));
        assert_eq!(v("linux"), None);
        assert!(Version::new(5, 15) < Version::new(6, 1));
    }
}
