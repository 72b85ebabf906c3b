//! Maps of the script: reading, writing, adding, aggregations.

use super::{
    helper,
    program::{Lower, Restart},
    record::Addr,
    shared::{Shared, is_cell},
    value::{Val, is_number, shape},
};
use crate::{
    asm::{AluOp, AtomicOp, Cond, Size, Width},
    ir::{Op, Opnd, Term, VReg},
    lang::{
        ast::{Arg, BinOp, Expr, ExprKind},
        checked::{MapId, MapInfo, Res},
    },
    span::Span,
    spec::{Agg, FaultKind, Type, hist},
};

/// `BPF_ANY`.
const ANY: Opnd = Opnd::Imm(0);

/// Most bytes of a per-CPU value (`PCPU_MIN_UNIT_SIZE` in `include/linux/percpu.h`).
const SHARE_MAX: u32 = 32 * 1024 - 8;

impl Lower<'_> {
    fn info(&self, map: MapId) -> &MapInfo {
        &self.checked.maps[map.0 as usize]
    }

    /// The map that a `@…` expression names.
    pub(super) fn map_of(&self, expr: &Expr) -> Result<MapId, Restart> {
        match self.checked.res.get(&expr.id) {
            Some(Res::Map(map)) => Ok(*map),
            _ => self.fail(expr, "this is not a map"),
        }
    }

    fn map_ptr(&mut self, map: MapId) -> VReg {
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

    /// Writes the key to memory and returns its address in a register.
    pub(super) fn key(
        &mut self,
        map: MapId,
        at: &Expr,
        key: Option<&Expr>,
    ) -> Result<VReg, Restart> {
        let ty = self.info(map).key.clone();
        match (ty, key) {
            (Some(ty), Some(key)) => {
                let addr = self.alloc(ty.size(&self.checked.structs).max(1))?;
                self.store_into(key, &ty, addr)?;
                Ok(self.addr_reg(addr))
            }
            (None, None) => {
                let addr = self.alloc(4)?;
                self.store_at(addr, Size::W, Opnd::Imm(0));
                Ok(self.addr_reg(addr))
            }
            _ => self.fail(at, "this map is used with and without a key"),
        }
    }

    /// The entry for a key, or 0.
    pub(super) fn lookup(&mut self, map: MapId, key: VReg) -> VReg {
        let ptr = self.map_ptr(map);
        self.f
            .call(helper::MAP_LOOKUP_ELEM, &[ptr.into(), key.into()])
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
        let entry = self.lookup(map, key);
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
            self.f.push(Op::Mov { dst, src: v.into() });
            self.f.end(Term::Goto(on));
            self.f.switch_to(none);
            self.missing(FaultKind::Lookup);
            self.f.push(Op::Mov {
                dst,
                src: Opnd::Imm(0),
            });
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
                let v = self.num(value)?;
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
        self.update(map, key, own);
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
        self.update(map, key, own);
        Ok(())
    }

    fn update(&mut self, map: MapId, key: VReg, value: Addr) {
        let (ptr, value) = (self.map_ptr(map), self.addr_reg(value));
        let args = [ptr.into(), key.into(), value.into(), ANY];
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
        let entry = self.lookup(map, key);
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
        self.f.push(Op::Mov { dst, src: new });
        self.f.end(Term::Goto(on));
        self.f.switch_to(none);
        self.at(at, |l| l.missing(FaultKind::Lookup));
        let own = self.alloc(8)?;
        self.store_at(own, size, by);
        self.update(map, key, own);
        self.f.push(Op::Mov { dst, src: by });
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

    /// Address of this CPU's share of an aggregation, made with zeros when new; jumps to `on` where that is impossible.
    fn share(
        &mut self,
        target: &Expr,
        map: MapId,
        key: Option<&Expr>,
        agg: &Agg,
        on: crate::ir::BlockId,
    ) -> Result<Addr, Restart> {
        let size = agg.size();
        let keyed = self.info(map).key.is_some();
        let key = self.key(map, target, key)?;
        let first = self.lookup(map, key);
        let entry = self.f.vreg();
        self.f.push(Op::Mov {
            dst: entry,
            src: first.into(),
        });
        let (new, got) = (self.f.block(), self.f.block());
        self.f
            .branch(Cond::Ne, entry, 0, got, if keyed { new } else { on });
        self.f.switch_to(new);
        if keyed {
            let zeros = self.alloc(size)?;
            self.zero(zeros, size)?;
            self.update(map, key, zeros);
            let again = self.lookup(map, key);
            self.f.push(Op::Mov {
                dst: entry,
                src: again.into(),
            });
            self.f.branch(Cond::Ne, entry, 0, got, on);
        } else {
            self.f.end(Term::Goto(on));
        }
        self.f.switch_to(got);
        let addr = Addr {
            base: entry,
            off: 0,
        };
        if !keyed {
            self.store_at(addr.plus(size.next_multiple_of(8)), Size::DW, Opnd::Imm(1));
        }
        Ok(addr)
    }

    /// `@m = count()` and its like.
    fn feed(
        &mut self,
        target: &Expr,
        map: MapId,
        key: Option<&Expr>,
        agg: &Agg,
        value: &Expr,
    ) -> Result<(), Restart> {
        let args: Vec<Expr> = match &value.kind {
            ExprKind::Call { args, .. } => args
                .iter()
                .filter_map(|a| {
                    if let Arg::Expr(e) = a {
                        Some(e.clone())
                    } else {
                        None
                    }
                })
                .collect(),
            _ if matches!(agg, Agg::Count) => Vec::new(),
            _ => return self.fail(value, "a map of this kind only takes its own function"),
        };
        let on = self.f.block();
        let fed: Opnd = match agg {
            Agg::Count => Opnd::Imm(1),
            _ => match args.first() {
                Some(arg) => self.num(arg)?,
                None => return self.fail(value, "a value is missing"),
            },
        };
        let size = agg.size();
        if size > SHARE_MAX {
            return self.fail(
                value,
                format!("this takes {size} bytes a CPU, the kernel allows {SHARE_MAX}"),
            );
        }
        if let (Agg::Count | Agg::Sum { .. }, Some(_)) = (agg, key) {
            // The commonest of all: add, or put the first value in.
            let key = self.key(map, target, key)?;
            let entry = self.lookup(map, key);
            let (some, none) = (self.f.block(), self.f.block());
            self.f.branch(Cond::Ne, entry, 0, some, none);
            self.f.switch_to(some);
            self.add_at(
                Addr {
                    base: entry,
                    off: 0,
                },
                fed,
            );
            self.f.end(Term::Goto(on));
            self.f.switch_to(none);
            let own = self.alloc(size)?;
            self.store_at(own, Size::DW, fed);
            self.update(map, key, own);
            self.f.end(Term::Goto(on));
            self.f.switch_to(on);
            return Ok(());
        }
        let signed = args
            .first()
            .is_none_or(|arg| matches!(self.checked.ty(arg), Type::Int { signed: true, .. }));
        let bucket = match agg {
            Agg::Hist { bits } => Some(self.hist_bucket(fed, *bits, signed)),
            Agg::Lhist { min, max, step } => {
                Some(self.lhist_bucket(fed, (*min, *max, *step), signed))
            }
            _ => None,
        };
        let at = self.share(target, map, key, agg, on)?;
        match agg {
            Agg::Count | Agg::Sum { .. } => self.add_at(at, fed),
            Agg::Avg { .. } | Agg::Stats { .. } => {
                self.add_at(at, fed);
                self.add_at(at.plus(8), Opnd::Imm(1));
            }
            Agg::Min { signed } | Agg::Max { signed } => {
                let (store, check) = (self.f.block(), self.f.block());
                let set = self.load_at(at.plus(8), Size::DW, false);
                self.f.branch(Cond::Eq, set, 0, store, check);
                self.f.switch_to(check);
                let old = self.load_at(at, Size::DW, false);
                let cond = match (matches!(agg, Agg::Min { .. }), signed) {
                    (true, true) => Cond::Slt,
                    (true, false) => Cond::Lt,
                    (false, true) => Cond::Sgt,
                    (false, false) => Cond::Gt,
                };
                self.f.branch(cond, fed, old, store, on);
                self.f.switch_to(store);
                self.store_at(at, Size::DW, fed);
                self.store_at(at.plus(8), Size::DW, Opnd::Imm(1));
            }
            Agg::Hist { .. } | Agg::Lhist { .. } => {
                let buckets = i64::from(size / 8);
                if let Some(bucket) = bucket {
                    let inside = self.f.block();
                    self.f.branch(Cond::Lt, bucket, buckets, inside, on);
                    self.f.switch_to(inside);
                    let off = self.f.alu(AluOp::Lsh, bucket, 3);
                    let base = self.f.alu(AluOp::Add, at.base, off);
                    self.add_at(Addr { base, off: at.off }, Opnd::Imm(1));
                }
            }
            Agg::Tseries {
                agg,
                interval_ns,
                buckets,
                signed,
            } => self.feed_series(at, fed, (*agg, *interval_ns, *buckets, *signed), on),
        }
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        Ok(())
    }

    /// Puts a value into the bucket of the present interval; layout in `spec::hist`.
    fn feed_series(
        &mut self,
        at: Addr,
        fed: Opnd,
        (agg, interval, buckets, signed): (u8, u64, u32, bool),
        on: crate::ir::BlockId,
    ) {
        let now = self.f.call(helper::KTIME_GET_BOOT_NS, &[]);
        let every = i64::try_from(interval.max(1)).unwrap_or(i64::MAX);
        let epoch = self.f.alu(AluOp::Div, now, every);
        let index = self.f.alu(AluOp::Mod, epoch, i64::from(buckets));
        let off = self.f.alu(AluOp::Mul, index, 24);
        // The verifier does not know what `%` leaves.
        let (inside, fresh, old, add) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        self.f
            .branch(Cond::Le, off, i64::from(24 * (buckets - 1)), inside, on);
        self.f.switch_to(inside);
        let slot = Addr {
            base: self.f.alu(AluOp::Add, at.base, off),
            off: at.off,
        };
        let held = self.load_at(slot, Size::DW, false);
        let extra = self.load_at(slot.plus(16), Size::DW, false);
        self.f.branch(Cond::Eq, extra, 0, fresh, old);
        self.f.switch_to(old);
        self.f.branch(Cond::Eq, held, epoch, add, fresh);
        let stamp: Opnd = match agg {
            hist::TSERIES_AVG => Opnd::Imm(1),
            _ => now.into(),
        };
        self.f.switch_to(fresh);
        self.store_at(slot, Size::DW, epoch.into());
        self.store_at(slot.plus(8), Size::DW, fed);
        self.store_at(slot.plus(16), Size::DW, stamp);
        self.f.end(Term::Goto(on));
        self.f.switch_to(add);
        let value = self.load_at(slot.plus(8), Size::DW, false);
        match agg {
            hist::TSERIES_AVG | hist::TSERIES_SUM => {
                let sum = self.f.alu(AluOp::Add, value, fed);
                self.store_at(slot.plus(8), Size::DW, sum.into());
            }
            hist::TSERIES_MAX | hist::TSERIES_MIN => {
                let cond = match (agg == hist::TSERIES_MIN, signed) {
                    (true, true) => Cond::Slt,
                    (true, false) => Cond::Lt,
                    (false, true) => Cond::Sgt,
                    (false, false) => Cond::Gt,
                };
                let (better, keep) = (self.f.block(), self.f.block());
                self.f.branch(cond, fed, value, better, keep);
                self.f.switch_to(better);
                self.store_at(slot.plus(8), Size::DW, fed);
                self.f.end(Term::Goto(keep));
                self.f.switch_to(keep);
            }
            _ => self.store_at(slot.plus(8), Size::DW, fed),
        }
        let stamp: Opnd = match agg {
            hist::TSERIES_AVG => self.f.alu(AluOp::Add, extra, 1).into(),
            _ => now.into(),
        };
        self.store_at(slot.plus(16), Size::DW, stamp);
    }

    fn add_at(&mut self, at: Addr, by: Opnd) {
        let src = self.f.mov(by);
        let off = i16::try_from(at.off).unwrap_or(0);
        self.f.push(Op::Atomic {
            op: AtomicOp::Add { fetch: false },
            size: Size::DW,
            base: at.base,
            off,
            src,
            dst: None,
            expect: None,
        });
    }

    /// Bucket of a `hist`: the numbering is that of `spec::hist`.
    fn hist_bucket(&mut self, v: Opnd, bits: u8, signed: bool) -> VReg {
        // 0: negative; 1..=2^bits: the values 0..2^bits; then 2^bits buckets a power of two.
        let bucket = self.f.vreg();
        let v = self.f.mov(v);
        let (neg, pos, small, big, on) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        if signed {
            self.f.branch(Cond::Slt, v, 0, neg, pos);
        } else {
            self.f.end(Term::Goto(pos));
        }
        self.f.switch_to(neg);
        self.f.push(Op::Mov {
            dst: bucket,
            src: Opnd::Imm(0),
        });
        self.f.end(Term::Goto(on));
        self.f.switch_to(pos);
        self.f.branch(Cond::Lt, v, 1i64 << bits, small, big);
        self.f.switch_to(small);
        let plain = self.f.alu(AluOp::Add, v, 1);
        self.f.push(Op::Mov {
            dst: bucket,
            src: plain.into(),
        });
        self.f.end(Term::Goto(on));
        self.f.switch_to(big);
        // log2 by halving: rest holds the bits still to be looked at.
        let (rest, log) = (self.f.mov(v), self.f.mov(0));
        for step in [32i64, 16, 8, 4, 2, 1] {
            let (more, next) = (self.f.block(), self.f.block());
            if step == 32 {
                // No comparison holds so large a number.
                let high = self.f.alu(AluOp::Rsh, rest, step);
                self.f.branch(Cond::Ne, high, 0, more, next);
            } else {
                self.f.branch(Cond::Lt, rest, 1 << step, next, more);
            }
            self.f.switch_to(more);
            if step > 1 {
                self.f.push(Op::Alu {
                    op: AluOp::Rsh,
                    width: Width::W64,
                    dst: rest,
                    a: rest.into(),
                    b: Opnd::Imm(step),
                });
            }
            self.add_assign(log, step);
            self.f.end(Term::Goto(next));
            self.f.switch_to(next);
        }
        // log >= bits; mantissa = the `bits` bits below the leading one.
        let power = self.f.alu(AluOp::Sub, log, i64::from(bits));
        let shifted = self.f.alu(AluOp::Rsh, v, power);
        let mantissa = self.f.alu(AluOp::And, shifted, (1i64 << bits) - 1);
        let row = self.f.alu(AluOp::Lsh, power, i64::from(bits));
        let sum = self.f.alu(AluOp::Add, row, mantissa);
        let index = self.f.alu(AluOp::Add, sum, (1i64 << bits) + 1);
        self.f.push(Op::Mov {
            dst: bucket,
            src: index.into(),
        });
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        bucket
    }

    /// Bucket of an `lhist`: 0 below `min`, then one a step, the last for `max` and above.
    fn lhist_bucket(&mut self, v: Opnd, (min, max, step): (i64, i64, i64), signed: bool) -> VReg {
        let bucket = self.f.vreg();
        let v = self.f.mov(v);
        let (under, not_under, over, inside, on) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        let steps = (max - min) / step.max(1);
        let max = min + steps * step;
        // An unsigned number above the signed ones is above every edge.
        let signed = signed || min < 0;
        let (below, above) = if signed {
            (Cond::Slt, Cond::Sge)
        } else {
            (Cond::Lt, Cond::Ge)
        };
        self.f.branch(below, v, min, under, not_under);
        self.f.switch_to(under);
        self.f.push(Op::Mov {
            dst: bucket,
            src: Opnd::Imm(0),
        });
        self.f.end(Term::Goto(on));
        self.f.switch_to(not_under);
        self.f.branch(above, v, max, over, inside);
        self.f.switch_to(over);
        self.f.push(Op::Mov {
            dst: bucket,
            src: Opnd::Imm(steps + 1),
        });
        self.f.end(Term::Goto(on));
        self.f.switch_to(inside);
        let from = self.f.alu(AluOp::Sub, v, min);
        let nth = self.f.alu(AluOp::Div, from, step.max(1));
        let index = self.f.alu(AluOp::Add, nth, 1);
        self.f.push(Op::Mov {
            dst: bucket,
            src: index.into(),
        });
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        bucket
    }

    /// An aggregation read as a number: the shares of all CPUs put together.
    fn read_agg(
        &mut self,
        expr: &Expr,
        map: MapId,
        key: Option<&Expr>,
        agg: &Agg,
    ) -> Result<Val, Restart> {
        let key = self.key(map, expr, key)?;
        self.sum_shares(expr, map, key, agg)
    }

    /// The shares of all CPUs under the key that `key` points to, put together.
    pub(super) fn sum_shares(
        &mut self,
        expr: &Expr,
        map: MapId,
        key: VReg,
        agg: &Agg,
    ) -> Result<Val, Restart> {
        if !self.target.features.lookup_percpu {
            return self.fail(expr, "reading an aggregation in a script needs a kernel with bpf_map_lookup_percpu_elem (5.19)");
        }
        let (total, count) = (self.f.mov(0), self.f.mov(0));
        let cpu = self.f.mov(0);
        let (head, some, next, done) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        self.f.end(Term::Goto(head));
        self.f.switch_to(head);
        let ptr = self.map_ptr(map);
        let entry = self.f.call(
            helper::MAP_LOOKUP_PERCPU_ELEM,
            &[ptr.into(), key.into(), cpu.into()],
        );
        self.f.branch(Cond::Ne, entry, 0, some, done);
        self.f.switch_to(some);
        let at = Addr {
            base: entry,
            off: 0,
        };
        let v = self.load_at(at, Size::DW, false);
        match agg {
            Agg::Count | Agg::Sum { .. } => {
                let sum = self.f.alu(AluOp::Add, total, v);
                self.f.push(Op::Mov {
                    dst: total,
                    src: sum.into(),
                });
            }
            Agg::Avg { .. } | Agg::Stats { .. } => {
                let n = self.load_at(at.plus(8), Size::DW, false);
                let sum = self.f.alu(AluOp::Add, total, v);
                self.f.push(Op::Mov {
                    dst: total,
                    src: sum.into(),
                });
                let sum = self.f.alu(AluOp::Add, count, n);
                self.f.push(Op::Mov {
                    dst: count,
                    src: sum.into(),
                });
            }
            Agg::Min { signed } | Agg::Max { signed } => {
                let (set, better) = (self.f.block(), self.f.block());
                let present = self.load_at(at.plus(8), Size::DW, false);
                self.f.branch(Cond::Ne, present, 0, set, next);
                self.f.switch_to(set);
                let compare = self.f.block();
                self.f.branch(Cond::Eq, count, 0, better, compare);
                self.f.switch_to(compare);
                let cond = match (matches!(agg, Agg::Min { .. }), signed) {
                    (true, true) => Cond::Slt,
                    (true, false) => Cond::Lt,
                    (false, true) => Cond::Sgt,
                    (false, false) => Cond::Gt,
                };
                self.f.branch(cond, v, total, better, next);
                self.f.switch_to(better);
                self.f.push(Op::Mov {
                    dst: total,
                    src: v.into(),
                });
                self.f.push(Op::Mov {
                    dst: count,
                    src: Opnd::Imm(1),
                });
            }
            Agg::Hist { .. } | Agg::Lhist { .. } | Agg::Tseries { .. } => {
                return self.fail(expr, "a histogram is not a number");
            }
        }
        self.f.end(Term::Goto(next));
        self.f.switch_to(next);
        self.add_assign(cpu, 1);
        self.f.branch(
            Cond::Lt,
            cpu,
            i64::from(self.target.cpus.max(1)),
            head,
            done,
        );
        self.f.switch_to(done);
        self.check_found(FaultKind::Share, cpu);
        Ok(Val::Num(match agg {
            Agg::Avg { signed } => self.arith(BinOp::Div, total.into(), count.into(), *signed),
            Agg::Stats { signed } => self.arith(BinOp::Div, total.into(), count.into(), *signed),
            _ => total.into(),
        }))
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
        let ptr = self.map_ptr(map);
        let ret = self
            .f
            .call(helper::MAP_DELETE_ELEM, &[ptr.into(), key.into()]);
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
        Ok(self.lookup(map, key))
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
        let entry = self.lookup(map, key);
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
            Type::Agg(agg) => match self.sum_shares(expr, map, key, agg)? {
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
        self.f.push(Op::Mov {
            dst,
            src: Opnd::Imm(1),
        });
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
        let entry = self.lookup(map, key);
        let dst = self.f.vreg();
        let (some, none, on) = (self.f.block(), self.f.block(), self.f.block());
        self.f.branch(Cond::Ne, entry, 0, some, none);
        for (block, v) in [(some, 1), (none, 0)] {
            self.f.switch_to(block);
            self.f.push(Op::Mov {
                dst,
                src: Opnd::Imm(v),
            });
            self.f.end(Term::Goto(on));
        }
        self.f.switch_to(on);
        Ok(Val::Num(dst.into()))
    }
}
