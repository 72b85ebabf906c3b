//! Attachments: a loaded program and a place become something that fires until it is dropped.

use std::{
    error,
    ffi::CString,
    fmt, fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    thread,
};

use crate::{
    kernel::{detect::Situation, tracefs},
    spec::{AttachSpec, Features, Interval, ProgramKind, UserSite},
    sys::{
        bpf,
        errno::{Described, ENOTSUPP},
        perf::{self, Rate, Scope},
        uapi,
    },
};

/// How user probes are attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// By `uprobe_multi` links where the kernel has them, by perf events where not.
    #[default]
    Auto,
    /// By `uprobe_multi` links only.
    Multi,
    /// By perf events only.
    Perf,
}

impl AttachMode {
    /// Whether links are used on a kernel with those features. Programs must be *loaded* for it, too.
    ///
    /// # Errors
    /// [`AttachError`] where links are asked for and not there.
    pub fn multi(self, features: &Features) -> Result<bool, AttachError> {
        match self {
            AttachMode::Auto => Ok(features.uprobe_multi),
            AttachMode::Perf => Ok(false),
            AttachMode::Multi if features.uprobe_multi => Ok(true),
            AttachMode::Multi => Err(AttachError {
                what: "by uprobe_multi links".to_owned(),
                call: "bpf(BPF_LINK_CREATE)",
                source: io::Error::from_raw_os_error(libc::EOPNOTSUPP),
                hint: Hint::NoMulti,
            }),
        }
    }
}

/// What attaching depends on besides the spec.
#[derive(Clone, Copy, Debug)]
pub struct AttachOptions<'a> {
    /// User probes go by `uprobe_multi` links: [`AttachMode::multi`], as the programs were loaded.
    pub multi: bool,
    /// Online CPUs.
    pub cpus: &'a [u32],
    /// Timed and counted events are those of this process alone.
    pub pid: Option<u32>,
}

/// A program attached somewhere; dropping detaches it. A link with user probes waits for grace periods of 20 to 50 ms, however
/// many its sites; several wait together ([`detach`]). Each perf uprobe waits about 0.1 s, one after the other (closing
/// them from several threads is no faster).
#[derive(Debug, Default)]
pub struct Attachment {
    links: Vec<OwnedFd>,
    events: Vec<OwnedFd>,
}

impl Attachment {
    /// How many kernel objects hold it.
    pub fn len(&self) -> usize {
        self.links.len() + self.events.len()
    }

    /// What one link holds.
    fn of_link(link: OwnedFd) -> Attachment {
        Attachment {
            links: vec![link],
            events: Vec::new(),
        }
    }

    /// The link, where one holds it.
    pub fn link(&self) -> Option<BorrowedFd<'_>> {
        self.links.first().map(AsFd::as_fd)
    }

    /// Whether nothing holds it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Threads that detach at once, at most.
const DETACHING: usize = 16;

/// Detaches all of them, the links at the same time: five take 60 ms instead of 155.
pub fn detach(attached: &mut Vec<Attachment>) {
    let many = attached.len().div_ceil(DETACHING).max(1);
    thread::scope(|scope| {
        // The last ones are this thread's own, as are those for which there is no thread.
        while attached.len() > many {
            let some = attached.split_off(attached.len() - many);
            let begun = thread::Builder::new().spawn_scoped(scope, move || drop(some));
            if begun.is_err() {
                break;
            }
        }
        attached.clear();
    });
}

/// What is known of a failure beyond its errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    None,
    NoMulti,
    BySession,
    User { ref_ctr: bool, perf: bool },
    Frequency,
    Breakpoint,
    Hardware,
    Kprobe,
    Event,
}

/// Why something could not be attached.
#[derive(Debug)]
pub struct AttachError {
    what: String,
    call: &'static str,
    source: io::Error,
    hint: Hint,
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AttachError {
            what, call, source, ..
        } = self;
        match self.hint {
            Hint::BySession => write!(f, "attach {what}: the kernel has no event for it"),
            _ => write!(f, "attach {what}: {call}: {}", Described(source)),
        }
    }
}

impl error::Error for AttachError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

impl AttachError {
    /// What the system said.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        let errno = self.errno()?;
        let text = match (self.hint, errno) {
            (Hint::NoMulti, _) => {
                "the kernel has uprobe_multi links from 6.6 on, sound ones from 6.10; use `--attach perf`"
            }
            (hint, libc::EPERM | libc::EACCES) => {
                let perf = matches!(hint, Hint::User { perf: true, .. });
                return Some(Situation::now().refusal(perf));
            }
            (Hint::User { ref_ctr: true, .. }, libc::EINVAL) => {
                "another tracer may hold one of these sites with another semaphore, or without one: stop it first"
            }
            (Hint::User { .. }, libc::EINVAL) => {
                "another tracer may hold one of these sites with a semaphore, or an offset lies outside the file"
            }
            (Hint::User { .. }, libc::ENOENT) => "there is no such file any more",
            (Hint::User { .. }, libc::EBADF) => "it is not a regular file",
            (Hint::User { .. } | Hint::Breakpoint, libc::ESRCH) => "that process has ended",
            (Hint::User { .. }, libc::EIO) => "the kernel cannot read code from that file system",
            (Hint::User { .. }, libc::EOPNOTSUPP | ENOTSUPP) => {
                "the kernel cannot probe the instruction at that offset"
            }
            (Hint::User { perf: true, .. }, libc::EOVERFLOW) => {
                "perf uprobes take semaphores below 4 GiB of the file only"
            }
            (Hint::Hardware, libc::ENOENT | libc::EOPNOTSUPP) => {
                "the processor does not count that here; virtual machines often count nothing: use `profile` or `software`"
            }
            (Hint::Kprobe, libc::ENOENT) => {
                "this kernel has no kprobes (CONFIG_KPROBES), or not at that function: use `fentry`, `tracepoint` or `rawtracepoint`"
            }
            (Hint::Kprobe, libc::EINVAL | libc::EADDRNOTAVAIL) => {
                "the kernel cannot probe that function (it may be inlined or marked `notrace`): use a `tracepoint`"
            }
            (Hint::Event, libc::ENOENT) => {
                "the kernel has no such event any more: a module may be gone"
            }
            (_, libc::EMFILE) => "raise the limit of open files (ulimit -n)",
            (Hint::Frequency, libc::EINVAL) => "it may be above kernel.perf_event_max_sample_rate",
            (Hint::Breakpoint, libc::ENOSPC) => {
                "the processor has 4 breakpoints (x86-64), and all are in use"
            }
            (Hint::Breakpoint, libc::EINVAL) => {
                "the address must be a multiple of the length, which is 1, 2, 4 or 8"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Whether the kernel fires that attachment itself. The session runs the others with [`run_raw_tp`].
pub fn is_kernel_event(kind: ProgramKind, spec: &AttachSpec) -> bool {
    match spec {
        AttachSpec::Begin | AttachSpec::End | AttachSpec::Signal(_) | AttachSpec::Manual(_) => {
            false
        }
        AttachSpec::Interval(_) => kind == ProgramKind::PerfEvent,
        AttachSpec::Profile(_)
        | AttachSpec::Software { .. }
        | AttachSpec::Hardware { .. }
        | AttachSpec::Tracepoint { .. }
        | AttachSpec::RawTracepoint(_)
        | AttachSpec::Trampoline { .. }
        | AttachSpec::Iter { .. }
        | AttachSpec::Kprobe { .. }
        | AttachSpec::User { .. }
        | AttachSpec::Watch { .. } => true,
    }
}

/// Runs a raw-tracepoint program once, now, on this CPU. Returns its `r0`.
///
/// # Errors
/// The kernel's.
pub fn run_raw_tp(program: BorrowedFd<'_>) -> io::Result<u32> {
    bpf::test_run(program, bpf::TestRun::default()).map(|(retval, _)| retval)
}

/// Attaches `program` at `spec`. It fires from now on.
///
/// # Errors
/// [`AttachError`]; nothing stays attached then.
pub fn attach(
    program: BorrowedFd<'_>,
    spec: &AttachSpec,
    options: &AttachOptions<'_>,
) -> Result<Attachment, AttachError> {
    match spec {
        AttachSpec::Begin | AttachSpec::End | AttachSpec::Signal(_) | AttachSpec::Manual(_) => {
            Err(AttachError {
                what: describe(spec),
                call: "",
                source: io::Error::from_raw_os_error(libc::EINVAL),
                hint: Hint::BySession,
            })
        }
        AttachSpec::Interval(every) => {
            let cpus = options.cpus.get(..1).unwrap_or_default();
            let open =
                |scope| perf::open_software(uapi::PERF_COUNT_SW_CPU_CLOCK, rate(*every), scope);
            counted(program, spec, rate(*every), &on_cpus(cpus), open)
        }
        AttachSpec::Profile(every) => {
            let open =
                |scope| perf::open_software(uapi::PERF_COUNT_SW_CPU_CLOCK, rate(*every), scope);
            counted(program, spec, rate(*every), &scopes(options), open)
        }
        AttachSpec::Software { config, period } => {
            let rate = Rate::Period(*period);
            let open = |scope| perf::open_software(*config, rate, scope);
            counted(program, spec, rate, &scopes(options), open)
        }
        AttachSpec::Hardware { config, period } => {
            let rate = Rate::Period(*period);
            let open = |scope| perf::open_hardware(*config, rate, scope);
            counted(program, spec, rate, &scopes(options), open)
        }
        AttachSpec::Tracepoint { .. }
        | AttachSpec::RawTracepoint(_)
        | AttachSpec::Trampoline { .. }
        | AttachSpec::Iter { .. }
        | AttachSpec::Kprobe { .. } => kernel(program, spec, options.cpus),
        AttachSpec::User {
            path,
            sites,
            ret,
            pid,
        } => {
            let user = User {
                path,
                sites,
                ret: *ret,
                pid: *pid,
            };
            if options.multi {
                user.by_link(program)
            } else {
                user.by_perf(program, options.cpus)
            }
        }
        AttachSpec::Watch {
            addr,
            len,
            mode,
            pid,
        } => watch(program, spec, (*addr, *len, *mode), *pid, options.cpus),
    }
}

/// The attachment in words.
fn describe(spec: &AttachSpec) -> String {
    let every = |interval: &Interval| match interval {
        Interval::Nanos(ns) => format!("every {ns} ns"),
        Interval::Hertz(hz) => format!("at {hz} Hz"),
    };
    match spec {
        AttachSpec::Begin => "`begin`".to_owned(),
        AttachSpec::End => "`end`".to_owned(),
        AttachSpec::Signal(signal) => format!("signal {signal}"),
        AttachSpec::Manual(name) => format!("`{name}`"),
        AttachSpec::Interval(interval) => format!("interval {}", every(interval)),
        AttachSpec::Profile(interval) => format!("profile {}", every(interval)),
        AttachSpec::Software { config, .. } => format!("software event {config}"),
        AttachSpec::Hardware { config, .. } => format!("hardware event {config}"),
        AttachSpec::Tracepoint { system, name } => format!("tracepoint {system}:{name}"),
        AttachSpec::RawTracepoint(name) => format!("raw tracepoint {name}"),
        AttachSpec::Trampoline { function, .. } | AttachSpec::Kprobe { function, .. } => {
            format!("kernel function {function}")
        }
        AttachSpec::Iter { kind, .. } => format!("iterator {kind}"),
        AttachSpec::User { path, sites, .. } => {
            format!("{} sites of {}", sites.len(), path.display())
        }
        AttachSpec::Watch { addr, len, .. } => format!("watchpoint on {len} bytes at {addr:#x}"),
    }
}

fn rate(interval: Interval) -> Rate {
    match interval {
        Interval::Nanos(ns) => Rate::Period(ns),
        Interval::Hertz(hz) => Rate::Frequency(hz),
    }
}

/// Ties the program to an event and turns it on.
fn start(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), (&'static str, io::Error)> {
    perf::set_bpf(event, program).map_err(|e| ("ioctl(PERF_EVENT_IOC_SET_BPF)", e))?;
    enable(event)
}

fn enable(event: BorrowedFd<'_>) -> Result<(), (&'static str, io::Error)> {
    perf::enable(event).map_err(|e| ("ioctl(PERF_EVENT_IOC_ENABLE)", e))
}

/// As [`start`], for programs of the type `perf_event`: by a link, which names program and event to whoever looks at
/// what is loaded; nothing else does (`kernel/trace/bpf_trace.c: bpf_get_perf_event_info`). Before 5.15 there is none.
fn start_visibly(
    event: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> Result<Option<OwnedFd>, (&'static str, io::Error)> {
    match bpf::link_perf_event(program, event, 0) {
        Ok(link) => enable(event).map(|()| Some(link)),
        Err(_) => start(event, program).map(|()| None),
    }
}

fn on_cpus(cpus: &[u32]) -> Vec<Scope> {
    cpus.iter().copied().map(Scope::Cpu).collect()
}

/// Whose events count: those of one process, or all on each CPU.
fn scopes(options: &AttachOptions<'_>) -> Vec<Scope> {
    match options.pid {
        Some(pid) => threads(pid).into_iter().map(Scope::Pid).collect(),
        None => on_cpus(options.cpus),
    }
}

/// An event in each of the scopes.
fn counted(
    program: BorrowedFd<'_>,
    spec: &AttachSpec,
    rate: Rate,
    scopes: &[Scope],
    open: impl Fn(Scope) -> io::Result<OwnedFd>,
) -> Result<Attachment, AttachError> {
    let fail = |(call, source)| AttachError {
        what: describe(spec),
        call,
        source,
        hint: match (rate, spec) {
            (_, AttachSpec::Hardware { .. }) => Hint::Hardware,
            (Rate::Frequency(_), _) => Hint::Frequency,
            (Rate::Period(_), _) => Hint::None,
        },
    };
    let mut out = Attachment::default();
    for scope in scopes {
        let event = match open(*scope) {
            Ok(event) => event,
            // A thread that ended between listing and opening.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) && !out.is_empty() => continue,
            Err(e) => return Err(fail(("perf_event_open", e))),
        };
        out.links
            .extend(start_visibly(event.as_fd(), program).map_err(fail)?);
        out.events.push(event);
    }
    Ok(out)
}

/// A place in the kernel. One event, or link, serves all CPUs.
fn kernel(
    program: BorrowedFd<'_>,
    spec: &AttachSpec,
    cpus: &[u32],
) -> Result<Attachment, AttachError> {
    let hint = match spec {
        AttachSpec::Kprobe { .. } => Hint::Kprobe,
        AttachSpec::Tracepoint { .. } | AttachSpec::RawTracepoint(_) => Hint::Event,
        _ => Hint::None,
    };
    let fail = |(call, source)| AttachError {
        what: describe(spec),
        call,
        source,
        hint,
    };
    let scope = Scope::Cpu(cpus.first().copied().unwrap_or(0));
    let name = |text: &str| {
        CString::new(text).map_err(|_| fail(("name", io::ErrorKind::InvalidInput.into())))
    };
    let event = match spec {
        AttachSpec::Tracepoint { system, name } => {
            let id = tracefs::id(system, name).map_err(|e| fail(("read its id", e)))?;
            perf::open_tracepoint(id, scope)
        }
        AttachSpec::Kprobe {
            function,
            offset,
            ret,
        } => {
            let pmu = perf::kprobe_pmu().map_err(|e| fail(("read the kprobe PMU's type", e)))?;
            let probe = perf::Kprobe {
                pmu,
                function: &name(function)?,
                offset: *offset,
                ret: *ret,
            };
            perf::open_kprobe(&probe, scope)
        }
        AttachSpec::RawTracepoint(event) => {
            let link = bpf::open_raw_tracepoint(program, Some(&name(event)?))
                .map_err(|e| fail(("bpf(BPF_RAW_TRACEPOINT_OPEN)", e)))?;
            return Ok(Attachment::of_link(link));
        }
        AttachSpec::Iter { .. } => {
            let link = bpf::link_iter(program).map_err(|e| fail(("bpf(BPF_LINK_CREATE)", e)))?;
            return Ok(Attachment::of_link(link));
        }
        _ => {
            let link = bpf::open_raw_tracepoint(program, None)
                .map_err(|e| fail(("bpf(BPF_RAW_TRACEPOINT_OPEN)", e)))?;
            return Ok(Attachment::of_link(link));
        }
    };
    let event = event.map_err(|e| fail(("perf_event_open", e)))?;
    let link = start_visibly(event.as_fd(), program).map_err(fail)?;
    Ok(Attachment {
        links: link.into_iter().collect(),
        events: vec![event],
    })
}

/// `HW_BREAKPOINT_X`.
const EXECUTE: u32 = 4;

/// Breakpoints belong to a thread, so a process gets one for each; threads to come inherit them.
fn watch(
    program: BorrowedFd<'_>,
    spec: &AttachSpec,
    (addr, len, mode): (u64, u64, u32),
    pid: Option<u32>,
    cpus: &[u32],
) -> Result<Attachment, AttachError> {
    let fail = |(call, source)| AttachError {
        what: describe(spec),
        call,
        source,
        hint: Hint::Breakpoint,
    };
    let scopes: Vec<Scope> = match pid {
        Some(pid) => threads(pid).into_iter().map(Scope::Pid).collect(),
        None => cpus.iter().copied().map(Scope::Cpu).collect(),
    };
    // The kernel takes one length for instructions: a `long` (kernel/events, `hw_breakpoint_arch_parse`).
    let len = if mode == EXECUTE { 8 } else { len };
    let mut out = Attachment::default();
    for scope in scopes {
        let event = match perf::open_breakpoint(addr, len, mode, scope) {
            Ok(event) => event,
            // A thread that ended between listing and opening.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) && !out.is_empty() => continue,
            Err(e) => return Err(fail(("perf_event_open", e))),
        };
        out.links
            .extend(start_visibly(event.as_fd(), program).map_err(fail)?);
        out.events.push(event);
    }
    Ok(out)
}

/// The threads of a process, its first one first; that one alone where /proc does not tell.
fn threads(pid: u32) -> Vec<u32> {
    let mut out = vec![pid];
    if let Ok(dir) = fs::read_dir(format!("/proc/{pid}/task")) {
        for entry in dir.flatten() {
            match entry.file_name().to_string_lossy().parse::<u32>() {
                Ok(tid) if tid != pid => out.push(tid),
                _ => {}
            }
        }
    }
    out
}

/// A uprobe, uretprobe or USDT attachment.
struct User<'a> {
    path: &'a Path,
    sites: &'a [UserSite],
    ret: bool,
    pid: Option<u32>,
}

impl User<'_> {
    fn path(&self) -> Result<CString, AttachError> {
        CString::new(self.path.as_os_str().as_bytes()).map_err(|_| {
            self.error(
                None,
                false,
                "path",
                io::Error::from_raw_os_error(libc::EINVAL),
            )
        })
    }

    /// An error on one site, or on all of them.
    fn error(
        &self,
        site: Option<&UserSite>,
        perf: bool,
        call: &'static str,
        source: io::Error,
    ) -> AttachError {
        let path = self.path.display();
        let ref_ctr = |site: &UserSite| site.ref_ctr != 0;
        AttachError {
            what: match (site, self.sites) {
                (Some(site), _) | (None, [site]) => format!("{path} offset {:#x}", site.offset),
                (None, sites) => format!("{} sites of {path}", sites.len()),
            },
            call,
            source,
            hint: Hint::User {
                ref_ctr: site.map_or_else(|| self.sites.iter().any(ref_ctr), ref_ctr),
                perf,
            },
        }
    }

    fn by_link(&self, program: BorrowedFd<'_>) -> Result<Attachment, AttachError> {
        let path = self.path()?;
        let column = |field: fn(&UserSite) -> u64| -> Vec<u64> {
            let column: Vec<u64> = self.sites.iter().map(field).collect();
            if column.iter().all(|value| *value == 0) {
                return Vec::new();
            }
            column
        };
        let offsets: Vec<u64> = self.sites.iter().map(|site| site.offset).collect();
        let multi = bpf::UprobeMulti {
            path: &path,
            offsets: &offsets,
            ref_ctrs: &column(|site| site.ref_ctr),
            cookies: &column(|site| site.cookie),
            ret: self.ret,
            pid: self.pid.unwrap_or(0),
        };
        let link = bpf::link_uprobe_multi(program, &multi)
            .map_err(|e| self.error(None, false, "bpf(BPF_LINK_CREATE)", e))?;
        Ok(Attachment {
            links: vec![link],
            events: Vec::new(),
        })
    }

    fn by_perf(&self, program: BorrowedFd<'_>, cpus: &[u32]) -> Result<Attachment, AttachError> {
        let path = self.path()?;
        let pmu = perf::uprobe_pmu().map_err(|e| self.error(None, true, "uprobe PMU", e))?;
        // One event fires on all CPUs, whichever it is opened on.
        let scope = match self.pid {
            Some(pid) => Scope::Pid(pid),
            None => Scope::Cpu(cpus.first().copied().unwrap_or(0)),
        };
        let mut out = Attachment::default();
        for site in self.sites {
            let fail = |(call, source)| self.error(Some(site), true, call, source);
            let probe = perf::Uprobe {
                pmu,
                path: &path,
                offset: site.offset,
                ref_ctr: site.ref_ctr,
                ret: self.ret,
            };
            let event =
                perf::open_uprobe(&probe, scope).map_err(|e| fail(("perf_event_open", e)))?;
            if site.cookie == 0 {
                start(event.as_fd(), program).map_err(fail)?;
            } else {
                let link = bpf::link_perf_event(program, event.as_fd(), site.cookie)
                    .map_err(|e| fail(("bpf(BPF_LINK_CREATE)", e)))?;
                out.links.push(link);
                perf::enable(event.as_fd())
                    .map_err(|e| fail(("ioctl(PERF_EVENT_IOC_ENABLE)", e)))?;
            }
            out.events.push(event);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_follow_the_features() {
        let (new, old) = (Features::all(), Features::floor());
        assert!(AttachMode::Auto.multi(&new).unwrap());
        assert!(!AttachMode::Auto.multi(&old).unwrap());
        assert!(!AttachMode::Perf.multi(&new).unwrap());
        let refused = AttachMode::Multi.multi(&old).unwrap_err();
        assert!(refused.help().unwrap().contains("6.6"));
    }

    #[test]
    fn detaching_lets_go_of_all() {
        for count in [0, 1, 5, 40] {
            let pipes = (0..count).map(|_| io::pipe().unwrap());
            let (ends, mut attached): (Vec<_>, Vec<_>) = pipes
                .map(|(end, held)| (end, Attachment::of_link(held.into())))
                .unzip();
            detach(&mut attached);
            assert!(attached.is_empty());
            for mut end in ends {
                // The other end is closed.
                assert_eq!(io::Read::read(&mut end, &mut [0]).unwrap(), 0);
            }
        }
    }

    #[test]
    fn failures_name_thing_and_remedy() {
        let sites = [UserSite {
            offset: 0x1234,
            ref_ctr: 0x20,
            cookie: 0,
        }];
        let user = User {
            path: Path::new("/bin/x"),
            sites: &sites,
            ret: false,
            pid: None,
        };
        let error = user.error(
            None,
            false,
            "bpf(BPF_LINK_CREATE)",
            io::Error::from_raw_os_error(libc::EINVAL),
        );
        assert_eq!(
            error.to_string(),
            "attach /bin/x offset 0x1234: bpf(BPF_LINK_CREATE): Invalid argument (EINVAL)"
        );
        assert!(error.help().unwrap().contains("another tracer"));
    }
}
