//! `audit live`: where programs are attached, who holds them, their code, and what is seen without rights.

use crate::{
    bundle,
    support::{self, EXE, Public, Target, TempDir, can_trace, run, text},
};
use serde_json::Value;
use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A tracer that has attached, ended when dropped.
struct Tracer(Child);

impl Tracer {
    fn start(args: &[&str], script: &str) -> Tracer {
        let child = Command::new(EXE)
            .args(args)
            .args(["-e", &script.replace("EXE", EXE)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the tracer");
        Tracer(child)
    }

    /// What `audit live` says of it once `ready` accepts it.
    fn listed(&self, ready: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let ours = self.now();
            if ready(&ours) {
                return ours;
            }
            assert!(Instant::now() < end, "{ours:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn now(&self) -> Vec<Value> {
        let out = run(Command::new(EXE).args(["audit", "live", "--json"]), b"");
        let machine: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let programs = machine["programs"].as_array().expect("programs").clone();
        let pid = self.0.id();
        let held = |program: &Value| {
            let holders = program["held_by"].as_array().expect("holders");
            holders.iter().any(|holder| holder["program"]["pid"] == pid)
        };
        programs.into_iter().filter(held).collect()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn attached(program: &Value) -> String {
    program["attached"].to_string()
}

#[test]
fn every_kind_of_attachment_is_told() {
    if !can_trace() {
        return;
    }
    let script = "usdt:EXE:net:inbound_message { @u = count(); }
        uretprobe:EXE:main { @r = count(); }
        profile:hz:49 { @p = count(); }
        interval:ms:200 { @i = count(); }";
    for (how, user, ret) in [
        ("multi", "uprobe_multi link", "return of /"),
        ("perf", "perf event: /", "perf event: return of /"),
    ] {
        let tracer = Tracer::start(&["--attach", how], script);
        let all = |programs: &[Value]| {
            let told = programs.iter().filter(|p| attached(p) != "[]");
            told.count() == 3
        };
        let programs = tracer.listed(all);
        let find = |what: &str| programs.iter().any(|p| attached(p).contains(what));
        for what in [user, ret, "perf_event link", "timer cpu_clock"] {
            assert!(find(what), "{how}: no `{what}` in {programs:#?}");
        }
    }
}

#[test]
fn runs_are_counted_on_demand_and_code_is_shown() {
    if !can_trace() {
        return;
    }
    let tracer = Tracer::start(
        &[],
        "profile:hz:99 { @hits = count(); printf(\"%d\\n\", pid); }",
    );
    let programs = tracer.listed(|p| p.len() == 1 && attached(&p[0]) != "[]");
    let id = programs[0]["id"].to_string();
    let args = [
        "audit", "live", &id, "--count", "0.5", "--xlated", "--jited",
    ];
    let out = text(&run(Command::new(EXE).args(args), b"").stdout);
    assert!(out.contains(", in 500 ms"), "{out}");
    assert!(!out.contains("ran        0 times"), "{out}");
    for piece in [
        "; 1: profile:hz:99 { @hits = count();",
        "= map[hits, id ",
        "    0: r6 = r1",
        "bytes of machine code at 0x",
    ] {
        assert!(out.contains(piece), "no `{piece}` in {out}");
    }
    let code = baretrace_exit(&["audit", "live", "--xlated"]);
    assert_eq!(code, (Some(2), true));
    assert_eq!(
        baretrace_exit(&["audit", "live", "4294967295"]),
        (Some(2), true)
    );
    assert_eq!(
        baretrace_exit(&["audit", "live", "--count", "-1"]),
        (Some(2), true)
    );
}

/// The exit code, and whether there is something on stderr.
fn baretrace_exit(args: &[&str]) -> (Option<i32>, bool) {
    let out = run(Command::new(EXE).args(args), b"");
    (out.status.code(), !out.stderr.is_empty())
}

#[test]
fn programs_that_vanish_meanwhile_are_no_error() {
    if !can_trace() {
        return;
    }
    let end = Instant::now() + Duration::from_secs(2);
    let churn: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(move || {
                let mut rounds = 0;
                while Instant::now() < end {
                    let script = "begin { exit() } end { @a = 1; } interval:s:9 { @b = 2; }";
                    run(Command::new(EXE).args(["-q", "-e", script]), b"");
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    while Instant::now() < end {
        let out = run(Command::new(EXE).args(["audit", "live"]), b"");
        assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    }
    for thread in churn {
        assert!(thread.join().expect("a round") > 0);
    }
}

#[test]
fn without_rights_ones_own_processes_are_seen() {
    let public = Public::new("live-rights");
    if !public.can() {
        return;
    }
    let dir = TempDir::new("audit-rights");
    let script = "usdt:EXE:net:inbound_message { @a = count(); } interval:s:9 { exit(); }";
    let (bundle, _) = bundle(&dir, "a", script);
    let _target = Target::start(&["--die-with-parent"]);
    let none = run(&mut public.with("", &["audit", "live"]), b"");
    assert_eq!(none.status.code(), Some(2));
    let said = text(&none.stderr);
    assert!(
        said.contains("none of your own processes holds a program"),
        "{said}"
    );
    assert!(said.contains("CAP_SYS_ADMIN"), "{said}");
    // A tracer with few rights, seen by the same user with the same ones.
    let tracer = public
        .with(",+bpf,+perfmon", &["run", "-q", "--load-exactly", &bundle])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start the tracer");
    let ask = ["audit", "live", "--against", &bundle];
    let end = Instant::now() + Duration::from_secs(6);
    let mut seen = String::new();
    while Instant::now() < end && !seen.contains("same tag, name not seen") {
        seen = text(&run(&mut public.with(",+bpf,+perfmon", &ask), b"").stdout);
        thread::sleep(Duration::from_millis(50));
    }
    let mut tracer = tracer;
    tracer.kill().expect("end the tracer");
    let stderr = text(&support::finish(tracer).stderr);
    assert!(seen.contains("same tag, name not seen"), "{seen}\n{stderr}");
}
