//! Takes branches out of the tree that are known at compile time not to be taken.

use crate::lang::{
    ast::{Block, Expr, ExprId, ExprKind, Stmt, StmtKind},
    checked::{CheckedProbe, Res},
};
use std::collections::HashMap;

type Table = HashMap<ExprId, Res>;

/// Prunes a probe.
pub(super) fn prune(probe: &mut CheckedProbe, res: &Table) {
    if let Some(predicate) = &mut probe.predicate {
        expr(predicate, res);
    }
    block(&mut probe.body, res);
}

fn block(b: &mut Block, res: &Table) {
    for stmt in &mut b.stmts {
        self::stmt(stmt, res);
    }
    if let Some(value) = &mut b.value {
        expr(value, res);
    }
}

fn stmt(s: &mut Stmt, res: &Table) {
    match &mut s.kind {
        StmtKind::If { cond, then, els } => {
            if let Some(Res::Int(v)) = res.get(&cond.id) {
                let taken = if *v != 0 {
                    std::mem::take(then)
                } else {
                    els.take().unwrap_or_default()
                };
                s.kind = StmtKind::Block(taken);
                return stmt(s, res);
            }
            expr(cond, res);
            block(then, res);
            if let Some(els) = els {
                block(els, res);
            }
        }
        StmtKind::Expr(e) | StmtKind::Discard(e) => expr(e, res),
        StmtKind::Assign { target, value, .. } => {
            expr(target, res);
            expr(value, res);
        }
        StmtKind::Let { value, .. } => {
            if let Some(value) = value {
                expr(value, res);
            }
        }
        StmtKind::While { cond, body } => {
            expr(cond, res);
            block(body, res);
        }
        StmtKind::ForMap { body, .. } => block(body, res),
        StmtKind::ForRange {
            start, end, body, ..
        } => {
            expr(start, res);
            expr(end, res);
            block(body, res);
        }
        StmtKind::Unroll { body, .. } | StmtKind::Block(body) => block(body, res),
        StmtKind::Return(Some(e)) => expr(e, res),
        StmtKind::Break | StmtKind::Continue | StmtKind::Return(None) => {}
    }
}

fn expr(e: &mut Expr, res: &Table) {
    if let ExprKind::Ternary { cond, then, els } = &mut e.kind
        && let Some(Res::Int(v)) = res.get(&cond.id)
    {
        let taken = if *v != 0 { then } else { els };
        let nothing = Expr {
            id: taken.id,
            kind: ExprKind::Bool(false),
            span: taken.span,
        };
        *e = std::mem::replace(&mut **taken, nothing);
    }
    crate::lang::visit::children_mut(&mut e.kind, &mut |child| match child {
        crate::lang::visit::Child::Expr(x) => expr(x, res),
        crate::lang::visit::Child::Block(b) => block(b, res),
        crate::lang::visit::Child::Type(_) => {}
    });
}
