//! Control flow of a program: functions, jump targets, loop headers, live and unset registers.

use crate::asm::{AluOp, AtomicOp, Callee, Imm64, Insn, Reg, Src};

use super::helpers;
use super::supported::{Unsupported, What};

/// Bit `n` stands for register `rn`.
pub(super) type RegSet = u16;

/// `r1` to `r5`, which a call clobbers.
const ARGS: RegSet = 0b11_1110;
/// The frame pointer, which always holds something.
const FP: RegSet = 1 << 10;

/// A contiguous run of instructions entered at its first one.
#[derive(Clone, Debug)]
pub(super) struct Function {
    /// First instruction.
    pub(super) start: usize,
    /// After the last.
    pub(super) end: usize,
}

/// All facts that legalizing needs, by instruction index.
pub(super) struct Flow {
    /// In order; the first is the main program.
    pub(super) functions: Vec<Function>,
    /// Where a jump goes or whom a call or function load names: an instruction index.
    pub(super) target: Vec<Option<usize>>,
    /// Registers whose value after the instruction may still be read.
    pub(super) live_out: Vec<RegSet>,
    /// Registers that may be read before they are written, at the instruction.
    pub(super) live_in: Vec<RegSet>,
    /// Registers that may hold nothing before the instruction.
    pub(super) unset: Vec<RegSet>,
    /// For the target of a back edge: instructions in the longest loop that it heads. Else 0.
    pub(super) loop_cost: Vec<u64>,
}

/// The set of one register.
pub(super) fn bit(reg: Reg) -> RegSet {
    1 << reg.number()
}

fn src_bit(src: Src) -> RegSet {
    match src {
        Src::Reg(reg) => bit(reg),
        Src::Imm(_) => 0,
    }
}

/// Registers that an instruction reads; of a local call only what `callee_in` says.
pub(super) fn reads(insn: &Insn, callee_in: RegSet) -> RegSet {
    match *insn {
        Insn::Alu {
            op: AluOp::Mov,
            src,
            ..
        } => src_bit(src),
        Insn::Alu { dst, src, .. } | Insn::Jmp { dst, src, .. } | Insn::Store { dst, src, .. } => {
            bit(dst) | src_bit(src)
        }
        Insn::Neg { dst, .. } | Insn::Endian { dst, .. } | Insn::Jx { dst } => bit(dst),
        // Whom it calls is known when it runs.
        Insn::Callx { dst } => bit(dst) | ARGS,
        Insn::Movsx { src, .. }
        | Insn::AddrSpaceCast { src, .. }
        | Insn::Load { src, .. }
        | Insn::LoadAcquire { src, .. } => bit(src),
        // The context comes in r6.
        Insn::LoadInd { src, .. } => bit(src) | bit(Reg::R6),
        Insn::LoadAbs { .. } => bit(Reg::R6),
        Insn::Atomic { op, dst, src, .. } => {
            let old = if op == AtomicOp::Cmpxchg { 1 } else { 0 };
            bit(dst) | bit(src) | old
        }
        Insn::StoreRelease { dst, src, .. } => bit(dst) | bit(src),
        Insn::Call { callee } => match callee {
            Callee::Helper(id) => {
                let args = match id {
                    helpers::TAIL_CALL => 3,
                    _ => helpers::find(id).map_or(5, |h| h.args),
                };
                ((1 << (args + 1)) - 1) & ARGS
            }
            Callee::Local(_) => callee_in & ARGS,
            Callee::Kfunc { .. } => ARGS,
        },
        Insn::Exit => 1,
        Insn::LoadImm64 { .. } | Insn::Ja { .. } | Insn::Jal { .. } | Insn::MayGoto { .. } => 0,
    }
}

/// Registers that an instruction gives a value.
pub(super) fn writes(insn: &Insn) -> RegSet {
    match *insn {
        Insn::Alu { dst, .. }
        | Insn::Neg { dst, .. }
        | Insn::Movsx { dst, .. }
        | Insn::AddrSpaceCast { dst, .. }
        | Insn::Endian { dst, .. }
        | Insn::Load { dst, .. }
        | Insn::LoadAcquire { dst, .. }
        | Insn::LoadImm64 { dst, .. } => bit(dst),
        Insn::Atomic { op, src, .. } => match op {
            AtomicOp::Cmpxchg => 1,
            AtomicOp::Xchg => bit(src),
            AtomicOp::Add { fetch }
            | AtomicOp::Or { fetch }
            | AtomicOp::And { fetch }
            | AtomicOp::Xor { fetch } => {
                if fetch {
                    bit(src)
                } else {
                    0
                }
            }
        },
        Insn::Call {
            callee: Callee::Helper(helpers::TAIL_CALL),
        } => 0,
        Insn::Call { .. } | Insn::Callx { .. } | Insn::LoadAbs { .. } | Insn::LoadInd { .. } => 1,
        _ => 0,
    }
}

/// Registers that hold nothing after an instruction.
fn clobbers(insn: &Insn) -> RegSet {
    match insn {
        Insn::Call {
            callee: Callee::Helper(helpers::TAIL_CALL),
        } => ARGS | 1,
        Insn::Call { .. } | Insn::Callx { .. } | Insn::LoadAbs { .. } | Insn::LoadInd { .. } => {
            ARGS
        }
        _ => 0,
    }
}

/// Whether control never goes on to the next instruction.
fn ends(insn: &Insn) -> bool {
    matches!(insn, Insn::Ja { .. } | Insn::Jal { .. } | Insn::Exit)
}

fn is_jump(insn: &Insn) -> bool {
    matches!(
        insn,
        Insn::Ja { .. } | Insn::Jal { .. } | Insn::Jmp { .. } | Insn::MayGoto { .. }
    )
}

impl Flow {
    /// Finds them all. `entry_args` registers from `r1` on are set when the program starts.
    pub(super) fn new(insns: &[Insn], entry_args: u32) -> Result<Flow, Unsupported> {
        if insns.is_empty() {
            return Err(Unsupported::whole(What::Empty));
        }
        let target = targets(insns)?;
        let functions = functions(insns, &target)?;
        let mut flow = Flow {
            loop_cost: loop_costs(insns, &target),
            functions,
            target,
            live_out: vec![0; insns.len()],
            live_in: vec![0; insns.len()],
            unset: vec![0; insns.len()],
        };
        flow.find_live(insns);
        flow.find_unset(insns, entry_args);
        Ok(flow)
    }

    /// Registers that `insn` reads, knowing what its callee reads.
    pub(super) fn reads(&self, insns: &[Insn], at: usize) -> RegSet {
        let callee = self.target[at].map_or(0, |t| self.live_in[t]);
        reads(&insns[at], callee)
    }

    fn successors(&self, insns: &[Insn], at: usize) -> [Option<usize>; 2] {
        let next = (!ends(&insns[at])).then_some(at + 1);
        let jump = if is_jump(&insns[at]) {
            self.target[at]
        } else {
            None
        };
        [next, jump]
    }

    fn find_live(&mut self, insns: &[Insn]) {
        loop {
            let mut changed = false;
            for at in (0..insns.len()).rev() {
                let out = self
                    .successors(insns, at)
                    .into_iter()
                    .flatten()
                    .fold(0, |set, next| set | self.live_in[next]);
                let killed = writes(&insns[at]) | clobbers(&insns[at]);
                // What a call clobbers stays "live" in `live_out`: that is how legalizing knows to poison it.
                let live = (out & !killed) | self.reads(insns, at);
                changed |= live != self.live_in[at] || out != self.live_out[at];
                self.live_out[at] = out;
                self.live_in[at] = live;
            }
            if !changed {
                return;
            }
        }
    }

    fn find_unset(&mut self, insns: &[Insn], entry_args: u32) {
        let all: RegSet = (1 << 10) - 1;
        let mut work = Vec::new();
        let mut seen = vec![false; insns.len()];
        for (index, function) in self.functions.iter().enumerate() {
            let args = if index == 0 { entry_args } else { 5 };
            self.unset[function.start] = all & !((1 << (args + 1)) - 2);
            seen[function.start] = true;
            work.push(function.start);
        }
        while let Some(at) = work.pop() {
            let after = (self.unset[at] | clobbers(&insns[at])) & !writes(&insns[at]) & !FP;
            for next in self.successors(insns, at).into_iter().flatten() {
                let merged = self.unset[next] | after;
                if merged != self.unset[next] || !seen[next] {
                    self.unset[next] = merged;
                    seen[next] = true;
                    work.push(next);
                }
            }
        }
    }
}

/// Resolves every slot distance to an instruction index.
fn targets(insns: &[Insn]) -> Result<Vec<Option<usize>>, Unsupported> {
    let mut at_slot = Vec::with_capacity(insns.len());
    for (index, insn) in insns.iter().enumerate() {
        at_slot.push(Some(index));
        at_slot.extend(std::iter::repeat_n(None, insn.slots() - 1));
    }
    let mut slot = 0i64;
    let mut target = Vec::with_capacity(insns.len());
    for (index, insn) in insns.iter().enumerate() {
        let distance = match *insn {
            Insn::Ja { off } | Insn::Jmp { off, .. } | Insn::MayGoto { off } => {
                Some(i64::from(off))
            }
            Insn::Jal { imm } => Some(i64::from(imm)),
            Insn::Call {
                callee: Callee::Local(imm),
            } => Some(i64::from(imm)),
            Insn::LoadImm64 {
                imm: Imm64::Func(imm),
                ..
            } => Some(i64::from(imm)),
            _ => None,
        };
        target.push(match distance {
            None => None,
            Some(distance) => {
                // The kernel counts from the load's first slot plus one, for functions too.
                let to = slot + 1 + distance;
                let found = usize::try_from(to)
                    .ok()
                    .and_then(|to| at_slot.get(to).copied().flatten());
                match found {
                    Some(found) => Some(found),
                    None => return Err(Unsupported::at(index, What::Target { slot: to })),
                }
            }
        });
        slot += i64::try_from(insn.slots()).unwrap_or(1);
    }
    Ok(target)
}

/// Splits the program at the entries that calls and function loads name.
fn functions(insns: &[Insn], target: &[Option<usize>]) -> Result<Vec<Function>, Unsupported> {
    let mut starts: Vec<usize> = insns
        .iter()
        .zip(target)
        .filter(|(insn, _)| !is_jump(insn))
        .filter_map(|(_, target)| *target)
        .collect();
    starts.push(0);
    starts.sort_unstable();
    starts.dedup();
    let ends_at = starts.iter().skip(1).copied().chain([insns.len()]);
    let functions: Vec<Function> = starts
        .iter()
        .zip(ends_at)
        .map(|(&start, end)| Function { start, end })
        .collect();
    for function in &functions {
        let range = function.start..function.end;
        if !ends(&insns[function.end - 1]) {
            return Err(Unsupported::at(function.end - 1, What::FallsOff));
        }
        for at in range.clone() {
            if let (true, Some(to)) = (is_jump(&insns[at]), target[at])
                && !range.contains(&to)
            {
                return Err(Unsupported::at(at, What::CrossesFunction));
            }
        }
    }
    Ok(functions)
}

fn loop_costs(insns: &[Insn], target: &[Option<usize>]) -> Vec<u64> {
    let mut cost = vec![0; insns.len()];
    for (at, insn) in insns.iter().enumerate() {
        if let (true, Some(to)) = (is_jump(insn), target[at])
            && to <= at
        {
            cost[to] = cost[to].max((at - to + 1) as u64);
        }
    }
    cost
}
