//! Programs and maps put together, to run many times.

use std::rc::Rc;

use crate::asm::{Insn, encode};
use crate::spec::{MapSpec, Object};

use super::engine::{self, Code, Engine, Tracer};
use super::fault::{Fault, FaultKind};
use super::flow::Flow;
use super::legalize::{HARD, Links, legalize};
use super::maps::MapStore;
use super::mem::Image;
use super::supported::{Unsupported, What};
use super::world::World;
use super::{quiet, space};

/// Instructions that a run may take, if nothing else is said: as many as the kernel's verifier looks at.
const FUEL: u64 = 1_000_000;
/// CPUs of a machine, if nothing else is said.
const CPUS: u32 = 4;

/// How [`exec`] runs.
pub struct Options {
    /// Instructions that it may take.
    pub fuel: u64,
    /// Called after each instruction.
    pub trace: Option<Tracer>,
    /// The maps that it names by index, empty at the start.
    pub maps: Vec<MapSpec>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            fuel: FUEL,
            trace: None,
            maps: Vec::new(),
        }
    }
}

/// The programs and maps of an object. Maps keep their contents from run to run.
pub struct Machine {
    engine: Option<Box<Engine>>,
    fuel: u64,
}

fn compile(
    insns: &[Insn],
    entry_args: u32,
    links: &Links<'_>,
    trace: bool,
) -> Result<Rc<Code>, Unsupported> {
    let flow = Flow::new(insns, entry_args)?;
    let legal = legalize(insns, &flow, links, trace)?;
    let mut functions = Vec::with_capacity(legal.functions.len());
    for code in &legal.functions {
        let bytes = encode(code).map_err(|e| Unsupported::whole(What::Encode(e.to_string())))?;
        let image = Image::new(bytes, HARD, engine::hard)
            .map_err(|e| Unsupported::whole(What::Encode(e.to_string())))?;
        functions.push(image);
    }
    let costs = flow
        .functions
        .iter()
        .map(|f| (f.end - f.start) as u64)
        .collect();
    Ok(Rc::new(Code {
        functions,
        costs,
        rows: legal.rows,
    }))
}

impl Machine {
    /// Legalizes all programs and makes all maps, for four CPUs.
    ///
    /// # Errors
    /// The first thing that is not modelled.
    pub fn new(object: &Object) -> Result<Machine, Unsupported> {
        Machine::with_cpus(object, CPUS)
    }

    /// As [`Machine::new`], for that many CPUs.
    ///
    /// # Errors
    /// The first thing that is not modelled.
    pub fn with_cpus(object: &Object, cpus: u32) -> Result<Machine, Unsupported> {
        let programs: Vec<&[Insn]> = object.programs.iter().map(|p| &p.insns[..]).collect();
        Machine::build(&programs, &object.maps, cpus)
    }

    fn build(programs: &[&[Insn]], maps: &[MapSpec], cpus: u32) -> Result<Machine, Unsupported> {
        let links = Links::to(maps);
        if maps.len() > space::MAX_MAPS {
            let name = format!("{} maps", maps.len());
            return Err(Unsupported::whole(What::MapTooBig(name)));
        }
        let stores: Result<Vec<_>, _> = maps
            .iter()
            .map(|spec| MapStore::new(spec, cpus).map_err(Unsupported::whole))
            .collect();
        let mut codes = Vec::with_capacity(programs.len());
        for (program, insns) in programs.iter().enumerate() {
            let code = compile(insns, 1, &links, false);
            codes.push(code.map_err(|why| Unsupported { program, ..why })?);
        }
        let empty = Rc::new(Code {
            functions: Vec::new(),
            costs: Vec::new(),
            rows: Vec::new(),
        });
        let mut engine = Box::new(Engine::new(stores?, cpus, empty));
        engine.programs = codes;
        Ok(Machine {
            engine: Some(engine),
            fuel: FUEL,
        })
    }

    /// Sets how many instructions a run may take.
    pub fn set_fuel(&mut self, fuel: u64) {
        self.fuel = fuel;
    }

    /// The contents of a map.
    pub fn map(&self, index: usize) -> Option<&MapStore> {
        self.engine.as_ref()?.maps.get(index)
    }

    /// The contents of a map, to change.
    pub fn map_mut(&mut self, index: usize) -> Option<&mut MapStore> {
        self.engine.as_mut()?.maps.get_mut(index)
    }

    /// Runs a program on a context. What it sends is added to the world's records.
    ///
    /// # Errors
    /// Where and why it stopped. Maps, records and signals stay as they were then.
    pub fn run(&mut self, program: usize, world: &mut World, ctx: &[u8]) -> Result<u64, Fault> {
        let code = self.engine.as_ref().and_then(|e| e.programs.get(program));
        let (Some(code), Some(mut engine)) = (code.cloned(), self.engine.take()) else {
            return Err(Fault {
                insn: 0,
                kind: FaultKind::NoProgram(program),
            });
        };
        engine.ctx.clear();
        engine.ctx.extend_from_slice(ctx);
        std::mem::swap(&mut engine.world, world);
        let args = [space::CTX, 0, 0, 0, 0];
        let (mut engine, result) = run(engine, code, self.fuel, args);
        std::mem::swap(&mut engine.world, world);
        self.engine = Some(engine);
        result
    }
}

/// One run on an engine, which comes back whatever happens.
fn run(
    mut engine: Box<Engine>,
    code: Rc<Code>,
    fuel: u64,
    args: [u64; 5],
) -> (Box<Engine>, Result<u64, Fault>) {
    let window = match engine.start(Rc::clone(&code), fuel, args) {
        Ok(window) => window,
        Err(kind) => return (engine, Err(Fault { insn: 0, kind })),
    };
    let outer = engine::swap(Some(engine));
    let result = quiet::catch(|| code.functions[0].run(window));
    let Some(mut engine) = engine::swap(outer) else {
        unreachable!("the engine put in place stays until it is taken");
    };
    let fault = |insn, kind| Err(Fault { insn, kind });
    let result = match (result, engine.fault.take()) {
        (Ok(Ok(_)), _) if engine.reserved.iter().any(|r| r.held) => {
            fault(engine.insn, FaultKind::HeldRecord)
        }
        (Ok(Ok(value)), _) => Ok(value),
        (_, Some(fault)) => Err(fault),
        (Ok(Err(error)), None) => fault(engine.insn, FaultKind::Interpreter(error.to_string())),
        (Err(panic), None) => fault(
            engine.insn,
            FaultKind::Interpreter(quiet::words(panic.as_ref())),
        ),
    };
    (engine, result)
}

/// Runs a bare program once: `r1` is the address of `mem`, `r2` its length.
///
/// # Errors
/// Where and why it stopped; [`FaultKind::Unsupported`] if it cannot run at all. `mem` holds what was written till then.
pub fn exec(insns: &[Insn], mem: &mut [u8], options: Options) -> Result<u64, Fault> {
    let unsupported = |why: Unsupported| Fault {
        insn: why.insn.unwrap_or(0),
        kind: FaultKind::Unsupported(why),
    };
    let links = Links::to_memory(&options.maps);
    let code = compile(insns, 2, &links, options.trace.is_some()).map_err(unsupported)?;
    let stores: Result<Vec<_>, _> = options
        .maps
        .iter()
        .map(|spec| MapStore::new(spec, 1))
        .collect();
    let stores = stores.map_err(|why| unsupported(Unsupported::whole(why)))?;
    let mut engine = Box::new(Engine::new(stores, 1, Rc::clone(&code)));
    engine.mem.extend_from_slice(mem);
    engine.tracer = options.trace;
    let args = [space::MEM, mem.len() as u64, 0, 0, 0];
    let (mut engine, result) = run(engine, code, options.fuel, args);
    mem.copy_from_slice(&engine.mem);
    if let Some(step) = engine.last_step(result.as_ref().copied().unwrap_or(0))
        && let Some(tracer) = &mut engine.tracer
    {
        tracer(&step);
    }
    result
}
