//! Runs each program of an object on made-up contexts, to find faults before the kernel does.

use std::fmt;

use crate::spec::Object;

use super::fault::{Fault, FaultKind};
use super::machine::Machine;
use super::supported::Unsupported;
use super::world::World;

/// Bytes of context: `pt_regs` of x86-64 (168) and of aarch64 (with `bpf_perf_event_data`'s tail) fit.
const CTX_SIZE: usize = 384;
/// Where the made-up process has its string and its stack.
const STRING: u64 = 0x5555_5555_0000;
/// An address at which it has nothing.
const UNMAPPED: u64 = 0x6666_6666_0000;

/// A program that would not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DryRunError {
    /// The machine cannot run it: says nothing of the program.
    Unsupported(Unsupported),
    /// It went wrong.
    Fault {
        /// Index of the program.
        program: usize,
        /// Its probe.
        probe: String,
        /// On which context.
        context: &'static str,
        /// Where and why.
        fault: Box<Fault>,
    },
}

impl fmt::Display for DryRunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DryRunError::Unsupported(why) => write!(f, "dry run: {why}"),
            DryRunError::Fault {
                probe,
                context,
                fault,
                ..
            } => write!(f, "dry run of `{probe}` with {context}: {fault}"),
        }
    }
}

impl std::error::Error for DryRunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DryRunError::Unsupported(why) => Some(why),
            DryRunError::Fault { fault, .. } => Some(fault.as_ref()),
        }
    }
}

/// The contexts, by name: every 8-byte word holds the same.
const CONTEXTS: &[(&str, u64)] = &[
    ("all registers zero", 0),
    ("all registers -1", u64::MAX),
    ("all registers pointing at a string", STRING),
    ("all registers pointing at unmapped memory", UNMAPPED),
];

/// Instructions a run: what loops for longer is followed no further. Whether it ends is for the verifier to say.
const FUEL: u64 = 100_000;

/// Runs each program on each context, twice, so that what it left in maps is met again.
///
/// # Errors
/// The first program that faults, or that the machine does not model.
pub fn dry_run(object: &Object) -> Result<(), DryRunError> {
    let mut machine = Machine::new(object).map_err(DryRunError::Unsupported)?;
    let mut world = World::default();
    let mut text = b"baretrace dry run\0".to_vec();
    text.resize(4096, 0);
    // Words that are pointers again, for programs that follow them.
    for word in text[64..].chunks_exact_mut(8) {
        word.copy_from_slice(&STRING.to_ne_bytes());
    }
    world.user.map(STRING, text);
    world.user_stack = vec![0x40_1000, 0x40_2000];
    world.kernel_stack = vec![0xffff_ffff_8100_0000];
    machine.set_fuel(FUEL);
    'programs: for (index, program) in object.programs.iter().enumerate() {
        for &(name, word) in CONTEXTS {
            let ctx = [word; CTX_SIZE / 8].map(u64::to_ne_bytes).concat();
            for _ in 0..2 {
                world.time += 1_000_000;
                world.records.clear();
                match machine.run(index, &mut world, &ctx) {
                    Ok(_) => {}
                    Err(fault) if matches!(fault.kind, FaultKind::Fuel { .. }) => {
                        continue 'programs;
                    }
                    Err(fault) => {
                        return Err(DryRunError::Fault {
                            program: index,
                            probe: program.probe.clone(),
                            context: name,
                            fault: Box::new(fault),
                        });
                    }
                }
            }
        }
    }
    Ok(())
}
