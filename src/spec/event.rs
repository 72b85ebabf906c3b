//! The contract between a program and the runtime: how the bytes of one record read, and what they ask for.
//!
//! One probe hit sends at most one record (long ones go in chunks). All numbers are in host byte order, packed
//! without padding:
//!
//! ```text
//! record  := u32 length of all of it (the perf ring pads) · u32 program index | flags << 16 · item*
//! item    := group | blob
//! group   := u32 group id · the group's arguments, `Group::size` bytes
//! blob    := u32 BLOB_TAG | length · that many bytes
//! ```
//!
//! A group is a run of output actions with no control flow between them (32 unrolled `printf`s are one group). A blob
//! holds what has no fixed size: a string as `bpf_probe_read_user_str` left it (its NUL counts), a buffer. A field
//! that lives in a blob is a `u32` in the group: the offset from the record's first byte to the blob's *tag*; 0 says
//! that there is no such blob (an unreadable or empty string). A blob may be referred to several times, or never.

use serde::{Deserialize, Serialize};

use super::types::Type;

/// Bytes of a record before its first item.
pub const RECORD_HEADER: u32 = 8;

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
}
