//! The kernel's dialect, with LLVM's spellings: `r1 = *(u64 *)(r0 +8)`.

use super::cursor::{Cursor, imm32_of, letter};
use super::mnemonic::{kfunc, wide_of};
use super::{Parsed, Problem, Stmt, helper_named};
use crate::asm::table::{ALU, ATOMICS, CONDS, ENDIANS, SIZES};
use crate::asm::{
    AluOp, AtomicOp, Callee, Imm64, Insn, Reg, Size, Src, Width, helper, kfunc::known_name,
};
use crate::{span::Span, suggest::closest};

const WORDS: &[&str] = &[
    "if",
    "goto",
    "gotol",
    "gotox",
    "may_goto",
    "call",
    "callx",
    "exit",
    "lock",
    "store_release",
];

pub(super) fn parse<'a>(c: &mut Cursor<'a>) -> Parsed<Stmt<'a>> {
    if let Some((width, dst)) = c.maybe_reg()? {
        return assignment(c, width, dst);
    }
    if c.eat("*") {
        return store(c).map(Stmt::plain);
    }
    let start = c.span();
    let Some(word) = c.word() else {
        return Err(c.expected("an instruction"));
    };
    let insn = match word {
        "if" => return branch(c),
        "goto" => {
            let (off, target) = target16(c)?;
            return Ok(jump(Insn::Ja { off }, target));
        }
        "gotol" => {
            let (imm, target) = target32(c)?;
            return Ok(jump(Insn::Jal { imm }, target));
        }
        "may_goto" => {
            let (off, target) = target16(c)?;
            return Ok(jump(Insn::MayGoto { off }, target));
        }
        "gotox" => Insn::Jx { dst: c.reg()? },
        "call" => return call(c),
        "callx" => Insn::Callx { dst: c.reg()? },
        "exit" => Insn::Exit,
        "lock" => lock(c)?,
        "store_release" => {
            c.expect("(")?;
            let (size, false, (dst, off)) = pointer(c)? else {
                return Err((
                    c.last_span(),
                    Problem::Expected {
                        what: "an unsigned type",
                        found: "s…".into(),
                    },
                ));
            };
            c.expect(",")?;
            let src = value_reg(c, size)?;
            c.expect(")")?;
            Insn::StoreRelease {
                size,
                dst,
                off,
                src,
            }
        }
        _ if word.starts_with('.') => {
            let name = word.to_owned();
            return Err((start, Problem::Directive { name }));
        }
        _ => {
            let near = closest(word, WORDS.iter().copied()).map(str::to_owned);
            let found = word.to_owned();
            return Err((start, Problem::UnknownWord { found, near }));
        }
    };
    Ok(Stmt::plain(insn))
}

fn jump<'a>(insn: Insn, target: Option<(&'a str, Span)>) -> Stmt<'a> {
    let mut stmt = Stmt::plain(insn);
    stmt.target = target;
    stmt
}

type Target<'a> = Option<(&'a str, Span)>;

/// `pc+3`, `+3`, `+0x3 <sym+0x8>` or a label; the distance is checked against the bounds.
fn target<'a>(
    c: &mut Cursor<'a>,
    what: &'static str,
    min: i64,
    max: i64,
) -> Parsed<(i64, Target<'a>)> {
    let span = c.span();
    let mut found = (0, None);
    match c.word() {
        Some("pc") if matches!(c.peek(), "+" | "-") => found.0 = c.bounded(what, min, max)?,
        Some(label) => found.1 = Some((label, span)),
        None if c.at_end() => return Err(c.expected("a label or a distance")),
        None => found.0 = c.bounded(what, min, max)?,
    }
    if c.eat("<") {
        // The symbol that llvm-objdump puts behind a target says nothing new.
        while !c.at_end() && !c.eat(">") {
            c.bump();
        }
    }
    Ok(found)
}

fn target16<'a>(c: &mut Cursor<'a>) -> Parsed<(i16, Target<'a>)> {
    let (off, label) = target(c, "`off`", i64::from(i16::MIN), i64::from(i16::MAX))?;
    Ok((i16::try_from(off).unwrap_or(0), label))
}

fn target32<'a>(c: &mut Cursor<'a>) -> Parsed<(i32, Target<'a>)> {
    let (imm, label) = target(c, "`imm`", i64::from(i32::MIN), i64::from(i32::MAX))?;
    Ok((i32::try_from(imm).unwrap_or(0), label))
}

/// An operator: an optional `s` and a mark, such as `s>>=`.
fn operator<'a>(c: &mut Cursor<'a>) -> (bool, &'a str, Span) {
    let start = c.span();
    let signed = c.eat("s");
    let mark = c.peek();
    let span = if c.at_end() {
        start
    } else {
        start.to(c.span())
    };
    c.bump();
    (signed, mark, span)
}

fn is_operator(sym: &str, signed: bool, mark: &str) -> bool {
    match sym.strip_prefix('s') {
        Some(rest) => signed && rest == mark,
        None => !signed && sym == mark,
    }
}

fn branch<'a>(c: &mut Cursor<'a>) -> Parsed<Stmt<'a>> {
    let (width, dst) = c.any_reg()?;
    let (signed, mark, span) = operator(c);
    let Some(row) = CONDS.iter().find(|row| is_operator(row.sym, signed, mark)) else {
        let found = mark.to_owned();
        let what = "a comparison (== != > >= < <= & s> s>= s< s<=)";
        return Err((span, Problem::Expected { what, found }));
    };
    let src = operand(c, width)?;
    c.expect("goto")?;
    let (off, label) = target16(c)?;
    let cond = row.cond;
    let insn = Insn::Jmp {
        cond,
        width,
        dst,
        src,
        off,
    };
    Ok(jump(insn, label))
}

fn operand(c: &mut Cursor<'_>, width: Width) -> Parsed<Src> {
    match c.maybe_reg()? {
        Some((found, reg)) if found == width => Ok(Src::Reg(reg)),
        Some(_) => Err((
            c.last_span(),
            Problem::Width {
                need: letter(width),
            },
        )),
        None if c.at_end() => Err(c.expected("a register or a number")),
        None => Ok(Src::Imm(c.imm32()?)),
    }
}

fn call<'a>(c: &mut Cursor<'a>) -> Parsed<Stmt<'a>> {
    let span = c.span();
    if c.peek() == "kernel" {
        c.bump();
        if !(c.eat("-") && c.eat("function") && c.eat("#")) {
            return Err(c.expected("`kernel-function#` and a BTF id"));
        }
        let callee = kfunc(c)?;
        return Ok(Stmt::plain(Insn::Call { callee }));
    }
    let Some(name) = c.word() else {
        let callee = Callee::Helper(c.helper_number()?);
        return Ok(Stmt::plain(Insn::Call { callee }));
    };
    if name == "pc" && matches!(c.peek(), "+" | "-") {
        let distance = c.bounded("`imm`", i64::from(i32::MIN), i64::from(i32::MAX))?;
        let callee = Callee::Local(i32::try_from(distance).unwrap_or(0));
        return Ok(Stmt::plain(Insn::Call { callee }));
    }
    if c.eat("#") {
        let number = c.helper_number()?;
        let known = match name {
            "unknown" => None,
            _ => Some(helper_named(name, span)?),
        };
        if let Some(is) = known.filter(|is| *is != number) {
            let (name, number) = (name.to_owned(), i64::from(number));
            return Err((span, Problem::HelperNumber { name, number, is }));
        }
        let callee = Callee::Helper(number);
        return Ok(Stmt::plain(Insn::Call { callee }));
    }
    if let Some(name) = known_name(name) {
        return Ok(Stmt::kfunc(name));
    }
    if helper::by_name(name).is_some() || name.starts_with("bpf_") {
        let callee = Callee::Helper(helper_named(name, span)?);
        return Ok(Stmt::plain(Insn::Call { callee }));
    }
    let callee = Callee::Local(0);
    Ok(jump(Insn::Call { callee }, Some((name, span))))
}

/// `(r1 +8)`, without its first parenthesis.
fn address(c: &mut Cursor<'_>) -> Parsed<(Reg, i16)> {
    let reg = c.reg()?;
    let off = c.offset()?;
    c.expect(")")?;
    Ok((reg, off))
}

/// `u64 *)`: the type of a pointer, without its first parenthesis.
fn pointee(c: &mut Cursor<'_>) -> Parsed<(Size, bool)> {
    let span = c.span();
    let name = c.word().unwrap_or("");
    for row in SIZES {
        let signed = row.signed == name;
        if signed || row.unsigned == name {
            c.expect("*")?;
            c.expect(")")?;
            return Ok((row.size, signed));
        }
    }
    let found = name.to_owned();
    let what = "a type (u8 u16 u32 u64 s8 s16 s32)";
    Err((span, Problem::Expected { what, found }))
}

/// `(u64 *)(r1 +8)`: type, whether it is signed, address.
fn pointer(c: &mut Cursor<'_>) -> Parsed<(Size, bool, (Reg, i16))> {
    c.expect("(")?;
    let (size, signed) = pointee(c)?;
    c.expect("(")?;
    Ok((size, signed, address(c)?))
}

/// A register that is stored or exchanged; LLVM writes `w` up to four bytes.
fn value_reg(c: &mut Cursor<'_>, size: Size) -> Parsed<Reg> {
    match c.any_reg()? {
        (Width::W32, _) if size == Size::DW => Err((c.last_span(), Problem::Width { need: 'r' })),
        (_, reg) => Ok(reg),
    }
}

fn unsigned(c: &Cursor<'_>, signed: bool) -> Parsed<()> {
    if signed {
        let found = "a signed type".to_owned();
        let what = "an unsigned type";
        return Err((c.last_span(), Problem::Expected { what, found }));
    }
    Ok(())
}

fn store(c: &mut Cursor<'_>) -> Parsed<Insn> {
    let (size, signed, (dst, off)) = pointer(c)?;
    unsigned(c, signed)?;
    c.expect("=")?;
    let src = match c.maybe_reg()? {
        Some((Width::W32, _)) if size == Size::DW => {
            return Err((c.last_span(), Problem::Width { need: 'r' }));
        }
        Some((_, reg)) => Src::Reg(reg),
        None if c.at_end() => return Err(c.expected("a register or a number")),
        None => Src::Imm(c.imm32()?),
    };
    Ok(Insn::Store {
        size,
        dst,
        off,
        src,
    })
}

fn lock(c: &mut Cursor<'_>) -> Parsed<Insn> {
    c.expect("*")?;
    let (size, signed, (dst, off)) = pointer(c)?;
    unsigned(c, signed)?;
    let (_, mark, span) = operator(c);
    let found = ATOMICS
        .iter()
        .find(|row| !row.sym.is_empty() && row.sym == mark);
    let Some(row) = found else {
        let found = mark.to_owned();
        let what = "an atomic operator (+= |= &= ^=)";
        return Err((span, Problem::Expected { what, found }));
    };
    let src = value_reg(c, size)?;
    let op = row.op;
    Ok(Insn::Atomic {
        op,
        size,
        dst,
        off,
        src,
    })
}

fn assignment<'a>(c: &mut Cursor<'a>, width: Width, dst: Reg) -> Parsed<Stmt<'a>> {
    let (signed, mark, span) = operator(c);
    let Some(row) = ALU.iter().find(|row| is_operator(row.sym, signed, mark)) else {
        let found = mark.to_owned();
        let what = "an operator (= += -= *= /= s/= %= s%= |= &= ^= <<= >>= s>>=)";
        return Err((span, Problem::Expected { what, found }));
    };
    let op = row.op;
    if op == AluOp::Mov {
        return value(c, width, dst);
    }
    let src = operand(c, width)?;
    Ok(Stmt::plain(Insn::Alu {
        op,
        width,
        dst,
        src,
    }))
}

/// What stands behind `=`.
fn value<'a>(c: &mut Cursor<'a>, width: Width, dst: Reg) -> Parsed<Stmt<'a>> {
    let start = c.span();
    if let Some((found, src)) = c.maybe_reg()? {
        if found != width {
            return Err((
                start,
                Problem::Width {
                    need: letter(width),
                },
            ));
        }
        return Ok(mov(width, dst, Src::Reg(src)));
    }
    if let Some(number) = c.number()? {
        let span = start.to(c.last_span());
        let wide = c.eat("ll") || c.listed_code() == Some(0x18);
        if !wide {
            return Ok(mov(width, dst, Src::Imm(c.imm32_of(number, span)?)));
        }
        if width == Width::W32 {
            return Err((span, Problem::Width { need: 'r' }));
        }
        let imm = Imm64::Value(wide_of(number, span)?);
        return Ok(Stmt::plain(Insn::LoadImm64 { dst, imm }));
    }
    if c.eat("-") {
        if c.any_reg()? != (width, dst) {
            return Err(same(c, width, dst));
        }
        return Ok(Stmt::plain(Insn::Neg { width, dst }));
    }
    if c.eat("*") {
        return load(c, width, dst).map(Stmt::plain);
    }
    if c.eat("(") {
        return sign_extension(c, width, dst).map(Stmt::plain);
    }
    let Some(word) = c.word() else {
        return Err(c.expected("a value"));
    };
    if let Some(insn) = named_value(c, word, width, dst)? {
        return Ok(Stmt::plain(insn));
    }
    if !matches!(word, "map" | "btf" | "subprog") {
        let near = closest(word, VALUES.iter().copied()).map(str::to_owned);
        let found = word.to_owned();
        return Err((start, Problem::UnknownWord { found, near }));
    }
    let found = c.reference(word)?;
    if width == Width::W32 {
        return Err((start, Problem::Width { need: 'r' }));
    }
    let imm = found.imm;
    Ok(Stmt {
        insn: Insn::LoadImm64 { dst, imm },
        target: found.target,
        map: found.name,
        kfunc: None,
    })
}

const VALUES: &[&str] = &[
    "be16",
    "be32",
    "be64",
    "le16",
    "le32",
    "le64",
    "bswap16",
    "bswap32",
    "bswap64",
    "load_acquire",
    "addr_space_cast",
    "map",
    "btf",
    "subprog",
    "atomic_fetch_add",
    "atomic64_fetch_add",
    "atomic_xchg",
    "atomic64_xchg",
    "atomic_cmpxchg",
    "atomic64_cmpxchg",
    "xchg_64",
    "xchg32_32",
    "cmpxchg_64",
    "cmpxchg32_32",
];

fn mov<'a>(width: Width, dst: Reg, src: Src) -> Stmt<'a> {
    let op = AluOp::Mov;
    Stmt::plain(Insn::Alu {
        op,
        width,
        dst,
        src,
    })
}

fn same(c: &Cursor<'_>, width: Width, reg: Reg) -> (Span, Problem) {
    let need = format!("{}{}", letter(width), reg.number());
    (c.last_span(), Problem::SameRegister { need })
}

fn sign_extension(c: &mut Cursor<'_>, width: Width, dst: Reg) -> Parsed<Insn> {
    let span = c.span();
    let name = c.word().unwrap_or("");
    let Some(row) = SIZES.iter().find(|row| row.signed == name) else {
        let found = name.to_owned();
        let what = "a type (s8 s16 s32)";
        return Err((span, Problem::Expected { what, found }));
    };
    c.expect(")")?;
    let src = c.reg_of(width)?;
    let from = row.size;
    Ok(Insn::Movsx {
        width,
        from,
        dst,
        src,
    })
}

fn load(c: &mut Cursor<'_>, width: Width, dst: Reg) -> Parsed<Insn> {
    c.expect("(")?;
    let (size, signed) = pointee(c)?;
    if c.eat("skb") {
        unsigned(c, signed)?;
        if dst != Reg::R0 {
            return Err((c.last_span(), Problem::OnlyR0));
        }
        return packet(c, size);
    }
    c.expect("(")?;
    let (src, off) = address(c)?;
    if width == Width::W32 && (signed || size == Size::DW) {
        return Err((c.last_span(), Problem::Width { need: 'r' }));
    }
    Ok(Insn::Load {
        size,
        signed,
        dst,
        src,
        off,
    })
}

/// `[14]`, `[r2]`, `[r2 + 14]`.
fn packet(c: &mut Cursor<'_>, size: Size) -> Parsed<Insn> {
    c.expect("[")?;
    let insn = match c.maybe_reg()? {
        None => Insn::LoadAbs {
            size,
            imm: c.imm32()?,
        },
        Some((Width::W32, _)) => return Err((c.last_span(), Problem::Width { need: 'r' })),
        Some((Width::W64, src)) => {
            let imm = if c.eat("+") {
                // The kernel prints a negative number behind the sign: `r2 + -4`.
                c.imm32()?
            } else if c.peek() == "-" {
                c.imm32()?
            } else {
                0
            };
            Insn::LoadInd { size, src, imm }
        }
    };
    c.expect("]")?;
    Ok(insn)
}

/// Values that begin with a word of their own: byte order, casts, atomics.
fn named_value(c: &mut Cursor<'_>, word: &str, width: Width, dst: Reg) -> Parsed<Option<Insn>> {
    for row in ENDIANS {
        let bits = match word.strip_prefix(row.name) {
            Some("16") => 16,
            Some("32") => 32,
            Some("64") => 64,
            _ => continue,
        };
        if width == Width::W32 {
            return Err((c.last_span(), Problem::Width { need: 'r' }));
        }
        if c.any_reg()? != (width, dst) {
            return Err(same(c, width, dst));
        }
        let op = row.op;
        return Ok(Some(Insn::Endian { op, bits, dst }));
    }
    let insn = match word {
        "addr_space_cast" => {
            c.expect("(")?;
            let src = c.reg()?;
            c.expect(",")?;
            let to = c.bounded("an address space", 0, 0xffff)?;
            c.expect(",")?;
            let from = c.bounded("an address space", 0, 0xffff)?;
            c.expect(")")?;
            let imm = imm32_of(i128::from(to << 16 | from), c.last_span())?;
            if width == Width::W32 {
                return Err((c.last_span(), Problem::Width { need: 'r' }));
            }
            Insn::AddrSpaceCast { dst, src, imm }
        }
        "load_acquire" => {
            c.expect("(")?;
            let (size, signed, (src, off)) = pointer(c)?;
            unsigned(c, signed)?;
            c.expect(")")?;
            if width == Width::W32 && size == Size::DW {
                return Err((c.last_span(), Problem::Width { need: 'r' }));
            }
            Insn::LoadAcquire {
                size,
                dst,
                src,
                off,
            }
        }
        "xchg_64" => llvm_exchange(c, AtomicOp::Xchg, Size::DW, dst)?,
        "xchg32_32" => llvm_exchange(c, AtomicOp::Xchg, Size::W, dst)?,
        "cmpxchg_64" => llvm_exchange(c, AtomicOp::Cmpxchg, Size::DW, dst)?,
        "cmpxchg32_32" => llvm_exchange(c, AtomicOp::Cmpxchg, Size::W, dst)?,
        _ => match word
            .strip_prefix("atomic64_")
            .or_else(|| word.strip_prefix("atomic_"))
        {
            Some(name) => atomic(c, word, name, dst)?,
            None => return Ok(None),
        },
    };
    Ok(Some(insn))
}

/// `atomic64_fetch_add((u64 *)(r1 +0), r2)`, after its name.
fn atomic(c: &mut Cursor<'_>, word: &str, name: &str, dst: Reg) -> Parsed<Insn> {
    let named = c.last_span();
    let Some(row) = ATOMICS
        .iter()
        .find(|row| row.sym.is_empty() && row.name == name)
    else {
        let names = VALUES.iter().copied();
        let near = closest(word, names).map(str::to_owned);
        let found = word.to_owned();
        return Err((named, Problem::UnknownWord { found, near }));
    };
    c.expect("(")?;
    let (size, signed, at) = pointer(c)?;
    unsigned(c, signed)?;
    if word.starts_with("atomic64_") && size != Size::DW {
        let what = "`(u64 *)` in an operation on 64 bits";
        let found = "a narrower type".to_owned();
        return Err((named, Problem::Expected { what, found }));
    }
    atomic_end(c, row.op, size, at, dst)
}

/// `xchg_64(r1 + 8, r2)`, after its name.
fn llvm_exchange(c: &mut Cursor<'_>, op: AtomicOp, size: Size, dst: Reg) -> Parsed<Insn> {
    c.expect("(")?;
    let reg = c.reg()?;
    let off = c.offset()?;
    atomic_end(c, op, size, (reg, off), dst)
}

/// `, r0, r2)` of a compare-and-exchange or `, r2)` of the others; the result goes to r0 or to the operand.
fn atomic_end(
    c: &mut Cursor<'_>,
    op: AtomicOp,
    size: Size,
    (dst, off): (Reg, i16),
    result: Reg,
) -> Parsed<Insn> {
    c.expect(",")?;
    if op == AtomicOp::Cmpxchg {
        if value_reg(c, size)? != Reg::R0 || result != Reg::R0 {
            return Err(same(c, Width::W64, Reg::R0));
        }
        c.expect(",")?;
    }
    let src = value_reg(c, size)?;
    if op != AtomicOp::Cmpxchg && src != result {
        return Err(same(c, Width::W64, result));
    }
    c.expect(")")?;
    Ok(Insn::Atomic {
        op,
        size,
        dst,
        off,
        src,
    })
}
