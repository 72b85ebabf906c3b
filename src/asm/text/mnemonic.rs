//! The mnemonic dialect: `ldxdw %r1, [%r0+8]`.

use super::cursor::{Cursor, imm32_of};
use super::{Parsed, Problem, Stmt, helper_named};
use crate::asm::table::{ALU, ATOMICS, AluRow, CONDS, CondRow, ENDIANS, SIZES};
use crate::asm::{
    AtomicOp, Callee, EndianOp, Imm64, Insn, Reg, Size, Src, Width, helper, kfunc::known_name,
};
use crate::{span::Span, suggest::closest};

/// What the first word of a line stands for.
#[derive(Clone, Copy)]
enum Op {
    Alu(&'static AluRow, Width),
    Neg(Width),
    Movsx(Width, Size),
    Endian(EndianOp, u8),
    Load(Size, bool),
    Store(Size),
    StoreReg(Size),
    Acquire(Size),
    Release(Size),
    Wide,
    Abs(Size),
    Ind(Size),
    Ja,
    Jal,
    Jx,
    Jump(&'static CondRow, Width),
    MayGoto,
    Lock,
    Call,
    Callx,
    Exit,
    Cast,
}

fn size_of(suffix: &str) -> Option<Size> {
    SIZES
        .iter()
        .find(|row| row.suffix == suffix)
        .map(|row| row.size)
}

/// A prefix of names, and what it makes of the size behind it.
type Sized = (&'static str, fn(Size) -> Op);

/// `add`, `add32`, `add64`.
fn widths(word: &str) -> [(&str, Width); 2] {
    let narrow = word.strip_suffix("32").map(|name| (name, Width::W32));
    let wide = word.strip_suffix("64").unwrap_or(word);
    [(wide, Width::W64), narrow.unwrap_or(("", Width::W32))]
}

fn op_of(word: &str) -> Option<Op> {
    let fixed = match word {
        "lddw" => Op::Wide,
        "ja" => Op::Ja,
        "ja32" => Op::Jal,
        "jx" => Op::Jx,
        "may_goto" => Op::MayGoto,
        "lock" => Op::Lock,
        "call" => Op::Call,
        "callx" => Op::Callx,
        "exit" => Op::Exit,
        "addr_space_cast" => Op::Cast,
        "movsx832" => Op::Movsx(Width::W32, Size::B),
        "movsx1632" => Op::Movsx(Width::W32, Size::H),
        "movsx864" => Op::Movsx(Width::W64, Size::B),
        "movsx1664" => Op::Movsx(Width::W64, Size::H),
        "movsx3264" => Op::Movsx(Width::W64, Size::W),
        _ => return op_of_table(word),
    };
    Some(fixed)
}

fn op_of_table(word: &str) -> Option<Op> {
    for (name, width) in widths(word) {
        if name == "neg" {
            return Some(Op::Neg(width));
        }
        if let Some(row) = ALU.iter().find(|row| row.name == name) {
            return Some(Op::Alu(row, width));
        }
        if let Some(row) = CONDS.iter().find(|row| row.name == name) {
            return Some(Op::Jump(row, width));
        }
    }
    for row in ENDIANS {
        for name in [row.mnemonic, row.name] {
            let bits = word.strip_prefix(name).and_then(|bits| match bits {
                "16" => Some(16),
                "32" => Some(32),
                "64" => Some(64),
                _ => None,
            });
            if let Some(bits) = bits {
                return Some(Op::Endian(row.op, bits));
            }
        }
    }
    let sized: [Sized; 7] = [
        ("ldx", |size| Op::Load(size, false)),
        ("stx", Op::StoreReg),
        ("st", Op::Store),
        ("ldacq", Op::Acquire),
        ("strel", Op::Release),
        ("ldabs", Op::Abs),
        ("ldind", Op::Ind),
    ];
    for (prefix, make) in sized {
        if let Some(size) = word.strip_prefix(prefix).and_then(size_of) {
            return Some(make(size));
        }
    }
    let signed = word.strip_prefix("ldxs").and_then(size_of);
    signed.map(|size| Op::Load(size, true))
}

/// Every name, for "did you mean".
fn names() -> Vec<String> {
    let fixed = [
        "lddw",
        "ja",
        "ja32",
        "jx",
        "may_goto",
        "lock",
        "call",
        "callx",
        "exit",
        "addr_space_cast",
        "neg",
        "neg32",
        "movsx832",
        "movsx1632",
        "movsx864",
        "movsx1664",
        "movsx3264",
    ];
    let mut names: Vec<String> = fixed.iter().map(|name| (*name).to_owned()).collect();
    for row in ALU {
        names.extend([row.name.to_owned(), format!("{}32", row.name)]);
    }
    for row in CONDS {
        names.extend([row.name.to_owned(), format!("{}32", row.name)]);
    }
    for row in ENDIANS {
        names.extend([16, 32, 64].map(|bits| format!("{}{bits}", row.mnemonic)));
    }
    for row in SIZES {
        let prefixes = ["ldx", "stx", "st", "ldacq", "strel", "ldabs", "ldind"];
        names.extend(prefixes.map(|prefix| format!("{prefix}{}", row.suffix)));
        names.push(format!("ldxs{}", row.suffix));
    }
    names
}

pub(super) fn parse<'a>(c: &mut Cursor<'a>) -> Parsed<Stmt<'a>> {
    let start = c.span();
    let Some(word) = c.word() else {
        return Err(c.expected("an instruction"));
    };
    if word.starts_with('.') {
        let name = word.to_owned();
        return Err((start, Problem::Directive { name }));
    }
    let Some(op) = op_of(word) else {
        let names = names();
        let near = closest(word, names.iter().map(String::as_str)).map(str::to_owned);
        let found = word.to_owned();
        return Err((start, Problem::UnknownWord { found, near }));
    };
    let insn = match op {
        Op::Alu(row, width) => {
            let dst = c.reg()?;
            c.expect(",")?;
            let src = operand(c)?;
            let op = row.op;
            Insn::Alu {
                op,
                width,
                dst,
                src,
            }
        }
        Op::Neg(width) => Insn::Neg {
            width,
            dst: c.reg()?,
        },
        Op::Movsx(width, from) => {
            let dst = c.reg()?;
            c.expect(",")?;
            let src = c.reg()?;
            Insn::Movsx {
                width,
                from,
                dst,
                src,
            }
        }
        Op::Endian(op, bits) => Insn::Endian {
            op,
            bits,
            dst: c.reg()?,
        },
        Op::Load(size, signed) => {
            let (dst, src, off) = reg_memory(c)?;
            Insn::Load {
                size,
                signed,
                dst,
                src,
                off,
            }
        }
        Op::Acquire(size) => {
            let (dst, src, off) = reg_memory(c)?;
            Insn::LoadAcquire {
                size,
                dst,
                src,
                off,
            }
        }
        Op::Store(size) => {
            let (dst, off) = memory(c)?;
            c.expect(",")?;
            let src = Src::Imm(c.imm32()?);
            Insn::Store {
                size,
                dst,
                off,
                src,
            }
        }
        Op::StoreReg(size) => {
            let (dst, off) = memory(c)?;
            c.expect(",")?;
            let src = Src::Reg(c.reg()?);
            Insn::Store {
                size,
                dst,
                off,
                src,
            }
        }
        Op::Release(size) => {
            let (dst, off) = memory(c)?;
            c.expect(",")?;
            let src = c.reg()?;
            Insn::StoreRelease {
                size,
                dst,
                off,
                src,
            }
        }
        Op::Wide => return wide(c),
        Op::Abs(size) => Insn::LoadAbs {
            size,
            imm: c.imm32()?,
        },
        Op::Ind(size) => {
            let src = c.reg()?;
            c.expect(",")?;
            let imm = c.imm32()?;
            Insn::LoadInd { size, src, imm }
        }
        Op::Ja => {
            let (off, target) = target16(c)?;
            return Ok(jump(Insn::Ja { off }, target));
        }
        Op::Jal => {
            let (imm, target) = target32(c)?;
            return Ok(jump(Insn::Jal { imm }, target));
        }
        Op::MayGoto => {
            let (off, target) = target16(c)?;
            return Ok(jump(Insn::MayGoto { off }, target));
        }
        Op::Jump(row, width) => {
            let dst = c.reg()?;
            c.expect(",")?;
            let src = operand(c)?;
            c.expect(",")?;
            let (off, target) = target16(c)?;
            let cond = row.cond;
            let insn = Insn::Jmp {
                cond,
                width,
                dst,
                src,
                off,
            };
            return Ok(jump(insn, target));
        }
        Op::Jx => Insn::Jx { dst: c.reg()? },
        Op::Lock => lock(c)?,
        Op::Call => return call(c),
        Op::Callx => Insn::Callx { dst: c.reg()? },
        Op::Exit => Insn::Exit,
        Op::Cast => {
            let dst = c.reg()?;
            c.expect(",")?;
            let src = c.reg()?;
            c.expect(",")?;
            let to = c.bounded("an address space", 0, 0xffff)?;
            c.expect(",")?;
            let from = c.bounded("an address space", 0, 0xffff)?;
            let imm = imm32_of(i128::from(to << 16 | from), c.last_span())?;
            Insn::AddrSpaceCast { dst, src, imm }
        }
    };
    Ok(Stmt::plain(insn))
}

fn jump<'a>(insn: Insn, target: Option<(&'a str, Span)>) -> Stmt<'a> {
    let mut stmt = Stmt::plain(insn);
    stmt.target = target;
    stmt
}

fn operand(c: &mut Cursor<'_>) -> Parsed<Src> {
    match c.maybe_reg()? {
        Some((Width::W64, reg)) => Ok(Src::Reg(reg)),
        Some((Width::W32, _)) => Err((c.last_span(), Problem::Width { need: 'r' })),
        None => match c.peek() {
            "" => Err(c.expected("a register or a number")),
            _ => Ok(Src::Imm(c.imm32()?)),
        },
    }
}

/// `[%r1+8]`.
fn memory(c: &mut Cursor<'_>) -> Parsed<(Reg, i16)> {
    c.expect("[")?;
    let reg = c.reg()?;
    let off = c.offset()?;
    c.expect("]")?;
    Ok((reg, off))
}

/// `%r1, [%r2+8]`.
fn reg_memory(c: &mut Cursor<'_>) -> Parsed<(Reg, Reg, i16)> {
    let dst = c.reg()?;
    c.expect(",")?;
    let (src, off) = memory(c)?;
    Ok((dst, src, off))
}

type Target<'a> = Option<(&'a str, Span)>;

fn target16<'a>(c: &mut Cursor<'a>) -> Parsed<(i16, Target<'a>)> {
    let span = c.span();
    if let Some(label) = c.word() {
        return Ok((0, Some((label, span))));
    }
    if c.at_end() {
        return Err(c.expected("a label or a distance"));
    }
    let off = c.bounded("`off`", i64::from(i16::MIN), i64::from(i16::MAX))?;
    Ok((i16::try_from(off).unwrap_or(0), None))
}

fn target32<'a>(c: &mut Cursor<'a>) -> Parsed<(i32, Target<'a>)> {
    let span = c.span();
    if let Some(label) = c.word() {
        return Ok((0, Some((label, span))));
    }
    if c.at_end() {
        return Err(c.expected("a label or a distance"));
    }
    let imm = c.bounded("`imm`", i64::from(i32::MIN), i64::from(i32::MAX))?;
    Ok((i32::try_from(imm).unwrap_or(0), None))
}

fn wide<'a>(c: &mut Cursor<'a>) -> Parsed<Stmt<'a>> {
    let dst = c.reg()?;
    c.expect(",")?;
    if let Some(word) = c.word() {
        let found = c.reference(word)?;
        let imm = found.imm;
        return Ok(Stmt {
            insn: Insn::LoadImm64 { dst, imm },
            target: found.target,
            map: found.name,
            kfunc: None,
        });
    }
    let imm = Imm64::Value(wide_number(c)?);
    Ok(Stmt::plain(Insn::LoadImm64 { dst, imm }))
}

/// A number of 64 bits, signed or not.
pub(super) fn wide_number(c: &mut Cursor<'_>) -> Parsed<u64> {
    let start = c.span();
    let Some(value) = c.number()? else {
        return Err(c.expected("a number"));
    };
    wide_of(value, start.to(c.last_span()))
}

pub(super) fn wide_of(value: i128, span: Span) -> Parsed<u64> {
    let signed = i64::try_from(value).map(i64::cast_unsigned);
    signed.or(u64::try_from(value)).map_err(|_| {
        let problem = Problem::Range {
            what: "a 64-bit immediate",
            value: value.to_string(),
            min: i64::MIN,
            max: i64::MAX,
        };
        (span, problem)
    })
}

fn lock(c: &mut Cursor<'_>) -> Parsed<Insn> {
    let mut fetch = c.eat("fetch");
    let span = c.span();
    let Some(word) = c.word() else {
        return Err(c.expected("an atomic operation"));
    };
    let (name, size) = match word.strip_suffix("32") {
        Some(name) => (name, Size::W),
        None => (word.strip_suffix("64").unwrap_or(word), Size::DW),
    };
    let name = match name.strip_prefix("fetch_") {
        Some(rest) => {
            fetch = true;
            rest
        }
        None => name,
    };
    let full = format!("{}{name}", if fetch { "fetch_" } else { "" });
    let found = ATOMICS.iter().find(|row| match row.op {
        // These return the old value with and without the word.
        AtomicOp::Xchg | AtomicOp::Cmpxchg => row.name == name,
        _ => row.name == full,
    });
    let Some(row) = found else {
        let names = ATOMICS.iter().map(|row| row.name);
        let near = closest(name, names).map(str::to_owned);
        let found = format!("lock {word}");
        return Err((span, Problem::UnknownWord { found, near }));
    };
    let (dst, off) = memory(c)?;
    c.expect(",")?;
    let src = c.reg()?;
    let op = row.op;
    Ok(Insn::Atomic {
        op,
        size,
        dst,
        off,
        src,
    })
}

fn call<'a>(c: &mut Cursor<'a>) -> Parsed<Stmt<'a>> {
    let start = c.span();
    match c.peek() {
        "local" => {
            c.bump();
            let (distance, target) = target32(c)?;
            let callee = Callee::Local(distance);
            return Ok(jump(Insn::Call { callee }, target));
        }
        "helper" => c.bump(),
        "kfunc" | "runtime" => {
            c.bump();
            let callee = kfunc(c)?;
            return Ok(Stmt::plain(Insn::Call { callee }));
        }
        _ => {}
    }
    let span = c.span();
    if let Some(name) = c.word() {
        if let Some(name) = known_name(name) {
            return Ok(Stmt::kfunc(name));
        }
        // A bare name is a helper if there is one; `call local` names a label.
        let id = match helper::by_name(name) {
            Some(helper) => helper.id,
            None if start == span && !name.starts_with("bpf_") => {
                let callee = Callee::Local(0);
                return Ok(jump(Insn::Call { callee }, Some((name, span))));
            }
            None => helper_named(name, span)?,
        };
        let callee = Callee::Helper(id);
        return Ok(Stmt::plain(Insn::Call { callee }));
    }
    if c.peek() == "%" {
        // bpf_conformance's way to write `callx`.
        return Ok(Stmt::plain(Insn::Callx { dst: c.reg()? }));
    }
    let callee = Callee::Helper(c.helper_number()?);
    Ok(Stmt::plain(Insn::Call { callee }))
}

/// `4321` or `4321@2`: a BTF id, and the index into `fd_array`.
pub(super) fn kfunc(c: &mut Cursor<'_>) -> Parsed<Callee> {
    let id = c.imm32()?;
    let off = if c.eat("@") {
        c.bounded("`off`", i64::from(i16::MIN), i64::from(i16::MAX))?
    } else {
        0
    };
    let off = i16::try_from(off).unwrap_or(0);
    Ok(Callee::Kfunc { id, off })
}
