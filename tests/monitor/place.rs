//! A folder with a node in it: the built-in target, named as a node is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_baretrace");

/// Whether programs can be loaded; says that a test is skipped if not.
pub(crate) fn may_trace() -> bool {
    let missing = baretrace::kernel::detect::missing_rights(false);
    if !missing.is_empty() {
        eprintln!("skipped: this process may not trace");
    }
    missing.is_empty()
}

/// Tests with terminals run one after the other: each has a tracer, a node and a deadline.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("monitor-{}-{number}", std::process::id());
        let place = Place(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        fs::create_dir_all(&place.0).unwrap();
        // By another process: a descriptor open for writing here could be inherited by a child of another test, and
        // then the file could not be run.
        let mut copy = Command::new("cp");
        let copied = copy.arg(EXE).arg(place.0.join("bitcoind")).status();
        assert!(copied.unwrap().success());
        place
    }

    pub(crate) fn bin(&self) -> String {
        self.0.join("bitcoind").to_str().unwrap().to_owned()
    }

    /// A node that begins once it is let go, with `rounds` of the story (0: no end).
    pub(crate) fn node(&self, rounds: &str, pause_us: &str, more: &[&str]) -> Node {
        let mut command = Command::new(self.bin());
        command.args(["demo-target", "--hold", "--die-with-parent"]);
        command.args(["--pause-us", pause_us, "--rounds", rounds]);
        command
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        Node(command.spawn().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A node, which holds still until it is let go, and ends when dropped.
pub(crate) struct Node(pub(crate) Child);

impl Node {
    pub(crate) fn go(&mut self) {
        drop(self.0.stdin.take());
    }

    pub(crate) fn run(mut self) {
        self.go();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
