//! From C types to the types of script values.

use std::collections::HashMap;

use crate::dwarf::types::{CStruct, CType, DEEPEST, Member, TypeRef, Types};
use crate::spec::{StructDef, StructField, StructId, Type};

/// Largest value by value; what is larger is left out.
const LARGEST: u64 = 16 << 20;

/// Makes script types of the types of one graph.
///
/// A struct is added to the script's table when it is first met, with all that it can reach. One that the table has under
/// that name, as from the script's own preamble, is taken as it is there.
#[derive(Debug)]
pub struct Converter<'t> {
    types: &'t Types,
    structs: &'t mut Vec<StructDef>,
    ids: HashMap<TypeRef, StructId>,
    /// Structs whose members are still to be converted.
    todo: Vec<(TypeRef, StructId)>,
}

impl<'t> Converter<'t> {
    /// Converts types of `types` into types that use the table `structs`.
    pub fn new(types: &'t Types, structs: &'t mut Vec<StructDef>) -> Converter<'t> {
        Converter {
            types,
            structs,
            ids: HashMap::new(),
            todo: Vec::new(),
        }
    }

    /// The script type of `ty`, all structs within it complete.
    pub fn convert(&mut self, ty: TypeRef) -> Type {
        let converted = self.one(ty, 0);
        while let Some((ty, id)) = self.todo.pop() {
            if let CType::Struct(s) = self.types.get(ty) {
                let fields = s.members.iter().filter_map(|m| self.field(m)).collect();
                if let Some(def) = self.structs.get_mut(id.0 as usize) {
                    def.fields = fields;
                }
            }
        }
        converted
    }

    fn one(&mut self, ty: TypeRef, depth: usize) -> Type {
        let ty = self.types.strip(ty);
        if depth > DEEPEST {
            return Type::Void;
        }
        match self.types.get(ty) {
            CType::Void | CType::Function | CType::Typedef(..) | CType::Qualified(..) => Type::Void,
            CType::Int { bytes, signed, .. } => Type::of_bytes(*bytes, *signed),
            CType::Float { bytes, .. } => Type::of_bytes(*bytes, false),
            CType::Ptr { to, .. } => Type::Ptr(Box::new(self.one(*to, depth + 1))),
            CType::Array(elem, len) => {
                let (elem_size, len) = (self.types.size(*elem), *len);
                let fits = elem_size.max(1).saturating_mul(len) <= LARGEST;
                let len = if fits {
                    u32::try_from(len).unwrap_or(0)
                } else {
                    0
                };
                if len > 0 && self.is_char(*elem) {
                    return Type::Str { size: len };
                }
                Type::Array(Box::new(self.one(*elem, depth + 1)), len)
            }
            CType::Struct(s) => Type::Struct(self.id(ty, s)),
            CType::Enum {
                name,
                bytes,
                values,
            } => match Type::of_bytes(*bytes, true) {
                Type::Int { bits, .. } => Type::Enum {
                    name: name.clone(),
                    bits,
                    values: values.clone(),
                },
                other => other,
            },
        }
    }

    fn is_char(&self, ty: TypeRef) -> bool {
        matches!(self.types.get(self.types.strip(ty)), CType::Int { name, bytes: 1, .. } if name == "char")
    }

    fn id(&mut self, ty: TypeRef, s: &CStruct) -> StructId {
        if let Some(id) = self.ids.get(&ty) {
            return *id;
        }
        let keyword = if s.union { "union" } else { "struct" };
        let name = match s.name.as_str() {
            "" => format!("{keyword} <anonymous {}>", self.structs.len()),
            name => format!("{keyword} {name}"),
        };
        let size = u32::try_from(s.size)
            .ok()
            .filter(|n| u64::from(*n) <= LARGEST);
        let size = size.unwrap_or(0);
        let known = self.structs.iter().position(|def| def.name == name);
        let number = known.unwrap_or(self.structs.len());
        let id = StructId(u32::try_from(number).unwrap_or(u32::MAX));
        self.ids.insert(ty, id);
        let align = u32::try_from(self.types.align(ty)).unwrap_or(1);
        let def = StructDef {
            name,
            size,
            align,
            fields: Vec::new(),
        };
        match self.structs.get_mut(number) {
            None => self.structs.push(def),
            // Named before, but not defined.
            Some(old) if old.size == 0 && old.fields.is_empty() => *old = def,
            Some(_) => return id,
        }
        self.todo.push((ty, id));
        id
    }

    fn field(&mut self, member: &Member) -> Option<StructField> {
        let ty = self.one(member.ty, 0);
        let size = self.types.size(member.ty);
        StructField::of_c(&member.name, ty, size, member.bit, member.width)
    }
}
