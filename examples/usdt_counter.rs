//! Counts the hits of a USDT probe with five instructions written by hand.
//!
//! A USDT probe is a `nop` in a program, with a note in the file that says where. The kernel puts a breakpoint on the
//! `nop` and runs our instructions whenever a thread comes by. They add one to a number in a map, which we read.
//!
//! `cargo run --example usdt_counter` (as root): starts this binary once more as the program to be traced.

use baretrace::{
    asm::{AtomicOp, Reg, build::*, disasm},
    by_hand::{Tracer, usdt_probe},
    demo,
    spec::{AttachSpec, MapSpec, Object, ProgramSpec},
};
use std::{
    env,
    process::{Command, Stdio},
};

/// How often the target fires the probe, in words for its command line.
const HITS: &str = "5000";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    if !words.is_empty() {
        return Ok(demo::target::run(&words)?); // this process is the traced program
    }

    // 1. Write. Registers, sizes and distances have types of their own: what has no encoding does not compile.
    let add = AtomicOp::Add { fetch: false };
    let insns = vec![
        // The address of the value in map 0. An address has 64 bits, so this instruction takes two slots of 8 bytes.
        load_map_value(Reg::R1, 0, 0),
        mov64_imm(Reg::R2, 1),
        // Threads on other CPUs count too: load, add and store must be one step.
        atomic64(add, Reg::R1, 0, Reg::R2),
        // Every program returns a number, in r0.
        mov64_imm(Reg::R0, 0),
        exit(),
    ];
    let options = disasm::Options {
        maps: &["hits"],
        ..disasm::Options::default()
    };
    print!("{}", disasm::program(&insns, options));

    // 2. Find the probe in the target's file, and start the target. It waits until somebody watches the probe.
    let path = env::current_exe()?;
    let probe = usdt_probe(&path, "net", "inbound_message")?;
    let options = ["--messages", HITS, "--pause-us", "0"];
    let mut target = Command::new(&path)
        .args(options)
        .args(["--wait-s", "10", "--die-with-parent"])
        .stderr(Stdio::null())
        .spawn()?;

    // 3. Say what is wanted: one map with a value of 8 bytes, one program, and where it runs.
    let place = AttachSpec::usdt(&path, &probe, Some(target.id()));
    let object = Object::by_hand(
        vec![MapSpec::value("hits", 8)],
        vec![ProgramSpec::user_probe("count", insns, place)],
    );

    // 4. Run it here on made-up registers, where a fault costs nothing; load it, which the kernel's verifier allows
    //    only if no path through the program can do harm; attach it. From here on it counts.
    let mut tracer = Tracer::start(&object)?;
    target.wait()?;

    // 5. Read the value.
    println!("{} hits", tracer.value(0)?);
    tracer.stop(|_| ());
    Ok(())
}
