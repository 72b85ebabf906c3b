//! Questions about what is loaded: ids, information, pins, statistics.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use super::{address_mut, attr, call, call_fd, raw, text};
use crate::sys::{trace, uapi};

/// A kind of object that has ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "names of kernel objects")]
pub enum Ids {
    Programs,
    Maps,
    Links,
    Btf,
}

/// What the kernel says of a program (`struct bpf_prog_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// `BPF_PROG_TYPE_*`.
    pub kind: u32,
    /// Id.
    pub id: u32,
    /// Digest over the submitted instructions.
    pub tag: [u8; 8],
    /// Name.
    pub name: String,
    /// Bytes of instructions after the verifier's rewriting; 0 without the rights to see them.
    pub xlated_len: u32,
    /// Bytes of machine code; 0 if interpreted or without the rights.
    pub jited_len: u32,
    /// Nanoseconds since boot at load.
    pub load_time: u64,
    /// Who loaded it.
    pub uid: u32,
    /// How many maps it uses.
    pub maps: u32,
    /// Its BTF object; 0 for none.
    pub btf_id: u32,
    /// Whether its license is GPL-compatible.
    pub gpl_compatible: bool,
    /// Time spent in it while statistics were on.
    pub run_time_ns: u64,
    /// Runs while statistics were on.
    pub run_cnt: u64,
    /// Runs refused because it was running already on that CPU.
    pub recursion_misses: u64,
    /// Instructions that the verifier walked through (0 before 5.16).
    pub verified_insns: u32,
}

/// What the kernel says of a map (`struct bpf_map_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapInfo {
    /// `BPF_MAP_TYPE_*`.
    pub kind: u32,
    /// Id.
    pub id: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value of one CPU.
    pub value_size: u32,
    /// Most entries.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// Name.
    pub name: String,
}

/// What the kernel says of a link (`struct bpf_link_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// `BPF_LINK_TYPE_*`.
    pub kind: u32,
    /// Id.
    pub id: u32,
    /// The program it attaches.
    pub program: u32,
}

/// # Safety
/// Pointers in `info` must be null or valid for the lengths beside them.
unsafe fn fill<T: attr::Attr>(fd: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut attr = attr::InfoByFd {
        bpf_fd: raw(fd),
        info_len: size_of::<T>() as u32,
        info: std::ptr::from_mut(info) as u64,
    };
    // SAFETY: `info` is live and of the length given; the caller vouches for the pointers in it. A kernel that knows a
    // longer struct writes no more than `info_len`, one that knows a shorter one leaves the zeros.
    unsafe { call(uapi::BPF_OBJ_GET_INFO_BY_FD, &mut attr)? };
    Ok(())
}

fn raw_program_info(fd: BorrowedFd<'_>) -> io::Result<attr::ProgInfo> {
    let mut info = attr::ProgInfo::default();
    // SAFETY: all pointers are null, all counts zero.
    unsafe { fill(fd, &mut info)? };
    Ok(info)
}

/// `BPF_OBJ_GET_INFO_BY_FD` of a program.
///
/// # Errors
/// The kernel's.
pub fn program_info(fd: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    let info = raw_program_info(fd)?;
    Ok(ProgramInfo {
        kind: info.prog_type,
        id: info.id,
        tag: info.tag,
        name: text(&info.name),
        xlated_len: info.xlated_prog_len,
        jited_len: info.jited_prog_len,
        load_time: info.load_time,
        uid: info.created_by_uid,
        maps: info.nr_map_ids,
        btf_id: info.btf_id,
        gpl_compatible: info.gpl_compatible & 1 != 0,
        run_time_ns: info.run_time_ns,
        run_cnt: info.run_cnt,
        recursion_misses: info.recursion_misses,
        verified_insns: info.verified_insns,
    })
}

/// The instructions after the verifier's rewriting, 8 bytes a slot.
///
/// # Errors
/// The kernel's.
pub fn program_xlated(fd: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut buf = vec![0; raw_program_info(fd)?.xlated_prog_len as usize];
    let mut info = attr::ProgInfo {
        xlated_prog_len: buf.len() as u32,
        xlated_prog_insns: address_mut(&mut buf),
        ..Default::default()
    };
    // SAFETY: the one pointer set has its buffer's length beside it.
    unsafe { fill(fd, &mut info)? };
    buf.truncate(info.xlated_prog_len as usize);
    Ok(buf)
}

/// The machine code.
///
/// # Errors
/// The kernel's.
pub fn program_jited(fd: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut buf = vec![0; raw_program_info(fd)?.jited_prog_len as usize];
    let mut info = attr::ProgInfo {
        jited_prog_len: buf.len() as u32,
        jited_prog_insns: address_mut(&mut buf),
        ..Default::default()
    };
    // SAFETY: the one pointer set has its buffer's length beside it.
    unsafe { fill(fd, &mut info)? };
    buf.truncate(info.jited_prog_len as usize);
    Ok(buf)
}

/// Ids of the maps that a program uses.
///
/// # Errors
/// The kernel's.
pub fn program_map_ids(fd: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut buf = vec![0u32; raw_program_info(fd)?.nr_map_ids as usize];
    let mut info = attr::ProgInfo {
        nr_map_ids: buf.len() as u32,
        map_ids: address_mut(&mut buf),
        ..Default::default()
    };
    // SAFETY: the one pointer set has its buffer's length, counted in ids, beside it.
    unsafe { fill(fd, &mut info)? };
    buf.truncate(info.nr_map_ids as usize);
    Ok(buf)
}

/// `BPF_OBJ_GET_INFO_BY_FD` of a map.
///
/// # Errors
/// The kernel's; `InvalidInput` if the descriptor is something else.
pub fn map_info(fd: BorrowedFd<'_>) -> io::Result<MapInfo> {
    let mut info = attr::MapInfo::default();
    // SAFETY: all pointers are null, all lengths zero.
    unsafe { fill(fd, &mut info)? };
    Ok(MapInfo {
        kind: info.map_type,
        id: info.id,
        key_size: info.key_size,
        value_size: info.value_size,
        max_entries: info.max_entries,
        flags: info.map_flags,
        name: text(&info.name),
    })
}

/// `BPF_OBJ_GET_INFO_BY_FD` of a link.
///
/// # Errors
/// The kernel's.
pub fn link_info(fd: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    let mut info = attr::LinkInfo::default();
    // SAFETY: all pointers in the type-dependent rest are null.
    unsafe { fill(fd, &mut info)? };
    Ok(LinkInfo {
        kind: info.link_type,
        id: info.id,
        program: info.prog_id,
    })
}

/// All ids of a kind, by `BPF_*_GET_NEXT_ID`, in rising order.
///
/// # Errors
/// The kernel's.
pub fn ids(kind: Ids) -> io::Result<Vec<u32>> {
    let cmd = match kind {
        Ids::Programs => uapi::BPF_PROG_GET_NEXT_ID,
        Ids::Maps => uapi::BPF_MAP_GET_NEXT_ID,
        Ids::Links => uapi::BPF_LINK_GET_NEXT_ID,
        Ids::Btf => uapi::BPF_BTF_GET_NEXT_ID,
    };
    let mut out = Vec::new();
    let mut attr = attr::ById::default();
    loop {
        // SAFETY: the attr holds no pointers.
        match unsafe { call(cmd, &mut attr) } {
            Ok(_) => out.push(attr.next_id),
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(out),
            Err(e) => return Err(e),
        }
        attr.id = attr.next_id;
        attr.next_id = 0;
    }
}

/// One of the `BPF_*_GET_FD_BY_ID` commands.
pub(super) fn fd_by_id(cmd: u32, id: u32) -> io::Result<OwnedFd> {
    let mut attr = attr::ById {
        id,
        ..Default::default()
    };
    // SAFETY: the attr holds no pointers.
    unsafe { call_fd(cmd, &mut attr) }
}

/// `BPF_PROG_GET_FD_BY_ID`.
///
/// # Errors
/// The kernel's.
pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    fd_by_id(uapi::BPF_PROG_GET_FD_BY_ID, id)
}

/// `BPF_LINK_GET_FD_BY_ID`.
///
/// # Errors
/// The kernel's.
pub fn link_by_id(id: u32) -> io::Result<OwnedFd> {
    fd_by_id(uapi::BPF_LINK_GET_FD_BY_ID, id)
}

/// `BPF_ENABLE_STATS`: run times and counts of programs are kept while the descriptor lives.
///
/// # Errors
/// The kernel's.
pub fn enable_stats() -> io::Result<OwnedFd> {
    let mut attr = attr::One {
        value: uapi::BPF_STATS_RUN_TIME,
    };
    // SAFETY: the attr holds no pointers.
    unsafe { call_fd(uapi::BPF_ENABLE_STATS, &mut attr) }
}

/// `BPF_OBJ_PIN`: gives a program, map or link a name in a bpf file system.
///
/// # Errors
/// The kernel's.
pub fn pin(fd: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    let mut attr = attr::ObjPin {
        pathname: path.as_ptr() as u64,
        bpf_fd: raw(fd),
        ..Default::default()
    };
    trace::note("pathname", || format!("{path:?}"));
    // SAFETY: the path is NUL-terminated.
    unsafe { call(uapi::BPF_OBJ_PIN, &mut attr)? };
    Ok(())
}

/// `BPF_OBJ_GET`: opens what is pinned there.
///
/// # Errors
/// The kernel's.
pub fn pinned(path: &CStr) -> io::Result<OwnedFd> {
    let mut attr = attr::ObjPin {
        pathname: path.as_ptr() as u64,
        ..Default::default()
    };
    trace::note("pathname", || format!("{path:?}"));
    // SAFETY: the path is NUL-terminated.
    unsafe { call_fd(uapi::BPF_OBJ_GET, &mut attr) }
}
