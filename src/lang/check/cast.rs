//! Casts: which types can be read as which.

use super::{Checker, constant, words};
use crate::lang::{
    ast::{Expr, ExprKind, TypeExpr},
    checked::Res,
    diag::Diagnostic,
};
use crate::{span::Span, spec::Type};

impl Checker<'_> {
    pub(super) fn cast(&mut self, e: &Expr, written: &TypeExpr, inner: &Expr) -> Type {
        let from = self.value(inner);
        let Some(to) = self.written(written) else {
            return Type::Void;
        };
        if from == Type::Void {
            return to;
        }
        // bpftrace shows the parentheses only.
        let head = Span::new(e.span.start, written.span.end + 1);
        let no_cast = format!(
            "Cannot cast from \"{}\" to \"{}\"",
            self.plain(&from),
            self.plain(&to)
        );
        let from_number = match &from {
            Type::Agg(agg) => words::agg_number(agg).unwrap_or(from.clone()),
            _ => from.clone(),
        };
        let scalar = |t: &Type| {
            matches!(
                t,
                Type::Int { .. } | Type::Bool | Type::Enum { .. } | Type::Ptr(_)
            )
        };
        let defs = &self.structs.defs;
        match (&from_number, &to) {
            (a, b) if a == b => {
                let argument = matches!(self.res.get(&inner.id), Some(Res::Arg(_)));
                if !argument && !matches!(from, Type::Agg(_)) {
                    self.say(
                        Diagnostic::warning(e.span, "this cast changes nothing").said_at(
                            head,
                            format!(
                                "Unnecessary cast: expression is already of type {}",
                                self.plain(&to)
                            ),
                        ),
                    );
                }
                if let (Some(v), Type::Int { .. }) = (self.konst(inner), &to) {
                    return self.set_int(e, v, to);
                }
                to
            }
            (a, Type::Int { bits, signed }) if scalar(a) => {
                if let Some(v) = self.konst(inner) {
                    let v = constant::wrap(v, *bits, *signed);
                    return self.set_int(e, v, to);
                }
                to
            }
            (a, Type::Bool) if scalar(a) => {
                if let Some(v) = self.konst(inner) {
                    return self.set_int(e, i128::from(v != 0), to);
                }
                to
            }
            (Type::Str { .. }, Type::Bool) => {
                if let Some(text) = self.konst_str(inner) {
                    let some = text.first().is_some_and(|b| *b != 0);
                    return self.set_int(e, i128::from(some), to);
                }
                to
            }
            (a, Type::Enum { name, .. }) if scalar(a) => {
                if let Some(v) = self.konst(inner) {
                    if !self.structs.enum_has(name, v) {
                        let said = format!("Enum: {name} doesn't contain a variant value of {v}");
                        self.say(
                            Diagnostic::error(
                                e.span,
                                format!("`enum {name}` has no enumerator of value {v}"),
                            )
                            .said_at(head, said),
                        );
                    }
                    return self.set_int(e, v, to);
                }
                to
            }
            (a, Type::Ptr(_)) if scalar(a) => {
                if let Some(v) = self.konst(inner) {
                    // No sign is carried into an address.
                    let bits = u8::try_from(a.size(defs) * 8).unwrap_or(64);
                    return self.set_int(e, constant::wrap(v, bits, false), to);
                }
                to
            }
            (
                Type::Array(..) | Type::Buf { .. } | Type::Str { .. } | Type::Struct(_),
                Type::Ptr(_),
            ) => to,
            (a, Type::Array(elem, len))
                if scalar(a)
                    || matches!(a, Type::Str { .. } | Type::Array(..) | Type::Buf { .. }) =>
            {
                let elem_size = elem.size(defs).max(1);
                let mut size = a.size(defs);
                if let (true, Some(_)) = (self.literal(inner).is_some(), self.konst(inner)) {
                    // A literal is as wide as the array wants, or 64 bits.
                    size = if *len == 0 {
                        8
                    } else {
                        (elem_size * len).min(8)
                    };
                }
                if *len == 0 {
                    if size % elem_size != 0 {
                        return self.no_cast(e, &from, &to, (head, no_cast));
                    }
                    return Type::Array(elem.clone(), size / elem_size);
                }
                let wanted = elem_size * len;
                if wanted != size {
                    let shown = words::name(&to, defs);
                    self.say(
                        Diagnostic::error(
                            e.span,
                            format!("cast of {size} bytes to `{shown}`, which has {wanted}"),
                        )
                        .said_at(head, no_cast),
                    );
                }
                to
            }
            (Type::Array(..), Type::Int { bits, .. }) => {
                let size = from.size(defs);
                if size * 8 != u32::from(*bits) {
                    let shown = words::name(&to, defs);
                    self.say(
                        Diagnostic::error(
                            e.span,
                            format!("cast of an array of {size} bytes to `{shown}`"),
                        )
                        .said_at(head, no_cast),
                    );
                }
                to
            }
            (a, Type::Str { .. })
                if scalar(a) || matches!(a, Type::Str { .. } | Type::Array(..)) =>
            {
                to
            }
            (a, Type::Buf { .. })
                if scalar(a)
                    || matches!(a, Type::Str { .. } | Type::Array(..) | Type::Buf { .. }) =>
            {
                to
            }
            (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
                if matches!(inner.kind, ExprKind::Tuple(_)) {
                    self.coerce(inner, &to);
                }
                to
            }
            (a, Type::Struct(_)) if scalar(a) => {
                let shown = words::name(&to, defs);
                self.say(
                    Diagnostic::error(e.span, format!("a number cannot be cast to `{shown}`"))
                        .help(format!("cast to a pointer: `({shown} *)`"))
                        .said_at(head, no_cast),
                );
                Type::Void
            }
            _ => self.no_cast(e, &from, &to, (head, no_cast)),
        }
    }

    fn no_cast(&mut self, e: &Expr, from: &Type, to: &Type, (head, said): (Span, String)) -> Type {
        let (a, b) = (
            words::a(from, &self.structs.defs),
            words::name(to, &self.structs.defs),
        );
        self.say(
            Diagnostic::error(e.span, format!("{a} cannot be cast to `{b}`")).said_at(head, said),
        );
        Type::Void
    }
}
