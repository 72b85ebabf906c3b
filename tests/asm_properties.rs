//! Properties of the assembler on random input: identity where it accepts, no panic anywhere.
//!
//! `BARETRACE_FUZZ_TIMES` makes a run so many times as long, `BARETRACE_FUZZ_SEED` another one.

#![allow(clippy::unwrap_used, reason = "a test")]

use baretrace::asm::disasm::Style;
use baretrace::asm::text::{self, Dialect};
use baretrace::asm::{Insn, Raw, decode, disasm, encode, forms};

/// Marsaglia's xorshift64.
struct Random(u64);

/// A number of the environment.
fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// How often something is tried.
fn times(usual: usize) -> usize {
    usual * setting("BARETRACE_FUZZ_TIMES", 1) as usize
}

impl Random {
    fn new(seed: u64) -> Random {
        // Zero would stay zero.
        Random(
            (seed ^ setting("BARETRACE_FUZZ_SEED", 0).wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Numbers that break things: ends of ranges, small ones, any.
    fn number(&mut self) -> i32 {
        let any = self.next() as i32;
        let few = [0, 1, -1, i32::MIN, i32::MAX, 16, 32, 64, 0x100, 0x110, 0xf1];
        match self.below(3) {
            0 => any,
            1 => any % 256,
            _ => few[self.below(few.len())],
        }
    }
}

/// A slot with the code of some form and random fields.
fn slots(random: &mut Random, all: &[Insn]) -> Vec<u8> {
    let (mut first, second) = all[random.below(all.len())].to_raw().unwrap();
    if random.below(2) == 0 {
        first.dst = random.below(11) as u8;
    }
    if random.below(2) == 0 {
        first.src = random.below(12) as u8;
    }
    if random.below(2) == 0 {
        first.off = random.number() as i16;
    }
    if random.below(2) == 0 {
        first.imm = random.number();
    }
    let mut bytes = first.to_bytes().to_vec();
    if let Some(mut second) = second {
        if random.below(2) == 0 {
            second.imm = random.number();
        }
        bytes.extend(second.to_bytes());
    }
    bytes
}

#[test]
fn what_decodes_encodes_and_prints_and_reads_to_itself() {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let all = forms::all();
    let mut accepted = 0;
    for _ in 0..times(20_000) {
        let bytes = slots(&mut random, &all);
        let Ok(insns) = decode(&bytes) else { continue };
        accepted += 1;
        assert_eq!(encode(&insns).unwrap(), bytes, "{insns:?}");
        for (style, dialect) in [
            (Style::Kernel, Dialect::Kernel),
            (Style::Llvm, Dialect::Kernel),
            (Style::Mnemonic, Dialect::Mnemonic),
        ] {
            let line = insns[0].display(style).to_string();
            let options = text::Options {
                dialect: Some(dialect),
                fragment: true,
            };
            let read =
                text::assemble(&line, options).unwrap_or_else(|e| panic!("{line}: {}", e[0]));
            assert_eq!(read.insns, insns, "{line}");
        }
    }
    assert!(accepted > 5_000, "only {accepted} accepted");
}

#[test]
fn decode_takes_any_bytes() {
    let mut random = Random::new(42);
    for _ in 0..times(50_000) {
        let length = random.below(40);
        let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        match decode(&bytes) {
            Ok(insns) => assert_eq!(encode(&insns).unwrap(), bytes),
            Err(error) => {
                assert!(error.slot() <= bytes.len() / 8);
                assert!(!error.to_string().is_empty() && !error.remedy().is_empty());
            }
        }
    }
}

/// Random programs as listings with labels: whatever jumps there are, the text means the same bytes.
#[test]
fn listings_of_random_programs_read_back() {
    let mut random = Random::new(7);
    let all = forms::all();
    for round in 0..times(300) {
        let mut insns = Vec::new();
        while insns.len() < 40 {
            // Maps by index are printed by number and read back as such.
            if let Ok(one) = decode(&slots(&mut random, &all)) {
                insns.extend(one);
            }
        }
        for (style, dialect) in [
            (Style::Kernel, Dialect::Kernel),
            (Style::Mnemonic, Dialect::Mnemonic),
        ] {
            let listing = disasm::Options {
                style,
                slots: round % 2 == 0,
                bytes: round % 3 == 0,
                ..disasm::Options::default()
            };
            let listing = disasm::program(&insns, listing);
            let options = text::Options {
                dialect: Some(dialect),
                fragment: true,
            };
            let read =
                text::assemble(&listing, options).unwrap_or_else(|e| panic!("{listing}\n{}", e[0]));
            assert_eq!(read.insns, insns, "{listing}");
        }
    }
}

#[test]
fn parsers_take_any_text() {
    let mut random = Random::new(0xfeed);
    let all = forms::all();
    let pieces = [
        "r1",
        "w2",
        "%r3",
        "r10",
        "r11",
        "=",
        "+=",
        "s>>=",
        "s",
        ">",
        "(",
        ")",
        "[",
        "]",
        "*",
        "u64",
        "s8",
        "ll",
        "goto",
        "if",
        "pc",
        "+",
        "-",
        "0x",
        "5",
        "99999999999999999999",
        "call",
        "bpf_loop",
        "#",
        "181",
        "map",
        "subprog",
        "btf",
        "id",
        ":",
        ",",
        ";",
        "//",
        "lock",
        "ja",
        "mov",
        "ldxdw",
        "é",
        "\u{0}",
        "\t",
        "\n",
        "exit",
        "<",
        "fp",
        "_",
        "18:",
        "(18)",
        "skb",
        "addr_space_cast",
        "atomic64_fetch_add",
        "kernel-function#",
        "@",
        "local",
        "🦀",
        ".map",
        "hash",
        "ringbuf",
    ];
    for round in 0..times(6_000) {
        let mut line = String::new();
        if round % 2 == 0 {
            for _ in 0..random.below(14) {
                line.push_str(pieces[random.below(pieces.len())]);
                if random.below(3) > 0 {
                    line.push(' ');
                }
            }
        } else {
            let insn = all[random.below(all.len())];
            let style = [Style::Kernel, Style::Llvm, Style::Mnemonic][random.below(3)];
            let mut chars: Vec<char> = insn.display(style).to_string().chars().collect();
            for _ in 0..=random.below(3) {
                let at = random.below(chars.len());
                match random.below(3) {
                    0 => chars[at] = char::from(random.below(128) as u8),
                    1 => drop(chars.remove(at)),
                    _ => chars.insert(at, char::from(random.below(128) as u8)),
                }
                if chars.is_empty() {
                    break;
                }
            }
            line = chars.into_iter().collect();
        }
        for dialect in [None, Some(Dialect::Kernel), Some(Dialect::Mnemonic)] {
            for fragment in [false, true] {
                let options = text::Options { dialect, fragment };
                match text::assemble(&line, options) {
                    Ok(program) => {
                        let bytes = encode(&program.insns).unwrap();
                        assert_eq!(decode(&bytes).unwrap(), program.insns, "{line:?}");
                        program.functions();
                    }
                    Err(errors) => {
                        assert!(!errors.is_empty(), "{line:?}");
                        for error in errors {
                            assert!(error.span.end as usize <= line.len(), "{line:?} {error:?}");
                            assert!(error.line >= 1 && error.column >= 1);
                            assert!(!error.to_string().is_empty());
                            error.help();
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn every_reserved_field_is_checked() {
    // Changing any field of a form gives an error or another instruction, never the same one.
    for insn in forms::all() {
        let (first, second) = insn.to_raw().unwrap();
        let mut variants = vec![
            (
                Raw {
                    dst: first.dst ^ 1,
                    ..first
                },
                second,
            ),
            (
                Raw {
                    src: first.src ^ 1,
                    ..first
                },
                second,
            ),
            (
                Raw {
                    off: first.off ^ 64,
                    ..first
                },
                second,
            ),
            (
                Raw {
                    imm: first.imm ^ 0x4000,
                    ..first
                },
                second,
            ),
        ];
        if let Some(high) = second {
            variants.push((first, Some(Raw { code: 1, ..high })));
            variants.push((first, Some(Raw { dst: 1, ..high })));
            variants.push((first, Some(Raw { src: 1, ..high })));
            variants.push((first, Some(Raw { off: 1, ..high })));
            variants.push((
                first,
                Some(Raw {
                    imm: high.imm ^ 1,
                    ..high
                }),
            ));
        }
        for (low, high) in variants {
            let mut bytes = low.to_bytes().to_vec();
            bytes.extend(high.iter().flat_map(|raw| raw.to_bytes()));
            if let Ok(other) = decode(&bytes) {
                assert_ne!(other, [insn]);
            }
        }
    }
}
