//! The kernel functions of the running kernel, by name and by their ids in its BTF.

use std::sync::OnceLock;

use crate::{
    asm::{
        Callee, Insn,
        kfunc::{KFUNCS, Known, OTHERS},
    },
    btf::{self, Kind},
};

fn ids() -> &'static [(i32, Known)] {
    static IDS: OnceLock<Vec<(i32, Known)>> = OnceLock::new();
    IDS.get_or_init(|| {
        let Some(btf) = btf::of_kernel() else {
            return Vec::new();
        };
        let find = |name| {
            let id = btf.find(name, &[Kind::Func])?;
            i32::try_from(id).ok()
        };
        let rows = KFUNCS.iter().map(|row| (row.name, Known::Row(row)));
        let names = OTHERS.iter().map(|name| (*name, Known::Name(name)));
        rows.chain(names)
            .filter_map(|(name, known)| Some((find(name)?, known)))
            .collect()
    })
}

/// The function of that id.
pub fn by_id(id: i32) -> Option<Known> {
    let row = ids().iter().find(|row| row.0 == id)?;
    Some(row.1)
}

/// The id of a function.
pub fn id_of(name: &str) -> Option<i32> {
    let is = |known: &Known| match known {
        Known::Row(row) => row.name == name,
        Known::Name(is) => *is == name,
    };
    ids().iter().find(|row| is(&row.1)).map(|row| row.0)
}

/// Fills in the ids of functions that a text calls by name: index of the instruction, and the name.
///
/// # Errors
/// The first that the kernel does not have, or whose BTF cannot be read.
pub fn link(insns: &mut [Insn], calls: &[(usize, &'static str)]) -> Result<(), &'static str> {
    for (at, name) in calls {
        let id = id_of(name).ok_or(*name)?;
        if let Some(Insn::Call { callee }) = insns.get_mut(*at) {
            *callee = Callee::Kfunc { id, off: 0 };
        }
    }
    Ok(())
}
