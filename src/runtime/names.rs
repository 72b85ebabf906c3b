//! Numbers that the system has names for: users, errors, signals, system calls, cgroups.

use std::{collections::HashMap, fs, os::unix::fs::MetadataExt, path::PathBuf};

use nix::{errno::Errno, sys::signal::Signal};

use super::{int, syscalls};

/// User names of `/etc/passwd`, read when first asked for.
#[derive(Clone, Debug, Default)]
pub struct Users {
    names: Option<HashMap<u64, String>>,
}

impl Users {
    /// Appends the name of `uid`, or the number.
    pub fn name(&mut self, out: &mut Vec<u8>, uid: u64) {
        let names = self.names.get_or_insert_with(|| {
            parse_passwd(&fs::read_to_string("/etc/passwd").unwrap_or_default())
        });
        match names.get(&uid) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => int::push_u64(out, uid),
        }
    }
}

fn parse_passwd(text: &str) -> HashMap<u64, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), _, Some(Ok(uid))) =
            (fields.next(), fields.next(), fields.next().map(str::parse))
        {
            names.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    names
}

/// Appends what `strerror` says.
pub fn errno(out: &mut Vec<u8>, n: u64) {
    let code = i32::try_from(n.cast_signed()).unwrap_or(-1);
    let text = match Errno::from_raw(code) {
        _ if code == 0 => "Success".to_owned(),
        Errno::UnknownErrno => format!("Unknown error {}", n.cast_signed()),
        known => known.desc().to_owned(),
    };
    out.extend_from_slice(text.as_bytes());
}

/// Appends the name that `Type::Named`'s table has for `n`, or the number.
pub fn named(out: &mut Vec<u8>, table: u8, n: u64) {
    let name = match table {
        0 => i32::try_from(n)
            .ok()
            .and_then(|n| Signal::try_from(n).ok())
            .map(Signal::as_str),
        1 => syscalls::name(n),
        _ => None,
    };
    match name {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => int::push_i64(out, n.cast_signed()),
    }
}

/// Appends the path of the cgroup whose id is `id`: a version 2 id is the inode of its directory.
pub fn cgroup_path(out: &mut Vec<u8>, id: u64) {
    let root = PathBuf::from("/sys/fs/cgroup");
    let mut todo = vec![root.clone()];
    while let Some(dir) = todo.pop() {
        if fs::metadata(&dir).is_ok_and(|m| m.ino() == id) {
            let path = dir.strip_prefix(&root).unwrap_or(&dir);
            out.push(b'/');
            out.extend_from_slice(path.as_os_str().as_encoded_bytes());
            return;
        }
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        let dirs = entries
            .flatten()
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        todo.extend(dirs.map(|e| e.path()));
    }
    out.extend_from_slice(b"<unknown>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd() {
        let names = parse_passwd("root:x:0:0::/root:/bin/sh\nbad\ntoor:x:0:0\n");
        assert_eq!(names.len(), 1);
        assert_eq!(names[&0], "root");
    }

    #[test]
    fn errors_and_signals() {
        let mut out = Vec::new();
        errno(&mut out, 1);
        out.push(b'|');
        named(&mut out, 0, 2);
        out.push(b'|');
        named(&mut out, 0, 4000);
        assert_eq!(out, b"Operation not permitted|SIGINT|4000");
    }
}
