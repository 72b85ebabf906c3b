//! The script's maps in the kernel, as the runtime reads them.

use crate::{
    loader::Loaded,
    runtime::{Entry, MapReader},
    spec::MapKind,
    sys::{bpf::Map, trace},
};
use std::io;

/// Reads and clears the maps of a loaded object.
#[derive(Debug)]
pub(super) struct KernelMaps<'a>(pub(super) &'a Loaded);

impl KernelMaps<'_> {
    /// Why a map is looked at now.
    fn why(&self, what: &str, index: usize) -> trace::Why {
        trace::because(|| match self.0.names.get(index) {
            Some(name) => format!("{what} map `{name}`"),
            None => format!("{what} map {index}"),
        })
    }

    fn map(&self, index: usize) -> io::Result<&Map> {
        self.0.maps.get(index).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("there is no map {index}"))
        })
    }
}

/// Whether its entries cannot be deleted.
fn is_array(map: &Map) -> bool {
    [MapKind::Array, MapKind::PercpuArray]
        .iter()
        .any(|kind| *kind as u32 == map.kind())
}

/// One value for each CPU, or the one that there is.
fn shares(map: &Map, value: Vec<u8>, cpus: usize) -> Vec<Vec<u8>> {
    if !map.is_percpu() {
        return vec![value];
    }
    let share = (value.len() / cpus.max(1)).max(1);
    value.chunks(share).map(<[u8]>::to_vec).collect()
}

impl MapReader for KernelMaps<'_> {
    fn entries(&mut self, map: usize) -> io::Result<Vec<Entry>> {
        let _why = self.why("read", map);
        let map = self.map(map)?;
        let cpus = cpus()?;
        let entries = map.entries()?.into_iter();
        Ok(entries
            .map(|(key, value)| (key, shares(map, value, cpus)))
            .collect())
    }

    fn lookup(&mut self, map: usize, key: &[u8]) -> io::Result<Option<Vec<Vec<u8>>>> {
        let _why = self.why("read", map);
        let map = self.map(map)?;
        let mut value = vec![0; map.value_len()];
        let found = map.lookup(key, &mut value)?;
        Ok(found.then_some(shares(map, value, cpus()?)))
    }

    fn clear(&mut self, index: usize) -> io::Result<()> {
        let _why = self.why("clear", index);
        let map = self.map(index)?;
        if is_array(map) {
            return self.zero(index, 0);
        }
        for (key, _) in map.entries()? {
            // Gone meanwhile is as good.
            map.delete(&key)?;
        }
        Ok(())
    }

    fn zero(&mut self, map: usize, keep: usize) -> io::Result<()> {
        let _why = self.why("zero", map);
        let map = self.map(map)?;
        let cpus = if map.is_percpu() { cpus()? } else { 1 };
        for (key, mut value) in map.entries()? {
            let share = (value.len() / cpus.max(1)).max(1);
            for part in value.chunks_mut(share) {
                let zeros = part.len().saturating_sub(keep);
                part[..zeros].fill(0);
            }
            map.update(&key, &value, 0)?;
        }
        Ok(())
    }
}

fn cpus() -> io::Result<usize> {
    let count = crate::kernel::cpus::possible_count()?;
    usize::try_from(count).map_err(io::Error::other)
}
