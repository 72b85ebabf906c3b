//! What is known of a number: known bits, with signed and unsigned bounds of all 64 and of the low 32 bits.
//!
//! The rules are those of `kernel/bpf/verifier.c` (`reg_bounds_sync`, `adjust_scalar_min_max_vals`). Where they are
//! simpler here they know less, never more: what is accepted here must be accepted there.

use std::fmt;

use super::tnum::Tnum;
use crate::asm::{AluOp, Width};

/// What is known of a number in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scalar {
    pub(super) bits: Tnum,
    pub(super) umin: u64,
    pub(super) umax: u64,
    pub(super) smin: i64,
    pub(super) smax: i64,
    pub(super) umin32: u32,
    pub(super) umax32: u32,
    pub(super) smin32: i32,
    pub(super) smax32: i32,
}

/// The low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "that is its job")]
pub(super) const fn low(v: u64) -> u32 {
    v as u32
}

const fn high(v: u64) -> u32 {
    low(v >> 32)
}

const fn slow(v: i64) -> i32 {
    low(v.cast_unsigned()).cast_signed()
}

impl Scalar {
    pub(super) const UNKNOWN: Scalar = Scalar {
        bits: Tnum::UNKNOWN,
        umin: 0,
        umax: u64::MAX,
        smin: i64::MIN,
        smax: i64::MAX,
        umin32: 0,
        umax32: u32::MAX,
        smin32: i32::MIN,
        smax32: i32::MAX,
    };

    pub(super) const fn known(v: u64) -> Scalar {
        Scalar {
            bits: Tnum::known(v),
            umin: v,
            umax: v,
            smin: v.cast_signed(),
            smax: v.cast_signed(),
            umin32: low(v),
            umax32: low(v),
            smin32: low(v).cast_signed(),
            smax32: low(v).cast_signed(),
        }
    }

    pub(super) const ZERO: Scalar = Scalar::known(0);

    /// The number, if there is only one.
    pub(super) const fn constant(&self) -> Option<u64> {
        if self.bits.is_known() {
            Some(self.bits.value)
        } else {
            None
        }
    }

    /// The number, if there is only one, of that width.
    pub(super) fn constant_of(&self, width: Width) -> Option<u64> {
        match width {
            Width::W64 => self.constant(),
            Width::W32 => {
                let low = self.bits.low();
                low.is_known().then_some(low.value)
            }
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.constant() == Some(0)
    }

    pub(super) fn is_unknown(&self) -> bool {
        *self == Scalar::UNKNOWN
    }

    /// Bits that any value needs.
    pub(super) fn width(&self) -> u32 {
        64 - self.umax.leading_zeros()
    }

    /// Whether every value of `b` is one of these.
    pub(super) fn holds(&self, b: &Scalar) -> bool {
        self.umin <= b.umin
            && self.umax >= b.umax
            && self.smin <= b.smin
            && self.smax >= b.smax
            && self.umin32 <= b.umin32
            && self.umax32 >= b.umax32
            && self.smin32 <= b.smin32
            && self.smax32 >= b.smax32
            && self.bits.holds(b.bits)
    }

    /// Whether no value is left: the path is impossible, or bounds overflowed.
    pub(super) fn is_broken(&self) -> bool {
        self.umin > self.umax
            || self.smin > self.smax
            || self.umin32 > self.umax32
            || self.smin32 > self.smax32
    }

    fn meet_bits(&mut self) {
        let Tnum { value, mask } = self.bits;
        self.smin = self.smin.max((value | mask & (1 << 63)).cast_signed());
        self.smax = self
            .smax
            .min((value | mask & (u64::MAX >> 1)).cast_signed());
        self.umin = self.umin.max(value);
        self.umax = self.umax.min(value | mask);
        let (value, mask) = (low(value), low(mask));
        self.smin32 = self.smin32.max((value | mask & (1 << 31)).cast_signed());
        self.smax32 = self
            .smax32
            .min((value | mask & (u32::MAX >> 1)).cast_signed());
        self.umin32 = self.umin32.max(value);
        self.umax32 = self.umax32.min(value | mask);
    }

    fn meet_u32(&mut self, min: u32, max: u32) {
        self.umin32 = self.umin32.max(min);
        self.umax32 = self.umax32.min(max);
    }

    fn meet_s32(&mut self, min: i32, max: i32) {
        self.smin32 = self.smin32.max(min);
        self.smax32 = self.smax32.min(max);
    }

    fn deduce32(&mut self) {
        let (umin, umax) = (self.umin, self.umax);
        let (smin, smax) = (self.smin.cast_unsigned(), self.smax.cast_unsigned());
        if high(umin) == high(umax) {
            self.meet_u32(low(umin), low(umax));
        }
        if high(smin) == high(smax) && low(smin) <= low(smax) {
            self.meet_u32(low(smin), low(smax));
        }
        for (min, max) in [(umin, umax), (smin, smax)] {
            let (from, to) = (low(min).cast_signed(), low(max).cast_signed());
            let same = high(min) == high(max) && from <= to;
            let next = high(min).wrapping_add(1) == high(max) && from < 0 && to >= 0;
            if same || next {
                self.meet_s32(from, to);
            }
        }
        if self.umin32.cast_signed() <= self.umax32.cast_signed() {
            self.meet_s32(self.umin32.cast_signed(), self.umax32.cast_signed());
        }
        if self.smin32.cast_unsigned() <= self.smax32.cast_unsigned() {
            self.meet_u32(self.smin32.cast_unsigned(), self.smax32.cast_unsigned());
        }
    }

    fn deduce64(&mut self) {
        if self.umin.cast_signed() <= self.umax.cast_signed() {
            self.smin = self.smin.max(self.umin.cast_signed());
            self.smax = self.smax.min(self.umax.cast_signed());
        }
        let (smin, smax) = (self.smin.cast_unsigned(), self.smax.cast_unsigned());
        if smin <= smax {
            self.umin = self.umin.max(smin);
            self.umax = self.umax.min(smax);
        } else if self.umax < smin {
            self.smin = self.umin.cast_signed();
            self.umax = self.umax.min(smax);
        } else if smax < self.umin {
            self.smax = self.umax.cast_signed();
            self.umin = self.umin.max(smin);
        }
    }

    fn deduce_mixed(&mut self) {
        const HIGH: u64 = 0xffff_ffff << 32;
        self.umin = self.umin.max(self.umin & HIGH | u64::from(self.umin32));
        self.umax = self.umax.min(self.umax & HIGH | u64::from(self.umax32));
        let with = |s: i64, low: u32| (s.cast_unsigned() & HIGH | u64::from(low)).cast_signed();
        self.smin = self.smin.max(with(self.smin, self.umin32));
        self.smax = self.smax.min(with(self.smax, self.umax32));
        if self.smin >= i64::from(i32::MIN) && self.smax <= i64::from(i32::MAX) {
            self.smin = self.smin.max(i64::from(self.smin32));
            self.smax = self.smax.min(i64::from(self.smax32));
        }
    }

    /// Lets each bound learn from the others.
    pub(super) fn sync(&mut self) {
        self.meet_bits();
        for _ in 0..3 {
            self.deduce32();
            self.deduce64();
            self.deduce_mixed();
        }
        let all = self.bits.intersect(Tnum::range(self.umin, self.umax));
        let range = Tnum::range(u64::from(self.umin32), u64::from(self.umax32));
        self.bits = all.with_low(all.low().intersect(range));
        self.meet_bits();
    }

    /// As [`Scalar::sync`]; bounds that contradict each other (a path that no run takes) are forgotten.
    pub(super) fn settle(&mut self) {
        self.sync();
        if self.is_broken() {
            *self = Scalar::UNKNOWN;
        }
    }

    /// The low 32 bits, zero-extended.
    pub(super) fn zero_extend32(&mut self) {
        self.bits = self.bits.low();
        self.umin = u64::from(self.umin32);
        self.umax = u64::from(self.umax32);
        (self.smin, self.smax) = if self.smin32 >= 0 {
            (i64::from(self.smin32), i64::from(self.smax32))
        } else {
            (0, i64::from(u32::MAX))
        };
        self.settle();
    }

    /// The low `bytes`, zero-extended (`coerce_reg_to_size`).
    pub(super) fn zero_extend(&mut self, bytes: u32) {
        if bytes >= 8 {
            return;
        }
        self.bits = self.bits.cast(bytes);
        let mask = u64::MAX >> (64 - 8 * bytes);
        if self.umin & !mask == self.umax & !mask {
            self.umin &= mask;
            self.umax &= mask;
        } else {
            self.umin = 0;
            self.umax = mask;
        }
        self.smin = self.umin.cast_signed();
        self.smax = self.umax.cast_signed();
        if bytes < 4 {
            self.forget32();
        }
        self.settle();
    }

    /// The low `bytes`, sign-extended to `width`.
    pub(super) fn sign_extend(&mut self, bytes: u32, width: Width) {
        if let Some(value) = self.constant() {
            let shift = 64 - 8 * bytes;
            let mut value = ((value << shift).cast_signed() >> shift).cast_unsigned();
            if width == Width::W32 {
                value = u64::from(low(value));
            }
            *self = Scalar::known(value);
            return;
        }
        let limit = 1i64 << (8 * bytes - 1);
        if self.smin >= -limit && self.smax < limit && width == Width::W64 {
            // All values are what they were.
            self.settle();
            return;
        }
        *self = Scalar::UNKNOWN;
        if width == Width::W32 {
            (self.smin32, self.smax32) = (slow(-limit), slow(limit - 1));
            self.bits = self.bits.low();
            self.zero_extend32();
        } else {
            (self.smin, self.smax) = (-limit, limit - 1);
            self.settle();
        }
    }

    fn forget32(&mut self) {
        (self.umin32, self.umax32) = (0, u32::MAX);
        (self.smin32, self.smax32) = (i32::MIN, i32::MAX);
    }

    fn signs_from_unsigned(&mut self) {
        let (min, max) = (self.umin.cast_signed(), self.umax.cast_signed());
        (self.smin, self.smax) = if min <= max {
            (min, max)
        } else {
            (i64::MIN, i64::MAX)
        };
        let (min, max) = (self.umin32.cast_signed(), self.umax32.cast_signed());
        (self.smin32, self.smax32) = if min <= max {
            (min, max)
        } else {
            (i32::MIN, i32::MAX)
        };
    }

    /// `self op b`, in that width. Division and unknown shifts give anything.
    pub(super) fn alu(&mut self, op: AluOp, width: Width, b: &Scalar) {
        let shift = match op {
            AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => match b.constant_of(width) {
                // Even of a 32-bit shift all 64 bits of the amount are looked at.
                Some(by) if b.umax < u64::from(width.bits()) => low(by),
                _ => return self.anything(),
            },
            _ => 0,
        };
        if b.is_broken() {
            return self.anything();
        }
        match op {
            AluOp::Add => self.add(b),
            AluOp::Sub => self.sub(b),
            AluOp::Mul => self.mul(b),
            AluOp::And => self.and(b),
            AluOp::Or => self.or(b),
            AluOp::Xor => self.xor(b),
            AluOp::Lsh => self.lsh(shift, width),
            AluOp::Rsh => self.rsh(shift, width),
            AluOp::Arsh => self.arsh(shift, width),
            AluOp::Mov => *self = *b,
            AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod => return self.anything(),
        }
        if width == Width::W32 {
            self.zero_extend32();
        } else {
            self.settle();
        }
    }

    /// The upper half as well, after 32-bit operations too: `adjust_scalar_min_max_vals` leaves before it is cut off.
    fn anything(&mut self) {
        *self = Scalar::UNKNOWN;
    }

    fn add(&mut self, b: &Scalar) {
        (self.smin, self.smax) =
            match (self.smin.checked_add(b.smin), self.smax.checked_add(b.smax)) {
                (Some(min), Some(max)) => (min, max),
                _ => (i64::MIN, i64::MAX),
            };
        let (min, under) = self.umin.overflowing_add(b.umin);
        let (max, over) = self.umax.overflowing_add(b.umax);
        (self.umin, self.umax) = if !under && over {
            (0, u64::MAX)
        } else {
            (min, max)
        };
        (self.smin32, self.smax32) = match (
            self.smin32.checked_add(b.smin32),
            self.smax32.checked_add(b.smax32),
        ) {
            (Some(min), Some(max)) => (min, max),
            _ => (i32::MIN, i32::MAX),
        };
        let (min, under) = self.umin32.overflowing_add(b.umin32);
        let (max, over) = self.umax32.overflowing_add(b.umax32);
        (self.umin32, self.umax32) = if !under && over {
            (0, u32::MAX)
        } else {
            (min, max)
        };
        self.bits = self.bits.add(b.bits);
    }

    fn sub(&mut self, b: &Scalar) {
        (self.smin, self.smax) =
            match (self.smin.checked_sub(b.smax), self.smax.checked_sub(b.smin)) {
                (Some(min), Some(max)) => (min, max),
                _ => (i64::MIN, i64::MAX),
            };
        let (min, under) = self.umin.overflowing_sub(b.umax);
        let (max, over) = self.umax.overflowing_sub(b.umin);
        (self.umin, self.umax) = if under && !over {
            (0, u64::MAX)
        } else {
            (min, max)
        };
        (self.smin32, self.smax32) = match (
            self.smin32.checked_sub(b.smax32),
            self.smax32.checked_sub(b.smin32),
        ) {
            (Some(min), Some(max)) => (min, max),
            _ => (i32::MIN, i32::MAX),
        };
        let (min, under) = self.umin32.overflowing_sub(b.umax32);
        let (max, over) = self.umax32.overflowing_sub(b.umin32);
        (self.umin32, self.umax32) = if under && !over {
            (0, u32::MAX)
        } else {
            (min, max)
        };
        self.bits = self.bits.sub(b.bits);
    }

    fn mul(&mut self, b: &Scalar) {
        let products = [
            self.smin.checked_mul(b.smin),
            self.smin.checked_mul(b.smax),
            self.smax.checked_mul(b.smin),
            self.smax.checked_mul(b.smax),
        ];
        (self.smin, self.smax) = match products {
            [Some(p), Some(q), Some(r), Some(s)] => {
                (p.min(q).min(r).min(s), p.max(q).max(r).max(s))
            }
            _ => (i64::MIN, i64::MAX),
        };
        (self.umin, self.umax) = match self.umax.checked_mul(b.umax) {
            Some(max) => (self.umin.wrapping_mul(b.umin), max),
            None => (0, u64::MAX),
        };
        let products = [
            self.smin32.checked_mul(b.smin32),
            self.smin32.checked_mul(b.smax32),
            self.smax32.checked_mul(b.smin32),
            self.smax32.checked_mul(b.smax32),
        ];
        (self.smin32, self.smax32) = match products {
            [Some(p), Some(q), Some(r), Some(s)] => {
                (p.min(q).min(r).min(s), p.max(q).max(r).max(s))
            }
            _ => (i32::MIN, i32::MAX),
        };
        (self.umin32, self.umax32) = match self.umax32.checked_mul(b.umax32) {
            Some(max) => (self.umin32.wrapping_mul(b.umin32), max),
            None => (0, u32::MAX),
        };
        self.bits = self.bits.mul(b.bits);
    }

    fn and(&mut self, b: &Scalar) {
        self.bits = self.bits.and(b.bits);
        self.umin = self.bits.value;
        self.umax = self.umax.min(b.umax);
        self.umin32 = low(self.bits.value);
        self.umax32 = self.umax32.min(b.umax32);
        self.signs_from_unsigned();
    }

    fn or(&mut self, b: &Scalar) {
        self.bits = self.bits.or(b.bits);
        self.umin = self.umin.max(b.umin);
        self.umax = self.bits.value | self.bits.mask;
        self.umin32 = self.umin32.max(b.umin32);
        self.umax32 = low(self.bits.value | self.bits.mask);
        self.signs_from_unsigned();
    }

    fn xor(&mut self, b: &Scalar) {
        self.bits = self.bits.xor(b.bits);
        self.umin = self.bits.value;
        self.umax = self.bits.value | self.bits.mask;
        self.umin32 = low(self.umin);
        self.umax32 = low(self.umax);
        self.signs_from_unsigned();
    }

    fn lsh(&mut self, by: u32, width: Width) {
        if width == Width::W32 {
            (self.umin32, self.umax32) = if self.umax32 > 1 << (31 - by) {
                (0, u32::MAX)
            } else {
                (self.umin32 << by, self.umax32 << by)
            };
            (self.smin32, self.smax32) = (i32::MIN, i32::MAX);
            self.bits = self.bits.low().lsh(by).low();
            return;
        }
        (self.smin, self.smax) = if by == 32 {
            (i64::from(self.smin32) << 32, i64::from(self.smax32) << 32)
        } else {
            (i64::MIN, i64::MAX)
        };
        (self.umin, self.umax) = if self.umax > 1 << (63 - by) {
            (0, u64::MAX)
        } else {
            (self.umin << by, self.umax << by)
        };
        self.forget32();
        self.bits = self.bits.lsh(by);
    }

    fn rsh(&mut self, by: u32, width: Width) {
        if width == Width::W32 {
            self.umin32 >>= by;
            self.umax32 >>= by;
            (self.smin32, self.smax32) = (i32::MIN, i32::MAX);
            self.bits = self.bits.low().rsh(by);
            return;
        }
        self.umin >>= by;
        self.umax >>= by;
        (self.smin, self.smax) = (i64::MIN, i64::MAX);
        self.forget32();
        self.bits = self.bits.rsh(by);
    }

    fn arsh(&mut self, by: u32, width: Width) {
        if width == Width::W32 {
            self.smin32 >>= by;
            self.smax32 >>= by;
            (self.umin32, self.umax32) = (0, u32::MAX);
            self.bits = self.bits.low().arsh32(by);
            return;
        }
        self.smin >>= by;
        self.smax >>= by;
        (self.umin, self.umax) = (0, u64::MAX);
        self.forget32();
        self.bits = self.bits.arsh(by);
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = self.constant() {
            let signed = value.cast_signed();
            return if (-65536..65536).contains(&signed) {
                write!(f, "{signed}")
            } else {
                write!(f, "{value:#x}")
            };
        }
        if self.is_unknown() {
            return f.write_str("any number");
        }
        f.write_str("a number")?;
        let mut sep = " ";
        if self.umin > 0 || self.umax < u64::MAX {
            write!(f, "{sep}from {} to {}", self.umin, self.umax)?;
            sep = ", ";
        }
        if self.smin.cast_unsigned() != self.umin || self.smax.cast_unsigned() != self.umax {
            if self.smin > i64::MIN || self.smax < i64::MAX {
                write!(f, "{sep}signed from {} to {}", self.smin, self.smax)?;
                sep = ", ";
            } else if self.umin32 > 0 || self.umax32 < u32::MAX {
                write!(f, "{sep}low half from {} to {}", self.umin32, self.umax32)?;
                sep = ", ";
            }
        }
        let trailing = (self.bits.value | self.bits.mask).trailing_zeros();
        if trailing > 0 {
            write!(f, "{sep}a multiple of {}", 1u64 << trailing.min(63))?;
        }
        Ok(())
    }
}
