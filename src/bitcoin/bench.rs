//! How fast blocks are connected: a line a second, slow blocks, and a histogram at the end.

use crate::{
    runtime::aggregate,
    spec::{Agg, hist},
    trace::{Event, Value},
};
use serde_json::{Value as Json, json};
use std::fmt::Write;

/// Which blocks are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first height; 0 begins at once.
    pub start: u64,
    /// The last height; 0 for no end.
    pub end: u64,
    /// Blocks that take longer are shown.
    pub slow_ms: u64,
}

/// What is counted.
#[derive(Clone, Debug)]
pub struct Bench {
    range: Range,
    /// Of this second.
    blocks: u64,
    transactions: i128,
    inputs: i128,
    sigops: i128,
    height: i128,
    /// When it began: kernel time.
    start: Option<u64>,
    /// By bucket of a `hist` of milliseconds.
    durations: Vec<u64>,
}

/// Precision of the histogram: a bucket for each power of two.
const HIST: Agg = Agg::Hist { bits: 0 };

impl Bench {
    /// Begins at `now`, kernel time, if the range begins at 0.
    pub fn new(range: Range, now: u64) -> Bench {
        Bench {
            range,
            blocks: 0,
            transactions: 0,
            inputs: 0,
            sigops: 0,
            height: 0,
            start: (range.start == 0).then_some(now),
            durations: vec![0; usize::try_from(HIST.size() / 8).unwrap_or(0)],
        }
    }

    /// The lines before the first event.
    pub fn header(&self, out: &mut String) {
        let Range {
            start,
            end,
            slow_ms,
        } = self.range;
        let _ = if end > 0 {
            writeln!(
                out,
                "ConnectBlock benchmark between height {start} and {end} inclusive"
            )
        } else {
            writeln!(out, "ConnectBlock logging starting at height {start}")
        };
        if slow_ms > 0 {
            let _ = writeln!(
                out,
                "Logging blocks taking longer than {slow_ms} ms to connect."
            );
        }
    }

    /// Takes in a block; true if it was the last one of the range.
    pub fn block(&mut self, out: &mut String, e: &Event) -> bool {
        let int = |name: &str| e.int(name).map_or(0, i128::from);
        let Range {
            start,
            end,
            slow_ms,
        } = self.range;
        let (height, duration) = (int("height"), int("duration"));
        let ms = duration / 1_000_000;
        let measured = height >= i128::from(start) && (end == 0 || height <= i128::from(end));
        let last = measured && end > 0 && height >= i128::from(end);
        if measured {
            self.height = height;
            self.blocks += 1;
            self.transactions += int("transactions");
            self.inputs += int("inputs");
            self.sigops += int("sigops");
            let bucket = hist::hist_index(i64::try_from(ms).unwrap_or(i64::MAX), 0);
            if let Some(count) = usize::try_from(bucket)
                .ok()
                .and_then(|b| self.durations.get_mut(b))
            {
                *count += 1;
            }
            if height == i128::from(start) && height != 0 {
                self.start = Some(e.time());
                let _ = writeln!(
                    out,
                    "Starting Connect Block Benchmark between height {start} and {end}."
                );
            }
        }
        if ms > i128::from(slow_ms) {
            let hash = e.get("hash").unwrap_or(Value::Hash(None));
            let _ = writeln!(
                out,
                "Block {height} ({hash})  {:>4} tx  {:>5} ins  {:>5} sigops  took {ms:>4} ms",
                int("transactions"),
                int("inputs"),
                int("sigops"),
            );
        }
        if last {
            let took = e.time().saturating_sub(self.start.unwrap_or(e.time())) / 1_000_000;
            let _ = writeln!(
                out,
                "\nTook {took} ms to connect the blocks between height {start} and {end}."
            );
        }
        last
    }

    /// The line of a second, if there were blocks.
    pub fn second(&mut self, out: &mut String) {
        if self.blocks > 0 {
            let _ = writeln!(
                out,
                "BENCH {:>4} blk/s {:>6} tx/s {:>7} inputs/s {:>8} sigops/s (height {})",
                self.blocks, self.transactions, self.inputs, self.sigops, self.height
            );
        }
        (self.blocks, self.transactions, self.inputs, self.sigops) = (0, 0, 0, 0);
    }

    /// The histogram.
    pub fn end(&self, out: &mut String) {
        out.push_str("\nHistogram of block connection times in milliseconds (ms).\n");
        if self.durations.iter().all(|count| *count == 0) {
            return;
        }
        let share: Vec<u8> = self
            .durations
            .iter()
            .flat_map(|n| n.to_ne_bytes())
            .collect();
        let mut chart = Vec::new();
        aggregate::combine(&HIST, &[share]).text(&mut chart, 1);
        let _ = writeln!(out, "@durations:\n{}", String::from_utf8_lossy(&chart));
    }

    /// The histogram as JSON: `{"event":"histogram","unit":"ms","buckets":[{"min":4,"max":7,"count":3},…]}`.
    pub fn json(&self) -> Json {
        let counted = (0u32..)
            .zip(&self.durations)
            .filter(|(_, count)| **count > 0);
        let buckets = counted.map(|(index, count)| {
            let range = hist::hist_range(index, 0);
            let bound = |n: Option<i128>| n.and_then(|n| i64::try_from(n).ok());
            json!({"min": bound(range.lo), "max": bound(range.hi.map(|hi| hi - 1)), "count": count})
        });
        json!({"event": "histogram", "unit": "ms", "buckets": buckets.collect::<Vec<_>>()})
    }
}
