//! Files that are no programs, or damaged ones: never a panic, never much memory, a message with a remedy.

use crate::support::{Case, EXE, TempFile};

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
