//! The preprocessor lines of a script: object-like `#define`, `#undef`, `#ifdef`; `#include` of headers whose constants are built in.

use super::diag::Diagnostic;
use super::lexer::Lexer;
use super::token::{Tok, Token};
use crate::span::Span;
use std::collections::{HashMap, HashSet};

/// Directories of the kernel's own headers: what they define comes from BTF.
pub(super) const KERNEL_HEADERS: &[&str] = &["asm/", "linux/", "net/", "uapi/"];

/// Headers that may be named because what scripts take from them is built in (see `lang::constants`).
pub(super) const KNOWN_HEADERS: &[&str] = &[
    "asm-generic/errno.h",
    "asm-generic/errno-base.h",
    "asm/unistd.h",
    "errno.h",
    "linux/errno.h",
    "linux/in.h",
    "linux/in6.h",
    "linux/signal.h",
    "linux/socket.h",
    "linux/types.h",
    "netinet/in.h",
    "signal.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "sys/socket.h",
    "sys/syscall.h",
    "sys/types.h",
    "syscall.h",
];

/// Object-like macros.
pub(super) struct Defines(HashMap<String, Vec<Token>>);

impl Default for Defines {
    /// `BPFTRACE_HAVE_BTF` is there, so that scripts take their header-free branch.
    fn default() -> Self {
        let one = Token {
            tok: Tok::Int(1),
            span: Span::default(),
        };
        Defines(HashMap::from([(
            "BPFTRACE_HAVE_BTF".to_string(),
            vec![one],
        )]))
    }
}

impl Defines {
    /// Takes over `#define`s of headers.
    pub(super) fn take(&mut self, constants: &HashMap<String, String>) {
        for (name, text) in constants {
            let mut line = Lexer::new(text);
            let mut tokens = Vec::new();
            while let Some(token) = line.raw().filter(|t| t.tok != Tok::Eof) {
                tokens.push(token);
            }
            self.0.insert(name.clone(), tokens);
        }
    }

    /// Whether a name is defined.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What stands for `name`, as C would read it.
    fn text(&self, name: &str) -> Option<String> {
        let tokens = self.expand(name, Span::default(), MOST_OF_IF)?;
        let words = tokens.into_iter().map(|t| match t.tok {
            Tok::Ident(name) => Some(name),
            Tok::Int(n) => Some(n.to_string()),
            Tok::Sym(s) => Some(s.to_string()),
            _ => None,
        });
        Some(words.collect::<Option<Vec<_>>>()?.join(" "))
    }

    /// The tokens that stand for `name`, all with `span`; nothing if there are more than `room`.
    pub(super) fn expand(&self, name: &str, span: Span, room: usize) -> Option<Vec<Token>> {
        let mut out = Vec::new();
        let mut steps = 0;
        self.expand_into(name, span, room, &mut HashSet::new(), &mut out, &mut steps)?;
        Some(out)
    }

    fn expand_into<'a>(
        &'a self,
        name: &'a str,
        span: Span,
        room: usize,
        active: &mut HashSet<&'a str>,
        out: &mut Vec<Token>,
        steps: &mut usize,
    ) -> Option<()> {
        active.insert(name);
        if active.len() > 100 {
            return None;
        }
        for token in self.0.get(name).map_or(&[][..], Vec::as_slice) {
            *steps += 1;
            if *steps > room {
                return None;
            }
            match &token.tok {
                Tok::Ident(inner) if self.has(inner) && !active.contains(inner.as_str()) => {
                    self.expand_into(inner, span, room, active, out, steps)?;
                }
                tok => out.push(Token {
                    tok: tok.clone(),
                    span,
                }),
            }
        }
        active.remove(name);
        Some(())
    }
}

/// Tokens that a name in an `#if` may stand for.
const MOST_OF_IF: usize = 1000;

/// An open `#if`.
pub(super) struct Cond {
    /// Lines are read now.
    active: bool,
    /// One of its branches has been read.
    taken: bool,
    /// The lines around it are read.
    outer: bool,
    span: Span,
}

impl Lexer<'_> {
    /// Reads the preprocessor line at this place, and what it switches off.
    pub(super) fn directive(&mut self) {
        self.directive_line();
        while self.conds.last().is_some_and(|c| !c.active) {
            // Skip to the next preprocessor line.
            let rest = self.rest();
            if rest.is_empty() {
                let span = self.conds.pop().map(|c| c.span).unwrap_or_default();
                self.conds.clear();
                self.diags.push(
                    Diagnostic::error(span, "conditional is not closed")
                        .help("close it with `#endif`"),
                );
                return;
            }
            let line = rest.lines().next().unwrap_or("");
            if line.trim_start().starts_with('#') {
                self.pos += line.len() - line.trim_start().len();
                self.directive_line();
            } else {
                self.pos += (line.len() + 1).min(rest.len());
            }
        }
    }

    fn directive_line(&mut self) {
        let start = self.pos;
        let mut end = start;
        loop {
            let rest = self.source.get(end..).unwrap_or("");
            let line = rest.split('\n').next().unwrap_or("");
            end += line.len();
            if line.trim_end().ends_with('\\') && end < self.source.len() {
                end += 1;
            } else {
                break;
            }
        }
        let text = self.source.get(start..end).unwrap_or("");
        let body = text[1.min(text.len())..].trim_start();
        let word_len = body
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(body.len());
        let (word, rest) = body.split_at(word_len);
        let rest_at = end - rest.len();
        self.pos = end;
        let active = self.conds.last().is_none_or(|c| c.active);
        let span = self.span_from(start);
        match word {
            "ifdef" | "ifndef" => {
                let name = rest.split_whitespace().next().unwrap_or("");
                let holds = active && self.defines.has(name) == (word == "ifdef");
                self.conds.push(Cond {
                    active: holds,
                    taken: holds,
                    outer: active,
                    span,
                });
            }
            "if" => {
                let holds = active && self.condition(rest, span);
                self.conds.push(Cond {
                    active: holds,
                    taken: holds,
                    outer: active,
                    span,
                });
            }
            "elif" | "else" | "endif" if self.conds.is_empty() => self.diags.push(Diagnostic::error(
                span,
                format!("`#{word}` without `#if`"),
            )),
            "elif" | "else" => {
                let open = self.conds.last().is_some_and(|c| c.outer && !c.taken);
                let holds = open && (word == "else" || self.condition(rest, span));
                if let Some(cond) = self.conds.last_mut() {
                    cond.active = holds;
                    cond.taken |= holds;
                }
            }
            "endif" => {
                self.conds.pop();
            }
            _ if !active => {}
            "define" => self.define(rest_at, end, span),
            "undef" => {
                self.defines.0.remove(rest.trim());
            }
            "include" => self.include(rest, span),
            "pragma" | "" => {}
            _ => self.diags.push(
                Diagnostic::error(span, format!("`#{word}` is not supported"))
                    .help("`#define`, `#undef`, `#if`, `#ifdef`, `#ifndef`, `#elif`, `#else` and `#endif` are"),
            ),
        }
        self.pos = end;
    }

    /// Whether the condition of an `#if` or `#elif` holds.
    fn condition(&mut self, rest: &str, span: Span) -> bool {
        let defines = &self.defines;
        let line = rest.replace("\\\n", " ");
        let value =
            super::header::condition(&line, &|name| defines.has(name), &|name| defines.text(name));
        if value.is_none() {
            self.diags
                .push(Diagnostic::error(span, "this condition has no value"));
        }
        value.is_some_and(|v| v != 0)
    }

    fn include(&mut self, rest: &str, span: Span) {
        let name = rest.trim().trim_matches(['<', '>', '"']);
        // The kernel describes its types itself.
        let of_kernel = KERNEL_HEADERS.iter().any(|dir| name.starts_with(dir));
        if !self.headers_are_read && !of_kernel && !KNOWN_HEADERS.contains(&name) {
            self.diags.push(
                Diagnostic::error(span, format!("`#include` of `{name}` is not supported"))
                    .label("headers are read for the script itself only"),
            );
        }
    }

    fn define(&mut self, from: usize, end: usize, span: Span) {
        let text = &self.source[from..end];
        let name_at = from + text.len() - text.trim_start().len();
        let mut line = Lexer::new(&self.source[..end]);
        line.pos = name_at;
        let name = match line.raw() {
            Some(Token {
                tok: Tok::Ident(name),
                ..
            }) => name,
            _ => {
                self.diags
                    .push(Diagnostic::error(span, "`#define` wants a name"));
                return;
            }
        };
        // As in bpftrace, a macro with arguments may be there but stands for nothing.
        if line.rest().starts_with('(') {
            return;
        }
        let mut tokens = Vec::new();
        loop {
            while line.rest().starts_with('\\') {
                line.pos += 1;
            }
            let before = line.pos;
            line.skip_blank();
            if line.rest().starts_with('\\') {
                continue;
            }
            match line.raw() {
                Some(Token { tok: Tok::Eof, .. }) => break,
                Some(token) => tokens.push(token),
                None if line.pos == before => break,
                None => {}
            }
        }
        self.diags.append(&mut line.diags);
        self.defines.0.insert(name, tokens);
    }

    /// Blanks and comments, no preprocessor lines.
    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.pos += blank;
            } else if rest.starts_with("//") {
                self.pos += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.pos += rest.find("*/").map_or(rest.len(), |at| at + 2);
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> (String, Vec<String>) {
        let mut lexer = Lexer::new(source);
        let mut out = Vec::new();
        loop {
            match lexer.next_token().tok {
                Tok::Eof => break,
                tok => out.push(tok.to_string()),
            }
        }
        let diags = lexer.diags.into_iter().map(|d| d.message).collect();
        (out.join(" "), diags)
    }

    #[test]
    fn conditionals() {
        let (text, diags) = words(
            "#ifndef BPFTRACE_HAVE_BTF\n#include <linux/sched.h>\na\n#else\nb\n#endif\n#ifdef X\nc\n#if 1\nd\n#endif\n#endif\ne",
        );
        assert_eq!((text.as_str(), diags.len()), ("`b` `e`", 0), "{diags:?}");
        assert_eq!(words("#ifdef X\na").1, ["conditional is not closed"]);
        assert_eq!(words("#endif").1, ["`#endif` without `#if`"]);
    }

    #[test]
    fn what_is_refused_is_named() {
        assert_eq!(
            words("#include <mine/path.h>\n").1,
            ["`#include` of `mine/path.h` is not supported"]
        );
        assert_eq!(words("#include <errno.h>\n").1, Vec::<String>::new());
        assert_eq!(
            words("#define F(x) x\nF").0,
            "`F`",
            "stands for nothing, as in bpftrace"
        );
        assert_eq!(words("#if 1 +\n#endif").1, ["this condition has no value"]);
        assert_eq!(words("#warning x\n").1, ["`#warning` is not supported"]);
    }

    #[test]
    fn conditions_have_values() {
        let text = |cond: &str| {
            let source =
                format!("#define N (2 * 3)\n#if {cond}\na\n#elif N == 6\nb\n#else\nc\n#endif\nd");
            let (text, diags) = words(&source);
            assert_eq!(diags, Vec::<String>::new(), "{cond}");
            text
        };
        for cond in [
            "1",
            "N > 5",
            "defined(N) && !defined X",
            "X == 0 && N \\\n- 5",
        ] {
            assert_eq!(text(cond), "`a` `d`", "{cond}");
        }
        assert_eq!(text("N < 5"), "`b` `d`");
        assert_eq!(
            words("#if 0\n#if 1\na\n#else\nb\n#endif\n#elif 0\nc\n#else\nd\n#endif").0,
            "`d`"
        );
    }

    #[test]
    fn a_define_goes_over_a_continued_line() {
        assert_eq!(
            words("#define A 1 + \\\n 2 // c\nA").0,
            "number 1 `+` number 2"
        );
        assert_eq!(words("#define A A\nA").0, "`A`");
        assert_eq!(words("#define").1, ["`#define` wants a name"]);
    }
}
