//! What bpftrace and Clang say of calls and definitions that are written wrongly.

use super::words;
use crate::lang::{
    ast::{Expr, ExprKind},
    builtin::{Row, Want, Where},
    diag::Diagnostic,
};
use crate::{span::Span, spec::Type};

/// `strncmp` wants its length known.
pub(super) const STRNCMP: &str = "Builtin strncmp requires a non-negative literal";

/// Functions that are macros in bpftrace.
const MACROS: &[&str] = &[
    "assert",
    "comm",
    "default_str_length",
    "delete",
    "find",
    "has_key",
    "jiffies",
    "len",
    "memcmp",
    "ncpus",
    "rand",
    "signal",
    "signal_thread",
    "static_assert",
    "str_concat",
    "strcap",
    "strcontains",
    "strerror",
    "strlen",
    "strstr",
    "usermode",
    "username",
];

fn arguments(n: usize) -> String {
    match n {
        1 => "one argument".to_string(),
        n => format!("{n} arguments"),
    }
}

/// Too few or too many arguments; a second sentence about the call's definition.
pub(super) fn count(row: &Row, given: usize) -> (String, Option<String>) {
    let name = row.name;
    if MACROS.contains(&name) {
        let expected = row.max;
        return (
            format!("Call to {name}() has arguments that do not match any definition."),
            Some(format!(
                "The closest definition of {name}() has a different number of arguments. Expected: {expected} but got {given}"
            )),
        );
    }
    if name == "getopt" {
        let text = "The 'getopt' function can take a maximum of three arguments and a minimum of one argument.";
        return (text.to_string(), None);
    }
    let wants = match (row.min, row.max) {
        (0, 0) => "requires no arguments".to_string(),
        (min, max) if min == max => format!("requires {}", arguments(min)),
        (min, _) if given < min => format!("requires at least {}", arguments(min)),
        (_, max) => format!("takes up to {}", arguments(max)),
    };
    (format!("{name}() {wants} ({given} provided)"), None)
}

/// An argument of the wrong type.
pub(super) fn argument(name: &str, want: Want, ty: &Type, full: &str) -> String {
    let kind = words::kind(ty);
    match (name, want) {
        ("sum" | "avg" | "min" | "max" | "stats", _) => {
            format!("{name}() only supports integer arguments ({full} provided)")
        }
        ("bswap", _) => format!("{name}() only supports integer arguments ({kind} provided)"),
        ("kptr" | "uptr", _) => {
            format!("{name}() only supports integer or pointer arguments ({kind} provided)")
        }
        ("ksym" | "usym", _) => format!("{name}() expects an integer or pointer argument"),
        ("strncmp", Want::Int | Want::ConstInt) => STRNCMP.to_string(),
        ("strncmp", _) => format!("{name}() only supports string arguments ({kind} provided)"),
        ("print" | "hist" | "lhist" | "tseries", Want::ConstInt) => {
            format!("{name}() expects a int literal ({kind} provided)")
        }
        ("ustack" | "kstack", Want::ConstInt) => format!("{name}: invalid limit value"),
        ("join", _) => format!("() only supports int or pointer arguments ({kind} provided)"),
        ("macaddr", _) => {
            format!("{name}() only supports array or pointer arguments ({kind} provided)")
        }
        (_, Want::Str) => {
            "string-like values must be either strings, arrays or pointers".to_string()
        }
        (_, Want::ConstStr) => format!("{name}() expects a string literal ({kind} provided)"),
        _ => format!("{name}() only supports int arguments ({kind} provided)"),
    }
}

/// A builtin in a probe that does not have it. `point` is the probe's name.
pub(super) fn place(row: &Row, name: &str, point: &str) -> String {
    let point = point.split(':').next().unwrap_or(point);
    match row.place {
        Where::Arguments => format!(
            "The {name} builtin can only be used with 'kprobes', 'uprobes' and 'usdt' probes"
        ),
        Where::Return => format!(
            "The {name} builtin can only be used with 'kretprobe' and 'uretprobe' and 'fentry' probes"
        ),
        Where::Objects => {
            format!("The {name} function can only be used with 'fentry', 'fexit', 'iter' probes")
        }
        _ if matches!(name, "signal" | "signal_thread") => {
            format!("{name}() can not be used for this probetype special")
        }
        _ if row.max > 0 => format!("{name} can not be used with \"{point}\" probes"),
        _ => format!("The {name} builtin can not be used with '{point}' probes"),
    }
}

/// What a call was given where it wants a map or variable.
pub(super) fn given(e: &Expr) -> &'static str {
    match &e.kind {
        ExprKind::Var(_) => "a variable",
        ExprKind::Map { key: None, .. } => "a map",
        _ => "an expression",
    }
}

/// What is written behind a keyword at the start of `span`.
pub(super) fn behind(span: Span, keyword: &str) -> Span {
    let skip = u32::try_from(keyword.len()).unwrap_or(0);
    Span::new(span.start.saturating_add(skip).min(span.end), span.end)
}

/// A type that a C definition does not know is no word of bpftrace's but of Clang's.
pub(super) fn by_clang(diag: Diagnostic) -> Diagnostic {
    let Some(said) = &diag.said else {
        return diag;
    };
    let unknown = said
        .message
        .strip_prefix("Cannot resolve unknown type \"")
        .and_then(|rest| rest.strip_suffix('"'));
    match unknown {
        Some(name) if !name.contains(' ') => {
            let text = format!("unknown type name '{name}'");
            let span = diag.span;
            diag.said_by_clang(span, text)
        }
        _ => diag,
    }
}
