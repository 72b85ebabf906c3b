//! One P2P message as it was seen.

use crate::trace::Event;
use std::time::UNIX_EPOCH;

/// A message that a node received or sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'e> {
    /// When it was seen, in nanoseconds since 1970.
    pub unix_ns: u64,
    /// Bitcoin Core's number of the peer.
    pub peer_id: i64,
    /// The peer's address as Bitcoin Core names it: `1.2.3.4:8333`, `[2001:db8::1]:8333`, `….onion:8333`.
    pub addr: String,
    /// `inbound`, `outbound-full-relay`, `manual` …
    pub conn_type: String,
    /// `inv`, `tx` …
    pub msg_type: String,
    /// Received, not sent.
    pub inbound: bool,
    /// What it holds, without the 24-byte header of the v1 transport.
    pub payload: &'e [u8],
}

impl<'e> Message<'e> {
    /// The message of a hit of `net:inbound_message` or `net:outbound_message` with its payload; `None` of any other.
    pub fn of(hit: &'e Event) -> Option<Message<'e>> {
        let since = hit.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Message {
            unix_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            peer_id: hit.int("peer_id").ok()?,
            addr: hit.text("addr").ok()?.into_owned(),
            conn_type: hit.text("conn_type").ok()?.into_owned(),
            msg_type: hit.text("msg_type").ok()?.into_owned(),
            inbound: hit.short_name() == "inbound_message",
            payload: hit.bytes("bytes").ok()?,
        })
    }
}
