//! Functions on maps: printing, deleting, finding, counting, aggregating.

use super::{Checker, said, words};
use crate::lang::{
    ast::{Expr, ExprKind},
    builtin::{Row, Want},
    checked::{MapId, Res},
    diag::Diagnostic,
};
use crate::spec::{Agg, Type};

/// Aggregations of `tseries` by number; 0 keeps the last value.
const SERIES: &[&str] = &["last", "avg", "max", "min", "sum"];

impl Checker<'_> {
    /// A map as a whole.
    pub(super) fn map_arg(&mut self, function: &str, arg: &Expr) -> Option<MapId> {
        match &arg.kind {
            ExprKind::Map { name, key: None } => {
                let id = self.map_id(name, arg.span);
                self.maps[id.0 as usize].whole = true;
                self.resolve(arg, Res::Map(id));
                let ty = self.map_type(id);
                self.set(arg, ty);
                Some(id)
            }
            ExprKind::Map { name, key: Some(_) } => {
                self.say(
                    Diagnostic::error(arg.span, format!("`{function}` wants a whole map"))
                        .help(format!("write `{function}(@{name}, …)`"))
                        .said(match function {
                            "clear" | "zero" => format!("{function}() expects a map argument"),
                            _ => format!(
                                "Mismatched arg. {function}() expects a map for arg @map but got an expression."
                            ),
                        }),
                );
                None
            }
            _ => {
                let said = match function {
                    "clear" | "zero" => format!("{function}() expects a map argument"),
                    _ => format!(
                        "Mismatched arg. {function}() expects a map for arg @map but got {}.",
                        said::given(arg)
                    ),
                };
                self.say(
                    Diagnostic::error(arg.span, format!("`{function}` wants a map")).said(said),
                );
                None
            }
        }
    }

    /// A map with keys, and a key of it.
    pub(super) fn map_and_key(&mut self, function: &str, map: &Expr, key: &Expr) -> Option<MapId> {
        let id = self.map_arg(function, map)?;
        let name = self.maps[id.0 as usize].name.clone();
        if self.maps[id.0 as usize].keyed == Some(false) {
            let with = if function == "delete" {
                " with two arguments"
            } else {
                ""
            };
            self.say(
                Diagnostic::error(map.span, format!("`@{name}` has no keys")).said(format!(
                    "call to {function}(){with} expects a map with explicit keys (non-scalar map)"
                )),
            );
            return None;
        }
        self.maps[id.0 as usize].keyed = Some(true);
        self.give_key(id, key, self.call);
        Some(id)
    }

    pub(super) fn print(&mut self, e: &Expr, args: &[&Expr]) -> Type {
        if let ExprKind::Map { name, key: None } = &args[0].kind {
            let id = self.map_id(name, args[0].span);
            self.maps[id.0 as usize].whole = true;
            self.resolve(args[0], Res::Map(id));
            let ty = self.map_type(id);
            self.set(args[0], ty);
            for arg in &args[1..] {
                self.argument_of("print", Want::ConstInt, arg);
            }
            return Type::Void;
        }
        if args.len() > 1 {
            self.say(
                Diagnostic::error(e.span, "only whole maps are printed with `top` and `div`").said(
                    format!(
                        "Non-map print() only takes 1 argument, {} found",
                        args.len()
                    ),
                ),
            );
        }
        let ty = self.value(args[0]);
        if let (Type::Agg(_), false) = (&ty, matches!(args[0].kind, ExprKind::Map { .. })) {
            let called = match &args[0].kind {
                ExprKind::Call { name, .. } => name.text.as_str(),
                _ => "count",
            };
            self.say(
                Diagnostic::error(args[0].span, "an aggregation is printed from its map")
                    .said(format!("{called}() must be assigned directly to a map")),
            );
        }
        Type::Void
    }

    pub(super) fn delete(&mut self, args: &[&Expr]) -> Type {
        match args {
            [map, key] => {
                if let ExprKind::Map { key: Some(_), .. } = map.kind {
                    self.say(
                        Diagnostic::error(map.span, "`delete` wants a whole map and one key")
                            .help("delete keys one by one: `delete(@x, key);`")
                            .said_at(
                                self.call,
                                "Call to delete() has arguments that do not match any definition.",
                            )
                            .said_more(
                                map.span,
                                "Mismatched arg. delete() expects a map for arg @map but got an expression.",
                            ),
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
                                .help(format!("write `delete(@{name}, key)`, or `clear(@{name})`"))
                                .said("call to delete() with a single argument expects a map without explicit keys (scalar map)"),
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
    pub(super) fn find_result(&mut self, var: &Expr, ty: &Type) {
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

    pub(super) fn len(&mut self, args: &[&Expr]) -> Type {
        if let ExprKind::Map { key: None, .. } = args[0].kind {
            if let Some(id) = self.map_arg("len", args[0]) {
                let ty = self.map_type(id);
                let alone = self.maps[id.0 as usize].keyed == Some(false);
                if alone && matches!(ty, Type::Stack { .. }) {
                    self.set(args[0], ty);
                } else if alone {
                    self.say(
                        Diagnostic::error(args[0].span, "`len` counts keys, this map has none")
                            .said(
                                "call to len() expects a map with explicit keys (non-scalar map)",
                            ),
                    );
                }
            }
            return Type::I64;
        }
        let ty = self.value(args[0]);
        if !matches!(ty, Type::Void | Type::Stack { .. }) {
            let shown = words::a(&ty, &self.structs.defs);
            self.say(
                Diagnostic::error(
                    args[0].span,
                    format!("`len` wants a map or a stack, this is {shown}"),
                )
                .said("call to len() expects a map, ustack, or kstack"),
            );
        }
        Type::I64
    }

    pub(super) fn aggregation(&mut self, row: &Row, args: &[&Expr]) -> Type {
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
                    let said = if step <= 0 {
                        format!("lhist() step must be >= 1 ({step} provided)")
                    } else {
                        format!(
                            "lhist() min must be less than max (provided min {min} and max {max})"
                        )
                    };
                    self.say(
                        Diagnostic::error(
                            args[0].span.to(args[3].span),
                            format!("`lhist` wants {what}"),
                        )
                        .said_at(self.call, said),
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
                        .help("take a larger step or a smaller range")
                        .said_at(
                            self.call,
                            format!(
                                "lhist() too many buckets, must be <= 1000 (would need {})",
                                (max - min + step - 1) / step
                            ),
                        ),
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
                    self.say(
                        Diagnostic::error(args[1].span, "`tseries` wants a positive interval")
                            .said_at(
                                self.call,
                                format!("tseries() interval_ns must be >= 1 ({interval} provided)"),
                            ),
                    );
                    return Type::Void;
                }
                if !(1..=1_000_000).contains(&buckets) {
                    let bound = if buckets < 1 { ">= 1" } else { "< 1000000" };
                    self.say(
                        Diagnostic::error(args[2].span, "`tseries` wants 1 to 1000000 intervals")
                            .said_at(
                                self.call,
                                format!(
                                    "tseries() num_intervals must be {bound} ({buckets} provided)"
                                ),
                            ),
                    );
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
                                self.say(
                                    Diagnostic::error(
                                        args[3].span,
                                        format!("`tseries` knows {known}"),
                                    )
                                    .said_at(
                                        self.call,
                                        format!("tseries() expects one of the following aggregation functions: {known} (\"{text}\" provided)"),
                                    ),
                                );
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
}
