//! Expressions: names, operators, members.

use super::{Checker, constant, unify, words};
use crate::{
    lang::{
        ast::{Expr, ExprKind, Name, TypeExpr},
        builtin,
        checked::{Res, VarId},
        constants,
        diag::Diagnostic,
    },
    suggest,
};
use crate::{span::Span, spec::Type};

/// Largest tuple or record in bytes.
const MAX_TUPLE: u64 = 1 << 26;

impl Checker<'_> {
    /// The type of an expression; `Void` where it is not known (yet) or there is no value.
    pub(super) fn expr(&mut self, e: &Expr) -> Type {
        let ty = self.kind(e);
        self.structs.know(&ty);
        self.set(e, ty)
    }

    /// As `expr`, for a place that needs a value.
    pub(super) fn value(&mut self, e: &Expr) -> Type {
        let errors = self.diags.len();
        let ty = self.expr(e);
        if ty == Type::Void && self.last && self.diags.len() == errors {
            let said = self.no_value_said(e);
            if let ExprKind::Call { name, .. } = &e.kind {
                self.say(
                    Diagnostic::error(e.span, format!("`{}()` yields no value", name.text))
                        .said_at(self.stmt, said),
                );
            } else if matches!(&e.kind, ExprKind::Tuple(elems) if elems.is_empty()) {
                self.say(Diagnostic::error(e.span, "`()` is no value").said_at(self.stmt, said));
            } else if let ExprKind::Block(_) = &e.kind {
                self.say(
                    Diagnostic::error(e.span, "block yields no value")
                        .help("its last expression stands without `;`")
                        .said_at(self.stmt, said),
                );
            }
        }
        ty
    }

    /// What bpftrace says of an expression without value.
    fn no_value_said(&self, e: &Expr) -> String {
        let void = matches!(&e.kind, ExprKind::Call { name, .. } if name.text != "exit");
        if self.call != Span::default() {
            "none type passed to print() is not printable".to_string()
        } else if void {
            "Value 'void' cannot be assigned to a scratch variable.".to_string()
        } else {
            "Invalid expression for assignment".to_string()
        }
    }

    /// As `value`; an aggregation is the number it reads as.
    pub(super) fn number_of(&mut self, e: &Expr) -> Type {
        match self.value(e) {
            Type::Agg(agg) => words::agg_number(&agg).unwrap_or(Type::Agg(agg)),
            ty => ty,
        }
    }

    /// Something that is true or false; `whole`: what bpftrace shows of it.
    pub(super) fn condition(&mut self, e: &Expr, whole: Span) -> Type {
        let ty = self.number_of(e);
        if let Some(text) = self.konst_str(e) {
            return self.set_int(e, i128::from(!text.is_empty()), Type::Bool);
        }
        match ty {
            Type::Void | Type::Bool | Type::Int { .. } | Type::Ptr(_) | Type::Enum { .. } => {}
            _ => {
                let shown = words::a(&ty, &self.structs.defs);
                let said = format!("Invalid condition: {}", words::kind(&ty));
                self.say(
                    Diagnostic::error(e.span, format!("condition wants a number, this is {shown}"))
                        .said_at(whole, said),
                );
            }
        }
        ty
    }

    /// The value, if it is a number known at compile time.
    pub(super) fn konst(&self, e: &Expr) -> Option<i128> {
        match self.res.get(&e.id) {
            Some(Res::Int(v)) => Some(match self.types.get(e.id.0 as usize) {
                Some(Type::Int {
                    bits: 64,
                    signed: false,
                }) => i128::from(v.cast_unsigned()),
                _ => i128::from(*v),
            }),
            _ => None,
        }
    }

    /// The text, if it is known at compile time.
    pub(super) fn konst_str(&self, e: &Expr) -> Option<Vec<u8>> {
        match self.res.get(&e.id) {
            Some(Res::Str(s)) => Some(s.clone()),
            _ => None,
        }
    }

    pub(super) fn set_int(&mut self, e: &Expr, value: i128, ty: Type) -> Type {
        let value = constant::wrap(value, 64, true);
        self.resolve(e, Res::Int(i64::try_from(value).unwrap_or(0)));
        self.set(e, ty)
    }

    pub(super) fn set_literal(&mut self, e: &Expr, value: i128) -> Type {
        let value = if value > i128::from(u64::MAX) || value < i128::from(i64::MIN) {
            constant::wrap(value, 64, true)
        } else {
            value
        };
        self.literals.insert(e.id, (value, value));
        self.set_int(e, value, unify::literal_type(value))
    }

    pub(super) fn set_str(&mut self, e: &Expr, bytes: &[u8]) -> Type {
        self.resolve(e, Res::Str(bytes.to_vec()));
        let size = u32::try_from(bytes.len() + 1).unwrap_or(u32::MAX);
        self.set(e, Type::Str { size })
    }

    /// A text that never is a value of the program: it may be of any length.
    pub(super) fn text_of(&mut self, e: &Expr) -> Type {
        match &e.kind {
            ExprKind::Str(bytes) => self.set_str(e, bytes),
            _ => self.value(e),
        }
    }

    fn kind(&mut self, e: &Expr) -> Type {
        match &e.kind {
            ExprKind::Int(n) => self.set_literal(e, i128::from(*n)),
            ExprKind::Bool(b) => self.set_int(e, i128::from(*b), Type::Bool),
            ExprKind::Str(bytes) => {
                let most = self.config.max_strlen;
                if bytes.len() >= most as usize {
                    let text = String::from_utf8_lossy(bytes);
                    self.say(
                        Diagnostic::error(
                            e.span,
                            format!("this is longer than `max_strlen`, {most}"),
                        )
                        .said(format!("String is too long (over {most} bytes): {text}")),
                    );
                }
                self.set_str(e, bytes)
            }
            ExprKind::Param(n) => self.param(e, *n),
            ExprKind::ParamCount => {
                let count = self.target.params.len();
                self.set_literal(e, i128::try_from(count).unwrap_or(0))
            }
            ExprKind::Var(name) => match self.lookup_read(name) {
                Some(id) => {
                    if self.unassigned.contains_key(&id) {
                        self.say(
                            Diagnostic::warning(
                                e.span,
                                format!("`${name}` is read before anything is assigned to it"),
                            )
                            .said(format!("Variable used before it was assigned: ${name}")),
                        );
                    }
                    self.resolve(e, Res::Var(id));
                    let slot = &self.vars[id.0 as usize];
                    if let Some(range) = slot.literals {
                        self.literals.insert(e.id, range);
                    }
                    slot.ty.clone().unwrap_or(Type::Void)
                }
                None => self.undefined_var(name, e.span),
            },
            ExprKind::Map { name, key } => self.map_read(e, name, key.as_deref()),
            ExprKind::Ident(name) => self.ident(e, name),
            ExprKind::Call { name, args } => self.call(e, name, args),
            ExprKind::Member { base, name } => self.member(e, base, name),
            ExprKind::TupleItem { base, index } => {
                let ty = self.value(base);
                self.item(e, &ty, i128::from(*index))
            }
            ExprKind::Index { base, index } => self.index(e, base, index),
            ExprKind::Unary { op, expr } => self.unary(e, *op, expr),
            ExprKind::Step { by, expr, .. } => self.step(expr, *by),
            ExprKind::Binary { op, left, right } => self.binary(e, *op, left, right),
            ExprKind::Ternary { cond, then, els } => self.ternary(e, cond, then, els),
            ExprKind::Cast { ty, expr } => self.cast(e, ty, expr),
            ExprKind::Tuple(elems) if elems.is_empty() => Type::Void,
            ExprKind::Tuple(elems) => {
                let types = elems.iter().map(|x| self.element(x)).collect();
                self.bounded(e, Type::Tuple(types))
            }
            ExprKind::Record(fields) => {
                let types = fields
                    .iter()
                    .map(|(n, x)| (n.text.clone(), self.element(x)))
                    .collect();
                self.bounded(e, Type::Record(types))
            }
            ExprKind::Block(block) => {
                self.scopes.push(std::collections::HashMap::new());
                self.stmts(block);
                let ty = match &block.value {
                    Some(value) => {
                        let ty = self.expr(value);
                        if let Some(range) = self.literals.get(&value.id).copied() {
                            self.literals.insert(e.id, range);
                        }
                        ty
                    }
                    None => Type::Void,
                };
                self.scopes.pop();
                ty
            }
            ExprKind::Type(_) => {
                self.error(
                    e.span,
                    "a type has no value; it stands in casts and `sizeof`",
                );
                Type::Void
            }
        }
    }

    /// Refuses a tuple or record whose size would not be a number any more.
    fn bounded(&mut self, e: &Expr, ty: Type) -> Type {
        let total: u64 = match &ty {
            Type::Tuple(types) => types.iter().map(|t| self.size64(t)).sum(),
            Type::Record(types) => types.iter().map(|(_, t)| self.size64(t)).sum(),
            _ => 0,
        };
        if total > MAX_TUPLE {
            self.error(e.span, "tuple is larger than 64 MiB");
            return Type::Void;
        }
        ty
    }

    fn size64(&self, ty: &Type) -> u64 {
        u64::from(ty.size(&self.structs.defs)) + 8
    }

    /// An element of a tuple or record.
    fn element(&mut self, e: &Expr) -> Type {
        match self.value(e) {
            Type::Agg(agg) => match words::agg_number(&agg) {
                Some(ty) => ty,
                None => {
                    let name = words::agg_name(&agg);
                    self.error(e.span, format!("`{name}()` can only stand in a map"));
                    Type::Void
                }
            },
            ty => ty,
        }
    }

    // --- names ------------------------------------------------------------------------------------------------

    pub(super) fn lookup(&self, name: &str) -> Option<VarId> {
        self.scopes
            .iter()
            .rev()
            .find_map(|s| s.get(name))
            .map(|(id, _)| *id)
    }

    /// A variable that is read or changed: a macro reaches those of its caller.
    pub(super) fn lookup_read(&self, name: &str) -> Option<VarId> {
        self.lookup(name).or_else(|| {
            let (_, of_caller) = crate::lang::expand::own_name(name)?;
            self.lookup_read(of_caller)
        })
    }

    fn undefined_var(&mut self, name: &str, span: Span) -> Type {
        let name = crate::lang::expand::own_name(name).map_or(name, |(_, own)| own);
        let names: Vec<String> = self.scopes.iter().flat_map(|s| s.keys().cloned()).collect();
        let help = match suggest::closest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `${near}`?"),
            None => format!(
                "a variable lives in the block where it is first assigned; declare it further out with `let ${name};`"
            ),
        };
        self.say(
            Diagnostic::error(span, format!("undefined variable `${name}`"))
                .help(help)
                .said(format!("Undefined or undeclared variable: ${name}")),
        );
        Type::Void
    }

    fn param(&mut self, e: &Expr, n: u32) -> Type {
        let text = self.param_text(n);
        if text.is_empty() {
            if n as usize > self.target.params.len() {
                self.say(
                    Diagnostic::warning(e.span, format!("parameter `${n}` is not given")).said(
                        format!("Positional parameter ${n} is empty or not provided. "),
                    ),
                );
            }
            return self.set_literal(e, 0);
        }
        match parse_number(&text) {
            Some(value) => self.set_literal(e, value),
            None => self.set_str(e, text.as_bytes()),
        }
    }

    pub(super) fn param_text(&self, n: u32) -> String {
        let at = n.saturating_sub(1) as usize;
        self.target.params.get(at).cloned().unwrap_or_default()
    }

    /// A parameter where a string is wanted.
    pub(super) fn as_string(&mut self, e: &Expr) -> bool {
        if let ExprKind::Param(n) = e.kind {
            let text = self.param_text(n);
            self.literals.remove(&e.id);
            self.set_str(e, text.as_bytes());
            return true;
        }
        false
    }

    fn ident(&mut self, e: &Expr, word: &str) -> Type {
        if let Some((value, tag)) = self.structs.values.get(word).cloned() {
            let ty = self.structs.enum_type(&tag);
            return self.set_int(e, i128::from(value), ty);
        }
        if builtin::row(word).is_some() {
            let name = Name {
                text: word.to_string(),
                span: e.span,
            };
            return self.call_word(e, &name);
        }
        if let Some(value) = constants::constant(word) {
            return self.set_literal(e, i128::from(value));
        }
        if let Some((value, ty)) = self.structs.kernel_enumerator(word) {
            return self.set_int(e, i128::from(value), ty);
        }
        let names = builtin::ROWS
            .iter()
            .map(|r| r.name)
            .chain(self.structs.values.keys().map(String::as_str));
        let mut help = suggest::did_you_mean(word, names);
        if self.lookup(word).is_some() {
            help = Some(format!("variables are written `${word}`"));
        } else if self.map_ids.contains_key(word) {
            help = Some(format!("maps are written `@{word}`"));
        }
        let mut diag =
            Diagnostic::error(e.span, format!("unknown builtin `{word}`")).maybe_help(help);
        let digits = word.strip_prefix("sarg").unwrap_or("");
        diag = if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            diag.said(
                "sarg* is deleted. This was deprecated in v0.21 and was last available in v0.24.",
            )
            .said_hint("Use *(reg(\"sp\") + <stack_offset>) instead.")
        } else {
            diag.said(format!("Unknown identifier: '{word}'"))
        };
        self.say(diag);
        Type::Void
    }

    // --- members and elements ---------------------------------------------------------------------------------

    fn member(&mut self, e: &Expr, base: &Expr, name: &Name) -> Type {
        if matches!(&base.kind, ExprKind::Ident(w) if w == "config") {
            return self.config_value(e, name);
        }
        if matches!(&base.kind, ExprKind::Ident(w) if w == "args") && self.in_tracepoints() {
            return self.trace_field(e, name);
        }
        let ty = self.value(base);
        let id = match &ty {
            Type::Struct(id) => *id,
            Type::Ptr(inner) => match **inner {
                Type::Struct(id) => id,
                _ => return self.no_member(e, &ty, name),
            },
            Type::Record(fields) => {
                let at = fields.iter().position(|(n, _)| *n == name.text);
                return match at {
                    Some(i) => {
                        let known = match self.res.get(&base.id) {
                            Some(Res::Record(values)) => values.get(i).cloned(),
                            _ => None,
                        };
                        let at = Res::Item(u32::try_from(i).unwrap_or(0));
                        self.resolve(e, known.unwrap_or(at));
                        fields[i].1.clone()
                    }
                    None => {
                        let names = fields.iter().map(|(n, _)| n.as_str());
                        let help = suggest::did_you_mean(&name.text, names);
                        self.say(
                            Diagnostic::error(
                                name.span,
                                format!("record has no field `{}`", name.text),
                            )
                            .maybe_help(help)
                            .said_at(
                                e.span,
                                format!("Record does not contain a field named '{}'", name.text),
                            ),
                        );
                        Type::Void
                    }
                };
            }
            Type::Void => return Type::Void,
            _ => return self.no_member(e, &ty, name),
        };
        let struct_name = self
            .structs
            .defs
            .get(id.0 as usize)
            .map_or(String::new(), |s| s.name.clone());
        let no_field = format!(
            "Struct/union of type '{struct_name}' does not contain a field named '{}'",
            name.text
        );
        if !self.structs.is_complete(id) {
            self.say(
                Diagnostic::error(base.span, format!("`{struct_name}` is not defined"))
                    .help(format!(
                        "define it at the top of the script: `{struct_name} {{ … }};`"
                    ))
                    .said_at(e.span, no_field),
            );
            return Type::Void;
        }
        match self.structs.member(id, &name.text) {
            Some((offset, ty, bits)) => {
                self.resolve(
                    e,
                    Res::Member {
                        offset,
                        ty: ty.clone(),
                        bits,
                    },
                );
                match ty {
                    // All of the array may be text: of a struct that is written out, as bpftrace has it, the value has a
                    // NUL behind it.
                    Type::Str { size } if self.structs.is_defined(id) => Type::Str {
                        size: size.saturating_add(1),
                    },
                    ty => ty,
                }
            }
            None => {
                let help = suggest::did_you_mean(&name.text, self.structs.member_names(id));
                self.say(
                    Diagnostic::error(
                        name.span,
                        format!("`{struct_name}` has no member `{}`", name.text),
                    )
                    .maybe_help(help)
                    .said_at(e.span, no_field),
                );
                Type::Void
            }
        }
    }

    fn no_member(&mut self, e: &Expr, ty: &Type, name: &Name) -> Type {
        let shown = words::a(ty, &self.structs.defs);
        self.say(
            Diagnostic::error(
                name.span,
                format!("member `{}` of {shown}, which has none", name.text),
            )
            .help("cast it to a pointer to a struct: `((struct x *)…).member`")
            .said_at(
                e.span,
                format!(
                    "Can not access field '{}' on expression of type '{}'",
                    name.text,
                    self.plain(ty)
                ),
            ),
        );
        Type::Void
    }

    /// Element `index` of a tuple or record, on expression `e`.
    fn item(&mut self, e: &Expr, ty: &Type, index: i128) -> Type {
        let elem = usize::try_from(index).ok().and_then(|i| match ty {
            Type::Tuple(elems) => elems.get(i).cloned(),
            Type::Record(fields) => fields.get(i).map(|(_, t)| t.clone()),
            _ => None,
        });
        match (elem, ty) {
            (Some(elem), _) => {
                self.resolve(e, Res::Item(u32::try_from(index).unwrap_or(0)));
                elem
            }
            (None, Type::Void) => Type::Void,
            (None, Type::Tuple(_) | Type::Record(_)) => {
                let shown = words::a(ty, &self.structs.defs);
                let count = match ty {
                    Type::Tuple(elems) => elems.len(),
                    _ => 0,
                };
                self.say(
                    Diagnostic::error(e.span, format!("{shown} has no item {index}")).said(
                        format!("Invalid tuple index: {index}. Found {count} elements in tuple."),
                    ),
                );
                Type::Void
            }
            _ => {
                let shown = words::a(ty, &self.structs.defs);
                let said = format!(
                    "Can not access index '{index}' on expression of type '{}'",
                    self.plain(ty)
                );
                self.say(
                    Diagnostic::error(e.span, format!("items belong to tuples, this is {shown}"))
                        .said(said),
                );
                Type::Void
            }
        }
    }

    fn index(&mut self, e: &Expr, base: &Expr, index: &Expr) -> Type {
        let ty = self.value(base);
        let at = self.number_of(index);
        if !matches!(
            at,
            Type::Void | Type::Int { .. } | Type::Enum { .. } | Type::Bool
        ) {
            let shown = words::a(&at, &self.structs.defs);
            let said = format!(
                "The array index operator [] only accepts non-negative integer indices. Got: {}",
                self.plain(&at)
            );
            self.say(
                Diagnostic::error(
                    index.span,
                    format!("index wants an integer, this is {shown}"),
                )
                .said_at(e.span, said),
            );
        }
        let constant = self.konst(index);
        match &ty {
            Type::Tuple(_) | Type::Record(_) => match constant {
                Some(at) => self.item(e, &ty, at),
                None => {
                    self.error(
                        index.span,
                        "the index of a tuple must be known at compile time",
                    );
                    Type::Void
                }
            },
            Type::Array(elem, len) => {
                self.bounds(e, index, constant, *len);
                (**elem).clone()
            }
            Type::Str { size } => {
                self.bounds(e, index, constant, *size);
                Type::Int {
                    bits: 8,
                    signed: true,
                }
            }
            Type::Buf { size } => {
                self.bounds(e, index, constant, *size);
                Type::U8
            }
            Type::Ptr(inner) if **inner != Type::Void => (**inner).clone(),
            Type::Void => Type::Void,
            _ => {
                let shown = words::a(&ty, &self.structs.defs);
                let said = format!(
                    "The array index operator [] can only be used on arrays, pointers, and tuples, found {}.",
                    self.plain(&ty)
                );
                self.say(
                    Diagnostic::error(
                        base.span,
                        format!("`[…]` wants an array or pointer, this is {shown}"),
                    )
                    .said_at(e.span, said),
                );
                Type::Void
            }
        }
    }

    fn bounds(&mut self, e: &Expr, index: &Expr, constant: Option<i128>, len: u32) {
        if let Some(at) = constant
            && (at < 0 || len > 0 && at >= i128::from(len))
        {
            self.say(
                Diagnostic::error(
                    index.span,
                    format!("index {at} is outside of the {len} elements"),
                )
                .said_at(
                    e.span,
                    format!("the index {at} is out of bounds for array of size {len}"),
                ),
            );
        }
    }

    /// The type that is written, `typeof` included.
    pub(super) fn written(&mut self, ty: &TypeExpr) -> Option<Type> {
        // `typeof(expr)` needs the checker, which holds the structs: they are taken out meanwhile.
        let mut exprs = Vec::new();
        let mut names = Vec::new();
        collect_typeof(ty, &mut exprs, &mut names);
        for name in names {
            let known = self.structs.is_type(name) || self.structs.meant.contains_key(name);
            if !known
                && (builtin::is_name(name) || self.structs.values.contains_key(name))
                && let Some(meant) = self.named_value(name, ty.span)
            {
                self.structs.meant.insert(name.to_string(), meant);
            }
        }
        let types: Vec<(crate::lang::ast::ExprId, Type)> =
            exprs.into_iter().map(|x| (x.id, self.value(x))).collect();
        let result = self.structs.written(ty, &mut |x| {
            let found = types.iter().find(|(id, _)| *id == x.id);
            found.map(|(_, t)| t.clone()).filter(|t| *t != Type::Void)
        });
        match result {
            Ok(found) => {
                let mut inner = &found;
                while let Type::Ptr(to) | Type::Array(to, _) = inner {
                    inner = to;
                }
                if let Type::Struct(id) = inner
                    && !self.structs.is_complete(*id)
                {
                    let name = words::name(inner, &self.structs.defs);
                    self.say(
                        Diagnostic::error(ty.span, format!("`{name}` is not defined"))
                            .help(format!(
                                "define it at the top of the script: `{name} {{ … }};`"
                            ))
                            .said(format!("Cannot resolve unknown type \"{name}\"")),
                    );
                    return None;
                }
                Some(found)
            }
            Err(diag) => {
                self.say(diag);
                None
            }
        }
    }
}

/// The expressions and bare names in a written type.
fn collect_typeof<'e>(ty: &'e TypeExpr, out: &mut Vec<&'e Expr>, names: &mut Vec<&'e str>) {
    use crate::lang::ast::TypeExprKind::*;
    match &ty.kind {
        Typeof(expr) => out.push(expr),
        Pointer(inner) | Array(inner, _) => collect_typeof(inner, out, names),
        Tuple(elems) => elems.iter().for_each(|t| collect_typeof(t, out, names)),
        Named(name) => names.push(name),
        Tagged(..) => {}
    }
}

/// A parameter's text as a number: any literal, with an optional sign.
fn parse_number(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let value = crate::lang::number::parse(digits).ok()?;
    Some(sign * i128::from(value))
}
