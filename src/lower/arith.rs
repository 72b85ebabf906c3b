//! Arithmetic on numbers.

use super::{
    program::{Lower, Restart},
    value::{Val, cut, is_comparison, shape},
};
use crate::{
    asm::{AluOp, Cond, Size},
    ir::{Op, Opnd, Term, VReg},
    lang::{
        ast::{BinOp, Expr, ExprKind, UnOp},
        checked::Res,
    },
    span::Span,
    spec::{FaultKind, Type},
};

impl Lower<'_> {
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

    pub(super) fn unary(&mut self, expr: &Expr, op: UnOp, inner: &Expr) -> Result<Val, Restart> {
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

    pub(super) fn binary(
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

    pub(super) fn scaled(&mut self, n: Opnd, elem: &Type) -> Opnd {
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

    pub(super) fn step(&mut self, by: i8, prefix: bool, inner: &Expr) -> Result<Val, Restart> {
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
            if !prefix {
                return Ok(Val::Num(old.into()));
            }
            // What comes later must not change it.
            let now = self.num(inner)?;
            return Ok(Val::Num(self.f.mov(now).into()));
        }
        let at = self.f.span().unwrap_or(inner.span);
        let new = self.add_to_map(inner, Opnd::Imm(by), at)?;
        if prefix {
            return Ok(Val::Num(new));
        }
        let old = self.f.alu(AluOp::Sub, new, by);
        Ok(Val::Num(self.fit(old.into(), &ty)))
    }
}
