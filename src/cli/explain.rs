//! `baretrace explain WORDS`: what an instruction, an operator, a helper or a line of a verifier log means.

use super::{
    Call, CliError, out,
    program::{Source, hex_lines},
};
use crate::{
    asm::{
        self, Insn,
        disasm::Style,
        forms,
        helper::{self},
        table::{self, Since},
        text,
    },
    explain, suggest,
};
use clap::{Arg, ArgMatches};
use std::fmt::Write;

/// Forms listed of one name.
const LISTED: usize = 40;
/// Names listed of those that hold the word.
const NEAR: usize = 6;

pub(super) fn args(command: clap::Command) -> clap::Command {
    command.arg(
        Arg::new("words")
            .required(true)
            .num_args(1..)
            .value_name("WORDS")
            .allow_hyphen_values(true)
            .help(
                "Instruction (`r1 = *(u64 *)(r0 +8)`, `ldxdw r1, [r0+8]`, or its bytes in hex) or its name (`ldxdw`), \
                 operator (`s/=`, `s>`), helper by name or number, or a line of a verifier log",
            ),
    )
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let words = matches.get_many::<String>("words").into_iter().flatten();
    let words: Vec<&str> = words.map(String::as_str).collect();
    let text = words.join(" ");
    let text = text.trim();
    match explain(text)? {
        Some(answer) => out::print(&answer),
        None => Err(unknown(text)),
    }
}

/// What is known of the text; an error for bytes that are no instruction.
fn explain(text: &str) -> Result<Option<String>, CliError> {
    if let Some(answer) = explain::helper(text).or_else(|| operator(text)) {
        return Ok(Some(answer));
    }
    if let Ok(insn) = text::parse_insn(text) {
        return Ok(Some(explain::insn(&insn)));
    }
    if let Some(answer) = named(text).or_else(|| explain::verifier(text)) {
        return Ok(Some(answer));
    }
    let digits = |c: char| c.is_ascii_hexdigit() || c.is_whitespace();
    let bare = text.strip_prefix("0x").unwrap_or(text);
    if bare.chars().all(digits) && bare.chars().filter(char::is_ascii_hexdigit).count() >= 8 {
        let source = Source::new("WORDS", text);
        let insns = source.bytes()?.decode()?;
        let all: Vec<String> = insns.iter().map(explain::insn).collect();
        return Ok(Some(all.join("\n")));
    }
    Ok(None)
}

/// All forms of the instruction with this name in the mnemonic dialect, the first of them explained.
fn named(name: &str) -> Option<String> {
    let found: Vec<Insn> = forms::all()
        .into_iter()
        .filter(|insn| mnemonic(insn) == name)
        .collect();
    let (first, rest) = found.split_first()?;
    let mut text = explain::insn(first);
    if !rest.is_empty() {
        text.push_str("\nforms\n");
    }
    for insn in found.iter().take(LISTED).filter(|_| !rest.is_empty()) {
        let bytes = asm::encode(&[*insn])
            .map(|bytes| hex_lines(&bytes))
            .unwrap_or_default();
        let bytes = bytes.trim_end().replace('\n', " ");
        let kernel = insn.to_string();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {bytes}  {kernel:<32}  {}",
            insn.display(Style::Mnemonic)
        );
    }
    Some(text)
}

/// The instruction's name in the mnemonic dialect: the first word, and the second behind `lock`.
fn mnemonic(insn: &Insn) -> String {
    let text = insn.display(Style::Mnemonic).to_string();
    let mut words = text.split([' ', ',']);
    match words.next() {
        Some("lock") => words.next().unwrap_or("lock").to_owned(),
        first => first.unwrap_or("").to_owned(),
    }
}

/// All that `explain` knows by name.
fn names() -> Vec<String> {
    let mut names: Vec<String> = helper::HELPERS
        .iter()
        .flat_map(|helper| [helper.name, helper.name.strip_prefix("bpf_").unwrap_or("")])
        .map(str::to_owned)
        .chain(rows().map(|row| row.name.to_owned()))
        .chain(forms::all().iter().map(mnemonic))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Nothing of that name: what comes near, or what is wrong with it as an instruction.
fn unknown(text: &str) -> CliError {
    let what = format!(
        "explain `{text}`: no instruction, operator, helper or verifier message that is known"
    );
    let names = names();
    let near = suggest::closest(text, names.iter().map(String::as_str));
    let inside: Vec<&str> = match text.len() {
        0..4 => Vec::new(),
        _ => names
            .iter()
            .map(String::as_str)
            .filter(|name| name.contains(text))
            .take(NEAR)
            .collect(),
    };
    // A part of a name is nearer than another short name.
    match near {
        Some(near) if inside.is_empty() || inside.contains(&near) => {
            return CliError::with_help(what, format!("did you mean `{near}`?"));
        }
        _ if !inside.is_empty() => {
            return CliError::with_help(
                what,
                format!("did you mean one of {}?", inside.join(", ")),
            );
        }
        _ => {}
    }
    // A sentence may be a message; what holds a register or a sign is an instruction gone wrong.
    let is_insn = text.contains(['=', '[', '*']) || text.contains(" r") || text.contains('%');
    if let (true, Err(error)) = (is_insn, text::parse_insn(text)) {
        return Source::new("WORDS", text).text_errors(&[error]);
    }
    CliError::with_help(
        what,
        "give an instruction (`r1 += 2`, `add r1, 2`, 0701000002000000), its name, a helper (`ktime_get_ns`), or the \
         line in which the verifier objects",
    )
}

/// Operators and operations by symbol or name; several tables may have it.
fn operator(word: &str) -> Option<String> {
    let mut text = String::new();
    for row in rows().filter(|row| row.sym == word || row.name == word) {
        let sym = match row.sym {
            "" => String::new(),
            sym => format!("{sym} "),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{sym}({})  {}", row.name, plain(row.means));
        let _ = writeln!(
            text,
            "    since kernel {}; RFC 9669 {}",
            row.since, row.section
        );
    }
    if text.is_empty() {
        return None;
    }
    // An operation's name is also that of its instructions.
    if let Some(forms) = named(word) {
        text.push('\n');
        text.push_str(&forms);
    }
    Some(text)
}

/// A row of any of the instruction set's tables, as far as this command goes.
struct Row {
    sym: &'static str,
    name: &'static str,
    since: Since,
    means: &'static str,
    section: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    let alu = table::ALU.iter().map(|row| Row {
        sym: row.sym,
        name: row.name,
        since: row.since,
        means: row.means,
        section: "§4.1",
    });
    let conds = table::CONDS.iter().map(|row| Row {
        sym: row.sym,
        name: row.name,
        since: row.since,
        means: row.means,
        section: "§4.3",
    });
    let atomics = table::ATOMICS.iter().map(|row| Row {
        sym: row.sym,
        name: row.name,
        since: row.since,
        means: row.means,
        section: "§5.3 (atomic)",
    });
    let endians = table::ENDIANS.iter().map(|row| Row {
        sym: row.name,
        name: row.mnemonic,
        since: row.since,
        means: row.means,
        section: "§4.2",
    });
    alu.chain(conds).chain(atomics).chain(endians)
}

/// The sentence with its placeholders as plain words.
fn plain(means: &str) -> String {
    means.replace(['{', '}'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str) -> String {
        explain(text).unwrap().unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn helpers_by_name_and_number() {
        let by_name = ok("ktime_get_ns");
        assert_eq!(ok("5"), by_name);
        assert_eq!(ok("bpf_ktime_get_ns"), by_name);
        assert!(by_name.starts_with("bpf_ktime_get_ns#5: "));
    }

    #[test]
    fn operators() {
        assert!(ok("s/=").contains("6.6"));
        assert!(ok("s>").contains("§4.3"));
        assert!(ok("+=").contains("atomic"));
        assert!(ok("add").contains("\nforms\n"));
    }

    #[test]
    fn every_form_is_explained_in_both_dialects_by_bytes_and_by_name() {
        for insn in forms::all() {
            let want = explain::insn(&insn);
            let bytes = hex_lines(&asm::encode(&[insn]).unwrap());
            assert_eq!(ok(&bytes.replace('\n', " ")), want);
            assert_eq!(ok(&insn.to_string()), want, "{insn}");
            let text = insn.display(Style::Mnemonic).to_string();
            assert_eq!(ok(&text), want, "{text}");
            ok(&mnemonic(&insn));
        }
    }

    #[test]
    fn lines_of_the_verifier() {
        assert!(ok("R2 !read_ok").contains("\n  fix "));
        assert!(ok("unreachable insn 3").contains("no path leads"));
    }

    #[test]
    fn what_is_not_known_is_answered_with_what_is_near() {
        for (text, near) in [
            ("ktime_get_n", "did you mean `ktime_get_ns`?"),
            ("ldxqw", "did you mean `ldx"),
            ("perf_event", "did you mean one of bpf_perf_event_output"),
            ("r1 = r11", "no register is called `r11`"),
            ("0701000002", "only 5 of 8 bytes"),
            ("what is this", "give an instruction"),
        ] {
            let said = match explain(text) {
                Ok(None) => unknown(text),
                Err(err) => err,
                Ok(Some(answer)) => panic!("{answer}"),
            };
            assert!(said.to_string().contains(near), "{text}: {said}");
        }
    }
}
