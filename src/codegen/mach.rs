//! Machine form: eBPF instructions on registers that may still be virtual, in blocks.

use crate::{
    asm::{AluOp, AtomicOp, Cond, EndianOp, Size, Width},
    ir::{FuncId, SlotId},
    span::Span,
};

/// A register: 0 to 10 are the machine's, from [`FIRST`] on they are virtual.
pub(super) type R = u32;

/// The first virtual register.
pub(super) const FIRST: R = 16;

/// Number of registers that can be given out: r0 to r9.
pub(super) const COLORS: u32 = 10;

/// A value that costs no more to make again than to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cheap {
    /// A number.
    Value(i64),
    /// Pointer to a map.
    Map(u32),
    /// Address inside the value of a one-element array map.
    MapValue { map: u32, off: u32 },
    /// Address of a callback.
    Func(FuncId),
    /// Address of a stack slot plus an offset.
    Slot(SlotId, i32),
}

/// Where memory is accessed, before the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Base {
    /// At a register.
    Reg(R),
    /// In a stack slot.
    Slot(SlotId),
}

/// Second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum MSrc {
    /// A register.
    Reg(R),
    /// An immediate.
    Imm(i32),
}

/// An instruction in two-address form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mi {
    /// 64-bit move; vanishes when both ends get the same register.
    Copy { dst: R, src: R },
    /// A cheap value.
    Const { dst: R, what: Cheap },
    /// `dst = dst op src`; with `AluOp::Mov` only the 32-bit form.
    Alu {
        op: AluOp,
        width: Width,
        dst: R,
        src: MSrc,
    },
    /// `dst = -dst`.
    Neg { dst: R },
    /// `dst` = sign-extended `src`.
    Movsx { from: Size, dst: R, src: R },
    /// Byte order of `dst`.
    Endian { op: EndianOp, bits: u8, dst: R },
    /// Load.
    Load {
        size: Size,
        signed: bool,
        dst: R,
        base: Base,
        off: i32,
    },
    /// Store.
    Store {
        size: Size,
        base: Base,
        off: i32,
        src: MSrc,
    },
    /// Atomic; fetching forms write `src`, cmpxchg reads and writes r0.
    Atomic {
        op: AtomicOp,
        size: Size,
        base: Base,
        off: i32,
        src: R,
    },
    /// Helper call reading r1 to r`args`.
    Call { helper: u32, args: u8 },
}

/// How a block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum MTerm {
    /// Jump.
    Goto(usize),
    /// Two ways.
    If {
        cond: Cond,
        width: Width,
        a: R,
        b: MSrc,
        then: usize,
        els: usize,
    },
    /// `may_goto`: falls to `go` until the budget is spent.
    MayGoto { go: usize, stop: usize },
    /// Returns r0.
    Exit,
}

/// An instruction with the script text it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct MInst {
    pub(super) op: Mi,
    pub(super) span: Option<Span>,
}

/// A block.
#[derive(Clone, Debug)]
pub(super) struct MBlock {
    pub(super) insts: Vec<MInst>,
    pub(super) term: MTerm,
    pub(super) span: Option<Span>,
}

/// A function before or after register allocation.
#[derive(Clone, Debug)]
pub(super) struct MFunc {
    pub(super) blocks: Vec<MBlock>,
    /// Sizes and alignments of stack slots; spill slots are appended.
    pub(super) slots: Vec<(u32, u32)>,
    /// One past the highest register.
    pub(super) regs: R,
}

impl MFunc {
    /// A fresh virtual register.
    pub(super) fn fresh(&mut self) -> R {
        self.regs += 1;
        self.regs - 1
    }
}

/// What an instruction does with a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Reads it.
    Use,
    /// Writes it.
    Def,
    /// Reads, then writes it.
    Both,
}

impl Role {
    pub(super) fn reads(self) -> bool {
        self != Role::Def
    }
    pub(super) fn writes(self) -> bool {
        self != Role::Use
    }
}

impl Mi {
    /// Calls `f` on each register named in the instruction; those of calls and cmpxchg are copies.
    pub(super) fn each_mut(&mut self, f: &mut dyn FnMut(&mut R, Role)) {
        match self {
            Mi::Copy { dst, src } | Mi::Movsx { dst, src, .. } => {
                f(src, Role::Use);
                f(dst, Role::Def);
            }
            Mi::Const { dst, .. } => f(dst, Role::Def),
            Mi::Alu { op, dst, src, .. } => {
                if let MSrc::Reg(src) = src {
                    f(src, Role::Use);
                }
                let role = if *op == AluOp::Mov {
                    Role::Def
                } else {
                    Role::Both
                };
                f(dst, role);
            }
            Mi::Neg { dst } | Mi::Endian { dst, .. } => f(dst, Role::Both),
            Mi::Load { dst, base, .. } => {
                base.each_mut(f);
                f(dst, Role::Def);
            }
            Mi::Store { base, src, .. } => {
                base.each_mut(f);
                if let MSrc::Reg(src) = src {
                    f(src, Role::Use);
                }
            }
            Mi::Atomic { op, base, src, .. } => {
                base.each_mut(f);
                if *op == AtomicOp::Cmpxchg {
                    f(&mut 0, Role::Both);
                }
                let role = if fetches(*op) { Role::Both } else { Role::Use };
                f(src, role);
            }
            Mi::Call { args, .. } => {
                for mut reg in 1..=R::from(*args) {
                    f(&mut reg, Role::Use);
                }
                for mut reg in 0..=5 {
                    f(&mut reg, Role::Def);
                }
            }
        }
    }

    /// Calls `f` on each register.
    pub(super) fn each(&self, mut f: impl FnMut(R, Role)) {
        let mut copy = *self;
        copy.each_mut(&mut |reg, role| f(*reg, role));
    }

    /// Whether it can go when nothing reads what it writes.
    pub(super) fn pure(&self) -> bool {
        !matches!(self, Mi::Store { .. } | Mi::Atomic { .. } | Mi::Call { .. })
    }
}

impl Base {
    fn each_mut(&mut self, f: &mut dyn FnMut(&mut R, Role)) {
        if let Base::Reg(reg) = self {
            f(reg, Role::Use);
        }
    }
}

impl MTerm {
    /// Calls `f` on each register read.
    pub(super) fn each_mut(&mut self, f: &mut dyn FnMut(&mut R)) {
        match self {
            MTerm::If { a, b, .. } => {
                f(a);
                if let MSrc::Reg(b) = b {
                    f(b);
                }
            }
            MTerm::Exit => f(&mut 0),
            MTerm::Goto(_) | MTerm::MayGoto { .. } => {}
        }
    }

    /// Calls `f` on each register read.
    pub(super) fn each(&self, mut f: impl FnMut(R)) {
        let mut copy = *self;
        copy.each_mut(&mut |reg| f(*reg));
    }

    /// Blocks it may go to.
    pub(super) fn targets(&self) -> impl Iterator<Item = usize> + use<> {
        let (a, b) = match *self {
            MTerm::Goto(a) => (Some(a), None),
            MTerm::If { then, els, .. } => (Some(then), Some(els)),
            MTerm::MayGoto { go, stop } => (Some(go), Some(stop)),
            MTerm::Exit => (None, None),
        };
        a.into_iter().chain(b)
    }

    /// Names its targets anew.
    pub(super) fn retarget(&mut self, f: impl Fn(usize) -> usize) {
        match self {
            MTerm::Goto(a) => *a = f(*a),
            MTerm::If { then, els, .. } => {
                *then = f(*then);
                *els = f(*els);
            }
            MTerm::MayGoto { go, stop } => {
                *go = f(*go);
                *stop = f(*stop);
            }
            MTerm::Exit => {}
        }
    }
}

/// Whether an atomic writes the old value into its source register.
pub(super) fn fetches(op: AtomicOp) -> bool {
    matches!(
        op,
        AtomicOp::Xchg
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true }
    )
}
