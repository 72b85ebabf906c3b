//! Capabilities by name (`include/uapi/linux/capability.h`).

use std::{fmt, io};

use crate::sys::process;

/// A capability that tracing can need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the kernel's own names")]
pub enum Cap {
    DacReadSearch = 2,
    Kill = 5,
    IpcLock = 14,
    SysPtrace = 19,
    SysAdmin = 21,
    Syslog = 34,
    Perfmon = 38,
    Bpf = 39,
    CheckpointRestore = 40,
}

impl Cap {
    /// Its bit in a set.
    pub const fn bit(self) -> u64 {
        1 << self as u64
    }

    /// Its name in the kernel's headers.
    pub const fn name(self) -> &'static str {
        match self {
            Cap::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Cap::Kill => "CAP_KILL",
            Cap::IpcLock => "CAP_IPC_LOCK",
            Cap::SysPtrace => "CAP_SYS_PTRACE",
            Cap::SysAdmin => "CAP_SYS_ADMIN",
            Cap::Syslog => "CAP_SYSLOG",
            Cap::Perfmon => "CAP_PERFMON",
            Cap::Bpf => "CAP_BPF",
            Cap::CheckpointRestore => "CAP_CHECKPOINT_RESTORE",
        }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(u64);

impl Rights {
    /// The set of those bits.
    pub const fn from_bits(bits: u64) -> Rights {
        Rights(bits)
    }

    /// Its bits, bit n for capability n.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What this thread may do now.
    ///
    /// # Errors
    /// The kernel's.
    pub fn effective() -> io::Result<Rights> {
        process::effective_capabilities().map(Rights)
    }

    /// Whether it holds `cap`, alone or through `CAP_SYS_ADMIN` (`include/linux/capability.h: bpf_capable`,
    /// `perfmon_capable`).
    pub const fn has(self, cap: Cap) -> bool {
        let whole = match cap {
            Cap::Bpf | Cap::Perfmon => Cap::SysAdmin.bit(),
            _ => 0,
        };
        self.0 & (cap.bit() | whole) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sys_admin_stands_for_bpf_and_perfmon_only() {
        let admin = Rights::from_bits(Cap::SysAdmin.bit());
        assert!(admin.has(Cap::Bpf) && admin.has(Cap::Perfmon) && admin.has(Cap::SysAdmin));
        assert!(!admin.has(Cap::IpcLock) && !admin.has(Cap::SysPtrace));
        let bpf = Rights::from_bits(Cap::Bpf.bit());
        assert!(bpf.has(Cap::Bpf) && !bpf.has(Cap::Perfmon) && !bpf.has(Cap::SysAdmin));
    }
}
