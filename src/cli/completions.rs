//! `baretrace completions SHELL`.

use super::{Call, CliError, command};
use clap::{Arg, ArgMatches, builder::PossibleValuesParser};
use clap_complete::Shell;
use std::str::FromStr;

pub(super) fn args(command: clap::Command) -> clap::Command {
    let shells = ["bash", "elvish", "fish", "powershell", "zsh"];
    command.arg(
        Arg::new("shell")
            .required(true)
            .value_name("SHELL")
            .value_parser(PossibleValuesParser::new(shells)),
    )
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let name: &String = matches
        .get_one("shell")
        .ok_or_else(|| CliError::Usage("error: no shell given".to_string()))?;
    let shell = Shell::from_str(name).map_err(CliError::failed)?;
    let mut text = Vec::new();
    clap_complete::generate(
        shell,
        &mut command::clap_command(false),
        "baretrace",
        &mut text,
    );
    super::out::print(&String::from_utf8_lossy(&text))
}
