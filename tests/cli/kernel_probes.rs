//! Probes of the kernel, live where rights exist: each looks at processes that the test itself starts.

use crate::support::{Case, as_bpftrace, can_trace, text};
use std::path::Path;

/// The output of a script that ends well, without blank lines.
fn prints(args: &[&str]) -> String {
    let out = as_bpftrace(args);
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(0), "{args:?}: {stdout}{stderr}");
    let lines = stdout.lines().filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Whether the kernel shows its types and tracepoints here.
fn has_kernel() -> bool {
    let there = Path::new("/sys/kernel/btf/vmlinux").exists()
        && Path::new("/sys/kernel/tracing/events/sched").exists();
    if !there {
        eprintln!("skipped: no BTF, or no tracefs");
    }
    there && can_trace()
}

#[test]
fn structs_of_the_kernel_are_read_through_pointers() {
    if !has_kernel() {
        return;
    }
    let out = prints(&[
        "-e",
        "begin { print(curtask.pid == tid); print(curtask.group_leader.tgid == pid); print(ppid == \
         curtask.real_parent.pid); print(sizeof(curtask.comm)); print(curtask.comm == comm); print(leader_tid == pid); \
         print(curtask.mm.owner.pid == pid); print(offsetof(struct list_head, prev)); print(sizeof(struct list_head)); \
         print(sizeof(pid_t)); }",
    ]);
    assert_eq!(out, "true\ntrue\ntrue\n16\ntrue\ntrue\ntrue\n8\n16\n4\n");
    let out = prints(&[
        "-e",
        "begin { print(PIDTYPE_TGID); printf(\"%d %s\\n\", PIDTYPE_TGID, PIDTYPE_TGID); $e = (enum pid_type)2; print($e); }",
    ]);
    assert_eq!(out, "PIDTYPE_TGID\n1 PIDTYPE_TGID\nPIDTYPE_PGID\n");
}

#[test]
fn symbols_of_the_kernel_have_addresses_and_names() {
    if !has_kernel() {
        return;
    }
    let out = prints(&[
        "-e",
        "begin { $a = kaddr(\"schedule\"); print(ksym($a)); print(kfunc_exist(\"bpf_no_such\")); print($a > 0); }",
    ]);
    assert_eq!(out, "schedule\nfalse\ntrue\n");
    Case {
        args: &["-e", "begin { print(kaddr(\"no_such_symbol\")) }"],
        code: 1,
        stderr: &["the kernel has no symbol `no_such_symbol`"],
        ..Case::default()
    }
    .check();
}

#[test]
fn tracepoints_have_arguments_by_name() {
    if !has_kernel() {
        return;
    }
    let out = prints(&[
        "-e",
        "tracepoint:sched:sched_process_exec /pid == cpid/ { printf(\"%s %d %s\\n\", str(args.filename), args->pid == pid, probe) }",
        "-c",
        "/bin/true",
    ]);
    assert_eq!(out, "/bin/true 1 tracepoint:sched:sched_process_exec\n");
    let out = prints(&[
        "-e",
        "t:sched:sched_process_exit /pid == cpid/ { print(args.comm); printf(\"%s %d\\n\", args.comm, sizeof(args.comm)); @[args.comm] = count() }",
        "-c",
        "/bin/true",
    ]);
    assert_eq!(out, "true\ntrue 16\n@[true]: 1\n");
    let out = prints(&[
        "-e",
        "tracepoint:syscalls:sys_enter_openat,tracepoint:syscalls:sys_enter_openat2 /pid == cpid && probe == \
         \"tracepoint:syscalls:sys_enter_openat\"/ { @[str(args.filename)] = count() }",
        "-c",
        "/bin/cat /etc/hostname",
    ]);
    assert!(out.contains("@[/etc/hostname]: 1\n"), "{out}");
}

#[test]
fn raw_tracepoints_have_arguments_by_name_and_number() {
    if !has_kernel() {
        return;
    }
    let out = prints(&[
        "-e",
        "rawtracepoint:sched_process_exec /pid == cpid/ { print((str(args.bprm.filename), args.p.pid == pid, arg0 == \
         (uint64)args.p, probe)); }",
        "-c",
        "/bin/true",
    ]);
    assert_eq!(
        out,
        "(/bin/true, true, true, rawtracepoint:vmlinux:sched_process_exec)\n"
    );
}

#[test]
fn only_the_process_of_p_is_seen() {
    if !has_kernel() {
        return;
    }
    // Whatever else runs, this process does not end meanwhile.
    let own = std::process::id().to_string();
    let out = prints(&[
        "-p",
        &own,
        "-e",
        "tracepoint:sched:sched_process_exit { print(pid) } interval:ms:200 { exit() }",
    ]);
    assert_eq!(out.lines().find(|line| *line != own), None, "{out}");
}

#[test]
fn iterators_visit_every_task() {
    if !has_kernel() {
        return;
    }
    let out = as_bpftrace(&[
        "-e",
        "iter:task /ctx.task.pid == tid/ { printf(\"%d %s\\n\", ctx.task.tgid == pid, ctx.task.comm); }",
    ]);
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    if stderr.contains("EPERM") {
        eprintln!("skipped: this kernel refuses iterators");
        return;
    }
    assert!(stdout.starts_with("1 "), "{stdout}{stderr}");
}

#[test]
fn what_is_not_there_is_named() {
    if !has_kernel() {
        return;
    }
    for (script, want) in [
        (
            "tracepoint:sched:nope { }",
            "the kernel has no tracepoint `sched:nope`",
        ),
        (
            "rawtracepoint:nope { }",
            "the kernel has no raw tracepoint `nope`",
        ),
        (
            "fentry:no_such_function { }",
            "the kernel has no function `no_such_function`",
        ),
        (
            "kprobe:no_such_function { }",
            "the kernel has no function `no_such_function`",
        ),
        ("iter:nope { }", "the kernel has no iterator `nope`"),
        (
            "tracepoint:sched:sched_process_exit { print(args.nope) }",
            "has no argument `nope`",
        ),
        (
            "tracepoint:sched:sched_process_exit { print(args.common_pid) }",
            "cannot read `common_pid`",
        ),
        (
            "tracepoint:sched:sched_process_exit { print(arg0) }",
            "`arg0` has no meaning",
        ),
        (
            "begin { print(curtask.nope) }",
            "`struct task_struct` has no member `nope`",
        ),
    ] {
        Case {
            args: &["-e", script],
            code: 1,
            stderr: &[want],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn listings() {
    if !has_kernel() {
        return;
    }
    for (args, want) in [
        (
            &["-l", "t:sched:sched_process_ex*"][..],
            "tracepoint:sched:sched_process_exec\ntracepoint:sched:sched_process_exit\n",
        ),
        (
            &["-lv", "tracepoint:sched:sched_process_exec"],
            "    __data_loc char[] filename\n    pid_t pid\n    pid_t old_pid\n",
        ),
        (
            &["-lv", "rt:sys_enter"],
            "rawtracepoint:vmlinux:sys_enter\n    struct pt_regs * regs\n    long int id\n",
        ),
        (
            &["-lv", "struct list_head"],
            "vmlinux: struct list_head {\n\tstruct list_head *next;\n\tstruct list_head *prev;\n};\n",
        ),
        (
            &["-l", "hardware:cache*"],
            "hardware:cache-misses:\nhardware:cache-references:\n",
        ),
    ] {
        Case {
            args,
            code: 0,
            stdout: &[want],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn simulation_refuses_them_by_name() {
    Case {
        args: &[
            "simulate",
            "-q",
            "--events",
            "-",
            "-e",
            "tracepoint:sched:sched_switch { print(1) }",
        ],
        code: 1,
        stderr: &["`tracepoint` probes cannot be simulated"],
        ..Case::default()
    }
    .check();
}
