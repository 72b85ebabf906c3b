//! Expressions: precedence climbing over C's operators, casts told from parentheses by what follows.

use super::{Parsed, Parser};
use crate::lang::{
    ast::{Arg, BinOp, Expr, ExprId, ExprKind, Name, OR_ELSE, TypeExpr, TypeExprKind, UnOp},
    builtin,
    diag::Diagnostic,
    token::{KEYWORDS, Tok},
};
use crate::span::Span;

/// Infix operators by binding strength, as in C.
pub(in crate::lang) const INFIX: &[(&str, BinOp, u8)] = &[
    ("||", BinOp::LogOr, 1),
    ("&&", BinOp::LogAnd, 2),
    ("|", BinOp::Or, 3),
    ("^", BinOp::Xor, 4),
    ("&", BinOp::And, 5),
    ("==", BinOp::Eq, 6),
    ("!=", BinOp::Ne, 6),
    ("<", BinOp::Lt, 7),
    ("<=", BinOp::Le, 7),
    (">", BinOp::Gt, 7),
    (">=", BinOp::Ge, 7),
    ("<<", BinOp::Shl, 8),
    (">>", BinOp::Shr, 8),
    ("+", BinOp::Add, 9),
    ("-", BinOp::Sub, 9),
    ("*", BinOp::Mul, 10),
    ("/", BinOp::Div, 10),
    ("%", BinOp::Mod, 10),
];

/// Prefix operators.
pub(in crate::lang) const PREFIX: &[(&str, UnOp)] = &[
    ("-", UnOp::Neg),
    ("!", UnOp::Not),
    ("~", UnOp::BitNot),
    ("*", UnOp::Deref),
    ("&", UnOp::AddrOf),
];

/// Functions whose first argument may be a type.
const TYPE_FUNCTIONS: &[&str] = &["sizeof", "offsetof", "typeinfo"];

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.nested(Self::ternary)
    }

    fn ternary(&mut self) -> Parsed<Expr> {
        let cond = self.binary(1)?;
        if !self.eat("?") {
            return Ok(cond);
        }
        if self.eat(":") {
            return self.or_else(cond);
        }
        let then = self.expr()?;
        self.want(":")?;
        let els = self.expr()?;
        let span = cond.span.to(els.span);
        let children = [cond.id, then.id, els.id];
        self.make(
            ExprKind::Ternary {
                cond: Box::new(cond),
                then: Box::new(then),
                els: Box::new(els),
            },
            span,
            &children,
        )
    }

    /// `a ?: b`, a call of the function of that name until macros are expanded.
    fn or_else(&mut self, cond: Expr) -> Parsed<Expr> {
        let els = self.expr()?;
        let span = cond.span.to(els.span);
        let children = [cond.id, els.id];
        let name = Name {
            text: OR_ELSE.to_string(),
            span,
        };
        let args = vec![Arg::Expr(cond), Arg::Expr(els)];
        self.make(ExprKind::Call { name, args }, span, &children)
    }

    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        let first = self.peek().span;
        let mut left = self.unary()?;
        loop {
            let Tok::Sym(symbol) = self.peek().tok else {
                return Ok(left);
            };
            let Some((_, op, power)) = INFIX.iter().find(|(s, _, p)| *s == symbol && *p >= least)
            else {
                return Ok(left);
            };
            if symbol == "/" && self.in_predicate && self.is_at(1, "{") {
                return Ok(left);
            }
            self.next();
            let right = self.binary(power + 1)?;
            // With the parentheses of its sides.
            let span = first.to(self.last_span());
            let children = [left.id, right.id];
            left = self.make(
                ExprKind::Binary {
                    op: *op,
                    left: Box::new(left),
                    right: Box::new(right),
                },
                span,
                &children,
            )?;
        }
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let token = self.peek().clone();
        let Tok::Sym(symbol) = token.tok else {
            return self.postfix();
        };
        if let Some((_, op)) = PREFIX.iter().find(|(s, _)| *s == symbol) {
            self.next();
            let expr = self.nested(Self::unary)?;
            let span = token.span.to(self.last_span());
            let child = [expr.id];
            let expr = Box::new(expr);
            return self.make(ExprKind::Unary { op: *op, expr }, span, &child);
        }
        match symbol {
            "+" => {
                self.next();
                self.nested(Self::unary)
            }
            "++" | "--" => {
                self.next();
                let expr = self.nested(Self::unary)?;
                let span = token.span.to(expr.span);
                self.step(expr, span, symbol, true)
            }
            "(" if self.cast_follows() => {
                self.next();
                let ty = self.type_expr()?;
                self.want(")")?;
                let expr = self.nested(Self::unary)?;
                let span = token.span.to(self.last_span());
                let child = [expr.id];
                let expr = Box::new(expr);
                self.make(ExprKind::Cast { ty, expr }, span, &child)
            }
            _ => self.postfix(),
        }
    }

    fn step(&mut self, expr: Expr, span: Span, symbol: &str, prefix: bool) -> Parsed<Expr> {
        if !matches!(expr.kind, ExprKind::Var(_) | ExprKind::Map { .. }) {
            return self.fail_with(
                Diagnostic::error(span, format!("`{symbol}` works on variables and maps only"))
                    .said("syntax: increment/decrement requires a variable or map"),
            );
        }
        let by = if symbol == "++" { 1 } else { -1 };
        let child = [expr.id];
        let expr = Box::new(expr);
        self.make(ExprKind::Step { by, prefix, expr }, span, &child)
    }

    /// Whether `(` here opens a cast: it holds a type and an operand follows.
    fn cast_follows(&mut self) -> bool {
        if self.is_at(1, "(") {
            return false;
        }
        let certain = self.at_type(1);
        let Tok::Ident(word) = self.peek_at(1).clone() else {
            return false;
        };
        if KEYWORDS.contains(&word.as_str()) && !certain {
            return false;
        }
        // Find the end of what may be a type.
        let mut i = 2;
        let mut depth = 0usize;
        loop {
            match self.peek_at(i) {
                Tok::Sym(")") if depth == 0 => break,
                // Of types only `typeof` is followed by a parenthesis; other words are calls.
                Tok::Sym("(") if depth == 0 && word != "typeof" => return false,
                Tok::Sym("[" | "(") => depth += 1,
                Tok::Sym("]" | ")") => match depth.checked_sub(1) {
                    Some(d) => depth = d,
                    None => return false,
                },
                Tok::Eof | Tok::Sym(";" | "{" | "}") if depth == 0 || i > 64 => return false,
                _ if depth > 0 => {}
                Tok::Sym("*") => {}
                Tok::Ident(_) if certain => {}
                _ => return false,
            }
            i += 1;
        }
        // `(name)`, `(name*)`, `(name[2])`.
        let starred = self.is_at(i - 1, "*");
        let after = self.peek_at(i + 1).clone();
        match &after {
            Tok::Sym("(" | "!" | "~" | "++" | "--") => true,
            Tok::Sym("*" | "&") => certain || starred || !builtin::is_name(&word),
            Tok::Sym("-" | "+") => certain || starred,
            Tok::Sym("{") => certain,
            Tok::Sym(_) | Tok::Eof => false,
            Tok::Ident(word) => !matches!(word.as_str(), "else"),
            _ => true,
        }
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let mut expr = self.primary()?;
        loop {
            let Tok::Sym(symbol) = self.peek().tok else {
                return Ok(expr);
            };
            match symbol {
                "." | "->" => {
                    self.next();
                    let token = self.next();
                    let span = expr.span.to(token.span);
                    let child = [expr.id];
                    let base = Box::new(expr);
                    let kind = match token.tok {
                        Tok::Ident(text) => ExprKind::Member {
                            base,
                            name: Name {
                                text,
                                span: token.span,
                            },
                        },
                        Tok::Int(n) if symbol == "." => match u32::try_from(n) {
                            Ok(index) => ExprKind::TupleItem { base, index },
                            Err(_) => return self.fail(token.span, "tuple has no such item"),
                        },
                        other => {
                            return self.fail(
                                token.span,
                                format!("expected a member's name, found {other}"),
                            );
                        }
                    };
                    expr = self.make(kind, span, &child)?;
                }
                "[" => {
                    self.next();
                    let index = self.expr()?;
                    let span = expr.span.to(self.want("]")?);
                    let children = [expr.id, index.id];
                    let kind = ExprKind::Index {
                        base: Box::new(expr),
                        index: Box::new(index),
                    };
                    expr = self.make(kind, span, &children)?;
                }
                "++" | "--" => {
                    let span = expr.span.to(self.next().span);
                    expr = self.step(expr, span, symbol, false)?;
                }
                _ => return Ok(expr),
            }
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek().clone();
        let span = token.span;
        match token.tok {
            Tok::Int(n) => self.leaf(ExprKind::Int(n)),
            Tok::Str(bytes) => self.leaf(ExprKind::Str(bytes)),
            Tok::Var(name) => self.leaf(ExprKind::Var(name)),
            Tok::Param(n) => self.leaf(ExprKind::Param(n)),
            Tok::ParamCount => self.leaf(ExprKind::ParamCount),
            Tok::Map(name) => {
                self.next();
                if !self.eat("[") {
                    return self.make(ExprKind::Map { name, key: None }, span, &[]);
                }
                let keys = self.list("]")?;
                let close = self.last_span();
                if keys.is_empty() {
                    return self.fail_with(
                        Diagnostic::error(span.to(close), format!("`@{name}[]` lacks its key"))
                            .said_at(close, "syntax: expected expression"),
                    );
                }
                let children: Vec<ExprId> = keys.iter().map(|k| k.id).collect();
                let key = match <[Expr; 1]>::try_from(keys) {
                    Ok([key]) => key,
                    Err(keys) => {
                        let whole = keys
                            .iter()
                            .map(|k| k.span)
                            .reduce(Span::to)
                            .unwrap_or_default();
                        self.make(ExprKind::Tuple(keys), whole, &children)?
                    }
                };
                let child = [key.id];
                let key = Some(Box::new(key));
                self.make(ExprKind::Map { name, key }, span.to(close), &child)
            }
            Tok::Ident(name) => self.word(Name { text: name, span }),
            Tok::Sym("(") => self.parens(),
            Tok::Sym("{") => {
                let mark = self.mark();
                let block = self.block(true)?;
                let children = self.since(mark);
                let span = block.span;
                self.make(ExprKind::Block(block), span, &children)
            }
            _ => self.expected("an expression"),
        }
    }

    fn leaf(&mut self, kind: ExprKind) -> Parsed<Expr> {
        let span = self.next().span;
        self.make(kind, span, &[])
    }

    /// Comma-separated expressions up to `close`, which is read.
    fn list(&mut self, close: &str) -> Parsed<Vec<Expr>> {
        let predicate = std::mem::replace(&mut self.in_predicate, false);
        let mut exprs = Vec::new();
        while !self.eat(close) {
            exprs.push(self.expr()?);
            if !self.is(close) && !self.eat(",") {
                return self.expected(&format!("`,` or `{close}`"));
            }
        }
        self.in_predicate = predicate;
        Ok(exprs)
    }

    fn word(&mut self, name: Name) -> Parsed<Expr> {
        match name.text.as_str() {
            "if" => return self.nested(Self::if_expr),
            "true" => return self.leaf(ExprKind::Bool(true)),
            "false" => return self.leaf(ExprKind::Bool(false)),
            "comptime" => {
                self.next();
                let inner = self.nested(Self::unary)?;
                let span = name.span.to(inner.span);
                let child = [inner.id];
                let args = vec![Arg::Expr(inner)];
                return self.make(ExprKind::Call { name, args }, span, &child);
            }
            "typeof" => {
                let ty = self.base_type()?;
                let span = name.span.to(self.last_span());
                let children = typeof_children(&ty);
                return self.make(ExprKind::Type(ty), span, &children);
            }
            word if TYPE_FUNCTIONS.contains(&word) && self.is_at(1, "(") => {
                self.next();
                return self.type_call(name);
            }
            "config" if !self.is_at(1, "=") => {}
            word if KEYWORDS.contains(&word) => return self.expected("an expression"),
            _ => {}
        }
        self.next();
        if self.is("!") && self.is_at(1, "(") {
            self.next();
        }
        if !self.is("(") {
            return self.make(ExprKind::Ident(name.text), name.span, &[]);
        }
        self.next();
        let predicate = std::mem::replace(&mut self.in_predicate, false);
        let mut args = Vec::new();
        let mut children = Vec::new();
        while !self.eat(")") {
            if self.tagged_type_follows() {
                args.push(Arg::Type(self.type_expr()?));
            } else {
                let expr = self.expr()?;
                children.push(expr.id);
                args.push(Arg::Expr(expr));
            }
            if !self.is(")") && !self.eat(",") {
                return self.expected("`,` or `)`");
            }
        }
        self.in_predicate = predicate;
        let span = name.span.to(self.last_span());
        self.make(ExprKind::Call { name, args }, span, &children)
    }

    /// `struct x` as an argument, e.g. of `container_of`.
    fn tagged_type_follows(&mut self) -> bool {
        matches!(&self.peek().tok, Tok::Ident(w) if matches!(w.as_str(), "struct" | "union" | "enum"))
    }

    fn type_call(&mut self, name: Name) -> Parsed<Expr> {
        self.want("(")?;
        let predicate = std::mem::replace(&mut self.in_predicate, false);
        let first = self.type_or_expr()?;
        let mut children = match &first {
            Arg::Expr(expr) => vec![expr.id],
            Arg::Type(ty) => typeof_children(ty),
        };
        let mut args = vec![first];
        while self.eat(",") {
            let expr = self.expr()?;
            children.push(expr.id);
            args.push(Arg::Expr(expr));
        }
        let span = name.span.to(self.want(")")?);
        self.in_predicate = predicate;
        self.make(ExprKind::Call { name, args }, span, &children)
    }

    /// What `sizeof` and its like take. A bare name, also with `*` or `[n]` behind it, is a type.
    pub(super) fn type_or_expr(&mut self) -> Parsed<Arg> {
        // `name()` calls a macro, whatever type has its name.
        let call = self.is_at(1, "(");
        let certain = self.at_type(0) && !self.is_word("typeof") && !call;
        let mut bare = false;
        if !certain && matches!(self.peek().tok, Tok::Ident(_)) {
            let mut i = 1;
            let mut depth = 0usize;
            bare = loop {
                match self.peek_at(i) {
                    Tok::Sym("[") => depth += 1,
                    Tok::Sym("]") => match depth.checked_sub(1) {
                        Some(d) => depth = d,
                        None => break false,
                    },
                    Tok::Sym("," | ")") if depth == 0 => break true,
                    Tok::Eof => break false,
                    Tok::Sym("*") if depth == 0 => {}
                    _ if depth > 0 => {}
                    _ => break false,
                }
                i += 1;
            };
            bare &= !self.is_word("true") && !self.is_word("false");
        }
        let typeof_first = self.is_word("typeof") && self.is_at(1, "(");
        if certain || bare || typeof_first {
            return Ok(Arg::Type(self.type_expr()?));
        }
        Ok(Arg::Expr(self.expr()?))
    }

    /// `(expr)`, `(a, b)`, `(a,)`, `()`, `(name=a)`.
    fn parens(&mut self) -> Parsed<Expr> {
        let open = self.want("(")?;
        if matches!(self.peek_at(0), Tok::Ident(_)) && self.is_at(1, "=") {
            return self.record(open);
        }
        let predicate = std::mem::replace(&mut self.in_predicate, false);
        let mut exprs = Vec::new();
        let mut comma = false;
        while !self.eat(")") {
            exprs.push(self.expr()?);
            if !self.is(")") {
                self.want(",")?;
                comma = true;
            }
        }
        self.in_predicate = predicate;
        let span = open.to(self.last_span());
        if exprs.len() == 1
            && !comma
            && let Some(expr) = exprs.pop()
        {
            return Ok(expr);
        }
        let children: Vec<ExprId> = exprs.iter().map(|e| e.id).collect();
        self.make(ExprKind::Tuple(exprs), span, &children)
    }

    fn record(&mut self, open: Span) -> Parsed<Expr> {
        let predicate = std::mem::replace(&mut self.in_predicate, false);
        let mut fields: Vec<(Name, Expr)> = Vec::new();
        let mut children = Vec::new();
        while !self.eat(")") {
            let name = self.name("a field's name")?;
            if fields.iter().any(|(n, _)| n.text == name.text) {
                self.diags.push(Diagnostic::error(
                    name.span,
                    format!("record has more than one field `{}`", name.text),
                ));
            }
            self.want("=")?;
            let value = self.expr()?;
            children.push(value.id);
            fields.push((name, value));
            if !self.is(")") {
                self.want(",")?;
            }
        }
        self.in_predicate = predicate;
        let span = open.to(self.last_span());
        self.make(ExprKind::Record(fields), span, &children)
    }
}

fn typeof_children(ty: &TypeExpr) -> Vec<ExprId> {
    match &ty.kind {
        TypeExprKind::Typeof(expr) => vec![expr.id],
        TypeExprKind::Pointer(inner) => typeof_children(inner),
        TypeExprKind::Array(inner, size) => {
            let mut ids = typeof_children(inner);
            ids.extend(size.iter().map(|e| e.id));
            ids
        }
        TypeExprKind::Tuple(elems) => elems.iter().flat_map(typeof_children).collect(),
        _ => Vec::new(),
    }
}
