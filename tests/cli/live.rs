//! Scripts on the built-in target: what is printed, what ends a run, what is left behind.

use crate::support::{
    Case, EXE, Target, TempDir, TempFile, as_bpftrace, can_trace, finish, run, signal, text,
};
use nix::sys::signal::Signal;
use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const P2P: &str = r#"usdt:EXE:net:inbound_message {
  $peer_id = (int64) arg0;
  $peer_addr = str(arg1);
  $peer_type = str(arg2);
  $msg_type = str(arg3);
  $msg_len = arg4;
  printf("inbound '%s' msg from peer %d (%s, %s) with %d bytes\n", $msg_type, $peer_id, $peer_type, $peer_addr, $msg_len);
}"#;

fn script(text: &str) -> String {
    text.replace("EXE", EXE)
}

fn start(args: &[&str]) -> Child {
    Command::new(EXE)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start baretrace")
}

/// Reads lines until one begins with `start`.
fn wait_line(child: &mut Child, start: &str) -> BufReader<std::process::ChildStdout> {
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(
            lines.read_line(&mut line).expect("read stdout"),
            0,
            "it ended before `{start}`"
        );
        if line.starts_with(start) {
            return lines;
        }
    }
}

#[test]
fn begin_end_maps_and_exit_codes() {
    if !can_trace() {
        return;
    }
    for case in [
        Case {
            args: &["-q", "-e", "BEGIN { printf(\"hello %d\\n\", 42); exit() }"],
            stdout: &["hello 42\n"],
            ..Case::default()
        },
        Case {
            args: &[
                "-q",
                "-e",
                "BEGIN { @x = 3; @y[\"a\"] = count(); exit() } END { printf(\"bye\\n\") }",
            ],
            stdout: &["bye\n", "@x: 3\n", "@y[a]: 1\n"],
            ..Case::default()
        },
        Case {
            args: &["-q", "-e", "BEGIN { exit(7) }"],
            code: 7,
            stdout: &["\n"],
            ..Case::default()
        },
        Case {
            args: &[
                "-q",
                "-e",
                "interval:ms:10 { @n++; if (@n == 3) { exit() } }",
            ],
            stdout: &["@n: 3\n"],
            ..Case::default()
        },
        Case {
            args: &[
                "-q",
                "-f",
                "json",
                "-e",
                "BEGIN { printf(\"x\\n\"); exit() }",
            ],
            stdout: &["{\"type\": \"printf\", \"data\": \"x\\n\"}"],
            ..Case::default()
        },
    ] {
        case.check();
    }
}

#[test]
fn a_command_is_traced_from_its_first_event() {
    if !can_trace() {
        return;
    }
    for attach in ["multi", "perf"] {
        let out = run(
            Command::new(EXE).args([
                "-q",
                "--attach",
                attach,
                "-e",
                &script(P2P),
                "-c",
                &format!("{EXE} demo-target --messages 50 --pause-us 100"),
            ]),
            b"",
        );
        let stdout = text(&out.stdout);
        let lines: Vec<&str> = stdout.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 50, "{attach}\n{stdout}\n{}", text(&out.stderr));
        for (number, line) in lines.iter().enumerate() {
            let want = format!(
                "inbound 'ping' msg from peer 0 (outbound-full-relay, 192.0.2.17:8333) with {number} bytes"
            );
            assert_eq!(*line, want);
        }
        assert!(out.status.success());
    }
}

/// Whatever the reader cannot keep up with is counted: nothing is lost without a word.
#[test]
fn every_event_is_printed_or_counted() {
    if !can_trace() {
        return;
    }
    const EVENTS: usize = 100_000;
    let out = run(
        Command::new(EXE).args([
            "-q",
            "-e",
            &script(P2P),
            "-c",
            &format!("{EXE} demo-target --messages {EVENTS} --pause-us 0"),
        ]),
        b"",
    );
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    let printed = stdout
        .lines()
        .filter(|line| line.starts_with("inbound 'ping'"))
        .count();
    let lost = lost_in(&stderr);
    assert_eq!(
        printed + lost,
        EVENTS,
        "{printed} printed, {lost} said to be lost\n{stderr}"
    );
    assert!(
        printed > EVENTS / 10,
        "{printed} printed, {lost} said to be lost"
    );
}

/// The number of events that are said to be lost.
fn lost_in(stderr: &str) -> usize {
    let count = |line: &str| {
        line.split_once(" events lost at usdt:")?
            .0
            .parse::<usize>()
            .ok()
    };
    stderr.lines().filter_map(count).sum()
}

/// What has a place of its own may be larger than a per-CPU buffer: map keys, values, strings that are compared.
#[test]
fn long_strings_have_a_place_in_maps() {
    if !can_trace() {
        return;
    }
    let body = r#"config = { max_strlen = 100000; max_map_keys = 16 }
usdt:EXE:net:inbound_message {
  $s = str(arg1);
  @last = $s;
  @by[str(arg2), arg0] = count();
  if (str(arg3) == "ping") { printf("%s %d\n", $s, strlen($s)); }
}"#;
    let target = format!("{EXE} demo-target --threads 2 --messages 50 --pause-us 100");
    let out = run(
        Command::new(EXE).args(["-q", "-e", &script(body), "-c", &target]),
        b"",
    );
    let stdout = text(&out.stdout);
    let (lines, lost) = (
        stdout.matches("192.0.2.17:8333 15\n").count(),
        lost_in(&text(&out.stderr)),
    );
    assert_eq!(lines + lost, 100, "{stdout}\n{}", text(&out.stderr));
    assert!(stdout.contains("@last: 192.0.2.17:8333\n"), "{stdout}");
    for thread in 0..2 {
        let want = format!("@by[outbound-full-relay, {thread}]: ");
        assert!(stdout.contains(&want), "{stdout}");
    }
}

/// Two threads fire at once: what one hit prints in 33 pieces is one line, and lines are in order of the kernel's time.
#[test]
fn the_output_of_a_hit_stays_together() {
    if !can_trace() {
        return;
    }
    let body = r#"usdt:EXE:net:inbound_message {
  printf("%llu %d ", nsecs, arg0);
  unroll(32) { printf("%d,", arg0); }
  printf("%d|%d\n", arg4, arg4);
}"#;
    let target = format!("{EXE} demo-target --threads 2 --messages 2000 --pause-us 0");
    // A file of its own: the target prints too, in between.
    let file = std::env::temp_dir().join(format!("baretrace-together-{}", std::process::id()));
    let path = file.to_str().expect("UTF-8");
    let out = run(
        Command::new(EXE).args(["-q", "-o", path, "-e", &script(body), "-c", &target]),
        b"",
    );
    let stdout = std::fs::read_to_string(&file).expect("the output");
    std::fs::remove_file(&file).expect("remove the output");
    let stderr = text(&out.stderr);
    let mut next = [0; 2];
    let mut last = 0u64;
    let mut late = 0;
    for line in stdout.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let [time, thread, rest] = words[..] else {
            panic!("torn: {line}");
        };
        let count = next.get_mut(usize::from(thread == "1")).expect("a thread");
        let want = format!("{}{count}|{count}", format!("{thread},").repeat(32));
        assert_eq!(rest, want);
        *count += 1;
        let time: u64 = time.parse().expect("a time");
        // The time is taken where the hit begins, the order is that of the ends.
        late += usize::from(time + 1_000_000 < last);
        last = last.max(time);
    }
    assert_eq!((next, late), ([2000, 2000], 0), "{stderr}");
}

/// Rings of a page: what fits is printed whole, the rest is counted, in text and in JSON, and fatal where asked for.
#[test]
fn losses_are_counted_and_can_be_fatal() {
    if !can_trace() {
        return;
    }
    const EVENTS: usize = 20_000;
    let body = script(
        "config = { perf_rb_pages = 1 } usdt:EXE:net:inbound_message { printf(\"<%s %d %s>\\n\", str(arg1), arg4, str(arg2)); }",
    );
    let target = format!("{EXE} demo-target --messages {EVENTS} --pause-us 0");
    let out = run(
        Command::new(EXE).args(["-q", "-e", &body, "-c", &target]),
        b"",
    );
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    let lines: Vec<&str> = stdout.lines().filter(|line| !line.is_empty()).collect();
    for line in &lines {
        assert!(line.starts_with("<192.0.2.17:8333 "), "{line}");
        assert!(line.ends_with(" outbound-full-relay>"), "{line}");
    }
    let lost = lost_in(&stderr);
    assert_eq!(lines.len() + lost, EVENTS, "{stderr}");
    assert!(lost > 0 && out.status.success());
    let out = run(
        Command::new(EXE).args(["-q", "-f", "json", "-e", &body, "-c", &target]),
        b"",
    );
    let stdout = text(&out.stdout);
    let said = stdout
        .lines()
        .find(|line| line.contains("\"lost_events\""))
        .expect("losses in JSON");
    let printed = stdout.matches("\"printf\"").count();
    let want = format!(
        "\"data\": {{\"events\": {}, \"probe\": \"usdt:",
        EVENTS - printed
    );
    assert!(said.contains(&want), "{said}");
    let out = run(
        Command::new(EXE).args(["-q", "--no-loss", "-e", &body, "-c", &target]),
        b"",
    );
    let (lost, status) = (lost_in(&text(&out.stderr)), out.status.code());
    assert_eq!(lost > 0, status != Some(0), "{lost} lost, {status:?}");
}

/// Nobody reads the output for a while: no line is torn, and what found no room meanwhile is counted.
#[test]
fn a_blocked_pipe_loses_whole_events() {
    if !can_trace() {
        return;
    }
    const EVENTS: usize = 50_000;
    let body = format!("config = {{ perf_rb_pages = 16 }} {P2P}");
    let target = format!("{EXE} demo-target --messages {EVENTS} --pause-us 0");
    let tracer = start(&["-q", "-e", &script(&body), "-c", &target]);
    std::thread::sleep(Duration::from_millis(1500));
    let out = finish(tracer);
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    let lines: Vec<&str> = stdout.lines().filter(|line| !line.is_empty()).collect();
    for line in &lines {
        assert!(
            line.starts_with("inbound 'ping' msg from peer 0 ("),
            "{line}"
        );
        assert!(line.ends_with(" bytes"), "{line}");
    }
    assert_eq!(lines.len() + lost_in(&stderr), EVENTS, "{stderr}");
}

#[test]
fn a_process_by_pid_until_it_ends() {
    if !can_trace() {
        return;
    }
    let mut target = Target::start(&["--messages", "1000000", "--pause-us", "500"]);
    let other = Target::start(&["--messages", "1000000", "--pause-us", "500"]);
    let check = format!(
        "{P2P} usdt:EXE:net:inbound_message /pid != {}/ {{ printf(\"wrong pid %d\\n\", pid); }}",
        target.pid()
    );
    let mut tracer = start(&["-q", "-p", &target.pid(), "-e", &script(&check)]);
    let lines = wait_line(&mut tracer, "inbound");
    target.0.kill().expect("kill the target");
    target.0.wait().expect("wait for the target");
    let rest: Vec<String> = lines.lines().map_while(Result::ok).collect();
    assert!(
        rest.iter().all(|line| !line.contains("wrong pid")),
        "{rest:?}"
    );
    let out = finish(tracer);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    drop(other);
}

#[test]
fn signals_end_a_run_with_its_maps_printed() {
    if !can_trace() {
        return;
    }
    let _target = Target::start(&["--messages", "1000000", "--pause-us", "500"]);
    let body = script("usdt:EXE:net:inbound_message { @n = count(); printf(\"hit\\n\"); }");
    for number in [Signal::SIGINT, Signal::SIGTERM] {
        let mut tracer = start(&["-q", "-e", &body]);
        let lines = wait_line(&mut tracer, "hit");
        signal(&tracer, number);
        let rest: Vec<String> = lines.lines().map_while(Result::ok).collect();
        assert!(
            rest.iter().any(|line| line.starts_with("@n: ")),
            "{number}: {rest:?}"
        );
        let out = finish(tracer);
        assert_eq!(
            out.status.code(),
            Some(0),
            "{number}: {}",
            text(&out.stderr)
        );
    }
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    if !can_trace() {
        return;
    }
    let _target = Target::start(&["--messages", "1000000", "--pause-us", "500"]);
    let mut tracer = start(&["-q", "-e", &script(P2P)]);
    drop(wait_line(&mut tracer, "inbound"));
    let out = finish(tracer);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(text(&out.stderr), "");
}

/// The target prints a line for each event that fires while its semaphore is raised.
#[test]
fn kill_minus_nine_leaves_nothing_behind() {
    if !can_trace() {
        return;
    }
    for attach in ["multi", "perf"] {
        let mut target = Target::start(&["--messages", "1000000", "--pause-us", "1000", "--print"]);
        let mut tracer = start(&[
            "-q",
            "--attach",
            attach,
            "-p",
            &target.pid(),
            "-e",
            &script(P2P),
        ]);
        let lines = wait_line(&mut tracer, "inbound");
        tracer.kill().expect("kill the tracer");
        tracer.wait().expect("wait for the tracer");
        drop(lines);
        // Bytes and semaphore are restored within a few tens of milliseconds.
        std::thread::sleep(Duration::from_millis(500));
        let fired = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = std::sync::Arc::clone(&fired);
        let out = BufReader::new(target.0.stdout.take().expect("a pipe"));
        let reader = std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if !line.is_empty() {
                    seen.lock().expect("lock").push(Instant::now());
                }
            }
        });
        let from = Instant::now() + Duration::from_millis(200);
        std::thread::sleep(Duration::from_millis(600));
        let late = fired
            .lock()
            .expect("lock")
            .iter()
            .filter(|at| **at > from)
            .count();
        assert_eq!(late, 0, "{attach}: the semaphore is still raised");
        assert!(
            target.0.try_wait().expect("wait").is_none(),
            "{attach}: the target is harmed"
        );
        target.0.kill().expect("kill the target");
        reader.join().expect("reader");
    }
}

#[test]
fn unreadable_strings_are_empty_and_the_script_goes_on() {
    if !can_trace() {
        return;
    }
    let text_of = "usdt:EXE:net:inbound_message { printf(\"[%s][%s][%s]\\n\", str((int64)0), str(arg0 + 1), str(arg3)); }";
    let out = run(
        Command::new(EXE).args([
            "-q",
            "-e",
            &script(text_of),
            "-c",
            &format!("{EXE} demo-target --messages 5 --pause-us 0"),
        ]),
        b"",
    );
    let stdout = text(&out.stdout);
    assert_eq!(
        stdout.matches("[][][ping]\n").count(),
        5,
        "{stdout}\n{}",
        text(&out.stderr)
    );
}

#[test]
fn what_cannot_be_traced_is_said() {
    if !can_trace() {
        return;
    }
    for case in [
        Case {
            args: &["-c", "/no/such/program", "-e", "BEGIN { exit() }"],
            code: 2,
            stderr: &["/no/such/program", "ENOENT"],
            ..Case::default()
        },
        Case {
            args: &[
                "-p",
                "4194305",
                "-e",
                "usdt:EXE:net:inbound_message { exit() }",
            ],
            code: 2,
            stderr: &["error: "],
            ..Case::default()
        },
        Case {
            args: &["-q", "-o", "/no/such/dir/file", "-e", "BEGIN { exit() }"],
            code: 2,
            stderr: &["create `/no/such/dir/file`", "ENOENT"],
            ..Case::default()
        },
    ] {
        case.check();
    }
}

/// bpftrace's exit codes and sentences: 255 for what the kernel refuses, 2 for the environment, 1 for the rest.
#[test]
fn failures_as_bpftrace_has_them() {
    if !can_trace() {
        return;
    }
    let unattached = "ERROR: Unable to attach probe: watchpoint:1:8:w. If this is expected, set the 'missing_probes' config variable to 'warn'.";
    let rows: &[(&[&str], i32, &str)] = &[
        (&["-e", "watchpoint:0x1:8:w { }"], 255, unattached),
        // Whatever `begin` does, and nothing of it is printed.
        (
            &[
                "-q",
                "-e",
                "watchpoint:0x1:8:w { } begin { printf(\"no\\n\"); exit() }",
            ],
            255,
            unattached,
        ),
        (
            &[
                "-e",
                "config = { missing_probes = ignore } watchpoint:0x1:8:w { }",
            ],
            255,
            "ERROR: Attachment failed for all probes.",
        ),
        (
            &["--probe-filter", "[", "-e", "begin { }"],
            255,
            "ERROR: Invalid --probe-filter regex '['",
        ),
        (
            &["-c", "/no/such", "-e", "begin { }"],
            1,
            "ERROR: Failed to fork child: Path '/no/such' does not exist or is not executable (No such file or directory)",
        ),
        (
            &["-p", "4194303", "-e", "begin { }"],
            1,
            "ERROR: Failed to attach to pid: Unable to open pidfd (No such process)",
        ),
        (
            &["-o", "/no/such/dir/x", "-e", "begin { }"],
            1,
            "ERROR: Failed to open output file: \"/no/such/dir/x\": No such file or directory",
        ),
        (&["-e"], 1, "bpftrace: option requires an argument -- 'e'"),
    ];
    for (args, code, stderr) in rows {
        let out = as_bpftrace(args);
        assert_eq!(
            out.status.code(),
            Some(*code),
            "{args:?}: {}",
            text(&out.stderr)
        );
        assert!(
            text(&out.stderr).contains(stderr),
            "{args:?}: {}",
            text(&out.stderr)
        );
        assert_eq!(text(&out.stdout), "", "{args:?}");
    }
    let out = as_bpftrace(&["-c", "", "-e", "begin { exit() }"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let out = as_bpftrace(&["/tmp"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(text(&out.stdout), "No probes to attach\n");
}

/// As another user, without capabilities: each missing one is named, and the demo shows itself on the interpreter.
#[test]
fn without_rights() {
    // Where others can read it, wherever the build directory is.
    let dir = TempDir::new("rights");
    let exe = dir.0.join("baretrace");
    std::fs::copy(EXE, &exe).expect("copy the binary");
    std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let dropped = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--bounding-set=-all",
        ]);
        command.arg(&exe).args(args);
        command
    };
    let probe = dropped(&["--version"]).output();
    if !probe.is_ok_and(|out| out.status.success()) {
        println!("skipped: setpriv cannot drop rights here");
        return;
    }
    let out = run(&mut dropped(&["-e", "BEGIN { exit() }"]), b"");
    Case {
        code: 2,
        stderr: &["CAP_BPF", "CAP_PERFMON", "help: "],
        ..Case::default()
    }
    .check_output(&out, "without rights");
    let out = run(&mut dropped(&["demo", "--seconds", "1"]), b"");
    Case {
        stdout: &[
            "CAP_BPF",
            "Logging P2P traffic\n",
            "outbound 'version' msg to peer 0 (outbound-full-relay, 192.0.2.17:8333) with 102 bytes\n",
        ],
        ..Case::default()
    }
    .check_output(&out, "demo without rights");
}

#[test]
fn output_goes_to_a_file() {
    if !can_trace() {
        return;
    }
    let file = TempFile::new("output", b"");
    Case {
        args: &[
            "-q",
            "-o",
            file.name(),
            "-e",
            "BEGIN { printf(\"x\\n\"); exit() }",
        ],
        ..Case::default()
    }
    .check();
    let written = std::fs::read_to_string(file.name()).expect("read the output");
    assert!(written.starts_with("x\n"), "{written}");
}

/// A key that is longer than most goes to another map of the kernel, and prints with the others.
#[test]
fn long_and_short_string_keys_of_the_process() {
    if !can_trace() {
        return;
    }
    let script = script(
        "usdt:EXE:net:outbound_message { @a[str(arg1)] = count(); @b[arg4, str(arg1)] = sum(1); }",
    );
    let target = format!("{EXE} demo-target --odd");
    let out = run(
        Command::new(EXE).args(["-q", "-e", &script, "-c", &target]),
        b"",
    );
    let stdout = String::from_utf8_lossy(&out.stdout).into_owned();
    let long = "x".repeat(300);
    let lines: Vec<&str> = stdout
        .lines()
        .filter(|line| line.starts_with('@'))
        .collect();
    assert_eq!(lines.len(), 4, "{stdout}");
    assert!(
        lines.contains(&"@a[]: 1") && lines.contains(&"@b[4096, ]: 1"),
        "{stdout}"
    );
    let of_long = |line: &&str| line.ends_with(&format!("{long}]: 1"));
    assert_eq!(stdout.lines().filter(of_long).count(), 2, "{stdout}");
}
