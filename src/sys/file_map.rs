//! A file mapped read-only, so that reading a little of it costs a little.
#![allow(unsafe_code)]

use super::trace;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::NonNull;

/// The bytes of a regular file, mapped read-only and privately; unmapped on drop.
///
/// A file that somebody truncates while it is mapped raises `SIGBUS` in who touches its lost pages, as in every program
/// that maps files; installed binaries are replaced by renaming, which is harmless.
#[derive(Debug)]
pub struct FileMap {
    /// Dangling if `len` is 0.
    start: NonNull<u8>,
    len: usize,
}

impl FileMap {
    /// Maps the regular file at `path`.
    ///
    /// # Errors
    /// As `open(2)` and `mmap(2)`; `InvalidInput` for a directory, device or pipe.
    pub fn open(path: &Path) -> io::Result<FileMap> {
        // Looked at before it is opened: opening a pipe would wait for its writer.
        let meta = std::fs::metadata(path)?;
        if !meta.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let file = File::open(path)?;
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if len == 0 {
            return Ok(FileMap {
                start: NonNull::dangling(),
                len,
            });
        }
        // SAFETY: a new private read-only mapping at an address of the kernel's choice aliases nothing.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        let result = if at == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        };
        if trace::is_on() {
            let fd = file.as_raw_fd();
            let head = format!("mmap(0, {len}, PROT_READ, MAP_PRIVATE, {fd}, 0)");
            let _why = trace::because(|| format!("read `{}`", path.display()));
            trace::call(&head, &[], &[], result.as_ref().map(|()| format!("{at:p}")));
        }
        result?;
        let start = NonNull::new(at.cast()).ok_or(io::ErrorKind::InvalidData)?;
        // Few pages are touched, far apart: reading ahead would only cost memory.
        // SAFETY: the range is the mapping made above; advice changes no contents.
        unsafe { libc::madvise(at, len, libc::MADV_RANDOM) };
        Ok(FileMap { start, len })
    }
}

impl Deref for FileMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` is the first of `len` mapped readable bytes (or dangling and `len` is 0), which live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for FileMap {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: unmaps exactly the mapping that `open` made; no slice of it outlives `self`.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        }
    }
}

// SAFETY: the bytes are only read, from whatever thread.
unsafe impl Send for FileMap {}
// SAFETY: as above.
unsafe impl Sync for FileMap {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_what_is_in_the_file() {
        let path = std::env::current_exe().unwrap();
        let map = FileMap::open(&path).unwrap();
        assert_eq!(&map[..4], b"\x7fELF");
        assert_eq!(map.len() as u64, std::fs::metadata(&path).unwrap().len());
    }

    #[test]
    fn refuses_what_is_no_file() {
        let error = FileMap::open(Path::new("/")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let error = FileMap::open(Path::new("/no/such/file")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
