//! The command: expectations, exit codes, files.

use super::support::P2P;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

const EVENTS: &str = r#"{"probe":"net:inbound_message","args":[1,"a:1","inbound","ping",8,null]}
"#;
const PRINTED: &str =
    "Logging P2P traffic\ninbound 'ping' msg from peer 1 (inbound, a:1) with 8 bytes\n\n\n";

struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("baretrace-simulate-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let files = Files(dir);
        files.write("p2p.bt", P2P);
        files.write("events.jsonl", EVENTS);
        files
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn run(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_baretrace"))
            .arg("simulate")
            .args(words)
            .current_dir(&self.0)
            .output()
            .unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // A directory left behind in /tmp harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn prints_what_a_run_prints() {
    let files = Files::new("prints");
    let done = files.run(&["--events", "events.jsonl", "p2p.bt"]);
    assert_eq!(text(&done.stdout), PRINTED);
    assert_eq!(text(&done.stderr), "Attached 3 probes\n");
    assert_eq!(done.status.code(), Some(0));
    let done = files.run(&["-q", "-f", "json", "--events", "events.jsonl", "p2p.bt"]);
    assert!(text(&done.stdout).contains(r#"{"type": "printf", "data": "Logging P2P traffic\n"}"#));
    assert_eq!(text(&done.stderr), "");
}

#[test]
fn an_expectation_is_met_or_not() {
    let files = Files::new("expect");
    files.write("good", PRINTED);
    files.write("bad", PRINTED.replace("ping", "pong"));
    let done = files.run(&[
        "-q",
        "--events",
        "events.jsonl",
        "--expect",
        "good",
        "p2p.bt",
    ]);
    assert_eq!(
        (text(&done.stdout), done.status.code()),
        (String::new(), Some(0))
    );
    let done = files.run(&[
        "-q",
        "--events",
        "events.jsonl",
        "--expect",
        "bad",
        "p2p.bt",
    ]);
    assert_eq!(done.status.code(), Some(1));
    let got = text(&done.stdout);
    assert!(got.contains("\n-inbound 'pong' msg"), "{got}");
    assert!(got.contains("\n+inbound 'ping' msg"), "{got}");
}

#[test]
fn what_is_wrong_has_its_exit_code() {
    let files = Files::new("wrong");
    files.write("broken.jsonl", "{");
    files.write("binary.jsonl", b"\n\xff\n");
    files.write("app.jsonl", "{\"probe\":\"app:hit\"}");
    files.write("broken.bt", "usdt:a:b:c { nosuch(); }");
    for (words, code, want) in [
        (&["p2p.bt"][..], 2, "--events"),
        (
            &["--events", "nosuch", "p2p.bt"],
            2,
            "read events `nosuch`: ",
        ),
        (
            &["--events", "broken.jsonl", "p2p.bt"],
            2,
            "broken.jsonl: line 1, column 1: EOF",
        ),
        (
            &["--events", "binary.jsonl", "p2p.bt"],
            2,
            "binary.jsonl: line 2, column 1: not UTF-8",
        ),
        (&["--events", "events.jsonl", "nosuch.bt"], 2, "nosuch.bt"),
        (&["--events", "events.jsonl", "broken.bt"], 1, "nosuch"),
        (
            &["--events", "events.jsonl", "--expect", "nosuch", "p2p.bt"],
            2,
            "read `nosuch`: ",
        ),
        (
            &["--events", "app.jsonl", "p2p.bt"],
            2,
            "app.jsonl: line 1: the script has no probe `app:hit`",
        ),
    ] {
        let done = files.run(words);
        let said = text(&done.stderr);
        assert!(said.contains(want), "{words:?}: {said}");
        assert_eq!(done.status.code(), Some(code), "{words:?}: {said}");
    }
}

#[test]
fn the_scripts_exit_code_is_the_commands() {
    let files = Files::new("exit");
    files.write("none.jsonl", "");
    let done = files.run(&["--events", "none.jsonl", "-e", "BEGIN { exit(7); }"]);
    assert_eq!(done.status.code(), Some(7), "{}", text(&done.stderr));
}
