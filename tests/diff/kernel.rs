//! Runs a program in the kernel: `BPF_PROG_LOAD` as a `syscall` program, then `BPF_PROG_TEST_RUN`.

#![allow(unsafe_code)]

use std::io;

const PROG_LOAD: libc::c_long = 5;
const PROG_TEST_RUN: libc::c_long = 10;
const TYPE_SYSCALL: u32 = 31;
const TYPE_SCHED_CLS: u32 = 3;

/// `union bpf_attr`, as 8-byte words.
type Attr = [u64; 21];

fn bpf(command: libc::c_long, attr: &mut Attr) -> io::Result<i32> {
    // SAFETY: the attribute is as long as said, and what it points to outlives the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            attr.as_mut_ptr(),
            std::mem::size_of::<Attr>(),
        )
    };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(done as i32)
    }
}

fn load(kind: u32, code: &[u8], log: &mut [u8]) -> io::Result<i32> {
    let mut attr: Attr = [0; 21];
    let license = c"GPL";
    attr[0] = u64::from(kind) | (code.len() as u64 / 8) << 32;
    attr[1] = code.as_ptr() as u64;
    attr[2] = license.as_ptr() as u64;
    if !log.is_empty() {
        attr[3] = 1 | (log.len() as u64) << 32;
        attr[4] = log.as_mut_ptr() as u64;
    }
    // prog_flags: BPF_F_SLEEPABLE, which syscall programs want
    attr[5] = u64::from(kind == TYPE_SYSCALL) << 36;
    bpf(PROG_LOAD, &mut attr)
}

/// Whether this process may load programs.
pub(crate) fn available() -> io::Result<()> {
    let exit = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    let fd = load(TYPE_SYSCALL, &exit, &mut [])?;
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(fd) };
    Ok(())
}

/// The low half of `r0`; `mem` is the context, in and out.
pub(crate) fn run(code: &[u8], mem: &mut [u8]) -> Result<u32, String> {
    let fd = match load(TYPE_SYSCALL, code, &mut []) {
        Ok(fd) => fd,
        Err(error) => {
            let mut log = vec![0; 1 << 20];
            let _ = load(TYPE_SYSCALL, code, &mut log);
            let text = String::from_utf8_lossy(&log).into_owned();
            // Behind the end there may be what a path wrote that the verifier left again.
            let text = text.split('\0').next().unwrap_or("").trim_end();
            let mut lines: Vec<&str> = text.lines().rev().take(4).collect();
            lines.reverse();
            return Err(format!("{error}: {}", lines.join(" | ")));
        }
    };
    let mut attr: Attr = [0; 21];
    attr[0] = fd as u64;
    // ctx_size_in 40, ctx_size_out 44, ctx_in 48, ctx_out 56
    attr[5] = mem.len() as u64;
    attr[6] = mem.as_mut_ptr() as u64;
    let done = bpf(PROG_TEST_RUN, &mut attr);
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(fd) };
    done.map_err(|error| format!("test run: {error}"))?;
    Ok((attr[0] >> 32) as u32)
}

/// The low half of `r0` of a program that has a packet, of 14 bytes or more, and its socket buffer as context.
pub(crate) fn run_on_packet(code: &[u8], packet: &[u8]) -> io::Result<u32> {
    let fd = load(TYPE_SCHED_CLS, code, &mut [])?;
    let mut attr: Attr = [0; 21];
    attr[0] = fd as u64;
    // data_size_in 8, data_in 16
    attr[1] = packet.len() as u64;
    attr[2] = packet.as_ptr() as u64;
    let done = bpf(PROG_TEST_RUN, &mut attr);
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(fd) };
    done.map(|_| (attr[0] >> 32) as u32)
}
