//! The kernel's helper functions: number, name, signature, first version (`include/uapi/linux/bpf.h`).
//!
//! Numbers and names are those of `___BPF_FUNC_MAPPER`, whose order never changes; signatures those of each
//! `struct bpf_func_proto` (`kernel/bpf/helpers.c`, `kernel/trace/bpf_trace.c`, `net/core/filter.c`). Licence and
//! program types were asked of a 6.18 kernel's verifier, one load for each pair.

use super::table::Since;

/// What the verifier wants in an argument register (`enum bpf_arg_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arg {
    /// Any initialized value (`ARG_ANYTHING`).
    Any,
    /// The program's context.
    Ctx,
    /// The context, or a constant 0.
    CtxOrNull,
    /// A map, as loaded by a wide immediate.
    Map,
    /// Readable memory of the map's key size.
    MapKey,
    /// Readable memory of the map's value size.
    MapValue,
    /// As `MapValue`, or a constant 0.
    MapValueOrNull,
    /// Memory of the map's value size that the helper fills.
    MapValueOut,
    /// Readable memory as long as the next argument says.
    Mem,
    /// As `Mem`, or a constant 0.
    MemOrNull,
    /// Memory as long as the next argument says, which the helper fills.
    Out,
    /// Readable memory of that many bytes.
    FixedMem(u32),
    /// Memory of that many bytes that the helper fills.
    FixedOut(u32),
    /// The length of the argument before, bounded and at least 1.
    Size,
    /// The length of the argument before, bounded; 0 is allowed.
    SizeOrZero,
    /// A length known when the program is loaded.
    ConstSize,
    /// A record from `bpf_ringbuf_reserve`; the call ends its life.
    Record,
    /// A function of this program, as loaded by a wide immediate.
    Func,
    /// A pointer into the stack, or a constant 0.
    StackOrNull,
    /// A NUL-terminated string in a read-only map.
    ConstStr,
    /// A pointer to a kernel structure of that name.
    Btf(&'static str),
    /// A socket.
    Sock,
    /// A socket, or a constant 0.
    SockOrNull,
    /// A `struct bpf_timer` inside a map value.
    Timer,
    /// A `struct bpf_spin_lock` inside a map value.
    SpinLock,
    /// A number (kernel functions, which take pointers for nothing else).
    Number,
    /// A kernel structure of that name that the program took; the call ends its life.
    Given(&'static str),
    /// Room on the stack for a count that the function begins.
    IterNew,
    /// A count on the stack.
    Iter,
    /// A dynamic pointer on the stack.
    Dynptr,
    /// Room on the stack for a dynamic pointer that the helper makes.
    DynptrOut,
    /// A per-CPU variable.
    Percpu,
    /// A kernel pointer's place inside a map value.
    Kptr,
    /// A kernel pointer, or a constant 0; the call ends its life.
    KptrValue,
}

/// What r0 holds afterwards (`enum bpf_return_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// A number.
    Int,
    /// Nothing that may be used.
    Void,
    /// A pointer into a map value.
    MapValue,
    /// A pointer to a map value, or 0: compare it with 0 before use.
    MapValueOrNull,
    /// A ring buffer record as long as the size argument, or 0.
    RecordOrNull,
    /// Memory behind a dynamic pointer, or 0.
    DynptrMemOrNull,
    /// As `DynptrMemOrNull`, to be read alone.
    SliceOrNull,
    /// That many bytes of a count's next number, or 0 at its end.
    NextOrNull(u32),
    /// A kernel structure of that name.
    Btf(&'static str),
    /// A kernel structure of that name, or 0.
    BtfOrNull(&'static str),
    /// A socket, or 0.
    SockOrNull,
    /// A variable of one CPU.
    Percpu,
    /// A variable of one CPU, or 0.
    PercpuOrNull,
    /// A kernel pointer, or 0.
    KptrOrNull,
}

/// Program types that the table speaks of (`enum bpf_prog_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the variants are the kernel's own names")]
pub enum ProgType {
    SocketFilter = 0,
    Kprobe = 1,
    SchedCls = 2,
    Tracepoint = 3,
    Xdp = 4,
    PerfEvent = 5,
    RawTracepoint = 6,
    Syscall = 7,
}

/// A helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Helper {
    /// Its number: the `imm` of a call.
    pub id: u32,
    /// Its name, with `bpf_`.
    pub name: &'static str,
    /// Arguments in r1, r2 and so on.
    pub args: &'static [Arg],
    /// What r0 holds afterwards.
    pub ret: Ret,
    /// First kernel.
    pub since: Since,
    /// Whether only programs under a GPL-compatible licence may call it (kernel 6.18).
    pub gpl_only: bool,
    /// What it does, in a line.
    pub does: &'static str,
    progs: u8,
}

impl Helper {
    /// Whether programs of that type may call it on kernel 6.18, a program with all capabilities.
    pub const fn allowed_in(&self, prog: ProgType) -> bool {
        self.progs & (1 << prog as u8) != 0
    }

    /// Whether it may move the packet or change its size, so that pointers into it must be loaded and compared again
    /// (`net/core/filter.c: bpf_helper_changes_pkt_data`).
    pub fn moves_packet(&self) -> bool {
        matches!(
            self.name,
            "bpf_clone_redirect"
                | "bpf_l3_csum_replace"
                | "bpf_l4_csum_replace"
                | "bpf_lwt_push_encap"
                | "bpf_lwt_seg6_action"
                | "bpf_lwt_seg6_adjust_srh"
                | "bpf_lwt_seg6_store_bytes"
                | "bpf_msg_pop_data"
                | "bpf_msg_pull_data"
                | "bpf_msg_push_data"
                | "bpf_skb_adjust_room"
                | "bpf_skb_change_head"
                | "bpf_skb_change_proto"
                | "bpf_skb_change_tail"
                | "bpf_skb_pull_data"
                | "bpf_skb_store_bytes"
                | "bpf_skb_vlan_pop"
                | "bpf_skb_vlan_push"
                | "bpf_store_hdr_opt"
                | "bpf_xdp_adjust_head"
                | "bpf_xdp_adjust_meta"
                | "bpf_xdp_adjust_tail"
        )
    }

    /// Whether its memory arguments may point into a packet (`pkt_access` of `struct bpf_func_proto`).
    pub fn takes_packet(&self) -> bool {
        matches!(
            self.name,
            "bpf_map_lookup_elem"
                | "bpf_map_update_elem"
                | "bpf_map_delete_elem"
                | "bpf_map_push_elem"
                | "bpf_map_lookup_percpu_elem"
                | "bpf_csum_diff"
                | "bpf_sk_lookup_tcp"
                | "bpf_sk_lookup_udp"
                | "bpf_skc_lookup_tcp"
                | "bpf_tcp_check_syncookie"
                | "bpf_tcp_gen_syncookie"
                | "bpf_tcp_raw_gen_syncookie_ipv4"
                | "bpf_tcp_raw_gen_syncookie_ipv6"
                | "bpf_tcp_raw_check_syncookie_ipv4"
                | "bpf_tcp_raw_check_syncookie_ipv6"
        )
    }

    /// Whether it may fault pages in, so that only sleepable programs may call it.
    pub fn may_sleep(&self) -> bool {
        matches!(
            self.name,
            "bpf_copy_from_user"
                | "bpf_copy_from_user_task"
                | "bpf_ima_inode_hash"
                | "bpf_ima_file_hash"
                | "bpf_sys_bpf"
        )
    }
}

/// The helper with that number.
pub fn by_id(id: u32) -> Option<&'static Helper> {
    let at = usize::try_from(id).ok()?.checked_sub(1)?;
    HELPERS.get(at)
}

/// The helper of that name, with or without `bpf_`.
pub fn by_name(name: &str) -> Option<&'static Helper> {
    let short = name.strip_prefix("bpf_").unwrap_or(name);
    HELPERS.iter().find(|h| h.name.get(4..) == Some(short))
}

const GPL: bool = true;
const FREE: bool = false;

#[expect(clippy::too_many_arguments, reason = "a row of the table")]
const fn row(
    id: u32,
    name: &'static str,
    args: &'static [Arg],
    ret: Ret,
    since: (u8, u8),
    gpl_only: bool,
    progs: u8,
    does: &'static str,
) -> Helper {
    Helper {
        id,
        name,
        args,
        ret,
        since: Since(since.0, since.1),
        gpl_only,
        does,
        progs,
    }
}

/// All helpers, by number. The program types are bits of [`ProgType`].
#[rustfmt::skip]
pub const HELPERS: &[Helper] = &[
    row(1, "bpf_map_lookup_elem", &[Arg::Map, Arg::MapKey], Ret::MapValueOrNull, (3, 19), FREE, 0b11111111, "finds the value of a key in a map"),
    row(2, "bpf_map_update_elem", &[Arg::Map, Arg::MapKey, Arg::MapValue, Arg::Any], Ret::Int, (3, 19), FREE, 0b11111111, "stores a value under a key in a map"),
    row(3, "bpf_map_delete_elem", &[Arg::Map, Arg::MapKey], Ret::Int, (3, 19), FREE, 0b11111111, "removes a key from a map"),
    row(4, "bpf_probe_read", &[Arg::Out, Arg::SizeOrZero, Arg::Any], Ret::Int, (4, 1), GPL, 0b11101010, "copies memory of any kind, kernel or user by address; the typed forms are to be preferred"),
    row(5, "bpf_ktime_get_ns", &[], Ret::Int, (4, 1), FREE, 0b11111111, "nanoseconds since boot, without time spent suspended"),
    row(6, "bpf_trace_printk", &[Arg::Mem, Arg::Size], Ret::Int, (4, 1), GPL, 0b11111111, "formats a line into /sys/kernel/tracing/trace_pipe, with up to three arguments"),
    row(7, "bpf_get_prandom_u32", &[], Ret::Int, (4, 1), FREE, 0b11111111, "a pseudo-random 32-bit number"),
    row(8, "bpf_get_smp_processor_id", &[], Ret::Int, (4, 1), FREE, 0b11111111, "the number of the CPU it runs on"),
    row(9, "bpf_skb_store_bytes", &[Arg::Ctx, Arg::Any, Arg::Mem, Arg::Size, Arg::Any], Ret::Int, (4, 1), FREE, 0b00000100, "writes bytes into a packet"),
    row(10, "bpf_l3_csum_replace", &[Arg::Ctx, Arg::Any, Arg::Any, Arg::Any, Arg::Any], Ret::Int, (4, 1), FREE, 0b00000100, "updates the network-layer checksum of a packet"),
    row(11, "bpf_l4_csum_replace", &[Arg::Ctx, Arg::Any, Arg::Any, Arg::Any, Arg::Any], Ret::Int, (4, 1), FREE, 0b00000100, "updates the transport-layer checksum of a packet"),
    row(12, "bpf_tail_call", &[Arg::Ctx, Arg::Map, Arg::Any], Ret::Void, (4, 2), FREE, 0b11111111, "goes over to another program of a program array and does not return; falls through if there is none"),
    row(13, "bpf_clone_redirect", &[Arg::Ctx, Arg::Any, Arg::Any], Ret::Int, (4, 2), FREE, 0b00000100, "sends a copy of a packet to another device"),
    row(14, "bpf_get_current_pid_tgid", &[], Ret::Int, (4, 2), FREE, 0b11111111, "thread group id (what user space calls pid) in the upper half, thread id in the lower"),
    row(15, "bpf_get_current_uid_gid", &[], Ret::Int, (4, 2), FREE, 0b11111111, "group id in the upper half, user id in the lower"),
    row(16, "bpf_get_current_comm", &[Arg::Out, Arg::Size], Ret::Int, (4, 2), FREE, 0b11111111, "copies the name of the current thread, NUL-terminated"),
    row(17, "bpf_get_cgroup_classid", &[Arg::Ctx], Ret::Int, (4, 3), FREE, 0b11111111, "the net_cls class of the current task's cgroup"),
    row(18, "bpf_skb_vlan_push", &[Arg::Ctx, Arg::Any, Arg::Any], Ret::Int, (4, 3), FREE, 0b00000100, "pushes a VLAN tag"),
    row(19, "bpf_skb_vlan_pop", &[Arg::Ctx], Ret::Int, (4, 3), FREE, 0b00000100, "pops a VLAN tag"),
    row(20, "bpf_skb_get_tunnel_key", &[Arg::Ctx, Arg::Out, Arg::Size, Arg::Any], Ret::Int, (4, 3), FREE, 0b00000100, "reads the tunnel metadata of a packet"),
    row(21, "bpf_skb_set_tunnel_key", &[Arg::Ctx, Arg::Mem, Arg::Size, Arg::Any], Ret::Int, (4, 3), FREE, 0b00000100, "sets the tunnel metadata of a packet"),
    row(22, "bpf_perf_event_read", &[Arg::Map, Arg::Any], Ret::Int, (4, 3), GPL, 0b11111111, "reads a hardware counter of a perf event array"),
    row(23, "bpf_redirect", &[Arg::Any, Arg::Any], Ret::Int, (4, 4), FREE, 0b00010100, "sends a packet to another device"),
    row(24, "bpf_get_route_realm", &[Arg::Ctx], Ret::Int, (4, 4), FREE, 0b00000100, "the realm of the route a packet takes"),
    row(25, "bpf_perf_event_output", &[Arg::Ctx, Arg::Map, Arg::Any, Arg::Mem, Arg::SizeOrZero], Ret::Int, (4, 4), GPL, 0b11111111, "appends a record to the perf ring of a perf event array"),
    row(26, "bpf_skb_load_bytes", &[Arg::Ctx, Arg::Any, Arg::Out, Arg::Size], Ret::Int, (4, 5), FREE, 0b00000101, "copies bytes out of a packet"),
    row(27, "bpf_get_stackid", &[Arg::Ctx, Arg::Map, Arg::Any], Ret::Int, (4, 6), GPL, 0b11101010, "walks the stack and gives the id under which a stack map keeps it"),
    row(28, "bpf_csum_diff", &[Arg::MemOrNull, Arg::SizeOrZero, Arg::MemOrNull, Arg::SizeOrZero, Arg::Any], Ret::Int, (4, 6), FREE, 0b00010100, "computes a checksum difference"),
    row(29, "bpf_skb_get_tunnel_opt", &[Arg::Ctx, Arg::Out, Arg::Size], Ret::Int, (4, 6), FREE, 0b00000100, "reads the tunnel options of a packet"),
    row(30, "bpf_skb_set_tunnel_opt", &[Arg::Ctx, Arg::Mem, Arg::Size], Ret::Int, (4, 6), FREE, 0b00000100, "sets the tunnel options of a packet"),
    row(31, "bpf_skb_change_proto", &[Arg::Ctx, Arg::Any, Arg::Any], Ret::Int, (4, 8), FREE, 0b00000100, "changes a packet between IPv4 and IPv6"),
    row(32, "bpf_skb_change_type", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 8), FREE, 0b00000100, "changes the packet type"),
    row(33, "bpf_skb_under_cgroup", &[Arg::Ctx, Arg::Map, Arg::Any], Ret::Int, (4, 8), FREE, 0b00000100, "tests whether a packet's socket is in a cgroup"),
    row(34, "bpf_get_hash_recalc", &[Arg::Ctx], Ret::Int, (4, 8), FREE, 0b00000100, "the flow hash of a packet, computed if need be"),
    row(35, "bpf_get_current_task", &[], Ret::Int, (4, 8), GPL, 0b11111111, "the address of the current task_struct, as a number"),
    row(36, "bpf_probe_write_user", &[Arg::Any, Arg::Mem, Arg::Size], Ret::Int, (4, 8), GPL, 0b01101010, "writes to the memory of the current process; refused under lockdown"),
    row(37, "bpf_current_task_under_cgroup", &[Arg::Map, Arg::Any], Ret::Int, (4, 9), FREE, 0b11111111, "tests whether the current task is in a cgroup of an array"),
    row(38, "bpf_skb_change_tail", &[Arg::Ctx, Arg::Any, Arg::Any], Ret::Int, (4, 9), FREE, 0b00000100, "resizes a packet at its end"),
    row(39, "bpf_skb_pull_data", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 9), FREE, 0b00000100, "makes packet bytes linear so that they can be accessed directly"),
    row(40, "bpf_csum_update", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 9), FREE, 0b00000100, "adds to a packet's checksum"),
    row(41, "bpf_set_hash_invalid", &[Arg::Ctx], Ret::Void, (4, 9), FREE, 0b00000100, "marks a packet's flow hash as stale"),
    row(42, "bpf_get_numa_node_id", &[], Ret::Int, (4, 10), FREE, 0b11111111, "the NUMA node it runs on"),
    row(43, "bpf_skb_change_head", &[Arg::Ctx, Arg::Any, Arg::Any], Ret::Int, (4, 10), FREE, 0b00000100, "grows a packet at its front"),
    row(44, "bpf_xdp_adjust_head", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 10), FREE, 0b00010000, "moves the start of a packet"),
    row(45, "bpf_probe_read_str", &[Arg::Out, Arg::SizeOrZero, Arg::Any], Ret::Int, (4, 11), GPL, 0b11101010, "copies a NUL-terminated string from any memory by address"),
    row(46, "bpf_get_socket_cookie", &[Arg::Ctx], Ret::Int, (4, 12), FREE, 0b10000101, "a number that identifies a socket"),
    row(47, "bpf_get_socket_uid", &[Arg::Ctx], Ret::Int, (4, 12), FREE, 0b00000101, "the owner of a packet's socket"),
    row(48, "bpf_set_hash", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 13), FREE, 0b00000100, "sets a packet's flow hash"),
    row(49, "bpf_setsockopt", &[Arg::Ctx, Arg::Any, Arg::Any, Arg::Mem, Arg::Size], Ret::Int, (4, 13), FREE, 0b00000000, "sets a socket option"),
    row(50, "bpf_skb_adjust_room", &[Arg::Ctx, Arg::Any, Arg::Any, Arg::Any], Ret::Int, (4, 13), FREE, 0b00000100, "grows or shrinks the room between headers"),
    row(51, "bpf_redirect_map", &[Arg::Map, Arg::Any, Arg::Any], Ret::Int, (4, 14), FREE, 0b00010000, "sends a packet to the target under a key of a device, CPU or socket map"),
    row(52, "bpf_sk_redirect_map", &[Arg::Ctx, Arg::Map, Arg::Any, Arg::Any], Ret::Int, (4, 14), FREE, 0b00000000, "sends a packet to a socket of a map"),
    row(53, "bpf_sock_map_update", &[Arg::Ctx, Arg::Map, Arg::MapKey, Arg::Any], Ret::Int, (4, 14), FREE, 0b00000000, "puts a socket into a map"),
    row(54, "bpf_xdp_adjust_meta", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 15), FREE, 0b00010000, "moves the start of a packet's metadata"),
    row(55, "bpf_perf_event_read_value", &[Arg::Map, Arg::Any, Arg::Out, Arg::Size], Ret::Int, (4, 15), GPL, 0b11111111, "reads a hardware counter with its enabled and running times"),
    row(56, "bpf_perf_prog_read_value", &[Arg::Ctx, Arg::Out, Arg::Size], Ret::Int, (4, 15), GPL, 0b00100000, "reads the counter of the event the program is attached to"),
    row(57, "bpf_getsockopt", &[Arg::Ctx, Arg::Any, Arg::Any, Arg::Out, Arg::Size], Ret::Int, (4, 15), FREE, 0b00000000, "reads a socket option"),
    row(58, "bpf_override_return", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 16), GPL, 0b00000010, "makes the probed kernel function return a value at once"),
    row(59, "bpf_sock_ops_cb_flags_set", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 16), FREE, 0b00000000, "selects the callbacks of a socket program"),
    row(60, "bpf_msg_redirect_map", &[Arg::Ctx, Arg::Map, Arg::Any, Arg::Any], Ret::Int, (4, 17), FREE, 0b00000000, "sends a message to a socket of a map"),
    row(61, "bpf_msg_apply_bytes", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 17), FREE, 0b00000000, "applies the verdict to that many bytes"),
    row(62, "bpf_msg_cork_bytes", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 17), FREE, 0b00000000, "waits for that many bytes before the next verdict"),
    row(63, "bpf_msg_pull_data", &[Arg::Ctx, Arg::Any, Arg::Any, Arg::Any], Ret::Int, (4, 17), FREE, 0b00000000, "makes message bytes linear"),
    row(64, "bpf_bind", &[Arg::Ctx, Arg::Mem, Arg::Size], Ret::Int, (4, 17), FREE, 0b00000000, "binds a socket to an address"),
    row(65, "bpf_xdp_adjust_tail", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 18), FREE, 0b00010000, "moves the end of a packet"),
    row(66, "bpf_skb_get_xfrm_state", &[Arg::Ctx, Arg::Any, Arg::Out, Arg::Size, Arg::Any], Ret::Int, (4, 18), FREE, 0b00000100, "reads the IPsec state of a packet"),
    row(67, "bpf_get_stack", &[Arg::Ctx, Arg::Out, Arg::SizeOrZero, Arg::Any], Ret::Int, (4, 18), GPL, 0b11101010, "walks the stack into a buffer"),
    row(68, "bpf_skb_load_bytes_relative", &[Arg::Ctx, Arg::Any, Arg::Out, Arg::Size, Arg::Any], Ret::Int, (4, 18), FREE, 0b00000101, "copies bytes out of a packet, counted from a header"),
    row(69, "bpf_fib_lookup", &[Arg::Ctx, Arg::Mem, Arg::Size, Arg::Any], Ret::Int, (4, 18), GPL, 0b00010100, "looks up a route"),
    row(70, "bpf_sock_hash_update", &[Arg::Ctx, Arg::Map, Arg::MapKey, Arg::Any], Ret::Int, (4, 18), FREE, 0b00000000, "puts a socket into a hash"),
    row(71, "bpf_msg_redirect_hash", &[Arg::Ctx, Arg::Map, Arg::MapKey, Arg::Any], Ret::Int, (4, 18), FREE, 0b00000000, "sends a message to a socket of a hash"),
    row(72, "bpf_sk_redirect_hash", &[Arg::Ctx, Arg::Map, Arg::MapKey, Arg::Any], Ret::Int, (4, 18), FREE, 0b00000000, "sends a packet to a socket of a hash"),
    row(73, "bpf_lwt_push_encap", &[Arg::Ctx, Arg::Any, Arg::Mem, Arg::Size], Ret::Int, (4, 18), FREE, 0b00000000, "puts an outer header before a packet"),
    row(74, "bpf_lwt_seg6_store_bytes", &[Arg::Ctx, Arg::Any, Arg::Mem, Arg::Size], Ret::Int, (4, 18), FREE, 0b00000000, "writes into a segment routing header"),
    row(75, "bpf_lwt_seg6_adjust_srh", &[Arg::Ctx, Arg::Any, Arg::Any], Ret::Int, (4, 18), FREE, 0b00000000, "resizes a segment routing header"),
    row(76, "bpf_lwt_seg6_action", &[Arg::Ctx, Arg::Any, Arg::Mem, Arg::Size], Ret::Int, (4, 18), FREE, 0b00000000, "applies a segment routing action"),
    row(77, "bpf_rc_repeat", &[Arg::Ctx], Ret::Int, (4, 18), GPL, 0b00000000, "reports a repeated infrared key"),
    row(78, "bpf_rc_keydown", &[Arg::Ctx, Arg::Any, Arg::Any, Arg::Any], Ret::Int, (4, 18), GPL, 0b00000000, "reports an infrared key"),
    row(79, "bpf_skb_cgroup_id", &[Arg::Ctx], Ret::Int, (4, 18), FREE, 0b00000100, "the cgroup id of a packet's socket"),
    row(80, "bpf_get_current_cgroup_id", &[], Ret::Int, (4, 18), FREE, 0b11111111, "the id of the current task's cgroup (v2)"),
    row(81, "bpf_get_local_storage", &[Arg::Map, Arg::Any], Ret::MapValue, (4, 19), FREE, 0b00000000, "the program's storage of the current cgroup"),
    row(82, "bpf_sk_select_reuseport", &[Arg::Ctx, Arg::Map, Arg::MapKey, Arg::Any], Ret::Int, (4, 19), FREE, 0b00000000, "selects a socket of a reuseport group"),
    row(83, "bpf_skb_ancestor_cgroup_id", &[Arg::Ctx, Arg::Any], Ret::Int, (4, 19), FREE, 0b00000100, "the id of an ancestor of the cgroup of a packet's socket"),
    row(84, "bpf_sk_lookup_tcp", &[Arg::Ctx, Arg::Mem, Arg::Size, Arg::Any, Arg::Any], Ret::SockOrNull, (4, 20), FREE, 0b00010100, "finds a TCP socket; to be given back with sk_release"),
    row(85, "bpf_sk_lookup_udp", &[Arg::Ctx, Arg::Mem, Arg::Size, Arg::Any, Arg::Any], Ret::SockOrNull, (4, 20), FREE, 0b00010100, "finds a UDP socket; to be given back with sk_release"),
    row(86, "bpf_sk_release", &[Arg::Sock], Ret::Int, (4, 20), FREE, 0b00010100, "gives back a socket"),
    row(87, "bpf_map_push_elem", &[Arg::Map, Arg::MapValue, Arg::Any], Ret::Int, (4, 20), FREE, 0b11111111, "appends to a queue, stack or bloom filter"),
    row(88, "bpf_map_pop_elem", &[Arg::Map, Arg::MapValueOut], Ret::Int, (4, 20), FREE, 0b11111111, "takes the next element of a queue or stack"),
    row(89, "bpf_map_peek_elem", &[Arg::Map, Arg::MapValueOut], Ret::Int, (4, 20), FREE, 0b11111111, "reads the next element of a queue or stack, or asks a bloom filter"),
    row(90, "bpf_msg_push_data", &[Arg::Ctx, Arg::Any, Arg::Any, Arg::Any], Ret::Int, (4, 20), FREE, 0b00000000, "inserts room into a message"),
    row(91, "bpf_msg_pop_data", &[Arg::Ctx, Arg::Any, Arg::Any, Arg::Any], Ret::Int, (5, 0), FREE, 0b00000000, "removes bytes of a message"),
    row(92, "bpf_rc_pointer_rel", &[Arg::Ctx, Arg::Any, Arg::Any], Ret::Int, (5, 0), GPL, 0b00000000, "reports a pointer movement"),
    row(93, "bpf_spin_lock", &[Arg::SpinLock], Ret::Void, (5, 1), FREE, 0b11111111, "takes the spin lock inside a map value"),
    row(94, "bpf_spin_unlock", &[Arg::SpinLock], Ret::Void, (5, 1), FREE, 0b11111111, "frees the spin lock inside a map value"),
    row(95, "bpf_sk_fullsock", &[Arg::Sock], Ret::SockOrNull, (5, 1), FREE, 0b00000100, "the full socket behind a socket pointer"),
    row(96, "bpf_tcp_sock", &[Arg::Sock], Ret::SockOrNull, (5, 1), FREE, 0b00000100, "the TCP state behind a socket pointer"),
    row(97, "bpf_skb_ecn_set_ce", &[Arg::Ctx], Ret::Int, (5, 1), FREE, 0b00000100, "marks congestion in a packet"),
    row(98, "bpf_get_listener_sock", &[Arg::Sock], Ret::SockOrNull, (5, 1), FREE, 0b00000100, "the listening socket behind a socket pointer"),
    row(99, "bpf_skc_lookup_tcp", &[Arg::Ctx, Arg::Mem, Arg::Size, Arg::Any, Arg::Any], Ret::SockOrNull, (5, 2), FREE, 0b00010100, "finds a TCP socket of any state; to be given back with sk_release"),
    row(100, "bpf_tcp_check_syncookie", &[Arg::Sock, Arg::Mem, Arg::Size, Arg::Mem, Arg::Size], Ret::Int, (5, 2), GPL, 0b00010100, "tests whether a packet carries a valid SYN cookie"),
    row(101, "bpf_sysctl_get_name", &[Arg::Ctx, Arg::Out, Arg::Size, Arg::Any], Ret::Int, (5, 2), FREE, 0b00000000, "the name of the sysctl being accessed"),
    row(102, "bpf_sysctl_get_current_value", &[Arg::Ctx, Arg::Out, Arg::Size], Ret::Int, (5, 2), FREE, 0b00000000, "the current value of the sysctl being accessed"),
    row(103, "bpf_sysctl_get_new_value", &[Arg::Ctx, Arg::Out, Arg::Size], Ret::Int, (5, 2), FREE, 0b00000000, "the value being written to the sysctl"),
    row(104, "bpf_sysctl_set_new_value", &[Arg::Ctx, Arg::Mem, Arg::Size], Ret::Int, (5, 2), FREE, 0b00000000, "replaces the value being written to the sysctl"),
    row(105, "bpf_strtol", &[Arg::Mem, Arg::Size, Arg::Any, Arg::FixedOut(8)], Ret::Int, (5, 2), FREE, 0b11111111, "parses a signed number"),
    row(106, "bpf_strtoul", &[Arg::Mem, Arg::Size, Arg::Any, Arg::FixedOut(8)], Ret::Int, (5, 2), FREE, 0b11111111, "parses an unsigned number"),
    row(107, "bpf_sk_storage_get", &[Arg::Map, Arg::Btf("sock_common"), Arg::MapValueOrNull, Arg::Any], Ret::MapValueOrNull, (5, 2), FREE, 0b10000100, "the program's storage of a socket"),
    row(108, "bpf_sk_storage_delete", &[Arg::Map, Arg::Btf("sock_common")], Ret::Int, (5, 2), FREE, 0b10000100, "deletes the program's storage of a socket"),
    row(109, "bpf_send_signal", &[Arg::Any], Ret::Int, (5, 3), FREE, 0b11111111, "sends a signal to the current process"),
    row(110, "bpf_tcp_gen_syncookie", &[Arg::Sock, Arg::Mem, Arg::Size, Arg::Mem, Arg::Size], Ret::Int, (5, 3), GPL, 0b00010100, "makes a SYN cookie"),
    row(111, "bpf_skb_output", &[Arg::Btf("sk_buff"), Arg::Map, Arg::Any, Arg::Mem, Arg::SizeOrZero], Ret::Int, (5, 5), GPL, 0b10000000, "appends a record with packet bytes to a perf ring"),
    row(112, "bpf_probe_read_user", &[Arg::Out, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 5), GPL, 0b11111111, "copies user memory; does not fault pages in"),
    row(113, "bpf_probe_read_kernel", &[Arg::Out, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 5), GPL, 0b11111111, "copies kernel memory"),
    row(114, "bpf_probe_read_user_str", &[Arg::Out, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 5), GPL, 0b11111111, "copies a NUL-terminated string of user memory; gives its length with the NUL"),
    row(115, "bpf_probe_read_kernel_str", &[Arg::Out, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 5), GPL, 0b11111111, "copies a NUL-terminated string of kernel memory; gives its length with the NUL"),
    row(116, "bpf_tcp_send_ack", &[Arg::Btf("tcp_sock"), Arg::Any], Ret::Int, (5, 5), FREE, 0b00000000, "sends an ACK"),
    row(117, "bpf_send_signal_thread", &[Arg::Any], Ret::Int, (5, 6), FREE, 0b11111111, "sends a signal to the current thread"),
    row(118, "bpf_jiffies64", &[], Ret::Int, (5, 6), FREE, 0b11111111, "the kernel's tick counter"),
    row(119, "bpf_read_branch_records", &[Arg::Ctx, Arg::MemOrNull, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 6), GPL, 0b00100000, "copies the branch records of a perf event"),
    row(120, "bpf_get_ns_current_pid_tgid", &[Arg::Any, Arg::Any, Arg::Out, Arg::Size], Ret::Int, (5, 7), FREE, 0b11111111, "process and thread id as seen in a pid namespace"),
    row(121, "bpf_xdp_output", &[Arg::Btf("xdp_buff"), Arg::Map, Arg::Any, Arg::Mem, Arg::SizeOrZero], Ret::Int, (5, 7), GPL, 0b10000000, "appends a record with packet bytes to a perf ring"),
    row(122, "bpf_get_netns_cookie", &[Arg::CtxOrNull], Ret::Int, (5, 7), FREE, 0b00000101, "a number that identifies a network namespace"),
    row(123, "bpf_get_current_ancestor_cgroup_id", &[Arg::Any], Ret::Int, (5, 7), FREE, 0b11111111, "the id of an ancestor of the current task's cgroup"),
    row(124, "bpf_sk_assign", &[Arg::Ctx, Arg::SockOrNull, Arg::Any], Ret::Int, (5, 7), FREE, 0b00000100, "assigns a socket to a packet"),
    row(125, "bpf_ktime_get_boot_ns", &[], Ret::Int, (5, 8), FREE, 0b11111111, "nanoseconds since boot, with time spent suspended"),
    row(126, "bpf_seq_printf", &[Arg::Btf("seq_file"), Arg::Mem, Arg::Size, Arg::MemOrNull, Arg::SizeOrZero], Ret::Int, (5, 8), GPL, 0b00000000, "formats into the file of an iterator"),
    row(127, "bpf_seq_write", &[Arg::Btf("seq_file"), Arg::Mem, Arg::SizeOrZero], Ret::Int, (5, 8), GPL, 0b00000000, "writes bytes into the file of an iterator"),
    row(128, "bpf_sk_cgroup_id", &[Arg::Sock], Ret::Int, (5, 8), FREE, 0b00000000, "the cgroup id of a socket"),
    row(129, "bpf_sk_ancestor_cgroup_id", &[Arg::Sock, Arg::Any], Ret::Int, (5, 8), FREE, 0b00000000, "the id of an ancestor of a socket's cgroup"),
    row(130, "bpf_ringbuf_output", &[Arg::Map, Arg::Mem, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 8), FREE, 0b11111111, "copies a record into a BPF ring buffer"),
    row(131, "bpf_ringbuf_reserve", &[Arg::Map, Arg::ConstSize, Arg::Any], Ret::RecordOrNull, (5, 8), FREE, 0b11111111, "reserves a record in a BPF ring buffer; it must be submitted or discarded"),
    row(132, "bpf_ringbuf_submit", &[Arg::Record, Arg::Any], Ret::Void, (5, 8), FREE, 0b11111111, "hands a reserved record to the reader"),
    row(133, "bpf_ringbuf_discard", &[Arg::Record, Arg::Any], Ret::Void, (5, 8), FREE, 0b11111111, "drops a reserved record"),
    row(134, "bpf_ringbuf_query", &[Arg::Map, Arg::Any], Ret::Int, (5, 8), FREE, 0b11111111, "asks a ring buffer for its fill, size or positions"),
    row(135, "bpf_csum_level", &[Arg::Ctx, Arg::Any], Ret::Int, (5, 8), FREE, 0b00000100, "changes how many checksums of a packet are known to be good"),
    row(136, "bpf_skc_to_tcp6_sock", &[Arg::Sock], Ret::BtfOrNull("tcp6_sock"), (5, 9), FREE, 0b10010101, "casts a socket"),
    row(137, "bpf_skc_to_tcp_sock", &[Arg::Sock], Ret::BtfOrNull("tcp_sock"), (5, 9), FREE, 0b10010101, "casts a socket"),
    row(138, "bpf_skc_to_tcp_timewait_sock", &[Arg::Sock], Ret::BtfOrNull("tcp_timewait_sock"), (5, 9), FREE, 0b10010101, "casts a socket"),
    row(139, "bpf_skc_to_tcp_request_sock", &[Arg::Sock], Ret::BtfOrNull("tcp_request_sock"), (5, 9), FREE, 0b10010101, "casts a socket"),
    row(140, "bpf_skc_to_udp6_sock", &[Arg::Sock], Ret::BtfOrNull("udp6_sock"), (5, 9), FREE, 0b10010101, "casts a socket"),
    row(141, "bpf_get_task_stack", &[Arg::Btf("task_struct"), Arg::Out, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 9), FREE, 0b11111111, "walks the stack of a task into a buffer"),
    row(142, "bpf_load_hdr_opt", &[Arg::Ctx, Arg::Out, Arg::Size, Arg::Any], Ret::Int, (5, 10), FREE, 0b00000000, "finds a TCP header option"),
    row(143, "bpf_store_hdr_opt", &[Arg::Ctx, Arg::Mem, Arg::Size, Arg::Any], Ret::Int, (5, 10), FREE, 0b00000000, "writes a TCP header option"),
    row(144, "bpf_reserve_hdr_opt", &[Arg::Ctx, Arg::Any, Arg::Any], Ret::Int, (5, 10), FREE, 0b00000000, "reserves room for TCP header options"),
    row(145, "bpf_inode_storage_get", &[Arg::Map, Arg::Btf("inode"), Arg::MapValueOrNull, Arg::Any], Ret::MapValueOrNull, (5, 10), FREE, 0b00000000, "the program's storage of an inode"),
    row(146, "bpf_inode_storage_delete", &[Arg::Map, Arg::Btf("inode")], Ret::Int, (5, 10), FREE, 0b00000000, "deletes the program's storage of an inode"),
    row(147, "bpf_d_path", &[Arg::Btf("path"), Arg::Mem, Arg::SizeOrZero], Ret::Int, (5, 10), FREE, 0b10000000, "the path of a `struct path` as text"),
    row(148, "bpf_copy_from_user", &[Arg::Out, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 10), FREE, 0b11111111, "copies user memory and faults pages in; sleepable programs only"),
    row(149, "bpf_snprintf_btf", &[Arg::Mem, Arg::Size, Arg::Mem, Arg::Size, Arg::Any], Ret::Int, (5, 10), FREE, 0b11111111, "prints a kernel object with its BTF type"),
    row(150, "bpf_seq_printf_btf", &[Arg::Btf("seq_file"), Arg::Mem, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 10), GPL, 0b00000000, "prints a kernel object with its BTF type into the file of an iterator"),
    row(151, "bpf_skb_cgroup_classid", &[Arg::Ctx], Ret::Int, (5, 10), FREE, 0b00000100, "the net_cls class of a packet's socket"),
    row(152, "bpf_redirect_neigh", &[Arg::Any, Arg::MemOrNull, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 10), FREE, 0b00000100, "sends a packet to another device, with neighbour resolution"),
    row(153, "bpf_per_cpu_ptr", &[Arg::Percpu, Arg::Any], Ret::PercpuOrNull, (5, 10), FREE, 0b11111111, "the address of a per-CPU variable on a given CPU"),
    row(154, "bpf_this_cpu_ptr", &[Arg::Percpu], Ret::Percpu, (5, 10), FREE, 0b11111111, "the address of a per-CPU variable on this CPU"),
    row(155, "bpf_redirect_peer", &[Arg::Any, Arg::Any], Ret::Int, (5, 10), FREE, 0b00000100, "sends a packet to the peer of a device in another namespace"),
    row(156, "bpf_task_storage_get", &[Arg::Map, Arg::Btf("task_struct"), Arg::MapValueOrNull, Arg::Any], Ret::MapValueOrNull, (5, 11), FREE, 0b11111111, "the program's storage of a task"),
    row(157, "bpf_task_storage_delete", &[Arg::Map, Arg::Btf("task_struct")], Ret::Int, (5, 11), FREE, 0b11111111, "deletes the program's storage of a task"),
    row(158, "bpf_get_current_task_btf", &[], Ret::Btf("task_struct"), (5, 11), GPL, 0b11111111, "the current task_struct, as a typed pointer"),
    row(159, "bpf_bprm_opts_set", &[Arg::Btf("linux_binprm"), Arg::Any], Ret::Int, (5, 11), FREE, 0b00000000, "sets options of a program being executed"),
    row(160, "bpf_ktime_get_coarse_ns", &[], Ret::Int, (5, 11), FREE, 0b00010101, "nanoseconds since boot, with the resolution of a tick"),
    row(161, "bpf_ima_inode_hash", &[Arg::Btf("inode"), Arg::Out, Arg::Size], Ret::Int, (5, 11), FREE, 0b00000000, "the integrity hash of an inode"),
    row(162, "bpf_sock_from_file", &[Arg::Btf("file")], Ret::BtfOrNull("socket"), (5, 11), FREE, 0b10000000, "the socket of a file"),
    row(163, "bpf_check_mtu", &[Arg::Ctx, Arg::Any, Arg::FixedOut(4), Arg::Any, Arg::Any], Ret::Int, (5, 12), GPL, 0b00010100, "tests a packet length against a device's MTU"),
    row(164, "bpf_for_each_map_elem", &[Arg::Map, Arg::Func, Arg::StackOrNull, Arg::Any], Ret::Int, (5, 13), FREE, 0b11111111, "calls a function for each element of a map"),
    row(165, "bpf_snprintf", &[Arg::MemOrNull, Arg::SizeOrZero, Arg::ConstStr, Arg::MemOrNull, Arg::SizeOrZero], Ret::Int, (5, 13), GPL, 0b11111111, "formats into a buffer"),
    row(166, "bpf_sys_bpf", &[Arg::Any, Arg::Mem, Arg::Size], Ret::Int, (5, 14), FREE, 0b10000000, "the bpf system call"),
    row(167, "bpf_btf_find_by_name_kind", &[Arg::Mem, Arg::Size, Arg::Any, Arg::Any], Ret::Int, (5, 14), FREE, 0b10000000, "finds a BTF type by name"),
    row(168, "bpf_sys_close", &[Arg::Any], Ret::Int, (5, 14), FREE, 0b10000000, "closes a file descriptor"),
    row(169, "bpf_timer_init", &[Arg::Timer, Arg::Map, Arg::Any], Ret::Int, (5, 15), GPL, 0b11111111, "makes a timer inside a map value"),
    row(170, "bpf_timer_set_callback", &[Arg::Timer, Arg::Func], Ret::Int, (5, 15), GPL, 0b11111111, "sets the function a timer calls"),
    row(171, "bpf_timer_start", &[Arg::Timer, Arg::Any, Arg::Any], Ret::Int, (5, 15), GPL, 0b11111111, "starts a timer"),
    row(172, "bpf_timer_cancel", &[Arg::Timer], Ret::Int, (5, 15), GPL, 0b11111111, "stops a timer"),
    row(173, "bpf_get_func_ip", &[Arg::Ctx], Ret::Int, (5, 15), GPL, 0b11101010, "the address of the probed function"),
    row(174, "bpf_get_attach_cookie", &[Arg::Ctx], Ret::Int, (5, 15), FREE, 0b01101010, "the number given at attach (BPF cookie)"),
    row(175, "bpf_task_pt_regs", &[Arg::Btf("task_struct")], Ret::Btf("pt_regs"), (5, 15), GPL, 0b11111111, "the user registers of a task"),
    row(176, "bpf_get_branch_snapshot", &[Arg::Out, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 16), GPL, 0b11111111, "copies the CPU's last branch records"),
    row(177, "bpf_trace_vprintk", &[Arg::Mem, Arg::Size, Arg::MemOrNull, Arg::SizeOrZero], Ret::Int, (5, 16), GPL, 0b11111111, "formats a line into trace_pipe, with an array of arguments"),
    row(178, "bpf_skc_to_unix_sock", &[Arg::Sock], Ret::BtfOrNull("unix_sock"), (5, 16), FREE, 0b10010101, "casts a socket"),
    row(179, "bpf_kallsyms_lookup_name", &[Arg::Mem, Arg::SizeOrZero, Arg::Any, Arg::FixedOut(8)], Ret::Int, (5, 16), FREE, 0b10000000, "the address of a kernel symbol"),
    row(180, "bpf_find_vma", &[Arg::Btf("task_struct"), Arg::Any, Arg::Func, Arg::StackOrNull, Arg::Any], Ret::Int, (5, 17), FREE, 0b11111111, "calls a function with the memory area of a task that holds an address"),
    row(181, "bpf_loop", &[Arg::Any, Arg::Func, Arg::StackOrNull, Arg::Any], Ret::Int, (5, 17), FREE, 0b11111111, "calls a function a number of times"),
    row(182, "bpf_strncmp", &[Arg::Mem, Arg::Size, Arg::ConstStr], Ret::Int, (5, 17), FREE, 0b11111111, "compares a buffer with a constant string"),
    row(183, "bpf_get_func_arg", &[Arg::Ctx, Arg::Any, Arg::FixedOut(8)], Ret::Int, (5, 17), FREE, 0b00000000, "an argument of the traced function"),
    row(184, "bpf_get_func_ret", &[Arg::Ctx, Arg::FixedOut(8)], Ret::Int, (5, 17), FREE, 0b00000000, "the return value of the traced function"),
    row(185, "bpf_get_func_arg_cnt", &[Arg::Ctx], Ret::Int, (5, 17), FREE, 0b00000000, "how many arguments the traced function has"),
    row(186, "bpf_get_retval", &[], Ret::Int, (5, 18), FREE, 0b00000000, "the return value the system call would give"),
    row(187, "bpf_set_retval", &[Arg::Any], Ret::Int, (5, 18), FREE, 0b00000000, "changes the return value of the system call"),
    row(188, "bpf_xdp_get_buff_len", &[Arg::Ctx], Ret::Int, (5, 18), FREE, 0b10010000, "the length of a packet, fragments included"),
    row(189, "bpf_xdp_load_bytes", &[Arg::Ctx, Arg::Any, Arg::Out, Arg::Size], Ret::Int, (5, 18), FREE, 0b00010000, "copies bytes out of a packet"),
    row(190, "bpf_xdp_store_bytes", &[Arg::Ctx, Arg::Any, Arg::Mem, Arg::Size], Ret::Int, (5, 18), FREE, 0b00010000, "writes bytes into a packet"),
    row(191, "bpf_copy_from_user_task", &[Arg::Out, Arg::SizeOrZero, Arg::Any, Arg::Btf("task_struct"), Arg::Any], Ret::Int, (5, 18), GPL, 0b11111111, "copies user memory of another task; sleepable programs only"),
    row(192, "bpf_skb_set_tstamp", &[Arg::Ctx, Arg::Any, Arg::Any], Ret::Int, (5, 18), FREE, 0b00000100, "sets a packet's timestamp"),
    row(193, "bpf_ima_file_hash", &[Arg::Btf("file"), Arg::Out, Arg::Size], Ret::Int, (5, 18), FREE, 0b00000000, "the integrity hash of a file"),
    row(194, "bpf_kptr_xchg", &[Arg::Kptr, Arg::KptrValue], Ret::KptrOrNull, (5, 19), FREE, 0b11111111, "swaps a kernel pointer inside a map value"),
    row(195, "bpf_map_lookup_percpu_elem", &[Arg::Map, Arg::MapKey, Arg::Any], Ret::MapValueOrNull, (5, 19), FREE, 0b11111111, "finds the value of a key in a per-CPU map, of a given CPU"),
    row(196, "bpf_skc_to_mptcp_sock", &[Arg::Sock], Ret::BtfOrNull("mptcp_sock"), (5, 19), FREE, 0b10010101, "casts a socket"),
    row(197, "bpf_dynptr_from_mem", &[Arg::Mem, Arg::SizeOrZero, Arg::Any, Arg::DynptrOut], Ret::Int, (5, 19), FREE, 0b11111111, "makes a dynamic pointer to memory"),
    row(198, "bpf_ringbuf_reserve_dynptr", &[Arg::Map, Arg::Any, Arg::Any, Arg::DynptrOut], Ret::Int, (5, 19), FREE, 0b11111111, "reserves a record of a size not known beforehand"),
    row(199, "bpf_ringbuf_submit_dynptr", &[Arg::Dynptr, Arg::Any], Ret::Void, (5, 19), FREE, 0b11111111, "hands a reserved record to the reader"),
    row(200, "bpf_ringbuf_discard_dynptr", &[Arg::Dynptr, Arg::Any], Ret::Void, (5, 19), FREE, 0b11111111, "drops a reserved record"),
    row(201, "bpf_dynptr_read", &[Arg::Out, Arg::SizeOrZero, Arg::Dynptr, Arg::Any, Arg::Any], Ret::Int, (5, 19), FREE, 0b11111111, "copies bytes from behind a dynamic pointer"),
    row(202, "bpf_dynptr_write", &[Arg::Dynptr, Arg::Any, Arg::Mem, Arg::SizeOrZero, Arg::Any], Ret::Int, (5, 19), FREE, 0b11111111, "copies bytes to behind a dynamic pointer"),
    row(203, "bpf_dynptr_data", &[Arg::Dynptr, Arg::Any, Arg::ConstSize], Ret::DynptrMemOrNull, (5, 19), FREE, 0b11111111, "a direct pointer to bytes behind a dynamic pointer"),
    row(204, "bpf_tcp_raw_gen_syncookie_ipv4", &[Arg::FixedMem(20), Arg::Mem, Arg::SizeOrZero], Ret::Int, (6, 0), GPL, 0b00010100, "makes a SYN cookie without a socket"),
    row(205, "bpf_tcp_raw_gen_syncookie_ipv6", &[Arg::FixedMem(40), Arg::Mem, Arg::SizeOrZero], Ret::Int, (6, 0), GPL, 0b00010100, "makes a SYN cookie without a socket"),
    row(206, "bpf_tcp_raw_check_syncookie_ipv4", &[Arg::FixedMem(20), Arg::FixedMem(20)], Ret::Int, (6, 0), GPL, 0b00010100, "tests a SYN cookie without a socket"),
    row(207, "bpf_tcp_raw_check_syncookie_ipv6", &[Arg::FixedMem(40), Arg::FixedMem(20)], Ret::Int, (6, 0), GPL, 0b00010100, "tests a SYN cookie without a socket"),
    row(208, "bpf_ktime_get_tai_ns", &[], Ret::Int, (6, 1), FREE, 0b11111111, "nanoseconds of International Atomic Time"),
    row(209, "bpf_user_ringbuf_drain", &[Arg::Map, Arg::Func, Arg::StackOrNull, Arg::Any], Ret::Int, (6, 1), FREE, 0b11111111, "calls a function for each record of a ring that user space fills"),
    row(210, "bpf_cgrp_storage_get", &[Arg::Map, Arg::Btf("cgroup"), Arg::MapValueOrNull, Arg::Any], Ret::MapValueOrNull, (6, 2), FREE, 0b11111111, "the program's storage of a cgroup"),
    row(211, "bpf_cgrp_storage_delete", &[Arg::Map, Arg::Btf("cgroup")], Ret::Int, (6, 2), FREE, 0b11111111, "deletes the program's storage of a cgroup"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_are_positions_and_names_unique() {
        assert_eq!(HELPERS.len(), 211);
        for (at, helper) in HELPERS.iter().enumerate() {
            assert_eq!(usize::try_from(helper.id).unwrap(), at + 1);
            assert!(helper.name.starts_with("bpf_"), "{}", helper.name);
            assert!(helper.args.len() <= 5, "{}", helper.name);
            assert!(!helper.does.is_empty());
        }
        let names: HashSet<_> = HELPERS.iter().map(|h| h.name).collect();
        assert_eq!(names.len(), HELPERS.len());
        assert!(HELPERS.is_sorted_by_key(|h| h.since));
    }

    #[test]
    fn lengths_follow_memory() {
        for helper in HELPERS {
            for (at, arg) in helper.args.iter().enumerate() {
                let next = helper.args.get(at + 1);
                let sized = matches!(arg, Arg::Mem | Arg::MemOrNull | Arg::Out);
                let size = matches!(next, Some(Arg::Size | Arg::SizeOrZero));
                assert_eq!(sized, size, "{} argument {at}", helper.name);
            }
        }
    }

    #[test]
    fn known_rows() {
        for (id, name) in [
            (1, "bpf_map_lookup_elem"),
            (5, "bpf_ktime_get_ns"),
            (25, "bpf_perf_event_output"),
            (112, "bpf_probe_read_user"),
            (131, "bpf_ringbuf_reserve"),
            (174, "bpf_get_attach_cookie"),
            (181, "bpf_loop"),
            (211, "bpf_cgrp_storage_delete"),
        ] {
            assert_eq!(by_id(id).unwrap().name, name);
            assert_eq!(by_name(name).unwrap().id, id);
            assert_eq!(by_name(&name[4..]).unwrap().id, id);
        }
        assert_eq!(by_id(0), None);
        assert_eq!(by_id(212), None);
        assert_eq!(by_name("bpf_nope"), None);
        assert!(by_id(25).unwrap().gpl_only && !by_id(5).unwrap().gpl_only);
        assert!(by_id(112).unwrap().allowed_in(ProgType::Kprobe));
        assert!(!by_id(26).unwrap().allowed_in(ProgType::Kprobe));
    }
}
