//! One instruction of every form, worked out from the tables: what tests, vectors and lessons walk through.

use super::table::{ALU, ATOMICS, CONDS, ENDIANS, SIZES};
use super::{AluOp, Callee, Imm64, Insn, Reg, Size, Src, Width};

const WIDTHS: [Width; 2] = [Width::W64, Width::W32];

/// One instruction of every form: each operation with each width, operand kind, size and pseudo source.
///
/// Operands are chosen to tell fields apart and to hold signs; distances are small and positive, so that the
/// whole list is also a program in which every jump stays inside (it does not pass the verifier).
pub fn all() -> Vec<Insn> {
    let mut out = Vec::new();
    arithmetic(&mut out);
    memory(&mut out);
    wide(&mut out);
    control(&mut out);
    out
}

fn arithmetic(out: &mut Vec<Insn>) {
    let (dst, src) = (Reg::R1, Reg::R2);
    for width in WIDTHS {
        for row in ALU {
            let op = row.op;
            for src in [Src::Reg(src), Src::Imm(7), Src::Imm(-7)] {
                out.push(Insn::Alu {
                    op,
                    width,
                    dst,
                    src,
                });
            }
        }
        out.push(Insn::Neg { width, dst });
        for from in [Size::B, Size::H, Size::W] {
            if !(from == Size::W && width == Width::W32) {
                out.push(Insn::Movsx {
                    width,
                    from,
                    dst,
                    src,
                });
            }
        }
    }
    for row in ENDIANS {
        for bits in [16, 32, 64] {
            let op = row.op;
            out.push(Insn::Endian { op, bits, dst });
        }
    }
    for imm in [1 << 16, 1] {
        out.push(Insn::AddrSpaceCast { dst, src, imm });
    }
    // The immediates at the ends of their range.
    for imm in [i32::MIN, i32::MAX] {
        out.push(Insn::Alu {
            op: AluOp::Mov,
            width: Width::W64,
            dst,
            src: Src::Imm(imm),
        });
    }
}

fn memory(out: &mut Vec<Insn>) {
    let (r1, r2) = (Reg::R1, Reg::R2);
    for row in SIZES {
        let size = row.size;
        for (signed, off) in [(false, 8), (false, -8), (true, 4)] {
            if !(signed && size == Size::DW) {
                out.push(Insn::Load {
                    size,
                    signed,
                    dst: r1,
                    src: r2,
                    off,
                });
            }
        }
        for (src, off) in [
            (Src::Reg(r2), 8),
            (Src::Reg(r2), -8),
            (Src::Imm(7), 0),
            (Src::Imm(-7), i16::MIN),
        ] {
            out.push(Insn::Store {
                size,
                dst: r1,
                off,
                src,
            });
        }
        if matches!(size, Size::W | Size::DW) {
            for row in ATOMICS {
                out.push(Insn::Atomic {
                    op: row.op,
                    size,
                    dst: r1,
                    off: 8,
                    src: r2,
                });
            }
        }
        out.push(Insn::LoadAcquire {
            size,
            dst: r1,
            src: r2,
            off: 8,
        });
        out.push(Insn::StoreRelease {
            size,
            dst: r1,
            off: -8,
            src: r2,
        });
        if size != Size::DW {
            out.push(Insn::LoadAbs { size, imm: 14 });
            out.push(Insn::LoadInd {
                size,
                src: r2,
                imm: 0,
            });
            out.push(Insn::LoadInd {
                size,
                src: r2,
                imm: -4,
            });
        }
    }
}

fn wide(out: &mut Vec<Insn>) {
    for imm in [
        Imm64::Value(0),
        Imm64::Value(0x1122_3344_5566_7788),
        Imm64::Value(u64::MAX),
        Imm64::MapFd(5),
        Imm64::MapValue { fd: 5, off: 16 },
        Imm64::BtfId {
            id: 1234,
            obj_fd: 0,
        },
        Imm64::BtfId {
            id: 1234,
            obj_fd: 7,
        },
        Imm64::Func(3),
        Imm64::MapIdx(2),
        Imm64::MapIdxValue { idx: 2, off: 24 },
    ] {
        let dst = Reg::R1;
        out.push(Insn::LoadImm64 { dst, imm });
    }
}

fn control(out: &mut Vec<Insn>) {
    let (dst, off) = (Reg::R1, 3);
    out.push(Insn::Ja { off });
    out.push(Insn::Ja { off: -1 });
    out.push(Insn::Jal { imm: 3 });
    out.push(Insn::Jal { imm: -2 });
    out.push(Insn::Jx { dst });
    out.push(Insn::MayGoto { off });
    for width in WIDTHS {
        for row in CONDS {
            let cond = row.cond;
            for src in [Src::Reg(Reg::R2), Src::Imm(255), Src::Imm(-1)] {
                out.push(Insn::Jmp {
                    cond,
                    width,
                    dst,
                    src,
                    off,
                });
            }
        }
    }
    for callee in [
        Callee::Helper(5),
        Callee::Helper(9999),
        Callee::Local(2),
        Callee::Local(-3),
        Callee::Kfunc { id: 4321, off: 0 },
        Callee::Kfunc { id: 4321, off: 2 },
    ] {
        out.push(Insn::Call { callee });
    }
    out.push(Insn::Callx { dst });
    out.push(Insn::Exit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{Raw, decode, encode};
    use std::collections::HashSet;

    #[test]
    fn every_form_encodes_and_decodes_to_itself() {
        let all = all();
        let bytes = encode(&all).unwrap();
        assert_eq!(decode(&bytes).unwrap(), all);
        let distinct: HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn every_code_byte_that_decodes_is_here() {
        let codes: HashSet<u8> = all()
            .iter()
            .map(|insn| insn.to_raw().unwrap().0.code)
            .collect();
        for code in 0..=u8::MAX {
            // Some value of `imm` fits if any does: zero, a byte width, a load-acquire.
            let decodes = [0, 16, 0x100].into_iter().any(|imm| {
                let raw = Raw {
                    code,
                    imm,
                    ..Raw::default()
                };
                let mut bytes = raw.to_bytes().to_vec();
                if code == 0x18 {
                    bytes.extend([0; 8]);
                }
                decode(&bytes).is_ok()
            });
            assert_eq!(decodes, codes.contains(&code), "code {code:#04x}");
        }
    }
}
