//! The checker's verdict against the kernel's, over written, random and changed programs.

#[path = "../codegen/generate.rs"]
mod compiled;
mod context;
mod generate;
mod kernel;
mod kfuncs;
mod packets;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
};

use baretrace::{
    asm::{Insn, helper::ProgType},
    check::{Env, program},
    codegen::{Options, compile},
    explain,
    ir::Program,
    spec::{Features, MapSpec},
};
use generate::Rng;
use kernel::Judge;

#[derive(Default)]
struct Tally {
    both_accept: usize,
    both_refuse: usize,
    not_modelled: usize,
    false_refusals: BTreeMap<String, usize>,
    false_accepts: BTreeMap<String, usize>,
    shown: Vec<String>,
    /// What the kernel said that `explain` has no row for.
    unexplained: BTreeSet<String>,
}

impl Tally {
    fn add(&mut self, judge: &Judge, maps: &[MapSpec], insns: &[Insn], kind: ProgType, tag: &str) {
        let mut env = Env::new(kind, maps);
        env.kfunc = baretrace::kernel::kfuncs::by_id;
        let ours = program(insns, &env);
        let theirs = judge.verdict(insns, kind, env.sleepable, true);
        if let Err(said) = &theirs
            && explain::message(said).is_none()
        {
            self.unexplained.insert(said.clone());
        }
        match (ours, theirs) {
            (Ok(_), Ok(())) => self.both_accept += 1,
            (Err(_), Err(_)) => self.both_refuse += 1,
            (Err(e), Ok(())) if e.what.is_not_modelled() => self.not_modelled += 1,
            (Err(e), Ok(())) => {
                let reason = e.what.to_string();
                *self.false_refusals.entry(reason).or_default() += 1;
                self.show(tag, insns, &format!("refused here alone: {e}"));
            }
            (Ok(_), Err(log)) => {
                *self.false_accepts.entry(log.clone()).or_default() += 1;
                self.show(tag, insns, &format!("accepted here alone: {log}"));
            }
        }
    }

    fn show(&mut self, tag: &str, insns: &[Insn], why: &str) {
        if self.shown.len() < 12 {
            let mut text = format!("--- {tag}: {why}\n");
            for (at, insn) in insns.iter().enumerate() {
                text += &format!("{at:4}: {insn}\n");
            }
            self.shown.push(text);
        }
    }

    fn finish(&self, what: &str) {
        let total = self.both_accept + self.both_refuse + self.not_modelled;
        let refused: usize = self.false_refusals.values().sum();
        let accepted: usize = self.false_accepts.values().sum();
        println!(
            "{what}: {} programs; both accept {}, both refuse {}, not modelled {}, refused here alone {refused}, \
             accepted here alone {accepted}",
            total + refused + accepted,
            self.both_accept,
            self.both_refuse,
            self.not_modelled
        );
        for (reason, count) in &self.false_refusals {
            println!("  refused here alone {count}: {reason}");
        }
        for (reason, count) in &self.false_accepts {
            println!("  accepted here alone {count}: {reason}");
        }
        if env::var_os("SHOW").is_some() || accepted > 0 {
            self.shown.iter().for_each(|text| println!("{text}"));
        }
        for said in &self.unexplained {
            println!("  not explained: {said}");
        }
        assert!(
            self.unexplained.is_empty(),
            "refusals that `explain` does not know"
        );
        assert_eq!(accepted, 0, "programs accepted that the kernel refuses");
    }
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name)
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(default)
}

fn rng(seed: u64) -> Rng {
    Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
}

#[test]
fn random_programs() {
    let maps = kernel::specs();
    let Some(judge) = Judge::new(&maps) else {
        return;
    };
    let (base, count) = (number("SEED", 1), number("COUNT", 200));
    let mut tally = Tally::default();
    for seed in base..base + count {
        let mut rng = rng(seed);
        let mut insns = generate::program(&mut rng, maps.len() as u64);
        if rng.below(3) == 0 {
            generate::mutate(&mut rng, &mut insns, maps.len() as u64);
        }
        let kind = rng.pick(&[
            ProgType::SocketFilter,
            ProgType::Kprobe,
            ProgType::Kprobe,
            ProgType::RawTracepoint,
        ]);
        tally.add(
            &judge,
            &maps,
            &insns,
            kind,
            &format!("seed {seed} {kind:?}"),
        );
    }
    tally.finish("random");
}

/// A compiled program.
fn compiled_program(seed: u64) -> Vec<Insn> {
    let mut rng = compiled::Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let size = 3 + rng.below(50);
    let func = compiled::program(&mut rng, size);
    let mut features = Features::floor();
    features.atomics = true;
    let mut options = Options::new(&features);
    options.optimize = !seed.is_multiple_of(3);
    let program = Program { funcs: vec![func] };
    compile(&program, &options).expect("compile").insns
}

#[test]
fn compiled_programs_and_changed_ones() {
    let maps = kernel::specs();
    let Some(judge) = Judge::new(&maps) else {
        return;
    };
    // Five seeds that the code generator is known to finish; others are asked for by SEED and COUNT.
    let (base, count) = (number("SEED", 10), number("COUNT", 5));
    let (mut good, mut changed) = (Tally::default(), Tally::default());
    for seed in base..base + count {
        let mut insns = compiled_program(seed);
        let tag = format!("seed {seed}");
        good.add(&judge, &maps, &insns, ProgType::Syscall, &tag);
        let right = insns.clone();
        let mut rng = rng(seed);
        for _ in 0..20 {
            insns.clone_from(&right);
            generate::mutate(&mut rng, &mut insns, maps.len() as u64);
            changed.add(&judge, &maps, &insns, ProgType::Syscall, &tag);
        }
    }
    changed.finish("changed");
    good.finish("compiled");
    assert!(
        good.false_refusals.is_empty(),
        "compiled programs are refused"
    );
    assert_eq!(good.both_refuse, 0);
}

/// Programs on packets and with kernel functions, each changed in a few ways.
#[test]
fn changed_programs_of_tables() {
    let maps = packets::specs();
    let Some(judge) = Judge::new(&maps) else {
        return;
    };
    let (base, count) = (number("SEED", 1), number("COUNT", 2));
    let mut tally = Tally::default();
    let programs = packets::programs().into_iter().chain(kfuncs::programs());
    for (at, (kind, right)) in programs.enumerate() {
        for seed in base..base + count {
            let mut rng = rng(seed * 1000 + at as u64);
            let mut insns = right.clone();
            if rng.below(4) == 0 {
                generate::mutate(&mut rng, &mut insns, maps.len() as u64);
            } else {
                generate::nudge(&mut rng, &mut insns);
            }
            let tag = format!("row {at} seed {seed} {kind:?}");
            tally.add(&judge, &maps, &insns, kind, &tag);
        }
    }
    tally.finish("tables, changed");
}

/// Branches on unknown numbers that come together again, with numbers that differ: 4,096 instructions.
#[test]
fn a_branchy_program_is_checked_in_time() {
    use baretrace::asm::{Cond, Reg, build::*};
    let mut insns = vec![mov64_imm(Reg::R6, 0)];
    while insns.len() < 4094 {
        insns.push(call(7));
        insns.push(jump_if(Cond::Gt, Reg::R0, 5, 1));
        insns.push(add64_imm(Reg::R6, 1));
    }
    insns.extend([mov64_imm(Reg::R0, 0), exit()]);
    let start = std::time::Instant::now();
    let report = program(&insns, &Env::new(ProgType::Kprobe, &[])).expect("accepted");
    println!("{} insns, {report:?} in {:?}", insns.len(), start.elapsed());
    assert!(report.processed < 20_000, "{}", report.processed);
}
