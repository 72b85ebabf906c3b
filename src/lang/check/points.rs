//! Attach points against the target: wildcards expanded, what is missing said.

use super::kernel;
use crate::spec::{Arch, Binary, Interval, Target};
use crate::{
    lang::{
        ast::{AttachPoint, Probe},
        checked::{CheckedPoint, MissingProbes, Point},
        diag::{Diagnostic, Severity},
        number,
        points::{self, Kind, Wanted, glob},
    },
    suggest,
    symbols::{Language, Want},
};

/// All places at which a probe's program gets attached.
pub(super) fn resolve(
    probe: &Probe,
    target: &Target,
    missing: MissingProbes,
    diags: &mut Vec<Diagnostic>,
) -> Vec<CheckedPoint> {
    let (mut out, mut gone, mut told, before) = (Vec::new(), Vec::new(), false, diags.len());
    for written in &probe.points {
        let point = points::with_params(written, &target.params);
        match one(&point, target) {
            Ok(found) => {
                for (name, point) in found {
                    out.push(CheckedPoint {
                        name,
                        point,
                        span: written.span,
                    });
                }
            }
            Err(Fault::Wrong(diag)) => diags.push(diag),
            Err(Fault::Absent(diag)) => gone.push(diag),
            Err(Fault::Told) => told = true,
        }
    }
    told |= diags.len() > before;
    absent_points(probe, gone, missing, out.is_empty() && !told, diags);
    out
}

/// Says what is not there, as `missing` wants it; `all`: nothing of the probe is.
fn absent_points(
    probe: &Probe,
    gone: Vec<Diagnostic>,
    missing: MissingProbes,
    all: bool,
    diags: &mut Vec<Diagnostic>,
) {
    if missing == MissingProbes::Ignore {
        return;
    }
    let is_pattern = |diag: &Diagnostic| {
        let said = diag.said.as_ref();
        said.is_some_and(|said| said.message.starts_with(points::NO_PLACES))
    };
    let (patterns, names): (Vec<_>, Vec<_>) = gone.into_iter().partition(is_pattern);
    let named = !names.is_empty();
    let whole = match probe.points.as_slice() {
        [first, .., last] => first.span.to(last.span),
        [only] => only.span,
        [] => probe.span,
    };
    if missing == MissingProbes::Error {
        diags.extend(names);
        if all && !named {
            let mut patterns = patterns.into_iter();
            diags.extend(patterns.next().map(|mut diag| {
                if let Some(said) = &mut diag.said {
                    said.span = Some(whole);
                }
                diag
            }));
            diags.extend(patterns.map(Diagnostic::unsaid));
        }
        return;
    }
    let warn = |mut diag: Diagnostic| {
        diag.severity = Severity::Warning;
        diag
    };
    for mut diag in names {
        if let Some(said) = &mut diag.said {
            said.message.push_str(" Skipping.");
        }
        diags.push(warn(diag));
    }
    if all {
        let text = "the probe is left out: nothing of it is there";
        let said = format!(
            "{} It is being removed which may cause issues with program behavior.",
            points::NO_PLACES
        );
        diags.push(Diagnostic::warning(whole, text).said(said));
    }
}

/// Why a point is nowhere.
enum Fault {
    /// It cannot be read.
    Wrong(Diagnostic),
    /// Nothing has that name.
    Absent(Diagnostic),
    /// That has been said elsewhere.
    Told,
}

/// `HW_BREAKPOINT_R`.
const READ: u32 = 1;

type Found = Result<Vec<(String, Point)>, Fault>;

fn one(point: &AttachPoint, target: &Target) -> Found {
    let Some(row) = points::provider(&point.provider) else {
        return Err(Fault::Told);
    };
    let name = std::iter::once(row.name)
        .chain(point.parts.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(":");
    let alone = |p: Point| {
        if point.parts.iter().any(|p| !p.is_empty()) {
            let text = format!("`{}` takes no parts", row.name);
            let said = points::parts_said(point, "0");
            return Err(Fault::Wrong(Diagnostic::error(point.span, text).said(said)));
        }
        Ok(vec![(row.name.to_string(), p)])
    };
    let single =
        |p: Result<Point, Diagnostic>| p.map(|p| vec![(name.clone(), p)]).map_err(Fault::Wrong);
    match row.kind {
        Kind::Begin => alone(Point::Begin),
        Kind::End => alone(Point::End),
        Kind::SelfSignal => single(signal(point)),
        Kind::Test | Kind::Bench => single(match point.parts.as_slice() {
            [label] if !label.is_empty() => {
                Ok(Point::Manual(label.clone(), row.kind == Kind::Bench))
            }
            _ => Err(
                Diagnostic::error(point.span, format!("`{}` wants a name", row.name))
                    .help(format!("write `{}:NAME`", row.name))
                    .said(points::parts_said(point, "1")),
            ),
        }),
        Kind::Interval => timed(point, row.name, &name, Point::Interval),
        Kind::Profile => timed(point, row.name, &name, Point::Profile),
        Kind::Software => counted(
            point,
            name,
            points::software(point).map(|(c, p)| Point::Software(c, p)),
        ),
        Kind::Watch => single(match points::watch(point) {
            // The debug registers of x86 know no reads alone.
            Ok((_, _, READ)) if target.arch == Arch::X86_64 => Err(Diagnostic::error(
                point.span,
                "a watchpoint of reads alone is not known to this processor",
            )
            .help("use `rw`")
            .said("invalid watchpoint mode: r")
            .said_hint(points::WATCH_MODES)),
            other => other.map(|(a, l, m)| Point::Watch(a, l, m)),
        }),
        Kind::Hardware => counted(
            point,
            name,
            points::hardware(point).map(|(c, p)| Point::Hardware(c, p)),
        ),
        Kind::Kernel => match points::kernel(point) {
            Some(Ok(want)) => kernel::resolve(point, &want, target).map_err(|diag| match want {
                points::Kernel::Iter { .. } => Fault::Wrong(diag),
                _ => Fault::Absent(diag),
            }),
            Some(Err(diag)) => Err(Fault::Wrong(diag)),
            None => Err(Fault::Told),
        },
        Kind::User => match points::user(point) {
            Some(Ok(want)) => user(point, &want, target),
            Some(Err(diag)) => Err(Fault::Wrong(diag)),
            None => Err(Fault::Told),
        },
    }
}

/// `interval` and `profile`: a time without its unit in a part of its own is shown in microseconds.
fn timed(point: &AttachPoint, kind: &str, name: &str, make: fn(Interval) -> Point) -> Found {
    let every = points::timed(point).map_err(Fault::Wrong)?;
    let name = match (point.parts.as_slice(), &every) {
        ([_], Interval::Nanos(n)) => format!("{kind}:us:{}", n / 1000),
        ([unit, count], _) => match number::parse(count) {
            Ok(n) => format!("{kind}:{unit}:{n}"),
            Err(_) => name.to_string(),
        },
        _ => name.to_string(),
    };
    Ok(vec![(name, make(every))])
}

/// An event by name; its count is shown in decimal, and not at all where it is none.
fn counted(point: &AttachPoint, name: String, found: Result<Point, Diagnostic>) -> Found {
    let found = found.map_err(Fault::Wrong)?;
    let count = point.parts.get(1).map(|count| number::parse(count));
    let shown = match (count, name.rsplit_once(':')) {
        (Some(Ok(0)), Some((event, _))) => event.to_string(),
        (Some(Ok(n)), Some((event, _))) => format!("{event}:{n}"),
        _ => name,
    };
    Ok(vec![(shown, found)])
}

fn signal(point: &AttachPoint) -> Result<Point, Diagnostic> {
    let [word, name] = point.parts.as_slice() else {
        return Err(Diagnostic::error(point.span, "`self` wants an event")
            .help("write `self:signal:SIGUSR1`")
            .said(points::parts_said(point, "2")));
    };
    if word != "signal" {
        return Err(
            Diagnostic::error(point.span, format!("`self` knows no `{word}`"))
                .help("write `self:signal:SIGUSR1`"),
        );
    }
    points::signal(name).map(Point::Signal).ok_or_else(|| {
        Diagnostic::error(point.span, format!("unknown signal `{name}`"))
            .said(format!("{name} is not a supported signal"))
    })
}

fn user(point: &AttachPoint, want: &Wanted, target: &Target) -> Found {
    let mut found = Vec::new();
    let binaries: Vec<(usize, &Binary)> = target
        .binaries
        .iter()
        .enumerate()
        .filter(|(_, b)| b.written == want.path())
        .collect();
    for (index, binary) in &binaries {
        match want {
            Wanted::Usdt { provider, name, .. } => {
                for (at, probe) in binary.usdt.iter().enumerate() {
                    let fits = provider.as_ref().is_none_or(|p| glob(p, &probe.provider));
                    if fits && glob(name, &probe.name) {
                        found.push((
                            format!("usdt:{}:{}:{}", binary.shown, probe.provider, probe.name),
                            Point::Usdt {
                                binary: *index,
                                probe: at,
                            },
                        ));
                    }
                }
            }
            Wanted::Uprobe {
                function,
                cpp,
                offset,
                ret,
                ..
            } => {
                let word = if *ret { "uretprobe" } else { "uprobe" };
                if function.is_empty() || function.starts_with('@') {
                    for (address, start) in places(binary, function, *offset) {
                        found.push((
                            format!("{word}:{}:{address}", binary.shown),
                            Point::Uprobe {
                                binary: *index,
                                function: String::new(),
                                offset: start,
                                ret: *ret,
                            },
                        ));
                    }
                    continue;
                }
                let want = Want::new(function, Language::of(*cpp));
                for (symbol, start, size) in &binary.functions {
                    if !want.accepts(symbol) {
                        continue;
                    }
                    if *offset != 0 && *size != 0 && offset >= size {
                        return Err(Fault::Wrong(Diagnostic::error(
                            point.span,
                            format!("offset {offset} is behind `{symbol}`, which has {size} bytes"),
                        )));
                    }
                    let tail = if *offset != 0 {
                        format!("+{offset}")
                    } else {
                        String::new()
                    };
                    let lang = if *cpp { "cpp:" } else { "" };
                    found.push((
                        format!("{word}:{}:{lang}{symbol}{tail}", binary.shown),
                        Point::Uprobe {
                            binary: *index,
                            function: symbol.clone(),
                            offset: start + offset,
                            ret: *ret,
                        },
                    ));
                }
            }
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    Err(Fault::Absent(absent(point, want, &binaries)))
}

/// Addresses and file offsets of a bare address, or of a source line.
fn places<'b>(
    binary: &'b Binary,
    line: &'b str,
    vaddr: u64,
) -> impl Iterator<Item = (String, u64)> + 'b {
    let all = binary.functions.iter();
    all.filter_map(move |(key, start, _)| {
        let address = match line {
            "" => key.clone(),
            line => key.strip_prefix(line)?.strip_prefix('@')?.to_string(),
        };
        (!line.is_empty() || address == vaddr.to_string()).then_some((address, *start))
    })
}

fn absent(point: &AttachPoint, want: &Wanted, binaries: &[(usize, &Binary)]) -> Diagnostic {
    let path = want.path();
    if binaries.is_empty() {
        return Diagnostic::error(point.span, format!("no binary `{path}`")).said(want.absent());
    }
    let diag = match want {
        Wanted::Usdt { provider, name, .. } => {
            let all = || binaries.iter().flat_map(|(_, b)| &b.usdt);
            if all().next().is_none() {
                return Diagnostic::error(point.span, format!("`{path}` has no USDT probes"))
                    .help("was it built with them?")
                    .said(want.absent());
            }
            if let Some(provider) = provider {
                let known = all().any(|p| glob(provider, &p.provider));
                if !known {
                    let names = all().map(|p| p.provider.as_str());
                    let help = suggest::did_you_mean(provider, names);
                    return Diagnostic::error(
                        point.span,
                        format!("`{path}` has no USDT provider `{provider}`"),
                    )
                    .maybe_help(help)
                    .said(want.absent());
                }
            }
            let names = all()
                .filter(|p| provider.as_ref().is_none_or(|w| glob(w, &p.provider)))
                .map(|p| p.name.as_str());
            let full = match provider {
                Some(provider) => format!("{provider}:{name}"),
                None => name.clone(),
            };
            Diagnostic::error(point.span, format!("`{path}` has no USDT probe `{full}`"))
                .maybe_help(suggest::did_you_mean(name, names))
        }
        Wanted::Uprobe { function, .. } => {
            let names = binaries
                .iter()
                .flat_map(|(_, b)| b.functions.iter().map(|f| f.0.as_str()));
            let help = suggest::did_you_mean(function, names);
            Diagnostic::error(point.span, format!("`{path}` has no function `{function}`"))
                .maybe_help(help)
        }
    };
    diag.said(want.absent())
}
