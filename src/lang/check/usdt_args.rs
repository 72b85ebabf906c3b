//! Arguments of USDT probes by name: `args.x` becomes the expression that reads what `argN` stands for.

use super::args::{Binder, is_args};
use crate::{
    lang::{
        ast::{Arg, BinOp, Expr, ExprKind, Name, Probe},
        checked::{CheckedPoint, Point},
        diag::Diagnostic,
        visit::{Child, Node, each_mut},
    },
    spec::{ArgMeans, ArgName, Target, Type, UsdtProbe},
    suggest,
};

impl Binder<'_> {
    /// Rewrites a probe whose attach points all have arguments with names; false, and untouched, if one has not.
    pub(super) fn named(&mut self, probe: &mut Probe, points: &[CheckedPoint]) -> bool {
        let target = self.target;
        let found: Option<Vec<&UsdtProbe>> = points.iter().map(|p| usdt(target, p)).collect();
        let Some(found) = found.filter(|found| !found.is_empty()) else {
            return false;
        };
        if found.iter().any(|probe| probe.names.is_empty()) {
            return false;
        }
        let mut rewrite = |node: Node<'_>| {
            if let Node::Expr(e) = node {
                self.rewrite_named(e, &found);
            }
        };
        if let Some(predicate) = &mut probe.predicate {
            each_mut(Child::Expr(predicate), &mut rewrite);
        }
        each_mut(Child::Block(&mut probe.body), &mut rewrite);
        true
    }

    fn rewrite_named(&mut self, e: &mut Expr, probes: &[&UsdtProbe]) {
        match &e.kind {
            ExprKind::Member { base, name } if is_args(base) => {
                let name = name.clone();
                let found = self.find(&name, probes);
                e.kind = match found {
                    Some((index, arg)) => {
                        self.warn_of_drift(&name, index, arg, probes);
                        self.read(e, index, arg, probes)
                    }
                    None => ExprKind::Int(0),
                };
            }
            ExprKind::Ident(word) if word == "args" => {
                let Some(first) = probes.first() else {
                    return;
                };
                let mut fields = Vec::new();
                for arg in &first.names {
                    let name = Name {
                        text: arg.name.clone(),
                        span: e.span,
                    };
                    if let Some((index, arg)) = self.find(&name, probes) {
                        let kind = self.read(e, index, arg, probes);
                        let value = self.expr(e, kind);
                        fields.push((name, value));
                    }
                }
                e.kind = ExprKind::Record(fields);
            }
            ExprKind::Binary { op, left, right } if matches!(op, BinOp::Eq | BinOp::Ne) => {
                let (op, left, right) = (*op, (**left).clone(), (**right).clone());
                if let Some(kind) = self.compared(e, op, &left, &right, probes) {
                    e.kind = kind;
                }
            }
            _ => {}
        }
    }

    /// `args.x == "text"` where `x` is a hash or a number with names.
    fn compared(
        &mut self,
        e: &Expr,
        op: BinOp,
        left: &Expr,
        right: &Expr,
        probes: &[&UsdtProbe],
    ) -> Option<ExprKind> {
        let ((member, text), at) = match (&left.kind, &right.kind) {
            (ExprKind::Member { base, name }, ExprKind::Str(text)) if is_args(base) => {
                ((name, text), right)
            }
            (ExprKind::Str(text), ExprKind::Member { base, name }) if is_args(base) => {
                ((name, text), left)
            }
            _ => return None,
        };
        let first = probes.first()?;
        let known = first.names.iter().find(|arg| arg.name == member.text)?;
        if !matches!(known.means, ArgMeans::Hash | ArgMeans::Enum(_)) {
            return None;
        }
        let Some((index, arg)) = self.find(member, probes) else {
            return Some(ExprKind::Int(0));
        };
        self.warn_of_drift(member, index, arg, probes);
        let (left, right) = match &arg.means {
            ArgMeans::Enum(values) => {
                let text = String::from_utf8_lossy(text);
                let value = values.iter().find(|(_, name)| *name == text);
                let Some((value, _)) = value else {
                    let names: Vec<&str> = values.iter().map(|(_, name)| name.as_str()).collect();
                    self.diags.push(
                        Diagnostic::error(at.span, format!("`{}` is never `{text}`", arg.name))
                            .help(format!("it is {}", names.join(", "))),
                    );
                    return Some(ExprKind::Int(0));
                };
                let read = self.read(e, index, arg, probes);
                (self.expr(e, read), ExprKind::Int(value.cast_unsigned()))
            }
            _ => {
                let Some(bytes) = hash(text) else {
                    self.diags.push(
                        Diagnostic::error(at.span, "a hash is 64 hexadecimal digits")
                            .help("write it as it is printed"),
                    );
                    return Some(ExprKind::Int(0));
                };
                let number = self.number(e, index);
                let pointer = self.cast(e, &Type::Ptr(Box::new(Type::U8)), number);
                let pointer = self.expr(e, pointer);
                let bytes = self.expr(e, ExprKind::Str(bytes));
                let size = self.expr(e, ExprKind::Int(32));
                let call = call(e, "memcmp", vec![pointer, bytes, size]);
                (self.expr(e, call), ExprKind::Int(0))
            }
        };
        Some(ExprKind::Binary {
            op,
            left: Box::new(left),
            right: Box::new(self.expr(at, right)),
        })
    }

    /// The argument of that name and its number, which all probes must have in the same place.
    fn find<'p>(&mut self, name: &Name, probes: &[&'p UsdtProbe]) -> Option<(usize, &'p ArgName)> {
        let mut found: Option<(usize, &ArgName)> = None;
        for probe in probes {
            let full = format!("{}:{}", probe.provider, probe.name);
            let at = probe.names.iter().position(|arg| arg.name == name.text);
            let Some(index) = at else {
                let names = probe.names.iter().map(|arg| arg.name.as_str());
                let all = names.clone().collect::<Vec<_>>().join(", ");
                let help = suggest::did_you_mean(&name.text, names)
                    .unwrap_or_else(|| format!("it has {all}"));
                self.diags.push(
                    Diagnostic::error(
                        name.span,
                        format!("`{full}` has no argument `{}`", name.text),
                    )
                    .help(help),
                );
                return None;
            };
            if probe.sites.iter().any(|site| site.args.len() <= index) {
                self.diags.push(
                    Diagnostic::error(
                        name.span,
                        format!("`{full}` of this binary has no argument `{}`", name.text),
                    )
                    .help(format!("it would be `arg{index}`, and its note has fewer")),
                );
                return None;
            }
            let arg = &probe.names[index];
            if found.is_some_and(|(i, other)| i != index || other.means != arg.means) {
                self.diags.push(
                    Diagnostic::error(
                        name.span,
                        format!("argument `{}` differs between these probes", name.text),
                    )
                    .help("write a probe for each"),
                );
                return None;
            }
            found = Some((index, arg));
        }
        found
    }

    /// The expression that reads an argument.
    fn read(&mut self, e: &Expr, index: usize, arg: &ArgName, probes: &[&UsdtProbe]) -> ExprKind {
        let value = self.number(e, index);
        let (size, signed) = operand(probes, index);
        let bits = 8 * size;
        match &arg.means {
            ArgMeans::Number => self.cast(e, &Type::Int { bits, signed }, value),
            ArgMeans::Bool => {
                let byte = self.cast(e, &Type::U8, value);
                let byte = self.expr(e, byte);
                self.cast(e, &Type::Bool, byte)
            }
            ArgMeans::Enum(values) => {
                let (name, values) = (arg.name.clone(), values.clone());
                self.cast(e, &Type::Enum { name, bits, values }, value)
            }
            ArgMeans::Text(None) => call(e, "str", vec![value]),
            ArgMeans::Text(Some(size)) => {
                let most = self.max_strlen.min(*size);
                let size = self.expr(e, ExprKind::Int(most.into()));
                call(e, "str", vec![value, size])
            }
            ArgMeans::Hash => call(e, "hash256", vec![value]),
            ArgMeans::Bytes(length) => {
                let length = self.number(e, *length);
                call(e, "buf", vec![value, length])
            }
        }
    }

    /// `argN`.
    fn number(&mut self, e: &Expr, index: usize) -> Expr {
        self.expr(e, ExprKind::Ident(format!("arg{index}")))
    }

    fn warn_of_drift(&mut self, name: &Name, index: usize, arg: &ArgName, probes: &[&UsdtProbe]) {
        for probe in probes {
            let (size, signed) = operand(&[*probe], index);
            if arg.fits(size, signed) {
                continue;
            }
            let shape = |size: u8, signed: bool| {
                format!(
                    "{}int{}",
                    if signed { "" } else { "u" },
                    8 * u32::from(size)
                )
            };
            self.diags.push(
                Diagnostic::warning(
                    name.span,
                    format!(
                        "argument `{}` of `{}:{}` is not as expected",
                        name.text, probe.provider, probe.name
                    ),
                )
                .label(format!(
                    "expected {}, found {} in the binary",
                    shape(arg.size, arg.signed),
                    shape(size, signed)
                ))
                .help("it is read as the binary says; another version of the program may give it another meaning"),
            );
        }
    }
}

/// Bytes and sign of the operand: the widest of all sites.
fn operand(probes: &[&UsdtProbe], index: usize) -> (u8, bool) {
    let sites = probes.iter().flat_map(|probe| &probe.sites);
    let found = sites.filter_map(|site| site.args.get(index));
    found
        .map(|arg| (arg.size, arg.signed))
        .max()
        .unwrap_or((8, false))
}

/// The bytes of a hash in memory, of its digits as printed.
fn hash(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() != 64 {
        return None;
    }
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let bytes = text
        .chunks_exact(2)
        .rev()
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?));
    bytes.collect()
}

fn call(e: &Expr, function: &str, args: Vec<Expr>) -> ExprKind {
    ExprKind::Call {
        name: Name {
            text: function.to_string(),
            span: e.span,
        },
        args: args.into_iter().map(Arg::Expr).collect(),
    }
}

fn usdt<'t>(target: &'t Target, point: &CheckedPoint) -> Option<&'t UsdtProbe> {
    let Point::Usdt { binary, probe } = &point.point else {
        return None;
    };
    target.binaries.get(*binary)?.usdt.get(*probe)
}
