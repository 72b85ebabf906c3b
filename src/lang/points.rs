//! Attach points: probe types by name, what stands between the colons, what the driver must look up.

use super::ast::{AttachPoint, Item, Script};
use super::constants;
use super::diag::Diagnostic;
use super::number;
use crate::spec::Interval;
use crate::suggest;

/// What the parts of an attach point mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `begin`.
    Begin,
    /// `end`.
    End,
    /// `self:signal:NAME`.
    SelfSignal,
    /// `test:NAME`.
    Test,
    /// `bench:NAME`.
    Bench,
    /// `interval:…`.
    Interval,
    /// `profile:…`.
    Profile,
    /// `software:EVENT:COUNT`.
    Software,
    /// `uprobe`, `uretprobe`, `usdt`: a binary and a place in it.
    User,
    /// `watchpoint:ADDR:LEN:MODE`.
    Watch,
    /// `hardware:EVENT:COUNT`.
    Hardware,
    /// `kprobe`, `tracepoint` and the other places in the kernel.
    Kernel,
}

/// A probe type.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// Its name in the new spelling.
    pub name: &'static str,
    /// Short and old names.
    pub aliases: &'static [&'static str],
    /// What `probetype` yields.
    pub probetype: &'static str,
    /// How its parts read.
    pub kind: Kind,
}

const fn row(
    name: &'static str,
    aliases: &'static [&'static str],
    probetype: &'static str,
    kind: Kind,
) -> Provider {
    Provider {
        name,
        aliases,
        probetype,
        kind,
    }
}

/// All probe types of the language.
pub const PROVIDERS: &[Provider] = &[
    row("begin", &["BEGIN"], "special", Kind::Begin),
    row("end", &["END"], "special", Kind::End),
    row("self", &[], "special", Kind::SelfSignal),
    row("test", &[], "test", Kind::Test),
    row("bench", &[], "bench", Kind::Bench),
    row("interval", &["i"], "interval", Kind::Interval),
    row("profile", &["p"], "profile", Kind::Profile),
    row("software", &["s"], "software", Kind::Software),
    row("usdt", &["U"], "usdt", Kind::User),
    row("uprobe", &["u"], "uprobe", Kind::User),
    row("uretprobe", &["ur"], "uretprobe", Kind::User),
    row("watchpoint", &["w"], "watchpoint", Kind::Watch),
    row("asyncwatchpoint", &["aw"], "asyncwatchpoint", Kind::Watch),
    row("hardware", &["h"], "hardware", Kind::Hardware),
    row("kprobe", &["k"], "kprobe", Kind::Kernel),
    row("kretprobe", &["kr"], "kretprobe", Kind::Kernel),
    row("tracepoint", &["t"], "tracepoint", Kind::Kernel),
    row("rawtracepoint", &["rt"], "rawtracepoint", Kind::Kernel),
    row("fentry", &["f", "kfunc"], "fentry", Kind::Kernel),
    row("fexit", &["fr", "kretfunc"], "fexit", Kind::Kernel),
    row("iter", &["it"], "iter", Kind::Kernel),
];

/// The probe type called `name`, in any of its spellings.
pub fn provider(name: &str) -> Option<&'static Provider> {
    PROVIDERS
        .iter()
        .find(|p| p.name == name || p.aliases.contains(&name))
}

/// Software events: name, `PERF_COUNT_SW_*`, events between two firings if the script names none.
pub const SOFTWARE: &[(&str, u64, u64)] = &[
    ("cpu-clock", 0, 1_000_000),
    ("cpu", 0, 1_000_000),
    ("task-clock", 1, 1_000_000),
    ("page-faults", 2, 100),
    ("faults", 2, 100),
    ("context-switches", 3, 1000),
    ("cs", 3, 1000),
    ("cpu-migrations", 4, 1),
    ("minor-faults", 5, 100),
    ("major-faults", 6, 1),
    ("alignment-faults", 7, 1),
    ("emulation-faults", 8, 1),
    ("dummy", 9, 1),
    ("bpf-output", 10, 1),
];

/// Hardware events: name, `PERF_COUNT_HW_*`, events between two firings if the script names none.
pub const HARDWARE: &[(&str, u64, u64)] = &[
    ("cpu-cycles", 0, 1_000_000),
    ("cycles", 0, 1_000_000),
    ("instructions", 1, 1_000_000),
    ("cache-references", 2, 1_000_000),
    ("cache-misses", 3, 1_000_000),
    ("branch-instructions", 4, 100_000),
    ("branches", 4, 100_000),
    ("branch-misses", 5, 100_000),
    ("bus-cycles", 6, 100_000),
    ("frontend-stalls", 7, 1_000_000),
    ("backend-stalls", 8, 1_000_000),
    ("ref-cycles", 9, 1_000_000),
];

/// A place in the kernel; names are patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the parts of an attach point")]
pub enum Kernel {
    /// `tracepoint:SYSTEM:NAME`.
    Tracepoint { system: String, name: String },
    /// `rawtracepoint:[MODULE:]EVENT`.
    Raw {
        module: Option<String>,
        event: String,
    },
    /// `fentry:[MODULE:]FUNCTION`, `fexit`.
    Trampoline {
        module: Option<String>,
        function: String,
        ret: bool,
    },
    /// `iter:KIND[:PIN]`.
    Iter { kind: String, pin: Option<String> },
    /// `kprobe:[MODULE:]FUNCTION[+OFFSET]`, `kretprobe`.
    Kprobe {
        module: Option<String>,
        function: String,
        offset: u64,
        ret: bool,
    },
}

/// The first probe of a script that is a place in the kernel.
pub fn first_of_kernel(script: &Script) -> Option<&AttachPoint> {
    let is = |point: &&AttachPoint| {
        provider(&point.provider).is_some_and(|p| matches!(p.kind, Kind::Kernel | Kind::Hardware))
    };
    all(script).find(is)
}

/// All attach points of a script.
pub fn all(script: &Script) -> impl Iterator<Item = &AttachPoint> {
    script.items.iter().flat_map(|item| match item {
        Item::Probe(probe) => &probe.points[..],
        _ => &[],
    })
}

/// A word on a probe of the kernel where only probes of programs will do; `None` for a script without one.
pub fn refuse_kernel(script: &Script, done: &str) -> Option<Diagnostic> {
    let point = first_of_kernel(script)?;
    let name = provider(&point.provider).map_or("kernel", |p| p.name);
    Some(
        Diagnostic::error(point.span, format!("`{name}` probes cannot be {done}"))
            .label("what the kernel hands to a program is not modelled")
            .help("use a `usdt`, `uprobe` or timed probe, or run the script live"),
    )
}

/// What a probe of the kernel wants; `None` for other probe types.
pub fn kernel(point: &AttachPoint) -> Option<Result<Kernel, Diagnostic>> {
    let row = provider(&point.provider).filter(|p| p.kind == Kind::Kernel)?;
    let parts: Vec<&str> = point.parts.iter().map(String::as_str).collect();
    let wrong = |form: &str| {
        let name = row.name;
        Some(Err(Diagnostic::error(
            point.span,
            format!("`{name}` does not have {} parts", parts.len()),
        )
        .said(format!(
            "{name} probe type requires {} arguments, found {}",
            match name {
                "tracepoint" => "2",
                _ => "2 or 1",
            },
            parts.len()
        ))
        .help(format!("write `{name}:{form}`"))))
    };
    let (module, last) = match parts[..] {
        [last] => (None, last),
        [first, last] => (Some(first.to_owned()), last),
        _ => ((row.name == "iter").then(String::new), ""),
    };
    let ret = matches!(row.name, "fexit" | "kretprobe");
    Some(Ok(match (row.name, parts.len()) {
        ("tracepoint", 2) if !last.is_empty() => Kernel::Tracepoint {
            system: module.unwrap_or_default(),
            name: last.to_owned(),
        },
        ("tracepoint", _) => return wrong("SYSTEM:EVENT"),
        ("iter", 1) => Kernel::Iter {
            kind: last.to_owned(),
            pin: None,
        },
        ("iter", 2) => Kernel::Iter {
            kind: module.unwrap_or_default(),
            pin: Some(last.to_owned()),
        },
        ("iter", _) => return wrong("KIND"),
        ("rawtracepoint", 1 | 2) if !last.is_empty() => Kernel::Raw {
            module,
            event: last.to_owned(),
        },
        ("rawtracepoint", _) => return wrong("EVENT"),
        ("fentry" | "fexit", 1 | 2) if !last.is_empty() => Kernel::Trampoline {
            module,
            function: last.to_owned(),
            ret,
        },
        (_, 1 | 2) if !last.is_empty() => {
            let (function, offset) = match last.rsplit_once('+') {
                None => (last, 0),
                Some((function, offset)) => match number::parse(offset) {
                    Ok(offset) => (function, offset),
                    Err(message) => return Some(Err(Diagnostic::error(point.span, message))),
                },
            };
            if ret && offset != 0 {
                return Some(Err(Diagnostic::error(
                    point.span,
                    "`kretprobe` attaches to whole functions, not to offsets",
                )
                .said("Offset not allowed")));
            }
            Kernel::Kprobe {
                module,
                function: function.to_owned(),
                offset,
                ret,
            }
        }
        _ => return wrong("FUNCTION"),
    }))
}

/// What must be looked up in binaries before the script can be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// USDT probes; all fields are patterns with `*`, the path may be a library's name.
    Usdt {
        /// Binary as written.
        path: String,
        /// Provider; `None` for any.
        provider: Option<String>,
        /// Name.
        name: String,
    },
    /// Functions.
    Uprobe {
        /// Binary as written.
        path: String,
        /// Symbol or pattern; empty for a bare address; `@FILE:LINE` for a source line.
        function: String,
        /// Symbols are C++: the pattern is for the demangled name, and `Binary::functions` lists that.
        cpp: bool,
        /// Bytes behind the symbol, or the address.
        offset: u64,
        /// At return.
        ret: bool,
    },
}

impl Wanted {
    /// The binary as written.
    pub fn path(&self) -> &str {
        match self {
            Wanted::Usdt { path, .. } | Wanted::Uprobe { path, .. } => path,
        }
    }
}

/// Everything that the script's probes need looked up, each once, in script order. Points that cannot be read are
/// left out: the checker reports them.
pub fn wanted(script: &Script, params: &[String]) -> Vec<Wanted> {
    let mut out = Vec::new();
    for item in &script.items {
        let Item::Probe(probe) = item else { continue };
        for point in &probe.points {
            let point = with_params(point, params);
            if let Some(Ok(want)) = user(&point)
                && !out.contains(&want)
            {
                out.push(want);
            }
        }
    }
    out
}

/// The attach point with `$1`… put in; a parameter that was not given is empty.
pub fn with_params(point: &AttachPoint, params: &[String]) -> AttachPoint {
    AttachPoint {
        parts: point.parts.iter().map(|p| put_in(p, params)).collect(),
        ..point.clone()
    }
}

fn put_in(text: &str, params: &[String]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let len = tail
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(tail.len());
        match tail[..len].parse::<usize>() {
            Ok(n) if n > 0 => out.push_str(params.get(n - 1).map_or("", String::as_str)),
            _ => out.push_str(&rest[at..=at + len]),
        }
        rest = &tail[len..];
    }
    out.push_str(rest);
    out
}

/// What a `usdt`, `uprobe` or `uretprobe` wants; `None` for other probe types.
pub fn user(point: &AttachPoint) -> Option<Result<Wanted, Diagnostic>> {
    let row = provider(&point.provider).filter(|p| p.kind == Kind::User)?;
    Some(if row.name == "usdt" {
        usdt(point)
    } else {
        uprobe(point, row.name == "uretprobe")
    })
}

/// What bpftrace says of too few or too many parts.
pub fn parts_said(point: &AttachPoint, wants: &str) -> String {
    let name = provider(&point.provider).map_or(point.provider.as_str(), |p| p.name);
    let found = point.parts.len();
    format!("{name} probe type requires {wants} arguments, found {found}")
}

/// What bpftrace says of a probe whose patterns match nothing.
pub const NO_PLACES: &str = "Probe has no valid attach points.";

/// What may be done about it.
pub const IF_EXPECTED: &str =
    " If this is expected, set the 'missing_probes' config variable to 'warn'.";

impl Wanted {
    /// Whether one of its names is a pattern: that nothing matches it is no fault where the probe has other places.
    pub fn is_pattern(&self) -> bool {
        match self {
            Wanted::Usdt {
                path,
                provider,
                name,
            } => is_pattern(path) || provider.as_deref().is_none_or(is_pattern) || is_pattern(name),
            Wanted::Uprobe {
                path,
                function,
                cpp,
                offset,
                ..
            } => is_pattern(path) || is_pattern(function) || *cpp || *offset != 0,
        }
    }

    /// What bpftrace says of it where it is not there.
    pub fn absent(&self) -> String {
        match self {
            _ if self.is_pattern() => format!("{NO_PLACES}{IF_EXPECTED}"),
            Wanted::Uprobe {
                path,
                function,
                ret,
                ..
            } => {
                let kind = if *ret { "uretprobe" } else { "uprobe" };
                format!("No matches for {kind} {path}:{function}.")
            }
            Wanted::Usdt { path, name, .. } => format!("No matches for usdt {path}:{name}."),
        }
    }
}

/// What bpftrace says of a `usdt` probe that names no file where no process is traced.
pub const NO_PATH: &str = "usdt probe must specify at least path or pid to probe. To target all paths/pids set the path to '*'.";

fn usdt(point: &AttachPoint) -> Result<Wanted, Diagnostic> {
    let wrong = |what: &str| {
        Err(
            Diagnostic::error(point.span, format!("`usdt` lacks its {what}"))
                .help("write `usdt:BINARY:PROVIDER:NAME` or `usdt:BINARY:NAME`")
                .said(if point.parts.len() < 2 {
                    parts_said(point, "2 or 3")
                } else if what == "name" {
                    "usdt probe must have a target function or wildcard".to_string()
                } else {
                    NO_PATH.to_string()
                }),
        )
    };
    let (path, provider, name) = match point.parts.as_slice() {
        [path, name] => (path, None, name),
        [path, provider, name] => (path, Some(provider), name),
        [] | [_] => return wrong("binary or name"),
        _ => {
            return Err(Diagnostic::error(point.span, "`usdt` has too many parts")
                .help("write `usdt:BINARY:PROVIDER:NAME`; a `:` within a part needs double quotes")
                .said(parts_said(point, "2 or 3")));
        }
    };
    if name.is_empty() {
        return wrong("name");
    }
    Ok(Wanted::Usdt {
        // Of the process that is traced, any file.
        path: path.clone(),
        provider: provider.filter(|p| !p.is_empty()).cloned(),
        name: name.clone(),
    })
}

fn uprobe(point: &AttachPoint, ret: bool) -> Result<Wanted, Diagnostic> {
    let name = if ret { "uretprobe" } else { "uprobe" };
    let lacks = |what: &str| {
        Err(
            Diagnostic::error(point.span, format!("`{name}` lacks its {what}"))
                .help(format!("write `{name}:BINARY:FUNCTION`"))
                .said(match what {
                    "function" => {
                        format!(
                            "{name} should be attached to a function, address, or source file and line (using DWARF)"
                        )
                    }
                    "binary" => format!("{name} should have a target"),
                    "line" => line_form(name),
                    _ => parts_said(point, "2 or 3"),
                }),
        )
    };
    let parts: Vec<&str> = point.parts.iter().map(String::as_str).collect();
    let (path, cpp, function) = match parts.as_slice() {
        [] | [_] if parts.first().is_some_and(|p| p.contains('@')) => {
            return lacks("line");
        }
        [] | [_] => return lacks("binary or function"),
        ["cpp", path, rest @ ..] if !rest.is_empty() => (*path, true, rest.join(":")),
        [path, "cpp", rest @ ..] if !rest.is_empty() => (*path, true, rest.join(":")),
        [path, line @ ..] if path.contains('@') => {
            return source_line(point, name, path, line, ret);
        }
        [path, function] => (*path, false, (*function).to_string()),
        _ => {
            return Err(
                Diagnostic::error(point.span, format!("`{name}` has too many parts"))
                    .help("a `:` within a function's name needs double quotes")
                    .said(match parts.as_slice() {
                        [_, lang, _] => format!("unsupported language type: {lang}"),
                        _ => parts_said(point, "2 or 3"),
                    }),
            );
        }
    };
    if path.is_empty() {
        return lacks("binary");
    }
    if function.is_empty() {
        return lacks("function");
    }
    let (function, offset) = if function.starts_with(|c: char| c.is_ascii_digit()) {
        let address = number::parse(&function).map_err(|m| Diagnostic::error(point.span, m))?;
        (String::new(), address)
    } else {
        match function.rsplit_once('+') {
            Some((symbol, offset))
                if !cpp && offset.starts_with(|c: char| c.is_ascii_alphabetic()) =>
            {
                return Err(Diagnostic::error(
                    point.span,
                    format!("`{offset}` is no offset into `{symbol}`"),
                )
                .said(format!("Invalid offset: invalid integer: {offset}")));
            }
            Some((symbol, offset)) if offset.starts_with(|c: char| c.is_ascii_digit()) => {
                let offset = number::parse(offset).map_err(|m| Diagnostic::error(point.span, m))?;
                (symbol.to_string(), offset)
            }
            _ => (function, 0),
        }
    };
    if ret && offset != 0 && !function.is_empty() {
        return Err(Diagnostic::error(
            point.span,
            "`uretprobe` attaches to whole functions, not to offsets",
        )
        .said("Offset not allowed"));
    }
    Ok(Wanted::Uprobe {
        path: path.to_string(),
        function,
        cpp,
        offset,
        ret,
    })
}

/// `BINARY@FILE:LINE` and `BINARY@FILE:LINE:COLUMN`; `parts` are the numbers.
fn source_line(
    point: &AttachPoint,
    name: &str,
    path: &str,
    parts: &[&str],
    ret: bool,
) -> Result<Wanted, Diagnostic> {
    let wrong = |message: String, said: String| {
        Err(Diagnostic::error(point.span, message)
            .help(format!("write `{name}:BINARY@FILE:LINE`"))
            .said(said))
    };
    if ret {
        return wrong(
            "`uretprobe` attaches to whole functions, not to lines".to_string(),
            "Source code location not allowed".to_string(),
        );
    }
    let Some((path, file)) = path.split_once('@').filter(|(_, file)| !file.is_empty()) else {
        return wrong(format!("`{name}` lacks its source file"), line_form(name));
    };
    if path.is_empty() {
        return wrong(
            format!("`{name}` lacks its binary"),
            "Unspecified target binary, cannot attach by source code location.".to_string(),
        );
    }
    if parts.len() > 2 {
        let text = parts.join(":");
        return wrong(
            format!("`{text}` is no line of a source file"),
            line_form(name),
        );
    }
    for (part, what) in parts.iter().zip(["line", "column"]) {
        if part.parse::<u64>().is_err() {
            let digits = part.starts_with(|c: char| c.is_ascii_digit());
            let why = if digits { "trailing bytes" } else { "integer" };
            return wrong(
                format!("`{part}` is no {what} of a source file"),
                format!("Invalid {what} number: invalid {why}: {part}"),
            );
        }
    }
    Ok(Wanted::Uprobe {
        path: path.to_string(),
        function: format!("@{file}:{}", parts.join(":")),
        cpp: false,
        offset: 0,
        ret: false,
    })
}

/// What bpftrace says of a source line that has not all its parts.
fn line_form(name: &str) -> String {
    format!("Invalid {name} arguments, expected format: {name}:TARGET@FILE:LINE[:COL]")
}

/// How often `interval` or `profile` fires.
pub fn timed(point: &AttachPoint) -> Result<Interval, Diagnostic> {
    let name = provider(&point.provider).map_or("interval", |p| p.name);
    let fail = |message: String, said: String| {
        Err(Diagnostic::error(point.span, message)
            .help(format!(
                "write `{name}:s:1`, `{name}:ms:100`, `{name}:us:500`, `{name}:hz:99` or `{name}:1s`"
            ))
            .said(said))
    };
    let parts = || parts_said(point, "1 or 2");
    let (unit, count) = match point.parts.as_slice() {
        [count] => ("ns", count),
        [unit, count] => (unit.as_str(), count),
        [] => return fail(format!("`{name}` lacks its time"), parts()),
        _ => return fail(format!("`{name}` has too many parts"), parts()),
    };
    let value = match number::parse(count) {
        Ok(0) => {
            return fail(
                format!("`{name}` of 0 never fires"),
                format!("{name} frequency should be a positive integer"),
            );
        }
        Ok(value) => value,
        Err(_) => {
            let said = if count.starts_with('-') {
                format!("{name} frequency should be a positive integer")
            } else if count.starts_with(|c: char| c.is_ascii_digit()) {
                format!("Invalid rate of {name} probe: invalid trailing bytes: {count}")
            } else {
                format!("Invalid rate of {name} probe: invalid integer: {count}")
            };
            return fail(format!("`{count}` is no number for `{name}`"), said);
        }
    };
    let scale = match unit {
        "hz" => return Ok(Interval::Hertz(value)),
        "ns" if point.parts.len() == 1 => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => {
            return fail(
                format!("unknown unit `{unit}` of `{name}`"),
                format!("{unit} is not an accepted unit of time"),
            );
        }
    };
    match value.checked_mul(scale) {
        Some(nanos) if nanos < 1000 => fail(
            format!("`{name}` of less than 1 µs"),
            format!(
                "Invalid rate of {name} probe. Minimum is 1000 or 1us. Found: {nanos} nanoseconds"
            ),
        ),
        Some(nanos) => Ok(Interval::Nanos(nanos)),
        None => fail(
            format!("`{name}` is longer than 584 years"),
            format!("Invalid rate of {name} probe: {count}"),
        ),
    }
}

/// `perf_event_attr.config` and period of a software event.
pub fn software(point: &AttachPoint) -> Result<(u64, u64), Diagnostic> {
    counted(point, "software", SOFTWARE)
}

/// `perf_event_attr.config` and period of a hardware event.
pub fn hardware(point: &AttachPoint) -> Result<(u64, u64), Diagnostic> {
    counted(point, "hardware", HARDWARE)
}

fn counted(
    point: &AttachPoint,
    kind: &str,
    table: &[(&'static str, u64, u64)],
) -> Result<(u64, u64), Diagnostic> {
    let (event, count) = match point.parts.as_slice() {
        [event] => (event, ""),
        [event, count] => (event, count.as_str()),
        _ => {
            return Err(
                Diagnostic::error(point.span, format!("`{kind}` is `{kind}:EVENT:COUNT`"))
                    .said(parts_said(point, "1 or 2")),
            );
        }
    };
    let Some((_, config, default)) = table.iter().find(|(name, ..)| name == event) else {
        let names = table.iter().map(|(name, ..)| *name);
        return Err(
            Diagnostic::error(point.span, format!("unknown {kind} event `{event}`"))
                .maybe_help(suggest::did_you_mean(event, names))
                .said(match is_pattern(event) {
                    true => format!("wildcards are not allowed for {kind} probe type"),
                    false => format!("{event} is not a {kind} probe"),
                }),
        );
    };
    match number::parse(count) {
        _ if count.is_empty() => Ok((*config, *default)),
        Ok(0) => Ok((*config, *default)),
        Ok(n) => Ok((*config, n)),
        Err(_) => {
            let said = match count.starts_with('-') {
                true => format!("{kind} count should be a positive integer"),
                false => format!("Invalid count for {kind} probe: invalid integer: {count}"),
            };
            let text = format!("`{count}` is no count of events");
            Err(Diagnostic::error(point.span, text).said(said))
        }
    }
}

/// bpftrace's hint where a mode is none.
pub const WATCH_MODES: &str = "supported modes: x,w,rw";

/// Address, length and `HW_BREAKPOINT_*` bits of a watchpoint.
pub fn watch(point: &AttachPoint) -> Result<(u64, u64, u32), Diagnostic> {
    let fail = |message: String, said: String| {
        Err(Diagnostic::error(point.span, message)
            .help("write `watchpoint:ADDRESS:LENGTH:MODE`, e.g. `watchpoint:0x1000:8:rw`")
            .said(said))
    };
    let [addr, len, mode] = point.parts.as_slice() else {
        return fail(
            "`watchpoint` has three parts".to_string(),
            parts_said(point, "3"),
        );
    };
    let Ok(addr) = number::parse(addr) else {
        return fail(
            format!("`{addr}` is no address"),
            format!("Invalid function/address argument: invalid integer: {addr}"),
        );
    };
    if addr == 0 {
        return fail(
            "there is nothing at address 0".to_string(),
            "watchpoint must be attached to a non-zero address".to_string(),
        );
    }
    let len = match number::parse(len) {
        Ok(n) if matches!(n, 1 | 2 | 4 | 8) => n,
        number => {
            return fail(
                format!("`{len}` is no length of a watchpoint (1, 2, 4, 8)"),
                match number {
                    Ok(_) => "watchpoint length must be one of (1,2,4,8)".to_string(),
                    Err(_) => format!("Invalid length argument: invalid integer: {len}"),
                },
            );
        }
    };
    let mut bits = 0;
    for c in mode.chars() {
        let bit = match c {
            'r' => 1,
            'w' => 2,
            'x' => 4,
            _ => {
                return fail(
                    format!("`{mode}` is no mode of a watchpoint (r, w, x)"),
                    "watchpoint mode must be combination of (r,w,x)".to_string(),
                );
            }
        };
        if bits & bit != 0 {
            return fail(
                format!("mode `{mode}` says `{c}` twice"),
                "watchpoint modes may not be duplicated".to_string(),
            );
        }
        bits |= bit;
    }
    if bits == 0 || bits & 4 != 0 && bits != 4 {
        return fail(
            format!("`{mode}` is no mode of a watchpoint (`x` stands alone)"),
            format!("invalid watchpoint mode: {mode}"),
        )
        .map_err(|diag| diag.said_hint(WATCH_MODES));
    }
    Ok((addr, len, bits))
}

/// Number of a signal by name (with or without `SIG`) or number.
pub fn signal(text: &str) -> Option<i32> {
    if let Ok(n) = text.parse::<i32>() {
        return (1..=64).contains(&n).then_some(n);
    }
    let name = text.strip_prefix("SIG").unwrap_or(text);
    constants::SIGNALS
        .iter()
        .find(|(s, _)| s.strip_prefix("SIG") == Some(name))
        .and_then(|(_, n)| i32::try_from(*n).ok())
}

/// Whether `text` matches a pattern with `*` (any run) and `?` (any character).
pub fn glob(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut i, mut j, mut star) = (0, 0, None);
    while j < t.len() {
        if i < p.len() && (p[i] == '?' || p[i] == t[j]) && p[i] != '*' {
            i += 1;
            j += 1;
        } else if i < p.len() && p[i] == '*' {
            star = Some((i, j));
            i += 1;
        } else if let Some((si, sj)) = star {
            i = si + 1;
            j = sj + 1;
            star = Some((si, sj + 1));
        } else {
            return false;
        }
    }
    p[i..].iter().all(|c| *c == '*')
}

/// Whether a part has wildcards.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;

    fn point(text: &str) -> AttachPoint {
        let mut parts = text.split(':').map(str::to_string);
        AttachPoint {
            provider: parts.next().unwrap_or_default(),
            parts: parts.collect(),
            span: Span::default(),
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = PROVIDERS
            .iter()
            .flat_map(|p| std::iter::once(&p.name).chain(p.aliases))
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn times() {
        for (text, want) in [
            ("interval:s:1", Interval::Nanos(1_000_000_000)),
            ("i:1s", Interval::Nanos(1_000_000_000)),
            ("i:1000000000", Interval::Nanos(1_000_000_000)),
            ("p:hz:99", Interval::Hertz(99)),
            ("profile:ms:100", Interval::Nanos(100_000_000)),
        ] {
            assert_eq!(timed(&point(text)), Ok(want), "{text}");
        }
        for text in ["interval", "i:s:0", "i:min:1", "i:s:x", "i:s:1:2"] {
            assert!(timed(&point(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn user_points() {
        let want =
            |text: &str| user(&with_params(&point(text), &["a".to_string()])).map(|r| r.ok());
        let up = |function: &str, cpp, offset, ret| {
            Some(Some(Wanted::Uprobe {
                path: "/b".to_string(),
                function: function.to_string(),
                cpp,
                offset,
                ret,
            }))
        };
        assert_eq!(want("u:/b:main"), up("main", false, 0, false));
        assert_eq!(want("u:/b:main+0x10"), up("main", false, 16, false));
        assert_eq!(want("u:/b:0x1000"), up("", false, 4096, false));
        assert_eq!(want("ur:/b:cpp:ns::f*"), up("ns::f*", true, 0, true));
        assert_eq!(want("u:cpp:/b:$1"), up("a", true, 0, false));
        assert_eq!(want("ur:/b:f+1"), Some(None));
        assert_eq!(
            want("U:/b:x"),
            Some(Some(Wanted::Usdt {
                path: "/b".to_string(),
                provider: None,
                name: "x".to_string()
            }))
        );
        assert_eq!(want("begin"), None);
    }

    #[test]
    fn globs() {
        assert!(glob("*", "") && glob("a*c", "abbc") && glob("*_message", "inbound_message"));
        assert!(!glob("a*c", "abd") && !glob("", "a") && glob("a?c", "abc"));
    }

    #[test]
    fn events_and_watchpoints() {
        assert_eq!(software(&point("s:faults:100")), Ok((2, 100)));
        assert!(software(&point("s:cpu:")).is_ok());
        assert!(software(&point("s:fault")).is_err());
        assert_eq!(watch(&point("w:0x10:8:rw")), Ok((16, 8, 3)));
        assert!(watch(&point("w:0x10:3:rw")).is_err());
        assert!(watch(&point("w:0x10:8:rx")).is_err());
        assert_eq!(signal("SIGUSR1"), Some(10));
        assert_eq!(signal("9"), Some(9));
        assert_eq!(signal("SIGFOO"), None);
    }
}
