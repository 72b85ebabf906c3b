//! Scripts with what they print on this kernel, maps at the end included.

use baretrace::kernel::detect;
use std::process::{Command, Stdio};

/// Bodies of a `BEGIN` probe that ends with `exit()`, and the lines on stdout without empty ones.
const BODIES: &[(&str, &str)] = &[
    // Loops over maps.
    (
        "@a[1]=2; @a[3]=4; $n = 0; for ($kv : @a) { $n += $kv.0 * $kv.1; } print($n); clear(@a)",
        "14",
    ),
    (
        "@a[7]=2; for ($kv : @a) { printf(\"%d %d\\n\", $kv.0, $kv.1); } clear(@a)",
        "7 2",
    ),
    (
        "@a[1]=1; @a[2]=2; for ($kv : @a) { if ($kv.0 == 1) { continue; } print($kv); } clear(@a)",
        "(2, 2)",
    ),
    (
        "@a[1]=1; @a[2]=1; for ($kv : @a) { print(\"once\"); break; } clear(@a)",
        "once",
    ),
    (
        "@a[1]=sum(5); @a[1]=sum(6); for ($kv : @a) { printf(\"%d\\n\", $kv.1); } clear(@a)",
        "11",
    ),
    (
        "@a[1,2]=\"v\"; for ($kv : @a) { print($kv); print($kv.0.1); } clear(@a)",
        "((1, 2), v)|2",
    ),
    (
        "@a[1]=1; @b[2]=2; for ($x : @a) { for ($y : @b) { printf(\"%d %d\\n\", $x.0, $y.0); } } clear(@a); clear(@b)",
        "1 2",
    ),
    (
        "@a[1]=1; for ($kv : @a) { @b[$kv.0] = $kv.1; delete(@a, $kv.0); }",
        "@b[1]: 1",
    ),
    (
        "$s = \"str\"; @a[1]=1; for ($kv : @a) { print($s); $s = \"new\"; } print($s); clear(@a)",
        "str|new",
    ),
    (
        "@a[1]=\"hello\"; for ($kv : @a) { @b[$kv.1] = $kv; } for ($x : @b) { print($x.1.1); } clear(@a); clear(@b)",
        "hello",
    ),
    (
        "for ($i : 0..300) { @a[$i] = $i; } $n = 0; for ($kv : @a) { $n += $kv.1; } print($n); print(len(@a)); clear(@a)",
        "44850|300",
    ),
    (
        "$x = 3; @a[1]=1; for ($kv : @a) { $p = &$x; $x = *$p + 1; } print($x); clear(@a)",
        "4",
    ),
    // Integers: 64 bits computed, comparisons signed unless both sides are unsigned, `>>` without a sign.
    (
        "$a = (uint32)4294967295; $b = (uint32)1; print($a + $b); $c = (int32)2147483647; print($c * 2)",
        "4294967296|4294967294",
    ),
    (
        "$a = (int32)-1; $b = (uint32)1; print($a < $b); $c = (int64)-1; $d = (uint64)1; print($c < $d)",
        "true|true",
    ),
    (
        "$a = -8; print($a >> 1); print(~(uint8)1); print(~0); $b = 1; print(-$b); print(-7 / 2)",
        "9223372036854775804|254|18446744073709551615|255|-3",
    ),
    (
        "$z = 0; print($z ?: 9); print(7 ?: 5); print(\"\" == \"x\" ?: true)",
        "9|7|true",
    ),
    // Other loops.
    ("for ($i : -2..2) { printf(\"%d \", $i); }", "-2 -1 0 1 "),
    (
        "for ($i : 0..3) { for ($j : 0..3) { printf(\"%d%d \", $i, $j); } }",
        "00 01 02 10 11 12 20 21 22 ",
    ),
    (
        "$n = 5; for ($i : 0..$n) { if ($i == 1) { continue; } if ($i == 4) { break; } print($i); }",
        "0|2|3",
    ),
    (
        "$i = 0; while (1) { $i++; if ($i > 5) { break; } if ($i == 2) { continue; } print($i); }",
        "1|3|4|5",
    ),
    ("unroll(3) { printf(\"x\"); } printf(\"\\n\")", "xxx"),
    // Strings.
    (
        "print(strlen(\"hello\")); print(strlen(comm)); $a = str(\"hello\"); print(strlen($a))",
        "5|9|5",
    ),
    (
        "$a = comm; print(strstr($a, \"retr\")); print(strstr($a, \"trac\")); print(strstr($a, \"zz\"))",
        "2|4|-2",
    ),
    (
        "print(strcontains(\"hello\", \"ll\")); print(strcontains(comm, \"lx\"))",
        "true|false",
    ),
    (
        "$c = comm; print(str_concat($c, \"x\")); print(str_concat(str_concat($c, \"-\"), $c))",
        "baretracex|baretrace-baretrace",
    ),
    (
        "$a = str_concat(comm, comm); $b = str_concat(comm, comm); print($a == $b); print($a == comm)",
        "true|false",
    ),
    (
        "$a = \"hello\"; $i = 2; print($a[$i]); print($a[0])",
        "108|104",
    ),
    (
        "print(memcmp(\"abc\", \"abd\", 2)); $a = comm; print(memcmp($a, \"bbre\", 4))",
        "0|-1",
    ),
    (
        "print(strncmp(\"abc\", \"abd\", 2)); print(strncmp(\"abc\", \"abd\", 3)); print(strncmp(comm, \"bare\", 4))",
        "0|1|0",
    ),
    (
        "print(buf(\"abcd\", 4)); printf(\"%rx\\n\", buf(\"ab\", 2))",
        "abcd|\\x61\\x62",
    ),
    ("$s = str(\"hello world\", 5); print($s)", "hello"),
    // Maps.
    // Keys up to 62 bytes, and longer ones, literal and not.
    (
        "@m[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"] = 2; @m[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"] = 3; $s = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"; if (pid == 0) { $s = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"; } print(@m[$s]); $t = str_concat($s, \"a\"); print(@m[$t]); \
         print(has_key(@m, $t)); print(delete(@m, $t)); print(delete(@m, $t)); print(has_key(@m, \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\")); print(@m[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]); clear(@m)",
        "2|3|true|true|false|false|2",
    ),
    (
        "$c = str_concat(comm, \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"); @n[1, $c] = count(); @n[1, str_concat(comm, \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\")] = count(); @n[1, comm] = count(); \
         print(@n[1, $c]); @n[2, \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"] = count(); zero(@n)",
        "2|@n[1, baretrace]: 0|@n[1, baretraceaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]: 0|@n[2, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]: 0",
    ),
    (
        "@l[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"] = 1; @l[\"x\"] = 2; $n = 0; for ($kv : @l) { $n += $kv.1; } print($n); print(len(@l)); clear(@l)",
        "3|2",
    ),
    (
        "@m[1] = 5; let $v; if (find(@m, 1, $v)) { print($v); } if (find(@m, 2, $v)) { print(0); } clear(@m)",
        "5",
    ),
    (
        "@m[2] = (1, \"hello\"); let $v; if (find(@m, 2, $v)) { print($v); } clear(@m)",
        "(1, hello)",
    ),
    ("@[1,\"x\"] = 1", "@[1, x]: 1"),
    ("@x[1] = (a=1, b=\"t\"); print(@x[1].b); clear(@x)", "t"),
    (
        "@x[1] = 10; @x[1] -= 3; @x[1] *= 2; print(@x[1]--); print(--@x[1]); clear(@x)",
        "14|12",
    ),
    ("@x = count(); delete(@x); print(1)", "1"),
    (
        "@c = count(); @s = sum(3); @s = sum(9); if (@s == 12) { printf(\"%d %d\\n\", (int64)@c, (int64)@s); } clear(@c); clear(@s)",
        "1 12",
    ),
    (
        "@m = max(5); @n = min(3); @a = avg(10); @a = avg(20); printf(\"%d %d %d\\n\", @m, @n, @a); clear(@m); clear(@n); clear(@a)",
        "5 3 15",
    ),
    (
        "@s[1] = stats(5); @s[1] = stats(7); print(@s[1]); clear(@s)",
        "{ .count = 2, .average = 6, .total = 12 }",
    ),
    // Arrays, tuples, structs, pointers.
    (
        "$a = (int8[8])12345; $i = 1; printf(\"%x\\n\", $a[$i]); $i = 9; print($a[$i]); print((uint64)$a)",
        "30|0|12345",
    ),
    (
        "$a = pton(\"10.0.0.1\"); print($a); $i = 3; print($a[$i]); print((uint32)pton(\"127.0.0.1\"))",
        "[10,0,0,1]|1|16777343",
    ),
    (
        "print((1, 2) == (1, 2)); print((1, \"a\") != (1, \"b\"))",
        "true|true",
    ),
    (
        "$a = (1, (2, \"x\")); $b = $a; $b = (3, (4, \"yy\")); print($a); print($b)",
        "(1, (2, x))|(3, (4, yy))",
    ),
    ("@x = 7; $p = &@x; print(*$p); clear(@x)", "7"),
    ("$x = 5; $y = &$x; $z = &$y; print(**$z)", "5"),
    (
        "$x = 1; $y = $x ? { print(\"in\"); 5 } : 6; print($y)",
        "in|5",
    ),
    // `if` as a value, and macros whose last statement is one.
    (
        "$b = 1; $x = if ($b) { \"a\" } else { \"bcd\" }; print($x); print(1 + if ($b > 1) { 2 } else { 30 })",
        "a|31",
    ),
    (
        "$n = 3; $x = if ($n == 1) { 1 } else if ($n == 3) { let $y = $n * 2; $y } else { 0 }; print($x)",
        "6",
    ),
    // Casts: no sign is carried into an address; texts are true where they are not empty.
    (
        "print((uint8*)-1); $a = -1; print((uint8*)$a); print((uint8*)(int64)-1)",
        "0xff|0xff|0xffffffffffffffff",
    ),
    (
        "$a = \"x\"; $b = \"\"; print((bool)$a); print((bool)$b); print((bool)\"\")",
        "true|false|false",
    ),
    // Lengths known at run time only; texts that begin further on.
    (
        "$n = 3; printf(\"%r|%s\\n\", buf(\"hello\", $n), str(\"hello\", $n)); $n = 99; print(str(\"hello\", $n))",
        "hel|he|hello",
    ),
    (
        "print(\"hello\" + 3); $a = \"abc\"; print(strncmp($a, \"abd\", 3)); $b = \"abd\"; print(strncmp($a, $b, 3))",
        "lo|1|1",
    ),
    // What is known of an expression; stacks no deeper than asked for; settings.
    (
        "print((is_literal(-1), is_literal((1, \"a\")), is_literal(1 + 1), is_literal(pid), strcap((int8[4])(uint32)1)))",
        "(true, true, true, false, 4)",
    ),
    (
        "print((len(kstack(1)), len(kstack(0)))); print(memcmp((1, 2), (1, 3), 2) < 0)",
        "(1, 0)|true",
    ),
    (
        "print((config.max_bpf_progs, config.log_size, config.missing_probes, config.license))",
        "(1024, 1000000, error, GPL)",
    ),
    (
        "let $s: string = \"hello\"; print(sizeof($s)); $s = \"hi\"; print($s)",
        "6|hi",
    ),
    // Records go by name; tuples are compared element by element; what prints on one side of `||`.
    (
        "$a = (a=1, b=\"x\"); $b = (b=\"x\", a=1); print($a == $b); $a = $b; print($a); @r = $b; @r = $a; print(@r.b); clear(@r)",
        "true|{ .a = 1, .b = x }|x",
    ),
    (
        "$a = (1, \"abc\"); $b = ((uint64)1, \"abcdef\"); print($a == $b); $b = (1, \"abc\"); print($a == $b); print($a != $b)",
        "false|true|false",
    ),
    (
        "$x = 0; $y = $x && { print(\"no\"); 1 }; $z = $x || { print(\"yes\"); 1 } || { print(\"no\"); 0 }; print(($y, $z))",
        "yes|(false, true)",
    ),
    // Conditions that print, and texts chosen by them.
    (
        "$x = 1; $y = $x ? { print(\"a\"); \"s1\" } : { print(\"b\"); \"s2\" }; print($y)",
        "a|s1",
    ),
    (
        "$x = 1; while ({ print(\"w\"); $x < 3 }) { print($x); $x++ }",
        "w|1|w|2|w",
    ),
    (
        "$x = 5; if ({ print(1); $x } > 3) { print(2); } else { print(3); } if ({ print(4); $x } > 9) { print(5) }",
        "1|2|4",
    ),
    // Each step is a value of its own; a longer text is another text; blocks end with blocks.
    (
        "$a = 1; $b = $a++ + $a++; $c = ++$a + --$a; print(($a, $b, $c)); $t = \"abc\"; print($t == \"abcd\")",
        "(3, 3, 7)|false",
    ),
    (
        "$x = { let $y = 4; { let $z = $y * 2; $z + 1 } }; print($x); $k = kstack(1); print($k == $k)",
        "9|true",
    ),
    // Values of user space.
    (
        "printf(\"%s\\n\", macaddr(\"\\x01\\x02\\x03\\x04\\x05\\x06\"))",
        "01:02:03:04:05:06",
    ),
    (
        "printf(\"%s %s\\n\", ntop(0x0100007f), ntop(pton(\"::1\")))",
        "127.0.0.1 ::1",
    ),
    (
        "print(nsecs(sw_tai) > 0); print(strerror(2))",
        "true|No such file or directory",
    ),
];

#[test]
fn bodies_print_what_they_should() {
    if !detect::missing_rights(true).is_empty() {
        eprintln!("skipped: this process may not trace");
        return;
    }
    let mut wrong = Vec::new();
    for (body, want) in BODIES {
        let script = format!("BEGIN {{ {body}; exit() }}");
        let out = Command::new(env!("CARGO_BIN_EXE_baretrace"))
            .args(["-q", "-e", &script])
            .stdin(Stdio::null())
            .output()
            .expect("run");
        let stdout = String::from_utf8_lossy(&out.stdout);
        let lines: Vec<&str> = stdout.lines().filter(|l| !l.is_empty()).collect();
        if lines.join("|") != *want {
            let stderr = String::from_utf8_lossy(&out.stderr);
            wrong.push(format!(
                "{script}\nwant {want}\ngot  {}\n{stderr}",
                lines.join("|")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A message of the script says where it stands.
#[test]
fn messages_name_their_place() {
    if !detect::missing_rights(true).is_empty() {
        eprintln!("skipped: this process may not trace");
        return;
    }
    let out = Command::new(env!("CARGO_BIN_EXE_baretrace"))
        .args(["-q", "-e", "BEGIN { errorf(\"bad %d\", 10); exit() }"])
        .output()
        .expect("run");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(stderr.contains("stdin:1:9-29: ERROR: bad 10"), "{stderr}");
}
