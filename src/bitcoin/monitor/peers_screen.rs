//! The peers: a table, and a way into the conversation with one of them.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use serde_json::json;

use super::{
    app::{Now, Query, Screen},
    conversation::Conversation,
    format::{bars, rate, short},
    keys::Action,
    list::{Place, cell, put},
    peers::{Key, Peers, State},
    peers_columns::{COLUMNS, ID, WIDE, fitting},
    query::matches,
};

/// Rows above the table.
const HEAD: u16 = 3;

/// Where the user is.
#[derive(Debug)]
pub struct PeersScreen {
    /// Index into the columns.
    sort: usize,
    descending: bool,
    /// The columns that were drawn last.
    columns: Vec<usize>,
    /// Peers that left are not shown.
    open_only: bool,
    /// The selected peer: it stays selected when the order changes.
    selected: Option<Key>,
    place: Place,
    filter: String,
    search: String,
    open: Option<Conversation>,
}

impl Default for PeersScreen {
    fn default() -> Self {
        PeersScreen {
            sort: ID,
            descending: false,
            columns: fitting(80, false),
            open_only: false,
            selected: None,
            place: Place::first(),
            filter: String::new(),
            search: String::new(),
            open: None,
        }
    }
}

impl PeersScreen {
    /// The peers of the table in its order; those that left are the last.
    fn rows<'a>(&self, peers: &'a Peers, now: &Now) -> Vec<&'a State> {
        let mut rows: Vec<&State> = peers
            .by_key
            .values()
            .filter(|state| !self.open_only || state.closed_ms.is_none())
            .filter(|state| matches(&self.filter, &words(state)))
            .collect();
        let order = COLUMNS[self.sort].order;
        rows.sort_by(|a, b| {
            let order = order(a, b, now);
            let order = if self.descending {
                order.reverse()
            } else {
                order
            };
            (a.closed_ms.is_some().cmp(&b.closed_ms.is_some())).then(order)
        });
        rows
    }

    /// The place of the selected peer in `rows`; the peer at the place if it is not there any more.
    fn follow(&mut self, rows: &[&State]) {
        let at = self
            .selected
            .and_then(|key| rows.iter().position(|s| s.key() == key));
        if let Some(at) = at {
            self.place.selected = Some(at);
        }
        self.remember(rows);
    }

    fn remember(&mut self, rows: &[&State]) {
        self.selected = self.place.line(rows.len()).map(|line| rows[line].key());
    }

    fn sort_by(&mut self, column: usize) {
        self.sort = column;
        self.descending = COLUMNS[column].largest_first();
    }

    /// Sorts by the column `step` away from the current one, of those shown.
    fn sort_near(&mut self, step: isize) {
        let count = self.columns.len();
        let at = self.columns.iter().position(|&i| i == self.sort);
        let to = at.map_or(0, |at| (at + count).saturating_add_signed(step) % count);
        self.sort_by(self.columns[to]);
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
        self.columns = fitting(area.width, peers.several_nodes());
        let columns = &self.columns;
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
            let text = if peers.by_key.is_empty() {
                "no message or connection seen yet"
            } else if self.filter.is_empty() {
                "all peers have left (o shows them)"
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
            let Some(state) = peers.by_key.get(&conversation.key) else {
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
        match action {
            Action::Open => {
                self.open = self.selected.map(|key| Conversation::new(key, peers));
            }
            Action::SortNext => self.sort_near(1),
            Action::SortPrevious => self.sort_near(-1),
            Action::SortBy(nth) => match self.columns.get(usize::from(nth)) {
                Some(&column) => self.sort_by(column),
                None => return false,
            },
            Action::Closed => self.open_only = !self.open_only,
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
        conversation.export(peers, now)
    }
}

fn peer_json(state: &State, now: &Now) -> serde_json::Value {
    json!({
        "pid": state.node,
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
    let end = match (&state.closed_ms, &state.misbehaved) {
        (Some(_), _) => "closed",
        (None, Some(_)) => "open misbehaving",
        (None, None) => "open",
    };
    format!(
        "{} {} {} {} {} {end}",
        state.node, state.peer.id, state.peer.addr, state.peer.conn_type, state.network
    )
}
