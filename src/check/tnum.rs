//! Numbers of which some bits are known (`kernel/bpf/tnum.c`).

/// A set of 64-bit numbers: bits of `mask` are unknown, the others are those of `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tnum {
    /// The known bits; zero where `mask` is set.
    pub(super) value: u64,
    /// The unknown bits.
    pub(super) mask: u64,
}

const LOW: u64 = 0xffff_ffff;

impl Tnum {
    pub(super) const UNKNOWN: Tnum = Tnum::new(0, u64::MAX);

    pub(super) const fn new(value: u64, mask: u64) -> Tnum {
        Tnum { value, mask }
    }

    pub(super) const fn known(value: u64) -> Tnum {
        Tnum::new(value, 0)
    }

    pub(super) const fn is_known(self) -> bool {
        self.mask == 0
    }

    /// The smallest set that holds `min..=max`.
    pub(super) fn range(min: u64, max: u64) -> Tnum {
        let differ = min ^ max;
        let bits = 64 - differ.leading_zeros();
        if bits > 63 {
            return Tnum::UNKNOWN;
        }
        let delta = (1u64 << bits) - 1;
        Tnum::new(min & !delta, delta)
    }

    pub(super) fn add(self, b: Tnum) -> Tnum {
        let masks = self.mask.wrapping_add(b.mask);
        let values = self.value.wrapping_add(b.value);
        let both = masks.wrapping_add(values);
        let mu = (both ^ values) | self.mask | b.mask;
        Tnum::new(values & !mu, mu)
    }

    pub(super) fn sub(self, b: Tnum) -> Tnum {
        let dv = self.value.wrapping_sub(b.value);
        let alpha = dv.wrapping_add(self.mask);
        let beta = dv.wrapping_sub(b.mask);
        let mu = (alpha ^ beta) | self.mask | b.mask;
        Tnum::new(dv & !mu, mu)
    }

    pub(super) fn and(self, b: Tnum) -> Tnum {
        let alpha = self.value | self.mask;
        let beta = b.value | b.mask;
        let v = self.value & b.value;
        Tnum::new(v, alpha & beta & !v)
    }

    pub(super) fn or(self, b: Tnum) -> Tnum {
        let v = self.value | b.value;
        Tnum::new(v, (self.mask | b.mask) & !v)
    }

    pub(super) fn xor(self, b: Tnum) -> Tnum {
        let mu = self.mask | b.mask;
        Tnum::new((self.value ^ b.value) & !mu, mu)
    }

    pub(super) fn mul(self, b: Tnum) -> Tnum {
        let (mut a, mut b) = (self, b);
        let product = Tnum::known(a.value.wrapping_mul(b.value));
        let mut unknown = Tnum::known(0);
        while a.value | a.mask != 0 {
            if a.value & 1 != 0 {
                unknown = unknown.add(Tnum::new(0, b.mask));
            } else if a.mask & 1 != 0 {
                unknown = unknown.add(Tnum::new(0, b.value | b.mask));
            }
            a = a.rsh(1);
            b = b.lsh(1);
        }
        product.add(unknown)
    }

    pub(super) fn lsh(self, by: u32) -> Tnum {
        Tnum::new(self.value << by, self.mask << by)
    }

    pub(super) fn rsh(self, by: u32) -> Tnum {
        Tnum::new(self.value >> by, self.mask >> by)
    }

    pub(super) fn arsh(self, by: u32) -> Tnum {
        let shift = |v: u64| (v.cast_signed() >> by).cast_unsigned();
        Tnum::new(shift(self.value), shift(self.mask))
    }

    /// As [`Tnum::arsh`] of the low 32 bits alone.
    pub(super) fn arsh32(self, by: u32) -> Tnum {
        let shift = |v: u64| {
            let low = crate::check::scalar::low(v).cast_signed() >> by;
            u64::from(low.cast_unsigned())
        };
        Tnum::new(shift(self.value), shift(self.mask))
    }

    /// What is in both sets; they are known to meet.
    pub(super) fn intersect(self, b: Tnum) -> Tnum {
        let mu = self.mask & b.mask;
        Tnum::new((self.value | b.value) & !mu, mu)
    }

    /// The low 32 bits.
    pub(super) fn low(self) -> Tnum {
        Tnum::new(self.value & LOW, self.mask & LOW)
    }

    /// The low 32 bits replaced.
    pub(super) fn with_low(self, low: Tnum) -> Tnum {
        Tnum::new(self.value & !LOW | low.value, self.mask & !LOW | low.mask)
    }

    /// The low bytes, zeros above.
    pub(super) fn cast(self, bytes: u32) -> Tnum {
        let keep = u64::MAX >> (64 - 8 * bytes);
        Tnum::new(self.value & keep, self.mask & keep)
    }

    pub(super) fn is_aligned(self, size: u64) -> bool {
        (self.value | self.mask) & (size - 1) == 0
    }

    /// Whether every member of `b` is one of this set.
    pub(super) fn holds(self, b: Tnum) -> bool {
        b.mask & !self.mask == 0 && self.value == b.value & !self.mask
    }
}
