//! Decoded values, and how they are printed.

use std::fmt;

use serde_json::{Map, Number, json};

use super::table::SERVICES;
use crate::bitcoin::date::utc;

/// A decoded field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Int(i64),
    /// A number without sign.
    Uint(u64),
    /// A number that people know in hexadecimal.
    Hex(u32),
    /// Yes or no.
    Bool(bool),
    /// Seconds since 1970.
    Time(u64),
    /// Service flags.
    Services(u64),
    /// Text of our own making: an address, a type.
    Name(String),
    /// Text of the peer's; what is not UTF-8 is replaced, what is not printable is escaped when printed.
    Text(String),
    /// 32 bytes as they travel; printed last byte first, as explorers show hashes.
    Hash([u8; 32]),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several.
    List(Vec<Value>),
    /// Named fields in order.
    Record(Vec<(&'static str, Value)>),
}

/// Entries of a list that the one-line form shows; JSON has all.
const SHOWN: usize = 4;
/// Bytes that the one-line form shows.
const SHOWN_BYTES: usize = 40;

impl Value {
    /// The field of a record.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Record(fields) => fields.iter().find(|(n, _)| *n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// As JSON: hashes and bytes in hexadecimal, times and services as numbers, everything else as it is.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Value::Int(n) => json!(n),
            Value::Uint(n) | Value::Time(n) | Value::Services(n) => {
                serde_json::Value::Number(Number::from(*n))
            }
            Value::Hex(n) => json!(n),
            Value::Bool(b) => json!(b),
            Value::Name(text) | Value::Text(text) => json!(text),
            Value::Hash(hash) => json!(hex(hash.iter().rev())),
            Value::Bytes(bytes) => json!(hex(bytes)),
            Value::List(values) => values.iter().map(Value::json).collect(),
            Value::Record(fields) => serde_json::Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// Bytes in hexadecimal.
fn hex<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> String {
    use fmt::Write;
    bytes.into_iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One line: long lists and bytes are cut, with how many are left out.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(n) => write!(f, "{n}"),
            Value::Uint(n) => write!(f, "{n}"),
            Value::Hex(n) => write!(f, "{n:#010x}"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Time(seconds) => write!(f, "{}", utc(*seconds)),
            Value::Services(flags) => services(f, *flags),
            Value::Name(text) => f.write_str(text),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Hash(hash) => f.write_str(&hex(hash.iter().rev())),
            Value::Bytes(bytes) if bytes.len() > SHOWN_BYTES => write!(
                f,
                "{}…(+{} bytes)",
                hex(&bytes[..SHOWN_BYTES]),
                bytes.len() - SHOWN_BYTES
            ),
            Value::Bytes(bytes) => f.write_str(&hex(bytes)),
            Value::List(values) => {
                write!(f, "{}[", values.len())?;
                for (i, value) in values.iter().take(SHOWN).enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                if values.len() > SHOWN {
                    write!(f, ", …(+{})", values.len() - SHOWN)?;
                }
                f.write_str("]")
            }
            Value::Record(fields) => {
                f.write_str("{")?;
                write_fields(f, fields)?;
                f.write_str("}")
            }
        }
    }
}

/// `name=value name=value`.
fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[(&'static str, Value)]) -> fmt::Result {
    for (i, (name, value)) in fields.iter().enumerate() {
        let space = if i == 0 { "" } else { " " };
        write!(f, "{space}{name}={value}")?;
    }
    Ok(())
}

/// `NETWORK|WITNESS|0x1000`, 0 for none.
fn services(f: &mut fmt::Formatter<'_>, flags: u64) -> fmt::Result {
    let known = SERVICES.iter().filter(|(bit, _)| flags >> bit & 1 == 1);
    let mut rest = flags;
    let mut names = Vec::new();
    for (bit, name) in known {
        rest &= !(1 << bit);
        names.push((*name).to_owned());
    }
    if rest != 0 || names.is_empty() {
        names.push(if rest == 0 {
            "0".to_owned()
        } else {
            format!("{rest:#x}")
        });
    }
    f.write_str(&names.join("|"))
}
