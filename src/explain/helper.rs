//! Signature, licence and program types of a helper ([`crate::asm::helper`]) or of a kernel function
//! ([`crate::asm::kfunc`]).

use crate::asm::{
    helper::{Arg, Helper, ProgType, Ret, by_id, by_name},
    kfunc::{self, Effect, Kfunc},
    table::Since,
};
use std::fmt::Write;

/// What a helper does and wants, by name (with or without `bpf_`) or number, or a kernel function by name; `None` if
/// there is neither.
pub fn helper(name: &str) -> Option<String> {
    let found = match name.trim_start_matches('#').parse() {
        Ok(id) => by_id(id),
        Err(_) => by_name(name),
    };
    match found {
        Some(helper) => Some(text(helper)),
        None => kfunc::by_name(name).map(kernel_function),
    }
}

fn signature(args: &[Arg], ret: Ret, since: Since) -> String {
    let mut out = String::new();
    for (at, arg) in args.iter().enumerate() {
        let _ = writeln!(out, "  r{}       {}", at + 1, argument(*arg));
    }
    if args.is_empty() {
        out.push_str("  takes no arguments\n");
    }
    let _ = writeln!(out, "  r0       {}", returned(ret));
    out.push_str("  r1-r5    hold nothing afterwards; r6-r9 are kept\n");
    let _ = writeln!(out, "  since    kernel {since}");
    out
}

fn allowed(is: impl Fn(ProgType) -> bool) -> String {
    let names = TYPES.iter().filter(|(prog, _)| is(*prog));
    let allowed: Vec<&str> = names.map(|(_, name)| *name).collect();
    let allowed = match allowed.as_slice() {
        [] => "none of those this table speaks of".to_owned(),
        some => some.join(", "),
    };
    format!("  allowed  {allowed} (kernel 6.18)\n")
}

fn kernel_function(row: &Kfunc) -> String {
    let mut out = format!("{}: {} (a kernel function)\n\n", row.name, row.does);
    out += &signature(row.args, row.ret, row.since);
    out += match row.effect {
        Effect::None => "",
        Effect::Acquires => "  takes    what it gives has to be released on every path\n",
        Effect::Releases => "  ends     the life of its first argument\n",
        Effect::RcuLock | Effect::PreemptOff => "  begins   what has to be ended on every path\n",
        Effect::RcuUnlock | Effect::PreemptOn => "  ends     what the other function began\n",
    };
    out.push_str("  licence  only programs under a GPL-compatible licence may call it\n");
    out += &allowed(|prog| row.allowed_in(prog));
    out.push_str(
        "  read     Documentation/bpf/kfuncs.rst; its id is that of the running kernel's BTF\n",
    );
    out
}

fn text(helper: &Helper) -> String {
    let mut out = format!("{}#{}: {}\n\n", helper.name, helper.id, helper.does);
    out += &signature(helper.args, helper.ret, helper.since);
    if helper.gpl_only {
        out.push_str("  licence  only programs under a GPL-compatible licence may call it\n");
    }
    if helper.may_sleep() {
        out.push_str("  sleeps   only sleepable programs may call it\n");
    }
    if helper.moves_packet() {
        out.push_str(
            "  packet   pointers into a packet must be loaded and compared with its end again\n",
        );
    }
    out += &allowed(|prog| helper.allowed_in(prog));
    out.push_str("  read     include/uapi/linux/bpf.h; man 7 bpf-helpers\n");
    out
}

const TYPES: &[(ProgType, &str)] = &[
    (ProgType::Kprobe, "kprobe and uprobe"),
    (ProgType::Tracepoint, "tracepoint"),
    (ProgType::RawTracepoint, "raw tracepoint"),
    (ProgType::PerfEvent, "perf event"),
    (ProgType::Syscall, "syscall"),
    (ProgType::SocketFilter, "socket filter"),
    (ProgType::SchedCls, "traffic control"),
    (ProgType::Xdp, "XDP"),
];

fn argument(arg: Arg) -> String {
    let text = match arg {
        Arg::Any => "any initialized value",
        Arg::Ctx => "the program's context",
        Arg::CtxOrNull => "the program's context, or 0",
        Arg::Map => "a map",
        Arg::MapKey => "pointer to a key of that map, readable",
        Arg::MapValue => "pointer to a value of that map, readable",
        Arg::MapValueOrNull => "pointer to a value of that map, readable, or 0",
        Arg::MapValueOut => "pointer to room for a value of that map",
        Arg::Mem => "pointer to readable memory; its length is the next argument",
        Arg::MemOrNull => "pointer to memory, or 0; its length is the next argument",
        Arg::Out => "pointer to memory that is filled; its length is the next argument",
        Arg::FixedMem(bytes) => return format!("pointer to {bytes} readable bytes"),
        Arg::FixedOut(bytes) => return format!("pointer to {bytes} bytes that are filled"),
        Arg::Size => "that length: bounded, at least 1",
        Arg::SizeOrZero => "that length: bounded, 0 is allowed",
        Arg::ConstSize => "a length that is a constant",
        Arg::Record => "a ring buffer record; it is gone afterwards",
        Arg::Func => "a function of this program (`subprog[…]`)",
        Arg::StackOrNull => "pointer into the stack, or 0",
        Arg::ConstStr => "pointer to a NUL-terminated string in a read-only map",
        Arg::Btf(name) => return format!("pointer to a `struct {name}` of the kernel"),
        Arg::Sock => "a socket",
        Arg::SockOrNull => "a socket, or 0",
        Arg::Timer => "pointer to a `struct bpf_timer` inside a map value",
        Arg::SpinLock => "pointer to a `struct bpf_spin_lock` inside a map value",
        Arg::Number => "a number",
        Arg::Given(name) => {
            return format!("a `struct {name}` that the program took; it is gone afterwards");
        }
        Arg::IterNew => "pointer to 8 bytes of room on the stack for a count",
        Arg::Iter => "pointer to a count on the stack",
        Arg::Dynptr => "pointer to a dynamic pointer on the stack",
        Arg::DynptrOut => "pointer to room on the stack for a dynamic pointer",
        Arg::Percpu => "a per-CPU variable of the kernel",
        Arg::Kptr => "pointer to a kernel pointer inside a map value",
        Arg::KptrValue => "a kernel pointer, or 0; it is gone afterwards",
    };
    text.to_owned()
}

fn returned(ret: Ret) -> String {
    let text = match ret {
        Ret::Int => "a number",
        Ret::Void => "nothing that may be used",
        Ret::MapValue => "pointer into a map value",
        Ret::MapValueOrNull => "pointer to a map value, or 0: compare it with 0 before use",
        Ret::RecordOrNull => "a record, or 0: compare it with 0, then submit or discard it",
        Ret::DynptrMemOrNull => "pointer to the bytes, or 0: compare it with 0 before use",
        Ret::SliceOrNull => {
            "pointer to the bytes, to be read alone, or 0: compare it with 0 before use"
        }
        Ret::NextOrNull(bytes) => {
            return format!("pointer to {bytes} bytes to be read, or 0 at the end");
        }
        Ret::Btf(name) => return format!("pointer to a `struct {name}`"),
        Ret::BtfOrNull(name) => {
            return format!("pointer to a `struct {name}`, or 0: compare it with 0 before use");
        }
        Ret::SockOrNull => "a socket, or 0: compare it with 0 before use",
        Ret::Percpu => "pointer to one CPU's variable",
        Ret::PercpuOrNull => "pointer to one CPU's variable, or 0: compare it with 0 before use",
        Ret::KptrOrNull => "the pointer that was there, or 0: release it",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::helper::HELPERS;

    #[test]
    fn every_helper_is_explained() {
        for one in HELPERS {
            let by_name = helper(one.name).unwrap();
            assert_eq!(helper(&one.id.to_string()), Some(by_name.clone()));
            assert_eq!(by_name.matches("\n  r").count(), one.args.len() + 2 + 1);
        }
        assert_eq!(helper("bpf_nope"), None);
        for row in kfunc::KFUNCS {
            assert_eq!(
                helper(row.name).unwrap().matches("\n  r").count(),
                row.args.len() + 3
            );
        }
    }

    #[test]
    fn reads_like_a_signature() {
        assert_eq!(
            helper("perf_event_output").unwrap(),
            "\
bpf_perf_event_output#25: appends a record to the perf ring of a perf event array

  r1       the program's context
  r2       a map
  r3       any initialized value
  r4       pointer to readable memory; its length is the next argument
  r5       that length: bounded, 0 is allowed
  r0       a number
  r1-r5    hold nothing afterwards; r6-r9 are kept
  since    kernel 4.4
  licence  only programs under a GPL-compatible licence may call it
  allowed  kprobe and uprobe, tracepoint, raw tracepoint, perf event, syscall, socket filter, traffic control, XDP (kernel 6.18)
  read     include/uapi/linux/bpf.h; man 7 bpf-helpers
"
        );
    }
}
