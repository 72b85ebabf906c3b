//! Reads a recording.

use super::{
    error::ReadError,
    format::{
        BLOCK_HEADER, BLOCK_MAX, Cursor, END, End, HEADER, HITS, MAGIC, META, Meta, NOTES, VERSION,
        machine, machine_name,
    },
    hit::Hit,
    notes::Notes,
    write::checksum,
};
use crate::{runtime::record::u32_at, sys::file_map::FileMap};
use std::{ops::Range, path::Path};

/// CPUs that a kernel can have (`NR_CPUS` on x86-64): each takes its share of every per-CPU map.
const MOST_CPUS: u32 = 8192;

/// Where the bytes are.
#[derive(Debug)]
enum Bytes {
    File(FileMap),
    Memory(Vec<u8>),
}

/// A recording whose first block was read.
#[derive(Debug)]
pub struct Recording {
    bytes: Bytes,
    /// What was recorded.
    pub meta: Meta,
    /// First byte of the second block.
    first: usize,
}

/// A block.
struct Block {
    kind: u32,
    count: u32,
    body: Range<usize>,
}

impl Recording {
    /// Opens a file.
    ///
    /// # Errors
    /// It is no recording, or one that is not understood.
    pub fn open(path: &Path) -> Result<Recording, ReadError> {
        let map = FileMap::open(path).map_err(ReadError::Open)?;
        Recording::new(Bytes::File(map))
    }

    /// Takes the bytes of a file.
    ///
    /// # Errors
    /// As [`Recording::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Recording, ReadError> {
        Recording::new(Bytes::Memory(bytes))
    }

    fn new(bytes: Bytes) -> Result<Recording, ReadError> {
        let all = bytes.all();
        if !all.starts_with(&MAGIC) {
            return Err(ReadError::NotOne);
        }
        let (Some(version), Some(number)) = (word(all, 8), word(all, 12)) else {
            return Err(ReadError::NoMeta);
        };
        if version != VERSION {
            return Err(ReadError::Version(version));
        }
        let Some((block, first)) = block(all, HEADER)? else {
            return Err(ReadError::NoMeta);
        };
        if !matches!(number, 62 | 183) {
            return Err(ReadError::Machine(machine_name(number)));
        }
        if block.kind != META {
            return Err(ReadError::damaged(
                HEADER,
                "the first block says nothing of the script",
            ));
        }
        let meta: Meta = serde_json::from_slice(&all[block.body])
            .map_err(|err| ReadError::damaged(HEADER, format!("what was recorded: {err}")))?;
        if machine(meta.arch) != number {
            let what = format!(
                "the header says {}, the first block not",
                machine_name(number)
            );
            return Err(ReadError::damaged(0, what));
        }
        if !(1..=MOST_CPUS).contains(&meta.cpus) {
            let what = format!("a machine of {} CPUs", meta.cpus);
            return Err(ReadError::damaged(HEADER, what));
        }
        if meta.points.iter().any(|point| point.regs.len() > 64) {
            return Err(ReadError::damaged(
                HEADER,
                "more than 64 registers of a probe",
            ));
        }
        Ok(Recording { bytes, meta, first })
    }

    /// Reads the hits, first one first.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            all: self.bytes.all(),
            meta: &self.meta,
            next: self.first,
            block: 0,
            cursor: Cursor(&[]),
            left: 0,
            time: 0,
            boot: 0,
            people: Vec::new(),
            last: vec![Last::default(); self.meta.points.len()],
            hits: 0,
            notes: 0,
            end: None,
            cut: None,
        }
    }

    /// The names and stacks of all blocks up to the first that is damaged or cut off: reading the hits will say so.
    pub fn notes(&self) -> Notes {
        let all = self.bytes.all();
        let (mut notes, mut at) = (Notes::default(), self.first);
        while let (Some(kind), Some(len)) = (word(all, at), word(all, at + 4)) {
            if kind == NOTES
                && let Ok(Some((block, _))) = block(all, at)
                && let Ok(more) = serde_json::from_slice::<Notes>(&all[block.body])
            {
                notes.extend(more);
            }
            at += BLOCK_HEADER + len as usize;
        }
        notes
    }

    /// Bytes of the file.
    pub fn size(&self) -> usize {
        self.bytes.all().len()
    }
}

impl Bytes {
    fn all(&self) -> &[u8] {
        match self {
            Bytes::File(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}

fn word(all: &[u8], at: usize) -> Option<u32> {
    u32_at(all, at).map(u32::from_le)
}

/// The block at `at`, and where the next one begins; `None` if the file ends before it does.
fn block(all: &[u8], at: usize) -> Result<Option<(Block, usize)>, ReadError> {
    let (Some(kind), Some(len), Some(count), Some(sum)) = (
        word(all, at),
        word(all, at + 4),
        word(all, at + 8),
        word(all, at + 12),
    ) else {
        return Ok(None);
    };
    let len = len as usize;
    if !matches!(kind, META | HITS | END | NOTES) || len > BLOCK_MAX {
        return Err(ReadError::damaged(at, "no block begins here"));
    }
    let start = at + BLOCK_HEADER;
    let Some(body) = all.get(start..start + len) else {
        return Ok(None);
    };
    if checksum(&all[at..at + 12], body) != sum {
        return Err(ReadError::damaged(at, "the checksum of a block is wrong"));
    }
    let body = start..start + len;
    let next = body.end;
    Ok(Some((Block { kind, count, body }, next)))
}

#[derive(Clone, Debug, Default)]
struct Last {
    regs: Vec<u64>,
    addr: u64,
}

/// Who ran.
#[derive(Clone, Copy, Debug)]
struct Person {
    ids: [u32; 4],
    comm: [u8; 16],
}

/// Reads the hits of a recording.
#[derive(Debug)]
pub struct Reader<'r> {
    all: &'r [u8],
    meta: &'r Meta,
    next: usize,
    block: usize,
    cursor: Cursor<'r>,
    left: u32,
    time: u64,
    boot: u64,
    people: Vec<Person>,
    last: Vec<Last>,
    hits: u64,
    notes: u64,
    end: Option<End>,
    cut: Option<usize>,
}

impl Reader<'_> {
    /// The next hit, in `hit`; `false` if there is none.
    ///
    /// # Errors
    /// The file was changed.
    pub fn next(&mut self, hit: &mut Hit) -> Result<bool, ReadError> {
        while self.left == 0 {
            if !self.cursor.0.is_empty() {
                return Err(ReadError::damaged(
                    self.block,
                    "bytes behind the last hit of a block",
                ));
            }
            if self.end.is_some() || self.cut.is_some() {
                return Ok(false);
            }
            self.open()?;
        }
        self.left -= 1;
        self.hits += 1;
        let read = self.hit(hit);
        read.ok_or_else(|| ReadError::damaged(self.block, "a hit of this block makes no sense"))?;
        Ok(true)
    }

    /// Hits so far.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// What the recording says of its end, once that is reached; `None` if it was cut off.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Where the file was cut off: first byte of the block that is not whole, or the file's size.
    pub fn cut(&self) -> Option<usize> {
        self.cut
    }

    fn open(&mut self) -> Result<(), ReadError> {
        let all = self.all;
        self.block = self.next;
        let Some((block, next)) = block(all, self.next)? else {
            self.cut = Some(self.next);
            return Ok(());
        };
        let damaged = |what| Err(ReadError::damaged(self.block, what));
        match block.kind {
            HITS => {
                self.cursor = Cursor(&all[block.body]);
                self.left = block.count;
                (self.time, self.boot) = (0, 0);
                self.people.clear();
                self.last.fill(Last::default());
            }
            NOTES => {
                if let Err(err) = serde_json::from_slice::<Notes>(&all[block.body]) {
                    return damaged(format!("names and stacks: {err}"));
                }
                self.notes += 1;
            }
            END => {
                let end: End = match serde_json::from_slice(&all[block.body]) {
                    Ok(end) => end,
                    Err(err) => return damaged(format!("the end: {err}")),
                };
                if end.hits != self.hits {
                    return damaged(format!(
                        "{} hits were written, {} are there: a block is missing",
                        end.hits, self.hits
                    ));
                }
                if end.notes != self.notes {
                    return damaged(format!(
                        "{} blocks of names and stacks were written, {} are there",
                        end.notes, self.notes
                    ));
                }
                if next != all.len() {
                    return damaged("bytes behind the last block".to_owned());
                }
                self.end = Some(end);
            }
            _ => return damaged("what was recorded is there twice".to_owned()),
        }
        self.next = next;
        Ok(())
    }

    fn hit(&mut self, hit: &mut Hit) -> Option<()> {
        let cursor = &mut self.cursor;
        hit.clear();
        hit.point = cursor.small()?;
        let point = self.meta.points.get(hit.point as usize)?;
        let last = self.last.get_mut(hit.point as usize)?;
        hit.cpu = cursor.small().filter(|cpu| *cpu < self.meta.cpus)?;
        self.time = cursor.delta(self.time)?;
        self.boot = cursor.delta(self.boot)?;
        (hit.time, hit.boot) = (self.time, self.boot);
        let number = usize::try_from(cursor.number()?).ok()?;
        if number == self.people.len() {
            let mut person = Person {
                ids: [0; 4],
                comm: [0; 16],
            };
            for id in &mut person.ids {
                *id = cursor.small()?;
            }
            let len = usize::try_from(cursor.number()?).ok()?;
            person
                .comm
                .get_mut(..len)?
                .copy_from_slice(cursor.bytes(len)?);
            self.people.push(person);
        }
        let person = self.people.get(number)?;
        [hit.pid, hit.tid, hit.uid, hit.gid] = person.ids;
        hit.comm = person.comm;
        let changed = cursor.number()?;
        last.regs.resize(point.regs.len(), 0);
        for (number, reg) in last.regs.iter_mut().enumerate() {
            if changed >> number & 1 != 0 {
                *reg = cursor.delta(*reg)?;
            }
        }
        hit.regs.extend_from_slice(&last.regs);
        for _ in 0..cursor.number()? {
            let helper = cursor.small()?;
            last.addr = cursor.delta(last.addr)?;
            let answer = cursor.delta(0)?;
            let len = usize::try_from(cursor.number()?).ok()?;
            let data = cursor.bytes(len)?;
            hit.push(helper, last.addr, answer, data);
        }
        Some(())
    }
}
