//! A script of the tracing language, and what it prints as values.

use super::TraceError;
use crate::{
    runtime::{self, Flow, OutputOptions, Player, RecordCtx},
    session::{self, Feed, Options},
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    io::{self, Write},
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A script of the tracing language.
///
/// ```no_run
/// use baretrace::trace::Script;
///
/// let script = Script::new("usdt:./bitcoind:net:inbound_message { @bytes[str(arg3)] = sum(arg4); } interval:s:10 { exit(); }");
/// for output in script.start()? {
///     let output = output?;
///     println!("{}: {}", output.kind, output.data); // map: {"@bytes": {"inv": 1234, "tx": 56789}}
/// }
/// # Ok::<(), baretrace::trace::TraceError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script {
    options: Options,
}

/// One thing that a script printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// `printf`, `value`, `map`, `hist`, `stats`, `time`, … as in the tool's JSON output.
    pub kind: String,
    /// The value: a string for `printf` and `time`, an object by name for maps.
    pub data: Value,
    /// When the probe was hit: `CLOCK_MONOTONIC`, nanoseconds; 0 for what is printed at the end.
    pub time: u64,
    /// The CPU that it was hit on.
    pub cpu: u32,
}

/// What a script prints, as an iterator that waits. It ends when the script calls `exit`, or is stopped; its maps come
/// last. Dropping it detaches.
#[derive(Debug)]
pub struct Outputs {
    feed: Feed,
    player: Player,
    lines: Lines,
    ready: VecDeque<Output>,
    done: bool,
}

/// Where the player writes.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Script {
    /// A script with that text.
    pub fn new(text: &str) -> Script {
        let script = session::Script {
            name: "script".to_string(),
            text: text.to_string(),
        };
        Script {
            options: Options {
                script,
                ..Options::default()
            },
        }
    }

    /// Its next positional parameter.
    #[must_use]
    pub fn param(mut self, value: &str) -> Script {
        self.options.params.push(value.to_string());
        self
    }

    /// Its probes fire in process `pid` alone, and their paths are looked up in the root of that process.
    #[must_use]
    pub fn pid(mut self, pid: u32) -> Script {
        self.options.pid = Some(pid);
        self
    }

    /// Sets a config variable: `max_strlen` to `200`.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Script {
        self.options
            .config
            .push((name.to_string(), value.to_string()));
        self
    }

    /// Compiles, loads, runs `begin` and attaches the rest.
    ///
    /// # Errors
    /// [`TraceError::Session`]: mistakes of the script with their place; what the kernel says.
    pub fn start(self) -> Result<Outputs, TraceError> {
        let feed = Feed::start(&self.options, self.options.pid)?;
        let lines = Lines::default();
        let settings = &feed.compiled().settings;
        let options = OutputOptions {
            form: runtime::Form::Json,
            buffering: runtime::Buffering::None,
            trailer: settings.str_trunc_trailer.clone(),
            max_strlen: settings.max_strlen,
            max_cat_bytes: settings.max_cat_bytes.into(),
            ..OutputOptions::default()
        };
        let sink = runtime::Output::to(Box::new(lines.clone()), "values", options.buffering);
        let mut player = Player::with_output(feed.object(), options, sink, Box::new(io::stderr()))
            .map_err(session::SessionError::Play)?;
        player.set_symbols(Box::new(crate::symbols::Symbolizer::new(
            settings.cpp_demangle,
        )));
        Ok(Outputs {
            feed,
            player,
            lines,
            ready: VecDeque::new(),
            done: false,
        })
    }
}

impl Outputs {
    /// Detaches, runs `end`; what is still to come is delivered, then the iterator ends.
    ///
    /// # Errors
    /// [`TraceError::Session`].
    pub fn stop(&mut self) -> Result<(), TraceError> {
        Ok(self.feed.end()?)
    }

    /// The next output; waits `time` for it. `None` when none came, or there will be none.
    ///
    /// # Errors
    /// [`TraceError::Session`].
    pub fn poll(&mut self, time: Duration) -> Result<Option<Output>, TraceError> {
        let until = Instant::now().checked_add(time);
        loop {
            if let Some(output) = self.ready.pop_front() {
                return Ok(Some(output));
            }
            if self.done {
                return Ok(None);
            }
            let ended = self.feed.is_ended();
            let busy = self.fill()?;
            if !self.ready.is_empty() {
                continue;
            }
            if ended && !busy {
                self.done = true;
                if self.feed.compiled().settings.print_maps_on_exit {
                    let mut maps = self.feed.maps();
                    let printed = self.player.print_maps(&mut maps);
                    printed.map_err(session::SessionError::Play)?;
                }
                take(&self.lines, &mut self.ready, 0, 0);
                continue;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            let wait = Duration::from_millis(16);
            self.feed
                .wait(left.map_or(wait, |left| left.min(wait)), None)?;
        }
    }

    fn fill(&mut self) -> Result<bool, TraceError> {
        let Outputs {
            feed,
            player,
            lines,
            ready,
            ..
        } = self;
        let (mut failed, mut exit) = (None, false);
        let drained = feed.drain(|record, maps| {
            let ctx = RecordCtx {
                cpu: record.cpu,
                time: record.time,
                pid: None,
            };
            match player.play(&record.data, ctx, maps) {
                Ok(Flow::Continue | Flow::PipeClosed) => {}
                Ok(Flow::Exit(_)) => exit = true,
                Err(err) => failed = Some(err),
            }
            player.flush();
            take(lines, ready, record.time, record.cpu);
            if exit || failed.is_some() || ready.len() > 1024 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if let Some(err) = failed {
            return Err(session::SessionError::Play(err).into());
        }
        if exit {
            self.feed.end()?;
        }
        Ok(drained.delivered > 0)
    }
}

/// Takes the lines that were written.
fn take(lines: &Lines, ready: &mut VecDeque<Output>, time: u64, cpu: u32) {
    let text = std::mem::take(&mut *lines.0.lock().unwrap_or_else(PoisonError::into_inner));
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let Ok(mut value) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        ready.push_back(Output {
            kind: value["type"].as_str().unwrap_or_default().to_string(),
            data: value["data"].take(),
            time,
            cpu,
        });
    }
}

impl Iterator for Outputs {
    type Item = Result<Output, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.poll(Duration::MAX).transpose()
    }
}
