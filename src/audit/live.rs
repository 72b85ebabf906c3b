//! What is loaded on this machine now, and whether it is what a bundle says.

use super::Bundle;
use crate::{loader::tag::Hex, sys::bpf};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, io, os::fd::AsFd};

/// Names of `enum bpf_prog_type` (`include/uapi/linux/bpf.h`), from 0.
const TYPES: &[&str] = &[
    "unspec",
    "socket_filter",
    "kprobe",
    "sched_cls",
    "sched_act",
    "tracepoint",
    "xdp",
    "perf_event",
    "cgroup_skb",
    "cgroup_sock",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sock_ops",
    "sk_skb",
    "cgroup_device",
    "sk_msg",
    "raw_tracepoint",
    "cgroup_sock_addr",
    "lwt_seg6local",
    "lirc_mode2",
    "sk_reuseport",
    "flow_dissector",
    "cgroup_sysctl",
    "raw_tracepoint_writable",
    "cgroup_sockopt",
    "tracing",
    "struct_ops",
    "ext",
    "lsm",
    "sk_lookup",
    "syscall",
    "netfilter",
];

/// Names of `enum bpf_link_type`, from 0.
const LINKS: &[&str] = &[
    "unspec",
    "raw_tracepoint",
    "tracing",
    "cgroup",
    "iter",
    "netns",
    "xdp",
    "perf_event",
    "kprobe_multi",
    "struct_ops",
    "netfilter",
    "tcx",
    "uprobe_multi",
    "netkit",
    "sockmap",
];

/// A loaded program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Live {
    /// Kernel's id.
    pub id: u32,
    /// Type.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Kernel's tag in hexadecimal.
    pub tag: String,
    /// User that loaded it.
    pub uid: u32,
    /// Links that attach it: type and id. Attachments by perf events have none.
    pub links: Vec<String>,
    /// Runs while the kernel kept statistics.
    pub runs: u64,
    /// Nanoseconds that they took.
    pub run_time_ns: u64,
    /// Bytes of instructions after the verifier.
    pub xlated: u32,
    /// Bytes of machine code.
    pub jited: u32,
    /// The bundle's program with that tag and name, if a bundle was given.
    pub proved: Option<String>,
}

fn name(table: &[&str], number: u32) -> String {
    let found = usize::try_from(number).ok().and_then(|at| table.get(at));
    found.map_or(format!("type {number}"), |name| (*name).to_string())
}

/// Whether an object went away between its listing and the look at it.
fn vanished(err: &io::Error) -> bool {
    err.raw_os_error() == Some(libc::ENOENT)
}

/// Whether a loaded program is that of the bundle, by tag and name: programs that do the same have the same tag,
/// whoever loads them and whatever maps they are given.
fn is(program: &super::Program, name: &str, tag: &str) -> bool {
    let same = program.tag_sha256 == tag || program.tag_sha1 == tag;
    same && program.name == name
}

/// Every program of the machine, by id. Those that vanish meanwhile are left out.
///
/// # Errors
/// The kernel's, such as missing rights.
pub fn live(against: Option<&Bundle>) -> io::Result<Vec<Live>> {
    let mut links: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for id in bpf::ids(bpf::Ids::Links)? {
        match bpf::link_by_id(id).and_then(|fd| bpf::link_info(fd.as_fd())) {
            Ok(link) => {
                let text = format!("{} {id}", name(LINKS, link.kind));
                links.entry(link.program).or_default().push(text);
            }
            Err(err) if vanished(&err) => {}
            Err(err) => return Err(err),
        }
    }
    let mut out = Vec::new();
    for id in bpf::ids(bpf::Ids::Programs)? {
        let info = match bpf::program_by_id(id).and_then(|fd| bpf::program_info(fd.as_fd())) {
            Ok(info) => info,
            Err(err) if vanished(&err) => continue,
            Err(err) => return Err(err),
        };
        let tag = Hex(info.tag).to_string();
        let ours = against.and_then(|bundle| {
            let mut programs = bundle.programs.iter();
            programs.find(|program| is(program, &info.name, &tag))
        });
        out.push(Live {
            id,
            kind: name(TYPES, info.kind),
            name: info.name,
            uid: info.uid,
            links: links.remove(&id).unwrap_or_default(),
            runs: info.run_cnt,
            run_time_ns: info.run_time_ns,
            xlated: info.xlated_len,
            jited: info.jited_len,
            proved: ours.map(|program| program.probe.clone()),
            tag,
        });
    }
    Ok(out)
}

/// Programs of the bundle that are not loaded.
pub fn missing<'a>(bundle: &'a Bundle, live: &[Live]) -> Vec<&'a str> {
    let absent = bundle.programs.iter();
    absent
        .filter(|p| !live.iter().any(|l| is(p, &l.name, &l.tag)))
        .map(|p| p.probe.as_str())
        .collect()
}

/// The list as text.
pub fn live_text(live: &[Live], against: Option<&Bundle>) -> String {
    let mut text = String::new();
    for program in live {
        let attached = match program.links.as_slice() {
            [] => "no link".to_string(),
            links => links.join(", "),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{:>6} {:<14} {:<15} tag {} uid {} {attached}, {} runs, {} ns, {} B xlated, {} B jited",
            program.id,
            program.kind,
            program.name,
            program.tag,
            program.uid,
            program.runs,
            program.run_time_ns,
            program.xlated,
            program.jited,
        );
        match (&program.proved, against) {
            (Some(probe), _) => {
                let _ = write!(
                    text,
                    "\n       the instructions of the bundle's `{probe}`: same tag, same name"
                );
            }
            (None, Some(_)) => text.push_str("\n       not of the bundle"),
            (None, None) => {}
        }
        text.push('\n');
    }
    if let Some(bundle) = against {
        for probe in missing(bundle, live) {
            let _ = writeln!(text, "not loaded: `{probe}`");
        }
    }
    text
}
