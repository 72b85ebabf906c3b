//! From `.eh_frame` to rows.

use crate::{
    elf::Image,
    spec::{Arch, Caller, Saved, UnwindRow},
};
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EndianSlice, LittleEndian, Register, RegisterRule,
    UnwindContext, UnwindSection, UnwindTableRow, X86_64,
};

/// The rows of a file for x86-64, sorted; none for other files, and of a damaged section what could be read.
///
/// Between functions that the section tells of stand rows of which nothing is known.
///
/// Source: System V ABI for AMD64, 4.2.4 (`.eh_frame`) and figure 3.36 (numbers of registers).
pub fn rows(image: &Image<'_>) -> Vec<UnwindRow> {
    if image.arch() != Some(Arch::X86_64) {
        return Vec::new();
    }
    let Some(section) = image.section(".eh_frame") else {
        return Vec::new();
    };
    let Some(bytes) = section.bytes else {
        return Vec::new();
    };
    let text = image.section(".text").map_or(0, |text| text.addr);
    let bases = BaseAddresses::default()
        .set_eh_frame(section.addr)
        .set_text(text);
    let frames = EhFrame::new(bytes, LittleEndian);
    let mut found = Vec::new();
    let mut ctx = UnwindContext::new();
    let mut entries = frames.entries(&bases);
    // What follows a damaged entry cannot be found.
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else {
            continue;
        };
        let Ok(fde) = partial.parse(EhFrame::cie_from_offset) else {
            continue;
        };
        let signal = fde.is_signal_trampoline();
        let Ok(mut table) = fde.rows(&frames, &bases, &mut ctx) else {
            continue;
        };
        let mut end = fde.initial_address();
        while let Ok(Some(row)) = table.next_row() {
            end = row.end_address();
            found.push(of(row, signal, &frames));
        }
        found.push(UnwindRow {
            vaddr: end,
            caller: Caller::Unknown,
            saved: Saved::No,
            offset: 0,
        });
    }
    // Of two at one address the one that knows more is right: a function begins where another ends.
    found.sort_by_key(|row| (row.vaddr, row.caller == Caller::Unknown));
    found.dedup_by_key(|row| row.vaddr);
    found.dedup_by(|row, before| {
        (row.caller, row.saved, row.offset) == (before.caller, before.saved, before.offset)
    });
    found
}

type Slice<'a> = EndianSlice<'a, LittleEndian>;

fn of(row: &UnwindTableRow<usize>, signal: bool, frames: &EhFrame<Slice<'_>>) -> UnwindRow {
    let unknown = (Caller::Unknown, 0);
    let by = |register: Register, offset: i64| {
        let caller = match register {
            X86_64::RSP => Caller::Stack,
            X86_64::RBP => Caller::Frame,
            _ => return unknown,
        };
        i32::try_from(offset).map_or(unknown, |offset| (caller, offset))
    };
    let (caller, offset) = match row.cfa() {
        _ if signal => (Caller::Signal, 0),
        _ if row.register(X86_64::RA) == Some(RegisterRule::Undefined) => (Caller::None, 0),
        CfaRule::RegisterAndOffset { register, offset } => by(*register, *offset),
        CfaRule::Expression(expression) => match expression.get(frames) {
            Ok(code) => by_expression(code.0.slice()).unwrap_or(unknown),
            Err(_) => unknown,
        },
    };
    let saved = match row.register(X86_64::RBP) {
        Some(RegisterRule::Offset(offset)) => {
            i16::try_from(offset).map_or(Saved::No, Saved::Caller)
        }
        Some(RegisterRule::Expression(expression)) => match expression.get(frames) {
            Ok(code) if code.0.slice() == [BREG_RBP, 0] => Saved::Frame(0),
            _ => Saved::No,
        },
        _ => Saved::No,
    };
    UnwindRow {
        vaddr: row.start_address(),
        caller,
        saved,
        offset,
    }
}

/// `DW_OP_breg6`, `DW_OP_breg7`: a register with an offset.
const BREG_RBP: u8 = 0x76;
const BREG_RSP: u8 = 0x77;
/// `DW_OP_deref`.
const DEREF: u8 = 0x06;
/// `DW_OP_lit0`.
const LIT0: u8 = 0x30;

/// The two expressions that compilers and linkers make. Functions that align their stack keep its address below the frame
/// pointer: `*(rbp - 8)`. Stubs of 16 bytes that push two words, one after the other: `rsp + 8 + (((rip & 15) >= N) << 3)`
/// (binutils `bfd/elfxx-x86.c`).
fn by_expression(code: &[u8]) -> Option<(Caller, i32)> {
    match *code {
        [BREG_RBP, offset @ 0..0x80, DEREF] => {
            // One byte of LEB128 with a sign.
            let offset = i32::from(offset);
            Some((
                Caller::AtFrame,
                if offset < 0x40 { offset } else { offset - 0x80 },
            ))
        }
        [
            BREG_RSP,
            8,
            0x80,
            0,
            0x3f,
            0x1a,
            n @ LIT0..0x50,
            0x2a,
            0x33,
            0x24,
            0x22,
        ] => Some((Caller::Plt, i32::from(n - LIT0))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::file_map::FileMap;

    #[test]
    fn expressions() {
        let plt = [0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
        assert_eq!(by_expression(&plt), Some((Caller::Plt, 11)));
        assert_eq!(by_expression(&[0x76, 0x78, 6]), Some((Caller::AtFrame, -8)));
        assert_eq!(by_expression(&[0x76, 0x10, 6]), Some((Caller::AtFrame, 16)));
        assert_eq!(by_expression(&[0x77, 0x10, 6]), None);
    }

    #[test]
    fn functions_of_this_program_have_rows() {
        let bytes = FileMap::open(&std::env::current_exe().unwrap()).unwrap();
        let image = Image::parse(&bytes).unwrap();
        if image.arch() != Some(Arch::X86_64) {
            return;
        }
        let rows = rows(&image);
        assert!(rows.len() > 1000, "{}", rows.len());
        assert!(rows.is_sorted_by_key(|row| row.vaddr));
        let function = image.functions_named("main")[0];
        let vaddr = image.vaddr(function.offset).unwrap();
        let at = rows.partition_point(|row| row.vaddr <= vaddr);
        // Where a function begins, nothing but the return address was pushed.
        let first = rows[at - 1];
        assert_eq!((first.caller, first.offset), (Caller::Stack, 8));
        assert_eq!(first.saved, Saved::No);
    }
}
