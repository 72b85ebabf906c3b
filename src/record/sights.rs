//! Which processes, addresses, users and control groups a recording's hits are of, so that any script can name them later.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::{hit::Hit, notes::Notebook};
use crate::{
    runtime::{
        Address,
        names::{Names, Place},
    },
    symbols::{CodeReader, ProcessCode},
};

/// A process that is hit is looked at again after this time: `dlopen` and `execve` change what it has mapped.
const AGAIN: Duration = Duration::from_secs(1);
/// Processes that are looked at again; those beyond are looked at once.
const MOST_PROCESSES: usize = 1024;
/// Addresses that are named at the end.
const MOST_ADDRESSES: usize = 100_000;

/// A process.
#[derive(Debug)]
struct Sight {
    looked: Option<Instant>,
    /// It was hit since.
    hit: bool,
    code: ProcessCode,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Sights {
    processes: HashMap<u32, Sight>,
    addresses: HashSet<Address>,
    last: Option<Address>,
    reader: CodeReader,
    users: Numbers,
    cgroups: Numbers,
    names: Names,
}

/// Numbers that were seen, and those that were not asked for since.
#[derive(Debug, Default)]
struct Numbers {
    seen: HashSet<u64>,
    fresh: Vec<u64>,
}

impl Numbers {
    fn see(&mut self, number: u64) {
        if self.seen.insert(number) {
            self.fresh.push(number);
        }
    }

    /// The new ones that have names.
    fn named<T>(&mut self, mut name: impl FnMut(u64) -> Option<T>) -> Vec<(u64, T)> {
        let fresh = self.fresh.drain(..);
        fresh.filter_map(|n| Some((n, name(n)?))).collect()
    }
}

impl Sights {
    /// Notes who was hit, and where.
    pub(super) fn hit(&mut self, hit: &Hit, ip: Option<u64>) {
        let pid = hit.pid;
        let here = address(pid, ip.unwrap_or(0));
        if self.last == Some(here) {
            return;
        }
        self.last = Some(here);
        let sight = self.processes.entry(pid).or_insert_with(|| Sight {
            looked: None,
            hit: true,
            code: ProcessCode::default(),
        });
        sight.hit = true;
        self.users.see(u64::from(hit.uid));
        if ip.is_some() {
            self.add(here);
        }
    }

    /// Notes a control group.
    pub(super) fn cgroup(&mut self, id: u64) {
        self.cgroups.see(id);
    }

    /// The names of users that are new since the last time.
    pub(super) fn users(&mut self) -> Vec<(u64, String)> {
        let names = &mut self.names;
        self.users.named(|uid| names.user(uid).map(str::to_owned))
    }

    /// Where the control groups are that are new since the last time.
    pub(super) fn cgroups(&mut self) -> Vec<(u64, Vec<Place>)> {
        let names = &self.names;
        self.cgroups.named(|id| Some(names.cgroup(id)))
    }

    /// Notes the frames of a stack.
    pub(super) fn stack(&mut self, pid: u32, frames: &[u64]) {
        for frame in frames {
            self.add(address(pid, *frame));
        }
    }

    fn add(&mut self, address: Address) {
        if self.addresses.len() < MOST_ADDRESSES {
            self.addresses.insert(address);
        }
    }

    /// The code of processes that are new or have new code since the last time; `symbols` remembers it, too.
    pub(super) fn look(&mut self, symbols: &Notebook) -> Vec<ProcessCode> {
        let many = self.processes.len() > MOST_PROCESSES;
        let mut fresh = Vec::new();
        for (pid, sight) in &mut self.processes {
            let due = match sight.looked {
                None => true,
                Some(looked) => sight.hit && !many && looked.elapsed() >= AGAIN,
            };
            if !due {
                continue;
            }
            (sight.looked, sight.hit) = (Some(Instant::now()), false);
            if let Some(code) = self.reader.read(*pid)
                && code != sight.code
            {
                symbols.preload(*pid);
                sight.code = code.clone();
                fresh.push(code);
            }
        }
        if !fresh.is_empty() || !many {
            // The next hit marks its process again.
            self.last = None;
        }
        fresh
    }

    /// The addresses, to be named.
    pub(super) fn addresses(&mut self) -> impl Iterator<Item = Address> + '_ {
        self.addresses.drain()
    }
}

/// Addresses in the upper half are the kernel's.
fn address(pid: u32, addr: u64) -> Address {
    let kernel = addr >> 63 != 0;
    Address {
        addr,
        pid: (!kernel).then_some(pid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_looked_at_when_they_are_new() {
        let (mut sights, symbols) = (Sights::default(), Notebook::default());
        let own = std::process::id();
        let of = |pid| Hit {
            pid,
            ..Hit::default()
        };
        sights.hit(&of(own), Some(0x1000));
        sights.hit(&of(own), Some(0x1000));
        sights.hit(&of(u32::MAX), None);
        assert_eq!(sights.users(), [(0, "root".to_owned())]);
        assert!(sights.users().is_empty());
        let code = sights.look(&symbols);
        assert_eq!(code.len(), 1);
        assert_eq!(code[0].pid, own);
        sights.hit(&of(own), Some(0x2000));
        assert!(sights.look(&symbols).is_empty());
        sights.stack(own, &[0x2000, 0x3000, 1 << 63]);
        let mut addresses: Vec<_> = sights.addresses().collect();
        addresses.sort_unstable_by_key(|address| address.addr);
        let want = [0x1000, 0x2000, 0x3000].map(|addr| (addr, Some(own)));
        let want: Vec<_> = want.into_iter().chain([(1 << 63, None)]).collect();
        let got: Vec<_> = addresses.iter().map(|a| (a.addr, a.pid)).collect();
        assert_eq!(got, want);
    }
}
