//! Passes over the IR: each a small file with a `run(&mut Func) -> bool` that says whether it changed anything.

mod address;
mod bits;
mod common;
mod dead;
mod dominators;
mod flow;
mod fold;
mod jump;
mod merge;
mod places;
mod stores;
mod values;

use super::inst::{Func, Program};

/// A pass: its name for `--emit ir:NAME`, and what runs it on one function.
type Pass = (&'static str, fn(&mut Func) -> bool);

/// All passes, in the order they run.
const PASSES: &[Pass] = &[
    ("flow", flow::run),
    ("values", values::run),
    ("fold", fold::run),
    ("address", address::run),
    ("common", common::run),
    ("bits", bits::run),
    ("dead", dead::run),
    ("jump", jump::run),
    ("flow2", flow::run),
    ("fold2", fold::run),
    ("address2", address::run),
    ("common2", common::run),
    ("bits2", bits::run),
    ("fold3", fold::run),
    ("stores", stores::run),
    ("merge", merge::run),
    ("dead2", dead::run),
    ("flow3", flow::run),
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
