//! The course: every lesson, in the kernel where that may be and in user space; right and wrong answers.

#![allow(clippy::unwrap_used, reason = "tests")]

use baretrace::{kernel::detect, learn::LESSONS};
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// Runs `baretrace learn` with something on its standard input.
fn learn(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_baretrace"))
        .arg("learn")
        .args(args)
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
