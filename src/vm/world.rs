//! What a program can find out about the machine and process it runs in, and what it leaves behind.

use super::Memory;

/// One record that a program sent, by perf ring or BPF ring buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Index of the ring's map.
    pub map: usize,
    /// CPU of the program.
    pub cpu: u32,
    /// Time when it was sent, in nanoseconds.
    pub time: u64,
    /// Its bytes, as the program gave them.
    pub data: &'a [u8],
}

/// Records in the order of sending, in one buffer that is reused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    heads: Vec<(usize, u32, u64, usize)>,
    bytes: Vec<u8>,
}

impl Records {
    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.heads.iter().scan(0, |at, &(map, cpu, time, len)| {
            let data = &self.bytes[*at..*at + len];
            *at += len;
            Some(Record {
                map,
                cpu,
                time,
                data,
            })
        })
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets them, keeping the buffer.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.bytes.clear();
    }

    pub(super) fn push(&mut self, map: usize, cpu: u32, time: u64, data: &[u8]) {
        self.heads.push((map, cpu, time, data.len()));
        self.bytes.extend_from_slice(data);
    }
}

/// What helpers answered when the program ran elsewhere: they answer so again. A run with it reads no memory that it has
/// not: that is a fault, where the same read without it gives an error to the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Helper, what it was asked for (the flags of a stack, 0 of all others), answer, in order; the last one is given again
    /// when there is no more.
    pub numbers: Vec<(u32, u64, u64)>,
    /// Addresses that could not be read.
    pub unreadable: Vec<u64>,
}

impl Told {
    pub(super) fn number(&mut self, helper: u32, asked: u64) -> Option<u64> {
        let same = |at: &usize| (self.numbers[*at].0, self.numbers[*at].1) == (helper, asked);
        let mut places = (0..self.numbers.len()).filter(same);
        let at = places.next()?;
        let value = self.numbers[at].2;
        if places.next().is_some() {
            self.numbers.remove(at);
        }
        Some(value)
    }
}

/// The world of one run. Helpers read it, and write only `random`, `records` and `signals`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Process id (the kernel's tgid).
    pub pid: u32,
    /// Thread id (the kernel's pid).
    pub tid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Command name, NUL-padded.
    pub comm: [u8; 16],
    /// CPU that the program runs on.
    pub cpu: u32,
    /// NUMA node of that CPU.
    pub node: u32,
    /// Cgroup id.
    pub cgroup: u64,
    /// Attach cookie.
    pub cookie: u64,
    /// Address of the probed instruction.
    pub func_ip: u64,
    /// Address of the current task in the kernel.
    pub task: u64,
    /// Nanoseconds since boot, without suspend (`CLOCK_MONOTONIC`).
    pub time: u64,
    /// What boot time is ahead of `time`.
    pub boot_offset: u64,
    /// What TAI is ahead of `time`.
    pub tai_offset: u64,
    /// Jiffies.
    pub jiffies: u64,
    /// State of the random numbers: same state, same numbers.
    pub random: u64,
    /// Memory of the process.
    pub user: Memory,
    /// Memory of the kernel beyond what the program itself owns.
    pub kernel: Memory,
    /// User stack, innermost return address first.
    pub user_stack: Vec<u64>,
    /// Kernel stack, likewise.
    pub kernel_stack: Vec<u64>,
    /// Bytes that the rings hold before they are full.
    pub ring_limit: usize,
    /// Records sent so far; the caller clears them.
    pub records: Records,
    /// Signals sent so far: number, and whether only to the thread.
    pub signals: Vec<(i32, bool)>,
    /// Set where a recorded run is run again.
    pub told: Option<Told>,
}

impl Default for World {
    /// Pid and tid 1000, comm `baretrace`, one second after boot, nothing mapped, rings without limit.
    fn default() -> Self {
        World {
            pid: 1000,
            tid: 1000,
            uid: 1000,
            gid: 1000,
            comm: *b"baretrace\0\0\0\0\0\0\0",
            cpu: 0,
            node: 0,
            cgroup: 1,
            cookie: 0,
            func_ip: 0x40_1000,
            task: 0xffff_8880_0010_0000,
            time: 1_000_000_000,
            boot_offset: 0,
            tai_offset: 0,
            jiffies: 4_294_667_296,
            random: 0x9e37_79b9_7f4a_7c15,
            user: Memory::new(),
            kernel: Memory::new(),
            user_stack: Vec::new(),
            kernel_stack: Vec::new(),
            ring_limit: usize::MAX,
            records: Records::default(),
            signals: Vec::new(),
            told: None,
        }
    }
}

impl World {
    /// The next pseudo-random number (xorshift64*).
    pub(super) fn next_random(&mut self) -> u32 {
        let mut x = self.random | 1;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random = x;
        u32::try_from(x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32).unwrap_or(0)
    }
}
