//! The chart of a `tseries`: one line an interval, time down, value across.

use super::{aggregate::order, clock};

/// Columns of the chart, both edges included.
const WIDTH: usize = 53;

/// Appends the chart of `(nanoseconds since 1970, value)`.
pub(super) fn chart(out: &mut Vec<u8>, points: &[(u64, u64)], signed: bool) {
    let values = || points.iter().map(|(_, v)| order(*v, signed));
    let (Some(mut min), Some(mut max)) = (values().min(), values().max()) else {
        out.extend_from_slice(b"<no data>\n");
        return;
    };
    if min == max {
        (min, max) = (min - 1, max + 1);
    }
    let column =
        |v: i128| usize::try_from((v - min) * (WIDTH as i128 - 1) / (max - min)).unwrap_or(0);
    let (low, high) = (min.to_string(), max.to_string());
    let (unit, digits) = precision(points);
    let left = format!("hh:mm:ss{unit}").chars().count().max(match digits {
        0 => 0,
        n => 9 + n,
    }) + 1;
    let scale = format!("{:left$}{low:<21}{high:>32}\n", "");
    out.extend_from_slice(scale.as_bytes());
    let edge = "_".repeat(WIDTH - 2);
    out.extend_from_slice(format!("{:<left$}|{edge}|\n", format!("hh:mm:ss{unit}")).as_bytes());
    for &(at, value) in points {
        let value = order(value, signed);
        clock::format_time(out, "%H:%M:%S", i128::from(at));
        let mut line = [b' '; WIDTH];
        (line[0], line[WIDTH - 1]) = (b'|', b'|');
        if min < 0 && max > 0 {
            line[column(0)] = b'.';
        }
        line[column(value).min(WIDTH - 1)] = b'*';
        let nanos = format!("{:09}", at % 1_000_000_000);
        out.extend_from_slice(if digits > 0 { b"." } else { b"" });
        out.extend_from_slice(nanos.get(..digits).unwrap_or("").as_bytes());
        out.push(b' ');
        out.extend_from_slice(&line);
        out.extend_from_slice(format!(" {value}\n").as_bytes());
    }
    out.extend_from_slice(format!("{:left$}v{edge}v\n", "").as_bytes());
    out.extend_from_slice(scale.as_bytes());
}

/// How finely times are told apart: the unit's name in the head, and the digits after the second.
fn precision(points: &[(u64, u64)]) -> (&'static str, usize) {
    let gap = match points {
        [.., (before, _), (last, _)] => last.saturating_sub(*before),
        _ => 0,
    };
    match gap {
        1_000_000_000.. => ("", 0),
        1_000_000.. => (".ms", 3),
        1_000.. => (".μs", 6),
        _ => (".ns", 9),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn points_stand_between_the_edges() {
        let mut out = Vec::new();
        super::chart(
            &mut out,
            &[(1_000_000, 0), (2_000_000, 1), (3_000_000, 2)],
            true,
        );
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 7);
        assert!(
            lines[2].ends_with(":00.001 *                                                   | 0")
        );
        assert!(
            lines[3].ends_with(":00.002 |                         *                         | 1")
        );
        assert!(
            lines[4].ends_with(":00.003 |                                                   * 2")
        );
        assert_eq!(lines[1], format!("hh:mm:ss.ms  |{}|", "_".repeat(51)));
    }

    #[test]
    fn times_are_as_fine_as_the_interval() {
        for (gap, head, time) in [
            (1_500_000_000, "hh:mm:ss |", ":01 |"),
            (2_000, "hh:mm:ss.μs     |", ".000002 |"),
            (7, "hh:mm:ss.ns        |", ".000000007 |"),
        ] {
            let mut out = Vec::new();
            super::chart(&mut out, &[(0, 3), (gap, 3)], false);
            let text = String::from_utf8(out).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            assert!(lines[1].starts_with(head), "{text}");
            assert!(lines[3].contains(time), "{text}");
        }
    }
}
