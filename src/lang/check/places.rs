//! Puts their place in the script before the formats of `errorf` and `warnf`.

use super::super::{
    ast::{Arg, Expr, ExprId, ExprKind},
    checked::{CheckedProbe, Res},
    visit::{Child, Node, each_mut},
};
use crate::span::Span;
use std::collections::HashMap;

/// `:LINE:COLUMN-COLUMN: ERROR: ` before each format; whoever prints it puts the script's name in front.
pub(super) fn place(probe: &mut CheckedProbe, res: &mut HashMap<ExprId, Res>, source: &str) {
    let mut visit = |node: Node<'_>| {
        if let Node::Expr(expr) = node {
            mark(expr, res, source);
        }
    };
    if let Some(predicate) = &mut probe.predicate {
        each_mut(Child::Expr(predicate), &mut visit);
    }
    each_mut(Child::Block(&mut probe.body), &mut visit);
}

fn mark(expr: &Expr, res: &mut HashMap<ExprId, Res>, source: &str) {
    let ExprKind::Call { name, args } = &expr.kind else {
        return;
    };
    let word = match name.text.as_str() {
        "errorf" => "ERROR",
        "warnf" => "WARNING",
        _ => return,
    };
    let Some(Arg::Expr(format)) = args.first() else {
        return;
    };
    let text = match (res.get(&format.id), &format.kind) {
        (Some(Res::Str(text)), _) | (None, ExprKind::Str(text)) => text,
        _ => return,
    };
    let mut marked = format!(":{}: {word}: ", columns(expr.span, source)).into_bytes();
    marked.extend_from_slice(text);
    res.insert(format.id, Res::Str(marked));
}

/// `LINE:COLUMN-COLUMN`, the second one behind the last character.
fn columns(span: Span, source: &str) -> String {
    let (line, column) = span.line_col(source);
    let (_, end) = Span::new(span.end, span.end).line_col(source);
    format!("{line}:{column}-{end}")
}
