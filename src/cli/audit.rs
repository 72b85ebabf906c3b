//! `baretrace audit`: bundles shown and compared, and what is loaded on this machine; `run --load-exactly`.

use super::{Call, CliError, args, out, run::session_error};
use crate::{
    audit::{self, Ask, Bundle, BundleError, Code, Policy},
    kernel::cpus,
    session::{self, Options, Outcome, Session},
    sys::errno::Described,
};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

fn path(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .value_name(name)
        .help(help)
        .required(true)
        .value_parser(value_parser!(PathBuf))
}

fn json() -> Arg {
    Arg::new("json")
        .long("json")
        .help("Print JSON")
        .action(ArgAction::SetTrue)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::SetTrue)
}

/// A time that can be waited for.
fn seconds(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "give a number of seconds")?;
    if (0.0..=86_400.0).contains(&number) {
        Ok(number)
    } else {
        Err("give 0 to 86400 seconds".to_string())
    }
}

pub(super) fn args(command: clap::Command) -> clap::Command {
    command
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            clap::Command::new("show")
                .about("Show what a bundle or a script loads: a summary and a listing of each program")
                .arg(path("FILE", "A bundle (.json) or a script"))
                .arg(
                    Arg::new("verbose")
                        .short('v')
                        .long("verbose")
                        .help("With the bytes of each instruction and what the checker knew when it first came to it")
                        .action(ArgAction::SetTrue),
                )
                .arg(json())
                .arg(
                    flag("html", "Print one page for a browser: script and instructions, linked both ways")
                        .conflicts_with("json"),
                ),
        )
        .subcommand(
            clap::Command::new("diff")
                .about("Say what differs between two bundles; exit code 1 if something does")
                .arg(path("A", "A bundle"))
                .arg(path("B", "Another one")),
        )
        .subcommand(
            clap::Command::new("live")
                .about("List the programs that are loaded on this machine now: what, where, held by whom")
                .arg(
                    Arg::new("ID")
                        .value_name("ID")
                        .help("Only these programs")
                        .num_args(0..)
                        .value_parser(value_parser!(u32)),
                )
                .arg(flag("xlated", "The instructions of program ID after the verifier, beside the script's lines"))
                .arg(flag("jited", "The machine code of program ID, beside the script's lines"))
                .arg(
                    Arg::new("count")
                        .long("count")
                        .value_name("SECONDS")
                        .help("Have the kernel count runs and their time for so long first")
                        .value_parser(seconds),
                )
                .arg(
                    Arg::new("against")
                        .long("against")
                        .value_name("BUNDLE")
                        .help("Prove by their tags which are the bundle's; exit code 1 if one is missing")
                        .value_parser(value_parser!(PathBuf)),
                )
                .arg(json()),
        )
}

pub(super) fn run(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    let given = |of: &ArgMatches, name: &str| -> PathBuf {
        of.get_one::<PathBuf>(name).cloned().unwrap_or_default()
    };
    match matches.subcommand() {
        Some(("show", of)) => {
            let file = given(of, "FILE");
            let bundle = bundle_of(&file, call)?;
            let fail = |err| failed("show", &file, &err);
            if of.get_flag("json") {
                let value = audit::show_json(&bundle).map_err(fail)?;
                return out::print(&format!("{value:#}\n"));
            }
            if of.get_flag("html") {
                return out::print(&audit::html(&bundle).map_err(fail)?);
            }
            out::print(&audit::show(&bundle, of.get_flag("verbose")).map_err(fail)?)
        }
        Some(("diff", of)) => {
            let (a, b) = (read(&given(of, "A"))?, read(&given(of, "B"))?);
            let text =
                audit::diff(&a, &b).map_err(|err| failed("compare", &given(of, "A"), &err))?;
            out::print(&text)?;
            if text.is_empty() {
                Ok(())
            } else {
                Err(CliError::Negative)
            }
        }
        Some(("live", of)) => live(of),
        _ => Err(CliError::Usage("error: show, diff or live?".to_string())),
    }
}

fn live(matches: &ArgMatches) -> Result<(), CliError> {
    let against = match matches.get_one::<PathBuf>("against") {
        Some(path) => Some(read(path)?),
        None => None,
    };
    let ids: Vec<u32> = matches
        .get_many("ID")
        .map(|ids| ids.copied().collect())
        .unwrap_or_default();
    let code = Code {
        xlated: matches.get_flag("xlated"),
        jited: matches.get_flag("jited"),
    };
    if code != Code::default() && ids.is_empty() {
        return Err(CliError::Usage(
            "error: --xlated and --jited: of which program?\nhelp: give the ID that `baretrace audit live` shows"
                .to_string(),
        ));
    }
    let ask = Ask {
        ids: &ids,
        against: against.as_ref(),
        count: matches
            .get_one::<f64>("count")
            .map(|s| Duration::from_secs_f64(*s)),
    };
    let machine = audit::live(&ask).map_err(|err| refused("list loaded programs: bpf", &err))?;
    if matches.get_flag("json") {
        let value = serde_json::to_string_pretty(&machine).map_err(CliError::failed)?;
        out::print(&(value + "\n"))?;
    } else {
        out::print(&audit::live_text(&machine, against.as_ref()))?;
    }
    if !machine.complete {
        return Err(incomplete(machine.programs.len()));
    }
    for id in &ids {
        if !machine.programs.iter().any(|live| live.id == *id) {
            return Err(CliError::with_help(
                format!("show program {id}: there is none of that id (any more)"),
                "`baretrace audit live` lists them all",
            ));
        }
        if code != Code::default() {
            let text = audit::listing(*id, code)
                .map_err(|err| refused(&format!("show program {id}: bpf"), &err))?;
            out::print(&text)?;
        }
    }
    match &against {
        Some(bundle) if !audit::missing(bundle, &machine).is_empty() => Err(CliError::Negative),
        _ => Ok(()),
    }
}

fn refused(what: &str, err: &std::io::Error) -> CliError {
    let what = format!("{what}: {}", Described(err));
    match err.raw_os_error() {
        Some(libc::EPERM) => CliError::with_help(what, "this takes root or CAP_SYS_ADMIN"),
        _ => CliError::failed(what),
    }
}

/// Why the list is not all there is.
fn incomplete(seen: usize) -> CliError {
    let seen = match seen {
        0 => "none of your own processes holds a program".to_string(),
        seen => format!(
            "the {seen} above are held by your own processes, as their fdinfo in /proc tells"
        ),
    };
    CliError::with_help(
        format!(
            "list all loaded programs: bpf(BPF_PROG_GET_NEXT_ID): Operation not permitted (EPERM)\n  {seen}"
        ),
        "listing all takes root or CAP_SYS_ADMIN; `audit show`, `audit diff` and `check` take no rights",
    )
}

/// Reads a bundle and checks it.
fn read(path: &Path) -> Result<Bundle, CliError> {
    Bundle::read(&text(path, "bundle")?).map_err(|err| failed("read bundle", path, &err))
}

fn text(path: &Path, what: &str) -> Result<String, CliError> {
    let fail = |why: String| CliError::failed(format!("read {what} `{}`: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|err| fail(Described(&err).to_string()))?;
    String::from_utf8(bytes).map_err(|err| {
        fail(format!(
            "byte {} is not UTF-8",
            err.utf8_error().valid_up_to()
        ))
    })
}

fn failed(what: &str, path: &Path, err: &BundleError) -> CliError {
    CliError::with_help(format!("{what} `{}`: {err}", path.display()), err.help())
}

/// The bundle in a file, or that of the script in it.
fn bundle_of(path: &Path, call: &Call) -> Result<Bundle, CliError> {
    if path.extension() == Some(OsStr::new("json")) {
        return read(path);
    }
    let command = args::add(clap::Command::new("show"));
    let matches = command
        .try_get_matches_from([OsStr::new("show"), path.as_os_str()])
        .map_err(|err| CliError::Usage(err.to_string()))?;
    compile(&args::options(&matches, call)?)
}

fn compile(options: &Options) -> Result<Bundle, CliError> {
    let session = Session::for_any(options).map_err(session_error)?;
    let compiled = session.compile().map_err(session_error)?;
    Bundle::new(&compiled, session.target())
        .map_err(|err| CliError::with_help(format!("make the bundle: {err}"), err.help()))
}

/// Refuses what the policy in a file does not allow.
fn enforce(path: &Path, bundle: &Bundle) -> Result<(), CliError> {
    let fail =
        |err: BundleError| CliError::failed(format!("read policy `{}`: {err}", path.display()));
    let policy = Policy::read(&text(path, "policy")?).map_err(fail)?;
    let broken = policy.violations(bundle).map_err(fail)?;
    if broken.is_empty() {
        return Ok(());
    }
    Err(CliError::Diagnosed(format!(
        "error: policy `{}` does not allow it; nothing is loaded\n  {}",
        path.display(),
        broken.join("\n  ")
    )))
}

/// `--load-exactly`: those bytes or nothing.
pub(super) fn load_exactly(
    path: &Path,
    matches: &ArgMatches,
    call: &Call,
) -> Result<Outcome, CliError> {
    if matches.contains_id("words") || matches.contains_id("program") || !call.rest().is_empty() {
        return Err(CliError::Usage(
            "error: --load-exactly takes no script and no parameters\nhelp: they are in the bundle"
                .to_string(),
        ));
    }
    let bundle = read(path)?;
    if let Some(policy) = matches.get_one::<PathBuf>("policy") {
        enforce(policy, &bundle)?;
    }
    let cpus = cpus::possible_count()
        .map_err(|err| CliError::failed(format!("count cpus: {}", Described(&err))))?;
    let different = audit::differences(&bundle, cpus);
    if !different.is_empty() {
        return Err(CliError::Diagnosed(format!(
            "error: bundle `{}` was made for something else; nothing is loaded\n  {}\n\
             help: make it again with `baretrace check {} -o FILE.json` and review what changed with `baretrace audit diff`",
            path.display(),
            different.join("\n  "),
            bundle.script.name
        )));
    }
    let compiled = bundle
        .compiled()
        .map_err(|err| failed("read bundle", path, &err))?;
    let mut options = args::flags(matches, call)?;
    if options.pid.is_some() && options.pid != bundle.target.pid {
        return Err(CliError::Usage(
            "error: -p: the bundle's programs were made for another process, or for all\n\
             help: make the bundle with the same -p"
                .to_string(),
        ));
    }
    options.pid = bundle.target.pid;
    options.allow_unsafe &= bundle.target.allow_unsafe;
    session::run_exactly(&options, compiled).map_err(session_error)
}
