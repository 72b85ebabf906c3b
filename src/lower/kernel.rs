//! Probes of the kernel: their context, and pointers that are known to lead into the kernel.

use super::{
    helper,
    program::{Lower, Restart},
    record::Addr,
    value::{Val, is_number, shape},
};
use crate::{
    asm::{AluOp, Cond, EndianOp, Size},
    ir::{Op, Opnd, Term, VReg},
    lang::{
        ast::{Expr, ExprKind, UnOp},
        checked::{CheckedProbe, Point, Res},
    },
    spec::{TraceField, Type},
};

/// Whether a probe comes by pointers into the kernel without asking for them.
pub(super) fn has_pointers(probe: &CheckedProbe) -> bool {
    probe.points.iter().any(|p| p.point.is_kernel())
}

impl Lower<'_> {
    /// Notes that a register holds an address in the kernel.
    pub(super) fn mark_kernel(&mut self, reg: VReg) -> VReg {
        self.in_kernel.insert(reg);
        reg
    }

    /// Whether it is known of a number that it is an address in the kernel.
    pub(super) fn is_in_kernel(&self, opnd: Opnd) -> bool {
        match opnd {
            Opnd::Reg(reg) => self.in_kernel.contains(&reg),
            Opnd::Imm(address) => address < 0,
        }
    }

    /// What `-p` asks for: hits of other processes leave at once.
    pub(super) fn only_in_process(&mut self) {
        let Some(pid) = self.target.pid else { return };
        if !self.point.point.is_kernel() || matches!(self.point.point, Point::Iter { .. }) {
            return;
        }
        let both = self.f.call(helper::GET_CURRENT_PID_TGID, &[]);
        let own = self.f.alu(AluOp::Rsh, both, 32);
        let (yes, no) = (self.f.block(), self.release_block);
        self.f.branch(Cond::Eq, own, i64::from(pid), yes, no);
        self.f.switch_to(yes);
    }

    /// The end of an iteration is told with no object: nothing is to be done then.
    pub(super) fn only_with_object(&mut self) -> Result<(), Restart> {
        if !matches!(self.point.point, Point::Iter { .. }) {
            return Ok(());
        }
        // The first object stands behind the pointer to `struct bpf_iter_meta`.
        let object = self.iterator_field(8, Size::DW, false)?;
        let (yes, no) = (self.f.block(), self.release_block);
        self.f.branch(Cond::Ne, object, 0, yes, no);
        self.f.switch_to(yes);
        Ok(())
    }

    /// A field of an iterator's context. It is read as memory: a load would yield a pointer that the verifier wants
    /// tested before it is added to.
    pub(super) fn iterator_field(
        &mut self,
        offset: u32,
        size: Size,
        signed: bool,
    ) -> Result<VReg, Restart> {
        let own = self.alloc(8)?;
        let (dst, ctx) = (self.addr_reg(own), self.ctx());
        let from = match offset {
            0 => ctx,
            offset => self.f.alu(AluOp::Add, ctx, i64::from(offset)),
        };
        let bytes = Opnd::Imm(i64::from(size.bytes()));
        self.f
            .call(helper::PROBE_READ_KERNEL, &[dst.into(), bytes, from.into()]);
        Ok(self.load_at(own, size, signed))
    }

    /// Argument `n` of a raw tracepoint or function: eight bytes each.
    pub(super) fn kernel_arg(&mut self, n: u32) -> Opnd {
        let ctx = self.ctx();
        let at = i16::try_from(8 * n).unwrap_or(i16::MAX);
        let value = self.f.load(Size::DW, ctx, at);
        match self.point.point {
            Point::Trampoline { .. } => self.as_number(value).into(),
            _ => value.into(),
        }
    }

    /// What a function returns: behind its arguments.
    pub(super) fn trampoline_result(&mut self, expr: &Expr) -> Result<Opnd, Restart> {
        let Point::Trampoline { function, .. } = &self.point.point else {
            return self.fail(expr, "this probe has no return value");
        };
        let btf = self.target.kernel.btf.as_ref();
        let count = btf.and_then(|btf| {
            let id = btf.find(function, &[crate::btf::Kind::Func])?;
            Some(btf.params(&btf.prototype(id)?).count())
        });
        match count.and_then(|n| u32::try_from(n).ok()) {
            Some(count) => Ok(self.kernel_arg(count)),
            None => self.fail(
                expr,
                "the kernel does not say how many arguments the function has",
            ),
        }
    }

    /// `args.NAME` of a tracepoint.
    pub(super) fn trace_field(&mut self, expr: &Expr, name: &str) -> Result<Val, Restart> {
        let Point::Tracepoint(index) = self.point.point else {
            return self.fail(expr, "this probe is no tracepoint");
        };
        let tracepoints = &self.target.kernel.tracepoints;
        let field = tracepoints
            .get(index)
            .and_then(|t| t.fields.iter().find(|f| f.name == name));
        let Some(field) = field.cloned() else {
            return self.fail(expr, format!("this tracepoint has no `{name}`"));
        };
        let ty = self.checked.ty(expr).clone();
        if field.ty.starts_with("__data_loc") || field.ty.starts_with("__rel_loc") {
            return Ok(Val::Num(self.located(&field).into()));
        }
        let ctx = self.ctx();
        if !is_number(&ty) {
            let at = self.f.alu(AluOp::Add, ctx, i64::from(field.offset));
            self.mark_kernel(at);
            return Ok(Val::User(at.into()));
        }
        let (size, signed) = match Size::from_bytes(field.size) {
            Some(size) => (size, field.signed || shape(&ty).1 && size.bytes() == 8),
            None => shape(&ty),
        };
        let at = Addr {
            base: ctx,
            off: field.offset.cast_signed(),
        };
        Ok(Val::Num(self.load_at(at, size, signed).into()))
    }

    /// Where the data of a field lies that says so: the low half is its distance from the record, or from the field's end.
    fn located(&mut self, field: &TraceField) -> VReg {
        let ctx = self.ctx();
        let at = Addr {
            base: ctx,
            off: field.offset.cast_signed(),
        };
        let word = self.load_at(at, Size::W, false);
        let distance = self.f.alu(AluOp::And, word, 0xffff);
        let base = match field.ty.starts_with("__rel_loc") {
            true => self
                .f
                .alu(AluOp::Add, ctx, i64::from(field.offset + field.size)),
            false => ctx,
        };
        let at = self.f.alu(AluOp::Add, base, distance);
        let at = self.as_number(at);
        self.mark_kernel(at)
    }

    /// The same bits as a number. The verifier follows pointers, which can be kept only whole; of a pointer whose bytes
    /// were swapped it knows no more than of any number (`kernel/bpf/verifier.c: check_alu_op`).
    fn as_number(&mut self, pointer: VReg) -> VReg {
        let mut bits = pointer;
        for _ in 0..2 {
            let dst = self.f.vreg();
            self.f.push(Op::Endian {
                op: EndianOp::ToBe,
                bits: 64,
                dst,
                src: bits.into(),
            });
            bits = dst;
        }
        bits
    }

    /// A pointer from a type of the kernel, where it leads into the kernel for sure.
    pub(super) fn mark_pointer(&mut self, opnd: Opnd, ty: &Type) {
        if let (Opnd::Reg(reg), Type::Ptr(to)) = (opnd, ty)
            && matches!(**to, Type::Struct(_))
        {
            self.in_kernel.insert(reg);
        }
    }

    /// `path(object.member)` into memory; left as it is where there is no object.
    pub(super) fn path(&mut self, of: &Expr, to: Addr, size: u32) -> Result<(), Restart> {
        // The verifier wants a pointer that it has followed itself from the context on.
        let Some((argument, offset)) = self.object(of) else {
            return self.fail(
                of,
                "`path` takes a member of what the probe was handed, as `ctx.file.f_path` or `args.path`",
            );
        };
        let ctx = self.ctx();
        let object = self.f.load(Size::DW, ctx, argument);
        let (some, on) = (self.f.block(), self.f.block());
        self.f.branch(Cond::Ne, object, 0, some, on);
        self.f.switch_to(some);
        let inside = match offset {
            0 => object,
            offset => self.f.alu(AluOp::Add, object, i64::from(offset)),
        };
        let dst = self.addr_reg(to);
        let size = Opnd::Imm(i64::from(size));
        self.f
            .call(helper::D_PATH, &[inside.into(), dst.into(), size]);
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        Ok(())
    }

    /// An expression as a place in an object of the context: where the context has it, and how far in.
    fn object(&self, expr: &Expr) -> Option<(i16, u32)> {
        let res = self.checked.res.get(&expr.id);
        match (&expr.kind, res) {
            (_, Some(Res::Arg(n))) => Some((i16::try_from(8 * n).ok()?, 0)),
            (ExprKind::Cast { expr: inner, .. }, _) => self.object(inner),
            (
                ExprKind::Unary {
                    op: UnOp::AddrOf,
                    expr: inner,
                },
                _,
            ) => self.object(inner),
            (ExprKind::Member { base, .. }, Some(Res::Member { offset, .. })) => {
                if matches!(self.checked.res.get(&base.id), Some(Res::Builtin("ctx"))) {
                    return Some((i16::try_from(*offset).ok()?, 0));
                }
                let (argument, inside) = self.object(base)?;
                let through = matches!(self.checked.ty(base), Type::Ptr(_));
                let at_object = inside == 0 && self.is_argument(base);
                (!through || at_object).then_some((argument, inside + offset))
            }
            _ => None,
        }
    }

    /// Whether an expression is what the context holds, and nothing within it.
    fn is_argument(&self, expr: &Expr) -> bool {
        match (&expr.kind, self.checked.res.get(&expr.id)) {
            (_, Some(Res::Arg(_))) => true,
            (ExprKind::Cast { expr: inner, .. }, _) => self.is_argument(inner),
            (ExprKind::Member { base, .. }, _) => {
                matches!(self.checked.res.get(&base.id), Some(Res::Builtin("ctx")))
            }
            _ => false,
        }
    }

    /// The address of the function that is probed.
    pub(super) fn traced_function(&mut self, expr: &Expr) -> Result<Opnd, Restart> {
        match self.point.point {
            Point::Trampoline { .. } => {
                let ctx = self.ctx();
                Ok(self.f.call(helper::GET_FUNC_IP, &[ctx.into()]).into())
            }
            Point::Kprobe { ret: false, .. } => {
                let ctx = self.ctx();
                Ok(self.f.load(Size::DW, ctx, self.abi.ip.cast_signed()).into())
            }
            Point::Kprobe { .. } => {
                let ctx = self.ctx();
                Ok(self.f.call(helper::GET_FUNC_IP, &[ctx.into()]).into())
            }
            _ => self.fail(expr, "this probe is not at a function"),
        }
    }
}
