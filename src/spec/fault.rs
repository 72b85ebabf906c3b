//! What can go wrong in a program while it runs, and where programs count it.
//!
//! Each place of a script that can go wrong in one way has two `u64` in the one value of the map with the role
//! [`super::MapRole::Faults`]: how often it did, and the last error code. Programs add to the first; the runtime looks
//! at both whenever it looks at the rings, and says what is new.

use serde::{Deserialize, Serialize};

/// Bytes of one place in the map.
pub const FAULT_SIZE: u32 = 16;

/// Offset of the error code in them.
pub const FAULT_CODE: u32 = 8;

/// How it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FaultKind {
    /// `/` or `%` by 0; the result is 1.
    Division,
    /// An index that is not in the array; the element is 0.
    Bounds,
    /// A map took no more elements, or could not take one now.
    Update,
    /// A key that is not in the map; the value is 0.
    Lookup,
    /// A key that is not in a map of aggregations.
    Share,
    /// `cpid` without a command; it is 0.
    NoChild,
    /// Memory that could not be read, with that helper.
    Read(ReadHelper),
}

/// A helper that reads memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the variants are the kernel's own names")]
pub enum ReadHelper {
    ProbeRead,
    ProbeReadStr,
    ProbeReadUser,
    ProbeReadUserStr,
    ProbeReadKernel,
    ProbeReadKernelStr,
}

/// A place of the script that can go wrong in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// How.
    pub kind: FaultKind,
    /// `LINE:FROM-TO` in the script.
    pub place: String,
    /// Its line, counted from 1.
    pub line: usize,
    /// Its first column, counted from 1.
    pub column: usize,
    /// The script's line, and a line that marks the place.
    pub excerpt: String,
}

impl FaultKind {
    /// The helper that failed, without `bpf_`.
    pub fn helper(self) -> Option<&'static str> {
        Some(match self {
            FaultKind::Division | FaultKind::Bounds | FaultKind::NoChild => return None,
            FaultKind::Update => "map_update_elem",
            FaultKind::Lookup => "map_lookup_elem",
            FaultKind::Share => "map_lookup_percpu_elem",
            FaultKind::Read(ReadHelper::ProbeRead) => "probe_read",
            FaultKind::Read(ReadHelper::ProbeReadStr) => "probe_read_str",
            FaultKind::Read(ReadHelper::ProbeReadUser) => "probe_read_user",
            FaultKind::Read(ReadHelper::ProbeReadUserStr) => "probe_read_user_str",
            FaultKind::Read(ReadHelper::ProbeReadKernel) => "probe_read_kernel",
            FaultKind::Read(ReadHelper::ProbeReadKernelStr) => "probe_read_kernel_str",
        })
    }

    /// Whether the error code tells something that is not known before.
    pub fn has_code(self) -> bool {
        matches!(self, FaultKind::Update | FaultKind::Read(_))
    }
}
