//! `-l [PATTERN]`: lists probes; with `-v` their arguments.

use super::{CliError, list_kernel};
use crate::{
    bitcoin::schema,
    dwarf, elf,
    session::{
        binary::{self, BinaryError, Located},
        functions,
    },
    suggest,
    symbols::Pattern,
    usdt, wildcard,
};
use std::fmt::Write;

/// Names of the probes that need no file, as bpftrace lists them: without the number.
const FIXED: &[&str] = &[
    "hardware:backend-stalls:",
    "hardware:branch-instructions:",
    "hardware:branch-misses:",
    "hardware:branches:",
    "hardware:bus-cycles:",
    "hardware:cache-misses:",
    "hardware:cache-references:",
    "hardware:cpu-cycles:",
    "hardware:cycles:",
    "hardware:frontend-stalls:",
    "hardware:instructions:",
    "hardware:ref-cycles:",
    "interval:hz:",
    "interval:ms:",
    "interval:s:",
    "interval:us:",
    "profile:hz:",
    "profile:ms:",
    "profile:s:",
    "profile:us:",
    "self:signal:SIGUSR1",
    "software:alignment-faults:",
    "software:bpf-output:",
    "software:context-switches:",
    "software:cpu-clock:",
    "software:cpu-migrations:",
    "software:cpu:",
    "software:cs:",
    "software:dummy:",
    "software:emulation-faults:",
    "software:faults:",
    "software:major-faults:",
    "software:minor-faults:",
    "software:page-faults:",
    "software:task-clock:",
    "test::",
    "benchmark::",
];

/// Short forms of the types among them.
const SHORT: &[(&str, &str)] = &[
    ("h", "hardware"),
    ("i", "interval"),
    ("p", "profile"),
    ("s", "software"),
    ("bench", "benchmark"),
];

/// How a program's probe is listed by bpftrace: not at all for those that always fire, without the number for those
/// that count or tick.
pub(super) fn plain(name: &str) -> Option<&str> {
    match name.split(':').next() {
        Some("begin" | "end") => None,
        Some("hardware" | "interval" | "profile" | "software") => {
            let at = name.rfind(':').unwrap_or(name.len() - 1);
            Some(&name[..=at])
        }
        _ => Some(name),
    }
}

/// Providers that name a file, with their short forms.
const FILES: &[(&str, &[&str])] = &[
    ("usdt", &["usdt", "U"]),
    ("uprobe", &["uprobe", "u"]),
    ("uretprobe", &["uretprobe", "ur"]),
];

/// The listing of every comma-separated part of `pattern`.
pub(super) fn list(pattern: &str, pid: Option<u32>, verbose: bool) -> Result<String, CliError> {
    let mut out = String::new();
    for part in pattern.split(',').map(str::trim) {
        list_one(&mut out, part, pid, verbose)?;
    }
    Ok(out)
}

fn list_one(
    out: &mut String,
    pattern: &str,
    pid: Option<u32>,
    verbose: bool,
) -> Result<(), CliError> {
    let (provider, rest) = pattern.split_once(':').unwrap_or((pattern, ""));
    let kind = FILES
        .iter()
        .find(|(_, names)| names.contains(&provider))
        .map(|(kind, _)| *kind);
    match (kind, pid) {
        (Some("usdt"), _) => list_usdt(out, rest, pid, verbose),
        (Some(kind), _) => list_functions(out, kind, rest, pid, verbose),
        (None, Some(_)) if matches!(pattern, "" | "*" | "*:*") => list_usdt(out, "*", pid, verbose),
        (None, _) => {
            let before = out.len();
            if list_kernel::list(out, pattern, verbose)? {
                return Ok(());
            }
            let long = SHORT.iter().find(|(short, _)| *short == provider);
            let long = match long {
                Some((_, long)) if pattern.contains(':') => format!("{long}:{rest}"),
                Some((_, long)) => (*long).to_owned(),
                None => pattern.to_owned(),
            };
            let pattern = long.as_str();
            for name in FIXED {
                let kind = name.split(':').next();
                let whole = !pattern.contains(':') && kind == Some(pattern);
                if pattern.is_empty() || wildcard::matches(pattern, name) || whole {
                    let _ = writeln!(out, "{name}");
                }
            }
            if out.len() == before {
                return Err(nothing(pattern, provider));
            }
            Ok(())
        }
    }
}

fn nothing(pattern: &str, provider: &str) -> CliError {
    let known = FIXED
        .iter()
        .map(|name| name.split(':').next().unwrap_or(name))
        .chain(FILES.iter().map(|(kind, _)| *kind))
        .chain(list_kernel::kinds());
    match suggest::closest(provider, known) {
        Some(near) => CliError::with_help(
            format!("list `{pattern}`: no probe matches"),
            format!("did you mean `{near}`?"),
        ),
        None => CliError::with_help(
            format!("list `{pattern}`: no probe matches"),
            "for the probes of a program: -l 'usdt:PATH:*', or of a process: -l -p PID",
        ),
    }
}

/// `PATH`, `PATH:NAME` or `PATH:PROVIDER:NAME`.
fn list_usdt(
    out: &mut String,
    rest: &str,
    pid: Option<u32>,
    verbose: bool,
) -> Result<(), CliError> {
    let parts: Vec<&str> = rest.split(':').collect();
    let (path, provider, name) = match parts[..] {
        [path] => (path, "*", "*"),
        [path, name] => (path, "*", name),
        [path, provider, name] => (path, provider, name),
        _ => {
            return Err(CliError::with_help(
                format!("list `usdt:{rest}`: too many parts"),
                "usdt:PATH:PROVIDER:NAME",
            ));
        }
    };
    let files = binary::locate(path, pid).map_err(binary_error)?;
    let (before, one) = (out.len(), files.len() == 1);
    let mut known = Vec::new();
    for file in &files {
        let (bytes, shown) = match binary::open(file) {
            Ok(bytes) => (bytes, file.name.to_string_lossy().into_owned()),
            Err(err) if one => return Err(binary_error(err)),
            // Of many files, those that cannot be read have nothing to list.
            Err(_) => continue,
        };
        let image = match binary::notes(file, &bytes) {
            Ok(image) => image,
            Err(err) if one => return Err(binary_error(err)),
            Err(_) => continue,
        };
        known.extend(
            image
                .notes()
                .iter()
                .map(|note| format!("{}:{}", note.provider, note.name)),
        );
        let _ = write!(
            out,
            "{}",
            usdt::Listing::new(&image, &shown, provider, name, verbose).named(schema::described)
        );
    }
    if out.len() == before {
        return Err(no_usdt(path, &format!("{provider}:{name}"), &known));
    }
    Ok(())
}

fn no_usdt(path: &str, wanted: &str, known: &[String]) -> CliError {
    let of = if path.is_empty() || path == "*" {
        "the process".to_string()
    } else {
        format!("`{path}`")
    };
    if known.is_empty() {
        return CliError::with_help(
            format!("list USDT probes of {of}: it has none"),
            "it was built without them; for bitcoind configure with -DWITH_USDT=ON",
        );
    }
    let near = suggest::closest(wanted, known.iter().map(String::as_str));
    CliError::with_help(
        format!("list USDT probes of {of}: none matches `{wanted}`"),
        near.map_or_else(
            || {
                format!(
                    "it has {} others; list them with -l 'usdt:{path}:*'",
                    known.len()
                )
            },
            |near| format!("did you mean `{near}`?"),
        ),
    )
}

/// `PATH`, `PATH:FUNCTION` or `cpp:PATH:FUNCTION`.
fn list_functions(
    out: &mut String,
    kind: &str,
    rest: &str,
    pid: Option<u32>,
    verbose: bool,
) -> Result<(), CliError> {
    let (mut path, mut pattern) = rest.split_once(':').unwrap_or((rest, "*"));
    let mut cpp = false;
    if let ("cpp", Some((file, name))) = (path, pattern.split_once(':')) {
        (path, pattern, cpp) = (file, name, true);
    } else if let Some(name) = pattern.strip_prefix("cpp:") {
        (pattern, cpp) = (name, true);
    }
    let pattern = pattern.trim_matches('"');
    let files = binary::locate(path, pid).map_err(binary_error)?;
    let (before, one) = (out.len(), files.len() == 1);
    for file in &files {
        match functions(file, kind, pattern, cpp, verbose) {
            Ok(found) => {
                for (name, params) in found {
                    let lang = if cpp { "cpp:" } else { "" };
                    let _ = writeln!(out, "{kind}:{}:{lang}{name}", file.name.display());
                    out.push_str(&params);
                }
            }
            Err(err) if one => return Err(binary_error(err)),
            Err(_) => {}
        }
    }
    if out.len() == before {
        return Err(CliError::with_help(
            format!("list functions of `{path}`: none matches `{pattern}`"),
            "a stripped program has only the functions that it exports",
        ));
    }
    Ok(())
}

/// Names of functions, each with its parameters as `-lv` shows them.
fn functions(
    file: &Located,
    kind: &str,
    pattern: &str,
    cpp: bool,
    verbose: bool,
) -> Result<Vec<(String, String)>, BinaryError> {
    let bytes = binary::open(file)?;
    let image =
        elf::Image::parse(&bytes).map_err(|err| BinaryError::Elf(file.name.clone(), err))?;
    let debug = functions::debug(file, &image);
    let pattern = Pattern::Name(pattern);
    let mut found = functions::named(file, &image, debug.as_ref(), pattern, cpp)?;
    found.sort_by(|a, b| (&a.name, a.vaddr).cmp(&(&b.name, b.vaddr)));
    found.dedup_by(|a, b| a.name == b.name);
    let mut rows = Vec::new();
    for function in found {
        // A function that returns has lost its arguments.
        let params = if verbose && kind == "uprobe" {
            functions::signature(file, &bytes, debug.as_ref(), function.vaddr)?
                .map_or_else(String::new, |signature| params(&signature))
        } else {
            String::new()
        };
        rows.push((functions::shown(function.name, cpp), params));
    }
    Ok(rows)
}

/// A line for each parameter.
fn params(signature: &dwarf::Signature) -> String {
    let mut out = String::new();
    for (name, ty) in &signature.params {
        let ty = signature.types.spelling(*ty).replace(" *", "*");
        let _ = writeln!(out, "    {ty} {name}");
    }
    out
}

/// A binary's error with its remedy.
pub(super) fn binary_error(err: BinaryError) -> CliError {
    match err.help() {
        Some(help) => CliError::with_help(&err, help),
        None => CliError::failed(&err),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_without_a_file() {
        for (pattern, want) in [
            ("interval:m*,test:*", "interval:ms:\ntest::\n"),
            ("i:*s:", "interval:ms:\ninterval:s:\ninterval:us:\n"),
            (
                "s:cpu*",
                "software:cpu-clock:\nsoftware:cpu-migrations:\nsoftware:cpu:\n",
            ),
            ("bench:*", "benchmark::\n"),
        ] {
            assert_eq!(list(pattern, None, false).unwrap(), want);
        }
        assert_eq!(
            ["begin", "interval:s:1", "usdt:a:b:c"].map(plain),
            [None, Some("interval:s:"), Some("usdt:a:b:c")]
        );
        assert!(
            list("", None, false)
                .unwrap()
                .contains("software:page-faults:")
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        let says = |pattern: &str| list(pattern, None, false).unwrap_err().to_string();
        assert!(says("usdt:/no/such:*").contains("open `/no/such`: No such file"));
        assert!(says("interva").contains("did you mean `interval`?"));
        assert!(says("kprobe:no_such_function").contains("no probe matches"));
        assert!(
            says("struct no_such_struct").contains("no such type")
                || crate::btf::of_kernel().is_none()
        );
        assert!(says("usdt:/a:b:c:d").contains("too many parts"));
    }

    #[test]
    fn functions_of_this_binary() {
        let own = std::env::current_exe().unwrap();
        let text = list(&format!("uprobe:{}:main", own.display()), None, false).unwrap();
        assert_eq!(text, format!("uprobe:{}:main\n", own.display()));
    }
}
