//! Three-address code: one node per eBPF instruction or helper call, on virtual registers, in blocks. Plain data.
//!
//! A virtual register may be written more than once (the IR is not SSA when it is built; passes may make it so). It
//! must be written on every path before it is read. Pointers and numbers share registers; what the verifier tracks
//! through them is the business of whoever builds the code: pointer arithmetic keeps its base on the left.

use crate::{
    asm::{AluOp, AtomicOp, Cond, EndianOp, Size, Width},
    span::Span,
};

/// A virtual register, 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VReg(pub u32);

/// A block of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

/// A piece of the stack frame whose address is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// A function of a program: 0 is the entry, others are callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FuncId(pub u32);

/// An input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opnd {
    /// A virtual register.
    Reg(VReg),
    /// A number; one that does not fit 32 bits is loaded into a register first by code generation.
    Imm(i64),
}

/// An instruction without control flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "fields are dst and operands")]
pub enum Op {
    /// `dst = src`.
    Mov { dst: VReg, src: Opnd },
    /// `dst = a op b`; `W32` zeroes the upper half. Never `AluOp::Mov`. Division and modulo by zero as RFC 9669 says.
    Alu {
        op: AluOp,
        width: Width,
        dst: VReg,
        a: Opnd,
        b: Opnd,
    },
    /// `dst` = low `from` bytes of `src`, zero- or sign-extended to 64 bits (`from` is B, H or W).
    Ext {
        dst: VReg,
        src: Opnd,
        from: Size,
        signed: bool,
    },
    /// `dst = -src`, 64 bits.
    Neg { dst: VReg, src: Opnd },
    /// `dst` = byte order of the low `bits` of `src` changed.
    Endian {
        op: EndianOp,
        bits: u8,
        dst: VReg,
        src: Opnd,
    },
    /// `dst = *(size *)(base + off)`.
    Load {
        dst: VReg,
        size: Size,
        signed: bool,
        base: VReg,
        off: i16,
    },
    /// `*(size *)(base + off) = src`.
    Store {
        size: Size,
        base: VReg,
        off: i16,
        src: Opnd,
    },
    /// Atomic on `*(size *)(base + off)`. `dst` takes the old value (fetch, xchg, cmpxchg); `expect` only for cmpxchg.
    Atomic {
        op: AtomicOp,
        size: Size,
        base: VReg,
        off: i16,
        src: VReg,
        dst: Option<VReg>,
        expect: Option<Opnd>,
    },
    /// `dst` = the context pointer the program was called with (in a callback: see `Arg`).
    Ctx { dst: VReg },
    /// `dst` = argument `index` (0-based) of a callback function. Only in the entry block of a callback.
    Arg { dst: VReg, index: u8 },
    /// `dst` = address of a stack slot plus `off`.
    Slot { dst: VReg, slot: SlotId, off: i32 },
    /// `dst` = pointer to a map (index into the object's maps), for helpers.
    Map { dst: VReg, map: u32 },
    /// `dst` = address inside the value of a one-element array map.
    MapValue { dst: VReg, map: u32, off: u32 },
    /// `dst` = address of a callback function.
    FuncAddr { dst: VReg, func: FuncId },
    /// Call of a helper by number; at most five arguments; `dst` takes r0.
    Call {
        dst: Option<VReg>,
        helper: u32,
        args: Vec<Opnd>,
    },
}

/// How a block ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "fields are operands and targets")]
pub enum Term {
    /// On to another block.
    Goto(BlockId),
    /// `if a cond b goto then else goto els`.
    If {
        cond: Cond,
        width: Width,
        a: Opnd,
        b: Opnd,
        then: BlockId,
        els: BlockId,
    },
    /// Goes to `go` until the kernel's iteration budget is spent, then to `stop` (`may_goto`, kernel 6.9).
    MayGoto { go: BlockId, stop: BlockId },
    /// `return value`.
    Exit(Opnd),
}

/// An instruction with the script text it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// Where it comes from.
    pub span: Option<Span>,
}

/// A straight run of instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Instructions in order.
    pub insts: Vec<Inst>,
    /// How it ends.
    pub term: Term,
    /// Where the end comes from.
    pub term_span: Option<Span>,
}

/// A stack slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Bytes.
    pub size: u32,
    /// Alignment: 1, 2, 4 or 8.
    pub align: u32,
}

/// A function: the program itself or a callback. `blocks[0]` is the entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Func {
    /// For listings and BTF.
    pub name: String,
    /// Blocks by [`BlockId`].
    pub blocks: Vec<Block>,
    /// Stack slots by [`SlotId`].
    pub slots: Vec<Slot>,
    /// Number of virtual registers.
    pub vregs: u32,
}

/// A program: its entry function and callbacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Functions by [`FuncId`].
    pub funcs: Vec<Func>,
}
