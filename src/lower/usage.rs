//! How a probe uses its variables and arguments, read off the tree before anything is lowered.

use crate::lang::{
    ast::{Arg, BinOp, Block, Expr, ExprKind, Stmt, StmtKind, UnOp},
    builtin,
    checked::{Checked, CheckedProbe, Res, VarId},
};
use crate::spec::Type;
use std::collections::{BTreeMap, BTreeSet};

/// Uses of one variable.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VarUse {
    /// Its first appearance is an assignment that every later use is behind.
    pub(super) assigned_first: bool,
    /// It stands where only a fixed-size value will do: map key or value, tuple, assignment to another variable.
    pub(super) by_value: bool,
    /// It is used or assigned inside a loop.
    pub(super) in_loop: bool,
    /// It is printed.
    pub(super) printed: bool,
}

/// Uses in one probe.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Variables, ordered so that code is the same each time.
    pub(super) vars: BTreeMap<VarId, VarUse>,
    /// Arguments `argN` read.
    pub(super) args: BTreeSet<u32>,
    /// The `probe` builtin (or another that names the attach point) is read.
    pub(super) names_probe: bool,
    /// Variables whose address is taken.
    pub(super) addressed: BTreeSet<VarId>,
    /// The script has pointers to memory of the kernel: addresses of variables and maps, `kptr()`.
    pub(super) kernel_pointers: bool,
    /// The script names memory of the process: `uptr()`.
    pub(super) user_pointers: bool,
    /// The script asks for the depth of a stack that was kept.
    pub(super) stack_depths: bool,
    /// There are loops.
    turns: bool,
    /// A loop has branches or other loops inside.
    pub(super) tangled: bool,
}

struct Walk<'a> {
    checked: &'a Checked,
    usage: Usage,
    depth: u32,
    loops: u32,
    /// Loops around that are not written out.
    turning: u32,
}

/// Where an expression stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Printed, or compared: a string may be anywhere.
    Loose,
    /// Needs a value of fixed size.
    Value,
}

/// Reads the uses off a probe.
pub(super) fn of(checked: &Checked, probe: &CheckedProbe) -> Usage {
    let mut walk = Walk {
        checked,
        usage: Usage::default(),
        depth: 0,
        loops: 0,
        turning: 0,
    };
    if let Some(p) = &probe.predicate {
        walk.expr(p, Place::Loose);
    }
    walk.block(&probe.body);
    // A pointer may come from another probe through a map.
    for probe in &checked.probes {
        let usage = &mut walk.usage;
        let mut look = |expr: &Expr| match &expr.kind {
            _ if matches!(checked.res.get(&expr.id), Some(Res::Builtin("curtask"))) => {
                usage.kernel_pointers = true;
            }
            ExprKind::Call { name, .. } if name.text == "kaddr" => usage.kernel_pointers = true,
            ExprKind::Unary {
                op: UnOp::AddrOf,
                expr: inner,
            } => {
                usage.kernel_pointers = true;
                if let Some(Res::Var(var)) = checked.res.get(&inner.id) {
                    usage.addressed.insert(*var);
                }
            }
            ExprKind::Call { args, .. } => match (checked.res.get(&expr.id), args.first()) {
                (Some(Res::Builtin("kptr")), _) => usage.kernel_pointers = true,
                (Some(Res::Builtin("uptr")), _) => usage.user_pointers = true,
                (Some(Res::Builtin("len")), Some(Arg::Expr(of))) => {
                    let kept = !matches!(checked.res.get(&of.id), Some(Res::Builtin(_)));
                    usage.stack_depths |= kept && matches!(checked.ty(of), Type::Stack { .. });
                }
                _ => {}
            },
            _ => {}
        };
        each_expr_of(probe, &mut look);
    }
    // Addresses cannot be hidden from the verifier as numbers are.
    walk.usage.tangled |= walk.usage.kernel_pointers && walk.usage.turns;
    let mine = &walk.usage.vars;
    walk.usage.addressed.retain(|var| mine.contains_key(var));
    walk.usage
}

/// Whether a block (or what it calls) appends to the record or leaves the probe on a path that goes on afterwards.
pub(super) fn has_output(checked: &Checked, block: &Block) -> bool {
    calls(checked, block, |name| matches!(name, "str" | "buf")) || prints(checked, block)
}

/// Whether a block prints: strings that are only read into memory do not count.
pub(super) fn prints(checked: &Checked, block: &Block) -> bool {
    calls(checked, block, |name| {
        builtin::row(name).is_some_and(|row| row.prints)
    }) || empties(checked, block)
}

/// Whether a block deletes an aggregation without keys, which user space does.
fn empties(checked: &Checked, block: &Block) -> bool {
    let mut found = false;
    each_expr(block, &mut |expr| {
        if let (ExprKind::Call { args, .. }, Some(Res::Builtin("delete"))) =
            (&expr.kind, checked.res.get(&expr.id))
            && let [Arg::Expr(map)] = &args[..]
            && let Some(Res::Map(map)) = checked.res.get(&map.id)
        {
            let info = &checked.maps[map.0 as usize];
            found |= info.key.is_none() && matches!(info.value, Type::Agg(_));
        }
    });
    found
}

fn calls(checked: &Checked, block: &Block, wanted: impl Fn(&str) -> bool) -> bool {
    let mut found = false;
    each_expr(block, &mut |expr| {
        if let (ExprKind::Call { .. }, Some(Res::Builtin(name))) =
            (&expr.kind, checked.res.get(&expr.id))
        {
            found |= wanted(name);
        }
    });
    found
}

/// Whether a block has statements in a row only: no branches, loops or calls of functions that have them.
pub(super) fn flat(body: &Block) -> bool {
    let simple = |stmt: &Stmt| {
        matches!(
            stmt.kind,
            StmtKind::Expr(_)
                | StmtKind::Discard(_)
                | StmtKind::Assign { .. }
                | StmtKind::Let { .. }
        )
    };
    let mut plain = body.stmts.iter().all(simple);
    each_expr(body, &mut |expr| {
        plain &= match &expr.kind {
            ExprKind::Ternary { .. } | ExprKind::Block(_) => false,
            ExprKind::Binary { op, .. } => !matches!(op, BinOp::LogAnd | BinOp::LogOr),
            _ => true,
        };
    });
    plain
}

/// Calls that leave the verifier nothing to tell turns of a loop apart by.
const NUMERIC: &[&str] = &["count", "sum", "min", "max", "avg", "stats"];

/// Whether a block is flat and about numbers alone: searching, comparing, reading and printing strings are loops or
/// branches too.
fn numeric(checked: &Checked, body: &Block) -> bool {
    let mut numbers = flat(body);
    each_expr(body, &mut |expr| {
        numbers &= match &expr.kind {
            ExprKind::Call { .. } => {
                matches!(checked.res.get(&expr.id), Some(Res::Builtin(name)) if NUMERIC.contains(name))
            }
            ExprKind::Binary { left, .. } => super::value::is_number(checked.ty(left)),
            ExprKind::Index { .. } => false,
            _ => true,
        };
    });
    numbers
}

/// Whether a block has loops, or statements that are written out several times.
pub(super) fn has_loops(block: &Block) -> bool {
    let in_stmt = |stmt: &Stmt| match &stmt.kind {
        StmtKind::While { .. }
        | StmtKind::ForMap { .. }
        | StmtKind::ForRange { .. }
        | StmtKind::Unroll { .. } => true,
        StmtKind::If { then, els, .. } => has_loops(then) || els.as_ref().is_some_and(has_loops),
        StmtKind::Block(block) => has_loops(block),
        _ => false,
    };
    let mut found = block.stmts.iter().any(in_stmt);
    each_expr(block, &mut |expr| {
        if let ExprKind::Block(block) = &expr.kind {
            found |= block.stmts.iter().any(in_stmt);
        }
    });
    found
}

/// Calls `f` on every expression of a probe.
pub(super) fn each_expr_of(probe: &CheckedProbe, f: &mut dyn FnMut(&Expr)) {
    if let Some(predicate) = &probe.predicate {
        each_in_expr(predicate, f);
    }
    each_expr(&probe.body, f);
}

/// Calls `f` on every expression of a block.
pub(super) fn each_expr(block: &Block, f: &mut dyn FnMut(&Expr)) {
    for stmt in &block.stmts {
        each_in_stmt(stmt, f);
    }
    if let Some(value) = &block.value {
        each_in_expr(value, f);
    }
}

fn each_in_stmt(stmt: &Stmt, f: &mut dyn FnMut(&Expr)) {
    match &stmt.kind {
        StmtKind::Expr(e) | StmtKind::Discard(e) | StmtKind::Return(Some(e)) => each_in_expr(e, f),
        StmtKind::Assign { target, value, .. } => {
            each_in_expr(target, f);
            each_in_expr(value, f);
        }
        StmtKind::Let { var, value, .. } => {
            each_in_expr(var, f);
            value.iter().for_each(|v| each_in_expr(v, f));
        }
        StmtKind::If { cond, then, els } => {
            each_in_expr(cond, f);
            each_expr(then, f);
            els.iter().for_each(|b| each_expr(b, f));
        }
        StmtKind::While { cond, body } => {
            each_in_expr(cond, f);
            each_expr(body, f);
        }
        StmtKind::ForMap { var, map, body } => {
            each_in_expr(var, f);
            each_in_expr(map, f);
            each_expr(body, f);
        }
        StmtKind::ForRange {
            var,
            start,
            end,
            body,
        } => {
            each_in_expr(var, f);
            each_in_expr(start, f);
            each_in_expr(end, f);
            each_expr(body, f);
        }
        StmtKind::Unroll { count, body } => {
            each_in_expr(count, f);
            each_expr(body, f);
        }
        StmtKind::Block(block) => each_expr(block, f),
        StmtKind::Break | StmtKind::Continue | StmtKind::Return(None) => {}
    }
}

fn each_in_expr(expr: &Expr, f: &mut dyn FnMut(&Expr)) {
    f(expr);
    for_children(expr, &mut |child| each_in_expr(child, f));
    if let ExprKind::Block(block) = &expr.kind {
        each_expr(block, f);
    }
}

fn for_children<'e>(expr: &'e Expr, f: &mut dyn FnMut(&'e Expr)) {
    match &expr.kind {
        ExprKind::Map { key: Some(key), .. } => f(key),
        ExprKind::Call { args, .. } => {
            for arg in args {
                if let Arg::Expr(e) = arg {
                    f(e);
                }
            }
        }
        ExprKind::Member { base, .. } | ExprKind::TupleItem { base, .. } => f(base),
        ExprKind::Index { base, index } => {
            f(base);
            f(index);
        }
        ExprKind::Unary { expr, .. }
        | ExprKind::Step { expr, .. }
        | ExprKind::Cast { expr, .. } => f(expr),
        ExprKind::Binary { left, right, .. } => {
            f(left);
            f(right);
        }
        ExprKind::Ternary { cond, then, els } => {
            f(cond);
            f(then);
            f(els);
        }
        ExprKind::Tuple(items) => items.iter().for_each(f),
        ExprKind::Record(items) => items.iter().for_each(|(_, e)| f(e)),
        _ => {}
    }
}

impl Walk<'_> {
    fn block(&mut self, block: &Block) {
        for stmt in &block.stmts {
            self.stmt(stmt);
        }
        if let Some(value) = &block.value {
            self.expr(value, Place::Value);
        }
    }

    fn nested(&mut self, block: &Block) {
        self.depth += 1;
        self.block(block);
        self.depth -= 1;
    }

    fn looped(&mut self, block: &Block) {
        self.usage.tangled |= self.turning > 0 || !numeric(self.checked, block);
        self.usage.turns = true;
        self.loops += 1;
        self.turning += 1;
        self.nested(block);
        self.turning -= 1;
        self.loops -= 1;
    }

    fn assign(&mut self, target: &Expr) {
        if let Some(Res::Var(var)) = self.checked.res.get(&target.id) {
            let (top, in_loop) = (self.depth == 0, self.loops > 0);
            let new = !self.usage.vars.contains_key(var);
            let entry = self.usage.vars.entry(*var).or_default();
            entry.assigned_first |= new && top;
            entry.in_loop |= in_loop;
        } else {
            self.expr(target, Place::Value);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Expr(e) => self.expr(e, Place::Loose),
            StmtKind::Discard(e) | StmtKind::Return(Some(e)) => self.expr(e, Place::Value),
            StmtKind::Assign { target, op, value } => {
                self.expr(value, Place::Value);
                if op.is_some() {
                    self.expr(target, Place::Value);
                }
                self.assign(target);
            }
            StmtKind::Let { var, value, .. } => {
                if let Some(value) = value {
                    self.expr(value, Place::Value);
                }
                self.assign(var);
            }
            StmtKind::If { cond, then, els } => {
                self.expr(cond, Place::Loose);
                self.nested(then);
                if let Some(els) = els {
                    self.nested(els);
                }
            }
            StmtKind::While { cond, body } => {
                self.loops += 1;
                self.expr(cond, Place::Loose);
                self.loops -= 1;
                // A condition is a branch, and its loop may end anywhere.
                self.usage.tangled = true;
                self.looped(body);
            }
            StmtKind::ForMap { var, map, body } => {
                self.expr(map, Place::Value);
                self.loops += 1;
                self.assign(var);
                self.loops -= 1;
                self.looped(body);
            }
            StmtKind::ForRange {
                var,
                start,
                end,
                body,
            } => {
                self.expr(start, Place::Value);
                self.expr(end, Place::Value);
                self.loops += 1;
                self.assign(var);
                self.loops -= 1;
                self.looped(body);
            }
            StmtKind::Unroll { count, body } => {
                self.expr(count, Place::Value);
                // What is written out is no loop, however often it is.
                self.loops += 1;
                self.nested(body);
                self.loops -= 1;
            }
            StmtKind::Block(block) => self.block(block),
            StmtKind::Break | StmtKind::Continue | StmtKind::Return(None) => {}
        }
    }

    fn expr(&mut self, expr: &Expr, place: Place) {
        match self.checked.res.get(&expr.id) {
            Some(Res::Var(var)) => {
                let in_loop = self.loops > 0;
                let entry = self.usage.vars.entry(*var).or_default();
                entry.by_value |= place == Place::Value;
                entry.printed |= place == Place::Loose;
                entry.in_loop |= in_loop;
                return;
            }
            Some(Res::Arg(n)) => {
                self.usage.args.insert(*n);
            }
            Some(Res::Builtin(name)) => {
                self.usage.names_probe |=
                    matches!(*name, "probe" | "func" | "probetype" | "args" | "retval");
            }
            Some(Res::Int(_) | Res::Str(_)) => return,
            _ => {}
        }
        let inner = match &expr.kind {
            ExprKind::Call { .. } if self.loose_call(expr) => Place::Loose,
            ExprKind::Binary { .. } => Place::Loose,
            _ => Place::Value,
        };
        self.children(expr, inner);
    }

    fn children(&mut self, expr: &Expr, place: Place) {
        match &expr.kind {
            ExprKind::Block(block) => self.block(block),
            ExprKind::Ternary { cond, then, els } => {
                self.expr(cond, Place::Loose);
                self.depth += 1;
                self.expr(then, Place::Value);
                self.expr(els, Place::Value);
                self.depth -= 1;
            }
            _ => {
                for_children(expr, &mut |child| self.expr(child, place));
            }
        }
    }

    fn loose_call(&self, expr: &Expr) -> bool {
        matches!(
            self.checked.res.get(&expr.id),
            Some(Res::Builtin(
                "printf" | "print" | "errorf" | "warnf" | "cat" | "system" | "strncmp"
            ))
        )
    }
}
