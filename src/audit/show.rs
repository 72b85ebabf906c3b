//! A bundle for a reviewer: a summary of each program, then its listing beside the script.

use super::{
    Bundle, BundleError, Function, Program, Summary,
    bound::grouped,
    plain::{counted, visible},
    summary::{report, script_line},
};
use crate::asm::disasm;
use serde_json::{Value, json};
use std::fmt::Write;

/// Width of the instructions' column.
const COLUMN: usize = 48;

/// The text; with `verbose`, the bytes of each instruction and what the checker knew when it first came to it.
///
/// # Errors
/// Bytes that are no instructions.
pub fn show(bundle: &Bundle, verbose: bool) -> Result<String, BundleError> {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{}: {}, {}, {}, license {}\nsha256 {}\nfor {}, {}",
        visible(&bundle.script.name),
        counted(bundle.programs.len(), "program"),
        counted(bundle.insn_count(), "instruction"),
        counted(bundle.maps.len(), "map"),
        visible(&bundle.license),
        bundle.sha256,
        bundle.target.arch,
        counted(bundle.target.cpus, "possible CPU"),
    );
    for line in maps_and_files(bundle) {
        let _ = writeln!(text, "{}", visible(&line));
    }
    for program in &bundle.programs {
        text.push('\n');
        summary(&mut text, &Summary::new(bundle, program)?, program);
        listing(&mut text, bundle, program, verbose)?;
    }
    Ok(text)
}

/// The same for programs: the digest, the summaries, and the bundle itself.
///
/// # Errors
/// Bytes that are no instructions.
pub fn show_json(bundle: &Bundle) -> Result<Value, BundleError> {
    let summaries = bundle
        .programs
        .iter()
        .map(|program| Summary::new(bundle, program));
    let summaries = summaries.collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "sha256": bundle.sha256, "summaries": summaries, "bundle": bundle }))
}

/// The files that probes are in, with the places and operands they were compiled for, and the maps.
pub(super) fn maps_and_files(bundle: &Bundle) -> Vec<String> {
    let mut out = Vec::new();
    for file in &bundle.binaries {
        let id = file.build_id.as_deref().unwrap_or("none");
        out.push(format!("file {}, build id {id}", file.path));
        for probe in &file.usdt {
            for site in &probe.sites {
                let operands = site.operands.join(" ");
                let semaphore = match site.semaphore {
                    0 => String::new(),
                    at => format!(" (semaphore {at:#x})"),
                };
                let name = &probe.name;
                out.push(format!(
                    "    {name} at {:#x}{semaphore}: {operands}",
                    site.offset
                ));
            }
        }
        for function in &file.functions {
            let Function { name, offset, size } = function;
            let size = counted(*size, "byte");
            out.push(format!("    function {name} at {offset:#x}, {size}"));
        }
    }
    for map in &bundle.maps {
        out.push(format!(
            "map {}: {:?}, key {}, value {}, {}",
            map.name,
            map.kind,
            counted(map.key_size, "byte"),
            counted(map.value_size, "byte"),
            match map.max_entries {
                0 => "one entry a CPU".to_owned(),
                1 => "1 entry".to_owned(),
                many => format!("{many} entries"),
            }
        ));
    }
    out
}

fn summary(text: &mut String, of: &Summary, program: &Program) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "program {} `{}`",
        visible(&program.name),
        visible(&of.probe)
    );
    for (name, what) in rows(of, program) {
        let _ = writeln!(text, "  {name:<17} {}", visible(&what));
    }
}

/// What a reviewer asks first, row by row.
pub(super) fn rows(of: &Summary, program: &Program) -> Vec<(&'static str, String)> {
    let list = |names: &[String]| match names {
        [] => "nothing".to_string(),
        names => names.join(", "),
    };
    let worst = match (of.worst_case, &of.bound) {
        (Some(count), _) => format!(
            "{}, on the longest of all paths",
            counted(count, "instruction")
        ),
        (None, Some(bound)) => format!(
            "{} instructions, {} of them outside of loops and callbacks",
            grouped(bound.most),
            grouped(bound.once)
        ),
        (None, None) => {
            "not told: it jumps or calls by a register; the verifier follows 1,000,000".to_string()
        }
    };
    let cannot = [
        (of.can_signal, "send signals"),
        (of.can_override, "change return values"),
        (of.can_write_user, "write user memory"),
        (of.can_sleep, "sleep"),
    ];
    let some = |wanted: bool| {
        let words = cannot.iter().filter(|(can, _)| *can == wanted);
        let words: Vec<String> = words.map(|(_, what)| (*what).to_string()).collect();
        list(&words)
    };
    let mut rows = vec![
        (
            "instructions",
            format!("{} in {}", of.instructions, counted(of.slots, "slot")),
        ),
        ("one hit at most", worst),
    ];
    if let (None, Some(bound)) = (of.worst_case, &of.bound) {
        let turns = bound.turns.iter().map(|turns| ("in turns", turns.words()));
        rows.extend(turns);
    }
    rows.extend([
        (
            "checked",
            match (&of.refused, of.processed) {
                (Some(why), _) => format!("REFUSED by this program's own checker: {why}"),
                (None, Some(count)) => format!(
                    "{} walked on all paths by this program's own checker",
                    counted(count, "instruction")
                ),
                (None, None) => "no verdict of this program's own checker".to_string(),
            },
        ),
        ("stack", counted(of.stack, "byte")),
        ("may write maps", list(&of.writes)),
        ("sends to", list(&of.rings)),
        ("can", some(true)),
        ("cannot", some(false)),
        ("helpers", list(&of.helpers)),
        (
            "kernel's tag",
            format!(
                "{} (SHA-256), {} (SHA-1)",
                program.tag_sha256, program.tag_sha1
            ),
        ),
    ]);
    if of.user_reads.is_empty() {
        rows.push(("reads user memory", "never".to_string()));
    }
    for read in &of.user_reads {
        let much = match read.at_most {
            Some(bytes) => format!("at most {}", counted(bytes, "byte")),
            None => "as many bytes as a register says (the verifier bounds it)".to_string(),
        };
        let line = match (read.line, &read.script) {
            (Some(line), Some(script)) => format!(", line {line} `{script}`"),
            (Some(line), None) => format!(", line {line}"),
            _ => String::new(),
        };
        rows.push((
            "reads user memory",
            format!("at slot {}: {}, {much}{line}", read.slot, read.helper),
        ));
    }
    rows
}

fn listing(
    text: &mut String,
    bundle: &Bundle,
    program: &Program,
    verbose: bool,
) -> Result<(), BundleError> {
    let insns = program.decoded()?;
    let maps: Vec<&str> = bundle.maps.iter().map(|map| map.name.as_str()).collect();
    let options = disasm::Options {
        maps: &maps,
        slots: true,
        bytes: verbose,
        ..disasm::Options::default()
    };
    let width = if verbose { COLUMN + 36 } else { COLUMN };
    let (lines, places) = disasm::lines(&insns, options);
    let states = if verbose {
        report(bundle, program, true)?
            .ok()
            .map(|report| report.states)
    } else {
        None
    };
    let mut shown = None;
    for (number, line) in lines.lines().enumerate() {
        let insn = places.iter().position(|at| *at == number);
        let at = insn.and_then(|insn| script_line(bundle, program.insns.get(insn)?.script));
        let beside = match at {
            Some(at) if shown != Some(at) => {
                shown = Some(at);
                let written = bundle.script.text.lines().nth(at - 1).unwrap_or("");
                format!("; {at}: {}", visible(written.trim()))
            }
            _ => String::new(),
        };
        if let Some(known) = insn
            .and_then(|insn| states.as_ref()?.get(insn))
            .filter(|known| !known.is_empty())
        {
            let _ = writeln!(text, "       first come to with {known}");
        }
        let both = format!("{:<width$} {beside}", visible(line));
        let _ = writeln!(text, "{}", both.trim_end());
    }
    Ok(())
}
