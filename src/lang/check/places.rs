//! Puts their place in the script before the formats of `errorf` and `warnf`.

use super::super::{
    ast::{Arg, Expr, ExprKind},
    checked::CheckedProbe,
    visit::{Child, Node, each_mut},
};
use crate::span::Span;

/// `:LINE:COLUMN-COLUMN: ERROR: ` before each format; whoever prints it puts the script's name in front.
pub(super) fn place(probe: &mut CheckedProbe, source: &str) {
    let mut visit = |node: Node<'_>| {
        if let Node::Expr(expr) = node {
            mark(expr, source);
        }
    };
    if let Some(predicate) = &mut probe.predicate {
        each_mut(Child::Expr(predicate), &mut visit);
    }
    each_mut(Child::Block(&mut probe.body), &mut visit);
}

fn mark(expr: &mut Expr, source: &str) {
    let span = expr.span;
    let ExprKind::Call { name, args } = &mut expr.kind else {
        return;
    };
    let word = match name.text.as_str() {
        "errorf" => "ERROR",
        "warnf" => "WARNING",
        _ => return,
    };
    if let Some(Arg::Expr(Expr {
        kind: ExprKind::Str(format),
        ..
    })) = args.first_mut()
    {
        let mut marked = format!(":{}: {word}: ", columns(span, source)).into_bytes();
        marked.append(format);
        *format = marked;
    }
}

/// `LINE:COLUMN-COLUMN`, the second one behind the last character.
fn columns(span: Span, source: &str) -> String {
    let (line, column) = span.line_col(source);
    let (_, end) = Span::new(span.end, span.end).line_col(source);
    format!("{line}:{column}-{end}")
}
