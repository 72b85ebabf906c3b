//! Which probes, which of their arguments, which hits: from a subscription to the script that is compiled.

use super::{Binary, Events, Filter, Kind, Probe, TraceError};
use crate::session::{Feed, Options, Script, watch};
use std::fmt::Write;

/// Most bytes that are kept of a string whose length is not documented, and of one that is documented to be shorter.
const TEXT: u32 = 1024;
/// Most bytes of a documented string: it may be longer than documented (an address that is a host's name).
const SHORT: u32 = 256;
/// Most bytes that are kept of a payload.
const PAYLOAD: u32 = 64 << 20;

/// An argument of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// Its name.
    pub name: String,
    /// How it is read.
    pub kind: Kind,
    /// Its place in the note, from 0.
    pub index: usize,
}

impl Arg {
    /// The argument at `index` (from 0) of a note.
    pub fn new(name: &str, kind: Kind, index: usize) -> Arg {
        Arg {
            name: name.to_string(),
            kind,
            index,
        }
    }
}

/// A probe that is subscribed to.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) probe: Probe,
    pub(super) args: Vec<Arg>,
    /// The filter in the language of scripts.
    condition: Option<String>,
}

/// Which probes, which of their arguments, which hits.
#[derive(Clone, Debug)]
pub struct Subscription {
    binary: Binary,
    points: Vec<Point>,
    payload: Option<u32>,
    ring_pages: Option<u32>,
}

impl Subscription {
    pub(super) fn new(binary: Binary, probes: &[&Probe]) -> Subscription {
        let point = |probe: &&Probe| Point {
            args: probe.args(),
            probe: (*probe).clone(),
            condition: None,
        };
        Subscription {
            points: probes.iter().map(point).collect(),
            binary,
            payload: None,
            ring_pages: None,
        }
    }

    /// The probes as `provider:name`.
    pub fn probes(&self) -> impl Iterator<Item = String> + '_ {
        self.points.iter().map(|point| point.probe.full_name())
    }

    /// Says what the arguments of `probe` are, where this crate does not know or others are wanted.
    ///
    /// # Errors
    /// [`TraceError::NoProbe`] if the probe is none of those subscribed to; [`TraceError::NoArg`] if its note has fewer.
    pub fn args(mut self, probe: &str, args: Vec<Arg>) -> Result<Subscription, TraceError> {
        let binary = self.binary.name().display().to_string();
        let point = self
            .points
            .iter_mut()
            .find(|point| point.probe.full_name() == probe)
            .ok_or_else(|| TraceError::NoProbe {
                binary,
                probe: probe.to_string(),
                near: None,
                none: false,
            })?;
        let count = point.probe.operands.len();
        let out = |arg: &&Arg| {
            arg.index >= count || matches!(arg.kind, Kind::Bytes(length) if length >= count)
        };
        if let Some(arg) = args.iter().find(out) {
            return Err(TraceError::NoArg {
                probe: probe.to_string(),
                arg: format!("{} (argument {})", arg.name, arg.index),
                known: (0..count).map(|n| format!("arg{n}")).collect(),
            });
        }
        point.args = args;
        Ok(self)
    }

    /// Takes only the arguments of these names, of every probe that has them.
    #[must_use]
    pub fn only(mut self, names: &[&str]) -> Subscription {
        for point in &mut self.points {
            point.args.retain(|arg| names.contains(&arg.name.as_str()));
        }
        self
    }

    /// Takes the bytes of [`Kind::Bytes`] arguments too, at most `limit` of each (up to 64 MiB): without this they stay
    /// behind. An event arrives with all of them or is counted as lost; the ring is sized by `limit`, see
    /// [`Subscription::ring_pages`].
    #[must_use]
    pub fn payload(mut self, limit: u32) -> Subscription {
        self.payload = Some(limit.clamp(1, PAYLOAD));
        self
    }

    /// Memory of the ring of each CPU, in pages of the kernel; a power of two.
    #[must_use]
    pub fn ring_pages(mut self, pages: u32) -> Subscription {
        self.ring_pages = Some(pages);
        self
    }

    /// Takes only hits that `filter` accepts; it runs in the kernel. A probe that can never pass, because it has not got
    /// what the filter asks for, is given up.
    ///
    /// # Errors
    /// [`TraceError::Filter`] if no probe can pass it, or a value does not fit its argument.
    pub fn filter(mut self, filter: &Filter) -> Result<Subscription, TraceError> {
        let mut kept = Vec::new();
        for mut point in self.points {
            if let Some(condition) = filter.condition(&point.probe)? {
                point.condition = match (point.condition, condition) {
                    (Some(old), new) if !new.is_empty() => Some(format!("({old}) && ({new})")),
                    (old, new) if new.is_empty() => old,
                    (_, new) => Some(new),
                };
                kept.push(point);
            }
        }
        if kept.is_empty() && !filter.is_empty() {
            return Err(filter.fits_nothing().into());
        }
        self.points = kept;
        Ok(self)
    }

    /// The script that is compiled for this subscription.
    pub fn script(&self) -> String {
        let path = quoted(&self.binary.path().to_string_lossy());
        let mut text = String::new();
        for point in &self.points {
            let _ = write!(
                text,
                "usdt:{path}:{}:{}",
                point.probe.provider, point.probe.name
            );
            if let Some(condition) = &point.condition {
                let _ = write!(text, " /{condition}/");
            }
            let (mut format, mut args) = ("%d %d".to_string(), "pid, tid".to_string());
            for arg in self.taken(point) {
                let (conversion, expression) = self.expression(point, arg);
                let _ = write!(format, " {conversion}");
                let _ = write!(args, ", {expression}");
            }
            let _ = writeln!(text, "\n{{\n  printf(\"{format}\", {args});\n}}");
        }
        text
    }

    /// The arguments of a point that are sent.
    pub(super) fn taken<'p>(&self, point: &'p Point) -> impl Iterator<Item = &'p Arg> + use<'p> {
        let payload = self.payload.is_some();
        point
            .args
            .iter()
            .filter(move |arg| payload || !matches!(arg.kind, Kind::Bytes(_)))
    }

    fn expression(&self, point: &Point, arg: &Arg) -> (&'static str, String) {
        let n = arg.index;
        match arg.kind {
            Kind::Int | Kind::Enum(_) => ("%d", number(&point.probe, n)),
            Kind::Bool => ("%d", format!("(uint8)arg{n}")),
            Kind::Str(0) => ("%s", format!("str(arg{n}, {TEXT})")),
            Kind::Str(max) => ("%s", format!("str(arg{n}, {})", (max + 1).max(SHORT))),
            Kind::Hash => ("%r", format!("buf(arg{n}, 32)")),
            Kind::Bytes(length) => ("%r", format!("buf(arg{n}, arg{length})")),
        }
    }

    /// Compiles, loads and attaches.
    ///
    /// # Errors
    /// [`TraceError::Session`] with what stands in the way; nothing stays attached then.
    pub fn start(self) -> Result<Events, TraceError> {
        let mut config = vec![
            (
                "max_strlen".to_string(),
                self.payload.unwrap_or(TEXT).max(TEXT).to_string(),
            ),
            // So that an event can tell them from zeros.
            ("unreadable_bytes".to_string(), "none".to_string()),
        ];
        if let Some(pages) = self.ring_pages {
            config.push(("perf_rb_pages".to_string(), pages.to_string()));
        }
        let options = Options {
            script: Script {
                name: "subscription".to_string(),
                text: self.script(),
            },
            config,
            ..Options::default()
        };
        // Opened before anything is attached: its number cannot pass to another process meanwhile.
        let process = match self.binary.pid() {
            Some(pid) => watch(pid)?,
            None => None,
        };
        let feed = Feed::start(&options, self.binary.pid())?;
        Ok(Events::new(feed, &self, &self.points, process))
    }
}

/// The argument of that index as the number that its note says.
pub(super) fn number(probe: &Probe, index: usize) -> String {
    let (size, signed) = probe.operands.get(index).copied().unwrap_or((8, false));
    let sign = if signed { "int" } else { "uint" };
    format!("({sign}{})arg{index}", u32::from(size) * 8)
}

/// As a string of a script.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out + "\""
}
