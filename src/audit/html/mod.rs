//! A bundle for a reviewer as one page: script left, instructions right, linked both ways.
//!
//! The page is self-contained: nothing is fetched, and its content security policy names the one style and the one script
//! by their digests, so that nothing that a script or a file name holds can run in it. Links work without the script.
//!
//! ```text
//! li  #L3        a line of the script → its first instruction
//! p   #p0i12     an instruction: data-l line, data-s start and length within it (UTF-16), data-b bytes,
//!                data-o of the tracer itself, not of a part of the script
//!                data-k what was known of registers, as far as it differs from the row before
//! p   #p0L8      a place that is jumped to
//! ```

use super::{
    Bundle, BundleError, Program, Summary,
    plain::{counted, visible},
    show::{maps_and_files, rows},
    summary::{report, script_line},
};
use crate::{asm::disasm, span::Span};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt::Write};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Said where nothing is chosen.
const HINT: &str = "Choose a line or an instruction: its counterparts are marked. Arrow keys move, ← → change sides, Esc lets go.";

/// The page.
///
/// # Errors
/// Bytes that are no instructions.
pub fn html(bundle: &Bundle) -> Result<String, BundleError> {
    let name = text(&bundle.script.name);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; \
         script-src 'sha256-{}'; base-uri 'none'; form-action 'none'\"/>\n\
         <title>{name}: what it loads</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        base64(&Sha256::digest(STYLE)),
        base64(&Sha256::digest(SCRIPT)),
    );
    let mut code = String::new();
    let mut first = BTreeMap::new();
    for (number, program) in bundle.programs.iter().enumerate() {
        article(&mut code, bundle, number, program, &mut first)?;
    }
    header(&mut out, bundle, &name);
    out.push_str("<main>\n<section id=\"script\" aria-label=\"Script\">\n<ol>\n");
    for (at, line) in bundle.script.text.lines().enumerate() {
        let number = at + 1;
        // Writing to a String cannot fail.
        let _ = match first.get(&number) {
            Some(to) => write!(
                out,
                "<li id=\"L{number}\" data-has=\"1\"><a href=\"#{to}\">{number}</a>"
            ),
            None => write!(
                out,
                "<li id=\"L{number}\"><a href=\"#L{number}\">{number}</a>"
            ),
        };
        let _ = writeln!(out, "<code>{}</code></li>", text(line));
    }
    out.push_str("</ol>\n</section>\n<section id=\"code\" aria-label=\"Instructions\">\n");
    out.push_str(&code);
    let _ = write!(
        out,
        "</section>\n</main>\n<output aria-live=\"polite\">{HINT}</output>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    Ok(out)
}

fn header(out: &mut String, bundle: &Bundle, name: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<header>\n<h1>{name}</h1>\n<p>{}, {}, {}; for {}, {}; license {}</p>\n\
         <details><summary>Digest, files and maps</summary>\n<p>SHA-256 <code>{}</code></p>\n<ul>",
        counted(bundle.programs.len(), "program"),
        counted(bundle.insn_count(), "instruction"),
        counted(bundle.maps.len(), "map"),
        text(&bundle.target.arch),
        counted(bundle.target.cpus, "possible CPU"),
        text(&bundle.license),
        text(&bundle.sha256),
    );
    for line in maps_and_files(bundle) {
        let _ = writeln!(out, "<li>{}</li>", text(&line));
    }
    out.push_str("</ul>\n</details>\n<nav aria-label=\"Programs\">\n");
    for (number, program) in bundle.programs.iter().enumerate() {
        let _ = writeln!(out, "<a href=\"#p{number}\">{}</a>", text(&program.probe));
    }
    out.push_str("</nav>\n</header>\n");
}

/// One program; notes the first instruction of each line in `first`.
fn article(
    out: &mut String,
    bundle: &Bundle,
    number: usize,
    program: &Program,
    first: &mut BTreeMap<usize, String>,
) -> Result<(), BundleError> {
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<article id=\"p{number}\">\n<h2>{}</h2>\n<dl>",
        text(&program.probe)
    );
    for (what, words) in rows(&Summary::new(bundle, program)?, program) {
        let _ = writeln!(out, "<dt>{what}</dt><dd>{}</dd>", text(&words));
    }
    out.push_str("</dl>\n<div>\n");
    let insns = program.decoded()?;
    let maps: Vec<&str> = bundle.maps.iter().map(|map| map.name.as_str()).collect();
    let (lines, places) = disasm::lines(
        &insns,
        disasm::Options {
            maps: &maps,
            ..disasm::Options::default()
        },
    );
    let states = report(bundle, program, true)?
        .ok()
        .map(|report| report.states);
    let ranges = program.insns.iter().filter_map(|line| line.script);
    // What no part of the script asks for is told beside the program's first line.
    let begins = script_line(bundle, ranges.min());
    let mut known = BTreeMap::new();
    let mut insn = 0;
    for (at, line) in lines.lines().enumerate() {
        if places.get(insn) != Some(&at) {
            let label = line.trim().trim_end_matches(':');
            let _ = writeln!(
                out,
                "<p class=\"label\" id=\"p{number}{label}\">{label}:</p>"
            );
            continue;
        }
        let row = &program.insns[insn];
        let id = format!("p{number}i{}", row.slot);
        let _ = write!(
            out,
            "<p class=\"i\" id=\"{id}\" data-b=\"{}\"",
            text(&row.bytes)
        );
        let place = row.script.and_then(|range| place(bundle, range));
        let mut link = id.clone();
        match (place, begins) {
            (Some((line, start, length)), _) => {
                let _ = write!(out, " data-l=\"{line}\" data-s=\"{start},{length}\"");
                link = format!("L{line}");
                first.entry(line).or_insert(id);
            }
            (None, Some(line)) => {
                let _ = write!(out, " data-l=\"{line}\" data-o=\"1\"");
                link = format!("L{line}");
            }
            (None, None) => {}
        }
        if let Some(states) = &states {
            let now = registers(states.get(insn).map_or("", String::as_str));
            // An instruction that no path comes to has no state of its own.
            if !now.is_empty() {
                let changes = changes(&known, &now);
                if !changes.is_empty() {
                    let _ = write!(out, " data-k=\"{}\"", text(&changes));
                }
                known = now;
            }
        }
        let _ = writeln!(
            out,
            "><a href=\"#{link}\">{}</a><code>{}</code></p>",
            row.slot,
            linked(line.trim(), number)
        );
        insn += 1;
    }
    out.push_str("</div>\n</article>\n");
    Ok(())
}

/// The line of the script, from 1, and the part of it that an instruction comes from: start and length in UTF-16.
fn place(bundle: &Bundle, (start, end): (u32, u32)) -> Option<(usize, usize, usize)> {
    let source = &bundle.script.text;
    let (line, _) = Span::new(start, end).line_col(source);
    let before: usize = source
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let written = source.get(before..)?.lines().next().unwrap_or("");
    let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
    let from = start.saturating_sub(before).min(written.len());
    let to = end.saturating_sub(before).clamp(from, written.len());
    let width = |part: &str| visible(part).encode_utf16().count();
    Some((
        line,
        width(written.get(..from)?),
        width(written.get(from..to)?),
    ))
}

/// What is known of each register, from the checker's words `r1: …; r2: …`.
fn registers(state: &str) -> BTreeMap<&str, &str> {
    state
        .split("; ")
        .filter_map(|one| one.split_once(": "))
        .collect()
}

/// What differs: `r1=…` for a new value, `-r2` for one that is no longer known.
fn changes(before: &BTreeMap<&str, &str>, now: &BTreeMap<&str, &str>) -> String {
    let new = now
        .iter()
        .filter(|(reg, what)| before.get(*reg) != Some(*what));
    let new = new.map(|(reg, what)| format!("{reg}={what}"));
    let gone = before.keys().filter(|reg| !now.contains_key(*reg));
    let gone = gone.map(|reg| format!("-{reg}"));
    new.chain(gone).collect::<Vec<_>>().join("; ")
}

/// An instruction's text; where it jumps is a link.
fn linked(line: &str, program: usize) -> String {
    match line.rsplit_once("goto ") {
        Some((before, label)) if label.starts_with('L') => {
            format!(
                "{}goto <a href=\"#p{program}{label}\">{label}</a>",
                text(before)
            )
        }
        _ => text(line),
    }
}

/// Text that is neither markup nor the end of an attribute, and shows what would not be seen.
fn text(raw: &str) -> String {
    let shown = visible(raw);
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// RFC 4648 §4, as content security policies have it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let word = three
            .iter()
            .fold(0usize, |word, byte| word << 8 | usize::from(*byte));
        let word = word << (8 * (3 - three.len()));
        for digit in 0..4 {
            if digit <= three.len() {
                out.push(char::from(DIGITS[word >> (18 - 6 * digit) & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(
            text("</script><b a=\"x\">&\u{202e}"),
            "&lt;/script&gt;&lt;b a=&quot;x&quot;&gt;&amp;\\u{202e}"
        );
        assert_eq!(
            linked("if r1 < r2 goto L3", 4),
            "if r1 &lt; r2 goto <a href=\"#p4L3\">L3</a>"
        );
    }

    #[test]
    fn rows_hold_what_changes() {
        let one = registers("r1: 7; r2: any number");
        let two = registers("r2: any number; r3: map `x`");
        assert_eq!(changes(&one, &two), "r3=map `x`; -r1");
        assert_eq!(changes(&two, &two), "");
    }
}
