//! `baretrace simulate FILE --events F`: runs a script in user space, without root, on events from a file.

use super::{Call, CliError, args, run::exit_code};
use crate::{
    lang::diag,
    runtime::{self, Form, OutputOptions, Player},
    session::Format,
    simulate::{self, SimulateError, events, invent::Shapes},
    sys::errno::Described,
};
use clap::{Arg, ArgAction, ArgMatches};
use std::{
    io::{Read, Write},
    path::PathBuf,
};

/// The flags of a run that mean something here.
const SHOWN: &[&str] = &[
    "program",
    "pid",
    "unsafe",
    "format",
    "quiet",
    "no-warnings",
    "words",
];

pub(super) fn args(command: clap::Command) -> clap::Command {
    let about = command.get_about().cloned();
    args::add(command)
        .about(about.unwrap_or_default())
        .override_usage("baretrace simulate --events EVENTS FILE|-e PROGRAM [ARGS…]")
        .mut_args(|arg| {
            let hide = !SHOWN.contains(&arg.get_id().as_str());
            arg.hide(hide)
        })
        .arg(
            Arg::new("events")
                .long("events")
                .required(true)
                .value_name("EVENTS")
                .help("Events, one a line; `-` for standard input")
                .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("pace")
                .long("pace")
                .help("Take as long as the events took")
                .action(ArgAction::SetTrue),
        )
}

pub(super) fn run(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    let options = args::options(matches, call)?;
    let bytes = read_events(matches)?;
    let text = events::text(&bytes).map_err(CliError::failed)?;
    let script = simulate::Script {
        name: options.script.name.clone(),
        text: options.script.text.clone(),
        params: options.params.clone(),
        named: options.named.clone(),
        config: options.config.clone(),
        pid: options.pid,
        allow_unsafe: options.allow_unsafe,
        ..simulate::Script::default()
    };
    let shapes = Shapes::of(events::parse(text)).map_err(CliError::failed)?;
    let compiled = simulate::compile(&script, &shapes)
        .map_err(|err| CliError::Diagnosed(err.render(&script, false).trim_end().to_string()))?;
    if !options.no_warnings && !compiled.warnings.is_empty() {
        let text = diag::render(&compiled.warnings, &script.name, &script.text, false);
        // Whoever closed stderr does not want to know.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    let output = OutputOptions {
        form: match options.format {
            Format::Text => Form::Text,
            Format::Json => Form::Json,
        },
        buffering: runtime::Buffering::Line,
        trailer: compiled.config.str_trunc_trailer.clone(),
        max_strlen: compiled.config.max_strlen,
        max_cat_bytes: u64::from(compiled.config.max_cat_bytes),
        allow_unsafe: options.allow_unsafe,
        warnings: !options.no_warnings,
    };
    let mut player = Player::new(&compiled.object, output).map_err(CliError::failed)?;
    let settings = simulate::Settings {
        print_maps: compiled.config.print_maps_on_exit,
        attached: (!options.quiet).then_some(compiled.points),
        pace: matches.get_flag("pace"),
        ..simulate::Settings::default()
    };
    let events = events::parse(text);
    let outcome = simulate::run(
        &compiled.object,
        &compiled.target,
        &settings,
        events,
        &mut player,
    )
    .map_err(simulate_error)?;
    exit_code(outcome.exit.unwrap_or(0))
}

fn read_events(matches: &ArgMatches) -> Result<Vec<u8>, CliError> {
    let path = matches
        .get_one::<PathBuf>("events")
        .cloned()
        .unwrap_or_default();
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|err| {
        CliError::failed(format!(
            "read events `{}`: {}",
            path.display(),
            Described(&err)
        ))
    })?;
    Ok(bytes)
}

/// A simulation's error with its remedy.
pub(super) fn simulate_error(err: SimulateError) -> CliError {
    match err.help() {
        Some(help) => CliError::with_help(&err, help),
        None => CliError::failed(&err),
    }
}
