//! Where calling convention and `struct pt_regs` put things, per architecture: byte offsets into the context.
//!
//! Sources: `arch/x86/include/asm/ptrace.h`, System V AMD64 ABI §3.2.3; `arch/arm64/include/uapi/asm/ptrace.h`, AAPCS64.

use crate::spec::Arch;

/// Registers of one architecture, by byte offset into `pt_regs`.
#[derive(Debug)]
pub(crate) struct Abi {
    /// Integer arguments of a function, in order.
    pub(crate) args: &'static [u16],
    /// Return value.
    pub(crate) ret: u16,
    /// Instruction pointer.
    pub(crate) ip: u16,
    /// Stack pointer.
    pub(crate) sp: u16,
    /// Distance from the stack pointer at function entry to the first argument on the stack.
    pub(crate) stack_args: i64,
    /// Registers by the names that `reg("…")` takes.
    pub(crate) names: &'static [(&'static str, u16)],
}

const X86_64: Abi = Abi {
    args: &[112, 104, 96, 88, 72, 64],
    ret: 80,
    ip: 128,
    sp: 152,
    stack_args: 8,
    names: &[
        ("r15", 0),
        ("r14", 8),
        ("r13", 16),
        ("r12", 24),
        ("bp", 32),
        ("bx", 40),
        ("r11", 48),
        ("r10", 56),
        ("r9", 64),
        ("r8", 72),
        ("ax", 80),
        ("cx", 88),
        ("dx", 96),
        ("si", 104),
        ("di", 112),
        ("orig_ax", 120),
        ("ip", 128),
        ("cs", 136),
        ("flags", 144),
        ("sp", 152),
        ("ss", 160),
    ],
};

const AARCH64: Abi = Abi {
    args: &[0, 8, 16, 24, 32, 40, 48, 56],
    ret: 0,
    ip: 256,
    sp: 248,
    stack_args: 0,
    names: &[
        ("r0", 0),
        ("r1", 8),
        ("r2", 16),
        ("r3", 24),
        ("r4", 32),
        ("r5", 40),
        ("r6", 48),
        ("r7", 56),
        ("r8", 64),
        ("r9", 72),
        ("r10", 80),
        ("r11", 88),
        ("r12", 96),
        ("r13", 104),
        ("r14", 112),
        ("r15", 120),
        ("r16", 128),
        ("r17", 136),
        ("r18", 144),
        ("r19", 152),
        ("r20", 160),
        ("r21", 168),
        ("r22", 176),
        ("r23", 184),
        ("r24", 192),
        ("r25", 200),
        ("r26", 208),
        ("r27", 216),
        ("r28", 224),
        ("r29", 232),
        ("r30", 240),
        ("sp", 248),
        ("pc", 256),
        ("pstate", 264),
    ],
};

/// The table for `arch`.
pub(crate) fn abi(arch: Arch) -> &'static Abi {
    match arch {
        Arch::X86_64 => &X86_64,
        Arch::Aarch64 => &AARCH64,
    }
}
