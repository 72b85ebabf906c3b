//! The feature probes against the kernel's version: a "no" from a kernel that should have it is a fault of the probe.

use std::time::Instant;

use baretrace::kernel::{features, version::Version};

use crate::support;

#[test]
fn probes_agree_with_the_version() {
    if !support::may_trace() {
        return;
    }
    let start = Instant::now();
    let found = features::probe().expect("probe");
    let took = start.elapsed();
    let running = Version::running().expect("version");
    println!("{running}: {found:?} in {took:?}");
    let since = [
        ("uprobe_multi", found.uprobe_multi, Version::new(6, 10)),
        ("atomics", found.atomics, Version::new(5, 12)),
        ("attach_cookie", found.attach_cookie, Version::new(5, 15)),
        ("bpf_loop", found.bpf_loop, Version::new(5, 17)),
        ("for_each", found.for_each_map_elem, Version::new(5, 13)),
        ("may_goto", found.may_goto, Version::new(6, 9)),
        ("lookup_percpu", found.lookup_percpu, Version::new(5, 19)),
        ("ktime_tai", found.ktime_tai, Version::new(6, 1)),
        ("cpu_v4", found.cpu_v4, Version::new(6, 6)),
    ];
    for (name, has, version) in since {
        assert!(
            has || running < version,
            "{name} not found on {running}, which should have it since {version}"
        );
    }
}
