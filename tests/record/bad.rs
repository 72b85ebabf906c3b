//! Recordings that are none, damaged, or of another version; files that are full.

use super::support::{bytes, file, hit, meta, refused};
use baretrace::record::{Hit, ReadError, Recording, Writer};
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
