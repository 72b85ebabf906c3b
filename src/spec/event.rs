//! The contract between a program and the runtime: how the bytes of one record read, and what they ask for.
//!
//! What one probe hit has to say is one record. All numbers are in host byte order, packed without padding:
//!
//! ```text
//! record  := u32 length of all of it (the perf ring pads) · u32 program index | flags << 16 · item*
//! item    := group | blob
//! group   := u32 group id · the group's arguments, `Group::size` bytes
//! blob    := u32 BLOB_TAG | length · that many bytes
//! ```
//!
//! In the ring the kernel's monotonic time, a `u64` that the program takes when it sends, stands before it ([`stamped`]).
//!
//! A record that outgrows the buffer it is made in goes through the ring in chunks:
//!
//! ```text
//! chunk   := u32 length of all of it · u32 program index | CHUNK << 16 (and LAST << 16) · u32 slot · u32 sequence
//!          · u32 blob · u32 blob length · u32 index · u32 before · bytes of the record
//! ```
//!
//! The chunks of one hit have the same CPU, slot (scratch buffer, which is its own until it ends) and sequence number;
//! `index` counts them from 0. `before` is how many bytes of the record came in earlier chunks, its 8-byte header, which
//! is never sent, left out. `blob` is the offset in the record of the tag of a blob whose length was not known when its
//! tag was sent: with this chunk it is `blob length`, zeros at its end being left out; 0 for none. A program that could
//! not send a chunk counts the hit as lost and sends no more of it; whoever puts chunks together drops what has no end.
//!
//! A group is a run of output actions with no control flow between them (32 unrolled `printf`s are one group). A blob
//! holds what has no fixed size: a string as `bpf_probe_read_user_str` left it (its NUL counts), a buffer. A field
//! that lives in a blob is a `u32` in the group: the offset from the record's first byte to the blob's *tag*; 0 says
//! that there is no such blob (an unreadable or empty string). A blob may be referred to several times, or never.

use serde::{Deserialize, Serialize};

use super::types::Type;

/// Bytes of a record before its first item.
pub const RECORD_HEADER: u32 = 8;

/// Bytes of the time before a record in a ring.
pub const STAMP: u32 = 8;

/// What a program sent, as the time and the record; `None` where not even a time is there.
pub fn stamped(sent: &[u8]) -> Option<(u64, &[u8])> {
    let (time, record) = sent.split_first_chunk()?;
    Some((u64::from_ne_bytes(*time), record))
}

/// Flag of a record that is a chunk of one.
pub const CHUNK: u16 = 1;

/// Set in the flags of what a recorded program sends besides its records (`crate::record`): it is none of these.
pub const TAP: u16 = 4;

/// Flag of the chunk that ends its record.
pub const LAST: u16 = 2;

/// Bytes of a chunk before its share of the record.
pub const CHUNK_HEADER: u32 = 32;

/// Set in a tag that opens a blob; the low 31 bits are its length.
pub const BLOB_TAG: u32 = 0x8000_0000;

/// One argument of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// What it is.
    pub ty: Type,
    /// Offset from the group's first argument byte (after the group id).
    pub at: u32,
    /// A `u32` offset to a blob stands there, not the value itself.
    pub blob: bool,
}

/// What the runtime does when it meets a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// `printf(format, args…)`, and `errorf`/`warnf` by `stream`.
    Printf {
        /// The format string with its escapes resolved.
        format: String,
        /// One for each conversion.
        args: Vec<Field>,
        /// 0 stdout, 1 warning, 2 error.
        stream: u8,
    },
    /// `print(value)`.
    PrintValue(Field),
    /// `print(@map[, top[, div]])`.
    PrintMap {
        /// Index into the object's maps.
        map: usize,
        /// Only the largest `top` entries; 0 for all.
        top: u64,
        /// Divide numbers by this; 0 and 1 for no division.
        div: u64,
    },
    /// `print(@map[key])` of an aggregation: the value is read by user space when it prints.
    PrintEntry {
        /// Index into the object's maps.
        map: usize,
        /// The key.
        key: Field,
    },
    /// `clear(@map)`.
    Clear(usize),
    /// `zero(@map)`.
    Zero(usize),
    /// `time(format)`: now, formatted when printed.
    Time(String),
    /// `join(ptr, separator)`: the strings of a NULL-terminated array.
    Join {
        /// One for each string, empty ones skipped.
        parts: Vec<Field>,
        /// Between them.
        separator: String,
    },
    /// `cat(format, args…)`: prints the file of that name.
    Cat {
        /// printf format of the path.
        format: String,
        /// Its arguments.
        args: Vec<Field>,
    },
    /// `system(format, args…)`, only with `--unsafe`.
    System {
        /// printf format of the command.
        format: String,
        /// Its arguments.
        args: Vec<Field>,
    },
    /// `exit([code])`.
    Exit(Option<Field>),
}

/// A run of actions that always happen together, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Bytes of arguments after the group id.
    pub size: u32,
    /// What to do.
    pub actions: Vec<Action>,
}

/// All groups of an object, by group id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPlan {
    /// `groups[id]`.
    pub groups: Vec<Group>,
    /// Structs that fields refer to.
    pub structs: Vec<super::types::StructDef>,
    /// What can go wrong, in the order of the map with the role `Faults`.
    #[serde(default)]
    pub faults: Vec<super::Fault>,
}

impl Action {
    /// Its arguments.
    pub fn fields(&self) -> &[Field] {
        match self {
            Action::Printf { args, .. }
            | Action::Cat { args, .. }
            | Action::System { args, .. } => args,
            Action::Join { parts, .. } => parts,
            Action::PrintValue(field)
            | Action::PrintEntry { key: field, .. }
            | Action::Exit(Some(field)) => std::slice::from_ref(field),
            Action::PrintMap { .. }
            | Action::Clear(_)
            | Action::Zero(_)
            | Action::Time(_)
            | Action::Exit(None) => &[],
        }
    }
}

impl EventPlan {
    /// The most bytes that the blobs of one group can hold. A blob that two arguments share counts twice.
    pub fn longest(&self) -> u64 {
        let bytes = |group: &Group| {
            let fields = group.actions.iter().flat_map(Action::fields);
            fields
                .filter(|field| field.blob)
                .map(|field| u64::from(field.ty.size(&self.structs)))
                .sum()
        };
        self.groups.iter().map(bytes).max().unwrap_or(0)
    }
}
