//! What is known of each peer, from its messages and connections.

use std::collections::{BTreeMap, VecDeque};

use super::window::Window;

/// What the tracepoints of `net` tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message was received or sent.
    Message {
        /// The peer.
        peer: Peer,
        /// `inv`, `tx` …
        msg_type: String,
        /// Bytes of payload.
        size: u64,
        /// Received, not sent.
        inbound: bool,
    },
    /// A connection was made.
    Connected {
        /// The peer.
        peer: Peer,
        /// Name of the network: `IPv4`, `Onion` …
        network: String,
    },
    /// A connection was closed, or an inbound one made room for another.
    Closed {
        /// The peer.
        peer: Peer,
        /// Name of the network.
        network: String,
        /// Unix seconds at which it was made.
        established: u64,
        /// It made room for another.
        evicted: bool,
    },
    /// A peer broke the rules.
    Misbehaving {
        /// Bitcoin Core's number of the peer.
        id: i64,
        /// How.
        reason: String,
    },
}

/// Which peer, as each tracepoint says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Bitcoin Core's number of it.
    pub id: i64,
    /// Its address.
    pub addr: String,
    /// `inbound`, `manual` …
    pub conn_type: String,
}

/// A peer of one of the nodes: the node's process, and its number of the peer.
pub type Key = (u32, i64);

/// One message of a conversation, in eight bytes: there are many.
///
/// ```text
/// ┌──────────────────────────────────┬─────────┬─────────┬──────────┐
/// │ ms since the monitor began, 32 b │ in, 1 b │ type, 9 │ size, 22 │
/// └──────────────────────────────────┴─────────┴─────────┴──────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the monitor began.
    pub ms: u32,
    rest: u32,
}

const SIZE_BITS: u32 = 22;
const TYPE_BITS: u32 = 9;

impl Line {
    fn new(ms: u64, msg_type: usize, size: u64, inbound: bool) -> Self {
        let most = (1 << SIZE_BITS) - 1;
        let size = saturate(size).min(most);
        let rest = u32::from(inbound) << 31 | (msg_type as u32) << SIZE_BITS | size;
        Line {
            ms: saturate(ms),
            rest,
        }
    }

    /// Bytes of payload, at most 4,194,303; a message has no more than 4,000,000.
    pub fn size(self) -> u32 {
        self.rest & ((1 << SIZE_BITS) - 1)
    }

    /// Received, not sent.
    pub fn inbound(self) -> bool {
        self.rest >> 31 == 1
    }

    /// Index into [`Peers::types`].
    fn msg_type(self) -> usize {
        (self.rest >> SIZE_BITS) as usize & ((1 << TYPE_BITS) - 1)
    }
}

/// Messages kept of each peer: with 125 peers, 4 MiB.
pub const KEPT: usize = 4_096;

/// Peers that are kept after they left.
const KEPT_CLOSED: usize = 200;

/// Traffic of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

/// One peer.
#[derive(Clone, Debug)]
pub struct State {
    /// Process of the node that it is a peer of.
    pub node: u32,
    /// Who it is.
    pub peer: Peer,
    /// Name of its network, by its address as long as no connection event told.
    pub network: String,
    /// Received from it.
    pub received: Traffic,
    /// Sent to it.
    pub sent: Traffic,
    /// Bytes over time, both directions.
    pub bytes: Window,
    /// Messages over time, both directions.
    pub messages: Window,
    /// Milliseconds from the last ping sent to the pong received.
    pub ping_ms: Option<u32>,
    ping_sent: Option<u64>,
    /// Milliseconds since the monitor began at which it was first seen.
    pub since_ms: u64,
    /// When the connection ended, in milliseconds since the monitor began.
    pub closed_ms: Option<u64>,
    /// What it did wrong last.
    pub misbehaved: Option<String>,
    /// Its last messages, oldest first.
    pub lines: VecDeque<Line>,
    /// Messages no longer in `lines`.
    pub forgotten: u64,
}

/// All peers.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// By node and number.
    pub by_key: BTreeMap<Key, State>,
    /// Message types seen; a [`Line`] has the index.
    pub types: Vec<String>,
    /// Messages of all peers over time.
    pub messages: Window,
    /// Bytes of all peers over time.
    pub bytes: Window,
}

impl Peers {
    /// Takes in an event of process `node`, `ms` milliseconds after the beginning.
    pub fn feed(&mut self, ms: u64, node: u32, event: Event) {
        match event {
            Event::Message {
                peer,
                msg_type,
                size,
                inbound,
            } => self.message((ms, node), peer, &msg_type, size, inbound),
            Event::Connected { peer, network } => {
                let key = (node, peer.id);
                // Bitcoin Core gives no number twice; whoever does means another connection.
                if self.by_key.get(&key).is_some_and(|s| s.closed_ms.is_some()) {
                    self.by_key.remove(&key);
                }
                self.state(ms, node, peer).network = network;
            }
            Event::Closed { peer, network, .. } => {
                let state = self.state(ms, node, peer);
                state.network = network;
                state.close(ms);
                self.drop_oldest_closed();
            }
            Event::Misbehaving { id, reason } => {
                if let Some(state) = self.by_key.get_mut(&(node, id)) {
                    state.misbehaved = Some(reason);
                }
            }
        }
    }

    /// Connections of a process end with it.
    pub fn ended(&mut self, ms: u64, node: u32) {
        for state in self.by_key.values_mut().filter(|s| s.node == node) {
            state.close(ms);
        }
        while self.drop_oldest_closed() {}
    }

    fn message(
        &mut self,
        (ms, node): (u64, u32),
        peer: Peer,
        msg_type: &str,
        size: u64,
        inbound: bool,
    ) {
        let second = ms / 1_000;
        self.messages.add(second, 1);
        self.bytes.add(second, size);
        let index = self.type_index(msg_type);
        let state = self.state(ms, node, peer);
        let traffic = if inbound {
            &mut state.received
        } else {
            &mut state.sent
        };
        traffic.messages += 1;
        traffic.bytes += size;
        state.messages.add(second, 1);
        state.bytes.add(second, size);
        match (msg_type, inbound) {
            ("ping", false) => state.ping_sent = Some(ms),
            ("pong", true) => {
                if let Some(sent) = state.ping_sent.take() {
                    state.ping_ms = Some(saturate(ms.saturating_sub(sent)));
                }
            }
            _ => {}
        }
        if state.lines.len() == KEPT {
            state.lines.pop_front();
            state.forgotten += 1;
        }
        state.lines.push_back(Line::new(ms, index, size, inbound));
    }

    /// The peer's state, made if it is new.
    fn state(&mut self, ms: u64, node: u32, peer: Peer) -> &mut State {
        let key = (node, peer.id);
        self.by_key.entry(key).or_insert_with(|| State {
            node,
            network: network_of(&peer.addr).to_owned(),
            peer,
            received: Traffic::default(),
            sent: Traffic::default(),
            bytes: Window::default(),
            messages: Window::default(),
            ping_ms: None,
            ping_sent: None,
            since_ms: ms,
            closed_ms: None,
            misbehaved: None,
            lines: VecDeque::new(),
            forgotten: 0,
        })
    }

    /// The index of a type; types come from peers, so that there is an end to how many are told apart.
    fn type_index(&mut self, msg_type: &str) -> usize {
        const MOST: usize = (1 << TYPE_BITS) - 1;
        self.types
            .iter()
            .position(|t| t == msg_type)
            .unwrap_or_else(|| {
                if self.types.len() < MOST {
                    self.types.push(msg_type.to_owned());
                } else if self.types.len() == MOST {
                    self.types.push("(other)".to_owned());
                }
                self.types.len() - 1
            })
    }

    /// Forgets the peer that left first if more than [`KEPT_CLOSED`] have left; whether it did.
    fn drop_oldest_closed(&mut self) -> bool {
        let closed = self.by_key.iter().filter(|(_, s)| s.closed_ms.is_some());
        if closed.clone().count() <= KEPT_CLOSED {
            return false;
        }
        let oldest = closed.min_by_key(|(_, s)| s.closed_ms).map(|(key, _)| *key);
        oldest.is_some_and(|key| self.by_key.remove(&key).is_some())
    }

    /// Whether peers of more than one node are known.
    pub fn several_nodes(&self) -> bool {
        let nodes = self
            .by_key
            .first_key_value()
            .zip(self.by_key.last_key_value());
        nodes.is_some_and(|((first, _), (last, _))| first.0 != last.0)
    }

    /// Peers whose connection is open.
    pub fn open(&self) -> usize {
        self.by_key
            .values()
            .filter(|s| s.closed_ms.is_none())
            .count()
    }

    /// A line's message type.
    pub fn type_of(&self, line: &Line) -> &str {
        self.types.get(line.msg_type()).map_or("?", String::as_str)
    }
}

impl State {
    /// The node and its number of the peer.
    pub fn key(&self) -> Key {
        (self.node, self.peer.id)
    }

    fn close(&mut self, ms: u64) {
        self.closed_ms.get_or_insert(ms);
    }
}

fn saturate(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The network that an address is of, by its form.
fn network_of(addr: &str) -> &'static str {
    let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
    if host.ends_with(".onion") {
        "Onion"
    } else if host.ends_with(".b32.i2p") {
        "I2P"
    } else if host.starts_with("[fc") {
        "CJDNS"
    } else if host.starts_with('[') {
        "IPv6"
    } else if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !host.is_empty() {
        "IPv4"
    } else {
        "?"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: i64, addr: &str) -> Peer {
        Peer {
            id,
            addr: addr.to_owned(),
            conn_type: "manual".to_owned(),
        }
    }

    fn message(id: i64, msg_type: &str, size: u64, inbound: bool) -> Event {
        Event::Message {
            peer: peer(id, "1.2.3.4:8333"),
            msg_type: msg_type.to_owned(),
            size,
            inbound,
        }
    }

    #[test]
    fn traffic_and_ping_by_peer() {
        let mut peers = Peers::default();
        peers.feed(1_000, 7, message(1, "ping", 8, false));
        peers.feed(1_042, 7, message(1, "pong", 8, true));
        peers.feed(1_100, 7, message(1, "pong", 8, true));
        peers.feed(2_000, 7, message(2, "tx", 300, true));
        let one = &peers.by_key[&(7, 1)];
        assert_eq!(one.ping_ms, Some(42));
        assert_eq!((one.received.messages, one.sent.bytes), (2, 8));
        assert_eq!(one.network, "IPv4");
        assert_eq!(peers.bytes.total(), 324);
        assert_eq!(peers.type_of(&peers.by_key[&(7, 2)].lines[0]), "tx");
    }

    #[test]
    fn memory_has_an_end() {
        let mut peers = Peers::default();
        for i in 0..KEPT as u64 + 10 {
            peers.feed(i, 7, message(1, &format!("t{i}"), 1, true));
        }
        assert_eq!(
            (
                peers.by_key[&(7, 1)].lines.len(),
                peers.by_key[&(7, 1)].forgotten
            ),
            (KEPT, 10)
        );
        assert_eq!(peers.types.len(), 512);
        let last = peers.by_key[&(7, 1)].lines[KEPT - 1];
        assert_eq!(
            (peers.type_of(&last), last.size(), last.inbound()),
            ("(other)", 1, true)
        );
        let long = Line::new(u64::MAX, 511, u64::MAX, false);
        let all = (long.ms, long.msg_type(), long.size(), long.inbound());
        assert_eq!(all, (u32::MAX, 511, 4_194_303, false));
        for id in 0..1_000 {
            let peer = peer(id + 10, "[fc00::1]:8333");
            let network = "CJDNS".to_owned();
            peers.feed(
                id as u64,
                7,
                Event::Closed {
                    peer,
                    network,
                    established: 0,
                    evicted: false,
                },
            );
        }
        assert_eq!((peers.by_key.len(), peers.open()), (KEPT_CLOSED + 1, 1));
    }

    #[test]
    fn nodes_have_peers_of_the_same_number() {
        let mut peers = Peers::default();
        peers.feed(0, 7, message(1, "tx", 100, true));
        assert!(!peers.several_nodes());
        peers.feed(0, 8, message(1, "tx", 10, true));
        assert!(peers.several_nodes());
        assert_eq!(peers.by_key[&(7, 1)].received.bytes, 100);
        peers.ended(5, 7);
        assert_eq!(peers.by_key[&(7, 1)].closed_ms, Some(5));
        assert_eq!((peers.by_key[&(8, 1)].closed_ms, peers.open()), (None, 1));
    }

    #[test]
    fn a_closed_number_that_connects_is_another_peer() {
        let mut peers = Peers::default();
        peers.feed(0, 7, message(1, "tx", 100, true));
        peers.ended(3, 7);
        let network = "Onion".to_owned();
        let peer = peer(1, "abc.onion:8333");
        peers.feed(5, 7, Event::Connected { peer, network });
        let state = &peers.by_key[&(7, 1)];
        assert_eq!((state.received.bytes, state.closed_ms), (0, None));
        assert_eq!(state.network, "Onion");
    }
}
