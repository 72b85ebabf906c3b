//! Recordings that are none, damaged, or of another version; files that are full.

use super::support::{bytes, file, hit, meta, refused, script};
use baretrace::{
    record::{self, Hit, ReadError, Recording, Writer},
    runtime::{Buffering, Output, OutputOptions},
    simulate::Capture,
};
use std::{io, path::Path};

/// What reading all of it says.
fn read(bytes: Vec<u8>) -> Result<u64, ReadError> {
    let recording = Recording::from_bytes(bytes)?;
    let mut reader = recording.reader();
    while reader.next(&mut Hit::default())? {}
    Ok(reader.hits())
}

#[test]
fn every_changed_byte_is_noticed() {
    let whole = bytes(40);
    assert_eq!(read(whole.clone()).unwrap(), 40);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        match read(changed) {
            Err(_) => {}
            // A length that reaches beyond the file looks as if the file was cut off there.
            Ok(hits) => assert!(
                hits < 40 || whole.len() - at < 100,
                "byte {at}: {hits} hits"
            ),
        }
    }
}

#[test]
fn blocks_are_not_missed() {
    let whole = bytes(20_000);
    // The second block, taken out whole: its checksum goes with it.
    let length = |at: usize| u32::from_le_bytes(whole[at + 4..at + 8].try_into().unwrap()) as usize;
    let second = 32 + length(16);
    let third = second + 16 + length(second);
    let cut = [&whole[..second], &whole[third..]].concat();
    let error = read(cut).unwrap_err().to_string();
    assert!(error.contains("20000 hits were written"), "{error}");
    let twice = [&whole[..third], &whole[second..]].concat();
    assert!(read(twice).is_err());
    let more = [&whole[..], b"more"].concat();
    assert!(
        read(more)
            .unwrap_err()
            .to_string()
            .contains("behind the last block")
    );
}

#[test]
fn what_is_no_recording_is_named_as_such() {
    let mut version = bytes(1);
    version[8] = 9;
    let mut machine = bytes(1);
    machine[12] = 243;
    let mut other = bytes(1);
    other[12] = 183;
    let mut text = bytes(1);
    text[32] = b'[';
    for (name, bytes, want, help) in [
        (
            "text",
            b"{\"probe\": 1}\n".to_vec(),
            "this is no recording",
            "baretrace record",
        ),
        (
            "empty",
            Vec::new(),
            "this is no recording",
            "baretrace record",
        ),
        (
            "short",
            bytes(1)[..14].to_vec(),
            "ends before its first block",
            "record it again",
        ),
        (
            "headless",
            bytes(1)[..200].to_vec(),
            "ends before its first block",
            "record it again",
        ),
        (
            "version",
            version,
            "version 9 of the format, version 1 is known",
            "a newer baretrace",
        ),
        (
            "machine",
            machine,
            "is of machine 243; x86-64 and aarch64 are known",
            "",
        ),
        (
            "other",
            other,
            "damaged at byte 0: the header says aarch64",
            "checksum",
        ),
        (
            "edited",
            text,
            "damaged at byte 16: the checksum of a block is wrong",
            "was changed",
        ),
    ] {
        let path = file(name);
        std::fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap();
        let (code, error) = refused(&["replay", path, "-e", "usdt:/bin/app:app:hit { }"]);
        assert_eq!(code, 2, "{name}: {error}");
        assert!(
            error.contains(want) && error.contains(help),
            "{name}: {error}"
        );
        assert!(error.contains(path), "{name}: {error}");
        std::fs::remove_file(path).unwrap();
    }
    let (code, error) = refused(&["replay", "/does/not/exist", "-e", "begin { }"]);
    assert_eq!(code, 2);
    assert!(
        error.contains("read recording `/does/not/exist`: No such file"),
        "{error}"
    );
}

/// The checksum of a block, as `docs/recording.md` says.
fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let crc = |bytes: &[u8]| {
        let step = |crc: u32, byte: &u8| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ if crc & 1 != 0 { 0xedb8_8320 } else { 0 }
            })
        };
        !bytes.iter().fold(u32::MAX, step)
    };
    crc(body) ^ crc(header).rotate_left(1)
}

/// Makes the checksums of all blocks right again.
fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    let mut at = 16;
    while at + 16 <= file.len() {
        let len = u32::from_le_bytes(file[at + 4..at + 8].try_into().unwrap()) as usize;
        let Some(body) = file.get(at + 16..at + 16 + len) else {
            break;
        };
        let sum = checksum(&file[at..at + 12], body).to_le_bytes();
        file[at + 12..at + 16].copy_from_slice(&sum);
        at += 16 + len;
    }
    file
}

#[test]
fn what_was_edited_and_sealed_again_is_an_error_or_a_run() {
    let whole = bytes(40);
    assert_eq!(sealed(whole.clone()), whole, "the documented checksum");
    let text =
        r#"usdt:/bin/app:app:hit { printf("%d %s %s\n", arg0, str(arg2), usym(reg("ip"))); }"#;
    let (mut state, mut ran, mut refused) = (7u64, 0, 0);
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..1500 {
        let mut file = whole.clone();
        for _ in 0..=random(3) {
            let at = 32 + random(file.len() - 32);
            // Digits become other digits: numbers in JSON stay numbers.
            file[at] = match file[at] {
                b'0'..=b'9' => b'0' + u8::try_from(random(10)).unwrap(),
                _ => u8::try_from(random(256)).unwrap(),
            };
        }
        let replayed =
            Recording::from_bytes(sealed(file)).map(|recording| replayed(&recording, text));
        match replayed {
            Ok(true) => ran += 1,
            _ => refused += 1,
        }
    }
    assert!(
        ran > 50 && refused > 50,
        "{ran} ran, {refused} were refused"
    );
    let at = whole
        .windows(8)
        .position(|part| part == b"\"cpus\":4")
        .unwrap();
    let mut none = whole.clone();
    none[at + 7] = b'0';
    let error = read(sealed(none)).unwrap_err().to_string();
    assert!(error.contains("a machine of 0 CPUs"), "{error}");
}

/// Whether a script runs to its end over a recording.
fn replayed(recording: &Recording, text: &str) -> bool {
    let Ok(replay) = record::replay(recording, &script(text)) else {
        return false;
    };
    let output = Output::to(Box::new(Capture::default()), "memory", Buffering::Full);
    let errors = Box::new(Capture::default());
    let mut player = replay
        .compiled
        .player(OutputOptions::default(), output, errors)
        .unwrap();
    replay
        .run(&replay.compiled.settings(), false, &mut player)
        .is_ok()
}

#[test]
fn damage_in_a_later_block_is_told_after_what_came_before() {
    let mut whole = bytes(20_000);
    let at = whole.len() - 3000;
    whole[at] ^= 1;
    let path = file("later");
    std::fs::write(&path, whole).unwrap();
    let (code, error) = refused(&[
        "replay",
        path.to_str().unwrap(),
        "-e",
        "usdt:/bin/app:app:hit { @ = count(); }",
    ]);
    assert_eq!(code, 2);
    assert!(
        error.contains("damaged at byte ") && error.contains("checksum"),
        "{error}"
    );
    std::fs::remove_file(path).unwrap();
}

/// Takes that many bytes.
struct Full(usize);

impl io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.0 {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_with_what_is_in_the_file() {
    let mut writer = Writer::new(Full(700_000), Path::new("/full/disk"), &meta()).unwrap();
    let error = (0..)
        .find_map(|n| writer.hit(&hit(n)).err())
        .unwrap()
        .to_string();
    assert!(
        error.starts_with(
            "write recording `/full/disk`: No space left on device (ENOSPC); its first "
        ),
        "{error}"
    );
    let hits: u64 = error.split(' ').rev().nth(5).unwrap().parse().unwrap();
    assert!(hits > 10_000, "{error}");
}

#[test]
fn a_recording_needs_a_file_and_something_to_record() {
    let (code, error) = refused(&["record", "-e", "begin { }"]);
    assert_eq!(code, 2);
    assert!(error.contains("give -o FILE"), "{error}");
    let (code, error) = refused(&[
        "record",
        "-o",
        "/does/not/exist/x",
        "usdt:/does/not/exist:a:b",
    ]);
    assert_ne!(code, 0);
    assert!(error.contains("/does/not/exist"), "{error}");
    let (code, error) = refused(&["record", "-o", "/tmp/x"]);
    assert_eq!(code, 2);
    assert!(error.contains("no script"), "{error}");
}
