//! The mempool: counts and rates, reasons, and a log.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use serde_json::json;

use super::{
    app::{Now, Query, Screen},
    format::{bars, clock, rate, safe, short},
    keys::Action,
    list::Place,
    mempool::{Event, KINDS, Line as Entry, Mempool, by_count},
    peers_screen::{cell, matches, put},
    window::Window,
};

/// Where the user is.
#[derive(Debug, Default)]
pub struct MempoolScreen {
    place: Place,
    /// Lines forgotten when it was last drawn or moved in.
    forgotten: u64,
    filter: String,
    search: String,
    /// The selected line is shown whole.
    open: bool,
}

/// Rows of the counts, their heading included.
const COUNTS: u16 = 7;

impl MempoolScreen {
    fn lines(&self, pool: &Mempool) -> Vec<usize> {
        (0..pool.lines.len())
            .filter(|&i| self.filter.is_empty() || matches(&self.filter, &words(&pool.lines[i])))
            .collect()
    }

    fn settle(&mut self, pool: &Mempool) {
        let gone = pool.forgotten.saturating_sub(self.forgotten);
        if gone > 0 && self.filter.is_empty() {
            self.place
                .shift(usize::try_from(gone).unwrap_or(usize::MAX));
        }
        self.forgotten = pool.forgotten;
    }

    fn previous_match(&mut self, pool: &Mempool, skip: bool) {
        let lines = self.lines(pool);
        let Some(at) = self.place.line(lines.len()) else {
            return;
        };
        let found = (0..lines.len())
            .map(|back| (at + 2 * lines.len() - back - usize::from(skip)) % lines.len())
            .find(|&i| matches(&self.search, &words(&pool.lines[lines[i]])));
        if found.is_some() {
            self.place.selected = found;
        }
    }
}

/// A row of counts.
fn counts(name: &str, window: &Window, now: &Now, width: u16) -> String {
    let second = now.ms / 1_000;
    let spark = usize::from(width.saturating_sub(53)).min(60);
    format!(
        "{name:<9} {:>7} {:>7} {:>7} {:>9} {:>9} {}",
        short(window.total()),
        short(window.last(second, 60)),
        short(window.last(second, 600)),
        rate(window.rate(second, 60)),
        rate(window.rate(second, 600)),
        bars(
            &window.bars(second, spark, 60 / spark.clamp(1, 60)),
            now.theme.unicode
        )
    )
}

/// Two columns of reasons, as many rows as the longer needs, at most `most`.
fn reasons(pool: &Mempool, width: u16, most: usize) -> Vec<String> {
    let half = usize::from(width / 2);
    let [removed, rejected] = [&pool.removed, &pool.rejected].map(by_count);
    let rows = removed.len().max(rejected.len()).min(most);
    let text = |rows: &[(&str, u64)], i: usize, name: &str| {
        rows.get(i).map_or_else(String::new, |(reason, n)| {
            format!("{name} {:>5}  {}", short(*n), safe(reason))
        })
    };
    (0..rows)
        .map(|i| {
            let left = text(&removed, i, "removed");
            let right = text(&rejected, i, "rejected");
            format!("{}{right}", cell(&left, half, false))
        })
        .collect()
}

/// What filter and search look at.
fn words(line: &Entry) -> String {
    format!("{} {}", KINDS[line.event.kind()], line.event.text())
}

impl Screen for MempoolScreen {
    type Model = Mempool;
    const NAME: &'static str = "mempool-monitor";

    fn draw(&mut self, pool: &Mempool, frame: &mut Frame, area: Rect, now: &Now) {
        self.settle(pool);
        let heading = format!(
            "{:<9} {:>7} {:>7} {:>7} {:>9} {:>9} {}",
            "EVENTS", "TOTAL", "1 MIN", "10 MIN", "/s 1 MIN", "/s 10 MIN", "LAST MINUTE"
        );
        put(frame, area, 0, Line::styled(heading, now.theme.heading()));
        for (i, (name, window)) in KINDS.iter().zip(&pool.counts).enumerate() {
            put(
                frame,
                area,
                1 + i as u16,
                Line::raw(counts(name, window, now, area.width)),
            );
        }
        for (i, (name, window)) in ["vB in", "vB out"].iter().zip(&pool.vbytes).enumerate() {
            put(
                frame,
                area,
                5 + i as u16,
                Line::raw(counts(name, window, now, area.width)),
            );
        }
        let room = usize::from(area.height.saturating_sub(COUNTS + 6)) / 2;
        let mut row = COUNTS;
        for text in reasons(pool, area.width, room.min(12)) {
            put(frame, area, row, Line::raw(text));
            row += 1;
        }
        let change = match pool.counts[2].total() {
            0 => String::new(),
            _ => format!(", replacements changed fees by {:+} sat", pool.fee_change),
        };
        let heading = format!("LOG (UTC){change}");
        put(frame, area, row, Line::styled(heading, now.theme.heading()));
        row += 1;

        let lines = self.lines(pool);
        let detail = self.open && self.place.line(lines.len()).is_some();
        let kept = if detail { 4 } else { 0 };
        let height = usize::from(area.height.saturating_sub(row + kept));
        let range = self.place.show(lines.len(), height);
        let selected = self
            .place
            .line(lines.len())
            .filter(|_| detail || self.place.selected.is_some());
        for at in range {
            let line = &pool.lines[lines[at]];
            let mut style = match line.event {
                Event::Added { .. } => now.theme.inbound(),
                Event::Removed { .. } => now.theme.outbound(),
                Event::Replaced { .. } => Style::new(),
                Event::Rejected { .. } => now.theme.warn(),
            };
            let text = words(line);
            if !self.search.is_empty() && matches(&self.search, &text) {
                style = style.patch(now.theme.hit());
            }
            if selected == Some(at) {
                style = style.patch(now.theme.selected());
            }
            let time = clock(now.start_unix_ms + line.ms);
            let text = cell(
                &safe(&text),
                usize::from(area.width).saturating_sub(13),
                false,
            );
            let spans = vec![Span::raw(time), Span::raw(" "), Span::styled(text, style)];
            put(frame, area, row, Line::from(spans));
            row += 1;
        }
        if lines.is_empty() {
            put(
                frame,
                area,
                row,
                Line::styled("nothing to show yet", now.theme.dim()),
            );
        }
        if let Some(at) = selected.filter(|_| detail) {
            let text = safe(&words(&pool.lines[lines[at]]));
            let chars: Vec<char> = text.chars().collect();
            let from = area.height - kept;
            for (i, part) in chars
                .chunks(usize::from(area.width))
                .take(usize::from(kept))
                .enumerate()
            {
                let part: String = part.iter().collect();
                put(
                    frame,
                    area,
                    from + i as u16,
                    Line::styled(part, now.theme.title()),
                );
            }
        }
    }

    fn act(&mut self, action: Action, pool: &Mempool, _: &Now) -> bool {
        self.settle(pool);
        match action {
            Action::Open => self.open = true,
            Action::Back if self.open => self.open = false,
            Action::Next => self.previous_match(pool, true),
            _ => {
                let count = self.lines(pool).len();
                return self.place.act(action, count);
            }
        }
        true
    }

    fn query(&mut self, query: Query, text: &str, pool: &Mempool, _: &Now) {
        match query {
            Query::Filter => {
                text.clone_into(&mut self.filter);
                self.place = Place::default();
            }
            Query::Search => {
                text.clone_into(&mut self.search);
                if !text.is_empty() {
                    self.previous_match(pool, false);
                }
            }
        }
    }

    fn text(&self, query: Query) -> &str {
        match query {
            Query::Filter => &self.filter,
            Query::Search => &self.search,
        }
    }

    fn export(&self, pool: &Mempool, now: &Now) -> Vec<serde_json::Value> {
        let lines = self.lines(pool);
        lines
            .into_iter()
            .map(|i| event_json(&pool.lines[i], now))
            .collect()
    }
}

fn event_json(line: &Entry, now: &Now) -> serde_json::Value {
    let fields = match &line.event {
        Event::Added { txid, vsize, fee } => json!({ "txid": txid, "vsize": vsize, "fee": fee }),
        Event::Removed {
            txid,
            reason,
            vsize,
            fee,
        } => json!({ "txid": txid, "reason": reason, "vsize": vsize, "fee": fee }),
        Event::Replaced {
            txid,
            vsize,
            fee,
            by,
            by_vsize,
            by_fee,
        } => json!({
            "txid": txid, "vsize": vsize, "fee": fee,
            "replacement": by, "replacement_vsize": by_vsize, "replacement_fee": by_fee,
        }),
        Event::Rejected { txid, reason } => json!({ "txid": txid, "reason": reason }),
    };
    json!({
        "time_ms": now.start_unix_ms + line.ms,
        "event": KINDS[line.event.kind()],
        "args": fields,
    })
}
