//! What went wrong in programs, in words: `FILE:LINE:FROM-TO: WARNING: …` and the line of the script.

use super::json;
use crate::spec::{Fault, FaultKind};
use std::io::Write;

/// How often each place has gone wrong, as far as it was told.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<u64>);

impl Told {
    /// What is new at place `index`, whose counter stands at `count` now.
    pub(super) fn take(&mut self, index: usize, count: u64) -> u64 {
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        count.saturating_sub(std::mem::replace(&mut self.0[index], count))
    }
}

/// What it means, in one sentence.
fn said(kind: FaultKind, code: i32) -> &'static str {
    match (kind, code) {
        (FaultKind::Division, _) => {
            "Divide or modulo by 0 detected. This can lead to unexpected results. 1 is being used as the result."
        }
        (FaultKind::Bounds, _) => {
            "Array access out of bounds. This can lead to unexpected results."
        }
        (FaultKind::NoChild, _) => "No child command (`-c`); cpid is zero",
        (FaultKind::Update, FULL) => {
            "Map full; can't update element. Try increasing max_map_keys config or manually setting the max entries in a map declaration e.g. `let @a = hash(5000)`"
        }
        (FaultKind::Lookup, 0) => "Can't lookup map element because it does not exist.",
        _ => error(code),
    }
}

/// What the C library says of an error code.
fn error(code: i32) -> &'static str {
    match code {
        0 => "Success",
        _ => nix::errno::Errno::from_raw(code.saturating_neg()).desc(),
    }
}

/// What a map says that is full.
const FULL: i32 = -libc::E2BIG;

/// Where bpftrace's own library says that there is no child.
const CPID: (&str, usize, usize) = ("stdlib/base.bt", 208, 5);

/// As a line and the script's text.
pub(super) fn text(out: &mut Vec<u8>, script: &str, fault: &Fault, code: i32) {
    let said = said(fault.kind, code);
    // Writing to a Vec cannot fail.
    let _ = match fault.kind {
        FaultKind::NoChild => {
            let (file, line, column) = CPID;
            let to = column + 46;
            writeln!(out, "{file}:{line}:{column}-{to}: WARNING: {said}")
                .and_then(|()| writeln!(out, "{script}:{}: WARNING: expanded from", fault.place))
        }
        _ => writeln!(out, "{script}:{}: WARNING: {said}", fault.place),
    };
    if let Some(helper) = fault.kind.helper() {
        let _ = writeln!(out, "Additional Info - helper: {helper}, retcode: {code}");
    }
    out.extend_from_slice(fault.excerpt.as_bytes());
    if fault.kind == FaultKind::Share {
        // There a macro of its library reads the shares of the CPUs.
        let _ = writeln!(out, "{script}:{}: WARNING: expanded from", fault.place);
        out.extend_from_slice(fault.excerpt.as_bytes());
    }
}

/// As a line of JSON.
pub(super) fn json(out: &mut Vec<u8>, script: &str, fault: &Fault, code: i32) {
    let helper = fault.kind.helper();
    let (mut place, mut kind) = ((script, fault.line, fault.column), "runtime_error");
    if helper.is_some() {
        kind = "helper_error";
    } else if fault.kind == FaultKind::NoChild {
        (place, kind) = (CPID, "warnf");
    }
    let _ = write!(out, "{{\"type\": \"{kind}\", \"msg\": ");
    let said = match helper {
        Some(_) => error(code),
        None => said(fault.kind, code),
    };
    json::string(out, said.as_bytes());
    if let Some(helper) = helper {
        let _ = write!(out, ", \"helper\": \"{helper}\", \"retcode\": {code}");
    }
    out.extend_from_slice(b", \"filename\": ");
    let (file, line, column) = place;
    json::string(out, file.as_bytes());
    let _ = writeln!(out, ", \"line\": {line}, \"col\": {column}}}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ReadHelper;

    fn fault(kind: FaultKind) -> Fault {
        Fault {
            kind,
            place: "1:3-5".to_owned(),
            line: 1,
            column: 3,
            excerpt: "a bc\n  ~~\n".to_owned(),
        }
    }

    #[test]
    fn texts_and_json() {
        let mut out = Vec::new();
        let read = fault(FaultKind::Read(ReadHelper::ProbeReadUserStr));
        text(&mut out, "x.bt", &read, -14);
        let want = "x.bt:1:3-5: WARNING: Bad address\n\
            Additional Info - helper: probe_read_user_str, retcode: -14\na bc\n  ~~\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
        let mut out = Vec::new();
        text(&mut out, "x.bt", &fault(FaultKind::Share), 0);
        let want = "x.bt:1:3-5: WARNING: Success\n\
            Additional Info - helper: map_lookup_percpu_elem, retcode: 0\na bc\n  ~~\n\
            x.bt:1:3-5: WARNING: expanded from\na bc\n  ~~\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
        let mut out = Vec::new();
        json(&mut out, "x.bt", &fault(FaultKind::Update), -7);
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(line["type"], "helper_error");
        assert_eq!((&line["retcode"], &line["col"]), (&(-7).into(), &3.into()));
        assert_eq!(line["msg"], "Argument list too long");
    }

    #[test]
    fn only_what_is_new_is_told() {
        let mut told = Told::default();
        let new: Vec<u64> = [2, 2, 5].map(|count| told.take(1, count)).into();
        assert_eq!(new, [2, 0, 3]);
    }
}
