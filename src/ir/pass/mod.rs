//! Passes over the IR: each a small file with a `run(&mut Func) -> bool` that says whether it changed anything.

mod address;
mod common;
mod dead;
mod dominators;
mod flow;
mod fold;

use super::inst::{Func, Program};

/// A pass: its name for `--emit ir:NAME`, and what runs it on one function.
type Pass = (&'static str, fn(&mut Func) -> bool);

/// All passes, in the order they run.
const PASSES: &[Pass] = &[
    ("flow", flow::run),
    ("fold", fold::run),
    ("address", address::run),
    ("common", common::run),
    ("dead", dead::run),
    ("fold2", fold::run),
    ("flow2", flow::run),
    ("fold3", fold::run),
    ("common2", common::run),
    ("dead2", dead::run),
];

/// Runs all passes; `seen` is called after each with its name and the program as it is then.
pub fn run_all(program: &mut Program, seen: &mut dyn FnMut(&str, &Program)) {
    for (name, pass) in PASSES {
        for func in &mut program.funcs {
            pass(func);
        }
        debug_assert_eq!(super::verify(program), Ok(()), "after pass {name}");
        seen(name, program);
    }
}
