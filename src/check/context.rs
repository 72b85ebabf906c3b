//! The context of each program type: which bytes may be read and written.

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

/// A field of `struct __sk_buff` as socket filters see it: offset, bytes, narrow loads, stores.
struct Field(i64, i64, bool, bool);

/// Socket filters see `__sk_buff` without the fields for traffic control (`net/core/filter.c:
/// sk_filter_is_valid_access`).
const SKB: &[Field] = &[
    Field(0, 48, true, false),    // len to ingress_ifindex, ifindex, tc_index
    Field(48, 20, true, true),    // cb
    Field(68, 4, true, false),    // hash
    Field(88, 20, false, false),  // napi_id is narrow, the others below
    Field(108, 32, false, false), // addresses: whole words
];

/// Whether the context holds these bytes for that kind of access.
pub(super) fn allowed(kind: ProgType, off: i64, size: u32, write: bool) -> bool {
    let size = i64::from(size);
    if off < 0 || off % size != 0 {
        return false;
    }
    let end = off + size;
    match kind {
        ProgType::Kprobe => !write && end <= REGS,
        ProgType::Tracepoint => !write && off >= 8 && end <= TRACE,
        ProgType::RawTracepoint => !write && end <= RAW_ARGS,
        ProgType::PerfEvent => {
            let tail = (REGS..REGS + 16).contains(&off) && end <= REGS + 16;
            !write && (tail || size == 8 && end <= REGS)
        }
        ProgType::Syscall => end <= BLOCK,
        ProgType::SocketFilter => skb(off, size, write),
        ProgType::SchedCls | ProgType::Xdp => false,
    }
}

fn skb(off: i64, size: i64, write: bool) -> bool {
    // Fields of eight bytes and the newer ones are left to the kernel's judgement: refused here.
    if off >= 88 {
        return false;
    }
    SKB.iter().any(|Field(from, len, narrow, stores)| {
        let inside = off >= *from && off + size <= from + len;
        let wide = size == 8 && !(48..68).contains(&off);
        inside && !wide && (*narrow && !write || write && *stores && size >= 4)
    })
}
