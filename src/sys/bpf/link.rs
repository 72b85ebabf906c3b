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
