//! What each right is good for: runs with some capabilities, and what is left of them once everything is attached.

use crate::support::{Case, EXE, Public, can_trace, run, text};
use std::process::Command;

#[test]
fn each_missing_capability_is_named() {
    let public = Public::new("missing");
    if !public.can() {
        return;
    }
    let usdt = format!("usdt:{}:net:inbound_message {{ exit() }}", public.path());
    for (caps, args, named, not_named) in [
        (
            "",
            &["-e", "BEGIN { exit() }"][..],
            &["CAP_BPF, to load", "CAP_PERFMON, to read"][..],
            &[][..],
        ),
        (
            ",+bpf",
            &["-e", "BEGIN { exit() }"],
            &["CAP_PERFMON"],
            &["CAP_BPF"],
        ),
        (
            ",+perfmon",
            &["-e", "BEGIN { exit() }"],
            &["CAP_BPF"],
            &["CAP_PERFMON"],
        ),
        (
            ",+bpf,+perfmon",
            &["--attach", "perf", "-e", &usdt],
            &["CAP_SYS_ADMIN, to open perf uprobes"],
            &["CAP_BPF", "CAP_PERFMON"],
        ),
    ] {
        let out = run(&mut public.with(caps, args), b"");
        let stderr = text(&out.stderr);
        Case {
            code: 2,
            stderr: named,
            ..Case::default()
        }
        .check_output(&out, caps);
        assert!(stderr.contains("error: trace: this process lacks\n  "));
        assert!(stderr.contains("\nhelp: "), "{stderr}");
        for name in not_named {
            assert!(!stderr.contains(name), "{caps}: {stderr}");
        }
    }
}

/// On a kernel with `uprobe_multi` links `CAP_BPF` and `CAP_PERFMON` are enough.
#[test]
fn least_privilege_is_enough() {
    let public = Public::new("least");
    if !public.can() {
        return;
    }
    let features = run(&mut public.with(",+bpf,+perfmon", &["features"]), b"");
    if !text(&features.stdout).contains("uprobe_multi links           yes") {
        println!("skipped: this kernel has no uprobe_multi links");
        return;
    }
    let script = format!(
        "usdt:{}:net:inbound_message {{ printf(\"%s\\n\", str(arg3)); }}",
        public.path()
    );
    let target = format!("{} demo-target --messages 3 --pause-us 0", public.path());
    let out = run(
        &mut public.with(
            ",+bpf,+perfmon",
            &["-q", "-e", script.as_str(), "-c", &target],
        ),
        b"",
    );
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(stdout.matches("ping\n").count(), 3, "{stdout}\n{stderr}");
    assert!(out.status.success(), "{stderr}");
}

/// The effective capabilities that `script` has while it runs.
fn effective(script: &str, args: &[&str]) -> u64 {
    let out = run(Command::new(EXE).args(["-q", "-e", script]).args(args), b"");
    let stdout = text(&out.stdout);
    let set = stdout.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = set.unwrap_or_else(|| panic!("{stdout}\n{}", text(&out.stderr)));
    u64::from_str_radix(set.trim(), 16).expect("a set of capabilities")
}

#[test]
fn rights_are_given_up_once_all_is_attached() {
    if !can_trace() {
        return;
    }
    const SYS_ADMIN: u64 = 1 << 21;
    const BPF: u64 = 1 << 39;
    let own = std::fs::read_to_string("/proc/self/status").expect("read own status");
    if !own.contains("CapEff:\t000001ff") {
        println!("skipped: not all rights to begin with");
        return;
    }
    let left = effective("interval:ms:50 { cat(\"/proc/self/status\"); exit() }", &[]);
    assert_eq!(left & SYS_ADMIN, 0, "{left:#x}");
    assert_ne!(left & BPF, 0, "{left:#x}");
    // A command may need anything.
    let kept = effective(
        "interval:ms:50 { system(\"cat /proc/%d/status\", pid); exit() }",
        &["--unsafe"],
    );
    assert_ne!(kept & SYS_ADMIN, 0, "{kept:#x}");
}
