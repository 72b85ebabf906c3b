//! `-l` for what the kernel has: tracepoints, raw tracepoints, functions, iterators, structs.

use super::CliError;
use crate::{
    btf::{self, Btf, Kind, Printer},
    kernel::tracefs,
    spec::TraceField,
    sys::errno::Described,
    wildcard,
};
use std::{collections::HashSet, fmt::Write};

/// A probe type of the kernel with its spellings.
struct Row {
    name: &'static str,
    names: &'static [&'static str],
    list: fn(&mut String, &Asked<'_>) -> Result<(), CliError>,
}

const ROWS: &[Row] = &[
    Row {
        name: "fentry",
        names: &["fentry", "f", "kfunc"],
        list: |out, asked| functions(out, asked, "fentry"),
    },
    Row {
        name: "fexit",
        names: &["fexit", "fr", "kretfunc"],
        list: |out, asked| functions(out, asked, "fexit"),
    },
    Row {
        name: "iter",
        names: &["iter", "it"],
        list: iterators,
    },
    Row {
        name: "kprobe",
        names: &["kprobe", "k"],
        list: |out, asked| symbols(out, asked, "kprobe"),
    },
    Row {
        name: "kretprobe",
        names: &["kretprobe", "kr"],
        list: |out, asked| symbols(out, asked, "kretprobe"),
    },
    Row {
        name: "rawtracepoint",
        names: &["rawtracepoint", "rt"],
        list: raw_tracepoints,
    },
    Row {
        name: "tracepoint",
        names: &["tracepoint", "t"],
        list: tracepoints,
    },
];

/// What is to be listed: the pattern for what stands behind the probe type, or for whole names.
struct Asked<'a> {
    rest: &'a str,
    whole: Option<&'a str>,
    verbose: bool,
}

impl Asked<'_> {
    /// Whether a probe is asked for, by what stands behind its type.
    fn wants(&self, kind: &str, rest: &str) -> bool {
        match self.whole {
            Some(pattern) => wildcard::matches(pattern, &format!("{kind}:{rest}")),
            None => wildcard::matches(self.rest, rest),
        }
    }
}

/// Names of the probe types here, for suggestions.
pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

/// Lists what `pattern` asks for of the kernel; `false` if it asks for something else.
pub(super) fn list(out: &mut String, pattern: &str, verbose: bool) -> Result<bool, CliError> {
    if let Some((word @ ("struct" | "union" | "enum"), name)) = pattern.split_once(' ') {
        types(out, word, name.trim(), verbose)?;
        return Ok(true);
    }
    let (provider, rest) = pattern.split_once(':').unwrap_or((pattern, "*"));
    if let Some(row) = ROWS.iter().find(|row| row.names.contains(&provider)) {
        let rest = if rest.is_empty() { "*" } else { rest };
        let asked = Asked {
            rest,
            whole: None,
            verbose,
        };
        let before = out.len();
        (row.list)(out, &asked)?;
        if out.len() == before {
            return Err(CliError::with_help(
                format!("list `{pattern}`: no probe matches"),
                format!("list all with -l '{}:*'", row.name),
            ));
        }
        return Ok(true);
    }
    if pattern.is_empty() || wildcard::is_pattern(pattern) {
        // Of all types those that can be listed cheaply, and that can be attached everywhere.
        let whole = if pattern.is_empty() { "*" } else { pattern };
        let asked = Asked {
            rest: "*",
            whole: Some(whole),
            verbose,
        };
        for row in ROWS {
            // What this system does not show is no error where it was not asked for by name.
            let _ = (row.list)(out, &asked);
        }
    }
    Ok(false)
}

fn kernel_types() -> Result<Btf, CliError> {
    btf::of_kernel().ok_or_else(|| {
        CliError::with_help(
            format!("read the types of the kernel from `{}`", btf::VMLINUX),
            "the kernel must be built with CONFIG_DEBUG_INFO_BTF",
        )
    })
}

fn types(out: &mut String, word: &str, name: &str, verbose: bool) -> Result<(), CliError> {
    let btf = kernel_types()?;
    let kinds: &[Kind] = match word {
        "struct" => &[Kind::Struct],
        "union" => &[Kind::Union],
        _ => &[Kind::Enum, Kind::Enum64],
    };
    let mut found: Vec<(&str, u32)> = match wildcard::is_pattern(name) {
        true => (btf.all(kinds))
            .filter(|(_, known)| !known.is_empty() && wildcard::matches(name, known))
            .map(|(id, known)| (known, id))
            .collect(),
        false => (btf.find(name, kinds).into_iter())
            .map(|id| (name, id))
            .collect(),
    };
    found.sort_unstable();
    found.dedup_by_key(|(name, _)| *name);
    if found.is_empty() {
        return Err(CliError::failed(format!(
            "list `{word} {name}`: the kernel has no such type"
        )));
    }
    for (name, id) in found {
        let _ = match verbose {
            true => writeln!(out, "vmlinux: {};", Printer(&btf).definition(id)),
            false => writeln!(out, "{word} {name}"),
        };
    }
    Ok(())
}

fn tracepoints(out: &mut String, asked: &Asked<'_>) -> Result<(), CliError> {
    let (system, name) = match asked.whole {
        Some(_) => ("*", "*"),
        None => asked.rest.split_once(':').unwrap_or((asked.rest, "*")),
    };
    let found = tracefs::find(system, name).map_err(|err| {
        CliError::with_help(
            format!(
                "list tracepoints in /sys/kernel/tracing/events: {}",
                Described(&err)
            ),
            "root may read it, where tracefs is mounted: mount -t tracefs tracefs /sys/kernel/tracing",
        )
    })?;
    for (system, name) in found {
        if asked.whole.is_some() && !asked.wants("tracepoint", &format!("{system}:{name}")) {
            continue;
        }
        let _ = writeln!(out, "tracepoint:{system}:{name}");
        if asked.verbose
            && let Ok(tracepoint) = tracefs::describe(&system, &name)
        {
            let shown = tracepoint.fields.iter();
            for field in shown.filter(|f| !f.name.starts_with("common_")) {
                let _ = writeln!(out, "    {}", declaration(field));
            }
        }
    }
    Ok(())
}

/// A field as C declares it.
fn declaration(field: &TraceField) -> String {
    match field.ty.split_once('[') {
        Some((ty, len)) if len != "]" => format!("{} {}[{len}", ty.trim_end(), field.name),
        _ => format!("{} {}", field.ty, field.name),
    }
}

/// Parameters of a prototype, a line each; those before `skip` are left out.
fn params(out: &mut String, btf: &Btf, id: u32, skip: usize, ret: bool) {
    let Some(proto) = btf.prototype(id) else {
        return;
    };
    let printer = Printer(btf);
    for (name, ty) in btf.params(&proto).skip(skip) {
        let (before, behind) = printer.around(ty);
        let _ = writeln!(out, "    {before} {name}{behind}");
    }
    if ret && proto.word != 0 {
        let (before, behind) = printer.around(proto.word);
        let _ = writeln!(out, "    {before}{behind} retval");
    }
}

fn raw_tracepoints(out: &mut String, asked: &Asked<'_>) -> Result<(), CliError> {
    let btf = kernel_types()?;
    let mut found: Vec<(&str, u32)> = (btf.all(&[Kind::Typedef]))
        .filter_map(|(id, name)| Some((name.strip_prefix("btf_trace_")?, id)))
        .filter(|(name, _)| wants_of_vmlinux(asked, "rawtracepoint", name))
        .collect();
    found.sort_unstable();
    found.dedup_by_key(|(name, _)| *name);
    for (name, id) in found {
        let _ = writeln!(out, "rawtracepoint:vmlinux:{name}");
        if asked.verbose {
            let named = btf.find(&format!("__traceiter_{name}"), &[Kind::Func]);
            params(out, &btf, named.unwrap_or(id), 1, false);
        }
    }
    Ok(())
}

/// `NAME` and `vmlinux:NAME` both mean it.
fn wants_of_vmlinux(asked: &Asked<'_>, kind: &str, name: &str) -> bool {
    let full = format!("vmlinux:{name}");
    asked.wants(kind, &full) || asked.whole.is_none() && asked.wants(kind, name)
}

/// The functions that the kernel lets be probed, where it says.
fn traceable() -> Result<Option<HashSet<String>>, CliError> {
    tracefs::traceable(None)
        .map_err(|err| CliError::failed(format!("read traceable functions: {}", Described(&err))))
}

fn functions(out: &mut String, asked: &Asked<'_>, kind: &str) -> Result<(), CliError> {
    let btf = kernel_types()?;
    let traceable = traceable()?;
    let mut found: Vec<(&str, u32)> = (btf.all(&[Kind::Func]))
        .filter(|(_, name)| wants_of_vmlinux(asked, kind, name))
        .filter(|(_, name)| traceable.as_ref().is_none_or(|all| all.contains(*name)))
        .map(|(id, name)| (name, id))
        .collect();
    found.sort_unstable();
    found.dedup_by_key(|(name, _)| *name);
    for (name, id) in found {
        let _ = writeln!(out, "{kind}:vmlinux:{name}");
        if asked.verbose {
            params(out, &btf, id, 0, kind == "fexit");
        }
    }
    Ok(())
}

fn iterators(out: &mut String, asked: &Asked<'_>) -> Result<(), CliError> {
    let btf = kernel_types()?;
    for name in ["task", "task_file", "task_vma"] {
        let there = btf.find(&format!("bpf_iter_{name}"), &[Kind::Func]);
        let Some(id) = there.filter(|_| asked.wants("iter", name)) else {
            continue;
        };
        let _ = writeln!(out, "iter:{name}");
        if asked.verbose {
            params(out, &btf, id, 1, false);
        }
    }
    Ok(())
}

/// Functions for kprobes: those that the kernel lets be traced, or all of its code where it does not say.
fn symbols(out: &mut String, asked: &Asked<'_>, kind: &str) -> Result<(), CliError> {
    if asked.whole.is_some() && crate::sys::perf::kprobe_pmu().is_err() {
        // This kernel has no kprobes.
        return Ok(());
    }
    let mut found: Vec<String> = match traceable()? {
        Some(names) => names.into_iter().collect(),
        None => {
            let text = std::fs::read_to_string("/proc/kallsyms").map_err(|err| {
                CliError::failed(format!("read /proc/kallsyms: {}", Described(&err)))
            })?;
            let code = |line: &str| {
                let mut fields = line.split_ascii_whitespace().skip(1);
                let (kind, name) = (fields.next()?, fields.next()?);
                let own = fields.next().is_none();
                (own && matches!(kind, "t" | "T" | "w" | "W")).then(|| name.to_owned())
            };
            text.lines().filter_map(code).collect()
        }
    };
    found.retain(|name| asked.wants(kind, name));
    found.sort_unstable();
    found.dedup();
    for name in found {
        let _ = writeln!(out, "{kind}:{name}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_as_c_declares_them() {
        let shown = |ty: &str, name: &str| {
            declaration(&TraceField {
                ty: ty.to_owned(),
                name: name.to_owned(),
                offset: 8,
                size: 8,
                signed: false,
            })
        };
        assert_eq!(shown("char[16]", "comm"), "char comm[16]");
        assert_eq!(
            shown("__data_loc char[]", "filename"),
            "__data_loc char[] filename"
        );
        assert_eq!(shown("const char *", "name"), "const char * name");
    }

    #[test]
    fn patterns() {
        let asked = |rest: &'static str, whole| Asked {
            rest,
            whole,
            verbose: false,
        };
        assert!(wants_of_vmlinux(
            &asked("sys_*", None),
            "rawtracepoint",
            "sys_enter"
        ));
        assert!(wants_of_vmlinux(
            &asked("vmlinux:sys_*", None),
            "rawtracepoint",
            "sys_enter"
        ));
        assert!(!wants_of_vmlinux(
            &asked("*", Some("kprobe:*")),
            "rawtracepoint",
            "sys_enter"
        ));
    }
}
