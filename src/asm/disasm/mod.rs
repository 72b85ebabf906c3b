//! Instructions to text, in three styles; all of it reads back to the same instructions.
//!
//! | style | as printed by | example |
//! |---|---|---|
//! | [`Style::Kernel`] | verifier log, `bpftool prog dump xlated` | `if w1 s> 0xff goto pc+3` |
//! | [`Style::Llvm`] | `llvm-objdump -d --mcpu=v4` | `if w1 s> 0xff goto +0x3` |
//! | [`Style::Mnemonic`] | ubpf, bpf_conformance | `jsgt32 %r1, 255, +3` |
//!
//! The text is that of these tools character for character, save where theirs cannot be read back: wide immediates
//! end in ` ll` in the kernel style too (the kernel prints them like a `mov`), maps read `map[name]`, and calls of
//! local functions and kfuncs stay apart from helpers in the LLVM style.

mod c_like;
mod mnemonic;
mod program;

pub(in crate::asm) use program::target_slot;
pub use program::{Options, lines, program};

use super::Insn;
use std::fmt;

/// How instructions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// As the kernel prints them (`kernel/bpf/disasm.c`).
    #[default]
    Kernel,
    /// As LLVM prints them.
    Llvm,
    /// Operation first: ubpf, rbpf, bpf_conformance.
    Mnemonic,
}

/// What a single instruction's text needs from the program around it.
#[derive(Clone, Copy, Default)]
pub(super) struct Around<'a> {
    /// Name of the place it refers to.
    pub target: Option<&'a str>,
    /// Map names by index.
    pub maps: &'a [&'a str],
    /// Helpers by number only.
    pub plain_calls: bool,
}

/// An instruction's text in a style, for `format!`.
#[derive(Clone, Copy, Debug)]
pub struct InStyle<'a> {
    insn: &'a Insn,
    style: Style,
}

impl Insn {
    /// Its text in that style; distances stay numbers.
    pub fn display(&self, style: Style) -> InStyle<'_> {
        InStyle { insn: self, style }
    }
}

impl fmt::Display for InStyle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_insn(f, self.insn, self.style, &Around::default())
    }
}

impl fmt::Display for Insn {
    /// Its text in the kernel's style.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_insn(f, self, Style::Kernel, &Around::default())
    }
}

pub(super) fn write_insn(
    out: &mut dyn fmt::Write,
    insn: &Insn,
    style: Style,
    around: &Around<'_>,
) -> fmt::Result {
    match style {
        Style::Kernel => c_like::write(out, insn, c_like::KERNEL, around),
        Style::Llvm => c_like::write(out, insn, c_like::LLVM, around),
        Style::Mnemonic => mnemonic::write(out, insn, around),
    }
}

/// A place to jump to: its name, or the distance as `number` writes it.
fn write_target(
    out: &mut dyn fmt::Write,
    around: &Around<'_>,
    number: fmt::Arguments<'_>,
) -> fmt::Result {
    match around.target {
        Some(name) => out.write_str(name),
        None => out.write_fmt(number),
    }
}

/// A wide immediate, in the notation all styles share.
fn write_wide(out: &mut dyn fmt::Write, imm: super::Imm64, around: &Around<'_>) -> fmt::Result {
    use super::Imm64;
    let by_index = |idx: i32| usize::try_from(idx).ok().and_then(|at| around.maps.get(at));
    match imm {
        Imm64::Value(value) => write!(out, "{value:#x}"),
        Imm64::MapFd(fd) => write!(out, "map[fd:{fd}]"),
        Imm64::MapValue { fd, off } => write!(out, "map[fd:{fd}][0]+{off}"),
        Imm64::MapIdx(idx) => match by_index(idx) {
            Some(name) => write!(out, "map[{name}]"),
            None => write!(out, "map[idx:{idx}]"),
        },
        Imm64::MapIdxValue { idx, off } => match by_index(idx) {
            Some(name) => write!(out, "map[{name}][0]+{off}"),
            None => write!(out, "map[idx:{idx}][0]+{off}"),
        },
        Imm64::BtfId { id, obj_fd: 0 } => write!(out, "btf[id:{id}]"),
        Imm64::BtfId { id, obj_fd } => write!(out, "btf[id:{id},fd:{obj_fd}]"),
        Imm64::Func(distance) => {
            out.write_str("subprog[")?;
            write_target(out, around, format_args!("{distance:+}"))?;
            out.write_str("]")
        }
    }
}
