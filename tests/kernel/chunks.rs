//! Strings and buffers that no buffer in the kernel holds: they arrive whole, or their hit is counted as lost.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex},
};

use baretrace::{
    kernel::cpus,
    loader::Loaded,
    runtime::{
        Buffering, MapReader, Output, OutputOptions, Player, RecordCtx,
        hit::Hits,
        maps::Entry,
        perf_ring::{Drained, Rings, Stamp},
        value,
    },
    session::{Options, Script, Session},
    spec::{MapRole, Object},
};

use crate::{
    fixture::{self, Site},
    support::{self, user},
};

/// What was printed.
#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Text {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().expect("lock"))
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where the main thread's stack ends. The strings that the kernel put there are in memory, and behind it is nothing.
fn end_of_stack() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let line = maps.lines().find(|line| line.ends_with("[stack]"));
    let range = line
        .and_then(|line| line.split(' ').next())
        .expect("a stack");
    let end = range.split('-').nth(1).expect("an end");
    u64::from_str_radix(end, 16).expect("hex")
}

/// The scripts here have no maps.
struct NoMaps;

impl MapReader for NoMaps {
    fn entries(&mut self, _: usize) -> io::Result<Vec<Entry>> {
        Ok(Vec::new())
    }
    fn lookup(&mut self, _: usize, _: &[u8]) -> io::Result<Option<Vec<Vec<u8>>>> {
        Ok(None)
    }
    fn clear(&mut self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn zero(&mut self, _: usize, _: usize) -> io::Result<()> {
        Ok(())
    }
}

fn compile(body: &str, without: &[&str]) -> Object {
    let path = fixture::path();
    let options = Options {
        script: Script {
            name: "chunks.bt".into(),
            text: format!(
                "config = {{ max_strlen = 4194304 }} uprobe:{}:main {{ {body} }}",
                path.display()
            ),
        },
        without: without.iter().map(|word| (*word).to_owned()).collect(),
        ..Options::default()
    };
    let session = match Session::for_kernel(&options, None) {
        Ok(session) => session,
        Err(e) => panic!("{e}"),
    };
    match session.compile() {
        Ok(compiled) => compiled.object,
        Err(e) => panic!("{e}"),
    }
}

/// The program of a script, on a function of this process.
struct Traced {
    loaded: Loaded,
    rings: Rings,
    hits: Hits,
    player: Player,
    text: Text,
    lost: usize,
    attached: baretrace::runtime::attach::Attachment,
}

impl Traced {
    fn start(object: &Object, site: &Site, ring: usize) -> Traced {
        let loaded = support::load(object, true);
        let rings =
            Rings::open(&cpus::online().expect("cpus"), ring, Stamp::Program).expect("rings");
        let role = |role| object.map_index(|r| *r == role).expect("a map");
        rings
            .install(&loaded.maps[role(MapRole::Ring)])
            .expect("install");
        let text = Text::default();
        let output = Output::to(Box::new(text.clone()), "test", Buffering::None);
        let options = OutputOptions {
            max_strlen: 4_194_304,
            ..OutputOptions::default()
        };
        let player = Player::with_output(object, options, output, Box::new(io::sink()));
        let spec = user(vec![site.user_site()], Some(std::process::id()));
        let attached = support::attach(&loaded, &spec, true).expect("attach");
        Traced {
            loaded,
            rings,
            hits: Hits::default(),
            player: player.expect("player"),
            text,
            lost: role(MapRole::Lost),
            attached,
        }
    }

    /// Reads all there is, and gives what was printed.
    fn read(&mut self) -> Vec<u8> {
        let (hits, player) = (&mut self.hits, &mut self.player);
        let drained: Drained = self.rings.flush(|record| {
            let ctx = RecordCtx {
                cpu: record.cpu,
                time: record.time,
                pid: None,
            };
            if let Some(whole) = hits.put(record.cpu, record.data) {
                player
                    .play(&whole, ctx, &mut NoMaps)
                    .expect("sound records");
            }
            ControlFlow::Continue(())
        });
        assert!(!drained.held);
        self.text.take()
    }

    fn lost(&self) -> u64 {
        let mut counts = [0; 8];
        let map = &self.loaded.maps[self.lost];
        map.lookup(&0u32.to_ne_bytes(), &mut counts)
            .expect("lookup");
        u64::from_ne_bytes(counts)
    }
}

/// Bytes without a NUL that differ from place to place, and a NUL.
fn string(len: usize) -> Vec<u8> {
    let letter = |i: usize| b"0123456789abcdef"[(i ^ i >> 12) & 15];
    (0..len).map(letter).chain([0]).collect()
}

#[test]
fn strings_and_buffers_of_any_length_arrive_whole() {
    if !support::may_trace() {
        return;
    }
    let lens = [
        0, 1, 2046, 2047, 2048, 2049, 28_663, 28_664, 28_665, 57_343, 1_000_000, 4_000_000,
    ];
    for without in [&[][..], &["may_goto"], &["may_goto", "atomics"]] {
        let object = compile(
            "printf(\"%s|\", str(arg0)); printf(\"%r|%s\", buf(arg0, 100000), str(arg0, 3000));",
            without,
        );
        let mut traced = Traced::start(&object, &fixture::CHUNKS, 16 << 20);
        for len in lens {
            let mut bytes = string(len);
            bytes.resize(len.max(100_000) + 1, 0);
            fixture::CHUNKS.fire(bytes.as_ptr() as u64);
            let mut want = bytes[..len].to_vec();
            want.push(b'|');
            for byte in &bytes[..100_000] {
                match byte {
                    0 => want.extend(b"\\x00"),
                    byte => want.push(*byte),
                }
            }
            want.push(b'|');
            want.extend(&bytes[..len.min(2999)]);
            let got = traced.read();
            let first = got.iter().zip(&want).position(|(a, b)| a != b);
            assert!(
                got == want,
                "{len} bytes, without {without:?}: {} for {}, first wrong {first:?}",
                got.len(),
                want.len()
            );
        }
        assert_eq!((traced.lost(), traced.hits.torn(0)), (0, 0));
        drop(traced.attached);
    }
}

#[test]
fn what_cannot_be_read_is_empty_or_zeros() {
    if !support::may_trace() {
        return;
    }
    let object = compile(
        "printf(\"[%s]%r,%r\", str(arg0), buf(arg0, 3), buf(arg0, 4294967296));",
        &[],
    );
    let mut traced = Traced::start(&object, &fixture::CHUNKS_BAD, 16 << 20);
    for address in [0, 8, 0xdead_beef_0000, u64::MAX - 100] {
        fixture::CHUNKS_BAD.fire(address);
        let got = traced.read();
        let want = [b"[]\\x00\\x00\\x00,".to_vec(), b"\\x00".repeat(4_194_304)].concat();
        assert!(got == want, "{address:#x}: {} bytes", got.len());
    }
    // Memory that ends after 5,000 bytes: the first piece of it, and zeros.
    let end = end_of_stack();
    fixture::CHUNKS_BAD.fire(end - 5000);
    let got = traced.read();
    let comma = got.iter().rposition(|b| *b == b',').expect("a comma");
    let mut there = vec![0; 2048];
    let memory = std::fs::File::open("/proc/self/mem").expect("own memory");
    memory.read_exact_at(&mut there, end - 5000).expect("read");
    let mut want = Vec::new();
    value::hex_bytes(&mut want, &there, true, true);
    want.extend(b"\\x00".repeat(4_194_304 - 2048));
    assert!(got[comma + 1..] == want);
    assert_eq!(traced.lost(), 0);
    drop(traced.attached);
}

/// A ring that holds a hit and a half: what is printed is whole, what is not printed is counted.
#[test]
fn a_lost_chunk_is_a_lost_hit() {
    if !support::may_trace() {
        return;
    }
    let object = compile(
        "printf(\"<%d %s>\", arg0 >> 48, str(arg0 << 16 >> 16));",
        &[],
    );
    let mut traced = Traced::start(&object, &fixture::CHUNKS_LOST, 128 << 10);
    let bytes = string(80_000);
    let mut seen = 0;
    for round in 0..20u64 {
        let (first, hits) = (round * 5, 5);
        for n in first..first + hits {
            fixture::CHUNKS_LOST.fire(n << 48 | bytes.as_ptr() as u64);
        }
        let text = traced.read();
        for hit in text.split(|b| *b == b'<').filter(|hit| !hit.is_empty()) {
            let number = hit.split(|b| *b == b' ').next().expect("a number");
            let want = [number, b" ", &bytes[..80_000], b">"].concat();
            assert!(hit == want, "torn: {} bytes", hit.len());
            seen += 1;
        }
        assert_eq!(seen + traced.lost(), (round + 1) * hits);
    }
    assert!(seen >= 20, "{seen}");
    assert_eq!(traced.hits.torn(0), 0);
    drop(traced.attached);
}
