//! One hit of a probe, with its typed arguments.

use super::{Arg, Kind, TraceError};
use crate::{
    runtime::record::{Raw, Record, RecordError},
    spec::{Field, Type},
};
use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What all events of one probe have in common.
#[derive(Debug)]
pub(super) struct Shape {
    /// `net:inbound_message`.
    pub(super) name: String,
    pub(super) args: Vec<Arg>,
    /// Wall clock less `CLOCK_MONOTONIC`, nanoseconds.
    pub(super) wall: i128,
}

/// One hit of a probe.
#[derive(Clone)]
pub struct Event {
    pub(super) shape: Arc<Shape>,
    /// Process, thread, then the arguments: where they are in the record.
    pub(super) fields: Arc<[Field]>,
    pub(super) bytes: Box<[u8]>,
    /// Where the arguments begin in `bytes`.
    pub(super) at: usize,
    pub(super) time: u64,
    pub(super) cpu: u32,
}

/// 32 bytes that are shown as block explorers show them: the last byte first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

/// The value of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A number.
    Int(i128),
    /// 0 or 1.
    Bool(bool),
    /// A number, and its name if it has one.
    Enum(i128, Option<&'static str>),
    /// A string without its NUL; any bytes. Empty if it could not be read.
    Text(&'a [u8]),
    /// A hash; `None` if it could not be read.
    Hash(Option<Hash>),
    /// Bytes of a payload: all, or as many as the subscription takes, or none if they could not be read.
    Bytes(&'a [u8]),
}

impl Event {
    /// `provider:name` of its probe.
    pub fn name(&self) -> &str {
        &self.shape.name
    }

    /// The name of its probe without the provider.
    pub fn short_name(&self) -> &str {
        self.name().split_once(':').map_or("", |(_, name)| name)
    }

    /// When it happened: `CLOCK_MONOTONIC`, nanoseconds.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// When it happened, by the wall clock.
    pub fn wall(&self) -> SystemTime {
        let nanos = u64::try_from(i128::from(self.time) + self.shape.wall).unwrap_or(0);
        UNIX_EPOCH + Duration::from_nanos(nanos)
    }

    /// The CPU that it happened on.
    pub fn cpu(&self) -> u32 {
        self.cpu
    }

    /// The process that it happened in.
    pub fn pid(&self) -> u32 {
        self.own(0)
    }

    /// The thread that it happened in.
    pub fn tid(&self) -> u32 {
        self.own(1)
    }

    fn own(&self, index: usize) -> u32 {
        let field = self.fields.get(index);
        let raw = field.and_then(|field| self.raw(field).ok());
        raw.map_or(0, |raw| u32::try_from(number(raw, false)).unwrap_or(0))
    }

    /// Names of its arguments.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shape.args.iter().map(|arg| arg.name.as_str())
    }

    /// Its arguments with their values.
    pub fn values(&self) -> impl Iterator<Item = (&Arg, Value<'_>)> {
        let args = self.shape.args.iter().enumerate();
        args.filter_map(|(n, arg)| Some((arg, self.at(n)?)))
    }

    /// The value of its `index`th argument, of those that the subscription takes.
    pub fn at(&self, index: usize) -> Option<Value<'_>> {
        let kind = self.shape.args.get(index)?.kind;
        let field = self.fields.get(index + 2)?;
        let raw = self.raw(field).ok()?;
        let signed = matches!(field.ty, Type::Int { signed: true, .. });
        Some(match kind {
            Kind::Int => Value::Int(number(raw, signed)),
            Kind::Bool => Value::Bool(number(raw, false) != 0),
            Kind::Enum(names) => {
                let value = number(raw, signed);
                let name = names.iter().find(|(v, _)| i128::from(*v) == value);
                Value::Enum(value, name.map(|(_, name)| *name))
            }
            Kind::Str(_) => {
                let end = raw.bytes.iter().position(|b| *b == 0);
                Value::Text(&raw.bytes[..end.unwrap_or(raw.bytes.len())])
            }
            Kind::Hash => Value::Hash(content(raw).try_into().ok().map(Hash)),
            Kind::Bytes(_) => Value::Bytes(content(raw)),
        })
    }

    fn raw(&self, field: &Field) -> Result<Raw<'_>, RecordError> {
        let args = self.bytes.get(self.at..).unwrap_or(&[]);
        Record::new(&self.bytes)?.field(args, field, &[])
    }

    /// The value of the argument of that name.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        let index = self.shape.args.iter().position(|arg| arg.name == name)?;
        self.at(index)
    }

    /// The argument as a number; a flag is 0 or 1.
    ///
    /// # Errors
    /// [`TraceError::NoArg`]; [`TraceError::Type`] for a string, hash or bytes. Numbers beyond 64 signed bits are cut to them.
    pub fn int(&self, name: &str) -> Result<i64, TraceError> {
        match self.known(name)? {
            Value::Int(value) | Value::Enum(value, _) => {
                Ok(i64::try_from(value).unwrap_or(i64::MAX))
            }
            Value::Bool(value) => Ok(value.into()),
            other => Err(self.wrong(name, "a number", other)),
        }
    }

    /// The argument as a flag.
    ///
    /// # Errors
    /// [`TraceError::NoArg`], [`TraceError::Type`].
    pub fn flag(&self, name: &str) -> Result<bool, TraceError> {
        match self.known(name)? {
            Value::Bool(value) => Ok(value),
            Value::Int(value) => Ok(value != 0),
            other => Err(self.wrong(name, "a flag", other)),
        }
    }

    /// The argument as text; what is no UTF-8 is replaced by `U+FFFD`. Names of numbers and hashes are text too.
    ///
    /// # Errors
    /// [`TraceError::NoArg`], [`TraceError::Type`] for bytes and bare numbers.
    pub fn text(&self, name: &str) -> Result<Cow<'_, str>, TraceError> {
        match self.known(name)? {
            Value::Text(bytes) => Ok(String::from_utf8_lossy(bytes)),
            Value::Enum(value, None) => Ok(value.to_string().into()),
            Value::Enum(_, Some(name)) => Ok(name.into()),
            Value::Hash(Some(hash)) => Ok(hash.to_string().into()),
            other => Err(self.wrong(name, "text", other)),
        }
    }

    /// The argument as a hash.
    ///
    /// # Errors
    /// [`TraceError::NoArg`]; [`TraceError::Type`] also where the memory could not be read.
    pub fn hash(&self, name: &str) -> Result<Hash, TraceError> {
        match self.known(name)? {
            Value::Hash(Some(hash)) => Ok(hash),
            other => Err(self.wrong(name, "a hash", other)),
        }
    }

    /// The argument as bytes.
    ///
    /// # Errors
    /// [`TraceError::NoArg`], also if the subscription takes no payload; [`TraceError::Type`].
    pub fn bytes(&self, name: &str) -> Result<&[u8], TraceError> {
        match self.known(name)? {
            Value::Bytes(bytes) | Value::Text(bytes) => Ok(bytes),
            other => Err(self.wrong(name, "bytes", other)),
        }
    }

    fn known(&self, name: &str) -> Result<Value<'_>, TraceError> {
        self.get(name).ok_or_else(|| TraceError::NoArg {
            probe: self.name().to_string(),
            arg: name.to_string(),
            known: self.names().map(str::to_string).collect(),
        })
    }

    fn wrong(&self, name: &str, wanted: &'static str, found: Value<'_>) -> TraceError {
        TraceError::Type {
            probe: self.name().to_string(),
            arg: name.to_string(),
            wanted,
            found: match found {
                Value::Int(_) | Value::Enum(..) => "a number",
                Value::Bool(_) => "a flag",
                Value::Text(_) => "text",
                Value::Hash(Some(_)) => "a hash",
                Value::Hash(None) => "a hash that could not be read",
                Value::Bytes(_) => "bytes",
            },
        }
    }
}

/// The content of a buffer: a blob is nothing else, a fixed place begins with its length.
fn content(raw: Raw<'_>) -> &[u8] {
    if raw.blob {
        return raw.bytes;
    }
    let length = crate::runtime::record::u32_at(raw.bytes, 0).unwrap_or(0);
    let end = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .saturating_add(4);
    let end = end.min(raw.bytes.len());
    raw.bytes.get(4..end).unwrap_or(&[])
}

fn number(raw: Raw<'_>, signed: bool) -> i128 {
    let value = crate::runtime::int::read(raw.bytes, signed);
    if signed {
        value.cast_signed().into()
    } else {
        value.into()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .rev()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(value) | Value::Enum(value, None) => value.fmt(f),
            Value::Bool(value) => value.fmt(f),
            Value::Enum(_, Some(name)) => f.write_str(name),
            Value::Text(text) => f.write_str(&String::from_utf8_lossy(text)),
            Value::Hash(Some(hash)) => hash.fmt(f),
            Value::Hash(None) => f.write_str("(unreadable)"),
            Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl fmt::Display for Event {
    /// `net:inbound_message peer_id=3 addr=192.0.2.1:8333 …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.values()
            .try_for_each(|(arg, value)| write!(f, " {}={value}", arg.name))
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({self})")
    }
}
