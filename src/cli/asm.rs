//! `baretrace asm FILE`: text to instructions' bytes.

use super::{
    Call, CliError,
    program::{Input, Source, hex_lines},
};
use crate::{
    asm::{
        self,
        object::{self, ObjectError},
        text::{self, Dialect},
    },
    sys::errno::Described,
};
use clap::{Arg, ArgMatches, builder::PossibleValuesParser};
use std::{
    ffi::OsString,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

/// What an object says of itself if nothing else is given: a program type that needs no attach point.
const SECTION: &str = "socket";
const LICENSE: &str = "Dual MIT/GPL";

/// What to write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Raw,
    Hex,
    Elf,
}

pub(super) fn args(command: clap::Command) -> clap::Command {
    command
        .arg(file("Instructions as text; `-` or nothing for standard input"))
        .arg(
            Arg::new("output")
                .long("output")
                .short('o')
                .value_name("OUT")
                .help("Write to OUT, not to standard output")
                .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(dialect_arg())
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .help("raw bytes, hex digits, or an elf object; by default what OUT's name says (.o, .hex), else raw; hex on standard output")
                .value_parser(PossibleValuesParser::new(["raw", "hex", "elf"])),
        )
        .arg(
            Arg::new("section")
                .long("section")
                .value_name("NAME")
                .help("Section of the program in an elf object: loaders take the program type from it [default: what `.section` in the text says, else socket]"),
        )
        .arg(
            Arg::new("license")
                .long("license")
                .value_name("TEXT")
                .help("License in an elf object [default: what `.license` in the text says, else Dual MIT/GPL]"),
        )
}

/// The positional argument of all three commands.
pub(super) fn file(help: &'static str) -> Arg {
    Arg::new("file")
        .value_name("FILE")
        .help(help)
        .value_parser(clap::value_parser!(OsString))
}

pub(super) fn dialect_arg() -> Arg {
    Arg::new("dialect")
        .long("dialect")
        .value_name("DIALECT")
        .help("How the text is written: `r1 += 2` (kernel) or `add r1, 2` (mnemonic); found out if not given")
        .value_parser(PossibleValuesParser::new(["kernel", "mnemonic"]))
}

pub(super) fn dialect(matches: &ArgMatches) -> Option<Dialect> {
    match matches.get_one::<String>("dialect")?.as_str() {
        "mnemonic" => Some(Dialect::Mnemonic),
        _ => Some(Dialect::Kernel),
    }
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let out = matches.get_one::<PathBuf>("output");
    let format = match matches.get_one::<String>("format").map(String::as_str) {
        Some("raw") => Format::Raw,
        Some("hex") => Format::Hex,
        Some("elf") => Format::Elf,
        _ => match out.and_then(|path| path.extension()?.to_str()) {
            Some("o") => Format::Elf,
            Some("hex") => Format::Hex,
            _ if out.is_some() => Format::Raw,
            _ => Format::Hex,
        },
    };
    if out.is_none() && format != Format::Hex && std::io::stdout().is_terminal() {
        return Err(CliError::with_help(
            "write bytes: standard output is a terminal",
            "give a file with -o, or use --format hex",
        ));
    }
    let file = matches.get_one::<OsString>("file");
    let source = match Input::read(file, dialect(matches).is_some())? {
        Input::Text(source) => source,
        Input::Hex(Source { name, .. }) | Input::Raw(name, _) | Input::Elf(name, _) => {
            return Err(CliError::with_help(
                format!("assemble `{name}`: it holds bytes, not text"),
                "`baretrace disasm` turns bytes into text",
            ));
        }
    };
    let program = source.assemble(dialect(matches))?;
    if let (Format::Elf, Some((_, name))) = (format, program.kfuncs.first()) {
        return Err(CliError::with_help(
            format!(
                "assemble `{}`: an object would hold the id that `{name}` has in this kernel alone",
                source.name
            ),
            "use --format raw or hex for this kernel",
        ));
    }
    let bytes = match format {
        Format::Elf => object(&source, &program, matches)?,
        Format::Raw | Format::Hex => {
            let bytes = asm::encode(&program.insns);
            bytes.map_err(|err| CliError::failed(format!("assemble `{}`: {err}", source.name)))?
        }
    };
    let bytes = match format {
        Format::Hex => hex_lines(&bytes).into_bytes(),
        Format::Raw | Format::Elf => bytes,
    };
    match out {
        Some(path) => std::fs::write(path, &bytes).map_err(|err| {
            let what = format!("write `{}`: {}", path.display(), Described(&err));
            CliError::failed(what)
        }),
        None => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&bytes)?;
            Ok(stdout.flush()?)
        }
    }
}

fn object(
    source: &Source,
    program: &text::Program,
    matches: &ArgMatches,
) -> Result<Vec<u8>, CliError> {
    let word = |name: &str, said: &'_ Option<String>, default: &str| {
        let given = matches.get_one::<String>(name).or(said.as_ref());
        given.map_or(default, String::as_str).to_owned()
    };
    // A label at the begin is the program's name.
    let label = program.labels.iter().find(|(_, at)| *at == 0);
    let name = label.map_or_else(|| program_name(&source.name), |(name, _)| name.clone());
    let written = object::write(&object::Source {
        insns: &program.insns,
        section: &word("section", &program.section, SECTION),
        name: &name,
        license: &word("license", &program.license, LICENSE),
        functions: &program.functions(),
        maps: &program.declared,
    });
    written.map_err(|err| {
        let help = match &err {
            ObjectError::Map { .. } => {
                "declare it with a line `.map NAME hash 4 8 1024` (kind, size of key and value, entries)"
            }
            ObjectError::Value { .. } => {
                "declare it as `.map NAME array 4 SIZE 1`, and look up another map where a helper needs one"
            }
            ObjectError::Crossing { .. } => {
                "put the functions behind the program, and reach them by `call` only"
            }
            _ => "use --format raw or hex",
        };
        CliError::with_help(format!("assemble `{}`: {err}", source.name), help)
    })
}

/// The program's name: the file's, as far as a symbol may have it.
fn program_name(file: &str) -> String {
    let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str());
    let name: String = stem
        .unwrap_or("program")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    match name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        true => format!("_{name}"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::program_name;

    #[test]
    fn names_of_files_become_symbols() {
        assert_eq!(program_name("/a/count-all.s"), "count_all");
        assert_eq!(program_name("3.s"), "_3");
        assert_eq!(program_name("stdin"), "stdin");
    }
}
