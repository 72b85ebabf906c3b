//! `dw_ustack`: stacks of programs without frame pointers.

use crate::support::{EXE, Target, TempDir, can_trace, run, text};
use std::process::Command;

/// Functions that keep no frame pointer, one below a signal handler, one in a callback of the C library.
const SOURCE: &str = "#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define KEEP __attribute__((noinline))
volatile long sink;
KEEP long leaf(long n) { char buf[64]; memset(buf, (int)n, sizeof buf); sink += buf[n & 63]; return sink; }
KEEP long inner(long n) { volatile char big[300]; big[n & 255] = 1; return leaf(n) + big[n & 255]; }
KEEP long middle(long n) { return inner(n) + 1; }
KEEP int compare(const void *a, const void *b) { return (int)(leaf(1) & 0) + *(const int *)a - *(const int *)b; }
KEEP void handler(int signal) { leaf(signal); sink++; }
int main(void) {
  signal(SIGUSR1, handler);
  for (;;) {
    int two[2] = {2, 1};
    sink += middle(3);
    qsort(two, 2, sizeof *two, compare);
    raise(SIGUSR1);
    usleep(1000);
  }
}
";

/// Names of the functions of a printed stack.
fn names(stack: &str) -> Vec<&str> {
    let frames = stack.lines().map(str::trim).filter(|line| !line.is_empty());
    frames
        .map(|line| line.rsplit_once('+').map_or(line, |(name, _)| name))
        .collect()
}

fn printed(pid: &str, script: &str) -> String {
    let text_of = format!("config = {{ unstable_dw_ustack = enable }} {script}");
    let out = run(
        Command::new(EXE).args(["-q", "-p", pid, "-e", &text_of]),
        b"",
    );
    let all = format!("{script}\n{}{}", text(&out.stdout), text(&out.stderr));
    assert!(out.status.success() && out.stderr.is_empty(), "{all}");
    text(&out.stdout)
}

#[test]
fn every_frame_of_a_program_without_frame_pointers() {
    if !can_trace() || !cfg!(target_arch = "x86_64") {
        return;
    }
    let dir = TempDir::new("walked");
    let (source, program) = (dir.0.join("t.c"), dir.0.join("t"));
    std::fs::write(&source, SOURCE).expect("write a source file");
    let built = Command::new("cc")
        .args([
            "-O1",
            "-fomit-frame-pointer",
            "-fno-optimize-sibling-calls",
            "-o",
        ])
        .args([&program, &source])
        .status();
    if !built.is_ok_and(|status| status.success()) {
        println!("skipped, there is no C compiler here");
        return;
    }
    let mut child = Command::new(&program).spawn().expect("start the program");
    let pid = child.id().to_string();
    let path = program.display();
    let stacks = printed(
        &pid,
        &format!(
            "uprobe:{path}:leaf {{ @[dw_ustack] = count(); if (@n++ > 50) {{ exit(); }} }} END {{ clear(@n); }}"
        ),
    );
    let depths = printed(
        &pid,
        &format!(
            "uprobe:{path}:inner {{ printf(\"%d %d\\n\", len(dw_ustack), len(dw_ustack(2))); exit(); }}"
        ),
    );
    let short = printed(
        &pid,
        &format!(
            "uprobe:{path}:leaf {{ if (strcontains(\"x\", \"x\")) {{ print(dw_ustack(raw, 2)); exit(); }} }}"
        ),
    );
    child.kill().expect("end the program");
    child.wait().expect("the program ends");
    let all: Vec<Vec<&str>> = stacks
        .split("@[")
        .skip(1)
        .map(|one| names(one.split_once(']').expect("a key").0))
        .collect();
    let is = |stack: &&Vec<&str>, first: &[&str]| stack.starts_with(first);
    let plain = ["leaf", "inner", "middle", "main"];
    let called = all.iter().find(|stack| is(stack, &plain));
    let called = called.unwrap_or_else(|| panic!("{stacks}"));
    assert_eq!(called.last(), Some(&"_start"), "{stacks}");
    let sorted = all.iter().find(|stack| is(stack, &["leaf", "compare"]));
    assert!(
        sorted.is_some_and(|stack| stack.contains(&"main")),
        "{stacks}"
    );
    let handled = all.iter().find(|stack| is(stack, &["leaf", "handler"]));
    assert!(
        handled.is_some_and(|stack| stack.contains(&"raise") && stack.contains(&"main")),
        "{stacks}"
    );
    let depth = called.len() - 1;
    assert_eq!(depths.lines().next(), Some(&*format!("{depth} 2")));
    assert_eq!(names(&short).len(), 2, "{short}");
}

/// The project's own target: a library may be between its functions.
#[test]
fn stacks_end_where_the_program_began() {
    if !can_trace() || !cfg!(target_arch = "x86_64") {
        return;
    }
    let target = Target::start(&["--pause-us", "1000"]);
    let stack = printed(
        &target.pid(),
        &format!("usdt:{EXE}:net:inbound_message {{ print(dw_ustack); exit(); }}"),
    );
    let first = stack.split("\n\n").next().expect("a stack");
    let names = names(first);
    assert!(names[0].contains("net_inbound_message"), "{stack}");
    // A recording does not keep the tables that such a stack is walked by, and says so.
    let script = format!("usdt:{EXE}:net:inbound_message {{ print(dw_ustack); }}");
    let pid = target.pid();
    let recorded = ["record", "-o", "/dev/null", "-p", &pid, "-e", &script];
    let out = run(Command::new(EXE).args(recorded), b"");
    assert!(!out.status.success());
    assert!(
        text(&out.stderr).contains("are not recorded; use `ustack`"),
        "{}",
        text(&out.stderr)
    );
    assert!(names.contains(&"main"), "{stack}");
}

#[test]
fn a_process_must_be_known() {
    for args in [&["check", "-e"][..], &["-e"]] {
        let script = format!("uprobe:{EXE}:main {{ print(dw_ustack); }}");
        let out = run(Command::new(EXE).args(args).arg(&script), b"");
        let errors = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{errors}");
        assert!(
            errors.contains("processes that are known before"),
            "{errors}"
        );
        assert!(errors.contains("--dwarf-pid"), "{errors}");
    }
}
