//! `baretrace learn [LESSON]`: the course.

use super::{Call, CliError, out};
use crate::{
    kernel::detect,
    learn::{LESSONS, Lesson, Machine, Page, Progress, find, folded},
    suggest,
    sys::errno::Described,
};
use clap::{Arg, ArgAction, ArgMatches};
use std::{
    env,
    io::{BufRead, IsTerminal},
};

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
        .arg(switch("forget", "Forget which lessons were answered").conflicts_with("lesson"))
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let missing = detect::missing_rights(false);
    let machine = Machine {
        kernel: missing.is_empty() && !matches.get_flag("no-kernel"),
    };
    let place = Progress::place(env::var_os("XDG_STATE_HOME"), env::var_os("HOME"));
    let mut progress = Progress::read(place);
    if matches.get_flag("forget") {
        progress.forget().map_err(|(path, err)| {
            let (path, why) = (path.display(), Described(&err));
            CliError::failed(format!("remove `{path}`: {why}"))
        })?;
    }
    let Some(word) = matches.get_one::<String>("lesson") else {
        return out::print(&list(machine, &progress));
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
            Ok(()) => right(&mut progress, lesson, &next),
            Err(why) => {
                out::print(&format!("Not right: {why}. --hints and --solution help.\n"))?;
                Err(CliError::Negative)
            }
        },
        None => ask(&page)?.map_or(Ok(()), |()| right(&mut progress, lesson, &next)),
    }
}

/// Says that an answer is right, and notes it.
fn right(progress: &mut Progress, lesson: &Lesson, next: &str) -> Result<(), CliError> {
    out::print(&format!("Right.{next}\n"))?;
    if let Err((path, err)) = progress.add(lesson.name) {
        // The lesson went well all the same.
        eprintln!(
            "warning: progress is not kept: write `{}`: {}",
            path.display(),
            Described(&err)
        );
    }
    Ok(())
}

/// Reads answers until one is right, or the last try; `None` if there is none.
fn ask(page: &Page) -> Result<Option<()>, CliError> {
    let stdin = std::io::stdin();
    let prompt = if stdin.is_terminal() { "> " } else { "" };
    let mut lines = stdin.lock().lines();
    for tried in 0..TRIES {
        out::print(prompt)?;
        let Some(answer) = lines.next().transpose()? else {
            if tried == 0 {
                out::print("Answer with --answer TEXT, or on standard input.\n")?;
                return Ok(None);
            }
            return Err(CliError::Negative);
        };
        match page.judge(&answer) {
            Ok(()) => return Ok(Some(())),
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
fn list(machine: Machine, progress: &Progress) -> String {
    let mut text = String::from("Lessons, each run on this machine; begin with the first:\n\n");
    for (at, lesson) in LESSONS.iter().enumerate() {
        let done = match progress.is_done(lesson.name) {
            true => "done",
            false => "",
        };
        let line = format!(
            "  {}  {:<9} {:<55} {done}",
            at + 1,
            lesson.name,
            lesson.title
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    match LESSONS.iter().find(|lesson| !progress.is_done(lesson.name)) {
        Some(next) => text.push_str(&format!("\n  baretrace learn {}\n", next.name)),
        None => text.push_str("\nAll are answered; `baretrace learn --forget` begins again.\n"),
    }
    if !machine.kernel {
        text.push_str("\nThis process may not load programs: they run in user space.\n");
    }
    text
}
