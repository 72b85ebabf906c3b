//! One vector for every instruction form: bytes, the kernel's text, LLVM's text, the mnemonic text.
//!
//! How the file was compared with other people's tools, by hand:
//! - kernel column: 241 of 258 lines are the 6.18 verifier log's, character for character (wide immediates but for
//!   their ` ll`); the other 17 are refused before the log prints them (unreachable, no such map or BTF id, `gotox`).
//! - LLVM column: 235 lines are what llvm-objdump 19 prints of the bytes, and llvm-mc 19 makes the same bytes of the
//!   same 235. The others LLVM 19 does not know (load-acquire, store-release, `gotox`) or prints without a field (pseudo
//!   sources, `skb[r2 + imm]`, local and kfunc calls).
//!
//! `BLESS=1 cargo test --test asm_vectors` writes the file anew from the tables.

#![allow(clippy::unwrap_used, reason = "a test")]

use baretrace::asm::disasm::Style;
use baretrace::asm::{decode, encode, forms, text};
use std::fmt::Write as _;
use std::path::PathBuf;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/insn.data")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn current() -> String {
    let mut out = String::from("# bytes | kernel | LLVM | mnemonic\n");
    for insn in forms::all() {
        let bytes = hex(&encode(&[insn]).unwrap());
        let [kernel, llvm, mnemonic] =
            [Style::Kernel, Style::Llvm, Style::Mnemonic].map(|s| insn.display(s).to_string());
        writeln!(out, "{bytes} | {kernel} | {llvm} | {mnemonic}").unwrap();
    }
    out
}

#[test]
fn vectors_hold() {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path(), current()).unwrap();
    }
    let data = std::fs::read_to_string(path()).unwrap();
    let mut seen = Vec::new();
    for line in data.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(" | ").collect();
        let [bytes, kernel, llvm, mnemonic] = columns[..] else {
            panic!("not four columns: {line}");
        };
        let bytes = unhex(bytes);
        let insns = decode(&bytes).unwrap();
        let [insn] = insns[..] else { panic!("{line}") };
        seen.push(insn);
        assert_eq!(encode(&insns).unwrap(), bytes);
        for (style, text) in [
            (Style::Kernel, kernel),
            (Style::Llvm, llvm),
            (Style::Mnemonic, mnemonic),
        ] {
            assert_eq!(insn.display(style).to_string(), text);
            assert_eq!(text::parse_insn(text), Ok(insn), "{text}");
        }
    }
    assert_eq!(seen, forms::all(), "a form without a vector");
}
