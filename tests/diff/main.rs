//! The same random programs on the machine, on a direct evaluator of RFC 9669, and in the kernel: same registers and memory.
//!
//! `BARETRACE_DIFF_COUNT` programs (default 300) from `BARETRACE_DIFF_SEED` on. Without the right to load programs the
//! kernel's part is left out, and said so.
//!
//! A long run meets programs of which 6.18 itself makes something else: [`known`] says why and tells them from others.
//! `BARETRACE_DIFF_REDUCE` shows what is left of such a program when all is taken away that the difference does not need.

mod eval;
mod generate;
mod kernel;
mod known;
mod reduce;

use std::collections::BTreeMap;

use baretrace::asm::{
    Insn, Reg, Size,
    build::{exit, mov64, mov64_imm},
    encode,
};
use baretrace::vm::{Options, exec};

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

fn listing(insns: &[Insn]) -> String {
    insns
        .iter()
        .enumerate()
        .map(|(at, insn)| format!("{at:4}: {insn:?}\n"))
        .collect()
}

#[test]
fn machine_evaluator_and_kernel_agree() {
    let count = number("BARETRACE_DIFF_COUNT", 300);
    let first = number("BARETRACE_DIFF_SEED", 1);
    let kernel = kernel::available();
    if let Err(why) = &kernel {
        println!("without the kernel: {why}");
    }
    let (mut in_kernel, mut refused) = (0u64, 0u64);
    let mut insns_run = 0usize;
    let mut differ = Vec::new();
    let mut faults: BTreeMap<known::Fault, Vec<u64>> = BTreeMap::new();
    for seed in first..first + count {
        let (insns, input) = generate::program(seed);
        insns_run += insns.len();
        let mut want_mem = input.clone();
        let want = eval::run(&insns, &mut want_mem);

        let mut mem = input.clone();
        let got = exec(&insns, &mut mem, Options::default())
            .unwrap_or_else(|fault| panic!("seed {seed}: {fault}\n{}", listing(&insns)));
        assert_eq!(got, want, "seed {seed}: r0\n{}", listing(&insns));
        assert_eq!(mem, want_mem, "seed {seed}: memory\n{}", listing(&insns));

        if kernel.is_err() {
            continue;
        }
        let in_kernel_same = |insns: &[Insn]| {
            let mut mem = input.clone();
            let low = kernel::run(&encode(insns).unwrap(), &mut mem)?;
            Ok::<_, String>(u64::from(low) == want & 0xffff_ffff && mem == want_mem)
        };
        match in_kernel_same(&insns) {
            Ok(true) => in_kernel += 1,
            Ok(false) => {
                in_kernel += 1;
                let same_without = |fault: &known::Fault| {
                    let other = fault.avoided(&insns)?;
                    in_kernel_same(&other).ok().filter(|same| *same)
                };
                match known::Fault::ALL
                    .into_iter()
                    .find(|f| same_without(f).is_some())
                {
                    Some(fault) => faults.entry(fault).or_default().push(seed),
                    None => differ.push(seed),
                }
            }
            Err(why) => {
                refused += 1;
                println!("seed {seed}: the kernel refuses: {why}");
            }
        }
    }
    println!(
        "{count} programs, {insns_run} instructions; {in_kernel} also in the kernel, {refused} refused by it"
    );
    for (fault, seeds) in &faults {
        println!("{} by {fault:?} in the kernel: {seeds:?}", seeds.len());
    }
    assert!(
        differ.is_empty(),
        "machine and evaluator agree with each other but not with the kernel: seeds {differ:?}"
    );
    assert!(
        refused * 20 <= count,
        "{refused} of {count} programs refused by the kernel: the generator is off"
    );
}

#[test]
fn legacy_packet_loads_agree_with_the_kernel() {
    if let Err(why) = kernel::available() {
        println!("skipped: {why}");
        return;
    }
    let packet: Vec<u8> = (0x80..0xc0).collect();
    let mut ran = 0;
    for size in [Size::B, Size::H, Size::W] {
        for imm in [0, 1, 13, 60, 61, 62, 63, 64, -1, -70] {
            let src = Reg::R7;
            for load in [
                Insn::LoadAbs { size, imm },
                Insn::LoadInd { size, src, imm },
            ] {
                let insns = [
                    mov64(Reg::R6, Reg::R1),
                    mov64_imm(Reg::R7, 3),
                    mov64_imm(Reg::R0, 5),
                    load,
                    exit(),
                ];
                let ours = exec(&insns, &mut packet.clone(), Options::default()).unwrap();
                // Constant offsets below 0 name headers there, which a packet of `exec` has not.
                if imm >= 0 || matches!(load, Insn::LoadInd { .. }) {
                    let theirs = kernel::run_on_packet(&encode(&insns).unwrap(), &packet);
                    assert_eq!(ours, u64::from(theirs.unwrap()), "{load}");
                    ran += 1;
                }
            }
        }
    }
    assert_eq!(ran, 54);
}

/// See the head of this file.
#[test]
fn reduce_a_difference() {
    let seed = number("BARETRACE_DIFF_REDUCE", 0);
    if seed == 0 || kernel::available().is_err() {
        return;
    }
    let (insns, input) = generate::program(seed);
    let differs = |insns: &[Insn]| {
        let mut here = input.clone();
        let Ok(ours) = exec(insns, &mut here, Options::default()) else {
            return false;
        };
        let mut there = input.clone();
        let low = encode(insns)
            .ok()
            .map(|bytes| kernel::run(&bytes, &mut there));
        matches!(low, Some(Ok(low)) if u64::from(low) != ours & 0xffff_ffff || there != here)
    };
    assert!(differs(&insns), "seed {seed}: no difference");
    for (at, insn) in reduce::reduce(&insns, &differs).iter().enumerate() {
        if *insn != (Insn::Ja { off: 0 }) {
            println!("{at:4}: {insn}");
        }
    }
}
