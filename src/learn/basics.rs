//! From one instruction to the verifier.

use super::{Machine, Page, assemble, bytes, hex, listing, number};
use crate::{
    asm::{AluOp, AtomicOp, Cond, Insn, Reg, Size, build::*, encode},
    loader::{self, LoadOptions},
    runtime::attach,
    spec::{AttachSpec, MapSpec, Object, ProgramKind, ProgramSpec},
    vm::{self, World},
};
use std::{fmt::Write, os::fd::AsFd};

/// Runs a program, in the kernel if that may be; where it ran.
fn execute(insns: &[Insn], machine: Machine) -> Result<(u64, &'static str), String> {
    if machine.kernel {
        let r0 = loader::exec(insns, &[], &mut []).map_err(|err| err.to_string())?;
        return Ok((r0, "the kernel of this machine"));
    }
    let r0 = vm::exec(insns, &mut [], vm::Options::default()).map_err(|err| err.to_string())?;
    Ok((r0, "rbpf, in this process"))
}

pub(super) fn insn(machine: Machine) -> Result<Page, String> {
    let insns = [mov64_imm(Reg::R0, 42), exit()];
    let code = encode(&insns[..1]).map_err(|err| err.to_string())?;
    let (r0, place) = execute(&insns, machine)?;
    let text = format!(
        "`{}` as the kernel gets it:\n\n  {}\n\n  \
         {:02x}           code: class ALU64 (7), operation mov (b), source imm\n  \
         {:02x}           dst_reg in the low half, src_reg in the high one\n  \
         {}        off: not used here\n  \
         {}  imm: {}, the low byte first\n\n\
         Followed by `exit` (95 00 ...) it is a program. Run in\n{place}, it returns {r0}.\n",
        insns[0],
        hex(&code),
        code[0],
        code[1],
        hex(&code[2..4]),
        hex(&code[4..8]),
        i32::from_le_bytes([code[4], code[5], code[6], code[7]]),
    );
    let want = encode(&[add64_imm(Reg::R1, 2)]).map_err(|err| err.to_string())?;
    Ok(Page {
        text,
        question: "Write the eight bytes of `r1 += 2`. Its operation, add, is 0.".to_owned(),
        hints: vec![
            "the code byte has the class in its low half and the operation in its high one"
                .to_owned(),
            "the second byte is the number of the register".to_owned(),
        ],
        solution: format!("{}: class 7, operation 0; register 1; imm 2", hex(&want)),
        answer: hex(&want),
        judge: bytes(want),
    })
}

/// Adds the numbers up to `n`.
fn sum(n: i32) -> Vec<Insn> {
    vec![
        mov64_imm(Reg::R0, 0),
        mov64_imm(Reg::R1, n),
        add64(Reg::R0, Reg::R1),
        alu64(AluOp::Add, Reg::R1, -1),
        jump_if(Cond::Ne, Reg::R1, 0, -3),
        exit(),
    ]
}

pub(super) fn program(machine: Machine) -> Result<Page, String> {
    let insns = sum(10);
    let (r0, place) = execute(&insns, machine)?;
    let (want, _) = execute(&sum(20), machine)?;
    let text = format!(
        "A program is an array of such slots; r0 is what it returns.\n\n{}\n\
         The jump's distance, -3, counts slots from the one behind it (fd ff in\nits bytes 2 and 3). \
         Run in {place},\nit returns {r0}: the sum of 1 to 10.\n",
        listing(&insns)
    );
    Ok(Page {
        text,
        question: "What does it return when slot 1 is `r1 = 20`?".to_owned(),
        hints: vec!["n times n + 1, halved".to_owned()],
        solution: format!("{want}; `baretrace exec` runs programs like this one"),
        answer: want.to_string(),
        judge: number(want),
    })
}

/// Adds one to the value of map 0.
fn counter() -> Object {
    let insns = vec![
        load_map_value(Reg::R1, 0, 0),
        mov64_imm(Reg::R2, 1),
        atomic64(AtomicOp::Add { fetch: false }, Reg::R1, 0, Reg::R2),
        mov64_imm(Reg::R0, 0),
        exit(),
    ];
    let mut program = ProgramSpec::user_probe("count", insns, AttachSpec::Begin);
    program.kind = ProgramKind::RawTracepoint;
    Object::by_hand(vec![MapSpec::value("hits", 8)], vec![program])
}

pub(super) fn maps(machine: Machine) -> Result<Page, String> {
    let object = counter();
    let mut text = format!(
        "Registers and stack are gone when a program ends. A map stays: an array of\n\
         one value of eight bytes here.\n\n{}\n\
         Slots 0 and 1 are one instruction: an address has 64 bits. Its src_reg, 2,\n\
         tells the loader to put in the address of the map's value.\n\n",
        listing(&object.programs[0].insns)
    );
    let mut show = |runs: u64, value: &[u8]| {
        let _ = writeln!(text, "  value after {runs} runs: {}", hex(value));
    };
    if machine.kernel {
        let loaded =
            loader::load(&object, &LoadOptions::default()).map_err(|err| err.to_string())?;
        for runs in 0..4 {
            let mut value = [0; 8];
            loaded.maps[0]
                .lookup(&[0; 4], &mut value)
                .map_err(|err| err.to_string())?;
            show(runs, &value);
            attach::run_raw_tp(loaded.programs[0].as_fd()).map_err(|err| err.to_string())?;
        }
        text.push_str("\nEach run was a BPF_PROG_TEST_RUN, each look a BPF_MAP_LOOKUP_ELEM.\n");
    } else {
        let mut simulated = vm::Machine::new(&object).map_err(|err| err.to_string())?;
        for runs in 0..4 {
            let value = simulated.map(0).and_then(|map| map.get(&[0; 4], 0));
            show(runs, value.unwrap_or_default());
            let run = simulated.run(0, &mut World::default(), &[]);
            run.map_err(|err| err.to_string())?;
        }
        text.push_str("\nThe map is in this process, as are the runs.\n");
    }
    Ok(Page {
        text,
        question: "What are the first two bytes of the value after 300 runs?".to_owned(),
        hints: vec![
            "300 is 0x12c".to_owned(),
            "the low byte stands first".to_owned(),
        ],
        solution: "2c 01: 0x012c, the low byte first".to_owned(),
        answer: "2c 01".to_owned(),
        judge: bytes(vec![0x2c, 0x01]),
    })
}

/// A way to be refused: what is wrong, the program, the mended one.
struct Refusal(
    &'static str,
    fn() -> Vec<Insn>,
    &'static str,
    fn() -> Vec<Insn>,
);

/// The classic ways, for programs whose r1 points to eight bytes and whose r2 is 8.
const REFUSALS: &[Refusal] = &[
    Refusal(
        "a register that nothing wrote",
        || vec![mov64(Reg::R0, Reg::R3), exit()],
        "write it first",
        || vec![mov64_imm(Reg::R3, 0), mov64(Reg::R0, Reg::R3), exit()],
    ),
    Refusal(
        "memory beyond its end",
        || vec![load(Size::DW, Reg::R0, Reg::R1, 8), exit()],
        "stay inside",
        || vec![load(Size::DW, Reg::R0, Reg::R1, 0), exit()],
    ),
    Refusal(
        "an offset without a bound",
        || {
            vec![
                load(Size::W, Reg::R3, Reg::R1, 0),
                add64(Reg::R1, Reg::R3),
                load(Size::B, Reg::R0, Reg::R1, 0),
                exit(),
            ]
        },
        "and it with 7",
        || {
            vec![
                load(Size::W, Reg::R3, Reg::R1, 0),
                and64_imm(Reg::R3, 7),
                add64(Reg::R1, Reg::R3),
                load(Size::B, Reg::R0, Reg::R1, 0),
                exit(),
            ]
        },
    ),
    Refusal(
        "the stack beyond its 512 bytes",
        || {
            vec![
                store(Size::DW, Reg::R10, -520, 0),
                mov64_imm(Reg::R0, 0),
                exit(),
            ]
        },
        "use the 512 bytes below r10",
        || {
            vec![
                store(Size::DW, Reg::R10, -512, 0),
                mov64_imm(Reg::R0, 0),
                exit(),
            ]
        },
    ),
    Refusal(
        "a loop without an end",
        || {
            vec![
                mov64_imm(Reg::R0, 0),
                jump_if(Cond::Eq, Reg::R0, 0, -1),
                exit(),
            ]
        },
        "count it",
        || sum(10),
    ),
];

pub(super) fn verifier(machine: Machine) -> Result<Page, String> {
    let mut text = String::from(
        "Before a program runs, every path through it is followed. In these, r1\n\
         points to eight bytes. What is refused, what is said, and the mend:\n",
    );
    for Refusal(what, bad, how, good) in REFUSALS {
        let (bad, good) = (bad(), good());
        let _ = write!(text, "\n{what}\n{}", listing(&bad));
        let Err((_, error)) = loader::check_exec(&bad, &[], 8) else {
            return Err(format!("{what}: this was to be refused"));
        };
        let _ = writeln!(text, "  checked here: {}", error.what);
        if machine.kernel {
            let said = match loader::exec(&bad, &[], &mut [0; 8]) {
                Err(loader::ExecError::Refused { line, source, .. }) if line.is_empty() => {
                    source.to_string()
                }
                Err(loader::ExecError::Refused { line, .. }) => line,
                Err(err) => err.to_string(),
                Ok(_) => return Err(format!("{what}: the kernel took it")),
            };
            let _ = writeln!(text, "  the kernel:   {}", super::folded(&said, 16));
            loader::exec(&good, &[], &mut [0; 8]).map_err(|err| format!("{what}: {err}"))?;
        }
        loader::check_exec(&good, &[], 8).map_err(|(_, error)| error.what.to_string())?;
        let mended: Vec<String> = good.iter().map(Insn::to_string).collect();
        let mended = format!("{how}: {}", mended.join("; "));
        let _ = writeln!(text, "  mend:         {}", super::folded(&mended, 16));
    }
    Ok(Page {
        text,
        question: "One instruction in front of `r0 = r6; exit` makes that right.\nWhich?"
            .to_owned(),
        hints: vec!["see the first refusal: r6 has no value".to_owned()],
        solution: "r6 = 0: any instruction that writes r6".to_owned(),
        answer: "r6 = 0".to_owned(),
        judge: Box::new(|answer| {
            let insns = assemble(&format!("{answer}\nr0 = r6\nexit"))?;
            if insns.len() != 3 {
                return Err("that is not one instruction".to_owned());
            }
            loader::check_exec(&insns, &[], 8).map_err(|(_, error)| error.what.to_string())?;
            Ok(())
        }),
    })
}
