//! The table of commands, and dispatch.

use super::{
    CliError, args, asm, audit, bitcoin, check, completions, demo, disasm, exec, explain, features,
    learn, man, record, replay, run, simulate, usage, verify,
};
use crate::{demo as target, session::color};
use clap::{Arg, ArgMatches};
use std::{
    ffi::OsString,
    io::{self, Write},
};

/// How the program was called.
#[derive(Clone, Debug)]
pub struct Call {
    argv: Vec<OsString>,
    /// What stood after the first `--`.
    rest: Vec<OsString>,
    as_bpftrace: bool,
}

impl Call {
    /// Takes the words of the command line, the program's own name first.
    pub fn new(argv: impl Iterator<Item = OsString>) -> Self {
        let mut argv: Vec<OsString> = argv.collect();
        let as_bpftrace = argv
            .first()
            .and_then(|name| std::path::Path::new(name).file_name())
            .is_some_and(|name| name == "bpftrace");
        let rest = match argv.iter().position(|word| word == "--") {
            Some(at) => {
                let rest = argv.split_off(at + 1);
                argv.truncate(at);
                rest
            }
            None => Vec::new(),
        };
        Call {
            argv,
            rest,
            as_bpftrace,
        }
    }

    /// Called through a link named `bpftrace`.
    pub fn as_bpftrace(&self) -> bool {
        self.as_bpftrace
    }

    /// The words after `--`.
    pub fn rest(&self) -> &[OsString] {
        &self.rest
    }
}

/// A command of `baretrace`.
pub struct Command {
    /// The word that selects it.
    pub verb: &'static str,
    /// One line of help; empty for a command that is not shown.
    pub help: &'static str,
    /// Its arguments.
    pub args: fn(clap::Command) -> clap::Command,
    /// Runs it.
    pub run: fn(&ArgMatches, &Call) -> Result<(), CliError>,
}

impl Command {
    /// Not in help, manual or completions.
    pub fn hidden(&self) -> bool {
        self.help.is_empty()
    }
}

/// All commands but the one without a verb, which runs a script. Help, manual and completions follow this order.
pub const COMMANDS: &[Command] = &[
    Command {
        verb: "check",
        help: "Compile and verify a script, without root and without loading it",
        args: check::args,
        run: check::run,
    },
    Command {
        verb: "run",
        help: "Run a script, or with --load-exactly a bundle",
        args: |command| {
            let about = command.get_about().cloned().unwrap_or_default();
            args::add(command)
                .about(about)
                .override_usage("baretrace run [OPTIONS] FILE [ARGS…]\n       baretrace run [OPTIONS] --load-exactly BUNDLE [--policy FILE]")
        },
        run: run::run,
    },
    Command {
        verb: "audit",
        help: "Show, compare and prove what is loaded",
        args: audit::args,
        run: audit::run,
    },
    Command {
        verb: "simulate",
        help: "Run a script in user space, without root, on events from a file",
        args: simulate::args,
        run: simulate::run,
    },
    Command {
        verb: "record",
        help: "Run a script, or watch probes, and keep what they are told in a file",
        args: record::args,
        run: record::run,
    },
    Command {
        verb: "replay",
        help: "Run any script over a recording, without root",
        args: replay::args,
        run: replay::run,
    },
    Command {
        verb: "demo",
        help: "Watch a built-in target's P2P messages; no bitcoind needed",
        args: demo::args,
        run: demo::run,
    },
    Command {
        verb: "bitcoin",
        help: "Watch a bitcoind: messages, connections, coins, blocks",
        args: bitcoin::args,
        run: bitcoin::run,
    },
    Command {
        verb: "asm",
        help: "Assemble instructions",
        args: asm::args,
        run: asm::run,
    },
    Command {
        verb: "disasm",
        help: "Disassemble instructions",
        args: disasm::args,
        run: disasm::run,
    },
    Command {
        verb: "verify",
        help: "Say what the verifier would say of instructions, without loading them",
        args: verify::args,
        run: verify::run,
    },
    Command {
        verb: "exec",
        help: "Execute instructions in user space or in the kernel",
        args: exec::args,
        run: exec::run,
    },
    Command {
        verb: "explain",
        help: "Say what an instruction, an operator, a helper or a line of a verifier log means",
        args: explain::args,
        run: explain::run,
    },
    Command {
        verb: "learn",
        help: "Learn what the kernel does, in short lessons on this machine",
        args: learn::args,
        run: learn::run,
    },
    Command {
        verb: "features",
        help: "Say what this kernel offers and what this process may do",
        args: |command| command,
        run: features::run,
    },
    Command {
        verb: "completions",
        help: "Print completions for a shell",
        args: completions::args,
        run: completions::run,
    },
    Command {
        verb: "man",
        help: "Print the manual page",
        args: |command| command,
        run: man::run,
    },
    Command {
        verb: "demo-target",
        help: "",
        args: |command| {
            command.disable_help_flag(true).arg(
                Arg::new("words")
                    .num_args(0..)
                    .trailing_var_arg(true)
                    .allow_hyphen_values(true),
            )
        },
        run: demo_target,
    },
];

/// The built-in target; its options are its own.
fn demo_target(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let words: Vec<String> = matches
        .get_many::<String>("words")
        .map(|words| words.cloned().collect())
        .unwrap_or_default();
    target::target::run(&words).map_err(CliError::failed)
}

/// The command that `word` nearly spells.
pub(super) fn similar(word: &str) -> Option<&'static str> {
    COMMANDS
        .iter()
        .filter(|row| !row.hidden())
        .map(|row| row.verb)
        .find(|verb| word.len() >= 3 && (verb.starts_with(word) || word.starts_with(verb)))
}

/// The whole command line as clap sees it; as `bpftrace` there are no verbs.
pub(super) fn clap_command(as_bpftrace: bool) -> clap::Command {
    let (name, version) = if as_bpftrace {
        (
            "bpftrace",
            concat!("v0.27.1 (baretrace ", env!("CARGO_PKG_VERSION"), ")"),
        )
    } else {
        ("baretrace", env!("CARGO_PKG_VERSION"))
    };
    let command = args::add(clap::Command::new(name).version(version));
    if as_bpftrace {
        return command
            .disable_help_subcommand(true)
            .args_override_self(true)
            .infer_long_args(true);
    }
    command
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .subcommands(
            COMMANDS.iter().map(|row| {
                (row.args)(clap::Command::new(row.verb).about(row.help)).hide(row.hidden())
            }),
        )
}

/// Runs what the command line asks for.
///
/// # Errors
/// What the command could not do, with the exit code it stands for.
pub fn dispatch(call: &Call) -> Result<(), CliError> {
    if let Some(text) = color::complaint().filter(|_| call.as_bpftrace) {
        // Whoever closed stderr does not want to know.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    let matches = match clap_command(call.as_bpftrace).try_get_matches_from(&call.argv) {
        Ok(matches) => matches,
        Err(err) if err.use_stderr() && call.as_bpftrace => return Err(usage::of(&err)),
        Err(err) if err.use_stderr() => {
            return Err(CliError::Usage(err.to_string().trim_end().to_string()));
        }
        Err(help_or_version) => return super::out::print(&help_or_version.to_string()),
    };
    let mut of_verb = &matches;
    while let Some((_, sub)) = of_verb.subcommand() {
        of_verb = sub;
    }
    if let Ok(Some(true)) = of_verb.try_get_one::<bool>("trace-syscalls") {
        trace_syscalls();
    }
    match matches.subcommand() {
        Some((verb, sub)) => match COMMANDS.iter().find(|row| row.verb == verb) {
            Some(row) => (row.run)(sub, call),
            None => Err(CliError::failed(format!("no command `{verb}`"))),
        },
        None => run::run(&matches, call),
    }
}

/// From now on each system call is told on stderr.
fn trace_syscalls() {
    crate::sys::trace::start(|text| {
        // Whoever closed stderr does not want to know.
        let _ = io::stderr().write_all(text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn call(words: &[&str]) -> Call {
        Call::new(words.iter().map(OsString::from))
    }

    #[test]
    fn verbs_are_unique_and_clap_accepts_the_table() {
        let verbs: HashSet<_> = COMMANDS.iter().map(|row| row.verb).collect();
        assert_eq!(verbs.len(), COMMANDS.len());
        clap_command(false).debug_assert();
        clap_command(true).debug_assert();
    }

    #[test]
    fn the_name_decides() {
        assert!(call(&["/usr/local/bin/bpftrace", "x"]).as_bpftrace());
        assert!(!call(&["./baretrace"]).as_bpftrace());
        assert!(!call(&[]).as_bpftrace());
    }

    #[test]
    fn words_after_the_dashes_are_kept_apart() {
        let call = call(&["baretrace", "x.bt", "1", "--", "--a=2", "3"]);
        assert_eq!(call.argv.len(), 3);
        assert_eq!(call.rest(), ["--a=2", "3"]);
    }

    #[test]
    fn a_verb_after_a_script_is_a_parameter() {
        let matches = clap_command(false).try_get_matches_from(["baretrace", "x.bt", "man"]);
        assert!(matches.is_ok_and(|m| m.subcommand().is_none()));
    }
}
