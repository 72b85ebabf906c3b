//! Walks all paths of a program.

use super::{
    Env, Report,
    error::{CheckError, What},
    kept::{Kept, Pending},
    live::{Facts, Flow},
    shape::Shape,
    state::{Entry, Frame, State},
    value::{Kind, Value},
};
use crate::asm::{Imm64, Insn, Reg, Src};

/// Instructions walked on all paths (`BPF_COMPLEXITY_LIMIT_INSNS`).
pub(super) const MAX_PROCESSED: usize = 1_000_000;
/// Walks until nothing new is learned; each walk learns at least one fact, so this is only a guard.
const MAX_WALKS: usize = 64;

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
    pub(super) insns: &'a [Insn],
    pub(super) shape: &'a Shape,
    pub(super) facts: &'a mut Facts,
    pub(super) flow: &'a Flow,
    pub(super) state: State,
    pub(super) at: usize,
    pub(super) parent: Option<usize>,
    pub(super) pending: Vec<Pending>,
    pub(super) kept: Vec<Kept>,
    /// Kept states by instruction.
    pub(super) lists: Vec<Vec<usize>>,
    ids: u32,
    pub(super) report: Report,
    pub(super) jumps: usize,
    /// Jumps and instructions when a state was last kept.
    pub(super) since: (usize, usize),
    /// Lowest stack offset used in each function.
    pub(super) depth: Vec<i64>,
    /// Instructions of this path since its parent's place.
    pub(super) steps: usize,
    /// Most instructions of a path from the program's begin.
    pub(super) longest: usize,
    /// Some path comes round to itself: turns are not counted.
    endless: bool,
}

/// Checks a program: walks until a walk learns nothing new.
pub(super) fn check(insns: &[Insn], env: &Env<'_>) -> Result<Report, CheckError> {
    let shape =
        Shape::of(insns, env.kfunc).map_err(|(at, what)| CheckError::new(insns, at, what))?;
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
        walk.report.given = vec![Vec::new(); insns.len()];
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
        held: Vec::new(),
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
            Insn::AddrSpaceCast { .. } => return Err(What::NoArena),
            Insn::Jx { .. } => return Err(What::NotModelled("gotox (kernels from 6.19 on)")),
            Insn::Callx { .. } => return Err(What::NoInsn("callx")),
        }
        Ok(next)
    }

    pub(super) fn target(&self) -> usize {
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
}

/// A state that stands in while another is moved out.
pub(super) fn empty() -> State {
    State {
        frames: Vec::new(),
        held: Vec::new(),
        may_goto: 0,
        unrolled: 0,
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{Cond, Size, build::*, helper::ProgType};

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
