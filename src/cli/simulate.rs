//! `baretrace simulate SCRIPT --events FILE`: runs a script in user space, on events from a file.

use super::{Call, CliError, args};
use crate::{
    runtime::{Buffering, Form, Output, OutputOptions},
    session::{self, Options},
    simulate::{self, Capture, Script, SimulateError},
    sys::errno::Described,
};
use clap::{Arg, ArgAction, ArgMatches, builder::ValueParser};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The flags of a run that mean something here.
pub(super) const SHOWN: &[&str] = &[
    "program",
    "pid",
    "unsafe",
    "output",
    "format",
    "quiet",
    "warnings",
    "no-warnings",
    "words",
];

pub(super) fn args(command: clap::Command) -> clap::Command {
    let about = command.get_about().cloned();
    let command = args::add(command)
        .about(about.unwrap_or_default())
        .override_usage(
            "baretrace simulate --events FILE [--expect FILE] SCRIPT|-e PROGRAM [ARGS…]",
        )
        .mut_args(|arg| {
            let hide = !SHOWN.contains(&arg.get_id().as_str());
            arg.hide(hide)
        });
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("FILE")
            .help(help)
            .value_parser(ValueParser::path_buf())
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue)
    };
    command
        .arg(path("events", "Events, a JSON object a line (`-` for stdin)").required(true))
        .arg(path(
            "expect",
            "What must be printed: exit code 1 and the differences if it is not",
        ))
        .arg(
            Arg::new("ring-bytes")
                .long("ring-bytes")
                .value_name("N")
                .help("Lose records as a ring of N bytes does that is read every millisecond")
                .value_parser(clap::value_parser!(u64)),
        )
        .arg(
            Arg::new("cpus")
                .long("cpus")
                .value_name("N")
                .help("CPUs of the simulated machine")
                .default_value("4")
                .value_parser(clap::value_parser!(u32).range(1..=1024)),
        )
        .arg(switch(
            "invent",
            "Make the traced binaries up even if they are here",
        ))
        .arg(switch("pace", "Take as long as the events took"))
}

pub(super) fn run(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    let options = args::options(matches, call)?;
    let path = |name: &str| matches.get_one::<PathBuf>(name);
    let (Some(events_path), expect) = (path("events"), path("expect")) else {
        return Err(CliError::Usage("error: no --events FILE".to_string()));
    };
    let expected = expect.map(|path| read("", path)).transpose()?;
    let bytes = read("events ", events_path)?;
    let name = match events_path.to_string_lossy() {
        name if name == "-" => "standard input".into(),
        name => name,
    };
    let at = |err: &simulate::EventError| match &err.help {
        Some(help) => CliError::with_help(format!("{name}: {err}"), help),
        None => CliError::failed(format!("{name}: {err}")),
    };
    let text = simulate::events::text(&bytes).map_err(|err| at(&err))?;
    let events = simulate::events::Events::of(text).map_err(|err| at(&err))?;
    let script = script(&options, matches);
    let color = crate::session::color::wanted();
    let compiled = simulate::compile(&script, &events.shapes).map_err(|err| match err {
        simulate::ScriptError::Binary(err) => CliError::failed(err),
        err => CliError::Diagnosed(err.render(&script, color).trim_end().to_string()),
    })?;
    if !options.no_warnings && !compiled.warnings.is_empty() {
        let text = crate::lang::diag::render(&compiled.warnings, &script.name, &script.text, color);
        // Whoever closed stderr does not want to know.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    let capture = expected.is_some().then(Capture::default);
    let mut player = player(&compiled, &options, capture.as_ref())?;
    let settings = simulate::Settings {
        ring_bytes: matches
            .get_one::<u64>("ring-bytes")
            .map(|n| usize::try_from(*n).unwrap_or(usize::MAX)),
        pace: matches.get_flag("pace"),
        attached: (!options.quiet).then_some(compiled.points),
        ..compiled.settings()
    };
    let (object, target) = (&compiled.object, &compiled.target);
    let outcome =
        events.each(|events| simulate::run(object, target, &settings, events, &mut player));
    let outcome = outcome.map_err(|err| match err {
        SimulateError::Event(err) => at(&err),
        err => simulate_error(err),
    })?;
    match (capture, expected, outcome.exit) {
        (Some(capture), Some(expected), _) => compare(&expected, &capture.bytes()),
        // The low eight bits, as exit(2) takes them.
        (_, _, Some(code)) if code != 0 => Err(CliError::Exit(code.to_le_bytes()[0])),
        _ => Ok(()),
    }
}

fn script(options: &Options, matches: &ArgMatches) -> Script {
    Script {
        name: options.script.name.clone(),
        text: options.script.text.clone(),
        params: options.params.clone(),
        named: options.named.clone(),
        config: options.config.clone(),
        pid: options.pid,
        allow_unsafe: options.allow_unsafe,
        helper_errors: options.helper_errors,
        cpus: matches.get_one("cpus").copied().unwrap_or_default(),
        invent: matches.get_flag("invent"),
    }
}

/// The player of a compiled script, to where the options say, or kept.
pub(super) fn player(
    compiled: &simulate::Compiled,
    options: &Options,
    capture: Option<&Capture>,
) -> Result<crate::runtime::Player, CliError> {
    let buffering = match options.buffering {
        session::Buffering::None => Buffering::None,
        session::Buffering::Line => Buffering::Line,
        session::Buffering::Full => Buffering::Full,
    };
    let output = match (capture, &options.output) {
        (Some(capture), _) => Output::to(Box::new(capture.clone()), "memory", Buffering::Full),
        (None, Some(path)) => Output::file(path, buffering).map_err(|err| {
            CliError::failed(format!("create `{}`: {}", path.display(), Described(&err)))
        })?,
        (None, None) => Output::stdout(buffering),
    };
    let form = match options.format {
        session::Format::Text => Form::Text,
        session::Format::Json => Form::Json,
    };
    let how = OutputOptions {
        form,
        buffering,
        allow_unsafe: options.allow_unsafe,
        warnings: !options.no_warnings,
        ..OutputOptions::default()
    };
    compiled
        .player(how, output, Box::new(std::io::stderr()))
        .map_err(CliError::failed)
}

/// A simulation's error with its remedy.
pub(super) fn simulate_error(err: SimulateError) -> CliError {
    match err.help() {
        Some(help) => CliError::with_help(&err, help),
        None => CliError::failed(&err),
    }
}

/// Says what differs; the answer is negative then.
pub(super) fn compare(expected: &[u8], got: &[u8]) -> Result<(), CliError> {
    if expected == got {
        return Ok(());
    }
    let [expected, got] = [expected, got].map(String::from_utf8_lossy);
    let text = simulate::diff(&expected, &got)
        .unwrap_or_else(|| "the outputs differ in bytes that are no text\n".to_string());
    super::out::print(&format!("--- expected\n+++ printed\n{text}"))?;
    Err(CliError::Negative)
}

/// Reads a file, which is `kind` in messages.
pub(super) fn read(kind: &str, path: &Path) -> Result<Vec<u8>, CliError> {
    let read = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|err| {
        CliError::failed(format!(
            "read {kind}`{}`: {}",
            path.display(),
            Described(&err)
        ))
    })
}
