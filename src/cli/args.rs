//! The flags of a run: bpftrace's, with their names and meaning, and our own.

use super::{Call, CliError, env};
use crate::session::{Attach, Buffering, Format, Mode, Options, Script, Stage};
use crate::{
    runtime::child::{ChildError, split_words},
    symbols,
    sys::errno::Described,
};
use clap::{
    Arg, ArgAction, ArgMatches,
    builder::{PossibleValuesParser, ValueParser},
};
use std::{ffi::OsString, io::Read, path::PathBuf};

/// What a flag takes.
enum Takes {
    /// Nothing.
    Nothing,
    /// Nothing, and every repetition counts.
    Count,
    /// One word.
    Value(&'static str),
    /// A path.
    Path(&'static str),
    /// A number.
    Number(&'static str),
    /// Numbers, repeatable.
    Numbers(&'static str),
    /// One of these words.
    OneOf(&'static str, &'static [&'static str]),
    /// Some of these words, separated by commas, repeatable.
    SomeOf(&'static str, &'static [&'static str]),
    /// Paths, repeatable.
    Paths(&'static str),
    /// Paths, separated by colons, repeatable.
    Dirs(&'static str),
}
use Takes::{Count, Dirs, Nothing, Number, Numbers, OneOf, Path, Paths, SomeOf, Value};

/// One flag: long name, short name, what it takes, help (empty: not shown).
struct Flag(&'static str, Option<char>, Takes, &'static str);

const STAGES: &[&str] = &[
    "all",
    "parse",
    "ast",
    "types",
    "codegen",
    "codegen-opt",
    "dis",
    "libbpf",
    "verifier",
];
const MODES: &[&str] = &["codegen", "compiler-bench", "bench", "test", "format"];

/// What `--no-feature` takes: bpftrace's words, then ours ([`crate::spec::Features::FIELDS`]).
const FEATURES: &[&str] = &[
    "uprobe_multi",
    "kprobe_multi",
    "kprobe_session",
    "atomics",
    "attach_cookie",
    "bpf_loop",
    "for_each_map_elem",
    "may_goto",
    "lookup_percpu",
    "ktime_tai",
    "cpu_v4",
];

/// All flags of a run. bpftrace's come first, in its own order.
const FLAGS: &[Flag] = &[
    Flag(
        "program",
        Some('e'),
        Value("PROGRAM"),
        "Run PROGRAM instead of a file",
    ),
    Flag(
        "list",
        Some('l'),
        Nothing,
        "List probes that match a pattern, or those of a program; -lv with their arguments",
    ),
    Flag(
        "pid",
        Some('p'),
        Number("PID"),
        "Trace only this process; end when it ends",
    ),
    Flag(
        "dwarf-pid",
        None,
        Numbers("PID"),
        "Besides -p and -c: dw_ustack() walks this process's stacks; may be given several times",
    ),
    Flag(
        "cmd",
        Some('c'),
        Value("CMD"),
        "Run CMD, held until every probe is attached; end when it ends",
    ),
    Flag(
        "format",
        Some('f'),
        OneOf("FORMAT", &["text", "json"]),
        "Format of the output",
    ),
    Flag(
        "output",
        Some('o'),
        Path("FILE"),
        "Write the output to FILE",
    ),
    Flag(
        "buffering",
        Some('B'),
        OneOf("MODE", &["line", "full", "none"]),
        "When output is written",
    ),
    Flag(
        "quiet",
        Some('q'),
        Nothing,
        "No notices, only the script's output",
    ),
    Flag(
        "verbose",
        Some('v'),
        Count,
        "With -l: the arguments of probes, too",
    ),
    Flag(
        "debug",
        Some('d'),
        SomeOf("STAGE", STAGES),
        "Print the result of a stage on stderr",
    ),
    Flag(
        "dry-run",
        None,
        Nothing,
        "Stop once every probe is attached",
    ),
    Flag("info", None, Nothing, "Say what this kernel offers"),
    Flag(
        "unsafe",
        None,
        Nothing,
        "Allow functions that change things, such as system()",
    ),
    Flag(
        "warnings",
        Some('k'),
        Count,
        "Warn of reads of memory and lookups in maps that fail",
    ),
    Flag("no-warnings", None, Nothing, "No warnings"),
    Flag(
        "usdt-file-activation",
        None,
        Nothing,
        "Raise semaphores by file (the kernel always does it so here)",
    ),
    Flag(
        "probe-filter",
        None,
        Value("REGEX"),
        "Only probes whose name matches",
    ),
    Flag("include", None, Paths("FILE"), ""),
    Flag("include-dir", Some('I'), Paths("DIR"), ""),
    Flag(
        "debuginfo",
        None,
        Dirs("DIR[:DIR]"),
        "Look for debug information there, too; + before a DIR takes a file whose checksum is right",
    ),
    Flag(
        "traceable-functions",
        None,
        Path("FILE"),
        "Functions of the kernel that can be probed, a name a line",
    ),
    Flag(
        "no-feature",
        None,
        SomeOf("FEATURE", FEATURES),
        "Do without a feature of the kernel",
    ),
    Flag("btf", Some('b'), Nothing, ""),
    Flag(
        "test",
        None,
        Nothing,
        "Run `test` probes and say which of them fail",
    ),
    Flag(
        "bench",
        None,
        Nothing,
        "Run `bench` probes and say how long they take",
    ),
    Flag("fmt", None, Nothing, ""),
    Flag("mode", None, OneOf("MODE", MODES), ""),
    Flag("aot", None, Value("FILE"), ""),
    Flag("emit-elf", None, Value("FILE"), ""),
    Flag("emit-llvm", None, Value("FILE"), ""),
    Flag("verify-llvm-ir", None, Nothing, ""),
    Flag(
        "attach",
        None,
        OneOf("HOW", &["auto", "multi", "perf"]),
        "Attach user probes with uprobe_multi links or with perf events",
    ),
    Flag(
        "emit",
        None,
        OneOf("STAGE", super::check::STAGES),
        "Print the result of a stage on stdout, load nothing",
    ),
    Flag(
        "load-exactly",
        None,
        Path("BUNDLE"),
        "Load what `check -o` wrote, byte for byte, or nothing",
    ),
    Flag(
        "policy",
        None,
        Path("FILE"),
        "Load only what this policy allows",
    ),
    Flag("trace-syscalls", None, Nothing, TRACE_SYSCALLS),
    Flag(
        "no-loss",
        None,
        Nothing,
        "Slow the traced program down rather than lose an event",
    ),
];

/// What `--trace-syscalls` does.
pub(super) const TRACE_SYSCALLS: &str =
    "Tell each bpf, perf_event_open, ioctl and mmap on stderr, decoded, with its reason";

/// The stages of `-d`, and what they are here. There is no libbpf; the verifier's log is shown whenever it objects.
const DEBUG: &[(&[&str], Stage)] = &[
    (&["parse", "ast", "types"], Stage::Ast),
    (&["codegen"], Stage::RawIr),
    (&["codegen-opt"], Stage::Ir),
    (&["dis"], Stage::Asm),
];

/// Flags of bpftrace that have no meaning here, with what stands in their place.
const REFUSED: &[(&str, &str)] = &[
    ("fmt", "formatting scripts is not supported"),
    (
        "mode",
        "the modes of bpftrace's own developers are not supported; there are --test and --bench",
    ),
    (
        "aot",
        "programs compiled ahead of time are not supported; this binary needs no compiler at run time",
    ),
    (
        "emit-elf",
        "no ELF object is made; `check --emit bytes` prints the instructions as they are loaded",
    ),
    (
        "emit-llvm",
        "there is no LLVM here; `check --emit ir` prints this compiler's own code",
    ),
    ("verify-llvm-ir", "there is no LLVM here"),
];

/// Adds the flags and the positional arguments.
pub(super) fn add(command: clap::Command) -> clap::Command {
    command
        .about("Trace Linux programs with eBPF: the bpftrace language in one self-contained binary")
        .override_usage(
            "baretrace [OPTIONS] FILE [ARGS…] [-- --name=value…]\n       \
             baretrace [OPTIONS] -e PROGRAM [ARGS…]\n       \
             baretrace -l [PATTERN]\n       baretrace COMMAND …",
        )
        .subcommand_help_heading("Commands")
        .args(FLAGS.iter().map(flag))
        .arg(
            Arg::new("words")
                .value_name("FILE [ARGS…]")
                .help("Script (`-` for stdin) and its parameters $1, $2…")
                .num_args(0..)
                .value_parser(ValueParser::os_string()),
        )
}

fn flag(row: &Flag) -> Arg {
    let Flag(name, short, takes, help) = row;
    let mut arg = Arg::new(*name)
        .long(*name)
        .help(*help)
        .hide(help.is_empty());
    if let Some(short) = short {
        arg = arg.short(*short);
    }
    match takes {
        Nothing => arg.action(ArgAction::SetTrue),
        Count => arg.action(ArgAction::Count),
        Value(word) => arg.value_name(*word).allow_hyphen_values(true),
        Path(word) => arg.value_name(*word).value_parser(ValueParser::path_buf()),
        Number(word) => arg.value_name(*word).value_parser(clap::value_parser!(u32)),
        Numbers(word) => arg
            .value_name(*word)
            .action(ArgAction::Append)
            .value_parser(clap::value_parser!(u32).range(1..)),
        OneOf(word, of) => arg
            .value_name(*word)
            .value_parser(PossibleValuesParser::new(*of)),
        SomeOf(word, of) => arg
            .value_name(*word)
            .action(ArgAction::Append)
            .value_delimiter(',')
            .value_parser(PossibleValuesParser::new(*of)),
        Paths(word) => arg
            .value_name(*word)
            .action(ArgAction::Append)
            .value_parser(ValueParser::path_buf()),
        Dirs(word) => arg
            .value_name(*word)
            .action(ArgAction::Append)
            .value_delimiter(':')
            .value_parser(ValueParser::path_buf()),
    }
}

/// The checked options of a run; `script` is still empty when only words were given that name none.
pub(super) fn options(matches: &ArgMatches, call: &Call) -> Result<Options, CliError> {
    for (name, why) in REFUSED {
        // There is no such code to verify; a script runs all the same.
        if call.as_bpftrace() && *name == "verify-llvm-ir" {
            continue;
        }
        if matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine) {
            return Err(CliError::Usage(format!("error: --{name}: {why}")));
        }
    }
    if matches.get_count("warnings") > 1 {
        return Err(CliError::Usage(
            "error: USAGE: -kk has been deprecated. Use a single -k for runtime warnings for errors in map lookups and probe reads."
                .to_string(),
        ));
    }
    if matches.get_count("warnings") > 0 && matches.get_flag("no-warnings") {
        return Err(CliError::Usage(
            "error: USAGE: -k, --warnings conflicts with --no-warnings".to_string(),
        ));
    }
    let mut options = flags(matches, call)?;
    let mut words: Vec<OsString> = matches
        .get_many::<OsString>("words")
        .map(|words| words.cloned().collect())
        .unwrap_or_default();
    let mut rest = call.rest().to_vec();
    match matches.get_one::<String>("program") {
        Some(program) if program.is_empty() && call.as_bpftrace() => {
            return Err(super::usage::no_script(true));
        }
        Some(program) => {
            options.script = Script {
                name: "stdin".to_string(),
                text: program.clone(),
            };
        }
        None => {
            let from = if words.is_empty() {
                &mut rest
            } else {
                &mut words
            };
            if from.is_empty() {
                if call.as_bpftrace() {
                    let typed = |id: &clap::Id| {
                        let from = matches.value_source(id.as_str());
                        from == Some(clap::parser::ValueSource::CommandLine)
                    };
                    return Err(super::usage::no_script(matches.ids().any(typed)));
                }
                return Err(CliError::Usage(
                    "error: no script\nhelp: give a FILE, or a program with -e; see --help"
                        .to_string(),
                ));
            }
            let file = from.remove(0);
            // A directory, and no name at all, are an empty script there.
            let empty = file.is_empty() || std::path::Path::new(&file).is_dir();
            if call.as_bpftrace() && empty {
                return Ok(options);
            }
            options.script = read_script(&file).map_err(|err| match call.as_bpftrace() {
                true => unread(&file).unwrap_or(err),
                false => err,
            })?;
        }
    }
    for word in words {
        options.params.push(utf8(word)?);
    }
    for word in rest {
        let word = utf8(word)?;
        match word.strip_prefix("--") {
            Some(named) if !named.is_empty() => {
                let (name, value) = match named.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_string())),
                    None => (named, None),
                };
                // The last one counts.
                options.named.retain(|(known, _)| known != name);
                options.named.push((name.to_string(), value));
            }
            _ => options.params.push(word),
        }
    }
    Ok(options)
}

/// The first word that is no flag: the pattern of `-l`.
pub(super) fn first_word(matches: &ArgMatches) -> Result<Option<String>, CliError> {
    let mut words = matches.get_many::<OsString>("words").into_iter().flatten();
    words.next().cloned().map(utf8).transpose()
}

/// What the flags say, without script and parameters.
///
/// # Errors
/// A command whose quotes are not closed.
pub(super) fn flags(matches: &ArgMatches, call: &Call) -> Result<Options, CliError> {
    let words = |name: &str| -> Vec<String> {
        matches
            .get_many::<String>(name)
            .map(|values| values.cloned().collect())
            .unwrap_or_default()
    };
    let paths = |name: &str| -> Vec<PathBuf> {
        matches
            .get_many::<PathBuf>(name)
            .map(|values| values.cloned().collect())
            .unwrap_or_default()
    };
    let word = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let stages = words("debug");
    let stage = |names: &[&str]| {
        stages
            .iter()
            .any(|s| s == "all" || names.contains(&s.as_str()))
    };
    let without = words("no-feature");
    symbols::search_debug_files(paths("debuginfo"));
    let command = word("cmd")
        // An empty command is none there.
        .filter(|line| !(call.as_bpftrace() && line.is_empty()))
        .map(|line| match split_words(line) {
            // What starts nothing is told when it is started.
            Err(ChildError::Empty) if call.as_bpftrace() => Ok(Vec::new()),
            words => words,
        })
        .transpose();
    Ok(Options {
        command: command.map_err(CliError::failed)?,
        config: env::settings(std::env::vars_os())
            .into_iter()
            // A name that sets nothing is not told there.
            .filter(|(name, _)| !call.as_bpftrace() || crate::lang::is_setting(name))
            .collect(),
        pid: matches.get_one("pid").copied(),
        dwarf_pids: matches
            .get_many("dwarf-pid")
            .into_iter()
            .flatten()
            .copied()
            .collect(),
        output: matches.get_one::<PathBuf>("output").cloned(),
        format: match word("format") {
            Some("json") => Format::Json,
            _ => Format::Text,
        },
        buffering: match word("buffering") {
            Some("none") => Buffering::None,
            Some("full") => Buffering::Full,
            _ => Buffering::Line,
        },
        quiet: matches.get_flag("quiet"),
        verbose: matches.get_count("verbose") > 0,
        debug: DEBUG
            .iter()
            .filter(|(names, _)| stage(names))
            .map(|(_, stage)| *stage)
            .collect(),
        dry_run: matches.get_flag("dry-run"),
        allow_unsafe: matches.get_flag("unsafe"),
        helper_errors: matches.get_count("warnings") > 0,
        no_warnings: matches.get_flag("no-warnings"),
        include: paths("include"),
        include_dirs: paths("include-dir"),
        probe_filter: word("probe-filter").map(str::to_string),
        attach: match word("attach") {
            Some("multi") => Attach::Multi,
            Some("perf") => Attach::Perf,
            _ if without.iter().any(|f| f == "uprobe_multi") => Attach::Perf,
            _ => Attach::Auto,
        },
        mode: match (matches.get_flag("test"), matches.get_flag("bench")) {
            (true, _) => Mode::Test,
            (false, true) => Mode::Bench,
            (false, false) => Mode::Trace,
        },
        without,
        traceable: matches.get_one::<PathBuf>("traceable-functions").cloned(),
        no_loss: matches.get_flag("no-loss"),
        as_bpftrace: call.as_bpftrace(),
        ..Options::default()
    })
}

/// A file that cannot be opened, in bpftrace's words.
fn unread(path: &OsString) -> Option<CliError> {
    let code = std::fs::File::open(path).err()?.raw_os_error()?;
    Some(CliError::failed(format!(
        "failed to open file '{}': {}",
        path.to_string_lossy(),
        nix::errno::Errno::from_raw(code).desc()
    )))
}

/// Reads a script from a file, or from standard input for `-`.
pub(super) fn read_script(path: &OsString) -> Result<Script, CliError> {
    let mut bytes = Vec::new();
    let (name, read) = if path == "-" {
        (
            "stdin".to_string(),
            std::io::stdin().read_to_end(&mut bytes),
        )
    } else {
        let read = std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
        (path.to_string_lossy().into_owned(), read)
    };
    read.map_err(|err| {
        let what = format!("read script `{name}`: {}", Described(&err));
        match super::command::similar(&name) {
            Some(verb) if err.kind() == std::io::ErrorKind::NotFound => {
                CliError::with_help(what, format!("did you mean the command `{verb}`?"))
            }
            _ => CliError::with_help(what, "give the path of a script, or a program with -e"),
        }
    })?;
    let text = String::from_utf8(bytes).map_err(|err| {
        let at = err.utf8_error().valid_up_to();
        CliError::failed(format!("read script `{name}`: byte {at} is not UTF-8"))
    })?;
    Ok(Script { name, text })
}

fn utf8(word: OsString) -> Result<String, CliError> {
    word.into_string().map_err(|word| {
        CliError::Usage(format!(
            "error: parameter `{}` is not UTF-8",
            word.to_string_lossy()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command::clap_command;

    fn parse(words: &[&str]) -> Result<Options, CliError> {
        let call = Call::new(words.iter().map(OsString::from));
        let before: Vec<_> = words.iter().take_while(|w| **w != "--").collect();
        match clap_command(true).try_get_matches_from(before) {
            Ok(matches) => options(&matches, &call),
            Err(err) => Err(CliError::Usage(err.to_string())),
        }
    }

    #[test]
    fn positional_and_named_parameters() {
        let got = parse(&[
            "bpftrace", "-e", "BEGIN{}", "p1", "-q", "--", "--aa=20", "--bb", "p2",
        ]);
        let got = got.unwrap();
        assert_eq!(got.script.text, "BEGIN{}");
        assert_eq!(got.params, ["p1", "p2"]);
        let named = [
            ("aa".to_string(), Some("20".to_string())),
            ("bb".to_string(), None),
        ];
        assert_eq!(got.named, named);
        assert!(got.quiet);
    }

    #[test]
    fn flags_in_bpftraces_spelling() {
        let got = parse(&[
            "bpftrace",
            "-k",
            "-B",
            "full",
            "-f",
            "json",
            "-d",
            "ast,dis",
            "-d",
            "verifier",
            "-p",
            "12",
            "--no-feature",
            "uprobe_multi",
            "--unsafe",
            "-I",
            "a",
            "-I",
            "b",
            "-e",
            "x",
        ])
        .unwrap();
        assert!(got.helper_errors);
        assert_eq!(got.buffering, Buffering::Full);
        assert_eq!(got.format, Format::Json);
        assert_eq!(got.debug, [Stage::Ast, Stage::Asm]);
        assert_eq!(got.pid, Some(12));
        assert_eq!(got.attach, Attach::Perf);
        assert!(got.allow_unsafe && got.as_bpftrace);
        assert_eq!(got.include_dirs, [PathBuf::from("a"), PathBuf::from("b")]);
    }

    #[test]
    fn what_is_refused_names_itself() {
        for (words, want) in [
            (
                &["bpftrace", "--emit-llvm", "x", "-e", "y"][..],
                "--emit-llvm: there is no LLVM",
            ),
            (&["bpftrace"][..], "USAGE:"),
            (
                &["bpftrace", "--unsafe"][..],
                "filename or -e 'program' required",
            ),
            (&["bpftrace", "-p", "abc", "-e", "x"][..], "'abc'"),
            (&["bpftrace", "-f", "xml", "-e", "x"][..], "json"),
        ] {
            let err = parse(words).unwrap_err().to_string();
            assert!(err.contains(want), "{err}");
        }
    }

    #[test]
    fn every_feature_can_be_done_without() {
        for (name, _) in crate::spec::Features::FIELDS {
            assert!(FEATURES.contains(name), "{name}");
        }
    }

    #[test]
    fn every_refused_flag_is_in_the_table() {
        for (name, _) in REFUSED {
            assert!(FLAGS.iter().any(|flag| flag.0 == *name), "{name}");
        }
    }
}
