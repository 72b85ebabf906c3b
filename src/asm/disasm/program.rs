//! A listing of a whole program: labels, slot numbers, map and function names.

use super::{Around, Style, write_insn};
use crate::asm::{Callee, Imm64, Insn};
use std::fmt::Write;

/// How a listing looks. The default is the kernel's style with labels.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// How instructions are written.
    pub style: Style,
    /// Names for jump and call targets instead of distances.
    pub labels: bool,
    /// The slot number before each instruction, as the verifier log has it.
    pub slots: bool,
    /// The bytes of each instruction before it.
    pub bytes: bool,
    /// Helpers by number only.
    pub plain_calls: bool,
    /// Map names by index, for `map[hits]`.
    pub maps: &'a [&'a str],
    /// Function names by the slot they begin at.
    pub functions: &'a [(usize, &'a str)],
    /// Names outside this listing that slots refer to, by the slot: they are printed in place of a distance.
    pub externs: &'a [(usize, &'a str)],
    /// Comments to put behind instructions, by the slot.
    pub notes: &'a [(usize, &'a str)],
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            style: Style::Kernel,
            labels: true,
            slots: false,
            bytes: false,
            plain_calls: false,
            maps: &[],
            functions: &[],
            externs: &[],
            notes: &[],
        }
    }
}

/// The slot, counted from the program's begin, that an instruction at `slot` refers to.
pub(in crate::asm) fn target_slot(insn: &Insn, slot: usize) -> Option<i64> {
    let next = i64::try_from(slot).ok()? + 1;
    match *insn {
        Insn::Ja { off } | Insn::Jmp { off, .. } | Insn::MayGoto { off } => {
            Some(next + i64::from(off))
        }
        Insn::Jal { imm } => Some(next + i64::from(imm)),
        Insn::Call {
            callee: Callee::Local(distance),
        }
        | Insn::LoadImm64 {
            imm: Imm64::Func(distance),
            ..
        } => Some(next + i64::from(distance)),
        _ => None,
    }
}

/// What a slot is, for the labels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The second half of a wide immediate: nothing can jump there.
    Half,
    Plain,
    /// Jumped to; the number is that of its label.
    Jumped(u32),
    /// Called; the number is that of its function.
    Called(u32),
}

/// Finds the places that need names and numbers them in order.
fn places(insns: &[Insn], options: &Options<'_>) -> Vec<Place> {
    let mut places = Vec::with_capacity(insns.len());
    for insn in insns {
        places.push(Place::Plain);
        if insn.slots() == 2 {
            places.push(Place::Half);
        }
    }
    if !options.labels {
        return places;
    }
    let mut slot = 0;
    for insn in insns {
        let outside = extern_at(slot, options).is_some();
        let target = target_slot(insn, slot).filter(|_| !outside);
        let target = target.and_then(|to| usize::try_from(to).ok());
        slot += insn.slots();
        let Some(place) = target.and_then(|to| places.get_mut(to)) else {
            continue;
        };
        let called = matches!(insn, Insn::Call { .. } | Insn::LoadImm64 { .. });
        match place {
            Place::Half => {}
            _ if called => *place = Place::Called(0),
            Place::Plain => *place = Place::Jumped(0),
            _ => {}
        }
    }
    for (at, _) in options.functions {
        if let Some(place @ (Place::Plain | Place::Jumped(_))) = places.get_mut(*at) {
            *place = Place::Called(0);
        }
    }
    let (mut jumped, mut called) = (0, 0);
    for place in &mut places {
        match place {
            Place::Jumped(number) => {
                jumped += 1;
                *number = jumped;
            }
            Place::Called(number) => {
                called += 1;
                *number = called;
            }
            _ => {}
        }
    }
    places
}

fn extern_at<'a>(slot: usize, options: &Options<'a>) -> Option<&'a str> {
    let found = options.externs.iter().find(|(at, _)| *at == slot);
    found.map(|(_, name)| *name)
}

fn name_of(place: Place, slot: usize, options: &Options<'_>, name: &mut String) -> bool {
    name.clear();
    match place {
        Place::Half | Place::Plain => false,
        Place::Jumped(number) => write!(name, "L{number}").is_ok(),
        Place::Called(number) => match options.functions.iter().find(|(at, _)| *at == slot) {
            Some((_, given)) => {
                name.push_str(given);
                true
            }
            None => write!(name, "func{number}").is_ok(),
        },
    }
}

/// The listing of a program, a line an instruction and one for each label.
///
/// ```
/// use baretrace::asm::{Cond, Reg, build::*, disasm};
/// let insns = [jump_if(Cond::Eq, Reg::R1, 0, 1), call(5), exit()];
/// let text = disasm::program(&insns, disasm::Options::default());
/// assert_eq!(text, "  if r1 == 0x0 goto L1\n  call bpf_ktime_get_ns#5\nL1:\n  exit\n");
/// ```
pub fn program(insns: &[Insn], options: Options<'_>) -> String {
    let mut out = String::with_capacity(insns.len() * 24);
    write_program(&mut out, insns, &options, |_| {});
    out
}

/// The listing, and for each instruction the line of the listing it stands on, counted from 0.
pub fn lines(insns: &[Insn], options: Options<'_>) -> (String, Vec<usize>) {
    let mut out = String::with_capacity(insns.len() * 24);
    let mut lines = Vec::with_capacity(insns.len());
    write_program(&mut out, insns, &options, |line| lines.push(line));
    (out, lines)
}

fn write_program(
    out: &mut String,
    insns: &[Insn],
    options: &Options<'_>,
    mut at_line: impl FnMut(usize),
) {
    let places = places(insns, options);
    let (mut slot, mut line) = (0, 0);
    let mut name = String::new();
    for insn in insns {
        let here = places.get(slot).copied().unwrap_or(Place::Plain);
        if name_of(here, slot, options, &mut name) {
            out.push_str(&name);
            out.push_str(":\n");
            line += 1;
        }
        if options.slots {
            let _ = write!(out, "{slot:4}: ");
        } else if options.labels {
            out.push_str("  ");
        }
        if options.bytes {
            write_bytes(out, insn);
        }
        let named = target_slot(insn, slot)
            .and_then(|to| usize::try_from(to).ok())
            .and_then(|to| Some((*places.get(to)?, to)))
            .is_some_and(|(place, to)| name_of(place, to, options, &mut name));
        let around = Around {
            target: extern_at(slot, options).or(named.then_some(name.as_str())),
            maps: options.maps,
            plain_calls: options.plain_calls,
        };
        // Writing to a `String` cannot fail.
        let _ = write_insn(out, insn, options.style, &around);
        for (_, note) in options.notes.iter().filter(|(at, _)| *at == slot) {
            let _ = write!(out, "  # {note}");
        }
        out.push('\n');
        at_line(line);
        line += 1;
        slot += insn.slots();
    }
}

fn write_bytes(out: &mut String, insn: &Insn) {
    let Ok((first, second)) = insn.to_raw() else {
        return;
    };
    for raw in [Some(first), second].into_iter().flatten() {
        for byte in raw.to_bytes() {
            let _ = write!(out, "{byte:02x} ");
        }
    }
    out.push(' ');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::build::*;
    use crate::asm::{Cond, Reg, Size};

    #[test]
    fn a_listing_names_places() {
        let insns = [
            load_map(Reg::R1, 0),
            jump_if(Cond::Sgt, Reg::R1, Reg::R2, -3),
            call_local(2),
            goto(-4),
            goto(99),
            load(Size::DW, Reg::R0, Reg::R10, -8),
            exit(),
        ];
        let options = Options {
            maps: &["hits"],
            ..Options::default()
        };
        assert_eq!(
            program(&insns, options),
            "L1:\n  r1 = map[hits]\n  if r1 s> r2 goto L1\n  call func1\n  goto pc-4\n  goto pc+99\nfunc1:\n  \
             r0 = *(u64 *)(r10 -8)\n  exit\n"
        );
        let options = Options {
            labels: false,
            slots: true,
            bytes: true,
            ..Options::default()
        };
        assert_eq!(
            program(&insns[5..], options),
            "   0: 79 a0 f8 ff 00 00 00 00  r0 = *(u64 *)(r10 -8)\n   1: 95 00 00 00 00 00 00 00  exit\n"
        );
        assert_eq!(lines(&insns, Options::default()).1[..3], [1, 2, 3]);
    }

    #[test]
    fn functions_get_the_names_given() {
        let insns = [call_local(1), exit(), exit()];
        let options = Options {
            functions: &[(0, "main"), (2, "twice")],
            ..Options::default()
        };
        assert_eq!(
            program(&insns, options),
            "main:\n  call twice\n  exit\ntwice:\n  exit\n"
        );
    }

    #[test]
    fn names_of_other_sections_stand_for_distances() {
        let insns = [call_local(-1), exit()];
        let options = Options {
            externs: &[(0, "elsewhere")],
            ..Options::default()
        };
        assert_eq!(program(&insns, options), "  call elsewhere\n  exit\n");
        let options = Options {
            notes: &[(1, "the end")],
            ..options
        };
        let text = program(&insns, options);
        assert_eq!(text, "  call elsewhere\n  exit  # the end\n");
    }
}
