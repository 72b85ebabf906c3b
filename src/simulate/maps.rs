//! The simulated machine's maps, as the runtime reads them.

use std::io;

use crate::{
    runtime::{Entry, MapReader},
    vm::{Machine, MapStore},
};

/// The maps of a machine.
pub(super) struct VmMaps<'m>(pub(super) &'m mut Machine);

impl VmMaps<'_> {
    fn map(&mut self, index: usize) -> io::Result<&mut MapStore> {
        let missing =
            || io::Error::new(io::ErrorKind::NotFound, format!("there is no map {index}"));
        self.0.map_mut(index).ok_or_else(missing)
    }
}

fn values(map: &MapStore, key: &[u8]) -> Option<Vec<Vec<u8>>> {
    // A kernel stack map gives one value; traces are shorter than their room.
    if let (crate::spec::MapKind::StackTrace, Ok(id)) = (map.spec().kind, key.try_into()) {
        let mut bytes = map
            .stack(u32::from_ne_bytes(id))?
            .iter()
            .flat_map(|a| a.to_ne_bytes())
            .collect::<Vec<u8>>();
        bytes.resize(usize::try_from(map.spec().value_size).unwrap_or(0), 0);
        return Some(vec![bytes]);
    }
    (0..map.cpus())
        .map(|cpu| map.get(key, cpu).map(<[u8]>::to_vec))
        .collect()
}

impl MapReader for VmMaps<'_> {
    fn entries(&mut self, map: usize) -> io::Result<Vec<Entry>> {
        let map = self.map(map)?;
        let entry = |key: Vec<u8>| {
            let values = values(map, &key)?;
            Some((key, values))
        };
        Ok(map.keys().filter_map(entry).collect())
    }

    fn lookup(&mut self, map: usize, key: &[u8]) -> io::Result<Option<Vec<Vec<u8>>>> {
        Ok(values(self.map(map)?, key))
    }

    fn clear(&mut self, map: usize) -> io::Result<()> {
        self.map(map)?.clear();
        Ok(())
    }

    fn zero(&mut self, map: usize, keep: usize) -> io::Result<()> {
        let map = self.map(map)?;
        if keep == 0 {
            map.zero();
            return Ok(());
        }
        // What stays says that the value was set: on any CPU here, or the values of all CPUs would be needed to set it.
        let keys: Vec<Vec<u8>> = map.keys().collect();
        for key in keys {
            let mut new = Vec::new();
            for value in (0..map.cpus()).filter_map(|cpu| map.get(&key, cpu)) {
                new.resize(value.len(), 0);
                let from = value.len().saturating_sub(keep);
                for (new, old) in new[from..].iter_mut().zip(&value[from..]) {
                    *new |= old;
                }
            }
            map.set(&key, &new);
        }
        Ok(())
    }
}
