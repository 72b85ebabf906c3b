//! Scratch variables: declared, given values, and those of loops.

use super::{
    Checker,
    grow::grow,
    unify::{self, Slot},
    words,
};
use crate::lang::{
    ast::{Expr, ExprKind, TypeExpr, TypeExprKind, UnOp},
    checked::{Res, VarId},
    diag::Diagnostic,
};
use crate::{span::Span, spec::Type};

/// Whether this is the address of a variable or map that holds an integer.
fn points_at_number(value: &Expr, ty: &Type) -> bool {
    let address = matches!(
        value.kind,
        ExprKind::Unary {
            op: UnOp::AddrOf,
            ..
        }
    );
    address && is_pointer_to_number(ty)
}

fn is_pointer_to_number(ty: &Type) -> bool {
    matches!(ty, Type::Ptr(to) if matches!(**to, Type::Int { .. }))
}

impl Checker<'_> {
    pub(super) fn declare_var(&mut self, target: &Expr, name: &str) -> VarId {
        let id = match self.var_ids.get(&target.id) {
            Some(id) => *id,
            None => {
                let id = VarId(u32::try_from(self.vars.len()).unwrap_or(u32::MAX));
                self.vars.push(Slot::default());
                self.var_ids.insert(target.id, id);
                self.changed = true;
                id
            }
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_string(), (id, self.stmt));
        }
        id
    }

    /// `let $x: type = value`.
    pub(super) fn let_var(&mut self, var: &Expr, ty: Option<&TypeExpr>, value: Option<&Expr>) {
        let ExprKind::Var(name) = &var.kind else {
            return;
        };
        let given = value.map(|v| (self.value(v), self.literal(v), v));
        let head = Span::new(self.stmt.start, var.span.end);
        if let Some((old, first)) = self.scopes.iter().rev().find_map(|s| s.get(name)).copied() {
            let how = if self.lets.contains(&old) {
                "declaration"
            } else {
                "assignment"
            };
            self.say(
                Diagnostic::error(var.span, format!("`${name}` is declared already"))
                    .help("variables cannot be shadowed; take another name")
                    .said_at(
                        head,
                        format!(
                            "Variable ${name} was already declared. Variable shadowing is not allowed."
                        ),
                    )
                    .said_more(first, format!("This is the initial {how}.")),
            );
            return;
        }
        let id = self.declare_var(var, name);
        self.resolve(var, Res::Var(id));
        if let Some(written) = ty
            && let Some(ty) = self.written(written)
        {
            // `string` alone is as long as what is assigned.
            let any_string = matches!(&written.kind, TypeExprKind::Named(n) if n == "string");
            let slot = &mut self.vars[id.0 as usize];
            if !any_string {
                slot.ty = Some(ty);
            } else if slot.ty.is_none() {
                slot.ty = Some(Type::Str { size: 1 });
            }
            slot.fixed = !any_string;
            slot.literals = None;
        }
        self.lets.insert(id);
        if given.is_none() {
            self.unassigned.insert(id, (head, name.clone()));
        }
        if let Some((ty, literals, value)) = given {
            self.give_var(id, name, &ty, literals, value);
        }
        let ty = self.vars[id.0 as usize].ty.clone().unwrap_or(Type::Void);
        self.set(var, ty.clone());
        if let Some(value) = value {
            self.coerce(value, &ty);
        }
    }

    /// A variable of a loop.
    pub(super) fn loop_var(&mut self, var: &Expr, ty: Type) {
        let ExprKind::Var(name) = &var.kind else {
            return;
        };
        if self.lookup(name).is_some() {
            self.say(
                Diagnostic::error(var.span, format!("`${name}` is declared already"))
                    .help("variables cannot be shadowed; take another name")
                    .said(format!(
                        "Loop declaration shadows existing variable: ${name}"
                    )),
            );
        }
        let id = self.declare_var(var, name);
        self.resolve(var, Res::Var(id));
        if ty != Type::Void {
            let slot = &mut self.vars[id.0 as usize];
            if slot.ty.as_ref() != Some(&ty) {
                slot.ty = Some(ty.clone());
                self.changed = true;
            }
        }
        self.set(var, ty);
    }

    pub(super) fn give_var(
        &mut self,
        id: VarId,
        name: &str,
        ty: &Type,
        literals: Option<(i128, i128)>,
        value: &Expr,
    ) {
        self.unassigned.remove(&id);
        if *ty == Type::Void {
            return;
        }
        if let Type::Agg(agg) = ty {
            // Reading `@x` into a variable takes the number; the functions themselves stand in maps only.
            match words::agg_number(agg) {
                Some(number) if !matches!(value.kind, ExprKind::Call { .. }) => {
                    return self.give_var(id, name, &number, None, value);
                }
                _ => {
                    let called = words::agg_name(agg);
                    let direct = matches!(value.kind, ExprKind::Call { .. });
                    self.say(
                        Diagnostic::error(
                            value.span,
                            format!("`{called}()` can only stand in a map"),
                        )
                        .help(format!("write `@{name} = {called}(…)`"))
                        .said_at(
                            if direct { value.span } else { self.stmt },
                            if direct {
                                format!("{called}() must be assigned directly to a map")
                            } else {
                                format!(
                                    "Value '{}' cannot be assigned to a scratch variable.",
                                    self.plain(ty)
                                )
                            },
                        ),
                    );
                    return;
                }
            }
        }
        if self.vars[id.0 as usize].fixed && !self.check_range(id, name, ty, literals, value) {
            return;
        }
        let what = format!("`${name}`");
        let slot = &mut self.vars[id.0 as usize];
        if points_at_number(value, ty)
            && slot
                .ty
                .as_ref()
                .is_some_and(|old| old != ty && is_pointer_to_number(old))
            && !slot.fixed
        {
            // What it points to has grown meanwhile.
            slot.ty = Some(ty.clone());
            self.changed = true;
        }
        let grown = grow(&mut self.vars[id.0 as usize], ty, literals);
        self.report(grown, &what, Some("variable"), ty, value.span);
    }

    /// A literal must fit a declared type.
    fn check_range(
        &mut self,
        id: VarId,
        name: &str,
        ty: &Type,
        literals: Option<(i128, i128)>,
        value: &Expr,
    ) -> bool {
        let Some(declared) = self.vars[id.0 as usize].ty.clone() else {
            return true;
        };
        if let (Some(v), Some(_), Type::Int { .. }) = (self.konst(value), literals, &declared)
            && !unify::holds(&declared, v)
        {
            let shown = words::name(&declared, &self.structs.defs);
            let name = format!("${name}");
            self.say(
                Diagnostic::error(value.span, format!("{v} does not fit in {shown}"))
                    .help(format!("cast it if that is meant: `({shown}){v}`"))
                    .said_at(self.stmt, self.mismatch(&name, "variable", ty, &declared)),
            );
            return false;
        }
        true
    }
}
