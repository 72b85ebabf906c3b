//! Decoded values, and how they are printed.

use std::{borrow::Cow, fmt};

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

use super::table::SERVICES;
use crate::bitcoin::{date::utc, lines::hex};

/// A decoded field. Bytes stay where they are in the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'p> {
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
    Name(Cow<'static, str>),
    /// Text of the peer's; what is not UTF-8 is replaced, what is not printable is escaped when printed.
    Text(String),
    /// 32 bytes as they travel; printed last byte first, as explorers show hashes.
    Hash([u8; 32]),
    /// Bytes.
    Bytes(&'p [u8]),
    /// Several: those that were kept, and how many there are.
    List(Vec<Value<'p>>, usize),
    /// Named fields in order.
    Record(Vec<(&'static str, Value<'p>)>),
}

/// Entries of a list that the one-line form shows.
pub const SHOWN: usize = 4;
/// Bytes that the one-line form shows.
const SHOWN_BYTES: usize = 40;

impl<'p> Value<'p> {
    /// The field of a record.
    pub fn get(&self, name: &str) -> Option<&Value<'p>> {
        match self {
            Value::Record(fields) => fields.iter().find(|(n, _)| *n == name).map(|(_, v)| v),
            _ => None,
        }
    }
}

/// Hashes and bytes in hexadecimal, times and services as numbers, everything else as it is; keys in the order of the
/// alphabet.
impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Int(n) => to.serialize_i64(*n),
            Value::Uint(n) | Value::Time(n) | Value::Services(n) => to.serialize_u64(*n),
            Value::Hex(n) => to.serialize_u32(*n),
            Value::Bool(b) => to.serialize_bool(*b),
            Value::Name(text) => to.serialize_str(text),
            Value::Text(text) => to.serialize_str(text),
            Value::Hash(_) => to.collect_str(self),
            Value::Bytes(bytes) => to.collect_str(&Hex(bytes)),
            Value::List(values, _) => {
                let mut list = to.serialize_seq(Some(values.len()))?;
                values
                    .iter()
                    .try_for_each(|value| list.serialize_element(value))?;
                list.end()
            }
            Value::Record(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                let mut map = to.serialize_map(Some(fields.len()))?;
                fields
                    .into_iter()
                    .try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}

/// Bytes in hexadecimal.
struct Hex<'b>(&'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = Vec::new();
        self.0.chunks(PIECE).try_for_each(|part| {
            digits.clear();
            hex(&mut digits, part);
            f.write_str(&String::from_utf8_lossy(&digits))
        })
    }
}

/// Bytes that become digits at once.
const PIECE: usize = 4096;

/// One line: long lists and bytes are cut, with how many are left out.
impl fmt::Display for Value<'_> {
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
            Value::Hash(hash) => {
                let mut shown = *hash;
                shown.reverse();
                Hex(&shown).fmt(f)
            }
            Value::Bytes(bytes) if bytes.len() > SHOWN_BYTES => write!(
                f,
                "{}…(+{} bytes)",
                Hex(&bytes[..SHOWN_BYTES]),
                bytes.len() - SHOWN_BYTES
            ),
            Value::Bytes(bytes) => Hex(bytes).fmt(f),
            Value::List(values, count) => {
                write!(f, "{count}[")?;
                for (i, value) in values.iter().take(SHOWN).enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                if *count > SHOWN {
                    write!(f, ", …(+{})", count - SHOWN)?;
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
fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[(&'static str, Value<'_>)]) -> fmt::Result {
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
