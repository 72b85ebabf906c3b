//! A script from the names of probes: it reads every argument, and behind pointers what is known to be there.

use crate::{
    bitcoin::tracepoint::{self, Kind},
    session::{Options, Script, Session, SessionError},
    spec::{ArgLoc, AttachSpec, UsdtArg},
};
use std::fmt::Write;

/// Most bytes of a text.
const TEXT: u32 = 1024;

/// The script that records `probes`, patterns as for `-l`, and with `stacks` the stack of the process at each hit; its text
/// names each probe in full.
///
/// # Errors
/// A pattern that is no probe, or that nothing matches.
pub fn script(probes: &[String], stacks: bool, options: &Options) -> Result<Script, SessionError> {
    let asked = Script {
        name: "PROBES".to_owned(),
        text: format!("{} {{ }}\n", probes.join(",\n")),
    };
    let options = Options {
        script: asked,
        ..options.clone()
    };
    let session = Session::for_any(&options)?;
    let compiled = session.compile()?;
    let mut text = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for program in &compiled.object.programs {
        if seen.contains(&program.probe.as_str()) {
            continue;
        }
        seen.push(&program.probe);
        let note = match program.attach.first() {
            Some(AttachSpec::User { path, sites, .. }) if program.probe.starts_with("usdt:") => {
                let binaries = session.target().binaries.iter().filter(|b| b.path == *path);
                let mut notes = binaries.flat_map(|binary| &binary.usdt);
                let here = |site: &crate::spec::Site| {
                    sites.iter().any(|other| other.offset == site.offset)
                };
                notes.find(|probe| probe.sites.iter().any(here))
            }
            _ => None,
        };
        let args = note.and_then(|probe| probe.sites.first());
        let args = args.map_or(&[][..], |site| &site.args);
        let (provider, name) = note.map_or(("", ""), |probe| (&probe.provider, &probe.name));
        let reads = body(provider, name, args);
        let stack = if stacks { "print(ustack);" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {{ {reads} {stack} }}", program.probe);
    }
    Ok(Script {
        name: "PROBES".to_owned(),
        text,
    })
}

/// A statement that reads all arguments, and asks for the control group.
fn body(provider: &str, name: &str, args: &[UsdtArg]) -> String {
    let known = tracepoint::find(provider, name);
    let (mut format, mut values) = (String::new(), String::new());
    for (number, arg) in args.iter().enumerate() {
        if matches!(arg.loc, ArgLoc::Unreadable(_)) || arg.float {
            continue;
        }
        let kind = known
            .and_then(|point| point.args.get(number))
            .map(|known| known.kind);
        let (conversion, value) = match kind {
            // The longest texts are some hundred bytes; `max_strlen` may be that of a whole block.
            Some(Kind::Str(_)) if arg.size == 8 => ("%s", format!("str(arg{number}, {TEXT})")),
            Some(Kind::Hash) if arg.size == 8 => ("%r", format!("buf(arg{number}, 32)")),
            Some(Kind::Bytes(len)) if arg.size == 8 => {
                ("%r", format!("buf(arg{number}, arg{len})"))
            }
            _ => ("%d", format!("arg{number}")),
        };
        let _ = write!(format, "{conversion} ");
        let _ = write!(values, ", {value}");
    }
    format!("printf(\"{format}%d\"{values}, cgroup);")
}
