//! Blueprints for programs written by hand: the usual cases in one call each. The fields stay open for the others.

use super::{
    ArgLoc, AttachSpec, EventPlan, MapKind, MapRole, MapSpec, Object, ProgramKind, ProgramSpec,
    UsdtProbe, UserSite,
};
use crate::asm::Insn;
use std::path::Path;

impl MapSpec {
    /// A map of that kind and those sizes, empty.
    pub fn new(
        name: &str,
        kind: MapKind,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
    ) -> Self {
        MapSpec {
            name: name.to_owned(),
            kind,
            key_size,
            value_size,
            max_entries,
            flags: 0,
            init: Vec::new(),
            role: MapRole::Data,
        }
    }

    /// An array of one value, all zeros: [`crate::asm::build::load_map_value`] gives its address.
    pub fn value(name: &str, size: u32) -> Self {
        MapSpec::new(name, MapKind::Array, 4, size, 1)
    }

    /// A perf ring for each CPU: `bpf_perf_event_output` sends there, [`crate::runtime::perf_ring::Rings`] reads.
    pub fn perf_ring(name: &str) -> Self {
        MapSpec {
            role: MapRole::Ring,
            ..MapSpec::new(name, MapKind::PerfEventArray, 4, 4, 0)
        }
    }
}

impl UsdtProbe {
    /// The byte of `struct pt_regs` at which argument `number` is, for a load of eight bytes; `None` if there is no such
    /// argument, if it is not a whole register, or if not all sites have it in the same one.
    pub fn register(&self, number: usize) -> Option<i16> {
        let at = |site: &super::Site| match site.args.get(number) {
            Some(arg) if arg.size == 8 && !arg.float => match arg.loc {
                ArgLoc::Reg { reg } => i16::try_from(reg).ok(),
                _ => None,
            },
            _ => None,
        };
        let first = at(self.sites.first()?)?;
        self.sites
            .iter()
            .all(|site| at(site) == Some(first))
            .then_some(first)
    }
}

impl AttachSpec {
    /// All sites of a USDT probe in the file at `path`; only in process `pid`, if one is given.
    pub fn usdt(path: impl AsRef<Path>, probe: &UsdtProbe, pid: Option<u32>) -> Self {
        let site = |site: &super::Site| UserSite {
            offset: site.offset,
            ref_ctr: site.ref_ctr,
            cookie: 0,
        };
        AttachSpec::User {
            path: path.as_ref().to_owned(),
            sites: probe.sites.iter().map(site).collect(),
            ret: false,
            pid,
        }
    }
}

impl ProgramSpec {
    /// A program for user probes; its context is `struct pt_regs`.
    pub fn user_probe(name: &str, insns: Vec<Insn>, attach: AttachSpec) -> Self {
        ProgramSpec {
            name: name.to_owned(),
            probe: name.to_owned(),
            kind: ProgramKind::Kprobe,
            origins: vec![None; insns.len()],
            insns,
            sleepable: false,
            attach: vec![attach],
        }
    }
}

impl Object {
    /// Programs and the maps that they refer to by index; no script.
    pub fn by_hand(maps: Vec<MapSpec>, programs: Vec<ProgramSpec>) -> Self {
        Object {
            script_name: "by hand".to_owned(),
            source: String::new(),
            license: String::new(),
            maps,
            programs,
            events: EventPlan::default(),
        }
    }
}
