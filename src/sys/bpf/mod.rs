//! bpf(2), one safe function a command. Manners of the kernel have their one place here: fd 0, `EAGAIN`.
#![allow(unsafe_code)]

mod attr;
mod info;
mod link;
mod map;
mod program;

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

pub use info::{
    Ids, LinkInfo, LinkPlace, MapInfo, ProgramInfo, TaskFd, btf_bytes, enable_stats, ids,
    link_by_id, link_info, map_info, pin, pinned, program_by_id, program_info, program_jited,
    program_jited_lines, program_lines, program_map_ids, program_xlated, task_fd_query,
};
pub use link::{
    UprobeMulti, iter_create, link_detach, link_iter, link_perf_event, link_uprobe_multi,
    open_raw_tracepoint,
};
pub use map::{BatchEnd, Map, MapCreate};
pub use program::{BtfInfo, ProgLoad, TestRun, btf_load, prog_load, test_run};

use super::{names, trace};
use attr::Attr;

/// Calls bpf(2) with `attr` and returns what it returned.
///
/// # Safety
/// Every pointer in `attr` must be null or valid for all that `cmd` reads or writes through it.
unsafe fn call<T: Attr>(cmd: u32, attr: &mut T) -> io::Result<i32> {
    let before = trace::is_on().then(|| attr.fields());
    // SAFETY: `attr` is a live, zero-padded struct of the size given; the caller vouches for the pointers in it.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            libc::c_long::from(cmd),
            std::ptr::from_mut(attr),
            size_of::<T>(),
        )
    };
    let result = if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ret as i32)
    };
    if let Some(before) = before {
        let name = names::at(names::COMMANDS, cmd).unwrap_or("?");
        let head = format!("bpf(BPF_{name}, {} bytes)", size_of::<T>());
        let answer = result.as_ref().map(i32::to_string);
        trace::call(&head, &before, &attr.fields(), answer);
    }
    result
}

/// As [`call`], for commands that return a new file descriptor.
///
/// Several attrs read fd 0 as "none", so a descriptor below 3 (a caller without stdin) is moved up.
///
/// # Safety
/// As [`call`].
unsafe fn call_fd<T: Attr>(cmd: u32, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: forwarded from the caller.
    let fd = unsafe { call(cmd, attr)? };
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    if fd.as_raw_fd() < 3 {
        return fd.try_clone();
    }
    Ok(fd)
}

/// The number of `fd` as attrs take it.
fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

/// Kernel name of a program or map: at most 15 bytes of `[A-Za-z0-9_.]`, others become `_`.
///
/// The kernel refuses other bytes with `EINVAL` (`kernel/bpf/syscall.c: bpf_obj_name_cpy`).
pub fn kernel_name(name: &str) -> [u8; 16] {
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().take(15).zip(name.bytes()) {
        *to = match from {
            b'.' | b'_' => from,
            c if c.is_ascii_alphanumeric() => c,
            _ => b'_',
        };
    }
    out
}

/// The name in a NUL-padded array, as text.
fn text(name: &[u8; 16]) -> String {
    let len = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..len]).into_owned()
}

/// Address of a slice for an attr: null for an empty one.
fn address<T>(slice: &[T]) -> u64 {
    if slice.is_empty() {
        0
    } else {
        slice.as_ptr() as u64
    }
}

/// As [`address`], for a slice that the kernel writes to.
fn address_mut<T>(slice: &mut [T]) -> u64 {
    if slice.is_empty() {
        0
    } else {
        slice.as_mut_ptr() as u64
    }
}

/// Length of a slice for an attr's 32-bit count.
fn count<T>(slice: &[T]) -> io::Result<u32> {
    u32::try_from(slice.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_the_kernel_takes() {
        assert_eq!(text(&kernel_name("@x y")), "_x_y");
        assert_eq!(text(&kernel_name("net:inbound_message")), "net_inbound_mes");
        assert_eq!(text(&kernel_name("")), "");
    }
}
