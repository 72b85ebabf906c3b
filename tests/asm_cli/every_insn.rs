//! One program that uses every instruction the machine models: it reads back in both dialects, and gives the same on
//! rbpf and in the kernel.

use crate::support::{EXE, can_trace, run, text};
use baretrace::asm::{
    AluOp, Callee, Cond, Imm64, Insn, Reg, Size, Src, Width, build::*, encode, forms,
};
use std::process::Command;

/// Numbers that the instructions work on: one with all kinds of bits, one that is small.
const MEM: &str = "efcdab8967452381 0300000000000000 0000000000000000 8877665544332211";

/// `r9 = r9 * 31 + reg`.
fn mix(out: &mut Vec<Insn>, reg: Reg) {
    out.push(alu64(AluOp::Mul, Reg::R9, 31));
    out.push(add64(Reg::R9, reg));
}

/// The form with its operands put where the program wants them, and what to take the result from; `None` for what
/// needs a context, maps or BTF.
fn placed(form: Insn) -> Option<(Insn, Reg)> {
    let shift = |op| matches!(op, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh);
    let base = Reg::R6;
    Some(match form {
        // The kernel refuses constants that shift by more than the width.
        Insn::Alu {
            op,
            src: Src::Imm(imm),
            ..
        } if shift(op) && imm < 0 => return None,
        Insn::Alu { dst, .. }
        | Insn::Neg { dst, .. }
        | Insn::Movsx { dst, .. }
        | Insn::Endian { dst, .. } => (form, dst),
        Insn::Load {
            size, signed, dst, ..
        } => (
            Insn::Load {
                size,
                signed,
                dst,
                src: base,
                off: 0,
            },
            dst,
        ),
        Insn::Store { size, src, .. } => (
            Insn::Store {
                size,
                dst: base,
                off: 16,
                src,
            },
            Reg::R2,
        ),
        Insn::Atomic { op, size, src, .. } => (
            Insn::Atomic {
                op,
                size,
                dst: base,
                off: 16,
                src,
            },
            src,
        ),
        Insn::LoadAcquire { size, dst, .. } => (
            Insn::LoadAcquire {
                size,
                dst,
                src: base,
                off: 0,
            },
            dst,
        ),
        Insn::StoreRelease { size, src, .. } => (
            Insn::StoreRelease {
                size,
                dst: base,
                off: 16,
                src,
            },
            src,
        ),
        Insn::LoadImm64 {
            dst,
            imm: Imm64::Value(_),
        } => (form, dst),
        Insn::Ja { .. } => (goto(1), Reg::R1),
        Insn::Jal { .. } => (gotol(1), Reg::R1),
        Insn::MayGoto { .. } => (may_goto(1), Reg::R1),
        Insn::Jmp {
            cond,
            width,
            dst,
            src,
            ..
        } => (
            Insn::Jmp {
                cond,
                width,
                dst,
                src,
                off: 1,
            },
            Reg::R1,
        ),
        Insn::Call {
            callee: Callee::Helper(_),
        } => (call(5), Reg::R2),
        Insn::Call {
            callee: Callee::Local(_),
        } => (call_local(0), Reg::R0),
        Insn::Exit => (exit(), Reg::R0),
        Insn::AddrSpaceCast { .. }
        | Insn::LoadImm64 { .. }
        | Insn::LoadAbs { .. }
        | Insn::LoadInd { .. }
        | Insn::Jx { .. }
        | Insn::Call { .. }
        | Insn::Callx { .. } => return None,
    })
}

/// The program, and how many forms are in it.
fn program() -> (Vec<Insn>, usize) {
    let (mut out, mut used) = (vec![mov64(Reg::R6, Reg::R1), mov64_imm(Reg::R9, 0)], 0);
    let mut calls = Vec::new();
    for form in forms::all() {
        let Some((insn, result)) = placed(form) else {
            continue;
        };
        used += 1;
        if insn == exit() {
            continue;
        }
        out.push(load(Size::DW, Reg::R0, Reg::R6, 16));
        out.push(load(Size::DW, Reg::R1, Reg::R6, 0));
        out.push(load(Size::DW, Reg::R2, Reg::R6, 8));
        let jumps = matches!(
            insn,
            Insn::Ja { .. } | Insn::Jal { .. } | Insn::Jmp { .. } | Insn::MayGoto { .. }
        );
        match insn {
            Insn::Call {
                callee: Callee::Local(_),
            } => calls.push(out.len()),
            // What the clock says is another number each time; what the call leaves of r2 is nothing.
            Insn::Call { .. } => {
                out.extend([insn, mov64_imm(Reg::R2, 9)]);
                mix(&mut out, result);
                continue;
            }
            _ => {}
        }
        out.push(insn);
        if jumps && matches!(insn, Insn::Ja { .. } | Insn::Jal { .. }) {
            // Something has to lead to what it hops over.
            out.pop();
            out.extend([jump_if(Cond::Eq, Reg::R2, 0, 1), insn]);
        }
        if jumps {
            out.push(add64_imm(Reg::R9, 1));
        }
        mix(&mut out, result);
        out.push(load(Size::DW, Reg::R3, Reg::R6, 16));
        mix(&mut out, Reg::R3);
    }
    out.extend([mov64(Reg::R0, Reg::R9), exit()]);
    let function: i32 = out.iter().map(|insn| insn.slots() as i32).sum();
    for at in calls {
        let slot: i32 = out[..at].iter().map(|insn| insn.slots() as i32).sum();
        out[at] = call_local(function - slot - 1);
    }
    out.extend([
        mov64(Reg::R0, Reg::R2),
        Insn::Alu {
            op: AluOp::Add,
            width: Width::W32,
            dst: Reg::R0,
            src: Src::Imm(11),
        },
        exit(),
    ]);
    (out, used)
}

#[test]
fn the_same_in_both_dialects_on_both_machines() {
    let (insns, used) = program();
    let left_out = forms::all()
        .into_iter()
        .filter(|form| placed(*form).is_none())
        .count();
    assert_eq!(used + left_out, forms::all().len());
    assert!(used > 200, "{used} forms, {left_out} left out");
    let digits: String = encode(&insns)
        .unwrap()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let exec = |program: &[u8], machine: &str| {
        let out = run(
            Command::new(EXE).args(["exec", "-", "--mem", MEM, "--on", machine]),
            program,
        );
        assert!(out.status.success(), "{machine}: {}", text(&out.stderr));
        text(&out.stdout)
    };
    let answer = exec(digits.as_bytes(), "rbpf");
    for style in ["kernel", "llvm", "mnemonic"] {
        let listing = run(
            Command::new(EXE).args(["disasm", "--style", style]),
            digits.as_bytes(),
        )
        .stdout;
        let back = run(Command::new(EXE).arg("asm"), &listing);
        assert_eq!(
            text(&back.stdout).replace('\n', ""),
            digits,
            "{style}: {}",
            text(&back.stderr)
        );
        assert_eq!(exec(&listing, "rbpf"), answer);
    }
    if can_trace() {
        assert_eq!(exec(digits.as_bytes(), "kernel"), answer);
    }
}
