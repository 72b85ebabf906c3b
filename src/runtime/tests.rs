//! Records in, text and JSON out: the whole way through a player.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use super::*;
use crate::spec::{
    Action, Agg, BLOB_TAG, EventPlan, Field, Group, MapKind, MapRole, MapSpec, Object, StructDef,
    StructField, StructId, Type,
};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

/// Maps in memory.
#[derive(Default)]
struct Memory(BTreeMap<usize, BTreeMap<Vec<u8>, Vec<Vec<u8>>>>);

impl MapReader for Memory {
    fn entries(&mut self, map: usize) -> io::Result<Vec<Entry>> {
        let found = self.0.get(&map).cloned().unwrap_or_default();
        Ok(found.into_iter().collect())
    }
    fn lookup(&mut self, map: usize, key: &[u8]) -> io::Result<Option<Vec<Vec<u8>>>> {
        Ok(self.0.get(&map).and_then(|m| m.get(key)).cloned())
    }
    fn clear(&mut self, map: usize) -> io::Result<()> {
        self.0.remove(&map);
        Ok(())
    }
    fn zero(&mut self, map: usize, keep: usize) -> io::Result<()> {
        let values = self.0.entry(map).or_default().values_mut().flatten();
        for value in values {
            let end = value.len() - keep;
            value[..end].fill(0);
        }
        Ok(())
    }
}

fn int(bits: u8, signed: bool) -> Type {
    Type::Int { bits, signed }
}

/// Puts a group's arguments and blobs together.
#[derive(Default)]
struct Builder {
    args: Vec<u8>,
    blobs: Vec<(usize, Vec<u8>)>,
    fields: Vec<Field>,
}

impl Builder {
    fn fixed(mut self, ty: Type, bytes: &[u8]) -> Self {
        let at = self.args.len() as u32;
        self.fields.push(Field {
            ty,
            at,
            blob: false,
        });
        self.args.extend_from_slice(bytes);
        self
    }

    fn blob(mut self, ty: Type, bytes: &[u8]) -> Self {
        let at = self.args.len();
        self.fields.push(Field {
            ty,
            at: at as u32,
            blob: true,
        });
        self.args.extend_from_slice(&[0; 4]);
        self.blobs.push((at, bytes.to_vec()));
        self
    }

    fn record(&self) -> Vec<u8> {
        let mut record = vec![0; 8];
        record.extend_from_slice(&0u32.to_ne_bytes());
        let args = record.len();
        record.extend_from_slice(&self.args);
        for (at, bytes) in &self.blobs {
            let offset = record.len() as u32;
            record[args + at..args + at + 4].copy_from_slice(&offset.to_ne_bytes());
            record.extend_from_slice(&(BLOB_TAG | bytes.len() as u32).to_ne_bytes());
            record.extend_from_slice(bytes);
        }
        let len = record.len() as u32;
        record[..4].copy_from_slice(&len.to_ne_bytes());
        record.extend_from_slice(&[0xaa; 3]);
        record
    }

    fn group(&self, actions: Vec<Action>) -> Group {
        Group {
            size: self.args.len() as u32,
            actions,
        }
    }
}

fn object(groups: Vec<Group>, maps: Vec<MapSpec>, structs: Vec<StructDef>) -> Object {
    Object {
        script_name: "-e".into(),
        source: String::new(),
        license: "GPL".into(),
        maps,
        programs: vec![],
        events: EventPlan {
            groups,
            structs,
            faults: Vec::new(),
        },
    }
}

fn user_map(name: &str, kind: MapKind, key: Option<Type>, value: Type) -> MapSpec {
    MapSpec {
        name: name.into(),
        kind,
        key_size: 8,
        value_size: 8,
        max_entries: 1,
        flags: 0,
        init: vec![],
        role: MapRole::User {
            name: name.into(),
            key,
            value,
        },
    }
}

fn player(object: &Object, form: Form) -> (Player, Sink, Sink) {
    let (out, err) = (Sink::default(), Sink::default());
    let options = OutputOptions {
        form,
        ..OutputOptions::default()
    };
    let output = Output::to(Box::new(out.clone()), "test", Buffering::None);
    let player = Player::with_output(object, options, output, Box::new(err.clone())).unwrap();
    (player, out, err)
}

/// What one record prints with these actions.
fn printed(builder: &Builder, actions: Vec<Action>, structs: Vec<StructDef>, form: Form) -> String {
    let object = object(vec![builder.group(actions)], vec![], structs);
    let (mut player, out, _) = player(&object, form);
    let flow = player.play(
        &builder.record(),
        RecordCtx::default(),
        &mut Memory::default(),
    );
    assert_eq!(flow.unwrap(), Flow::Continue);
    out.take()
}

fn printf(format: &str, builder: Builder) -> String {
    let args = builder.fields.clone();
    let action = Action::Printf {
        format: format.into(),
        args,
        stream: 0,
    };
    printed(&builder, vec![action], vec![], Form::Text)
}

#[test]
fn p2p_line() {
    let str_ = |size| Type::Str { size };
    let builder = Builder::default()
        .blob(str_(1024), b"ping\0")
        .fixed(int(64, true), &7i64.to_ne_bytes())
        .blob(str_(1024), b"outbound-full-relay\0")
        .blob(str_(1024), b"127.0.0.1:8333\0")
        .fixed(int(64, false), &8u64.to_ne_bytes());
    let text = printf(
        "inbound '%s' msg from peer %d (%s, %s) with %d bytes\n",
        builder,
    );
    assert_eq!(
        text,
        "inbound 'ping' msg from peer 7 (outbound-full-relay, 127.0.0.1:8333) with 8 bytes\n"
    );
}

/// What C's printf gives for a 64-bit value through each conversion (glibc's answers, recorded; `%s` is not C's).
#[test]
fn integers_as_c_prints_them() {
    let table: &[(&str, i64, &str)] = &[
        ("%d", -5, "-5"),
        ("%i", 42, "42"),
        ("%5d|", 3, "    3|"),
        ("%-5d|", 3, "3    |"),
        ("%05d|", -3, "-0003|"),
        ("%-05d|", -3, "-3   |"),
        ("%+d", 4, "+4"),
        ("% d", 5, " 5"),
        ("%+05d", 7, "+0007"),
        ("%.3d", 5, "005"),
        ("%8.3d|", -5, "    -005|"),
        ("%08.3d|", -5, "    -005|"),
        ("%.0d|", 0, "|"),
        ("%u", -1, "4294967295"),
        ("%x", -1, "ffffffff"),
        ("%llx", -1, "ffffffffffffffff"),
        ("%lu", -1, "18446744073709551615"),
        ("%X", 48879, "BEEF"),
        ("%#x", 255, "0xff"),
        ("%#X", 255, "0XFF"),
        ("%#o", 8, "010"),
        ("%#x", 0, "0"),
        ("%o", 8, "10"),
        ("%08x", 255, "000000ff"),
        ("%#08x", 255, "0x0000ff"),
        ("%hhd", 300, "44"),
        ("%hd", 70000, "4464"),
        ("%hhx", 511, "ff"),
        ("%d", 5_000_000_000, "705032704"),
        ("%ld", 5_000_000_000, "5000000000"),
        ("%lld", -5_000_000_000, "-5000000000"),
        ("%zd", -1, "-1"),
        ("%jd", i64::MIN, "-9223372036854775808"),
        ("%c", 65, "A"),
        ("%3c|%%", 65, "  A|%"),
        ("%p", 4096, "0x1000"),
        ("%8p|", 255, "    0xff|"),
        ("%s", -7, "-7"),
        ("100%% %d", 1, "100% 1"),
    ];
    for &(format, value, want) in table {
        let builder = Builder::default().fixed(int(64, true), &value.to_ne_bytes());
        assert_eq!(printf(format, builder), want, "{format} of {value}");
    }
    let narrow = Builder::default()
        .fixed(int(8, true), &[0xff])
        .fixed(int(8, true), &[0xff])
        .fixed(int(8, false), &[0xff])
        .fixed(int(16, true), &(-2i16).to_ne_bytes())
        .fixed(int(32, false), &u32::MAX.to_ne_bytes());
    assert_eq!(
        printf("%d %x %d %x %ld", narrow),
        "-1 ffffffff 255 fffffffe 4294967295"
    );
}

/// Random flags, widths, precisions (of numbers alone) and lengths: format, `n` or `s`, value, and what glibc's
/// printf printed for it.
#[test]
fn random_conversions_as_c_prints_them() {
    let table = include_str!("../../tests/data/printf.tsv");
    let mut wrong = Vec::new();
    for row in table.lines() {
        let fields: Vec<&str> = row.splitn(4, '\t').collect();
        let [format, kind, value, want] = fields[..] else {
            panic!("{row}");
        };
        let builder = match kind {
            "n" => {
                let value: i64 = value.parse().unwrap();
                Builder::default().fixed(int(64, true), &value.to_ne_bytes())
            }
            _ => {
                let text = format!("{value}\0");
                Builder::default().blob(Type::Str { size: 64 }, text.as_bytes())
            }
        };
        let got = printf(&format!("{format}|"), builder);
        if got != want {
            wrong.push(format!("{format} of {value}: `{got}` is not `{want}`"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn strings_and_buffers() {
    let text = Type::Str { size: 8 };
    let of =
        |format: &str, bytes: &[u8]| printf(format, Builder::default().blob(text.clone(), bytes));
    assert_eq!(of("[%-8s]", b"abc\0"), "[abc     ]");
    assert_eq!(of("[%8.2s]", b"abc\0"), "[     abc]", "no precision");
    assert_eq!(of("%s", b"1234567\0"), "1234567", "its length is named");
    assert_eq!(of("%s", b"123456\0"), "123456");
    assert_eq!(
        printf(
            "%s|",
            Builder::default().fixed(Type::Str { size: 4 }, b"abc\0")
        ),
        "abc|"
    );
    let buf = |format| {
        printf(
            format,
            Builder::default().blob(Type::Buf { size: 4 }, b"he\x01\xff"),
        )
    };
    assert_eq!(buf("%r"), "he\\x01\\xff");
    assert_eq!(buf("%rx"), "\\x68\\x65\\x01\\xff");
    assert_eq!(buf("%rh"), "68 65 01 ff");
    assert_eq!(buf("%12r|"), "  he\\x01\\xff|");
    let fixed = Builder::default().fixed(Type::Buf { size: 4 }, b"\x02\0\0\0hixx");
    assert_eq!(printf("%r", fixed), "hi");
    // An empty blob field is an empty string.
    let none = Builder::default().fixed(int(32, false), &[0; 4]);
    let field = Field {
        ty: text.clone(),
        at: 0,
        blob: true,
    };
    let action = Action::Printf {
        format: "[%s]".into(),
        args: vec![field],
        stream: 0,
    };
    assert_eq!(printed(&none, vec![action], vec![], Form::Text), "[]");
}

#[test]
fn values() {
    let color = Type::Enum {
        name: "color".into(),
        bits: 32,
        values: vec![(1, "RED".into())],
    };
    let tuple = Type::Tuple(vec![
        int(8, true),
        Type::Str { size: 4 },
        Type::Tuple(vec![int(32, true), Type::Bool]),
    ]);
    let mut tuple_bytes = vec![0xfd, b'a', b'b', 0, 0, 0, 0, 0];
    tuple_bytes.extend_from_slice(&9i32.to_ne_bytes());
    tuple_bytes.extend_from_slice(&[1, 0, 0, 0]);
    let record = Type::Record(vec![
        ("color".into(), Type::Str { size: 6 }),
        ("size".into(), int(8, true)),
    ]);
    let mut inet4 = 2u64.to_ne_bytes().to_vec();
    inet4.extend_from_slice(&[127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut inet6 = 10u64.to_ne_bytes().to_vec();
    inet6.extend_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let structs = vec![StructDef {
        name: "struct foo".into(),
        size: 8,
        align: 4,
        fields: vec![
            StructField {
                name: "a".into(),
                ty: int(32, true),
                offset: 0,
                bits: None,
            },
            StructField {
                name: "b".into(),
                ty: int(32, false),
                offset: 4,
                bits: Some((4, 3)),
            },
        ],
    }];
    let mut foo = (-1i32).to_ne_bytes().to_vec();
    foo.extend_from_slice(&0x5fu32.to_ne_bytes());
    let table: Vec<(Type, Vec<u8>, &str, &str)> = vec![
        (int(8, true), vec![0xff], "-1", "-1"),
        (
            int(64, false),
            u64::MAX.to_ne_bytes().to_vec(),
            "18446744073709551615",
            "\"18446744073709551615\"",
        ),
        (Type::Bool, vec![1], "true", "true"),
        (color.clone(), 1u32.to_ne_bytes().to_vec(), "RED", "1"),
        (color, 2u32.to_ne_bytes().to_vec(), "2", "2"),
        (
            tuple,
            tuple_bytes,
            "(-3, ab, (9, true))",
            "[-3,\"ab\",[9,true]]",
        ),
        (
            record,
            b"green\0\x02".to_vec(),
            "{ .color = green, .size = 2 }",
            "{\"color\": \"green\", \"size\": 2}",
        ),
        (
            Type::Array(Box::new(int(8, false)), 2),
            vec![1, 2],
            "[1,2]",
            "[1,2]",
        ),
        (
            Type::Struct(StructId(0)),
            foo,
            "{ .a = -1, .b = 5 }",
            "{\"a\": -1, \"b\": 5}",
        ),
        (
            Type::Ptr(Box::new(Type::Void)),
            255u64.to_ne_bytes().to_vec(),
            "0xff",
            "255",
        ),
        (Type::Inet, inet4, "127.0.0.1", "\"127.0.0.1\""),
        (Type::Inet, inet6, "2001:db8::1", "\"2001:db8::1\""),
        (
            Type::Mac,
            vec![0x18, 0xc0, 0x4d, 8, 0x2e, 0xbb],
            "18:C0:4D:08:2E:BB",
            "\"18:C0:4D:08:2E:BB\"",
        ),
        (
            Type::Sym { user: true },
            [&5u64.to_ne_bytes()[..], &[0; 8]].concat(),
            "0x5",
            "\"0x5\"",
        ),
        (
            Type::Errno,
            1u64.to_ne_bytes().to_vec(),
            "Operation not permitted",
            "\"Operation not permitted\"",
        ),
        (
            Type::Hash,
            (0..32).chain([9; 8]).collect(),
            "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100",
            "\"1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100\"",
        ),
        (
            Type::Named { table: 2 },
            (-2_100_000_000_000_001i64).to_ne_bytes().to_vec(),
            "-21000000.00000001",
            "\"-21000000.00000001\"",
        ),
        (
            Type::Named { table: 1 },
            99_999u64.to_ne_bytes().to_vec(),
            "Unknown syscall",
            "\"Unknown syscall\"",
        ),
        (
            Type::Username,
            0u64.to_ne_bytes().to_vec(),
            "root",
            "\"root\"",
        ),
    ];
    for (ty, bytes, text, json) in table {
        let builder = Builder::default().fixed(ty.clone(), &bytes);
        let action = || vec![Action::PrintValue(builder.fields[0].clone())];
        assert_eq!(
            printed(&builder, action(), structs.clone(), Form::Text),
            format!("{text}\n"),
            "{ty:?}"
        );
        let line = printed(&builder, action(), structs.clone(), Form::Json);
        assert_eq!(line, format!("{{\"type\": \"value\", \"data\": {json}}}\n"));
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
    }
}

fn maps_object() -> (Object, Memory) {
    let maps = vec![
        user_map("x", MapKind::Hash, None, int(64, true)),
        user_map(
            "n",
            MapKind::PercpuHash,
            Some(Type::Tuple(vec![int(64, true), Type::Str { size: 8 }])),
            Type::Agg(Agg::Count),
        ),
        user_map(
            "h",
            MapKind::PercpuHash,
            Some(int(64, true)),
            Type::Agg(Agg::Hist { bits: 0 }),
        ),
        user_map("set", MapKind::Array, None, int(32, true)),
        user_map("unset", MapKind::Array, None, int(32, true)),
        user_map(
            "avg",
            MapKind::PercpuArray,
            None,
            Type::Agg(Agg::Avg { signed: true }),
        ),
        user_map("empty", MapKind::Hash, Some(int(64, true)), int(64, true)),
    ];
    let word = |n: i64| n.to_ne_bytes().to_vec();
    let key = |n: i64, s: &[u8; 8]| [word(n), s.to_vec()].concat();
    let mut memory = Memory::default();
    let mut put = |map: usize, key: Vec<u8>, cpus: Vec<Vec<u8>>| {
        memory.0.entry(map).or_default().insert(key, cpus);
    };
    put(0, word(0), vec![word(5)]);
    put(1, key(1, b"x\0\0\0\0\0\0\0"), vec![word(2), word(1)]);
    put(1, key(2, b"y\0\0\0\0\0\0\0"), vec![word(1), word(0)]);
    put(1, key(-1, b"z\0\0\0\0\0\0\0"), vec![word(1), word(0)]);
    let mut words = vec![0u8; 66 * 8];
    words[3 * 8] = 4;
    put(2, word(1), vec![words]);
    put(3, vec![0; 4], vec![[word(7), word(1)].concat()]);
    put(4, vec![0; 4], vec![[word(0), word(0)].concat()]);
    put(
        5,
        vec![0; 4],
        vec![
            [word(6), word(2), word(1)].concat(),
            [word(0), word(0), word(0)].concat(),
        ],
    );
    (object(vec![], maps, vec![]), memory)
}

#[test]
fn maps_at_the_end() {
    let (object, mut memory) = maps_object();
    let (mut text, out, _) = player(&object, Form::Text);
    text.print_maps(&mut memory).unwrap();
    let bar = "@".repeat(52);
    assert_eq!(
        out.take(),
        format!(
            "@avg: 3\n@h[1]:\n[2, 4)                 4 |{bar}|\n\n@n[-1, z]: 1\n@n[2, y]: 1\n@n[1, x]: 3\n@set: 7\n@x: 5\n"
        )
    );
    let (mut json, out, _) = player(&object, Form::Json);
    json.print_maps(&mut memory).unwrap();
    let lines = out.take();
    let want = [
        r#"{"type": "stats", "data": {"@avg": 3}}"#,
        r#"{"type": "hist", "data": {"@h": {"1": [{"min": 2, "max": 3, "count": 4}]}}}"#,
        r#"{"type": "map", "data": {"@n": {"-1,z": 1, "2,y": 1, "1,x": 3}}}"#,
        r#"{"type": "map", "data": {"@set": 7}}"#,
        r#"{"type": "map", "data": {"@x": 5}}"#,
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), want);
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn map_actions() {
    let (mut object, mut memory) = maps_object();
    let key = Field {
        ty: int(64, true),
        at: 0,
        blob: false,
    };
    let group = |actions| Group { size: 8, actions };
    object.events.groups = vec![group(vec![
        Action::PrintMap {
            map: 1,
            top: 1,
            div: 2,
        },
        Action::PrintMap {
            map: 4,
            top: 0,
            div: 0,
        },
        Action::PrintEntry {
            map: 2,
            key: key.clone(),
        },
        Action::Clear(1),
        Action::PrintMap {
            map: 1,
            top: 0,
            div: 0,
        },
        Action::Zero(3),
        Action::PrintMap {
            map: 3,
            top: 0,
            div: 0,
        },
        Action::Exit(Some(key)),
    ])];
    let (mut player, out, _) = player(&object, Form::Text);
    let builder = Builder::default().fixed(int(64, true), &1i64.to_ne_bytes());
    let flow = player.play(&builder.record(), RecordCtx::default(), &mut memory);
    assert_eq!(flow.unwrap(), Flow::Exit(1));
    let bar = "@".repeat(52);
    assert_eq!(
        out.take(),
        format!("@n[1, x]: 1\n@unset: 0\n[2, 4)                 4 |{bar}|\n\n@set: 0\n")
    );
}

#[test]
fn other_actions() {
    let text = Type::Str { size: 16 };
    let builder = Builder::default()
        .blob(text.clone(), b"/bin/echo\0")
        .blob(text.clone(), b"\0")
        .blob(text, b"hi\"\xff\0");
    let parts = builder.fields.clone();
    let actions = vec![
        Action::Join {
            parts: parts.clone(),
            separator: ",".into(),
        },
        Action::Time("now%%\n".into()),
        Action::Printf {
            format: "f.bt:2:3-9: ERROR: no %s".into(),
            args: parts[2..].to_vec(),
            stream: 2,
        },
    ];
    let object = object(vec![builder.group(actions)], vec![], vec![]);
    let (mut json, out, _) = player(&object, Form::Json);
    json.play(
        &builder.record(),
        RecordCtx::default(),
        &mut Memory::default(),
    )
    .unwrap();
    json.attached(2);
    json.lost("usdt:a\"b", 3);
    let lines = out.take();
    let want = [
        r#"{"type": "join", "data": "/bin/echo,hi\"\\xff"}"#,
        r#"{"type": "time", "data": "now%\n"}"#,
        r#"{"type": "errorf", "msg": "no hi\"\\xff", "filename": "f.bt", "line": 2, "col": 3}"#,
        r#"{"type": "attached_probes", "count": 2, "data": {"probes": 2}}"#,
        r#"{"type": "lost_events", "count": 3, "data": {"events": 3, "probe": "usdt:a\"b"}}"#,
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), want);
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn errors_go_to_stderr_and_system_is_refused() {
    let builder = Builder::default();
    let system = Action::System {
        format: "true".into(),
        args: vec![],
    };
    let warn = Action::Printf {
        format: "f.bt:1:2-3: WARNING: odd".into(),
        args: vec![],
        stream: 1,
    };
    let cat = Action::Cat {
        format: "/nowhere/at/all".into(),
        args: vec![],
    };
    let object = object(vec![builder.group(vec![warn, cat, system])], vec![], vec![]);
    let (mut player, out, err) = player(&object, Form::Text);
    let played = player.play(
        &builder.record(),
        RecordCtx::default(),
        &mut Memory::default(),
    );
    assert_eq!(
        played.unwrap_err().to_string(),
        "running system(): it needs --unsafe"
    );
    assert_eq!(out.take(), "");
    let said = err.take();
    assert_eq!(
        said,
        "f.bt:1:2-3: WARNING: odd\nERROR: failed to open file '/nowhere/at/all' (No such file or directory)\n"
    );
}

#[test]
fn damaged_records_are_errors() {
    let text = Type::Str { size: 16 };
    let builder = Builder::default()
        .blob(text, b"hello\0")
        .fixed(int(64, true), &1i64.to_ne_bytes());
    let args = builder.fields.clone();
    let action = Action::Printf {
        format: "%s %d\n".into(),
        args,
        stream: 0,
    };
    let object = object(vec![builder.group(vec![action])], vec![], vec![]);
    let (mut player, out, _) = player(&object, Form::Text);
    let good = builder.record();
    let mut play = |bytes: &[u8]| player.play(bytes, RecordCtx::default(), &mut Memory::default());
    assert_eq!(play(&good).unwrap(), Flow::Continue);
    assert_eq!(out.take(), "hello 1\n");
    for len in 0..good.len() - 3 {
        assert!(play(&good[..len]).is_err(), "cut to {len}");
    }
    let mut refused = 0;
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            refused += usize::from(play(&bytes).is_err());
        }
    }
    assert!(
        refused > 64,
        "{refused} of the damaged records were refused"
    );
}

#[test]
fn formats_must_fit_their_arguments() {
    assert!(printf::Format::new("%d", &[]).is_err());
    let field = Field {
        ty: int(8, true),
        at: 0,
        blob: false,
    };
    assert!(printf::Format::new("no conversion", &[field]).is_err());
}

/// How long a record of the P2P log takes; run with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn p2p_line_time() {
    let str_ = |size| Type::Str { size };
    let builder = Builder::default()
        .blob(str_(1024), b"ping\0")
        .fixed(int(64, true), &7i64.to_ne_bytes())
        .blob(str_(1024), b"outbound-full-relay\0")
        .blob(str_(1024), b"127.0.0.1:8333\0")
        .fixed(int(64, false), &8u64.to_ne_bytes());
    let format = "inbound '%s' msg from peer %d (%s, %s) with %d bytes\n".to_owned();
    let args = builder.fields.clone();
    let action = Action::Printf {
        format,
        args,
        stream: 0,
    };
    let object = object(vec![builder.group(vec![action])], vec![], vec![]);
    let options = OutputOptions::default();
    let output = Output::to(Box::new(io::sink()), "nothing", Buffering::Line);
    let mut player = Player::with_output(&object, options, output, Box::new(io::sink())).unwrap();
    let (record, mut memory) = (builder.record(), Memory::default());
    let rounds: u32 = 2_000_000;
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        player
            .play(&record, RecordCtx::default(), &mut memory)
            .unwrap();
    }
    let each = start.elapsed() / rounds;
    println!("{} ns a record", each.as_nanos());
    assert!(each.as_nanos() < 1000);
}
