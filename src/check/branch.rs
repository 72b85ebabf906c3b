//! What a conditional jump decides and teaches (`is_scalar_branch_taken`, `regs_refine_cond_op`).

use super::{
    scalar::{Scalar, low},
    tnum::Tnum,
};
use crate::asm::{Cond, Width};

/// The condition with its operands swapped.
pub(super) const fn flip(cond: Cond) -> Cond {
    match cond {
        Cond::Gt => Cond::Lt,
        Cond::Ge => Cond::Le,
        Cond::Lt => Cond::Gt,
        Cond::Le => Cond::Ge,
        Cond::Sgt => Cond::Slt,
        Cond::Sge => Cond::Sle,
        Cond::Slt => Cond::Sgt,
        Cond::Sle => Cond::Sge,
        same => same,
    }
}

/// Whether `a cond b` holds for all values, or for none.
pub(super) fn decided(cond: Cond, width: Width, a: &Scalar, b: &Scalar) -> Option<bool> {
    let wide = width == Width::W64;
    let (abits, bbits) = if wide {
        (a.bits, b.bits)
    } else {
        (a.bits.low(), b.bits.low())
    };
    // The ranges in that width, as wide numbers.
    let u = |s: &Scalar| {
        if wide {
            (s.umin, s.umax)
        } else {
            (u64::from(s.umin32), u64::from(s.umax32))
        }
    };
    let s = |s: &Scalar| {
        if wide {
            (s.smin, s.smax)
        } else {
            (i64::from(s.smin32), i64::from(s.smax32))
        }
    };
    let ((aumin, aumax), (bumin, bumax)) = (u(a), u(b));
    let ((asmin, asmax), (bsmin, bsmax)) = (s(a), s(b));
    fn order<T: Ord>(less: (T, T), more: (T, T)) -> Option<bool> {
        if less.1 < more.0 {
            Some(true)
        } else if less.0 >= more.1 {
            Some(false)
        } else {
            None
        }
    }
    match cond {
        Cond::Eq | Cond::Ne => {
            let equal = if abits.is_known() && bbits.is_known() {
                Some(abits.value == bbits.value)
            } else {
                let apart = aumin > bumax || aumax < bumin || asmin > bsmax || asmax < bsmin;
                let apart32 = a.umin32 > b.umax32
                    || a.umax32 < b.umin32
                    || a.smin32 > b.smax32
                    || a.smax32 < b.smin32;
                // A bit that is known of both and differs (`tnum_overlap`, from 6.18 on).
                let known = !(abits.mask | bbits.mask);
                let bit = (abits.value ^ bbits.value) & known != 0;
                (apart || apart32 || bit).then_some(false)
            };
            equal.map(|equal| equal == (cond == Cond::Eq))
        }
        Cond::Set => {
            let (bits, mask) = if bbits.is_known() {
                (abits, bbits.value)
            } else if abits.is_known() {
                (bbits, abits.value)
            } else {
                return None;
            };
            if bits.value & mask != 0 {
                Some(true)
            } else if (bits.value | bits.mask) & mask == 0 {
                Some(false)
            } else {
                None
            }
        }
        Cond::Lt => order((aumin, aumax), (bumin, bumax)),
        Cond::Gt => order((bumin, bumax), (aumin, aumax)),
        Cond::Ge => order((aumin, aumax), (bumin, bumax)).map(|v| !v),
        Cond::Le => order((bumin, bumax), (aumin, aumax)).map(|v| !v),
        Cond::Slt => order((asmin, asmax), (bsmin, bsmax)),
        Cond::Sgt => order((bsmin, bsmax), (asmin, asmax)),
        Cond::Sge => order((asmin, asmax), (bsmin, bsmax)).map(|v| !v),
        Cond::Sle => order((bsmin, bsmax), (asmin, asmax)).map(|v| !v),
    }
}

/// Narrows both operands to what they are if `a cond b` is `holds`.
pub(super) fn learn(cond: Cond, holds: bool, width: Width, a: &mut Scalar, b: &mut Scalar) {
    refine(cond, holds, width, a, b);
    a.settle();
    b.settle();
}

fn refine(cond: Cond, holds: bool, width: Width, a: &mut Scalar, b: &mut Scalar) {
    let cond = match (cond, holds) {
        (Cond::Set, true) => return set(width, a, b),
        (Cond::Set, false) => return clear(width, a, b),
        (cond, true) => cond,
        (Cond::Eq, false) => Cond::Ne,
        (Cond::Ne, false) => Cond::Eq,
        (Cond::Gt, false) => Cond::Le,
        (Cond::Ge, false) => Cond::Lt,
        (Cond::Lt, false) => Cond::Ge,
        (Cond::Le, false) => Cond::Gt,
        (Cond::Sgt, false) => Cond::Sle,
        (Cond::Sge, false) => Cond::Slt,
        (Cond::Slt, false) => Cond::Sge,
        (Cond::Sle, false) => Cond::Sgt,
    };
    match (cond, width) {
        (Cond::Eq, _) => equal(width, a, b),
        (Cond::Ne, _) => differ(width, a, b),
        (Cond::Gt | Cond::Ge | Cond::Sgt | Cond::Sge, _) => {
            refine(flip(cond), true, width, b, a);
        }
        (Cond::Le, Width::W64) => {
            a.umax = a.umax.min(b.umax);
            b.umin = b.umin.max(a.umin);
        }
        (Cond::Le, Width::W32) => {
            a.umax32 = a.umax32.min(b.umax32);
            b.umin32 = b.umin32.max(a.umin32);
        }
        (Cond::Lt, Width::W64) => {
            a.umax = a.umax.min(b.umax.wrapping_sub(1));
            b.umin = b.umin.max(a.umin.wrapping_add(1));
        }
        (Cond::Lt, Width::W32) => {
            a.umax32 = a.umax32.min(b.umax32.wrapping_sub(1));
            b.umin32 = b.umin32.max(a.umin32.wrapping_add(1));
        }
        (Cond::Sle, Width::W64) => {
            a.smax = a.smax.min(b.smax);
            b.smin = b.smin.max(a.smin);
        }
        (Cond::Sle, Width::W32) => {
            a.smax32 = a.smax32.min(b.smax32);
            b.smin32 = b.smin32.max(a.smin32);
        }
        (Cond::Slt, Width::W64) => {
            a.smax = a.smax.min(b.smax.wrapping_sub(1));
            b.smin = b.smin.max(a.smin.wrapping_add(1));
        }
        (Cond::Slt, Width::W32) => {
            a.smax32 = a.smax32.min(b.smax32.wrapping_sub(1));
            b.smin32 = b.smin32.max(a.smin32.wrapping_add(1));
        }
        (Cond::Set, _) => {}
    }
}

fn equal(width: Width, a: &mut Scalar, b: &mut Scalar) {
    a.umin32 = a.umin32.max(b.umin32);
    a.umax32 = a.umax32.min(b.umax32);
    a.smin32 = a.smin32.max(b.smin32);
    a.smax32 = a.smax32.min(b.smax32);
    if width == Width::W64 {
        a.umin = a.umin.max(b.umin);
        a.umax = a.umax.min(b.umax);
        a.smin = a.smin.max(b.smin);
        a.smax = a.smax.min(b.smax);
        a.bits = a.bits.intersect(b.bits);
        *b = *a;
        return;
    }
    (b.umin32, b.umax32) = (a.umin32, a.umax32);
    (b.smin32, b.smax32) = (a.smin32, a.smax32);
    let low = a.bits.low().intersect(b.bits.low());
    a.bits = a.bits.with_low(low);
    b.bits = b.bits.with_low(low);
}

/// A constant at the end of a range is not in it.
fn differ(width: Width, a: &mut Scalar, b: &mut Scalar) {
    let (a, value) = match (b.constant_of(width), a.constant_of(width)) {
        (Some(value), _) => (a, value),
        (None, Some(value)) => (b, value),
        (None, None) => return,
    };
    if width == Width::W64 {
        let signed = value.cast_signed();
        if a.umin == value {
            a.umin = a.umin.wrapping_add(1);
        }
        if a.umax == value {
            a.umax = a.umax.wrapping_sub(1);
        }
        if a.smin == signed {
            a.smin = a.smin.wrapping_add(1);
        }
        if a.smax == signed {
            a.smax = a.smax.wrapping_sub(1);
        }
        return;
    }
    let value = low(value);
    let signed = value.cast_signed();
    if a.umin32 == value {
        a.umin32 = a.umin32.wrapping_add(1);
    }
    if a.umax32 == value {
        a.umax32 = a.umax32.wrapping_sub(1);
    }
    if a.smin32 == signed {
        a.smin32 = a.smin32.wrapping_add(1);
    }
    if a.smax32 == signed {
        a.smax32 = a.smax32.wrapping_sub(1);
    }
}

fn mask_of(width: Width, a: &Scalar, b: &Scalar) -> Option<(bool, u64)> {
    match (b.constant_of(width), a.constant_of(width)) {
        (Some(mask), _) => Some((true, mask)),
        (None, Some(mask)) => Some((false, mask)),
        (None, None) => None,
    }
}

fn set(width: Width, a: &mut Scalar, b: &mut Scalar) {
    let Some((first, mask)) = mask_of(width, a, b) else {
        return;
    };
    if mask.is_power_of_two() {
        let to = if first { a } else { b };
        to.bits = to.bits.or(Tnum::known(mask));
    }
}

fn clear(width: Width, a: &mut Scalar, b: &mut Scalar) {
    let Some((first, mask)) = mask_of(width, a, b) else {
        return;
    };
    let to = if first { a } else { b };
    to.bits = to.bits.and(Tnum::known(!mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compare_narrows_and_then_decides() {
        let (mut a, mut b) = (Scalar::UNKNOWN, Scalar::known(8));
        assert_eq!(decided(Cond::Lt, Width::W64, &a, &b), None);
        learn(Cond::Lt, true, Width::W64, &mut a, &mut b);
        assert_eq!((a.umin, a.umax, a.smin, a.smax32), (0, 7, 0, 7));
        assert_eq!(decided(Cond::Lt, Width::W64, &a, &b), Some(true));
        assert_eq!(decided(Cond::Eq, Width::W32, &a, &b), Some(false));
        let mut seven = Scalar::known(7);
        learn(Cond::Ne, true, Width::W64, &mut a, &mut seven);
        assert_eq!(a.umax, 6);
    }

    #[test]
    fn a_known_bit_that_differs_decides() {
        let four = Scalar {
            bits: Tnum::new(0, !3),
            ..Scalar::UNKNOWN
        };
        let two = Scalar::known(2);
        for width in [Width::W64, Width::W32] {
            assert_eq!(decided(Cond::Eq, width, &four, &two), Some(false));
            assert_eq!(decided(Cond::Ne, width, &two, &four), Some(true));
        }
        assert_eq!(
            decided(Cond::Eq, Width::W64, &four, &Scalar::known(4)),
            None
        );
    }

    #[test]
    fn a_bit_test_narrows() {
        let (mut a, mut b) = (Scalar::UNKNOWN, Scalar::known(!7));
        learn(Cond::Set, false, Width::W64, &mut a, &mut b);
        assert_eq!(a.umax, 7);
        assert_eq!(decided(Cond::Set, Width::W64, &a, &b), Some(false));
    }
}
