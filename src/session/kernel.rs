//! Asks the running kernel for what a script names of it.

use super::error::SessionError;
use crate::{
    btf,
    kernel::tracefs,
    lang::{
        WantedKernel,
        ast::Script,
        points::{Kernel as Want, is_pattern},
        wanted_kernel,
    },
    spec::Kernel,
    wildcard,
};
use std::{os::unix::fs::MetadataExt, path::Path};

/// Where the kernel lists its symbols.
const SYMBOLS: &str = "/proc/kallsyms";

/// The answers; nothing is opened where nothing is asked.
///
/// # Errors
/// A script with tracepoints on a system that shows none.
pub(super) fn read(
    script: &Script,
    params: &[String],
    traceable: Option<&Path>,
) -> Result<Kernel, SessionError> {
    let wanted = wanted_kernel(script, params);
    let mut kernel = Kernel {
        btf: wanted.types.then(btf::of_kernel).flatten(),
        ..Kernel::default()
    };
    for want in &wanted.points {
        if let Want::Tracepoint { system, name } = want {
            tracepoints(&mut kernel, system, name)?;
        }
    }
    symbols(&mut kernel, &wanted)?;
    let functions = |want: &Want| match want {
        Want::Kprobe { function, .. } | Want::Trampoline { function, .. } => is_pattern(function),
        _ => false,
    };
    if wanted.points.iter().any(functions) || traceable.is_some() {
        kernel.traceable = tracefs::traceable(traceable).map_err(|err| match traceable {
            Some(path) => SessionError::Traceable(path.to_path_buf(), err),
            None => SessionError::Io("read available_filter_functions", err),
        })?;
    }
    for path in wanted.cgroups {
        let id = std::fs::metadata(&path).map(|meta| meta.ino());
        let id = id.map_err(|err| err.to_string());
        kernel.cgroups.push((path, id));
    }
    Ok(kernel)
}

fn tracepoints(kernel: &mut Kernel, system: &str, name: &str) -> Result<(), SessionError> {
    let found = tracefs::find(system, name)
        .map_err(|err| SessionError::Io("read tracepoints from /sys/kernel/tracing/events", err))?;
    for (system, name) in found {
        let known = kernel
            .tracepoints
            .iter()
            .any(|t| t.system == system && t.name == name);
        if known {
            continue;
        }
        let tracepoint = tracefs::describe(&system, &name)
            .map_err(|err| SessionError::Io("read the format of a tracepoint", err))?;
        kernel.tracepoints.push(tracepoint);
    }
    Ok(())
}

/// Addresses for `kaddr`, functions for `kprobe`.
fn symbols(kernel: &mut Kernel, wanted: &WantedKernel) -> Result<(), SessionError> {
    let functions: Vec<&str> = (wanted.points.iter())
        .filter_map(|want| match want {
            Want::Kprobe { function, .. } => Some(function.as_str()),
            _ => None,
        })
        .collect();
    if functions.is_empty() && wanted.symbols.is_empty() {
        return Ok(());
    }
    let text = std::fs::read_to_string(SYMBOLS)
        .map_err(|err| SessionError::Io("read /proc/kallsyms", err))?;
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(address), Some(kind), Some(name)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if wanted.symbols.iter().any(|wanted| wanted == name)
            && let Ok(address) = u64::from_str_radix(address, 16)
            && kernel.symbol(name).is_none()
        {
            kernel.symbols.push((name.to_owned(), address));
        }
        let code = matches!(kind, "t" | "T" | "w" | "W") && fields.next().is_none();
        if code && functions.iter().any(|f| wildcard::matches(f, name)) {
            kernel.functions.push(name.to_owned());
        }
    }
    kernel.functions.sort_unstable();
    kernel.functions.dedup();
    Ok(())
}
