//! Scripts over recordings made by hand: what they print, and what they ask for and is not there.

use super::support::{hit, meta, notes, recording, script};
use baretrace::{
    record::{self, Recording, ReplayError, Writer},
    runtime::{Buffering, Output, OutputOptions},
    simulate::{Capture, Settings},
};
use std::path::Path;

fn replay(recording: &Recording, text: &str) -> Result<String, ReplayError> {
    let replay = record::replay(recording, &script(text))?;
    let capture = Capture::default();
    let output = Output::to(Box::new(capture.clone()), "memory", Buffering::Full);
    let errors = Box::new(Capture::default());
    let mut player = replay
        .compiled
        .player(OutputOptions::default(), output, errors)
        .unwrap();
    let settings = Settings {
        attached: None,
        ..replay.compiled.settings()
    };
    replay.run(&settings, false, &mut player)?;
    Ok(String::from_utf8(capture.bytes()).unwrap())
}

/// The error with its place.
fn error(text: &str) -> String {
    let error = replay(&recording(5), text).unwrap_err();
    error
        .render(&script(text), false)
        .unwrap_or_else(|| error.to_string())
}

#[test]
fn a_script_sees_what_was_recorded() {
    let recording = recording(5);
    for (text, want) in [
        (
            r#"usdt:/bin/app:app:hit { printf("%d %s %s %d %d %d %d %d\n", arg0, str(arg2), comm, pid, tid, uid, gid, cpu); }"#,
            "0 text 0 app 100 100 5 6 0\n1 text 1 app 100 101 5 6 1\n2 text 2 app 100 102 5 6 2\n3 text 3 app 100 100 5 6 3\n4 text 4 app 100 101 5 6 0\n",
        ),
        (
            r#"begin { printf("begin\n"); } usdt:/bin/app:app:hit / arg0 > 2 / { printf("%d %d\n", nsecs, elapsed); } end { printf("end\n"); }"#,
            "begin\n2000003000 1000003000\n2000004000 1000004000\nend\n",
        ),
        // The same file by another path.
        ("usdt:./x/app:app:hit { @ = sum(arg0); }", "\n\n@: 10\n"),
        // Timed probes that were not recorded fire as time passes.
        (
            "usdt:/bin/app:app:hit { @n++; if (@n == 5) { exit(); } } interval:ms:10 { @t++; }",
            "@n: 5\n@t: 100\n",
        ),
        (
            "usdt:/bin/app:app:hit { exit(); } usdt:/bin/app:app:hit { @++; }",
            "\n\n@: 1\n",
        ),
        (
            "usdt:*:app:hit { @[probe] = count(); }",
            "\n\n@[usdt:/bin/app:app:hit]: 5\n",
        ),
    ] {
        let got = replay(&recording, text).unwrap_or_else(|err| {
            panic!(
                "{}",
                err.render(&script(text), false).unwrap_or(err.to_string())
            )
        });
        assert!(got.contains(want), "{text}: {got:?}");
    }
}

#[test]
fn what_was_not_recorded_is_named_with_its_place() {
    for (text, what, place) in [
        (
            r#"usdt:/bin/app:app:hit { printf("%d\n", arg1); }"#,
            "the recording of `usdt:/bin/app:app:hit` has not argument 1 (`8@8(%rsp)`)",
            "test.bt:1:40",
        ),
        (
            r#"usdt:/bin/app:app:hit { printf("%s\n", str(arg0 + 8192)); }"#,
            "has not the 1025 bytes at 0x2000",
            "test.bt:1:40",
        ),
        (
            "usdt:/bin/app:app:hit { print(*(uint32*)arg2); print(*(uint64*)(arg2 + 64)); }",
            "bytes at 0x7f0000000040",
            "test.bt:1:",
        ),
        (
            r#"usdt:/bin/app:app:hit { print(reg("bx")); }"#,
            "has not kept the register `bx`",
            "test.bt:1:31",
        ),
        (
            "usdt:/bin/app:app:hit { print(cgroup); }",
            "has not what bpf_get_current_cgroup_id returned",
            "test.bt:1:31",
        ),
        (
            "usdt:/bin/app:app:other { }",
            "no USDT probe",
            "test.bt:1:1",
        ),
        (
            "usdt:/bin/other:app:hit { }",
            "no binary `/bin/other`",
            "test.bt:1:1",
        ),
        (
            "software:faults:1 { }",
            "the recording has no `software:faults:1`",
            "test.bt:1:1",
        ),
        (
            "usdt:/bin/app:app:hit { print(nothing); }",
            "nothing",
            "test.bt:1:31",
        ),
    ] {
        let error = error(text);
        assert!(
            error.contains(what) && error.contains(place),
            "{text}: {error}"
        );
    }
    assert!(error("usdt:/bin/app:app:other { }").contains("usdt:/bin/app:app:hit"));
}

#[test]
fn what_could_not_be_read_cannot_be_read_again() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, Path::new("memory"), &meta()).unwrap();
    let mut bad = hit(1);
    bad.clear();
    bad.regs = vec![0x6000, 1, 0x40_1234, 0x7fff_0000];
    bad.push(114, 0x6000, (-14i64).cast_unsigned(), &[]);
    writer.hit(&bad).unwrap();
    writer.end(vec![]).unwrap();
    let recording = Recording::from_bytes(out).unwrap();
    let text = r#"usdt:/bin/app:app:hit { printf("<%s>\n", str(arg2)); }"#;
    assert_eq!(replay(&recording, text).unwrap().trim_end(), "<>");
}

#[test]
fn helpers_answer_in_order() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, Path::new("memory"), &meta()).unwrap();
    let mut told = hit(1);
    for answer in [11, 22] {
        told.push(7, 0, answer, &[]);
        told.push(125, 0, 1000 * answer, &[]);
    }
    writer.hit(&told).unwrap();
    writer.end(vec![]).unwrap();
    let recording = Recording::from_bytes(out).unwrap();
    let text = r#"usdt:/bin/app:app:hit { $a = rand; $b = nsecs; $c = rand; printf("%d %d %d %d\n", $a, $b, $c, nsecs); }"#;
    assert_eq!(
        replay(&recording, text).unwrap().trim_end(),
        "11 11000 22 22000"
    );
}

#[test]
fn stacks_and_names_are_those_of_the_recorded_machine() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, Path::new("memory"), &meta()).unwrap();
    let mut told = hit(0);
    told.push(27, 256, 5, &[]);
    told.push(67, 256, 16, &[]);
    told.push(80, 0, 77, &[]);
    writer.hit(&told).unwrap();
    writer.notes(&notes()).unwrap();
    writer.end(vec![]).unwrap();
    let recording = Recording::from_bytes(out).unwrap();
    for (text, want) in [
        ("printf(\"%s\", usym(reg(\"ip\")))", "work"),
        ("print(usym(1))", "0x1"),
        ("print(ustack)", "\n        work+4\n        0x402000\n"),
        ("print(ustack(perf, 1))", "\n\t401234 work+4 (/bin/app)\n"),
        ("print(len(ustack))", "2"),
        ("print((uid, username))", "(5, satoshi)"),
        ("print(cgroup_path(cgroup))", "unified:/node.slice"),
        ("print(cgroup_path(1))", ""),
    ] {
        let text = format!("usdt:/bin/app:app:hit {{ {text}; }}");
        let got = replay(&recording, &text).unwrap();
        assert_eq!(got.trim_end(), want.trim_end(), "{text}");
    }
    let text = "usdt:/bin/app:app:hit { print(kstack); }";
    let error = replay(&recording, text).unwrap_err();
    let error = error.render(&script(text), false).unwrap();
    assert!(
        error.contains("has not what bpf_get_stackid returned"),
        "{error}"
    );
}

#[test]
fn lines_are_events() {
    let mut out = Vec::new();
    assert_eq!(record::lines(&recording(2), &mut out).unwrap(), 2);
    let text = String::from_utf8(out).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(line["args"], serde_json::json!([1, null, "text 1"]));
    assert_eq!(
        (&line["tid"], &line["comm"]),
        (&serde_json::json!(101), &serde_json::json!("app"))
    );
    let program = script(r#"usdt:/bin/app:app:hit { printf("%d %s\n", arg0, str(arg2)); }"#);
    let printed = baretrace::simulate::text(&program, &text).unwrap();
    assert!(
        printed.output.starts_with("0 text 0\n1 text 1\n"),
        "{}",
        printed.output
    );
}
