//! Writes a recording, block by block.

use super::{
    error::WriteError,
    format::{
        BLOCK_HEADER, END, End, HITS, MAGIC, META, Meta, NOTES, VERSION, machine, put, put_delta,
    },
    hit::Hit,
    notes::Notes,
};
use crate::symbols::crc32::crc32;
use std::{
    collections::HashMap,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A block of hits is written when its body has this size.
const BLOCK: usize = 256 << 10;
/// And when its first hit is this old.
const AGE: Duration = Duration::from_millis(200);

/// Who ran: pid, tid, uid, gid, comm.
type Who = (u32, u32, u32, u32, [u8; 16]);

/// What a point's last hit in the block was.
#[derive(Clone, Debug, Default)]
struct Last {
    regs: Vec<u64>,
    who: Option<(Who, u64)>,
    addr: u64,
}

/// A recording being written. A process that is killed leaves a file that is readable up to the last block.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    path: PathBuf,
    block: Vec<u8>,
    count: u32,
    since: Option<Instant>,
    time: u64,
    boot: u64,
    people: HashMap<Who, u64>,
    last: Vec<Last>,
    hits: u64,
    notes: u64,
    bytes: u64,
}

impl Writer<File> {
    /// Makes the file and writes what is recorded.
    ///
    /// # Errors
    /// The file cannot be made, or is full.
    pub fn create(path: &Path, meta: &Meta) -> Result<Self, WriteError> {
        let file = File::create(path).map_err(|err| WriteError::Create(path.to_owned(), err))?;
        Writer::new(file, path, meta)
    }

    /// Writes the end, and waits until the disk has everything.
    ///
    /// # Errors
    /// The file is full.
    pub fn finish(mut self, lost: Vec<u64>) -> Result<(End, u64), WriteError> {
        let end = self.end(lost)?;
        // Pipes and devices cannot be synced.
        match self.out.sync_all() {
            Err(err) if err.raw_os_error() != Some(libc::EINVAL) => Err(self.failed(err)),
            _ => Ok((end, self.bytes)),
        }
    }
}

impl<W: Write> Writer<W> {
    /// Writes what is recorded to `out`, which messages call `path`.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn new(out: W, path: &Path, meta: &Meta) -> Result<Self, WriteError> {
        let mut writer = Writer {
            out,
            path: path.to_owned(),
            block: Vec::with_capacity(BLOCK + 4096),
            count: 0,
            since: None,
            time: 0,
            boot: 0,
            people: HashMap::new(),
            last: vec![Last::default(); meta.points.len()],
            hits: 0,
            notes: 0,
            bytes: 0,
        };
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&machine(meta.arch).to_le_bytes());
        writer.write(&header)?;
        let json = serde_json::to_vec(meta).map_err(|err| writer.failed(err.into()))?;
        writer.put_block(META, 1, &json)?;
        Ok(writer)
    }

    /// Hits so far.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Adds a hit.
    ///
    /// # Errors
    /// The file is full.
    pub fn hit(&mut self, hit: &Hit) -> Result<(), WriteError> {
        if self.last.len() <= hit.point as usize {
            self.last.resize(hit.point as usize + 1, Last::default());
        }
        let out = &mut self.block;
        let last = &mut self.last[hit.point as usize];
        put(out, u64::from(hit.point));
        put(out, u64::from(hit.cpu));
        put_delta(out, self.time, hit.time);
        put_delta(out, self.boot, hit.boot);
        (self.time, self.boot) = (hit.time, hit.boot);
        let who: Who = (hit.pid, hit.tid, hit.uid, hit.gid, hit.comm);
        match last.who {
            Some((known, number)) if known == who => put(out, number),
            _ => {
                let new = self.people.len() as u64;
                let number = *self.people.entry(who).or_insert(new);
                put(out, number);
                if number == new {
                    for id in [hit.pid, hit.tid, hit.uid, hit.gid] {
                        put(out, u64::from(id));
                    }
                    let len = hit.comm.iter().position(|b| *b == 0).unwrap_or(16);
                    put(out, len as u64);
                    out.extend_from_slice(&hit.comm[..len]);
                }
                last.who = Some((who, number));
            }
        }
        last.regs.resize(hit.regs.len(), 0);
        let mut changed = 0u64;
        for (number, (old, new)) in last.regs.iter().zip(&hit.regs).enumerate() {
            changed |= u64::from(old != new) << (number & 63);
        }
        put(out, changed);
        for (old, new) in last.regs.iter_mut().zip(&hit.regs) {
            if old != new {
                put_delta(out, *old, *new);
                *old = *new;
            }
        }
        put(out, hit.items.len() as u64);
        for item in &hit.items {
            put(out, u64::from(item.helper));
            put_delta(out, last.addr, item.addr);
            last.addr = item.addr;
            put_delta(out, 0, item.answer);
            put(out, item.len as u64);
            out.extend_from_slice(hit.data(item));
        }
        self.count += 1;
        self.hits += 1;
        if self.block.len() >= BLOCK {
            return self.flush();
        }
        self.since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Writes names and stacks, if there are any.
    ///
    /// # Errors
    /// The file is full.
    pub fn notes(&mut self, notes: &Notes) -> Result<(), WriteError> {
        if notes.is_empty() {
            return Ok(());
        }
        self.notes += 1;
        let json = serde_json::to_vec(notes).map_err(|err| self.failed(err.into()))?;
        self.put_block(NOTES, 1, &json)
    }

    /// Writes the block if its first hit is old.
    ///
    /// # Errors
    /// The file is full.
    pub fn age(&mut self) -> Result<(), WriteError> {
        match self.since {
            Some(since) if since.elapsed() >= AGE => self.flush(),
            _ => Ok(()),
        }
    }

    /// Writes the block.
    ///
    /// # Errors
    /// The file is full.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if self.count == 0 {
            return Ok(());
        }
        let mut body = std::mem::take(&mut self.block);
        let result = self.put_block(HITS, self.count, &body);
        body.clear();
        self.block = body;
        (self.count, self.since, self.time, self.boot) = (0, None, 0, 0);
        self.people.clear();
        for last in &mut self.last {
            last.regs.clear();
            (last.who, last.addr) = (None, 0);
        }
        result
    }

    /// Writes the end.
    ///
    /// # Errors
    /// The file is full.
    pub fn end(&mut self, lost: Vec<u64>) -> Result<End, WriteError> {
        self.flush()?;
        let (hits, notes) = (self.hits, self.notes);
        let end = End { hits, notes, lost };
        let json = serde_json::to_vec(&end).map_err(|err| self.failed(err.into()))?;
        self.put_block(END, 1, &json)?;
        Ok(end)
    }

    fn put_block(&mut self, kind: u32, count: u32, body: &[u8]) -> Result<(), WriteError> {
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut header = [0; BLOCK_HEADER];
        for (to, word) in header
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip([kind, len, count])
        {
            *to = word.to_le_bytes();
        }
        let sum = checksum(&header[..12], body);
        header[12..].copy_from_slice(&sum.to_le_bytes());
        self.write(&header)?;
        self.write(body)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|err| self.failed(err))
    }

    fn failed(&self, source: std::io::Error) -> WriteError {
        WriteError::Write {
            path: self.path.clone(),
            hits: self.hits - u64::from(self.count),
            source,
        }
    }
}

/// The checksum of a block: of its header without the sum, and of its body.
pub(super) fn checksum(header: &[u8], body: &[u8]) -> u32 {
    crc32(body) ^ crc32(header).rotate_left(1)
}
