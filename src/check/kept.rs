//! Paths that join earlier ones: states that are kept, and what later paths are compared with (`is_state_visited`).

use super::{
    error::What,
    state::{Exact, Matters, State, widen},
    walk::{Walk, empty},
};
use crate::asm::Insn;

/// Branches waiting (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`).
const MAX_PENDING: usize = 8192;

/// A state that later paths are compared with.
pub(super) struct Kept {
    pub(super) state: State,
    pub(super) at: usize,
    pub(super) parent: Option<usize>,
    /// Paths from here that have not ended.
    pub(super) open: u32,
    hits: u32,
    misses: u32,
    /// Instructions from the parent's place to this one.
    pub(super) from_parent: usize,
    /// Most instructions from here to an end, of the paths that have ended.
    pub(super) below: usize,
}

/// A branch to be walked.
pub(super) struct Pending {
    pub(super) state: State,
    pub(super) at: usize,
    pub(super) parent: Option<usize>,
    pub(super) steps: usize,
}

impl Walk<'_> {
    /// A path goes on for that many instructions from a kept state, or from the program's begin.
    pub(super) fn lasts(&mut self, from: Option<usize>, count: usize) {
        let most = match from {
            Some(from) => &mut self.kept[from].below,
            None => &mut self.longest,
        };
        *most = count.max(*most);
    }

    /// A path from this kept state on has ended.
    pub(super) fn ended(&mut self, mut at: Option<usize>) {
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

    pub(super) fn matters(&self, state: &State, at: usize) -> Vec<Matters> {
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
    pub(super) fn covered(&mut self) -> Result<Option<usize>, What> {
        let at = self.at;
        let keep = self.shape.keep[at];
        let mut add =
            keep || self.jumps - self.since.0 >= 2 && self.report.processed - self.since.1 >= 8;
        let matters = self.matters(&self.state, at);
        let goes_on = self.shape.counts[at] && self.counts_on();
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
                let counts = self.shape.counts[at];
                if may_goto || counts || self.shape.calls_back[at] {
                    let turned = if counts {
                        goes_on
                    } else {
                        !may_goto || kept.state.may_goto != self.state.may_goto
                    };
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
    pub(super) fn widen_since(&self, state: &mut State, at: usize) {
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
}
