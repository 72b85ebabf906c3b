//! What is loaded on this machine now, and whether it is what a bundle says.

mod holders;
mod listing;
mod place;

pub use holders::{Holder, Unnamed};
pub use listing::{Code, listing};

use super::{Bundle, plain::visible};
use crate::{
    loader::tag::Hex,
    sys::{bpf, names},
};
use holders::Holders;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, io, os::fd::AsFd, thread, time::Duration};

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
    pub uid: Option<u32>,
    /// Seconds since it was loaded.
    pub age_s: Option<u64>,
    /// Where it is attached: links, and perf events that a process holds.
    pub attached: Vec<String>,
    /// Who keeps it loaded.
    pub held_by: Vec<Holder>,
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

/// What there is to see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Programs, by id.
    pub programs: Vec<Live>,
    /// Processes with perf events whose programs the kernel does not name.
    pub unnamed_events: Vec<Unnamed>,
    /// For how long the kernel counted runs, if it was asked to.
    pub counted_ms: Option<u64>,
    /// Everything is seen; without rights only programs that are held by processes of one's own.
    pub complete: bool,
}

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    /// Only these programs.
    pub ids: &'a [u32],
    /// A bundle to compare with.
    pub against: Option<&'a Bundle>,
    /// Count runs for so long first; what was counted before is taken off.
    pub count: Option<Duration>,
}

fn kind(number: u32) -> String {
    names::at(names::PROGRAMS, number).map_or_else(
        || format!("type {number}"),
        |name| name.to_ascii_lowercase(),
    )
}

/// The programs of the machine, by id. Those that vanish meanwhile are left out.
///
/// # Errors
/// The kernel's; missing rights are none, see [`Machine::complete`].
pub fn live(ask: &Ask<'_>) -> io::Result<Machine> {
    let before = match ask.count {
        Some(time) => {
            let _statistics = bpf::enable_stats()?;
            let before = runs()?;
            thread::sleep(time);
            Some((before, runs()?))
        }
        None => None,
    };
    let holders = Holders::find();
    let ids = match bpf::ids(bpf::Ids::Programs) {
        Ok(ids) => ids,
        Err(err) if err.raw_os_error() == Some(libc::EPERM) => return Ok(partly(ask, holders)),
        Err(err) => return Err(err),
    };
    let mut attached: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for id in bpf::ids(bpf::Ids::Links)? {
        match bpf::link_by_id(id).and_then(|fd| bpf::link_info(fd.as_fd())) {
            Ok(link) => attached
                .entry(link.program)
                .or_default()
                .push(place::link(&link)),
            Err(err) if vanished(&err) => {}
            Err(err) => return Err(err),
        }
    }
    for (id, events) in &holders.events {
        let places = events.iter().map(place::task_fd);
        attached.entry(*id).or_default().extend(places);
    }
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok();
    let now = now.and_then(|now| u64::try_from(now.tv_sec()).ok());
    let mut held = holders.of;
    let mut programs = Vec::new();
    for id in ids.into_iter().filter(|id| wanted(ask, *id)) {
        let info = match bpf::program_by_id(id).and_then(|fd| bpf::program_info(fd.as_fd())) {
            Ok(info) => info,
            Err(err) if vanished(&err) => continue,
            Err(err) => return Err(err),
        };
        let tag = Hex(info.tag).to_string();
        let (runs, run_time_ns) = match &before {
            Some((before, after)) => {
                let (was, is) = (
                    before.get(&id).copied().unwrap_or_default(),
                    after.get(&id).copied().unwrap_or_default(),
                );
                (is.0.saturating_sub(was.0), is.1.saturating_sub(was.1))
            }
            None => (info.run_cnt, info.run_time_ns),
        };
        programs.push(Live {
            id,
            kind: kind(info.kind),
            proved: proved(ask, Some(&info.name), &tag),
            name: info.name,
            uid: Some(info.uid),
            age_s: now.map(|now| now.saturating_sub(info.load_time / 1_000_000_000)),
            attached: attached.remove(&id).unwrap_or_default(),
            held_by: held.remove(&id).unwrap_or_default(),
            runs,
            run_time_ns,
            xlated: info.xlated_len,
            jited: info.jited_len,
            tag,
        });
    }
    Ok(Machine {
        programs,
        unnamed_events: match ask.ids {
            [] => holders.unnamed,
            _ => Vec::new(),
        },
        counted_ms: ask
            .count
            .and_then(|time| u64::try_from(time.as_millis()).ok()),
        complete: true,
    })
}

/// What `fdinfo` of one's own processes tells, without the right to ask for programs by id.
fn partly(ask: &Ask<'_>, holders: Holders) -> Machine {
    let mut held = holders.of;
    let seen = holders.seen.into_iter().filter(|(id, _)| wanted(ask, *id));
    let programs = seen.map(|(id, seen)| Live {
        id,
        kind: kind(seen.kind),
        name: String::new(),
        uid: None,
        age_s: None,
        attached: Vec::new(),
        held_by: held.remove(&id).unwrap_or_default(),
        runs: seen.runs,
        run_time_ns: seen.run_time_ns,
        xlated: 0,
        jited: 0,
        proved: proved(ask, None, &seen.tag),
        tag: seen.tag,
    });
    Machine {
        programs: programs.collect(),
        complete: false,
        ..Machine::default()
    }
}

fn wanted(ask: &Ask<'_>, id: u32) -> bool {
    ask.ids.is_empty() || ask.ids.contains(&id)
}

/// The bundle's program with that tag, and with that name if it is known.
fn proved(ask: &Ask<'_>, name: Option<&str>, tag: &str) -> Option<String> {
    let mut programs = ask.against?.programs.iter();
    let found = programs.find(|program| is(program, name.unwrap_or(&program.name), tag));
    found.map(|program| program.probe.clone())
}

/// Runs and nanoseconds of every program.
fn runs() -> io::Result<BTreeMap<u32, (u64, u64)>> {
    let mut out = BTreeMap::new();
    for id in bpf::ids(bpf::Ids::Programs)? {
        // One that vanished has no numbers any more.
        if let Ok(info) = bpf::program_by_id(id).and_then(|fd| bpf::program_info(fd.as_fd())) {
            out.insert(id, (info.run_cnt, info.run_time_ns));
        }
    }
    Ok(out)
}

/// Programs of the bundle that are not loaded.
pub fn missing<'a>(bundle: &'a Bundle, machine: &Machine) -> Vec<&'a str> {
    let there = |program: &super::Program| {
        machine.programs.iter().any(|live| {
            let name = if machine.complete {
                &live.name
            } else {
                &program.name
            };
            is(program, name, &live.tag)
        })
    };
    let absent = bundle.programs.iter().filter(|program| !there(program));
    absent.map(|program| program.probe.as_str()).collect()
}

/// The list as text.
pub fn live_text(machine: &Machine, against: Option<&Bundle>) -> String {
    let mut text = String::new();
    for program in &machine.programs {
        one(&mut text, program, machine, against);
    }
    for of in &machine.unnamed_events {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "pid {} {}: {} perf events with a program of type perf_event; the kernel does not tell which",
            of.pid, of.comm, of.events
        );
    }
    if let Some(bundle) = against {
        for probe in missing(bundle, machine) {
            let _ = writeln!(text, "not loaded: `{probe}`");
        }
    }
    if text.is_empty() && machine.complete {
        text.push_str("no programs are loaded\n");
    }
    text
}

fn one(text: &mut String, program: &Live, machine: &Machine, against: Option<&Bundle>) {
    let name = visible(&program.name);
    let Live { id, kind, tag, .. } = program;
    // Writing to a String cannot fail.
    let _ = write!(text, "{id:>6} {kind:<14} {name:<15} tag {tag}");
    if let Some(uid) = program.uid {
        let _ = write!(text, ", loaded by uid {uid}");
    }
    if let Some(age) = program.age_s {
        let _ = write!(text, " {} ago", ago(age));
    }
    text.push('\n');
    let mut row = |what: &str, words: &str| {
        let _ = writeln!(text, "         {what:<10} {}", visible(words));
    };
    for place in &program.attached {
        row("attached", place);
    }
    if program.attached.is_empty() && machine.complete {
        row("attached", unattached(program));
    }
    for holder in holders::words(&program.held_by) {
        row("held by", &holder);
    }
    if program.held_by.is_empty() {
        row("held by", "no process and no pin that is seen from here");
    }
    row("ran", &ran(program, machine.counted_ms));
    if machine.complete {
        row(
            "code",
            &format!(
                "{} B after the verifier, {} B of machine code",
                program.xlated, program.jited
            ),
        );
    }
    match &program.proved {
        Some(probe) => row(
            "bundle",
            &format!(
                "the instructions of `{probe}`: same tag, {}",
                if machine.complete {
                    "same name"
                } else {
                    "name not seen"
                }
            ),
        ),
        None if against.is_some() => row("bundle", "not of the bundle"),
        None => {}
    }
}

fn unattached(program: &Live) -> &'static str {
    match program.kind.as_str() {
        "raw_tracepoint" | "syscall" => "no link; its holder can run it by BPF_PROG_TEST_RUN",
        "perf_event" => "no link; perhaps by a perf event that the kernel does not tell of",
        _ => "no link and no perf event that is seen from here",
    }
}

fn ran(program: &Live, counted: Option<u64>) -> String {
    let each = match program.run_time_ns.checked_div(program.runs) {
        Some(each) => format!(", {each} ns each"),
        None => String::new(),
    };
    let runs = format!("{} times, {} ns{each}", program.runs, program.run_time_ns);
    match counted {
        Some(ms) => format!("{runs}, in {ms} ms"),
        None if program.runs == 0 => {
            "0 times while the kernel counted (it does with --count, or kernel.bpf_stats_enabled)"
                .to_owned()
        }
        None => runs,
    }
}

/// A time in its two largest units.
fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        assert_eq!(ago(59), "59 s");
        assert_eq!(ago(61), "1 min 1 s");
        assert_eq!(ago(7322), "2 h 2 min");
        assert_eq!(ago(90_000), "1 d 1 h");
    }
}
