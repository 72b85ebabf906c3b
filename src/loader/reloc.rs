//! Map indices to descriptors.

use crate::asm::{Imm64, Insn};

/// An instruction that names a map that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoSuchMap {
    pub(super) insn: usize,
    pub(super) map: i32,
}

/// The instructions with every map index replaced by that map's descriptor.
pub(super) fn resolve(insns: &[Insn], fds: &[i32]) -> Result<Vec<Insn>, NoSuchMap> {
    let fd = |insn: usize, map: i32| {
        let found = usize::try_from(map).ok().and_then(|map| fds.get(map));
        found.copied().ok_or(NoSuchMap { insn, map })
    };
    let one = |(at, insn): (usize, &Insn)| match *insn {
        Insn::LoadImm64 {
            dst,
            imm: Imm64::MapIdx(map),
        } => fd(at, map).map(|fd| Insn::LoadImm64 {
            dst,
            imm: Imm64::MapFd(fd),
        }),
        Insn::LoadImm64 {
            dst,
            imm: Imm64::MapIdxValue { idx, off },
        } => fd(at, idx).map(|fd| Insn::LoadImm64 {
            dst,
            imm: Imm64::MapValue { fd, off },
        }),
        other => Ok(other),
    };
    insns.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::Reg;

    #[test]
    fn indices_become_descriptors() {
        let load = |imm| Insn::LoadImm64 { dst: Reg::R1, imm };
        let insns = [
            load(Imm64::MapIdx(1)),
            load(Imm64::MapIdxValue { idx: 0, off: 8 }),
            load(Imm64::Value(1)),
            Insn::Exit,
        ];
        let want = vec![
            load(Imm64::MapFd(9)),
            load(Imm64::MapValue { fd: 7, off: 8 }),
            load(Imm64::Value(1)),
            Insn::Exit,
        ];
        assert_eq!(resolve(&insns, &[7, 9]), Ok(want));
        let wrong = NoSuchMap { insn: 0, map: 1 };
        assert_eq!(resolve(&insns, &[7]), Err(wrong));
        let negative = NoSuchMap { insn: 0, map: -1 };
        assert_eq!(resolve(&[load(Imm64::MapIdx(-1))], &[7]), Err(negative));
    }
}
