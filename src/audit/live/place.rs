//! Where a program is attached, in words.

use crate::sys::{
    bpf::{LinkInfo, LinkPlace, TaskFd},
    names,
};

use std::fs;

/// Sites that are named; more are counted.
const SITES: usize = 4;

/// A link and its place.
pub(super) fn link(link: &LinkInfo) -> String {
    let kind = names::at(names::LINKS, link.kind).map_or_else(
        || format!("type {}", link.kind),
        |name| name.to_ascii_lowercase(),
    );
    let place = match &link.place {
        LinkPlace::UprobeMulti {
            path,
            offsets,
            ref_ctrs,
            ret,
            pid,
        } => {
            let sites = offsets.iter().zip(ref_ctrs).take(SITES);
            let sites: Vec<String> = sites
                .map(|(offset, ref_ctr)| match ref_ctr {
                    0 => format!("{offset:#x}"),
                    at => format!("{offset:#x} (semaphore {at:#x})"),
                })
                .collect();
            let more = match offsets.len().saturating_sub(SITES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let of = match pid {
                0 => String::new(),
                pid => format!(", process {pid} only"),
            };
            format!(
                "{}{path} at {}{more}{of}",
                at_return(*ret),
                sites.join(", ")
            )
        }
        LinkPlace::User { path, offset, ret } => {
            format!("{}{path} at {offset:#x}", at_return(*ret))
        }
        LinkPlace::Kernel { name, offset, ret } => format!("{}{name}+{offset:#x}", at_return(*ret)),
        LinkPlace::Tracepoint(name) => format!("tracepoint {name}"),
        LinkPlace::Event { kind, config } => event(*kind, *config),
        LinkPlace::Number(what, number) => format!("{what} {number}"),
        LinkPlace::Untold => "the kernel does not say where".to_owned(),
    };
    format!("{kind} link {}: {place}", link.id)
}

/// A perf event that a program is attached to without a link.
pub(super) fn task_fd(of: &TaskFd) -> String {
    let TaskFd { name, offset, .. } = of;
    let place = match of.kind {
        0 => format!("raw tracepoint {name}"),
        1 => format!("tracepoint {name}"),
        2 | 3 if name.is_empty() => {
            format!("{}kernel address {:#x}", at_return(of.kind == 3), of.addr)
        }
        2 | 3 => format!("{}{name}+{offset:#x}", at_return(of.kind == 3)),
        _ => format!("{}{name} at {offset:#x}", at_return(of.kind == 5)),
    };
    format!("perf event: {place}")
}

fn at_return(ret: bool) -> &'static str {
    if ret { "return of " } else { "" }
}

/// A perf event by type and `config`.
fn event(kind: u32, config: u64) -> String {
    match names::at(names::PERF_TYPES, kind) {
        Some("SOFTWARE") => match names::at(names::SOFTWARE, config) {
            Some(name) => format!("software event {}", name.to_ascii_lowercase()),
            None => format!("software event {config}"),
        },
        Some("BREAKPOINT") => "watchpoint".to_owned(),
        Some(name) => format!("{} event {config:#x}", name.to_ascii_lowercase()),
        None => match pmu(kind) {
            Some(name) if name.ends_with("_clock") => format!("timer {name}"),
            Some(name) => format!("event {config:#x} of PMU {name}"),
            None => format!("event {config:#x} of PMU {kind}"),
        },
    }
}

/// The first two numbers that are given out go to PMUs that sysfs does not show (`kernel/events/core.c: perf_event_init`).
const HIDDEN: &[(u32, &str)] = &[(6, "cpu_clock"), (7, "task_clock")];

/// The name of a PMU whose number was given out at boot.
fn pmu(kind: u32) -> Option<String> {
    let hidden = HIDDEN.iter().find(|(number, _)| *number == kind);
    shown_pmu(kind).or_else(|| hidden.map(|(_, name)| (*name).to_owned()))
}

/// The same from sysfs.
fn shown_pmu(kind: u32) -> Option<String> {
    let devices = fs::read_dir("/sys/bus/event_source/devices").ok()?;
    let mut devices = devices.flatten();
    let found = devices.find(|device| {
        let number = fs::read_to_string(device.path().join("type"));
        number.is_ok_and(|number| number.trim().parse() == Ok(kind))
    })?;
    found.file_name().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_words() {
        let of = |kind, place| {
            link(&LinkInfo {
                kind,
                id: 9,
                program: 1,
                place,
            })
        };
        let multi = LinkPlace::UprobeMulti {
            path: "/bin/x".into(),
            offsets: vec![16, 32, 48, 64, 80],
            ref_ctrs: vec![0, 256, 0, 0, 0],
            ret: false,
            pid: 7,
        };
        assert_eq!(
            of(12, multi),
            "uprobe_multi link 9: /bin/x at 0x10, 0x20 (semaphore 0x100), 0x30, 0x40 and 1 more, process 7 only"
        );
        let clock = LinkPlace::Event { kind: 1, config: 0 };
        assert_eq!(of(7, clock), "perf_event link 9: software event cpu_clock");
        let returns = TaskFd {
            program: 1,
            kind: 5,
            name: "/bin/x".into(),
            offset: 16,
            addr: 0,
        };
        assert_eq!(task_fd(&returns), "perf event: return of /bin/x at 0x10");
    }
}
