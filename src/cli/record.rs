//! `baretrace record -o FILE SCRIPT|PROBES…`: runs a script, or watches probes, and keeps what they are told.

use super::{
    Call, CliError, args,
    run::{ended, session_error},
};
use crate::{
    audit::counted,
    record,
    session::{self, Record},
};
use clap::ArgMatches;
use std::{ffi::OsString, io::Write, path::Path};

pub(super) fn args(command: clap::Command) -> clap::Command {
    let about = command.get_about().cloned().unwrap_or_default();
    args::add(command)
        .about(about)
        .override_usage(
            "baretrace record -o FILE [OPTIONS] SCRIPT|-e PROGRAM [ARGS…]\n       baretrace record -o FILE [OPTIONS] PROBE…",
        )
        .mut_arg("output", |arg| arg.help("The recording to make"))
        .arg(
            clap::Arg::new("stacks")
                .long("stacks")
                .action(clap::ArgAction::SetTrue)
                .help("With names of probes: keep the process's stack at each hit as well"),
        )
}

pub(super) fn run(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    let mut options = args::flags(matches, call)?;
    let Some(path) = options.output.take() else {
        return Err(CliError::Usage(
            "error: no file to record into\nhelp: give -o FILE".to_string(),
        ));
    };
    let words: Vec<&OsString> = matches.get_many("words").into_iter().flatten().collect();
    let probes = !matches.contains_id("program") && names_probes(&words);
    if probes {
        let words: Vec<String> = words
            .iter()
            .map(|w| w.to_string_lossy().into_owned())
            .collect();
        let stacks = matches.get_flag("stacks");
        options.script = record::probes_script(&words, stacks, &options).map_err(session_error)?;
        // Of what the script prints nothing is sent but its end.
        options.quiet = true;
        options.output = Some("/dev/null".into());
    } else if matches.get_flag("stacks") {
        return Err(CliError::Usage(
            "error: --stacks is for names of probes; a script's stacks are kept where it asks for them"
                .to_string(),
        ));
    } else {
        options = session::Options {
            output: None,
            ..args::options(matches, call)?
        };
    }
    let quiet = matches.get_flag("quiet");
    let record = Record { path, probes };
    let (outcome, end, size) = session::record(&options, &record).map_err(session_error)?;
    if !quiet {
        let mut text = format!(
            "Recorded {} in `{}`, {}\n",
            counted(end.hits, "hit"),
            record.path.display(),
            counted(size, "byte")
        );
        if end.lost_hits() > 0 {
            text.push_str(&format!("not kept: {}\n", counted(end.lost_hits(), "hit")));
        }
        // Whoever closed stderr does not want to know.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    ended(outcome)
}

/// Whether the words are names of probes rather than a script and its parameters.
fn names_probes(words: &[&OsString]) -> bool {
    let is_probe = |word: &&OsString| {
        let text = word.to_string_lossy();
        let provider = text.split_once(':').map(|(provider, _)| provider);
        provider.is_some_and(|name| crate::lang::points::provider(name).is_some())
    };
    let is_file = words.first().is_some_and(|word| Path::new(word).exists());
    !words.is_empty() && !is_file && words.iter().all(is_probe)
}
