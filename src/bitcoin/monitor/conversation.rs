//! The conversation with one peer.

use ratatui::{Frame, layout::Rect, text::Line};
use serde_json::json;

use super::{
    app::Now,
    format::{clock, safe, short, span},
    list::{Place, put},
    peers::{Key, Peers, State},
    query::matches,
};

/// Rows above the messages.
const HEAD: u16 = 3;

/// One peer's messages.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) key: Key,
    pub(super) place: Place,
    /// Lines forgotten when it was last drawn or moved in.
    forgotten: u64,
    pub(super) filter: String,
    pub(super) search: String,
}

impl Conversation {
    pub(super) fn new(key: Key, peers: &Peers) -> Self {
        Conversation {
            key,
            forgotten: peers.by_key.get(&key).map_or(0, |s| s.forgotten),
            ..Conversation::default()
        }
    }

    /// Indexes of the lines shown.
    pub(super) fn lines(&self, peers: &Peers, state: &State) -> Vec<usize> {
        let shown = |line| matches(&self.filter, peers.type_of(line));
        (0..state.lines.len())
            .filter(|&i| shown(&state.lines[i]))
            .collect()
    }

    /// Keeps the place on its line when lines fall off the front.
    pub(super) fn settle(&mut self, state: &State) {
        let gone = state.forgotten.saturating_sub(self.forgotten);
        if gone > 0 && self.filter.is_empty() {
            self.place
                .shift(usize::try_from(gone).unwrap_or(usize::MAX));
        }
        self.forgotten = state.forgotten;
    }

    pub(super) fn draw(&mut self, peers: &Peers, frame: &mut Frame, area: Rect, now: &Now) {
        let Some(state) = peers.by_key.get(&self.key) else {
            let text = format!("peer {} is not known any more (Esc goes back)", self.key.1);
            put(frame, area, 0, Line::styled(text, now.theme.dim()));
            return;
        };
        self.settle(state);
        let peer = &state.peer;
        let ping = state
            .ping_ms
            .map_or_else(String::new, |ms| format!("  ping {ms} ms"));
        let node = if peers.several_nodes() {
            format!("node {}  ", state.node)
        } else {
            String::new()
        };
        let head = format!(
            "{node}peer {}  {}  {}  {}{ping}",
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
            let (direction, mut style) = if line.inbound() {
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
                line.size()
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
    pub(super) fn previous_match(&mut self, peers: &Peers, skip: bool) {
        let Some(state) = peers.by_key.get(&self.key) else {
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

    /// The messages shown, an object each.
    pub(super) fn export(&self, peers: &Peers, now: &Now) -> Vec<serde_json::Value> {
        let Some(state) = peers.by_key.get(&self.key) else {
            return Vec::new();
        };
        let lines = self.lines(peers, state);
        lines
            .into_iter()
            .map(|i| {
                let line = &state.lines[i];
                json!({
                    "time_ms": now.start_unix_ms + u64::from(line.ms),
                    "pid": state.node,
                    "peer_id": state.peer.id,
                    "direction": if line.inbound() { "inbound" } else { "outbound" },
                    "msg_type": peers.type_of(line),
                    "size": line.size(),
                })
            })
            .collect()
    }
}
