//! A bundle for a reviewer: a summary of each program, then its listing beside the script.

use super::{
    Bundle, BundleError, Program, Summary,
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
        "{}: {} programs, {} instructions, {} maps, license {}\nsha256 {}\nfor {}, {} possible CPUs",
        bundle.script.name,
        bundle.programs.len(),
        bundle.insn_count(),
        bundle.maps.len(),
        bundle.license,
        bundle.sha256,
        bundle.target.arch,
        bundle.target.cpus,
    );
    for file in &bundle.binaries {
        let id = file.build_id.as_deref().unwrap_or("none");
        let _ = writeln!(text, "file {}, build id {id}", file.path);
        for probe in &file.usdt {
            for site in &probe.sites {
                let operands = site.operands.join(" ");
                let _ = writeln!(text, "    {} at {:#x}: {operands}", probe.name, site.offset);
            }
        }
    }
    for map in &bundle.maps {
        let _ = writeln!(
            text,
            "map {}: {:?}, key {} bytes, value {} bytes, {} entries",
            map.name, map.kind, map.key_size, map.value_size, map.max_entries
        );
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

fn summary(text: &mut String, of: &Summary, program: &Program) {
    let list = |names: &[String]| match names {
        [] => "nothing".to_string(),
        names => names.join(", "),
    };
    let worst = match of.worst_case {
        Some(count) => format!("{count} instructions (longest path; there is no loop)"),
        None => "not bounded here: it has loops or callbacks, which the kernel's verifier bounds"
            .to_string(),
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
    let rows = [
        (
            "instructions",
            format!("{} in {} slots", of.instructions, of.slots),
        ),
        ("one hit at most", worst),
        (
            "checked",
            match of.processed {
                Some(count) => format!(
                    "{count} instructions walked on all paths by this program's own checker"
                ),
                None => "no verdict of this program's own checker".to_string(),
            },
        ),
        ("stack", format!("{} bytes", of.stack)),
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
    ];
    let _ = writeln!(text, "program {} `{}`", program.name, of.probe);
    for (name, what) in rows {
        let _ = writeln!(text, "  {name:<16} {what}");
    }
    if of.user_reads.is_empty() {
        let _ = writeln!(text, "  {:<16} never", "reads user memory");
    }
    for read in &of.user_reads {
        let much = match read.at_most {
            Some(bytes) => format!("at most {bytes} bytes"),
            None => "as many bytes as a register says (the verifier bounds it)".to_string(),
        };
        let line = read
            .line
            .map_or(String::new(), |line| format!(", line {line}"));
        let _ = writeln!(
            text,
            "  reads user memory at slot {}: {}, {much}{line}",
            read.slot, read.helper
        );
    }
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
        report(bundle, program, true)?.map(|report| report.states)
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
                format!("; {at}: {}", written.trim())
            }
            _ => String::new(),
        };
        if let Some(known) = insn
            .and_then(|insn| states.as_ref()?.get(insn))
            .filter(|known| !known.is_empty())
        {
            let _ = writeln!(text, "       first come to with {known}");
        }
        let both = format!("{line:<width$} {beside}");
        let _ = writeln!(text, "{}", both.trim_end());
    }
    Ok(())
}
