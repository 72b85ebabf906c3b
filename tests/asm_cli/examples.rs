//! The examples written by hand: short enough to be read, and what they print.

use crate::support::{EXE, can_trace, run, text};
use std::{path::Path, process::Command};

/// What an example prints; `None` if it has not been built (`cargo test --test` builds none).
fn output(name: &str) -> Option<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
    let lines = std::fs::read_to_string(source).unwrap().lines().count();
    assert!(lines < 100, "{name} has {lines} lines");
    let path = Path::new(EXE).parent().unwrap().join("examples").join(name);
    if !path.exists() || !can_trace() {
        println!("skipped: {} is not built, or may not trace", path.display());
        return None;
    }
    let out = run(&mut Command::new(path), b"");
    assert!(out.status.success(), "{}", text(&out.stderr));
    Some(text(&out.stdout))
}

#[test]
fn the_counter_counts_every_hit() {
    if let Some(out) = output("usdt_counter") {
        assert!(out.ends_with("  exit\n5000 hits\n"), "{out}");
    }
}

#[test]
fn the_logger_shows_every_message_with_content() {
    if let Some(out) = output("p2p_logger") {
        assert!(out.ends_with("\n0 lost\n"), "{out}");
        for line in [
            "to peer 0: version        102 bytes\n",
            "to peer 1: getdata         37 bytes\n",
        ] {
            assert!(out.contains(line), "{line}{out}");
        }
    }
}
