//! `baretrace explain WORD`: what an operator, an instruction or a helper means.

use super::{Call, CliError, out};
use crate::{
    asm::{
        helper::{self, Helper},
        table::{self, Since},
    },
    suggest,
};
use clap::{Arg, ArgMatches};
use std::fmt::Write;

pub(super) fn args(command: clap::Command) -> clap::Command {
    command.arg(
        Arg::new("word")
            .required(true)
            .value_name("WORD")
            .allow_hyphen_values(true)
            .help(
                "Helper by name or number, operator (`s/=`, `s>`), or instruction name (`bswap`)",
            ),
    )
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let word = matches.get_one::<String>("word").map_or("", String::as_str);
    match explain(word) {
        Some(text) => out::print(&text),
        None => Err(unknown(word)),
    }
}

fn unknown(word: &str) -> CliError {
    let names = helper::HELPERS.iter().map(|helper| helper.name);
    let short = helper::HELPERS
        .iter()
        .filter_map(|helper| helper.name.get(4..));
    let what = format!("explain `{word}`: no helper, operator or instruction of that name");
    match suggest::closest(word, names.chain(short).chain(rows().map(|row| row.name))) {
        Some(near) => CliError::with_help(what, format!("did you mean `{near}`?")),
        None => CliError::failed(what),
    }
}

fn explain(word: &str) -> Option<String> {
    let by_number = word.parse().ok().and_then(helper::by_id);
    if let Some(helper) = by_number.or_else(|| helper::by_name(word)) {
        return Some(of_helper(helper));
    }
    let mut text = String::new();
    for row in rows().filter(|row| row.sym == word || row.name == word) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} ({})  {}", row.sym, row.name, plain(row.means));
        let _ = writeln!(
            text,
            "    since kernel {}; RFC 9669 {}",
            row.since, row.section
        );
    }
    (!text.is_empty()).then_some(text)
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

fn of_helper(helper: &Helper) -> String {
    let mut text = format!(
        "{}  (helper {})\n    {}\n",
        helper.name, helper.id, helper.does
    );
    for (number, arg) in helper.args.iter().enumerate() {
        let _ = writeln!(text, "    r{}  {arg:?}", number + 1);
    }
    let _ = writeln!(text, "    r0  {:?}", helper.ret);
    let licence = if helper.gpl_only {
        "; only for programs under a GPL-compatible licence"
    } else {
        ""
    };
    let _ = writeln!(text, "    since kernel {}{licence}", helper.since);
    let _ = writeln!(text, "    see include/uapi/linux/bpf.h");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_by_name_and_number() {
        let by_name = explain("ktime_get_ns").unwrap();
        assert_eq!(explain("5").unwrap(), by_name);
        assert_eq!(explain("bpf_ktime_get_ns").unwrap(), by_name);
        assert!(by_name.starts_with("bpf_ktime_get_ns  (helper 5)\n"));
    }

    #[test]
    fn operators() {
        assert!(explain("s/=").unwrap().contains("6.6"));
        assert!(explain("s>").unwrap().contains("§4.3"));
        assert!(explain("+=").unwrap().contains("atomic"));
        assert!(
            unknown("ktime_get_n")
                .to_string()
                .contains("did you mean `ktime_get_ns`?")
        );
    }
}
