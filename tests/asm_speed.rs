//! Speed of the assembler; run with `cargo test --release --test asm_speed -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test")]

use baretrace::asm::{decode, disasm, encode, forms, text};
use std::time::Instant;

#[test]
#[ignore = "a measurement, for release builds"]
fn figures() {
    let all = forms::all();
    let program: Vec<_> = all.iter().copied().cycle().take(1_000_000).collect();
    let mut best = f64::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        let bytes = encode(&program).unwrap();
        let back = decode(&bytes).unwrap();
        best = best.min(start.elapsed().as_secs_f64());
        assert_eq!(back.len(), program.len());
    }
    let rate = 1.0 / best;
    println!("encode+decode: {rate:.1} M insn/s");
    let start = Instant::now();
    let listing = disasm::program(&program, disasm::Options::default());
    let print = start.elapsed();
    println!("disassemble 1,000,000: {print:?}, {} bytes", listing.len());
    let start = Instant::now();
    let options = text::Options {
        fragment: true,
        ..text::Options::default()
    };
    let read = text::assemble(&listing, options).unwrap();
    println!("assemble 1,000,000: {:?}", start.elapsed());
    assert_eq!(read.insns.len(), program.len());
    assert!(rate >= 50.0, "encode+decode below 50 M insn/s: {rate:.1}");
    assert!(
        print.as_secs_f64() < 1.0,
        "disassembly of a million: {print:?}"
    );
}
