//! Config variables: names, defaults, values from the script's block and from the environment, which wins.

use super::ast::{ConfigValue, Name};
use super::checked::{Config, MissingProbes};
use super::diag::{Diagnostic, Severity};
use crate::span::Span;
use crate::suggest;

/// What a variable takes.
enum Take {
    /// A number from a least one up to [`MOST`].
    Number(fn(&mut Config, u32), u32),
    /// `true`, `false`, 1, 0.
    Flag(fn(&mut Config, bool)),
    /// One of some words, by index.
    Word(&'static [&'static str], fn(&mut Config, u8)),
    /// Any text.
    Text(fn(&mut Config, String)),
    /// Accepted; it has no meaning here.
    Nothing,
}

/// Largest value of a number: sizes stay far from 32 bits.
const MOST: u32 = 1 << 24;

/// Stack modes, by their number in `Type::Stack`.
pub(super) const STACK_MODES: &[&str] = &["bpftrace", "perf", "raw", "build_id"];

const LICENSES: &[&str] = &[
    "GPL",
    "GPL v2",
    "GPL and additional rights",
    "Dual BSD/GPL",
    "Dual MIT/GPL",
    "Dual MPL/GPL",
];

const VARIABLES: &[(&str, Take)] = &[
    (
        "cache_user_symbols",
        // The numbers are of older versions.
        Take::Word(&["PER_PROGRAM", "PER_PID", "NONE", "0", "1"], |_, _| {}),
    ),
    ("cpp_demangle", Take::Flag(|c, v| c.cpp_demangle = v)),
    (
        "lazy_symbolication",
        Take::Flag(|c, v| c.lazy_symbolication = v),
    ),
    (
        "license",
        Take::Word(LICENSES, |c, i| {
            c.license = LICENSES[usize::from(i)].to_string()
        }),
    ),
    // The log of the verifier is as long as it needs to be.
    ("log_size", Take::Number(|c, v| c.log_size = v, 0)),
    ("max_bpf_progs", Take::Number(|c, v| c.max_bpf_progs = v, 0)),
    ("max_cat_bytes", Take::Number(|c, v| c.max_cat_bytes = v, 1)),
    ("max_map_keys", Take::Number(|c, v| c.max_map_keys = v, 1)),
    ("max_probes", Take::Number(|c, v| c.max_probes = v, 0)),
    ("max_strlen", Take::Number(|c, v| c.max_strlen = v, 1)),
    (
        "missing_probes",
        Take::Word(&["error", "warn", "ignore"], |c, i| {
            c.missing_probes = match i {
                0 => MissingProbes::Error,
                1 => MissingProbes::Warn,
                _ => MissingProbes::Ignore,
            }
        }),
    ),
    (
        "on_stack_limit",
        Take::Number(|c, v| c.on_stack_limit = v, 0),
    ),
    (
        "perf_rb_pages",
        Take::Number(|c, v| c.perf_rb_pages = Some(v), 1),
    ),
    (
        "print_maps_on_exit",
        Take::Flag(|c, v| c.print_maps_on_exit = v),
    ),
    ("show_debug_info", Take::Flag(|c, v| c.show_debug_info = v)),
    (
        "stack_mode",
        Take::Word(STACK_MODES, |c, i| c.stack_mode = i),
    ),
    (
        "str_trunc_trailer",
        Take::Text(|c, v| c.str_trunc_trailer = v),
    ),
    (
        "unreadable_bytes",
        Take::Word(&["zeros", "none"], |c, i| c.unreadable_is_zeros = i == 0),
    ),
    ("unstable_addr", Take::Nothing),
    (
        "unstable_dw_ustack",
        Take::Word(&["error", "warn", "enable"], |c, i| {
            c.unstable_dw_ustack = i
        }),
    ),
    ("unstable_import", Take::Nothing),
    ("unstable_macro", Take::Nothing),
    ("unstable_map_decl", Take::Nothing),
    (
        "unstable_tseries",
        Take::Word(&["error", "warn", "enable"], |c, i| c.unstable_tseries = i),
    ),
    (
        "unstable_typeinfo",
        Take::Word(&["error", "warn", "enable"], |c, i| c.unstable_typeinfo = i),
    ),
    // Symbols are found one way only.
    ("use_blazesym", Take::Flag(|_, _| {})),
];

/// The words of config variables in bpftrace's order.
const VALUES: &[(&str, &str)] = &[
    ("stack_mode", "bpftrace, raw, perf, and build_id"),
    ("missing_probes", "ignore, warn, and error"),
    ("cache_user_symbols", "PER_PID, PER_PROGRAM, and NONE"),
];

/// Environment variables that start like config variables but are none.
const NOT_CONFIG: &[&str] = &[
    "btf",
    "kernel_source",
    "kernel_build",
    "vmlinux",
    "color",
    "kernel_btf",
];

impl Default for Config {
    fn default() -> Self {
        Config {
            max_strlen: 1024,
            max_map_keys: 4096,
            max_cat_bytes: 10240,
            max_probes: 1024,
            on_stack_limit: 32,
            perf_rb_pages: None,
            stack_mode: 0,
            str_trunc_trailer: "..".to_string(),
            print_maps_on_exit: true,
            missing_probes: MissingProbes::Error,
            license: String::new(),
            log_size: 1_000_000,
            max_bpf_progs: 1024,
            cpp_demangle: true,
            show_debug_info: true,
            lazy_symbolication: false,
            unstable_typeinfo: 0,
            unstable_tseries: 1,
            unstable_dw_ustack: 1,
            unreadable_is_zeros: true,
        }
    }
}

/// The settings in force. `environment` holds lower-case names without `BPFTRACE_`.
pub(super) fn settle(
    block: &[(Name, ConfigValue, Span)],
    environment: &[(String, String)],
    diags: &mut Vec<Diagnostic>,
) -> Config {
    let mut config = Config::default();
    for (name, value, whole) in block {
        let text = match value {
            ConfigValue::Int(n) => n.to_string(),
            ConfigValue::Str(s) => s.clone(),
        };
        set(&mut config, &name.text, &text, (name.span, *whole), diags);
    }
    for (name, value) in environment {
        if NOT_CONFIG.contains(&name.as_str()) {
            continue;
        }
        if is_setting(name) {
            let nowhere = (Span::default(), Span::default());
            set(&mut config, name, value, nowhere, diags);
        } else {
            // It may be meant for another version: no reason not to run.
            let variable = format!("BPFTRACE_{}", name.to_ascii_uppercase());
            let text = format!("environment variable `{variable}` sets nothing");
            let near = suggest::did_you_mean(name, VARIABLES.iter().map(|(n, _)| *n));
            diags.push(Diagnostic::warning(Span::default(), text).maybe_help(near));
        }
    }
    config
}

/// Whether a config variable has that name.
pub fn is_setting(name: &str) -> bool {
    VARIABLES.iter().any(|(known, _)| *known == name)
}

/// What bpftrace says of the settings of the environment that are no such values.
pub fn wrong_settings(environment: &[(String, String)]) -> Vec<String> {
    let mut diags = Vec::new();
    settle(&[], environment, &mut diags);
    let wrong = diags.into_iter().filter(|d| d.severity == Severity::Error);
    wrong.filter_map(|diag| Some(diag.said?.message)).collect()
}

/// `span`: the name, `whole`: the name with its value.
fn set(
    config: &mut Config,
    name: &str,
    value: &str,
    (span, whole): (Span, Span),
    diags: &mut Vec<Diagnostic>,
) {
    let lower = name.to_ascii_lowercase();
    let key = lower.strip_prefix("bpftrace_").unwrap_or(&lower);
    let Some((_, take)) = VARIABLES.iter().find(|(n, _)| *n == key) else {
        let names = VARIABLES.iter().map(|(n, _)| *n);
        diags.push(
            Diagnostic::error(span, format!("unknown config variable `{name}`"))
                .maybe_help(suggest::did_you_mean(key, names))
                .said_at(whole, format!("{name}: not a known configuration option")),
        );
        return;
    };
    let wants = match take {
        Take::Number(put, least) => match super::number::parse(value).map(u32::try_from) {
            Ok(Ok(n)) if n >= *least && n <= MOST => return put(config, n),
            // More than a string can have is as much as it can have.
            Ok(_) if key == "max_strlen" && value != "0" => return put(config, MOST),
            _ => format!("a number from {least} to {MOST}"),
        },
        Take::Flag(put) => match value {
            "1" | "true" => return put(config, true),
            "0" | "false" => return put(config, false),
            // Any number of the script's; the environment has text.
            _ if span != Span::default() && super::number::parse(value).is_ok() => {
                return put(config, true);
            }
            _ => "`true` or `false`".to_string(),
        },
        Take::Word(words, put) => {
            let at = words.iter().position(|w| w.eq_ignore_ascii_case(value));
            match at.and_then(|i| u8::try_from(i).ok()) {
                Some(i) => return put(config, i),
                None => format!("one of {}", words.join(", ")),
            }
        }
        Take::Text(put) => return put(config, value.to_string()),
        Take::Nothing => {
            let text = format!("config variable `{key}` sets nothing any more");
            let said = format!("{name} is deprecated and has no effect");
            diags.push(Diagnostic::warning(span, text).said_at(whole, said));
            return;
        }
    };
    let said = match take {
        Take::Number(..) => format!("{name}: expecting a number, got {value}"),
        Take::Flag(_) => {
            format!("{name}: Invalid bool value: valid values are true, false, 1 or 0.")
        }
        Take::Word(..) if key == "license" => format!(
            "Invalid value for license. Found: {value}. Valid values: Dual MIT/GPL, Dual BSD/GPL, Dual MPL/GPL, GPL and additional rights, GPL v2, GPL. Read more about BPF programs and licensing: https://docs.kernel.org/bpf/bpf_licensing.html#using-bpf-programs-in-the-linux-kernel"
        ),
        _ if key.starts_with("unstable_") => format!(
            "{name}: Invalid value for unstable config: valid values are enable, warn, and error."
        ),
        _ => format!(
            "{name}: Invalid value for {key}: valid values are {}.",
            VALUES
                .iter()
                .find(|(n, _)| *n == key)
                .map_or("", |(_, v)| v)
        ),
    };
    diags.push(
        Diagnostic::error(
            span,
            format!("config variable `{key}` is set to `{value}`; it wants {wants}"),
        )
        .said_at(whole, said),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(block: &str, env: &[(&str, &str)]) -> (Config, Vec<String>) {
        let script = crate::lang::parse(&format!("config = {{ {block} }} begin {{ }}")).unwrap();
        let env: Vec<_> = env
            .iter()
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .collect();
        let mut diags = Vec::new();
        let config = settle(&script.config, &env, &mut diags);
        (config, diags.into_iter().map(|d| d.message).collect())
    }

    #[test]
    fn the_environment_wins() {
        let (config, diags) = run(
            "max_strlen = 64; BPFTRACE_STACK_MODE = perf; print_maps_on_exit = false",
            &[("max_strlen", "128")],
        );
        assert_eq!(diags, Vec::<String>::new());
        assert_eq!((config.max_strlen, config.stack_mode), (128, 1));
        assert!(!config.print_maps_on_exit);
    }

    #[test]
    fn unknown_variables_of_the_environment_do_not_stop_a_script() {
        let (_, diags) = run("", &[("nope", "1")]);
        assert_eq!(diags, ["environment variable `BPFTRACE_NOPE` sets nothing"]);
    }

    #[test]
    fn wrong_names_and_values_are_named() {
        assert_eq!(
            run("max_strln = 1", &[]).1,
            ["unknown config variable `max_strln`"]
        );
        assert_eq!(
            run("stack_mode = perv", &[]).1,
            [
                "config variable `stack_mode` is set to `perv`; it wants one of bpftrace, perf, raw, build_id"
            ]
        );
        assert_eq!(run("max_strlen = 0", &[]).1.len(), 1);
    }
}
