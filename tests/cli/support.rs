//! Runs the binary and looks at what it printed.

use std::{
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// The binary under test.
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_baretrace");

/// One call: what goes in, what must come out.
#[derive(Clone, Copy, Default)]
pub(crate) struct Case<'a> {
    /// The words after the program's name. `EXE` in a word stands for the binary's path.
    pub(crate) args: &'a [&'a str],
    /// Standard input.
    pub(crate) stdin: &'a [u8],
    /// Exit code.
    pub(crate) code: i32,
    /// Pieces of stdout, in any order; none means that stdout is empty.
    pub(crate) stdout: &'a [&'a str],
    /// Pieces of stderr, likewise.
    pub(crate) stderr: &'a [&'a str],
}

impl Case<'_> {
    /// Runs it and checks it; a failure shows all of it.
    pub(crate) fn check(&self) {
        let args: Vec<String> = self
            .args
            .iter()
            .map(|word| word.replace("EXE", EXE))
            .collect();
        let out = run(Command::new(EXE).args(&args), self.stdin);
        self.check_output(&out, &format!("baretrace {}", args.join(" ")));
    }

    pub(crate) fn check_output(&self, out: &Output, what: &str) {
        let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
        let all = format!(
            "{what}\n--- {:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}",
            out.status
        );
        assert_eq!(out.status.code(), Some(self.code), "{all}");
        for (pieces, text, stream) in [
            (self.stdout, &stdout, "stdout"),
            (self.stderr, &stderr, "stderr"),
        ] {
            if pieces.is_empty() {
                assert!(text.is_empty(), "{stream} is not empty: {all}");
            }
            for piece in pieces {
                assert!(text.contains(piece), "no `{piece}` on {stream}: {all}");
            }
        }
        assert!(!stderr.contains("panicked"), "{all}");
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command to its end, at most twenty seconds.
pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start the binary");
    let mut input = child.stdin.take().expect("a pipe");
    // The child may not read its input at all.
    let _ = input.write_all(stdin);
    drop(input);
    finish(child)
}

/// Waits for the end of a child, reading all that it prints.
pub(crate) fn finish(mut child: Child) -> Output {
    let reader = |pipe: Option<Box<dyn Read + Send>>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                pipe.read_to_end(&mut bytes).expect("read a pipe");
            }
            bytes
        })
    };
    let stdout = reader(
        child
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    );
    let stderr = reader(
        child
            .stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    );
    let end = Instant::now() + Duration::from_secs(20);
    let status = loop {
        match child.try_wait().expect("wait for the binary") {
            Some(status) => break status,
            None if Instant::now() > end => {
                child.kill().expect("kill a hanging binary");
                panic!("it does not end: {:?}", child.wait());
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    Output {
        status,
        stdout: stdout.join().expect("reader"),
        stderr: stderr.join().expect("reader"),
    }
}

/// Whether this machine lets us trace. Where it does not, the reason is printed and the test does nothing more.
pub(crate) fn can_trace() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let out = run(Command::new(EXE).arg("features"), b"");
        let report = text(&out.stdout);
        let can = report.contains("rights     all that tracing needs");
        if !can {
            println!("skipped, this process may not trace:\n{report}");
        }
        can
    })
}

/// The built-in target, ended when dropped.
pub(crate) struct Target(pub(crate) Child);

impl Target {
    /// Starts it with those options.
    pub(crate) fn start(options: &[&str]) -> Target {
        let child = Command::new(EXE)
            .arg("demo-target")
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the target");
        Target(child)
    }

    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, signal).expect("send a signal");
}

/// A file of this test alone, removed when dropped.
pub(crate) struct TempFile(pub(crate) PathBuf);

impl TempFile {
    pub(crate) fn new(name: &str, bytes: &[u8]) -> TempFile {
        let path = std::env::temp_dir().join(format!("baretrace-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).expect("write a file");
        TempFile(path)
    }

    pub(crate) fn name(&self) -> &str {
        self.0.to_str().expect("a plain path")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // Left over if somebody else removed it: nothing to do.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The binary, called by another name.
pub(crate) fn as_bpftrace(args: &[&str]) -> Output {
    run(Command::new(EXE).arg0("bpftrace").args(args), b"")
}

/// A directory of this test alone, open to everybody, removed with all in it when dropped.
pub(crate) struct TempDir(pub(crate) PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> TempDir {
        let path = std::env::temp_dir().join(format!("baretrace-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("make a directory");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
        TempDir(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Left over if somebody else removed it: nothing to do.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// This binary where every user can read it, wherever the build directory is.
pub(crate) struct Public {
    exe: PathBuf,
    _dir: TempDir,
}

impl Public {
    pub(crate) fn new(name: &str) -> Public {
        let dir = TempDir::new(name);
        let exe = dir.0.join("baretrace");
        std::fs::copy(EXE, &exe).expect("copy the binary");
        std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o755)).expect("chmod");
        Public { exe, _dir: dir }
    }

    pub(crate) fn path(&self) -> &str {
        self.exe.to_str().expect("a plain path")
    }

    /// The binary as user `nobody` with no capabilities but `caps` (`,+bpf,+perfmon`).
    pub(crate) fn with(&self, caps: &str, args: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        for set in ["bounding-set", "inh-caps", "ambient-caps"] {
            command.arg(format!("--{set}=-all{caps}"));
        }
        command.arg(&self.exe).args(args);
        command
    }

    /// Whether this process may start others with fewer rights, and has any itself.
    pub(crate) fn can(&self) -> bool {
        let out = self.with(",+bpf,+perfmon", &["--version"]).output();
        let can = can_trace() && out.is_ok_and(|out| out.status.success());
        if !can {
            println!("skipped: setpriv cannot give or drop rights here");
        }
        can
    }
}
