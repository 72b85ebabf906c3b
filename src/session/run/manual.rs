//! `--test` and `--bench`: probes that are run on request, and what is said of them.

use super::{Run, Stop, specs};
use crate::session::SessionError;
use crate::{
    runtime::attach,
    spec::AttachSpec,
    sys::bpf::{enable_stats, program_info},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

/// A benchmark is repeated until it has run that often, or for that long.
const RUNS: (u32, Duration) = (100_000, Duration::from_millis(200));

/// How long a benchmark took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// Average nanoseconds that a run takes in the kernel.
    pub(super) nanos: u64,
    /// Runs that were counted.
    pub(super) runs: u64,
}

/// Runs `program` many times.
///
/// # Errors
/// The kernel's.
pub(super) fn measure(program: BorrowedFd<'_>) -> Result<Measured, SessionError> {
    let failed = |what| move |err: io::Error| SessionError::Io(what, err);
    let _stats = enable_stats().map_err(failed("bpf(BPF_ENABLE_STATS)"))?;
    let info = || program_info(program).map_err(failed("bpf(BPF_OBJ_GET_INFO_BY_FD)"));
    let before = info()?;
    let (begun, mut runs) = (Instant::now(), 0);
    while runs < RUNS.0 && begun.elapsed() < RUNS.1 {
        attach::run_raw_tp(program).map_err(failed("bpf(BPF_PROG_TEST_RUN)"))?;
        runs += 1;
    }
    let after = info()?;
    let runs = after.run_cnt - before.run_cnt;
    Ok(Measured {
        nanos: (after.run_time_ns - before.run_time_ns) / runs.max(1),
        runs,
    })
}

/// The table of benchmarks, as bpftrace 0.27 has it.
pub(super) fn table(rows: &[(String, Measured)]) -> String {
    let mut text = format!("{:<41}{:<15}Iterations\n", "Benchmark", "Time(ns)");
    text += &"-".repeat(text.len() - 1);
    text.push('\n');
    for (name, Measured { nanos, runs }) in rows {
        text += &format!("{name:<41}{nanos:<15}{runs}\n");
    }
    text
}

/// The benchmarks as one line of JSON each.
pub(super) fn json(rows: &[(String, Measured)]) -> String {
    rows.iter()
        .map(|(name, Measured { nanos, runs })| {
            let name = serde_json::Value::from(name.as_str());
            format!(
                "{{\"type\": \"benchmark_result\", \"data\": {{{name}: {{\"average\": {nanos}, \"iters\": {runs}}}}}}}\n"
            )
        })
        .collect()
}

/// Says how the tests went, one after the other.
pub(super) struct Tests {
    json: bool,
    run: usize,
    failed: Vec<String>,
}

/// Colour of the marks at the start of a line (SGR).
const GREEN: &str = "32";

/// Of what failed.
const RED: &str = "31";

fn mark(colour: &str, text: &str) -> String {
    format!("\x1b[{colour}m[{text:^10}]\x1b[0m")
}

/// `1 test`, `2 tests`.
fn tests(n: usize) -> String {
    format!("{n} test{}", if n == 1 { "" } else { "s" })
}

/// In the unit that leaves less than a thousand.
fn spent(time: Duration) -> String {
    match time.as_nanos() {
        n @ 0..1_000 => format!("{n} ns"),
        n @ 1_000..1_000_000 => format!("{} μs", n / 1_000),
        n => format!("{} ms", n / 1_000_000),
    }
}

impl Tests {
    pub(super) fn new(json: bool) -> Self {
        Tests {
            json,
            run: 0,
            failed: Vec::new(),
        }
    }

    /// Whether it is said in JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Before the first of `count` tests.
    pub(super) fn head(&self, count: usize) -> String {
        match self.json {
            true => String::new(),
            false => format!("{} Running {count} tests.\n", mark(GREEN, "==========")),
        }
    }

    /// Before a test.
    pub(super) fn begin(&self, name: &str) -> String {
        match self.json {
            true => String::new(),
            false => format!("{} {name}\n", mark(GREEN, " RUN      ")),
        }
    }

    /// After a test, with what it has printed.
    pub(super) fn done(&mut self, name: &str, bad: bool, time: Duration, output: &[u8]) -> Vec<u8> {
        self.run += 1;
        if bad {
            self.failed.push(name.to_owned());
        }
        if self.json {
            let name = serde_json::Value::from(name);
            let output = serde_json::Value::from(String::from_utf8_lossy(output));
            let nanos = time.as_nanos();
            return format!(
                "{{\"type\": \"test_result\", \"data\": {{{name}: {{\"duration\": {nanos}, \"passed\": {}, \"output\": {output}}}}}}}\n",
                !bad
            )
            .into_bytes();
        }
        let (shown, end) = match bad {
            true => (output, mark(RED, "  FAILED  ")),
            false => (&b""[..], mark(GREEN, "       OK ")),
        };
        [
            shown,
            format!("{end} {name} ({})\n", spent(time)).as_bytes(),
        ]
        .concat()
    }

    /// How many have failed.
    pub(super) fn failed(&self) -> usize {
        self.failed.len()
    }

    /// After the last test.
    pub(super) fn foot(&self) -> String {
        if self.json {
            return String::new();
        }
        let passed = self.run - self.failed.len();
        let mut text = format!(
            "{} {} ran.\n{} {}.\n",
            mark(GREEN, "=========="),
            tests(self.run),
            mark(GREEN, "  PASSED  "),
            tests(passed)
        );
        if !self.failed.is_empty() {
            let red = mark(RED, "  FAILED  ");
            text += &format!("{red} {}, listed below:\n", tests(self.failed.len()));
            for name in &self.failed {
                text += &format!("{red} {name}\n");
            }
        }
        text
    }
}

impl Run<'_> {
    /// The programs that are run on request, with their names.
    pub(super) fn manual(&self) -> Vec<(usize, String)> {
        specs(self.object)
            .filter_map(|(index, spec)| match spec {
                AttachSpec::Manual(name) => Some((index, name.clone())),
                _ => None,
            })
            .collect()
    }

    /// Runs each test once. Those that return something but 0, call `errorf` or exit with a code have failed.
    pub(super) fn tests(&mut self) -> Result<(), SessionError> {
        let mut said = Tests::new(self.player.is_json());
        if self.manual().is_empty() {
            return Ok(());
        }
        // What a test prints is text in JSON, too.
        self.player.text_together();
        let all = self.manual();
        self.player.say(said.head(all.len()).as_bytes());
        for (index, name) in all {
            self.player.say(said.begin(&name).as_bytes());
            let complaints = self.player.complaints();
            self.player.hold();
            let begun = Instant::now();
            let returned = self.run_program(index)?;
            let time = begun.elapsed();
            while self.drain(true)? {}
            let output = self.player.release();
            let stopped = matches!(self.stop, Stop::Exit(code) if code != 0);
            let bad = returned != 0 || stopped || self.player.complaints() > complaints;
            self.player.say(&said.done(&name, bad, time, &output));
            if matches!(self.stop, Stop::PipeClosed) {
                return Ok(());
            }
            self.stop = Stop::No;
        }
        self.player.say(said.foot().as_bytes());
        self.player.apart(said.is_json());
        if said.failed() > 0 {
            self.stop = Stop::Exit(1);
        }
        Ok(())
    }

    /// Measures each benchmark. What they print is of no interest.
    pub(super) fn benchmarks(&mut self) -> Result<(), SessionError> {
        for (index, name) in self.manual() {
            self.player.hold();
            let nanos = measure(self.loaded.programs[index].as_fd());
            self.drain(true)?;
            self.player.release();
            self.measured.push((name, nanos?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests_of_texts {
    use super::*;

    #[test]
    fn benchmarks() {
        let rows = [("count".to_owned(), Measured { nanos: 40, runs: 9 })];
        let rule = "-".repeat(66);
        assert_eq!(
            table(&rows),
            format!(
                "Benchmark{}Time(ns)       Iterations\n{rule}\ncount{}40             9\n",
                " ".repeat(32),
                " ".repeat(36)
            )
        );
        let line: serde_json::Value = serde_json::from_str(&json(&rows)).unwrap();
        assert_eq!(line["data"]["count"]["iters"], 9);
    }

    #[test]
    fn test_results() {
        let mut said = Tests::new(false);
        let time = Duration::from_nanos(1_500);
        assert!(
            said.done("a", false, time, b"x\n")
                .ends_with("OK ]\x1b[0m a (1 μs)\n".as_bytes())
        );
        assert!(
            said.done("b", true, time, b"x\n")
                .starts_with(b"x\n\x1b[31m[  FAILED  ]")
        );
        assert!(
            said.foot().contains("2 tests ran.\n")
                && said
                    .foot()
                    .ends_with("listed below:\n\x1b[31m[  FAILED  ]\x1b[0m b\n")
        );
        let mut said = Tests::new(true);
        let line = said.done("a", true, time, b"x\n");
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            line["data"]["a"],
            serde_json::json!({"duration": 1500, "passed": false, "output": "x\n"})
        );
    }
}
