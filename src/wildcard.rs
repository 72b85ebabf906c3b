//! Wildcards in probe names: `*`, `?` and `[…]`.

/// Whether `text` holds a wildcard character.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether `text` as a whole matches `pattern`.
///
/// `*` stands for any characters or none, `?` for one, `[a-z_]` for one of a set, `[!0-9]` for one outside of it.
/// A `[` without its `]` stands for itself. Time is at worst the product of both lengths.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on if a later part does not match: after the last star, one character further.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        if let Some(used) = one(&pattern[p..], text[t]) {
            p += used;
            t += 1;
            continue;
        }
        match retry {
            Some((star, from)) => {
                p = star;
                t = from + 1;
                retry = Some((star, t));
            }
            None => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How many pattern characters stand for `c` at the pattern's start; `None` if it does not match.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match set(pattern) {
            Some((negated, members, used)) => (contains(members, c) != negated).then_some(used),
            None => (c == '[').then_some(1),
        },
        p => (*p == c).then_some(1),
    }
}

/// A `[…]` at the pattern's start: whether it is negated, its members, its length. A `]` right at the start is a member.
fn set(pattern: &[char]) -> Option<(bool, &[char], usize)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let start = 1 + usize::from(negated);
    let close = pattern.get(start + 1..)?.iter().position(|c| *c == ']')? + start + 1;
    Some((negated, &pattern[start..close], close + 1))
}

fn contains(members: &[char], c: char) -> bool {
    let mut rest = members;
    loop {
        match rest {
            [low, '-', high, tail @ ..] => {
                if (*low..=*high).contains(&c) {
                    return true;
                }
                rest = tail;
            }
            [one, tail @ ..] => {
                if *one == c {
                    return true;
                }
                rest = tail;
            }
            [] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, want) in [
            ("*", "", true),
            ("net", "net", true),
            ("net", "nets", false),
            ("inbound*", "inbound_message", true),
            ("*_message", "inbound_message", true),
            ("*bound*mess*", "outbound_message", true),
            ("*bound*miss*", "outbound_message", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true),
            ("[]x]", "]", true),
            ("[ab", "[ab", true),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} on {text}");
        }
    }

    #[test]
    fn what_is_a_pattern() {
        assert!(is_pattern("net*"));
        assert!(is_pattern("[ab]"));
        assert!(!is_pattern("net_x"));
    }
}
