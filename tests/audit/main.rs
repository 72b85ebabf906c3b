//! Bundles through the binary: made, shown, compared, loaded exactly or refused.

#[allow(dead_code)]
#[path = "../cli/support.rs"]
mod support;

mod browser;
mod html;
mod live;
mod syscalls;

use std::{fs, path::Path, process::Command};
use support::{Case, EXE, Target, TempDir, TempFile, can_trace, run, text};

pub(crate) const SCRIPT: &str = "usdt:EXE:net:inbound_message / arg4 > 100 /
{
  printf(\"%s %d\\n\", str(arg3), arg4);
  @bytes[str(arg3)] = sum(arg4);
}
interval:ms:700 { exit(); }
";

/// A bundle of `script`, whose text is returned too.
pub(crate) fn bundle(dir: &TempDir, name: &str, script: &str) -> (String, String) {
    let file = dir.0.join(format!("{name}.bt"));
    fs::write(&file, script.replace("EXE", EXE)).expect("write a script");
    let out = dir.0.join(format!("{name}.json"));
    let (file, out) = (path(&file), path(&out));
    Case {
        args: &["check", "--no-warnings", &file, "-o", &out],
        stdout: &["nothing wrong"],
        ..Case::default()
    }
    .check();
    let json = fs::read_to_string(&out).expect("read the bundle");
    (out, json)
}

fn path(path: &Path) -> String {
    path.to_str().expect("a plain path").to_string()
}

/// The document with its digest made right again.
fn sealed(json: &str) -> String {
    let bundle: baretrace::audit::Bundle = serde_json::from_str(json).expect("a bundle's shape");
    let digest = bundle.digest().expect("a digest");
    baretrace::audit::Bundle {
        sha256: digest,
        ..bundle
    }
    .to_json()
    .expect("a document")
}

#[test]
fn the_same_script_gives_the_same_bundle() {
    let dir = TempDir::new("audit-same");
    let (file, first) = bundle(&dir, "a", SCRIPT);
    let (_, second) = bundle(&dir, "a", SCRIPT);
    assert_eq!(first, second);
    let read = baretrace::audit::Bundle::read(&first).expect("our own bundle");
    assert_eq!(read.to_json().expect("a document"), first);
    Case {
        args: &["audit", "diff", &file, &file],
        ..Case::default()
    }
    .check();
}

#[test]
fn a_reviewer_sees_what_it_does() {
    let dir = TempDir::new("audit-show");
    let (file, _) = bundle(&dir, "a", SCRIPT);
    let shown = [
        "may write maps    bytes, faults, lost, scratch",
        "sends to          ring",
        "cannot            send signals",
        "bpf_probe_read_user_str, at most 1025 bytes, line 3",
        "; 4: @bytes[str(arg3)] = sum(arg4);",
        "map[ring]",
        "instructions, on the longest of all paths",
    ];
    let script = dir.0.join("a.bt");
    for file in [&file, &path(&script)] {
        Case {
            args: &["audit", "show", file],
            stdout: &shown,
            ..Case::default()
        }
        .check();
    }
    let out = run(
        Command::new(EXE).args(["audit", "show", "--json", &file]),
        b"",
    );
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(json["summaries"][0]["can_signal"], false);
    assert_eq!(json["summaries"][0]["rings"][0], "ring");
}

#[test]
fn turns_that_are_not_walked_are_bounded_in_words() {
    let dir = TempDir::new("audit-bound");
    let script =
        "usdt:EXE:net:inbound_message { $i = 0; while ($i < arg0) { @a[$i] = count(); $i++; } }
usdt:EXE:net:inbound_message { for ($kv : @a) { @s = $kv.1; } }
usdt:EXE:net:inbound_message { for ($j : 0..10) { @b = count(); } }
begin { exit(); }
";
    let (file, _) = bundle(&dir, "a", script);
    Case {
        args: &["audit", "show", &file],
        stdout: &[
            "a.bt: 4 programs, ",
            "instructions a turn, ended by `may_goto`: after 8,388,608 turns, on x86-64 since 6.15 after 250 ms",
            " of them outside of loops and callbacks",
            " instructions for each of at most 4,096 entries of `a`",
            "instructions, on the longest of all paths",
        ],
        ..Case::default()
    }
    .check();
    // Three programs of one probe are told apart.
    let out = run(
        Command::new(EXE).args(["audit", "show", "--json", &file]),
        b"",
    );
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let processed = |at: usize| json["summaries"][at]["processed"].as_u64();
    assert_ne!(processed(0), processed(1), "{json}");
    // A rule goes by that bound.
    let policy = TempFile::new("audit-bound.json", b"{\"max_per_hit\": 1000000}");
    Case {
        args: &["run", "--load-exactly", &file, "--policy", policy.name()],
        code: 1,
        stderr: &["rule `max_per_hit`", ", allowed are 1000000"],
        ..Case::default()
    }
    .check();
}

#[test]
fn a_difference_is_named() {
    let dir = TempDir::new("audit-diff");
    let (a, _) = bundle(&dir, "a", SCRIPT);
    let (b, _) = bundle(&dir, "b", &SCRIPT.replace("100", "101"));
    Case {
        args: &["audit", "diff", &a, &b],
        code: 1,
        stdout: &[" s<= 0x64 ", " s<= 0x65 ", "/ arg4 > 101 /"],
        ..Case::default()
    }
    .check();
}

#[test]
fn bad_bundles_are_told_apart() {
    let dir = TempDir::new("audit-bad");
    let (_, good) = bundle(&dir, "a", SCRIPT);
    // The first instruction: it keeps the context.
    let text = good
        .lines()
        .find(|line| line.contains("\"text\": \"r"))
        .expect("an instruction");
    let other = text.replacen("= ", "= 7 + ", 1);
    assert_ne!(text, other);
    let cases = [
        ("empty", String::new(), "cut short"),
        ("truncated", good[..good.len() / 2].to_string(), "cut short"),
        (
            "damaged",
            good.replacen("\"maps\"", "\"m\\u0000ps\"", 1),
            "line ",
        ),
        ("no-json", "begin { }".to_string(), "line 1, column 1"),
        ("other", "{}".to_string(), "this is no bundle"),
        (
            "version",
            good.replacen("\"version\": 1", "\"version\": 7", 1),
            "version 7; this program knows version 1",
        ),
        (
            "edited",
            good.replacen("640000", "650000", 1),
            "not what the digest says",
        ),
        (
            "field",
            good.replacen("\"license\"", "\"licence\"", 1),
            "unknown field `licence`",
        ),
        (
            "text",
            sealed(&good.replacen(text, &other, 1)),
            ": the bytes say `",
        ),
        (
            "tag",
            sealed(&good.replacen("\"tag_sha1\": \"", "\"tag_sha1\": \"0", 1)),
            "the tags are not those",
        ),
        (
            "helper",
            sealed(&good.replacen("\"bpf_probe_read_user\",", "", 1)),
            "the helpers named are not those called",
        ),
    ];
    for (name, json, want) in &cases {
        let file = TempFile::new(&format!("audit-{name}.json"), json.as_bytes());
        for args in [
            &["audit", "show", file.name()][..],
            &["run", "--load-exactly", file.name()],
        ] {
            Case {
                args,
                code: 2,
                stderr: &["error: read bundle", want, "help: "],
                ..Case::default()
            }
            .check();
        }
    }
    Case {
        args: &["audit", "show", "/nowhere/x.json"],
        code: 2,
        stderr: &["read bundle `/nowhere/x.json`"],
        ..Case::default()
    }
    .check();
}

#[test]
fn another_machine_or_file_is_refused() {
    let dir = TempDir::new("audit-other");
    let (_, good) = bundle(&dir, "a", SCRIPT);
    let cases = [
        (
            "arch",
            "\"arch\": \"x86_64\"",
            "\"arch\": \"s390x\"",
            "processor: made for s390x",
        ),
        (
            "operand",
            "8@%rcx",
            "8@%rbx",
            "probe net:inbound_message was at",
        ),
        (
            "id",
            "\"build_id\": \"",
            "\"build_id\": \"00",
            "build id was 00",
        ),
    ];
    for (name, from, to, want) in cases {
        if !good.contains(from) {
            println!("skipped {name}: no {from} on this machine");
            continue;
        }
        let json = sealed(&good.replacen(from, to, 1));
        let file = TempFile::new(&format!("audit-other-{name}.json"), json.as_bytes());
        Case {
            args: &["run", "--load-exactly", file.name()],
            code: 1,
            stderr: &["nothing is loaded", want],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn a_policy_names_its_rule() {
    let dir = TempDir::new("audit-policy");
    let (bundle, _) = bundle(&dir, "a", SCRIPT);
    let cases = [
        ("{\"helpers\": []}", 1, "rule `helpers`"),
        (
            "{\"probes\": [\"usdt:*\"]}",
            1,
            "rule `probes`: `interval:ms:700`",
        ),
        ("{\"sha256\": [\"00\"]}", 1, "rule `sha256`"),
        ("{\"max_instructions\": 5}", 1, "rule `max_instructions`"),
        (
            "{\"max_programs\": 1}",
            1,
            "rule `max_programs`: programs: 2, allowed are 1",
        ),
        ("{\"max_map_bytes\": 5}", 1, "rule `max_map_bytes`"),
        (
            "{\"max_per_hit\": 20}",
            1,
            "rule `max_per_hit`: instructions of one hit of `usdt:",
        ),
        (
            "{\"max_user_read\": 64}",
            1,
            "a.bt:3): 1025, allowed are 64",
        ),
        ("{\"helper\": []}", 2, "unknown field `helper`"),
        ("{", 2, "line 1"),
    ];
    for (policy, code, want) in cases {
        let file = TempFile::new("audit-policy.json", policy.as_bytes());
        Case {
            args: &["run", "--load-exactly", &bundle, "--policy", file.name()],
            code,
            stderr: &[want],
            ..Case::default()
        }
        .check();
    }
    Case {
        args: &["--policy", "x", "-e", "begin { }"],
        code: 2,
        stderr: &["--policy judges a bundle"],
        ..Case::default()
    }
    .check();
}

#[test]
fn what_is_loaded_is_what_was_reviewed() {
    if !can_trace() {
        return;
    }
    let dir = TempDir::new("audit-live");
    let (bundle, _) = bundle(&dir, "a", SCRIPT);
    let _target = Target::start(&["--die-with-parent"]);
    let tracer = Command::new(EXE)
        .args(["run", "-v", "--load-exactly", &bundle])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("start the tracer");
    // It runs for 700 ms from the moment it has attached.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    let mut seen = String::new();
    while std::time::Instant::now() < end && !seen.contains("same tag") {
        let out = run(
            Command::new(EXE).args(["audit", "live", "--against", &bundle]),
            b"",
        );
        seen = text(&out.stdout);
    }
    let out = support::finish(tracer);
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    assert!(
        seen.contains("net:inbound_message`: same tag"),
        "{seen}\n{stderr}"
    );
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("is the one computed here"), "{stderr}");
    assert!(stdout.contains("@bytes["), "{stdout}");
    // The kernel frees programs a little after their last user is gone.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        let out = run(
            Command::new(EXE).args(["audit", "live", "--against", &bundle]),
            b"",
        );
        let stdout = text(&out.stdout);
        if stdout.contains("not loaded: `usdt:") {
            assert_eq!(out.status.code(), Some(1), "{stdout}");
            break;
        }
        assert!(std::time::Instant::now() < end, "still there: {stdout}");
    }
}

#[test]
fn a_bundle_runs_with_a_command() {
    if !can_trace() {
        return;
    }
    let dir = TempDir::new("audit-command");
    let script = "usdt:EXE:net:inbound_message { @n = count(); }";
    let (bundle, _) = bundle(&dir, "a", script);
    let command = format!("{EXE} demo-target --rounds 1 --pause-us 0");
    Case {
        args: &["run", "-q", "--load-exactly", &bundle, "-c", &command],
        stdout: &["@n: 10"],
        ..Case::default()
    }
    .check();
    Case {
        args: &["run", "--load-exactly", &bundle, "-c", "a 'b"],
        code: 2,
        stderr: &["error: "],
        ..Case::default()
    }
    .check();
}

/// The document with the bytes and text of the first instruction that `from` names changed, and tags and digest made
/// right.
fn forged(json: &str, from: &str, bytes: &str, text: &str) -> String {
    let mut bundle: baretrace::audit::Bundle = serde_json::from_str(json).expect("a shape");
    let program = &mut bundle.programs[0];
    let mut lines = program.insns.iter_mut();
    let line = lines.find(|line| line.text.contains(from)).expect(from);
    (line.bytes, line.text) = (bytes.to_string(), text.to_string());
    let insns = program.decoded().expect("instructions");
    let tags = baretrace::loader::tag::tags(&insns).expect("tags");
    program.tag_sha1 = baretrace::loader::tag::Hex(tags.sha1).to_string();
    program.tag_sha256 = baretrace::loader::tag::Hex(tags.sha256).to_string();
    sealed(&bundle.to_json().expect("a document"))
}

#[test]
fn a_refusal_of_the_verifier_is_explained() {
    let dir = TempDir::new("audit-refused");
    let script = "begin\n{\n  @a = 1;\n  printf(\"%d\\n\", @a);\n}\n";
    let (_, good) = bundle(&dir, "a", script);
    let bad = forged(&good, "(r1 +8) = 1", "bf71000000000000", "r1 = r7");
    let file = TempFile::new("audit-refused.json", bad.as_bytes());
    Case {
        args: &["audit", "show", file.name()],
        stdout: &["REFUSED by this program's own checker: insn 3 `r1 = r7`: r7 has no value here"],
        ..Case::default()
    }
    .check();
    if !can_trace() {
        return;
    }
    Case {
        args: &["run", "-v", "--load-exactly", file.name()],
        code: 2,
        stderr: &[
            "load program `begin`: rejected by the verifier: Permission denied (EACCES)",
            "4: (bf) r1 = r7",
            "R7 !read_ok",
            "known there: r1: pointer to a value of map 0; r6: pointer to the context",
            "a.bt:3:3",
            "3 |   @a = 1;",
            "help: this is a fault of baretrace (or of whoever made the bundle)",
            "processed ",
        ],
        ..Case::default()
    }
    .check();
}

#[test]
fn a_program_is_attached_where_its_probe_says() {
    let dir = TempDir::new("audit-places");
    let (_, good) = bundle(&dir, "a", SCRIPT);
    let other = format!("\"path\": \"{EXE}\",\n            \"sites\"");
    assert!(good.contains(&other), "{good}");
    let kind = "\"Interval\": {\n            \"Nanos\"";
    assert!(good.contains(kind), "{good}");
    let cases = [
        // Another file than the one in the list, under the name of that one.
        (
            other.as_str(),
            other.replace(EXE, "/usr/sbin/sshd"),
            "attached to `/usr/sbin/sshd` at 0x",
        ),
        (
            kind,
            kind.replace("Interval", "Profile"),
            "which is not what its probe says",
        ),
        (
            "\"ret\": false",
            "\"ret\": true".to_string(),
            "which is not what its probe says",
        ),
    ];
    for (from, to, want) in &cases {
        let bad = sealed(&good.replacen(from, to, 1));
        let file = TempFile::new("audit-places.json", bad.as_bytes());
        Case {
            args: &["audit", "show", file.name()],
            code: 2,
            stderr: &[want, "do not trust it"],
            ..Case::default()
        }
        .check();
    }
    // A policy goes by the file that is opened, whatever path the script has.
    let relative = good.replace(
        &format!("\"probe\": \"usdt:{EXE}:"),
        "\"probe\": \"usdt:./x:",
    );
    let file = TempFile::new("audit-relative.json", sealed(&relative).as_bytes());
    let want = format!("`usdt:{EXE}:net:inbound_message`");
    let policy = br#"{"probes": ["usdt:./x:*", "interval:*"]}"#;
    let policy = TempFile::new("audit-places-policy.json", policy);
    Case {
        args: &[
            "run",
            "--load-exactly",
            file.name(),
            "--policy",
            policy.name(),
        ],
        code: 1,
        stderr: &["rule `probes`", &want],
        ..Case::default()
    }
    .check();
}
