//! The state of a run, and the hard operations on it.

use std::cell::RefCell;
use std::panic;
use std::rc::Rc;

use crate::asm::{AtomicOp, Reg, Size, Src, Width};
use crate::spec::MapKind;

use super::fault::{Access, Fault, FaultKind, Near};
use super::flow::RegSet;
use super::helpers;
use super::legalize::{Op, POISON, Row};
use super::maps::MapStore;
use super::mem::{FRAMES, Frames, Image, ROW_SLOT, STACK_SIZE, Window};
use super::space::{self, Part};
use super::world::World;

/// `may_goto` goes on that often (`BPF_MAX_TIMED_LOOPS` in `include/linux/bpf.h`; without its clock).
const MAY_GOTO: u64 = 0xffff;

/// Most tail calls of a run (`MAX_TAIL_CALL_CNT` in `include/linux/bpf.h`).
const TAIL_CALLS: u32 = 33;

/// One executed instruction, for a tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Index of the instruction.
    pub insn: usize,
    /// Call frames below it: 0 in the main program.
    pub depth: usize,
    /// `r0` to `r10` after it.
    pub regs: [u64; 11],
    /// Bit `n`: `rn` has another value than before it.
    pub changed: u16,
}

/// Takes the steps of a run.
pub type Tracer = Box<dyn FnMut(&Step)>;

/// A program ready to run.
pub(super) struct Code {
    pub(super) functions: Vec<Image>,
    /// Instructions in each function: what entering it costs.
    pub(super) costs: Vec<u64>,
    pub(super) rows: Vec<Row>,
}

/// What a hard operation wants done outside of the engine's borrow.
pub(super) enum Next {
    /// Back to the program with this in `r0`.
    Value(u64),
    /// Run a function.
    Call(usize, [u64; 5]),
    /// Run another program in this frame, then end the function with what it gives.
    Tail(Rc<Code>),
    /// Run a function `count` times: `bpf_loop`.
    Loop {
        function: usize,
        count: u64,
        ctx: u64,
    },
    /// Run a function for each entry of a map.
    ForEach {
        function: usize,
        map: usize,
        ctx: u64,
    },
    /// Show a step.
    Trace(Step),
}

/// A record that `bpf_ringbuf_reserve` gave.
pub(super) struct Reserved {
    pub(super) map: usize,
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) held: bool,
}

/// Everything that a run touches.
pub(super) struct Engine {
    pub(super) frames: Frames,
    pub(super) depth: usize,
    may_goto: [u64; FRAMES],
    pub(super) fuel: u64,
    pub(super) limit: u64,
    pub(super) world: World,
    pub(super) cpus: u32,
    pub(super) ctx: Vec<u8>,
    pub(super) mem: Vec<u8>,
    pub(super) maps: Vec<MapStore>,
    /// All programs of the object, for tail calls.
    pub(super) programs: Vec<Rc<Code>>,
    /// Tail calls left in this run.
    tail_calls: u32,
    pub(super) reserved: Vec<Reserved>,
    pub(super) reserved_bytes: Vec<u8>,
    keys: [Vec<u8>; FRAMES],
    /// Reused by helpers that copy.
    pub(super) buffers: [Vec<u8>; 2],
    pub(super) code: Rc<Code>,
    pub(super) fault: Option<Fault>,
    /// The instruction of the last hard operation.
    pub(super) insn: usize,
    pub(super) tracer: Option<Tracer>,
    last: [u64; 11],
    pending: Option<(usize, usize)>,
}

thread_local! {
    /// The engine of the run on this thread: rbpf's helpers are bare functions.
    static ACTIVE: RefCell<Option<Box<Engine>>> = const { RefCell::new(None) };
}

/// Puts an engine in place, or takes it away; gives what was there.
pub(super) fn swap(engine: Option<Box<Engine>>) -> Option<Box<Engine>> {
    ACTIVE.with_borrow_mut(|active| std::mem::replace(active, engine))
}

fn with<R>(f: impl FnOnce(&mut Engine) -> R) -> R {
    ACTIVE.with_borrow_mut(|active| match active {
        Some(engine) => f(engine),
        None => panic!("a helper was called outside of a run"),
    })
}

/// Leaves rbpf; the fault is in the engine.
fn stop() -> ! {
    panic::resume_unwind(Box::new(()))
}

fn ok_or_stop<T>(f: impl FnOnce(&mut Engine) -> Result<T, FaultKind>) -> T {
    let result = with(|engine| {
        f(engine).map_err(|kind| {
            engine.fault = Some(Fault {
                insn: engine.insn,
                kind,
            });
        })
    });
    match result {
        Ok(value) => value,
        Err(()) => stop(),
    }
}

/// The one helper that rbpf knows.
pub(super) fn hard(r1: u64, r2: u64, r3: u64, r4: u64, r5: u64) -> u64 {
    match ok_or_stop(|engine| engine.step([r1, r2, r3, r4, r5])) {
        Next::Value(value) => value,
        Next::Call(function, args) => call(function, args),
        Next::Tail(code) => {
            tail(code);
            1
        }
        Next::Loop {
            function,
            count,
            ctx,
        } => {
            for index in 0..count {
                if call(function, [index, ctx, 0, 0, 0]) != 0 {
                    return index + 1;
                }
            }
            count
        }
        Next::ForEach { function, map, ctx } => {
            let places = with(|engine| engine.maps[map].places());
            let mut visited = 0;
            for place in 0..places {
                let Some((key, value)) = with(|engine| engine.show_entry(map, place)) else {
                    continue;
                };
                visited += 1;
                if call(function, [space::map_handle(map), key, value, ctx, 0]) != 0 {
                    break;
                }
            }
            visited
        }
        Next::Trace(step) => {
            let tracer = with(|engine| engine.tracer.take());
            if let Some(mut tracer) = tracer {
                tracer(&step);
                with(|engine| engine.tracer = Some(tracer));
            }
            with(|engine| engine.frames.slot(engine.depth, 0))
        }
    }
}

/// Runs another program in the active frame; what it gives is put into the frame's `r0`.
fn tail(code: Rc<Code>) {
    let (before, window) = ok_or_stop(|engine| {
        let before = std::mem::replace(&mut engine.code, Rc::clone(&code));
        let args = [space::CTX, 0, 0, 0, 0];
        Ok((before, engine.enter(0, args)?))
    });
    match code.functions[0].run(window) {
        Ok(value) => with(|engine| {
            engine.code = before;
            engine.frames.set_slot(engine.depth, 0, value);
        }),
        Err(error) => ok_or_stop(|_| Err(FaultKind::Interpreter(error.to_string()))),
    }
}

/// Runs a function of the active program in a new frame.
fn call(function: usize, args: [u64; 5]) -> u64 {
    let (code, window, insn) = ok_or_stop(|engine| {
        if engine.depth + 1 >= FRAMES {
            return Err(FaultKind::CallDepth);
        }
        let insn = engine.insn;
        engine.depth += 1;
        let window = engine.enter(function, args)?;
        Ok((Rc::clone(&engine.code), window, insn))
    });
    match code.functions[function].run(window) {
        Ok(value) => {
            with(|engine| {
                engine.depth -= 1;
                engine.insn = insn;
            });
            value
        }
        Err(error) => ok_or_stop(|_| Err(FaultKind::Interpreter(error.to_string()))),
    }
}

fn truncate(value: u64, size: Size) -> u64 {
    match size {
        Size::DW => value,
        _ => value & ((1 << (size.bytes() * 8)) - 1),
    }
}

fn sign_extend(value: u64, size: Size) -> u64 {
    let shift = 64 - size.bytes() * 8;
    ((value << shift).cast_signed() >> shift).cast_unsigned()
}

fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}

fn signed_division(modulo: bool, width: Width, a: u64, b: u64) -> u64 {
    match width {
        Width::W64 => {
            let (a, b) = (a.cast_signed(), b.cast_signed());
            let result = match (modulo, b) {
                (false, 0) => 0,
                (true, 0) => a,
                (false, _) => a.wrapping_div(b),
                (true, _) => a.wrapping_rem(b),
            };
            result.cast_unsigned()
        }
        Width::W32 => {
            let (a, b) = (low(a).cast_signed(), low(b).cast_signed());
            let result = match (modulo, b) {
                (false, 0) => 0,
                (true, 0) => a,
                (false, _) => a.wrapping_div(b),
                (true, _) => a.wrapping_rem(b),
            };
            u64::from(result.cast_unsigned())
        }
    }
}

impl Engine {
    pub(super) fn new(maps: Vec<MapStore>, cpus: u32, code: Rc<Code>) -> Self {
        Engine {
            frames: Frames::new(),
            depth: 0,
            may_goto: [0; FRAMES],
            fuel: 0,
            limit: 0,
            world: World::default(),
            cpus,
            ctx: Vec::new(),
            mem: Vec::new(),
            maps,
            programs: Vec::new(),
            tail_calls: 0,
            reserved: Vec::new(),
            reserved_bytes: Vec::new(),
            keys: Default::default(),
            buffers: Default::default(),
            code,
            fault: None,
            insn: 0,
            tracer: None,
            last: [0; 11],
            pending: None,
        }
    }

    /// Prepares the first frame.
    pub(super) fn start(
        &mut self,
        code: Rc<Code>,
        fuel: u64,
        args: [u64; 5],
    ) -> Result<Window, FaultKind> {
        self.code = code;
        self.depth = 0;
        self.fault = None;
        self.tail_calls = TAIL_CALLS;
        self.insn = 0;
        self.fuel = fuel;
        self.limit = fuel;
        self.reserved.clear();
        self.reserved_bytes.clear();
        self.pending = None;
        if self.world.cpu >= self.cpus {
            return Err(FaultKind::NoCpu {
                cpu: self.world.cpu,
                cpus: self.cpus,
            });
        }
        self.enter(0, args)
    }

    /// The last step of a traced run.
    pub(super) fn last_step(&mut self, r0: u64) -> Option<Step> {
        let mut now = self.last;
        now[0] = r0;
        self.pending.take().map(|(depth, insn)| Step {
            insn,
            depth,
            regs: now,
            changed: 0,
        })
    }

    fn enter(&mut self, function: usize, args: [u64; 5]) -> Result<Window, FaultKind> {
        self.pay(self.code.costs[function])?;
        self.frames.clear(self.depth);
        for (at, arg) in args.into_iter().enumerate() {
            self.frames.set_slot(self.depth, at + 1, arg);
        }
        self.may_goto[self.depth] = MAY_GOTO;
        Ok(self.frames.window(self.depth))
    }

    pub(super) fn pay(&mut self, cost: u64) -> Result<(), FaultKind> {
        match self.fuel.checked_sub(cost) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => Err(FaultKind::Fuel { limit: self.limit }),
        }
    }

    fn reg(&self, reg: Reg, args: &[u64; 5]) -> u64 {
        match usize::from(reg.number()) {
            n @ 1..=5 => args[n - 1],
            10 => self.frames.pointer(self.depth),
            n => self.frames.slot(self.depth, n),
        }
    }

    fn set_reg(&mut self, reg: Reg, value: u64) {
        self.frames
            .set_slot(self.depth, usize::from(reg.number()), value);
    }

    fn src(&self, src: Src, args: &[u64; 5]) -> u64 {
        match src {
            Src::Reg(reg) => self.reg(reg, args),
            Src::Imm(imm) => i64::from(imm).cast_unsigned(),
        }
    }

    fn address(&self, base: Reg, off: i16, args: &[u64; 5]) -> u64 {
        self.reg(base, args).wrapping_add_signed(i64::from(off))
    }

    fn step(&mut self, args: [u64; 5]) -> Result<Next, FaultKind> {
        let slot = usize::try_from(ROW_SLOT / 8).unwrap_or(11);
        let row = usize::try_from(self.frames.slot(self.depth, slot)).unwrap_or(usize::MAX);
        let Row { insn, op } = self.code.rows[row];
        self.insn = insn;
        match op {
            Op::Load {
                size,
                signed,
                dst,
                base,
                off,
            } => {
                let value = self.load(self.address(base, off, &args), size, Access::Load)?;
                let value = if signed {
                    sign_extend(value, size)
                } else {
                    value
                };
                self.set_reg(dst, value);
            }
            Op::Store {
                size,
                base,
                off,
                src,
            } => {
                let value = self.src(src, &args);
                let addr = self.address(base, off, &args);
                self.store(addr, size, value, Access::Store)?;
            }
            Op::Atomic {
                op,
                size,
                base,
                off,
                src,
            } => {
                let addr = self.address(base, off, &args);
                self.atomic(op, size, addr, src, &args)?;
            }
            Op::Signed {
                modulo,
                width,
                dst,
                src,
            } => {
                let (a, b) = (self.reg(dst, &args), self.src(src, &args));
                self.set_reg(dst, signed_division(modulo, width, a, b));
            }
            Op::Fuel(cost) => self.pay(cost)?,
            Op::CheckSet(set) => self.check_set(set, &args)?,
            Op::Helper(helper) => {
                return match &mut self.world.told {
                    Some(told) => match told.number(helper.id, helpers::asked(helper.id, &args)) {
                        Some(value) => Ok(Next::Value(value)),
                        None if helpers::ONLY_TOLD.contains(&helper.id) => {
                            Err(FaultKind::Untold(helper.name))
                        }
                        None => (helper.run)(self, args),
                    },
                    None => (helper.run)(self, args),
                };
            }
            Op::Local(function) => return Ok(Next::Call(function, args)),
            Op::Callx(reg) => return self.callx(reg, args),
            Op::Tail => return Ok(self.tail_call(&args)?.map_or(Next::Value(0), Next::Tail)),
            Op::Packet { size, base, off } => {
                let r6 = self.reg(Reg::R6, &args);
                if r6 != space::MEM {
                    return Err(FaultKind::NoPacket { r6 });
                }
                let value = self.packet(size, base, off, &args);
                self.set_reg(Reg::R0, value.unwrap_or(0));
                return Ok(Next::Value(u64::from(value.is_none())));
            }
            Op::MayGoto => {
                let left = &mut self.may_goto[self.depth];
                if *left == 0 {
                    return Ok(Next::Value(1));
                }
                *left -= 1;
                return Ok(Next::Value(0));
            }
            Op::Trace => return Ok(self.trace(insn, &args)),
        }
        Ok(Next::Value(self.frames.slot(self.depth, 0)))
    }

    fn callx(&mut self, reg: Reg, args: [u64; 5]) -> Result<Next, FaultKind> {
        let value = self.reg(reg, &args);
        let function = space::function_index(value).filter(|f| *f < self.code.costs.len());
        if let Some(function) = function {
            return Ok(Next::Call(function, args));
        }
        match u32::try_from(value).ok().and_then(helpers::find) {
            Some(helper) => (helper.run)(self, args),
            None => Err(FaultKind::Callee(value)),
        }
    }

    /// The program at an index of a program array; `None` if there is none, or if it went too far already.
    fn tail_call(&mut self, args: &[u64; 5]) -> Result<Option<Rc<Code>>, FaultKind> {
        let map = space::handle_map(args[1]).and_then(|map| self.maps.get(map));
        let Some(map) = map.filter(|map| map.spec().kind == MapKind::ProgArray) else {
            return Err(FaultKind::Argument {
                helper: "bpf_tail_call",
                argument: 2,
                want: "a program array",
            });
        };
        let found = map.program(low(args[2]));
        let found = found.and_then(|index| self.programs.get(index)).cloned();
        if found.is_some() {
            match self.tail_calls.checked_sub(1) {
                Some(left) => self.tail_calls = left,
                None => return Ok(None),
            }
        }
        Ok(found)
    }

    /// A number of the packet, which is big-endian. Offsets below 0 have other meanings in the kernel, and none here.
    fn packet(&self, size: Size, base: Option<Reg>, off: i32, args: &[u64; 5]) -> Option<u64> {
        // The kernel's offsets are signed 32-bit numbers.
        let base = base.map_or(0, |base| low(self.reg(base, args)));
        let at = u64::try_from(base.cast_signed().wrapping_add(off)).ok()?;
        let bytes = slice(&self.mem, at, u64::from(size.bytes()))?;
        Some(
            bytes
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte)),
        )
    }

    fn check_set(&self, set: RegSet, args: &[u64; 5]) -> Result<(), FaultKind> {
        for reg in (0..10).filter(|n| set & (1 << n) != 0).filter_map(Reg::new) {
            if self.reg(reg, args) == POISON {
                return Err(FaultKind::Unset(reg));
            }
        }
        Ok(())
    }

    fn trace(&mut self, insn: usize, args: &[u64; 5]) -> Next {
        let mut now = [0; 11];
        for (n, value) in (0..).zip(&mut now) {
            if let Some(reg) = Reg::new(n) {
                *value = self.reg(reg, args);
            }
        }
        let before = std::mem::replace(&mut self.last, now);
        match self.pending.replace((self.depth, insn)) {
            None => Next::Value(now[0]),
            Some((depth, insn)) => {
                let changed = (0..11)
                    .filter(|&n| before[n] != now[n])
                    .fold(0, |set, n| set | 1 << n);
                Next::Trace(Step {
                    insn,
                    depth,
                    regs: now,
                    changed,
                })
            }
        }
    }

    fn atomic(
        &mut self,
        op: AtomicOp,
        size: Size,
        addr: u64,
        src: Reg,
        args: &[u64; 5],
    ) -> Result<(), FaultKind> {
        let value = self.reg(src, args);
        let old = self.load(addr, size, Access::Atomic)?;
        let (new, fetch) = match op {
            AtomicOp::Add { fetch } => (old.wrapping_add(value), fetch),
            AtomicOp::Or { fetch } => (old | value, fetch),
            AtomicOp::And { fetch } => (old & value, fetch),
            AtomicOp::Xor { fetch } => (old ^ value, fetch),
            AtomicOp::Xchg => (value, true),
            AtomicOp::Cmpxchg => {
                let expected = truncate(self.reg(Reg::R0, args), size);
                let new = if expected == old { value } else { old };
                self.store(addr, size, new, Access::Atomic)?;
                self.set_reg(Reg::R0, old);
                return Ok(());
            }
        };
        self.store(addr, size, new, Access::Atomic)?;
        if fetch {
            self.set_reg(src, old);
        }
        Ok(())
    }

    pub(super) fn load(&self, addr: u64, size: Size, access: Access) -> Result<u64, FaultKind> {
        let bytes = self.read_as(addr, u64::from(size.bytes()), access)?;
        let mut word = [0; 8];
        if cfg!(target_endian = "little") {
            word[..bytes.len()].copy_from_slice(bytes);
        } else {
            word[8 - bytes.len()..].copy_from_slice(bytes);
        }
        Ok(u64::from_ne_bytes(word))
    }

    fn store(
        &mut self,
        addr: u64,
        size: Size,
        value: u64,
        access: Access,
    ) -> Result<(), FaultKind> {
        let word = value.to_ne_bytes();
        let place = self.write_as(addr, u64::from(size.bytes()), access)?;
        let len = place.len();
        if cfg!(target_endian = "little") {
            place.copy_from_slice(&word[..len]);
        } else {
            place.copy_from_slice(&word[8 - len..]);
        }
        Ok(())
    }

    /// Bytes that a helper reads.
    pub(super) fn read(&self, addr: u64, len: u64) -> Result<&[u8], FaultKind> {
        self.read_as(addr, len, Access::HelperRead)
    }

    /// Bytes that a helper writes.
    pub(super) fn write(&mut self, addr: u64, len: u64) -> Result<&mut [u8], FaultKind> {
        self.write_as(addr, len, Access::HelperWrite)
    }

    fn read_as(&self, addr: u64, len: u64, access: Access) -> Result<&[u8], FaultKind> {
        let found = match space::part(addr) {
            Part::Ctx(at) => slice(&self.ctx, at, len),
            Part::Mem(at) => slice(&self.mem, at, len),
            Part::Map(map, at) => self.maps.get(map).and_then(|m| m.bytes(at, len)),
            Part::Record(at) => self
                .record(at, len)
                .and_then(|at| slice(&self.reserved_bytes, at, len)),
            Part::Key(at) => usize::try_from(at >> 20)
                .ok()
                .and_then(|depth| self.keys.get(depth))
                .and_then(|key| slice(key, at & 0xf_ffff, len)),
            Part::Handle(_) | Part::Function(_) => None,
            Part::Other => {
                let len_at = usize::try_from(len).ok();
                self.frames
                    .find(addr, len, self.depth)
                    .zip(len_at)
                    .map(|(at, len)| self.frames.stack_bytes(at, len))
            }
        };
        found.ok_or_else(|| self.memory_fault(access, addr, len))
    }

    fn write_as(&mut self, addr: u64, len: u64, access: Access) -> Result<&mut [u8], FaultKind> {
        // Asked first, because a fault needs the engine that the answer would borrow.
        let size = usize::try_from(len).unwrap_or(usize::MAX);
        let (pool, at) = match space::part(addr) {
            Part::Mem(at) if slice(&self.mem, at, len).is_some() => (&mut self.mem, at),
            Part::Record(at) if self.record(at, len).is_some() => (&mut self.reserved_bytes, at),
            Part::Map(map, at)
                if self
                    .maps
                    .get(map)
                    .is_some_and(|m| m.bytes(at, len).is_some()) =>
            {
                return match self.maps[map].bytes_mut(at, len) {
                    Some(bytes) => Ok(bytes),
                    None => Ok(&mut []),
                };
            }
            Part::Other => {
                return match self.frames.find(addr, len, self.depth) {
                    Some(at) => Ok(self.frames.stack_bytes_mut(at, size)),
                    None => Err(self.memory_fault(access, addr, len)),
                };
            }
            _ => return Err(self.memory_fault(access, addr, len)),
        };
        let at = usize::try_from(at).unwrap_or(0);
        Ok(&mut pool[at..at + size])
    }

    fn record(&self, at: u64, len: u64) -> Option<u64> {
        let (from, size) = (usize::try_from(at).ok()?, usize::try_from(len).ok()?);
        self.reserved
            .iter()
            .any(|r| r.held && from >= r.start && from.saturating_add(size) <= r.start + r.len)
            .then_some(at)
    }

    fn show_entry(&mut self, map: usize, place: usize) -> Option<(u64, u64)> {
        let cpu = self.world.cpu;
        let value = self.maps[map].place(place, cpu, &mut self.keys[self.depth])?;
        let key = space::KEY + ((self.depth as u64) << 20);
        Some((key, space::map_value(map, value)))
    }

    fn memory_fault(&self, access: Access, addr: u64, size: u64) -> FaultKind {
        let near = |what: &str, start: u64, len: usize| {
            Some(Near {
                what: what.to_owned(),
                start,
                len: len as u64,
            })
        };
        let mut hint = "";
        let found = match space::part(addr) {
            Part::Ctx(_) => near("ctx", space::CTX, self.ctx.len()),
            Part::Mem(_) => near("memory", space::MEM, self.mem.len()),
            Part::Handle(_) => {
                hint = "a map itself; look up a value";
                None
            }
            Part::Function(_) => {
                hint = "a function";
                None
            }
            Part::Key(at) => {
                let depth = usize::try_from(at >> 20).unwrap_or(0);
                self.keys
                    .get(depth)
                    .and_then(|key| near("key", addr & !0xf_ffff, key.len()))
            }
            Part::Record(at) => {
                let at = usize::try_from(at).unwrap_or(0);
                match self.reserved.iter().rev().find(|r| r.start <= at) {
                    Some(r) if !r.held => {
                        hint = "the record was submitted or discarded";
                        None
                    }
                    Some(r) => near("record", space::RECORD + r.start as u64, r.len),
                    None => None,
                }
            }
            Part::Map(map, at) => self.maps.get(map).and_then(|m| {
                let (start, len) = m.nearest(at)?;
                Some(Near {
                    what: format!("a value of map `{}`", m.spec().name),
                    start: space::map_value(map, start),
                    len,
                })
            }),
            Part::Other => self.near_stack(addr).or_else(|| {
                hint = match addr {
                    0..0x1000 => "null pointer: check it for 0 first",
                    POISON => "an unset register",
                    0x1000..0x8000_0000_0000 => "a user address: read it with bpf_probe_read_user",
                    _ => "",
                };
                None
            }),
        };
        FaultKind::Memory {
            access,
            addr,
            size,
            near: found,
            hint,
        }
    }

    fn near_stack(&self, addr: u64) -> Option<Near> {
        let len = u64::from(STACK_SIZE.unsigned_abs());
        (0..=self.depth).rev().find_map(|depth| {
            let start = self.frames.pointer(depth) - len;
            let window = start.saturating_sub(64)..start + len + 64;
            window.contains(&addr).then(|| Near {
                what: if depth == self.depth {
                    "stack".to_owned()
                } else {
                    format!("stack of frame {depth}")
                },
                start,
                len,
            })
        })
    }
}

fn slice(bytes: &[u8], at: u64, len: u64) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    let len = usize::try_from(len).ok()?;
    bytes.get(at..at.checked_add(len)?)
}
