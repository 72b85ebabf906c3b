//! Captures on files that cannot be written, or whose writer is killed.

use crate::place::{EXE, Place, alone, may_trace};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// `raw-messages` with `words`, attached: its first line is out. Files that it makes end at `limit` blocks of 512 bytes.
fn start(
    words: &[impl AsRef<std::ffi::OsStr>],
    limit: &str,
) -> (Child, BufReader<std::process::ChildStdout>) {
    let script =
        format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" bitcoin raw-messages \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, EXE]).args(words);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "Logging raw P2P messages.\n");
    (child, out)
}

/// Types and payload sizes of a capture in Bitcoin Core's format; panics if it does not end with a whole record.
fn records(path: &Path) -> Vec<(String, usize)> {
    let bytes = fs::read(path).unwrap();
    let (mut left, mut records) = (bytes.as_slice(), Vec::new());
    while !left.is_empty() {
        let size = u32::from_le_bytes(left[20..24].try_into().unwrap()) as usize;
        let name = String::from_utf8(left[8..20].to_vec()).unwrap();
        records.push((name.trim_end_matches('\0').to_owned(), size));
        left = &left[24 + size..];
    }
    records
}

/// Blocks of a pcapng file; panics if it does not end with a whole one.
fn packets(path: &Path) -> usize {
    let bytes = fs::read(path).unwrap();
    let (mut left, mut count) = (bytes.as_slice(), 0);
    while !left.is_empty() {
        let length = u32::from_le_bytes(left[4..8].try_into().unwrap()) as usize;
        assert_eq!(left[length - 4..length], left[4..8]);
        left = &left[length..];
        count += 1;
    }
    count
}

/// Files for both kinds of capture, and the words that ask for them.
fn both_captures(place: &Place) -> (PathBuf, PathBuf, Vec<String>) {
    let [core, pcapng] = ["a.dat", "a.pcapng"].map(|name| place.0.join(name));
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let words = vec![
        "--bin".to_owned(),
        place.bin(),
        "--capture".to_owned(),
        text(&core),
        "--pcapng".to_owned(),
        text(&pcapng),
        "--decode".to_owned(),
    ];
    (core, pcapng, words)
}

#[test]
fn a_file_that_is_full_stays_readable_and_the_trace_goes_on() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    let (core, pcapng, words) = both_captures(&place);
    let (child, mut out) = start(&words, "20");
    place.node("30", "100", &[]).run();
    std::thread::sleep(Duration::from_millis(500));
    interrupt(&child);
    let mut lines = String::new();
    out.read_to_string(&mut lines).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for path in [&core, &pcapng] {
        let warning = format!(
            "warning: write capture `{}`: File too large",
            path.display()
        );
        assert!(said.contains(&warning), "{said}");
        let length = fs::metadata(path).unwrap().len();
        assert!((1..=20 * 512).contains(&length), "{length}");
    }
    assert!(said.contains("error: a capture is not whole"), "{said}");
    let captured = records(&core);
    assert!(packets(&pcapng) > 3 && captured[0].0 == "version");
    assert!(lines.lines().count() > captured.len(), "the trace went on");
}

#[test]
fn a_writer_that_is_killed_leaves_whole_records() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    let (core, pcapng, words) = both_captures(&place);
    let (mut child, out) = start(&words, "unlimited");
    let mut node = place.node("0", "0", &["--payload", "200000"]);
    node.go();
    let end = Instant::now() + Duration::from_secs(60);
    let reader = std::thread::spawn(move || std::io::copy(&mut { out }, &mut std::io::sink()));
    while fs::metadata(&pcapng).map_or(0, |meta| meta.len()) < 1_000_000 {
        assert!(Instant::now() < end, "nothing is captured");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap();
    assert!(
        records(&core)
            .iter()
            .any(|(name, size)| name == "block" && *size == 200_000)
    );
    assert!(packets(&pcapng) > 3);
    assert!(node.0.try_wait().unwrap().is_none(), "the node runs on");
}

#[test]
fn what_cannot_be_begun_is_said_before_anything_is_attached() {
    if !may_trace() {
        return;
    }
    let place = Place::new();
    for (word, path) in [
        ("--capture", "/no/such/a.dat"),
        ("--pcapng", "/no/such/a.pcapng"),
        ("--pcapng", "/dev/full"),
    ] {
        let mut command = Command::new(EXE);
        command.args(["bitcoin", "raw-messages", "--bin", &place.bin(), word, path]);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.starts_with(&format!("error: begin capture `{path}`: ")),
            "{said}"
        );
    }
}

fn interrupt(child: &Child) {
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
}
