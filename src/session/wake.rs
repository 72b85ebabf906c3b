//! What a run waits for besides its rings: signals, timers, the end of the traced process.

use crate::spec::Interval;
use nix::{
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
    unistd,
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

/// Signals that arrive as readable bytes instead of handlers.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    old: SigSet,
}

impl Signals {
    /// Blocks SIGINT, SIGTERM, SIGHUP and `more` for this thread and what it starts, and receives them here.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(more: impl IntoIterator<Item = i32>) -> io::Result<Signals> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
        for number in more {
            set.add(Signal::try_from(number)?);
        }
        let old = set.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { fd, old })
    }

    /// The next signal that came, if any.
    pub fn next(&self) -> Option<i32> {
        let info = self.fd.read_signal().ok().flatten()?;
        i32::try_from(info.ssi_signo).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Nothing can be done about a mask that does not go back; the process ends soon.
        let _ = self.old.thread_set_mask();
    }
}

/// A timer that ticks for ever.
#[derive(Debug)]
pub struct Timer {
    fd: TimerFd,
}

impl Timer {
    /// Starts ticking now, first after one period.
    ///
    /// # Errors
    /// The kernel's.
    pub fn start(interval: Interval) -> io::Result<Timer> {
        let fd = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        let period = TimeSpec::from_duration(period(interval));
        fd.set(Expiration::Interval(period), TimerSetTimeFlags::empty())?;
        Ok(Timer { fd })
    }

    /// Whether it ticked since last asked. Ticks that were missed count once.
    pub fn ticked(&self) -> bool {
        let mut count = [0; 8];
        matches!(unistd::read(&self.fd, &mut count), Ok(8))
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Time between two ticks; never zero, which would stop the timer.
fn period(interval: Interval) -> Duration {
    let nanos = match interval {
        Interval::Nanos(nanos) => nanos,
        Interval::Hertz(hertz) => 1_000_000_000 / hertz.max(1),
    };
    Duration::from_nanos(nanos.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods() {
        assert_eq!(period(Interval::Nanos(5)), Duration::from_nanos(5));
        assert_eq!(period(Interval::Hertz(100)), Duration::from_millis(10));
        assert_eq!(period(Interval::Hertz(0)), Duration::from_secs(1));
        assert_eq!(period(Interval::Nanos(0)), Duration::from_nanos(1));
    }

    #[test]
    fn a_timer_ticks_once_however_late_one_looks() {
        let timer = Timer::start(Interval::Nanos(200_000_000)).unwrap();
        assert!(!timer.ticked());
        std::thread::sleep(Duration::from_millis(450));
        assert!(timer.ticked());
        assert!(!timer.ticked());
    }

    #[test]
    fn signals_come_as_numbers() {
        let signals = Signals::new([libc::SIGUSR1]).unwrap();
        assert_eq!(signals.next(), None);
        nix::sys::signal::raise(Signal::SIGUSR1).unwrap();
        assert_eq!(signals.next(), Some(libc::SIGUSR1));
        assert_eq!(signals.next(), None);
    }
}
