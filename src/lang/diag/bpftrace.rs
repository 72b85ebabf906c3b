//! Diagnostics in bpftrace's form: `file:line:from-to: ERROR: what`, the line, and tildes under the place.

use super::{Diagnostic, Severity};
use crate::span::Span;
use std::fmt::Write;

/// What bpftrace says of the same fault, and where, as far as that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its place, if it is another.
    pub span: Option<Span>,
    /// Its sentence; empty where it says nothing.
    pub message: String,
    /// What it says of other places after it.
    pub more: Vec<(Span, String)>,
    /// Its `HINT:`.
    pub hint: Option<String>,
    /// It is Clang that says it, of the script's C definitions.
    pub clang: bool,
}

/// The diagnostics as bpftrace prints them.
pub fn render(diags: &[Diagnostic], script_name: &str, source: &str, color: bool) -> String {
    let mut out = String::new();
    for diag in diags {
        let (word, paint) = match diag.severity {
            Severity::Error => ("ERROR", "31"),
            Severity::Warning => ("WARNING", "33"),
        };
        let head = Head {
            script_name,
            word,
            paint: color.then_some(paint),
        };
        match &diag.said {
            Some(said) if said.message.is_empty() => {}
            Some(said) => {
                head.put(
                    &mut out,
                    said.span.unwrap_or(diag.span),
                    &said.message,
                    source,
                );
                for (span, message) in &said.more {
                    head.put(&mut out, *span, message, source);
                }
                hint(&mut out, said.hint.as_deref());
            }
            None => {
                let message = match diag.label.as_str() {
                    "" => diag.message.clone(),
                    label => format!("{}: {label}", diag.message),
                };
                head.put(&mut out, diag.span, &message, source);
                hint(&mut out, diag.help.as_deref());
            }
        }
    }
    out
}

fn hint(out: &mut String, hint: Option<&str>) {
    if let Some(hint) = hint {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "HINT: {hint}");
    }
}

struct Head<'a> {
    script_name: &'a str,
    word: &'a str,
    paint: Option<&'a str>,
}

impl Head<'_> {
    fn put(&self, out: &mut String, span: Span, message: &str, source: &str) {
        if span == Span::default() {
            // It is about no place.
            let line = format!("{}: {message}", self.word);
            // Writing to a String cannot fail.
            let _ = match self.paint {
                Some(paint) => writeln!(out, "\x1b[{paint}m{line}\x1b[0m"),
                None => writeln!(out, "{line}"),
            };
            return;
        }
        let place = place(span, source);
        let line = format!("{}:{place}: {}: {message}", self.script_name, self.word);
        // Writing to a String cannot fail.
        let _ = match self.paint {
            Some(paint) => writeln!(out, "\x1b[{paint}m{line}\x1b[0m"),
            None => writeln!(out, "{line}"),
        };
        out.push_str(&excerpt(span, source));
    }
}

/// What Clang says of wrong C definitions, which it reads one to a line from `definitions.h`; nothing where none is.
pub fn clang(diags: &[Diagnostic], definitions: &[Span], source: &str) -> Option<String> {
    let mut out = String::new();
    let mut unknown = false;
    for diag in diags {
        let Some(said) = diag.said.as_ref().filter(|said| said.clang) else {
            continue;
        };
        let at = said.span.unwrap_or(diag.span).start;
        let inside = |def: &&Span| def.start <= at && at <= def.end;
        let def = definitions.iter().find(inside).copied().unwrap_or_default();
        let text = |from: u32, to: u32| source.get(from as usize..to as usize).unwrap_or("");
        let before = definitions.iter().take_while(|d| d.start < def.start);
        let lines: usize = before
            .map(|d| 1 + text(d.start, d.end).matches('\n').count())
            .sum();
        let head = text(def.start, at);
        let line = 2 + lines + head.matches('\n').count();
        let column = 1 + head.len() - head.rfind('\n').map_or(0, |i| i + 1);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "definitions.h:{line}:{column}: error: {}",
            said.message
        );
        unknown |= said.message.starts_with("unknown type name");
    }
    if out.is_empty() {
        return None;
    }
    out.push_str(if unknown {
        "ERROR: Include headers with missing type definitions or install BTF information to your system."
    } else {
        "Clang parse error"
    });
    Some(out)
}

/// First and last position of a span.
fn ends(span: Span, source: &str) -> [(usize, usize); 2] {
    [span.start, span.end.max(span.start)].map(|at| position(source, at as usize))
}

/// `LINE:FROM-TO`, columns from 1 and the last one excluded; `FIRST-LAST` for a span over several lines.
pub fn place(span: Span, source: &str) -> String {
    let [(first, from), (last, to)] = ends(span, source);
    if first == last {
        format!("{first}:{from}-{to}")
    } else {
        format!("{first}-{last}")
    }
}

/// Line and column at which a span begins.
pub fn start(span: Span, source: &str) -> (usize, usize) {
    ends(span, source)[0]
}

/// The lines of a span; under a single one tildes that mark it.
pub fn excerpt(span: Span, source: &str) -> String {
    let [(first, from), (last, to)] = ends(span, source);
    let mut out = String::new();
    for line in source.lines().skip(first - 1).take(last - first + 1) {
        if first != last {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", line.replace('\t', "    "));
        let before = line.bytes().take(from - 1);
        let blanks: usize = before.map(|b| if b == b'\t' { 4 } else { 1 }).sum();
        let _ = writeln!(out, "{}{}", " ".repeat(blanks), "~".repeat(to - from));
    }
    out
}

/// Line and column of a byte, both from 1; columns count bytes.
fn position(source: &str, at: usize) -> (usize, usize) {
    let before = &source.as_bytes()[..at.min(source.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |p| p + 1);
    (line, before.len() - start + 1)
}

/// Words of other messages, as bpftrace spells and colors them: `error: ` at the start of a line is `ERROR: `.
pub fn words(text: &str, color: bool) -> String {
    const WORDS: &[(&str, &str, &str)] = &[
        ("error: ", "ERROR: ", "31"),
        ("warning: ", "WARNING: ", "33"),
        ("help: ", "HINT: ", ""),
    ];
    let lines = text.split('\n').map(|line| {
        let found = WORDS.iter().find(|(ours, ..)| line.starts_with(ours));
        found.map_or(line.to_string(), |(ours, theirs, paint)| {
            let line = format!("{theirs}{}", &line[ours.len()..]);
            match color && !paint.is_empty() {
                true => format!("\x1b[{paint}m{line}\x1b[0m"),
                false => line,
            }
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str, start: u32, end: u32) -> String {
        let diag = Diagnostic::error(Span::new(start, end), "ours").said("theirs");
        render(&[diag], "x.bt", source, false)
    }

    #[test]
    fn one_line_is_underlined() {
        assert_eq!(
            shown("begin {\n\t$a\n}", 9, 11),
            "x.bt:2:2-4: ERROR: theirs\n    $a\n    ~~\n"
        );
    }

    #[test]
    fn several_lines_are_shown() {
        assert_eq!(
            shown("begin {\n\tprint(\n1);\n}", 9, 18),
            "x.bt:2-3: ERROR: theirs\n\tprint(\n1);\n"
        );
    }

    #[test]
    fn without_words_of_its_own_ours_are_taken() {
        let diag = Diagnostic::warning(Span::new(0, 1), "odd").help("do not");
        assert_eq!(
            render(&[diag], "stdin", "ab", true),
            "\x1b[33mstdin:1:1-2: WARNING: odd\x1b[0m\nab\n~\nHINT: do not\n"
        );
    }

    #[test]
    fn words_at_the_start_of_a_line() {
        assert_eq!(
            words("error: no error: here\nhelp: x", false),
            "ERROR: no error: here\nHINT: x"
        );
    }
}
