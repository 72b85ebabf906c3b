//! What a register holds: nothing, a number, or a pointer to something.

use std::fmt;

use super::scalar::Scalar;

/// What a register's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing was written.
    NotInit,
    /// A number.
    Number,
    /// The context.
    Ctx,
    /// The stack of that frame; offset 0 is its end.
    Stack(u8),
    /// A map, by index.
    Map(u16),
    /// The value of a map's entry.
    MapValue(u16),
    /// The key of a map's entry, in a callback.
    MapKey(u16),
    /// Memory of that many bytes, e.g. a ring buffer record.
    Mem(u32),
    /// As `Mem`, to be read alone.
    ConstMem(u32),
    /// A kernel structure of that name.
    Btf(&'static str),
    /// A function of the program, by number.
    Func(u16),
    /// A dynamic pointer: of its slots on the stack alone.
    Dynptr(Dyn),
    /// A count, and whether it came to its end: of its slot on the stack alone.
    Count { ended: bool },
    /// A socket.
    Sock(Sock),
    /// A packet's bytes.
    Packet,
    /// What XDP left in front of a packet.
    PacketMeta,
    /// The end of a packet.
    PacketEnd,
}

/// What a dynamic pointer points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dyn {
    /// Memory of the program.
    Local,
    /// A ring buffer record.
    Ring,
    /// A packet.
    Packet,
}

/// Of [`Value::link`]: the slice is of a packet.
const OF_PACKET: u32 = 1 << 31;

/// How much of a socket is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sock {
    /// What sockets of any state have.
    Common,
    /// All of it.
    Full,
    /// What TCP keeps.
    Tcp,
}

/// A register or a spilled one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) kind: Kind,
    /// Maybe 0 instead of a pointer.
    pub(super) nullable: bool,
    /// Pointers: the fixed part of the offset.
    pub(super) off: i32,
    /// The number, or the variable part of the offset.
    pub(super) var: Scalar,
    /// Values of the same id are the same number, or null together; 0 for none.
    pub(super) id: u32,
    /// The record that must be given back; 0 for none.
    pub(super) record: u32,
    /// Packet pointers: bytes known to be inside, from offset 0 on; negative at or behind the end (`packet`).
    pub(super) range: i32,
    /// Numbers: the instruction after the one that made it worthless as the pointer it was; 0 for none. Memory: the id
    /// of the dynamic pointer that it is a slice of.
    pub(super) link: u32,
}

impl Value {
    pub(super) const NOT_INIT: Value = Value {
        kind: Kind::NotInit,
        nullable: false,
        off: 0,
        var: Scalar::UNKNOWN,
        id: 0,
        record: 0,
        range: 0,
        link: 0,
    };

    pub(super) const UNKNOWN: Value = Value::number(Scalar::UNKNOWN);

    pub(super) const fn number(var: Scalar) -> Value {
        Value {
            kind: Kind::Number,
            nullable: false,
            off: 0,
            var,
            id: 0,
            record: 0,
            range: 0,
            link: 0,
        }
    }

    pub(super) const fn known(value: u64) -> Value {
        Value::number(Scalar::known(value))
    }

    pub(super) const fn pointer(kind: Kind, off: i32) -> Value {
        Value {
            kind,
            nullable: false,
            off,
            var: Scalar::ZERO,
            id: 0,
            record: 0,
            range: 0,
            link: 0,
        }
    }

    pub(super) const fn nullable(kind: Kind, id: u32) -> Value {
        Value {
            kind,
            nullable: true,
            off: 0,
            var: Scalar::ZERO,
            id,
            record: 0,
            range: 0,
            link: 0,
        }
    }

    /// A number that was a pointer until that instruction.
    pub(super) fn lost(insn: usize) -> Value {
        Value {
            link: u32::try_from(insn + 1).unwrap_or(0),
            ..Value::UNKNOWN
        }
    }

    /// The instruction that made the pointer that this was worthless.
    pub(super) fn lost_at(&self) -> Option<usize> {
        let link = if self.is_number() { self.link } else { 0 };
        usize::try_from(link).ok()?.checked_sub(1)
    }

    /// A slice of what a dynamic pointer points to.
    pub(super) fn slice(kind: Kind, id: u32, dynptr: (Dyn, Value)) -> Value {
        let of_packet = if dynptr.0 == Dyn::Packet {
            OF_PACKET
        } else {
            0
        };
        Value {
            record: dynptr.1.record,
            link: dynptr.1.id | of_packet,
            ..Value::nullable(kind, id)
        }
    }

    pub(super) const fn is_slice(&self) -> bool {
        matches!(self.kind, Kind::Mem(_) | Kind::ConstMem(_)) && self.link != 0
    }

    pub(super) const fn slice_of(&self) -> u32 {
        self.link & !OF_PACKET
    }

    pub(super) const fn is_packet_slice(&self) -> bool {
        self.is_slice() && self.link & OF_PACKET != 0
    }

    pub(super) const fn is_packet(&self) -> bool {
        matches!(self.kind, Kind::Packet | Kind::PacketMeta | Kind::PacketEnd)
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Number)
    }

    pub(super) const fn is_pointer(&self) -> bool {
        !matches!(self.kind, Kind::Number | Kind::NotInit)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.is_number() && self.var.is_zero()
    }

    /// A pointer's whole offset, if it is known when loading.
    pub(super) fn fixed_off(&self) -> Option<i64> {
        let var = self.var.constant()?.cast_signed();
        var.checked_add(i64::from(self.off))
    }

    /// The kernel's name of what it is.
    pub(super) fn kernel_name(&self) -> &'static str {
        match (self.kind, self.nullable) {
            (Kind::NotInit, _) => "not initialized",
            (Kind::Number, _) => "scalar",
            (Kind::Ctx, _) => "ctx",
            (Kind::Stack(_), _) => "fp",
            (Kind::Map(_), _) => "map_ptr",
            (Kind::MapValue(_), false) => "map_value",
            (Kind::MapValue(_), true) => "map_value_or_null",
            (Kind::MapKey(_), _) => "map_key",
            (Kind::Mem(_), false) => "mem",
            (Kind::Mem(_), true) => "mem_or_null",
            (Kind::ConstMem(_), false) => "rdonly_mem",
            (Kind::ConstMem(_), true) => "rdonly_mem_or_null",
            (Kind::Dynptr(_), _) => "dynptr",
            (Kind::Count { .. }, _) => "iter_num",
            (Kind::Btf(_), false) => "ptr_",
            (Kind::Btf(_), true) => "ptr_or_null_",
            (Kind::Func(_), _) => "func",
            (Kind::Sock(Sock::Common), false) => "sock_common",
            (Kind::Sock(Sock::Common), true) => "sock_common_or_null",
            (Kind::Sock(Sock::Full), false) => "sock",
            (Kind::Sock(Sock::Full), true) => "sock_or_null",
            (Kind::Sock(Sock::Tcp), false) => "tcp_sock",
            (Kind::Sock(Sock::Tcp), true) => "tcp_sock_or_null",
            (Kind::Packet, _) => "pkt",
            (Kind::PacketMeta, _) => "pkt_meta",
            (Kind::PacketEnd, _) => "pkt_end",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::NotInit => return f.write_str("nothing written yet"),
            Kind::Number => return self.var.fmt(f),
            Kind::Ctx => f.write_str("pointer to the context")?,
            Kind::Stack(_) => f.write_str("pointer to the stack")?,
            Kind::Map(map) => write!(f, "map {map}")?,
            Kind::MapValue(map) => write!(f, "pointer to a value of map {map}")?,
            Kind::MapKey(map) => write!(f, "pointer to a key of map {map}")?,
            Kind::Mem(size) => write!(f, "pointer to {size} bytes of memory")?,
            Kind::ConstMem(size) => write!(f, "pointer to {size} bytes that may only be read")?,
            Kind::Dynptr(_) => f.write_str("dynamic pointer")?,
            Kind::Count { .. } => f.write_str("count")?,
            Kind::Btf(name) => write!(f, "pointer to `struct {name}`")?,
            Kind::Func(number) => write!(f, "function {number}")?,
            Kind::Sock(Sock::Common) => f.write_str("pointer to a socket of any state")?,
            Kind::Sock(Sock::Full) => f.write_str("pointer to a socket")?,
            Kind::Sock(Sock::Tcp) => f.write_str("pointer to a socket's TCP state")?,
            Kind::Packet => f.write_str("pointer into the packet")?,
            Kind::PacketMeta => f.write_str("pointer to the packet's metadata")?,
            Kind::PacketEnd => f.write_str("pointer to the packet's end")?,
        }
        if self.nullable {
            f.write_str(" or 0")?;
        }
        if self.off != 0 {
            write!(f, " {:+}", self.off)?;
        }
        if !self.var.is_zero() {
            write!(f, " + {}", self.var)?;
        }
        match self.range {
            0 => {}
            1.. => write!(f, ", {} bytes known to be there", self.range)?,
            _ => f.write_str(", at its end or behind")?,
        }
        Ok(())
    }
}
