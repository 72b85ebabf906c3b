//! USDT probes in a running process, and what they cost it.

use super::{Machine, Page, bytes, hex, number};
use crate::{
    asm::{AtomicOp, Reg, build::*},
    by_hand::{Tracer, usdt_probe},
    spec::{AttachSpec, MapSpec, Object, ProgramSpec, UsdtProbe},
    usdt,
};
use std::{
    fmt::Write as _,
    fs::File,
    io::{Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Hits of the measured probe.
const HITS: u32 = 200_000;

/// The built-in target, held until it is let go; ended with the lesson.
struct Target(Child);

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Target {
    fn start(path: &Path, args: &[&str]) -> Result<Target, String> {
        let mut command = Command::new(path);
        command
            .arg("demo-target")
            .args(args)
            .args(["--hold", "--die-with-parent"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
            .spawn()
            .map(Target)
            .map_err(|err| format!("start the built-in target: {err}"))
    }

    /// Bytes of its memory, where that byte of its file is mapped.
    fn memory(
        &self,
        path: &Path,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Vec<u8>, String> {
        let pid = self.0.id();
        let addr = (0..1000).find_map(|_| {
            let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
            let addr = maps
                .lines()
                .find_map(|line| place(line, path, offset, writable));
            if addr.is_none() {
                // A process just started has not mapped everything yet.
                std::thread::sleep(Duration::from_millis(2));
            }
            addr
        });
        let addr = addr.ok_or("the target has not mapped its own file")?;
        let mut bytes = vec![0; len];
        let memory = File::open(format!("/proc/{pid}/mem")).map_err(|err| err.to_string())?;
        memory
            .read_exact_at(&mut bytes, addr)
            .map_err(|err| format!("read the target's memory: {err}"))?;
        Ok(bytes)
    }

    /// Lets it run to its end; what it wrote.
    fn finish(mut self) -> Result<String, String> {
        if let Some(mut stdin) = self.0.stdin.take() {
            stdin.write_all(b"\n").map_err(|err| err.to_string())?;
        }
        let mut text = String::new();
        for mut pipe in [
            self.0
                .stdout
                .take()
                .map(|pipe| Box::new(pipe) as Box<dyn Read>),
            self.0
                .stderr
                .take()
                .map(|pipe| Box::new(pipe) as Box<dyn Read>),
        ]
        .into_iter()
        .flatten()
        {
            pipe.read_to_string(&mut text)
                .map_err(|err| err.to_string())?;
        }
        self.0.wait().map_err(|err| err.to_string())?;
        Ok(text)
    }
}

/// The address of a byte of a file, by a line of `/proc/PID/maps`.
fn place(line: &str, path: &Path, offset: u64, writable: bool) -> Option<u64> {
    let mut words = line.split_whitespace();
    let (range, rights, start) = (words.next()?, words.next()?, words.next()?);
    let name = words.nth(2)?;
    let (first, last) = range.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (first, last, start) = (hex(first)?, hex(last)?, hex(start)?);
    let inside = (start..start + (last - first)).contains(&offset);
    let right = rights.contains('w') == writable && (writable || rights.contains('x'));
    (inside && right && Path::new(name) == path).then(|| first + (offset - start))
}

fn count(path: &Path, probe: &UsdtProbe, pid: u32) -> Object {
    let insns = vec![
        load_map_value(Reg::R1, 0, 0),
        mov64_imm(Reg::R2, 1),
        atomic64(AtomicOp::Add { fetch: false }, Reg::R1, 0, Reg::R2),
        mov64_imm(Reg::R0, 0),
        exit(),
    ];
    let at = AttachSpec::usdt(path, probe, Some(pid));
    Object::by_hand(
        vec![MapSpec::value("hits", 8)],
        vec![ProgramSpec::user_probe("count", insns, at)],
    )
}

fn own_file() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|err| format!("find this program's own file: {err}"))
}

pub(super) fn usdt(machine: Machine) -> Result<Page, String> {
    let path = own_file()?;
    let file = std::fs::read(&path).map_err(|err| err.to_string())?;
    let image = usdt::Image::parse(&file).map_err(|err| err.to_string())?;
    let note = image
        .notes()
        .iter()
        .find(|note| (note.provider, note.name) == ("net", "inbound_message"))
        .ok_or("this program has no probe net:inbound_message")?;
    let probe = usdt_probe(&path, "net", "inbound_message").map_err(|err| err.to_string())?;
    let site = probe.sites.first().ok_or("the probe has no site")?;
    let at = usize::try_from(site.offset).unwrap_or(0);
    let code = file.get(at..at + 5).unwrap_or_default();
    let mut text = format!(
        "The built-in target is a program with USDT probes. In its file, section\n\
         .note.stapsdt, one note says:\n\n  \
         provider   {}\n  name       {}\n  site       {:#x} (byte {:#x} of the file)\n  \
         semaphore  {:#x} (byte {:#x} of the file)\n  arguments  {}\n\n\
         The site is a nop. In the file: {}\n",
        note.provider,
        note.name,
        note.pc,
        site.offset,
        note.semaphore,
        site.ref_ctr,
        note.args,
        hex(code),
    );
    let target = Target::start(&path, &["--messages", "3", "--pause-us", "0"])?;
    let look = |text: &mut String, when: &str| -> Result<(), String> {
        let code = target.memory(&path, site.offset, 5, false)?;
        let semaphore = target.memory(&path, site.ref_ctr, 2, true)?;
        let _ = writeln!(
            text,
            "  {when:<15} {}    semaphore {}",
            hex(&code),
            hex(&semaphore)
        );
        Ok(())
    };
    text.push_str("\nIn the memory of the running target:\n\n");
    look(&mut text, "before attach")?;
    if machine.kernel {
        let mut tracer =
            Tracer::start(&count(&path, &probe, target.0.id())).map_err(|err| err.to_string())?;
        look(&mut text, "attached")?;
        tracer.stop(|_| ());
        look(&mut text, "detached")?;
        let mut tracer =
            Tracer::start(&count(&path, &probe, target.0.id())).map_err(|err| err.to_string())?;
        target.finish()?;
        let hits = tracer.value(0).map_err(|err| err.to_string())?;
        tracer.stop(|_| ());
        let _ = writeln!(
            text,
            "\nAttached once more and let go, it came by the site {hits} times."
        );
    } else {
        text.push_str("\nWithout rights nothing is attached. An attached tracer would make the first\nbyte a breakpoint and count the semaphore up to 1.\n");
    }
    text.push_str("\nThe target computes the arguments only while the semaphore is not 0.\n");
    Ok(Page {
        text,
        question: "Which byte, in hexadecimal, is written over the nop on x86-64?".to_owned(),
        hints: vec!["it is the instruction int3, a breakpoint".to_owned()],
        solution: "cc: int3; the handler runs the program and then what stood there".to_owned(),
        answer: "cc".to_owned(),
        judge: bytes(vec![0xcc]),
    })
}

pub(super) fn cost(machine: Machine) -> Result<Page, String> {
    let path = own_file()?;
    let hits = HITS.to_string();
    let bench = || Target::start(&path, &["--bench", &hits]);
    let mut text = format!("The target comes by a probe {HITS} times in a tight loop.\n\n");
    let say = |text: &mut String, how: &str, said: &str| {
        let _ = writeln!(text, "  {how:<28} {}", said.trim());
    };
    say(&mut text, "nobody watches", &bench()?.finish()?);
    if machine.kernel {
        let probe = usdt_probe(&path, "baretrace", "bench_tick").map_err(|err| err.to_string())?;
        let target = bench()?;
        let mut tracer =
            Tracer::start(&count(&path, &probe, target.0.id())).map_err(|err| err.to_string())?;
        let said = target.finish()?;
        let counted = tracer.value(0).map_err(|err| err.to_string())?;
        tracer.stop(|_| ());
        say(&mut text, "five instructions count it", &said);
        let _ = writeln!(
            text,
            "\nCounted: {counted}. Nearly all of it is the breakpoint's way into the kernel\nand back; a program adds some ns, a record in a ring about 100."
        );
    } else {
        text.push_str("\nWithout rights nothing is attached. With a program attached, each hit goes\ninto the kernel and back: some hundred ns.\n");
    }
    Ok(Page {
        text,
        question: "A probe fires 100,000 times a second, a hit costs 500 ns.\nHow many percent of one CPU is that?".to_owned(),
        hints: vec!["100,000 times 500 ns is 50 ms".to_owned()],
        solution: "5: 50 ms of every 1,000 ms".to_owned(),
        answer: "5".to_owned(),
        judge: number(5),
    })
}
