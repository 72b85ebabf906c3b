//! The peers: a table, and the conversation with one of them.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use serde_json::json;

use super::{
    app::{Now, Query, Screen},
    format::{bars, clock, rate, safe, short, span},
    keys::Action,
    list::Place,
    peers::{Peers, State},
    peers_columns::{COLUMNS, WIDE, fitting},
};

/// Rows above the list in either view.
const HEAD: u16 = 3;

/// Where the user is.
#[derive(Debug)]
pub struct PeersScreen {
    /// Index into the columns.
    sort: usize,
    descending: bool,
    /// The selected peer: it stays selected when the order changes.
    selected: Option<i64>,
    place: Place,
    filter: String,
    search: String,
    open: Option<Conversation>,
}

/// One peer's messages.
#[derive(Debug, Default)]
struct Conversation {
    id: i64,
    place: Place,
    /// Lines forgotten when it was last drawn or moved in.
    forgotten: u64,
    filter: String,
    search: String,
}

impl Default for PeersScreen {
    fn default() -> Self {
        PeersScreen {
            sort: 0,
            descending: false,
            selected: None,
            place: Place::first(),
            filter: String::new(),
            search: String::new(),
            open: None,
        }
    }
}

impl PeersScreen {
    /// The peers of the table in its order.
    fn rows<'a>(&self, peers: &'a Peers, now: &Now) -> Vec<&'a State> {
        let mut rows: Vec<&State> = peers
            .by_id
            .values()
            .filter(|state| matches(&self.filter, &words(state)))
            .collect();
        let order = COLUMNS[self.sort].order;
        rows.sort_by(|a, b| {
            let order = order(a, b, now);
            if self.descending {
                order.reverse()
            } else {
                order
            }
        });
        rows
    }

    /// The place of the selected peer in `rows`; the peer at the place if it is not there any more.
    fn follow(&mut self, rows: &[&State]) {
        let at = self
            .selected
            .and_then(|id| rows.iter().position(|s| s.peer.id == id));
        if let Some(at) = at {
            self.place.selected = Some(at);
        }
        self.remember(rows);
    }

    fn remember(&mut self, rows: &[&State]) {
        self.selected = self.place.line(rows.len()).map(|line| rows[line].peer.id);
    }

    fn draw_table(&mut self, peers: &Peers, frame: &mut Frame, area: Rect, now: &Now) {
        let second = now.ms / 1_000;
        let wide = usize::from(area.width.saturating_sub(32)).min(60);
        for (row, name, window) in [(0, "messages", &peers.messages), (1, "bytes", &peers.bytes)] {
            let text = format!(
                "{name:>8} {:>5} {:>6}/s ",
                short(window.total()),
                rate(window.rate(second, 60))
            );
            let bars = bars(&window.bars(second, wide, 1), now.theme.unicode);
            let spans = vec![Span::raw(text), Span::styled(bars, now.theme.inbound())];
            put(frame, area, row, Line::from(spans));
        }
        let rows = self.rows(peers, now);
        self.follow(&rows);
        let columns = fitting(area.width);
        let used: u16 = columns.iter().map(|&i| COLUMNS[i].width + 1).sum::<u16>() - 1;
        let spare = area.width - used;
        let cells = |text: &dyn Fn(usize) -> String| {
            columns
                .iter()
                .map(|&i| {
                    let width = COLUMNS[i].width + if i == WIDE { spare } else { 0 };
                    cell(&text(i), usize::from(width), COLUMNS[i].right)
                })
                .collect::<Vec<_>>()
                .join(" ")
        };
        let heading = cells(&|i| {
            let arrow = match (i == self.sort, self.descending) {
                (false, _) => "",
                (true, false) => "+",
                (true, true) => "-",
            };
            format!("{}{arrow}", COLUMNS[i].title)
        });
        put(frame, area, 2, Line::styled(heading, now.theme.heading()));
        let range = self.place.show(rows.len(), usize::from(area.height - HEAD));
        let selected = self.place.line(rows.len());
        for (row, at) in range.enumerate() {
            let state = rows[at];
            let mut style = Style::new();
            if state.closed_ms.is_some() {
                style = now.theme.dim();
            } else if state.misbehaved.is_some() {
                style = now.theme.warn();
            }
            if !self.search.is_empty() && matches(&self.search, &words(state)) {
                style = style.patch(now.theme.hit());
            }
            if selected == Some(at) {
                style = style.patch(now.theme.selected());
            }
            let text = cells(&|i| (COLUMNS[i].text)(state, now));
            put(frame, area, HEAD + row as u16, Line::styled(text, style));
        }
        if rows.is_empty() {
            let text = if peers.by_id.is_empty() {
                "no message or connection seen yet"
            } else {
                "no peer matches the filter (c drops it)"
            };
            put(frame, area, HEAD, Line::styled(text, now.theme.dim()));
        }
    }

    /// Selects the next row after the selected one that `search` is in.
    fn next_match(&mut self, peers: &Peers, now: &Now, from: usize) {
        let rows = self.rows(peers, now);
        let at = self.place.line(rows.len()).unwrap_or(0) + from;
        let found = (0..rows.len())
            .map(|i| (at + i) % rows.len())
            .find(|&i| matches(&self.search, &words(rows[i])));
        if let Some(found) = found {
            self.place.selected = Some(found);
            self.remember(&rows);
        }
    }
}

impl Conversation {
    /// Indexes of the lines shown.
    fn lines(&self, peers: &Peers, state: &State) -> Vec<usize> {
        let shown = |line| matches(&self.filter, peers.type_of(line));
        (0..state.lines.len())
            .filter(|&i| shown(&state.lines[i]))
            .collect()
    }

    /// Keeps the place on its line when lines fall off the front.
    fn settle(&mut self, state: &State) {
        let gone = state.forgotten.saturating_sub(self.forgotten);
        if gone > 0 && self.filter.is_empty() {
            self.place
                .shift(usize::try_from(gone).unwrap_or(usize::MAX));
        }
        self.forgotten = state.forgotten;
    }

    fn draw(&mut self, peers: &Peers, frame: &mut Frame, area: Rect, now: &Now) {
        let Some(state) = peers.by_id.get(&self.id) else {
            let text = format!("peer {} is not known any more (Esc goes back)", self.id);
            put(frame, area, 0, Line::styled(text, now.theme.dim()));
            return;
        };
        self.settle(state);
        let peer = &state.peer;
        let ping = state
            .ping_ms
            .map_or_else(String::new, |ms| format!("  ping {ms} ms"));
        let head = format!(
            "peer {}  {}  {}  {}{ping}",
            peer.id,
            safe(&peer.addr),
            safe(&peer.conn_type),
            safe(&state.network)
        );
        put(frame, area, 0, Line::styled(head, now.theme.title()));
        let wrong = state
            .misbehaved
            .as_ref()
            .map_or_else(String::new, |why| format!("  misbehaved: {}", safe(why)));
        let closed = state.closed_ms.map_or_else(String::new, |ms| {
            format!("  closed {} ago", span(now.ms.saturating_sub(ms)))
        });
        let traffic = format!(
            "received {} ({} bytes)  sent {} ({} bytes)  seen for {}{closed}{wrong}",
            short(state.received.messages),
            short(state.received.bytes),
            short(state.sent.messages),
            short(state.sent.bytes),
            span(now.ms.saturating_sub(state.since_ms))
        );
        put(frame, area, 1, Line::raw(traffic));
        let heading = format!(
            "{:<12}  {:<3} {:<12} {:>10}",
            "TIME (UTC)", "DIR", "MESSAGE", "BYTES"
        );
        put(frame, area, 2, Line::styled(heading, now.theme.heading()));
        let lines = self.lines(peers, state);
        let range = self
            .place
            .show(lines.len(), usize::from(area.height - HEAD));
        let selected = self
            .place
            .line(lines.len())
            .filter(|_| self.place.selected.is_some());
        for (row, at) in range.enumerate() {
            let line = &state.lines[lines[at]];
            let name = peers.type_of(line);
            let (direction, mut style) = if line.inbound {
                ("in", now.theme.inbound())
            } else {
                ("out", now.theme.outbound())
            };
            if !self.search.is_empty() && matches(&self.search, name) {
                style = style.patch(now.theme.hit());
            }
            if selected == Some(at) {
                style = style.patch(now.theme.selected());
            }
            let time = clock(now.start_unix_ms + u64::from(line.ms));
            let text = format!(
                "{time}  {direction:<3} {:<12} {:>10}",
                safe(name),
                line.size
            );
            put(frame, area, HEAD + row as u16, Line::styled(text, style));
        }
        if lines.is_empty() {
            put(
                frame,
                area,
                HEAD,
                Line::styled("no message to show yet", now.theme.dim()),
            );
        }
    }

    /// Selects the nearest line before the selected one that `search` is in.
    fn previous_match(&mut self, peers: &Peers, skip: bool) {
        let Some(state) = peers.by_id.get(&self.id) else {
            return;
        };
        let lines = self.lines(peers, state);
        let Some(at) = self.place.line(lines.len()) else {
            return;
        };
        let found = (0..lines.len())
            .map(|back| (at + 2 * lines.len() - back - usize::from(skip)) % lines.len())
            .find(|&i| matches(&self.search, peers.type_of(&state.lines[lines[i]])));
        if found.is_some() {
            self.place.selected = found;
        }
    }
}

impl Screen for PeersScreen {
    type Model = Peers;
    const NAME: &'static str = "p2p-monitor";

    fn draw(&mut self, peers: &Peers, frame: &mut Frame, area: Rect, now: &Now) {
        match &mut self.open {
            Some(conversation) => conversation.draw(peers, frame, area, now),
            None => self.draw_table(peers, frame, area, now),
        }
    }

    fn act(&mut self, action: Action, peers: &Peers, now: &Now) -> bool {
        if let Some(conversation) = &mut self.open {
            let Some(state) = peers.by_id.get(&conversation.id) else {
                self.open = None;
                return true;
            };
            conversation.settle(state);
            match action {
                Action::Back => self.open = None,
                Action::Next => conversation.previous_match(peers, true),
                _ => {
                    let count = conversation.lines(peers, state).len();
                    return conversation.place.act(action, count);
                }
            }
            return true;
        }
        let rows = self.rows(peers, now);
        self.follow(&rows);
        if self.place.act(action, rows.len()) {
            // A table has no end to follow: its last row is a row.
            self.place.selected = self.place.line(rows.len());
            self.remember(&rows);
            return true;
        }
        let columns = COLUMNS.len();
        match action {
            Action::Open => {
                self.open = self.selected.map(|id| Conversation {
                    id,
                    forgotten: peers.by_id.get(&id).map_or(0, |s| s.forgotten),
                    ..Conversation::default()
                });
            }
            Action::SortNext => self.sort = (self.sort + 1) % columns,
            Action::SortPrevious => self.sort = (self.sort + columns - 1) % columns,
            Action::Reverse => self.descending = !self.descending,
            Action::Next => self.next_match(peers, now, 1),
            _ => return false,
        }
        true
    }

    fn query(&mut self, query: Query, text: &str, peers: &Peers, now: &Now) {
        if let Some(conversation) = &mut self.open {
            match query {
                Query::Filter => {
                    text.clone_into(&mut conversation.filter);
                    conversation.place = Place::default();
                }
                Query::Search => {
                    text.clone_into(&mut conversation.search);
                    if !text.is_empty() {
                        conversation.previous_match(peers, false);
                    }
                }
            }
            return;
        }
        match query {
            Query::Filter => text.clone_into(&mut self.filter),
            Query::Search => {
                text.clone_into(&mut self.search);
                if !text.is_empty() {
                    self.next_match(peers, now, 0);
                }
            }
        }
    }

    fn text(&self, query: Query) -> &str {
        let (filter, search) = match &self.open {
            Some(conversation) => (&conversation.filter, &conversation.search),
            None => (&self.filter, &self.search),
        };
        match query {
            Query::Filter => filter,
            Query::Search => search,
        }
    }

    fn export(&self, peers: &Peers, now: &Now) -> Vec<serde_json::Value> {
        let Some(conversation) = &self.open else {
            return self
                .rows(peers, now)
                .into_iter()
                .map(|state| peer_json(state, now))
                .collect();
        };
        let Some(state) = peers.by_id.get(&conversation.id) else {
            return Vec::new();
        };
        let lines = conversation.lines(peers, state);
        lines
            .into_iter()
            .map(|i| {
                let line = &state.lines[i];
                json!({
                    "time_ms": now.start_unix_ms + u64::from(line.ms),
                    "peer_id": state.peer.id,
                    "direction": if line.inbound { "inbound" } else { "outbound" },
                    "msg_type": peers.type_of(line),
                    "size": line.size,
                })
            })
            .collect()
    }
}

fn peer_json(state: &State, now: &Now) -> serde_json::Value {
    json!({
        "peer_id": state.peer.id,
        "addr": state.peer.addr,
        "conn_type": state.peer.conn_type,
        "network": state.network,
        "received": { "messages": state.received.messages, "bytes": state.received.bytes },
        "sent": { "messages": state.sent.messages, "bytes": state.sent.bytes },
        "ping_ms": state.ping_ms,
        "seen_ms": now.start_unix_ms + state.since_ms,
        "closed_ms": state.closed_ms.map(|ms| now.start_unix_ms + ms),
        "misbehaved": state.misbehaved,
    })
}

/// What filter and search look at.
fn words(state: &State) -> String {
    format!(
        "{} {} {} {}",
        state.peer.id, state.peer.addr, state.peer.conn_type, state.network
    )
}

/// `text` holds one of the parts of `query` between commas, in either case; an empty query matches.
pub(super) fn matches(query: &str, text: &str) -> bool {
    let text = text.to_lowercase();
    query.is_empty()
        || query
            .to_lowercase()
            .split(',')
            .map(str::trim)
            .any(|part| !part.is_empty() && text.contains(part))
}

/// One line at row `row` of `area`, if it has that many.
pub(super) fn put(frame: &mut Frame, area: Rect, row: u16, line: Line) {
    if row < area.height {
        let at = Rect {
            y: area.y + row,
            height: 1,
            ..area
        };
        frame.render_widget(line, at);
    }
}

/// Text of exactly `width` characters; what is too long ends in `~`.
pub(super) fn cell(text: &str, width: usize, right: bool) -> String {
    let long = text.chars().count() > width;
    if long {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        return format!("{kept}~");
    }
    if right {
        format!("{text:>width$}")
    } else {
        format!("{text:<width$}")
    }
}
