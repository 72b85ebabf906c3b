//! How a monitor ends, and terminals that do not take what it shows.

use crate::{
    place::{Place, alone, may_trace},
    terminal::Terminal,
};
use baretrace::bitcoin::monitor::{
    self, Shared, Theme,
    app::{Now, Query, Screen},
    keys::Action,
    peers::Peers,
};
use nix::sys::{
    signal::Signal,
    termios::{FlowArg, tcflow},
};
use std::{os::fd::AsFd, path::Path, time::Duration};

/// What is done to a terminal to end its monitor.
type Way = fn(&mut Terminal);

#[test]
fn keys_and_signals_end_it_and_give_the_terminal_back() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    let end: [(&str, Way); 5] = [
        ("q", |t| t.keys("q")),
        ("Ctrl-C", |t| t.keys("\x03")),
        ("SIGINT", |t| t.signal(Signal::SIGINT)),
        ("SIGTERM", |t| t.signal(Signal::SIGTERM)),
        ("SIGHUP", |t| t.signal(Signal::SIGHUP)),
    ];
    for (name, end) in end {
        let mut terminal = Terminal::start(
            &["p2p-monitor", "--bin", &place.bin()],
            (80, 24),
            &place.0,
            &[],
        );
        terminal.shows(&["no node runs: waiting for one"]);
        assert!(terminal.screen().alternate_screen());
        end(&mut terminal);
        assert!(terminal.wait().success(), "{name}");
        terminal.is_restored();
    }
    let words = ["p2p-monitor", "--bin", &place.bin(), "--duration", "500ms"];
    let mut terminal = Terminal::start(&words, (80, 24), &place.0, &[]);
    assert!(terminal.wait().success());
    terminal.is_restored();
}

#[test]
fn a_terminal_that_hangs_up_ends_it() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    let mut terminal = Terminal::start(
        &["mempool-monitor", "--bin", &place.bin()],
        (80, 24),
        &place.0,
        &[],
    );
    terminal.shows(&["nothing to show yet"]);
    terminal.hang_up();
    assert!(terminal.wait().success());
}

/// A terminal that is stopped costs no event, and does not keep a signal from ending the monitor.
#[test]
fn a_stopped_terminal_stops_nothing_else() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    const MESSAGES: usize = 20_000;
    let node = place.node("0", "0", &["--messages", &MESSAGES.to_string()]);
    let mut terminal = Terminal::start(
        &["p2p-monitor", "--bin", &place.bin()],
        (80, 24),
        &place.0,
        &[],
    );
    terminal.shows(&["no message or connection seen yet", "pid"]);
    tcflow(&terminal.slave, FlowArg::TCOOFF).unwrap();
    node.run();
    tcflow(&terminal.slave, FlowArg::TCOON).unwrap();
    let text = terminal.shows(&["messages   20k"]);
    assert!(!text.contains("lost"), "{text}");
    tcflow(&terminal.slave, FlowArg::TCOOFF).unwrap();
    terminal.signal(Signal::SIGTERM);
    assert!(terminal.wait().success());
    tcflow(&terminal.slave, FlowArg::TCOON).unwrap();
}

/// A screen that goes wrong.
struct Broken;

impl Screen for Broken {
    type Model = Peers;
    const NAME: &'static str = "broken";
    fn draw(&mut self, _: &Peers, _: &mut ratatui::Frame, _: ratatui::layout::Rect, _: &Now) {
        panic!("the column has no width");
    }
    fn act(&mut self, _: Action, _: &Peers, _: &Now) -> bool {
        false
    }
    fn query(&mut self, _: Query, _: &str, _: &Peers, _: &Now) {}
    fn text(&self, _: Query) -> &str {
        ""
    }
    fn export(&self, _: &Peers, _: &Now) -> Vec<serde_json::Value> {
        Vec::new()
    }
}

/// Run on a terminal by the test below.
#[test]
#[ignore = "another test runs it on a terminal of its own"]
fn broken_screen() {
    let theme = Theme::from_env(|_| None);
    let (never, _end) = std::os::unix::net::UnixStream::pair().unwrap();
    let _ = monitor::run(
        Broken,
        Shared::default(),
        theme,
        Path::new("."),
        never.as_fd(),
        &|| false,
    );
}

#[test]
fn what_a_panic_says_is_seen_after_the_screen() {
    let _alone = alone();
    let program = std::env::current_exe().unwrap();
    let words = [
        "--exact",
        "endings::broken_screen",
        "--ignored",
        "--nocapture",
    ];
    let mut terminal = Terminal::spawn(
        program.to_str().unwrap(),
        &words,
        (80, 24),
        &std::env::temp_dir(),
        &[("RUST_BACKTRACE", "0")],
    );
    assert_eq!(terminal.wait().code(), Some(101));
    terminal.shows(&["panicked at", "the column has no width"]);
    terminal.is_restored();
}

/// Nothing is left attached: a monitor can be started again at once, many times.
#[test]
fn it_starts_again_at_once() {
    if !may_trace() {
        return;
    }
    let _alone = alone();
    let place = Place::new();
    let mut node = place.node("0", "2000", &[]);
    node.go();
    for _ in 0..3 {
        let mut terminal = Terminal::start(
            &["p2p-monitor", "--bin", &place.bin()],
            (80, 24),
            &place.0,
            &[],
        );
        terminal.shows(&["192.0.2.17:8333"]);
        terminal.signal(Signal::SIGKILL);
        assert!(!terminal.wait().success());
    }
    std::thread::sleep(Duration::from_millis(10));
    assert!(node.0.try_wait().unwrap().is_none(), "the node runs on");
}
