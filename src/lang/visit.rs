//! The parts of an expression, one level down: for passes that treat most kinds alike.

use super::ast::{Arg, Block, Expr, ExprKind, Stmt, StmtKind, TypeExpr, TypeExprKind};
use crate::span::Span;

/// A part of an expression.
pub(super) enum Child<'a> {
    /// An expression.
    Expr(&'a mut Expr),
    /// A block.
    Block(&'a mut Block),
    /// A type.
    Type(&'a mut TypeExpr),
}

/// Calls `f` with each part, in the order of the text.
pub(super) fn children_mut(kind: &mut ExprKind, f: &mut dyn FnMut(Child<'_>)) {
    match kind {
        ExprKind::Int(_)
        | ExprKind::Bool(_)
        | ExprKind::Str(_)
        | ExprKind::Param(_)
        | ExprKind::ParamCount
        | ExprKind::Var(_)
        | ExprKind::Ident(_) => {}
        ExprKind::Map { key, .. } => {
            if let Some(key) = key {
                f(Child::Expr(key));
            }
        }
        ExprKind::Call { args, .. } => {
            for arg in args {
                match arg {
                    Arg::Expr(e) => f(Child::Expr(e)),
                    Arg::Type(t) => f(Child::Type(t)),
                }
            }
        }
        ExprKind::Member { base, .. } | ExprKind::TupleItem { base, .. } => f(Child::Expr(base)),
        ExprKind::Index { base, index } => {
            f(Child::Expr(base));
            f(Child::Expr(index));
        }
        ExprKind::Unary { expr, .. } | ExprKind::Step { expr, .. } => f(Child::Expr(expr)),
        ExprKind::Binary { left, right, .. } => {
            f(Child::Expr(left));
            f(Child::Expr(right));
        }
        ExprKind::Ternary { cond, then, els } => {
            f(Child::Expr(cond));
            f(Child::Expr(then));
            f(Child::Expr(els));
        }
        ExprKind::Cast { ty, expr } => {
            f(Child::Type(ty));
            f(Child::Expr(expr));
        }
        ExprKind::Tuple(elems) => elems.iter_mut().for_each(|e| f(Child::Expr(e))),
        ExprKind::Record(fields) => fields.iter_mut().for_each(|(_, e)| f(Child::Expr(e))),
        ExprKind::Block(block) => f(Child::Block(block)),
        ExprKind::Type(ty) => f(Child::Type(ty)),
    }
}

/// Calls `f` with each part of a statement, in the order of the text.
pub(super) fn stmt_mut(stmt: &mut Stmt, f: &mut dyn FnMut(Child<'_>)) {
    match &mut stmt.kind {
        StmtKind::Expr(e) | StmtKind::Discard(e) => f(Child::Expr(e)),
        StmtKind::Assign { target, value, .. } => {
            f(Child::Expr(target));
            f(Child::Expr(value));
        }
        StmtKind::Let { var, ty, value } => {
            f(Child::Expr(var));
            if let Some(ty) = ty {
                f(Child::Type(ty));
            }
            if let Some(value) = value {
                f(Child::Expr(value));
            }
        }
        StmtKind::If { cond, then, els } => {
            f(Child::Expr(cond));
            f(Child::Block(then));
            if let Some(els) = els {
                f(Child::Block(els));
            }
        }
        StmtKind::While { cond, body } | StmtKind::Unroll { count: cond, body } => {
            f(Child::Expr(cond));
            f(Child::Block(body));
        }
        StmtKind::ForMap { var, map, body } => {
            f(Child::Expr(var));
            f(Child::Expr(map));
            f(Child::Block(body));
        }
        StmtKind::ForRange {
            var,
            start,
            end,
            body,
        } => {
            f(Child::Expr(var));
            f(Child::Expr(start));
            f(Child::Expr(end));
            f(Child::Block(body));
        }
        StmtKind::Block(block) => f(Child::Block(block)),
        StmtKind::Return(Some(e)) => f(Child::Expr(e)),
        StmtKind::Break | StmtKind::Continue | StmtKind::Return(None) => {}
    }
}

/// Calls `f` with each part of a type.
pub(super) fn type_mut(ty: &mut TypeExpr, f: &mut dyn FnMut(Child<'_>)) {
    match &mut ty.kind {
        TypeExprKind::Named(_) | TypeExprKind::Tagged(..) => {}
        TypeExprKind::Pointer(inner) => f(Child::Type(inner)),
        TypeExprKind::Array(inner, size) => {
            f(Child::Type(inner));
            if let Some(size) = size {
                f(Child::Expr(size));
            }
        }
        TypeExprKind::Tuple(elems) => elems.iter_mut().for_each(|t| f(Child::Type(t))),
        TypeExprKind::Typeof(e) => f(Child::Expr(e)),
    }
}

/// Calls `f` with every expression in a block, outer ones first, and with every span.
pub(super) fn each_mut(child: Child<'_>, f: &mut dyn FnMut(Node<'_>)) {
    match child {
        Child::Expr(e) => {
            f(Node::Expr(e));
            children_mut(&mut e.kind, &mut |c| each_mut(c, f));
        }
        Child::Block(b) => {
            f(Node::Span(&mut b.span));
            for stmt in &mut b.stmts {
                f(Node::Span(&mut stmt.span));
                stmt_mut(stmt, &mut |c| each_mut(c, f));
            }
            if let Some(value) = &mut b.value {
                each_mut(Child::Expr(value), f);
            }
        }
        Child::Type(t) => {
            f(Node::Span(&mut t.span));
            type_mut(t, &mut |c| each_mut(c, f));
        }
    }
}

/// What `each_mut` meets.
pub(super) enum Node<'a> {
    /// An expression, its parts not yet seen.
    Expr(&'a mut Expr),
    /// The span of a block, statement or type.
    Span(&'a mut Span),
}
