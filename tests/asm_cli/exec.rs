//! Programs that run, in user space and in the kernel, and programs that fault.

use crate::support::{Case, can_trace};

/// Program, memory, last line; the same on both machines.
const RUNS: &[(&str, &str, &str)] = &[
    ("r0 = 0x2a\nexit", "", "0x2a"),
    ("mov %r0, 0\nexit", "", "0x0"),
    ("mov32 r0, -1\nexit", "", "0xffffffff"),
    ("r0 = -1\nexit", "", "0xffffffffffffffff"),
    ("r0 = 0x1122334455667788 ll\nexit", "", "0x1122334455667788"),
    ("r0 = r2\nexit", "010203", "0x3"),
    ("r0 = *(u32 *)(r1 +1)\nexit", "00 11 22 33 44", "0x44332211"),
    ("r0 = *(s8 *)(r1 +0)\nexit", "ff", "0xffffffffffffffff"),
    (
        "*(u16 *)(r1 +0) = 0x1234\nr0 = *(u8 *)(r1 +1)\nexit",
        "0000",
        "0x12",
    ),
    (
        "r3 = 5\nlock *(u64 *)(r1 +0) += r3\nr0 = *(u64 *)(r1 +0)\nexit",
        "0100000000000000",
        "0x6",
    ),
    (
        "r0 = 1\nloop: r0 *= 2\nif r0 < 1000 goto loop\nexit",
        "",
        "0x400",
    ),
    (
        "r1 = 20\ncall twice\nr0 += 2\nexit\ntwice:\nr0 = r1\nr0 += r1\nexit",
        "",
        "0x2a",
    ),
    (
        "r6 = r1\nif r2 == 0 goto none\nr0 = 1\nexit\nnone:\nr0 = 2\nexit",
        "",
        "0x2",
    ),
    // The whole stack is there, down to its last byte.
    (
        "*(u8 *)(r10 -512) = 7\nr0 = *(u8 *)(r10 -512)\nexit",
        "",
        "0x7",
    ),
    // Comparison with a negative immediate, division of the least number by -1, shift by a register beyond the width.
    (
        "r0 = 0\nr1 = -5\nif r1 s> -6 goto yes\nexit\nyes: r0 = 1\nexit",
        "",
        "0x1",
    ),
    (
        "r0 = 0x8000000000000000 ll\nr0 s/= -1\nexit",
        "",
        "0x8000000000000000",
    ),
    ("r0 = 1\nr1 = 65\nr0 <<= r1\nexit", "", "0x2"),
    ("r0 = 7\nr1 = 0\nr0 %= r1\nexit", "", "0x7"),
];

fn runs(machine: &str) {
    for (program, mem, last) in RUNS {
        Case {
            args: &["exec", "-", "--mem", mem, "--on", machine],
            stdin: program.as_bytes(),
            stdout: &[&format!("{last}\n")],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn in_user_space() {
    runs("rbpf");
}

#[test]
fn in_the_kernel() {
    if can_trace() {
        runs("kernel");
    }
}

/// As a conformance runner calls its plugin: digits on standard input or as an argument, memory beside them.
#[test]
fn digits_as_a_plugin_gets_them() {
    let program = "71 10 00 00 00 00 00 00 95 00 00 00 00 00 00 00";
    for args in [
        &["exec", "-", "--mem", "aa bb"][..],
        &["exec", "--mem", "aabb", "--program", program],
    ] {
        Case {
            args,
            stdin: program.as_bytes(),
            stdout: &["0xaa\n"],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn each_step_is_shown_with_what_it_changed() {
    Case {
        args: &["exec", "--trace", "--mem", "05"],
        stdin: b"r6 = *(u8 *)(r1 +0)\ncall f\nexit\nf:\nr0 = 1\nif r0 == 1 goto +0\nexit\n",
        stdout: &[
            "   0: r6 = *(u8 *)(r1 +0)",
            " r6=0x5\n",
            "   3:   r0 = 1",
            " r0=0x1\n",
            "   4:   if r0 == 0x1 goto pc+0\n",
            "   2: exit\n0x1\n",
        ],
        ..Case::default()
    }
    .check();
}

/// Faults in user space: program, memory, what is said, where.
const FAULTS: &[(&str, &str, &str, &str)] = &[
    (
        "r0 = *(u64 *)(r1 +1)\nexit",
        "0001020304050607",
        "runs 1 byte past the end of memory",
        "stdin:1:1",
    ),
    (
        "r0 = 0\n*(u8 *)(r10 +0) = 1\nexit",
        "",
        "store of 1 byte",
        "stdin:2:1",
    ),
    (
        "r0 = *(u8 *)(r10 -513)\nexit",
        "",
        "load of 1 byte",
        "stdin:1:1",
    ),
    (
        "r0 = 0\nr1 = 0\nr0 = *(u8 *)(r1 +0)\nexit",
        "",
        "load of 1 byte at 0x0",
        "stdin:3:1",
    ),
    (
        "r0 = r3\nexit",
        "",
        "r3 is read but holds nothing",
        "stdin:1:1",
    ),
    (
        "loop: r0 = 0\ngoto loop",
        "",
        "still running after 1000000 instructions: endless loop?",
        "stdin:1:7",
    ),
    (
        "f: r1 = 0\ncall f\nexit",
        "",
        "more than 8 nested call frames",
        "stdin:",
    ),
    ("r0 = skb[0]\nexit", "", "not modelled", "stdin:1:1"),
    (
        "call bpf_skb_load_bytes\nexit",
        "",
        "not modelled",
        "stdin:1:1",
    ),
];

#[test]
fn faults_say_what_and_where() {
    for (program, mem, message, place) in FAULTS {
        let program = program.replace("skb[0]", "*(u8 *)skb[0]");
        Case {
            args: &["exec", "--mem", mem],
            stdin: program.as_bytes(),
            code: 1,
            stderr: &["error: execute: insn ", message, place, "^^^", "help: "],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn fuel_is_a_limit() {
    Case {
        args: &["exec", "--fuel", "10"],
        stdin: b"loop: r0 = 0\ngoto loop",
        code: 1,
        stderr: &["still running after 10 instructions", "--fuel"],
        ..Case::default()
    }
    .check();
}

#[test]
fn refusals_of_the_kernel_are_explained() {
    if !can_trace() {
        return;
    }
    for (program, message, place, help) in [
        (
            "r0 = r3\nexit",
            "R3 !read_ok",
            "stdin:1:1",
            "write the register first",
        ),
        (
            "r0 = *(u8 *)(r1 +4)\nexit",
            "outside of the allowed memory range",
            "stdin:1:1",
            "help: ",
        ),
        (
            "r0 = 0\nloop: r0 = 1\ngoto loop",
            "infinite loop detected",
            "stdin:",
            "bpf_loop",
        ),
        (
            "r0 = 0\nexit\nr0 = 1\nexit",
            "unreachable insn",
            "",
            "no path leads",
        ),
    ] {
        Case {
            args: &["exec", "--mem", "00", "--on", "kernel"],
            stdin: program.as_bytes(),
            code: 1,
            stderr: &[
                "error: execute in the kernel: refused by the verifier: ",
                message,
                place,
                help,
            ],
            ..Case::default()
        }
        .check();
    }
}
