//! Types as written in scripts: a base, then `*` and `[n]` read from left to right.

use super::{Parsed, Parser, stmt::tagged};
use crate::lang::{
    ast::{Tag, TypeExpr, TypeExprKind},
    token::Tok,
};

/// Names of the language's types.
pub(in crate::lang) const TYPE_NAMES: &[&str] = &[
    "void",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8_t",
    "int16_t",
    "int32_t",
    "int64_t",
    "uint8_t",
    "uint16_t",
    "uint32_t",
    "uint64_t",
    "string",
    "buffer",
    "inet",
    "char",
    "short",
    "int",
    "long",
    "unsigned",
    "signed",
    "size_t",
    "ssize_t",
    "uintptr_t",
    "intptr_t",
    "u8",
    "u16",
    "u32",
    "u64",
    "s8",
    "s16",
    "s32",
    "s64",
    "__u8",
    "__u16",
    "__u32",
    "__u64",
    "__s8",
    "__s16",
    "__s32",
    "__s64",
    "pid_t",
    "off_t",
    "const",
    "volatile",
    "_Bool",
];

/// Words that make up a C base type together.
pub(super) const C_WORDS: &[&str] = &["unsigned", "signed", "char", "short", "int", "long"];

impl Parser<'_> {
    /// Whether the next tokens can only be a type.
    pub(super) fn at_type(&mut self, ahead: usize) -> bool {
        let Tok::Ident(word) = self.peek_at(ahead).clone() else {
            return false;
        };
        match word.as_str() {
            "struct" | "union" | "enum" => true,
            "typeof" => self.is_at(ahead + 1, "("),
            _ => TYPE_NAMES.contains(&word.as_str()) || self.typedefs.contains(&word),
        }
    }

    pub(super) fn type_expr(&mut self) -> Parsed<TypeExpr> {
        self.nested(|p| {
            let base = p.base_type()?;
            p.type_suffixes(base)
        })
    }

    fn skip_qualifiers(&mut self) {
        while self.is_word("const") || self.is_word("volatile") {
            self.next();
        }
    }

    pub(super) fn base_type(&mut self) -> Parsed<TypeExpr> {
        self.skip_qualifiers();
        let start = self.peek().span;
        if self.is("(") {
            self.next();
            let mut elems = Vec::new();
            while !self.is(")") {
                elems.push(self.type_expr()?);
                if !self.is(")") {
                    self.want(",")?;
                }
            }
            let span = start.to(self.want(")")?);
            return Ok(TypeExpr {
                kind: TypeExprKind::Tuple(elems),
                span,
            });
        }
        let name = self.name("a type")?;
        let tag = match name.text.as_str() {
            "struct" => Tag::Struct,
            "union" => Tag::Union,
            "enum" => Tag::Enum,
            "typeof" if self.is("(") => return self.typeof_type(start),
            word => {
                let mut text = word.to_string();
                let mut span = name.span;
                if C_WORDS.contains(&word) {
                    while let Tok::Ident(next) = self.peek().tok.clone() {
                        if !C_WORDS.contains(&next.as_str()) {
                            break;
                        }
                        span = span.to(self.next().span);
                        text = format!("{text} {next}");
                    }
                }
                self.skip_qualifiers();
                return Ok(TypeExpr {
                    kind: TypeExprKind::Named(text),
                    span,
                });
            }
        };
        let name = self.name("the name of a struct, union or enum")?;
        let span = start.to(name.span);
        self.skip_qualifiers();
        Ok(tagged(tag, name.text, span))
    }

    fn typeof_type(&mut self, start: crate::span::Span) -> Parsed<TypeExpr> {
        self.want("(")?;
        let inner = self.type_or_expr()?;
        let span = start.to(self.want(")")?);
        Ok(match inner {
            crate::lang::ast::Arg::Type(ty) => ty,
            crate::lang::ast::Arg::Expr(expr) => TypeExpr {
                kind: TypeExprKind::Typeof(Box::new(expr)),
                span,
            },
        })
    }

    pub(super) fn type_suffixes(&mut self, mut ty: TypeExpr) -> Parsed<TypeExpr> {
        let mut count = 0;
        loop {
            count += 1;
            if count > super::MAX_NESTING {
                return self.too_deep(ty.span);
            }
            if self.is("*") {
                let span = ty.span.to(self.next().span);
                self.skip_qualifiers();
                ty = TypeExpr {
                    kind: TypeExprKind::Pointer(Box::new(ty)),
                    span,
                };
            } else if self.is("[") {
                self.next();
                let size = if self.is("]") {
                    None
                } else {
                    Some(Box::new(self.expr()?))
                };
                let span = ty.span.to(self.want("]")?);
                ty = TypeExpr {
                    kind: TypeExprKind::Array(Box::new(ty), size),
                    span,
                };
            } else {
                return Ok(ty);
            }
        }
    }
}
