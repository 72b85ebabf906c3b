//! Figures of the assembler, the checker and the dry run; each is compared with what it may be.
//!
//! `cargo test --release --test asm_speed -- --ignored --nocapture --test-threads 1`. On a busy machine the best of
//! several turns is what counts; in a debug build the figures are printed and not judged.

#![allow(clippy::unwrap_used, reason = "a test")]

use baretrace::{
    asm::{Cond, Insn, Reg, build, decode, disasm, encode, forms, helper::ProgType, text},
    check::{self, Env},
    compile, lang,
    spec::{Arch, DebugInfo, Features, Object, Target},
    vm,
};
use std::time::{Duration, Instant};

/// The best of some turns.
fn best<T>(turns: usize, mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut found: Option<(Duration, T)> = None;
    for _ in 0..turns {
        let start = Instant::now();
        let result = run();
        let took = start.elapsed();
        if found.as_ref().is_none_or(|(least, _)| took < *least) {
            found = Some((took, result));
        }
    }
    found.unwrap()
}

fn at_most(what: &str, took: Duration, limit: Duration) {
    println!("{what}: {took:?} (may be {limit:?})");
    assert!(
        took < limit || cfg!(debug_assertions),
        "{what} took {took:?}"
    );
}

/// Every form over and over.
fn many(count: usize) -> Vec<Insn> {
    forms::all().into_iter().cycle().take(count).collect()
}

#[test]
#[ignore = "a measurement, for release builds"]
fn encoding_and_decoding() {
    for count in [4_096, 1_000_000] {
        let program = many(count);
        let (took, back) = best(20, || decode(&encode(&program).unwrap()).unwrap());
        assert_eq!(back, program);
        let rate = count as f64 / took.as_secs_f64() / 1e6;
        println!("encode and decode {count}: {rate:.1} M insns/s (at least 50)");
        assert!(rate >= 50.0 || cfg!(debug_assertions), "{rate}");
    }
}

#[test]
#[ignore = "a measurement, for release builds"]
fn text_of_a_million() {
    let program = many(1_000_000);
    let (took, listing) = best(3, || disasm::program(&program, disasm::Options::default()));
    at_most("disassemble 1,000,000", took, Duration::from_secs(1));
    let options = text::Options {
        fragment: true,
        ..text::Options::default()
    };
    let (took, read) = best(1, || text::assemble(&listing, options).unwrap());
    println!("assemble 1,000,000: {took:?}");
    assert_eq!(read.insns.len(), program.len());
}

/// Names the number of instructions to the child process of the test below.
const COUNT: &str = "BARETRACE_SPEED_COUNT";

/// A process of its own for each length: memory given back to the allocator would hide the next one's need.
#[test]
#[ignore = "a measurement, for release builds"]
fn memory_of_a_listing_is_linear() {
    if let Ok(count) = std::env::var(COUNT) {
        let bytes = encode(&many(count.parse().unwrap())).unwrap();
        let listing = disasm::program(&decode(&bytes).unwrap(), disasm::Options::default());
        println!("{} bytes of text", listing.len());
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
        println!("{peak}");
        return;
    }
    let mut costs = Vec::new();
    for count in [500_000, 1_000_000, 2_000_000] {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["memory_of_a_listing_is_linear", "--ignored", "--nocapture"])
            .env(COUNT, count.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8(child.stdout).unwrap();
        let peak = said.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
        let kib: f64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
        println!("{count} instructions encoded, decoded, listed: {kib} KiB at the peak");
        costs.push(kib / f64::from(count));
    }
    assert!(
        costs[2] < costs[0] * 1.1,
        "KiB an instruction grow: {costs:?}"
    );
}

fn object(script: &str) -> Object {
    let target = Target {
        arch: Arch::X86_64,
        cpus: 2,
        binaries: Vec::new(),
        params: Vec::new(),
        named: Default::default(),
        pid: None,
        cpid: None,
        config: Default::default(),
        allow_unsafe: false,
        debug: DebugInfo::default(),
        kernel: Default::default(),
        unwound: Vec::new(),
        helper_errors: false,
        features: Features::all(),
    };
    let parsed = lang::parse(script).unwrap();
    let (checked, _) = lang::check(parsed, script, &target).unwrap();
    compile::object(&checked, &target, "speed.bt", script).unwrap()
}

/// A script longer than those people write: each probe has strings, maps, branches, a loop and histograms.
fn long_script(probes: usize) -> String {
    let body = "if (pid > 10 && comm == \"bitcoind\") { @seen[comm, pid, nsecs / 100] = count(); @sizes[pid] = hist(rand); \
                printf(\"%s %d %d\\n\", comm, pid, cpu); } else { @other[uid, tid] = sum(rand); \
                if (nsecs > @last) { @last = nsecs; print(@last); } } @lin = lhist(rand % 2000, 0, 1000, 100); \
                $n = 0; while ($n < 5) { $n++; @loops[$n] = max(nsecs); }";
    let probe = |n: usize| format!("interval:s:{} {{ {body} }}\n", n + 1);
    (0..probes).map(probe).collect()
}

#[test]
#[ignore = "a measurement, for release builds"]
fn checking_and_running_dry() {
    // Three of them are more than the largest script we know: `log_utxos.bt` has 943 instructions.
    for probes in [1, 3] {
        let script = long_script(probes);
        let object = object(&script);
        let insns: usize = object.programs.iter().map(|p| p.insns.len()).sum();
        let programs = object.programs.len();
        let (took, reports) = best(10, || check::object(&object).unwrap());
        let walked: usize = reports.iter().map(|r| r.processed).sum();
        let what = format!(
            "check {} lines, {programs} programs, {insns} insns, {walked} walked",
            script.lines().count()
        );
        at_most(&what, took, Duration::from_millis(5));
        let (took, ()) = best(5, || vm::dry_run(&object).unwrap());
        println!("dry run of it: {took:?}");
    }
}

#[test]
#[ignore = "a measurement, for release builds"]
fn a_branchy_program() {
    let mut insns = vec![build::mov64_imm(Reg::R6, 0)];
    while insns.len() < 4094 {
        insns.push(build::call(7));
        insns.push(build::jump_if(Cond::Gt, Reg::R0, 5, 1));
        insns.push(build::add64_imm(Reg::R6, 1));
    }
    insns.extend([build::mov64_imm(Reg::R0, 0), build::exit()]);
    let env = Env::new(ProgType::Kprobe, &[]);
    let (took, report) = best(3, || check::program(&insns, &env).unwrap());
    let what = format!(
        "check {} branchy insns, {} walked",
        insns.len(),
        report.processed
    );
    at_most(&what, took, Duration::from_millis(200));
}
