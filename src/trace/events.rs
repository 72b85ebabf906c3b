//! The events of a subscription, as an iterator that waits.

use super::{Arg, Event, Subscription, TraceError, event::Shape, subscription::Point};
use crate::{
    runtime::{
        clock::Clock,
        record::{Item, Record, RecordError},
    },
    session::{Feed, Hit},
    spec::{Action, Field, Group, Object, ProgramSpec, RECORD_HEADER},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    collections::VecDeque,
    ops::ControlFlow,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Events taken from the rings in one go, and their bytes; what is more waits there.
const BATCH: (usize, usize) = (1024, 256 << 10);
/// Longest and shortest wait between two looks at the rings. A full ring wakes earlier.
const WAIT: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// The events of a subscription, in order of kernel time. The iterator ends with the process that the binary is of, if it
/// is of one. Dropping it detaches.
#[derive(Debug)]
pub struct Events {
    feed: Feed,
    layout: Layout,
    ready: VecDeque<Event>,
    stop: Arc<AtomicBool>,
    wait: Duration,
    /// Tells when the traced process ends.
    process: Option<OwnedFd>,
}

/// Ends [`Events`] from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<AtomicBool>);

impl Stopper {
    /// Nothing more is recorded; what was recorded is still delivered, then the iterator ends.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Events {
    pub(super) fn new(
        feed: Feed,
        subscription: &Subscription,
        points: &[Point],
        process: Option<OwnedFd>,
    ) -> Events {
        let layout = Layout::new(feed.object(), |name| {
            let point = points.iter().find(|p| p.probe.full_name() == name)?;
            Some(subscription.taken(point).cloned().collect())
        });
        Events {
            feed,
            layout,
            ready: VecDeque::new(),
            stop: Arc::default(),
            wait: WAIT.0,
            process,
        }
    }

    /// What ends this iterator from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    /// Nothing more is recorded; what was recorded is still delivered, then the iterator ends.
    ///
    /// # Errors
    /// [`TraceError::Session`].
    pub fn stop(&mut self) -> Result<(), TraceError> {
        Ok(self.feed.end()?)
    }

    /// The next event; waits `time` for it. `None` when none came, or there will be none: see [`Events::is_over`].
    ///
    /// # Errors
    /// [`TraceError::Record`] for a record that makes no sense, [`TraceError::Session`] for what the kernel says.
    pub fn poll(&mut self, time: Duration) -> Result<Option<Event>, TraceError> {
        let until = Instant::now().checked_add(time);
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.stop.load(Ordering::Relaxed) || self.process_ended() {
                self.feed.end()?;
            }
            // What comes after this look cannot have been recorded before the end.
            let ended = self.feed.is_ended();
            if self.fill()? {
                self.wait = WAIT.0;
                continue;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if ended || left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            let wait = left.map_or(self.wait, |left| left.min(self.wait));
            let process = self.process.as_ref().map(AsFd::as_fd);
            self.feed.wait(wait.max(WAIT.0), process)?;
            self.wait = (self.wait * 2).min(WAIT.1);
        }
    }

    fn process_ended(&self) -> bool {
        let Some(fd) = &self.process else {
            return false;
        };
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Whether no more events will come.
    pub fn is_over(&self) -> bool {
        self.feed.is_ended() && self.ready.is_empty()
    }

    /// Takes what is in the rings; false if there was nothing.
    fn fill(&mut self) -> Result<bool, TraceError> {
        let mut bad = None;
        let mut bytes = 0;
        let Events {
            feed,
            layout,
            ready,
            ..
        } = self;
        let drained = feed.drain(|record, _| {
            match layout.read(record) {
                Ok(Some(event)) => {
                    bytes += event.bytes.len();
                    ready.push_back(event);
                }
                Ok(None) => {}
                Err(err) => bad = Some(err),
            }
            if bad.is_some() || ready.len() >= BATCH.0 || bytes >= BATCH.1 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        match bad {
            Some(err) => Err(err.into()),
            None => Ok(drained.delivered > 0),
        }
    }

    /// For each probe the number of events that found no room in the rings so far; probes without any are left out.
    ///
    /// # Errors
    /// [`TraceError::Session`].
    pub fn lost(&self) -> Result<Vec<(String, u64)>, TraceError> {
        let counts = self.feed.lost()?;
        let programs = &self.feed.object().programs;
        let mut lost: Vec<(String, u64)> = Vec::new();
        for (program, count) in programs.iter().zip(counts).filter(|(_, count)| *count > 0) {
            let name = full_name(&program.probe);
            match lost.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += count,
                None => lost.push((name.to_string(), count)),
            }
        }
        Ok(lost)
    }

    /// What is loaded: every instruction, for those who want to see it.
    pub fn object(&self) -> &Object {
        self.feed.object()
    }
}

impl Iterator for Events {
    type Item = Result<Event, TraceError>;

    /// Waits for the next event; `None` once stopped and all is delivered.
    fn next(&mut self) -> Option<Self::Item> {
        self.poll(Duration::MAX).transpose()
    }
}

/// How records of an object read: which probe a program serves, which fields a group has.
#[derive(Debug)]
struct Layout {
    programs: Vec<Option<Arc<Shape>>>,
    groups: Vec<(u32, Arc<[Field]>)>,
}

impl Layout {
    fn new(object: &Object, args: impl Fn(&str) -> Option<Vec<Arg>>) -> Layout {
        let wall = Clock::now().wall(0, 0);
        let shape = |program: &ProgramSpec| {
            let name = full_name(&program.probe);
            Some(Arc::new(Shape {
                args: args(name)?,
                name: name.to_string(),
                wall,
            }))
        };
        let fields = |group: &Group| {
            let args = group.actions.iter().find_map(|action| match action {
                Action::Printf { args, .. } => Some(args.as_slice()),
                _ => None,
            });
            (group.size, args.unwrap_or_default().into())
        };
        Layout {
            programs: object.programs.iter().map(shape).collect(),
            groups: object.events.groups.iter().map(fields).collect(),
        }
    }

    /// The event that a record is; `None` for one that is no event.
    fn read(&self, hit: Hit<'_>) -> Result<Option<Event>, RecordError> {
        let parsed = Record::new(&hit.data)?;
        let Some(Some(shape)) = self.programs.get(usize::from(parsed.program())) else {
            return Ok(None);
        };
        let mut at = RECORD_HEADER as usize;
        let size_of = |id: u32| self.groups.get(id as usize).map(|group| group.0);
        while let Some(item) = parsed.item(&mut at, size_of) {
            if let Item::Group(id, args) = item?
                && let Some((_, fields)) = self.groups.get(id as usize)
            {
                return Ok(Some(Event {
                    shape: Arc::clone(shape),
                    fields: Arc::clone(fields),
                    at: at - args.len(),
                    time: hit.time,
                    cpu: hit.cpu,
                    bytes: hit.data.into(),
                }));
            }
        }
        Ok(None)
    }
}

/// `net:inbound_message` of `usdt:PATH:net:inbound_message`.
fn full_name(probe: &str) -> &str {
    let second = probe.rmatch_indices(':').nth(1);
    second.map_or(probe, |(at, _)| &probe[at + 1..])
}
