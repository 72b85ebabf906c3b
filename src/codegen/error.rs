//! What code generation cannot do.

use std::fmt;

/// Why a program cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodegenError {
    /// The stack frames of the entry and its deepest callback need more than the kernel's 512 bytes.
    Stack {
        /// Name of the entry function.
        func: String,
        /// Bytes needed.
        need: u32,
    },
    /// An instruction that the target's kernel does not have.
    Feature {
        /// Name of the function.
        func: String,
        /// What is missing.
        what: &'static str,
    },
    /// A jump farther than the instruction set can express.
    TooFar {
        /// Name of the function.
        func: String,
        /// Distance in slots.
        slots: i64,
    },
    /// The IR breaks one of its own rules.
    Invalid {
        /// Name of the function.
        func: String,
        /// Which rule.
        what: String,
    },
}

impl fmt::Display for CodegenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodegenError::Stack { func, need } => write!(
                f,
                "laying out the stack of {func}: {need} bytes needed, the kernel allows 512"
            ),
            CodegenError::Feature { func, what } => {
                write!(
                    f,
                    "selecting instructions for {func}: the kernel lacks {what}"
                )
            }
            CodegenError::TooFar { func, slots } => write!(
                f,
                "resolving jumps of {func}: {slots} instructions is farther than a jump reaches"
            ),
            CodegenError::Invalid { func, what } => {
                write!(f, "compiling {func}: malformed intermediate code: {what}")
            }
        }
    }
}

impl std::error::Error for CodegenError {}
