//! Calls of builtins and functions: their number of arguments, and what each argument must be.

use super::{Checker, said, words};
use crate::spec::Type;
use crate::{
    lang::{
        ast::{Arg, Expr, ExprKind, Name},
        builtin::{self, Row, Want, Yield},
        checked::Res,
        diag::Diagnostic,
    },
    suggest,
};

impl Checker<'_> {
    /// A builtin without parentheses.
    pub(super) fn call_word(&mut self, e: &Expr, name: &Name) -> Type {
        if let Some(row) = builtin::row(&name.text)
            && !row.is_word()
            && row.refused.is_none()
        {
            self.say(
                Diagnostic::error(e.span, format!("`{}` is a function", row.name))
                    .help(format!("it is called as `{}`", row.signature)),
            );
            return Type::Void;
        }
        self.call(e, name, &[])
    }

    pub(super) fn call(&mut self, e: &Expr, name: &Name, args: &[Arg]) -> Type {
        let outer = std::mem::replace(&mut self.call, e.span);
        let ty = self.call_inside(e, name, args);
        self.call = outer;
        ty
    }

    fn call_inside(&mut self, e: &Expr, name: &Name, args: &[Arg]) -> Type {
        let Some(row) = builtin::row(&name.text) else {
            let names = builtin::ROWS.iter().map(|r| r.name);
            let help = suggest::did_you_mean(&name.text, names);
            self.say(
                Diagnostic::error(name.span, format!("unknown function `{}`", name.text))
                    .maybe_help(help)
                    .said_at(e.span, format!("Unknown function: '{}'", name.text)),
            );
            for arg in args {
                if let Arg::Expr(arg) = arg {
                    self.expr(arg);
                }
            }
            return Type::Void;
        };
        if row.name == "args" && self.in_tracepoints() {
            self.say(
                Diagnostic::error(
                    name.span,
                    "`args` of a tracepoint cannot be used as a whole",
                )
                .help("name an argument: `args.NAME`"),
            );
            return Type::Void;
        }
        if let Some(why) = row.refused {
            self.say(
                Diagnostic::error(name.span, format!("`{}` is not supported", name.text))
                    .label(why),
            );
            return Type::Void;
        }
        if row.needs_unsafe && !self.target.allow_unsafe {
            self.say(
                Diagnostic::error(name.span, format!("`{}` is unsafe", row.name))
                    .help("allow it with `--unsafe`")
                    .said_at(
                        e.span,
                        match row.name {
                            "signal" | "signal_thread" => format!(
                                "{}() is unsafe. To use you need the --unsafe flag",
                                row.name
                            ),
                            _ => format!(
                                "{}() is an unsafe function being used in safe mode",
                                row.name
                            ),
                        },
                    ),
            );
        }
        self.place(row, name);
        // bpftrace takes more arguments of `str` than it reads.
        let most = if row.name == "str" {
            usize::MAX
        } else {
            row.max
        };
        if args.len() < row.min || args.len() > most {
            let takes = match (row.min, row.max) {
                (0, 0) => "no arguments".to_string(),
                (a, b) if a == b => format!("{a} argument{}", if a == 1 { "" } else { "s" }),
                (a, b) if b < 100 => format!("{a} to {b} arguments"),
                (a, _) => format!("at least {a} argument{}", if a == 1 { "" } else { "s" }),
            };
            let (text, definition) = said::count(row, args.len());
            let mut diag = Diagnostic::error(
                e.span,
                format!("`{}` takes {takes}, {} given", row.name, args.len()),
            )
            .help(format!("it is `{}`", row.signature))
            .said(text);
            if let Some(text) = definition {
                diag = diag.said_more(e.span, text);
            }
            self.say(diag);
            return self.yields(row, e);
        }
        self.resolve(e, Res::Builtin(row.name));
        if let Some(index) = builtin::arg_index(&name.text) {
            return self.argument(e, index);
        }
        self.special(row, e, args)
    }

    pub(super) fn yields(&mut self, row: &Row, _e: &Expr) -> Type {
        match row.yields {
            Yield::Void | Yield::Special => Type::Void,
            Yield::Bool => Type::Bool,
            Yield::U8 => Type::U8,
            Yield::U32 => Type::U32,
            Yield::U64 => Type::U64,
            Yield::I32 => Type::Int {
                bits: 32,
                signed: true,
            },
            Yield::I64 => Type::I64,
            Yield::Comm => Type::Str { size: 16 },
        }
    }

    /// Checks the arguments against the row; only expressions.
    pub(super) fn plain_args(&mut self, row: &Row, args: &[&Expr]) -> Vec<Type> {
        let mut types = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            let want = row
                .args
                .get(i)
                .or(row.args.last())
                .copied()
                .unwrap_or(Want::Any);
            types.push(self.argument_of(row.name, want, arg));
        }
        types
    }

    pub(super) fn argument_of(&mut self, function: &str, want: Want, arg: &Expr) -> Type {
        let wrong = |ck: &mut Self, what: &str, ty: &Type| {
            let shown = words::a(ty, &ck.structs.defs);
            let text = said::argument(function, want, ty, &ck.plain(ty));
            ck.say(
                Diagnostic::error(
                    arg.span,
                    format!("`{function}` wants {what}, this is {shown}"),
                )
                .said_at(ck.call, text),
            );
        };
        match want {
            Want::Int | Want::ConstInt | Want::Ptr => {
                let ty = self.number_of(arg);
                let fine = matches!(
                    ty,
                    Type::Void | Type::Int { .. } | Type::Bool | Type::Enum { .. } | Type::Ptr(_)
                ) || want == Want::Ptr
                    && matches!(ty, Type::Array(..) | Type::Str { .. } | Type::Struct(_));
                if !fine {
                    let what = if want == Want::Ptr {
                        "a pointer"
                    } else {
                        "an integer"
                    };
                    wrong(self, what, &ty);
                } else if want == Want::ConstInt && self.konst(arg).is_none() && ty != Type::Void {
                    self.say(
                        Diagnostic::error(
                            arg.span,
                            format!("`{function}` wants a number known at compile time"),
                        )
                        .help("write a literal, a parameter like `$1`, or a constant")
                        .said_at(self.call, said::argument(function, want, &ty, "")),
                    );
                }
                ty
            }
            Want::Str => {
                let ty = self.value(arg);
                let fine = matches!(
                    ty,
                    Type::Void | Type::Str { .. } | Type::Ptr(_) | Type::Buf { .. }
                ) || matches!(&ty, Type::Array(elem, _) if matches!(**elem, Type::Int { bits: 8, .. }))
                    || self.as_string(arg);
                if !fine {
                    let shown = words::a(&ty, &self.structs.defs);
                    self.say(
                        Diagnostic::error(
                            arg.span,
                            format!("`{function}` wants a string, this is {shown}"),
                        )
                        .help("read the string that a number points to with `str(…)`")
                        .said_at(self.call, said::argument(function, want, &ty, "")),
                    );
                }
                self.types.get(arg.id.0 as usize).cloned().unwrap_or(ty)
            }
            Want::ConstStr => {
                let ty = self.text_of(arg);
                self.as_string(arg);
                if self.konst_str(arg).is_none() && ty != Type::Void {
                    self.say(
                        Diagnostic::error(arg.span, format!("`{function}` wants a string literal"))
                            .said_at(self.call, said::argument(function, want, &ty, "")),
                    );
                }
                ty
            }
            Want::Map => {
                self.map_arg(function, arg);
                Type::Void
            }
            Want::Word | Want::Type => Type::Void,
            Want::Any => self.value(arg),
        }
    }

    pub(super) fn const_u32(
        &mut self,
        arg: &Expr,
        what: &str,
        least: i128,
        most: i128,
    ) -> Option<u32> {
        let v = self.konst(arg)?;
        if v < least || v > most {
            self.error(
                arg.span,
                format!("{what} is {v}; it must be {least} to {most}"),
            );
            return None;
        }
        u32::try_from(v).ok()
    }

    pub(super) fn word(&self, arg: &Expr) -> Option<String> {
        match &arg.kind {
            ExprKind::Ident(word) => Some(word.clone()),
            _ => None,
        }
    }

    pub(super) fn choose(&mut self, arg: &Expr, what: &str, choices: &[(&str, i128)]) -> Type {
        let word = self.word(arg).unwrap_or_default();
        match choices.iter().find(|(name, _)| *name == word) {
            Some((_, n)) => {
                self.set_int(arg, *n, Type::U8);
            }
            None => {
                let names: Vec<&str> = choices.iter().map(|(n, _)| *n).collect();
                let said = match (what, &arg.kind) {
                    ("the clock", ExprKind::Ident(_)) => format!("Invalid timestamp mode: {word}"),
                    ("the clock", _) => {
                        "nsecs() only supports timestamp_mode arguments".to_string()
                    }
                    (_, ExprKind::Ident(_)) => {
                        format!("Invalid PID namespace mode: {word} (expects: curr_ns or init)")
                    }
                    _ => "pid() only supports curr_ns and init as the argument".to_string(),
                };
                self.say(
                    Diagnostic::error(arg.span, format!("{what} is one of {}", names.join(", ")))
                        .said(said),
                );
            }
        }
        Type::U64
    }
}
