//! Called as `bpftrace`: its words for what is wrong with a script, and C headers.

use crate::support::{TempDir, as_bpftrace, can_trace, text};

/// A script, and the first line that bpftrace 0.27.1 says of it.
const ERRORS: &[(&str, &str)] = &[
    (
        "begin { $a = foo(1); }",
        "stdin:1:14-20: ERROR: Unknown function: 'foo'",
    ),
    (
        "begin { print(pidd); }",
        "stdin:1:15-19: ERROR: Unknown identifier: 'pidd'",
    ),
    (
        "begin { @a = 1; @a[1] = 2; }",
        "stdin:1:17-22: ERROR: @a used as a map with an explicit key (non-scalar map), previously used without an explicit key (scalar map)",
    ),
    (
        "begin { $a = 1; $a = \"x\"; }",
        "stdin:1:17-25: ERROR: Type mismatch for $a: trying to assign value of type 'string[2]' when variable already has a type 'int8'",
    ),
    (
        "begin { @a[\"x\"] = 1; @a[1] = 2; }",
        "stdin:1:22-27: ERROR: Argument mismatch for @a: trying to access with arguments: 'int8' when map expects arguments: 'string[2]'",
    ),
    (
        "begin { clear(@x); }",
        "stdin:1:15-17: ERROR: Undefined map: @x",
    ),
    (
        "begin { break; }",
        "stdin:1:9-15: ERROR: 'break' statement is not allowed in a probe",
    ),
    (
        "begin { unroll(101) { $a = 1; } }",
        "stdin:1:9-32: ERROR: unroll maximum value is 100",
    ),
    (
        "begin { $a = \"abc\"; $b = $a + 1; }",
        "stdin:1:26-32: ERROR: Type mismatch for '+': comparing string[4] with int8",
    ),
    (
        "begin { @a = hist(\"x\"); }",
        "stdin:1:14-23: ERROR: hist() only supports int arguments (string provided)",
    ),
    (
        "begin { @a = lhist(1); }",
        "stdin:1:14-22: ERROR: lhist() requires 4 arguments (1 provided)",
    ),
    (
        "begin { system(\"ls\"); }",
        "stdin:1:9-21: ERROR: system() is an unsafe function being used in safe mode",
    ),
    (
        "struct A { int x; } begin { $a = (struct A*)0; print($a.y); }",
        "stdin:1:54-58: ERROR: Struct/union of type 'struct A' does not contain a field named 'y'",
    ),
    (
        "begin { $a = (nope)0; }",
        "stdin:1:15-19: ERROR: Cannot resolve unknown type \"nope\"",
    ),
    (
        "begin { $a = (1,2); $b = $a.5; }",
        "stdin:1:26-30: ERROR: Invalid tuple index: 5. Found 2 elements in tuple.",
    ),
    (
        "interval:x:1 { }",
        "stdin:1:1-13: ERROR: x is not an accepted unit of time",
    ),
    (
        "interval:1 { }",
        "stdin:1:1-11: ERROR: Invalid rate of interval probe. Minimum is 1000 or 1us. Found: 1 nanoseconds",
    ),
    (
        "uprobe { }",
        "stdin:1:1-7: ERROR: uprobe probe type requires 2 or 3 arguments, found 0",
    ),
    (
        "config = { foo = 1 } begin { }",
        "stdin:1:12-19: ERROR: foo: not a known configuration option",
    ),
    (
        "macro m(x) { x } begin { m(); }",
        "stdin:1:26-29: ERROR: Call to m() has arguments that do not match any definition.",
    ),
    (
        "begin { print(1) print(2); }",
        "stdin:1:18-23: ERROR: syntax: expected ';'",
    ),
    ("begn { }", "stdin:1:1-5: ERROR: Invalid probe type: begn"),
    (
        "begin { print(5/0); }",
        "stdin:1:15-18: ERROR: unable to fold literals due to overflow or underflow",
    ),
];

#[test]
fn errors_are_said_in_its_words() {
    let mut wrong = Vec::new();
    for (script, want) in ERRORS {
        let out = as_bpftrace(&["-e", script]);
        let stderr = text(&out.stderr);
        let first = stderr.lines().next().unwrap_or("");
        if first != *want || out.status.code() != Some(1) {
            wrong.push(format!("{script}\nwant {want}\ngot  {first}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What a script prints that ends well.
fn prints(args: &[&str]) -> String {
    let out = as_bpftrace(args);
    assert_eq!(
        out.status.code(),
        Some(0),
        "{args:?}: {}",
        text(&out.stderr)
    );
    text(&out.stdout)
}

#[test]
fn headers_define_types_and_constants() {
    if !can_trace() {
        return;
    }
    let dir = TempDir::new("headers");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.0.join(name), text).expect("write a header");
    };
    write(
        "outer.h",
        "#pragma once\n#include \"inner.h\"\n#if WIDTH > 2 && defined(__x86_64__) || 0\n\
         struct outer { u32_t a; char name[WIDTH * 2]; union { long l; short s[4]; } u; };\n#endif\n\
         enum color { RED = 5, GREEN };\nextern int f(struct outer *o);\nstatic inline int g(void) { return 1; }\n",
    );
    write(
        "inner.h",
        "#define WIDTH 4\n#define SHIFTED(x) ((x) << 4)\n#define FLAGS (SHIFTED(3) | 1)\ntypedef unsigned int u32_t;\n",
    );
    let path = dir.0.display().to_string();
    let body = "begin { print(FLAGS); print(GREEN); print(sizeof(struct outer)); \
                print(offsetof(struct outer, u)); print((u32_t)-1); }";
    let want = "49\nGREEN\n24\n16\n4294967295\n\n\n";
    let script = format!("#include <outer.h>\n{body}");
    assert_eq!(prints(&["-I", &path, "-e", &script]), want);
    let file = dir.0.join("outer.h").display().to_string();
    assert_eq!(prints(&["--include", &file, "-e", body]), want);
    let out = as_bpftrace(&["-e", "#include <not/there.h>\nbegin { }"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(
        text(&out.stderr).contains("fatal error: 'not/there.h' file not found"),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn values_as_bpftrace_has_them() {
    if !can_trace() {
        return;
    }
    for (body, want) in [
        (
            "print(\"abc\" < \"abd\"); if (\"\") { print(1) } else { print(2) }",
            "true\n2\n",
        ),
        ("$x = @none; print($x); @a = @b; print(@a)", "0\n@a: 0\n"),
        ("print(str(5)); print(str(\"abc\", 2))", "5\nab\n"),
        ("print(bswap(-1)); print(config.max_strlen)", "255\n1024\n"),
    ] {
        let out = prints(&["-e", &format!("begin {{ {body} }}")]);
        assert!(out.starts_with(want), "{body}: {out}");
    }
    let caller = "macro up() { $x++; } begin { $x = 1; up(); print($x); }";
    assert_eq!(prints(&["-e", caller]), "2\n\n\n");
}
