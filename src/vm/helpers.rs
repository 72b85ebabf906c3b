//! BPF helpers on a [`World`](super::World), one row each (`include/uapi/linux/bpf.h`: `___BPF_FUNC_MAPPER`).

use super::engine::{Engine, Next, Reserved};
use super::fault::FaultKind;
use super::maps::errno;
use super::{Memory, space};

type Args = [u64; 5];
type Outcome = Result<Next, FaultKind>;

/// A helper that the machine has.
pub(super) struct Helper {
    pub(super) id: u32,
    pub(super) name: &'static str,
    /// Number of arguments.
    pub(super) args: u32,
    pub(super) run: fn(&mut Engine, Args) -> Outcome,
}

impl std::fmt::Debug for Helper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn row(
    id: u32,
    name: &'static str,
    args: u32,
    run: fn(&mut Engine, Args) -> Outcome,
) -> Helper {
    Helper {
        id,
        name,
        args,
        run,
    }
}

/// `bpf_tail_call`, which is no call: legalizing makes something else of it.
pub(super) const TAIL_CALL: u32 = 12;

/// All of them, by id.
pub(super) static HELPERS: &[Helper] = &[
    row(1, "bpf_map_lookup_elem", 2, lookup),
    row(2, "bpf_map_update_elem", 4, update),
    row(3, "bpf_map_delete_elem", 2, delete),
    row(4, "bpf_probe_read", 3, probe_read),
    row(5, "bpf_ktime_get_ns", 0, |e, _| value(e.world.time)),
    row(7, "bpf_get_prandom_u32", 0, |e, _| {
        value(u64::from(e.world.next_random()))
    }),
    row(8, "bpf_get_smp_processor_id", 0, |e, _| {
        value(u64::from(e.world.cpu))
    }),
    row(14, "bpf_get_current_pid_tgid", 0, |e, _| {
        value(u64::from(e.world.pid) << 32 | u64::from(e.world.tid))
    }),
    row(15, "bpf_get_current_uid_gid", 0, |e, _| {
        value(u64::from(e.world.gid) << 32 | u64::from(e.world.uid))
    }),
    row(16, "bpf_get_current_comm", 2, comm),
    row(25, "bpf_perf_event_output", 5, perf_event_output),
    row(STACK_ID, "bpf_get_stackid", 3, get_stackid),
    row(35, "bpf_get_current_task", 0, |e, _| value(e.world.task)),
    row(42, "bpf_get_numa_node_id", 0, |e, _| {
        value(u64::from(e.world.node))
    }),
    row(45, "bpf_probe_read_str", 3, probe_read_str),
    row(STACK, "bpf_get_stack", 4, get_stack),
    row(80, "bpf_get_current_cgroup_id", 0, |e, _| {
        value(e.world.cgroup)
    }),
    row(109, "bpf_send_signal", 1, |e, a| signal(e, a, false)),
    row(112, "bpf_probe_read_user", 3, probe_read_user),
    row(113, "bpf_probe_read_kernel", 3, probe_read_kernel),
    row(114, "bpf_probe_read_user_str", 3, probe_read_user_str),
    row(115, "bpf_probe_read_kernel_str", 3, probe_read_kernel_str),
    row(117, "bpf_send_signal_thread", 1, |e, a| signal(e, a, true)),
    row(118, "bpf_jiffies64", 0, |e, _| value(e.world.jiffies)),
    row(125, "bpf_ktime_get_boot_ns", 0, |e, _| {
        value(e.world.time.wrapping_add(e.world.boot_offset))
    }),
    row(130, "bpf_ringbuf_output", 4, ringbuf_output),
    row(131, "bpf_ringbuf_reserve", 3, ringbuf_reserve),
    row(132, "bpf_ringbuf_submit", 2, |e, a| release(e, a, true)),
    row(133, "bpf_ringbuf_discard", 2, |e, a| release(e, a, false)),
    row(148, "bpf_copy_from_user", 3, probe_read_user),
    row(160, "bpf_ktime_get_coarse_ns", 0, |e, _| {
        value(e.world.time / 4_000_000 * 4_000_000)
    }),
    row(164, "bpf_for_each_map_elem", 4, for_each),
    row(173, "bpf_get_func_ip", 1, |e, _| value(e.world.func_ip)),
    row(174, "bpf_get_attach_cookie", 1, |e, _| {
        value(e.world.cookie)
    }),
    row(181, "bpf_loop", 4, bpf_loop),
    row(182, "bpf_strncmp", 3, strncmp),
    row(195, "bpf_map_lookup_percpu_elem", 3, lookup_percpu),
    row(208, "bpf_ktime_get_tai_ns", 0, |e, _| {
        value(e.world.time.wrapping_add(e.world.tai_offset))
    }),
];

/// What a recorded run's world does not tell by itself: stacks, task, NUMA node, cgroup, jiffies, address of the function,
/// cookie.
pub(super) const ONLY_TOLD: &[u32] = &[STACK_ID, 35, 42, STACK, 80, 118, 173, 174];

const STACK_ID: u32 = 27;
const STACK: u32 = 67;

/// Which of a helper's answers is meant, by its arguments: a stack's flags say whose it is.
pub(super) fn asked(helper: u32, args: &[u64; 5]) -> u64 {
    match helper {
        STACK_ID => args[2],
        STACK => args[3],
        _ => 0,
    }
}

/// The helper of that number.
pub(super) fn find(id: u32) -> Option<&'static Helper> {
    HELPERS.iter().find(|helper| helper.id == id)
}

fn value(value: u64) -> Outcome {
    Ok(Next::Value(value))
}

fn answer(answer: i64) -> Outcome {
    value(answer.cast_unsigned())
}

fn argument(helper: &'static str, argument: u8, want: &'static str) -> FaultKind {
    FaultKind::Argument {
        helper,
        argument,
        want,
    }
}

/// The map of a handle, if it has entries.
fn map(e: &Engine, helper: &'static str, handle: u64, at: u8) -> Result<usize, FaultKind> {
    space::handle_map(handle)
        .filter(|&map| e.maps.get(map).is_some_and(super::MapStore::has_entries))
        .ok_or_else(|| argument(helper, at, "a map with keys and values"))
}

fn ring(e: &Engine, helper: &'static str, handle: u64, at: u8) -> Result<usize, FaultKind> {
    space::handle_map(handle)
        .filter(|&map| e.maps.get(map).is_some_and(super::MapStore::is_ring))
        .ok_or_else(|| argument(helper, at, "a ring"))
}

/// Copies `len` bytes of the program's memory into one of the engine's buffers and takes it.
fn take(e: &mut Engine, buffer: usize, addr: u64, len: u64) -> Result<Vec<u8>, FaultKind> {
    let mut bytes = std::mem::take(&mut e.buffers[buffer]);
    bytes.clear();
    match e.read(addr, len) {
        Ok(from) => {
            bytes.extend_from_slice(from);
            Ok(bytes)
        }
        Err(fault) => {
            e.buffers[buffer] = bytes;
            Err(fault)
        }
    }
}

fn give_back(e: &mut Engine, buffer: usize, bytes: Vec<u8>) {
    e.buffers[buffer] = bytes;
}

fn lookup_on(e: &mut Engine, map: usize, key: u64, cpu: u32) -> Outcome {
    let size = u64::from(e.maps[map].spec().key_size);
    let key = take(e, 0, key, size)?;
    let found = e.maps[map].lookup(&key, cpu);
    give_back(e, 0, key);
    value(found.map_or(0, |offset| space::map_value(map, offset)))
}

fn lookup(e: &mut Engine, a: Args) -> Outcome {
    let map = map(e, "bpf_map_lookup_elem", a[0], 1)?;
    lookup_on(e, map, a[1], e.world.cpu)
}

fn lookup_percpu(e: &mut Engine, a: Args) -> Outcome {
    let map = map(e, "bpf_map_lookup_percpu_elem", a[0], 1)?;
    let cpu = u32::try_from(a[2] & 0xffff_ffff).unwrap_or(u32::MAX);
    if cpu >= e.cpus {
        return value(0);
    }
    lookup_on(e, map, a[1], cpu)
}

fn update(e: &mut Engine, a: Args) -> Outcome {
    let map = map(e, "bpf_map_update_elem", a[0], 1)?;
    let spec = e.maps[map].spec();
    let (key_size, value_size) = (u64::from(spec.key_size), u64::from(spec.value_size));
    let key = take(e, 0, a[1], key_size)?;
    let bytes = take(e, 1, a[2], value_size)?;
    let cpu = e.world.cpu;
    let done = e.maps[map].update(&key, &bytes, a[3], cpu);
    give_back(e, 0, key);
    give_back(e, 1, bytes);
    answer(done)
}

fn delete(e: &mut Engine, a: Args) -> Outcome {
    let map = map(e, "bpf_map_delete_elem", a[0], 1)?;
    let size = u64::from(e.maps[map].spec().key_size);
    let key = take(e, 0, a[1], size)?;
    let done = e.maps[map].delete(&key);
    give_back(e, 0, key);
    answer(done)
}

fn comm(e: &mut Engine, a: Args) -> Outcome {
    let comm = e.world.comm;
    let room = e.write(a[0], a[1])?;
    room.fill(0);
    // `strscpy_pad`: the last byte of the room is always NUL.
    let len = room.len().min(comm.len()).saturating_sub(1);
    room[..len].copy_from_slice(&comm[..len]);
    answer(0)
}

fn signal(e: &mut Engine, a: Args, thread: bool) -> Outcome {
    let number = u32::try_from(a[0] & 0xffff_ffff).unwrap_or(0).cast_signed();
    if !(1..=64).contains(&number) {
        return answer(errno::EINVAL);
    }
    e.world.signals.push((number, thread));
    answer(0)
}

/// Which memory a probe reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    User,
    Kernel,
    /// By the address, as the oldest helpers do.
    Either,
}

/// Below it nothing is ever mapped (`vm.mmap_min_addr`, at least a page).
const LEAST_MAPPED: u64 = 4096;

/// Least address that is not user space.
const TASK_SIZE: u64 = 0x7fff_ffff_f000;

impl From {
    fn is_user(self, addr: u64) -> bool {
        match self {
            From::User => true,
            From::Kernel => false,
            From::Either => addr < TASK_SIZE,
        }
    }
}

/// Runs `f` on the memory that is probed and the room for the copy.
fn probe(e: &mut Engine, from: From, a: Args, f: fn(Source<'_>, u64, &mut [u8]) -> i64) -> Outcome {
    let size = a[1] & 0xffff_ffff;
    let addr = a[2];
    let room = e.write(a[0], size)?.len();
    let mut buffer = std::mem::take(&mut e.buffers[0]);
    buffer.clear();
    buffer.extend_from_slice(e.read(a[0], size)?);
    let done = if from.is_user(addr) {
        f(Source::Memory(&e.world.user), addr, &mut buffer[..room])
    } else {
        f(Source::Kernel(e), addr, &mut buffer[..room])
    };
    let result = e
        .write(a[0], size)
        .map(|room| room.copy_from_slice(&buffer));
    e.buffers[0] = buffer;
    result?;
    if done < 0
        && let Some(told) = &e.world.told
        && addr >= LEAST_MAPPED
        && !told.unreadable.contains(&addr)
    {
        return Err(FaultKind::UntoldMemory { addr, size });
    }
    answer(done)
}

/// Memory that a probe reads from.
enum Source<'a> {
    Memory(&'a Memory),
    /// What the program itself owns, then the world's kernel memory.
    Kernel(&'a Engine),
}

impl Source<'_> {
    fn read(&self, addr: u64, out: &mut [u8]) -> bool {
        match self {
            Source::Memory(memory) => memory.read(addr, out),
            Source::Kernel(e) => match e.read(addr, out.len() as u64) {
                Ok(bytes) => {
                    out.copy_from_slice(bytes);
                    true
                }
                Err(_) => e.world.kernel.read(addr, out),
            },
        }
    }

    /// The bytes from `addr` on up to the first NUL or `most`, in `out`; `None` if one is not mapped.
    fn read_str(&self, addr: u64, out: &mut [u8]) -> Option<usize> {
        for at in 0..out.len() {
            let byte = addr.wrapping_add(at as u64);
            if let Source::Memory(memory) = self {
                // Whole runs at a time where there is a slice.
                let rest = &mut out[at..];
                let part = memory.upto(byte, rest.len());
                if let Some(nul) = part.iter().position(|&b| b == 0) {
                    rest[..=nul].copy_from_slice(&part[..=nul]);
                    return Some(at + nul + 1);
                }
                if part.len() == rest.len() {
                    rest.copy_from_slice(part);
                    return Some(out.len());
                }
            }
            if !self.read(byte, &mut out[at..=at]) {
                return None;
            }
            if out[at] == 0 {
                return Some(at + 1);
            }
        }
        Some(out.len())
    }
}

fn copy(source: Source<'_>, addr: u64, out: &mut [u8]) -> i64 {
    if source.read(addr, out) {
        0
    } else {
        out.fill(0);
        errno::EFAULT
    }
}

/// Copies a string and its NUL; a longer one is cut and still ends in NUL. The answer counts the NUL.
fn copy_str(source: Source<'_>, addr: u64, out: &mut [u8]) -> i64 {
    match source.read_str(addr, out) {
        Some(len) => {
            if let Some(last) = len.checked_sub(1) {
                out[last] = 0;
            }
            i64::try_from(len).unwrap_or(i64::MAX)
        }
        None => {
            out.fill(0);
            errno::EFAULT
        }
    }
}

fn probe_read(e: &mut Engine, a: Args) -> Outcome {
    probe(e, From::Either, a, copy)
}

fn probe_read_str(e: &mut Engine, a: Args) -> Outcome {
    probe(e, From::Either, a, copy_str)
}

fn probe_read_user(e: &mut Engine, a: Args) -> Outcome {
    probe(e, From::User, a, copy)
}

fn probe_read_kernel(e: &mut Engine, a: Args) -> Outcome {
    probe(e, From::Kernel, a, copy)
}

fn probe_read_user_str(e: &mut Engine, a: Args) -> Outcome {
    probe(e, From::User, a, copy_str)
}

fn probe_read_kernel_str(e: &mut Engine, a: Args) -> Outcome {
    probe(e, From::Kernel, a, copy_str)
}

fn send(e: &mut Engine, map: usize, data: u64, size: u64) -> Result<i64, FaultKind> {
    let bytes = take(e, 0, data, size)?;
    let world = &mut e.world;
    let done = if world.records.bytes() + bytes.len() > world.ring_limit {
        errno::ENOSPC
    } else {
        world.records.push(map, world.cpu, world.time, &bytes);
        0
    };
    give_back(e, 0, bytes);
    Ok(done)
}

fn perf_event_output(e: &mut Engine, a: Args) -> Outcome {
    const CURRENT_CPU: u64 = 0xffff_ffff;
    let map = ring(e, "bpf_perf_event_output", a[1], 2)?;
    if a[2] > CURRENT_CPU {
        return answer(errno::EINVAL);
    }
    if a[2] != CURRENT_CPU && a[2] != u64::from(e.world.cpu) {
        return answer(if a[2] >= u64::from(e.cpus) {
            errno::E2BIG
        } else {
            errno::EOPNOTSUPP
        });
    }
    answer(send(e, map, a[3], a[4])?)
}

fn ringbuf_output(e: &mut Engine, a: Args) -> Outcome {
    let map = ring(e, "bpf_ringbuf_output", a[0], 1)?;
    if a[3] & !3 != 0 {
        return answer(errno::EINVAL);
    }
    let done = send(e, map, a[1], a[2])?;
    answer(if done == errno::ENOSPC {
        errno::EAGAIN
    } else {
        done
    })
}

fn ringbuf_reserve(e: &mut Engine, a: Args) -> Outcome {
    let map = ring(e, "bpf_ringbuf_reserve", a[0], 1)?;
    let len = usize::try_from(a[1]).unwrap_or(usize::MAX);
    let start = e.reserved_bytes.len().next_multiple_of(8);
    let used = e.world.records.bytes().saturating_add(start);
    let most = e.world.ring_limit.min(1 << 30);
    if a[2] != 0 || used.saturating_add(len) > most {
        return value(0);
    }
    // A gap, so that one past the end is in no record.
    e.reserved_bytes.resize(start + len + 8, 0);
    e.reserved.push(Reserved {
        map,
        start,
        len,
        held: true,
    });
    value(space::RECORD + start as u64)
}

fn release(e: &mut Engine, a: Args, submit: bool) -> Outcome {
    let name = if submit {
        "bpf_ringbuf_submit"
    } else {
        "bpf_ringbuf_discard"
    };
    let at = a[0].wrapping_sub(space::RECORD);
    let Some(record) = e
        .reserved
        .iter_mut()
        .find(|r| r.held && r.start as u64 == at)
    else {
        return Err(argument(name, 1, "a record that is still held"));
    };
    record.held = false;
    if submit {
        let bytes = &e.reserved_bytes[record.start..record.start + record.len];
        e.world
            .records
            .push(record.map, e.world.cpu, e.world.time, bytes);
    }
    value(0)
}

/// `BPF_F_USER_STACK`, `BPF_F_FAST_STACK_CMP`, `BPF_F_REUSE_STACKID`; the low byte is how many frames to skip.
const USER_STACK: u64 = 1 << 8;
const FAST_CMP: u64 = 1 << 9;
const REUSE: u64 = 1 << 10;

fn trace(e: &Engine, flags: u64) -> &[u64] {
    let all = if flags & USER_STACK != 0 {
        &e.world.user_stack
    } else {
        &e.world.kernel_stack
    };
    let skip = usize::try_from(flags & 0xff).unwrap_or(0);
    all.get(skip..).unwrap_or(&[])
}

fn get_stackid(e: &mut Engine, a: Args) -> Outcome {
    let Some(map) = space::handle_map(a[1]).filter(|&m| m < e.maps.len()) else {
        return Err(argument("bpf_get_stackid", 2, "a stack trace map"));
    };
    if a[2] & !(0xff | USER_STACK | FAST_CMP | REUSE) != 0 {
        return answer(errno::EINVAL);
    }
    let frames = trace(e, a[2]).to_vec();
    if frames.is_empty() {
        return answer(errno::EFAULT);
    }
    answer(e.maps[map].stack_id(&frames, a[2] & REUSE != 0, a[2] & FAST_CMP != 0))
}

fn get_stack(e: &mut Engine, a: Args) -> Outcome {
    let size = a[2] & 0xffff_ffff;
    if a[3] & !(0xff | USER_STACK) != 0 || !size.is_multiple_of(8) {
        return answer(errno::EINVAL);
    }
    let frames = trace(e, a[3]).to_vec();
    let room = e.write(a[1], size)?;
    room.fill(0);
    if frames.is_empty() {
        return answer(errno::EFAULT);
    }
    let mut len = 0;
    for (place, addr) in room.chunks_exact_mut(8).zip(frames) {
        place.copy_from_slice(&addr.to_ne_bytes());
        len += 8;
    }
    answer(len)
}

fn callback(e: &Engine, helper: &'static str, addr: u64) -> Result<usize, FaultKind> {
    space::function_index(addr)
        .filter(|&f| f < e.code.costs.len())
        .ok_or_else(|| argument(helper, 2, "a function of this program"))
}

fn bpf_loop(e: &mut Engine, a: Args) -> Outcome {
    let function = callback(e, "bpf_loop", a[1])?;
    let count = a[0] & 0xffff_ffff;
    if a[3] != 0 {
        return answer(errno::EINVAL);
    }
    if count > 1 << 23 {
        return answer(errno::E2BIG);
    }
    Ok(Next::Loop {
        function,
        count,
        ctx: a[2],
    })
}

fn for_each(e: &mut Engine, a: Args) -> Outcome {
    let map = map(e, "bpf_for_each_map_elem", a[0], 1)?;
    let function = callback(e, "bpf_for_each_map_elem", a[1])?;
    if a[3] != 0 {
        return answer(errno::EINVAL);
    }
    Ok(Next::ForEach {
        function,
        map,
        ctx: a[2],
    })
}

fn strncmp(e: &mut Engine, a: Args) -> Outcome {
    let len = a[1] & 0xffff_ffff;
    let first = e.read(a[0], len)?;
    // The second string is a constant: read as far as needed.
    for (at, &x) in (0..).zip(first) {
        let y = e.read(a[2].wrapping_add(at), 1)?[0];
        if x != y {
            return answer(if x < y { -1 } else { 1 });
        }
        if x == 0 {
            break;
        }
    }
    answer(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_no_helper_takes_more_than_five() {
        for pair in HELPERS.windows(2) {
            assert!(pair[0].id < pair[1].id, "{}", pair[1].name);
        }
        assert!(HELPERS.iter().all(|h| h.args <= 5));
    }
}
