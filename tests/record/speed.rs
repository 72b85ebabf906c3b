//! How fast hits are written and read.

use super::support::{hit, meta};
use baretrace::record::{Hit, Recording, Writer};
use std::{path::Path, time::Instant};

#[test]
fn figures_of_writing_and_reading() {
    let hits: Vec<Hit> = (0..1000).map(hit).collect();
    let many = if cfg!(debug_assertions) { 50 } else { 1000 };
    let mut out = Vec::new();
    let start = Instant::now();
    let mut writer = Writer::new(&mut out, Path::new("memory"), &meta()).unwrap();
    for _ in 0..many {
        for hit in &hits {
            writer.hit(hit).unwrap();
        }
    }
    writer.end(Vec::new()).unwrap();
    let count = many * 1000;
    let rate = |start: Instant| f64::from(count) / start.elapsed().as_secs_f64() / 1e6;
    eprintln!(
        "written: {:.2} M hits/s, {:.1} bytes a hit",
        rate(start),
        out.len() as f64 / f64::from(count)
    );
    let recording = Recording::from_bytes(out).unwrap();
    let start = Instant::now();
    let mut reader = recording.reader();
    let mut got = Hit::default();
    while reader.next(&mut got).unwrap() {}
    eprintln!("read: {:.2} M hits/s", rate(start));
    assert_eq!(reader.hits(), u64::try_from(count).unwrap());
}
