//! The kernel's tag of a program, computed here: eight bytes of a digest over the submitted instructions.
//!
//! Source: `kernel/bpf/core.c: bpf_prog_calc_tag`. The two `imm` fields of a map load by descriptor are zero in it, so
//! that the tag does not change from load to load. SHA-1 up to 6.12, SHA-256 on 6.18.

use std::{fmt, os::fd::AsFd};

use super::Loaded;
use crate::{
    asm::{self, EncodeError, Imm64, Insn},
    spec::Object,
    sys::{bpf, trace},
};
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// Both tags that a kernel may give a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tags {
    /// Measured on kernels up to 6.12.
    pub sha1: [u8; 8],
    /// Measured on 6.18.
    pub sha256: [u8; 8],
}

/// A tag in hexadecimal, as `bpftool` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex(pub [u8; 8]);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Tags {
    /// The digest whose tag this is, if it is one of them.
    pub fn digest_of(&self, tag: [u8; 8]) -> Option<&'static str> {
        match tag {
            tag if tag == self.sha256 => Some("SHA-256"),
            tag if tag == self.sha1 => Some("SHA-1"),
            _ => None,
        }
    }
}

/// The tags of instructions, whose map loads may be by index or by descriptor.
///
/// # Errors
/// Instructions without an encoding.
pub fn tags(insns: &[Insn]) -> Result<Tags, EncodeError> {
    let blank = |insn: &Insn| match *insn {
        Insn::LoadImm64 { dst, imm } => Insn::LoadImm64 {
            dst,
            imm: match imm {
                Imm64::MapFd(_) | Imm64::MapIdx(_) => Imm64::MapFd(0),
                Imm64::MapValue { .. } | Imm64::MapIdxValue { .. } => {
                    Imm64::MapValue { fd: 0, off: 0 }
                }
                other => other,
            },
        },
        other => other,
    };
    let insns: Vec<Insn> = insns.iter().map(blank).collect();
    let bytes = asm::encode(&insns)?;
    Ok(Tags {
        sha1: first(&Sha1::digest(&bytes)),
        sha256: first(&Sha256::digest(&bytes)),
    })
}

fn first(digest: &[u8]) -> [u8; 8] {
    digest.first_chunk().copied().unwrap_or_default()
}

/// A loaded program's tag beside those computed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The probe.
    pub probe: String,
    /// The kernel's id of the program.
    pub id: u32,
    /// The kernel's tag.
    pub kernel: [u8; 8],
    /// Ours.
    pub ours: Tags,
}

impl Verdict {
    /// Whether the kernel has the instructions that it was given.
    pub fn holds(&self) -> bool {
        self.ours.digest_of(self.kernel).is_some()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict {
            probe,
            id,
            kernel,
            ours,
        } = self;
        write!(f, "program {id} `{probe}`: kernel's tag {}", Hex(*kernel))?;
        match ours.digest_of(*kernel) {
            Some(digest) => write!(f, " is the one computed here ({digest})"),
            None => write!(
                f,
                " is none of those computed here ({} by SHA-256, {} by SHA-1)",
                Hex(ours.sha256),
                Hex(ours.sha1)
            ),
        }
    }
}

/// Asks the kernel for the tag of every program, and computes it from the object.
///
/// # Errors
/// The kernel's, or `InvalidData` for instructions without an encoding, which no loaded program has.
pub fn verify(object: &Object, loaded: &Loaded) -> std::io::Result<Vec<Verdict>> {
    let one = |(spec, fd): (&crate::spec::ProgramSpec, &std::os::fd::OwnedFd)| {
        let _why =
            trace::because(|| format!("the kernel's tag of the program of `{}`", spec.probe));
        let info = bpf::program_info(fd.as_fd())?;
        let ours = tags(&spec.insns)
            .map_err(|err| std::io::Error::new(std::io::ErrorKind::InvalidData, err.to_string()))?;
        Ok(Verdict {
            probe: spec.probe.clone(),
            id: info.id,
            kernel: info.tag,
            ours,
        })
    };
    object
        .programs
        .iter()
        .zip(&loaded.programs)
        .map(one)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{AluOp, Reg, Src, Width};

    #[test]
    fn tags_of_the_smallest_program() {
        let insns = [
            Insn::Alu {
                op: AluOp::Mov,
                width: Width::W64,
                dst: Reg::R0,
                src: Src::Imm(0),
            },
            Insn::Exit,
        ];
        let tags = tags(&insns).unwrap();
        // Measured on 6.12 and 6.18.
        assert_eq!(Hex(tags.sha1).to_string(), "a04f5eef06a7f555");
        assert_eq!(Hex(tags.sha256).to_string(), "59f4a931744dcdc6");
        assert_eq!(tags.digest_of(tags.sha1), Some("SHA-1"));
        assert_eq!(tags.digest_of([0; 8]), None);
    }

    #[test]
    fn map_descriptors_do_not_count() {
        let load = |imm| {
            let insns = [Insn::LoadImm64 { dst: Reg::R1, imm }, Insn::Exit];
            tags(&insns).unwrap()
        };
        assert_eq!(load(Imm64::MapFd(7)), load(Imm64::MapIdx(1)));
        let value = Imm64::MapIdxValue { idx: 3, off: 8 };
        assert_eq!(load(Imm64::MapValue { fd: 9, off: 0 }), load(value));
        assert_ne!(load(Imm64::Value(7)), load(Imm64::Value(8)));
        assert_ne!(load(Imm64::MapFd(7)), load(Imm64::Value(0)));
    }
}
