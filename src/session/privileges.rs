//! Which capabilities a run keeps once everything is attached.
//!
//! Detaching is closing descriptors, reading rings is reading memory: neither needs a right. What still does is listed in
//! [`NEEDS`]; the rest is given up, so that a fault in formatting or symbolizing cannot be used for more.

use super::{Options, compile::Compiled};
use crate::{
    kernel::rights::{Cap, Rights},
    spec::Action,
    sys::process,
};

/// What a run may still do, when it does it, and the capabilities that this takes.
type Need = (fn(&Compiled, &Options) -> bool, &'static [Cap]);

/// Source: `kernel/bpf/syscall.c: __sys_bpf` (before 5.19 every command wants `CAP_BPF`), `kernel/ptrace.c:
/// __ptrace_may_access`, `fs/proc/base.c: proc_map_files_get_link`, `kernel/ksyms_common.c: kallsyms_show_value`.
const NEEDS: &[Need] = &[
    (|_, _| true, &[Cap::Bpf]),
    // The command may have become another user; it is sent SIGTERM at the end.
    (|_, options| options.command.is_some(), &[Cap::Kill]),
    (
        |run, _| names(run, true),
        &[Cap::SysPtrace, Cap::DacReadSearch, Cap::CheckpointRestore],
    ),
    (|run, _| names(run, false), &[Cap::Syslog]),
    (
        |run, _| has_action(run, |a| matches!(a, Action::Cat { .. })),
        &[Cap::SysPtrace, Cap::DacReadSearch],
    ),
];

/// Gives up what the rest of the run does not need. The commands of `system()` may need anything: with them all is kept.
///
/// That the kernel refuses this is no reason to stop: the run has the rights it was started with.
pub(super) fn drop_unneeded(run: &Compiled, options: &Options) {
    if let Ok(rights) = Rights::effective()
        && let Some(keep) = kept(run, options, rights)
    {
        let _ = process::keep_capabilities(keep);
    }
}

/// The capabilities to keep, of a process that has `rights`; `None` for all.
fn kept(run: &Compiled, options: &Options, rights: Rights) -> Option<u64> {
    if has_action(run, |a| matches!(a, Action::System { .. })) {
        return None;
    }
    let caps = NEEDS
        .iter()
        .filter(|(needed, _)| needed(run, options))
        .flat_map(|(_, caps)| *caps);
    let keep = caps.fold(0, |bits, cap| bits | cap.bit());
    // Before 5.8, and in containers, it stands for CAP_BPF.
    let alone = rights.has(Cap::Bpf) && rights.bits() & Cap::Bpf.bit() == 0;
    Some(if alone {
        keep | Cap::SysAdmin.bit()
    } else {
        keep
    })
}

fn has_action(run: &Compiled, wanted: fn(&Action) -> bool) -> bool {
    let mut groups = run.object.events.groups.iter();
    groups.any(|group| group.actions.iter().any(wanted))
}

/// Whether it prints names of functions: of processes (`user`) or of the kernel.
fn names(run: &Compiled, user: bool) -> bool {
    if user {
        run.settings.user_names
    } else {
        run.settings.kernel_names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Script, Session};

    fn of(script: &str, command: bool, rights: u64) -> Option<u64> {
        let options = Options {
            script: Script {
                name: "stdin".to_string(),
                text: script.to_string(),
            },
            command: command.then(|| vec!["true".to_string()]),
            allow_unsafe: true,
            ..Options::default()
        };
        let compiled = Session::for_any(&options).unwrap().compile().unwrap();
        kept(&compiled, &options, Rights::from_bits(rights))
    }

    #[test]
    fn a_script_keeps_what_it_needs() {
        let bits = |caps: &[Cap]| Some(caps.iter().fold(0, |bits, cap| bits | cap.bit()));
        let all = u64::MAX;
        let printing = "BEGIN { printf(\"x\") }";
        assert_eq!(of(printing, false, all), bits(&[Cap::Bpf]));
        assert_eq!(of(printing, true, all), bits(&[Cap::Bpf, Cap::Kill]));
        assert_eq!(
            of(printing, false, Cap::SysAdmin.bit()),
            bits(&[Cap::Bpf, Cap::SysAdmin])
        );
        assert_eq!(
            of("BEGIN { cat(\"/proc/1/maps\") }", false, all),
            bits(&[Cap::Bpf, Cap::SysPtrace, Cap::DacReadSearch])
        );
        let stack = of("profile:hz:9 { @[ustack] = count() }", false, all).unwrap();
        assert_ne!(stack & Cap::SysPtrace.bit(), 0);
        assert_eq!(stack & Cap::SysAdmin.bit(), 0);
        let kernel = of("profile:hz:9 { @[kstack] = count() }", false, all).unwrap();
        assert_ne!(kernel & Cap::Syslog.bit(), 0);
        assert_eq!(of("BEGIN { system(\"ls\") }", false, all), None);
    }
}
