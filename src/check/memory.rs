//! Loads and stores: bounds, alignment, and what the stack holds (`check_mem_access`).

use super::{
    alu::MAX_OFF,
    context::{self, Access, Holds},
    error::{Region, What},
    state::{Byte, Frame, STACK},
    value::{Kind, Sock, Value},
    walk::Walk,
};
use crate::{
    asm::{AtomicOp, Reg, Size, Src, Width},
    spec::MapKind,
};

/// Map flags: programs may only read, or only write (`include/uapi/linux/bpf.h`).
const RDONLY_PROG: u32 = 1 << 7;
const WRONLY_PROG: u32 = 1 << 8;

/// What is stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stored {
    /// A register.
    Reg(Reg, Value),
    /// A constant.
    Imm(Value),
    /// Something.
    Bytes,
}

/// Slots that bytes of stack are in, as bits.
fn slots(from: i64, size: i64) -> u64 {
    let mut bits = 0;
    let mut off = from;
    while off < from + size {
        let (slot, _) = Frame::place(off);
        bits |= 1 << slot.min(63);
        off = (off + 8).min(from + size).min((off & !7) + 8);
    }
    bits
}

impl Walk<'_> {
    pub(super) fn load(
        &mut self,
        size: Size,
        signed: bool,
        dst: Reg,
        src: Reg,
        off: i16,
    ) -> Result<(), What> {
        if signed && !self.env.features.cpu_v4 {
            return Err(super::alu::v4("sign-extending loads"));
        }
        let mut value = self.load_value(src, off, size, signed, false)?;
        self.writable(dst)?;
        if value.is_number() && size != Size::DW {
            if signed {
                value.id = 0;
                value.var.sign_extend(size.bytes(), Width::W64);
            } else {
                if value.var.width() > 8 * size.bytes() {
                    value.id = 0;
                }
                value.var.zero_extend(size.bytes());
            }
        }
        self.set(dst, value)
    }

    pub(super) fn load_acquire(
        &mut self,
        size: Size,
        dst: Reg,
        src: Reg,
        off: i16,
    ) -> Result<(), What> {
        self.atomic_place(src)?;
        self.aligned(src, off, size)?;
        self.load(size, false, dst, src, off)
    }

    pub(super) fn store_release(
        &mut self,
        size: Size,
        dst: Reg,
        off: i16,
        src: Reg,
    ) -> Result<(), What> {
        self.read(src)?;
        self.read(dst)?;
        self.atomic_place(dst)?;
        self.aligned(dst, off, size)?;
        self.store(size, dst, off, Src::Reg(src))
    }

    fn atomic_place(&self, reg: Reg) -> Result<(), What> {
        let value = self.read(reg)?;
        match value.kind {
            Kind::Ctx
            | Kind::Btf(_)
            | Kind::MapKey(_)
            | Kind::Packet
            | Kind::PacketMeta
            | Kind::PacketEnd
            | Kind::Sock(_) => Err(What::AtomicPlace {
                holds: value.kernel_name(),
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn store(&mut self, size: Size, dst: Reg, off: i16, src: Src) -> Result<(), What> {
        let stored = match src {
            Src::Reg(reg) => Stored::Reg(reg, self.read(reg)?),
            Src::Imm(_) => Stored::Imm(self.operand(src)?),
        };
        let base = self.read(dst)?;
        self.access(dst, &base, off.into(), size.bytes(), true)?;
        match base.kind {
            Kind::Stack(frame) => self.stack_store(frame, &base, off.into(), size, stored),
            _ => Ok(()),
        }
    }

    pub(super) fn atomic(
        &mut self,
        op: AtomicOp,
        size: Size,
        dst: Reg,
        off: i16,
        src: Reg,
    ) -> Result<(), What> {
        if size.bytes() < 4 {
            return Err(What::AccessSize);
        }
        let fetch = !matches!(
            op,
            AtomicOp::Add { fetch: false }
                | AtomicOp::Or { fetch: false }
                | AtomicOp::And { fetch: false }
                | AtomicOp::Xor { fetch: false }
        );
        let plain = matches!(op, AtomicOp::Add { fetch: false });
        if !plain && !self.env.features.atomics {
            return Err(What::Missing {
                feature: "atomic operations beside addition",
                since: "5.12",
            });
        }
        let to = match op {
            AtomicOp::Cmpxchg => Some(Reg::R0),
            _ => fetch.then_some(src),
        };
        self.read(src)?;
        let base = self.read(dst)?;
        if op == AtomicOp::Cmpxchg {
            self.read(Reg::R0)?;
        }
        self.atomic_place(dst)?;
        self.aligned(dst, off, size)?;
        let mut old = self.load_value(dst, off, size, false, !fetch)?;
        if to == Some(dst) {
            return Err(What::FetchesIntoBase { reg: dst });
        }
        self.access(dst, &base, off.into(), size.bytes(), true)?;
        if let Kind::Stack(frame) = base.kind {
            self.stack_store(frame, &base, off.into(), size, Stored::Bytes)?;
        }
        if let Some(to) = to {
            if old.is_number() && size != Size::DW {
                old.id = 0;
                old.var.zero_extend(size.bytes());
            }
            self.set(to, old)?;
        }
        Ok(())
    }

    fn aligned(&self, reg: Reg, off: i16, size: Size) -> Result<(), What> {
        let base = self.read(reg)?;
        let off = i64::from(base.off) + i64::from(off);
        let at = base
            .var
            .bits
            .add(super::tnum::Tnum::known(off.cast_unsigned()));
        if !at.is_aligned(size.bytes().into()) {
            return Err(What::Misaligned { size: size.bytes() });
        }
        Ok(())
    }

    /// What a load gives, before extension. With `ignore`, only whether it may be done.
    fn load_value(
        &mut self,
        src: Reg,
        off: i16,
        size: Size,
        signed: bool,
        ignore: bool,
    ) -> Result<Value, What> {
        let base = self.read(src)?;
        self.access(src, &base, off.into(), size.bytes(), false)?;
        match base.kind {
            Kind::Stack(frame) => self.stack_load(frame, &base, off.into(), size, ignore),
            Kind::Ctx => Ok(
                match self.context(off.into(), size.bytes(), false, signed)? {
                    Holds::Number => Value::UNKNOWN,
                    Holds::Data => Value::pointer(Kind::Packet, 0),
                    Holds::Meta => Value::pointer(Kind::PacketMeta, 0),
                    Holds::End => Value::pointer(Kind::PacketEnd, 0),
                    Holds::Sock => Value::nullable(Kind::Sock(Sock::Common), self.new_id()),
                },
            ),
            _ => Ok(Value::UNKNOWN),
        }
    }

    /// Whether these bytes may be accessed through the register.
    fn access(
        &mut self,
        reg: Reg,
        base: &Value,
        off: i64,
        size: u32,
        write: bool,
    ) -> Result<(), What> {
        if base.nullable {
            return Err(What::MaybeNull {
                reg,
                holds: base.kernel_name(),
            });
        }
        match base.kind {
            Kind::Ctx => {
                if base.fixed_off() != Some(0) {
                    return Err(What::MovedContext);
                }
                self.context(off, size, write, false).map(|_| ())
            }
            Kind::Stack(_) => {
                let at = off + i64::from(base.off);
                let at = base
                    .var
                    .bits
                    .add(super::tnum::Tnum::known(at.cast_unsigned()));
                if !at.is_aligned(size.into()) {
                    return Err(What::Misaligned { size });
                }
                self.stack_bounds(base, off, size.into()).map(|_| ())
            }
            Kind::MapValue(_) | Kind::MapKey(_) | Kind::Mem(_) | Kind::ConstMem(_) => {
                self.region(base, off, size.into(), write, false)
            }
            Kind::Packet | Kind::PacketMeta => {
                self.packet_access(reg, base, off, size.into(), false)
            }
            Kind::Sock(_) if write => Err(What::ReadOnly),
            Kind::Sock(sock) => match context::socket(sock, off, size.into()) {
                true => Ok(()),
                false => Err(What::Socket { off, size }),
            },
            Kind::Btf(_) => Err(What::NotModelled("access to a kernel structure")),
            Kind::Map(_) if !write => Err(What::NotModelled("a read of a map's own fields")),
            _ => Err(What::no_pointer(reg, base)),
        }
    }

    /// What a field of the context holds.
    fn context(&self, off: i64, size: u32, write: bool, signed: bool) -> Result<Holds, What> {
        let access = Access {
            off,
            size: size.into(),
            write,
            signed,
        };
        let kind = self.env.kind;
        context::field(kind, access).ok_or(What::Context { off, size, write })
    }

    /// Whether bytes are inside the region behind a pointer.
    pub(super) fn region(
        &self,
        base: &Value,
        off: i64,
        size: i64,
        write: bool,
        zero_allowed: bool,
    ) -> Result<(), What> {
        let map = |map: u16| &self.env.maps[usize::from(map)];
        let (region, have) = match base.kind {
            Kind::MapValue(index) => {
                let flags = map(index).flags;
                // Programs only read the entries of a device map (`dev_map_init_map`).
                let devices = matches!(map(index).kind, MapKind::Devmap | MapKind::DevmapHash);
                if write && (devices || flags & RDONLY_PROG != 0) {
                    return Err(What::ReadOnly);
                }
                if !write && flags & WRONLY_PROG != 0 {
                    return Err(What::WriteOnly);
                }
                (Region::MapValue, map(index).value_size)
            }
            Kind::MapKey(index) => {
                if write {
                    return Err(What::ReadOnly);
                }
                (Region::MapKey, map(index).key_size)
            }
            Kind::ConstMem(_) if write => return Err(What::ReadOnly),
            Kind::Mem(size) | Kind::ConstMem(size) => (Region::Memory, size),
            _ => return Err(What::NotModelled("this kind of memory")),
        };
        let off = off + i64::from(base.off);
        let outside = |off: i64| {
            let inside = off >= 0
                && (size > 0 || zero_allowed && size == 0)
                && off.checked_add(size).is_some_and(|end| end <= have.into());
            if inside {
                Ok(())
            } else {
                Err(What::Outside {
                    region,
                    off,
                    size,
                    have,
                })
            }
        };
        let var = &base.var;
        let lowest = off.checked_add(var.smin);
        if var.smin < 0 && lowest.is_none_or(|low| low < 0 || i32::try_from(low).is_err()) {
            return Err(What::Negative { region });
        }
        outside(lowest.unwrap_or(i64::MIN))?;
        if i64::try_from(var.umax).map_or(true, |max| max >= MAX_OFF) {
            return Err(What::Unbounded { region });
        }
        outside(off + var.umax.cast_signed())
    }

    /// First byte at the lowest and at the highest, inside the stack.
    pub(super) fn stack_bounds(
        &self,
        base: &Value,
        off: i64,
        size: i64,
    ) -> Result<(i64, i64), What> {
        let (min, max) = match base.fixed_off() {
            Some(fixed) => (fixed + off, fixed + off),
            None => {
                if base.var.smax >= MAX_OFF || base.var.smin <= -MAX_OFF {
                    return Err(What::UnboundedStack);
                }
                let off = off + i64::from(base.off);
                (base.var.smin + off, base.var.smax + off)
            }
        };
        let end = if size > 0 { max + size - 1 } else { max };
        if min < -STACK || end > -1 || size < 0 {
            return Err(What::OutsideStack {
                off: if min < -STACK { min } else { max },
                size,
            });
        }
        Ok((min, max))
    }

    /// Notes that bytes of a frame's stack are read here.
    pub(super) fn note_read(&mut self, frame: u8, from: i64, size: i64) {
        let bits = slots(from, size);
        match self.call_in(frame) {
            Some(call) => {
                self.facts.read(call, bits);
                self.facts.slot_decides(call, bits);
            }
            None => self.facts.read(self.at, bits),
        }
    }

    /// The call that a frame waits for, if it is not the one that runs.
    fn call_in(&self, frame: u8) -> Option<usize> {
        let above = self.state.frames.get(usize::from(frame) + 1)?;
        Some(above.callsite)
    }

    fn stack_load(
        &mut self,
        frame: u8,
        base: &Value,
        off: i64,
        size: Size,
        ignore: bool,
    ) -> Result<Value, What> {
        let bytes = i64::from(size.bytes());
        let (min, max) = self.stack_bounds(base, off, bytes)?;
        let number = usize::from(frame);
        self.deepen(number, min);
        self.note_read(frame, min, max + bytes - min);
        self.no_objects(number, min, max + bytes)?;
        if min != max {
            self.stack_readable(number, min, max + bytes)?;
            let zero = (min..max + bytes).all(|b| self.state.frames[number].byte(b) == Byte::Zero);
            return Ok(if zero {
                Value::known(0)
            } else {
                Value::UNKNOWN
            });
        }
        let (at, first) = Frame::place(min);
        let slot = self.state.frames[number].stack[at];
        let count = usize::try_from(bytes).unwrap_or(8);
        if !slot.is_spilled() {
            self.stack_readable(number, min, min + bytes)?;
            let zero = (min..min + bytes).all(|b| self.state.frames[number].byte(b) == Byte::Zero);
            return Ok(if zero {
                Value::known(0)
            } else {
                Value::UNKNOWN
            });
        }
        if self.call_in(frame).is_none() {
            self.facts.fill(self.at, 1 << at.min(63));
        }
        let spilled = slot.spilled();
        if count == 8 && spilled == 8 {
            return Ok(self.fill(number, at));
        }
        if !slot.value.is_number() {
            return Err(What::PartOfPointer);
        }
        if ignore {
            return Ok(Value::UNKNOWN);
        }
        if first == 0 && count <= spilled {
            let mut value = slot.value;
            if size == Size::W && spilled == 4 && value.var.width() <= 32 {
                value = self.fill(number, at);
            }
            if value.var.width() > 8 * size.bytes() {
                value.id = 0;
            }
            return Ok(value);
        }
        self.stack_readable(number, min, min + bytes)?;
        let held = &slot.bytes[first..first + count];
        if held.iter().all(|b| *b == Byte::Spill) && slot.value.is_zero()
            || held.iter().all(|b| *b == Byte::Zero)
        {
            return Ok(Value::known(0));
        }
        Ok(Value::UNKNOWN)
    }

    /// The spilled register, which shares an id with its copy from now on.
    fn fill(&mut self, frame: usize, slot: usize) -> Value {
        let mut value = self.state.frames[frame].stack[slot].value;
        if value.is_number() && value.id == 0 && value.var.constant().is_none() {
            value.id = self.new_id();
            self.state.frames[frame].stack[slot].value = value;
        }
        value
    }

    fn stack_readable(&self, frame: usize, from: i64, to: i64) -> Result<(), What> {
        if self.env.uninit_stack {
            return Ok(());
        }
        let frame = &self.state.frames[frame];
        match (from..to).find(|off| frame.byte(*off) == Byte::Uninit) {
            Some(off) => Err(What::UninitStack { off }),
            None => Ok(()),
        }
    }

    fn stack_store(
        &mut self,
        frame: u8,
        base: &Value,
        off: i64,
        size: Size,
        stored: Stored,
    ) -> Result<(), What> {
        let bytes = i64::from(size.bytes());
        let (min, max) = self.stack_bounds(base, off, bytes)?;
        let number = usize::from(frame);
        self.deepen(number, min);
        self.overwrite(number, min, max + bytes)?;
        let away = self.call_in(frame).is_some();
        let value = match stored {
            Stored::Reg(_, value) | Stored::Imm(value) => Some(value),
            Stored::Bytes => None,
        };
        let zero = value.is_some_and(|value| value.is_zero());
        if let Stored::Reg(reg, value) = stored
            && (away || zero && value.is_number())
        {
            self.facts.decides(self.at, reg);
        }
        if min != max {
            self.store_anywhere(number, min, max + bytes, zero);
            return Ok(());
        }
        let (at, first) = Frame::place(min);
        let count = usize::try_from(bytes).unwrap_or(8);
        let spillable = match value {
            Some(value) if value.is_number() => first == 0,
            Some(value) => {
                if count != 8 {
                    return Err(What::PartOfPointer);
                }
                if away && matches!(value.kind, Kind::Stack(_)) {
                    return Err(What::StackPointerUp);
                }
                true
            }
            None => false,
        };
        if let (true, Some(mut value)) = (spillable, value) {
            let fits = value.is_pointer() || value.var.width() <= 8 * size.bytes();
            if let Stored::Reg(reg, from) = stored
                && fits
                && from.is_number()
                && from.id == 0
                && from.var.constant().is_none()
            {
                value.id = self.new_id();
                self.reg_mut(reg).id = value.id;
            }
            if !fits {
                value.id = 0;
            }
            if !away {
                self.facts.spill(self.at, 1 << at.min(63));
            }
            let slot = &mut self.state.frames[number].stack[at];
            slot.value = value;
            for (i, byte) in slot.bytes.iter_mut().enumerate() {
                if i < count {
                    *byte = Byte::Spill;
                } else if *byte == Byte::Spill {
                    *byte = Byte::Misc;
                }
            }
            return Ok(());
        }
        let slot = &mut self.state.frames[number].stack[at];
        slot.scrub();
        let byte = if zero { Byte::Zero } else { Byte::Misc };
        slot.bytes[first..first + count].fill(byte);
        Ok(())
    }

    /// A store to some of these bytes.
    fn store_anywhere(&mut self, frame: usize, from: i64, to: i64, zero: bool) {
        for off in from..to {
            let (at, byte) = Frame::place(off);
            let slot = &mut self.state.frames[frame].stack[at];
            if zero && slot.bytes[byte] == Byte::Spill && slot.value.is_zero() {
                continue;
            }
            slot.value = Value::NOT_INIT;
            if !(zero && slot.bytes[byte] == Byte::Zero) {
                slot.bytes[byte] = Byte::Misc;
            }
        }
    }

    /// Memory that a helper reads or fills (`check_helper_mem_access`).
    pub(super) fn helper_memory(
        &mut self,
        reg: Reg,
        base: &Value,
        size: i64,
        write: bool,
        fills: bool,
        zero_allowed: bool,
    ) -> Result<(), What> {
        let frame = match base.kind {
            Kind::Stack(frame) => frame,
            Kind::Packet | Kind::PacketMeta => {
                return self.packet_access(reg, base, 0, size, zero_allowed);
            }
            _ => return self.region(base, 0, size, write, zero_allowed),
        };
        if size == 0 && !zero_allowed {
            return Err(What::OutsideStack { off: 0, size });
        }
        let (min, max) = self.stack_bounds(base, 0, size)?;
        let number = usize::from(frame);
        self.deepen(number, min);
        self.no_objects(number, min, max + size)?;
        if !write {
            self.note_read(frame, min, max + size - min);
            return self.stack_readable(number, min, max + size);
        }
        if !(fills && min == max) {
            self.note_read(frame, min, max + size - min);
            self.stack_readable(number, min, max + size)?;
        }
        for off in min..max + size {
            let (at, byte) = Frame::place(off);
            let slot = &mut self.state.frames[number].stack[at];
            if slot.is_spilled() {
                slot.scrub();
            }
            slot.bytes[byte] = Byte::Misc;
        }
        Ok(())
    }
}
