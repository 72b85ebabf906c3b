//! What must hold of a whole program: jumps land on instructions, and execution cannot run off the end.

use super::Problem;
use crate::asm::Insn;
use crate::asm::disasm::target_slot;
use crate::span::Span;

pub(super) fn check(insns: &[Insn], spans: &[Span]) -> Vec<(Span, Problem)> {
    let mut found = Vec::new();
    let mut starts = Vec::with_capacity(insns.len());
    for insn in insns {
        starts.push(true);
        if insn.slots() == 2 {
            starts.push(false);
        }
    }
    let mut slot = 0;
    for (insn, span) in insns.iter().zip(spans) {
        if let Some(to) = target_slot(insn, slot) {
            let lands = usize::try_from(to).ok().and_then(|to| starts.get(to));
            match lands {
                Some(true) => {}
                Some(false) => found.push((*span, Problem::JumpMiddle { slot: to })),
                None => {
                    let slots = starts.len();
                    found.push((*span, Problem::JumpOutside { slot: to, slots }));
                }
            }
        }
        slot += insn.slots();
    }
    let ends = |insn: &Insn| {
        matches!(
            insn,
            Insn::Exit | Insn::Ja { .. } | Insn::Jal { .. } | Insn::Jx { .. }
        )
    };
    match (insns.last(), spans.last()) {
        (Some(last), Some(span)) if !ends(last) => found.push((*span, Problem::MissingExit)),
        (None, _) => found.push((Span::default(), Problem::Empty)),
        _ => {}
    }
    found
}
