//! Values of `#if` expressions and of `#define`s.

/// The value of an expression; names that are left count as 0 with `names`, else they have none.
pub(super) fn value(tokens: &[String], names: bool) -> Option<i64> {
    let mut reader = Reader {
        tokens,
        at: 0,
        names,
        depth: 0,
    };
    let value = reader.ternary()?;
    (reader.at == tokens.len()).then_some(value)
}

/// Deepest nesting.
const MAX_DEPTH: usize = 100;

/// Infix operators with their binding strength, as in C.
const INFIX: &[(&str, u8)] = &[
    ("||", 1),
    ("&&", 2),
    ("|", 3),
    ("^", 4),
    ("&", 5),
    ("==", 6),
    ("!=", 6),
    ("<", 7),
    ("<=", 7),
    (">", 7),
    (">=", 7),
    ("<<", 8),
    (">>", 8),
    ("+", 9),
    ("-", 9),
    ("*", 10),
    ("/", 10),
    ("%", 10),
];

struct Reader<'a> {
    tokens: &'a [String],
    at: usize,
    names: bool,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn eat(&mut self, token: &str) -> bool {
        let yes = self.peek() == token;
        self.at += usize::from(yes);
        yes
    }

    fn ternary(&mut self) -> Option<i64> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let cond = self.infix(1)?;
        let value = if self.eat("?") {
            let then = self.ternary()?;
            if !self.eat(":") {
                return None;
            }
            let els = self.ternary()?;
            if cond != 0 { then } else { els }
        } else {
            cond
        };
        self.depth -= 1;
        Some(value)
    }

    fn infix(&mut self, least: u8) -> Option<i64> {
        let mut left = self.prefix()?;
        loop {
            let found = INFIX.iter().find(|(s, p)| *s == self.peek() && *p >= least);
            let Some((symbol, power)) = found else {
                return Some(left);
            };
            self.at += 1;
            let right = self.infix(power + 1)?;
            let shift = u32::try_from(right).ok();
            left = match *symbol {
                "||" => i64::from(left != 0 || right != 0),
                "&&" => i64::from(left != 0 && right != 0),
                "|" => left | right,
                "^" => left ^ right,
                "&" => left & right,
                "==" => i64::from(left == right),
                "!=" => i64::from(left != right),
                "<" => i64::from(left < right),
                "<=" => i64::from(left <= right),
                ">" => i64::from(left > right),
                ">=" => i64::from(left >= right),
                "<<" => left.checked_shl(shift?)?,
                ">>" => left.checked_shr(shift?)?,
                "+" => left.wrapping_add(right),
                "-" => left.wrapping_sub(right),
                "*" => left.wrapping_mul(right),
                "/" => left.checked_div(right)?,
                _ => left.checked_rem(right)?,
            };
        }
    }

    fn prefix(&mut self) -> Option<i64> {
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = match token.as_str() {
            "-" => self.prefix()?.wrapping_neg(),
            "+" => self.prefix()?,
            "!" => i64::from(self.prefix()? == 0),
            "~" => !self.prefix()?,
            "(" => {
                let value = self.ternary()?;
                if !self.eat(")") {
                    return None;
                }
                value
            }
            text if text.starts_with(|c: char| c.is_ascii_digit()) => number(text)?,
            text if text.starts_with('\'') => character(text)?,
            text if self.names && super::text::is_name(text) => {
                // What asks for features of a compiler gets a no.
                if self.eat("(") {
                    let mut open = 1;
                    while open > 0 {
                        match self.tokens.get(self.at)?.as_str() {
                            "(" => open += 1,
                            ")" => open -= 1,
                            _ => {}
                        }
                        self.at += 1;
                    }
                }
                0
            }
            _ => return None,
        };
        self.depth -= 1;
        Some(value)
    }
}

fn number(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let lower = digits.to_ascii_lowercase();
    let value = if let Some(hex) = lower.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
    } else if let Some(bits) = lower.strip_prefix("0b") {
        u64::from_str_radix(bits, 2)
    } else if lower.len() > 1 && lower.starts_with('0') {
        u64::from_str_radix(&lower, 8)
    } else {
        lower.parse()
    };
    value.ok().map(u64::cast_signed)
}

fn character(text: &str) -> Option<i64> {
    let mut inner = text.strip_prefix('\'')?.strip_suffix('\'')?.chars();
    let first = inner.next()?;
    let value = match (first, inner.next()) {
        (c, None) => u32::from(c),
        ('\\', Some('n')) => 10,
        ('\\', Some('t')) => 9,
        ('\\', Some('0')) => 0,
        ('\\', Some(c @ ('\\' | '\'' | '"'))) => u32::from(c),
        _ => return None,
    };
    Some(i64::from(value))
}

#[cfg(test)]
mod tests {
    use super::super::text::tokens;
    use super::*;

    #[test]
    fn expressions_have_values() {
        for (text, want) in [
            ("1 + 2 * 3", Some(7)),
            ("(0x10UL << 2) | 1", Some(65)),
            ("!0 && 3 >= 2 ? 010 : 9", Some(8)),
            ("'a' - 1", Some(96)),
            ("-1 == ~0", Some(1)),
            ("1 / 0", None),
            ("x + 1", None),
            ("1 2", None),
            ("", None),
        ] {
            assert_eq!(value(&tokens(text), false), want, "{text}");
        }
        assert_eq!(
            value(&tokens("__has_include(<a/b.h>) || NOPE"), true),
            Some(0)
        );
        assert_eq!(value(&tokens(&"(".repeat(5000)), true), None);
    }
}
