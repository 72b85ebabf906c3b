//! Functions that take types: `sizeof`, `offsetof`, `container_of`.

use super::{Checker, words};
use crate::{
    lang::{
        ast::{Arg, Expr, ExprKind, TypeExprKind},
        builtin::Want,
        checked::Res,
        diag::Diagnostic,
    },
    suggest,
};
use crate::{span::Span, spec::Type};

/// Whether a type argument is `word` without a length.
fn unsized_word(arg: &Arg, word: &str) -> bool {
    let ty = match arg {
        Arg::Type(ty) => ty,
        Arg::Expr(Expr {
            kind: ExprKind::Type(ty),
            ..
        }) => ty,
        Arg::Expr(_) => return false,
    };
    matches!(&ty.kind, TypeExprKind::Named(name) if name == word)
}

impl Checker<'_> {
    /// The type of `sizeof`'s and `offsetof`'s first argument.
    pub(super) fn type_arg(&mut self, arg: &Arg) -> Option<Type> {
        match arg {
            Arg::Expr(Expr {
                kind: ExprKind::Type(ty),
                ..
            }) => self.written(ty),
            Arg::Expr(expr) => match self.value(expr) {
                Type::Void => None,
                ty => Some(ty),
            },
            Arg::Type(ty) => self.written(ty),
        }
    }

    /// The type of a builtin's or enumerator's value.
    pub(super) fn named_value(&mut self, name: &str, span: Span) -> Option<Type> {
        if let Some((_, tag)) = self.structs.values.get(name) {
            return Some(self.structs.enum_type(tag));
        }
        // Numbered beyond the tree: its type is looked at here and nowhere else.
        let probe = Expr {
            id: crate::lang::ast::ExprId(u32::MAX),
            kind: ExprKind::Ident(name.to_string()),
            span,
        };
        match self.expr(&probe) {
            Type::Void => None,
            ty => Some(ty),
        }
    }

    pub(super) fn sizeof(&mut self, e: &Expr, arg: &Arg) -> Type {
        match self.type_arg(arg) {
            Some(ty) => {
                if let Type::Struct(id) = ty
                    && !self.structs.is_complete(id)
                {
                    let shown = words::name(&ty, &self.structs.defs);
                    let place = match arg {
                        Arg::Type(ty) => ty.span,
                        Arg::Expr(expr) => expr.span,
                    };
                    self.say(
                        Diagnostic::error(e.span, format!("`{shown}` is not defined"))
                            .said_at(place, format!("Cannot resolve unknown type \"{shown}\"")),
                    );
                }
                let size = match ty {
                    // As a value, whatever its width in a struct.
                    Type::Enum { .. } => 8,
                    // A string whose length is not written has none; a buffer only the word of its length.
                    Type::Str { .. } if unsized_word(arg, "string") => 0,
                    Type::Str { size } if size == self.config.max_strlen.saturating_add(1) => {
                        i128::from(size - 1)
                    }
                    Type::Buf { .. } if unsized_word(arg, "buffer") => 4,
                    _ => i128::from(ty.size(&self.structs.defs)),
                };
                self.set_int(e, size, Type::U64)
            }
            None => Type::U64,
        }
    }

    /// A type as a record of its name and kind.
    pub(super) fn typeinfo(&mut self, e: &Expr, arg: &Arg) -> Type {
        if !self.unstable(e, "typeinfo", self.config.unstable_typeinfo) {
            return Type::Void;
        }
        let Some(ty) = self.type_arg(arg) else {
            return Type::Void;
        };
        let kind = words::kind(&ty).into_bytes();
        let full = self.plain(&ty).into_bytes();
        let string = |bytes: &[u8]| Type::Str {
            size: u32::try_from(bytes.len() + 1).unwrap_or(u32::MAX),
        };
        let id = Type::Int {
            bits: 8,
            signed: true,
        };
        let ty = Type::Record(vec![
            ("btf_id".to_string(), id),
            ("base_type".to_string(), string(&kind)),
            ("full_type".to_string(), string(&full)),
        ]);
        let fields = vec![Res::Int(0), Res::Str(kind), Res::Str(full)];
        self.resolve(e, Res::Record(fields));
        ty
    }

    /// Whether a feature may be used: 0 no, 1 with a warning, 2 yes.
    pub(super) fn unstable(&mut self, e: &Expr, name: &str, how: u8) -> bool {
        self.unstable_as(e, name, name, how)
    }

    /// The same of a feature that bpftrace calls `long`.
    pub(super) fn unstable_as(&mut self, e: &Expr, name: &str, long: &str, how: u8) -> bool {
        match how {
            0 => self.say(
                Diagnostic::error(e.span, format!("`{name}` is unstable"))
                    .help(format!("allow it with `config = {{ unstable_{name} = enable }}`"))
                    .said(format!("{long} feature is not enabled by default. To enable this unstable feature, set the config flag to enable. unstable_{name}=enable")),
            ),
            1 => self.say(
                Diagnostic::warning(e.span, format!("`{name}` is unstable"))
                    .help(format!("say so with `config = {{ unstable_{name} = enable }}`"))
                    .said_at(Span::default(), format!("Script is using an unstable feature: {long}. To prevent this warning you must explicitly enable it in the config e.g. unstable_{name}=enable")),
            ),
            _ => {}
        }
        how > 0
    }

    pub(super) fn offsetof(&mut self, e: &Expr, args: &[Arg]) -> Type {
        let [first, Arg::Expr(path)] = args else {
            return Type::U64;
        };
        let Some(ty) = self.type_arg(first) else {
            return Type::U64;
        };
        let mut names = Vec::new();
        if !member_path(path, &mut names) {
            self.error(
                path.span,
                "`offsetof` wants a member: `offsetof(struct x, a.b)`",
            );
            return Type::U64;
        }
        match self.member_offset(ty, &names) {
            Some(offset) => self.set_int(e, i128::from(offset), Type::U64),
            None => Type::U64,
        }
    }

    pub(super) fn member_offset(&mut self, mut ty: Type, names: &[(String, Span)]) -> Option<u32> {
        let mut at = 0;
        for (name, span) in names {
            if let Type::Ptr(inner) = ty {
                ty = *inner;
            }
            let Type::Struct(id) = ty else {
                let shown = words::a(&ty, &self.structs.defs);
                let said = format!("'{}' is not a C type.", self.plain(&ty));
                self.say(
                    Diagnostic::error(*span, format!("member `{name}` of {shown}, which has none"))
                        .said_at(self.call, said),
                );
                return None;
            };
            match self.structs.member(id, name) {
                Some((offset, inner, _)) => {
                    at += offset;
                    ty = inner;
                }
                None => {
                    let shown = words::name(&Type::Struct(id), &self.structs.defs);
                    let help = suggest::did_you_mean(name, self.structs.member_names(id));
                    self.say(
                        Diagnostic::error(*span, format!("`{shown}` has no member `{name}`"))
                            .maybe_help(help)
                            .said_at(self.call, format!("'{shown}' has no field named '{name}'")),
                    );
                    return None;
                }
            }
        }
        Some(at)
    }

    pub(super) fn container_of(&mut self, e: &Expr, args: &[Arg]) -> Type {
        let [Arg::Expr(ptr), ty, Arg::Expr(member)] = args else {
            self.error(
                e.span,
                "`container_of` is `container_of(ptr, struct x, member)`",
            );
            return Type::Void;
        };
        self.argument_of("container_of", Want::Ptr, ptr);
        let Some(ty) = self.type_arg(ty) else {
            return Type::Void;
        };
        let mut names = Vec::new();
        if !member_path(member, &mut names) {
            self.error(member.span, "`container_of` wants a member's name");
            return Type::Void;
        }
        if let Some(offset) = self.member_offset(ty.clone(), &names) {
            self.set_int(member, i128::from(offset), Type::U64);
        }
        Type::Ptr(Box::new(ty))
    }
}

/// `a.b.c` as names.
fn member_path(e: &Expr, out: &mut Vec<(String, Span)>) -> bool {
    match &e.kind {
        ExprKind::Ident(name) => {
            out.push((name.clone(), e.span));
            true
        }
        ExprKind::Member { base, name } => {
            let fine = member_path(base, out);
            out.push((name.text.clone(), name.span));
            fine
        }
        _ => false,
    }
}
