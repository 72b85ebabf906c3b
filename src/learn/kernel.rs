//! bpf(2), the perf ring, and a script on its way.

use super::{Machine, Page, hex, number};
use crate::{
    asm::{Reg, Size, build::*, disasm},
    kernel::cpus,
    loader::{self, LoadOptions},
    runtime::attach,
    session::{Options, Script, Session, Stage, emit},
    spec::{AttachSpec, MapSpec, Object, ProgramKind, ProgramSpec},
    sys::{bpf, mmap::PerfMap, perf, trace},
};
use std::{
    fmt::Write,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
};

/// What calls were made while somebody watches.
static CALLS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn calls() -> Vec<String> {
    std::mem::take(&mut *CALLS.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(super) fn syscall(machine: Machine) -> Result<Page, String> {
    trace::start(|line| {
        CALLS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.to_owned());
    });
    calls();
    let insns = vec![mov64_imm(Reg::R0, 42), exit()];
    let ran = loader::exec(&insns, &[], &mut []);
    if ran.is_err() {
        // It got no further than the map that the answer comes back in: what a load is given is shown all the same.
        let mut program = ProgramSpec::user_probe("answer", insns, AttachSpec::Begin);
        program.kind = ProgramKind::RawTracepoint;
        let object = Object::by_hand(Vec::new(), vec![program]);
        let _refused = loader::load(&object, &LoadOptions::default());
    }
    let mut text = String::from(
        "One system call does it all: bpf(cmd, attr, size). To run `r0 = 42; exit`\nthis process just made these:\n\n",
    );
    for call in calls() {
        for line in call.lines() {
            for part in wrapped(line) {
                let _ = writeln!(text, "{part}");
            }
        }
    }
    match ran {
        Ok(r0) => {
            let _ = writeln!(text, "\nThe program returned {r0}.");
        }
        Err(err) if machine.kernel => return Err(err.to_string()),
        Err(err) => {
            let _ = writeln!(
                text,
                "\nThe kernel said no: {err}.\nIt takes CAP_BPF; the fields are the same."
            );
        }
    }
    text.push_str(
        "\n`insns` is an address in this process, from which the kernel copies\n8 * `insn_cnt` bytes. Fields that a command does not use must be zero. Any\nrun shows its calls with --trace-syscalls.\n",
    );
    Ok(Page {
        text,
        question: "A program has 3 instructions of 8 bytes and one `ld_imm64`.\nWhat is insn_cnt?"
            .to_owned(),
        hints: vec![
            "insn_cnt counts slots of 8 bytes".to_owned(),
            "`ld_imm64` takes two".to_owned(),
        ],
        solution: "5: three slots, and two for the 64-bit number".to_owned(),
        answer: "5".to_owned(),
        judge: number(5),
    })
}

/// A line of a call in pieces of 78 columns: the call itself, or a field with its value in a column of its own.
fn wrapped(line: &str) -> Vec<String> {
    /// Where values stand.
    const COLUMN: usize = 25;
    let field = line.trim_start();
    let (mut last, column) = match field.split_once(' ') {
        Some((name, value)) if field.len() < line.len() => {
            let last = format!("      {name:<18} ");
            (last, Some(value))
        }
        _ => (String::from("  "), None),
    };
    let mut out = Vec::new();
    for word in column.unwrap_or(field).split_whitespace() {
        if last.chars().count() + word.chars().count() > 77 {
            out.push(last.trim_end().to_owned());
            last = " ".repeat(COLUMN);
        }
        last.push_str(word);
        last.push(' ');
    }
    out.push(last.trim_end().to_owned());
    out
}

/// Bytes of the records of the lesson: header 8, time 8, size 4, data 8, padding 4.
const RECORD: u64 = 32;

pub(super) fn ring(machine: Machine) -> Result<Page, String> {
    let mut text = String::from(
        "A perf ring is memory that kernel and reader share: a page of words, then\n\
         data. `data_head` counts the bytes that the kernel ever wrote, `data_tail`\n\
         those that the reader gave back; both only grow.\n\n",
    );
    let mut size = RECORD;
    if machine.kernel {
        let insns = vec![
            store(Size::DW, Reg::R10, -8, 7),
            load_map(Reg::R2, 0),
            mov32_imm(Reg::R3, -1),
            mov64(Reg::R4, Reg::R10),
            add64_imm(Reg::R4, -8),
            mov64_imm(Reg::R5, 8),
            call(25),
            exit(),
        ];
        let mut program = ProgramSpec::user_probe("send", insns, AttachSpec::Begin);
        program.kind = ProgramKind::RawTracepoint;
        let object = Object::by_hand(vec![MapSpec::perf_ring("ring")], vec![program]);
        let fail = |err: std::io::Error| err.to_string();
        let loaded =
            loader::load(&object, &LoadOptions::default()).map_err(|err| err.to_string())?;
        let mut rings = Vec::new();
        for cpu in cpus::online().map_err(fail)? {
            let event = perf::open_bpf_output(cpu, 1 << 12, true).map_err(fail)?;
            let map =
                PerfMap::new(event.as_fd(), 4 * crate::sys::mmap::page_size()).map_err(fail)?;
            loaded.maps[0]
                .set_perf_event(cpu, event.as_fd())
                .map_err(fail)?;
            rings.push((cpu, event, map));
        }
        let (mut head, mut tail) = (0, 0);
        for sent in 1..=3 {
            attach::run_raw_tp(loaded.programs[0].as_fd()).map_err(fail)?;
            let unread: usize = rings.iter_mut().map(|(_, _, map)| map.refresh()).sum();
            let written = unread as u64 + tail - head;
            if sent == 1 {
                size = written;
            }
            head += written;
            let _ = writeln!(
                text,
                "  record {sent} sent: head {head:4}   tail {tail:4}   unread {unread:4}"
            );
        }
        for (cpu, _, map) in &mut rings {
            let (first, _) = map.unread();
            if !first.is_empty() && tail == 0 {
                let bytes = first.get(..first.len().min(16)).unwrap_or_default();
                let _ = writeln!(
                    text,
                    "\n  first bytes, on CPU {cpu}: {}\n  u32 type 9 (sample), u16 misc, u16 size, u64 time\n",
                    hex(bytes)
                );
            }
            let len = map.refresh();
            map.consume(len);
            map.publish();
            tail += len as u64;
        }
        let _ = writeln!(
            text,
            "  all read:      head {head:4}   tail {tail:4}   unread {:4}",
            head - tail
        );
    } else {
        for sent in 1..=3 {
            let _ = writeln!(
                text,
                "  record {sent} sent: head {:4}   tail    0   unread {:4}",
                sent * RECORD,
                sent * RECORD
            );
        }
        text.push_str(
            "\nThese are computed: without rights there is no ring of programs' records.\n",
        );
    }
    let want = 10 * size;
    let _ = writeln!(
        text,
        "\nA record: 8 bytes of header, 8 of time, 4 of length, 8 of data, padding to 8.\nPositions in the ring are these numbers modulo its size, a power of two."
    );
    Ok(Page {
        text,
        question: "One CPU sends ten of these records, none is read. What is data_head?".to_owned(),
        hints: vec![
            "head does not wrap".to_owned(),
            format!("one record takes {size} bytes"),
        ],
        solution: format!("{want}: ten times {size}"),
        answer: want.to_string(),
        judge: number(want),
    })
}

pub(super) fn script(machine: Machine) -> Result<Page, String> {
    let path = std::env::current_exe().map_err(|err| err.to_string())?;
    let script = "interval:s:1 { @seconds++; }";
    let options = Options {
        script: Script {
            name: "lesson".to_owned(),
            text: script.to_owned(),
        },
        ..Options::default()
    };
    let session = Session::for_any(&options).map_err(|err| err.to_string())?;
    let compiled = session.compile().map_err(|err| err.to_string())?;
    let stage = |stage| emit(stage, &session, &compiled).map_err(|err| err.to_string());
    let insns = &compiled.object.programs[0].insns;
    let mut text = format!(
        "{} compiles a script by itself, in stages.\n\n\
         the script\n  {script}\n\nthree-address code, on as many registers as it likes (--emit ir)\n{}\n\
         eBPF, on eleven registers (--emit asm)\n{}\n",
        path.file_name().unwrap_or_default().to_string_lossy(),
        indented(&stage(Stage::Ir)?),
        indented(&disasm::program(insns, disasm::Options::default())),
    );
    if machine.kernel {
        let loaded = loader::load(&compiled.object, &LoadOptions::default())
            .map_err(|err| err.to_string())?;
        let jited =
            bpf::program_jited(loaded.programs[0].as_fd()).map_err(|err| err.to_string())?;
        let _ = writeln!(
            text,
            "machine code of this machine's kernel, {} bytes",
            jited.len()
        );
        for row in jited.chunks(16) {
            let _ = writeln!(text, "  {}", hex(row));
        }
    } else {
        text.push_str(
            "The kernel then makes machine code of it; without rights rbpf interprets it.\n",
        );
    }
    let bytes = crate::asm::encode(insns).map_err(|err| err.to_string())?;
    let want = bytes.len() as u64;
    Ok(Page {
        text,
        question: "How many bytes of eBPF does the kernel get for this program?".to_owned(),
        hints: vec!["eight a slot; an instruction that loads an address takes two".to_owned()],
        solution: format!("{want}: {} slots of 8 bytes", want / 8),
        answer: want.to_string(),
        judge: number(want),
    })
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("  {line}").trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}
