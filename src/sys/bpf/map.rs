//! Maps: creation and access to their elements.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use super::{address, address_mut, attr, call, call_fd, info, kernel_name, raw};
use crate::sys::{cpu, trace, uapi};

/// What to create.
#[derive(Clone, Debug, Default)]
pub struct MapCreate<'a> {
    /// `BPF_MAP_TYPE_*`.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value (of one CPU).
    pub value_size: u32,
    /// Most entries.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// Name, made fit for the kernel.
    pub name: &'a str,
}

/// A map, with the sizes that every access is checked against.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
    kind: u32,
    key_size: usize,
    value_len: usize,
    max_entries: u32,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchEnd {
    /// There may be more.
    More,
    /// That was the last of the map.
    Done,
}

fn is_percpu(kind: u32) -> bool {
    matches!(
        kind,
        uapi::BPF_MAP_TYPE_PERCPU_HASH
            | uapi::BPF_MAP_TYPE_PERCPU_ARRAY
            | uapi::BPF_MAP_TYPE_LRU_PERCPU_HASH
            | uapi::BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE
    )
}

/// Bytes that one element's value has in user space: every possible CPU's share, each rounded up to 8 bytes, for
/// per-CPU maps (`kernel/bpf/syscall.c: bpf_map_value_size`).
fn value_len(kind: u32, value_size: u32) -> io::Result<usize> {
    let size = value_size as usize;
    if is_percpu(kind) {
        return Ok(size.next_multiple_of(8) * cpu::possible_count()? as usize);
    }
    Ok(size)
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Map {
    /// `BPF_MAP_CREATE`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn create(spec: &MapCreate<'_>) -> io::Result<Map> {
        let mut attr = attr::MapCreate {
            map_type: spec.kind,
            key_size: spec.key_size,
            value_size: spec.value_size,
            max_entries: spec.max_entries,
            map_flags: spec.flags,
            map_name: kernel_name(spec.name),
            ..Default::default()
        };
        let value_len = value_len(spec.kind, spec.value_size)?;
        // SAFETY: the attr holds no pointers.
        let fd = unsafe { call_fd(uapi::BPF_MAP_CREATE, &mut attr)? };
        Ok(Map {
            fd,
            kind: spec.kind,
            key_size: spec.key_size as usize,
            value_len,
            max_entries: spec.max_entries,
        })
    }

    /// Takes over a descriptor of an existing map, asking the kernel for its sizes.
    ///
    /// # Errors
    /// The kernel's; `EINVAL` if `fd` is no map.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Map> {
        let info = info::map_info(fd.as_fd())?;
        Ok(Map {
            value_len: value_len(info.kind, info.value_size)?,
            kind: info.kind,
            key_size: info.key_size as usize,
            max_entries: info.max_entries,
            fd,
        })
    }

    /// `BPF_MAP_GET_FD_BY_ID`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn by_id(id: u32) -> io::Result<Map> {
        Map::from_fd(info::fd_by_id(uapi::BPF_MAP_GET_FD_BY_ID, id)?)
    }

    /// Its descriptor's number, as instructions name it.
    pub fn raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// `BPF_MAP_TYPE_*`.
    pub fn kind(&self) -> u32 {
        self.kind
    }

    /// Bytes of a key.
    pub fn key_size(&self) -> usize {
        self.key_size
    }

    /// Bytes of one element's value as user space sees it: all CPUs' shares for per-CPU maps.
    pub fn value_len(&self) -> usize {
        self.value_len
    }

    /// Most entries.
    pub fn max_entries(&self) -> u32 {
        self.max_entries
    }

    /// Whether each CPU has its own value.
    pub fn is_percpu(&self) -> bool {
        is_percpu(self.kind)
    }

    fn check_key(&self, len: usize) -> io::Result<()> {
        sized(len, self.key_size, "key")
    }

    /// `BPF_MAP_LOOKUP_ELEM` into `value`, which is [`Map::value_len`] long. `false`: no such key.
    ///
    /// # Errors
    /// `InvalidInput` for slices of the wrong length; the kernel's.
    pub fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        self.check_key(key.len())?;
        sized(value.len(), self.value_len, "value")?;
        let mut attr = attr::MapElem {
            map_fd: raw(self.as_fd()),
            key: address(key),
            value: address_mut(value),
            ..Default::default()
        };
        trace::note("key", || trace::bytes(key));
        // SAFETY: the kernel reads `key_size` and writes `value_len` bytes; both lengths were just checked.
        match unsafe { call(uapi::BPF_MAP_LOOKUP_ELEM, &mut attr) } {
            Ok(_) => Ok(true),
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// `BPF_MAP_UPDATE_ELEM`; `flags` is `BPF_ANY`, `BPF_NOEXIST` or `BPF_EXIST`.
    ///
    /// # Errors
    /// `InvalidInput` for slices of the wrong length; the kernel's.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> io::Result<()> {
        self.check_key(key.len())?;
        sized(value.len(), self.value_len, "value")?;
        let mut attr = attr::MapElem {
            map_fd: raw(self.as_fd()),
            key: address(key),
            value: address(value),
            flags,
            ..Default::default()
        };
        trace::note("key", || trace::bytes(key));
        trace::note("value", || trace::bytes(value));
        // SAFETY: the kernel reads `key_size` and `value_len` bytes; both lengths were just checked.
        unsafe { call(uapi::BPF_MAP_UPDATE_ELEM, &mut attr)? };
        Ok(())
    }

    /// `BPF_MAP_DELETE_ELEM`. `false`: no such key.
    ///
    /// # Errors
    /// `InvalidInput` for a key of the wrong length; the kernel's.
    pub fn delete(&self, key: &[u8]) -> io::Result<bool> {
        self.check_key(key.len())?;
        let mut attr = attr::MapElem {
            map_fd: raw(self.as_fd()),
            key: address(key),
            ..Default::default()
        };
        trace::note("key", || trace::bytes(key));
        // SAFETY: the kernel reads `key_size` bytes, checked above.
        match unsafe { call(uapi::BPF_MAP_DELETE_ELEM, &mut attr) } {
            Ok(_) => Ok(true),
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// `BPF_MAP_GET_NEXT_KEY`: the key after `key` (the first for `None`) into `next`. `false`: there is none.
    ///
    /// # Errors
    /// `InvalidInput` for slices of the wrong length; the kernel's.
    pub fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
        if let Some(key) = key {
            self.check_key(key.len())?;
        }
        self.check_key(next.len())?;
        let mut attr = attr::MapElem {
            map_fd: raw(self.as_fd()),
            key: key.map_or(0, address),
            value: address_mut(next),
            ..Default::default()
        };
        // SAFETY: the kernel reads and writes `key_size` bytes each, checked above; a null key asks for the first.
        match unsafe { call(uapi::BPF_MAP_GET_NEXT_KEY, &mut attr) } {
            Ok(_) => Ok(true),
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// `BPF_MAP_LOOKUP_BATCH`, or `BPF_MAP_LOOKUP_AND_DELETE_BATCH` with `delete`: appends up to `most` keys and
    /// values to the vectors. `cursor` is empty at first and carries the place between calls.
    ///
    /// # Errors
    /// The kernel's: `ENOSPC` when a hash bucket holds more than `most` entries (ask again with more), `EINVAL` or
    /// `ENOTSUPP` where the map type or kernel has no batches.
    pub fn lookup_batch(
        &self,
        cursor: &mut Vec<u8>,
        most: u32,
        delete: bool,
        keys: &mut Vec<u8>,
        values: &mut Vec<u8>,
    ) -> io::Result<BatchEnd> {
        let n = most as usize;
        // A hash's cursor is a u32 bucket, an array's a key: the kernel copies at most the larger.
        let cursor_len = self.key_size.max(8);
        let mut out = vec![0u8; cursor_len];
        let (first_key, first_value) = (keys.len(), values.len());
        keys.resize(first_key + n * self.key_size, 0);
        values.resize(first_value + n * self.value_len, 0);
        let in_batch = match cursor.len() {
            0 => 0,
            len => {
                sized(len, cursor_len, "cursor")?;
                address(cursor)
            }
        };
        let mut attr = attr::MapBatch {
            in_batch,
            out_batch: address_mut(&mut out),
            keys: address_mut(&mut keys[first_key..]),
            values: address_mut(&mut values[first_value..]),
            count: most,
            map_fd: raw(self.as_fd()),
            ..Default::default()
        };
        let cmd = if delete {
            uapi::BPF_MAP_LOOKUP_AND_DELETE_BATCH
        } else {
            uapi::BPF_MAP_LOOKUP_BATCH
        };
        // SAFETY: the kernel writes at most `count` keys of `key_size` and values of `value_len` bytes, for which the
        // vectors were grown above; both cursors hold `max(key_size, 8)` bytes.
        let result = unsafe { call(cmd, &mut attr) };
        let end = match result {
            Ok(_) => BatchEnd::More,
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => BatchEnd::Done,
            Err(e) => {
                keys.truncate(first_key);
                values.truncate(first_value);
                return Err(e);
            }
        };
        let got = n.min(attr.count as usize);
        keys.truncate(first_key + got * self.key_size);
        values.truncate(first_value + got * self.value_len);
        *cursor = out;
        Ok(end)
    }

    /// `BPF_MAP_FREEZE`: user space can no longer write to it, and the verifier takes its contents for constants.
    ///
    /// # Errors
    /// The kernel's.
    pub fn freeze(&self) -> io::Result<()> {
        let mut attr = attr::One {
            value: raw(self.as_fd()),
        };
        // SAFETY: the attr holds no pointers.
        unsafe { call(uapi::BPF_MAP_FREEZE, &mut attr)? };
        Ok(())
    }

    /// All keys with their values, by batches where the kernel has them and key by key where not.
    ///
    /// # Errors
    /// The kernel's.
    pub fn entries(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        match self.entries_by_batch() {
            Err(e) if e.raw_os_error() != Some(libc::EPERM) => self.entries_by_key(),
            other => other,
        }
    }

    fn entries_by_batch(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let (mut cursor, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let mut most = self.max_entries.clamp(1, 1024);
        loop {
            match self.lookup_batch(&mut cursor, most, false, &mut keys, &mut values) {
                Ok(BatchEnd::More) => {}
                Ok(BatchEnd::Done) => break,
                Err(e) if e.raw_os_error() == Some(libc::ENOSPC) && most < self.max_entries => {
                    most = most.saturating_mul(4).min(self.max_entries);
                }
                Err(e) => return Err(e),
            }
        }
        let keys = keys.chunks_exact(self.key_size.max(1));
        let values = values.chunks_exact(self.value_len.max(1));
        Ok(keys
            .map(<[u8]>::to_vec)
            .zip(values.map(<[u8]>::to_vec))
            .collect())
    }

    fn entries_by_key(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut out: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        let mut key = vec![0; self.key_size];
        let mut value = vec![0; self.value_len];
        // A key deleted meanwhile starts the walk over: the bound keeps a busy map from holding us for ever.
        for _ in 0..u64::from(self.max_entries) * 2 {
            if !self.next_key(last.as_deref(), &mut key)? {
                break;
            }
            if self.lookup(&key, &mut value)? {
                out.push((key.clone(), value.clone()));
            }
            last = Some(key.clone());
        }
        Ok(out)
    }
}

fn sized(got: usize, want: usize, what: &str) -> io::Result<()> {
    if got == want {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{what} has {got} bytes, the map wants {want}"),
    ))
}

impl Map {
    /// Puts a perf event's descriptor into slot `index` of a `PERF_EVENT_ARRAY`.
    ///
    /// # Errors
    /// The kernel's; `InvalidInput` for another type of map.
    pub fn set_perf_event(&self, index: u32, event: BorrowedFd<'_>) -> io::Result<()> {
        if self.kind != uapi::BPF_MAP_TYPE_PERF_EVENT_ARRAY {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a perf event array",
            ));
        }
        let fd = raw(event);
        self.update(&index.to_ne_bytes(), &fd.to_ne_bytes(), uapi::BPF_ANY)
    }
}
