//! What the programs of a run need to walk the stacks of its processes.

use crate::{
    loader::Loaded,
    session::{Options, error::SessionError},
    spec::{MapRole, Object},
    unwind::Tables,
};
use std::time::{Duration, Instant};

/// A process that starts is looked at this often, until it has its libraries.
const STARTING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(2));
/// And later this often: `dlopen` brings more.
const RUNNING: Duration = Duration::from_millis(250);
/// Blocks of rows that a process may come to have besides those that it has.
const SPARE: u32 = 32;

/// The tables of a run's processes.
#[derive(Debug)]
pub(super) struct Unwinding {
    tables: Tables,
    pids: Vec<u32>,
    /// Indices of the maps.
    rows: usize,
    processes: usize,
    start: Instant,
    looked: Option<Instant>,
    /// Entries that are not in the map yet.
    fresh: Vec<(u32, Vec<u8>)>,
}

impl Unwinding {
    /// Reads the tables of the processes that run; makes room for them in the maps that are to be loaded. `None` if no
    /// program walks stacks.
    pub(super) fn new(
        options: &Options,
        object: &mut Object,
        child: Option<u32>,
    ) -> Option<Unwinding> {
        let index = |role: MapRole| object.map_index(|other| *other == role);
        let rows = index(MapRole::UnwindRows)?;
        let processes = index(MapRole::UnwindProcesses)?;
        let mut pids: Vec<u32> = options.pid.into_iter().collect();
        pids.extend(&options.dwarf_pids);
        let mut tables = Tables::new(u32::MAX);
        // The command is not what it will be yet.
        let fresh = pids
            .iter()
            .filter_map(|pid| Some((*pid, tables.look(*pid)?)));
        let fresh = fresh.collect();
        pids.extend(child);
        let room = tables.blocks() + SPARE;
        let entries = &mut object.maps[rows].max_entries;
        *entries = if child.is_some() {
            room.max(*entries)
        } else {
            room
        };
        tables.set_room(*entries);
        Some(Unwinding {
            tables,
            pids,
            rows,
            processes,
            start: Instant::now(),
            looked: None,
            fresh,
        })
    }

    /// Looks at the processes again if it is time to, or `now`, and writes what is new to the maps.
    ///
    /// # Errors
    /// The kernel does not take it.
    pub(super) fn refresh(&mut self, loaded: &Loaded, now: bool) -> Result<(), SessionError> {
        let pause = match self.start.elapsed() < STARTING.0 {
            true => STARTING.1,
            false => RUNNING,
        };
        if !now && self.looked.is_some_and(|looked| looked.elapsed() < pause) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        for pid in &self.pids {
            if let Some(value) = self.tables.look(*pid) {
                self.fresh.push((*pid, value));
            }
        }
        let failed = |err| SessionError::Io("bpf(BPF_MAP_UPDATE_ELEM)", err);
        let (rows, processes) = (&loaded.maps[self.rows], &loaded.maps[self.processes]);
        for (number, block) in self.tables.take() {
            rows.update(&number.to_ne_bytes(), &block, 0)
                .map_err(failed)?;
        }
        // Who finds the process finds its rows.
        for (pid, value) in self.fresh.drain(..) {
            let put = processes.update(&pid.to_ne_bytes(), &value, 0);
            put.map_err(failed)?;
        }
        Ok(())
    }
}
