//! `++` and `--`, and literals that take the type of the place they go to.

use super::{Checker, unify, words};
use crate::lang::{
    ast::{Expr, ExprKind},
    checked::Res,
    diag::Diagnostic,
};
use crate::spec::{Agg, Type};

impl Checker<'_> {
    /// `++x` and its like.
    pub(super) fn step(&mut self, target: &Expr, by: i8) -> Type {
        let wide = |old: Option<&Type>| match old {
            Some(Type::Int { signed: false, .. }) if by > 0 => Type::U64,
            Some(Type::Ptr(to)) => Type::Ptr(to.clone()),
            Some(Type::Int { .. } | Type::Void) | None => Type::I64,
            Some(other) => other.clone(),
        };
        match &target.kind {
            ExprKind::Map { name, key } => {
                let id = self.map_id(name, target.span);
                self.resolve(target, Res::Map(id));
                self.map_key(id, key.as_deref(), target.span);
                let slot = &mut self.maps[id.0 as usize].value;
                let ty = wide(slot.ty.as_ref());
                let clash = !matches!(ty, Type::Int { .. } | Type::Ptr(_));
                if !clash {
                    slot.literals = None;
                    if slot.ty.as_ref() != Some(&ty) {
                        slot.ty = Some(ty.clone());
                        self.changed = true;
                    }
                }
                self.step_clash(clash, target, &ty);
                self.set(target, ty.clone());
                ty
            }
            ExprKind::Var(name) => {
                let Some(id) = self.lookup_read(name) else {
                    return self.expr(target);
                };
                self.unassigned.remove(&id);
                self.resolve(target, Res::Var(id));
                let slot = &mut self.vars[id.0 as usize];
                let mut ty = wide(slot.ty.as_ref());
                let clash = !matches!(ty, Type::Int { .. } | Type::Ptr(_));
                if slot.fixed {
                    ty = slot.ty.clone().unwrap_or(ty);
                } else if !clash {
                    slot.literals = None;
                    if slot.ty.as_ref() != Some(&ty) {
                        slot.ty = Some(ty.clone());
                        self.changed = true;
                    }
                }
                self.step_clash(clash, target, &ty);
                self.set(target, ty.clone());
                ty
            }
            _ => Type::Void,
        }
    }

    fn step_clash(&mut self, clash: bool, target: &Expr, ty: &Type) {
        if clash {
            let shown = words::a(ty, &self.structs.defs);
            let symbol = "`++` and `--` work";
            let diag = Diagnostic::error(
                target.span,
                format!("{symbol} on integers, this is {shown}"),
            );
            let diag = match ty {
                Type::Agg(Agg::Count) => diag.help("count with `= count()` everywhere"),
                _ => diag,
            };
            self.say_mismatch(diag, target, &Type::U64, ty);
        }
    }

    /// Gives literals, and tuples of them, the type of the place they go to.
    pub(super) fn coerce(&mut self, e: &Expr, ty: &Type) {
        match (&e.kind, ty) {
            (ExprKind::Tuple(elems), Type::Tuple(types)) if elems.len() == types.len() => {
                for (elem, ty) in elems.iter().zip(types) {
                    self.coerce(elem, ty);
                }
                self.set(e, ty.clone());
            }
            (ExprKind::Record(fields), Type::Record(types)) => {
                for (name, value) in fields {
                    if let Some((_, ty)) = types.iter().find(|(n, _)| *n == name.text) {
                        self.coerce(value, ty);
                    }
                }
                // The order of the written fields stays; lowering goes by name.
                let mine = fields
                    .iter()
                    .filter_map(|(n, _)| types.iter().find(|(t, _)| *t == n.text).cloned())
                    .collect();
                self.set(e, Type::Record(mine));
            }
            (_, Type::Int { .. }) => {
                let int = matches!(self.types.get(e.id.0 as usize), Some(Type::Int { .. }));
                if let (Some(v), true) = (self.konst(e), int)
                    && unify::holds(ty, v)
                {
                    self.set(e, ty.clone());
                }
            }
            _ => {}
        }
    }
}
