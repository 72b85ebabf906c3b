//! `baretrace disasm [FILE]`: bytes to instructions.

use super::{Call, CliError, out};
use crate::{
    asm::{self, disasm},
    sys::errno::Described,
};
use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};
use std::{ffi::OsString, io::Read};

pub(super) fn args(command: clap::Command) -> clap::Command {
    command
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .help("Bytes of a program, or the same in hexadecimal digits; standard input without it")
                .value_parser(clap::value_parser!(OsString)),
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
    let bytes = program_bytes(matches.get_one::<OsString>("file"))?;
    let insns =
        asm::decode(&bytes).map_err(|err| CliError::failed(format!("disassemble: {err}")))?;
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
    out::print(&disasm::program(&insns, options))
}

/// The bytes of the file, or of standard input without one or for `-`; hexadecimal text is turned into bytes.
pub(super) fn program_bytes(path: Option<&OsString>) -> Result<Vec<u8>, CliError> {
    let path = path.filter(|path| *path != "-");
    let mut bytes = Vec::new();
    let read = match path {
        Some(path) => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
        None => std::io::stdin().read_to_end(&mut bytes),
    };
    read.map_err(|err| {
        let name = path.map_or("standard input".into(), |path| path.to_string_lossy());
        CliError::failed(format!("read `{name}`: {}", Described(&err)))
    })?;
    Ok(from_hex(&bytes).unwrap_or(bytes))
}

/// The bytes that hexadecimal text stands for; `None` if it is something else.
pub(super) fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .iter()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| {
            char::from(*c)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    (rest.is_empty() && !pairs.is_empty())
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::from_hex;

    #[test]
    fn hexadecimal_text_is_known() {
        assert_eq!(from_hex(b"b7 00 0000\n"), Some(vec![0xb7, 0, 0, 0]));
        assert_eq!(from_hex(b"b70"), None);
        assert_eq!(from_hex(b"\xb7\0\0\0"), None);
        assert_eq!(from_hex(b""), None);
    }
}
