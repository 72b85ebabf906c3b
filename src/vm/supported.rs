//! What the machine does not model, by name.

use std::fmt;

use crate::{
    asm::{Insn, Reg, Size},
    spec::MapKind,
};

use super::flow::Flow;
use super::legalize::{Links, legalize};

/// The feature that is missing, or the rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An instruction whose meaning needs what user space does not have.
    Insn(&'static str),
    /// A helper that is not written.
    Helper(u32),
    /// A kernel function, by BTF id.
    Kfunc(i32),
    /// An operand that no valid instruction has.
    Operand(&'static str),
    /// An access size that this instruction does not have.
    AccessSize(Size),
    /// `r10` as a destination.
    WritesFramePointer,
    /// The program is empty.
    Empty,
    /// A jump or call to what is not an instruction of the program.
    Target {
        /// The slot jumped to.
        slot: i64,
    },
    /// A jump from one function into another, or into the prologue of none.
    CrossesFunction,
    /// Control runs past a function's last instruction.
    FallsOff,
    /// A map index that the object does not have.
    NoMap(i32),
    /// A map's value address of a map that has none.
    NoValue(i32),
    /// After legalizing, one function takes more slots than the interpreter can jump in.
    TooLong {
        /// Slots needed; 32767 is the limit.
        slots: usize,
    },
    /// More memory in one map, or more maps, than the machine gives.
    MapTooBig(String),
    /// The map's sizes are not what its kind needs.
    MapShape(String),
    /// A map of a kind that is not written.
    MapKind(String, MapKind),
    /// Bytes could not be made from the legalized program.
    Encode(String),
}

/// A program that the machine cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Index of the program in its object; 0 for a bare program.
    pub program: usize,
    /// Index of the instruction, if one is to blame.
    pub insn: Option<usize>,
    /// What it is.
    pub what: What,
}

impl Unsupported {
    pub(super) fn at(insn: usize, what: What) -> Self {
        Unsupported {
            program: 0,
            insn: Some(insn),
            what,
        }
    }

    pub(super) fn whole(what: What) -> Self {
        Unsupported {
            program: 0,
            insn: None,
            what,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Insn(name) => write!(f, "{name} is not modelled"),
            What::Helper(id) => write!(f, "helper {id} is not modelled"),
            What::Kfunc(id) => write!(f, "kernel function (BTF id {id}) is not modelled"),
            What::Operand(why) => f.write_str(why),
            What::AccessSize(size) => {
                write!(f, "no such instruction with {} bytes", size.bytes())
            }
            What::WritesFramePointer => write!(f, "writes {}, which is read-only", Reg::R10),
            What::Empty => f.write_str("the program is empty"),
            What::Target { slot } => write!(f, "goes to slot {slot}, where no instruction begins"),
            What::CrossesFunction => f.write_str("jumps into another function"),
            What::FallsOff => f.write_str("control runs past the function's end"),
            What::NoMap(index) => write!(f, "the object has no map {index}"),
            What::NoValue(index) => write!(f, "map {index} has no single value to point into"),
            What::TooLong { slots } => write!(
                f,
                "the function takes {slots} slots to run; the interpreter jumps within 32767"
            ),
            What::MapTooBig(name) => write!(f, "map `{name}` is too big to simulate"),
            What::MapShape(name) => write!(f, "map `{name}` has sizes that its kind cannot have"),
            What::MapKind(name, kind) => {
                write!(f, "map `{name}`: maps of kind {kind:?} are not modelled")
            }
            What::Encode(words) => write!(f, "encode the legalized program: {words}"),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.program != 0 {
            write!(f, "program {}: ", self.program)?;
        }
        match self.insn {
            Some(insn) => write!(f, "insn {insn}: {}", self.what),
            None => write!(f, "{}", self.what),
        }
    }
}

impl std::error::Error for Unsupported {}

/// Whether the machine can run these instructions; maps are taken to exist.
///
/// # Errors
/// The first thing that is not modelled.
pub fn supported(insns: &[Insn]) -> Result<(), Unsupported> {
    let flow = Flow::new(insns, 5)?;
    legalize(insns, &flow, &Links::any(), false).map(|_| ())
}
