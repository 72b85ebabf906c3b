//! A file of records that stays whole to its last one, whatever happens.

use std::{
    fs::File,
    io::{self, Write},
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
        match self.file.write_all(record) {
            Ok(()) => {
                self.whole += record.len() as u64;
                Ok(record.len())
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
