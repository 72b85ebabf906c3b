//! Measures what the compiler makes, beside both bpftraces where they are installed (`bpftrace`, `bpftrace-new`).
//!
//! `cargo build --release && cargo run --release --example compiler_figures [DIR-OF-CONTRIB-TRACING BITCOIND]`
//!
//! - Instructions loaded (as the kernel keeps them, all programs of a script) and nanoseconds of a run in the kernel
//!   (`kernel.bpf_stats_enabled`): the scripts of `examples/scripts` on the built-in target and, where a path is given, the
//!   `.bt` scripts of Bitcoin Core. Geometric means of the ratios.
//! - From exec to attached, for five probes: until the traced command begins, less what starting it takes alone.
//! - A script of 1,000 assignments to maps, compiled; peak memory with 10,000 keys printed.
//! - The tracer's CPU time a million rows of `log_utxos.bt`, flat out.
//!
//! Medians of five runs. What cannot be measured here is named as skipped.

mod measure;

use measure::{RUNS, Result, Running, Tool, find, median};
use nix::sys::resource::{UsageWho, getrusage};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Switch of the kernel's count of runs and their time.
const STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Scripts of ours whose probe the target's tight loop fires.
const TIMED: &[&str] = &[
    "branches",
    "bytes_by_type",
    "count",
    "count_by_arg",
    "count_by_string",
    "count_by_two",
    "extremes",
    "histogram",
    "linear_histogram",
    "predicate",
    "print_numbers",
    "print_strings",
    "process",
    "string_predicate",
    "variables",
];

struct Script {
    name: String,
    text: String,
    args: &'static [&'static str],
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let first = words.next();
    if first.as_deref() == Some("--usage-of") {
        return usage_of(words);
    }
    let ours = fs::canonicalize("target/release/baretrace")
        .map_err(|err| format!("target/release/baretrace: {err}; build it first"))?;
    let mut tools = vec![Tool {
        name: "baretrace",
        path: ours.clone(),
    }];
    for (name, file) in [
        ("bpftrace 0.17", "bpftrace"),
        ("newest bpftrace", "bpftrace-new"),
    ] {
        match find(file) {
            Some(path) => tools.push(Tool { name, path }),
            None => eprintln!("skipped: {file} is not installed"),
        }
    }
    let contrib = first.zip(words.next());
    let own = scripts(Path::new("examples/scripts"), "TARGET", &ours)?;
    let mut all = own;
    let bitcoin = match &contrib {
        Some((dir, daemon)) => scripts(Path::new(dir), "./build/bin/bitcoind", Path::new(daemon))?,
        None => Vec::new(),
    };
    if bitcoin.is_empty() {
        eprintln!("skipped: the scripts of Bitcoin Core (no directory was given)");
    }
    all.extend(bitcoin);
    sizes(&tools, &all)?;
    times(&tools, &all, &ours)?;
    type Measure = fn(&Tool, &Path) -> Result<f64>;
    let rows: [(&str, Measure, &str); 3] = [
        ("exec to attached, 5 probes", attached, "ms"),
        ("1,000 assignments to maps compiled", assignments, "ms"),
        ("peak memory, 10,000 keys printed", keys, "MiB"),
    ];
    for (what, run, unit) in rows {
        row(&tools, what, unit, |tool| run(tool, &ours));
    }
    if let Some((dir, _)) = &contrib {
        let text = fs::read_to_string(Path::new(dir).join("log_utxos.bt"))?;
        let text = text.replace("./build/bin/bitcoind", &ours.to_string_lossy());
        row(
            &tools,
            "CPU seconds a million rows of log_utxos.bt",
            "s",
            |tool| rows_of_coins(tool, &text, &ours),
        );
    }
    Ok(())
}

/// The `.bt` scripts of a directory, with the traced binary's path put in.
fn scripts(dir: &Path, placeholder: &str, binary: &Path) -> Result<Vec<Script>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "bt"));
    paths.sort();
    let script = |path: PathBuf| -> Result<Script> {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path)?.replace(placeholder, &binary.to_string_lossy());
        let args: &[&str] = if text.contains("$3") {
            &["0", "0", "0"]
        } else {
            &[]
        };
        Ok(Script { name, text, args })
    };
    paths.into_iter().map(script).collect()
}

/// Prints one row: the median of each tool, then ours as a share of each.
fn row(tools: &[Tool], what: &str, unit: &str, run: impl Fn(&Tool) -> Result<f64>) {
    let mut line = format!("{what}:");
    let mut ours = None;
    for tool in tools {
        let found: Result<Vec<f64>> = (0..RUNS).map(|_| run(tool)).collect();
        match found {
            Ok(values) => {
                let value = median(values);
                let base = *ours.get_or_insert(value);
                // Writing to a String cannot fail.
                let _ = write!(
                    line,
                    " {} {value:.2} {unit} (ratio {:.2});",
                    tool.name,
                    base / value
                );
            }
            Err(err) => {
                let _ = write!(line, " {} skipped: {err};", tool.name);
            }
        }
    }
    println!("{line}");
}

/// A tracer with its programs loaded.
struct Loaded {
    tracer: Running,
    programs: BTreeSet<u64>,
}

fn load(tool: &Tool, script: &Script) -> Result<Loaded> {
    let child = Command::new(&tool.path)
        .args(["-e", &script.text])
        .args(script.args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut tracer = Running(child);
    let end = Instant::now() + Duration::from_secs(60);
    let (mut programs, mut same) = (BTreeSet::new(), 0);
    while same < 4 {
        if tracer.0.try_wait()?.is_some() || Instant::now() > end {
            return Err(format!("{} does not load {}", tool.name, script.name).into());
        }
        std::thread::sleep(Duration::from_millis(100));
        let now = programs_of(tracer.0.id());
        same = if !now.is_empty() && now == programs {
            same + 1
        } else {
            0
        };
        programs = now;
    }
    Ok(Loaded { tracer, programs })
}

/// Ids of the programs that a process has open, itself or through links.
fn programs_of(pid: u32) -> BTreeSet<u64> {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo"))
        .into_iter()
        .flatten();
    let texts = infos.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    texts
        .flat_map(|text| {
            let lines = text
                .lines()
                .filter_map(|line| line.strip_prefix("prog_id:"));
            lines
                .filter_map(|id| id.trim().parse().ok())
                .collect::<Vec<u64>>()
        })
        .collect()
}

/// Sums of fields that bpftool tells of programs.
fn told(programs: &BTreeSet<u64>, fields: [&str; 2]) -> Result<[f64; 2]> {
    let bpftool = find("bpftool").ok_or("bpftool is not installed")?;
    let out = Command::new(bpftool)
        .args(["prog", "show", "-j"])
        .output()?;
    let all: serde_json::Value = serde_json::from_slice(&out.stdout)?;
    let mut sums = [0.0; 2];
    for program in all.as_array().into_iter().flatten() {
        if program["id"]
            .as_u64()
            .is_some_and(|id| programs.contains(&id))
        {
            for (sum, field) in sums.iter_mut().zip(fields) {
                *sum += program[field].as_f64().unwrap_or(0.0);
            }
        }
    }
    Ok(sums)
}

fn mean(logs: &[f64]) -> f64 {
    (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp()
}

/// Instructions of every script and tool; each is the same in every run.
fn sizes(tools: &[Tool], scripts: &[Script]) -> Result<()> {
    println!("| instructions loaded | {} |", names(tools));
    println!("|---|{}", "---|".repeat(tools.len()));
    let mut logs = vec![Vec::new(); tools.len()];
    for script in scripts {
        let mut values = Vec::new();
        for tool in tools {
            let count = load(tool, script).and_then(|mut loaded| {
                let [bytes, _] = told(&loaded.programs, ["bytes_xlated", "id"])?;
                loaded.tracer.interrupt()?;
                Ok(bytes / 8.0)
            });
            values.push(count.unwrap_or(f64::NAN));
        }
        report(&script.name, &values, &mut logs);
    }
    total(tools, &logs);
    Ok(())
}

fn names(tools: &[Tool]) -> String {
    let names: Vec<&str> = tools.iter().map(|tool| tool.name).collect();
    names.join(" | ")
}

fn report(name: &str, values: &[f64], logs: &mut [Vec<f64>]) {
    let cells: Vec<String> = values.iter().map(|value| format!("{value:.0}")).collect();
    println!("| {name} | {} |", cells.join(" | "));
    for (logs, value) in logs.iter_mut().zip(values) {
        let ratio = values[0] / value;
        if ratio.is_finite() && ratio > 0.0 {
            logs.push(ratio.ln());
        }
    }
}

fn total(tools: &[Tool], logs: &[Vec<f64>]) {
    for (tool, logs) in tools.iter().zip(logs).skip(1) {
        println!(
            "ratio to {}: {:.3} ({} scripts)",
            tool.name,
            mean(logs),
            logs.len()
        );
    }
    println!();
}

/// Turns the kernel's statistics on, and off again when dropped.
struct Stats(String);

impl Stats {
    fn on() -> Result<Stats> {
        let before = fs::read_to_string(STATS)?;
        fs::write(STATS, "1")?;
        Ok(Stats(before))
    }
}

impl Drop for Stats {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = fs::write(STATS, self.0.trim());
    }
}

/// Nanoseconds a run in the kernel.
fn times(tools: &[Tool], scripts: &[Script], ours: &Path) -> Result<()> {
    let _stats = Stats::on()?;
    println!("| ns a run in the kernel | {} |", names(tools));
    println!("|---|{}", "---|".repeat(tools.len()));
    let mut best = Vec::new();
    let mut logs = vec![Vec::new(); tools.len()];
    for script in scripts
        .iter()
        .filter(|script| TIMED.contains(&&*script.name))
    {
        // The tools take turns, so that what else the machine does meets all of them.
        let mut values = vec![Vec::new(); tools.len()];
        for _ in 0..RUNS {
            for (tool, values) in tools.iter().zip(&mut values) {
                values.extend(run_time(tool, script, ours));
            }
        }
        let values: Vec<f64> = values.into_iter().map(median).collect();
        report(&script.name, &values, &mut logs);
        let peer = values.iter().skip(1).copied().fold(f64::NAN, f64::min);
        if peer.is_finite() && values[0].is_finite() {
            best.push((values[0] / peer).ln());
        }
    }
    total(tools, &logs);
    println!("ratio to the better of both: {:.3}\n", mean(&best));
    Ok(())
}

fn run_time(tool: &Tool, script: &Script, ours: &Path) -> Result<f64> {
    let mut loaded = load(tool, script)?;
    let target = Command::new(ours)
        .args([
            "demo-target",
            "--messages",
            "30000",
            "--pause-us",
            "0",
            "--wait-s",
            "30",
        ])
        .output()?;
    if !target.status.success() {
        return Err("the target saw no tracer".into());
    }
    let [time, runs] = told(&loaded.programs, ["run_time_ns", "run_cnt"])?;
    loaded.tracer.interrupt()?;
    Ok(time / runs)
}

fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

/// The moment at which a command of its own begins under the tracer.
fn attached(tool: &Tool, ours: &Path) -> Result<f64> {
    let date = "/bin/date +%s%N";
    let begin = |mut command: Command| -> Result<f64> {
        let start = now()?;
        let out = command.output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let stamp = text
            .lines()
            .find(|line| line.len() == 19 && line.bytes().all(|b| b.is_ascii_digit()))
            .ok_or("the command printed no time")?;
        Ok((stamp.parse::<f64>()? / 1e9 - start) * 1e3)
    };
    let mut alone = Command::new("/bin/date");
    alone.arg("+%s%N");
    let alone = begin(alone)?;
    let probes = [
        "net:inbound_message",
        "net:outbound_message",
        "utxocache:add",
        "utxocache:spent",
        "mempool:added",
    ];
    let script: String = probes
        .iter()
        .map(|probe| format!("usdt:{}:{probe} {{ @[arg0] = count(); }}\n", ours.display()))
        .collect();
    let mut traced = Command::new(&tool.path);
    traced.args(["-e", &script, "-c", date]);
    Ok(begin(traced)? - alone)
}

fn assignments(tool: &Tool, _: &Path) -> Result<f64> {
    let body: String = (0..1000)
        .map(|i| format!("  @m{}[{i}] = {i};\n", i % 10))
        .collect();
    let path = std::env::temp_dir().join(format!("assignments-{}.bt", std::process::id()));
    fs::write(&path, format!("BEGIN {{\n{body}}}\n"))?;
    let mut command = Command::new("timeout");
    command.arg("60").arg(&tool.path);
    match tool.name {
        "baretrace" => command.arg("check"),
        "newest bpftrace" => command.arg("--dry-run"),
        _ => return Err("it has no dry run".into()),
    };
    let start = Instant::now();
    let status = command
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let took = start.elapsed().as_secs_f64() * 1e3;
    fs::remove_file(&path)?;
    if status?.success() {
        Ok(took)
    } else {
        Err("it fails".into())
    }
}

/// Runs a command through this program again, which then says what its children took: CPU seconds, peak KiB.
fn usage(
    command: &[&str],
    env: &[(&str, &str)],
    during: impl FnOnce(u32) -> Result<()>,
) -> Result<(f64, f64)> {
    let child = Command::new(std::env::current_exe()?)
        .arg("--usage-of")
        .args(command)
        .envs(env.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    during(child.id())?;
    let out = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("usage: "))
        .ok_or("no usage was told")?;
    let mut numbers = line.split(' ').map(str::parse::<f64>);
    let (cpu, peak) = (
        numbers.next().ok_or("no time")??,
        numbers.next().ok_or("no size")??,
    );
    Ok((cpu, peak))
}

/// The other side of [`usage`]: a SIGINT meant for the group reaches the tracer itself.
fn usage_of(mut words: impl Iterator<Item = String>) -> Result<()> {
    let program = words.next().ok_or("which program?")?;
    let mut child = Command::new(program).args(words).spawn()?;
    // The tracer is interrupted by its id, which the one that measures finds as this one's child.
    child.wait()?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    eprintln!(
        "usage: {} {}",
        seconds(usage.user_time()) + seconds(usage.system_time()),
        usage.max_rss()
    );
    Ok(())
}

fn keys(tool: &Tool, _: &Path) -> Result<f64> {
    let path = tool.path.to_string_lossy().into_owned();
    // Older ones know no long loops: each turn of the interval adds some.
    let script = "BEGIN { @n = 0; } interval:ms:1 { unroll(100) { @[@n] = @n; @n++; } if (@n >= 10000) { exit(); } }";
    let env = [
        ("BPFTRACE_MAP_KEYS_MAX", "20000"),
        ("BPFTRACE_MAX_MAP_KEYS", "20000"),
    ];
    let (_, peak) = usage(&[&path, "-e", script], &env, |_| Ok(()))?;
    Ok(peak / 1024.0)
}

fn rows_of_coins(tool: &Tool, script: &str, ours: &Path) -> Result<f64> {
    let path = tool.path.to_string_lossy().into_owned();
    let mut fired = 0.0;
    let (cpu, _) = usage(&[&path, "-e", script], &[], |pid| {
        let end = Instant::now() + Duration::from_secs(60);
        let child = loop {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
            let child = children
                .split_whitespace()
                .next()
                .and_then(|id| id.parse::<u32>().ok());
            if let Some(child) = child.filter(|id| programs_of(*id).len() >= 3) {
                break child;
            }
            if Instant::now() > end {
                return Err("its programs do not come".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        std::thread::sleep(Duration::from_secs(1));
        let out = Command::new(ours)
            .args([
                "demo-target",
                "--rounds",
                "10000",
                "--pause-us",
                "0",
                "--print",
            ])
            .output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        fired = text
            .lines()
            .filter(|line| line.starts_with("utxocache:"))
            .count() as f64;
        std::thread::sleep(Duration::from_secs(2));
        let pid = nix::unistd::Pid::from_raw(child.cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT)?;
        Ok(())
    })?;
    if fired < 1000.0 {
        return Err(format!("only {fired} rows").into());
    }
    Ok(cpu / fired * 1e6)
}
