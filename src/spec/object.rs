//! Everything one script becomes.

use super::{AttachSpec, EventPlan, MapSpec};
use crate::{asm::Insn, span::Span};
use serde::{Deserialize, Serialize};

/// Program type (`enum bpf_prog_type` in `include/uapi/linux/bpf.h`), by what its context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProgramKind {
    /// `BPF_PROG_TYPE_KPROBE`: context is `struct pt_regs`. User probes.
    Kprobe,
    /// `BPF_PROG_TYPE_PERF_EVENT`: context is `struct bpf_perf_event_data`, which begins with `pt_regs`.
    PerfEvent,
    /// `BPF_PROG_TYPE_RAW_TRACEPOINT`: `rawtracepoint`; run through `BPF_PROG_TEST_RUN`, `begin`, `end`, `interval`, signals.
    RawTracepoint,
    /// `BPF_PROG_TYPE_TRACEPOINT`: context is the event's record.
    Tracepoint,
    /// `BPF_PROG_TYPE_TRACING`: context is the arguments of a function, or what an iterator is at.
    Tracing,
}

/// A program to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramSpec {
    /// Kernel name, at most 15 bytes of `[A-Za-z0-9_.]`.
    pub name: String,
    /// The attach point as the script has it, wildcards expanded: what `probe` prints.
    pub probe: String,
    /// Program type.
    pub kind: ProgramKind,
    /// Instructions; map loads are [`crate::asm::Imm64::MapIdx`] into [`Object::maps`] until the loader puts in fds.
    pub insns: Vec<Insn>,
    /// For each instruction the script text it comes from.
    pub origins: Vec<Option<Span>>,
    /// Load with `BPF_F_SLEEPABLE` where the attachment allows it.
    pub sleepable: bool,
    /// Where it runs.
    pub attach: Vec<AttachSpec>,
}

/// What a script compiles to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Name of the script: a file name, `-e` or `stdin`.
    pub script_name: String,
    /// The script's text, which every span points into.
    pub source: String,
    /// License string given at load.
    pub license: String,
    /// Maps; programs refer to them by index.
    pub maps: Vec<MapSpec>,
    /// Programs, in script order.
    pub programs: Vec<ProgramSpec>,
    /// How records read, and what to do with them.
    pub events: EventPlan,
}

impl Object {
    /// Index of the map with that role test.
    pub fn map_index(&self, mut test: impl FnMut(&super::MapRole) -> bool) -> Option<usize> {
        self.maps.iter().position(|map| test(&map.role))
    }
}
