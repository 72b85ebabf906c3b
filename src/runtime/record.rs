//! Walks one record, from its bytes to groups, blobs and fields; wrong bytes give an error, never a panic.

use std::fmt;

use crate::spec::{BLOB_TAG, EventPlan, Field, RECORD_HEADER, StructDef};

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Shorter than what it says of itself.
    Short {
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// No group of that number.
    Group(u32),
    /// A field reaches beyond its group.
    Field(u32),
    /// An offset that does not lead to a blob.
    Blob(u32),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Short { need, have } => {
                write!(f, "reading a record: it needs {need} bytes and has {have}")
            }
            RecordError::Group(id) => write!(f, "reading a record: no output group {id}"),
            RecordError::Field(at) => {
                write!(
                    f,
                    "reading a record: the argument at {at} is outside its group"
                )
            }
            RecordError::Blob(at) => write!(f, "reading a record: no data at offset {at}"),
        }
    }
}

impl std::error::Error for RecordError {}

/// A record whose header is sound.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8],
}

/// One item of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A group's number and its arguments.
    Group(u32, &'a [u8]),
    /// Bytes that a field may refer to.
    Blob(&'a [u8]),
}

/// The bytes of a value, and whether they lie in a blob: a blob's length is its own, a fixed place's is its type's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// They are a blob.
    pub blob: bool,
}

impl<'a> Raw<'a> {
    /// A value in a fixed place.
    pub fn fixed(bytes: &'a [u8]) -> Self {
        Raw { bytes, blob: false }
    }

    /// Part of a fixed place; empty where it does not reach.
    pub fn part(&self, at: u32, size: u32) -> Raw<'a> {
        let at = at as usize;
        Raw::fixed(self.bytes.get(at..at + size as usize).unwrap_or(&[]))
    }
}

/// Little helper of all readers: a `u32` in host order.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    Some(u32::from_ne_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// A `u64` in host order.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let end = at.checked_add(8)?;
    Some(u64::from_ne_bytes(bytes.get(at..end)?.try_into().ok()?))
}

impl<'a> Record<'a> {
    /// Checks the header and cuts off the ring's padding.
    pub fn new(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let short = |need| RecordError::Short {
            need,
            have: bytes.len(),
        };
        let header = RECORD_HEADER as usize;
        let len = u32_at(bytes, 0).ok_or(short(header))? as usize;
        if len < header {
            return Err(short(header));
        }
        let bytes = bytes.get(..len).filter(|b| b.len() >= header);
        Ok(Record {
            bytes: bytes.ok_or(short(len))?,
        })
    }

    /// Index of the program that sent it.
    pub fn program(&self) -> u16 {
        // The low half of the second word.
        u32_at(self.bytes, 4).map_or(0, |w| (w & 0xffff) as u16)
    }

    /// Its flags.
    pub fn flags(&self) -> u16 {
        u32_at(self.bytes, 4).map_or(0, |w| (w >> 16) as u16)
    }

    /// The item at `*at`, which is moved past it; `None` at the end. Start with [`RECORD_HEADER`].
    pub fn item(
        &self,
        at: &mut usize,
        size_of: impl Fn(u32) -> Option<u32>,
    ) -> Option<Result<Item<'a>, RecordError>> {
        if *at >= self.bytes.len() {
            return None;
        }
        Some(self.item_at(at, size_of))
    }

    fn item_at(
        &self,
        at: &mut usize,
        size_of: impl Fn(u32) -> Option<u32>,
    ) -> Result<Item<'a>, RecordError> {
        let have = self.bytes.len();
        let tag = u32_at(self.bytes, *at).ok_or(RecordError::Short {
            need: *at + 4,
            have,
        })?;
        let blob = tag & BLOB_TAG != 0;
        let size = if blob {
            tag & !BLOB_TAG
        } else {
            size_of(tag).ok_or(RecordError::Group(tag))?
        } as usize;
        let start = *at + 4;
        let body = self
            .bytes
            .get(start..start + size)
            .ok_or(RecordError::Short {
                need: start + size,
                have,
            })?;
        *at = start + size;
        Ok(if blob {
            Item::Blob(body)
        } else {
            Item::Group(tag, body)
        })
    }

    /// All items, by the sizes of `plan`.
    pub fn items(&self, plan: &EventPlan) -> Result<Vec<Item<'a>>, RecordError> {
        let mut at = RECORD_HEADER as usize;
        let size_of = |id: u32| plan.groups.get(id as usize).map(|g| g.size);
        std::iter::from_fn(|| self.item(&mut at, size_of)).collect()
    }

    /// The bytes of `field`, whose group's arguments are `args`.
    pub fn field(
        &self,
        args: &'a [u8],
        field: &Field,
        structs: &[StructDef],
    ) -> Result<Raw<'a>, RecordError> {
        let at = field.at as usize;
        if !field.blob {
            let size = field.ty.size(structs) as usize;
            let bytes = args
                .get(at..at + size)
                .ok_or(RecordError::Field(field.at))?;
            return Ok(Raw::fixed(bytes));
        }
        self.blob(args, field.at)
    }

    /// The bytes of the blob whose offset stands at `at` of `args`.
    #[inline]
    pub fn blob(&self, args: &'a [u8], at: u32) -> Result<Raw<'a>, RecordError> {
        let offset = u32_at(args, at as usize).ok_or(RecordError::Field(at))?;
        if offset == 0 {
            return Ok(Raw {
                bytes: &[],
                blob: true,
            });
        }
        let wrong = RecordError::Blob(offset);
        let tag = u32_at(self.bytes, offset as usize).ok_or(wrong)?;
        if tag & BLOB_TAG == 0 {
            return Err(wrong);
        }
        let start = offset as usize + 4;
        let len = (tag & !BLOB_TAG) as usize;
        let bytes = self.bytes.get(start..start + len).ok_or(wrong)?;
        Ok(Raw { bytes, blob: true })
    }
}
