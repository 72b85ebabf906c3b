//! Builtins and functions: where they may stand, what they take, what they yield.

use super::{Checker, words};
use crate::lang::{
    ast::{Arg, Expr, ExprKind, Name},
    builtin::{self, Row, Want, Where, Yield},
    checked::{MapId, Point, Res},
    diag::Diagnostic,
    points, suggest,
};
use crate::{
    span::Span,
    spec::{Agg, Arch, ArgLoc, Type},
};

/// Clocks of `nsecs` and their numbers.
const CLOCKS: &[(&str, i128)] = &[
    ("monotonic", 0),
    ("boot", 1),
    ("realtime", 2),
    ("tai", 3),
    ("sw_tai", 4),
];

/// Aggregations of `tseries` by number; 0 keeps the last value.
const SERIES: &[&str] = &["last", "avg", "max", "min", "sum"];

/// Frames of a stack where the script names no limit.
const STACK_DEPTH: u32 = 127;

impl Checker<'_> {
    /// A builtin without parentheses.
    pub(super) fn call_word(&mut self, e: &Expr, name: &Name) -> Type {
        if let Some(row) = builtin::row(&name.text) {
            if !row.is_word() && row.refused.is_none() {
                self.say(
                    Diagnostic::error(e.span, format!("`{}` is a function", row.name))
                        .help(format!("it is called as `{}`", row.signature)),
                );
                return Type::Void;
            }
        }
        self.call(e, name, &[])
    }

    pub(super) fn call(&mut self, e: &Expr, name: &Name, args: &[Arg]) -> Type {
        let Some(row) = builtin::row(&name.text) else {
            let names = builtin::ROWS.iter().map(|r| r.name);
            let help = suggest::did_you_mean(&name.text, names);
            self.say(
                Diagnostic::error(name.span, format!("unknown function `{}`", name.text))
                    .maybe_help(help),
            );
            for arg in args {
                if let Arg::Expr(arg) = arg {
                    self.expr(arg);
                }
            }
            return Type::Void;
        };
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
                    .help("allow it with `--unsafe`"),
            );
        }
        self.place(row, name);
        if args.len() < row.min || args.len() > row.max {
            let takes = match (row.min, row.max) {
                (0, 0) => "no arguments".to_string(),
                (a, b) if a == b => format!("{a} argument{}", if a == 1 { "" } else { "s" }),
                (a, b) if b < 100 => format!("{a} to {b} arguments"),
                (a, _) => format!("at least {a} argument{}", if a == 1 { "" } else { "s" }),
            };
            self.say(
                Diagnostic::error(
                    e.span,
                    format!("`{}` takes {takes}, {} given", row.name, args.len()),
                )
                .help(format!("it is `{}`", row.signature)),
            );
            return self.yields(row, e);
        }
        self.resolve(e, Res::Builtin(row.name));
        if let Some(index) = builtin::arg_index(&name.text) {
            return self.argument(e, index);
        }
        self.special(row, e, args)
    }

    fn yields(&mut self, row: &Row, _e: &Expr) -> Type {
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

    /// Whether all attach points of this probe have what the row needs.
    fn place(&mut self, row: &Row, name: &Name) {
        let fits = |p: &Point| match row.place {
            Where::Anywhere => true,
            Where::Arguments => matches!(p, Point::Usdt { .. } | Point::Uprobe { ret: false, .. }),
            Where::Return => matches!(p, Point::Uprobe { ret: true, .. }),
            Where::User => matches!(p, Point::Usdt { .. } | Point::Uprobe { .. }),
            Where::Registers | Where::Process => matches!(
                p,
                Point::Usdt { .. }
                    | Point::Uprobe { .. }
                    | Point::Profile(_)
                    | Point::Software(..)
                    | Point::Watch(..)
            ),
        };
        let Some(bad) = self.points.iter().find(|p| !fits(&p.point)) else {
            return;
        };
        let only = match row.place {
            Where::Anywhere => return,
            Where::Arguments => "`uprobe` and `usdt` probes have arguments",
            Where::Return => "only `uretprobe` has a return value",
            Where::User => "it belongs to `uprobe`, `uretprobe` and `usdt`",
            Where::Registers | Where::Process => {
                "it belongs to `uprobe`, `uretprobe`, `usdt`, `profile`, `software` and `watchpoint`"
            }
        };
        let diag = Diagnostic::error(
            name.span,
            format!("`{}` has no meaning in `{}`", name.text, bad.name),
        );
        self.say(diag.help(only));
    }

    /// `argN` at all sites of this probe.
    fn argument(&mut self, e: &Expr, index: u32) -> Type {
        self.resolve(e, Res::Arg(index));
        let registers = match self.target.arch {
            Arch::X86_64 => 6,
            Arch::Aarch64 => 8,
        };
        for point in self.points {
            match &point.point {
                Point::Uprobe { .. } if index >= registers => {
                    self.say(
                        Diagnostic::error(e.span, format!("`arg{index}` is not in a register"))
                            .help(format!(
                                "functions have `arg0` to `arg{}` there",
                                registers - 1
                            )),
                    );
                    return Type::I64;
                }
                Point::Usdt { binary, probe } => {
                    let found = self
                        .target
                        .binaries
                        .get(*binary)
                        .and_then(|b| b.usdt.get(*probe));
                    let Some(found) = found else { continue };
                    for site in &found.sites {
                        let Some(arg) = site.args.get(index as usize) else {
                            let count = site.args.len();
                            let has = match count {
                                0 => "no arguments".to_string(),
                                1 => "one argument, `arg0`".to_string(),
                                n => format!("{n} arguments, `arg0` to `arg{}`", n - 1),
                            };
                            self.error(
                                e.span,
                                format!("`{}:{}` has {has}", found.provider, found.name),
                            );
                            return Type::I64;
                        };
                        let why = match &arg.loc {
                            ArgLoc::Unreadable(why) => why.clone(),
                            _ if arg.float => "it is a floating-point number".to_string(),
                            _ => continue,
                        };
                        self.say(
                            Diagnostic::error(
                                e.span,
                                format!(
                                    "`arg{index}` of `{}:{}` cannot be read",
                                    found.provider, found.name
                                ),
                            )
                            .label(format!("operand `{}`: {why}", arg.text)),
                        );
                        return Type::I64;
                    }
                }
                _ => {}
            }
        }
        Type::I64
    }

    // --- arguments --------------------------------------------------------------------------------------------

    /// Checks the arguments against the row; only expressions.
    fn plain_args(&mut self, row: &Row, args: &[&Expr]) -> Vec<Type> {
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

    fn argument_of(&mut self, function: &str, want: Want, arg: &Expr) -> Type {
        let wrong = |ck: &mut Self, what: &str, ty: &Type| {
            let shown = words::a(ty, &ck.structs.defs);
            ck.error(
                arg.span,
                format!("`{function}` wants {what}, this is {shown}"),
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
                        .help("write a literal, a parameter like `$1`, or a constant"),
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
                        .help("read the string that a number points to with `str(…)`"),
                    );
                }
                self.types.get(arg.id.0 as usize).cloned().unwrap_or(ty)
            }
            Want::ConstStr => {
                let ty = self.value(arg);
                self.as_string(arg);
                if self.konst_str(arg).is_none() && ty != Type::Void {
                    self.error(arg.span, format!("`{function}` wants a string literal"));
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

    /// A map as a whole.
    fn map_arg(&mut self, function: &str, arg: &Expr) -> Option<MapId> {
        match &arg.kind {
            ExprKind::Map { name, key: None } => {
                let id = self.map_id(name, arg.span);
                self.resolve(arg, Res::Map(id));
                let ty = self.map_type(id);
                self.set(arg, ty);
                Some(id)
            }
            ExprKind::Map { name, key: Some(_) } => {
                self.say(
                    Diagnostic::error(arg.span, format!("`{function}` wants a whole map"))
                        .help(format!("write `{function}(@{name}, …)`")),
                );
                None
            }
            _ => {
                self.error(arg.span, format!("`{function}` wants a map"));
                None
            }
        }
    }

    /// A map with keys, and a key of it.
    fn map_and_key(&mut self, function: &str, map: &Expr, key: &Expr) -> Option<MapId> {
        let id = self.map_arg(function, map)?;
        let name = self.maps[id.0 as usize].name.clone();
        if self.maps[id.0 as usize].keyed == Some(false) {
            self.error(map.span, format!("`@{name}` has no keys"));
            return None;
        }
        self.maps[id.0 as usize].keyed = Some(true);
        self.give_key(id, key);
        Some(id)
    }

    fn const_u32(&mut self, arg: &Expr, what: &str, least: i128, most: i128) -> Option<u32> {
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

    fn word(&self, arg: &Expr) -> Option<String> {
        match &arg.kind {
            ExprKind::Ident(word) => Some(word.clone()),
            _ => None,
        }
    }

    fn choose(&mut self, arg: &Expr, what: &str, choices: &[(&str, i128)]) -> Type {
        let word = self.word(arg).unwrap_or_default();
        match choices.iter().find(|(name, _)| *name == word) {
            Some((_, n)) => {
                self.set_int(arg, *n, Type::U8);
            }
            None => {
                let names: Vec<&str> = choices.iter().map(|(n, _)| *n).collect();
                self.error(arg.span, format!("{what} is one of {}", names.join(", ")));
            }
        }
        Type::U64
    }

    // --- one function after the other -------------------------------------------------------------------------

    fn special(&mut self, row: &'static Row, e: &Expr, args: &[Arg]) -> Type {
        match row.name {
            "sizeof" => return self.sizeof(e, &args[0]),
            "offsetof" => return self.offsetof(e, args),
            "container_of" => return self.container_of(e, args),
            _ => {}
        }
        let mut list = Vec::new();
        for arg in args {
            match arg {
                Arg::Expr(arg) => list.push(arg),
                Arg::Type(ty) => {
                    self.error(ty.span, format!("`{}` takes values, not types", row.name));
                    return self.yields(row, e);
                }
            }
        }
        let args = list;
        match row.name {
            "printf" | "errorf" | "warnf" | "system" | "cat" => {
                self.format(row.name, e, args[0], &args[1..]);
                Type::Void
            }
            "fail" => {
                self.format(row.name, e, args[0], &args[1..]);
                self.fail(e, &args);
                Type::Void
            }
            "static_assert" => {
                self.plain_args(row, &args);
                match self.konst(args[0]) {
                    Some(0) => {
                        let text = self.konst_str(args[1]).unwrap_or_default();
                        self.error(e.span, String::from_utf8_lossy(&text).into_owned());
                    }
                    Some(_) => {}
                    None => self.error(args[0].span, "condition is not known at compile time"),
                }
                Type::Void
            }
            "assert_str" => {
                let ty = self.value(args[0]);
                if !matches!(ty, Type::Void | Type::Str { .. }) {
                    let shown = words::a(&ty, &self.structs.defs);
                    self.error(
                        args[0].span,
                        format!("this must be a string, it is {shown}"),
                    );
                }
                Type::Void
            }
            "print" => self.print(e, &args),
            "clear" | "zero" => {
                if let Some(id) = self.map_arg(row.name, args[0]) {
                    let ty = self.map_type(id);
                    let number = matches!(
                        ty,
                        Type::Void | Type::Int { .. } | Type::Agg(_) | Type::Bool
                    );
                    if row.name == "zero" && !number {
                        let shown = words::a(&ty, &self.structs.defs);
                        self.error(
                            args[0].span,
                            format!("`zero` works on numbers, this map holds {shown}"),
                        );
                    }
                }
                Type::Void
            }
            "delete" => self.delete(&args),
            "has_key" => {
                self.map_and_key("has_key", args[0], args[1]);
                Type::Bool
            }
            "find" => {
                if let Some(id) = self.map_and_key("find", args[0], args[1]) {
                    let ty = match self.map_type(id) {
                        Type::Agg(agg) => words::agg_number(&agg).unwrap_or(Type::Void),
                        ty => ty,
                    };
                    self.find_result(args[2], &ty);
                }
                Type::Bool
            }
            "len" => self.len(&args),
            "count" | "sum" | "avg" | "min" | "max" | "stats" | "hist" | "lhist" | "tseries" => {
                self.aggregation(row, &args)
            }
            "nsecs" => {
                if let Some(arg) = args.first() {
                    self.choose(arg, "the clock", CLOCKS);
                }
                Type::U64
            }
            "pid" | "tid" => {
                if let Some(arg) = args.first() {
                    self.choose(arg, "the namespace", &[("curr_ns", 0), ("init", 1)]);
                }
                Type::U32
            }
            "ustack" | "kstack" => self.stack(row, &args),
            "str" => self.str(e, &args),
            "buf" => self.buf(&args),
            "getopt" => self.getopt(e, &args),
            "signal" | "signal_thread" => {
                let ty = self.value(args[0]);
                if let Some(text) = self.konst_str(args[0]) {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    match points::signal(&text) {
                        Some(n) => {
                            self.set_int(args[0], i128::from(n), Type::U32);
                        }
                        None => self.error(args[0].span, format!("unknown signal `{text}`")),
                    }
                } else if !matches!(ty, Type::Void | Type::Int { .. } | Type::Enum { .. }) {
                    let shown = words::a(&ty, &self.structs.defs);
                    self.error(
                        args[0].span,
                        format!("`{}` wants a signal, this is {shown}", row.name),
                    );
                }
                Type::Void
            }
            "ntop" => self.ntop(&args),
            "pton" => self.pton(e, &args),
            "is_str"
            | "is_ptr"
            | "is_array"
            | "is_integer"
            | "is_unsigned_integer"
            | "is_literal" => self.type_test(row.name, e, args[0]),
            "exit" => {
                self.plain_args(row, &args);
                Type::Void
            }
            "strncmp" | "strcontains" | "strstr" => {
                let types = self.plain_args(row, &args);
                for (ty, arg) in types.iter().zip(&args) {
                    if let Type::Ptr(_) = ty {
                        let what = "a string; read it with `str(…)`";
                        self.error(arg.span, format!("`{}` wants {what}", row.name));
                    }
                }
                self.yields(row, e)
            }
            "strlen" | "strcap" => {
                let ty = self.value(args[0]);
                if self.as_string(args[0]) || matches!(ty, Type::Str { .. }) {
                    if row.name == "strcap" {
                        if let Some(Type::Str { size }) = self.types.get(args[0].id.0 as usize) {
                            let cap = i128::from(size.saturating_sub(1));
                            return self.set_int(e, cap, Type::I64);
                        }
                    }
                } else if !matches!(&ty, Type::Void | Type::Ptr(_) | Type::Array(..)) {
                    let shown = words::a(&ty, &self.structs.defs);
                    self.error(
                        args[0].span,
                        format!("`{}` wants a string, this is {shown}", row.name),
                    );
                }
                self.yields(row, e)
            }
            "default_str_length" => {
                let n = i128::from(self.config.max_strlen);
                self.set_int(e, n, Type::U64)
            }
            "ncpus" => {
                let n = i128::from(self.target.cpus);
                self.set_int(e, n, Type::U64)
            }
            "cpid" => {
                if self.target.cpid.is_none() && self.last {
                    self.say(
                        Diagnostic::warning(e.span, "`cpid` is 0 without a `-c` command")
                            .help("test for it with `has_cpid`"),
                    );
                }
                let n = i128::from(self.target.cpid.unwrap_or(0));
                self.set_int(e, n, Type::U32)
            }
            "has_cpid" => {
                let on = i128::from(self.target.cpid.is_some());
                self.set_int(e, on, Type::Bool)
            }
            "probe" => {
                let longest = self.points.iter().map(|p| p.name.len()).max().unwrap_or(0);
                Type::Str {
                    size: u32::try_from(longest + 1).unwrap_or(1),
                }
            }
            "probetype" => self.probetype(e),
            "config" => {
                self.say(
                    Diagnostic::error(e.span, "`config` as a whole is not supported")
                        .help("name the variable: `config.max_strlen`"),
                );
                Type::Void
            }
            _ => {
                let types = self.plain_args(row, &args);
                self.by_rule(row, e, &args, &types)
            }
        }
    }

    /// Functions whose type follows from those of their arguments.
    fn by_rule(&mut self, row: &Row, e: &Expr, args: &[&Expr], types: &[Type]) -> Type {
        match row.name {
            "bswap" => match types.first() {
                Some(Type::Int { bits, .. }) if self.literal(args[0]).is_none() => Type::Int {
                    bits: *bits,
                    signed: false,
                },
                _ => Type::U64,
            },
            "macaddr" => Type::Mac,
            "usym" | "func" => Type::Sym { user: true },
            "ksym" => Type::Sym { user: false },
            "username" => Type::Username,
            "strerror" => Type::Errno,
            "signal_name" => Type::Named { table: 0 },
            "syscall_name" => Type::Named { table: 1 },
            "cgroup_path" => Type::CgroupPath,
            "kptr" | "uptr" => types.first().cloned().unwrap_or(Type::Void),
            "strftime" => {
                let format = self.konst_str(args[0]).unwrap_or_default();
                if self.konst(args[1]).is_some_and(|v| v < 0) {
                    self.error(args[1].span, "a time cannot be negative");
                }
                Type::Strftime {
                    format: String::from_utf8_lossy(&format).into_owned(),
                    clock: self.clock_of(args[1]),
                }
            }
            "str_concat" => {
                let size = |t: Option<&Type>| match t {
                    Some(Type::Str { size }) => *size,
                    _ => self.config.max_strlen,
                };
                let sum = size(types.first()).saturating_add(size(types.get(1)));
                Type::Str {
                    size: sum.saturating_sub(1),
                }
            }
            "comm" if !args.is_empty() => {
                self.error(e.span, "`comm` of another process is not supported");
                Type::Str { size: 16 }
            }
            "memcmp" => {
                for (ty, arg) in types.iter().zip(args) {
                    let fine = matches!(
                        ty,
                        Type::Void
                            | Type::Str { .. }
                            | Type::Buf { .. }
                            | Type::Array(..)
                            | Type::Ptr(_)
                            | Type::Int { .. }
                    );
                    if !fine {
                        let shown = words::a(ty, &self.structs.defs);
                        self.error(arg.span, format!("`memcmp` wants bytes, this is {shown}"));
                    }
                }
                self.yields(row, e)
            }
            _ => self.yields(row, e),
        }
    }

    fn clock_of(&self, e: &Expr) -> u8 {
        if let ExprKind::Call { name, args } = &e.kind {
            if let ("nsecs", Some(Arg::Expr(arg))) = (name.text.as_str(), args.first()) {
                if let Some(n) = self.konst(arg) {
                    return u8::try_from(n.min(3)).unwrap_or(1);
                }
            }
        }
        1
    }

    fn print(&mut self, e: &Expr, args: &[&Expr]) -> Type {
        if let ExprKind::Map { name, key: None } = &args[0].kind {
            let id = self.map_id(name, args[0].span);
            self.resolve(args[0], Res::Map(id));
            let ty = self.map_type(id);
            self.set(args[0], ty);
            for arg in &args[1..] {
                self.argument_of("print", Want::ConstInt, arg);
                if self.konst(arg).is_some_and(|v| v < 0) {
                    self.error(arg.span, "this cannot be negative");
                }
            }
            return Type::Void;
        }
        if args.len() > 1 {
            self.error(e.span, "only whole maps are printed with `top` and `div`");
        }
        let ty = self.value(args[0]);
        if let (Type::Agg(_), false) = (&ty, matches!(args[0].kind, ExprKind::Map { .. })) {
            self.error(args[0].span, "an aggregation is printed from its map");
        }
        Type::Void
    }

    fn delete(&mut self, args: &[&Expr]) -> Type {
        match args {
            [map, key] => {
                if let ExprKind::Map { key: Some(_), .. } = map.kind {
                    self.say(
                        Diagnostic::error(map.span, "`delete` wants a whole map and one key")
                            .help("delete keys one by one: `delete(@x, key);`"),
                    );
                } else {
                    self.map_and_key("delete", map, key);
                }
            }
            [only] => match &only.kind {
                ExprKind::Map { key: Some(_), .. } => {
                    self.expr(only);
                }
                ExprKind::Map { name, key: None } => {
                    if let Some(id) = self.map_arg("delete", only) {
                        if self.maps[id.0 as usize].keyed == Some(true) {
                            self.say(
                                Diagnostic::error(
                                    only.span,
                                    format!("`@{name}` has keys, none is named"),
                                )
                                .help(format!("write `delete(@{name}, key)`, or `clear(@{name})`")),
                            );
                        } else {
                            self.maps[id.0 as usize].keyed = Some(false);
                        }
                    }
                }
                _ => self.error(only.span, "`delete` wants a map"),
            },
            _ => {}
        }
        Type::Bool
    }

    /// The variable that `find` writes to: declared before, or here.
    fn find_result(&mut self, var: &Expr, ty: &Type) {
        let ExprKind::Var(name) = &var.kind else {
            self.error(var.span, "`find` wants a variable for the value");
            return;
        };
        let id = match self.lookup(name) {
            Some(id) => id,
            None => self.declare_var(var, name),
        };
        self.resolve(var, Res::Var(id));
        self.give_var(id, name, ty, None, var);
        let ty = self.vars[id.0 as usize].ty.clone().unwrap_or(Type::Void);
        self.set(var, ty);
    }

    fn len(&mut self, args: &[&Expr]) -> Type {
        if let ExprKind::Map { key: None, .. } = args[0].kind {
            if let Some(id) = self.map_arg("len", args[0]) {
                let stack = matches!(self.map_type(id), Type::Stack { .. });
                if self.maps[id.0 as usize].keyed == Some(false) && !stack {
                    self.error(args[0].span, "`len` counts keys, this map has none");
                }
            }
            return Type::I64;
        }
        let ty = self.value(args[0]);
        if !matches!(ty, Type::Void | Type::Stack { .. }) {
            let shown = words::a(&ty, &self.structs.defs);
            self.error(
                args[0].span,
                format!("`len` wants a map or a stack, this is {shown}"),
            );
        }
        Type::I64
    }

    fn aggregation(&mut self, row: &Row, args: &[&Expr]) -> Type {
        let types = self.plain_args(row, args);
        let signed = match types.first() {
            Some(Type::Int { signed, .. }) => *signed,
            Some(Type::Ptr(_)) => false,
            _ => true,
        };
        let number = |ck: &Self, i: usize| args.get(i).and_then(|a| ck.konst(a));
        let to_i64 = |v: i128| i64::try_from(v).unwrap_or(i64::MAX);
        Type::Agg(match row.name {
            "count" => Agg::Count,
            "sum" => Agg::Sum { signed },
            "avg" => Agg::Avg { signed },
            "min" => Agg::Min { signed },
            "max" => Agg::Max { signed },
            "stats" => Agg::Stats { signed },
            "hist" => {
                let bits = match args.get(1) {
                    Some(k) => self.const_u32(k, "precision of `hist`", 0, 5).unwrap_or(0),
                    None => 0,
                };
                Agg::Hist {
                    bits: u8::try_from(bits).unwrap_or(0),
                }
            }
            "lhist" => {
                let (Some(min), Some(max), Some(step)) =
                    (number(self, 1), number(self, 2), number(self, 3))
                else {
                    return Type::Void;
                };
                if step <= 0 || min >= max {
                    let what = if step <= 0 {
                        "a positive step"
                    } else {
                        "a range that is not empty"
                    };
                    self.error(
                        args[0].span.to(args[3].span),
                        format!("`lhist` wants {what}"),
                    );
                    return Type::Void;
                }
                if (max - min + step - 1) / step > 1000 || i64::try_from(max - min + step).is_err()
                {
                    self.say(
                        Diagnostic::error(
                            args[1].span.to(args[3].span),
                            format!(
                                "`lhist` of {} buckets, more than 1000",
                                (max - min + step - 1) / step
                            ),
                        )
                        .help("take a larger step or a smaller range"),
                    );
                    return Type::Void;
                }
                Agg::Lhist {
                    min: to_i64(min),
                    max: to_i64(max),
                    step: to_i64(step),
                }
            }
            _ => {
                let (Some(interval), Some(buckets)) = (number(self, 1), number(self, 2)) else {
                    return Type::Void;
                };
                if interval <= 0 {
                    self.error(args[1].span, "`tseries` wants a positive interval");
                    return Type::Void;
                }
                if !(1..=1_000_000).contains(&buckets) {
                    self.error(args[2].span, "`tseries` wants 1 to 1000000 intervals");
                    return Type::Void;
                }
                let agg = match args.get(3).and_then(|a| self.konst_str(a)) {
                    None => 0,
                    Some(text) => {
                        let text = String::from_utf8_lossy(&text).into_owned();
                        match SERIES.iter().skip(1).position(|s| *s == text) {
                            Some(i) => i + 1,
                            None => {
                                let known = SERIES[1..].join(", ");
                                self.error(args[3].span, format!("`tseries` knows {known}"));
                                0
                            }
                        }
                    }
                };
                Agg::Tseries {
                    agg: u8::try_from(agg).unwrap_or(0),
                    interval_ns: u64::try_from(interval).unwrap_or(u64::MAX),
                    buckets: u32::try_from(buckets).unwrap_or(1),
                    signed,
                }
            }
        })
    }

    fn stack(&mut self, row: &Row, args: &[&Expr]) -> Type {
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
                                .maybe_help(help),
                        );
                        continue;
                    }
                    None => {}
                }
            }
            self.argument_of(row.name, Want::ConstInt, arg);
            if let Some(n) = self.const_u32(arg, "the limit of a stack", 1, 127) {
                depth = n;
            }
        }
        Type::Stack {
            user: row.name == "ustack",
            mode,
            depth,
        }
    }

    fn str(&mut self, e: &Expr, args: &[&Expr]) -> Type {
        let most = self.config.max_strlen;
        let mut size = most;
        if let Some(length) = args.get(1) {
            self.argument_of("str", Want::Int, length);
            if let Some(n) = self.konst(length) {
                if n < 1 {
                    self.error(length.span, format!("length of `str` is {n}"));
                }
                size = u32::try_from(n).unwrap_or(most).clamp(1, most);
            }
        }
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
            let cut = rest.len().min(size.saturating_sub(1) as usize);
            let kept = rest[..cut].to_vec();
            return self.set_str(e, &kept);
        }
        let ty = self.value(args[0]);
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
                self.error(
                    args[0].span,
                    format!("`str` wants a pointer, this is {shown}"),
                );
                Type::Str { size }
            }
        }
    }

    fn buf(&mut self, args: &[&Expr]) -> Type {
        let most = self.config.max_strlen;
        let ty = self.number_of(args[0]);
        let own = match &ty {
            Type::Array(elem, len) => Some(elem.size(&self.structs.defs).saturating_mul(*len)),
            Type::Str { size } => Some(*size),
            Type::Struct(_) => Some(ty.size(&self.structs.defs)),
            Type::Int { .. } | Type::Ptr(_) | Type::Void | Type::Buf { .. } => None,
            _ => {
                let shown = words::a(&ty, &self.structs.defs);
                self.error(
                    args[0].span,
                    format!("`buf` wants a pointer or array, this is {shown}"),
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
                        self.error(length.span, format!("length of `buf` is {n}"));
                    }
                    size = u32::try_from(n).unwrap_or(most);
                } else {
                    size = most;
                }
            }
            None if own.is_none() && ty != Type::Void => {
                self.error(args[0].span, "`buf` of a pointer wants a length");
            }
            None => {}
        }
        Type::Buf {
            size: size.clamp(1, most),
        }
    }

    fn getopt(&mut self, e: &Expr, args: &[&Expr]) -> Type {
        self.argument_of("getopt", Want::ConstStr, args[0]);
        let name = self.konst_str(args[0]).unwrap_or_default();
        let name = String::from_utf8_lossy(&name).into_owned();
        let given = self
            .target
            .named
            .iter()
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
                        self.error(e.span, text);
                        0
                    }
                };
                self.set_int(e, value, Type::Bool)
            }
            Type::Int { .. } => {
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
                            self.error(e.span, format!("`--{name}` wants a number, not `{text}`"));
                        }
                        n.map(|n| sign * i128::from(n))
                    }
                };
                match value {
                    Some(value) => self.set_literal(e, value),
                    None => {
                        if args.get(1).is_some_and(|d| self.konst(d).is_none()) {
                            self.error(e.span, "the default of `getopt` is known at compile time");
                        }
                        Type::I64
                    }
                }
            }
            Type::Str { .. } => {
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

    fn ntop(&mut self, args: &[&Expr]) -> Type {
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
            self.error(
                args[0].span,
                format!("`ntop` wants an integer or 4 or 16 bytes, this is {shown}"),
            );
        }
        Type::Inet
    }

    fn pton(&mut self, e: &Expr, args: &[&Expr]) -> Type {
        self.argument_of("pton", Want::ConstStr, args[0]);
        let text = self.konst_str(args[0]).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let bytes: Vec<u8> = match text.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(a)) => a.octets().to_vec(),
            Ok(std::net::IpAddr::V6(a)) => a.octets().to_vec(),
            Err(_) => {
                self.error(args[0].span, format!("`{text}` is no IP address"));
                vec![0; 4]
            }
        };
        let len = u32::try_from(bytes.len()).unwrap_or(4);
        self.resolve(e, Res::Str(bytes));
        Type::Array(Box::new(Type::U8), len)
    }

    fn type_test(&mut self, name: &str, e: &Expr, arg: &Expr) -> Type {
        let ty = self.expr(arg);
        let yes = match name {
            "is_str" => matches!(ty, Type::Str { .. }),
            "is_ptr" => matches!(ty, Type::Ptr(_)),
            "is_array" => matches!(ty, Type::Array(..)),
            "is_integer" => matches!(ty, Type::Int { .. }),
            "is_unsigned_integer" => matches!(ty, Type::Int { signed: false, .. }),
            _ => matches!(
                arg.kind,
                ExprKind::Int(_) | ExprKind::Bool(_) | ExprKind::Str(_) | ExprKind::Param(_)
            ),
        };
        self.set_int(e, i128::from(yes), Type::Bool)
    }

    fn probetype(&mut self, e: &Expr) -> Type {
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
    fn fail(&mut self, e: &Expr, args: &[&Expr]) {
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

    // --- types as arguments -----------------------------------------------------------------------------------

    /// The type of `sizeof`'s and `offsetof`'s first argument.
    fn type_arg(&mut self, arg: &Arg) -> Option<Type> {
        match arg {
            Arg::Expr(Expr {
                kind: ExprKind::Type(ty),
                ..
            }) => self.written(ty),
            Arg::Expr(expr) => match self.value(expr) {
                Type::Void => None,
                ty => Some(ty),
            },
            Arg::Type(ty) => self.written(ty),
        }
    }

    /// The type of a builtin's or enumerator's value.
    pub(super) fn named_value(&mut self, name: &str, span: Span) -> Option<Type> {
        if let Some((_, tag)) = self.structs.values.get(name) {
            return Some(self.structs.enum_type(tag));
        }
        // Numbered beyond the tree: its type is looked at here and nowhere else.
        let probe = Expr {
            id: crate::lang::ast::ExprId(u32::MAX),
            kind: ExprKind::Ident(name.to_string()),
            span,
        };
        match self.expr(&probe) {
            Type::Void => None,
            ty => Some(ty),
        }
    }

    fn sizeof(&mut self, e: &Expr, arg: &Arg) -> Type {
        match self.type_arg(arg) {
            Some(ty) => {
                if let Type::Struct(id) = ty {
                    if !self.structs.is_complete(id) {
                        let shown = words::name(&ty, &self.structs.defs);
                        self.error(e.span, format!("`{shown}` is not defined"));
                    }
                }
                let size = i128::from(ty.size(&self.structs.defs));
                self.set_int(e, size, Type::U64)
            }
            None => Type::U64,
        }
    }

    fn offsetof(&mut self, e: &Expr, args: &[Arg]) -> Type {
        let [first, Arg::Expr(path)] = args else {
            return Type::U64;
        };
        let Some(ty) = self.type_arg(first) else {
            return Type::U64;
        };
        let mut names = Vec::new();
        if !member_path(path, &mut names) {
            self.error(
                path.span,
                "`offsetof` wants a member: `offsetof(struct x, a.b)`",
            );
            return Type::U64;
        }
        match self.member_offset(ty, &names) {
            Some(offset) => self.set_int(e, i128::from(offset), Type::U64),
            None => Type::U64,
        }
    }

    fn member_offset(&mut self, mut ty: Type, names: &[(String, Span)]) -> Option<u32> {
        let mut at = 0;
        for (name, span) in names {
            if let Type::Ptr(inner) = ty {
                ty = *inner;
            }
            let Type::Struct(id) = ty else {
                let shown = words::a(&ty, &self.structs.defs);
                self.error(*span, format!("member `{name}` of {shown}, which has none"));
                return None;
            };
            match self.structs.member(id, name) {
                Some((_, _, Some(_))) => {
                    self.error(
                        *span,
                        format!("`{name}` is a bit-field, which has no offset"),
                    );
                    return None;
                }
                Some((offset, inner, None)) => {
                    at += offset;
                    ty = inner;
                }
                None => {
                    let shown = words::name(&Type::Struct(id), &self.structs.defs);
                    let help = suggest::did_you_mean(name, self.structs.member_names(id));
                    self.say(
                        Diagnostic::error(*span, format!("`{shown}` has no member `{name}`"))
                            .maybe_help(help),
                    );
                    return None;
                }
            }
        }
        Some(at)
    }

    fn container_of(&mut self, e: &Expr, args: &[Arg]) -> Type {
        let [Arg::Expr(ptr), ty, Arg::Expr(member)] = args else {
            self.error(
                e.span,
                "`container_of` is `container_of(ptr, struct x, member)`",
            );
            return Type::Void;
        };
        self.argument_of("container_of", Want::Ptr, ptr);
        let Some(ty) = self.type_arg(ty) else {
            return Type::Void;
        };
        let mut names = Vec::new();
        if !member_path(member, &mut names) {
            self.error(member.span, "`container_of` wants a member's name");
            return Type::Void;
        }
        if let Some(offset) = self.member_offset(ty.clone(), &names) {
            self.set_int(member, i128::from(offset), Type::U64);
        }
        Type::Ptr(Box::new(ty))
    }
}

/// `a.b.c` as names.
fn member_path(e: &Expr, out: &mut Vec<(String, Span)>) -> bool {
    match &e.kind {
        ExprKind::Ident(name) => {
            out.push((name.clone(), e.span));
            true
        }
        ExprKind::Member { base, name } => {
            let fine = member_path(base, out);
            out.push((name.text.clone(), name.span));
            fine
        }
        _ => false,
    }
}
