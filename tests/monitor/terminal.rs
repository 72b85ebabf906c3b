//! A terminal with a program on it: keys in, screen out.

use crate::place::EXE;
use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::File,
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

/// How long a screen is waited for, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// The terminal.
pub(crate) struct Terminal {
    master: Option<PtyMaster>,
    /// Kept open, so that the terminal outlives the program.
    pub(crate) slave: File,
    child: Child,
    parser: vt100::Parser,
    settings: String,
}

impl Terminal {
    /// `baretrace bitcoin WORDS` on a terminal of `size` columns and rows, in `folder`.
    pub(crate) fn start(
        words: &[&str],
        size: (u16, u16),
        folder: &Path,
        env: &[(&str, &str)],
    ) -> Self {
        Self::spawn(EXE, &[&["bitcoin"], words].concat(), size, folder, env)
    }

    pub(crate) fn spawn(
        program: &str,
        words: &[&str],
        (cols, rows): (u16, u16),
        folder: &Path,
        env: &[(&str, &str)],
    ) -> Self {
        // Closed in children, or the line would not go dead with this process's end of it.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let mut options = File::options();
        options
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits());
        let slave = options.open(ptsname_r(&master).unwrap()).unwrap();
        size(&slave, cols, rows);
        // Makes the terminal the program's own, and becomes the program.
        let mut command = Command::new("setsid");
        command
            .arg("-c")
            .arg(program)
            .args(words)
            .current_dir(folder);
        for name in ["NO_COLOR", "LC_ALL", "LC_CTYPE"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        command.envs(env.iter().copied());
        let copy = || slave.try_clone().unwrap();
        command.stdin(copy()).stdout(copy()).stderr(copy());
        let settings = settings(&slave);
        let child = command.spawn().unwrap();
        // The command holds copies of the terminal.
        drop(command);
        Terminal {
            master: Some(master),
            slave,
            child,
            parser: vt100::Parser::new(rows, cols, 0),
            settings,
        }
    }

    /// Takes in what the program wrote; false if nothing came within `time`.
    fn pump(&mut self, time: Duration) -> bool {
        let Some(master) = &self.master else {
            return false;
        };
        let mut fds = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        let time = PollTimeout::try_from(time).unwrap();
        if poll(&mut fds, time).unwrap() == 0 {
            return false;
        }
        let mut bytes = [0; 8192];
        let count = nix::unistd::read(master, &mut bytes).unwrap_or(0);
        self.parser.process(&bytes[..count]);
        count > 0
    }

    pub(crate) fn text(&self) -> String {
        self.parser.screen().contents()
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Waits until the screen is as `is` says; returns it.
    pub(crate) fn until(&mut self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = self.text();
            if is(&text) {
                return text;
            }
            let ended = self.child.try_wait().unwrap();
            let more = self.pump(Duration::from_millis(100));
            assert!(
                more || ended.is_none() && Instant::now() < end,
                "no {what} ({ended:?}) on\n{text}"
            );
        }
    }

    /// Waits until all of `words` are on the screen.
    pub(crate) fn shows(&mut self, words: &[&str]) -> String {
        self.until(&format!("{words:?}"), |text| {
            words.iter().all(|word| text.contains(word))
        })
    }

    /// Types `keys`.
    pub(crate) fn keys(&mut self, keys: &str) {
        let mut left = keys.as_bytes();
        while !left.is_empty() {
            let count = nix::unistd::write(self.master.as_ref().unwrap(), left).unwrap();
            left = &left[count..];
        }
    }

    /// Types `keys` and waits for `words`.
    pub(crate) fn types(&mut self, keys: &str, words: &[&str]) -> String {
        self.keys(keys);
        self.shows(words)
    }

    pub(crate) fn resize(&mut self, cols: u16, rows: u16) {
        size(&self.slave, cols, rows);
        self.parser.screen_mut().set_size(rows, cols);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// The line goes dead.
    pub(crate) fn hang_up(&mut self) {
        self.master = None;
    }

    /// Waits for the program to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                while self.pump(Duration::ZERO) {}
                return status;
            }
            if !self.pump(Duration::from_millis(20)) && self.master.is_none() {
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.text());
        }
    }

    /// Ends the monitor by its key; the terminal is as it was before.
    pub(crate) fn quit(mut self) {
        self.keys("q");
        assert!(self.wait().success());
        self.is_restored();
    }

    /// The terminal is as it was before the program.
    pub(crate) fn is_restored(&self) {
        assert_eq!(settings(&self.slave), self.settings);
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen(), "{}", screen.contents());
        assert!(!screen.hide_cursor());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(terminal: &File) -> String {
    stty(terminal, &["-g"])
}

fn size(terminal: &File, cols: u16, rows: u16) {
    let [cols, rows] = [cols, rows].map(|n| n.to_string());
    stty(terminal, &["cols", &cols, "rows", &rows]);
}

fn stty(terminal: &File, words: &[&str]) -> String {
    let mut command = Command::new("stty");
    let terminal = terminal.try_clone().unwrap();
    let output = command.args(words).stdin(terminal).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
