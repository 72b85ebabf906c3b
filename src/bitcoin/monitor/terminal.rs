//! The terminal: taken over, written to without being held up by it, and given back whatever happens.

use std::{
    cell::Cell,
    fmt,
    fs::File,
    io::{self, IsTerminal, Write, stdout},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    panic,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::{Hide, Show},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
    layout::{Position, Rect},
};

/// Why a monitor cannot be shown.
#[derive(Debug)]
pub enum Error {
    /// Standard input or output is no terminal.
    NoTerminal,
    /// `TERM` names a terminal without a cursor to move.
    Dumb,
    /// The terminal answered with an error.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoTerminal => {
                f.write_str("show monitor: standard input and output are not a terminal")
            }
            Error::Dumb => f.write_str("show monitor: TERM=dumb is a terminal that only prints"),
            Error::Io(e) => write!(f, "show monitor on the terminal: {e}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::NoTerminal | Error::Dumb => None,
            Error::Io(e) => Some(e),
        }
    }
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Error::Io(e)
    }
}

/// Whether a screen can be shown here.
///
/// # Errors
/// [`Error::NoTerminal`], [`Error::Dumb`].
pub(super) fn check() -> Result<(), Error> {
    if !io::stdin().is_terminal() || !stdout().is_terminal() {
        return Err(Error::NoTerminal);
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Err(Error::Dumb);
    }
    Ok(())
}

/// The terminal in raw mode on its alternate screen, until dropped.
pub(super) struct Screen<'s> {
    pub(super) terminal: Terminal<CrosstermBackend<Out<'s>>>,
    to: Rc<File>,
    patience: Rc<Cell<Option<Instant>>>,
    /// Says what panics said, once the screen is closed.
    _words: Words,
}

impl<'s> Screen<'s> {
    /// Takes the terminal over. `stop` is asked while the terminal takes nothing: once it says true, writing ends in an error.
    pub(super) fn open(stop: &'s dyn Fn() -> bool) -> Result<Self, Error> {
        check()?;
        let (to, patience) = (Rc::new(own()?), Rc::default());
        let out = Out {
            to: Rc::clone(&to),
            frame: Vec::new(),
            stop,
            patience: Rc::clone(&patience),
        };
        enable_raw_mode()?;
        // From here on `drop` gives it back.
        let mut screen = match Terminal::new(CrosstermBackend::new(out)) {
            Ok(terminal) => Screen {
                terminal,
                to,
                patience,
                _words: Words::hold(),
            },
            Err(e) => {
                let _ = disable_raw_mode();
                return Err(e.into());
            }
        };
        execute!(screen.terminal.backend_mut(), EnterAlternateScreen, Hide)?;
        screen.clear()?;
        Ok(screen)
    }

    /// Forgets what the terminal shows, so that the next frame draws all. The crate's own way asks the terminal where its
    /// cursor is, and waits for the answer.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// Whether the terminal takes a frame now. One that is stopped, or behind a slow line, does not.
    pub(super) fn is_ready(&self) -> bool {
        is_ready(&self.to, Duration::ZERO)
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // Nothing can be said on a terminal that does not answer.
        let _ = disable_raw_mode();
        let until = Instant::now() + Duration::from_millis(500);
        self.patience.set(Some(until));
        let _ = execute!(self.terminal.backend_mut(), LeaveAlternateScreen, Show);
    }
}

/// Holds back what panics say, in any thread, until it is dropped: on a screen it would be lost.
struct Words(Arc<Mutex<Option<String>>>);

impl Words {
    fn hold() -> Self {
        let held = Arc::new(Mutex::new(Some(String::new())));
        let (words, before) = (Arc::clone(&held), panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            match &mut *words.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(words) => words.push_str(&format!("{info}\n")),
                None => before(info),
            }
        }));
        Words(held)
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        eprint!("{}", words.unwrap_or_default());
    }
}

/// Standard output's terminal, opened anew: that it does not block is this descriptor's affair, not that of who else has it
/// open.
fn own() -> io::Result<File> {
    let mut options = File::options();
    options.write(true);
    options.custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY);
    // Another user's terminal, after su, cannot be opened: it may hold this process up, but not its trace.
    options
        .open("/proc/self/fd/1")
        .or_else(|_| Ok(File::from(stdout().as_fd().try_clone_to_owned()?)))
}

fn is_ready(to: &File, wait: Duration) -> bool {
    let mut fds = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
    let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
    poll(&mut fds, wait).is_ok_and(|ready| ready > 0)
}

/// Keeps a frame until it is flushed, and writes it as the terminal takes it.
pub(super) struct Out<'s> {
    to: Rc<File>,
    frame: Vec<u8>,
    stop: &'s dyn Fn() -> bool,
    /// Until then a terminal that takes nothing is waited for, whatever `stop` says.
    patience: Rc<Cell<Option<Instant>>>,
}

impl Out<'_> {
    fn give_up(&self) -> bool {
        match self.patience.get() {
            Some(until) => Instant::now() >= until,
            None => (self.stop)(),
        }
    }
}

impl Out<'_> {
    fn send(&self, mut left: &[u8]) -> io::Result<()> {
        while !left.is_empty() {
            match (&*self.to).write(left) {
                Ok(count) => left = &left[count..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if self.give_up() {
                        return Err(e);
                    }
                    is_ready(&self.to, Duration::from_millis(50));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let frame = std::mem::take(&mut self.frame);
        let sent = self.send(&frame);
        // Of a terminal that cannot be given back the terminal crate would complain on that terminal, and wait for it.
        if self.patience.get().is_some() {
            return Ok(());
        }
        sent
    }
}
