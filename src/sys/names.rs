//! Names of the kernel's numbers, as its headers spell them.
//!
//! Sources: `include/uapi/linux/bpf.h`, `include/uapi/linux/perf_event.h` of 6.18.

/// `enum bpf_cmd`, from 0, without `BPF_`.
pub const COMMANDS: &[&str] = &[
    "MAP_CREATE",
    "MAP_LOOKUP_ELEM",
    "MAP_UPDATE_ELEM",
    "MAP_DELETE_ELEM",
    "MAP_GET_NEXT_KEY",
    "PROG_LOAD",
    "OBJ_PIN",
    "OBJ_GET",
    "PROG_ATTACH",
    "PROG_DETACH",
    "PROG_TEST_RUN",
    "PROG_GET_NEXT_ID",
    "MAP_GET_NEXT_ID",
    "PROG_GET_FD_BY_ID",
    "MAP_GET_FD_BY_ID",
    "OBJ_GET_INFO_BY_FD",
    "PROG_QUERY",
    "RAW_TRACEPOINT_OPEN",
    "BTF_LOAD",
    "BTF_GET_FD_BY_ID",
    "TASK_FD_QUERY",
    "MAP_LOOKUP_AND_DELETE_ELEM",
    "MAP_FREEZE",
    "BTF_GET_NEXT_ID",
    "MAP_LOOKUP_BATCH",
    "MAP_LOOKUP_AND_DELETE_BATCH",
    "MAP_UPDATE_BATCH",
    "MAP_DELETE_BATCH",
    "LINK_CREATE",
    "LINK_UPDATE",
    "LINK_GET_FD_BY_ID",
    "LINK_GET_NEXT_ID",
    "ENABLE_STATS",
    "ITER_CREATE",
    "LINK_DETACH",
    "PROG_BIND_MAP",
    "TOKEN_CREATE",
];

/// `enum bpf_prog_type`, from 0, without `BPF_PROG_TYPE_`.
pub const PROGRAMS: &[&str] = &[
    "UNSPEC",
    "SOCKET_FILTER",
    "KPROBE",
    "SCHED_CLS",
    "SCHED_ACT",
    "TRACEPOINT",
    "XDP",
    "PERF_EVENT",
    "CGROUP_SKB",
    "CGROUP_SOCK",
    "LWT_IN",
    "LWT_OUT",
    "LWT_XMIT",
    "SOCK_OPS",
    "SK_SKB",
    "CGROUP_DEVICE",
    "SK_MSG",
    "RAW_TRACEPOINT",
    "CGROUP_SOCK_ADDR",
    "LWT_SEG6LOCAL",
    "LIRC_MODE2",
    "SK_REUSEPORT",
    "FLOW_DISSECTOR",
    "CGROUP_SYSCTL",
    "RAW_TRACEPOINT_WRITABLE",
    "CGROUP_SOCKOPT",
    "TRACING",
    "STRUCT_OPS",
    "EXT",
    "LSM",
    "SK_LOOKUP",
    "SYSCALL",
    "NETFILTER",
];

/// `enum bpf_map_type`, from 0, without `BPF_MAP_TYPE_`.
pub const MAPS: &[&str] = &[
    "UNSPEC",
    "HASH",
    "ARRAY",
    "PROG_ARRAY",
    "PERF_EVENT_ARRAY",
    "PERCPU_HASH",
    "PERCPU_ARRAY",
    "STACK_TRACE",
    "CGROUP_ARRAY",
    "LRU_HASH",
    "LRU_PERCPU_HASH",
    "LPM_TRIE",
    "ARRAY_OF_MAPS",
    "HASH_OF_MAPS",
    "DEVMAP",
    "SOCKMAP",
    "CPUMAP",
    "XSKMAP",
    "SOCKHASH",
    "CGROUP_STORAGE",
    "REUSEPORT_SOCKARRAY",
    "PERCPU_CGROUP_STORAGE",
    "QUEUE",
    "STACK",
    "SK_STORAGE",
    "DEVMAP_HASH",
    "STRUCT_OPS",
    "RINGBUF",
    "INODE_STORAGE",
    "TASK_STORAGE",
    "BLOOM_FILTER",
    "USER_RINGBUF",
    "CGRP_STORAGE",
    "ARENA",
];

/// `enum bpf_link_type`, from 0, without `BPF_LINK_TYPE_`.
pub const LINKS: &[&str] = &[
    "UNSPEC",
    "RAW_TRACEPOINT",
    "TRACING",
    "CGROUP",
    "ITER",
    "NETNS",
    "XDP",
    "PERF_EVENT",
    "KPROBE_MULTI",
    "STRUCT_OPS",
    "NETFILTER",
    "TCX",
    "UPROBE_MULTI",
    "NETKIT",
    "SOCKMAP",
];

/// The `enum bpf_attach_type`s that are used here.
const ATTACHES: &[(u64, &str)] = &[
    (24, "BPF_TRACE_FENTRY"),
    (25, "BPF_TRACE_FEXIT"),
    (28, "BPF_TRACE_ITER"),
    (41, "BPF_PERF_EVENT"),
    (48, "BPF_TRACE_UPROBE_MULTI"),
];

/// `enum perf_type_id`; numbers from 6 on are given out at boot.
pub const PERF_TYPES: &[&str] = &[
    "HARDWARE",
    "SOFTWARE",
    "TRACEPOINT",
    "HW_CACHE",
    "RAW",
    "BREAKPOINT",
];

/// `enum perf_sw_ids`, from 0, without `PERF_COUNT_SW_`.
pub const SOFTWARE: &[&str] = &[
    "CPU_CLOCK",
    "TASK_CLOCK",
    "PAGE_FAULTS",
    "CONTEXT_SWITCHES",
    "CPU_MIGRATIONS",
    "PAGE_FAULTS_MIN",
    "PAGE_FAULTS_MAJ",
    "ALIGNMENT_FAULTS",
    "EMULATION_FAULTS",
    "DUMMY",
    "BPF_OUTPUT",
    "CGROUP_SWITCHES",
];

/// The name at that place of a table.
pub fn at<'a>(table: &[&'a str], number: impl TryInto<usize>) -> Option<&'a str> {
    table.get(number.try_into().ok()?).copied()
}

/// What a number means in a field of that name.
pub(super) fn of(field: &str, number: u64) -> Option<String> {
    let in_table = |table, prefix: &str| at(table, number).map(|name| format!("{prefix}{name}"));
    match field {
        "map_type" => in_table(MAPS, "BPF_MAP_TYPE_"),
        "prog_type" => in_table(PROGRAMS, "BPF_PROG_TYPE_"),
        "attach_type" | "expected_attach_type" => {
            let found = ATTACHES.iter().find(|(at, _)| *at == number);
            found.map(|(_, name)| (*name).to_owned())
        }
        "type" => in_table(PERF_TYPES, "PERF_TYPE_").or(Some("dynamic PMU".to_owned())),
        "clockid" => (number == 1).then(|| "CLOCK_MONOTONIC".to_owned()),
        "prog_flags" => (number == 0x10).then(|| "BPF_F_SLEEPABLE".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::uapi;

    #[test]
    fn tables_agree_with_the_numbers_used() {
        let named = [
            (COMMANDS, uapi::BPF_LINK_DETACH, "LINK_DETACH"),
            (COMMANDS, uapi::BPF_BTF_LOAD, "BTF_LOAD"),
            (COMMANDS, uapi::BPF_ENABLE_STATS, "ENABLE_STATS"),
            (PROGRAMS, uapi::BPF_PROG_TYPE_SYSCALL, "SYSCALL"),
            (
                PROGRAMS,
                uapi::BPF_PROG_TYPE_RAW_TRACEPOINT,
                "RAW_TRACEPOINT",
            ),
            (
                MAPS,
                uapi::BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
                "PERCPU_CGROUP_STORAGE",
            ),
            (MAPS, 27, "RINGBUF"),
            (LINKS, 12, "UPROBE_MULTI"),
        ];
        for (table, number, name) in named {
            assert_eq!(at(table, number), Some(name));
        }
        assert_eq!(
            of("attach_type", 48).as_deref(),
            Some("BPF_TRACE_UPROBE_MULTI")
        );
        assert_eq!(of("attach_type", 0), None);
    }
}
