//! How many instructions one hit can take where turns are not counted one by one: loops that end by a count or a clock of
//! the kernel, and callbacks.

use super::walk::{callee, constant, map_in, setter_above, starts, target};
use crate::{
    asm::{AluOp, Callee, Cond, Imm64, Insn, Reg, Src, helper},
    spec::MapSpec,
};
use serde::Serialize;

/// Turns that `may_goto` and `bpf_loop` allow (`BPF_MAX_LOOPS` in the kernel's `include/linux/bpf.h`).
const MOST_TURNS: u64 = 8 << 20;
/// Instructions that the verifier follows: a loop without `may_goto` is followed turn by turn.
const MOST_WALKED: u64 = 1_000_000;

/// Most instructions of one hit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// All of them.
    pub most: u64,
    /// Those outside of loops and callbacks.
    pub once: u64,
    /// What is done in turns.
    pub turns: Vec<Turns>,
}

/// Something that is done in turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turns {
    /// The instruction that ends a turn, by its number.
    #[serde(skip)]
    pub(super) insn: usize,
    /// Its slot.
    pub slot: usize,
    /// What ends it.
    pub what: Ends,
    /// Most turns.
    pub most: u64,
    /// Most instructions of a turn.
    pub each: u64,
}

/// What ends a series of turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Ends {
    /// The counter of `may_goto`; since 6.15, on x86-64, a clock.
    MayGoto,
    /// A number that `bpf_loop` is given.
    Loop,
    /// A number that `bpf_loop` is given, which is computed.
    LoopUnknown,
    /// All entries of a map.
    Map(String),
    /// A register that counts from one number to another.
    Count,
    /// A comparison, which the verifier followed to its end.
    Compare,
}

impl Turns {
    /// In words.
    pub fn words(&self) -> String {
        let (each, most) = (grouped(self.each), grouped(self.most));
        let slot = self.slot;
        match &self.what {
            Ends::MayGoto => format!(
                "loop that ends at slot {slot}: {each} instructions a turn, ended by `may_goto`: after {most} turns, on x86-64 since 6.15 after 250 ms"
            ),
            Ends::Count => {
                format!("loop that ends at slot {slot}: {each} instructions a turn, {most} turns")
            }
            Ends::Loop => {
                format!("bpf_loop at slot {slot}: {each} instructions a turn, {most} turns")
            }
            Ends::LoopUnknown => format!(
                "bpf_loop at slot {slot}: {each} instructions a turn, as many turns as a register says, {most} at most"
            ),
            Ends::Map(map) => format!(
                "callback at slot {slot}: {each} instructions for each of at most {most} entries of `{map}`"
            ),
            Ends::Compare => format!(
                "loop that ends at slot {slot}: ended by a comparison; the verifier follows each turn, {most} instructions in all"
            ),
        }
    }
}

/// A number with its thousands parted.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + 8);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The bound of a program; `None` if it jumps or calls by a register, or functions call each other in a circle.
pub(super) fn bound(insns: &[Insn], maps: &[MapSpec]) -> Option<Bound> {
    let by_register = |insn: &Insn| matches!(insn, Insn::Jx { .. } | Insn::Callx { .. });
    if insns.iter().any(by_register) {
        return None;
    }
    let starts = starts(insns);
    let mut entries = vec![0];
    for at in 0..insns.len() {
        entries.extend(callee(insns, &starts, at));
    }
    entries.sort_unstable();
    entries.dedup();
    let mut program = Program {
        insns,
        starts,
        entries,
        maps,
        turns: Vec::new(),
    };
    let most = program.function(0, 0)?;
    let mut turns = program.turns;
    turns.sort_by_key(|turns| turns.insn);
    turns.dedup();
    let inside: u64 = turns
        .iter()
        .filter(|turns| program.entries.get(1).is_none_or(|next| turns.insn < *next))
        .map(cost)
        .fold(0, u64::saturating_add);
    Some(Bound {
        most,
        once: most.saturating_sub(inside),
        turns,
    })
}

/// Most instructions of all turns.
fn cost(turns: &Turns) -> u64 {
    match turns.what {
        Ends::Compare => turns.most,
        _ => turns.most.saturating_mul(turns.each),
    }
}

struct Program<'p> {
    insns: &'p [Insn],
    starts: Vec<usize>,
    /// First instructions of functions.
    entries: Vec<usize>,
    maps: &'p [MapSpec],
    turns: Vec<Turns>,
}

impl Program<'_> {
    /// Most instructions of the function that begins there; `depth` functions call it.
    fn function(&mut self, entry: usize, depth: usize) -> Option<u64> {
        // The kernel allows eight frames.
        if depth > 8 {
            return None;
        }
        let after = self.entries.iter().find(|other| **other > entry);
        let end = after.copied().unwrap_or(self.insns.len());
        let mut costs = Vec::with_capacity(end - entry);
        for at in entry..end {
            costs.push(self.called(at, depth)?.saturating_add(1));
        }
        let mut most = self.path(entry, end, &costs, entry);
        for at in entry..end {
            let to = target(self.insns, &self.starts, at);
            let Some(to) = to.filter(|to| (entry..=at).contains(to)) else {
                continue;
            };
            let each = self.path(entry, at + 1, &costs, to);
            let counted = |at: usize| matches!(self.insns[at], Insn::MayGoto { .. });
            let (what, most_turns) = if (to..=at).any(counted) {
                (Ends::MayGoto, MOST_TURNS)
            } else if let Some(turns) = self.counted(to, at) {
                (Ends::Count, turns)
            } else {
                let dearest = costs[to - entry..=at - entry].iter().max();
                let dearest = dearest.copied().unwrap_or(1);
                (Ends::Compare, MOST_WALKED.saturating_mul(dearest))
            };
            let turns = Turns {
                insn: at,
                slot: self.starts[at],
                what,
                most: most_turns,
                each,
            };
            most = most.saturating_add(cost(&turns));
            self.turns.push(turns);
        }
        Some(most)
    }

    /// Instructions that a call at `at` adds.
    fn called(&mut self, at: usize, depth: usize) -> Option<u64> {
        let helper = match self.insns[at] {
            Insn::Call {
                callee: Callee::Helper(id),
            } => helper::by_id(id),
            Insn::Call {
                callee: Callee::Local(_),
            } => {
                let to = callee(self.insns, &self.starts, at)?;
                return self.function(to, depth + 1);
            }
            _ => return Some(0),
        };
        let (what, most) = match helper.map(|row| row.name) {
            Some("bpf_loop") => match constant(self.insns, at, Reg::R1) {
                Some(turns) => (Ends::Loop, turns.min(MOST_TURNS)),
                None => (Ends::LoopUnknown, MOST_TURNS),
            },
            Some("bpf_for_each_map_elem") => {
                let index = map_in(self.insns, at, Reg::R1);
                let index = index.and_then(|map| usize::try_from(map).ok());
                let map = self.maps.get(index?)?;
                (Ends::Map(map.name.clone()), map.max_entries.into())
            }
            _ => return Some(0),
        };
        let to = self.callback(at)?;
        let each = self.function(to, depth + 1)?;
        let turns = Turns {
            insn: at,
            slot: self.starts[at],
            what,
            most,
            each,
        };
        let all = cost(&turns);
        self.turns.push(turns);
        Some(all)
    }

    /// The function whose address was put into a register last before a call.
    fn callback(&self, at: usize) -> Option<usize> {
        let mut before = (0..at).rev();
        let load = before.find(|at| {
            matches!(
                self.insns[*at],
                Insn::LoadImm64 {
                    dst: Reg::R2,
                    imm: Imm64::Func(_)
                }
            )
        })?;
        callee(self.insns, &self.starts, load)
    }

    /// Most instructions, by `costs`, from `from` on without going back, below `end`; `costs` begin at `first`.
    fn path(&self, first: usize, end: usize, costs: &[u64], from: usize) -> u64 {
        let mut most = vec![0u64; end - from + 1];
        for at in (from..end).rev() {
            let jump = target(self.insns, &self.starts, at).filter(|to| (at + 1..end).contains(to));
            let falls = !matches!(
                self.insns[at],
                Insn::Exit | Insn::Ja { .. } | Insn::Jal { .. }
            );
            let next = if falls { most[at + 1 - from] } else { 0 };
            let next = next.max(jump.map_or(0, |to| most[to - from]));
            most[at - from] = costs[at - first].saturating_add(next);
        }
        most[0]
    }

    /// Turns of a loop from `to` to `at` that counts a register, which nothing else writes, up to a constant.
    fn counted(&self, to: usize, at: usize) -> Option<u64> {
        let &Insn::Jmp {
            cond: Cond::Ne | Cond::Lt | Cond::Slt,
            dst,
            src: Src::Imm(end),
            ..
        } = &self.insns[at]
        else {
            return None;
        };
        let mut writes = self.insns[to..at].iter().filter(|insn| sets(insn, dst));
        let (
            Some(Insn::Alu {
                op: AluOp::Add,
                src: Src::Imm(1),
                ..
            }),
            None,
        ) = (writes.next(), writes.next())
        else {
            return None;
        };
        let (_, begin) = setter_above(self.insns, to, dst)?;
        let &Insn::Alu {
            op: AluOp::Mov,
            src: Src::Imm(begin),
            ..
        } = begin
        else {
            return None;
        };
        // Nobody else goes back, and nobody comes in but from above.
        let inside = |from: usize| (to..=at).contains(&from);
        let strange = |from: usize| {
            let lands = target(self.insns, &self.starts, from).filter(|to| inside(*to));
            lands.is_some_and(|lands| match inside(from) {
                true => lands <= from && from != at,
                false => true,
            })
        };
        if (0..self.insns.len()).any(strange) {
            return None;
        }
        // It turns at least once.
        match i64::from(end) - i64::from(begin) {
            turns @ 1.. => u64::try_from(turns).ok(),
            _ => None,
        }
    }
}

/// Whether an instruction may write a register.
fn sets(insn: &Insn, reg: Reg) -> bool {
    setter_above(std::slice::from_ref(insn), 1, reg).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        asm::{Size, build::*},
        spec::{MapKind, MapRole},
    };

    fn map(max_entries: u32) -> MapSpec {
        MapSpec {
            name: "m".to_owned(),
            kind: MapKind::Hash,
            key_size: 8,
            value_size: 8,
            max_entries,
            flags: 0,
            init: Vec::new(),
            role: MapRole::Data,
        }
    }

    fn of(insns: &[Insn]) -> Bound {
        bound(insns, &[map(100)]).expect("a bound")
    }

    #[test]
    fn without_turns_it_is_the_longest_path() {
        let branch = [
            load(Size::DW, Reg::R6, Reg::R1, 0),
            jump_if(Cond::Eq, Reg::R6, 0, 2),
            mov64_imm(Reg::R7, 1),
            mov64_imm(Reg::R7, 2),
            mov64_imm(Reg::R0, 0),
            exit(),
        ];
        let bound = of(&branch);
        assert_eq!((bound.most, bound.once, bound.turns.len()), (6, 6, 0));
    }

    #[test]
    fn a_counted_loop_is_as_long_as_its_count() {
        let turns = |begin, end| {
            of(&[
                mov64_imm(Reg::R0, begin),
                mov64_imm(Reg::R2, 0),
                add64_imm(Reg::R0, 1),
                jump_if(Cond::Ne, Reg::R0, end, -3),
                exit(),
            ])
        };
        let four = turns(0, 4);
        assert_eq!((four.turns[0].most, four.turns[0].each), (4, 3));
        assert_eq!(turns(-4, 4).turns[0].most, 8);
        // What begins above its end runs round, if anybody let it.
        assert_eq!(turns(5, 4).turns[0].most, MOST_WALKED);
        // Another way into the loop brings another beginning.
        let joined = [
            mov64_imm(Reg::R0, 0),
            jump_if(Cond::Eq, Reg::R1, 0, 1),
            mov64_imm(Reg::R0, 3),
            add64_imm(Reg::R0, 1),
            jump_if(Cond::Ne, Reg::R0, 9, -2),
            exit(),
        ];
        assert_eq!(of(&joined).turns[0].most, MOST_WALKED);
    }

    #[test]
    fn the_kernel_ends_may_goto() {
        let bound = of(&[
            mov64_imm(Reg::R0, 0),
            Insn::MayGoto { off: 1 },
            Insn::Ja { off: -2 },
            exit(),
        ]);
        assert_eq!(bound.turns[0].each, 2);
        assert_eq!(bound.most, 3 + 2 * MOST_TURNS);
        let words = bound.turns[0].words();
        assert!(words.contains("after 8,388,608 turns") && words.contains("250 ms"));
    }

    #[test]
    fn callbacks_run_once_for_each_entry_or_number() {
        let call = |first: Insn, helper: u32| {
            of(&[
                first,
                Insn::LoadImm64 {
                    dst: Reg::R2,
                    imm: Imm64::Func(5),
                },
                mov64_imm(Reg::R3, 0),
                mov64_imm(Reg::R4, 0),
                call(helper),
                exit(),
                mov64_imm(Reg::R0, 0),
                exit(),
            ])
        };
        let each = call(mov64_imm(Reg::R1, 7), 181);
        assert_eq!(each.turns[0].what, Ends::Loop);
        assert_eq!((each.turns[0].each, each.most), (2, 6 + 7 * 2));
        let unknown = call(load(Size::DW, Reg::R1, Reg::R1, 0), 181);
        assert_eq!(unknown.turns[0].what, Ends::LoopUnknown);
        assert_eq!(unknown.most, 6 + 2 * MOST_TURNS);
        // Two slots, so one more to the callback.
        let map = of(&[
            load_map(Reg::R1, 0),
            Insn::LoadImm64 {
                dst: Reg::R2,
                imm: Imm64::Func(5),
            },
            mov64_imm(Reg::R3, 0),
            mov64_imm(Reg::R4, 0),
            crate::asm::build::call(164),
            exit(),
            mov64_imm(Reg::R0, 0),
            exit(),
        ]);
        assert_eq!(map.turns[0].what, Ends::Map("m".to_owned()));
        assert_eq!(map.most, 6 + 100 * 2);
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, want) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (8 << 20, "8,388,608"),
        ] {
            assert_eq!(grouped(number), want);
        }
    }
}
