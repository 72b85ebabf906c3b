//! What a script asks of the traced machine's kernel, with the answers.

use crate::btf::Btf;
use std::collections::HashSet;

/// Answers of one kernel. Empty where a script asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Its types.
    pub btf: Option<Btf>,
    /// The tracepoints that the script names.
    pub tracepoints: Vec<Tracepoint>,
    /// The functions that the script names for `kprobe`.
    pub functions: Vec<String>,
    /// The functions that can be probed, where a pattern of the script means functions and the kernel tells.
    pub traceable: Option<HashSet<String>>,
    /// Addresses of symbols that the script asks for; 0 for one that is not there.
    pub symbols: Vec<(String, u64)>,
    /// Ids of cgroups by the path that the script asks for; or why there is none.
    pub cgroups: Vec<(String, Result<u64, String>)>,
}

impl Kernel {
    /// Whether a function that a pattern means can be probed, as far as is known.
    pub fn may_trace(&self, function: &str) -> bool {
        let known = self.traceable.as_ref();
        known.is_none_or(|all| all.contains(function))
    }

    /// The address of a symbol that the script asks for.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        let found = self.symbols.iter().find(|(known, _)| known == name);
        found
            .map(|(_, address)| *address)
            .filter(|address| *address != 0)
    }
}

/// A tracepoint as tracefs describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracepoint {
    /// The group of events, e.g. `sched`.
    pub system: String,
    /// The event, e.g. `sched_process_exec`.
    pub name: String,
    /// What is in its record.
    pub fields: Vec<TraceField>,
}

/// A field of a tracepoint's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceField {
    /// Its declaration without the name: `const char *`, `char[16]`, `__data_loc char[]`.
    pub ty: String,
    /// Its name.
    pub name: String,
    /// First byte in the record.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// Two's complement.
    pub signed: bool,
}
