//! Truth and comparisons.

use super::{
    program::{Lower, Restart},
    record::Addr,
    store::parts_of,
    value::{Val, is_comparison, is_number, is_scalar, is_signed, shape},
};
use crate::{
    asm::{Cond, Size},
    ir::{BlockId, Opnd, Term},
    lang::{
        ast::{BinOp, Expr, ExprKind, UnOp},
        checked::Res,
    },
    spec::Type,
};

impl Lower<'_> {
    /// A condition as 0 or 1.
    pub(super) fn truth(&mut self, expr: &Expr) -> Result<Opnd, Restart> {
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
    pub(super) fn cond(&mut self, expr: &Expr, yes: BlockId, no: BlockId) -> Result<(), Restart> {
        if !matches!(self.checked.res.get(&expr.id), Some(Res::Int(_))) {
            match &expr.kind {
                ExprKind::Unary {
                    op: UnOp::Not,
                    expr: inner,
                } => return self.cond(inner, no, yes),
                ExprKind::Binary {
                    op: op @ (BinOp::LogAnd | BinOp::LogOr),
                    left,
                    right,
                } if self.output_inside(right) => {
                    let (first, next) = (self.truth(left)?, self.f.block());
                    // What the right side prints is there on one path only.
                    self.park()?;
                    let cursor = self.cursor.clone();
                    let (on, off) = match op {
                        BinOp::LogAnd => (next, no),
                        _ => (yes, next),
                    };
                    self.f.branch(Cond::Ne, first, 0, on, off);
                    self.f.switch_to(next);
                    let cache = self.arg_cache.clone();
                    let second = self.truth(right)?;
                    self.park()?;
                    self.f.branch(Cond::Ne, second, 0, yes, no);
                    (self.cursor, self.arg_cache) = (cursor, cache);
                    return Ok(());
                }
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
        yes: BlockId,
        no: BlockId,
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

    /// Compares two values that are not numbers; closes the current block.
    fn compare_bytes(
        &mut self,
        expr: &Expr,
        left: &Expr,
        right: &Expr,
        same: BlockId,
        differ: BlockId,
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
        if let Type::Stack { .. } = lt {
            // Its number in the map of stacks.
            let (a, b) = (self.in_memory(l, &lt)?, self.in_memory(r, &rt)?);
            let (x, y) = (
                self.load_at(a, Size::W, false),
                self.load_at(b, Size::W, false),
            );
            self.f.branch(Cond::Eq, x, y, same, differ);
            return Ok(());
        }
        let size = lt.size(&self.checked.structs);
        let parts = matches!(lt, Type::Tuple(_) | Type::Record(_));
        if size != rt.size(&self.checked.structs) && !parts {
            return self.fail(expr, "values of these types cannot be compared");
        }
        let (a, b) = (self.in_memory(l, &lt)?, self.in_memory(r, &rt)?);
        if parts && lt != rt {
            self.compare_parts((a, &lt), (b, &rt), differ)?;
            self.f.end(Term::Goto(same));
            return Ok(());
        }
        if size > 256 {
            return self.same_bytes(a, b, size, same, differ);
        }
        self.compare_pieces(a, b, size, differ);
        self.f.end(Term::Goto(same));
        Ok(())
    }

    /// Compares tuples or records whose parts are of other sizes or stand in another order, part by part; goes on in
    /// the current block where they are the same.
    fn compare_parts(
        &mut self,
        (a, at): (Addr, &Type),
        (b, bt): (Addr, &Type),
        differ: BlockId,
    ) -> Result<(), Restart> {
        let structs = &self.checked.structs;
        let (from_a, from_b) = (at.offsets(structs), bt.offsets(structs));
        for (i, j, x, y) in parts_of(at, bt) {
            let (a, b) = (a.plus(from_a[i]), b.plus(from_b[j]));
            let next = self.f.block();
            match (x, y) {
                (Type::Tuple(_), Type::Tuple(_)) | (Type::Record(_), Type::Record(_)) => {
                    self.compare_parts((a, x), (b, y), differ)?;
                    continue;
                }
                (Type::Str { size: sa }, Type::Str { size: sb }) => {
                    self.same_strings(a, b, (*sa).min(*sb), next, differ)?;
                }
                _ if is_number(x) && is_number(y) => {
                    let ((sa, signed_a), (sb, signed_b)) = (shape(x), shape(y));
                    let (x, y) = (self.load_at(a, sa, signed_a), self.load_at(b, sb, signed_b));
                    self.f.branch(Cond::Eq, x, y, next, differ);
                }
                _ => {
                    let size = x.size(&self.checked.structs);
                    self.same_bytes(a, b, size, next, differ)?;
                }
            }
            self.f.switch_to(next);
        }
        Ok(())
    }

    /// Compares bytes, as many at a time as their places allow; goes on in the current block where they are the same.
    fn compare_pieces(&mut self, a: Addr, b: Addr, size: u32, differ: BlockId) {
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
    }

    /// Goes to `differ` unless these bytes are at `addr`; compares as many at once as can be.
    pub(super) fn differ_unless(&mut self, addr: Addr, want: &[u8], differ: BlockId) {
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
    }

    /// Compares a string with a literal, eight bytes at a time.
    fn compare_literal(
        &mut self,
        expr: &Expr,
        val: Val,
        ty: &Type,
        lit: &[u8],
        same: BlockId,
        differ: BlockId,
    ) -> Result<(), Restart> {
        let Type::Str { size } = ty else {
            return self.fail(expr, "this is not a string");
        };
        let mut want = lit.to_vec();
        want.push(0);
        if want.len() > *size as usize {
            // There is no room for so long a string.
            self.f.end(Term::Goto(differ));
            return Ok(());
        }
        let addr = self.in_memory(val, ty)?;
        self.differ_unless(addr, &want, differ);
        self.f.end(Term::Goto(same));
        Ok(())
    }

    fn compare_strings(
        &mut self,
        expr: &Expr,
        a: (Val, &Type),
        b: (Val, &Type),
        same: BlockId,
        differ: BlockId,
    ) -> Result<(), Restart> {
        let (Type::Str { size: sa }, Type::Str { size: sb }) = (a.1, b.1) else {
            return self.fail(expr, "these are not strings");
        };
        let size = (*sa).min(*sb);
        let (x, y) = (self.in_memory(a.0, a.1)?, self.in_memory(b.0, b.1)?);
        self.same_strings(x, y, size, same, differ)
    }
}
