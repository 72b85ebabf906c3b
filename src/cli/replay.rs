//! `baretrace replay FILE SCRIPT`: runs a script over a recording.

use super::{
    Call, CliError, args,
    simulate::{SHOWN, compare, player, read, simulate_error},
};
use crate::{
    audit::counted,
    record::{Hit, LinesError, ReadError, Recording, ReplayError, lines, replay},
    session::Options,
    simulate::{Capture, Script, Settings},
    spec::AttachSpec,
};
use clap::{Arg, ArgAction, ArgMatches, builder::ValueParser};
use std::{
    fmt::Write as _,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

pub(super) fn args(command: clap::Command) -> clap::Command {
    let about = command.get_about().cloned().unwrap_or_default();
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue)
    };
    let recording = Arg::new("recording")
        .value_name("RECORDING")
        .help("What `baretrace record` made")
        .required(true)
        .value_parser(ValueParser::path_buf());
    args::add(command.arg(recording))
        .about(about)
        .override_usage(
            "baretrace replay [--tempo] [--expect FILE] RECORDING SCRIPT|-e PROGRAM [ARGS…]\n       baretrace replay --show|--lines RECORDING",
        )
        .mut_args(|arg| {
            let id = arg.get_id().as_str();
            let hide = !SHOWN.contains(&id) && id != "recording";
            arg.hide(hide)
        })
        .arg(switch("tempo", "Take as long as the recorded run took"))
        .arg(
            Arg::new("expect")
                .long("expect")
                .value_name("FILE")
                .help("What must be printed: exit code 1 and the differences if it is not")
                .value_parser(ValueParser::path_buf()),
        )
        .arg(switch("show", "Say what is in the recording"))
        .arg(switch("lines", "Print the hits of user probes as events for `simulate --events`"))
}

pub(super) fn run(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    let Some(path) = matches.get_one::<PathBuf>("recording") else {
        return Err(CliError::Usage("error: no recording".to_string()));
    };
    let wrong = |err: ReadError| read_error(path, &err);
    let recording = Recording::open(path).map_err(wrong)?;
    if matches.get_flag("show") || matches.get_flag("info") {
        return super::out::print(&show(&recording, path)?);
    }
    if matches.get_flag("lines") {
        let mut out = BufWriter::new(std::io::stdout().lock());
        lines(&recording, &mut out).map_err(|err| match err {
            LinesError::Read(err) => wrong(err),
            LinesError::Write(err) => CliError::Output(err),
        })?;
        return Ok(out.flush()?);
    }
    let options = args::options(matches, call)?;
    let expect = matches.get_one::<PathBuf>("expect");
    let expected = expect.map(|path| read("", path)).transpose()?;
    let script = script(&options, &recording);
    let color = crate::session::color::wanted();
    let failed = |err: ReplayError| match (err.render(&script, color), err) {
        (Some(text), _) => CliError::Diagnosed(text.trim_end().to_string()),
        (None, ReplayError::Read(err)) => wrong(err),
        (None, ReplayError::Simulate(err)) => simulate_error(*err),
        (None, err) => CliError::failed(err),
    };
    let replay = replay(&recording, &script).map_err(failed)?;
    let warnings = &replay.compiled.warnings;
    if !options.no_warnings && !warnings.is_empty() {
        let text = crate::lang::diag::render(warnings, &script.name, &script.text, color);
        say(&text);
    }
    let capture = expected.is_some().then(Capture::default);
    let mut player = player(&replay.compiled, &options, capture.as_ref())?;
    let settings = Settings {
        attached: (!options.quiet).then_some(replay.compiled.points),
        ..replay.compiled.settings()
    };
    let tempo = matches.get_flag("tempo");
    let replayed = replay.run(&settings, tempo, &mut player).map_err(failed)?;
    if !options.no_warnings {
        if let Some(at) = replayed.cut {
            say(&format!(
                "warning: {}: cut off at byte {at}, as the recorder was killed or still writes: {} before that replayed\n",
                path.display(),
                counted(replayed.outcome.events, "hit")
            ));
        }
        if replayed.lost > 0 {
            say(&format!(
                "warning: {}: {} lost when it was recorded\n",
                path.display(),
                counted(replayed.lost, "hit")
            ));
        }
    }
    match (capture, expected, replayed.outcome.exit) {
        (Some(capture), Some(expected), _) => compare(&expected, &capture.bytes()),
        (_, _, Some(code)) => super::run::exit_code(code),
        _ => Ok(()),
    }
}

fn say(text: &str) {
    // Whoever closed stderr does not want to know.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn read_error(path: &Path, err: &ReadError) -> CliError {
    let what = format!("read recording `{}`: {err}", path.display());
    match err.help() {
        Some(help) => CliError::with_help(what, help),
        None => CliError::failed(what),
    }
}

fn script(options: &Options, recording: &Recording) -> Script {
    let mut config = recording.meta.config.clone();
    // Later settings win.
    config.extend(options.config.iter().cloned());
    Script {
        name: options.script.name.clone(),
        text: options.script.text.clone(),
        params: options.params.clone(),
        named: options.named.clone(),
        config,
        pid: options.pid,
        allow_unsafe: options.allow_unsafe,
        helper_errors: options.helper_errors,
        cpus: recording.meta.cpus,
        invent: false,
    }
}

/// What is in a recording, in words.
fn show(recording: &Recording, path: &Path) -> Result<String, CliError> {
    let meta = &recording.meta;
    let mut counts = vec![0u64; meta.points.len()];
    let mut reader = recording.reader();
    let mut hit = Hit::default();
    let mut times: Option<(u64, u64)> = None;
    while reader
        .next(&mut hit)
        .map_err(|err| read_error(path, &err))?
    {
        counts[hit.point as usize] += 1;
        let (first, last) = times.unwrap_or((hit.time, hit.time));
        times = Some((first.min(hit.time), last.max(hit.time)));
    }
    let mut out = String::new();
    let seconds = times.map_or(0.0, |(first, last)| {
        Duration::from_nanos(last - first).as_secs_f64()
    });
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{}: {} in {seconds:.3} s, {}; {:?}, Linux {}, {}",
        path.display(),
        counted(reader.hits(), "hit"),
        counted(recording.size(), "byte"),
        meta.arch,
        meta.kernel,
        counted(meta.cpus, "CPU")
    );
    match meta.script.probes {
        true => out.push_str("made from the names of probes\n"),
        false => {
            let _ = writeln!(out, "made with the script `{}`", meta.script.name);
        }
    }
    match (reader.end(), reader.cut()) {
        (Some(end), _) if end.lost_hits() > 0 => {
            let _ = writeln!(out, "lost: {}", counted(end.lost_hits(), "hit"));
        }
        (None, Some(at)) => {
            let _ = writeln!(
                out,
                "cut off at byte {at}: the recorder was killed, or still writes"
            );
        }
        _ => out.push_str("whole, nothing lost\n"),
    }
    let lost = |at: usize| {
        reader
            .end()
            .and_then(|end| end.lost.get(at))
            .copied()
            .unwrap_or(0)
    };
    let _ = writeln!(out, "\n{:>10} {:>8}  probe", "hits", "lost");
    for (at, (point, count)) in meta.points.iter().zip(counts).enumerate() {
        let sites = match &point.attach {
            AttachSpec::User { sites, .. } if sites.len() > 1 => {
                format!(" ({} sites)", sites.len())
            }
            _ => String::new(),
        };
        let _ = writeln!(out, "{count:>10} {:>8}  {}{sites}", lost(at), point.probe);
    }
    Ok(out)
}
