//! Everything the compiler may know of the machine it compiles for: one value, made by the caller.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Processor of the traced machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names of architectures")]
pub enum Arch {
    X86_64,
    Aarch64,
}

impl Arch {
    /// Its name, as `uname -m` has it.
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        }
    }
}

/// What the target's kernel offers; the loader's probes fill it in, tests write it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// `uprobe_multi` links (6.6): programs are loaded with attach type 48.
    pub uprobe_multi: bool,
    /// Atomics with fetch, xchg, cmpxchg (5.12).
    pub atomics: bool,
    /// `bpf_get_attach_cookie` (5.15).
    pub attach_cookie: bool,
    /// `bpf_loop` (5.17).
    pub bpf_loop: bool,
    /// `bpf_for_each_map_elem` (5.13).
    pub for_each_map_elem: bool,
    /// `may_goto` (6.9).
    pub may_goto: bool,
    /// `bpf_map_lookup_percpu_elem` (5.19).
    pub lookup_percpu: bool,
    /// `bpf_ktime_get_tai_ns` (6.1).
    pub ktime_tai: bool,
    /// Instruction set v4: sign-extending loads and moves, signed division, bswap, gotol (6.6).
    pub cpu_v4: bool,
    /// 32-bit jumps (5.1) are always there; kept for printing.
    pub cpu_v3: bool,
}

/// A feature's field.
type Field = fn(&mut Features) -> &mut bool;

impl Features {
    /// Every feature that a kernel may lack, by name.
    pub const FIELDS: &[(&'static str, Field)] = &[
        ("uprobe_multi", |f| &mut f.uprobe_multi),
        ("atomics", |f| &mut f.atomics),
        ("attach_cookie", |f| &mut f.attach_cookie),
        ("bpf_loop", |f| &mut f.bpf_loop),
        ("for_each_map_elem", |f| &mut f.for_each_map_elem),
        ("may_goto", |f| &mut f.may_goto),
        ("lookup_percpu", |f| &mut f.lookup_percpu),
        ("ktime_tai", |f| &mut f.ktime_tai),
        ("cpu_v4", |f| &mut f.cpu_v4),
    ];

    /// These without the named ones. A name that is none of [`Features::FIELDS`] takes nothing away.
    #[must_use]
    pub fn without(mut self, names: &[String]) -> Self {
        for (name, field) in Self::FIELDS {
            if names.iter().any(|other| other == name) {
                *field(&mut self) = false;
            }
        }
        self
    }

    /// Everything that a current kernel has.
    pub const fn all() -> Self {
        Features {
            uprobe_multi: true,
            atomics: true,
            attach_cookie: true,
            bpf_loop: true,
            for_each_map_elem: true,
            may_goto: true,
            lookup_percpu: true,
            ktime_tai: true,
            cpu_v4: true,
            cpu_v3: true,
        }
    }

    /// Kernel 5.10, the floor.
    pub const fn floor() -> Self {
        Features {
            uprobe_multi: false,
            atomics: false,
            attach_cookie: false,
            bpf_loop: false,
            for_each_map_elem: false,
            may_goto: false,
            lookup_percpu: false,
            ktime_tai: false,
            cpu_v4: false,
            cpu_v3: true,
        }
    }
}

/// Where a USDT argument is, at the moment the probe fires. Register offsets are bytes into `pt_regs`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ArgLoc {
    /// A constant.
    Const(i64),
    /// In a register.
    Reg {
        /// Byte offset in `pt_regs`.
        reg: u16,
    },
    /// In user memory at `base + index * scale + disp`.
    Mem {
        /// Byte offset in `pt_regs`, if there is a base.
        base: Option<u16>,
        /// Index register, its scale, and for aarch64 `sxtw`/`uxtw` whether it is 32 bits wide and signed.
        index: Option<(u16, u8, IndexExt)>,
        /// Displacement.
        disp: i64,
    },
    /// At a vaddr of the binary (symbol, `%rip`-relative), relative to the probe's own vaddr: address = ip + delta.
    IpRel {
        /// Distance from the probe site.
        delta: i64,
    },
    /// Cannot be read; why, in words. An error only for who uses it.
    Unreadable(String),
}

/// How an index register is extended to 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IndexExt {
    /// All 64 bits.
    Full,
    /// Low 32 bits, sign-extended.
    Sxtw,
    /// Low 32 bits, zero-extended.
    Uxtw,
}

/// One argument of a USDT probe at one site.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UsdtArg {
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Sign-extended when read.
    pub signed: bool,
    /// `f` in the operand.
    pub float: bool,
    /// Where it is.
    pub loc: ArgLoc,
    /// The operand's text, as in the note.
    pub text: String,
}

/// One place in the code at which a USDT probe fires.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Site {
    /// Byte in the file.
    pub offset: u64,
    /// Semaphore's byte in the file; 0 for none.
    pub ref_ctr: u64,
    /// The arguments there.
    pub args: Vec<UsdtArg>,
}

/// A USDT probe of a binary: all sites of one provider and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UsdtProbe {
    /// Provider, e.g. `net`.
    pub provider: String,
    /// Name, e.g. `inbound_message`.
    pub name: String,
    /// Its sites, in file order.
    pub sites: Vec<Site>,
    /// What its arguments are called, first one first, where that is known: notes do not say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<ArgName>,
}

/// What is known of a USDT argument beyond its note.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArgName {
    /// Its name.
    pub name: String,
    /// What it is.
    pub means: ArgMeans,
    /// Bytes that its operand is expected to have.
    pub size: u8,
    /// Sign that its operand is expected to have.
    pub signed: bool,
}

/// What a USDT argument is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ArgMeans {
    /// A number.
    Number,
    /// 0 or 1.
    Bool,
    /// A number with names.
    Enum(Vec<(i64, String)>),
    /// The address of a string, of which as many bytes with the NUL are read; `None`: as many as strings may have.
    Text(Option<u32>),
    /// The address of 32 bytes, the last of which is printed first.
    Hash,
    /// The address of bytes, as many as the argument of that number says.
    Bytes(usize),
}

impl ArgName {
    /// Whether an operand of `size` bytes and that sign is what is expected. The sign of a flag or address means nothing.
    pub fn fits(&self, size: u8, signed: bool) -> bool {
        let sign_counts = matches!(self.means, ArgMeans::Number | ArgMeans::Enum(_));
        self.size == size && (!sign_counts || self.signed == signed)
    }
}

/// What is known of one binary that the script names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    /// The path as the script has it.
    pub written: String,
    /// The path as the names of probes have it.
    #[serde(default)]
    pub shown: String,
    /// The file to open.
    pub path: PathBuf,
    /// Build id, if the file has one.
    pub build_id: Option<Vec<u8>>,
    /// The USDT probes that the script asks for in this file.
    pub usdt: Vec<UsdtProbe>,
    /// The functions that the script asks for: name, file offset, size. An address stands under its number (`4660`),
    /// a source line as `@FILE:LINE@ADDRESS`; both have size 0.
    pub functions: Vec<(String, u64, u64)>,
}

/// The machine and the run that a script is compiled for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Processor.
    pub arch: Arch,
    /// Kernel features.
    pub features: Features,
    /// Number of possible CPUs.
    pub cpus: u32,
    /// Binaries that the script names, one per path.
    pub binaries: Vec<Binary>,
    /// Positional parameters `$1`….
    pub params: Vec<String>,
    /// Named parameters after `--`.
    pub named: Vec<(String, Option<String>)>,
    /// `-p`.
    pub pid: Option<u32>,
    /// `--dwarf-pid`: processes whose stacks are walked by the program.
    pub unwound: Vec<u32>,
    /// Pid of the `-c` child.
    pub cpid: Option<u32>,
    /// `BPFTRACE_*` settings from the environment, which win over the script's config block: lower-case name, value.
    pub config: Vec<(String, String)>,
    /// `--unsafe`.
    pub allow_unsafe: bool,
    /// `-k`: failed reads and lookups are counted, to be told.
    pub helper_errors: bool,
    /// What debug information says of what the script names.
    pub debug: super::DebugInfo,
    /// What the kernel says of what the script names.
    pub kernel: super::Kernel,
}
