//! Calls of helpers: who may call, what the arguments are, what comes back (`check_helper_call`).

use super::{
    alu::MAX_OFF,
    error::{Thing, What},
    objects::Place,
    state::{Entry, Held},
    value::{Dyn, Kind, Sock, Value},
    walk::{Next, Walk},
};
use crate::{
    asm::{
        Reg,
        helper::{self, Arg, Helper, Ret},
    },
    spec::{Features, MapKind},
};

/// Arguments of a helper.
const ARGS: [Reg; 5] = [Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5];

/// Helpers that some supported kernel does not have: number, whether it is there, since when.
type FeatureRow = (u32, fn(&Features) -> bool, &'static str);
const NEWER: &[FeatureRow] = &[
    (164, |f| f.for_each_map_elem, "5.13"),
    (174, |f| f.attach_cookie, "5.15"),
    (181, |f| f.bpf_loop, "5.17"),
    (195, |f| f.lookup_percpu, "5.19"),
    (208, |f| f.ktime_tai, "6.1"),
];

/// Helpers whose result is at most the size asked for, or an error number.
const SIZED: &[u32] = &[45, 67, 114, 115, 141];

/// Helpers with rules of their own that are not modelled.
const NOT_MODELLED: &[u32] = &[180, 209];

/// `bpf_tail_call`.
pub(super) const TAIL_CALL: u32 = 12;
/// `bpf_sk_release`.
const SK_RELEASE: u32 = 86;
/// `bpf_redirect_map`.
const REDIRECT_MAP: u32 = 51;

/// Whether sleepable programs may use maps of that kind (`check_map_prog_compatibility`).
pub(super) fn sleepable_map(kind: MapKind) -> bool {
    !matches!(kind, MapKind::PerfEventArray | MapKind::StackTrace)
}

fn is_percpu(kind: MapKind) -> bool {
    matches!(
        kind,
        MapKind::PercpuHash | MapKind::PercpuArray | MapKind::LruPercpuHash
    )
}

/// Whether a helper takes maps of that kind (`check_map_func_compatibility`).
fn takes(id: u32, kind: MapKind) -> bool {
    match kind {
        MapKind::PerfEventArray => matches!(id, 22 | 25 | 55),
        MapKind::Ringbuf => matches!(id, 130 | 131 | 134 | 198),
        MapKind::StackTrace => id == 27,
        MapKind::ProgArray => id == TAIL_CALL,
        MapKind::Devmap | MapKind::DevmapHash => matches!(id, 1 | REDIRECT_MAP),
        MapKind::Cpumap | MapKind::Xskmap => id == REDIRECT_MAP,
        MapKind::Queue | MapKind::Stack => matches!(id, 87..=89),
        MapKind::LpmTrie => matches!(id, 1..=3),
        _ if id == 195 => is_percpu(kind),
        _ => matches!(id, 1..=3 | 164),
    }
}

/// What is to be done with a socket that a helper gives.
#[derive(Clone, Copy)]
enum Gives {
    /// It has to be given back.
    Held,
    /// It is part of the one handed in.
    Part,
    /// It stays while the program runs.
    Loose,
}

/// Helpers that give a socket.
const SOCKETS: &[(u32, Sock, Gives)] = &[
    (84, Sock::Full, Gives::Held),
    (85, Sock::Full, Gives::Held),
    (95, Sock::Full, Gives::Part),
    (96, Sock::Tcp, Gives::Part),
    (98, Sock::Full, Gives::Loose),
    (99, Sock::Common, Gives::Held),
];

/// What is to be called.
pub(super) struct Signature {
    /// Of a helper; 0 for a kernel function.
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) args: &'static [Arg],
    pub(super) ret: Ret,
    /// Whether memory may be that of a packet.
    pub(super) takes_packet: bool,
}

/// What the arguments of one call have shown.
#[derive(Default)]
pub(super) struct Seen {
    map: Option<u16>,
    size: Option<u64>,
    max: Option<u64>,
    pub(super) record: u32,
    function: Option<usize>,
    context: Option<Value>,
    /// What the socket handed in is part of.
    cast: u32,
    /// The dynamic pointer handed in.
    dynptr: Option<(Dyn, Value)>,
    /// The object on the stack that the call may end.
    pub(super) object: Option<Place>,
}

impl Walk<'_> {
    pub(super) fn helper(&mut self, id: u32) -> Result<Next, What> {
        let helper = helper::by_id(id).ok_or(What::NoHelper(id))?;
        self.allowed(helper)?;
        let mut seen = Seen::default();
        let signature = Signature {
            id,
            name: helper.name,
            args: helper.args,
            ret: helper.ret,
            takes_packet: helper.takes_packet(),
        };
        for (at, arg) in helper.args.iter().enumerate() {
            self.argument(&signature, at, *arg, &mut seen)?;
        }
        if seen.record != 0 {
            self.release(seen.record);
        }
        if let (199 | 200, Some(place)) = (id, seen.object) {
            self.end_object(place, 2);
        }
        if id == TAIL_CALL {
            return self.tail_call();
        }
        if let Some(function) = seen.function {
            self.call_back(id, function, &seen)?;
        }
        self.clobber();
        let result = self.result(&signature, &seen)?;
        *self.reg_mut(Reg::R0) = result;
        let writes_packet = id == 202 && matches!(seen.dynptr, Some((Dyn::Packet, _)));
        if helper.moves_packet() || writes_packet {
            self.packet_moves();
        }
        Ok(Next::At(self.at + 1))
    }

    /// The other program ends the function that calls, so nothing may be held (`check_resource_leak`). If there is none,
    /// the function goes on; if there is, its caller does, with what the other program returned, and the packet may have
    /// moved.
    fn tail_call(&mut self) -> Result<Next, What> {
        self.nothing_held()?;
        self.clobber();
        if self.state.frames.len() == 1 {
            return Ok(Next::At(self.at + 1));
        }
        self.push(self.state.clone(), self.at + 1)?;
        self.packet_moves();
        *self.reg_mut(Reg::R0) = Value::UNKNOWN;
        self.exit()
    }

    fn allowed(&self, helper: &'static Helper) -> Result<(), What> {
        let name = helper.name;
        if !helper.allowed_in(self.env.kind) {
            return Err(What::HelperNotAllowed {
                helper: name,
                kind: self.env.kind,
            });
        }
        if helper.gpl_only && !self.env.license_gpl {
            return Err(What::GplOnly { helper: name });
        }
        let atomic = self.holds(Thing::Rcu) || self.holds(Thing::Preempt);
        if helper.may_sleep() && (atomic || !self.env.sleepable) {
            return Err(What::Sleeps { helper: name });
        }
        if NOT_MODELLED.contains(&helper.id) {
            return Err(What::NotModelled(name));
        }
        match NEWER.iter().find(|row| row.0 == helper.id) {
            Some((_, has, since)) if !has(&self.env.features) => Err(What::Missing {
                feature: name,
                since,
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn argument(
        &mut self,
        helper: &Signature,
        at: usize,
        arg: Arg,
        seen: &mut Seen,
    ) -> Result<(), What> {
        let reg = ARGS[at];
        let value = self.read(reg)?;
        let wrong = || match value.lost_at() {
            Some(by) => What::Lost { reg, by },
            None => What::Argument {
                helper: helper.name,
                reg,
                wants: arg,
                holds: value.kernel_name(),
            },
        };
        let nullable = matches!(
            arg,
            Arg::CtxOrNull
                | Arg::MapValueOrNull
                | Arg::MemOrNull
                | Arg::StackOrNull
                | Arg::SockOrNull
        );
        if nullable && value.is_zero() {
            self.facts.decides(self.at, reg);
            seen.context = Some(value);
            return Ok(());
        }
        if value.nullable && arg != Arg::Any && !nullable {
            return Err(wrong());
        }
        match arg {
            Arg::Any => Ok(()),
            Arg::Ctx | Arg::CtxOrNull => {
                if value.kind != Kind::Ctx {
                    return Err(wrong());
                }
                if value.fixed_off() != Some(0) {
                    return Err(What::MovedContext);
                }
                Ok(())
            }
            Arg::Map => {
                let Kind::Map(map) = value.kind else {
                    return Err(wrong());
                };
                seen.map = Some(map);
                let given = &mut self.report.given[self.at];
                if !given.contains(&map) {
                    given.push(map);
                }
                self.map_argument(helper, map)
            }
            Arg::MapKey | Arg::MapValue | Arg::MapValueOrNull | Arg::MapValueOut => {
                let Some(map) = seen.map else {
                    return Err(wrong());
                };
                let spec = &self.env.maps[usize::from(map)];
                let size = if arg == Arg::MapKey {
                    spec.key_size
                } else {
                    spec.value_size
                };
                let out = arg == Arg::MapValueOut;
                self.memory_kind(helper, reg, &value, wrong())?;
                self.helper_memory(reg, &value, size.into(), out, out, false)
            }
            Arg::FixedMem(size) | Arg::FixedOut(size) => {
                let out = matches!(arg, Arg::FixedOut(_));
                self.memory_kind(helper, reg, &value, wrong())?;
                if out && size > 1 {
                    self.aligned_argument(&value, size)?;
                }
                self.helper_memory(reg, &value, size.into(), out, out, false)
            }
            Arg::Mem | Arg::MemOrNull | Arg::Out => {
                let empty = value.is_zero() && self.zero_length_follows(helper, at);
                if empty {
                    return Err(wrong());
                }
                // Dynamic pointers are made to values of maps alone.
                if helper.id == 197 && !matches!(value.kind, Kind::MapValue(_)) {
                    return Err(wrong());
                }
                self.memory_kind(helper, reg, &value, wrong())
            }
            Arg::Size | Arg::SizeOrZero => self.length(helper, at, arg, &value, seen),
            Arg::ConstSize => {
                let Some(size) = value.var.constant().filter(|_| value.is_number()) else {
                    return Err(What::Length {
                        helper: helper.name,
                        reg,
                        fault: "is not a constant",
                    });
                };
                self.facts.decides(self.at, reg);
                seen.size = Some(size);
                self.buffer(helper, at, size)
            }
            Arg::Record => {
                if value.record == 0 || value.is_slice() || !matches!(value.kind, Kind::Mem(_)) {
                    return Err(wrong());
                }
                if value.fixed_off() != Some(0) {
                    return Err(What::Offset { reg });
                }
                seen.record = value.record;
                Ok(())
            }
            Arg::Func => match value.kind {
                Kind::Func(function) => {
                    seen.function = Some(function.into());
                    Ok(())
                }
                _ => Err(wrong()),
            },
            Arg::StackOrNull => match value.kind {
                Kind::Stack(_) => {
                    seen.context = Some(value);
                    Ok(())
                }
                _ => Err(wrong()),
            },
            Arg::Btf(name) => match value.kind {
                Kind::Btf(has) if has == name && value.fixed_off() == Some(0) => Ok(()),
                _ => Err(wrong()),
            },
            Arg::Sock | Arg::SockOrNull => {
                if !matches!(value.kind, Kind::Sock(_)) {
                    return Err(wrong());
                }
                if helper.id == SK_RELEASE {
                    if value.record == 0 {
                        return Err(What::NotHeld { reg });
                    }
                    seen.record = value.record;
                }
                seen.cast = value.record;
                Ok(())
            }
            Arg::Number => match value.is_number() {
                true => Ok(()),
                false => Err(wrong()),
            },
            Arg::Given(name) => match value.kind {
                Kind::Btf(has) if has == name && value.fixed_off() == Some(0) => {
                    if value.record == 0 {
                        return Err(What::NotHeld { reg });
                    }
                    seen.record = value.record;
                    Ok(())
                }
                _ => Err(wrong()),
            },
            Arg::IterNew => {
                let place = self.object_place(&value, 8)?.ok_or_else(wrong)?;
                if self.count(place).is_some() {
                    return Err(wrong());
                }
                self.begin_count(place)
            }
            Arg::Iter => {
                let place = self.object_place(&value, 8)?.ok_or_else(wrong)?;
                let count = self.count(place).ok_or_else(wrong)?;
                (seen.record, seen.object) = (count.record, Some(place));
                Ok(())
            }
            Arg::DynptrOut => {
                let place = self.object_place(&value, 16)?.ok_or_else(wrong)?;
                let dynptr = match helper.id {
                    197 => Dyn::Local,
                    198 => Dyn::Ring,
                    _ => Dyn::Packet,
                };
                self.make_dynptr(place, dynptr)
            }
            Arg::Dynptr => {
                let place = self.object_place(&value, 16)?.ok_or_else(wrong)?;
                let dynptr = self.dynptr(place).ok_or_else(wrong)?;
                let ends = matches!(helper.id, 199 | 200);
                if ends {
                    if dynptr.0 != Dyn::Ring {
                        return Err(wrong());
                    }
                    (seen.record, seen.object) = (dynptr.1.record, Some(place));
                }
                seen.dynptr = Some(dynptr);
                Ok(())
            }
            Arg::ConstStr
            | Arg::Timer
            | Arg::SpinLock
            | Arg::Percpu
            | Arg::Kptr
            | Arg::KptrValue => Err(What::NotModelled(helper.name)),
        }
    }

    /// The memory that a kernel function may copy to, as long as the constant behind it says.
    fn buffer(&mut self, helper: &Signature, at: usize, size: u64) -> Result<(), What> {
        let before = at.saturating_sub(1);
        if helper.args.get(before) != Some(&Arg::MemOrNull) {
            return Ok(());
        }
        let base = self.read(ARGS[before])?;
        if base.is_zero() {
            return Ok(());
        }
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.helper_memory(ARGS[before], &base, size, true, false, true)
    }

    fn aligned_argument(&self, value: &Value, size: u32) -> Result<(), What> {
        let off = i64::from(value.off).cast_unsigned();
        let at = value.var.bits.add(super::tnum::Tnum::known(off));
        if !at.is_aligned(size.into()) {
            return Err(What::Misaligned { size });
        }
        Ok(())
    }

    fn zero_length_follows(&self, helper: &Signature, at: usize) -> bool {
        helper.args.get(at + 1) != Some(&Arg::SizeOrZero)
    }

    /// Whether a helper takes memory of that kind.
    fn memory_kind(
        &self,
        helper: &Signature,
        reg: Reg,
        value: &Value,
        wrong: What,
    ) -> Result<(), What> {
        match value.kind {
            Kind::Packet | Kind::PacketMeta if helper.takes_packet => Ok(()),
            Kind::Packet | Kind::PacketMeta => Err(What::PacketArgument {
                helper: helper.name,
                reg,
            }),
            Kind::Stack(_)
            | Kind::MapValue(_)
            | Kind::MapKey(_)
            | Kind::Mem(_)
            | Kind::ConstMem(_) => Ok(()),
            _ => Err(wrong),
        }
    }

    fn map_argument(&self, helper: &Signature, map: u16) -> Result<(), What> {
        let spec = &self.env.maps[usize::from(map)];
        // Writes through helpers to a map that programs may only read.
        if matches!(helper.id, 2 | 3) && spec.flags & (1 << 7) != 0 {
            return Err(What::ReadOnly);
        }
        if helper.id != 0 && !takes(helper.id, spec.kind) {
            return Err(What::MapKind {
                helper: helper.name,
                map: map.into(),
            });
        }
        Ok(())
    }

    /// A length, and the memory in the argument before it.
    fn length(
        &mut self,
        helper: &Signature,
        at: usize,
        arg: Arg,
        value: &Value,
        seen: &mut Seen,
    ) -> Result<(), What> {
        let reg = ARGS[at];
        let fault = |fault| What::Length {
            helper: helper.name,
            reg,
            fault,
        };
        if !value.is_number() {
            return Err(fault("holds a pointer"));
        }
        let zero_allowed = arg == Arg::SizeOrZero;
        if value.var.smin < 0 {
            return Err(fault("may be negative"));
        }
        if value.var.umin == 0 && !zero_allowed {
            return Err(fault("may be 0"));
        }
        let max = value.var.umax;
        let Some(size) = i64::try_from(max).ok().filter(|max| *max < MAX_OFF) else {
            return Err(fault("has no upper bound"));
        };
        seen.max = Some(max);
        let most = &mut self.report.lengths[self.at];
        *most = max.max(*most);
        self.facts.decides(self.at, reg);
        let before = at.saturating_sub(1);
        let base = self.read(ARGS[before])?;
        if base.is_zero() {
            if zero_allowed && size == 0 {
                return Ok(());
            }
            return Err(fault("is not 0 though there is no memory"));
        }
        let writes = helper.args.get(before) == Some(&Arg::Out);
        let constant = value.var.constant().is_some();
        self.helper_memory(ARGS[before], &base, size, writes, constant, zero_allowed)
    }

    /// Ends a record's life: what pointed to it are numbers now.
    pub(super) fn release(&mut self, record: u32) {
        let lost = Value::lost(self.at);
        self.state.held.retain(|held| held.id != record);
        self.state.each(|value| {
            if value.record == record {
                *value = lost;
            }
        });
    }

    /// Enters the function that a helper calls back.
    fn call_back(&mut self, id: u32, function: usize, seen: &Seen) -> Result<(), What> {
        let context = seen.context.unwrap_or(Value::known(0));
        let none = Value::NOT_INIT;
        let args = match (id, seen.map) {
            (164, Some(map)) => [
                Value::pointer(Kind::Map(map), 0),
                Value::pointer(Kind::MapKey(map), 0),
                Value::pointer(Kind::MapValue(map), 0),
                context,
                none,
            ],
            (181, _) => [Value::UNKNOWN, context, none, none, none],
            _ => return Err(What::NotModelled("this callback")),
        };
        if id == 181 {
            self.facts.decides(self.at, Reg::R1);
            let turns = self.reg(Reg::R1).var.umax;
            if self.state.top().turns >= turns {
                self.state.top_mut().turns = 0;
                return Ok(());
            }
        }
        let mut state = self.state.clone();
        state.unrolled += 1;
        state.top_mut().turns += 1;
        let start = self.enter(&mut state, function, Entry::Callback, args)?;
        self.push(state, start)?;
        self.state.top_mut().turns = 0;
        Ok(())
    }

    /// Something is taken that has to be given back; its id.
    pub(super) fn take(&mut self, thing: Thing) -> u32 {
        let (id, at) = (self.new_id(), self.at);
        self.state.held.push(Held { id, at, thing });
        id
    }

    pub(super) fn result(&mut self, helper: &Signature, seen: &Seen) -> Result<Value, What> {
        Ok(match helper.ret {
            Ret::Int => {
                let mut value = Value::UNKNOWN;
                if let (true, Some(max)) = (SIZED.contains(&helper.id), seen.max) {
                    value.var.smax = i64::try_from(max).unwrap_or(i64::MAX);
                    value.var.smin = -4095;
                    value.var.smax32 = i32::try_from(max).unwrap_or(i32::MAX);
                    value.var.smin32 = -4095;
                    value.var.settle();
                }
                value
            }
            Ret::Void => Value::NOT_INIT,
            Ret::MapValueOrNull => {
                let map = seen.map.ok_or(What::NotModelled(helper.name))?;
                let id = self.new_id();
                Value::nullable(Kind::MapValue(map), id)
            }
            Ret::RecordOrNull => {
                let size = seen.size.unwrap_or(0);
                let size = u32::try_from(size).unwrap_or(u32::MAX);
                let id = self.take(Thing::Record);
                let mut value = Value::nullable(Kind::Mem(size), id);
                value.record = id;
                value
            }
            Ret::Btf(name) => Value::pointer(Kind::Btf(name), 0),
            Ret::SockOrNull => {
                let row = SOCKETS.iter().find(|row| row.0 == helper.id);
                let (_, sock, gives) = *row.ok_or(What::NotModelled(helper.name))?;
                let id = match gives {
                    Gives::Held => self.take(Thing::Socket),
                    _ => self.new_id(),
                };
                let mut value = Value::nullable(Kind::Sock(sock), id);
                value.record = match gives {
                    Gives::Held => id,
                    Gives::Part => seen.cast,
                    Gives::Loose => 0,
                };
                value
            }
            Ret::DynptrMemOrNull | Ret::SliceOrNull => {
                let dynptr = seen.dynptr.ok_or(What::NotModelled(helper.name))?;
                let size = seen.size.unwrap_or(0);
                let size = u32::try_from(size).unwrap_or(u32::MAX);
                let kind = match helper.ret {
                    Ret::SliceOrNull => Kind::ConstMem(size),
                    _ => Kind::Mem(size),
                };
                let id = self.new_id();
                Value::slice(kind, id, dynptr)
            }
            Ret::BtfOrNull(name) if helper.id == 0 => {
                let id = self.new_id();
                Value::nullable(Kind::Btf(name), id)
            }
            Ret::MapValue
            | Ret::BtfOrNull(_)
            | Ret::Percpu
            | Ret::PercpuOrNull
            | Ret::NextOrNull(_)
            | Ret::KptrOrNull => return Err(What::NotModelled(helper.name)),
        })
    }
}
