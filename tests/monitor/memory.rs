//! What a monitor takes after an hour with 125 peers, measured in a process of its own.

use baretrace::bitcoin::monitor::{
    PeersScreen, Shared, Theme,
    app::App,
    peers::{Event, Peer},
};
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};
use std::process::Command;

const PEERS: u64 = 125;
const SECONDS: u64 = 3_600;
const A_SECOND: u64 = 2;
const TYPES: [&str; 6] = ["inv", "tx", "getdata", "ping", "pong", "headers"];

/// KiB in memory now.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// Run by the test below.
#[test]
#[ignore = "another test runs it in a process of its own"]
fn an_hour() {
    let shared = Shared::default();
    let theme = Theme::from_env(|_| None);
    let mut app = App::new(
        PeersScreen::default(),
        shared.clone(),
        theme,
        std::path::Path::new("."),
    );
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).unwrap();
    terminal.draw(|frame| app.draw(frame)).unwrap();
    let before = resident_kib();
    for second in 0..SECONDS {
        for id in 0..PEERS {
            for n in 0..A_SECOND {
                let msg_type = TYPES[((second + id + n) % 6) as usize].to_owned();
                let peer = Peer {
                    id: id as i64,
                    addr: format!(
                        "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd{id:03}.onion:8333"
                    ),
                    conn_type: "outbound-full-relay".to_owned(),
                };
                let event = Event::Message {
                    peer,
                    msg_type,
                    size: 300,
                    inbound: n == 0,
                };
                shared.feed(
                    (shared.start_unix_ms() + second * 1_000) * 1_000_000,
                    1,
                    event,
                );
            }
        }
    }
    terminal.draw(|frame| app.draw(frame)).unwrap();
    let shown = resident_kib();
    app.key(KeyEvent::new(KeyCode::Char(' '), KeyModifiers::NONE));
    terminal.draw(|frame| app.draw(frame)).unwrap();
    println!(
        "history {} held {}",
        shown - before,
        resident_kib() - before
    );
}

/// The ring, the program and its code are some 12 MiB; an hour's history and a held copy of it have to fit beside them.
#[test]
fn an_hour_with_125_peers_fits() {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    let command = command.args(["--exact", "memory::an_hour", "--ignored", "--nocapture"]);
    let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let line = output
        .lines()
        .find(|line| line.contains("history"))
        .unwrap();
    println!("{line} KiB");
    let numbers: Vec<u64> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [history, held] = numbers[..] else {
        panic!("{line}");
    };
    // 4,096 messages of 8 bytes of each peer: the history is there at all.
    assert!(
        history > 125 * 4_096 * 8 / 1024 && history < 8 << 10,
        "{line}"
    );
    assert!(held < 12 << 10, "{line}");
}
