//! What a script asks of the kernel, read off the tree before anything is looked up.

use super::{
    ast::{Arg, CDef, Expr, ExprKind, Item, Probe, Script, Tag, TypeExpr, TypeExprKind},
    builtin, constants,
    points::{self, Kernel},
    visit::{Child, children_mut, stmt_mut, type_mut},
};

/// Words whose value is a struct of the kernel.
const OF_KERNEL: &[&str] = &[
    "curtask",
    "ctx",
    "kfunc_exist",
    "leader_comm",
    "leader_tid",
    "pcomm",
    "ppid",
];

/// What must be known of the kernel before a script can be checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedKernel {
    /// Its types.
    pub types: bool,
    /// Places of probes.
    pub points: Vec<Kernel>,
    /// Symbols whose address is asked for.
    pub symbols: Vec<String>,
    /// Paths of cgroups whose id is asked for.
    pub cgroups: Vec<String>,
}

/// What `script` asks for.
pub fn wanted_kernel(script: &Script, params: &[String]) -> WantedKernel {
    let mut wanted = WantedKernel::default();
    for item in &script.items {
        match item {
            Item::Probe(probe) => of_probe(probe, params, script, &mut wanted),
            Item::Macro(macro_) => {
                look(Child::Block(&mut macro_.body.clone()), script, &mut wanted);
            }
            Item::Map(_) => {}
        }
    }
    wanted
}

fn of_probe(probe: &Probe, params: &[String], script: &Script, wanted: &mut WantedKernel) {
    let mut probe = probe.clone();
    for point in &probe.points {
        if let Some(Ok(place)) = points::kernel(&points::with_params(point, params)) {
            wanted.types |= !matches!(place, Kernel::Kprobe { .. });
            if !wanted.points.contains(&place) {
                wanted.points.push(place);
            }
        }
    }
    if let Some(predicate) = &mut probe.predicate {
        look(Child::Expr(predicate), script, wanted);
    }
    look(Child::Block(&mut probe.body), script, wanted);
}

fn look(child: Child<'_>, script: &Script, wanted: &mut WantedKernel) {
    match child {
        Child::Expr(e) => {
            match &e.kind {
                ExprKind::Ident(word) => wanted.types |= may_be_of_kernel(word),
                ExprKind::Call { name, args } => {
                    wanted.types |= OF_KERNEL.contains(&name.text.as_str());
                    let list = match name.text.as_str() {
                        "kaddr" => Some(&mut wanted.symbols),
                        "cgroupid" => Some(&mut wanted.cgroups),
                        _ => None,
                    };
                    if let Some(list) = list
                        && let [
                            Arg::Expr(Expr {
                                kind: ExprKind::Str(text),
                                ..
                            }),
                        ] = args.as_slice()
                    {
                        list.push(String::from_utf8_lossy(text).into_owned());
                    }
                }
                _ => {}
            }
            children_mut(&mut e.kind, &mut |c| look(c, script, wanted));
        }
        Child::Block(block) => {
            for stmt in &mut block.stmts {
                stmt_mut(stmt, &mut |c| look(c, script, wanted));
            }
            if let Some(value) = &mut block.value {
                look(Child::Expr(value), script, wanted);
            }
        }
        Child::Type(ty) => {
            wanted.types |= may_be_type_of_kernel(ty, script);
            type_mut(ty, &mut |c| look(c, script, wanted));
        }
    }
}

/// A bare word that the language does not know: an enumerator, perhaps.
fn may_be_of_kernel(word: &str) -> bool {
    OF_KERNEL.contains(&word) || builtin::row(word).is_none() && constants::constant(word).is_none()
}

fn may_be_type_of_kernel(ty: &TypeExpr, script: &Script) -> bool {
    match &ty.kind {
        TypeExprKind::Tagged(tag, name) => !script.defs.iter().any(|def| match def {
            CDef::Struct(def) => *tag != Tag::Enum && def.name == *name,
            CDef::Enum { tag: of, .. } => *tag == Tag::Enum && of == name,
            CDef::Typedef { .. } => false,
        }),
        TypeExprKind::Named(name) => super::check::is_unknown_type(name),
        _ => false,
    }
}
