//! The state of a program at one instruction: registers and stack of every frame, records held.

use super::{
    error::Thing,
    scalar::Scalar,
    value::{Kind, Value},
};

/// Bytes of a frame's stack.
pub(super) const STACK: i64 = 512;

/// What one byte of stack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Byte {
    /// Never written.
    Uninit,
    /// Something.
    Misc,
    /// Zero.
    Zero,
    /// Part of the slot's spilled register.
    Spill,
    /// Part of a dynamic pointer, which the slot's value describes.
    Dynptr,
    /// Part of a count.
    Count,
}

/// Eight bytes of stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// By address, the lowest first.
    pub(super) bytes: [Byte; 8],
    /// The register that was spilled here.
    pub(super) value: Value,
}

impl Slot {
    pub(super) const EMPTY: Slot = Slot {
        bytes: [Byte::Uninit; 8],
        value: Value::NOT_INIT,
    };

    pub(super) fn is_spilled(&self) -> bool {
        self.bytes[0] == Byte::Spill
    }

    /// Whether a dynamic pointer or a count is here.
    pub(super) fn is_object(&self) -> bool {
        matches!(self.bytes[0], Byte::Dynptr | Byte::Count)
    }

    /// How many bytes of a spilled register are here.
    pub(super) fn spilled(&self) -> usize {
        self.bytes.iter().take_while(|b| **b == Byte::Spill).count()
    }

    /// Forgets the spilled register but not that there are bytes.
    pub(super) fn scrub(&mut self) {
        for byte in &mut self.bytes {
            if matches!(byte, Byte::Spill | Byte::Dynptr | Byte::Count) {
                *byte = Byte::Misc;
            }
        }
        self.value = Value::NOT_INIT;
    }
}

/// How a frame came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The program itself.
    Main,
    /// A call of a local function.
    Call,
    /// A callback of a helper, which wants 0 or 1 returned.
    Callback,
}

/// One function's registers and stack.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) regs: [Value; 11],
    /// Slot 0 is the one below the frame pointer.
    pub(super) stack: Vec<Slot>,
    /// The instruction that called.
    pub(super) callsite: usize,
    pub(super) entry: Entry,
    pub(super) function: usize,
    /// How often the callback of the helper called here was entered.
    pub(super) turns: u64,
}

impl Frame {
    pub(super) fn new(number: u8, function: usize, callsite: usize, entry: Entry) -> Frame {
        let mut regs = [Value::NOT_INIT; 11];
        regs[10] = Value::pointer(Kind::Stack(number), 0);
        Frame {
            regs,
            stack: Vec::new(),
            callsite,
            entry,
            function,
            turns: 0,
        }
    }

    /// Makes room down to that (negative) offset.
    pub(super) fn grow(&mut self, off: i64) {
        let slots = usize::try_from((-off + 7) / 8).unwrap_or(0);
        if slots > self.stack.len() {
            self.stack.resize(slots, Slot::EMPTY);
        }
    }

    /// Slot and byte of an offset below the frame pointer.
    pub(super) fn place(off: i64) -> (usize, usize) {
        let below = usize::try_from(-off - 1).unwrap_or(0);
        (below / 8, 7 - below % 8)
    }

    pub(super) fn byte(&self, off: i64) -> Byte {
        let (slot, byte) = Frame::place(off);
        self.stack.get(slot).map_or(Byte::Uninit, |s| s.bytes[byte])
    }
}

/// Something that has to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) id: u32,
    /// The instruction that took it.
    pub(super) at: usize,
    pub(super) thing: Thing,
}

/// Everything known at one point of one path.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) frames: Vec<Frame>,
    /// What was taken and not given back.
    pub(super) held: Vec<Held>,
    /// Turns of `may_goto` on this path.
    pub(super) may_goto: u32,
    /// Turns of callbacks on this path.
    pub(super) unrolled: u32,
}

/// How strictly states are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exact {
    /// The old one covers the new one wherever it matters.
    No,
    /// Covers it in all numbers.
    Within,
    /// Is the same.
    Same,
}

/// What of a frame matters at a point: bits by register and by slot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Matters {
    pub(super) regs: u16,
    pub(super) slots: u64,
    pub(super) precise_regs: u16,
    pub(super) precise_slots: u64,
}

#[derive(Default)]
struct Ids(Vec<(u32, u32)>);

impl Ids {
    fn same(&mut self, old: u32, new: u32) -> bool {
        if (old == 0) != (new == 0) {
            return false;
        }
        if old == 0 {
            return true;
        }
        for (a, b) in &self.0 {
            if *a == old {
                return *b == new;
            }
            if *b == new {
                return false;
            }
        }
        self.0.push((old, new));
        true
    }

    /// A number of its own covers a linked one; a linked one covers only one linked alike.
    fn linked(&mut self, old: u32, new: u32) -> bool {
        old == 0 || self.same(old, new)
    }
}

impl State {
    pub(super) fn top(&self) -> &Frame {
        &self.frames[self.frames.len() - 1]
    }

    pub(super) fn top_mut(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Every register and spilled register.
    pub(super) fn each(&mut self, mut act: impl FnMut(&mut Value)) {
        for frame in &mut self.frames {
            frame.regs[..10].iter_mut().for_each(&mut act);
            for slot in &mut frame.stack {
                if slot.is_spilled() {
                    act(&mut slot.value);
                }
            }
        }
    }

    /// Whether all that can happen from `new` on can happen from this state on.
    pub(super) fn covers(&self, new: &State, exact: Exact, matters: &[Matters]) -> bool {
        if self.frames.len() != new.frames.len() || self.held.len() != new.held.len() {
            return false;
        }
        let mut ids = Ids::default();
        let frames = self.frames.iter().zip(&new.frames).zip(matters);
        for ((old, new), matters) in frames {
            if old.callsite != new.callsite
                || old.function != new.function
                || old.entry != new.entry
            {
                return false;
            }
            for (at, (a, b)) in old.regs[..10].iter().zip(&new.regs).enumerate() {
                let precise = matters.precise_regs & 1 << at != 0;
                if matters.regs & 1 << at != 0 && !value_covers(a, b, exact, precise, &mut ids) {
                    return false;
                }
            }
            if !stack_covers(old, new, exact, matters, &mut ids) {
                return false;
            }
        }
        let mut held = self.held.iter().zip(&new.held);
        held.all(|(a, b)| a.thing == b.thing && ids.same(a.id, b.id))
    }
}

fn value_covers(old: &Value, new: &Value, exact: Exact, precise: bool, ids: &mut Ids) -> bool {
    if exact == Exact::Same {
        let same = old.kind == new.kind && old.nullable == new.nullable && old.off == new.off;
        return same
            && old.var == new.var
            && old.range == new.range
            && (old.is_number() || old.is_slice() == new.is_slice())
            && ids.same(old.id, new.id)
            && ids.same(old.record, new.record);
    }
    if old.kind == Kind::NotInit {
        return exact == Exact::No || new.kind == Kind::NotInit;
    }
    if old.kind != new.kind || old.nullable != new.nullable {
        return false;
    }
    if old.is_number() {
        if exact == Exact::No && !precise {
            return true;
        }
        return old.var.holds(&new.var) && ids.linked(old.id, new.id);
    }
    let range = if old.range < 0 || new.range < 0 {
        old.range == new.range
    } else {
        old.range <= new.range
    };
    // Slices of one dynamic pointer end together.
    let slice = (old.is_slice() == new.is_slice())
        && (!old.is_slice()
            || old.is_packet_slice() == new.is_packet_slice()
                && ids.same(old.slice_of(), new.slice_of()));
    slice
        && range
        && old.off == new.off
        && old.var.holds(&new.var)
        && ids.same(old.id, new.id)
        && ids.same(old.record, new.record)
}

fn stack_covers(old: &Frame, new: &Frame, exact: Exact, matters: &Matters, ids: &mut Ids) -> bool {
    let slots = match exact {
        Exact::Same => old.stack.len().max(new.stack.len()),
        _ => old.stack.len(),
    };
    for at in 0..slots {
        if exact != Exact::Same && matters.slots & 1 << at.min(63) == 0 {
            continue;
        }
        let a = old.stack.get(at).unwrap_or(&Slot::EMPTY);
        let b = new.stack.get(at).unwrap_or(&Slot::EMPTY);
        let precise = matters.precise_slots & 1 << at.min(63) != 0;
        if !slot_covers(a, b, exact, precise, ids) {
            return false;
        }
    }
    true
}

fn slot_covers(old: &Slot, new: &Slot, exact: Exact, precise: bool, ids: &mut Ids) -> bool {
    if exact == Exact::Same {
        return old.bytes == new.bytes
            && (!(old.is_spilled() || old.is_object())
                || value_covers(&old.value, &new.value, exact, true, ids));
    }
    if old.is_object() || new.is_object() && old.bytes.contains(&Byte::Misc) {
        return old.bytes == new.bytes
            && value_covers(&old.value, &new.value, Exact::Same, true, ids);
    }
    let new_pointer = new.is_spilled() && !new.value.is_number();
    if old.is_spilled() {
        if new.spilled() == old.spilled() {
            if !value_covers(&old.value, &new.value, exact, precise, ids) {
                return false;
            }
        } else {
            // A number about which nothing was known is like any written bytes.
            let loose = old.value.is_number()
                && (old.value.var.is_unknown() || exact == Exact::No && !precise);
            if !loose || new_pointer || new.bytes.contains(&Byte::Uninit) {
                return false;
            }
        }
    }
    let zero = new.is_spilled() && new.value.is_zero();
    old.bytes.iter().zip(&new.bytes).all(|(a, b)| match a {
        Byte::Uninit => exact == Exact::No || *b == Byte::Uninit,
        Byte::Misc => *b != Byte::Uninit && !(new_pointer && *b == Byte::Spill),
        Byte::Zero => *b == Byte::Zero || *b == Byte::Spill && zero,
        Byte::Spill | Byte::Dynptr | Byte::Count => true,
    })
}

/// Forgets what differs between two turns of a loop in numbers that nothing depended on (`widen_imprecise_scalars`).
pub(super) fn widen(old: &State, new: &mut State, matters: &[Matters]) {
    for ((old, new), matters) in old.frames.iter().zip(&mut new.frames).zip(matters) {
        for (at, (a, b)) in old.regs[..10].iter().zip(&mut new.regs).enumerate() {
            if matters.precise_regs & 1 << at == 0 {
                widen_value(a, b);
            }
        }
        for (at, (a, b)) in old.stack.iter().zip(&mut new.stack).enumerate() {
            let precise = matters.precise_slots & 1 << at.min(63) != 0;
            if a.is_spilled() && b.is_spilled() && !precise {
                widen_value(&a.value, &mut b.value);
            }
        }
    }
}

fn widen_value(old: &Value, new: &mut Value) {
    if old.is_number() && new.is_number() && old.var != new.var {
        new.var = Scalar::UNKNOWN;
        new.id = 0;
    }
}
