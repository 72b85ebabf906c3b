//! Finding nodes among the processes of this machine.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Programs that have the tracepoints, by file name.
pub const PROGRAMS: &[&str] = &["bitcoind", "bitcoin-node", "bitcoin-qt", "bitcoin-gui"];

/// The pid file of a node in its data directory, or below it for other chains than the main one.
const PID_FILE: &str = "bitcoind.pid";
/// Where the files of other chains are, below the data directory.
const CHAIN_DIRS: &[&str] = &["", "regtest", "signet", "testnet3", "testnet4"];

/// Which node is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Every node that runs, or will run.
    #[default]
    Any,
    /// What runs that file.
    File(PathBuf),
    /// The process of that number; then the process that is started in its stead.
    Pid(u32),
    /// The node whose pid file is in that directory.
    Datadir(PathBuf),
}

/// A process that runs a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its program, as it sees it.
    pub program: PathBuf,
    /// Its command line: the same after a restart.
    pub words: Vec<u8>,
    /// Device and number of its program's file.
    pub file: (u64, u64),
}

impl Process {
    /// Looks at process `pid`.
    ///
    /// # Errors
    /// No such process, or no right to look at it.
    pub fn look(pid: u32) -> io::Result<Process> {
        let link = format!("/proc/{pid}/exe");
        let program = fs::read_link(&link)?;
        let shown = program.to_string_lossy();
        let program = PathBuf::from(shown.strip_suffix(" (deleted)").unwrap_or(&shown));
        Ok(Process {
            pid,
            program,
            words: fs::read(format!("/proc/{pid}/cmdline"))?,
            file: file_id(Path::new(&link))?,
        })
    }

    /// Whether `later` is this node started again: the same program by path with the same words.
    pub fn is_again(&self, later: &Process) -> bool {
        self.program == later.program && self.words == later.words
    }
}

/// Device and number of a file.
///
/// # Errors
/// As `stat(2)`.
pub fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    let meta = fs::metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

/// All processes whose program `named` accepts by its path, and for which `wanted` holds; by number.
pub fn processes(named: impl Fn(&Path) -> bool, wanted: impl Fn(&Process) -> bool) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_named = |pid: &u32| {
        let link = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let shown = link.to_string_lossy();
        !shown.is_empty()
            && named(Path::new(
                shown.strip_suffix(" (deleted)").unwrap_or(&shown),
            ))
    };
    let mut found: Vec<Process> = pids
        .filter(is_named)
        .filter_map(|pid| Process::look(pid).ok())
        .filter(|process| wanted(process))
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Whether a program is a node, by its file name.
pub fn is_node(program: &Path) -> bool {
    let name = program.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| PROGRAMS.contains(&name))
}

/// A node's program where nodes are commonly installed or built, for one that does not run yet.
pub fn installed() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&on_path)
        .map(|dir| dir.join("bitcoind"))
        .chain([PathBuf::from("./build/bin/bitcoind")]);
    found.find(|path| path.is_file())
}

/// The number in the pid file of a data directory; `None` if there is none, which is so while the node does not run.
///
/// # Errors
/// The directory is not there, or the file cannot be read.
pub fn pid_of_datadir(dir: &Path) -> io::Result<Option<u32>> {
    fs::read_dir(dir)?;
    for below in CHAIN_DIRS {
        match fs::read_to_string(dir.join(below).join(PID_FILE)) {
            Ok(text) => {
                if let Ok(pid) = text.trim().parse() {
                    return Ok(Some(pid));
                }
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(err),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found() {
        let own = Process::look(std::process::id()).unwrap();
        assert_eq!(own.program, std::env::current_exe().unwrap());
        assert_eq!(own.file, file_id(&own.program).unwrap());
        assert!(
            processes(|_| true, |p| p.file == own.file)
                .iter()
                .any(|p| p.is_again(&own))
        );
        assert!(Process::look(u32::MAX / 2).is_err());
    }

    #[test]
    fn names_of_nodes() {
        assert!(is_node(Path::new("/usr/bin/bitcoind")));
        assert!(!is_node(Path::new("/usr/bin/bitcoin-cli")));
    }
}
