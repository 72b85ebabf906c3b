//! The rows of all files that the traced processes have mapped, and where each has them.

use super::rows;
use crate::{
    elf::Image,
    spec::{UNWIND_BLOCK, UNWIND_HEAD, UNWIND_PROCESS, UNWIND_RANGE, UNWIND_RANGES, UNWIND_ROW},
    symbols::{CodeFile, CodeReader, ProcessCode, open_mapped},
};
use std::collections::{BTreeSet, HashMap};

/// Bytes of a block.
const BLOCK: usize = (UNWIND_BLOCK * UNWIND_ROW) as usize;

/// A file that was read.
#[derive(Clone, Debug, Default)]
struct File {
    first: u32,
    rows: u32,
    /// Executable segments: vaddr, first byte in the file, bytes.
    segments: Vec<(u64, u64, u64)>,
}

/// What the kernel's maps are to hold.
#[derive(Debug, Default)]
pub struct Tables {
    reader: CodeReader,
    files: HashMap<CodeFile, File>,
    seen: HashMap<u32, ProcessCode>,
    rows: Vec<u8>,
    /// Blocks that have changed since they were last taken.
    fresh: BTreeSet<u32>,
    /// Blocks that there is room for.
    room: u32,
}

impl Tables {
    /// No tables; there is room for `blocks`.
    pub fn new(blocks: u32) -> Tables {
        Tables {
            room: blocks,
            ..Tables::default()
        }
    }

    /// How many blocks there is room for.
    pub fn set_room(&mut self, blocks: u32) {
        self.room = blocks;
    }

    /// Blocks that are in use.
    pub fn blocks(&self) -> u32 {
        u32::try_from(self.rows.len().div_ceil(BLOCK)).unwrap_or(u32::MAX)
    }

    /// What is known of a running process, if that has changed: the value of its entry. Blocks are to be taken first.
    pub fn look(&mut self, pid: u32) -> Option<Vec<u8>> {
        let code = self.reader.read(pid)?;
        if self.seen.get(&pid) == Some(&code) {
            return None;
        }
        let mut value = vec![0; UNWIND_PROCESS as usize];
        let mut count = 0;
        for range in code.ranges.iter().take(UNWIND_RANGES as usize) {
            let Some(name) = code.files.get(range.file) else {
                continue;
            };
            if !self.files.contains_key(name) {
                let file = self.read(pid, name, range);
                self.files.insert(name.clone(), file);
            }
            let file = &self.files[name];
            // A segment is mapped from the page that it begins in.
            let page = 4095;
            let holds = |&&(_, offset, size): &&(u64, u64, u64)| {
                offset & !page <= range.offset && range.offset < offset + size
            };
            let Some(&(vaddr, offset, _)) = file.segments.iter().find(holds) else {
                continue;
            };
            let at = vaddr.wrapping_sub(offset).wrapping_add(range.offset);
            let bias = range.start.wrapping_sub(at);
            let start = (UNWIND_HEAD + count * UNWIND_RANGE) as usize;
            for (i, word) in [range.start, range.end, bias].into_iter().enumerate() {
                let start = start + 8 * i;
                value[start..start + 8].copy_from_slice(&word.to_ne_bytes());
            }
            for (i, word) in [file.first, file.rows].into_iter().enumerate() {
                let start = start + 24 + 4 * i;
                value[start..start + 4].copy_from_slice(&word.to_ne_bytes());
            }
            count += 1;
        }
        value[..4].copy_from_slice(&count.to_ne_bytes());
        self.seen.insert(pid, code);
        Some(value)
    }

    /// Reads a file's rows; none of one that cannot be read, or that there is no room for.
    fn read(&mut self, pid: u32, name: &CodeFile, range: &crate::symbols::CodeRange) -> File {
        let Some(bytes) = open_mapped(pid, name, range) else {
            return File::default();
        };
        let Ok(image) = Image::parse(&bytes) else {
            return File::default();
        };
        let exec = image.segments().filter(|segment| segment.exec);
        let segments = exec.map(|s| (s.vaddr, s.offset, s.size)).collect();
        let rows = rows(&image);
        let size = rows.len() * UNWIND_ROW as usize;
        let fits = (self.rows.len() + size).div_ceil(BLOCK) <= self.room as usize;
        if !fits {
            return File {
                segments,
                ..File::default()
            };
        }
        let first = self.rows.len();
        for row in &rows {
            self.rows.extend_from_slice(&row.bytes());
        }
        let index = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        if size > 0 {
            let last = self.rows.len() - 1;
            self.fresh
                .extend(index(first / BLOCK)..=index(last / BLOCK));
        }
        File {
            first: index(first / UNWIND_ROW as usize),
            rows: index(rows.len()),
            segments,
        }
    }

    /// Blocks that have changed: number and bytes.
    pub fn take(&mut self) -> impl Iterator<Item = (u32, Vec<u8>)> + '_ {
        let rows = &self.rows;
        std::mem::take(&mut self.fresh)
            .into_iter()
            .map(move |number| {
                let start = number as usize * BLOCK;
                let end = rows.len().min(start + BLOCK);
                let mut block = rows[start..end].to_vec();
                block.resize(BLOCK, 0);
                (number, block)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_tables() {
        let pid = std::process::id();
        let mut tables = Tables::new(1024);
        let value = tables.look(pid).unwrap();
        assert!(u32::from_ne_bytes(value[..4].try_into().unwrap()) > 1);
        let taken: Vec<_> = tables.take().collect();
        assert_eq!(u32::try_from(taken.len()).unwrap(), tables.blocks());
        assert!(taken.iter().all(|(_, bytes)| bytes.len() == BLOCK));
        // Nothing new, and nothing more to take.
        assert_eq!(tables.look(pid), None);
        assert_eq!(tables.take().count(), 0);
        // Without room there are ranges, but no rows.
        let mut none = Tables::new(0);
        assert!(none.look(pid).is_some());
        assert_eq!(none.blocks(), 0);
    }
}
