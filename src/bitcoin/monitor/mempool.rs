//! What the mempool took in, gave up and refused.

use std::collections::{BTreeMap, VecDeque};

use super::window::Window;

/// What the tracepoints of `mempool` tell. Ids are 64 hexadecimal digits as explorers show them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A transaction came in.
    Added {
        /// Its id.
        txid: String,
        /// Its virtual size.
        vsize: i64,
        /// Its fee in satoshi.
        fee: i64,
    },
    /// A transaction left.
    Removed {
        /// Its id.
        txid: String,
        /// Why: `block`, `expiry`, `replaced` …
        reason: String,
        /// Its virtual size.
        vsize: i64,
        /// Its fee in satoshi.
        fee: i64,
        /// Unix seconds at which it came in.
        entry_s: u64,
    },
    /// A transaction was replaced by another, or by a package.
    Replaced {
        /// The old id.
        txid: String,
        /// Its virtual size.
        vsize: i64,
        /// Its fee in satoshi.
        fee: i64,
        /// Unix seconds at which it came in.
        entry_s: u64,
        /// The new one's id, or the package's hash.
        by: String,
        /// Virtual size of what replaced it.
        by_vsize: i64,
        /// Fee of what replaced it in satoshi.
        by_fee: i64,
    },
    /// A transaction was refused.
    Rejected {
        /// Its id.
        txid: String,
        /// Why: `min relay fee not met` …
        reason: String,
    },
}

/// The kinds of events, in the order in which they are shown.
pub const KINDS: [&str; 4] = ["added", "removed", "replaced", "rejected"];

impl Event {
    /// Index into [`KINDS`].
    pub fn kind(&self) -> usize {
        match self {
            Event::Added { .. } => 0,
            Event::Removed { .. } => 1,
            Event::Replaced { .. } => 2,
            Event::Rejected { .. } => 3,
        }
    }
}

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    /// Milliseconds since the monitor began.
    pub ms: u64,
    /// Process of the node.
    pub node: u32,
    /// What happened.
    pub event: Event,
}

/// Lines kept: some 4 MiB.
pub const KEPT: usize = 10_000;

/// Reasons told apart; more are counted as one.
const REASONS: usize = 100;

/// All that is counted.
#[derive(Clone, Debug, Default)]
pub struct Mempool {
    /// Of each of [`KINDS`], over time.
    pub counts: [Window; 4],
    /// Virtual bytes that came in and left, over time.
    pub vbytes: [Window; 2],
    /// Why transactions were removed.
    pub removed: BTreeMap<String, u64>,
    /// Why transactions were refused.
    pub rejected: BTreeMap<String, u64>,
    /// Sum of fee changes by replacement, in satoshi.
    pub fee_change: i64,
    /// What happened last, oldest first.
    pub lines: VecDeque<Line>,
    /// Lines no longer kept.
    pub forgotten: u64,
    /// Events were of more than one process.
    pub several_nodes: bool,
    /// The first of them.
    node: Option<u32>,
}

impl Mempool {
    /// Takes in an event of process `node`, `ms` milliseconds after the beginning.
    pub fn feed(&mut self, ms: u64, node: u32, event: Event) {
        match self.node {
            None => self.node = Some(node),
            Some(first) => self.several_nodes |= first != node,
        }
        let second = ms / 1_000;
        self.counts[event.kind()].add(second, 1);
        match &event {
            Event::Added { vsize, .. } => self.vbytes[0].add(second, positive(*vsize)),
            Event::Removed { reason, vsize, .. } => {
                self.vbytes[1].add(second, positive(*vsize));
                count(&mut self.removed, reason);
            }
            Event::Rejected { reason, .. } => count(&mut self.rejected, reason),
            Event::Replaced { fee, by_fee, .. } => {
                self.fee_change = self.fee_change.saturating_add(by_fee.saturating_sub(*fee));
            }
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
            self.forgotten += 1;
        }
        self.lines.push_back(Line { ms, node, event });
    }
}

fn positive(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn count(counts: &mut BTreeMap<String, u64>, reason: &str) {
    let reason = if counts.len() < REASONS || counts.contains_key(reason) {
        reason
    } else {
        "(other)"
    };
    *counts.entry(reason.to_owned()).or_default() += 1;
}

/// Reasons, most frequent first.
pub fn by_count(counts: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut rows: Vec<_> = counts.iter().map(|(r, n)| (r.as_str(), *n)).collect();
    rows.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_reasons_and_fee_changes() {
        let mut pool = Mempool::default();
        let txid = || "ab".repeat(32);
        pool.feed(
            0,
            7,
            Event::Added {
                txid: txid(),
                vsize: 141,
                fee: 282,
            },
        );
        pool.feed(
            1_000,
            7,
            Event::Replaced {
                txid: txid(),
                vsize: 141,
                fee: 282,
                entry_s: 0,
                by: "cd".repeat(32),
                by_vsize: 100,
                by_fee: 500,
            },
        );
        for reason in ["block", "expiry", "block"] {
            pool.feed(
                61_000,
                7,
                Event::Removed {
                    txid: txid(),
                    reason: reason.into(),
                    vsize: 141,
                    fee: 282,
                    entry_s: 0,
                },
            );
        }
        for i in 0..300 {
            pool.feed(
                62_000,
                7,
                Event::Rejected {
                    txid: txid(),
                    reason: format!("r{i}"),
                },
            );
        }
        assert_eq!(by_count(&pool.removed), [("block", 2), ("expiry", 1)]);
        assert_eq!(by_count(&pool.rejected)[0], ("(other)", 200));
        assert_eq!(pool.fee_change, 218);
        assert_eq!(
            (
                pool.counts[1].last(61, 60),
                pool.counts[0].last(61, 60),
                pool.counts[0].last(61, 600)
            ),
            (3, 0, 1)
        );
        let odd = Event::Added {
            txid: txid(),
            vsize: -1,
            fee: i64::MIN,
        };
        pool.feed(63_000, 7, odd);
    }
}
