//! The command of `-c`: started, held before its first instruction, let go once everything is attached.

use super::words::{self, WordsError};
use crate::sys::{errno::Described, process};
use nix::{
    sys::{
        ptrace,
        signal::{self, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use std::{fmt, io, process::Command};

/// Why the command of `-c` does not run.
#[derive(Debug)]
pub enum ChildError {
    /// The command line has no words.
    Words(String, WordsError),
    /// It could not be started.
    Start(String, io::Error),
    /// It did not stop where it should, or could not be let go.
    Hold(String, &'static str, io::Error),
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChildError::Words(command, err) => write!(f, "split command `{command}`: {err}"),
            ChildError::Start(program, err) => write!(f, "start `{program}`: {}", Described(err)),
            ChildError::Hold(program, what, err) => {
                write!(f, "{what} `{program}`: {}", Described(err))
            }
        }
    }
}

impl std::error::Error for ChildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ChildError::Words(_, err) => Some(err),
            ChildError::Start(_, err) | ChildError::Hold(_, _, err) => Some(err),
        }
    }
}

/// A started command. Dropping it ends the process with SIGTERM if it still runs, as the one that started it ends.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    program: String,
    held: bool,
    ended: bool,
}

impl Child {
    /// Starts `command` and holds it right after its execve: its binary is mapped, nothing of it has run.
    ///
    /// # Errors
    /// No words, no such program, not stopped.
    pub fn start_held(command: &str) -> Result<Child, ChildError> {
        let mut words = words::split(command)
            .map_err(|err| ChildError::Words(command.to_string(), err))?
            .into_iter();
        let program = words.next().unwrap_or_default();
        let spawned = process::spawn_traced(Command::new(&program).args(words))
            .map_err(|err| ChildError::Start(program.clone(), err))?;
        let mut child = Child {
            pid: Pid::from_raw(spawned.id().cast_signed()),
            program,
            held: true,
            ended: false,
        };
        // The only stop it can make before it is let go is the one after execve.
        match waitpid(child.pid, None) {
            Ok(WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..)) => Ok(child),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => {
                child.ended = true;
                Err(child.hold("hold", nix::Error::ECHILD))
            }
            Ok(_) => Err(child.hold("hold", nix::Error::EINVAL)),
            Err(err) => Err(child.hold("hold", err)),
        }
    }

    fn hold(&self, what: &'static str, err: nix::Error) -> ChildError {
        ChildError::Hold(self.program.clone(), what, err.into())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Lets it run.
    ///
    /// # Errors
    /// The kernel's.
    pub fn release(&mut self) -> Result<(), ChildError> {
        if self.held {
            ptrace::detach(self.pid, None).map_err(|err| self.hold("let go", err))?;
            self.held = false;
        }
        Ok(())
    }

    /// Whether it has ended; collects it if so.
    pub fn has_ended(&mut self) -> bool {
        if !self.ended {
            self.ended = match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => true,
                Ok(_) => false,
                Err(_) => true,
            };
        }
        self.ended
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        // It may be gone by now, which is what is wanted.
        if self.held {
            let _ = signal::kill(self.pid, Signal::SIGKILL);
        } else {
            let _ = signal::kill(self.pid, Signal::SIGTERM);
            let _ = signal::kill(self.pid, Signal::SIGCONT);
        }
        if self.held {
            let _ = waitpid(self.pid, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn held_until_released() {
        let mut child = Child::start_held("true").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(!child.has_ended());
        let exe = std::fs::read_link(format!("/proc/{}/exe", child.pid())).unwrap();
        assert!(
            exe.ends_with("true") || exe.to_string_lossy().contains("coreutils"),
            "{exe:?}"
        );
        child.release().unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        while !child.has_ended() {
            assert!(Instant::now() < end, "`true` does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn dropping_ends_it() {
        let child = Child::start_held("sleep 100").unwrap();
        let pid = child.pid();
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn what_cannot_start_is_named() {
        let err = Child::start_held("/no/such/program 1").unwrap_err();
        assert_eq!(
            err.to_string(),
            "start `/no/such/program`: No such file or directory (ENOENT)"
        );
    }
}
