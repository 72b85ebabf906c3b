//! The course: short lessons that run on this machine, each with one exercise. In the kernel where this process may, on
//! rbpf where not.
//!
//! Reading order: `basics` (one instruction to the verifier), `kernel` (bpf(2), the ring, a script), `probe` (USDT, its cost),
//! `progress` (which exercises were answered).

mod basics;
mod kernel;
mod probe;
mod progress;

pub use progress::Progress;

use crate::asm::{Insn, encode, text};
use std::fmt::Write;

/// Where lessons run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Programs may be loaded.
    pub kernel: bool,
}

/// A lesson.
pub struct Lesson {
    /// The word that selects it.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What to read about it.
    pub source: &'static str,
    /// Does it; what went wrong in words.
    pub run: fn(Machine) -> Result<Page, String>,
}

/// All lessons, in the order of the course.
pub const LESSONS: &[Lesson] = &[
    Lesson {
        name: "insn",
        title: "one instruction: eight bytes",
        source: "RFC 9669 §3; include/uapi/linux/bpf.h: struct bpf_insn",
        run: basics::insn,
    },
    Lesson {
        name: "program",
        title: "a program in bytes, and what it returns",
        source: "RFC 9669 §4.3; kernel/bpf/core.c: ___bpf_prog_run",
        run: basics::program,
    },
    Lesson {
        name: "maps",
        title: "a map: what outlives a run",
        source: "RFC 9669 §5.4; kernel/bpf/arraymap.c",
        run: basics::maps,
    },
    Lesson {
        name: "verifier",
        title: "the verifier says no, five classic ways",
        source: "kernel/bpf/verifier.c: do_check; Documentation/bpf/verifier.rst",
        run: basics::verifier,
    },
    Lesson {
        name: "syscall",
        title: "what bpf(2) is given, field by field",
        source: "include/uapi/linux/bpf.h: union bpf_attr; kernel/bpf/syscall.c",
        run: kernel::syscall,
    },
    Lesson {
        name: "usdt",
        title: "USDT: the note, the nop, the semaphore, the breakpoint",
        source: "sys/sdt.h; kernel/events/uprobes.c: install_breakpoint",
        run: probe::usdt,
    },
    Lesson {
        name: "ring",
        title: "the perf ring: head and tail",
        source: "include/uapi/linux/perf_event.h: struct perf_event_mmap_page",
        run: kernel::ring,
    },
    Lesson {
        name: "cost",
        title: "what a hit costs",
        source: "kernel/events/uprobes.c: handle_swbp",
        run: probe::cost,
    },
    Lesson {
        name: "script",
        title: "from a script to machine code",
        source: "arch/x86/net/bpf_jit_comp.c: do_jit",
        run: kernel::script,
    },
];

/// The lesson of that name or number.
pub fn find(word: &str) -> Option<&'static Lesson> {
    let number = word.parse::<usize>().ok();
    let numbered = number.and_then(|number| LESSONS.get(number.checked_sub(1)?));
    numbered.or_else(|| LESSONS.iter().find(|lesson| lesson.name == word))
}

/// Judges an answer; says why it is not right.
type Judge = Box<dyn Fn(&str) -> Result<(), String>>;

/// What a lesson showed, and what it asks.
pub struct Page {
    /// What was done and what came of it.
    pub text: String,
    /// The exercise.
    pub question: String,
    /// What helps, one after the other.
    pub hints: Vec<String>,
    /// A right answer, with the reason.
    pub solution: String,
    /// A right answer alone.
    pub answer: String,
    judge: Judge,
}

impl Page {
    /// Whether an answer is right; why not, in words.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge(&self, answer: &str) -> Result<(), String> {
        match answer.trim() {
            "" => Err("there is no answer".to_owned()),
            answer => (self.judge)(answer),
        }
    }
}

/// Accepts a number, in decimal or with 0x.
fn number(want: u64) -> Judge {
    Box::new(move |answer| {
        let text = answer.replace(['_', ','], "");
        let got = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        match got {
            Ok(got) if got == want => Ok(()),
            Ok(_) => Err("it is another number".to_owned()),
            Err(_) => Err(format!("`{answer}` is no number")),
        }
    })
}

/// Accepts bytes as hexadecimal digits, with blanks and 0x or without.
fn bytes(want: Vec<u8>) -> Judge {
    Box::new(move |answer| {
        let digits: String = answer
            .split_whitespace()
            .map(|word| word.strip_prefix("0x").unwrap_or(word))
            .collect();
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("`{answer}` is not made of hexadecimal digits"));
        }
        if digits.len() != 2 * want.len() {
            let (have, need) = (digits.len(), 2 * want.len());
            return Err(format!("it has {have} digits, the answer {need}"));
        }
        let wrong = hex(&want).replace(' ', "");
        let at = digits
            .to_lowercase()
            .bytes()
            .zip(wrong.bytes())
            .position(|(a, b)| a != b);
        match at {
            None => Ok(()),
            Some(at) => Err(format!("byte {} is another one", at / 2)),
        }
    })
}

/// Bytes as the course shows them.
fn hex(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    words.join(" ")
}

/// A text in lines of less than 80 columns, all but the first indented.
pub fn folded(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if !line.is_empty() && indent + line.chars().count() + word.chars().count() > 77 {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.join(&format!("\n{:indent$}", ""))
}

/// Instructions with their bytes, numbered by slot.
fn listing(insns: &[Insn]) -> String {
    let mut out = String::new();
    let mut slot = 0;
    for insn in insns {
        let bytes = encode(std::slice::from_ref(insn)).unwrap_or_default();
        let (first, rest) = bytes.split_at(bytes.len().min(8));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {slot:2}: {}   {insn}", hex(first));
        if !rest.is_empty() {
            let _ = writeln!(out, "      {}", hex(rest));
        }
        slot += bytes.len() / 8;
    }
    out
}

/// The instructions of a text.
fn assemble(source: &str) -> Result<Vec<Insn>, String> {
    let options = text::Options {
        dialect: None,
        fragment: false,
    };
    let program = text::assemble(source, options);
    program.map(|program| program.insns).map_err(|errors| {
        let first = errors.first().map(|err| err.problem.to_string());
        first.unwrap_or_else(|| "this is no program".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (at, lesson) in LESSONS.iter().enumerate() {
            assert_eq!(find(lesson.name).unwrap().name, lesson.name);
            assert_eq!(find(&(at + 1).to_string()).unwrap().name, lesson.name);
        }
        assert!(find("0").is_none() && find("99").is_none() && find("x").is_none());
    }

    #[test]
    fn answers_are_read_as_people_write_them() {
        let judge = bytes(vec![0x07, 0xab]);
        for answer in ["07ab", "07 ab", "0x07 0xAB"] {
            assert_eq!(judge(answer), Ok(()));
        }
        for answer in ["07", "07ac", "x7ab"] {
            assert!(judge(answer).is_err());
        }
        let judge = number(1000);
        assert_eq!(judge("0x3e8").and(judge("1,000")), Ok(()));
        assert!(judge("999").is_err() && judge("many").is_err());
    }
}
