//! Statements: scopes, conditions, loops.

use super::{Checker, words};
use crate::lang::{
    ast::{Block, Expr, ExprKind, Stmt, StmtKind},
    builtin,
    checked::Res,
    diag::Diagnostic,
};
use crate::{span::Span, spec::Type};
use std::collections::HashMap;

/// Most copies that `unroll` makes.
const MAX_UNROLL: i128 = 100;

impl Checker<'_> {
    pub(super) fn block(&mut self, block: &Block) {
        self.scopes.push(HashMap::new());
        self.stmts(block);
        if let Some(value) = &block.value {
            self.expr(value);
        }
        self.scopes.pop();
    }

    pub(super) fn stmts(&mut self, block: &Block) {
        let mut ended = false;
        for (i, stmt) in block.stmts.iter().enumerate() {
            if std::mem::take(&mut ended) {
                let last = i + 1 == block.stmts.len() && block.value.is_none();
                self.unreachable(stmt, last.then_some(block.span));
            }
            ended = ends(stmt);
            self.stmt(stmt);
        }
    }

    /// Warns of a statement behind `return` and its like; `block`: of which it is the last.
    fn unreachable(&mut self, stmt: &Stmt, block: Option<Span>) {
        // bpftrace takes a last statement without `;` for the block's value and shows the block.
        let place = match block {
            Some(block)
                if matches!(stmt.kind, StmtKind::Expr(_)) && block.end - stmt.span.end < 3 =>
            {
                block
            }
            _ => stmt.span,
        };
        self.say(
            Diagnostic::warning(stmt.span, "nothing reaches this statement")
                .said_at(place, "Unreachable statement."),
        );
    }

    fn stmt(&mut self, stmt: &Stmt) {
        let outer = std::mem::replace(&mut self.stmt, stmt.span);
        self.stmt_inside(stmt);
        self.stmt = outer;
    }

    fn stmt_inside(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Expr(expr) => {
                self.expr(expr);
                self.unused(expr);
            }
            StmtKind::Discard(expr) => {
                self.expr(expr);
            }
            StmtKind::Assign { target, op, value } => self.assign(target, *op, value),
            StmtKind::Let { var, ty, value } => self.let_var(var, ty.as_ref(), value.as_ref()),
            StmtKind::If { cond, then, els } => {
                self.condition(cond, stmt.span);
                // What is merely known is checked on both sides; `comptime` takes one of them away.
                let comptime =
                    matches!(&cond.kind, ExprKind::Call { name, .. } if name.text == "comptime");
                let known = self.konst(cond).map(|v| v != 0);
                for (block, taken) in [(Some(then), true), (els.as_ref(), false)] {
                    let Some(block) = block else { continue };
                    let unreached = known.is_some_and(|v| v != taken);
                    if unreached && comptime {
                        self.dead(block);
                        continue;
                    }
                    self.unreached += usize::from(unreached);
                    self.block(block);
                    self.unreached -= usize::from(unreached);
                }
            }
            StmtKind::While { cond, body } => {
                self.say(
                    Diagnostic::warning(stmt.span, "`while` loops are deprecated")
                        .help("use `for ($i : 0..n) { … }`")
                        .said("While loops are deprecated and may be removed in the future.")
                        .said_hint("For loops support ranges (e.g. `for ($x : $start..$end) { ... }`), and can be used in place of while. These are more easily proven to be bounded by the verifier."),
                );
                self.condition(cond, stmt.span);
                self.looped(body);
            }
            StmtKind::ForMap { var, map, body } => self.for_map(var, map, body),
            StmtKind::ForRange {
                var,
                start,
                end,
                body,
            } => {
                for (bound, which) in [(start, "start"), (end, "end")] {
                    let ty = self.number_of(bound);
                    if !matches!(
                        ty,
                        Type::Void | Type::Int { .. } | Type::Bool | Type::Enum { .. }
                    ) {
                        let shown = words::a(&ty, &self.structs.defs);
                        self.say(
                            Diagnostic::error(
                                bound.span,
                                format!("range wants integers, this is {shown}"),
                            )
                            .said_at(
                                stmt.span,
                                format!("Loop range requires an integer for the {which} value"),
                            ),
                        );
                    }
                }
                self.scopes.push(HashMap::new());
                self.loop_var(var, Type::I64);
                self.called_back(body);
                self.scopes.pop();
            }
            StmtKind::Unroll { count, body } => {
                self.number_of(count);
                match self.konst(count) {
                    Some(n) if n < 1 => self.say(
                        Diagnostic::error(count.span, format!("`unroll` of {n} times")).said_at(
                            stmt.span,
                            if n == 0 {
                                "unroll minimum value is 1"
                            } else {
                                "invalid unroll value"
                            },
                        ),
                    ),
                    Some(n) if n > MAX_UNROLL => {
                        self.say(
                            Diagnostic::error(
                                count.span,
                                format!("`unroll` of {n} times, more than {MAX_UNROLL}"),
                            )
                            .help("use `for ($i : 0..n) { … }`")
                            .said_at(stmt.span, format!("unroll maximum value is {MAX_UNROLL}")),
                        );
                    }
                    Some(_) => {}
                    None => self.say(
                        Diagnostic::error(
                            count.span,
                            "`unroll` wants a count that is known at compile time",
                        )
                        .help("use `for ($i : 0..n) { … }`")
                        .said_at(stmt.span, "invalid unroll value"),
                    ),
                }
                // No loop of its own: `break` belongs to the one around it.
                self.block(body);
            }
            StmtKind::Block(block) => self.block(block),
            StmtKind::Break | StmtKind::Continue => {
                if self.loops == 0 {
                    let word = if stmt.kind == StmtKind::Break {
                        "break"
                    } else {
                        "continue"
                    };
                    self.say(
                        Diagnostic::error(stmt.span, format!("`{word}` outside of a loop"))
                            .said(format!("'{word}' statement is not allowed in a probe")),
                    );
                }
            }
            StmtKind::Return(value) => {
                if let Some(value) = value {
                    let ty = self.number_of(value);
                    if !matches!(
                        ty,
                        Type::Void | Type::Int { .. } | Type::Bool | Type::Enum { .. }
                    ) {
                        let shown = words::a(&ty, &self.structs.defs);
                        let said = format!(
                            "Probe return values can only be integers. Found {}",
                            self.plain(&ty)
                        );
                        self.say(
                            Diagnostic::error(
                                value.span,
                                format!("`return` wants an integer, this is {shown}"),
                            )
                            .said_at(stmt.span, said),
                        );
                    }
                }
            }
        }
    }

    /// A block that never runs: its types are not checked, but the maps it assigns to exist.
    fn dead(&mut self, block: &Block) {
        for stmt in &block.stmts {
            match &stmt.kind {
                StmtKind::Assign { target, .. } => {
                    if let ExprKind::Map { name, .. } = &target.kind {
                        self.dead_maps.insert(name.clone());
                    }
                }
                StmtKind::If { then, els, .. } => {
                    self.dead(then);
                    els.iter().for_each(|b| self.dead(b));
                }
                StmtKind::While { body, .. }
                | StmtKind::ForMap { body, .. }
                | StmtKind::ForRange { body, .. }
                | StmtKind::Unroll { body, .. }
                | StmtKind::Block(body) => self.dead(body),
                _ => {}
            }
        }
    }

    /// A `for`: bpftrace compiles its body to a function of its own.
    fn called_back(&mut self, body: &Block) {
        self.callbacks += 1;
        self.looped(body);
        self.callbacks -= 1;
    }

    fn looped(&mut self, body: &Block) {
        self.loops += 1;
        self.block(body);
        self.loops -= 1;
    }

    fn for_map(&mut self, var: &Expr, map: &Expr, body: &Block) {
        let ExprKind::Map { name, key } = &map.kind else {
            return;
        };
        if key.is_some() {
            self.say(
                Diagnostic::error(map.span, "`for` goes over a whole map, not over one key")
                    .said("syntax: expected map or range in for loop"),
            );
            return;
        }
        let id = self.map_id(name, map.span);
        self.maps[id.0 as usize].whole = true;
        self.resolve(map, Res::Map(id));
        if self.maps[id.0 as usize].keyed == Some(false) {
            self.say(
                Diagnostic::error(map.span, format!("`@{name}` has no keys to go over")).said(
                    format!(
                        "@{name} has no explicit keys (scalar map), and cannot be used for iteration"
                    ),
                ),
            );
        }
        let value = self.map_type(id);
        self.set(map, value.clone());
        let value = match value {
            Type::Agg(agg) => match words::agg_number(&agg) {
                Some(ty) => ty,
                None => {
                    let called = words::agg_name(&agg);
                    self.error(
                        map.span,
                        format!("`for` over a map of `{called}()` is not supported"),
                    );
                    Type::Void
                }
            },
            ty => ty,
        };
        let key = self.maps[id.0 as usize].key.ty.clone();
        let ty = match (key, value) {
            (Some(key), value) if value != Type::Void => Type::Tuple(vec![key, value]),
            _ => Type::Void,
        };
        self.scopes.push(HashMap::new());
        self.loop_var(var, ty);
        self.called_back(body);
        self.scopes.pop();
    }

    /// A warning for a value that nobody takes.
    fn unused(&mut self, expr: &Expr) {
        let quiet = match &expr.kind {
            ExprKind::Step { .. } | ExprKind::Ternary { .. } => true,
            ExprKind::Block(block) => block.value.is_none(),
            ExprKind::Call { name, .. } => match builtin::row(&name.text) {
                Some(row) if row.aggregation => {
                    self.say(
                        Diagnostic::error(expr.span, format!("`{}()` goes nowhere", row.name))
                            .help(format!("assign it to a map: `@ = {}(…)`", row.name))
                            .said(format!("{}() must be assigned directly to a map", row.name)),
                    );
                    true
                }
                Some(row) => {
                    matches!(row.yields, builtin::Yield::Void)
                        || matches!(row.name, "write_user" | "skboutput")
                }
                None => true,
            },
            ExprKind::Ident(word) => {
                builtin::row(word).is_none_or(|r| matches!(r.yields, builtin::Yield::Void))
            }
            _ => false,
        };
        let void = matches!(self.types.get(expr.id.0 as usize), Some(Type::Void));
        if !quiet && !void {
            self.say(
                Diagnostic::warning(expr.span, "value is not used")
                    .help("write `_ = …` if that is meant")
                    .said("Return value discarded."),
            );
        }
    }
}

/// Whether nothing behind this statement runs.
fn ends(stmt: &Stmt) -> bool {
    match &stmt.kind {
        StmtKind::Return(_) | StmtKind::Break | StmtKind::Continue => true,
        StmtKind::Expr(e) => match &e.kind {
            ExprKind::Call { name, .. } => name.text == "exit",
            ExprKind::Ident(name) => name == "exit",
            _ => false,
        },
        StmtKind::Block(block) => block.stmts.last().is_some_and(ends),
        _ => false,
    }
}
