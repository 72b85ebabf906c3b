//! Maps of a simulated machine: keys and values with addresses that stay.
//!
//! All values of a map lie in one pool. An entry is `cpus` values (1 if the map is not per CPU), each on an 8-byte
//! boundary; an entry's place never changes while it lives. In the addresses that programs see, values stand twice as
//! far apart and more, so that running out of one never ends in another.

use std::collections::HashMap;

use crate::spec::{MapKind, MapSpec};

use super::space;
use super::supported::What;

/// `errno`s that map operations answer with, negated as helpers give them.
pub(super) mod errno {
    pub(in super::super) const ENOENT: i64 = -2;
    pub(in super::super) const E2BIG: i64 = -7;
    pub(in super::super) const EAGAIN: i64 = -11;
    pub(in super::super) const EFAULT: i64 = -14;
    pub(in super::super) const EEXIST: i64 = -17;
    pub(in super::super) const EINVAL: i64 = -22;
    pub(in super::super) const ENOSPC: i64 = -28;
    pub(in super::super) const EOPNOTSUPP: i64 = -95;
}

const NOEXIST: u64 = 1;
const EXIST: u64 = 2;

/// One map with its contents.
#[derive(Clone, Debug)]
pub struct MapStore {
    spec: MapSpec,
    cpus: usize,
    value_stride: usize,
    /// Addresses of neighbouring values differ by `1 << shift`.
    shift: u32,
    pool: Vec<u8>,
    /// Of a hash: key to entry. Of a stack map: unused.
    entries: HashMap<Box<[u8]>, usize>,
    /// Key of each entry of a hash; `None` for a free one. Of a stack map: a trace is there.
    keys: Vec<Option<Box<[u8]>>>,
    /// When each entry of an LRU hash was used last.
    used: Vec<u64>,
    clock: u64,
    free: Vec<usize>,
    /// Bytes of each stack trace.
    depth: Vec<usize>,
    /// Of a program array: the program at each index.
    programs: Vec<Option<usize>>,
}

/// How a kind stores its values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Array,
    Hash {
        lru: bool,
    },
    Stacks,
    Ring,
    Programs,
    /// Not modelled.
    Other,
}

fn form(kind: MapKind) -> (Form, bool) {
    match kind {
        MapKind::Hash => (Form::Hash { lru: false }, false),
        MapKind::LruHash => (Form::Hash { lru: true }, false),
        MapKind::PercpuHash => (Form::Hash { lru: false }, true),
        MapKind::LruPercpuHash => (Form::Hash { lru: true }, true),
        MapKind::Array => (Form::Array, false),
        MapKind::PercpuArray => (Form::Array, true),
        MapKind::StackTrace => (Form::Stacks, false),
        MapKind::PerfEventArray | MapKind::Ringbuf => (Form::Ring, false),
        MapKind::ProgArray => (Form::Programs, false),
        MapKind::LpmTrie
        | MapKind::Devmap
        | MapKind::Cpumap
        | MapKind::Xskmap
        | MapKind::Queue
        | MapKind::Stack
        | MapKind::DevmapHash => (Form::Other, false),
    }
}

fn size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl MapStore {
    /// An empty map, or an array of zeros with its `init` in entry 0.
    pub(super) fn new(spec: &MapSpec, cpus: u32) -> Result<Self, What> {
        let name = || spec.name.clone();
        let (form, percpu) = form(spec.kind);
        let shape_ok = match form {
            Form::Array => spec.key_size == 4 && spec.value_size > 0 && spec.max_entries > 0,
            Form::Hash { .. } => spec.key_size > 0 && spec.value_size > 0 && spec.max_entries > 0,
            Form::Stacks => {
                spec.key_size == 4
                    && spec.value_size > 0
                    && spec.value_size.is_multiple_of(8)
                    && spec.max_entries > 0
            }
            Form::Ring => true,
            Form::Other => return Err(What::MapKind(name(), spec.kind)),
            Form::Programs => spec.key_size == 4 && spec.value_size == 4 && spec.max_entries > 0,
        };
        if !shape_ok {
            return Err(What::MapShape(name()));
        }
        let cpus = if percpu { size(cpus) } else { 1 };
        let value_stride = size(spec.value_size).next_multiple_of(8);
        let entry = (value_stride as u64) * (cpus as u64);
        let most = entry.saturating_mul(u64::from(spec.max_entries));
        let whole = matches!(form, Form::Array | Form::Stacks);
        if !matches!(form, Form::Ring | Form::Programs)
            && most > space::MAX_MAP_BYTES
            && (whole || entry > 1 << 24)
        {
            return Err(What::MapTooBig(name()));
        }
        let bytes = if whole {
            usize::try_from(most).unwrap_or(0)
        } else {
            0
        };
        let mut map = MapStore {
            cpus,
            value_stride,
            shift: (value_stride * 2).next_power_of_two().trailing_zeros(),
            pool: vec![0; bytes],
            entries: HashMap::new(),
            keys: if form == Form::Stacks {
                vec![None; size(spec.max_entries)]
            } else {
                Vec::new()
            },
            used: Vec::new(),
            clock: 0,
            free: Vec::new(),
            depth: if form == Form::Stacks {
                vec![0; size(spec.max_entries)]
            } else {
                Vec::new()
            },
            programs: match form {
                Form::Programs => vec![None; size(spec.max_entries)],
                _ => Vec::new(),
            },
            spec: spec.clone(),
        };
        map.fill_init();
        Ok(map)
    }

    fn fill_init(&mut self) {
        if self.spec.init.is_empty() || form(self.spec.kind).0 != Form::Array {
            return;
        }
        let len = self.spec.init.len().min(size(self.spec.value_size));
        for cpu in 0..self.cpus {
            let at = cpu * self.value_stride;
            self.pool[at..at + len].copy_from_slice(&self.spec.init[..len]);
        }
    }

    /// What it was made from.
    pub fn spec(&self) -> &MapSpec {
        &self.spec
    }

    /// How many values an entry has.
    pub fn cpus(&self) -> usize {
        self.cpus
    }

    /// Takes all entries away; an array is as new again.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.used.clear();
        self.free.clear();
        self.depth.fill(0);
        match form(self.spec.kind).0 {
            Form::Array => {
                self.pool.fill(0);
                self.fill_init();
            }
            Form::Stacks => {
                self.pool.fill(0);
                self.keys.fill(None);
            }
            Form::Hash { .. } | Form::Ring | Form::Programs | Form::Other => {
                self.pool.clear();
                self.keys.clear();
            }
        }
    }

    /// Sets all values to zero and keeps the keys.
    pub fn zero(&mut self) {
        self.pool.fill(0);
    }

    fn entry_size(&self) -> usize {
        self.value_stride * self.cpus
    }

    fn entry_of(&self, key: &[u8]) -> Option<usize> {
        match form(self.spec.kind).0 {
            Form::Array => {
                let index = u32::from_ne_bytes(key.try_into().ok()?);
                (index < self.spec.max_entries).then(|| size(index))
            }
            Form::Hash { .. } => self.entries.get(key).copied(),
            Form::Stacks | Form::Ring | Form::Programs | Form::Other => None,
        }
    }

    /// Address, from the map's first value on, of the value of `key` on `cpu`.
    pub(super) fn lookup(&mut self, key: &[u8], cpu: u32) -> Option<u64> {
        let cpu = if self.cpus == 1 { 0 } else { size(cpu) };
        if cpu >= self.cpus {
            return None;
        }
        let entry = self.entry_of(key)?;
        self.touch(entry);
        Some(self.seen_at(entry, cpu))
    }

    fn seen_at(&self, entry: usize, cpu: usize) -> u64 {
        ((entry * self.cpus + cpu) as u64) << self.shift
    }

    fn touch(&mut self, entry: usize) {
        self.clock += 1;
        if let Some(used) = self.used.get_mut(entry) {
            *used = self.clock;
        }
    }

    /// What `bpf_map_update_elem` does from a program on `cpu`.
    pub(super) fn update(&mut self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> i64 {
        let form = form(self.spec.kind).0;
        if flags > EXIST || matches!(form, Form::Ring | Form::Stacks | Form::Programs) {
            return errno::EINVAL;
        }
        let entry = match (self.entry_of(key), form) {
            (Some(_), _) if flags == NOEXIST => return errno::EEXIST,
            (Some(entry), _) => entry,
            (None, Form::Array) => return errno::E2BIG,
            (None, _) if flags == EXIST => return errno::ENOENT,
            (None, _) => match self.insert(key) {
                Some(entry) => entry,
                None => return errno::E2BIG,
            },
        };
        self.touch(entry);
        let cpu = if self.cpus == 1 { 0 } else { size(cpu) };
        let at = entry * self.entry_size() + cpu * self.value_stride;
        match self.pool.get_mut(at..at + value.len()) {
            Some(place) => {
                place.copy_from_slice(value);
                0
            }
            None => errno::EINVAL,
        }
    }

    /// A zeroed entry for a new key of a hash.
    fn insert(&mut self, key: &[u8]) -> Option<usize> {
        let Form::Hash { lru } = form(self.spec.kind).0 else {
            return None;
        };
        if self.entries.len() >= size(self.spec.max_entries) {
            if !lru {
                return None;
            }
            let oldest = (0..self.keys.len())
                .filter(|&e| self.keys[e].is_some())
                .min_by_key(|&e| self.used[e])?;
            self.remove_entry(oldest);
        }
        let bytes = self.entry_size();
        let entry = match self.free.pop() {
            Some(entry) => {
                self.pool[entry * bytes..(entry + 1) * bytes].fill(0);
                entry
            }
            None => {
                if (self.pool.len() + bytes) as u64 > space::MAX_MAP_BYTES {
                    return None;
                }
                self.pool.resize(self.pool.len() + bytes, 0);
                self.keys.push(None);
                self.used.push(0);
                self.keys.len() - 1
            }
        };
        self.keys[entry] = Some(key.into());
        self.entries.insert(key.into(), entry);
        Some(entry)
    }

    fn remove_entry(&mut self, entry: usize) {
        if let Some(key) = self.keys[entry].take() {
            self.entries.remove(&key);
            self.free.push(entry);
        }
    }

    /// What `bpf_map_delete_elem` does.
    pub fn delete(&mut self, key: &[u8]) -> i64 {
        match form(self.spec.kind).0 {
            Form::Hash { .. } => match self.entries.get(key).copied() {
                Some(entry) => {
                    self.remove_entry(entry);
                    0
                }
                None => errno::ENOENT,
            },
            _ => errno::EINVAL,
        }
    }

    /// Number of entries: all of an array, the set ones of a hash.
    pub fn len(&self) -> usize {
        match form(self.spec.kind).0 {
            Form::Array => size(self.spec.max_entries),
            Form::Hash { .. } => self.entries.len(),
            Form::Stacks => self.keys.iter().flatten().count(),
            Form::Ring | Form::Programs | Form::Other => 0,
        }
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of `key` on one CPU (0 for a map that is not per CPU).
    pub fn get(&self, key: &[u8], cpu: usize) -> Option<&[u8]> {
        let entry = self.entry_of(key)?;
        self.value(entry, cpu)
    }

    fn value(&self, entry: usize, cpu: usize) -> Option<&[u8]> {
        let at = entry * self.entry_size() + cpu * self.value_stride;
        (cpu < self.cpus)
            .then(|| self.pool.get(at..at + size(self.spec.value_size)))
            .flatten()
    }

    /// Sets a value from outside, on all CPUs; a helper's error number if that cannot be.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> i64 {
        if key.len() != size(self.spec.key_size) || value.len() != size(self.spec.value_size) {
            return errno::EINVAL;
        }
        (0..self.cpus)
            .map(|cpu| self.update(key, value, 0, u32::try_from(cpu).unwrap_or(0)))
            .find(|&answer| answer != 0)
            .unwrap_or(0)
    }

    /// Keys in the order of their entries, which is that of insertion until one is deleted.
    pub fn keys(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        (0..).map_while(move |at| self.entry_slot(at)).flatten()
    }

    /// `None` past the last entry, `Some(None)` for a free one.
    fn entry_slot(&self, at: usize) -> Option<Option<Vec<u8>>> {
        match form(self.spec.kind).0 {
            Form::Array => u32::try_from(at)
                .ok()
                .filter(|at| *at < self.spec.max_entries)
                .map(|at| Some(at.to_ne_bytes().to_vec())),
            Form::Hash { .. } => self.keys.get(at).map(|k| k.as_deref().map(<[u8]>::to_vec)),
            Form::Stacks => self.keys.get(at).map(|k| {
                k.as_ref()
                    .and(u32::try_from(at).ok())
                    .map(|at| at.to_ne_bytes().to_vec())
            }),
            Form::Ring | Form::Programs | Form::Other => None,
        }
    }

    /// For `bpf_for_each_map_elem`: number of entry places, free ones included.
    pub(super) fn places(&self) -> usize {
        match form(self.spec.kind).0 {
            Form::Array => size(self.spec.max_entries),
            Form::Hash { .. } => self.keys.len(),
            Form::Stacks | Form::Ring | Form::Programs | Form::Other => 0,
        }
    }

    /// Writes the key of a place and gives its value's address on `cpu`; `None` for a free place.
    pub(super) fn place(&self, at: usize, cpu: u32, key: &mut Vec<u8>) -> Option<u64> {
        key.clear();
        match form(self.spec.kind).0 {
            Form::Array => key.extend_from_slice(&u32::try_from(at).ok()?.to_ne_bytes()),
            _ => key.extend_from_slice(self.keys.get(at)?.as_deref()?),
        }
        let cpu = if self.cpus == 1 { 0 } else { size(cpu) };
        Some(self.seen_at(at, cpu))
    }

    /// Puts a program of the object, by its index, at an index of a program array; `false` if that cannot be.
    pub fn set_program(&mut self, at: u32, program: usize) -> bool {
        let place = self.programs.get_mut(size(at));
        place.map(|place| *place = Some(program)).is_some()
    }

    /// The program at an index of a program array.
    pub(super) fn program(&self, at: u32) -> Option<usize> {
        self.programs.get(size(at)).copied().flatten()
    }

    /// Whether programs may look up, update and walk it.
    pub(super) fn has_entries(&self) -> bool {
        matches!(form(self.spec.kind).0, Form::Array | Form::Hash { .. })
    }

    /// Whether records are sent through it.
    pub(super) fn is_ring(&self) -> bool {
        form(self.spec.kind).0 == Form::Ring
    }

    /// `len` bytes at an address, if they are inside one value.
    pub(super) fn bytes(&self, offset: u64, len: u64) -> Option<&[u8]> {
        let at = self.inside(offset, len)?;
        self.pool.get(at..at + usize::try_from(len).ok()?)
    }

    /// As [`MapStore::bytes`], to write.
    pub(super) fn bytes_mut(&mut self, offset: u64, len: u64) -> Option<&mut [u8]> {
        let at = self.inside(offset, len)?;
        self.pool.get_mut(at..at + usize::try_from(len).ok()?)
    }

    /// Where in the pool those bytes are.
    fn inside(&self, offset: u64, len: u64) -> Option<usize> {
        let at = offset & ((1 << self.shift) - 1);
        let size = u64::from(self.spec.value_size);
        if len > size || at > size - len {
            return None;
        }
        let index = usize::try_from(offset >> self.shift).ok()?;
        Some(index * self.value_stride + usize::try_from(at).ok()?)
    }

    /// First address and length of the value that `offset` belongs to, for a message.
    pub(super) fn nearest(&self, offset: u64) -> Option<(u64, u64)> {
        let count = (self.pool.len() as u64).checked_div(self.value_stride as u64)?;
        let index = (offset >> self.shift).min(count.checked_sub(1)?);
        Some((index << self.shift, u64::from(self.spec.value_size)))
    }

    /// Stores a stack trace, as `bpf_get_stackid` does: its id is a hash of its addresses.
    pub(super) fn stack_id(&mut self, trace: &[u64], reuse: bool, fast: bool) -> i64 {
        if form(self.spec.kind).0 != Form::Stacks {
            return errno::EINVAL;
        }
        let most = size(self.spec.value_size) / 8;
        let trace = &trace[..trace.len().min(most)];
        let hash = trace.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, addr| {
            (h ^ addr).wrapping_mul(0x100_0000_01b3).rotate_left(29)
        });
        let id = usize::try_from(hash % u64::from(self.spec.max_entries)).unwrap_or(0);
        let start = id * self.value_stride;
        let room = &self.pool[start..start + self.value_stride];
        let same = self.depth[id] == trace.len() * 8
            && room
                .chunks_exact(8)
                .zip(trace)
                .all(|(there, addr)| *there == addr.to_ne_bytes());
        if self.keys[id].is_some() && !(same || fast && self.depth[id] == trace.len() * 8) && !reuse
        {
            return errno::EEXIST;
        }
        let id = u32::try_from(id).unwrap_or(0);
        self.put_stack(id, trace);
        i64::from(id)
    }

    /// Puts a stack trace where a kernel had it; what does not fit is left out.
    pub(crate) fn put_stack(&mut self, id: u32, trace: &[u64]) {
        let most = size(self.spec.value_size) / 8;
        let trace = &trace[..trace.len().min(most)];
        let (id, stride) = (size(id), self.value_stride);
        let (Some(key), Some(depth)) = (self.keys.get_mut(id), self.depth.get_mut(id)) else {
            return;
        };
        let Some(room) = self.pool.get_mut(id * stride..(id + 1) * stride) else {
            return;
        };
        room.fill(0);
        for (place, addr) in room.chunks_exact_mut(8).zip(trace) {
            place.copy_from_slice(&addr.to_ne_bytes());
        }
        *depth = trace.len() * 8;
        *key = Some(Box::default());
    }

    /// The addresses of a stored stack trace.
    pub fn stack(&self, id: u32) -> Option<Vec<u64>> {
        let id = size(id);
        self.keys.get(id)?.as_ref()?;
        let start = id * self.value_stride;
        let bytes = self.pool.get(start..start + *self.depth.get(id)?)?;
        Some(
            bytes
                .chunks_exact(8)
                .map(|b| u64::from_ne_bytes(b.try_into().unwrap_or([0; 8])))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::MapRole;

    fn map(kind: MapKind, max_entries: u32) -> MapStore {
        let spec = MapSpec {
            name: "m".into(),
            kind,
            key_size: 4,
            value_size: 8,
            max_entries,
            flags: 0,
            init: Vec::new(),
            role: MapRole::Scratch,
        };
        MapStore::new(&spec, 2).unwrap()
    }

    fn key(n: u32) -> [u8; 4] {
        n.to_ne_bytes()
    }

    #[test]
    fn a_hash_answers_as_the_kernel_does() {
        let mut hash = map(MapKind::Hash, 2);
        assert_eq!(hash.update(&key(1), &[1; 8], EXIST, 0), errno::ENOENT);
        assert_eq!(hash.update(&key(1), &[1; 8], 0, 0), 0);
        assert_eq!(hash.update(&key(1), &[1; 8], NOEXIST, 0), errno::EEXIST);
        assert_eq!(hash.update(&key(2), &[2; 8], NOEXIST, 0), 0);
        assert_eq!(hash.update(&key(3), &[3; 8], 0, 0), errno::E2BIG);
        assert_eq!(hash.update(&key(1), &[1; 8], 3, 0), errno::EINVAL);
        assert_eq!(hash.delete(&key(3)), errno::ENOENT);
        assert_eq!(hash.delete(&key(1)), 0);
        assert_eq!(hash.lookup(&key(1), 0), None);
        assert_eq!(hash.keys().collect::<Vec<_>>(), [key(2).to_vec()]);
    }

    #[test]
    fn an_array_has_all_its_entries_always() {
        let mut array = map(MapKind::Array, 2);
        assert_eq!(array.lookup(&key(1), 0), Some(16));
        assert_eq!(array.lookup(&key(2), 0), None);
        assert_eq!(array.update(&key(2), &[0; 8], 0, 0), errno::E2BIG);
        assert_eq!(array.update(&key(0), &[0; 8], NOEXIST, 0), errno::EEXIST);
        assert_eq!(array.delete(&key(0)), errno::EINVAL);
    }

    #[test]
    fn each_cpu_has_its_value() {
        let mut map = map(MapKind::PercpuHash, 4);
        assert_eq!(map.update(&key(7), &[9; 8], 0, 1), 0);
        assert_eq!(map.get(&key(7), 0), Some(&[0; 8][..]));
        assert_eq!(map.get(&key(7), 1), Some(&[9; 8][..]));
        assert_eq!(map.lookup(&key(7), 2), None);
    }

    #[test]
    fn the_least_recently_used_entry_makes_room() {
        let mut lru = map(MapKind::LruHash, 2);
        lru.update(&key(1), &[1; 8], 0, 0);
        lru.update(&key(2), &[2; 8], 0, 0);
        lru.lookup(&key(1), 0);
        assert_eq!(lru.update(&key(3), &[3; 8], 0, 0), 0);
        assert_eq!(lru.get(&key(2), 0), None);
        assert!(lru.get(&key(1), 0).is_some());
    }

    #[test]
    fn same_stack_same_id() {
        let mut stacks = map(MapKind::StackTrace, 64);
        let id = stacks.stack_id(&[1], false, false);
        assert!(id >= 0);
        assert_eq!(stacks.stack_id(&[1], false, false), id);
        assert_eq!(stacks.stack(u32::try_from(id).unwrap()), Some(vec![1]));
    }
}
