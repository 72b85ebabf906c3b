//! Operators: what they take, what they yield, and their values where they are known.

use super::{Checker, constant, unify, unify::Join, words};
use crate::lang::{
    ast::{BinOp, Expr, ExprKind, UnOp},
    checked::Res,
    diag::Diagnostic,
};
use crate::{span::Span, spec::Type};

/// What bpftrace says of constants without a result.
const OVERFLOW: &str = "unable to fold literals due to overflow or underflow";

impl Checker<'_> {
    pub(super) fn unary(&mut self, e: &Expr, op: UnOp, inner: &Expr) -> Type {
        match op {
            UnOp::AddrOf => return self.address_of(inner),
            UnOp::Not => {
                let ty = self.number_of(inner);
                if !matches!(
                    ty,
                    Type::Void | Type::Bool | Type::Int { .. } | Type::Ptr(_) | Type::Enum { .. }
                ) {
                    let shown = words::a(&ty, &self.structs.defs);
                    let said = self.no_operator("!", &ty);
                    self.say(
                        Diagnostic::error(
                            inner.span,
                            format!("condition wants a number, this is {shown}"),
                        )
                        .said_at(e.span, said),
                    );
                }
                if let Some(v) = self.konst(inner) {
                    return self.set_int(e, i128::from(v == 0), Type::Bool);
                }
                return Type::Bool;
            }
            _ => {}
        }
        let ty = self.number_of(inner);
        if op == UnOp::Deref {
            return match ty {
                Type::Ptr(to) if *to != Type::Void => *to,
                Type::Int { .. } => Type::I64,
                Type::Void => Type::Void,
                _ => {
                    let shown = words::a(&ty, &self.structs.defs);
                    let said = self.no_operator("*", &ty);
                    self.say(
                        Diagnostic::error(e.span, format!("`*` wants a pointer, this is {shown}"))
                            .help("cast it: `*(uint64 *)…`")
                            .said(said),
                    );
                    Type::Void
                }
            };
        }
        let (bits, signed) = match ty {
            Type::Int { bits, signed } => (bits, signed),
            Type::Enum { bits, .. } => (bits, false),
            Type::Bool => (8, false),
            Type::Void => return Type::Void,
            _ => {
                let shown = words::a(&ty, &self.structs.defs);
                let symbol = if op == UnOp::Neg { "-" } else { "~" };
                let said = self.no_operator(symbol, &ty);
                self.say(
                    Diagnostic::error(
                        e.span,
                        format!("`{symbol}` wants an integer, this is {shown}"),
                    )
                    .said(said),
                );
                return Type::Void;
            }
        };
        let is_literal = self.literals.contains_key(&inner.id) && self.konst(inner).is_some();
        // 64 bits with the operand's sign; the complement of a literal reads as unsigned.
        let ty = match (op, is_literal) {
            (UnOp::Neg, true) => Type::I64,
            (UnOp::Neg, false) | (_, false) if signed => Type::I64,
            _ => Type::U64,
        };
        if let Some(v) = self.konst(inner) {
            if op == UnOp::Neg && is_literal && -v < i128::from(i64::MIN) {
                self.say(
                    Diagnostic::error(e.span, "the result does not fit in 64 bits")
                        .said("negative value will underflow"),
                );
                return Type::I64;
            }
            if op == UnOp::Neg && is_literal {
                return self.set_literal(e, -v);
            }
            let v = match op {
                UnOp::Neg => constant::wrap(-v, 64, true),
                _ => constant::wrap(!v, if is_literal { 64 } else { bits }, bits == 64 && signed),
            };
            return self.set_int(e, v, ty);
        }
        ty
    }

    fn no_operator(&self, symbol: &str, ty: &Type) -> String {
        let ty = self.plain(ty);
        format!("The {symbol} operator can not be used on expressions of type '{ty}'")
    }

    /// bpftrace's words for an operator between types that do not go together.
    fn mismatched(
        &self,
        diag: Diagnostic,
        whole: Span,
        symbol: &str,
        (left, a): (Span, &Type),
        (right, b): (Span, &Type),
    ) -> Diagnostic {
        let (x, y) = (self.plain(a), self.plain(b));
        if matches!(
            (a, b),
            (Type::Ptr(_), Type::Ptr(_) | Type::Int { .. }) | (Type::Int { .. }, Type::Ptr(_))
        ) {
            return diag.said_at(
                whole,
                format!("The {symbol} operator can not be used on expressions of types {x}, {y}"),
            );
        }
        diag.said_at(
            whole,
            format!("Type mismatch for '{symbol}': comparing {x} with {y}"),
        )
        .said_more(left, format!("left ({x})"))
        .said_more(right, format!("right ({y})"))
    }

    pub(super) fn address_of(&mut self, inner: &Expr) -> Type {
        let ty = match &inner.kind {
            ExprKind::Var(_) | ExprKind::Map { .. } => self.expr(inner),
            ExprKind::Member { .. } | ExprKind::Index { .. } => self.expr(inner),
            _ => {
                self.say(
                    Diagnostic::error(inner.span, "`&` wants a variable or map").said(
                        "syntax: address-of operator (&) can only be used on a map or variable",
                    ),
                );
                return Type::Void;
            }
        };
        Type::Ptr(Box::new(ty))
    }

    pub(super) fn ternary(&mut self, e: &Expr, cond: &Expr, then: &Expr, els: &Expr) -> Type {
        self.condition(cond, e.span);
        if let Some(v) = self.konst(cond) {
            let taken = if v != 0 { then } else { els };
            let ty = self.expr(taken);
            if let Some(res) = self.res.get(&taken.id).cloned()
                && matches!(res, Res::Int(_) | Res::Str(_))
            {
                self.resolve(e, res);
            }
            if let Some(range) = self.literals.get(&taken.id).copied() {
                self.literals.insert(e.id, range);
            }
            return ty;
        }
        let (a, b) = (self.expr(then), self.expr(els));
        let (la, lb) = (self.literal(then), self.literal(els));
        if let (Some(x), Some(y)) = (la, lb) {
            self.literals.insert(e.id, (x.0.min(y.0), x.1.max(y.1)));
        }
        if a == Type::Void {
            return b;
        }
        if b == Type::Void {
            return a;
        }
        match unify::join(&a, la, &b, lb) {
            Join::Same(ty) | Join::SignLost(ty) => {
                self.coerce(then, &ty);
                self.coerce(els, &ty);
                ty
            }
            Join::Clash => {
                let (x, y) = (
                    words::a(&a, &self.structs.defs),
                    words::a(&b, &self.structs.defs),
                );
                let said = format!(
                    "Branches must return the same type or compatible types: have '{}' and '{}'",
                    self.plain(&a),
                    self.plain(&b)
                );
                self.say(
                    Diagnostic::error(
                        e.span,
                        format!("both sides of `:` must be of one type; they are {x} and {y}"),
                    )
                    .said(said),
                );
                Type::Void
            }
        }
    }

    /// `"text" + n` with a number known at compile time.
    fn skips(&mut self, e: &Expr, text: &Expr, by: &Expr) -> bool {
        self.value(text);
        self.value(by);
        let (Some(text), Some(n), Some(_)) =
            (self.konst_str(text), self.konst(by), self.literal(by))
        else {
            return false;
        };
        let rest = usize::try_from(n).ok().and_then(|n| text.get(n..));
        let rest = rest.unwrap_or_default().to_vec();
        if rest.is_empty() {
            self.say(
                Diagnostic::warning(e.span, "nothing is left of this text")
                    .said("literal string will always be empty"),
            );
        }
        self.set_str(e, &rest);
        true
    }

    pub(super) fn literal(&self, e: &Expr) -> Option<(i128, i128)> {
        self.literals.get(&e.id).copied()
    }

    pub(super) fn binary(&mut self, e: &Expr, op: BinOp, left: &Expr, right: &Expr) -> Type {
        match op {
            BinOp::LogAnd | BinOp::LogOr => self.logical(e, op, left, right),
            BinOp::Eq | BinOp::Ne | BinOp::Lt | BinOp::Le | BinOp::Gt | BinOp::Ge => {
                self.compare(e, op, left, right)
            }
            // A text that is written there begins further on, as in C.
            BinOp::Add if is_text(left) && !is_text(right) && self.skips(e, left, right) => {
                self.types[e.id.0 as usize].clone()
            }
            // Texts that are written there are joined, as C joins them.
            BinOp::Add if is_text(left) && is_text(right) => {
                self.value(left);
                self.value(right);
                let mut text = self.konst_str(left).unwrap_or_default();
                text.extend(self.konst_str(right).unwrap_or_default());
                self.set_str(e, &text)
            }
            _ => {
                let (a, b) = (self.number_of(left), self.number_of(right));
                self.arithmetic(e, op, (left, &a), (right, &b))
            }
        }
    }

    fn logical(&mut self, e: &Expr, op: BinOp, left: &Expr, right: &Expr) -> Type {
        self.condition(left, left.span);
        let a = self.konst(left).map(|v| v != 0);
        if a == Some(op == BinOp::LogOr) {
            return self.set_int(e, i128::from(op == BinOp::LogOr), Type::Bool);
        }
        self.condition(right, right.span);
        if let (Some(_), Some(b)) = (a, self.konst(right)) {
            return self.set_int(e, i128::from(b != 0), Type::Bool);
        }
        Type::Bool
    }

    fn compare(&mut self, e: &Expr, op: BinOp, left: &Expr, right: &Expr) -> Type {
        let (mut a, mut b) = (self.number_of(left), self.number_of(right));
        if matches!(a, Type::Str { .. }) && self.as_string(right) {
            b = Type::Str { size: 1 };
        } else if matches!(b, Type::Str { .. }) && self.as_string(left) {
            a = Type::Str { size: 1 };
        }
        if let (Some(x), Some(y)) = (self.konst(left), self.konst(right)) {
            let v = constant::binary(op, x, y).unwrap_or(0);
            return self.set_int(e, v, Type::Bool);
        }
        let equality = matches!(op, BinOp::Eq | BinOp::Ne);
        if let (Some(x), Some(y), true) = (self.konst_str(left), self.konst_str(right), equality) {
            return self.set_int(e, i128::from((x == y) == (op == BinOp::Eq)), Type::Bool);
        }
        if let (Some(x), Some(y)) = (self.konst_str(left), self.konst_str(right)) {
            let order = constant::binary(op, x.cmp(&y) as i128, 0).unwrap_or(0);
            return self.set_int(e, order, Type::Bool);
        }
        let scalar = |t: &Type| {
            matches!(
                t,
                Type::Int { .. } | Type::Bool | Type::Enum { .. } | Type::Ptr(_)
            )
        };
        let fine = match (&a, &b) {
            (Type::Void, _) | (_, Type::Void) => true,
            (Type::Ptr(x), Type::Ptr(y)) if x != y => {
                let (x, y) = (self.plain(x), self.plain(y));
                self.say(
                    Diagnostic::warning(e.span, "pointers to different types are compared")
                        .said(format!("comparison of distinct pointer types: {x}, {y}"))
                        .said_more(left.span, format!("left ({x})"))
                        .said_more(right.span, format!("right ({y})")),
                );
                true
            }
            _ if scalar(&a) && scalar(&b) => true,
            (Type::Str { .. }, Type::Str { .. }) | (Type::Buf { .. }, Type::Buf { .. }) => equality,
            (Type::Str { size }, Type::Array(elem, len))
            | (Type::Array(elem, len), Type::Str { size }) => {
                let _ = (size, len);
                equality && matches!(**elem, Type::Int { bits: 8, .. })
            }
            (Type::Array(x, n), Type::Array(y, m)) => equality && x == y && n == m,
            (Type::Stack { user: x, .. }, Type::Stack { user: y, .. }) => equality && x == y,
            (Type::Tuple(_), Type::Tuple(_)) | (Type::Record(_), Type::Record(_)) => {
                equality && !matches!(unify::join(&a, None, &b, None), Join::Clash)
            }
            _ => false,
        };
        if !fine {
            let (x, y) = (
                words::a(&a, &self.structs.defs),
                words::a(&b, &self.structs.defs),
            );
            let diag = Diagnostic::error(e.span, format!("{x} cannot be compared with {y}"));
            let diag = match (&a, &b) {
                (Type::Str { .. }, Type::Int { .. } | Type::Ptr(_))
                | (Type::Int { .. } | Type::Ptr(_), Type::Str { .. }) => {
                    diag.help("read the string that a number points to with `str(…)`")
                }
                (Type::Str { .. }, Type::Str { .. }) => {
                    diag.help("strings have `==` and `!=` only")
                }
                _ => diag,
            };
            let symbol = crate::lang::print::symbol(op);
            let diag = self.mismatched(diag, e.span, symbol, (left.span, &a), (right.span, &b));
            self.say(diag);
        }
        Type::Bool
    }

    /// `+ - * / % & | ^ << >>` on two typed operands.
    pub(super) fn arithmetic(
        &mut self,
        e: &Expr,
        op: BinOp,
        (left, a): (&Expr, &Type),
        (right, b): (&Expr, &Type),
    ) -> Type {
        if (a, b) == (&Type::Bool, &Type::Bool) {
            if let Some((v, w)) = self.konst(left).zip(self.konst(right))
                && let Some(v) = constant::binary(op, v, w)
            {
                return self.set_int(e, i128::from(v != 0), Type::Bool);
            }
            return Type::Bool;
        }
        let plain = |t: &Type| match t {
            Type::Bool => Type::Int {
                bits: 8,
                signed: true,
            },
            Type::Enum { bits, .. } => Type::Int {
                bits: *bits,
                signed: true,
            },
            Type::Void => Type::I64,
            other => other.clone(),
        };
        let (a, b) = (&plain(a), &plain(b));
        let (x, y) = match (a, b) {
            (Type::Ptr(_), Type::Int { .. }) if matches!(op, BinOp::Add | BinOp::Sub) => {
                return a.clone();
            }
            (Type::Int { .. }, Type::Ptr(_)) if op == BinOp::Add => return b.clone(),
            (Type::Ptr(p), Type::Ptr(q)) if op == BinOp::Sub && p == q => return Type::I64,
            (Type::Int { bits, signed }, Type::Int { bits: m, signed: s }) => {
                ((*bits, *signed), (*m, *s))
            }
            _ => {
                let bad = if matches!(a, Type::Int { .. } | Type::Ptr(_))
                    && !matches!(b, Type::Int { .. })
                {
                    (right, b)
                } else {
                    (left, a)
                };
                let shown = words::a(bad.1, &self.structs.defs);
                let symbol = crate::lang::print::symbol(op);
                let diag = Diagnostic::error(
                    bad.0.span,
                    format!("`{symbol}` works on integers, this is {shown}"),
                );
                let diag = match bad.1 {
                    Type::Str { .. } if op == BinOp::Add => {
                        diag.help("strings are joined with `str_concat(…)`")
                    }
                    Type::Ptr(_) => diag.help("pointers know `+` and `-` of an integer"),
                    _ => diag,
                };
                let diag = self.mismatched(diag, e.span, symbol, (left.span, a), (right.span, b));
                self.say(diag);
                return Type::Void;
            }
        };
        let (la, lb) = (self.literal(left), self.literal(right));
        let consts = self.konst(left).zip(self.konst(right));
        if matches!(op, BinOp::Div | BinOp::Mod) && self.konst(right) == Some(0) {
            self.say(Diagnostic::error(right.span, "division by zero").said_at(e.span, OVERFLOW));
            return Type::I64;
        }
        if let (Some((v, w)), true) = (consts, la.is_some() && lb.is_some())
            && let Some(v) = constant::binary(op, v, w)
        {
            let shifts = matches!(op, BinOp::Shl | BinOp::Shr);
            if v > i128::from(u64::MAX)
                || v < i128::from(i64::MIN)
                || shifts && !(0..64).contains(&w)
            {
                self.say(
                    Diagnostic::error(e.span, "the result does not fit in 64 bits").said(OVERFLOW),
                );
                return Type::I64;
            }
            return self.set_literal(e, v);
        }
        self.signed_division(e, op, (left, a), (right, b));
        // What is computed has 64 bits; it is unsigned when no signed number takes part. A positive literal takes the
        // other side's sign, a difference always has one.
        let signed = match (la, lb) {
            _ if op == BinOp::Sub => true,
            (Some(_), Some(_)) => true,
            (Some(range), None) if fits(b, range) => y.1,
            (None, Some(range)) if fits(a, range) => x.1,
            _ => x.1 || y.1,
        };
        let ty = Type::Int { bits: 64, signed };
        if let (Some((v, w)), Type::Int { bits, signed }) = (consts, &ty)
            && let Some(v) = constant::binary(op, v, w)
        {
            let v = constant::wrap(v, *bits, *signed);
            return self.set_int(e, v, ty);
        }
        ty
    }
}

impl Checker<'_> {
    /// Warns as bpftrace does: of a division of signed numbers for which one side is cast.
    fn signed_division(
        &mut self,
        e: &Expr,
        op: BinOp,
        (left, a): (&Expr, &Type),
        (right, b): (&Expr, &Type),
    ) {
        let (Type::Int { signed: x, .. }, Type::Int { signed: y, .. }) = (a, b) else {
            return;
        };
        let (la, lb) = (self.literal(left), self.literal(right));
        let signed = match (la, lb) {
            (Some(range), None) if range.0 >= 0 => *y,
            (None, Some(range)) if range.0 >= 0 => *x,
            _ => *x || *y,
        };
        let computed =
            |of: &Expr| matches!(of.kind, ExprKind::Binary { op, .. } if op != BinOp::Sub);
        let bends = computed(left) && lb.is_some() || computed(right) && la.is_some();
        if !matches!(op, BinOp::Div | BinOp::Mod) || !signed || a == b || bends {
            return;
        }
        let symbol = crate::lang::print::symbol(op);
        // Of `x /= y` as far as the operator.
        let place = if e.id == left.id {
            Span::new(e.span.start, e.span.end + 2)
        } else {
            e.span
        };
        self.say(
            Diagnostic::warning(e.span, format!("`{symbol}` of signed numbers"))
                .help("what is negative is divided as a large number; cast it to an unsigned type if that is meant")
                .said_at(
                    place,
                    format!("signed operands for '{symbol}' can lead to undefined behavior (cast to unsigned to silence warning)"),
                ),
        );
    }
}

/// A string literal, or several with `+` between them.
fn is_text(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Str(_) => true,
        ExprKind::Binary {
            op: BinOp::Add,
            left,
            right,
        } => is_text(left) && is_text(right),
        _ => false,
    }
}

fn fits(ty: &Type, (least, largest): (i128, i128)) -> bool {
    unify::holds(ty, least) && unify::holds(ty, largest)
}
