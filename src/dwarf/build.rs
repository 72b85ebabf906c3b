//! From entries of debug information to a graph of C types, nearest first.

use std::collections::{HashMap, VecDeque};

use gimli::{AttributeValue, DwAte, DwTag, constants as dw};

use crate::dwarf::Error;
use crate::dwarf::section::Slice;
use crate::dwarf::types::{CStruct, CType, Member, TypeRef, Types};
use crate::dwarf::units::{Die, Place, Units};

/// Types of one graph: what is further away is left `void`.
const MAX_TYPES: usize = 20_000;
/// Members of a struct, values of an enumeration.
const MAX_MEMBERS: usize = 1 << 16;
/// Dimensions of an array.
const MAX_DIMS: usize = 8;

/// Builds a graph: types are numbered when first referred to and read in that order.
pub(super) struct Builder<'u, 'd, 's> {
    units: &'u mut Units<'d, 's>,
    ids: HashMap<Place, TypeRef>,
    queue: VecDeque<(TypeRef, Place)>,
    nodes: Vec<CType>,
}

impl<'u, 'd, 's> Builder<'u, 'd, 's> {
    /// A graph with nothing but `void`.
    pub(super) fn new(units: &'u mut Units<'d, 's>) -> Builder<'u, 'd, 's> {
        Builder {
            units,
            ids: HashMap::new(),
            queue: VecDeque::new(),
            nodes: vec![CType::Void],
        }
    }

    /// The units that are read.
    pub(super) fn units(&mut self) -> &mut Units<'d, 's> {
        self.units
    }

    /// The type that an entry at `place` describes.
    pub(super) fn at(&mut self, place: Place) -> TypeRef {
        if let Some(ty) = self.ids.get(&place) {
            return *ty;
        }
        if self.nodes.len() >= MAX_TYPES {
            return TypeRef::VOID;
        }
        let ty = self.push(CType::Void);
        self.ids.insert(place, ty);
        self.queue.push_back((ty, place));
        ty
    }

    /// The type that attribute `DW_AT_type` of an entry of unit `number` names; `void` without.
    pub(super) fn of(&mut self, number: usize, die: &Die<'s>) -> TypeRef {
        let place = die
            .attr_value(dw::DW_AT_type)
            .and_then(|value| self.units.target(number, &value));
        place.map_or(TypeRef::VOID, |place| self.at(place))
    }

    /// Reads all types that are reachable.
    ///
    /// # Errors
    /// Only for too many entries; a type that cannot be read is `void`.
    pub(super) fn finish(mut self) -> Result<Types, Error> {
        while let Some((ty, place)) = self.queue.pop_front() {
            let node = match self.read(place) {
                Ok(node) => node,
                Err(Error::TooLarge) => return Err(Error::TooLarge),
                Err(_) => CType::Void,
            };
            if let Some(slot) = self.nodes.get_mut(ty.0 as usize) {
                *slot = node;
            }
        }
        Ok(Types { nodes: self.nodes })
    }

    fn push(&mut self, node: CType) -> TypeRef {
        let ty = TypeRef(u32::try_from(self.nodes.len()).unwrap_or(0));
        self.nodes.push(node);
        ty
    }

    fn read(&mut self, place: Place) -> Result<CType, Error> {
        let die = self.units.entry(place)?;
        let bytes = number(&die, dw::DW_AT_byte_size).unwrap_or(0);
        let small = u32::try_from(bytes).unwrap_or(0);
        let ptr = |this: &mut Self, mark| CType::Ptr {
            to: this.of(place.0, &die),
            mark,
        };
        let qualified = |this: &mut Self, word| CType::Qualified(word, this.of(place.0, &die));
        Ok(match die.tag() {
            dw::DW_TAG_base_type => base(self.name(place, &die)?, small, &die),
            dw::DW_TAG_pointer_type => ptr(self, "*"),
            dw::DW_TAG_reference_type => ptr(self, "&"),
            dw::DW_TAG_rvalue_reference_type => ptr(self, "&&"),
            dw::DW_TAG_const_type => qualified(self, "const"),
            dw::DW_TAG_volatile_type => qualified(self, "volatile"),
            dw::DW_TAG_restrict_type => qualified(self, "restrict"),
            dw::DW_TAG_atomic_type => qualified(self, "_Atomic"),
            dw::DW_TAG_typedef | dw::DW_TAG_template_alias => {
                CType::Typedef(self.name(place, &die)?, self.of(place.0, &die))
            }
            dw::DW_TAG_subroutine_type => CType::Function,
            dw::DW_TAG_array_type => self.array(place, &die)?,
            dw::DW_TAG_enumeration_type => self.enumeration(place, &die, small)?,
            dw::DW_TAG_structure_type | dw::DW_TAG_class_type | dw::DW_TAG_union_type => {
                return self.structure(place, &die, bytes);
            }
            dw::DW_TAG_unspecified_type => CType::Void,
            // A pointer to a member is a number.
            dw::DW_TAG_ptr_to_member_type => CType::Int {
                name: "ptrdiff_t".to_owned(),
                bytes: 8,
                signed: true,
                boolean: false,
            },
            _ => CType::Void,
        })
    }

    fn name(&mut self, place: Place, die: &Die<'s>) -> Result<String, Error> {
        let unit = self.units.unit(place.0)?;
        Ok(self.units.text(&unit, die.attr_value(dw::DW_AT_name)))
    }

    fn array(&mut self, place: Place, die: &Die<'s>) -> Result<CType, Error> {
        let mut dims: Vec<u64> = Vec::new();
        self.units.children(place, |child| {
            if child.tag() == dw::DW_TAG_subrange_type && dims.len() < MAX_DIMS {
                let upper = || {
                    let value = child.attr_value(dw::DW_AT_upper_bound)?;
                    // Signed -1 stands for no elements.
                    let last = value.sdata_value().filter(|n| *n >= 0)?;
                    u64::try_from(last).ok()?.checked_add(1)
                };
                dims.push(number(child, dw::DW_AT_count).or_else(upper).unwrap_or(0));
            }
        })?;
        let mut elem = self.of(place.0, die);
        let first = dims.first().copied().unwrap_or(0);
        for len in dims.iter().skip(1).rev() {
            elem = self.push(CType::Array(elem, *len));
        }
        Ok(CType::Array(elem, first))
    }

    fn enumeration(&mut self, place: Place, die: &Die<'s>, bytes: u32) -> Result<CType, Error> {
        let name = self.name(place, die)?;
        let unit = self.units.unit(place.0)?;
        let mut found = Vec::new();
        self.units.children(place, |child| {
            if child.tag() == dw::DW_TAG_enumerator && found.len() < MAX_MEMBERS {
                let value = child.attr_value(dw::DW_AT_const_value);
                let value = value.and_then(|v| match v {
                    AttributeValue::Udata(n) => Some(n.cast_signed()),
                    v => v.sdata_value(),
                });
                found.extend(value.map(|v| (v, child.attr_value(dw::DW_AT_name))));
            }
        })?;
        let text = |(value, name)| (value, self.units.text(&unit, name));
        let values = found.into_iter().map(text).collect();
        Ok(CType::Enum {
            name,
            bytes,
            values,
        })
    }

    fn structure(&mut self, place: Place, die: &Die<'s>, size: u64) -> Result<CType, Error> {
        let incomplete = die.attr(dw::DW_AT_declaration).is_some();
        // A declaration may name the type unit with the definition.
        let target = die.attr_value(dw::DW_AT_signature);
        let target = target.and_then(|value| self.units.target(place.0, &value));
        if let Some(target) = target.filter(|t| *t != place) {
            return Ok(CType::Typedef(self.tag_name(place, die)?, self.at(target)));
        }
        let union = die.tag() == dw::DW_TAG_union_type;
        let mut found: Vec<Die<'s>> = Vec::new();
        self.units.children(place, |child| {
            let tag = child.tag();
            if is_member(tag) && found.len() < MAX_MEMBERS {
                found.push(child.clone());
            }
        })?;
        let mut members = Vec::new();
        for child in found {
            let width = number(&child, dw::DW_AT_bit_size);
            let Some(bit) = first_bit(&child, union, width) else {
                continue;
            };
            let name = match child.tag() {
                dw::DW_TAG_member => self.name(place, &child)?,
                _ => String::new(),
            };
            members.push(Member {
                name,
                ty: self.of(place.0, &child),
                bit,
                width,
            });
        }
        Ok(CType::Struct(CStruct {
            name: self.name(place, die)?,
            union,
            incomplete,
            size,
            members,
        }))
    }

    fn tag_name(&mut self, place: Place, die: &Die<'s>) -> Result<String, Error> {
        let keyword = match die.tag() {
            dw::DW_TAG_union_type => "union",
            _ => "struct",
        };
        Ok(format!("{keyword} {}", self.name(place, die)?))
    }
}

fn is_member(tag: DwTag) -> bool {
    matches!(tag, dw::DW_TAG_member | dw::DW_TAG_inheritance)
}

fn base(name: String, bytes: u32, die: &Die<'_>) -> CType {
    let encoding = match die.attr_value(dw::DW_AT_encoding) {
        Some(AttributeValue::Encoding(encoding)) => encoding,
        _ => DwAte(0),
    };
    match encoding {
        dw::DW_ATE_float | dw::DW_ATE_complex_float | dw::DW_ATE_imaginary_float => {
            CType::Float { name, bytes }
        }
        _ => CType::Int {
            name,
            bytes,
            signed: matches!(encoding, dw::DW_ATE_signed | dw::DW_ATE_signed_char),
            boolean: encoding == dw::DW_ATE_boolean,
        },
    }
}

/// A number that is not negative.
fn number(die: &Die<'_>, name: gimli::DwAt) -> Option<u64> {
    die.attr_value(name)?.udata_value()
}

/// The first bit of a member in its struct; `None` for one that is not in it, as a static one of C++.
fn first_bit(die: &Die<'_>, union: bool, width: Option<u64>) -> Option<u64> {
    if let Some(bit) = number(die, dw::DW_AT_data_bit_offset) {
        return Some(bit);
    }
    let byte = match die.attr_value(dw::DW_AT_data_member_location) {
        Some(AttributeValue::Exprloc(expr)) => constant_place(expr.0)?,
        Some(value) => value.udata_value()?,
        None if union || width.is_some() => 0,
        None => return None,
    };
    let bit = byte.checked_mul(8)?;
    // Up to DWARF 3 a bit-field is counted from the most significant bit of its storage unit.
    let (Some(from_top), Some(width)) = (number(die, dw::DW_AT_bit_offset), width) else {
        return Some(bit);
    };
    let unit = number(die, dw::DW_AT_byte_size)?.checked_mul(8)?;
    bit.checked_add(unit)?
        .checked_sub(from_top)?
        .checked_sub(width)
}

/// The number of `DW_OP_plus_uconst`, with which DWARF 2 says where a member is.
fn constant_place(mut code: Slice<'_>) -> Option<u64> {
    use gimli::Reader;
    let op = code.read_u8().ok()?;
    let value = code.read_uleb128().ok()?;
    (gimli::DwOp(op) == dw::DW_OP_plus_uconst && code.is_empty()).then_some(value)
}
