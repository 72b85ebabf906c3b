//! `--trace-syscalls`: every call that loads, attaches or maps, decoded, with its reason.

use crate::support::{EXE, can_trace, run, text};
use std::process::Command;

#[test]
fn each_call_is_told_with_its_fields_and_reason() {
    if !can_trace() {
        return;
    }
    let script =
        "usdt:EXE:net:inbound_message { printf(\"%d\\n\", arg4); @bytes[arg0] = sum(arg4); }
        begin { printf(\"here\\n\"); exit(); }";
    let script = script.replace("EXE", EXE);
    let out = run(
        Command::new(EXE).args(["--trace-syscalls", "-q", "--attach", "perf", "-e", &script]),
        b"",
    );
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains("here"), "{stdout}");
    for piece in [
        "bpf(BPF_MAP_CREATE, 72 bytes) = ",
        "# map @bytes of the script",
        "bpf(BPF_BTF_LOAD, 32 bytes) = ",
        "bpf(BPF_PROG_LOAD, 144 bytes) = ",
        "# load the program of `begin`",
        "prog_type              17 BPF_PROG_TYPE_RAW_TRACEPOINT",
        "license                ",
        "\"Dual MIT/GPL\"",
        "prog_name              \"begin\"",
        "config                 10 PERF_COUNT_SW_BPF_OUTPUT",
        "PROT_READ|PROT_WRITE, MAP_SHARED",
        "# the ring of CPU 0, which programs send records to",
        "bpf(BPF_PROG_TEST_RUN, 80 bytes) = 0",
        "# run `begin` once, now",
        "PROT_READ, MAP_PRIVATE",
        "# read map `bytes`",
    ] {
        assert!(stderr.contains(piece), "no `{piece}` in {stderr}");
    }
    // Nothing but calls, their fields and what a run says anyway.
    for line in stderr.lines() {
        let known = ["bpf(", "perf_event_open(", "ioctl(", "mmap(", "    "];
        assert!(known.iter().any(|start| line.starts_with(start)), "{line}");
    }
}

#[test]
fn attaching_and_refusals_are_told() {
    if !can_trace() {
        return;
    }
    let script = format!(
        "usdt:{EXE}:net:inbound_message {{ @a = count(); }} profile:hz:9 {{ @b = count(); }} interval:ms:50 {{ exit(); }}"
    );
    for (how, pieces) in [
        (
            "multi",
            [
                "bpf(BPF_LINK_CREATE, 64 bytes) = ",
                "48 BPF_TRACE_UPROBE_MULTI",
            ],
        ),
        ("perf", ["ioctl(", "PERF_EVENT_IOC_SET_BPF 0x40042408"]),
    ] {
        let out = run(
            Command::new(EXE).args(["--trace-syscalls", "-q", "--attach", how, "-e", &script]),
            b"",
        );
        let stderr = text(&out.stderr);
        assert_eq!(out.status.code(), Some(0), "{stderr}");
        for piece in pieces.iter().chain(&[
            "# attach `profile:hz:9`",
            "flags                  disabled|freq",
        ]) {
            assert!(stderr.contains(piece), "{how}: no `{piece}` in {stderr}");
        }
        // A kernel that lacks nothing still refuses the helpers' arguments when it is asked what it has.
        assert!(stderr.contains("= -1 "), "{stderr}");
    }
}

#[test]
fn recordings_and_tools_tell_their_calls_too() {
    if !can_trace() {
        return;
    }
    let dir = crate::support::TempDir::new("audit-syscalls");
    let file = dir.0.join("x.rec");
    let file = file.to_str().expect("a plain path");
    let script = "begin { printf(\"%d\\n\", pid); exit(); }";
    let bitcoin = [
        "bitcoin",
        "p2p-traffic",
        "--bin",
        EXE,
        "--duration",
        "200ms",
    ];
    for (args, pieces) in [
        (
            &["record", "-q", "-o", file, "-e", script][..],
            ["# map `tap`: ", "# run `begin` once, now"],
        ),
        (
            &bitcoin[..],
            ["# load the program of `usdt:", "# attach `usdt:"],
        ),
    ] {
        let out = run(Command::new(EXE).args(args).arg("--trace-syscalls"), b"");
        let stderr = text(&out.stderr);
        assert_eq!(out.status.code(), Some(0), "{stderr}");
        for piece in pieces.iter().chain(&[
            "bpf(BPF_PROG_LOAD, 144 bytes) = ",
            "perf_event_open(",
            "mmap(",
        ]) {
            assert!(stderr.contains(piece), "{args:?}: no `{piece}` in {stderr}");
        }
    }
}
