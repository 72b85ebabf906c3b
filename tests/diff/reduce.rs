//! Makes a program on which two machines differ smaller: instructions become `goto +0` while the difference stays.

use baretrace::asm::{Insn, Reg, Src};

/// The program with as few instructions as can be; slots stay where they are, so distances stay right.
pub(crate) fn reduce(insns: &[Insn], differs: &dyn Fn(&[Insn]) -> bool) -> Vec<Insn> {
    let mut best = insns.to_vec();
    loop {
        let before = left(&best);
        let mut size = best.len() / 2;
        while size > 0 {
            let mut at = 0;
            while at < best.len() {
                let mut tried = best[..at].to_vec();
                for insn in best.iter().skip(at).take(size) {
                    if writes_stack(insn) {
                        tried.push(*insn);
                    } else {
                        // A wide immediate leaves two.
                        tried.extend(vec![Insn::Ja { off: 0 }; insn.slots()]);
                    }
                }
                tried.extend_from_slice(best.get(at + size..).unwrap_or(&[]));
                if left(&tried) < left(&best) && differs(&tried) {
                    best = tried;
                }
                at += size;
            }
            size /= 2;
        }
        if left(&best) == before {
            return best;
        }
    }
}

fn left(insns: &[Insn]) -> usize {
    insns.iter().filter(|i| **i != Insn::Ja { off: 0 }).count()
}

/// Constants on the stack stay: without them the kernel's stack holds anything, and that is no difference.
fn writes_stack(insn: &Insn) -> bool {
    matches!(
        insn,
        Insn::Store {
            dst: Reg::R10,
            src: Src::Imm(_),
            ..
        } | Insn::LoadImm64 { .. }
    )
}
