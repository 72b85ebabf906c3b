//! Finds and reads the C headers that a script includes.

use super::Options;
use crate::lang::header::{self, Asked, Headers};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where headers of the system are.
const SYSTEM: &[&str] = &[
    "/usr/local/include",
    "/usr/include",
    "/usr/include/x86_64-linux-gnu",
    "/usr/include/aarch64-linux-gnu",
];

/// The headers of the script's `#include` lines, before them those of the command line.
///
/// # Errors
/// The name of one that is not there.
pub(super) fn read(options: &Options) -> Result<Headers, String> {
    let given = options.include.iter();
    let mut asked: Vec<(String, bool)> = given
        .map(|path| (path.display().to_string(), true))
        .collect();
    asked.extend(header::included(&options.script.text));
    if asked.is_empty() {
        return Ok(Headers::default());
    }
    let home = Path::new(&options.script.name).parent();
    let mut open = |asked: Asked<'_>| {
        let beside = match asked.from {
            "" => home,
            from => Path::new(from).parent(),
        };
        let beside = beside.filter(|_| asked.quoted).map(Path::to_path_buf);
        let dirs = options.include_dirs.iter().cloned();
        let here = asked.quoted.then(PathBuf::new);
        let system = SYSTEM.iter().map(PathBuf::from);
        let all = beside.into_iter().chain(here).chain(dirs).chain(system);
        let mut paths = all.map(|dir| dir.join(asked.name));
        let path = paths.find(|path| path.is_file())?;
        let text = fs::read(&path).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        Some((path.display().to_string(), text))
    };
    header::read(&options.script.text, &asked, &mut open)
}
