//! `if`: a statement, or an expression whose value is that of the block that runs.

use super::{Parsed, Parser};
use crate::lang::{
    ast::{Block, Expr, ExprKind, Stmt, StmtKind},
    diag::Diagnostic,
};
use crate::span::Span;

/// An `if` of which is not known yet what it is; its blocks may have values.
pub(super) struct IfParts {
    cond: Expr,
    then: Block,
    els: Option<Else>,
}

enum Else {
    Block(Block),
    If(Box<IfParts>, Span),
}

impl IfParts {
    /// Whether each way through it ends with a value.
    pub(super) fn has_value(&self) -> bool {
        let els = match &self.els {
            None => false,
            Some(Else::Block(block)) => block.value.is_some(),
            Some(Else::If(parts, _)) => parts.has_value(),
        };
        els && self.then.value.is_some()
    }

    /// The statement: values of blocks are expressions that nobody takes.
    pub(super) fn into_stmt(self) -> StmtKind {
        let els = self.els.map(|els| match els {
            Else::Block(block) => without_value(block),
            Else::If(parts, span) => Block {
                stmts: vec![Stmt {
                    kind: parts.into_stmt(),
                    span,
                }],
                value: None,
                span,
            },
        });
        StmtKind::If {
            cond: self.cond,
            then: without_value(self.then),
            els,
        }
    }
}

/// A block as a statement: its value is an expression that nobody takes.
pub(super) fn without_value(mut block: Block) -> Block {
    if let Some(value) = block.value.take() {
        let span = value.span;
        block.stmts.push(Stmt {
            kind: StmtKind::Expr(*value),
            span,
        });
    }
    block
}

impl Parser<'_> {
    /// `if cond { } else if cond { } else { }`, from the `if` on.
    pub(super) fn if_parts(&mut self) -> Parsed<IfParts> {
        self.next();
        let cond = self.expr()?;
        let then = self.block(true)?;
        let els = if !self.eat_word("else") {
            None
        } else if self.is_word("if") {
            let start = self.peek().span;
            let parts = self.nested(Self::if_parts)?;
            Some(Else::If(Box::new(parts), start.to(self.last_span())))
        } else {
            if !self.is("{") {
                let token = self.peek().clone();
                return self.fail_with(
                    Diagnostic::error(token.span, format!("expected `{{`, found {}", token.tok))
                        .said("syntax: expected '{' or 'if' after 'else'"),
                );
            }
            Some(Else::Block(self.block(true)?))
        };
        Ok(IfParts { cond, then, els })
    }

    /// `if` where a value is wanted: it becomes `cond ? { … } : { … }`.
    pub(super) fn if_expr(&mut self) -> Parsed<Expr> {
        let (start, mark) = (self.peek().span, self.mark());
        let parts = self.if_parts()?;
        self.if_expr_of(parts, start, mark)
    }

    /// `mark`: before the `if` was read.
    pub(super) fn if_expr_of(&mut self, parts: IfParts, start: Span, mark: usize) -> Parsed<Expr> {
        let IfParts { cond, then, els } = parts;
        let then = self.block_expr(then, mark)?;
        let els = match els {
            Some(Else::Block(block)) => self.block_expr(block, mark)?,
            Some(Else::If(parts, span)) => self.if_expr_of(*parts, span, mark)?,
            None => {
                let place = self.last_span();
                return self.fail_with(
                    Diagnostic::error(start, "`if` as a value lacks its `else`")
                        .said_at(place, "syntax: expected 'else'"),
                );
            }
        };
        let span = start.to(els.span);
        let children = self.since(mark);
        let kind = ExprKind::Ternary {
            cond: Box::new(cond),
            then: Box::new(then),
            els: Box::new(els),
        };
        self.make(kind, span, &children)
    }

    /// A block as an expression: its value alone where that is all of it.
    fn block_expr(&mut self, mut block: Block, mark: usize) -> Parsed<Expr> {
        match block.value.take() {
            Some(value) if block.stmts.is_empty() => Ok(*value),
            value => {
                block.value = value;
                let (span, children) = (block.span, self.since(mark));
                self.make(ExprKind::Block(block), span, &children)
            }
        }
    }
}
