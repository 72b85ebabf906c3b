//! Kernel lockdown: what even root may not do (`security/lockdown/lockdown.c`).

use std::{fmt, fs};

/// Lockdown's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Off, or not in this kernel.
    None,
    /// The kernel cannot be changed: no `bpf_probe_write_user`, no fentry here.
    Integrity,
    /// Nor read: no `bpf_probe_read_kernel`, no kernel stacks.
    Confidentiality,
    /// securityfs is not mounted or cannot be read.
    Unknown,
}

impl Lockdown {
    /// Reads the file's text, `none [integrity] confidentiality`: the level in brackets holds.
    pub fn parse(text: &str) -> Lockdown {
        let chosen = text
            .split_whitespace()
            .find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
        match chosen {
            Some("none") => Lockdown::None,
            Some("integrity") => Lockdown::Integrity,
            Some("confidentiality") => Lockdown::Confidentiality,
            _ => Lockdown::Unknown,
        }
    }

    /// The running kernel's.
    pub fn running() -> Lockdown {
        match fs::read_to_string("/sys/kernel/security/lockdown") {
            Ok(text) => Lockdown::parse(&text),
            Err(_) => Lockdown::Unknown,
        }
    }
}

impl fmt::Display for Lockdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lockdown::None => "none",
            Lockdown::Integrity => "integrity",
            Lockdown::Confidentiality => "confidentiality",
            Lockdown::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_in_brackets_holds() {
        let cases = [
            ("[none] integrity confidentiality\n", Lockdown::None),
            ("none [integrity] confidentiality\n", Lockdown::Integrity),
            (
                "none integrity [confidentiality]\n",
                Lockdown::Confidentiality,
            ),
            ("", Lockdown::Unknown),
            ("none integrity", Lockdown::Unknown),
        ];
        for (text, want) in cases {
            assert_eq!(Lockdown::parse(text), want, "{text}");
        }
    }
}
