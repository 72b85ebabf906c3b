//! Numbers that the system has names for: users, errors, signals, system calls, cgroups.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::errno::Errno;

use super::{int, syscalls};
use crate::wildcard;

/// A hierarchy of control groups, and the path of one in it.
pub type Place = (String, String);

/// What this machine, or the one that was recorded, calls its users and control groups.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Read from `/etc/passwd` when first asked for.
    users: Option<HashMap<u64, String>>,
    /// Looked for below `/sys/fs/cgroup` each time, if there are none of a recording.
    cgroups: Option<HashMap<u64, Vec<Place>>>,
}

impl Names {
    /// Those of a recording, and no others.
    pub fn recorded(users: HashMap<u64, String>, cgroups: HashMap<u64, Vec<Place>>) -> Names {
        Names {
            users: Some(users),
            cgroups: Some(cgroups),
        }
    }

    /// The name of user `uid`.
    pub fn user(&mut self, uid: u64) -> Option<&str> {
        let users = self.users.get_or_insert_with(|| {
            parse_passwd(&fs::read_to_string("/etc/passwd").unwrap_or_default())
        });
        users.get(&uid).map(String::as_str)
    }

    /// Appends the name of `uid`, or the number.
    pub fn put_user(&mut self, out: &mut Vec<u8>, uid: u64) {
        match self.user(uid) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => int::push_u64(out, uid),
        }
    }

    /// Where the control group `id` is.
    pub fn cgroup(&self, id: u64) -> Vec<Place> {
        match &self.cgroups {
            Some(known) => known.get(&id).cloned().unwrap_or_default(),
            None => find_cgroup(id),
        }
    }

    /// Appends `NAME:PATH` of the control group `id` in each hierarchy whose name matches `filter`.
    pub fn put_cgroup(&self, out: &mut Vec<u8>, id: u64, filter: &str) {
        let places = self.cgroup(id).into_iter();
        let wanted =
            places.filter(|(name, _)| filter.is_empty() || wildcard::matches(filter, name));
        let texts: Vec<String> = wanted
            .map(|(name, path)| format!("{name}:{path}"))
            .collect();
        out.extend_from_slice(texts.join(",").as_bytes());
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

/// Appends what `strerror` says; of a negative number what it says of the positive one, as the kernel returns errors.
pub fn errno(out: &mut Vec<u8>, n: u64) {
    let code = i32::try_from(n.cast_signed().unsigned_abs()).unwrap_or(i32::MAX);
    let text = match Errno::from_raw(code) {
        _ if code == 0 => "Success",
        Errno::UnknownErrno => "Unknown error",
        known => known.desc(),
    };
    out.extend_from_slice(text.as_bytes());
}

/// What `strsignal(3)` says of signals 1 to 31, in their order on Linux for x86 and Arm.
const SIGNALS: [&str; 31] = [
    "Hangup",
    "Interrupt",
    "Quit",
    "Illegal instruction",
    "Trace/breakpoint trap",
    "Aborted",
    "Bus error",
    "Floating point exception",
    "Killed",
    "User defined signal 1",
    "Segmentation fault",
    "User defined signal 2",
    "Broken pipe",
    "Alarm clock",
    "Terminated",
    "Stack fault",
    "Child exited",
    "Continued",
    "Stopped (signal)",
    "Stopped",
    "Stopped (tty input)",
    "Stopped (tty output)",
    "Urgent I/O condition",
    "CPU time limit exceeded",
    "File size limit exceeded",
    "Virtual timer expired",
    "Profiling timer expired",
    "Window changed",
    "I/O possible",
    "Power failure",
    "Bad system call",
];

/// First signal that programs may use as they like, after those that the C library keeps.
const SIGRTMIN: i64 = 34;

/// Last signal of Linux.
const SIGRTMAX: i64 = 64;

/// Appends what `strsignal(3)` says; `N/A` for what is no signal's number.
fn signal(out: &mut Vec<u8>, n: i64) {
    let known = usize::try_from(n - 1).ok().and_then(|i| SIGNALS.get(i));
    let text = match (known, n) {
        (Some(name), _) => (*name).to_owned(),
        (None, SIGRTMIN..=SIGRTMAX) => format!("Real-time signal {}", n - SIGRTMIN),
        (None, 0..SIGRTMIN) => format!("Unknown signal {n}"),
        _ => "N/A".to_owned(),
    };
    out.extend_from_slice(text.as_bytes());
}

/// Appends the text that `Type::Named`'s table has for `n`: 0 signals, 1 system calls, 2 bitcoins of satoshis.
pub fn named(out: &mut Vec<u8>, table: u8, n: u64) {
    match table {
        0 => signal(out, n.cast_signed()),
        2 => out.extend_from_slice(coins(n.cast_signed()).as_bytes()),
        _ => out.extend_from_slice(syscalls::name(n).unwrap_or("Unknown syscall").as_bytes()),
    }
}

/// Satoshis in a bitcoin.
const COIN: u64 = 100_000_000;

/// An amount of satoshis in bitcoins, with all eight digits.
fn coins(satoshis: i64) -> String {
    let (sign, amount) = (if satoshis < 0 { "-" } else { "" }, satoshis.unsigned_abs());
    format!("{sign}{}.{:08}", amount / COIN, amount % COIN)
}

/// Where the control group with this id is in each hierarchy: an id is the inode of the group's directory. The hierarchy of
/// version 2 is called `unified` and comes first.
fn find_cgroup(id: u64) -> Vec<Place> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let all = hierarchies(&mounts).into_iter();
    let found = all.filter_map(|(name, root)| {
        let path = inside(&root, id)?;
        Some((name, format!("/{}", path.to_string_lossy())))
    });
    found.collect()
}

/// Names and roots of the mounted cgroup hierarchies (`proc_mounts(5)`).
fn hierarchies(mounts: &str) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(root), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        let root = PathBuf::from(root);
        let name = root.file_name().map(|n| n.to_string_lossy().into_owned());
        match (kind, name) {
            ("cgroup2", _) => found.push(("unified".to_owned(), root)),
            ("cgroup", Some(name)) => found.push((name, root)),
            _ => {}
        }
    }
    found.sort_by(|(a, _), (b, _)| (a != "unified", a).cmp(&(b != "unified", b)));
    found.dedup_by(|(a, _), (b, _)| a == b);
    found
}

/// The path below `root` of the directory whose inode is `id`.
fn inside(root: &Path, id: u64) -> Option<PathBuf> {
    let mut todo = vec![root.to_path_buf()];
    while let Some(dir) = todo.pop() {
        if fs::metadata(&dir).is_ok_and(|m| m.ino() == id) {
            return Some(dir.strip_prefix(root).unwrap_or(&dir).to_path_buf());
        }
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        let dirs = entries
            .flatten()
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        todo.extend(dirs.map(|e| e.path()));
    }
    None
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
    fn cgroup_hierarchies() {
        let mounts = "c /g/memory cgroup rw 0 0\nc /g/cpu cgroup rw 0 0\nt /g tmpfs rw 0 0\nc2 /g/u cgroup2 rw 0 0\n";
        let names: Vec<String> = hierarchies(mounts).into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["unified", "cpu", "memory"]);
    }

    #[test]
    fn errors_and_signals() {
        let mut out = Vec::new();
        errno(&mut out, 1);
        out.push(b'|');
        errno(&mut out, 9999);
        for n in [2, 35, 32, 4000] {
            out.push(b'|');
            named(&mut out, 0, n);
        }
        out.push(b'|');
        named(&mut out, 1, 9999);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Operation not permitted|Unknown error|Interrupt|Real-time signal 1|Unknown signal 32|N/A|Unknown syscall"
        );
    }
}
