//! Maps that an object declares: `.maps` as its BTF describes it (`Documentation/bpf/btf.rst`), as clang and this crate write it.

use crate::asm::MapDecl;

const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
/// Typedef, volatile, const, restrict, type tag: they stand before the type itself.
const BEFORE: [u32; 5] = [8, 9, 10, 11, 18];
/// Types stand on each other so often at most; the bytes may be damaged.
const DEEP: usize = 32;

/// The types of a `.BTF` section by their id.
struct Types<'a> {
    /// Each type's bytes; the type with id 1 is the first.
    all: Vec<&'a [u8]>,
    strings: &'a [u8],
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at * 4..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

impl<'a> Types<'a> {
    fn new(btf: &'a [u8]) -> Option<Types<'a>> {
        let number = |at| usize::try_from(word(btf, at)?).ok();
        if btf.get(..2)? != [0x9f, 0xeb] {
            return None;
        }
        let body = btf.get(number(1)?..)?;
        let mut rest = body.get(number(2)?..)?.get(..number(3)?)?;
        let strings = body.get(number(4)?..)?.get(..number(5)?)?;
        let mut all = Vec::new();
        while !rest.is_empty() {
            let info = word(rest, 1)?;
            let count = usize::try_from(info & 0xffff).ok()?;
            let more = match (info >> 24) & 0x1f {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 | 15 | 19 => count * 12,
                6 | 13 => count * 8,
                _ => 0,
            };
            let (one, behind) = rest.split_at_checked(12 + more)?;
            all.push(one);
            rest = behind;
        }
        Some(Types { all, strings })
    }

    fn name(&self, at: u32) -> Option<&'a str> {
        let rest = self.strings.get(usize::try_from(at).ok()?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }

    /// The type of an id, past its modifiers: its kind and bytes.
    fn bare(&self, mut id: u32) -> Option<(u32, &'a [u8])> {
        for _ in 0..DEEP {
            let one = *self.all.get(usize::try_from(id).ok()?.checked_sub(1)?)?;
            let kind = (word(one, 1)? >> 24) & 0x1f;
            if !BEFORE.contains(&kind) {
                return Some((kind, one));
            }
            id = word(one, 2)?;
        }
        None
    }

    fn size(&self, id: u32, deep: usize) -> Option<u32> {
        let (kind, one) = self.bare(id)?;
        match kind {
            PTR => Some(8),
            ARRAY if deep > 0 => self
                .size(word(one, 3)?, deep - 1)?
                .checked_mul(word(one, 5)?),
            // Integer, structure, union, enumerations, floating point.
            1 | 4 | 5 | 6 | 16 | 19 => word(one, 2),
            _ => None,
        }
    }

    /// The number that a member `int (*member)[number]` carries, or the size of what it points to.
    fn member(&self, id: u32, by_size: bool) -> Option<u32> {
        let (PTR, pointer) = self.bare(id)? else {
            return None;
        };
        let to = word(pointer, 2)?;
        match self.bare(to)? {
            _ if by_size => self.size(to, DEEP),
            (ARRAY, array) => word(array, 5),
            _ => None,
        }
    }

    fn map(&self, variable: u32) -> Option<MapDecl> {
        let (VAR, variable) = self.bare(variable)? else {
            return None;
        };
        let (STRUCT, layout) = self.bare(word(variable, 2)?)? else {
            return None;
        };
        let mut map = MapDecl {
            name: self.name(word(variable, 0)?)?.to_owned(),
            kind: 0,
            key_size: 0,
            value_size: 0,
            max_entries: 0,
            flags: 0,
            init: Vec::new(),
        };
        for member in layout.get(12..)?.chunks_exact(12) {
            let name = self.name(word(member, 0)?)?;
            let place = match name {
                "type" => &mut map.kind,
                "key" | "key_size" => &mut map.key_size,
                "value" | "value_size" => &mut map.value_size,
                "max_entries" => &mut map.max_entries,
                "map_flags" => &mut map.flags,
                _ => continue,
            };
            *place = self.member(word(member, 1)?, matches!(name, "key" | "value"))?;
        }
        Some(map)
    }
}

/// The maps that a `.BTF` section declares; those it says too little of are left out.
pub(super) fn declared(btf: &[u8]) -> Vec<MapDecl> {
    let Some(types) = Types::new(btf) else {
        return Vec::new();
    };
    let is_maps = |one: &&&[u8]| {
        let kind = word(one, 1).map(|info| (info >> 24) & 0x1f);
        kind == Some(DATASEC) && word(one, 0).and_then(|at| types.name(at)) == Some(".maps")
    };
    let places = types.all.iter().find(is_maps).and_then(|one| one.get(12..));
    let places = places.unwrap_or_default().chunks_exact(12);
    places
        .filter_map(|place| types.map(word(place, 0)?))
        .collect()
}
