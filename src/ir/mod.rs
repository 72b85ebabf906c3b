//! Three-address code on virtual registers, between any front end and code generation.

mod build;
mod inst;
pub mod pass;
mod print;
mod verify;
mod walk;

pub use build::FuncBuilder;
pub use inst::{Block, BlockId, Func, FuncId, Inst, Op, Opnd, Program, Slot, SlotId, Term, VReg};
pub use verify::{VerifyError, verify};
pub use walk::helper_is_constant;
