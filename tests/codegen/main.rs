//! Compiled code does what the IR says, and the kernel's verifier takes it.

mod eval;
mod generate;
mod golden;

use std::os::fd::{AsFd, OwnedFd};

use baretrace::{
    asm,
    codegen::{Code, Options, compile},
    ir::{Func, Program},
    spec::Features,
    sys::bpf::{ProgLoad, TestRun, prog_load, test_run},
};
use generate::{INPUT, OUTPUT, Rng};

/// `BPF_PROG_TYPE_SYSCALL`: its context is memory that it may read and write.
const SYSCALL: u32 = 31;
const SLEEPABLE: u32 = 1 << 4;

fn load(code: &Code) -> Result<OwnedFd, String> {
    let bytes = asm::encode(&code.insns).map_err(|e| e.to_string())?;
    let spec = ProgLoad {
        kind: SYSCALL,
        attach_type: 0,
        name: "random",
        insns: &bytes,
        license: c"Dual MIT/GPL",
        flags: SLEEPABLE,
        attach_btf_id: 0,
        btf: None,
    };
    prog_load(&spec, None).map_err(|error| {
        let mut log = vec![0; 1 << 22];
        let _ = prog_load(&spec, Some(&mut log));
        let text = String::from_utf8_lossy(&log);
        // Behind the end there may be what a path wrote that the verifier left again.
        let text = text.split('\0').next().unwrap_or("");
        let tail: String = text.chars().skip(text.len().saturating_sub(3000)).collect();
        format!("{error}\n{tail}")
    })
}

fn allowed() -> bool {
    // Tests that need the kernel say so and pass without rights.
    let root = std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|s| s.lines().any(|l| l.starts_with("Uid:\t0\t")));
    if !root {
        eprintln!("not root: compiled code is not run");
    }
    root
}

fn check(func: &Func, seed: u64, options: &Options) -> usize {
    let program = Program {
        funcs: vec![func.clone()],
    };
    let code = match compile(&program, options) {
        Ok(code) => code,
        Err(error) => panic!("seed {seed}: {error}\n{func}"),
    };
    if !allowed() {
        return code.insns.len();
    }
    let fd = match load(&code) {
        Ok(fd) => fd,
        Err(error) => panic!(
            "seed {seed}, optimize {}: {error}\n{func}",
            options.optimize
        ),
    };
    let mut rng = Rng(seed ^ 0x5555_5555_5555_5555);
    for round in 0..3 {
        let mut want = vec![0u8; INPUT + OUTPUT];
        for byte in &mut want[..INPUT] {
            *byte = match round {
                0 => 0,
                1 => rng.next() as u8 & 3,
                _ => rng.next() as u8,
            };
        }
        let mut got = want.clone();
        let exit = eval::run(func, &mut want);
        let run = TestRun {
            ctx: &mut got,
            ..TestRun::default()
        };
        let (r0, _) = test_run(fd.as_fd(), run).expect("test run");
        assert!(
            got == want && r0 == exit as u32,
            "seed {seed}, optimize {}, v4 {}: {r0:#x} for {:#x}\n{got:x?}\n{want:x?}\n{func}",
            options.optimize,
            options.features.cpu_v4,
            exit as u32,
        );
    }
    code.insns.len()
}

fn options(seed: u64) -> [Options; 2] {
    let mut old = Features::floor();
    old.atomics = true;
    let features = if seed.is_multiple_of(2) {
        Features::all()
    } else {
        old
    };
    let mut plain = Options::new(&features);
    plain.optimize = false;
    [plain, Options::new(&features)]
}

#[test]
fn random_programs_agree_with_the_evaluator() {
    let base: u64 = std::env::var("SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(1);
    let count: u64 = std::env::var("COUNT")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(400);
    let (mut plain, mut optimized) = (0, 0);
    for seed in base..base + count {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let size = 3 + rng.below(50);
        let func = generate::program(&mut rng, size);
        let [a, b] = options(seed);
        plain += check(&func, seed, &a);
        optimized += check(&func, seed, &b);
    }
    println!(
        "seeds {base}..{}: {plain} instructions plain, {optimized} optimized",
        base + count
    );
    assert!(optimized <= plain);
}

/// A script of a thousand map assignments has some 20,000 operations; compiling must stay near-linear.
#[test]
fn long_programs_compile_in_linear_time() {
    use baretrace::{
        asm::{Cond, Size},
        ir::{FuncBuilder, Op, Opnd, Term},
    };
    let make = |count: u32| {
        let mut b = FuncBuilder::new("long");
        for n in 0..count {
            let (key, value) = (b.slot(8, 8), b.slot(8, 8));
            let ctx = b.vreg();
            b.push(Op::Ctx { dst: ctx });
            let arg = b.load(Size::DW, ctx, (n % 20 * 8) as i16);
            let sum = b.alu(asm::AluOp::Add, arg, i64::from(n));
            let map = b.vreg();
            b.push(Op::Map { dst: map, map: n });
            let (k, v) = (b.vreg(), b.vreg());
            b.push(Op::Slot {
                dst: k,
                slot: key,
                off: 0,
            });
            b.push(Op::Slot {
                dst: v,
                slot: value,
                off: 0,
            });
            b.store(Size::DW, k, 0, i64::from(n));
            b.store(Size::DW, v, 0, sum);
            let args = [Opnd::Reg(map), Opnd::Reg(k), Opnd::Reg(v), Opnd::Imm(0)];
            let failed = b.call(2, &args);
            let (bad, next) = (b.block(), b.block());
            b.branch(Cond::Ne, failed, 0, bad, next);
            b.switch_to(bad);
            let scratch = b.vreg();
            b.push(Op::MapValue {
                dst: scratch,
                map: 5000,
                off: 8 * (n % 3),
            });
            let old = b.load(Size::DW, scratch, 0);
            let new = b.alu(asm::AluOp::Add, old, 1);
            b.store(Size::DW, scratch, 0, new);
            b.end(Term::Goto(next));
            b.switch_to(next);
        }
        b.end(Term::Exit(Opnd::Imm(0)));
        Program {
            funcs: vec![b.finish()],
        }
    };
    let time = |count| {
        let program = make(count);
        let start = std::time::Instant::now();
        let code = compile(&program, &Options::new(&Features::all())).expect("compiles");
        println!("{count} assignments: {} instructions", code.insns.len());
        start.elapsed()
    };
    let (small, large) = (time(250), time(1000));
    println!("{small:?} for 250, {large:?} for 1000");
    assert!(large < small * 16, "{small:?} for 250, {large:?} for 1000");
}

/// A predicate that jumps over more than 32,767 slots takes a 32-bit jump, and is refused where there is none.
#[test]
fn far_jumps() {
    use baretrace::{
        asm::{Cond, Insn, Size},
        codegen::CodegenError,
        ir::{FuncBuilder, Op, Opnd, Term},
    };
    let mut b = FuncBuilder::new("far");
    let ctx = b.vreg();
    b.push(Op::Ctx { dst: ctx });
    let arg = b.load(Size::DW, ctx, 0);
    let (work, done) = (b.block(), b.block());
    b.branch(Cond::Eq, arg, 1, work, done);
    b.switch_to(work);
    for n in 0..40_000 {
        b.store(Size::DW, ctx, 64, n);
    }
    b.end(Term::Exit(Opnd::Imm(5)));
    b.switch_to(done);
    b.end(Term::Exit(Opnd::Imm(7)));
    let func = b.finish();
    let program = Program {
        funcs: vec![func.clone()],
    };
    let code = compile(&program, &Options::new(&Features::all())).expect("compiles");
    assert!(code.insns.iter().any(|i| matches!(i, Insn::Jal { .. })));
    check(&func, 0, &Options::new(&Features::all()));
    let refused = compile(&program, &Options::new(&Features::floor()));
    assert!(
        matches!(refused, Err(CodegenError::TooFar { .. })),
        "{:?}",
        refused.map(|c| c.insns.len())
    );
}
