//! Bytes to instructions, strictly: whatever is accepted encodes to the same bytes again.

use super::raw::Raw;
use super::table::{self, *};
use super::{AluOp, AtomicOp, Callee, Cond, EndianOp, Imm64, Insn, Reg, Size, Src, Width};
use std::fmt;

/// A field of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 9669 §3.1")]
pub enum Field {
    Code,
    Dst,
    Src,
    Off,
    Imm,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Code => "code",
            Field::Dst => "dst",
            Field::Src => "src",
            Field::Off => "off",
            Field::Imm => "imm",
        })
    }
}

/// Bytes that are no instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end inside a slot.
    Half {
        /// The slot that is cut.
        slot: usize,
        /// How many of its eight bytes are there.
        bytes: usize,
    },
    /// The second slot of a wide immediate is missing.
    WideCut {
        /// The first slot.
        slot: usize,
    },
    /// No instruction has this code byte.
    UnknownCode {
        /// Where.
        slot: usize,
        /// The byte.
        code: u8,
    },
    /// Registers end at r10.
    Register {
        /// Where.
        slot: usize,
        /// `dst` or `src`.
        field: Field,
        /// The number found.
        number: u8,
    },
    /// A field that this instruction does not use is not zero.
    Reserved {
        /// Where.
        slot: usize,
        /// The field.
        field: Field,
        /// What it holds.
        value: i32,
    },
    /// A field has a value that selects nothing.
    Value {
        /// Where.
        slot: usize,
        /// The field.
        field: Field,
        /// What it holds.
        value: i32,
        /// What it may hold.
        allowed: &'static str,
    },
}

impl DecodeError {
    /// The slot at fault.
    pub const fn slot(&self) -> usize {
        match *self {
            DecodeError::Half { slot, .. }
            | DecodeError::WideCut { slot }
            | DecodeError::UnknownCode { slot, .. }
            | DecodeError::Register { slot, .. }
            | DecodeError::Reserved { slot, .. }
            | DecodeError::Value { slot, .. } => slot,
        }
    }

    /// The field at fault, if it is one field.
    pub const fn field(&self) -> Option<Field> {
        match *self {
            DecodeError::Half { .. } | DecodeError::WideCut { .. } => None,
            DecodeError::UnknownCode { .. } => Some(Field::Code),
            DecodeError::Register { field, .. }
            | DecodeError::Reserved { field, .. }
            | DecodeError::Value { field, .. } => Some(field),
        }
    }

    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            DecodeError::Half { .. } => {
                "a program is a whole number of 8-byte slots; is the file cut, or not raw instructions?"
            }
            DecodeError::WideCut { .. } => {
                "a wide immediate (code 0x18) takes two slots; add the second"
            }
            DecodeError::UnknownCode { .. } => {
                "is this raw little-endian eBPF? an ELF object begins with 7f 45 4c 46"
            }
            DecodeError::Register { .. } => "registers are r0 to r10",
            DecodeError::Reserved { .. } => "set the field to 0 (RFC 9669 §3.1)",
            DecodeError::Value { .. } => "see RFC 9669 §4 and §5 for what the field selects",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            DecodeError::Half { slot, bytes } => {
                write!(f, "decode slot {slot}: only {bytes} of 8 bytes are there")
            }
            DecodeError::WideCut { slot } => write!(
                f,
                "decode slot {slot}: the second slot of a wide immediate is missing"
            ),
            DecodeError::UnknownCode { slot, code } => {
                write!(f, "decode slot {slot}: no instruction has code {code:#04x}")
            }
            DecodeError::Register {
                slot,
                field,
                number,
            } => write!(
                f,
                "decode slot {slot}: `{field}` is {number}; there is no r{number}"
            ),
            DecodeError::Reserved { slot, field, value } => write!(
                f,
                "decode slot {slot}: `{field}` is {value}, but this instruction does not use it"
            ),
            DecodeError::Value {
                slot,
                field,
                value,
                allowed,
            } => write!(
                f,
                "decode slot {slot}: `{field}` is {value:#x}; it may be {allowed}"
            ),
        }
    }
}

impl std::error::Error for DecodeError {}

/// What a code byte stands for.
#[derive(Clone, Copy)]
enum Form {
    Unknown,
    /// Arithmetic: the operation for `off` 0, and the one for `off` 1.
    Alu(Width, bool, AluOp, Option<AluOp>),
    /// `mov` from a register: `off` selects sign extension or a cast.
    MovX(Width),
    Neg(Width),
    Endian(EndianOp),
    Load(Size, bool),
    StoreImm(Size),
    StoreReg(Size),
    Atomic(Size),
    Wide,
    Abs(Size),
    Ind(Size),
    Ja,
    Jal,
    Jx,
    Jmp(Cond, Width, bool),
    MayGoto,
    Call,
    Callx,
    Exit,
}

/// Every code byte's form, worked out from the tables at compile time.
static FORMS: [Form; 256] = forms();

const fn forms() -> [Form; 256] {
    let mut t = [Form::Unknown; 256];
    let mut i = 0;
    while i < ALU.len() {
        let row = &ALU[i];
        let mut w = 0;
        while w < 2 {
            let (width, class) = if w == 0 {
                (Width::W32, CLASS_ALU)
            } else {
                (Width::W64, CLASS_ALU64)
            };
            let k = (row.code | class) as usize;
            let x = (row.code | class | SRC_X) as usize;
            if row.off == 0 {
                t[k] = Form::Alu(width, false, row.op, None);
                t[x] = match row.op {
                    AluOp::Mov => Form::MovX(width),
                    op => Form::Alu(width, true, op, None),
                };
            } else if let Form::Alu(_, _, base, _) = t[k] {
                t[k] = Form::Alu(width, false, base, Some(row.op));
                t[x] = Form::Alu(width, true, base, Some(row.op));
            }
            w += 1;
        }
        i += 1;
    }
    t[(OP_NEG | CLASS_ALU) as usize] = Form::Neg(Width::W32);
    t[(OP_NEG | CLASS_ALU64) as usize] = Form::Neg(Width::W64);
    i = 0;
    while i < ENDIANS.len() {
        t[ENDIANS[i].code as usize] = Form::Endian(ENDIANS[i].op);
        i += 1;
    }
    i = 0;
    while i < CONDS.len() {
        let row = &CONDS[i];
        t[(row.code | CLASS_JMP) as usize] = Form::Jmp(row.cond, Width::W64, false);
        t[(row.code | CLASS_JMP | SRC_X) as usize] = Form::Jmp(row.cond, Width::W64, true);
        t[(row.code | CLASS_JMP32) as usize] = Form::Jmp(row.cond, Width::W32, false);
        t[(row.code | CLASS_JMP32 | SRC_X) as usize] = Form::Jmp(row.cond, Width::W32, true);
        i += 1;
    }
    i = 0;
    while i < SIZES.len() {
        let size = SIZES[i].size;
        let bits = SIZES[i].code;
        t[(MODE_MEM | bits | CLASS_LDX) as usize] = Form::Load(size, false);
        t[(MODE_MEM | bits | CLASS_ST) as usize] = Form::StoreImm(size);
        t[(MODE_MEM | bits | CLASS_STX) as usize] = Form::StoreReg(size);
        t[(MODE_ATOMIC | bits | CLASS_STX) as usize] = Form::Atomic(size);
        if !matches!(size, Size::DW) {
            t[(MODE_MEMSX | bits | CLASS_LDX) as usize] = Form::Load(size, true);
            t[(MODE_ABS | bits | CLASS_LD) as usize] = Form::Abs(size);
            t[(MODE_IND | bits | CLASS_LD) as usize] = Form::Ind(size);
        }
        i += 1;
    }
    t[(MODE_IMM | table::size_row(Size::DW).code | CLASS_LD) as usize] = Form::Wide;
    t[(OP_JA | CLASS_JMP) as usize] = Form::Ja;
    t[(OP_JA | CLASS_JMP32) as usize] = Form::Jal;
    t[(OP_JA | SRC_X | CLASS_JMP) as usize] = Form::Jx;
    t[(OP_JCOND | CLASS_JMP) as usize] = Form::MayGoto;
    t[(OP_CALL | CLASS_JMP) as usize] = Form::Call;
    t[(OP_CALL | SRC_X | CLASS_JMP) as usize] = Form::Callx;
    t[(OP_EXIT | CLASS_JMP) as usize] = Form::Exit;
    t
}

/// The bits of a slot, read as a little-endian number, that each code byte leaves unused: they must be zero.
static UNUSED: [u64; 256] = unused();

const CODE: u64 = 0x0000_00ff;
const DST: u64 = 0x0000_0f00;
const SRC: u64 = 0x0000_f000;
const OFF: u64 = 0xffff_0000;
const IMM: u64 = 0xffff_ffff_0000_0000;

const fn unused() -> [u64; 256] {
    let mut t = [0; 256];
    let mut code = 0;
    while code < 256 {
        t[code] = match FORMS[code] {
            Form::Alu(_, true, _, None) => OFF | IMM,
            Form::Alu(_, false, _, None) => OFF | SRC,
            // `off` tells signed from unsigned.
            Form::Alu(_, true, _, Some(_)) | Form::Jmp(_, _, true) => IMM,
            Form::Alu(_, false, _, Some(_)) | Form::Jmp(_, _, false) => SRC,
            Form::Neg(_) | Form::Jx | Form::Callx => SRC | OFF | IMM,
            Form::Endian(_) => SRC | OFF,
            Form::Load(..) | Form::StoreReg(_) => IMM,
            Form::StoreImm(_) => SRC,
            Form::Abs(_) | Form::Jal => DST | SRC | OFF,
            Form::Ind(_) => DST | OFF,
            Form::Ja => DST | SRC | IMM,
            Form::Exit => DST | SRC | OFF | IMM,
            // `src` selects, and is checked where it is looked at.
            Form::MayGoto => DST | IMM,
            Form::Wide => OFF,
            Form::Call => DST,
            Form::Unknown | Form::MovX(_) | Form::Atomic(_) => 0,
        };
        code += 1;
    }
    t
}

/// Instructions decoded in one go.
const AT_ONCE: usize = 256;

/// The instructions of a program's bytes.
///
/// # Errors
/// [`DecodeError`] at the first slot that is no instruction: unknown code, register above r10, a reserved field
/// that is not zero, a cut slot.
pub fn decode(bytes: &[u8]) -> Result<Vec<Insn>, DecodeError> {
    let slots = bytes.len().div_ceil(8);
    let mut insns = Vec::with_capacity(slots);
    let mut slot = 0;
    while slot < slots {
        // Room for a few, while it is in the cache.
        let start = insns.len();
        insns.resize(start + AT_ONCE.min(slots - slot), Insn::Exit);
        let mut count = start;
        for insn in insns.iter_mut().skip(start) {
            if slot >= slots {
                break;
            }
            read(bytes, slot, insn)?;
            slot += insn.slots();
            count += 1;
        }
        insns.truncate(count);
    }
    Ok(insns)
}

/// The instruction that begins at a slot, for readers that go on after an error.
///
/// # Errors
/// As [`decode`]; a slot past the end is [`DecodeError::Half`] with 0 bytes.
pub fn decode_at(bytes: &[u8], slot: usize) -> Result<Insn, DecodeError> {
    let mut insn = Insn::Exit;
    read(bytes, slot, &mut insn)?;
    Ok(insn)
}

/// Writes the instruction to its place at once: returned by value, it would go through the stack piece by piece, which
/// takes as long as all the rest.
#[inline(always)]
fn read(bytes: &[u8], slot: usize, insn: &mut Insn) -> Result<(), DecodeError> {
    let raw = raw_at(bytes, slot)?;
    let field = Check { slot, raw };
    let code = usize::from(raw.code);
    let form = FORMS[code];
    if u64::from_le_bytes(raw.to_bytes()) & UNUSED[code] != 0 {
        return Err(field.first_of(UNUSED[code]));
    }
    let (Some(dst), src) = (Reg::new(raw.dst), Reg::new(raw.src)) else {
        return Err(match form {
            Form::Unknown => field.unknown(),
            _ => field.no_register(Field::Dst, raw.dst),
        });
    };
    let src = match (src, form) {
        (Some(src), _) => src,
        // There `src` is no register.
        (None, Form::Unknown | Form::Call | Form::MayGoto | Form::Wide) => Reg::R0,
        (None, _) => return Err(field.no_register(Field::Src, raw.src)),
    };
    let (off, imm) = (raw.off, raw.imm);
    let operand = |is_reg| match is_reg {
        true => Src::Reg(src),
        false => Src::Imm(imm),
    };
    match form {
        Form::Unknown => return Err(field.unknown()),
        Form::Alu(width, is_reg, op, signed) => {
            let op = match (off, signed) {
                (0, _) => op,
                (1, Some(op)) => op,
                _ => return Err(field.value(Field::Off, "0 (unsigned) or 1 (signed)")),
            };
            let src = operand(is_reg);
            *insn = Insn::Alu {
                op,
                width,
                dst,
                src,
            };
        }
        Form::MovX(width) => *insn = mov_reg(&field, width, dst, src)?,
        Form::Neg(width) => *insn = Insn::Neg { width, dst },
        Form::Endian(op) => {
            let bits = match imm {
                16 => 16,
                32 => 32,
                64 => 64,
                _ => return Err(field.value(Field::Imm, "16, 32 or 64")),
            };
            *insn = Insn::Endian { op, bits, dst };
        }
        Form::Load(size, signed) => {
            *insn = Insn::Load {
                size,
                signed,
                dst,
                src,
                off,
            };
        }
        Form::StoreImm(size) => {
            let src = Src::Imm(imm);
            *insn = Insn::Store {
                size,
                dst,
                off,
                src,
            };
        }
        Form::StoreReg(size) => {
            let src = Src::Reg(src);
            *insn = Insn::Store {
                size,
                dst,
                off,
                src,
            };
        }
        Form::Atomic(size) => *insn = atomic(&field, size, dst, src)?,
        Form::Wide => *insn = wide(&field, dst, bytes)?,
        Form::Abs(size) => *insn = Insn::LoadAbs { size, imm },
        Form::Ind(size) => *insn = Insn::LoadInd { size, src, imm },
        Form::Ja => *insn = Insn::Ja { off },
        Form::Jal => *insn = Insn::Jal { imm },
        Form::Jx => *insn = Insn::Jx { dst },
        Form::Jmp(cond, width, is_reg) => {
            let src = operand(is_reg);
            *insn = Insn::Jmp {
                cond,
                width,
                dst,
                src,
                off,
            };
        }
        Form::MayGoto if raw.src == 0 => *insn = Insn::MayGoto { off },
        Form::MayGoto => return Err(field.value(Field::Src, "0 (may_goto)")),
        Form::Call => {
            let callee = match (raw.src, off) {
                (0, 0) => Callee::Helper(imm as u32),
                (1, 0) => Callee::Local(imm),
                (2, off) => Callee::Kfunc { id: imm, off },
                (0 | 1, _) => return Err(field.reserved(Field::Off)),
                _ => {
                    let allowed = "0 (helper), 1 (local function) or 2 (kfunc)";
                    return Err(field.value(Field::Src, allowed));
                }
            };
            *insn = Insn::Call { callee };
        }
        Form::Callx => *insn = Insn::Callx { dst },
        Form::Exit => *insn = Insn::Exit,
    }
    Ok(())
}

fn raw_at(bytes: &[u8], slot: usize) -> Result<Raw, DecodeError> {
    let rest = slot
        .checked_mul(8)
        .and_then(|at| bytes.get(at..))
        .unwrap_or(&[]);
    match rest.first_chunk::<8>() {
        Some(chunk) => Ok(Raw::from_bytes(*chunk)),
        None => {
            let bytes = rest.len();
            Err(DecodeError::Half { slot, bytes })
        }
    }
}

fn mov_reg(field: &Check, width: Width, dst: Reg, src: Reg) -> Result<Insn, DecodeError> {
    let raw = field.raw;
    if raw.off == OFF_ADDR_SPACE_CAST && matches!(width, Width::W64) {
        let imm = raw.imm;
        return Ok(Insn::AddrSpaceCast { dst, src, imm });
    }
    if raw.imm != 0 {
        return Err(field.reserved(Field::Imm));
    }
    let from = match (raw.off, width) {
        (0, _) => {
            return Ok(Insn::Alu {
                op: AluOp::Mov,
                width,
                dst,
                src: Src::Reg(src),
            });
        }
        (8, _) => Size::B,
        (16, _) => Size::H,
        (32, Width::W64) => Size::W,
        (_, Width::W64) => {
            return Err(field.value(
                Field::Off,
                "0 (plain), 1 (address space cast), or 8, 16, 32 (sign extension)",
            ));
        }
        (_, Width::W32) => {
            return Err(field.value(Field::Off, "0 (plain), or 8, 16 (sign extension)"));
        }
    };
    Ok(Insn::Movsx {
        width,
        from,
        dst,
        src,
    })
}

fn atomic(field: &Check, size: Size, dst: Reg, src: Reg) -> Result<Insn, DecodeError> {
    let raw = field.raw;
    let off = raw.off;
    match raw.imm {
        LOAD_ACQ => {
            return Ok(Insn::LoadAcquire {
                size,
                dst,
                src,
                off,
            });
        }
        STORE_REL => {
            return Ok(Insn::StoreRelease {
                size,
                dst,
                off,
                src,
            });
        }
        _ => {}
    }
    if !matches!(size, Size::W | Size::DW) {
        return Err(field.value(
            Field::Imm,
            "0x100 (load-acquire) or 0x110 (store-release) for this size",
        ));
    }
    let op = match ATOMICS.iter().find(|row| row.imm == raw.imm) {
        Some(row) => row.op,
        None => return Err(field.value(Field::Imm, ATOMIC_IMMS)),
    };
    Ok(atomic_insn(op, size, dst, off, src))
}

const ATOMIC_IMMS: &str = "0, 0x40, 0x50, 0xa0 (add, or, and, xor), the same plus 1 (with fetch), 0xe1 (xchg), \
                           0xf1 (cmpxchg), 0x100 (load-acquire), 0x110 (store-release)";

const fn atomic_insn(op: AtomicOp, size: Size, dst: Reg, off: i16, src: Reg) -> Insn {
    Insn::Atomic {
        op,
        size,
        dst,
        off,
        src,
    }
}

fn wide(field: &Check, dst: Reg, bytes: &[u8]) -> Result<Insn, DecodeError> {
    let slot = field.slot;
    let raw = field.raw;
    let Some(row) = PSEUDOS.get(usize::from(raw.src)) else {
        return Err(field.value(Field::Src, "0 to 6 (RFC 9669 §5.4)"));
    };
    let second = Check {
        slot: slot + 1,
        raw: match raw_at(bytes, slot + 1) {
            Ok(raw) => raw,
            Err(DecodeError::Half { bytes: 0, .. }) => return Err(DecodeError::WideCut { slot }),
            Err(error) => return Err(error),
        },
    };
    let unused = CODE | DST | SRC | OFF | if row.high { 0 } else { IMM };
    if u64::from_le_bytes(second.raw.to_bytes()) & unused != 0 {
        return Err(second.first_of(unused));
    }
    let (low, high) = (raw.imm, second.raw.imm);
    let imm = match raw.src {
        0 => Imm64::Value(u64::from(high as u32) << 32 | u64::from(low as u32)),
        1 => Imm64::MapFd(low),
        2 => Imm64::MapValue {
            fd: low,
            off: high as u32,
        },
        3 => Imm64::BtfId {
            id: low,
            obj_fd: high,
        },
        4 => Imm64::Func(low),
        5 => Imm64::MapIdx(low),
        _ => Imm64::MapIdxValue {
            idx: low,
            off: high as u32,
        },
    };
    Ok(Insn::LoadImm64 { dst, imm })
}

/// A slot being checked.
struct Check {
    slot: usize,
    raw: Raw,
}

impl Check {
    #[cold]
    fn no_register(&self, field: Field, number: u8) -> DecodeError {
        let slot = self.slot;
        DecodeError::Register {
            slot,
            field,
            number,
        }
    }

    #[cold]
    fn unknown(&self) -> DecodeError {
        let (slot, code) = (self.slot, self.raw.code);
        DecodeError::UnknownCode { slot, code }
    }

    /// The first of the fields that these bits cover and that is not zero.
    #[cold]
    fn first_of(&self, bits: u64) -> DecodeError {
        let all = [
            (CODE, Field::Code),
            (DST, Field::Dst),
            (SRC, Field::Src),
            (OFF, Field::Off),
            (IMM, Field::Imm),
        ];
        let found = all
            .iter()
            .find(|(mask, field)| mask & bits != 0 && self.held(*field) != 0);
        self.reserved(found.map_or(Field::Imm, |(_, field)| *field))
    }

    fn held(&self, field: Field) -> i32 {
        match field {
            Field::Code => i32::from(self.raw.code),
            Field::Dst => i32::from(self.raw.dst),
            Field::Src => i32::from(self.raw.src),
            Field::Off => i32::from(self.raw.off),
            Field::Imm => self.raw.imm,
        }
    }

    #[cold]
    fn reserved(&self, field: Field) -> DecodeError {
        DecodeError::Reserved {
            slot: self.slot,
            field,
            value: self.held(field),
        }
    }

    #[cold]
    fn value(&self, field: Field, allowed: &'static str) -> DecodeError {
        DecodeError::Value {
            slot: self.slot,
            field,
            value: self.held(field),
            allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::encode;

    #[test]
    fn faults_name_slot_and_field() {
        // Behind a good slot, so that every fault is in slot 1.
        let rows: &[(&[u8], Option<Field>, &str)] = &[
            (&[0xb7, 0, 0], None, "only 3 of 8 bytes"),
            (
                &[0x18, 1, 0, 0, 1, 0, 0, 0],
                None,
                "second slot of a wide immediate is missing",
            ),
            (&[0xff, 0, 0, 0, 0, 0, 0, 0], Some(Field::Code), "code 0xff"),
            (
                &[0xb7, 0x0b, 0, 0, 0, 0, 0, 0],
                Some(Field::Dst),
                "there is no r11",
            ),
            (
                &[0xbf, 0xf0, 0, 0, 0, 0, 0, 0],
                Some(Field::Src),
                "there is no r15",
            ),
            (
                &[0xb7, 0x10, 0, 0, 0, 0, 0, 0],
                Some(Field::Src),
                "`src` is 1, but",
            ),
            (
                &[0x07, 0, 1, 0, 0, 0, 0, 0],
                Some(Field::Off),
                "`off` is 1, but",
            ),
            (
                &[0x37, 0, 2, 0, 0, 0, 0, 0],
                Some(Field::Off),
                "0 (unsigned) or 1 (signed)",
            ),
            (
                &[0x95, 0, 0, 0, 1, 0, 0, 0],
                Some(Field::Imm),
                "`imm` is 1, but",
            ),
            (
                &[0xd4, 0, 0, 0, 8, 0, 0, 0],
                Some(Field::Imm),
                "16, 32 or 64",
            ),
            (
                &[0xbf, 0, 4, 0, 0, 0, 0, 0],
                Some(Field::Off),
                "sign extension",
            ),
            (
                &[0xdb, 0, 0, 0, 2, 0, 0, 0],
                Some(Field::Imm),
                "0xe1 (xchg)",
            ),
            (
                &[0xd3, 0, 0, 0, 0, 0, 0, 0],
                Some(Field::Imm),
                "load-acquire",
            ),
            (
                &[0x85, 0x30, 0, 0, 0, 0, 0, 0],
                Some(Field::Src),
                "2 (kfunc)",
            ),
            (
                &[0xe5, 0x10, 0, 0, 0, 0, 0, 0],
                Some(Field::Src),
                "may_goto",
            ),
        ];
        for (bytes, field, message) in rows {
            let mut all = vec![0xb7, 0, 0, 0, 0, 0, 0, 0];
            all.extend(*bytes);
            let error = decode(&all).unwrap_err();
            assert_eq!(error.slot(), 1, "{bytes:x?}");
            assert_eq!(error.field(), *field, "{bytes:x?}");
            let text = error.to_string();
            assert!(text.contains(message), "{bytes:x?}: {text}");
        }
    }

    #[test]
    fn the_second_slot_is_checked_too() {
        for at in [0, 1, 2] {
            let mut bytes = [0; 16];
            bytes[0] = 0x18;
            bytes[8 + at] = 1;
            let error = decode(&bytes).unwrap_err();
            assert_eq!(error.slot(), 1);
            assert!(matches!(error, DecodeError::Reserved { .. }));
        }
        // A map by descriptor has no upper half.
        let bytes = [0x18, 0x11, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(decode(&bytes).unwrap_err().field(), Some(Field::Imm));
    }

    #[test]
    fn what_has_no_bytes_is_refused() {
        let (dst, src) = (Reg::R0, Reg::R1);
        for (insn, message) in [
            (
                Insn::Movsx {
                    width: Width::W32,
                    from: Size::W,
                    dst,
                    src,
                },
                "encode insn 1: a sign-extending move from 32 to 32 bits",
            ),
            (
                Insn::Endian {
                    op: EndianOp::ToBe,
                    bits: 8,
                    dst,
                },
                "byte order of 8 bits",
            ),
            (
                Insn::Load {
                    size: Size::DW,
                    signed: true,
                    dst,
                    src,
                    off: 0,
                },
                "a sign-extending load of 8 bytes",
            ),
            (
                atomic_insn(AtomicOp::Xchg, Size::B, dst, 0, src),
                "an atomic operation on 1 byte",
            ),
            (
                Insn::LoadAbs {
                    size: Size::DW,
                    imm: 0,
                },
                "a packet load of 8 bytes",
            ),
        ] {
            let error = encode(&[Insn::Exit, insn]).unwrap_err();
            assert_eq!((error.insn, error.slot), (1, 1));
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
