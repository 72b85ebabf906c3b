//! Two faults of Linux 6.18 itself, and how to see that a difference comes of one of them.
//!
//! **Lost zero extension.** x86 leaves the upper half of `r0` alone when a 32-bit cmpxchg succeeds, so the verifier puts
//! `w0 = w0` behind it (`bpf_opt_subreg_zext_lo32_rnd_hi32`, `bpftool prog dump xlated` shows it), but only if it has
//! seen all 64 bits read. If the one path that reads them is pruned (the log says `safe`), nothing marks the cmpxchg.
//!
//! **Lost precision.** When a branch's outcome is taken as known, the verifier goes back and marks what it rests on as
//! precise (`backtrack_insn`). At an atomic that fetches it does not go on from the register to the stack slot. So a path
//! on which the slot holds another value is taken for equal and pruned, and the branch is deleted as dead: `xlated` lacks
//! it.
//!
//! Both are seen by programs that mean the same and avoid the fault; the difference must be gone then.

use baretrace::asm::{AluOp, AtomicOp, Callee, Insn, Reg, Size, Src, Width};

/// A fault of the kernel, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    LostZeroExtension,
    LostPrecision,
    Both,
}

impl Fault {
    pub(crate) const ALL: [Fault; 3] =
        [Fault::LostZeroExtension, Fault::LostPrecision, Fault::Both];

    /// The program, without what triggers the fault; `None` if there is nothing of that kind in it.
    pub(crate) fn avoided(self, insns: &[Insn]) -> Option<Vec<Insn>> {
        let (extend, launder) = (
            self != Fault::LostPrecision,
            self != Fault::LostZeroExtension,
        );
        let behind: Vec<Vec<Insn>> = insns
            .iter()
            .map(|insn| {
                let mut add = Vec::new();
                if extend && is_narrow_cmpxchg(insn) {
                    add.push(zero_extend());
                }
                if launder {
                    add.extend(fetched(insn).into_iter().flat_map(forget));
                }
                add
            })
            .collect();
        behind
            .iter()
            .any(|add| !add.is_empty())
            .then(|| insert(insns, &behind))
    }
}

fn is_narrow_cmpxchg(insn: &Insn) -> bool {
    matches!(
        insn,
        Insn::Atomic {
            op: AtomicOp::Cmpxchg,
            size: Size::W,
            ..
        }
    )
}

/// `w0 = w0`
fn zero_extend() -> Insn {
    Insn::Alu {
        op: AluOp::Mov,
        width: Width::W32,
        dst: Reg::R0,
        src: Src::Reg(Reg::R0),
    }
}

/// The register that an atomic fetches into.
fn fetched(insn: &Insn) -> Option<Reg> {
    match *insn {
        Insn::Atomic { op, src, .. } => match op {
            AtomicOp::Cmpxchg => Some(Reg::R0),
            AtomicOp::Xchg
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true } => Some(src),
            _ => None,
        },
        _ => None,
    }
}

/// Makes the verifier forget what it knows of a register, which keeps its value: through a slot that the generator does
/// not use, and an atomic that does not fetch.
fn forget(reg: Reg) -> [Insn; 3] {
    let (dst, off, size) = (Reg::R10, -72, Size::DW);
    let src = Src::Reg(reg);
    [
        Insn::Store {
            size,
            dst,
            off,
            src,
        },
        Insn::Atomic {
            op: AtomicOp::And { fetch: false },
            size,
            dst,
            off,
            src: reg,
        },
        Insn::Load {
            size,
            signed: false,
            dst: reg,
            src: dst,
            off,
        },
    ]
}

/// Puts instructions behind each one; distances are made to fit.
fn insert(insns: &[Insn], behind: &[Vec<Insn>]) -> Vec<Insn> {
    // Old slot to new slot.
    let mut moved = Vec::new();
    let mut new = 0i64;
    for (insn, add) in insns.iter().zip(behind) {
        moved.extend((0..insn.slots() as i64).map(|at| new + at));
        new += (insn.slots() + add.len()) as i64;
    }
    let mut out = Vec::new();
    let mut slot = 0i64;
    for (insn, add) in insns.iter().zip(behind) {
        let next = slot + insn.slots() as i64;
        let far = |distance: i64| {
            let to = moved[(next + distance) as usize];
            to - (moved[slot as usize] + insn.slots() as i64)
        };
        let mut changed = *insn;
        match &mut changed {
            Insn::Ja { off } | Insn::Jmp { off, .. } | Insn::MayGoto { off } => {
                *off = far(i64::from(*off)) as i16;
            }
            Insn::Jal { imm }
            | Insn::Call {
                callee: Callee::Local(imm),
            } => *imm = far(i64::from(*imm)) as i32,
            _ => {}
        }
        out.push(changed);
        out.extend_from_slice(add);
        slot = next;
    }
    out
}
