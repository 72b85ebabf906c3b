//! What differs between two bundles, in words.

use super::{
    Bundle, BundleError, Program,
    plain::{counted, visible},
};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;

/// Most differing instructions shown of a program.
const SHOWN: usize = 20;

/// What differs, one difference a line or block; empty if both load the same and do the same with it.
///
/// # Errors
/// A path that is no UTF-8.
pub fn diff(a: &Bundle, b: &Bundle) -> Result<String, BundleError> {
    let mut text = String::new();
    if a.sha256 == b.sha256 {
        return Ok(text);
    }
    let parts: [(&str, Value, Value); 7] = [
        ("script", value(&a.script)?, value(&b.script)?),
        ("license", value(&a.license)?, value(&b.license)?),
        ("target", value(&a.target)?, value(&b.target)?),
        ("binaries", value(&a.binaries)?, value(&b.binaries)?),
        ("maps", value(&a.maps)?, value(&b.maps)?),
        ("events", value(&a.events)?, value(&b.events)?),
        ("settings", value(&a.settings)?, value(&b.settings)?),
    ];
    for (name, left, right) in &parts {
        values(&mut text, name, left, right);
    }
    for program in &a.programs {
        match b.programs.iter().find(|other| same(program, other)) {
            Some(other) => programs(&mut text, program, other)?,
            None => line(
                &mut text,
                &format!(
                    "- program `{}`: {}",
                    program.probe,
                    counted(program.insns.len(), "instruction")
                ),
            ),
        }
    }
    for program in &b.programs {
        if !a.programs.iter().any(|other| same(program, other)) {
            line(
                &mut text,
                &format!(
                    "+ program `{}`: {}",
                    program.probe,
                    counted(program.insns.len(), "instruction")
                ),
            );
        }
    }
    Ok(text)
}

fn value(of: &impl Serialize) -> Result<Value, BundleError> {
    serde_json::to_value(of).map_err(|err| BundleError::Write(err.to_string()))
}

/// One program in both: the same probe, of the same turn if there are several.
fn same(a: &Program, b: &Program) -> bool {
    a.probe == b.probe && a.name == b.name
}

fn line(text: &mut String, what: &str) {
    text.push_str(&visible(what));
    text.push('\n');
}

/// Every place at which two values differ.
fn values(text: &mut String, path: &str, a: &Value, b: &Value) {
    match (a, b) {
        _ if a == b => {}
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                let other = right.get(key).unwrap_or(&Value::Null);
                values(text, &format!("{path}.{key}"), value, other);
            }
            for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                values(text, &format!("{path}.{key}"), &Value::Null, value);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (at, (x, y)) in left.iter().zip(right).enumerate() {
                values(text, &format!("{path}[{at}]"), x, y);
            }
        }
        (Value::String(left), Value::String(right))
            if left.contains('\n') || right.contains('\n') =>
        {
            line(text, path);
            sequence(
                text,
                &left.lines().collect::<Vec<_>>(),
                &right.lines().collect::<Vec<_>>(),
            );
        }
        _ => {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{path}\n  - {}\n  + {}",
                visible(&a.to_string()),
                visible(&b.to_string())
            );
        }
    }
}

fn programs(text: &mut String, a: &Program, b: &Program) -> Result<(), BundleError> {
    let path = format!("program `{}`", a.probe);
    for (name, left, right) in [
        ("kind", value(&a.kind)?, value(&b.kind)?),
        ("sleepable", value(&a.sleepable)?, value(&b.sleepable)?),
        ("attach", value(&a.attach)?, value(&b.attach)?),
        ("helpers", value(&a.helpers)?, value(&b.helpers)?),
    ] {
        values(text, &format!("{path}.{name}"), &left, &right);
    }
    let lines = |program: &Program| -> Vec<String> {
        let of = program.insns.iter();
        of.map(|insn| format!("{:<32}  {}", insn.bytes, insn.text))
            .collect()
    };
    let (left, right) = (lines(a), lines(b));
    if left != right {
        line(
            text,
            &format!(
                "{path}: {} became {}",
                counted(left.len(), "instruction"),
                right.len()
            ),
        );
        let refs = |lines: &[String]| -> Vec<String> { lines.to_vec() };
        let (left, right) = (refs(&left), refs(&right));
        sequence(
            text,
            &left.iter().map(String::as_str).collect::<Vec<_>>(),
            &right.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    Ok(())
}

/// What differs between two sequences once their common beginning and end are left out.
fn sequence(text: &mut String, a: &[&str], b: &[&str]) {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[head..], &b[head..]);
    let tail = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    for (mark, lines) in [('-', &a[..a.len() - tail]), ('+', &b[..b.len() - tail])] {
        for (at, what) in lines.iter().enumerate().take(SHOWN) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {mark} {:>4}  {}", head + at + 1, visible(what));
        }
        if lines.len() > SHOWN {
            let _ = writeln!(text, "  {mark} and {} more", lines.len() - SHOWN);
        }
    }
}
