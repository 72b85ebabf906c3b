//! Wall-clock time of the kernel's time stamps.

use std::{
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::time::{ClockId, clock_gettime};

use crate::sys::strftime::strftime;

/// How far each clock is from the wall clock, taken once.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Nanoseconds to add, by the clock's number in `Type::Strftime`.
    offsets: [i128; 4],
    /// It is no clock of this machine: "now" is the time of the record that asks.
    fixed: bool,
}

impl Clock {
    /// Looks at the machine's clocks.
    pub fn now() -> Self {
        let clocks = [
            ClockId::CLOCK_MONOTONIC,
            ClockId::CLOCK_BOOTTIME,
            ClockId::CLOCK_REALTIME,
            ClockId::CLOCK_TAI,
        ];
        let read = |id| clock_gettime(id).map_or(0, |t| Duration::from(t).as_nanos() as i128);
        Clock {
            offsets: clocks.map(|id| read(ClockId::CLOCK_REALTIME) - read(id)),
            fixed: false,
        }
    }

    /// Clocks that all start at `nanos` since 1970: for recorded events.
    pub fn fixed(nanos: i128) -> Self {
        Clock {
            offsets: [nanos, nanos, 0, 0],
            fixed: true,
        }
    }

    /// Clocks as far from the wall clock as others were: for recorded runs.
    pub fn recorded(offsets: [i64; 4]) -> Self {
        Clock {
            offsets: offsets.map(i128::from),
            fixed: true,
        }
    }

    /// Nanoseconds that the wall clock is ahead, by the clock's number.
    pub fn offsets(&self) -> [i64; 4] {
        self.offsets
            .map(|offset| i64::try_from(offset).unwrap_or(0))
    }

    /// Appends the present time, in local time; with a fixed clock that of the record sent at `nanos` (monotonic).
    pub fn time(&self, out: &mut Vec<u8>, format: &str, nanos: u64) {
        if self.fixed {
            self.strftime(out, format, 0, nanos);
        } else {
            time(out, format);
        }
    }

    /// Nanoseconds since 1970 of the time stamp `nanos` of `clock` (0 monotonic, 1 boot, 2 realtime, 3 tai).
    pub fn wall(&self, clock: u8, nanos: u64) -> i128 {
        i128::from(nanos) + self.offsets.get(usize::from(clock)).copied().unwrap_or(0)
    }

    /// Appends the time stamp `nanos` of `clock`, in local time.
    pub fn strftime(&self, out: &mut Vec<u8>, format: &str, clock: u8, nanos: u64) {
        format_time(out, format, self.wall(clock, nanos));
    }
}

/// Appends the time at which it is called, in local time.
pub fn time(out: &mut Vec<u8>, format: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    format_time(out, format, now.map_or(0, |d| d.as_nanos() as i128));
}

/// Appends `nanos` since 1970, in local time; `%f` is the microsecond.
pub fn format_time(out: &mut Vec<u8>, format: &str, nanos: i128) {
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(0);
    let micros = nanos.rem_euclid(1_000_000_000) / 1000;
    let mut plain = String::with_capacity(format.len() + 6);
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        match (c, rest.clone().next()) {
            ('%', Some('f')) => {
                rest.next();
                // Writing to a String does not fail.
                let _ = write!(plain, "{micros:06}");
            }
            ('%', Some(next)) => {
                rest.next();
                plain.extend(['%', next]);
            }
            _ => plain.push(c),
        }
    }
    strftime(out, &plain, seconds);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_and_offsets() {
        let mut out = Vec::new();
        Clock::fixed(1_700_000_000_000_000_000).strftime(&mut out, "%s.%f %%f", 1, 1_000_042_999);
        assert_eq!(out, b"1700000001.000042 %f");
    }
}
