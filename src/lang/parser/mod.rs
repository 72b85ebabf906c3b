//! Recursive descent over the tokens of a script; goes on after an error so that one run reports several.

mod cdefs;
mod expr;
mod headers;
mod ifs;
mod probe;
mod stmt;
mod types;

#[cfg(test)]
mod tests;

use super::ast::{
    CDef, ConfigValue, Expr, ExprId, ExprKind, Item, Macro, MacroParam, MapDecl, Name, Script,
};
use super::diag::Diagnostic;
use super::header::Headers;
use super::lexer::Lexer;
use super::token::{KEYWORDS, Tok, Token};
use crate::span::Span;
use std::collections::HashSet;

pub(super) use expr::{INFIX, PREFIX};
pub(super) use headers::c_defs;
pub(super) use types::TYPE_NAMES;

/// Deepest nesting of blocks, parentheses and types.
const MAX_NESTING: usize = 80;
/// Most levels of an expression's tree.
const MAX_HEIGHT: u16 = 200;
/// Errors after which the rest is left unread.
const MAX_ERRORS: usize = 20;

/// What bpftrace says where something is missing.
const SAID: &[(&str, &str)] = &[
    ("an expression", "syntax: expected expression"),
    ("`,` or `)`", "syntax: expected ')'"),
    ("`,` or `]`", "syntax: expected ']'"),
    ("`{` of the probe's action", "syntax: expected '{'"),
    (
        "`/` at the end of the predicate",
        "syntax: expected '/' to close predicate",
    ),
    ("a probe", "syntax: expected attach point"),
    (
        "a variable (`$name`)",
        "syntax: expected variable after 'let'",
    ),
    (
        "the name of a config variable",
        "syntax: expected config key",
    ),
    (
        "`..` of a range",
        "syntax: expected map or range in for loop",
    ),
];

/// An error was recorded; whoever can goes on behind it.
pub(super) struct Stop;

pub(super) type Parsed<T> = Result<T, Stop>;

/// Reads a script.
///
/// # Errors
/// All syntax errors that were found, in the order of the text.
pub fn parse(source: &str) -> Result<Script, Vec<Diagnostic>> {
    read(source, None)
}

/// Reads a script with what its C headers define.
///
/// # Errors
/// All syntax errors that were found, in the order of the text.
pub fn parse_with(source: &str, headers: Headers) -> Result<Script, Vec<Diagnostic>> {
    read(source, Some(headers))
}

fn read(source: &str, headers: Option<Headers>) -> Result<Script, Vec<Diagnostic>> {
    if source.len() > u32::MAX as usize / 2 {
        return Err(vec![Diagnostic::error(
            Span::default(),
            "script is larger than 2 GiB",
        )]);
    }
    let mut parser = Parser::new(source);
    let mut defs = Vec::new();
    if let Some(headers) = headers {
        parser.lexer.headers_are_read = true;
        parser.lexer.defines.take(&headers.constants);
        parser
            .typedefs
            .extend(headers.defs.iter().filter_map(|def| match def {
                CDef::Typedef { name, .. } => Some(name.text.clone()),
                _ => None,
            }));
        defs = headers.defs;
    }
    let mut script = parser.script();
    script.header_defs = defs;
    let mut diags = parser.lexer.diags;
    diags.append(&mut parser.diags);
    diags.sort_by_key(|d| d.span.start);
    diags.dedup();
    diags.truncate(MAX_ERRORS);
    if diags.is_empty() {
        Ok(script)
    } else {
        Err(diags)
    }
}

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Tokens read so far; the parser looks back and ahead in them.
    tokens: Vec<Token>,
    at: usize,
    diags: Vec<Diagnostic>,
    /// Height of every expression, by id.
    heights: Vec<u16>,
    nesting: usize,
    /// A `/` before a `{` ends the predicate.
    in_predicate: bool,
    /// `typedef` names, so that casts to them are seen.
    typedefs: HashSet<String>,
    /// C headers: attributes that change no layout are passed over.
    lenient: bool,
}

impl<'a> Parser<'a> {
    fn new(source: &'a str) -> Self {
        Parser {
            lexer: Lexer::new(source),
            tokens: Vec::new(),
            at: 0,
            diags: Vec::new(),
            heights: Vec::new(),
            nesting: 0,
            in_predicate: false,
            typedefs: HashSet::new(),
            lenient: false,
        }
    }

    // --- tokens -----------------------------------------------------------------------------------------------

    fn fill(&mut self, ahead: usize) {
        while self.tokens.len() <= self.at + ahead {
            let token = self.lexer.next_token();
            self.tokens.push(token);
        }
    }

    pub(super) fn peek(&mut self) -> &Token {
        self.fill(0);
        &self.tokens[self.at]
    }

    pub(super) fn peek_at(&mut self, ahead: usize) -> &Tok {
        self.fill(ahead);
        &self.tokens[self.at + ahead].tok
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if token.tok != Tok::Eof {
            self.at += 1;
        }
        token
    }

    /// Place of the token read last.
    pub(super) fn last_span(&self) -> Span {
        match self.at.checked_sub(1).and_then(|i| self.tokens.get(i)) {
            Some(token) => token.span,
            None => Span::default(),
        }
    }

    pub(super) fn is(&mut self, symbol: &str) -> bool {
        matches!(&self.peek().tok, Tok::Sym(s) if *s == symbol)
    }

    pub(super) fn is_at(&mut self, ahead: usize, symbol: &str) -> bool {
        matches!(self.peek_at(ahead), Tok::Sym(s) if *s == symbol)
    }

    pub(super) fn is_word(&mut self, word: &str) -> bool {
        matches!(&self.peek().tok, Tok::Ident(s) if s == word)
    }

    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        let yes = self.is(symbol);
        if yes {
            self.at += 1;
        }
        yes
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let yes = self.is_word(word);
        if yes {
            self.at += 1;
        }
        yes
    }

    pub(super) fn want(&mut self, symbol: &str) -> Parsed<Span> {
        if self.is(symbol) {
            return Ok(self.next().span);
        }
        let token = self.peek().clone();
        self.fail_with(
            Diagnostic::error(
                token.span,
                format!("expected `{symbol}`, found {}", token.tok),
            )
            .said(format!("syntax: expected '{symbol}'")),
        )
    }

    /// An error at the next token: something else was wanted.
    pub(super) fn expected<T>(&mut self, what: &str) -> Parsed<T> {
        let token = self.peek().clone();
        let mut diag =
            Diagnostic::error(token.span, format!("expected {what}, found {}", token.tok));
        if let Some((_, said)) = SAID.iter().find(|(ours, _)| *ours == what) {
            diag = diag.said(*said);
        }
        self.fail_with(diag)
    }

    pub(super) fn fail<T>(&mut self, span: Span, message: impl Into<String>) -> Parsed<T> {
        self.diags.push(Diagnostic::error(span, message));
        Err(Stop)
    }

    pub(super) fn fail_with<T>(&mut self, diag: Diagnostic) -> Parsed<T> {
        self.diags.push(diag);
        Err(Stop)
    }

    pub(super) fn name(&mut self, what: &str) -> Parsed<Name> {
        match self.peek().clone() {
            Token {
                tok: Tok::Ident(text),
                span,
            } => {
                self.at += 1;
                Ok(Name { text, span })
            }
            _ => self.expected(what),
        }
    }

    /// Runs `f` one level deeper.
    pub(super) fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= MAX_NESTING {
            let span = self.peek().span;
            return self.too_deep(span);
        }
        self.nesting += 1;
        let result = f(self);
        self.nesting -= 1;
        result
    }

    fn too_deep<T>(&mut self, span: Span) -> Parsed<T> {
        self.fail_with(
            Diagnostic::error(span, "nested too deeply")
                .help("split it up with variables or macros"),
        )
    }

    /// A new expression over `children`.
    pub(super) fn make(&mut self, kind: ExprKind, span: Span, children: &[ExprId]) -> Parsed<Expr> {
        let below = children
            .iter()
            .filter_map(|id| self.heights.get(id.0 as usize))
            .max()
            .copied()
            .unwrap_or(0);
        if below >= MAX_HEIGHT {
            return self.too_deep(span);
        }
        let id = ExprId(super::lexer::offset(self.heights.len()));
        self.heights.push(below + 1);
        Ok(Expr { id, kind, span })
    }

    /// The ids of all expressions made since `mark` was `self.mark()`, as children of a block.
    pub(super) fn since(&self, mark: usize) -> Vec<ExprId> {
        let tallest = (mark..self.heights.len()).max_by_key(|i| self.heights[*i]);
        tallest
            .map(|i| ExprId(super::lexer::offset(i)))
            .into_iter()
            .collect()
    }

    pub(super) fn mark(&self) -> usize {
        self.heights.len()
    }

    // --- the script -------------------------------------------------------------------------------------------

    fn script(&mut self) -> Script {
        let mut script = Script::default();
        let mut config_seen = false;
        while self.peek().tok != Tok::Eof && self.diags.len() < MAX_ERRORS {
            let before = (self.at, self.lexer.pos);
            if self.top_level(&mut script, &mut config_seen).is_err() {
                self.nesting = 0;
                self.in_predicate = false;
                self.skip_item();
                if before == (self.at, self.lexer.pos) {
                    self.next();
                }
            }
        }
        script.exprs = super::lexer::offset(self.heights.len());
        script
    }

    fn top_level(&mut self, script: &mut Script, config_seen: &mut bool) -> Parsed<()> {
        let token = self.peek().clone();
        let Tok::Ident(word) = &token.tok else {
            if self.eat(";") {
                return Ok(());
            }
            return self.probe(script);
        };
        match word.as_str() {
            "struct" | "union" | "enum" | "typedef" => {
                if !script.items.is_empty() {
                    self.diags.push(
                        Diagnostic::error(
                            token.span,
                            "type definitions stand before everything else",
                        )
                        .help("move it to the top of the script")
                        .said("syntax: C definitions must appear before probes and functions"),
                    );
                }
                self.cdef(&mut script.defs)
            }
            "config" if self.is_at(1, "=") => {
                if *config_seen {
                    return self.fail_with(
                        Diagnostic::error(token.span, "there is more than one config block")
                            .said("syntax: duplicate config block"),
                    );
                }
                if !script.items.is_empty() {
                    self.diags.push(
                        Diagnostic::error(token.span, "the config block stands before all probes")
                            .help("move it to the top of the script, behind the type definitions")
                            .said("syntax: config must appear before probes and functions"),
                    );
                }
                *config_seen = true;
                self.config(script)
            }
            "import" if matches!(self.peek_at(1), Tok::Str(_)) => {
                self.next();
                let path = self.next();
                if let Tok::Str(bytes) = path.tok {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if !script.items.is_empty() {
                        self.diags.push(Diagnostic::error(
                            token.span,
                            "imports stand before all probes, macros and maps",
                        ));
                    }
                    script.imports.push((text, path.span));
                }
                self.eat(";");
                Ok(())
            }
            "let" if matches!(self.peek_at(1), Tok::Map(_)) => {
                let decl = self.map_decl()?;
                script.items.push(Item::Map(decl));
                Ok(())
            }
            "macro" if matches!(self.peek_at(1), Tok::Ident(_)) => {
                let mac = self.macro_def()?;
                script.items.push(Item::Macro(mac));
                Ok(())
            }
            _ => self.probe(script),
        }
    }

    /// Goes on behind the next block that closes at this level.
    fn skip_item(&mut self) {
        let mut depth = 0usize;
        loop {
            match self.next().tok {
                Tok::Eof => return,
                Tok::Sym("{") => depth += 1,
                Tok::Sym("}") if depth <= 1 => return,
                Tok::Sym("}") => depth -= 1,
                _ => {}
            }
        }
    }

    fn config(&mut self, script: &mut Script) -> Parsed<()> {
        self.next();
        self.want("=")?;
        self.want("{")?;
        while !self.eat("}") {
            if self.eat(";") {
                continue;
            }
            let name = self.name("the name of a config variable")?;
            self.want("=")?;
            let value = self.config_value()?;
            let whole = name.span.to(self.last_span());
            script.config.push((name, value, whole));
            if !self.is("}") {
                self.want(";")?;
            }
        }
        self.eat(";");
        Ok(())
    }

    fn config_value(&mut self) -> Parsed<ConfigValue> {
        let token = self.next();
        match token.tok {
            Tok::Int(n) => match i64::try_from(n) {
                Ok(n) => Ok(ConfigValue::Int(n)),
                // Too much for any of them, and refused by name.
                Err(_) => Ok(ConfigValue::Int(i64::MAX)),
            },
            Tok::Sym("-") => match self.next().tok {
                Tok::Int(n) if i64::try_from(n).is_ok() => {
                    Ok(ConfigValue::Int(-i64::try_from(n).unwrap_or(0)))
                }
                _ => self.fail(token.span, "expected a number"),
            },
            Tok::Str(bytes) => Ok(ConfigValue::Str(
                String::from_utf8_lossy(&bytes).into_owned(),
            )),
            Tok::Ident(word) => Ok(match word.as_str() {
                "true" => ConfigValue::Int(1),
                "false" => ConfigValue::Int(0),
                _ => ConfigValue::Str(word),
            }),
            other => self.fail(
                token.span,
                format!("expected a number, word or string, found {other}"),
            ),
        }
    }

    fn map_decl(&mut self) -> Parsed<MapDecl> {
        let start = self.next().span;
        let token = self.next();
        let Tok::Map(text) = token.tok else {
            return self.fail(token.span, "expected a map");
        };
        self.want("=")?;
        let kind = self.name("`hash`, `lruhash`, `percpuhash` or `percpulruhash`")?;
        self.want("(")?;
        let size = self.next();
        let Tok::Int(max_entries) = size.tok else {
            return self.fail_with(
                Diagnostic::error(size.span, format!("expected the most keys of `@{text}`"))
                    .help(format!("e.g. `let @{text} = {}(100);`", kind.text))
                    .said("syntax: expected positive integer for map declaration max entries"),
            );
        };
        self.want(")")?;
        let span = start.to(self.want(";")?);
        Ok(MapDecl {
            name: Name {
                text,
                span: token.span,
            },
            kind,
            max_entries,
            span,
        })
    }

    fn macro_def(&mut self) -> Parsed<Macro> {
        let start = self.next().span;
        let name = self.name("the macro's name")?;
        if KEYWORDS.contains(&name.text.as_str()) {
            return self.fail(
                name.span,
                format!("`{}` is a keyword and cannot name a macro", name.text),
            );
        }
        let mut params: Vec<MacroParam> = Vec::new();
        // Without parentheses it has none: a leniency of ours.
        if self.eat("(") {
            while !self.eat(")") {
                let token = self.next();
                let span = token.span;
                let param = match token.tok {
                    Tok::Var(text) => MacroParam::Var(Name { text, span }),
                    Tok::Map(text) => MacroParam::Map(Name { text, span }),
                    Tok::Ident(text) => MacroParam::Expr(Name { text, span }),
                    other => {
                        return self.fail_with(
                            Diagnostic::error(
                                span,
                                format!("expected a parameter (`$x`, `@x` or `x`), found {other}"),
                            )
                            .said("syntax: expected macro argument ($var, @map, or identifier)"),
                        );
                    }
                };
                if params.iter().any(|p| p.name().text == param.name().text) {
                    let name = &param.name().text;
                    let said = format!("Ident for macro argument has already been used: {name}");
                    self.diags.push(
                        Diagnostic::error(span, format!("macro has two parameters `{name}`"))
                            .said(said),
                    );
                }
                params.push(param);
                if !self.is(")") {
                    self.want(",")?;
                }
            }
        }
        let body = self.block(true)?;
        Ok(Macro {
            name,
            params,
            span: start.to(body.span),
            body,
        })
    }
}
