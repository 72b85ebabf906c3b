//! User probes by both ways of attaching: they fire, filter by process, raise and lower the semaphore.

use std::{
    ops::ControlFlow,
    process::{Command, Stdio},
};

use baretrace::{
    kernel::cpus,
    runtime::perf_ring::{Rings, Stamp},
    spec::ProgramKind,
};

use crate::{
    fixture::{self, Site},
    support::{self, counter, counter_map, number, object, ring_map, user},
};

fn fires(site: &Site, multi: bool) {
    if !support::may_trace() {
        return;
    }
    let loaded = support::load(
        &object(ProgramKind::Kprobe, ring_map(), support::send_argument()),
        multi,
    );
    let mut rings =
        Rings::open(&cpus::online().expect("cpus"), 64 << 10, Stamp::Kernel).expect("rings");
    rings.install(&loaded.maps[0]).expect("install");
    assert_eq!(site.semaphore(), 0);
    let attached = support::attach(&loaded, &user(vec![site.user_site()], None), multi);
    let attached = attached.expect("attach");
    assert_eq!(site.semaphore(), 1);
    for n in 0..100 {
        site.fire(n);
    }
    let mut seen = Vec::new();
    let mut last = 0;
    rings.flush(|record| {
        assert!(record.time >= last, "records out of order");
        last = record.time;
        seen.push(number(record.data));
        ControlFlow::Continue(())
    });
    assert_eq!(seen, (0..100).collect::<Vec<u64>>());
    drop(attached);
    assert!(site.settles_at(0), "semaphore is {}", site.semaphore());
    site.fire(1);
    let after = rings.flush(|_| ControlFlow::Continue(()));
    assert_eq!((after.delivered, rings.lost(), rings.broken()), (0, 0, 0));
}

#[test]
fn a_probe_fires_by_link() {
    fires(&fixture::LINK, true);
}

#[test]
fn a_probe_fires_by_perf_event() {
    fires(&fixture::PERF, false);
}

#[test]
fn a_pid_filters_both_ways() {
    if !support::may_trace() {
        return;
    }
    let site = &fixture::PID;
    let mut sleeper = Command::new("sleep")
        .arg("60")
        .stdout(Stdio::null())
        .spawn()
        .expect("sleep");
    for multi in [true, false] {
        for (pid, want) in [(std::process::id(), 10), (sleeper.id(), 0)] {
            let program = object(ProgramKind::Kprobe, counter_map(0), support::count_hit());
            let loaded = support::load(&program, multi);
            let spec = user(vec![site.user_site()], Some(pid));
            let attached = support::attach(&loaded, &spec, multi).expect("attach");
            // From another thread than the process's first, and the one that attached.
            std::thread::scope(|scope| {
                scope.spawn(|| (0..10).for_each(|n| site.fire(n)));
            });
            assert_eq!(
                counter(&loaded),
                want,
                "multi {multi}, own pid {}",
                want > 0
            );
            drop(attached);
            assert!(site.settles_at(0));
        }
    }
    sleeper.kill().expect("kill");
    sleeper.wait().expect("wait");
}

#[test]
fn failures_name_thing_and_remedy() {
    if !support::may_trace() {
        return;
    }
    let program = object(ProgramKind::Kprobe, counter_map(0), support::count_hit());
    let site = fixture::CONFLICT.user_site();
    for multi in [true, false] {
        let loaded = support::load(&program, multi);
        let held = support::attach(&loaded, &user(vec![site], None), multi).expect("attach");
        let mut other = site;
        other.ref_ctr = 0;
        let error = support::attach(&loaded, &user(vec![other], None), multi).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EINVAL));
        assert!(error.help().expect("help").contains("another tracer"));
        drop(held);

        let mut gone = user(vec![site], None);
        if let baretrace::spec::AttachSpec::User { path, .. } = &mut gone {
            *path = "/no/such/file".into();
        }
        let error = support::attach(&loaded, &gone, multi).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("/no/such/file") && text.contains("ENOENT"),
            "{text}"
        );
    }
}
