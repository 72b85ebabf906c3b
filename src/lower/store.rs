//! Values into memory, and memory into memory.

use super::{
    helper,
    program::{Lower, Restart},
    record::Addr,
    value::{Val, cut, is_number, shape},
};
use crate::{
    asm::Size,
    ir::{Op, Opnd, Term},
    lang::{
        ast::{Expr, ExprKind},
        checked::Res,
    },
    spec::Type,
};

impl Lower<'_> {
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
                    if self.output_inside(then) || self.output_inside(els) {
                        let from = self.checked.ty(expr).clone();
                        let val = self.value(expr)?;
                        return self.store_val(val, &from, ty, to);
                    }
                    let (yes, no, on) = (self.f.block(), self.f.block(), self.f.block());
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
    pub(super) fn store_known(
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
                let parts = matches!(
                    (from, ty),
                    (Type::Tuple(_), Type::Tuple(_)) | (Type::Record(_), Type::Record(_))
                );
                if parts && from != ty {
                    let (oa, ob) = (
                        from.offsets(&self.checked.structs),
                        ty.offsets(&self.checked.structs),
                    );
                    self.clear_padding(ty, to);
                    for (i, j, ta, tb) in parts_of(from, ty) {
                        let part = addr.plus(oa[i]);
                        let val = if is_number(ta) {
                            let (size, signed) = shape(ta);
                            Val::Num(self.load_at(part, size, signed).into())
                        } else {
                            Val::Mem(part)
                        };
                        self.store_val(val, ta, tb, to.plus(ob[j]))?;
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
}

/// The parts of two tuples or records that belong together, with their places: those of records go by name.
pub(super) fn parts_of<'t>(a: &'t Type, b: &'t Type) -> Vec<(usize, usize, &'t Type, &'t Type)> {
    match (a, b) {
        (Type::Tuple(x), Type::Tuple(y)) => std::iter::zip(x, y)
            .enumerate()
            .map(|(i, (x, y))| (i, i, x, y))
            .collect(),
        (Type::Record(x), Type::Record(y)) => x
            .iter()
            .enumerate()
            .filter_map(|(i, (name, x))| {
                let j = y.iter().position(|(n, _)| n == name)?;
                Some((i, j, x, &y[j].1))
            })
            .collect(),
        _ => Vec::new(),
    }
}
