//! `baretrace exec [FILE]`: runs instructions in user space.

use super::{Call, CliError, asm::assemble, disasm, out};
use crate::{asm, vm};
use clap::{Arg, ArgAction, ArgMatches};
use std::{cell::RefCell, ffi::OsString, fmt::Write, rc::Rc};

pub(super) fn args(command: clap::Command) -> clap::Command {
    command
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .help("Instructions as text; standard input without it")
                .value_parser(clap::value_parser!(OsString)),
        )
        .arg(
            Arg::new("bytes")
                .long("bytes")
                .help("FILE holds bytes or hexadecimal digits, not text")
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("mem")
                .long("mem")
                .value_name("HEX")
                .help("Memory that r1 points to, r2 is its length"),
        )
        .arg(
            Arg::new("trace")
                .long("trace")
                .help("Print each instruction with the registers that it changes")
                .action(ArgAction::SetTrue),
        )
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let file = matches.get_one::<OsString>("file");
    let insns = if matches.get_flag("bytes") {
        asm::decode(&disasm::program_bytes(file)?)
            .map_err(|err| CliError::failed(format!("disassemble: {err}")))?
    } else {
        assemble(file)?
    };
    let mut mem = match matches.get_one::<String>("mem") {
        Some(text) => disasm::from_hex(text.as_bytes()).ok_or_else(|| {
            CliError::Usage(format!(
                "error: --mem `{text}`: not an even number of hexadecimal digits"
            ))
        })?,
        None => Vec::new(),
    };
    let steps = Rc::new(RefCell::new(String::new()));
    let mut options = vm::Options::default();
    if matches.get_flag("trace") {
        let (steps, insns) = (Rc::clone(&steps), insns.clone());
        options.trace = Some(Box::new(move |step| {
            write_step(&mut steps.borrow_mut(), step, &insns)
        }));
    }
    let result = vm::exec(&insns, &mut mem, options);
    out::print(&steps.borrow())?;
    match result {
        Ok(r0) => out::print(&format!("r0 = {r0:#x}\n")),
        Err(fault) => Err(CliError::Diagnosed(format!("error: execute: {fault}"))),
    }
}

fn write_step(out: &mut String, step: &vm::Step, insns: &[asm::Insn]) {
    let text = insns
        .get(step.insn)
        .map(ToString::to_string)
        .unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "{:4}: {:indent$}{text:<40}",
        step.insn,
        "",
        indent = 2 * step.depth
    );
    for (number, value) in step.regs.iter().enumerate() {
        if step.changed >> number & 1 == 1 {
            let _ = write!(out, " r{number}={value:#x}");
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
}
