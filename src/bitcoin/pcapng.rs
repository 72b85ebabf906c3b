//! P2P messages as a packet capture that Wireshark opens.
//!
//! What was traced is messages, not packets; each is wrapped in the v1 transport's header and in made-up TCP over IP, so that
//! Wireshark's Bitcoin dissector puts it together again, whatever transport the node really used. Checksums of IP are right,
//! those of TCP are left 0; sequence numbers count the bytes of a direction. The peer's address and port are real where
//! they are IP addresses; onion and I2P peers get an address of their own below `fd87:d87e:eb43::/48`. The node itself is
//! 192.0.2.1 or 2001:db8::1, addresses for documentation.
//!
//! Source: draft-ietf-opsawg-pcapng (blocks, options), RFC 791, 8200, 9293.

use std::{
    collections::HashMap,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::{capture::type_bytes, message::Message, records::write_parts, wire::double_sha256};

/// A network's first four bytes of each message, and the port its nodes listen on. Source: Bitcoin Core
/// `kernel/chainparams.cpp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// As `-chain=` takes it.
    pub name: &'static str,
    /// First bytes of a message.
    pub magic: [u8; 4],
    /// Default port.
    pub port: u16,
}

/// The networks.
pub const CHAINS: &[Chain] = &[
    chain("main", [0xf9, 0xbe, 0xb4, 0xd9], 8333),
    chain("test", [0x0b, 0x11, 0x09, 0x07], 18333),
    chain("testnet4", [0x1c, 0x16, 0x3f, 0x28], 48333),
    chain("signet", [0x0a, 0x03, 0xcf, 0x40], 38333),
    chain("regtest", [0xfa, 0xbf, 0xb5, 0xda], 18444),
];

impl Default for Chain {
    /// Bitcoin's own.
    fn default() -> Self {
        CHAINS[0]
    }
}

const fn chain(name: &'static str, magic: [u8; 4], port: u16) -> Chain {
    Chain { name, magic, port }
}

/// Bytes of a message carried by one made-up packet: with headers it stays below the 65,535 of an IP packet.
const SEGMENT: usize = 60_000;

/// Link type of packets that begin with an IP header.
const LINKTYPE_RAW: u16 = 101;

/// Writes a capture.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    chain: Chain,
    /// By peer: next sequence number of what the peer sends, and of what the node sends.
    sequence: HashMap<i64, [u32; 2]>,
}

impl<W: Write> Writer<W> {
    /// Begins a capture: section header and one interface, with times in nanoseconds.
    ///
    /// # Errors
    /// What writing answered.
    pub fn new(mut out: W, chain: Chain) -> io::Result<Self> {
        let mut header = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        header.extend([1, 0, 0, 0]);
        header.extend([0xff; 8]);
        let program = concat!("baretrace ", env!("CARGO_PKG_VERSION"));
        option(&mut header, 4, program.as_bytes());
        option(&mut header, 0, &[]);
        let mut start = Vec::new();
        block(&mut start, 0x0a0d_0d0a, &header);

        let mut interface = LINKTYPE_RAW.to_le_bytes().to_vec();
        interface.extend([0; 6]);
        option(&mut interface, 2, b"bitcoind");
        let text = format!("messages seen by USDT probes, chain {}", chain.name);
        option(&mut interface, 3, text.as_bytes());
        option(&mut interface, 9, &[9]);
        option(&mut interface, 0, &[]);
        block(&mut start, 1, &interface);
        out.write_all(&start)?;
        Ok(Writer {
            out,
            chain,
            sequence: HashMap::new(),
        })
    }

    /// Appends a message as the packets that carry it, in one write.
    ///
    /// # Errors
    /// What writing answered.
    pub fn write(&mut self, message: &Message<'_>) -> io::Result<()> {
        let peer = peer_address(message);
        // A peer that connected comes from its own port to the node's; one that was connected to is at its port.
        let node_port = if message.conn_type == "inbound" {
            self.chain.port
        } else {
            50_000 + u16::try_from(message.peer_id.rem_euclid(10_000)).unwrap_or(0)
        };
        let node_ip = match peer.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        };
        let node = SocketAddr::new(node_ip, node_port);
        let (from, to) = if message.inbound {
            (peer, node)
        } else {
            (node, peer)
        };

        let size = u32::try_from(message.payload.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "payload beyond 4 GiB"))?;
        let mut header = self.chain.magic.to_vec();
        header.extend(type_bytes(&message.msg_type));
        header.extend(size.to_le_bytes());
        header.extend(&double_sha256(message.payload)[..4]);

        let direction = usize::from(!message.inbound);
        let comment = format!(
            "peer {} ({}, {})",
            message.peer_id, message.conn_type, message.addr
        );
        // The header and as much as fits beside it, then full segments. An empty payload is one segment too.
        let first = message.payload.len().min(SEGMENT - header.len());
        let (first, rest) = message.payload.split_at(first);
        let segments = [first].into_iter().chain(rest.chunks(SEGMENT));
        let last = rest.chunks(SEGMENT).count();
        // What is around each piece of the payload.
        let mut around = Vec::with_capacity(2 * (last + 1));
        for (i, piece) in segments.clone().enumerate() {
            let (header, comment) = match i {
                0 => (header.as_slice(), comment.as_str()),
                _ => (&[][..], ""),
            };
            let length = header.len() + piece.len();
            let numbers = self.sequence.entry(message.peer_id).or_insert([1, 1]);
            let (seq, ack) = (numbers[direction], numbers[1 - direction]);
            numbers[direction] = seq.wrapping_add(length as u32);
            let mut packet = ip(from.ip(), to.ip(), TCP_HEADER + length);
            packet.extend(tcp(from.port(), to.port(), seq, ack, i == last));
            packet.extend(header);
            around.push(packet_block(message, packet, piece.len(), comment));
        }
        let parts: Vec<&[u8]> = around
            .iter()
            .zip(segments)
            .flat_map(|((before, after), piece)| [before.as_slice(), piece, after.as_slice()])
            .collect();
        write_parts(&mut self.out, &parts)
    }
}

/// One Enhanced Packet Block, up to `more` bytes that the packet goes on for, and what comes after these.
fn packet_block(
    message: &Message<'_>,
    packet: Vec<u8>,
    more: usize,
    comment: &str,
) -> (Vec<u8>, Vec<u8>) {
    let length = packet.len() + more;
    let mut options = Vec::new();
    if !comment.is_empty() {
        option(&mut options, 1, comment.as_bytes());
    }
    // epb_flags: the two lowest bits are the direction, 1 in, 2 out.
    let flags: u32 = if message.inbound { 1 } else { 2 };
    option(&mut options, 2, &flags.to_le_bytes());
    option(&mut options, 0, &[]);
    let mut after = vec![0; length.next_multiple_of(4) - length];
    after.extend(options);

    let [whole, length] = [32 + length + after.len(), length].map(|n| (n as u32).to_le_bytes());
    let mut before = 6u32.to_le_bytes().to_vec();
    before.extend(whole);
    before.extend([0; 4]);
    before.extend(((message.unix_ns >> 32) as u32).to_le_bytes());
    before.extend((message.unix_ns as u32).to_le_bytes());
    before.extend(length);
    before.extend(length);
    before.extend(packet);
    after.extend(whole);
    (before, after)
}

/// Zeros up to a multiple of four.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// Code, length, value, zeros up to a multiple of four.
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
    pad(out);
}

/// Type, length, body, length again. `body` is a multiple of four long.
fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let length = (body.len() as u32 + 12).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(length);
    out.extend(body);
    out.extend(length);
}

/// Bytes of a TCP header without options.
const TCP_HEADER: usize = 20;

/// A TCP header with ACK, PSH on the last segment of a message.
fn tcp(from: u16, to: u16, seq: u32, ack: u32, push: bool) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(TCP_HEADER);
    tcp.extend(from.to_be_bytes());
    tcp.extend(to.to_be_bytes());
    tcp.extend(seq.to_be_bytes());
    tcp.extend(ack.to_be_bytes());
    tcp.extend([
        5 << 4,
        if push { 0x18 } else { 0x10 },
        0xff,
        0xff,
        0,
        0,
        0,
        0,
    ]);
    tcp
}

/// The IP header before a TCP segment of that many bytes.
fn ip(from: IpAddr, to: IpAddr, segment: usize) -> Vec<u8> {
    const TCP: u8 = 6;
    let mut packet = Vec::with_capacity(40 + TCP_HEADER + 24);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([0x45, 0]);
            packet.extend((segment as u16 + 20).to_be_bytes());
            packet.extend([0, 0, 0x40, 0, 64, TCP, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            let sum = checksum(&packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (from, to) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend((segment as u16).to_be_bytes());
            packet.extend([TCP, 64]);
            for ip in [from, to] {
                packet.extend(match ip {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                    IpAddr::V6(v6) => v6.octets(),
                });
            }
        }
    }
    packet
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The peer's address; one that is no IP address gets 80 bits of its name's SHA-256 below OnionCat's prefix.
fn peer_address(message: &Message<'_>) -> SocketAddr {
    if let Ok(address) = message.addr.parse() {
        return address;
    }
    if let Ok(ip) = message.addr.parse::<IpAddr>() {
        return SocketAddr::new(ip, 0);
    }
    let (host, port) = message.addr.rsplit_once(':').unwrap_or((&message.addr, ""));
    let mut octets = [0; 16];
    octets[..6].copy_from_slice(&[0xfd, 0x87, 0xd8, 0x7e, 0xeb, 0x43]);
    octets[6..].copy_from_slice(&double_sha256(host.as_bytes())[..10]);
    SocketAddr::new(Ipv6Addr::from(octets).into(), port.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<'p>(addr: &str, inbound: bool, payload: &'p [u8]) -> Message<'p> {
        Message {
            unix_ns: 0x1_0000_0002,
            peer_id: 7,
            addr: addr.to_owned(),
            conn_type: "inbound".to_owned(),
            msg_type: "ping".to_owned(),
            inbound,
            payload,
        }
    }

    /// Type and body of each block.
    fn blocks(mut bytes: &[u8]) -> Vec<(u32, &[u8])> {
        let mut blocks = Vec::new();
        let number = |b: &[u8]| u32::from_le_bytes(b[..4].try_into().unwrap());
        while !bytes.is_empty() {
            let length = number(&bytes[4..]) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(number(&bytes[length - 4..]) as usize, length);
            blocks.push((number(bytes), &bytes[8..length - 4]));
            bytes = &bytes[length..];
        }
        blocks
    }

    #[test]
    fn a_message_is_a_packet_with_the_v1_header() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, CHAINS[0]).unwrap();
        writer
            .write(&message("1.2.3.4:51000", true, &[9; 8]))
            .unwrap();
        let blocks = blocks(&out);
        assert_eq!(
            blocks.iter().map(|b| b.0).collect::<Vec<_>>(),
            [0x0a0d_0d0a, 1, 6]
        );
        let packet = &blocks[2].1[20..];
        assert_eq!(checksum(&packet[..20]), 0, "the checksum's own check");
        assert_eq!(packet[12..20], [1, 2, 3, 4, 192, 0, 2, 1]);
        assert_eq!(packet[20..24], [0xc7, 0x38, 0x20, 0x8d], "51000 to 8333");
        assert_eq!(
            packet[40..60],
            *b"\xf9\xbe\xb4\xd9ping\0\0\0\0\0\0\0\0\x08\0\0\0"
        );
        assert_eq!(packet[60..64], double_sha256(&[9; 8])[..4]);
        assert_eq!(packet[64..72], [9; 8]);
    }

    #[test]
    fn packets_of_any_length_make_whole_blocks() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, CHAINS[0]).unwrap();
        let payload = [7; 61_003];
        for length in [0, 1, 2, 3, 5, 59_975, 59_976, 59_977, 61_001, 61_003] {
            writer
                .write(&message("1.2.3.4:51000", true, &payload[..length]))
                .unwrap();
        }
        let packets: Vec<usize> = blocks(&out)[2..]
            .iter()
            .map(|(_, body)| u32::from_le_bytes(body[12..16].try_into().unwrap()) as usize)
            .collect();
        assert_eq!(packets[..3], [64, 65, 66]);
        assert_eq!(packets.len(), 10 + 3);
        assert_eq!(packets[12], 40 + 61_003 - 59_976);
    }

    #[test]
    fn four_megabytes_are_segments_that_follow_each_other() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, CHAINS[4]).unwrap();
        let payload = vec![1; 4_000_000];
        writer
            .write(&message("abc.onion:8333", false, &payload))
            .unwrap();
        writer
            .write(&message("abc.onion:8333", false, &[]))
            .unwrap();
        let mut next = 1u32;
        let blocks = blocks(&out);
        assert_eq!(blocks.len(), 2 + 67 + 1);
        for (_, body) in &blocks[2..] {
            let length = u32::from_le_bytes(body[12..16].try_into().unwrap()) as usize;
            let packet = &body[20..20 + length];
            assert_eq!(packet[0], 0x60);
            assert_eq!(
                u16::from_be_bytes([packet[4], packet[5]]) as usize,
                length - 40
            );
            assert_eq!(packet[24..30], [0xfd, 0x87, 0xd8, 0x7e, 0xeb, 0x43]);
            let tcp = &packet[40..];
            assert_eq!(u32::from_be_bytes(tcp[4..8].try_into().unwrap()), next);
            next += (tcp.len() - 20) as u32;
        }
        assert_eq!(next, 1 + 24 + 4_000_000 + 24);
    }
}
