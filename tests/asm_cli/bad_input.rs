//! Wrong programs: each complaint has line, column, caret and remedy.

use crate::support::Case;

/// A text, and what is said of it: the message, the place, the remedy.
const TEXTS: &[(&str, &str, &str, &str)] = &[
    (
        "r0 = 0\nr1 = r11\nexit",
        "no register is called `r11`",
        "stdin:2:6",
        "registers are r0 to r10",
    ),
    (
        "mov %r12, 1\nexit",
        "no register is called `r12`",
        "stdin:1:6",
        "registers are r0 to r10",
    ),
    (
        "r0 = 0x123456789\nexit",
        "does not fit a 32-bit immediate",
        "stdin:1:6",
        "wide immediate",
    ),
    (
        "add r0, -2147483649\nexit",
        "does not fit a 32-bit immediate",
        "stdin:1:9",
        "lddw",
    ),
    (
        "r0 = *(u8 *)(r1 +40000)\nexit",
        "40000 does not fit `off`",
        "stdin:1:17",
        "add the rest",
    ),
    (
        "ldxb r0, [r1-32769]\nexit",
        "-32769 does not fit `off`",
        "stdin:1:13",
        "add the rest",
    ),
    (
        "ldxbw r0, [r1]\nexit",
        "unknown instruction `ldxbw`",
        "stdin:1:1",
        "did you mean `ldx",
    ),
    (
        "r0 = 0\nretrun",
        "unknown instruction `retrun`",
        "stdin:2:1",
        "instructions begin with",
    ),
    (
        "r0 = 0\nexti",
        "unknown instruction `exti`",
        "stdin:2:1",
        "did you mean `exit`?",
    ),
    (
        "call ktime_get_sn\nexit",
        "neither a helper nor a label",
        "stdin:1:6",
        "did you mean `bpf_ktime_get_ns`?",
    ),
    (
        "call bpf_ktime_get_ns#6\nexit",
        "is not helper number 6",
        "stdin:1:",
        "is number 5",
    ),
    (
        "again: r0 = 0\ngoto agian\nexit",
        "label `agian` is not defined",
        "stdin:2:6",
        "did you mean `again`?",
    ),
    (
        "goto nowhere\nexit",
        "label `nowhere` is not defined",
        "stdin:1:6",
        "put a line `nowhere:`",
    ),
    (
        "a: r0 = 0\na: exit",
        "label `a` is defined twice",
        "stdin:2:1",
        "a name of its own",
    ),
    (
        "goto +1\nr1 = 1 ll\nexit",
        "the middle of a wide immediate",
        "stdin:1:1",
        "two slots",
    ),
    (
        "ja +5\nexit",
        "jump to slot 6 of a program of 2 slots",
        "stdin:1:1",
        "distances count 8-byte slots",
    ),
    (
        "if r1 == 0 goto -3\nexit",
        "jump to slot -2",
        "stdin:1:1",
        "distances count 8-byte slots",
    ),
    (
        "r0 = 0\nr0 += 1",
        "runs past the last instruction",
        "stdin:2:1",
        "end with `exit`",
    ),
    (
        "goto end\nend:",
        "behind the last instruction",
        "stdin:1:",
        "put an instruction behind",
    ),
    (
        "",
        "no instruction here",
        "stdin:1:1",
        "one instruction a line",
    ),
    (
        "# nothing\n",
        "no instruction here",
        "stdin:1:1",
        "one instruction a line",
    ),
    (
        "r0 = 0 r1 = 1\nexit",
        "unexpected `r1`",
        "stdin:1:8",
        "one instruction a line",
    ),
    (
        "r0 = 0; r1 = 1\nexit",
        "inside a comment",
        "stdin:1:",
        "on a line of its own",
    ),
    (
        "r0 = 0\nmov r1, 2\nr1 += 2\nexit",
        "wrong dialect",
        "stdin:2:1",
        "looks like the mnemonic dialect",
    ),
    (
        "r0 = w1\nexit",
        "two widths",
        "stdin:1:",
        "write both registers as",
    ),
    (
        "lock *(u8 *)(r1 +0) += r2\nexit",
        "1 byte(s) does not exist",
        "stdin:1:1",
        "forms that exist",
    ),
    (
        "ja nowhere\nexit",
        "label `nowhere` is not defined",
        "stdin:1:4",
        "put a line `nowhere:`",
    ),
    (
        "call local twise\nexit\ntwice: exit",
        "label `twise` is not defined",
        "stdin:1:12",
        "did you mean `twice`?",
    ),
    (
        "a: mov r0, 0\na: exit",
        "label `a` is defined twice",
        "stdin:2:1",
        "a name of its own",
    ),
    (
        "ja +1\nlddw r1, 1\nexit",
        "the middle of a wide immediate",
        "stdin:1:1",
        "two slots",
    ),
    (
        "goto +5\nexit",
        "jump to slot 6 of a program of 2 slots",
        "stdin:1:1",
        "distances count 8-byte slots",
    ),
    (
        "mov r0, 0\nadd r0, 1",
        "runs past the last instruction",
        "stdin:2:1",
        "end with `exit`",
    ),
    (
        "mov r0, 0\nr1 += 2\nmov r1, 2\nexit",
        "wrong dialect",
        "stdin:2:1",
        "looks like the kernel dialect",
    ),
    (
        "stw [r1+32768], 1\nexit",
        "32768 does not fit `off`",
        "stdin:1:",
        "add the rest",
    ),
    (
        ".map hits hsh 4 8 16\nr0 = 0\nexit",
        "no kind of map is called `hsh`",
        "stdin:1:11",
        "did you mean `hash`?",
    ),
    (
        ".map seen hash 4 8 16 = 0x01\nr0 = 0\nexit",
        "1 bytes of content do not fit this map",
        "stdin:1:11",
        "content is for an array of one entry",
    ),
    (
        ".map seen array 4 8 1 = 0x0\nr0 = 0\nexit",
        "expected bytes in hex",
        "stdin:1:25",
        "explain",
    ),
    (
        ".section xdp\n.section tc\nr0 = 0\nexit",
        "`.section` a second time",
        "stdin:2:1",
        "say it once",
    ),
    (
        ".text\nr0 = 0\nexit",
        "directive",
        "stdin:1:1",
        "leave the line out",
    ),
];

/// Digits of a program, and the same.
const DIGITS: &[(&str, &str, &str, &str)] = &[
    (
        "b7000000 2a000000 9500",
        "only 2 of 8 bytes are there",
        "stdin:1:19",
        "whole number of 8-byte slots",
    ),
    (
        "b700000000000000\n9500000001000000",
        "`imm` is 1",
        "stdin:2:9",
        "set the field to 0",
    ),
    (
        "b700010000000000 9500000000000000",
        "`off` is 1",
        "stdin:1:5",
        "set the field to 0",
    ),
    (
        "bf1b000000000000 9500000000000000",
        "there is no r11",
        "stdin:1:3",
        "registers are r0 to r10",
    ),
    (
        "ff00000000000000",
        "no instruction has code 0xff",
        "stdin:1:1",
        "raw little-endian",
    ),
    (
        "1800000000000000",
        "second slot of a wide immediate is missing",
        "stdin:1:1",
        "two slots",
    ),
    (
        "d400000021000000",
        "`imm` is 0x21; it may be 16, 32 or 64",
        "stdin:1:9",
        "RFC 9669",
    ),
    (
        "b7000000 2a00000g",
        "`g` is not a hexadecimal digit",
        "stdin:1:17",
        "two hexadecimal digits",
    ),
    (
        "b7000000 2a00000",
        "half a byte",
        "stdin:1:16",
        "two hexadecimal digits",
    ),
];

#[test]
fn texts() {
    for (text, message, place, remedy) in TEXTS {
        for verb in ["asm", "exec"] {
            Case {
                args: &[verb, "-"],
                stdin: text.as_bytes(),
                code: 1,
                stderr: &["error: ", message, place, "^", "help: ", remedy],
                ..Case::default()
            }
            .check();
        }
    }
}

#[test]
fn digits() {
    for (text, message, place, remedy) in DIGITS {
        for verb in ["disasm", "exec"] {
            Case {
                args: &[verb, "-"],
                stdin: text.as_bytes(),
                code: 1,
                stderr: &["error: ", message, place, "^", "help: ", remedy],
                ..Case::default()
            }
            .check();
        }
    }
}

#[test]
fn raw_bytes_are_shown_as_digits() {
    let mut bytes = vec![0xb7, 0, 0, 0, 1, 0, 0, 0];
    bytes.extend([0x95, 0, 0, 0, 0, 0, 1, 0]);
    Case {
        args: &["disasm"],
        stdin: &bytes,
        code: 1,
        stderr: &[
            "decode slot 1: `imm` is 65536",
            "stdin:2:9",
            "2 | 9500000000000100",
            "help: set the field to 0",
        ],
        ..Case::default()
    }
    .check();
}

#[test]
fn structure_of_bytes_is_shown_in_their_listing() {
    for (digits, message, place) in [
        (
            "b700000000000000",
            "runs past the last instruction",
            "(disassembled):1:7",
        ),
        (
            "0500010000000000 18000000010000000000000000000000 9500000000000000",
            "the middle of a wide immediate",
            ":1:7",
        ),
        (
            "0500090000000000 9500000000000000",
            "jump to slot 10 of a program of 2 slots",
            ":1:7",
        ),
    ] {
        Case {
            args: &["exec", "--program", digits],
            code: 1,
            stderr: &[message, place, "^^^", "help: "],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn the_dialect_asked_for_is_kept_to() {
    for (dialect, text, other) in [
        ("mnemonic", "r0 = 0\nr0 += 1\nexit", "kernel"),
        ("kernel", "mov r0, 0\nadd r0, 1\nexit", "mnemonic"),
    ] {
        Case {
            args: &["asm", "--dialect", dialect],
            stdin: text.as_bytes(),
            code: 1,
            stderr: &[
                "wrong dialect",
                "stdin:1:1",
                "^^^^",
                &format!("looks like the {other} dialect"),
            ],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn memory_that_is_no_hex() {
    for (mem, message, place) in [
        ("0102zz", "`z` is not a hexadecimal digit", "--mem:1:5"),
        ("01 2", "half a byte", "--mem:1:4"),
    ] {
        Case {
            args: &[
                "exec",
                "--program",
                "b7000000000000009500000000000000",
                "--mem",
                mem,
            ],
            code: 1,
            stderr: &[
                message,
                place,
                "^",
                "help: write each byte as two hexadecimal digits",
            ],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn many_complaints_are_cut_short() {
    let text = "r0 = r99\n".repeat(25);
    Case {
        args: &["asm"],
        stdin: text.as_bytes(),
        code: 1,
        stderr: &["stdin:10:6", "error: 15 more like these"],
        ..Case::default()
    }
    .check();
}

#[test]
fn what_cannot_be_read_or_is_something_else() {
    for (args, stdin, code, stderr) in [
        (
            &["asm", "/no/such/file"][..],
            "",
            2,
            &["read `/no/such/file`", "ENOENT", "help: "][..],
        ),
        (
            &["asm"],
            "b700000000000000",
            2,
            &["it holds bytes, not text", "baretrace disasm"],
        ),
        (
            &["disasm"],
            "r0 = 0\nexit\n",
            2,
            &["it holds text, not bytes", "baretrace asm"],
        ),
        (
            &["disasm", "--section", "x"],
            "9500000000000000",
            2,
            &["no ELF object", "leave --section out"],
        ),
        (
            &["disasm", "EXE"],
            "",
            2,
            &["not 64-bit little-endian BPF", "--target=bpf"],
        ),
        (
            &["exec", "x", "--program", "95"],
            "",
            2,
            &["cannot be used with"],
        ),
        (
            &["exec", "--on", "kernel", "--trace"],
            "",
            2,
            &["--trace with --on kernel", "help: use --on rbpf"],
        ),
        (
            &["exec"],
            "r1 = map[hits]\nexit",
            2,
            &["it uses the map `hits`", ".map hits hash"],
        ),
        (
            &["asm", "--format", "elf"],
            "r1 = map[hits]\nexit",
            2,
            &[
                "loads a map that is not declared",
                ".map NAME hash 4 8 1024",
            ],
        ),
    ] {
        Case {
            args,
            stdin: stdin.as_bytes(),
            code,
            stderr,
            ..Case::default()
        }
        .check();
    }
}
