//! Types of variables, maps and keys grow with what goes there, and what is said where they cannot.

use super::{
    Checker,
    unify::{self, Join, Slot},
    words,
};
use crate::lang::{
    ast::{Expr, ExprKind},
    diag::Diagnostic,
};
use crate::{span::Span, spec::Type};

/// What came of putting a type into a slot.
pub(super) enum Grown {
    Fine,
    Changed,
    /// A sign may be lost; whether the type changed, and the type it becomes.
    SignLost(bool, Type),
    /// The slot's type stays.
    Clash(Type),
}

pub(super) fn grow(slot: &mut Slot, ty: &Type, literals: Option<(i128, i128)>) -> Grown {
    let Some(old) = slot.ty.clone() else {
        slot.ty = Some(ty.clone());
        slot.literals = literals;
        return Grown::Changed;
    };
    let joined = unify::join(&old, slot.literals, ty, literals);
    let merged = match (slot.literals, literals) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        _ => None,
    };
    let (ty, lost) = match joined {
        Join::Same(ty) => (ty, false),
        Join::SignLost(ty) => (ty, true),
        Join::Clash => return Grown::Clash(old),
    };
    if slot.fixed {
        return if ty == old {
            Grown::Fine
        } else if matches!((&old, &ty), (Type::Int { .. }, Type::Int { .. })) {
            Grown::SignLost(false, old)
        } else if matches!((&old, &ty), (Type::Str { size: most }, Type::Str { size }) if size <= most)
        {
            Grown::Fine
        } else {
            Grown::Clash(old)
        };
    }
    let changed = ty != old || merged != slot.literals;
    slot.ty = Some(ty.clone());
    slot.literals = merged;
    match (lost, changed) {
        (true, changed) => Grown::SignLost(changed, ty),
        (false, true) => Grown::Changed,
        (false, false) => Grown::Fine,
    }
}

impl Checker<'_> {
    /// `holder`: the variable or map, and what it is called, if it is no key.
    pub(super) fn report(
        &mut self,
        grown: Grown,
        what: &str,
        holder: Option<&str>,
        ty: &Type,
        span: Span,
    ) {
        match grown {
            Grown::Fine => {}
            Grown::Changed => self.changed = true,
            Grown::SignLost(changed, to) => {
                self.changed |= changed;
                let said = format!(
                    "Expression of type: {} being cast to type: {}. This may cause unexpected results. Use an explicit cast to suppress this warning.",
                    self.plain(ty),
                    self.plain(&to),
                );
                self.say(
                    Diagnostic::warning(
                        span,
                        format!(
                            "{what} and this integer differ in sign or size; a value may change"
                        ),
                    )
                    .said(said),
                );
            }
            Grown::Clash(old) => {
                let mut diag = Diagnostic::error(
                    span,
                    format!(
                        "{what} holds {}, this is {}",
                        words::a(&old, &self.structs.defs),
                        words::a(ty, &self.structs.defs)
                    ),
                );
                if let Some(kind) = holder {
                    diag =
                        diag.said_at(self.given_to(ty, span), self.mismatch(what, kind, ty, &old));
                }
                self.say(diag);
            }
        }
    }

    /// bpftrace's words for a value of another type.
    pub(super) fn mismatch(&self, what: &str, kind: &str, new: &Type, old: &Type) -> String {
        format!(
            "Type mismatch for {}: trying to assign value of type '{}' when {kind} already has a type '{}'",
            what.trim_matches('`'),
            self.plain(new),
            self.plain(old)
        )
    }

    pub(super) fn say_mismatch(&mut self, diag: Diagnostic, target: &Expr, new: &Type, old: &Type) {
        let (what, kind) = match &target.kind {
            ExprKind::Map { name, .. } => (format!("@{name}"), "map"),
            ExprKind::Var(name) => (format!("${name}"), "variable"),
            _ => (String::new(), "variable"),
        };
        let said = self.mismatch(&what, kind, new, old);
        self.say(diag.said_at(self.stmt, said));
    }

    /// The place that bpftrace names for a value: the assignment, or the call that makes an aggregation.
    pub(super) fn given_to(&self, ty: &Type, span: Span) -> Span {
        if matches!(ty, Type::Agg(_)) {
            span
        } else {
            self.stmt
        }
    }
}
