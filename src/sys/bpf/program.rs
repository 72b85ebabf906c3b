//! Programs: load, test run, and the BTF that describes them.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use super::{address, address_mut, attr, call, call_fd, count, kernel_name, raw};
use crate::sys::{trace, uapi};

/// How often a load that the kernel interrupted (`EAGAIN`: a signal came during verification) is tried again.
const LOAD_ATTEMPTS: usize = 5;

/// Function and line information of a program, as `struct bpf_func_info` (8 bytes each) and `struct bpf_line_info`
/// (16 bytes each).
#[derive(Clone, Copy, Debug)]
pub struct BtfInfo<'a> {
    /// The BTF object that both refer to.
    pub btf: BorrowedFd<'a>,
    /// `insn_off, type_id` for each function.
    pub funcs: &'a [[u32; 2]],
    /// `insn_off, file_name_off, line_off, line << 10 | column` in order of instructions.
    pub lines: &'a [[u32; 4]],
}

/// What to load.
#[derive(Clone, Copy, Debug)]
pub struct ProgLoad<'a> {
    /// `BPF_PROG_TYPE_*`.
    pub kind: u32,
    /// `BPF_*` attach type the program is meant for; 0 for none.
    pub attach_type: u32,
    /// Name, made fit for the kernel.
    pub name: &'a str,
    /// Encoded instructions, 8 bytes a slot.
    pub insns: &'a [u8],
    /// License, for GPL-only helpers.
    pub license: &'a CStr,
    /// `BPF_F_*`.
    pub flags: u32,
    /// The kernel's BTF id of the function that a tracing program is for; 0 for none.
    pub attach_btf_id: u32,
    /// Function and line information.
    pub btf: Option<BtfInfo<'a>>,
}

/// `BPF_PROG_LOAD`. With `log`, the verifier's log is asked for and left in it, NUL-terminated.
///
/// # Errors
/// The kernel's; `ENOSPC` if the log does not fit. `InvalidInput` if `insns` is no whole number of slots.
pub fn prog_load(spec: &ProgLoad<'_>, log: Option<&mut [u8]>) -> io::Result<OwnedFd> {
    let (slots, rest) = (spec.insns.len() / 8, spec.insns.len() % 8);
    if rest != 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "instructions are no whole number of slots",
        ));
    }
    let log = log.unwrap_or_default();
    let mut attr = attr::ProgLoad {
        prog_type: spec.kind,
        insn_cnt: u32::try_from(slots).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        insns: address(spec.insns),
        license: spec.license.as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: count(log)?,
        log_buf: address_mut(log),
        prog_flags: spec.flags,
        prog_name: kernel_name(spec.name),
        expected_attach_type: spec.attach_type,
        attach_btf_id: spec.attach_btf_id,
        ..Default::default()
    };
    if let Some(info) = spec.btf {
        attr.prog_btf_fd = raw(info.btf);
        attr.func_info_rec_size = 8;
        attr.func_info = address(info.funcs);
        attr.func_info_cnt = count(info.funcs)?;
        attr.line_info_rec_size = 16;
        attr.line_info = address(info.lines);
        attr.line_info_cnt = count(info.lines)?;
    }
    trace::note("insns", || trace::bytes(spec.insns));
    trace::note("license", || format!("{:?}", spec.license));
    if let Some(info) = spec.btf {
        trace::note("func_info", || "function names".to_owned());
        trace::note("line_info", || {
            format!("{} places in the script", info.lines.len())
        });
    }
    let mut attempt = 1;
    loop {
        // SAFETY: instructions, license, log and the two info arrays are live slices of the lengths given.
        match unsafe { call_fd(uapi::BPF_PROG_LOAD, &mut attr) } {
            Err(e) if e.raw_os_error() == Some(libc::EAGAIN) && attempt < LOAD_ATTEMPTS => {
                attempt += 1;
            }
            other => return other,
        }
    }
}

/// `BPF_BTF_LOAD` of a raw BTF blob.
///
/// # Errors
/// The kernel's.
pub fn btf_load(btf: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = attr::BtfLoad {
        btf: address(btf),
        btf_size: count(btf)?,
        ..Default::default()
    };
    trace::note("btf", || trace::bytes(btf));
    // SAFETY: `btf` is a live slice of the length given; no log is asked for.
    unsafe { call_fd(uapi::BPF_BTF_LOAD, &mut attr) }
}

/// Input of a test run; what a program type does not take stays empty or zero.
#[derive(Debug, Default)]
pub struct TestRun<'a> {
    /// Packet, for socket filters, classifiers and XDP (14 bytes at least).
    pub data: &'a [u8],
    /// Where the packet goes after the run; empty to drop it.
    pub data_out: &'a mut [u8],
    /// Context: arguments of a raw tracepoint (at most 12 u64), or a syscall program's block.
    pub ctx: &'a mut [u8],
    /// The kernel writes the context back into `ctx` (syscall programs).
    pub ctx_out: bool,
    /// Runs; 0 for one. Raw tracepoints and syscall programs want 0.
    pub repeat: u32,
}

/// `BPF_PROG_TEST_RUN`: runs the program in the kernel now. Returns its `r0` and the nanoseconds a run took.
///
/// # Errors
/// The kernel's: `EINVAL` for input of the wrong shape, `ENOTSUPP` (524) for types that cannot be run.
pub fn test_run(program: BorrowedFd<'_>, run: TestRun<'_>) -> io::Result<(u32, u32)> {
    let ctx_out = if run.ctx_out {
        (count(run.ctx)?, address_mut(run.ctx))
    } else {
        (0, 0)
    };
    let mut attr = attr::TestRun {
        prog_fd: raw(program),
        data_size_in: count(run.data)?,
        data_in: address(run.data),
        data_size_out: count(run.data_out)?,
        data_out: address_mut(run.data_out),
        repeat: run.repeat,
        ctx_size_in: count(run.ctx)?,
        ctx_in: address_mut(run.ctx),
        ctx_size_out: ctx_out.0,
        ctx_out: ctx_out.1,
        ..Default::default()
    };
    // SAFETY: all four buffers are live slices of the lengths given, the two outputs exclusively borrowed. A syscall
    // program's context is written back through `ctx_in`, which is therefore exclusively borrowed too.
    unsafe { call(uapi::BPF_PROG_TEST_RUN, &mut attr)? };
    Ok((attr.retval, attr.duration))
}
