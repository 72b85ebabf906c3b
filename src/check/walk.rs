//! Walks all paths of a program.

use super::{
    Env, Report,
    branch::{decided, flip, learn},
    error::{CheckError, What},
    live::{Facts, Flow},
    scalar::Scalar,
    shape::Shape,
    state::{Entry, Exact, Frame, Matters, STACK, State, widen},
    value::{Kind, Value},
};
use crate::asm::{Callee, Cond, Imm64, Insn, Reg, Size, Src, Width, helper::ProgType};

/// Instructions walked on all paths (`BPF_COMPLEXITY_LIMIT_INSNS`).
pub(super) const MAX_PROCESSED: usize = 1_000_000;
/// Branches waiting (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`).
const MAX_PENDING: usize = 8192;
/// Walks until nothing new is learned; each walk learns at least one fact, so this is only a guard.
const MAX_WALKS: usize = 64;

/// A state that later paths are compared with.
struct Kept {
    state: State,
    at: usize,
    parent: Option<usize>,
    /// Paths from here that have not ended.
    open: u32,
    hits: u32,
    misses: u32,
    /// Instructions from the parent's place to this one.
    from_parent: usize,
    /// Most instructions from here to an end, of the paths that have ended.
    below: usize,
}

/// A branch to be walked.
struct Pending {
    state: State,
    at: usize,
    parent: Option<usize>,
    steps: usize,
}

/// What comes after an instruction.
pub(super) enum Next {
    /// The instruction there.
    At(usize),
    /// The path ends.
    End,
}

/// One walk over all paths.
pub(super) struct Walk<'a> {
    pub(super) env: &'a Env<'a>,
    insns: &'a [Insn],
    pub(super) shape: &'a Shape,
    pub(super) facts: &'a mut Facts,
    flow: &'a Flow,
    pub(super) state: State,
    pub(super) at: usize,
    parent: Option<usize>,
    pending: Vec<Pending>,
    kept: Vec<Kept>,
    /// Kept states by instruction.
    lists: Vec<Vec<usize>>,
    ids: u32,
    pub(super) report: Report,
    jumps: usize,
    /// Jumps and instructions when a state was last kept.
    since: (usize, usize),
    /// Lowest stack offset used in each function.
    depth: Vec<i64>,
    /// Instructions of this path since its parent's place.
    steps: usize,
    /// Most instructions of a path from the program's begin.
    longest: usize,
    /// Some path comes round to itself: turns are not counted.
    endless: bool,
}

/// Checks a program: walks until a walk learns nothing new.
pub(super) fn check(insns: &[Insn], env: &Env<'_>) -> Result<Report, CheckError> {
    let shape = Shape::of(insns).map_err(|(at, what)| CheckError::new(insns, at, what))?;
    let mut facts = Facts::new(insns.len());
    let mut walks = 0;
    loop {
        walks += 1;
        let flow = facts.flow(insns, &shape);
        let mut walk = Walk {
            env,
            insns,
            shape: &shape,
            facts: &mut facts,
            flow: &flow,
            state: start(),
            at: 0,
            parent: None,
            pending: Vec::new(),
            kept: Vec::new(),
            lists: vec![Vec::new(); insns.len()],
            ids: 0,
            report: Report::default(),
            jumps: 0,
            since: (0, 0),
            depth: vec![0; shape.starts.len()],
            steps: 0,
            longest: 0,
            endless: false,
        };
        walk.report.lengths = vec![0; insns.len()];
        if env.trace {
            walk.report.states = vec![String::new(); insns.len()];
        }
        let result = walk.run();
        let report = std::mem::take(&mut walk.report);
        let more = facts.changed && walks < MAX_WALKS;
        match result {
            // What was taken for unimportant may have been widened too far: look again before refusing.
            Err(error) if more && error.what != What::TooComplex => {}
            Err(error) => return Err(error),
            Ok(()) if more => {}
            Ok(()) if facts.changed => {
                return Err(CheckError::new(insns, 0, What::TooComplex));
            }
            Ok(()) => return Ok(report),
        }
    }
}

fn start() -> State {
    let mut frame = Frame::new(0, 0, 0, Entry::Main);
    frame.regs[1] = Value::pointer(Kind::Ctx, 0);
    State {
        frames: vec![frame],
        records: Vec::new(),
        may_goto: 0,
        unrolled: 0,
    }
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), CheckError> {
        loop {
            self.path().map_err(|what| self.error(what))?;
            self.ended(self.parent);
            let Some(next) = self.pending.pop() else {
                break;
            };
            self.state = next.state;
            self.at = next.at;
            self.parent = next.parent;
            self.steps = next.steps;
        }
        self.report.longest = (!self.endless).then_some(self.longest);
        self.report.kept = self.kept.len();
        self.report.max_stack = self.stack().map_err(|what| self.error(what))?;
        Ok(())
    }

    fn error(&self, what: What) -> CheckError {
        let mut error = CheckError::new(self.insns, self.at, what);
        error.state = self.known();
        error
    }

    /// What is known of each register.
    fn known(&self) -> Vec<(Reg, String)> {
        let regs = self.state.top().regs.iter().enumerate().take(10);
        let written = regs.filter(|(_, value)| value.kind != Kind::NotInit);
        written
            .filter_map(|(at, value)| {
                let reg = Reg::new(u8::try_from(at).ok()?)?;
                Some((reg, value.to_string()))
            })
            .collect()
    }

    /// Walks one path to its end.
    fn path(&mut self) -> Result<(), What> {
        loop {
            self.report.processed += 1;
            if self.report.processed > self.env.limit {
                return Err(What::TooComplex);
            }
            if self.shape.compare[self.at]
                && let Some(by) = self.covered()?
            {
                self.report.pruned += 1;
                // Whatever comes from here on was followed from there on.
                self.endless |= self.kept[by].open > 0;
                let rest = self.kept[by].below;
                self.lasts(self.parent, self.steps + rest);
                return Ok(());
            }
            self.remember();
            self.steps += 1;
            match self.step()? {
                Next::At(next) => self.at = next,
                Next::End => {
                    self.lasts(self.parent, self.steps);
                    return Ok(());
                }
            }
        }
    }

    fn remember(&mut self) {
        if self.env.trace && self.report.states[self.at].is_empty() {
            let named = |(reg, holds): (Reg, String)| match self.reg(reg).kind {
                Kind::Map(map) | Kind::MapValue(map) | Kind::MapKey(map) => {
                    let name = self
                        .env
                        .maps
                        .get(usize::from(map))
                        .map_or("", |map| &map.name);
                    let holds = holds.replacen(&format!("map {map}"), &format!("map `{name}`"), 1);
                    format!("{reg}: {holds}")
                }
                _ => format!("{reg}: {holds}"),
            };
            let known: Vec<String> = self.known().into_iter().map(named).collect();
            self.report.states[self.at] = known.join("; ");
        }
    }

    /// A path goes on for that many instructions from a kept state, or from the program's begin.
    fn lasts(&mut self, from: Option<usize>, count: usize) {
        let most = match from {
            Some(from) => &mut self.kept[from].below,
            None => &mut self.longest,
        };
        *most = count.max(*most);
    }

    /// A path from this kept state on has ended.
    fn ended(&mut self, mut at: Option<usize>) {
        while let Some(kept) = at.and_then(|at| self.kept.get_mut(at)) {
            kept.open -= 1;
            if kept.open > 0 {
                break;
            }
            let (parent, count) = (kept.parent, kept.from_parent + kept.below);
            self.lasts(parent, count);
            at = parent;
        }
    }

    fn matters(&self, state: &State, at: usize) -> Vec<Matters> {
        let last = state.frames.len() - 1;
        (0..=last)
            .map(|frame| {
                if frame == last {
                    self.flow.here(at)
                } else {
                    let call = state.frames[frame + 1].callsite;
                    self.flow.waiting(call, &self.insns[call], self.shape)
                }
            })
            .collect()
    }

    /// The kept state of an earlier path that covers this one; keeps the state for later ones if there is none.
    fn covered(&mut self) -> Result<Option<usize>, What> {
        let at = self.at;
        let keep = self.shape.keep[at];
        let mut add =
            keep || self.jumps - self.since.0 >= 2 && self.report.processed - self.since.1 >= 8;
        let matters = self.matters(&self.state, at);
        let list = std::mem::take(&mut self.lists[at]);
        let mut left = Vec::with_capacity(list.len() + 1);
        let mut hit = false;
        let mut by = None;
        let mut looping = false;
        for &index in &list {
            if hit || looping {
                left.push(index);
                continue;
            }
            let kept = &self.kept[index];
            if kept.open > 0 {
                let may_goto = matches!(self.insns[at], Insn::MayGoto { .. });
                if may_goto || self.shape.calls_back[at] {
                    let turned = !may_goto || kept.state.may_goto != self.state.may_goto;
                    hit = turned && kept.state.covers(&self.state, Exact::Within, &matters);
                } else if kept.state.may_goto == self.state.may_goto
                    && kept.state.unrolled == self.state.unrolled
                {
                    looping = kept.state.covers(&self.state, Exact::Same, &matters);
                }
                if !hit
                    && !keep
                    && self.jumps - self.since.0 < 20
                    && self.report.processed - self.since.1 < 100
                {
                    add = false;
                }
            } else {
                hit = kept.state.covers(&self.state, Exact::No, &matters);
            }
            let kept = &mut self.kept[index];
            if hit {
                kept.hits += 1;
                by = Some(index);
            } else {
                kept.misses += 1;
            }
            // A state that never helps is not compared again.
            let patience = if keep && kept.open > 0 { 64 } else { 3 };
            if hit || looping || kept.misses <= kept.hits * patience + patience {
                left.push(index);
            } else if !keep {
                kept.state = empty();
            }
        }
        if looping {
            return Err(What::InfiniteLoop);
        }
        if !hit && add {
            left.push(self.kept.len());
            self.kept.push(Kept {
                state: self.state.clone(),
                at,
                parent: self.parent,
                open: 1,
                hits: 0,
                misses: 0,
                from_parent: self.steps,
                below: 0,
            });
            self.steps = 0;
            self.parent = Some(self.kept.len() - 1);
            self.since = (self.jumps, self.report.processed);
        }
        self.lists[at] = left;
        Ok(by)
    }

    pub(super) fn push(&mut self, state: State, at: usize) -> Result<(), What> {
        if self.pending.len() >= MAX_PENDING {
            return Err(What::TooManyBranches);
        }
        if let Some(kept) = self.parent.and_then(|at| self.kept.get_mut(at)) {
            kept.open += 1;
        }
        let (parent, steps) = (self.parent, self.steps);
        self.pending.push(Pending {
            state,
            at,
            parent,
            steps,
        });
        Ok(())
    }

    /// Forgets in `state` what changed since the last time this path was at `at`.
    fn widen_since(&self, state: &mut State, at: usize) {
        let mut above = self.parent;
        while let Some(kept) = above.and_then(|index| self.kept.get(index)) {
            if kept.at == at && kept.state.frames.len() == state.frames.len() {
                let matters = self.matters(state, at);
                widen(&kept.state, state, &matters);
                return;
            }
            above = kept.parent;
        }
    }

    pub(super) fn new_id(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn reg(&self, reg: Reg) -> &Value {
        &self.state.top().regs[usize::from(reg.number())]
    }

    pub(super) fn reg_mut(&mut self, reg: Reg) -> &mut Value {
        &mut self.state.top_mut().regs[usize::from(reg.number())]
    }

    pub(super) fn read(&self, reg: Reg) -> Result<Value, What> {
        let value = *self.reg(reg);
        if value.kind == Kind::NotInit {
            return Err(What::NotInit(reg));
        }
        Ok(value)
    }

    pub(super) fn operand(&self, src: Src) -> Result<Value, What> {
        match src {
            Src::Reg(reg) => self.read(reg),
            Src::Imm(imm) => Ok(Value::known(i64::from(imm).cast_unsigned())),
        }
    }

    pub(super) fn writable(&self, reg: Reg) -> Result<(), What> {
        if reg == Reg::R10 {
            return Err(What::FramePointer);
        }
        Ok(())
    }

    pub(super) fn set(&mut self, reg: Reg, value: Value) -> Result<(), What> {
        self.writable(reg)?;
        *self.reg_mut(reg) = value;
        Ok(())
    }

    /// Notes that the function of that frame uses its stack down to there.
    pub(super) fn deepen(&mut self, frame: usize, off: i64) {
        let frame = &mut self.state.frames[frame];
        frame.grow(off);
        let depth = &mut self.depth[frame.function];
        *depth = (*depth).min(off);
    }

    fn step(&mut self) -> Result<Next, What> {
        let next = Next::At(self.at + 1);
        match self.insns[self.at] {
            Insn::Alu {
                op,
                width,
                dst,
                src,
            } => self.alu(op, width, dst, src)?,
            Insn::Neg { width, dst } => self.neg(width, dst)?,
            Insn::Movsx {
                width,
                from,
                dst,
                src,
            } => self.movsx(width, from, dst, src)?,
            Insn::Endian { op, bits, dst } => self.endian(op, bits, dst)?,
            Insn::Load {
                size,
                signed,
                dst,
                src,
                off,
            } => self.load(size, signed, dst, src, off)?,
            Insn::Store {
                size,
                dst,
                off,
                src,
            } => self.store(size, dst, off, src)?,
            Insn::Atomic {
                op,
                size,
                dst,
                off,
                src,
            } => self.atomic(op, size, dst, off, src)?,
            Insn::LoadAcquire {
                size,
                dst,
                src,
                off,
            } => self.load_acquire(size, dst, src, off)?,
            Insn::StoreRelease {
                size,
                dst,
                off,
                src,
            } => self.store_release(size, dst, off, src)?,
            Insn::LoadImm64 { dst, imm } => self.load_imm64(dst, imm)?,
            Insn::Ja { .. } | Insn::Jal { .. } => {
                if matches!(self.insns[self.at], Insn::Jal { .. }) && !self.env.features.cpu_v4 {
                    return Err(super::alu::v4("gotol"));
                }
                self.jumps += 1;
                return Ok(Next::At(self.target()));
            }
            Insn::Jmp {
                cond,
                width,
                dst,
                src,
                ..
            } => {
                self.jumps += 1;
                return self.jump(cond, width, dst, src);
            }
            Insn::MayGoto { .. } => return self.may_goto(),
            Insn::Call { callee } => {
                self.jumps += 1;
                return self.call(callee);
            }
            Insn::Exit => return self.exit(),
            Insn::LoadAbs { size, .. } => self.packet_load(size, None)?,
            Insn::LoadInd { size, src, .. } => self.packet_load(size, Some(src))?,
            Insn::AddrSpaceCast { .. } => return Err(What::NotModelled("addr_space_cast")),
            Insn::Jx { .. } => return Err(What::NotModelled("gotox")),
            Insn::Callx { .. } => return Err(What::NotModelled("callx")),
        }
        Ok(next)
    }

    fn target(&self) -> usize {
        self.shape.target[self.at].unwrap_or(self.at + 1)
    }

    fn load_imm64(&mut self, dst: Reg, imm: Imm64) -> Result<(), What> {
        let value = match imm {
            Imm64::Value(value) => Value::known(value),
            Imm64::MapIdx(index) => Value::pointer(Kind::Map(self.map(index)?), 0),
            Imm64::MapIdxValue { idx, off } => {
                let map = self.map(idx)?;
                let spec = &self.env.maps[usize::from(map)];
                let array = spec.kind == crate::spec::MapKind::Array && spec.max_entries == 1;
                let off = i32::try_from(off).ok().filter(|_| off < spec.value_size);
                match off {
                    Some(off) if array => Value::pointer(Kind::MapValue(map), off),
                    _ => {
                        return Err(What::NoDirectValue {
                            map: usize::from(map),
                        });
                    }
                }
            }
            Imm64::Func(_) => {
                let function = self.shape.callee[self.at].unwrap_or(0);
                Value::pointer(Kind::Func(u16::try_from(function).unwrap_or(u16::MAX)), 0)
            }
            Imm64::MapFd(_) | Imm64::MapValue { .. } => {
                return Err(What::NotModelled("a map by file descriptor"));
            }
            Imm64::BtfId { .. } => return Err(What::NotModelled("a kernel variable")),
        };
        self.set(dst, value)
    }

    fn map(&self, index: i32) -> Result<u16, What> {
        let found = u16::try_from(index).ok();
        let found = found.filter(|map| usize::from(*map) < self.env.maps.len());
        let map = found.ok_or(What::NoMap(index))?;
        if self.env.sleepable && !super::call::sleepable_map(self.env.maps[usize::from(map)].kind) {
            return Err(What::SleepableMap {
                map: usize::from(map),
            });
        }
        Ok(map)
    }

    fn jump(&mut self, cond: Cond, width: Width, dst: Reg, src: Src) -> Result<Next, What> {
        let a = self.read(dst)?;
        let b = self.operand(src)?;
        let (next, target) = (self.at + 1, self.target());
        if let Some(taken) = self.outcome(cond, width, &a, &b) {
            for (reg, value) in [(Some(dst), a), (register(src), b)] {
                if let (Some(reg), true) = (reg, value.is_number()) {
                    self.facts.decides(self.at, reg);
                }
            }
            return Ok(Next::At(if taken { target } else { next }));
        }
        let mut other = self.state.clone();
        if a.is_number() && b.is_number() && register(src) != Some(dst) {
            let (mut ta, mut tb, mut fa, mut fb) = (a.var, b.var, a.var, b.var);
            learn(cond, true, width, &mut ta, &mut tb);
            learn(cond, false, width, &mut fa, &mut fb);
            self.narrow(&mut other, dst, &a, &ta);
            let mut here = std::mem::replace(&mut self.state, empty());
            self.narrow(&mut here, dst, &a, &fa);
            if let Some(src) = register(src) {
                self.narrow(&mut other, src, &b, &tb);
                self.narrow(&mut here, src, &b, &fb);
            }
            self.state = here;
        } else if a.nullable && width == Width::W64 && src == Src::Imm(0) {
            match cond {
                Cond::Eq => {
                    null(&mut other, &a, true);
                    null(&mut self.state, &a, false);
                }
                Cond::Ne => {
                    null(&mut other, &a, false);
                    null(&mut self.state, &a, true);
                }
                _ => {}
            }
        }
        self.push(other, target)?;
        Ok(Next::At(next))
    }

    /// Which way a jump goes, if it always goes the same.
    fn outcome(&self, cond: Cond, width: Width, a: &Value, b: &Value) -> Option<bool> {
        if a.is_number() && b.is_number() {
            return decided(cond, width, &a.var, &b.var);
        }
        let (pointer, number, cond) = if a.is_pointer() && b.is_number() {
            (a, b, cond)
        } else if b.is_pointer() && a.is_number() {
            (b, a, flip(cond))
        } else {
            return None;
        };
        let valid = matches!(
            pointer.kind,
            Kind::MapValue(_) | Kind::MapKey(_) | Kind::Mem(_) | Kind::Map(_)
        ) && !pointer.nullable;
        if !valid || number.var.constant_of(width) != Some(0) {
            return None;
        }
        match cond {
            Cond::Eq => Some(false),
            Cond::Ne => Some(true),
            _ => None,
        }
    }

    /// Puts what was learned of a register into it and into all numbers of the same id.
    fn narrow(&mut self, state: &mut State, reg: Reg, was: &Value, now: &Scalar) {
        let last = state.frames.len() - 1;
        state.frames[last].regs[usize::from(reg.number())].var = *now;
        if was.id == 0 {
            return;
        }
        let (mut regs, mut slots) = (0u16, 0u64);
        for (number, frame) in state.frames.iter_mut().enumerate() {
            let top = number == last;
            for (at, value) in frame.regs[..10].iter_mut().enumerate() {
                if value.is_number() && value.id == was.id {
                    value.var = *now;
                    if top {
                        regs |= 1 << at;
                    }
                }
            }
            for (at, slot) in frame.stack.iter_mut().enumerate() {
                if slot.is_spilled() && slot.value.is_number() && slot.value.id == was.id {
                    slot.value.var = *now;
                    if top {
                        slots |= 1 << at.min(63);
                    }
                }
            }
        }
        if last > 0 {
            // Numbers of callers are linked too: take them all as deciding, which is rare and safe.
            for frame in 0..last {
                let call = state.frames[frame + 1].callsite;
                for (at, value) in state.frames[frame].regs[..10].iter().enumerate() {
                    let number = u8::try_from(at).ok().and_then(Reg::new);
                    if let (true, Some(reg)) = (value.is_number() && value.id == was.id, number) {
                        self.facts.decides(call, reg);
                        self.facts.decides(self.at, reg);
                    }
                }
                for (at, slot) in state.frames[frame].stack.iter().enumerate() {
                    if slot.is_spilled() && slot.value.is_number() && slot.value.id == was.id {
                        self.facts.slot_decides(call, 1 << at.min(63));
                    }
                }
            }
            self.facts.decides(self.at, reg);
        }
        self.facts.link(self.at, regs, slots);
    }

    fn may_goto(&mut self) -> Result<Next, What> {
        if !self.env.features.may_goto {
            return Err(What::Missing {
                feature: "may_goto",
                since: "6.9",
            });
        }
        self.jumps += 1;
        let mut on = self.state.clone();
        on.may_goto += 1;
        // The state was just kept here: what changed is seen against the one before it.
        let before = self
            .parent
            .and_then(|at| self.kept.get(at))
            .map(|k| k.parent);
        let now = std::mem::replace(&mut self.parent, before.flatten());
        self.widen_since(&mut on, self.at);
        self.parent = now;
        self.push(on, self.at + 1)?;
        Ok(Next::At(self.target()))
    }

    fn packet_load(&mut self, size: Size, index: Option<Reg>) -> Result<(), What> {
        if self.env.kind != ProgType::SocketFilter && self.env.kind != ProgType::SchedCls {
            return Err(What::PacketLoad);
        }
        if self.shape.starts.len() > 1 {
            return Err(What::NotModelled("packet loads beside local functions"));
        }
        if size == Size::DW {
            return Err(What::AccessSize);
        }
        if let Some((_, reserved)) = self.state.records.first() {
            return Err(What::RecordKept {
                reserved: *reserved,
            });
        }
        let context = self.read(Reg::R6)?;
        if context.kind != Kind::Ctx || context.fixed_off() != Some(0) {
            return Err(What::NoPointer {
                reg: Reg::R6,
                holds: context.kernel_name(),
            });
        }
        if let Some(index) = index {
            self.read(index)?;
        }
        self.clobber();
        *self.reg_mut(Reg::R0) = Value::UNKNOWN;
        Ok(())
    }

    /// What a call leaves of r0 to r5.
    pub(super) fn clobber(&mut self) {
        for reg in &mut self.state.top_mut().regs[..6] {
            *reg = Value::NOT_INIT;
        }
    }

    pub(super) fn enter(
        &self,
        state: &mut State,
        function: usize,
        entry: Entry,
        args: [Value; 5],
    ) -> Result<usize, What> {
        let number = state.frames.len();
        let Some(number) = u8::try_from(number).ok().filter(|n| *n < 8) else {
            return Err(What::TooDeep);
        };
        let mut frame = Frame::new(number, function, self.at, entry);
        frame.regs[1..6].copy_from_slice(&args);
        state.frames.push(frame);
        Ok(self.shape.starts[function])
    }

    fn call(&mut self, callee: Callee) -> Result<Next, What> {
        match callee {
            Callee::Helper(id) => self.helper(id),
            Callee::Local(_) => self.local_call(),
            Callee::Kfunc { .. } => Err(What::NotModelled("a kernel function")),
        }
    }

    fn local_call(&mut self) -> Result<Next, What> {
        let function = self.shape.callee[self.at].unwrap_or(0);
        let mut args = [Value::NOT_INIT; 5];
        args.copy_from_slice(&self.state.top().regs[1..6]);
        self.clobber();
        let mut state = std::mem::replace(&mut self.state, empty());
        let entered = self.enter(&mut state, function, Entry::Call, args);
        self.state = state;
        Ok(Next::At(entered?))
    }

    fn exit(&mut self) -> Result<Next, What> {
        let last = self.state.frames.len() - 1;
        let frame = self.state.top();
        let (entry, callsite) = (frame.entry, frame.callsite);
        let r0 = frame.regs[0];
        match entry {
            Entry::Main => {
                if let Some((_, reserved)) = self.state.records.first() {
                    return Err(What::RecordKept {
                        reserved: *reserved,
                    });
                }
                self.read(Reg::R0)?;
                Ok(Next::End)
            }
            Entry::Call => {
                if matches!(r0.kind, Kind::Stack(_)) {
                    return Err(What::ReturnsStack);
                }
                self.state.frames.truncate(last);
                self.state.top_mut().regs[0] = r0;
                Ok(Next::At(callsite + 1))
            }
            Entry::Callback => {
                let value = self.read(Reg::R0)?;
                self.facts.decides(self.at, Reg::R0);
                if !value.is_number() || value.var.smin < 0 || value.var.smax > 1 {
                    return Err(What::CallbackReturn);
                }
                self.state.frames.truncate(last);
                // The helper is come to again, with what its function left.
                let mut state = std::mem::replace(&mut self.state, empty());
                self.widen_since(&mut state, callsite);
                self.state = state;
                Ok(Next::At(callsite))
            }
        }
    }

    /// Bytes that the longest chain of calls takes.
    fn stack(&self) -> Result<i64, What> {
        let mut own = vec![0i64; self.shape.starts.len()];
        for (function, depth) in self.depth.iter().enumerate() {
            own[function] = -*depth;
        }
        for (at, insn) in self.insns.iter().enumerate() {
            if matches!(insn, Insn::MayGoto { .. }) {
                let function = self.shape.function[at];
                // Count and time of the loop live on the stack, once for each `may_goto`.
                own[function] += 16;
            }
        }
        if let Some(bytes) = own.iter().find(|bytes| **bytes > STACK) {
            return Err(What::StackTooBig { bytes: *bytes });
        }
        let mut best = 0;
        self.chain(0, 0, 1, &own, &mut best)?;
        Ok(best)
    }

    fn chain(
        &self,
        function: usize,
        above: i64,
        frames: usize,
        own: &[i64],
        best: &mut i64,
    ) -> Result<(), What> {
        let bytes = above + ((own[function].max(1) + 15) & !15);
        *best = (*best).max(bytes);
        if bytes > STACK {
            return Err(What::StackTooBig { bytes });
        }
        if frames > 8 {
            return Err(What::TooDeep);
        }
        for (at, callee) in self.shape.callee.iter().enumerate() {
            if let (Some(callee), true) = (*callee, self.shape.function[at] == function) {
                self.chain(callee, bytes, frames + 1, own, best)?;
            }
        }
        Ok(())
    }
}

fn register(src: Src) -> Option<Reg> {
    match src {
        Src::Reg(reg) => Some(reg),
        Src::Imm(_) => None,
    }
}

/// A state that stands in while another is moved out.
fn empty() -> State {
    State {
        frames: Vec::new(),
        records: Vec::new(),
        may_goto: 0,
        unrolled: 0,
    }
}

/// Makes every copy of a pointer that may be 0 either 0 or a pointer.
fn null(state: &mut State, was: &Value, is_null: bool) {
    if is_null && was.record != 0 {
        state.records.retain(|(id, _)| *id != was.record);
    }
    let (id, kind) = (was.id, was.kind);
    state.each(|value| {
        if value.nullable && value.id == id && value.kind == kind {
            if is_null {
                *value = Value::known(0);
            } else {
                value.nullable = false;
                if value.record == 0 {
                    value.id = 0;
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::build::*;

    fn longest(insns: &[Insn]) -> Option<usize> {
        let env = Env::new(ProgType::Kprobe, &[]);
        check(insns, &env).expect("a good program").longest
    }

    #[test]
    fn the_longest_path_is_counted_through_loops_and_pruned_paths() {
        assert_eq!(longest(&[mov64_imm(Reg::R0, 0), exit()]), Some(2));
        let unknown = load(Size::DW, Reg::R6, Reg::R1, 0);
        // One way is two instructions longer; both come to the same end, where the second one is pruned.
        let branch = [
            unknown,
            jump_if(Cond::Eq, Reg::R6, 0, 2),
            mov64_imm(Reg::R7, 1),
            mov64_imm(Reg::R7, 2),
            mov64_imm(Reg::R0, 0),
            exit(),
        ];
        assert_eq!(longest(&branch), Some(6));
        // Four turns of two instructions.
        let turns = [
            mov64_imm(Reg::R0, 0),
            add64_imm(Reg::R0, 1),
            jump_if(Cond::Ne, Reg::R0, 4, -2),
            exit(),
        ];
        assert_eq!(longest(&turns), Some(1 + 4 * 2 + 1));
        // It may be left in any turn; the longest run takes them all.
        let leaves = [
            unknown,
            mov64_imm(Reg::R0, 0),
            jump_if(Cond::Eq, Reg::R6, Src::Reg(Reg::R0), 2),
            add64_imm(Reg::R0, 1),
            jump_if(Cond::Ne, Reg::R0, 9, -3),
            exit(),
        ];
        assert_eq!(longest(&leaves), Some(2 + 9 * 3 + 1));
        let may_goto = [
            mov64_imm(Reg::R0, 0),
            Insn::MayGoto { off: 1 },
            Insn::Ja { off: -2 },
            exit(),
        ];
        assert_eq!(longest(&may_goto), None);
    }
}
