//! Runs the demo target: when it begins, how fast it goes, what it prints.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::demo::data::{PEERS, payload};
use crate::demo::odd;
use crate::demo::options::{OptionError, Options};
use crate::demo::story::Story;
use crate::sys::sdt;

/// Why the demo target ended before its end.
#[derive(Debug)]
pub enum Error {
    /// The command line is not understood.
    Options(OptionError),
    /// No tracer was attached within the time it was told to wait.
    NoTracer(Duration),
    /// Standard input could not be read, or the tie to the parent not made.
    Io(&'static str, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Options(e) => write!(f, "{e}"),
            Error::NoTracer(time) => write!(f, "demo target: no tracer attached within {time:?}"),
            Error::Io(what, e) => write!(f, "demo target: {what}: {e}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Options(e) => Some(e),
            Error::NoTracer(_) => None,
            Error::Io(_, e) => Some(e),
        }
    }
}

/// Runs the demo target with the words after `demo-target`, printing to standard output.
///
/// # Errors
/// [`Error`]; a closed standard output is a quiet end, not an error.
pub fn run<S: AsRef<str>>(words: &[S]) -> Result<(), Error> {
    run_with(&Options::parse(words).map_err(Error::Options)?)
}

/// Runs the demo target.
///
/// # Errors
/// As [`run`].
pub fn run_with(options: &Options) -> Result<(), Error> {
    if options.die_with_parent {
        set_pdeathsig(Signal::SIGKILL).map_err(|e| Error::Io("die with parent", e.into()))?;
    }
    if options.hold {
        let mut line = String::new();
        io::stdin()
            .read_line(&mut line)
            .map_err(|e| Error::Io("wait for a line on stdin", e))?;
    }
    if let Some(limit) = options.wait {
        let watched = match options.bench {
            Some(_) => sdt::bench_tick_watched,
            None => sdt::inbound_message_watched,
        };
        wait(watched, limit)?;
    }
    let open = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for thread in 1..options.threads {
            let open = &open;
            scope.spawn(move || one_thread(options, thread, open));
        }
        one_thread(options, 0, &open);
    });
    Ok(())
}

fn wait(watched: fn() -> bool, limit: Duration) -> Result<(), Error> {
    let start = Instant::now();
    while !watched() {
        if start.elapsed() > limit {
            return Err(Error::NoTracer(limit));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // The semaphore may rise a little before the probe itself is there.
    std::thread::sleep(Duration::from_millis(200));
    Ok(())
}

fn one_thread(options: &Options, thread: u32, open: &AtomicBool) {
    if let Some(hits) = options.bench {
        bench(hits);
    } else if options.odd {
        odd::fire();
    } else if let Some(count) = options.messages {
        messages(options, thread, count, open);
    } else {
        story(options, thread, open);
    }
}

/// The bench loop: nothing but the probe. Prints `HITS hits, FIRED fired, NS ns/hit`.
fn bench(hits: u64) {
    let start = Instant::now();
    let fired = (0..hits).filter(|n| sdt::bench_tick(*n)).count();
    let nanos = per_hit(start, hits);
    print_line(&format!("{hits} hits, {fired} fired, {nanos:.1} ns/hit"));
}

/// One kind of message, many times. The peer's id is the thread, the message's size the count modulo 1,000,000: an observer
/// can tell which ones it has missed.
fn messages(options: &Options, thread: u32, count: u64, open: &AtomicBool) {
    let peer = &PEERS[0];
    let bytes = payload(options.payload, 1);
    let start = Instant::now();
    let mut fired = 0u64;
    for n in 0..count {
        let hit = sdt::net_inbound_message(
            i64::from(thread),
            peer.addr,
            peer.conn_type,
            c"ping",
            n % 1_000_000,
            &bytes,
        );
        fired += u64::from(hit);
        if hit && options.print {
            open.fetch_and(
                print_line(&format!("net:inbound_message\t{thread}\t{}", n % 1_000_000)),
                Ordering::Relaxed,
            );
        }
        if !options.pause.is_zero() {
            std::thread::sleep(options.pause);
        }
    }
    eprintln!(
        "{count} hits, {fired} fired, {:.1} ns/hit",
        per_hit(start, count)
    );
}

fn story(options: &Options, thread: u32, open: &AtomicBool) {
    let mut seen = |line: Option<String>| {
        if let Some(line) = line
            && !print_line(&line)
        {
            open.store(false, Ordering::Relaxed);
        }
        if !options.pause.is_zero() {
            std::thread::sleep(options.pause);
        }
        open.load(Ordering::Relaxed)
    };
    let mut story = Story::new(u64::from(thread), options.payload, options.print, &mut seen);
    let mut rounds = 0;
    while story.round() {
        rounds += 1;
        if rounds == options.rounds {
            break;
        }
    }
}

/// Prints a whole line at once; false if nobody reads any more.
fn print_line(line: &str) -> bool {
    writeln!(io::stdout().lock(), "{line}").is_ok()
}

fn per_hit(start: Instant, hits: u64) -> f64 {
    start.elapsed().as_nanos() as f64 / hits.max(1) as f64
}
