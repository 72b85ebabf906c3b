//! Map specs to maps.

use std::io;

use super::LoadError;
use crate::{
    spec::{MapKind, MapRole, MapSpec},
    sys::{
        bpf::{Map, MapCreate},
        cpu, process, trace, uapi,
    },
};

/// Creates all maps and fills in their first contents.
pub(super) fn create_all(specs: &[MapSpec]) -> Result<Vec<Map>, LoadError> {
    specs.iter().map(create).collect()
}

/// What a map is for, in words.
fn purpose(spec: &MapSpec) -> String {
    let name = &spec.name;
    match &spec.role {
        MapRole::User { name, .. } => format!("map @{name} of the script"),
        MapRole::Short(_) => {
            format!("map `{name}`: entries of the script's map whose keys are short")
        }
        MapRole::Ring => format!("map `{name}`: where programs find each CPU's ring"),
        MapRole::Scratch => format!("map `{name}`: buffers in which programs build their records"),
        MapRole::Lost => format!("map `{name}`: counts of records that found no room"),
        MapRole::Faults => {
            format!("map `{name}`: counts of what went wrong, by place in the script")
        }
        MapRole::Data => format!("map `{name}`: what programs and this process share"),
        MapRole::Stacks | MapRole::WalkedStacks => {
            format!("map `{name}`: stack traces by number")
        }
        MapRole::UnwindRows => format!("map `{name}`: from each instruction the way to the caller"),
        MapRole::UnwindProcesses => format!("map `{name}`: where processes have their code"),
    }
}

fn create(spec: &MapSpec) -> Result<Map, LoadError> {
    let _why = trace::because(|| purpose(spec));
    let fail = |call| {
        move |source| LoadError::Map {
            name: spec.name.clone(),
            call,
            source,
        }
    };
    let max_entries = match (spec.kind, spec.max_entries) {
        (MapKind::PerfEventArray, 0) => cpu::possible_count().map_err(fail("possible cpus"))?,
        (_, entries) => entries,
    };
    let create = MapCreate {
        kind: spec.kind as u32,
        key_size: spec.key_size,
        value_size: spec.value_size,
        max_entries,
        flags: spec.flags,
        name: &spec.name,
    };
    let map = with_memlock(|| Map::create(&create)).map_err(fail("bpf(BPF_MAP_CREATE)"))?;
    if !spec.init.is_empty() {
        fill(&map, spec).map_err(fail("bpf(BPF_MAP_UPDATE_ELEM)"))?;
    }
    Ok(map)
}

/// Puts the initial contents into entry 0: once, or once for every CPU; zeros follow where they are short.
fn fill(map: &Map, spec: &MapSpec) -> io::Result<()> {
    let size = spec.value_size as usize;
    if spec.init.len() > size || map.key_size() != 4 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{} bytes of contents for a value of {size}",
                spec.init.len()
            ),
        ));
    }
    let share = if map.is_percpu() {
        size.next_multiple_of(8)
    } else {
        size
    };
    let mut value = vec![0; map.value_len()];
    for part in value.chunks_exact_mut(share) {
        part[..spec.init.len()].copy_from_slice(&spec.init);
    }
    map.update(&0u32.to_ne_bytes(), &value, uapi::BPF_ANY)
}

/// Runs `make`; where it is refused, once more with the memlock limit out of the way, which counts before 5.11.
pub(super) fn with_memlock<T>(mut make: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match make() {
        Err(e) if e.raw_os_error() == Some(libc::EPERM) && process::unlimit_memlock().is_ok() => {
            make()
        }
        other => other,
    }
}
