//! Files that are no programs, or damaged ones: never a panic, never much memory, a message with a remedy.

use crate::support::{Case, EXE, TempFile};
use crate::writer::{CODE, Elf, Note};

fn list(path: &str, stderr: &[&str]) {
    Case {
        args: &["-l", &format!("usdt:{path}:*")],
        code: 2,
        stderr,
        ..Case::default()
    }
    .check();
}

#[test]
fn no_such_file() {
    list(
        "/no/such/file",
        &[
            "error: open `/no/such/file`: No such file or directory (ENOENT)",
            "help: ",
        ],
    );
    list(
        "no-such-program",
        &["not in any directory of PATH", "help: "],
    );
    list("/tmp", &["not a regular file", "help: "]);
}

#[test]
fn not_an_elf_file() {
    let script = TempFile::new("script.sh", b"#!/bin/sh\nexit 0\n");
    list(script.name(), &["not an ELF file", "help: "]);
    let empty = TempFile::new("empty", b"");
    list(empty.name(), &["not an ELF file"]);
}

#[test]
fn no_usdt_in_it() {
    list("/bin/true", &["it has none", "help: "]);
}

#[test]
fn no_such_probe() {
    Case {
        args: &["-l", "usdt:EXE:net:inbound_mesage"],
        code: 2,
        stderr: &[
            "none matches `net:inbound_mesage`",
            "did you mean `net:inbound_message`?",
        ],
        ..Case::default()
    }
    .check();
}

/// Bytes of the ELF header that hold an offset or a count (`include/uapi/linux/elf.h: struct elf64_hdr`).
const FIELDS: &[(&str, usize, usize)] = &[
    ("e_phoff", 32, 8),
    ("e_shoff", 40, 8),
    ("e_phentsize", 54, 2),
    ("e_phnum", 56, 2),
    ("e_shentsize", 58, 2),
    ("e_shnum", 60, 2),
    ("e_shstrndx", 62, 2),
];

#[test]
fn hostile_headers() {
    let good = std::fs::read(EXE).expect("read the binary");
    for (name, at, len) in FIELDS {
        for fill in [0xffu8, 0x7f, 0x00, 0x01] {
            let mut bytes = good.clone();
            bytes[*at..at + len].fill(fill);
            let file = TempFile::new(&format!("{name}-{fill:x}"), &bytes);
            answers(file.name(), &format!("{name} filled with {fill:#x}"));
        }
    }
}

#[test]
fn truncated_files() {
    let good = std::fs::read(EXE).expect("read the binary");
    for share in [0, 1, 5, 25, 50, 75, 99] {
        let bytes = &good[..good.len() * share / 100 + 40];
        let file = TempFile::new(&format!("cut-{share}"), bytes);
        answers(file.name(), &format!("cut to {share} %"));
    }
}

/// Three probes: one with a floating-point operand, one with two sites that disagree, one whose operand is no operand.
fn fixture() -> Elf {
    let note = |name, at, args: &str| Note {
        provider: "net",
        name,
        args: args.to_owned(),
        pc: CODE + at,
        semaphore: 0,
    };
    Elf {
        notes: vec![
            note("float", 0x10, "8f@%xmm0 -4@%edi"),
            note("sites", 0x20, "8@%rdi 8@%rsi"),
            note("sites", 0x30, "8@%rdi"),
            note("odd", 0x40, "8@what 4@%esi"),
        ],
        ..Elf::default()
    }
}

/// An operand that cannot be read is an error of the script that reads it, and of no other.
#[test]
fn operands_that_cannot_be_read() {
    let file = TempFile::new("operands", &fixture().write());
    for (probe, body, code, said) in [
        ("float", "printf(\"%d\", arg1)", 0, &[][..]),
        (
            "float",
            "printf(\"%d\", arg0)",
            1,
            &["floating-point", "8f@%xmm0", "^"],
        ),
        ("odd", "printf(\"%d\", arg1)", 0, &[]),
        ("odd", "printf(\"%d\", arg0)", 1, &["8@what", "^"]),
        ("sites", "printf(\"%d\", arg0)", 0, &[]),
        ("sites", "printf(\"%d\", arg1)", 0, &["arg1", "^"]),
        ("float", "printf(\"%d\", arg2)", 0, &["2 arguments", "^"]),
    ] {
        let script = format!("usdt:{}:net:{probe} {{ {body} }}", file.name());
        Case {
            args: &["check", "-e", &script],
            code,
            stdout: if code == 0 { &["nothing wrong"] } else { &[] },
            stderr: said,
            ..Case::default()
        }
        .check();
    }
    Case {
        args: &["-lv", &format!("usdt:{}:*", file.name())],
        stdout: &["8f@%xmm0", "8@what", "arg1 int32", "net:sites"],
        ..Case::default()
    }
    .check();
}

/// Every byte of the notes, one after the other, set to what makes lengths lie.
#[test]
fn hostile_notes() {
    let good = fixture().write();
    let owner = b"stapsdt\0";
    let first = good
        .windows(owner.len())
        .position(|w| w == owner)
        .expect("a note");
    for at in first - 12..first + 60 {
        for fill in [0x00, 0x7f, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = fill;
            let file = TempFile::new(&format!("note-{at}-{fill:x}"), &bytes);
            answers(file.name(), &format!("note byte {at} set to {fill:#x}"));
        }
    }
}

/// It lists what it can read, or says what is wrong; it does not die.
fn answers(path: &str, what: &str) {
    let out = crate::support::run(
        std::process::Command::new(EXE).args(["-lv", &format!("usdt:{path}:*")]),
        b"",
    );
    let stderr = crate::support::text(&out.stderr);
    match out.status.code() {
        Some(0) => assert!(stderr.is_empty(), "{what}: {stderr}"),
        Some(2) => assert!(stderr.starts_with("error: "), "{what}: {stderr}"),
        _ => panic!("{what}: {:?}\n{stderr}", out.status),
    }
}
