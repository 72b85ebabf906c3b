//! Keys from the bytes of a terminal, and the end of it.
//!
//! Not the terminal crate's own reader: that one reads a terminal that has hung up again and again without end, and takes an
//! escape sequence that comes in two pieces for several keys.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// How long the rest of an escape sequence is waited for: without it, it was the key Esc.
const ESCAPE: Duration = Duration::from_millis(60);

/// What waiting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Keys may have come, or time has passed.
    On,
    /// The terminal is gone.
    Gone,
}

/// The keys typed on standard input.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// No more came in time: what is there is all.
    whole: bool,
}

impl Keys {
    /// Waits for keys, for `wake` to become readable, or for `time`.
    ///
    /// # Errors
    /// As `poll(2)` and `read(2)`.
    pub(super) fn wait(&mut self, wake: BorrowedFd, time: Duration) -> io::Result<Waited> {
        let input = io::stdin();
        let time = if self.bytes.is_empty() { time } else { ESCAPE };
        let mut fds = [
            PollFd::new(input.as_fd(), PollFlags::POLLIN),
            PollFd::new(wake, PollFlags::POLLIN),
        ];
        match poll(
            &mut fds,
            PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO),
        ) {
            Ok(0) => {
                self.whole = true;
                return Ok(Waited::On);
            }
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Waited::On),
            Err(err) => return Err(err.into()),
        }
        let state = fds[0].revents().unwrap_or(PollFlags::empty());
        if !state.contains(PollFlags::POLLIN) {
            let gone = state.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
            return Ok(if gone { Waited::Gone } else { Waited::On });
        }
        let mut bytes = [0; 1024];
        match nix::unistd::read(&input, &mut bytes) {
            Ok(0) | Err(Errno::EIO) => Ok(Waited::Gone),
            Ok(count) => {
                self.bytes.extend_from_slice(&bytes[..count]);
                self.whole = false;
                Ok(Waited::On)
            }
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(Waited::On),
            Err(err) => Err(err.into()),
        }
    }

    /// The next key that is there.
    pub(super) fn next(&mut self) -> Option<KeyEvent> {
        loop {
            let (used, key) = decode(&self.bytes, self.whole)?;
            self.bytes.drain(..used);
            if key.is_some() {
                return key;
            }
        }
    }
}

/// Final byte of an escape sequence, its first number (0 for none or any), and the key. ECMA-48 §5.4, xterm's ctlseqs.
const SEQUENCES: &[(u8, u8, KeyCode)] = &[
    (b'A', 0, KeyCode::Up),
    (b'B', 0, KeyCode::Down),
    (b'C', 0, KeyCode::Right),
    (b'D', 0, KeyCode::Left),
    (b'H', 0, KeyCode::Home),
    (b'F', 0, KeyCode::End),
    (b'M', 0, KeyCode::Enter),
    (b'~', 1, KeyCode::Home),
    (b'~', 4, KeyCode::End),
    (b'~', 5, KeyCode::PageUp),
    (b'~', 6, KeyCode::PageDown),
    (b'~', 7, KeyCode::Home),
    (b'~', 8, KeyCode::End),
];

/// The bytes that the first key has, and the key if it means any; `None` if there may be more of it to come.
fn decode(bytes: &[u8], whole: bool) -> Option<(usize, Option<KeyEvent>)> {
    let plain = |code| Some(KeyEvent::new(code, KeyModifiers::NONE));
    let first = *bytes.first()?;
    match first {
        b'\x1b' => escape(bytes, whole),
        b'\r' | b'\n' => Some((1, plain(KeyCode::Enter))),
        b'\t' => Some((1, plain(KeyCode::Tab))),
        b'\x08' | b'\x7f' => Some((1, plain(KeyCode::Backspace))),
        1..=26 => {
            let code = KeyCode::Char(char::from(first - 1 + b'a'));
            Some((1, Some(KeyEvent::new(code, KeyModifiers::CONTROL))))
        }
        0..32 => Some((1, None)),
        _ => {
            let length = match first {
                0..0x80 => 1,
                0xc0..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            let Some(bytes) = bytes.get(..length) else {
                return whole.then_some((1, None));
            };
            match std::str::from_utf8(bytes).map(|text| text.chars().next()) {
                Ok(Some(c)) => Some((length, plain(KeyCode::Char(c)))),
                _ => Some((1, None)),
            }
        }
    }
}

fn escape(bytes: &[u8], whole: bool) -> Option<(usize, Option<KeyEvent>)> {
    let esc = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
    // CSI has numbers, SS3 has none.
    let start = match bytes.get(1) {
        Some(b'[' | b'O') => 2,
        Some(_) => return Some((1, Some(esc))),
        None => return whole.then_some((1, Some(esc))),
    };
    // A Linux console's function keys have a second bracket.
    let start = start + usize::from(bytes.get(start) == Some(&b'['));
    let is_final = |byte: &u8| (0x40..0x7f).contains(byte);
    let Some(length) = bytes[start..].iter().position(is_final) else {
        return whole.then_some((bytes.len(), None));
    };
    let end = start + length;
    let number = bytes[start..end].iter().take_while(|b| b.is_ascii_digit());
    let number = number.fold(0u8, |n, digit| {
        n.saturating_mul(10).saturating_add(digit - b'0')
    });
    let row = SEQUENCES
        .iter()
        .find(|(byte, first, _)| *byte == bytes[end] && (*first == 0 || *first == number));
    let key = row.filter(|_| start == 2);
    let key = key.map(|(.., code)| KeyEvent::new(*code, KeyModifiers::NONE));
    Some((end + 1, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(keys: &mut Keys) -> Vec<KeyCode> {
        std::iter::from_fn(|| keys.next())
            .map(|key| key.code)
            .collect()
    }

    #[test]
    fn keys_of_terminals() {
        use KeyCode::{Backspace, Char, Down, End, Enter, Esc, Home, PageUp, Up};
        for (bytes, want) in [
            (&b"aq"[..], &[Char('a'), Char('q')][..]),
            (b"\x1b[A\x1bOB\x1b[1;5A", &[Up, Down, Up]),
            (b"\x1b[5~\x1b[H\x1b[8~", &[PageUp, Home, End]),
            (b"\x1bx", &[Esc, Char('x')]),
            (b"\r\x7f", &[Enter, Backspace]),
            (b"\x1b[15~\x1b[[A\x1b[?1;2c!", &[Char('!')]),
            ("é€😀".as_bytes(), &[Char('é'), Char('€'), Char('😀')]),
            (b"\xff\x80z", &[Char('z')]),
            (b"\x00\x1f", &[]),
        ] {
            let mut keys = Keys {
                bytes: bytes.to_vec(),
                whole: true,
            };
            assert_eq!(codes(&mut keys), want, "{bytes:?}");
            assert!(keys.bytes.is_empty(), "{bytes:?}");
        }
    }

    #[test]
    fn pieces_are_waited_for() {
        let mut keys = Keys::default();
        let mut all = Vec::new();
        for byte in "\x1b[5~é\x1b".bytes() {
            keys.bytes.push(byte);
            all.extend(codes(&mut keys));
        }
        assert_eq!(all, [KeyCode::PageUp, KeyCode::Char('é')]);
        keys.whole = true;
        assert_eq!(codes(&mut keys), [KeyCode::Esc]);
    }

    #[test]
    fn no_bytes_panic_or_stay() {
        let mut seed = 7u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let bytes = seed.to_le_bytes()[..1 + (seed >> 60) as usize % 8].to_vec();
            let mut keys = Keys { bytes, whole: true };
            while keys.next().is_some() {}
            assert!(keys.bytes.is_empty());
        }
    }
}
