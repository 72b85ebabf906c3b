//! Why a run stopped before its `exit`.

use std::fmt;

use crate::asm::Reg;

/// What an instruction or helper wanted of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Access {
    Load,
    Store,
    Atomic,
    HelperRead,
    HelperWrite,
}

/// A known region close to a bad address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// What it is: `stack`, `ctx`, `value of map \`hits\``.
    pub what: String,
    /// Its first address.
    pub start: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Some of the bytes are not the program's to touch so.
    Memory {
        /// What was wanted.
        access: Access,
        /// First address.
        addr: u64,
        /// Number of bytes.
        size: u64,
        /// What lies there or next to it.
        near: Option<Near>,
        /// What the address is, when its value tells.
        hint: &'static str,
    },
    /// The instruction budget is used up.
    Fuel {
        /// The budget.
        limit: u64,
    },
    /// A register was read that nothing wrote, or that a call clobbered.
    Unset(Reg),
    /// More than eight frames.
    CallDepth,
    /// A helper got an argument that it cannot take.
    Argument {
        /// The helper.
        helper: &'static str,
        /// Number of the argument, from 1.
        argument: u8,
        /// What it should have been.
        want: &'static str,
    },
    /// A packet load without the context in r6.
    NoPacket {
        /// What it holds.
        r6: u64,
    },
    /// `callx` of a number that is neither a function's address nor a helper that the machine has.
    Callee(u64),
    /// The program ended with a ring buffer record neither submitted nor discarded.
    HeldRecord,
    /// The object has no program of that index.
    NoProgram(usize),
    /// The world's CPU does not exist in this machine.
    NoCpu {
        /// CPU asked for.
        cpu: u32,
        /// Number of CPUs of the machine.
        cpus: u32,
    },
    /// A helper was called whose answer was not recorded.
    Untold(&'static str),
    /// Memory was read that was not recorded.
    UntoldMemory {
        /// First address.
        addr: u64,
        /// Most bytes.
        size: u64,
    },
    /// The interpreter gave up; its own words.
    Interpreter(String),
    /// [`super::exec`] was given what the machine does not model.
    Unsupported(super::Unsupported),
}

/// A run that stopped: where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Index of the instruction (not slot) that was running.
    pub insn: usize,
    /// Why.
    pub kind: FaultKind,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Load => "load",
            Access::Store => "store",
            Access::Atomic => "atomic access",
            Access::HelperRead => "read by a helper",
            Access::HelperWrite => "write by a helper",
        })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Memory {
                access,
                addr,
                size,
                near,
                hint,
            } => {
                write!(f, "{access} of {size} byte{} at {addr:#x}: ", plural(*size))?;
                match near {
                    Some(near) => write!(f, "{}", Place(near, *addr, *size))?,
                    None => f.write_str("no memory of this program")?,
                }
                if !hint.is_empty() {
                    write!(f, " ({hint})")?;
                }
                Ok(())
            }
            FaultKind::Fuel { limit } => {
                write!(f, "still running after {limit} instructions: endless loop?")
            }
            FaultKind::Unset(reg) => write!(
                f,
                "{reg} is read but holds nothing here: never written, or clobbered by a call (r1 to r5 are)"
            ),
            FaultKind::CallDepth => f.write_str("more than 8 nested call frames"),
            FaultKind::Argument {
                helper,
                argument,
                want,
            } => write!(f, "{helper}: argument {argument} must be {want}"),
            FaultKind::NoPacket { r6 } => write!(
                f,
                "a packet load takes the context from r6, which holds {r6:#x}: not what r1 held at the start"
            ),
            FaultKind::Callee(value) => write!(
                f,
                "callx {value:#x}: no function of this program begins there, and it is no helper's number that is modelled"
            ),
            FaultKind::HeldRecord => {
                f.write_str("exit while a ring buffer record is neither submitted nor discarded")
            }
            FaultKind::NoProgram(index) => write!(f, "the object has no program {index}"),
            FaultKind::NoCpu { cpu, cpus } => {
                write!(f, "cpu {cpu} asked for, the machine has {cpus}")
            }
            FaultKind::Untold(helper) => write!(f, "what {helper} returned was not recorded"),
            FaultKind::UntoldMemory { addr, size } => {
                write!(f, "up to {size} bytes at {addr:#x} were not recorded")
            }
            FaultKind::Interpreter(words) => write!(f, "the interpreter stopped: {words}"),
            FaultKind::Unsupported(why) => write!(f, "{}", why.what),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "insn {}: {}", self.insn, self.kind)
    }
}

impl std::error::Error for Fault {}

/// Where an access lies relative to a region, in words.
struct Place<'a>(&'a Near, u64, u64);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place(near, addr, size) = *self;
        let end = near.start.wrapping_add(near.len);
        if addr < near.start {
            let by = near.start - addr;
            write!(f, "{by} byte{} before {}", plural(by), near.what)?;
        } else if addr >= end {
            let by = addr - end;
            write!(f, "{by} byte{} past the end of {}", plural(by), near.what)?;
        } else if addr.wrapping_add(size) > end {
            let by = addr.wrapping_add(size) - end;
            write!(
                f,
                "runs {by} byte{} past the end of {}",
                plural(by),
                near.what
            )?;
        } else {
            write!(f, "{} does not allow it", near.what)?;
        }
        write!(f, " ({} bytes at {:#x})", near.len, near.start)
    }
}

fn plural(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_fault_says_how_far_out_it_is() {
        let fault = Fault {
            insn: 3,
            kind: FaultKind::Memory {
                access: Access::Load,
                addr: 0x1006,
                size: 4,
                near: Some(Near {
                    what: "ctx".into(),
                    start: 0x1000,
                    len: 8,
                }),
                hint: "",
            },
        };
        assert_eq!(
            fault.to_string(),
            "insn 3: load of 4 bytes at 0x1006: runs 2 bytes past the end of ctx (8 bytes at 0x1000)"
        );
    }
}
