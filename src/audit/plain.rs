//! Text of others made safe to look at: nothing in it moves the cursor, hides a line or turns the reading direction.

use std::{
    borrow::Cow,
    fmt::{Display, Write},
};

/// Whether a character is not seen as it stands, or changes how others are seen: controls, marks of direction, marks of
/// no width.
fn hidden(c: char) -> bool {
    match c {
        '\t' => false,
        '\u{ad}' | '\u{61c}' | '\u{feff}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

/// A number of things.
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// The text with such characters as `\u{…}`.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_written_out() {
        assert_eq!(visible("a\tb é ⁂"), "a\tb é ⁂");
        assert_eq!(visible("x\u{1b}[2K"), "x\\u{1b}[2K");
        assert_eq!(
            visible("\u{202e}evil\u{200b}\r"),
            "\\u{202e}evil\\u{200b}\\u{d}"
        );
    }
}
