//! What this kernel's BPF can do, found by trying it: the source of [`Features`].
//!
//! Helpers are probed with one call instruction and a context in `r1`. A helper the kernel knows is refused for its
//! arguments (`EACCES`) or accepted; one it does not know is `EINVAL` (`kernel/bpf/verifier.c: check_helper_call`).
//! What can be part of one valid program is tried together first, so that a new kernel costs one load.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use crate::{
    asm,
    spec::Features,
    sys::{bpf, trace, uapi},
};

/// Helper numbers (`include/uapi/linux/bpf.h`).
const FOR_EACH_MAP_ELEM: u32 = 164;
const GET_ATTACH_COOKIE: u32 = 174;
const LOOP: u32 = 181;
const LOOKUP_PERCPU_ELEM: u32 = 195;
const KTIME_GET_TAI_NS: u32 = 208;

/// One encoded slot: `code`, registers (`src << 4 | dst`), `off`, `imm`.
const fn slot(code: u8, regs: u8, off: i16, imm: i32) -> [u8; 8] {
    let (off, imm) = (off.to_ne_bytes(), imm.to_ne_bytes());
    [code, regs, off[0], off[1], imm[0], imm[1], imm[2], imm[3]]
}

/// `r6 = r1`, for the snippets that call a helper with the context.
const SAVE_CTX: &[[u8; 8]] = &[slot(0xbf, 0x16, 0, 0)];
/// `r0 = 0; exit`.
const END: &[[u8; 8]] = &[slot(0xb7, 0, 0, 0), slot(0x95, 0, 0, 0)];
/// `*(u64 *)(r10 - 8) = 0; r1 = 1; r1 = atomic_fetch_add((u64 *)(r10 - 8), r1)`.
const ATOMICS: &[[u8; 8]] = &[
    slot(0x7a, 0x0a, -8, 0),
    slot(0xb7, 0x01, 0, 1),
    slot(0xdb, 0x1a, -8, 1),
];
/// `r1 = r6; call bpf_get_attach_cookie`.
const COOKIE: &[[u8; 8]] = &[
    slot(0xbf, 0x61, 0, 0),
    slot(0x85, 0, 0, GET_ATTACH_COOKIE as i32),
];
/// `may_goto +0`.
const MAY_GOTO: &[[u8; 8]] = &[slot(0xe5, 0, 0, 0)];
/// `call bpf_ktime_get_tai_ns`.
const TAI: &[[u8; 8]] = &[slot(0x85, 0, 0, KTIME_GET_TAI_NS as i32)];
/// `r1 = 1; r1 = (s8)r1; r1 s/= 1`.
const CPU_V4: &[[u8; 8]] = &[
    slot(0xb7, 0x01, 0, 1),
    slot(0xbf, 0x11, 8, 0),
    slot(0x37, 0x01, 1, 1),
];

/// One encoded slot's bytes, several in a row.
type Snippet = &'static [[u8; 8]];
/// The field of [`Features`] that a probe decides.
type Field = fn(&mut Features) -> &mut bool;

/// What loads together as one valid program, and the field it decides.
const SNIPPETS: &[(Snippet, Field)] = &[
    (ATOMICS, |f| &mut f.atomics),
    (COOKIE, |f| &mut f.attach_cookie),
    (MAY_GOTO, |f| &mut f.may_goto),
    (TAI, |f| &mut f.ktime_tai),
    (CPU_V4, |f| &mut f.cpu_v4),
];

/// Helpers that want arguments no short program has, and the field each decides.
const HELPERS: &[(u32, Field)] = &[
    (LOOP, |f| &mut f.bpf_loop),
    (FOR_EACH_MAP_ELEM, |f| &mut f.for_each_map_elem),
    (LOOKUP_PERCPU_ELEM, |f| &mut f.lookup_percpu),
];

/// Loads a kprobe program made of those snippets between [`SAVE_CTX`] and [`END`]; without any it does nothing.
pub(crate) fn load(snippets: &[&[[u8; 8]]]) -> io::Result<OwnedFd> {
    let insns: Vec<u8> = [SAVE_CTX]
        .iter()
        .chain(snippets)
        .chain(&[END])
        .flat_map(|snippet| snippet.iter().flatten().copied())
        .collect();
    bpf::prog_load(
        &bpf::ProgLoad {
            kind: uapi::BPF_PROG_TYPE_KPROBE,
            attach_type: uapi::BPF_TRACE_UPROBE_MULTI,
            name: "probe",
            insns: &insns,
            license: c"Dual MIT/GPL",
            flags: 0,
            attach_btf_id: 0,
            btf: None,
        },
        None,
    )
}

/// Probes the running kernel: about five system calls on a new one, a few more on an old one.
///
/// # Errors
/// The kernel's, when even the empty program does not load: then nothing is known (`EPERM`: no rights).
pub fn probe() -> io::Result<Features> {
    let _why = trace::because(|| "does this kernel have what new programs use?".to_owned());
    let mut features = Features::floor();
    let all: Vec<&[[u8; 8]]> = SNIPPETS.iter().map(|(snippet, _)| *snippet).collect();
    let program = match load(&all) {
        Ok(program) => {
            for (_, field) in SNIPPETS {
                *field(&mut features) = true;
            }
            program
        }
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => return Err(e),
        Err(_) => {
            let program = load(&[])?;
            for (snippet, field) in SNIPPETS {
                *field(&mut features) = load(&[snippet]).is_ok();
            }
            program
        }
    };
    for (helper, field) in HELPERS {
        let name = asm::helper::by_id(*helper).map_or("?", |row| row.name);
        let _why = trace::because(|| format!("does this kernel have {name}? (EACCES: yes)"));
        let call = [slot(0x85, 0, 0, i32::try_from(*helper).unwrap_or(0))];
        *field(&mut features) = match load(&[&call]) {
            Ok(_) => true,
            Err(e) => e.raw_os_error() == Some(libc::EACCES),
        };
    }
    features.uprobe_multi = has_uprobe_multi(&program);
    Ok(features)
}

/// Whether `uprobe_multi` links exist and filter by process.
///
/// A link on a directory is `EBADF` where they exist. Before 6.10 a pid filtered by *thread*; the same fix refuses a
/// negative pid with `EINVAL` before it looks at the path (`kernel/trace/bpf_trace.c: bpf_uprobe_multi_link_attach`).
fn has_uprobe_multi(program: &OwnedFd) -> bool {
    let _why = trace::because(|| "are there uprobe_multi links? (EBADF, EINVAL: yes)".to_owned());
    let link = |pid| {
        bpf::link_uprobe_multi(
            program.as_fd(),
            &bpf::UprobeMulti {
                path: c"/",
                offsets: &[0],
                ref_ctrs: &[],
                cookies: &[],
                ret: false,
                pid,
            },
        )
    };
    let errno = |result: io::Result<OwnedFd>| result.err().and_then(|e| e.raw_os_error());
    errno(link(0)) == Some(libc::EBADF) && errno(link(u32::MAX)) == Some(libc::EINVAL)
}
