//! Text to bytes and back.

use crate::support::{Case, EXE, TempFile, run, text};
use std::process::Command;

const PROGRAM: &str = "  r6 = r1\n  if r6 != 0x0 goto L1\n  r1 = 20\n  call twice\n  exit\nL1:\n  r0 = 0\n  exit\n\
                       twice:\n  r0 = r1\n  r0 += r1\n  exit\n";

fn vectors() -> Vec<[String; 4]> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/insn.data");
    let data = std::fs::read_to_string(path).unwrap();
    let lines = data.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let columns: Vec<String> = line.split(" | ").map(str::to_owned).collect();
            columns.try_into().unwrap()
        })
        .collect()
}

/// All vectors as one program: the list of forms keeps every distance inside of itself.
#[test]
fn all_vectors_in_all_styles() {
    let vectors = vectors();
    let bytes: String = vectors.iter().map(|v| format!("{}\n", v[0])).collect();
    for (style, column) in [("kernel", 1), ("llvm", 2), ("mnemonic", 3)] {
        let args = ["disasm", "--slots", "--style", style];
        let out = run(Command::new(EXE).args(args), bytes.as_bytes());
        assert!(out.status.success(), "{}", text(&out.stderr));
        let listing = text(&out.stdout);
        for (line, vector) in listing.lines().zip(&vectors) {
            let (_, insn) = line.split_once(": ").unwrap();
            assert_eq!(insn, vector[column]);
        }
        assert_eq!(listing.lines().count(), vectors.len());
    }
}

#[test]
fn a_listing_with_labels_reads_back_to_the_same_bytes() {
    let bytes: String = vectors().iter().map(|v| format!("{}\n", v[0])).collect();
    let bytes = bytes + "b700000000000000\n9500000000000000\n";
    let joined = |text: &str| text.split_whitespace().collect::<String>();
    for style in ["kernel", "llvm", "mnemonic"] {
        let listing = run(
            Command::new(EXE).args(["disasm", "--style", style]),
            bytes.as_bytes(),
        );
        let back = run(Command::new(EXE).arg("asm"), &listing.stdout);
        assert!(back.status.success(), "{style}: {}", text(&back.stderr));
        assert_eq!(joined(&text(&back.stdout)), joined(&bytes), "{style}");
    }
}

#[test]
fn formats_and_what_names_them() {
    let source = TempFile::new("prog.s", PROGRAM.as_bytes());
    let asm = |args: &[&str]| {
        let out = run(
            Command::new(EXE).args(["asm", source.name()]).args(args),
            b"",
        );
        assert!(out.status.success(), "{}", text(&out.stderr));
        out.stdout
    };
    let hex = asm(&[]);
    assert_eq!(text(&hex).lines().next(), Some("bf16000000000000"));
    assert_eq!(asm(&["--format", "hex"]), hex);
    let raw = asm(&["--format", "raw"]);
    assert_eq!(
        raw.len() * 2,
        text(&hex).split_whitespace().map(str::len).sum::<usize>()
    );
    for (name, want) in [("out.hex", &hex), ("out.bin", &raw)] {
        let file = TempFile::new(name, b"");
        assert_eq!(asm(&["-o", file.name()]), b"");
        assert_eq!(&std::fs::read(file.name()).unwrap(), want);
        Case {
            args: &["disasm", file.name()],
            stdout: &["L1:\n  r0 = 0\n  exit\nfunc1:\n"],
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn an_object_is_listed_by_section_with_its_names() {
    let source = TempFile::new("answer.s", PROGRAM.as_bytes());
    let object = TempFile::new("answer.o", b"");
    for args in [
        &["-o", object.name()][..],
        &["-o", object.name(), "--section", "syscall"],
    ] {
        let out = run(
            Command::new(EXE).args(["asm", source.name()]).args(args),
            b"",
        );
        assert!(out.status.success(), "{}", text(&out.stderr));
    }
    Case {
        args: &["disasm", object.name()],
        stdout: &[
            ".section syscall\n.license Dual MIT/GPL\n",
            "  call twice\n",
            "\ntwice:\n  r0 = r1\n",
        ],
        ..Case::default()
    }
    .check();
    Case {
        args: &[
            "disasm",
            object.name(),
            "--section",
            ".text",
            "--style",
            "mnemonic",
        ],
        stdout: &["twice:\n  mov %r0, %r1\n  add %r0, %r1\n  exit\n"],
        ..Case::default()
    }
    .check();
    Case {
        args: &["disasm", object.name(), "--section", "syscal"],
        code: 2,
        stderr: &["no section `syscal` holds code", "did you mean `syscall`?"],
        ..Case::default()
    }
    .check();
    // With the functions that it calls.
    Case {
        args: &["exec", object.name()],
        stdout: &["0x0\n"],
        ..Case::default()
    }
    .check();
}

/// What `disasm` prints of an object, `asm` makes the same object of.
#[test]
fn an_object_reads_back_from_its_listing() {
    let text_of = text;
    let text = ".section kprobe/do_unlinkat\n.license GPL\n.map hits hash 4 8 16\n.map .rodata array 4 8 1 = 0x0102030405060708\n\
                .map .bss array 4 16 1\nmain:\n  r1 = map[hits]\n  r2 = map[.rodata][0]+4\n  r3 = subprog[each]\n  r4 = 0\n\
                \x20 call twice\n  if r0 == 0x0 goto L1\n  r0 = 0\nL1:\n  exit\ntwice:\n  r1 = map[.bss][0]+8\n\
                \x20 r0 = *(u64 *)(r1 +0)\n  exit\neach:\n  r0 = 0\n  exit\n";
    let source = TempFile::new("whole.s", text.as_bytes());
    let (first, second) = (
        TempFile::new("first.o", b""),
        TempFile::new("second.o", b""),
    );
    let asm = |source: &TempFile, object: &TempFile| {
        let args = ["asm", source.name(), "-o", object.name()];
        let out = run(Command::new(EXE).args(args), b"");
        assert!(out.status.success(), "{}", text_of(&out.stderr));
        std::fs::read(object.name()).unwrap()
    };
    let made = asm(&source, &first);
    for style in ["kernel", "llvm", "mnemonic"] {
        let args = ["disasm", first.name(), "--style", style];
        let listing = run(Command::new(EXE).args(args), b"").stdout;
        if style == "kernel" {
            assert_eq!(text_of(&listing), text);
        }
        let again = TempFile::new("again.s", &listing);
        assert_eq!(asm(&again, &second), made, "{style}");
    }
}

#[test]
fn several_programs_are_listed_each_under_its_name() {
    let object = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/clang.o");
    Case {
        args: &["disasm", object],
        stdout: &[
            "# several programs: --section NAME",
            "# section tracepoint/syscalls/sys_enter_openat\nenter:\n",
            "  call twice\n",
            "  r2 = subprog[each]\n",
            "  r2 = map[.bss][0]+8  # total\n",
        ],
        ..Case::default()
    }
    .check();
    Case {
        args: &["exec", object],
        code: 2,
        stderr: &["it has several programs", "--section: "],
        ..Case::default()
    }
    .check();
}

#[test]
fn an_object_of_one_section_runs() {
    let source = TempFile::new("one.s", b"r0 = 42\nexit\n");
    let object = TempFile::new("one.o", b"");
    let out = run(
        Command::new(EXE).args(["asm", source.name(), "-o", object.name()]),
        b"",
    );
    assert!(out.status.success(), "{}", text(&out.stderr));
    Case {
        args: &["exec", object.name()],
        stdout: &["0x2a\n"],
        ..Case::default()
    }
    .check();
}

#[test]
fn other_peoples_loader_takes_the_object() {
    if !crate::support::can_trace() || Command::new("bpftool").arg("version").output().is_err() {
        println!("skipped: bpftool is not here, or may not load");
        return;
    }
    let program = PROGRAM.replace("r1 = 20", "r1 = 21");
    let source = TempFile::new("load.s", program.as_bytes());
    let object = TempFile::new("load.o", b"");
    let args = [
        "asm",
        source.name(),
        "-o",
        object.name(),
        "--section",
        "socket",
    ];
    assert!(run(Command::new(EXE).args(args), b"").status.success());
    let pin = format!("/sys/fs/bpf/baretrace-test-{}", std::process::id());
    let loaded = run(
        Command::new("bpftool").args(["prog", "load", object.name(), &pin]),
        b"",
    );
    let listed = run(
        Command::new("bpftool").args(["prog", "dump", "xlated", "pinned", &pin]),
        b"",
    );
    // Pinned only if it was loaded.
    let _ = std::fs::remove_file(&pin);
    let said = text(&loaded.stderr);
    if said.contains("mount") {
        println!("skipped: no bpf file system: {said}");
        return;
    }
    assert!(loaded.status.success(), "{said}");
    let listed = text(&listed.stdout);
    assert!(
        listed.contains("r1 = 21") && listed.contains("call pc+"),
        "{listed}"
    );
}
