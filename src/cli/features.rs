//! `baretrace features` and `--info`: what this kernel offers and what this process may do.

use super::{Call, CliError, out};
use crate::{
    kernel::{cpus, detect::missing_rights, features, lockdown::Lockdown},
    spec::Features,
    sys::errno::Described,
};
use clap::ArgMatches;
use std::fmt::Write;

/// A feature: what it is, since which kernel, and where the answer stands.
type Row = (&'static str, &'static str, fn(&Features) -> bool);

const ROWS: &[Row] = &[
    ("uprobe_multi links", "6.6", |f| f.uprobe_multi),
    ("attach cookies", "5.15", |f| f.attach_cookie),
    ("atomics with fetch", "5.12", |f| f.atomics),
    ("bpf_for_each_map_elem", "5.13", |f| f.for_each_map_elem),
    ("bpf_loop", "5.17", |f| f.bpf_loop),
    ("bpf_map_lookup_percpu_elem", "5.19", |f| f.lookup_percpu),
    ("bpf_ktime_get_tai_ns", "6.1", |f| f.ktime_tai),
    ("instruction set v4", "6.6", |f| f.cpu_v4),
    ("may_goto", "6.9", |f| f.may_goto),
];

pub(super) fn run(_: &ArgMatches, _: &Call) -> Result<(), CliError> {
    out::print(&report())
}

/// The report as text. A probe that could not run is not a "no".
pub(super) fn report() -> String {
    let mut text = String::new();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = cpus::possible_count().map_or_else(|_| "?".to_string(), |count| count.to_string());
    // Writing to a String cannot fail.
    let _ = writeln!(text, "baretrace  {}", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(
        text,
        "kernel     {} {}",
        release.trim(),
        std::env::consts::ARCH
    );
    let _ = writeln!(text, "cpus       {cpus}");
    let _ = writeln!(text, "lockdown   {}", Lockdown::running());
    let missing = missing_rights(false);
    if missing.is_empty() {
        let _ = writeln!(text, "rights     all that tracing needs");
    }
    for missing in &missing {
        let _ = writeln!(text, "missing    {missing}");
    }
    text.push('\n');
    match features::probe() {
        Ok(features) => {
            for (name, since, has) in ROWS {
                let answer = if has(&features) { "yes" } else { "no" };
                let _ = writeln!(text, "{name:<28} {answer:<4} (kernel {since})");
            }
        }
        Err(err) => {
            let _ = writeln!(
                text,
                "features are not known: bpf(BPF_PROG_LOAD): {}",
                Described(&err)
            );
        }
    }
    text
}
