//! What the tests share: recordings made by hand, and the program itself.

use baretrace::{
    kernel::detect,
    record::{Hit, Meta, Named, Notes, Point, Recorded, Recording, Writer},
    simulate::Script,
    spec::{
        Arch, ArgLoc, AttachSpec, Binary, DebugInfo, ProgramKind, Site, UsdtArg, UsdtProbe,
        UserSite,
    },
};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_baretrace");

/// Whether this process may trace; prints why not.
pub(crate) fn may_trace() -> bool {
    let missing = detect::missing_rights(false);
    for what in &missing {
        eprintln!("left out: missing {what}");
    }
    missing.is_empty()
}

/// A file of this test's own.
pub(crate) fn file(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("record");
    std::fs::create_dir_all(&dir).unwrap();
    dir.join(format!("{}-{name}", std::process::id()))
}

/// Runs the program.
pub(crate) fn baretrace(args: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(args)
        .output()
        .expect("the program is built")
}

/// Its standard output, when it succeeds.
pub(crate) fn printed(args: &[&str]) -> String {
    let output = baretrace(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Its exit code and standard error, when it fails.
pub(crate) fn refused(args: &[&str]) -> (i32, String) {
    let output = baretrace(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{args:?} succeeds");
    (output.status.code().unwrap(), errors)
}

fn arg(size: u8, loc: ArgLoc, text: &str) -> UsdtArg {
    UsdtArg {
        size,
        signed: false,
        float: false,
        loc,
        text: text.to_owned(),
    }
}

/// A recording of `usdt:/bin/app:app:hit`, whose arguments are in `di`, at `8(%sp)` and in `si`.
pub(crate) fn meta() -> Meta {
    let path = PathBuf::from("/bin/app");
    let memory = ArgLoc::Mem {
        base: Some(152),
        index: None,
        disp: 8,
    };
    let site = Site {
        offset: 0x1234,
        ref_ctr: 0,
        args: vec![
            arg(8, ArgLoc::Reg { reg: 112 }, "8@%rdi"),
            arg(8, memory, "8@8(%rsp)"),
            arg(8, ArgLoc::Reg { reg: 104 }, "8@%rsi"),
        ],
    };
    let sites = vec![UserSite {
        offset: 0x1234,
        ref_ctr: 0,
        cookie: 0,
    }];
    Meta {
        script: Recorded::default(),
        arch: Arch::X86_64,
        cpus: 4,
        kernel: "6.18.0".to_owned(),
        start: 1_000_000_000,
        clocks: [1_767_225_600_000_000_000, 1_767_225_600_000_000_000, 0, 0],
        suspended: 0,
        config: Vec::new(),
        points: vec![Point {
            probe: "usdt:/bin/app:app:hit".to_owned(),
            kind: ProgramKind::Kprobe,
            attach: AttachSpec::User {
                path: path.clone(),
                sites,
                ret: false,
                pid: None,
            },
            regs: vec![104, 112, 128, 152],
        }],
        binaries: vec![Binary {
            written: "/bin/app".to_owned(),
            shown: "/bin/app".to_owned(),
            path,
            build_id: None,
            usdt: vec![UsdtProbe {
                provider: "app".to_owned(),
                name: "hit".to_owned(),
                sites: vec![site],
                names: Vec::new(),
            }],
            functions: Vec::new(),
        }],
        debug: DebugInfo::default(),
    }
}

/// Hit number `n`: argument 0 is `n`, argument 2 the address of the text `text N`.
pub(crate) fn hit(n: u64) -> Hit {
    let addr = 0x7f00_0000_0000 + 64 * n;
    let mut hit = Hit {
        cpu: u32::try_from(n % 4).unwrap(),
        time: 2_000_000_000 + 1000 * n,
        boot: 2_000_000_000 + 1000 * n,
        pid: 100,
        tid: 100 + u32::try_from(n % 3).unwrap(),
        uid: 5,
        gid: 6,
        comm: *b"app\0\0\0\0\0\0\0\0\0\0\0\0\0",
        regs: vec![addr, n, 0x40_1234, 0x7fff_0000],
        ..Hit::default()
    };
    let text = format!("text {n}\0");
    hit.push(114, addr, text.len() as u64, text.as_bytes());
    hit
}

/// Where the hits are, and a stack.
pub(crate) fn notes() -> Notes {
    Notes {
        names: vec![Named {
            pid: Some(100),
            addr: 0x40_1234,
            name: Some(("work".to_owned(), 4)),
            module: Some("/bin/app".to_owned()),
            build: None,
        }],
        stacks: vec![(5, vec![0x40_1234, 0x40_2000])],
        users: vec![(5, "satoshi".to_owned())],
        cgroups: vec![(77, vec![("unified".to_owned(), "/node.slice".to_owned())])],
        ..Notes::default()
    }
}

/// The bytes of a recording of that many hits.
pub(crate) fn bytes(hits: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, Path::new("memory"), &meta()).unwrap();
    for n in 0..hits {
        writer.hit(&hit(n)).unwrap();
    }
    writer.notes(&notes()).unwrap();
    writer.end(vec![0]).unwrap();
    out
}

/// The same, opened.
pub(crate) fn recording(hits: u64) -> Recording {
    Recording::from_bytes(bytes(hits)).unwrap()
}

/// A script by its text.
pub(crate) fn script(text: &str) -> Script {
    Script {
        name: "test.bt".to_owned(),
        text: text.to_owned(),
        ..Script::default()
    }
}
