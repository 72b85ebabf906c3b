//! A policy: what may be loaded on this machine, written down by who guards it.

use super::{Bundle, BundleError, Summary};
use crate::wildcard;
use serde::Deserialize;

/// What may be loaded. What is not given is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Helpers that may be called.
    pub helpers: Option<Vec<String>>,
    /// Attach points, with `*`.
    pub probes: Option<Vec<String>>,
    /// Digests of bundles.
    pub sha256: Option<Vec<String>>,
    /// Most programs.
    pub max_programs: Option<usize>,
    /// Most instructions of one program.
    pub max_instructions: Option<usize>,
    /// Most bytes of all maps together, one CPU's share of each.
    pub max_map_bytes: Option<u64>,
    /// Most instructions of one hit, loops and callbacks included.
    pub max_per_hit: Option<u64>,
    /// Most bytes of user memory that one call may read.
    pub max_user_read: Option<u64>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// Not JSON, or a rule that there is not.
    pub fn read(text: &str) -> Result<Policy, BundleError> {
        serde_json::from_str(text).map_err(|err| BundleError::Json {
            line: err.line(),
            column: err.column(),
            ends: err.is_eof(),
            why: super::read::reason(&err),
        })
    }

    /// Every rule that the bundle breaks, a line each.
    ///
    /// # Errors
    /// Bytes that are no instructions.
    pub fn violations(&self, bundle: &Bundle) -> Result<Vec<String>, BundleError> {
        let mut out = Vec::new();
        if let Some(digests) = &self.sha256
            && !digests.contains(&bundle.sha256)
        {
            out.push(format!("rule `sha256`: {} is not listed", bundle.sha256));
        }
        let limit = |out: &mut Vec<String>, rule: &str, most: Option<u64>, what: &str, is: u64| {
            if let Some(most) = most.filter(|most| is > *most) {
                out.push(format!("rule `{rule}`: {what}: {is}, allowed are {most}"));
            }
        };
        let known =
            |out: &mut Vec<String>, rule: &str, most: Option<u64>, what: &str, is: Option<u64>| {
                match (most, is) {
                    (Some(most), None) => out.push(format!(
                        "rule `{rule}`: {what}: not known, allowed are {most}"
                    )),
                    (most, Some(is)) => limit(out, rule, most, what, is),
                    (None, None) => {}
                }
            };
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        limit(
            &mut out,
            "max_programs",
            self.max_programs.map(count),
            "programs",
            count(bundle.programs.len()),
        );
        let bytes = bundle.maps.iter().map(|map| {
            u64::from(map.max_entries) * (u64::from(map.key_size) + u64::from(map.value_size))
        });
        limit(
            &mut out,
            "max_map_bytes",
            self.max_map_bytes,
            "bytes of maps",
            bytes.sum(),
        );
        for program in &bundle.programs {
            let name = &program.probe;
            let first = program.insns.iter().find_map(|line| line.script);
            let place = super::summary::script_line(bundle, first).map_or(String::new(), |line| {
                format!(" ({}:{line})", bundle.script.name)
            });
            if let Some(probes) = &self.probes {
                let allowed =
                    |name: &String| probes.iter().any(|rule| wildcard::matches(rule, name));
                let names = super::attach::names(program);
                for name in names.iter().filter(|name| !allowed(name)) {
                    out.push(format!("rule `probes`: `{name}`{place} is not listed"));
                }
            }
            let summary = Summary::new(bundle, program)?;
            limit(
                &mut out,
                "max_instructions",
                self.max_instructions.map(count),
                &format!("instructions of `{name}`{place}"),
                count(summary.instructions),
            );
            let what = format!("instructions of one hit of `{name}`{place}");
            let most = self.max_per_hit;
            known(&mut out, "max_per_hit", most, &what, summary.per_hit());
            for read in &summary.user_reads {
                let line = read.line.map_or(String::new(), |line| {
                    format!(" ({}:{line})", bundle.script.name)
                });
                let what = format!("bytes that `{name}` reads at slot {}{line}", read.slot);
                let most = self.max_user_read;
                known(&mut out, "max_user_read", most, &what, read.at_most);
            }
            let Some(helpers) = &self.helpers else {
                continue;
            };
            for helper in summary
                .helpers
                .iter()
                .filter(|helper| !helpers.contains(helper))
            {
                let line = program.insns.iter().find(|line| {
                    line.text.contains(&format!("{helper}#"))
                        || line.text.ends_with(helper.as_str())
                });
                let place = line
                    .and_then(|line| super::summary::script_line(bundle, line.script))
                    .map_or(String::new(), |line| {
                        format!(" ({}:{line})", bundle.script.name)
                    });
                out.push(format!(
                    "rule `helpers`: `{name}` calls {helper}{place}, which is not listed"
                ));
            }
        }
        Ok(out)
    }
}
