//! Instruction selection: three-address code to two-address machine form.

use super::mach::{Base, Cheap, FIRST, MBlock, MFunc, MInst, MSrc, MTerm, Mi, R, fetches};
use crate::{
    asm::{AluOp, AtomicOp, Cond, Size, Width},
    ir::{Func, Op, Opnd, Term, VReg},
    span::Span,
};

/// Selects instructions for `func`, which is legal for the target. `v4`: sign-extending moves may be used.
pub(super) fn select(func: &Func, v4: bool) -> MFunc {
    let mut sel = Selector {
        inline: inline_values(func),
        uses: func.use_counts(),
        out: MFunc {
            blocks: Vec::with_capacity(func.blocks.len()),
            slots: func.slots.iter().map(|s| (s.size, s.align)).collect(),
            regs: FIRST + func.vregs,
        },
        code: Vec::new(),
        span: None,
        ctx: FIRST,
        v4,
    };
    sel.ctx = sel.out.fresh();
    for (index, block) in func.blocks.iter().enumerate() {
        if index == 0 {
            sel.prologue(func);
        }
        for inst in &block.insts {
            sel.span = inst.span;
            sel.op(&inst.op);
        }
        sel.span = block.term_span;
        let term = sel.term(&block.term);
        let insts = std::mem::take(&mut sel.code);
        sel.out.blocks.push(MBlock {
            insts,
            term,
            span: block.term_span,
        });
    }
    sel.out
}

/// For each virtual register its value, where it is written once and made anew at each use for less than keeping it.
fn inline_values(func: &Func) -> Vec<Option<Cheap>> {
    let mut values = vec![None; func.vregs as usize];
    let mut seen = vec![false; func.vregs as usize];
    for inst in func.blocks.iter().flat_map(|b| &b.insts) {
        let Some(dst) = inst.op.dst() else { continue };
        let at = dst.0 as usize;
        let value = match inst.op {
            Op::Mov {
                src: Opnd::Imm(imm),
                ..
            } => Some(Cheap::Value(imm)),
            Op::Slot { slot, off, .. } => Some(Cheap::Slot(slot, off)),
            Op::Map { map, .. } => Some(Cheap::Map(map)),
            Op::FuncAddr { func, .. } => Some(Cheap::Func(func)),
            _ => None,
        };
        values[at] = if seen[at] { None } else { value };
        seen[at] = true;
    }
    values
}

struct Selector {
    inline: Vec<Option<Cheap>>,
    uses: Vec<u32>,
    out: MFunc,
    code: Vec<MInst>,
    span: Option<Span>,
    ctx: R,
    v4: bool,
}

impl Selector {
    fn emit(&mut self, op: Mi) {
        self.code.push(MInst {
            op,
            span: self.span,
        });
    }

    /// Copies the registers a function starts with to virtual ones; what is not read is dropped later.
    fn prologue(&mut self, func: &Func) {
        self.span = None;
        self.emit(Mi::Copy {
            dst: self.ctx,
            src: 1,
        });
        for inst in &func.blocks[0].insts {
            if let Op::Arg { dst, index } = inst.op {
                self.emit(Mi::Copy {
                    dst: FIRST + dst.0,
                    src: R::from(index) + 1,
                });
            }
        }
    }

    /// A register holding `v`.
    fn reg(&mut self, v: VReg) -> R {
        match self.inline[v.0 as usize] {
            Some(what) => {
                let dst = self.out.fresh();
                self.emit(Mi::Const { dst, what });
                dst
            }
            None => FIRST + v.0,
        }
    }

    fn value(&self, opnd: Opnd) -> Option<i64> {
        match opnd {
            Opnd::Imm(imm) => Some(imm),
            Opnd::Reg(v) => match self.inline[v.0 as usize] {
                Some(Cheap::Value(imm)) => Some(imm),
                _ => None,
            },
        }
    }

    fn any_reg(&mut self, opnd: Opnd) -> R {
        match opnd {
            Opnd::Reg(v) => self.reg(v),
            Opnd::Imm(imm) => {
                let dst = self.out.fresh();
                self.emit(Mi::Const {
                    dst,
                    what: Cheap::Value(imm),
                });
                dst
            }
        }
    }

    /// `opnd` as second operand: an immediate where its low 32 bits say it all.
    fn src(&mut self, opnd: Opnd, narrow: bool) -> MSrc {
        match self.value(opnd) {
            Some(imm) if narrow => MSrc::Imm(imm as i32),
            Some(imm) if i32::try_from(imm).is_ok() => MSrc::Imm(imm as i32),
            _ => MSrc::Reg(self.any_reg(opnd)),
        }
    }

    /// `dst = opnd`.
    fn put(&mut self, dst: R, opnd: Opnd) {
        let op = match opnd {
            Opnd::Imm(imm) => Mi::Const {
                dst,
                what: Cheap::Value(imm),
            },
            Opnd::Reg(v) => match self.inline[v.0 as usize] {
                Some(what) => Mi::Const { dst, what },
                None => Mi::Copy {
                    dst,
                    src: FIRST + v.0,
                },
            },
        };
        self.emit(op);
    }

    fn base(&mut self, v: VReg, off: i16) -> (Base, i32) {
        match self.inline[v.0 as usize] {
            Some(Cheap::Slot(slot, at)) => (Base::Slot(slot), at + i32::from(off)),
            _ => (Base::Reg(self.reg(v)), i32::from(off)),
        }
    }

    fn op(&mut self, op: &Op) {
        if let Some(dst) = op.dst()
            && self.inline[dst.0 as usize].is_some()
        {
            return;
        }
        match *op {
            Op::Mov { dst, src } => self.put(FIRST + dst.0, src),
            Op::Alu {
                op,
                width,
                dst,
                a,
                b,
            } => self.alu(op, width, dst, a, b),
            Op::Ext {
                dst,
                src,
                from,
                signed,
            } => self.ext(FIRST + dst.0, src, from, signed),
            Op::Neg { dst, src } => {
                self.put(FIRST + dst.0, src);
                self.emit(Mi::Neg { dst: FIRST + dst.0 });
            }
            Op::Endian { op, bits, dst, src } => {
                let dst = FIRST + dst.0;
                self.put(dst, src);
                self.emit(Mi::Endian { op, bits, dst });
            }
            Op::Load {
                dst,
                size,
                signed,
                base,
                off,
            } => {
                let (base, off) = self.base(base, off);
                self.emit(Mi::Load {
                    size,
                    signed,
                    dst: FIRST + dst.0,
                    base,
                    off,
                });
            }
            Op::Store {
                size,
                base,
                off,
                src,
            } => {
                let (base, off) = self.base(base, off);
                let src = self.src(src, size != Size::DW);
                self.emit(Mi::Store {
                    size,
                    base,
                    off,
                    src,
                });
            }
            Op::Atomic {
                op,
                size,
                base,
                off,
                src,
                dst,
                expect,
            } => {
                let (base, off) = self.base(base, off);
                self.atomic(op, size, base, off, src, dst, expect);
            }
            Op::Ctx { dst } => {
                let src = self.ctx;
                self.emit(Mi::Copy {
                    dst: FIRST + dst.0,
                    src,
                });
            }
            Op::Arg { .. } => {}
            Op::MapValue { dst, map, off } => self.emit(Mi::Const {
                dst: FIRST + dst.0,
                what: Cheap::MapValue { map, off },
            }),
            // Written more than once, or `inline` would have it.
            Op::Slot { dst, slot, off } => self.emit(Mi::Const {
                dst: FIRST + dst.0,
                what: Cheap::Slot(slot, off),
            }),
            Op::Map { dst, map } => self.emit(Mi::Const {
                dst: FIRST + dst.0,
                what: Cheap::Map(map),
            }),
            Op::FuncAddr { dst, func } => self.emit(Mi::Const {
                dst: FIRST + dst.0,
                what: Cheap::Func(func),
            }),
            Op::Call {
                dst,
                helper,
                ref args,
            } => {
                self.args(args);
                self.emit(Mi::Call {
                    helper,
                    args: args.len() as u8,
                });
                if let Some(dst) = dst {
                    self.emit(Mi::Copy {
                        dst: FIRST + dst.0,
                        src: 0,
                    });
                }
            }
        }
    }

    /// Arguments to r1 to r5: values in registers first, so that theirs are free early, then those made on the spot.
    fn args(&mut self, args: &[Opnd]) {
        for pass in 0..2 {
            for (index, &arg) in args.iter().enumerate() {
                let kept = matches!(arg, Opnd::Reg(v) if self.inline[v.0 as usize].is_none());
                if kept == (pass == 0) {
                    self.put(index as R + 1, arg);
                }
            }
        }
    }

    fn alu(&mut self, op: AluOp, width: Width, dst: VReg, mut a: Opnd, mut b: Opnd) {
        let dst = FIRST + dst.0;
        let commutes = matches!(
            op,
            AluOp::Add | AluOp::Mul | AluOp::And | AluOp::Or | AluOp::Xor
        );
        if commutes && self.better_right(dst, a, b) {
            std::mem::swap(&mut a, &mut b);
        }
        let narrow = width == Width::W32;
        let mut src = match (self.value(b), op) {
            (Some(imm), AluOp::Lsh | AluOp::Rsh | AluOp::Arsh) => {
                MSrc::Imm(imm as i32 & if narrow { 31 } else { 63 })
            }
            _ => self.src(b, narrow),
        };
        // The kernel refuses division by an immediate zero.
        if matches!(op, AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod) && src == MSrc::Imm(0)
        {
            src = MSrc::Reg(self.any_reg(Opnd::Imm(0)));
        }
        if src == MSrc::Reg(dst) && a != Opnd::Reg(VReg(dst - FIRST)) {
            let temp = self.out.fresh();
            self.emit(Mi::Copy {
                dst: temp,
                src: dst,
            });
            src = MSrc::Reg(temp);
        }
        self.put(dst, a);
        self.emit(Mi::Alu {
            op,
            width,
            dst,
            src,
        });
    }

    /// Whether `b op a` takes fewer instructions than `a op b`.
    fn better_right(&self, dst: R, a: Opnd, b: Opnd) -> bool {
        if self.value(b).is_some() {
            return false;
        }
        if self.value(a).is_some() {
            return true;
        }
        match (a, b) {
            (Opnd::Reg(a), Opnd::Reg(b)) => {
                let (x, y) = (FIRST + a.0, FIRST + b.0);
                if x == dst || y == dst {
                    y == dst && x != dst
                } else {
                    self.uses[b.0 as usize] == 1 && self.uses[a.0 as usize] > 1
                }
            }
            _ => false,
        }
    }

    fn ext(&mut self, dst: R, src: Opnd, from: Size, signed: bool) {
        let shift = MSrc::Imm(64 - 8 * from.bytes() as i32);
        let wide = |op, src| Mi::Alu {
            op,
            width: Width::W64,
            dst,
            src,
        };
        match (signed, from) {
            (false, Size::W) => {
                let src = MSrc::Reg(self.any_reg(src));
                self.emit(Mi::Alu {
                    op: AluOp::Mov,
                    width: Width::W32,
                    dst,
                    src,
                });
            }
            (false, _) => {
                self.put(dst, src);
                let mask = if from == Size::B { 0xff } else { 0xffff };
                self.emit(wide(AluOp::And, MSrc::Imm(mask)));
            }
            (true, _) if self.v4 => {
                let src = self.any_reg(src);
                self.emit(Mi::Movsx { from, dst, src });
            }
            (true, _) => {
                self.put(dst, src);
                self.emit(wide(AluOp::Lsh, shift));
                self.emit(wide(AluOp::Arsh, shift));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one operation")]
    fn atomic(
        &mut self,
        op: AtomicOp,
        size: Size,
        base: Base,
        off: i32,
        src: VReg,
        dst: Option<VReg>,
        expect: Option<Opnd>,
    ) {
        if op == AtomicOp::Cmpxchg {
            let src = self.reg(src);
            self.put(0, expect.unwrap_or(Opnd::Imm(0)));
            self.emit(Mi::Atomic {
                op,
                size,
                base,
                off,
                src,
            });
            if let Some(dst) = dst {
                self.emit(Mi::Copy {
                    dst: FIRST + dst.0,
                    src: 0,
                });
            }
            return;
        }
        if dst.is_none() && !fetches(op) {
            let src = self.reg(src);
            self.emit(Mi::Atomic {
                op,
                size,
                base,
                off,
                src,
            });
            return;
        }
        // A fetching form writes its source: work on a copy.
        let temp = self.out.fresh();
        self.put(temp, Opnd::Reg(src));
        self.emit(Mi::Atomic {
            op,
            size,
            base,
            off,
            src: temp,
        });
        if let Some(dst) = dst {
            self.emit(Mi::Copy {
                dst: FIRST + dst.0,
                src: temp,
            });
        }
    }

    fn term(&mut self, term: &Term) -> MTerm {
        match *term {
            Term::Goto(to) => MTerm::Goto(to.0 as usize),
            Term::MayGoto { go, stop } => MTerm::MayGoto {
                go: go.0 as usize,
                stop: stop.0 as usize,
            },
            Term::Exit(value) => {
                self.put(0, value);
                MTerm::Exit
            }
            Term::If {
                mut cond,
                width,
                mut a,
                mut b,
                then,
                els,
            } => {
                if self.value(a).is_some() && self.value(b).is_none() {
                    std::mem::swap(&mut a, &mut b);
                    cond = mirrored(cond);
                }
                let a = self.any_reg(a);
                let b = self.src(b, width == Width::W32);
                MTerm::If {
                    cond,
                    width,
                    a,
                    b,
                    then: then.0 as usize,
                    els: els.0 as usize,
                }
            }
        }
    }
}

/// The condition that holds for `b, a` when `cond` holds for `a, b`.
fn mirrored(cond: Cond) -> Cond {
    match cond {
        Cond::Gt => Cond::Lt,
        Cond::Ge => Cond::Le,
        Cond::Lt => Cond::Gt,
        Cond::Le => Cond::Ge,
        Cond::Sgt => Cond::Slt,
        Cond::Sge => Cond::Sle,
        Cond::Slt => Cond::Sgt,
        Cond::Sle => Cond::Sge,
        Cond::Eq | Cond::Ne | Cond::Set => cond,
    }
}
