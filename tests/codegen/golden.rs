//! Listings of small programs, to be read.

use baretrace::{
    asm::{AluOp, Cond, Size, disasm},
    codegen::{Options, compile},
    ir::{Func, FuncBuilder, FuncId, Op, Opnd, Program, SlotId, Term},
    spec::Features,
};

/// A callback follows the entry, which refers to it by distance; its arguments arrive in r1 to r4.
#[test]
fn callback_after_the_entry() {
    let mut b = FuncBuilder::new("entry");
    let callback = b.vreg();
    b.push(Op::FuncAddr {
        dst: callback,
        func: FuncId(1),
    });
    let (total, at) = (b.slot(8, 8), b.vreg());
    b.push(Op::Slot {
        dst: at,
        slot: total,
        off: 0,
    });
    b.store(Size::DW, at, 0, 0);
    let args = [
        Opnd::Imm(10),
        Opnd::Reg(callback),
        Opnd::Reg(at),
        Opnd::Imm(0),
    ];
    b.call(181, &args);
    let sum = b.load(Size::DW, at, 0);
    b.end(Term::Exit(Opnd::Reg(sum)));
    let mut c = FuncBuilder::new("each");
    let (index, total) = (c.vreg(), c.vreg());
    for (dst, index) in [(index, 0), (total, 1)] {
        c.push(Op::Arg { dst, index });
    }
    let old = c.load(Size::DW, total, 0);
    let new = c.alu(AluOp::Add, old, index);
    c.store(Size::DW, total, 0, new);
    c.end(Term::Exit(Opnd::Imm(0)));
    let want = [
        "  *(u64 *)(r10 -8) = 0",
        "  r1 = 10",
        "  r2 = subprog[func1]",
        "  r3 = r10",
        "  r3 += -8",
        "  r4 = 0",
        "  call bpf_loop#181",
        "  r0 = *(u64 *)(r10 -8)",
        "  exit",
        "func1:",
        "  r3 = *(u64 *)(r2 +0)",
        "  r3 += r1",
        "  *(u64 *)(r2 +0) = r3",
        "  r0 = 0",
        "  exit",
        "",
    ]
    .join("\n");
    assert_eq!(text(vec![b.finish(), c.finish()]), want);
}

/// What does not fit the stack is refused with the bytes it needs.
#[test]
fn too_big_a_frame() {
    let mut b = FuncBuilder::new("big");
    for size in [400, 200] {
        let (slot, at) = (b.slot(size, 8), b.vreg());
        b.push(Op::Slot {
            dst: at,
            slot,
            off: 0,
        });
        let args = [Opnd::Reg(at), Opnd::Imm(i64::from(size))];
        b.call(16, &args);
        if size == 400 {
            // Both in use at once.
            continue;
        }
        let other = b.vreg();
        b.push(Op::Slot {
            dst: other,
            slot: SlotId(0),
            off: 0,
        });
        let value = b.load(Size::DW, other, 0);
        b.store(Size::DW, at, 0, value);
        b.call(16, &args);
    }
    let program = Program {
        funcs: vec![b.finish()],
    };
    let error = compile(&program, &Options::new(&Features::all())).expect_err("too big");
    assert_eq!(
        error.to_string(),
        "laying out the stack of big: 600 bytes needed, the kernel allows 512"
    );
}

fn text(funcs: Vec<Func>) -> String {
    let code = compile(&Program { funcs }, &Options::new(&Features::all())).expect("compiles");
    disasm::program(&code.insns, disasm::Options::default())
}

fn listing(b: FuncBuilder) -> String {
    text(vec![b.finish()])
}

/// `@[pid] = count()`: look up, count, or insert.
#[test]
fn counting_by_key() {
    let mut b = FuncBuilder::new("count");
    let key = b.slot(8, 8);
    let value = b.slot(8, 8);
    let pid = b.call(14, &[]);
    let pid = b.alu(AluOp::Rsh, pid, 32);
    let at = b.vreg();
    b.push(Op::Slot {
        dst: at,
        slot: key,
        off: 0,
    });
    b.store(Size::DW, at, 0, 0);
    b.store(Size::DW, at, 0, pid);
    let map = b.vreg();
    b.push(Op::Map { dst: map, map: 0 });
    let found = b.call(1, &[Opnd::Reg(map), Opnd::Reg(at)]);
    let (hit, miss, done) = (b.block(), b.block(), b.block());
    b.branch(Cond::Ne, found, 0, hit, miss);
    b.switch_to(hit);
    let old = b.load(Size::DW, found, 0);
    let new = b.alu(AluOp::Add, old, 1);
    b.store(Size::DW, found, 0, new);
    b.end(Term::Goto(done));
    b.switch_to(miss);
    let one = b.vreg();
    b.push(Op::Slot {
        dst: one,
        slot: value,
        off: 0,
    });
    b.store(Size::DW, one, 0, 1);
    b.call(
        2,
        &[Opnd::Reg(map), Opnd::Reg(at), Opnd::Reg(one), Opnd::Imm(1)],
    );
    b.end(Term::Goto(done));
    b.switch_to(done);
    b.end(Term::Exit(Opnd::Imm(0)));
    let want = [
        "  call bpf_get_current_pid_tgid#14",
        "  r0 >>= 32",
        "  *(u64 *)(r10 -8) = r0",
        "  r1 = map[idx:0]",
        "  r2 = r10",
        "  r2 += -8",
        "  call bpf_map_lookup_elem#1",
        "  if r0 == 0x0 goto L1",
        "  r1 = *(u64 *)(r0 +0)",
        "  r1 += 1",
        "  *(u64 *)(r0 +0) = r1",
        "  goto L2",
        "L1:",
        "  *(u64 *)(r10 -16) = 1",
        "  r1 = map[idx:0]",
        "  r2 = r10",
        "  r2 += -8",
        "  r3 = r10",
        "  r3 += -16",
        "  r4 = 1",
        "  call bpf_map_update_elem#2",
        "L2:",
        "  r0 = 0",
        "  exit",
        "",
    ]
    .join("\n");
    assert_eq!(listing(b), want);
}

/// A record with three fields of the context, put out from a scratch map; one field is read twice.
#[test]
fn record_of_context_fields() {
    let mut b = FuncBuilder::new("record");
    let ctx = b.vreg();
    b.push(Op::Ctx { dst: ctx });
    let len = b.load(Size::DW, ctx, 72);
    let (work, done) = (b.block(), b.block());
    b.branch(Cond::Gt, len, 100, work, done);
    b.switch_to(work);
    let scratch = b.vreg();
    b.push(Op::MapValue {
        dst: scratch,
        map: 1,
        off: 0,
    });
    b.store(Size::W, scratch, 0, 7);
    b.store(Size::W, scratch, 4, 0);
    let time = b.call(5, &[]);
    b.store(Size::DW, scratch, 8, time);
    let id = b.load(Size::DW, ctx, 112);
    b.store(Size::DW, scratch, 16, id);
    let again = b.vreg();
    b.push(Op::Ctx { dst: again });
    let len = b.load(Size::DW, again, 72);
    let low = b.vreg();
    b.push(Op::Ext {
        dst: low,
        src: Opnd::Reg(len),
        from: Size::W,
        signed: false,
    });
    b.store(Size::W, scratch, 24, low);
    let text = b.load(Size::DW, ctx, 104);
    let to = b.alu(AluOp::Add, scratch, 28);
    b.call(114, &[Opnd::Reg(to), Opnd::Imm(64), Opnd::Reg(text)]);
    let map = b.vreg();
    b.push(Op::Map { dst: map, map: 0 });
    b.call(
        25,
        &[
            Opnd::Reg(again),
            Opnd::Reg(map),
            Opnd::Imm(0xffff_ffff),
            Opnd::Reg(scratch),
            Opnd::Imm(92),
        ],
    );
    b.end(Term::Goto(done));
    b.switch_to(done);
    b.end(Term::Exit(Opnd::Imm(0)));
    let want = [
        "  r7 = r1",
        "  r8 = *(u64 *)(r7 +72)",
        "  if r8 <= 0x64 goto L1",
        "  r6 = map[idx:1][0]+0",
        "  *(u64 *)(r6 +0) = 7",
        "  call bpf_ktime_get_ns#5",
        "  *(u64 *)(r6 +8) = r0",
        "  r1 = *(u64 *)(r7 +112)",
        "  *(u64 *)(r6 +16) = r1",
        "  *(u32 *)(r6 +24) = r8",
        "  r3 = *(u64 *)(r7 +104)",
        "  r1 = r6",
        "  r1 += 28",
        "  r2 = 64",
        "  call bpf_probe_read_user_str#114",
        "  r1 = r7",
        "  r4 = r6",
        "  r2 = map[idx:0]",
        "  w3 = -1",
        "  r5 = 92",
        "  call bpf_perf_event_output#25",
        "L1:",
        "  r0 = 0",
        "  exit",
        "",
    ]
    .join("\n");
    assert_eq!(listing(b), want);
}
