//! Joins stores of constants to neighbouring bytes: two of 4 bytes become one of 8 where the number fits.

use super::{fold::extend, places::Places};
use crate::{
    asm::Size,
    ir::inst::{Func, Inst, Op, Opnd, VReg},
};

/// What a store's offset counts from: a slot, or a pointer that is aligned to 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Slot(u32),
    Pointer(VReg),
}

/// A store of a constant that nothing has looked at yet.
#[derive(Clone, Copy)]
struct Recent {
    at: usize,
    origin: Origin,
    off: i32,
    size: Size,
    value: i64,
}

/// Runs the pass.
pub(super) fn run(func: &mut Func) -> bool {
    let places = Places::new(func);
    let pointers = aligned_pointers(func);
    let aligned: Vec<u32> = func.slots.iter().map(|s| s.align).collect();
    let mut changed = false;
    for block in &mut func.blocks {
        let mut recent: Vec<Recent> = Vec::new();
        let mut gone = vec![false; block.insts.len()];
        for at in 0..block.insts.len() {
            let Op::Store {
                size,
                base,
                off,
                src,
            } = block.insts[at].op
            else {
                if matches!(
                    block.insts[at].op,
                    Op::Load { .. } | Op::Atomic { .. } | Op::Call { .. }
                ) {
                    recent.clear();
                }
                continue;
            };
            let (origin, place) = match places.slot(base, off) {
                Some((slot, off)) => (Origin::Slot(slot.0), off),
                None => (Origin::Pointer(base), i32::from(off)),
            };
            // What may be the same memory cannot be moved past this store.
            recent.retain(|r| match (r.origin, origin) {
                (Origin::Slot(a), Origin::Slot(b)) if a != b => true,
                (a, b) if a == b => {
                    r.off + r.size.bytes() as i32 <= place || place + size.bytes() as i32 <= r.off
                }
                _ => false,
            });
            let align = match origin {
                Origin::Slot(slot) => aligned[slot as usize],
                Origin::Pointer(reg) if pointers[reg.0 as usize] => 8,
                Origin::Pointer(_) => 1,
            };
            let Opnd::Imm(value) = src else { continue };
            let mut now = Recent {
                at,
                origin,
                off: place,
                size,
                value,
            };
            while let Some((index, joined)) = partner(&recent, now, align) {
                let old = recent.swap_remove(index);
                gone[old.at] = true;
                changed = true;
                let shift = i64::from(joined.off) - i64::from(now.off);
                let inst: &mut Inst = &mut block.insts[at];
                if let Op::Store { size, off, src, .. } = &mut inst.op {
                    *size = joined.size;
                    *off = (i64::from(*off) + shift) as i16;
                    *src = Opnd::Imm(joined.value);
                }
                now = joined;
            }
            recent.push(now);
        }
        let mut at = 0;
        block.insts.retain(|_| {
            at += 1;
            !gone[at - 1]
        });
    }
    changed
}

/// Registers written once with a pointer that is aligned to 8 bytes.
fn aligned_pointers(func: &Func) -> Vec<bool> {
    let defs = func.def_counts();
    let mut found = vec![false; defs.len()];
    for inst in func.blocks.iter().flat_map(|b| &b.insts) {
        match inst.op {
            Op::MapValue { dst, off, .. } if off % 8 == 0 => {
                found[dst.0 as usize] = defs[dst.0 as usize] == 1;
            }
            Op::Call { dst: Some(dst), .. } => {
                found[dst.0 as usize] = defs[dst.0 as usize] == 1;
            }
            _ => {}
        }
    }
    found
}

/// A recent store that `now` can be joined with, and what they make together.
fn partner(recent: &[Recent], now: Recent, align: u32) -> Option<(usize, Recent)> {
    let double = Size::from_bytes(now.size.bytes() * 2)?;
    if align < double.bytes() {
        return None;
    }
    let len = now.size.bytes() as i32;
    recent.iter().enumerate().find_map(|(index, old)| {
        if old.origin != now.origin || old.size != now.size || (old.off - now.off).abs() != len {
            return None;
        }
        let (low, high) = if old.off < now.off {
            (old, &now)
        } else {
            (&now, old)
        };
        if low.off.rem_euclid(len * 2) != 0 {
            return None;
        }
        let value = extend(low.value, now.size, false) | high.value << (8 * len);
        let value = extend(value, double, true);
        if i32::try_from(value).is_err() {
            return None;
        }
        let joined = Recent {
            at: now.at,
            off: low.off,
            size: double,
            value,
            origin: now.origin,
        };
        Some((index, joined))
    })
}
