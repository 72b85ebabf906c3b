//! Diagnostics in the form that bpftrace gives them: `FILE:LINE:FROM-TO: ERROR: message`, the line, a line of `~`.

use super::diag::{Diagnostic, Severity};
use crate::span::Span;
use std::fmt::Write;

/// The place of a span: `LINE:FROM-TO`, columns counted from 1 with the last one excluded; `FIRST-LAST` for a span
/// over several lines.
pub fn place(span: Span, source: &str) -> String {
    let (line, from) = span.line_col(source);
    let (last, to) = Span::new(span.end.max(span.start), 0).line_col(source);
    if last > line {
        format!("{line}-{last}")
    } else {
        format!("{line}:{from}-{to}")
    }
}

/// The diagnostics, one after the other.
pub fn render(diags: &[Diagnostic], script_name: &str, source: &str) -> String {
    let mut out = String::new();
    for diag in diags {
        one(&mut out, diag, script_name, source);
    }
    out
}

fn one(out: &mut String, diag: &Diagnostic, script_name: &str, source: &str) {
    let word = match diag.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
    };
    let said = match diag.label.as_str() {
        "" => diag.message.clone(),
        label => format!("{}: {label}", diag.message),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{script_name}:{}: {word}: {said}",
        place(diag.span, source)
    );
    let (line, column) = diag.span.line_col(source);
    let (last, end) = Span::new(diag.span.end.max(diag.span.start), 0).line_col(source);
    let lines = source.lines().skip(line - 1).take(last - line + 1);
    for text in lines {
        let _ = writeln!(out, "{text}");
    }
    if last == line {
        let text = source.lines().nth(line - 1).unwrap_or("");
        let left = text.chars().take(column - 1);
        let left: String = left.map(|c| if c == '\t' { c } else { ' ' }).collect();
        let _ = writeln!(out, "{left}{}", "~".repeat((end - column).max(1)));
    }
    if let Some(help) = &diag.help {
        let _ = writeln!(out, "HINT: {help}");
    }
}

/// Words of other messages, as bpftrace spells them: `error: ` at the start of a line is `ERROR: `.
pub fn words(text: &str) -> String {
    const WORDS: &[(&str, &str)] = &[
        ("error: ", "ERROR: "),
        ("warning: ", "WARNING: "),
        ("help: ", "HINT: "),
    ];
    let lines = text.split('\n').map(|line| {
        let found = WORDS.iter().find(|(ours, _)| line.starts_with(ours));
        found.map_or(line.to_string(), |(ours, theirs)| {
            format!("{theirs}{}", &line[ours.len()..])
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_several() {
        let source = "BEGIN {\n\tprint(a,\n1);\n}";
        let diag = |start, end| Diagnostic::error(Span::new(start, end), "no").help("do");
        assert_eq!(
            render(&[diag(15, 16)], "x.bt", source),
            "x.bt:2:8-9: ERROR: no\n\tprint(a,\n\t      ~\nHINT: do\n"
        );
        assert_eq!(
            render(&[diag(9, 19)], "x.bt", source),
            "x.bt:2-3: ERROR: no\n\tprint(a,\n1);\nHINT: do\n"
        );
        let end = Diagnostic::warning(Span::new(99, 99), "m");
        assert_eq!(render(&[end], "x", "ä"), "x:1:2-2: WARNING: m\nä\n ~\n");
    }

    #[test]
    fn words_at_the_start_of_a_line() {
        assert_eq!(
            words("error: no error: here\nhelp: x"),
            "ERROR: no error: here\nHINT: x"
        );
    }
}
