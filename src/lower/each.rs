//! `for ($kv : @map)`: the body becomes a function that `bpf_for_each_map_elem` calls for each element.
//!
//! The function cannot see the registers of its caller. What it shares with it goes through a frame on the caller's
//! stack, whose address it is given: the context, the scratch buffer, the variables that the body uses. Numbers are
//! written back on each way out.
//!
//! ```text
//! frame := u64 stopped · u64 context · u64 scratch buffer · u64 a variable or base address, as many as there are
//! ```

use super::{
    helper,
    program::{Loop, Lower, Restart, VarHome},
    record::{Addr, Cursor, Home},
    usage::{each_expr, has_output},
    value::{Val, is_number, shape},
};
use crate::{
    asm::{Cond, Size},
    ir::{FuncBuilder, FuncId, Op, Opnd, Term, VReg},
    lang::{
        ast::{Block, Expr, ExprKind, StmtKind},
        checked::{MapId, Res, VarId},
    },
    spec::Type,
};
use std::collections::BTreeMap;

/// Offset of the word that says that the whole probe ends.
const STOPPED: i16 = 0;
const CONTEXT: i16 = 8;
const SCRATCH: i16 = 16;
const FIRST: i16 = 24;

/// The callback being built.
#[derive(Clone, Debug)]
pub(super) struct Callback {
    /// Address of the frame.
    frame: VReg,
}

/// Key or value of the current element.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// A number, read when the body began.
    Number(VReg),
    /// Bytes in memory.
    Bytes(Addr),
}

impl Lower<'_> {
    /// `for ($kv : @map) { … }`.
    pub(super) fn for_map(
        &mut self,
        var: &Expr,
        map_expr: &Expr,
        body: &Block,
    ) -> Result<(), Restart> {
        if !self.target.features.for_each_map_elem {
            return self.fail(
                map_expr,
                "`for` over a map needs a kernel with bpf_for_each_map_elem (5.13)",
            );
        }
        let map = self.map_of(map_expr)?;
        let (output, leaves) = (has_output(self.checked, body), leaves(self, body));
        if output || leaves {
            self.park()?;
        }
        self.hide(body);
        // What the body uses of the variables that there are.
        let used = vars_in(self, body);
        let all = vars_in(self, &self.probe.body);
        let (own, used): (Vec<_>, Vec<_>) = used
            .into_iter()
            .partition(|(var, times)| all.get(var) == Some(times));
        let shared: Vec<(VarId, VarHome)> = used
            .iter()
            .filter_map(|(v, _)| Some((*v, self.vars.get(v).copied()?)))
            .collect();
        let own: Vec<VarId> = own.into_iter().map(|(var, _)| var).collect();
        let scratch = self.scratch;
        let shown: Vec<VReg> = shared
            .iter()
            .flat_map(|(_, home)| words(*home, scratch))
            .collect();
        let size = u32::from(FIRST.unsigned_abs()) + 8 * u32::try_from(shown.len()).unwrap_or(0);
        if size > 400 {
            return self.fail(map_expr, "the body of this loop uses too many variables");
        }
        let slot = self.f.slot(size, 8);
        let frame = self.slot_base(slot);
        self.f.store(Size::DW, frame, STOPPED, 0);
        let ctx = self.ctx();
        self.f.store(Size::DW, frame, CONTEXT, ctx);
        if let Some(scratch) = self.scratch {
            self.f.store(Size::DW, frame, SCRATCH, scratch);
        }
        for (i, word) in shown.iter().enumerate() {
            self.f.store(Size::DW, frame, nth(i), *word);
        }
        let func = self.callback_of(var, map, body, (&shared, &own), output || leaves)?;
        let (ptr, code) = (self.f.vreg(), self.f.vreg());
        self.f.push(Op::Map {
            dst: ptr,
            map: map.0,
        });
        self.f.push(Op::FuncAddr { dst: code, func });
        let args = vec![ptr.into(), code.into(), frame.into(), Opnd::Imm(0)];
        self.f.push(Op::Call {
            dst: None,
            helper: helper::FOR_EACH_MAP_ELEM,
            args,
        });
        let mut i = 0;
        for (_, home) in &shared {
            if let VarHome::Reg(reg) = home {
                let new = self.f.load(Size::DW, frame, nth(i));
                self.f.set(*reg, new);
            }
            i += words(*home, scratch).len();
        }
        if leaves {
            let stopped = self.f.load(Size::DW, frame, STOPPED);
            let (end, on) = (self.f.block(), self.f.block());
            self.f.branch(Cond::Ne, stopped, 0, end, on);
            self.f.switch_to(end);
            self.finish()?;
            self.f.switch_to(on);
        }
        Ok(())
    }

    /// Builds the function of the body.
    fn callback_of(
        &mut self,
        var: &Expr,
        map: MapId,
        body: &Block,
        (shared, own): (&[(VarId, VarHome)], &[VarId]),
        output: bool,
    ) -> Result<FuncId, Restart> {
        let place = self.callbacks.len();
        self.callbacks.push(None);
        let id = FuncId(u32::try_from(place + 1).unwrap_or(u32::MAX));
        let mut inner = FuncBuilder::new(format!("each_{}", place + 1));
        let span = self.f.set_span(None);
        self.f.set_span(span);
        inner.set_span(span);
        let outer = std::mem::replace(&mut self.f, inner);
        let outer_stack = std::mem::take(&mut self.on_stack);
        let outer_pool = std::mem::take(&mut self.pool);
        let (key, value, frame) = (self.f.vreg(), self.f.vreg(), self.f.vreg());
        for (dst, index) in [(key, 1), (value, 2), (frame, 3)] {
            self.f.push(Op::Arg { dst, index });
        }
        let ctx = self.f.load(Size::DW, frame, CONTEXT);
        let outer_ctx = self.ctx.replace(ctx);
        let scratch = self.scratch.map(|_| self.f.load(Size::DW, frame, SCRATCH));
        let outer_scratch = std::mem::replace(&mut self.scratch, scratch);
        let outer_home = self.home;
        if let (Home::Scratch { start, .. }, Some(base)) = (outer_home, scratch) {
            self.home = Home::Scratch { base, start };
        }
        let outer_callback = self.callback.replace(Callback { frame });
        let (on_break, on_continue) = (self.f.block(), self.f.block());
        let outer_release = std::mem::replace(&mut self.release_block, on_break);
        let outer_loops = std::mem::replace(
            &mut self.loops,
            vec![Loop {
                on_continue,
                on_break,
            }],
        );
        let outer_output = std::mem::replace(&mut self.loop_output, output);
        let mut empty = Cursor::start();
        empty.set_parked(output);
        let outer_cursor = std::mem::replace(&mut self.cursor, empty);
        let constants = self
            .arg_cache
            .iter()
            .filter(|(_, v)| matches!(v, Opnd::Imm(_)))
            .map(|(n, v)| (*n, *v))
            .collect();
        let outer_cache = std::mem::replace(&mut self.arg_cache, constants);
        let outer_vars = std::mem::take(&mut self.vars);
        let mut back = Vec::new();
        let mut i = 0;
        for (var, home) in shared {
            let at = i;
            let mut word = |l: &mut Self, was: VReg| {
                if let (true, Some(scratch)) = (Some(was) == outer_scratch, scratch) {
                    return scratch;
                }
                let reg = l.f.load(Size::DW, frame, nth(i));
                if outer_stack.contains(&was) {
                    l.on_stack.insert(reg);
                }
                i += 1;
                reg
            };
            let new = match *home {
                VarHome::Reg(was) => {
                    let loaded = word(self, was);
                    let reg = self.f.mov(loaded);
                    back.push((at, reg));
                    VarHome::Reg(reg)
                }
                VarHome::Mem(addr) => VarHome::Mem(Addr {
                    base: word(self, addr.base),
                    off: addr.off,
                }),
                VarHome::Blob(at, max) => VarHome::Blob(word(self, at), max),
                VarHome::Pair(a, b) => {
                    let mut part = |l: &mut Self, p| match p {
                        Part::Number(was) => Part::Number(word(l, was)),
                        Part::Bytes(addr) => Part::Bytes(Addr {
                            base: word(l, addr.base),
                            off: addr.off,
                        }),
                    };
                    let first = part(self, a);
                    VarHome::Pair(first, part(self, b))
                }
            };
            self.vars.insert(*var, new);
        }
        for var in own {
            if matches!(outer_vars.get(var), Some(VarHome::Reg(_))) {
                let reg = self.f.mov(0);
                self.vars.insert(*var, VarHome::Reg(reg));
            } else if let (Some(VarHome::Mem(addr)), Some(base)) = (outer_vars.get(var), scratch)
                && Some(addr.base) == outer_scratch
                && self.is_number(*var)
            {
                let home = Addr {
                    base,
                    off: addr.off,
                };
                self.store_at(home, Size::DW, Opnd::Imm(0));
                self.vars.insert(*var, VarHome::Mem(home));
            } else if let Some(VarHome::Mem(_)) = outer_vars.get(var)
                && self.is_number(*var)
            {
                // Its address is taken: a place in this function's own frame.
                let slot = self.f.slot(8, 8);
                let base = self.slot_base(slot);
                self.f.store(Size::DW, base, 0, 0);
                self.vars.insert(*var, VarHome::Mem(Addr { base, off: 0 }));
            }
        }
        let result = self.element(var, map, key, value, body, output);
        for (block, code) in [(on_continue, 0), (on_break, 1)] {
            self.f.switch_to(block);
            for (at, reg) in &back {
                self.f.store(Size::DW, frame, nth(*at), *reg);
            }
            self.f.end(Term::Exit(Opnd::Imm(code)));
        }
        let func = std::mem::replace(&mut self.f, outer).finish();
        self.callbacks[place] = Some(func);
        self.on_stack = outer_stack;
        self.pool = outer_pool;
        self.ctx = outer_ctx;
        self.scratch = outer_scratch;
        self.home = outer_home;
        self.callback = outer_callback;
        self.release_block = outer_release;
        self.loops = outer_loops;
        self.loop_output = outer_output;
        self.cursor = outer_cursor;
        self.arg_cache = outer_cache;
        self.vars = outer_vars;
        result.map(|()| id)
    }

    /// The body on one element; the current block is closed afterwards.
    fn element(
        &mut self,
        var: &Expr,
        map: MapId,
        key: VReg,
        value: VReg,
        body: &Block,
        output: bool,
    ) -> Result<(), Restart> {
        let info = self.checked.maps[map.0 as usize].clone();
        let Some(Res::Var(id)) = self.checked.res.get(&var.id).cloned() else {
            return self.fail(var, "this is not a variable");
        };
        let Some(key_ty) = info.key else {
            return self.fail(var, "this map has no keys to go over");
        };
        let kept = !touches(self, body, map);
        let at = |base| Addr { base, off: 0 };
        let first = self.part(at(key), &key_ty, kept)?;
        let second = match &info.value {
            Type::Agg(agg) => match self.sum_shares(var, super::map::Key::whole(map, key), agg)? {
                Val::Num(n) => Part::Number(self.f.mov(n)),
                _ => return self.fail(var, "this aggregation is not a number"),
            },
            ty => self.part(at(value), ty, kept)?,
        };
        self.vars.insert(id, VarHome::Pair(first, second));
        self.block(body)?;
        if !self.f.closed() && output {
            self.park()?;
        }
        if let Some(l) = self.loops.last().copied() {
            self.f.end(Term::Goto(l.on_continue));
        }
        Ok(())
    }

    /// A key or value as the body sees it; a copy where the body may change the map.
    fn part(&mut self, at: Addr, ty: &Type, kept: bool) -> Result<Part, Restart> {
        if is_number(ty) {
            let (size, signed) = shape(ty);
            return Ok(Part::Number(self.load_at(at, size, signed)));
        }
        if kept {
            return Ok(Part::Bytes(at));
        }
        let size = ty.size(&self.checked.structs);
        let own = self.alloc(size.max(1))?;
        self.copy(at, own, size);
        Ok(Part::Bytes(own))
    }

    /// Key or value of a pair as a value.
    pub(super) fn part_value(&mut self, part: Part) -> Val {
        match part {
            Part::Number(reg) => Val::Num(reg.into()),
            Part::Bytes(addr) => Val::Mem(addr),
        }
    }

    /// The pair as a tuple in memory.
    pub(super) fn pair_tuple(
        &mut self,
        expr: &Expr,
        ty: &Type,
        pair: [Part; 2],
    ) -> Result<Addr, Restart> {
        let Type::Tuple(types) = ty else {
            return self.fail(expr, "this is not a pair");
        };
        let to = self.alloc(ty.size(&self.checked.structs))?;
        let offsets = ty.offsets(&self.checked.structs);
        self.clear_padding(ty, to);
        for ((part, ty), off) in pair.into_iter().zip(types).zip(offsets) {
            let val = self.part_value(part);
            self.store_val(val, ty, ty, to.plus(off))?;
        }
        Ok(to)
    }

    /// Ends the whole probe from inside a callback: the caller sends the record.
    pub(super) fn stop_from_callback(&mut self) -> Result<(), Restart> {
        let Some(callback) = self.callback.clone() else {
            return Ok(());
        };
        self.park()?;
        self.f.store(Size::DW, callback.frame, STOPPED, 1);
        self.f.end(Term::Exit(Opnd::Imm(1)));
        Ok(())
    }
}

fn nth(i: usize) -> i16 {
    FIRST + 8 * i16::try_from(i).unwrap_or(0)
}

/// What of a variable's home goes through the frame; the scratch buffer has a word of its own.
fn words(home: VarHome, scratch: Option<VReg>) -> Vec<VReg> {
    let part = |p| match p {
        Part::Number(reg) => reg,
        Part::Bytes(addr) => addr.base,
    };
    let mut words = match home {
        VarHome::Reg(reg) | VarHome::Blob(reg, _) => vec![reg],
        VarHome::Mem(addr) => vec![addr.base],
        VarHome::Pair(a, b) => vec![part(a), part(b)],
    };
    words.retain(|word| Some(*word) != scratch);
    words
}

/// The variables of a block, and how often each appears.
fn vars_in(l: &Lower<'_>, body: &Block) -> BTreeMap<VarId, u32> {
    let mut found = BTreeMap::new();
    each_expr(body, &mut |expr| {
        if let Some(Res::Var(var)) = l.checked.res.get(&expr.id) {
            *found.entry(*var).or_default() += 1;
        }
    });
    found
}

/// Whether the body names the map it goes over.
fn touches(l: &Lower<'_>, body: &Block, map: MapId) -> bool {
    let mut found = false;
    each_expr(body, &mut |expr| {
        found |= matches!(expr.kind, ExprKind::Map { .. })
            && l.checked.res.get(&expr.id) == Some(&Res::Map(map));
    });
    found
}

/// Whether a path through the body ends the probe.
fn leaves(l: &Lower<'_>, body: &Block) -> bool {
    let mut found = returns(body);
    each_expr(body, &mut |expr| {
        found |= matches!(l.checked.res.get(&expr.id), Some(Res::Builtin("exit")));
        if let ExprKind::Block(block) = &expr.kind {
            found |= returns(block);
        }
    });
    found
}

fn returns(block: &Block) -> bool {
    block.stmts.iter().any(|stmt| match &stmt.kind {
        StmtKind::Return(_) => true,
        StmtKind::If { then, els, .. } => returns(then) || els.as_ref().is_some_and(returns),
        StmtKind::While { body, .. }
        | StmtKind::ForMap { body, .. }
        | StmtKind::ForRange { body, .. }
        | StmtKind::Unroll { body, .. }
        | StmtKind::Block(body) => returns(body),
        _ => false,
    })
}
