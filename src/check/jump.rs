//! Conditional jumps: which ways are open, and what each way teaches (`check_cond_jmp_op`).

use super::{
    branch::{decided, flip, learn},
    error::What,
    packet,
    scalar::Scalar,
    state::State,
    value::{Kind, Value},
    walk::{Next, Walk, empty},
};
use crate::asm::{Cond, Reg, Src, Width};

impl Walk<'_> {
    pub(super) fn jump(
        &mut self,
        cond: Cond,
        width: Width,
        dst: Reg,
        src: Src,
    ) -> Result<Next, What> {
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
        } else if let (Width::W64, Some(src)) = (width, register(src)) {
            packet::learn(cond, (dst, &a), (src, &b), &mut other, &mut self.state);
        }
        self.push(other, target)?;
        Ok(Next::At(next))
    }

    /// Which way a jump goes, if it always goes the same.
    fn outcome(&self, cond: Cond, width: Width, a: &Value, b: &Value) -> Option<bool> {
        if a.is_number() && b.is_number() {
            return decided(cond, width, &a.var, &b.var);
        }
        if a.is_packet() && b.is_packet() && width == Width::W64 {
            return packet::decided(cond, a, b);
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
            Kind::MapValue(_)
                | Kind::MapKey(_)
                | Kind::Mem(_)
                | Kind::ConstMem(_)
                | Kind::Map(_)
                | Kind::Sock(_)
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

    pub(super) fn may_goto(&mut self) -> Result<Next, What> {
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
}

fn register(src: Src) -> Option<Reg> {
    match src {
        Src::Reg(reg) => Some(reg),
        Src::Imm(_) => None,
    }
}

/// Makes every copy of a pointer that may be 0 either 0 or a pointer.
fn null(state: &mut State, was: &Value, is_null: bool) {
    // What was cast from something held has an id of its own and ends nothing.
    if is_null && was.record != 0 && was.record == was.id {
        state.held.retain(|held| held.id != was.record);
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
