//! `baretrace disasm FILE`: bytes to instructions.

use super::{
    Call, CliError,
    asm::file,
    out,
    program::{Input, Source, decode_raw, sections},
};
use crate::asm::{disasm, object::CodeSection};
use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};
use std::ffi::OsString;

pub(super) fn args(command: clap::Command) -> clap::Command {
    command
        .arg(file(
            "Bytes, hexadecimal digits or an ELF object; `-` or nothing for standard input",
        ))
        .arg(
            Arg::new("section")
                .long("section")
                .value_name("NAME")
                .help("Section of an ELF object; all that hold code without it"),
        )
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
        Input::Elf(name, bytes) => {
            let sections = sections(&name, &bytes, section)?;
            let texts: Result<Vec<String>, CliError> = sections
                .iter()
                .map(|section| of_section(&name, section, options))
                .collect();
            texts?.join("\n")
        }
    };
    out::print(&text)
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
    let maps: Vec<&str> = maps.iter().map(String::as_str).collect();
    let functions: Vec<(usize, &str)> = section
        .functions
        .iter()
        .map(|(slot, name)| (*slot, name.as_str()))
        .collect();
    let options = disasm::Options {
        maps: &maps,
        functions: &functions,
        externs: &section.externs(),
        ..options
    };
    let listing = disasm::program(&insns, options);
    Ok(format!("# section {}\n{listing}", section.name))
}
