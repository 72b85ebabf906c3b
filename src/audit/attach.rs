//! Whether a program is attached where its probe says, and nowhere else: a bundle names its probes in words, for a
//! reviewer and a policy, and the places in numbers, for the kernel.

use super::{Bundle, Program};
use crate::spec::{AttachSpec, UserSite};
use std::path::Path;

/// What a probe of a file says: its kind, its file as the script has it, and the rest.
fn parts(probe: &str) -> Option<(&str, &str, &str)> {
    let (kind, rest) = probe.split_once(':')?;
    let at = match kind {
        // PATH:PROVIDER:NAME
        "usdt" => rest.rmatch_indices(':').nth(1)?.0,
        // PATH:FUNCTION; neither path nor function of what is supported here is split by a later colon alone.
        "uprobe" | "uretprobe" => rest.find(':')?,
        _ => return None,
    };
    Some((kind, &rest[..at], &rest[at + 1..]))
}

/// The names by which a policy has to allow a program: as the bundle has it, unless its path depends on where it is run,
/// and with the file that is really opened.
pub(super) fn names(program: &Program) -> Vec<String> {
    let Some((kind, path, rest)) = parts(&program.probe) else {
        return vec![program.probe.clone()];
    };
    let mut out = Vec::new();
    if Path::new(path).is_absolute() {
        out.push(program.probe.clone());
    }
    for spec in &program.attach {
        if let AttachSpec::User { path, .. } = spec {
            let real = format!("{kind}:{}:{rest}", path.display());
            if !out.contains(&real) {
                out.push(real);
            }
        }
    }
    out
}

/// Why a program's places are not those that its probe names.
pub(super) fn contradiction(bundle: &Bundle, program: &Program) -> Option<String> {
    let kind = program.probe.split(':').next().unwrap_or("");
    for spec in &program.attach {
        let fits = match spec {
            AttachSpec::Begin => kind == "begin",
            AttachSpec::End => kind == "end",
            AttachSpec::Signal(_) => kind == "self",
            AttachSpec::Manual(_) => matches!(kind, "test" | "bench"),
            AttachSpec::Interval(_) => kind == "interval",
            AttachSpec::Profile(_) => kind == "profile",
            AttachSpec::Software { .. } => kind == "software",
            AttachSpec::Hardware { .. } => kind == "hardware",
            AttachSpec::Tracepoint { system, name } => {
                program.probe == format!("tracepoint:{system}:{name}")
            }
            AttachSpec::RawTracepoint(name) => {
                kind == "rawtracepoint" && program.probe.ends_with(&format!(":{name}"))
            }
            AttachSpec::Trampoline { function, ret } => {
                kind == if *ret { "fexit" } else { "fentry" }
                    && program.probe.ends_with(&format!(":{function}"))
            }
            AttachSpec::Iter { kind: of, .. } => {
                kind == "iter" && program.probe.split(':').nth(1) == Some(of)
            }
            AttachSpec::Kprobe {
                function,
                offset,
                ret,
            } => {
                let place = match offset {
                    0 => function.clone(),
                    offset => format!("{function}+{offset}"),
                };
                kind == if *ret { "kretprobe" } else { "kprobe" }
                    && program.probe.ends_with(&format!(":{place}"))
            }
            AttachSpec::Watch { .. } => matches!(kind, "watchpoint" | "asyncwatchpoint"),
            AttachSpec::User { ret, .. } => match kind {
                "usdt" | "uprobe" => !ret,
                "uretprobe" => *ret,
                _ => false,
            },
        };
        if !fits {
            return Some(format!(
                "it would be attached as {spec:?}, which is not what its probe says"
            ));
        }
        if let AttachSpec::User { path, sites, .. } = spec {
            let (_, _, rest) = parts(&program.probe)?;
            let stray = sites
                .iter()
                .find(|site| !listed(bundle, kind, path, rest, site));
            if let Some(site) = stray {
                return Some(format!(
                    "it would be attached to `{}` at {:#x}, which is no place of `{rest}` in the bundle's list of files",
                    path.display(),
                    site.offset
                ));
            }
        }
    }
    None
}

/// Whether a site is one of those that the bundle lists for that probe of that file.
fn listed(bundle: &Bundle, kind: &str, path: &Path, rest: &str, site: &UserSite) -> bool {
    let mut files = bundle
        .binaries
        .iter()
        .filter(|file| Path::new(&file.path) == path);
    if kind == "usdt" {
        let mut probes = files
            .flat_map(|file| &file.usdt)
            .filter(|probe| probe.name == rest);
        return probes.any(|probe| {
            let mut sites = probe.sites.iter();
            sites.any(|one| (one.offset, one.semaphore) == (site.offset, site.ref_ctr))
        });
    }
    // An address is taken as it is; the file is that of the probe all the same.
    let address = rest.starts_with(|c: char| c.is_ascii_digit());
    files.any(|file| {
        let mut functions = file.functions.iter();
        let within = |at: u64, size: u64| (at..=at.saturating_add(size)).contains(&site.offset);
        address || functions.any(|f| within(f.offset, f.size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_probe() {
        assert_eq!(parts("usdt:./a:b:c"), Some(("usdt", "./a", "b:c")));
        assert_eq!(parts("usdt:/x:y:b:c"), Some(("usdt", "/x:y", "b:c")));
        assert_eq!(parts("uprobe:/a:f+4"), Some(("uprobe", "/a", "f+4")));
        assert_eq!(parts("uprobe:/a:std::f"), Some(("uprobe", "/a", "std::f")));
        assert_eq!(parts("interval:s:1"), None);
    }
}
