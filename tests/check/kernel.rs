//! The kernel's verdict.

use baretrace::{
    asm::{self, Imm64, Insn, helper::ProgType},
    explain,
    spec::{MapKind, MapRole, MapSpec},
    sys::bpf::{Map, MapCreate, ProgLoad, prog_load},
};

/// The maps that all programs of the test may name.
pub(crate) fn specs() -> Vec<MapSpec> {
    let rows = [
        (MapKind::Hash, 8, 64, 16),
        (MapKind::Array, 4, 64, 1),
        (MapKind::PercpuArray, 4, 256, 4),
        (MapKind::Ringbuf, 0, 0, 4096),
        (MapKind::PerfEventArray, 4, 4, 2),
        (MapKind::StackTrace, 4, 8 * 16, 16),
    ];
    let spec = |(kind, key_size, value_size, max_entries)| MapSpec {
        name: "checked".into(),
        kind,
        key_size,
        value_size,
        max_entries,
        flags: 0,
        init: Vec::new(),
        role: MapRole::Data,
    };
    rows.map(spec).to_vec()
}

/// Maps in the kernel.
pub(crate) struct Judge {
    maps: Vec<Map>,
}

impl Judge {
    /// `None` without the rights to load.
    pub(crate) fn new(specs: &[MapSpec]) -> Option<Judge> {
        let make = |spec: &MapSpec| {
            Map::create(&MapCreate {
                kind: spec.kind as u32,
                key_size: spec.key_size,
                value_size: spec.value_size,
                max_entries: spec.max_entries,
                flags: spec.flags,
                name: &spec.name,
            })
        };
        match specs.iter().map(make).collect() {
            Ok(maps) => Some(Judge { maps }),
            Err(error) => {
                eprintln!("skipped: create a map: {error}");
                None
            }
        }
    }

    fn fd(&self, index: i32) -> i32 {
        let map = usize::try_from(index).ok().and_then(|at| self.maps.get(at));
        map.map_or(-1, Map::raw_fd)
    }

    /// Whether a program is taken, without asking why not.
    pub(crate) fn takes(&self, insns: &[Insn], kind: ProgType) -> bool {
        let bytes = asm::encode(&self.relocated(insns)).expect("encode");
        prog_load(&load(&bytes, kind, false, true), None).is_ok()
    }

    /// The last lines of the log of a refused program.
    pub(crate) fn verdict(
        &self,
        insns: &[Insn],
        kind: ProgType,
        sleepable: bool,
        gpl: bool,
    ) -> Result<(), String> {
        let bytes = asm::encode(&self.relocated(insns)).expect("encode");
        let spec = load(&bytes, kind, sleepable, gpl);
        let Err(first) = prog_load(&spec, None) else {
            return Ok(());
        };
        let mut log = vec![0; 1 << 20];
        match prog_load(&spec, Some(&mut log)) {
            Ok(_) => Ok(()),
            Err(_) => {
                let text = String::from_utf8_lossy(&log);
                // Behind the end there may be what a path wrote that the verifier left again.
                let text = text.split('\0').next().unwrap_or("");
                let lines: Vec<&str> = text.lines().filter(|l| !telling(l)).collect();
                // Behind the message there may be states, or the instruction again.
                let known = |line: &&&str| explain::message(line).is_some();
                let last = lines.iter().rev().take(4).find(known).or(lines.last());
                let last = last.copied().unwrap_or("");
                Err(format!("{first}: {last}"))
            }
        }
    }

    fn relocated(&self, insns: &[Insn]) -> Vec<Insn> {
        insns
            .iter()
            .map(|insn| match *insn {
                Insn::LoadImm64 {
                    dst,
                    imm: Imm64::MapIdx(index),
                } => Insn::LoadImm64 {
                    dst,
                    imm: Imm64::MapFd(self.fd(index)),
                },
                Insn::LoadImm64 {
                    dst,
                    imm: Imm64::MapIdxValue { idx, off },
                } => Insn::LoadImm64 {
                    dst,
                    imm: Imm64::MapValue {
                        fd: self.fd(idx),
                        off,
                    },
                },
                other => other,
            })
            .collect()
    }
}

fn load(bytes: &[u8], kind: ProgType, sleepable: bool, gpl: bool) -> ProgLoad<'_> {
    ProgLoad {
        kind: match kind {
            ProgType::SocketFilter => 1,
            ProgType::Kprobe => 2,
            ProgType::SchedCls => 3,
            ProgType::Tracepoint => 5,
            ProgType::Xdp => 6,
            ProgType::PerfEvent => 7,
            ProgType::RawTracepoint => 17,
            ProgType::Syscall => 31,
        },
        attach_type: 0,
        name: "checked",
        insns: bytes,
        license: if gpl { c"GPL" } else { c"Proprietary" },
        flags: u32::from(sleepable) << 4,
        attach_btf_id: 0,
        btf: None,
    }
}

/// Whether a line counts what was done.
fn telling(line: &str) -> bool {
    line.starts_with("processed ")
        || line.starts_with("verification time")
        || line.starts_with("stack depth")
}
