//! What the kernel tests share: whether they may run, and small objects to load.

use std::os::fd::AsFd;

use baretrace::{
    asm::{AluOp, AtomicOp, Callee, Imm64, Insn, Reg, Size, Src, Width},
    kernel::{cpus, detect},
    loader::{self, LoadOptions, Loaded},
    runtime::attach::{self, AttachOptions, Attachment},
    spec::{
        AttachSpec, EventPlan, MapKind, MapRole, MapSpec, Object, ProgramKind, ProgramSpec,
        UserSite,
    },
};

use crate::fixture;

/// Byte offset in `pt_regs` of the first integer argument.
#[cfg(target_arch = "x86_64")]
const FIRST_ARG: i16 = 112;
#[cfg(target_arch = "aarch64")]
const FIRST_ARG: i16 = 0;

/// Whether this process may trace; prints why not. Skipping is earned by missing rights alone.
pub(crate) fn may_trace() -> bool {
    let missing = detect::missing_rights(true);
    for what in &missing {
        eprintln!("skipped: missing {what}");
    }
    missing.is_empty()
}

pub(crate) fn mov(dst: Reg, src: Src) -> Insn {
    Insn::Alu {
        op: AluOp::Mov,
        width: Width::W64,
        dst,
        src,
    }
}

pub(crate) fn map(dst: Reg, index: i32) -> Insn {
    Insn::LoadImm64 {
        dst,
        imm: Imm64::MapIdx(index),
    }
}

fn call(helper: u32) -> Insn {
    Insn::Call {
        callee: Callee::Helper(helper),
    }
}

/// `r0 = value; exit`.
pub(crate) fn finish(value: i32) -> [Insn; 2] {
    [mov(Reg::R0, Src::Imm(value)), Insn::Exit]
}

/// Sends `*(u64 *)(r10 - 8)`, eight bytes, through map 0; wants the context in `r6`.
pub(crate) fn send() -> Vec<Insn> {
    vec![
        mov(Reg::R1, Src::Reg(Reg::R6)),
        map(Reg::R2, 0),
        Insn::Alu {
            op: AluOp::Mov,
            width: Width::W32,
            dst: Reg::R3,
            src: Src::Imm(-1),
        },
        mov(Reg::R4, Src::Reg(Reg::R10)),
        Insn::Alu {
            op: AluOp::Add,
            width: Width::W64,
            dst: Reg::R4,
            src: Src::Imm(-8),
        },
        mov(Reg::R5, Src::Imm(8)),
        call(25),
    ]
}

/// Sends the probed function's first argument.
pub(crate) fn send_argument() -> Vec<Insn> {
    let mut insns = vec![
        mov(Reg::R6, Src::Reg(Reg::R1)),
        Insn::Load {
            size: Size::DW,
            signed: false,
            dst: Reg::R1,
            src: Reg::R6,
            off: FIRST_ARG,
        },
        Insn::Store {
            size: Size::DW,
            dst: Reg::R10,
            off: -8,
            src: Src::Reg(Reg::R1),
        },
    ];
    insns.extend(send());
    insns.extend(finish(0));
    insns
}

/// Adds one to the `u64` in map 0, an array of one.
pub(crate) fn count_hit() -> Vec<Insn> {
    let mut insns = vec![
        Insn::LoadImm64 {
            dst: Reg::R1,
            imm: Imm64::MapIdxValue { idx: 0, off: 0 },
        },
        mov(Reg::R2, Src::Imm(1)),
        Insn::Atomic {
            op: AtomicOp::Add { fetch: false },
            size: Size::DW,
            dst: Reg::R1,
            off: 0,
            src: Reg::R2,
        },
    ];
    insns.extend(finish(0));
    insns
}

pub(crate) fn ring_map() -> MapSpec {
    MapSpec {
        name: "ring".into(),
        kind: MapKind::PerfEventArray,
        key_size: 4,
        value_size: 4,
        max_entries: 0,
        flags: 0,
        init: vec![],
        role: MapRole::Ring,
    }
}

pub(crate) fn counter_map(init: u64) -> MapSpec {
    MapSpec {
        name: "counter".into(),
        kind: MapKind::Array,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        flags: 0,
        init: init.to_ne_bytes().to_vec(),
        role: MapRole::Data,
    }
}

/// An object with one map and one program.
pub(crate) fn object(kind: ProgramKind, map: MapSpec, insns: Vec<Insn>) -> Object {
    Object {
        script_name: "test.bt".into(),
        source: "line one\nline two\n".into(),
        license: String::new(),
        maps: vec![map],
        programs: vec![ProgramSpec {
            name: "test".into(),
            probe: "test".into(),
            kind,
            origins: vec![None; insns.len()],
            insns,
            sleepable: false,
            attach: vec![],
        }],
        events: EventPlan::default(),
    }
}

pub(crate) fn load(object: &Object, multi: bool) -> Loaded {
    let options = LoadOptions { multi, lines: true };
    match loader::load(object, &options) {
        Ok(loaded) => loaded,
        Err(e) => panic!("{e}\nhelp: {:?}", e.help()),
    }
}

/// Attaches the first program.
pub(crate) fn attach(
    loaded: &Loaded,
    spec: &AttachSpec,
    multi: bool,
) -> Result<Attachment, attach::AttachError> {
    let cpus = cpus::online().expect("online cpus");
    let options = AttachOptions {
        multi,
        cpus: &cpus,
        pid: None,
    };
    attach::attach(loaded.programs[0].as_fd(), spec, &options)
}

/// Sites of this binary.
pub(crate) fn user(sites: Vec<UserSite>, pid: Option<u32>) -> AttachSpec {
    AttachSpec::User {
        path: fixture::path(),
        sites,
        ret: false,
        pid,
    }
}

/// The `u64` in a loaded object's map 0.
pub(crate) fn counter(loaded: &Loaded) -> u64 {
    let mut value = [0; 8];
    let found = loaded.maps[0].lookup(&0u32.to_ne_bytes(), &mut value);
    assert!(found.expect("lookup"));
    u64::from_ne_bytes(value)
}

/// The `u64` at the front of a record.
pub(crate) fn number(data: &[u8]) -> u64 {
    u64::from_ne_bytes(data[..8].try_into().expect("eight bytes"))
}
