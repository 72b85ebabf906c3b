//! Links: what keeps a program attached for as long as its descriptor lives.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use super::{address, attr, call, call_fd, count, raw};
use crate::sys::{trace, uapi};

/// Sites of one `uprobe_multi` link. `ref_ctrs` and `cookies` are empty or as long as `offsets`.
#[derive(Clone, Copy, Debug)]
pub struct UprobeMulti<'a> {
    /// The file.
    pub path: &'a CStr,
    /// File offsets.
    pub offsets: &'a [u64],
    /// File offsets of the semaphores, 0 for none.
    pub ref_ctrs: &'a [u64],
    /// Attach cookies.
    pub cookies: &'a [u64],
    /// At function return.
    pub ret: bool,
    /// Only for this process; 0 for all.
    pub pid: u32,
}

/// `BPF_LINK_CREATE` with `BPF_TRACE_UPROBE_MULTI` (kernel 6.6).
///
/// # Errors
/// The kernel's; `InvalidInput` if the arrays differ in length.
pub fn link_uprobe_multi(program: BorrowedFd<'_>, multi: &UprobeMulti<'_>) -> io::Result<OwnedFd> {
    for array in [multi.ref_ctrs, multi.cookies] {
        if !array.is_empty() && array.len() != multi.offsets.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "offsets, ref_ctr_offsets and cookies differ in length",
            ));
        }
    }
    let mut attr = attr::LinkUprobeMulti {
        prog_fd: raw(program),
        attach_type: uapi::BPF_TRACE_UPROBE_MULTI,
        path: multi.path.as_ptr() as u64,
        offsets: address(multi.offsets),
        ref_ctr_offsets: address(multi.ref_ctrs),
        cookies: address(multi.cookies),
        cnt: count(multi.offsets)?,
        flags: if multi.ret {
            uapi::BPF_F_UPROBE_MULTI_RETURN
        } else {
            0
        },
        pid: multi.pid,
        ..Default::default()
    };
    trace::note("path", || format!("{:?}", multi.path));
    trace::note("offsets", || trace::numbers(multi.offsets));
    trace::note("ref_ctr_offsets", || trace::numbers(multi.ref_ctrs));
    trace::note("cookies", || trace::numbers(multi.cookies));
    // SAFETY: the path is NUL-terminated; the arrays are null or hold `cnt` numbers, checked above.
    unsafe { call_fd(uapi::BPF_LINK_CREATE, &mut attr) }
}

/// `BPF_LINK_CREATE` with `BPF_PERF_EVENT` (kernel 5.15): ties a program to a perf event, with a cookie.
///
/// # Errors
/// The kernel's.
pub fn link_perf_event(
    program: BorrowedFd<'_>,
    event: BorrowedFd<'_>,
    cookie: u64,
) -> io::Result<OwnedFd> {
    let mut attr = attr::LinkPerfEvent {
        prog_fd: raw(program),
        target_fd: raw(event),
        attach_type: uapi::BPF_PERF_EVENT,
        bpf_cookie: cookie,
        ..Default::default()
    };
    // SAFETY: the attr holds no pointers.
    unsafe { call_fd(uapi::BPF_LINK_CREATE, &mut attr) }
}

/// `BPF_RAW_TRACEPOINT_OPEN`: ties a raw tracepoint program to an event; a tracing program, with no name, to the function
/// that it was loaded for.
///
/// # Errors
/// The kernel's: `ENOENT` for an event that it does not have.
pub fn open_raw_tracepoint(program: BorrowedFd<'_>, name: Option<&CStr>) -> io::Result<OwnedFd> {
    let mut attr = attr::RawTracepointOpen {
        name: name.map_or(0, |name| name.as_ptr() as u64),
        prog_fd: raw(program),
        ..Default::default()
    };
    trace::note("name", || format!("{name:?}"));
    // SAFETY: the name is NUL-terminated, or null.
    unsafe { call_fd(uapi::BPF_RAW_TRACEPOINT_OPEN, &mut attr) }
}

/// `BPF_LINK_CREATE` with `BPF_TRACE_ITER` (kernel 5.8).
///
/// # Errors
/// The kernel's.
pub fn link_iter(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = attr::LinkIter {
        prog_fd: raw(program),
        attach_type: uapi::BPF_TRACE_ITER,
        ..Default::default()
    };
    // SAFETY: the attr holds no pointers.
    unsafe { call_fd(uapi::BPF_LINK_CREATE, &mut attr) }
}

/// `BPF_ITER_CREATE`: a descriptor whose reading runs the iterator's program on every object.
///
/// # Errors
/// The kernel's.
pub fn iter_create(link: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = attr::IterCreate {
        link_fd: raw(link),
        flags: 0,
    };
    // SAFETY: the attr holds no pointers.
    unsafe { call_fd(uapi::BPF_ITER_CREATE, &mut attr) }
}

/// `BPF_LINK_DETACH`: detaches now, though the descriptor lives on. Tracing links have none (`EOPNOTSUPP`).
///
/// # Errors
/// The kernel's.
pub fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = attr::One { value: raw(link) };
    // SAFETY: the attr holds no pointers.
    unsafe { call(uapi::BPF_LINK_DETACH, &mut attr)? };
    Ok(())
}
