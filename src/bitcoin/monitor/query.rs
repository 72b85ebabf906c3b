//! What a filter or search text means.

/// Whether `text` is what `query` asks for, in either case of letters; an empty query is content with anything.
///
/// Parts of a query stand between commas. One of them has to be in the text: anywhere, or after `=` as a whole word. What
/// stands after `!` must not be in it.
pub(super) fn matches(query: &str, text: &str) -> bool {
    if query.is_empty() {
        return true;
    }
    let (query, text) = (query.to_lowercase(), text.to_lowercase());
    let has = |part: &str| match part.strip_prefix('=') {
        Some(word) => text.split_whitespace().any(|w| w == word),
        None => text.contains(part),
    };
    let parts = query.split(',').map(str::trim);
    let (mut wanted, mut found) = (false, false);
    for part in parts.filter(|part| !["", "!", "="].contains(part)) {
        match part.strip_prefix('!') {
            Some(not) if has(not) => return false,
            Some(_) => {}
            None => {
                wanted = true;
                found |= has(part);
            }
        }
    }
    found || !wanted
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn parts_words_and_denials() {
        for (query, yes, no) in [
            ("", "x", None),
            ("TX", "blocktxn", Some("inv")),
            ("=tx", "1 tx 2", Some("blocktxn")),
            ("ping, pong", "pong", Some("inv")),
            ("!inv", "tx", Some("inv")),
            ("tx,!wtxid", "tx", Some("wtxidrelay")),
            ("tx,", "tx", Some("inv")),
            ("!", "x", None),
        ] {
            assert!(matches(query, yes), "{query}");
            if let Some(no) = no {
                assert!(!matches(query, no), "{query}");
            }
        }
    }
}
