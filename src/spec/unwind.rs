//! How programs are told the way from a function to its caller: tables that are read from `.eh_frame` and walked in the
//! kernel.
//!
//! ```text
//! process := u32 count · u32 0 · range[UNWIND_RANGES]
//! range   := u64 start · u64 end · u64 bias (address - vaddr) · u32 first row · u32 rows
//! row     := u64 vaddr · u8 caller · u8 saved · i16 offset of saved · i32 offset of caller
//! ```
//!
//! Rows of one file lie side by side, sorted by address; one holds up to the next. A map's value is a block of
//! [`UNWIND_BLOCK`] rows.

/// Rows in one value of their map.
pub const UNWIND_BLOCK: u32 = 4096;
/// Bytes of a row.
pub const UNWIND_ROW: u32 = 16;
/// Ranges of code that a process has at most.
pub const UNWIND_RANGES: u32 = 128;
/// Bytes of a range.
pub const UNWIND_RANGE: u32 = 32;
/// Bytes of a process before its ranges.
pub const UNWIND_HEAD: u32 = 8;
/// Bytes of a process.
pub const UNWIND_PROCESS: u32 = UNWIND_HEAD + UNWIND_RANGES * UNWIND_RANGE;

/// How the caller's stack pointer is found (the canonical frame address of DWARF), in a row's `caller`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Caller {
    /// Nothing is known: by the frame pointer.
    Unknown = 0,
    /// There is none: the outermost function.
    None = 1,
    /// Stack pointer + offset.
    Stack = 2,
    /// Frame pointer + offset.
    Frame = 3,
    /// In a stub of the procedure linkage table: stack pointer + 8, and 8 more from its byte `offset` on.
    Plt = 4,
    /// The kernel called: its `struct ucontext` is at the stack pointer.
    Signal = 5,
    /// It is at frame pointer + offset.
    AtFrame = 6,
}

/// Where the caller's frame pointer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// Where it was.
    No,
    /// In memory, at the caller's stack pointer + offset.
    Caller(i16),
    /// In memory, at the frame pointer + offset.
    Frame(i16),
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwindRow {
    /// First vaddr.
    pub vaddr: u64,
    /// The way to the caller.
    pub caller: Caller,
    /// The caller's frame pointer.
    pub saved: Saved,
    /// Offset for `caller`.
    pub offset: i32,
}

impl UnwindRow {
    /// Its bytes.
    pub fn bytes(&self) -> [u8; UNWIND_ROW as usize] {
        let mut bytes = [0; UNWIND_ROW as usize];
        bytes[..8].copy_from_slice(&self.vaddr.to_ne_bytes());
        bytes[8] = self.caller as u8;
        let (saved, offset) = match self.saved {
            Saved::No => (0, 0),
            Saved::Caller(offset) => (1, offset),
            Saved::Frame(offset) => (2, offset),
        };
        bytes[9] = saved;
        bytes[10..12].copy_from_slice(&offset.to_ne_bytes());
        bytes[12..].copy_from_slice(&self.offset.to_ne_bytes());
        bytes
    }
}
