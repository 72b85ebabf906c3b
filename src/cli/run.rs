//! `baretrace FILE`: runs a script.

use super::{Call, CliError, args};
use clap::ArgMatches;

pub(super) fn run(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    let options = args::options(matches, call)?;
    Err(CliError::failed(format!(
        "run `{}`: not supported by this build",
        options.script.name
    )))
}
