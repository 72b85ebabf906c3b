//! One accepted and one refused program for each rule about kernel functions, counts and dynamic pointers; `~` ends a
//! line. The kernel must agree.

use baretrace::{
    asm::{
        Callee, Insn, Reg,
        build::{exit, mov64_imm},
        helper::ProgType,
        kfunc::KFUNCS,
    },
    kernel::kfuncs,
};

use super::{
    kernel::Judge,
    packets::{MAPS, Row, compare},
    table,
};

const KPROBE: ProgType = ProgType::Kprobe;
const XDP: ProgType = ProgType::Xdp;
const TC: ProgType = ProgType::SchedCls;
const SYSCALL: ProgType = ProgType::Syscall;

const WORDS: &[(&str, &str)] = &[
    // A task in r7, to be released.
    (
        "TASK",
        "r1 = 1 ~ call bpf_task_from_pid ~ if r0 == 0 goto out ~ r7 = r0",
    ),
    ("GIVE", "r1 = r7 ~ call bpf_task_release"),
    // A count from 0 to 5 at r10 -8.
    (
        "COUNT",
        "r1 = r10 ~ r1 += -8 ~ r2 = 0 ~ r3 = 5 ~ call bpf_iter_num_new",
    ),
    ("NEXT", "r1 = r10 ~ r1 += -8 ~ call bpf_iter_num_next"),
    ("DONE", "r1 = r10 ~ r1 += -8 ~ call bpf_iter_num_destroy"),
    // A record of 16 bytes and its dynamic pointer at r10 -16.
    (
        "RESERVE",
        "r1 = map[ring] ~ r2 = 16 ~ r3 = 0 ~ r4 = r10 ~ r4 += -16 ~ call bpf_ringbuf_reserve_dynptr",
    ),
    (
        "SUBMIT",
        "r1 = r10 ~ r1 += -16 ~ r2 = 0 ~ call bpf_ringbuf_submit_dynptr",
    ),
    // A dynamic pointer at r10 -16 to a value of 64 bytes.
    (
        "LOCAL",
        "r1 = map[array][0]+0 ~ r2 = 64 ~ r3 = 0 ~ r4 = r10 ~ r4 += -16 ~ call bpf_dynptr_from_mem",
    ),
    ("DYN", "r1 = r10 ~ r1 += -16"),
    ("END", "out: ~ r0 = 0 ~ exit"),
];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (SYSCALL, "task", "TASK ~ GIVE ~ END", "TASK ~ END", "what insn 1 took is not released"),
    (SYSCALL, "task or 0", "TASK ~ GIVE ~ END", "r1 = 1 ~ call bpf_task_from_pid ~ r1 = r0 ~ call bpf_task_release ~ END", "bpf_task_release wants a kernel structure that was taken in r1, which holds ptr_or_null_"),
    (SYSCALL, "task given twice", "TASK ~ GIVE ~ END", "TASK ~ GIVE ~ GIVE ~ END", "r1 is no pointer any more: insn 5 ended its life"),
    (SYSCALL, "task used after its release", "TASK ~ r1 = r7 ~ call bpf_task_acquire ~ if r0 == 0 goto +2 ~ r1 = r0 ~ call bpf_task_release ~ GIVE ~ END", "TASK ~ GIVE ~ r1 = r7 ~ call bpf_task_acquire ~ END", "r1 is no pointer any more: insn 5 ended its life"),
    (SYSCALL, "the current task is nobody's to give", "call bpf_get_current_task_btf ~ r1 = r0 ~ call bpf_task_acquire ~ if r0 == 0 goto out ~ r1 = r0 ~ call bpf_task_release ~ END", "call bpf_get_current_task_btf ~ r1 = r0 ~ call bpf_task_release ~ END", "r1 is given back and was not taken"),
    (SYSCALL, "a number for a task", "TASK ~ GIVE ~ END", "r1 = 5 ~ call bpf_task_release ~ END", "bpf_task_release wants a kernel structure that was taken in r1, which holds scalar"),
    (SYSCALL, "a cgroup is no task", "r1 = 1 ~ call bpf_cgroup_from_id ~ if r0 == 0 goto out ~ r1 = r0 ~ call bpf_cgroup_release ~ END", "r1 = 1 ~ call bpf_cgroup_from_id ~ if r0 == 0 goto out ~ r1 = r0 ~ call bpf_task_release ~ END", "bpf_task_release wants a kernel structure that was taken in r1, which holds ptr_"),
    (SYSCALL, "ancestor", "r1 = 1 ~ call bpf_cgroup_from_id ~ if r0 == 0 goto out ~ r6 = r0 ~ r1 = r0 ~ r2 = 0 ~ call bpf_cgroup_ancestor ~ if r0 == 0 goto +2 ~ r1 = r0 ~ call bpf_cgroup_release ~ r1 = r6 ~ call bpf_cgroup_release ~ END", "r1 = 1 ~ call bpf_cgroup_from_id ~ if r0 == 0 goto out ~ r1 = r0 ~ r2 = 0 ~ call bpf_cgroup_ancestor ~ if r0 == 0 goto out ~ r1 = r0 ~ call bpf_cgroup_release ~ END", "what insn 1 took is not released"),
    (SYSCALL, "task in a cgroup", "TASK ~ r1 = 1 ~ call bpf_cgroup_from_id ~ if r0 == 0 goto give ~ r6 = r0 ~ r1 = r7 ~ r2 = r6 ~ call bpf_task_under_cgroup ~ r1 = r6 ~ call bpf_cgroup_release ~ give: ~ GIVE ~ END", "TASK ~ r1 = r7 ~ r2 = 0 ~ call bpf_task_under_cgroup ~ GIVE ~ END", "bpf_task_under_cgroup wants a pointer to a kernel structure in r2, which holds scalar"),
    (SYSCALL, "a pointer for a number", "TASK ~ GIVE ~ END", "r1 = r10 ~ call bpf_task_from_pid ~ if r0 == 0 goto out ~ r1 = r0 ~ call bpf_task_release ~ END", "bpf_task_from_pid wants a number in r1, which holds fp"),
    (SYSCALL, "set of CPUs", "call bpf_cpumask_create ~ if r0 == 0 goto out ~ r6 = r0 ~ r1 = 0 ~ r2 = r6 ~ call bpf_cpumask_set_cpu ~ r1 = r6 ~ call bpf_cpumask_release ~ END", "call bpf_cpumask_create ~ if r0 == 0 goto out ~ r6 = r0 ~ r1 = r6 ~ call bpf_cpumask_acquire ~ r1 = r6 ~ call bpf_cpumask_release ~ END", "what insn 4 took is not released"),
    (SYSCALL, "RCU section", "call bpf_rcu_read_lock ~ call bpf_rcu_read_unlock ~ END", "call bpf_rcu_read_lock ~ END", "the RCU section begun at insn 0 is not ended"),
    (SYSCALL, "end of an RCU section", "call bpf_rcu_read_lock ~ call bpf_rcu_read_unlock ~ END", "call bpf_rcu_read_unlock ~ END", "bpf_rcu_read_unlock ends what was not begun"),
    (SYSCALL, "RCU section in another", "call bpf_rcu_read_lock ~ call bpf_rcu_read_unlock ~ call bpf_rcu_read_lock ~ call bpf_rcu_read_unlock ~ END", "call bpf_rcu_read_lock ~ call bpf_rcu_read_lock ~ call bpf_rcu_read_unlock ~ call bpf_rcu_read_unlock ~ END", "begins an RCU section inside another"),
    (SYSCALL, "sleep in an RCU section", "r1 = r10 ~ r1 += -8 ~ r2 = 8 ~ r3 = 0 ~ call bpf_copy_from_user ~ END", "call bpf_rcu_read_lock ~ r1 = r10 ~ r1 += -8 ~ r2 = 8 ~ r3 = 0 ~ call bpf_copy_from_user ~ call bpf_rcu_read_unlock ~ END", "bpf_copy_from_user may sleep and this program may not"),
    (SYSCALL, "preemption", "call bpf_preempt_disable ~ call bpf_preempt_disable ~ call bpf_preempt_enable ~ call bpf_preempt_enable ~ END", "call bpf_preempt_disable ~ END", "preemption, turned off at insn 0, is not turned on again"),
    (SYSCALL, "preemption turned on", "call bpf_preempt_disable ~ call bpf_preempt_enable ~ END", "call bpf_preempt_enable ~ END", "bpf_preempt_enable ends what was not begun"),
    (KPROBE, "program type", "call bpf_rcu_read_lock ~ call bpf_rcu_read_unlock ~ END", "r1 = 1 ~ call bpf_task_from_pid ~ END", "bpf_task_from_pid is not for programs of type Kprobe"),
    (KPROBE, "count", "COUNT ~ loop: ~ NEXT ~ if r0 == 0 goto done ~ r1 = *(u32 *)(r0 +0) ~ goto loop ~ done: ~ DONE ~ END", "COUNT ~ NEXT ~ END", "the count begun at insn 4 is not ended"),
    (KPROBE, "a count's number may be none", "COUNT ~ loop: ~ NEXT ~ if r0 == 0 goto done ~ r1 = *(u32 *)(r0 +0) ~ goto loop ~ done: ~ DONE ~ END", "COUNT ~ NEXT ~ r1 = *(u32 *)(r0 +0) ~ DONE ~ END", "memory access through r0, which is no pointer to memory (scalar)"),
    (KPROBE, "a count's number is four bytes", "COUNT ~ NEXT ~ if r0 == 0 goto done ~ r1 = *(u32 *)(r0 +0) ~ done: ~ DONE ~ END", "COUNT ~ NEXT ~ if r0 == 0 goto done ~ r1 = *(u64 *)(r0 +0) ~ done: ~ DONE ~ END", "8 bytes at offset 0 are not inside the record of 4 bytes"),
    (KPROBE, "a count's number is read alone", "COUNT ~ NEXT ~ if r0 == 0 goto done ~ r1 = *(s32 *)(r0 +0) ~ done: ~ DONE ~ END", "COUNT ~ NEXT ~ if r0 == 0 goto done ~ *(u32 *)(r0 +0) = 1 ~ done: ~ DONE ~ END", "writes to memory that may only be read"),
    (KPROBE, "a count without its begin", "COUNT ~ DONE ~ END", "NEXT ~ END", "bpf_iter_num_next wants a count on the stack in r1, which holds fp"),
    (KPROBE, "a count after its end", "COUNT ~ DONE ~ COUNT ~ DONE ~ END", "COUNT ~ DONE ~ NEXT ~ END", "bpf_iter_num_next wants a count on the stack in r1, which holds fp"),
    (KPROBE, "a count over a count", "COUNT ~ DONE ~ COUNT ~ DONE ~ END", "COUNT ~ COUNT ~ DONE ~ END", "bpf_iter_num_new wants room on the stack for a count in r1, which holds fp"),
    (KPROBE, "a count's bytes, read", "COUNT ~ r1 = *(u64 *)(r10 -16) ~ DONE ~ END", "COUNT ~ r1 = *(u64 *)(r10 -8) ~ DONE ~ END", "touches the byte at r10 -8, part of a dynamic pointer or a count"),
    (KPROBE, "a count's bytes, written", "COUNT ~ *(u64 *)(r10 -16) = 0 ~ DONE ~ END", "COUNT ~ *(u64 *)(r10 -8) = 0 ~ DONE ~ END", "bpf_iter_num_destroy wants a count on the stack in r1, which holds fp"),
    (KPROBE, "a count's place", "r1 = r10 ~ r1 += -16 ~ r2 = 0 ~ r3 = 5 ~ call bpf_iter_num_new ~ r1 = r10 ~ r1 += -16 ~ call bpf_iter_num_destroy ~ END", "r1 = r10 ~ r1 += -12 ~ r2 = 0 ~ r3 = 5 ~ call bpf_iter_num_new ~ END", "bpf_iter_num_new wants room on the stack for a count in r1, which holds fp"),
    (KPROBE, "what a loop forgets", "COUNT ~ r6 = 0 ~ loop: ~ NEXT ~ if r0 == 0 goto done ~ r6 += 1 ~ goto loop ~ done: ~ DONE ~ r0 = r6 ~ exit", "COUNT ~ r6 = 0 ~ loop: ~ NEXT ~ if r0 == 0 goto done ~ r6 += 1 ~ goto loop ~ done: ~ DONE ~ r1 = map[array][0]+0 ~ r1 += r6 ~ r0 = *(u8 *)(r1 +0) ~ exit", "1 bytes at offset 64 are not inside the map value of 64 bytes"),
    (KPROBE, "bounded index in a loop", "COUNT ~ r6 = map[array][0]+0 ~ loop: ~ NEXT ~ if r0 == 0 goto done ~ r1 = *(u32 *)(r0 +0) ~ if r1 > 63 goto done ~ r2 = r6 ~ r2 += r1 ~ *(u8 *)(r2 +0) = 1 ~ goto loop ~ done: ~ DONE ~ END", "COUNT ~ r6 = map[array][0]+0 ~ loop: ~ NEXT ~ if r0 == 0 goto done ~ r1 = *(u32 *)(r0 +0) ~ r2 = r6 ~ r2 += r1 ~ *(u8 *)(r2 +0) = 1 ~ goto loop ~ done: ~ DONE ~ END", "an offset into the map value has no upper bound"),
    (KPROBE, "two counts", "COUNT ~ r1 = r10 ~ r1 += -16 ~ r2 = 0 ~ r3 = 3 ~ call bpf_iter_num_new ~ loop: ~ r1 = r10 ~ r1 += -16 ~ call bpf_iter_num_next ~ if r0 == 0 goto done ~ NEXT ~ if r0 == 0 goto done ~ goto loop ~ done: ~ r1 = r10 ~ r1 += -16 ~ call bpf_iter_num_destroy ~ DONE ~ END", "COUNT ~ r1 = r10 ~ r1 += -16 ~ r2 = 0 ~ r3 = 3 ~ call bpf_iter_num_new ~ DONE ~ END", "the count begun at insn 9 is not ended"),
    (KPROBE, "record by a dynamic pointer", "RESERVE ~ SUBMIT ~ END", "RESERVE ~ END", "the record reserved at insn 5, with its dynamic pointer, is neither submitted nor discarded"),
    (KPROBE, "submitted twice", "RESERVE ~ SUBMIT ~ END", "RESERVE ~ SUBMIT ~ SUBMIT ~ END", "bpf_ringbuf_submit_dynptr wants a dynamic pointer on the stack in r1, which holds fp"),
    (KPROBE, "submit of what is no record", "RESERVE ~ SUBMIT ~ END", "LOCAL ~ SUBMIT ~ END", "bpf_ringbuf_submit_dynptr wants a dynamic pointer on the stack in r1, which holds fp"),
    (KPROBE, "second half of a dynamic pointer", "LOCAL ~ DYN ~ call bpf_dynptr_size ~ END", "LOCAL ~ r1 = r10 ~ r1 += -8 ~ call bpf_dynptr_size ~ END", "16 bytes at r10 -8 are not inside the stack of 512 bytes"),
    (KPROBE, "a dynamic pointer's bytes, read", "LOCAL ~ r0 = *(u64 *)(r10 -24) ~ END", "LOCAL ~ r0 = *(u64 *)(r10 -16) ~ END", "touches the byte at r10 -16, part of a dynamic pointer or a count"),
    (KPROBE, "a dynamic pointer written over", "LOCAL ~ *(u64 *)(r10 -8) = 0 ~ LOCAL ~ END", "LOCAL ~ *(u64 *)(r10 -8) = 0 ~ DYN ~ call bpf_dynptr_size ~ END", "bpf_dynptr_size wants a dynamic pointer on the stack in r1, which holds fp"),
    (KPROBE, "a record's dynamic pointer written over", "RESERVE ~ *(u64 *)(r10 -24) = 0 ~ SUBMIT ~ END", "RESERVE ~ *(u64 *)(r10 -8) = 0 ~ SUBMIT ~ END", "writes over the dynamic pointer at r10 -8, which holds a record"),
    (KPROBE, "bytes read through one", "LOCAL ~ r1 = r10 ~ r1 += -32 ~ r2 = 8 ~ r3 = r10 ~ r3 += -16 ~ r4 = 0 ~ r5 = 0 ~ call bpf_dynptr_read ~ r0 = *(u64 *)(r10 -32) ~ exit", "LOCAL ~ r1 = r10 ~ r1 += -32 ~ r2 = 24 ~ r3 = r10 ~ r3 += -16 ~ r4 = 0 ~ r5 = 0 ~ call bpf_dynptr_read ~ END", "touches the byte at r10 -16, part of a dynamic pointer or a count"),
    (KPROBE, "bytes written through one", "RESERVE ~ *(u64 *)(r10 -24) = 7 ~ DYN ~ r2 = 0 ~ r3 = r10 ~ r3 += -24 ~ r4 = 8 ~ r5 = 0 ~ call bpf_dynptr_write ~ SUBMIT ~ END", "*(u64 *)(r10 -24) = 7 ~ DYN ~ r2 = 0 ~ r3 = r10 ~ r3 += -24 ~ r4 = 8 ~ r5 = 0 ~ call bpf_dynptr_write ~ END", "bpf_dynptr_write wants a dynamic pointer on the stack in r1, which holds fp"),
    (KPROBE, "slice", "RESERVE ~ DYN ~ r2 = 0 ~ r3 = 8 ~ call bpf_dynptr_data ~ if r0 == 0 goto +1 ~ *(u64 *)(r0 +0) = 1 ~ SUBMIT ~ END", "RESERVE ~ DYN ~ r2 = 0 ~ r3 = 8 ~ call bpf_dynptr_data ~ *(u64 *)(r0 +0) = 1 ~ SUBMIT ~ END", "memory access through r0, which may be 0 (mem_or_null)"),
    (KPROBE, "slice, beyond", "RESERVE ~ DYN ~ r2 = 0 ~ r3 = 8 ~ call bpf_dynptr_data ~ if r0 == 0 goto +1 ~ *(u64 *)(r0 +0) = 1 ~ SUBMIT ~ END", "RESERVE ~ DYN ~ r2 = 0 ~ r3 = 8 ~ call bpf_dynptr_data ~ if r0 == 0 goto +1 ~ *(u64 *)(r0 +1) = 1 ~ SUBMIT ~ END", "8 bytes at offset 1 are not inside the record of 8 bytes"),
    (KPROBE, "slice after its record", "RESERVE ~ DYN ~ r2 = 0 ~ r3 = 8 ~ call bpf_dynptr_data ~ if r0 == 0 goto +1 ~ *(u64 *)(r0 +0) = 1 ~ SUBMIT ~ END", "RESERVE ~ DYN ~ r2 = 0 ~ r3 = 8 ~ call bpf_dynptr_data ~ r6 = r0 ~ SUBMIT ~ if r6 == 0 goto out ~ *(u64 *)(r6 +0) = 1 ~ END", "r6 is no pointer any more: insn 15 ended its life"),
    (KPROBE, "slice of what is written over", "LOCAL ~ DYN ~ r2 = 0 ~ r3 = 8 ~ call bpf_dynptr_data ~ if r0 == 0 goto out ~ *(u64 *)(r0 +0) = 1 ~ END", "LOCAL ~ DYN ~ r2 = 0 ~ r3 = 8 ~ call bpf_dynptr_data ~ if r0 == 0 goto out ~ *(u64 *)(r10 -16) = 0 ~ *(u64 *)(r0 +0) = 1 ~ END", "r0 is no pointer any more: insn 12 ended its life"),
    (KPROBE, "slice is no record", "RESERVE ~ SUBMIT ~ END", "RESERVE ~ DYN ~ r2 = 0 ~ r3 = 8 ~ call bpf_dynptr_data ~ if r0 == 0 goto +3 ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "bpf_ringbuf_submit wants a ring buffer record in r1, which holds mem"),
    (KPROBE, "dynamic pointer to the stack", "LOCAL ~ END", "r1 = r10 ~ r1 += -32 ~ r2 = 8 ~ r3 = 0 ~ r4 = r10 ~ r4 += -16 ~ call bpf_dynptr_from_mem ~ END", "bpf_dynptr_from_mem wants a pointer to memory in r1, which holds fp"),
    (KPROBE, "dynamic pointer, narrowed", "LOCAL ~ DYN ~ r2 = 8 ~ r3 = 16 ~ call bpf_dynptr_adjust ~ DYN ~ call bpf_dynptr_is_null ~ END", "DYN ~ r2 = 8 ~ r3 = 16 ~ call bpf_dynptr_adjust ~ END", "bpf_dynptr_adjust wants a dynamic pointer on the stack in r1, which holds fp"),
    (XDP, "packet by a dynamic pointer", "r2 = 0 ~ r3 = r10 ~ r3 += -16 ~ call bpf_dynptr_from_xdp ~ DYN ~ r2 = 0 ~ r3 = r10 ~ r3 += -32 ~ r4 = 14 ~ call bpf_dynptr_slice ~ if r0 == 0 goto out ~ r0 = *(u8 *)(r0 +13) ~ exit ~ END", "r2 = 0 ~ r3 = r10 ~ r3 += -16 ~ call bpf_dynptr_from_xdp ~ DYN ~ r2 = 0 ~ r3 = r10 ~ r3 += -32 ~ r4 = 14 ~ call bpf_dynptr_slice ~ if r0 == 0 goto out ~ *(u8 *)(r0 +13) = 1 ~ END", "writes to memory that may only be read"),
    (XDP, "slice of a packet that moves", "r6 = r1 ~ r2 = 0 ~ r3 = r10 ~ r3 += -16 ~ call bpf_dynptr_from_xdp ~ DYN ~ r2 = 0 ~ r3 = 0 ~ r4 = 14 ~ call bpf_dynptr_slice_rdwr ~ if r0 == 0 goto out ~ *(u8 *)(r0 +13) = 1 ~ END", "r6 = r1 ~ r2 = 0 ~ r3 = r10 ~ r3 += -16 ~ call bpf_dynptr_from_xdp ~ DYN ~ r2 = 0 ~ r3 = 0 ~ r4 = 14 ~ call bpf_dynptr_slice_rdwr ~ if r0 == 0 goto out ~ r7 = r0 ~ r1 = r6 ~ r2 = 4 ~ call bpf_xdp_adjust_head ~ *(u8 *)(r7 +13) = 1 ~ END", "r7 is no pointer any more: insn 15 ended its life"),
    (TC, "packet by a dynamic pointer", "r2 = 0 ~ r3 = r10 ~ r3 += -16 ~ call bpf_dynptr_from_skb ~ DYN ~ call bpf_dynptr_size ~ exit", "r2 = 0 ~ r3 = r10 ~ r3 += -16 ~ call bpf_dynptr_from_xdp ~ exit", "bpf_dynptr_from_xdp is not for programs of type SchedCls"),
    (TC, "write through one moves the packet", "r6 = r1 ~ r2 = 0 ~ r3 = r10 ~ r3 += -16 ~ call bpf_dynptr_from_skb ~ r7 = *(u32 *)(r6 +76) ~ r8 = *(u32 *)(r6 +80) ~ r1 = r7 ~ r1 += 8 ~ if r1 > r8 goto out ~ *(u64 *)(r10 -24) = 0 ~ r0 = *(u8 *)(r7 +0) ~ END", "r6 = r1 ~ r2 = 0 ~ r3 = r10 ~ r3 += -16 ~ call bpf_dynptr_from_skb ~ r7 = *(u32 *)(r6 +76) ~ r8 = *(u32 *)(r6 +80) ~ r1 = r7 ~ r1 += 8 ~ if r1 > r8 goto out ~ *(u64 *)(r10 -24) = 0 ~ DYN ~ r2 = 0 ~ r3 = r10 ~ r3 += -24 ~ r4 = 8 ~ r5 = 0 ~ call bpf_dynptr_write ~ r0 = *(u8 *)(r7 +0) ~ END", "r7 is no pointer any more: insn 18 ended its life"),
    (XDP, "not modelled, by name", "END", "r1 = 1 ~ r2 = 0 ~ call bpf_obj_new_impl ~ END", "bpf_obj_new_impl: not modelled"),
];

/// The programs of the table, the good and the bad.
pub(crate) fn programs() -> Vec<(ProgType, Vec<Insn>)> {
    let insns = |text| table::insns(&table::expand(text, WORDS), &MAPS);
    let both = |row: &Row| [(row.0, insns(row.2)), (row.0, insns(row.3))];
    ROWS.iter().flat_map(both).collect()
}

#[test]
fn each_rule_of_kernel_functions_takes_one_program_and_refuses_another() {
    compare(ROWS, WORDS);
}

/// The kernel says which program types may call a function, before it looks at the arguments.
#[test]
fn program_types_of_kernel_functions() {
    let Some(judge) = Judge::new(&[]) else {
        return;
    };
    let types = [
        ProgType::SocketFilter,
        ProgType::Kprobe,
        ProgType::SchedCls,
        ProgType::Tracepoint,
        ProgType::Xdp,
        ProgType::PerfEvent,
        ProgType::RawTracepoint,
        ProgType::Syscall,
    ];
    let mut wrong = Vec::new();
    for row in KFUNCS {
        let Some(id) = kfuncs::id_of(row.name) else {
            wrong.push(format!("{}: not in this kernel", row.name));
            continue;
        };
        let callee = Callee::Kfunc { id, off: 0 };
        let insns = [Insn::Call { callee }, mov64_imm(Reg::R0, 0), exit()];
        let allowed = |kind: &ProgType| {
            let said = judge.verdict(&insns, *kind, *kind == ProgType::Syscall, true);
            !said.is_err_and(|said| said.contains("is not allowed"))
        };
        let bits = types.iter().filter(|kind| allowed(kind));
        let bits = bits.fold(0u8, |bits, kind| bits | 1 << *kind as u8);
        let ours = types.iter().filter(|kind| row.allowed_in(**kind));
        let ours = ours.fold(0u8, |bits, kind| bits | 1 << *kind as u8);
        // Tracing programs hand it a `struct sk_buff`, which is not modelled.
        let bits = match row.name {
            "bpf_dynptr_from_skb" => bits & ours,
            _ => bits,
        };
        if bits != ours {
            wrong.push(format!(
                "{}: {ours:#010b}, the kernel {bits:#010b}",
                row.name
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
