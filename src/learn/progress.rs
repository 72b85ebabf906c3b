//! Which lessons were answered: a file of their names, one a line.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Lessons whose exercise was answered, kept in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    path: Option<PathBuf>,
    done: Vec<String>,
}

impl Progress {
    /// Where it is kept: below `XDG_STATE_HOME`, or `.local/state` of the home directory; nowhere without both
    /// (XDG Base Directory Specification: a relative path does not count).
    pub fn place(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
        let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
        let base = state.and_then(absolute);
        let base = base.or_else(|| Some(home.and_then(absolute)?.join(".local/state")));
        Some(base?.join("baretrace/learn"))
    }

    /// What is in the file; nothing if it cannot be read.
    pub fn read(path: Option<PathBuf>) -> Progress {
        let text = path
            .as_deref()
            .and_then(|path| fs::read_to_string(path).ok());
        let lines = text.as_deref().unwrap_or_default().lines();
        let done = lines.map(|line| line.trim().to_owned()).collect();
        Progress { path, done }
    }

    /// Whether a lesson was answered.
    pub fn is_done(&self, lesson: &str) -> bool {
        self.done.iter().any(|done| done == lesson)
    }

    /// Notes that a lesson was answered.
    ///
    /// # Errors
    /// The file, and why it cannot be written.
    pub fn add(&mut self, lesson: &str) -> Result<(), (PathBuf, io::Error)> {
        if self.is_done(lesson) {
            return Ok(());
        }
        self.done.push(lesson.to_owned());
        match &self.path {
            Some(path) => append(path, lesson).map_err(|err| (path.clone(), err)),
            None => Ok(()),
        }
    }

    /// Forgets all.
    ///
    /// # Errors
    /// The file, and why it cannot be removed.
    pub fn forget(&mut self) -> Result<(), (PathBuf, io::Error)> {
        self.done.clear();
        let Some(path) = &self.path else {
            return Ok(());
        };
        match fs::remove_file(path) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err((path.clone(), err)),
            _ => Ok(()),
        }
    }
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_that_of_the_specification() {
        let place = |state: Option<&str>, home: Option<&str>| {
            Progress::place(state.map(Into::into), home.map(Into::into))
        };
        let want = |path: &str| Some(PathBuf::from(path));
        assert_eq!(place(Some("/s"), Some("/h")), want("/s/baretrace/learn"));
        for state in [None, Some(""), Some("s")] {
            let got = place(state, Some("/h"));
            assert_eq!(got, want("/h/.local/state/baretrace/learn"));
        }
        assert_eq!(place(None, None), None);
    }

    #[test]
    fn without_a_place_nothing_is_kept() {
        let mut progress = Progress::read(None);
        assert!(progress.add("insn").is_ok() && progress.is_done("insn"));
        assert!(progress.forget().is_ok() && !progress.is_done("insn"));
    }
}
