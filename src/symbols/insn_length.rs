//! How many bytes an x86-64 instruction has: enough to know where instructions begin.
//!
//! Source: Intel SDM volume 2, chapter 2 (format) and appendix A (opcode maps).

/// What follows an opcode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Form {
    modrm: bool,
    /// Bytes of immediate.
    imm: usize,
}

const fn form(modrm: bool, imm: usize) -> Option<Form> {
    Some(Form { modrm, imm })
}

/// What prefixes say about operand widths.
#[derive(Clone, Copy, Debug, Default)]
struct Widths {
    /// Prefix 66.
    short: bool,
    /// Prefix 67.
    address: bool,
    /// REX.W.
    wide: bool,
}

impl Widths {
    /// Bytes of an immediate that is 4 bytes, or 2 with prefix 66.
    fn z(self) -> usize {
        if self.short && !self.wide { 2 } else { 4 }
    }
}

/// Most bytes that an instruction may have.
const LONGEST: usize = 15;

/// Bytes of the instruction that `code` begins with; `None` if it is none that is known, or not whole.
pub(super) fn x86_64(code: &[u8]) -> Option<usize> {
    let code = code.get(..LONGEST).unwrap_or(code);
    let (mut at, mut widths) = (0, Widths::default());
    while let Some(byte) = code.get(at) {
        match byte {
            0x66 => widths.short = true,
            0x67 => widths.address = true,
            0xf0 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 => {}
            _ => break,
        }
        at += 1;
    }
    if let Some(rex @ 0x40..=0x4f) = code.get(at) {
        widths.wide = rex & 8 != 0;
        at += 1;
    }
    let opcode = *code.get(at)?;
    let (form, at) = match opcode {
        0x0f => match *code.get(at + 1)? {
            0x38 => (form(true, 0)?, at + 3),
            0x3a => (form(true, 1)?, at + 3),
            second => (two_byte(second)?, at + 2),
        },
        0xc5 => (vex(1, *code.get(at + 2)?)?, at + 3),
        0xc4 => (vex(code.get(at + 1)? & 0x1f, *code.get(at + 3)?)?, at + 4),
        0x62 => (vex(code.get(at + 1)? & 7, *code.get(at + 4)?)?, at + 5),
        _ => {
            let reg = code.get(at + 1).map_or(0, |modrm| modrm >> 3 & 7);
            (one_byte(opcode, reg, widths)?, at + 1)
        }
    };
    let operand = match form.modrm {
        true => modrm(code.get(at..)?)?,
        false => 0,
    };
    let length = at + operand + form.imm;
    (length <= code.len()).then_some(length)
}

fn one_byte(opcode: u8, reg: u8, widths: Widths) -> Option<Form> {
    let z = widths.z();
    match opcode {
        0x00..=0x3f => match opcode & 7 {
            0..=3 => form(true, 0),
            4 => form(false, 1),
            5 => form(false, z),
            _ => None,
        },
        0x63 | 0x84..=0x8e | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => form(true, 0),
        // Any other is an XOP instruction.
        0x8f if reg == 0 => form(true, 0),
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => form(true, 1),
        0x69 | 0x81 | 0xc7 => form(true, z),
        0xf6 => form(true, usize::from(reg < 2)),
        0xf7 => form(true, if reg < 2 { z } else { 0 }),
        0x6a | 0x70..=0x7f | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe0..=0xe7 | 0xeb => form(false, 1),
        0x68 | 0xa9 => form(false, z),
        // Near branches have 4 bytes whatever the prefix.
        0xe8 | 0xe9 => form(false, 4),
        0xb8..=0xbf => form(false, if widths.wide { 8 } else { z }),
        0xa0..=0xa3 => form(false, if widths.address { 4 } else { 8 }),
        0xc2 | 0xca => form(false, 2),
        0xc8 => form(false, 3),
        0x50..=0x5f | 0x6c..=0x6f | 0x90..=0x99 | 0x9b..=0x9f | 0xa4..=0xa7 | 0xaa..=0xaf => {
            form(false, 0)
        }
        0xc3
        | 0xc9
        | 0xcb
        | 0xcc
        | 0xcf
        | 0xd7
        | 0xec..=0xef
        | 0xf1
        | 0xf4
        | 0xf5
        | 0xf8..=0xfd => form(false, 0),
        _ => None,
    }
}

/// Opcodes after `0f`.
fn two_byte(opcode: u8) -> Option<Form> {
    match opcode {
        0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x36 | 0x39 | 0x3b..=0x3f | 0xa6 | 0xa7 => None,
        0x05..=0x09
        | 0x0b
        | 0x0e
        | 0x30..=0x37
        | 0x77
        | 0xa0..=0xa2
        | 0xa8..=0xaa
        | 0xc8..=0xcf => form(false, 0),
        0x80..=0x8f => form(false, 4),
        0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => form(true, 1),
        _ => form(true, 0),
    }
}

/// Opcodes behind a VEX or EVEX prefix that names the map.
fn vex(map: u8, opcode: u8) -> Option<Form> {
    match (map, opcode) {
        (1, 0x77) => form(false, 0),
        (1, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6) | (3, _) => form(true, 1),
        (1 | 2 | 5 | 6, _) => form(true, 0),
        _ => None,
    }
}

/// Bytes of the ModRM byte, the SIB byte and the displacement.
fn modrm(code: &[u8]) -> Option<usize> {
    let byte = *code.first()?;
    let (mode, rm) = (byte >> 6, byte & 7);
    if mode == 3 {
        return Some(1);
    }
    let sib = usize::from(rm == 4);
    let base = if rm == 4 { code.get(1)? & 7 } else { rm };
    let displacement = match mode {
        0 if base == 5 => 4,
        0 => 0,
        1 => 1,
        _ => 4,
    };
    Some(1 + sib + displacement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        for code in [
            &[0x90][..],
            &[0xf3, 0x0f, 0x1e, 0xfa],                      // endbr64
            &[0x55],                                        // push rbp
            &[0x48, 0x89, 0xe5],                            // mov rbp, rsp
            &[0x48, 0x83, 0xec, 0x10],                      // sub rsp, 16
            &[0x48, 0x81, 0xec, 0, 1, 0, 0],                // sub rsp, 256
            &[0x48, 0x8b, 0x05, 1, 2, 3, 4],                // mov rax, [rip + x]
            &[0x48, 0x8b, 0x44, 0x24, 8],                   // mov rax, [rsp + 8]
            &[0x8b, 0x04, 0x25, 1, 2, 3, 4],                // mov eax, [x]
            &[0xe8, 1, 2, 3, 4],                            // call
            &[0x66, 0xb8, 1, 2],                            // mov ax, x
            &[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8],          // movabs
            &[0xf7, 0x00, 1, 2, 3, 4],                      // test [rax], x
            &[0xf7, 0xd8],                                  // neg eax
            &[0x0f, 0x84, 1, 2, 3, 4],                      // je
            &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], // nop
            &[0xc5, 0xf8, 0x77],                            // vzeroupper
            &[0xc5, 0xfd, 0x6f, 0x06],                      // vmovdqa ymm0, [rsi]
            &[0xc4, 0xe3, 0x7d, 0x39, 0xc1, 1],             // vextracti128
            &[0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x06],          // vmovdqu64 zmm0, [rsi]
            &[0x66, 0x0f, 0x3a, 0x0f, 0xc1, 8],             // palignr
            &[0xf0, 0x48, 0x0f, 0xb1, 0x0f],                // lock cmpxchg
            &[0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0], // mov rax, fs:40
        ] {
            assert_eq!(x86_64(code), Some(code.len()), "{code:02x?}");
            assert_eq!(
                x86_64(&code[..code.len() - 1]).filter(|l| *l >= code.len()),
                None
            );
        }
        for code in [&[][..], &[0x06], &[0x66; 15], &[0x0f, 0x04]] {
            assert_eq!(x86_64(code), None, "{code:02x?}");
        }
    }
}
