//! Bucket numbering of `hist`, `lhist` and `tseries`: what programs count in and what the runtime prints.
//!
//! `hist` with `k` bits of precision, in this order of index:
//!
//! ```text
//! 0                       n < 0
//! 1                       n == 0
//! 2 .. 2^k + 1            n = 1 .. 2^k - 1, one bucket each
//! 2^k + 1 ..              for each power p = k .. 63: 2^k buckets over [2^p, 2^(p+1))
//! ```
//!
//! A value `n >= 2^k` with highest bit `p` is in bucket `2^k + 1 + (p - k) * 2^k + (n >> (p - k)) - 2^k`.
//!
//! `lhist`: bucket 0 is below `min`, bucket `1 + (n - min) / step` the steps, the last one `max` and above.
//!
//! `tseries`: each bucket is three `u64`: the epoch (`nanoseconds since boot / interval_ns`) that it holds, the value, and for `avg` the
//! number of values, for the others the time of the last one (0: the bucket is empty). Epoch `e` is in bucket
//! `e % buckets`. How values in one bucket combine: [`TSERIES_LAST`] and the others.

use super::types::hist_buckets;

/// `tseries` keeps the last value of an interval.
pub const TSERIES_LAST: u8 = 0;
/// `tseries` keeps sum and number.
pub const TSERIES_AVG: u8 = 1;
/// `tseries` keeps the largest value.
pub const TSERIES_MAX: u8 = 2;
/// `tseries` keeps the smallest value.
pub const TSERIES_MIN: u8 = 3;
/// `tseries` keeps the sum.
pub const TSERIES_SUM: u8 = 4;

/// The values of one bucket: `lo..hi`, an open end where it is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First value.
    pub lo: Option<i128>,
    /// One past the last value.
    pub hi: Option<i128>,
}

/// Index of the bucket of `n` in a `hist` with `bits` bits.
pub fn hist_index(n: i64, bits: u8) -> u32 {
    if n < 0 {
        0
    } else {
        hist_index_unsigned(n.cast_unsigned(), bits)
    }
}

/// As [`hist_index`] for an unsigned argument, which has no negative bucket.
pub fn hist_index_unsigned(n: u64, bits: u8) -> u32 {
    let per_power = 1u32 << bits;
    match u32::try_from(n) {
        Ok(n) if n < per_power => 1 + n,
        _ => {
            let shift = n.ilog2() - u32::from(bits);
            // Below 2^(bits + 1), so it fits.
            let top = (n >> shift) as u32;
            1 + per_power + shift * per_power + (top - per_power)
        }
    }
}

/// What bucket `index` of a `hist` with `bits` bits holds.
pub fn hist_range(index: u32, bits: u8) -> Range {
    let per_power = 1u32 << bits;
    if index == 0 {
        return Range {
            lo: None,
            hi: Some(0),
        };
    }
    if index <= per_power {
        let lo = i128::from(index - 1);
        return Range {
            lo: Some(lo),
            hi: Some(lo + 1),
        };
    }
    let above = index.min(hist_buckets(bits) - 1) - per_power - 1;
    let (shift, sub) = (above / per_power, above % per_power);
    let lo = i128::from(per_power + sub) << shift;
    Range {
        lo: Some(lo),
        hi: Some(lo + (1i128 << shift)),
    }
}

/// Number of whole steps of an `lhist`, without the two open buckets. What is left of the last step belongs to the
/// open bucket above.
pub fn lhist_steps(min: i64, max: i64, step: i64) -> u32 {
    let (min, max, step) = (i128::from(min), i128::from(max), i128::from(step.max(1)));
    u32::try_from((max - min) / step).unwrap_or(0)
}

/// Index of the bucket of `n` in an `lhist`.
pub fn lhist_index(n: i64, min: i64, max: i64, step: i64) -> u32 {
    if n < min {
        0
    } else {
        let steps = (i128::from(n) - i128::from(min)) / i128::from(step.max(1));
        let most = lhist_steps(min, max, step);
        1 + u32::try_from(steps).unwrap_or(most).min(most)
    }
}

/// What bucket `index` of an `lhist` holds.
pub fn lhist_range(index: u32, min: i64, max: i64, step: i64) -> Range {
    let edge = |i: u32| i128::from(min) + i128::from(i) * i128::from(step.max(1));
    if index == 0 {
        Range {
            lo: None,
            hi: Some(i128::from(min)),
        }
    } else if index > lhist_steps(min, max, step) {
        Range {
            lo: Some(edge(lhist_steps(min, max, step))),
            hi: None,
        }
    } else {
        Range {
            lo: Some(edge(index - 1)),
            hi: Some(edge(index)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hist_indices() {
        let table: &[(i64, u8, u32)] = &[
            (-5, 0, 0),
            (0, 0, 1),
            (1, 0, 2),
            (2, 0, 3),
            (3, 0, 3),
            (4, 0, 4),
            (i64::MAX, 0, 64),
            (1, 2, 2),
            (3, 2, 4),
            (4, 2, 5),
            (7, 2, 8),
            (8, 2, 9),
            (9, 2, 9),
            (10, 2, 10),
        ];
        for &(n, bits, want) in table {
            assert_eq!(hist_index(n, bits), want, "hist({n}, {bits})");
        }
    }

    #[test]
    fn every_bucket_holds_its_own_bounds() {
        for bits in 0..=5 {
            let mut next = 0;
            for index in 1..hist_buckets(bits) {
                let range = hist_range(index, bits);
                let (lo, hi) = (range.lo.unwrap(), range.hi.unwrap());
                assert_eq!(lo, next, "no gap before bucket {index} of {bits} bits");
                next = hi;
                for n in [lo, hi - 1] {
                    assert_eq!(hist_index_unsigned(u64::try_from(n).unwrap(), bits), index);
                }
            }
            assert_eq!(next, 1 << 64);
        }
    }

    #[test]
    fn lhist_buckets() {
        for (n, want) in [(-1, 0), (0, 1), (1, 1), (2, 2), (9, 5), (10, 6), (99, 6)] {
            assert_eq!(lhist_index(n, 0, 10, 2), want, "lhist({n}, 0, 10, 2)");
        }
        assert_eq!(
            lhist_range(2, 0, 10, 2),
            Range {
                lo: Some(2),
                hi: Some(4)
            }
        );
        assert_eq!(lhist_range(6, 0, 10, 2).hi, None);
    }
}
