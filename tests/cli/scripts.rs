//! Scripts that are compiled but never loaded.

use crate::support::{Case, TempFile};

#[test]
fn a_right_script_checks() {
    for case in [
        Case {
            args: &["check", "-e", "BEGIN { printf(\"hello\\n\") }"],
            stdout: &["1 program, ", "nothing wrong"],
            ..Case::default()
        },
        Case {
            args: &[
                "check",
                "--emit",
                "asm",
                "-e",
                "usdt:EXE:net:inbound_message { @[str(arg3)] = count(); }",
            ],
            stdout: &["net:inbound_message: ", " slots\n", "\n; 1: ", "  exit\n"],
            ..Case::default()
        },
        Case {
            args: &["check", "--emit", "ast", "-e", "END { exit() }"],
            stdout: &["exit()"],
            ..Case::default()
        },
        Case {
            args: &["check", "--emit", "ir", "-e", "BEGIN { @x = 1 }"],
            stdout: &["; begin"],
            ..Case::default()
        },
        Case {
            args: &["check", "--emit", "ir:fold", "-e", "BEGIN { @x = 1 }"],
            stdout: &["; begin", "store u64"],
            ..Case::default()
        },
        Case {
            args: &["check", "--emit", "spec", "-e", "BEGIN { @x = 1 }"],
            stdout: &["license Dual MIT/GPL", "map 0 ", "program 0 begin"],
            ..Case::default()
        },
        Case {
            args: &["-l", "-e", "usdt:EXE:net:*bound_message { exit() }"],
            stdout: &["net:inbound_message\n", "net:outbound_message\n"],
            ..Case::default()
        },
    ] {
        case.check();
    }
}

#[test]
fn bytes_do_not_change() {
    let args = [
        "check",
        "--emit",
        "bytes",
        "-e",
        "interval:s:1 { @[pid] = count() }",
    ];
    let bytes = |_| {
        crate::support::run(
            std::process::Command::new(crate::support::EXE).args(args),
            b"",
        )
        .stdout
    };
    let (first, second) = (bytes(1), bytes(2));
    assert_eq!(first, second);
    assert!(
        first.starts_with(b"; interval:s:1\n"),
        "{}",
        crate::support::text(&first)
    );
}

/// Each error names its place, the thing, and a remedy where there is one; nothing is attached.
#[test]
fn wrong_scripts() {
    let binary = TempFile::new("not-elf", b"no binary at all");
    let not_elf = format!("usdt:{}:a:b {{ }}", binary.name());
    for (script, code, stderr) in [
        ("BEGIN { printf(\"x\" }", 1, &["-->", "^"][..]),
        (
            "BEGIN { @[pidd] = count(); }",
            1,
            &["pidd", "did you mean `pid`?", "1:11"],
        ),
        (
            "BEGIN { prinf(\"x\") }",
            1,
            &["prinf", "did you mean `print"],
        ),
        ("BEGIN { @x = \"a\" * 2; }", 1, &["error", "^"]),
        ("BEGIN { @x = 1; @x = \"a\"; }", 1, &["error", "@x"]),
        ("kprobe:no_such_function { exit() }", 1, &["no function"]),
        (
            "usdt:EXE:net:inbound_mesage { exit() }",
            1,
            &["inbound_mesage", "did you mean `net:inbound_message`?"],
        ),
        (
            "usdt:EXE:nett:inbound_message { exit() }",
            1,
            &["nett", "did you mean `net:inbound_message`?"],
        ),
        (
            "usdt:/bin/true:a:b { exit() }",
            1,
            &["has no USDT probes", "help"],
        ),
        (
            "usdt:/no/such/file:a:b { exit() }",
            2,
            &[
                "open `/no/such/file`: No such file or directory (ENOENT)",
                "help: ",
            ],
        ),
        (&not_elf, 2, &["not an ELF file", "help: "]),
        (
            "uprobe:EXE:no_such_function_here { exit() }",
            1,
            &["no_such_function_here"],
        ),
        ("", 1, &["error"]),
    ] {
        Case {
            args: &["check", "-e", script],
            code,
            stderr,
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn events_from_a_file() {
    let events = "{\"probe\": \"net:inbound_message\", \"args\": [3, \"192.0.2.1:8333\", \"inbound\", \"ping\", 8, null]}\n";
    let script = "usdt:/no/such/file:net:inbound_message { printf(\"%s from %d: %d\\n\", str(arg3), arg0, arg4); @n = count(); }";
    Case {
        args: &["simulate", "-q", "--events", "-", "-e", script],
        stdin: events.as_bytes(),
        stdout: &["ping from 3: 8\n", "@n: 1\n"],
        ..Case::default()
    }
    .check();
    Case {
        args: &[
            "simulate",
            "--events",
            "/no/such/events",
            "-e",
            "BEGIN { exit() }",
        ],
        code: 2,
        stderr: &["read events `/no/such/events`: No such file or directory (ENOENT)"],
        ..Case::default()
    }
    .check();
}
