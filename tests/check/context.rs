//! Every access to the context that a program type can make, against the kernel's verdict.

use baretrace::{
    asm::{Cond, Insn, Reg, Size, build::*, helper::ProgType},
    check::{Env, program},
};

use super::kernel::Judge;

const KINDS: &[(ProgType, i16)] = &[
    (ProgType::SocketFilter, 200),
    (ProgType::SchedCls, 200),
    (ProgType::Xdp, 32),
];

fn accesses(off: i16) -> Vec<Vec<Insn>> {
    let mut out = Vec::new();
    for size in [Size::B, Size::H, Size::W, Size::DW] {
        let (dst, src) = (Reg::R2, Reg::R1);
        for signed in [false, true] {
            if !(signed && size == Size::DW) {
                out.push(Insn::Load {
                    size,
                    signed,
                    dst,
                    src,
                    off,
                });
            }
        }
        out.push(store(size, Reg::R1, off, 0));
    }
    let whole = |insn| vec![insn, mov64_imm(Reg::R0, 0), exit()];
    out.into_iter().map(whole).collect()
}

/// Loads from what the packet's socket is turned into.
fn sockets(off: i16) -> Vec<Vec<Insn>> {
    let mut out = Vec::new();
    for casts in [None, Some(95), Some(96)] {
        for size in [Size::B, Size::H, Size::W, Size::DW] {
            let mut insns = vec![
                load(Size::DW, Reg::R1, Reg::R1, 168),
                mov64_imm(Reg::R0, 0),
                jump_if(Cond::Ne, Reg::R1, 0, 1),
                exit(),
            ];
            if let Some(id) = casts {
                let null = jump_if(Cond::Ne, Reg::R0, 0, 1);
                insns.extend([call(id), null, exit(), mov64(Reg::R1, Reg::R0)]);
            }
            insns.extend([
                load(size, Reg::R2, Reg::R1, off),
                mov64_imm(Reg::R0, 0),
                exit(),
            ]);
            out.push(insns);
        }
    }
    out
}

#[test]
fn every_field_of_a_socket() {
    let Some(judge) = Judge::new(&[]) else {
        return;
    };
    let mut wrong = Vec::new();
    for insns in (-4..120).flat_map(sockets) {
        let kind = ProgType::SchedCls;
        let ours = program(&insns, &Env::new(kind, &[]));
        let theirs = judge.takes(&insns, kind);
        if ours.is_ok() != theirs {
            let ours = ours.map_or_else(|e| e.what.to_string(), |_| "taken".into());
            wrong.push(format!("{insns:?}: {ours}; the kernel takes it: {theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_field_of_a_packets_context() {
    let Some(judge) = Judge::new(&[]) else {
        return;
    };
    let mut wrong = Vec::new();
    for &(kind, len) in KINDS {
        for off in -8..len {
            for insns in accesses(off) {
                let ours = program(&insns, &Env::new(kind, &[]));
                let theirs = judge.takes(&insns, kind);
                if ours.is_ok() != theirs && !ours.as_ref().is_err_and(|e| e.what.is_not_modelled())
                {
                    let ours = ours.map_or_else(|e| e.what.to_string(), |_| "taken".into());
                    wrong.push(format!(
                        "{kind:?}: {}: {ours}; the kernel takes it: {theirs}",
                        insns[0]
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
