//! `baretrace FILE`: runs a script.

use super::{Call, CliError, args, features, list};
use clap::ArgMatches;

pub(super) fn run(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    if matches.get_flag("info") {
        return super::out::print(&features::report());
    }
    if matches.get_flag("list") {
        return run_list(matches, call);
    }
    let options = args::options(matches, call)?;
    Err(CliError::failed(format!(
        "run `{}`: not supported by this build",
        options.script.name
    )))
}

fn run_list(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    let options = args::flags(matches, call);
    let pattern = args::first_word(matches)?.unwrap_or_default();
    super::out::print(&list::list(&pattern, options.pid, options.verbose)?)
}
