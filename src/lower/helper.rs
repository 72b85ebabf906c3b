//! Numbers of the helpers that lowering calls (`enum bpf_func_id` in `include/uapi/linux/bpf.h`).

pub(super) const MAP_LOOKUP_ELEM: u32 = 1;
pub(super) const MAP_UPDATE_ELEM: u32 = 2;
pub(super) const MAP_DELETE_ELEM: u32 = 3;
pub(super) const KTIME_GET_NS: u32 = 5;
pub(super) const GET_PRANDOM_U32: u32 = 7;
pub(super) const GET_SMP_PROCESSOR_ID: u32 = 8;
pub(super) const GET_CURRENT_PID_TGID: u32 = 14;
pub(super) const GET_CURRENT_UID_GID: u32 = 15;
pub(super) const GET_CURRENT_COMM: u32 = 16;
pub(super) const GET_STACKID: u32 = 27;
pub(super) const GET_CURRENT_TASK: u32 = 35;
pub(super) const GET_NUMA_NODE_ID: u32 = 42;
pub(super) const GET_STACK: u32 = 67;
pub(super) const GET_CURRENT_CGROUP_ID: u32 = 80;
pub(super) const SEND_SIGNAL: u32 = 109;
pub(super) const PROBE_READ_USER: u32 = 112;
pub(super) const PROBE_READ_KERNEL: u32 = 113;
pub(super) const PROBE_READ_USER_STR: u32 = 114;
pub(super) const PROBE_READ_KERNEL_STR: u32 = 115;
pub(super) const SEND_SIGNAL_THREAD: u32 = 117;
pub(super) const JIFFIES64: u32 = 118;
pub(super) const KTIME_GET_BOOT_NS: u32 = 125;
pub(super) const D_PATH: u32 = 147;
pub(super) const KTIME_GET_COARSE_NS: u32 = 160;
pub(super) const FOR_EACH_MAP_ELEM: u32 = 164;
pub(super) const GET_FUNC_IP: u32 = 173;
pub(super) const MAP_LOOKUP_PERCPU_ELEM: u32 = 195;
pub(super) const KTIME_GET_TAI_NS: u32 = 208;

/// `BPF_F_USER_STACK`.
pub(super) const USER_STACK: i64 = 1 << 8;
