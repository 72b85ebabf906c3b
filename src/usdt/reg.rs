//! Registers by the names that operands give them, and where `pt_regs` has them.

use crate::spec::Arch;

/// A register as an operand names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// A general register (or the instruction pointer).
    General {
        /// Byte offset of the whole register in `pt_regs`.
        offset: u16,
        /// Bytes that this name stands for.
        width: u8,
    },
    /// Reads as zero (`xzr`, `wzr`).
    Zero,
    /// Exists, but the kernel does not hand it to a uprobe, or not at a place of its own; what it is.
    Absent(&'static str),
}

/// x86-64 general registers: names of 8, 4, 2 and 1 bytes, and the offset in `struct pt_regs`.
///
/// Source: `arch/x86/include/asm/ptrace.h`.
const X86_64: &[([&str; 4], u16)] = &[
    (["r15", "r15d", "r15w", "r15b"], 0),
    (["r14", "r14d", "r14w", "r14b"], 8),
    (["r13", "r13d", "r13w", "r13b"], 16),
    (["r12", "r12d", "r12w", "r12b"], 24),
    (["rbp", "ebp", "bp", "bpl"], 32),
    (["rbx", "ebx", "bx", "bl"], 40),
    (["r11", "r11d", "r11w", "r11b"], 48),
    (["r10", "r10d", "r10w", "r10b"], 56),
    (["r9", "r9d", "r9w", "r9b"], 64),
    (["r8", "r8d", "r8w", "r8b"], 72),
    (["rax", "eax", "ax", "al"], 80),
    (["rcx", "ecx", "cx", "cl"], 88),
    (["rdx", "edx", "dx", "dl"], 96),
    (["rsi", "esi", "si", "sil"], 104),
    (["rdi", "edi", "di", "dil"], 112),
    (["rip", "eip", "ip", ""], 128),
    (["rsp", "esp", "sp", "spl"], 152),
];

/// The register that `name` (without `%`) stands for on `arch`; `None` if there is none of that name.
pub fn register(arch: Arch, name: &str) -> Option<Register> {
    match arch {
        Arch::X86_64 => x86_64(name),
        Arch::Aarch64 => aarch64(name),
    }
}

fn x86_64(name: &str) -> Option<Register> {
    if name.is_empty() {
        return None;
    }
    let general = X86_64.iter().find_map(|(names, offset)| {
        let column = names.iter().position(|n| *n == name)?;
        Some(Register::General {
            offset: *offset,
            width: 8 >> column,
        })
    });
    general.or_else(|| {
        let numbered = |prefix: &str| numbered(name, prefix, 32).is_some();
        if ["ah", "bh", "ch", "dh"].contains(&name) {
            Some(Register::Absent("high-byte register"))
        } else if ["xmm", "ymm", "zmm"].iter().any(|p| numbered(p)) {
            Some(Register::Absent("vector register"))
        } else if name == "st" || name.starts_with("st(") || numbered("mm") {
            Some(Register::Absent("x87 register"))
        } else if ["cs", "ds", "es", "fs", "gs", "ss"].contains(&name) {
            Some(Register::Absent("segment register"))
        } else {
            None
        }
    })
}

/// `struct user_pt_regs` of aarch64 is `regs[31]`, `sp`, `pc`, `pstate`, 8 bytes each.
///
/// Source: `arch/arm64/include/uapi/asm/ptrace.h`.
fn aarch64(name: &str) -> Option<Register> {
    let fixed = match name {
        "sp" => Some((248, 8)),
        "wsp" => Some((248, 4)),
        "pc" => Some((256, 8)),
        "fp" => Some((29 * 8, 8)),
        "lr" => Some((30 * 8, 8)),
        "xzr" | "wzr" => return Some(Register::Zero),
        _ => None,
    };
    if let Some((offset, width)) = fixed {
        return Some(Register::General { offset, width });
    }
    for (prefix, width) in [("x", 8), ("w", 4)] {
        if let Some(n) = numbered(name, prefix, 31) {
            return Some(Register::General {
                offset: n * 8,
                width,
            });
        }
    }
    let vector = ["v", "q", "d", "s", "h", "b", "z"];
    vector
        .iter()
        .any(|p| {
            let name = name.split_once('.').map_or(name, |(register, _)| register);
            numbered(name, p, 32).is_some()
        })
        .then_some(Register::Absent("vector register"))
}

/// The number after `prefix`, if it is below `count` and written plainly.
fn numbered(name: &str, prefix: &str, count: u16) -> Option<u16> {
    let digits = name.strip_prefix(prefix)?;
    let plain =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    let number: u16 = digits.parse().ok()?;
    (plain && number < count).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_offsets_fit() {
        let mut seen = std::collections::HashSet::new();
        for (names, offset) in X86_64 {
            assert!(offset % 8 == 0 && *offset <= 152, "{names:?}");
            for name in names.iter().filter(|n| !n.is_empty()) {
                assert!(seen.insert(name), "{name} twice");
            }
        }
    }

    #[test]
    fn both_architectures() {
        let general = |offset, width| Some(Register::General { offset, width });
        for (arch, name, want) in [
            (Arch::X86_64, "rdi", general(112, 8)),
            (Arch::X86_64, "sil", general(104, 1)),
            (Arch::X86_64, "r11w", general(48, 2)),
            (Arch::X86_64, "r8d", general(72, 4)),
            (Arch::X86_64, "rip", general(128, 8)),
            (
                Arch::X86_64,
                "ah",
                Some(Register::Absent("high-byte register")),
            ),
            (
                Arch::X86_64,
                "xmm0",
                Some(Register::Absent("vector register")),
            ),
            (Arch::X86_64, "x0", None),
            (Arch::X86_64, "", None),
            (Arch::Aarch64, "x19", general(152, 8)),
            (Arch::Aarch64, "w1", general(8, 4)),
            (Arch::Aarch64, "x30", general(240, 8)),
            (Arch::Aarch64, "x31", None),
            (Arch::Aarch64, "x01", None),
            (Arch::Aarch64, "sp", general(248, 8)),
            (Arch::Aarch64, "pc", general(256, 8)),
            (Arch::Aarch64, "wzr", Some(Register::Zero)),
            (
                Arch::Aarch64,
                "v0",
                Some(Register::Absent("vector register")),
            ),
            (
                Arch::Aarch64,
                "v0.4s",
                Some(Register::Absent("vector register")),
            ),
            (Arch::Aarch64, "rax", None),
        ] {
            assert_eq!(register(arch, name), want, "{name}");
        }
    }
}
