//! What code a process had mapped, to be named later and elsewhere.

use std::{
    collections::HashMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    crc32::crc32,
    process::{self, MappedFile},
};
use crate::{elf::Image, sys::file_map::FileMap};

/// Bytes at each end of a file without build id that tell it from others: headers and the end of its tables.
const END: usize = 64 << 10;
/// Ranges of code that are taken of one process: a just-in-time compiler that maps files has many.
const MAX_RANGES: usize = 4096;

/// A file with code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CodeFile {
    /// Path as the process saw it.
    pub path: PathBuf,
    /// The build, its build id or what stands for it; empty if the file could not be opened.
    pub build: String,
}

/// Addresses with code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRange {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Byte of the file at which it begins.
    pub offset: u64,
    /// Index of the file.
    pub file: usize,
}

/// The code that a process had mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessCode {
    /// The process.
    pub pid: u32,
    /// Its files.
    pub files: Vec<CodeFile>,
    /// Where they are, by address.
    pub ranges: Vec<CodeRange>,
}

/// Looks at processes; reads each file once.
#[derive(Debug, Default)]
pub struct CodeReader {
    builds: HashMap<MappedFile, String>,
}

impl CodeReader {
    /// The code of a running process; `None` if there is no such process, or it has none.
    pub fn read(&mut self, pid: u32) -> Option<ProcessCode> {
        let mut code = ProcessCode {
            pid,
            ..ProcessCode::default()
        };
        // The vdso is no file.
        let found = process::read(pid);
        let ranges = found.iter().filter(|m| m.exec && !m.file.id.is_empty());
        for mapping in ranges.take(MAX_RANGES) {
            let path = &mapping.file.path;
            let build = self.builds.entry(mapping.file.clone()).or_insert_with(|| {
                let paths = process::open_paths(pid, mapping);
                let file = paths.iter().find_map(|path| FileMap::open(path).ok());
                file.map(|bytes| build(&bytes)).unwrap_or_default()
            });
            let same = |file: &CodeFile| file.path == *path && file.build == *build;
            let file = code.files.iter().position(same).unwrap_or_else(|| {
                code.files.push(CodeFile {
                    path: path.clone(),
                    build: build.clone(),
                });
                code.files.len() - 1
            });
            code.ranges.push(CodeRange {
                start: mapping.start,
                end: mapping.end,
                offset: mapping.offset,
                file,
            });
        }
        (!code.ranges.is_empty()).then_some(code)
    }
}

/// What tells one build of a file from another: its build id, or its size with the CRC-32 of its first and last 64 KiB.
fn build(bytes: &[u8]) -> String {
    let id = Image::parse(bytes).ok().and_then(|image| image.build_id());
    let mut text = String::new();
    if let Some(id) = id {
        for byte in id {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        return text;
    }
    let (first, last) = (
        &bytes[..bytes.len().min(END)],
        &bytes[bytes.len().saturating_sub(END)..],
    );
    let (first, last) = (crc32(first), crc32(last));
    format!("{} bytes {first:08x} {last:08x}", bytes.len())
}

/// Opens the file that a running process has mapped there.
pub fn open_mapped(pid: u32, file: &CodeFile, range: &CodeRange) -> Option<FileMap> {
    let paths = process::paths(pid, (range.start, range.end), &file.path);
    paths.iter().find_map(|path| FileMap::open(path).ok())
}

/// Opens a file of that build: where it was, or at one of the other paths whose file has the same name.
pub(super) fn open(file: &CodeFile, also: &[PathBuf]) -> Option<FileMap> {
    let named = also
        .iter()
        .filter(|path| path.file_name() == file.path.file_name());
    let paths = std::iter::once(&file.path).chain(named);
    let same = |path: &PathBuf| {
        let bytes = FileMap::open(Path::new(path)).ok()?;
        (!file.build.is_empty() && build(&bytes) == file.build).then_some(bytes)
    };
    paths.into_iter().find_map(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_its_program() {
        let exe = std::env::current_exe().unwrap();
        let code = CodeReader::default().read(std::process::id()).unwrap();
        let file = code.files.iter().find(|file| file.path == exe).unwrap();
        assert!(!file.build.is_empty());
        assert!(open(file, &[]).is_some());
        // It may have been moved, but not changed.
        let mut other = file.clone();
        other.path = Path::new("/nowhere").join(exe.file_name().unwrap());
        assert!(open(&other, &[]).is_none());
        assert!(open(&other, std::slice::from_ref(&exe)).is_some());
        other.build.push('0');
        assert!(open(&other, std::slice::from_ref(&exe)).is_none());
        assert_eq!(CodeReader::default().read(u32::MAX), None);
    }

    #[test]
    fn builds_without_an_id_are_told_by_their_ends() {
        let mut bytes = vec![7; 3 * END];
        let one = build(&bytes);
        assert!(one.starts_with("196608 bytes "), "{one}");
        *bytes.last_mut().unwrap() = 8;
        assert_ne!(build(&bytes), one);
        assert_ne!(build(&[]), build(&[0]));
    }
}
