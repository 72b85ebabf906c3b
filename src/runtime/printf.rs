//! `printf`: a format compiled once into segments, then applied to the arguments of each event.

use super::{
    int,
    record::{Raw, Record, RecordError},
    value::{self, Env},
};
use crate::spec::{Field, Type};

/// How an argument is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conv {
    Signed,
    Unsigned,
    Octal,
    Hex,
    UpperHex,
    Char,
    Str,
    Pointer,
    Buf { ascii: bool, escape: bool },
    Gfp,
}

/// One conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spec {
    conv: Conv,
    left: bool,
    plus: bool,
    space: bool,
    alt: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    /// Bits that the length modifier keeps; C's `int` without one.
    bits: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(Vec<u8>),
    Arg(Spec, Field),
    /// `%s` of a string or `%d` of a number, no flags: most of what scripts print.
    PlainStr {
        at: u32,
        size: u32,
    },
    PlainInt {
        at: u32,
        size: u32,
        signed: bool,
        long: bool,
    },
}

/// A format with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    segments: Vec<Segment>,
}

/// A format that its arguments do not fit; the text says how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError(pub String);

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "reading a format: {}", self.0)
    }
}

impl std::error::Error for FormatError {}

impl Format {
    /// Compiles `format`. Arguments are taken in order; `*` takes none and is no width.
    pub fn new(format: &str, args: &[Field]) -> Result<Self, FormatError> {
        let (mut segments, mut text) = (Vec::new(), Vec::new());
        let mut args = args.iter();
        let mut used = 0;
        let bytes = format.as_bytes();
        let mut at = 0;
        while let Some(&b) = bytes.get(at) {
            at += 1;
            if b != b'%' {
                text.push(b);
                continue;
            }
            let (spec, len) = parse(bytes.get(at..).unwrap_or(&[]));
            let Some(spec) = spec else {
                // `%%`, or a `%` that opens nothing, stands for itself.
                text.push(b'%');
                at += len;
                continue;
            };
            at += len;
            used += 1;
            let field = args.next().ok_or_else(|| {
                FormatError(format!("no argument for conversion {used} of {format:?}"))
            })?;
            if !text.is_empty() {
                segments.push(Segment::Text(std::mem::take(&mut text)));
            }
            segments.push(segment(spec, field.clone()));
        }
        if args.next().is_some() {
            return Err(FormatError(format!(
                "{used} conversions and more arguments in {format:?}"
            )));
        }
        if !text.is_empty() {
            segments.push(Segment::Text(text));
        }
        Ok(Format { segments })
    }

    /// Appends the formatted text.
    pub fn write<'a>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'a>,
        args: &'a [u8],
        env: &mut Env<'_>,
    ) -> Result<(), RecordError> {
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => out.extend_from_slice(text),
                &Segment::PlainStr { at, size } => {
                    let raw = record.blob(args, at)?;
                    let (text, cut) = value::string(raw, size, env.common.max_strlen);
                    out.extend_from_slice(text);
                    if cut {
                        out.extend_from_slice(env.common.trailer.as_bytes());
                    }
                }
                &Segment::PlainInt {
                    at,
                    size,
                    signed,
                    long,
                } => {
                    let bytes = args.get(at as usize..(at + size) as usize);
                    let bytes = bytes.ok_or(RecordError::Field(at))?;
                    let n = int::read(bytes, signed).cast_signed();
                    // C's `int` keeps the low 32 bits.
                    int::push_i64(out, if long { n } else { i64::from(n as i32) });
                }
                Segment::Arg(spec, field) => {
                    let raw = record.field(args, field, env.structs)?;
                    spec.write(out, &field.ty, raw, env);
                }
            }
        }
        Ok(())
    }
}

fn segment(spec: Spec, field: Field) -> Segment {
    let plain = !spec.left
        && !spec.plus
        && !spec.space
        && !spec.zero
        && spec.width == 0
        && spec.precision.is_none();
    let at = field.at;
    match (spec.conv, &field.ty, field.blob) {
        (Conv::Str, &Type::Str { size }, true) if plain => Segment::PlainStr { at, size },
        (Conv::Signed, &Type::Int { bits, signed }, false) if plain && spec.bits >= 32 => {
            let (size, long) = (u32::from(bits) / 8, spec.bits == 64);
            Segment::PlainInt {
                at,
                size,
                signed,
                long,
            }
        }
        _ => Segment::Arg(spec, field),
    }
}

/// Reads what follows a `%`: the conversion and its length. `(None, n)`: no conversion, skip `n` bytes.
fn parse(bytes: &[u8]) -> (Option<Spec>, usize) {
    let mut at = 0;
    let peek = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let mut spec = Spec {
        conv: Conv::Str,
        left: false,
        plus: false,
        space: false,
        alt: false,
        zero: false,
        width: 0,
        precision: None,
        bits: 32,
    };
    loop {
        match peek(at) {
            b'-' => spec.left = true,
            b'+' => spec.plus = true,
            b' ' => spec.space = true,
            b'#' => spec.alt = true,
            b'0' => spec.zero = true,
            _ => break,
        }
        at += 1;
    }
    let number = |at: &mut usize| {
        let mut n = 0usize;
        while let b @ (b'0'..=b'9' | b'*') = peek(*at) {
            if b != b'*' {
                n = (n * 10 + usize::from(b - b'0')).min(1 << 16);
            }
            *at += 1;
        }
        n
    };
    spec.width = number(&mut at);
    if peek(at) == b'.' {
        at += 1;
        let star = peek(at) == b'*';
        let n = number(&mut at);
        spec.precision = (!star).then_some(n);
    }
    loop {
        match (peek(at), peek(at + 1)) {
            (b'h', b'h') => {
                spec.bits = 8;
                at += 1;
            }
            (b'h', _) => spec.bits = 16,
            (b'l' | b'j' | b'z' | b't' | b'L', _) => spec.bits = 64,
            _ => break,
        }
        at += 1;
    }
    let (conv, len) = match (peek(at), peek(at + 1)) {
        (b'd' | b'i', _) => (Conv::Signed, 1),
        (b'u', _) => (Conv::Unsigned, 1),
        (b'o', _) => (Conv::Octal, 1),
        (b'x', _) => (Conv::Hex, 1),
        (b'X', _) => (Conv::UpperHex, 1),
        (b'c', _) => (Conv::Char, 1),
        (b's', _) => (Conv::Str, 1),
        (b'p', _) => (Conv::Pointer, 1),
        (b'g', b'r') => (Conv::Gfp, 2),
        (b'r', b'x') => (
            Conv::Buf {
                ascii: false,
                escape: true,
            },
            2,
        ),
        (b'r', b'h') => (
            Conv::Buf {
                ascii: false,
                escape: false,
            },
            2,
        ),
        (b'r', _) => (
            Conv::Buf {
                ascii: true,
                escape: true,
            },
            1,
        ),
        (b'%', _) => return (None, at + 1),
        _ => return (None, 0),
    };
    spec.conv = conv;
    (Some(spec), at + len)
}

impl Spec {
    fn write(&self, out: &mut Vec<u8>, ty: &Type, raw: Raw<'_>, env: &mut Env<'_>) {
        let start = out.len();
        if let Conv::Buf { ascii, escape } = self.conv {
            value::hex_bytes(out, value::buffer(raw), ascii, escape);
            return self.pad(out, start);
        }
        let number = value::number(ty, raw);
        match (self.conv, number) {
            (Conv::Str, _) | (_, None) => {
                // As bpftrace: a precision cuts no string.
                env.text(out, ty, raw);
                self.pad(out, start);
            }
            (Conv::Char, Some((n, _))) => {
                // C's `unsigned char`.
                out.push(n as u8);
                self.pad(out, start);
            }
            (Conv::Gfp, Some((n, _))) => {
                super::gfp::flags(out, n);
                self.pad(out, start);
            }
            (_, Some((n, _))) => self.integer(out, n),
        }
    }

    /// As C does: cast to the width, sign, prefix, precision, then padding.
    fn integer(&self, out: &mut Vec<u8>, n: u64) {
        let unused = 64 - u32::from(self.bits);
        let (n, negative) = match self.conv {
            Conv::Signed => {
                let n = (n << unused).cast_signed() >> unused;
                (n.unsigned_abs(), n < 0)
            }
            Conv::Pointer => (n, false),
            _ => ((n << unused) >> unused, false),
        };
        let start = out.len();
        match self.conv {
            Conv::Signed if negative => out.push(b'-'),
            Conv::Signed if self.plus => out.push(b'+'),
            Conv::Signed if self.space => out.push(b' '),
            Conv::Pointer if n != 0 => out.extend_from_slice(b"0x"),
            Conv::Hex if self.alt && n != 0 => out.extend_from_slice(b"0x"),
            Conv::UpperHex if self.alt && n != 0 => out.extend_from_slice(b"0X"),
            _ => {}
        }
        let digits = out.len();
        if !(n == 0 && self.precision == Some(0)) {
            match self.conv {
                Conv::Octal => int::push_pow2(out, n, 3, false),
                Conv::Hex | Conv::Pointer => int::push_pow2(out, n, 4, false),
                Conv::UpperHex => int::push_pow2(out, n, 4, true),
                _ => int::push_u64(out, n),
            }
        }
        let least = match self.precision {
            Some(precision) => precision,
            None if self.zero && !self.left => self.width.saturating_sub(digits - start),
            None => 0,
        };
        let have = out.len() - digits;
        if have < least {
            out.splice(digits..digits, std::iter::repeat_n(b'0', least - have));
        }
        // C's `#` asks for a 0 in front of octal digits, whatever put it there.
        if self.conv == Conv::Octal && self.alt && out.get(digits) != Some(&b'0') {
            out.insert(digits, b'0');
        }
        self.pad(out, start);
    }

    /// Fills up to the width with spaces.
    fn pad(&self, out: &mut Vec<u8>, start: usize) {
        let Some(missing) = self.width.checked_sub(out.len() - start) else {
            return;
        };
        if self.left {
            out.resize(out.len() + missing, b' ');
        } else {
            out.splice(start..start, std::iter::repeat_n(b' ', missing));
        }
    }
}
