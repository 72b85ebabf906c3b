//! What each function makes of its arguments.

use super::{Checker, said, words};
use crate::btf::Kind;
use crate::lang::{
    ast::{Arg, Expr},
    builtin::{Row, Want},
    checked::{Point, Res},
    diag::Diagnostic,
    points,
};
use crate::spec::Type;

/// Clocks of `nsecs` and their numbers.
const CLOCKS: &[(&str, i128)] = &[
    ("monotonic", 0),
    ("boot", 1),
    ("realtime", 2),
    ("tai", 3),
    ("sw_tai", 4),
];

impl Checker<'_> {
    pub(super) fn special(&mut self, row: &'static Row, e: &Expr, args: &[Arg]) -> Type {
        match row.name {
            "sizeof" => return self.sizeof(e, &args[0]),
            "offsetof" => return self.offsetof(e, args),
            "container_of" => return self.container_of(e, args),
            "typeinfo" => return self.typeinfo(e, &args[0]),
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
                if self.unreached == 0 {
                    self.fail(e, &args);
                }
                Type::Void
            }
            "comptime" => {
                let errors = self.diags.len();
                let ty = self.value(args[0]);
                match self.res.get(&args[0].id).cloned() {
                    Some(known @ (Res::Int(_) | Res::Str(_) | Res::Record(_))) => {
                        if let Some(range) = self.literal(args[0]) {
                            self.literals.insert(e.id, range);
                        }
                        self.resolve(e, known);
                    }
                    _ if ty == Type::Void || self.diags.len() > errors => {}
                    _ => self.say(
                        Diagnostic::error(args[0].span, "this is not known at compile time")
                            .said_at(e.span, "Unable to resolve comptime expression"),
                    ),
                }
                ty
            }
            "static_assert" => {
                self.plain_args(row, &args);
                match self.konst(args[0]) {
                    Some(0) => {
                        let text = self.konst_str(args[1]).unwrap_or_default();
                        self.error(e.span, String::from_utf8_lossy(&text).into_owned());
                    }
                    Some(_) => {}
                    None => self.say(
                        Diagnostic::error(args[0].span, "condition is not known at compile time")
                            .said_at(e.span, "Unable to resolve comptime expression"),
                    ),
                }
                self.resolve(e, Res::Int(0));
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
                self.resolve(e, Res::Int(0));
                Type::Void
            }
            "print" => self.print(e, &args),
            "clear" | "zero" => {
                self.map_arg(row.name, args[0]);
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
                if row.name == "tseries" {
                    self.unstable(e, "tseries", self.config.unstable_tseries);
                }
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
            "dw_ustack" => {
                self.walked_stack(e);
                self.stack(row, &args)
            }
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
                        None => self.say(
                            Diagnostic::error(args[0].span, format!("unknown signal `{text}`"))
                                .said_at(e.span, format!("Invalid string for signal: {text}")),
                        ),
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
                if self.callbacks > 0 {
                    self.say(
                        Diagnostic::error(
                            e.span,
                            "`exit()` inside of `for`, which bpftrace refuses",
                        )
                        .help("set a variable, `break`, and exit behind the loop")
                        .said("'return' statement is not allowed in a for-loop"),
                    );
                }
                self.plain_args(row, &args);
                Type::Void
            }
            "strncmp" | "strcontains" | "strstr" => {
                let types = self.plain_args(row, &args);
                if row.name == "strncmp" && self.konst(args[2]).is_some_and(|n| n < 0) {
                    self.say(
                        Diagnostic::error(args[2].span, "`strncmp` of a negative length")
                            .said_at(self.call, said::STRNCMP),
                    );
                }
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
                    if row.name == "strcap"
                        && let Some(Type::Str { size }) = self.types.get(args[0].id.0 as usize)
                    {
                        let cap = i128::from(*size);
                        return self.set_int(e, cap, Type::I64);
                    }
                } else if let ("strcap", Type::Array(..)) = (row.name, &ty) {
                    let cap = i128::from(ty.size(&self.structs.defs));
                    return self.set_int(e, cap, Type::I64);
                } else if !matches!(&ty, Type::Void | Type::Ptr(_) | Type::Array(..)) {
                    let shown = words::a(&ty, &self.structs.defs);
                    self.say(
                        Diagnostic::error(
                            args[0].span,
                            format!("`{}` wants a string, this is {shown}", row.name),
                        )
                        .said("string-like values must be either strings, arrays or pointers"),
                    );
                }
                self.yields(row, e)
            }
            "default_str_length" => {
                let n = i128::from(self.config.max_strlen);
                self.set_int(e, n, Type::U64)
            }
            // The tracer itself runs `begin` and `end`.
            "usermode"
                if self
                    .points
                    .iter()
                    .all(|p| matches!(p.point, Point::Begin | Point::End)) =>
            {
                self.set_int(e, 1, Type::U8)
            }
            "ncpus" => {
                let n = i128::from(self.target.cpus);
                self.set_int(e, n, Type::U64)
            }
            "cpid" => {
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
            "config" => self.config_record(e),
            _ => {
                let types = self.plain_args(row, &args);
                self.by_rule(row, e, &args, &types)
            }
        }
    }

    /// Functions whose type follows from those of their arguments.
    pub(super) fn by_rule(&mut self, row: &Row, e: &Expr, args: &[&Expr], types: &[Type]) -> Type {
        match row.name {
            "bswap" => match types.first() {
                Some(Type::Int { bits, .. })
                    if self.literal(args[0]).is_none_or(|(least, _)| least < 0) =>
                {
                    Type::Int {
                        bits: *bits,
                        signed: false,
                    }
                }
                _ => Type::U64,
            },
            "macaddr" => {
                if let Some(ty @ (Type::Tuple(_) | Type::Record(_))) = types.first() {
                    let said = said::argument("macaddr", Want::Ptr, ty, "");
                    self.say(
                        Diagnostic::error(args[0].span, "`macaddr` wants six bytes")
                            .said_at(self.call, said),
                    );
                }
                Type::Mac
            }
            "hash256" => Type::Hash,
            "btc" => Type::Named { table: 2 },
            "date" => Type::Strftime {
                format: "%Y-%m-%d %H:%M:%S".to_string(),
                clock: 2,
            },
            "func" => Type::Sym {
                user: !self.points.iter().any(|p| p.point.is_kernel()),
            },
            "usym" => Type::Sym { user: true },
            "ksym" => Type::Sym { user: false },
            "curtask" => match self.structs.kernel_type("struct", "task_struct") {
                Some(task) => Type::Ptr(Box::new(task)),
                None => Type::U64,
            },
            "ctx" => self.iterator_context(),
            "path" => {
                let most = self.config.max_strlen;
                let size = match args.get(1) {
                    Some(arg) => self.const_u32(arg, "the size of a path", 1, i128::from(most)),
                    None => None,
                };
                Type::Str {
                    size: size.unwrap_or(most),
                }
            }
            "kaddr" => {
                let name = self.konst_str(args[0]).unwrap_or_default();
                let name = String::from_utf8_lossy(&name).into_owned();
                match self.target.kernel.symbol(&name) {
                    Some(address) => self.set_int(e, i128::from(address), Type::U64),
                    None => {
                        self.say(
                            Diagnostic::error(
                                args[0].span,
                                format!("the kernel has no symbol `{name}`"),
                            )
                            .said_at(e.span, format!("Failed to resolve kernel symbol: {name}"))
                            .help(
                                "its symbols are in /proc/kallsyms, which shows addresses to root",
                            ),
                        );
                        Type::U64
                    }
                }
            }
            "cgroupid" => {
                let path = self.konst_str(args[0]).unwrap_or_default();
                let path = String::from_utf8_lossy(&path).into_owned();
                let mut known = self.target.kernel.cgroups.iter();
                match known.find(|(of, _)| *of == path).map(|(_, id)| id.clone()) {
                    Some(Ok(id)) => self.set_int(e, i128::from(id), Type::U64),
                    other => {
                        let why = other.and_then(Result::err);
                        self.say(
                            Diagnostic::error(args[0].span, format!("no cgroup at `{path}`"))
                                .maybe_help(why),
                        );
                        Type::U64
                    }
                }
            }
            "kfunc_exist" => {
                let name = self.konst_str(args[0]).unwrap_or_default();
                let name = String::from_utf8_lossy(&name).into_owned();
                let btf = self.structs.kernel.as_ref();
                let there = btf.is_some_and(|btf| btf.find(&name, &[Kind::Func]).is_some());
                self.set_int(e, i128::from(there), Type::Bool)
            }
            "username" => Type::Username,
            "strerror" => Type::Errno,
            "signal_name" => Type::Named { table: 0 },
            "syscall_name" => Type::Named { table: 1 },
            "cgroup_path" => {
                let filter = args.get(1).and_then(|a| self.konst_str(a));
                let filter = String::from_utf8_lossy(&filter.unwrap_or_default()).into_owned();
                Type::CgroupPath { filter }
            }
            "kptr" | "uptr" if matches!(types.first(), Some(Type::Str { .. })) => {
                let ty = &types[0];
                let said = said::argument(row.name, Want::Ptr, ty, "");
                self.say(
                    Diagnostic::error(args[0].span, format!("`{}` wants a pointer", row.name))
                        .said_at(self.call, said),
                );
                Type::Void
            }
            "kptr" | "uptr" => types.first().cloned().unwrap_or(Type::Void),
            "strftime" => {
                let format = self.konst_str(args[0]).unwrap_or_default();
                if self.konst(args[1]).is_some_and(|v| v < 0) {
                    self.say(
                        Diagnostic::error(args[1].span, "a time cannot be negative")
                            .said_at(self.call, "strftime() does not accept negative timestamps"),
                    );
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
                            | Type::Tuple(_)
                            | Type::Record(_)
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
}
