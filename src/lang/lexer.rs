//! Cuts script text into tokens on demand: the parser reads attach points itself, character by character.

use super::diag::Diagnostic;
use super::number;
use super::preproc::{Cond, Defines};
use super::token::{SYMBOLS, Tok, Token};
use crate::span::Span;
use std::collections::VecDeque;

/// Most tokens that `#define`s may bring into a script.
const MAX_EXPANSION: usize = 100_000;

/// The place in the text, and what the preprocessor knows there.
pub(super) struct Lexer<'a> {
    /// The script.
    pub(super) source: &'a str,
    /// Next byte to read.
    pub(super) pos: usize,
    /// What went wrong so far.
    pub(super) diags: Vec<Diagnostic>,
    pub(super) defines: Defines,
    pub(super) conds: Vec<Cond>,
    /// `#include` lines have been followed.
    pub(super) headers_are_read: bool,
    pending: VecDeque<Token>,
    expanded: usize,
}

impl<'a> Lexer<'a> {
    /// At the start of a script; a shebang line is skipped.
    pub(super) fn new(source: &'a str) -> Self {
        let pos = if source.starts_with("#!") {
            source.find('\n').unwrap_or(source.len())
        } else {
            0
        };
        Lexer {
            source,
            pos,
            diags: Vec::new(),
            defines: Defines::default(),
            conds: Vec::new(),
            headers_are_read: false,
            pending: VecDeque::new(),
            expanded: 0,
        }
    }

    /// What is left to read.
    pub(super) fn rest(&self) -> &'a str {
        self.source.get(self.pos..).unwrap_or("")
    }

    /// Whether the next token is in the text, not brought by a `#define`.
    pub(super) fn in_text(&self) -> bool {
        self.pending.is_empty()
    }

    /// A span from `start` to here.
    pub(super) fn span_from(&self, start: usize) -> Span {
        Span::new(offset(start), offset(self.pos))
    }

    /// Skips blanks, comments and preprocessor lines.
    pub(super) fn skip_trivia(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.pos += blank;
            } else if rest.starts_with("//") {
                self.pos += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.block_comment();
            } else if rest.starts_with('#') && self.at_line_start() {
                self.directive();
            } else {
                return;
            }
        }
    }

    fn block_comment(&mut self) {
        let start = self.pos;
        match self.rest().find("*/") {
            Some(len) => self.pos += len + 2,
            None => {
                self.pos = self.source.len();
                self.diags.push(
                    Diagnostic::error(
                        Span::new(offset(start), offset(start + 2)),
                        "comment is not closed",
                    )
                    .said("syntax: unterminated comment")
                    .help("close it with `*/`"),
                );
            }
        }
    }

    fn at_line_start(&self) -> bool {
        let before = self.source.get(..self.pos).unwrap_or("");
        before
            .rsplit('\n')
            .next()
            .is_none_or(|line| line.trim().is_empty())
    }

    /// The next token, names of `#define`s replaced.
    pub(super) fn next_token(&mut self) -> Token {
        loop {
            if let Some(token) = self.pending.pop_front() {
                return token;
            }
            self.skip_trivia();
            let Some(token) = self.raw() else { continue };
            match &token.tok {
                Tok::Ident(name) if self.defines.has(name) => {
                    let room = MAX_EXPANSION - self.expanded.min(MAX_EXPANSION);
                    match self.defines.expand(name, token.span, room) {
                        Some(tokens) => {
                            self.expanded += tokens.len();
                            self.pending.extend(tokens);
                        }
                        None => {
                            self.diags.push(Diagnostic::error(
                                token.span,
                                format!("`#define {name}` grows without bound"),
                            ));
                            return token;
                        }
                    }
                }
                _ => return token,
            }
        }
    }

    /// The token at this place as it is written; nothing for what has no meaning (said, and skipped).
    pub(super) fn raw(&mut self) -> Option<Token> {
        let start = self.pos;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Some(self.token(Tok::Eof, start));
        };
        let tok = match first {
            '0'..='9' => self.number(),
            '"' => self.string(),
            '$' => self.dollar()?,
            '@' => {
                self.pos += 1;
                let name = self.word();
                Tok::Map(name)
            }
            'a'..='z' | 'A'..='Z' | '_' => Tok::Ident(self.word()),
            '\'' => {
                self.char_literal();
                return None;
            }
            _ => match SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
                Some(symbol) => {
                    self.pos += symbol.len();
                    Tok::Sym(symbol)
                }
                None => {
                    self.pos += first.len_utf8();
                    self.error(
                        start,
                        format!("`{}` has no meaning here", first.escape_debug()),
                    );
                    return None;
                }
            },
        };
        Some(self.token(tok, start))
    }

    fn token(&self, tok: Tok, start: usize) -> Token {
        Token {
            tok,
            span: self.span_from(start),
        }
    }

    pub(super) fn error(&mut self, start: usize, message: String) {
        self.diags
            .push(Diagnostic::error(self.span_from(start), message));
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.pos += len;
        &rest[..len]
    }

    fn word(&mut self) -> String {
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return String::new();
        }
        self.take_while(|c| c == '_' || c.is_ascii_alphanumeric())
            .to_string()
    }

    fn number(&mut self) -> Tok {
        let start = self.pos;
        let text = self.take_while(|c| c == '_' || c.is_ascii_alphanumeric());
        Tok::Int(number::parse(text).unwrap_or_else(|message| {
            self.error(start, message);
            0
        }))
    }

    fn dollar(&mut self) -> Option<Tok> {
        let start = self.pos;
        self.pos += 1;
        if self.rest().starts_with('#') {
            self.pos += 1;
            return Some(Tok::ParamCount);
        }
        let text = self.take_while(|c| c == '_' || c.is_ascii_alphanumeric());
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return match text.parse() {
                Ok(n) if n > 0 => Some(Tok::Param(n)),
                _ => {
                    let message = format!("`${text}` is no positional parameter");
                    self.diags.push(
                        Diagnostic::error(self.span_from(start), message)
                            .help("they are `$1`, `$2`, …"),
                    );
                    Some(Tok::Param(1))
                }
            };
        }
        if text.is_empty() {
            self.error(start, "`$` wants a name behind it".to_string());
            return None;
        }
        Some(Tok::Var(text.to_string()))
    }

    fn char_literal(&mut self) {
        let start = self.pos;
        let rest = self.rest();
        let line = rest.lines().next().unwrap_or("");
        let close = line[1..].find('\'').map(|at| at + 2);
        self.pos += close.unwrap_or(1);
        let code = match line.chars().nth(1) {
            Some(c) if close == Some(3) => format!("use the number of the character, {}", c as u32),
            _ => "strings stand in double quotes".to_string(),
        };
        self.diags.push(
            Diagnostic::error(self.span_from(start), "there are no character literals")
                .help(code)
                .said_at(
                    Span::new(offset(start), offset(start + 1)),
                    "syntax: expected expression",
                ),
        );
    }

    fn string(&mut self) -> Tok {
        let start = self.pos;
        self.pos += 1;
        let mut bytes = Vec::new();
        loop {
            let at = self.pos;
            let mut chars = self.rest().chars();
            match chars.next() {
                None | Some('\n') => {
                    self.diags.push(
                        Diagnostic::error(self.span_from(start), "string is not closed")
                            .said_at(
                                Span::new(offset(self.pos), offset(self.pos)),
                                "syntax: unterminated string",
                            )
                            .help("close it with `\"`; a line break is written `\\n`"),
                    );
                    break;
                }
                Some('"') => {
                    self.pos += 1;
                    break;
                }
                Some('\\') => {
                    self.pos += 1;
                    self.escape(at, &mut bytes);
                }
                Some(c) => {
                    self.pos += c.len_utf8();
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
        Tok::Str(bytes)
    }

    fn escape(&mut self, start: usize, bytes: &mut Vec<u8>) {
        let Some(c) = self.rest().chars().next() else {
            return;
        };
        let octal = |d: char| d.is_digit(8);
        match c {
            '0'..='7' => {
                let len = self
                    .rest()
                    .chars()
                    .take(3)
                    .take_while(|d| octal(*d))
                    .count();
                let digits = &self.rest()[..len];
                bytes.push(u32::from_str_radix(digits, 8).map_or(0, |n| n as u8));
                self.pos += len;
                return;
            }
            'x' => {
                let hex = self.rest()[1..].chars().take(2);
                let len = hex.take_while(char::is_ascii_hexdigit).count();
                let digits = &self.rest()[1..1 + len];
                match u8::from_str_radix(digits, 16) {
                    Ok(byte) => bytes.push(byte),
                    Err(_) => self.error(start, "`\\x` wants hexadecimal digits".to_string()),
                }
                self.pos += 1 + len;
                return;
            }
            _ => {}
        }
        self.pos += c.len_utf8();
        match c {
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            'r' => bytes.push(b'\r'),
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'v' => bytes.push(11),
            'e' => bytes.push(27),
            '\\' | '"' | '\'' => bytes.push(c as u8),
            '\n' => {}
            _ => {
                let shown = c.escape_debug();
                self.error(start, format!("unknown escape `\\{shown}` in a string"));
            }
        }
    }
}

/// A byte offset as spans hold it.
pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(source: &str) -> (Vec<Tok>, Vec<Diagnostic>) {
        let mut lexer = Lexer::new(source);
        let mut toks = Vec::new();
        loop {
            match lexer.next_token().tok {
                Tok::Eof => return (toks, lexer.diags),
                tok => toks.push(tok),
            }
        }
    }

    #[test]
    fn tokens() {
        let (toks, diags) = all("#!/usr/bin/env bpftrace\n$x.0.1 /* c */ @[1] @a $# $12 0..n // e");
        assert_eq!(diags, []);
        let text: Vec<String> = toks.iter().map(ToString::to_string).collect();
        assert_eq!(
            text.join(" "),
            "`$x` `.` number 0 `.` number 1 `@` `[` number 1 `]` `@a` `$#` `$12` number 0 `..` `n`"
        );
    }

    #[test]
    fn strings() {
        let (toks, diags) = all(r#""a\n\t\"\\\033[0m\x41\0""#);
        assert_eq!(diags, []);
        assert_eq!(toks, [Tok::Str(b"a\n\t\"\\\x1b[0mA\0".to_vec())]);
        assert_eq!(all("\"abc\n").1.len(), 1);
        assert_eq!(
            all("\"\\q\"").1[0].message,
            "unknown escape `\\q` in a string"
        );
    }

    #[test]
    fn defines_are_replaced() {
        let (toks, diags) = all("#define A B + 1\n#define B 2\nA A2\n#undef A\nA");
        assert_eq!(diags, []);
        let text: Vec<String> = toks.iter().map(ToString::to_string).collect();
        assert_eq!(text.join(" "), "number 2 `+` number 1 `A2` `A`");
    }

    #[test]
    fn defines_cannot_explode() {
        let mut text = String::from("#define A0 1 1\n");
        for i in 1..60 {
            text += &format!("#define A{i} A{} A{}\n", i - 1, i - 1);
        }
        let (_, diags) = all(&(text + "A59"));
        assert!(diags[0].message.contains("grows without bound"));
    }
}
