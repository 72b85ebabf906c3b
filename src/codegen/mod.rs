//! Code generation: three-address code to eBPF instructions.
//!
//! [`compile`] takes one program through: the IR's passes, legalization for the target, instruction selection,
//! register allocation, stack layout, block order, jumps. It is a pure function of its arguments.

mod color;
mod emit;
mod error;
mod graph;
mod layout;
mod legal;
mod live;
mod mach;
mod select;
mod spill;
mod stack;

pub use error::CodegenError;

use crate::{
    asm::{Insn, Reg},
    ir::{self, Func, Program},
    span::Span,
    spec::Features,
};
use mach::{FIRST, R};

/// How to compile.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the target's kernel has.
    pub features: Features,
    /// Whether the IR's passes are run first; without them the code is correct but longer.
    pub optimize: bool,
}

impl Options {
    /// Optimized code for a kernel with `features`.
    pub fn new(features: &Features) -> Self {
        Options {
            features: features.clone(),
            optimize: true,
        }
    }
}

/// A compiled program: the entry function, then callbacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Instructions; map loads are by index.
    pub insns: Vec<Insn>,
    /// For each instruction the script text it comes from.
    pub origins: Vec<Option<Span>>,
}

/// Compiles a program. What does not fit the stack is compiled again without keeping values for later.
pub fn compile(program: &Program, options: &Options) -> Result<Code, CodegenError> {
    match compiled(program, options, &[]) {
        Err(CodegenError::Stack { .. }) if options.optimize => {
            compiled(program, options, ir::pass::KEEPING)
        }
        done => done,
    }
}

/// Compiles with all passes but some.
fn compiled(program: &Program, options: &Options, without: &[&str]) -> Result<Code, CodegenError> {
    let mut program = program.clone();
    if let Err(error) = ir::verify(&program) {
        return Err(CodegenError::Invalid {
            func: error.func.clone(),
            what: error.to_string(),
        });
    }
    if options.optimize {
        ir::pass::run(&mut program, without, &mut |_, _| {});
    }
    let mut listings: Vec<_> = program
        .funcs
        .iter()
        .map(|_| emit::Listing::default())
        .collect();
    let mut frames = vec![0; program.funcs.len()];
    // Callbacks that nothing names any more are left out: the verifier wants none that it does not come to.
    let mut seen = vec![false; program.funcs.len()];
    let mut open = vec![0];
    while let Some(index) = open.pop() {
        let Some(func) = program.funcs.get_mut(index) else {
            continue;
        };
        if std::mem::replace(&mut seen[index], true) {
            continue;
        }
        legal::legalize(func, &options.features)?;
        let (listing, frame) = function(func, &options.features)?;
        open.extend(listing.named().map(|func| func.0 as usize));
        listings[index] = listing;
        frames[index] = frame;
    }
    check_stack(&program, &frames)?;
    let (insns, origins) = emit::resolve(&listings, options.features.cpu_v4)?;
    Ok(Code { insns, origins })
}

/// Frames of the entry and of the deepest callback together may take 512 bytes; each counts in steps of 32.
fn check_stack(program: &Program, frames: &[u32]) -> Result<(), CodegenError> {
    let entry = frames.first().copied().unwrap_or(0);
    let deepest = frames.iter().skip(1).copied().max();
    let need = match deepest {
        Some(callback) => entry.next_multiple_of(32) + callback.max(1).next_multiple_of(32),
        None => entry,
    };
    if need > 512 {
        return Err(CodegenError::Stack {
            func: program
                .funcs
                .first()
                .map_or(String::new(), |f| f.name.clone()),
            need,
        });
    }
    Ok(())
}

/// More rounds of spilling than any real function takes.
const MAX_ROUNDS: u32 = 24;

fn function(func: &Func, features: &Features) -> Result<(emit::Listing, u32), CodegenError> {
    let mut machine = select::select(func, features.cpu_v4);
    layout::arrange(&mut machine);
    live::remove_dead(&mut machine);
    layout::arrange(&mut machine);
    let unspillable = machine.regs - FIRST;
    let mut rounds = 0;
    let coloring = loop {
        let depth = layout::loop_depth(&machine);
        let graph = graph::Graph::build(&machine, &depth);
        let coloring = color::color(graph, unspillable);
        if coloring.spilled.is_empty() {
            break coloring;
        }
        rounds += 1;
        if rounds > MAX_ROUNDS {
            return Err(CodegenError::Invalid {
                func: func.name.clone(),
                what: "more values at once than registers can be found for".to_owned(),
            });
        }
        spill::spill(&mut machine, &coloring);
    };
    let frame = stack::layout(&machine);
    let color = |reg: R| match reg.checked_sub(FIRST) {
        None => Reg::new(reg as u8),
        Some(node) => coloring.color.get(node as usize).and_then(|&c| Reg::new(c)),
    };
    for block in &mut machine.blocks {
        for inst in &mut block.insts {
            inst.op.each_mut(&mut |reg, _| {
                if let Some(found) = color(*reg) {
                    *reg = R::from(found.number());
                }
            });
        }
        block.term.each_mut(&mut |reg| {
            if let Some(found) = color(*reg) {
                *reg = R::from(found.number());
            }
        });
    }
    layout::arrange(&mut machine);
    let listing = emit::emit(&func.name, &machine, &machine_reg, &frame)?;
    Ok((listing, frame.size))
}

/// The machine register of that number.
fn machine_reg(reg: R) -> Option<Reg> {
    u8::try_from(reg).ok().and_then(Reg::new)
}
