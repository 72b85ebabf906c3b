//! What the programs of one script share: maps and the table of action groups.

use super::{program::SCRATCH_SLOTS, short_key};
use crate::{
    lang::checked::{Checked, MapId},
    span::Span,
    spec::{
        FAULT_SIZE, Fault, Group, MapKind, MapRole, MapSpec, SHORT_STRING, ShortKeys, Target, Type,
        UNWIND_BLOCK, UNWIND_PROCESS, UNWIND_ROW,
    },
};

/// Maps and groups, growing while programs are lowered.
#[derive(Debug)]
pub(super) struct Shared {
    /// Action groups by id.
    pub(super) groups: Vec<Group>,
    /// Maps, in the object's order: those of the script first.
    pub(super) maps: Vec<MapSpec>,
    ring: Option<u32>,
    scratch: [Option<u32>; 2],
    lost: Option<u32>,
    /// What can go wrong, with the place in the script.
    pub(super) faults: Vec<(Span, Fault)>,
    fault_map: Option<u32>,
    stacks: Option<u32>,
    walked: Option<u32>,
    unwind: [Option<u32>; 2],
    start: Option<u32>,
    zero: Option<u32>,
    slots: u32,
    /// For each map of the script: the map of its entries with short keys.
    pub(super) short: Vec<Option<(u32, ShortKeys)>>,
}

/// `BPF_F_MMAPABLE`, for arrays from 5.5 on (`include/uapi/linux/bpf.h`).
const MMAPABLE: u32 = 1 << 10;

/// Blocks of rows that there is room for: half a million rows, which a program and its libraries rarely have.
const ROW_BLOCKS: u32 = 128;

/// Processes whose stacks are walked at most.
const PROCESSES: u32 = 64;

/// Whether a map without keys is a one-element array with a `present` word, whose address programs know.
pub(super) fn is_cell(key: Option<&Type>, value: &Type) -> bool {
    key.is_none() && !matches!(value, Type::Agg(_))
}

impl Shared {
    pub(super) fn new(checked: &Checked, target: &Target) -> Self {
        let mut maps: Vec<MapSpec> = checked
            .maps
            .iter()
            .map(|info| {
                let size = info.value.size(&checked.structs);
                let agg = matches!(info.value, Type::Agg(_));
                let role = MapRole::User {
                    name: info.name.clone(),
                    key: info.key.clone(),
                    value: info.value.clone(),
                };
                let (kind, key_size, value_size, max_entries) = match &info.key {
                    None if agg => (MapKind::PercpuArray, 4, size.next_multiple_of(8) + 8, 1),
                    None => (MapKind::Array, 4, size.next_multiple_of(8) + 8, 1),
                    Some(key) => {
                        let kind = match (info.kind.as_deref(), agg) {
                            (Some("lruhash"), false) => MapKind::LruHash,
                            (Some("lruhash" | "percpulruhash"), _) => MapKind::LruPercpuHash,
                            (Some("percpuhash"), _) | (_, true) => MapKind::PercpuHash,
                            _ => MapKind::Hash,
                        };
                        (
                            kind,
                            key.size(&checked.structs).max(1),
                            size.max(1),
                            info.max_entries,
                        )
                    }
                };
                MapSpec {
                    name: kernel_name(&info.name),
                    kind,
                    key_size,
                    value_size,
                    max_entries,
                    flags: 0,
                    init: Vec::new(),
                    role,
                }
            })
            .collect();
        let short = short_key::maps(checked)
            .into_iter()
            .enumerate()
            .map(|(of, string)| {
                let keys = ShortKeys {
                    of,
                    string: string?,
                };
                let spec = MapSpec {
                    key_size: keys.string + SHORT_STRING,
                    role: MapRole::Short(keys),
                    ..maps[of].clone()
                };
                Some((Self::add(&mut maps, spec), keys))
            })
            .collect();
        let slots = if target.features.atomics {
            SCRATCH_SLOTS
        } else {
            1
        };
        Shared {
            groups: Vec::new(),
            maps,
            ring: None,
            scratch: [None; 2],
            lost: None,
            faults: Vec::new(),
            fault_map: None,
            stacks: None,
            walked: None,
            unwind: [None; 2],
            start: None,
            zero: None,
            slots,
            short,
        }
    }

    fn add(maps: &mut Vec<MapSpec>, spec: MapSpec) -> u32 {
        maps.push(spec);
        u32::try_from(maps.len() - 1).unwrap_or(u32::MAX)
    }

    /// The ring of records.
    pub(super) fn ring(&mut self) -> u32 {
        *self.ring.get_or_insert_with(|| {
            Self::add(
                &mut self.maps,
                plain("ring", MapKind::PerfEventArray, 4, 0, MapRole::Ring),
            )
        })
    }

    /// The scratch buffers of each CPU, or the large ones that all share; the value size is set by [`Shared::finish`].
    pub(super) fn scratch(&mut self, large: bool) -> u32 {
        let (name, kind) = match large {
            false => ("scratch", MapKind::PercpuArray),
            true => ("large", MapKind::Array),
        };
        let slots = self.slots;
        *self.scratch[usize::from(large)].get_or_insert_with(|| {
            let spec = plain(name, kind, 8, slots, MapRole::Scratch);
            Self::add(&mut self.maps, spec)
        })
    }

    /// The counters of lost records; the value size is set by [`Shared::finish`].
    pub(super) fn lost(&mut self) -> u32 {
        *self.lost.get_or_insert_with(|| {
            Self::add(
                &mut self.maps,
                plain("lost", MapKind::Array, 8, 1, MapRole::Lost),
            )
        })
    }

    /// The counters of what goes wrong; the value size is set by [`Shared::finish`].
    pub(super) fn fault_map(&mut self) -> u32 {
        *self.fault_map.get_or_insert_with(|| {
            let mut spec = plain("faults", MapKind::Array, FAULT_SIZE, 1, MapRole::Faults);
            spec.flags = MMAPABLE;
            Self::add(&mut self.maps, spec)
        })
    }

    /// The time tracing began (`CLOCK_BOOTTIME`, ns), which the runtime fills in.
    pub(super) fn start_time(&mut self) -> u32 {
        *self.start.get_or_insert_with(|| {
            Self::add(
                &mut self.maps,
                plain("start", MapKind::Array, 8, 1, MapRole::Data),
            )
        })
    }

    /// A `u64` that is always 0, which the verifier does not know.
    pub(super) fn zero(&mut self) -> u32 {
        *self.zero.get_or_insert_with(|| {
            let mut spec = plain("zero", MapKind::Array, 8, 1, MapRole::Data);
            spec.init = vec![0; 8];
            Self::add(&mut self.maps, spec)
        })
    }

    /// The stack traces.
    pub(super) fn stacks(&mut self, entries: u32) -> u32 {
        *self.stacks.get_or_insert_with(|| {
            Self::add(
                &mut self.maps,
                plain(
                    "stacks",
                    MapKind::StackTrace,
                    8 * 127,
                    entries,
                    MapRole::Stacks,
                ),
            )
        })
    }

    /// The stacks that programs walk themselves.
    pub(super) fn walked_stacks(&mut self, entries: u32) -> u32 {
        *self.walked.get_or_insert_with(|| {
            let size = super::unwind::WALKED_STACK;
            let role = MapRole::WalkedStacks;
            let spec = plain("walked", MapKind::Hash, size, entries, role);
            Self::add(&mut self.maps, spec)
        })
    }

    /// The rows that they are walked by. How many there are is known when the processes are.
    pub(super) fn unwind_rows(&mut self) -> u32 {
        *self.unwind[0].get_or_insert_with(|| {
            let size = UNWIND_BLOCK * UNWIND_ROW;
            let role = MapRole::UnwindRows;
            let spec = plain("unwind_rows", MapKind::Array, size, ROW_BLOCKS, role);
            Self::add(&mut self.maps, spec)
        })
    }

    /// Where processes have their code.
    pub(super) fn unwind_processes(&mut self) -> u32 {
        *self.unwind[1].get_or_insert_with(|| {
            let role = MapRole::UnwindProcesses;
            let spec = plain(
                "unwind_code",
                MapKind::Hash,
                UNWIND_PROCESS,
                PROCESSES,
                role,
            );
            Self::add(&mut self.maps, spec)
        })
    }

    /// Sizes that are known only once all programs are lowered.
    pub(super) fn finish(&mut self, scratch: [u32; 2], programs: usize) {
        for (map, size) in self.scratch.iter().zip(scratch) {
            if let Some(map) = map {
                // A plan that was given up may have asked for buffers that nobody uses.
                self.maps[*map as usize].value_size = size.max(8);
            }
        }
        if let Some(map) = self.fault_map {
            let size = u32::try_from(self.faults.len()).unwrap_or(1) * FAULT_SIZE;
            self.maps[map as usize].value_size = size;
        }
        if let Some(map) = self.lost {
            self.maps[map as usize].value_size = u32::try_from(programs * 8).unwrap_or(8);
        }
    }

    /// Byte offset of the word that says whether a map without keys was set.
    pub(super) fn present_at(checked: &Checked, map: MapId) -> u32 {
        checked.maps[map.0 as usize]
            .value
            .size(&checked.structs)
            .next_multiple_of(8)
    }
}

fn plain(name: &str, kind: MapKind, value_size: u32, max_entries: u32, role: MapRole) -> MapSpec {
    MapSpec {
        name: name.into(),
        kind,
        key_size: 4,
        value_size,
        max_entries,
        flags: 0,
        init: Vec::new(),
        role,
    }
}

/// A name the kernel takes: at most 15 bytes, never empty.
fn kernel_name(name: &str) -> String {
    if name.is_empty() {
        "at".into()
    } else {
        name.chars().take(15).collect()
    }
}
