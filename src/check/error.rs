//! Why a program is refused, in words.

use std::{error::Error, fmt};

use super::value::Value;
use crate::asm::{
    Insn, Reg,
    helper::{Arg, ProgType},
};

/// A program that the kernel would refuse, or that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckError {
    /// Index of the instruction (not its slot).
    pub insn: usize,
    /// The instruction, as the kernel prints it.
    pub text: String,
    /// What is wrong.
    pub what: What,
    /// What is known of each register before the instruction; registers without a value are left out.
    pub state: Vec<(Reg, String)>,
}

/// The region an access misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// A map's value.
    MapValue,
    /// A map's key.
    MapKey,
    /// Memory such as a ring buffer record.
    Memory,
    /// A packet.
    Packet,
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Region::MapValue => "the map value",
            Region::MapKey => "the map key",
            Region::Memory => "the record",
            Region::Packet => "the packet",
        })
    }
}

/// What has to be given back before a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A ring buffer record.
    Record,
    /// A socket.
    Socket,
    /// A record with a dynamic pointer to it.
    Dynptr,
    /// A count.
    Count,
    /// A kernel structure of that name.
    Object(&'static str),
    /// An RCU read-side section.
    Rcu,
    /// Preemption turned off.
    Preempt,
}

impl Thing {
    /// What is not done with it.
    fn kept(self) -> &'static str {
        match self {
            Thing::Dynptr => {
                "the record reserved at insn {}, with its dynamic pointer, is neither submitted nor discarded"
            }
            Thing::Count => "the count begun at insn {} is not ended",
            Thing::Object(_) => "what insn {} took is not released",
            Thing::Rcu => "the RCU section begun at insn {} is not ended",
            Thing::Preempt => "preemption, turned off at insn {}, is not turned on again",
            Thing::Record => "the record reserved at insn {} is neither submitted nor discarded",
            Thing::Socket => "the socket found at insn {} is not released",
        }
    }

    fn why(self) -> &'static str {
        match self {
            Thing::Dynptr => {
                "the record blocks the ring until then, even if there was no room for it"
            }
            Thing::Count => "every count is ended, also one that came to its end",
            Thing::Object(_) => "what is never released stays for ever",
            Thing::Rcu | Thing::Preempt => "the kernel would wait for it for ever",
            Thing::Record => "a record that is never handed over blocks the ring",
            Thing::Socket => "a socket that is never released stays for ever",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Thing::Dynptr => {
                "call `bpf_ringbuf_submit_dynptr` or `bpf_ringbuf_discard_dynptr` on every path"
            }
            Thing::Count => "call `bpf_iter_num_destroy` on every path",
            Thing::Object("task_struct") => {
                "call `bpf_task_release` on every path where it is not 0"
            }
            Thing::Object("cgroup") => "call `bpf_cgroup_release` on every path where it is not 0",
            Thing::Object(_) => "call its release function on every path where it is not 0",
            Thing::Rcu => "call `bpf_rcu_read_unlock` on every path",
            Thing::Preempt => "call `bpf_preempt_enable` on every path",
            Thing::Record => "call `bpf_ringbuf_submit` or `bpf_ringbuf_discard` on every path",
            Thing::Socket => "call `bpf_sk_release` on every path where it is not 0",
        }
    }
}

/// What is wrong with an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// No instruction at all.
    Empty,
    /// More slots than the kernel takes.
    TooLong {
        /// How many.
        slots: usize,
    },
    /// A jump or call out of the program.
    JumpOutside {
        /// Where to.
        slot: i64,
    },
    /// A jump to the second half of a wide immediate.
    JumpIntoWide {
        /// Where to.
        slot: i64,
    },
    /// A jump from one function into another.
    JumpIntoFunction {
        /// The instruction jumped to.
        target: usize,
    },
    /// A function ends without `exit` or `goto`.
    FallsOff,
    /// No path leads here.
    Unreachable,
    /// The same state comes back: the loop never ends.
    InfiniteLoop,
    /// More instructions on all paths than the kernel follows.
    TooComplex,
    /// More branches waiting than the kernel keeps.
    TooManyBranches,
    /// A register without a value.
    NotInit(Reg),
    /// A write to the frame pointer.
    FramePointer,
    /// Division by a constant 0.
    DivByZero,
    /// A shift by the width or more.
    Shift(i32),
    /// An access size that the instruction does not have.
    AccessSize,
    /// Arithmetic that a pointer does not allow.
    PointerMath {
        /// The register.
        reg: Reg,
        /// What it holds.
        holds: &'static str,
        /// What was tried.
        tried: &'static str,
    },
    /// Arithmetic on a pointer that may be 0.
    NullMath {
        /// The register.
        reg: Reg,
        /// What it holds.
        holds: &'static str,
    },
    /// A pointer moved too far, or by a number without bounds.
    Offset {
        /// The register.
        reg: Reg,
    },
    /// Memory access through what is no pointer to memory.
    NoPointer {
        /// The register.
        reg: Reg,
        /// What it holds.
        holds: &'static str,
    },
    /// Memory access through a pointer that may be 0.
    MaybeNull {
        /// The register.
        reg: Reg,
        /// What it holds.
        holds: &'static str,
    },
    /// An access before or behind a region.
    Outside {
        /// What.
        region: Region,
        /// First byte, at its lowest or highest.
        off: i64,
        /// Bytes accessed.
        size: i64,
        /// Bytes there are.
        have: u32,
    },
    /// An access to a packet beyond the bytes that are known to be there.
    Packet {
        /// The register.
        reg: Reg,
        /// First byte, from where the pointer's fixed offset is 0.
        off: i64,
        /// Bytes accessed.
        size: i64,
        /// Bytes known to be there.
        known: i32,
    },
    /// An access through a packet pointer that may be further than the longest packet.
    PacketFar {
        /// The register.
        reg: Reg,
    },
    /// An access through a packet pointer at the end or behind it.
    PacketEnded {
        /// The register.
        reg: Reg,
    },
    /// Packet bytes given to a helper that does not take them.
    PacketArgument {
        /// The helper.
        helper: &'static str,
        /// The register.
        reg: Reg,
    },
    /// Use of what was a pointer until something ended its life.
    Lost {
        /// The register.
        reg: Reg,
        /// The instruction that ended it.
        by: usize,
    },
    /// An index that may be negative.
    Negative {
        /// What it goes into.
        region: Region,
    },
    /// An index without an upper bound.
    Unbounded {
        /// What it goes into.
        region: Region,
    },
    /// An access outside the frame's 512 bytes of stack.
    OutsideStack {
        /// First byte, from the frame pointer.
        off: i64,
        /// Bytes accessed.
        size: i64,
    },
    /// A stack index without bounds.
    UnboundedStack,
    /// Stack bytes that were never written.
    UninitStack {
        /// The byte, from the frame pointer.
        off: i64,
    },
    /// Part of a spilled pointer.
    PartOfPointer,
    /// A pointer into a frame stored in a caller's frame.
    StackPointerUp,
    /// An access that is not aligned where it must be.
    Misaligned {
        /// Bytes accessed.
        size: u32,
    },
    /// A context access that this program type does not have.
    Context {
        /// Byte in the context.
        off: i64,
        /// Bytes accessed.
        size: u32,
        /// A store.
        write: bool,
    },
    /// The context pointer was moved before it was used.
    MovedContext,
    /// A map that is not there.
    NoMap(i32),
    /// A map that has no single value to point into.
    NoDirectValue {
        /// Which map.
        map: usize,
    },
    /// A store to memory that may only be read.
    ReadOnly,
    /// A load from memory that may only be written.
    WriteOnly,
    /// An atomic instruction on memory that does not have them.
    AtomicPlace {
        /// What the register points to.
        holds: &'static str,
    },
    /// An atomic operation that fetches into the register of its address.
    FetchesIntoBase {
        /// The register.
        reg: Reg,
    },
    /// A helper with that number does not exist.
    NoHelper(u32),
    /// The program type does not have the helper.
    HelperNotAllowed {
        /// Its name.
        helper: &'static str,
        /// The program type.
        kind: ProgType,
    },
    /// The helper is for programs under the GPL.
    GplOnly {
        /// Its name.
        helper: &'static str,
    },
    /// The helper may sleep and the program may not.
    Sleeps {
        /// Its name.
        helper: &'static str,
    },
    /// The target's kernel does not have it.
    Missing {
        /// What.
        feature: &'static str,
        /// Since when it exists.
        since: &'static str,
    },
    /// An argument of the wrong kind.
    Argument {
        /// The helper.
        helper: &'static str,
        /// The register.
        reg: Reg,
        /// What it wants.
        wants: Arg,
        /// What it gets.
        holds: &'static str,
    },
    /// A length argument that may be negative, 0, or without bound.
    Length {
        /// The helper.
        helper: &'static str,
        /// The register.
        reg: Reg,
        /// How it fails.
        fault: &'static str,
    },
    /// A map of a kind that the helper does not take.
    MapKind {
        /// The helper.
        helper: &'static str,
        /// The map.
        map: usize,
    },
    /// A map that programs of this kind may not use.
    SleepableMap {
        /// The map.
        map: usize,
    },
    /// Something that is not given back on some path.
    Kept {
        /// The instruction that took it.
        at: usize,
        /// What it is.
        thing: Thing,
    },
    /// Something given back that was not taken.
    NotHeld {
        /// The register.
        reg: Reg,
    },
    /// Bytes of a dynamic pointer or a count on the stack.
    StackObject {
        /// The byte, from the frame pointer.
        off: i64,
    },
    /// A store over a dynamic pointer that holds a record.
    OverwritesDynptr {
        /// The byte, from the frame pointer.
        off: i64,
    },
    /// The end of a section that was not begun.
    Unmatched {
        /// The function that ends it.
        name: &'static str,
    },
    /// An RCU section inside another.
    Nested,
    /// A field that a socket does not have.
    Socket {
        /// Byte in the structure.
        off: i64,
        /// Bytes accessed.
        size: u32,
    },
    /// A callback that returns something other than 0 or 1.
    CallbackReturn,
    /// A pointer into a frame that ends.
    ReturnsStack,
    /// Too many frames.
    TooDeep,
    /// Frames that take more than 512 bytes together.
    StackTooBig {
        /// Bytes of the longest chain of calls.
        bytes: i64,
    },
    /// A tail call from a function whose callers take much stack.
    TailStack {
        /// Bytes of their frames.
        bytes: i64,
    },
    /// A cast between address spaces in a program without an arena.
    NoArena,
    /// An instruction that no kernel takes.
    NoInsn(&'static str),
    /// Legacy packet loads in a program of another type.
    PacketLoad,
    /// Something that is not modelled here; the kernel may take it.
    NotModelled(&'static str),
}

impl What {
    /// No pointer to memory, and whether it once was one.
    pub(super) fn no_pointer(reg: Reg, value: &Value) -> What {
        match value.lost_at() {
            Some(by) => What::Lost { reg, by },
            None => What::NoPointer {
                reg,
                holds: value.kernel_name(),
            },
        }
    }

    /// Why the kernel refuses it.
    pub fn why(&self) -> &'static str {
        match self {
            What::Empty => "a program has at least an `exit`",
            What::TooLong { .. } => "a program holds at most 1000000 slots",
            What::JumpOutside { .. } | What::FallsOff => {
                "control must stay inside the program until it exits"
            }
            What::JumpIntoWide { .. } => {
                "a wide immediate takes two slots and the second is no instruction"
            }
            What::JumpIntoFunction { .. } => "a function is entered by a call alone",
            What::Unreachable => "code that cannot run is taken for a mistake",
            What::InfiniteLoop => "a program must end whatever its input",
            What::TooComplex | What::TooManyBranches => {
                "every path is followed, 1000000 instructions in all and 8192 open branches"
            }
            What::NotInit(_) => {
                "what a register held before the program is the kernel's; calls leave r1 to r5 without a value"
            }
            What::FramePointer => "r10 marks the frame for the whole function",
            What::DivByZero | What::Shift(_) => "the result would have no meaning",
            What::AccessSize => "no processor has it",
            What::PointerMath { .. } | What::Offset { .. } => {
                "the verifier must know what a pointer points to after the operation"
            }
            What::NullMath { .. } | What::MaybeNull { .. } => {
                "the lookup finds nothing at times, and 0 is no address to use"
            }
            What::NoPointer {
                holds: "pkt_end", ..
            } => "nothing of the packet lies at its end",
            What::Packet { .. } | What::PacketEnded { .. } => {
                "a packet may end anywhere; only a comparison with its end shows what is there"
            }
            What::PacketFar { .. } => {
                "comparing a pointer that may be more than 65535 bytes away with the end shows nothing"
            }
            What::PacketArgument { .. } => "the helper may be handed memory of other kinds alone",
            What::Lost { .. } => {
                "giving a record back, or moving the packet, ends the life of every pointer into it"
            }
            What::NoPointer { .. } => "a number is no address that a program may use by itself",
            What::Outside { .. } | What::OutsideStack { .. } => "memory beyond belongs to others",
            What::Negative { .. } | What::Unbounded { .. } | What::UnboundedStack => {
                "some value of the index would reach memory of others"
            }
            What::UninitStack { .. } => "it would read what the kernel left there",
            What::PartOfPointer => "a pointer is stored and loaded whole",
            What::StackPointerUp | What::ReturnsStack => {
                "the frame is gone when the function returns"
            }
            What::Misaligned { .. } => {
                "the verifier follows the stack in aligned pieces, and atomics need alignment"
            }
            What::Context { .. } => "each program type has its own context",
            What::MovedContext => "accesses to the context are rewritten by their offset",
            What::NoMap(_) => "the map must exist when the program is loaded",
            What::NoDirectValue { .. } => {
                "only an array of one entry has a value at a fixed address"
            }
            What::ReadOnly | What::WriteOnly => "the memory was made so",
            What::AtomicPlace { .. } => "only map values, records and the stack have atomics",
            What::FetchesIntoBase { .. } => {
                "the verifier looks at the write after the fetched number has taken the address's place"
            }
            What::NoHelper(_) => "helpers are numbered from 1",
            What::HelperNotAllowed { .. } => "each program type has its own set of helpers",
            What::GplOnly { .. } => "the helper is exported to GPL-compatible programs alone",
            What::Sleeps { .. } => "the program may run where the kernel cannot sleep",
            What::Missing { .. } => "the kernel is older than the feature",
            What::Argument { .. } => "the helper trusts its arguments",
            What::Length { .. } => "the helper touches that many bytes",
            What::MapKind { .. } => "each kind of map has its own helpers",
            What::SleepableMap { .. } => "sleepable programs may use few kinds of maps",
            What::Kept { thing, .. } => thing.why(),
            What::NotHeld { .. } => "only what the program took itself is its to give back",
            What::StackObject { .. } => {
                "dynamic pointers and counts are the kernel's; only calls use them"
            }
            What::OverwritesDynptr { .. } => "the record could not be given back any more",
            What::Unmatched { .. } => "every end has its begin on the same path",
            What::Nested => "one RCU section is as good as two",
            What::Socket { .. } => {
                "programs see a socket as `struct bpf_sock` or `struct bpf_tcp_sock`"
            }
            What::CallbackReturn => "0 goes on, 1 stops, other values have no meaning",
            What::TooDeep => "eight frames are the most",
            What::StackTooBig { .. } => "all frames of a chain of calls share 512 bytes",
            What::TailStack { .. } => {
                "the other program gets a stack of its own on top, and 33 may follow each other"
            }
            What::NoArena => "the other address space is the arena's",
            What::NoInsn(_) => "compilers may write it, the verifier does not know it",
            What::PacketLoad => "only socket filters have a packet",
            What::NotModelled(_) => "this checker does not know the rules for it",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            What::Empty => "add `r0 = 0` and `exit`",
            What::TooLong { .. } | What::TooComplex | What::TooManyBranches => {
                "make loops shorter, use `bpf_loop`, or share code after branches"
            }
            What::JumpOutside { .. } | What::JumpIntoWide { .. } => {
                "use a label; distances count slots from the next instruction"
            }
            What::JumpIntoFunction { .. } => "call the function, or copy the code",
            What::FallsOff => "end with `exit`",
            What::Unreachable => "remove it, or jump to it",
            What::InfiniteLoop => {
                "count the turns in a register and compare it with a constant, or use `may_goto`"
            }
            What::NotInit(Reg::R0) => "set r0 on every path",
            What::NotInit(_) => "set it on every path; keep values across calls in r6 to r9",
            What::FramePointer => "copy r10 to another register and change that",
            What::DivByZero => "divide by another number",
            What::Shift(_) => "shift by less than the width",
            What::AccessSize => "use a size that the instruction has",
            What::PointerMath {
                holds: "pkt_end", ..
            } => "move a copy of `data` instead and compare it with the end",
            What::PointerMath { .. } => "add or subtract 64-bit numbers only",
            What::NullMath { .. } | What::MaybeNull { .. } => {
                "compare it with 0 first: `if r0 == 0 goto out`"
            }
            What::Offset { .. } | What::Negative { .. } | What::Unbounded { .. } => {
                "bound the number first: `r1 &= 63` or `if r1 > 63 goto out`"
            }
            What::NoPointer {
                holds: "pkt_end", ..
            } => "read through a copy of `data`",
            What::Packet { .. } => {
                "compare a pointer behind the last byte with `data_end` first: `if r4 > r3 goto out`"
            }
            What::PacketEnded { .. } => "go the other way of the comparison with `data_end`",
            What::PacketFar { .. } => "bound the number that was added first: `r5 &= 0x7fff`",
            What::PacketArgument { .. } => "copy the bytes to the stack and pass those",
            What::Lost { .. } => {
                "use it before that; a packet's `data` and `data_end` can be loaded and compared again after it"
            }
            What::NoPointer { .. } => {
                "read it with `bpf_probe_read_user` or `bpf_probe_read_kernel`"
            }
            What::Outside { .. } => "lower the offset, or make the region larger",
            What::OutsideStack { .. } => "use offsets from -512 to -1 of r10",
            What::UnboundedStack => "bound the index on both sides first",
            What::UninitStack { .. } => "store to it first, on every path",
            What::PartOfPointer => "load and store all 8 bytes, aligned",
            What::StackPointerUp | What::ReturnsStack => {
                "pass the address of the caller's stack instead"
            }
            What::Misaligned { .. } => "use an offset that is a multiple of the size",
            What::Context { .. } => "see the context's layout for this program type",
            What::MovedContext => "put the offset into the load or store",
            What::NoMap(_) => "declare the map",
            What::NoDirectValue { .. } => "call `bpf_map_lookup_elem`",
            What::ReadOnly => "copy the value to the stack and change that",
            What::WriteOnly => "keep a copy to read from",
            What::AtomicPlace { .. } => "use a map value",
            What::FetchesIntoBase { .. } => "copy the address to another register first",
            What::NoHelper(_) | What::HelperNotAllowed { .. } => {
                "see `explain` for the helpers of each program type"
            }
            What::GplOnly { .. } => "declare a GPL-compatible license",
            What::Sleeps { .. } => {
                "load the program as sleepable, or use the form that does not sleep"
            }
            What::Missing { .. } => "run on a newer kernel",
            What::Argument { .. } => "see `explain` for the helper's signature",
            What::Length { .. } => "bound it: `r2 &= 63`, or compare it on both sides",
            What::MapKind { .. } | What::SleepableMap { .. } => "use another kind of map",
            What::Kept { thing, .. } => thing.help(),
            What::NotHeld { .. } => "leave it, or take it with a lookup first",
            What::StackObject { .. } => "use another place of the stack, or the functions for it",
            What::OverwritesDynptr { .. } => "submit or discard it first",
            What::Unmatched { .. } => "begin it on every path that leads here",
            What::Nested => "end the first one before",
            What::Socket { .. } => {
                "see `include/uapi/linux/bpf.h` for offset and size of its fields"
            }
            What::CallbackReturn => "return a constant 0 or 1",
            What::TooDeep => "make the chain of calls shorter",
            What::StackTooBig { .. } => "keep large things in a per-CPU array",
            What::TailStack { .. } => {
                "keep callers' frames below 256 bytes, or call it from the program itself"
            }
            What::NoArena => "arenas are not modelled here; without one leave the cast out",
            What::NoInsn(_) => "call the function by its label, or compile with optimization",
            What::PacketLoad => "use `bpf_skb_load_bytes` where there is a packet",
            What::NotModelled(_) => "load it to see what the kernel says",
        }
    }

    /// Whether the program was refused for want of knowledge, not for a rule of the kernel.
    pub fn is_not_modelled(&self) -> bool {
        matches!(self, What::NotModelled(_))
    }

    /// Whether the walk grew too long, or the stack too deep. Where the limit lies depends on the kernel: it may find
    /// more paths alike, or fewer. Only a load tells.
    pub fn is_limit(&self) -> bool {
        // From 6.13 on, large frames of some programs have a stack of their own.
        matches!(
            self,
            What::TooComplex | What::TooManyBranches | What::StackTooBig { .. }
        )
    }

    /// Whether the kernel breaks the tie: there is no rule that the program is known to break.
    pub fn is_undecided(&self) -> bool {
        self.is_not_modelled() || self.is_limit()
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Empty => f.write_str("the program is empty"),
            What::TooLong { slots } => write!(f, "the program takes {slots} slots"),
            What::JumpOutside { slot } => {
                write!(f, "goes to slot {slot}, outside the program")
            }
            What::JumpIntoWide { slot } => {
                write!(f, "goes to slot {slot}, the middle of a wide immediate")
            }
            What::JumpIntoFunction { target } => {
                write!(
                    f,
                    "jumps to insn {target}, which is part of another function"
                )
            }
            What::FallsOff => f.write_str("control runs past the function's end"),
            What::Unreachable => f.write_str("no path leads to it"),
            What::InfiniteLoop => f.write_str("the loop comes back with nothing changed"),
            What::TooComplex => f.write_str("more than 1000000 instructions on all paths"),
            What::TooManyBranches => f.write_str("more than 8192 branches open"),
            What::NotInit(reg) => write!(f, "{reg} has no value here"),
            What::FramePointer => f.write_str("writes r10, which is read-only"),
            What::DivByZero => f.write_str("divides by 0"),
            What::Shift(by) => write!(f, "shifts by {by}, which is not less than the width"),
            What::AccessSize => f.write_str("the instruction does not have this size"),
            What::PointerMath { reg, holds, tried } => {
                write!(f, "{tried} on {reg}, which is a pointer ({holds})")
            }
            What::NullMath { reg, holds } => {
                write!(f, "arithmetic on {reg}, which may be 0 ({holds})")
            }
            What::Offset { reg } => write!(f, "{reg} may point anywhere after this"),
            What::NoPointer { reg, holds } => {
                write!(
                    f,
                    "memory access through {reg}, which is no pointer to memory ({holds})"
                )
            }
            What::MaybeNull { reg, holds } => {
                write!(f, "memory access through {reg}, which may be 0 ({holds})")
            }
            What::Outside {
                region,
                off,
                size,
                have,
            } => write!(
                f,
                "{size} bytes at offset {off} are not inside {region} of {have} bytes"
            ),
            What::Packet {
                reg,
                off,
                size,
                known: 0,
            } => write!(
                f,
                "{size} bytes at offset {off} through {reg}, which was not compared with the packet's end"
            ),
            What::Packet {
                reg,
                off,
                size,
                known,
            } => write!(
                f,
                "{size} bytes at offset {off} through {reg}, where {known} bytes of the packet are known to be"
            ),
            What::PacketFar { reg } => {
                write!(f, "{reg} may be further into the packet than 65535 bytes")
            }
            What::PacketEnded { reg } => {
                write!(
                    f,
                    "memory access through {reg}, which is at the packet's end or behind"
                )
            }
            What::PacketArgument { helper, reg } => {
                write!(f, "{helper} does not take packet bytes, as in {reg}")
            }
            What::Lost { reg, by } => {
                write!(f, "{reg} is no pointer any more: insn {by} ended its life")
            }
            What::Negative { region } => write!(f, "an offset into {region} may be negative"),
            What::Unbounded { region } => {
                write!(f, "an offset into {region} has no upper bound")
            }
            What::OutsideStack { off, size } => {
                write!(
                    f,
                    "{size} bytes at r10 {off:+} are not inside the stack of 512 bytes"
                )
            }
            What::UnboundedStack => f.write_str("an offset into the stack has no bounds"),
            What::UninitStack { off } => write!(f, "the stack at r10 {off:+} was never written"),
            What::PartOfPointer => f.write_str("reads or writes part of a stored pointer"),
            What::StackPointerUp => {
                f.write_str("stores a pointer to this function's stack in its caller's")
            }
            What::Misaligned { size } => write!(f, "the address is no multiple of {size}"),
            What::Context { off, size, write } => {
                let verb = if *write { "writes" } else { "reads" };
                write!(
                    f,
                    "{verb} {size} bytes at offset {off} of the context, which this program type does not have"
                )
            }
            What::MovedContext => f.write_str("the context pointer was changed before this use"),
            What::NoMap(map) => write!(f, "there is no map {map}"),
            What::NoDirectValue { map } => {
                write!(f, "map {map} has no such value at a fixed address")
            }
            What::ReadOnly => f.write_str("writes to memory that may only be read"),
            What::WriteOnly => f.write_str("reads memory that may only be written"),
            What::AtomicPlace { holds } => {
                write!(f, "atomic operation on memory without them ({holds})")
            }
            What::FetchesIntoBase { reg } => {
                write!(f, "fetches into {reg}, which holds the address")
            }
            What::NoHelper(id) => write!(f, "there is no helper {id}"),
            What::HelperNotAllowed { helper, kind } => {
                write!(f, "{helper} is not for programs of type {kind:?}")
            }
            What::GplOnly { helper } => write!(f, "{helper} is for GPL-compatible programs"),
            What::Sleeps { helper } => write!(f, "{helper} may sleep and this program may not"),
            What::Missing { feature, since } => {
                write!(f, "{feature} is not there before kernel {since}")
            }
            What::Argument {
                helper,
                reg,
                wants,
                holds,
            } => write!(
                f,
                "{helper} wants {} in {reg}, which holds {holds}",
                words(*wants)
            ),
            What::Length { helper, reg, fault } => {
                write!(f, "{helper} wants a length in {reg}, which {fault}")
            }
            What::MapKind { helper, map } => {
                write!(f, "{helper} does not work on map {map} of this kind")
            }
            What::SleepableMap { map } => {
                write!(f, "a sleepable program cannot use map {map} of this kind")
            }
            What::Kept { at, thing } => {
                f.write_str(&thing.kept().replacen("{}", &at.to_string(), 1))
            }
            What::NotHeld { reg } => write!(f, "{reg} is given back and was not taken"),
            What::StackObject { off } => write!(
                f,
                "touches the byte at r10 {off:+}, part of a dynamic pointer or a count"
            ),
            What::OverwritesDynptr { off } => write!(
                f,
                "writes over the dynamic pointer at r10 {off:+}, which holds a record"
            ),
            What::Unmatched { name } => write!(f, "{name} ends what was not begun"),
            What::Nested => f.write_str("begins an RCU section inside another"),
            What::Socket { off, size } => {
                write!(
                    f,
                    "reads {size} bytes at offset {off} of a socket, which holds no such field"
                )
            }
            What::CallbackReturn => {
                f.write_str("a callback may return something other than 0 or 1")
            }
            What::ReturnsStack => f.write_str("returns a pointer to the function's own stack"),
            What::TooDeep => f.write_str("calls are more than eight frames deep"),
            What::StackTooBig { bytes } => {
                write!(f, "a chain of calls takes {bytes} bytes of stack")
            }
            What::TailStack { bytes } => write!(
                f,
                "a tail call from a function whose callers take {bytes} bytes of stack"
            ),
            What::NoArena => f.write_str("casts an address of an arena, and the program has none"),
            What::NoInsn(name) => write!(f, "{name} is no instruction of the kernel's"),
            What::PacketLoad => f.write_str("loads from a packet, and this program type has none"),
            What::NotModelled(name) => write!(f, "{name}: not modelled"),
        }
    }
}

/// An argument kind in words.
fn words(arg: Arg) -> &'static str {
    match arg {
        Arg::Any => "any value",
        Arg::Ctx => "the context",
        Arg::CtxOrNull => "the context or 0",
        Arg::Map => "a map",
        Arg::MapKey => "a pointer to a key",
        Arg::MapValue => "a pointer to a value",
        Arg::MapValueOrNull => "a pointer to a value, or 0",
        Arg::MapValueOut => "room for a value",
        Arg::Mem | Arg::FixedMem(_) => "a pointer to memory",
        Arg::MemOrNull => "a pointer to memory, or 0",
        Arg::Out | Arg::FixedOut(_) => "room to write to",
        Arg::Size | Arg::SizeOrZero => "a length",
        Arg::ConstSize => "a constant length",
        Arg::Record => "a ring buffer record",
        Arg::Func => "a function of the program",
        Arg::StackOrNull => "a pointer to the stack, or 0",
        Arg::ConstStr => "a constant string",
        Arg::Btf(_) => "a pointer to a kernel structure",
        Arg::Sock | Arg::SockOrNull => "a socket",
        Arg::Timer => "a timer in a map value",
        Arg::SpinLock => "a spin lock in a map value",
        Arg::Number => "a number",
        Arg::Given(_) => "a kernel structure that was taken",
        Arg::IterNew => "room on the stack for a count",
        Arg::Iter => "a count on the stack",
        Arg::Dynptr | Arg::DynptrOut => "a dynamic pointer on the stack",
        Arg::Percpu => "a per-CPU variable",
        Arg::Kptr | Arg::KptrValue => "a kernel pointer",
    }
}

impl CheckError {
    pub(super) fn new(insns: &[Insn], insn: usize, what: What) -> Self {
        CheckError {
            insn,
            text: insns.get(insn).map(Insn::to_string).unwrap_or_default(),
            what,
            state: Vec::new(),
        }
    }

    /// Why the kernel refuses it.
    pub fn why(&self) -> &'static str {
        self.what.why()
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        self.what.help()
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "insn {} `{}`: {}", self.insn, self.text, self.what)?;
        for (reg, holds) in &self.state {
            write!(f, "\n  {reg}: {holds}")?;
        }
        write!(f, "\n  why: {}\n  help: {}", self.why(), self.help())
    }
}

impl Error for CheckError {}
