//! The script's C types with their layout (System V), and types as written in scripts.

use super::{constant, said, words};
use crate::{
    btf::Btf,
    span::Span,
    spec::{DebugInfo, StructDef, StructField, StructId, Type},
};
use crate::{
    lang::{
        ast::{CDef, CMember, CStruct, CType, Tag, TypeExpr, TypeExprKind},
        diag::Diagnostic,
    },
    suggest,
};
use std::collections::HashMap;

/// Named types: plain ones.
const NAMED: &[(&str, Type)] = &[
    ("void", Type::Void),
    ("bool", Type::Bool),
    ("_Bool", Type::U8),
    ("inet", Type::Inet),
    ("username", Type::Username),
    ("macaddr_t", Type::Mac),
    ("hash256_t", Type::Hash),
    ("usym_t", Type::Sym { user: true }),
    ("ksym_t", Type::Sym { user: false }),
    (
        "cgroup_path_t",
        Type::CgroupPath {
            filter: String::new(),
        },
    ),
];

/// Largest array or struct in bytes.
const MAX_SIZE: u64 = 1 << 24;

/// Where a member lies: byte offset, type, bit-field.
type Place = (u32, Type, Option<(u8, u8)>);

/// All types of a script that have names.
#[derive(Default)]
pub(super) struct Structs {
    /// By `StructId`; a struct that is only named has size 0 and no fields.
    pub(super) defs: Vec<StructDef>,
    complete: Vec<bool>,
    /// The first so many come from debug information.
    adopted: usize,
    /// Enumerations of debug information, by tag.
    debug_enums: HashMap<String, Type>,
    ids: HashMap<String, StructId>,
    typedefs: HashMap<String, Type>,
    enums: HashMap<String, Type>,
    /// Enumerators with their enum's tag.
    pub(super) values: HashMap<String, (i64, String)>,
    max_strlen: u32,
    /// The kernel's types.
    pub(super) kernel: Option<Btf>,
    /// Structs of the kernel by their BTF id.
    pub(super) kernel_ids: HashMap<u32, StructId>,
    /// BTF ids of structs whose members nobody has asked for yet.
    pub(super) kernel_members: HashMap<StructId, u32>,
    /// Types of the kernel by keyword and name, as far as asked for.
    pub(super) kernel_named: HashMap<(String, String), Option<Type>>,
    /// Names that are no types but whose value's type is meant, as in `typeof(pid)`.
    pub(super) meant: HashMap<String, Type>,
    /// Said once the walks are over.
    pub(super) late: Vec<Diagnostic>,
}

impl Structs {
    /// `headers`: definitions of C headers; what is wrong with them is missed by those who use it only.
    pub(super) fn build(
        headers: &[CDef],
        defs: &[CDef],
        diags: &mut Vec<Diagnostic>,
        max_strlen: u32,
        debug: &DebugInfo,
        kernel: Option<&Btf>,
    ) -> Structs {
        let mut structs = Structs {
            max_strlen,
            kernel: kernel.cloned(),
            ..Structs::default()
        };
        structs.adopt(debug);
        for def in headers {
            // Refused by name where it is used.
            let _ = structs.take(def);
        }
        for def in defs {
            if let Err(diag) = structs.take(def) {
                diags.push(said::by_clang(diag));
            }
        }
        structs
    }

    fn take(&mut self, def: &CDef) -> Result<(), Diagnostic> {
        match def {
            CDef::Struct(def) => self.define(def).map(|_| ()),
            CDef::Enum { tag, values, span } => self.define_enum(tag, values, *span),
            CDef::Typedef { name, ty } => {
                let ty = self.c_type(ty, name.span)?;
                self.typedefs.insert(name.text.clone(), ty);
                Ok(())
            }
        }
    }

    /// Takes over the types of debug information; the script's own go before them.
    fn adopt(&mut self, debug: &DebugInfo) {
        for (id, def) in (0u32..).zip(&debug.structs) {
            self.ids.entry(def.name.clone()).or_insert(StructId(id));
            self.defs.push(def.clone());
            self.complete.push(false);
        }
        self.adopted = debug.structs.len();
        for (name, ty) in &debug.types {
            match name.strip_prefix("enum ") {
                Some(tag) => self.debug_enums.insert(tag.to_string(), ty.clone()),
                None => self.typedefs.insert(name.clone(), ty.clone()),
            };
        }
    }

    /// A name for a type that no script can write.
    pub(super) fn name_type(&mut self, ty: &Type) -> String {
        let name = format!("<{}>", words::name(ty, &self.defs));
        let name = match self.typedefs.get(&name) {
            Some(known) if known != ty => format!("<{ty:?}>"),
            _ => name,
        };
        self.typedefs.insert(name.clone(), ty.clone());
        name
    }

    /// The type of an enumerator.
    pub(super) fn enum_type(&self, tag: &str) -> Type {
        self.enums.get(tag).cloned().unwrap_or(Type::I64)
    }

    /// Whether one of the enumerators has this value; true for an enum that is not known.
    pub(super) fn enum_has(&self, tag: &str, value: i128) -> bool {
        match self.enums.get(tag) {
            Some(Type::Enum { values, .. }) => values.iter().any(|(v, _)| i128::from(*v) == value),
            _ => true,
        }
    }

    /// Whether a struct's members are known.
    pub(super) fn is_complete(&self, id: StructId) -> bool {
        let at = id.0 as usize;
        let adopted = at < self.adopted
            && self
                .defs
                .get(at)
                .is_some_and(|def| def.size > 0 || !def.fields.is_empty());
        adopted || self.is_defined(id) || self.is_of_kernel(id)
    }

    /// Whether the script defines it.
    pub(super) fn is_defined(&self, id: StructId) -> bool {
        self.complete.get(id.0 as usize).copied().unwrap_or(false)
    }

    fn id(&mut self, key: String) -> StructId {
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = self.push(StructDef {
            name: key.clone(),
            size: 0,
            align: 1,
            fields: Vec::new(),
        });
        self.ids.insert(key, id);
        id
    }

    /// Adds a struct that no name leads to.
    pub(super) fn push(&mut self, def: StructDef) -> StructId {
        let id = StructId(u32::try_from(self.defs.len()).unwrap_or(u32::MAX));
        self.defs.push(def);
        self.complete.push(false);
        id
    }

    fn define_enum(
        &mut self,
        tag: &str,
        values: &[(crate::lang::ast::Name, Option<crate::lang::ast::Expr>)],
        span: Span,
    ) -> Result<(), Diagnostic> {
        let mut next = 0i64;
        let mut list = Vec::new();
        for (name, value) in values {
            if let Some(value) = value {
                next = self.constant(value)?;
            }
            if self.values.contains_key(&name.text) {
                return Err(Diagnostic::error(
                    name.span,
                    format!("enumerator `{}` is defined twice", name.text),
                )
                .said_by_clang(
                    name.span,
                    format!("redefinition of enumerator '{}'", name.text),
                ));
            }
            list.push((next, name.text.clone()));
            self.values
                .insert(name.text.clone(), (next, tag.to_string()));
            next = next.wrapping_add(1);
        }
        let wide = list
            .iter()
            .any(|(v, _)| i32::try_from(*v).is_err() && u32::try_from(*v).is_err());
        let ty = Type::Enum {
            name: tag.to_string(),
            bits: if wide { 64 } else { 32 },
            values: list,
        };
        if self.enums.insert(tag.to_string(), ty).is_some() && !tag.is_empty() {
            return Err(
                Diagnostic::error(span, format!("`enum {tag}` is defined twice")).said_by_clang(
                    said::behind(span, "enum "),
                    format!("redefinition of '{tag}'"),
                ),
            );
        }
        Ok(())
    }

    /// A constant expression of the preamble.
    fn constant(&self, expr: &crate::lang::ast::Expr) -> Result<i64, Diagnostic> {
        let value = |name: &str| self.values.get(name).map(|(v, _)| *v);
        constant::eval(expr, &value, &|ty| self.size_of(ty)).ok_or_else(|| {
            Diagnostic::error(expr.span, "this is not known at compile time")
                .help("numbers, enumerators and `#define`s are")
        })
    }

    /// `sizeof` of a type that is known by now.
    fn size_of(&self, ty: &TypeExpr) -> Option<i64> {
        let size = match &ty.kind {
            TypeExprKind::Named(name) => {
                let ty = self.typedefs.get(name).cloned().or_else(|| named(name))?;
                ty.size(&self.defs)
            }
            TypeExprKind::Tagged(tag, name) => {
                let keyword = match tag {
                    Tag::Union => "union",
                    Tag::Enum => return Some(4),
                    Tag::Struct => "struct",
                };
                let id = *self.ids.get(&format!("{keyword} {name}"))?;
                let complete = self.is_complete(id);
                self.defs.get(id.0 as usize).filter(|_| complete)?.size
            }
            TypeExprKind::Pointer(_) => 8,
            _ => return None,
        };
        Some(i64::from(size))
    }

    fn define(&mut self, def: &CStruct) -> Result<StructId, Diagnostic> {
        let keyword = if def.tag == Tag::Union {
            "union"
        } else {
            "struct"
        };
        let key = if def.name.is_empty() {
            format!("{keyword} <anonymous {}>", self.defs.len())
        } else {
            format!("{keyword} {}", def.name)
        };
        let id = self.id(key.clone());
        if self.is_defined(id) {
            return Err(
                Diagnostic::error(def.span, format!("`{key}` is defined twice")).said_by_clang(
                    said::behind(def.span, &format!("{keyword} ")),
                    format!("redefinition of '{}'", def.name),
                ),
            );
        }
        let mut layout = Layout {
            union: def.tag == Tag::Union,
            packed: def.packed,
            bit: 0,
            size: 0,
            align: def.align.max(1),
            fields: Vec::new(),
        };
        for (i, member) in def.members.iter().enumerate() {
            let before = &def.members[..i];
            if !member.name.is_empty() && before.iter().any(|m| m.name == member.name) {
                let text = format!("`{key}` has two members `{}`", member.name);
                return Err(Diagnostic::error(member.span, text)
                    .said_by_clang(member.span, format!("duplicate member '{}'", member.name)));
            }
            let ty = self.c_type(&member.ty, member.span)?;
            if let Type::Struct(inner) = ty
                && (inner == id || !self.is_complete(inner))
            {
                return Err(Diagnostic::error(
                    member.span,
                    format!("`{}` is not known here", self.name_of(inner)),
                )
                .help("a struct can hold pointers to what is not defined yet, not the thing")
                .said_by_clang(
                    member.span,
                    format!("field has incomplete type '{}'", self.name_of(inner)),
                ));
            }
            layout.place(member, ty, &self.defs)?;
        }
        let bytes = layout.size.max(layout.bit.div_ceil(8));
        let size = bytes.next_multiple_of(u64::from(layout.align));
        if size > MAX_SIZE {
            return Err(Diagnostic::error(
                def.span,
                format!("`{key}` is larger than 16 MiB"),
            ));
        }
        let align = layout.align;
        let fields = layout.fields;
        if let Some(slot) = self.defs.get_mut(id.0 as usize) {
            slot.size = u32::try_from(size).unwrap_or(0);
            slot.align = align;
            slot.fields = fields;
        }
        if let Some(done) = self.complete.get_mut(id.0 as usize) {
            *done = true;
        }
        Ok(id)
    }

    fn name_of(&self, id: StructId) -> &str {
        self.defs
            .get(id.0 as usize)
            .map_or("struct", |s| s.name.as_str())
    }

    fn c_type(&mut self, ty: &CType, span: Span) -> Result<Type, Diagnostic> {
        Ok(match ty {
            CType::Base(base) => match self.written(base, &mut |_| None)? {
                // C's `bool` is a number.
                Type::Bool => Type::U8,
                ty => ty,
            },
            CType::Inline(def) => Type::Struct(self.define(def)?),
            CType::Pointer(inner) => Type::Ptr(Box::new(match &**inner {
                CType::Function => Type::Void,
                inner => self.c_type(inner, span)?,
            })),
            CType::Array(inner, size) => {
                let is_char = matches!(&**inner, CType::Base(TypeExpr { kind: TypeExprKind::Named(n), .. }) if n == "char");
                let elem = self.c_type(inner, span)?;
                let len = match size {
                    Some(expr) => self.constant(expr)?,
                    None => 0,
                };
                let len = self.array_len(&elem, len, span)?;
                if is_char && len > 0 {
                    Type::Str { size: len }
                } else {
                    Type::Array(Box::new(elem), len)
                }
            }
            CType::Function => Type::Void,
        })
    }

    fn array_len(&self, elem: &Type, len: i64, span: Span) -> Result<u32, Diagnostic> {
        let bytes = u64::try_from(len)
            .ok()
            .and_then(|n| n.checked_mul(u64::from(elem.size(&self.defs)).max(1)));
        match (bytes, u32::try_from(len)) {
            (Some(bytes), Ok(len)) if bytes <= MAX_SIZE => Ok(len),
            _ => Err(Diagnostic::error(
                span,
                format!("array cannot have {len} elements"),
            )),
        }
    }

    /// Whether a bare name is a type.
    pub(super) fn is_type(&self, name: &str) -> bool {
        self.typedefs.contains_key(name)
            || named(name).is_some()
            || matches!(name, "string" | "buffer")
    }

    /// The type that is written. `type_of` gives the type of `typeof`'s expression and of names that are no type.
    pub(super) fn written(
        &mut self,
        ty: &TypeExpr,
        type_of: &mut dyn FnMut(&crate::lang::ast::Expr) -> Option<Type>,
    ) -> Result<Type, Diagnostic> {
        let unknown = |what: &str, help: Option<String>| {
            Err(Diagnostic::error(ty.span, format!("unknown type `{what}`"))
                .maybe_help(help)
                .said(match what.strip_prefix("enum ") {
                    Some(name) => format!("Unknown enum: {name}"),
                    None => format!("Cannot resolve unknown type \"{what}\""),
                }))
        };
        Ok(match &ty.kind {
            TypeExprKind::Named(name) => {
                if let Some(ty) = self.typedefs.get(name) {
                    return Ok(ty.clone());
                }
                match name.as_str() {
                    "string" => Type::Str {
                        size: self.max_strlen,
                    },
                    "buffer" => Type::Buf {
                        size: self.max_strlen,
                    },
                    _ => match named(name)
                        .or_else(|| self.meant.get(name).cloned())
                        .or_else(|| self.kernel_type("", name))
                    {
                        Some(ty) => ty,
                        None => {
                            let tagged =
                                self.ids.keys().find(|k| k.split(' ').nth(1) == Some(name));
                            let help = match tagged {
                                Some(key) => Some(format!("write `{key}`")),
                                None => suggest::did_you_mean(
                                    name,
                                    crate::lang::parser::TYPE_NAMES
                                        .iter()
                                        .copied()
                                        .chain(self.typedefs.keys().map(String::as_str)),
                                ),
                            };
                            return unknown(name, help);
                        }
                    },
                }
            }
            TypeExprKind::Tagged(Tag::Enum, name) => {
                let known = self.enums.get(name).or_else(|| self.debug_enums.get(name));
                match known.cloned().or_else(|| self.kernel_type("enum", name)) {
                    Some(ty) => ty,
                    None => return unknown(&format!("enum {name}"), None),
                }
            }
            TypeExprKind::Tagged(tag, name) => {
                let keyword = if *tag == Tag::Union {
                    "union"
                } else {
                    "struct"
                };
                let key = format!("{keyword} {name}");
                let known = self.ids.get(&key).copied();
                if !known.is_some_and(|id| self.is_complete(id))
                    && let Some(ty) = self.kernel_type(keyword, name)
                {
                    return Ok(ty);
                }
                Type::Struct(self.id(key))
            }
            TypeExprKind::Pointer(inner) => Type::Ptr(Box::new(self.written(inner, type_of)?)),
            TypeExprKind::Array(inner, size) => {
                let elem = self.written(inner, type_of)?;
                let len = match size {
                    Some(expr) => self.constant(expr)?,
                    None => 0,
                };
                let parameter =
                    matches!(&inner.kind, TypeExprKind::Named(n) if n == "string" || n == "buffer");
                let counted = if parameter { &Type::U8 } else { &elem };
                let len = self.array_len(counted, len, ty.span)?;
                match (&inner.kind, elem) {
                    (TypeExprKind::Named(n), Type::Str { .. }) if n == "string" => {
                        Type::Str { size: len.max(1) }
                    }
                    (TypeExprKind::Named(n), Type::Buf { .. }) if n == "buffer" => {
                        Type::Buf { size: len.max(1) }
                    }
                    (_, Type::Inet) => Type::Inet,
                    (_, elem) => Type::Array(Box::new(elem), len),
                }
            }
            TypeExprKind::Tuple(elems) => {
                let mut types = Vec::new();
                for elem in elems {
                    types.push(self.written(elem, type_of)?);
                }
                Type::Tuple(types)
            }
            TypeExprKind::Typeof(expr) => match type_of(expr) {
                Some(ty) => ty,
                None => {
                    return Err(Diagnostic::error(expr.span, "this has no type"));
                }
            },
        })
    }

    /// A member, also through anonymous ones: offset, type, bit-field.
    pub(super) fn member(&self, id: StructId, name: &str) -> Option<Place> {
        let def = self.defs.get(id.0 as usize)?;
        for field in &def.fields {
            if field.name == name {
                return Some((field.offset, field.ty.clone(), field.bits));
            }
            if let (true, Type::Struct(inner)) = (field.name.is_empty(), &field.ty)
                && let Some((offset, ty, bits)) = self.member(*inner, name)
            {
                return Some((field.offset + offset, ty, bits));
            }
        }
        None
    }

    /// Names of all members, for suggestions.
    pub(super) fn member_names(&self, id: StructId) -> Vec<&str> {
        let mut names = Vec::new();
        if let Some(def) = self.defs.get(id.0 as usize) {
            for field in &def.fields {
                match &field.ty {
                    Type::Struct(inner) if field.name.is_empty() => {
                        names.extend(self.member_names(*inner));
                    }
                    _ => names.push(field.name.as_str()),
                }
            }
        }
        names
    }
}

/// Whether a bare name is no type of the language.
pub(super) fn is_unknown(name: &str) -> bool {
    named(name).is_none() && !matches!(name, "string" | "buffer")
}

/// A type by its name alone: the language's, C's, and their usual aliases.
pub(super) fn named(name: &str) -> Option<Type> {
    if let Some((_, ty)) = NAMED.iter().find(|(n, _)| *n == name) {
        return Some(ty.clone());
    }
    let int = |bits, signed| Some(Type::Int { bits, signed });
    let words: Vec<&str> = name.split(' ').collect();
    if words.iter().all(|w| {
        matches!(
            *w,
            "unsigned" | "signed" | "char" | "short" | "int" | "long"
        )
    }) {
        let signed = !words.contains(&"unsigned");
        let bits = if words.contains(&"char") {
            8
        } else if words.contains(&"short") {
            16
        } else if words.contains(&"long") {
            64
        } else {
            32
        };
        return int(bits, signed);
    }
    match name {
        "size_t" | "uintptr_t" => return int(64, false),
        "ssize_t" | "intptr_t" | "ptrdiff_t" | "off_t" | "time_t" | "loff_t" => {
            return int(64, true);
        }
        "pid_t" => return int(32, true),
        "uid_t" | "gid_t" => return int(32, false),
        _ => {}
    }
    let short = name.trim_start_matches("__").trim_end_matches("_t");
    let (signed, bits) = if let Some(bits) = short.strip_prefix("uint").or(short.strip_prefix('u'))
    {
        (false, bits)
    } else {
        (true, short.strip_prefix("int").or(short.strip_prefix('s'))?)
    };
    match bits {
        "8" => int(8, signed),
        "16" => int(16, signed),
        "32" => int(32, signed),
        "64" => int(64, signed),
        _ => None,
    }
}

/// A struct while its members are placed.
struct Layout {
    union: bool,
    packed: bool,
    /// Next free bit.
    bit: u64,
    size: u64,
    align: u32,
    fields: Vec<StructField>,
}

impl Layout {
    fn place(&mut self, member: &CMember, ty: Type, defs: &[StructDef]) -> Result<(), Diagnostic> {
        if ty == Type::Void {
            return Err(Diagnostic::error(
                member.span,
                format!("member `{}` cannot be void", member.name),
            ));
        }
        if self.union {
            self.bit = 0;
        }
        let size = u64::from(ty.size(defs));
        let own = if self.packed {
            1
        } else {
            ty.align(defs).max(1)
        };
        let align = match member.align {
            Some(1) => 1,
            Some(least) => own.max(least),
            None => own,
        };
        match member.bits {
            Some(width) => return self.bit_field(member, ty, width, align),
            None => {
                let at = self.bit.div_ceil(8).next_multiple_of(u64::from(align));
                self.align = self.align.max(align);
                self.bit = (at + size) * 8;
                self.fields.push(StructField {
                    name: member.name.clone(),
                    ty,
                    offset: u32::try_from(at).unwrap_or(u32::MAX),
                    bits: None,
                });
            }
        }
        self.size = self.size.max(self.bit.div_ceil(8));
        Ok(())
    }

    fn bit_field(
        &mut self,
        member: &CMember,
        ty: Type,
        width: u8,
        align: u32,
    ) -> Result<(), Diagnostic> {
        let unit = match &ty {
            Type::Int { bits, .. } | Type::Enum { bits, .. } => u64::from(*bits),
            Type::Bool => 8,
            _ => {
                return Err(Diagnostic::error(
                    member.span,
                    "only integers can be bit-fields",
                ));
            }
        };
        let wide = u64::from(width);
        if wide > unit {
            return Err(Diagnostic::error(
                member.span,
                format!("bit-field of {width} bits is wider than its type"),
            ));
        }
        if width == 0 {
            self.bit = self.bit.next_multiple_of(unit);
            return Ok(());
        }
        if !self.packed && self.bit / unit != (self.bit + wide - 1) / unit {
            self.bit = self.bit.next_multiple_of(unit);
        }
        // The unit that is read: the declared type's where it covers the field, else a wider one from its byte.
        let mut start = self.bit / unit * unit;
        let mut ty = ty;
        if self.bit + wide > start + unit {
            start = self.bit / 8 * 8;
            let need = self.bit + wide - start;
            let signed = matches!(ty, Type::Int { signed: true, .. });
            ty = Type::Int {
                bits: if need <= 16 {
                    16
                } else if need <= 32 {
                    32
                } else {
                    64
                },
                signed,
            };
        }
        if !member.name.is_empty() {
            self.align = self.align.max(align);
            self.fields.push(StructField {
                name: member.name.clone(),
                ty,
                offset: u32::try_from(start / 8).unwrap_or(u32::MAX),
                bits: Some((u8::try_from(self.bit - start).unwrap_or(0), width)),
            });
        }
        self.bit += wide;
        self.size = self.size.max(self.bit.div_ceil(8));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(source: &str) -> (Structs, Vec<String>) {
        let script = crate::lang::parse(&format!("{source} begin {{ }}")).unwrap();
        let mut diags = Vec::new();
        let structs = Structs::build(
            &[],
            &script.defs,
            &mut diags,
            1024,
            &DebugInfo::default(),
            None,
        );
        (structs, diags.into_iter().map(|d| d.message).collect())
    }

    type Member = (String, u32, Option<(u8, u8)>);

    fn offsets(source: &str) -> (u32, Vec<Member>) {
        let (structs, diags) = layout(source);
        assert_eq!(diags, Vec::<String>::new(), "{source}");
        let def = structs.defs.iter().find(|d| d.name == "struct s").unwrap();
        let fields = def.fields.iter();
        (
            def.size,
            fields.map(|f| (f.name.clone(), f.offset, f.bits)).collect(),
        )
    }

    fn f(name: &str, at: u32) -> (String, u32, Option<(u8, u8)>) {
        (name.to_string(), at, None)
    }

    #[test]
    fn members_lie_as_a_c_compiler_lays_them() {
        assert_eq!(
            offsets("struct s { char a; int b; short c; long d[2]; char *e; }"),
            (
                40,
                vec![f("a", 0), f("b", 4), f("c", 8), f("d", 16), f("e", 32)]
            )
        );
        assert_eq!(
            offsets("struct s { char a; int b; } __attribute__((packed))"),
            (5, vec![f("a", 0), f("b", 1)])
        );
        let bits = |name: &str, at, first, width| (name.to_string(), at, Some((first, width)));
        assert_eq!(
            offsets("struct s { int a : 3; int b : 30; unsigned char c : 4; int : 0; char d; }"),
            (
                16,
                vec![
                    bits("a", 0, 0, 3),
                    bits("b", 4, 0, 30),
                    bits("c", 8, 0, 4),
                    f("d", 12)
                ]
            )
        );
    }

    #[test]
    fn anonymous_members_are_looked_through() {
        let (structs, _) = layout("struct s { int a; union { int b; struct { char c, d; }; }; }");
        let id = structs.ids["struct s"];
        assert_eq!(structs.member(id, "d").map(|m| m.0), Some(5));
        assert_eq!(structs.member_names(id), ["a", "b", "c", "d"]);
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(
            layout("struct s { struct t x; }").1,
            ["`struct t` is not known here"]
        );
        assert_eq!(
            layout("struct s { struct s x; }").1,
            ["`struct s` is not known here"]
        );
        assert_eq!(layout("struct s { foo x; }").1, ["unknown type `foo`"]);
        assert_eq!(
            layout("struct s { int x[-1]; }").1,
            ["array cannot have -1 elements"]
        );
        assert_eq!(
            layout("enum a { X } ; enum b { X }").1,
            ["enumerator `X` is defined twice"]
        );
    }

    #[test]
    fn names_of_integers() {
        for (name, bits, signed) in [
            ("unsigned long long int", 64, false),
            ("short int", 16, true),
            ("uint8_t", 8, false),
            ("__s32", 32, true),
            ("u64", 64, false),
            ("size_t", 64, false),
        ] {
            assert_eq!(named(name), Some(Type::Int { bits, signed }), "{name}");
        }
        assert_eq!(named("uint7"), None);
    }
}
