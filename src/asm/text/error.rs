//! What is wrong with a text, where, and what to do about it.

use super::Dialect;
use crate::asm::{MAP_KINDS, Unencodable};
use crate::span::Span;
use std::fmt;

/// A fault in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// Its place in the source.
    pub span: Span,
    /// Its line, counted from 1.
    pub line: usize,
    /// Its column in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

impl TextError {
    pub(super) fn new(source: &str, span: Span, problem: Problem) -> TextError {
        let (line, column) = span.line_col(source);
        TextError {
            span,
            line,
            column,
            problem,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        self.problem.help()
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.problem)
    }
}

impl std::error::Error for TextError {}

/// A kind of fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what the message names")]
pub enum Problem {
    /// There is no instruction in the text.
    Empty,
    /// One instruction was wanted.
    SeveralInsns,
    /// No instruction begins with this.
    UnknownWord { found: String, near: Option<String> },
    /// The line reads in the other dialect.
    OtherDialect(Dialect),
    /// Something else stands here than the instruction needs.
    Expected { what: &'static str, found: String },
    /// There is more on the line.
    Trailing { found: String },
    /// An instruction behind `;`, which begins a comment.
    AfterSemicolon,
    /// No register has this name.
    Register { name: String },
    /// `w` and `r` registers where one width is needed.
    Width { need: char },
    /// The operation works on one register, named twice.
    SameRegister { need: String },
    /// The result can only go to r0.
    OnlyR0,
    /// A number does not fit.
    Range {
        what: &'static str,
        value: String,
        min: i64,
        max: i64,
    },
    /// Not a number.
    Number { text: String },
    /// A map's kind that does not exist.
    UnknownMapKind { found: String, near: Option<String> },
    /// A map is declared twice.
    DuplicateMap { name: String },
    /// A label is jumped to that stands nowhere.
    UndefinedLabel { name: String, near: Option<String> },
    /// A label stands in two places.
    DuplicateLabel { name: String, first: Span },
    /// Nothing follows the label.
    LabelPastEnd,
    /// The distance does not fit the instruction.
    TooFar { distance: i64 },
    /// The kernel has no helper of this name.
    UnknownHelper { name: String, near: Option<String> },
    /// Name and number of a helper disagree.
    HelperNumber { name: String, number: i64, is: u32 },
    /// A name in brackets that means nothing.
    Reference { text: String },
    /// No bytes stand for this combination.
    Unencodable(Unencodable),
    /// `.section` or `.license` stands there again.
    DirectiveTwice { name: String },
    /// A map that is given content, and cannot have so much or any.
    MapContent { len: usize },
    /// An assembler directive.
    Directive { name: String },
    /// A jump out of the program.
    JumpOutside { slot: i64, slots: usize },
    /// A jump into the second slot of a wide immediate.
    JumpMiddle { slot: i64 },
    /// Execution can run past the last instruction.
    MissingExit,
}

impl Problem {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        let near = |near: &Option<String>| near.as_ref().map(|n| format!("did you mean `{n}`?"));
        let text = match self {
            Problem::UnknownWord { near: n, .. } => {
                return near(n).or_else(|| {
                    Some("instructions begin with a register, `*(`, `if`, `goto`, `call`, `lock` or `exit` in the kernel dialect, with their name in the mnemonic one".into())
                });
            }
            Problem::UnknownMapKind { near: n, .. } => {
                return near(n).or_else(|| {
                    let kinds: Vec<&str> = MAP_KINDS.iter().map(|(kind, _)| *kind).collect();
                    Some(format!("kinds are {}", kinds.join(", ")))
                });
            }
            Problem::UndefinedLabel { name, near: n } => {
                return near(n).or_else(|| {
                    Some(format!(
                        "put a line `{name}:` before the instruction to jump to"
                    ))
                });
            }
            Problem::UnknownHelper { near: n, .. } => {
                return near(n).or_else(|| {
                    Some("helpers are listed in `include/uapi/linux/bpf.h`; a label of this program must be defined".into())
                });
            }
            Problem::OtherDialect(dialect) => {
                return Some(format!(
                    "this looks like the {dialect} dialect: read it with --dialect {dialect}, or without --dialect; a text is written in one of them throughout"
                ));
            }
            Problem::HelperNumber { name, is, .. } => {
                return Some(format!("`{name}` is number {is}"));
            }
            Problem::Width { need } => {
                return Some(format!("write both registers as `{need}…`"));
            }
            Problem::SameRegister { need } => return Some(format!("write `{need}` on both sides")),
            Problem::AfterSemicolon => {
                "`;` begins a comment; put each instruction on a line of its own"
            }
            Problem::Register { .. } => {
                "registers are r0 to r10; w0 to w10 name their lower halves in the kernel dialect"
            }
            Problem::OnlyR0 => "packet loads put their result into r0",
            Problem::Number { .. } => "numbers are decimal or hexadecimal with 0x",
            Problem::LabelPastEnd => "put an instruction behind the label",
            Problem::TooFar { .. } => {
                "use `gotol` (`ja32`), which holds 32 bits, or jump there in two steps"
            }
            Problem::Reference { .. } => {
                "write map[NAME], map[fd:N], map[idx:N], either with [0]+OFFSET behind it, btf[id:N] or subprog[LABEL]"
            }
            Problem::Directive { .. } => {
                "directives are `.map NAME KIND KEY_SIZE VALUE_SIZE ENTRIES`, `.section NAME` and `.license TEXT`; leave the line out"
            }
            Problem::DirectiveTwice { .. } => "a text is one program: say it once",
            Problem::MapContent { .. } => {
                "content is for an array of one entry, and at most as long as its value"
            }
            Problem::JumpOutside { .. } => "distances count 8-byte slots from the next instruction",
            Problem::JumpMiddle { .. } => {
                "a wide immediate takes two slots; jump to its first or past it"
            }
            Problem::MissingExit => "end with `exit`, or with a jump back",
            Problem::SeveralInsns => "give one instruction",
            Problem::Empty => "write one instruction a line, the last one `exit`",
            Problem::Expected { .. } => {
                "`baretrace explain` shows how an instruction is written: give it a similar one, or its name"
            }
            Problem::Trailing { .. } => "one instruction a line; `#`, `//` and `;` begin a comment",
            Problem::DuplicateMap { .. } => "declare each map once",
            Problem::DuplicateLabel { .. } => "give each place a name of its own",
            Problem::Range { what: "`off`", .. } => {
                "add the rest of the distance to the register first"
            }
            Problem::Range { .. } => {
                "load a larger number with a wide immediate first: `r1 = 0x123456789 ll` (kernel), `lddw r1, 0x123456789` (mnemonic)"
            }
            Problem::Unencodable(_) => {
                "`baretrace explain` shows the forms that exist, by the instruction's name"
            }
        };
        Some(text.to_owned())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Empty => f.write_str("no instruction here"),
            Problem::SeveralInsns => f.write_str("more than one instruction"),
            Problem::UnknownWord { found, .. } => write!(f, "unknown instruction `{found}`"),
            Problem::OtherDialect(_) => f.write_str("wrong dialect"),
            Problem::Expected { what, found } if found.is_empty() => {
                write!(f, "expected {what}, found the end of the line")
            }
            Problem::Expected { what, found } => write!(f, "expected {what}, found `{found}`"),
            Problem::Trailing { found } => write!(f, "unexpected `{found}` after the instruction"),
            Problem::AfterSemicolon => f.write_str("an instruction inside a comment"),
            Problem::Register { name } => write!(f, "no register is called `{name}`"),
            Problem::Width { need } => {
                write!(
                    f,
                    "registers of two widths; this instruction works on `{need}` registers"
                )
            }
            Problem::SameRegister { need } => {
                write!(f, "this instruction works on one register, `{need}`")
            }
            Problem::OnlyR0 => f.write_str("the result goes to r0"),
            Problem::Range {
                what,
                value,
                min,
                max,
            } => write!(f, "{value} does not fit {what}, which holds {min}..={max}"),
            Problem::Number { text } => write!(f, "`{text}` is not a number"),
            Problem::UnknownMapKind { found, .. } => {
                write!(f, "no kind of map is called `{found}`")
            }
            Problem::DuplicateMap { name } => write!(f, "map `{name}` is declared twice"),
            Problem::UndefinedLabel { name, .. } => write!(f, "label `{name}` is not defined"),
            Problem::DuplicateLabel { name, .. } => write!(f, "label `{name}` is defined twice"),
            Problem::LabelPastEnd => f.write_str("jump to a label behind the last instruction"),
            Problem::TooFar { distance } => write!(
                f,
                "the target is {distance} slots away; `off` holds -32768..=32767"
            ),
            Problem::UnknownHelper { name, .. } => {
                write!(f, "`{name}` is neither a helper nor a label")
            }
            Problem::HelperNumber { name, number, .. } => {
                write!(f, "`{name}` is not helper number {number}")
            }
            Problem::Reference { text } => write!(f, "`{text}` names nothing"),
            Problem::Unencodable(why) => write!(f, "{why}"),
            Problem::DirectiveTwice { name } => write!(f, "`{name}` a second time"),
            Problem::MapContent { len } => {
                write!(f, "{len} bytes of content do not fit this map")
            }
            Problem::Directive { name } => write!(f, "unknown directive `{name}`"),
            Problem::JumpOutside { slot, slots } => {
                write!(f, "jump to slot {slot} of a program of {slots} slots")
            }
            Problem::JumpMiddle { slot } => {
                write!(f, "jump to slot {slot}, the middle of a wide immediate")
            }
            Problem::MissingExit => f.write_str("execution runs past the last instruction"),
        }
    }
}
