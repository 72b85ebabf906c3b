//! One probe at one attach point becomes one program: entry, predicate, body, exits.

use super::{
    LowerError, abi,
    abi::Abi,
    chunk::{CHUNK_EXTRA, SCRATCH_HEADER, SLOT},
    helper,
    record::{Addr, Cursor, Home, RECORD_MAX, STACK_START},
    shared::Shared,
    usage::{Usage, VarUse},
};
use crate::{
    asm::{AluOp, AtomicOp, Cond, Size},
    ir::{BlockId, FuncBuilder, Op, Opnd, Program, Term, VReg},
    lang::{
        ast::Expr,
        checked::{Checked, CheckedPoint, CheckedProbe, Point, VarId},
    },
    span::Span,
    spec::{STAMP, Target, UsdtArg},
};
use std::collections::{HashMap, HashSet};

/// Why an attempt at lowering a program is given up; all but `Fail` are tried again with another plan.
#[derive(Debug)]
pub(super) enum Restart {
    /// There is output after all.
    NeedRecord,
    /// The record, or a value, does not fit the stack.
    NeedScratch,
    /// Strings in variables must have a place of their own.
    NoBlobVars,
    /// The record may outgrow its buffer.
    NeedChunks,
    /// One item is larger than a record can be.
    TooBig(u32),
    /// The script cannot be compiled.
    Fail(LowerError),
}

impl From<LowerError> for Restart {
    fn from(e: LowerError) -> Self {
        Restart::Fail(e)
    }
}

/// Where things of a program live; found by trying.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// 0 no record, 1 record on the stack, 2 in scratch.
    home: u8,
    /// Bytes of a record on the stack.
    pub(super) record_size: u32,
    /// Bytes of the scratch buffer's fixed part: variables first, then what one statement at a time needs.
    fixed: u32,
    /// Bytes of the variables among them.
    kept: u32,
    /// Largest record in scratch.
    pub(super) record_max: u32,
    /// Strings in variables may live in the record.
    pub(super) blob_vars: bool,
    /// The record may be sent in chunks.
    pub(super) chunked: bool,
    /// Scratch is taken before the predicate.
    early: bool,
    /// Scratch is one of the large buffers that all CPUs share.
    large: bool,
    /// Script numbers, and what a statement leaves for the next, live in scratch, where the verifier knows nothing.
    pub(super) settled: bool,
}

impl Plan {
    /// Bytes in scratch before the record: values, the time, and the header of chunks.
    fn before_record(&self) -> u32 {
        let chunk = if self.chunked { CHUNK_EXTRA } else { 0 };
        SCRATCH_HEADER + self.fixed + STAMP + chunk
    }
}

/// Records on the stack may take this much of its 512 bytes.
const STACK_RECORD_MAX: u32 = 256;

/// Most bytes of a per-CPU value (`PCPU_MIN_UNIT_SIZE` in `include/linux/percpu.h`).
const SCRATCH_MAX: u32 = 32 * 1024 - 8;

/// Most bytes of a value in an array that is not per CPU (`KMALLOC_MAX_SIZE`, `kernel/bpf/arraymap.c`).
const LARGE_MAX: u32 = 4 * 1024 * 1024 - 8;

/// A record must hold at least this much.
const RECORD_LEAST: u32 = 4096;

/// Values in passing may take this much of the stack of a function.
const STACK_VALUES_MAX: u32 = 160;

/// Scratch buffers a CPU: a probe that is preempted keeps its own.
pub(super) const SCRATCH_SLOTS: u32 = 4;

/// Where a script variable is.
#[derive(Clone, Copy, Debug)]
pub(super) enum VarHome {
    /// Numbers and pointers.
    Reg(VReg),
    /// Values with a size, in the fixed part of scratch or on the stack.
    Mem(Addr),
    /// Key and value of the element that a loop over a map is at.
    Pair(super::each::Part, super::each::Part),
    /// A string in the record: register with its blob's offset, and its capacity.
    Blob(VReg, u32),
}

/// A loop around the current statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loop {
    pub(super) on_continue: BlockId,
    pub(super) on_break: BlockId,
}

/// Stack slots of one function for values in passing.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Slots with their sizes that nothing uses now.
    free: Vec<(crate::ir::SlotId, u32)>,
    /// Those in use.
    used: Vec<(crate::ir::SlotId, u32)>,
    /// Bytes of both.
    total: u32,
}

/// State of lowering one program.
pub(super) struct Lower<'a> {
    pub(super) checked: &'a Checked,
    pub(super) target: &'a Target,
    pub(super) text: super::Text<'a>,
    pub(super) shared: &'a mut Shared,
    pub(super) abi: &'static Abi,
    pub(super) point: &'a CheckedPoint,
    pub(super) probe: &'a CheckedProbe,
    pub(super) args: &'a [UsdtArg],
    pub(super) usage: &'a Usage,
    pub(super) plan: Plan,
    /// Index of the program in the object.
    pub(super) index: usize,
    pub(super) f: FuncBuilder,
    pub(super) home: Home,
    pub(super) cursor: Cursor,
    /// Largest record position seen.
    pub(super) seen_max: u32,
    /// Some variable is a blob.
    pub(super) blob_vars: bool,
    pub(super) vars: HashMap<VarId, VarHome>,
    pub(super) loops: Vec<Loop>,
    /// The innermost loop has output inside.
    pub(super) loop_output: bool,
    /// Arguments already fetched on the path to here.
    pub(super) arg_cache: HashMap<u32, Opnd>,
    /// Gives the scratch buffer back and returns.
    pub(super) release_block: BlockId,
    /// Stack slots of the current function.
    pub(super) pool: Pool,
    /// Registers that hold addresses of the stack, or of a context that wants aligned accesses too.
    pub(super) on_stack: HashSet<VReg>,
    /// Registers that are known to hold addresses in the kernel.
    pub(super) in_kernel: HashSet<VReg>,
    /// Callbacks made so far; `None` while one is being built.
    pub(super) callbacks: Vec<Option<crate::ir::Func>>,
    /// Set while the body of a callback is built.
    pub(super) callback: Option<super::each::Callback>,
    pub(super) scratch: Option<VReg>,
    pub(super) ctx: Option<VReg>,
    /// What a program that is run on request returns.
    pub(super) result: Option<VReg>,
    fixed_used: u32,
    /// Bytes that the current statement's values take.
    temps: u32,
    /// The most that they took.
    temps_max: u32,
}

/// A lowered program with what it needs of the shared maps.
pub(super) struct Lowered {
    pub(super) ir: Program,
    /// Bytes of scratch value it uses; 0 for none.
    pub(super) scratch: u32,
    /// They are in a large buffer.
    pub(super) large: bool,
}

pub(super) struct Job<'a> {
    pub(super) checked: &'a Checked,
    pub(super) target: &'a Target,
    pub(super) text: super::Text<'a>,
    pub(super) probe: &'a CheckedProbe,
    pub(super) point: &'a CheckedPoint,
    pub(super) args: &'a [UsdtArg],
    pub(super) usage: &'a Usage,
    pub(super) index: usize,
    /// See [`Plan::settled`].
    pub(super) settled: bool,
}

/// Lowers one program, trying plans from the cheapest up.
pub(super) fn lower(job: &Job<'_>, shared: &mut Shared) -> Result<Lowered, LowerError> {
    let mut plan = Plan {
        home: if job.settled { 2 } else { 0 },
        record_size: STACK_RECORD_MAX,
        fixed: 0,
        kept: 0,
        record_max: RECORD_MAX,
        blob_vars: true,
        chunked: false,
        early: job.settled,
        large: false,
        settled: job.settled,
    };
    // Each failed attempt moves one setting one way, so this ends.
    for _ in 0..24 {
        let groups = shared.groups.len();
        let mut lower = Lower::new(job, shared, plan.clone());
        let result = lower.run();
        let (seen, kept) = (lower.seen_max, lower.fixed_used);
        let fixed = kept.max(plan.kept) + lower.temps_max;
        let scratch = lower.scratch.is_some();
        match result {
            Ok(()) if matches!(lower.home, Home::Stack(_)) && plan.record_size != seen => {
                plan.record_size = seen
            }
            Ok(()) if fixed > plan.fixed || kept > plan.kept => {
                plan.kept = plan.kept.max(kept);
                plan.fixed = plan.fixed.max(kept + lower.temps_max);
            }
            Ok(()) => {
                let func = std::mem::replace(&mut lower.f, FuncBuilder::new("")).finish();
                let used = if scratch {
                    plan.before_record() + seen.max(8)
                } else {
                    0
                };
                if used > if plan.large { LARGE_MAX } else { SCRATCH_MAX } {
                    // A smaller record leaves room for the values.
                    let room = SCRATCH_MAX.saturating_sub(plan.before_record()) & !7;
                    if !plan.large && room >= RECORD_LEAST && room < plan.record_max {
                        plan.record_max = room;
                        shared.groups.truncate(groups);
                        continue;
                    }
                    // Shared buffers are safe only where one can be taken in one step.
                    if !plan.large && job.target.features.atomics {
                        plan.large = true;
                        plan.record_max = RECORD_MAX;
                        shared.groups.truncate(groups);
                        continue;
                    }
                    let what =
                        format!("the values of this probe take {fixed} bytes of scratch memory");
                    return Err(LowerError::new(job.probe.span, what)
                        .help("use shorter strings or fewer of them"));
                }
                let callbacks = std::mem::take(&mut lower.callbacks);
                let funcs = std::iter::once(func)
                    .chain(callbacks.into_iter().flatten())
                    .collect();
                return Ok(Lowered {
                    ir: Program { funcs },
                    scratch: used.next_multiple_of(8),
                    large: plan.large,
                });
            }
            Err(Restart::NeedRecord) => plan.home = plan.home.max(1),
            Err(Restart::NeedScratch) if plan.home == 2 => plan.early = true,
            Err(Restart::NeedScratch) => plan.home = 2,
            Err(Restart::NoBlobVars) => plan.blob_vars = false,
            Err(Restart::NeedChunks) => plan.chunked = true,
            Err(Restart::TooBig(n)) => {
                let what =
                    format!("one value of {n} bytes does not fit a record of {RECORD_MAX} bytes");
                return Err(LowerError::new(job.probe.span, what)
                    .help("lower max_strlen, or give str() a length"));
            }
            Err(Restart::Fail(e)) => return Err(e),
        }
        shared.groups.truncate(groups);
    }
    Err(LowerError::new(
        job.probe.span,
        "no layout was found for the values of this probe",
    ))
}

impl<'a> Lower<'a> {
    fn new(job: &Job<'a>, shared: &'a mut Shared, plan: Plan) -> Self {
        let mut f = FuncBuilder::new(job.point.name.clone());
        let release_block = f.block();
        Lower {
            checked: job.checked,
            target: job.target,
            text: job.text,
            shared,
            abi: abi::abi(job.target.arch),
            point: job.point,
            probe: job.probe,
            args: job.args,
            usage: job.usage,
            plan,
            index: job.index,
            f,
            home: Home::None,
            cursor: Cursor::start(),
            seen_max: 0,
            blob_vars: false,
            vars: HashMap::new(),
            loops: Vec::new(),
            loop_output: false,
            arg_cache: HashMap::new(),
            release_block,
            pool: Pool::default(),
            on_stack: HashSet::new(),
            in_kernel: HashSet::new(),
            callbacks: Vec::new(),
            callback: None,
            scratch: None,
            ctx: None,
            result: None,
            fixed_used: 0,
            temps: 0,
            temps_max: 0,
        }
    }

    fn run(&mut self) -> Result<(), Restart> {
        let ctx = self.f.vreg();
        self.f.push(Op::Ctx { dst: ctx });
        self.ctx = Some(ctx);
        if self.point.point.is_kernel() {
            self.on_stack.insert(ctx);
        }
        self.only_in_process();
        if let Point::Manual(..) = self.point.point {
            self.result = Some(self.f.mov(0));
        }
        if self.plan.early {
            self.open_home()?;
        }
        // What has an address is in memory from the start.
        for var in &self.usage.addressed {
            if self.is_number(*var) {
                let home = if self.plan.settled {
                    self.alloc_kept(8)?
                } else {
                    let slot = self.f.slot(8, 8);
                    let base = self.slot_base(slot);
                    Addr { base, off: 0 }
                };
                self.store_at(home, Size::DW, Opnd::Imm(0));
                self.vars.insert(*var, VarHome::Mem(home));
            }
        }
        // What a path may read before it was written reads as 0.
        for (var, usage) in &self.usage.vars {
            if self.usage.addressed.contains(var) {
                continue;
            }
            if self.plan.settled && self.is_number(*var) {
                let home = self.alloc_kept(8)?;
                if !usage.assigned_first {
                    self.store_at(home, Size::DW, Opnd::Imm(0));
                }
                self.vars.insert(*var, VarHome::Mem(home));
            } else if !usage.assigned_first && self.is_number(*var) {
                let reg = self.f.vreg();
                self.f.set(reg, 0);
                self.vars.insert(*var, VarHome::Reg(reg));
            }
        }
        self.only_with_object()?;
        if let Some(predicate) = &self.probe.predicate {
            let (yes, no) = (self.f.block(), self.release_block);
            self.cond(predicate, yes, no)?;
            self.f.switch_to(yes);
        }
        if !self.plan.early {
            self.open_home()?;
        }
        let body = &self.probe.body;
        self.block_tail(body)?;
        self.f.switch_to(self.release_block);
        self.f.set_span(None);
        if let Some(base) = self.scratch
            && self.target.features.atomics
        {
            // The predicate may leave before scratch was taken: it does so through a register that is 0 then.
            self.f.store(Size::DW, base, 0, 0);
        }
        let result = self.result.map_or(Opnd::Imm(0), Opnd::Reg);
        self.f.end(Term::Exit(result));
        Ok(())
    }

    /// Takes the place that the plan names for the record.
    fn open_home(&mut self) -> Result<(), Restart> {
        match self.plan.home {
            0 => {}
            1 => {
                let size = (STACK_START + self.plan.record_size).next_multiple_of(8);
                let slot = self.f.slot(size, 8);
                self.home = Home::Stack(slot);
            }
            _ => {
                let base = self.take_scratch();
                self.scratch = Some(base);
                self.home = Home::Scratch {
                    base,
                    start: self.plan.before_record(),
                };
                self.begin_chunks()?;
            }
        }
        Ok(())
    }

    /// Takes one of this CPU's free scratch buffers (or of the large ones); where all are taken the hit counts as lost.
    fn take_scratch(&mut self) -> VReg {
        let map_index = self.shared.scratch(self.plan.large);
        let key_slot = self.f.slot(4, 4);
        let (try_block, found, lost, got) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        // From here on leaving means giving the buffer back.
        let plain_exit = self.release_block;
        self.release_block = self.f.block();
        let number = self.f.vreg();
        self.f.set(number, 0);
        self.f.end(Term::Goto(try_block));
        self.f.switch_to(try_block);
        let (map, key) = (self.f.vreg(), self.f.vreg());
        self.f.push(Op::Slot {
            dst: key,
            slot: key_slot,
            off: 0,
        });
        self.f.store(Size::W, key, 0, number);
        self.f.push(Op::Map {
            dst: map,
            map: map_index,
        });
        let base = self
            .f
            .call(helper::MAP_LOOKUP_ELEM, &[map.into(), key.into()]);
        self.f.branch(Cond::Eq, base, 0, lost, found);
        self.f.switch_to(found);
        if self.target.features.atomics {
            let next = self.f.block();
            let one = self.f.mov(1);
            let old = self.f.vreg();
            self.f.push(Op::Atomic {
                op: AtomicOp::Xchg,
                size: Size::DW,
                base,
                off: 0,
                src: one,
                dst: Some(old),
                expect: None,
            });
            self.f.branch(Cond::Eq, old, 0, got, next);
            self.f.switch_to(next);
            self.f.push(Op::Alu {
                op: AluOp::Add,
                width: crate::asm::Width::W64,
                dst: number,
                a: number.into(),
                b: Opnd::Imm(1),
            });
            self.f
                .branch(Cond::Ne, number, i64::from(SCRATCH_SLOTS), try_block, lost);
        } else {
            self.f.end(Term::Goto(got));
        }
        self.f.switch_to(lost);
        self.count_lost();
        self.f.end(Term::Goto(plain_exit));
        self.f.switch_to(plain_exit);
        self.f.end(Term::Exit(Opnd::Imm(0)));
        self.f.switch_to(got);
        if self.plan.chunked {
            self.f.store(Size::W, base, SLOT, number);
        }
        base
    }

    /// The context pointer.
    pub(super) fn ctx(&mut self) -> VReg {
        match self.ctx {
            Some(ctx) => ctx,
            None => self.f.vreg(),
        }
    }

    /// Memory of `size` bytes for the whole run of the program: on the stack when small, in scratch when not.
    pub(super) fn alloc(&mut self, size: u32) -> Result<Addr, Restart> {
        if !self.plan.settled && size <= self.checked.config.on_stack_limit.min(64) {
            let size = size.next_multiple_of(8).max(8);
            let free = self.pool.free.iter().position(|(_, s)| *s == size);
            if free.is_some() || self.pool.total + size <= STACK_VALUES_MAX {
                let slot = match free {
                    Some(at) => self.pool.free.swap_remove(at).0,
                    None => {
                        self.pool.total += size;
                        self.f.slot(size, 8)
                    }
                };
                self.pool.used.push((slot, size));
                let base = self.slot_base(slot);
                return Ok(Addr { base, off: 0 });
            }
        }
        self.alloc_scratch(size)
    }

    /// Address of a stack slot.
    pub(super) fn slot_base(&mut self, slot: crate::ir::SlotId) -> VReg {
        let base = self.f.vreg();
        self.f.push(Op::Slot {
            dst: base,
            slot,
            off: 0,
        });
        self.on_stack.insert(base);
        base
    }

    /// The largest piece, up to `size`, that may be read or written at once: the kernel wants stack accesses aligned
    /// on every machine (`kernel/bpf/verifier.c: check_ptr_alignment`).
    pub(super) fn piece(&self, addr: Addr, size: u32) -> Size {
        let aligned = |s: &Size| {
            s.bytes() <= size
                && (!self.on_stack.contains(&addr.base)
                    || addr.off.rem_euclid(s.bytes().cast_signed()) == 0)
        };
        [Size::DW, Size::W, Size::H]
            .into_iter()
            .find(aligned)
            .unwrap_or(Size::B)
    }

    /// Memory in scratch until the end of the statement.
    fn alloc_scratch(&mut self, size: u32) -> Result<Addr, Restart> {
        let Some(base) = self.scratch else {
            return Err(Restart::NeedScratch);
        };
        let at = self.plan.kept + self.temps;
        self.temps += size.next_multiple_of(8);
        self.temps_max = self.temps_max.max(self.temps);
        Ok(Addr {
            base,
            off: (SCRATCH_HEADER + at).cast_signed(),
        })
    }

    /// Runs `body`, and frees afterwards what it took of scratch and stack for values in passing.
    pub(super) fn passing<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> T {
        let (temps, slots) = (self.temps, self.pool.used.len());
        let result = body(self);
        self.temps = temps;
        let freed = self.pool.used.split_off(slots);
        self.pool.free.extend(freed);
        result
    }

    /// Memory in scratch for the whole run of the program.
    pub(super) fn alloc_kept(&mut self, size: u32) -> Result<Addr, Restart> {
        let Some(base) = self.scratch else {
            return Err(Restart::NeedScratch);
        };
        let at = self.fixed_used;
        self.fixed_used += size.next_multiple_of(8);
        Ok(Addr {
            base,
            off: (SCRATCH_HEADER + at).cast_signed(),
        })
    }

    pub(super) fn is_number(&self, var: VarId) -> bool {
        super::value::is_number(&self.checked.vars[var.0 as usize])
    }

    pub(super) fn var_use(&self, var: VarId) -> VarUse {
        self.usage.vars.get(&var).copied().unwrap_or_default()
    }

    /// `addr` as one register.
    pub(super) fn addr_reg(&mut self, addr: Addr) -> VReg {
        if addr.off == 0 {
            addr.base
        } else {
            self.f.alu(AluOp::Add, addr.base, i64::from(addr.off))
        }
    }

    /// Loads `size` zero-extended bytes.
    pub(super) fn load_at(&mut self, addr: Addr, size: Size, signed: bool) -> VReg {
        let step = self.piece(addr, size.bytes());
        let mut dst = self.load_piece(addr, step);
        let mut at = step.bytes();
        while at < size.bytes() {
            let next = self.load_piece(addr.plus(at), step);
            let up = self.f.alu(AluOp::Lsh, next, i64::from(8 * at));
            dst = self.f.alu(AluOp::Or, up, dst);
            at += step.bytes();
        }
        if signed && size != Size::DW {
            let ext = self.f.vreg();
            self.f.push(Op::Ext {
                dst: ext,
                src: dst.into(),
                from: size,
                signed: true,
            });
            return ext;
        }
        dst
    }

    fn load_piece(&mut self, addr: Addr, size: Size) -> VReg {
        let (base, off) = self.near(addr);
        self.f.load(size, base, off)
    }

    /// Stores `size` bytes.
    pub(super) fn store_at(&mut self, addr: Addr, size: Size, src: Opnd) {
        let step = self.piece(addr, size.bytes());
        let mut at = 0;
        while at < size.bytes() {
            let part = match src {
                _ if at == 0 => src,
                Opnd::Imm(v) => Opnd::Imm(v >> (8 * at)),
                Opnd::Reg(_) => self.f.alu(AluOp::Rsh, src, i64::from(8 * at)).into(),
            };
            let part = match part {
                Opnd::Imm(v) if step != size => Opnd::Imm(super::value::cut(v, step, true)),
                other => other,
            };
            let (base, off) = self.near(addr.plus(at));
            self.f.store(step, base, off, part);
            at += step.bytes();
        }
    }

    /// `addr` with an offset that an instruction can hold.
    fn near(&mut self, addr: Addr) -> (VReg, i16) {
        match i16::try_from(addr.off) {
            Ok(off) => (addr.base, off),
            Err(_) => (self.addr_reg(addr), 0),
        }
    }

    /// Runs `body` with the script text that its instructions come from.
    pub(super) fn at<T>(&mut self, span: Span, body: impl FnOnce(&mut Self) -> T) -> T {
        let old = self.f.set_span(Some(span));
        let result = body(self);
        self.f.set_span(old);
        result
    }

    /// An error at `expr`.
    pub(super) fn fail<T>(&self, expr: &Expr, what: impl Into<String>) -> Result<T, Restart> {
        Err(Restart::Fail(LowerError::new(expr.span, what)))
    }
}
