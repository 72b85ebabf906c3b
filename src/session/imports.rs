//! Reads the files that a script imports.

use super::{Options, error::SessionError};
use crate::lang::{self, ast::Script};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// File name endings that a directory is searched for.
const KINDS: &[&str] = &[".bt", ".h", ".bpf.c"];

/// The texts of all imports of `script` and of what these import, each with its path as written.
///
/// # Errors
/// A file that cannot be read, or that anybody may change.
pub(super) fn read(
    script: &Script,
    options: &Options,
) -> Result<Vec<(String, String)>, SessionError> {
    let home = Path::new(&options.script.name)
        .parent()
        .unwrap_or(Path::new(""))
        .to_path_buf();
    let mut waiting: Vec<(String, PathBuf)> = script
        .imports
        .iter()
        .map(|(path, _)| (path.clone(), home.clone()))
        .collect();
    let mut texts: Vec<(String, String)> = Vec::new();
    let mut done: Vec<PathBuf> = Vec::new();
    while let Some((written, base)) = waiting.pop() {
        let path = base.join(&written);
        if done.contains(&path) {
            continue;
        }
        done.push(path.clone());
        let failed = |err| SessionError::Import(path.clone(), err);
        for file in files(&path).map_err(failed)? {
            let text = fs::read_to_string(&file).map_err(failed)?;
            if let Ok(inner) = lang::parse(&text) {
                let base = file.parent().unwrap_or(Path::new("")).to_path_buf();
                waiting.extend(
                    inner
                        .imports
                        .into_iter()
                        .map(|(path, _)| (path, base.clone())),
                );
            }
            texts.push((written.clone(), text));
        }
    }
    Ok(texts)
}

/// The file itself; of a directory the files that can be imported, in the order of their names.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let is_dir = fs::metadata(path)?.is_dir();
    let dir = match path.parent() {
        _ if is_dir => path,
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    // Whoever can write there decides what runs here with our rights.
    if fs::metadata(dir)?.permissions().mode() & 0o002 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("everybody may write to `{}`", dir.display()),
        ));
    }
    if !is_dir {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found: Vec<PathBuf> = fs::read_dir(path)?
        .collect::<io::Result<Vec<_>>>()?
        .iter()
        .map(fs::DirEntry::path)
        .filter(|file| {
            KINDS
                .iter()
                .any(|kind| file.to_string_lossy().ends_with(kind))
        })
        .collect();
    found.sort();
    Ok(found)
}
