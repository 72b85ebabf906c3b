//! A head start for the first user probe: the wait that it costs begins while the script is still compiled.
//!
//! The kernel takes a lock for writing that forks take for reading (`kernel/events/uprobes.c: dup_mmap_sem`). The first
//! writer in a while waits for an RCU grace period, 6 to 15 ms, which is most of what attaching takes; those that come
//! within the next ones do not wait (`kernel/rcu/sync.c`). So a thread probes a file in memory that no process has mapped:
//! nothing but the wait comes of it.

use std::{
    io::{self, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    signal::SigSet,
};

use crate::{
    kernel::features,
    sys::{bpf, process::monotonic_ns, trace},
};

/// When the last one began, `CLOCK_MONOTONIC` nanoseconds.
static LAST: AtomicU64 = AtomicU64::new(0);
/// For so long one serves all that attach in this process.
const SERVES_NS: u64 = 20_000_000;

/// Nothing more is to be attached for now.
static OVER: AtomicBool = AtomicBool::new(false);
/// Until then the lock is taken again in that distance, so often at most.
const EVERY: Duration = Duration::from_millis(3);
const MOST: usize = 5;

/// Begins to wait, unless somebody has a moment ago. Where it fails, attaching takes as long as it takes.
pub fn begin() {
    let now = monotonic_ns();
    if now.saturating_sub(LAST.swap(now, Ordering::Relaxed)) < SERVES_NS {
        return;
    }
    OVER.store(false, Ordering::Relaxed);
    // Without another thread there is no head start.
    let _ = thread::Builder::new()
        .name("head start".to_owned())
        .spawn(|| {
            // Signals are for the thread that waits for them by descriptor.
            if SigSet::all().thread_block().is_ok() {
                let mut held = Vec::new();
                // The wait serves for some milliseconds after the last one that took the lock.
                while held.len() < MOST
                    && !OVER.load(Ordering::Relaxed)
                    && let Ok(link) = probe_nothing()
                {
                    held.push(link);
                    thread::sleep(EVERY);
                }
            }
        });
}

/// What was to be attached is.
pub fn over() {
    OVER.store(true, Ordering::Relaxed);
}

/// Probes a byte that never runs.
fn probe_nothing() -> io::Result<OwnedFd> {
    let _why = trace::because(|| {
        "the kernel's wait before the first user probe, begun while the script is compiled"
            .to_owned()
    });
    let mut file = std::fs::File::from(memfd_create(c"nothing", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&[0; 8])?;
    let path = std::ffi::CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let program = features::load(&[])?;
    let nothing = bpf::UprobeMulti {
        path: &path,
        offsets: &[0],
        ref_ctrs: &[],
        cookies: &[],
        ret: false,
        pid: 0,
    };
    bpf::link_uprobe_multi(program.as_fd(), &nothing)
}
