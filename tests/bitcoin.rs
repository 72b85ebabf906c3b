//! The Bitcoin tools, on the built-in target: needs the rights to load programs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use baretrace::{
    bitcoin::tracepoint::{Kind, TRACEPOINTS},
    elf,
    kernel::detect,
    trace::{Binary, Filter},
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

const EXE: &str = env!("CARGO_BIN_EXE_baretrace");

/// A folder of its own with the target in it, named as a node is.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "bitcoin-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let place = Place(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        fs::create_dir_all(&place.0).unwrap();
        place.install();
        place
    }

    fn bin(&self) -> PathBuf {
        self.0.join("bitcoind")
    }

    /// Puts a new file in the place of the old one.
    fn install(&self) {
        self.put(Path::new(EXE));
    }

    /// Puts a copy of a file in the place of the old one.
    fn put(&self, file: &Path) {
        let new = self.0.join("new");
        // By another process: a descriptor open for writing here could be inherited by a child of another test, and
        // then the file could not be run.
        assert!(
            Command::new("cp")
                .arg(file)
                .arg(&new)
                .status()
                .unwrap()
                .success()
        );
        fs::rename(new, self.bin()).unwrap();
    }

    fn node(&self, rounds: &str) -> Node {
        self.target(&["--pause-us", "3000", "--rounds", rounds])
    }

    fn target(&self, words: &[&str]) -> Node {
        let mut command = Command::new(self.bin());
        command.args(["demo-target", "--hold", "--die-with-parent"]);
        command.args(words);
        Node(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A node, which holds still until it is let go.
struct Node(Child);

impl Node {
    fn run(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A tool whose first line is out: it is attached.
struct Tool(Child, BufReader<ChildStdout>);

impl Tool {
    fn start(words: &[&str]) -> Tool {
        let mut command = Command::new(EXE);
        let command = command
            .arg("bitcoin")
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Tool(child, out)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_string()
    }

    fn lines(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.line()).collect()
    }

    /// Interrupts it; what else it said on stdout and stderr.
    fn end(mut self) -> (String, String) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.1, &mut rest).unwrap();
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success());
        (rest, String::from_utf8(output.stderr).unwrap())
    }
}

fn may_trace() -> bool {
    let missing = detect::missing_rights(false);
    if !missing.is_empty() {
        eprintln!("skipped: this process may not trace");
    }
    missing.is_empty()
}

/// All that a tool prints of one round.
fn round(words: &[&str]) -> (String, String) {
    of_target(words, &["--pause-us", "3000", "--rounds", "1"])
}

/// All that a tool prints of a target run with these words.
fn of_target(words: &[&str], target: &[&str]) -> (String, String) {
    let place = Place::new();
    let bin = place.bin();
    let mut all = vec![words[0], "--bin", bin.to_str().unwrap()];
    all.extend(&words[1..]);
    let mut tool = Tool::start(&all);
    let mut first = String::new();
    if !words.contains(&"--json") {
        first = tool.line() + "\n";
    } else {
        std::thread::sleep(std::time::Duration::from_millis(1500));
    }
    place.target(target).run();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (rest, errors) = tool.end();
    (first + &rest, errors)
}

#[test]
fn lines_are_those_of_the_scripts() {
    if !may_trace() {
        return;
    }
    for (words, want) in [
        (
            &["p2p-traffic"][..],
            &[
                "Logging P2P traffic",
                "outbound 'version' msg to peer 0 (outbound-full-relay, 192.0.2.17:8333) with 102 bytes",
            ][..],
        ),
        (
            &["connections"],
            &[
                "Logging opened, closed, misbehaving, and evicted P2P connections",
                "OUTBOUND conn to 192.0.2.17:8333: id=0, type=outbound-full-relay, network=1, total=",
            ],
        ),
        (
            &["utxos"],
            &[
                "OP      Outpoint                                                                           Value  Height Coinbase",
                "Added   ",
                "Spent   ",
                "Uncache ",
            ],
        ),
        (
            &["raw-messages"],
            &[
                "Logging raw P2P messages.",
                " outbound msg 'version' from peer 0 (outbound-full-relay, 192.0.2.17:8333) with 102 bytes: ",
            ],
        ),
        (
            &["utxocache-flushes"],
            &[
                "Duration (µs)   Mode         Coins Count     Memory Usage    Flush for Prune",
                " kB    ",
            ],
        ),
        (
            &["coin-selection"],
            &[
                "Logging coin selection",
                "SELECTED wallet '",
                "AGAIN wallet '",
                "CREATED wallet '",
            ],
        ),
        (
            &["connectblock", "0", "0", "0"],
            &[
                "ConnectBlock logging starting at height 0",
                "Histogram of block connection times in milliseconds (ms).\n@durations",
            ],
        ),
    ] {
        let (out, errors) = round(words);
        for want in want {
            assert!(
                out.contains(want),
                "{words:?}: no `{want}` in\n{out}\n{errors}"
            );
        }
        assert!(
            errors.contains("does not run: waiting for it to start"),
            "{errors}"
        );
        assert!(!errors.contains("Lost"), "{errors}");
    }
}

#[test]
fn json_is_one_object_a_line_and_filters_apply() {
    if !may_trace() {
        return;
    }
    let (out, errors) = round(&["p2p-traffic", "--json", "--filter", "type=inv,direction=in"]);
    let all: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(!all.is_empty(), "{errors}");
    for value in all {
        assert_eq!(value["event"], "net:inbound_message");
        assert_eq!(value["args"]["msg_type"], "inv");
        assert!(value["pid"].as_u64().is_some() && value["time"].as_str().unwrap().ends_with('Z'));
    }
}

#[test]
fn a_node_is_followed_over_restart_and_upgrade() {
    if !may_trace() {
        return;
    }
    let place = Place::new();
    let first = place.node("1");
    let pid = first.0.id().to_string();
    let mut tool = Tool::start(&["p2p-traffic", "--pid", &pid]);
    assert_eq!(tool.line(), "Logging P2P traffic");
    first.run();
    let line = tool.line();
    assert!(
        line.starts_with("outbound 'version' msg to peer 0"),
        "{line}"
    );
    // Another node of the same program with other words is not this one.
    place.node("2").run();
    place.node("1").run();
    place.install();
    // The new file is attached to within a look.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    place.node("1").run();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (rest, errors) = tool.end();
    let versions = rest
        .lines()
        .filter(|line| line.contains("outbound 'version' msg to peer 0"))
        .count();
    assert_eq!(versions, 2, "{errors}\n{rest}");
    assert!(
        errors.contains(&format!("tracing bitcoind, pid {pid}")),
        "{errors}"
    );
}

#[test]
fn two_nodes_are_labelled() {
    if !may_trace() {
        return;
    }
    let place = Place::new();
    let (one, other) = (place.node("1"), place.node("1"));
    let bin = place.bin();
    let mut tool = Tool::start(&["p2p-traffic", "--bin", bin.to_str().unwrap()]);
    assert_eq!(tool.line(), "Logging P2P traffic");
    let label = format!("[{}] outbound 'version'", one.0.id());
    one.run();
    let line = tool.lines(1).remove(0);
    assert!(line.starts_with(&label), "{line}");
    drop(other);
    tool.end();
}

fn fails(words: &[&str]) -> String {
    let mut command = Command::new(EXE);
    let Output { status, stderr, .. } = command.arg("bitcoin").args(words).output().unwrap();
    assert_eq!(status.code(), Some(2), "{words:?}");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn bad_input_is_named() {
    assert!(fails(&["p2p-traffic", "--filter", "peer"]).contains("it is no comparison"));
    assert!(fails(&["p2p-traffic", "--bin", "a", "--pid", "1"]).contains("cannot be used with"));
    assert!(
        fails(&["connectblock", "9", "3", "0"])
            .contains("start height (9) larger than end height (3)")
    );
    if !may_trace() {
        return;
    }
    let text = fails(&["p2p-traffic", "--bin", "/bin/true"]);
    assert!(
        text.contains("built without tracepoints") && text.contains("-DWITH_USDT=ON"),
        "{text}"
    );
    assert!(fails(&["utxos", "--pid", "999999999"]).contains("look at process 999999999"));
    assert!(fails(&["utxos", "--datadir", "/no/such"]).contains("read data directory"));
    assert!(fails(&["utxos", "--bin", EXE, "--filter", "size>1"]).contains("no probe has that"));
}

#[test]
fn a_missing_node_is_waited_for() {
    if !may_trace() {
        return;
    }
    let place = Place::new();
    let dir = place.0.to_str().unwrap();
    let mut command = Command::new(EXE);
    let command = command.args(["bitcoin", "utxos", "--datadir", dir, "--duration", "300ms"]);
    let output = command.output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("waiting for one to start"), "{said}");
}

#[test]
fn the_schema_is_printed() {
    let output = Command::new(EXE)
        .args(["bitcoin", "schema", "--json"])
        .output()
        .unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema.as_array().unwrap().len(), 20);
}

/// Runs a tool on a file that is traced before it runs, then the target, until the tool ends by itself.
fn ended(words: &[&str], target: &[&str]) -> Output {
    let place = Place::new();
    let mut command = Command::new(EXE);
    command
        .args(["bitcoin", words[0], "--bin"])
        .arg(place.bin());
    command
        .args(&words[1..])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let node = place.target(target);
    node.run();
    child.wait_with_output().unwrap()
}

#[test]
fn the_last_block_of_a_range_ends_the_benchmark() {
    if !may_trace() {
        return;
    }
    let words = ["connectblock", "930002", "930004", "0"];
    let output = ended(&words, &["--pause-us", "100", "--rounds", "9"]);
    assert_eq!(output.status.code(), Some(0));
    let out = String::from_utf8(output.stdout).unwrap();
    let slow = out
        .lines()
        .filter(|line| line.starts_with("Block 9300"))
        .count();
    // Blocks are shown whatever their height, up to the last one of the range.
    assert_eq!(slow, 4, "{out}");
    let begin =
        "ConnectBlock benchmark between height 930002 and 930004 inclusive\nBlock 930001 (000000";
    assert!(out.starts_with(begin), "{out}");
    for want in [
        "\nStarting Connect Block Benchmark between height 930002 and 930004.\nBlock 930002 (",
        "\n\nTook ",
        " ms to connect the blocks between height 930002 and 930004.\n",
        "\n\nHistogram of block connection times in milliseconds (ms).\n@durations:\n[",
    ] {
        assert!(out.contains(want), "no {want:?} in {out}");
    }
}

#[test]
fn data_without_sense_is_shown_as_it_is() {
    if !may_trace() {
        return;
    }
    let long = "x".repeat(200);
    for (words, want) in [
        (
            &["p2p-traffic"][..],
            &[
                "inbound 'block' msg from peer -5 (",
                "\u{fffd}\u{fffd}'\\x0axxx",
                long.as_str(),
                ") with 4294967296 bytes",
                "outbound '' msg to peer 7 (, ) with 4096 bytes",
                " msg to peer -9223372036854775808 (",
                " with 18446744073709551615 bytes",
            ][..],
        ),
        (
            &["raw-messages"],
            &[
                "Warning: incomplete message (only 0 out of 4294967296 bytes)! inbound msg 'block' from peer -5 (",
                " out of 4294967296 bytes)! inbound msg 'block' from peer -6 (",
                " out of 18446744073709551615 bytes)! outbound msg '",
                " outbound msg '' from peer 7 (, ) with 4096 bytes: 070707",
            ],
        ),
        (
            &["connections"],
            &[
                ": id=-1, type=",
                "network=77, total=18446744073709551615",
                "OUTBOUND conn to : id=9223372036854775807, type=, network=4294967295, total=0",
                "network=6, established=-9223372036854775808",
                "MISBEHAVING conn id=-1, message='",
            ],
        ),
        (
            &["utxos"],
            &[
                "Added   ffffffff",
                ":4294967295               -1 4294967295 Yes",
                "-9223372036854775808 4294967295 No",
                ":0      9223372036854775807       0 No",
            ],
        ),
        (
            &["utxocache-flushes"],
            &["-1              99           18446744073709551615 "],
        ),
        (
            &["connectblock", "0", "0", "0"],
            &["Block 2147483647 (fffff", "sigops  took 9223372036854 ms"],
        ),
        (
            &["coin-selection"],
            &[
                "92233720368.54775807 BTC for -0.00000001 BTC by ",
                "fee -0.00000001 BTC, change is output -2",
                "fee -92233720368.54775808 BTC, change is output -2147483648",
            ],
        ),
        (
            &["utxocache-flushes", "--json"],
            &[
                "\"mode\":99",
                "\"memory\":18446744073709551615",
                "\"duration\":-1",
            ],
        ),
        (
            &["connections", "--json"],
            &["\"network\":77", "\u{fffd}\u{fffd}'\\n"],
        ),
        (
            &["mempool-monitor", "--json"],
            &[
                "\"fee\":-9223372036854775808",
                "\"vsize\":-1",
                "\"entry_time\":18446744073709551615",
            ],
        ),
        (
            &["raw-messages", "--json", "--decode"],
            &["\"size\":18446744073709551615", "\"undecoded\":"],
        ),
    ] {
        let (out, errors) = of_target(words, &["--odd"]);
        for want in want {
            assert!(
                out.contains(want),
                "{words:?}: no {want:?} in {}\n{errors}",
                out.chars().take(3000).collect::<String>()
            );
        }
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

#[test]
fn output_goes_to_a_file_and_its_failure_is_said() {
    if !may_trace() {
        return;
    }
    let target = ["--pause-us", "100", "--rounds", "1"];
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lines-{}", std::process::id()));
    let to = file.to_str().unwrap();
    let output = ended(&["p2p-traffic", "-o", to, "--count", "3"], &target);
    assert!(output.status.success() && output.stdout.is_empty());
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    fs::remove_file(&file).unwrap();

    let output = ended(&["p2p-traffic", "-o", "/dev/full"], &target);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("/dev/full: No space left on device"),
        "{said}"
    );

    assert!(
        fails(&["utxos", "--bin", EXE, "-o", "/no/such/file"])
            .contains("create output file `/no/such/file`: No such file")
    );
    assert!(fails(&["p2p-monitor", "--bin", EXE, "-o", "x"]).contains("--json"));
}

#[test]
fn a_full_capture_ends_and_the_lines_go_on() {
    if !may_trace() {
        return;
    }
    let words = ["raw-messages", "--capture", "/dev/full", "--count", "5"];
    let output = ended(&words, &["--pause-us", "100", "--rounds", "1"]);
    let (out, said) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(
        out.lines().filter(|line| line.contains(" msg '")).count(),
        5,
        "{out}"
    );
    assert!(
        said.contains("No space left") && said.contains("nothing more is captured"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn time_and_number_end_a_run() {
    if !may_trace() {
        return;
    }
    let begin = std::time::Instant::now();
    let mut command = Command::new(EXE);
    let command = command.args(["bitcoin", "utxos", "--bin", EXE, "--duration", "400ms"]);
    let output = command.output().unwrap();
    assert!(output.status.success());
    assert!(begin.elapsed() >= std::time::Duration::from_millis(400));
    let words = [
        "utxos",
        "--json",
        "--count",
        "2",
        "--filter",
        "coinbase=true",
    ];
    let output = ended(&words, &["--pause-us", "100", "--rounds", "5"]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(
        out.lines().all(|line| line.contains("\"coinbase\":true")),
        "{out}"
    );
}

#[test]
fn every_argument_is_a_filter() {
    if !may_trace() {
        return;
    }
    let binary = Binary::open(EXE).unwrap();
    for point in TRACEPOINTS {
        for arg in point.args {
            let value = match arg.kind {
                Kind::Bytes(_) => continue,
                Kind::Hash => "00".repeat(31) + "ff",
                Kind::Str(_) => "abc".to_string(),
                Kind::Bool => "true".to_string(),
                Kind::Enum(values) => values[1].1.to_string(),
                Kind::Int => "5".to_string(),
            };
            let filter: Filter = format!("{}={value}", arg.name).parse().unwrap();
            let events = binary
                .subscribe(&[&point.to_string()])
                .and_then(|wanted| wanted.filter(&filter))
                .and_then(|wanted| wanted.start());
            let err = events.err().map(|err| err.to_string());
            assert_eq!(err, None, "{point} {}", arg.name);
        }
    }
}

/// Puts what the target needs to run below a root of its own there.
fn libraries(root: &Path) {
    for dir in ["old", "tmp"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut paths: Vec<&str> = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .collect();
    paths.retain(|path| path.contains(".so"));
    // The loader goes by the name that is in the program.
    paths.push("/lib64/ld-linux-x86-64.so.2");
    for path in paths.into_iter().filter(|path| Path::new(path).exists()) {
        let to = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let status = Command::new("cp")
            .arg("-L")
            .arg(path)
            .arg(&to)
            .status()
            .unwrap();
        assert!(status.success());
        let usual = root.join("lib/x86_64-linux-gnu");
        fs::create_dir_all(&usual).unwrap();
        fs::copy(path, usual.join(to.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_node_below_another_root_is_traced() {
    if !may_trace() || !cfg!(target_arch = "x86_64") {
        return;
    }
    let place = Place::new();
    libraries(&place.0);
    let root = place.0.to_str().unwrap();
    let target = "/bitcoind demo-target --hold --die-with-parent --pause-us 1000 --rounds 1";
    // A root of its own, and a mount namespace of its own as containers have it.
    let ways = [
        format!("exec chroot {root} {target}"),
        format!(
            "exec unshare -m sh -c 'mount --bind {root} {root} && cd {root} && pivot_root . old && exec {target}'"
        ),
    ];
    for way in ways {
        let mut command = Command::new("sh");
        let command = command
            .args(["-c", &way])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let node = Node(command.spawn().unwrap());
        let pid = node.0.id();
        let link = format!("/proc/{pid}/exe");
        for _ in 0..100 {
            if fs::read_link(&link).is_ok_and(|path| path.ends_with("bitcoind")) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let mut tool = Tool::start(&["p2p-traffic", "--pid", &pid.to_string()]);
        assert_eq!(tool.line(), "Logging P2P traffic", "{way}");
        node.run();
        let line = tool.line();
        assert!(
            line.starts_with("outbound 'version' msg to peer 0"),
            "{way}: {line}"
        );
        tool.end();
    }
}

/// Changes the notes of the program's file: each of the texts to one of the same length, wherever it is.
fn change(place: &Place, changes: &[(&str, &str)]) {
    let mut bytes = fs::read(place.bin()).unwrap();
    let section = elf::Image::parse(&bytes)
        .unwrap()
        .section(".note.stapsdt")
        .unwrap();
    let start = usize::try_from(section.offset).unwrap();
    let length = section.bytes.unwrap().len();
    let notes = &mut bytes[start..start + length];
    for (from, to) in changes {
        assert_eq!(from.len(), to.len());
        let mut found = 0;
        while let Some(at) = notes
            .windows(from.len())
            .position(|part| part == from.as_bytes())
        {
            notes[at..at + from.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
        assert!(found > 0, "{from:?}");
    }
    let new = place.0.join("changed");
    fs::write(&new, bytes).unwrap();
    assert!(
        Command::new("chmod")
            .arg("755")
            .arg(&new)
            .status()
            .unwrap()
            .success()
    );
    place.put(&new);
}

#[test]
fn other_releases_are_told_apart() {
    if !may_trace() {
        return;
    }
    // One tracepoint is missing, another has an argument of another sign.
    let place = Place::new();
    change(
        &place,
        &[
            (
                "net\0evicted_inbound_connection\0",
                "net\0evicted_inbound_connexion!\0",
            ),
            (
                "net\0inbound_connection\0-8@",
                "net\0inbound_connection\0 8@",
            ),
        ],
    );
    let bin = place.bin();
    let mut tool = Tool::start(&["connections", "--bin", bin.to_str().unwrap()]);
    tool.line();
    place.node("1").run();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (out, said) = tool.end();
    for want in [
        "has no tracepoint `net:evicted_inbound_connection` (in Bitcoin Core since 29.0)",
        "net:inbound_connection, argument `id`: expected 8 bytes signed, found 8 bytes unsigned",
    ] {
        assert!(said.contains(want), "no {want:?} in {said}");
    }
    for want in [
        "INBOUND conn from ",
        "CLOSED conn to ",
        "MISBEHAVING conn id=3",
    ] {
        assert!(out.contains(want), "no {want:?} in {out}");
    }
    assert!(!out.contains("EVICTED"), "{out}");

    // A script that uses the argument is warned too; one that needs the tracepoint is refused.
    let script = format!(
        "usdt:{}:net:inbound_connection {{ print(args.id); exit() }}",
        bin.display()
    );
    let output = Command::new(EXE)
        .args(["check", "-e", &script])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("expected int64, found uint64 in the binary"),
        "{said}"
    );

    // Of all that a tool wants nothing is there.
    change(&place, &[("\0utxocache\0", "\0utxocashe\0")]);
    let said = fails(&["utxos", "--bin", bin.to_str().unwrap()]);
    for want in [
        "has no tracepoint `utxocache:add` (in Bitcoin Core since 23.0)",
        "run a newer release",
    ] {
        assert!(said.contains(want), "no {want:?} in {said}");
    }
}
