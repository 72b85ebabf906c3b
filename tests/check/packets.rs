//! One accepted and one refused program for each rule about packets; `~` ends a line. The kernel must agree.

use baretrace::{
    asm::{Insn, helper::ProgType},
    check::{Env, program},
    kernel::kfuncs,
    spec::{MapKind, MapSpec},
};

use super::{kernel::Judge, table};

/// The rule, a program that keeps it, one that breaks it, and what the checker says to that.
pub(crate) type Row = (
    ProgType,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const XDP: ProgType = ProgType::Xdp;
const TC: ProgType = ProgType::SchedCls;
const FILTER: ProgType = ProgType::SocketFilter;

const WORDS: &[(&str, &str)] = &[
    // The packet of an XDP program: r2 its first byte, r3 its end.
    (
        "DATA",
        "r6 = r1 ~ r2 = *(u32 *)(r1 +0) ~ r3 = *(u32 *)(r1 +4)",
    ),
    // As DATA, and the first 14 bytes are there.
    (
        "ETH",
        "r6 = r1 ~ r2 = *(u32 *)(r1 +0) ~ r3 = *(u32 *)(r1 +4) ~ r4 = r2 ~ r4 += 14 ~ if r4 > r3 goto out",
    ),
    // The same for traffic control.
    (
        "SKB",
        "r6 = r1 ~ r2 = *(u32 *)(r1 +76) ~ r3 = *(u32 *)(r1 +80)",
    ),
    (
        "FRAME",
        "r6 = r1 ~ r2 = *(u32 *)(r1 +76) ~ r3 = *(u32 *)(r1 +80) ~ r4 = r2 ~ r4 += 14 ~ if r4 > r3 goto out",
    ),
    // The packet's socket in r7, of any state.
    ("SOCK", "r7 = *(u64 *)(r1 +168) ~ if r7 == 0 goto out"),
    // The socket that a lookup found in r7, to be released.
    (
        "FIND",
        "r6 = r1 ~ *(u64 *)(r10 -16) = 0 ~ *(u32 *)(r10 -8) = 0 ~ r2 = r10 ~ r2 += -16 ~ r3 = 12 ~ r4 = -1 ~ r5 = 0 ~ \
         call bpf_sk_lookup_tcp ~ if r0 == 0 goto out ~ r7 = r0",
    ),
    ("GIVE", "r1 = r7 ~ call bpf_sk_release"),
    ("END", "out: ~ r0 = 2 ~ exit"),
];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (XDP, "a byte of the packet", "ETH ~ r0 = *(u8 *)(r2 +13) ~ END", "ETH ~ r0 = *(u8 *)(r2 +14) ~ END", "1 bytes at offset 14 through r2, where 14 bytes of the packet are known to be"),
    (XDP, "without a comparison", "ETH ~ r0 = *(u8 *)(r2 +0) ~ END", "DATA ~ r0 = *(u8 *)(r2 +0) ~ exit", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "the wrong way", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r4 <= r3 goto +1 ~ goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r4 <= r3 goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "through the compared pointer", "ETH ~ r0 = *(u8 *)(r4 -1) ~ END", "ETH ~ r0 = *(u8 *)(r4 +0) ~ END", "1 bytes at offset 14 through r4, where 14 bytes of the packet are known to be"),
    (XDP, "before the packet", "ETH ~ r0 = *(u8 *)(r2 +0) ~ END", "ETH ~ r0 = *(u8 *)(r2 -1) ~ END", "1 bytes at offset -1 through r2, where 14 bytes of the packet are known to be"),
    (XDP, "greater or equal", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r4 >= r3 goto out ~ r0 = *(u8 *)(r2 +14) ~ END", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r4 >= r3 goto out ~ r0 = *(u8 *)(r2 +15) ~ END", "1 bytes at offset 15 through r2, where 15 bytes of the packet are known to be"),
    (XDP, "less", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r4 < r3 goto +2 ~ r0 = 1 ~ exit ~ r0 = *(u8 *)(r2 +14) ~ exit", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r4 < r3 goto +2 ~ r0 = *(u8 *)(r2 +0) ~ exit ~ r0 = 1 ~ exit", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "the end on the left", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r3 < r4 goto out ~ r0 = *(u8 *)(r2 +13) ~ END", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r3 < r4 goto out ~ r0 = *(u8 *)(r2 +14) ~ END", "1 bytes at offset 14 through r2, where 14 bytes of the packet are known to be"),
    (XDP, "the end on the left, equal", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r3 <= r4 goto out ~ r0 = *(u8 *)(r2 +14) ~ END", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r3 >= r4 goto out ~ r0 = *(u8 *)(r2 +13) ~ END", "1 bytes at offset 13 through r2, which was not compared with the packet's end"),
    (XDP, "equality shows nothing", "ETH ~ r0 = *(u8 *)(r2 +0) ~ END", "DATA ~ r4 = r2 ~ r4 += 14 ~ if r4 != r3 goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "32-bit comparison", "ETH ~ r0 = *(u8 *)(r2 +0) ~ END", "DATA ~ r4 = r2 ~ r4 += 14 ~ if w4 > w3 goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "comparison of the first byte", "DATA ~ r4 = r2 ~ r4 += 1 ~ if r4 > r3 goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "DATA ~ if r2 >= r3 goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "comparison twice", "ETH ~ r5 = r2 ~ r5 += 34 ~ if r5 > r3 goto out ~ r0 = *(u32 *)(r2 +30) ~ END", "ETH ~ r5 = r2 ~ r5 += 34 ~ if r5 > r3 goto out ~ r0 = *(u32 *)(r2 +31) ~ END", "4 bytes at offset 31 through r2, where 34 bytes of the packet are known to be"),
    (XDP, "store", "ETH ~ *(u16 *)(r2 +12) = 8 ~ END", "ETH ~ *(u32 *)(r2 +12) = 8 ~ END", "4 bytes at offset 12 through r2, where 14 bytes of the packet are known to be"),
    (XDP, "atomic", "ETH ~ *(u32 *)(r2 +0) = r6 ~ END", "ETH ~ r5 = 1 ~ lock *(u32 *)(r2 +0) += r5 ~ END", "atomic operation on memory without them (pkt)"),
    (XDP, "the end is no memory", "ETH ~ r0 = *(u8 *)(r2 +0) ~ END", "ETH ~ r0 = *(u8 *)(r3 -1) ~ END", "memory access through r3, which is no pointer to memory (pkt_end)"),
    (XDP, "arithmetic on the end", "DATA ~ r3 -= r2 ~ r0 = r3 ~ exit", "DATA ~ r3 -= 1 ~ r0 = 0 ~ exit", "subtracting on r3, which is a pointer (pkt_end)"),
    (XDP, "length of the packet", "DATA ~ r3 -= r2 ~ r0 = 1 ~ if r3 > 60 goto +1 ~ r0 = 2 ~ exit", "DATA ~ r3 -= r2 ~ if r3 < 60 goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "variable offset", "ETH ~ r5 = *(u8 *)(r2 +0) ~ r5 &= 60 ~ r2 += r5 ~ r4 = r2 ~ r4 += 8 ~ if r4 > r3 goto out ~ r0 = *(u64 *)(r2 +0) ~ END", "ETH ~ r5 = *(u8 *)(r2 +0) ~ r5 &= 60 ~ r2 += r5 ~ r0 = *(u8 *)(r2 +0) ~ END", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "variable offset, of another pointer", "ETH ~ r5 = *(u8 *)(r2 +0) ~ r0 = r2 ~ r0 += r5 ~ r4 = r0 ~ r4 += 8 ~ if r4 > r3 goto out ~ r0 = *(u64 *)(r0 +0) ~ END", "ETH ~ r5 = *(u8 *)(r2 +0) ~ r0 = r2 ~ r0 += r5 ~ r4 = r2 ~ r4 += r5 ~ r4 += 8 ~ if r4 > r3 goto out ~ r0 = *(u64 *)(r0 +0) ~ END", "8 bytes at offset 0 through r0, which was not compared with the packet's end"),
    (XDP, "offset without a bound", "ETH ~ r5 = *(u16 *)(r2 +0) ~ r5 &= 0x7fff ~ r2 += r5 ~ r4 = r2 ~ r4 += 8 ~ if r4 > r3 goto out ~ r0 = *(u64 *)(r2 +0) ~ END", "ETH ~ r5 = *(u32 *)(r2 +0) ~ r5 &= 0xfffff ~ r2 += r5 ~ r4 = r2 ~ r4 += 8 ~ if r4 > r3 goto out ~ r0 = *(u64 *)(r2 +0) ~ END", "r2 may be further into the packet than 65535 bytes"),
    (XDP, "offset of a 64-bit number", "ETH ~ r5 = *(u8 *)(r2 +0) ~ r2 += r5 ~ END", "ETH ~ call bpf_ktime_get_ns ~ r1 = *(u32 *)(r6 +0) ~ r1 += r0 ~ END", "r1 may point anywhere after this"),
    (XDP, "negative offset", "ETH ~ r5 = *(u8 *)(r2 +0) ~ r2 += r5 ~ r4 = r2 ~ r4 += 8 ~ if r4 > r3 goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "ETH ~ r5 = *(s8 *)(r2 +0) ~ r2 += r5 ~ r4 = r2 ~ r4 += 8 ~ if r4 > r3 goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "an offset into the packet may be negative"),
    (XDP, "known to be behind", "DATA ~ r4 = r2 ~ r4 += 8 ~ if r4 > r3 goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "DATA ~ r4 = r2 ~ r4 += 8 ~ if r4 > r3 goto bad ~ r0 = 1 ~ exit ~ bad: ~ r0 = *(u8 *)(r4 +0) ~ exit", "memory access through r4, which is at the packet's end or behind"),
    (XDP, "a comparison that was made", "DATA ~ r4 = r2 ~ r4 += 8 ~ if r4 > r3 goto out ~ if r4 > r3 goto +0 ~ END", "DATA ~ r4 = r2 ~ r4 += 8 ~ if r4 <= r3 goto out ~ if r4 <= r3 goto +1 ~ r0 = *(u8 *)(r2 +0) ~ END", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "metadata", "r2 = *(u32 *)(r1 +8) ~ r3 = *(u32 *)(r1 +0) ~ r4 = r2 ~ r4 += 4 ~ if r4 > r3 goto out ~ r0 = *(u32 *)(r2 +0) ~ END", "r2 = *(u32 *)(r1 +8) ~ r3 = *(u32 *)(r1 +4) ~ r4 = r2 ~ r4 += 4 ~ if r4 > r3 goto out ~ r0 = *(u32 *)(r2 +0) ~ END", "4 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "metadata and a moved packet pointer", "r2 = *(u32 *)(r1 +8) ~ r3 = *(u32 *)(r1 +0) ~ r4 = r2 ~ r4 += 4 ~ if r3 < r4 goto out ~ r0 = *(u32 *)(r2 +0) ~ END", "r2 = *(u32 *)(r1 +8) ~ r3 = *(u32 *)(r1 +0) ~ r3 += 4 ~ r4 = r2 ~ r4 += 4 ~ if r4 > r3 goto out ~ r0 = *(u32 *)(r2 +0) ~ END", "4 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "the packet moves", "ETH ~ r1 = r6 ~ r2 = 4 ~ call bpf_xdp_adjust_head ~ r2 = *(u32 *)(r6 +0) ~ r3 = *(u32 *)(r6 +4) ~ r4 = r2 ~ r4 += 1 ~ if r4 > r3 goto out ~ r0 = *(u8 *)(r2 +0) ~ END", "ETH ~ r7 = r2 ~ r1 = r6 ~ r2 = 4 ~ call bpf_xdp_adjust_head ~ r0 = *(u8 *)(r7 +0) ~ END", "r7 is no pointer any more: insn 9 ended its life"),
    (XDP, "the packet moves, a spilled pointer", "ETH ~ *(u64 *)(r10 -8) = r2 ~ call bpf_ktime_get_ns ~ r2 = *(u64 *)(r10 -8) ~ r0 = *(u8 *)(r2 +0) ~ END", "ETH ~ *(u64 *)(r10 -8) = r2 ~ r1 = r6 ~ r2 = 4 ~ call bpf_xdp_adjust_tail ~ r2 = *(u64 *)(r10 -8) ~ r0 = *(u8 *)(r2 +0) ~ END", "r2 is no pointer any more: insn 9 ended its life"),
    (XDP, "the packet moves in a function", "ETH ~ r7 = r2 ~ r1 = r6 ~ call f ~ r0 = *(u8 *)(r7 +0) ~ END ~ f: ~ r0 = *(u32 *)(r1 +12) ~ exit", "ETH ~ r7 = r2 ~ r1 = r6 ~ call f ~ r0 = *(u8 *)(r7 +0) ~ END ~ f: ~ r2 = 0 ~ call bpf_xdp_adjust_meta ~ exit", "r7 is no pointer any more: insn 13 ended its life"),
    (XDP, "a tail call that failed leaves the packet", "ETH ~ r7 = r2 ~ r1 = r6 ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = *(u8 *)(r7 +0) ~ END", "ETH ~ r7 = r2 ~ r1 = r6 ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = *(u8 *)(r2 +0) ~ END", "r2 has no value here"),
    (XDP, "a packet's bytes as a key", "ETH ~ r1 = map[hash] ~ r2 += 6 ~ call bpf_map_lookup_elem ~ END", "ETH ~ r1 = map[hash] ~ r2 += 7 ~ call bpf_map_lookup_elem ~ END", "8 bytes at offset 7 through r2, where 14 bytes of the packet are known to be"),
    (XDP, "a packet's bytes for a helper that takes none", "ETH ~ r1 = r10 ~ r1 += -16 ~ r2 = 8 ~ call bpf_get_current_comm ~ END", "ETH ~ r1 = r2 ~ r2 = 8 ~ call bpf_get_current_comm ~ END", "bpf_get_current_comm does not take packet bytes, as in r1"),
    (XDP, "checksum of a header", "ETH ~ r1 = 0 ~ r5 = r2 ~ r2 = 0 ~ r3 = r5 ~ r4 = 12 ~ r5 = 0 ~ call bpf_csum_diff ~ END", "ETH ~ r1 = 0 ~ r5 = r2 ~ r2 = 0 ~ r3 = r5 ~ r4 = 16 ~ r5 = 0 ~ call bpf_csum_diff ~ END", "16 bytes at offset 0 through r3, where 14 bytes of the packet are known to be"),
    (XDP, "redirect by a map", "r1 = map[devices] ~ r2 = 0 ~ r3 = 0 ~ call bpf_redirect_map ~ exit", "r1 = map[hash] ~ r2 = 0 ~ r3 = 0 ~ call bpf_redirect_map ~ exit", "bpf_redirect_map does not work on map 0 of this kind"),
    (XDP, "redirect to a CPU", "r1 = map[cpus] ~ r2 = 0 ~ r3 = 0 ~ call bpf_redirect_map ~ exit", "*(u32 *)(r10 -4) = 0 ~ r1 = map[cpus] ~ r2 = r10 ~ r2 += -4 ~ call bpf_map_lookup_elem ~ r0 = 0 ~ exit", "bpf_map_lookup_elem does not work on map 4 of this kind"),
    (XDP, "entries of a device map", "*(u32 *)(r10 -4) = 0 ~ r1 = map[devices] ~ r2 = r10 ~ r2 += -4 ~ call bpf_map_lookup_elem ~ if r0 == 0 goto out ~ r0 = *(u32 *)(r0 +0) ~ END", "*(u32 *)(r10 -4) = 0 ~ r1 = map[devices] ~ r2 = r10 ~ r2 += -4 ~ call bpf_map_lookup_elem ~ if r0 == 0 goto out ~ *(u32 *)(r0 +0) = 1 ~ END", "writes to memory that may only be read"),
    (XDP, "longest prefix", "ETH ~ r5 = *(u32 *)(r2 +0) ~ *(u32 *)(r10 -8) = 32 ~ *(u32 *)(r10 -4) = r5 ~ r1 = map[routes] ~ r2 = r10 ~ r2 += -8 ~ call bpf_map_lookup_elem ~ if r0 == 0 goto out ~ r0 = *(u64 *)(r0 +0) ~ END", "ETH ~ r1 = map[routes] ~ r2 += 8 ~ call bpf_map_lookup_elem ~ END", "8 bytes at offset 8 through r2, where 14 bytes of the packet are known to be"),
    (XDP, "a queue", "*(u64 *)(r10 -8) = 1 ~ r1 = map[queue] ~ r2 = r10 ~ r2 += -8 ~ r3 = 0 ~ call bpf_map_push_elem ~ exit", "*(u64 *)(r10 -8) = 1 ~ r1 = map[queue] ~ r2 = r10 ~ r2 += -4 ~ call bpf_map_pop_elem ~ exit", "8 bytes at r10 -4 are not inside the stack of 512 bytes"),
    (XDP, "context, 32-bit fields", "r0 = *(u32 *)(r1 +12) ~ exit", "r0 = *(u16 *)(r1 +12) ~ exit", "reads 2 bytes at offset 12 of the context, which this program type does not have"),
    (XDP, "context, beyond", "r0 = *(u32 *)(r1 +16) ~ exit", "r0 = *(u32 *)(r1 +20) ~ exit", "reads 4 bytes at offset 20 of the context, which this program type does not have"),
    (XDP, "context, write", "r0 = *(u32 *)(r1 +12) ~ exit", "*(u32 *)(r1 +12) = 1 ~ r0 = 0 ~ exit", "writes 4 bytes at offset 12 of the context, which this program type does not have"),
    (XDP, "context, half a pointer", "r0 = *(u32 *)(r1 +0) ~ r0 = 0 ~ exit", "r0 = *(u64 *)(r1 +0) ~ r0 = 0 ~ exit", "reads 8 bytes at offset 0 of the context, which this program type does not have"),
    (XDP, "loads of old", "r0 = 0 ~ exit", "r6 = r1 ~ r0 = *(u8 *)skb[0] ~ exit", "loads from a packet, and this program type has none"),
    (XDP, "helper for traffic control", "r2 = 0 ~ r1 = 1 ~ call bpf_redirect ~ exit", "r2 = 0 ~ call bpf_skb_pull_data ~ exit", "bpf_skb_pull_data is not for programs of type Xdp"),
    (XDP, "bytes copied out", "r2 = 0 ~ r3 = r10 ~ r3 += -16 ~ r4 = 16 ~ call bpf_xdp_load_bytes ~ r0 = 2 ~ exit", "r2 = 0 ~ r3 = r10 ~ r3 += -16 ~ r4 = 17 ~ call bpf_xdp_load_bytes ~ r0 = 2 ~ exit", "17 bytes at r10 -16 are not inside the stack of 512 bytes"),
    (XDP, "loop over a packet", "DATA ~ r7 = 0 ~ r5 = 0 ~ loop: ~ r4 = r2 ~ r4 += 1 ~ if r4 > r3 goto out ~ r0 = *(u8 *)(r2 +0) ~ r7 += r0 ~ r2 += 1 ~ r5 += 1 ~ if r5 < 20 goto loop ~ END", "DATA ~ r7 = 0 ~ r5 = 0 ~ loop: ~ r0 = *(u8 *)(r2 +0) ~ r7 += r0 ~ r2 += 1 ~ r5 += 1 ~ if r5 < 20 goto loop ~ END", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (XDP, "r0 at exit", "r0 = 17 ~ exit", "r1 = 2 ~ exit", "r0 has no value here"),
    (TC, "a byte of the packet", "FRAME ~ r0 = *(u8 *)(r2 +13) ~ END", "FRAME ~ r0 = *(u8 *)(r2 +14) ~ END", "1 bytes at offset 14 through r2, where 14 bytes of the packet are known to be"),
    (TC, "store into the packet", "FRAME ~ *(u8 *)(r2 +0) = 1 ~ END", "SKB ~ *(u8 *)(r2 +0) = 1 ~ r0 = 0 ~ exit", "1 bytes at offset 0 through r2, which was not compared with the packet's end"),
    (TC, "the packet is made linear", "SKB ~ r1 = r6 ~ r2 = 64 ~ call bpf_skb_pull_data ~ r2 = *(u32 *)(r6 +76) ~ r3 = *(u32 *)(r6 +80) ~ r4 = r2 ~ r4 += 64 ~ if r4 > r3 goto out ~ r0 = *(u8 *)(r2 +63) ~ END", "FRAME ~ r7 = r2 ~ r1 = r6 ~ r2 = 64 ~ call bpf_skb_pull_data ~ r0 = *(u8 *)(r7 +0) ~ END", "r7 is no pointer any more: insn 9 ended its life"),
    (TC, "bytes written by a helper", "SKB ~ *(u64 *)(r10 -8) = 0 ~ r1 = r6 ~ r2 = 6 ~ r3 = r10 ~ r3 += -8 ~ r4 = 6 ~ r5 = 0 ~ call bpf_skb_store_bytes ~ r0 = 0 ~ exit", "FRAME ~ *(u64 *)(r10 -8) = 0 ~ r7 = r2 ~ r1 = r6 ~ r2 = 6 ~ r3 = r10 ~ r3 += -8 ~ r4 = 6 ~ r5 = 0 ~ call bpf_skb_store_bytes ~ r0 = *(u8 *)(r7 +0) ~ END", "r7 is no pointer any more: insn 14 ended its life"),
    (TC, "a mark", "*(u32 *)(r1 +8) = 7 ~ r0 = 0 ~ exit", "*(u32 *)(r1 +0) = 7 ~ r0 = 0 ~ exit", "writes 4 bytes at offset 0 of the context, which this program type does not have"),
    (TC, "part of a mark", "r0 = *(u8 *)(r1 +9) ~ exit", "*(u8 *)(r1 +9) = 7 ~ r0 = 0 ~ exit", "writes 1 bytes at offset 9 of the context, which this program type does not have"),
    (TC, "metadata", "r2 = *(u32 *)(r1 +140) ~ r3 = *(u32 *)(r1 +76) ~ r4 = r2 ~ r4 += 4 ~ if r4 > r3 goto out ~ r0 = *(u32 *)(r2 +0) ~ END", "r2 = *(u32 *)(r1 +140) ~ r3 = *(u32 *)(r1 +76) ~ r4 = r2 ~ r4 += 4 ~ if r4 > r3 goto out ~ r0 = *(u32 *)(r2 +4) ~ END", "4 bytes at offset 4 through r2, where 4 bytes of the packet are known to be"),
    (TC, "time stamp", "r0 = *(u64 *)(r1 +152) ~ r0 = 0 ~ exit", "r0 = *(u32 *)(r1 +152) ~ r0 = 0 ~ exit", "reads 4 bytes at offset 152 of the context, which this program type does not have"),
    (TC, "loads of old", "r6 = r1 ~ r0 = *(u16 *)skb[12] ~ exit", "r7 = r1 ~ r0 = *(u16 *)skb[12] ~ exit", "r6 has no value here"),
    (TC, "a packet's socket", "SOCK ~ r0 = *(u32 *)(r7 +4) ~ END", "r7 = *(u64 *)(r1 +168) ~ r0 = *(u32 *)(r7 +4) ~ exit", "memory access through r7, which may be 0 (sock_common_or_null)"),
    (TC, "fields of a socket of any state", "SOCK ~ r0 = *(u32 *)(r7 +72) ~ END", "SOCK ~ r0 = *(u32 *)(r7 +12) ~ END", "reads 4 bytes at offset 12 of a socket, which holds no such field"),
    (TC, "sockets are not written", "SOCK ~ r0 = *(u16 *)(r7 +48) ~ END", "SOCK ~ *(u32 *)(r7 +72) = 1 ~ END", "writes to memory that may only be read"),
    (TC, "arithmetic on a socket", "SOCK ~ r0 = r7 ~ END", "SOCK ~ r7 += 4 ~ END", "adding on r7, which is a pointer (sock_common)"),
    (TC, "full socket", "SOCK ~ r1 = r7 ~ call bpf_sk_fullsock ~ if r0 == 0 goto out ~ r0 = *(u32 *)(r0 +16) ~ END", "SOCK ~ r1 = r7 ~ call bpf_sk_fullsock ~ r0 = *(u32 *)(r0 +16) ~ END", "memory access through r0, which may be 0 (sock_or_null)"),
    (TC, "TCP state", "SOCK ~ r1 = r7 ~ call bpf_tcp_sock ~ if r0 == 0 goto out ~ r0 = *(u64 *)(r0 +80) ~ END", "SOCK ~ r1 = r7 ~ call bpf_tcp_sock ~ if r0 == 0 goto out ~ r0 = *(u64 *)(r0 +16) ~ END", "reads 8 bytes at offset 16 of a socket, which holds no such field"),
    (TC, "socket released", "FIND ~ r0 = *(u32 *)(r7 +44) ~ GIVE ~ END", "FIND ~ r0 = *(u32 *)(r7 +44) ~ END", "the socket found at insn 8 is not released"),
    (TC, "socket used after its release", "FIND ~ GIVE ~ END", "FIND ~ GIVE ~ r0 = *(u32 *)(r7 +44) ~ END", "r7 is no pointer any more: insn 12 ended its life"),
    (TC, "socket released twice", "FIND ~ GIVE ~ END", "FIND ~ GIVE ~ GIVE ~ END", "r1 is no pointer any more: insn 12 ended its life"),
    (TC, "release without a check", "FIND ~ GIVE ~ END", "*(u64 *)(r10 -16) = 0 ~ *(u32 *)(r10 -8) = 0 ~ r2 = r10 ~ r2 += -16 ~ r3 = 12 ~ r4 = -1 ~ r5 = 0 ~ call bpf_sk_lookup_tcp ~ r1 = r0 ~ call bpf_sk_release ~ r0 = 0 ~ exit", "bpf_sk_release wants a socket in r1, which holds sock_or_null"),
    (TC, "release of what was not taken", "FIND ~ GIVE ~ END", "SOCK ~ r1 = r7 ~ call bpf_sk_release ~ END", "r1 is given back and was not taken"),
    (TC, "TCP state ends with its socket", "FIND ~ r1 = r7 ~ call bpf_tcp_sock ~ if r0 == 0 goto +1 ~ r8 = *(u32 *)(r0 +0) ~ GIVE ~ END", "FIND ~ r1 = r7 ~ call bpf_tcp_sock ~ r8 = r0 ~ GIVE ~ if r8 == 0 goto out ~ r0 = *(u32 *)(r8 +0) ~ END", "r8 is no pointer any more: insn 15 ended its life"),
    (XDP, "tail call with a socket", "FIND ~ GIVE ~ r1 = r6 ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ END", "FIND ~ r1 = r6 ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ GIVE ~ END", "the socket found at insn 8 is not released"),
    (XDP, "socket lookup", "FIND ~ GIVE ~ END", "FIND ~ END", "the socket found at insn 8 is not released"),
    (XDP, "tuple in the packet", "ETH ~ r4 += 10 ~ if r4 > r3 goto out ~ r1 = r6 ~ r3 = 12 ~ r4 = -1 ~ r5 = 0 ~ call bpf_skc_lookup_tcp ~ if r0 == 0 goto out ~ r1 = r0 ~ call bpf_sk_release ~ END", "ETH ~ r1 = r6 ~ r2 += 4 ~ r3 = 12 ~ r4 = -1 ~ r5 = 0 ~ call bpf_skc_lookup_tcp ~ if r0 == 0 goto out ~ r1 = r0 ~ call bpf_sk_release ~ END", "12 bytes at offset 4 through r2, where 14 bytes of the packet are known to be"),
    (FILTER, "loads of old", "r6 = r1 ~ r7 = 3 ~ r0 = *(u8 *)skb[r7 + 1] ~ exit", "r6 = 5 ~ r0 = *(u8 *)skb[0] ~ exit", "memory access through r6, which is no pointer to memory (scalar)"),
    (FILTER, "no packet pointers", "r0 = *(u32 *)(r1 +0) ~ exit", "r0 = *(u32 *)(r1 +76) ~ r0 = 0 ~ exit", "reads 4 bytes at offset 76 of the context, which this program type does not have"),
    (FILTER, "control block", "*(u64 *)(r1 +48) = 1 ~ r0 = *(u8 *)(r1 +67) ~ exit", "*(u64 *)(r1 +64) = 1 ~ r0 = 0 ~ exit", "writes 8 bytes at offset 64 of the context, which this program type does not have"),
    (FILTER, "bytes copied out", "r2 = 0 ~ r3 = r10 ~ r3 += -4 ~ r4 = 4 ~ call bpf_skb_load_bytes ~ r0 = *(u32 *)(r10 -4) ~ exit", "r2 = 0 ~ r3 = r10 ~ r3 += -4 ~ r4 = 5 ~ call bpf_skb_load_bytes ~ r0 = 0 ~ exit", "5 bytes at r10 -4 are not inside the stack of 512 bytes"),
];

pub(crate) const MAPS: [&str; 8] = [
    "hash", "array", "progs", "devices", "cpus", "routes", "queue", "ring",
];

pub(crate) fn specs() -> Vec<MapSpec> {
    let mut maps = vec![
        MapSpec::new("hash", MapKind::Hash, 8, 64, 16),
        MapSpec::new("array", MapKind::Array, 4, 64, 1),
        MapSpec::new("progs", MapKind::ProgArray, 4, 4, 4),
        MapSpec::new("devices", MapKind::Devmap, 4, 4, 4),
        MapSpec::new("cpus", MapKind::Cpumap, 4, 4, 2),
        MapSpec::new("routes", MapKind::LpmTrie, 8, 8, 16),
        MapSpec::new("queue", MapKind::Queue, 0, 8, 16),
        MapSpec::new("ring", MapKind::Ringbuf, 0, 0, 4096),
    ];
    // BPF_F_NO_PREALLOC: a trie cannot be made otherwise.
    maps[5].flags = 1;
    maps
}

/// The programs of the table, the good and the bad.
pub(crate) fn programs() -> Vec<(ProgType, Vec<Insn>)> {
    let insns = |text| table::insns(&table::expand(text, WORDS), &MAPS);
    let both = |row: &Row| [(row.0, insns(row.2)), (row.0, insns(row.3))];
    ROWS.iter().flat_map(both).collect()
}

/// Compares what the checker and the kernel say to both programs of each row.
pub(crate) fn compare(rows: &[Row], words: &[(&str, &str)]) {
    let maps = specs();
    let judge = Judge::new(&maps);
    let mut wrong = Vec::new();
    for &(kind, rule, good, bad, message) in rows {
        let mut env = Env::new(kind, &maps);
        env.kfunc = kfuncs::by_id;
        let insns = |text| table::insns(&table::expand(text, words), &MAPS);
        let (good, bad) = (insns(good), insns(bad));
        if let Err(e) = program(&good, &env) {
            wrong.push(format!("{kind:?} {rule}: refused: {e}"));
        }
        match program(&bad, &env) {
            Ok(_) => wrong.push(format!("{kind:?} {rule}: takes the wrong one")),
            Err(e) if e.what.to_string() == message => {}
            Err(e) => wrong.push(format!("{kind:?} {rule}: says `{}`", e.what)),
        }
        let Some(judge) = &judge else {
            continue;
        };
        if let Err(e) = judge.verdict(&good, kind, env.sleepable, true) {
            wrong.push(format!("{kind:?} {rule}: the kernel refuses: {e}"));
        }
        if judge.verdict(&bad, kind, env.sleepable, true).is_ok() {
            wrong.push(format!("{kind:?} {rule}: the kernel takes the wrong one"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rule_of_packets_takes_one_program_and_refuses_another() {
    compare(ROWS, WORDS);
}

/// The kernel takes a tail call in a function only with BTF, which the judge does not give.
#[test]
fn a_tail_call_in_a_function_may_move_the_packet() {
    let text = "ETH ~ r7 = r2 ~ r1 = r6 ~ call f ~ r0 = *(u8 *)(r7 +0) ~ END ~ f: ~ r2 = map[progs] ~ r3 = 0 ~ \
                call bpf_tail_call ~ r0 = 0 ~ exit";
    let insns = table::insns(&table::expand(text, WORDS), &MAPS);
    let maps = specs();
    let refused = program(&insns, &Env::new(XDP, &maps)).unwrap_err();
    assert_eq!(
        refused.what.to_string(),
        "r7 is no pointer any more: insn 14 ended its life"
    );
}
