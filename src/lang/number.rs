//! Number literals: decimal, octal, hexadecimal, exponents, separators, C suffixes, durations.

/// Duration suffixes and their nanoseconds.
pub(super) const DURATIONS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Value of a literal that starts with a digit and is made of letters, digits and `_`; an error says what is wrong.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let clean: String = text.chars().filter(|c| *c != '_').collect();
    if let Some(hex) = clean.strip_prefix("0x").or(clean.strip_prefix("0X")) {
        let (digits, suffix) = split(hex, |c| c.is_ascii_hexdigit());
        integer_suffix(suffix, text)?;
        return radix(digits, 16, text);
    }
    let (digits, rest) = split(&clean, |c| c.is_ascii_digit());
    if digits.len() > 1 && digits.starts_with('0') {
        integer_suffix(rest, text)?;
        return radix(digits, 8, text);
    }
    let mantissa = radix(digits, 10, text)?;
    let (scaled, suffix) = match rest.strip_prefix(['e', 'E']) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            let (exponent, suffix) = split(rest, |c| c.is_ascii_digit());
            let power = exponent
                .parse::<u32>()
                .ok()
                .and_then(|e| 10u64.checked_pow(e));
            let value = power.and_then(|p| mantissa.checked_mul(p));
            (value.ok_or_else(|| too_large(text))?, suffix)
        }
        Some("") => return Err(format!("number `{text}` lacks its exponent")),
        _ => (mantissa, rest),
    };
    if let Some((_, nanos)) = DURATIONS.iter().find(|(name, _)| *name == suffix) {
        return scaled.checked_mul(*nanos).ok_or_else(|| too_large(text));
    }
    integer_suffix(suffix, text)?;
    Ok(scaled)
}

fn split(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !keep(c)).unwrap_or(text.len()))
}

fn radix(digits: &str, radix: u32, text: &str) -> Result<u64, String> {
    match u64::from_str_radix(digits, radix) {
        Ok(value) => Ok(value),
        Err(_) if digits.is_empty() => Err(format!("number `{text}` has no digits")),
        Err(_) if radix == 8 && digits.contains(['8', '9']) => {
            Err(format!("octal number `{text}` has a digit above 7"))
        }
        Err(_) => Err(too_large(text)),
    }
}

fn too_large(text: &str) -> String {
    format!("number `{text}` does not fit in 64 bits")
}

fn integer_suffix(suffix: &str, text: &str) -> Result<(), String> {
    match suffix.to_ascii_lowercase().as_str() {
        "" | "u" | "l" | "ll" | "ul" | "ull" | "lu" | "llu" => Ok(()),
        _ => Err(format!("number `{text}` has an unknown suffix `{suffix}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        for (text, want) in [
            ("0", 0),
            ("0123", 0o123),
            ("0x1F", 31),
            ("0X1fUL", 31),
            ("1_000_123_000", 1_000_123_000),
            ("2e3", 2000),
            ("1e6", 1_000_000),
            ("123LL", 123),
            ("1m", 60_000_000_000),
            ("5ms", 5_000_000),
            ("1h", 3_600_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
        for text in [
            "08",
            "0x",
            "18446744073709551616",
            "1e20",
            "1e-3",
            "12q",
            "1e",
            "9999999999d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
