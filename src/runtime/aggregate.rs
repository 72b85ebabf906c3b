//! Aggregations: the shares of all CPUs put together, as text.

use super::{int, record::u64_at};
use crate::spec::{
    Agg,
    hist::{self, Range},
};

/// Columns of a histogram's bar.
const BAR: usize = 52;

/// An aggregation over all CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Total {
    /// One number: count, sum, avg, min, max.
    Number {
        /// Its bits.
        value: u64,
        /// Two's complement.
        signed: bool,
    },
    /// `stats`.
    Stats {
        /// How many values.
        count: u64,
        /// Their sum.
        total: u64,
        /// Their mean; divided, where that is asked for.
        average: u64,
        /// Two's complement.
        signed: bool,
    },
    /// `hist` and `lhist`: from the first to the last bucket that counts, in order.
    Buckets {
        /// What each holds and how often.
        rows: Vec<(Range, u64)>,
        /// Labels as powers of 1024, single values as `[n]`.
        scale: Scale,
    },
    /// `tseries`: start of the interval in clock nanoseconds, and the value.
    Series {
        /// In order of time.
        points: Vec<(u64, u64)>,
        /// Two's complement.
        signed: bool,
    },
}

fn divide(n: u64, by: u64, signed: bool) -> u64 {
    match (by, signed) {
        (0, _) => 0,
        (by, false) => n / by,
        (by, true) => match i64::try_from(by) {
            Ok(by) => n.cast_signed().wrapping_div(by).cast_unsigned(),
            Err(_) => 0,
        },
    }
}

/// Puts the shares of all CPUs together.
pub fn combine(agg: &Agg, cpus: &[Vec<u8>]) -> Total {
    let sum = |at: usize| {
        let words = cpus.iter().filter_map(|cpu| u64_at(cpu, at));
        words.fold(0u64, u64::wrapping_add)
    };
    match *agg {
        Agg::Count => Total::Number {
            value: sum(0),
            signed: true,
        },
        Agg::Sum { signed } => Total::Number {
            value: sum(0),
            signed,
        },
        Agg::Avg { signed } => Total::Number {
            value: divide(sum(0), sum(8), signed),
            signed,
        },
        Agg::Stats { signed } => Total::Stats {
            count: sum(8),
            total: sum(0),
            average: divide(sum(0), sum(8), signed),
            signed,
        },
        Agg::Min { signed } | Agg::Max { signed } => {
            let set = cpus
                .iter()
                .filter(|cpu| u64_at(cpu, 8).is_some_and(|set| set != 0));
            let values = set.filter_map(|cpu| u64_at(cpu, 0));
            let key = |v: &u64| order(*v, signed);
            let value = match agg {
                Agg::Min { .. } => values.min_by_key(key),
                _ => values.max_by_key(key),
            };
            Total::Number {
                value: value.unwrap_or(0),
                signed,
            }
        }
        Agg::Hist { bits } => buckets(agg, sum, Scale::Log2 { bits }, |i| {
            hist::hist_range(i, bits)
        }),
        Agg::Lhist { min, max, step } => buckets(agg, sum, Scale::Linear { step }, |i| {
            hist::lhist_range(i, min, max, step)
        }),
        Agg::Tseries {
            agg,
            interval_ns,
            buckets,
            signed,
        } => series(agg, interval_ns, buckets, signed, cpus),
    }
}

fn buckets(
    agg: &Agg,
    sum: impl Fn(usize) -> u64,
    scale: Scale,
    range: impl Fn(u32) -> Range,
) -> Total {
    let all = (0..agg.size() / 8).map(|i| (range(i), sum(8 * i as usize)));
    let mut rows: Vec<_> = all.skip_while(|(_, n)| *n == 0).collect();
    while rows.last().is_some_and(|(_, n)| *n == 0) {
        rows.pop();
    }
    Total::Buckets { rows, scale }
}

fn series(agg: u8, interval: u64, buckets: u32, signed: bool, cpus: &[Vec<u8>]) -> Total {
    // (epoch, value, extra) as `spec::hist` lays them out; the newest window only.
    let slots = cpus.iter().flat_map(|cpu| cpu.chunks_exact(24));
    let words = slots.filter_map(|s| Some((u64_at(s, 0)?, u64_at(s, 8)?, u64_at(s, 16)?)));
    let mut found: Vec<_> = words.filter(|(_, _, extra)| *extra != 0).collect();
    let newest = found.iter().map(|(epoch, ..)| *epoch).max().unwrap_or(0);
    found.retain(|(epoch, ..)| newest - epoch < u64::from(buckets));
    found.sort_by_key(|(epoch, _, extra)| (*epoch, *extra));
    let mut points: Vec<(u64, u64, u64)> = Vec::new();
    for (epoch, value, extra) in found {
        match points.last_mut().filter(|last| last.0 == epoch) {
            None => points.push((epoch, value, extra)),
            Some(last) => match agg {
                hist::TSERIES_AVG | hist::TSERIES_SUM => {
                    last.1 = last.1.wrapping_add(value);
                    last.2 = last.2.wrapping_add(extra);
                }
                hist::TSERIES_MAX if order(value, signed) <= order(last.1, signed) => {}
                hist::TSERIES_MIN if order(value, signed) >= order(last.1, signed) => {}
                _ => last.1 = value,
            },
        }
    }
    let value = |value, extra| match agg {
        hist::TSERIES_AVG => divide(value, extra, signed),
        _ => value,
    };
    let points = points
        .into_iter()
        .map(|(epoch, v, extra)| (epoch.wrapping_mul(interval), value(v, extra)));
    Total::Series {
        points: points.collect(),
        signed,
    }
}

/// A number that sorts as the value does.
pub fn order(value: u64, signed: bool) -> i128 {
    if signed {
        i128::from(value.cast_signed())
    } else {
        i128::from(value)
    }
}

fn push(out: &mut Vec<u8>, value: u64, signed: bool) {
    if signed {
        int::push_i64(out, value.cast_signed());
    } else {
        int::push_u64(out, value);
    }
}

impl Total {
    /// What entries of a map are sorted by.
    pub fn weight(&self) -> i128 {
        match self {
            Total::Number { value, signed } => order(*value, *signed),
            Total::Stats { total, signed, .. } => order(*total, *signed),
            Total::Buckets { rows, .. } => rows.iter().map(|(_, n)| i128::from(*n)).sum(),
            Total::Series { points, .. } => points.last().map_or(0, |(at, _)| i128::from(*at)),
        }
    }

    /// Takes several lines.
    pub fn is_chart(&self) -> bool {
        matches!(self, Total::Buckets { .. } | Total::Series { .. })
    }

    /// Numbers divided by `div`, as `print(@map, top, div)` asks.
    pub fn divided(mut self, div: u64) -> Self {
        if div > 1 {
            match &mut self {
                Total::Number { value, signed } => *value = divide(*value, div, *signed),
                Total::Stats {
                    average, signed, ..
                } => *average = divide(*average, div, *signed),
                Total::Buckets { rows, .. } => rows.iter_mut().for_each(|(_, n)| *n /= div),
                Total::Series { points, signed } => {
                    points
                        .iter_mut()
                        .for_each(|(_, v)| *v = divide(*v, div, *signed));
                }
            }
        }
        self
    }

    /// Appends it as text: one line without its end, or a chart of lines.
    pub fn text(&self, out: &mut Vec<u8>, div: u64) {
        match self {
            Total::Number { value, signed } => {
                push(out, divide(*value, div.max(1), *signed), *signed)
            }
            Total::Stats {
                count,
                total,
                average,
                signed,
            } => {
                out.extend_from_slice(b"{ .count = ");
                int::push_u64(out, *count);
                out.extend_from_slice(b", .average = ");
                push(out, *average, *signed);
                out.extend_from_slice(b", .total = ");
                push(out, *total, *signed);
                out.extend_from_slice(b" }");
            }
            Total::Buckets { rows, scale } => bars(out, rows, *scale),
            Total::Series { points, signed } => super::tseries::chart(out, points, *signed),
        }
    }
}

/// How the bounds of a histogram's buckets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Powers of two, each cut into 2^bits buckets.
    Log2 {
        /// As `hist(n, bits)` has it.
        bits: u8,
    },
    /// Buckets of one width.
    Linear {
        /// The width.
        step: i64,
    },
}

impl Scale {
    /// `4096` as `4K`; an open end as `...`.
    ///
    /// A power of two takes the largest unit in which its bucket's bounds are whole, a linear one the unit of the step.
    fn label(self, n: Option<i128>) -> String {
        let Some(n) = n else {
            return "...".to_owned();
        };
        let whole = |unit: &usize| match self {
            Scale::Log2 { bits } => n >> (10 * unit + usize::from(bits)) > 0,
            Scale::Linear { step } => {
                let size = 1i128 << (10 * unit);
                i128::from(step) % size == 0 && n % size == 0 && n != 0
            }
        };
        let unit = (1..7).take_while(whole).last().unwrap_or(0);
        format!(
            "{}{}",
            n >> (10 * unit),
            ["", "K", "M", "G", "T", "P", "E"][unit]
        )
    }
}

fn bars(out: &mut Vec<u8>, rows: &[(Range, u64)], scale: Scale) {
    let most = rows.iter().map(|(_, n)| *n).max().unwrap_or(0).max(1);
    for (range, count) in rows {
        let (lo, hi) = (scale.label(range.lo), scale.label(range.hi));
        let head = match (range.lo, range.hi) {
            (Some(first), Some(end)) if end == first + 1 => format!("[{lo}]"),
            (Some(_), _) => format!("[{lo}, {hi})"),
            (None, _) => format!("({lo}, {hi})"),
        };
        // At most BAR, since `count <= most`.
        let width = (u128::from(*count) * BAR as u128 / u128::from(most)) as usize;
        let bar = "@".repeat(width);
        out.extend_from_slice(format!("{head:<16}{count:>8} |{bar:<BAR$}|\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_ne_bytes()).collect()
    }

    fn shown(agg: &Agg, cpus: &[Vec<u8>]) -> String {
        let mut out = Vec::new();
        combine(agg, cpus).text(&mut out, 1);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_over_cpus() {
        let minus = |n: i64| n.cast_unsigned();
        let table = [
            (Agg::Count, vec![cpu(&[2]), cpu(&[3])], "5"),
            (
                Agg::Sum { signed: true },
                vec![cpu(&[minus(-7)]), cpu(&[3])],
                "-4",
            ),
            (
                Agg::Avg { signed: true },
                vec![cpu(&[minus(-9), 2]), cpu(&[0, 1])],
                "-3",
            ),
            (Agg::Avg { signed: false }, vec![cpu(&[0, 0])], "0"),
            (
                Agg::Min { signed: true },
                vec![cpu(&[0, 0]), cpu(&[minus(-3), 1])],
                "-3",
            ),
            (
                Agg::Min { signed: true },
                vec![cpu(&[5, 1]), cpu(&[0, 0])],
                "5",
            ),
            (
                Agg::Max { signed: false },
                vec![cpu(&[u64::MAX, 1]), cpu(&[5, 1])],
                "18446744073709551615",
            ),
            (
                Agg::Stats { signed: true },
                vec![cpu(&[3, 1]), cpu(&[4, 1])],
                "{ .count = 2, .average = 3, .total = 7 }",
            ),
        ];
        for (agg, cpus, want) in table {
            assert_eq!(shown(&agg, &cpus), want, "{agg:?}");
        }
    }

    #[test]
    fn log2_chart() {
        let mut words = vec![0u64; 66];
        for n in [-3i64, 0, 1, 5, 100_000, 100_000] {
            words[hist::hist_index(n, 0) as usize] += 1;
        }
        let text = shown(&Agg::Hist { bits: 0 }, &[cpu(&words)]);
        let lines: Vec<&str> = text.lines().collect();
        let half = format!("{}{}", "@".repeat(26), " ".repeat(26));
        assert_eq!(lines[0], format!("(..., 0)               1 |{half}|"));
        assert_eq!(lines[1], format!("[0]                    1 |{half}|"));
        assert_eq!(
            lines[3],
            format!("[2, 4)                 0 |{}|", " ".repeat(52))
        );
        assert_eq!(
            lines[11],
            format!("[512, 1K)              0 |{}|", " ".repeat(52))
        );
        assert_eq!(
            lines.last(),
            Some(&format!("[64K, 128K)            2 |{}|", "@".repeat(52)).as_str())
        );
        assert_eq!(lines.len(), 19);
    }

    #[test]
    fn linear_chart() {
        let agg = Agg::Lhist {
            min: 0,
            max: 10,
            step: 2,
        };
        let text = shown(&agg, &[cpu(&[1, 0, 0, 0, 0, 0, 1])]);
        assert!(text.starts_with("(..., 0)               1 |@"));
        assert!(text.contains("[0, 2)                 0 |"));
        assert!(text.contains("[10, ...)              1 |@"));
        assert_eq!(shown(&agg, &[cpu(&[0; 7])]), "");
    }

    #[test]
    fn series_takes_the_last_value_of_an_interval() {
        let agg = Agg::Tseries {
            agg: hist::TSERIES_LAST,
            interval_ns: 10,
            buckets: 2,
            signed: true,
        };
        let cpus = [cpu(&[7, 1, 71, 8, 2, 80]), cpu(&[7, 9, 75, 0, 0, 0])];
        let want = vec![(70, 9), (80, 2)];
        assert_eq!(
            combine(&agg, &cpus),
            Total::Series {
                points: want,
                signed: true
            }
        );
    }
}
