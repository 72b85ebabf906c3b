//! Counts over time: a total, the last minute, the last ten.

/// Seconds that are kept apart: ten minutes.
pub const SECONDS: usize = 600;

/// How many in each of the last [`SECONDS`] seconds, and in all.
///
/// Time is seconds since the monitor began; it may not run backwards by more than the window, and what is older is counted
/// in the total alone.
#[derive(Clone, Debug)]
pub struct Window {
    total: u64,
    /// The second that [`Window::add`] or a question last named.
    now: u64,
    /// Slot `s % SECONDS` holds second `s` for the last [`SECONDS`] up to `now`.
    slots: Box<[u32]>,
}

impl Default for Window {
    fn default() -> Self {
        Window {
            total: 0,
            now: 0,
            slots: vec![0; SECONDS].into(),
        }
    }
}

impl Window {
    /// Counts `count` at `second`.
    pub fn add(&mut self, second: u64, count: u64) {
        self.total += count;
        self.advance(second);
        if self.now - second.min(self.now) < SECONDS as u64 {
            let slot = &mut self.slots[(second % SECONDS as u64) as usize];
            *slot = slot.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// Forgets what falls out of the window at `second`.
    fn advance(&mut self, second: u64) {
        let steps = second.saturating_sub(self.now).min(SECONDS as u64);
        for back in 0..steps {
            self.slots[((second - back) % SECONDS as u64) as usize] = 0;
        }
        self.now = self.now.max(second);
    }

    /// All that was counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many in the `seconds` up to `now`, the running second included.
    pub fn last(&self, now: u64, seconds: usize) -> u64 {
        (0..seconds.min(SECONDS) as u64)
            .filter_map(|back| now.checked_sub(back))
            .map(|second| self.at(second))
            .sum()
    }

    /// How many a second in the last `seconds`, or since the beginning if that is shorter.
    pub fn rate(&self, now: u64, seconds: usize) -> f64 {
        let over = (seconds as u64).min(now + 1);
        self.last(now, seconds) as f64 / over as f64
    }

    /// The last `bars` spans of `seconds_each`, oldest first.
    pub fn bars(&self, now: u64, bars: usize, seconds_each: usize) -> Vec<u64> {
        (0..bars)
            .rev()
            .map(|bar| {
                now.checked_sub((bar * seconds_each) as u64)
                    .map_or(0, |end| self.last(end, seconds_each))
            })
            .collect()
    }

    fn at(&self, second: u64) -> u64 {
        let within = second <= self.now && self.now - second < SECONDS as u64;
        if within {
            u64::from(self.slots[(second % SECONDS as u64) as usize])
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_leave_the_window_but_not_the_total() {
        let mut window = Window::default();
        window.add(0, 5);
        window.add(59, 1);
        window.add(60, 2);
        assert_eq!(window.last(60, 60), 3);
        assert_eq!(window.last(60, 600), 8);
        assert_eq!(window.last(700, 60), 0);
        window.add(599 + 59, 1);
        assert_eq!(window.last(658, 600), 4, "second 58 is out, 59 is in");
        window.add(5_000, 1);
        assert_eq!((window.last(5_000, 600), window.total()), (1, 10));
        window.add(10, 7);
        assert_eq!(
            (window.last(5_000, 600), window.total()),
            (1, 17),
            "too late for the window"
        );
        window.add(4_999, 3);
        assert_eq!(window.last(5_000, 2), 4, "late within the window");
    }

    #[test]
    fn rates_begin_with_the_monitor() {
        let mut window = Window::default();
        window.add(1, 10);
        assert_eq!(window.rate(1, 60), 5.0);
        assert_eq!(window.rate(100, 60), 0.0);
        assert_eq!(window.bars(3, 4, 1), [0, 10, 0, 0]);
        assert_eq!(window.bars(3, 2, 2), [10, 0]);
    }
}
