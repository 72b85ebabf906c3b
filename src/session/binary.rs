//! From the path in a probe's name to files that can be opened.

use crate::{
    dwarf,
    elf::{self, process},
    symbols::{FunctionError, library},
    sys::{errno::Described, file_map::FileMap},
    usdt, wildcard,
};
use std::os::unix::fs::MetadataExt;
use std::{
    ffi::OsStr,
    fmt, io,
    path::{Path, PathBuf},
};

/// Why a binary could not be read.
#[derive(Debug)]
pub enum BinaryError {
    /// There is no such file, or it cannot be opened.
    Open(PathBuf, io::Error),
    /// Not on `$PATH`.
    NotOnPath(String),
    /// No file matches the pattern.
    NoMatch(String),
    /// The process's mappings cannot be read.
    Process(u32, io::Error),
    /// Not an ELF file, or a damaged one.
    Elf(PathBuf, elf::Error),
    /// Its notes cannot be read.
    Notes(PathBuf, usdt::Error),
    /// No probe can be put there.
    Place(PathBuf, FunctionError),
    /// Its debug information cannot be read.
    Debug(PathBuf, dwarf::Error),
    /// A source line has no place in it.
    Line(PathBuf, LineError),
}

/// Why a source line has no place in a binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineError {
    /// There is no debug information.
    NoDebug,
    /// No unit is compiled of that file.
    NoFile(String),
    /// Nothing is there.
    NoStatement(String),
}

impl fmt::Display for BinaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BinaryError::Open(path, err) => {
                write!(f, "open `{}`: {}", path.display(), Described(err))
            }
            BinaryError::NotOnPath(name) => {
                write!(
                    f,
                    "find `{name}`: not in any directory of PATH, nor a shared library"
                )
            }
            BinaryError::NoMatch(pattern) => write!(f, "find `{pattern}`: no file matches"),
            BinaryError::Process(pid, err) => {
                write!(f, "read mappings of process {pid}: {}", Described(err))
            }
            BinaryError::Elf(path, err) => write!(f, "read `{}`: {err}", path.display()),
            BinaryError::Notes(path, err) => {
                write!(f, "read USDT notes of `{}`: {err}", path.display())
            }
            BinaryError::Place(path, err) => write!(f, "in `{}`: {err}", path.display()),
            BinaryError::Debug(path, err) => {
                write!(f, "read debug information of `{}`: {err}", path.display())
            }
            BinaryError::Line(path, LineError::NoDebug) => {
                write!(f, "`{}` has no debug information", path.display())
            }
            BinaryError::Line(path, LineError::NoFile(source)) => {
                write!(f, "`{}` is not compiled of `{source}`", path.display())
            }
            BinaryError::Line(path, LineError::NoStatement(place)) => {
                write!(f, "`{}` has no statement at `{place}`", path.display())
            }
        }
    }
}

impl std::error::Error for BinaryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BinaryError::Open(_, err) | BinaryError::Process(_, err) => Some(err),
            BinaryError::Elf(_, err) => Some(err),
            BinaryError::Notes(_, err) => Some(err),
            BinaryError::Place(_, err) => Some(err),
            BinaryError::Debug(_, err) => Some(err),
            BinaryError::NotOnPath(_) | BinaryError::NoMatch(_) | BinaryError::Line(..) => None,
        }
    }
}

impl BinaryError {
    /// What the user may do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            BinaryError::Open(_, err) if err.kind() == io::ErrorKind::PermissionDenied => {
                "reading another process's files needs its user or CAP_SYS_PTRACE"
            }
            BinaryError::Open(..) => {
                "give the path of the program's file; a relative path starts here"
            }
            BinaryError::NotOnPath(_) => "give a path with a `/` in it",
            BinaryError::NoMatch(_) => "quote the pattern, and see what `ls` finds",
            BinaryError::Process(..) => "see that the process runs, and that you may look at it",
            BinaryError::Elf(_, elf::Error::NotElf) => {
                "probes are in compiled programs and libraries; for a script name its interpreter"
            }
            BinaryError::Line(..) => {
                "the line must hold a statement, and the program be built with -g"
            }
            BinaryError::Elf(..)
            | BinaryError::Notes(..)
            | BinaryError::Place(..)
            | BinaryError::Debug(..) => return None,
        })
    }
}

/// One file that a probe's path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The path as the traced process has it: what is printed.
    pub name: PathBuf,
    /// The path to open it by from here.
    pub open: PathBuf,
}

/// The files that `written` means: one for a plain path, any number for a pattern, and for `*` or nothing at all the
/// files that process `pid` has mapped.
///
/// A path with a `/` is looked up from here, or from the root of process `pid` if it is absolute; a bare name on
/// `$PATH`, and then among the installed shared libraries (`libc`, `libssl.so.3`).
///
/// # Errors
/// Nothing found, or not readable.
pub fn locate(written: &str, pid: Option<u32>) -> Result<Vec<Located>, BinaryError> {
    if let Some(pid) = pid.filter(|_| matches!(written, "" | "*")) {
        let files = process::mapped_files(pid).map_err(|err| BinaryError::Process(pid, err))?;
        return Ok(files
            .into_iter()
            .map(|file| Located {
                open: plain(file.open, &file.path),
                name: file.path,
            })
            .collect());
    }
    if wildcard::is_pattern(written) && !Path::new(written).exists() {
        return expand(written, pid);
    }
    let name = if written.contains('/') {
        PathBuf::from(written)
    } else {
        on_path(written, std::env::var_os("PATH").as_deref())
            .or_else(|| library::find(written))
            .or_else(|| mapped(written, pid?))
            .ok_or_else(|| BinaryError::NotOnPath(written.to_string()))?
    };
    Ok(vec![in_process(name, pid)?])
}

fn in_process(name: PathBuf, pid: Option<u32>) -> Result<Located, BinaryError> {
    let open = match pid {
        Some(pid) => {
            let there = process::in_process(pid, &name)
                .map_err(|err| BinaryError::Open(name.clone(), err))?;
            plain(there, &name)
        }
        None => name.clone(),
    };
    Ok(Located { name, open })
}

/// `open`, or the plain path where a process sees the same file there as we do: that outlives the process.
fn plain(open: PathBuf, name: &Path) -> PathBuf {
    if is_same(&open, name) {
        name.to_path_buf()
    } else {
        open
    }
}

/// Whether two paths lead to one file.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    id(one).is_some_and(|one| Some(one) == id(other))
}

/// The first file of that name in the directories of `path`, or in the current one.
fn on_path(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    std::env::split_paths(path?)
        .map(|dir| dir.join(name))
        .chain([PathBuf::from(".").join(name)])
        .find(|file| file.is_file())
}

/// The library of that name, with or without what follows it (`libfoo`, `libfoo.so`), that a process has mapped.
fn mapped(name: &str, pid: u32) -> Option<PathBuf> {
    let files = process::mapped_files(pid).ok()?;
    let is = |path: &Path| {
        let file = path.file_name().and_then(OsStr::to_str);
        let rest = file.and_then(|file| file.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(".so"))
    };
    files
        .into_iter()
        .map(|file| file.path)
        .find(|path| is(path))
}

/// Files whose path matches, sorted. A wildcard stays within one part of the path.
fn expand(pattern: &str, pid: Option<u32>) -> Result<Vec<Located>, BinaryError> {
    let mut found = vec![PathBuf::from(if pattern.starts_with('/') {
        "/"
    } else {
        ""
    })];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for dir in found {
            if !wildcard::is_pattern(part) {
                next.push(dir.join(part));
                continue;
            }
            let open = in_process(dir.clone(), pid)?.open;
            let open = if open.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                open
            };
            // A directory that cannot be listed holds no match.
            let Ok(entries) = std::fs::read_dir(open) else {
                continue;
            };
            for entry in entries.flatten() {
                if let Some(name) = entry
                    .file_name()
                    .to_str()
                    .filter(|n| wildcard::matches(part, n))
                {
                    next.push(dir.join(name));
                }
            }
        }
        found = next;
    }
    // As the names of their probes are sorted.
    found.sort_by_cached_key(|path| format!("{}:", path.display()));
    let mut files = Vec::new();
    for name in found {
        let file = in_process(name, pid)?;
        if file.open.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(BinaryError::NoMatch(pattern.to_string()));
    }
    Ok(files)
}

/// Maps the file.
///
/// # Errors
/// What the system said.
pub fn open(file: &Located) -> Result<FileMap, BinaryError> {
    FileMap::open(&file.open).map_err(|err| BinaryError::Open(file.name.clone(), err))
}

/// Reads the notes of a mapped file.
///
/// # Errors
/// Not an ELF file, or damaged.
pub fn notes<'a>(file: &Located, bytes: &'a [u8]) -> Result<usdt::Image<'a>, BinaryError> {
    usdt::Image::parse(bytes).map_err(|err| match err {
        usdt::Error::Elf(err) => BinaryError::Elf(file.name.clone(), err),
        err => BinaryError::Notes(file.name.clone(), err),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_up_on_path() {
        let found = locate("sh", None).unwrap();
        assert!(found[0].open.is_file() && found[0].open.is_absolute());
        let err = locate("no-such-program", None).unwrap_err();
        assert!(err.to_string().contains("not in any directory of PATH"));
    }

    #[test]
    fn patterns_find_files() {
        let found = locate("/bin/s?", None).unwrap();
        assert!(found.iter().any(|file| file.name == Path::new("/bin/sh")));
        let err = locate("/bin/no-such-*", None).unwrap_err();
        assert!(matches!(err, BinaryError::NoMatch(_)));
    }

    #[test]
    fn a_process_has_its_own_files() {
        let pid = std::process::id();
        let own = std::env::current_exe().unwrap();
        assert!(
            locate("*", Some(pid))
                .unwrap()
                .iter()
                .any(|file| file.name == own)
        );
        // It is the same file for both: the plain path outlives the process.
        assert_eq!(
            locate(own.to_str().unwrap(), Some(pid)).unwrap()[0].open,
            own
        );
        let hidden = PathBuf::from(format!("/proc/{pid}/root/no/such/file"));
        assert_eq!(plain(hidden.clone(), &own), hidden);
    }

    #[test]
    fn what_is_no_binary_is_said() {
        let file = |path: &str| Located {
            name: path.into(),
            open: path.into(),
        };
        let err = open(&file("/no/such")).unwrap_err();
        assert_eq!(
            err.to_string(),
            "open `/no/such`: No such file or directory (ENOENT)"
        );
        let err = notes(&file("x"), b"#!/bin/sh\n").unwrap_err();
        assert_eq!(err.to_string(), "read `x`: not an ELF file");
    }
}
