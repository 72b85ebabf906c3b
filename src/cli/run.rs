//! `baretrace FILE`: runs a script.

use super::{Call, CliError, args, features, info, list, usage};
use crate::{
    lang::Named,
    session::{self, Outcome, Session, SessionError},
};
use clap::ArgMatches;

pub(super) fn run(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    if matches.get_flag("info") {
        return super::out::print(&match call.as_bpftrace() {
            true => info::report(),
            false => features::report(),
        });
    }
    if matches.get_flag("list") {
        return run_list(matches, call);
    }
    if let Some(path) = matches.get_one::<std::path::PathBuf>("load-exactly") {
        return ended(super::audit::load_exactly(path, matches, call)?);
    }
    if matches.contains_id("policy") {
        return Err(CliError::Usage(
            "error: --policy judges a bundle\nhelp: make one with `baretrace check FILE -o BUNDLE`, then give --load-exactly BUNDLE"
                .to_string(),
        ));
    }
    if call.as_bpftrace() {
        usage::check(matches)?;
    }
    let options = args::options(matches, call)?;
    if options.named.iter().any(|(name, _)| name == "help") {
        let named = session::named(&options).map_err(session_error)?;
        if call.as_bpftrace() {
            return Err(CliError::Said {
                text: bpftrace_help(&named),
                code: 1,
            });
        }
        return super::out::print(&script_help(&named));
    }
    if let Some(stage) = matches.get_one::<String>("emit") {
        return super::out::print(&super::check::check(&options, Some(stage))?);
    }
    if call.as_bpftrace() && options.script.text.trim().is_empty() {
        return no_probes();
    }
    match session::run(&options) {
        Err(SessionError::NoProbes(None)) if options.as_bpftrace => no_probes(),
        Err(err) if options.as_bpftrace => Err(bpftrace_error(err)),
        result => ended(result.map_err(session_error)?),
    }
}

/// What bpftrace says where nothing is left of a script.
fn no_probes() -> Result<(), CliError> {
    super::out::print("No probes to attach\n")?;
    Err(CliError::Negative)
}

/// A run's end as the command's.
pub(super) fn ended(outcome: Outcome) -> Result<(), CliError> {
    match outcome {
        Outcome::Done | Outcome::PipeClosed => Ok(()),
        Outcome::Exit(code) => exit_code(code),
    }
}

/// The script's own exit code: its low eight bits, as exit(2) takes them.
pub(super) fn exit_code(code: i32) -> Result<(), CliError> {
    match code.to_le_bytes()[0] {
        0 => Ok(()),
        code => Err(CliError::Exit(code)),
    }
}

/// The same in bpftrace's words, the last one first.
fn bpftrace_help(named: &[Named]) -> String {
    if named.is_empty() {
        return "HINT: no custom program options defined.".to_string();
    }
    let rows = named.iter().rev().map(|row| match &row.help {
        Some(help) => format!("\n--{}: {help}", row.name),
        None => format!("\n--{}", row.name),
    });
    format!(
        "HINT: expected program options:{}",
        rows.collect::<String>()
    )
}

/// The named parameters of a script: what `-- --help` prints.
fn script_help(named: &[Named]) -> String {
    if named.is_empty() {
        return "The script has no named parameters.\n".to_string();
    }
    let left: Vec<String> = named
        .iter()
        .map(|row| match row.default {
            Some(_) => format!("--{}=VALUE", row.name),
            None => format!("--{}", row.name),
        })
        .collect();
    let width = left.iter().map(String::len).max().unwrap_or(0);
    let mut text = "Named parameters of the script, after `--`:\n".to_string();
    for (left, row) in left.iter().zip(named) {
        let default = row
            .default
            .as_ref()
            .map(|value| format!("[default: {value}]"));
        let right: Vec<&str> = row
            .help
            .as_deref()
            .into_iter()
            .chain(default.as_deref())
            .collect();
        let line = format!("  {left:width$}  {}", right.join(" "));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A session's error as bpftrace tells it and ends with it.
fn bpftrace_error(err: SessionError) -> CliError {
    let code = err.bpftrace_code();
    let text = match err.bpftrace_words() {
        Some(text) => text,
        None => session_error(err).to_string(),
    };
    CliError::Said { text, code }
}

/// A session's error with its remedy.
pub(super) fn session_error(err: SessionError) -> CliError {
    match err {
        SessionError::Script(text) | SessionError::Missing(text) => CliError::Diagnosed(text),
        err if err.is_negative() => CliError::Diagnosed(match err.help() {
            Some(help) => format!("error: {err}\nhelp: {help}"),
            None => format!("error: {err}"),
        }),
        err => match err.help() {
            Some(help) => CliError::with_help(&err, help),
            None => CliError::failed(&err),
        },
    }
}

/// `-l`: probes that match a pattern, or those that a program would attach to.
fn run_list(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    let flags = args::flags(matches, call)?;
    let word = args::first_word(matches)?;
    let is_file = word
        .as_ref()
        .is_some_and(|word| std::path::Path::new(word).is_file());
    if is_file || matches.contains_id("program") {
        let options = args::options(matches, call)?;
        let compiled = Session::for_any(&options)
            .and_then(|session| session.compile())
            .map_err(session_error)?;
        let names = compiled
            .object
            .programs
            .iter()
            .map(|program| program.probe.as_str());
        let mut names: Vec<&str> = names.collect();
        if call.as_bpftrace() {
            names = names.into_iter().filter_map(list::plain).collect();
        }
        names.dedup();
        let lines: Vec<String> = names.iter().map(|name| format!("{name}\n")).collect();
        return super::out::print(&lines.concat());
    }
    let pattern = word.unwrap_or_default();
    match list::list(&pattern, flags.pid, flags.verbose) {
        // bpftrace lists nothing, and finds nothing wrong with that.
        Err(_) if call.as_bpftrace() => Ok(()),
        text => super::out::print(&text?),
    }
}
