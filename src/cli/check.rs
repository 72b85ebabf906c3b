//! `baretrace check FILE`: compiles and verifies without root, loads nothing.

use super::{Call, CliError, args, out, run::session_error};
use crate::{
    audit::{Bundle, counted},
    ir,
    session::{Options, Session, Stage, emit},
    spec::Object,
    sys::errno::Described,
};
use clap::ArgMatches;

/// What `--emit` prints; `ir:PASS` is the code after that pass.
#[rustfmt::skip]
pub(super) const STAGES: &[&str] = &[
    "ast", "ir", "asm", "bytes", "spec", "ir:raw",
    "ir:flow", "ir:names", "ir:values", "ir:fold", "ir:address", "ir:common", "ir:bits", "ir:dead", "ir:reads",
    "ir:jump", "ir:flow2", "ir:names2", "ir:fold2", "ir:address2", "ir:common2", "ir:bits2", "ir:fold3", "ir:stores", "ir:merge", "ir:dead2", "ir:flow3",
];

/// The flags of a run that mean something here.
const SHOWN: &[&str] = &[
    "program",
    "pid",
    "dwarf-pid",
    "unsafe",
    "no-feature",
    "probe-filter",
    "no-warnings",
    "emit",
    "output",
    "words",
];

pub(super) fn args(command: clap::Command) -> clap::Command {
    let about = command.get_about().cloned();
    let command = args::add(command)
        .about(about.unwrap_or_default())
        .override_usage("baretrace check [--emit STAGE] [-o BUNDLE] FILE|-e PROGRAM [ARGS…]");
    command.mut_args(|arg| {
        let hide = !SHOWN.contains(&arg.get_id().as_str());
        arg.hide(hide)
    })
}

pub(super) fn run(matches: &ArgMatches, call: &Call) -> Result<(), CliError> {
    let options = args::options(matches, call)?;
    let stage = matches.get_one::<String>("emit").map(String::as_str);
    out::print(&check(&options, stage)?)
}

/// Compiles, verifies, and returns what is to be printed of `stage`.
pub(super) fn check(options: &Options, stage: Option<&str>) -> Result<String, CliError> {
    let session = Session::for_any(options).map_err(session_error)?;
    let compiled = session.compile().map_err(session_error)?;
    compiled.print_warnings(options);
    let stage = match stage {
        Some("ast") => Some(Stage::Ast),
        Some("ir") => Some(Stage::Ir),
        Some("ir:raw") => Some(Stage::RawIr),
        Some("asm") => Some(Stage::Asm),
        Some("bytes") => Some(Stage::Bytes),
        Some("spec") => Some(Stage::Spec),
        Some(other) => other.strip_prefix("ir:").and_then(after),
        None => None,
    };
    let text = match stage {
        Some(stage) => emit(stage, &session, &compiled).map_err(session_error)?,
        None => summary(&compiled.object),
    };
    compiled.dry_run().map_err(session_error)?;
    if let Some(path) = &options.output {
        let bundle = Bundle::new(&compiled, session.target());
        let json = bundle
            .and_then(|bundle| bundle.to_json())
            .map_err(|err| CliError::with_help(format!("make the bundle: {err}"), err.help()))?;
        std::fs::write(path, json).map_err(|err| {
            CliError::failed(format!(
                "write bundle `{}`: {}",
                path.display(),
                Described(&err)
            ))
        })?;
    }
    Ok(text)
}

/// The code after a pass.
fn after(pass: &str) -> Option<Stage> {
    let name = ir::pass::names().find(|name| *name == pass);
    name.map(Stage::IrAfter)
}

fn summary(object: &Object) -> String {
    let insns: usize = object
        .programs
        .iter()
        .map(|program| program.insns.len())
        .sum();
    format!(
        "{}: {}, {}, {}: nothing wrong\n",
        object.script_name,
        counted(object.programs.len(), "program"),
        counted(insns, "instruction"),
        counted(object.maps.len(), "map")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_is_a_stage() {
        let listed = STAGES.iter().filter_map(|stage| stage.strip_prefix("ir:"));
        let listed: Vec<&str> = listed.filter(|name| *name != "raw").collect();
        assert_eq!(listed, ir::pass::names().collect::<Vec<_>>());
    }
}
