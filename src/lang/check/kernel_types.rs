//! The kernel's types as types of the script: each is taken from BTF when the script first comes to it.

use super::structs::Structs;
use crate::{
    btf::{Btf, Kind, Member, Node},
    spec::{StructDef, StructField, StructId, Type},
};

/// Pointers and arrays that are followed in one type.
const DEEPEST: usize = 32;

/// Largest value in bytes.
const LARGEST: u64 = 16 << 20;

impl Structs {
    /// The kernel's type of that name: a typedef, or with its keyword a struct, union or enumeration.
    pub(super) fn kernel_type(&mut self, keyword: &str, name: &str) -> Option<Type> {
        let btf = self.kernel.clone()?;
        let key = (keyword.to_owned(), name.to_owned());
        if let Some(known) = self.kernel_named.get(&key) {
            return known.clone();
        }
        let kinds: &[Kind] = match keyword {
            "struct" => &[Kind::Struct],
            "union" => &[Kind::Union],
            "enum" => &[Kind::Enum, Kind::Enum64],
            _ => &[Kind::Typedef],
        };
        let ty = btf.find(name, kinds).map(|id| self.of_btf(&btf, id));
        if let Some(ty) = &ty {
            self.know(ty);
        }
        self.kernel_named.insert(key, ty.clone());
        ty
    }

    /// The kernel's enumerator of that name: value and the type that it is of.
    pub(super) fn kernel_enumerator(&mut self, name: &str) -> Option<(i64, Type)> {
        let btf = self.kernel.clone()?;
        let (id, value) = btf.enumerator(name)?;
        Some((value, self.of_btf(&btf, id)))
    }

    /// The type of that id.
    pub(super) fn of_btf(&mut self, btf: &Btf, id: u32) -> Type {
        self.convert(btf, id, 0)
    }

    fn convert(&mut self, btf: &Btf, id: u32, depth: usize) -> Type {
        let id = btf.strip(id);
        let Some(node) = btf.node(id).filter(|_| depth < DEEPEST) else {
            return Type::Void;
        };
        match node.kind {
            Kind::Int => match btf.encoding(&node) {
                encoding if encoding.boolean && node.word == 1 => Type::Bool,
                encoding => Type::of_bytes(node.word, encoding.signed),
            },
            Kind::Enum | Kind::Enum64 => match Type::of_bytes(node.word, node.flag) {
                Type::Int { bits, .. } => Type::Enum {
                    name: btf.name(&node).to_owned(),
                    bits,
                    values: btf
                        .enumerators(&node)
                        .map(|(value, name)| (value, name.to_owned()))
                        .collect(),
                },
                other => other,
            },
            Kind::Ptr => Type::Ptr(Box::new(self.convert(btf, node.word, depth + 1))),
            Kind::Array => {
                let (elem, len) = btf.array(&node);
                let is_char = btf
                    .node(btf.strip(elem))
                    .is_some_and(|e| e.kind == Kind::Int && btf.name(&e) == "char");
                if is_char && len > 0 {
                    return Type::Str { size: len };
                }
                let elem = self.convert(btf, elem, depth + 1);
                let bytes = u64::from(elem.size(&self.defs)).max(1) * u64::from(len);
                Type::Array(Box::new(elem), if bytes > LARGEST { 0 } else { len })
            }
            Kind::Struct | Kind::Union => Type::Struct(self.kernel_struct(btf, id, &node)),
            Kind::Fwd => {
                // Declared only where it was used; defined elsewhere, or not at all.
                let kind = if node.flag { Kind::Union } else { Kind::Struct };
                match btf
                    .find(btf.name(&node), &[kind])
                    .and_then(|id| Some((id, btf.node(id)?)))
                {
                    Some((id, node)) => Type::Struct(self.kernel_struct(btf, id, &node)),
                    None => Type::Void,
                }
            }
            Kind::Float => Type::of_bytes(node.word, false),
            _ => Type::Void,
        }
    }

    /// The struct of that BTF id. Its size is known, its members only once they are asked for.
    fn kernel_struct(&mut self, btf: &Btf, id: u32, node: &Node) -> StructId {
        if let Some(known) = self.kernel_ids.get(&id) {
            return *known;
        }
        let keyword = match node.kind {
            Kind::Union => "union",
            _ => "struct",
        };
        let name = match btf.name(node) {
            "" => format!("{keyword} <anonymous {}>", self.defs.len()),
            name => format!("{keyword} {name}"),
        };
        let size = if u64::from(node.word) > LARGEST {
            0
        } else {
            node.word
        };
        let new = self.push(StructDef {
            name,
            size,
            align: 1,
            fields: Vec::new(),
        });
        self.kernel_ids.insert(id, new);
        self.kernel_members.insert(new, id);
        new
    }

    /// Sees to it that the members of a struct, or of what a pointer to one points to, are known.
    pub(super) fn know(&mut self, ty: &Type) {
        match ty {
            Type::Ptr(to) | Type::Array(to, _) => self.know(to),
            Type::Struct(id) => self.complete_kernel(*id),
            _ => {}
        }
    }

    /// Fills in the members of a struct of the kernel, and of those within it.
    fn complete_kernel(&mut self, id: StructId) {
        let Some(btf_id) = self.kernel_members.remove(&id) else {
            return;
        };
        let Some(btf) = self.kernel.clone() else {
            return;
        };
        let Some(node) = btf.node(btf_id) else { return };
        let members: Vec<Member<'_>> = btf.members(&node).collect();
        let mut fields = Vec::with_capacity(members.len());
        let mut align = 1;
        for member in members {
            let ty = self.of_btf(&btf, member.ty);
            // By value it is a part of this one.
            if matches!(ty, Type::Struct(_) | Type::Array(..)) && !is_array_of_pointers(&ty) {
                self.know(&ty);
            }
            let natural = ty.align(&self.defs).max(1);
            let size = ty.size(&self.defs).into();
            let width = (member.width > 0).then_some(member.width.into());
            let field = StructField::of_c(member.name, ty, size, member.bit.into(), width);
            if let Some(field) = field {
                if field.offset % natural == 0 && node.word % natural == 0 {
                    align = align.max(natural);
                }
                fields.push(field);
            }
        }
        if let Some(def) = self.defs.get_mut(id.0 as usize) {
            def.align = align;
            def.fields = fields;
        }
    }

    /// Whether the members of that struct come from the kernel.
    pub(super) fn is_of_kernel(&self, id: StructId) -> bool {
        self.kernel_ids.values().any(|known| *known == id)
    }
}

fn is_array_of_pointers(ty: &Type) -> bool {
    match ty {
        Type::Array(elem, _) => is_array_of_pointers(elem),
        Type::Ptr(_) => true,
        _ => false,
    }
}
