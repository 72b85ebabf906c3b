//! Invented data: repeatable numbers, peers, hashes, payloads.

use std::ffi::CStr;

/// A repeatable stream of numbers (SplitMix64: Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.abs_diff(low).saturating_add(1);
        low.saturating_add_unsigned(self.next() % width)
    }

    /// A transaction id or a hash.
    pub(super) fn hash(&mut self) -> [u8; 32] {
        let mut hash = [0; 32];
        for chunk in hash.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        hash
    }

    /// The hash of a block: its last bytes (the first of the printed form) are zero.
    pub(super) fn block_hash(&mut self) -> [u8; 32] {
        let mut hash = self.hash();
        hash[22..].fill(0);
        hash
    }
}

/// One peer. Networks: 1 IPv4, 2 IPv6, 3 Onion, 4 I2P, 5 CJDNS.
pub(super) struct Peer {
    pub(super) id: i64,
    pub(super) addr: &'static CStr,
    pub(super) conn_type: &'static CStr,
    pub(super) network: u32,
    pub(super) inbound: bool,
}

const fn peer(
    id: i64,
    addr: &'static CStr,
    conn_type: &'static CStr,
    network: u32,
    inbound: bool,
) -> Peer {
    Peer {
        id,
        addr,
        conn_type,
        network,
        inbound,
    }
}

/// All peers, with addresses of the ranges kept for documentation (RFC 5737, RFC 3849) and an onion address of full length.
pub(super) const PEERS: &[Peer] = &[
    peer(0, c"192.0.2.17:8333", c"outbound-full-relay", 1, false),
    peer(1, c"198.51.100.204:8333", c"outbound-full-relay", 1, false),
    peer(2, c"[2001:db8::1:2c]:8333", c"block-relay-only", 2, false),
    peer(3, c"203.0.113.9:51724", c"inbound", 1, true),
    peer(
        4,
        c"pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:18333",
        c"manual",
        3,
        false,
    ),
    peer(
        5,
        c"ukeu3k5oycgaauneqgtnvselmt4yemvoilkln7jpvamvfx7dnkdq.b32.i2p:0",
        c"feeler",
        4,
        false,
    ),
    peer(
        6,
        c"[fc32:17ea:e415:c3bf:9808:149d:b5a2:c9aa]:8333",
        c"addr-fetch",
        5,
        false,
    ),
    peer(7, c"127.0.0.1:43210", c"inbound", 3, true),
];

/// Why the mempool drops a transaction.
pub(super) const REMOVAL: &[&CStr] = &[
    c"expiry",
    c"sizelimit",
    c"reorg",
    c"block",
    c"conflict",
    c"replaced",
];

/// Why the mempool refuses a transaction.
pub(super) const REJECTION: &[&CStr] = &[
    c"min relay fee not met",
    c"insufficient fee",
    c"dust",
    c"bad-txns-inputs-missingorspent",
    c"non-mandatory-script-verify-flag (Witness program hash mismatch)",
];

/// Looks at texts, as a program has that made them: their pages are in memory when a probe hands out the addresses. A
/// tracer cannot wait for a page that is still on disk, and reads an empty string there.
pub(super) fn touch(texts: &[&CStr]) {
    for text in texts {
        std::hint::black_box(text.to_bytes().first().copied());
    }
}

/// A message's payload: repeatable bytes that differ from message to message.
pub(super) fn payload(len: usize, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers::new(seed);
    let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
    while bytes.len() < len {
        bytes.extend_from_slice(&numbers.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A hash as people write it: last byte first, in hex.
pub(super) fn hex(hash: &[u8; 32]) -> String {
    hash.iter().rev().map(|b| format!("{b:02x}")).collect()
}
