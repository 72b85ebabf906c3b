//! Probes: attach points, read character by character because paths and patterns are no tokens; predicate; body.

use super::{Parsed, Parser};
use crate::{
    lang::{
        ast::{AttachPoint, Item, Probe, Script},
        diag::Diagnostic,
        points::{Kind, provider},
        token::Tok,
    },
    suggest,
};

impl Parser<'_> {
    pub(super) fn probe(&mut self, script: &mut Script) -> Parsed<()> {
        let start = self.peek().span;
        let points = self.attach_points()?;
        let predicate = if self.eat("/") {
            self.in_predicate = true;
            let expr = self.expr();
            self.in_predicate = false;
            let expr = expr?;
            if !self.is("/") {
                return self.expected("`/` at the end of the predicate");
            }
            self.next();
            Some(expr)
        } else {
            None
        };
        if !self.is("{") {
            return self.expected("`{` of the probe's action");
        }
        let body = self.block(false)?;
        script.items.push(Item::Probe(Probe {
            points,
            predicate,
            span: start.to(body.span),
            body,
        }));
        Ok(())
    }

    /// Attach points up to the `{` or `/` behind them. The token at this place is read again as text.
    fn attach_points(&mut self) -> Parsed<Vec<AttachPoint>> {
        let first = self.peek().clone();
        if matches!(first.tok, Tok::Eof) || !self.lexer.in_text() && self.tokens.len() == self.at {
            return self.expected("a probe");
        }
        self.lexer.pos = first.span.start as usize;
        self.tokens.truncate(self.at);
        let mut points = Vec::new();
        loop {
            self.lexer.skip_trivia();
            points.push(self.attach_point()?);
            self.lexer.skip_trivia();
            if !self.lexer.rest().starts_with(',') {
                return Ok(points);
            }
            self.lexer.pos += 1;
        }
    }

    fn attach_point(&mut self) -> Parsed<AttachPoint> {
        let start = self.lexer.pos;
        let mut parts = vec![String::new()];
        let mut quoted = false;
        loop {
            let rest = self.lexer.rest();
            let Some(c) = rest.chars().next() else { break };
            match c {
                '"' => {
                    self.quoted_part(&mut parts)?;
                    quoted = true;
                    continue;
                }
                ':' => {
                    // `cpp:"ns::f"` is quoted; a bare `::` would be an empty part.
                    parts.push(String::new());
                }
                '=' if parts.len() == 1 && !quoted => parts[0].clear(),
                '/' if !self.slash_is_text(&parts) => break,
                ',' | '{' => break,
                ';' | '}' | '(' | ')' => {
                    let span = self.lexer.span_from(start);
                    self.lexer.pos += c.len_utf8();
                    return self.fail_with(
                        Diagnostic::error(
                            span,
                            format!("expected `{{` of a probe's action, found `{c}`"),
                        )
                        .help("parts with such characters stand in double quotes")
                        .said("syntax: expected '{'"),
                    );
                }
                _ if c.is_whitespace() => break,
                _ => {
                    if let Some(part) = parts.last_mut() {
                        part.push(c);
                    }
                }
            }
            self.lexer.pos += c.len_utf8();
        }
        let span = self.lexer.span_from(start);
        let mut parts = parts.into_iter();
        let name = parts.next().unwrap_or_default();
        if provider(&name).is_none() {
            if name.is_empty() {
                let next = self.lexer.rest().chars().next();
                let found = next.map_or("the end of the script".to_string(), |c| format!("`{c}`"));
                return self.fail_with(
                    Diagnostic::error(span, format!("expected a probe, found {found}"))
                        .said("syntax: expected attach point"),
                );
            }
            let names = crate::lang::points::PROVIDERS.iter().map(|p| p.name);
            let mut help = suggest::did_you_mean(&name, names);
            if help.is_none() && parts.len() == 0 {
                help = Some("a probe is `provider:…`, e.g. `usdt:/bin/x:name`".to_string());
            }
            return self.fail_with(
                Diagnostic::error(span, format!("unknown probe type `{name}`"))
                    .maybe_help(help)
                    .said(format!("Invalid probe type: {name}")),
            );
        }
        Ok(AttachPoint {
            provider: name,
            parts: parts.collect(),
            span,
        })
    }

    /// Whether a `/` here belongs to a path: it is in the binary's part, or opens its part.
    fn slash_is_text(&self, parts: &[String]) -> bool {
        let Some(row) = provider(&parts[0]) else {
            return parts.len() > 1;
        };
        let binary = match row.kind {
            Kind::User => parts.len() == 2 || parts.len() == 3 && parts[1] == "cpp",
            _ => false,
        };
        let part = parts.last().map_or("", String::as_str);
        parts.len() > 1 && (binary || part.starts_with('/') || part.is_empty())
    }

    fn quoted_part(&mut self, parts: &mut [String]) -> Parsed<()> {
        let token = self.lexer.raw();
        if let (Some(token), Some(part)) = (token, parts.last_mut())
            && let Tok::Str(bytes) = token.tok
        {
            part.push_str(&String::from_utf8_lossy(&bytes));
        }
        Ok(())
    }
}
