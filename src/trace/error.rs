//! Why tracing did not come about, or an event has no such argument.

use super::FilterError;
use crate::{
    runtime::record::RecordError, session::SessionError, session::binary::BinaryError, suggest,
};
use std::fmt;

/// Why tracing did not come about, or an event has no such argument.
#[derive(Debug)]
pub enum TraceError {
    /// Compiling, loading, attaching or reading.
    Session(Box<SessionError>),
    /// The binary cannot be read.
    Binary(BinaryError),
    /// The binary has no such probe.
    NoProbe {
        /// The file.
        binary: String,
        /// The probe asked for.
        probe: String,
        /// One that it has and that may have been meant.
        near: Option<String>,
        /// The file has no probes at all.
        none: bool,
    },
    /// A probe's name is not `provider:name`.
    Name(String),
    /// A probe has no such argument.
    NoArg {
        /// The probe.
        probe: String,
        /// The argument asked for.
        arg: String,
        /// The arguments that there are.
        known: Vec<String>,
    },
    /// An argument is of another type.
    Type {
        /// The probe.
        probe: String,
        /// The argument.
        arg: String,
        /// What was asked for.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A filter cannot be used.
    Filter(FilterError),
    /// A record makes no sense.
    Record(RecordError),
}

impl TraceError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            TraceError::Session(err) => err.help(),
            TraceError::Binary(err) => err.help().map(str::to_string),
            TraceError::NoProbe { none: true, .. } => Some(
                "it was built without them; bitcoind is built with them by -DWITH_USDT=ON (needs systemtap's sys/sdt.h)"
                    .to_string(),
            ),
            TraceError::NoProbe { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            TraceError::NoProbe { binary, .. } => Some(format!("list them with -l 'usdt:{binary}:*'")),
            TraceError::Name(_) => Some("write it as `provider:name`, like `net:inbound_message`".to_string()),
            TraceError::NoArg { arg, known, .. } => Some(
                match suggest::closest(arg, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has {}", known.join(", ")),
                },
            ),
            TraceError::Filter(err) => err.help(),
            TraceError::Type { .. } | TraceError::Record(_) => None,
        }
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceError::Session(err) => err.fmt(f),
            TraceError::Binary(err) => err.fmt(f),
            TraceError::NoProbe {
                binary, none: true, ..
            } => write!(f, "`{binary}` has no USDT probes"),
            TraceError::NoProbe { binary, probe, .. } => {
                write!(f, "`{binary}` has no USDT probe `{probe}`")
            }
            TraceError::Name(name) => write!(f, "`{name}` is no probe's name"),
            TraceError::NoArg { probe, arg, .. } => {
                write!(f, "`{probe}` has no argument `{arg}`")
            }
            TraceError::Type {
                probe,
                arg,
                wanted,
                found,
            } => write!(f, "argument `{arg}` of `{probe}` is {found}, not {wanted}"),
            TraceError::Filter(err) => err.fmt(f),
            TraceError::Record(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for TraceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TraceError::Session(err) => Some(err),
            TraceError::Binary(err) => Some(err),
            TraceError::Filter(err) => Some(err),
            TraceError::Record(err) => Some(err),
            _ => None,
        }
    }
}

impl From<SessionError> for TraceError {
    fn from(err: SessionError) -> Self {
        TraceError::Session(Box::new(err))
    }
}

impl From<BinaryError> for TraceError {
    fn from(err: BinaryError) -> Self {
        TraceError::Binary(err)
    }
}

impl From<FilterError> for TraceError {
    fn from(err: FilterError) -> Self {
        TraceError::Filter(err)
    }
}

impl From<RecordError> for TraceError {
    fn from(err: RecordError) -> Self {
        TraceError::Record(err)
    }
}
