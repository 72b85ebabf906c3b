//! What an instruction, a helper or a line of a verifier log means, with the place to read on.

mod helper;
mod insn;
mod verifier;

pub use helper::helper;
pub use insn::insn;
pub use verifier::{Message, VERIFIER, message, verifier};
