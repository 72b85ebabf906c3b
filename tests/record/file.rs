//! What is written is read again, and a file that was cut off is read up to its last whole block.

use super::support::{bytes, file, hit, meta, recording};
use baretrace::record::{Hit, Recording, Writer};
use std::path::Path;

#[test]
fn hits_come_back_as_they_were() {
    // Several blocks.
    let recording = recording(20_000);
    assert_eq!(recording.meta, meta());
    let mut reader = recording.reader();
    let mut got = Hit::default();
    for n in 0..20_000 {
        assert!(reader.next(&mut got).unwrap());
        assert_eq!(got, hit(n));
    }
    assert!(!reader.next(&mut got).unwrap());
    assert_eq!(reader.end().map(|end| end.hits), Some(20_000));
    assert_eq!(reader.cut(), None);
    assert!(recording.size() < 20_000 * 32, "{} bytes", recording.size());
}

#[test]
fn any_numbers_come_back() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, Path::new("memory"), &meta()).unwrap();
    let mut hits = Vec::new();
    for n in [0, 1, u64::MAX, 1 << 63, 77] {
        let mut hit = Hit {
            time: n,
            boot: !n,
            pid: u32::MAX,
            comm: [b'x'; 16],
            regs: vec![n, !n, 0, u64::MAX],
            ..Hit::default()
        };
        hit.push(112, n, (-14i64).cast_unsigned(), &[]);
        hit.push(5, 0, n, &[]);
        hit.push(112, !n, 0, &[0; 300]);
        writer.hit(&hit).unwrap();
        hits.push(hit);
    }
    writer.end(vec![3]).unwrap();
    let recording = Recording::from_bytes(out).unwrap();
    let mut reader = recording.reader();
    let mut got = Hit::default();
    for want in hits {
        assert!(reader.next(&mut got).unwrap());
        assert_eq!(got, want);
    }
    assert!(!reader.next(&mut got).unwrap());
    assert_eq!(reader.end().unwrap().lost_hits(), 3);
}

#[test]
fn a_file_that_was_cut_off_is_readable_up_to_its_last_block() {
    let whole = bytes(20_000);
    let mut seen = Vec::new();
    for keep in [whole.len() - 1, whole.len() - 60, whole.len() / 2, 3000] {
        let recording = Recording::from_bytes(whole[..keep].to_vec()).unwrap();
        let mut reader = recording.reader();
        let mut got = Hit::default();
        let mut n = 0;
        while reader.next(&mut got).unwrap() {
            assert_eq!(got, hit(n));
            n += 1;
        }
        assert!(reader.cut().is_some());
        assert_eq!(reader.end(), None);
        seen.push(n);
    }
    assert_eq!(seen[0], 20_000);
    assert!(seen[2] > 0 && seen[2] < 20_000, "{seen:?}");
    assert_eq!(seen[3], 0);
}

#[test]
fn what_is_a_moment_old_is_in_the_file() {
    let path = file("aged");
    let mut writer = Writer::create(&path, &meta()).unwrap();
    writer.hit(&hit(0)).unwrap();
    writer.age().unwrap();
    let hits = || {
        let recording = Recording::open(&path).unwrap();
        let mut reader = recording.reader();
        while reader.next(&mut Hit::default()).unwrap() {}
        reader.hits()
    };
    assert_eq!(hits(), 0);
    std::thread::sleep(std::time::Duration::from_millis(250));
    writer.age().unwrap();
    assert_eq!(hits(), 1);
    std::fs::remove_file(path).unwrap();
}
