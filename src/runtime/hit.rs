//! Puts the chunks of one probe hit together (format: `spec::event`); whole records pass through.

use std::{collections::HashMap, ops::Deref};

use super::record::u32_at;
use crate::spec::{BLOB_TAG, CHUNK, CHUNK_HEADER, LAST, RECORD_HEADER};

/// Largest record that is put together. No ring holds as much; a script that prints without end is stopped here.
const MOST: usize = 1 << 30;

/// Records on their way, of all CPUs.
///
/// A record without an end never comes out: its program has counted it, or it is counted here (see [`Hits::torn`]).
#[derive(Debug, Default)]
pub struct Hits {
    /// By CPU and slot.
    begun: HashMap<(u32, u32), Begun>,
    /// The record given out last; its memory is used again.
    whole: Vec<u8>,
    torn: Vec<u64>,
}

/// A record that is all there.
#[derive(Debug)]
pub enum Whole<'a> {
    /// In the ring, as it came.
    Ring(&'a [u8]),
    /// Put together of chunks. Who takes it out of here saves a copy; else its memory is used again.
    Chunks(&'a mut Vec<u8>),
}

impl Deref for Whole<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Whole::Ring(bytes) => bytes,
            Whole::Chunks(bytes) => bytes,
        }
    }
}

impl From<Whole<'_>> for Box<[u8]> {
    fn from(whole: Whole<'_>) -> Self {
        match whole {
            Whole::Ring(bytes) => bytes.into(),
            Whole::Chunks(bytes) => std::mem::take(bytes).into(),
        }
    }
}

/// A record whose first chunks are here.
#[derive(Debug, Default)]
struct Begun {
    sequence: u32,
    /// Of the chunk that comes next.
    index: u32,
    bytes: Vec<u8>,
}

/// The words before a chunk's bytes.
struct Head {
    program: u16,
    last: bool,
    slot: u32,
    sequence: u32,
    blob: u32,
    blob_len: u32,
    index: u32,
    before: u32,
}

impl Head {
    /// `None` if this is no chunk.
    fn read(data: &[u8]) -> Option<Head> {
        let word = u32_at(data, 4)?;
        let flags = (word >> 16) as u16;
        if flags & CHUNK == 0 {
            return None;
        }
        Some(Head {
            program: (word & 0xffff) as u16,
            last: flags & LAST != 0,
            slot: u32_at(data, 8)?,
            sequence: u32_at(data, 12)?,
            blob: u32_at(data, 16)?,
            blob_len: u32_at(data, 20)?,
            index: u32_at(data, 24)?,
            before: u32_at(data, 28)?,
        })
    }
}

impl Hits {
    /// Takes what a ring delivered from `cpu`. Gives the whole record once all of it is there.
    pub fn put<'a>(&'a mut self, cpu: u32, data: &'a [u8]) -> Option<Whole<'a>> {
        let Some(head) = Head::read(data) else {
            return Some(Whole::Ring(data));
        };
        let len = u32_at(data, 0).unwrap_or(0) as usize;
        let Some(payload) = data.get(CHUNK_HEADER as usize..len) else {
            // No program sends this.
            self.count_torn(head.program);
            return None;
        };
        let key = (cpu, head.slot);
        if head.index == 0 {
            // Memory of a record that came to no end, or of the one before.
            let mut begun = self.begun.remove(&key).unwrap_or_default();
            if begun.bytes.capacity() == 0 {
                begun.bytes = std::mem::take(&mut self.whole);
            }
            begun.bytes.clear();
            begun.bytes.resize(RECORD_HEADER as usize, 0);
            (begun.sequence, begun.index) = (head.sequence, 0);
            self.begun.insert(key, begun);
        }
        let fits = |begun: &&mut Begun| {
            begun.sequence == head.sequence
                && begun.index == head.index
                && begun.bytes.len() == RECORD_HEADER as usize + head.before as usize
                && begun.bytes.len() + payload.len() + head.blob_len as usize <= MOST
        };
        let Some(begun) = self.begun.get_mut(&key).filter(fits) else {
            self.begun.remove(&key);
            if head.last {
                // The program believes that all of it arrived.
                self.count_torn(head.program);
            }
            return None;
        };
        begun.bytes.extend_from_slice(payload);
        begun.index += 1;
        let known = head.blob == 0 || set_length(&mut begun.bytes, head.blob, head.blob_len);
        if !known {
            self.begun.remove(&key);
            self.count_torn(head.program);
            return None;
        }
        if !head.last {
            return None;
        }
        if let Some(done) = self.begun.remove(&key) {
            self.whole = done.bytes;
        }
        let len = u32::try_from(self.whole.len()).unwrap_or(u32::MAX);
        let header = [len, u32::from(head.program)].map(u32::to_ne_bytes);
        self.whole[..RECORD_HEADER as usize].copy_from_slice(header.as_flattened());
        Some(Whole::Chunks(&mut self.whole))
    }

    /// How many records of that program could not be put together, though its ring refused none of their chunks: two
    /// programs wrote into one buffer, which only kernels without atomic exchange (before 5.12) let happen.
    pub fn torn(&self, program: usize) -> u64 {
        self.torn.get(program).copied().unwrap_or(0)
    }

    fn count_torn(&mut self, program: u16) {
        let index = usize::from(program);
        if self.torn.len() <= index {
            self.torn.resize(index + 1, 0);
        }
        self.torn[index] += 1;
    }
}

/// Gives the blob at `at` its length, with zeros where its bytes were left out; false if it is not there.
fn set_length(bytes: &mut Vec<u8>, at: u32, len: u32) -> bool {
    let start = at as usize;
    let Some(tag) = bytes.get_mut(start..start + 4) else {
        return false;
    };
    tag.copy_from_slice(&(BLOB_TAG | len).to_ne_bytes());
    let end = start + 4 + len as usize;
    if end > bytes.len() {
        bytes.resize(end, 0);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk of program 3.
    fn chunk(
        flags: u16,
        place: (u32, u32),
        blob: (u32, u32),
        index: u32,
        before: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        let len = CHUNK_HEADER + u32::try_from(payload.len()).unwrap();
        let words = [
            len,
            3 | u32::from(flags) << 16,
            place.0,
            place.1,
            blob.0,
            blob.1,
            index,
            before,
        ];
        let mut out = words.map(u32::to_ne_bytes).as_flattened().to_vec();
        out.extend(payload);
        // The ring pads.
        out.resize(out.len().next_multiple_of(8) + 4, 0xee);
        out
    }

    fn put(hits: &mut Hits, cpu: u32, data: &[u8]) -> Option<Vec<u8>> {
        hits.put(cpu, data).map(|whole| whole.to_vec())
    }

    #[test]
    fn a_record_that_is_no_chunk_passes() {
        let record = [12u32, 7, 0].map(u32::to_ne_bytes).as_flattened().to_vec();
        assert_eq!(put(&mut Hits::default(), 0, &record), Some(record));
    }

    #[test]
    fn chunks_become_one_record_with_the_lengths_that_came_late() {
        let mut hits = Hits::default();
        let tag = BLOB_TAG.to_ne_bytes();
        let first = [&tag[..], b"abc"].concat();
        assert_eq!(
            put(&mut hits, 0, &chunk(CHUNK, (1, 9), (8, 3), 0, 0, &first)),
            None
        );
        // Another slot and another CPU in between.
        assert_eq!(
            put(&mut hits, 0, &chunk(CHUNK, (2, 9), (0, 0), 0, 0, b"x")),
            None
        );
        assert_eq!(
            put(&mut hits, 1, &chunk(CHUNK, (1, 9), (0, 0), 0, 0, b"y")),
            None
        );
        // Two more bytes and three zeros that were not sent.
        assert_eq!(
            put(&mut hits, 0, &chunk(CHUNK, (1, 9), (8, 8), 1, 7, b"de")),
            None
        );
        let end = chunk(CHUNK | LAST, (1, 9), (0, 0), 2, 12, b"end");
        let whole = put(&mut hits, 0, &end).unwrap();
        let mut want = [23u32, 3].map(u32::to_ne_bytes).as_flattened().to_vec();
        want.extend((BLOB_TAG | 8).to_ne_bytes());
        want.extend(b"abcde\0\0\0end");
        assert_eq!(whole, want);
        let other = chunk(CHUNK | LAST, (1, 9), (0, 0), 1, 1, b"");
        assert_eq!(put(&mut hits, 1, &other).unwrap()[8..], *b"y");
        assert_eq!(hits.torn(3), 0);
    }

    #[test]
    fn what_lost_a_chunk_never_comes_out() {
        let mut hits = Hits::default();
        // The program stopped after the first: the next hit begins anew.
        put(&mut hits, 0, &chunk(CHUNK, (0, 1), (0, 0), 0, 0, b"a"));
        put(&mut hits, 0, &chunk(CHUNK, (0, 2), (0, 0), 0, 0, b"b"));
        let end = chunk(CHUNK | LAST, (0, 2), (0, 0), 1, 1, b"c");
        assert_eq!(put(&mut hits, 0, &end).unwrap()[8..], *b"bc");
        // Index, sequence or bytes that do not follow, a start that was never seen.
        for (sequence, index, before) in [(3, 2, 1), (4, 1, 1), (3, 1, 2)] {
            put(&mut hits, 0, &chunk(CHUNK, (0, 3), (0, 0), 0, 0, b"a"));
            let bad = chunk(CHUNK | LAST, (0, sequence), (0, 0), index, before, b"z");
            assert_eq!(put(&mut hits, 0, &bad), None);
            assert_eq!(put(&mut hits, 0, &bad), None);
        }
        assert_eq!(hits.torn(3), 6);
        assert_eq!((hits.torn(2), hits.torn(99)), (0, 0));
    }

    #[test]
    fn bytes_that_make_no_sense_are_counted() {
        let mut hits = Hits::default();
        let mut long = chunk(CHUNK, (0, 1), (0, 0), 0, 0, b"");
        long[..4].copy_from_slice(&1000u32.to_ne_bytes());
        assert!(hits.put(0, &long).is_none());
        long[..4].copy_from_slice(&31u32.to_ne_bytes());
        assert!(hits.put(0, &long).is_none());
        let outside = chunk(CHUNK, (0, 1), (100, 1), 0, 0, b"abc");
        assert!(hits.put(0, &outside).is_none());
        let huge = chunk(CHUNK | LAST, (0, 1), (8, u32::MAX), 0, 0, b"abcd");
        assert!(hits.put(0, &huge).is_none());
        assert_eq!(hits.torn(3), 4);
    }
}
