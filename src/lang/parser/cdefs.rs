//! The C part of a script: `struct`, `union`, `enum`, `typedef`, with C's declarators.

use super::{Parsed, Parser, types::C_WORDS};
use crate::lang::{
    ast::{CDef, CMember, CStruct, CType, Name, Tag, TypeExpr, TypeExprKind},
    diag::Diagnostic,
    token::Tok,
};
use crate::span::Span;

/// What attributes say of a struct's layout.
#[derive(Clone, Copy, Default)]
struct Attributes {
    packed: bool,
    /// 0 without.
    align: u32,
}

impl Parser<'_> {
    pub(super) fn cdef(&mut self, defs: &mut Vec<CDef>) -> Parsed<()> {
        let start = self.peek().span;
        if self.eat_word("typedef") {
            let base = self.c_base(defs)?;
            let start = self.peek().span;
            self.plain_attributes(start)?;
            loop {
                let (name, ty) = self.declarator(base.clone())?;
                self.plain_attributes(start)?;
                let Some(name) = name else {
                    return self.expected("the name of the typedef");
                };
                self.typedefs.insert(name.text.clone());
                defs.push(CDef::Typedef { name, ty });
                if !self.eat(",") {
                    break;
                }
            }
            self.want(";")?;
            return Ok(());
        }
        match self.c_base(defs)? {
            CType::Inline(def) => defs.push(CDef::Struct(*def)),
            CType::Base(_) => {}
            _ => return self.fail(start, "expected a type definition"),
        }
        if !self.eat(";") && matches!(self.peek().tok, Tok::Ident(_)) && self.is_at(1, ";") {
            let span = self.peek().span;
            return self.fail(span, "the preamble defines types, not variables");
        }
        Ok(())
    }

    /// A base type. A struct defined here stands inline; an enum goes to `defs`.
    fn c_base(&mut self, defs: &mut Vec<CDef>) -> Parsed<CType> {
        self.nested(|p| p.c_base_inside(defs))
    }

    fn c_base_inside(&mut self, defs: &mut Vec<CDef>) -> Parsed<CType> {
        self.qualifiers();
        let start = self.peek().span;
        let tag = match &self.peek().tok {
            Tok::Ident(w) if w == "struct" => Tag::Struct,
            Tok::Ident(w) if w == "union" => Tag::Union,
            Tok::Ident(w) if w == "enum" => Tag::Enum,
            _ => return self.c_word(),
        };
        self.next();
        let mut attrs = self.attributes()?;
        let name = match self.peek().tok.clone() {
            Tok::Ident(text) => {
                let span = self.next().span;
                Some(Name { text, span })
            }
            _ => None,
        };
        if !self.is("{") {
            let Some(name) = name else {
                return self.expected("a name or `{`");
            };
            self.qualifiers();
            let span = start.to(name.span);
            return Ok(CType::Base(super::stmt::tagged(tag, name.text, span)));
        }
        let text = name.map_or(String::new(), |n| n.text);
        if tag == Tag::Enum {
            return self.enum_body(text, start, defs);
        }
        let members = self.members(defs)?;
        let behind = self.attributes()?;
        attrs.packed |= behind.packed;
        attrs.align = attrs.align.max(behind.align);
        Ok(CType::Inline(Box::new(CStruct {
            tag,
            name: text,
            members,
            packed: attrs.packed,
            align: attrs.align,
            span: start.to(self.last_span()),
        })))
    }

    fn c_word(&mut self) -> Parsed<CType> {
        let first = self.name("a type")?;
        let (mut text, mut span) = (first.text, first.span);
        if C_WORDS.contains(&text.as_str()) {
            while let Tok::Ident(next) = self.peek().tok.clone() {
                if !C_WORDS.contains(&next.as_str()) {
                    break;
                }
                span = span.to(self.next().span);
                text = format!("{text} {next}");
            }
        }
        self.qualifiers();
        Ok(CType::Base(TypeExpr {
            kind: TypeExprKind::Named(text),
            span,
        }))
    }

    fn qualifiers(&mut self) {
        while ["const", "volatile", "restrict", "__restrict"]
            .iter()
            .any(|w| self.is_word(w))
        {
            self.next();
        }
    }

    /// Attributes of a typedef: none that change its layout.
    fn plain_attributes(&mut self, start: Span) -> Parsed<()> {
        let attrs = self.attributes()?;
        if attrs.packed || attrs.align > 8 {
            return self.fail(start, "attributes of a typedef are not supported");
        }
        Ok(())
    }

    /// `__attribute__((packed, aligned(8)))`.
    fn attributes(&mut self) -> Parsed<Attributes> {
        let mut found = Attributes::default();
        while self.eat_word("__attribute__") {
            self.want("(")?;
            self.want("(")?;
            while !self.is(")") {
                let name = self.name("an attribute")?;
                match name.text.as_str() {
                    "packed" | "__packed__" => found.packed = true,
                    "aligned" | "__aligned__" => found.align = self.alignment()?,
                    _ if self.lenient => {
                        if self.is("(") {
                            self.skip_parens()?;
                        }
                    }
                    other => {
                        return self.fail_with(
                            Diagnostic::error(
                                name.span,
                                format!("attribute `{other}` is not supported"),
                            )
                            .help("`packed` and `aligned` are"),
                        );
                    }
                }
                if !self.is(")") {
                    self.want(",")?;
                }
            }
            self.want(")")?;
            self.want(")")?;
        }
        Ok(found)
    }

    /// `(8)` behind `aligned`; without it the most that anything needs.
    fn alignment(&mut self) -> Parsed<u32> {
        if !self.eat("(") {
            return Ok(16);
        }
        let token = self.next();
        let Tok::Int(align @ 1..=4096) = token.tok else {
            return self.fail(token.span, "expected an alignment, 1 to 4096");
        };
        self.want(")")?;
        Ok(u32::try_from(align).unwrap_or(1))
    }

    fn enum_body(&mut self, tag: String, start: Span, defs: &mut Vec<CDef>) -> Parsed<CType> {
        self.want("{")?;
        let mut values = Vec::new();
        while !self.eat("}") {
            let name = self.name("an enumerator")?;
            let value = if self.eat("=") {
                Some(self.expr()?)
            } else {
                None
            };
            values.push((name, value));
            if !self.is("}") {
                self.want(",")?;
            }
        }
        let span = start.to(self.last_span());
        // An anonymous enum is known by where it stands.
        let shown = if tag.is_empty() {
            format!("__anonymous_enum_{}", span.start)
        } else {
            tag.clone()
        };
        defs.push(CDef::Enum {
            tag: shown.clone(),
            values,
            span,
        });
        Ok(CType::Base(super::stmt::tagged(Tag::Enum, shown, span)))
    }

    fn members(&mut self, defs: &mut Vec<CDef>) -> Parsed<Vec<CMember>> {
        self.want("{")?;
        let mut members = Vec::new();
        while !self.eat("}") {
            if self.eat(";") {
                continue;
            }
            let base = self.c_base(defs)?;
            if self.is(";") {
                let span = self.next().span;
                match base {
                    CType::Inline(ref def) if !def.name.is_empty() => {
                        // A tagged struct without declarator only defines its tag.
                        defs.push(CDef::Struct((**def).clone()));
                    }
                    CType::Inline(ref def) => {
                        let span = def.span;
                        members.push(CMember {
                            name: String::new(),
                            ty: base,
                            bits: None,
                            align: None,
                            span,
                        });
                    }
                    _ => return self.fail(span, "expected a member's name"),
                }
                continue;
            }
            loop {
                let start = self.peek().span;
                let (name, ty) = self.declarator(base.clone())?;
                let bits = if self.eat(":") {
                    Some(self.bit_width()?)
                } else {
                    None
                };
                let attrs = self.attributes()?;
                let align = match attrs.align {
                    0 => attrs.packed.then_some(1),
                    align => Some(align),
                };
                if name.is_none() && bits.is_none() {
                    return self.expected("a member's name");
                }
                members.push(CMember {
                    name: name.map_or(String::new(), |n| n.text),
                    ty,
                    bits,
                    align,
                    span: start.to(self.last_span()),
                });
                if !self.eat(",") {
                    break;
                }
            }
            // The last member needs none.
            if !self.is("}") {
                self.want(";")?;
            }
        }
        Ok(members)
    }

    fn bit_width(&mut self) -> Parsed<u8> {
        let token = self.next();
        match token.tok {
            Tok::Int(n) if n <= 64 => Ok(u8::try_from(n).unwrap_or(64)),
            _ => self.fail(token.span, "expected the width of a bit-field, 0 to 64"),
        }
    }

    /// `*name[n]`, `(*name)(…)`, `(*name)[n]`: the name and the whole type.
    fn declarator(&mut self, base: CType) -> Parsed<(Option<Name>, CType)> {
        self.nested(|p| p.declarator_inside(base))
    }

    fn declarator_inside(&mut self, mut base: CType) -> Parsed<(Option<Name>, CType)> {
        let mut stars = 0;
        while self.eat("*") {
            stars += 1;
            if stars > super::MAX_NESTING {
                let span = self.last_span();
                return self.too_deep(span);
            }
            self.qualifiers();
            base = CType::Pointer(Box::new(base));
        }
        if self.is("(") {
            return self.inner_declarator(base);
        }
        let name = match self.peek().tok.clone() {
            Tok::Ident(text) => {
                let span = self.next().span;
                Some(Name { text, span })
            }
            _ => None,
        };
        let ty = self.declarator_suffix(base)?;
        Ok((name, ty))
    }

    /// `(*name…)` and what follows: the part in parentheses applies to the rest.
    fn inner_declarator(&mut self, base: CType) -> Parsed<(Option<Name>, CType)> {
        self.want("(")?;
        let mut stars = 0;
        while self.eat("*") {
            stars += 1;
            self.qualifiers();
        }
        let name = match self.peek().tok.clone() {
            Tok::Ident(text) => {
                let span = self.next().span;
                Some(Name { text, span })
            }
            _ => None,
        };
        let sizes = self.array_sizes()?;
        self.want(")")?;
        let mut ty = if self.is("(") {
            self.skip_parens()?;
            CType::Function
        } else {
            self.declarator_suffix(base)?
        };
        for _ in 0..stars.min(super::MAX_NESTING) {
            ty = CType::Pointer(Box::new(ty));
        }
        Ok((name, wrap(ty, sizes)))
    }

    fn declarator_suffix(&mut self, base: CType) -> Parsed<CType> {
        if self.is("(") {
            let span = self.peek().span;
            return self.fail(span, "functions cannot be declared here");
        }
        let sizes = self.array_sizes()?;
        Ok(wrap(base, sizes))
    }

    fn array_sizes(&mut self) -> Parsed<Vec<Option<Box<crate::lang::ast::Expr>>>> {
        let mut sizes = Vec::new();
        while self.eat("[") {
            if sizes.len() >= super::MAX_NESTING {
                let span = self.last_span();
                return self.too_deep(span);
            }
            if self.eat("]") {
                sizes.push(None);
                continue;
            }
            sizes.push(Some(Box::new(self.expr()?)));
            self.want("]")?;
        }
        Ok(sizes)
    }

    fn skip_parens(&mut self) -> Parsed<()> {
        let open = self.want("(")?;
        let mut depth = 1usize;
        while depth > 0 {
            match self.next().tok {
                Tok::Sym("(") => depth += 1,
                Tok::Sym(")") => depth -= 1,
                Tok::Eof => return self.fail(open, "parenthesis is not closed"),
                _ => {}
            }
        }
        Ok(())
    }
}

/// `base` as the element of arrays with `sizes`, outermost first.
fn wrap(base: CType, sizes: Vec<Option<Box<crate::lang::ast::Expr>>>) -> CType {
    sizes
        .into_iter()
        .rev()
        .fold(base, |ty, size| CType::Array(Box::new(ty), size))
}
