//! Arithmetic and moves, on numbers and on pointers (`check_alu_op`, `adjust_ptr_min_max_vals`).

use super::{
    error::What,
    scalar::Scalar,
    tnum::Tnum,
    value::{Kind, Value},
    walk::Walk,
};
use crate::asm::{AluOp, EndianOp, Reg, Size, Src, Width};

/// Pointers move by less than this (`BPF_MAX_VAR_OFF`).
pub(super) const MAX_OFF: i64 = 1 << 29;

impl Walk<'_> {
    pub(super) fn alu(&mut self, op: AluOp, width: Width, dst: Reg, src: Src) -> Result<(), What> {
        if let Src::Imm(imm) = src {
            self.constant_operand(op, width, imm)?;
        }
        if matches!(op, AluOp::Sdiv | AluOp::Smod) && !self.env.features.cpu_v4 {
            return Err(v4("signed division"));
        }
        let from = self.operand(src)?;
        if op == AluOp::Mov {
            return self.mov(width, dst, src, from);
        }
        let to = self.read(dst)?;
        self.writable(dst)?;
        let result = match (to.is_pointer(), from.is_pointer()) {
            (false, false) => {
                let mut var = to.var;
                var.alu(op, width, &from.var);
                Value::number(var)
            }
            (true, true) => {
                if op != AluOp::Sub {
                    return Err(math(dst, &to, name(op)));
                }
                Value::UNKNOWN
            }
            (true, false) => {
                if let Src::Reg(src) = src {
                    self.facts.decides(self.at, src);
                }
                self.pointer_math(op, width, dst, &to, &from.var, true)?
            }
            (false, true) => {
                self.facts.decides(self.at, dst);
                self.pointer_math(op, width, dst, &from, &to.var, false)?
            }
        };
        self.set(dst, result)
    }

    fn constant_operand(&self, op: AluOp, width: Width, imm: i32) -> Result<(), What> {
        match op {
            AluOp::Div | AluOp::Mod | AluOp::Sdiv | AluOp::Smod if imm == 0 => Err(What::DivByZero),
            AluOp::Lsh | AluOp::Rsh | AluOp::Arsh
                if u32::try_from(imm).map_or(true, |by| by >= width.bits()) =>
            {
                Err(What::Shift(imm))
            }
            _ => Ok(()),
        }
    }

    fn mov(&mut self, width: Width, dst: Reg, src: Src, from: Value) -> Result<(), What> {
        self.writable(dst)?;
        let Src::Reg(reg) = src else {
            let mut var = from.var;
            if width == Width::W32 {
                var.zero_extend32();
            }
            return self.set(dst, Value::number(var));
        };
        if width == Width::W64 {
            let value = self.name_number(reg);
            return self.set(dst, value);
        }
        if from.is_pointer() {
            // The lower half of an address is any number.
            let mut var = Scalar::UNKNOWN;
            var.zero_extend32();
            return self.set(dst, Value::number(var));
        }
        let fits = from.var.width() <= 32;
        let mut value = if fits { self.name_number(reg) } else { from };
        if !fits {
            value.id = 0;
        }
        value.var.zero_extend32();
        self.set(dst, value)
    }

    /// The register's value; a number gets an id, so that what is learned of one copy is learned of the other.
    fn name_number(&mut self, reg: Reg) -> Value {
        let mut value = *self.reg(reg);
        if value.is_number() && value.id == 0 && value.var.constant().is_none() {
            value.id = self.new_id();
            *self.reg_mut(reg) = value;
        }
        value
    }

    pub(super) fn movsx(
        &mut self,
        width: Width,
        from: Size,
        dst: Reg,
        src: Reg,
    ) -> Result<(), What> {
        if !self.env.features.cpu_v4 {
            return Err(v4("sign-extending moves"));
        }
        let value = self.read(src)?;
        self.writable(dst)?;
        let mut var = if value.is_pointer() {
            Scalar::UNKNOWN
        } else {
            value.var
        };
        if value.is_number() {
            var.sign_extend(from.bytes(), width);
        } else if width == Width::W32 {
            // A part of an address is any number, without the bounds of a byte.
            var.zero_extend32();
        }
        self.set(dst, Value::number(var))
    }

    pub(super) fn neg(&mut self, width: Width, dst: Reg) -> Result<(), What> {
        let value = self.read(dst)?;
        self.writable(dst)?;
        let mut var = Scalar::ZERO;
        let operand = if value.is_pointer() {
            Scalar::UNKNOWN
        } else {
            value.var
        };
        var.alu(AluOp::Sub, width, &operand);
        self.set(dst, Value::number(var))
    }

    /// What is known of the bits goes where they go (`scalar_byte_swap`); bounds do not. Hosts are little-endian.
    pub(super) fn endian(&mut self, op: EndianOp, bits: u8, dst: Reg) -> Result<(), What> {
        if op == EndianOp::Bswap && !self.env.features.cpu_v4 {
            return Err(v4("bswap"));
        }
        let value = self.read(dst)?;
        self.writable(dst)?;
        let mut var = Scalar::UNKNOWN;
        if !value.is_pointer() {
            let above = 64 - u32::from(bits);
            let moved = |v: u64| match op {
                EndianOp::ToLe => v << above >> above,
                EndianOp::ToBe | EndianOp::Bswap => v.swap_bytes() >> above,
            };
            let Tnum { value, mask } = value.var.bits;
            var.bits = Tnum::new(moved(value), moved(mask));
            var.settle();
        }
        self.set(dst, Value::number(var))
    }

    /// `pointer op number`, or the same the other way round if not `first`.
    fn pointer_math(
        &mut self,
        op: AluOp,
        width: Width,
        reg: Reg,
        pointer: &Value,
        number: &Scalar,
        first: bool,
    ) -> Result<Value, What> {
        if number.is_broken() {
            return Ok(Value::UNKNOWN);
        }
        if width == Width::W32 {
            if op == AluOp::Sub {
                return Ok(Value::UNKNOWN);
            }
            return Err(math(reg, pointer, "32-bit arithmetic"));
        }
        if pointer.nullable {
            return Err(What::NullMath {
                reg,
                holds: pointer.kernel_name(),
            });
        }
        let known = number.constant().map(u64::cast_signed);
        match pointer.kind {
            Kind::PacketEnd | Kind::Sock(_) => return Err(math(reg, pointer, name(op))),
            Kind::Map(_) | Kind::Func(_) if !(known == Some(0) && op == AluOp::Add) => {
                return Err(math(reg, pointer, name(op)));
            }
            _ => {}
        }
        let sane = |s: &Scalar| match s.constant().map(u64::cast_signed) {
            Some(v) => v > -MAX_OFF && v < MAX_OFF,
            None => s.smin > -MAX_OFF && s.smin < MAX_OFF,
        };
        if !sane(number) || !sane(&pointer.var) {
            return Err(What::Offset { reg });
        }
        let mut out = *pointer;
        match op {
            AluOp::Add => {
                let fixed = known.and_then(|v| i64::from(pointer.off).checked_add(v));
                match fixed.map(i32::try_from) {
                    Some(Ok(off)) => out.off = off,
                    _ => {
                        out.var.alu(AluOp::Add, Width::W64, number);
                        if pointer.is_packet() {
                            (out.id, out.range) = (self.new_id(), 0);
                        }
                    }
                }
            }
            AluOp::Sub => {
                if !first || matches!(pointer.kind, Kind::Stack(_)) {
                    return Err(math(reg, pointer, name(op)));
                }
                let fixed = known.and_then(|v| i64::from(pointer.off).checked_sub(v));
                match fixed.map(i32::try_from) {
                    Some(Ok(off)) => out.off = off,
                    _ => {
                        out.var.alu(AluOp::Sub, Width::W64, number);
                        if pointer.is_packet() {
                            out.id = self.new_id();
                            if number.smin < 0 {
                                out.range = 0;
                            }
                        }
                    }
                }
            }
            _ => return Err(math(reg, pointer, name(op))),
        }
        let off = i64::from(out.off);
        if !sane(&out.var) || off <= -MAX_OFF || off >= MAX_OFF {
            return Err(What::Offset { reg });
        }
        Ok(out)
    }
}

pub(super) fn v4(feature: &'static str) -> What {
    What::Missing {
        feature,
        since: "6.6",
    }
}

fn math(reg: Reg, value: &Value, tried: &'static str) -> What {
    What::PointerMath {
        reg,
        holds: value.kernel_name(),
        tried,
    }
}

fn name(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "adding",
        AluOp::Sub => "subtracting",
        AluOp::Mul => "multiplying",
        AluOp::Div | AluOp::Sdiv => "dividing",
        AluOp::Mod | AluOp::Smod => "taking the remainder",
        AluOp::Or | AluOp::And | AluOp::Xor => "bit operations",
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => "shifting",
        AluOp::Mov => "moving",
    }
}
