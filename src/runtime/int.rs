//! Integers: reading them from bytes of any width, writing them as digits.

/// Appends `n` in decimal.
#[inline]
pub fn push_u64(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // One decimal digit fits.
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `n` in decimal, with its sign.
pub fn push_i64(out: &mut Vec<u8>, n: i64) {
    if n < 0 {
        out.push(b'-');
    }
    push_u64(out, n.unsigned_abs());
}

/// Appends `n` in base 8 or 16 (`shift` 3 or 4).
pub fn push_pow2(out: &mut Vec<u8>, mut n: u64, shift: u32, upper: bool) {
    let table: &[u8; 16] = if upper {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    let mut digits = [0u8; 22];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = table[(n & ((1 << shift) - 1)) as usize];
        n >>= shift;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `0x` and `n` in hex.
pub fn push_hex(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(b"0x");
    push_pow2(out, n, 4, false);
}

/// An integer of 1, 2, 4 or 8 bytes in host order, extended to 64 bits; 0 for no bytes.
#[inline]
pub fn read(bytes: &[u8], signed: bool) -> u64 {
    match (bytes, signed) {
        (&[b], false) => u64::from(b),
        (&[b], true) => i64::from(b.cast_signed()).cast_unsigned(),
        (&[a, b], false) => u64::from(u16::from_ne_bytes([a, b])),
        (&[a, b], true) => i64::from(i16::from_ne_bytes([a, b])).cast_unsigned(),
        (&[a, b, c, d], false) => u64::from(u32::from_ne_bytes([a, b, c, d])),
        (&[a, b, c, d], true) => i64::from(i32::from_ne_bytes([a, b, c, d])).cast_unsigned(),
        (bytes, _) => super::record::u64_at(bytes, 0).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        for n in [0, 1, 9, 10, 99, 12345, u64::MAX] {
            let mut out = Vec::new();
            push_u64(&mut out, n);
            push_pow2(&mut out, n, 4, true);
            push_pow2(&mut out, n, 3, false);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{n}{n:X}{n:o}"));
        }
        let mut out = Vec::new();
        push_i64(&mut out, i64::MIN);
        assert_eq!(out, b"-9223372036854775808");
    }

    #[test]
    fn widths() {
        assert_eq!(read(&[0xff], true), u64::MAX);
        assert_eq!(read(&[0xff], false), 255);
        assert_eq!(read(&(-2i16).to_ne_bytes(), true), u64::MAX - 1);
        assert_eq!(read(&[], true), 0);
    }
}
