//! C types as a graph: what debug information says, owned and small.

/// Index of a type in its [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeRef(pub(super) u32);

impl TypeRef {
    /// `void`, the first type of each graph.
    pub const VOID: TypeRef = TypeRef(0);
}

/// Types that refer to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Types {
    pub(super) nodes: Vec<CType>,
}

/// One C type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CType {
    /// `void`, and what is not known.
    Void,
    /// Integer, character or boolean.
    Int {
        /// `unsigned int`.
        name: String,
        /// Size in bytes.
        bytes: u32,
        /// Two's complement.
        signed: bool,
        /// `bool`.
        boolean: bool,
    },
    /// Floating point.
    Float {
        /// `double`.
        name: String,
        /// Size in bytes.
        bytes: u32,
    },
    /// Pointer or reference; `mark` is `*`, `&` or `&&`.
    Ptr {
        /// What it points to.
        to: TypeRef,
        /// How it is written.
        mark: &'static str,
    },
    /// Elements one after the other; 0 for a flexible array.
    Array(TypeRef, u64),
    /// `struct`, `class` or `union`.
    Struct(CStruct),
    /// `enum`.
    Enum {
        /// Tag; empty for none.
        name: String,
        /// Size in bytes.
        bytes: u32,
        /// Values by name.
        values: Vec<(i64, String)>,
    },
    /// Another name of a type.
    Typedef(String, TypeRef),
    /// `const`, `volatile`, `restrict` or `_Atomic`.
    Qualified(&'static str, TypeRef),
    /// A function; only its address is ever of use.
    Function,
}

/// A `struct`, `class` or `union`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CStruct {
    /// Tag; empty for none.
    pub name: String,
    /// Members at one place.
    pub union: bool,
    /// Only declared here: members and size are not known.
    pub incomplete: bool,
    /// Size in bytes.
    pub size: u64,
    /// Members; a base class is one without a name.
    pub members: Vec<Member>,
}

/// A member of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name; empty for an anonymous one.
    pub name: String,
    /// Its type.
    pub ty: TypeRef,
    /// Bit-field: its first bit from the struct's begin, and its width. Else the first byte times 8, and `None`.
    pub bit: u64,
    /// Bits of a bit-field.
    pub width: Option<u64>,
}

/// How deep types are followed by value or in their spelling.
pub(super) const DEEPEST: usize = 32;

/// Members that are looked at for one alignment.
const ALIGN_STEPS: u32 = 4096;

impl Types {
    /// The type of that index.
    pub fn get(&self, ty: TypeRef) -> &CType {
        self.nodes.get(ty.0 as usize).unwrap_or(&CType::Void)
    }

    /// The type behind typedefs and qualifiers.
    pub fn strip(&self, mut ty: TypeRef) -> TypeRef {
        for _ in 0..DEEPEST {
            match self.get(ty) {
                CType::Typedef(_, inner) | CType::Qualified(_, inner) => ty = *inner,
                _ => break,
            }
        }
        ty
    }

    /// All typedefs, as name and type.
    pub fn typedefs(&self) -> impl Iterator<Item = (&str, TypeRef)> {
        self.nodes.iter().filter_map(|node| match node {
            CType::Typedef(name, inner) => Some((name.as_str(), *inner)),
            _ => None,
        })
    }

    /// The type as it is written in C: `const char *`, `struct foo *`, `int[4]`.
    pub fn spelling(&self, ty: TypeRef) -> String {
        self.spell(ty, 0)
    }

    fn spell(&self, ty: TypeRef, depth: usize) -> String {
        if depth > DEEPEST {
            return "…".to_owned();
        }
        let tagged = |keyword: &str, name: &str| match name {
            "" => format!("{keyword} <anonymous>"),
            name => format!("{keyword} {name}"),
        };
        match self.get(ty) {
            CType::Void => "void".to_owned(),
            CType::Int { name, .. } | CType::Float { name, .. } => name.clone(),
            CType::Ptr { to, mark } => {
                let mut text = self.spell(*to, depth + 1);
                if !text.ends_with('*') {
                    text.push(' ');
                }
                text + mark
            }
            CType::Array(..) => {
                let (mut inner, mut dims) = (ty, String::new());
                while let (CType::Array(elem, len), true) = (self.get(inner), dims.len() < 256) {
                    dims += &format!("[{len}]");
                    inner = *elem;
                }
                self.spell(inner, depth + 1) + &dims
            }
            CType::Struct(s) => tagged(if s.union { "union" } else { "struct" }, &s.name),
            CType::Enum { name, .. } => tagged("enum", name),
            CType::Typedef(name, _) => name.clone(),
            CType::Qualified(word, inner) => match self.get(*inner) {
                CType::Ptr { .. } => format!("{} {word}", self.spell(*inner, depth + 1)),
                _ => format!("{word} {}", self.spell(*inner, depth + 1)),
            },
            CType::Function => "void ()".to_owned(),
        }
    }

    /// Size in bytes by value.
    pub fn size(&self, ty: TypeRef) -> u64 {
        let (mut ty, mut times) = (self.strip(ty), 1u64);
        for _ in 0..DEEPEST {
            let CType::Array(elem, len) = self.get(ty) else {
                break;
            };
            times = times.saturating_mul(*len);
            ty = self.strip(*elem);
        }
        let one = match self.get(ty) {
            CType::Int { bytes, .. } | CType::Float { bytes, .. } | CType::Enum { bytes, .. } => {
                u64::from(*bytes)
            }
            CType::Ptr { .. } => 8,
            CType::Struct(s) => s.size,
            _ => 0,
        };
        times.saturating_mul(one)
    }

    /// Natural alignment in bytes; members of a packed struct that are not aligned ask for nothing.
    pub(super) fn align(&self, ty: TypeRef) -> u64 {
        self.aligned(ty, 0, &mut ALIGN_STEPS.clone())
    }

    fn aligned(&self, ty: TypeRef, depth: usize, steps: &mut u32) -> u64 {
        let ty = self.strip(ty);
        if depth > DEEPEST || *steps == 0 {
            return 1;
        }
        *steps -= 1;
        match self.get(ty) {
            CType::Array(elem, _) => self.aligned(*elem, depth + 1, steps),
            CType::Struct(s) => {
                let mut most = 1;
                for member in &s.members {
                    let align = self.aligned(member.ty, depth + 1, steps);
                    let lies_aligned = member.width.is_some() || member.bit % (align * 8) == 0;
                    if lies_aligned && s.size % align == 0 {
                        most = most.max(align);
                    }
                }
                most
            }
            _ => self.size(ty).clamp(1, 8).next_power_of_two(),
        }
    }
}
