//! perf_event_open(2): the events that programs run on, and the ones that carry their output.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    io,
    mem::{offset_of, size_of},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use super::{
    names,
    trace::{self, Field, Held},
    uapi,
};

/// `struct perf_event_attr` of `include/uapi/linux/perf_event.h`; its bit fields are the one word `flags`.
#[repr(C)]
#[derive(Default)]
struct Attr {
    kind: u32,
    size: u32,
    config: u64,
    /// Period, or frequency with `PERF_ATTR_FREQ`.
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    /// Events, or bytes with `PERF_ATTR_WATERMARK`.
    wakeup: u32,
    bp_type: u32,
    /// `bp_addr`, or `uprobe_path`.
    config1: u64,
    /// `bp_len`, or `probe_offset`.
    config2: u64,
    branch_sample_type: u64,
    sample_regs_user: u64,
    sample_stack_user: u32,
    clockid: i32,
    sample_regs_intr: u64,
    aux_watermark: u32,
    sample_max_stack: u16,
    reserved_2: u16,
    aux_sample_size: u32,
    reserved_3: u32,
    sig_data: u64,
    config3: u64,
}

const _: () = {
    assert!(size_of::<Attr>() == 136);
    assert!(offset_of!(Attr, flags) == 40);
    assert!(offset_of!(Attr, wakeup) == 48);
    assert!(offset_of!(Attr, config1) == 56);
    assert!(offset_of!(Attr, config2) == 64);
    assert!(offset_of!(Attr, clockid) == 92);
    assert!(offset_of!(Attr, aux_watermark) == 104);
    assert!(offset_of!(Attr, sig_data) == 120);
};

/// Bits of the flag word in words.
const FLAGS: &[(u64, &str)] = &[
    (uapi::PERF_ATTR_DISABLED, "disabled"),
    (uapi::PERF_ATTR_INHERIT, "inherit"),
    (uapi::PERF_ATTR_FREQ, "freq"),
    (uapi::PERF_ATTR_WATERMARK, "watermark"),
    (uapi::PERF_ATTR_USE_CLOCKID, "use_clockid"),
    (uapi::PERF_ATTR_INHERIT_THREAD, "inherit_thread"),
];

impl Attr {
    /// `config` in words; what it says depends on the type.
    fn config(&self) -> Held {
        let config = self.config;
        let name = names::at(names::SOFTWARE, config);
        match (self.kind, name) {
            (uapi::PERF_TYPE_SOFTWARE, Some(name)) => {
                Held::Words(format!("{config} PERF_COUNT_SW_{name}"))
            }
            (6.., _) => Held::Words(format!(
                "{config:#x}  return {}, ref_ctr_offset {:#x}",
                config & 1,
                config >> 32
            )),
            _ => Held::Number(config),
        }
    }

    /// What is in it, for who watches, by the names that its unions have for that type of event.
    fn fields(&self) -> Vec<Field> {
        let is = |bit: u64| self.flags & bit != 0;
        let set = FLAGS.iter().filter(|(bit, _)| is(*bit));
        let flags: Vec<&str> = set.map(|(_, name)| *name).collect();
        let pick = |yes: bool, a, b| if yes { a } else { b };
        let sample = [
            (uapi::PERF_SAMPLE_TIME, "PERF_SAMPLE_TIME"),
            (uapi::PERF_SAMPLE_RAW, "PERF_SAMPLE_RAW"),
        ];
        let sample = sample.iter().filter(|(bit, _)| self.sample_type & bit != 0);
        let sample: Vec<&str> = sample.map(|(_, name)| *name).collect();
        let breakpoint = self.kind == uapi::PERF_TYPE_BREAKPOINT;
        vec![
            Field("type", Held::Number(self.kind.into())),
            Field("size", Held::Number(self.size.into())),
            Field("config", self.config()),
            Field(
                pick(is(uapi::PERF_ATTR_FREQ), "sample_freq", "sample_period"),
                Held::Number(self.sample_period),
            ),
            Field("sample_type", Held::Words(sample.join("|"))),
            Field("flags", Held::Words(flags.join("|"))),
            Field(
                pick(
                    is(uapi::PERF_ATTR_WATERMARK),
                    "wakeup_watermark",
                    "wakeup_events",
                ),
                Held::Number(self.wakeup.into()),
            ),
            Field("bp_type", Held::Hex(self.bp_type.into())),
            Field(
                pick(breakpoint, "bp_addr", "uprobe_path"),
                Held::Hex(self.config1),
            ),
            Field(
                pick(breakpoint, "bp_len", "probe_offset"),
                Held::Hex(self.config2),
            ),
            Field("clockid", Held::Number(self.clockid as u64)),
        ]
    }
}

/// Whose events count: a pid on any CPU, everybody on one CPU, or a pid on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One process (or thread), wherever it runs.
    Pid(u32),
    /// Every process, on that CPU.
    Cpu(u32),
}

impl Scope {
    fn pid_cpu(self) -> (i32, i32) {
        match self {
            Scope::Pid(pid) => (pid as i32, -1),
            Scope::Cpu(cpu) => (-1, cpu as i32),
        }
    }
}

/// How often an event fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Every that many events (nanoseconds for `cpu-clock`).
    Period(u64),
    /// That many times a second.
    Frequency(u64),
}

/// A kprobe of the perf kind.
#[derive(Clone, Copy, Debug)]
pub struct Kprobe<'a> {
    /// The kprobe PMU's type on this machine: [`kprobe_pmu`].
    pub pmu: u32,
    /// The function.
    pub function: &'a CStr,
    /// Bytes into it.
    pub offset: u64,
    /// At function return.
    pub ret: bool,
}

/// A uprobe of the perf kind.
#[derive(Clone, Copy, Debug)]
pub struct Uprobe<'a> {
    /// The uprobe PMU's type on this machine: [`uprobe_pmu`].
    pub pmu: u32,
    /// The file.
    pub path: &'a CStr,
    /// Byte in the file.
    pub offset: u64,
    /// Semaphore's byte in the file; 0 for none.
    pub ref_ctr: u64,
    /// At function return.
    pub ret: bool,
}

/// # Safety
/// Pointers in `attr` must be null or valid for the call.
unsafe fn open(attr: &mut Attr, scope: Scope) -> io::Result<OwnedFd> {
    attr.size = size_of::<Attr>() as u32;
    let (pid, cpu) = scope.pid_cpu();
    let fields = trace::is_on().then(|| attr.fields());
    // SAFETY: `attr` is live and `size` bytes long; the caller vouches for the pointers in it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_mut(attr),
            pid,
            cpu,
            -1,
            uapi::PERF_FLAG_FD_CLOEXEC,
        )
    };
    let result = if fd < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(fd)
    };
    if let Some(fields) = fields {
        let head =
            format!("perf_event_open(attr, pid {pid}, cpu {cpu}, group -1, PERF_FLAG_FD_CLOEXEC)");
        let answer = result.as_ref().map(libc::c_long::to_string);
        trace::call(&head, &fields, &fields, answer);
    }
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    result.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The event behind a perf ring: `PERF_COUNT_SW_BPF_OUTPUT` on one CPU, samples with `RAW` and, where they are `timed`,
/// `TIME` (`CLOCK_MONOTONIC`), waking its reader each `watermark` bytes.
///
/// # Errors
/// The kernel's.
pub fn open_bpf_output(cpu: u32, watermark: u32, timed: bool) -> io::Result<OwnedFd> {
    let time = if timed { uapi::PERF_SAMPLE_TIME } else { 0 };
    let mut attr = Attr {
        kind: uapi::PERF_TYPE_SOFTWARE,
        config: uapi::PERF_COUNT_SW_BPF_OUTPUT,
        sample_period: 1,
        sample_type: time | uapi::PERF_SAMPLE_RAW,
        flags: uapi::PERF_ATTR_WATERMARK | uapi::PERF_ATTR_USE_CLOCKID,
        wakeup: watermark,
        clockid: libc::CLOCK_MONOTONIC,
        ..Default::default()
    };
    // SAFETY: the attr holds no pointers.
    unsafe { open(&mut attr, Scope::Cpu(cpu)) }
}

/// A software event (`PERF_COUNT_SW_*`).
///
/// # Errors
/// The kernel's: `EINVAL` for a frequency above `kernel.perf_event_max_sample_rate`.
pub fn open_software(config: u64, rate: Rate, scope: Scope) -> io::Result<OwnedFd> {
    open_counted(uapi::PERF_TYPE_SOFTWARE, config, rate, scope)
}

/// A hardware event (`PERF_COUNT_HW_*`).
///
/// # Errors
/// The kernel's: `ENOENT` where the processor, or its virtual machine, does not count it.
pub fn open_hardware(config: u64, rate: Rate, scope: Scope) -> io::Result<OwnedFd> {
    open_counted(uapi::PERF_TYPE_HARDWARE, config, rate, scope)
}

fn open_counted(kind: u32, config: u64, rate: Rate, scope: Scope) -> io::Result<OwnedFd> {
    let (period, freq) = match rate {
        Rate::Period(period) => (period, 0),
        Rate::Frequency(hertz) => (hertz, uapi::PERF_ATTR_FREQ),
    };
    let mut attr = Attr {
        kind,
        config,
        sample_period: period,
        flags: uapi::PERF_ATTR_DISABLED | freq,
        ..Default::default()
    };
    // SAFETY: the attr holds no pointers.
    unsafe { open(&mut attr, scope) }
}

/// A uprobe; it fires on all CPUs whatever the scope's CPU. The semaphore rises now, though the event is disabled.
///
/// # Errors
/// The kernel's.
pub fn open_uprobe(probe: &Uprobe<'_>, scope: Scope) -> io::Result<OwnedFd> {
    let mut attr = Attr {
        kind: probe.pmu,
        config: u64::from(probe.ret) | probe.ref_ctr << 32,
        sample_period: 1,
        flags: uapi::PERF_ATTR_DISABLED,
        wakeup: 1,
        config1: probe.path.as_ptr() as u64,
        config2: probe.offset,
        ..Default::default()
    };
    if probe.ref_ctr >> 32 != 0 {
        // The field in `config` has 32 bits.
        return Err(io::Error::from_raw_os_error(libc::EOVERFLOW));
    }
    trace::note("uprobe_path", || format!("{:?}", probe.path));
    // SAFETY: the path is NUL-terminated and live.
    unsafe { open(&mut attr, scope) }
}

/// A kprobe; it fires on all CPUs whatever the scope's CPU.
///
/// # Errors
/// The kernel's.
pub fn open_kprobe(probe: &Kprobe<'_>, scope: Scope) -> io::Result<OwnedFd> {
    let mut attr = Attr {
        kind: probe.pmu,
        config: u64::from(probe.ret),
        sample_period: 1,
        flags: uapi::PERF_ATTR_DISABLED,
        wakeup: 1,
        config1: probe.function.as_ptr() as u64,
        config2: probe.offset,
        ..Default::default()
    };
    trace::note("kprobe_func", || format!("{:?}", probe.function));
    // SAFETY: the name is NUL-terminated and live.
    unsafe { open(&mut attr, scope) }
}

/// A tracepoint, by its id in tracefs.
///
/// # Errors
/// The kernel's.
pub fn open_tracepoint(id: u64, scope: Scope) -> io::Result<OwnedFd> {
    let mut attr = Attr {
        kind: uapi::PERF_TYPE_TRACEPOINT,
        config: id,
        sample_period: 1,
        flags: uapi::PERF_ATTR_DISABLED,
        wakeup: 1,
        ..Default::default()
    };
    // SAFETY: the attr holds no pointers.
    unsafe { open(&mut attr, scope) }
}

/// A hardware breakpoint on `len` bytes at `addr`; `mode` is `HW_BREAKPOINT_*` bits. For a pid, new threads inherit it.
///
/// # Errors
/// The kernel's: `ENOSPC` when the processor's breakpoints are used up.
pub fn open_breakpoint(addr: u64, len: u64, mode: u32, scope: Scope) -> io::Result<OwnedFd> {
    let inherit = match scope {
        Scope::Pid(_) => uapi::PERF_ATTR_INHERIT | uapi::PERF_ATTR_INHERIT_THREAD,
        Scope::Cpu(_) => 0,
    };
    let mut attr = Attr {
        kind: uapi::PERF_TYPE_BREAKPOINT,
        sample_period: 1,
        flags: uapi::PERF_ATTR_DISABLED | inherit,
        wakeup: 1,
        bp_type: mode,
        config1: addr,
        config2: len,
        ..Default::default()
    };
    // SAFETY: `config1` is an address in the traced process that the kernel never reads through here.
    match unsafe { open(&mut attr, scope) } {
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) && inherit != 0 => {
            // Before 5.13 there is no inheritance by threads alone.
            attr.flags = uapi::PERF_ATTR_DISABLED;
            // SAFETY: as above.
            unsafe { open(&mut attr, scope) }
        }
        other => other,
    }
}

/// The uprobe PMU's type on this machine, from sysfs.
///
/// # Errors
/// What the file system said; `InvalidData` if the file holds no number.
pub fn uprobe_pmu() -> io::Result<u32> {
    pmu("uprobe")
}

/// The kprobe PMU's type on this machine, from sysfs: a kernel without kprobes has none.
///
/// # Errors
/// As of [`uprobe_pmu`].
pub fn kprobe_pmu() -> io::Result<u32> {
    pmu("kprobe")
}

fn pmu(name: &str) -> io::Result<u32> {
    let text = std::fs::read_to_string(format!("/sys/bus/event_source/devices/{name}/type"))?;
    text.trim()
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "PMU type is no number"))
}

fn ioctl(event: BorrowedFd<'_>, name: &str, request: u64, arg: i32) -> io::Result<()> {
    // SAFETY: the three requests used here take an integer, no pointer.
    let ret = unsafe { libc::ioctl(event.as_raw_fd(), request as _, arg) };
    let result = if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    };
    if trace::is_on() {
        let head = format!(
            "ioctl({}, PERF_EVENT_IOC_{name} {request:#x}, {arg})",
            event.as_raw_fd()
        );
        trace::call(&head, &[], &[], result.as_ref().map(|()| ret.to_string()));
    }
    result
}

/// `PERF_EVENT_IOC_SET_BPF`: the program runs on each event.
///
/// # Errors
/// The kernel's.
pub fn set_bpf(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let program = program.as_raw_fd();
    ioctl(event, "SET_BPF", uapi::PERF_EVENT_IOC_SET_BPF, program)
}

/// `PERF_EVENT_IOC_ENABLE`.
///
/// # Errors
/// The kernel's.
pub fn enable(event: BorrowedFd<'_>) -> io::Result<()> {
    ioctl(event, "ENABLE", uapi::PERF_EVENT_IOC_ENABLE, 0)
}

/// `PERF_EVENT_IOC_DISABLE`.
///
/// # Errors
/// The kernel's.
pub fn disable(event: BorrowedFd<'_>) -> io::Result<()> {
    ioctl(event, "DISABLE", uapi::PERF_EVENT_IOC_DISABLE, 0)
}
