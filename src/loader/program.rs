//! Program specs to programs.

use std::{ffi::CString, io, os::fd::OwnedFd};

use super::{
    LoadError, LoadOptions, Rejected,
    btf::{self, Btf},
    map::with_memlock,
    reloc,
    verifier_log::telling,
};
use crate::{
    asm, check,
    spec::{AttachSpec, Object, ProgramKind, ProgramSpec},
    sys::{
        bpf::{self, ProgLoad},
        trace, uapi,
    },
};

/// For objects that name none: helpers such as `bpf_probe_read_user` are for GPL-compatible programs.
const LICENSE: &str = "Dual MIT/GPL";

/// First and largest size of the verifier's log.
const LOG: (usize, usize) = (64 << 10, 16 << 20);

/// Whether BTF is worth making: asked for, or needed for callbacks.
pub(super) fn btf_wanted(object: &Object, lines: bool) -> bool {
    lines || object.programs.iter().any(|p| btf::has_functions(&p.insns))
}

/// Loads program `index` of the object.
pub(super) fn load(
    object: &Object,
    index: usize,
    fds: &[i32],
    btf: Option<&Btf>,
    options: &LoadOptions,
) -> Result<OwnedFd, LoadError> {
    let program = &object.programs[index];
    let _why = trace::because(|| format!("load the program of `{}`", program.probe));
    let insns = reloc::resolve(&program.insns, fds).map_err(|wrong| LoadError::NoSuchMap {
        probe: program.probe.clone(),
        insn: wrong.insn,
        map: wrong.map,
    })?;
    let bytes = asm::encode(&insns).map_err(|source| LoadError::Encode {
        probe: program.probe.clone(),
        span: program.origins.get(source.insn).copied().flatten(),
        source,
    })?;
    let license = match object.license.as_str() {
        "" => LICENSE,
        license => license,
    };
    let license = CString::new(license).map_err(|_| LoadError::License)?;
    let (kind, attach_type) = kind(program, options.multi);
    let attach_btf_id = function(program)?;
    let mut attr = ProgLoad {
        kind,
        attach_type,
        name: &program.name,
        insns: &bytes,
        license: &license,
        flags: flags(program),
        attach_btf_id,
        btf: btf.and_then(|btf| btf.info(index)),
    };
    let first = match with_memlock(|| bpf::prog_load(&attr, None)) {
        Ok(fd) => return Ok(fd),
        Err(e) => e,
    };
    // Our BTF is a convenience, unless there are callbacks: it must never be what a load fails for.
    if attr.btf.is_some() && !btf::has_functions(&program.insns) {
        attr.btf = None;
        let _why = trace::because(|| "it was refused: again without names and lines".to_owned());
        if let Ok(fd) = bpf::prog_load(&attr, None) {
            return Ok(fd);
        }
    }
    match load_with_log(&attr) {
        Ok(fd) => Ok(fd),
        Err((error, log)) => {
            // With no log, the first errno is the one that says why.
            let source = if log.is_empty() { first } else { error };
            Err(rejected(object, index, source, log))
        }
    }
}

/// Program type and expected attach type.
fn kind(program: &ProgramSpec, multi: bool) -> (u32, u32) {
    let of_kernel = |spec: &AttachSpec| matches!(spec, AttachSpec::Kprobe { .. });
    match program.kind {
        ProgramKind::Kprobe if multi && !program.attach.iter().any(of_kernel) => {
            (uapi::BPF_PROG_TYPE_KPROBE, uapi::BPF_TRACE_UPROBE_MULTI)
        }
        ProgramKind::Kprobe => (uapi::BPF_PROG_TYPE_KPROBE, 0),
        ProgramKind::PerfEvent => (uapi::BPF_PROG_TYPE_PERF_EVENT, 0),
        ProgramKind::RawTracepoint => (uapi::BPF_PROG_TYPE_RAW_TRACEPOINT, 0),
        ProgramKind::Tracepoint => (uapi::BPF_PROG_TYPE_TRACEPOINT, 0),
        ProgramKind::Tracing => {
            let how = match program.attach.first() {
                Some(AttachSpec::Iter { .. }) => uapi::BPF_TRACE_ITER,
                Some(AttachSpec::Trampoline { ret: true, .. }) => uapi::BPF_TRACE_FEXIT,
                _ => uapi::BPF_TRACE_FENTRY,
            };
            (uapi::BPF_PROG_TYPE_TRACING, how)
        }
    }
}

/// The running kernel's BTF id of the function that a tracing program is for; 0 for other programs.
fn function(program: &ProgramSpec) -> Result<u32, LoadError> {
    let name = match program.attach.first() {
        Some(AttachSpec::Trampoline { function, .. }) => function.clone(),
        Some(AttachSpec::Iter { kind, .. }) => format!("bpf_iter_{kind}"),
        _ => return Ok(0),
    };
    let btf = crate::btf::open(std::path::Path::new(crate::btf::VMLINUX)).ok();
    btf.and_then(|btf| btf.find(&name, &[crate::btf::Kind::Func]))
        .ok_or_else(|| LoadError::NoSuchFunction {
            probe: program.probe.clone(),
            function: name,
        })
}

/// Only user probes may sleep.
fn flags(program: &ProgramSpec) -> u32 {
    let user = |attach: &AttachSpec| matches!(attach, AttachSpec::User { .. });
    if program.sleepable && program.kind == ProgramKind::Kprobe && program.attach.iter().all(user) {
        uapi::BPF_F_SLEEPABLE
    } else {
        0
    }
}

/// Loads once more with a log, a larger one as long as it does not fit.
fn load_with_log(attr: &ProgLoad<'_>) -> Result<OwnedFd, (io::Error, String)> {
    let _why = trace::because(|| "it was refused: again, for the verifier's log".to_owned());
    let mut size = LOG.0;
    loop {
        let mut log = vec![0; size];
        match bpf::prog_load(attr, Some(&mut log)) {
            Ok(fd) => return Ok(fd),
            Err(e) if e.raw_os_error() == Some(libc::ENOSPC) && size < LOG.1 => size *= 4,
            Err(e) => {
                let len = log.iter().position(|b| *b == 0).unwrap_or(log.len());
                return Err((e, String::from_utf8_lossy(&log[..len]).into_owned()));
            }
        }
    }
}

/// What our own checker knows of the registers before an instruction.
fn known(object: &Object, program: &ProgramSpec, insn: usize) -> Option<String> {
    let env = check::Env {
        trace: true,
        ..check::env(object, program)
    };
    match check::program(&program.insns, &env) {
        Ok(report) => report.states.into_iter().nth(insn),
        Err(error) if error.insn == insn => {
            let state = error.state.iter();
            let state: Vec<String> = state
                .map(|(reg, holds)| format!("{reg}: {holds}"))
                .collect();
            Some(state.join("; "))
        }
        Err(_) => None,
    }
}

fn rejected(object: &Object, index: usize, source: io::Error, log: String) -> LoadError {
    let program = &object.programs[index];
    let telling = telling(&log);
    let slot = telling.as_ref().and_then(|telling| telling.slot);
    let insn = slot.and_then(|slot| insn_at(program, slot));
    LoadError::Rejected(Box::new(Rejected {
        program: index,
        probe: program.probe.clone(),
        source,
        span: insn.and_then(|insn| program.origins.get(insn).copied().flatten()),
        known: insn.and_then(|insn| known(object, program, insn)),
        insn,
        telling,
        log,
    }))
}

/// Index of the instruction that has that slot.
fn insn_at(program: &ProgramSpec, slot: usize) -> Option<usize> {
    let mut first = 0;
    program.insns.iter().position(|insn| {
        first += insn.slots();
        slot < first
    })
}
