//! Operands of USDT notes: `N@OP`, from text to where the argument is.
//!
//! `N` is the size in bytes, negative when signed, with `f` after it for floating point. What cannot be read becomes
//! [`ArgLoc::Unreadable`] with the reason, never an error: it is one only for a script that uses that argument.

use crate::spec::{Arch, ArgLoc, IndexExt, UsdtArg};
use crate::usdt::reg::{Register, register};

/// More arguments than this at one site are refused. `sys/sdt.h` makes up to 12.
pub const MAX_ARGS: usize = 32;

/// Characters within which a bracket must close; without a limit a string of open ones would cost quadratic time.
const MAX_BRACKET: usize = 256;

/// What an operand's meaning depends on, beside its text.
pub(super) struct Scope<'s> {
    /// Processor of the file.
    pub(super) arch: Arch,
    /// Vaddr of the site.
    pub(super) site: u64,
    /// Vaddr of a symbol by its name.
    pub(super) symbol: &'s dyn Fn(&str) -> Option<u64>,
}

/// Parses the operands of one site on its own, without symbols.
pub fn parse_args(arch: Arch, text: &str) -> Vec<UsdtArg> {
    let scope = Scope {
        arch,
        site: 0,
        symbol: &|_| None,
    };
    split_args(text).map(|arg| scope.arg(arg)).collect()
}

/// Splits a note's argument string at its blanks, but not inside of brackets that close again.
pub fn split_args(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let mut at = 0;
        while let Some(c) = rest[at..].chars().next() {
            let close = match c {
                ' ' | '\t' => break,
                '[' => Some(']'),
                '(' => Some(')'),
                _ => None,
            };
            // Brackets belong to one operand: they close before the next operand's `@`.
            let inside = close.and_then(|close| {
                let (to, found) = rest[at..]
                    .char_indices()
                    .take(MAX_BRACKET)
                    .find(|(_, x)| *x == close || *x == '@')?;
                (found == close).then_some(to)
            });
            at += inside.unwrap_or(0) + inside.map_or(c.len_utf8(), |_| 1);
        }
        let (arg, tail) = rest.split_at(at);
        rest = tail;
        Some(arg)
    })
}

impl Scope<'_> {
    /// Parses one operand.
    pub(super) fn arg(&self, text: &str) -> UsdtArg {
        let (head, operand) = Head::parse(text);
        let mut size = head.size;
        let loc = if !matches!(size, 1 | 2 | 4 | 8) {
            size = 8;
            Err(format!("it is {} bytes wide", head.size))
        } else if head.float {
            Err("it is a floating-point value".to_owned())
        } else {
            match self.arch {
                Arch::X86_64 => self.x86_64(operand.trim(), &mut size),
                Arch::Aarch64 => self.aarch64(operand.trim(), &mut size),
            }
        };
        UsdtArg {
            size,
            signed: head.signed,
            float: head.float,
            loc: match loc {
                Ok(ArgLoc::Const(value)) => ArgLoc::Const(narrow(value, size, head.signed)),
                Ok(loc) => loc,
                Err(why) => ArgLoc::Unreadable(why),
            },
            text: text.to_owned(),
        }
    }

    /// `%reg`, `$constant`, `disp(base,index,scale)`, `symbol+n(%rip)`.
    fn x86_64(&self, operand: &str, size: &mut u8) -> Result<ArgLoc, String> {
        if let Some(constant) = operand.strip_prefix('$') {
            return match number(constant) {
                Some(value) => Ok(ArgLoc::Const(value)),
                None => Err(format!("`{constant}` is the address of a symbol")),
            };
        }
        if let Some(name) = operand.strip_prefix('%') {
            if name.contains(':') {
                return Err(format!("`%{name}` is relative to a segment register"));
            }
            return self.register(name, size);
        }
        let (expression, inside) = match operand.split_once('(') {
            Some((expression, inside)) => match inside.strip_suffix(')') {
                Some(inside) => (expression, inside),
                None => return Err(format!("`{operand}` is not understood")),
            },
            None => (operand, ""),
        };
        let (symbol, disp) = terms(expression).ok_or(format!("`{operand}` is not understood"))?;
        let mut parts = inside.split(',').map(str::trim);
        let (base, index, scale) = (parts.next(), parts.next(), parts.next());
        if parts.next().is_some() {
            return Err(format!("`{operand}` is not understood"));
        }
        let base = base.filter(|b| !b.is_empty());
        let index = index.filter(|i| !i.is_empty());
        match (symbol, base, index) {
            (None, None, None) if expression.is_empty() => {
                Err(format!("`{operand}` is not understood"))
            }
            (Some(symbol), None | Some("%rip"), None) => self.global(symbol, disp),
            (Some(symbol), ..) => Err(format!("`{operand}` adds a register to symbol `{symbol}`")),
            (None, Some("%rip"), _) => {
                Err(format!("`{operand}` is relative to an unknown instruction"))
            }
            (None, ..) => {
                let scale = match scale.map_or(Some(1), number) {
                    Some(scale @ (1 | 2 | 4 | 8)) => scale as u8,
                    _ => return Err(format!("`{operand}` has a scale that is not 1, 2, 4 or 8")),
                };
                let whole = |name: &str| match name.strip_prefix('%') {
                    Some(name) => self.address_register(name),
                    None => Err(format!("`{name}` is not a register")),
                };
                Ok(ArgLoc::Mem {
                    base: base.map(whole).transpose()?,
                    index: match index {
                        Some(name) => Some((whole(name)?, scale, IndexExt::Full)),
                        None => None,
                    },
                    disp,
                })
            }
        }
    }

    /// `reg`, `constant`, `[base, …]`.
    fn aarch64(&self, operand: &str, size: &mut u8) -> Result<ArgLoc, String> {
        if let Some(inside) = operand.strip_prefix('[') {
            return match inside.strip_suffix(']') {
                Some(inside) => self.aarch64_memory(operand, inside),
                None => Err(format!("`{operand}` is not understood")),
            };
        }
        if let Some(value) = number(operand.strip_prefix('#').unwrap_or(operand)) {
            return Ok(ArgLoc::Const(value));
        }
        self.register(operand, size)
    }

    /// What stands in the brackets: `base`, `base, n`, `base, index`, `base, index, lsl #n`, `base, index, sxtw #n`.
    fn aarch64_memory(&self, operand: &str, inside: &str) -> Result<ArgLoc, String> {
        let mut parts = inside.split(',').map(str::trim);
        let base = Some(self.address_register(parts.next().unwrap_or(""))?);
        let (second, third) = (parts.next(), parts.next());
        if parts.next().is_some() {
            return Err(format!("`{operand}` is not understood"));
        }
        let Some(second) = second else {
            return Ok(ArgLoc::Mem {
                base,
                index: None,
                disp: 0,
            });
        };
        let immediate = second.strip_prefix('#').unwrap_or(second);
        if immediate.starts_with(':') {
            return Err(format!(
                "`{operand}` holds a relocation that only the assembler could resolve"
            ));
        }
        if let (Some(disp), None) = (number(immediate), third) {
            return Ok(ArgLoc::Mem {
                base,
                index: None,
                disp,
            });
        }
        let index = register(self.arch, second);
        let Some(Register::General { offset, width }) = index else {
            return Err(format!("`{operand}` is not understood"));
        };
        let (extend, shift) = match third.map(|t| t.split_once(' ').unwrap_or((t, "#0"))) {
            Some((extend, shift)) => (extend, number(shift.trim().trim_start_matches('#'))),
            None => ("lsl", Some(0)),
        };
        let extend = match (extend, width) {
            ("lsl" | "sxtx" | "uxtx", 8) => IndexExt::Full,
            ("sxtw", 4) => IndexExt::Sxtw,
            ("uxtw", 4) => IndexExt::Uxtw,
            _ => return Err(format!("`{operand}` has an index that is not understood")),
        };
        let scale = match shift {
            Some(shift @ 0..=4) => 1u8 << shift,
            _ => return Err(format!("`{operand}` has a shift that is not 0 to 4")),
        };
        Ok(ArgLoc::Mem {
            base,
            index: Some((offset, scale, extend)),
            disp: 0,
        })
    }

    /// A register that holds the argument. A narrower register narrows the argument.
    fn register(&self, name: &str, size: &mut u8) -> Result<ArgLoc, String> {
        match register(self.arch, name) {
            Some(Register::General { offset, width }) => {
                *size = (*size).min(width);
                Ok(ArgLoc::Reg { reg: offset })
            }
            Some(Register::Zero) => Ok(ArgLoc::Const(0)),
            Some(Register::Absent(kind)) => {
                Err(format!("it is in {kind} `{name}`, which is not in pt_regs"))
            }
            None => Err(format!("`{name}` is not understood")),
        }
    }

    /// A register that is part of an address: all 64 bits of it.
    fn address_register(&self, name: &str) -> Result<u16, String> {
        match register(self.arch, name) {
            Some(Register::General { offset, width: 8 }) => Ok(offset),
            Some(Register::General { .. }) => {
                Err(format!("its address is in narrow register `{name}`"))
            }
            _ => Err(format!(
                "its address is in `{name}`, which is not understood"
            )),
        }
    }

    fn global(&self, symbol: &str, disp: i64) -> Result<ArgLoc, String> {
        let name = symbol.split_once('@').map_or(symbol, |(name, _)| name);
        match (self.symbol)(name) {
            Some(vaddr) => Ok(ArgLoc::IpRel {
                delta: vaddr
                    .wrapping_add_signed(disp)
                    .wrapping_sub(self.site)
                    .cast_signed(),
            }),
            None => Err(format!("symbol `{name}` is not in the file")),
        }
    }
}

/// What stands before the `@`.
struct Head {
    size: u8,
    signed: bool,
    float: bool,
}

impl Head {
    /// Splits off `N@` or `Nf@`. An operand without one (notes before version 3) is an unsigned word.
    fn parse(text: &str) -> (Head, &str) {
        let plain = Head {
            size: 8,
            signed: false,
            float: false,
        };
        let Some((head, operand)) = text.split_once('@') else {
            return (plain, text);
        };
        let digits = head.strip_prefix('-').unwrap_or(head);
        let number = digits.strip_suffix('f').unwrap_or(digits);
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return (plain, text);
        }
        let head = Head {
            size: number.parse().unwrap_or(u8::MAX),
            signed: digits.len() < head.len(),
            float: number.len() < digits.len(),
        };
        (head, operand)
    }
}

/// A whole number in decimal or `0x` hex, with a sign; unsigned 64-bit ones wrap.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse::<u64>().ok()?,
    };
    let value = value.cast_signed();
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// A sum of numbers and at most one symbol: `sym+16`, `16+sym`, `-96`, or nothing.
fn terms(text: &str) -> Option<(Option<&str>, i64)> {
    let (mut symbol, mut sum) = (None, 0i64);
    let mut rest = text.trim();
    while !rest.is_empty() {
        // A sign at the start belongs to the term, any later one begins the next.
        let end = rest
            .char_indices()
            .skip(1)
            .find(|(_, c)| matches!(c, '+' | '-'))
            .map_or(rest.len(), |(at, _)| at);
        let (term, tail) = rest.split_at_checked(end)?;
        rest = tail;
        match number(term) {
            Some(n) => sum = sum.wrapping_add(n),
            None => {
                let name = term.strip_prefix('+').unwrap_or(term);
                let known = |c: char| c.is_alphanumeric() || "_.$@".contains(c);
                if symbol.is_some() || name.is_empty() || !name.chars().all(known) {
                    return None;
                }
                symbol = Some(name);
            }
        }
    }
    Some((symbol, sum))
}

/// A constant as an argument of that width and sign is read.
fn narrow(value: i64, size: u8, signed: bool) -> i64 {
    let unused = 64 - 8 * u32::from(size.clamp(1, 8));
    if signed {
        value << unused >> unused
    } else {
        (value.cast_unsigned() << unused >> unused).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: u64 = 0x1000;

    fn parse(arch: Arch, text: &str) -> UsdtArg {
        let symbol = |name: &str| (name == "sym").then_some(0x3000);
        let scope = Scope {
            arch,
            site: SITE,
            symbol: &symbol,
        };
        scope.arg(text)
    }

    fn reg(offset: u16) -> ArgLoc {
        ArgLoc::Reg { reg: offset }
    }

    fn mem(base: Option<u16>, index: Option<(u16, u8, IndexExt)>, disp: i64) -> ArgLoc {
        ArgLoc::Mem { base, index, disp }
    }

    #[test]
    fn readable_forms() {
        use Arch::{Aarch64, X86_64};
        use IndexExt::{Full, Sxtw, Uxtw};
        #[rustfmt::skip]
        let table = [
            (X86_64, "-8@%r13", 8, true, reg(16)),
            (X86_64, "4@%esi", 4, false, reg(104)),
            (X86_64, "1@%sil", 1, false, reg(104)),
            (X86_64, "1@%al", 1, false, reg(80)),
            (X86_64, "2@%r11w", 2, false, reg(48)),
            (X86_64, "-8@%eax", 4, true, reg(80)),
            (X86_64, "%rax", 8, false, reg(80)),
            (X86_64, "-4@$2147483647", 4, true, ArgLoc::Const(2147483647)),
            (X86_64, "8@$-9223372036854775808", 8, false, ArgLoc::Const(i64::MIN)),
            (X86_64, "1@$0", 1, false, ArgLoc::Const(0)),
            (X86_64, "1@$-1", 1, false, ArgLoc::Const(255)),
            (X86_64, "-1@$255", 1, true, ArgLoc::Const(-1)),
            (X86_64, "8@$18446744073709551615", 8, false, ArgLoc::Const(-1)),
            (X86_64, "8@$0x10", 8, false, ArgLoc::Const(16)),
            (X86_64, "8@-96(%rbp)", 8, false, mem(Some(32), None, -96)),
            (X86_64, "-8@(%rbx)", 8, true, mem(Some(40), None, 0)),
            (X86_64, "8@24(%rcx)", 8, false, mem(Some(88), None, 24)),
            (X86_64, "-4@168(%rsp)", 4, true, mem(Some(152), None, 168)),
            (X86_64, "8@-8+16(%rsp)", 8, false, mem(Some(152), None, 8)),
            (X86_64, "1@-96(%rbp,%rax,8)", 1, false, mem(Some(32), Some((80, 8, Full)), -96)),
            (X86_64, "8@(%rbp,%rax)", 8, false, mem(Some(32), Some((80, 1, Full)), 0)),
            (X86_64, "8@(,%rdi,8)", 8, false, mem(None, Some((112, 8, Full)), 0)),
            (X86_64, "8@sym(%rip)", 8, false, ArgLoc::IpRel { delta: 0x2000 }),
            (X86_64, "-4@sym+16(%rip)", 4, true, ArgLoc::IpRel { delta: 0x2010 }),
            (X86_64, "-4@16+sym(%rip)", 4, true, ArgLoc::IpRel { delta: 0x2010 }),
            (X86_64, "4@sym-4(%rip)", 4, false, ArgLoc::IpRel { delta: 0x1ffc }),
            (X86_64, "8@sym", 8, false, ArgLoc::IpRel { delta: 0x2000 }),
            (Aarch64, "-4@w1", 4, true, reg(8)),
            (Aarch64, "8@x19", 8, false, reg(152)),
            (Aarch64, "8@w19", 4, false, reg(152)),
            (Aarch64, "8@sp", 8, false, reg(248)),
            (Aarch64, "8@xzr", 8, false, ArgLoc::Const(0)),
            (Aarch64, "-8@[sp, 12]", 8, true, mem(Some(248), None, 12)),
            (Aarch64, "8@[x0]", 8, false, mem(Some(0), None, 0)),
            (Aarch64, "-4@[sp,#16]", 4, true, mem(Some(248), None, 16)),
            (Aarch64, "-4@[x29, #-16]", 4, true, mem(Some(232), None, -16)),
            (Aarch64, "8@[x1, x2]", 8, false, mem(Some(8), Some((16, 1, Full)), 0)),
            (Aarch64, "8@[x1, x2, lsl #3]", 8, false, mem(Some(8), Some((16, 8, Full)), 0)),
            (Aarch64, "8@[x1, x2, lsl 3]", 8, false, mem(Some(8), Some((16, 8, Full)), 0)),
            (Aarch64, "8@[x1, w2, sxtw #3]", 8, false, mem(Some(8), Some((16, 8, Sxtw)), 0)),
            (Aarch64, "8@[x1, w2, uxtw]", 8, false, mem(Some(8), Some((16, 1, Uxtw)), 0)),
            (Aarch64, "-8@5", 8, true, ArgLoc::Const(5)),
            (Aarch64, "-4@-12", 4, true, ArgLoc::Const(-12)),
            (Aarch64, "4@#7", 4, false, ArgLoc::Const(7)),
        ];
        for (arch, text, size, signed, loc) in table {
            let got = parse(arch, text);
            assert_eq!(
                (got.size, got.signed, &got.loc),
                (size, signed, &loc),
                "{text}"
            );
            assert_eq!(got.text, text);
        }
    }

    #[test]
    fn unreadable_forms_say_why() {
        use Arch::{Aarch64, X86_64};
        for (arch, text, why) in [
            (X86_64, "8f@%xmm0", "it is a floating-point value"),
            (X86_64, "4f@8(%rsp)", "it is a floating-point value"),
            (
                X86_64,
                "8@%xmm0",
                "it is in vector register `xmm0`, which is not in pt_regs",
            ),
            (
                X86_64,
                "1@%ah",
                "it is in high-byte register `ah`, which is not in pt_regs",
            ),
            (X86_64, "16@%rax", "it is 16 bytes wide"),
            (X86_64, "0@%rax", "it is 0 bytes wide"),
            (X86_64, "999@%rax", "it is 255 bytes wide"),
            (X86_64, "8@other(%rip)", "symbol `other` is not in the file"),
            (
                X86_64,
                "8@other@GOTPCREL(%rip)",
                "symbol `other` is not in the file",
            ),
            (X86_64, "8@$sym", "`sym` is the address of a symbol"),
            (
                X86_64,
                "8@sym(,%rax,8)",
                "`sym(,%rax,8)` adds a register to symbol `sym`",
            ),
            (
                X86_64,
                "8@8(%rip)",
                "`8(%rip)` is relative to an unknown instruction",
            ),
            (
                X86_64,
                "8@%fs:8",
                "`%fs:8` is relative to a segment register",
            ),
            (
                X86_64,
                "8@8(%eax)",
                "its address is in narrow register `eax`",
            ),
            (
                X86_64,
                "8@(%rax,%rbx,3)",
                "`(%rax,%rbx,3)` has a scale that is not 1, 2, 4 or 8",
            ),
            (X86_64, "8@8(%rax", "`8(%rax` is not understood"),
            (X86_64, "8@", "`` is not understood"),
            (
                Aarch64,
                "-8@v0",
                "it is in vector register `v0`, which is not in pt_regs",
            ),
            (
                Aarch64,
                "8@[x0, #:lo12:.LANCHOR0]",
                "`[x0, #:lo12:.LANCHOR0]` holds a relocation that only the assembler could resolve",
            ),
            (
                Aarch64,
                "8@[x0, w1]",
                "`[x0, w1]` has an index that is not understood",
            ),
            (Aarch64, "8@[sp, 8]!", "`[sp, 8]!` is not understood"),
            (Aarch64, "8@[w0]", "its address is in narrow register `w0`"),
            (Aarch64, "8@%rax", "`%rax` is not understood"),
            (
                Aarch64,
                "8@[]",
                "its address is in ``, which is not understood",
            ),
        ] {
            let got = parse(arch, text);
            assert_eq!(got.loc, ArgLoc::Unreadable(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn blanks_inside_of_brackets_do_not_split() {
        for (text, want) in [
            ("", &[][..]),
            ("  8@%rax  ", &["8@%rax"]),
            ("-8@[sp, 12] 4@w1", &["-8@[sp, 12]", "4@w1"]),
            (
                "8@[x1, w2, sxtw #3] 8@[x0]",
                &["8@[x1, w2, sxtw #3]", "8@[x0]"],
            ),
            ("8@(%rax, %rbx, 8) 1@$0", &["8@(%rax, %rbx, 8)", "1@$0"]),
            ("8@[x1, 8@x2", &["8@[x1,", "8@x2"]),
            ("8@[ü ] x", &["8@[ü ]", "x"]),
        ] {
            assert_eq!(split_args(text).collect::<Vec<_>>(), want, "{text}");
        }
    }
}
