//! What the trace and the screen share.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Counts events.
pub trait Model: Clone + Default + Send {
    /// What it counts.
    type Event;
    /// Takes in an event of process `node`, `ms` milliseconds after the beginning.
    fn feed(&mut self, ms: u64, node: u32, event: Self::Event);
    /// Process `node` has ended.
    fn ended(&mut self, _ms: u64, _node: u32) {}
}

/// A model, and how its trace is doing.
#[derive(Debug)]
pub struct Inner<M> {
    /// What was counted.
    pub model: M,
    /// Events fed.
    pub events: u64,
    /// Events that the trace lost.
    pub lost: u64,
    /// What is being traced, or waited for.
    pub status: String,
    /// What the trace had to say, oldest first.
    pub notices: VecDeque<String>,
    /// The trace has ended; why.
    pub ended: Option<String>,
}

impl<M> Inner<M> {
    /// Keeps what the trace has to say; the same in a row once.
    pub fn say(&mut self, notices: impl IntoIterator<Item = String>) {
        /// The oldest are forgotten.
        const KEPT: usize = 200;
        for notice in notices {
            if self.notices.back() == Some(&notice) {
                continue;
            }
            if self.notices.len() == KEPT {
                self.notices.pop_front();
            }
            self.notices.push_back(notice);
        }
    }
}

/// A handle to a model; clones are of the same one.
#[derive(Debug)]
pub struct Shared<M> {
    inner: Arc<Mutex<Inner<M>>>,
    start: Instant,
    start_unix_ms: u64,
}

impl<M> Clone for Shared<M> {
    fn clone(&self) -> Self {
        Shared {
            inner: Arc::clone(&self.inner),
            ..*self
        }
    }
}

impl<M: Model> Default for Shared<M> {
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Shared {
            inner: Arc::new(Mutex::new(Inner {
                model: M::default(),
                events: 0,
                lost: 0,
                status: String::new(),
                notices: VecDeque::new(),
                ended: None,
            })),
            start: Instant::now(),
            start_unix_ms: since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

impl<M: Model> Shared<M> {
    /// Milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The beginning, in milliseconds since 1970.
    pub fn start_unix_ms(&self) -> u64 {
        self.start_unix_ms
    }

    /// Counts an event of process `node` that was seen `unix_ns` nanoseconds after 1970.
    pub fn feed(&self, unix_ns: u64, node: u32, event: M::Event) {
        let ms = (unix_ns / 1_000_000).saturating_sub(self.start_unix_ms);
        let mut inner = self.lock();
        inner.events += 1;
        inner.model.feed(ms, node, event);
    }

    /// The model and the rest, locked: hold it shortly.
    pub fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        // A panic while counting leaves numbers that are at worst one event off.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Model for super::peers::Peers {
    type Event = super::peers::Event;
    fn feed(&mut self, ms: u64, node: u32, event: Self::Event) {
        super::peers::Peers::feed(self, ms, node, event);
    }
    fn ended(&mut self, ms: u64, node: u32) {
        super::peers::Peers::ended(self, ms, node);
    }
}

impl Model for super::mempool::Mempool {
    type Event = super::mempool::Event;
    fn feed(&mut self, ms: u64, node: u32, event: Self::Event) {
        super::mempool::Mempool::feed(self, ms, node, event);
    }
}
