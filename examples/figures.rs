//! Measures the figures of the README on this machine, beside Debian's bpftrace where that is installed.
//!
//! `cargo build --release && cargo run --release --example figures [PATH-OF-baretrace]`
//!
//! The traced program is the binary's own `demo-target`, so that both tools watch the same probes in the same file. All
//! times are medians of five runs. What cannot be measured here is named as skipped.

mod measure;

use measure::{RUNS, Result, Running, Tool, find, median};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Hits of one timed loop.
const HITS: u64 = 200_000;
/// The probe that all figures are about.
const PROBE: &str = "net:inbound_message";
/// The probe of the target's tightest loop.
const TICK: &str = "baretrace:bench_tick";

/// One row of the table: what, and each tool's value.
struct Row(&'static str, Vec<String>);

fn main() -> Result<()> {
    let ours = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/release/baretrace"), PathBuf::from);
    let ours = fs::canonicalize(&ours).map_err(|err| {
        format!(
            "{}: {err}; build it with `cargo build --release`",
            ours.display()
        )
    })?;
    let mut tools = vec![Tool {
        name: "baretrace",
        path: ours.clone(),
    }];
    match find("bpftrace") {
        Some(path) => tools.push(Tool {
            name: "bpftrace",
            path,
        }),
        None => eprintln!("skipped: bpftrace is not installed"),
    }

    type Measure = fn(&Tool, &Path) -> Result<String>;
    let measures: [(&str, Measure); 6] = [
        ("exec to first printed event", first_event),
        ("peak resident memory", peak_memory),
        ("files on disk", disk),
        ("instructions of one P2P probe, as loaded", instructions),
        ("added cost of a counting hit", counting_hit),
        ("200,000 events flat out", flat_out),
    ];
    let mut rows = Vec::new();
    for (what, measure) in measures {
        let values = tools
            .iter()
            .map(|tool| measure(tool, &ours).unwrap_or_else(|err| format!("skipped: {err}")))
            .collect();
        rows.push(Row(what, values));
    }
    print(&tools, &rows);
    Ok(())
}

fn print(tools: &[Tool], rows: &[Row]) {
    let names: Vec<&str> = tools.iter().map(|tool| tool.name).collect();
    println!("| figure | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(tools.len()));
    for Row(what, values) in rows {
        println!("| {what} | {} |", values.join(" | "));
    }
}

/// The script of the README, for one direction, on `binary`.
fn p2p_script(binary: &Path) -> String {
    format!(
        r#"usdt:{}:{PROBE} {{
  $peer_id = (int64) arg0;
  $peer_addr = str(arg1);
  $peer_type = str(arg2);
  $msg_type = str(arg3);
  $msg_len = arg4;
  printf("inbound '%s' msg from peer %d (%s, %s) with %d bytes\n", $msg_type, $peer_id, $peer_type, $peer_addr, $msg_len);
}}"#,
        binary.display()
    )
}

fn count_script(binary: &Path) -> String {
    format!("usdt:{}:{TICK} {{ @ = count(); }}", binary.display())
}

/// Starts the target so that it fires one message every millisecond, for ever.
fn steady_target(ours: &Path) -> Result<Running> {
    let child = Command::new(ours)
        .args([
            "demo-target",
            "--messages",
            "1000000000",
            "--pause-us",
            "1000",
        ])
        .stdout(Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_millis(50));
    Ok(Running(child))
}

/// Runs one of the target's timed loops; nanoseconds a hit, as the target itself measures them.
fn timed_loop(ours: &Path, loop_flag: &str) -> Result<f64> {
    let out = Command::new(ours)
        .args([
            "demo-target",
            loop_flag,
            &HITS.to_string(),
            "--pause-us",
            "0",
        ])
        .output()?;
    let text = [out.stdout, out.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.split_whitespace()
        .zip(text.split_whitespace().skip(1))
        .find(|(_, unit)| unit.starts_with("ns"))
        .and_then(|(number, _)| number.parse().ok())
        .ok_or_else(|| format!("the target printed no time: {text}").into())
}

fn start(tool: &Tool, script: &str, out: Stdio) -> Result<Running> {
    let child = Command::new(&tool.path)
        .args(["-e", script])
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Running(child))
}

/// Starts a tracer and waits until its probes are attached: both tools start their intervals last.
fn start_attached(
    tool: &Tool,
    script: &str,
) -> Result<(Running, BufReader<std::process::ChildStdout>)> {
    let script = format!("{script} interval:ms:100 {{ printf(\"tick\\n\"); }}");
    let mut running = start(tool, &script, Stdio::piped())?;
    let stdout = running.0.stdout.take().ok_or("no pipe")?;
    let mut lines = BufReader::new(stdout);
    let mut line = String::new();
    while !line.starts_with("tick") {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Err("it ended before it was attached".into());
        }
    }
    Ok((running, lines))
}

fn first_event(tool: &Tool, ours: &Path) -> Result<String> {
    let _target = steady_target(ours)?;
    let script = p2p_script(ours);
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        let mut running = start(tool, &script, Stdio::piped())?;
        let stdout = running.0.stdout.take().ok_or("no pipe")?;
        let mut seen = false;
        for line in BufReader::new(stdout).lines() {
            if line?.starts_with("inbound") {
                times.push(begin.elapsed().as_secs_f64() * 1e3);
                seen = true;
                break;
            }
        }
        if !seen {
            return Err("no event came".into());
        }
        running.interrupt()?;
    }
    Ok(format!("{:.1} ms", median(times)))
}

fn peak_memory(tool: &Tool, ours: &Path) -> Result<String> {
    let _target = steady_target(ours)?;
    let script = p2p_script(ours);
    let mut peaks = Vec::new();
    for _ in 0..RUNS {
        let (mut running, mut lines) = start_attached(tool, &script)?;
        let mut line = String::new();
        for _ in 0..100 {
            line.clear();
            lines.read_line(&mut line)?;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", running.0.id()))?;
        let peak = status
            .lines()
            .find_map(|l| l.strip_prefix("VmHWM:"))
            .and_then(|l| l.split_whitespace().next())
            .and_then(|kib| kib.parse::<f64>().ok())
            .ok_or("no VmHWM")?;
        peaks.push(peak / 1024.0);
        // Read on, or a full pipe keeps it from ending.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        running.interrupt()?;
    }
    Ok(format!("{:.1} MiB", median(peaks)))
}

/// The binary and every library it loads but the C library's own.
fn disk(tool: &Tool, _: &Path) -> Result<String> {
    let mut files = vec![fs::canonicalize(&tool.path)?];
    let out = Command::new("ldd").arg(&tool.path).output()?;
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        let path = line
            .split("=>")
            .nth(1)
            .and_then(|l| l.split_whitespace().next());
        if let Some(path) = path.filter(|p| p.starts_with('/')) {
            let path = fs::canonicalize(path)?;
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
            let libc = [
                "libc.so",
                "libm.so",
                "libgcc_s",
                "libdl",
                "libpthread",
                "ld-linux",
            ];
            if !name.is_some_and(|n| libc.iter().any(|l| n.starts_with(l)))
                && !files.contains(&path)
            {
                files.push(path);
            }
        }
    }
    let mut bytes = 0;
    for file in &files {
        bytes += fs::metadata(file)?.len();
    }
    let plural = if files.len() == 1 { "file" } else { "files" };
    Ok(format!(
        "{:.1} MB, {} {plural}",
        bytes as f64 / 1e6,
        files.len()
    ))
}

/// Counts instructions of the loaded program with bpftool, 8 bytes each, two for a wide load.
fn instructions(tool: &Tool, ours: &Path) -> Result<String> {
    if find("bpftool").is_none() {
        return Err("bpftool is not installed".into());
    }
    let before = program_ids()?;
    let (mut running, mut lines) = start_attached(tool, &p2p_script(ours))?;
    let new: Vec<(u64, u64)> = program_ids()?
        .into_iter()
        .filter(|(id, _)| !before.iter().any(|(old, _)| old == id))
        .collect();
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    running.interrupt()?;
    // The interval's program is the smaller one.
    let largest = new
        .iter()
        .map(|(_, bytes)| bytes / 8)
        .max()
        .ok_or("no program was loaded")?;
    Ok(format!("{largest} slots"))
}

/// Ids and sizes in bytes of the programs loaded on this machine.
fn program_ids() -> Result<Vec<(u64, u64)>> {
    let out = Command::new("bpftool").args(["prog", "show"]).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut found: Vec<(u64, u64)> = Vec::new();
    for line in text.lines() {
        if let Some(id) = line.split(':').next().and_then(|id| id.parse().ok()) {
            found.push((id, 0));
        }
        if let (Some(at), Some(last)) = (line.find("xlated "), found.last_mut()) {
            let digits: String = line[at + 7..]
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            last.1 = digits.parse().unwrap_or(0);
        }
    }
    Ok(found)
}

fn counting_hit(tool: &Tool, ours: &Path) -> Result<String> {
    let mut costs = Vec::new();
    for _ in 0..RUNS {
        let bare = timed_loop(ours, "--bench")?;
        let (mut running, mut lines) = start_attached(tool, &count_script(ours))?;
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        costs.push(timed_loop(ours, "--bench")? - bare);
        running.interrupt()?;
    }
    Ok(format!("{:.0} ns", median(costs)))
}

fn flat_out(tool: &Tool, ours: &Path) -> Result<String> {
    let (mut costs, mut shares, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let script = p2p_script(ours);
        let mut child = Command::new(&tool.path)
            .args([
                "-e",
                &format!("{script} interval:ms:100 {{ printf(\"tick\\n\"); }}"),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (out, err) = (
            child.stdout.take().ok_or("no pipe")?,
            child.stderr.take().ok_or("no pipe")?,
        );
        let mut running = Running(child);
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            // What cannot be read was not said.
            let _ = BufReader::new(err).read_to_string(&mut text);
            text
        });
        let mut lines = BufReader::new(out).lines();
        for line in lines.by_ref() {
            if line?.starts_with("tick") {
                break;
            }
        }
        let printed = std::thread::spawn(move || {
            let (mut printed, mut lost) = (0u64, String::new());
            for line in lines.map_while(std::result::Result::ok) {
                printed += u64::from(line.starts_with("inbound"));
                if line.to_lowercase().contains("lost") {
                    lost = line;
                }
            }
            (printed, lost)
        });
        costs.push(timed_loop(ours, "--messages")?);
        std::thread::sleep(Duration::from_millis(500));
        running.interrupt()?;
        let (printed, lost_line) = printed.join().map_err(|_| "the reader panicked")?;
        let errors = errors.join().map_err(|_| "the reader panicked")?;
        let lost: u64 = errors
            .lines()
            .chain(std::iter::once(lost_line.as_str()))
            .filter(|line| line.to_lowercase().contains("lost"))
            .filter_map(|line| {
                line.split(|c: char| !c.is_ascii_digit())
                    .find_map(|n| n.parse::<u64>().ok())
            })
            .sum();
        shares.push(printed as f64 / HITS as f64 * 100.0);
        said.push(lost as f64);
    }
    Ok(format!(
        "{:.1} % printed, {:.0} said to be lost, {:.0} ns a hit",
        median(shares),
        median(said),
        median(costs)
    ))
}
