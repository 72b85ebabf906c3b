//! Aggregations: this CPU's share of one is fed, the shares of all CPUs are put together.

use super::{
    helper,
    map::Key,
    program::{Lower, Restart},
    record::Addr,
    value::Val,
};
use crate::{
    asm::{AluOp, AtomicOp, Cond, Size},
    ir::{Op, Opnd, Term},
    lang::{
        ast::{Arg, BinOp, Expr, ExprKind},
        checked::MapId,
    },
    spec::{Agg, FaultKind, Type, hist},
};

/// Most bytes of a per-CPU value (`PCPU_MIN_UNIT_SIZE` in `include/linux/percpu.h`).
const SHARE_MAX: u32 = 32 * 1024 - 8;

impl Lower<'_> {
    /// Address of this CPU's share of an aggregation, made with zeros when new; jumps to `on` where that is impossible.
    pub(super) fn share(
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
        let first = self.lookup(key);
        let entry = self.f.vreg();
        self.f.set(entry, first);
        let (new, got) = (self.f.block(), self.f.block());
        self.f
            .branch(Cond::Ne, entry, 0, got, if keyed { new } else { on });
        self.f.switch_to(new);
        if keyed {
            let zeros = self.alloc(size)?;
            self.zero(zeros, size)?;
            self.update(key, zeros);
            let again = self.lookup(key);
            self.f.set(entry, again);
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
    pub(super) fn feed(
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
                Some(arg) => self.operand(arg)?,
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
            let entry = self.lookup(key);
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
            self.update(key, own);
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

    /// An aggregation read as a number: the shares of all CPUs put together.
    pub(super) fn read_agg(
        &mut self,
        expr: &Expr,
        map: MapId,
        key: Option<&Expr>,
        agg: &Agg,
    ) -> Result<Val, Restart> {
        let key = self.key(map, expr, key)?;
        self.sum_shares(expr, key, agg)
    }

    /// The shares of all CPUs under the key that `key` points to, put together.
    pub(super) fn sum_shares(&mut self, expr: &Expr, key: Key, agg: &Agg) -> Result<Val, Restart> {
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
        let ptr = self.keyed_map(key);
        let entry = self.f.call(
            helper::MAP_LOOKUP_PERCPU_ELEM,
            &[ptr.into(), key.at.into(), cpu.into()],
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
                self.f.set(total, sum);
            }
            Agg::Avg { .. } | Agg::Stats { .. } => {
                let n = self.load_at(at.plus(8), Size::DW, false);
                let sum = self.f.alu(AluOp::Add, total, v);
                self.f.set(total, sum);
                let sum = self.f.alu(AluOp::Add, count, n);
                self.f.set(count, sum);
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
                self.f.set(total, v);
                self.f.set(count, 1);
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
}
