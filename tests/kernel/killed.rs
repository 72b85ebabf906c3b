//! A tracer that is killed leaves nothing behind: the semaphore falls back to 0 and the target runs on.

use std::{
    env,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use baretrace::spec::{ProgramKind, UserSite};

use crate::{
    fixture::{self, Site},
    support::{self, counter_map, object, user},
};

/// Set for the child: `multi offset ref_ctr`.
const VARIABLE: &str = "BARETRACE_TEST_SITE";

/// The child's part; as a test by itself it has nothing to attach to.
#[test]
#[ignore = "the part of the process that is killed"]
fn tracer() {
    let Ok(words) = env::var(VARIABLE) else {
        return;
    };
    let numbers: Vec<u64> = words
        .split(' ')
        .map(|w| w.parse().expect("number"))
        .collect();
    let [multi, offset, ref_ctr] = numbers[..] else {
        panic!("three numbers, not {words}");
    };
    let site = UserSite {
        offset,
        ref_ctr,
        cookie: 0,
    };
    let multi = multi == 1;
    let program = object(ProgramKind::Kprobe, counter_map(0), support::count_hit());
    let loaded = support::load(&program, multi);
    let attached = support::attach(&loaded, &user(vec![site], None), multi).expect("attach");
    std::thread::sleep(Duration::from_secs(30));
    drop(attached);
}

fn killed(site: &Site, multi: bool) {
    if !support::may_trace() {
        return;
    }
    let at = site.user_site();
    let mut child = Command::new(fixture::path())
        .args(["--exact", "killed::tracer", "--ignored"])
        .env(
            VARIABLE,
            format!("{} {} {}", u8::from(multi), at.offset, at.ref_ctr),
        )
        .stdout(Stdio::null())
        .spawn()
        .expect("spawn");
    let rose = site.settles_at(1);
    site.fire(1);
    child.kill().expect("kill -9");
    child.wait().expect("wait");
    assert!(rose, "the child did not attach");
    let start = Instant::now();
    assert!(site.settles_at(0), "semaphore is {}", site.semaphore());
    println!("multi {multi}: back to 0 after {:?}", start.elapsed());
    site.fire(2);
}

#[test]
fn kill_9_clears_a_link() {
    killed(&fixture::KILL_LINK, true);
}

#[test]
fn kill_9_clears_a_perf_event() {
    killed(&fixture::KILL_PERF, false);
}
