//! Perf rings: losses are counted, CPUs are merged in order, and reading keeps up.

use std::{ops::ControlFlow, time::Instant};

use baretrace::{
    asm::{AluOp, Cond, Insn, Reg, Size, Src, Width},
    kernel::cpus,
    runtime::{
        attach::run_raw_tp,
        perf_ring::{Rings, Stamp},
    },
    spec::ProgramKind,
};
use std::os::fd::AsFd;

use crate::{
    fixture,
    support::{self, finish, mov, number, object, ring_map, send, user},
};

#[test]
fn losses_are_counted() {
    if !support::may_trace() {
        return;
    }
    let program = object(ProgramKind::Kprobe, ring_map(), support::send_argument());
    let loaded = support::load(&program, true);
    let mut rings =
        Rings::open(&cpus::online().expect("cpus"), 4096, Stamp::Kernel).expect("rings");
    assert_eq!(rings.bytes_per_cpu(), 4096);
    rings.install(&loaded.maps[0]).expect("install");
    let site = &fixture::LOST;
    let attached = support::attach(&loaded, &user(vec![site.user_site()], None), true);
    let attached = attached.expect("attach");
    let mut fired = 0;
    let mut got = 0;
    // The kernel tells of losses with the next record that fits on the same CPU: stay on one, and fire on.
    let mut one = nix::sched::CpuSet::new();
    one.set(0).expect("cpu 0");
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &one).expect("affinity");
    for round in 0..200 {
        for _ in 0..if round == 0 { 1000 } else { 1 } {
            site.fire(fired);
            fired += 1;
        }
        got += rings.flush(|_| ControlFlow::Continue(())).delivered;
        if round > 0 && got + rings.lost() == fired {
            break;
        }
    }
    drop(attached);
    assert!(rings.lost() > 0);
    assert_eq!(got + rings.lost(), fired, "lost {}", rings.lost());
}

#[test]
fn cpus_are_merged_in_order() {
    if !support::may_trace() {
        return;
    }
    let program = object(ProgramKind::Kprobe, ring_map(), support::send_argument());
    let loaded = support::load(&program, true);
    let mut rings =
        Rings::open(&cpus::online().expect("cpus"), 1 << 20, Stamp::Kernel).expect("rings");
    rings.install(&loaded.maps[0]).expect("install");
    let site = &fixture::MERGE;
    let attached = support::attach(&loaded, &user(vec![site.user_site()], None), true);
    let attached = attached.expect("attach");
    let (mut last, mut late, mut seen) = (0, 0, vec![[0u64; 2]; 0]);
    std::thread::scope(|scope| {
        let firing: Vec<_> = (0..3u64)
            .map(|thread| scope.spawn(move || (0..2000).for_each(|n| site.fire(thread << 32 | n))))
            .collect();
        let mut take = |rings: &mut Rings, all: bool| {
            let deliver = |record: baretrace::runtime::perf_ring::Record<'_>| {
                late += u64::from(record.time < last);
                last = record.time;
                let n = number(record.data);
                seen.push([n >> 32, n & 0xffff_ffff]);
                ControlFlow::Continue(())
            };
            if all {
                rings.flush(deliver)
            } else {
                rings.drain(deliver)
            }
        };
        while firing.iter().any(|thread| !thread.is_finished()) {
            take(&mut rings, false);
        }
        take(&mut rings, true);
    });
    drop(attached);
    assert_eq!((seen.len(), rings.lost(), late), (6000, 0, 0));
    for thread in 0..3 {
        let own = seen
            .iter()
            .filter(|pair| pair[0] == thread)
            .map(|pair| pair[1]);
        assert!(own.eq(0..2000), "thread {thread} out of order");
    }
}

/// Records one run of the filling program sends.
const BATCH: i32 = 20_000;

#[test]
fn reading_keeps_up() {
    if !support::may_trace() {
        return;
    }
    let mut insns = vec![
        mov(Reg::R6, Src::Reg(Reg::R1)),
        mov(Reg::R7, Src::Imm(0)),
        Insn::Store {
            size: Size::DW,
            dst: Reg::R10,
            off: -8,
            src: Src::Reg(Reg::R7),
        },
    ];
    insns.extend(send());
    insns.push(Insn::Alu {
        op: AluOp::Add,
        width: Width::W64,
        dst: Reg::R7,
        src: Src::Imm(1),
    });
    // Back to the store: its own slot, the eight slots of sending, the addition and this jump.
    insns.push(Insn::Jmp {
        cond: Cond::Lt,
        width: Width::W64,
        dst: Reg::R7,
        src: Src::Imm(BATCH),
        off: -11,
    });
    insns.extend(finish(9));
    let program = object(ProgramKind::RawTracepoint, ring_map(), insns);
    let loaded = support::load(&program, true);
    let mut rings =
        Rings::open(&cpus::online().expect("cpus"), 1 << 20, Stamp::Kernel).expect("rings");
    rings.install(&loaded.maps[0]).expect("install");
    let (mut spent, mut got) = (std::time::Duration::ZERO, 0);
    for _ in 0..10 {
        let ran = run_raw_tp(loaded.programs[0].as_fd()).expect("test run");
        assert_eq!(ran, 9);
        let (start, mut next) = (Instant::now(), 0);
        got += rings
            .flush(|record| {
                assert_eq!(number(record.data), next);
                next += 1;
                ControlFlow::Continue(())
            })
            .delivered;
        spent += start.elapsed();
    }
    assert_eq!((got, rings.lost()), (10 * BATCH as u64, 0));
    let rate = got as f64 / spent.as_secs_f64();
    println!("{:.1} M records/s", rate / 1e6);
    if !cfg!(debug_assertions) {
        assert!(rate > 2e6, "{rate} records/s");
    }
}
