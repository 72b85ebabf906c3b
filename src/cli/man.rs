//! `baretrace man`: the manual page, made from the same table as the help.

use super::{Call, CliError, command};
use clap::ArgMatches;

pub(super) fn run(_: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command::clap_command(false)).render(&mut page)?;
    super::out::print(&String::from_utf8_lossy(&page))
}
