//! Keys and values of maps.

use super::{
    Checker,
    grow::{Grown, grow},
    words,
};
use crate::lang::{
    ast::{Expr, ExprKind},
    checked::{MapId, Res},
    diag::Diagnostic,
};
use crate::{span::Span, spec::Type};

impl Checker<'_> {
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
}
