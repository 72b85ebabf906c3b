//! `baretrace learn [LESSON]`: the course.

use super::{Call, CliError, out};
use crate::{
    kernel::detect,
    learn::{LESSONS, Machine, Page, find, folded},
    suggest,
};
use clap::{Arg, ArgAction, ArgMatches};
use std::io::{BufRead, IsTerminal};

/// Answers that may be given before the solution is shown.
const TRIES: usize = 3;

pub(super) fn args(command: clap::Command) -> clap::Command {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue)
    };
    command
        .arg(
            Arg::new("lesson")
                .value_name("LESSON")
                .help("Name or number; all are listed without it"),
        )
        .arg(
            Arg::new("answer")
                .long("answer")
                .value_name("TEXT")
                .help("Answer the exercise without being asked: exit code 1 if that is wrong")
                .allow_hyphen_values(true),
        )
        .arg(switch("hints", "Show what helps"))
        .arg(switch("solution", "Show the solution"))
        .arg(switch(
            "no-kernel",
            "Run in user space even where the kernel may be asked",
        ))
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let missing = detect::missing_rights(false);
    let machine = Machine {
        kernel: missing.is_empty() && !matches.get_flag("no-kernel"),
    };
    let Some(word) = matches.get_one::<String>("lesson") else {
        return out::print(&list(machine));
    };
    let Some(lesson) = find(word) else {
        let near = suggest::closest(word, LESSONS.iter().map(|lesson| lesson.name));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`baretrace learn` lists them".to_owned(),
        };
        return Err(CliError::Usage(format!(
            "error: no lesson `{word}`\nhelp: {help}"
        )));
    };
    let number = LESSONS
        .iter()
        .position(|row| row.name == lesson.name)
        .map_or(0, |at| at + 1);
    let page = (lesson.run)(machine)
        .map_err(|what| CliError::failed(format!("lesson `{}`: {what}", lesson.name)))?;
    let place = if machine.kernel {
        ""
    } else {
        "\n(in user space: this process does not ask the kernel)"
    };
    out::print(&format!(
        "{number}. {}{place}\n\n{}\nRead: {}\n\nExercise: {}\n",
        lesson.title, page.text, lesson.source, page.question
    ))?;
    if matches.get_flag("hints") {
        for hint in &page.hints {
            out::print(&format!("Hint: {}.\n", folded(hint, 6)))?;
        }
    }
    if matches.get_flag("solution") {
        return out::print(&format!("Solution: {}.\n", folded(&page.solution, 10)));
    }
    let next = LESSONS.get(number).map_or(String::new(), |next| {
        format!(" Next: `baretrace learn {}`.", next.name)
    });
    match matches.get_one::<String>("answer") {
        Some(answer) => match page.judge(answer) {
            Ok(()) => out::print(&format!("Right.{next}\n")),
            Err(why) => {
                out::print(&format!("Not right: {why}. --hints and --solution help.\n"))?;
                Err(CliError::Negative)
            }
        },
        None => ask(&page, &next),
    }
}

/// Reads answers until one is right, or the last try.
fn ask(page: &Page, next: &str) -> Result<(), CliError> {
    let stdin = std::io::stdin();
    let prompt = if stdin.is_terminal() { "> " } else { "" };
    let mut lines = stdin.lock().lines();
    for tried in 0..TRIES {
        out::print(prompt)?;
        let Some(answer) = lines.next().transpose()? else {
            if tried == 0 {
                return out::print("Answer with --answer TEXT, or on standard input.\n");
            }
            return Err(CliError::Negative);
        };
        match page.judge(&answer) {
            Ok(()) => return out::print(&format!("Right.{next}\n")),
            Err(why) => out::print(&format!("Not right: {why}.\n"))?,
        }
        if let Some(hint) = page.hints.get(tried) {
            out::print(&format!("Hint: {}.\n", folded(hint, 6)))?;
        }
    }
    out::print(&format!("Solution: {}.\n", folded(&page.solution, 10)))?;
    Err(CliError::Negative)
}

/// All lessons.
fn list(machine: Machine) -> String {
    let mut text = String::from("Lessons, each run on this machine; begin with the first:\n\n");
    for (at, lesson) in LESSONS.iter().enumerate() {
        text.push_str(&format!(
            "  {}  {:<9} {}\n",
            at + 1,
            lesson.name,
            lesson.title
        ));
    }
    text.push_str("\n  baretrace learn insn\n");
    if !machine.kernel {
        text.push_str("\nThis process may not load programs: they run in user space.\n");
    }
    text
}
