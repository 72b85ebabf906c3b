//! A script on invented events, in user space: what a run would print, without the rights for one.

use super::{
    Options,
    compile::{Compiled, Session},
    error::SessionError,
};
use crate::{
    runtime::{Entry, Flow, MapReader, Player, RecordCtx},
    spec::{ArgLoc, AttachSpec, Binary, Site, UsdtProbe, UserSite},
    vm::{Fault, Machine, MapStore, World},
};
use std::{collections::HashMap, io};

/// An argument of an invented event.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A number.
    Int(i64),
    /// A pointer to a NUL-terminated string.
    Str(&'a str),
}

/// One firing of a USDT probe.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Provider.
    pub provider: &'a str,
    /// Name.
    pub name: &'a str,
    /// Arguments, first one first.
    pub args: Vec<Value<'a>>,
}

/// Bytes of a made-up `pt_regs`, enough for every architecture.
const CTX_SIZE: usize = 384;
/// Where the made-up process has its strings, each a page apart.
const STRINGS: u64 = 0x5555_0000_0000;
/// Where registers that serve as bases point, each a page apart, to the page's middle.
const BASES: u64 = 0x7ffc_0000_0000;
const PAGE: u64 = 4096;

/// Runs `begin`, the programs of each event in order, and `end`; prints what a run prints.
///
/// # Errors
/// A program goes wrong, or cannot be modelled.
pub fn simulate(
    session: &Session<'_>,
    compiled: &Compiled,
    options: &Options,
    events: &[Event<'_>],
) -> Result<(), SessionError> {
    let object = &compiled.object;
    let machine = Machine::new(object).map_err(|why| SessionError::Simulate(why.to_string()))?;
    let mut run = Run {
        machine,
        world: World::default(),
        player: compiled.player(options)?,
    };
    let of = |wanted: fn(&AttachSpec) -> bool| {
        let programs = object.programs.iter().enumerate();
        programs
            .filter(move |(_, p)| p.attach.iter().any(wanted))
            .map(|(index, _)| index)
    };
    for index in of(|spec| matches!(spec, AttachSpec::Begin)) {
        run.program(index, &[0; CTX_SIZE])?;
    }
    for event in events {
        for binary in &session.target().binaries {
            for probe in binary
                .usdt
                .iter()
                .filter(|p| p.provider == event.provider && p.name == event.name)
            {
                for (index, program) in object.programs.iter().enumerate() {
                    if let Some(site) = program
                        .attach
                        .iter()
                        .find_map(|spec| site_of(spec, binary, probe))
                    {
                        let ctx = context(site, &event.args, &mut run.world);
                        if run.program(index, &ctx)? != Flow::Continue {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
    for index in of(|spec| matches!(spec, AttachSpec::End)) {
        run.program(index, &[0; CTX_SIZE])?;
    }
    run.player.end();
    run.player.print_maps(&mut VmMaps(&mut run.machine))?;
    run.player.flush();
    Ok(())
}

/// The first site of `probe` that the attachment serves.
fn site_of<'p>(spec: &AttachSpec, binary: &Binary, probe: &'p UsdtProbe) -> Option<&'p Site> {
    let AttachSpec::User { path, sites, .. } = spec else {
        return None;
    };
    let serves = |site: &&Site| {
        sites
            .iter()
            .any(|UserSite { offset, .. }| *offset == site.offset)
    };
    (*path == binary.path)
        .then(|| probe.sites.iter().find(serves))
        .flatten()
}

struct Run {
    machine: Machine,
    world: World,
    player: Player,
}

impl Run {
    fn program(&mut self, index: usize, ctx: &[u8]) -> Result<Flow, SessionError> {
        self.world.time += 1_000_000;
        self.world.records.clear();
        self.machine
            .run(index, &mut self.world, ctx)
            .map_err(|fault: Fault| SessionError::Simulate(fault.to_string()))?;
        for record in self.world.records.iter() {
            let about = RecordCtx {
                cpu: record.cpu,
                time: record.time,
                pid: Some(self.world.pid),
            };
            let flow = self
                .player
                .play(record.data, about, &mut VmMaps(&mut self.machine))?;
            if flow != Flow::Continue {
                return Ok(flow);
            }
        }
        self.player.idle();
        Ok(Flow::Continue)
    }
}

/// Registers and memory of a process that stands at `site` with those arguments.
fn context(site: &Site, args: &[Value<'_>], world: &mut World) -> Vec<u8> {
    let mut ctx = vec![0; CTX_SIZE];
    let mut bases: HashMap<u16, u64> = HashMap::new();
    let mut pages: HashMap<u64, Vec<u8>> = HashMap::new();
    world.user.clear();
    for (number, (arg, value)) in site.args.iter().zip(args).enumerate() {
        let bits = match value {
            Value::Int(number) => *number,
            Value::Str(text) => {
                let at = STRINGS + PAGE * number as u64;
                world.user.map(at, [text.as_bytes(), b"\0"].concat());
                at.cast_signed()
            }
        };
        let bytes = &bits.to_le_bytes()[..usize::from(arg.size).min(8)];
        match &arg.loc {
            ArgLoc::Reg { reg } => put(&mut ctx, usize::from(*reg), bytes),
            ArgLoc::Mem {
                base: Some(base),
                disp,
                ..
            } => {
                let next = BASES + PAGE * bases.len() as u64;
                let page = *bases.entry(*base).or_insert(next);
                put(
                    &mut ctx,
                    usize::from(*base),
                    &(page + PAGE / 2).to_le_bytes(),
                );
                let at = (PAGE / 2).saturating_add_signed(*disp);
                let content = pages.entry(page).or_insert_with(|| vec![0; PAGE as usize]);
                put(content, usize::try_from(at).unwrap_or(usize::MAX), bytes);
            }
            // A constant is in the program; what has no base or lies beside the code reads as unmapped.
            ArgLoc::Const(_)
            | ArgLoc::Mem { base: None, .. }
            | ArgLoc::IpRel { .. }
            | ArgLoc::Unreadable(_) => {}
        }
    }
    for (at, bytes) in pages {
        world.user.map(at, bytes);
    }
    ctx
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = at
        .checked_add(bytes.len())
        .and_then(|end| into.get_mut(at..end))
    {
        place.copy_from_slice(bytes);
    }
}

/// The machine's maps, as the runtime reads them.
struct VmMaps<'a>(&'a mut Machine);

impl VmMaps<'_> {
    fn map(&mut self, index: usize) -> io::Result<&mut MapStore> {
        self.0.map_mut(index).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("there is no map {index}"))
        })
    }
}

fn values(map: &MapStore, key: &[u8]) -> Option<Vec<Vec<u8>>> {
    (0..map.cpus())
        .map(|cpu| map.get(key, cpu).map(<[u8]>::to_vec))
        .collect()
}

impl MapReader for VmMaps<'_> {
    fn entries(&mut self, map: usize) -> io::Result<Vec<Entry>> {
        let map = self.map(map)?;
        Ok(map
            .keys()
            .filter_map(|key| Some((key.clone(), values(map, &key)?)))
            .collect())
    }

    fn lookup(&mut self, map: usize, key: &[u8]) -> io::Result<Option<Vec<Vec<u8>>>> {
        Ok(values(self.map(map)?, key))
    }

    fn clear(&mut self, map: usize) -> io::Result<()> {
        self.map(map)?.clear();
        Ok(())
    }

    fn zero(&mut self, map: usize, keep: usize) -> io::Result<()> {
        let map = self.map(map)?;
        if keep == 0 {
            map.zero();
            return Ok(());
        }
        let keys: Vec<Vec<u8>> = map.keys().collect();
        for key in keys {
            if let Some(mut value) = map.get(&key, 0).map(<[u8]>::to_vec) {
                let zeros = value.len().saturating_sub(keep);
                value[..zeros].fill(0);
                map.set(&key, &value);
            }
        }
        Ok(())
    }
}
