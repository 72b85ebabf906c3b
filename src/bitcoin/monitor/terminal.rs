//! The terminal: taken over, and given back whatever happens.

use std::{
    fmt,
    io::{self, IsTerminal, Stdout, stdout},
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

/// Why a monitor cannot be shown.
#[derive(Debug)]
pub enum Error {
    /// Standard input or output is no terminal.
    NoTerminal,
    /// The terminal answered with an error.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoTerminal => {
                f.write_str("show monitor: standard input and output are not a terminal")
            }
            Error::Io(e) => write!(f, "show monitor on the terminal: {e}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::NoTerminal => None,
            Error::Io(e) => Some(e),
        }
    }
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Error::Io(e)
    }
}

/// The terminal in raw mode on its alternate screen, until dropped.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    pub(super) fn open() -> Result<Self, Error> {
        if !io::stdin().is_terminal() || !stdout().is_terminal() {
            return Err(Error::NoTerminal);
        }
        enable_raw_mode()?;
        // From here on `drop` gives it back.
        let opened = Terminal::new(CrosstermBackend::new(stdout()));
        let mut screen = match opened {
            Ok(terminal) => Screen { terminal },
            Err(e) => {
                let _ = disable_raw_mode();
                return Err(e.into());
            }
        };
        execute!(stdout(), EnterAlternateScreen)?;
        screen.terminal.clear()?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing can be said on a terminal that does not answer.
        let _ = disable_raw_mode();
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    }
}
