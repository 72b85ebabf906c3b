//! Why a simulation stopped.

use std::fmt;

use super::events::EventError;
use crate::{
    runtime::PlayError,
    spec::Object,
    vm::{Fault, Unsupported},
};

/// Why a simulation stopped.
#[derive(Debug)]
pub enum SimulateError {
    /// An event makes no sense, or not for this script.
    Event(EventError),
    /// A program cannot be run in user space.
    Unsupported {
        /// Its attach point; empty if a map is to blame.
        probe: String,
        /// What is missing.
        why: Box<Unsupported>,
    },
    /// A program went wrong.
    Fault {
        /// Its attach point.
        probe: String,
        /// Line of the script that the instruction comes from.
        line: Option<usize>,
        /// What went wrong.
        fault: Box<Fault>,
    },
    /// A record or a map makes no sense.
    Play(PlayError),
    /// A timed probe would fire more often than anyone waits for.
    TooManyTicks {
        /// The probe.
        probe: String,
        /// Line of the event before which it fires.
        line: usize,
    },
}

impl SimulateError {
    pub(super) fn unsupported(object: &Object, why: Unsupported) -> Self {
        let program = why.insn.and(object.programs.get(why.program));
        SimulateError::Unsupported {
            probe: program.map(|p| p.probe.clone()).unwrap_or_default(),
            why: Box::new(why),
        }
    }

    pub(super) fn fault(object: &Object, index: usize, fault: Fault) -> Self {
        let program = object.programs.get(index);
        let span = program.and_then(|p| p.origins.get(fault.insn).copied().flatten());
        SimulateError::Fault {
            probe: program.map(|p| p.probe.clone()).unwrap_or_default(),
            line: span.map(|span| span.line_col(&object.source).0),
            fault: Box::new(fault),
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        match self {
            SimulateError::Event(err) => err.help.as_deref(),
            SimulateError::TooManyTicks { .. } => {
                Some("times are nanoseconds; the first event's time is when tracing begins")
            }
            SimulateError::Unsupported { .. }
            | SimulateError::Fault { .. }
            | SimulateError::Play(_) => None,
        }
    }
}

impl fmt::Display for SimulateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SimulateError::Event(err) => err.fmt(f),
            SimulateError::Unsupported { probe, why } if probe.is_empty() => {
                write!(f, "simulate: {why}")
            }
            SimulateError::Unsupported { probe, why } => write!(f, "simulate `{probe}`: {why}"),
            SimulateError::Fault { probe, line, fault } => {
                write!(f, "simulate `{probe}`")?;
                if let Some(line) = line {
                    write!(f, ", script line {line}")?;
                }
                write!(f, ": {fault}")
            }
            SimulateError::Play(err) => err.fmt(f),
            SimulateError::TooManyTicks { probe, line } => write!(
                f,
                "line {line}: so much time passes before it that `{probe}` would fire over a million times"
            ),
        }
    }
}

impl std::error::Error for SimulateError {}

impl From<EventError> for SimulateError {
    fn from(err: EventError) -> Self {
        SimulateError::Event(err)
    }
}

impl From<PlayError> for SimulateError {
    fn from(err: PlayError) -> Self {
        SimulateError::Play(err)
    }
}
