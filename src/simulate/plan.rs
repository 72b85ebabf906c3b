//! Which programs an event runs, and on what registers and memory.

use super::{
    events::{Event, EventError},
    layout::Layout,
};
use crate::{
    bitcoin::tracepoint,
    spec::{Arch, AttachSpec, Binary, Object, ProgramSpec, Target, UsdtProbe, UserSite},
    suggest,
};

/// A place that an event of one name means: a probe of one binary, or something without arguments.
pub(super) struct Place {
    /// At least one; an event fires at one of them.
    pub(super) sites: Vec<SitePlan>,
    /// Name of a process that has it: the binary's file name.
    pub(super) comm: [u8; 16],
}

/// One site.
pub(super) struct SitePlan {
    /// How its arguments are laid out.
    pub(super) layout: Layout,
    /// Programs attached there, in script order, each with the only process that it is for.
    pub(super) programs: Vec<(usize, Option<u32>)>,
}

/// Name of a process as the kernel keeps it.
pub(super) fn comm(name: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    for (to, from) in comm.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    comm
}

/// Whether `short` is `full` or its last parts.
fn named(full: &str, short: &str) -> bool {
    full.strip_suffix(short)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with(':'))
}

/// Probes that fire by themselves.
fn is_automatic(spec: &AttachSpec) -> bool {
    matches!(
        spec,
        AttachSpec::Begin | AttachSpec::End | AttachSpec::Interval(_) | AttachSpec::Profile(_)
    )
}

/// The places that `event` means; none for a probe that is known but not in the script.
///
/// # Errors
/// The script has no such probe.
pub(super) fn places(
    object: &Object,
    target: &Target,
    event: &Event<'_>,
) -> Result<Vec<Place>, EventError> {
    let mut places = Vec::new();
    let name = event.probe.as_ref();
    let programs = || {
        let all = object.programs.iter().enumerate();
        all.filter(|(_, program)| named(&program.probe, name))
    };
    for binary in &target.binaries {
        for probe in &binary.usdt {
            if event.ret.is_none() {
                places.extend(usdt(target.arch, binary, probe, programs()));
            }
        }
        places.extend(functions(
            target.arch,
            binary,
            event.ret.is_some(),
            programs(),
        ));
    }
    for (index, program) in programs() {
        let plain =
            |spec: &AttachSpec| !is_automatic(spec) && !matches!(spec, AttachSpec::User { .. });
        if program.attach.iter().any(plain) {
            let site = SitePlan {
                layout: Layout::function(target.arch),
                programs: vec![(index, None)],
            };
            places.push(Place {
                sites: vec![site],
                comm: comm("simulated"),
            });
        }
    }
    if places.is_empty() && !is_foreign_tracepoint(name) {
        return Err(unknown(object, event));
    }
    Ok(places)
}

/// One of Bitcoin Core's tracepoints: an events file may hold more of them than a script looks at.
fn is_foreign_tracepoint(name: &str) -> bool {
    name.split_once(':')
        .is_some_and(|(context, name)| tracepoint::find(context, name).is_some())
}

fn unknown(object: &Object, event: &Event<'_>) -> EventError {
    let name = event.probe.as_ref();
    if let Some((_, program)) = object
        .programs
        .iter()
        .enumerate()
        .find(|(_, p)| named(&p.probe, name))
    {
        let (what, help) = if program.attach.iter().any(is_automatic) {
            let what = format!("`{}` fires by itself, as time passes", program.probe);
            (what, "give the event a `time`, and no `probe`")
        } else if event.ret.is_some() {
            let what = format!("`{}` has no return value", program.probe);
            (what, "`ret` is for `uretprobe`")
        } else {
            let what = format!("`{}` fires at return", program.probe);
            (what, "give the event a `ret`")
        };
        return EventError {
            help: Some(help.to_owned()),
            ..EventError::new(event.line, what)
        };
    }
    let mut known: Vec<&str> = Vec::new();
    for program in &object.programs {
        let mut rest = program.probe.as_str();
        known.push(rest);
        while let Some((_, tail)) = rest.split_once(':') {
            known.push(tail);
            rest = tail;
        }
    }
    let help = match suggest::closest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let mut names: Vec<&str> = object.programs.iter().map(|p| p.probe.as_str()).collect();
            names.dedup();
            format!("the script has {}", names.join(", "))
        }
    };
    EventError {
        help: Some(help),
        ..EventError::new(event.line, format!("the script has no probe `{name}`"))
    }
}

fn file_name(binary: &Binary) -> [u8; 16] {
    let name = binary.path.file_name().unwrap_or_default();
    comm(&name.to_string_lossy())
}

/// The programs of a probe, by site; `None` if none is attached to it.
fn usdt<'o>(
    arch: Arch,
    binary: &Binary,
    probe: &UsdtProbe,
    programs: impl Iterator<Item = (usize, &'o ProgramSpec)> + Clone,
) -> Option<Place> {
    let known = tracepoint::find(&probe.provider, &probe.name);
    let end = format!(":{}:{}", probe.provider, probe.name);
    let mut sites = Vec::new();
    for site in &probe.sites {
        let attached: Vec<_> = programs
            .clone()
            .filter(|(_, program)| {
                program.probe.starts_with("usdt:") && program.probe.ends_with(&end)
            })
            .filter_map(|(index, program)| Some((index, at(program, binary, site.offset, false)?)))
            .collect();
        if !attached.is_empty() {
            sites.push(SitePlan {
                layout: Layout::new(arch, &site.args, known),
                programs: attached,
            });
        }
    }
    (!sites.is_empty()).then(|| Place {
        sites,
        comm: file_name(binary),
    })
}

/// Function probes of a binary that are at entry, or at return.
fn functions<'o>(
    arch: Arch,
    binary: &Binary,
    at_return: bool,
    programs: impl Iterator<Item = (usize, &'o ProgramSpec)>,
) -> Option<Place> {
    let attached: Vec<_> = programs
        .filter(|(_, program)| !program.probe.starts_with("usdt:"))
        .filter_map(|(index, program)| {
            let user = |spec: &AttachSpec| match spec {
                AttachSpec::User { path, ret, pid, .. } => {
                    (*path == binary.path && *ret == at_return).then_some(*pid)
                }
                _ => None,
            };
            Some((index, program.attach.iter().find_map(user)?))
        })
        .collect();
    (!attached.is_empty()).then(|| Place {
        sites: vec![SitePlan {
            layout: Layout::function(arch),
            programs: attached,
        }],
        comm: file_name(binary),
    })
}

/// The process that a program is attached to there for; `None` if it is not attached there.
fn at(program: &ProgramSpec, binary: &Binary, offset: u64, at_return: bool) -> Option<Option<u32>> {
    program.attach.iter().find_map(|spec| match spec {
        AttachSpec::User {
            path,
            sites,
            ret,
            pid,
        } => {
            let here = |site: &UserSite| site.offset == offset;
            (*path == binary.path && *ret == at_return && sites.iter().any(here)).then_some(*pid)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn short_names_end_at_a_colon() {
        for (full, short, want) in [
            ("usdt:/bin/x:net:in", "usdt:/bin/x:net:in", true),
            ("usdt:/bin/x:net:in", "net:in", true),
            ("usdt:/bin/x:net:in", "in", true),
            ("usdt:/bin/x:net:in", "et:in", false),
            ("usdt:/bin/x:net:in", "net", false),
            ("begin", "begin", true),
        ] {
            assert_eq!(named(full, short), want, "{short}");
        }
    }
}
