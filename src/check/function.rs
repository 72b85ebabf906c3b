//! Functions of the program: calls, returns, and the stack that a chain of calls takes.

use super::{
    call::TAIL_CALL,
    error::What,
    state::{Entry, Frame, STACK, State},
    value::{Kind, Value},
    walk::{Next, Walk, empty},
};
use crate::asm::{Callee, Insn, Reg};

/// Frames that wait for one that goes over to another program are smaller than this together
/// (`check_max_stack_depth_subprog`): each program called so has a stack of its own on top.
const TAIL_STACK: i64 = 256;

impl Walk<'_> {
    /// Where the program ends, or another takes its place, everything taken was given back (`check_resource_leak`).
    pub(super) fn nothing_held(&self) -> Result<(), What> {
        match self.state.held.first() {
            Some(held) => Err(What::Kept {
                at: held.at,
                thing: held.thing,
            }),
            None => Ok(()),
        }
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

    pub(super) fn call(&mut self, callee: Callee) -> Result<Next, What> {
        match callee {
            Callee::Helper(id) => self.helper(id),
            Callee::Local(_) => self.local_call(),
            Callee::Kfunc { id, off } => self.kfunc(id, off),
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

    pub(super) fn exit(&mut self) -> Result<Next, What> {
        let last = self.state.frames.len() - 1;
        let frame = self.state.top();
        let (entry, callsite) = (frame.entry, frame.callsite);
        let r0 = frame.regs[0];
        match entry {
            Entry::Main => {
                self.nothing_held()?;
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
    pub(super) fn stack(&self) -> Result<i64, What> {
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
        let tail = |at: usize| {
            let callee = Callee::Helper(TAIL_CALL);
            self.shape.function[at] == function && self.insns[at] == Insn::Call { callee }
        };
        if function != 0 && above >= TAIL_STACK && (0..self.insns.len()).any(tail) {
            return Err(What::TailStack { bytes: above });
        }
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
