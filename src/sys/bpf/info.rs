//! Questions about what is loaded: ids, information, pins, statistics.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
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
    /// Where.
    pub place: LinkPlace,
}

/// Where a link attaches its program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the kernel's")]
pub enum LinkPlace {
    /// Sites of a file.
    UprobeMulti {
        path: String,
        offsets: Vec<u64>,
        ref_ctrs: Vec<u64>,
        /// At function return.
        ret: bool,
        /// 0 for all processes.
        pid: u32,
    },
    /// One site of a file, through a perf event.
    User {
        path: String,
        offset: u32,
        ret: bool,
    },
    /// A kernel function, through a perf event.
    Kernel {
        name: String,
        offset: u32,
        ret: bool,
    },
    /// A tracepoint, or a raw one.
    Tracepoint(String),
    /// Another perf event: its type and `config`.
    Event { kind: u32, config: u64 },
    /// Something of which the kernel gives a number: an interface, a cgroup, a namespace; how many functions.
    Number(&'static str, u64),
    /// Something else, or the kernel is too old to say (before 6.6).
    Untold,
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
        // An older kernel refuses buffers it does not know.
        place: link_place(fd, &info).unwrap_or(LinkPlace::Untold),
    })
}

/// Longest path or name that is asked for.
const TEXT: usize = 4096;

/// The two `u32` that lie in a word of the type-dependent rest.
fn halves(word: u64) -> (u32, u32) {
    let bytes = word.to_ne_bytes();
    let half =
        |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    (half(0), half(4))
}

fn word(first: u32, second: u32) -> u64 {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first.to_ne_bytes());
    bytes[4..].copy_from_slice(&second.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

fn text_of(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

/// `union` of `struct bpf_link_info`: `kernel/bpf/syscall.c` and `kernel/trace/bpf_trace.c`, functions `*_fill_link_info`.
fn link_place(fd: BorrowedFd<'_>, first: &attr::LinkInfo) -> io::Result<LinkPlace> {
    let rest = &first.rest;
    Ok(match first.link_type {
        1 => LinkPlace::Tracepoint(link_text(fd, [0, 0])?.0),
        2 => LinkPlace::Number("BTF id", halves(rest[1]).0.into()),
        3 => LinkPlace::Number("cgroup", rest[0]),
        5 => LinkPlace::Number("network namespace", halves(rest[0]).0.into()),
        6 | 11 | 13 => LinkPlace::Number("interface", halves(rest[0]).0.into()),
        7 => return perf_place(fd, rest),
        8 => LinkPlace::Number("functions:", halves(rest[1]).0.into()),
        12 => return multi_place(fd, rest),
        _ => LinkPlace::Untold,
    })
}

/// A link's name or path, whose buffer stands in word `at` of the rest, its length in the word behind it.
fn link_text(fd: BorrowedFd<'_>, [at, first]: [usize; 2]) -> io::Result<(String, attr::LinkInfo)> {
    let mut name = vec![0u8; TEXT];
    let mut info = attr::LinkInfo::default();
    info.rest[0] = word(first as u32, 0);
    info.rest[at] = address_mut(&mut name);
    info.rest[at + 1] = word(TEXT as u32, 0);
    // SAFETY: the one pointer set has its buffer's length beside it.
    unsafe { fill(fd, &mut info)? };
    Ok((text_of(&name), info))
}

fn perf_place(fd: BorrowedFd<'_>, rest: &[u64; 6]) -> io::Result<LinkPlace> {
    // enum bpf_perf_event_type
    let kind = halves(rest[0]).0;
    if kind == 6 {
        return Ok(LinkPlace::Event {
            config: rest[1],
            kind: halves(rest[2]).0,
        });
    }
    if !(1..=5).contains(&kind) {
        return Ok(LinkPlace::Untold);
    }
    let (name, info) = link_text(fd, [1, kind as usize])?;
    let offset = halves(info.rest[2]).1;
    Ok(match kind {
        1 | 2 => LinkPlace::User {
            path: name,
            offset,
            ret: kind == 2,
        },
        3 | 4 => LinkPlace::Kernel {
            name,
            offset,
            ret: kind == 4,
        },
        _ => LinkPlace::Tracepoint(name),
    })
}

fn multi_place(fd: BorrowedFd<'_>, rest: &[u64; 6]) -> io::Result<LinkPlace> {
    let (count, flags) = (halves(rest[4]).1, halves(rest[5]).0);
    let mut path = vec![0u8; TEXT];
    let mut offsets = vec![0u64; count as usize];
    let mut ref_ctrs = vec![0u64; count as usize];
    let mut info = attr::LinkInfo::default();
    info.rest[0] = address_mut(&mut path);
    info.rest[1] = address_mut(&mut offsets);
    info.rest[2] = address_mut(&mut ref_ctrs);
    info.rest[4] = word(TEXT as u32, count);
    // SAFETY: the path's buffer has its length, both arrays have their count, in the fields beside them.
    unsafe { fill(fd, &mut info)? };
    Ok(LinkPlace::UprobeMulti {
        path: text_of(&path),
        offsets,
        ref_ctrs,
        ret: flags & uapi::BPF_F_UPROBE_MULTI_RETURN != 0,
        pid: halves(info.rest[5]).1,
    })
}

/// What is attached to a perf event of a process (`BPF_TASK_FD_QUERY`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFd {
    /// The program's id.
    pub program: u32,
    /// `enum bpf_task_fd_type`: 0 raw tracepoint, 1 tracepoint, 2 kprobe, 3 kretprobe, 4 uprobe, 5 uretprobe.
    pub kind: u32,
    /// A tracepoint's, function's or file's name.
    pub name: String,
    /// Byte in the file, or offset in the function.
    pub offset: u64,
    /// Address of a kernel probe without a name.
    pub addr: u64,
}

/// `BPF_TASK_FD_QUERY`: the program behind descriptor `fd` of process `pid`.
///
/// # Errors
/// The kernel's: `EOPNOTSUPP` where a program of type `perf_event` is attached, which it does not name; `ENOENT` where there
/// is none; `EPERM` without `CAP_SYS_ADMIN`.
pub fn task_fd_query(pid: u32, fd: u32) -> io::Result<TaskFd> {
    let mut name = vec![0u8; TEXT];
    let mut attr = attr::TaskFdQuery {
        pid,
        fd,
        buf_len: TEXT as u32,
        buf: address_mut(&mut name),
        ..Default::default()
    };
    // SAFETY: the one pointer set has its buffer's length beside it.
    unsafe { call(uapi::BPF_TASK_FD_QUERY, &mut attr)? };
    Ok(TaskFd {
        program: attr.prog_id,
        kind: attr.fd_type,
        name: text_of(&name),
        offset: attr.probe_offset,
        addr: attr.probe_addr,
    })
}

/// `struct bpf_line_info` of a program, of instructions after the verifier's rewriting: slot, file name, text, line.
///
/// # Errors
/// The kernel's.
pub fn program_lines(fd: BorrowedFd<'_>) -> io::Result<Vec<[u32; 4]>> {
    let mut buf = vec![[0u32; 4]; raw_program_info(fd)?.nr_line_info as usize];
    let mut info = attr::ProgInfo {
        nr_line_info: buf.len() as u32,
        line_info_rec_size: 16,
        line_info: address_mut(&mut buf),
        ..Default::default()
    };
    // SAFETY: the one pointer set has its buffer's length, in records of the size given, beside it.
    unsafe { fill(fd, &mut info)? };
    buf.truncate(info.nr_line_info as usize);
    Ok(buf)
}

/// Addresses in the machine code at which the places of [`program_lines`] begin, and the address of the code itself; zeros
/// where the kernel hides them.
///
/// # Errors
/// The kernel's.
pub fn program_jited_lines(fd: BorrowedFd<'_>) -> io::Result<(Vec<u64>, u64)> {
    let first = raw_program_info(fd)?;
    let mut lines = vec![0u64; first.nr_jited_line_info as usize];
    let mut symbols = vec![0u64; first.nr_jited_ksyms as usize];
    let mut info = attr::ProgInfo {
        nr_jited_line_info: lines.len() as u32,
        jited_line_info_rec_size: 8,
        jited_line_info: address_mut(&mut lines),
        nr_jited_ksyms: symbols.len() as u32,
        jited_ksyms: address_mut(&mut symbols),
        ..Default::default()
    };
    // SAFETY: both pointers have their buffers' lengths, counted in words, beside them.
    unsafe { fill(fd, &mut info)? };
    Ok((lines, symbols.first().copied().unwrap_or(0)))
}

/// The bytes of a BTF object, by its id.
///
/// # Errors
/// The kernel's.
pub fn btf_bytes(id: u32) -> io::Result<Vec<u8>> {
    let fd = fd_by_id(uapi::BPF_BTF_GET_FD_BY_ID, id)?;
    let mut info = attr::BtfInfo::default();
    // SAFETY: all pointers are null, all lengths zero.
    unsafe { fill(fd.as_fd(), &mut info)? };
    let mut buf = vec![0u8; info.btf_size as usize];
    let mut info = attr::BtfInfo {
        btf: address_mut(&mut buf),
        btf_size: buf.len() as u32,
        ..Default::default()
    };
    // SAFETY: the one pointer set has its buffer's length beside it.
    unsafe { fill(fd.as_fd(), &mut info)? };
    Ok(buf)
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
