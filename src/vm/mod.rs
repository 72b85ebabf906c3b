//! Runs programs in user space, on rbpf's interpreter, with the kernel's meaning of every instruction.
//!
//! A program is analysed ([`flow`](self), `legalize`), encoded, and given to rbpf; what rbpf cannot do right comes back
//! to Rust (`engine`) on one state: stack frames, context, maps, records and a [`World`]. What is not modelled is
//! refused by name ([`Unsupported`]) before anything runs; what goes wrong in a run is a [`Fault`].

mod dry_run;
mod engine;
mod fault;
mod flow;
mod helpers;
mod legalize;
mod machine;
mod maps;
mod mem;
mod quiet;
mod space;
mod supported;
#[cfg(test)]
mod tests;
mod world;

pub use dry_run::{DryRunError, dry_run};
pub use engine::{Step, Tracer};
pub use fault::{Access, Fault, FaultKind, Near};
pub use machine::{Machine, Options, exec};
pub use maps::MapStore;
pub use mem::Memory;
pub use supported::{Unsupported, What, supported};
pub use world::{Record, Records, Told, World};
