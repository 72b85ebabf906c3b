//! Processes: start one held at its first instruction, notice its end, know one's own capabilities.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{fs::FileExt, process::CommandExt},
    },
    process::{Child, Command},
    thread::{self, JoinHandle},
};

/// Starts `command` so that it stops with `SIGTRAP` right after its execve, its binary mapped and nothing of it run.
///
/// The calling thread is its tracer: it alone can wait for the stop and let go.
///
/// # Errors
/// What fork or execve said.
pub fn spawn_traced(command: &mut Command) -> io::Result<Child> {
    // SAFETY: between fork and exec the closure makes one async-signal-safe system call and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            if libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command.spawn()
}

/// A command before its execve: it waits for a byte, or the end, of a pipe.
#[derive(Debug)]
pub struct Prepared {
    /// Its process id.
    pub pid: u32,
    go: Option<File>,
    spawned: JoinHandle<io::Result<Child>>,
}

impl Prepared {
    /// Forks, and comes back once the new process waits.
    ///
    /// # Errors
    /// What pipe or fork said.
    pub fn start(mut command: Command) -> io::Result<Prepared> {
        let (mut told, tell) = io::pipe()?;
        let (wait, go) = io::pipe()?;
        // Should this process be killed meanwhile, its end of the pipe goes, and the command does not start.
        let (tell_fd, wait_fd, go_fd) = (tell.as_raw_fd(), wait.as_raw_fd(), go.as_raw_fd());
        // SAFETY: between fork and exec the closure makes async-signal-safe system calls on descriptors that live until
        // spawn returns, with buffers of its own, and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                libc::close(go_fd);
                let pid = libc::getpid().to_ne_bytes();
                let mut byte = [0u8; 1];
                if libc::write(tell_fd, pid.as_ptr().cast(), pid.len()) != 4
                    || libc::read(wait_fd, byte.as_mut_ptr().cast(), 1) != 1
                {
                    return Err(io::Error::from_raw_os_error(libc::ECANCELED));
                }
                Ok(())
            });
        }
        let spawned = thread::spawn(move || {
            let child = command.spawn();
            drop((tell, wait));
            child
        });
        let mut pid = [0; 4];
        match told.read_exact(&mut pid) {
            Ok(()) => Ok(Prepared {
                pid: u32::from_ne_bytes(pid),
                go: Some(File::from(OwnedFd::from(go))),
                spawned,
            }),
            Err(err) => match spawned.join() {
                Ok(Err(said)) => Err(said),
                _ => Err(err),
            },
        }
    }

    /// Lets it execute its program.
    ///
    /// # Errors
    /// What execve said.
    pub fn go(mut self) -> io::Result<Child> {
        if let Some(mut go) = self.go.take() {
            go.write_all(&[1])?;
        }
        match self.spawned.join() {
            Ok(child) => child,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Ends it before its program has begun.
    pub fn cancel(mut self) {
        drop(self.go.take());
        // It says that it was cancelled.
        let _ = self.spawned.join();
    }
}

/// pidfd_open(2): a descriptor that becomes readable when the process ends.
///
/// # Errors
/// The kernel's: `ESRCH` for no such process.
pub fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: two integers, no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `struct __user_cap_header_struct` and two of `struct __user_cap_data_struct` (`include/uapi/linux/capability.h`).
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

fn capget_all() -> io::Result<[CapData; 2]> {
    let mut header = CapHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 fills two data structs, which is what `data` has room for.
    let ret = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(data)
}

/// capget(2): effective capabilities of this thread, bit n for capability n.
///
/// # Errors
/// The kernel's.
pub fn effective_capabilities() -> io::Result<u64> {
    let data = capget_all()?;
    Ok(u64::from(data[0].effective) | u64::from(data[1].effective) << 32)
}

/// capset(2): gives up every effective and permitted capability of this thread that is not in `keep`.
///
/// # Errors
/// The kernel's.
pub fn keep_capabilities(keep: u64) -> io::Result<()> {
    let mut data = capget_all()?;
    for (half, bits) in data.iter_mut().zip([keep as u32, (keep >> 32) as u32]) {
        half.effective &= bits;
        half.permitted &= bits;
        half.inheritable &= bits;
    }
    let header = CapHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    // SAFETY: version 3 reads two data structs, which is what `data` has.
    let ret = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Raises `RLIMIT_MEMLOCK` to infinity: kernels before 5.11 charge maps and programs to it.
///
/// # Errors
/// The kernel's; alone it is no reason to give up.
pub fn unlimit_memlock() -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: reads one live rlimit struct.
    if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Gives memory that was freed back to the kernel, where the C library keeps it.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number, and locks the allocator by itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives back the pages of this program's own code and constants: what is used again comes from the page cache. Writable
/// parts stay, and so does a part that somebody else has written to (a breakpoint).
pub fn trim_program() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return;
    };
    let Ok(pages) = File::open("/proc/self/pagemap") else {
        return;
    };
    let page = super::mmap::page_size();
    for line in maps.lines() {
        // `START-END r-xp OFFSET DEVICE INODE PATH`. Relocated constants are `r--p` too, and have been written to.
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some("r-xp" | "r--p"), Some(path)) =
            (words.next(), words.next(), words.nth(3))
        else {
            continue;
        };
        let bounds = range.split_once('-').and_then(|(start, end)| {
            let address = |text| usize::from_str_radix(text, 16).ok();
            Some((address(start)?, address(end)?))
        });
        let Some((start, end)) = bounds.filter(|_| path.starts_with('/')) else {
            continue;
        };
        let mut entries = vec![0; (end - start) / page * PAGEMAP_ENTRY];
        let at = (start / page * PAGEMAP_ENTRY) as u64;
        if pages.read_exact_at(&mut entries, at).is_ok() && is_as_in_file(&entries) {
            // SAFETY: a private mapping of a file, not writable, none of whose pages differ from the file: they read the
            // same when they are mapped again.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
}

/// Bytes of an entry of `/proc/PID/pagemap`.
const PAGEMAP_ENTRY: usize = 8;

/// Whether all pages that are there are the file's (`Documentation/admin-guide/mm/pagemap.rst`): present 63, swapped 62, of a
/// file or shared 61.
fn is_as_in_file(entries: &[u8]) -> bool {
    let (entries, _) = entries.as_chunks::<PAGEMAP_ENTRY>();
    entries
        .iter()
        .all(|entry| matches!(u64::from_ne_bytes(*entry) >> 61, 0b000 | 0b101))
}

/// Large pieces of memory go back to the kernel as soon as they are freed, however often they are asked for.
pub fn give_back_large() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes numbers, and locks the allocator by itself.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds: the clock of records and of `bpf_ktime_get_ns`.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes one live timespec; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    (now.tv_sec as u64) * 1_000_000_000 + now.tv_nsec as u64
}
