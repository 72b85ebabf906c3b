//! Kernels that lack something: the same output without it, or a refusal that names it and its version.

use crate::support::{Case, EXE, can_trace, run, text};
use std::process::Command;

const FEATURES: &[&str] = &[
    "uprobe_multi",
    "atomics",
    "attach_cookie",
    "bpf_loop",
    "for_each_map_elem",
    "may_goto",
    "lookup_percpu",
    "ktime_tai",
    "cpu_v4",
];

/// Without any one feature, and without all of them at once.
#[test]
fn the_p2p_script_needs_none_of_them() {
    if !can_trace() {
        return;
    }
    let script = format!(
        "usdt:{EXE}:net:inbound_message /arg4 >= 0/ {{ printf(\"%s %d %d\\n\", str(arg3), arg4, (int64)arg4 / 2); @[str(arg3)] = count(); }}"
    );
    let target = format!("{EXE} demo-target --messages 3 --pause-us 0");
    let all = FEATURES.join(",");
    for without in FEATURES.iter().chain([&all.as_str()]) {
        let out = run(
            Command::new(EXE).args([
                "-q",
                "--no-feature",
                without,
                "-e",
                script.as_str(),
                "-c",
                &target,
            ]),
            b"",
        );
        let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
        for line in ["ping 0 0\n", "ping 1 0\n", "ping 2 1\n", "@[ping]: 3\n"] {
            assert!(
                stdout.contains(line),
                "without {without}: {stdout}\n{stderr}"
            );
        }
        assert!(out.status.success(), "without {without}: {stderr}");
    }
}

#[test]
fn what_needs_a_feature_names_it() {
    for (without, script, said) in [
        (
            "for_each_map_elem",
            "BEGIN { @a[1] = 1; for ($kv : @a) { print($kv) } }",
            &["bpf_for_each_map_elem (5.13)", "1:31", "^"][..],
        ),
        (
            "lookup_percpu",
            "BEGIN { @a = count(); if (@a > 0) { print(1) } }",
            &["bpf_map_lookup_percpu_elem (5.19)", "1:27"],
        ),
        (
            "ktime_tai",
            "BEGIN { print(nsecs(tai)) }",
            &["bpf_ktime_get_tai_ns (6.1)", "1:15"],
        ),
    ] {
        let all = Case {
            args: &["check", "-e", script],
            stdout: &["nothing wrong"],
            ..Case::default()
        };
        all.check();
        Case {
            args: &["check", "--no-feature", without, "-e", script],
            code: 1,
            stderr: said,
            ..Case::default()
        }
        .check();
    }
    Case {
        args: &["--no-feature", "no_such", "-e", "BEGIN { }"],
        code: 2,
        stderr: &["no_such", "uprobe_multi"],
        ..Case::default()
    }
    .check();
}

#[test]
fn links_that_the_kernel_lacks_are_refused_with_the_way_out() {
    if !can_trace() {
        return;
    }
    Case {
        args: &[
            "--no-feature",
            "uprobe_multi",
            "--attach",
            "multi",
            "-e",
            "BEGIN { exit() }",
        ],
        code: 2,
        stderr: &["uprobe_multi links", "6.6", "--attach perf"],
        ..Case::default()
    }
    .check();
}
