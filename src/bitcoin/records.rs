//! A file of records that stays whole to its last one, whatever happens.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
};

/// Each write is one record: all of it is written, or the file stays as it was before it.
///
/// A record goes out in one system call, so that a process that is killed leaves it out or whole.
#[derive(Debug)]
pub(super) struct Records {
    file: File,
    /// Bytes of whole records.
    whole: u64,
}

impl Records {
    /// Goes on at the end of `file`.
    ///
    /// # Errors
    /// As `fstat(2)`.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let whole = file.metadata()?.len();
        Ok(Records { file, whole })
    }
}

impl Write for Records {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(record)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match write_all(&mut self.file, &mut parts.to_vec()) {
            Ok(written) => {
                self.whole += written as u64;
                Ok(written)
            }
            Err(err) => {
                // What is no regular file has no length to go back to.
                let _ = self.file.set_len(self.whole);
                Err(err)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a record that lies in several places, without putting it together.
///
/// # Errors
/// What writing answered.
pub(super) fn write_parts(out: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    let mut parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    write_all(out, &mut parts).map(|_| ())
}

/// `write_all` of several places; returns how many bytes that were.
fn write_all(out: &mut impl Write, mut parts: &mut [IoSlice<'_>]) -> io::Result<usize> {
    let mut written = 0;
    // What is empty is stepped over: writing nothing would look like an end.
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match out.write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                written += count;
                IoSlice::advance_slices(&mut parts, count);
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most three bytes at a time.
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let part = &bytes[..bytes.len().min(3)];
            self.0.extend(part);
            Ok(part.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn parts_come_out_in_order_however_slowly() {
        let mut out = Slow(Vec::new());
        write_parts(&mut out, &[b"", b"abcd", b"", b"efghijk", b""]).unwrap();
        assert_eq!(out.0, b"abcdefghijk");
        write_parts(&mut out, &[b""]).unwrap();
    }

    #[test]
    fn a_record_that_does_not_fit_leaves_the_file_as_it_was() {
        let path = std::env::temp_dir().join(format!("baretrace-records-{}", std::process::id()));
        let mut records = Records::new(File::create(&path).unwrap()).unwrap();
        write_parts(&mut records, &[b"one", b"two"]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
        assert_eq!(records.whole, 6);
        std::fs::remove_file(&path).unwrap();
        let mut full = Records::new(File::create("/dev/full").unwrap()).unwrap();
        assert!(write_parts(&mut full, &[b"one", b"two"]).is_err());
    }
}
