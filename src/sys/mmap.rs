//! The mmapped ring of a perf event: bytes, head and tail in the right order. Parsing is done elsewhere, in safe code.
#![allow(unsafe_code)]

use super::trace;
use std::{
    io::{self, Read},
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

/// Offsets in `struct perf_event_mmap_page` (`include/uapi/linux/perf_event.h`).
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;

/// A mapped perf ring. The kernel writes between head and the *published* tail; we read between our tail and the head
/// as it was at the last [`PerfMap::refresh`], so the slices handed out are never written to while borrowed.
///
/// ```text
///        published ≤ tail ≤ head ≤ published + size     (counts of bytes since the ring began, taken modulo size)
/// page 0: header │ pages 1..: data, size = power of two pages
/// ```
#[derive(Debug)]
pub struct PerfMap {
    base: NonNull<u8>,
    page: usize,
    size: usize,
    head: u64,
    tail: u64,
    published: u64,
}

// SAFETY: the mapping belongs to the process, not to a thread, and `PerfMap` is its only owner.
unsafe impl Send for PerfMap {}

/// Bytes of a page on this machine.
pub fn page_size() -> usize {
    // SAFETY: sysconf reads a constant.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

impl PerfMap {
    /// Maps the ring of `event` with at least `size` bytes of data, rounded up to a power of two of pages.
    ///
    /// # Errors
    /// The kernel's: `EPERM` above what may be locked (`kernel.perf_event_mlock_kb`), `ENOMEM`.
    pub fn new(event: BorrowedFd<'_>, size: usize) -> io::Result<PerfMap> {
        let page = page_size();
        let size = size
            .max(page)
            .checked_next_power_of_two()
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        // SAFETY: a fresh shared mapping at an address of the kernel's choice; nothing else refers to it.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                page + size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                event.as_raw_fd(),
                0,
            )
        };
        let result = if base == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        };
        if trace::is_on() {
            let fd = event.as_raw_fd();
            let head =
                format!("mmap(0, {page} + {size}, PROT_READ|PROT_WRITE, MAP_SHARED, {fd}, 0)");
            trace::call(
                &head,
                &[],
                &[],
                result.as_ref().map(|()| format!("{base:p}")),
            );
        }
        result?;
        let base =
            NonNull::new(base.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?;
        Ok(PerfMap {
            base,
            page,
            size,
            head: 0,
            tail: 0,
            published: 0,
        })
    }

    /// As [`PerfMap::new`], but this process runs on meanwhile.
    ///
    /// The kernel allocates and zeroes a ring inside mmap(2), holding the lock of the address space: a thread of this
    /// process that takes a page fault would wait for 64 MB to be zeroed. So a child with an address space of its own maps
    /// it first; mapping it here, too, takes no memory and little time.
    ///
    /// # Errors
    /// As [`PerfMap::new`].
    pub fn new_aside(event: BorrowedFd<'_>, size: usize) -> io::Result<PerfMap> {
        let size = size.max(page_size()).next_power_of_two();
        let child = Aside::map(event, page_size() + size);
        let map = PerfMap::new(event, size);
        drop(child);
        map
    }

    /// Bytes of data.
    pub fn size(&self) -> usize {
        self.size
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: both words lie in the mapped header page, 8-byte aligned, and are only accessed atomically.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }

    /// Looks how far the kernel has written. Returns the bytes now unread.
    pub fn refresh(&mut self) -> usize {
        // Acquire pairs with the kernel's barrier before its store of data_head: the data up to it is visible.
        let head = self.word(DATA_HEAD).load(Ordering::Acquire);
        // A head outside the window would be a broken kernel; nothing is read then.
        if head.wrapping_sub(self.published) <= self.size as u64 && head >= self.head {
            self.head = head;
        }
        (self.head - self.tail) as usize
    }

    /// The unread bytes as of the last refresh: one slice, and a second where they wrap.
    pub fn unread(&self) -> (&[u8], &[u8]) {
        let len = (self.head - self.tail) as usize;
        let start = (self.tail % self.size as u64) as usize;
        let first = len.min(self.size - start);
        // SAFETY: published ≤ tail ≤ head ≤ published + size (kept by `refresh`, `consume`, `publish`), so both ranges lie
        // in the data pages and the kernel does not write there before the tail is published, which needs `&mut self`.
        unsafe {
            let data = self.base.as_ptr().add(self.page);
            (
                std::slice::from_raw_parts(data.add(start), first),
                std::slice::from_raw_parts(data, len - first),
            )
        }
    }

    /// Steps over `len` bytes; the kernel may not have them back yet.
    pub fn consume(&mut self, len: usize) {
        self.tail = self.head.min(self.tail + len as u64);
    }

    /// Bytes stepped over and not yet given back.
    pub fn unpublished(&self) -> usize {
        (self.tail - self.published) as usize
    }

    /// Gives the kernel back all that was stepped over.
    pub fn publish(&mut self) {
        if self.published != self.tail {
            // Release: our reads are done before the kernel may write there.
            self.word(DATA_TAIL).store(self.tail, Ordering::Release);
            self.published = self.tail;
        }
    }
}

impl Drop for PerfMap {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, of that length, which no slice outlives.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.page + self.size) };
    }
}

/// A child that has mapped something, and keeps it mapped until this is dropped.
struct Aside {
    pid: libc::c_long,
    /// Should this process be killed, its end of the pipe goes, and the child with it.
    _go: io::PipeWriter,
}

impl Aside {
    /// Has a child map `len` bytes of `event`, and waits for it to have done so, or to have failed: that says nothing.
    fn map(event: BorrowedFd<'_>, len: usize) -> io::Result<Aside> {
        let (mut told, tell) = io::pipe()?;
        let (wait, go) = io::pipe()?;
        let fds = [event.as_raw_fd(), tell.as_raw_fd(), wait.as_raw_fd()];
        let (told_fd, go_fd) = (told.as_raw_fd(), go.as_raw_fd());
        // SAFETY: clone(2) with no flags is fork(2) without a signal at the end. The child makes async-signal-safe system
        // calls on descriptors and a stack of its own, allocates nothing, and leaves with _exit.
        let pid = unsafe {
            let pid = libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0);
            if pid == 0 {
                libc::close(told_fd);
                libc::close(go_fd);
                let prot = libc::PROT_READ | libc::PROT_WRITE;
                libc::mmap(std::ptr::null_mut(), len, prot, libc::MAP_SHARED, fds[0], 0);
                let mut byte = 0u8;
                libc::write(fds[1], (&raw const byte).cast(), 1);
                libc::read(fds[2], (&raw mut byte).cast(), 1);
                libc::_exit(0);
            }
            pid
        };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        drop((tell, wait));
        let child = Aside { pid, _go: go };
        told.read_exact(&mut [0])?;
        Ok(child)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let pid = self.pid as libc::pid_t;
        // SAFETY: a signal to a child that has not been waited for, then waiting for it.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::perf;
    use std::os::fd::AsFd;

    #[test]
    fn a_ring_mapped_aside_is_the_same_ring() {
        let Ok(event) = perf::open_bpf_output(0, 1, true) else {
            return;
        };
        let size = 256 << 10;
        let map = PerfMap::new_aside(event.as_fd(), size).unwrap();
        assert_eq!(map.size(), size);
        assert_eq!(map.unread(), (&[][..], &[][..]));
        // Twice the size is another ring: the one there is has its size.
        assert!(PerfMap::new(event.as_fd(), 2 * size).is_err());
    }
}
