//! Probes of the kernel: attach points against what the target's kernel has, arguments by name and type.

use super::{Checker, structs::Structs};
use crate::{
    btf::{Btf, Kind},
    lang::{
        ast::{AttachPoint, Expr, Name},
        checked::{CheckedPoint, Point, Res},
        diag::Diagnostic,
        points::{Kernel as Want, glob, is_pattern},
    },
    spec::{Param, Signature, Target, TraceField, Type},
    suggest,
};

/// Before the name of a raw tracepoint's typedef in BTF stands this.
const RAW: &str = "btf_trace_";

/// Before the name of an iterator's function in BTF stands this.
const ITER: &str = "bpf_iter_";

/// Iterators of the language.
const ITERS: &[&str] = &["task", "task_file", "task_vma"];

/// All attach points that `want` means on the target: full names and points.
pub(super) fn resolve(
    point: &AttachPoint,
    want: &Want,
    target: &Target,
) -> Result<Vec<(String, Point)>, Diagnostic> {
    let found = match want {
        Want::Tracepoint { system, name } => tracepoints(target, system, name),
        Want::Raw { module, event } => raw(point, target, module.as_deref(), event)?,
        Want::Trampoline {
            module,
            function,
            ret,
        } => trampolines(point, target, module.as_deref(), function, *ret)?,
        Want::Iter { kind, pin } => return iter(point, target, kind, pin.as_deref()),
        Want::Kprobe {
            module,
            function,
            offset,
            ret,
        } => kprobes(target, module.as_deref(), function, *offset, *ret),
    };
    if found.is_empty() {
        return Err(missing(point, want, target));
    }
    Ok(found)
}

fn missing(point: &AttachPoint, want: &Want, target: &Target) -> Diagnostic {
    let (what, list) = match want {
        Want::Tracepoint { system, name } => {
            (format!("tracepoint `{system}:{name}`"), "tracepoint:*")
        }
        Want::Raw { event, .. } => (format!("raw tracepoint `{event}`"), "rawtracepoint:*"),
        Want::Trampoline { function, .. } => (format!("function `{function}`"), "fentry:*"),
        Want::Kprobe { function, .. } => (format!("function `{function}`"), "kprobe:*"),
        Want::Iter { kind, .. } => (format!("iterator `{kind}`"), "iter:*"),
    };
    let said = match want {
        Want::Tracepoint { system, name } if !is_pattern(system) && !is_pattern(name) => {
            format!("No matches for tracepoint {system}:{name}.")
        }
        Want::Trampoline { function, ret, .. } if !is_pattern(function) => {
            let word = if *ret { "fexit" } else { "fentry" };
            format!("No matches for {word} {function}.")
        }
        Want::Kprobe { function, ret, .. } if !is_pattern(function) => {
            let word = if *ret { "kretprobe" } else { "kprobe" };
            format!("No matches for {word} {function}.")
        }
        _ => "Probe has no valid attach points. If this is expected, set the 'missing_probes' config variable to 'warn'."
            .to_owned(),
    };
    let diag = Diagnostic::error(point.span, format!("the kernel has no {what}")).said(said);
    let near = match (want, &target.kernel.btf) {
        (Want::Raw { event, .. }, Some(btf)) if !is_pattern(event) => {
            let names = btf
                .all(&[Kind::Typedef])
                .filter_map(|t| t.1.strip_prefix(RAW));
            suggest::did_you_mean(event, names)
        }
        _ => None,
    };
    diag.maybe_help(near.or_else(|| Some(format!("list them with -l '{list}'"))))
}

fn no_types(point: &AttachPoint) -> Diagnostic {
    Diagnostic::error(point.span, "the types of the kernel are not known")
        .help("they are read from /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF), or the file that BPFTRACE_BTF names")
}

fn tracepoints(target: &Target, system: &str, name: &str) -> Vec<(String, Point)> {
    let all = target.kernel.tracepoints.iter().enumerate();
    all.filter(|(_, t)| glob(system, &t.system) && glob(name, &t.name))
        .map(|(index, t)| {
            (
                format!("tracepoint:{}:{}", t.system, t.name),
                Point::Tracepoint(index),
            )
        })
        .collect()
}

fn raw(
    point: &AttachPoint,
    target: &Target,
    module: Option<&str>,
    event: &str,
) -> Result<Vec<(String, Point)>, Diagnostic> {
    let Some(btf) = &target.kernel.btf else {
        return Err(no_types(point));
    };
    if module.is_some_and(|module| !glob(module, "vmlinux")) {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = if is_pattern(event) {
        let all = btf.all(&[Kind::Typedef]);
        let mut names: Vec<&str> = all
            .filter_map(|(_, name)| name.strip_prefix(RAW))
            .filter(|name| glob(event, name))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    } else {
        let there = btf.find(&format!("{RAW}{event}"), &[Kind::Typedef]);
        there.map(|_| event).into_iter().collect()
    };
    let row = |name: &str| {
        (
            format!("rawtracepoint:vmlinux:{name}"),
            Point::RawTracepoint(name.to_owned()),
        )
    };
    Ok(names.into_iter().map(row).collect())
}

fn trampolines(
    point: &AttachPoint,
    target: &Target,
    module: Option<&str>,
    function: &str,
    ret: bool,
) -> Result<Vec<(String, Point)>, Diagnostic> {
    if module == Some("bpf") {
        return Err(
            Diagnostic::error(point.span, "probes on BPF programs are not supported yet")
                .help("name a function of the kernel"),
        );
    }
    let Some(btf) = &target.kernel.btf else {
        return Err(no_types(point));
    };
    if module.is_some_and(|module| !glob(module, "vmlinux")) {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = if is_pattern(function) {
        let all = btf.all(&[Kind::Func]);
        let mut names: Vec<&str> = all
            .map(|f| f.1)
            .filter(|f| glob(function, f) && target.kernel.may_trace(f))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    } else {
        let there = btf.find(function, &[Kind::Func]);
        there.map(|_| function).into_iter().collect()
    };
    let word = if ret { "fexit" } else { "fentry" };
    let row = |name: &str| {
        let function = name.to_owned();
        (
            format!("{word}:vmlinux:{name}"),
            Point::Trampoline { function, ret },
        )
    };
    Ok(names.into_iter().map(row).collect())
}

fn iter(
    point: &AttachPoint,
    target: &Target,
    kind: &str,
    pin: Option<&str>,
) -> Result<Vec<(String, Point)>, Diagnostic> {
    let Some(btf) = &target.kernel.btf else {
        return Err(no_types(point));
    };
    if !ITERS.contains(&kind) || btf.find(&format!("{ITER}{kind}"), &[Kind::Func]).is_none() {
        return Err(
            Diagnostic::error(point.span, format!("the kernel has no iterator `{kind}`"))
                .said(format!(
                    "iter {kind} not available for your kernel version."
                ))
                .help(format!("there are {}", ITERS.join(", "))),
        );
    }
    let name = match pin {
        Some(pin) => format!("iter:{kind}:{pin}"),
        None => format!("iter:{kind}"),
    };
    let found = Point::Iter {
        kind: kind.to_owned(),
        pin: pin.map(str::to_owned),
    };
    Ok(vec![(name, found)])
}

fn kprobes(
    target: &Target,
    module: Option<&str>,
    function: &str,
    offset: u64,
    ret: bool,
) -> Vec<(String, Point)> {
    if module.is_some_and(|module| !glob(module, "vmlinux")) {
        return Vec::new();
    }
    let word = if ret { "kretprobe" } else { "kprobe" };
    let all = target.kernel.functions.iter();
    let wild = is_pattern(function);
    all.filter(|name| glob(function, name) && (!wild || target.kernel.may_trace(name)))
        .map(|name| {
            let shown = match offset {
                0 => format!("{word}:{name}"),
                offset => format!("{word}:{name}+{offset}"),
            };
            let function = name.clone();
            (
                shown,
                Point::Kprobe {
                    function,
                    offset,
                    ret,
                },
            )
        })
        .collect()
}

/// Parameters and result of what a point is at, by BTF. `None` for points that have none there.
pub(super) fn signature(
    structs: &mut Structs,
    target: &Target,
    point: &CheckedPoint,
) -> Option<Signature> {
    let btf = target.kernel.btf.as_ref()?;
    let (id, skip) = match &point.point {
        Point::RawTracepoint(name) => {
            // The typedef has the types; the names are those of the functions that call the programs.
            let named = ["__traceiter_", "__bpf_trace_"]
                .iter()
                .find_map(|before| btf.find(&format!("{before}{name}"), &[Kind::Func]));
            let typed = || btf.find(&format!("{RAW}{name}"), &[Kind::Typedef]);
            (named.or_else(typed)?, 1)
        }
        Point::Trampoline { function, .. } => (btf.find(function, &[Kind::Func])?, 0),
        _ => return None,
    };
    let proto = btf.prototype(id)?;
    let mut params = Vec::new();
    // The first parameter of a raw tracepoint's function is not for programs.
    for (index, (name, ty)) in (0u32..).zip(btf.params(&proto).skip(skip)) {
        let place = match by_value(btf, ty) {
            true => Err("it is passed by value".to_owned()),
            false => Ok((structs.of_btf(btf, ty), index)),
        };
        params.push(Param {
            name: name.to_owned(),
            place,
        });
    }
    let ret = match by_value(btf, proto.word) {
        true => Err("it is returned by value".to_owned()),
        false => Ok(structs.of_btf(btf, proto.word)),
    };
    Some(Signature {
        binary: usize::MAX,
        offset: 0,
        params,
        ret,
    })
}

fn by_value(btf: &Btf, ty: u32) -> bool {
    let node = btf.node(btf.strip(ty));
    node.is_some_and(|node| matches!(node.kind, Kind::Struct | Kind::Union | Kind::Float))
}

impl Checker<'_> {
    /// Whether all attach points of this probe are tracepoints.
    pub(super) fn in_tracepoints(&self) -> bool {
        let is = |p: &CheckedPoint| matches!(p.point, Point::Tracepoint(_));
        !self.points.is_empty() && self.points.iter().all(is)
    }

    /// `args.NAME` in tracepoints.
    pub(super) fn trace_field(&mut self, e: &Expr, name: &Name) -> Type {
        let target = self.target;
        let mut found: Option<(Type, &str)> = None;
        for point in self.points {
            let Point::Tracepoint(index) = point.point else {
                continue;
            };
            let Some(tracepoint) = target.kernel.tracepoints.get(index) else {
                continue;
            };
            let mut fields = tracepoint.fields.iter();
            let Some(field) = fields.find(|f| f.name == name.text) else {
                let names = tracepoint.fields.iter().map(|f| f.name.as_str());
                let help = suggest::did_you_mean(&name.text, names.filter(|n| !is_common(n)));
                self.say(
                    Diagnostic::error(
                        name.span,
                        format!("`{}` has no argument `{}`", point.name, name.text),
                    )
                    .said_at(
                        e.span,
                        format!(
                            "Struct/union of type 'struct {}_args' does not contain a field named '{}'",
                            point.name, name.text
                        ),
                    )
                    .maybe_help(
                        help.or_else(|| Some(format!("list them with -lv '{}'", point.name))),
                    ),
                );
                return Type::Void;
            };
            if is_common(&field.name) || field.offset < 8 {
                self.say(
                    Diagnostic::error(
                        name.span,
                        format!("programs cannot read `{}` of a tracepoint", field.name),
                    )
                    .said_at(
                        e.span,
                        "BPF does not support accessing common tracepoint fields",
                    )
                    .help("the kernel puts a pointer of its own in the place of the common fields"),
                );
                return Type::Void;
            }
            let ty = field_type(&mut self.structs, target, field);
            match &found {
                None => found = Some((ty, &point.name)),
                Some((Type::Int { bits, signed }, first)) => {
                    // Numbers may differ in width: each program reads its own.
                    let Type::Int { bits: b, signed: s } = ty else {
                        return self.differs(name, first, &point.name);
                    };
                    let wide = Type::Int {
                        bits: b.max(*bits),
                        signed: s || *signed,
                    };
                    found = Some((wide, first));
                }
                Some((other, first)) if *other != ty => {
                    return self.differs(name, first, &point.name);
                }
                Some(_) => {}
            }
        }
        self.resolve(e, Res::Trace(name.text.clone()));
        found.map_or(Type::Void, |(ty, _)| ty)
    }

    fn differs(&mut self, name: &Name, first: &str, second: &str) -> Type {
        self.say(
            Diagnostic::error(
                name.span,
                format!(
                    "`{}` of `{first}` and of `{second}` are of different types",
                    name.text
                ),
            )
            .help("write a probe for each"),
        );
        Type::Void
    }

    /// `ctx` of an iterator: a pointer to what it is at.
    pub(super) fn iterator_context(&mut self) -> Type {
        let kinds: Vec<&str> = (self.points.iter())
            .filter_map(|p| match &p.point {
                Point::Iter { kind, .. } => Some(kind.as_str()),
                _ => None,
            })
            .collect();
        let [kind] = kinds[..] else { return Type::Void };
        let name = format!("{ITER}_{kind}");
        match self.structs.kernel_type("struct", &name) {
            Some(ty) => Type::Ptr(Box::new(ty)),
            None => Type::Void,
        }
    }
}

fn is_common(name: &str) -> bool {
    name.starts_with("common_")
}

/// The type that a tracepoint's field has in the script.
fn field_type(structs: &mut Structs, target: &Target, field: &TraceField) -> Type {
    let number = |size: u32, signed| match size {
        1 | 2 | 4 | 8 => Type::Int {
            bits: u8::try_from(size * 8).unwrap_or(64),
            signed,
        },
        size => Type::Array(Box::new(Type::U8), size),
    };
    let ty = field.ty.trim();
    if is_located(ty) {
        // The address of what lies behind the record's fixed part.
        return Type::I64;
    }
    if let Some(to) = ty.strip_suffix('*') {
        let inner = pointee(structs, to);
        return Type::Ptr(Box::new(inner));
    }
    if let Some((elem, len)) = ty.split_once('[') {
        let len: u32 = len.trim_end_matches(']').parse().unwrap_or(0);
        let (elem, len) = match (len, field.size) {
            // The length may be a constant of the kernel's source.
            (0, size) => {
                let one = pointee(structs, elem).size(&structs.defs).max(1);
                (elem, size / one)
            }
            (len, _) => (elem, len),
        };
        if elem.trim().trim_start_matches("const ") == "char" {
            return Type::Str { size: len.max(1) };
        }
        let one = field.size.checked_div(len).unwrap_or(0);
        if let Some(to) = elem.trim().strip_suffix('*') {
            let inner = pointee(structs, to);
            return Type::Array(Box::new(Type::Ptr(Box::new(inner))), len);
        }
        return Type::Array(Box::new(number(one, field.signed)), len);
    }
    if let Some(tag) = ty.trim_start_matches("const ").strip_prefix("enum ") {
        if let Some(known) = structs.kernel_type("enum", tag.trim()) {
            return known;
        }
    } else if let Some(tag) = ty.strip_prefix("struct ") {
        if let Some(known) = structs.kernel_type("struct", tag.trim()) {
            return known;
        }
    } else if ty == "bool" && field.size == 1 {
        return Type::Bool;
    } else if target.kernel.btf.is_some()
        && !matches!(field.size, 1 | 2 | 4 | 8)
        && let Some(known) = structs.kernel_type("", ty)
    {
        return known;
    }
    number(field.size, field.signed)
}

/// Whether the field says where its data lies.
pub(crate) fn is_located(ty: &str) -> bool {
    ty.starts_with("__data_loc") || ty.starts_with("__rel_loc")
}

/// The type of what a field of a tracepoint points to, or of its elements, by its name in C.
fn pointee(structs: &mut Structs, text: &str) -> Type {
    let text = text.trim().trim_start_matches("const ").trim();
    let text = text.trim_end_matches("const").trim();
    if let Some(to) = text.strip_suffix('*') {
        return Type::Ptr(Box::new(pointee(structs, to)));
    }
    let known = match text.split_once(' ') {
        Some((word @ ("struct" | "union" | "enum"), tag)) => structs.kernel_type(word, tag.trim()),
        _ => super::structs::named(text).or_else(|| structs.kernel_type("", text)),
    };
    known.unwrap_or(Type::Void)
}
