//! Kernel functions that programs may call: name, signature, first version.
//!
//! They have no fixed numbers: a call names the function by its id in the running kernel's BTF. Signatures are those of
//! the C functions (`kernel/bpf/helpers.c`, `net/core/filter.c`), with what their flags (`include/linux/btf.h`, `KF_…`)
//! say of ownership. Program types were asked of a 6.18 kernel's verifier, one load for each pair. They are for programs
//! under a GPL-compatible licence alone.

use super::{
    helper::{Arg, ProgType, Ret},
    table::Since,
};

/// What a call does beside giving a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The result has to be given back (`KF_ACQUIRE`).
    Acquires,
    /// Ends the life of its first argument (`KF_RELEASE`).
    Releases,
    /// Begins an RCU read-side section.
    RcuLock,
    /// Ends it.
    RcuUnlock,
    /// The program cannot be preempted from here on.
    PreemptOff,
    /// It can be again.
    PreemptOn,
}

/// A kernel function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kfunc {
    /// Its name.
    pub name: &'static str,
    /// Arguments in r1, r2 and so on.
    pub args: &'static [Arg],
    /// What r0 holds afterwards.
    pub ret: Ret,
    /// What else it does.
    pub effect: Effect,
    /// First kernel.
    pub since: Since,
    /// What it does, in a line.
    pub does: &'static str,
    progs: u8,
}

/// What is known of an id in a kernel's BTF.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    /// A function that the table has.
    Row(&'static Kfunc),
    /// One whose name alone is known.
    Name(&'static str),
}

impl Kfunc {
    /// Whether programs of that type may call it on kernel 6.18.
    pub const fn allowed_in(&self, prog: ProgType) -> bool {
        self.progs & (1 << prog as u8) != 0
    }
}

/// The function of that name.
pub fn by_name(name: &str) -> Option<&'static Kfunc> {
    KFUNCS.iter().find(|row| row.name == name)
}

/// The name of a function that can be called by name.
pub fn known_name(name: &str) -> Option<&'static str> {
    let rows = KFUNCS.iter().map(|row| row.name);
    rows.chain(OTHERS.iter().copied())
        .find(|known| *known == name)
}

const fn row(
    name: &'static str,
    args: &'static [Arg],
    ret: Ret,
    effect: Effect,
    since: (u8, u8),
    progs: u8,
    does: &'static str,
) -> Kfunc {
    Kfunc {
        name,
        args,
        ret,
        effect,
        since: Since(since.0, since.1),
        does,
        progs,
    }
}

const TASK: &str = "task_struct";
const CGROUP: &str = "cgroup";
const MASK: &str = "bpf_cpumask";
const ALL: u8 = 0b1111_1111;
const OBJECTS: u8 = 0b1011_1100;
const MASKS: u8 = 0b1010_1000;

/// All that are known. The program types are bits of [`ProgType`].
#[rustfmt::skip]
pub const KFUNCS: &[Kfunc] = &[
    row("bpf_rcu_read_lock", &[], Ret::Void, Effect::RcuLock, (6, 2), ALL, "begins an RCU read-side section"),
    row("bpf_rcu_read_unlock", &[], Ret::Void, Effect::RcuUnlock, (6, 2), ALL, "ends an RCU read-side section"),
    row("bpf_preempt_disable", &[], Ret::Void, Effect::PreemptOff, (6, 10), ALL, "keeps the program on its CPU until bpf_preempt_enable"),
    row("bpf_preempt_enable", &[], Ret::Void, Effect::PreemptOn, (6, 10), ALL, "ends what bpf_preempt_disable began"),
    row("bpf_task_acquire", &[Arg::Btf(TASK)], Ret::BtfOrNull(TASK), Effect::Acquires, (6, 2), OBJECTS, "keeps a task from being freed"),
    row("bpf_task_release", &[Arg::Given(TASK)], Ret::Void, Effect::Releases, (6, 2), OBJECTS, "gives back a task"),
    row("bpf_task_from_pid", &[Arg::Number], Ret::BtfOrNull(TASK), Effect::Acquires, (6, 2), OBJECTS, "finds a task by its id in the first namespace"),
    row("bpf_task_from_vpid", &[Arg::Number], Ret::BtfOrNull(TASK), Effect::Acquires, (6, 14), OBJECTS, "finds a task by its id in the current namespace"),
    row("bpf_cgroup_acquire", &[Arg::Btf(CGROUP)], Ret::BtfOrNull(CGROUP), Effect::Acquires, (6, 2), OBJECTS, "keeps a cgroup from being freed"),
    row("bpf_cgroup_release", &[Arg::Given(CGROUP)], Ret::Void, Effect::Releases, (6, 2), OBJECTS, "gives back a cgroup"),
    row("bpf_cgroup_ancestor", &[Arg::Btf(CGROUP), Arg::Number], Ret::BtfOrNull(CGROUP), Effect::Acquires, (6, 2), OBJECTS, "a cgroup's ancestor at that level"),
    row("bpf_cgroup_from_id", &[Arg::Number], Ret::BtfOrNull(CGROUP), Effect::Acquires, (6, 4), OBJECTS, "finds a cgroup by its id"),
    row("bpf_task_under_cgroup", &[Arg::Btf(TASK), Arg::Btf(CGROUP)], Ret::Int, Effect::None, (6, 5), OBJECTS, "whether a task is in a cgroup or below it"),
    row("bpf_task_get_cgroup1", &[Arg::Btf(TASK), Arg::Number], Ret::BtfOrNull(CGROUP), Effect::Acquires, (6, 8), OBJECTS, "a task's cgroup in a hierarchy of version 1"),
    row("bpf_cpumask_create", &[], Ret::BtfOrNull(MASK), Effect::Acquires, (6, 3), MASKS, "makes an empty set of CPUs"),
    row("bpf_cpumask_acquire", &[Arg::Btf(MASK)], Ret::Btf(MASK), Effect::Acquires, (6, 3), MASKS, "keeps a set of CPUs from being freed"),
    row("bpf_cpumask_release", &[Arg::Given(MASK)], Ret::Void, Effect::Releases, (6, 3), MASKS, "gives back a set of CPUs"),
    row("bpf_cpumask_set_cpu", &[Arg::Number, Arg::Btf(MASK)], Ret::Void, Effect::None, (6, 3), MASKS, "puts a CPU into a set"),
    row("bpf_cpumask_clear_cpu", &[Arg::Number, Arg::Btf(MASK)], Ret::Void, Effect::None, (6, 3), MASKS, "takes a CPU out of a set"),
    row("bpf_iter_num_new", &[Arg::IterNew, Arg::Number, Arg::Number], Ret::Int, Effect::None, (6, 4), ALL, "begins a count from one number to another"),
    row("bpf_iter_num_next", &[Arg::Iter], Ret::NextOrNull(4), Effect::None, (6, 4), ALL, "the next number of a count, or 0 at its end"),
    row("bpf_iter_num_destroy", &[Arg::Iter], Ret::Void, Effect::Releases, (6, 4), ALL, "ends a count"),
    row("bpf_dynptr_adjust", &[Arg::Dynptr, Arg::Number, Arg::Number], Ret::Int, Effect::None, (6, 5), ALL, "narrows what a dynamic pointer covers"),
    row("bpf_dynptr_is_null", &[Arg::Dynptr], Ret::Int, Effect::None, (6, 5), ALL, "whether a dynamic pointer points nowhere"),
    row("bpf_dynptr_is_rdonly", &[Arg::Dynptr], Ret::Int, Effect::None, (6, 5), ALL, "whether what is behind a dynamic pointer may only be read"),
    row("bpf_dynptr_size", &[Arg::Dynptr], Ret::Int, Effect::None, (6, 5), ALL, "how many bytes a dynamic pointer covers"),
    row("bpf_dynptr_slice", &[Arg::Dynptr, Arg::Number, Arg::MemOrNull, Arg::ConstSize], Ret::SliceOrNull, Effect::None, (6, 4), ALL, "a pointer to bytes behind a dynamic pointer, copied to the buffer if need be"),
    row("bpf_dynptr_slice_rdwr", &[Arg::Dynptr, Arg::Number, Arg::MemOrNull, Arg::ConstSize], Ret::DynptrMemOrNull, Effect::None, (6, 4), ALL, "as bpf_dynptr_slice, to be written as well"),
    row("bpf_dynptr_from_skb", &[Arg::Ctx, Arg::Number, Arg::DynptrOut], Ret::Int, Effect::None, (6, 4), 0b0000_0101, "makes a dynamic pointer to a packet"),
    row("bpf_dynptr_from_xdp", &[Arg::Ctx, Arg::Number, Arg::DynptrOut], Ret::Int, Effect::None, (6, 4), 0b0001_0000, "makes a dynamic pointer to a packet"),
    row("bpf_map_sum_elem_count", &[Arg::Map], Ret::Int, Effect::None, (6, 6), ALL, "how many elements a map holds"),
];

/// Functions whose arguments or effects are not followed, so that a refusal can name them.
#[rustfmt::skip]
pub const OTHERS: &[&str] = &[
    "bpf_obj_new_impl", "bpf_obj_drop_impl", "bpf_percpu_obj_new_impl", "bpf_percpu_obj_drop_impl",
    "bpf_refcount_acquire_impl", "bpf_list_push_front_impl", "bpf_list_push_back_impl", "bpf_list_pop_front",
    "bpf_list_pop_back", "bpf_rbtree_add_impl", "bpf_rbtree_remove", "bpf_rbtree_first", "bpf_cast_to_kern_ctx",
    "bpf_rdonly_cast", "bpf_throw", "bpf_dynptr_clone", "bpf_dynptr_copy", "bpf_dynptr_memset", "bpf_iter_task_new",
    "bpf_iter_task_next", "bpf_iter_task_destroy", "bpf_iter_bits_new", "bpf_iter_bits_next", "bpf_iter_bits_destroy",
    "bpf_iter_css_new", "bpf_iter_css_next", "bpf_iter_css_destroy", "bpf_local_irq_save", "bpf_local_irq_restore",
    "bpf_res_spin_lock", "bpf_res_spin_unlock", "bpf_wq_init", "bpf_wq_start", "bpf_arena_alloc_pages",
    "bpf_arena_free_pages", "bpf_get_task_exe_file", "bpf_put_file", "bpf_path_d_path", "bpf_session_cookie",
    "bpf_session_is_return", "bpf_xdp_metadata_rx_timestamp", "bpf_xdp_metadata_rx_hash", "bpf_xdp_ct_lookup",
    "bpf_skb_ct_lookup", "bpf_ct_release", "bpf_strlen", "bpf_strcmp", "bpf_strstr",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_no_helper_has_one() {
        for (at, row) in KFUNCS.iter().enumerate() {
            assert_eq!(KFUNCS.iter().position(|r| r.name == row.name), Some(at));
            assert!(
                super::super::helper::by_name(row.name).is_none(),
                "{}",
                row.name
            );
            assert!(row.args.len() <= 5 && !OTHERS.contains(&row.name));
        }
    }
}
