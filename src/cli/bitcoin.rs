//! `baretrace bitcoin TOOL`: Bitcoin Core's tools.

use super::{Call, CliError, args::TRACE_SYSCALLS, out};
use crate::{
    bitcoin::{
        bench,
        node::Which,
        pcapng::CHAINS,
        schema,
        tool::{self, CONNECTBLOCK, Options, Raw, TOOLS, Tool, ToolError},
    },
    kernel::detect,
    session::SessionError,
    trace::{Filter, FilterError},
};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use std::{path::PathBuf, time::Duration};

pub(super) fn args(command: clap::Command) -> clap::Command {
    let tools = TOOLS.iter().map(|tool| {
        let command = common(clap::Command::new(tool.verb).about(tool.help));
        let command = match tool.verb {
            // A screen is not written to a file.
            _ if tool.screen.is_some() => command.mut_arg("output", |arg| arg.requires("json")),
            CONNECTBLOCK => return blocks(command),
            _ if tool.payload => raw(command),
            _ => command,
        };
        // As Bitcoin Core's programs take it.
        command.arg(
            Arg::new("process")
                .value_name("PID")
                .value_parser(value_parser!(u32).range(1..))
                .conflicts_with_all(["bin", "pid", "datadir"])
                .help("As --pid"),
        )
    });
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
    command
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand_value_name("TOOL")
        .subcommand_help_heading("Tools")
        .subcommands(tools)
        .subcommand(
            clap::Command::new("schema")
                .about("Print the tracepoints with their arguments, types and units")
                .arg(json.help("As one JSON value")),
        )
}

/// What all tools take.
fn common(command: clap::Command) -> clap::Command {
    let one = ["bin", "pid", "datadir"];
    let which = |id: &'static str, word: &'static str, help: &'static str| {
        let others = one.into_iter().filter(move |other| *other != id);
        Arg::new(id)
            .long(id)
            .value_name(word)
            .help(help)
            .conflicts_with_all(others)
    };
    let path = value_parser!(PathBuf);
    command.args([
        which("bin", "PATH", "Trace what runs this bitcoind, now or later [default: every bitcoind that runs]").value_parser(path.clone()),
        which("pid", "PID", "Trace this process, and what is started in its stead").value_parser(value_parser!(u32).range(1..)),
        which("datadir", "DIR", "Trace the node of this data directory, by its pid file").value_parser(path.clone()),
        Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one JSON object a line"),
        Arg::new("output").short('o').value_name("FILE").value_parser(path).help("Write to this file, created or emptied, instead of standard output"),
        Arg::new("filter")
            .long("filter")
            .value_name("TERMS")
            .action(ArgAction::Append)
            .help("Only events that all terms hold for, as in type=inv|tx,size>=1000,peer=3,addr=1.2.3.4,direction=in"),
        Arg::new("duration").long("duration").value_name("TIME").value_parser(duration).help("End after this time: 10, 500ms, 5m, 1h"),
        Arg::new("trace-syscalls").long("trace-syscalls").action(ArgAction::SetTrue).help(TRACE_SYSCALLS),
        Arg::new("count").long("count").value_name("N").value_parser(value_parser!(u64).range(1..)).help("End after this many events"),
    ])
}

fn blocks(command: clap::Command) -> clap::Command {
    let number = |id: &'static str, help: &'static str| {
        Arg::new(id)
            .value_name(id)
            .required(true)
            .value_parser(value_parser!(u64))
            .help(help)
    };
    command.args([
        number("START", "First height; 0 begins at once"),
        number("END", "Last height, with which it ends; 0 for no end"),
        number(
            "MS",
            "Show blocks that take longer than this many milliseconds",
        ),
    ])
}

/// What the tool with payloads takes.
fn raw(command: clap::Command) -> clap::Command {
    let file = |id: &'static str, help: &'static str| {
        let arg = Arg::new(id).long(id).value_name("FILE").help(help);
        arg.value_parser(value_parser!(PathBuf))
    };
    command.args([
        Arg::new("decode").long("decode").action(ArgAction::SetTrue).help("Print the fields of messages instead of their bytes"),
        file("capture", "Write them as bitcoind's -capturemessages does; into a directory by peer if FILE is one or ends in /"),
        file("pcapng", "Write them as packets that Wireshark opens"),
        Arg::new("chain")
            .long("chain")
            .value_name("CHAIN")
            .value_parser(clap::builder::PossibleValuesParser::new(CHAINS.iter().map(|chain| chain.name)))
            .default_value(CHAINS[0].name)
            .help("The chain whose messages the packets of --pcapng are"),
    ])
}

/// `10`, `10s`, `500ms`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let ms = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("the unit is ms, s, m or h".to_string()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "it begins with a number".to_string())?;
    let ms = number.checked_mul(ms).filter(|ms| *ms > 0);
    ms.map(Duration::from_millis)
        .ok_or_else(|| "it is out of range".to_string())
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let Some((verb, matches)) = matches.subcommand() else {
        return Err(CliError::failed("no tool was named"));
    };
    if verb == "schema" {
        let json = matches.get_flag("json");
        return out::print(&if json {
            format!("{:#}\n", schema::json())
        } else {
            schema::text()
        });
    }
    let Some(tool) = TOOLS.iter().find(|tool| tool.verb == verb) else {
        return Err(CliError::failed(format!("no tool `{verb}`")));
    };
    let options = options(tool, matches)?;
    let missing = detect::missing_rights(false);
    if !missing.is_empty() {
        return Err(super::run::session_error(SessionError::Rights(missing)));
    }
    tool::run(tool, &options).map_err(|err| tool_error(&err))
}

fn tool_error(err: &ToolError) -> CliError {
    match err.help() {
        Some(help) => CliError::with_help(err, help),
        None => CliError::failed(err),
    }
}

fn options(tool: &Tool, matches: &ArgMatches) -> Result<Options, CliError> {
    let mut filter = Filter::default();
    for text in matches.get_many::<String>("filter").into_iter().flatten() {
        let more: Filter = text.parse().map_err(|err: FilterError| {
            CliError::with_help(&err, err.help().unwrap_or_default())
        })?;
        filter = filter.and(more);
    }
    let path = |id: &str| matches.get_one::<PathBuf>(id).cloned();
    let process = (tool.verb != CONNECTBLOCK).then(|| matches.get_one("process"));
    let pid = matches.get_one("pid").or(process.flatten());
    let which = match (path("bin"), pid, path("datadir")) {
        (Some(path), ..) => Which::File(path),
        (_, Some(pid), _) => Which::Pid(*pid),
        (.., Some(dir)) => Which::Datadir(dir),
        _ => Which::Any,
    };
    let mut blocks = bench::Range::default();
    if tool.verb == CONNECTBLOCK {
        let number = |id: &str| matches.get_one(id).copied().unwrap_or(0);
        blocks = bench::Range {
            start: number("START"),
            end: number("END"),
            slow_ms: number("MS"),
        };
        if blocks.end > 0 && blocks.end < blocks.start {
            return Err(CliError::Usage(format!(
                "Error: start height ({}) larger than end height ({})!",
                blocks.start, blocks.end
            )));
        }
    }
    let raw = if tool.payload {
        let chain: Option<&String> = matches.get_one("chain");
        Raw {
            decode: matches.get_flag("decode"),
            capture: path("capture"),
            pcapng: path("pcapng"),
            chain: CHAINS
                .iter()
                .find(|row| chain.is_some_and(|name| *name == row.name))
                .copied()
                .unwrap_or_default(),
        }
    } else {
        Raw::default()
    };
    Ok(Options {
        which,
        filter,
        json: matches.get_flag("json"),
        output: path("output"),
        duration: matches.get_one("duration").copied(),
        count: matches.get_one("count").copied(),
        blocks,
        raw,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("10", 10_000),
            ("3s", 3_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)));
        }
        for text in ["", "s", "1d", "-1", "0", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
