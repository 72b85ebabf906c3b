//! The one value of an array map, mapped: counters of programs that are read without a system call.
#![allow(unsafe_code)]

use super::{mmap::page_size, trace};
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

/// A value of an array made with `BPF_F_MMAPABLE`, as words; unmapped on drop.
#[derive(Debug)]
pub struct MapView {
    start: NonNull<u8>,
    words: usize,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and its words are only read, atomically.
unsafe impl Send for MapView {}

impl MapView {
    /// Maps the first `size` bytes of the map's contents.
    ///
    /// # Errors
    /// As `mmap(2)`; `ENOTSUPP` for a map made without the flag.
    pub fn new(map: BorrowedFd<'_>, size: usize) -> io::Result<MapView> {
        let len = size.max(8).next_multiple_of(page_size());
        // SAFETY: a new shared read-only mapping at an address of the kernel's choice aliases nothing.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                0,
            )
        };
        let result = if at == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        };
        if trace::is_on() {
            let fd = map.as_raw_fd();
            let head = format!("mmap(0, {len}, PROT_READ, MAP_SHARED, {fd}, 0)");
            trace::call(&head, &[], &[], result.as_ref().map(|()| format!("{at:p}")));
        }
        result?;
        let start = NonNull::new(at.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(MapView {
            start,
            words: size / 8,
            len,
        })
    }

    /// Word `index`, as it is now; 0 outside of the value.
    pub fn word(&self, index: usize) -> u64 {
        if index >= self.words {
            return 0;
        }
        // SAFETY: the word is inside the mapping, aligned, and only accessed atomically.
        let word = unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(8 * index).cast()) };
        word.load(Ordering::Acquire)
    }
}

impl Drop for MapView {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly the mapping that `new` made; nothing of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
