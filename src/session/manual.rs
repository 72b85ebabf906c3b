//! `--test` and `--bench`: probes that are run on request, and what is said of them.

use super::error::SessionError;
use crate::{
    runtime::attach,
    sys::bpf::{enable_stats, program_info},
};
use std::{
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// A benchmark is repeated until it has run that often, or for that long.
const RUNS: (u32, Duration) = (100_000, Duration::from_millis(200));

/// Average nanoseconds that a run of `program` takes in the kernel.
///
/// # Errors
/// The kernel's.
pub(super) fn measure(program: BorrowedFd<'_>) -> Result<u64, SessionError> {
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
    let counted = after.run_cnt - before.run_cnt;
    Ok((after.run_time_ns - before.run_time_ns) / counted.max(1))
}

/// The table of benchmarks, in the order of their names.
pub(super) fn table(rows: &[(String, u64)]) -> String {
    const HEAD: (&str, &str) = ("BENCHMARK", "NANOSECONDS");
    let mut rows: Vec<(&str, String)> = rows
        .iter()
        .map(|(name, nanos)| (name.as_str(), nanos.to_string()))
        .collect();
    rows.sort();
    let name_width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let nanos_width = rows.iter().map(|(_, nanos)| nanos.len()).max().unwrap_or(0);
    let (a, b) = (name_width.max(HEAD.0.len()), nanos_width.max(HEAD.1.len()));
    let rule = format!("+-{}-+-{}-+\n", "-".repeat(a), "-".repeat(b));
    let line = |name: &str, nanos: &str| format!("| {name:a$} | {nanos:b$} |\n");
    let mut text = format!("{rule}{}{rule}", line(HEAD.0, HEAD.1));
    rows.iter()
        .for_each(|(name, nanos)| text.push_str(&line(name, nanos)));
    text + &rule
}

/// The benchmarks as one line of JSON each.
pub(super) fn json(rows: &[(String, u64)]) -> String {
    rows.iter()
        .map(|(name, nanos)| {
            let data = serde_json::json!({ name.as_str(): nanos });
            format!("{{\"type\": \"benchmark_result\", \"data\": {data}}}\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_language_manual() {
        let row = |name: &str, nanos| (name.to_string(), nanos);
        let rows = [row("lhist", 88), row("count", 40), row("my_loop", 124)];
        assert_eq!(
            table(&rows),
            "+-----------+-------------+\n\
             | BENCHMARK | NANOSECONDS |\n\
             +-----------+-------------+\n\
             | count     | 40          |\n\
             | lhist     | 88          |\n\
             | my_loop   | 124         |\n\
             +-----------+-------------+\n"
        );
    }
}
