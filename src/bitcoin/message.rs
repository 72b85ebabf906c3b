//! One P2P message as it was seen.

/// A message that a node received or sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
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
    pub payload: Vec<u8>,
}
