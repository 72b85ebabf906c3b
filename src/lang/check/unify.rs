//! How types of variables, keys and values grow together.

use crate::spec::{Agg, Type};

/// The type of a place that values go to, as far as known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Slot {
    /// The type.
    pub(super) ty: Option<Type>,
    /// Only integer literals went in so far: least and largest.
    pub(super) literals: Option<(i128, i128)>,
    /// Declared: it does not grow.
    pub(super) fixed: bool,
}

/// What came of joining.
pub(super) enum Join {
    /// The common type.
    Same(Type),
    /// The common type; a sign may be lost.
    SignLost(Type),
    /// There is none.
    Clash,
}

/// The smallest signed integer that holds a literal, or `uint64`.
pub(super) fn literal_type(value: i128) -> Type {
    for bits in [8u8, 16, 32, 64] {
        let limit = 1i128 << (bits - 1);
        if value >= -limit && value < limit {
            return Type::Int { bits, signed: true };
        }
    }
    Type::U64
}

/// Whether an integer type can hold a value.
pub(super) fn holds(ty: &Type, value: i128) -> bool {
    match ty {
        Type::Int { bits, signed: true } => {
            let limit = 1i128 << (bits - 1);
            value >= -limit && value < limit
        }
        Type::Int { bits, .. } => value >= 0 && value < 1i128 << bits,
        Type::Bool => value == 0 || value == 1,
        _ => true,
    }
}

/// The integer type that both fit in.
pub(super) fn join_ints(a: (u8, bool), b: (u8, bool)) -> (Type, bool) {
    if a.1 == b.1 {
        let ty = Type::Int {
            bits: a.0.max(b.0),
            signed: a.1,
        };
        return (ty, false);
    }
    let (signed, unsigned) = if a.1 { (a.0, b.0) } else { (b.0, a.0) };
    let bits = signed.max(unsigned.saturating_mul(2));
    let ty = Type::Int {
        bits: bits.min(64),
        signed: true,
    };
    (ty, bits > 64)
}

/// Joins two types; `lit_a`, `lit_b` are the ranges of integers that come from literals only.
pub(super) fn join(
    a: &Type,
    lit_a: Option<(i128, i128)>,
    b: &Type,
    lit_b: Option<(i128, i128)>,
) -> Join {
    use Type::*;
    match (a, b) {
        _ if a == b => Join::Same(a.clone()),
        (Int { .. }, Int { .. }) if lit_a.is_some_and(|l| fits(b, l)) => Join::Same(b.clone()),
        (Int { .. }, Int { .. }) if lit_b.is_some_and(|l| fits(a, l)) => Join::Same(a.clone()),
        (Int { bits: x, signed: s }, Int { bits: y, signed: t }) => {
            match join_ints((*x, *s), (*y, *t)) {
                (ty, false) => Join::Same(ty),
                (ty, true) => Join::SignLost(ty),
            }
        }
        (Bool, Int { .. }) | (Enum { .. }, Int { .. }) => Join::Same(b.clone()),
        (Int { .. }, Bool) | (Int { .. }, Enum { .. }) => Join::Same(a.clone()),
        // Enumerators of two enums have only their numbers in common.
        (Enum { .. }, Enum { .. }) => Join::Same(Type::I64),
        (Str { size: x }, Str { size: y }) => Join::Same(Str { size: *x.max(y) }),
        (Buf { size: x }, Buf { size: y }) => Join::Same(Buf { size: *x.max(y) }),
        (Ptr(inner), Ptr(_)) if **inner == Void => Join::Same(b.clone()),
        (Ptr(_), Ptr(inner)) if **inner == Void => Join::Same(a.clone()),
        (Ptr(_), Int { .. }) if lit_b == Some((0, 0)) => Join::Same(a.clone()),
        (Int { .. }, Ptr(_)) if lit_a == Some((0, 0)) => Join::Same(b.clone()),
        (Tuple(x), Tuple(y)) if x.len() == y.len() => {
            let mut lost = false;
            let mut out = Vec::new();
            for (x, y) in x.iter().zip(y) {
                match join(x, None, y, None) {
                    Join::Same(ty) => out.push(ty),
                    Join::SignLost(ty) => {
                        lost = true;
                        out.push(ty);
                    }
                    Join::Clash => return Join::Clash,
                }
            }
            joined(Tuple(out), lost)
        }
        (Record(x), Record(y)) if x.len() == y.len() => {
            let mut lost = false;
            let mut out = Vec::new();
            for (name, ty) in x {
                let Some((_, other)) = y.iter().find(|(n, _)| n == name) else {
                    return Join::Clash;
                };
                match join(ty, None, other, None) {
                    Join::Same(ty) => out.push((name.clone(), ty)),
                    Join::SignLost(ty) => {
                        lost = true;
                        out.push((name.clone(), ty));
                    }
                    Join::Clash => return Join::Clash,
                }
            }
            joined(Record(out), lost)
        }
        (Array(x, n), Array(y, m)) if n == m => match join(x, None, y, None) {
            Join::Same(ty) => Join::Same(Array(Box::new(ty), *n)),
            _ => Join::Clash,
        },
        (Agg(x), Agg(y)) => join_aggs(x, y).map_or(Join::Clash, |agg| Join::Same(Agg(agg))),
        _ => Join::Clash,
    }
}

fn joined(ty: Type, lost: bool) -> Join {
    if lost {
        Join::SignLost(ty)
    } else {
        Join::Same(ty)
    }
}

fn fits(ty: &Type, (least, largest): (i128, i128)) -> bool {
    holds(ty, least) && holds(ty, largest)
}

fn join_aggs(a: &Agg, b: &Agg) -> Option<Agg> {
    Some(match (a, b) {
        (Agg::Sum { signed: x }, Agg::Sum { signed: y }) => Agg::Sum { signed: x | y },
        (Agg::Avg { signed: x }, Agg::Avg { signed: y }) => Agg::Avg { signed: x | y },
        (Agg::Min { signed: x }, Agg::Min { signed: y }) => Agg::Min { signed: x | y },
        (Agg::Max { signed: x }, Agg::Max { signed: y }) => Agg::Max { signed: x | y },
        (Agg::Stats { signed: x }, Agg::Stats { signed: y }) => Agg::Stats { signed: x | y },
        (
            Agg::Tseries {
                agg,
                interval_ns,
                buckets,
                signed,
            },
            Agg::Tseries {
                agg: g,
                interval_ns: i,
                buckets: n,
                signed: s,
            },
        ) if agg == g && interval_ns == i && buckets == n => Agg::Tseries {
            agg: *agg,
            interval_ns: *interval_ns,
            buckets: *buckets,
            signed: signed | s,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(bits: u8, signed: bool) -> Type {
        Type::Int { bits, signed }
    }

    #[test]
    fn literals_take_the_smallest_signed_type() {
        for (value, want) in [
            (0, int(8, true)),
            (127, int(8, true)),
            (128, int(16, true)),
            (-1000, int(16, true)),
            (1 << 40, int(64, true)),
            (i128::from(u64::MAX), int(64, false)),
        ] {
            assert_eq!(literal_type(value), want, "{value}");
        }
    }

    #[test]
    fn integers_join_upwards() {
        for (a, b, want, lost) in [
            ((8, true), (16, true), int(16, true), false),
            ((8, true), (8, false), int(16, true), false),
            ((32, true), (64, false), int(64, true), true),
            ((64, true), (32, false), int(64, true), false),
        ] {
            assert_eq!(join_ints(a, b), (want, lost));
        }
    }

    #[test]
    fn literals_bend_to_the_other_side() {
        let Join::Same(ty) = join(&int(8, true), Some((1, 1)), &Type::U64, None) else {
            panic!("joins")
        };
        assert_eq!(ty, Type::U64);
        assert!(matches!(
            join(&int(8, true), Some((-1, -1)), &Type::U64, None),
            Join::SignLost(_)
        ));
        assert!(matches!(
            join(&Type::I64, None, &Type::Str { size: 4 }, None),
            Join::Clash
        ));
    }
}
