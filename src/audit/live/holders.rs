//! Who holds what is loaded: descriptors of processes, from `/proc/PID/fd` and `fdinfo`, and names in bpf file systems.
//!
//! The kernel tells a program's holders nowhere else, and an attachment through a perf event only when it is asked about
//! that very descriptor (`BPF_TASK_FD_QUERY`).

use crate::sys::bpf::{self, TaskFd};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    ffi::CString,
    fs,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// Something that keeps a program loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A descriptor of the program.
    Program {
        /// Process.
        pid: u32,
        /// Its name.
        comm: String,
        /// Descriptor in that process.
        fd: u32,
    },
    /// A descriptor of a link of it.
    Link {
        /// Process.
        pid: u32,
        /// Its name.
        comm: String,
        /// Descriptor in that process.
        fd: u32,
    },
    /// A descriptor of a perf event that it is attached to.
    Event {
        /// Process.
        pid: u32,
        /// Its name.
        comm: String,
        /// Descriptor in that process.
        fd: u32,
    },
    /// A name in a bpf file system.
    Pin(PathBuf),
}

/// Descriptors of one process that are named; more are counted.
const SHOWN: usize = 8;

/// Holders in words, a line for each process and pin.
pub(super) fn words(holders: &[Holder]) -> Vec<String> {
    let mut out = Vec::new();
    let mut processes: BTreeMap<(u32, &str), Vec<String>> = BTreeMap::new();
    for holder in holders {
        let (pid, comm, what, fd) = match holder {
            Holder::Program { pid, comm, fd } => (pid, comm, "program", fd),
            Holder::Link { pid, comm, fd } => (pid, comm, "link", fd),
            Holder::Event { pid, comm, fd } => (pid, comm, "perf event", fd),
            Holder::Pin(path) => {
                out.push(format!("name {}", path.display()));
                continue;
            }
        };
        let of = processes.entry((*pid, comm)).or_default();
        of.push(format!("{what} fd {fd}"));
    }
    for ((pid, comm), fds) in processes {
        let more = match fds.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = fds[..fds.len().min(SHOWN)].join(", ");
        out.push(format!("pid {pid} {comm}: {shown}{more}"));
    }
    out
}

/// What `fdinfo` tells of a program: enough to know it without the right to ask the kernel by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: u32,
    pub(super) tag: String,
    pub(super) runs: u64,
    pub(super) run_time_ns: u64,
}

/// A process whose perf events have programs that the kernel does not name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unnamed {
    /// Process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// How many such events it has.
    pub events: usize,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders {
    /// By program id.
    pub(super) of: BTreeMap<u32, Vec<Holder>>,
    /// Attachments through perf events, by program id.
    pub(super) events: BTreeMap<u32, Vec<TaskFd>>,
    pub(super) unnamed: Vec<Unnamed>,
    /// By program id, as far as descriptors of programs are seen.
    pub(super) seen: BTreeMap<u32, Seen>,
    /// Processes that could not be looked into.
    pub(super) hidden: usize,
}

impl Holders {
    /// Looks at every process and every pin. What vanishes meanwhile is left out.
    pub(super) fn find() -> Holders {
        let mut out = Holders::default();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            if let Some(pid) = number(&entry.file_name()) {
                out.process(pid);
            }
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for line in mounts.lines() {
            let mut words = line.split(' ').skip(1);
            if let (Some(path), Some("bpf")) = (words.next(), words.next()) {
                out.pins(Path::new(path), 0);
            }
        }
        out
    }

    fn process(&mut self, pid: u32) {
        let dir = match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(dir) => dir,
            Err(err) => {
                // ESRCH, ENOENT: it has ended.
                self.hidden += usize::from(err.raw_os_error() == Some(libc::EACCES));
                return;
            }
        };
        let mut comm = None;
        let (mut unnamed, mut linked) = (0usize, 0usize);
        for entry in dir.flatten() {
            let Ok(target) = fs::read_link(entry.path()) else {
                continue;
            };
            let what = target.as_os_str().as_bytes();
            let Some(fd) = number(&entry.file_name()).filter(|_| what.starts_with(b"anon_inode:"))
            else {
                continue;
            };
            let mut name = || -> String {
                comm.get_or_insert_with(|| {
                    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
                    name.unwrap_or_default().trim_end().to_owned()
                })
                .clone()
            };
            let holder: fn(u32, String, u32) -> Holder = match &what[b"anon_inode:".len()..] {
                b"bpf-prog" => |pid, comm, fd| Holder::Program { pid, comm, fd },
                b"bpf_link" | b"bpf-link" => |pid, comm, fd| Holder::Link { pid, comm, fd },
                b"[perf_event]" => {
                    match bpf::task_fd_query(pid, fd) {
                        Ok(event) => {
                            let comm = name();
                            let holders = self.of.entry(event.program).or_default();
                            holders.push(Holder::Event { pid, comm, fd });
                            self.events.entry(event.program).or_default().push(event);
                        }
                        Err(err) => {
                            unnamed += usize::from(err.raw_os_error() == Some(libc::EOPNOTSUPP));
                        }
                    }
                    continue;
                }
                _ => continue,
            };
            let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
            let Some(id) = field(&info, "prog_id").and_then(|id| id.parse().ok()) else {
                continue;
            };
            let holder = holder(pid, name(), fd);
            linked += usize::from(field(&info, "link_type") == Some("perf"));
            if matches!(holder, Holder::Program { .. }) {
                self.seen.insert(id, seen(&info));
            }
            self.of.entry(id).or_default().push(holder);
        }
        // Each link of a perf event has one that it names.
        let unnamed = unnamed.saturating_sub(linked);
        if unnamed > 0 {
            let comm = comm.unwrap_or_else(|| {
                let name = fs::read_to_string(format!("/proc/{pid}/comm"));
                name.unwrap_or_default().trim_end().to_owned()
            });
            self.unnamed.push(Unnamed {
                pid,
                comm,
                events: unnamed,
            });
        }
    }

    /// Programs and links that have a name below `dir`.
    fn pins(&mut self, dir: &Path, depth: usize) {
        // Deeper than anyone builds them; bpf file systems have no loops.
        if depth > 8 {
            return;
        }
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.pins(&path, depth + 1);
                continue;
            }
            let Ok(name) = CString::new(path.as_os_str().as_bytes()) else {
                continue;
            };
            let Ok(fd) = bpf::pinned(&name) else {
                continue;
            };
            let info = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
            let info = fs::read_to_string(info).unwrap_or_default();
            if let Some(id) = field(&info, "prog_id").and_then(|id| id.parse().ok()) {
                self.of.entry(id).or_default().push(Holder::Pin(path));
            }
        }
    }
}

fn number(name: &std::ffi::OsStr) -> Option<u32> {
    name.to_str()?.parse().ok()
}

/// The value of a line `name:\tvalue`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = info.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

fn seen(info: &str) -> Seen {
    let number = |name| field(info, name).and_then(|n| n.parse().ok()).unwrap_or(0);
    Seen {
        kind: u32::try_from(number("prog_type")).unwrap_or(0),
        tag: field(info, "prog_tag").unwrap_or_default().to_owned(),
        runs: number("run_cnt"),
        run_time_ns: number("run_time_ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_told_by_process() {
        let of = |fd| Holder::Link {
            pid: 7,
            comm: "x".into(),
            fd,
        };
        let holders = [of(3), Holder::Pin("/sys/fs/bpf/y".into()), of(4)];
        assert_eq!(
            words(&holders),
            ["name /sys/fs/bpf/y", "pid 7 x: link fd 3, link fd 4"]
        );
    }

    #[test]
    fn fdinfo_is_read_by_field() {
        let info =
            "pos:\t0\nprog_type:\t7\nprog_tag:\t075f3143bb9c7df7\nprog_id:\t941\nrun_cnt:\t3\n";
        assert_eq!(field(info, "prog_id"), Some("941"));
        assert_eq!(field(info, "prog"), None);
        let seen = seen(info);
        assert_eq!((seen.kind, seen.runs, seen.run_time_ns), (7, 3, 0));
        assert_eq!(seen.tag, "075f3143bb9c7df7");
    }
}
