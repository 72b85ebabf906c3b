//! Types of script values, with their layout in records, maps and scratch memory.

use serde::{Deserialize, Serialize};

/// Index into the table of structs of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StructId(pub u32);

/// A member of a struct, union or named record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name; empty for an anonymous member.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Byte offset.
    pub offset: u32,
    /// Bit-field: first bit within the storage unit at `offset`, and number of bits.
    pub bits: Option<(u8, u8)>,
}

/// A `struct` or `union` of the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StructDef {
    /// Its tag, with the keyword: `struct foo`.
    pub name: String,
    /// Size in bytes.
    pub size: u32,
    /// Alignment in bytes.
    pub align: u32,
    /// Members in order.
    pub fields: Vec<Field>,
}

/// Aggregations: map values that only grow from what is fed to them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named after the functions that make them")]
pub enum Agg {
    /// u64 per CPU.
    Count,
    /// u64/i64 per CPU.
    Sum { signed: bool },
    /// (sum, count) per CPU.
    Avg { signed: bool },
    /// (value, is_set) per CPU.
    Min { signed: bool },
    /// (value, is_set) per CPU.
    Max { signed: bool },
    /// (sum, count) per CPU.
    Stats { signed: bool },
    /// log2 buckets, u64 each, per CPU; bucket numbering in [`super::hist`].
    Hist { bits: u8 },
    /// linear buckets, u64 each, per CPU: below `min`, each step, `max` and above.
    Lhist { min: i64, max: i64, step: i64 },
    /// ring of buckets in time, laid out in [`super::hist`].
    Tseries {
        agg: u8,
        interval_ns: u64,
        buckets: u32,
        signed: bool,
    },
}

/// Type of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// No value.
    Void,
    /// 1 byte, 0 or 1.
    Bool,
    /// Integer of 8, 16, 32 or 64 bits.
    Int {
        /// Width.
        bits: u8,
        /// Two's complement.
        signed: bool,
    },
    /// An integer that prints as an enumerator's name where it has one.
    Enum {
        /// Tag.
        name: String,
        /// Width.
        bits: u8,
        /// Value and name.
        values: Vec<(i64, String)>,
    },
    /// NUL-terminated bytes. `size` includes the NUL: what it takes in a map or a tuple, zero-padded.
    Str {
        /// Bytes with the NUL.
        size: u32,
    },
    /// Raw bytes. In a fixed place: `u32` length, then `size` bytes.
    Buf {
        /// Most bytes of content.
        size: u32,
    },
    /// 8 bytes.
    Ptr(Box<Type>),
    /// Elements one after the other.
    Array(Box<Type>, u32),
    /// A struct or union, by value.
    Struct(StructId),
    /// Elements at their natural alignment, as a C struct.
    Tuple(Vec<Type>),
    /// As a tuple, with names.
    Record(Vec<(String, Type)>),
    /// Stack trace: `u32` stack id, `u32` pid, `u32` probe id, `u32` 0.
    Stack {
        /// User stack.
        user: bool,
        /// 0 bpftrace, 1 perf, 2 raw, 3 build_id.
        mode: u8,
        /// Most frames.
        depth: u32,
        /// Walked by the program, with the tables of `.eh_frame`.
        #[serde(default)]
        walked: bool,
    },
    /// `usym`/`ksym`: `u64` address, `u32` pid, `u32` probe id.
    Sym {
        /// User-space symbol.
        user: bool,
    },
    /// `ntop`: `u64` address family, then 16 bytes of address.
    Inet,
    /// `macaddr`: 6 bytes.
    Mac,
    /// `hash256`: 32 bytes, the last of which is printed first.
    Hash,
    /// `strftime`: `u64` nanoseconds since boot (`clock` 0 monotonic, 1 boot, 2 realtime, 3 tai), formatted when printed.
    Strftime {
        /// strftime format.
        format: String,
        /// Clock of the value.
        clock: u8,
    },
    /// `username`: `u64` uid.
    Username,
    /// `strerror`: `u64` errno.
    Errno,
    /// `signal_name`, `syscall_name` and the like: `u64` number, name looked up when printed.
    Named {
        /// 0 signal, 1 syscall, 2 satoshis in bitcoins.
        table: u8,
    },
    /// `cgroup_path`: `u64` cgroup id, resolved when printed.
    CgroupPath {
        #[doc = "Wildcard for the names of the hierarchies; empty for all."]
        filter: String,
    },
    /// An aggregation (map values only).
    Agg(Agg),
}

impl Field {
    /// A member at bit `bit`; with a `width`, a bit-field of a type of `size` bytes, with the storage unit that holds it. `None` for
    /// one that no unit holds.
    pub fn of_c(name: &str, mut ty: Type, size: u64, bit: u64, width: Option<u64>) -> Option<Self> {
        let (mut at, mut bits) = (bit, None);
        if let Some(width) = width {
            let unit = size.saturating_mul(8);
            let mut first = 0;
            if matches!(unit, 8 | 16 | 32 | 64) {
                first = bit % unit;
                at = bit - first;
            }
            if !matches!(unit, 8 | 16 | 32 | 64) || first + width > unit {
                // A packed one lies across units: any 8 bytes that hold it.
                (at, first) = (bit / 8 * 8, bit % 8);
                let signed = matches!(ty, Type::Int { signed: true, .. });
                ty = Type::Int { bits: 64, signed };
            }
            if width == 0 || first + width > 64 {
                return None;
            }
            bits = Some((u8::try_from(first).ok()?, u8::try_from(width).ok()?));
        }
        Some(Field {
            name: name.to_owned(),
            ty,
            offset: u32::try_from(at / 8).ok()?,
            bits,
        })
    }
}

impl Type {
    /// C's number of that many bytes; raw bytes for a size that no integer has.
    pub fn of_bytes(bytes: u32, signed: bool) -> Type {
        match bytes {
            1 | 2 | 4 | 8 => Type::Int {
                bits: u8::try_from(bytes * 8).unwrap_or(64),
                signed,
            },
            0 => Type::Void,
            _ => Type::Array(Box::new(Type::U8), bytes.min(64)),
        }
    }

    /// `uint64`.
    pub const U64: Type = Type::Int {
        bits: 64,
        signed: false,
    };
    /// `int64`.
    pub const I64: Type = Type::Int {
        bits: 64,
        signed: true,
    };
    /// `uint32`.
    pub const U32: Type = Type::Int {
        bits: 32,
        signed: false,
    };
    /// `uint8`.
    pub const U8: Type = Type::Int {
        bits: 8,
        signed: false,
    };

    /// Alignment in bytes in a tuple, map key or map value.
    pub fn align(&self, structs: &[StructDef]) -> u32 {
        match self {
            Type::Void | Type::Bool | Type::Str { .. } | Type::Mac | Type::Hash => 1,
            Type::Int { bits, .. } | Type::Enum { bits, .. } => u32::from(*bits) / 8,
            Type::Buf { .. } | Type::Stack { .. } => 4,
            Type::Ptr(_)
            | Type::Sym { .. }
            | Type::Inet
            | Type::Strftime { .. }
            | Type::Username
            | Type::Errno
            | Type::Named { .. }
            | Type::CgroupPath { .. }
            | Type::Agg(_) => 8,
            Type::Array(elem, _) => elem.align(structs),
            Type::Struct(id) => structs.get(id.0 as usize).map_or(1, |s| s.align),
            Type::Tuple(elems) => elems.iter().map(|t| t.align(structs)).max().unwrap_or(1),
            Type::Record(elems) => elems
                .iter()
                .map(|(_, t)| t.align(structs))
                .max()
                .unwrap_or(1),
        }
    }

    /// Size in bytes in a tuple, map key or map value (one CPU's share of an aggregation).
    pub fn size(&self, structs: &[StructDef]) -> u32 {
        match self {
            Type::Void => 0,
            Type::Bool => 1,
            Type::Int { bits, .. } | Type::Enum { bits, .. } => u32::from(*bits) / 8,
            Type::Str { size } => *size,
            Type::Buf { size } => 4 + size,
            Type::Ptr(_)
            | Type::Strftime { .. }
            | Type::Username
            | Type::Errno
            | Type::Named { .. }
            | Type::CgroupPath { .. } => 8,
            Type::Array(elem, len) => elem.size(structs) * len,
            Type::Struct(id) => structs.get(id.0 as usize).map_or(0, |s| s.size),
            Type::Tuple(elems) => layout(elems.iter(), structs).1,
            Type::Record(elems) => layout(elems.iter().map(|(_, t)| t), structs).1,
            Type::Stack { .. } | Type::Sym { .. } => 16,
            Type::Inet => 24,
            Type::Mac => 6,
            Type::Hash => 32,
            Type::Agg(agg) => agg.size(),
        }
    }

    /// Offsets of a tuple's or record's elements; empty for other types.
    pub fn offsets(&self, structs: &[StructDef]) -> Vec<u32> {
        match self {
            Type::Tuple(elems) => layout(elems.iter(), structs).0,
            Type::Record(elems) => layout(elems.iter().map(|(_, t)| t), structs).0,
            _ => Vec::new(),
        }
    }
}

impl Agg {
    /// Bytes of one CPU's share.
    pub fn size(&self) -> u32 {
        match self {
            Agg::Count | Agg::Sum { .. } => 8,
            Agg::Avg { .. } | Agg::Min { .. } | Agg::Max { .. } | Agg::Stats { .. } => 16,
            Agg::Hist { bits } => 8 * hist_buckets(*bits),
            Agg::Lhist { min, max, step } => {
                8 * (super::hist::lhist_steps(*min, *max, *step).saturating_add(2))
            }
            Agg::Tseries { buckets, .. } => 24 * buckets,
        }
    }
}

/// Buckets of a `hist` with `bits` bits of precision below the leading one: negatives, zero, then `2^bits` a power.
pub fn hist_buckets(bits: u8) -> u32 {
    2 + (64 - u32::from(bits)) * (1 << bits) + (1 << bits) - 1
}

fn layout<'a>(elems: impl Iterator<Item = &'a Type>, structs: &[StructDef]) -> (Vec<u32>, u32) {
    let (mut at, mut align, mut offsets) = (0u32, 1u32, Vec::new());
    for ty in elems {
        let a = ty.align(structs).max(1);
        align = align.max(a);
        at = at.next_multiple_of(a);
        offsets.push(at);
        at += ty.size(structs);
    }
    (offsets, at.next_multiple_of(align))
}
