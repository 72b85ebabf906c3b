//! `baretrace disasm FILE`: bytes to instructions.

use super::{
    Call, CliError,
    asm::file as file_arg,
    out,
    program::{Input, Source, decode_raw, sections},
};
use crate::asm::{
    self, MapDecl, disasm,
    object::{CodeSection, Linked, Object},
};
use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};
use std::ffi::OsString;

pub(super) fn args(command: clap::Command) -> clap::Command {
    command
        .arg(file_arg(
            "Bytes, hexadecimal digits or an ELF object; `-` or nothing for standard input",
        ))
        .arg(Arg::new("section").long("section").value_name("NAME").help(
            "Section of an ELF object, with the functions it calls; all that hold code without it",
        ))
        .arg(
            Arg::new("style")
                .long("style")
                .value_name("STYLE")
                .help("How instructions are written")
                .default_value("kernel")
                .value_parser(PossibleValuesParser::new(["kernel", "llvm", "mnemonic"])),
        )
        .arg(
            Arg::new("bytes")
                .long("bytes")
                .help("Show the bytes of each instruction")
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("slots")
                .long("slots")
                .help("Show slot numbers and distances instead of labels")
                .action(ArgAction::SetTrue),
        )
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let slots = matches.get_flag("slots");
    let options = disasm::Options {
        style: match matches.get_one::<String>("style").map(String::as_str) {
            Some("llvm") => disasm::Style::Llvm,
            Some("mnemonic") => disasm::Style::Mnemonic,
            _ => disasm::Style::Kernel,
        },
        labels: !slots,
        slots,
        bytes: matches.get_flag("bytes"),
        ..disasm::Options::default()
    };
    let section = matches.get_one::<String>("section").map(String::as_str);
    let input = Input::read(matches.get_one::<OsString>("file"), false)?;
    if let (
        Some(section),
        Input::Text(Source { name, .. }) | Input::Hex(Source { name, .. }) | Input::Raw(name, _),
    ) = (section, &input)
    {
        return Err(CliError::with_help(
            format!("disassemble section `{section}` of `{name}`: it is no ELF object"),
            "leave --section out",
        ));
    }
    let text = match input {
        Input::Text(source) => {
            return Err(CliError::with_help(
                format!("disassemble `{}`: it holds text, not bytes", source.name),
                "`baretrace asm` turns text into bytes",
            ));
        }
        Input::Hex(source) => disasm::program(&source.bytes()?.decode()?, options),
        Input::Raw(name, bytes) => disasm::program(&decode_raw(&name, &bytes)?, options),
        Input::Elf(name, bytes) => of_object(&name, &bytes, section, options)?,
    };
    out::print(&text)
}

/// One program with all it needs, in a form that reads back to the same object; or each section under its name, if there
/// are several programs and none is chosen.
fn of_object(
    file: &str,
    bytes: &[u8],
    wanted: Option<&str>,
    options: disasm::Options<'_>,
) -> Result<String, CliError> {
    let (object, chosen) = sections(file, bytes, wanted)?;
    if let Some(section) = chosen.and_then(|at| object.code.get(at)) {
        return match object.program(section) {
            Ok(linked) => Ok(linked_text(&object, section, &linked, options)),
            Err(why) => {
                let listing = of_section(file, section, options)?;
                Ok(format!("# not put together: {why}\n{listing}"))
            }
        };
    }
    let texts: Result<Vec<String>, CliError> = object
        .code
        .iter()
        .map(|section| of_section(file, section, options))
        .collect();
    Ok(format!(
        "# several programs: --section NAME prints one with its functions and maps, as `baretrace asm` reads it\n{}",
        texts?.join("\n")
    ))
}

fn linked_text(
    object: &Object,
    section: &CodeSection,
    linked: &Linked,
    options: disasm::Options<'_>,
) -> String {
    let mut text = format!(".section {}\n", section.name);
    if let Some(license) = &object.license {
        text += &format!(".license {license}\n");
    }
    for (name, declared) in linked.maps.iter().zip(&linked.declared) {
        let kind = |map: &&MapDecl| asm::MAP_KINDS.iter().any(|(_, kind)| *kind == map.kind);
        text += &match declared.as_ref().filter(kind) {
            Some(map) => format!("{map}\n"),
            None => {
                format!("# map {name}: of a kind that `.map` has no name for, or not described\n")
            }
        };
    }
    let options = disasm::Options {
        maps: &strs(&linked.maps),
        functions: &pairs(&linked.functions),
        notes: &pairs(&linked.variables),
        ..options
    };
    text + &disasm::program(&linked.insns, options)
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn pairs(names: &[(usize, String)]) -> Vec<(usize, &str)> {
    names
        .iter()
        .map(|(slot, name)| (*slot, name.as_str()))
        .collect()
}

/// The listing of a section, under its name.
fn of_section(
    file: &str,
    section: &CodeSection,
    options: disasm::Options<'_>,
) -> Result<String, CliError> {
    let place = format!("{file}, section {}", section.name);
    let (insns, maps) = match section.insns() {
        Ok(found) => found,
        // The same fault again, shown where it is.
        Err(_) => (decode_raw(&place, &section.bytes)?, Vec::new()),
    };
    let (externs, variables) = (section.externs(), section.variables());
    let options = disasm::Options {
        maps: &strs(&maps),
        functions: &pairs(&section.functions),
        externs: &pairs(&externs),
        notes: &pairs(&variables),
        ..options
    };
    let listing = disasm::program(&insns, options);
    Ok(format!("# section {}\n{listing}", section.name))
}
