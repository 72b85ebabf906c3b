//! Blocks and statements.

use super::{Parsed, Parser, ifs};
use crate::lang::{
    ast::{BinOp, Block, Expr, ExprKind, Stmt, StmtKind, Tag, TypeExpr, TypeExprKind},
    diag::Diagnostic,
    token::Tok,
};
use crate::span::Span;

const ASSIGN: &[(&str, Option<BinOp>)] = &[
    ("=", None),
    ("+=", Some(BinOp::Add)),
    ("-=", Some(BinOp::Sub)),
    ("*=", Some(BinOp::Mul)),
    ("/=", Some(BinOp::Div)),
    ("%=", Some(BinOp::Mod)),
    ("&=", Some(BinOp::And)),
    ("|=", Some(BinOp::Or)),
    ("^=", Some(BinOp::Xor)),
    ("<<=", Some(BinOp::Shl)),
    (">>=", Some(BinOp::Shr)),
];

impl Parser<'_> {
    /// `{ … }`; with `value` a last expression without semicolon is the block's value.
    pub(super) fn block(&mut self, value: bool) -> Parsed<Block> {
        self.nested(|p| p.block_inside(value))
    }

    fn block_inside(&mut self, value: bool) -> Parsed<Block> {
        let open = self.want("{")?;
        let predicate = std::mem::replace(&mut self.in_predicate, false);
        let mut block = Block::default();
        let close = loop {
            if self.is("}") {
                break self.next().span;
            }
            if self.eat(";") {
                continue;
            }
            if self.peek().tok == Tok::Eof {
                self.in_predicate = predicate;
                let end = self.peek().span;
                return self.fail_with(
                    Diagnostic::error(open, "block is not closed")
                        .help("close it with `}`")
                        .said_at(end, "syntax: expected '}'"),
                );
            }
            let nesting = self.nesting;
            match self.stmt(value) {
                Ok((stmt, None)) => block.stmts.push(stmt),
                Ok((_, Some(expr))) => block.value = Some(Box::new(expr)),
                Err(stop) => {
                    if self.diags.len() >= super::MAX_ERRORS {
                        return Err(stop);
                    }
                    self.nesting = nesting;
                    self.skip_stmt();
                }
            }
        };
        self.in_predicate = predicate;
        block.span = open.to(close);
        Ok(block)
    }

    /// Goes on behind the next `;`, or before the `}` that closes this block.
    fn skip_stmt(&mut self) {
        let mut depth = 0usize;
        loop {
            match self.peek().tok {
                Tok::Eof => return,
                Tok::Sym("{") => depth += 1,
                Tok::Sym("}") if depth == 0 => return,
                Tok::Sym("}") => depth -= 1,
                Tok::Sym(";") if depth == 0 => {
                    self.next();
                    return;
                }
                _ => {}
            }
            self.next();
        }
    }

    /// A statement, or with `value` the expression that ends the block.
    fn stmt(&mut self, value: bool) -> Parsed<(Stmt, Option<Expr>)> {
        let start = self.peek().span;
        let kind = if self.is_word("if") {
            let mark = self.mark();
            let parts = self.if_parts()?;
            if value && self.is("}") && parts.has_value() {
                StmtKind::Expr(self.if_expr_of(parts, start, mark)?)
            } else {
                parts.into_stmt()
            }
        } else if self.is("{") {
            let (mark, block) = (self.mark(), self.block(true)?);
            if value && self.is("}") && block.value.is_some() {
                let (whole, children) = (block.span, self.since(mark));
                StmtKind::Expr(self.make(ExprKind::Block(block), whole, &children)?)
            } else {
                StmtKind::Block(ifs::without_value(block))
            }
        } else {
            self.stmt_kind()?
        };
        let mut span = start.to(self.last_span());
        let braced = matches!(
            kind,
            StmtKind::If { .. }
                | StmtKind::While { .. }
                | StmtKind::ForMap { .. }
                | StmtKind::ForRange { .. }
                | StmtKind::Unroll { .. }
                | StmtKind::Block(_)
        );
        if self.is("}") && value {
            if let StmtKind::Expr(expr) = kind {
                let stmt = Stmt {
                    kind: StmtKind::Break,
                    span,
                };
                return Ok((stmt, Some(expr)));
            }
        } else if self.is(";") {
            let end = self.next().span;
            // bpftrace counts the `;` to these.
            if matches!(
                kind,
                StmtKind::Break | StmtKind::Continue | StmtKind::Return(_)
            ) {
                span = span.to(end);
            }
        } else if !self.is("}") && !braced && !self.new_line() {
            let last = self.last_span();
            let (found, next) = (self.peek().tok.clone(), self.peek().span);
            let place = Span::new(last.end.saturating_sub(1).max(last.start), last.end);
            return self.fail_with(
                Diagnostic::error(place, format!("expected `;` before {found}"))
                    .label("statement ends here")
                    .said_at(next, "syntax: expected ';'"),
            );
        }
        Ok((Stmt { kind, span }, None))
    }

    /// Whether a word on a later line follows: scripts leave out `;` there, and nothing else can be meant.
    fn new_line(&mut self) -> bool {
        let (last, next) = (self.last_span(), self.peek().clone());
        let between = self
            .lexer
            .source
            .get(last.end as usize..next.span.start as usize);
        matches!(next.tok, Tok::Ident(_) | Tok::Var(_) | Tok::Map(_))
            && between.is_some_and(|text| text.contains('\n'))
    }

    fn stmt_kind(&mut self) -> Parsed<StmtKind> {
        if let Tok::Ident(word) = self.peek().tok.clone() {
            match word.as_str() {
                "while" => {
                    self.next();
                    let cond = self.expr()?;
                    let body = self.block(false)?;
                    return Ok(StmtKind::While { cond, body });
                }
                "for" => return self.for_stmt(),
                "unroll" => {
                    self.next();
                    let count = self.expr()?;
                    let body = self.block(false)?;
                    return Ok(StmtKind::Unroll { count, body });
                }
                "let" => return self.let_stmt(),
                "break" => {
                    self.next();
                    return Ok(StmtKind::Break);
                }
                "continue" => {
                    self.next();
                    return Ok(StmtKind::Continue);
                }
                "return" => {
                    self.next();
                    if self.is(";") || self.is("}") {
                        return Ok(StmtKind::Return(None));
                    }
                    return Ok(StmtKind::Return(Some(self.expr()?)));
                }
                "else" => {
                    let span = self.next().span;
                    let next = self.peek().span;
                    return self.fail_with(
                        Diagnostic::error(span, "`else` without `if`")
                            .said_at(next, "syntax: expected ';'"),
                    );
                }
                "_" if self.is_at(1, "=") => {
                    self.next();
                    self.next();
                    return Ok(StmtKind::Discard(self.expr()?));
                }
                _ => {}
            }
        }
        let target = self.expr()?;
        for (symbol, op) in ASSIGN {
            if self.is(symbol) {
                self.next();
                if !matches!(target.kind, ExprKind::Var(_) | ExprKind::Map { .. }) {
                    let help = match target.kind {
                        ExprKind::Ident(ref name) => {
                            format!("variables are written `${name}`, maps `@{name}`")
                        }
                        _ => "only `$variables` and `@maps` can".to_string(),
                    };
                    let item = matches!(
                        target.kind,
                        ExprKind::Member { .. } | ExprKind::TupleItem { .. }
                    );
                    let diag =
                        Diagnostic::error(target.span, "this cannot be assigned to").help(help);
                    let diag = if item {
                        let value = self.expr()?;
                        diag.said_at(target.span.to(value.span), "syntax: Tuples and records are immutable once created. Consider creating a new value and assigning it instead.")
                    } else {
                        diag.said_at(self.last_span(), "syntax: expected ';'")
                    };
                    return self.fail_with(diag);
                }
                let value = self.expr()?;
                return Ok(StmtKind::Assign {
                    target,
                    op: *op,
                    value,
                });
            }
        }
        Ok(StmtKind::Expr(target))
    }

    fn var(&mut self) -> Parsed<Expr> {
        let token = self.peek().clone();
        match token.tok {
            Tok::Var(name) => {
                self.next();
                self.make(ExprKind::Var(name), token.span, &[])
            }
            _ => self.expected("a variable (`$name`)"),
        }
    }

    fn for_stmt(&mut self) -> Parsed<StmtKind> {
        self.next();
        let paren = self.eat("(");
        let var = self.var()?;
        self.want(":")?;
        let start = self.expr()?;
        if self.eat("..") {
            let end = self.expr()?;
            if paren {
                self.want(")")?;
            }
            let body = self.block(false)?;
            return Ok(StmtKind::ForRange {
                var,
                start,
                end,
                body,
            });
        }
        if !matches!(start.kind, ExprKind::Map { .. }) {
            return self.expected("`..` of a range");
        }
        if paren {
            self.want(")")?;
        }
        let body = self.block(false)?;
        Ok(StmtKind::ForMap {
            var,
            map: start,
            body,
        })
    }

    fn let_stmt(&mut self) -> Parsed<StmtKind> {
        self.next();
        if let Tok::Map(name) = self.peek().tok.clone() {
            let span = self.next().span;
            return self.fail_with(
                Diagnostic::error(span, format!("map `@{name}` is declared inside a block"))
                    .said("syntax: expected variable after 'let'")
                    .help("maps are declared outside of probes: `let @name = hash(100);`"),
            );
        }
        let var = self.var()?;
        let typed = self.eat(":") || matches!(self.peek().tok, Tok::Ident(_));
        let ty = if typed { Some(self.type_expr()?) } else { None };
        let value = if self.eat("=") {
            Some(self.expr()?)
        } else {
            None
        };
        Ok(StmtKind::Let { var, ty, value })
    }
}

/// `struct x`, for tests and printing of tags.
pub(super) fn tagged(tag: Tag, name: String, span: Span) -> TypeExpr {
    TypeExpr {
        kind: TypeExprKind::Tagged(tag, name),
        span,
    }
}
