//! A monitor as a tool: a thread traces and counts, this one shows.

use std::{
    io::{IsTerminal, stdin, stdout},
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use super::{
    Error, MempoolScreen, PeersScreen, Shared, Theme, app,
    shared::Model,
    source::{MEMPOOL, PEERS, mempool_event, peer_event},
};
use crate::{
    bitcoin::{
        follow::{Follow, FollowError},
        tool::{Options, ToolError, plan},
    },
    session::Signals,
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
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return Err(ToolError::Monitor(Error::NoTerminal));
    }
    // Before the thread begins, so that signals are this one's.
    let signals = Signals::new([]).map_err(|err| ToolError::Io("signalfd", err))?;
    let shared = Shared::default();
    let stop = AtomicBool::new(false);
    let until = options
        .duration
        .and_then(|time| Instant::now().checked_add(time));
    let full = |events: u64| options.count.is_some_and(|count| events >= count);
    thread::scope(|scope| {
        let (attached, is_attached) = mpsc::channel();
        let (feed, stop) = (shared.clone(), &stop);
        scope.spawn(move || {
            let plan = plan(tracepoints, false, options);
            match Follow::start(options.which.clone(), plan) {
                Ok(follow) => {
                    let _ = attached.send(Ok(()));
                    trace(follow, &feed, convert, stop);
                }
                Err(err) => {
                    let _ = attached.send(Err(err));
                }
            }
        });
        if let Ok(Err(err)) = is_attached.recv() {
            return Err(ToolError::from(err));
        }
        let theme = Theme::from_env(|name| std::env::var(name).ok());
        let end = || {
            signals.next().is_some()
                || until.is_some_and(|until| Instant::now() >= until)
                || full(shared.lock().events)
        };
        let shown = app::run(screen, shared.clone(), theme, Path::new("."), end);
        stop.store(true, Ordering::Relaxed);
        shown.map_err(ToolError::Monitor)
    })
}

/// Counts until it is stopped or the kernel says no.
fn trace<M: Model>(mut follow: Follow, shared: &Shared<M>, convert: Convert<M>, stop: &AtomicBool) {
    /// Between two looks at what the user wants and how the node is.
    const LOOK: Duration = Duration::from_millis(100);
    let mut look = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if Instant::now() >= look {
            look = Instant::now() + LOOK;
            if let Err(err) = report(&mut follow, shared) {
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
                shared.feed(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), event);
            }
            Ok(None) => {}
            Err(err) => shared.lock().status = err.to_string(),
        }
    }
}

/// Which node is traced or waited for, and what was lost.
fn report<M: Model>(follow: &mut Follow, shared: &Shared<M>) -> Result<(), FollowError> {
    let lost = follow.lost()?.iter().map(|(_, count)| count).sum();
    let notice = follow.notices().pop();
    let mut inner = shared.lock();
    inner.lost = lost;
    if let Some(notice) = notice {
        inner.status = notice;
    }
    Ok(())
}
