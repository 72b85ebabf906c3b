//! CPU lists as sysfs prints them (`0-3,8`), and how many CPUs per-CPU map values are made for.

use std::{fs, io, sync::OnceLock};

/// The CPUs in a list such as `0-3,8`; `None` if it does not read as one.
pub fn parse_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|p| !p.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || last > 65_536 {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// Reads one of `/sys/devices/system/cpu/{online,possible}`.
///
/// # Errors
/// What the file system said, or `InvalidData` for a list that does not parse or is empty.
pub fn read_list(name: &str) -> io::Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/sys/devices/system/cpu/{name}"))?;
    match parse_list(&text) {
        Some(cpus) if !cpus.is_empty() => Ok(cpus),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("cpu list `{}`", text.trim()),
        )),
    }
}

/// Highest possible CPU number plus one: how many values the kernel copies for one entry of a per-CPU map.
///
/// # Errors
/// As [`read_list`].
pub fn possible_count() -> io::Result<u32> {
    static COUNT: OnceLock<u32> = OnceLock::new();
    if let Some(count) = COUNT.get() {
        return Ok(*count);
    }
    let count = read_list("possible")?.into_iter().max().unwrap_or(0) + 1;
    Ok(*COUNT.get_or_init(|| count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_sysfs_prints_them() {
        assert_eq!(parse_list("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(parse_list("0\n"), Some(vec![0]));
        assert_eq!(parse_list("\n"), Some(vec![]));
        assert_eq!(parse_list("3-1"), None);
        assert_eq!(parse_list("0-4000000000"), None);
        assert_eq!(parse_list("x"), None);
    }
}
