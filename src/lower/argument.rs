//! Arguments of a probe, from where its convention or its note has them.

use super::{
    program::{Lower, Restart},
    value::cut,
};
use crate::{
    asm::{AluOp, Size},
    ir::{Op, Opnd, VReg},
    lang::{ast::Expr, checked::Point},
    spec::{ArgLoc, IndexExt, Type, UsdtArg},
};

impl Lower<'_> {
    /// `argN`: a function's argument, or a USDT operand.
    pub(super) fn arg(&mut self, expr: &Expr, n: u32) -> Result<Opnd, Restart> {
        if let Some(known) = self.arg_cache.get(&n) {
            return Ok(*known);
        }
        let value = if matches!(self.point.point, Point::Usdt { .. }) {
            match self.args.get(n as usize).cloned() {
                Some(arg) => self.usdt_arg(expr, n, &arg)?,
                None => Opnd::Imm(0),
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
}
