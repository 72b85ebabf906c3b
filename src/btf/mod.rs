//! The kernel's types, as it describes them itself: a reader of BTF (`Documentation/bpf/btf.rst`).
//!
//! Nothing is read before it is asked for, and then as little as possible: a name is looked for in the string section,
//! and only its few types are decoded. An index of where each type begins is made at the first question.

mod blob;
mod print;

#[cfg(test)]
pub(crate) mod tests;

pub use blob::{Btf, Encoding, Kind, Member, Node};
pub use print::Printer;

use std::{io, path::Path};

/// Where the running kernel describes its types.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// The running kernel's types, or those of the file that `BPFTRACE_BTF` names; `None` where there are none.
pub fn of_kernel() -> Option<Btf> {
    let named = std::env::var_os("BPFTRACE_BTF").filter(|path| !path.is_empty());
    let path = named.as_deref().map_or(Path::new(VMLINUX), Path::new);
    open(path).ok()
}

/// The types of a file that holds nothing but BTF.
///
/// # Errors
/// As of reading the file; `InvalidData` if it is no BTF.
pub fn open(path: &Path) -> io::Result<Btf> {
    // The kernel maps its own from 6.16 on.
    let btf = match crate::sys::file_map::FileMap::open(path) {
        Ok(map) => Btf::new(map),
        Err(_) => Btf::new(std::fs::read(path)?),
    };
    btf.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no BTF"))
}
