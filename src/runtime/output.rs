//! Where text goes: a reusable buffer before standard output or a file, with the buffering the user chose.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

/// Shape of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// For people.
    #[default]
    Text,
    /// One JSON value a line.
    Json,
}

/// When the buffer is written out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Buffering {
    /// After every piece of output.
    None,
    /// After every batch of records that ends a line, or when full.
    #[default]
    Line,
    /// When full.
    Full,
}

/// What became of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Fine,
    /// Nobody reads any more: time to stop quietly.
    Closed,
    /// Writing failed, which has been said on stderr once.
    Failed,
}

/// Bytes before a `Line` or `Full` buffer is written.
const FULL: usize = 64 * 1024;

/// The sink.
pub struct Output {
    dest: Box<dyn Write + Send>,
    what: String,
    /// What is not written yet. Append to it, then call [`Output::commit`].
    pub buf: Vec<u8>,
    mode: Buffering,
    state: Sent,
    /// Nothing is written for now.
    held: bool,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Output({}, {:?})", self.what, self.state)
    }
}

impl Output {
    /// To standard output.
    pub fn stdout(mode: Buffering) -> Self {
        Self::to(Box::new(io::stdout()), "stdout", mode)
    }

    /// To a file, created or emptied.
    pub fn file(path: &Path, mode: Buffering) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self::to(Box::new(file), &path.display().to_string(), mode))
    }

    /// To anything, `what` naming it in messages.
    pub fn to(dest: Box<dyn Write + Send>, what: &str, mode: Buffering) -> Self {
        Output {
            dest,
            what: what.to_owned(),
            buf: Vec::with_capacity(2 * FULL),
            mode,
            state: Sent::Fine,
            held: false,
        }
    }

    /// Keeps what comes from now on in the buffer.
    pub fn hold(&mut self) {
        self.flush();
        self.held = true;
    }

    /// What was held back; from now on output is written again.
    pub fn release(&mut self) -> Vec<u8> {
        self.held = false;
        std::mem::take(&mut self.buf)
    }

    /// A piece of output is complete in the buffer.
    pub fn commit(&mut self) -> Sent {
        if self.mode == Buffering::None || self.buf.len() >= FULL {
            return self.flush();
        }
        self.state
    }

    /// No more records for now: whole lines should be seen.
    pub fn idle(&mut self) -> Sent {
        if self.mode == Buffering::Line && self.buf.contains(&b'\n') {
            return self.flush();
        }
        self.state
    }

    /// Writes all of it.
    pub fn flush(&mut self) -> Sent {
        if self.held {
            return self.state;
        }
        if self.state == Sent::Fine && !self.buf.is_empty() {
            let written = self
                .dest
                .write_all(&self.buf)
                .and_then(|()| self.dest.flush());
            match written {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => self.state = Sent::Closed,
                Err(e) => {
                    eprintln!("ERROR: writing output to {}: {e}", self.what);
                    self.state = Sent::Failed;
                }
            }
        }
        self.buf.clear();
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written, or fails.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>, Option<io::ErrorKind>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(kind) = self.1 {
                return Err(kind.into());
            }
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn buffering() {
        for (mode, after_commit, after_idle) in [
            (Buffering::None, 2, 2),
            (Buffering::Line, 0, 2),
            (Buffering::Full, 0, 0),
        ] {
            let sink = Sink::default();
            let mut out = Output::to(Box::new(sink.clone()), "test", mode);
            out.buf.extend_from_slice(b"a\n");
            assert_eq!(out.commit(), Sent::Fine);
            assert_eq!(sink.0.lock().unwrap().len(), after_commit, "{mode:?}");
            assert_eq!(out.idle(), Sent::Fine);
            assert_eq!(sink.0.lock().unwrap().len(), after_idle, "{mode:?}");
            assert_eq!(out.flush(), Sent::Fine);
            assert_eq!(sink.0.lock().unwrap().len(), 2, "{mode:?}");
        }
    }

    #[test]
    fn a_closed_pipe_is_a_value() {
        let sink = Sink(Arc::default(), Some(io::ErrorKind::BrokenPipe));
        let mut out = Output::to(Box::new(sink), "test", Buffering::None);
        out.buf.push(b'x');
        assert_eq!(out.commit(), Sent::Closed);
        out.buf.push(b'x');
        assert_eq!(out.commit(), Sent::Closed);
        assert!(out.buf.is_empty());
    }
}
