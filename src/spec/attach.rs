//! Where a program runs.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How often a timed probe fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Interval {
    /// Every that many nanoseconds.
    Nanos(u64),
    /// That many times a second.
    Hertz(u64),
}

/// One place in a binary's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UserSite {
    /// Byte in the file (not a vaddr).
    pub offset: u64,
    /// Semaphore's byte in the file; 0 for none.
    pub ref_ctr: u64,
    /// Given to the program as its attach cookie.
    pub cookie: u64,
}

/// One attachment of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttachSpec {
    /// `begin`: run once before anything is attached.
    Begin,
    /// `end`: run once after everything is detached.
    End,
    /// `self:signal:NAME`.
    Signal(i32),
    /// `test:NAME`, `bench:NAME`: run on request only.
    Manual(String),
    /// `interval`: on one CPU.
    Interval(Interval),
    /// `profile`: on every CPU.
    Profile(Interval),
    /// `software:EVENT:COUNT`, by `perf_event_attr.config`.
    Software {
        /// `PERF_COUNT_SW_*`.
        config: u64,
        /// Events between two firings.
        period: u64,
    },
    /// `uprobe`, `uretprobe`, `usdt`: sites in one file.
    User {
        /// The file to open, as this process sees it.
        path: PathBuf,
        /// All sites that this program serves.
        sites: Vec<UserSite>,
        /// At function return.
        ret: bool,
        /// Only for this process.
        pid: Option<u32>,
    },
    /// `watchpoint`.
    Watch {
        /// Address in the traced process.
        addr: u64,
        /// 1, 2, 4 or 8 bytes.
        len: u64,
        /// `HW_BREAKPOINT_*` bits: R 1, W 2, X 4.
        mode: u32,
        /// Only for this process.
        pid: Option<u32>,
    },
    /// `hardware:EVENT:COUNT`, by `perf_event_attr.config`.
    Hardware {
        /// `PERF_COUNT_HW_*`.
        config: u64,
        /// Events between two firings.
        period: u64,
    },
    /// `tracepoint:SYSTEM:NAME`.
    Tracepoint {
        /// Group of events.
        system: String,
        /// Event.
        name: String,
    },
    /// `rawtracepoint`, by the event's name.
    RawTracepoint(String),
    /// `fentry`, `fexit`: on the way into or out of a function of the kernel.
    Trampoline {
        /// Its name.
        function: String,
        /// At return.
        ret: bool,
    },
    /// `iter`: run once for each object of that kind.
    Iter {
        /// `task`, `task_file`, `task_vma`.
        kind: String,
        /// Kept under this path instead of being run.
        pin: Option<PathBuf>,
    },
    /// `kprobe`, `kretprobe`.
    Kprobe {
        /// The function.
        function: String,
        /// Bytes into it.
        offset: u64,
        /// At return.
        ret: bool,
    },
}
