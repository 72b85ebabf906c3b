//! `baretrace verify FILE`: what the kernel's verifier would say of a program, without loading it.

use super::{
    Call, CliError,
    asm::{dialect, dialect_arg, file},
    out,
    program::{Input, Runnable},
};
use crate::{
    asm::{disasm, helper::ProgType},
    audit::counted,
    check::{self, CheckError, Env, Report},
    kernel::kfuncs,
};
use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};
use std::{ffi::OsString, fmt::Write};

/// A program type: its name here, what sections of its programs are called (libbpf's `section_defs`), and itself.
type Row = (&'static str, &'static [&'static str], ProgType);

const TYPES: &[Row] = &[
    ("socket", &["socket"], ProgType::SocketFilter),
    ("xdp", &["xdp"], ProgType::Xdp),
    (
        "tc",
        &["tc", "tcx", "classifier", "action", "netkit"],
        ProgType::SchedCls,
    ),
    (
        "kprobe",
        &[
            "kprobe",
            "kretprobe",
            "uprobe",
            "uretprobe",
            "usdt",
            "ksyscall",
            "kretsyscall",
        ],
        ProgType::Kprobe,
    ),
    ("tracepoint", &["tracepoint", "tp"], ProgType::Tracepoint),
    (
        "raw_tracepoint",
        &["raw_tracepoint", "raw_tp"],
        ProgType::RawTracepoint,
    ),
    ("perf_event", &["perf_event"], ProgType::PerfEvent),
    ("syscall", &["syscall"], ProgType::Syscall),
];

pub(super) fn args(command: clap::Command) -> clap::Command {
    command
        .after_help("Exit code 1 says that the program would be refused, or cannot be judged.")
        .arg(file(
            "Instructions as text, hexadecimal digits, bytes or an ELF object; `-` or nothing for standard input",
        ))
        .arg(dialect_arg())
        .arg(
            Arg::new("type")
                .long("type")
                .value_name("TYPE")
                .help("Program type: its context, helpers and rules [default: what the section's name says, else socket]")
                .value_parser(PossibleValuesParser::new(TYPES.iter().map(|row| row.0))),
        )
        .arg(
            Arg::new("section")
                .long("section")
                .value_name("NAME")
                .help("Section of an ELF object to verify, if it has several programs"),
        )
        .arg(
            Arg::new("verbose")
                .long("verbose")
                .short('v')
                .action(ArgAction::SetTrue)
                .help("Also print what is known of each register before each instruction"),
        )
}

/// The type that a section's name stands for, and whether its programs may sleep.
fn of_section(section: &str) -> Option<(&'static Row, bool)> {
    let first = section.split(['/', ':']).next().unwrap_or(section);
    let (name, sleepable) = match first.strip_suffix(".s") {
        Some(name) => (name, true),
        None => (first.strip_suffix(".frags").unwrap_or(first), false),
    };
    let name = name.strip_suffix(".multi").unwrap_or(name);
    let row = TYPES.iter().find(|row| row.1.contains(&name))?;
    Some((row, sleepable))
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let dialect = dialect(matches);
    let input = Input::read(matches.get_one::<OsString>("file"), dialect.is_some())?;
    let section = matches.get_one::<String>("section").map(String::as_str);
    let program = Runnable::new("verify", input, dialect, section)?;
    let named = program.section.as_deref().and_then(of_section);
    let wanted = matches.get_one::<String>("type");
    let wanted = wanted.and_then(|name| TYPES.iter().find(|row| row.0 == name));
    let Some(row) = wanted
        .or(named.map(|named| named.0))
        .or(match &program.section {
            None => TYPES.first(),
            Some(_) => None,
        })
    else {
        let section = program.section.as_deref().unwrap_or_default();
        return Err(CliError::with_help(
            format!(
                "verify `{}`: section `{section}` says no program type that is known here",
                program.source.name
            ),
            "say it with --type",
        ));
    };
    let mut env = Env::new(row.2, &program.maps);
    env.sleepable |= row.2 == ProgType::Kprobe && named.is_some_and(|named| named.1);
    env.license_gpl = check::is_gpl(program.license.as_deref().unwrap_or_default());
    env.kfunc = kfuncs::by_id;
    env.trace = matches.get_flag("verbose");
    match check::program(&program.insns, &env) {
        Ok(report) => out::print(&accepted(&program, row.0, &report)),
        Err(error) => Err(refused(&program, row.0, &error)),
    }
}

fn accepted(program: &Runnable, kind: &str, report: &Report) -> String {
    let mut out = String::new();
    if !report.states.is_empty() {
        let (text, lines) = disasm::lines(&program.insns, disasm::Options::default());
        let listing: Vec<&str> = text.lines().collect();
        let mut from = 0;
        for (line, known) in lines.iter().zip(&report.states) {
            let label = listing.get(from..*line).unwrap_or_default();
            label.iter().for_each(|label| out += &format!("{label}\n"));
            if !known.is_empty() {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "  ; {known}");
            }
            let _ = writeln!(out, "{}", listing.get(*line).unwrap_or(&""));
            from = line + 1;
        }
    }
    let _ = writeln!(
        out,
        "{}: {} of type {kind}: nothing wrong; {} followed on all paths, {} of stack",
        program.source.name,
        counted(program.insns.len(), "instruction"),
        report.processed,
        counted(usize::try_from(report.max_stack).unwrap_or(0), "byte"),
    );
    out
}

fn refused(program: &Runnable, kind: &str, error: &CheckError) -> CliError {
    let known: Vec<String> = error
        .state
        .iter()
        .map(|(reg, holds)| format!("{reg} = {holds}"))
        .collect();
    let known = match known.as_slice() {
        [] => String::new(),
        known => format!("\nknown here: {}", known.join(", ")),
    };
    let verdict = match error.what.is_undecided() {
        true => "cannot be judged here",
        false => "the verifier would refuse it",
    };
    program.fault(
        Some(error.insn),
        format!("as a program of type {kind}, {verdict}: {}", error.what),
        Some(error.why()),
        Some(format!("{}{known}", error.help())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_say_program_types() {
        let name = |section| of_section(section).map(|(row, sleeps)| (row.0, sleeps));
        assert_eq!(name("xdp"), Some(("xdp", false)));
        assert_eq!(name("xdp.frags/devmap"), Some(("xdp", false)));
        assert_eq!(name("tc/ingress"), Some(("tc", false)));
        assert_eq!(name("uprobe.s//bin/sh:main"), Some(("kprobe", true)));
        assert_eq!(name("kprobe.multi/vfs_*"), Some(("kprobe", false)));
        assert_eq!(name("tp/sched/sched_switch"), Some(("tracepoint", false)));
        assert_eq!(name("struct_ops/init"), None);
    }
}
