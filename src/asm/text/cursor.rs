//! The tokens of one line, and the reading of the operands that both dialects share.

use super::{Line, Parsed, Problem};
use crate::asm::{Imm64, Reg, Width};
use crate::span::Span;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Letters, digits, `_`, `.`, `$`, beginning with none of the digits.
    Word,
    /// Beginning with a digit.
    Number,
    /// An operator or a bracket.
    Mark,
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    /// Offset in the line.
    at: usize,
}

/// Operators of more than one character, longest first.
const MARKS: &[&str] = &[
    "<<=", ">>=", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=", "==", "!=", ">=", "<=", "//",
];

/// Reads a line token by token.
pub(super) struct Cursor<'a> {
    line: Line<'a>,
    tokens: Vec<Token<'a>>,
    next: usize,
    /// Where a comment begins, or the line ends.
    end: usize,
    /// The code byte of a listing, `(b7)`.
    code: Option<u8>,
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$')
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: Line<'a>) -> Cursor<'a> {
        let text = line.text;
        let mut tokens: Vec<Token<'a>> = Vec::with_capacity(12);
        let mut at = 0;
        while let Some(rest) = text.get(at..) {
            let Some(first) = rest.chars().next() else {
                break;
            };
            if first.is_whitespace() {
                at += first.len_utf8();
                continue;
            }
            // `call bpf_x#5`: a `#` right behind a word is no comment.
            let glued = tokens
                .last()
                .is_some_and(|last| last.kind == Kind::Word && last.at + last.text.len() == at);
            if first == ';' || rest.starts_with("//") || (first == '#' && !glued) {
                break;
            }
            let (kind, length) = if is_word(first) {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let number = first.is_ascii_digit();
                (if number { Kind::Number } else { Kind::Word }, length)
            } else {
                let mark = MARKS.iter().find(|mark| rest.starts_with(**mark));
                (Kind::Mark, mark.map_or(first.len_utf8(), |mark| mark.len()))
            };
            let text = rest.get(..length).unwrap_or("");
            tokens.push(Token { kind, text, at });
            at += length;
        }
        Cursor {
            line,
            tokens,
            next: 0,
            end: at,
            code: None,
        }
    }

    fn span_of(&self, start: usize, end: usize) -> Span {
        let place = |at: usize| u32::try_from(self.line.start + at).unwrap_or(u32::MAX);
        Span::new(place(start), place(end))
    }

    fn token_span(&self, at: usize) -> Span {
        match self.tokens.get(at) {
            Some(token) => self.span_of(token.at, token.at + token.text.len()),
            None => self.span_of(self.end, self.end),
        }
    }

    /// The place of the next token.
    pub(super) fn span(&self) -> Span {
        self.token_span(self.next)
    }

    /// The place of the last token read.
    pub(super) fn last_span(&self) -> Span {
        self.token_span(self.next.saturating_sub(1))
    }

    /// The place of what is left of the line's text.
    pub(super) fn all(&self) -> Span {
        match self.tokens.last() {
            Some(_) => self.span().to(self.token_span(self.tokens.len() - 1)),
            None => self.span_of(self.end, self.end),
        }
    }

    /// The line's comment and its offset in the line.
    pub(super) fn comment(&self) -> Option<(usize, &'a str)> {
        let text = self.line.text.get(self.end..)?;
        (!text.is_empty()).then_some((self.end, text))
    }

    pub(super) fn at_end(&self) -> bool {
        self.next >= self.tokens.len()
    }

    fn peek_token(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    /// The text of the next token, empty at the end.
    pub(super) fn peek(&self) -> &'a str {
        self.peek_token().map_or("", |token| token.text)
    }

    pub(super) fn bump(&mut self) {
        self.next += 1;
    }

    /// Reads over this text if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let is = self.peek() == text && !text.is_empty();
        self.next += usize::from(is);
        is
    }

    pub(super) fn expect(&mut self, text: &'static str) -> Parsed<()> {
        if self.eat(text) {
            return Ok(());
        }
        Err(self.expected(match text {
            "(" => "`(`",
            ")" => "`)`",
            "[" => "`[`",
            "]" => "`]`",
            "," => "`,`",
            "*" => "`*`",
            "=" => "`=`",
            "goto" => "`goto`",
            _ => "something else",
        }))
    }

    pub(super) fn expected(&self, what: &'static str) -> (Span, Problem) {
        let found = self.peek().to_owned();
        (self.span(), Problem::Expected { what, found })
    }

    /// The next token if it is a word.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let token = self.peek_token().filter(|token| token.kind == Kind::Word)?;
        self.next += 1;
        Some(token.text)
    }

    pub(super) fn finish(&mut self) -> Parsed<()> {
        if self.at_end() {
            return Ok(());
        }
        let found = self.peek().to_owned();
        Err((self.span(), Problem::Trailing { found }))
    }

    /// A label at the line's begin: `name:`.
    pub(super) fn label(&mut self) -> Option<(&'a str, Span)> {
        let token = self.peek_token().filter(|token| token.kind == Kind::Word)?;
        let colon = self.tokens.get(self.next + 1)?;
        if colon.text != ":" {
            return None;
        }
        let span = self.span();
        self.next += 2;
        Some((token.text, span))
    }

    /// Reads over what listings put before an instruction: `12:`, its bytes, `(b7)`.
    pub(super) fn skip_listing(&mut self) {
        let is_number = |token: Option<&Token<'_>>| token.is_some_and(|t| t.kind == Kind::Number);
        let text_at = |at: usize| self.tokens.get(at).map_or("", |token| token.text);
        if is_number(self.tokens.get(self.next)) && text_at(self.next + 1) == ":" {
            self.next += 2;
        }
        let byte = |at: usize| {
            let text = self.tokens.get(at).map_or("", |token| token.text);
            text.len() == 2 && u8::from_str_radix(text, 16).is_ok()
        };
        for _ in 0..2 {
            if (self.next..self.next + 8).all(byte) {
                self.next += 8;
            }
        }
        let at = self.next;
        let code = self.tokens.get(at + 1).map_or("", |token| token.text);
        let text_at = |at: usize| self.tokens.get(at).map_or("", |token| token.text);
        let in_parentheses = text_at(at) == "(" && text_at(at + 2) == ")" && code.len() == 2;
        self.code = u8::from_str_radix(code, 16).ok().filter(|_| in_parentheses);
        if self.code.is_some() {
            self.next += 3;
        }
    }

    /// The code byte that a listing gives, if there was one.
    pub(super) fn listed_code(&self) -> Option<u8> {
        self.code
    }

    /// Bytes as hexadecimal digits behind `0x`, two a byte.
    pub(super) fn bytes(&mut self) -> Parsed<Vec<u8>> {
        let digits = self.peek().strip_prefix("0x").unwrap_or("");
        let all: Option<Vec<u8>> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
            .collect();
        match all {
            Some(bytes) if !bytes.is_empty() => {
                self.bump();
                Ok(bytes)
            }
            _ => Err(self.expected("bytes in hex, two digits each, behind `0x`")),
        }
    }

    /// A number without sign, if one comes next.
    fn unsigned(&mut self) -> Parsed<Option<u64>> {
        let Some(token) = self.peek_token().filter(|token| token.kind == Kind::Number) else {
            return Ok(None);
        };
        let text = token.text;
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let value = match hex {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        match value {
            Ok(value) => {
                self.next += 1;
                Ok(Some(value))
            }
            Err(_) => {
                let text = text.to_owned();
                Err((self.span(), Problem::Number { text }))
            }
        }
    }

    /// A number with an optional sign, if one comes next.
    pub(super) fn number(&mut self) -> Parsed<Option<i128>> {
        let before = self.next;
        let negative = self.eat("-");
        if !negative {
            self.eat("+");
        }
        match self.unsigned()? {
            Some(value) if negative => Ok(Some(-i128::from(value))),
            Some(value) => Ok(Some(i128::from(value))),
            None => {
                self.next = before;
                Ok(None)
            }
        }
    }

    /// An immediate of 32 bits, see [`Cursor::imm32_of`].
    pub(super) fn imm32(&mut self) -> Parsed<i32> {
        let start = self.span();
        match self.number()? {
            Some(value) => self.imm32_of(value, start.to(self.last_span())),
            None => Err(self.expected("a number")),
        }
    }

    /// The immediate of the number just read: -2^31 to 2^31-1, in hexadecimal any pattern of 32 bits or what sign
    /// extension makes of one. (Decimal 4294967295 would become -1, which nobody means.)
    pub(super) fn imm32_of(&self, value: i128, span: Span) -> Parsed<i32> {
        let last = self.tokens.get(self.next.saturating_sub(1));
        let is_hex =
            last.is_some_and(|token| token.text.starts_with("0x") || token.text.starts_with("0X"));
        match i32::try_from(value) {
            Ok(fits) => Ok(fits),
            Err(_) if is_hex => imm32_of(value, span),
            Err(_) => Err((
                span,
                Problem::Range {
                    what: "a 32-bit immediate",
                    value: value.to_string(),
                    min: i64::from(i32::MIN),
                    max: i64::from(i32::MAX),
                },
            )),
        }
    }

    /// A helper's number.
    pub(super) fn helper_number(&mut self) -> Parsed<u32> {
        let number = self.bounded(
            "a helper's number",
            i64::from(i32::MIN),
            i64::from(u32::MAX),
        )?;
        // Negative ones are the same 32 bits.
        Ok(u32::try_from(number.rem_euclid(1 << 32)).unwrap_or(0))
    }

    /// A number that a field of these bounds holds.
    pub(super) fn bounded(&mut self, what: &'static str, min: i64, max: i64) -> Parsed<i64> {
        let start = self.span();
        let Some(value) = self.number()? else {
            return Err(self.expected("a number"));
        };
        match i64::try_from(value) {
            Ok(fits) if (min..=max).contains(&fits) => Ok(fits),
            _ => Err((
                start.to(self.last_span()),
                Problem::Range {
                    what,
                    value: value.to_string(),
                    min,
                    max,
                },
            )),
        }
    }

    /// `+8`, `- 0x4` or nothing: an offset behind a register.
    pub(super) fn offset(&mut self) -> Parsed<i16> {
        match self.peek() {
            "+" | "-" => {
                let off = self.bounded("`off`", i64::from(i16::MIN), i64::from(i16::MAX))?;
                Ok(i16::try_from(off).unwrap_or(0))
            }
            _ => Ok(0),
        }
    }

    /// A register if one comes next: `r1`, `w1`, with or without `%`.
    pub(super) fn maybe_reg(&mut self) -> Parsed<Option<(Width, Reg)>> {
        let before = self.next;
        let percent = self.eat("%");
        let span = self.span();
        let Some(word) = self.word() else {
            self.next = before;
            return Ok(None);
        };
        let width = match word.as_bytes().first() {
            Some(b'r') => Some(Width::W64),
            Some(b'w') => Some(Width::W32),
            _ => None,
        };
        let digits = word.get(1..).unwrap_or("");
        let looks = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits
            .parse()
            .ok()
            .filter(|_| looks && !(digits.len() > 1 && digits.starts_with('0')));
        match (width, number.and_then(Reg::new)) {
            (Some(width), Some(reg)) => Ok(Some((width, reg))),
            // `fp` is LLVM's other name of r10.
            (None, None) if word == "fp" => Ok(Some((Width::W64, Reg::R10))),
            (Some(_), None) if looks => Err(no_register(span, word)),
            _ if percent => Err(no_register(span, word)),
            _ => {
                self.next = before;
                Ok(None)
            }
        }
    }

    /// A register of either width.
    pub(super) fn any_reg(&mut self) -> Parsed<(Width, Reg)> {
        match self.maybe_reg()? {
            Some(found) => Ok(found),
            None => Err(self.expected("a register")),
        }
    }

    /// A 64-bit register.
    pub(super) fn reg(&mut self) -> Parsed<Reg> {
        self.reg_of(Width::W64)
    }

    /// A register of that width.
    pub(super) fn reg_of(&mut self, width: Width) -> Parsed<Reg> {
        match self.any_reg()? {
            (found, reg) if found == width => Ok(reg),
            _ => Err((
                self.last_span(),
                Problem::Width {
                    need: letter(width),
                },
            )),
        }
    }

    /// The brackets of a wide immediate that is no number: `map[…]`, `btf[…]`, `subprog[…]`. The word before them has
    /// been read.
    pub(super) fn reference(&mut self, word: &'a str) -> Parsed<Reference<'a>> {
        let start = self.last_span();
        self.expect("[")?;
        let i32s = (i64::from(i32::MIN), i64::from(i32::MAX));
        let int = |cursor: &mut Self| -> Parsed<i32> {
            let value = cursor.bounded("a 32-bit field", i32s.0, i32s.1)?;
            Ok(i32::try_from(value).unwrap_or(0))
        };
        let mut name = None;
        let mut target = None;
        let imm = match word {
            "map" => {
                let inner = self.span();
                let Some(first) = self.word() else {
                    return Err(self.expected("a map's name"));
                };
                let number = if self.eat(":") {
                    Some(int(self)?)
                } else {
                    name = Some(first);
                    None
                };
                self.expect("]")?;
                let value = self.map_value()?;
                match (first, number, value) {
                    (_, None, None) => Imm64::MapIdx(0),
                    (_, None, Some(off)) => Imm64::MapIdxValue { idx: 0, off },
                    ("fd", Some(fd), None) => Imm64::MapFd(fd),
                    ("fd", Some(fd), Some(off)) => Imm64::MapValue { fd, off },
                    ("idx", Some(idx), None) => Imm64::MapIdx(idx),
                    ("idx", Some(idx), Some(off)) => Imm64::MapIdxValue { idx, off },
                    _ => {
                        let text = format!("{first}:");
                        return Err((inner, Problem::Reference { text }));
                    }
                }
            }
            "btf" => {
                if !(self.eat("id") && self.eat(":")) {
                    return Err(self.expected("`id:` and a BTF id"));
                }
                let id = int(self)?;
                let obj_fd = if self.eat(",") {
                    if !(self.eat("fd") && self.eat(":")) {
                        return Err(self.expected("`fd:` and a BTF object's descriptor"));
                    }
                    int(self)?
                } else {
                    0
                };
                self.expect("]")?;
                Imm64::BtfId { id, obj_fd }
            }
            "subprog" => {
                let span = self.span();
                let distance = match self.word() {
                    Some(label) => {
                        target = Some((label, span));
                        0
                    }
                    None => int(self)?,
                };
                self.expect("]")?;
                Imm64::Func(distance)
            }
            _ => {
                let text = word.to_owned();
                return Err((start, Problem::Reference { text }));
            }
        };
        Ok(Reference { imm, name, target })
    }

    /// `[0]+16` behind a map: an address inside its value.
    fn map_value(&mut self) -> Parsed<Option<u32>> {
        if !self.eat("[") {
            return Ok(None);
        }
        self.bounded("the index of a one-element array", 0, 0)?;
        self.expect("]")?;
        let off = match self.peek() {
            "+" => self.bounded("an offset into a map value", 0, i64::from(u32::MAX))?,
            _ => 0,
        };
        Ok(u32::try_from(off).ok())
    }
}

/// A wide immediate that is no number.
pub(super) struct Reference<'a> {
    pub(super) imm: Imm64,
    /// The map's name.
    pub(super) name: Option<&'a str>,
    /// The function's label.
    pub(super) target: Option<(&'a str, Span)>,
}

pub(super) const fn letter(width: Width) -> char {
    match width {
        Width::W32 => 'w',
        Width::W64 => 'r',
    }
}

fn no_register(span: Span, name: &str) -> (Span, Problem) {
    let name = name.to_owned();
    (span, Problem::Register { name })
}

/// The 32 bits that stand for a number in an immediate.
pub(super) fn imm32_of(value: i128, span: Span) -> Parsed<i32> {
    let (min, max) = (i128::from(i32::MIN), i128::from(u32::MAX));
    // What a 64-bit register shows after sign extension of a negative immediate.
    let extended = i128::from(u64::MAX) + min + 1..=i128::from(u64::MAX);
    let value = if extended.contains(&value) {
        value - (1 << 64)
    } else {
        value
    };
    if !(min..=max).contains(&value) {
        return Err((
            span,
            Problem::Range {
                what: "a 32-bit immediate",
                value: value.to_string(),
                min: i64::from(i32::MIN),
                max: i64::from(u32::MAX),
            },
        ));
    }
    let bits = if value > i128::from(i32::MAX) {
        value - (1 << 32)
    } else {
        value
    };
    Ok(i32::try_from(bits).unwrap_or(0))
}
