//! `--info` in bpftrace's form, for those who call this program by that name: scripts read its lines.
//!
//! The names of libraries stand for what they are there for; here that is built in, or missing.

use crate::{
    kernel::{features, version::Version},
    spec::Features,
};
use std::{fmt::Write, path::Path};

/// Width of a column.
const COLUMN: usize = 35;

/// What is asked of the running kernel.
struct Host {
    features: Features,
    version: Version,
    /// It describes its own types.
    btf: bool,
}

/// A line: its name, and the answer.
type Row = (&'static str, fn(&Host) -> bool);

/// What a build of bpftrace may have or lack.
const BUILD: &[(&str, &str)] = &[
    ("version", "v0.27.1"),
    ("LLVM", "none (its own compiler)"),
    ("bfd", "yes"),
    ("libdw (DWARF support)", "yes"),
    ("libsystemd (systemd notify support)", "no"),
    ("blazesym (advanced symbolization)", "no"),
    (
        "dwunwind (DWARF stack unwinding)",
        if cfg!(target_arch = "x86_64") {
            "yes"
        } else {
            "no"
        },
    ),
];

/// Source: `include/uapi/linux/bpf.h`; `bpf_get_func_ip` came with the attach cookie in 5.15, `bpf_d_path` in 5.10.
const HELPERS: &[Row] = &[
    ("dpath", |host| {
        host.btf && host.version >= Version::new(5, 10)
    }),
    ("get_func_ip", |host| host.features.attach_cookie),
    ("loop", |host| host.features.bpf_loop),
    ("get_tai_ns", |host| host.features.ktime_tai),
    ("lookup_percpu_elem", |host| host.features.lookup_percpu),
];

/// Kernel functions are attached to one by one, whatever the kernel could do.
const PROBES: &[Row] = &[
    ("kprobe_multi", |_| false),
    ("kprobe_session", |_| false),
    ("uprobe_multi", |host| host.features.uprobe_multi),
    ("iter", |host| host.btf),
];

/// The report as text.
pub(super) fn report() -> String {
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        text.unwrap_or_default().trim().to_string()
    };
    let host = Host {
        // Where nothing may be tried nothing can be used either.
        features: features::probe().unwrap_or_else(|_| Features::all().without(&every_name())),
        version: Version::running().unwrap_or(Version::new(0, 0)),
        btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
    };
    let mut text = format!(
        "System\n  OS: {} {} {}\n  Arch: {}\n\nBuild\n",
        read("ostype"),
        read("osrelease"),
        read("version"),
        std::env::consts::ARCH
    );
    for (name, answer) in BUILD {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name}: {answer}");
    }
    let lines = |rows: &[Row]| -> Vec<String> {
        let line = |(name, has): &Row| format!("{name}: {}", yes(has(&host)));
        rows.iter().map(line).collect()
    };
    // `kernel/bpf/verifier.c: BPF_COMPLEXITY_LIMIT_INSNS`, raised in 5.2; BTF of modules since 5.11.
    let limit = match host.version >= Version::new(5, 2) {
        true => 1_000_000,
        false => 4096,
    };
    let modules = host.btf && host.version >= Version::new(5, 11);
    let kernel = [
        format!("Instruction limit: {limit}"),
        format!("module btf: {}", yes(modules)),
        format!("btf: {}", yes(host.btf)),
    ];
    text.push_str("\nKernel helpers\n");
    columns(&mut text, &lines(HELPERS));
    let _ = writeln!(text, "\n{:COLUMN$}", "Kernel features");
    columns(&mut text, &kernel);
    let _ = writeln!(text, "\n{:COLUMN$}", "Probe types");
    columns(&mut text, &lines(PROBES));
    text.push('\n');
    text
}

fn yes(has: bool) -> &'static str {
    if has { "yes" } else { "no" }
}

fn every_name() -> Vec<String> {
    let names = Features::FIELDS.iter().map(|(name, _)| (*name).to_string());
    names.collect()
}

/// Two columns, the left one filled first.
fn columns(text: &mut String, lines: &[String]) {
    let half = lines.len().div_ceil(2);
    for row in 0..half {
        let left = format!("  {}", lines[row]);
        let right = lines.get(half + row).map_or("", String::as_str);
        let width = if right.is_empty() { 0 } else { COLUMN };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{left:COLUMN$}{right:width$}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_filled_from_the_left() {
        let lines = ["a: yes", "b: no", "c: no"].map(str::to_string);
        let mut text = String::new();
        columns(&mut text, &lines);
        let want = format!("{:35}{:35}\n{:35}\n", "  a: yes", "c: no", "  b: no");
        assert_eq!(text, want);
    }

    #[test]
    fn the_report_has_all_parts() {
        let text = report();
        for part in [
            "System\n",
            "\n  version: v0.27.1\n",
            "Kernel helpers\n",
            "  loop: ",
            "uprobe_multi: ",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
