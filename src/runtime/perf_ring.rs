//! Per-CPU perf rings, read together in the order of kernel time.
//!
//! A round takes `t0` before it looks at any ring. Whatever the kernel stamped before `t0` less a moment for records in
//! the making is then in some ring, so it can be delivered in order; later records wait for the next round.
//!
//! The kernel zeroes a ring's memory before it can be used, about half a millisecond a megabyte. So large rings are made
//! while small ones serve, see [`PerfMap::new_aside`], and then take their place in the programs' map ([`Rings::grow`]); the
//! small ones go once they are empty and nothing can write to them any more.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    error, fmt, io,
    ops::ControlFlow,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread::{self, JoinHandle},
};

pub use super::perf_record::Stamp;
use super::perf_record::{self, Item};
use crate::sys::{
    bpf::Map,
    errno::Described,
    mmap::{PerfMap, page_size},
    perf,
    process::monotonic_ns,
    trace,
};

/// How long after its time stamp a record may still be on its way into its ring, when an interrupt comes between.
pub const SETTLE_NS: u64 = 100_000;

/// Bytes of all rings together, shared out among the CPUs.
const TOTAL: usize = 16 << 20;
/// Least and most bytes of one ring. The most holds what a busy probe sends in the 40 ms that a reader may be kept from
/// its CPU on a loaded machine.
const RANGE: (usize, usize) = (256 << 10, 8 << 20);

/// Long records that a ring holds, and most bytes of a ring because of them.
const BURST: usize = 16;
const LONG_MAX: usize = 64 << 20;

/// Bytes of one CPU's ring for a machine with that many.
pub fn default_size(cpus: usize) -> usize {
    let share = TOTAL / cpus.max(1);
    let power = share.checked_next_power_of_two().unwrap_or(RANGE.1);
    power.clamp(RANGE.0, RANGE.1)
}

/// Bytes of one CPU's ring for records of which some may be as long as `longest`: a burst of them is to fit.
pub fn size_for(cpus: usize, longest: u64) -> usize {
    let burst = usize::try_from(longest)
        .unwrap_or(usize::MAX)
        .saturating_mul(BURST);
    let power = burst.min(LONG_MAX).next_power_of_two();
    power.max(default_size(cpus))
}

/// How long after another ring took its place a ring may still be written to: a program that had found it runs on for
/// microseconds, or as long as an interrupt holds it up.
const RETIRE_NS: u64 = 1_000_000_000;

/// A record as it lies in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// CPU it was made on.
    pub cpu: u32,
    /// `CLOCK_MONOTONIC` nanoseconds when it was made.
    pub time: u64,
    /// Its bytes, padded by the kernel: the length is the first thing in them (see [`crate::spec::RECORD_HEADER`]).
    pub data: &'a [u8],
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records delivered.
    pub delivered: u64,
    /// Records are left for the next round, because they are too fresh or because the receiver stopped: come back after
    /// [`SETTLE_NS`] rather than wait to be woken.
    pub held: bool,
}

/// Why the rings could not be set up.
#[derive(Debug)]
pub enum RingError {
    /// The event behind a ring.
    Open {
        /// On that CPU.
        cpu: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// The mapping.
    Map {
        /// Bytes asked for at last.
        size: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// No CPU is online.
    NoCpu,
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingError::Open { cpu, source } => write!(
                f,
                "open perf ring of cpu {cpu}: perf_event_open: {}",
                Described(source)
            ),
            RingError::Map { size, source } => {
                write!(
                    f,
                    "map perf ring of {size} bytes: mmap: {}",
                    Described(source)
                )
            }
            RingError::NoCpu => write!(f, "open perf rings: no cpu is online"),
        }
    }
}

impl error::Error for RingError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            RingError::Open { source, .. } | RingError::Map { source, .. } => Some(source),
            RingError::NoCpu => None,
        }
    }
}

impl RingError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        let errno = match self {
            RingError::Open { source, .. } | RingError::Map { source, .. } => source.raw_os_error(),
            RingError::NoCpu => None,
        };
        match (self, errno) {
            (RingError::Open { .. }, Some(libc::EPERM | libc::EACCES)) => Some(
                "perf events of other users' processes need CAP_PERFMON (CAP_SYS_ADMIN before 5.8)",
            ),
            (RingError::Open { .. }, Some(libc::EMFILE)) => {
                Some("raise the limit of open files (ulimit -n)")
            }
            (RingError::Map { .. }, Some(libc::EPERM)) => {
                Some("raise kernel.perf_event_mlock_kb, or give CAP_IPC_LOCK")
            }
            _ => None,
        }
    }
}

/// One CPU's ring. The map is dropped before the event it belongs to.
struct Ring {
    cpu: u32,
    map: PerfMap,
    event: OwnedFd,
    /// When another ring took its place.
    retired: Option<u64>,
}

/// The rings of all CPUs.
pub struct Rings {
    rings: Vec<Ring>,
    stamp: Stamp,
    order: BinaryHeap<Reverse<(u64, usize)>>,
    scratch: Vec<u8>,
    lost: u64,
    broken: u64,
    /// Larger ones in the making.
    growing: Option<JoinHandle<Result<Rings, RingError>>>,
}

impl fmt::Debug for Rings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, lost) = (self.rings.len(), self.lost);
        write!(
            f,
            "Rings({count} of {} bytes, {lost} lost)",
            self.bytes_per_cpu()
        )
    }
}

impl Rings {
    /// Opens a ring of `size` bytes (rounded up to a power of two of pages) on each of `cpus`. Where that much may not
    /// be locked or is not there, all rings are made smaller by halves, down to a page. CPUs that have gone offline
    /// meanwhile are left out. `stamp` says where the programs that send have the time of their records from.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn open(cpus: &[u32], size: usize, stamp: Stamp) -> Result<Rings, RingError> {
        Rings::open_by(cpus, size, stamp, PerfMap::new)
    }

    fn open_by(cpus: &[u32], size: usize, stamp: Stamp, map: MapRing) -> Result<Rings, RingError> {
        let mut size = size;
        loop {
            match open_all(cpus, size, stamp, map) {
                Ok(rings) if rings.is_empty() => return Err(RingError::NoCpu),
                Ok(rings) => {
                    return Ok(Rings {
                        order: BinaryHeap::with_capacity(rings.len()),
                        rings,
                        stamp,
                        scratch: Vec::new(),
                        lost: 0,
                        broken: 0,
                        growing: None,
                    });
                }
                Err(RingError::Map { source, .. })
                    if size > page_size()
                        && matches!(
                            source.raw_os_error(),
                            Some(libc::EPERM | libc::ENOMEM | libc::EINVAL)
                        ) =>
                {
                    size /= 2;
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Begins to make rings of `size` bytes that are to take the place of these, in a thread: see [`Rings::take_place`].
    pub fn grow(&mut self, size: usize) {
        let cpus: Vec<u32> = self.rings.iter().map(|ring| ring.cpu).collect();
        let stamp = self.stamp;
        let open = move || Rings::open_by(&cpus, size, stamp, PerfMap::new_aside);
        self.growing = Some(thread::spawn(open));
    }

    /// If larger rings have been made since, puts them into the programs' map. What cannot be had leaves these in use.
    pub fn take_place(&mut self, map: &Map) {
        let Some(made) = self.growing.take_if(|made| made.is_finished()) else {
            return;
        };
        let larger = match made.join() {
            Ok(Ok(larger)) if larger.bytes_per_cpu() > self.bytes_per_cpu() => larger,
            Ok(_) => return,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        // If it stops half-way both are in use, and both are read.
        if larger.install(map).is_ok() {
            let now = monotonic_ns();
            for old in &mut self.rings {
                // A CPU that has gone meanwhile keeps what it had.
                if larger.rings.iter().any(|ring| ring.cpu == old.cpu) {
                    old.retired.get_or_insert(now);
                }
            }
        }
        // Behind the old ones: of records with the same time theirs come first.
        self.rings.extend(larger.rings);
    }

    /// Lets go of rings that have nothing more to give.
    fn let_go(&mut self) {
        let now = monotonic_ns();
        let over = |at: u64| now.saturating_sub(at) > RETIRE_NS;
        self.rings.retain_mut(|ring| {
            let retired = ring.retired.is_some_and(over);
            !retired || ring.map.refresh() > 0
        });
    }

    /// Descriptors to wait on: readable when a ring has filled a quarter since its reader last looked.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.rings.iter().map(|ring| ring.event.as_fd())
    }

    /// Puts the rings' events into a `PERF_EVENT_ARRAY`, each at its CPU's index: programs can send from then on.
    ///
    /// # Errors
    /// The kernel's.
    pub fn install(&self, map: &Map) -> io::Result<()> {
        let _why = trace::because(|| "tell programs each CPU's ring".to_owned());
        for ring in &self.rings {
            map.set_perf_event(ring.cpu, ring.event.as_fd())?;
        }
        Ok(())
    }

    /// Bytes of one CPU's ring as it came out.
    pub fn bytes_per_cpu(&self) -> usize {
        self.rings.last().map_or(0, |ring| ring.map.size())
    }

    /// Records that the kernel says found no room, as far as the rings have been read. The kernel tells only once a
    /// later record fits: programs count their own failures besides.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// How often a ring held something that is no record, and was skipped to its end. Always 0 on a sound kernel.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Delivers, in order of time, the records that were complete when the round began.
    pub fn drain(&mut self, deliver: impl FnMut(Record<'_>) -> ControlFlow<()>) -> Drained {
        // A single ring is in order by itself.
        let limit = if self.rings.len() == 1 {
            u64::MAX
        } else {
            monotonic_ns().saturating_sub(SETTLE_NS)
        };
        self.round(limit, deliver)
    }

    /// Delivers all there is: for the end, when nothing is attached any more.
    pub fn flush(&mut self, deliver: impl FnMut(Record<'_>) -> ControlFlow<()>) -> Drained {
        self.round(u64::MAX, deliver)
    }

    fn round(
        &mut self,
        limit: u64,
        mut deliver: impl FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Drained {
        let mut drained = Drained::default();
        self.order.clear();
        for index in 0..self.rings.len() {
            self.rings[index].map.refresh();
            if let Some(time) = self.next_time(index) {
                self.order.push(Reverse((time, index)));
            }
        }
        while let Some(Reverse((time, index))) = self.order.peek().copied() {
            if time > limit {
                drained.held = true;
                break;
            }
            let ring = &mut self.rings[index];
            let (first, second) = ring.map.unread();
            let mut flow = ControlFlow::Continue(());
            let mut size = 0;
            if let Some((len, item)) =
                perf_record::next(first, second, &mut self.scratch, self.stamp)
            {
                size = len;
                if let Item::Sample { time, data } = item {
                    drained.delivered += 1;
                    flow = deliver(Record {
                        cpu: ring.cpu,
                        time,
                        data,
                    });
                }
            }
            ring.map.consume(size);
            if ring.map.unpublished() > ring.map.size() / 8 {
                ring.map.publish();
            }
            if flow.is_break() {
                drained.held = true;
                break;
            }
            let next = self.next_time(index);
            if let Some(mut top) = self.order.peek_mut() {
                match next {
                    Some(time) => *top = Reverse((time, index)),
                    None => {
                        PeekMut::pop(top);
                    }
                }
            }
        }
        for ring in &mut self.rings {
            ring.map.publish();
        }
        if self.rings.iter().any(|ring| ring.retired.is_some()) {
            self.let_go();
        }
        drained
    }

    /// The time of a ring's next sample; records before it are counted and stepped over.
    fn next_time(&mut self, index: usize) -> Option<u64> {
        let ring = self.rings.get_mut(index)?;
        loop {
            let (first, second) = ring.map.unread();
            let (size, item) = perf_record::next(first, second, &mut self.scratch, self.stamp)?;
            match item {
                Item::Sample { time, .. } => return Some(time),
                Item::Lost(count) => self.lost += count,
                Item::Other => {}
                Item::Broken => self.broken += 1,
            }
            ring.map.consume(size);
        }
    }
}

type MapRing = fn(BorrowedFd<'_>, usize) -> io::Result<PerfMap>;

fn open_all(
    cpus: &[u32],
    size: usize,
    stamp: Stamp,
    map_ring: MapRing,
) -> Result<Vec<Ring>, RingError> {
    let mut rings = Vec::with_capacity(cpus.len());
    let watermark = u32::try_from(size / 4).unwrap_or(u32::MAX).max(1);
    for &cpu in cpus {
        let _why =
            trace::because(|| format!("the ring of CPU {cpu}, which programs send records to"));
        let event = match perf::open_bpf_output(cpu, watermark, stamp == Stamp::Kernel) {
            Ok(event) => event,
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => continue,
            Err(source) => return Err(RingError::Open { cpu, source }),
        };
        let map =
            map_ring(event.as_fd(), size).map_err(|source| RingError::Map { size, source })?;
        rings.push(Ring {
            cpu,
            map,
            event,
            retired: None,
        });
    }
    Ok(rings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_share_a_budget() {
        assert_eq!(default_size(1), 8 << 20);
        assert_eq!(default_size(2), 8 << 20);
        assert_eq!(default_size(8), 2 << 20);
        assert_eq!(default_size(24), 1 << 20);
        assert_eq!(default_size(512), 256 << 10);
        assert_eq!(default_size(0), 8 << 20);
        assert_eq!(size_for(2, 0), 8 << 20);
        assert_eq!(size_for(2, 100 << 10), 8 << 20);
        assert_eq!(size_for(2, 1_000_000), 16 << 20);
        assert_eq!(size_for(2, u64::MAX), 64 << 20);
    }
}
