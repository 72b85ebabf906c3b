//! Expressions: values in registers, in BPF memory, in the record, or still in the traced process.

use super::{
    helper,
    program::{Lower, Restart, VarHome},
    record::{Addr, Blob},
};
use crate::{
    asm::{AluOp, Cond, Size, Width},
    ir::{Op, Opnd, Term, VReg},
    lang::{
        ast::{BinOp, Expr, ExprKind, UnOp},
        checked::{Point, Res},
    },
    span::Span,
    spec::{ArgLoc, FaultKind, IndexExt, Type, UsdtArg},
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
            | Type::CgroupPath
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

fn is_signed(ty: &Type) -> bool {
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

    /// `opnd` cut or extended to the range of `ty`.
    pub(super) fn fit(&mut self, opnd: Opnd, ty: &Type) -> Opnd {
        let (size, signed) = shape(ty);
        match (opnd, size) {
            (_, Size::DW) => opnd,
            (Opnd::Imm(v), _) => Opnd::Imm(cut(v, size, signed)),
            (Opnd::Reg(_), _) => {
                let dst = self.f.vreg();
                self.f.push(Op::Ext {
                    dst,
                    src: opnd,
                    from: size,
                    signed,
                });
                dst.into()
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
    fn address(&mut self, expr: &Expr, inner: &Expr) -> Result<Val, Restart> {
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

    /// `argN`: a function's argument, or a USDT operand.
    fn arg(&mut self, expr: &Expr, n: u32) -> Result<Opnd, Restart> {
        if let Some(known) = self.arg_cache.get(&n) {
            return Ok(*known);
        }
        let value = if matches!(self.point.point, Point::Usdt { .. }) {
            match self.args.get(n as usize).cloned() {
                Some(arg) => self.usdt_arg(expr, n, &arg)?,
                None => return self.fail(expr, format!("this probe has no arg{n}")),
            }
        } else if matches!(
            self.point.point,
            Point::RawTracepoint(_) | Point::Trampoline { .. }
        ) {
            self.kernel_arg(n)
        } else {
            let ctx = self.ctx();
            match self.abi.args.get(n as usize) {
                Some(reg) => self.f.load(Size::DW, ctx, reg.cast_signed()).into(),
                None => {
                    let nth = i64::from(n) - i64::try_from(self.abi.args.len()).unwrap_or(0);
                    let sp = self.f.load(Size::DW, ctx, self.abi.sp.cast_signed());
                    let at = self.f.alu(AluOp::Add, sp, self.abi.stack_args + 8 * nth);
                    self.read_user(at.into(), Size::DW, false)?.into()
                }
            }
        };
        self.arg_cache.insert(n, value);
        Ok(value)
    }

    fn usdt_arg(&mut self, expr: &Expr, n: u32, arg: &UsdtArg) -> Result<Opnd, Restart> {
        let size = match Size::from_bytes(u32::from(arg.size)) {
            Some(size) if !arg.float => size,
            _ => {
                return self.fail(
                    expr,
                    format!("arg{n} is `{}`: floating point cannot be read", arg.text),
                );
            }
        };
        let ctx = self.ctx();
        Ok(match &arg.loc {
            ArgLoc::Const(v) => Opnd::Imm(cut(*v, size, arg.signed)),
            ArgLoc::Reg { reg } => {
                let v = self.f.load(Size::DW, ctx, reg.cast_signed());
                let ty = Type::Int {
                    bits: arg.size * 8,
                    signed: arg.signed,
                };
                self.fit(v.into(), &ty)
            }
            ArgLoc::Mem { base, index, disp } => {
                let mut addr: Option<VReg> =
                    base.map(|reg| self.f.load(Size::DW, ctx, reg.cast_signed()));
                if let Some((reg, scale, ext)) = index {
                    let raw = self.f.load(Size::DW, ctx, reg.cast_signed());
                    let wide = match ext {
                        IndexExt::Full => raw,
                        IndexExt::Sxtw | IndexExt::Uxtw => {
                            let dst = self.f.vreg();
                            let signed = *ext == IndexExt::Sxtw;
                            self.f.push(Op::Ext {
                                dst,
                                src: raw.into(),
                                from: Size::W,
                                signed,
                            });
                            dst
                        }
                    };
                    let scaled = if *scale == 1 {
                        wide
                    } else {
                        self.f.alu(AluOp::Mul, wide, i64::from(*scale))
                    };
                    addr = Some(match addr {
                        Some(base) => self.f.alu(AluOp::Add, base, scaled),
                        None => scaled,
                    });
                }
                let at: Opnd = match addr {
                    None => Opnd::Imm(*disp),
                    Some(a) if *disp == 0 => a.into(),
                    Some(a) => self.f.alu(AluOp::Add, a, *disp).into(),
                };
                self.read_user(at, size, arg.signed)?.into()
            }
            ArgLoc::IpRel { delta } => {
                let ip = self.f.load(Size::DW, ctx, self.abi.ip.cast_signed());
                let at = self.f.alu(AluOp::Add, ip, *delta);
                self.read_user(at.into(), size, arg.signed)?.into()
            }
            ArgLoc::Unreadable(why) => {
                return self.fail(expr, format!("arg{n} is `{}`: {why}", arg.text));
            }
        })
    }

    fn unary(&mut self, expr: &Expr, op: UnOp, inner: &Expr) -> Result<Val, Restart> {
        let ty = self.checked.ty(expr).clone();
        match op {
            // As in bpftrace: the result has the operand's bits, and reads as unsigned until it is an operand itself.
            UnOp::Neg | UnOp::BitNot => {
                let v = self.operand(inner)?;
                let n: Opnd = match (op, v) {
                    (UnOp::BitNot, _) => self.f.alu(AluOp::Xor, v, -1).into(),
                    (_, Opnd::Imm(v)) => Opnd::Imm(v.wrapping_neg()),
                    (_, Opnd::Reg(_)) => {
                        let dst = self.f.vreg();
                        self.f.push(Op::Neg { dst, src: v });
                        dst.into()
                    }
                };
                let bits = match self.checked.ty(inner) {
                    Type::Int { bits, .. } | Type::Enum { bits, .. } => *bits,
                    Type::Bool => 8,
                    _ => 64,
                };
                let unsigned = Type::Int {
                    bits,
                    signed: false,
                };
                Ok(Val::Num(self.fit(n, &unsigned)))
            }
            UnOp::Not => Ok(Val::Num(self.truth(expr)?)),
            UnOp::Deref => {
                let addr = self.num(inner)?;
                self.read_through(addr, &ty)
            }
            UnOp::AddrOf => self.address(expr, inner),
        }
    }

    /// What a pointer into the traced process points to.
    pub(super) fn read_through(&mut self, addr: Opnd, ty: &Type) -> Result<Val, Restart> {
        if is_number(ty) {
            let (size, signed) = shape(ty);
            return Ok(Val::Num(self.read_user(addr, size, signed)?.into()));
        }
        Ok(Val::User(addr))
    }

    /// A condition as 0 or 1.
    fn truth(&mut self, expr: &Expr) -> Result<Opnd, Restart> {
        let dst = self.f.vreg();
        let (yes, no, on) = (self.f.block(), self.f.block(), self.f.block());
        let cache = self.arg_cache.clone();
        self.cond(expr, yes, no)?;
        self.arg_cache = cache;
        for (block, v) in [(yes, 1), (no, 0)] {
            self.f.switch_to(block);
            self.f.set(dst, v);
            self.f.end(Term::Goto(on));
        }
        self.f.switch_to(on);
        Ok(dst.into())
    }

    /// Jumps to `yes` or `no` by the truth of `expr`. The current block is closed afterwards.
    pub(super) fn cond(
        &mut self,
        expr: &Expr,
        yes: crate::ir::BlockId,
        no: crate::ir::BlockId,
    ) -> Result<(), Restart> {
        if !matches!(self.checked.res.get(&expr.id), Some(Res::Int(_))) {
            match &expr.kind {
                ExprKind::Unary {
                    op: UnOp::Not,
                    expr: inner,
                } => return self.cond(inner, no, yes),
                ExprKind::Binary {
                    op: BinOp::LogAnd,
                    left,
                    right,
                } => {
                    let next = self.f.block();
                    self.cond(left, next, no)?;
                    self.f.switch_to(next);
                    let cache = self.arg_cache.clone();
                    self.cond(right, yes, no)?;
                    self.arg_cache = cache;
                    return Ok(());
                }
                ExprKind::Binary {
                    op: BinOp::LogOr,
                    left,
                    right,
                } => {
                    let next = self.f.block();
                    self.cond(left, yes, next)?;
                    self.f.switch_to(next);
                    let cache = self.arg_cache.clone();
                    self.cond(right, yes, no)?;
                    self.arg_cache = cache;
                    return Ok(());
                }
                ExprKind::Binary { op, left, right } if is_comparison(*op) => {
                    return self.at(expr.span, |l| l.compare(expr, *op, left, right, yes, no));
                }
                _ => {}
            }
        }
        match self.value(expr)? {
            Val::Num(n) => self.f.branch(Cond::Ne, n, 0, yes, no),
            Val::User(n) => self.f.branch(Cond::Ne, n, 0, yes, no),
            Val::Lit(s) => self.f.end(Term::Goto(if s.is_empty() { no } else { yes })),
            Val::Mem(addr) => {
                let first = self.load_at(addr, Size::B, false);
                self.f.branch(Cond::Ne, first, 0, yes, no);
            }
            Val::Blob(_) => return self.fail(expr, "a string is not a condition"),
        }
        Ok(())
    }

    fn compare(
        &mut self,
        expr: &Expr,
        op: BinOp,
        left: &Expr,
        right: &Expr,
        yes: crate::ir::BlockId,
        no: crate::ir::BlockId,
    ) -> Result<(), Restart> {
        let (lt, rt) = (
            self.checked.ty(left).clone(),
            self.checked.ty(right).clone(),
        );
        if !(is_scalar(&lt) && is_scalar(&rt)) {
            let (same, differ) = if op == BinOp::Eq {
                (yes, no)
            } else {
                (no, yes)
            };
            if !matches!(op, BinOp::Eq | BinOp::Ne) {
                return self.fail(expr, "these values can only be compared with == and !=");
            }
            return self.compare_bytes(expr, left, right, same, differ);
        }
        let a = self.operand(left)?;
        let b = self.operand(right)?;
        // As bpftrace compares: unsigned when no signed number takes part; positive constants take the other's sign.
        let has_sign = |ty: &Type, n: Opnd| {
            (is_signed(ty) || matches!(ty, Type::Agg(_))) && !matches!(n, Opnd::Imm(0..))
        };
        let signed = has_sign(&lt, a) || has_sign(&rt, b);
        let cond = match (op, signed) {
            (BinOp::Eq, _) => Cond::Eq,
            (BinOp::Ne, _) => Cond::Ne,
            (BinOp::Lt, false) => Cond::Lt,
            (BinOp::Le, false) => Cond::Le,
            (BinOp::Gt, false) => Cond::Gt,
            (BinOp::Ge, false) => Cond::Ge,
            (BinOp::Lt, true) => Cond::Slt,
            (BinOp::Le, true) => Cond::Sle,
            (BinOp::Gt, true) => Cond::Sgt,
            _ => Cond::Sge,
        };
        self.f.branch(cond, a, b, yes, no);
        Ok(())
    }

    fn binary(
        &mut self,
        expr: &Expr,
        op: BinOp,
        left: &Expr,
        right: &Expr,
    ) -> Result<Val, Restart> {
        if is_comparison(op) || matches!(op, BinOp::LogAnd | BinOp::LogOr) {
            return Ok(Val::Num(self.truth(expr)?));
        }
        let ty = self.checked.ty(expr).clone();
        let (lt, rt) = (
            self.checked.ty(left).clone(),
            self.checked.ty(right).clone(),
        );
        if let Type::Str { .. } = ty {
            return self.fail(expr, "strings cannot be joined with this operator yet");
        }
        let mut a = self.operand(left)?;
        let mut b = self.operand(right)?;
        // Pointer arithmetic counts in elements.
        if let (Type::Ptr(elem), false) = (&lt, matches!(rt, Type::Ptr(_))) {
            b = self.scaled(b, elem);
        } else if let (Type::Ptr(elem), false) = (&rt, matches!(lt, Type::Ptr(_))) {
            a = self.scaled(a, elem);
        }
        let n = self.arith_checked(op, (a, b), expr.span);
        if ty == Type::Bool {
            return Ok(Val::Num(self.flag(Cond::Ne, n)));
        }
        Ok(Val::Num(self.fit(n, &ty)))
    }

    /// 1 where `n` compares so with 0, else 0.
    pub(super) fn flag(&mut self, cond: Cond, n: impl Into<Opnd>) -> Opnd {
        let (yes, no, on) = (self.f.block(), self.f.block(), self.f.block());
        let dst = self.f.vreg();
        self.f.branch(cond, n, 0, yes, no);
        for (block, truth) in [(yes, 1), (no, 0)] {
            self.f.switch_to(block);
            self.f.set(dst, truth);
            self.f.end(Term::Goto(on));
        }
        self.f.switch_to(on);
        dst.into()
    }

    /// An operand of an operator or cast: `-x` and `~x` of a signed number have its sign here.
    pub(super) fn operand(&mut self, expr: &Expr) -> Result<Opnd, Restart> {
        let n = self.num(expr)?;
        let ExprKind::Unary { op, expr: inner } = &expr.kind else {
            return Ok(n);
        };
        match self.checked.ty(inner).clone() {
            ty @ Type::Int { signed: true, .. }
                if matches!(op, UnOp::Neg | UnOp::BitNot) && matches!(n, Opnd::Reg(_)) =>
            {
                Ok(self.fit(n, &ty))
            }
            _ => Ok(n),
        }
    }

    /// As [`Lower::arith`], with division of unsigned numbers whatever the operands' signs, as bpftrace divides;
    /// division by 0 is counted as a fault at `span` and gives 1.
    pub(super) fn arith_checked(&mut self, op: BinOp, (a, b): (Opnd, Opnd), span: Span) -> Opnd {
        let divides = matches!(op, BinOp::Div | BinOp::Mod);
        if !divides || matches!(b, Opnd::Imm(n) if n != 0) {
            return self.arith(op, a, b, false);
        }
        let dst = self.f.vreg();
        let (fine, zero, on) = (self.f.block(), self.f.block(), self.f.block());
        self.f.branch(Cond::Ne, b, 0, fine, zero);
        self.f.switch_to(fine);
        let n = self.arith(op, a, b, false);
        self.f.set(dst, n);
        self.f.end(Term::Goto(on));
        self.f.switch_to(zero);
        self.count_fault(FaultKind::Division, span, Opnd::Imm(0));
        self.f.set(dst, 1);
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        dst.into()
    }

    fn scaled(&mut self, n: Opnd, elem: &Type) -> Opnd {
        let size = i64::from(elem.size(&self.checked.structs).max(1));
        match n {
            _ if size == 1 => n,
            Opnd::Imm(v) => Opnd::Imm(v.wrapping_mul(size)),
            Opnd::Reg(_) => self.f.alu(AluOp::Mul, n, size).into(),
        }
    }

    /// `a op b` on 64 bits; `signed_div`: division of signed numbers. `>>` fills with zeros whatever the sign, as in
    /// bpftrace.
    pub(super) fn arith(&mut self, op: BinOp, a: Opnd, b: Opnd, signed_div: bool) -> Opnd {
        let alu = match op {
            BinOp::Add => AluOp::Add,
            BinOp::Sub => AluOp::Sub,
            BinOp::Mul => AluOp::Mul,
            BinOp::And => AluOp::And,
            BinOp::Or => AluOp::Or,
            BinOp::Xor => AluOp::Xor,
            BinOp::Shl => AluOp::Lsh,
            BinOp::Shr => AluOp::Rsh,
            BinOp::Div | BinOp::Mod if signed_div => {
                return self.signed_div(op == BinOp::Div, a, b);
            }
            BinOp::Div => AluOp::Div,
            _ => AluOp::Mod,
        };
        self.f.alu(alu, a, b).into()
    }

    /// Signed division or modulo, by instruction where the kernel has it, else on magnitudes.
    fn signed_div(&mut self, div: bool, a: Opnd, b: Opnd) -> Opnd {
        if self.target.features.cpu_v4 {
            return self
                .f
                .alu(if div { AluOp::Sdiv } else { AluOp::Smod }, a, b)
                .into();
        }
        let sign_a = self.f.alu(AluOp::Arsh, a, 63);
        let sign_b = self.f.alu(AluOp::Arsh, b, 63);
        let mag = |l: &mut Self, v: Opnd, sign: VReg| {
            let flipped = l.f.alu(AluOp::Xor, v, sign);
            l.f.alu(AluOp::Sub, flipped, sign)
        };
        let (ma, mb) = (mag(self, a, sign_a), mag(self, b, sign_b));
        let q = self
            .f
            .alu(if div { AluOp::Div } else { AluOp::Mod }, ma, mb);
        let sign = if div {
            self.f.alu(AluOp::Xor, sign_a, sign_b)
        } else {
            sign_a
        };
        let flipped = self.f.alu(AluOp::Xor, q, sign);
        self.f.alu(AluOp::Sub, flipped, sign).into()
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
        if !is_number(&ty) && ty != Type::Void {
            let addr = self.alloc(ty.size(&self.checked.structs))?;
            self.store_into(expr, &ty, addr)?;
            return Ok(Val::Mem(addr));
        }
        let dst = self.f.vreg();
        let output = self.output_inside(then) || self.output_inside(els);
        if output {
            self.park()?;
        }
        self.cond(cond, yes, no)?;
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

    fn output_inside(&self, expr: &Expr) -> bool {
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
        if is_number(&to) {
            let v = self.operand(inner)?;
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
                let down = if is_signed(&ty) {
                    AluOp::Arsh
                } else {
                    AluOp::Rsh
                };
                self.f.alu(down, up, i64::from(64 - width)).into()
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

    fn step(&mut self, by: i8, prefix: bool, inner: &Expr) -> Result<Val, Restart> {
        let ty = self.checked.ty(inner).clone();
        let by = match &ty {
            Type::Ptr(elem) => i64::from(by) * i64::from(elem.size(&self.checked.structs).max(1)),
            _ => i64::from(by),
        };
        if let Some(Res::Var(var)) = self.checked.res.get(&inner.id) {
            let var = *var;
            let reg = self.num(inner)?;
            let old = self.f.mov(reg);
            let new = self.f.alu(AluOp::Add, reg, by);
            let new = self.fit(new.into(), &ty);
            self.set_number(var, new);
            return Ok(Val::Num(if prefix { self.num(inner)? } else { old.into() }));
        }
        let at = self.f.span().unwrap_or(inner.span);
        let new = self.add_to_map(inner, Opnd::Imm(by), at)?;
        if prefix {
            return Ok(Val::Num(new));
        }
        let old = self.f.alu(AluOp::Sub, new, by);
        Ok(Val::Num(self.fit(old.into(), &ty)))
    }

    /// Compares two values that are not numbers; closes the current block.
    fn compare_bytes(
        &mut self,
        expr: &Expr,
        left: &Expr,
        right: &Expr,
        same: crate::ir::BlockId,
        differ: crate::ir::BlockId,
    ) -> Result<(), Restart> {
        let (lt, rt) = (
            self.checked.ty(left).clone(),
            self.checked.ty(right).clone(),
        );
        let (l, r) = (self.value(left)?, self.value(right)?);
        if let (Type::Str { .. }, Type::Str { .. }) = (&lt, &rt) {
            return match (l, r) {
                (Val::Lit(a), Val::Lit(b)) => {
                    self.f.end(Term::Goto(if a == b { same } else { differ }));
                    Ok(())
                }
                (Val::Lit(a), b) => self.compare_literal(expr, b, &rt, &a, same, differ),
                (a, Val::Lit(b)) => self.compare_literal(expr, a, &lt, &b, same, differ),
                (a, b) => self.compare_strings(expr, (a, &lt), (b, &rt), same, differ),
            };
        }
        let size = lt.size(&self.checked.structs);
        if size != rt.size(&self.checked.structs) {
            return self.fail(expr, "values of these types cannot be compared");
        }
        let (a, b) = (self.in_memory(l, &lt)?, self.in_memory(r, &rt)?);
        if size > 256 {
            return self.same_bytes(a, b, size, same, differ);
        }
        let mut at = 0;
        while at < size {
            let step = self.piece(a.plus(at), size - at);
            let step = self.piece(b.plus(at), step.bytes());
            let (x, y) = (
                self.load_at(a.plus(at), step, false),
                self.load_at(b.plus(at), step, false),
            );
            let next = self.f.block();
            self.f.branch(Cond::Eq, x, y, next, differ);
            self.f.switch_to(next);
            at += step.bytes();
        }
        self.f.end(Term::Goto(same));
        Ok(())
    }

    /// Compares a string with a literal, eight bytes at a time.
    fn compare_literal(
        &mut self,
        expr: &Expr,
        val: Val,
        ty: &Type,
        lit: &[u8],
        same: crate::ir::BlockId,
        differ: crate::ir::BlockId,
    ) -> Result<(), Restart> {
        let Type::Str { size } = ty else {
            return self.fail(expr, "this is not a string");
        };
        let mut want = lit.to_vec();
        want.push(0);
        if want.len() > *size as usize {
            // The string was cut: compare what there is room for.
            want.truncate((*size as usize).saturating_sub(1));
            want.push(0);
        }
        let addr = self.in_memory(val, ty)?;
        let mut at = 0usize;
        while at < want.len() {
            let left = u32::try_from(want.len() - at).unwrap_or(u32::MAX);
            let step = self.piece(addr.plus(u32::try_from(at).unwrap_or(0)), left);
            let bytes = &want[at..at + step.bytes() as usize];
            let number = bytes.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
            let got = self.load_at(addr.plus(u32::try_from(at).unwrap_or(0)), step, false);
            let next = self.f.block();
            self.f
                .branch(Cond::Eq, got, number.cast_signed(), next, differ);
            self.f.switch_to(next);
            at += step.bytes() as usize;
        }
        self.f.end(Term::Goto(same));
        Ok(())
    }

    fn compare_strings(
        &mut self,
        expr: &Expr,
        a: (Val, &Type),
        b: (Val, &Type),
        same: crate::ir::BlockId,
        differ: crate::ir::BlockId,
    ) -> Result<(), Restart> {
        let (Type::Str { size: sa }, Type::Str { size: sb }) = (a.1, b.1) else {
            return self.fail(expr, "these are not strings");
        };
        let size = (*sa).min(*sb);
        let (x, y) = (self.in_memory(a.0, a.1)?, self.in_memory(b.0, b.1)?);
        self.same_strings(x, y, size, same, differ)
    }

    /// The bytes of a value in BPF memory.
    pub(super) fn in_memory(&mut self, val: Val, ty: &Type) -> Result<Addr, Restart> {
        match val {
            Val::Mem(addr) => Ok(addr),
            Val::Blob(blob) => self.blob_addr(blob),
            Val::User(_) | Val::Lit(_) | Val::Num(_) => {
                let addr = self.alloc(ty.size(&self.checked.structs))?;
                self.store_val(val, ty, ty, addr)?;
                Ok(addr)
            }
        }
    }

    /// Evaluates `expr` as a `ty` into memory at `to`, all bytes of the layout written.
    pub(super) fn store_into(&mut self, expr: &Expr, ty: &Type, to: Addr) -> Result<(), Restart> {
        if !self.checked.res.contains_key(&expr.id) {
            match (&expr.kind, ty) {
                (ExprKind::Tuple(items), Type::Tuple(types)) => {
                    let offsets = ty.offsets(&self.checked.structs);
                    self.clear_padding(ty, to);
                    for ((item, ty), off) in items.iter().zip(types).zip(offsets) {
                        self.store_into(item, ty, to.plus(off))?;
                    }
                    return Ok(());
                }
                (ExprKind::Record(items), Type::Record(types)) => {
                    let offsets = ty.offsets(&self.checked.structs);
                    self.clear_padding(ty, to);
                    for (name, item) in items {
                        if let Some(i) = types.iter().position(|(n, _)| *n == name.text) {
                            self.store_into(item, &types[i].1, to.plus(offsets[i]))?;
                        }
                    }
                    return Ok(());
                }
                (ExprKind::Ternary { cond, then, els }, _) if !is_number(ty) => {
                    let (yes, no, on) = (self.f.block(), self.f.block(), self.f.block());
                    if self.output_inside(then) || self.output_inside(els) {
                        return self.fail(
                            expr,
                            "this value is not a number, so no branch of `?:` can print",
                        );
                    }
                    self.cond(cond, yes, no)?;
                    let cache = self.arg_cache.clone();
                    for (block, e) in [(yes, then), (no, els)] {
                        self.f.switch_to(block);
                        self.store_into(e, ty, to)?;
                        self.f.end(Term::Goto(on));
                        self.arg_cache = cache.clone();
                    }
                    self.f.switch_to(on);
                    return Ok(());
                }
                _ => {}
            }
        }
        if self.store_direct(expr, ty, to)? {
            return Ok(());
        }
        let from = self.checked.ty(expr).clone();
        let val = self.value(expr)?;
        self.store_val(val, &from, ty, to)
    }

    /// Stores a record whose fields are known.
    fn store_known(
        &mut self,
        expr: &Expr,
        fields: &[Res],
        ty: &Type,
        to: Addr,
    ) -> Result<(), Restart> {
        let Type::Record(types) = ty else {
            return Ok(());
        };
        self.clear_padding(ty, to);
        let offsets = ty.offsets(&self.checked.structs);
        for ((value, (_, ty)), off) in fields.iter().zip(types).zip(offsets) {
            let val = match value {
                Res::Int(v) => Val::Num(Opnd::Imm(*v)),
                Res::Str(s) => Val::Lit(s.clone()),
                _ => return self.fail(expr, "this field is not known"),
            };
            self.store_val(val, ty, ty, to.plus(off))?;
        }
        Ok(())
    }

    /// Zeroes what lies between the elements of a tuple: map keys are compared byte by byte.
    pub(super) fn clear_padding(&mut self, ty: &Type, to: Addr) {
        let structs = &self.checked.structs;
        let sizes: Vec<u32> = match ty {
            Type::Tuple(types) => types.iter().map(|t| t.size(structs)).collect(),
            Type::Record(types) => types.iter().map(|(_, t)| t.size(structs)).collect(),
            _ => return,
        };
        let offsets = ty.offsets(structs);
        let total = ty.size(structs);
        let ends: Vec<u32> = offsets.iter().skip(1).copied().chain([total]).collect();
        for ((off, size), end) in offsets.iter().zip(sizes).zip(ends) {
            for at in off + size..end {
                self.store_at(to.plus(at), Size::B, Opnd::Imm(0));
            }
        }
    }

    /// Stores a value as a `ty`.
    pub(super) fn store_val(
        &mut self,
        val: Val,
        from: &Type,
        ty: &Type,
        to: Addr,
    ) -> Result<(), Restart> {
        let size = ty.size(&self.checked.structs);
        match val {
            Val::Num(n) => {
                let (width, _) = shape(ty);
                self.store_at(to, width, n);
                Ok(())
            }
            Val::Lit(s) => {
                let mut bytes = s;
                let nul = usize::from(matches!(ty, Type::Str { .. }));
                bytes.truncate((size as usize).saturating_sub(nul));
                let used = bytes.len();
                if size > 128 {
                    self.zero(to, size)?;
                    bytes.resize((used + 1).next_multiple_of(8).min(size as usize), 0);
                } else {
                    bytes.resize(size as usize, 0);
                }
                self.store_bytes(to, &bytes);
                Ok(())
            }
            Val::User(addr) => {
                let dst = self.addr_reg(to);
                if let Type::Str { .. } = ty {
                    self.zero(to, size)?;
                    let source_size = from.size(&self.checked.structs).min(size);
                    let args = vec![dst.into(), Opnd::Imm(i64::from(source_size)), addr];
                    self.call_read(helper::PROBE_READ_USER_STR, args);
                    return Ok(());
                }
                let args = vec![dst.into(), Opnd::Imm(i64::from(size)), addr];
                self.call_read(helper::PROBE_READ_USER, args);
                Ok(())
            }
            Val::Blob(blob) => {
                let addr = self.blob_addr(blob)?;
                self.zero(to, size)?;
                self.copy_string(addr, to, size.min(blob.max));
                Ok(())
            }
            Val::Mem(addr) => {
                let from_size = from.size(&self.checked.structs);
                if let (Type::Tuple(a), Type::Tuple(b)) = (from, ty)
                    && a != b
                {
                    let (oa, ob) = (
                        from.offsets(&self.checked.structs),
                        ty.offsets(&self.checked.structs),
                    );
                    self.clear_padding(ty, to);
                    for (i, (ta, tb)) in a.iter().zip(b).enumerate() {
                        let part = addr.plus(oa[i]);
                        let val = if is_number(ta) {
                            let (size, signed) = shape(ta);
                            Val::Num(self.load_at(part, size, signed).into())
                        } else {
                            Val::Mem(part)
                        };
                        self.store_val(val, ta, tb, to.plus(ob[i]))?;
                    }
                    return Ok(());
                }
                if let (Type::Str { .. }, true) = (ty, from_size != size) {
                    self.zero(to, size)?;
                    self.copy_string(addr, to, size.min(from_size));
                    return Ok(());
                }
                self.copy(addr, to, size);
                Ok(())
            }
        }
    }

    /// Writes constant bytes, as few stores as they take.
    pub(super) fn store_bytes(&mut self, to: Addr, bytes: &[u8]) {
        let mut at = 0usize;
        while at < bytes.len() {
            let left = u32::try_from(bytes.len() - at).unwrap_or(u32::MAX);
            let size = self.piece(to.plus(u32::try_from(at).unwrap_or(0)), left);
            let chunk = &bytes[at..at + size.bytes() as usize];
            let number = chunk.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
            let place = to.plus(u32::try_from(at).unwrap_or(0));
            self.store_at(
                place,
                size,
                Opnd::Imm(cut(number.cast_signed(), size, true)),
            );
            at += size.bytes() as usize;
        }
    }

    /// Fills with zeros.
    pub(super) fn zero(&mut self, to: Addr, size: u32) -> Result<(), Restart> {
        if size <= 128 {
            self.store_bytes(to, &vec![0; size as usize]);
        } else {
            // Reading from address 0 fails and leaves zeros (kernel/trace/bpf_trace.c: bpf_probe_read_kernel_common).
            let dst = self.addr_reg(to);
            self.f.push(Op::Call {
                dst: None,
                helper: helper::PROBE_READ_KERNEL,
                args: vec![dst.into(), Opnd::Imm(i64::from(size)), Opnd::Imm(0)],
            });
        }
        Ok(())
    }

    /// Copies `size` bytes of BPF memory.
    pub(super) fn copy(&mut self, from: Addr, to: Addr, size: u32) {
        if size > 64 {
            let (dst, src) = (self.addr_reg(to), self.addr_reg(from));
            self.f.push(Op::Call {
                dst: None,
                helper: helper::PROBE_READ_KERNEL,
                args: vec![dst.into(), Opnd::Imm(i64::from(size)), src.into()],
            });
            return;
        }
        let mut at = 0;
        while at < size {
            let step = self.piece(to.plus(at), size - at);
            let step = self.piece(from.plus(at), step.bytes());
            let v = self.load_at(from.plus(at), step, false);
            self.store_at(to.plus(at), step, v.into());
            at += step.bytes();
        }
    }

    fn copy_string(&mut self, from: Addr, to: Addr, size: u32) {
        let (dst, src) = (self.addr_reg(to), self.addr_reg(from));
        self.f.push(Op::Call {
            dst: None,
            helper: helper::PROBE_READ_KERNEL_STR,
            args: vec![dst.into(), Opnd::Imm(i64::from(size)), src.into()],
        });
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

fn is_scalar(ty: &Type) -> bool {
    is_number(ty) || matches!(ty, Type::Agg(_))
}

fn is_comparison(op: BinOp) -> bool {
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
