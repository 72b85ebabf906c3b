//! `baretrace asm [FILE]`: text to instructions' bytes.

use super::{Call, CliError, out};
use crate::{
    asm::{self, text},
    lang::{Diagnostic, diag},
    sys::errno::Described,
};
use clap::{Arg, ArgAction, ArgMatches};
use std::{
    ffi::OsString,
    fmt::Write as _,
    io::{IsTerminal, Read, Write},
};

pub(super) fn args(command: clap::Command) -> clap::Command {
    command
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .help("Instructions in the kernel's or the mnemonic dialect; standard input without it")
                .value_parser(clap::value_parser!(OsString)),
        )
        .arg(
            Arg::new("raw")
                .long("raw")
                .help("Write the bytes themselves, not hexadecimal digits")
                .action(ArgAction::SetTrue),
        )
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let insns = assemble(matches.get_one::<OsString>("file"))?;
    let bytes = asm::encode(&insns).map_err(|err| CliError::failed(format!("assemble: {err}")))?;
    if matches.get_flag("raw") {
        if std::io::stdout().is_terminal() {
            return Err(CliError::with_help(
                "write bytes: stdout is a terminal",
                "redirect it to a file, or leave out --raw",
            ));
        }
        std::io::stdout().lock().write_all(&bytes)?;
        return Ok(());
    }
    let mut text = String::new();
    for slot in bytes.chunks(8) {
        for byte in slot {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    out::print(&text)
}

/// The instructions of the file, or of standard input without one or for `-`.
pub(super) fn assemble(path: Option<&OsString>) -> Result<Vec<asm::Insn>, CliError> {
    let path = path.filter(|path| *path != "-");
    let name = path.map_or("stdin".into(), |path| path.to_string_lossy());
    let mut source = String::new();
    let read = match path {
        Some(path) => {
            std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut source))
        }
        None => std::io::stdin().read_to_string(&mut source),
    };
    read.map_err(|err| CliError::failed(format!("read `{name}`: {}", Described(&err))))?;
    text::assemble(&source, text::Options::default())
        .map(|program| program.insns)
        .map_err(|errors| {
            let diagnostics: Vec<Diagnostic> = errors
                .iter()
                .map(|err| Diagnostic::error(err.span, err.problem.to_string()))
                .collect();
            let text = diag::render(&diagnostics, &name, &source, false);
            CliError::Diagnosed(text.trim_end().to_string())
        })
}
