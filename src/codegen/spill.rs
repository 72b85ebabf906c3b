//! Rewrites registers that found no machine register: made again where that is cheap, kept on the stack otherwise.

use std::collections::BTreeMap;

use super::{
    color::Coloring,
    mach::{Base, Cheap, FIRST, MFunc, MInst, MSrc, MTerm, Mi, R},
};
use crate::{asm::Size, ir::SlotId};

/// Where a spilled register lives.
#[derive(Clone, Copy, PartialEq)]
enum Home {
    /// Nowhere: it is this value.
    Remade(Cheap),
    /// In a stack slot.
    Slot(SlotId),
}

/// Takes the spilled registers of `coloring` out of `func`.
pub(super) fn spill(func: &mut MFunc, coloring: &Coloring) {
    let mut homes: BTreeMap<R, Option<Home>> = coloring
        .spilled
        .iter()
        .map(|&n| (FIRST + n, None))
        .collect();
    let rep = |reg: R| match reg.checked_sub(FIRST) {
        Some(node) => coloring
            .alias
            .get(node as usize)
            .map_or(reg, |alias| FIRST + alias),
        None => reg,
    };
    find_remade(func, &mut homes, &rep);
    for home in homes.values_mut() {
        if home.is_none() {
            func.slots.push((8, 8));
            *home = Some(Home::Slot(SlotId(func.slots.len() as u32 - 1)));
        }
    }
    let home = |reg: R| homes.get(&rep(reg)).copied().flatten();
    for at in 0..func.blocks.len() {
        let old = std::mem::take(&mut func.blocks[at].insts);
        let mut out = Vec::with_capacity(old.len() + 8);
        for inst in old {
            rewrite(inst, &home, &mut func.regs, &mut out);
        }
        let span = func.blocks[at].span;
        let mut term: MTerm = func.blocks[at].term;
        let regs = &mut func.regs;
        term.each_mut(&mut |reg| {
            if let Some(home) = home(*reg) {
                *reg = fetch(home, None, span, regs, &mut out);
            }
        });
        func.blocks[at].term = term;
        func.blocks[at].insts = out;
    }
}

/// Marks those whose every write is the same cheap value.
fn find_remade(func: &MFunc, homes: &mut BTreeMap<R, Option<Home>>, rep: &dyn Fn(R) -> R) {
    let mut values: BTreeMap<R, Option<Cheap>> = BTreeMap::new();
    for inst in func.blocks.iter().flat_map(|b| &b.insts) {
        inst.op.each(|reg, role| {
            let node = rep(reg);
            if !role.writes() || !homes.contains_key(&node) {
                return;
            }
            let value = match inst.op {
                Mi::Const { what, .. } => Some(what),
                Mi::Copy { src, .. } if rep(src) == node => return,
                _ => None,
            };
            values
                .entry(node)
                .and_modify(|old| {
                    if *old != value {
                        *old = None;
                    }
                })
                .or_insert(value);
        });
    }
    for (node, value) in values {
        if let Some(value) = value {
            homes.insert(node, Some(Home::Remade(value)));
        }
    }
}

/// Puts what is at `home` into `dst` or a fresh register, which is returned.
fn fetch(
    home: Home,
    dst: Option<R>,
    span: Option<crate::span::Span>,
    regs: &mut R,
    out: &mut Vec<MInst>,
) -> R {
    let dst = dst.unwrap_or_else(|| {
        *regs += 1;
        *regs - 1
    });
    let op = match home {
        Home::Remade(what) => Mi::Const { dst, what },
        Home::Slot(slot) => Mi::Load {
            size: Size::DW,
            signed: false,
            dst,
            base: Base::Slot(slot),
            off: 0,
        },
    };
    out.push(MInst { op, span });
    dst
}

fn keep(slot: SlotId, src: R) -> Mi {
    Mi::Store {
        size: Size::DW,
        base: Base::Slot(slot),
        off: 0,
        src: MSrc::Reg(src),
    }
}

fn rewrite(mut inst: MInst, home: &dyn Fn(R) -> Option<Home>, regs: &mut R, out: &mut Vec<MInst>) {
    let span = inst.span;
    match inst.op {
        Mi::Copy { dst, src } => match (home(dst), home(src)) {
            (None, None) => out.push(inst),
            (Some(to), Some(from)) if to == from => {}
            (None, Some(from)) => {
                fetch(from, Some(dst), span, regs, out);
            }
            (Some(Home::Slot(slot)), None) => out.push(MInst {
                op: keep(slot, src),
                span,
            }),
            (Some(Home::Slot(slot)), Some(from)) => {
                let temp = fetch(from, None, span, regs, out);
                out.push(MInst {
                    op: keep(slot, temp),
                    span,
                });
            }
            (Some(Home::Remade(_)), _) => {}
        },
        Mi::Const { dst, .. } if matches!(home(dst), Some(Home::Remade(_))) => {}
        _ => {
            let mut after = Vec::new();
            let mut known: Vec<(Home, R)> = Vec::new();
            inst.op.each_mut(&mut |reg, role| {
                let Some(at) = home(*reg) else { return };
                let temp = match known.iter().find(|(h, _)| *h == at) {
                    Some(&(_, temp)) => temp,
                    None if role.reads() => fetch(at, None, span, regs, out),
                    None => {
                        *regs += 1;
                        *regs - 1
                    }
                };
                known.push((at, temp));
                *reg = temp;
                if role.writes()
                    && let Home::Slot(slot) = at
                {
                    after.push(MInst {
                        op: keep(slot, temp),
                        span,
                    });
                }
            });
            out.push(inst);
            out.append(&mut after);
        }
    }
}
