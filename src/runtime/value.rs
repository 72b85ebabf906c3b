//! A value of any type as text, the way `print` shows it.

use std::{
    ffi::CStr,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{
    clock::Clock,
    int,
    maps::{Address, MapReader, Symbols},
    names,
    record::{Raw, u32_at, u64_at},
};
use crate::spec::{Agg, StructDef, StructId, Type};

/// Frames of a stack; what is behind them in a walked one is no frame.
const MOST_FRAMES: usize = 127;

/// What formatting looks at besides the bytes.
pub struct Env<'a> {
    /// Structs that types refer to.
    pub structs: &'a [StructDef],
    /// Names of addresses.
    pub symbols: &'a mut dyn Symbols,
    /// Where stack traces are.
    pub maps: &'a mut dyn MapReader,
    /// Index of the stack trace map.
    pub stacks: Option<usize>,
    /// Index of the map of stacks that programs walked.
    pub walked: Option<usize>,
    /// Options and caches.
    pub common: &'a mut Common,
}

/// Options of formatting, and what is looked up once.
#[derive(Clone, Debug)]
pub struct Common {
    /// Put after a string that filled its room.
    pub trailer: String,
    /// Room of a string that has no size of its own.
    pub max_strlen: u32,
    /// Clocks for `strftime`.
    pub clock: Clock,
    /// Names of users and control groups.
    pub names: names::Names,
}

/// The bytes of a string value without its NUL, and whether it filled its room.
pub fn string<'a>(raw: Raw<'a>, size: u32, max_strlen: u32) -> (&'a [u8], bool) {
    let text = CStr::from_bytes_until_nul(raw.bytes).map_or(raw.bytes, CStr::to_bytes);
    // A fixed place as large as its literal is always full, and who names a length knows it: only the largest size
    // tells of a cut.
    let cut = size == max_strlen.saturating_add(1) && text.len() >= max_strlen as usize;
    (text, cut)
}

/// The content of a buffer value.
pub fn buffer<'a>(raw: Raw<'a>) -> &'a [u8] {
    if raw.blob {
        return raw.bytes;
    }
    let len = u32_at(raw.bytes, 0).unwrap_or(0) as usize;
    let room = raw.bytes.get(4..).unwrap_or(&[]);
    room.get(..len).unwrap_or(room)
}

/// Appends bytes as `buf` prints: `ascii` leaves printable ones, `escape` writes `\x` (else spaces between).
pub fn hex_bytes(out: &mut Vec<u8>, bytes: &[u8], ascii: bool, escape: bool) {
    for (i, &b) in bytes.iter().enumerate() {
        if ascii && (32..=126).contains(&b) {
            out.push(b);
            continue;
        }
        if escape {
            out.extend_from_slice(b"\\x");
        } else if i > 0 {
            out.push(b' ');
        }
        for nibble in [b >> 4, b & 15] {
            out.push(b"0123456789abcdef"[usize::from(nibble)]);
        }
    }
}

/// The number in a value that has one, extended to 64 bits, and whether it is signed.
pub fn number(ty: &Type, raw: Raw<'_>) -> Option<(u64, bool)> {
    let signed = match ty {
        Type::Bool
        | Type::Ptr(_)
        | Type::Username
        | Type::Errno
        | Type::Named { .. }
        | Type::Strftime { .. }
        | Type::CgroupPath { .. } => false,
        Type::Sym { .. } => return Some((u64_at(raw.bytes, 0).unwrap_or(0), false)),
        Type::Int { signed, .. } => *signed,
        Type::Enum { values, .. } => values.iter().any(|(v, _)| *v < 0),
        _ => return None,
    };
    Some((int::read(raw.bytes, signed), signed))
}

/// The enumerator of that value.
pub fn enumerator(values: &[(i64, String)], n: u64) -> Option<&str> {
    let found = values.iter().find(|(v, _)| v.cast_unsigned() == n);
    found.map(|(_, name)| name.as_str())
}

/// A value of struct type's field, bit-fields shifted out of their unit.
pub fn member<'a>(raw: Raw<'a>, field: &crate::spec::StructField, size: u32) -> Member<'a> {
    let place = raw.part(field.offset, size);
    match field.bits {
        None => Member::Plain(place),
        Some((first, width)) => {
            // As in bpftrace, without a sign whatever the type says.
            let unit = int::read(place.bytes, false) >> first.min(63);
            let unused = 64 - u32::from(width.clamp(1, 64));
            Member::Bits((unit << unused >> unused).to_ne_bytes())
        }
    }
}

/// Appends the members of a struct with their bytes; those of anonymous members stand in their place.
pub(super) fn members<'a>(
    structs: &'a [StructDef],
    id: StructId,
    raw: Raw<'a>,
    out: &mut Vec<(&'a str, &'a Type, Member<'a>)>,
) {
    let def = structs.get(id.0 as usize);
    for field in def.map_or(&[][..], |def| &def.fields) {
        let size = field.ty.size(structs);
        match &field.ty {
            Type::Struct(inner) if field.name.is_empty() => {
                members(structs, *inner, raw.part(field.offset, size), out);
            }
            ty => out.push((&field.name, ty, member(raw, field, size))),
        }
    }
}

/// Bytes of a struct's member.
pub enum Member<'a> {
    /// Where they are.
    Plain(Raw<'a>),
    /// A bit-field's value, as 64 bits.
    Bits([u8; 8]),
}

impl Env<'_> {
    /// Appends the value as text.
    pub fn text(&mut self, out: &mut Vec<u8>, ty: &Type, raw: Raw<'_>) {
        match ty {
            Type::Void => {}
            Type::Bool => {
                let yes = raw.bytes.first().is_some_and(|b| *b != 0);
                out.extend_from_slice(if yes { b"true" } else { b"false" });
            }
            Type::Int { signed, .. } => {
                let n = int::read(raw.bytes, *signed);
                if *signed {
                    int::push_i64(out, n.cast_signed());
                } else {
                    int::push_u64(out, n);
                }
            }
            Type::Enum { values, .. } => {
                let n = number(ty, raw).map_or(0, |(n, _)| n);
                match enumerator(values, n) {
                    Some(name) => out.extend_from_slice(name.as_bytes()),
                    None => int::push_i64(out, n.cast_signed()),
                }
            }
            Type::Str { size } => {
                let (text, cut) = string(raw, *size, self.common.max_strlen);
                out.extend_from_slice(text);
                if cut {
                    out.extend_from_slice(self.common.trailer.as_bytes());
                }
            }
            Type::Buf { .. } => hex_bytes(out, buffer(raw), true, true),
            Type::Ptr(_) => int::push_hex(out, int::read(raw.bytes, false)),
            Type::Array(elem, len) => self.list(out, b"[", b",", b"]", *len, raw, elem),
            Type::Tuple(elems) => {
                let (structs, offsets) = (self.structs, ty.offsets(self.structs));
                out.push(b'(');
                for (i, (elem, at)) in elems.iter().zip(offsets).enumerate() {
                    out.extend_from_slice(if i > 0 { b", " } else { b"" });
                    self.text(out, elem, raw.part(at, elem.size(structs)));
                }
                out.push(b')');
            }
            Type::Record(elems) => {
                let (structs, offsets) = (self.structs, ty.offsets(self.structs));
                let fields = elems.iter().zip(offsets);
                self.fields(
                    out,
                    fields.map(|((name, ty), at)| {
                        (
                            name.as_str(),
                            ty,
                            Member::Plain(raw.part(at, ty.size(structs))),
                        )
                    }),
                );
            }
            Type::Struct(id) => {
                let mut fields = Vec::new();
                let structs = self.structs;
                members(structs, *id, raw, &mut fields);
                self.fields(out, fields.into_iter());
            }
            Type::Stack {
                user,
                mode,
                depth,
                walked,
            } => {
                let map = if *walked { self.walked } else { self.stacks };
                self.stack(out, raw, map, *user, *mode, *depth);
            }
            Type::Sym { user } => {
                let addr = u64_at(raw.bytes, 0).unwrap_or(0);
                let pid = user.then(|| u32_at(raw.bytes, 8).unwrap_or(0));
                self.symbol(out, Address { addr, pid }, false);
            }
            Type::Inet => inet(out, raw.bytes),
            Type::Mac => {
                for (i, b) in raw.bytes.iter().take(6).enumerate() {
                    out.extend_from_slice(if i > 0 { b":" } else { b"" });
                    out.extend_from_slice(
                        &[b >> 4, b & 15].map(|n| b"0123456789ABCDEF"[usize::from(n)]),
                    );
                }
            }
            Type::Hash => {
                for b in raw.bytes.iter().take(32).rev() {
                    out.extend_from_slice(
                        &[b >> 4, b & 15].map(|n| b"0123456789abcdef"[usize::from(n)]),
                    );
                }
            }
            Type::Strftime { format, clock } => {
                self.common
                    .clock
                    .strftime(out, format, *clock, int::read(raw.bytes, false));
            }
            Type::Username => self.common.names.put_user(out, int::read(raw.bytes, false)),
            Type::Errno => names::errno(out, int::read(raw.bytes, false)),
            Type::Named { table } => names::named(out, *table, int::read(raw.bytes, false)),
            Type::CgroupPath { filter } => {
                let id = int::read(raw.bytes, false);
                self.common.names.put_cgroup(out, id, filter);
            }
            Type::Agg(agg) => {
                let one = [raw.bytes.to_vec()];
                super::aggregate::combine(agg, &one).text(out, 1);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "three of them are punctuation")]
    fn list(
        &mut self,
        out: &mut Vec<u8>,
        open: &[u8],
        between: &[u8],
        close: &[u8],
        len: u32,
        raw: Raw<'_>,
        elem: &Type,
    ) {
        let size = elem.size(self.structs);
        out.extend_from_slice(open);
        for i in 0..len {
            out.extend_from_slice(if i > 0 { between } else { b"" });
            self.text(out, elem, raw.part(i * size, size));
        }
        out.extend_from_slice(close);
    }

    fn fields<'f>(
        &mut self,
        out: &mut Vec<u8>,
        fields: impl Iterator<Item = (&'f str, &'f Type, Member<'f>)>,
    ) {
        let start = out.len();
        for (name, ty, value) in fields {
            out.extend_from_slice(if out.len() > start { b", " } else { b"{ " });
            out.push(b'.');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b" = ");
            match value {
                Member::Plain(raw) => self.text(out, ty, raw),
                Member::Bits(bytes) => self.text(out, &bit_field(ty), Raw::fixed(&bytes)),
            }
        }
        out.extend_from_slice(if out.len() > start { b" }" } else { b"{}" });
    }

    /// Appends a symbol's name, or its address.
    pub fn symbol(&mut self, out: &mut Vec<u8>, address: Address, offset: bool) {
        if address.addr == 0 {
            // As C's `%#x` prints it.
            out.push(b'0');
        } else if !self.symbols.name(out, address, offset) {
            int::push_hex(out, address.addr);
        }
    }

    /// Appends a stack trace: a line break, then a line a frame.
    pub fn stack(
        &mut self,
        out: &mut Vec<u8>,
        raw: Raw<'_>,
        map: Option<usize>,
        user: bool,
        mode: u8,
        depth: u32,
    ) {
        let id = u32_at(raw.bytes, 0).unwrap_or(0);
        let pid = u32_at(raw.bytes, 4).unwrap_or(0);
        out.push(b'\n');
        let found = map.and_then(|map| self.maps.lookup(map, &id.to_ne_bytes()).ok().flatten());
        let Some(frames) = found.and_then(|values| values.into_iter().next()) else {
            return;
        };
        let frames = frames
            .chunks_exact(8)
            .take(MOST_FRAMES)
            .map(|f| int::read(f, false));
        for addr in frames.take_while(|a| *a != 0).take(depth as usize) {
            let address = Address {
                addr,
                pid: user.then_some(pid),
            };
            match mode {
                1 => {
                    out.push(b'\t');
                    int::push_pow2(out, addr, 4, false);
                    out.push(b' ');
                    self.symbol(out, address, true);
                    if user {
                        out.extend_from_slice(b" (");
                        if !self.symbols.module(out, address) {
                            out.extend_from_slice(b"[unknown]");
                        }
                        out.push(b')');
                    }
                }
                0 => {
                    out.extend_from_slice(b"        ");
                    self.symbol(out, address, true);
                }
                3 if self.symbols.build_id(out, address) => {}
                _ => int::push_pow2(out, addr, 4, false),
            }
            out.push(b'\n');
        }
    }

    /// Appends a map's key as it stands between the brackets: a tuple without its parentheses.
    pub fn key(&mut self, out: &mut Vec<u8>, ty: &Type, raw: Raw<'_>) {
        let Type::Tuple(elems) = ty else {
            return self.text(out, ty, raw);
        };
        let (structs, offsets) = (self.structs, ty.offsets(self.structs));
        for (i, (elem, at)) in elems.iter().zip(offsets).enumerate() {
            out.extend_from_slice(if i > 0 { b", " } else { b"" });
            self.text(out, elem, raw.part(at, elem.size(structs)));
        }
    }
}

/// The type that a bit-field's 64 bits are printed by.
pub fn bit_field(ty: &Type) -> Type {
    match ty {
        Type::Int { signed, .. } => Type::Int {
            bits: 64,
            signed: *signed,
        },
        Type::Enum { name, values, .. } => Type::Enum {
            name: name.clone(),
            bits: 64,
            values: values.clone(),
        },
        _ => Type::U64,
    }
}

/// Is it an aggregation that prints as one number?
pub fn is_single(agg: &Agg) -> bool {
    matches!(
        agg,
        Agg::Count | Agg::Sum { .. } | Agg::Avg { .. } | Agg::Min { .. } | Agg::Max { .. }
    )
}

/// Appends an address as `inet_ntop` writes it.
fn inet(out: &mut Vec<u8>, bytes: &[u8]) {
    const AF_INET: u64 = 2;
    let family = u64_at(bytes, 0).unwrap_or(0);
    let addr: [u8; 16] = bytes
        .get(8..24)
        .and_then(|b| b.try_into().ok())
        .unwrap_or([0; 16]);
    let v4 = |at: usize| {
        let part = addr
            .get(at..at + 4)
            .and_then(|b| <[u8; 4]>::try_from(b).ok());
        Ipv4Addr::from(part.unwrap_or([0; 4]))
    };
    let text = if family == AF_INET {
        v4(0).to_string()
    } else if addr[..12] == [0; 12] && addr[12..14] != [0, 0] {
        format!("::{}", v4(12))
    } else {
        Ipv6Addr::from(addr).to_string()
    };
    out.extend_from_slice(text.as_bytes());
}
