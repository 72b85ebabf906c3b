//! Functions, stacks, arguments by name: on a C program that is compiled here, where there is a compiler.

use crate::support::{Case, EXE, Target, TempDir, can_trace, run, text};
use std::process::Command;

/// It ends at once: its names are those of a program that is there no more.
const SOURCE: &str = "struct foo { int a; char name[8]; };
enum color { RED, GREEN };
int counter_value = 77;
#define KEEP __attribute__((noinline))
KEEP int add(int x, struct foo *f, unsigned char c, enum color k, double d, long m, long n, long o) {
  __asm__ volatile(\"\" ::: \"memory\");
  return x + f->a + c + k + (int)d + m + n + o;
}
KEEP struct foo *same(struct foo *f) { __asm__ volatile(\"\" ::: \"memory\"); return f; }
KEEP int by_value(struct foo v, int after) { __asm__ volatile(\"\" ::: \"memory\"); return v.a + after; }
struct pair { int a; short b; long c; }; struct large { long a, b, c; };
KEEP int pair(struct pair p, int z) { __asm__ volatile(\"\" ::: \"memory\"); return p.a + z; }
KEEP int large(struct large l, int z) { __asm__ volatile(\"\" ::: \"memory\"); return l.b + z; }
KEEP int caller(struct foo *f) { struct pair p = { -1, 2, 3 }; pair(p, 4); struct large l = { 21, 22, 23 }; large(l, 5); int r = add(-5, f, 200, GREEN, 1.5, 6, 7, 8); return r + by_value(*same(f), 3); }
int main(void) { struct foo f = { 5, \"hi\" }; return caller(&f) == 0; }
";

/// The program, or nothing if there is no C compiler.
fn program(name: &str) -> Option<(TempDir, String)> {
    if !can_trace() {
        return None;
    }
    let dir = TempDir::new(name);
    let source = dir.0.join("t.c");
    std::fs::write(&source, SOURCE).expect("write a source file");
    let out = dir.0.join("t");
    let built = Command::new("cc")
        .args([
            "-g",
            "-O1",
            "-fno-omit-frame-pointer",
            "-fno-optimize-sibling-calls",
            "-o",
        ])
        .args([&out, &source])
        .status();
    if !built.is_ok_and(|status| status.success()) {
        println!("skipped, there is no C compiler here");
        return None;
    }
    let path = out.to_str().expect("a plain path").to_string();
    Some((dir, path))
}

/// What the script prints while the program runs once, `BIN` being its path.
fn output(path: &str, script: &str) -> String {
    let script = script.replace("BIN", path);
    let out = run(
        Command::new(EXE).args(["-q", "-c", path, "-e", &script]),
        b"",
    );
    let all = format!("{script}\n{}{}", text(&out.stdout), text(&out.stderr));
    assert!(!all.contains("panicked"), "{all}");
    all.split_once('\n')
        .map_or(String::new(), |(_, out)| out.to_string())
}

#[test]
fn arguments_by_name_and_type() {
    let Some((_dir, path)) = program("args") else {
        return;
    };
    for (script, want) in [
        (
            "uprobe:BIN:add { printf(\"%d %d %s %d\", args.x, args.f->a, args.f->name, args.c) }",
            "-5 5 hi 200",
        ),
        ("uprobe:BIN:add { print(args.k) }", "1\n"),
        (
            "uprobe:BIN:add { print((args.m, args.n, args.o)) }",
            "(6, 7, 8)",
        ),
        (
            "uprobe:BIN:add { print(args.d) }",
            "`double` is a floating-point number",
        ),
        (
            "uprobe:BIN:add { print(args.y) }",
            "the function has no parameter `y`",
        ),
        (
            "uprobe:BIN:by_value { print(args.v) }",
            "its member `name` is in a register",
        ),
        (
            "uprobe:BIN:pair { print(args); print(args.p.b) }",
            "{ .p = { .a = -1, .b = 2, .c = 3 }, .z = 4 }\n2\n",
        ),
        (
            "uprobe:BIN:large { print(args.l.b); print(args.z) }",
            "22\n5\n",
        ),
        (
            "uprobe:BIN:pair,uprobe:BIN:large { print(args.z) }",
            "4\n5\n",
        ),
        ("uprobe:BIN:by_value { print(args.after) }", "3\n"),
        (
            "uprobe:BIN:same { print(args.f->a); print(sizeof(args.f->name)) }",
            "5\n8\n",
        ),
        ("uprobe:BIN:same { print(((struct foo *)arg0)->a) }", "5\n"),
        ("uprobe:BIN:caller { print(sizeof(struct foo)) }", "12\n"),
        ("uretprobe:BIN:same { print(retval->name) }", "hi\n"),
        (
            "uprobe:BIN:caller { print(*uaddr(\"counter_value\")) }",
            "77\n",
        ),
        (
            "uprobe:BIN:caller { print(*uaddr(\"none\")) }",
            "a symbol of the binary",
        ),
        (
            "struct foo { short b; }; uprobe:BIN:same { print(((struct foo *)arg0)->b) }",
            "5\n",
        ),
    ] {
        let out = output(&path, script);
        assert!(out.contains(want), "{script}: no `{want}` in {out}");
    }
}

#[test]
fn places_of_functions() {
    let Some((_dir, path)) = program("places") else {
        return;
    };
    for (script, want) in [
        ("uprobe:BIN:by_* { printf(\"%s\", probe) }", "BIN:by_value"),
        (
            "uprobe:BIN:caller+1 { printf(\"%s\", probe) }",
            "BIN:caller+1",
        ),
        ("uprobe:BIN@t.c:6 { printf(\"%s\", probe) }", "uprobe:BIN:"),
        (
            "uretprobe:BIN@t.c:6 { }",
            "attaches to whole functions, not to lines",
        ),
        ("uprobe:BIN@other.c:6 { }", "is not compiled of `other.c`"),
        (
            "uprobe:BIN@t.c:999 { printf(\"%s\", probe) }",
            "has no statement at `t.c:999`",
        ),
        (
            "uprobe:BIN:add+99999 { printf(\"%s\", probe) }",
            "bytes only",
        ),
        (
            "uprobe:BIN:0x1 { printf(\"%s\", probe) }",
            "no executable segment",
        ),
        ("uprobe:BIN:adds { print(1) }", "did you mean `add`?"),
    ] {
        let (out, want) = (output(&path, script), want.replace("BIN", &path));
        assert!(out.contains(&want), "{script}: no `{want}` in {out}");
    }
    Case {
        args: &["-lv", &format!("uprobe:{path}:ad*")],
        stdout: &["    int x\n    struct foo* f\n    unsigned char c\n    enum color k\n"],
        ..Case::default()
    }
    .check();
}

#[test]
fn stacks_and_names() {
    let Some((_dir, path)) = program("stacks") else {
        return;
    };
    for (script, want) in [
        (
            "uprobe:BIN:add { print(ustack(2)) }",
            "\n        add+0\n        caller+",
        ),
        (
            "uprobe:BIN:add { @[ustack(1)] = count() }",
            "@[\n        add+0\n]: 1\n",
        ),
        ("uprobe:BIN:add { print(ustack(perf, 1)) }", " add+0 (BIN)"),
        ("uprobe:BIN:add { print(ustack(build_id, 1)) }", " 0x"),
        (
            "uprobe:BIN:add { printf(\"%s %s\", func, usym(reg(\"ip\"))) }",
            "add add",
        ),
    ] {
        let (out, want) = (output(&path, script), want.replace("BIN", &path));
        assert!(out.contains(&want), "{script}: no `{want}` in {out}");
    }
    let raw = output(&path, "uprobe:BIN:add { print(ustack(raw, 1)) }");
    let digits = raw.trim();
    assert!(
        digits.len() >= 6 && digits.chars().all(|c| c.is_ascii_hexdigit()),
        "{raw}"
    );
}

#[test]
fn names_of_this_program() {
    if !can_trace() {
        return;
    }
    let target = Target::start(&[]);
    let script = format!(
        "usdt:{EXE}:net:inbound_message {{ printf(\"%s\", ustack(1)); exit() }} interval:s:9 {{ exit() }}"
    );
    let out = run(
        Command::new(EXE).args(["-q", "-p", &target.pid(), "-e", &script]),
        b"",
    );
    let stdout = text(&out.stdout);
    assert!(
        stdout.contains("baretrace::"),
        "{stdout}{}",
        text(&out.stderr)
    );
}
