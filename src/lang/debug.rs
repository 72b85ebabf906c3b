//! What of debug information a script asks for.

use super::{
    ast::{Arg, CDef, Expr, ExprKind, Item, Script, Tag, TypeExprKind},
    visit::{Child, children_mut, stmt_mut, type_mut},
};

/// What must be looked up in debug information before the script can be checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedDebug {
    /// `args` is used.
    pub args: bool,
    /// `retval` is used.
    pub retval: bool,
    /// Types that are named and not defined: `struct foo`, `enum foo`.
    pub types: Vec<String>,
    /// Symbols that `uaddr` is asked for.
    pub symbols: Vec<String>,
}

/// What `script` asks for, also in its macros.
pub fn wanted_debug(script: &Script) -> WantedDebug {
    let mut wanted = WantedDebug::default();
    for item in &script.items {
        match item {
            Item::Probe(probe) => {
                let mut probe = probe.clone();
                if let Some(predicate) = &mut probe.predicate {
                    look(Child::Expr(predicate), &mut wanted);
                }
                look(Child::Block(&mut probe.body), &mut wanted);
            }
            Item::Macro(macro_) => {
                look(Child::Block(&mut macro_.body.clone()), &mut wanted);
            }
            Item::Map(_) => {}
        }
    }
    wanted.types.retain(|name| !is_defined(script, name));
    wanted
}

fn is_defined(script: &Script, name: &str) -> bool {
    script.defs.iter().any(|def| match def {
        CDef::Struct(def) => name.split(' ').nth(1) == Some(&def.name),
        CDef::Enum { tag, .. } => name.split(' ').nth(1) == Some(tag),
        CDef::Typedef { .. } => false,
    })
}

fn look(child: Child<'_>, wanted: &mut WantedDebug) {
    match child {
        Child::Expr(e) => {
            match &e.kind {
                ExprKind::Ident(word) => {
                    wanted.args |= word == "args";
                    wanted.retval |= word == "retval";
                }
                ExprKind::Call { name, args } if name.text == "uaddr" => {
                    if let [Arg::Expr(Expr { kind, .. })] = args.as_slice()
                        && let ExprKind::Str(symbol) = kind
                    {
                        let symbol = String::from_utf8_lossy(symbol).into_owned();
                        wanted.symbols.push(symbol);
                    }
                }
                _ => {}
            }
            children_mut(&mut e.kind, &mut |c| look(c, wanted));
        }
        Child::Block(block) => {
            for stmt in &mut block.stmts {
                stmt_mut(stmt, &mut |c| look(c, wanted));
            }
            if let Some(value) = &mut block.value {
                look(Child::Expr(value), wanted);
            }
        }
        Child::Type(ty) => {
            if let TypeExprKind::Tagged(tag, name) = &ty.kind {
                let keyword = match tag {
                    Tag::Struct => "struct",
                    Tag::Union => "union",
                    Tag::Enum => "enum",
                };
                let name = format!("{keyword} {name}");
                if !wanted.types.contains(&name) {
                    wanted.types.push(name);
                }
            }
            type_mut(ty, &mut |c| look(c, wanted));
        }
    }
}
