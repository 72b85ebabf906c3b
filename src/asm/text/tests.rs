//! Tests of both dialects.

use super::*;
use crate::asm::disasm::{self, Style};
use crate::asm::{Cond, Reg, Size, Width, build::*, encode, forms};

fn fragment(dialect: Dialect) -> Options {
    Options {
        dialect: Some(dialect),
        fragment: true,
    }
}

const STYLES: [(Style, Dialect); 3] = [
    (Style::Kernel, Dialect::Kernel),
    (Style::Llvm, Dialect::Kernel),
    (Style::Mnemonic, Dialect::Mnemonic),
];

#[test]
fn what_is_printed_reads_back() {
    for insn in forms::all() {
        for (style, dialect) in STYLES {
            let text = insn.display(style).to_string();
            let read = assemble(&text, fragment(dialect)).map(|p| p.insns);
            assert_eq!(read, Ok(vec![insn]), "{text}");
            assert_eq!(parse_insn(&text), Ok(insn), "{text}");
        }
    }
}

#[test]
fn listings_read_back() {
    let all = forms::all();
    for (style, dialect) in STYLES {
        for slots in [false, true] {
            let options = disasm::Options {
                style,
                slots,
                bytes: slots,
                maps: &["a", "b", "hits"],
                ..disasm::Options::default()
            };
            let text = disasm::program(&all, options);
            let read = assemble(&text, fragment(dialect)).unwrap();
            // Maps by name are numbered anew, in order of appearance.
            let named = |insn: Insn| match insn {
                Insn::LoadImm64 { dst, imm } => Insn::LoadImm64 {
                    dst,
                    imm: match imm {
                        Imm64::MapIdx(2) => Imm64::MapIdx(0),
                        Imm64::MapIdxValue { idx: 2, off } => Imm64::MapIdxValue { idx: 0, off },
                        other => other,
                    },
                },
                other => other,
            };
            let want: Vec<Insn> = all.iter().copied().map(named).collect();
            assert_eq!(read.insns, want, "{text}");
            assert_eq!(read.maps, ["hits"]);
        }
    }
}

#[test]
fn spellings_of_others_read() {
    let r1 = Reg::R1;
    let rows: &[(&str, Insn)] = &[
        ("r1 = *(u64*)(r0+8)", load(Size::DW, r1, Reg::R0, 8)),
        ("r1 = *(u64 *)(fp - 0x8)", load(Size::DW, r1, Reg::R10, -8)),
        ("w1 = *(u8 *)(r2)", load(Size::B, r1, Reg::R2, 0)),
        ("12: (b7) r1 = 5", mov64_imm(r1, 5)),
        ("12: (18) r1 = 0x5", load_imm64(r1, 5)),
        (
            "  3:\t66 01 03 00 ff 00 00 00\tif w1 s> 0xff goto +0x3 <.text+0x68>",
            jump32_if(Cond::Sgt, r1, 255, 3),
        ),
        ("r1 = 5 ; R1_w=5", mov64_imm(r1, 5)),
        ("r1 = 0xffffffffffffffff", mov64_imm(r1, -1)),
        ("r1 = -1 ll", load_imm64(r1, u64::MAX)),
        ("call bpf_ktime_get_ns", call(5)),
        ("call ktime_get_ns#5", call(5)),
        ("call -1", call(u32::MAX)),
        ("goto 3", goto(3)),
        ("add64 r1, 5", add64_imm(r1, 5)),
        ("mov %r1, 0xffffffff", mov64_imm(r1, -1)),
        ("ldxdw r1, [r0 + 0x8]", load(Size::DW, r1, Reg::R0, 8)),
        (
            "lock fetch add [r10-8], r1 # x",
            atomic64(crate::asm::AtomicOp::Add { fetch: true }, Reg::R10, -8, r1),
        ),
        (
            "lock cmpxchg32 [%r10-8], %r1",
            atomic32(crate::asm::AtomicOp::Cmpxchg, Reg::R10, -8, r1),
        ),
        (
            "movsx864 %r6, %r5",
            movsx(Width::W64, Narrow::S8, Reg::R6, Reg::R5),
        ),
        (
            "bswap16 r1",
            endian(crate::asm::EndianOp::Bswap, Bits::B16, r1),
        ),
        ("call helper 5", call(5)),
        ("call runtime 7", call_kfunc(7)),
        ("jne32 %r2, 0x80, +4", jump32_if(Cond::Ne, Reg::R2, 128, 4)),
    ];
    for (text, insn) in rows {
        assert_eq!(parse_insn(text), Ok(*insn), "{text}");
    }
}

#[test]
fn whole_programs() {
    let kernel = "\
# sums up
main:
  r1 = map[hits]
  r2 = map[seen][0]+8
  r3 = subprog[twice]
again: if r1 != 0 goto out
  call twice
  goto again
out:
  r0 = 0
  exit
twice:
  r0 = r1
  r0 += r1
  exit
";
    let mnemonic = "\
main:
  lddw %r1, map[hits]
  lddw r2, map[seen][0]+8
  lddw r3, subprog[twice]
again: jne r1, 0, out
  call local twice
  ja again
out:
  mov r0, 0
  exit
twice:
  mov r0, r1
  add r0, r1
  exit
";
    let a = assemble(kernel, Options::default()).unwrap();
    let b = assemble(mnemonic, Options::default()).unwrap();
    assert_eq!((a.dialect, b.dialect), (Dialect::Kernel, Dialect::Mnemonic));
    assert_eq!(a.insns, b.insns);
    assert_eq!(a.maps, ["hits", "seen"]);
    assert_eq!(a.functions(), [(11, "twice".to_owned())]);
    assert_eq!(a.labels[1], ("again".to_owned(), 3));
    assert_eq!(a.spans[3].text(kernel), "if r1 != 0 goto out");
    assert_eq!(a.insns[3], jump_if(Cond::Ne, Reg::R1, 0, 2));
    assert_eq!(a.insns[4], call_local(3));
    assert_eq!(encode(&a.insns).unwrap().len() / 8, 14);
}

/// Text, place as line:column, message, help.
type Fault = (&'static str, &'static str, &'static str, &'static str);

const KERNEL_FAULTS: &[Fault] = &[
    (
        "r11 = 0\nexit",
        "1:1",
        "no register is called `r11`",
        "r0 to r10",
    ),
    (
        "r1 = r12\nexit",
        "1:6",
        "no register is called `r12`",
        "r0 to r10",
    ),
    (
        "r0 = 0x1122334455\nexit",
        "1:6",
        "73588229205 does not fit a 32-bit immediate",
        "",
    ),
    (
        "r0 = *(u8 *)(r1 +40000)\nexit",
        "1:17",
        "40000 does not fit `off`",
        "",
    ),
    (
        "exti",
        "1:1",
        "unknown instruction `exti`",
        "did you mean `exit`?",
    ),
    ("goto out\nexit", "1:6", "label `out` is not defined", ""),
    (
        "gone:\n goto gon\nexit",
        "2:7",
        "label `gon` is not defined",
        "did you mean `gone`?",
    ),
    (
        "a:\nr0 = 0\na:\nexit",
        "3:1",
        "label `a` is defined twice",
        "",
    ),
    ("goto +2\nr0 = 1 ll\nexit", "", "", ""),
    (
        "goto +1\nr0 = 1 ll\nexit",
        "1:1",
        "jump to slot 2, the middle of a wide immediate",
        "two slots",
    ),
    (
        "goto +9\nexit",
        "1:1",
        "jump to slot 10 of a program of 2 slots",
        "8-byte slots",
    ),
    (
        "goto -9\nexit",
        "1:1",
        "jump to slot -8 of a program",
        "8-byte slots",
    ),
    (
        "r0 = 0",
        "1:1",
        "execution runs past the last instruction",
        "`exit`",
    ),
    (
        "add %r1, 2\nr0 = 0\nexit\n",
        "1:1",
        "wrong dialect",
        "looks like the mnemonic dialect",
    ),
    ("r1 = w2\nexit", "1:6", "registers of two widths", "`r…`"),
    (
        "r1 = be16 r2\nexit",
        "1:11",
        "works on one register, `r1`",
        "on both sides",
    ),
    (
        "call bpf_ktime_get_nss\nexit",
        "1:6",
        "neither a helper nor a label",
        "did you mean `bpf_ktime_get_ns`?",
    ),
    (
        "call bpf_ktime_get_ns#6\nexit",
        "1:6",
        "not helper number 6",
        "number 5",
    ),
    (
        "call nowhere\nexit",
        "1:6",
        "label `nowhere` is not defined",
        "",
    ),
    (
        "r0 = 0; r1 = 2\nexit",
        "1:9",
        "an instruction inside a comment",
        "line of its own",
    ),
    (
        "r0 = 0 r1\nexit",
        "1:8",
        "unexpected `r1` after the instruction",
        "",
    ),
    ("r0 = *(u9 *)(r1 +0)\nexit", "1:8", "expected a type", ""),
    ("r0 ~= 1\nexit", "1:4", "expected an operator", ""),
    (
        "if r1 s! 3 goto +0\nexit",
        "1:7",
        "expected a comparison",
        "",
    ),
    (
        "if r1 == 3\nexit",
        "1:11",
        "expected `goto`, found the end of the line",
        "",
    ),
    (
        "r1 = map[id:3]\nexit",
        "1:10",
        "`id:` names nothing",
        "map[fd:N]",
    ),
    (
        ".text\nexit",
        "1:1",
        "unknown directive `.text`",
        "leave the line out",
    ),
    (
        "w1 = (s32)w2\nexit",
        "1:1",
        "a sign-extending move from 32 to 32 bits does not exist",
        "",
    ),
    (
        "r0 = 0x\nexit",
        "1:6",
        "`0x` is not a number",
        "hexadecimal",
    ),
    ("", "1:1", "no instruction here", ""),
    ("exit\nend:\n", "", "", ""),
    (
        "goto end\nexit\nend:\n",
        "1:1",
        "behind the last instruction",
        "behind the label",
    ),
];

const MNEMONIC_FAULTS: &[Fault] = &[
    (
        "mov r11, 0\nexit",
        "1:5",
        "no register is called `r11`",
        "r0 to r10",
    ),
    (
        "mov %foo, 0\nexit",
        "1:6",
        "no register is called `foo`",
        "r0 to r10",
    ),
    (
        "lddx r0, 1\nexit",
        "1:1",
        "unknown instruction `lddx`",
        "did you mean `lddw`?",
    ),
    ("mov r0 1\nexit", "1:8", "expected `,`, found `1`", ""),
    ("ldxw r0, r1\nexit", "1:10", "expected `[`, found `r1`", ""),
    ("ja far\nexit", "1:4", "label `far` is not defined", ""),
    (
        "mov r0, 1\nr0 += 1\nexit",
        "2:1",
        "wrong dialect",
        "looks like the kernel dialect",
    ),
    (
        "lock nand [r1], r2\nexit",
        "1:6",
        "unknown instruction `lock nand`",
        "",
    ),
    ("jeq r1, 2\nexit", "1:10", "expected `,`", ""),
    (
        "mov r0,\nexit",
        "1:8",
        "expected a register or a number",
        "",
    ),
    (
        "ldxsdw r0, [r1]\nexit",
        "1:1",
        "a sign-extending load of 8 bytes does not exist",
        "",
    ),
    ("mov r0, w1\nexit", "1:9", "registers of two widths", ""),
    (
        ".map m hahs 4 8 1\nexit",
        "1:8",
        "no kind of map is called `hahs`",
        "did you mean `hash`?",
    ),
    (
        ".map m hash 4 8\nexit",
        "1:16",
        "expected a number, found the end of the line",
        "",
    ),
    (
        ".map m hash 4 8 1\n.map m hash 4 8 1\nexit",
        "2:6",
        "map `m` is declared twice",
        "once",
    ),
    (
        ".text\nexit",
        "1:1",
        "unknown directive `.text`",
        ".map NAME",
    ),
    ("ja +40000\nexit", "1:4", "40000 does not fit `off`", ""),
    (
        "mov32 r0, 4294967295\nexit",
        "1:11",
        "4294967295 does not fit a 32-bit immediate",
        "lddw",
    ),
];

#[test]
fn faults_have_place_message_and_help() {
    for (dialect, faults) in [
        (Dialect::Kernel, KERNEL_FAULTS),
        (Dialect::Mnemonic, MNEMONIC_FAULTS),
    ] {
        for (text, place, message, help) in faults {
            let options = Options {
                dialect: Some(dialect),
                fragment: false,
            };
            let read = assemble(text, options);
            if place.is_empty() {
                assert!(read.is_ok(), "{text:?}: {read:?}");
                continue;
            }
            let errors = read.expect_err(text);
            let got = errors[0].to_string();
            assert!(got.starts_with(&format!("{place}: ")), "{text:?}: {got}");
            assert!(got.contains(message), "{text:?}: {got}");
            let got = errors[0].help().unwrap_or_default();
            assert!(got.contains(help), "{text:?}: {got}");
        }
    }
}

/// What bpf_conformance and ubpf write beside what the disassembler prints.
#[test]
fn forms_of_other_assemblers_are_read() {
    let read = |text: &str| assemble(text, Options::default()).map(|p| p.insns);
    let jumps = read("jeq %r1, 1, exit\nja exit\nexit\nexit").unwrap();
    assert_eq!(jumps[..2], [jump_if(Cond::Eq, Reg::R1, 1, 1), goto(0)]);
    let labelled = read("ja exit\nexit\nexit:\nmov r0, 1\nexit").unwrap();
    assert_eq!(labelled[0], goto(1));
    assert!(read("goto exit\nr0 = 0\nexit").is_err());
    for (text, like) in [
        ("call %r2\nexit", "callx %r2\nexit"),
        ("call helper %r2\nexit", "callx %r2\nexit"),
        ("call helper 5\nexit", "call bpf_ktime_get_ns\nexit"),
        ("call runtime 7\nexit", "call kfunc 7\nexit"),
        ("bswap32 %r1\nexit", "swap32 %r1\nexit"),
        ("mov64 r0, 0xffffffff\nexit", "mov %r0, -1\nexit"),
        (
            "lock fetch add32 [%r10-8], %r1\nexit",
            "lock fetch_add32 [r10-8], r1\nexit",
        ),
    ] {
        assert_eq!(read(text), read(like), "{text}");
        assert!(read(text).is_ok(), "{text}");
    }
}

#[test]
fn each_faulty_line_is_reported() {
    let errors = assemble("r0 = \nexit\nr12 = 1\nfoo\n", Options::default()).unwrap_err();
    assert_eq!(errors.iter().map(|e| e.line).collect::<Vec<_>>(), [1, 3, 4]);
}

#[test]
fn distances_that_do_not_fit_are_refused() {
    let mut text = "goto out\n".to_owned();
    for _ in 0..40_000 {
        text.push_str("r0 = 0\n");
    }
    text.push_str("out: exit\n");
    let errors = assemble(&text, Options::default()).unwrap_err();
    assert!(errors[0].to_string().contains("40000 slots away"));
    assert!(errors[0].help().unwrap().contains("gotol"));
    let long = text.replacen("goto", "gotol", 1);
    assert!(assemble(&long, Options::default()).is_ok());
}
