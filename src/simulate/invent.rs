//! Binaries that are not at hand: sites and functions made up from what a script asks for and events give.

use std::collections::HashMap;
use std::path::PathBuf;

use super::events::{Event, EventError, Value};
use crate::{
    bitcoin::{schema, tracepoint::TRACEPOINTS},
    lang::Wanted,
    spec::{Arch, Binary, Site, UsdtProbe},
    usdt, wildcard,
};

/// Registers for the first arguments, by architecture; the rest are on the stack.
const REGISTERS: [(Arch, &[&str]); 2] = [
    (
        Arch::X86_64,
        &["%r12", "%rax", "%rdx", "%rcx", "%rsi", "%rdi"],
    ),
    (Arch::Aarch64, &["x19", "x20", "x0", "x1", "x2", "x3"]),
];
/// Arguments of a probe that nothing is known of: as many as `sys/sdt.h` makes.
const UNKNOWN_ARGS: usize = 12;
/// Where invented sites begin in the file.
const FIRST_OFFSET: u64 = 0x1000;
/// Where invented functions begin in the file.
const FIRST_FUNCTION: u64 = 0x10_0000;
/// How far sites, and functions, are apart.
const OFFSET_STEP: u64 = 0x40;

/// Width and sign of an argument.
type Shape = (u8, bool);

/// What events say of the probes that they fire.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    probes: Vec<Fired>,
    seen: HashMap<String, usize>,
}

/// A probe that events fire.
#[derive(Clone, Debug)]
struct Fired {
    path: Option<String>,
    provider: Option<String>,
    name: String,
    args: Vec<Shape>,
}

impl Shapes {
    /// Looks at all events.
    ///
    /// # Errors
    /// The first line that is no event.
    pub fn of<'e>(
        events: impl IntoIterator<Item = Result<Event<'e>, EventError>>,
    ) -> Result<Shapes, EventError> {
        let mut shapes = Shapes::default();
        for event in events {
            shapes.add(&event?);
        }
        Ok(shapes)
    }

    /// Looks at one more event.
    pub fn add(&mut self, event: &Event<'_>) {
        let name = event.probe.as_ref();
        let index = match self.seen.get(name) {
            Some(index) => *index,
            None => {
                let known = name.strip_prefix("usdt:").or(name.strip_prefix("U:"));
                let mut parts = known.unwrap_or(name).rsplitn(3, ':');
                let name = parts.next().unwrap_or_default().to_owned();
                let provider = parts.next().map(str::to_owned);
                let path = parts.next().map(str::to_owned);
                self.probes.push(Fired {
                    path,
                    provider,
                    name,
                    args: Vec::new(),
                });
                self.seen
                    .insert(event.probe.as_ref().to_owned(), self.probes.len() - 1);
                self.probes.len() - 1
            }
        };
        let args = &mut self.probes[index].args;
        if args.len() < event.args.len() {
            args.resize(event.args.len(), (8, false));
        }
        for (shape, value) in args.iter_mut().zip(&event.args) {
            shape.1 |= matches!(value, Value::Number(number) if *number < 0);
        }
    }
}

/// A binary that has what `wants` ask for, all of the same path.
pub fn binary(arch: Arch, written: &str, wants: &[&Wanted], shapes: &Shapes) -> Binary {
    let mut binary = Binary {
        written: written.to_owned(),
        shown: written.to_owned(),
        path: PathBuf::from(written),
        build_id: None,
        usdt: Vec::new(),
        functions: Vec::new(),
    };
    for want in wants {
        match want {
            Wanted::Usdt { provider, name, .. } => {
                probes(arch, &mut binary, provider.as_deref(), name, shapes);
            }
            Wanted::Uprobe {
                function, offset, ..
            } if function.is_empty() => {
                binary.functions.push((offset.to_string(), *offset, 0));
            }
            Wanted::Uprobe { function, .. } => functions(&mut binary, function, shapes),
        }
    }
    binary
}

/// Adds the probes that match: Bitcoin Core's, those of the events, or the one that is asked for by its full name.
fn probes(arch: Arch, binary: &mut Binary, provider: Option<&str>, name: &str, shapes: &Shapes) {
    let fits = |p: &str, n: &str| {
        wildcard::matches(provider.unwrap_or("*"), p) && wildcard::matches(name, n)
    };
    let before = binary.usdt.len();
    for point in TRACEPOINTS.iter().filter(|t| fits(t.context, t.name)) {
        let args: Vec<Shape> = point.args.iter().map(|a| (a.size, a.signed)).collect();
        add(arch, binary, point.context, point.name, &args);
    }
    for fired in &shapes.probes {
        let Some(full) = fired.provider.as_deref().or(provider) else {
            continue;
        };
        let here = fired
            .path
            .as_ref()
            .is_none_or(|path| *path == binary.written);
        if here && fits(full, &fired.name) && !wildcard::is_pattern(full) {
            add(arch, binary, full, &fired.name, &fired.args);
        }
    }
    if binary.usdt.len() == before && !wildcard::is_pattern(name) {
        let full = provider.filter(|p| !wildcard::is_pattern(p));
        add(
            arch,
            binary,
            full.unwrap_or("unknown"),
            name,
            &[(8, false); UNKNOWN_ARGS],
        );
    }
}

fn add(arch: Arch, binary: &mut Binary, provider: &str, name: &str, args: &[Shape]) {
    let same = |p: &UsdtProbe| p.provider == provider && p.name == name;
    if binary.usdt.iter().any(same) {
        return;
    }
    let text: Vec<String> = args
        .iter()
        .enumerate()
        .map(|(number, shape)| operand(arch, number, *shape))
        .collect();
    let site = Site {
        offset: FIRST_OFFSET + OFFSET_STEP * binary.usdt.len() as u64,
        ref_ctr: 0,
        args: usdt::parse_args(arch, &text.join(" ")),
    };
    binary.usdt.push(UsdtProbe {
        provider: provider.to_owned(),
        name: name.to_owned(),
        sites: vec![site],
        names: schema::arg_names(provider, name),
    });
}

/// The operand of an argument as a note would have it.
fn operand(arch: Arch, number: usize, (size, signed): Shape) -> String {
    let sign = if signed { "-" } else { "" };
    let registers = REGISTERS
        .iter()
        .find(|(a, _)| *a == arch)
        .map_or(&[][..], |(_, registers)| registers);
    let place = match (registers.get(number), arch) {
        (Some(register), Arch::X86_64) => sized(register, size),
        (Some(register), Arch::Aarch64) => (*register).to_owned(),
        (None, Arch::X86_64) => format!("{}(%rsp)", 8 * (number - registers.len() + 1)),
        (None, Arch::Aarch64) => format!("[sp, {}]", 8 * (number - registers.len() + 1)),
    };
    format!("{sign}{size}@{place}")
}

/// The name of a part of an x86-64 register.
fn sized(register: &str, size: u8) -> String {
    let name = register.trim_start_matches("%r");
    let numbered = name.starts_with(|c: char| c.is_ascii_digit());
    match (size, numbered) {
        (4, true) => format!("{register}d"),
        (2, true) => format!("{register}w"),
        (1, true) => format!("{register}b"),
        (4, false) => format!("%e{name}"),
        (2, false) => format!("%{name}"),
        // `sil` and `dil`, but `al`.
        (1, false) => match name.strip_suffix('x') {
            Some(letter) => format!("%{letter}l"),
            None => format!("%{name}l"),
        },
        _ => register.to_owned(),
    }
}

fn functions(binary: &mut Binary, function: &str, shapes: &Shapes) {
    let mut names: Vec<&str> = Vec::new();
    if wildcard::is_pattern(function) {
        let all = shapes.probes.iter().map(|fired| fired.name.as_str());
        names.extend(all.filter(|name| wildcard::matches(function, name)));
    } else if !function.is_empty() {
        names.push(function);
    }
    for name in names {
        if !binary.functions.iter().any(|f| f.0 == name) {
            let offset = FIRST_FUNCTION + OFFSET_STEP * binary.functions.len() as u64;
            binary
                .functions
                .push((name.to_owned(), offset, OFFSET_STEP));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::events;
    use super::*;
    use crate::spec::ArgLoc;

    fn usdt(provider: Option<&str>, name: &str) -> Wanted {
        Wanted::Usdt {
            path: "bitcoind".into(),
            provider: provider.map(str::to_owned),
            name: name.into(),
        }
    }

    #[test]
    fn tracepoints_have_their_widths_on_every_architecture() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let wants = [usdt(None, "*")];
            let made = binary(arch, "bitcoind", &wants.each_ref(), &Shapes::default());
            assert_eq!(made.usdt.len(), TRACEPOINTS.len());
            for (probe, point) in made.usdt.iter().zip(TRACEPOINTS) {
                let args = &probe.sites[0].args;
                assert_eq!(args.len(), point.args.len());
                for (arg, known) in args.iter().zip(point.args) {
                    assert_eq!(
                        (arg.size, arg.signed),
                        (known.size, known.signed),
                        "{point}: {}",
                        arg.text
                    );
                    assert!(
                        !matches!(arg.loc, ArgLoc::Unreadable(_)),
                        "{point}: {}",
                        arg.text
                    );
                }
            }
            let offsets: std::collections::HashSet<_> =
                made.usdt.iter().map(|p| p.sites[0].offset).collect();
            assert_eq!(offsets.len(), TRACEPOINTS.len());
        }
    }

    #[test]
    fn events_say_how_many_arguments_there_are() {
        let text =
            "{\"probe\":\"app:go\",\"args\":[1,2]}\n{\"probe\":\"app:go\",\"args\":[-1,\"x\",3]}";
        let shapes = Shapes::of(events::parse(text)).unwrap();
        let wants = [usdt(Some("app"), "go"), usdt(Some("app"), "idle")];
        let made = binary(Arch::X86_64, "bitcoind", &wants.each_ref(), &shapes);
        let shape: Vec<_> = made.usdt[0].sites[0]
            .args
            .iter()
            .map(|a| (a.size, a.signed))
            .collect();
        assert_eq!(shape, [(8, true), (8, false), (8, false)]);
        assert_eq!(made.usdt[1].sites[0].args.len(), UNKNOWN_ARGS);
    }
}
