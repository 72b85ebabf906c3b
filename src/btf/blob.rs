//! The bytes of BTF: header, types one after the other, strings.

use std::{
    fmt,
    ops::{Deref, Range},
    sync::{Arc, OnceLock},
};

const MAGIC: u16 = 0xeb9f;

/// Bytes of the header that are read.
const HEADER: usize = 24;

/// Bytes of a type before what its kind adds.
const COMMON: usize = 12;

/// Typedefs and qualifiers that are followed.
const DEEPEST: usize = 64;

/// Kinds of types, by their number (`include/uapi/linux/btf.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the kernel")]
pub enum Kind {
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
}

impl Kind {
    fn from_number(number: u32) -> Option<Kind> {
        use Kind::*;
        let all = [
            Int, Ptr, Array, Struct, Union, Enum, Fwd, Typedef, Volatile, Const, Restrict, Func,
            FuncProto, Var, Datasec, Float, DeclTag, TypeTag, Enum64,
        ];
        all.get((number as usize).checked_sub(1)?).copied()
    }

    /// Bytes that follow the common part, for `count` members.
    fn extra(self, count: usize) -> usize {
        match self {
            Kind::Int | Kind::Var | Kind::DeclTag => 4,
            Kind::Array => 12,
            Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => 12 * count,
            Kind::Enum | Kind::FuncProto => 8 * count,
            _ => 0,
        }
    }

    /// Whether it is only another name or a qualifier of a type.
    pub fn is_modifier(self) -> bool {
        matches!(
            self,
            Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag
        )
    }
}

/// The bytes, wherever they are, and the index over them.
struct Inner {
    bytes: Box<dyn Deref<Target = [u8]> + Send + Sync>,
    types: Range<usize>,
    strings: Range<usize>,
    /// Where in `bytes` the type of each id begins; type 0 is `void` and nowhere.
    index: OnceLock<Vec<u32>>,
}

/// BTF of a kernel. Copies share the bytes.
#[derive(Clone)]
pub struct Btf(Arc<Inner>);

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Btf({} bytes)", self.0.bytes.len())
    }
}

impl PartialEq for Btf {
    fn eq(&self, other: &Btf) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self.0.bytes == **other.0.bytes
    }
}

impl Eq for Btf {}

/// How an integer is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Two's complement.
    pub signed: bool,
    /// `char`, as the compiler says.
    pub char: bool,
    /// `_Bool`.
    pub boolean: bool,
}

/// One type's common part.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Its kind.
    pub kind: Kind,
    /// Where its name begins in the strings.
    name: u32,
    /// Members, parameters, enumerators.
    count: usize,
    /// The kind's flag: bit-fields, unions declared ahead, signed enumerators.
    pub flag: bool,
    /// Size in bytes, or the type that it is of.
    pub word: u32,
    /// Where its own part begins.
    at: usize,
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'b> {
    /// Name; empty for an anonymous one.
    pub name: &'b str,
    /// Its type's id.
    pub ty: u32,
    /// First bit.
    pub bit: u32,
    /// Bits of a bit-field; 0 for none.
    pub width: u32,
}

impl Btf {
    /// Takes bytes that begin with a header of this machine's byte order; `None` if they do not.
    pub fn new(bytes: impl Deref<Target = [u8]> + Send + Sync + 'static) -> Option<Btf> {
        let word = |at: usize| word(&bytes, at);
        if bytes.get(..2)? != MAGIC.to_ne_bytes() {
            return None;
        }
        let header = word(4)? as usize;
        if header < HEADER {
            return None;
        }
        let range = |off: usize, len: usize| {
            let start = header.checked_add(word(off)? as usize)?;
            let end = start.checked_add(word(len)? as usize)?;
            (end <= bytes.len()).then_some(start..end)
        };
        let (types, strings) = (range(8, 12)?, range(16, 20)?);
        Some(Btf(Arc::new(Inner {
            bytes: Box::new(bytes),
            types,
            strings,
            index: OnceLock::new(),
        })))
    }

    /// The bytes as they were taken.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    fn index(&self) -> &[u32] {
        self.0.index.get_or_init(|| {
            let Range { start, end } = self.0.types;
            // The kernel's types take 24 bytes on average.
            let mut index = Vec::with_capacity((end - start) / 24 + 1);
            index.push(0);
            let mut at = start;
            while at + COMMON <= end {
                let Some(node) = self.read(at) else { break };
                let next = node.at + node.kind.extra(node.count);
                if next > end {
                    break;
                }
                index.push(u32::try_from(at).unwrap_or(0));
                at = next;
            }
            index
        })
    }

    fn read(&self, at: usize) -> Option<Node> {
        let bytes = &**self.0.bytes;
        let info = word(bytes, at + 4)?;
        Some(Node {
            kind: Kind::from_number(info >> 24 & 0x1f)?,
            name: word(bytes, at)?,
            count: (info & 0xffff) as usize,
            flag: info >> 31 != 0,
            word: word(bytes, at + 8)?,
            at: at + COMMON,
        })
    }

    /// The type of that id; `None` for `void` and for ids that are none.
    pub fn node(&self, id: u32) -> Option<Node> {
        let at = *self.index().get(id as usize).filter(|at| **at != 0)?;
        self.read(at as usize)
    }

    fn text(&self, at: u32) -> &str {
        let strings = &self.0.bytes[self.0.strings.clone()];
        let rest = strings.get(at as usize..).unwrap_or_default();
        let end = memchr::memchr(0, rest).unwrap_or(rest.len());
        std::str::from_utf8(&rest[..end]).unwrap_or("")
    }

    /// A type's name; empty for none.
    pub fn name(&self, node: &Node) -> &str {
        self.text(node.name)
    }

    /// Where the string section has exactly that text: all names that are alike are one.
    fn offset_of(&self, name: &str) -> Option<u32> {
        if name.is_empty() {
            return None;
        }
        let strings = &self.0.bytes[self.0.strings.clone()];
        let wanted = [b"\0", name.as_bytes(), b"\0"].concat();
        let at = memchr::memmem::find(strings, &wanted)?;
        u32::try_from(at + 1).ok()
    }

    /// The first type of that name of one of those kinds.
    pub fn find(&self, name: &str, kinds: &[Kind]) -> Option<u32> {
        let offset = self.offset_of(name)?;
        let bytes = &**self.0.bytes;
        let ids = (0u32..).zip(self.index()).skip(1);
        for (id, at) in ids {
            if word(bytes, *at as usize) == Some(offset)
                && self.node(id).is_some_and(|node| kinds.contains(&node.kind))
            {
                return Some(id);
            }
        }
        None
    }

    /// Ids of all types of that kind, with their names.
    pub fn all(&self, kinds: &[Kind]) -> impl Iterator<Item = (u32, &str)> {
        let ids = (0u32..).zip(self.index()).skip(1);
        ids.filter_map(move |(id, at)| {
            let node = self.read(*at as usize)?;
            kinds.contains(&node.kind).then(|| (id, self.name(&node)))
        })
    }

    /// The enumeration that has an enumerator of that name, and its value.
    pub fn enumerator(&self, name: &str) -> Option<(u32, i64)> {
        let offset = self.offset_of(name)?;
        for (id, _) in self.all(&[Kind::Enum, Kind::Enum64]) {
            let node = self.node(id)?;
            let found = self.values(&node).find(|(at, _)| *at == offset);
            if let Some((_, value)) = found {
                return Some((id, value));
            }
        }
        None
    }

    /// Enumerators as places of their names and values.
    fn values(&self, node: &Node) -> impl Iterator<Item = (u32, i64)> {
        let (bytes, node) = (&**self.0.bytes, *node);
        (0..node.count).filter_map(move |n| {
            if node.kind == Kind::Enum {
                let at = node.at + 8 * n;
                let value = word(bytes, at + 4)?;
                let value = match node.flag {
                    true => i64::from(value.cast_signed()),
                    false => i64::from(value),
                };
                return Some((word(bytes, at)?, value));
            }
            let at = node.at + 12 * n;
            let (low, high) = (word(bytes, at + 4)?, word(bytes, at + 8)?);
            let value = (u64::from(high) << 32 | u64::from(low)).cast_signed();
            Some((word(bytes, at)?, value))
        })
    }

    /// Enumerators by value and name.
    pub fn enumerators(&self, node: &Node) -> impl Iterator<Item = (i64, &str)> {
        self.values(node)
            .map(|(name, value)| (value, self.text(name)))
    }

    /// How an integer is meant.
    pub fn encoding(&self, node: &Node) -> Encoding {
        let bits = word(&self.0.bytes, node.at).unwrap_or(0) >> 24;
        Encoding {
            signed: bits & 1 != 0,
            char: bits & 2 != 0,
            boolean: bits & 4 != 0,
        }
    }

    /// Element type and number of elements of an array.
    pub fn array(&self, node: &Node) -> (u32, u32) {
        let word = |at| word(&self.0.bytes, at).unwrap_or(0);
        (word(node.at), word(node.at + 8))
    }

    /// Members of a struct or union.
    pub fn members(&self, node: &Node) -> impl Iterator<Item = Member<'_>> {
        let (bytes, node) = (&**self.0.bytes, *node);
        (0..node.count).filter_map(move |n| {
            let at = node.at + 12 * n;
            let place = word(bytes, at + 8)?;
            let (bit, width) = match node.flag {
                true => (place & 0xff_ffff, place >> 24),
                false => (place, 0),
            };
            Some(Member {
                name: self.text(word(bytes, at)?),
                ty: word(bytes, at + 4)?,
                bit,
                width,
            })
        })
    }

    /// Parameters of a function's prototype: name and type. The last one of a variadic function has neither.
    pub fn params(&self, node: &Node) -> impl Iterator<Item = (&str, u32)> {
        let (bytes, node) = (&**self.0.bytes, *node);
        (0..node.count).filter_map(move |n| {
            let at = node.at + 8 * n;
            Some((self.text(word(bytes, at)?), word(bytes, at + 4)?))
        })
    }

    /// The type behind typedefs and qualifiers; 0 is `void`.
    pub fn strip(&self, mut id: u32) -> u32 {
        for _ in 0..DEEPEST {
            match self.node(id) {
                Some(node) if node.kind.is_modifier() => id = node.word,
                _ => return id,
            }
        }
        0
    }

    /// The prototype of a function, of a pointer to one, or of a typedef of such.
    pub fn prototype(&self, id: u32) -> Option<Node> {
        let mut id = id;
        for _ in 0..DEEPEST {
            let node = self.node(id)?;
            match node.kind {
                Kind::FuncProto => return Some(node),
                Kind::Func | Kind::Ptr => id = node.word,
                kind if kind.is_modifier() => id = node.word,
                _ => return None,
            }
        }
        None
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}
