//! The schema as text and JSON, and how a binary's notes differ from it.

use super::tracepoint::{self, Argument, Kind, TRACEPOINTS, Tracepoint, Unit};
use crate::{
    spec::{ArgMeans, ArgName, UsdtProbe},
    trace::Probe,
};
use serde_json::{Value, json};
use std::fmt::{self, Write};

/// An argument that is not in the note as the schema has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// `net:inbound_message`.
    pub tracepoint: String,
    /// The argument: its name, or its number where the schema has none.
    pub arg: String,
    /// Bytes and sign of the schema; `None`: it has no such argument.
    pub expected: Option<(u8, bool)>,
    /// Bytes and sign of the note; `None`: it has no such argument.
    pub found: Option<(u8, bool)>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |operand: &Option<(u8, bool)>| match operand {
            Some((size, signed)) => {
                let s = if *size == 1 { "" } else { "s" };
                let sign = if *signed { "signed" } else { "unsigned" };
                format!("{size} byte{s} {sign}")
            }
            None => "nothing".to_string(),
        };
        let Drift {
            tracepoint, arg, ..
        } = self;
        let (expected, found) = (width(&self.expected), width(&self.found));
        write!(
            f,
            "{tracepoint}, argument `{arg}`: expected {expected}, found {found}"
        )
    }
}

/// How the note of `probe` differs from the schema. Signs of flags and addresses mean nothing and may differ.
pub fn drift(probe: &Probe) -> Vec<Drift> {
    let Some(point) = tracepoint::find(&probe.provider, &probe.name) else {
        return Vec::new();
    };
    let count = point.args.len().max(probe.operands.len());
    let differs = |n: usize| {
        let (want, found) = (point.args.get(n), probe.operands.get(n).copied());
        let same = match (want, found) {
            (Some(arg), Some((size, signed))) => arg_name(arg).fits(size, signed),
            _ => false,
        };
        (!same).then(|| Drift {
            tracepoint: point.to_string(),
            arg: want.map_or_else(|| format!("arg{n}"), |arg| arg.name.to_string()),
            expected: want.map(|arg| (arg.size, arg.signed)),
            found,
        })
    };
    (0..count).filter_map(differs).collect()
}

/// Most bytes, with the NUL, that scripts read of a string that is documented to be shorter: it may be longer than
/// documented (an address that is a host's name).
const TEXT: u32 = 256;

/// Tells the compiler what the arguments of a tracepoint are; leaves probes of other programs as they are.
pub fn name(probe: &mut UsdtProbe) {
    probe.names = arg_names(&probe.provider, &probe.name);
}

/// What the arguments of a tracepoint are; nothing if it is none of the table.
pub fn arg_names(provider: &str, name: &str) -> Vec<ArgName> {
    let point = tracepoint::find(provider, name);
    point.map_or_else(Vec::new, |point| point.args.iter().map(arg_name).collect())
}

fn arg_name(arg: &Argument) -> ArgName {
    ArgName {
        name: arg.name.to_string(),
        means: match arg.kind {
            Kind::Int => ArgMeans::Number,
            Kind::Bool => ArgMeans::Bool,
            Kind::Enum(values) => {
                let values = values
                    .iter()
                    .map(|(value, name)| (*value, (*name).to_string()));
                ArgMeans::Enum(values.collect())
            }
            Kind::Str(0) => ArgMeans::Text(None),
            Kind::Str(max) => ArgMeans::Text(Some(TEXT.max(max + 1))),
            Kind::Hash => ArgMeans::Hash,
            Kind::Bytes(length) => ArgMeans::Bytes(length),
        },
        size: arg.size,
        signed: arg.signed,
    }
}

/// `mode (NONE, IF_NEEDED, …), microseconds`: an argument's name with what it is, in a line of a listing.
pub fn described(provider: &str, name: &str, index: usize) -> Option<String> {
    let point = tracepoint::find(provider, name)?;
    let arg = point.args.get(index)?;
    let what = match (arg.kind, unit_name(arg.unit)) {
        (Kind::Int, None) => return Some(arg.name.to_string()),
        (Kind::Int, Some(unit)) => unit.to_string(),
        (Kind::Enum(_) | Kind::Bytes(_), _) => note(point, arg),
        _ => type_name(arg),
    };
    Some(format!("{} ({what})", arg.name))
}

fn type_name(arg: &Argument) -> String {
    let sign = if arg.signed { "i" } else { "u" };
    let bits = u32::from(arg.size) * 8;
    match arg.kind {
        Kind::Int => format!("{sign}{bits}"),
        Kind::Bool => "bool".to_string(),
        Kind::Enum(_) => format!("enum {sign}{bits}"),
        Kind::Str(0) => "text".to_string(),
        Kind::Str(max) => format!("text, at most {max} bytes"),
        Kind::Hash => "hash".to_string(),
        Kind::Bytes(_) => "bytes".to_string(),
    }
}

fn unit_name(unit: Unit) -> Option<&'static str> {
    Some(match unit {
        Unit::None => return None,
        Unit::Bytes => "bytes",
        Unit::VirtualBytes => "vbytes",
        Unit::Satoshi => "satoshi",
        Unit::Nanoseconds => "nanoseconds",
        Unit::Microseconds => "microseconds",
        Unit::UnixSeconds => "seconds since 1970",
    })
}

fn note(point: &Tracepoint, arg: &Argument) -> String {
    match arg.kind {
        Kind::Enum(values) => {
            let each = values.iter().map(|(value, name)| format!("{value} {name}"));
            each.collect::<Vec<_>>().join(", ")
        }
        Kind::Bytes(length) => format!("as many as `{}` says", point.args[length].name),
        Kind::Hash => "32 bytes, shown last byte first".to_string(),
        _ => unit_name(arg.unit).unwrap_or_default().to_string(),
    }
}

/// The schema for people.
pub fn text() -> String {
    let mut out = String::new();
    for point in TRACEPOINTS {
        let _ = writeln!(out, "{point}: {} (since {})", point.doc, point.since());
        for (n, arg) in point.args.iter().enumerate() {
            let line = format!(
                "  arg{n} {:<12} {:<24} {}",
                arg.name,
                type_name(arg),
                note(point, arg)
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    out
}

/// The schema as one JSON value: an array of tracepoints.
pub fn json() -> Value {
    let arg = |arg: &Argument| {
        let (kind, max, values) = match arg.kind {
            Kind::Int => ("int", None, None),
            Kind::Bool => ("bool", None, None),
            Kind::Enum(values) => ("enum", None, Some(values)),
            Kind::Str(max) => ("text", (max > 0).then_some(max), None),
            Kind::Hash => ("hash", None, None),
            Kind::Bytes(_) => ("bytes", None, None),
        };
        let mut value = json!({
            "name": arg.name, "type": kind, "size": arg.size, "signed": arg.signed,
        });
        if let Some(unit) = unit_name(arg.unit) {
            value["unit"] = unit.into();
        }
        if let Some(max) = max {
            value["max_length"] = max.into();
        }
        if let Some(values) = values {
            let names = values
                .iter()
                .map(|(v, name)| (v.to_string(), Value::from(*name)));
            value["values"] = Value::Object(names.collect());
        }
        if arg.kind == Kind::Hash {
            value["byte_order"] = "little-endian, shown reversed".into();
        }
        value
    };
    let points = TRACEPOINTS.iter().map(|point| {
        let mut args: Vec<Value> = point.args.iter().map(arg).collect();
        for (value, of) in args.iter_mut().zip(point.args) {
            if let Kind::Bytes(length) = of.kind {
                value["length"] = point.args[length].name.into();
            }
        }
        json!({
            "tracepoint": point.to_string(), "since": point.since(),
            "semaphore": point.semaphore(), "doc": point.doc, "args": args,
        })
    });
    points.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_names_argument_expected_and_found() {
        let mut probe = Probe {
            provider: "mempool".to_string(),
            name: "added".to_string(),
            sites: 1,
            operands: vec![(8, true), (4, true), (8, true)],
        };
        assert_eq!(drift(&probe), []);
        probe.operands = vec![(8, false), (8, false), (8, true), (1, false)];
        let said: Vec<String> = drift(&probe).iter().map(Drift::to_string).collect();
        assert_eq!(
            said,
            [
                "mempool:added, argument `vsize`: expected 4 bytes signed, found 8 bytes unsigned",
                "mempool:added, argument `arg3`: expected nothing, found 1 byte unsigned",
            ]
        );
        probe.operands.truncate(1);
        assert_eq!(drift(&probe).len(), 2);
        assert!(drift(&probe)[1].to_string().ends_with("found nothing"));
    }

    #[test]
    fn all_is_in_both_forms() {
        let (text, json) = (text(), json());
        assert_eq!(json.as_array().unwrap().len(), TRACEPOINTS.len());
        for point in TRACEPOINTS {
            assert!(text.contains(&format!("{point}: ")));
            let found = json
                .as_array()
                .unwrap()
                .iter()
                .find(|v| v["tracepoint"] == point.to_string());
            assert_eq!(
                found.unwrap()["args"].as_array().unwrap().len(),
                point.args.len()
            );
        }
        assert!(text.contains("arg1 mode         enum u32                 0 NONE, 1 IF_NEEDED"));
        assert!(text.lines().all(|line| !line.ends_with(' ')));
    }
}
