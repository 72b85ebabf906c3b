//! What a user sees, key by key.

use crate::{
    place::{Place, alone, may_trace},
    terminal::Terminal,
};
use std::{fs, path::Path};

fn export_of(folder: &Path) -> Vec<serde_json::Value> {
    let files = fs::read_dir(folder).unwrap().flatten();
    let mut files = files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"));
    let path = files.next().unwrap();
    assert_eq!(files.next(), None);
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn peers_are_sorted_opened_filtered_held_and_exported() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    let mut node = place.node("0", "2000", &[]);
    let mut terminal = Terminal::start(
        &["p2p-monitor", "--bin", &place.bin()],
        (80, 24),
        &place.0,
        &[],
    );
    let pid = format!("pid {}", node.0.id());
    terminal.shows(&[
        "p2p-monitor",
        &pid,
        "no message or connection seen yet",
        "? help",
    ]);
    node.go();
    let text = terminal.shows(&["192.0.2.17:8333", "203.0.113.9:51724", "Onion", "ID+"]);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    terminal.types("s", &["ADDRESS+"]);
    terminal.types("r", &["ADDRESS-"]);
    for (key, heading) in [
        ("1", "ID+"),
        ("5", " IN-"),
        ("s", "IN B-"),
        ("s", "OUT-"),
        ("S", "IN B-"),
        ("2", "ADDRESS+"),
    ] {
        terminal.types(key, &[heading]);
    }
    // The first by address, in its order: 192.0.2.17.
    terminal.types(
        "\x1b[H\r",
        &[
            "peer 0  192.0.2.17:8333  outbound-full-relay  IPv4",
            "MESSAGE",
            "version",
        ],
    );
    terminal.keys("f=ping\r");
    let text = terminal.until("only ping", |text| {
        text.contains("filter `=ping`") && text.contains(" ping ") && !text.contains(" pong ")
    });
    assert!(!text.contains("version"), "{text}");
    // A peer of the target that comes again begins anew: it is held when it has pinged.
    while !terminal.types(" ", &["held at"]).contains(" ping ") {
        terminal.keys(" ");
        terminal.until("the live screen", |text| !text.contains("held at"));
        terminal.shows(&[" ping "]);
    }
    terminal.until("events since", |text| {
        text.contains("events)") && !text.contains("(+0 events)")
    });
    terminal.types("e", &["lines written to"]);
    let rows = export_of(&place.0);
    assert!(!rows.is_empty());
    for row in rows {
        let what = (row["msg_type"].as_str(), row["peer_id"].as_i64());
        assert_eq!(what, (Some("ping"), Some(0)));
        assert_eq!(row["pid"].as_u64(), Some(u64::from(node.0.id())));
        assert!(row["time_ms"].as_u64().is_some());
    }
    terminal.keys(" c");
    terminal.until("all messages", |text| {
        !text.contains("held at") && text.contains("pong")
    });
    terminal.types("/pong\r", &["search `pong`"]);
    terminal.types("\x1b", &["ADDRESS+"]);
    terminal.types("fonion\r", &["filter `onion`", "Onion"]);
    terminal.until("only onion", |text| !text.contains("192.0.2.17"));
    terminal.types("c?", &["keys (any other closes", "Ctrl-L", "quit"]);
    terminal.types("xi", &["said by the trace", "tracing bitcoind, pid"]);
    terminal.keys("xq");
    assert!(terminal.wait().success());
    terminal.is_restored();
}

#[test]
fn the_mempool_is_counted_and_its_log_filtered() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    let mut node = place.node("0", "1000", &[]);
    let mut terminal = Terminal::start(
        &["mempool-monitor", "--bin", &place.bin()],
        (80, 24),
        &place.0,
        &[],
    );
    terminal.shows(&["mempool-monitor", "nothing to show yet"]);
    node.go();
    terminal.shows(&["10 MIN", "SAT/VB", "replacements changed fees by"]);
    terminal.until("all kinds", |text| {
        ["added", "removed", "replaced", "rejected"]
            .iter()
            .all(|kind| {
                let row = text
                    .lines()
                    .find(|line| line.starts_with(kind))
                    .unwrap_or("");
                row.split_whitespace()
                    .nth(1)
                    .is_some_and(|count| count != "0")
            })
    });
    let log = |text: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| !line.starts_with("TIME"));
        lines
            .skip(1)
            .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
            .collect()
    };
    terminal.keys("freplaced,!removed\r");
    let text = terminal.until("only replacements", |text| {
        let lines = log(text);
        !lines.is_empty() && lines.iter().all(|line| line[13..].starts_with("replaced"))
    });
    assert!(log(&text)[0].contains(" by "), "{text}");
    terminal.types("\r", &["with feerate", "received", " fee +"]);
    terminal.types("\x1b e", &["lines written to", "held at"]);
    let rows = export_of(&place.0);
    assert!(
        rows.iter().all(|row| row["event"] == "mempool:replaced"),
        "{rows:?}"
    );
    assert_eq!(rows[0]["args"]["new_id"].as_str().unwrap().len(), 64);
    terminal.quit();
}

#[test]
fn sizes_from_too_small_to_wide() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    let mut node = place.node("0", "2000", &[]);
    node.go();
    for (tool, wide) in [("p2p-monitor", "STATE"), ("mempool-monitor", "AGE")] {
        let mut terminal = Terminal::start(&[tool, "--bin", &place.bin()], (39, 10), &place.0, &[]);
        terminal.shows(&["terminal is 39x10, 40x10 is needed"]);
        terminal.resize(40, 10);
        let text = terminal.until("a screen", |text| {
            text.contains("? help") && text.contains(tool)
        });
        assert!(text.lines().count() <= 10 && !text.contains(wide), "{text}");
        terminal.resize(200, 60);
        terminal.shows(&[wide, "LAST MINUTE"]);
        terminal.resize(80, 24);
        terminal.until("a narrower screen", |text| {
            !text.contains(wide) && text.contains(tool)
        });
        terminal.resize(80, 9);
        terminal.shows(&["terminal is 80x9"]);
        terminal.quit();
    }
}

#[test]
fn without_colour_and_without_unicode() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    let mut node = place.node("0", "2000", &[]);
    node.go();
    let coloured = |terminal: &Terminal| {
        let screen = terminal.screen();
        let (rows, cols) = screen.size();
        let cells = (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col)));
        cells
            .filter_map(|(row, col)| screen.cell(row, col))
            .any(|cell| cell.fgcolor() != vt100::Color::Default)
    };
    for (env, colour, ascii) in [
        (&[][..], true, false),
        (&[("NO_COLOR", "1")], false, false),
        (&[("TERM", "linux")], true, true),
        (&[("LANG", "C")], true, true),
    ] {
        let mut terminal = Terminal::start(
            &["p2p-monitor", "--bin", &place.bin()],
            (80, 24),
            &place.0,
            env,
        );
        terminal.shows(&["192.0.2.17:8333"]);
        let text = terminal.types("?", &["keys (any other closes"]);
        assert_eq!(coloured(&terminal), colour, "{env:?}");
        assert_eq!(text.is_ascii(), ascii, "{env:?}\n{text}");
        terminal.keys("xq");
        assert!(terminal.wait().success());
    }
    let mut terminal = Terminal::start(
        &["p2p-monitor", "--bin", &place.bin()],
        (80, 24),
        &place.0,
        &[("TERM", "dumb")],
    );
    assert_eq!(terminal.wait().code(), Some(2));
    terminal.shows(&["TERM=dumb is a terminal that only prints", "--json"]);
}

#[test]
fn two_monitors_and_two_nodes() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    let mut nodes = [place.node("0", "3000", &[]), place.node("0", "3000", &[])];
    let bin = place.bin();
    let mut peers = Terminal::start(&["p2p-monitor", "--bin", &bin], (100, 24), &place.0, &[]);
    let mut pool = Terminal::start(
        &["mempool-monitor", "--bin", &bin],
        (120, 24),
        &place.0,
        &[],
    );
    let [one, other] = [0, 1].map(|i| nodes[i].0.id().to_string());
    peers.shows(&["2 nodes", &one, &other]);
    pool.shows(&["2 nodes"]);
    nodes.iter_mut().for_each(crate::place::Node::go);
    let twice = |text: &str, word: &str| text.matches(word).count() > 1;
    peers.until("both nodes' peers", |text| {
        text.contains("NODE") && twice(text, &one) && twice(text, &other)
    });
    pool.until("both nodes' transactions", |text| {
        text.contains("NODE") && twice(text, &one) && twice(text, &other)
    });
    let [first, second] = nodes;
    drop(first);
    peers.shows(&[&format!("pid {}", second.0.id())]);
    peers.types(&format!("f{one}\r"), &[&format!("filter `{one}`")]);
    peers.until("its peers alone", |text| {
        twice(text, &one) && !twice(text, &other)
    });
    peers.types("o", &["no peer matches the filter"]);
    for terminal in [peers, pool] {
        terminal.quit();
    }
}
