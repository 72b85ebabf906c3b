//! The symbols of one file by address.

use std::cmp::Reverse;
use std::ops::Deref;

use crate::elf::{Image, Kind, Segment, Symbol};
use crate::sys::file_map::FileMap;

/// The bytes of an ELF file.
#[derive(Debug)]
pub(super) enum Bytes {
    /// Of a file.
    File(FileMap),
    /// Of the kernel's page that is in every process.
    Vdso(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::File(map) => map,
            Bytes::Vdso(bytes) => bytes,
        }
    }
}

/// Entries that may enclose an address: functions rarely overlap more than a few times.
const DEEPEST: usize = 16;
/// Set in an entry's `size` if its name is in the debug file.
const IN_DEBUG: u32 = 1 << 31;

/// One symbol in 16 bytes: a large program has 100,000.
#[derive(Clone, Copy, Debug)]
struct Entry {
    vaddr: u64,
    /// Bytes, and [`IN_DEBUG`].
    size: u32,
    /// Where in the file its name begins.
    name: u32,
}

/// The symbols of a file, sorted by address; their names stay in the file.
#[derive(Debug)]
pub(super) struct Table {
    bytes: Bytes,
    debug: Option<FileMap>,
    segments: Vec<Segment>,
    entries: Vec<Entry>,
}

impl Table {
    /// Reads the symbols of a file and of its separate debug file; `None` for what is not ELF.
    pub(super) fn new(bytes: Bytes, debug: Option<FileMap>) -> Result<Table, Bytes> {
        let Ok(image) = Image::parse(&bytes) else {
            return Err(bytes);
        };
        let segments: Vec<Segment> = image.segments().collect();
        let code = |vaddr| image.locate(vaddr).is_some_and(|(segment, _)| segment.exec);
        let mut entries = Vec::new();
        let mut add = |file: &Image<'_>, flag: u32| {
            for symbol in file.symbol_table() {
                if symbol.kind == Kind::Label && !code(symbol.vaddr) {
                    continue;
                }
                if let Some(entry) = entry(file, &symbol, flag) {
                    entries.push((symbol.vaddr, rank(&symbol), entry));
                }
            }
        };
        add(&image, 0);
        let debug_image = debug.as_ref().and_then(|map| Image::parse(map).ok());
        if let Some(image) = &debug_image {
            add(image, IN_DEBUG);
        }
        entries.sort_unstable_by_key(|(vaddr, rank, _)| (*vaddr, *rank));
        entries.dedup_by_key(|(vaddr, _, _)| *vaddr);
        let entries = entries.into_iter().map(|(_, _, entry)| entry).collect();
        drop(debug_image);
        Ok(Table {
            bytes,
            debug,
            segments,
            entries,
        })
    }

    /// The file's build id, if it has one.
    pub(super) fn build_id(&self) -> Option<Vec<u8>> {
        Image::parse(&self.bytes)
            .ok()?
            .build_id()
            .map(<[u8]>::to_vec)
    }

    /// The vaddr of byte `offset` of the file, of those that are loaded executable or not.
    pub(super) fn vaddr(&self, offset: u64, exec: bool) -> Option<u64> {
        let of = |s: &Segment| {
            let into = offset.checked_sub(s.offset).filter(|d| *d < s.size)?;
            s.vaddr.checked_add(into)
        };
        // The page at a segment's edge is in two mappings: the right one is that of the same rights.
        let same = self.segments.iter().filter(|s| s.exec == exec).find_map(of);
        same.or_else(|| self.segments.iter().find_map(of))
    }

    /// Number of the symbol that `vaddr` is in, and how far in.
    pub(super) fn find(&self, vaddr: u64) -> Option<(usize, u64)> {
        let after = self.entries.partition_point(|e| e.vaddr <= vaddr);
        let first = after.checked_sub(1)?;
        for number in (after.saturating_sub(DEEPEST)..after).rev() {
            let entry = self.entries.get(number)?;
            let into = vaddr - entry.vaddr;
            let size = u64::from(entry.size & !IN_DEBUG);
            // A symbol without a size goes on to the next one.
            if into < size || size == 0 && number == first {
                return Some((number, into));
            }
        }
        None
    }

    /// The name of symbol `number`, as in the file.
    pub(super) fn name(&self, number: usize) -> Option<&str> {
        let entry = self.entries.get(number)?;
        let bytes: &[u8] = match (entry.size & IN_DEBUG != 0, &self.debug) {
            (true, Some(debug)) => debug,
            _ => &self.bytes,
        };
        let rest = bytes.get(usize::try_from(entry.name).ok()?..)?;
        let rest = rest.get(..4096).unwrap_or(rest);
        let end = rest.iter().position(|b| *b == 0 || *b == b'@')?;
        let end = if end == 0 {
            rest.iter().position(|b| *b == 0)?
        } else {
            end
        };
        std::str::from_utf8(rest.get(..end)?).ok()
    }
}

fn entry(file: &Image<'_>, symbol: &Symbol<'_>, flag: u32) -> Option<Entry> {
    let name = symbol.name.as_ptr().addr();
    let name = name.checked_sub(file.bytes().as_ptr().addr())?;
    let size = u32::try_from(symbol.size).unwrap_or(u32::MAX);
    Some(Entry {
        vaddr: symbol.vaddr,
        size: size.min(IN_DEBUG - 1) | flag,
        name: u32::try_from(name).ok()?,
    })
}

/// Which of several names for one address is shown: the least. Functions before data, those with a size, the public name
/// before the internal ones (`malloc` before `__libc_malloc`), then the first of the table.
fn rank(symbol: &Symbol<'_>) -> (Kind, bool, bool, usize, Reverse<u64>) {
    let underscores = symbol.name.bytes().take_while(|b| *b == b'_').count();
    let mangled = symbol.name.starts_with("_Z") || symbol.name.starts_with("_R");
    let underscores = if mangled { 0 } else { underscores };
    let hidden = !symbol.global;
    (
        symbol.kind,
        symbol.size == 0,
        hidden,
        underscores,
        Reverse(symbol.size),
    )
}
