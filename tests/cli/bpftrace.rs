//! Called as `bpftrace`: examples of its documents with what they print.

use crate::support::{TempDir, as_bpftrace, can_trace, text};

/// Runs `args` as bpftrace: code, stdout, stderr.
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let out = as_bpftrace(args);
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

/// The output of a script that ends well and says nothing on stderr, without the notice of attachment.
fn prints(args: &[&str]) -> String {
    let (code, stdout, stderr) = run(args);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{args:?}: {stdout}");
    let (notice, rest) = stdout.split_once('\n').expect("a line");
    assert!(notice.starts_with("Attached "), "{args:?}: {stdout}");
    rest.to_string()
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
            "macro greet() { printf(\"hi\") } macro twice(x) { x; x; } begin { twice({ greet() }) }",
            "hihi\n\n",
        ),
    ] {
        assert_eq!(prints(&["-e", script]), want, "{script}");
    }
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
    let (code, stdout, _) = run(&["-e", script, "--", "--help"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        stdout,
        "Named parameters of the script, after `--`:\n  --aa=VALUE  how many [default: 10]\n  --cc\n"
    );
}

#[test]
fn messages_say_where() {
    if !can_trace() {
        return;
    }
    let args = "(\"Something bad with args: %d, %s\", 10, \"arg2\"); }";
    let (code, _, stderr) = run(&["-e", &format!("BEGIN {{ errorf{args}")]);
    assert_eq!(code, Some(0));
    assert_eq!(
        stderr,
        "stdin:1:9-62: ERROR: Something bad with args: 10, arg2\n"
    );
    let (_, _, stderr) = run(&["-e", &format!("BEGIN {{ warnf{args}")]);
    assert_eq!(
        stderr,
        "stdin:1:9-61: WARNING: Something bad with args: 10, arg2\n"
    );
    let (_, _, stderr) = run(&["--no-warnings", "-e", &format!("BEGIN {{ warnf{args}")]);
    assert_eq!(stderr, "");
    let (code, _, stderr) = run(&["-e", "BEGIN { assert(pid == 0, \"not zero\") }"]);
    assert_eq!(
        (code, stderr.as_str()),
        (Some(1), "stdin:1:9-37: ERROR: not zero\n")
    );
}

#[test]
fn tests_and_benchmarks() {
    let script = "test:good { print(\"hidden\"); } test:bad { print(\"shown\"); errorf(\"x\"); } \
                  bench:some { @a = count(); } begin { printf(\"\"); }";
    if !can_trace() {
        return;
    }
    let (code, stdout, _) = run(&["--test", "-e", script]);
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stdout.contains("shown\nFAIL: bad\n"), "{stdout}");
    assert!(
        stdout.contains("PASS: good\n") && !stdout.contains("hidden"),
        "{stdout}"
    );
    let stdout = prints(&["--bench", "-e", script]);
    assert!(
        stdout.contains("\n| BENCHMARK | NANOSECONDS |\n"),
        "{stdout}"
    );
    assert!(
        stdout.contains("\n| some      | ") && !stdout.contains("@a"),
        "{stdout}"
    );
    let (code, stdout, _) = run(&["-e", script]);
    assert_eq!((code, stdout.as_str()), (Some(0), "Attached 1 probe\n\n\n"));
    let (code, _, stderr) = run(&["-e", "test:a { }"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("no probes to attach") && stderr.contains("--test"),
        "{stderr}"
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
    let (code, stdout, stderr) = run(&[
        "-c",
        "/bin/true",
        "-e",
        "uprobe:libc:exit { @[probe] = count(); }",
    ]);
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
    let (code, stdout, stderr) = run(&[
        "--probe-filter",
        "nothing",
        "-e",
        "begin { print(1) } i:s:1 { }",
    ]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("no probe matches"), "{stderr}");
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
            serde_json::json!(u64::MAX),
            serde_json::json!(-9223372036854775807i64)
        ]
    );
}
