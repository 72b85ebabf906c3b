//! Called as `bpftrace`: examples of its documents with what they print.

use crate::support::{TempDir, as_bpftrace, can_trace, text};

/// Runs `args` as bpftrace: code, stdout, stderr.
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let out = as_bpftrace(args);
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

/// The output of a script that ends well and says nothing on stderr but the notice of attachment.
fn prints(args: &[&str]) -> String {
    let (code, stdout, stderr) = run(args);
    assert_eq!(code, Some(0), "{args:?}: {stderr}");
    assert!(
        stderr.starts_with("Attached ") && stderr.lines().count() == 1,
        "{args:?}: {stderr}"
    );
    stdout
}

#[test]
fn begin_alone_ends_by_itself() {
    if !can_trace() {
        return;
    }
    for (script, want) in [
        (
            "begin { print((1, \"a\")); } end { print(2) }",
            "(1, a)\n2\n\n\n",
        ),
        ("BEGIN { @x[1, \"a\"] = 3; }", "\n\n@x[1, a]: 3\n"),
        (
            "BEGIN,END { printf(\"%s %s\\n\", probe, probetype); }",
            "begin special\nend special\n\n\n",
        ),
        (
            "config = { print_maps_on_exit = 0 } begin { @a = 1 }",
            "\n\n",
        ),
        (
            "config = { unstable_typeinfo = enable } begin { $a = 1; $t = typeinfo($a); print($t); if comptime (typeinfo($a).full_type == \"int8\") { print(\"narrow\") } else { print(@none) } }",
            "{ .btf_id = 0, .base_type = int, .full_type = int8 }\nnarrow\n\n\n",
        ),
        (
            "macro greet() { printf(\"hi\") } macro twice(x) { x; x; } begin { twice({ greet() }) }",
            "hihi\n\n",
        ),
    ] {
        assert_eq!(prints(&["-e", script]), want, "{script}");
    }
}

#[test]
fn values_of_every_kind() {
    if !can_trace() {
        return;
    }
    for (script, want) in [
        (
            "printf(\"%s|%5s|%-3s|%gr|%\", (1, \"a\"), 3, true, 0xcc0)",
            "(1, a)|    3|true|GFP_KERNEL|%",
        ),
        (
            "print(pton(\"1.2.3.4\")); print((1, ntop(5))); print(strerror(9999)); print(signal_name(9))",
            "[1,2,3,4]\n(1, 5.0.0.0)\nUnknown error\nKilled\n",
        ),
        (
            "$s = kstack; @k = kstack(2); print(len($s) == len(kstack)); print(len(@k) == 2); clear(@k)",
            "true\ntrue\n",
        ),
        ("print(ksym(1)); print(numaid < 1024)", "0x1\ntrue\n"),
        (
            "@s = stats(3); print(@s); clear(@s)",
            "@s: { .count = 1, .average = 3, .total = 3 }\n",
        ),
        (
            "@h = hist(4000, 1); print(@h); clear(@h); @l = lhist(1500, 0, 4096, 1024); print(@l); clear(@l)",
            &format!(
                "@h:\n[3K, 4K)               1 |{0}|\n\n@l:\n[1K, 2K)               1 |{0}|\n\n",
                "@".repeat(52)
            ),
        ),
    ] {
        let got = prints(&["-e", &format!("begin {{ {script} }}")]);
        assert_eq!(
            got.trim_end_matches('\n'),
            want.trim_end_matches('\n'),
            "{script}"
        );
    }
    let stack = prints(&[
        "-e",
        "begin { @[kstack(1), 1] = 1; printf(\"%s\", kstack(perf, 1)) }",
    ]);
    assert!(
        stack.starts_with("\n\tffff") && stack.contains("\n@[\n        bpf_prog_"),
        "{stack}"
    );
}

#[test]
fn json_lines_of_every_kind() {
    if !can_trace() {
        return;
    }
    for (script, want) in [
        (
            "@[(1, 2), (a=1, b=2)] = 4",
            r#"{"type": "map", "data": {"@": {"(1,2),{.a=1,.b=2}": 4}}}"#,
        ),
        (
            "print(buf(\"ab\", 2))",
            r#"{"type": "value", "data": [97,98]}"#,
        ),
        (
            "print((uint64)-1)",
            r#"{"type": "value", "data": "18446744073709551615"}"#,
        ),
        (
            "@ = lhist(3, 0, 4, 2); @ = lhist(9, 0, 4, 2)",
            r#"{"type": "hist", "data": {"@": [{"min": 2, "max": 3, "count": 1},{"min": 4, "count": 1}]}}"#,
        ),
    ] {
        let got = prints_json(script);
        assert_eq!(got.trim_end(), want, "{script}");
        let value: Result<serde_json::Value, _> = serde_json::from_str(&got);
        assert!(value.is_ok(), "{got}");
    }
}

/// The one line that a script in `begin` prints in JSON.
fn prints_json(script: &str) -> String {
    let (code, stdout, stderr) = run(&["-q", "-f", "json", "-e", &format!("begin {{ {script} }}")]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{script}");
    stdout
}

#[test]
fn errors_have_the_form_of_bpftrace() {
    let (code, stdout, stderr) = run(&["-e", "begin { printf(\"%d\", \"a\") }"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(
        stderr,
        "stdin:1:9-26: ERROR: unsupported format specifier for type 'string[2]': d\n\
         begin { printf(\"%d\", \"a\") }\n        ~~~~~~~~~~~~~~~~~\n"
    );
    let (code, _, stderr) = run(&["/nowhere.bt"]);
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("ERROR: "), "{stderr}");
}

#[test]
fn commands_and_files() {
    if !can_trace() {
        return;
    }
    let script = "begin { system(\"echo %d; exit 3\", 1); cat(\"/nowhere\"); printf(\"x\\n\") }";
    let (code, stdout, stderr) = run(&["-q", "--unsafe", "-e", script]);
    assert_eq!((code, stdout.as_str()), (Some(0), "1\n\nx\n\n\n"));
    assert_eq!(
        stderr,
        "ERROR: command exited with code 3\nERROR: failed to open file '/nowhere' (No such file or directory)\n"
    );
}

#[test]
fn a_full_disk_is_an_error() {
    if !can_trace() {
        return;
    }
    let (code, _, stderr) = run(&["-q", "-o", "/dev/full", "-e", "begin { print(1) }"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("ERROR: writing output to /dev/full: No space left"),
        "{stderr}"
    );
}

#[test]
fn a_dry_run_runs_nothing() {
    if !can_trace() {
        return;
    }
    let script = "begin { print(1); @a = 1; errorf(\"x\") } end { print(2) }";
    assert_eq!(
        run(&["-q", "--dry-run", "-e", script]),
        (Some(0), String::new(), String::new())
    );
}

#[test]
fn parameters() {
    if !can_trace() {
        return;
    }
    let script = "begin { print(($1, $2, getopt(\"aa\", 1), getopt(\"bb\"))); }";
    assert_eq!(
        prints(&["-e", script, "p1", "--", "--aa=20", "--bb", "p2"]),
        "(p1, p2, 20, true)\n\n\n"
    );
    let script = "begin { print(getopt(\"aa\", 10, \"how many\")); print(getopt(\"cc\")); }";
    let (code, _, stderr) = run(&["-e", script, "--", "--help"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        stderr,
        "HINT: expected program options:\n--cc\n--aa: how many\n"
    );
}

#[test]
fn messages_say_where() {
    if !can_trace() {
        return;
    }
    let args = "(\"Something bad with args: %d, %s\", 10, \"arg2\"); }";
    let (code, _, stderr) = run(&["-q", "-e", &format!("BEGIN {{ errorf{args}")]);
    assert_eq!(code, Some(0));
    assert_eq!(
        stderr,
        "stdin:1:9-62: ERROR: Something bad with args: 10, arg2\n"
    );
    let (_, _, stderr) = run(&["-q", "-e", &format!("BEGIN {{ warnf{args}")]);
    assert_eq!(
        stderr,
        "stdin:1:9-61: WARNING: Something bad with args: 10, arg2\n"
    );
    let (_, _, stderr) = run(&[
        "-q",
        "--no-warnings",
        "-e",
        &format!("BEGIN {{ warnf{args}"),
    ]);
    assert_eq!(stderr, "");
    let (code, _, stderr) = run(&["-q", "-e", "BEGIN { assert(pid == 0, \"not zero\") }"]);
    assert_eq!(
        (code, stderr.as_str()),
        (Some(1), "stdin:1:9-37: ERROR: assert failed: not zero\n")
    );
}

#[test]
fn tests_and_benchmarks() {
    let script = "test:good { print(\"hidden\"); } test:bad { print(\"shown\"); errorf(\"x\"); } \
                  test:two { $x = (uint8)2; return $x; } \
                  bench:some { @a = count(); } begin { printf(\"\"); }";
    if !can_trace() {
        return;
    }
    let (code, stdout, _) = run(&["--test", "-e", script]);
    assert_eq!(code, Some(1), "{stdout}");
    let plain = stdout
        .replace("\x1b[31m", "")
        .replace("\x1b[32m", "")
        .replace("\x1b[0m", "");
    assert!(
        plain.starts_with("[==========] Running 3 tests.\n[ RUN      ] good\n[       OK ] good ("),
        "{plain}"
    );
    assert!(
        plain.contains("[ RUN      ] bad\nshown\nstdin:1:59-70: ERROR: x\n[  FAILED  ] bad ("),
        "{plain}"
    );
    assert!(
        plain.contains("[  FAILED  ] 2 tests, listed below:\n[  FAILED  ] bad\n[  FAILED  ] two\n"),
        "{plain}"
    );
    assert!(!plain.contains("hidden"), "{plain}");
    let (_, stdout, _) = run(&["--test", "-f", "json", "-e", script]);
    let second: serde_json::Value = serde_json::from_str(
        stdout
            .lines()
            .find(|line| line.contains("\"bad\""))
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        (
            &second["data"]["bad"]["passed"],
            &second["data"]["bad"]["output"]
        ),
        (&false.into(), &"shown\nstdin:1:59-70: ERROR: x\n".into())
    );
    let (code, stdout, stderr) = run(&["--bench", "-e", script]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let mut lines = stdout.lines().filter(|line| !line.is_empty());
    assert_eq!(
        lines.next(),
        Some("Benchmark                                Time(ns)       Iterations")
    );
    assert!(
        lines
            .nth(1)
            .is_some_and(|line| line.starts_with("some      ")),
        "{stdout}"
    );
    assert!(!stdout.contains("@a"), "{stdout}");
    let (code, stdout, _) = run(&["-e", script]);
    assert_eq!((code, stdout.as_str()), (Some(0), "\n\n"));
    let (code, _, stderr) = run(&["-e", "test:a { }"]);
    assert_eq!(code, Some(255));
    assert_eq!(
        stderr,
        "ERROR: No probes attached; use --test to run test probes.\n"
    );
}

#[test]
fn imports() {
    if !can_trace() {
        return;
    }
    let dir = TempDir::new("imports");
    let write =
        |name: &str, content: &str| std::fs::write(dir.0.join(name), content).expect("write");
    write(
        "lib.bt",
        "import \"deep.bt\"; macro greet() { print(\"hello\") } end { print(\"bye\") }",
    );
    write("deep.bt", "macro deep() { 7 }");
    write(
        "s.bt",
        "import \"lib.bt\"; import \"lib.bt\"; begin { greet(); print(deep()); }",
    );
    write("bad.bt", "import \"nothing.bt\"; begin { }");
    let path = |name: &str| dir.0.join(name).to_string_lossy().into_owned();
    assert_eq!(prints(&[&path("s.bt")]), "hello\n7\nbye\n\n\n");
    let (code, _, stderr) = run(&[&path("bad.bt")]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("nothing.bt`: No such file or directory (ENOENT)"),
        "{stderr}"
    );
}

#[test]
fn names_of_places() {
    if !can_trace() {
        return;
    }
    // The child alone: other processes on this machine use the same library.
    let mut child = std::process::Command::new("/bin/sleep")
        .arg("1")
        .spawn()
        .expect("start sleep");
    let pid = child.id().to_string();
    let script = "uprobe:libc:exit { @[probe] = count(); }";
    let (code, stdout, stderr) = run(&["-p", &pid, "-e", script]);
    child.wait().expect("wait for sleep");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.contains("@[uprobe:/")
            && stdout.contains("libc.so.6:exit]: 1")
            && !stdout.contains("/proc/"),
        "{stdout}"
    );
}

#[test]
fn a_filter_that_matches_nothing() {
    if !can_trace() {
        return;
    }
    let (code, stdout, stderr) = run(&["--probe-filter", "nothing", "-e", "i:s:1 { }"]);
    let nothing = "No probes to attach\n";
    assert_eq!((code, stdout.as_str()), (Some(1), nothing), "{stderr}");
    let script = "begin { print(1) } i:s:1 { }";
    assert_eq!(
        prints(&["--probe-filter", "nothing", "-e", script]),
        "1\n\n\n"
    );
}

#[test]
fn json_keeps_every_digit() {
    if !can_trace() {
        return;
    }
    let (_, stdout, _) = run(&[
        "-f",
        "json",
        "-e",
        "begin { print((uint64)-1); print((int64)-9223372036854775807); }",
    ]);
    let data: Vec<serde_json::Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|value: &serde_json::Value| value["type"] == "value")
        .map(|value| value["data"].clone())
        .collect();
    assert_eq!(
        data,
        [
            serde_json::json!(u64::MAX.to_string()),
            serde_json::json!(-9223372036854775807i64)
        ]
    );
}

#[test]
fn errors_have_its_form() {
    let (code, _, stderr) = run(&["-e", "begin {\n\t$a = 1; print($b);\n}"]);
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("stdin:2:16-18: ERROR: "), "{stderr}");
    assert!(
        stderr.contains("\n    $a = 1; print($b);\n                  ~~\n"),
        "{stderr}"
    );
}

#[test]
fn wrong_command_lines() {
    for (args, code, stdout, stderr) in [
        (
            &["--badopt"][..],
            1,
            "",
            "bpftrace: unrecognized option '--badopt'\nUSAGE:\n",
        ),
        (&["-Z"], 1, "", "bpftrace: invalid option -- 'Z'\nUSAGE:\n"),
        (
            &["-e", "begin {}", "-c", "true", "-p", "1"],
            1,
            "",
            "ERROR: USAGE: Cannot use both -c and -p.\n",
        ),
        (
            &["-p", "99999999", "-e", "begin {}"],
            1,
            "",
            "ERROR: Pid out of range: 99999999\n",
        ),
        (
            &["-p", "abc", "-e", "begin {}"],
            1,
            "",
            "ERROR: Failed to parse pid: invalid integer: abc\n",
        ),
        (
            &["-f", "xml", "-e", "begin {}"],
            1,
            "",
            "ERROR: Invalid output format \"xml\"\nValid formats: 'text', 'json'\n",
        ),
        (
            &["-B", "foo", "-e", "begin {}"],
            1,
            "",
            "ERROR: USAGE: -B must be either 'line', 'full', or 'none'.\n",
        ),
        (
            &["-d", "foo", "-e", "begin {}"],
            1,
            "",
            "ERROR: USAGE: invalid option for -d: foo\n",
        ),
        (
            &["nosuch.bt"],
            1,
            "",
            "ERROR: failed to open file 'nosuch.bt': No such file or directory\n",
        ),
        (
            &["-e", ""],
            1,
            "",
            "ERROR: USAGE: filename or -e 'program' required.\n",
        ),
        (&[], 1, "", "USAGE:\n"),
        (
            &["-e", "begin {}", "--", "--x=3"],
            1,
            "",
            "ERROR: unexpected program command line options: --x\nHINT: no custom program options defined.\n",
        ),
        (
            &["-e", "begin { print(getopt(\"x\", 1)) }", "--", "--x"],
            1,
            "",
            "ERROR: program command line option --x expects an integer (value: true)\n",
        ),
        (
            &["-e", "uretprobe:/bin/true:main+4 {}"],
            1,
            "",
            "stdin:1:1-27: ERROR: Offset not allowed\n",
        ),
        (
            &["-e", "uprobe:/bin/true@x.c {}"],
            1,
            "",
            "stdin:1:1-21: ERROR: Invalid uprobe arguments, expected format: uprobe:TARGET@FILE:LINE[:COL]\n",
        ),
        (
            &["-e", "software:*:1 {}"],
            1,
            "",
            "stdin:1:1-13: ERROR: wildcards are not allowed for software probe type\n",
        ),
        (
            &["--dry-run", "--test=x", "-e", "begin {}"],
            1,
            "",
            "bpftrace: option '--test' doesn't allow an argument\nUSAGE:\n",
        ),
        (
            &["--dry", "--unsaf", "-e", "x {}", "-e", "begin {}"],
            0,
            "",
            "",
        ),
        (
            &["--traceable-functions", "/nope", "-e", "begin {}"],
            1,
            "",
            "ERROR: Failed to open kernel function info: Could not read functions from /nope. (No such file or directory)\n",
        ),
        (&["-e", " "], 1, "No probes to attach\n", ""),
        (&["-l", "uprobe:/no/such:*"], 0, "", ""),
        (&["-l", "nonexistent:*"], 0, "", ""),
        (
            &["-l", "-e", "begin { } interval:s:1 { } profile:hz:9 { }"],
            0,
            "interval:s:\nprofile:hz:\n",
            "",
        ),
        (&["-V"], 0, "bpftrace v0.27.1 ", ""),
    ] {
        let (got, out, err) = run(args);
        assert_eq!(got, Some(code), "{args:?}: {err}");
        assert!(
            out.starts_with(stdout) && out.is_empty() == stdout.is_empty(),
            "{args:?}: {out}"
        );
        assert!(
            err.starts_with(stderr) && err.is_empty() == stderr.is_empty(),
            "{args:?}: {err}"
        );
    }
}
