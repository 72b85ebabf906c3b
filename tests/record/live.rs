//! Live runs of the built-in target, recorded and replayed: the same bytes.

use super::support::{PROGRAM, baretrace, file, may_trace, printed, refused};
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Scripts by name; `APP` is the program.
const SCRIPTS: &[(&str, &str)] = &[
    (
        "printf",
        r#"begin { printf("%d\n", pid); } usdt:APP:net:inbound_message { printf("%s %d %s %d %p %d %d %s\n", str(arg3), arg4, comm, tid, arg1, uid, cpu, probe); }"#,
    ),
    (
        "times",
        r#"usdt:APP:net:*_message { printf("%d %d %s %d\n", nsecs, elapsed, strftime("%H:%M:%S.%f", nsecs), rand % 1000); @t[tid] = max(nsecs); }"#,
    ),
    (
        "maps",
        r#"usdt:APP:net:inbound_message { @[str(arg3), arg0] = count(); @sum[tid] = sum(arg4); @last[cpu, tid] = arg4; delete(@last[cpu, tid + 1]); } end { print(@sum); clear(@sum); }"#,
    ),
    (
        "hist",
        r#"usdt:APP:net:*_message { @ = hist(arg4); @l = lhist(arg4, 0, 1000, 100); @s[probe] = stats(arg4); @a = avg(arg4); @m = min(arg4); }"#,
    ),
    (
        "strings",
        r#"usdt:APP:net:*_message { $t = str(arg3); if (strncmp($t, "ve", 2) == 0) { printf("%s!\n", $t); } printf("%s|%s|%r\n", str(arg1, 8), str(0), buf(arg5, arg4 < 12 ? arg4 : 12)); }"#,
    ),
    (
        "probes",
        r#"usdt:APP:net:* { @[probe] = count(); } usdt:APP:utxocache:add, usdt:APP:utxocache:spent { printf("%r %d %ld\n", buf(arg0, 32), arg1, arg3); } usdt:APP:net:inbound_message / arg4 > 100 / { printf("big %d\n", arg4); } usdt:APP:mempool:* { printf("%s %r\n", probe, buf(arg0, 4)); } usdt:APP:validation:block_connected { printf("%d %d\n", arg1, arg5); }"#,
    ),
    (
        "pointers",
        r#"usdt:APP:net:inbound_message { $p = (uint32*)arg1; printf("%x %x %c\n", *$p, $p[1], *(uint8*)(arg3 + 1)); @ = *(uint16*)arg2; unroll(3) { printf("%d", *(int8*)(arg2 + 1)); } }"#,
    ),
    (
        "loops",
        r#"usdt:APP:net:inbound_message { $i = 0; while ($i < 4) { printf("%c", *(uint8*)(arg1 + $i)); $i++; } for ($j : 0..3) { @b[*(uint8*)(arg3 + $j)] = count(); } @k[arg0] = arg4; for ($kv : @k) { if ($kv.0 == 3) { @seen = $kv.1; } } printf("\n"); }"#,
    ),
    (
        "exit",
        r#"usdt:APP:net:inbound_message { printf("%s\n", str(arg3)); @n++; if (@n == 7) { exit(3); } } end { printf("%d\n", @n); }"#,
    ),
    (
        "interval",
        r#"interval:ms:1 { printf("tick %d\n", elapsed); @ticks++; } profile:ms:7 { @p[cpu] = count(); } usdt:APP:net:inbound_message { @last = arg4; }"#,
    ),
    (
        "symbols",
        r#"usdt:APP:net:inbound_message { printf("%s %s\n", usym(reg("ip")), usym(7)); @[usym(reg("ip")), arg0] = count(); @k[ksym(arg0)] = count(); }"#,
    ),
    (
        "stacks",
        r#"begin { printf("%s\n", kstack(3)); } usdt:APP:net:inbound_message { printf("%s%s%d\n", ustack(perf, 3), ustack(raw, 2), len(ustack)); @u[ustack] = count(); @k[kstack(4), ustack(1)] = count(); } profile:hz:499 { @p[kstack(2), ustack(2)] = count(); }"#,
    ),
    (
        "functions",
        r#"uprobe:APP:*sys*sdt*net_inbound_message* { printf("%s %s %x\n", probe, func, arg0 & 1); @[tid] = count(); } uretprobe:APP:*sys*sdt*net_inbound_message* { printf("%s %s\n", probe, usym(reg("ip"))); @r = count(); }"#,
    ),
    (
        "registers",
        r#"usdt:APP:net:outbound_message { @regs[reg("ip") & 0xfff] = count(); printf("%x %s\n", reg("sp") & 0xf, probe); }"#,
    ),
];

fn target(rounds: u32, threads: u32, pause: u32) -> String {
    format!("{PROGRAM} demo-target --pause-us {pause} --rounds {rounds} --threads {threads}")
}

#[test]
fn live_and_replayed_output_are_equal() {
    if !may_trace() {
        return;
    }
    for (name, text) in SCRIPTS {
        let text = text.replace("APP", PROGRAM);
        for (threads, pause) in [(1, 0), (4, 50)] {
            let path = file(&format!("{name}-{threads}"));
            let path = path.to_str().unwrap();
            let run = baretrace(&[
                "record",
                "-o",
                path,
                "-e",
                &text,
                "-c",
                &target(2, threads, pause),
            ]);
            let errors = String::from_utf8_lossy(&run.stderr);
            let code = if *name == "exit" { 3 } else { 0 };
            assert_eq!(run.status.code(), Some(code), "{name}: {errors}");
            assert!(errors.contains("hits in `"), "{name}: {errors}");
            let live = String::from_utf8(run.stdout).unwrap();
            let again = baretrace(&["replay", path, "-e", &text]);
            let errors = String::from_utf8_lossy(&again.stderr);
            assert_eq!(again.status.code(), Some(code), "{name}: {errors}");
            let replayed = String::from_utf8(again.stdout).unwrap();
            let differences = baretrace::simulate::diff(&live, &replayed);
            assert_eq!(
                differences,
                None,
                "{name}: {}",
                differences.as_deref().unwrap_or("")
            );
            assert!(live.lines().count() > 3, "{name}: {live}");
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn probes_are_recorded_with_all_that_they_tell() {
    if !may_trace() {
        return;
    }
    let path = file("probes");
    let path = path.to_str().unwrap();
    let net = format!("usdt:{PROGRAM}:net:*");
    let mempool = format!("usdt:{PROGRAM}:mempool:*");
    let recorded = baretrace(&["record", "-o", path, &net, &mempool, "-c", &target(2, 2, 0)]);
    assert!(
        recorded.status.success(),
        "{}",
        String::from_utf8_lossy(&recorded.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&recorded.stdout), "");
    let shown = printed(&["replay", "--show", path]);
    assert!(
        shown.contains("net:inbound_message") && shown.contains("nothing lost"),
        "{shown}"
    );
    // Any script may be run over them: what it counts is what a live run counts.
    let script = format!(
        r#"usdt:{PROGRAM}:net:inbound_message {{ printf("%d %s %s %s %d %r\n", arg0, str(arg1), str(arg2), str(arg3), arg4, buf(arg5, arg4)); @[str(arg3)] = sum(arg4); }} usdt:{PROGRAM}:mempool:removed {{ @removed[str(arg1), arg2] = count(); }}"#
    );
    let replayed = printed(&["replay", "-q", path, "-e", &script]);
    let live = printed(&["-q", "-e", &script, "-c", &target(2, 2, 0)]);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(&replayed), sorted(&live));
    // And as events of `simulate`.
    let lines = printed(&["replay", "--lines", path]);
    let only: Vec<&str> = lines
        .lines()
        .filter(|line| line.contains("net:inbound_message") || line.contains("mempool:removed"))
        .collect();
    let events = file("probes.jsonl");
    std::fs::write(&events, only.join("\n")).unwrap();
    let simulated = printed(&[
        "simulate",
        "-q",
        "--events",
        events.to_str().unwrap(),
        "-e",
        &script,
    ]);
    assert_eq!(simulated, replayed);
    // The tempo is that of the run.
    let start = Instant::now();
    let expect = file("probes.expected");
    std::fs::write(&expect, &replayed).unwrap();
    let expect = expect.to_str().unwrap();
    printed(&[
        "replay", "-q", "--tempo", "--expect", expect, path, "-e", &script,
    ]);
    assert!(start.elapsed() < Duration::from_secs(20));
    let (code, _) = refused(&["replay", "-q", "--expect", path, path, "-e", &script]);
    assert_eq!(code, 1);
    for path in [path, expect, events.to_str().unwrap()] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_killed_recording_is_readable() {
    if !may_trace() {
        return;
    }
    let path = file("killed");
    let mut target = Command::new(PROGRAM)
        .args(["demo-target", "--pause-us", "1000", "--die-with-parent"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut recorder = Command::new(PROGRAM)
        .args(["record", "-o"])
        .arg(&path)
        .args(["-p", &target.id().to_string()])
        .arg(format!("usdt:{PROGRAM}:net:*"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while std::fs::metadata(&path).map_or(0, |meta| meta.len()) < 40_000 {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "nothing is recorded"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // By id: the child of this test.
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    target.kill().unwrap();
    target.wait().unwrap();
    let script = format!("usdt:{PROGRAM}:net:inbound_message {{ @ = count(); }}");
    let output = baretrace(&["replay", "-q", path.to_str().unwrap(), "-e", &script]);
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("cut off at byte") && errors.contains("hits before that"),
        "{errors}"
    );
    let count: u64 = text.trim().trim_start_matches("@: ").parse().unwrap();
    assert!(count > 50, "{text}");
    // Nobody asked for names before it was killed: they come from the files that the process had mapped.
    let script =
        format!("usdt:{PROGRAM}:net:inbound_message {{ print(usym(reg(\"ip\"))); exit(); }}");
    let named = printed(&["replay", "-q", path.to_str().unwrap(), "-e", &script]);
    assert!(named.contains("net_inbound_message"), "{named}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_full_disk_ends_the_recording() {
    if !may_trace() {
        return;
    }
    let script = format!("usdt:{PROGRAM}:net:inbound_message {{ print(arg0); }}");
    let (code, error) = refused(&[
        "record",
        "-o",
        "/dev/full",
        "-e",
        &script,
        "-c",
        &target(1, 1, 0),
    ]);
    assert_eq!(code, 2);
    assert!(
        error.contains("/dev/full") && error.contains("ENOSPC"),
        "{error}"
    );
}

/// A message of a megabyte does not fit a record: it travels in pieces, is kept whole, and is printed whole again.
#[test]
fn messages_of_a_megabyte_are_kept_whole() {
    if !may_trace() {
        return;
    }
    const MEGABYTE: usize = 1 << 20;
    let script = format!(
        r#"usdt:{PROGRAM}:net:inbound_message {{ printf("%d %r\n", arg4, buf(arg5, arg4)); @ = count(); }}"#
    );
    let probe = format!("usdt:{PROGRAM}:net:*_message");
    let size = MEGABYTE.to_string();
    let target = format!("{} --payload {size}", target(1, 1, 0));
    let with_room = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        let output = command.args(args).env("BPFTRACE_MAX_STRLEN", &size);
        let output = output.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {errors}");
        assert!(!errors.contains("not kept"), "{errors}");
        output.stdout
    };
    let path = file("megabyte");
    let path = path.to_str().unwrap();
    let live = with_room(&["record", "-q", "-o", path, "-e", &script, "-c", &target]);
    let replayed = with_room(&["replay", "-q", path, "-e", &script]);
    assert!(live.len() > 2 * MEGABYTE, "{} bytes", live.len());
    assert!(live == replayed, "{} and {}", live.len(), replayed.len());
    // The names of probes suffice: whoever records them gets whole messages.
    with_room(&["record", "-q", "-o", path, &probe, "-c", &target]);
    let replayed = with_room(&["replay", "-q", path, "-e", &script]);
    assert!(replayed.len() > 2 * MEGABYTE, "{} bytes", replayed.len());
    std::fs::remove_file(path).unwrap();
}

/// Names and stacks of a recording do for scripts that print them in another way, or at another place.
#[test]
fn other_scripts_have_names_and_stacks() {
    if !may_trace() {
        return;
    }
    let path = file("stacks");
    let path = path.to_str().unwrap();
    let probe = format!("usdt:{PROGRAM}:net:inbound_message");
    // Long enough to be looked at while it runs.
    let target = target(1, 1, 10_000);
    let args = [
        "record", "--stacks", "-q", "-o", path, &probe, "-c", &target,
    ];
    assert_eq!(printed(&args), "");
    let live = |body: &str| {
        let script = format!("{probe} {{ {body} }}");
        (
            printed(&["replay", "-q", path, "-e", &script]),
            printed(&["-q", "-e", &script, "-c", &target]),
        )
    };
    for body in [
        "print(usym(reg(\"ip\"))); print(func);",
        "print(ustack);",
        "print(len(ustack));",
        "print(ustack(1));",
        "printf(\"%d\\n\", (nsecs(tai) - nsecs(monotonic)) / 3600000000000);",
    ] {
        let (replayed, live) = live(body);
        assert_eq!(replayed, live, "{body}");
        assert!(!live.trim().is_empty(), "{body}");
    }
    // Addresses are those of the recorded process, names and files the same.
    let (replayed, live) = live("print(ustack(perf));");
    let frames = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.trim().split_once(' '));
        lines.map(|(_, named)| named.to_owned()).collect()
    };
    assert_eq!(frames(&replayed), frames(&live));
    assert!(replayed.contains("net_inbound_message+"), "{replayed}");
    let script = format!("{probe} {{ print(arg0); }}");
    let (code, error) = refused(&["record", "--stacks", "-o", path, "-e", &script]);
    assert_eq!(code, 2);
    assert!(error.contains("--stacks is for names of probes"), "{error}");
    std::fs::remove_file(path).unwrap();
}

/// What a recorded program keeps besides must not take the stack from the script.
#[test]
fn long_strings_and_buffers_leave_room_on_the_stack() {
    if !may_trace() {
        return;
    }
    let script = format!(
        r#"usdt:{PROGRAM}:net:inbound_message {{ printf("%d %s %s %s %r\n", arg0, str(arg1), str(arg2), str(arg3), buf(arg5, arg4)); }}"#
    );
    let path = file("long");
    let path = path.to_str().unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        let output = command.args(args).env("BPFTRACE_MAX_STRLEN", "1000000");
        let output = output.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let target = target(1, 1, 0);
    let live = run(&["record", "-q", "-o", path, "-e", &script, "-c", &target]);
    let replayed = run(&["replay", "-q", path, "-e", &script]);
    assert!(live.lines().count() > 5, "{live}");
    assert_eq!(live, replayed);
    std::fs::remove_file(path).unwrap();
}

/// A recording of a script that asks for no stack has none.
#[test]
fn stacks_that_were_not_asked_for_are_missed_by_name() {
    if !may_trace() {
        return;
    }
    let path = file("no-stacks");
    let path = path.to_str().unwrap();
    let script = format!("usdt:{PROGRAM}:net:inbound_message {{ @ = count(); }}");
    let target = target(1, 1, 0);
    let recorded = baretrace(&["record", "-q", "-o", path, "-e", &script, "-c", &target]);
    assert!(recorded.status.success());
    let other = script.replace("count()", "max(len(ustack))");
    let (code, error) = refused(&["replay", path, "-e", &other]);
    assert_eq!(code, 1, "{error}");
    assert!(
        error.contains("has not what bpf_get_stack returned") && error.contains("stdin:1:"),
        "{error}"
    );
    std::fs::remove_file(path).unwrap();
}
