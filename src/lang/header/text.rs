//! C text as tokens: words, numbers, strings, symbols; blanks and comments are gone.

/// Symbols of more than one character that the preprocessor tells apart.
const LONG: &[&str] = &[
    "...", "<<=", ">>=", "##", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "->", "++", "--",
];

/// The tokens of a text.
pub(super) fn tokens(mut text: &str) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(c) = text.chars().next() {
        if c.is_whitespace() {
            text = text.trim_start();
            continue;
        }
        let len = match c {
            _ if text.starts_with("//") => {
                text = text.find('\n').map_or("", |at| &text[at..]);
                continue;
            }
            _ if text.starts_with("/*") => {
                text = text.find("*/").map_or("", |at| &text[at + 2..]);
                continue;
            }
            '"' | '\'' => quoted(text, c),
            _ if c.is_ascii_digit() => {
                word_len(text, |c| c.is_alphanumeric() || c == '.' || c == '_')
            }
            _ if c.is_alphabetic() || c == '_' => {
                word_len(text, |c| c.is_alphanumeric() || c == '_')
            }
            _ => {
                let long = LONG.iter().find(|s| text.starts_with(**s));
                long.map_or(c.len_utf8(), |s| s.len())
            }
        };
        let (token, rest) = text.split_at(len);
        out.push(token.to_string());
        text = rest;
    }
    out
}

fn word_len(text: &str, part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !part(c)).unwrap_or(text.len())
}

/// Length of a string or character with its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => return at,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether a token is a name.
pub(super) fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The names in a script that a `#define` could stand for, `$x`, `@x` and strings left out.
pub(super) fn words(script: &str) -> impl Iterator<Item = &str> {
    let mut before = ' ';
    let mut rest = script;
    std::iter::from_fn(move || {
        while let Some(c) = rest.chars().next() {
            if c.is_alphabetic() || c == '_' {
                let (word, tail) =
                    rest.split_at(word_len(rest, |c| c.is_alphanumeric() || c == '_'));
                rest = tail;
                let plain = !matches!(before, '$' | '@' | '.');
                before = ' ';
                if plain {
                    return Some(word);
                }
                continue;
            }
            let len = match c {
                '"' => quoted(rest, c),
                _ if c.is_ascii_digit() => word_len(rest, char::is_alphanumeric),
                _ => c.len_utf8(),
            };
            before = c;
            rest = &rest[len..];
        }
        None
    })
}

/// The text with lines that end in `\` joined, so that each line is whole; comments over lines become one blank.
pub(super) fn lines(text: &str) -> Vec<String> {
    let text = text.replace("\\\r\n", "").replace("\\\n", "");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let len = match c {
            _ if rest.starts_with("/*") => {
                out.push(' ');
                rest = rest.find("*/").map_or("", |at| &rest[at + 2..]);
                continue;
            }
            _ if rest.starts_with("//") => {
                rest = rest.find('\n').map_or("", |at| &rest[at..]);
                continue;
            }
            '"' | '\'' => quoted(rest, c),
            _ => rest[c.len_utf8()..]
                .find(['/', '"', '\''])
                .map_or(rest.len(), |at| at + c.len_utf8()),
        };
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out.lines().map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut() {
        assert_eq!(
            tokens("a+=0x1fUL /* c */ \"s\\\"t\" a##b // x"),
            ["a", "+", "=", "0x1fUL", "\"s\\\"t\"", "a", "##", "b"]
        );
        let found: Vec<&str> = words("A $b @c \"D\" e.f 1u G(h)").collect();
        assert_eq!(found, ["A", "e", "G", "h"]);
        assert_eq!(
            lines("a \\\nb /* 1\n2 */ c\n\"/*\" d"),
            ["a b   c", "\"/*\" d"]
        );
        for text in ["\"", "'", "/*", "\\", "ä'", "0"] {
            let _ = (tokens(text), lines(text), words(text).count());
        }
    }
}
