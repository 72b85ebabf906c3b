//! Names, types and places: from the tree to the checked tree.
//!
//! Types of maps and variables grow from what is assigned to them, anywhere in the script. So the whole script is
//! walked again and again until no type changes; what the last walk found to say is said.

mod args;
mod assign;
mod call;
mod cast;
mod config_value;
mod constant;
mod expr;
mod fn_maps;
mod fn_types;
mod fn_values;
mod format;
mod functions;
mod grow;
mod kernel;
mod kernel_types;
mod map_slots;
mod ops;
mod points;
mod prune;
mod said;
mod sites;
mod step;
mod stmt;
mod structs;
mod unify;
mod usdt_args;
mod variables;
mod words;

#[cfg(test)]
mod tests;

use super::ast::{Expr, ExprId, Item, Probe, Script};
use super::checked::{Checked, CheckedPoint, CheckedProbe, MapId, MapInfo, Point, Res, VarId};
use super::diag::Diagnostic;
use super::{config, expand};
use crate::{
    span::Span,
    spec::{Target, Type},
};
use args::Binder;
use std::collections::{HashMap, HashSet};
use structs::Structs;
use unify::Slot;

/// Whether a bare name is no type of the language; it may be one of the script or the kernel.
pub(super) fn is_unknown_type(name: &str) -> bool {
    structs::is_unknown(name)
}

/// Walks after which types that still grow are an error.
const MAX_WALKS: usize = 24;

/// Resolves names and types.
///
/// # Errors
/// All that is wrong with the script on this target, in the order of the text.
pub fn check(
    script: Script,
    _source: &str,
    target: &Target,
) -> Result<(Checked, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut script = expand::expand(script, &[])?;
    let mut diags = Vec::new();
    let settings = config::settle(&script.config, &target.config, &mut diags);
    let mut structs = Structs::build(
        &script.header_defs,
        &script.defs,
        &mut diags,
        settings.max_strlen,
        &target.debug,
        target.kernel.btf.as_ref(),
    );
    let mut probes = Vec::new();
    let written = std::mem::take(&mut script.items);
    let (mut items, mut resolved) = (Vec::new(), Vec::new());
    let mut binder = Binder {
        target,
        structs: &mut structs,
        next: script.exprs,
        made: HashSet::new(),
        diags: Vec::new(),
        max_strlen: settings.max_strlen,
    };
    for item in written {
        let Item::Probe(mut probe) = item else {
            items.push(item);
            continue;
        };
        let points = points::resolve(&probe, target, settings.missing_probes, &mut diags);
        for (nth, points) in binder.groups(&mut probe, points).into_iter().enumerate() {
            let mut probe = match nth {
                0 => probe.clone(),
                _ => binder.copy(&probe),
            };
            binder.probe(&mut probe, &points);
            resolved.push(points);
            items.push(Item::Probe(probe));
        }
    }
    let Binder {
        next,
        made: by_name,
        diags: mut said,
        ..
    } = binder;
    script.exprs = next;
    diags.append(&mut said);
    let written = items.iter().filter_map(|item| match item {
        Item::Probe(probe) => Some(probe),
        _ => None,
    });
    probes.extend(written.zip(resolved));
    let total: usize = probes.iter().map(|(_, points)| points.len()).sum();
    if total > settings.max_probes as usize {
        diags.push(
            Diagnostic::error(
                probes.last().map(|(p, _)| p.span).unwrap_or_default(),
                format!(
                    "script has {total} probes, more than {}",
                    settings.max_probes
                ),
            )
            .help("raise the config variable `max_probes`")
            .said_at(Span::default(), format!("Can't attach to {total} probes because it exceeds the current limit of {} probes.\nYou can increase the limit through the BPFTRACE_MAX_PROBES environment variable, but BE CAREFUL since a high number of probes attached can cause your system to crash.", settings.max_probes)),
        );
    }
    if total > 1
        && let Some((probe, _)) = (probes.iter())
            .find(|(_, points)| points.iter().any(|p| matches!(p.point, Point::Iter { .. })))
    {
        diags.push(
            Diagnostic::error(probe.span, "an iterator is the only probe of its script")
                .help("write a script for each"),
        );
    }
    if !items.iter().any(|i| matches!(i, Item::Probe(_))) {
        diags.push(Diagnostic::error(Span::default(), "script has no probes"));
    }

    let mut ck = Checker {
        target,
        config: settings,
        structs,
        maps: Vec::new(),
        map_ids: HashMap::new(),
        vars: Vec::new(),
        var_ids: HashMap::new(),
        scopes: Vec::new(),
        lets: HashSet::new(),
        unassigned: HashMap::new(),
        types: vec![Type::Void; script.exprs as usize],
        res: HashMap::new(),
        literals: HashMap::new(),
        diags: Vec::new(),
        changed: false,
        last: false,
        loops: 0,
        callbacks: 0,
        unreached: 0,
        stmt: Span::default(),
        call: Span::default(),
        points: &[],
        dead_maps: HashSet::new(),
        by_name,
    };
    ck.declare_maps(&items);
    let mut walks = 0;
    loop {
        ck.changed = false;
        ck.walk(&probes);
        walks += 1;
        if ck.last {
            break;
        }
        if !ck.changed && ck.settle_read() {
            continue;
        }
        ck.last = !ck.changed || walks >= MAX_WALKS;
    }
    if ck.changed {
        ck.diags.push(Diagnostic::error(
            Span::default(),
            "types of the script do not settle: a value holds itself",
        ));
    }
    ck.finish_maps();
    diags.append(&mut ck.diags);
    diags.sort_by_key(|d| (d.span.start, d.span.end));
    diags.dedup();
    if diags.iter().any(Diagnostic::is_error) {
        return Err(diags);
    }

    let Checker {
        maps,
        vars,
        structs,
        types,
        res,
        config,
        ..
    } = ck;
    let mut checked_probes: Vec<CheckedProbe> = probes
        .into_iter()
        .filter(|(_, points)| !points.is_empty())
        .map(|(probe, points)| CheckedProbe {
            points,
            predicate: probe.predicate.clone(),
            body: probe.body.clone(),
            span: probe.span,
        })
        .collect();
    for probe in &mut checked_probes {
        prune::prune(probe, &res);
    }
    let checked = Checked {
        probes: checked_probes,
        maps: maps.into_iter().map(MapSlot::info).collect(),
        vars: vars
            .into_iter()
            .map(|v| v.ty.unwrap_or(Type::I64))
            .collect(),
        structs: structs.defs,
        types,
        res,
        config,
        script: Script { items, ..script },
    };
    Ok((checked, diags))
}

/// A map while its types grow.
struct MapSlot {
    name: String,
    /// Key; `None` until one is seen.
    key: Slot,
    /// Whether it has keys, once known.
    keyed: Option<bool>,
    value: Slot,
    kind: Option<String>,
    max_entries: u32,
    span: Span,
    used: bool,
    /// It is read by key or as a value: without assignments it holds integers.
    read: bool,
    /// It is printed, cleared, gone over as a whole.
    whole: bool,
}

impl MapSlot {
    fn info(self) -> MapInfo {
        MapInfo {
            name: self.name,
            key: self.key.ty,
            value: self.value.ty.unwrap_or(Type::I64),
            kind: self.kind,
            max_entries: self.max_entries,
            span: self.span,
        }
    }
}

struct Checker<'a> {
    target: &'a Target,
    config: super::checked::Config,
    structs: Structs,
    maps: Vec<MapSlot>,
    map_ids: HashMap<String, MapId>,
    vars: Vec<Slot>,
    /// Variables by the expression that first names them, so that each walk finds the same.
    var_ids: HashMap<ExprId, VarId>,
    scopes: Vec<HashMap<String, (VarId, Span)>>,
    /// Variables that `let` made.
    lets: HashSet<VarId>,
    /// Of these, the ones that nothing was assigned to so far.
    unassigned: HashMap<VarId, (Span, String)>,
    types: Vec<Type>,
    res: HashMap<ExprId, Res>,
    /// Expressions whose integer type comes from literals only: least and largest value.
    literals: HashMap<ExprId, (i128, i128)>,
    diags: Vec<Diagnostic>,
    changed: bool,
    /// Types have settled: what is said now counts.
    last: bool,
    loops: usize,
    /// `for` loops around the current statement.
    callbacks: usize,
    /// Branches around this that are known not to be taken.
    unreached: usize,
    /// The statement, and the call, that is looked at.
    stmt: Span,
    call: Span,
    points: &'a [CheckedPoint],
    /// Maps assigned to where it is known that nothing runs: they exist, and stay empty.
    dead_maps: HashSet<String>,
    /// Arguments that are named: they may be on the stack.
    by_name: HashSet<ExprId>,
}

impl<'a> Checker<'a> {
    fn walk(&mut self, probes: &'a [(&'a Probe, Vec<CheckedPoint>)]) {
        self.diags.clear();
        self.res.clear();
        self.literals.clear();
        self.unassigned.clear();
        for (probe, points) in probes {
            self.points = points;
            self.scopes = vec![HashMap::new()];
            if let Some(predicate) = &probe.predicate {
                let slashes = Span::new(
                    predicate.span.start.saturating_sub(1),
                    predicate.span.end + 1,
                );
                self.condition(predicate, slashes);
            }
            self.block(&probe.body);
        }
        for (span, name) in std::mem::take(&mut self.unassigned).into_values() {
            self.diags.push(
                Diagnostic::warning(span, format!("`${name}` is declared and never assigned to"))
                    .said(format!("Variable ${name} was never assigned to.")),
            );
        }
    }

    fn declare_maps(&mut self, items: &[Item]) {
        let mut said = Vec::new();
        for item in items {
            let Item::Map(decl) = item else { continue };
            const KINDS: &[&str] = &["hash", "lruhash", "percpuhash", "percpulruhash"];
            if !KINDS.contains(&decl.kind.text.as_str()) {
                said.push(
                    Diagnostic::error(
                        decl.kind.span,
                        format!("unknown kind of map `{}`", decl.kind.text),
                    )
                    .help(format!("there are {}", KINDS.join(", ")))
                    .said_at(
                        decl.span,
                        format!("Invalid bpf map type: {}", decl.kind.text),
                    )
                    .said_hint("Valid map types: percpulruhash, percpuhash, lruhash, hash"),
                );
            }
            // As in bpftrace, the first declaration holds.
            if self.map_ids.contains_key(&decl.name.text) {
                continue;
            }
            let max_entries = u32::try_from(decl.max_entries).unwrap_or(0);
            if max_entries == 0 {
                said.push(Diagnostic::error(
                    decl.span,
                    format!(
                        "map `@{}` cannot have {} keys",
                        decl.name.text, decl.max_entries
                    ),
                ));
            }
            let id = self.map_id(&decl.name.text, decl.name.span);
            if let Some(map) = self.maps.get_mut(id.0 as usize) {
                map.kind = Some(decl.kind.text.clone());
                map.max_entries = max_entries;
                map.used = false;
            }
        }
        // `walk` clears what was said; these are said by `finish_maps` of the last walk.
        self.structs.late.append(&mut said);
    }

    fn map_id(&mut self, name: &str, span: Span) -> MapId {
        if let Some(id) = self.map_ids.get(name) {
            if let Some(map) = self.maps.get_mut(id.0 as usize) {
                map.used = true;
            }
            return *id;
        }
        let id = MapId(u32::try_from(self.maps.len()).unwrap_or(u32::MAX));
        self.maps.push(MapSlot {
            name: name.to_string(),
            key: Slot::default(),
            keyed: None,
            value: Slot::default(),
            kind: None,
            max_entries: self.config.max_map_keys,
            span,
            used: true,
            read: false,
            whole: false,
        });
        self.map_ids.insert(name.to_string(), id);
        id
    }

    /// Gives maps that are only read a type; whether there was one.
    fn settle_read(&mut self) -> bool {
        let mut any = false;
        for map in &mut self.maps {
            if map.value.ty.is_none() && map.read && !map.whole {
                map.value.ty = Some(Type::I64);
                any = true;
            }
        }
        any
    }

    fn finish_maps(&mut self) {
        let failed = self.diags.iter().any(Diagnostic::is_error);
        let mut late = std::mem::take(&mut self.structs.late);
        self.diags.append(&mut late);
        for map in &self.maps {
            if let (Some(kind), Some(ty)) = (&map.kind, &map.value.ty)
                && map.keyed != Some(false)
                && kind.starts_with("percpu") != matches!(ty, Type::Agg(_))
            {
                let wants = if matches!(ty, Type::Agg(_)) {
                    "percpuhash"
                } else {
                    "hash"
                };
                self.diags.push(
                    Diagnostic::error(
                        map.span,
                        format!("map `@{}` is declared as `{kind}`, its values need a `{wants}`", map.name),
                    )
                    .said(format!(
                        "Incompatible map types. Type from declaration: {kind}. Type from value/key type: {wants}"
                    )),
                );
            }
            if !map.used {
                self.diags.push(
                    Diagnostic::warning(
                        map.span,
                        format!("map `@{}` is declared and never used", map.name),
                    )
                    .said(format!("Unused map: @{}", map.name)),
                );
            } else if map.value.ty.is_none() && !failed && !self.dead_maps.contains(&map.name) {
                self.diags.push(
                    Diagnostic::error(
                        map.span,
                        format!("map `@{}` is never given a value", map.name),
                    )
                    .help(format!("assign to it somewhere: `@{} = …`", map.name))
                    .said(format!("Undefined map: @{}", map.name)),
                );
            }
        }
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.diags.push(Diagnostic::error(span, message));
    }

    fn say(&mut self, diag: Diagnostic) {
        self.diags.push(diag);
    }

    /// The type as bpftrace writes it.
    fn plain(&self, ty: &Type) -> String {
        // bpftrace does not count the NUL of a string of any length.
        let most = self.config.max_strlen;
        let text = words::plain(ty, &self.structs.defs);
        text.replace(
            &format!("string[{}]", most.saturating_add(1)),
            &format!("string[{most}]"),
        )
    }

    fn set(&mut self, expr: &Expr, ty: Type) -> Type {
        if let Some(slot) = self.types.get_mut(expr.id.0 as usize) {
            slot.clone_from(&ty);
        }
        ty
    }

    fn resolve(&mut self, expr: &Expr, res: Res) {
        self.res.insert(expr.id, res);
    }
}
