//! `-p PID`: processes that are not there, and those that see other files than we do.

use crate::support::{Case, EXE, Target, TempDir, can_trace, run, text};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

#[test]
fn a_process_that_is_not_there() {
    Case {
        args: &["-l", "-p", "4194305"],
        code: 2,
        stderr: &["read mappings of process 4194305", "ENOENT", "help: "],
        ..Case::default()
    }
    .check();
    if !can_trace() {
        return;
    }
    for script in ["usdt:EXE:net:inbound_message { exit() }", "BEGIN { }"] {
        Case {
            args: &["-p", "4194305", "-e", script],
            code: 2,
            stderr: &[
                "error: watch process 4194305: pidfd_open: No such process (ESRCH)",
                "help: ",
            ],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn the_probes_of_a_process() {
    let target = Target::start(&["--pause-us", "1000"]);
    let exe = Path::new(EXE);
    // Between fork and execve the process is still this test.
    let end = Instant::now() + Duration::from_secs(5);
    while std::fs::read_link(format!("/proc/{}/exe", target.pid()))
        .ok()
        .as_deref()
        != Some(exe)
    {
        assert!(Instant::now() < end, "the target does not start");
        std::thread::sleep(Duration::from_millis(1));
    }
    Case {
        args: &["-l", "-p", &target.pid()],
        stdout: &["usdt:EXE:net:inbound_message\n"
            .replace("EXE", EXE)
            .as_str()],
        ..Case::default()
    }
    .check();
    Case {
        args: &["-lv", "-p", &target.pid(), "usdt:*:net:inbound_message"],
        stdout: &["    site 0x", "semaphore 0x", "arg0 int64", "arg4 uint64"],
        ..Case::default()
    }
    .check();
}

/// The target runs in a mount namespace of its own, from a file that exists only there, as in a container.
#[test]
fn a_binary_that_only_the_process_sees() {
    if !can_trace() {
        return;
    }
    let dir = TempDir::new("mounted");
    let inside = dir.0.join("inside");
    let script = format!(
        "mount -t tmpfs tmpfs {0} && cp {EXE} {1} && echo ready && exec {1} demo-target --pause-us 1000",
        dir.0.display(),
        inside.display()
    );
    let child = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = child else {
        println!("skipped: there is no unshare(1)");
        return;
    };
    let mut target = Target(child);
    let link = format!("/proc/{}/exe", target.pid());
    let end = Instant::now() + Duration::from_secs(10);
    while std::fs::read_link(&link).ok().as_deref() != Some(&inside) {
        if target.0.try_wait().expect("wait").is_some() {
            println!("skipped: no mount namespace can be made here");
            return;
        }
        assert!(Instant::now() < end, "the target does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!inside.exists(), "it is seen from here, too");
    for attach in ["multi", "perf"] {
        let body = format!(
            "usdt:{}:net:inbound_message {{ printf(\"%s of %d\\n\", str(arg3), pid); exit() }}",
            inside.display()
        );
        let out = run(
            Command::new(EXE).args([
                "-q",
                "--attach",
                attach,
                "-p",
                &target.pid(),
                "-e",
                body.as_str(),
            ]),
            b"",
        );
        let stdout = text(&out.stdout);
        let want = format!(" of {}\n", target.pid());
        assert!(stdout.contains(&want), "{stdout}\n{}", text(&out.stderr));
    }
}
