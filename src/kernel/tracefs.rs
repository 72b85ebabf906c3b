//! The kernel's tracepoints, as tracefs lists and describes them (`Documentation/trace/events.rst`).

use crate::{
    spec::{TraceField, Tracepoint},
    wildcard,
};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

/// Where tracefs may be mounted.
const ROOTS: &[&str] = &["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// The directory of all events.
///
/// # Errors
/// That of the usual place, if it is in neither.
pub fn events() -> io::Result<PathBuf> {
    let mut first = None;
    for root in ROOTS {
        let path = Path::new(root).join("events");
        match fs::read_dir(&path) {
            Ok(_) => return Ok(path),
            Err(err) => {
                first.get_or_insert(err);
            }
        }
    }
    Err(first.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

/// Names of the directories in `dir` that match, sorted.
fn matching(dir: &Path, pattern: &str) -> Vec<String> {
    if !wildcard::is_pattern(pattern) {
        let there = !pattern.is_empty() && !pattern.contains('/') && dir.join(pattern).is_dir();
        return there.then(|| pattern.to_owned()).into_iter().collect();
    }
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| wildcard::matches(pattern, name))
        .collect();
    names.sort();
    names
}

/// The functions of the kernel itself that can be probed, from `file` or as tracefs lists them; `None` where tracefs does
/// not say (`available_filter_functions` needs dynamic ftrace).
///
/// # Errors
/// `file` cannot be read.
pub fn traceable(file: Option<&Path>) -> io::Result<Option<HashSet<String>>> {
    let text = match file {
        Some(file) => Some(fs::read_to_string(file)?),
        None => ROOTS
            .iter()
            .map(|root| Path::new(root).join("available_filter_functions"))
            .find_map(|path| fs::read_to_string(path).ok()),
    };
    // A function of a module has that in brackets behind it.
    Ok(text.map(|text| {
        let names = text.lines().filter(|line| !line.contains('['));
        names.map(|line| line.trim().to_owned()).collect()
    }))
}

/// The tracepoints of the groups and names that match: group and name, sorted. Those without an id are no events that
/// programs can be attached to.
///
/// # Errors
/// As of [`events`].
pub fn find(system: &str, name: &str) -> io::Result<Vec<(String, String)>> {
    let events = events()?;
    let mut found = Vec::new();
    for system in matching(&events, system) {
        let dir = events.join(&system);
        for name in matching(&dir, name) {
            if dir.join(&name).join("id").exists() {
                found.push((system.clone(), name));
            }
        }
    }
    Ok(found)
}

/// A tracepoint's description.
///
/// # Errors
/// As of reading its `format` file; `InvalidData` if that is not understood.
pub fn describe(system: &str, name: &str) -> io::Result<Tracepoint> {
    let path = events()?.join(system).join(name).join("format");
    let text = fs::read_to_string(path)?;
    let fields = parse(&text).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "its format is not understood")
    })?;
    Ok(Tracepoint {
        system: system.to_owned(),
        name: name.to_owned(),
        fields,
    })
}

/// A tracepoint's number, for `perf_event_attr.config`.
///
/// # Errors
/// As of reading its `id` file.
pub fn id(system: &str, name: &str) -> io::Result<u64> {
    let path = events()?.join(system).join(name).join("id");
    let text = fs::read_to_string(path)?;
    text.trim()
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "id is no number"))
}

/// The fields of a `format` file; lines `field:TYPE NAME; offset:N; size:N; signed:N;`.
fn parse(text: &str) -> Option<Vec<TraceField>> {
    let mut fields = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("field:") else {
            continue;
        };
        let mut parts = rest.split(';').map(str::trim);
        let (ty, name) = declaration(parts.next()?)?;
        let mut number = |key: &str| parts.next()?.strip_prefix(key)?.parse().ok();
        fields.push(TraceField {
            ty,
            name,
            offset: number("offset:")?,
            size: number("size:")?,
            signed: number("signed:").unwrap_or(0) != 0,
        });
    }
    (!fields.is_empty()).then_some(fields)
}

/// `const char * name` and `char name[16]` as type and name.
fn declaration(text: &str) -> Option<(String, String)> {
    let (before, array) = match text.find('[').filter(|_| !text.contains("[] ")) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let at = before.trim_end().rfind(|c: char| !is_name(c))? + 1;
    let (ty, name) = before.trim_end().split_at(at);
    Some((format!("{}{array}", ty.trim_end()), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read() {
        let text = "name: x\nID: 1\nformat:\n\
            \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
            \tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n\
            \tfield:const char * path;\toffset:16;\tsize:8;\tsigned:0;\n\
            \tfield:char comm[16];\toffset:24;\tsize:16;\tsigned:1;\n\
            \tfield:unsigned long args[6];\toffset:40;\tsize:48;\tsigned:0;\n\nprint fmt: \"field:\"\n";
        let fields = parse(text).unwrap();
        let rows: Vec<_> = fields
            .iter()
            .map(|f| (f.ty.as_str(), f.name.as_str(), f.offset, f.size, f.signed))
            .collect();
        assert_eq!(
            rows,
            [
                ("unsigned short", "common_type", 0, 2, false),
                ("__data_loc char[]", "filename", 8, 4, false),
                ("const char *", "path", 16, 8, false),
                ("char[16]", "comm", 24, 16, true),
                ("unsigned long[6]", "args", 40, 48, false),
            ]
        );
        assert!(parse("").is_none());
        assert!(parse("field:int;").is_none());
    }
}
