//! Maps declared in a text, `.map hits hash 4 8 1024`, and their description in an ELF object.
//!
//! libbpf takes maps from a section `.maps` and from BTF (`Documentation/bpf/btf.rst`) that describes each as a variable
//! of a structure whose members are pointers: their types carry the numbers, as `int (*max_entries)[1024]`.

use std::fmt;

/// A map kind's name, as bpftool has it, and its number (`enum bpf_map_type` in `include/uapi/linux/bpf.h`).
pub const KINDS: &[(&str, u32)] = &[
    ("hash", 1),
    ("array", 2),
    ("prog_array", 3),
    ("perf_event_array", 4),
    ("percpu_hash", 5),
    ("percpu_array", 6),
    ("stack_trace", 7),
    ("lru_hash", 9),
    ("lru_percpu_hash", 10),
    ("lpm_trie", 11),
    ("devmap", 14),
    ("cpumap", 16),
    ("xskmap", 17),
    ("queue", 22),
    ("stack", 23),
    ("devmap_hash", 25),
    ("ringbuf", 27),
];

/// A map that a text declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapDecl {
    /// Its name.
    pub name: String,
    /// Its kind's number, one of [`KINDS`].
    pub kind: u32,
    /// Bytes of a key; 0 for a ring buffer.
    pub key_size: u32,
    /// Bytes of a value; 0 for a ring buffer.
    pub value_size: u32,
    /// How many entries; bytes of a ring buffer.
    pub max_entries: u32,
    /// `BPF_F_…` (`include/uapi/linux/bpf.h`).
    pub flags: u32,
    /// What is in an array of one entry from the start; nothing for zeros.
    pub init: Vec<u8>,
}

impl fmt::Display for MapDecl {
    /// The line that declares it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = KINDS.iter().find(|(_, number)| *number == self.kind);
        let kind = kind.map_or("?", |(name, _)| name);
        let (name, key, value) = (&self.name, self.key_size, self.value_size);
        write!(f, ".map {name} {kind} {key} {value} {}", self.max_entries)?;
        if self.flags != 0 {
            write!(f, " flags {:#x}", self.flags)?;
        }
        if !self.init.is_empty() {
            f.write_str(" = 0x")?;
        }
        self.init
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

const BTF_INT: u32 = 1;
const BTF_PTR: u32 = 2;
const BTF_ARRAY: u32 = 3;
const BTF_STRUCT: u32 = 4;
const BTF_VAR: u32 = 14;
const BTF_DATASEC: u32 = 15;

impl MapDecl {
    /// What libbpf wants to know; sizes of 0 are left out.
    fn fields(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let all = [
            ("type", self.kind),
            ("key_size", self.key_size),
            ("value_size", self.value_size),
            ("max_entries", self.max_entries),
            ("map_flags", self.flags),
        ];
        all.into_iter().filter(|(_, number)| *number != 0)
    }

    /// Bytes that it takes in `.maps`: a pointer for each member.
    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.fields().count() * 8).unwrap_or(0)
    }
}

#[derive(Default)]
struct Btf {
    types: Vec<u8>,
    count: u32,
    strings: Vec<u8>,
}

impl Btf {
    fn string(&mut self, text: &str) -> u32 {
        let at = u32::try_from(self.strings.len()).unwrap_or(0);
        self.strings.extend(text.bytes().filter(|byte| *byte != 0));
        self.strings.push(0);
        at
    }

    /// One type; `words` follow its three.
    fn add(&mut self, name: u32, kind: u32, length: u32, third: u32, words: &[u32]) -> u32 {
        let head = [name, kind << 24 | length, third];
        for word in head.iter().chain(words) {
            self.types.extend(word.to_le_bytes());
        }
        self.count += 1;
        self.count
    }
}

/// The section `.BTF` of these maps.
pub(super) fn btf(maps: &[MapDecl]) -> Vec<u8> {
    let mut btf = Btf::default();
    btf.string("");
    let name = btf.string("int");
    // Signed, 32 bits.
    let int = btf.add(name, BTF_INT, 0, 4, &[1 << 24 | 32]);
    let mut places = Vec::new();
    let mut offset = 0;
    for map in maps {
        let mut members = Vec::new();
        for (at, (field, number)) in (0..).zip(map.fields()) {
            let array = btf.add(0, BTF_ARRAY, 0, 0, &[int, int, number]);
            let pointer = btf.add(0, BTF_PTR, 0, array, &[]);
            members.extend([btf.string(field), pointer, 64 * at]);
        }
        let fields = map.size() / 8;
        let layout = btf.add(0, BTF_STRUCT, fields, map.size(), &members);
        let name = btf.string(&map.name);
        // Linkage: global.
        let variable = btf.add(name, BTF_VAR, 0, layout, &[1]);
        places.extend([variable, offset, map.size()]);
        offset += map.size();
    }
    let name = btf.string(".maps");
    let count = u32::try_from(maps.len()).unwrap_or(0);
    btf.add(name, BTF_DATASEC, count, offset, &places);

    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0);
    let (types, strings) = (len(&btf.types), len(&btf.strings));
    let mut out = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, types, types, strings] {
        out.extend(word.to_le_bytes());
    }
    out.extend(btf.types);
    out.extend(btf.strings);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_has_no_sizes() {
        let ring = MapDecl {
            name: "ring".into(),
            kind: 27,
            key_size: 0,
            value_size: 0,
            max_entries: 4096,
            flags: 0,
            init: Vec::new(),
        };
        assert_eq!(ring.size(), 16);
        let btf = btf(&[ring]);
        let word = |at: usize| u32::from_le_bytes(btf[at..at + 4].try_into().unwrap());
        assert_eq!(word(0), 0x0001_eb9f);
        assert_eq!(24 + word(12) + word(20), u32::try_from(btf.len()).unwrap());
    }
}
