//! The command of `-c`: started, held until everything is attached, let go, and not left behind.

use std::{
    error, fmt, io,
    os::unix::process::ExitStatusExt,
    process::{Child as Process, Command, ExitStatus},
};

use nix::{
    errno::Errno,
    sys::{
        ptrace,
        signal::{Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::sys::{
    errno::Described,
    process::{self, Prepared},
};

/// Why a command could not be started.
#[derive(Debug)]
pub enum ChildError {
    /// The text has no word in it.
    Empty,
    /// A quote is not closed.
    Quote(char),
    /// fork or execve.
    Start {
        /// The program.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended before its first instruction.
    Ended(String),
    /// Holding it, or letting it go.
    Trace {
        /// The program.
        command: String,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChildError::Empty => write!(f, "start command: it is empty"),
            ChildError::Quote(quote) => write!(f, "start command: {quote} is not closed"),
            ChildError::Start { command, source } => {
                write!(f, "start command `{command}`: {}", Described(source))
            }
            ChildError::Ended(command) => {
                write!(f, "start command `{command}`: it ended before it began")
            }
            ChildError::Trace { command, source } => {
                write!(f, "hold command `{command}`: ptrace: {}", Described(source))
            }
        }
    }
}

impl error::Error for ChildError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            ChildError::Start { source, .. } | ChildError::Trace { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Splits a command line into words: blanks part them, `'…'` and `"…"` keep them together, `\` takes the next
/// character as it is. No shell is run.
///
/// # Errors
/// [`ChildError::Quote`], [`ChildError::Empty`].
pub fn split_words(line: &str) -> Result<Vec<String>, ChildError> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(ChildError::Quote(open));
    }
    words.extend(word);
    if words.is_empty() {
        return Err(ChildError::Empty);
    }
    Ok(words)
}

/// A command, held at its first instruction until [`Child::release`]. Dropped while running, it gets `SIGTERM`; while
/// held, `SIGKILL`.
///
/// The thread that started it must release it: the kernel lets no other.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    state: State,
    command: String,
    ended: Option<ExitStatus>,
}

/// How far a command has come.
#[derive(Debug)]
enum State {
    /// Before its execve.
    Prepared(Prepared),
    /// Its program is loaded, nothing of it has run.
    Held(Process),
    /// Let go.
    Running(Process),
    /// It could not be let go.
    Gone,
}

impl Child {
    /// Forks for a program with its arguments, which is executed on [`Child::release`].
    ///
    /// # Errors
    /// [`ChildError`].
    pub fn prepare_words(words: &[String]) -> Result<Child, ChildError> {
        let (program, args) = words.split_first().ok_or(ChildError::Empty)?;
        let mut command = Command::new(program);
        command.args(args);
        let prepared = Prepared::start(command).map_err(|source| ChildError::Start {
            command: program.clone(),
            source,
        })?;
        Ok(Child {
            pid: prepared.pid,
            state: State::Prepared(prepared),
            command: program.clone(),
            ended: None,
        })
    }

    /// Starts a command line, split by [`split_words`]; the program is looked for in `PATH`.
    ///
    /// # Errors
    /// [`ChildError`].
    pub fn start(line: &str) -> Result<Child, ChildError> {
        Child::start_words(&split_words(line)?)
    }

    /// Starts a program with its arguments.
    ///
    /// # Errors
    /// [`ChildError`].
    pub fn start_words(words: &[String]) -> Result<Child, ChildError> {
        let (program, args) = words.split_first().ok_or(ChildError::Empty)?;
        let process =
            process::spawn_traced(Command::new(program).args(args)).map_err(|source| {
                ChildError::Start {
                    command: program.clone(),
                    source,
                }
            })?;
        let mut child = Child {
            pid: process.id(),
            state: State::Gone,
            command: program.clone(),
            ended: None,
        };
        let mut held = false;
        match waitpid(child.id(), None).map_err(|e| child.trace_error(e))? {
            WaitStatus::Stopped(..) => held = true,
            WaitStatus::Exited(_, code) => child.ended = Some(ExitStatus::from_raw(code << 8)),
            WaitStatus::Signaled(_, signal, _) => {
                child.ended = Some(ExitStatus::from_raw(signal as i32));
            }
            _ => {}
        }
        if !held {
            return Err(ChildError::Ended(child.command.clone()));
        }
        child.state = State::Held(process);
        // Should this process be killed meanwhile, the command goes with it instead of running unwatched.
        ptrace::setoptions(child.id(), ptrace::Options::PTRACE_O_EXITKILL)
            .map_err(|e| child.trace_error(e))?;
        Ok(child)
    }

    fn trace_error(&self, errno: Errno) -> ChildError {
        ChildError::Trace {
            command: self.command.clone(),
            source: errno.into(),
        }
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.pid as i32)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets it run as far as its own first instruction: the loader has mapped its libraries then. It is held there.
    /// Does nothing where it cannot be done, or if it ends before.
    pub fn run_to_entry(&mut self) {
        if cfg!(target_arch = "x86_64") && matches!(self.state, State::Held(_)) {
            // Without a word at its entry it is let go from where it is.
            let _ = self.go_to_entry();
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn go_to_entry(&mut self) -> nix::Result<()> {
        /// `int3`.
        const TRAP: i64 = 0xcc;
        let id = self.id();
        let entry = entry(self.pid).ok_or(Errno::ENOENT)?;
        let at = std::ptr::without_provenance_mut(entry as usize);
        let word = ptrace::read(id, at)?;
        ptrace::write(id, at, word & !0xff | TRAP)?;
        let mut passed = None;
        loop {
            ptrace::cont(id, passed.take())?;
            match waitpid(id, None)? {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => break,
                // Its own signals go on to it.
                WaitStatus::Stopped(_, signal) => passed = Some(signal),
                WaitStatus::Exited(_, code) => {
                    self.ended = Some(ExitStatus::from_raw(code << 8));
                    return Ok(());
                }
                WaitStatus::Signaled(_, signal, _) => {
                    self.ended = Some(ExitStatus::from_raw(signal as i32));
                    return Ok(());
                }
                _ => {}
            }
        }
        ptrace::write(id, at, word)?;
        let mut regs = ptrace::getregs(id)?;
        if regs.rip == entry + 1 {
            regs.rip = entry;
            ptrace::setregs(id, regs)?;
        }
        Ok(())
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn go_to_entry(&mut self) -> nix::Result<()> {
        Err(Errno::ENOSYS)
    }

    /// Lets it run. A second call does nothing.
    ///
    /// # Errors
    /// [`ChildError::Trace`].
    pub fn release(&mut self) -> Result<(), ChildError> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Held(process) if self.ended.is_some() => State::Running(process),
            State::Held(process) => {
                ptrace::detach(self.id(), None).map_err(|e| self.trace_error(e))?;
                State::Running(process)
            }
            State::Prepared(prepared) => {
                let process = prepared.go().map_err(|source| ChildError::Start {
                    command: self.command.clone(),
                    source,
                })?;
                State::Running(process)
            }
            other => other,
        };
        Ok(())
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// The kernel's.
    pub fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        if let (None, State::Running(process)) = (self.ended, &mut self.state) {
            self.ended = process.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Waits until it has ended, after letting it run if it is held.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.release().map_err(io::Error::other)?;
        match (self.ended, &mut self.state) {
            (Some(status), _) => Ok(status),
            (None, State::Running(process)) => {
                let status = process.wait()?;
                self.ended = Some(status);
                Ok(status)
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// The address of a process's first own instruction: `AT_ENTRY` of its auxiliary vector (`getauxval(3)`).
#[cfg(target_arch = "x86_64")]
fn entry(pid: u32) -> Option<u64> {
    /// Key of the entry.
    const AT_ENTRY: u64 = 9;
    let bytes = std::fs::read(format!("/proc/{pid}/auxv")).ok()?;
    let (words, _) = bytes.as_chunks::<8>();
    let mut pairs = words
        .chunks_exact(2)
        .map(|pair| (u64::from_ne_bytes(pair[0]), u64::from_ne_bytes(pair[1])));
    pairs.find_map(|(key, value)| (key == AT_ENTRY).then_some(value))
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_some() || matches!(self.exit_status(), Ok(Some(_))) {
            return;
        }
        let id = self.id();
        // It may end by itself just now: nothing is left to do then.
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Prepared(prepared) => prepared.cancel(),
            State::Held(mut process) => {
                if kill(id, Signal::SIGKILL).is_ok() {
                    // Only a killed process is waited for; one that handles SIGTERM takes its own time.
                    drop(process.wait());
                }
            }
            State::Running(_) => {
                let _ = kill(id, Signal::SIGTERM);
            }
            State::Gone => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_written() {
        let words = |line| split_words(line).unwrap();
        assert_eq!(words("ls -l  /tmp"), ["ls", "-l", "/tmp"]);
        assert_eq!(words("sh -c 'a \"b\" c'"), ["sh", "-c", "a \"b\" c"]);
        assert_eq!(words(r#"x "a \" b" c\ d '' "#), ["x", "a \" b", "c d", ""]);
        assert!(matches!(split_words("  "), Err(ChildError::Empty)));
        assert!(matches!(split_words("a 'b"), Err(ChildError::Quote('\''))));
    }

    #[test]
    fn a_command_is_held_until_released() {
        let file = std::env::temp_dir().join(format!("baretrace-child-{}", std::process::id()));
        let words = ["touch", file.to_str().unwrap()].map(str::to_owned);
        let mut child = Child::start_words(&words).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert!(!file.exists(), "it ran while held");
        let exe = std::fs::read_link(format!("/proc/{}/exe", child.pid())).unwrap();
        assert_ne!(exe, std::env::current_exe().unwrap(), "not yet past execve");
        assert_eq!(child.exit_status().unwrap(), None);
        child.release().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(file.exists());
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_command_runs_to_its_entry_and_on() {
        let file = std::env::temp_dir().join(format!("baretrace-entry-{}", std::process::id()));
        let words = ["touch", file.to_str().unwrap()].map(str::to_owned);
        let mut child = Child::start_words(&words).unwrap();
        let libraries = |child: &Child| {
            let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.pid())).unwrap();
            maps.lines().filter(|line| line.contains("libc")).count()
        };
        assert_eq!(libraries(&child), 0);
        child.run_to_entry();
        assert!(libraries(&child) > 0 && !file.exists());
        assert!(child.wait().unwrap().success());
        assert!(file.exists());
        std::fs::remove_file(file).unwrap();
        // Where it ends before, that is how it ended.
        let mut child = Child::start("touch /nowhere/at/all").unwrap();
        child.run_to_entry();
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }

    #[test]
    fn status_and_failures_are_told() {
        let mut child = Child::start("sh -c 'exit 7'").unwrap();
        child.release().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(7));
        let error = Child::start("/no/such/program").unwrap_err().to_string();
        assert!(error.contains("/no/such/program") && error.contains("ENOENT"));
    }

    #[test]
    fn dropping_ends_it() {
        for release in [false, true] {
            let mut child = Child::start("sleep 100").unwrap();
            let pid = child.id();
            if release {
                child.release().unwrap();
            }
            drop(child);
            if release {
                let ended = WaitStatus::Signaled(pid, Signal::SIGTERM, false);
                assert_eq!(waitpid(pid, None), Ok(ended));
            } else {
                assert_eq!(kill(pid, None), Err(Errno::ESRCH));
            }
        }
    }
}
