//! The columns of the table of peers: what each shows and how it sorts.

use std::cmp::Ordering;

use super::{
    app::Now,
    format::{bars, rate, safe, short, span},
    peers::State,
};

/// A column.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Least characters.
    pub(super) width: u16,
    /// Numbers stand at the right.
    pub(super) right: bool,
    /// The higher, the sooner it is left out on a narrow terminal.
    pub(super) rank: u8,
    pub(super) text: fn(&State, &Now) -> String,
    /// Smallest first.
    pub(super) order: fn(&State, &State, &Now) -> Ordering,
}

const fn column(
    title: &'static str,
    width: u16,
    right: bool,
    rank: u8,
    text: fn(&State, &Now) -> String,
    order: fn(&State, &State, &Now) -> Ordering,
) -> Column {
    Column {
        title,
        width,
        right,
        rank,
        text,
        order,
    }
}

/// Index of the column that is shown only with several nodes.
const NODE: usize = 0;
/// Index of the column that is sorted by at first.
pub(super) const ID: usize = 1;
/// Index of the column that takes what width is left.
pub(super) const WIDE: usize = 2;

/// All columns, left to right. Those of rank 0 fit 40 characters, those up to 3 fit 80. Each is wider than its title, so
/// that the sign of the order has room.
pub(super) const COLUMNS: &[Column] = &[
    column(
        "NODE",
        7,
        true,
        0,
        |s, _| s.node.to_string(),
        |a, b, _| a.node.cmp(&b.node),
    ),
    column(
        "ID",
        4,
        true,
        0,
        |s, _| s.peer.id.to_string(),
        |a, b, _| a.key().cmp(&b.key()),
    ),
    column(
        "ADDRESS",
        17,
        false,
        0,
        |s, _| safe(&s.peer.addr),
        |a, b, _| a.peer.addr.cmp(&b.peer.addr),
    ),
    column(
        "TYPE",
        9,
        false,
        1,
        |s, _| short_type(s),
        |a, b, _| a.peer.conn_type.cmp(&b.peer.conn_type),
    ),
    column(
        "NET",
        6,
        false,
        3,
        |s, _| short_network(s),
        |a, b, _| a.network.cmp(&b.network),
    ),
    column(
        "IN",
        5,
        true,
        1,
        |s, _| short(s.received.messages),
        |a, b, _| a.received.messages.cmp(&b.received.messages),
    ),
    column(
        "IN B",
        5,
        true,
        0,
        |s, _| short(s.received.bytes),
        |a, b, _| a.received.bytes.cmp(&b.received.bytes),
    ),
    column(
        "OUT",
        5,
        true,
        1,
        |s, _| short(s.sent.messages),
        |a, b, _| a.sent.messages.cmp(&b.sent.messages),
    ),
    column(
        "OUT B",
        6,
        true,
        0,
        |s, _| short(s.sent.bytes),
        |a, b, _| a.sent.bytes.cmp(&b.sent.bytes),
    ),
    column(
        "B/s",
        5,
        true,
        2,
        |s, now| rate(bytes_rate(s, now)),
        |a, b, now| bytes_rate(a, now).total_cmp(&bytes_rate(b, now)),
    ),
    column("PING", 6, true, 2, ping, |a, b, _| {
        a.ping_ms.cmp(&b.ping_ms)
    }),
    column(
        "MSG/s",
        6,
        true,
        4,
        |s, now| rate(messages_rate(s, now)),
        |a, b, now| messages_rate(a, now).total_cmp(&messages_rate(b, now)),
    ),
    column(
        "SEEN",
        6,
        true,
        5,
        |s, now| span(now.ms.saturating_sub(s.since_ms)),
        |a, b, _| b.since_ms.cmp(&a.since_ms),
    ),
    column(
        "LAST MINUTE",
        12,
        false,
        6,
        |s, now| bars(&s.bytes.bars(now.ms / 1_000, 12, 5), now.theme.unicode),
        |a, b, now| bytes_rate(a, now).total_cmp(&bytes_rate(b, now)),
    ),
    column("STATE", 14, false, 7, state, |a, b, _| {
        b.closed_ms.cmp(&a.closed_ms)
    }),
];

fn bytes_rate(state: &State, now: &Now) -> f64 {
    state.bytes.rate(now.ms / 1_000, 60)
}

fn messages_rate(state: &State, now: &Now) -> f64 {
    state.messages.rate(now.ms / 1_000, 60)
}

fn ping(state: &State, _: &Now) -> String {
    state
        .ping_ms
        .map_or_else(|| "-".to_owned(), |ms| format!("{ms}ms"))
}

/// An address that is not of the internet has a network of a long name.
fn short_network(state: &State) -> String {
    match state.network.as_str() {
        "unroutable" => "local".to_owned(),
        other => safe(other),
    }
}

/// The longest connection types have short forms.
fn short_type(state: &State) -> String {
    match state.peer.conn_type.as_str() {
        "outbound-full-relay" => "out-full".to_owned(),
        "block-relay-only" => "out-block".to_owned(),
        other => safe(other),
    }
}

fn state(state: &State, now: &Now) -> String {
    match (&state.closed_ms, &state.misbehaved) {
        (Some(ms), _) => format!("closed {}", span(now.ms.saturating_sub(*ms))),
        (None, Some(_)) => "misbehaving".to_owned(),
        (None, None) => "open".to_owned(),
    }
}

impl Column {
    /// Numbers are looked at from the largest on, but for those that are names.
    pub(super) fn largest_first(&self) -> bool {
        self.right && !["NODE", "ID"].contains(&self.title)
    }
}

/// The columns that fit `width`, in order: those of the lowest ranks, one space between.
pub(super) fn fitting(width: u16, several_nodes: bool) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..COLUMNS.len())
        .filter(|&i| several_nodes || i != NODE)
        .collect();
    ranked.sort_by_key(|&i| COLUMNS[i].rank);
    let mut left = i32::from(width) + 1;
    let mut chosen: Vec<usize> = ranked
        .into_iter()
        .take_while(|&i| {
            left -= i32::from(COLUMNS[i].width) + 1;
            left >= 0
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_the_widths_they_promise() {
        let titles = |width| {
            fitting(width, false)
                .iter()
                .map(|&i| COLUMNS[i].title)
                .collect::<Vec<_>>()
        };
        assert_eq!(titles(40), ["ID", "ADDRESS", "IN B", "OUT B"]);
        let at_80 = [
            "ID", "ADDRESS", "TYPE", "NET", "IN", "IN B", "OUT", "OUT B", "B/s", "PING",
        ];
        assert_eq!(titles(80), at_80);
        assert_eq!(titles(200).len(), COLUMNS.len() - 1);
        assert_eq!(fitting(200, true).len(), COLUMNS.len());
        for column in COLUMNS {
            assert!(
                column.title.len() < usize::from(column.width),
                "{}",
                column.title
            );
        }
    }
}
