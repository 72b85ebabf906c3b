//! Instructions to bytes.

use super::Insn;
use super::raw::Unencodable;
use std::fmt;

/// An instruction that has no encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// Its index in the program.
    pub insn: usize,
    /// The slot it would begin at.
    pub slot: usize,
    /// Why.
    pub why: Unencodable,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "encode insn {}: {}", self.insn, self.why)
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.why)
    }
}

/// The bytes of a program, as the kernel takes them: 8 an instruction, 16 a wide immediate.
///
/// # Errors
/// [`EncodeError`] for the first instruction that no bytes stand for. Jumps are not looked at.
pub fn encode(insns: &[Insn]) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(insns.len() * 8);
    for (insn, one) in insns.iter().enumerate() {
        match one.to_raw() {
            Ok((first, second)) => {
                bytes.extend_from_slice(&first.to_bytes());
                if let Some(second) = second {
                    bytes.extend_from_slice(&second.to_bytes());
                }
            }
            Err(why) => {
                let slot = bytes.len() / 8;
                return Err(EncodeError { insn, slot, why });
            }
        }
    }
    Ok(bytes)
}
