//! Objects that live on the stack and whose bytes are not the program's: dynamic pointers and counts
//! (`process_dynptr_func`, `process_iter_arg`).
//!
//! A dynamic pointer takes two slots, a count one. Only calls use them: a load of their bytes is refused, and a store
//! ends their life, which a record's dynamic pointer does not allow.

use super::{
    error::{Thing, What},
    state::{Byte, Frame, Slot, State},
    value::{Dyn, Kind, Value},
    walk::{Next, Walk},
};
use crate::asm::Reg;

/// Where an object is: frame, and the offset of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) frame: u8,
    pub(super) off: i64,
}

impl State {
    fn slot_mut(&mut self, place: Place) -> &mut Slot {
        let (at, _) = Frame::place(place.off);
        &mut self.frames[usize::from(place.frame)].stack[at]
    }
}

impl Walk<'_> {
    /// Where an argument points to, if that can be an object of so many bytes.
    pub(super) fn object_place(&mut self, value: &Value, size: i64) -> Result<Option<Place>, What> {
        let (Kind::Stack(frame), Some(off)) = (value.kind, value.fixed_off()) else {
            return Ok(None);
        };
        if off % 8 != 0 {
            return Ok(None);
        }
        self.stack_bounds(value, 0, size)?;
        self.deepen(usize::from(frame), off);
        Ok(Some(Place { frame, off }))
    }

    /// What an object's slot holds.
    pub(super) fn object(&mut self, place: Place) -> Value {
        let (at, _) = Frame::place(place.off);
        let slot = self.state.frames[usize::from(place.frame)].stack[at];
        match slot.bytes[0] {
            Byte::Dynptr | Byte::Count => slot.value,
            _ => Value::NOT_INIT,
        }
    }

    fn put(&mut self, place: Place, byte: Byte, value: Value) {
        let slot = self.state.slot_mut(place);
        *slot = Slot {
            bytes: [byte; 8],
            value,
        };
    }

    /// Makes a dynamic pointer.
    pub(super) fn make_dynptr(&mut self, place: Place, dynptr: Dyn) -> Result<(), What> {
        self.overwrite(usize::from(place.frame), place.off, place.off + 16)?;
        let mut value = Value::pointer(Kind::Dynptr(dynptr), 0);
        value.id = self.new_id();
        if dynptr == Dyn::Ring {
            value.record = self.take(Thing::Dynptr);
        }
        self.put(place, Byte::Dynptr, value);
        value.off = 8;
        let second = Place {
            off: place.off + 8,
            ..place
        };
        self.put(second, Byte::Dynptr, value);
        Ok(())
    }

    /// The dynamic pointer that begins there.
    pub(super) fn dynptr(&mut self, place: Place) -> Option<(Dyn, Value)> {
        let value = self.object(place);
        self.note_read(place.frame, place.off, 16);
        match value.kind {
            Kind::Dynptr(dynptr) if value.off == 0 => Some((dynptr, value)),
            _ => None,
        }
    }

    /// Begins a count.
    pub(super) fn begin_count(&mut self, place: Place) -> Result<(), What> {
        self.overwrite(usize::from(place.frame), place.off, place.off + 8)?;
        let mut value = Value::pointer(Kind::Count { ended: false }, 0);
        value.record = self.take(Thing::Count);
        self.put(place, Byte::Count, value);
        Ok(())
    }

    /// The count there.
    pub(super) fn count(&mut self, place: Place) -> Option<Value> {
        let value = self.object(place);
        self.note_read(place.frame, place.off, 8);
        matches!(value.kind, Kind::Count { .. }).then_some(value)
    }

    /// The stack where an object was is as if never written.
    pub(super) fn end_object(&mut self, place: Place, slots: i64) {
        for slot in 0..slots {
            let off = place.off + 8 * slot;
            *self.state.slot_mut(Place { off, ..place }) = Slot::EMPTY;
        }
    }

    /// The next number of a count, or its end: both are followed (`process_iter_next_call`).
    pub(super) fn next_number(&mut self, place: Place, size: u32) -> Result<Next, What> {
        self.clobber();
        let active = self.object(place).kind == Kind::Count { ended: false };
        if active {
            let mut on = self.state.clone();
            on.unrolled += 1;
            on.top_mut().regs[0] = Value::pointer(Kind::ConstMem(size), 0);
            // The state was just kept here: what changed is seen against the one before it.
            let before = self.parent.and_then(|at| self.kept.get(at));
            let before = before.and_then(|kept| kept.parent);
            let now = std::mem::replace(&mut self.parent, before);
            self.widen_since(&mut on, self.at);
            self.parent = now;
            self.push(on, self.at + 1)?;
        }
        self.state.slot_mut(place).value.kind = Kind::Count { ended: true };
        *self.reg_mut(Reg::R0) = Value::known(0);
        Ok(Next::At(self.at + 1))
    }

    /// Whether the count that is asked for its next number has not ended.
    pub(super) fn counts_on(&mut self) -> bool {
        let value = *self.reg(Reg::R1);
        let (Kind::Stack(frame), Some(off)) = (value.kind, value.fixed_off()) else {
            return false;
        };
        let inside = off % 8 == 0 && (-512..0).contains(&off);
        let (at, _) = Frame::place(off);
        let stack = &self.state.frames[usize::from(frame)].stack;
        let slot = stack.get(at).filter(|_| inside);
        slot.is_some_and(|slot| slot.value.kind == Kind::Count { ended: false })
    }

    /// Refuses to read bytes of objects.
    pub(super) fn no_objects(&self, frame: usize, from: i64, to: i64) -> Result<(), What> {
        let frame = &self.state.frames[frame];
        let of_object = |off: &i64| matches!(frame.byte(*off), Byte::Dynptr | Byte::Count);
        match (from..to).find(of_object) {
            Some(off) => Err(What::StackObject { off }),
            None => Ok(()),
        }
    }

    /// What lived where a store goes is no more.
    pub(super) fn overwrite(&mut self, frame: usize, from: i64, to: i64) -> Result<(), What> {
        let mut off = from;
        while off < to {
            let (at, _) = Frame::place(off);
            let Some(slot) = self.state.frames[frame].stack.get_mut(at) else {
                return Ok(());
            };
            match slot.bytes[0] {
                Byte::Count => slot.scrub(),
                Byte::Dynptr => {
                    let value = slot.value;
                    if value.record != 0 {
                        return Err(What::OverwritesDynptr { off });
                    }
                    // The second slot is the one above, whose number is lower.
                    let first = if value.off == 0 { at } else { at + 1 };
                    let stack = &mut self.state.frames[frame].stack;
                    (stack[first], stack[first - 1]) = (Slot::EMPTY, Slot::EMPTY);
                    let lost = Value::lost(self.at);
                    self.state.each(|other| {
                        if other.is_slice() && other.slice_of() == value.id {
                            *other = lost;
                        }
                    });
                }
                _ => {}
            }
            off = (off & !7) + 8;
        }
        Ok(())
    }
}
