//! An instruction's bits, meaning, age and place in the RFC, from [`crate::asm::table`].

use crate::asm::disasm::Style;
use crate::asm::table::{
    AluRow, Group, PSEUDOS, SINCE_JMP32, Since, alu_row, atomic_row, cond_row, endian_row,
};
use crate::asm::{Callee, Imm64, Insn, Raw, Reg, Size, Src, Width, helper};
use std::fmt::Write;

/// What is said of an instruction besides its bits.
struct Facts {
    means: String,
    group: &'static str,
    since: Since,
    read: &'static str,
}

const ALU_SECTION: &str = "RFC 9669 §4.1";
const END_SECTION: &str = "RFC 9669 §4.2";
const JUMP_SECTION: &str = "RFC 9669 §4.3";
const LOAD_SECTION: &str = "RFC 9669 §5.1";
const SIGNED_SECTION: &str = "RFC 9669 §5.2";
const ATOMIC_SECTION: &str = "RFC 9669 §5.3";
const WIDE_SECTION: &str = "RFC 9669 §5.4";
const PACKET_SECTION: &str = "RFC 9669 §5.5";
const VERIFIER: &str = "kernel/bpf/verifier.c";

/// The instruction in all styles, its bits in a picture, what it does, since when, and where to read on.
pub fn insn(insn: &Insn) -> String {
    let mut out = format!("{insn}\n\n");
    match insn.to_raw() {
        Ok((first, second)) => {
            picture(&mut out, first, second);
            code_bits(&mut out, first.code);
        }
        Err(why) => {
            let _ = writeln!(out, "  no bytes: {why}");
        }
    }
    let facts = facts(insn);
    let _ = writeln!(out, "\n  does      {}", facts.means);
    let _ = writeln!(out, "  mnemonic  {}", insn.display(Style::Mnemonic));
    let _ = writeln!(out, "  LLVM      {}", insn.display(Style::Llvm));
    let _ = writeln!(out, "  group     {} (RFC 9669 §2.4)", facts.group);
    let _ = writeln!(out, "  since     kernel {}", facts.since);
    let _ = writeln!(out, "  read      {}", facts.read);
    if let Insn::Call {
        callee: Callee::Helper(id),
    } = insn
        && let Some(text) = super::helper(&id.to_string())
    {
        let _ = write!(out, "\n{text}");
    }
    out
}

fn picture(out: &mut String, first: Raw, second: Option<Raw>) {
    out.push_str("  byte  0     1          2 3     4 5 6 7\n");
    out.push_str("        code  src | dst  off     imm\n");
    for raw in [Some(first), second].into_iter().flatten() {
        let b = raw.to_bytes();
        let _ = writeln!(
            out,
            "        {:02x}    {:x}   | {:x}    {:02x} {:02x}   {:02x} {:02x} {:02x} {:02x}",
            b[0], raw.src, raw.dst, b[2], b[3], b[4], b[5], b[6], b[7]
        );
        let _ = writeln!(
            out,
            "        {:#04x}  {:<3} | {:<3}  {:<6}  {}",
            raw.code, raw.src, raw.dst, raw.off, raw.imm
        );
    }
}

const CLASSES: [&str; 8] = [
    "ld (non-standard loads)",
    "ldx (load into a register)",
    "st (store an immediate)",
    "stx (store a register)",
    "alu (32-bit arithmetic)",
    "jmp (64-bit jumps)",
    "jmp32 (32-bit jumps)",
    "alu64 (64-bit arithmetic)",
];

const MODES: [&str; 8] = [
    "imm (wide immediate)",
    "abs (packet)",
    "ind (packet)",
    "mem",
    "memsx (sign-extending)",
    "reserved",
    "atomic",
    "reserved",
];

fn code_bits(out: &mut String, code: u8) {
    let class = usize::from(code & 7);
    let name = CLASSES[class];
    if class < 4 {
        let size = match code & 0x18 {
            0x00 => "w (4 bytes)",
            0x08 => "h (2 bytes)",
            0x10 => "b (1 byte)",
            _ => "dw (8 bytes)",
        };
        let mode = MODES[usize::from(code >> 5)];
        let _ = writeln!(
            out,
            "\n  code {code:#04x} = {:03b} {:02b} {:03b}",
            code >> 5,
            (code >> 3) & 3,
            code & 7
        );
        let _ = writeln!(out, "              |   |  class: {name}");
        let _ = writeln!(out, "              |   size: {size}");
        let _ = writeln!(out, "              mode: {mode}");
    } else {
        let source = match code & 8 {
            0 => "K (immediate)",
            _ => "X (register)",
        };
        let _ = writeln!(
            out,
            "\n  code {code:#04x} = {:04b} {:b} {:03b}",
            code >> 4,
            (code >> 3) & 1,
            code & 7
        );
        let _ = writeln!(out, "              |    | class: {name}");
        let _ = writeln!(out, "              |    source: {source}");
        let _ = writeln!(out, "              operation: {:#x}", code >> 4);
    }
}

fn operand(src: Src, width: Width) -> String {
    match src {
        Src::Reg(reg) => register(reg, width),
        Src::Imm(imm) => imm.to_string(),
    }
}

fn register(reg: Reg, width: Width) -> String {
    match width {
        Width::W32 => format!("w{}", reg.number()),
        Width::W64 => reg.to_string(),
    }
}

fn fill(template: &str, dst: &str, src: &str) -> String {
    template.replace("{dst}", dst).replace("{src}", src)
}

fn place(reg: Reg, off: i16) -> String {
    match off {
        0 => format!("address {reg}"),
        off => format!("address {reg} {off:+}"),
    }
}

fn bytes(size: Size) -> &'static str {
    match size {
        Size::B => "1 byte",
        Size::H => "2 bytes",
        Size::W => "4 bytes",
        Size::DW => "8 bytes",
    }
}

fn slots(distance: i64) -> String {
    let way = if distance < 0 { "back" } else { "forward" };
    match distance.unsigned_abs() {
        0 => "to the next instruction".to_owned(),
        1 => format!("1 slot {way} from the next instruction"),
        n => format!("{n} slots {way} from the next instruction"),
    }
}

fn upper_half(width: Width) -> &'static str {
    match width {
        Width::W32 => "; the upper half becomes zero",
        Width::W64 => "",
    }
}

fn facts(insn: &Insn) -> Facts {
    let f = |means: String, group: &'static str, since: Since, read: &'static str| Facts {
        means,
        group,
        since,
        read,
    };
    let v3_18 = Since(3, 18);
    match *insn {
        Insn::Alu {
            op,
            width,
            dst,
            src,
        } => {
            let row: &AluRow = alu_row(op);
            let text = fill(row.means, &register(dst, width), &operand(src, width));
            let mut means = text + upper_half(width);
            if let (Src::Imm(imm), Width::W64) = (src, width)
                && imm < 0
            {
                means.push_str("; the immediate is sign-extended to 64 bits");
            }
            f(means, row.group.name(width.bits()), row.since, ALU_SECTION)
        }
        Insn::Neg { width, dst } => f(
            format!("negates {}{}", register(dst, width), upper_half(width)),
            Group::Base.name(width.bits()),
            v3_18,
            ALU_SECTION,
        ),
        Insn::Movsx {
            width,
            from,
            dst,
            src,
        } => f(
            format!(
                "copies the low {} bits of {} to {}, filling up with copies of the sign{}",
                from.bytes() * 8,
                register(src, width),
                register(dst, width),
                upper_half(width)
            ),
            Group::Base.name(width.bits()),
            Since(6, 6),
            ALU_SECTION,
        ),
        Insn::AddrSpaceCast { dst, src, .. } => f(
            format!(
                "turns the arena pointer in {src} into one of another address space, into {dst}"
            ),
            Group::Linux.name(64),
            Since(6, 9),
            "kernel/bpf/verifier.c: check_alu_op (BPF_ADDR_SPACE_CAST)",
        ),
        Insn::Endian { op, bits, dst } => {
            let row = endian_row(op);
            let text = row.means.replace("{bits}", &bits.to_string());
            let text = text.replace(
                "; higher bits become zero",
                if bits == 64 {
                    ""
                } else {
                    "; higher bits become zero"
                },
            );
            let group = Group::Base.name(if bits == 64 { 64 } else { 32 });
            f(
                fill(&text, &dst.to_string(), ""),
                group,
                row.since,
                END_SECTION,
            )
        }
        Insn::Load {
            size,
            signed,
            dst,
            src,
            off,
        } => {
            let (fill_up, since, read) = match (signed, size) {
                (true, _) => (
                    "filling up with copies of the sign",
                    Since(6, 6),
                    SIGNED_SECTION,
                ),
                (false, Size::DW) => ("the whole register", v3_18, LOAD_SECTION),
                (false, _) => ("filling up with zeros", v3_18, LOAD_SECTION),
            };
            f(
                format!(
                    "loads {} at {} into {dst}, {fill_up}",
                    bytes(size),
                    place(src, off)
                ),
                base_group(signed, size),
                since,
                read,
            )
        }
        Insn::Store {
            size,
            dst,
            off,
            src,
        } => f(
            format!(
                "stores the low {} of {} at {}",
                bytes(size),
                operand(src, Width::W64),
                place(dst, off)
            ),
            base_group(false, size),
            v3_18,
            LOAD_SECTION,
        ),
        Insn::Atomic {
            op,
            size,
            dst,
            off,
            src,
        } => {
            let row = atomic_row(op);
            let mem = format!("the {} at {}", bytes(size), place(dst, off));
            let text = row
                .means
                .replace("{mem}", &mem)
                .replace("{src}", &src.to_string());
            let group = Group::Atomic.name(size.bytes() * 8);
            f(
                format!("atomically {text}"),
                group,
                row.since,
                ATOMIC_SECTION,
            )
        }
        Insn::LoadAcquire {
            size,
            dst,
            src,
            off,
        } => f(
            format!(
                "loads {} at {} into {dst}; no later access is seen to happen before it",
                bytes(size),
                place(src, off)
            ),
            Group::Linux.name(64),
            Since(6, 15),
            "Documentation/bpf/standardization/instruction-set.rst: Atomic operations",
        ),
        Insn::StoreRelease {
            size,
            dst,
            off,
            src,
        } => f(
            format!(
                "stores the low {} of {src} at {}; no earlier access is seen to happen after it",
                bytes(size),
                place(dst, off)
            ),
            Group::Linux.name(64),
            Since(6, 15),
            "Documentation/bpf/standardization/instruction-set.rst: Atomic operations",
        ),
        Insn::LoadImm64 { dst, imm } => wide(dst, imm),
        Insn::LoadAbs { size, imm } => f(
            format!(
                "loads {} of the packet at offset {imm} into r0, in host order; the program ends if the packet is too \
                 short; r6 must hold the context, r1 to r5 are lost",
                bytes(size)
            ),
            Group::Packet.name(64),
            v3_18,
            PACKET_SECTION,
        ),
        Insn::LoadInd { size, src, imm } => f(
            format!(
                "loads {} of the packet at offset {src} {imm:+} into r0, in host order; the program ends if the packet \
                 is too short; r6 must hold the context, r1 to r5 are lost",
                bytes(size)
            ),
            Group::Packet.name(64),
            v3_18,
            PACKET_SECTION,
        ),
        Insn::Ja { off } => f(
            format!("jumps {}", slots(i64::from(off))),
            Group::Base.name(32),
            v3_18,
            JUMP_SECTION,
        ),
        Insn::Jal { imm } => f(
            format!("jumps {}; the distance has 32 bits", slots(i64::from(imm))),
            Group::Base.name(32),
            Since(6, 6),
            JUMP_SECTION,
        ),
        Insn::Jx { dst } => f(
            format!(
                "jumps to the instruction whose address, from an instruction array map, is in {dst}"
            ),
            Group::Linux.name(64),
            Since(6, 19),
            VERIFIER,
        ),
        Insn::Jmp {
            cond,
            width,
            dst,
            src,
            off,
        } => {
            let row = cond_row(cond);
            let text = fill(row.means, &register(dst, width), &operand(src, width));
            let since = match width {
                Width::W32 => SINCE_JMP32,
                Width::W64 => row.since,
            };
            let group = Group::Base.name(width.bits());
            f(
                format!("jumps {} if {text}", slots(i64::from(off))),
                group,
                since,
                JUMP_SECTION,
            )
        }
        Insn::MayGoto { off } => f(
            format!(
                "jumps {} once the kernel's loop budget is used up",
                slots(i64::from(off))
            ),
            Group::Linux.name(64),
            Since(6, 9),
            "kernel/bpf/verifier.c: check_cond_jmp_op (BPF_MAY_GOTO)",
        ),
        Insn::Call { callee } => call(callee),
        Insn::Callx { dst } => f(
            format!(
                "calls the function whose address is in {dst}; compilers emit it, the kernel refuses it"
            ),
            Group::Linux.name(64),
            v3_18,
            "Documentation/bpf/standardization/instruction-set.rst: Jump instructions",
        ),
        Insn::Exit => f(
            "returns r0, from a function to its caller or from the program".to_owned(),
            Group::Base.name(32),
            v3_18,
            JUMP_SECTION,
        ),
    }
}

fn base_group(signed: bool, size: Size) -> &'static str {
    // RFC 9669 appendix A: sign-extending loads and accesses of 8 bytes are base64.
    Group::Base.name(if signed || size == Size::DW { 64 } else { 32 })
}

fn wide(dst: Reg, imm: Imm64) -> Facts {
    let (src, detail) = match imm {
        Imm64::Value(value) => (0, format!("{value:#x}, all 64 bits")),
        Imm64::MapFd(fd) => (1, format!("file descriptor {fd}")),
        Imm64::MapValue { fd, off } => (2, format!("file descriptor {fd}, byte {off}")),
        Imm64::BtfId { id, obj_fd } => (3, format!("BTF id {id}, BTF object descriptor {obj_fd}")),
        Imm64::Func(distance) => (
            4,
            format!("{} of the load's first slot", slots(i64::from(distance))),
        ),
        Imm64::MapIdx(idx) => (5, format!("index {idx}")),
        Imm64::MapIdxValue { idx, off } => (6, format!("index {idx}, byte {off}")),
    };
    let row = &PSEUDOS[src];
    Facts {
        means: format!("puts {} into {dst}: {detail}; takes two slots", row.means),
        group: Group::Base.name(64),
        since: row.since,
        read: WIDE_SECTION,
    }
}

fn call(callee: Callee) -> Facts {
    let (means, since) = match callee {
        Callee::Helper(id) => match helper::by_id(id) {
            Some(helper) => (
                format!("calls {}: {}", helper.name, helper.does),
                helper.since,
            ),
            None => (
                format!("calls helper {id}, which no kernel has up to 6.18"),
                Since(3, 18),
            ),
        },
        Callee::Local(distance) => (
            format!(
                "calls the function that begins {}; it gets r1 to r5 and a stack frame of its own",
                slots(i64::from(distance))
            ),
            Since(4, 16),
        ),
        Callee::Kfunc { id, off: 0 } => (
            format!("calls the kernel function with BTF id {id} of vmlinux"),
            Since(5, 13),
        ),
        Callee::Kfunc { id, off } => (
            format!(
                "calls the kernel function with BTF id {id} of the module whose BTF is at index {off} of `fd_array`"
            ),
            Since(5, 16),
        ),
    };
    Facts {
        means,
        group: Group::Base.name(32),
        since,
        read: JUMP_SECTION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::forms;
    use crate::asm::text::parse_insn;

    #[test]
    fn every_form_is_explained() {
        for one in forms::all() {
            let text = insn(&one);
            for word in [
                "  does ",
                "  mnemonic ",
                "  group ",
                "  since ",
                "  read ",
                "  code ",
            ] {
                assert!(text.contains(word), "{one}: {text}");
            }
            assert!(!text.contains('{'), "{one}: {text}");
        }
    }

    #[test]
    fn the_picture_shows_the_fields() {
        let text = insn(&parse_insn("if w1 s> 0xff goto +3").unwrap());
        assert_eq!(
            text,
            "\
if w1 s> 0xff goto pc+3

  byte  0     1          2 3     4 5 6 7
        code  src | dst  off     imm
        66    0   | 1    03 00   ff 00 00 00
        0x66  0   | 1    3       255

  code 0x66 = 0110 0 110
              |    | class: jmp32 (32-bit jumps)
              |    source: K (immediate)
              operation: 0x6

  does      jumps 3 slots forward from the next instruction if w1 is greater than 255, signed
  mnemonic  jsgt32 %r1, 255, +3
  LLVM      if w1 s> 0xff goto +0x3
  group     base32 (RFC 9669 §2.4)
  since     kernel 5.1
  read      RFC 9669 §4.3
"
        );
    }
}
