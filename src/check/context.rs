//! The context of each program type: which bytes may be read and written, and what a load of them gives.

use super::value::Sock;
use crate::asm::helper::ProgType;

/// Bytes of `struct pt_regs`.
#[cfg(not(target_arch = "aarch64"))]
const REGS: i64 = 168;
#[cfg(target_arch = "aarch64")]
const REGS: i64 = 272;

/// `PERF_MAX_TRACE_SIZE`.
const TRACE: i64 = 8192;
/// Arguments of a raw tracepoint.
const RAW_ARGS: i64 = 12 * 8;
/// `U16_MAX`: a syscall program's block has any size up to it.
const BLOCK: i64 = 65535;

/// What a field of the context holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// A number.
    Number,
    /// The packet's first byte.
    Data,
    /// The end of the packet.
    End,
    /// The first byte of what XDP left in front of the packet.
    Meta,
    /// The packet's socket, or 0.
    Sock,
}

/// An access to the context.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) off: i64,
    pub(super) size: i64,
    pub(super) write: bool,
    /// A load that extends the sign.
    pub(super) signed: bool,
}

/// How a field may be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Words of four bytes; parts of one may be loaded, but only the whole stored.
    Words,
    /// Bytes that may be accessed in any size.
    Bytes,
    /// That many bytes at once.
    Whole(i64),
}

/// Which program types load from, or store to, a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Nobody,
    /// Traffic control.
    Tc,
    /// Traffic control and socket filters.
    Both,
}

/// Fields of `struct __sk_buff`: first byte, bytes, how, who loads, who stores, what it holds.
struct Field(i64, i64, Shape, Who, Who, Holds);

/// `include/uapi/linux/bpf.h: struct __sk_buff`, with `net/core/filter.c: bpf_skb_is_valid_access`,
/// `tc_cls_act_is_valid_access` and `sk_filter_is_valid_access`. Other bytes are for other program types.
#[rustfmt::skip]
const SKB: &[Field] = &[
    Field(0, 8, Shape::Words, Who::Both, Who::Nobody, Holds::Number),    // len, pkt_type
    Field(8, 8, Shape::Words, Who::Both, Who::Tc, Holds::Number),        // mark, queue_mapping
    Field(16, 16, Shape::Words, Who::Both, Who::Nobody, Holds::Number),  // protocol, vlan_present, vlan_tci, vlan_proto
    Field(32, 4, Shape::Words, Who::Both, Who::Tc, Holds::Number),       // priority
    Field(36, 8, Shape::Words, Who::Both, Who::Nobody, Holds::Number),   // ingress_ifindex, ifindex
    Field(44, 4, Shape::Words, Who::Both, Who::Tc, Holds::Number),       // tc_index
    Field(48, 20, Shape::Bytes, Who::Both, Who::Both, Holds::Number),    // cb
    Field(68, 4, Shape::Words, Who::Both, Who::Nobody, Holds::Number),   // hash
    Field(72, 4, Shape::Words, Who::Tc, Who::Tc, Holds::Number),         // tc_classid
    Field(76, 4, Shape::Whole(4), Who::Tc, Who::Nobody, Holds::Data),
    Field(80, 4, Shape::Whole(4), Who::Tc, Who::Nobody, Holds::End),
    Field(84, 4, Shape::Words, Who::Both, Who::Nobody, Holds::Number),   // napi_id
    Field(140, 4, Shape::Whole(4), Who::Tc, Who::Nobody, Holds::Meta),
    Field(152, 8, Shape::Whole(8), Who::Tc, Who::Tc, Holds::Number),     // tstamp
    Field(160, 4, Shape::Words, Who::Tc, Who::Nobody, Holds::Number),    // wire_len
    Field(164, 4, Shape::Words, Who::Both, Who::Nobody, Holds::Number),  // gso_segs
    Field(168, 8, Shape::Whole(8), Who::Both, Who::Nobody, Holds::Sock),
    Field(176, 4, Shape::Words, Who::Both, Who::Nobody, Holds::Number),  // gso_size
    Field(180, 1, Shape::Whole(1), Who::Tc, Who::Nobody, Holds::Number), // tstamp_type
    Field(184, 8, Shape::Whole(8), Who::Tc, Who::Nobody, Holds::Number), // hwtstamp
];

/// What the context holds there for that kind of access; `None` if it is refused.
pub(super) fn field(kind: ProgType, access: Access) -> Option<Holds> {
    let Access {
        off, size, write, ..
    } = access;
    if off < 0 || off % size != 0 {
        return None;
    }
    let end = off + size;
    let allowed = match kind {
        ProgType::Kprobe => !write && end <= REGS,
        ProgType::Tracepoint => !write && off >= 8 && end <= TRACE,
        ProgType::RawTracepoint => !write && end <= RAW_ARGS,
        ProgType::PerfEvent => {
            let tail = (REGS..REGS + 16).contains(&off) && end <= REGS + 16;
            !write && (tail || size == 8 && end <= REGS)
        }
        ProgType::Syscall => end <= BLOCK,
        ProgType::SocketFilter => return skb(access, &[Who::Both]),
        ProgType::SchedCls => return skb(access, &[Who::Both, Who::Tc]),
        ProgType::Xdp => return xdp(access),
    };
    allowed.then_some(Holds::Number)
}

fn skb(access: Access, who: &[Who]) -> Option<Holds> {
    let Access {
        off,
        size,
        write,
        signed,
    } = access;
    let inside = |f: &&Field| off >= f.0 && off + size <= f.0 + f.1;
    let Field(_, _, shape, loads, stores, holds) = SKB.iter().find(inside)?;
    let fits = match shape {
        Shape::Words if write => size == 4,
        Shape::Words => size <= 4,
        Shape::Bytes => true,
        Shape::Whole(bytes) => size == *bytes,
    };
    let plain = *holds == Holds::Number || *holds == Holds::Sock;
    let may = who.contains(if write { stores } else { loads });
    (fits && may && (plain || !signed)).then_some(*holds)
}

/// `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index; egress_ifindex is for programs of a
/// device map (`net/core/filter.c: xdp_is_valid_access`).
fn xdp(access: Access) -> Option<Holds> {
    if access.write || access.size != 4 {
        return None;
    }
    match (access.off, access.signed) {
        (0, false) => Some(Holds::Data),
        (4, false) => Some(Holds::End),
        (8, false) => Some(Holds::Meta),
        (12 | 16, _) => Some(Holds::Number),
        _ => None,
    }
}

/// Fields of `struct bpf_sock` of which parts may be loaded: first byte, end, most bytes of a part.
const PARTS: &[(i64, i64, i64)] = &[
    (24, 44, 4), // src_ip4, src_ip6
    (48, 50, 2), // dst_port
    (52, 72, 4), // dst_ip4, dst_ip6
];

/// Fields of `struct bpf_sock` whose first bytes may be loaded: family, type, protocol, src_port, state,
/// rx_queue_mapping.
const FIRST: &[i64] = &[4, 8, 12, 44, 72, 76];

/// Whether a socket has a field there (`net/core/filter.c: bpf_sock_is_valid_access`,
/// `bpf_tcp_sock_is_valid_access`). Nothing of one may be written.
pub(super) fn socket(sock: Sock, off: i64, size: i64) -> bool {
    if off < 0 || off % size != 0 {
        return false;
    }
    if sock == Sock::Tcp {
        // bytes_received and bytes_acked are the only ones of eight bytes.
        let wide = (80..96).contains(&off);
        return off + size <= 112 && size == if wide { 8 } else { 4 };
    }
    // type, protocol, mark and priority are those of full sockets.
    if sock == Sock::Common && (8..24).contains(&off) {
        return false;
    }
    let part =
        |&(from, to, most): &(i64, i64, i64)| off >= from && off + size <= to && size <= most;
    let first = size < 4 && FIRST.contains(&off);
    first || PARTS.iter().any(part) || size == 4 && off + size <= 80
}
