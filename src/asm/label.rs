//! An assembler with labels: jumps are written to names and become distances at the end.

use super::{Callee, Cond, Imm64, Insn, Reg, Src, Width};
use crate::span::Span;
use std::fmt;

/// A place in the program, made by [`Assembler::label`] and given its position by [`Assembler::bind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(u32);

/// Why a program with labels cannot be finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelError {
    /// A label that is jumped to was never bound.
    Unbound {
        /// The label.
        label: Label,
        /// The instruction that refers to it.
        insn: usize,
    },
    /// A label was bound a second time.
    BoundTwice {
        /// The label.
        label: Label,
        /// Where it is bound first.
        first: usize,
        /// Where it is bound again.
        second: usize,
    },
    /// The label belongs to another assembler.
    Foreign {
        /// The label.
        label: Label,
    },
    /// A jump would leave the program: the label stands behind the last instruction.
    PastEnd {
        /// The label.
        label: Label,
        /// The instruction that refers to it.
        insn: usize,
    },
    /// `may_goto` has a 16-bit distance and no long form.
    TooFar {
        /// The instruction.
        insn: usize,
        /// The distance in slots.
        distance: i64,
    },
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabelError::Unbound { label, insn } => {
                write!(f, "insn {insn}: label {} is never bound", label.0)
            }
            LabelError::BoundTwice {
                label,
                first,
                second,
            } => write!(
                f,
                "bind label {} at insn {second}: it is bound at insn {first} already",
                label.0
            ),
            LabelError::Foreign { label } => {
                write!(f, "label {} was made by another assembler", label.0)
            }
            LabelError::PastEnd { label, insn } => write!(
                f,
                "insn {insn}: label {} stands behind the last instruction",
                label.0
            ),
            LabelError::TooFar { insn, distance } => write!(
                f,
                "insn {insn}: the target is {distance} slots away; `off` holds -32768..=32767"
            ),
        }
    }
}

impl std::error::Error for LabelError {}

#[derive(Clone, Copy, Debug)]
struct Item {
    insn: Insn,
    span: Option<Span>,
    target: Option<Label>,
}

/// Collects instructions and labels, then works out the distances.
///
/// Distances out of reach of a 16-bit `off` become `gotol` (kernel 6.6): a `goto` is replaced, a conditional jump
/// hops over a `gotol` put behind it.
#[derive(Clone, Debug, Default)]
pub struct Assembler {
    items: Vec<Item>,
    /// For each label the index of the item it stands before.
    bound: Vec<Option<usize>>,
    fault: Option<LabelError>,
}

impl Assembler {
    /// An empty program.
    pub fn new() -> Assembler {
        Assembler::default()
    }

    /// A new label, not bound yet.
    pub fn label(&mut self) -> Label {
        let label = Label(u32::try_from(self.bound.len()).unwrap_or(u32::MAX));
        self.bound.push(None);
        label
    }

    /// Puts the label before the next instruction.
    pub fn bind(&mut self, label: Label) {
        self.bind_at(label, self.items.len());
    }

    /// Puts the label before that instruction, which may have been appended already.
    pub fn bind_at(&mut self, label: Label, here: usize) {
        let fault = match self.bound.get_mut(label.0 as usize) {
            Some(place @ None) => {
                *place = Some(here);
                return;
            }
            Some(Some(first)) => LabelError::BoundTwice {
                label,
                first: *first,
                second: here,
            },
            None => LabelError::Foreign { label },
        };
        self.fault.get_or_insert(fault);
    }

    /// A new label bound here.
    pub fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// How many instructions there are so far.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Appends an instruction whose distances, if any, are final.
    pub fn push(&mut self, insn: Insn, span: Option<Span>) {
        self.add(insn, span, None);
    }

    /// Appends an instruction that refers to a label: a jump, a `may_goto`, a local call, a function's address.
    /// Its distance is overwritten; an instruction without one is appended as it is.
    pub fn push_to(&mut self, insn: Insn, target: Label, span: Option<Span>) {
        self.add(insn, span, Some(target));
    }

    /// Appends an instruction that comes from no script.
    pub fn emit(&mut self, insn: Insn) {
        self.add(insn, None, None);
    }

    /// `goto label`.
    pub fn jump(&mut self, target: Label) {
        self.add(Insn::Ja { off: 0 }, None, Some(target));
    }

    /// `if dst cond src goto label`.
    pub fn jump_if(
        &mut self,
        cond: Cond,
        width: Width,
        dst: Reg,
        src: impl Into<Src>,
        target: Label,
    ) {
        let insn = Insn::Jmp {
            cond,
            width,
            dst,
            src: src.into(),
            off: 0,
        };
        self.add(insn, None, Some(target));
    }

    /// `may_goto label`.
    pub fn may_goto(&mut self, target: Label) {
        self.add(Insn::MayGoto { off: 0 }, None, Some(target));
    }

    /// Calls the function at the label.
    pub fn call_local(&mut self, target: Label) {
        let callee = Callee::Local(0);
        self.add(Insn::Call { callee }, None, Some(target));
    }

    /// `dst =` the address of the function at the label, for use as a callback.
    pub fn load_func(&mut self, dst: Reg, target: Label) {
        let imm = Imm64::Func(0);
        self.add(Insn::LoadImm64 { dst, imm }, None, Some(target));
    }

    /// Gives the instruction appended last the script text it comes from.
    pub fn origin(&mut self, span: Span) {
        if let Some(last) = self.items.last_mut() {
            last.span = Some(span);
        }
    }

    fn add(&mut self, insn: Insn, span: Option<Span>, target: Option<Label>) {
        self.items.push(Item { insn, span, target });
    }

    /// The program with all distances worked out, and each instruction's origin.
    ///
    /// # Errors
    /// [`LabelError`] for labels unbound, bound twice or behind the end, and for a `may_goto` out of reach.
    pub fn finish(self) -> Result<(Vec<Insn>, Vec<Option<Span>>), LabelError> {
        let targets = self.targets()?;
        let long = self.lengthen(&targets);
        self.resolve(&targets, &long)
    }

    /// As [`Assembler::finish`], but with one instruction for each that was appended.
    ///
    /// # Errors
    /// Also [`LabelError::TooFar`] for every jump out of reach of `off`.
    pub fn finish_near(self) -> Result<(Vec<Insn>, Vec<Option<Span>>), LabelError> {
        let targets = self.targets()?;
        self.resolve(&targets, &vec![false; self.items.len()])
    }

    /// Each instruction's origin, in the order they were appended.
    pub fn spans(&self) -> impl Iterator<Item = Option<Span>> {
        self.items.iter().map(|item| item.span)
    }

    fn resolve(
        &self,
        targets: &[Option<usize>],
        long: &[bool],
    ) -> Result<(Vec<Insn>, Vec<Option<Span>>), LabelError> {
        let starts = self.starts(long);
        let mut insns = Vec::with_capacity(self.items.len());
        let mut spans = Vec::with_capacity(self.items.len());
        for (at, item) in self.items.iter().enumerate() {
            let next = starts[at] + item.insn.slots() as i64;
            let insn = match targets[at] {
                None => item.insn,
                Some(to) if long[at] && matches!(item.insn, Insn::Jmp { .. }) => {
                    // `if … goto +1` to the gotol, `goto +1` past it, then the gotol: three slots. Inverting the
                    // condition would save one, but `&` has no inverse.
                    insns.push(with_short(item.insn, 1));
                    insns.push(Insn::Ja { off: 1 });
                    spans.extend([item.span, item.span]);
                    far(at, starts[to] - next - 2)?
                }
                Some(to) if long[at] => far(at, starts[to] - next)?,
                Some(to) => near(at, item.insn, starts[to] - next)?,
            };
            insns.push(insn);
            spans.push(item.span);
        }
        Ok((insns, spans))
    }

    /// For each item the index of the item it refers to.
    fn targets(&self) -> Result<Vec<Option<usize>>, LabelError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let find = |(insn, item): (usize, &Item)| {
            let Some(label) = item.target else {
                return Ok(None);
            };
            match self.bound.get(label.0 as usize) {
                None => Err(LabelError::Foreign { label }),
                Some(None) => Err(LabelError::Unbound { label, insn }),
                Some(Some(at)) if *at >= self.items.len() => {
                    Err(LabelError::PastEnd { label, insn })
                }
                Some(Some(at)) => Ok(Some(*at)),
            }
        };
        self.items.iter().enumerate().map(find).collect()
    }

    /// Which jumps need the long form. Lengthening moves what follows, so it repeats until nothing changes; it ends
    /// because jumps only ever become longer.
    fn lengthen(&self, targets: &[Option<usize>]) -> Vec<bool> {
        let mut long = vec![false; self.items.len()];
        loop {
            let starts = self.starts(&long);
            let mut changed = false;
            for (at, item) in self.items.iter().enumerate() {
                let Some(to) = targets[at] else { continue };
                let can = matches!(item.insn, Insn::Ja { .. } | Insn::Jmp { .. });
                let distance = starts[to] - starts[at] - 1;
                if can && !long[at] && i16::try_from(distance).is_err() {
                    long[at] = true;
                    changed = true;
                }
            }
            if !changed {
                return long;
            }
        }
    }

    /// The slot at which each item begins.
    fn starts(&self, long: &[bool]) -> Vec<i64> {
        let mut slot = 0;
        let place = |(item, long): (&Item, &bool)| {
            let start = slot;
            slot += match (long, item.insn) {
                (true, Insn::Jmp { .. }) => 3,
                (_, insn) => insn.slots() as i64,
            };
            start
        };
        self.items.iter().zip(long).map(place).collect()
    }
}

impl Extend<Insn> for Assembler {
    /// Appends instructions as [`Assembler::emit`] does.
    fn extend<T: IntoIterator<Item = Insn>>(&mut self, insns: T) {
        insns.into_iter().for_each(|insn| self.emit(insn));
    }
}

fn far(insn: usize, distance: i64) -> Result<Insn, LabelError> {
    match i32::try_from(distance) {
        Ok(imm) => Ok(Insn::Jal { imm }),
        Err(_) => Err(LabelError::TooFar { insn, distance }),
    }
}

fn with_short(insn: Insn, short: i16) -> Insn {
    match insn {
        Insn::Ja { .. } => Insn::Ja { off: short },
        Insn::MayGoto { .. } => Insn::MayGoto { off: short },
        Insn::Jmp {
            cond,
            width,
            dst,
            src,
            ..
        } => Insn::Jmp {
            cond,
            width,
            dst,
            src,
            off: short,
        },
        other => other,
    }
}

/// The instruction with its distance filled in.
fn near(at: usize, insn: Insn, distance: i64) -> Result<Insn, LabelError> {
    let too_far = LabelError::TooFar { insn: at, distance };
    let wide = i32::try_from(distance).map_err(|_| too_far);
    Ok(match insn {
        Insn::Jal { .. } => Insn::Jal { imm: wide? },
        Insn::Call {
            callee: Callee::Local(_),
        } => Insn::Call {
            callee: Callee::Local(wide?),
        },
        // A function's address counts from the load's own second slot (kernel-side `insn - idx - 1`).
        Insn::LoadImm64 {
            dst,
            imm: Imm64::Func(_),
        } => Insn::LoadImm64 {
            dst,
            imm: Imm64::Func(i32::try_from(distance + 1).map_err(|_| too_far)?),
        },
        other => with_short(other, i16::try_from(distance).map_err(|_| too_far)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::build::*;

    const R0: Reg = Reg::R0;

    #[test]
    fn distances_count_slots() {
        let mut a = Assembler::new();
        let (back, out, func) = (a.here(), a.label(), a.label());
        a.push(load_imm64(R0, 1), Some(Span::new(1, 2)));
        a.jump_if(Cond::Eq, Width::W64, R0, 0, out);
        a.jump(back);
        a.load_func(Reg::R2, func);
        a.call_local(func);
        a.bind(out);
        a.push(exit(), None);
        a.bind(func);
        a.push(exit(), None);
        let (insns, spans) = a.finish().unwrap();
        assert_eq!(spans[0], Some(Span::new(1, 2)));
        // Slots: 0-1 wide, 2 jeq, 3 ja, 4-5 func, 6 call, 7 exit, 8 exit.
        assert_eq!(insns[1], jump_if(Cond::Eq, R0, 0, 4));
        assert_eq!(insns[2], goto(-4));
        let imm = Imm64::Func(3); // target 8 - index 4 - 1
        assert_eq!(insns[3], Insn::LoadImm64 { dst: Reg::R2, imm });
        assert_eq!(insns[4], call_local(1));
    }

    #[test]
    fn far_jumps_become_gotol() {
        let mut a = Assembler::new();
        let (top, out) = (a.here(), a.label());
        a.jump_if(Cond::Set, Width::W64, R0, 1, out);
        a.jump(out);
        for _ in 0..40_000 {
            a.push(mov64_imm(R0, 0), None);
        }
        a.jump(top);
        a.bind(out);
        a.push(exit(), None);
        let (insns, spans) = a.finish().unwrap();
        assert_eq!(insns.len(), spans.len());
        assert_eq!(insns[0], jump_if(Cond::Set, R0, 1, 1));
        assert_eq!(insns[1], goto(1));
        // From slot 2: out is at 3 + 1 + 40000 + 1 = 40005.
        assert_eq!(insns[2], gotol(40_002));
        assert_eq!(insns[3], gotol(40_001));
        assert_eq!(insns[40_004], gotol(-40_005));
    }

    #[test]
    fn mistakes_are_values() {
        let mut a = Assembler::new();
        let label = a.label();
        a.jump(label);
        assert_eq!(
            a.clone().finish(),
            Err(LabelError::Unbound { label, insn: 0 })
        );
        a.bind(label);
        assert_eq!(
            a.clone().finish(),
            Err(LabelError::PastEnd { label, insn: 0 })
        );
        a.push(exit(), None);
        a.bind(label);
        let error = a.finish().unwrap_err();
        assert_eq!(
            error.to_string(),
            "bind label 0 at insn 2: it is bound at insn 1 already"
        );
        let mut a = Assembler::new();
        let out = a.label();
        a.may_goto(out);
        for _ in 0..40_000 {
            a.push(mov64_imm(R0, 0), None);
        }
        a.bind(out);
        a.push(exit(), None);
        assert_eq!(
            a.finish(),
            Err(LabelError::TooFar {
                insn: 0,
                distance: 40_000
            })
        );
    }
}
