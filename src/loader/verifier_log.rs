//! The verifier's log, cut down to the line that tells.

/// What matters of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// The last line that is neither statistics nor empty: what the verifier objects to.
    pub line: String,
    /// The last instruction line before it, if the objection is not that line itself.
    pub insn_line: Option<String>,
    /// The slot of that instruction.
    pub slot: Option<usize>,
    /// Lines of the log not in here.
    pub others: usize,
}

/// Lines the verifier ends its logs with (`kernel/bpf/verifier.c: print_verification_stats, is_state_visited`).
const STATISTICS: &[&str] = &[
    "processed ",
    "verification time",
    "stack depth",
    "max_states",
    // Behind `infinite loop detected`: what the registers hold, both times round.
    "cur state:",
    "old state:",
];

/// The slot of a line such as `14: (79) r1 = *(u64 *)(r0 +0)`.
fn slot(line: &str) -> Option<usize> {
    let (number, rest) = line.split_once(": (")?;
    rest.get(2..3).filter(|paren| *paren == ")")?;
    number.parse().ok()
}

/// Reads a log; `None` if there is nothing in it.
pub fn telling(log: &str) -> Option<Telling> {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let says = |line: &&&str| !STATISTICS.iter().any(|start| line.starts_with(start));
    let line = *lines.iter().rev().find(says)?;
    let at = lines
        .iter()
        .rev()
        .find(|line| slot(line).is_some())
        .copied();
    let insn_line = at.filter(|at| *at != line);
    Some(Telling {
        line: line.to_owned(),
        insn_line: insn_line.map(str::to_owned),
        slot: at.and_then(slot),
        others: lines.len() - 1 - usize::from(insn_line.is_some()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_line_and_its_instruction_are_found() {
        let log = "func#0 @0\n0: R1=ctx() R10=fp0\n; @[pid] = count() @ a.bt:1\n\
                   0: (b7) r0 = 0                       ; R0_w=0\n\
                   14: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\n\
                   processed 15 insns (limit 1000000) max_states_per_insn 0\n\n";
        let telling = telling(log).unwrap();
        assert_eq!(telling.line, "R0 invalid mem access 'map_value_or_null'");
        assert_eq!(
            telling.insn_line.as_deref(),
            Some("14: (79) r1 = *(u64 *)(r0 +0)")
        );
        assert_eq!((telling.slot, telling.others), (Some(14), 5));
    }

    #[test]
    fn short_logs_are_read_too() {
        assert_eq!(telling(""), None);
        assert_eq!(telling("processed 0 insns\n"), None);
        let only = telling("unreachable insn 3\n").unwrap();
        assert_eq!(
            (only.line.as_str(), only.slot, only.others),
            ("unreachable insn 3", None, 0)
        );
        assert_eq!(telling("1: (é").unwrap().slot, None);
    }
}
