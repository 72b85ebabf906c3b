//! Functions that make values: strings, buffers, stacks, addresses, parameters of the command line.

use super::{Checker, words};
use crate::{
    lang::{
        ast::{Arg, Expr, ExprKind, UnOp},
        builtin::{self, Row, Want},
        checked::Res,
        diag::Diagnostic,
        points,
    },
    span::Span,
    spec::{Arch, Type},
    suggest,
};

/// Frames of a stack where the script names no limit.
const STACK_DEPTH: u32 = 127;

impl Checker<'_> {
    pub(super) fn clock_of(&self, e: &Expr) -> u8 {
        if let ExprKind::Call { name, args } = &e.kind
            && let ("nsecs", Some(Arg::Expr(arg))) = (name.text.as_str(), args.first())
            && let Some(n) = self.konst(arg)
        {
            return u8::try_from(n.min(3)).unwrap_or(1);
        }
        1
    }

    /// `dw_ustack` needs the tables of processes that are known when tracing begins.
    pub(super) fn walked_stack(&mut self, e: &Expr) {
        let how = self.config.unstable_dw_ustack;
        if !self.unstable_as(e, "dw_ustack", "dw_ustack (DWARF stack unwinding)", how) {
            return;
        }
        let target = self.target;
        if target.arch != Arch::X86_64 {
            let text = "`dw_ustack` is for x86-64";
            self.say(Diagnostic::error(e.span, text));
        } else if target.pid.or(target.cpid).is_none() && target.unwound.is_empty() {
            self.say(
                Diagnostic::error(e.span, "`dw_ustack` is for processes that are known before")
                    .help("name one: -p PID, -c COMMAND or --dwarf-pid PID")
                    .said_at(Span::default(), "dw_ustack requires a target process. Use -p, -c, or --dwarf-pid to specify one."),
            );
        }
    }

    pub(super) fn stack(&mut self, row: &Row, args: &[&Expr]) -> Type {
        let mut mode = self.config.stack_mode;
        let mut depth = STACK_DEPTH;
        for (i, arg) in args.iter().enumerate() {
            if let (Some(word), 0) = (self.word(arg), i) {
                let modes = crate::lang::config::STACK_MODES;
                match modes.iter().position(|m| *m == word) {
                    Some(n) => {
                        mode = u8::try_from(n).unwrap_or(0);
                        self.set_int(arg, i128::from(mode), Type::U8);
                        continue;
                    }
                    None if builtin::row(&word).is_none() => {
                        let help = suggest::did_you_mean(&word, modes.iter().copied());
                        self.say(
                            Diagnostic::error(arg.span, format!("unknown stack mode `{word}`"))
                                .maybe_help(help)
                                .said(format!("Error parsing stack mode: {}: Invalid value for stack_mode: valid values are bpftrace, raw, perf, and build_id.", row.name)),
                        );
                        continue;
                    }
                    None => {}
                }
            }
            self.argument_of(row.name, Want::ConstInt, arg);
            match self.konst(arg) {
                // More than the kernel walks is as good as all of it.
                Some(n) if n >= 0 => {
                    depth = u32::try_from(n).unwrap_or(STACK_DEPTH).min(STACK_DEPTH)
                }
                Some(n) => self.say(
                    Diagnostic::error(arg.span, format!("the limit of a stack is {n}"))
                        .said_at(self.call, format!("{}: invalid limit value", row.name)),
                ),
                None => {}
            }
            if args.len() == 2 && i == 0 {
                self.say(
                    Diagnostic::error(arg.span, "the mode of a stack stands first")
                        .said_at(self.call, "Expected stack mode as first argument"),
                );
            }
        }
        Type::Stack {
            user: row.name != "kstack",
            mode,
            depth,
            walked: row.name == "dw_ustack",
        }
    }

    pub(super) fn str(&mut self, e: &Expr, args: &[&Expr]) -> Type {
        let most = self.config.max_strlen;
        // As many characters as `max_strlen` says are kept: the NUL does not count, so that a cut can be told.
        let mut size = most.saturating_add(1);
        if let Some(length) = args.get(1) {
            self.argument_of("str", Want::Int, length);
            if let Some(n) = self.konst(length) {
                if n < 0 {
                    self.say(
                        Diagnostic::error(length.span, format!("length of `str` is {n}"))
                            .said_at(self.call, format!("strcannot use negative length ({n})")),
                    );
                }
                size = u32::try_from(n).map_or(size, |n| n.clamp(1, size));
            }
        }
        // Of what is known the length counts characters, of memory it counts the NUL too.
        let chars = match args.get(1) {
            Some(length) => self.konst(length).and_then(|n| usize::try_from(n).ok()),
            None => None,
        };
        let chars = chars.unwrap_or(usize::MAX).min(most as usize);
        // `str($1)` and `str($1 + n)` take the parameter's text.
        let (param, skip) = match &args[0].kind {
            ExprKind::Binary {
                op: crate::lang::ast::BinOp::Add,
                left,
                right,
            } => {
                self.expr(right);
                (&**left, self.konst(right))
            }
            _ => (args[0], Some(0)),
        };
        if let (ExprKind::Param(n), Some(skip)) = (&param.kind, skip) {
            let text = self.param_text(*n).into_bytes();
            let Some(rest) = usize::try_from(skip).ok().and_then(|s| text.get(s..)) else {
                self.error(
                    args[0].span,
                    format!("parameter has {} bytes only", text.len()),
                );
                return Type::Str { size };
            };
            let cut = rest.len().min(chars);
            let kept = rest[..cut].to_vec();
            return self.set_str(e, &kept);
        }
        let ty = self.value(args[0]);
        if let (Some(text), true) = (
            self.konst_str(args[0]),
            args.get(1).is_none_or(|n| self.konst(n).is_some()),
        ) {
            let kept = text[..text.len().min(chars)].to_vec();
            return self.set_str(e, &kept);
        }
        if let (Type::Int { .. }, Some(n)) = (&ty, self.konst(args[0]))
            && is_literal(args[0])
        {
            // A number that is written there is no address but a text.
            let mut text = n.to_string().into_bytes();
            text.truncate(size.saturating_sub(u32::from(args.len() < 2)) as usize);
            return self.set_str(e, &text);
        }
        match &ty {
            Type::Void | Type::Int { .. } | Type::Ptr(_) => Type::Str { size },
            Type::Str { size: own } => Type::Str {
                size: (*own).min(size),
            },
            Type::Array(elem, len) if matches!(**elem, Type::Int { bits: 8, .. }) => Type::Str {
                size: len.saturating_add(1).min(size),
            },
            Type::Buf { size: own } => Type::Str {
                size: own.saturating_add(1).min(size),
            },
            _ => {
                let shown = words::a(&ty, &self.structs.defs);
                let said = format!(
                    "str() expects a string, integer or a pointer type as first argument ({} provided)",
                    self.plain(&ty)
                );
                self.say(
                    Diagnostic::error(
                        args[0].span,
                        format!("`str` wants a pointer, this is {shown}"),
                    )
                    .said_at(self.call, said),
                );
                Type::Str { size }
            }
        }
    }

    pub(super) fn buf(&mut self, args: &[&Expr]) -> Type {
        let most = self.config.max_strlen;
        let ty = self.number_of(args[0]);
        let own = match &ty {
            Type::Array(elem, len) => Some(elem.size(&self.structs.defs).saturating_mul(*len)),
            Type::Str { size } => Some(*size),
            Type::Struct(_) => Some(ty.size(&self.structs.defs)),
            Type::Int { .. } | Type::Ptr(_) | Type::Void | Type::Buf { .. } => None,
            _ => {
                let shown = words::a(&ty, &self.structs.defs);
                let said = format!(
                    "buf() expects an integer, string, or array argument but saw {}",
                    words::kind(&ty)
                );
                self.say(
                    Diagnostic::error(
                        args[0].span,
                        format!("`buf` wants a pointer or array, this is {shown}"),
                    )
                    .said_at(self.call, said),
                );
                None
            }
        };
        let mut size = own.unwrap_or(most);
        match args.get(1) {
            Some(length) => {
                self.argument_of("buf", Want::Int, length);
                if let Some(n) = self.konst(length) {
                    if n < 0 {
                        self.say(
                            Diagnostic::error(length.span, format!("length of `buf` is {n}"))
                                .said_at(self.call, format!("bufcannot use negative length ({n})")),
                        );
                    }
                    size = u32::try_from(n).unwrap_or(most);
                } else {
                    size = most;
                }
            }
            None if own.is_none() && ty != Type::Void => {
                let said = format!(
                    "buf() expects a length argument for non-array type {}",
                    words::kind(&ty)
                );
                self.say(
                    Diagnostic::error(args[0].span, "`buf` of a pointer wants a length")
                        .said_at(self.call, said),
                );
            }
            None => {}
        }
        Type::Buf {
            size: size.clamp(1, most),
        }
    }

    pub(super) fn getopt(&mut self, e: &Expr, args: &[&Expr]) -> Type {
        self.argument_of("getopt", Want::ConstStr, args[0]);
        let name = self.konst_str(args[0]).unwrap_or_default();
        let name = String::from_utf8_lossy(&name).into_owned();
        let given = self
            .target
            .named
            .iter()
            .rev()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v.clone());
        let default = match args.get(1) {
            Some(default) => self.value(default),
            None => Type::Bool,
        };
        if let Some(description) = args.get(2) {
            self.argument_of("getopt", Want::ConstStr, description);
        }
        match default {
            Type::Bool => {
                let default = args.get(1).and_then(|d| self.konst(d)).unwrap_or(0);
                let value = match given.as_ref().map(Option::as_deref) {
                    None => default,
                    Some(None | Some("1" | "true")) => 1,
                    Some(Some("0" | "false")) => 0,
                    Some(Some(other)) => {
                        let text = format!("`--{name}` is `true` or `false`, not `{other}`");
                        self.wrong_option(e, text, &name, "expects a boolean (e.g. 'true')", other);
                        0
                    }
                };
                self.set_int(e, value, Type::Bool)
            }
            Type::Int { .. } => {
                if given == Some(None) {
                    let text = format!("`--{name}` lacks its number");
                    self.wrong_option(e, text, &name, "expects an integer", "true");
                }
                let text = given.flatten();
                let value = match text.as_deref() {
                    None => args.get(1).and_then(|d| self.konst(d)),
                    Some(text) => {
                        let (sign, digits) = match text.strip_prefix('-') {
                            Some(rest) => (-1, rest),
                            None => (1, text),
                        };
                        let digits =
                            Some(digits).filter(|d| d.starts_with(|c: char| c.is_ascii_digit()));
                        let n = digits.and_then(|d| crate::lang::number::parse(d).ok());
                        if n.is_none() {
                            let why = format!("`--{name}` wants a number, not `{text}`");
                            self.wrong_option(e, why, &name, "invalid integer", text);
                        }
                        n.map(|n| sign * i128::from(n))
                    }
                };
                match value {
                    Some(value) => self.set_literal(e, value),
                    None => {
                        if args.get(1).is_some_and(|d| self.konst(d).is_none()) {
                            self.say(
                                Diagnostic::error(
                                    e.span,
                                    "the default of `getopt` is known at compile time",
                                )
                                .said("Second argument to 'getopt' must be a string literal, integer literal, or a boolean literal."),
                            );
                        }
                        Type::I64
                    }
                }
            }
            Type::Str { .. } => {
                if given == Some(None) {
                    let text = format!("`--{name}` lacks its text");
                    self.wrong_option(e, text, &name, "expects a string", "true");
                }
                let bytes = match given.flatten() {
                    Some(text) => Some(text.into_bytes()),
                    None => args.get(1).and_then(|d| self.konst_str(d)),
                };
                match bytes {
                    Some(bytes) => self.set_str(e, &bytes),
                    None => {
                        self.error(e.span, "the default of `getopt` is a literal");
                        Type::Str { size: 1 }
                    }
                }
            }
            _ => {
                self.error(e.span, "`getopt` yields a number, a string or a boolean");
                Type::Void
            }
        }
    }

    /// A named parameter that was given something else than it takes.
    fn wrong_option(&mut self, e: &Expr, text: String, name: &str, takes: &str, value: &str) {
        let said = format!("program command line option --{name} {takes} (value: {value})");
        self.say(Diagnostic::error(e.span, text).said_at(Span::default(), said));
    }

    pub(super) fn ntop(&mut self, args: &[&Expr]) -> Type {
        let mut args = args;
        if args.len() == 2 {
            self.argument_of("ntop", Want::Int, args[0]);
            args = &args[1..];
        }
        let ty = self.number_of(args[0]);
        let fine = match &ty {
            Type::Void | Type::Int { .. } | Type::Ptr(_) => true,
            Type::Array(elem, len) => elem.size(&self.structs.defs) == 1 && matches!(len, 4 | 16),
            Type::Str { size } => matches!(size, 4 | 16),
            _ => false,
        };
        if !fine {
            let shown = words::a(&ty, &self.structs.defs);
            let said = match ty {
                Type::Array(..) | Type::Str { .. } => {
                    "ntop() argument must be 4 or 16 bytes in size".to_string()
                }
                _ => format!(
                    "ntop() expects an integer or array argument, got {}",
                    words::kind(&ty)
                ),
            };
            self.say(
                Diagnostic::error(
                    args[0].span,
                    format!("`ntop` wants an integer or 4 or 16 bytes, this is {shown}"),
                )
                .said_at(self.call, said),
            );
        }
        Type::Inet
    }

    pub(super) fn pton(&mut self, e: &Expr, args: &[&Expr]) -> Type {
        self.argument_of("pton", Want::ConstStr, args[0]);
        let text = self.konst_str(args[0]).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let bytes: Vec<u8> = match text.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(a)) => a.octets().to_vec(),
            Ok(std::net::IpAddr::V6(a)) => a.octets().to_vec(),
            Err(_) => {
                let said = if text.contains(['.', ':']) {
                    format!("pton() expects a valid IPv4/IPv6 address, got {text}")
                } else {
                    format!("pton() expects an string argument of an IPv4/IPv6 address, got {text}")
                };
                self.say(
                    Diagnostic::error(args[0].span, format!("`{text}` is no IP address"))
                        .said_at(self.call, said),
                );
                vec![0; 4]
            }
        };
        let len = u32::try_from(bytes.len()).unwrap_or(4);
        self.resolve(e, Res::Str(bytes));
        Type::Array(Box::new(Type::U8), len)
    }

    pub(super) fn type_test(&mut self, name: &str, e: &Expr, arg: &Expr) -> Type {
        let ty = self.expr(arg);
        let yes = match name {
            "is_str" => matches!(ty, Type::Str { .. }),
            "is_ptr" => matches!(ty, Type::Ptr(_)),
            "is_array" => matches!(ty, Type::Array(..)),
            "is_integer" => matches!(ty, Type::Int { .. }),
            "is_unsigned_integer" => matches!(ty, Type::Int { signed: false, .. }),
            _ => self.is_folded(arg),
        };
        self.set_int(e, i128::from(yes), Type::Bool)
    }

    /// Whether this is a literal, or literals that operators make one of.
    fn is_folded(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Int(_)
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::Param(_)
            | ExprKind::ParamCount => true,
            ExprKind::Unary { expr, .. } => self.konst(e).is_some() && self.is_folded(expr),
            ExprKind::Binary { left, right, .. } => {
                let known = self.konst(e).is_some() || self.konst_str(e).is_some();
                known && self.is_folded(left) && self.is_folded(right)
            }
            ExprKind::Tuple(elems) => elems.iter().all(|x| self.is_folded(x)),
            _ => false,
        }
    }

    pub(super) fn probetype(&mut self, e: &Expr) -> Type {
        let mut kinds: Vec<&str> = self
            .points
            .iter()
            .filter_map(|p| points::provider(p.name.split(':').next().unwrap_or("")))
            .map(|p| p.probetype)
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        if let [only] = kinds[..] {
            return self.set_str(e, only.as_bytes());
        }
        let longest = kinds.iter().map(|k| k.len()).max().unwrap_or(0);
        Type::Str {
            size: u32::try_from(longest + 1).unwrap_or(1),
        }
    }

    /// `fail` is reached: that is the error.
    pub(super) fn fail(&mut self, e: &Expr, args: &[&Expr]) {
        let Some(format) = self.konst_str(args[0]) else {
            return;
        };
        let mut text = String::from_utf8_lossy(&format).into_owned();
        for arg in &args[1..] {
            let shown = match (self.konst(arg), self.konst_str(arg)) {
                (Some(n), _) => n.to_string(),
                (_, Some(s)) => String::from_utf8_lossy(&s).into_owned(),
                _ => {
                    self.error(arg.span, "arguments of `fail` are known at compile time");
                    return;
                }
            };
            if let Some(at) = text.find('%') {
                let len = text[at + 1..]
                    .find(|c: char| c.is_ascii_alphabetic() && !"lhzjtq".contains(c))
                    .map_or(1, |i| i + 2);
                text.replace_range(at..at + len, &shown);
            }
        }
        self.error(e.span, text);
    }
}

/// Whether an expression is a number as it is written.
fn is_literal(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Int(_) => true,
        ExprKind::Unary {
            op: UnOp::Neg,
            expr,
        } => is_literal(expr),
        _ => false,
    }
}
