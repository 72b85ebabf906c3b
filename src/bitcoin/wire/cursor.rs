//! Reading forward through a payload, with the byte at which it ran out.

use std::fmt;

/// Why a payload is not the message its type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Byte of the payload at which reading stopped.
    pub offset: usize,
    /// The field that was being read: `inputs[3].script`.
    pub field: String,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong at a place of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// More bytes are wanted than are left.
    Short {
        /// Bytes the field takes.
        wanted: u64,
        /// Bytes that were left.
        left: usize,
    },
    /// A count or length in a longer form than it needs.
    NotCanonical(u64),
    /// A transaction's flag byte after a zero input count is not 1.
    Flag(u8),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at byte {}: ", self.field, self.offset)?;
        match self.why {
            Why::Short { wanted, left } => write!(f, "{wanted} bytes wanted, {left} left"),
            Why::NotCanonical(n) => write!(f, "count {n} is written longer than it needs to be"),
            Why::Flag(flag) => write!(f, "transaction flag is {flag}, not 1"),
        }
    }
}

impl std::error::Error for Error {}

/// A place in a payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Entries of each list that are kept.
    pub(super) keep: usize,
}

/// What reading one thing gives; the engine adds the field's name.
pub(super) type Read<T> = Result<T, Error>;

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], keep: usize) -> Self {
        Cursor { bytes, at: 0, keep }
    }

    /// Bytes read so far.
    pub(super) fn at(self) -> usize {
        self.at
    }

    /// Bytes not yet read.
    pub(super) fn left(self) -> usize {
        self.bytes.len() - self.at
    }

    /// What was read since `from`, an earlier [`Cursor::at`].
    pub(super) fn since(self, from: usize) -> &'a [u8] {
        &self.bytes[from..self.at]
    }

    pub(super) fn error(self, why: Why) -> Error {
        Error {
            offset: self.at,
            field: String::new(),
            why,
        }
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: u64) -> Read<&'a [u8]> {
        let short = Why::Short {
            wanted: count,
            left: self.left(),
        };
        let Some(count) = usize::try_from(count).ok().filter(|&n| n <= self.left()) else {
            return Err(self.error(short));
        };
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    /// A count: one byte up to 252, else 253, 254 or 255 and 2, 4 or 8 bytes, little-endian, in the shortest form.
    pub(super) fn compact_size(&mut self) -> Read<u64> {
        let start = *self;
        let first = self.array::<1>()?[0];
        let (value, least) = match first {
            253 => (u64::from(u16::from_le_bytes(self.array()?)), 253),
            254 => (u64::from(u32::from_le_bytes(self.array()?)), 1 << 16),
            255 => (u64::from_le_bytes(self.array()?), 1 << 32),
            n => (u64::from(n), 0),
        };
        if value < least {
            return Err(start.error(Why::NotCanonical(value)));
        }
        Ok(value)
    }
}
