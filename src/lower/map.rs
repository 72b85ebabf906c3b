//! Maps of the script: reading, writing, adding, deleting.

use super::{
    helper,
    program::{Lower, Restart},
    record::Addr,
    shared::{Shared, is_cell},
    value::{Val, is_number, shape},
};
use crate::{
    asm::{AluOp, AtomicOp, Cond, Size},
    ir::{Op, Opnd, Term, VReg},
    lang::{
        ast::{Expr, ExprKind},
        checked::{MapId, MapInfo, Res},
    },
    span::Span,
    spec::{FaultKind, Type},
};

/// `BPF_ANY`.
const ANY: Opnd = Opnd::Imm(0);

/// A key in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its address.
    pub(super) at: VReg,
    /// Where its entry is.
    pub(super) map: KeyedMap,
}

/// The map of a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyedMap {
    /// That one.
    Known(u32),
    /// The script's, or the one of its short keys.
    Chosen(VReg),
}

impl Key {
    /// A key of the script's own map.
    pub(super) fn whole(map: MapId, at: VReg) -> Key {
        let map = KeyedMap::Known(map.0);
        Key { at, map }
    }
}

impl Lower<'_> {
    pub(super) fn info(&self, map: MapId) -> &MapInfo {
        &self.checked.maps[map.0 as usize]
    }

    /// The map that a `@…` expression names.
    pub(super) fn map_of(&self, expr: &Expr) -> Result<MapId, Restart> {
        match self.checked.res.get(&expr.id) {
            Some(Res::Map(map)) => Ok(*map),
            _ => self.fail(expr, "this is not a map"),
        }
    }

    pub(super) fn map_ptr(&mut self, map: MapId) -> VReg {
        let dst = self.f.vreg();
        self.f.push(Op::Map { dst, map: map.0 });
        dst
    }

    /// Address of a map without keys.
    fn cell(&mut self, map: MapId) -> Addr {
        let base = self.f.vreg();
        self.f.push(Op::MapValue {
            dst: base,
            map: map.0,
            off: 0,
        });
        Addr { base, off: 0 }
    }

    fn set_present(&mut self, map: MapId, cell: Addr) {
        let at = Shared::present_at(self.checked, map);
        self.store_at(cell.plus(at), Size::DW, Opnd::Imm(1));
    }

    /// With `-k`, counts a read of a map without keys that was not set.
    fn check_present(&mut self, map: MapId, cell: Addr) {
        if self.target.helper_errors {
            let at = Shared::present_at(self.checked, map);
            let set = self.load_at(cell.plus(at), Size::DW, false);
            self.check_found(FaultKind::Lookup, set);
        }
    }

    /// With `-k`, counts a fault when `found` is 0; what comes after is current.
    pub(super) fn check_found(&mut self, kind: FaultKind, found: VReg) {
        if self.target.helper_errors {
            let (none, on) = (self.f.block(), self.f.block());
            self.f.branch(Cond::Eq, found, 0, none, on);
            self.f.switch_to(none);
            self.missing(kind);
            self.f.end(Term::Goto(on));
            self.f.switch_to(on);
        }
    }

    /// Writes the key to memory.
    pub(super) fn key(
        &mut self,
        map: MapId,
        at: &Expr,
        key: Option<&Expr>,
    ) -> Result<Key, Restart> {
        let ty = self.info(map).key.clone();
        match (ty, key) {
            (Some(ty), Some(key)) => {
                let addr = self.alloc(ty.size(&self.checked.structs).max(1))?;
                if let Some((short, keys)) = self.shared.short[map.0 as usize] {
                    return self.key_with_string(map, (short, keys), key, &ty, addr);
                }
                self.store_into(key, &ty, addr)?;
                Ok(Key::whole(map, self.addr_reg(addr)))
            }
            (None, None) => {
                let addr = self.alloc(4)?;
                self.store_at(addr, Size::W, Opnd::Imm(0));
                Ok(Key::whole(map, self.addr_reg(addr)))
            }
            _ => self.fail(at, "this map is used with and without a key"),
        }
    }

    /// The map in which a key's entry is.
    pub(super) fn keyed_map(&mut self, key: Key) -> VReg {
        match key.map {
            KeyedMap::Known(map) => {
                let dst = self.f.vreg();
                self.f.push(Op::Map { dst, map });
                dst
            }
            KeyedMap::Chosen(map) => map,
        }
    }

    /// The entry for a key, or 0.
    pub(super) fn lookup(&mut self, key: Key) -> VReg {
        let ptr = self.keyed_map(key);
        self.f
            .call(helper::MAP_LOOKUP_ELEM, &[ptr.into(), key.at.into()])
    }

    pub(super) fn read_map(&mut self, expr: &Expr, key: Option<&Expr>) -> Result<Val, Restart> {
        let map = self.map_of(expr)?;
        let (key_ty, ty) = (self.info(map).key.clone(), self.info(map).value.clone());
        if let Type::Agg(agg) = &ty {
            return self.read_agg(expr, map, key, agg);
        }
        if is_cell(key_ty.as_ref(), &ty) {
            let cell = self.cell(map);
            self.check_present(map, cell);
            if is_number(&ty) {
                let (size, signed) = shape(&ty);
                return Ok(Val::Num(self.load_at(cell, size, signed).into()));
            }
            // A copy: the map may change before the value is used.
            let size = ty.size(&self.checked.structs);
            let own = self.alloc(size)?;
            self.copy(cell, own, size);
            return Ok(Val::Mem(own));
        }
        let key = self.key(map, expr, key)?;
        let entry = self.lookup(key);
        let (some, none, on) = (self.f.block(), self.f.block(), self.f.block());
        if is_number(&ty) {
            let dst = self.f.vreg();
            self.f.branch(Cond::Ne, entry, 0, some, none);
            self.f.switch_to(some);
            let (size, signed) = shape(&ty);
            let v = self.load_at(
                Addr {
                    base: entry,
                    off: 0,
                },
                size,
                signed,
            );
            self.f.set(dst, v);
            self.f.end(Term::Goto(on));
            self.f.switch_to(none);
            self.missing(FaultKind::Lookup);
            self.f.set(dst, 0);
            self.f.end(Term::Goto(on));
            self.f.switch_to(on);
            return Ok(Val::Num(dst.into()));
        }
        let size = ty.size(&self.checked.structs);
        let own = self.alloc(size)?;
        self.f.branch(Cond::Ne, entry, 0, some, none);
        self.f.switch_to(some);
        self.copy(
            Addr {
                base: entry,
                off: 0,
            },
            own,
            size,
        );
        self.f.end(Term::Goto(on));
        self.f.switch_to(none);
        self.missing(FaultKind::Lookup);
        self.zero(own, size)?;
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        Ok(Val::Mem(own))
    }

    /// `@m = value`, `@m[k] = value`, for all values but aggregations.
    pub(super) fn write_map(&mut self, target: &Expr, value: &Expr) -> Result<(), Restart> {
        let map = self.map_of(target)?;
        let (key_ty, ty) = (self.info(map).key.clone(), self.info(map).value.clone());
        let ExprKind::Map { key, .. } = &target.kind else {
            return self.fail(target, "this is not a map");
        };
        if let Type::Agg(agg) = &ty {
            let agg = agg.clone();
            return self.at(value.span, |l| {
                l.feed(target, map, key.as_deref(), &agg, value)
            });
        }
        if is_cell(key_ty.as_ref(), &ty) {
            if is_number(&ty) {
                let v = self.operand(value)?;
                let v = self.fit(v, &ty);
                let cell = self.cell(map);
                self.store_at(cell, shape(&ty).0, v);
                self.set_present(map, cell);
                return Ok(());
            }
            let cell = self.cell(map);
            self.store_into(value, &ty, cell)?;
            self.set_present(map, cell);
            return Ok(());
        }
        let own = self.alloc(ty.size(&self.checked.structs).max(1))?;
        self.store_into(value, &ty, own)?;
        let key = self.key(map, target, key.as_deref())?;
        self.update(key, own);
        Ok(())
    }

    /// Writes a number that is already computed.
    pub(super) fn put_number(&mut self, target: &Expr, value: Opnd) -> Result<(), Restart> {
        let map = self.map_of(target)?;
        let (key_ty, ty) = (self.info(map).key.clone(), self.info(map).value.clone());
        let ExprKind::Map { key, .. } = &target.kind else {
            return self.fail(target, "this is not a map");
        };
        if is_cell(key_ty.as_ref(), &ty) {
            let cell = self.cell(map);
            self.store_at(cell, shape(&ty).0, value);
            self.set_present(map, cell);
            return Ok(());
        }
        let own = self.alloc(8)?;
        self.store_at(own, shape(&ty).0, value);
        let key = self.key(map, target, key.as_deref())?;
        self.update(key, own);
        Ok(())
    }

    pub(super) fn update(&mut self, key: Key, value: Addr) {
        let (ptr, value) = (self.keyed_map(key), self.addr_reg(value));
        let args = [ptr.into(), key.at.into(), value.into(), ANY];
        let ret = self.f.call(helper::MAP_UPDATE_ELEM, &args);
        let span = self.f.span();
        self.check_code(FaultKind::Update, span, ret.into());
    }

    /// `@m += by` on integers, atomically where the width allows it; returns the new value. `at` is the place that is
    /// named when there is no such element yet.
    pub(super) fn add_to_map(
        &mut self,
        target: &Expr,
        by: Opnd,
        at: Span,
    ) -> Result<Opnd, Restart> {
        let map = self.map_of(target)?;
        let (key_ty, ty) = (self.info(map).key.clone(), self.info(map).value.clone());
        let ExprKind::Map { key, .. } = &target.kind else {
            return self.fail(target, "this is not a map");
        };
        if !is_number(&ty) {
            return self.fail(target, "only integers can be added to");
        }
        let (size, _) = shape(&ty);
        if is_cell(key_ty.as_ref(), &ty) {
            let cell = self.cell(map);
            self.at(at, |l| l.check_present(map, cell));
            let new = self.bump(cell, size, by);
            self.set_present(map, cell);
            return Ok(self.fit(new, &ty));
        }
        let dst = self.f.vreg();
        let key = self.key(map, target, key.as_deref())?;
        let entry = self.lookup(key);
        let (some, none, on) = (self.f.block(), self.f.block(), self.f.block());
        self.f.branch(Cond::Ne, entry, 0, some, none);
        self.f.switch_to(some);
        let new = self.bump(
            Addr {
                base: entry,
                off: 0,
            },
            size,
            by,
        );
        self.f.set(dst, new);
        self.f.end(Term::Goto(on));
        self.f.switch_to(none);
        self.at(at, |l| l.missing(FaultKind::Lookup));
        let own = self.alloc(8)?;
        self.store_at(own, size, by);
        self.update(key, own);
        self.f.set(dst, by);
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        Ok(self.fit(dst.into(), &ty))
    }

    /// Adds in memory; the new value (dead code when nobody reads it).
    fn bump(&mut self, at: Addr, size: Size, by: Opnd) -> Opnd {
        if matches!(size, Size::B | Size::H) {
            let old = self.load_at(at, size, false);
            let new = self.f.alu(AluOp::Add, old, by);
            self.store_at(at, size, new.into());
            return new.into();
        }
        let off = i16::try_from(at.off).unwrap_or(0);
        let src = self.f.mov(by);
        self.f.push(Op::Atomic {
            op: AtomicOp::Add { fetch: false },
            size,
            base: at.base,
            off,
            src,
            dst: None,
            expect: None,
        });
        self.load_at(at, size, false).into()
    }

    /// `delete(@m, key)`: whether there was one.
    pub(super) fn delete(&mut self, map_expr: &Expr, key: Option<&Expr>) -> Result<Val, Restart> {
        let map = self.map_of(map_expr)?;
        let (key_ty, ty) = (self.info(map).key.clone(), self.info(map).value.clone());
        if is_cell(key_ty.as_ref(), &ty) {
            let cell = self.cell(map);
            let size = ty.size(&self.checked.structs).next_multiple_of(8) + 8;
            let was = self.load_at(cell.plus(size - 8), Size::DW, false);
            self.zero(cell, size)?;
            return Ok(Val::Num(was.into()));
        }
        if key_ty.is_none() {
            self.open_group(0)?;
            self.action(crate::spec::Action::Clear(map.0 as usize));
            return Ok(Val::Num(Opnd::Imm(1)));
        }
        let key = self.key(map, map_expr, key)?;
        let ptr = self.keyed_map(key);
        let ret = self
            .f
            .call(helper::MAP_DELETE_ELEM, &[ptr.into(), key.at.into()]);
        let low = self.f.alu(AluOp::Rsh, ret, 63);
        Ok(Val::Num(self.f.alu(AluOp::Xor, low, 1).into()))
    }

    /// `&@m`, `&@m[k]`: address of the value, 0 where there is none.
    pub(super) fn map_address(&mut self, expr: &Expr) -> Result<VReg, Restart> {
        let map = self.map_of(expr)?;
        let (key_ty, ty) = (self.info(map).key.clone(), self.info(map).value.clone());
        let ExprKind::Map { key, .. } = &expr.kind else {
            return self.fail(expr, "this is not a map");
        };
        if is_cell(key_ty.as_ref(), &ty) {
            return Ok(self.cell(map).base);
        }
        let key = self.key(map, expr, key.as_deref())?;
        Ok(self.lookup(key))
    }

    /// `find(@m, key, $v)`.
    pub(super) fn find_entry(
        &mut self,
        expr: &Expr,
        map_expr: &Expr,
        key: &Expr,
        var: &Expr,
    ) -> Result<Val, Restart> {
        let map = self.map_of(map_expr)?;
        let ty = self.info(map).value.clone();
        let Some(Res::Var(id)) = self.checked.res.get(&var.id).cloned() else {
            return self.fail(var, "find() puts the value into a variable");
        };
        let key = self.key(map, map_expr, Some(key))?;
        let entry = self.lookup(key);
        // The variable has a place before the branch, whichever way that goes.
        if is_number(&self.checked.vars[id.0 as usize]) {
            if !self.vars.contains_key(&id) {
                self.set_number(id, Opnd::Imm(0));
            }
        } else {
            self.var_memory(id)?;
        }
        let dst = self.f.mov(0);
        let (some, on) = (self.f.block(), self.f.block());
        self.f.branch(Cond::Ne, entry, 0, some, on);
        self.f.switch_to(some);
        let at = Addr {
            base: entry,
            off: 0,
        };
        match &ty {
            Type::Agg(agg) => match self.sum_shares(expr, key, agg)? {
                Val::Num(n) => self.set_number(id, n),
                _ => return self.fail(expr, "this aggregation is not a number"),
            },
            ty if is_number(ty) => {
                let (size, signed) = shape(ty);
                let v = self.load_at(at, size, signed);
                self.set_number(id, v.into());
            }
            ty => {
                let to = self.var_memory(id)?;
                let own = self.checked.vars[id.0 as usize].clone();
                self.store_val(Val::Mem(at), ty, &own, to)?;
            }
        }
        self.f.set(dst, 1);
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        Ok(Val::Num(dst.into()))
    }

    /// `len(@m)`: the kernel counts, one call an element.
    pub(super) fn count_elements(&mut self, expr: &Expr, map: MapId) -> Result<Val, Restart> {
        if !self.target.features.for_each_map_elem {
            return self.fail(
                expr,
                "len() of a map needs a kernel with bpf_for_each_map_elem (5.13)",
            );
        }
        let mut inner = crate::ir::FuncBuilder::new("count");
        inner.end(Term::Exit(Opnd::Imm(0)));
        self.callbacks.push(Some(inner.finish()));
        let func = crate::ir::FuncId(u32::try_from(self.callbacks.len()).unwrap_or(u32::MAX));
        let (ptr, code) = (self.map_ptr(map), self.f.vreg());
        self.f.push(Op::FuncAddr { dst: code, func });
        let args = [ptr.into(), code.into(), Opnd::Imm(0), Opnd::Imm(0)];
        Ok(Val::Num(
            self.f.call(helper::FOR_EACH_MAP_ELEM, &args).into(),
        ))
    }

    /// `has_key(@m, key)`.
    pub(super) fn has_key(&mut self, map_expr: &Expr, key: Option<&Expr>) -> Result<Val, Restart> {
        let map = self.map_of(map_expr)?;
        let key = self.key(map, map_expr, key)?;
        let entry = self.lookup(key);
        let dst = self.f.vreg();
        let (some, none, on) = (self.f.block(), self.f.block(), self.f.block());
        self.f.branch(Cond::Ne, entry, 0, some, none);
        for (block, v) in [(some, 1), (none, 0)] {
            self.f.switch_to(block);
            self.f.set(dst, v);
            self.f.end(Term::Goto(on));
        }
        self.f.switch_to(on);
        Ok(Val::Num(dst.into()))
    }
}
