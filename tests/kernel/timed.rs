//! Timers, software events and watchpoints.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread::sleep,
    time::Duration,
};

use baretrace::{
    kernel::cpus,
    spec::{AttachSpec, Interval, ProgramKind},
};

use crate::support::{self, counter, counter_map, object};

fn hits(spec: &AttachSpec, act: impl FnOnce()) -> u64 {
    let program = object(ProgramKind::PerfEvent, counter_map(0), support::count_hit());
    let loaded = support::load(&program, true);
    let attached = support::attach(&loaded, spec, true).expect("attach");
    act();
    drop(attached);
    counter(&loaded)
}

#[test]
fn profile_fires_on_every_cpu_and_interval_on_one() {
    if !support::may_trace() {
        return;
    }
    let every = Interval::Nanos(1_000_000);
    let wait = || sleep(Duration::from_millis(200));
    let online = cpus::online().expect("cpus");
    let one = hits(&AttachSpec::Interval(every), wait);
    let all = hits(&AttachSpec::Profile(every), wait);
    println!("interval {one}, profile {all} on {} cpus", online.len());
    assert!(one >= 50, "interval fired {one} times");
    assert!(all >= 50 * online.len() as u64, "profile fired {all} times");
    let hertz = hits(&AttachSpec::Profile(Interval::Hertz(99)), wait);
    assert!(hertz > 0);
}

#[test]
fn page_faults_are_counted() {
    if !support::may_trace() {
        return;
    }
    let faults = AttachSpec::Software {
        config: 2,
        period: 1,
    };
    let count = hits(&faults, || {
        // More than malloc ever keeps: pages that were not touched before.
        let pages = vec![1u8; 64 << 20];
        assert_eq!(std::hint::black_box(&pages)[4096], 1);
    });
    assert!(count > 0);
}

static WATCHED: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_watchpoint_sees_writes() {
    if !support::may_trace() {
        return;
    }
    let spec = AttachSpec::Watch {
        addr: WATCHED.as_ptr() as u64,
        len: 8,
        mode: 2,
        pid: Some(std::process::id()),
    };
    let count = hits(&spec, || {
        for n in 0..10 {
            WATCHED.store(n, Ordering::SeqCst);
        }
        // A thread that began after attaching.
        std::thread::scope(|scope| {
            scope.spawn(|| WATCHED.store(1, Ordering::SeqCst));
        });
    });
    assert_eq!(count, 11);
}
