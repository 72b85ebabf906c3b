//! Expressions: values in registers, in BPF memory, in the record, or still in the traced process.

use super::{
    helper,
    program::{Lower, Restart, VarHome},
    record::{Addr, Blob},
};
use crate::{
    asm::{AluOp, Cond, Size, Width},
    ir::{BlockId, Op, Opnd, Term, VReg},
    lang::{
        ast::{BinOp, Expr, ExprKind},
        checked::Res,
    },
    spec::{FaultKind, Type},
};

/// What an expression comes to.
#[derive(Clone, Debug)]
pub(super) enum Val {
    /// An integer, boolean or pointer, extended to 64 bits by its type.
    Num(Opnd),
    /// Bytes in BPF memory, laid out as the type says.
    Mem(Addr),
    /// Bytes of the traced process at that address, not read yet.
    User(Opnd),
    /// A string in the record.
    Blob(Blob),
    /// A string known at compile time.
    Lit(Vec<u8>),
}

/// Whether values of this type are one number.
pub(super) fn is_number(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Bool | Type::Int { .. } | Type::Enum { .. } | Type::Ptr(_)
    ) || matches!(
        ty,
        Type::Username
            | Type::Errno
            | Type::Named { .. }
            | Type::CgroupPath { .. }
            | Type::Strftime { .. }
    )
}

/// Width in memory and signedness of a number.
pub(super) fn shape(ty: &Type) -> (Size, bool) {
    match ty {
        Type::Bool => (Size::B, false),
        Type::Int { bits, signed } => (
            Size::from_bytes(u32::from(*bits) / 8).unwrap_or(Size::DW),
            *signed,
        ),
        Type::Enum { bits, .. } => (
            Size::from_bytes(u32::from(*bits) / 8).unwrap_or(Size::DW),
            false,
        ),
        _ => (Size::DW, false),
    }
}

pub(super) fn is_signed(ty: &Type) -> bool {
    shape(ty).1
}

impl Lower<'_> {
    /// An expression that must be a number.
    pub(super) fn num(&mut self, expr: &Expr) -> Result<Opnd, Restart> {
        match self.value(expr)? {
            Val::Num(n) => Ok(n),
            Val::User(addr) => Ok(addr),
            Val::Mem(addr) => {
                // An integer array cast to an integer.
                let size = self.checked.ty(expr).size(&self.checked.structs);
                match Size::from_bytes(size) {
                    Some(size) => Ok(self.load_at(addr, size, false).into()),
                    None => self.fail(expr, "this is not a number"),
                }
            }
            Val::Lit(bytes)
                if matches!(self.checked.ty(expr), Type::Array(..)) && bytes.len() <= 8 =>
            {
                let n = bytes.iter().rev().fold(0, |n, b| n << 8 | i64::from(*b));
                Ok(Opnd::Imm(n))
            }
            Val::Blob(_) | Val::Lit(_) => {
                self.fail(expr, "a string stands where a number is needed")
            }
        }
    }

    /// Lowers an expression.
    pub(super) fn value(&mut self, expr: &Expr) -> Result<Val, Restart> {
        self.at(expr.span, |l| l.value_inner(expr))
    }

    fn value_inner(&mut self, expr: &Expr) -> Result<Val, Restart> {
        match self.checked.res.get(&expr.id).cloned() {
            Some(Res::Int(v)) => {
                if self.target.cpid.is_none()
                    && matches!(&expr.kind, ExprKind::Ident(name) if name == "cpid")
                {
                    self.count_fault(FaultKind::NoChild, expr.span, Opnd::Imm(0));
                }
                return Ok(Val::Num(Opnd::Imm(v)));
            }
            Some(Res::Str(s)) => return Ok(Val::Lit(s)),
            Some(Res::Arg(n)) => return Ok(Val::Num(self.arg(expr, n)?)),
            Some(Res::Builtin(name)) => return self.builtin(expr, name),
            Some(Res::Record(fields)) => {
                let ty = self.checked.ty(expr).clone();
                let addr = self.alloc(ty.size(&self.checked.structs))?;
                self.store_known(expr, &fields, &ty, addr)?;
                return Ok(Val::Mem(addr));
            }
            Some(Res::Trace(name)) => return self.trace_field(expr, &name),
            _ => {}
        }
        match &expr.kind {
            ExprKind::Int(v) => Ok(Val::Num(Opnd::Imm(v.cast_signed()))),
            ExprKind::Bool(b) => Ok(Val::Num(Opnd::Imm(i64::from(*b)))),
            ExprKind::Str(s) => Ok(Val::Lit(s.clone())),
            ExprKind::Var(_) => self.read_var(expr),
            ExprKind::Map { key, .. } => self.read_map(expr, key.as_deref()),
            ExprKind::Unary { op, expr: inner } => self.unary(expr, *op, inner),
            ExprKind::Step {
                by,
                prefix,
                expr: inner,
            } => self.step(*by, *prefix, inner),
            ExprKind::Binary { op, left, right } => self.binary(expr, *op, left, right),
            ExprKind::Ternary { cond, then, els } => self.ternary(expr, cond, then, els),
            ExprKind::Cast { expr: inner, .. } => self.cast(expr, inner),
            ExprKind::Member { base, .. } | ExprKind::TupleItem { base, .. } => {
                self.member(expr, base)
            }
            ExprKind::Index { base, index } => self.index(expr, base, index),
            ExprKind::Tuple(_) | ExprKind::Record(_) => {
                let ty = self.checked.ty(expr).clone();
                let addr = self.alloc(ty.size(&self.checked.structs))?;
                self.store_into(expr, &ty, addr)?;
                Ok(Val::Mem(addr))
            }
            ExprKind::Block(block) => {
                for stmt in &block.stmts {
                    self.stmt(stmt)?;
                }
                match &block.value {
                    Some(value) => self.value(value),
                    None => Ok(Val::Num(Opnd::Imm(0))),
                }
            }
            _ => self.fail(expr, "this expression is not supported here"),
        }
    }

    fn read_var(&mut self, expr: &Expr) -> Result<Val, Restart> {
        let Some(Res::Var(var)) = self.checked.res.get(&expr.id) else {
            return self.fail(expr, "unknown variable");
        };
        let ty = &self.checked.vars[var.0 as usize];
        Ok(match self.vars.get(var).copied() {
            Some(VarHome::Reg(reg)) => Val::Num(reg.into()),
            Some(VarHome::Mem(addr)) if is_number(ty) => {
                let (size, signed) = shape(ty);
                Val::Num(self.load_at(addr, size, signed).into())
            }
            Some(VarHome::Mem(addr)) => Val::Mem(addr),
            Some(VarHome::Blob(at, max)) => Val::Blob(Blob { at: at.into(), max }),
            Some(VarHome::Pair(a, b)) => {
                let ty = ty.clone();
                Val::Mem(self.pair_tuple(expr, &ty, [a, b])?)
            }
            None if is_number(ty) => Val::Num(Opnd::Imm(0)),
            None => Val::Mem(self.var_memory(*var)?),
        })
    }

    /// `helper(to, size, from)`, where `helper` reads user memory. In a script that has pointers to memory of the kernel
    /// too, those (in the upper half of the address space) are read with its twin.
    pub(super) fn call_read(&mut self, helper: u32, args: Vec<Opnd>) -> VReg {
        let from = args.get(2).copied().unwrap_or(Opnd::Imm(0));
        let twin = match helper {
            helper::PROBE_READ_USER => helper::PROBE_READ_KERNEL,
            helper::PROBE_READ_USER_STR => helper::PROBE_READ_KERNEL_STR,
            other => other,
        };
        if self.is_in_kernel(from) {
            let ret = self.f.call(twin, &args);
            self.check_read(twin, ret.into());
            return ret;
        }
        if !self.usage.kernel_pointers || twin == helper {
            let ret = self.f.call(helper, &args);
            self.check_read(helper, ret.into());
            return ret;
        }
        let dst = self.f.vreg();
        let (user, kernel, on) = (self.f.block(), self.f.block(), self.f.block());
        self.f.branch(Cond::Slt, from, 0, kernel, user);
        for (block, id) in [(user, helper), (kernel, twin)] {
            self.f.switch_to(block);
            let ret = self.f.call(id, &args);
            self.f.set(dst, ret);
            self.f.end(Term::Goto(on));
        }
        self.f.switch_to(on);
        self.check_read(helper, dst.into());
        dst
    }

    /// `&$x`, `&@x`, `&@x[k]`.
    pub(super) fn address(&mut self, expr: &Expr, inner: &Expr) -> Result<Val, Restart> {
        match self.checked.res.get(&inner.id).cloned() {
            Some(Res::Var(var)) => match self.vars.get(&var).copied() {
                Some(VarHome::Mem(addr)) => Ok(Val::Num(self.addr_reg(addr).into())),
                Some(VarHome::Blob(..)) => Err(Restart::NoBlobVars),
                None => {
                    let addr = self.var_memory(var)?;
                    Ok(Val::Num(self.addr_reg(addr).into()))
                }
                _ => self.fail(expr, "the address of this variable cannot be taken"),
            },
            Some(Res::Map(_)) => self.map_address(inner).map(|v| Val::Num(v.into())),
            _ => self.fail(expr, "only variables and maps have an address"),
        }
    }

    /// Reads `size` bytes of the traced process as a number; 0 where they cannot be read.
    pub(super) fn read_user(
        &mut self,
        addr: Opnd,
        size: Size,
        signed: bool,
    ) -> Result<VReg, Restart> {
        let own = self.alloc(8)?;
        let dst = self.addr_reg(own);
        let args = vec![dst.into(), Opnd::Imm(i64::from(size.bytes())), addr];
        self.call_read(helper::PROBE_READ_USER, args);
        Ok(self.load_at(own, size, signed))
    }

    /// What a pointer into the traced process points to.
    pub(super) fn read_through(&mut self, addr: Opnd, ty: &Type) -> Result<Val, Restart> {
        if is_number(ty) {
            let (size, signed) = shape(ty);
            return Ok(Val::Num(self.read_user(addr, size, signed)?.into()));
        }
        Ok(Val::User(addr))
    }

    fn ternary(
        &mut self,
        expr: &Expr,
        cond: &Expr,
        then: &Expr,
        els: &Expr,
    ) -> Result<Val, Restart> {
        let ty = self.checked.ty(expr).clone();
        let (yes, no, on) = (self.f.block(), self.f.block(), self.f.block());
        let output = self.output_inside(then) || self.output_inside(els);
        if !is_number(&ty) && ty != Type::Void {
            let addr = self.alloc(ty.size(&self.checked.structs))?;
            if !output {
                self.store_into(expr, &ty, addr)?;
                return Ok(Val::Mem(addr));
            }
            self.parked_cond(cond, yes, no)?;
            let (cache, cursor) = (self.arg_cache.clone(), self.cursor.clone());
            for (block, e) in [(yes, then), (no, els)] {
                self.f.switch_to(block);
                self.cursor = cursor.clone();
                self.store_into(e, &ty, addr)?;
                self.park()?;
                self.f.end(Term::Goto(on));
                self.arg_cache = cache.clone();
            }
            self.cursor = cursor;
            self.f.switch_to(on);
            return Ok(Val::Mem(addr));
        }
        let dst = self.f.vreg();
        if output {
            self.parked_cond(cond, yes, no)?;
        } else {
            self.cond(cond, yes, no)?;
        }
        let (cache, cursor) = (self.arg_cache.clone(), self.cursor.clone());
        for (block, e) in [(yes, then), (no, els)] {
            self.f.switch_to(block);
            self.cursor = cursor.clone();
            let v = self.num(e)?;
            let v = self.fit(v, &ty);
            self.f.set(dst, v);
            if output && !self.f.closed() {
                self.park()?;
            }
            self.f.end(Term::Goto(on));
            self.arg_cache = cache.clone();
        }
        self.cursor = cursor;
        self.f.switch_to(on);
        Ok(Val::Num(dst.into()))
    }

    /// `cond`, ahead of branches that print: the position is parked when they part, whatever the condition prints.
    pub(super) fn parked_cond(
        &mut self,
        cond: &Expr,
        yes: BlockId,
        no: BlockId,
    ) -> Result<(), Restart> {
        if self.output_inside(cond) {
            let truth = self.truth(cond)?;
            self.park()?;
            self.f.branch(Cond::Ne, truth, 0, yes, no);
            return Ok(());
        }
        self.park()?;
        self.cond(cond, yes, no)
    }

    pub(super) fn output_inside(&self, expr: &Expr) -> bool {
        let block = crate::lang::ast::Block {
            stmts: Vec::new(),
            value: Some(Box::new(expr.clone())),
            span: expr.span,
        };
        super::usage::prints(self.checked, &block)
    }

    fn cast(&mut self, expr: &Expr, inner: &Expr) -> Result<Val, Restart> {
        let (to, from) = (
            self.checked.ty(expr).clone(),
            self.checked.ty(inner).clone(),
        );
        if let (Type::Str { .. }, Type::Bool) = (&from, &to) {
            let text = self.value(inner)?;
            let addr = self.in_memory(text, &from)?;
            let first = self.load_at(addr, Size::B, false);
            return Ok(Val::Num(self.flag(Cond::Ne, first)));
        }
        if is_number(&to) {
            let v = self.operand(inner)?;
            // No sign is carried into an address.
            let v = match (&from, &to) {
                (Type::Int { bits, signed: true }, Type::Ptr(_)) if *bits < 64 => {
                    let bare = Type::Int {
                        bits: *bits,
                        signed: false,
                    };
                    self.fit(v, &bare)
                }
                _ => v,
            };
            return Ok(Val::Num(if from == to { v } else { self.fit(v, &to) }));
        }
        if is_number(&from) && matches!(to, Type::Array(..)) {
            let v = self.num(inner)?;
            let size = to.size(&self.checked.structs);
            let addr = self.alloc(size.max(8))?;
            if let Some(size) = Size::from_bytes(size) {
                self.store_at(addr, size, v);
                return Ok(Val::Mem(addr));
            }
            return self.fail(expr, "an integer can only become an array of its own size");
        }
        self.value(inner)
    }

    fn member(&mut self, expr: &Expr, base: &Expr) -> Result<Val, Restart> {
        if let (Some(Res::Item(i)), Some(Res::Var(var))) = (
            self.checked.res.get(&expr.id),
            self.checked.res.get(&base.id),
        ) && let Some(VarHome::Pair(a, b)) = self.vars.get(var).copied()
        {
            let part = if *i == 0 { a } else { b };
            return Ok(self.part_value(part));
        }
        let base_ty = self.checked.ty(base).clone();
        let (offset, ty, bits) = match self.checked.res.get(&expr.id).cloned() {
            Some(Res::Member { offset, ty, bits }) => (offset, ty, bits),
            Some(Res::Item(i)) => {
                let offsets = base_ty.offsets(&self.checked.structs);
                let ty = self.checked.ty(expr).clone();
                (offsets.get(i as usize).copied().unwrap_or(0), ty, None)
            }
            _ => return self.fail(expr, "unknown member"),
        };
        let number = match self.value(base)? {
            Val::Mem(addr) if is_number(&ty) => {
                let (size, signed) = shape(&ty);
                self.load_at(addr.plus(offset), size, signed && bits.is_none())
            }
            Val::Mem(addr) => match (&ty, self.checked.res.get(&expr.id)) {
                (Type::Str { size }, Some(Res::Member { .. })) => {
                    let size = *size;
                    let to = self.alloc(size + 1)?;
                    self.copy(addr.plus(offset), to, size);
                    self.store_at(to.plus(size), Size::B, Opnd::Imm(0));
                    return Ok(Val::Mem(to));
                }
                _ => return Ok(Val::Mem(addr.plus(offset))),
            },
            Val::Num(ptr) if matches!(base_ty, Type::Ptr(_)) && is_context(self.checked, base) => {
                let (size, signed) = shape(&ty);
                let _ = ptr;
                let field = self.iterator_field(offset, size, signed)?;
                self.mark_pointer(field.into(), &ty);
                return Ok(Val::Num(field.into()));
            }
            Val::Num(ptr) | Val::User(ptr) => {
                let at = if offset == 0 {
                    ptr
                } else {
                    let inside = self.f.alu(AluOp::Add, ptr, i64::from(offset));
                    if self.is_in_kernel(ptr) {
                        self.mark_kernel(inside);
                    }
                    inside.into()
                };
                if !is_number(&ty) {
                    return Ok(Val::User(at));
                }
                let (size, signed) = shape(&ty);
                self.read_user(at, size, signed && bits.is_none())?
            }
            Val::Blob(_) | Val::Lit(_) => return self.fail(expr, "a string has no members"),
        };
        Ok(Val::Num(match bits {
            None => number.into(),
            Some((first, width)) => {
                let up = self
                    .f
                    .alu(AluOp::Lsh, number, i64::from(64 - first - width));
                // As in bpftrace, without a sign whatever the type says.
                self.f.alu(AluOp::Rsh, up, i64::from(64 - width)).into()
            }
        }))
    }

    fn index(&mut self, expr: &Expr, base: &Expr, index: &Expr) -> Result<Val, Restart> {
        let base_ty = self.checked.ty(base).clone();
        let ty = self.checked.ty(expr).clone();
        if let Some(Res::Item(_)) = self.checked.res.get(&expr.id) {
            return self.member(expr, base);
        }
        let (elem, len) = match &base_ty {
            Type::Array(elem, len) => ((**elem).clone(), Some(*len)),
            Type::Ptr(elem) => ((**elem).clone(), None),
            Type::Str { size } => (Type::U8, Some(*size)),
            _ => return self.fail(expr, "this value cannot be indexed"),
        };
        let base_val = self.value(base)?;
        let at = self.num(index)?;
        let off = self.scaled(at, &elem);
        match base_val {
            Val::Num(ptr) | Val::User(ptr) => {
                let addr = self.f.alu(AluOp::Add, ptr, off);
                let known = self.is_in_kernel(ptr);
                let place = match (len, &base_ty) {
                    // An address that cannot be read, which gives 0.
                    (Some(len), Type::Array(..)) => self.within(at, len, addr),
                    _ => addr.into(),
                };
                if let (true, Opnd::Reg(place)) = (known, place) {
                    self.mark_kernel(place);
                }
                self.read_through(place, &ty)
            }
            Val::Mem(addr) => {
                let place = match off {
                    Opnd::Imm(off) => {
                        let bound = i64::from(base_ty.size(&self.checked.structs));
                        if !(0..bound).contains(&off) {
                            return self.fail(
                                expr,
                                format!("index is outside of the {} elements", len.unwrap_or(0)),
                            );
                        }
                        addr.plus(u32::try_from(off).unwrap_or(0))
                    }
                    Opnd::Reg(_) => return self.element_at(addr, at, len.unwrap_or(0), &elem),
                };
                if is_number(&ty) {
                    let (size, signed) = shape(&ty);
                    return Ok(Val::Num(self.load_at(place, size, signed).into()));
                }
                Ok(Val::Mem(place))
            }
            Val::Lit(s) => match off {
                Opnd::Imm(i) => {
                    let byte = usize::try_from(i)
                        .ok()
                        .and_then(|i| s.get(i))
                        .copied()
                        .unwrap_or(0);
                    Ok(Val::Num(Opnd::Imm(i64::from(byte))))
                }
                Opnd::Reg(_) => {
                    let size = u32::try_from(s.len() + 1).unwrap_or(1);
                    let own = self.alloc(size)?;
                    self.store_bytes(own, &[&s[..], &[0]].concat());
                    self.element_at(own, at, size, &elem)
                }
            },
            Val::Blob(_) => Err(Restart::NoBlobVars),
        }
    }

    /// `addr`, or 0 where the index `at` is not one of `len`.
    fn within(&mut self, at: Opnd, len: u32, addr: VReg) -> Opnd {
        if matches!(at, Opnd::Imm(n) if (0..i64::from(len)).contains(&n)) {
            return addr.into();
        }
        let dst = self.f.mov(addr);
        let (outside, on) = (self.f.block(), self.f.block());
        self.f.branch(Cond::Lt, at, i64::from(len), on, outside);
        self.f.switch_to(outside);
        if let Some(span) = self.f.span() {
            self.count_fault(FaultKind::Bounds, span, Opnd::Imm(0));
        }
        self.f.set(dst, 0);
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        dst.into()
    }

    /// `a op b` for jump conditions of 64 bits, for callers that build loops.
    pub(super) fn add_assign(&mut self, reg: VReg, by: i64) {
        self.f.push(Op::Alu {
            op: AluOp::Add,
            width: Width::W64,
            dst: reg,
            a: reg.into(),
            b: Opnd::Imm(by),
        });
    }
}

fn is_context(checked: &crate::lang::checked::Checked, expr: &Expr) -> bool {
    matches!(checked.res.get(&expr.id), Some(Res::Builtin("ctx")))
}

pub(super) fn is_scalar(ty: &Type) -> bool {
    is_number(ty) || matches!(ty, Type::Agg(_))
}

pub(super) fn is_comparison(op: BinOp) -> bool {
    matches!(
        op,
        BinOp::Eq | BinOp::Ne | BinOp::Lt | BinOp::Le | BinOp::Gt | BinOp::Ge
    )
}

/// `v` cut to `size` and extended again.
pub(super) fn cut(v: i64, size: Size, signed: bool) -> i64 {
    let shift = 64 - 8 * size.bytes();
    if signed {
        v << shift >> shift
    } else {
        (v.cast_unsigned() << shift >> shift).cast_signed()
    }
}
