//! Damaged and hostile files: any answer is right, except a panic, much memory, or much time.

use baretrace::elf;
use baretrace::spec::Arch;
use baretrace::usdt::{Error, Image, Listing, parse_args};

use crate::sample;
use crate::writer::{CODE, Elf, Note};

/// Everything that reads the file.
fn read_all(bytes: &[u8]) -> Option<Error> {
    if let Ok(image) = elf::Image::parse(bytes) {
        image.functions(|_| true);
        image.functions_named("main");
        image.symbol_addresses();
        image.build_id();
        image.debuglink();
    }
    match Image::parse(bytes) {
        Ok(image) => {
            let listing = Listing::new(&image, "x", "*", "*", true).to_string();
            assert!(listing.len() < 100 * (bytes.len() + 1000));
            image.probes(|_, _| true).err()
        }
        Err(e) => Some(e),
    }
}

/// A small stream of numbers (xorshift64: Marsaglia 2003).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn cut_at_any_length() {
    for wide in [true, false] {
        let bytes = Elf { wide, ..sample() }.write();
        for len in (0..bytes.len()).step_by(64).chain(0..128) {
            // Everything is found through the section headers at the end.
            let error = read_all(&bytes[..len]).unwrap();
            assert!(matches!(error, Error::Elf(_)), "{len}: {error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn flipped_bytes() {
    let mut state = 0x2545_f491_4f6c_dd1d;
    for wide in [true, false] {
        let bytes = Elf { wide, ..sample() }.write();
        for _ in 0..20_000 {
            let mut damaged = bytes.clone();
            for _ in 0..=random(&mut state) % 4 {
                let at = random(&mut state) as usize % damaged.len();
                damaged[at] = match random(&mut state) % 4 {
                    0 => 0xff,
                    1 => 0,
                    _ => random(&mut state) as u8,
                };
            }
            read_all(&damaged);
        }
    }
}

/// Writes `value` over a field of every section header: type 4, flags 8, addr 16, offset 24, size 32, link 40, align 48.
fn with_field(bytes: &[u8], section: usize, field: usize, value: u64) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    let table = bytes[40..48]
        .iter()
        .rev()
        .fold(0, |n, b| n << 8 | usize::from(*b));
    let at = table + section * 64 + field;
    damaged[at..at + 8].copy_from_slice(&value.to_le_bytes());
    damaged
}

#[test]
fn lying_section_headers() {
    let bytes = sample().write();
    let sections = usize::from(u16::from_le_bytes(bytes[60..62].try_into().unwrap()));
    for section in 0..sections {
        for field in [0, 8, 16, 24, 32, 40, 48, 56] {
            for value in [
                0,
                1,
                0xffff_ffff,
                u64::MAX,
                u64::MAX - 63,
                1 << 63,
                bytes.len() as u64,
            ] {
                read_all(&with_field(&bytes, section, field, value));
            }
        }
    }
    // Section 3 is `.note.stapsdt`.
    let error = read_all(&with_field(&bytes, 3, 24, u64::MAX)).unwrap();
    assert!(
        error.to_string().contains("lies outside of the file"),
        "{error}"
    );
}

#[test]
fn lying_notes() {
    let bytes = sample().write();
    let start = 0x440;
    for (field, why) in [
        (0, "its owner is too long"),
        (4, "it is longer than its section"),
    ] {
        for value in [0x7fff_ffffu32, u32::MAX, 5000] {
            let mut damaged = bytes.clone();
            damaged[start + field..start + field + 4].copy_from_slice(&value.to_le_bytes());
            let error = read_all(&damaged).unwrap();
            assert!(
                matches!(error, Error::Note { offset: 0x440, .. }),
                "{why}: {error}"
            );
        }
    }
    // The descriptor ends within its strings.
    let mut damaged = bytes.clone();
    damaged[start + 4..start + 8].copy_from_slice(&28u32.to_le_bytes());
    let error = read_all(&damaged).unwrap();
    assert!(
        error.to_string().ends_with("a string in it has no end"),
        "{error}"
    );
    // It is too short for its addresses.
    damaged[start + 4..start + 8].copy_from_slice(&20u32.to_le_bytes());
    let error = read_all(&damaged).unwrap();
    assert!(
        error
            .to_string()
            .contains("too short for its three addresses"),
        "{error}"
    );
}

#[test]
fn a_thousand_sections_over_the_same_notes_are_refused() {
    let mut bytes = sample().write();
    let table = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize;
    let count = usize::from(u16::from_le_bytes(bytes[60..62].try_into().unwrap()));
    let notes = bytes[table + 3 * 64..table + 4 * 64].to_vec();
    for _ in 0..1000 {
        bytes.extend(&notes);
    }
    // Enough notes that a thousand times of them are more than the file.
    let size = (table as u64 - 0x440).min(256);
    for section in count..count + 1000 {
        let at = table + section * 64 + 32;
        bytes[at..at + 8].copy_from_slice(&size.to_le_bytes());
    }
    bytes[60..62].copy_from_slice(&((count + 1000) as u16).to_le_bytes());
    let error = read_all(&bytes).unwrap();
    assert!(
        matches!(error, Error::Overlap | Error::Note { .. }),
        "{error}"
    );
}

#[test]
fn not_elf() {
    for bytes in [&b""[..], b"\x7fEL", b"#!/bin/sh\n", b"MZ\0\0"] {
        assert_eq!(read_all(bytes), Some(Error::Elf(elf::Error::NotElf)));
    }
    assert_eq!(elf::Error::NotElf.to_string(), "not an ELF file");
}

#[test]
fn no_operand_text_panics() {
    let pieces = [
        "8@",
        "-4@",
        "f",
        "@",
        "%",
        "rax",
        "$",
        "(",
        ")",
        "[",
        "]",
        ",",
        " ",
        "-",
        "+",
        "0x",
        "99999999999999999999",
        "sym",
        "(%rip)",
        "x0",
        "w1",
        "sxtw",
        "#",
        "#:lo12:",
        "lsl",
        "ü",
        "\u{1f600}",
        "!",
        ":",
        "16",
    ];
    let mut state = 42;
    for _ in 0..50_000 {
        let mut text = String::new();
        for _ in 0..random(&mut state) % 12 {
            text.push_str(pieces[random(&mut state) as usize % pieces.len()]);
        }
        for arch in [Arch::X86_64, Arch::Aarch64] {
            for arg in parse_args(arch, &text) {
                assert!([1, 2, 4, 8].contains(&arg.size), "{text}");
                assert!(text.contains(&arg.text));
            }
        }
    }
}

#[test]
fn a_long_operand_string_takes_linear_time() {
    let note = Note {
        provider: "p",
        name: "n",
        args: "[".repeat(200_000) + &" (".repeat(200_000),
        pc: CODE,
        semaphore: 0,
    };
    let bytes = Elf {
        notes: vec![note],
        ..Elf::default()
    }
    .write();
    let start = std::time::Instant::now();
    read_all(&bytes);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
