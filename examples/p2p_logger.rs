//! Logs the P2P messages that a node sends: a program written by hand copies what it sees into a ring.
//!
//! The probe `net:outbound_message` has six arguments: peer, address, connection type, message type, size, bytes. The
//! note in the file says in which registers they are, and the program gets the registers in `r1`, as `struct pt_regs`.
//!
//! `cargo run --example p2p_logger` (as root). Read `usdt_counter` first: it explains what both have in common.

use baretrace::asm::{Assembler, Cond, Insn, Reg, Size::DW, Width, build::*, disasm};
use baretrace::by_hand::{Tracer, usdt_probe};
use baretrace::demo;
use baretrace::spec::{AttachSpec, MapSpec, Object, ProgramSpec, UsdtProbe};
use std::process::{Command, Stdio};
use std::{env, error::Error, thread::sleep, time::Duration};

/// The record, at the end of the stack: peer (8 bytes), size (8), message type (16).
const RECORD: i16 = -32;
const TYPE: i16 = RECORD + 16;

fn program(probe: &UsdtProbe) -> Result<Vec<Insn>, Box<dyn Error>> {
    let arg = |n| probe.register(n).ok_or("argument in no register");
    let helper = |name| call_named(name).ok_or("no helper of that name");
    let mut a = Assembler::new();
    let out = a.label();
    // Helpers take their arguments in r1 to r5 and leave nothing there; r6 to r9 they keep.
    a.emit(mov64(Reg::R6, Reg::R1));
    a.emit(load(DW, Reg::R7, Reg::R6, arg(4)?)); // the size
    a.jump_if(Cond::Eq, Width::W64, Reg::R7, 0, out); // messages without content are not logged
    a.emit(store(DW, Reg::R10, RECORD + 8, Reg::R7));
    a.emit(load(DW, Reg::R7, Reg::R6, arg(0)?)); // the peer
    a.emit(store(DW, Reg::R10, RECORD, Reg::R7));
    // All that is sent must have been written, even what the string below will not reach.
    a.emit(store(DW, Reg::R10, TYPE, 0));
    a.emit(store(DW, Reg::R10, TYPE + 8, 0));
    // The type is a string in the node's memory, where a program may look only through a helper:
    // probe_read_user_str(to, at most, from).
    a.emit(mov64(Reg::R1, Reg::R10));
    a.emit(add64_imm(Reg::R1, TYPE.into()));
    a.emit(mov64_imm(Reg::R2, 16));
    a.emit(load(DW, Reg::R3, Reg::R6, arg(3)?));
    a.emit(helper("probe_read_user_str")?);
    // perf_event_output(context, ring, this CPU's, from, how much); the ring is map 0.
    a.emit(mov64(Reg::R1, Reg::R6));
    a.emit(load_map(Reg::R2, 0));
    a.emit(mov32_imm(Reg::R3, -1));
    a.emit(mov64(Reg::R4, Reg::R10));
    a.emit(add64_imm(Reg::R4, RECORD.into()));
    a.emit(mov64_imm(Reg::R5, (-RECORD).into()));
    a.emit(helper("perf_event_output")?);
    a.bind(out);
    a.emit(mov64_imm(Reg::R0, 0));
    a.emit(exit());
    Ok(a.finish()?.0) // here labels become distances
}

/// Prints a record; the same layout, read from the other side.
fn show(record: &[u8]) {
    let Some((numbers, text)) = record.split_at_checked(16) else {
        return;
    };
    let word = |at: usize| numbers[at..at + 8].iter().rev();
    let [peer, size] = [0, 8].map(|at| word(at).fold(0, |n: u64, b| n << 8 | u64::from(*b)));
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    println!("to peer {peer}: {text:<11} {size:>6} bytes");
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    if !words.is_empty() {
        return Ok(demo::target::run(&words)?); // this process is the node
    }
    let path = env::current_exe()?;
    let probe = usdt_probe(&path, "net", "outbound_message")?;
    let insns = program(&probe)?;
    print!("{}", disasm::program(&insns, disasm::Options::default()));
    // The node holds still until its standard input ends.
    let options = "--hold --rounds 2 --pause-us 1000 --die-with-parent";
    let mut node = Command::new(&path);
    let node = node.args(options.split(' ')).stdin(Stdio::piped());
    let mut node = node.spawn()?;
    let place = AttachSpec::usdt(&path, &probe, Some(node.id()));
    let log = ProgramSpec::user_probe("log", insns, place);
    let object = Object::by_hand(vec![MapSpec::perf_ring("ring")], vec![log]);
    let mut tracer = Tracer::start(&object)?;
    drop(node.stdin.take());
    while node.try_wait()?.is_none() {
        tracer.read(show);
        sleep(Duration::from_millis(20));
    }
    println!("{} lost", tracer.stop(show));
    Ok(())
}
