//! The line tools: a table, and the loop that runs one.

use super::{
    bench::{self, Bench},
    follow::{Follow, FollowError, Plan},
    json, lines, monitor,
    node::Which,
    pcapng::Chain,
    sinks::Sinks,
};
use crate::{
    runtime::{Buffering, Output, Sent, head_start},
    session::Signals,
    sys::process::{self, monotonic_ns},
    trace::{Event, Filter},
};
use std::{
    fmt,
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

/// A tool that prints a line for each event.
pub struct Tool {
    /// The word that selects it.
    pub verb: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// The tracepoints that it wants.
    pub tracepoints: &'static [&'static str],
    /// It wants the bytes of messages.
    pub payload: bool,
    /// It begins by saying which process it looks at.
    pub hooks: bool,
    /// What it prints first.
    pub header: fn(&mut String),
    /// What it prints for an event; of one with a payload, all before the payload.
    pub line: fn(&mut String, &Event),
    /// It is a screen of its own, unless JSON is asked for.
    pub screen: Option<Show>,
}

/// Shows a tool's screen until its user or the options end it.
pub type Show = fn(&Options) -> Result<(), ToolError>;

/// The tool that takes a range of blocks and keeps numbers.
pub const CONNECTBLOCK: &str = "connectblock";

const MESSAGES: &[&str] = &["net:inbound_message", "net:outbound_message"];

/// All line tools.
pub const TOOLS: &[Tool] = &[
    Tool {
        verb: "p2p-traffic",
        help: "Log each P2P message: type, peer, size",
        tracepoints: MESSAGES,
        payload: false,
        hooks: false,
        header: |out| out.push_str("Logging P2P traffic\n"),
        line: lines::message,
        screen: None,
    },
    Tool {
        verb: "connections",
        help: "Log opened, closed, evicted and misbehaving connections",
        tracepoints: &[
            "net:inbound_connection",
            "net:outbound_connection",
            "net:closed_connection",
            "net:evicted_inbound_connection",
            "net:misbehaving_connection",
        ],
        payload: false,
        hooks: false,
        header: |out| {
            out.push_str("Logging opened, closed, misbehaving, and evicted P2P connections\n");
        },
        line: lines::connection,
        screen: None,
    },
    Tool {
        verb: "utxos",
        help: "Log coins that are added to, spent from and dropped from the coins cache",
        tracepoints: &["utxocache:add", "utxocache:spent", "utxocache:uncache"],
        payload: false,
        hooks: false,
        header: lines::utxo_header,
        line: lines::utxo,
        screen: None,
    },
    Tool {
        verb: CONNECTBLOCK,
        help: "Measure how fast blocks from START to END are connected, show those over MS milliseconds",
        tracepoints: &["validation:block_connected"],
        payload: false,
        hooks: false,
        header: |_| {},
        line: |_, _| {},
        screen: None,
    },
    Tool {
        verb: "raw-messages",
        help: "Log each P2P message with its bytes in hexadecimal",
        tracepoints: MESSAGES,
        payload: true,
        hooks: true,
        header: |out| out.push_str("Logging raw P2P messages.\n"),
        line: lines::raw_head,
        screen: None,
    },
    Tool {
        verb: "utxocache-flushes",
        help: "Log when the coins cache is written out, and how long it takes",
        tracepoints: &["utxocache:flush"],
        payload: false,
        hooks: true,
        header: lines::flush_header,
        line: lines::flush,
        screen: None,
    },
    Tool {
        verb: "coin-selection",
        help: "Log which coins the wallet chooses, and the transactions it makes",
        tracepoints: &[
            "coin_selection:selected_coins",
            "coin_selection:normal_create_tx_internal",
            "coin_selection:attempting_aps_create_tx",
            "coin_selection:aps_create_tx_internal",
        ],
        payload: false,
        hooks: false,
        header: |out| out.push_str("Logging coin selection\n"),
        line: lines::coin_selection,
        screen: None,
    },
    Tool {
        verb: "p2p-monitor",
        help: "Watch peers and their messages on a live screen",
        tracepoints: monitor::source::PEERS,
        payload: false,
        hooks: false,
        header: |_| {},
        line: |_, _| {},
        screen: Some(monitor::peers_tool),
    },
    Tool {
        verb: "mempool-monitor",
        help: "Watch what comes into the mempool, leaves it and is refused on a live screen",
        tracepoints: monitor::source::MEMPOOL,
        payload: false,
        hooks: false,
        header: |_| {},
        line: |_, _| {},
        screen: Some(monitor::mempool_tool),
    },
];

/// Most bytes of a message.
pub const MAX_MESSAGE: u32 = 4_000_000;

/// How a tool is to run.
#[derive(Debug, Default)]
pub struct Options {
    /// On which node.
    pub which: Which,
    /// Which events.
    pub filter: Filter,
    /// JSON instead of text.
    pub json: bool,
    /// Where lines go; `None` for standard output.
    pub output: Option<PathBuf>,
    /// How long; `None` until it is interrupted.
    pub duration: Option<Duration>,
    /// How many events; `None` for any number.
    pub count: Option<u64>,
    /// For `connectblock`.
    pub blocks: bench::Range,
    /// For `raw-messages`.
    pub raw: Raw,
}

/// What becomes of raw messages, besides or instead of hexadecimal.
#[derive(Debug, Default)]
pub struct Raw {
    /// They are printed decoded.
    pub decode: bool,
    /// They go there as Bitcoin Core captures them, see [`super::capture`].
    pub capture: Option<PathBuf>,
    /// They go there as packets, see [`super::pcapng`].
    pub pcapng: Option<PathBuf>,
    /// The chain whose packets these are to be.
    pub chain: Chain,
}

/// Why a tool ended before its end.
#[derive(Debug)]
pub enum ToolError {
    /// The node.
    Follow(FollowError),
    /// A system call.
    Io(&'static str, io::Error),
    /// The output cannot be written, which has been said.
    Output,
    /// The file for the output cannot be made.
    Create(PathBuf, io::Error),
    /// A capture could not be begun.
    Capture(PathBuf, io::Error),
    /// A capture could not be written to its end, which has been said.
    CaptureCut,
    /// The screen.
    Monitor(monitor::Error),
}

impl ToolError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            ToolError::Follow(err) => err.help(),
            ToolError::Monitor(monitor::Error::NoTerminal | monitor::Error::Dumb) => {
                Some("--json prints the same events, an object a line, anywhere".to_string())
            }
            ToolError::Io(..)
            | ToolError::Output
            | ToolError::Create(..)
            | ToolError::Capture(..)
            | ToolError::CaptureCut
            | ToolError::Monitor(_) => None,
        }
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToolError::Follow(err) => err.fmt(f),
            ToolError::Io(what, err) => write!(f, "{what}: {err}"),
            ToolError::Output => f.write_str("output could not be written: tracing has ended"),
            ToolError::Create(path, err) => {
                write!(f, "create output file `{}`: {err}", path.display())
            }
            ToolError::Capture(path, err) => write!(f, "begin capture `{}`: {err}", path.display()),
            ToolError::CaptureCut => {
                f.write_str("a capture is not whole: it could not be written to its end")
            }
            ToolError::Monitor(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for ToolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ToolError::Follow(err) => Some(err),
            ToolError::Io(_, err) | ToolError::Create(_, err) | ToolError::Capture(_, err) => {
                Some(err)
            }
            ToolError::Monitor(err) => Some(err),
            ToolError::Output | ToolError::CaptureCut => None,
        }
    }
}

impl From<FollowError> for ToolError {
    fn from(err: FollowError) -> Self {
        ToolError::Follow(err)
    }
}

/// Runs a tool to its end, printing to standard output or a file, and notices to standard error.
///
/// # Errors
/// What stands in the way; a closed standard output is a quiet end.
pub fn run(tool: &Tool, options: &Options) -> Result<(), ToolError> {
    head_start::begin();
    if let Some(screen) = tool.screen
        && !options.json
    {
        return screen(options);
    }
    process::give_back_large();
    let sinks = Sinks::create(&options.raw)?;
    let out = match &options.output {
        Some(path) => Output::file(path, Buffering::Line)
            .map_err(|err| ToolError::Create(path.clone(), err))?,
        None => Output::stdout(Buffering::Line),
    };
    let signals = Signals::new([]).map_err(|err| ToolError::Io("signalfd", err))?;
    let follow = Follow::start(
        options.which.clone(),
        plan(tool.tracepoints, tool.payload, options),
    )?;
    process::trim_program();
    let mut run = Run {
        tool,
        options,
        follow,
        bench: (tool.verb == CONNECTBLOCK).then(|| Bench::new(options.blocks, monotonic_ns())),
        out,
        text: String::new(),
        sinks,
        events: 0,
        over: false,
        lost: Vec::new(),
    };
    run.begin();
    let until = options
        .duration
        .and_then(|time| Instant::now().checked_add(time));
    let mut second = Instant::now() + Duration::from_secs(1);
    while !run.is_full() {
        let now = Instant::now();
        if signals.next().is_some() || until.is_some_and(|until| now >= until) {
            break;
        }
        if now >= second {
            second = now + Duration::from_secs(1);
            run.second()?;
        }
        if run.next(Duration::ZERO)? {
            continue;
        }
        if run.say_notices() == Sent::Closed {
            return Ok(());
        }
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
        run.next(left.min(second.saturating_duration_since(now)).min(WAIT))?;
    }
    run.end()
}

/// What is wanted of a node: these tracepoints with all their arguments, payloads too if asked for.
pub(super) fn plan(tracepoints: &[&str], payload: bool, options: &Options) -> Plan {
    Plan {
        tracepoints: tracepoints.iter().map(|name| (*name).to_string()).collect(),
        filter: options.filter.clone(),
        payload: payload.then_some(MAX_MESSAGE),
        only: Vec::new(),
    }
}

/// Longest wait for an event: a signal is looked at in between.
const WAIT: Duration = Duration::from_millis(50);

struct Run<'t> {
    tool: &'t Tool,
    options: &'t Options,
    follow: Follow,
    bench: Option<Bench>,
    out: Output,
    text: String,
    sinks: Sinks,
    events: u64,
    /// The last block of the range came.
    over: bool,
    /// Losses that have been said.
    lost: Vec<(String, u64)>,
}

impl Run<'_> {
    fn begin(&mut self) {
        self.say_notices();
        if !self.options.json {
            if let ([node], true) = (self.follow.nodes(), self.tool.hooks) {
                self.text = format!("Hooking into bitcoind with pid {}\n", node.pid);
            }
            (self.tool.header)(&mut self.text);
            if let Some(bench) = &self.bench {
                bench.header(&mut self.text);
            }
            self.write();
        }
        self.out.idle();
    }

    /// Whether as many events as wanted were printed, or the last block came.
    fn is_full(&self) -> bool {
        self.over || self.options.count.is_some_and(|count| self.events >= count)
    }

    /// Prints the next event; false if none came within `time`.
    fn next(&mut self, time: Duration) -> Result<bool, ToolError> {
        let Some(event) = self.follow.next(time)? else {
            return Ok(false);
        };
        self.events += 1;
        for problem in self.sinks.write(&event) {
            let _ = writeln!(io::stderr(), "warning: {problem}");
        }
        // Of a message whose bytes come after its line's beginning.
        let mut digits = self.tool.payload && !self.options.json;
        if self.options.json {
            json::event(&mut self.out, &event, self.options.raw.decode);
            if self
                .bench
                .as_mut()
                .is_some_and(|bench| bench.block(&mut self.text, &event))
            {
                self.over = true;
            }
            self.text.clear();
        } else {
            let start = self.text.len();
            match &mut self.bench {
                Some(bench) => {
                    self.over |= bench.block(&mut self.text, &event);
                }
                None if self.options.raw.decode => {
                    digits = !lines::decoded_message(&mut self.text, &event);
                }
                None => (self.tool.line)(&mut self.text, &event),
            }
            if self.follow.nodes().len() > 1 && self.text.len() > start {
                // Not before a line that is empty.
                let blank =
                    self.text[start..].len() - self.text[start..].trim_start_matches('\n').len();
                self.text
                    .insert_str(start + blank, &format!("[{}] ", event.pid()));
            }
        }
        self.write();
        if digits {
            lines::digits(&mut self.out, event.bytes("bytes").unwrap_or_default());
            self.out.buf.push(b'\n');
        }
        match self.out.commit() {
            Sent::Failed => Err(ToolError::Output),
            // Seen at the next pause.
            Sent::Closed | Sent::Fine => Ok(true),
        }
    }

    fn write(&mut self) {
        self.out.buf.extend_from_slice(self.text.as_bytes());
        self.text.clear();
        self.out.commit();
    }

    /// Lets lines be seen, and says what the node does.
    fn say_notices(&mut self) -> Sent {
        for notice in self.follow.notices() {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(io::stderr(), "{notice}");
        }
        self.out.idle()
    }

    fn second(&mut self) -> Result<(), ToolError> {
        if let Some(bench) = &mut self.bench {
            bench.second(&mut self.text);
            if self.options.json {
                self.text.clear();
            }
            self.write();
        }
        self.say_lost()
    }

    /// Says what was lost since last said.
    fn say_lost(&mut self) -> Result<(), ToolError> {
        let now = self.follow.lost()?;
        for (name, count) in &now {
            let before = self.lost.iter().find(|(known, _)| known == name);
            let more = count - before.map_or(0, |(_, count)| *count);
            if more == 0 {
                continue;
            }
            if self.options.json {
                json::lost(&mut self.out.buf, name, more);
                self.out.commit();
            } else {
                let _ = writeln!(io::stderr(), "Lost {more} events of {name}");
            }
        }
        self.lost = now;
        Ok(())
    }

    fn end(&mut self) -> Result<(), ToolError> {
        self.follow.stop()?;
        while !self.is_full() && self.next(Duration::ZERO)? {}
        if let Some(bench) = &self.bench {
            if self.options.json {
                json::push(&mut self.out.buf, &bench.json());
            } else {
                bench.end(&mut self.text);
            }
            self.write();
        }
        self.say_lost()?;
        self.say_notices();
        match self.out.flush() {
            Sent::Failed => Err(ToolError::Output),
            Sent::Closed | Sent::Fine if self.sinks.is_cut() => Err(ToolError::CaptureCut),
            Sent::Closed | Sent::Fine => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitcoin::tracepoint;
    use std::collections::HashSet;

    #[test]
    fn rows_are_sound() {
        let verbs: HashSet<_> = TOOLS.iter().map(|tool| tool.verb).collect();
        assert_eq!(verbs.len(), TOOLS.len());
        for name in TOOLS.iter().flat_map(|tool| tool.tracepoints) {
            let (context, name) = name.split_once(':').unwrap();
            assert!(tracepoint::find(context, name).is_some(), "{name}");
        }
    }
}
