//! Values that go to variables, maps and keys: their types grow together.

use super::{
    Checker,
    unify::{self, Join, Slot},
    words,
};
use crate::lang::{
    ast::{BinOp, Expr, ExprKind, TypeExpr, TypeExprKind, UnOp},
    checked::{MapId, Res, VarId},
    diag::Diagnostic,
};
use crate::{
    span::Span,
    spec::{Agg, Type},
};

/// What came of putting a type into a slot.
enum Grown {
    Fine,
    Changed,
    /// A sign may be lost; whether the type changed, and the type it becomes.
    SignLost(bool, Type),
    /// The slot's type stays.
    Clash(Type),
}

fn grow(slot: &mut Slot, ty: &Type, literals: Option<(i128, i128)>) -> Grown {
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

/// Whether this has no value: a block that ends with a statement, or `()`.
fn is_nothing(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Block(block) => block.value.is_none(),
        ExprKind::Tuple(elems) => elems.is_empty(),
        _ => false,
    }
}

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

    /// `holder`: the variable or map, and what it is called, if it is no key.
    fn report(&mut self, grown: Grown, what: &str, holder: Option<&str>, ty: &Type, span: Span) {
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
    fn mismatch(&self, what: &str, kind: &str, new: &Type, old: &Type) -> String {
        format!(
            "Type mismatch for {}: trying to assign value of type '{}' when {kind} already has a type '{}'",
            what.trim_matches('`'),
            self.plain(new),
            self.plain(old)
        )
    }

    fn say_mismatch(&mut self, diag: Diagnostic, target: &Expr, new: &Type, old: &Type) {
        let (what, kind) = match &target.kind {
            ExprKind::Map { name, .. } => (format!("@{name}"), "map"),
            ExprKind::Var(name) => (format!("${name}"), "variable"),
            _ => (String::new(), "variable"),
        };
        let said = self.mismatch(&what, kind, new, old);
        self.say(diag.said_at(self.stmt, said));
    }

    /// The place that bpftrace names for a value: the assignment, or the call that makes an aggregation.
    fn given_to(&self, ty: &Type, span: Span) -> Span {
        if matches!(ty, Type::Agg(_)) {
            span
        } else {
            self.stmt
        }
    }

    // --- maps -------------------------------------------------------------------------------------------------

    pub(super) fn map_type(&self, id: MapId) -> Type {
        self.maps[id.0 as usize]
            .value
            .ty
            .clone()
            .unwrap_or(Type::Void)
    }

    pub(super) fn map_read(&mut self, e: &Expr, name: &str, key: Option<&Expr>) -> Type {
        let id = self.map_id(name, e.span);
        self.maps[id.0 as usize].read = true;
        self.resolve(e, Res::Map(id));
        self.map_key(id, key, e.span);
        if let Some(range) = self.maps[id.0 as usize].value.literals {
            self.literals.insert(e.id, range);
        }
        self.map_type(id)
    }

    /// A use of a map with or without key.
    pub(super) fn map_key(&mut self, id: MapId, key: Option<&Expr>, span: Span) {
        let name = self.maps[id.0 as usize].name.clone();
        let keyed = self.maps[id.0 as usize].keyed;
        if keyed.is_some_and(|k| k != key.is_some()) {
            let diag = if key.is_some() {
                Diagnostic::error(
                    span,
                    format!("`@{name}` has no keys elsewhere, here it has one"),
                )
                .said(format!("@{name} used as a map with an explicit key (non-scalar map), previously used without an explicit key (scalar map)"))
            } else {
                Diagnostic::error(span, format!("`@{name}` has keys, here it has none"))
                    .help(format!("name the key: `@{name}[…]`"))
                    .said(format!("@{name} used as a map without an explicit key (scalar map), previously used with an explicit key (non-scalar map)"))
            };
            self.say(diag);
        } else {
            self.maps[id.0 as usize].keyed = Some(key.is_some());
        }
        if let Some(key) = key {
            self.give_key(id, key, span);
        }
    }

    /// `whole`: the map with its key.
    pub(super) fn give_key(&mut self, id: MapId, key: &Expr, whole: Span) {
        let ty = self.number_of(key);
        if let Type::Agg(agg) = &ty {
            let called = words::agg_name(agg);
            self.say(
                Diagnostic::error(key.span, format!("`{called}()` cannot be a key"))
                    .said(format!("{called}() must be assigned directly to a map")),
            );
            return;
        }
        if ty == Type::Void {
            return;
        }
        let literals = self.literal(key);
        let name = self.maps[id.0 as usize].name.clone();
        let grown = grow(&mut self.maps[id.0 as usize].key, &ty, literals);
        if let Grown::Clash(old) = &grown {
            let said = format!(
                "Argument mismatch for @{name}: trying to access with arguments: '{}' when map expects arguments: '{}'",
                self.plain(&ty),
                self.plain(old)
            );
            let (old, new) = (
                words::a(old, &self.structs.defs),
                words::a(&ty, &self.structs.defs),
            );
            self.say(
                Diagnostic::error(
                    key.span,
                    format!("key of `@{name}` is {old} elsewhere, this is {new}"),
                )
                .said_at(whole, said),
            );
            return;
        }
        self.report(grown, &format!("key of `@{name}`"), None, &ty, key.span);
        if let Some(ty) = self.maps[id.0 as usize].key.ty.clone() {
            self.coerce(key, &ty);
        }
    }

    pub(super) fn give_map(
        &mut self,
        id: MapId,
        ty: &Type,
        literals: Option<(i128, i128)>,
        value: &Expr,
    ) {
        if *ty == Type::Void {
            return;
        }
        let mut ty = ty.clone();
        if let (Type::Agg(agg), false) = (&ty, matches!(value.kind, ExprKind::Call { .. })) {
            // `@a = @b` copies the number of an aggregation.
            match words::agg_number(agg) {
                Some(number) => ty = number,
                None => {
                    let called = words::agg_name(agg);
                    let name = &self.maps[id.0 as usize].name;
                    let said = format!(
                        "Map value '{called}_t' cannot be assigned from one map to another. The function that returns this type must be called directly e.g. `@{name} = {called}(retval);`."
                    );
                    self.say(
                        Diagnostic::error(
                            value.span,
                            format!("a map of `{called}()` cannot be copied"),
                        )
                        .said_at(self.stmt, said),
                    );
                    return;
                }
            }
        }
        let name = self.maps[id.0 as usize].name.clone();
        let grown = grow(&mut self.maps[id.0 as usize].value, &ty, literals);
        self.report(grown, &format!("`@{name}`"), Some("map"), &ty, value.span);
    }

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
