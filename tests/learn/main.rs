//! The course: every lesson, in the kernel where that may be and in user space; right and wrong answers.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code)]
#[path = "../cli/support.rs"]
mod support;

use baretrace::{kernel::detect, learn::LESSONS};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A directory for progress, of this test's own.
fn state(name: &str) -> PathBuf {
    let name = format!("learn-{}-{name}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Runs `baretrace learn` with something on its standard input.
fn learn(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_baretrace"))
        .arg("learn")
        .args(args)
        .env("XDG_STATE_HOME", state("all"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A lesson that takes no answer may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn every_lesson_runs_and_takes_its_own_answer() {
    let may = detect::missing_rights(false).is_empty();
    for lesson in LESSONS {
        for kernel in [false, true] {
            if kernel && !may {
                eprintln!("left out: `{}` in the kernel", lesson.name);
                continue;
            }
            let mut args = vec![lesson.name, "--hints", "--solution"];
            if !kernel {
                args.push("--no-kernel");
            }
            let output = learn(&args, "");
            let shown = text(&output);
            assert!(output.status.success(), "{}: {shown}", lesson.name);
            assert!(
                shown.contains(lesson.source) && shown.contains("Solution: "),
                "{shown}"
            );
            assert!(
                shown.contains("Hint: ") && !shown.contains('\u{1b}'),
                "{shown}"
            );
            let wide = shown.lines().find(|line| line.chars().count() > 80);
            assert_eq!(wide, None, "{}", lesson.name);
            assert_eq!(
                shown.contains("in user space: this process"),
                !kernel,
                "{shown}"
            );
        }
    }
}

/// Right answers, as people write them, and wrong ones with what is said.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

/// By lesson.
const ANSWERS: &[Row] = &[
    (
        "insn",
        &["07 01 00 00 02 00 00 00", "0701000002000000"],
        &[("07 01 00 00 03 00 00 00", "byte 4"), ("07", "2 digits")],
    ),
    (
        "program",
        &["210", "0xd2"],
        &[("55", "another number"), ("x", "no number")],
    ),
    ("maps", &["2c 01", "0x2C 0x01"], &[("01 2c", "byte 0")]),
    (
        "verifier",
        &["r6 = 0", "r6 = r1", "r6 = *(u64 *)(r1 +0)"],
        &[
            ("r5 = 0", "r6 has no value"),
            ("r6 = *(u64 *)(r1 +8)", "offset 8"),
        ],
    ),
    ("syscall", &["5"], &[("4", "another number")]),
    ("usdt", &["cc", "0xCC"], &[("90", "byte 0")]),
    ("ring", &["320"], &[("32", "another number")]),
    ("cost", &["5"], &[("50", "another number")]),
];

/// As `nobody`, without any capability: every lesson runs, says where, and takes its answer.
#[test]
fn every_lesson_runs_without_rights() {
    let public = support::Public::new("learn-rights");
    if !public.can() {
        return;
    }
    for lesson in LESSONS {
        let output = public
            .with("", &["learn", lesson.name, "--hints", "--solution"])
            .env_remove("XDG_STATE_HOME")
            .env("HOME", "/nonexistent")
            .output()
            .unwrap();
        let shown = text(&output);
        assert!(output.status.success(), "{}: {shown}", lesson.name);
        assert!(shown.contains("in user space: this process"), "{shown}");
        assert!(shown.contains("Solution: "), "{shown}");
    }
    let shown = text(
        &public
            .with("", &["learn", "syscall", "--solution"])
            .output()
            .unwrap(),
    );
    // The fields are shown although the kernel says no.
    for piece in ["BPF_PROG_LOAD", "insn_cnt", "license", "The kernel said no"] {
        assert!(shown.contains(piece), "no `{piece}` in {shown}");
    }
}

#[test]
fn answers_are_judged() {
    for (lesson, right, wrong) in ANSWERS {
        let said = |answer: &str| learn(&[lesson, "--no-kernel", "--answer", answer], "");
        for answer in *right {
            let output = said(answer);
            assert!(
                output.status.success(),
                "{lesson}: {answer}: {}",
                text(&output)
            );
        }
        for (answer, why) in *wrong {
            let output = said(answer);
            assert_eq!(output.status.code(), Some(1), "{lesson}: {answer}");
            assert!(
                text(&output).contains(why),
                "{lesson}: {answer}: {}",
                text(&output)
            );
        }
    }
}

#[test]
fn the_exit_code_is_the_verdict() {
    for (args, input, code, want) in [
        (
            &["program", "--answer", "210"][..],
            "",
            0,
            "Right. Next: `baretrace learn maps`.",
        ),
        (
            &["program", "--answer", "211"],
            "",
            1,
            "Not right: it is another number",
        ),
        (&["2"], "210\n", 0, "Right."),
        (&["2"], "1\n2\n210\n", 0, "Hint: n times n + 1"),
        (&["2"], "1\n2\n3\n", 1, "Solution: 210"),
        (&["2"], "1\n", 1, "Not right"),
        (&["2"], "", 0, "Answer with --answer TEXT"),
        (&["mapz"], "", 2, "did you mean `maps`?"),
        (&["99"], "", 2, "no lesson `99`"),
        (
            &[],
            "",
            0,
            "verifier  the verifier says no, five classic ways",
        ),
    ] {
        let mut args = args.to_vec();
        args.push("--no-kernel");
        let output = learn(&args, input);
        let shown = text(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {shown}");
        assert!(shown.contains(want), "{args:?}: {shown}");
    }
}

#[test]
fn the_breakpoint_is_seen() {
    if !detect::missing_rights(false).is_empty() {
        eprintln!("left out: this process may not trace");
        return;
    }
    let shown = text(&learn(&["usdt", "--solution"], ""));
    let line = |word: &str| {
        shown
            .lines()
            .find(|line| line.trim().starts_with(word))
            .unwrap()
    };
    let (before, attached, after) = (line("before attach"), line("attached"), line("detached"));
    assert!(before.contains("semaphore 00 00"), "{shown}");
    assert!(attached.contains("semaphore 01 00"), "{shown}");
    assert!(after.contains("semaphore 00 00"), "{shown}");
    let code = |line: &str| line[18..32].to_owned();
    assert_ne!(code(before), code(attached), "{shown}");
    assert_eq!(code(before), code(after), "{shown}");
    assert!(shown.contains("3 times"), "{shown}");
}

#[test]
fn progress_is_kept_and_shown() {
    let dir = state("progress");
    let learn = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baretrace"));
        command.arg("learn").args(args).arg("--no-kernel");
        let output = command.env("XDG_STATE_HOME", &dir).stdin(Stdio::null());
        output.output().unwrap()
    };
    let fresh = text(&learn(&[]));
    assert!(!fresh.contains("done") && fresh.contains("\n  baretrace learn insn\n"));
    assert!(!dir.exists(), "looking leaves nothing behind");
    // A wrong answer is no progress.
    learn(&["insn", "--answer", "00"]);
    learn(&["insn", "--answer", "07 01 00 00 02 00 00 00"]);
    learn(&["maps", "--answer", "2c 01"]);
    learn(&["maps", "--answer", "2c 01"]);
    let file = dir.join("baretrace/learn");
    assert_eq!(fs::read_to_string(&file).unwrap(), "insn\nmaps\n");
    let list = text(&learn(&[]));
    let done = |name: &str| {
        let mut lines = list.lines();
        let line = lines.find(|line| line.get(5..).is_some_and(|rest| rest.starts_with(name)));
        line.unwrap().ends_with("done")
    };
    assert!(done("insn") && !done("program") && done("maps"), "{list}");
    assert!(list.contains("\n  baretrace learn program\n"), "{list}");
    let forgotten = text(&learn(&["--forget"]));
    assert!(!forgotten.contains("done"), "{forgotten}");
    assert!(!file.exists());
    // Where nothing can be kept the answer is right all the same.
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&dir, "in the way").unwrap();
    let output = learn(&["maps", "--answer", "2c 01"]);
    assert!(output.status.success());
    let shown = text(&output);
    assert!(
        shown.contains("Right.") && shown.contains("progress is not kept: write `"),
        "{shown}"
    );
    fs::remove_file(&dir).unwrap();
}
