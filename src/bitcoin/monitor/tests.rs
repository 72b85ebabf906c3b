//! The monitors driven by keys on a made-up terminal.

use std::path::{Path, PathBuf};

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};

use super::{
    MempoolScreen, PeersScreen, Shared, Theme,
    app::{App, Screen},
    mempool, peers,
};

const PLAIN: Theme = Theme {
    colour: false,
    unicode: true,
};

struct Driver<S: Screen> {
    app: App<S>,
    terminal: Terminal<TestBackend>,
    shared: Shared<S::Model>,
}

impl<S: Screen> Driver<S> {
    fn new(screen: S, width: u16, height: u16, folder: &Path) -> Self {
        let shared = Shared::default();
        Driver {
            app: App::new(screen, shared.clone(), PLAIN, folder),
            terminal: Terminal::new(TestBackend::new(width, height)).unwrap(),
            shared,
        }
    }

    fn feed(&self, ms: u64, event: <S::Model as super::shared::Model>::Event) {
        self.shared
            .feed((self.shared.start_unix_ms() + ms) * 1_000_000, 7, event);
    }

    fn keys(&mut self, text: &str) {
        for c in text.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                '\x08' => KeyCode::Backspace,
                c => KeyCode::Char(c),
            };
            assert!(
                !self.app.key(KeyEvent::new(code, KeyModifiers::NONE)),
                "{c:?} quits"
            );
        }
    }

    /// The screen's lines, blanks at their ends cut.
    fn screen(&mut self) -> Vec<String> {
        self.terminal.draw(|frame| self.app.draw(frame)).unwrap();
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let cells: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
        cells
            .chunks(width)
            .map(|row| row.concat().trim_end().to_owned())
            .collect()
    }

    fn text(&mut self) -> String {
        self.screen().join("\n")
    }
}

fn message(id: i64, addr: &str, msg_type: &str, size: u64, inbound: bool) -> peers::Event {
    peers::Event::Message {
        peer: peers::Peer {
            id,
            addr: addr.to_owned(),
            conn_type: if id == 2 {
                "inbound"
            } else {
                "outbound-full-relay"
            }
            .to_owned(),
        },
        msg_type: msg_type.to_owned(),
        size,
        inbound,
    }
}

fn peers(width: u16, height: u16) -> Driver<PeersScreen> {
    let driver = Driver::new(PeersScreen::default(), width, height, Path::new("/"));
    driver.feed(0, message(1, "192.0.2.17:8333", "ping", 8, false));
    driver.feed(31, message(1, "192.0.2.17:8333", "pong", 8, true));
    driver.feed(40, message(2, "[2001:db8::7]:50012", "inv", 36_003, true));
    driver.feed(50, message(10, "abc.onion:8333", "tx", 250, true));
    driver
}

#[test]
fn the_table_fits_80_by_24_and_sorts() {
    let mut driver = peers(80, 24);
    let screen = driver.screen();
    assert_eq!(screen.len(), 24);
    assert_eq!(screen[0], "p2p-monitor");
    assert!(screen[1].starts_with("messages     4 "), "{}", screen[1]);
    let heading = screen[3].replace(" B", "B");
    let heading: Vec<&str> = heading.split_whitespace().collect();
    let columns = [
        "ID+", "ADDRESS", "TYPE", "NET", "IN", "INB", "OUT", "OUTB", "B/s", "PING",
    ];
    assert_eq!(heading, columns);
    let ids = |screen: &[String]| -> Vec<String> {
        screen[4..7]
            .iter()
            .map(|l| l.split_whitespace().next().unwrap_or("").to_owned())
            .collect()
    };
    assert_eq!(ids(&screen), ["1", "2", "10"]);
    assert!(screen[4].contains("out-full  IPv4"), "{}", screen[4]);
    assert!(screen[4].ends_with("31ms"), "{}", screen[4]);
    assert!(screen[5].contains("36k"), "{}", screen[5]);
    driver.keys("r");
    assert_eq!(ids(&driver.screen()), ["10", "2", "1"]);
    driver.keys("rsssss");
    let screen = driver.screen();
    assert!(screen[3].contains(" IN B- "), "{}", screen[3]);
    assert_eq!(ids(&screen), ["2", "10", "1"], "by bytes received");
    driver.keys("3");
    assert_eq!(ids(&driver.screen()), ["2", "1", "10"], "by type");
    for _ in 0..10 {
        driver.keys("s");
        let heading = &driver.screen()[3];
        assert!(
            heading.contains(['+', '-']),
            "sorted by what is shown: {heading}"
        );
    }
    driver.keys("1");
    assert!(driver.screen()[23].starts_with("? help"));
}

#[test]
fn filter_search_and_clear() {
    let mut driver = peers(100, 24);
    driver.keys("fonion");
    assert!(driver.text().contains("filter: onion_"));
    driver.keys("\n");
    let text = driver.text();
    assert!(
        text.contains("abc.onion") && !text.contains("192.0.2.17"),
        "{text}"
    );
    assert!(text.contains("filter `onion` (c drops it)"), "{text}");
    driver.keys("c/2001\n\n");
    let text = driver.text();
    assert!(
        text.contains("peer 2  [2001:db8::7]:50012  inbound  IPv6"),
        "{text}"
    );
    driver.keys("\x1bfnothing\n");
    assert!(driver.text().contains("no peer matches the filter"));
    driver.keys("fx\x1b");
    assert!(driver.text().contains("192.0.2.17"));
}

#[test]
fn a_conversation_follows_filters_and_holds() {
    let mut driver = peers(80, 12);
    driver.keys("\n");
    let text = driver.text();
    assert!(
        text.contains("peer 1  192.0.2.17:8333  outbound-full-relay  IPv4  ping 31 ms"),
        "{text}"
    );
    assert!(text.contains("out ping                  8"), "{text}");
    for i in 0..20 {
        driver.feed(
            100 + i,
            message(1, "192.0.2.17:8333", "tx", 1_000 + i, true),
        );
    }
    assert!(driver.text().contains("1019"), "the last is shown");
    driver.keys(" ");
    driver.feed(200, message(1, "192.0.2.17:8333", "block", 999_999, true));
    let text = driver.text();
    assert!(
        text.contains("held at") && text.contains("(+1 events)") && !text.contains("999999"),
        "{text}"
    );
    driver.keys(" ");
    assert!(driver.text().contains("999999"));
    driver.keys("fp\n");
    let text = driver.text();
    assert!(
        text.contains("ping") && text.contains("pong") && !text.contains(" tx "),
        "{text}"
    );
    driver.keys("cg");
    let text = driver.text();
    assert!(text.contains("ping") && !text.contains("999999"), "{text}");
    driver.keys("\x1b");
    assert!(driver.text().contains("ADDRESS"));
}

#[test]
fn what_peers_say_does_not_reach_the_terminal_raw() {
    let mut driver = Driver::new(PeersScreen::default(), 80, 12, Path::new("/"));
    driver.feed(0, message(1, "\x1b]0;x\x07", "\x1b[2J", 8, true));
    let table = driver.text();
    driver.keys("\n");
    let text = table + &driver.text();
    assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text:?}");
}

#[test]
fn small_terminals_help_and_quit() {
    let mut driver = peers(39, 9);
    assert_eq!(driver.screen()[0], "terminal is 39x9, 40x10 is needed");
    driver.terminal.backend_mut().resize(120, 30);
    assert!(driver.text().contains("LAST MINUTE"));
    driver.terminal.backend_mut().resize(40, 10);
    assert!(driver.text().contains("ADDRESS"));
    driver.terminal.backend_mut().resize(80, 24);
    driver.keys("?");
    let text = driver.text();
    assert!(
        text.contains("keys (any other closes") && text.contains("q Ctrl-C"),
        "{text}"
    );
    driver.keys("x");
    assert!(!driver.text().contains("any other closes"));
    driver.keys("f");
    driver.keys("q");
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(driver.app.key(ctrl_c), "ctrl-c quits a prompt too");
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("baretrace-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn export_writes_what_is_shown() {
    let folder = folder("export");
    let mut driver = peers(120, 24);
    driver.app = App::new(
        PeersScreen::default(),
        driver.shared.clone(),
        PLAIN,
        &folder,
    );
    driver.keys("fipv\ne");
    let text = driver.text();
    assert!(text.contains("2 lines written to"), "{text}");
    let file = std::fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let lines = std::fs::read_to_string(&file).unwrap();
    let rows: Vec<serde_json::Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(
        (&rows[0]["peer_id"], &rows[1]["received"]["bytes"]),
        (&1.into(), &36_003.into())
    );
    std::fs::remove_dir_all(&folder).unwrap();
    driver.keys("e");
    let text = driver.text();
    assert!(text.contains("No such file or directory"), "{text}");
}

#[test]
fn the_mempool_counts_reasons_and_logs() {
    let mut driver = Driver::new(MempoolScreen::default(), 80, 24, Path::new("/"));
    assert!(driver.text().contains("nothing to show yet"));
    let txid = "ab".repeat(32);
    for i in 0..30 {
        let txid = txid.clone();
        driver.feed(
            i,
            mempool::Event::Added {
                txid,
                vsize: 141,
                fee: 282,
            },
        );
    }
    let reason = "min relay fee not met".to_owned();
    driver.feed(
        40,
        mempool::Event::Rejected {
            txid: txid.clone(),
            reason,
        },
    );
    let reason = "block".to_owned();
    driver.feed(
        41,
        mempool::Event::Removed {
            txid: txid.clone(),
            reason,
            vsize: 141,
            fee: 282,
            entry_s: 0,
        },
    );
    let by = "cd".repeat(32);
    driver.feed(
        42,
        mempool::Event::Replaced {
            txid,
            vsize: 141,
            fee: 282,
            entry_s: 0,
            by,
            by_vsize: 141,
            by_fee: 564,
        },
    );
    let screen = driver.screen();
    let text = screen.join("\n");
    assert!(
        screen[2].starts_with("added          30      30      30"),
        "{text}"
    );
    assert!(screen[6].starts_with("vB in        4.2k"), "{text}");
    assert!(text.contains("removed     1  block"), "{text}");
    assert!(
        text.contains("rejected     1  min relay fee not met"),
        "{text}"
    );
    assert!(
        text.contains("replacements changed fees by +282 sat"),
        "{text}"
    );
    assert!(
        screen[22].contains("replaced    4.00      +282"),
        "the last is shown: {text}"
    );
    driver.keys("\n");
    let text = driver.text().replace('\n', "");
    assert!(
        text.contains("cdcd with feerate 4.00 sat/vB (564 sat, 141 vbytes), fee +282 sat"),
        "{text}"
    );
    driver.keys("\x1bfrejected,removed\n");
    let text = driver.text();
    assert!(
        text.contains("min relay") && !text.contains("added    2.00"),
        "{text}"
    );
    driver.terminal.backend_mut().resize(40, 10);
    let text = driver.text();
    assert!(
        text.contains("block abab") && text.contains("min relay"),
        "{text}"
    );
}
