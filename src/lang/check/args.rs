//! Arguments and results by name and type: `args.x` becomes a cast of `argN`, `args` a record of all of them, `retval` a
//! cast of itself.

use super::{kernel, structs::Structs};
use crate::spec::{Arch, Param, Signature, StructId, Target, Type};
use crate::{
    lang::{
        ast::{Arg, BinOp, Expr, ExprId, ExprKind, Name, Probe, TypeExpr, TypeExprKind, UnOp},
        checked::{CheckedPoint, Point},
        diag::Diagnostic,
        visit::{Child, Node, each_mut},
    },
    suggest,
};
use std::{borrow::Cow, collections::HashSet};

/// Puts numbers and types in the place of names, and says what cannot be had.
pub(super) struct Binder<'a> {
    pub(super) target: &'a Target,
    pub(super) structs: &'a mut Structs,
    /// The next expression's id.
    pub(super) next: u32,
    /// Expressions that name an argument: it may be on the stack.
    pub(super) made: HashSet<ExprId>,
    pub(super) diags: Vec<Diagnostic>,
    /// Longest string that is read.
    pub(super) max_strlen: u32,
}

impl Binder<'_> {
    /// Rewrites a probe whose attach points all have signatures; leaves others as they are.
    pub(super) fn probe(&mut self, probe: &mut Probe, points: &[CheckedPoint]) {
        self.addresses(probe, points);
        if self.named(probe, points) {
            return;
        }
        if !points.iter().any(|p| has_signature(&p.point)) || !names_arguments(probe) {
            return;
        }
        let target = self.target;
        let signatures: Option<Vec<Cow<'_, Signature>>> = points
            .iter()
            .map(|p| match signature(target, p) {
                Some(known) => Some(Cow::Borrowed(known)),
                None => kernel::signature(self.structs, target, p).map(Cow::Owned),
            })
            .collect();
        let Some(signatures) = signatures.filter(|s| !s.is_empty()) else {
            return;
        };
        let signatures: Vec<&Signature> = signatures.iter().map(|s| &**s).collect();
        let all = |test: fn(&Point) -> bool| points.iter().all(|p| test(&p.point));
        let has = Has {
            args: !all(|p| matches!(p, Point::Uprobe { ret: true, .. })),
            ret: all(|p| {
                matches!(
                    p,
                    Point::Uprobe { ret: true, .. } | Point::Trampoline { ret: true, .. }
                )
            }),
            typed_ret: all(|p| matches!(p, Point::Trampoline { ret: true, .. })),
        };
        let mut rewrite = |node: Node<'_>| {
            if let Node::Expr(e) = node {
                self.rewrite(e, &signatures, has);
            }
        };
        if let Some(predicate) = &mut probe.predicate {
            each_mut(Child::Expr(predicate), &mut rewrite);
        }
        each_mut(Child::Block(&mut probe.body), &mut rewrite);
    }

    /// Puts `(uint64 *)(reg("ip") + N)` in the place of `uaddr("symbol")`, or the address itself where it is known.
    fn addresses(&mut self, probe: &mut Probe, points: &[CheckedPoint]) {
        if self.target.debug.addresses.is_empty() || points.is_empty() {
            return;
        }
        let mut rewrite = |node: Node<'_>| {
            if let Node::Expr(e) = node
                && let ExprKind::Call { name, args } = &e.kind
                && name.text == "uaddr"
                && let [Arg::Expr(arg)] = args.as_slice()
                && let ExprKind::Str(symbol) = &arg.kind
            {
                let symbol = String::from_utf8_lossy(symbol).into_owned();
                if let Some(kind) = self.address(e, &symbol, points) {
                    e.kind = kind;
                }
            }
        };
        if let Some(predicate) = &mut probe.predicate {
            each_mut(Child::Expr(predicate), &mut rewrite);
        }
        each_mut(Child::Block(&mut probe.body), &mut rewrite);
    }

    fn address(&mut self, e: &Expr, symbol: &str, points: &[CheckedPoint]) -> Option<ExprKind> {
        let mut found: Option<(u64, Origin)> = None;
        for point in points {
            let (binary, offsets) = places(self.target, point)?;
            let mut all = self.target.debug.addresses.iter();
            let address = all.find(|a| a.binary == binary && a.name == symbol)?;
            let froms: Vec<Origin> = match (address.fixed, &point.point) {
                (Some(fixed), _) => vec![Origin::Zero(fixed)],
                (None, Point::Uprobe { ret: true, .. }) => {
                    self.diags.push(
                        Diagnostic::error(e.span, "address is not known where a function returns")
                            .help("take it in a `uprobe` and keep it in a map"),
                    );
                    return Some(ExprKind::Int(0));
                }
                (None, _) => {
                    let near = |offset: u64| {
                        // Within a function the distance shrinks by what has been walked.
                        let before = address.distances.iter().filter(|d| d.0 <= offset);
                        let (start, distance) = before.max_by_key(|d| d.0)?;
                        Some(distance.wrapping_sub_unsigned(offset - start))
                    };
                    offsets
                        .iter()
                        .filter_map(|offset| near(*offset))
                        .map(Origin::Probe)
                        .collect()
                }
            };
            for from in froms {
                if found.is_some_and(|(_, other)| other != from) {
                    self.diags.push(
                        Diagnostic::error(
                            e.span,
                            "address differs between the places of this probe",
                        )
                        .help("write a probe for each place"),
                    );
                    return Some(ExprKind::Int(0));
                }
                found = Some((address.size, from));
            }
        }
        let (size, from) = found?;
        let bits = match size {
            1 | 2 | 4 => 8 * u8::try_from(size).unwrap_or(8),
            _ => 64,
        };
        let value = match from {
            Origin::Zero(address) => self.expr(e, ExprKind::Int(address)),
            Origin::Probe(distance) => {
                let word = Arg::Expr(self.expr(e, ExprKind::Str(b"ip".to_vec())));
                let name = Name {
                    text: "reg".to_string(),
                    span: e.span,
                };
                let args = vec![word];
                let left = self.expr(e, ExprKind::Call { name, args });
                let right = self.expr(e, ExprKind::Int(distance.unsigned_abs()));
                let op = if distance < 0 { BinOp::Sub } else { BinOp::Add };
                self.expr(
                    e,
                    ExprKind::Binary {
                        op,
                        left: Box::new(left),
                        right: Box::new(right),
                    },
                )
            }
        };
        let to = Type::Int {
            bits,
            signed: false,
        };
        Some(self.cast(e, &Type::Ptr(Box::new(to)), value))
    }

    fn rewrite(&mut self, e: &mut Expr, signatures: &[&Signature], has: Has) {
        if self.made.contains(&e.id) {
            return;
        }
        match &e.kind {
            ExprKind::Member { base, name } if is_args(base) && has.args => {
                let name = name.clone();
                let kind = self.argument(e, &name, signatures);
                e.kind = kind.unwrap_or(ExprKind::Int(0));
            }
            ExprKind::Ident(word) if word == "args" && has.args => {
                let Some(first) = signatures.first() else {
                    return;
                };
                let mut fields = Vec::new();
                for param in &first.params {
                    let name = Name {
                        text: param.name.clone(),
                        span: e.span,
                    };
                    let Some(kind) = self.argument(e, &name, signatures) else {
                        continue;
                    };
                    let value = self.expr(e, kind);
                    fields.push((name, value));
                }
                e.kind = ExprKind::Record(fields);
            }
            // Of a function of the kernel it has the type that the kernel gives it.
            ExprKind::Ident(word) if word == "retval" && has.typed_ret => {
                let mut types = signatures.iter().map(|s| s.ret.as_ref().ok());
                let Some(Some(ty)) = types.next() else {
                    return;
                };
                if *ty != Type::Void && types.all(|other| other == Some(ty)) {
                    let value = self.expr(e, e.kind.clone());
                    self.made.insert(value.id);
                    e.kind = self.cast(e, ty, value);
                }
            }
            // By itself it is a uint64; only what has members gets its type.
            ExprKind::Member { base, .. } if is_retval(base) && has.ret => {
                let mut types = signatures.iter().map(|s| s.ret.as_ref().ok());
                let Some(Some(ty)) = types.next() else {
                    return;
                };
                if *ty == Type::Void || !types.all(|other| other == Some(ty)) {
                    return;
                }
                let value = self.expr(e, base.kind.clone());
                self.made.insert(value.id);
                let kind = self.cast(e, ty, value);
                if let ExprKind::Member { base, .. } = &mut e.kind {
                    base.kind = kind;
                }
            }
            _ => {}
        }
    }

    /// `(T)argN` for the parameter of that name, which must be the same in all signatures.
    fn argument(&mut self, e: &Expr, name: &Name, signatures: &[&Signature]) -> Option<ExprKind> {
        let mut found: Option<&Param> = None;
        for signature in signatures {
            let Some(param) = signature.params.iter().find(|p| p.name == name.text) else {
                let names = signature.params.iter().map(|p| p.name.as_str());
                let help = suggest::did_you_mean(&name.text, names);
                self.diags.push(
                    Diagnostic::error(
                        name.span,
                        format!("the function has no parameter `{}`", name.text),
                    )
                    .said_at(
                        e.span,
                        format!("Can't find function parameter {}", name.text),
                    )
                    .maybe_help(help),
                );
                return None;
            };
            if found.is_some_and(|found| found.place != param.place) {
                self.diags.push(Diagnostic::error(
                    name.span,
                    format!(
                        "parameter `{}` differs between the functions of this probe",
                        name.text
                    ),
                ));
                return None;
            }
            found = Some(param);
        }
        match &found?.place {
            Ok((Type::Struct(id), index)) => self.by_value(e, name, *id, *index),
            Ok((ty, index)) => {
                let value = self.expr(e, ExprKind::Ident(format!("arg{index}")));
                self.made.insert(value.id);
                Some(self.cast(e, ty, value))
            }
            Err(why) => {
                self.diags.push(
                    Diagnostic::error(
                        name.span,
                        format!("parameter `{}` cannot be read", name.text),
                    )
                    .label(why.clone()),
                );
                None
            }
        }
    }

    /// A struct that is passed by value: a record of what is in the registers from `argN` on, or what the stack has.
    fn by_value(&mut self, e: &Expr, name: &Name, id: StructId, first: u32) -> Option<ExprKind> {
        // Registers for arguments, and bytes between `sp` and the first argument on the stack.
        let (registers, below) = match self.target.arch {
            Arch::X86_64 => (6, 8),
            Arch::Aarch64 => (8, 0),
        };
        let Some(slot) = first.checked_sub(registers) else {
            return self.in_registers(e, name, id, first, 0);
        };
        let word = Arg::Expr(self.expr(e, ExprKind::Str(b"sp".to_vec())));
        let reg = ExprKind::Call {
            name: Name {
                text: "reg".to_string(),
                span: e.span,
            },
            args: vec![word],
        };
        let reg = self.expr(e, reg);
        let at = self.binary(e, BinOp::Add, reg, below + 8 * u64::from(slot));
        let ty = Type::Ptr(Box::new(Type::Struct(id)));
        let pointer = self.cast(e, &ty, at);
        Some(ExprKind::Unary {
            op: UnOp::Deref,
            expr: Box::new(self.expr(e, pointer)),
        })
    }

    /// The members of a struct that begins `at` bytes into `arg{first}`.
    fn in_registers(
        &mut self,
        e: &Expr,
        name: &Name,
        id: StructId,
        first: u32,
        at: u32,
    ) -> Option<ExprKind> {
        let fields = self.structs.defs.get(id.0 as usize)?.fields.clone();
        let mut members = Vec::new();
        for field in fields {
            let offset = at + field.offset;
            let kind = match (&field.ty, field.bits) {
                (Type::Struct(inner), None) => self.in_registers(e, name, *inner, first, offset)?,
                (Type::Int { .. } | Type::Ptr(_) | Type::Enum { .. } | Type::Bool, bits) => {
                    let value = ExprKind::Ident(format!("arg{}", first + offset / 8));
                    let mut value = self.expr(e, value);
                    self.made.insert(value.id);
                    let shift = offset % 8 * 8 + bits.map_or(0, |(from, _)| u32::from(from));
                    if shift > 0 {
                        value = self.binary(e, BinOp::Shr, value, u64::from(shift));
                    }
                    if let Some((_, width @ ..64)) = bits {
                        value = self.binary(e, BinOp::And, value, (1 << width) - 1);
                    }
                    self.cast(e, &field.ty, value)
                }
                _ => {
                    let text = format!("parameter `{}` cannot be read", name.text);
                    let why = format!(
                        "its member `{}` is in a register, and more than a number",
                        field.name
                    );
                    self.diags
                        .push(Diagnostic::error(name.span, text).label(why));
                    return None;
                }
            };
            let text = field.name.clone();
            let label = Name { text, span: e.span };
            members.push((label, self.expr(e, kind)));
        }
        Some(ExprKind::Record(members))
    }

    fn binary(&mut self, e: &Expr, op: BinOp, left: Expr, right: u64) -> Expr {
        let right = self.expr(e, ExprKind::Int(right));
        let (left, right) = (Box::new(left), Box::new(right));
        self.expr(e, ExprKind::Binary { op, left, right })
    }

    /// The points of a probe in groups whose functions take the same, if the probe asks for what they take: each group
    /// is a probe of its own.
    pub(super) fn groups(
        &self,
        probe: &mut Probe,
        points: Vec<CheckedPoint>,
    ) -> Vec<Vec<CheckedPoint>> {
        if points.len() < 2 || !names_arguments(probe) {
            return vec![points];
        }
        let mut groups: Vec<(Option<&[Param]>, Vec<CheckedPoint>)> = Vec::new();
        for point in points {
            let takes = signature(self.target, &point).map(|s| s.params.as_slice());
            match groups.iter_mut().find(|(known, _)| *known == takes) {
                Some((_, group)) => group.push(point),
                None => groups.push((takes, vec![point])),
            }
        }
        groups.into_iter().map(|(_, points)| points).collect()
    }

    /// The same probe once more, its expressions under numbers of their own.
    pub(super) fn copy(&mut self, probe: &Probe) -> Probe {
        let mut probe = probe.clone();
        let mut number = |node: Node<'_>| {
            if let Node::Expr(e) = node {
                e.id = ExprId(self.next);
                self.next += 1;
            }
        };
        if let Some(predicate) = &mut probe.predicate {
            each_mut(Child::Expr(predicate), &mut number);
        }
        each_mut(Child::Block(&mut probe.body), &mut number);
        probe
    }

    pub(super) fn cast(&mut self, e: &Expr, ty: &Type, expr: Expr) -> ExprKind {
        ExprKind::Cast {
            ty: TypeExpr {
                kind: TypeExprKind::Named(self.structs.name_type(ty)),
                span: e.span,
            },
            expr: Box::new(expr),
        }
    }

    pub(super) fn expr(&mut self, at: &Expr, kind: ExprKind) -> Expr {
        let id = ExprId(self.next);
        self.next += 1;
        Expr {
            kind,
            id,
            ..at.clone()
        }
    }
}

/// What a probe has by name.
#[derive(Clone, Copy)]
struct Has {
    args: bool,
    ret: bool,
    typed_ret: bool,
}

/// Whether functions with parameters are at such points.
fn has_signature(point: &Point) -> bool {
    matches!(
        point,
        Point::Uprobe { .. } | Point::RawTracepoint(_) | Point::Trampoline { .. }
    )
}

/// Whether a probe asks for arguments, or a result, by name.
fn names_arguments(probe: &mut Probe) -> bool {
    let mut found = false;
    let mut look = |node: Node<'_>| {
        if let Node::Expr(e) = node {
            found |= matches!(&e.kind, ExprKind::Ident(word) if word == "args" || word == "retval");
        }
    };
    if let Some(predicate) = &mut probe.predicate {
        each_mut(Child::Expr(predicate), &mut look);
    }
    each_mut(Child::Block(&mut probe.body), &mut look);
    found
}

/// Where a symbol's address is counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It is the address.
    Zero(u64),
    /// The instruction that is probed.
    Probe(i64),
}

/// The binary of a point and the file offsets of its places.
fn places(target: &Target, point: &CheckedPoint) -> Option<(usize, Vec<u64>)> {
    match &point.point {
        Point::Uprobe { binary, offset, .. } => Some((*binary, vec![*offset])),
        Point::Usdt { binary, probe } => {
            let probe = target.binaries.get(*binary)?.usdt.get(*probe)?;
            Some((*binary, probe.sites.iter().map(|s| s.offset).collect()))
        }
        _ => None,
    }
}

fn is_retval(e: &Expr) -> bool {
    matches!(&e.kind, ExprKind::Ident(word) if word == "retval")
}

pub(super) fn is_args(e: &Expr) -> bool {
    matches!(&e.kind, ExprKind::Ident(word) if word == "args")
}

/// The signature of the function that a point is at the beginning, or end, of.
fn signature<'t>(target: &'t Target, point: &CheckedPoint) -> Option<&'t Signature> {
    let Point::Uprobe { binary, offset, .. } = &point.point else {
        return None;
    };
    let mut all = target.debug.signatures.iter();
    all.find(|s| s.binary == *binary && s.offset == *offset)
}
