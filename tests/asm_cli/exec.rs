//! Programs that run, in user space and in the kernel, and programs that fault.

use crate::support::{Case, EXE, can_trace, run, text};
use std::process::Command;

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
    (
        "r6 = 0\n*(u64 *)(r10 -8) = r6\nr1 = 5\nr2 = subprog[body]\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_loop\n\
         r0 = *(u64 *)(r10 -8)\nexit\nbody:\nr3 = *(u64 *)(r2 +0)\nr3 += r1\n*(u64 *)(r2 +0) = r3\nr0 = 0\nexit",
        "",
        "0xa",
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
    (
        "gotox r2\nexit",
        "",
        "gotox (indirect jump) is not modelled",
        "stdin:1:1",
    ),
    (
        "r2 = -3\ncallx r2\nexit",
        "",
        "callx 0xfffffffffffffffd",
        "stdin:2:1",
    ),
    (
        "r0 = 0\nr10 = 1\nexit",
        "",
        "writes r10, which is read-only",
        "stdin:2:1",
    ),
    (
        "call f\ngoto g\nf: r0 = 0\ng: exit",
        "",
        "jumps into another function",
        "stdin:2:1",
    ),
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

/// Counts key 7 of a hash up from 40 by 2, and adds 3 from the value of an array.
const WITH_MAPS: &str = "\
.map hits hash 4 8 4
.map one array 4 16 1
  *(u32 *)(r10 -4) = 7
  *(u64 *)(r10 -16) = 40
  r1 = map[hits]
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -16
  r4 = 0
  call bpf_map_update_elem
  r1 = map[hits]
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  r1 = 2
  lock *(u64 *)(r0 +0) += r1
  r0 = *(u64 *)(r0 +0)
  r1 = map[one][0]+8
  *(u64 *)(r1 +0) = 3
  r2 = *(u64 *)(r1 +0)
  r0 += r2
  exit
out:
  r0 = 0
  exit
";

#[test]
fn declared_maps_are_there() {
    let machines: &[&str] = if can_trace() {
        &["rbpf", "kernel"]
    } else {
        &["rbpf"]
    };
    for machine in machines {
        let args = ["exec", "--on", machine];
        let out = run(Command::new(EXE).args(args), WITH_MAPS.as_bytes());
        assert_eq!(
            text(&out.stdout),
            "0x2d\n",
            "{machine}: {}",
            text(&out.stderr)
        );
        assert!(out.stderr.is_empty(), "{}", text(&out.stderr));
    }
    for (code, program, message, help) in [
        (
            2,
            "r1 = map[x]\nr0 = 0\nexit",
            "uses the map `x`",
            ".map x hash 4 8 1024",
        ),
        (
            1,
            ".map x hash 4 0 4\nr1 = map[x]\nr0 = 0\nexit",
            "map `x` has sizes",
            "ring buffer",
        ),
    ] {
        Case {
            args: &["exec"],
            stdin: program.as_bytes(),
            code,
            stderr: &[message, help],
            ..Case::default()
        }
        .check();
    }
}

/// A program that the verifier would refuse is refused before; in user space it runs, with a note.
#[test]
fn what_the_verifier_would_refuse_is_not_loaded() {
    let refused: &[(&str, &str, &str, &str)] = &[
        (
            "r0 = r3\nexit",
            "r3 has no value here",
            "stdin:1:1",
            "known here: r1 = pointer to --mem",
        ),
        (
            "exit",
            "r0 has no value here",
            "stdin:1:1",
            "set r0 on every path",
        ),
        (
            "r0 = *(u8 *)(r1 +4)\nexit",
            "1 bytes at offset 4 are not inside",
            "stdin:1:1",
            "lower the offset",
        ),
        (
            "r0 = 0\nexit\nr0 = 1\nexit",
            "no path leads to it",
            "stdin:3:1",
            "remove it, or jump to it",
        ),
        (
            "r0 = 5\nr0 <<= 64\nexit",
            "shifts by 64",
            "stdin:2:1",
            "shift by less than the width",
        ),
        (
            "r0 = *(u8 *)skb[0]\nexit",
            "loads from a packet",
            "stdin:1:1",
            "where there is a packet",
        ),
    ];
    for (program, message, place, help) in refused {
        Case {
            args: &["exec", "--mem", "00", "--on", "kernel"],
            stdin: program.as_bytes(),
            code: 1,
            stderr: &[
                "error: not loaded, the verifier would refuse it: ",
                message,
                place,
                "^",
                help,
            ],
            ..Case::default()
        }
        .check();
    }
    for (program, r0, message) in [
        (
            "r0 = 0\nexit\nr0 = 1\nexit",
            "0x0\n",
            "insn 2 `r0 = 1`: no path leads to it",
        ),
        (
            "r0 = 5\nr0 <<= 64\nexit",
            "0x5\n",
            "insn 1 `r0 <<= 64`: shifts by 64",
        ),
        (
            "r6 = r1\nr0 = *(u8 *)skb[0]\nexit",
            "0x2a\n",
            "loads from a packet",
        ),
        ("r0 = 0\nexit", "0x0\n", ""),
    ] {
        let out = run(
            Command::new(EXE).args(["exec", "--mem", "2a"]),
            program.as_bytes(),
        );
        assert_eq!(
            (out.status.code(), text(&out.stdout)),
            (Some(0), r0.into()),
            "{program}"
        );
        let stderr = text(&out.stderr);
        assert_eq!(message.is_empty(), stderr.is_empty(), "{program}: {stderr}");
        assert!(stderr.contains(message), "{program}: {stderr}");
    }
}

#[test]
fn refusals_of_the_kernel_are_explained() {
    if !can_trace() {
        return;
    }
    for (program, message, place, help) in [
        (
            "r0 = 0\nloop: r0 += 1\ngoto loop",
            "BPF program is too large",
            "stdin:",
            "bpf_loop",
        ),
        // 6.18 does not know it, later kernels want a table of targets.
        ("r0 = 5\ngotox r0\nexit", "", "", "help: "),
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

/// Every vector between loads of what it may use: it runs, or is refused or faults in words.
#[test]
fn every_vector_is_run_or_refused_in_words() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/insn.data");
    let data = std::fs::read_to_string(path).unwrap();
    let mut ran = 0;
    for line in data.lines().filter(|line| !line.starts_with('#')) {
        let bytes = line.split(" | ").next().unwrap();
        // r1 to memory in any case; slots behind it for the distances of jumps and calls to lead to.
        let before = "b700000001000000";
        let after = "b700000002000000".repeat(12) + "9500000000000000";
        let program = format!("{before}{bytes}{after}");
        let args = [
            "exec",
            "--program",
            &program,
            "--mem",
            "00112233445566778899aabbccddeeff0011223344556677",
        ];
        let out = run(Command::new(EXE).args(args), b"");
        let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
        match out.status.code() {
            Some(0) => ran += u32::from(stdout == "0x2\n" || line.contains("exit")),
            Some(1) => assert!(
                stdout.is_empty()
                    && stderr.starts_with("error: ")
                    && stderr.contains("help: ")
                    && stderr.contains('^'),
                "{line}\n{stderr}"
            ),
            _ => panic!("{line}: {:?}\n{stderr}", out.status),
        }
    }
    assert!(ran > 200, "only {ran} ran");
}
