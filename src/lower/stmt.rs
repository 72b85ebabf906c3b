//! Statements and control flow.

use super::{
    program::{Loop, Lower, Restart, VarHome},
    record::{Addr, Home},
    usage::{flat, has_output},
    value::{Val, is_number, shape},
};
use crate::{
    asm::{AluOp, Cond, Size},
    ir::{Opnd, Term, VReg},
    lang::{
        ast::{BinOp, Block, Expr, ExprKind, Stmt, StmtKind},
        checked::{Res, VarId},
    },
    span::Span,
    spec::Type,
};

/// Turns of a loop that the verifier may walk one by one.
const WALKED: i64 = 16;

/// Times that an `unroll` may repeat its block.
const UNROLL_MAX: i64 = 4096;

impl Lower<'_> {
    /// Statements after which the probe ends: each way out sends the record itself.
    pub(super) fn block_tail(&mut self, block: &Block) -> Result<(), Restart> {
        if let Some((last, first)) = block.stmts.split_last()
            && block.value.is_none()
        {
            for stmt in first {
                self.stmt(stmt)?;
            }
            match &last.kind {
                StmtKind::If { cond, then, els } if !self.f.closed() => {
                    let (yes, no) = (self.f.block(), self.f.block());
                    if self.output_inside(cond) {
                        // What the condition prints is a group of its own, too.
                        let truth = self.at(cond.span, |l| l.truth(cond))?;
                        self.close_group();
                        self.f.branch(Cond::Ne, truth, 0, yes, no);
                    } else {
                        self.close_group();
                        self.at(cond.span, |l| l.cond(cond, yes, no))?;
                    }
                    let (cursor, cache) = (self.cursor.clone(), self.arg_cache.clone());
                    self.f.switch_to(yes);
                    self.block_tail(then)?;
                    self.f.switch_to(no);
                    self.cursor = cursor;
                    self.arg_cache = cache;
                    if let Some(els) = els {
                        self.block_tail(els)?;
                    }
                }
                StmtKind::Block(inner) => self.block_tail(inner)?,
                _ => self.stmt(last)?,
            }
        } else {
            self.block(block)?;
        }
        self.finish()
    }

    /// Statements that the probe goes on after.
    pub(super) fn block(&mut self, block: &Block) -> Result<(), Restart> {
        for stmt in &block.stmts {
            self.stmt(stmt)?;
        }
        if let Some(value) = &block.value {
            self.effect(value)?;
        }
        Ok(())
    }

    /// An expression for its effects.
    fn effect(&mut self, expr: &Expr) -> Result<(), Restart> {
        match self.checked.res.get(&expr.id) {
            Some(Res::Builtin(name)) if matches!(expr.kind, ExprKind::Call { .. }) => {
                let name = *name;
                self.at(expr.span, |l| l.call_statement(expr, name))
            }
            _ => match &expr.kind {
                ExprKind::Ternary { cond, then, els } if *self.checked.ty(expr) == Type::Void => {
                    let arm = |e: &Expr| Block {
                        stmts: vec![Stmt {
                            kind: StmtKind::Expr(e.clone()),
                            span: e.span,
                        }],
                        value: None,
                        span: e.span,
                    };
                    self.if_else(cond, &arm(then), Some(&arm(els)))
                }
                ExprKind::Block(block) => self.block(block),
                _ => self.value(expr).map(drop),
            },
        }
    }

    /// Lowers a statement.
    pub(super) fn stmt(&mut self, stmt: &Stmt) -> Result<(), Restart> {
        if self.f.closed() {
            return Ok(());
        }
        let old = self.f.set_span(Some(stmt.span));
        let result = self.passing(|l| l.stmt_inner(stmt));
        if self.plan.settled && result.is_ok() && !self.f.closed() {
            self.settle()?;
        }
        self.f.set_span(old);
        result
    }

    fn stmt_inner(&mut self, stmt: &Stmt) -> Result<(), Restart> {
        match &stmt.kind {
            StmtKind::Expr(e) => self.effect(e),
            StmtKind::Discard(e) => self.value(e).map(drop),
            StmtKind::Assign { target, op, value } => self.assign(target, *op, value),
            StmtKind::Let { var, value, .. } => match value {
                Some(value) => self.assign(var, None, value),
                None => self.clear_var(var),
            },
            StmtKind::If { cond, then, els } => self.if_else(cond, then, els.as_ref()),
            StmtKind::While { cond, body } => self.while_loop(cond, body),
            StmtKind::ForRange {
                var,
                start,
                end,
                body,
            } => self.for_range(var, start, end, body),
            StmtKind::ForMap { var, map, body } => self.for_map(var, map, body),
            StmtKind::Unroll { count, body } => self.unroll(count, body),
            StmtKind::Block(block) => self.block(block),
            StmtKind::Break | StmtKind::Continue => {
                let Some(l) = self.loops.last().copied() else {
                    return Ok(());
                };
                if self.cursor_varies() {
                    self.park()?;
                }
                let to = if stmt.kind == StmtKind::Break {
                    l.on_break
                } else {
                    l.on_continue
                };
                self.f.end(Term::Goto(to));
                Ok(())
            }
            StmtKind::Return(value) => {
                if let Some(value) = value {
                    match (self.result, self.callback.is_some()) {
                        (Some(result), false) => {
                            let src = self.num(value)?;
                            self.f.set(result, src);
                        }
                        _ => drop(self.value(value)?),
                    }
                }
                self.finish()
            }
        }
    }

    fn cursor_varies(&self) -> bool {
        self.loop_output
    }

    fn clear_var(&mut self, var: &Expr) -> Result<(), Restart> {
        let Some(Res::Var(id)) = self.checked.res.get(&var.id).cloned() else {
            return Ok(());
        };
        let ty = self.checked.vars[id.0 as usize].clone();
        if is_number(&ty) {
            self.set_number(id, Opnd::Imm(0));
        } else if ty != Type::Void {
            let addr = self.var_memory(id)?;
            self.zero(addr, ty.size(&self.checked.structs))?;
        }
        Ok(())
    }

    pub(super) fn set_number(&mut self, var: VarId, value: Opnd) {
        let reg = match self.vars.get(&var).copied() {
            Some(VarHome::Reg(reg)) => reg,
            Some(VarHome::Mem(addr)) => {
                let (size, _) = shape(&self.checked.vars[var.0 as usize]);
                self.store_at(addr, size, value);
                return;
            }
            _ => {
                let reg = self.f.vreg();
                self.vars.insert(var, VarHome::Reg(reg));
                reg
            }
        };
        self.f.set(reg, value);
    }

    /// Memory of a variable that is not a number.
    pub(super) fn var_memory(&mut self, var: VarId) -> Result<Addr, Restart> {
        if let Some(VarHome::Mem(addr)) = self.vars.get(&var).copied() {
            return Ok(addr);
        }
        let ty = self.checked.vars[var.0 as usize].clone();
        // Never on the stack: an address there must be set before a branch can read it.
        let addr = self.alloc_kept(ty.size(&self.checked.structs).max(1))?;
        self.vars.insert(var, VarHome::Mem(addr));
        Ok(addr)
    }

    fn assign(&mut self, target: &Expr, op: Option<BinOp>, value: &Expr) -> Result<(), Restart> {
        if let Some(Res::Var(var)) = self.checked.res.get(&target.id).cloned() {
            let ty = self.checked.vars[var.0 as usize].clone();
            if is_number(&ty) {
                let mut v = match op {
                    Some(_) => self.operand(value)?,
                    None => self.num(value)?,
                };
                if let Some(op) = op {
                    let old = self.num(target)?;
                    if let Type::Ptr(elem) = &ty {
                        let size = i64::from(elem.size(&self.checked.structs).max(1));
                        v = if size == 1 {
                            v
                        } else {
                            self.arith(BinOp::Mul, v, Opnd::Imm(size), false)
                        };
                    }
                    let at = self.operator(target, value);
                    v = self.arith_checked(op, (old, v), at);
                }
                let v = self.fit(v, &ty);
                self.set_number(var, v);
                return Ok(());
            }
            let uses = self.var_use(var);
            if let (Type::Str { size }, true) =
                (&ty, self.plan.blob_vars && !uses.by_value && !uses.in_loop)
                && uses.assigned_first
                && !self.vars.contains_key(&var)
                && uses.printed
                && let Some(blob) = self.string_blob(value, *size)?
            {
                let at = self.f.mov(blob.at);
                self.vars.insert(var, VarHome::Blob(at, blob.max));
                self.blob_vars = true;
                return Ok(());
            }
            if let Some(VarHome::Blob(..)) = self.vars.get(&var) {
                return Err(Restart::NoBlobVars);
            }
            let addr = self.var_memory(var)?;
            return self.store_into(value, &ty, addr);
        }
        match op {
            None => self.write_map(target, value),
            Some(BinOp::Add) if is_number(self.checked.ty(target)) => {
                let by = self.operand(value)?;
                self.add_to_map(target, by, target.span).map(drop)
            }
            Some(BinOp::Sub) if is_number(self.checked.ty(target)) => {
                let by = self.operand(value)?;
                let by = self.arith(BinOp::Sub, Opnd::Imm(0), by, false);
                self.add_to_map(target, by, target.span).map(drop)
            }
            Some(op) => self.compound(target, op, value),
        }
    }

    /// `op= value` of an assignment: what is at fault when it divides by 0.
    fn operator(&self, target: &Expr, value: &Expr) -> Span {
        let end = self.f.span().map_or(value.span.end, |span| span.end);
        let rest = Span::new(target.span.end, end).text(self.text.source);
        let gap = rest.len() - rest.trim_start().len();
        Span::new(target.span.end + u32::try_from(gap).unwrap_or(0), end)
    }

    /// `@m op= value` for the operators that are not addition: read, change, write.
    fn compound(&mut self, target: &Expr, op: BinOp, value: &Expr) -> Result<(), Restart> {
        let ty = self.checked.ty(target).clone();
        let old = match self.value(target)? {
            Val::Num(n) => n,
            _ => return self.fail(target, "only integers can be changed with this operator"),
        };
        let by = self.operand(value)?;
        let at = self.operator(target, value);
        let new = self.arith_checked(op, (old, by), at);
        let new = self.fit(new, &ty);
        self.put_number(target, new)
    }

    fn if_else(&mut self, cond: &Expr, then: &Block, els: Option<&Block>) -> Result<(), Restart> {
        let output =
            has_output(self.checked, then) || els.is_some_and(|b| has_output(self.checked, b));
        let (yes, no, on) = (self.f.block(), self.f.block(), self.f.block());
        if output {
            self.at(cond.span, |l| l.parked_cond(cond, yes, no))?;
        } else {
            self.close_group();
            self.at(cond.span, |l| l.cond(cond, yes, no))?;
        }
        let (cursor, cache) = (self.cursor.clone(), self.arg_cache.clone());
        let vars = self.vars.clone();
        for (block, arm) in [(yes, Some(then)), (no, els)] {
            self.f.switch_to(block);
            self.cursor = cursor.clone();
            if let Some(arm) = arm {
                self.block(arm)?;
            }
            if !self.f.closed() {
                if output {
                    self.park()?;
                }
                self.f.end(Term::Goto(on));
            }
            self.arg_cache = cache.clone();
        }
        // A string that only one arm put into the record is nowhere on the other path.
        self.vars
            .retain(|var, home| !matches!(home, VarHome::Blob(..)) || vars.contains_key(var));
        self.cursor = cursor;
        self.f.switch_to(on);
        Ok(())
    }

    fn while_loop(&mut self, cond: &Expr, body: &Block) -> Result<(), Restart> {
        let (head, go, stop) = (self.f.block(), self.f.block(), self.f.block());
        // A condition that prints belongs to the body: `if (cond) { } else { break; }`.
        let inside = self.output_inside(cond).then(|| {
            let stmt = |kind| Stmt {
                kind,
                span: cond.span,
            };
            let mut body = body.clone();
            let leave = Block {
                stmts: vec![stmt(StmtKind::Break)],
                ..Block::default()
            };
            let check = stmt(StmtKind::If {
                cond: cond.clone(),
                then: Block::default(),
                els: Some(leave),
            });
            body.stmts.insert(0, check);
            body
        });
        let body = inside.as_ref().unwrap_or(body);
        self.hide(body);
        self.loop_body(
            body,
            head,
            stop,
            |l| {
                l.f.end(Term::Goto(head));
                l.f.switch_to(head);
                l.budget(stop);
                match inside {
                    Some(_) => l.f.end(Term::Goto(go)),
                    None => l.cond(cond, go, stop)?,
                }
                l.f.switch_to(go);
                Ok(())
            },
            |l| {
                l.f.end(Term::Goto(head));
                Ok(())
            },
        )
    }

    fn for_range(
        &mut self,
        var: &Expr,
        start: &Expr,
        end: &Expr,
        body: &Block,
    ) -> Result<(), Restart> {
        let Some(Res::Var(id)) = self.checked.res.get(&var.id).cloned() else {
            return self.fail(var, "this is not a variable");
        };
        let first = self.num(start)?;
        let last = self.num(end)?;
        let turns = match (first, last) {
            (Opnd::Imm(a), Opnd::Imm(b)) => Some(b.saturating_sub(a)),
            _ => None,
        };
        let walked = turns.is_some_and(|n| n <= WALKED)
            && self.loops.is_empty()
            && !self.plan.settled
            && flat(body);
        let count = self.counter(first, !walked)?;
        let limit = self.counter(last, false)?;
        let (head, go, next, stop) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        if !walked {
            self.hide(body);
        }
        self.loop_body(
            body,
            next,
            stop,
            |l| {
                l.f.end(Term::Goto(head));
                l.f.switch_to(head);
                if !walked {
                    l.budget(stop);
                }
                let (now, end) = (l.count(count), l.count(limit));
                l.f.branch(Cond::Slt, now, end, go, stop);
                l.f.switch_to(go);
                let copy = l.f.mov(now);
                l.set_number(id, copy.into());
                Ok(())
            },
            |l| {
                l.f.end(Term::Goto(next));
                l.f.switch_to(next);
                match count {
                    VarHome::Mem(addr) => {
                        let now = l.load_at(addr, Size::DW, false);
                        let next = l.f.alu(AluOp::Add, now, 1);
                        l.store_at(addr, Size::DW, next.into());
                    }
                    _ => {
                        let now = l.count(count);
                        l.add_assign(now, 1);
                    }
                }
                l.f.end(Term::Goto(head));
                Ok(())
            },
        )
    }

    /// A number that a loop counts with, in scratch where things are settled.
    fn counter(&mut self, start: Opnd, hidden: bool) -> Result<VarHome, Restart> {
        if self.plan.settled {
            let home = self.alloc_kept(8)?;
            self.store_at(home, Size::DW, start);
            return Ok(VarHome::Mem(home));
        }
        let reg = self.f.mov(start);
        if hidden && self.target.features.may_goto {
            // A counter that starts at a number the verifier knows makes it walk each turn.
            self.forget(reg);
        }
        Ok(VarHome::Reg(reg))
    }

    fn count(&mut self, home: VarHome) -> VReg {
        match home {
            VarHome::Reg(reg) => reg,
            VarHome::Mem(addr) => self.load_at(addr, Size::DW, false),
            _ => self.f.mov(0),
        }
    }

    /// After a statement: nothing of it is in registers.
    fn settle(&mut self) -> Result<(), Restart> {
        if self.cursor.is_empty() || !matches!(self.home, Home::Scratch { .. }) {
            return Ok(());
        }
        self.park()
    }

    /// Lets the verifier see an end to a loop.
    fn budget(&mut self, stop: crate::ir::BlockId) {
        if self.target.features.may_goto {
            let go = self.f.block();
            self.f.end(Term::MayGoto { go, stop });
            self.f.switch_to(go);
        }
    }

    /// Makes the verifier forget what it knows of the numbers that a loop has: it would walk each turn. They lose all
    /// bounds, so that whatever a turn makes of them is no news.
    pub(super) fn hide(&mut self, body: &Block) {
        if !self.target.features.may_goto {
            return;
        }
        let mut vars = std::collections::BTreeSet::new();
        super::usage::each_expr(body, &mut |expr| {
            if let Some(Res::Var(var)) = self.checked.res.get(&expr.id) {
                vars.insert(*var);
            }
        });
        for var in vars {
            if let Some(VarHome::Reg(reg)) = self.vars.get(&var).copied() {
                self.forget(reg);
            }
        }
    }

    fn loop_body(
        &mut self,
        body: &Block,
        on_continue: crate::ir::BlockId,
        on_break: crate::ir::BlockId,
        head: impl FnOnce(&mut Self) -> Result<(), Restart>,
        tail: impl FnOnce(&mut Self) -> Result<(), Restart>,
    ) -> Result<(), Restart> {
        let output = has_output(self.checked, body);
        if output {
            self.park()?;
        }
        self.close_group();
        let outer = std::mem::replace(&mut self.loop_output, output);
        let cursor = self.cursor.clone();
        // What was fetched before is still right inside; what is fetched inside may not have happened after.
        let cache = self.arg_cache.clone();
        self.loops.push(Loop {
            on_continue,
            on_break,
        });
        head(self)?;
        self.block(body)?;
        if !self.f.closed() && output {
            self.park()?;
        }
        tail(self)?;
        self.loops.pop();
        self.loop_output = outer;
        self.cursor = cursor;
        self.arg_cache = cache;
        self.f.switch_to(on_break);
        Ok(())
    }

    fn unroll(&mut self, count: &Expr, body: &Block) -> Result<(), Restart> {
        let Opnd::Imm(times) = self.num(count)? else {
            return self.fail(
                count,
                "unroll needs a number that is known when the script is compiled",
            );
        };
        if !(1..=UNROLL_MAX).contains(&times) {
            return self.fail(
                count,
                format!("unroll takes 1 to {UNROLL_MAX}, not {times}"),
            );
        }
        for _ in 0..times {
            self.block(body)?;
        }
        Ok(())
    }
}
