//! From the rings to a file: parts become hits again, in the order in which the script's output was printed.
//!
//! A program sends what it prints before its last part. So that a replay prints in the same order, a hit stands where
//! its output stood, and those behind it wait until its last part is here.

use super::{
    error::WriteError,
    format::{End, Meta, Point},
    hit::Hit,
    notes::{Notebook, Notes},
    sights::Sights,
    tap::{CGROUP, LAST, STACK_ID, TAP},
    write::Writer,
};
use crate::{
    lower::abi::abi,
    runtime::{MapReader, Symbols, int, record::u32_at},
    spec::{self, Arch},
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::File,
    path::Path,
};

/// Hits that wait for an earlier one; when there are more, that one was lost.
const WAITING: usize = 8192;

/// Names of one block: about a megabyte.
const NAMES: usize = 8192;

/// A hit in its place.
struct Place {
    cpu: u32,
    program: u32,
    hit: Option<Hit>,
}

/// Takes what recorded programs send.
pub struct Recorder {
    writer: Writer<File>,
    /// Registers of each point.
    regs: Vec<usize>,
    queue: VecDeque<Place>,
    /// Hits of which more is to come, by CPU, thread and program.
    open: HashMap<(u32, u64, u32), Hit>,
    spare: Vec<Hit>,
    error: Option<WriteError>,
    /// Hits of which something is missing, by point.
    broken: Vec<u64>,
    names: Notebook,
    sights: Sights,
    /// Place of the instruction pointer among each point's registers.
    ips: Vec<Option<usize>>,
    /// Index of the map that stacks are in, the ids that were seen with their process, and those ids that are not written
    /// yet.
    stacks: Option<usize>,
    seen: HashSet<(u32, u32)>,
    written: HashSet<u32>,
    fresh: Vec<(u32, u32)>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("hits", &self.writer.hits())
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// Makes the file; `stacks` is the index of the map that stacks are in.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path, meta: &Meta, stacks: Option<usize>) -> Result<Recorder, WriteError> {
        Ok(Recorder {
            writer: Writer::create(path, meta)?,
            regs: meta.points.iter().map(|point| point.regs.len()).collect(),
            ips: meta
                .points
                .iter()
                .map(|point| at_ip(point, meta.arch))
                .collect(),
            sights: Sights::default(),
            written: HashSet::new(),
            queue: VecDeque::new(),
            open: HashMap::new(),
            spare: Vec::new(),
            error: None,
            broken: vec![0; meta.points.len()],
            names: Notebook::default(),
            stacks,
            seen: HashSet::new(),
            fresh: Vec::new(),
        })
    }

    /// Names as `symbols` says them, kept as they are said.
    pub fn listen(&mut self, symbols: Box<dyn Symbols + Send>) -> Box<dyn Symbols + Send> {
        self.names.listen(symbols)
    }

    /// Takes a record from the rings; `false` if it is one of the script's, which is to be played.
    pub fn take(&mut self, cpu: u32, time: u64, data: &[u8]) -> bool {
        let Some(word) = u32_at(data, 4) else {
            return false;
        };
        let (program, flags) = (word & 0xffff, word >> 16);
        if flags & TAP == 0 {
            let (chunk, last) = (u32::from(spec::CHUNK), u32::from(spec::LAST));
            if flags & (chunk | last) == chunk {
                // It is printed when its last chunk is here.
                return false;
            }
            let waits =
                |place: &Place| (place.cpu, place.program) == (cpu, program) && place.hit.is_none();
            if !self.queue.iter().rev().take(64).any(waits) {
                self.queue.push_back(Place {
                    cpu,
                    program,
                    hit: None,
                });
            }
            return false;
        }
        if self
            .part(cpu, time, program, flags & LAST != 0, data)
            .is_none()
            && let Some(broken) = self.broken.get_mut(program as usize)
        {
            *broken += 1;
        }
        self.write(WAITING);
        true
    }

    fn part(&mut self, cpu: u32, time: u64, program: u32, last: bool, data: &[u8]) -> Option<()> {
        let regs = *self.regs.get(program as usize)?;
        let data = data.get(..u32_at(data, 0)? as usize)?;
        let mut fresh = self.spare.pop().unwrap_or_default();
        fresh.clear();
        fresh.head(data, regs)?;
        (fresh.point, fresh.cpu, fresh.time) = (program, cpu, time);
        let key = (
            cpu,
            u64::from(fresh.pid) << 32 | u64::from(fresh.tid),
            program,
        );
        let mut hit = match self.open.remove(&key) {
            Some(begun) if begun.boot == fresh.boot => {
                self.spare.push(fresh);
                begun
            }
            // The rest of that one was lost.
            Some(_) => {
                self.broken[program as usize] += 1;
                fresh
            }
            None => fresh,
        };
        hit.time = time;
        hit.items(data, regs)?;
        for item in &hit.items {
            if item.helper == CGROUP {
                self.sights.cgroup(item.answer);
            }
            if item.helper != STACK_ID {
                continue;
            }
            // An error is a very big number.
            if let Ok(id) = u32::try_from(item.answer)
                && self.seen.insert((id, hit.pid))
            {
                self.fresh.push((id, hit.pid));
            }
        }
        let ip = self.ips.get(program as usize).copied().flatten();
        let ip = ip.and_then(|at| hit.regs.get(at)).copied();
        self.sights.hit(&hit, ip);
        if !last {
            self.open.insert(key, hit);
            return Some(());
        }
        let waits = |place: &&mut Place| {
            (place.cpu, place.program) == (cpu, program) && place.hit.is_none()
        };
        match self.queue.iter_mut().find(waits) {
            Some(place) => place.hit = Some(hit),
            None => self.queue.push_back(Place {
                cpu,
                program,
                hit: Some(hit),
            }),
        }
        Some(())
    }

    /// Writes hits that need not wait, and the oldest of more than `most` in any case.
    fn write(&mut self, most: usize) {
        while let Some(place) = self.queue.front() {
            if place.hit.is_none() && self.queue.len() <= most {
                return;
            }
            let Some(Place { hit, .. }) = self.queue.pop_front() else {
                return;
            };
            if let Some(hit) = hit {
                if self.error.is_none()
                    && let Err(err) = self.writer.hit(&hit)
                {
                    self.error = Some(err);
                }
                self.spare.push(hit);
            }
        }
    }

    /// To be called now and then: writes what is a moment old, with its stacks from `maps`. `false` if the file takes no
    /// more.
    pub fn idle(&mut self, maps: &mut dyn MapReader) -> bool {
        let notes = self.notes(maps);
        if self.error.is_none()
            && let Err(err) = self.writer.notes(&notes).and_then(|()| self.writer.age())
        {
            self.error = Some(err);
        }
        self.error.is_none()
    }

    /// Names, stacks and code that are not in the file yet.
    fn notes(&mut self, maps: &mut dyn MapReader) -> Notes {
        let mut stacks = Vec::new();
        for (id, pid) in self.fresh.drain(..) {
            // A stack keeps its place in the map; none is ever removed.
            let found = self.stacks.map(|map| maps.lookup(map, &id.to_ne_bytes()));
            if let Some(Ok(Some(values))) = found
                && let Some(frames) = values.into_iter().next()
            {
                let frames = frames.chunks_exact(8).map(|frame| int::read(frame, false));
                let frames: Vec<u64> = frames.take_while(|addr| *addr != 0).collect();
                self.sights.stack(pid, &frames);
                if self.written.insert(id) {
                    stacks.push((id, frames));
                }
            }
        }
        let code = self.sights.look(&self.names);
        let names = self.names.take();
        Notes {
            names,
            stacks,
            code,
            users: self.sights.users(),
            cgroups: self.sights.cgroups(),
        }
    }

    /// Writes the names of all places that were hit and of all frames: other scripts may ask for them. It takes time, and
    /// so is done when nothing is traced any more.
    fn names(&mut self) -> Result<(), WriteError> {
        self.names.name(self.sights.addresses());
        for names in self.names.take().chunks(NAMES) {
            let names = names.to_vec();
            self.writer.notes(&Notes {
                names,
                ..Notes::default()
            })?;
        }
        Ok(())
    }

    /// Writes the end; `lost` are hits that were not sent, by point. The size of the file besides.
    ///
    /// # Errors
    /// The file is full, or was before.
    pub fn finish(
        mut self,
        mut lost: Vec<u64>,
        maps: &mut dyn MapReader,
    ) -> Result<(End, u64), WriteError> {
        self.write(0);
        self.idle(maps);
        if let Some(err) = self.error.take() {
            return Err(err);
        }
        self.names()?;
        lost.resize(self.broken.len(), 0);
        for (lost, broken) in lost.iter_mut().zip(&self.broken) {
            *lost += broken;
        }
        self.writer.finish(lost)
    }
}

/// Where among the registers of a point the instruction pointer is.
fn at_ip(point: &Point, arch: Arch) -> Option<usize> {
    let ip = abi(arch).ip;
    point.regs.iter().position(|reg| *reg == ip)
}
