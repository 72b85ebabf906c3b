//! The file: a header, then blocks, each with its own checksum (see `docs/recording.md`).
//!
//! ```text
//! file   := 8 bytes magic · u32 version · u32 machine (ELF e_machine) · block*
//! block  := u32 kind · u32 bytes · u32 count · u32 CRC-32 of the twelve bytes before and of the body · body
//! body   := JSON (kind 1: what was recorded, the first block; kind 3: the end; kind 4: names and stacks) | hit* (kind 2)
//! ```
//!
//! Numbers are little-endian. Inside hits they are LEB128 (`zigzag` where they may be negative), and differences to
//! what came before in the same block, so that every block can be read alone.

use crate::spec::{Arch, AttachSpec, Binary, DebugInfo, ProgramKind};
use serde::{Deserialize, Serialize};

/// Version of the format.
pub const VERSION: u32 = 1;

/// First bytes of a recording; damaged by what changes line ends or strips the eighth bit.
pub(super) const MAGIC: [u8; 8] = *b"\x89BTREC\r\n";
/// Bytes of the file's header.
pub(super) const HEADER: usize = 16;
/// Bytes of a block's header.
pub(super) const BLOCK_HEADER: usize = 16;
/// Most bytes of a block's body; more is damage.
pub(super) const BLOCK_MAX: usize = 16 << 20;

/// Kinds of blocks.
pub(super) const META: u32 = 1;
pub(super) const HITS: u32 = 2;
pub(super) const END: u32 = 3;
pub(super) const NOTES: u32 = 4;

/// `e_machine` of an architecture.
pub(super) fn machine(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => 62,
        Arch::Aarch64 => 183,
    }
}

/// The name of an `e_machine`, for messages.
pub(super) fn machine_name(machine: u32) -> String {
    match machine {
        62 => "x86-64".to_owned(),
        183 => "aarch64".to_owned(),
        other => format!("machine {other}"),
    }
}

/// A recorded program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Full name of its probe.
    pub probe: String,
    /// Program type.
    pub kind: ProgramKind,
    /// Where it was attached.
    pub attach: AttachSpec,
    /// Registers kept of each hit: bytes into the context.
    pub regs: Vec<u16>,
}

/// The script that was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Positional parameters.
    pub params: Vec<String>,
    /// Named parameters.
    pub named: Vec<(String, Option<String>)>,
    /// It was made from the names of probes.
    pub probes: bool,
}

/// What was recorded, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The script.
    pub script: Recorded,
    /// Processor.
    pub arch: Arch,
    /// Possible CPUs.
    pub cpus: u32,
    /// `uname -r`.
    pub kernel: String,
    /// Nanoseconds since boot when tracing began.
    pub start: u64,
    /// Nanoseconds that the wall clock was ahead of `CLOCK_MONOTONIC`, `_BOOTTIME`, `_REALTIME` and `_TAI`.
    pub clocks: [i64; 4],
    /// What `CLOCK_BOOTTIME` is ahead of `CLOCK_MONOTONIC`.
    pub suspended: u64,
    /// Settings from the environment.
    pub config: Vec<(String, String)>,
    /// Programs.
    pub points: Vec<Point>,
    /// The files that probes are in.
    pub binaries: Vec<Binary>,
    /// What debug information said of them.
    pub debug: DebugInfo,
}

/// How a recording ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Hits in the file.
    pub hits: u64,
    /// Blocks of names and stacks.
    pub notes: u64,
    /// Hits that were not kept, by point.
    pub lost: Vec<u64>,
}

impl End {
    /// Hits that were not kept.
    pub fn lost_hits(&self) -> u64 {
        self.lost.iter().sum()
    }
}

/// Appends a number, seven bits a byte.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// Appends the difference of two numbers.
pub(super) fn put_delta(out: &mut Vec<u8>, from: u64, to: u64) {
    let delta = to.wrapping_sub(from).cast_signed();
    put(out, (delta << 1 ^ delta >> 63).cast_unsigned());
}

/// Reads numbers from the body of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub(super) fn delta(&mut self, from: u64) -> Option<u64> {
        let coded = self.number()?;
        let delta = (coded >> 1).cast_signed() ^ -(coded & 1).cast_signed();
        Some(from.wrapping_add_signed(delta))
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            for other in [0, 5, u64::MAX] {
                let mut out = Vec::new();
                put(&mut out, number);
                put_delta(&mut out, other, number);
                let mut cursor = Cursor(&out);
                assert_eq!(cursor.number(), Some(number));
                assert_eq!(cursor.delta(other), Some(number));
                assert!(cursor.0.is_empty());
            }
        }
        assert_eq!(Cursor(&[0x80; 11]).number(), None);
        assert_eq!(Cursor(&[]).number(), None);
    }
}
