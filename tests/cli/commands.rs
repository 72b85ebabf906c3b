//! What works without a script.

use crate::support::{Case, as_bpftrace};

#[test]
fn commands_print_and_exit() {
    for case in [
        Case {
            args: &["--version"],
            stdout: &["baretrace 0."],
            ..Case::default()
        },
        Case {
            args: &["--help"],
            stdout: &["Usage:", "--pid <PID>", "disasm", "completions"],
            ..Case::default()
        },
        Case {
            args: &["man"],
            stdout: &[".TH baretrace 1"],
            ..Case::default()
        },
        Case {
            args: &["completions", "bash"],
            stdout: &["_baretrace()"],
            ..Case::default()
        },
        Case {
            args: &["features"],
            stdout: &["kernel     ", "lockdown   "],
            ..Case::default()
        },
        Case {
            args: &["explain", "ktime_get_ns"],
            stdout: &["bpf_ktime_get_ns#5: "],
            ..Case::default()
        },
        Case {
            args: &["disasm"],
            stdin: b"b7 00 00 00 2a 00 00 00\n95 00 00 00 00 00 00 00\n",
            stdout: &["r0 = 42\n", "exit\n"],
            ..Case::default()
        },
        Case {
            args: &["asm"],
            stdin: b"r0 = 42\nexit\n",
            stdout: &["b70000002a000000\n9500000000000000\n"],
            ..Case::default()
        },
        Case {
            args: &["exec", "--trace"],
            stdin: b"r0 = 6\nr0 *= 7\nexit\n",
            stdout: &["r0=0x6\n", "\n0x2a\n"],
            ..Case::default()
        },
        Case {
            args: &["exec", "--mem", "01020304", "-"],
            stdin: b"r0 = *(u32 *)(r1 +0)\nexit\n",
            stdout: &["0x4030201\n"],
            ..Case::default()
        },
        Case {
            args: &["-l", "usdt:EXE:net:*"],
            stdout: &[":net:inbound_message\n", ":net:outbound_message\n"],
            ..Case::default()
        },
        Case {
            args: &["-lv", "usdt:EXE:net:inbound_message"],
            stdout: &["    site 0x", "arg0 int64", "arg4 uint64"],
            ..Case::default()
        },
    ] {
        case.check();
    }
}

#[test]
fn what_is_wrong_with_a_command_line_is_said() {
    for case in [
        Case {
            args: &[],
            code: 2,
            stderr: &["error: no script", "help: "],
            ..Case::default()
        },
        Case {
            args: &["--no-such-flag"],
            code: 2,
            stderr: &["--no-such-flag"],
            ..Case::default()
        },
        Case {
            args: &["-p", "abc", "-e", "BEGIN { }"],
            code: 2,
            stderr: &["abc"],
            ..Case::default()
        },
        Case {
            args: &["/no/such/script.bt"],
            code: 2,
            stderr: &[
                "error: read script `/no/such/script.bt`: No such file or directory (ENOENT)",
                "help: ",
            ],
            ..Case::default()
        },
        Case {
            args: &["--emit-llvm", "x", "-e", "BEGIN { }"],
            code: 2,
            stderr: &["there is no LLVM here", "--emit ir"],
            ..Case::default()
        },
        Case {
            args: &["disasm"],
            stdin: b"\xff\0\0\0\0\0\0\0",
            code: 1,
            stderr: &[
                "error: decode slot 0: no instruction has code 0xff",
                "help: ",
            ],
            ..Case::default()
        },
        Case {
            args: &["asm"],
            stdin: b"r11 = 1\nexit\n",
            code: 1,
            stderr: &["error", "stdin:1:", "r11"],
            ..Case::default()
        },
        Case {
            args: &["exec"],
            stdin: b"r0 = *(u64 *)(r10 +8)\nexit\n",
            code: 1,
            stderr: &["error: execute: "],
            ..Case::default()
        },
        Case {
            args: &["explain", "ktime_get_n"],
            code: 2,
            stderr: &["did you mean `ktime_get_ns`?"],
            ..Case::default()
        },
    ] {
        case.check();
    }
}

#[test]
fn called_bpftrace_it_is_bpftrace() {
    let version = as_bpftrace(&["--version"]);
    Case {
        stdout: &["bpftrace v0."],
        ..Case::default()
    }
    .check_output(&version, "bpftrace --version");
    Case {
        code: 1,
        stderr: &["check"],
        ..Case::default()
    }
    .check_output(&as_bpftrace(&["check"]), "a file that is named as a verb");
    Case {
        code: 1,
        stderr: &["USAGE:"],
        ..Case::default()
    }
    .check_output(&as_bpftrace(&[]), "bpftrace");
}
