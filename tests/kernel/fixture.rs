//! Functions of this test binary to put probes on, each with a semaphore of its own so that tests do not meet.

use std::{
    fs,
    hint::black_box,
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use baretrace::spec::UserSite;

/// A probed function and its semaphore.
///
/// The kernel counts a semaphore once for every private mapping of the probed bytes, read-only ones included: a panic's
/// backtrace, which maps this binary, makes later tests see 2 where they want 1. Look at the first failure only.
pub(crate) struct Site {
    function: extern "C" fn(u64) -> u64,
    semaphore: &'static [AtomicU16; 2],
}

// The second element keeps a semaphore in `.data`: `.bss` is no part of the file, and a ref_ctr is a byte in the file.
static SEM_LINK: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(1)];
static SEM_PERF: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(2)];
static SEM_LOST: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(3)];
static SEM_KILL_LINK: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(4)];
static SEM_KILL_PERF: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(5)];
static SEM_PID: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(6)];
static SEM_CONFLICT: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(7)];
static SEM_MERGE: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(8)];
static SEM_CHUNKS: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(9)];
static SEM_CHUNKS_BAD: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(10)];
static SEM_CHUNKS_LOST: [AtomicU16; 2] = [AtomicU16::new(0), AtomicU16::new(11)];

// Bodies differ, or the linker might make them one function.
#[inline(never)]
extern "C" fn fire_link(n: u64) -> u64 {
    black_box(n) + 11
}
#[inline(never)]
extern "C" fn fire_perf(n: u64) -> u64 {
    black_box(n) + 12
}
#[inline(never)]
extern "C" fn fire_lost(n: u64) -> u64 {
    black_box(n) + 13
}
#[inline(never)]
extern "C" fn fire_kill_link(n: u64) -> u64 {
    black_box(n) + 14
}
#[inline(never)]
extern "C" fn fire_kill_perf(n: u64) -> u64 {
    black_box(n) + 15
}
#[inline(never)]
extern "C" fn fire_pid(n: u64) -> u64 {
    black_box(n) + 16
}
#[inline(never)]
extern "C" fn fire_conflict(n: u64) -> u64 {
    black_box(n) + 17
}
#[inline(never)]
extern "C" fn fire_merge(n: u64) -> u64 {
    black_box(n) + 18
}
#[inline(never)]
extern "C" fn fire_chunks(n: u64) -> u64 {
    black_box(n) + 19
}
#[inline(never)]
extern "C" fn fire_chunks_bad(n: u64) -> u64 {
    black_box(n) + 20
}
#[inline(never)]
extern "C" fn fire_chunks_lost(n: u64) -> u64 {
    black_box(n) + 21
}

pub(crate) static LINK: Site = Site {
    function: fire_link,
    semaphore: &SEM_LINK,
};
pub(crate) static PERF: Site = Site {
    function: fire_perf,
    semaphore: &SEM_PERF,
};
pub(crate) static LOST: Site = Site {
    function: fire_lost,
    semaphore: &SEM_LOST,
};
pub(crate) static KILL_LINK: Site = Site {
    function: fire_kill_link,
    semaphore: &SEM_KILL_LINK,
};
pub(crate) static KILL_PERF: Site = Site {
    function: fire_kill_perf,
    semaphore: &SEM_KILL_PERF,
};
pub(crate) static PID: Site = Site {
    function: fire_pid,
    semaphore: &SEM_PID,
};
pub(crate) static CONFLICT: Site = Site {
    function: fire_conflict,
    semaphore: &SEM_CONFLICT,
};
pub(crate) static MERGE: Site = Site {
    function: fire_merge,
    semaphore: &SEM_MERGE,
};
pub(crate) static CHUNKS: Site = Site {
    function: fire_chunks,
    semaphore: &SEM_CHUNKS,
};
pub(crate) static CHUNKS_BAD: Site = Site {
    function: fire_chunks_bad,
    semaphore: &SEM_CHUNKS_BAD,
};
pub(crate) static CHUNKS_LOST: Site = Site {
    function: fire_chunks_lost,
    semaphore: &SEM_CHUNKS_LOST,
};

/// This binary's file.
pub(crate) fn path() -> PathBuf {
    std::env::current_exe().expect("own path")
}

/// Byte in the file that is mapped at `address`.
fn file_offset(address: usize) -> u64 {
    let maps = fs::read_to_string("/proc/self/maps").expect("maps");
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(_), Some(offset)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let hex = |text| u64::from_str_radix(text, 16).expect("hex");
        let (start, end) = range.split_once('-').expect("range");
        let address = address as u64;
        if (hex(start)..hex(end)).contains(&address) {
            return address - hex(start) + hex(offset);
        }
    }
    panic!("{address:#x} is not mapped");
}

impl Site {
    /// Calls the function.
    pub(crate) fn fire(&self, n: u64) {
        black_box((black_box(self.function))(n));
    }

    /// Where it is in the file.
    pub(crate) fn user_site(&self) -> UserSite {
        UserSite {
            offset: file_offset(self.function as usize),
            ref_ctr: file_offset(&raw const self.semaphore[0] as usize),
            cookie: 0,
        }
    }

    /// The semaphore's value.
    pub(crate) fn semaphore(&self) -> u16 {
        self.semaphore[0].load(Ordering::SeqCst)
    }

    /// Waits until the semaphore has that value; `false` after five seconds.
    pub(crate) fn settles_at(&self, value: u16) -> bool {
        let start = Instant::now();
        while self.semaphore() != value {
            if start.elapsed() > Duration::from_secs(5) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}
