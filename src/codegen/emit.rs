//! From allocated machine form to instructions with resolved jumps.

use super::{
    CodegenError,
    mach::{Base, Cheap, MFunc, MSrc, MTerm, Mi, R},
    stack::Frame,
};
use crate::{
    asm::{AluOp, Callee, Cond, Imm64, Insn, Reg, Size, Src, Width},
    ir::FuncId,
    span::Span,
};

/// An instruction whose target is not resolved yet.
#[derive(Clone, Copy, Debug)]
enum Item {
    /// Ready.
    Insn(Insn),
    /// Jump to a block; a `None` condition always jumps.
    Jump(Option<(Cond, Width, Reg, Src)>, usize),
    /// `may_goto` to a block.
    MayGoto(usize),
    /// Address of a function.
    Func(Reg, FuncId),
}

/// A function's instructions with labels.
#[derive(Default)]
pub(super) struct Listing {
    items: Vec<(Item, Option<Span>)>,
    /// First item of each block.
    starts: Vec<usize>,
    name: String,
}

impl Listing {
    /// The functions whose addresses it takes.
    pub(super) fn named(&self) -> impl Iterator<Item = FuncId> {
        self.items.iter().filter_map(|(item, _)| match item {
            Item::Func(_, func) => Some(*func),
            _ => None,
        })
    }
}

/// Writes out `func`, with its blocks in their final order.
pub(super) fn emit(
    name: &str,
    func: &MFunc,
    color: &dyn Fn(R) -> Option<Reg>,
    frame: &Frame,
) -> Result<Listing, CodegenError> {
    let mut emitter = Emitter {
        color,
        frame,
        name,
        span: None,
        items: Vec::new(),
    };
    let mut starts = Vec::with_capacity(func.blocks.len());
    for (index, block) in func.blocks.iter().enumerate() {
        starts.push(emitter.items.len());
        for inst in &block.insts {
            emitter.span = inst.span;
            emitter.op(&inst.op)?;
        }
        emitter.span = block.span;
        emitter.term(&block.term, index + 1)?;
    }
    Ok(Listing {
        items: emitter.items,
        starts,
        name: name.to_owned(),
    })
}

struct Emitter<'a> {
    color: &'a dyn Fn(R) -> Option<Reg>,
    frame: &'a Frame,
    name: &'a str,
    span: Option<Span>,
    items: Vec<(Item, Option<Span>)>,
}

impl Emitter<'_> {
    fn push(&mut self, insn: Insn) {
        self.items.push((Item::Insn(insn), self.span));
    }

    fn reg(&self, reg: R) -> Result<Reg, CodegenError> {
        (self.color)(reg).ok_or_else(|| CodegenError::Invalid {
            func: self.name.to_owned(),
            what: format!("register {reg} has no machine register"),
        })
    }

    fn src(&self, src: MSrc) -> Result<Src, CodegenError> {
        Ok(match src {
            MSrc::Reg(reg) => Src::Reg(self.reg(reg)?),
            MSrc::Imm(imm) => Src::Imm(imm),
        })
    }

    fn address(&self, base: Base, off: i32) -> Result<(Reg, i16), CodegenError> {
        let (reg, off) = match base {
            Base::Reg(reg) => (self.reg(reg)?, off),
            Base::Slot(slot) => (Reg::R10, off - self.frame.depth[slot.0 as usize] as i32),
        };
        match i16::try_from(off) {
            Ok(off) => Ok((reg, off)),
            Err(_) => Err(CodegenError::Invalid {
                func: self.name.to_owned(),
                what: format!("memory offset {off}"),
            }),
        }
    }

    fn op(&mut self, op: &Mi) -> Result<(), CodegenError> {
        let insn = match *op {
            Mi::Copy { dst, src } => {
                let (dst, src) = (self.reg(dst)?, self.reg(src)?);
                if dst == src {
                    return Ok(());
                }
                mov(Width::W64, dst, Src::Reg(src))
            }
            Mi::Const { dst, what } => {
                let dst = self.reg(dst)?;
                self.constant(dst, what);
                return Ok(());
            }
            Mi::Alu {
                op,
                width,
                dst,
                src,
            } => Insn::Alu {
                op,
                width,
                dst: self.reg(dst)?,
                src: self.src(src)?,
            },
            Mi::Neg { dst } => Insn::Neg {
                width: Width::W64,
                dst: self.reg(dst)?,
            },
            Mi::Movsx { from, dst, src } => Insn::Movsx {
                width: Width::W64,
                from,
                dst: self.reg(dst)?,
                src: self.reg(src)?,
            },
            Mi::Endian { op, bits, dst } => Insn::Endian {
                op,
                bits,
                dst: self.reg(dst)?,
            },
            Mi::Load {
                size,
                signed,
                dst,
                base,
                off,
            } => {
                let (src, off) = self.address(base, off)?;
                Insn::Load {
                    size,
                    signed: signed && size != Size::DW,
                    dst: self.reg(dst)?,
                    src,
                    off,
                }
            }
            Mi::Store {
                size,
                base,
                off,
                src,
            } => {
                let (dst, off) = self.address(base, off)?;
                Insn::Store {
                    size,
                    dst,
                    off,
                    src: self.src(src)?,
                }
            }
            Mi::Atomic {
                op,
                size,
                base,
                off,
                src,
            } => {
                let (dst, off) = self.address(base, off)?;
                Insn::Atomic {
                    op,
                    size,
                    dst,
                    off,
                    src: self.reg(src)?,
                }
            }
            Mi::Call { helper, .. } => Insn::Call {
                callee: Callee::Helper(helper),
            },
        };
        self.push(insn);
        Ok(())
    }

    fn constant(&mut self, dst: Reg, what: Cheap) {
        let imm = match what {
            Cheap::Value(value) => {
                if let Ok(imm) = i32::try_from(value) {
                    self.push(mov(Width::W64, dst, Src::Imm(imm)));
                    return;
                }
                if let Ok(imm) = u32::try_from(value) {
                    self.push(mov(Width::W32, dst, Src::Imm(imm as i32)));
                    return;
                }
                Imm64::Value(value as u64)
            }
            Cheap::Map(map) => Imm64::MapIdx(map as i32),
            Cheap::MapValue { map, off } => Imm64::MapIdxValue {
                idx: map as i32,
                off,
            },
            Cheap::Func(func) => {
                self.items.push((Item::Func(dst, func), self.span));
                return;
            }
            Cheap::Slot(slot, off) => {
                self.push(mov(Width::W64, dst, Src::Reg(Reg::R10)));
                let off = off - self.frame.depth[slot.0 as usize] as i32;
                self.push(Insn::Alu {
                    op: AluOp::Add,
                    width: Width::W64,
                    dst,
                    src: Src::Imm(off),
                });
                return;
            }
        };
        self.push(Insn::LoadImm64 { dst, imm });
    }

    fn jump(&mut self, when: Option<(Cond, Width, Reg, Src)>, to: usize) {
        self.items.push((Item::Jump(when, to), self.span));
    }

    fn term(&mut self, term: &MTerm, next: usize) -> Result<(), CodegenError> {
        match *term {
            MTerm::Goto(to) => {
                if to != next {
                    self.jump(None, to);
                }
            }
            MTerm::Exit => self.push(Insn::Exit),
            MTerm::MayGoto { go, stop } => {
                self.items.push((Item::MayGoto(stop), self.span));
                if go != next {
                    self.jump(None, go);
                }
            }
            MTerm::If {
                cond,
                width,
                a,
                b,
                then,
                els,
            } => {
                let (a, b) = (self.reg(a)?, self.src(b)?);
                match inverse(cond) {
                    Some(cond) if then == next => self.jump(Some((cond, width, a, b)), els),
                    _ => {
                        self.jump(Some((cond, width, a, b)), then);
                        if els != next {
                            self.jump(None, els);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn mov(width: Width, dst: Reg, src: Src) -> Insn {
    Insn::Alu {
        op: AluOp::Mov,
        width,
        dst,
        src,
    }
}

/// The condition that holds when `cond` does not.
fn inverse(cond: Cond) -> Option<Cond> {
    Some(match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        Cond::Gt => Cond::Le,
        Cond::Ge => Cond::Lt,
        Cond::Lt => Cond::Ge,
        Cond::Le => Cond::Gt,
        Cond::Sgt => Cond::Sle,
        Cond::Sge => Cond::Slt,
        Cond::Slt => Cond::Sge,
        Cond::Sle => Cond::Sgt,
        Cond::Set => return None,
    })
}

/// Instructions with the script text each comes from.
pub(super) type Resolved = (Vec<Insn>, Vec<Option<Span>>);

/// Joins the functions' listings and resolves jumps and references. `gotol`: 32-bit jumps may be used.
pub(super) fn resolve(listings: &[Listing], gotol: bool) -> Result<Resolved, CodegenError> {
    let mut far: Vec<Vec<bool>> = listings
        .iter()
        .map(|l| vec![false; l.items.len()])
        .collect();
    loop {
        let places = places(listings, &far);
        let mut changed = false;
        for (listing, (far, place)) in listings.iter().zip(far.iter_mut().zip(&places)) {
            for (at, (item, _)) in listing.items.iter().enumerate() {
                let (Item::Jump(_, to) | Item::MayGoto(to)) = *item else {
                    continue;
                };
                let distance = place[listing.starts[to]] - place[at] - 1;
                if i16::try_from(distance).is_err() && !far[at] {
                    if !gotol {
                        return Err(CodegenError::TooFar {
                            func: listing.name.clone(),
                            slots: distance,
                        });
                    }
                    far[at] = true;
                    changed = true;
                }
            }
        }
        if !changed {
            return Ok(write(listings, &far, &places));
        }
    }
}

/// The slot each item begins at; one more for each function's end.
fn places(listings: &[Listing], far: &[Vec<bool>]) -> Vec<Vec<i64>> {
    let mut slot = 0i64;
    listings
        .iter()
        .zip(far)
        .map(|(listing, far)| {
            let mut place = Vec::with_capacity(listing.items.len() + 1);
            for ((item, _), &far) in listing.items.iter().zip(far) {
                place.push(slot);
                slot += match item {
                    Item::Insn(insn) => insn.slots() as i64,
                    Item::Func(..) => 2,
                    Item::Jump(None, _) => 1,
                    // Over a jump that is over a long one.
                    Item::Jump(Some(_), _) | Item::MayGoto(_) => {
                        if far {
                            3
                        } else {
                            1
                        }
                    }
                };
            }
            place.push(slot);
            place
        })
        .collect()
}

fn write(listings: &[Listing], far: &[Vec<bool>], places: &[Vec<i64>]) -> Resolved {
    let mut insns = Vec::new();
    let mut origins = Vec::new();
    for (index, listing) in listings.iter().enumerate() {
        let place = &places[index];
        for (at, (item, span)) in listing.items.iter().enumerate() {
            let before = insns.len();
            let distance = |to: usize, own: i64| place[listing.starts[to]] - own - 1;
            match *item {
                Item::Insn(insn) => insns.push(insn),
                Item::Func(dst, func) => {
                    let target = places.get(func.0 as usize).map_or(0, |p| p[0]);
                    insns.push(Insn::LoadImm64 {
                        dst,
                        imm: Imm64::Func((target - place[at] - 1) as i32),
                    });
                }
                Item::Jump(when, to) => {
                    let long = far[index][at];
                    if let Some((cond, width, dst, src)) = when {
                        let off = if long {
                            1
                        } else {
                            distance(to, place[at]) as i16
                        };
                        insns.push(Insn::Jmp {
                            cond,
                            width,
                            dst,
                            src,
                            off,
                        });
                        if long {
                            insns.push(Insn::Ja { off: 1 });
                            insns.push(Insn::Jal {
                                imm: distance(to, place[at] + 2) as i32,
                            });
                        }
                    } else if long {
                        insns.push(Insn::Jal {
                            imm: distance(to, place[at]) as i32,
                        });
                    } else {
                        insns.push(Insn::Ja {
                            off: distance(to, place[at]) as i16,
                        });
                    }
                }
                Item::MayGoto(to) => {
                    if far[index][at] {
                        insns.push(Insn::MayGoto { off: 1 });
                        insns.push(Insn::Ja { off: 1 });
                        insns.push(Insn::Jal {
                            imm: distance(to, place[at] + 2) as i32,
                        });
                    } else {
                        insns.push(Insn::MayGoto {
                            off: distance(to, place[at]) as i16,
                        });
                    }
                }
            }
            origins.resize(origins.len() + insns.len() - before, *span);
        }
    }
    (insns, origins)
}
