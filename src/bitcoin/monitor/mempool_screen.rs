//! The mempool: counts and rates, reasons, and a log.

use ratatui::{Frame, layout::Rect, style::Style, text::Line};

use super::{
    app::{Now, Query, Screen},
    format::{bars, rate, safe, short},
    keys::Action,
    list::{Place, cell, put},
    mempool::{Event, KINDS, Mempool, by_count},
    mempool_log::{self, words},
    query::matches,
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

impl MempoolScreen {
    fn lines(&self, pool: &Mempool, now: &Now) -> Vec<usize> {
        (0..pool.lines.len())
            .filter(|&i| {
                self.filter.is_empty() || matches(&self.filter, &words(&pool.lines[i], now))
            })
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

    fn previous_match(&mut self, pool: &Mempool, now: &Now, skip: bool) {
        let lines = self.lines(pool, now);
        let Some(at) = self.place.line(lines.len()) else {
            return;
        };
        let found = (0..lines.len())
            .map(|back| (at + 2 * lines.len() - back - usize::from(skip)) % lines.len())
            .find(|&i| matches(&self.search, &words(&pool.lines[lines[i]], now)));
        if found.is_some() {
            self.place.selected = found;
        }
    }
}

/// The heading of the counts, or a row of them; a narrow screen has no rates.
fn count_cells(width: u16, name: &str, cells: [&str; 5], bars: &str) -> String {
    let [total, minute, ten, rate, rate_ten] = cells;
    let mut line = format!("{name:<9} {total:>7} {minute:>7} {ten:>7}");
    if width >= 64 {
        line += &format!(" {rate:>9} {rate_ten:>9}");
    }
    format!("{line} {bars}")
}

fn counts(name: &str, window: &Window, now: &Now, width: u16) -> String {
    let second = now.ms / 1_000;
    let spark = usize::from(width.saturating_sub(53)).min(60);
    let cells = [
        short(window.total()),
        short(window.last(second, 60)),
        short(window.last(second, 600)),
        rate(window.rate(second, 60)),
        rate(window.rate(second, 600)),
    ];
    let bars = bars(
        &window.bars(second, spark, 60 / spark.clamp(1, 60)),
        now.theme.unicode,
    );
    count_cells(width, name, cells.each_ref().map(String::as_str), &bars)
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

impl Screen for MempoolScreen {
    type Model = Mempool;
    const NAME: &'static str = "mempool-monitor";

    fn draw(&mut self, pool: &Mempool, frame: &mut Frame, area: Rect, now: &Now) {
        self.settle(pool);
        let titles = ["TOTAL", "1 MIN", "10 MIN", "/s 1 MIN", "/s 10 MIN"];
        let heading = count_cells(area.width, "EVENTS", titles, "LAST MINUTE");
        put(frame, area, 0, Line::styled(heading, now.theme.heading()));
        let mut rows: Vec<(&str, &Window)> = KINDS.iter().copied().zip(&pool.counts).collect();
        // On a low screen the log comes first.
        let room = usize::from(area.height).saturating_sub(13);
        if room > 0 {
            rows.extend(["vB in", "vB out"].into_iter().zip(&pool.vbytes));
        }
        let mut row = 1;
        for (name, window) in rows {
            let text = counts(name, window, now, area.width);
            put(frame, area, row, Line::raw(text));
            row += 1;
        }
        for text in reasons(pool, area.width, (room / 2).min(12)) {
            put(frame, area, row, Line::raw(text));
            row += 1;
        }
        if room > 0 && pool.counts[2].total() > 0 {
            let change = format!("replacements changed fees by {:+} sat", pool.fee_change);
            put(frame, area, row, Line::raw(change));
            row += 1;
        }
        let heading = mempool_log::heading(area.width, pool.several_nodes);
        put(frame, area, row, Line::styled(heading, now.theme.heading()));
        row += 1;

        let lines = self.lines(pool, now);
        let detail = self.open && self.place.line(lines.len()).is_some();
        let kept = if detail {
            4.min(area.height.saturating_sub(row + 1))
        } else {
            0
        };
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
            if !self.search.is_empty() && matches(&self.search, &words(line, now)) {
                style = style.patch(now.theme.hit());
            }
            if selected == Some(at) {
                style = style.patch(now.theme.selected());
            }
            let text = mempool_log::row(line, area.width, pool.several_nodes, now);
            put(frame, area, row, Line::styled(text, style));
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
            let text = safe(&words(&pool.lines[lines[at]], now));
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

    fn act(&mut self, action: Action, pool: &Mempool, now: &Now) -> bool {
        self.settle(pool);
        match action {
            Action::Open => self.open = true,
            Action::Back if self.open => self.open = false,
            Action::Next => self.previous_match(pool, now, true),
            _ => {
                let count = self.lines(pool, now).len();
                return self.place.act(action, count);
            }
        }
        true
    }

    fn query(&mut self, query: Query, text: &str, pool: &Mempool, now: &Now) {
        match query {
            Query::Filter => {
                text.clone_into(&mut self.filter);
                self.place = Place::default();
            }
            Query::Search => {
                text.clone_into(&mut self.search);
                if !text.is_empty() {
                    self.previous_match(pool, now, false);
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
        let lines = self.lines(pool, now);
        lines
            .into_iter()
            .map(|i| mempool_log::json(&pool.lines[i], now))
            .collect()
    }
}
