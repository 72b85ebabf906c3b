//! `baretrace exec FILE`: runs instructions, in user space or in the kernel, and prints `r0`.

use super::{
    Call, CliError,
    asm::{dialect, dialect_arg, file},
    out,
    program::{Input, Runnable, Source},
};
use crate::{
    asm::Insn,
    check::CheckError,
    explain,
    loader::{self, ExecError},
    vm::{self, FaultKind},
};
use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};
use std::{
    cell::RefCell,
    ffi::OsString,
    fmt::Write as _,
    io::{self, BufWriter, Stdout, Write},
    rc::Rc,
};

pub(super) fn args(command: clap::Command) -> clap::Command {
    command
        .after_help(
            "The last line printed is r0. Exit code 1 says that the program is wrong or that it faulted.\n\
             As a plugin of bpf_conformance: `exec baretrace exec - --mem \"$1\"` in a shell script.",
        )
        .arg(file(
            "Instructions as text, hexadecimal digits, bytes or an ELF object; `-` or nothing for standard input",
        ))
        .arg(dialect_arg())
        .arg(
            Arg::new("program")
                .long("program")
                .value_name("HEX")
                .help("The program's bytes, instead of a file")
                .conflicts_with("file"),
        )
        .arg(
            Arg::new("mem")
                .long("mem")
                .value_name("HEX")
                .help("Memory that r1 points to; r2 is its length"),
        )
        .arg(
            Arg::new("section")
                .long("section")
                .value_name("NAME")
                .help("Section of an ELF object"),
        )
        .arg(
            Arg::new("on")
                .long("on")
                .value_name("MACHINE")
                .help("Where it runs: rbpf in this process, or the kernel (as a syscall program, needs CAP_BPF and CAP_PERFMON)")
                .default_value("rbpf")
                .value_parser(PossibleValuesParser::new(["rbpf", "kernel"])),
        )
        .arg(
            Arg::new("trace")
                .long("trace")
                .help("Print each executed instruction with the registers it changed")
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("fuel")
                .long("fuel")
                .value_name("N")
                .help("Stop after about N instructions (1000000 if not given)")
                .value_parser(clap::value_parser!(u64)),
        )
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let on_kernel = matches
        .get_one::<String>("on")
        .is_some_and(|on| on == "kernel");
    for flag in ["trace", "fuel"] {
        let given = matches.value_source(flag) == Some(clap::parser::ValueSource::CommandLine);
        if on_kernel && given {
            return Err(CliError::Usage(format!(
                "error: --{flag} with --on kernel: the kernel does not let itself be watched or stopped\n\
                 help: use --on rbpf"
            )));
        }
    }
    let hex = |flag: &str| {
        let text = matches.get_one::<String>(flag);
        text.map(|text| Source::new(&format!("--{flag}"), text))
    };
    let mut mem = match hex("mem") {
        Some(source) => source.bytes()?.bytes,
        None => Vec::new(),
    };
    let input = match hex("program") {
        Some(source) => Input::Hex(source),
        None => Input::read(
            matches.get_one::<OsString>("file"),
            dialect(matches).is_some(),
        )?,
    };
    let section = matches.get_one::<String>("section").map(String::as_str);
    let program = Runnable::new("execute", input, dialect(matches), section)?;
    let judged = loader::check_exec(&program.insns, &program.maps, mem.len());
    let r0 = if on_kernel {
        judged.map_err(|(insn, error)| would_be_refused(&program, insn, &error))?;
        loader::exec(&program.insns, &program.maps, &mut mem)
            .map_err(|err| refused(&program, &err))?
    } else {
        let steps = matches.get_flag("trace").then(Steps::default);
        let mut options = vm::Options {
            maps: program.maps.clone(),
            trace: steps.as_ref().map(|steps| steps.tracer(&program.insns)),
            ..vm::Options::default()
        };
        if let Some(fuel) = matches.get_one("fuel") {
            options.fuel = *fuel;
        }
        let result = vm::exec(&program.insns, &mut mem, options);
        if let Some(steps) = steps {
            steps.finish()?;
        }
        let r0 = result.map_err(|fault| faulted(&program, &fault))?;
        if let Err((insn, error)) = judged {
            let place = insn.and_then(|at| Some((at, program.insns.get(at)?)));
            let place = place.map_or(String::new(), |(at, insn)| format!("insn {at} `{insn}`: "));
            eprintln!(
                "note: the kernel would refuse this program: {place}{}",
                error.what
            );
        }
        r0
    };
    out::print(&format!("{r0:#x}\n"))
}

/// A fault of the machine in user space, with what to do about it.
fn faulted(program: &Runnable, fault: &vm::Fault) -> CliError {
    let help = match &fault.kind {
        FaultKind::Memory { .. } => {
            "the program may use the bytes of --mem (r1 points to them, r2 is their number) and 512 bytes of stack below r10"
        }
        FaultKind::Fuel { .. } => "let the loop end, or give more with --fuel",
        FaultKind::Unset(_) => "write the register first; r6 to r9 survive calls",
        FaultKind::NoPacket { .. } => "begin the program with `r6 = r1`",
        FaultKind::CallDepth => "call less deep",
        FaultKind::Callee(_) => {
            "load a function's address with `r6 = subprog[NAME]`, or the number of a helper"
        }
        FaultKind::Argument { .. } => {
            "`baretrace explain` tells what the helper takes, by its name"
        }
        FaultKind::Unsupported(why) => match why.what {
            vm::What::WritesFramePointer => "copy r10 to another register and change the copy",
            vm::What::FallsOff => "end every function with `exit` or a jump",
            vm::What::CrossesFunction => "reach functions by `call` only, and leave them by `exit`",
            vm::What::Target { .. } => "distances count 8-byte slots from the next instruction",
            vm::What::NoMap(_) | vm::What::NoValue(_) => {
                "declare maps in the text: `.map NAME hash 4 8 1024`; a value's address needs an array of one entry"
            }
            vm::What::MapShape(_) => {
                "an array has keys of 4 bytes, a ring buffer no sizes; values and entries are at least 1"
            }
            _ => "the kernel may be able to: try --on kernel",
        },
        _ => "",
    };
    let help = (!help.is_empty()).then(|| help.to_owned());
    program.fault(Some(fault.insn), format!("execute: {fault}"), None, help)
}

/// A program that is not even loaded, because the verifier would refuse it.
fn would_be_refused(program: &Runnable, insn: Option<usize>, error: &CheckError) -> CliError {
    let memory = format!("a value of map {}", program.maps.len() + 1);
    let known: Vec<String> = error
        .state
        .iter()
        // The memory is a map's value there.
        .map(|(reg, holds)| format!("{reg} = {}", holds.replace(&memory, "--mem")))
        .collect();
    let is_exit = insn.and_then(|at| program.insns.get(at)) == Some(&Insn::Exit);
    let known = match known.as_slice() {
        _ if is_exit => String::new(),
        [] => String::new(),
        known => format!("\nknown here: {}", known.join(", ")),
    };
    program.fault(
        insn,
        format!("not loaded, the verifier would refuse it: {}", error.what),
        Some(error.why()),
        Some(format!("{}{known}", error.help())),
    )
}

/// A refusal of the kernel, with what is known of the verifier's words.
fn refused(program: &Runnable, err: &ExecError) -> CliError {
    let help = match err {
        ExecError::Refused { line, source, .. } => match explain::message(line) {
            Some(row) => Some(format!("{}; {}", row.cause, row.fix)),
            None if line.is_empty() && source.raw_os_error() == Some(libc::EPERM) => {
                Some("run as root, or with CAP_BPF and CAP_PERFMON; `baretrace features` says what is missing".to_owned())
            }
            None => None,
        },
        ExecError::TooLong(_) => Some("give less memory, or use --on rbpf".to_owned()),
        _ => None,
    };
    let message = format!("execute in the kernel: {err}");
    program.fault(err.insn(), message, None, help)
}

/// Prints steps as they are made.
struct Steps(Rc<RefCell<(BufWriter<Stdout>, io::Result<()>)>>);

impl Default for Steps {
    fn default() -> Steps {
        Steps(Rc::new(RefCell::new((
            BufWriter::new(io::stdout()),
            Ok(()),
        ))))
    }
}

impl Steps {
    fn tracer(&self, insns: &[Insn]) -> vm::Tracer {
        let state = Rc::clone(&self.0);
        let insns = insns.to_vec();
        let mut line = String::new();
        Box::new(move |step| {
            let (out, result) = &mut *state.borrow_mut();
            if result.is_ok() {
                line.clear();
                write_step(&mut line, step, &insns);
                *result = out.write_all(line.as_bytes());
            }
        })
    }

    fn finish(self) -> io::Result<()> {
        let (out, result) = &mut *self.0.borrow_mut();
        std::mem::replace(result, Ok(()))?;
        out.flush()
    }
}

fn write_step(out: &mut String, step: &vm::Step, insns: &[Insn]) {
    let insn = insns.get(step.insn).map(ToString::to_string);
    let text = format!(
        "{:indent$}{}",
        "",
        insn.unwrap_or_default(),
        indent = 2 * step.depth
    );
    // Writing to a String cannot fail.
    let _ = write!(out, "{:4}: {text:<36}", step.insn);
    for (number, value) in step.regs.iter().enumerate() {
        if step.changed >> number & 1 == 1 {
            let _ = write!(out, " r{number}={value:#x}");
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
}
