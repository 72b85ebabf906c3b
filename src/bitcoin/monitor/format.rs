//! Numbers, times and bars in few characters.

/// `999`, `1.2k`, `34M`: at most five characters up to 999 E.
pub(super) fn short(n: u64) -> String {
    scaled(n as f64, n.to_string())
}

/// A rate: `0`, `0.25`, `12.5`, `1.2k`.
pub(super) fn rate(n: f64) -> String {
    let small = if n == 0.0 {
        "0".to_owned()
    } else if n < 10.0 {
        format!("{n:.2}")
    } else if n < 100.0 {
        format!("{n:.1}")
    } else {
        format!("{n:.0}")
    };
    scaled(n, small)
}

fn scaled(n: f64, below: String) -> String {
    if n < 1_000.0 {
        return below;
    }
    let mut n = n;
    let mut unit = ' ';
    for next in ['k', 'M', 'G', 'T', 'P', 'E'] {
        if n < 999.5 {
            break;
        }
        n /= 1_000.0;
        unit = next;
    }
    if n < 9.95 {
        format!("{n:.1}{unit}")
    } else {
        format!("{n:.0}{unit}")
    }
}

/// `12s`, `3m04s`, `2h15m`, `3d02h`.
pub(super) fn span(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m{:02}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h{:02}m", s / 3_600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3_600 % 24),
    }
}

/// Time of day in UTC, with milliseconds.
pub(super) fn clock(unix_ms: u64) -> String {
    let s = unix_ms / 1_000;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        s / 3_600 % 24,
        s / 60 % 60,
        s % 60,
        unix_ms % 1_000
    )
}

/// A bar of eight heights for each value, relative to the largest; a space for zero.
pub(super) fn bars(values: &[u64], unicode: bool) -> String {
    let steps: &[char] = if unicode {
        &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    } else {
        &['_', '.', '-', '=', 'o', 'O', '8', '#']
    };
    let most = values.iter().copied().max().unwrap_or(0);
    values
        .iter()
        .map(|&value| {
            if value == 0 {
                return ' ';
            }
            let step = u128::from(value) * (steps.len() as u128 - 1) / u128::from(most);
            steps[step as usize]
        })
        .collect()
}

/// Text of the network's, made fit for a terminal: what would move the cursor is replaced.
pub(super) fn safe(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (n, want) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1.0k"),
            (9_960, "10k"),
            (999_499, "999k"),
            (999_500, "1.0M"),
            (4_000_000, "4.0M"),
            (u64::MAX, "18E"),
        ] {
            assert_eq!(short(n), want);
        }
        for (n, want) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (12.54, "12.5"),
            (250.0, "250"),
            (1_234.0, "1.2k"),
        ] {
            assert_eq!(rate(n), want);
        }
        for (ms, want) in [
            (59_999, "59s"),
            (184_000, "3m04s"),
            (8_100_000, "2h15m"),
            (266_400_000, "3d02h"),
        ] {
            assert_eq!(span(ms), want);
        }
        assert_eq!(clock(1_700_000_000_123), "22:13:20.123");
    }

    #[test]
    fn bars_are_relative() {
        assert_eq!(bars(&[0, 1, 4, 8], true), " ▁▄█");
        assert_eq!(bars(&[0, u64::MAX], false), " #");
        assert_eq!(bars(&[], true), "");
        assert_eq!(safe("a\x1b[2Jb"), "a\u{fffd}[2Jb");
    }
}
