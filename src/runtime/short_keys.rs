//! A map of the script and the map of its entries with short keys, read as one ([`crate::spec::ShortKeys`]).

use super::{
    compile::UserMap,
    maps::{Entry, MapReader},
};
use std::io;

impl UserMap {
    /// All entries, their keys of `key_size` bytes.
    pub(super) fn entries(
        &self,
        maps: &mut dyn MapReader,
        key_size: usize,
    ) -> io::Result<Vec<Entry>> {
        let mut all = maps.entries(self.index)?;
        if let Some((short, _)) = self.short {
            let whole = |(mut key, values): Entry| {
                key.resize(key_size, 0);
                (key, values)
            };
            all.extend(maps.entries(short)?.into_iter().map(whole));
        }
        Ok(all)
    }

    /// The value of each CPU at a whole key.
    pub(super) fn lookup(
        &self,
        maps: &mut dyn MapReader,
        key: &[u8],
    ) -> io::Result<Option<Vec<Vec<u8>>>> {
        match self.short {
            Some((short, keys)) if let Some(cut) = keys.cut(key) => maps.lookup(short, cut),
            _ => maps.lookup(self.index, key),
        }
    }

    pub(super) fn clear(&self, maps: &mut dyn MapReader) -> io::Result<()> {
        self.both().try_for_each(|map| maps.clear(map))
    }

    pub(super) fn zero(&self, maps: &mut dyn MapReader, keep: usize) -> io::Result<()> {
        self.both().try_for_each(|map| maps.zero(map, keep))
    }

    fn both(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.index).chain(self.short.map(|(index, _)| index))
    }
}
