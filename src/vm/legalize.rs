//! Rewrites a program into one that rbpf 0.4.1 executes rightly.
//!
//! rbpf's own `r10` is the program's frame pointer; above it lies a private area of [`super::mem`] with one shadow
//! slot for each register. What rbpf does rightly stays one instruction. What it does wrongly, or not at all, becomes
//! other instructions where that is enough (sign-extending moves, `bswap`, negative immediates), or else a *hard
//! operation*: a row in a side table, executed in Rust by [`super::engine`]:
//!
//! ```text
//! *(u64 *)(r10 +0) = r0       registers that a helper does not get as arguments, if the row reads them
//! *(u64 *)(r10 +88) = ROW
//! call HARD                   r1 to r5 arrive as arguments; r0 comes back, or its old value does
//! r7 = *(u64 *)(r10 +56)      what the row writes
//! ```
//!
//! An access to the program's own stack at a constant offset is checked here and stays native.

use crate::asm::{AluOp, AtomicOp, Callee, Cond, EndianOp, Imm64, Insn, Reg, Size, Src, Width};
use crate::spec::{MapKind, MapSpec};

use super::flow::{Flow, RegSet, bit};
use super::helpers::Helper;
use super::mem::{ROW_SLOT, STACK_SIZE, shadow};
use super::supported::{Unsupported, What};
use super::{helpers, space};

/// The one helper number that legalized programs call.
pub(super) const HARD: u32 = 1;

/// What an unset register holds, so that a read of it is seen. No valid address, and an unlikely number.
pub(super) const POISON: u64 = 0xdead_b1a5_ed00_0bad;

/// Most slots in which the interpreter's jumps are right.
const MAX_SLOTS: usize = 32767;

const ALL: RegSet = 0x3ff;

/// An operation that Rust executes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// Checked load.
    Load {
        size: Size,
        signed: bool,
        dst: Reg,
        base: Reg,
        off: i16,
    },
    /// Checked store.
    Store {
        size: Size,
        base: Reg,
        off: i16,
        src: Src,
    },
    /// Checked read-modify-write.
    Atomic {
        op: AtomicOp,
        size: Size,
        base: Reg,
        off: i16,
        src: Reg,
    },
    /// Signed division, or modulo.
    Signed {
        modulo: bool,
        width: Width,
        dst: Reg,
        src: Src,
    },
    /// A loop header: so many instructions are paid for.
    Fuel(u64),
    /// Faults if one of these holds poison.
    CheckSet(RegSet),
    /// A BPF helper.
    Helper(&'static Helper),
    /// A function of this program, by its index.
    Local(usize),
    /// What a register says: a function's address, or a helper's number.
    Callx(Reg),
    /// `bpf_tail_call`: 1 if another program ran in place of the rest of this one.
    Tail,
    /// Legacy packet load: 1 if the packet ends before it.
    Packet {
        size: Size,
        base: Option<Reg>,
        off: i32,
    },
    /// `may_goto`: 1 when its budget is used up.
    MayGoto,
    /// Reports the registers to the tracer.
    Trace,
}

/// A hard operation and the instruction that it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) insn: usize,
    pub(super) op: Op,
}

/// A legalized program: one piece of code for each function, one table for all.
#[derive(Debug)]
pub(super) struct Legal {
    pub(super) functions: Vec<Vec<Insn>>,
    pub(super) rows: Vec<Row>,
}

/// What map loads resolve to.
pub(super) struct Links<'a> {
    maps: Option<&'a [MapSpec]>,
    /// There is a packet to load from.
    packet: bool,
}

impl<'a> Links<'a> {
    /// The maps of an object.
    pub(super) fn to(maps: &'a [MapSpec]) -> Self {
        Links {
            maps: Some(maps),
            packet: false,
        }
    }

    /// These maps; the memory is a packet too.
    pub(super) fn to_memory(maps: &'a [MapSpec]) -> Self {
        Links {
            maps: Some(maps),
            packet: true,
        }
    }

    /// Every map exists.
    pub(super) fn any() -> Self {
        Links {
            maps: None,
            packet: true,
        }
    }

    fn map(&self, insn: usize, index: i32) -> Result<Option<&'a MapSpec>, Unsupported> {
        let Some(maps) = self.maps else {
            return Ok(None);
        };
        usize::try_from(index)
            .ok()
            .and_then(|i| maps.get(i))
            .map(Some)
            .ok_or_else(|| Unsupported::at(insn, What::NoMap(index)))
    }
}

/// Rewrites all functions of a program. With `trace`, each instruction reports before it runs.
pub(super) fn legalize(
    insns: &[Insn],
    flow: &Flow,
    links: &Links<'_>,
    trace: bool,
) -> Result<Legal, Unsupported> {
    let mut rows = Vec::new();
    let mut functions = Vec::with_capacity(flow.functions.len());
    for function in &flow.functions {
        let mut out = Out {
            insns,
            flow,
            links,
            trace,
            rows: &mut rows,
            code: Vec::new(),
            slots: 0,
            fixes: Vec::new(),
            at: vec![0; function.end - function.start],
            start: function.start,
        };
        out.prologue();
        for index in function.start..function.end {
            out.one(index)?;
        }
        functions.push(out.finish()?);
    }
    Ok(Legal { functions, rows })
}

/// The code of one function while it grows.
struct Out<'a> {
    insns: &'a [Insn],
    flow: &'a Flow,
    links: &'a Links<'a>,
    trace: bool,
    rows: &'a mut Vec<Row>,
    code: Vec<Insn>,
    slots: usize,
    /// Index in `code`, slot after it, target instruction.
    fixes: Vec<(usize, usize, usize)>,
    /// Slot of each instruction of the function.
    at: Vec<usize>,
    start: usize,
}

fn mov(dst: Reg, src: Src) -> Insn {
    alu(AluOp::Mov, Width::W64, dst, src)
}

fn alu(op: AluOp, width: Width, dst: Reg, src: Src) -> Insn {
    Insn::Alu {
        op,
        width,
        dst,
        src,
    }
}

fn save(reg: Reg) -> Insn {
    Insn::Store {
        size: Size::DW,
        dst: Reg::R10,
        off: shadow(reg),
        src: Src::Reg(reg),
    }
}

fn restore(reg: Reg) -> Insn {
    Insn::Load {
        size: Size::DW,
        signed: false,
        dst: reg,
        src: Reg::R10,
        off: shadow(reg),
    }
}

fn regs(set: RegSet) -> impl Iterator<Item = Reg> {
    (0..=9u8)
        .filter(move |n| set & (1 << n) != 0)
        .filter_map(Reg::new)
}

/// Whether `[r10 + off]` is wholly on this frame's stack.
fn on_stack(base: Reg, off: i16, size: Size) -> bool {
    let (off, size) = (i32::from(off), i32::try_from(size.bytes()).unwrap_or(8));
    base == Reg::R10 && off >= -STACK_SIZE && off + size <= 0
}

fn sign_extend(width: Width, from: Size, dst: Reg) -> [Insn; 2] {
    let whole = if width == Width::W64 { 64 } else { 32 };
    let by = Src::Imm(whole - 8 * i32::try_from(from.bytes()).unwrap_or(4));
    [
        alu(AluOp::Lsh, width, dst, by),
        alu(AluOp::Arsh, width, dst, by),
    ]
}

impl Out<'_> {
    fn emit(&mut self, insn: Insn) {
        self.slots += insn.slots();
        self.code.push(insn);
    }

    fn emit_to(&mut self, insn: Insn, target: usize) {
        self.emit(insn);
        self.fixes.push((self.code.len() - 1, self.slots, target));
    }

    fn poison(&mut self, set: RegSet) {
        for reg in regs(set) {
            self.emit(Insn::LoadImm64 {
                dst: reg,
                imm: Imm64::Value(POISON),
            });
        }
    }

    /// Makes `r10` the frame pointer out of `r1`, the frame's first byte, then loads the arguments.
    fn prologue(&mut self) {
        self.emit(mov(Reg::R10, Src::Reg(Reg::R1)));
        self.emit(alu(AluOp::Add, Width::W64, Reg::R10, Src::Imm(STACK_SIZE)));
        let live = if self.trace {
            ALL
        } else {
            self.flow.live_in[self.start]
        };
        let unset = self.flow.unset[self.start];
        for reg in regs(live & !unset) {
            self.emit(restore(reg));
        }
        self.poison(self.flow.live_in[self.start] & unset);
    }

    /// A hard operation that reads `uses` and writes `defs`, where `live` is wanted afterwards.
    fn hard(&mut self, insn: usize, op: Op, uses: RegSet, defs: RegSet, live: RegSet) {
        let live = if self.trace { ALL } else { live };
        let kept = live & !defs & 1;
        for reg in regs((uses & !0b11_1110) | kept) {
            self.emit(save(reg));
        }
        self.emit(Insn::Store {
            size: Size::DW,
            dst: Reg::R10,
            off: ROW_SLOT,
            src: Src::Imm(i32::try_from(self.rows.len()).unwrap_or(i32::MAX)),
        });
        self.rows.push(Row { insn, op });
        self.emit(Insn::Call {
            callee: Callee::Helper(HARD),
        });
        for reg in regs(defs & !1 & live) {
            self.emit(restore(reg));
        }
    }

    /// `if cond goto target` on `r0` of a hard operation that answers 0 or 1, keeping the program's `r0`.
    fn branch_on_answer(&mut self, target: usize, live: RegSet) {
        let keep = live & 1 != 0 || self.trace;
        self.emit(Insn::Jmp {
            cond: Cond::Eq,
            width: Width::W64,
            dst: Reg::R0,
            src: Src::Imm(0),
            off: if keep { 2 } else { 1 },
        });
        if keep {
            self.emit(restore(Reg::R0));
        }
        self.emit_to(Insn::Ja { off: 0 }, target);
        if keep {
            self.emit(restore(Reg::R0));
        }
    }

    /// A compare with a negative immediate, through a register: a dead one, or one that is saved meanwhile.
    fn negative_compare(&mut self, index: usize, cond: Cond, dst: Reg, imm: i32, target: usize) {
        let busy = if self.trace {
            ALL
        } else {
            self.flow.live_out[index]
        };
        let free = regs(ALL & !busy & !bit(dst)).next();
        let saved = free.is_none();
        let temp = free.unwrap_or(if dst == Reg::R9 { Reg::R8 } else { Reg::R9 });
        let jump = Insn::Jmp {
            cond,
            width: Width::W64,
            dst,
            src: Src::Reg(temp),
            off: 2,
        };
        if saved {
            self.emit(save(temp));
        }
        self.emit(mov(temp, Src::Imm(imm)));
        if saved {
            self.emit(jump);
            self.emit(restore(temp));
            self.emit(Insn::Ja { off: 2 });
            self.emit(restore(temp));
            self.emit_to(Insn::Ja { off: 0 }, target);
        } else {
            self.emit_to(jump, target);
        }
    }

    fn target(&self, index: usize) -> usize {
        self.flow.target[index].unwrap_or(index)
    }

    fn function_at(&self, entry: usize) -> usize {
        self.flow
            .functions
            .iter()
            .position(|f| f.start == entry)
            .unwrap_or(0)
    }

    fn one(&mut self, index: usize) -> Result<(), Unsupported> {
        self.at[index - self.start] = self.slots;
        let insn = self.insns[index];
        let no = |what| Err(Unsupported::at(index, what));
        let (live_in, live) = (self.flow.live_in[index], self.flow.live_out[index]);
        if super::flow::writes(&insn) & bit(Reg::R10) != 0 {
            return no(What::WritesFramePointer);
        }
        if self.flow.loop_cost[index] != 0 {
            self.hard(index, Op::Fuel(self.flow.loop_cost[index]), 0, 0, live_in);
        }
        if self.trace {
            self.hard(index, Op::Trace, ALL, 0, ALL);
        }
        let reads = match insn {
            Insn::Callx { dst } => bit(dst),
            _ => self.flow.reads(self.insns, index),
        };
        let doubtful = reads & self.flow.unset[index];
        if doubtful != 0 {
            self.hard(index, Op::CheckSet(doubtful), doubtful, 0, live_in);
        }
        match insn {
            Insn::Alu {
                op,
                width,
                dst,
                src,
            } => self.arithmetic(index, op, width, dst, src),
            // rbpf's own negation overflows on the smallest number in a debug build.
            Insn::Neg { width, dst } => self.emit(alu(AluOp::Mul, width, dst, Src::Imm(-1))),
            Insn::Movsx {
                width,
                from,
                dst,
                src,
            } => {
                let widest = if width == Width::W64 {
                    Size::W
                } else {
                    Size::H
                };
                if from > widest {
                    return no(What::AccessSize(from));
                }
                self.emit(mov(dst, Src::Reg(src)));
                for insn in sign_extend(width, from, dst) {
                    self.emit(insn);
                }
            }
            Insn::AddrSpaceCast { .. } => return no(What::Insn("addr_space_cast (arena)")),
            Insn::Endian { op, bits, dst } => {
                if !matches!(bits, 16 | 32 | 64) {
                    return no(What::Operand("byte swaps take 16, 32 or 64 bits"));
                }
                let swap = if cfg!(target_endian = "little") {
                    EndianOp::ToBe
                } else {
                    EndianOp::ToLe
                };
                let op = if op == EndianOp::Bswap { swap } else { op };
                self.emit(Insn::Endian { op, bits, dst });
            }
            Insn::Load {
                size,
                signed,
                dst,
                src,
                off,
            } => {
                if signed && size == Size::DW {
                    return no(What::AccessSize(size));
                }
                self.load(index, size, signed, dst, src, off);
            }
            Insn::LoadAcquire {
                size,
                dst,
                src,
                off,
            } => self.load(index, size, false, dst, src, off),
            Insn::Store {
                size,
                dst,
                off,
                src,
            } => self.store(index, size, dst, off, src),
            Insn::StoreRelease {
                size,
                dst,
                off,
                src,
            } => self.store(index, size, dst, off, Src::Reg(src)),
            Insn::Atomic {
                op,
                size,
                dst,
                off,
                src,
            } => {
                if size < Size::W {
                    return no(What::AccessSize(size));
                }
                let uses = super::flow::reads(&insn, 0);
                let row = Op::Atomic {
                    op,
                    size,
                    base: dst,
                    off,
                    src,
                };
                self.hard(index, row, uses, super::flow::writes(&insn), live);
            }
            Insn::LoadImm64 { dst, imm } => {
                let value = self.address(index, imm)?;
                self.emit(Insn::LoadImm64 {
                    dst,
                    imm: Imm64::Value(value),
                });
            }
            Insn::LoadAbs { size, imm } => self.packet_load(index, size, None, imm)?,
            Insn::LoadInd { size, src, imm } => self.packet_load(index, size, Some(src), imm)?,
            Insn::Ja { .. } | Insn::Jal { .. } => {
                self.emit_to(Insn::Ja { off: 0 }, self.target(index));
            }
            Insn::Jx { .. } => return no(What::Insn("gotox (indirect jump)")),
            Insn::Jmp {
                cond,
                width: Width::W64,
                dst,
                src: Src::Imm(imm),
                ..
            } if imm < 0
                && matches!(
                    cond,
                    Cond::Eq | Cond::Ne | Cond::Gt | Cond::Ge | Cond::Lt | Cond::Le
                ) =>
            {
                self.negative_compare(index, cond, dst, imm, self.target(index));
            }
            Insn::Jmp { .. } => self.emit_to(insn, self.target(index)),
            Insn::MayGoto { .. } => {
                // `r0` must be in its slot for the branch to bring it back.
                self.hard(index, Op::MayGoto, live & 1, 0, live);
                self.branch_on_answer(self.target(index), live);
            }
            Insn::Call { callee } => self.call(index, callee)?,
            Insn::Callx { dst } => {
                self.hard(index, Op::Callx(dst), bit(dst), 1, live);
                self.poison(live & 0b11_1110);
            }
            Insn::Exit => self.emit(insn),
        }
        Ok(())
    }

    fn arithmetic(&mut self, index: usize, op: AluOp, width: Width, dst: Reg, src: Src) {
        match op {
            AluOp::Sdiv | AluOp::Smod => {
                let uses = super::flow::reads(&self.insns[index], 0);
                let row = Op::Signed {
                    modulo: op == AluOp::Smod,
                    width,
                    dst,
                    src,
                };
                let live = self.flow.live_out[index];
                self.hard(index, row, uses, bit(dst), live);
            }
            AluOp::Mod if width == Width::W32 => {
                // By zero it leaves the destination alone, with its upper half.
                self.emit(alu(op, width, dst, src));
                self.emit(alu(AluOp::Mov, width, dst, Src::Reg(dst)));
            }
            _ => self.emit(alu(op, width, dst, src)),
        }
    }

    fn load(&mut self, index: usize, size: Size, signed: bool, dst: Reg, base: Reg, off: i16) {
        if on_stack(base, off, size) {
            self.emit(Insn::Load {
                size,
                signed: false,
                dst,
                src: base,
                off,
            });
            if signed {
                for insn in sign_extend(Width::W64, size, dst) {
                    self.emit(insn);
                }
            }
            return;
        }
        let row = Op::Load {
            size,
            signed,
            dst,
            base,
            off,
        };
        let live = self.flow.live_out[index];
        self.hard(index, row, bit(base) & ALL, bit(dst), live);
    }

    fn store(&mut self, index: usize, size: Size, base: Reg, off: i16, src: Src) {
        if on_stack(base, off, size) {
            self.emit(Insn::Store {
                size,
                dst: base,
                off,
                src,
            });
            return;
        }
        let value = match src {
            Src::Reg(reg) => bit(reg),
            Src::Imm(_) => 0,
        };
        let row = Op::Store {
            size,
            base,
            off,
            src,
        };
        let live = self.flow.live_out[index];
        self.hard(index, row, (bit(base) | value) & ALL, 0, live);
    }

    /// The packet is the memory of `exec`. Past its end the program is over, with 0.
    fn packet_load(
        &mut self,
        index: usize,
        size: Size,
        base: Option<Reg>,
        off: i32,
    ) -> Result<(), Unsupported> {
        if !self.links.packet {
            let what = What::Insn("legacy packet load (needs a socket buffer)");
            return Err(Unsupported::at(index, what));
        }
        if size == Size::DW {
            return Err(Unsupported::at(index, What::AccessSize(size)));
        }
        let live = self.flow.live_out[index];
        let op = Op::Packet { size, base, off };
        // The value waits in the slot of r0: the answer is whether there is one.
        self.hard(index, op, base.map_or(0, bit) | bit(Reg::R6), 0, live & !1);
        self.exit_on_answer(Some(0));
        self.emit(restore(Reg::R0));
        self.poison(live & 0b11_1110);
        Ok(())
    }

    /// Leaves the function if a hard operation answered 1, with a number or with what is in the slot of `r0`.
    fn exit_on_answer(&mut self, value: Option<i32>) {
        self.emit(Insn::Jmp {
            cond: Cond::Eq,
            width: Width::W64,
            dst: Reg::R0,
            src: Src::Imm(0),
            off: 2,
        });
        self.emit(match value {
            Some(number) => mov(Reg::R0, Src::Imm(number)),
            None => restore(Reg::R0),
        });
        self.emit(Insn::Exit);
    }

    fn call(&mut self, index: usize, callee: Callee) -> Result<(), Unsupported> {
        let live = self.flow.live_out[index];
        match callee {
            Callee::Helper(helpers::TAIL_CALL) => {
                self.hard(index, Op::Tail, 0, 0, live & !1);
                self.exit_on_answer(None);
                self.poison(live & 1);
            }
            Callee::Helper(id) => {
                let Some(helper) = helpers::find(id) else {
                    return Err(Unsupported::at(index, What::Helper(id)));
                };
                self.hard(index, Op::Helper(helper), 0, 1, live);
            }
            Callee::Local(_) => {
                let function = self.function_at(self.target(index));
                self.hard(index, Op::Local(function), 0, 1, live);
            }
            Callee::Kfunc { id, .. } => return Err(Unsupported::at(index, What::Kfunc(id))),
        }
        self.poison(live & 0b11_1110);
        Ok(())
    }

    fn address(&self, index: usize, imm: Imm64) -> Result<u64, Unsupported> {
        let no = |what| Err(Unsupported::at(index, what));
        match imm {
            Imm64::Value(value) => Ok(value),
            Imm64::MapIdx(map) => {
                self.links.map(index, map)?;
                Ok(space::map_handle(usize::try_from(map).unwrap_or(0)))
            }
            Imm64::MapIdxValue { idx, off } => {
                if let Some(spec) = self.links.map(index, idx)?
                    && (spec.kind != MapKind::Array
                        || spec.max_entries != 1
                        || off >= spec.value_size)
                {
                    return no(What::NoValue(idx));
                }
                let base = space::map_value(usize::try_from(idx).unwrap_or(0), 0);
                Ok(base + u64::from(off))
            }
            Imm64::Func(_) => Ok(space::function(self.function_at(self.target(index)))),
            Imm64::MapFd(_) | Imm64::MapValue { .. } => {
                no(What::Insn("map by file descriptor (use a map index)"))
            }
            Imm64::BtfId { .. } => no(What::Insn("kernel variable by BTF id")),
        }
    }

    fn finish(mut self) -> Result<Vec<Insn>, Unsupported> {
        if self.slots > MAX_SLOTS {
            return Err(Unsupported::at(
                self.start,
                What::TooLong { slots: self.slots },
            ));
        }
        for (at, after, target) in self.fixes {
            let to = i64::try_from(self.at[target - self.start]).unwrap_or(0);
            let distance = i16::try_from(to - i64::try_from(after).unwrap_or(0)).unwrap_or(0);
            if let Insn::Ja { off } | Insn::Jmp { off, .. } = &mut self.code[at] {
                *off = distance;
            }
        }
        Ok(self.code)
    }
}
