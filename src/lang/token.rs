//! The words of the language.

use crate::span::Span;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tok {
    /// A name or keyword.
    Ident(String),
    /// A number, durations in nanoseconds.
    Int(u64),
    /// A string, escapes resolved.
    Str(Vec<u8>),
    /// `$name`.
    Var(String),
    /// `$1`.
    Param(u32),
    /// `$#`.
    ParamCount,
    /// `@name`, empty for `@`.
    Map(String),
    /// One of [`SYMBOLS`].
    Sym(&'static str),
    /// The end of the script.
    Eof,
}

/// A token with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) tok: Tok,
    /// Its place; for what a `#define` brought, the place of the name that was replaced.
    pub(super) span: Span,
}

/// Operators and brackets, longer ones before their prefixes.
pub(super) const SYMBOLS: &[&str] = &[
    "<<=", ">>=", "...", "->", "++", "--", "==", "!=", "<=", ">=", "&&", "||", "<<", ">>", "+=",
    "-=", "*=", "/=", "%=", "&=", "|=", "^=", "..", "{", "}", "(", ")", "[", "]", ";", ",", ":",
    "?", ".", "=", "+", "-", "*", "/", "%", "&", "|", "^", "~", "!", "<", ">",
];

/// Words that name no variable, map, macro or builtin.
pub(super) const KEYWORDS: &[&str] = &[
    "break", "comptime", "config", "continue", "else", "for", "if", "import", "let", "macro",
    "offsetof", "return", "sizeof", "typeof", "unroll", "while",
];

impl std::fmt::Display for Tok {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tok::Ident(name) => write!(f, "`{name}`"),
            Tok::Int(n) => write!(f, "number {n}"),
            Tok::Str(_) => write!(f, "a string"),
            Tok::Var(name) => write!(f, "`${name}`"),
            Tok::Param(n) => write!(f, "`${n}`"),
            Tok::ParamCount => write!(f, "`$#`"),
            Tok::Map(name) => write!(f, "`@{name}`"),
            Tok::Sym(s) => write!(f, "`{s}`"),
            Tok::Eof => write!(f, "the end of the script"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_symbol_hides_behind_its_prefix() {
        for (i, long) in SYMBOLS.iter().enumerate() {
            for short in &SYMBOLS[..i] {
                assert!(!long.starts_with(short), "{short} stands before {long}");
            }
        }
    }
}
