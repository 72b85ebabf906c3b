//! Maps to create.

use super::types::Type;
use crate::asm::MapDecl;
use serde::{Deserialize, Serialize};

/// Map type as the kernel numbers it (`enum bpf_map_type` in `include/uapi/linux/bpf.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the variants are the kernel's own names")]
pub enum MapKind {
    Hash = 1,
    Array = 2,
    ProgArray = 3,
    PerfEventArray = 4,
    PercpuHash = 5,
    PercpuArray = 6,
    StackTrace = 7,
    LruHash = 9,
    LruPercpuHash = 10,
    LpmTrie = 11,
    Devmap = 14,
    Cpumap = 16,
    Xskmap = 17,
    Queue = 22,
    Stack = 23,
    DevmapHash = 25,
    Ringbuf = 27,
}

impl MapKind {
    const ALL: [MapKind; 17] = [
        MapKind::Hash,
        MapKind::Array,
        MapKind::ProgArray,
        MapKind::PerfEventArray,
        MapKind::PercpuHash,
        MapKind::PercpuArray,
        MapKind::StackTrace,
        MapKind::LruHash,
        MapKind::LruPercpuHash,
        MapKind::LpmTrie,
        MapKind::Devmap,
        MapKind::Cpumap,
        MapKind::Xskmap,
        MapKind::Queue,
        MapKind::Stack,
        MapKind::DevmapHash,
        MapKind::Ringbuf,
    ];

    /// The kind with the kernel's number.
    pub fn from_number(number: u32) -> Option<MapKind> {
        MapKind::ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// What a map is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MapRole {
    /// A map of the script, `@name`. `key` is `None` for one without keys.
    User {
        /// Name without the `@`; empty for the anonymous map `@`.
        name: String,
        /// Key type; a tuple for several keys.
        key: Option<Type>,
        /// Value type.
        value: Type,
    },
    /// The entries of a map of the script whose keys are short: see [`ShortKeys`].
    Short(ShortKeys),
    /// The ring that records travel in.
    Ring,
    /// Per-CPU buffers in which a program builds its record and keeps big values.
    Scratch,
    /// One `u64` a program: records that did not fit in the ring.
    Lost,
    /// Two `u64` for each place that can go wrong ([`super::Fault`]).
    Faults,
    /// Constants, or state shared by programs, that the runtime fills in before attaching.
    Data,
    /// Stack traces by id.
    Stacks,
    /// Stack traces that programs walked themselves, by id: return addresses, then a `u64` that tells them apart.
    WalkedStacks,
    /// Blocks of rows that stacks are walked by.
    UnwindRows,
    /// The code of processes by pid: which rows are for which addresses.
    UnwindProcesses,
}

/// Where entries with short keys are kept, for the kernel hashes and compares all bytes of a key: a second map beside
/// the script's own.
///
/// The key ends with a string, padded with zeros. With a string shorter than [`SHORT_STRING`] - 1 bytes it is cut
/// [`SHORT_STRING`] bytes behind the string's first one and lives here; otherwise it lives in the script's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortKeys {
    /// Index of the script's map.
    pub of: usize,
    /// Offset of the string in the key.
    pub string: u32,
}

/// Bytes of the string that a short key has, its NUL and one that is 0 besides included.
pub const SHORT_STRING: u32 = 64;

impl ShortKeys {
    /// Bytes of a short key.
    pub fn size(self) -> usize {
        (self.string + SHORT_STRING) as usize
    }

    /// The short form of a whole key, if it has one.
    pub fn cut(self, key: &[u8]) -> Option<&[u8]> {
        let last = key.get(self.size() - 2)?;
        (*last == 0).then(|| &key[..self.size()])
    }
}

impl MapSpec {
    /// A map that a text declares; `None` for a kind that has no number here.
    pub fn declared(decl: &MapDecl) -> Option<MapSpec> {
        Some(MapSpec {
            name: decl.name.clone(),
            kind: MapKind::from_number(decl.kind)?,
            key_size: decl.key_size,
            value_size: decl.value_size,
            max_entries: decl.max_entries,
            flags: decl.flags,
            init: decl.init.clone(),
            role: MapRole::Data,
        })
    }
}

/// A map to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapSpec {
    /// Kernel name, at most 15 bytes of `[A-Za-z0-9_.]`.
    pub name: String,
    /// Its type.
    pub kind: MapKind,
    /// Key size in bytes.
    pub key_size: u32,
    /// Value size in bytes.
    pub value_size: u32,
    /// Maximum number of entries (0 for a perf event array: one per CPU).
    pub max_entries: u32,
    /// `BPF_F_*` flags of map creation.
    pub flags: u32,
    /// Initial contents of entry 0 of an array; empty for zeros.
    pub init: Vec<u8>,
    /// What it is for.
    pub role: MapRole,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::MAP_KINDS;

    #[test]
    fn every_kind_that_a_text_can_declare_is_known() {
        for (name, number) in MAP_KINDS {
            assert!(MapKind::from_number(*number).is_some(), "{name}");
        }
        assert_eq!(MAP_KINDS.len(), MapKind::ALL.len());
    }
}
