//! Measures the figures of docs/bitcoin.md on this machine, with a node of its own on regtest.
//!
//! `cargo build --release && cargo run --release --example bitcoin_figures BITCOIND [BLOCKS] [PATH-OF-baretrace]`
//!
//! BITCOIND is a `bitcoind` with tracepoints that has its `bitcoin-cli` beside it. Times and memory are medians of five
//! runs; the reindex is done in turn without a tracer, with `utxos` and with counters, so that the ratios are of one run.

#[expect(dead_code, reason = "what compares tracers is not needed here")]
mod measure;

use measure::{RUNS, Result, Running, median};
use nix::sys::resource::{UsageWho, getrusage};
use std::{
    fs,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The tools that print lines, with their arguments.
const TOOLS: &[&str] = &[
    "p2p-traffic",
    "connections",
    "utxos",
    "connectblock 0 0 1",
    "raw-messages",
    "utxocache-flushes",
    "coin-selection",
    "p2p-monitor --json",
    "mempool-monitor --json",
];

/// What counts coins, one counter each.
const COUNTERS: &[&str] = &["add", "spent", "uncache"];

/// A directory that is gone when this is dropped.
struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        // What stays is in a directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Setting {
    bitcoind: PathBuf,
    baretrace: PathBuf,
    datadir: Dir,
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let bitcoind = words.next().ok_or("which bitcoind? give its path")?;
    let blocks: u32 = words
        .next()
        .map_or(Ok(5_000), |word| word.parse())
        .map_err(|err| format!("number of blocks: {err}"))?;
    let baretrace = words
        .next()
        .unwrap_or_else(|| "target/release/baretrace".to_owned());
    let found = |path: &str| fs::canonicalize(path).map_err(|err| format!("{path}: {err}"));
    let datadir = std::env::temp_dir().join(format!("bitcoin-figures-{}", std::process::id()));
    fs::create_dir(&datadir)?;
    let set = Setting {
        bitcoind: found(&bitcoind)?,
        baretrace: found(&baretrace)?,
        datadir: Dir(datadir),
    };

    println!("| tool | start to attached | peak memory | memory after a second |");
    println!("|---|---|---|---|");
    let mut node = set.start_node(&[])?;
    for tool in TOOLS {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(set.start_tool(tool)?);
        }
        let of = |pick: fn(&[f64; 3]) -> f64| median(runs.iter().map(pick).collect());
        let (ms, peak, rest) = (of(|run| run[0]), of(|run| run[1]), of(|run| run[2]));
        println!("| {tool} | {ms:.1} ms | {peak:.1} MiB | {rest:.1} MiB |");
    }
    set.ask(&["generatetodescriptor", &blocks.to_string(), "raw(51)"])?;
    set.ask(&["stop"])?;
    node.0.wait()?;

    let counters: String = COUNTERS
        .iter()
        .map(|name| {
            let bitcoind = set.bitcoind.display();
            format!("usdt:{bitcoind}:utxocache:{name} {{ @{name} = count(); }} ")
        })
        .collect();
    let bitcoind = set.bitcoind.to_string_lossy();
    let tracers: [(&str, &[&str]); 3] = [
        ("without", &[]),
        (
            "utxos",
            &["bitcoin", "utxos", "--bin", &bitcoind, "-o", "/dev/null"],
        ),
        ("counters", &["-e", &counters]),
    ];
    let mut costs = [const { Vec::new() }; 3];
    for _ in 0..RUNS {
        for ((_, tracer), costs) in tracers.iter().zip(&mut costs) {
            costs.push(set.reindex(blocks, tracer)?);
        }
    }
    println!("\n| reindex of {blocks} blocks | CPU of the node | ratio |\n|---|---|---|");
    let [bare, ..] = costs.each_ref().map(|costs| median(costs.clone()));
    for ((name, _), costs) in tracers.iter().zip(costs) {
        let cost = median(costs);
        println!("| {name} | {cost:.2} s | {:.3} |", cost / bare);
    }
    Ok(())
}

impl Setting {
    fn node(&self) -> Command {
        let mut command = Command::new(&self.bitcoind);
        let datadir = format!("-datadir={}", self.datadir.0.display());
        command.args(["-regtest", &datadir, "-listen=0", "-connect=0"]);
        command.args(["-disablewallet", "-debuglogfile=0", "-checkblockindex=0"]);
        command.args(["-rpcport=28443", "-printtoconsole=0"]);
        command
    }

    /// A node that answers.
    fn start_node(&self, more: &[&str]) -> Result<Running> {
        let node = Running(self.node().args(more).spawn()?);
        let end = Instant::now() + Duration::from_secs(30);
        while self.ask(&["getblockcount"]).is_err() {
            if Instant::now() > end {
                return Err("the node does not answer on port 28443".into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(node)
    }

    fn ask(&self, words: &[&str]) -> Result<()> {
        let datadir = format!("-datadir={}", self.datadir.0.display());
        let out = Command::new(self.bitcoind.with_file_name("bitcoin-cli"))
            .args([
                "-regtest",
                &datadir,
                "-rpcport=28443",
                "-rpcclienttimeout=0",
            ])
            .args(words)
            .output()?;
        match out.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned().into()),
        }
    }

    /// Milliseconds until a tool says that it traces; MiB that it had at most, and has a second later.
    fn start_tool(&self, words: &str) -> Result<[f64; 3]> {
        let begin = Instant::now();
        let child = Command::new(&self.baretrace)
            .arg("bitcoin")
            .args(words.split(' '))
            .arg("--bin")
            .arg(&self.bitcoind)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut tool = Running(child);
        first_byte(&mut tool.0)?;
        let attached = begin.elapsed().as_secs_f64() * 1e3;
        std::thread::sleep(Duration::from_secs(1));
        let status = fs::read_to_string(format!("/proc/{}/status", tool.0.id()))?;
        let [peak, rest] = ["VmHWM:", "VmRSS:"].map(|name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kib.unwrap_or(f64::NAN) / 1024.0
        });
        tool.interrupt()?;
        Ok([attached, peak, rest])
    }

    /// Seconds of CPU that a node takes to reindex its blocks while `tracer` looks on.
    fn reindex(&self, blocks: u32, tracer: &[&str]) -> Result<f64> {
        let mut tool = None;
        if !tracer.is_empty() {
            let child = Command::new(&self.baretrace)
                .args(tracer)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?;
            let mut child = Running(child);
            first_byte(&mut child.0)?;
            tool = Some(child);
        }
        let before = cpu_of_children()?;
        let height = format!("-stopatheight={blocks}");
        let mut node = Running(
            self.node()
                .args(["-reindex", "-server=0", &height])
                .spawn()?,
        );
        node.0.wait()?;
        let cost = cpu_of_children()? - before;
        if let Some(mut tool) = tool {
            tool.interrupt()?;
        }
        Ok(cost)
    }
}

/// Waits until a tracer says that it is attached.
fn first_byte(child: &mut Child) -> Result<()> {
    let stderr = child.stderr.as_mut().ok_or("no pipe")?;
    Ok(stderr.read_exact(&mut [0])?)
}

/// Seconds of CPU that ended children have taken.
fn cpu_of_children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
