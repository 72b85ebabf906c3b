//! Packets: pointers into one, what a comparison with its end teaches, and the loads of old that copy from one.
//!
//! A packet ends where `data_end` says, which is known only when it runs. So a pointer carries how many bytes behind
//! it are known to be there, counted from where its fixed offset is 0: none, until a pointer with the same variable
//! part has been compared with the end (`find_good_pkt_pointers`).

use super::{
    branch::flip,
    error::{Region, What},
    state::State,
    value::{Kind, Value},
    walk::Walk,
};
use crate::asm::{Cond, Reg, Size, helper::ProgType};

/// No packet is longer (`MAX_PACKET_OFF`).
const LONGEST: i64 = 0xffff;
/// [`Value::range`] of a pointer that is known to be at the packet's end or behind it.
const AT_END: i32 = -1;
/// As [`AT_END`], and certainly behind it.
const BEHIND: i32 = -2;

/// `pointer cond end` in a program.
struct Compare {
    reg: Reg,
    pointer: Value,
    cond: Cond,
}

/// The comparison of a pointer with the end of what it points into, if it is one.
fn compare(cond: Cond, a: (Reg, &Value), b: (Reg, &Value)) -> Option<Compare> {
    let first = Value::pointer(Kind::Packet, 0);
    let ends = |pointer: &Value, end: &Value| match pointer.kind {
        Kind::Packet => end.kind == Kind::PacketEnd,
        // What is in front ends where the packet begins.
        Kind::PacketMeta => Value { range: 0, ..*end } == first,
        _ => false,
    };
    let (reg, pointer, cond) = if ends(a.1, b.1) {
        (a.0, *a.1, cond)
    } else if ends(b.1, a.1) {
        (b.0, *b.1, flip(cond))
    } else {
        return None;
    };
    Some(Compare { reg, pointer, cond })
}

/// Whether a comparison of two pointers always goes the same way, from what an earlier one taught
/// (`is_pkt_ptr_branch_taken`).
pub(super) fn decided(cond: Cond, a: &Value, b: &Value) -> Option<bool> {
    let (pointer, cond) = match (a.kind, b.kind) {
        (_, Kind::PacketEnd) => (a, cond),
        (Kind::PacketEnd, _) => (b, flip(cond)),
        _ => return None,
    };
    match cond {
        Cond::Gt | Cond::Le if pointer.range == BEHIND => Some(cond == Cond::Gt),
        Cond::Ge | Cond::Lt if pointer.range < 0 => Some(cond == Cond::Ge),
        _ => None,
    }
}

/// Lets both ways of a jump know what the comparison of a packet pointer with the end says.
pub(super) fn learn(
    cond: Cond,
    a: (Reg, &Value),
    b: (Reg, &Value),
    taken: &mut State,
    next: &mut State,
) {
    let Some(compare) = compare(cond, a, b) else {
        return;
    };
    let (inside, outside, open) = match compare.cond {
        Cond::Gt => (next, taken, false),
        Cond::Ge => (next, taken, true),
        Cond::Lt => (taken, next, true),
        Cond::Le => (taken, next, false),
        _ => return,
    };
    reaches(inside, &compare.pointer, open);
    if compare.pointer.kind == Kind::Packet {
        let at = usize::from(compare.reg.number());
        outside.top_mut().regs[at].range = if open { AT_END } else { BEHIND };
    }
}

/// The bytes before the pointer are inside, with `open` the one that it points to as well. Of the packet's first byte
/// itself the kernel learns nothing.
fn reaches(state: &mut State, pointer: &Value, open: bool) {
    let off = i64::from(pointer.off);
    let far = i64::try_from(pointer.var.umax).map_or(true, |max| max + off > LONGEST);
    if pointer.off <= 0 || far {
        return;
    }
    let first = pointer.off + i32::from(open);
    state.each(|value| {
        if value.kind == pointer.kind && value.id == pointer.id {
            value.range = value.range.max(first);
        }
    });
}

impl Walk<'_> {
    /// Whether bytes are known to be inside the packet (`check_packet_access`).
    pub(super) fn packet_access(
        &self,
        reg: Reg,
        base: &Value,
        off: i64,
        size: i64,
        zero_allowed: bool,
    ) -> Result<(), What> {
        let off = off + i64::from(base.off);
        if base.var.smin < 0 {
            return Err(What::Negative {
                region: Region::Packet,
            });
        }
        if base.range < 0 {
            return Err(What::PacketEnded { reg });
        }
        let empty = size == 0 && !zero_allowed;
        if off >= 0 && off + size <= i64::from(base.range) && !empty {
            return Ok(());
        }
        let most = base.var.umax.try_into().unwrap_or(i64::MAX);
        Err(
            if base.range == 0 && most.saturating_add(off + size) > LONGEST {
                What::PacketFar { reg }
            } else {
                What::Packet {
                    reg,
                    off,
                    size,
                    known: base.range,
                }
            },
        )
    }

    /// The packet may have moved: pointers into it from before are worth nothing (`clear_all_pkt_pointers`).
    pub(super) fn packet_moves(&mut self) {
        let lost = Value::lost(self.at);
        self.state.each(|value| {
            if value.is_packet() || value.is_packet_slice() {
                *value = lost;
            }
        });
    }

    pub(super) fn packet_load(&mut self, size: Size, index: Option<Reg>) -> Result<(), What> {
        if self.env.kind != ProgType::SocketFilter && self.env.kind != ProgType::SchedCls {
            return Err(What::PacketLoad);
        }
        if self.shape.starts.len() > 1 {
            return Err(What::NotModelled("packet loads beside local functions"));
        }
        if size == Size::DW {
            return Err(What::AccessSize);
        }
        self.nothing_held()?;
        let context = self.read(Reg::R6)?;
        if context.kind != Kind::Ctx || context.fixed_off() != Some(0) {
            return Err(What::no_pointer(Reg::R6, &context));
        }
        if let Some(index) = index {
            self.read(index)?;
        }
        self.clobber();
        *self.reg_mut(Reg::R0) = Value::UNKNOWN;
        Ok(())
    }
}
