//! `union bpf_attr` of `include/uapi/linux/bpf.h`, one struct a command, with every padding byte named.

use crate::sys::trace::{Field, Held};
use std::mem::{offset_of, size_of};

/// Marks structs that may be handed to bpf(2): `repr(C)`, no implicit padding, and all-zero is a value.
pub(super) trait Attr: Default {
    /// What is in its fields, for who watches.
    fn fields(&self) -> Vec<Field>;
}

/// A field's contents, for who watches.
trait Holds {
    fn held(&self) -> Held;
}

impl Holds for u32 {
    fn held(&self) -> Held {
        Held::Number((*self).into())
    }
}

impl Holds for u64 {
    fn held(&self) -> Held {
        Held::Hex(*self)
    }
}

impl<const N: usize> Holds for [u8; N] {
    fn held(&self) -> Held {
        Held::Bytes(self.to_vec())
    }
}

impl<const N: usize> Holds for [u64; N] {
    fn held(&self) -> Held {
        Held::Bytes(self.iter().flat_map(|word| word.to_ne_bytes()).collect())
    }
}

macro_rules! attrs {
    // A macro, because each struct needs the same few lines and the offsets beside the fields are what a reviewer
    // compares with the header.
    ($($(#[$doc:meta])* $name:ident = $size:literal { $($at:literal $field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Default)]
        pub(super) struct $name { $(pub(super) $field: $ty,)* }
        impl Attr for $name {
            fn fields(&self) -> Vec<Field> {
                vec![$(Field(stringify!($field), self.$field.held())),*]
            }
        }
        const _: () = {
            assert!(size_of::<$name>() == $size);
            $(assert!(offset_of!($name, $field) == $at);)*
        };
    )*};
}

attrs! {
    MapCreate = 72 {
        0 map_type: u32,
        4 key_size: u32,
        8 value_size: u32,
        12 max_entries: u32,
        16 map_flags: u32,
        20 inner_map_fd: u32,
        24 numa_node: u32,
        28 map_name: [u8; 16],
        44 map_ifindex: u32,
        48 btf_fd: u32,
        52 btf_key_type_id: u32,
        56 btf_value_type_id: u32,
        60 btf_vmlinux_value_type_id: u32,
        64 map_extra: u64,
    }
    MapElem = 32 {
        0 map_fd: u32,
        4 pad: u32,
        8 key: u64,
        16 value: u64,
        24 flags: u64,
    }
    MapBatch = 56 {
        0 in_batch: u64,
        8 out_batch: u64,
        16 keys: u64,
        24 values: u64,
        32 count: u32,
        36 map_fd: u32,
        40 elem_flags: u64,
        48 flags: u64,
    }
    ProgLoad = 144 {
        0 prog_type: u32,
        4 insn_cnt: u32,
        8 insns: u64,
        16 license: u64,
        24 log_level: u32,
        28 log_size: u32,
        32 log_buf: u64,
        40 kern_version: u32,
        44 prog_flags: u32,
        48 prog_name: [u8; 16],
        64 prog_ifindex: u32,
        68 expected_attach_type: u32,
        72 prog_btf_fd: u32,
        76 func_info_rec_size: u32,
        80 func_info: u64,
        88 func_info_cnt: u32,
        92 line_info_rec_size: u32,
        96 line_info: u64,
        104 line_info_cnt: u32,
        108 attach_btf_id: u32,
        112 attach_prog_fd: u32,
        116 core_relo_cnt: u32,
        120 fd_array: u64,
        128 core_relos: u64,
        136 core_relo_rec_size: u32,
        140 log_true_size: u32,
    }
    ObjPin = 24 {
        0 pathname: u64,
        8 bpf_fd: u32,
        12 file_flags: u32,
        16 path_fd: u32,
        20 pad: u32,
    }
    TestRun = 80 {
        0 prog_fd: u32,
        4 retval: u32,
        8 data_size_in: u32,
        12 data_size_out: u32,
        16 data_in: u64,
        24 data_out: u64,
        32 repeat: u32,
        36 duration: u32,
        40 ctx_size_in: u32,
        44 ctx_size_out: u32,
        48 ctx_in: u64,
        56 ctx_out: u64,
        64 flags: u32,
        68 cpu: u32,
        72 batch_size: u32,
        76 pad: u32,
    }
    /// `*_GET_NEXT_ID` and `*_GET_FD_BY_ID`.
    ById = 16 {
        0 id: u32,
        4 next_id: u32,
        8 open_flags: u32,
        12 pad: u32,
    }
    InfoByFd = 16 {
        0 bpf_fd: u32,
        4 info_len: u32,
        8 info: u64,
    }
    BtfLoad = 32 {
        0 btf: u64,
        8 btf_log_buf: u64,
        16 btf_size: u32,
        20 btf_log_size: u32,
        24 btf_log_level: u32,
        28 btf_log_true_size: u32,
    }
    LinkUprobeMulti = 64 {
        0 prog_fd: u32,
        4 target_fd: u32,
        8 attach_type: u32,
        12 link_flags: u32,
        16 path: u64,
        24 offsets: u64,
        32 ref_ctr_offsets: u64,
        40 cookies: u64,
        48 cnt: u32,
        52 flags: u32,
        56 pid: u32,
        60 path_fd: u32,
    }
    LinkPerfEvent = 24 {
        0 prog_fd: u32,
        4 target_fd: u32,
        8 attach_type: u32,
        12 link_flags: u32,
        16 bpf_cookie: u64,
    }
    RawTracepointOpen = 24 {
        0 name: u64,
        8 prog_fd: u32,
        12 pad: u32,
        16 cookie: u64,
    }
    /// `BPF_LINK_CREATE` of an iterator.
    LinkIter = 32 {
        0 prog_fd: u32,
        4 target_fd: u32,
        8 attach_type: u32,
        12 link_flags: u32,
        16 iter_info: u64,
        24 iter_info_len: u32,
        28 pad: u32,
    }
    IterCreate = 8 {
        0 link_fd: u32,
        4 flags: u32,
    }
    TaskFdQuery = 48 {
        0 pid: u32,
        4 fd: u32,
        8 flags: u32,
        12 buf_len: u32,
        16 buf: u64,
        24 prog_id: u32,
        28 fd_type: u32,
        32 probe_offset: u64,
        40 probe_addr: u64,
    }
    /// `struct bpf_btf_info`.
    BtfInfo = 32 {
        0 btf: u64,
        8 btf_size: u32,
        12 id: u32,
        16 name: u64,
        24 name_len: u32,
        28 kernel_btf: u32,
    }
    /// `BPF_LINK_DETACH` (the link's fd) and `BPF_ENABLE_STATS` (the type), `BPF_MAP_FREEZE` (the map's fd).
    One = 4 {
        0 value: u32,
    }
    /// `struct bpf_prog_info`.
    ProgInfo = 232 {
        0 prog_type: u32,
        4 id: u32,
        8 tag: [u8; 8],
        16 jited_prog_len: u32,
        20 xlated_prog_len: u32,
        24 jited_prog_insns: u64,
        32 xlated_prog_insns: u64,
        40 load_time: u64,
        48 created_by_uid: u32,
        52 nr_map_ids: u32,
        56 map_ids: u64,
        64 name: [u8; 16],
        80 ifindex: u32,
        84 gpl_compatible: u32,
        88 netns_dev: u64,
        96 netns_ino: u64,
        104 nr_jited_ksyms: u32,
        108 nr_jited_func_lens: u32,
        112 jited_ksyms: u64,
        120 jited_func_lens: u64,
        128 btf_id: u32,
        132 func_info_rec_size: u32,
        136 func_info: u64,
        144 nr_func_info: u32,
        148 nr_line_info: u32,
        152 line_info: u64,
        160 jited_line_info: u64,
        168 nr_jited_line_info: u32,
        172 line_info_rec_size: u32,
        176 jited_line_info_rec_size: u32,
        180 nr_prog_tags: u32,
        184 prog_tags: u64,
        192 run_time_ns: u64,
        200 run_cnt: u64,
        208 recursion_misses: u64,
        216 verified_insns: u32,
        220 attach_btf_obj_id: u32,
        224 attach_btf_id: u32,
        228 pad: u32,
    }
    /// `struct bpf_map_info`.
    MapInfo = 104 {
        0 map_type: u32,
        4 id: u32,
        8 key_size: u32,
        12 value_size: u32,
        16 max_entries: u32,
        20 map_flags: u32,
        24 name: [u8; 16],
        40 ifindex: u32,
        44 btf_vmlinux_value_type_id: u32,
        48 netns_dev: u64,
        56 netns_ino: u64,
        64 btf_id: u32,
        68 btf_key_type_id: u32,
        72 btf_value_type_id: u32,
        76 btf_vmlinux_id: u32,
        80 map_extra: u64,
        88 hash: u64,
        96 hash_size: u32,
        100 pad: u32,
    }
    /// `struct bpf_link_info`; what follows `prog_id` depends on the type.
    LinkInfo = 64 {
        0 link_type: u32,
        4 id: u32,
        8 prog_id: u32,
        12 pad: u32,
        16 rest: [u64; 6],
    }
}
