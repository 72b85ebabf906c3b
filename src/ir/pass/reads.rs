//! Joins reads of neighbouring user memory: thirty-two `bpf_probe_read_user` of one byte become one of thirty-two bytes.
//!
//! A joined read fails as a whole: where a field lies behind the end of mapped memory, its neighbours read as 0 too. The
//! fields are never more than [`GAP`] bytes apart, so they are parts of one object of the traced program.

use crate::{
    asm::{AluOp, Width},
    ir::inst::{Func, Inst, Op, Opnd, Slot, SlotId, VReg},
};
use std::collections::BTreeMap;

/// `bpf_probe_read_user` (`include/uapi/linux/bpf.h`).
const PROBE_READ_USER: u32 = 112;
/// Most bytes of one joined read.
const SPAN: i64 = 64;
/// Most bytes between two fields that nobody asked for.
const GAP: i64 = 16;

/// One read: its place in the block, address relative to its root, size, and the slot's address register.
#[derive(Clone, Copy)]
struct Read {
    at: usize,
    off: i64,
    size: i64,
    dst: VReg,
}

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    let single: Vec<bool> = func.def_counts().iter().map(|&n| n == 1).collect();
    let whole_slots = read_only_slots(func);
    let mut changed = false;
    let mut moved: BTreeMap<VReg, (VReg, i64)> = BTreeMap::new();
    for block in 0..func.blocks.len() {
        // What stands where an instruction was: the joined read, or nothing.
        let mut instead: BTreeMap<usize, Vec<Op>> = BTreeMap::new();
        for (root, reads) in reads_of(func, block, &single, &whole_slots) {
            for group in groups(reads) {
                let Some(pad) = padding(&group) else { continue };
                let ops = join(func, root, &group, pad, &mut moved);
                let at = group.iter().map(|r| r.at).min().unwrap_or(0);
                group
                    .iter()
                    .for_each(|r| drop(instead.insert(r.at, Vec::new())));
                instead.insert(at, ops.into());
                changed = true;
            }
        }
        if !instead.is_empty() {
            let old = std::mem::take(&mut func.blocks[block].insts);
            let new = old
                .into_iter()
                .enumerate()
                .flat_map(|(i, inst)| match instead.remove(&i) {
                    None => vec![inst],
                    Some(ops) => ops
                        .into_iter()
                        .map(|op| Inst {
                            op,
                            span: inst.span,
                        })
                        .collect(),
                });
            func.blocks[block].insts = new.collect();
        }
    }
    if changed {
        for block in &mut func.blocks {
            for inst in &mut block.insts {
                if let Op::Load { base, off, .. } = &mut inst.op
                    && let Some((to, by)) = moved.get(base)
                {
                    *base = *to;
                    *off += i16::try_from(*by).unwrap_or(0);
                }
            }
        }
    }
    changed
}

/// Registers that hold the address of a slot which only one read fills and only loads read.
fn read_only_slots(func: &Func) -> Vec<bool> {
    let mut fit = vec![true; func.vregs as usize];
    let mut owner: BTreeMap<SlotId, VReg> = BTreeMap::new();
    let mut calls = vec![0u32; func.vregs as usize];
    let mut is_slot = vec![false; func.vregs as usize];
    for block in &func.blocks {
        for inst in &block.insts {
            match &inst.op {
                Op::Slot { dst, slot, off } => {
                    is_slot[dst.0 as usize] = true;
                    if *off != 0 {
                        fit[dst.0 as usize] = false;
                    }
                    if let Some(other) = owner.insert(*slot, *dst) {
                        fit[other.0 as usize] = false;
                        fit[dst.0 as usize] = false;
                    }
                }
                Op::Load { .. } => {}
                Op::Call {
                    dst: None,
                    helper: PROBE_READ_USER,
                    args,
                } => {
                    if let [Opnd::Reg(d), rest @ ..] = args.as_slice() {
                        calls[d.0 as usize] += 1;
                        for arg in rest {
                            if let Opnd::Reg(r) = arg {
                                fit[r.0 as usize] = false;
                            }
                        }
                    }
                }
                op => op.each_use(|r| fit[r.0 as usize] = false),
            }
        }
        block.term.each_use(|r| fit[r.0 as usize] = false);
    }
    (0..fit.len())
        .map(|i| fit[i] && is_slot[i] && calls[i] == 1)
        .collect()
}

/// The reads of one block by the register that their addresses are made of.
fn reads_of(
    func: &Func,
    block: usize,
    single: &[bool],
    slots: &[bool],
) -> BTreeMap<VReg, Vec<Read>> {
    let mut sums: BTreeMap<VReg, (VReg, i64)> = BTreeMap::new();
    let mut found: BTreeMap<VReg, Vec<Read>> = BTreeMap::new();
    for (at, inst) in func.blocks[block].insts.iter().enumerate() {
        match &inst.op {
            Op::Alu {
                op: AluOp::Add,
                width: Width::W64,
                dst,
                a: Opnd::Reg(a),
                b: Opnd::Imm(b),
            } if single[dst.0 as usize] && single[a.0 as usize] => {
                let (root, off) = sums.get(a).copied().unwrap_or((*a, 0));
                sums.insert(*dst, (root, off.wrapping_add(*b)));
            }
            Op::Alu {
                op: AluOp::Sub,
                width: Width::W64,
                dst,
                a: Opnd::Reg(a),
                b: Opnd::Imm(b),
            } if single[dst.0 as usize] && single[a.0 as usize] => {
                let (root, off) = sums.get(a).copied().unwrap_or((*a, 0));
                sums.insert(*dst, (root, off.wrapping_sub(*b)));
            }
            Op::Call {
                dst: None,
                helper: PROBE_READ_USER,
                args,
            } => {
                if let [Opnd::Reg(dst), Opnd::Imm(size @ 1..=8), Opnd::Reg(from)] = args.as_slice()
                    && single[dst.0 as usize]
                    && single[from.0 as usize]
                    && slots[dst.0 as usize]
                {
                    let (root, off) = sums.get(from).copied().unwrap_or((*from, 0));
                    found.entry(root).or_default().push(Read {
                        at,
                        off,
                        size: *size,
                        dst: *dst,
                    });
                }
            }
            _ => {}
        }
    }
    found
}

/// Neighbours together, two or more.
fn groups(mut reads: Vec<Read>) -> Vec<Vec<Read>> {
    reads.sort_by_key(|r| (r.off, r.at));
    let mut groups: Vec<Vec<Read>> = Vec::new();
    for read in reads {
        if let Some(group) = groups.last_mut()
            && let Some(first) = group.first()
            && let Some(end) = group.iter().map(|r| r.off + r.size).max()
            && read.off + read.size - first.off <= SPAN
            && read.off - end <= GAP
        {
            group.push(read);
        } else {
            groups.push(vec![read]);
        }
    }
    groups.retain(|g| g.len() > 1);
    groups
}

/// Bytes before the first field that align every field: the verifier wants stack accesses aligned.
fn padding(group: &[Read]) -> Option<i64> {
    let first = group.first()?.off;
    (0..8).find(|pad| group.iter().all(|r| (r.off - first + pad) % r.size == 0))
}

/// The one read that stands for a group; the loads of its fields are entered in `moved`.
fn join(
    func: &mut Func,
    root: VReg,
    group: &[Read],
    pad: i64,
    moved: &mut BTreeMap<VReg, (VReg, i64)>,
) -> [Op; 4] {
    let first = group.iter().map(|r| r.off).min().unwrap_or(0);
    let end = group.iter().map(|r| r.off + r.size).max().unwrap_or(0);
    let mut fresh = || {
        func.vregs += 1;
        VReg(func.vregs - 1)
    };
    let (base, into, from) = (fresh(), fresh(), fresh());
    let slot = SlotId(u32::try_from(func.slots.len()).unwrap_or(u32::MAX));
    let size = u32::try_from(end - first + pad)
        .unwrap_or(0)
        .next_multiple_of(8);
    func.slots.push(Slot { size, align: 8 });
    for read in group {
        moved.insert(read.dst, (base, read.off - first + pad));
    }
    [
        Op::Slot {
            dst: base,
            slot,
            off: 0,
        },
        Op::Slot {
            dst: into,
            slot,
            off: i32::try_from(pad).unwrap_or(0),
        },
        Op::Alu {
            op: AluOp::Add,
            width: Width::W64,
            dst: from,
            a: root.into(),
            b: Opnd::Imm(first),
        },
        Op::Call {
            dst: None,
            helper: PROBE_READ_USER,
            args: vec![into.into(), Opnd::Imm(end - first), from.into()],
        },
    ]
}
