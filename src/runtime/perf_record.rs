//! The records in a perf ring, read from plain bytes (`include/uapi/linux/perf_event.h: enum perf_event_type`).
//!
//! ```text
//! header  := u32 type · u16 misc · u16 size of all of it, a multiple of 8
//! SAMPLE  := header · u64 time · u32 length · that many bytes        (sample_type = TIME | RAW)
//!          | header · u32 length · that many bytes, u64 time first   (sample_type = RAW)
//! LOST    := header · u64 id · u64 count
//! ```

use crate::{spec::stamped, sys::uapi};

/// Who says when a record was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// The kernel, of each sample.
    Kernel,
    /// The program, in the first 8 bytes ([`crate::spec::stamped`]). Half as dear: 34 ns a record for 63.
    Program,
}

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// What a program sent.
    Sample {
        /// `CLOCK_MONOTONIC` nanoseconds.
        time: u64,
        /// Its bytes, with the kernel's padding to a multiple of 8 (less 4) at the end.
        data: &'a [u8],
    },
    /// That many records found no room.
    Lost(u64),
    /// A record of another type, which is skipped.
    Other,
    /// No record at all: nothing after this byte can be trusted.
    Broken,
}

const HEADER: usize = 8;

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Reads the record at the front of the unread bytes `first · second`. Returns how long it is and what it says; `None`
/// when there are no bytes. A record that lies across both slices is put together in `scratch`.
///
/// [`Item::Broken`] comes with all the remaining length: the ring cannot be read on from there.
pub fn next<'a>(
    first: &'a [u8],
    second: &'a [u8],
    scratch: &'a mut Vec<u8>,
    stamp: Stamp,
) -> Option<(usize, Item<'a>)> {
    let len = first.len() + second.len();
    if len == 0 {
        return None;
    }
    // Rings and records are multiples of 8 bytes, so a header never wraps; an empty first slice cannot come before a
    // full second one.
    let size = number(first, 6).map_or(0, |size| usize::from(u16::from_ne_bytes(size)));
    if size < HEADER || size % 8 != 0 || size > len {
        return Some((len, Item::Broken));
    }
    let record = match first.get(..size) {
        Some(whole) => whole,
        None => {
            scratch.clear();
            scratch.extend_from_slice(first);
            scratch.extend_from_slice(&second[..size - first.len()]);
            scratch.as_slice()
        }
    };
    match parse(record, stamp) {
        Some(item) => Some((size, item)),
        None => Some((len, Item::Broken)),
    }
}

/// Reads one whole record; `None` if its own lengths do not fit it.
fn parse(record: &[u8], stamp: Stamp) -> Option<Item<'_>> {
    match u32::from_ne_bytes(number(record, 0)?) {
        uapi::PERF_RECORD_SAMPLE => {
            let at = match stamp {
                Stamp::Kernel => HEADER + 8,
                Stamp::Program => HEADER,
            };
            let len = u32::from_ne_bytes(number(record, at)?);
            let start = at + 4;
            let data = record.get(start..start.checked_add(usize::try_from(len).ok()?)?)?;
            let (time, data) = match stamp {
                Stamp::Kernel => (u64::from_ne_bytes(number(record, HEADER)?), data),
                Stamp::Program => stamped(data)?,
            };
            Some(Item::Sample { time, data })
        }
        uapi::PERF_RECORD_LOST => Some(Item::Lost(u64::from_ne_bytes(number(record, 16)?))),
        _ => Some(Item::Other),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const STAMPS: [Stamp; 2] = [Stamp::Kernel, Stamp::Program];

    /// A sample as the kernel writes it.
    fn sample(stamp: Stamp, time: u64, data: &[u8]) -> Vec<u8> {
        let time = time.to_ne_bytes();
        let (of_kernel, of_program) = match stamp {
            Stamp::Kernel => (&time[..], &[][..]),
            Stamp::Program => (&[][..], &time[..]),
        };
        let data = [of_program, data].concat();
        let raw = (data.len() + 4).next_multiple_of(8) - 4;
        let size = 12 + of_kernel.len() + raw;
        let mut out = Vec::new();
        out.extend(uapi::PERF_RECORD_SAMPLE.to_ne_bytes());
        out.extend(0u16.to_ne_bytes());
        out.extend(u16::try_from(size).unwrap().to_ne_bytes());
        out.extend(of_kernel);
        out.extend(u32::try_from(raw).unwrap().to_ne_bytes());
        out.extend(data);
        out.resize(size, 0);
        out
    }

    fn lost(count: u64) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(uapi::PERF_RECORD_LOST.to_ne_bytes());
        out.extend(0u16.to_ne_bytes());
        out.extend(24u16.to_ne_bytes());
        out.extend(7u64.to_ne_bytes());
        out.extend(count.to_ne_bytes());
        out
    }

    #[test]
    fn a_sample_reads_the_same_wherever_it_wraps() {
        for stamp in STAMPS {
            let bytes = sample(stamp, 42, b"twelve bytes");
            for cut in (8..=bytes.len()).step_by(8) {
                let (first, second) = bytes.split_at(cut);
                let mut scratch = Vec::new();
                let (size, item) = next(first, second, &mut scratch, stamp).unwrap();
                assert_eq!(size, bytes.len());
                let Item::Sample { time: 42, data } = item else {
                    panic!("cut at {cut}: {item:?}");
                };
                assert_eq!(&data[..12], b"twelve bytes");
            }
        }
    }

    #[test]
    fn records_follow_each_other() {
        let stamp = Stamp::Program;
        let bytes = [sample(stamp, 1, b"a"), lost(5), sample(stamp, 2, b"b")].concat();
        let (mut at, mut seen, mut scratch) = (0, Vec::new(), Vec::new());
        while let Some((size, item)) = next(&bytes[at..], &[], &mut scratch, stamp) {
            at += size;
            seen.push(match item {
                Item::Sample { time, data } => format!("{time} {}", char::from(data[0])),
                other => format!("{other:?}"),
            });
        }
        assert_eq!(seen, ["1 a", "Lost(5)", "2 b"]);
    }

    #[test]
    fn garbage_is_broken_and_never_panics() {
        for stamp in STAMPS {
            let mut scratch = Vec::new();
            assert_eq!(next(&[], &[], &mut scratch, stamp), None);
            let broken = |bytes: &[u8]| {
                let mut scratch = Vec::new();
                let (size, item) = next(bytes, &[], &mut scratch, stamp).unwrap();
                assert_eq!(size, bytes.len());
                assert_eq!(item, Item::Broken, "{bytes:x?}");
            };
            broken(&[0; 8]);
            broken(&[0xff; 8]);
            broken(&[0xff; 64]);
            broken(&[1, 2, 3]);
            let whole = sample(stamp, 1, b"x");
            for len in 1..whole.len() {
                broken(&whole[..len]);
            }
            // A raw length beyond the record.
            let mut lying = whole.clone();
            lying[if stamp == Stamp::Kernel { 16 } else { 8 }] = 200;
            broken(&lying);
            // A lost record too short for its count.
            let mut short = lost(1);
            short[6] = 16;
            broken(&short);
        }
        // No time in it.
        let mut none = sample(Stamp::Program, 1, b"");
        none[8] = 4;
        let mut scratch = Vec::new();
        let size = none.len();
        let found = next(&none, &[], &mut scratch, Stamp::Program);
        assert_eq!(found, Some((size, Item::Broken)));
    }
}
