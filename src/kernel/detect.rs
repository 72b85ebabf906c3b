//! What this process lacks to trace here, in words that name the remedy.

use std::{fmt, fs};

use super::{
    lockdown::Lockdown,
    rights::{Cap, Rights},
};

/// Something that stands between this process and loading a tracing program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A capability.
    Cap(Cap),
    /// Perf uprobes want `CAP_SYS_ADMIN`, `uprobe_multi` links do not exist here.
    SysAdminForPerf,
    /// The kernel denies bpf(2) to everyone without `CAP_BPF`, by that setting's value.
    UnprivilegedDisabled(u8),
    /// Kernel lockdown hides memory even from root.
    Lockdown(Lockdown),
    /// The kernel has no bpf(2).
    NoBpf,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Cap(Cap::Bpf) => {
                write!(f, "CAP_BPF, to load programs (CAP_SYS_ADMIN before 5.8)")
            }
            Missing::Cap(Cap::Perfmon) => {
                write!(
                    f,
                    "CAP_PERFMON, to read the traced process's memory (CAP_SYS_ADMIN before 5.8)"
                )
            }
            Missing::Cap(cap) => write!(f, "{cap}"),
            Missing::SysAdminForPerf => write!(
                f,
                "CAP_SYS_ADMIN, to open perf uprobes (kernels from 6.6 have uprobe_multi links, which do without)"
            ),
            Missing::UnprivilegedDisabled(value) => write!(
                f,
                "bpf(2) is for privileged users only (kernel.unprivileged_bpf_disabled is {value})"
            ),
            Missing::Lockdown(level) => write!(
                f,
                "kernel lockdown is `{level}`: programs may not read memory, even as root"
            ),
            Missing::NoBpf => write!(f, "this kernel has no bpf(2) (CONFIG_BPF_SYSCALL)"),
        }
    }
}

/// What decides whether tracing is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Capabilities of this process.
    pub rights: Rights,
    /// Lockdown level.
    pub lockdown: Lockdown,
    /// `kernel.unprivileged_bpf_disabled`; `None` if there is no such file.
    pub unprivileged_bpf_disabled: Option<u8>,
}

impl Situation {
    /// As it is now. Without /proc or capget(2) the worst is assumed.
    pub fn now() -> Situation {
        Situation {
            rights: Rights::effective().unwrap_or(Rights::from_bits(0)),
            lockdown: Lockdown::running(),
            unprivileged_bpf_disabled: unprivileged_bpf_disabled(),
        }
    }

    /// What is missing to load and attach user-space probes; `perf` if through perf uprobes. Empty: nothing.
    pub fn missing(&self, perf: bool) -> Vec<Missing> {
        let mut out = Vec::new();
        for cap in [Cap::Bpf, Cap::Perfmon] {
            if !self.rights.has(cap) {
                out.push(Missing::Cap(cap));
            }
        }
        if perf && !self.rights.has(Cap::SysAdmin) {
            out.push(Missing::SysAdminForPerf);
        }
        if let Some(value @ 1..) = self.unprivileged_bpf_disabled
            && !self.rights.has(Cap::Bpf)
        {
            out.push(Missing::UnprivilegedDisabled(value));
        }
        if self.lockdown == Lockdown::Confidentiality {
            out.push(Missing::Lockdown(self.lockdown));
        }
        out
    }

    /// Why the kernel may have refused something for want of rights (`EPERM`, `EACCES`).
    pub fn refusal(&self, perf: bool) -> String {
        let missing = self.missing(perf);
        if !missing.is_empty() {
            let words: Vec<String> = missing.iter().map(ToString::to_string).collect();
            return format!("missing: {}", words.join("; "));
        }
        match self.lockdown {
            level @ (Lockdown::Integrity | Lockdown::Confidentiality) => format!(
                "no capability is missing; kernel lockdown is `{level}`, see /sys/kernel/security/lockdown"
            ),
            _ => {
                "no capability is missing; a security module or container may forbid it".to_owned()
            }
        }
    }
}

/// `kernel.unprivileged_bpf_disabled`: 0 allowed, 1 not until reboot, 2 not now.
pub fn unprivileged_bpf_disabled() -> Option<u8> {
    fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// What this process lacks to trace user-space probes here; empty: nothing.
pub fn missing_rights(perf: bool) -> Vec<Missing> {
    Situation::now().missing(perf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(bits: u64) -> Situation {
        Situation {
            rights: Rights::from_bits(bits),
            lockdown: Lockdown::None,
            unprivileged_bpf_disabled: Some(2),
        }
    }

    #[test]
    fn each_missing_capability_is_named() {
        let none = with(0).missing(false);
        assert_eq!(
            none,
            [
                Missing::Cap(Cap::Bpf),
                Missing::Cap(Cap::Perfmon),
                Missing::UnprivilegedDisabled(2)
            ]
        );
        assert!(none[0].to_string().contains("CAP_BPF"));
        assert!(none[1].to_string().contains("CAP_PERFMON"));
        let bpf = with(Cap::Bpf.bit()).missing(false);
        assert_eq!(bpf, [Missing::Cap(Cap::Perfmon)]);
    }

    #[test]
    fn least_privilege_suffices_for_links_and_not_for_perf() {
        let least = with(Cap::Bpf.bit() | Cap::Perfmon.bit());
        assert_eq!(least.missing(false), []);
        assert_eq!(least.missing(true), [Missing::SysAdminForPerf]);
        assert_eq!(with(Cap::SysAdmin.bit()).missing(true), []);
    }

    #[test]
    fn lockdown_is_named() {
        let locked = Situation {
            lockdown: Lockdown::Confidentiality,
            ..with(u64::MAX)
        };
        let missing = locked.missing(false);
        assert_eq!(
            missing[0].to_string(),
            "kernel lockdown is `confidentiality`: programs may not read memory, even as root"
        );
    }

    #[test]
    fn a_refusal_names_its_reason() {
        let locked = |lockdown, bits| Situation {
            lockdown,
            ..with(bits)
        };
        for (situation, perf, want) in [
            (with(0), false, "missing: CAP_BPF, to load programs"),
            (
                with(Cap::Bpf.bit() | Cap::Perfmon.bit()),
                true,
                "missing: CAP_SYS_ADMIN, to open perf uprobes",
            ),
            (
                locked(Lockdown::Integrity, u64::MAX),
                false,
                "no capability is missing; kernel lockdown is `integrity`",
            ),
            (
                locked(Lockdown::Confidentiality, u64::MAX),
                false,
                "missing: kernel lockdown is `confidentiality`",
            ),
            (
                with(u64::MAX),
                false,
                "no capability is missing; a security module or container may forbid it",
            ),
        ] {
            let help = situation.refusal(perf);
            assert!(help.starts_with(want), "{help}");
        }
    }
}
