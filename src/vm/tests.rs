//! The machine from outside: each legalization, exact bounds, helpers, callbacks, faults.

use std::cell::RefCell;
use std::rc::Rc;

use crate::asm::{AluOp, AtomicOp, Callee, Cond, EndianOp, Imm64, Insn, Reg, Size, Src, Width};
use crate::spec::{
    AttachSpec, EventPlan, MapKind, MapRole, MapSpec, Object, ProgramKind, ProgramSpec,
};

use super::*;

const W64: Width = Width::W64;
const W32: Width = Width::W32;

fn r(n: u8) -> Reg {
    Reg::new(n).unwrap()
}

fn reg(n: u8) -> Src {
    Src::Reg(r(n))
}

fn alu(op: AluOp, width: Width, dst: u8, src: Src) -> Insn {
    Insn::Alu {
        op,
        width,
        dst: r(dst),
        src,
    }
}

fn mov(dst: u8, src: Src) -> Insn {
    alu(AluOp::Mov, W64, dst, src)
}

fn big(dst: u8, value: u64) -> Insn {
    Insn::LoadImm64 {
        dst: r(dst),
        imm: Imm64::Value(value),
    }
}

fn map(dst: u8, index: i32) -> Insn {
    Insn::LoadImm64 {
        dst: r(dst),
        imm: Imm64::MapIdx(index),
    }
}

fn func(dst: u8, distance: i32) -> Insn {
    Insn::LoadImm64 {
        dst: r(dst),
        imm: Imm64::Func(distance),
    }
}

fn ld(size: Size, dst: u8, src: u8, off: i16) -> Insn {
    Insn::Load {
        size,
        signed: false,
        dst: r(dst),
        src: r(src),
        off,
    }
}

fn st(size: Size, dst: u8, off: i16, src: Src) -> Insn {
    Insn::Store {
        size,
        dst: r(dst),
        off,
        src,
    }
}

fn jump(cond: Cond, width: Width, dst: u8, src: Src, off: i16) -> Insn {
    Insn::Jmp {
        cond,
        width,
        dst: r(dst),
        src,
        off,
    }
}

fn helper(id: u32) -> Insn {
    Insn::Call {
        callee: Callee::Helper(id),
    }
}

fn local(distance: i32) -> Insn {
    Insn::Call {
        callee: Callee::Local(distance),
    }
}

const EXIT: Insn = Insn::Exit;

fn run(insns: &[Insn]) -> u64 {
    exec(insns, &mut [], Options::default()).unwrap()
}

fn fault(insns: &[Insn], mem: &mut [u8]) -> Fault {
    let options = Options {
        fuel: 10_000,
        trace: None,
        ..Options::default()
    };
    exec(insns, mem, options).unwrap_err()
}

fn map_spec(kind: MapKind, value_size: u32, max_entries: u32) -> MapSpec {
    let ring = matches!(kind, MapKind::PerfEventArray | MapKind::Ringbuf);
    MapSpec {
        name: "m".into(),
        kind,
        key_size: if kind == MapKind::Ringbuf { 0 } else { 4 },
        value_size: if ring { 0 } else { value_size },
        max_entries,
        flags: 0,
        init: Vec::new(),
        role: MapRole::Scratch,
    }
}

fn object(insns: Vec<Insn>, maps: Vec<MapSpec>) -> Object {
    Object {
        script_name: "t".into(),
        source: String::new(),
        license: "GPL".into(),
        maps,
        programs: vec![ProgramSpec {
            name: "p".into(),
            probe: "uprobe:x".into(),
            kind: ProgramKind::Kprobe,
            origins: vec![None; insns.len()],
            insns,
            sleepable: false,
            attach: vec![AttachSpec::Begin],
        }],
        events: EventPlan::default(),
    }
}

fn run_object(insns: Vec<Insn>, maps: Vec<MapSpec>, world: &mut World) -> Result<u64, Fault> {
    Machine::new(&object(insns, maps))
        .unwrap()
        .run(0, world, &[7; 16])
}

#[test]
fn sign_extending_moves_are_shift_pairs() {
    for (width, from, want) in [
        (W64, Size::B, 0xffff_ffff_ffff_ff80u64),
        (W64, Size::H, 0xffff_ffff_ffff_8180),
        (W64, Size::W, 0xffff_ffff_8281_8180),
        (W32, Size::B, 0xffff_ff80),
        (W32, Size::H, 0xffff_8180),
    ] {
        let movsx = Insn::Movsx {
            width,
            from,
            dst: r(0),
            src: r(3),
        };
        let got = run(&[big(3, 0x1111_1111_8281_8180), movsx, EXIT]);
        assert_eq!(got, want, "{width:?} {from:?}");
    }
}

#[test]
fn sign_extending_loads_on_the_stack_and_elsewhere() {
    for (size, want) in [
        (Size::B, 0xffff_ffff_ffff_ff80u64),
        (Size::H, 0xffff_ffff_ffff_8180),
        (Size::W, 0xffff_ffff_8281_8180),
    ] {
        let load = |src: u8, off| Insn::Load {
            size,
            signed: true,
            dst: r(0),
            src: r(src),
            off,
        };
        let native = [
            big(3, 0x8281_8180),
            st(Size::DW, 10, -8, reg(3)),
            load(10, -8),
            EXIT,
        ];
        assert_eq!(run(&native), want);
        let mut mem = [0x80, 0x81, 0x81, 0x82];
        let checked = [load(1, 0), EXIT];
        assert_eq!(
            exec(&checked, &mut mem, Options::default()).unwrap(),
            if size == Size::W {
                0xffff_ffff_8281_8180
            } else {
                want
            }
        );
    }
}

#[test]
fn compares_with_negative_immediates_are_sign_extended() {
    let minus_one = u64::MAX;
    for (cond, value, taken) in [
        (Cond::Eq, minus_one, true),
        (Cond::Eq, 0xffff_ffff, false),
        (Cond::Ne, 0xffff_ffff, true),
        (Cond::Gt, minus_one, false),
        (Cond::Gt, 0x1_0000_0000, false),
        (Cond::Ge, minus_one, true),
        (Cond::Lt, 0x1_0000_0000, true),
        (Cond::Le, minus_one, true),
        (Cond::Sgt, 0, true),
        (Cond::Slt, u64::MAX - 1, true),
        (Cond::Set, 0x8000_0000_0000_0000, true),
    ] {
        let program = [
            big(3, value),
            mov(0, Src::Imm(1)),
            jump(cond, W64, 3, Src::Imm(-1), 1),
            mov(0, Src::Imm(0)),
            EXIT,
        ];
        assert_eq!(run(&program), u64::from(taken), "{cond:?} {value:#x}");
    }
}

/// With no free register the compare borrows one, and gives it back on both ways.
#[test]
fn a_negative_compare_keeps_every_register() {
    for dst in 0..10 {
        for value in [-1, 5] {
            let mut program: Vec<Insn> = (0..10)
                .map(|n| mov(n, Src::Imm(100 + i32::from(n))))
                .collect();
            program.push(mov(dst, Src::Imm(value)));
            program.push(jump(Cond::Eq, W64, dst, Src::Imm(-1), 1));
            program.push(alu(AluOp::Add, W64, 0, Src::Imm(1000)));
            program.extend((1..10).map(|n| alu(AluOp::Add, W64, 0, reg(n))));
            program.push(EXIT);
            let others = (100..110).sum::<i64>() - 100 - i64::from(dst);
            let jumped = if value == -1 { 0 } else { 1000 };
            let want = others + i64::from(value) + jumped;
            assert_eq!(run(&program).cast_signed(), want, "r{dst} = {value}");
        }
    }
}

#[test]
fn signed_division_by_all_that_is_odd() {
    let min = i64::MIN.cast_unsigned();
    for (op, width, a, b, want) in [
        (
            AluOp::Sdiv,
            W64,
            (-7i64).cast_unsigned(),
            2u64,
            (-3i64).cast_unsigned(),
        ),
        (AluOp::Smod, W64, (-7i64).cast_unsigned(), 2, u64::MAX),
        (AluOp::Sdiv, W64, 5, 0, 0),
        (AluOp::Smod, W64, min, 0, min),
        (AluOp::Sdiv, W64, min, u64::MAX, min),
        (AluOp::Smod, W64, min, u64::MAX, 0),
        (AluOp::Sdiv, W32, 0x1_ffff_fff9, 2, 0xffff_fffd),
        (AluOp::Smod, W32, 0x1_0000_0005, 0, 5),
        (AluOp::Sdiv, W32, 0x8000_0000, 0xffff_ffff, 0x8000_0000),
        (AluOp::Smod, W32, 0x8000_0000, 0xffff_ffff, 0),
    ] {
        for dst in [0, 3, 8] {
            let program = [
                big(dst, a),
                big(5, b),
                alu(op, width, dst, reg(5)),
                mov(0, reg(dst)),
                EXIT,
            ];
            assert_eq!(run(&program), want, "{op:?} {width:?} {a:#x} {b:#x}");
        }
    }
}

#[test]
fn modulo_negation_and_swaps() {
    let modulo = |a, b| run(&[big(0, a), big(2, b), alu(AluOp::Mod, W32, 0, reg(2)), EXIT]);
    assert_eq!(modulo(0x1_0000_0007, 0), 7);
    assert_eq!(modulo(0x1_0000_0007, 0xf_0000_0004), 3);
    let neg = |width, value| {
        let insn = Insn::Neg { width, dst: r(0) };
        run(&[big(0, value), insn, EXIT])
    };
    assert_eq!(neg(W64, 1 << 63), 1 << 63);
    assert_eq!(neg(W32, 0xf_0000_0001), 0xffff_ffff);
    let swap = |op, bits| {
        let insn = Insn::Endian {
            op,
            bits,
            dst: r(0),
        };
        run(&[big(0, 0x1122_3344_5566_7788), insn, EXIT])
    };
    assert_eq!(swap(EndianOp::Bswap, 16), 0x8877);
    assert_eq!(swap(EndianOp::Bswap, 32), 0x8877_6655);
    assert_eq!(swap(EndianOp::Bswap, 64), 0x8877_6655_4433_2211);
    assert_eq!(swap(EndianOp::ToBe, 32), u64::from(0x5566_7788u32.to_be()));
}

#[test]
fn atomics_of_both_widths() {
    for (op, want_mem, want_src) in [
        (AtomicOp::Add { fetch: false }, 0x15u64, 0x5u64),
        (AtomicOp::Add { fetch: true }, 0x15, 0x10),
        (AtomicOp::Or { fetch: true }, 0x15, 0x10),
        (AtomicOp::And { fetch: true }, 0x0, 0x10),
        (AtomicOp::Xor { fetch: true }, 0x15, 0x10),
        (AtomicOp::Xchg, 0x5, 0x10),
    ] {
        for size in [Size::W, Size::DW] {
            for src in [0, 4, 7] {
                let program = [
                    mov(6, reg(1)),
                    mov(src, Src::Imm(5)),
                    Insn::Atomic {
                        op,
                        size,
                        dst: r(6),
                        off: 8,
                        src: r(src),
                    },
                    mov(0, reg(src)),
                    EXIT,
                ];
                let mut mem = [0xee; 24];
                mem[8..16].fill(0);
                mem[8] = 0x10;
                let got = exec(&program, &mut mem, Options::default()).unwrap();
                assert_eq!(got, want_src, "{op:?} {size:?} r{src}");
                let word = u64::from_le_bytes(mem[8..16].try_into().unwrap());
                assert_eq!(word, want_mem, "{op:?} {size:?} r{src}");
                assert_eq!((mem[7], mem[16]), (0xee, 0xee));
            }
        }
    }
}

#[test]
fn cmpxchg_compares_no_more_than_its_width() {
    let program = |expected: u64| {
        [
            big(0, expected),
            mov(3, Src::Imm(9)),
            Insn::Atomic {
                op: AtomicOp::Cmpxchg,
                size: Size::W,
                dst: r(1),
                off: 0,
                src: r(3),
            },
            EXIT,
        ]
    };
    let mut mem = [4, 0, 0, 0];
    let go = |expected, mem: &mut [u8]| exec(&program(expected), mem, Options::default());
    assert_eq!(go(5, &mut mem), Ok(4));
    assert_eq!(mem[0], 4);
    assert_eq!(go(0x7_0000_0004, &mut mem), Ok(4));
    assert_eq!(mem[0], 9);
}

#[test]
fn bounds_are_exact_at_both_ends() {
    let load = |size, off| [ld(size, 0, 1, off), EXIT];
    for (size, off, good) in [
        (Size::DW, 0, true),
        (Size::DW, 2, true),
        (Size::DW, 3, false),
        (Size::W, 6, true),
        (Size::W, 7, false),
        (Size::B, 9, true),
        (Size::B, 10, false),
        (Size::B, -1, false),
        (Size::H, -1, false),
    ] {
        let mut mem = [1; 10];
        let result = exec(&load(size, off), &mut mem, Options::default());
        assert_eq!(result.is_ok(), good, "{size:?} {off}");
        let store = [st(size, 1, off, Src::Imm(0)), mov(0, Src::Imm(0)), EXIT];
        let result = exec(&store, &mut mem, Options::default());
        assert_eq!(result.is_ok(), good, "{size:?} {off}");
    }
    let text = fault(&load(Size::W, 7), &mut [1; 10]).to_string();
    assert!(
        text.starts_with(
            "insn 0: load of 4 bytes at 0xffffe20000000007: runs 1 byte past the end of memory"
        ),
        "{text}"
    );
}

#[test]
fn the_stack_ends_where_it_ends() {
    for (off, good) in [
        (-8, true),
        (-512, true),
        (-7, false),
        (0, false),
        (-513, false),
        (8, false),
    ] {
        let direct = [
            st(Size::DW, 10, off, Src::Imm(7)),
            mov(0, Src::Imm(0)),
            EXIT,
        ];
        let through = [
            mov(3, reg(10)),
            st(Size::DW, 3, off, Src::Imm(7)),
            mov(0, Src::Imm(0)),
            EXIT,
        ];
        for program in [&direct, &through[..]] {
            let result = exec(program, &mut [], Options::default());
            assert_eq!(result.is_ok(), good, "{off}");
        }
    }
}

#[test]
fn a_null_pointer_is_called_one() {
    let text = fault(&[mov(3, Src::Imm(0)), ld(Size::DW, 0, 3, 8), EXIT], &mut []).to_string();
    assert_eq!(
        text,
        "insn 1: load of 8 bytes at 0x8: no memory of this program (null pointer: check it for 0 first)"
    );
}

#[test]
fn registers_hold_nothing_until_written_and_after_calls() {
    let never = fault(&[mov(0, reg(6)), EXIT], &mut []);
    assert_eq!((never.insn, never.kind), (0, FaultKind::Unset(r(6))));
    let exit = fault(&[EXIT], &mut []);
    assert_eq!(exit.kind, FaultKind::Unset(r(0)));
    let clobbered = [mov(3, Src::Imm(1)), helper(5), mov(0, reg(3)), EXIT];
    let clobbered = fault(&clobbered, &mut []);
    assert_eq!(
        (clobbered.insn, clobbered.kind),
        (2, FaultKind::Unset(r(3)))
    );
    // Written on the way that is taken: as good as always.
    let correlated = [
        mov(4, Src::Imm(1)),
        jump(Cond::Eq, W64, 4, Src::Imm(0), 1),
        mov(6, Src::Imm(9)),
        jump(Cond::Eq, W64, 4, Src::Imm(0), 2),
        mov(0, reg(6)),
        EXIT,
        mov(0, Src::Imm(0)),
        EXIT,
    ];
    assert_eq!(run(&correlated), 9);
}

#[test]
fn endless_loops_run_dry() {
    let tight = [mov(0, Src::Imm(0)), Insn::Ja { off: -1 }, EXIT];
    let kind = FaultKind::Fuel { limit: 10_000 };
    let got = fault(&tight, &mut []);
    assert_eq!((got.insn, got.kind), (1, kind.clone()));
    let wide = [
        mov(0, Src::Imm(0)),
        alu(AluOp::Add, W64, 0, Src::Imm(1)),
        jump(Cond::Ge, W64, 0, Src::Imm(0), -2),
        EXIT,
    ];
    assert_eq!(fault(&wide, &mut []).kind, kind);
}

#[test]
fn far_jumps_and_may_goto() {
    let program = [
        mov(0, Src::Imm(1)),
        Insn::Jal { imm: 1 },
        mov(0, Src::Imm(2)),
        EXIT,
    ];
    assert_eq!(run(&program), 1);
    let may = [
        mov(0, Src::Imm(0)),
        Insn::MayGoto { off: 2 },
        alu(AluOp::Add, W64, 0, Src::Imm(1)),
        Insn::Ja { off: -3 },
        EXIT,
    ];
    let options = Options {
        fuel: u64::MAX,
        trace: None,
        ..Options::default()
    };
    assert_eq!(exec(&may, &mut [], options), Ok(0xffff));
}

#[test]
fn local_calls_have_their_own_frames() {
    // f(p) stores 5 through p, has r6 and a stack of its own.
    let program = [
        mov(6, Src::Imm(40)),
        st(Size::DW, 10, -8, Src::Imm(1)),
        mov(1, reg(10)),
        alu(AluOp::Add, W64, 1, Src::Imm(-16)),
        local(4),
        alu(AluOp::Add, W64, 0, reg(6)),
        ld(Size::DW, 3, 10, -16),
        alu(AluOp::Add, W64, 0, reg(3)),
        EXIT,
        st(Size::DW, 10, -8, Src::Imm(99)),
        st(Size::DW, 1, 0, Src::Imm(5)),
        mov(6, Src::Imm(0)),
        mov(0, Src::Imm(2)),
        EXIT,
    ];
    assert_eq!(run(&program), 47);
    let endless = [local(1), EXIT, local(-1), EXIT];
    assert_eq!(fault(&endless, &mut []).kind, FaultKind::CallDepth);
    let stack_of_the_dead = [
        local(2),
        ld(Size::DW, 0, 0, 0),
        EXIT,
        mov(0, reg(10)),
        alu(AluOp::Add, W64, 0, Src::Imm(-8)),
        EXIT,
    ];
    assert!(matches!(
        fault(&stack_of_the_dead, &mut []).kind,
        FaultKind::Memory { .. }
    ));
}

#[test]
fn bpf_loop_and_for_each_call_back() {
    // r0 = turns + sum of indices below 4, which the callback adds up through its context.
    let program = [
        st(Size::DW, 10, -8, Src::Imm(0)),
        mov(1, Src::Imm(10)),
        func(2, 8),
        mov(3, reg(10)),
        alu(AluOp::Add, W64, 3, Src::Imm(-8)),
        mov(4, Src::Imm(0)),
        helper(181),
        ld(Size::DW, 3, 10, -8),
        alu(AluOp::Add, W64, 0, reg(3)),
        EXIT,
        // slot 11: f(index, ctx)
        ld(Size::DW, 3, 2, 0),
        alu(AluOp::Add, W64, 3, reg(1)),
        st(Size::DW, 2, 0, reg(3)),
        mov(0, Src::Imm(0)),
        jump(Cond::Ne, W64, 1, Src::Imm(3), 1),
        mov(0, Src::Imm(1)),
        EXIT,
    ];
    assert_eq!(run(&program), 4 + 6);

    let each = vec![
        st(Size::DW, 10, -8, Src::Imm(0)),
        map(1, 0),
        func(2, 8),
        mov(3, reg(10)),
        alu(AluOp::Add, W64, 3, Src::Imm(-8)),
        mov(4, Src::Imm(0)),
        helper(164),
        ld(Size::DW, 3, 10, -8),
        alu(AluOp::Add, W64, 0, reg(3)),
        EXIT,
        // f(map, key, value, ctx): *ctx += *key + *value
        ld(Size::W, 5, 2, 0),
        ld(Size::DW, 1, 3, 0),
        alu(AluOp::Add, W64, 5, reg(1)),
        ld(Size::DW, 1, 4, 0),
        alu(AluOp::Add, W64, 5, reg(1)),
        st(Size::DW, 4, 0, reg(5)),
        mov(0, Src::Imm(0)),
        EXIT,
    ];
    let mut machine = Machine::new(&object(each, vec![map_spec(MapKind::Hash, 8, 8)])).unwrap();
    for n in [3u32, 4] {
        let value = u64::from(n) * 100;
        let store = machine.map_mut(0).unwrap();
        assert_eq!(store.set(&n.to_ne_bytes(), &value.to_ne_bytes()), 0);
    }
    let got = machine.run(0, &mut World::default(), &[]);
    assert_eq!(got, Ok(2 + 7 + 700));
}

/// Looks up key 0 of map 0, then does what is given with the value's address in `r0`.
fn with_value(then: &[Insn]) -> Vec<Insn> {
    let mut program = vec![
        st(Size::W, 10, -4, Src::Imm(0)),
        map(1, 0),
        mov(2, reg(10)),
        alu(AluOp::Add, W64, 2, Src::Imm(-4)),
        helper(1),
        jump(Cond::Ne, W64, 0, Src::Imm(0), 1),
        EXIT,
    ];
    program.extend_from_slice(then);
    program.push(EXIT);
    program
}

#[test]
fn map_values_have_bounds_of_their_own() {
    let count = [
        ld(Size::DW, 1, 0, 0),
        alu(AluOp::Add, W64, 1, Src::Imm(1)),
        st(Size::DW, 0, 0, reg(1)),
        mov(0, reg(1)),
    ];
    let maps = vec![map_spec(MapKind::PercpuArray, 12, 2)];
    let mut machine = Machine::new(&object(with_value(&count), maps.clone())).unwrap();
    let mut world = World::default();
    assert_eq!(machine.run(0, &mut world, &[]), Ok(1));
    assert_eq!(machine.run(0, &mut world, &[]), Ok(2));
    world.cpu = 3;
    assert_eq!(machine.run(0, &mut world, &[]), Ok(1));
    world.cpu = 4;
    assert!(matches!(
        machine.run(0, &mut world, &[]).unwrap_err().kind,
        FaultKind::NoCpu { cpu: 4, cpus: 4 }
    ));
    let value = machine.map(0).unwrap().get(&[0; 4], 0).unwrap();
    assert_eq!(value[0], 2);
    for (off, good) in [(0, true), (4, true), (5, false), (8, false), (16, false)] {
        let program = with_value(&[ld(Size::DW, 0, 0, off)]);
        let result = run_object(program, maps.clone(), &mut World::default());
        assert_eq!(result.is_ok(), good, "{off}");
    }
}

#[test]
fn the_context_is_read_only() {
    let read = vec![ld(Size::DW, 0, 1, 8), EXIT];
    let seven = 0x0707_0707_0707_0707;
    assert_eq!(run_object(read, vec![], &mut World::default()), Ok(seven));
    let write = vec![st(Size::DW, 1, 8, Src::Imm(0)), mov(0, Src::Imm(0)), EXIT];
    let text = run_object(write, vec![], &mut World::default())
        .unwrap_err()
        .to_string();
    assert!(text.contains("ctx does not allow it"), "{text}");
}

/// Reads a string of 8 bytes at most from `addr` into the stack; gives the answer.
fn read_str(id: u32, addr: u64) -> Vec<Insn> {
    vec![
        st(Size::DW, 10, -8, Src::Imm(-1)),
        mov(1, reg(10)),
        alu(AluOp::Add, W64, 1, Src::Imm(-8)),
        mov(2, Src::Imm(8)),
        big(3, addr),
        helper(id),
        ld(Size::DW, 6, 10, -8),
        map(1, 0),
        mov(2, reg(10)),
        alu(AluOp::Add, W64, 2, Src::Imm(-8)),
        mov(3, Src::Imm(8)),
        mov(4, Src::Imm(0)),
        mov(6, reg(0)),
        helper(130),
        mov(0, reg(6)),
        EXIT,
    ]
}

#[test]
fn strings_come_out_of_user_memory() {
    let maps = vec![map_spec(MapKind::Ringbuf, 0, 4096)];
    for (at, want, bytes) in [
        (0x1000u64, 3i64, *b"hi\0\xff\xff\xff\xff\xff"),
        (0x1003, 8, *b"longest\0"),
        (0x2000, -14, [0; 8]),
        (0x100d, -14, [0; 8]),
    ] {
        let mut world = World::default();
        world.user.map(0x1000, b"hi\0longest-1".to_vec());
        let got = run_object(read_str(114, at), maps.clone(), &mut world);
        assert_eq!(got, Ok(want.cast_unsigned()), "{at:#x}");
        let record = world.records.iter().next().unwrap();
        assert_eq!(record.data, bytes, "{at:#x}");
    }
    // A user address through the kernel's helper: nothing there.
    let mut world = World::default();
    world.user.map(0x1000, b"hi\0".to_vec());
    let got = run_object(read_str(115, 0x1000), maps, &mut world);
    assert_eq!(got, Ok((-14i64).cast_unsigned()));
}

#[test]
fn perf_output_wants_a_32_bit_cpu() {
    let program = |flags: Insn| {
        vec![
            st(Size::DW, 10, -8, Src::Imm(77)),
            map(2, 0),
            flags,
            mov(4, reg(10)),
            alu(AluOp::Add, W64, 4, Src::Imm(-8)),
            mov(5, Src::Imm(8)),
            helper(25),
            EXIT,
        ]
    };
    let maps = vec![map_spec(MapKind::PerfEventArray, 0, 0)];
    let mut world = World::default();
    let good = program(alu(AluOp::Mov, W32, 3, Src::Imm(-1)));
    assert_eq!(run_object(good.clone(), maps.clone(), &mut world), Ok(0));
    assert_eq!(world.records.iter().next().unwrap().data[0], 77);
    let bad = program(mov(3, Src::Imm(-1)));
    let inval = (-22i64).cast_unsigned();
    assert_eq!(run_object(bad, maps.clone(), &mut world), Ok(inval));
    world.ring_limit = 12;
    let full = (-28i64).cast_unsigned();
    assert_eq!(run_object(good, maps, &mut world), Ok(full));
    assert_eq!(world.records.len(), 1);
}

#[test]
fn ring_buffer_records_are_held_until_released() {
    let program = |end: &[Insn]| {
        let mut program = vec![
            map(1, 0),
            mov(2, Src::Imm(8)),
            mov(3, Src::Imm(0)),
            helper(131),
            jump(Cond::Ne, W64, 0, Src::Imm(0), 1),
            EXIT,
            mov(6, reg(0)),
            st(Size::DW, 6, 0, Src::Imm(5)),
        ];
        program.extend_from_slice(end);
        program.extend([mov(0, Src::Imm(1)), EXIT]);
        program
    };
    let submit = [mov(1, reg(6)), mov(2, Src::Imm(0)), helper(132)];
    let maps = || vec![map_spec(MapKind::Ringbuf, 0, 4096)];
    let mut world = World::default();
    assert_eq!(run_object(program(&submit), maps(), &mut world), Ok(1));
    assert_eq!(
        world.records.iter().next().unwrap().data,
        [5, 0, 0, 0, 0, 0, 0, 0]
    );
    let leak = run_object(program(&[]), maps(), &mut world).unwrap_err();
    assert_eq!(leak.kind, FaultKind::HeldRecord);
    let beyond = [st(Size::B, 6, 8, Src::Imm(0))];
    let text = run_object(program(&beyond), maps(), &mut world).unwrap_err();
    assert!(
        text.to_string().contains("past the end of record"),
        "{text}"
    );
    let mut after = submit.to_vec();
    after.push(st(Size::B, 6, 0, Src::Imm(0)));
    let text = run_object(program(&after), maps(), &mut world).unwrap_err();
    assert!(text.to_string().contains("was submitted"), "{text}");
}

#[test]
fn what_is_not_modelled_has_a_name() {
    let table: &[(Insn, &str)] = &[
        (Insn::Jx { dst: r(1) }, "gotox"),
        (helper(6), "helper 6"),
        (
            Insn::Call {
                callee: Callee::Kfunc { id: 3, off: 0 },
            },
            "kernel function",
        ),
        (mov(10, Src::Imm(0)), "read-only"),
        (Insn::Ja { off: 7 }, "slot 8"),
    ];
    for (insn, words) in table {
        let text = supported(&[*insn, EXIT]).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
    let packet = [
        Insn::LoadAbs {
            size: Size::W,
            imm: 0,
        },
        EXIT,
    ];
    let without = Machine::new(&object(packet.to_vec(), vec![]))
        .err()
        .unwrap();
    assert!(
        without.to_string().contains("legacy packet load"),
        "{without}"
    );
    assert_eq!(supported(&[]).unwrap_err().what, What::Empty);
    let off_the_end = supported(&[mov(0, Src::Imm(0))]).unwrap_err();
    assert_eq!(off_the_end.what, What::FallsOff);
    let middle = [Insn::Ja { off: 1 }, big(0, 1), EXIT];
    assert!(matches!(
        supported(&middle).unwrap_err().what,
        What::Target { slot: 2 }
    ));
    let mut long = vec![mov(0, Src::Imm(0)); 40_000];
    long.push(EXIT);
    assert!(matches!(
        supported(&long).unwrap_err().what,
        What::TooLong { .. }
    ));
}

#[test]
fn legacy_packet_loads_are_big_endian_and_end_the_program_past_the_packet() {
    let mut mem = [0x11, 0x22, 0x33, 0x44, 0x55];
    let abs = |size, imm| Insn::LoadAbs { size, imm };
    let ind = |size, src, imm| Insn::LoadInd {
        size,
        src: r(src),
        imm,
    };
    for (load, want) in [
        (abs(Size::B, 4), 0x55),
        (abs(Size::H, 1), 0x2233),
        (abs(Size::W, 1), 0x2233_4455),
        (ind(Size::H, 3, 1), 0x3344),
        (ind(Size::W, 3, -1), 0x1122_3344),
    ] {
        let program = [mov(6, reg(1)), mov(3, Src::Imm(1)), load, EXIT];
        assert_eq!(
            exec(&program, &mut mem, Options::default()),
            Ok(want),
            "{load}"
        );
    }
    for load in [
        abs(Size::W, 2),
        abs(Size::B, 5),
        abs(Size::B, -1),
        ind(Size::B, 3, 4),
    ] {
        let program = [
            mov(6, reg(1)),
            mov(3, Src::Imm(1)),
            mov(0, Src::Imm(7)),
            load,
            mov(0, Src::Imm(9)),
            EXIT,
        ];
        assert_eq!(
            exec(&program, &mut mem, Options::default()),
            Ok(0),
            "{load}"
        );
    }
    let after = [
        mov(6, reg(1)),
        mov(3, Src::Imm(1)),
        abs(Size::B, 0),
        mov(0, reg(3)),
        EXIT,
    ];
    let fault = exec(&after, &mut mem, Options::default()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unset(r(3)));
    // The context has to be in r6, as it came.
    let unset = [abs(Size::B, 0), EXIT];
    let fault = exec(&unset, &mut mem, Options::default()).unwrap_err();
    assert_eq!((fault.insn, fault.kind), (0, FaultKind::Unset(r(6))));
    let other = [
        mov(6, reg(1)),
        alu(AluOp::Add, W64, 6, Src::Imm(1)),
        abs(Size::B, 0),
        EXIT,
    ];
    let fault = exec(&other, &mut mem, Options::default()).unwrap_err();
    assert!(matches!(fault.kind, FaultKind::NoPacket { .. }), "{fault}");
}

#[test]
fn callx_calls_a_helper_or_a_function() {
    let callx = Insn::Callx { dst: r(6) };
    let time = [mov(6, Src::Imm(5)), callx, EXIT];
    assert_eq!(exec(&time, &mut [], Options::default()), Ok(1_000_000_000));
    let function = [
        Insn::LoadImm64 {
            dst: r(6),
            imm: Imm64::Func(4),
        },
        mov(1, Src::Imm(20)),
        callx,
        EXIT,
        mov(0, reg(1)),
        alu(AluOp::Add, W64, 0, Src::Imm(1)),
        EXIT,
    ];
    assert_eq!(exec(&function, &mut [], Options::default()), Ok(21));
    let nothing = [mov(6, Src::Imm(-3)), callx, EXIT];
    let fault = exec(&nothing, &mut [], Options::default()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Callee((-3i64).cast_unsigned()));
}

#[test]
fn a_tail_call_goes_over_to_another_program() {
    let map = Insn::LoadImm64 {
        dst: r(2),
        imm: Imm64::MapIdx(0),
    };
    let programs = || vec![map_spec(MapKind::ProgArray, 4, 4)];
    let tail = |index| [map, mov(3, Src::Imm(index)), helper(12)];
    let falls = |from: i32, value| {
        let mut insns = tail(from).to_vec();
        insns.extend([mov(0, Src::Imm(value)), EXIT]);
        insns
    };
    let target = vec![
        ld(Size::B, 0, 1, 0),
        alu(AluOp::Add, W64, 0, Src::Imm(40)),
        EXIT,
    ];
    let mut from_function = vec![
        Insn::Call {
            callee: Callee::Local(2),
        },
        alu(AluOp::Add, W64, 0, Src::Imm(1000)),
        EXIT,
    ];
    from_function.extend(falls(1, 7));
    let mut spec = object(falls(1, 7), programs());
    for insns in [target, falls(0, 3), from_function] {
        let mut program = spec.programs[0].clone();
        program.insns = insns;
        spec.programs.push(program);
    }
    let mut machine = Machine::new(&spec).unwrap();
    let mut world = World::default();
    // Nothing is there yet: it falls through.
    assert_eq!(machine.run(0, &mut world, &[2]), Ok(7));
    let array = machine.map_mut(0).unwrap();
    assert!(array.set_program(1, 1) && array.set_program(0, 2));
    assert!(!array.set_program(99, 1));
    assert_eq!(machine.run(0, &mut world, &[2]), Ok(42));
    // A program that goes over to itself does so 33 times, then falls through.
    assert_eq!(machine.run(2, &mut world, &[2]), Ok(3));
    // In a function it ends that function alone.
    assert_eq!(machine.run(3, &mut world, &[2]), Ok(1042));
    let mut unset = tail(9).to_vec();
    unset.push(EXIT);
    let fault = run_object(unset, programs(), &mut world).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unset(r(0)));
}

#[test]
fn a_trace_shows_each_instruction_and_what_it_changed() {
    let steps = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&steps);
    let options = Options {
        fuel: 1000,
        trace: Some(Box::new(move |step: &Step| sink.borrow_mut().push(*step))),
        ..Options::default()
    };
    let program = [
        mov(3, Src::Imm(2)),
        mov(0, Src::Imm(0)),
        alu(AluOp::Add, W64, 0, reg(3)),
        alu(AluOp::Sub, W64, 3, Src::Imm(1)),
        jump(Cond::Ne, W64, 3, Src::Imm(0), -3),
        ld(Size::B, 4, 1, 0),
        EXIT,
    ];
    assert_eq!(exec(&program, &mut [6], options), Ok(3));
    let steps = steps.borrow();
    let insns: Vec<usize> = steps.iter().map(|s| s.insn).collect();
    assert_eq!(insns, [0, 1, 2, 3, 4, 2, 3, 4, 5, 6]);
    assert_eq!((steps[0].changed, steps[0].regs[3]), (1 << 3, 2));
    assert_eq!((steps[2].changed, steps[2].regs[0]), (1, 2));
    assert_eq!((steps[8].changed, steps[8].regs[4]), (1 << 4, 6));
    assert_eq!(steps[9].regs[0], 3);
}

/// Tracing changes how code is laid out, not what it does.
#[test]
fn a_traced_negative_compare_is_the_same() {
    let program = [
        mov(9, Src::Imm(-1)),
        mov(0, Src::Imm(1)),
        jump(Cond::Eq, W64, 9, Src::Imm(-1), 1),
        mov(0, Src::Imm(2)),
        EXIT,
    ];
    let options = Options {
        fuel: 1000,
        trace: Some(Box::new(|_| ())),
        ..Options::default()
    };
    assert_eq!(exec(&program, &mut [], options), Ok(1));
}

#[test]
fn a_dry_run_finds_a_missing_null_check() {
    let maps = vec![map_spec(MapKind::Hash, 8, 4)];
    let mut program = with_value(&[ld(Size::DW, 0, 0, 0)]);
    assert_eq!(dry_run(&object(program.clone(), maps.clone())), Ok(()));
    program[5] = Insn::Ja { off: 1 };
    let error = dry_run(&object(program, maps)).unwrap_err().to_string();
    assert_eq!(
        error,
        "dry run of `uprobe:x` with all registers zero: insn 7: load of 8 bytes at 0x0: \
         no memory of this program (null pointer: check it for 0 first)"
    );
}

/// Not a test of right or wrong: `cargo test --release vm::tests::speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    let mut program = vec![mov(6, reg(1))];
    for n in 0i16..12 {
        program.push(ld(Size::DW, 3, 6, n));
        program.push(alu(AluOp::Add, W64, 3, Src::Imm(1)));
        program.push(st(Size::DW, 10, -8 - 8 * n, reg(3)));
        program.extend((0..7).map(|_| alu(AluOp::Xor, W64, 3, Src::Imm(77))));
        program.push(jump(Cond::Eq, W64, 3, Src::Imm(-1), 0));
    }
    program.extend(with_value(&[
        ld(Size::DW, 1, 0, 0),
        alu(AluOp::Add, W64, 1, Src::Imm(1)),
        st(Size::DW, 0, 0, reg(1)),
        mov(0, reg(1)),
    ]));
    let len = program.len();
    let object = object(program, vec![map_spec(MapKind::Hash, 8, 4)]);
    let start = std::time::Instant::now();
    for _ in 0..100 {
        dry_run(&object).unwrap();
    }
    println!("dry run: {:?}", start.elapsed() / 100);
    let mut machine = Machine::new(&object).unwrap();
    assert_eq!(machine.map_mut(0).unwrap().set(&[0; 4], &[0; 8]), 0);
    let mut world = World::default();
    let start = std::time::Instant::now();
    let runs = 300_000;
    for _ in 0..runs {
        machine.run(0, &mut world, &[7; 168]).unwrap();
    }
    let each = start.elapsed() / runs;
    println!("{len} instructions: {each:?} a run");
}
