//! A monitor as a tool: a thread traces and counts, this one shows.

use std::{
    cell::Cell,
    os::fd::AsFd,
    panic::{self, AssertUnwindSafe},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use nix::sys::signal::Signal;

use super::{
    MempoolScreen, PeersScreen, Shared, Theme, app,
    shared::Model,
    source::{MEMPOOL, PEERS, mempool_event, peer_event},
    terminal,
};
use crate::{
    bitcoin::{
        follow::{Follow, FollowError},
        tool::{Options, ToolError, plan},
    },
    session::Signals,
    sys::process,
    trace::{self, TraceError},
};

/// `baretrace bitcoin p2p-monitor`.
///
/// # Errors
/// No terminal, a node that cannot be traced, what the terminal answers.
pub fn peers_tool(options: &Options) -> Result<(), ToolError> {
    watch(PeersScreen::default(), PEERS, peer_event, options)
}

/// `baretrace bitcoin mempool-monitor`.
///
/// # Errors
/// As [`peers_tool`].
pub fn mempool_tool(options: &Options) -> Result<(), ToolError> {
    watch(MempoolScreen::default(), MEMPOOL, mempool_event, options)
}

/// What a hit is to a model.
type Convert<M> = fn(&trace::Event) -> Result<Option<<M as Model>::Event>, TraceError>;

fn watch<S: app::Screen>(
    screen: S,
    tracepoints: &'static [&'static str],
    convert: Convert<S::Model>,
    options: &Options,
) -> Result<(), ToolError> {
    terminal::check().map_err(ToolError::Monitor)?;
    // Before the thread begins, so that signals are this one's.
    let signals =
        Signals::new([Signal::SIGWINCH as i32]).map_err(|err| ToolError::Io("signalfd", err))?;
    let shared = Shared::default();
    let (stop, crashed) = (AtomicBool::new(false), AtomicBool::new(false));
    let until = options
        .duration
        .and_then(|time| Instant::now().checked_add(time));
    let full = |events: u64| options.count.is_some_and(|count| events >= count);
    thread::scope(|scope| {
        let (attached, is_attached) = mpsc::channel();
        let (feed, stop, crashed) = (shared.clone(), &stop, &crashed);
        let follow = move || {
            let plan = plan(tracepoints, false, options);
            match Follow::start(options.which.clone(), plan) {
                Ok(follow) => {
                    process::trim_program();
                    let _ = attached.send(Ok(()));
                    trace(follow, &feed, convert, stop);
                }
                Err(err) => {
                    let _ = attached.send(Err(err));
                }
            }
        };
        let tracing = scope.spawn(move || {
            panic::catch_unwind(AssertUnwindSafe(follow)).unwrap_or_else(|crash| {
                crashed.store(true, Ordering::Relaxed);
                panic::resume_unwind(crash)
            });
        });
        if let Ok(Err(err)) = is_attached.recv() {
            return Err(ToolError::from(err));
        }
        let theme = Theme::from_env(|name| std::env::var(name).ok());
        let ended = Cell::new(false);
        let end = || {
            let signals = std::iter::from_fn(|| signals.next());
            let now = ended.get()
                // Of a new size the next frame knows.
                || signals.filter(|s| *s != Signal::SIGWINCH as i32).count() > 0
                || until.is_some_and(|until| Instant::now() >= until)
                || full(shared.lock().events)
                || crashed.load(Ordering::Relaxed);
            ended.set(now);
            now
        };
        let folder = std::env::current_dir().unwrap_or_default();
        let shown = app::run(
            screen,
            shared.clone(),
            theme,
            &folder,
            signals.as_fd(),
            &end,
        );
        stop.store(true, Ordering::Relaxed);
        // It was said when it happened.
        tracing
            .join()
            .unwrap_or_else(|crash| panic::resume_unwind(crash));
        // A line that goes dead is followed by SIGHUP: taken here, or it ends the process when it is let through.
        end();
        shown.map_err(ToolError::Monitor)
    })
}

/// Counts until it is stopped or the kernel says no.
fn trace<M: Model>(mut follow: Follow, shared: &Shared<M>, convert: Convert<M>, stop: &AtomicBool) {
    /// Between two looks at what the user wants and how the node is.
    const LOOK: Duration = Duration::from_millis(100);
    let mut look = Instant::now();
    let mut nodes = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if Instant::now() >= look {
            look = Instant::now() + LOOK;
            if let Err(err) = report(&mut follow, shared, &mut nodes) {
                shared.lock().ended = Some(err.to_string());
                return;
            }
        }
        let hit = match follow.next(LOOK) {
            Ok(Some(hit)) => hit,
            Ok(None) => continue,
            Err(err) => {
                shared.lock().ended = Some(err.to_string());
                return;
            }
        };
        let since = hit.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        match convert(&hit) {
            Ok(Some(event)) => {
                let unix_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
                shared.feed(unix_ns, hit.pid(), event);
            }
            Ok(None) => {}
            Err(err) => shared.lock().say([format!("warning: {err}")]),
        }
    }
}

/// Which nodes are traced or waited for, what was said and what was lost. `nodes` are those of the last time.
fn report<M: Model>(
    follow: &mut Follow,
    shared: &Shared<M>,
    nodes: &mut Vec<u32>,
) -> Result<(), FollowError> {
    let lost = follow.lost()?.iter().map(|(_, count)| count).sum();
    let notices = follow.notices();
    let now: Vec<u32> = follow.nodes().iter().map(|node| node.pid).collect();
    let ms = shared.now_ms();
    let mut inner = shared.lock();
    for node in nodes.iter().filter(|node| !now.contains(node)) {
        inner.model.ended(ms, *node);
    }
    inner.lost = lost;
    match follow.nodes() {
        [] => "no node runs: waiting for one (i says which)".clone_into(&mut inner.status),
        [node] => inner.status = format!("pid {} ({})", node.pid, node.program.display()),
        several => {
            let pids: Vec<String> = several.iter().map(|node| node.pid.to_string()).collect();
            inner.status = format!("{} nodes, pids {}", several.len(), pids.join(" "));
        }
    }
    inner.say(notices);
    *nodes = now;
    Ok(())
}
