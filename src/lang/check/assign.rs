//! Assignments: `target = value` and `target op= value`.

use super::{Checker, unify::Slot, words};
use crate::lang::{
    ast::{BinOp, Expr, ExprKind},
    checked::Res,
    diag::Diagnostic,
};
use crate::spec::Type;

/// Whether this has no value: a block that ends with a statement, or `()`.
fn is_nothing(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Block(block) => block.value.is_none(),
        ExprKind::Tuple(elems) => elems.is_empty(),
        _ => false,
    }
}

impl Checker<'_> {
    /// `target = value` and `target op= value`.
    pub(super) fn assign(&mut self, target: &Expr, op: Option<BinOp>, value: &Expr) {
        if is_nothing(value) && matches!(target.kind, ExprKind::Var(_)) {
            let whole = target.span.to(value.span);
            self.say(
                Diagnostic::error(value.span, "this has no value to assign")
                    .said_at(whole, "Invalid expression for assignment"),
            );
        }
        match &target.kind {
            ExprKind::Map { name, key } => {
                let id = self.map_id(name, target.span);
                self.resolve(target, Res::Map(id));
                self.map_key(id, key.as_deref(), target.span);
                let ty = match op {
                    None => self.value(value),
                    Some(op) => {
                        let old = self.maps[id.0 as usize].value.clone();
                        self.compound(target, op, value, old)
                    }
                };
                let literals = if op.is_none() {
                    self.literal(value)
                } else {
                    None
                };
                self.give_map(id, &ty, literals, value);
                let ty = self.map_type(id);
                self.set(target, ty.clone());
                if op.is_none() {
                    self.coerce(value, &ty);
                }
            }
            ExprKind::Var(name) => {
                let found = if op.is_some() {
                    self.lookup_read(name)
                } else {
                    self.lookup(name)
                };
                if found.is_none() && op.is_some() {
                    self.expr(target);
                    self.value(value);
                    return;
                }
                let ty = match (op, found) {
                    (Some(op), Some(id)) => {
                        let old = self.vars[id.0 as usize].clone();
                        self.compound(target, op, value, old)
                    }
                    _ => self.value(value),
                };
                let id = match found {
                    Some(id) => id,
                    None => self.declare_var(target, name),
                };
                let literals = if op.is_none() {
                    self.literal(value)
                } else {
                    None
                };
                self.resolve(target, Res::Var(id));
                self.give_var(id, name, &ty, literals, value);
                let ty = self.vars[id.0 as usize].ty.clone().unwrap_or(Type::Void);
                self.set(target, ty.clone());
                if op.is_none() {
                    self.coerce(value, &ty);
                }
            }
            _ => self.error(target.span, "this cannot be assigned to"),
        }
    }

    /// The type of `old op value`.
    fn compound(&mut self, target: &Expr, op: BinOp, value: &Expr, old: Slot) -> Type {
        let ty = old.ty.clone().unwrap_or(Type::Void);
        if let (Type::Agg(agg), true) = (&ty, self.last) {
            let name = words::agg_name(agg);
            self.say(
                Diagnostic::error(
                    target.span,
                    format!("this map holds an aggregation ({name}())"),
                )
                .help(format!("feed it with `= {name}(…)`")),
            );
            return Type::Void;
        }
        let bits = ty == Type::Bool && matches!(op, BinOp::And | BinOp::Or | BinOp::Xor);
        let numeric = bits
            || matches!(
                ty,
                Type::Void | Type::Int { .. } | Type::Enum { .. } | Type::Ptr(_) | Type::Agg(_)
            );
        if !numeric {
            let right = self.number_of(value);
            let new = match right {
                Type::Int { .. } if ty != Type::Bool => Type::I64,
                _ => Type::U64,
            };
            let symbol = crate::lang::print::symbol(op);
            let diag = Diagnostic::error(
                target.span,
                format!(
                    "`{symbol}` works on integers, this is {}",
                    words::a(&ty, &self.structs.defs)
                ),
            );
            self.say_mismatch(diag, target, &new, &ty);
            return Type::Void;
        }
        self.set(target, ty.clone());
        match old.literals {
            Some(range) => self.literals.insert(target.id, range),
            None => self.literals.remove(&target.id),
        };
        let right = self.number_of(value);
        // The target's resolution must not look like a constant.
        let res = self.res.get(&target.id).cloned();
        let errors = self.diags.len();
        let result = self.arithmetic(target, op, (target, &ty), (value, &right));
        if let Some(res) = res {
            self.resolve(target, res);
        }
        if self.diags.len() == errors && self.literal(target).is_some() {
            self.literals.remove(&target.id);
        }
        result
    }

    // --- maps -------------------------------------------------------------------------------------------------
}
