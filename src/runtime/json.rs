//! JSON output: one value a line, `{"type": …, "data": …}`, valid whatever bytes the traced program had.

use super::{
    aggregate::Total,
    int,
    record::Raw,
    value::{self, Env, Member},
};
use crate::spec::{Type, hist::Range};

/// Appends `bytes` as a JSON string; bytes that are not UTF-8 become the four characters `\xNN`.
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for &b in chunk.valid().as_bytes() {
            match b {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 => {
                    out.extend_from_slice(b"\\u00");
                    hex(out, b);
                }
                _ => out.push(b),
            }
        }
        for &b in chunk.invalid() {
            out.extend_from_slice(b"\\\\x");
            hex(out, b);
        }
    }
    out.push(b'"');
}

fn hex(out: &mut Vec<u8>, b: u8) {
    out.extend_from_slice(&[b >> 4, b & 15].map(|n| b"0123456789abcdef"[usize::from(n)]));
}

/// Appends a number, all of its digits, as bpftrace does: as a string where it is too large for an `int64`. A reader
/// that keeps numbers as doubles rounds beyond 2⁵³.
pub fn number(out: &mut Vec<u8>, n: i128) {
    let text = if i64::try_from(n).is_ok() {
        n.to_string()
    } else {
        format!("\"{n}\"")
    };
    out.extend_from_slice(text.as_bytes());
}

/// Appends a whole line: `type` and whatever `data` appends.
pub fn line(out: &mut Vec<u8>, kind: &str, data: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"type\": \"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\", \"data\": ");
    data(out);
    out.extend_from_slice(b"}\n");
}

fn range(out: &mut Vec<u8>, range: Range, count: u64) {
    out.push(b'{');
    if let Some(lo) = range.lo {
        out.extend_from_slice(b"\"min\": ");
        number(out, lo);
        out.extend_from_slice(b", ");
    }
    if let Some(hi) = range.hi {
        out.extend_from_slice(b"\"max\": ");
        number(out, hi - 1);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(b"\"count\": ");
    int::push_u64(out, count);
    out.push(b'}');
}

/// Appends an aggregation.
pub fn total(out: &mut Vec<u8>, total: &Total) {
    use super::aggregate::order;
    match total {
        Total::Number { value, signed } => number(out, order(*value, *signed)),
        Total::Stats {
            count,
            total,
            average,
            signed,
        } => {
            let (total, average) = (order(*total, *signed), order(*average, *signed));
            for (name, n) in [
                ("{\"count\": ", i128::from(*count)),
                (", \"average\": ", average),
                (", \"total\": ", total),
            ] {
                out.extend_from_slice(name.as_bytes());
                number(out, n);
            }
            out.push(b'}');
        }
        Total::Buckets { rows, .. } => {
            out.push(b'[');
            for (i, (bounds, count)) in rows.iter().enumerate() {
                out.extend_from_slice(if i > 0 { b"," } else { b"" });
                range(out, *bounds, *count);
            }
            out.push(b']');
        }
        Total::Series { points, signed } => {
            out.push(b'[');
            for (i, (at, value)) in points.iter().enumerate() {
                out.extend_from_slice(if i > 0 { b"," } else { b"" });
                out.extend_from_slice(b"{\"interval_start\":\"");
                super::clock::format_time(out, "%Y-%m-%d %H:%M:%S", i128::from(*at));
                out.extend_from_slice(
                    format!(".{:09}\",\"value\":", at % 1_000_000_000).as_bytes(),
                );
                number(out, order(*value, *signed));
                out.push(b'}');
            }
            out.push(b']');
        }
    }
}

/// The `type` of a map's line.
pub fn map_kind(ty: &Type) -> &'static str {
    use crate::spec::Agg;
    match ty {
        Type::Agg(Agg::Hist { .. } | Agg::Lhist { .. }) => "hist",
        Type::Agg(Agg::Stats { .. } | Agg::Avg { .. }) => "stats",
        Type::Agg(Agg::Tseries { .. }) => "tseries",
        _ => "map",
    }
}

impl Env<'_> {
    /// Appends the value as JSON.
    pub fn json(&mut self, out: &mut Vec<u8>, ty: &Type, raw: Raw<'_>) {
        match ty {
            Type::Void => out.extend_from_slice(b"null"),
            Type::Bool => self.text(out, ty, raw),
            Type::Int { .. } | Type::Enum { .. } | Type::Ptr(_) => {
                let (n, signed) = value::number(ty, raw).unwrap_or((0, false));
                number(out, super::aggregate::order(n, signed));
            }
            Type::Array(elem, len) => {
                let size = elem.size(self.structs);
                let parts = (0..*len).map(|i| (&**elem, raw.part(i * size, size)));
                self.json_list(out, parts);
            }
            Type::Tuple(elems) => {
                let structs = self.structs;
                let parts = elems.iter().zip(ty.offsets(structs));
                self.json_list(
                    out,
                    parts.map(|(ty, at)| (ty, raw.part(at, ty.size(structs)))),
                );
            }
            Type::Record(elems) => {
                let structs = self.structs;
                let parts = elems.iter().zip(ty.offsets(structs));
                self.json_object(
                    out,
                    parts.map(|((name, ty), at)| {
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
                value::members(structs, *id, raw, &mut fields);
                self.json_object(out, fields.into_iter());
            }
            Type::Buf { .. } => {
                out.push(b'[');
                for (i, b) in value::buffer(raw).iter().enumerate() {
                    out.extend_from_slice(if i > 0 { b"," } else { b"" });
                    number(out, i128::from(b.cast_signed()));
                }
                out.push(b']');
            }
            Type::Agg(agg) => total(out, &super::aggregate::combine(agg, &[raw.bytes.to_vec()])),
            _ => {
                let mut text = Vec::new();
                self.text(&mut text, ty, raw);
                string(out, &text);
            }
        }
    }

    fn json_list<'v>(
        &mut self,
        out: &mut Vec<u8>,
        parts: impl Iterator<Item = (&'v Type, Raw<'v>)>,
    ) {
        out.push(b'[');
        for (i, (ty, raw)) in parts.enumerate() {
            out.extend_from_slice(if i > 0 { b"," } else { b"" });
            self.json(out, ty, raw);
        }
        out.push(b']');
    }

    fn json_object<'v>(
        &mut self,
        out: &mut Vec<u8>,
        fields: impl Iterator<Item = (&'v str, &'v Type, Member<'v>)>,
    ) {
        out.push(b'{');
        for (i, (name, ty, member)) in fields.enumerate() {
            out.extend_from_slice(if i > 0 { b", " } else { b"" });
            string(out, name.as_bytes());
            out.extend_from_slice(b": ");
            match member {
                Member::Plain(raw) => self.json(out, ty, raw),
                Member::Bits(bytes) => self.json(out, &value::bit_field(ty), Raw::fixed(&bytes)),
            }
        }
        out.push(b'}');
    }

    /// Appends a map's key as a JSON string: several keys with commas and no spaces between them.
    pub fn json_key(&mut self, out: &mut Vec<u8>, ty: &Type, raw: Raw<'_>) {
        let mut text = Vec::new();
        if let Type::Tuple(elems) = ty {
            let structs = self.structs;
            for (i, (elem, at)) in elems.iter().zip(ty.offsets(structs)).enumerate() {
                text.extend_from_slice(if i > 0 { b"," } else { b"" });
                self.tight(&mut text, elem, raw.part(at, elem.size(structs)));
            }
        } else {
            self.tight(&mut text, ty, raw);
        }
        string(out, &text);
    }

    /// Appends a part of such a key: tuples and records without spaces.
    fn tight(&mut self, out: &mut Vec<u8>, ty: &Type, raw: Raw<'_>) {
        let structs = self.structs;
        let part = |ty: &Type, at| raw.part(at, ty.size(structs));
        let offsets = ty.offsets(structs);
        match ty {
            Type::Tuple(elems) => {
                out.push(b'(');
                for (i, (elem, at)) in elems.iter().zip(offsets).enumerate() {
                    out.extend_from_slice(if i > 0 { b"," } else { b"" });
                    self.tight(out, elem, part(elem, at));
                }
                out.push(b')');
            }
            Type::Record(elems) => {
                out.push(b'{');
                for (i, ((name, elem), at)) in elems.iter().zip(offsets).enumerate() {
                    out.extend_from_slice(if i > 0 { b",." } else { b"." });
                    out.extend_from_slice(name.as_bytes());
                    out.push(b'=');
                    self.tight(out, elem, part(elem, at));
                }
                out.push(b'}');
            }
            Type::Stack { .. } => {
                let start = out.len();
                self.text(out, ty, raw);
                let text = out.split_off(start);
                out.extend(text.into_iter().filter(|b| *b != b' '));
            }
            _ => self.text(out, ty, raw),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let mut out = Vec::new();
        string(&mut out, b"a\"\\\n\x01\xc3\xa9\xff");
        assert_eq!(out, b"\"a\\\"\\\\\\n\\u0001\xc3\xa9\\\\xff\"");
        let back: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(back, "a\"\\\n\u{1}é\\xff");
    }

    #[test]
    fn numbers() {
        for (n, want) in [
            (-5, "-5"),
            (1 << 53, "9007199254740992"),
            ((1 << 53) + 1, "9007199254740993"),
            (i128::from(i64::MIN), "-9223372036854775808"),
            (i128::from(u64::MAX), "\"18446744073709551615\""),
        ] {
            let mut out = Vec::new();
            number(&mut out, n);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
