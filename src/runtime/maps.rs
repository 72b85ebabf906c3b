//! What the runtime asks of maps and of symbol tables, whoever keeps them.

use std::io;

/// One entry: its key and the value of each CPU (one value for a map that is not per-CPU).
pub type Entry = (Vec<u8>, Vec<Vec<u8>>);

/// Maps of a running script, by index into [`crate::spec::Object::maps`].
pub trait MapReader {
    /// All entries; for an array every index, its key as a `u32`.
    fn entries(&mut self, map: usize) -> io::Result<Vec<Entry>>;
    /// The value of each CPU at `key`, or `None`.
    fn lookup(&mut self, map: usize, key: &[u8]) -> io::Result<Option<Vec<Vec<u8>>>>;
    /// Removes all entries (zeroes an array).
    fn clear(&mut self, map: usize) -> io::Result<()>;
    /// Sets all values to zero bytes; with `keep`, the last that many bytes of each value stay (a presence flag).
    fn zero(&mut self, map: usize, keep: usize) -> io::Result<()>;
}

/// Names of addresses.
pub trait Symbols {
    /// Appends `name`, or `name+offset` with `offset`; returns false, with nothing appended, if it knows none.
    fn name(&mut self, out: &mut Vec<u8>, address: Address, offset: bool) -> bool;
    /// Appends the file that the address is mapped from, for `perf` stacks.
    fn module(&mut self, _out: &mut Vec<u8>, _address: Address) -> bool {
        false
    }
    /// Appends the build id of the file that the address is mapped from, and the byte of the file, for `build_id` stacks.
    fn build_id(&mut self, _out: &mut Vec<u8>, _address: Address) -> bool {
        false
    }
    /// Remembers what process `pid` has mapped now.
    fn preload(&mut self, _pid: u32) {}
}

/// An address and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The address.
    pub addr: u64,
    /// The process; `None` for the kernel.
    pub pid: Option<u32>,
}

/// Knows no names: all addresses print in hex.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSymbols;

impl Symbols for NoSymbols {
    fn name(&mut self, _: &mut Vec<u8>, _: Address, _: bool) -> bool {
        false
    }
}
