//! The named parameters that a script asks for with `getopt`.

use super::{
    ast::{Arg, Expr, ExprKind, Item, Script, UnOp},
    visit::{Child, Node, each_mut},
};

/// A named parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name, without dashes.
    pub name: String,
    /// Its value where none is given; `None` for a switch without one.
    pub default: Option<String>,
    /// What the script says of it.
    pub help: Option<String>,
}

/// The parameters of all `getopt` calls, in the order of the text, each name once.
pub fn named(script: &Script) -> Vec<Named> {
    let mut script = script.clone();
    let mut found: Vec<Named> = Vec::new();
    let mut visit = |node: Node<'_>| {
        if let Node::Expr(expr) = node
            && let Some(new) = of_call(expr)
            && found.iter().all(|old| old.name != new.name)
        {
            found.push(new);
        }
    };
    for item in &mut script.items {
        if let Item::Probe(probe) = item {
            if let Some(predicate) = &mut probe.predicate {
                each_mut(Child::Expr(predicate), &mut visit);
            }
            each_mut(Child::Block(&mut probe.body), &mut visit);
        }
    }
    found
}

fn of_call(expr: &Expr) -> Option<Named> {
    let ExprKind::Call { name, args } = &expr.kind else {
        return None;
    };
    let mut args = args.iter().map(|arg| match arg {
        Arg::Expr(expr) => literal(expr),
        Arg::Type(_) => None,
    });
    let word = args.next().flatten().filter(|_| name.text == "getopt")?;
    Some(Named {
        name: word,
        default: args.next().flatten(),
        help: args.next().flatten(),
    })
}

fn literal(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Str(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ExprKind::Int(n) => Some(n.to_string()),
        ExprKind::Bool(b) => Some(b.to_string()),
        ExprKind::Unary {
            op: UnOp::Neg,
            expr,
        } => Some(format!("-{}", literal(expr)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::parse;

    #[test]
    fn each_name_once() {
        let script = parse(
            "begin /getopt(\"x\")/ { print((getopt(\"a\", -1, \"how far\"), getopt(\"x\"), getopt(\"b\", \"c\"))) }",
        )
        .unwrap();
        let row = |name: &str, default: Option<&str>, help: Option<&str>| Named {
            name: name.to_string(),
            default: default.map(str::to_string),
            help: help.map(str::to_string),
        };
        assert_eq!(
            named(&script),
            [
                row("x", None, None),
                row("a", Some("-1"), Some("how far")),
                row("b", Some("c"), None)
            ]
        );
    }
}
