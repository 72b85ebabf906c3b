//! What an operation reads and writes, and where a block goes.

use super::inst::{BlockId, Func, Op, Opnd, Term, VReg};

impl Op {
    /// The register written.
    pub fn dst(&self) -> Option<VReg> {
        match *self {
            Op::Mov { dst, .. }
            | Op::Alu { dst, .. }
            | Op::Ext { dst, .. }
            | Op::Neg { dst, .. }
            | Op::Endian { dst, .. }
            | Op::Load { dst, .. }
            | Op::Ctx { dst }
            | Op::Arg { dst, .. }
            | Op::Slot { dst, .. }
            | Op::Map { dst, .. }
            | Op::MapValue { dst, .. }
            | Op::FuncAddr { dst, .. } => Some(dst),
            Op::Atomic { dst, .. } | Op::Call { dst, .. } => dst,
            Op::Store { .. } => None,
        }
    }

    /// The register written, to be changed.
    pub fn dst_mut(&mut self) -> Option<&mut VReg> {
        match self {
            Op::Mov { dst, .. }
            | Op::Alu { dst, .. }
            | Op::Ext { dst, .. }
            | Op::Neg { dst, .. }
            | Op::Endian { dst, .. }
            | Op::Load { dst, .. }
            | Op::Ctx { dst }
            | Op::Arg { dst, .. }
            | Op::Slot { dst, .. }
            | Op::Map { dst, .. }
            | Op::MapValue { dst, .. }
            | Op::FuncAddr { dst, .. } => Some(dst),
            Op::Atomic { dst, .. } | Op::Call { dst, .. } => dst.as_mut(),
            Op::Store { .. } => None,
        }
    }

    /// Calls `f` on each operand that may be a register or a number.
    pub fn each_opnd_mut(&mut self, f: &mut dyn FnMut(&mut Opnd)) {
        match self {
            Op::Mov { src, .. }
            | Op::Ext { src, .. }
            | Op::Neg { src, .. }
            | Op::Endian { src, .. }
            | Op::Store { src, .. } => f(src),
            Op::Alu { a, b, .. } => {
                f(a);
                f(b);
            }
            Op::Atomic {
                expect: Some(expect),
                ..
            } => f(expect),
            Op::Call { args, .. } => args.iter_mut().for_each(f),
            _ => {}
        }
    }

    /// Calls `f` on each register read that cannot be a number: bases of memory accesses, sources of atomics.
    pub fn each_fixed_mut(&mut self, f: &mut dyn FnMut(&mut VReg)) {
        match self {
            Op::Load { base, .. } | Op::Store { base, .. } => f(base),
            Op::Atomic { base, src, .. } => {
                f(base);
                f(src);
            }
            _ => {}
        }
    }

    /// Calls `f` on each register read.
    pub fn each_use(&self, mut f: impl FnMut(VReg)) {
        let mut opnd = |o: Opnd| {
            if let Opnd::Reg(reg) = o {
                f(reg);
            }
        };
        match self {
            Op::Mov { src, .. }
            | Op::Ext { src, .. }
            | Op::Neg { src, .. }
            | Op::Endian { src, .. } => opnd(*src),
            Op::Alu { a, b, .. } => {
                opnd(*a);
                opnd(*b);
            }
            Op::Store { base, src, .. } => {
                opnd(Opnd::Reg(*base));
                opnd(*src);
            }
            Op::Load { base, .. } => opnd(Opnd::Reg(*base)),
            Op::Atomic {
                base, src, expect, ..
            } => {
                opnd(Opnd::Reg(*base));
                opnd(Opnd::Reg(*src));
                if let Some(expect) = expect {
                    opnd(*expect);
                }
            }
            Op::Call { args, .. } => args.iter().copied().for_each(opnd),
            Op::Ctx { .. }
            | Op::Arg { .. }
            | Op::Slot { .. }
            | Op::Map { .. }
            | Op::MapValue { .. }
            | Op::FuncAddr { .. } => {}
        }
    }

    /// Whether nothing but its result tells that it ran. Calls: those whose answer stays the same for one run.
    pub fn is_pure(&self) -> bool {
        match self {
            Op::Store { .. } | Op::Atomic { .. } | Op::Arg { .. } => false,
            Op::Call { helper, .. } => helper_is_constant(*helper),
            _ => true,
        }
    }
}

/// Whether a helper without arguments answers the same all through one run of a program.
pub fn helper_is_constant(helper: u32) -> bool {
    // get_smp_processor_id, get_current_pid_tgid, get_current_uid_gid, get_current_task, get_current_cgroup_id.
    matches!(helper, 8 | 14 | 15 | 35 | 80)
}

impl Term {
    /// Calls `f` on each operand.
    pub fn each_opnd_mut(&mut self, f: &mut dyn FnMut(&mut Opnd)) {
        match self {
            Term::If { a, b, .. } => {
                f(a);
                f(b);
            }
            Term::Exit(value) => f(value),
            Term::Goto(_) | Term::MayGoto { .. } => {}
        }
    }

    /// Calls `f` on each register read.
    pub fn each_use(&self, mut f: impl FnMut(VReg)) {
        let mut opnd = |o: &Opnd| {
            if let Opnd::Reg(reg) = o {
                f(*reg);
            }
        };
        match self {
            Term::If { a, b, .. } => {
                opnd(a);
                opnd(b);
            }
            Term::Exit(value) => opnd(value),
            Term::Goto(_) | Term::MayGoto { .. } => {}
        }
    }

    /// Blocks it may go to.
    pub fn targets(&self) -> impl Iterator<Item = BlockId> + use<> {
        let (a, b) = match *self {
            Term::Goto(a) => (Some(a), None),
            Term::If { then, els, .. } => (Some(then), Some(els)),
            Term::MayGoto { go, stop } => (Some(go), Some(stop)),
            Term::Exit(_) => (None, None),
        };
        a.into_iter().chain(b)
    }

    /// Calls `f` on each target.
    pub fn each_target_mut(&mut self, f: &mut dyn FnMut(&mut BlockId)) {
        match self {
            Term::Goto(a) => f(a),
            Term::If { then, els, .. } => {
                f(then);
                f(els);
            }
            Term::MayGoto { go, stop } => {
                f(go);
                f(stop);
            }
            Term::Exit(_) => {}
        }
    }
}

impl Func {
    /// How often each register is read.
    pub fn use_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.vregs as usize];
        for block in &self.blocks {
            for inst in &block.insts {
                inst.op.each_use(|reg| counts[reg.0 as usize] += 1);
            }
            block.term.each_use(|reg| counts[reg.0 as usize] += 1);
        }
        counts
    }

    /// How often each register is written.
    pub fn def_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.vregs as usize];
        for inst in self.blocks.iter().flat_map(|b| &b.insts) {
            if let Some(dst) = inst.op.dst() {
                counts[dst.0 as usize] += 1;
            }
        }
        counts
    }

    /// Blocks that go to each block.
    pub fn preds(&self) -> Vec<Vec<BlockId>> {
        let mut preds = vec![Vec::new(); self.blocks.len()];
        for (index, block) in self.blocks.iter().enumerate() {
            for to in block.term.targets() {
                preds[to.0 as usize].push(BlockId(index as u32));
            }
        }
        preds
    }

    /// Reachable blocks in reverse post-order.
    pub fn reverse_post_order(&self) -> Vec<BlockId> {
        let mut seen = vec![false; self.blocks.len()];
        let mut post = Vec::with_capacity(self.blocks.len());
        let mut stack: Vec<(BlockId, Vec<BlockId>)> = Vec::new();
        if let Some(first) = self.blocks.first() {
            seen[0] = true;
            stack.push((BlockId(0), first.term.targets().collect()));
        }
        while let Some((at, rest)) = stack.last_mut() {
            match rest.pop() {
                Some(to) => {
                    if !std::mem::replace(&mut seen[to.0 as usize], true) {
                        stack.push((to, self.blocks[to.0 as usize].term.targets().collect()));
                    }
                }
                None => {
                    post.push(*at);
                    stack.pop();
                }
            }
        }
        post.reverse();
        post
    }
}
