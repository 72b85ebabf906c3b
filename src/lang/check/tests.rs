//! Checking: types, names, messages.

use crate::lang::{
    ast::{ExprKind, Item, StmtKind},
    check,
    checked::{Checked, Point, Res},
    parse,
};
use crate::spec::*;
use std::path::PathBuf;

fn arg(size: u8, loc: ArgLoc) -> UsdtArg {
    UsdtArg {
        size,
        signed: true,
        float: false,
        loc,
        text: "-4@%eax".to_string(),
    }
}

fn target() -> Target {
    let regs = |n: usize| {
        (0..n)
            .map(|_| arg(8, ArgLoc::Reg { reg: 80 }))
            .collect::<Vec<_>>()
    };
    let probe = |provider: &str, name: &str, args: Vec<UsdtArg>| UsdtProbe {
        provider: provider.to_string(),
        name: name.to_string(),
        sites: vec![Site {
            offset: 64,
            ref_ctr: 0,
            args,
        }],
        names: crate::bitcoin::schema::arg_names(provider, name),
    };
    let mut odd = regs(1);
    odd.push(arg(
        8,
        ArgLoc::Unreadable("register xmm0 holds floats".to_string()),
    ));
    let bitcoind = Binary {
        written: "./build/bin/bitcoind".to_string(),
        shown: "./build/bin/bitcoind".to_string(),
        path: PathBuf::from("/b/bitcoind"),
        build_id: None,
        usdt: vec![
            probe("net", "inbound_message", regs(6)),
            probe("net", "outbound_message", regs(6)),
            probe("net", "inbound_connection", regs(5)),
            probe("net", "outbound_connection", regs(5)),
            probe("net", "closed_connection", regs(5)),
            probe("net", "evicted_inbound_connection", regs(5)),
            probe("net", "misbehaving_connection", regs(2)),
            probe("validation", "block_connected", regs(6)),
            probe("utxocache", "add", regs(5)),
            probe("utxocache", "spent", regs(5)),
            probe("utxocache", "uncache", regs(5)),
            probe("test", "odd", odd),
        ],
        functions: vec![
            ("main".to_string(), 4096, 100),
            ("malloc".to_string(), 8192, 50),
            ("_ZN2ns1fEi".to_string(), 9000, 50),
        ],
    };
    Target {
        arch: Arch::X86_64,
        features: Features::all(),
        cpus: 4,
        binaries: vec![bitcoind],
        params: vec!["100".to_string(), "hello".to_string()],
        named: vec![
            ("size".to_string(), Some("5".to_string())),
            ("on".to_string(), None),
        ],
        pid: None,
        unwound: Vec::new(),
        cpid: None,
        config: Vec::new(),
        allow_unsafe: false,
        helper_errors: false,
        debug: crate::spec::DebugInfo::default(),
        kernel: crate::spec::Kernel::default(),
    }
}

fn run(source: &str) -> Result<(Checked, Vec<String>), Vec<String>> {
    run_on(source, &target())
}

fn run_on(source: &str, target: &Target) -> Result<(Checked, Vec<String>), Vec<String>> {
    let script = parse(source).map_err(|d| d.into_iter().map(|d| d.message).collect::<Vec<_>>())?;
    let message = |d: crate::lang::Diagnostic| d.message;
    check(script, source, target)
        .map(|(c, w)| (c, w.into_iter().map(message).collect()))
        .map_err(|d| {
            d.into_iter()
                .filter(|d| d.is_error())
                .map(message)
                .collect()
        })
}

fn fine(source: &str) -> Checked {
    match run(source) {
        Ok((checked, _)) => checked,
        Err(errors) => panic!("{source}\n{errors:#?}"),
    }
}

#[track_caller]
fn refused(source: &str, want: &str) {
    match run(source) {
        Ok(_) => panic!("accepted: {source}"),
        Err(errors) => assert_eq!(errors.first().map(String::as_str), Some(want), "{source}"),
    }
}

/// Types of the variables of a `begin` probe with this body.
fn vars(body: &str) -> Vec<String> {
    let checked = fine(&format!(
        "struct s {{ int a; char name[8]; struct s *next; uint8_t raw[4]; unsigned int b : 3; }}; enum e {{ A, B = 7 }}; \
         u:./build/bin/bitcoind:main {{ {body} }}"
    ));
    let name = |t: &Type| super::words::name(t, &checked.structs);
    checked.vars.iter().map(name).collect()
}

fn map(source: &str, name: &str) -> (Option<Type>, Type) {
    let checked = fine(source);
    let map = checked.maps.iter().find(|m| m.name == name).expect("map");
    (map.key.clone(), map.value.clone())
}

#[test]
fn the_script_of_the_talk() {
    let source = r#"#!/usr/bin/env bpftrace
BEGIN { printf("Logging P2P traffic\n") }
usdt:./build/bin/bitcoind:net:inbound_message
{
  $peer_id = (int64) arg0;
  $peer_addr = str(arg1);
  $msg_len = arg4;
  printf("inbound msg from peer %d (%s) with %d bytes\n", $peer_id, $peer_addr, $msg_len);
}
interval:s:1 { @[comm, pid] = count(); }
"#;
    let checked = fine(source);
    assert_eq!(checked.probes.len(), 3);
    assert_eq!(
        checked.probes[1].points[0].name,
        "usdt:./build/bin/bitcoind:net:inbound_message"
    );
    assert_eq!(
        checked.probes[1].points[0].point,
        Point::Usdt {
            binary: 0,
            probe: 0
        }
    );
    assert_eq!(
        checked.vars,
        [Type::I64, Type::Str { size: 1025 }, Type::I64]
    );
    assert_eq!(checked.maps[0].value, Type::Agg(Agg::Count));
    assert_eq!(
        checked.maps[0].key,
        Some(Type::Tuple(vec![Type::Str { size: 16 }, Type::U32]))
    );
    let StmtKind::Assign { value, .. } = &checked.probes[1].body.stmts[2].kind else {
        panic!("assignment")
    };
    assert_eq!(checked.res.get(&value.id), Some(&Res::Arg(4)));
    assert!(matches!(value.kind, ExprKind::Ident(_)));
    assert!(
        checked
            .script
            .items
            .iter()
            .all(|i| !matches!(i, Item::Macro(_)))
    );
}

#[test]
fn integers_take_the_documented_types() {
    for (body, want) in [
        (
            "$a = 0; $b = -1; $c = 128; $d = 18446744073709551615",
            "int8 int8 int16 uint64",
        ),
        ("$a = 1; $a = (uint64)2", "uint64"),
        ("$a = 1; $b = -1000; $a = $b", "int16 int16"),
        (
            "$a = (uint32)5 + (uint8)3; $b = (int8)5 + (uint8)3",
            "uint64 int64",
        ),
        (
            "$a = ~(uint8)1; $b = -pid; $c = pid << 2; $d = pid - 1",
            "uint64 uint64 uint64 int64",
        ),
        (
            "$a = arg0 ?: 5; $b = comptime (1 + 1)",
            "uint64 uint64 int8",
        ),
        (
            "$a = (uint64)1 - (uint64)2; $b = (uint64)1 + (-2)",
            "int64 int64",
        ),
        ("$c = (uint64)1; $d = (int64)-1; $c = $d", "int64 int64"),
        ("$a = 1; $a++", "int64"),
        ("$a = 0; while ($a < 100) { $a = $a + 1; }", "int64"),
        (
            "$a = pid; $b = pid + 1; $c = nsecs / 1000",
            "uint32 uint64 uint64",
        ),
        (
            "$a = 1 == 1; $b = !5; $c = arg0 > 3 && pid",
            "bool bool bool",
        ),
        ("$a = 1m; $b = 1 << 16", "int64 int32"),
        ("let $a: uint16 = 1; let $b: int32; $b = 5", "uint16 int32"),
        ("$a = (uint8)300; $b = sizeof(uint32*[10])", "uint8 uint64"),
        (
            "$a = pid ? 1 : 1000; $b = pid ? \"a\" : \"abc\"",
            "int16 string[4]",
        ),
    ] {
        assert_eq!(vars(body).join(" "), want, "{body}");
    }
}

#[test]
fn composite_types() {
    for (body, want) in [
        (
            "$s = (struct s*)arg0; $a = $s.a; $n = $s->name; $x = $s.next.raw; $y = $x[1]; $b = $s.b",
            "struct s* int32 string[9] uint8[4] uint8 uint32",
        ),
        ("$s = *(struct s*)arg0; $a = $s.a", "struct s int32"),
        (
            "$t = (1, \"ab\", (pid,)); $a = $t.1; $b = $t[1 - 1]; $c = $t.2.0",
            "(int8, string[3], (uint32)) string[3] int8 uint32",
        ),
        (
            "$r = (color=\"green\", size=2); $a = $r.size",
            "(color=string[6], size=int8) int8",
        ),
        (
            "$a = (int8[8])12345; $b = (uint64)$a; $c = (uint8[])pid; $d = (bool[2])(uint16)1",
            "int8[8] uint64 uint8[4] bool[2]",
        ),
        (
            "$p = (uint8*)arg0; $q = $p + 31; $b = *$q; $c = $p[3]",
            "uint8* uint8* uint8 uint8",
        ),
        ("$a = 1; $b = &$a; $c = *$b", "int8 int8* int8"),
        ("$a = A; $b = (enum e)7", "enum e enum e"),
        (
            "$a = ustack(perf, 3); $b = usym(arg0); $c = ntop(pid); $d = buf(arg0, 8); $e = str(arg0, 16)",
            "ustack_t usym_t inet buffer[8] string[16]",
        ),
        (
            "$a = pton(\"127.0.0.1\"); $b = (uint32)$a; $c = str_concat(\"ab\", \"c\"); $d = \"abc\"[0]",
            "uint8[4] uint32 string[4] int8",
        ),
        (
            "$a = { let $b = 1; $b }; let $z; if (pid) { $z = \"hello\" }",
            "int8 int8 string[6]",
        ),
        (
            "$a = (typeof(pid))2; $b = offsetof(struct s, next); $c = container_of((void*)arg0, struct s, name)",
            "uint32 uint64 struct s*",
        ),
    ] {
        let mut found = vars(body);
        if body.starts_with("$a = { let") {
            found.sort();
            assert_eq!(found.join(" "), "int8 int8 string[6]");
            continue;
        }
        assert_eq!(found.join(" "), want, "{body}");
    }
}

#[test]
fn maps_take_their_types_from_the_whole_script() {
    assert_eq!(
        map("begin { @x = @x + 1 } end { print(@x) }", "x"),
        (None, Type::I64)
    );
    assert_eq!(
        map("begin { print(@y); @x = @y; @y = nsecs }", "x").1,
        Type::U64
    );
    assert_eq!(map("begin { @[1] = 1; @[pid] = 2 }", "").0, Some(Type::U32));
    assert_eq!(
        map("begin { @[1, \"a\"]++; @[1000, \"abc\"]++ }", ""),
        (
            Some(Type::Tuple(vec![
                Type::Int {
                    bits: 16,
                    signed: true
                },
                Type::Str { size: 4 }
            ])),
            Type::I64
        )
    );
    assert_eq!(
        map("begin { @h = hist(pid, 2); @l = lhist(1, 0, 10, 1); }", "h").1,
        Type::Agg(Agg::Hist { bits: 2 })
    );
    assert_eq!(
        map("begin { @s = sum(pid); @s = sum(-1) }", "s").1,
        Type::Agg(Agg::Sum { signed: true })
    );
    assert_eq!(
        map("let @m = lruhash(7); begin { @m[1] = 1 }", "m").1,
        Type::Int {
            bits: 8,
            signed: true
        }
    );
    let checked = fine(
        "begin { @[comm] = count(); for ($kv : @) { @b = $kv.1; @c = $kv.0 } if (@ [comm] > 3) { } }",
    );
    assert_eq!(checked.maps[1].value, Type::I64);
}

#[test]
fn constants_are_folded() {
    let checked = fine(
        "begin { print(1 + 2 * 3); print(-5 / 2); print($1); print($2); print(str($2 + 1)); print($#); \
        print(getopt(\"size\", 1)); print(getopt(\"on\")); print(getopt(\"x\", \"y\")); print(\"a\" == \"a\"); print((uint8)300) }",
    );
    let mut found = Vec::new();
    for stmt in &checked.probes[0].body.stmts {
        let StmtKind::Expr(call) = &stmt.kind else {
            continue;
        };
        let ExprKind::Call { args, .. } = &call.kind else {
            continue;
        };
        let crate::lang::ast::Arg::Expr(e) = &args[0] else {
            continue;
        };
        found.push(match checked.res.get(&e.id) {
            Some(Res::Int(n)) => n.to_string(),
            Some(Res::Str(s)) => String::from_utf8_lossy(s).into_owned(),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(found.join(" "), "7 -2 100 hello ello 2 5 1 y 1 44");
}

#[test]
fn dead_branches_are_not_checked() {
    fine(
        "begin { if ($1 < 2) { fail(\"too small: %d\", $1); } if comptime (is_str(1)) { $x = 1; $x = \"a\"; } }",
    );
    refused(
        "begin { if (is_str(1)) { $x = 1; $x = \"a\"; } }",
        "`$x` holds an integer (int8), this is a string",
    );
    refused(
        "begin { if ($1 > 2) { fail(\"too large: %d\", $1); } }",
        "too large: 100",
    );
    refused(
        "begin { static_assert(sizeof(uint32) == 8, \"not eight\"); }",
        "not eight",
    );
}

#[test]
fn messages() {
    for (source, want) in [
        ("begin { print(pidd) }", "unknown builtin `pidd`"),
        ("begin { prnt(1) }", "unknown function `prnt`"),
        ("begin { print($x) }", "undefined variable `$x`"),
        (
            "begin { if (pid) { $x = 1 } print($x) }",
            "undefined variable `$x`",
        ),
        (
            "begin { let $x; if (pid) { let $x = 1 } }",
            "`$x` is declared already",
        ),
        (
            "begin { @x = \"a\"; @x = 1 }",
            "`@x` holds a string, this is an integer (int8)",
        ),
        (
            "begin { $x = \"a\"; $x = 1 }",
            "`$x` holds a string, this is an integer (int8)",
        ),
        (
            "begin { @x[1] = 1; @x[\"a\"] = 1 }",
            "key of `@x` is an integer (int8) elsewhere, this is a string",
        ),
        (
            "begin { @x[1] = 1; @x = 1 }",
            "`@x` has keys, here it has none",
        ),
        (
            "begin { @x = count(); @x = 1 }",
            "`@x` holds an aggregation (count()), this is an integer (int8)",
        ),
        (
            "begin { @x = count(); @x = sum(1) }",
            "`@x` holds an aggregation (count()), this is an aggregation (sum())",
        ),
        (
            "begin { $x = count() }",
            "`count()` can only stand in a map",
        ),
        ("begin { print(@x) }", "map `@x` is never given a value"),
        (
            "begin { printf(\"%d\", \"a\") }",
            "unsupported format specifier for type 'string[2]': d",
        ),
        (
            "begin { printf(\"%r\", pid) }",
            "unsupported format specifier for type 'uint32': r",
        ),
        (
            "begin { printf(\"%d %d\", 1) }",
            "not enough arguments for format string (1 supplied, 2 expected)",
        ),
        (
            "begin { printf(\"%e\") }",
            "unsupported format specifier: e",
        ),
        (
            "begin { printf(comm) }",
            "format of `printf` must be a string literal",
        ),
        ("begin { system(\"ls\") }", "`system` is unsafe"),
        ("begin { print(arg0) }", "`arg0` has no meaning in `begin`"),
        (
            "u:./build/bin/bitcoind:main { print(retval) }",
            "`retval` has no meaning in `uprobe:./build/bin/bitcoind:main`",
        ),
        (
            "u:./build/bin/bitcoind:main { print(arg6) }",
            "`arg6` is not in a register",
        ),
        (
            "U:./build/bin/bitcoind:test:odd { print(arg1) }",
            "`arg1` of `test:odd` cannot be read",
        ),
        (
            "U:./build/bin/bitcoind:net:inbound_mesage { }",
            "`./build/bin/bitcoind` has no USDT probe `net:inbound_mesage`",
        ),
        (
            "U:./build/bin/bitcoind:nett:inbound_message { }",
            "`./build/bin/bitcoind` has no USDT provider `nett`",
        ),
        (
            "u:./build/bin/bitcoind:mian { }",
            "`./build/bin/bitcoind` has no function `mian`",
        ),
        (
            "u:./build/bin/bitcoind:main+200 { }",
            "offset 200 is behind `main`, which has 100 bytes",
        ),
        ("U:/nix:a:b { }", "no binary `/nix`"),
        (
            "kprobe:vfs_read { }",
            "the kernel has no function `vfs_read`",
        ),
        (
            "begin { unroll(pid) { } }",
            "`unroll` wants a count that is known at compile time",
        ),
        ("begin { break; }", "`break` outside of a loop"),
        (
            "begin { $x = 1 + \"a\" }",
            "`+` works on integers, this is a string",
        ),
        (
            "begin { print(1 == \"a\") }",
            "an integer (int8) cannot be compared with a string",
        ),
        ("begin { print(1 / 0) }", "division by zero"),
        (
            "begin { $x = (struct nope *)0; print($x.a) }",
            "`struct nope` is not defined",
        ),
        (
            "struct s { int abc; }; begin { $x = (struct s *)0; print($x.abd) }",
            "`struct s` has no member `abd`",
        ),
        (
            "begin { let $x: uint16 = -1; }",
            "-1 does not fit in uint16",
        ),
        ("begin { let $x: foo = 1; }", "unknown type `foo`"),
        (
            "begin { $x = (1, 2); print($x.2) }",
            "a tuple (int8, int8) has no item 2",
        ),
        (
            "begin { has_key(@x, 1); @x = 1 }",
            "`@x` has keys, here it has none",
        ),
        ("begin { $x = print(1) }", "`print()` yields no value"),
        ("begin { str }", "`str` is a function"),
        (
            "begin { @x = hist(1, 9) }",
            "precision of `hist` is 9; it must be 0 to 5",
        ),
        (
            "begin { print(kaddr(\"x\")) }",
            "the kernel has no symbol `x`",
        ),
        ("begin { signal(\"KILLL\") }", "`signal` is unsafe"),
        ("", "script has no probes"),
    ] {
        refused(source, want);
    }
}

#[test]
fn several_errors_come_at_once() {
    let errors =
        run("begin { print(pidd); print($x); $y = 1 + \"a\"; }").expect_err("three errors");
    assert_eq!(errors.len(), 3, "{errors:?}");
}

#[test]
fn a_line_break_may_stand_for_a_semicolon() {
    fine("begin { print(1)\n print(2)\n $a = config.max_strlen\n @b = $a }");
}

#[test]
fn warnings() {
    let warned = |source: &str| run(source).expect("fine").1;
    assert_eq!(
        warned("begin { @a[1] = 1; has_key(@a, 1); }"),
        ["value is not used"]
    );
    assert_eq!(
        warned(
            "begin { @a[1] = 1; _ = has_key(@a, 1); _ = delete(@a, 1); 1 == 1 ? print(1) : print(2); }"
        ),
        Vec::<String>::new()
    );
    assert_eq!(
        warned("let @b = hash(5); begin { }"),
        ["map `@b` is declared and never used"]
    );
    assert_eq!(
        warned("U:./build/bin/bitcoind:net:misbehaving_connection { print(arg2) }"),
        ["`net:misbehaving_connection` has 2 arguments, `arg0` to `arg1`"]
    );
}

#[test]
fn wildcards_and_languages() {
    let checked = fine(
        "usdt:./build/bin/bitcoind:net:*bound_message { print(arg5) } u:./build/bin/bitcoind:ma* { print(probe) } \
        u:./build/bin/bitcoind:cpp:\"ns::f\" { }",
    );
    let count: Vec<usize> = checked.probes.iter().map(|p| p.points.len()).collect();
    assert_eq!(count, [2, 2, 1]);
    assert_eq!(
        checked.probes[1].points[1].name,
        "uprobe:./build/bin/bitcoind:malloc"
    );
}

#[test]
fn missing_probes_can_be_ignored() {
    let source =
        "config = { missing_probes = warn } usdt:./build/bin/bitcoind:net:nope { } begin { }";
    let (checked, warnings) = run(source).expect("fine");
    assert_eq!((checked.probes.len(), warnings.len()), (1, 2));
}

/// The constructs of Bitcoin Core's scripts: numeric parameters, `unroll` over bytes, `hist`, maps that hold themselves.
#[test]
fn the_constructs_of_a_block_benchmark() {
    let numbers = Target {
        params: vec!["300000".to_string(), "680000".to_string()],
        ..target()
    };
    let source = r#"
BEGIN { $start = $1; if ($2 < $start) { printf("%d\n", $start); exit(); } if ($3 > 0) { printf("%d\n", $3); } }
usdt:./build/bin/bitcoind:validation:block_connected /arg1 >= $1 && (arg1 <= $2 || $2 == 0 )/
{
  $duration = (uint64) arg5;
  @inputs = @inputs + arg3;
  @durations = hist($duration / 1e6);
  @end = nsecs;
  $duration = @end - @start;
}
usdt:./build/bin/bitcoind:validation:block_connected / (uint64) arg5 / 1e6 > $3 /
{
  $p = arg0 + 31;
  unroll(32) { $b = *(uint8*)$p; printf("%02x", $b); $p -= 1; }
}
interval:s:1 { if (@inputs > 0) { zero(@inputs); @start = nsecs; } }
END { print(@durations); clear(@durations); }
"#;
    let (checked, _) = run_on(source, &numbers).expect("fine");
    let names: Vec<_> = checked
        .maps
        .iter()
        .map(|m| format!("{}:{}", m.name, super::words::name(&m.value, &[])))
        .collect();
    assert_eq!(
        names.join(" "),
        "inputs:int64 durations:hist_t end:uint64 start:uint64"
    );
}

/// Numbers that repeat.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % n.max(1)
    }
}

/// Scripts of random expressions over all functions, operators and types: checked or refused, never a panic.
#[test]
fn no_script_makes_it_panic() {
    let mut rng = Rng(0x1234_5678_9abc_def1);
    let types = [
        "uint8",
        "int64",
        "struct s*",
        "struct s",
        "string",
        "string[8]",
        "buffer[4]",
        "uint8[8]",
        "int8[]",
        "void*",
        "bool",
        "enum e",
        "nope",
        "uint8*[3]",
        "(int8, string)",
    ];
    let leaves = [
        "0",
        "1",
        "-1",
        "255",
        "9223372036854775807",
        "18446744073709551615",
        "true",
        "\"abc\"",
        "\"%d %s\"",
        "$1",
        "$2",
        "$3",
        "$#",
        "$a",
        "$b",
        "$c",
        "@",
        "@m",
        "@m[1]",
        "@n[1, \"a\"]",
        "pid",
        "comm",
        "arg0",
        "arg9",
        "nsecs",
        "A",
        "probe",
        "boot",
        "perf",
        "()",
        "SIGKILL",
        "config.max_strlen",
        "name",
    ];
    let infix = [
        "+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^", "&&", "||", "==", "!=", "<", ">=",
    ];
    fn expr(
        rng: &mut Rng,
        depth: usize,
        leaves: &[&str],
        infix: &[&str],
        types: &[&str],
    ) -> String {
        let sub = |rng: &mut Rng| expr(rng, depth.saturating_sub(1), leaves, infix, types);
        if depth == 0 {
            return leaves[rng.below(leaves.len())].to_string();
        }
        match rng.below(12) {
            0 | 1 => format!(
                "({} {} {})",
                sub(rng),
                infix[rng.below(infix.len())],
                sub(rng)
            ),
            2 => format!("(({}){})", types[rng.below(types.len())], sub(rng)),
            3 => format!("({} ? {} : {})", sub(rng), sub(rng), sub(rng)),
            4 => format!("({}, {})", sub(rng), sub(rng)),
            5 => format!(
                "({}).{}",
                sub(rng),
                ["0", "1", "a", "next", "x"][rng.below(5)]
            ),
            6 => format!("({})[{}]", sub(rng), sub(rng)),
            7 => format!("{}({})", ["-", "!", "~", "*", "&"][rng.below(5)], sub(rng)),
            8 => format!("(x={}, a={})", sub(rng), sub(rng)),
            9 => format!("{{ $z = {}; $z }}", sub(rng)),
            _ => {
                let rows = crate::lang::builtin::ROWS;
                let args: Vec<String> = (0..rng.below(5)).map(|_| sub(rng)).collect();
                format!("{}({})", rows[rng.below(rows.len())].name, args.join(", "))
            }
        }
    }
    let mut fine = 0;
    for _ in 0..1500 {
        let mut body = String::from("$a = 1; $b = \"x\"; $c = (struct s*)arg0; ");
        for _ in 0..rng.below(5) + 1 {
            let depth = rng.below(4);
            let e = expr(&mut rng, depth, &leaves, &infix, &types);
            body += &match rng.below(8) {
                0 => format!("@m[{e}] = 1; "),
                1 => format!("@ = {e}; "),
                2 => format!("$a = {e}; "),
                3 => format!("if ({e}) {{ @n[1, \"a\"] = $a; }} "),
                4 => format!(
                    "let $v{}: {} = {e}; ",
                    body.len(),
                    types[rng.below(types.len())]
                ),
                5 => format!("$a += {e}; @m[1]++; "),
                6 => format!("for ($i{} : 0..{e}) {{ $a = $a + 1; }} ", body.len()),
                _ => format!("print({e}); "),
            };
        }
        let source = format!(
            "struct s {{ int a; struct s *next; char name[8]; unsigned b : 3; }}; enum e {{ A }}; U:./build/bin/bitcoind:net:inbound_message {{ {body} }}"
        );
        fine += usize::from(run(&source).is_ok());
    }
    assert!(fine > 50, "only {fine} scripts were accepted");
}

/// Damaged scripts, as an editor leaves them.
#[test]
fn no_damage_makes_it_panic() {
    let source =
        include_str!("../../../tests/lang/syntax.bt").replace("import \"helpers.bt\";", "");
    let chars: Vec<char> = source.chars().collect();
    let mut rng = Rng(77);
    for _ in 0..300 {
        let mut text = chars.clone();
        for _ in 0..rng.below(3) + 1 {
            let at = rng.below(text.len());
            let to = (at + rng.below(12)).min(text.len());
            match rng.below(2) {
                0 => drop(text.drain(at..to)),
                _ => {
                    let piece: Vec<char> = text[at..to].to_vec();
                    let into = rng.below(text.len());
                    text.splice(into..into, piece);
                }
            }
        }
        let _ = run(&text.into_iter().collect::<String>());
    }
}

/// Long scripts are checked in time that grows with their length, not with its square.
#[test]
fn long_scripts_take_linear_time() {
    let time = |lines: usize| {
        let body: String = (0..lines)
            .map(|i| format!("@m{i}[{i}, \"k\"] = @m{i}[{i}, \"k\"] + {i};\n"))
            .collect();
        let source = format!("begin {{ {body} }}");
        let start = std::time::Instant::now();
        fine(&source);
        start.elapsed()
    };
    time(100);
    let (short, long) = (time(500), time(4000));
    assert!(
        long < short * 40,
        "{short:?} for 500 lines, {long:?} for 4000"
    );
}

/// As [`target`], on a kernel with the types of a small BTF, and a tracepoint.
fn with_kernel() -> Target {
    let field = |ty: &str, name: &str, offset, size, signed| TraceField {
        ty: ty.to_string(),
        name: name.to_string(),
        offset,
        size,
        signed,
    };
    let tracepoint = |name: &str, fields| Tracepoint {
        system: "sys".to_string(),
        name: name.to_string(),
        fields,
    };
    let kernel = Kernel {
        btf: Some(crate::btf::tests::sample()),
        traceable: None,
        tracepoints: vec![
            tracepoint(
                "enter",
                vec![
                    field("int", "common_pid", 4, 4, true),
                    field("char[16]", "comm", 8, 16, true),
                    field("pid_t", "pid", 24, 4, true),
                    field("__data_loc char[]", "file", 28, 4, false),
                    field("struct task *", "task", 32, 8, false),
                    field("unsigned long[2]", "args", 40, 16, false),
                ],
            ),
            tracepoint("exit", vec![field("long", "pid", 16, 8, true)]),
        ],
        functions: vec!["wake".to_string()],
        symbols: vec![("wake".to_string(), 0xffff_ffff_8000_0000)],
        cgroups: vec![("/c".to_string(), Ok(7))],
    };
    Target { kernel, ..target() }
}

#[test]
fn types_of_the_kernel() {
    let on = with_kernel();
    for (source, want) in [
        ("begin { $x = ((struct task *)1).pid }", "int32"),
        ("begin { $x = ((struct task *)1).comm }", "string[16]"),
        ("begin { $x = ((struct task *)1).y }", "uint64"),
        (
            "begin { $x = ((struct task *)1).parent.parent.high }",
            "int32",
        ),
        ("begin { $x = (pid_t)1 }", "int32"),
        ("t:sys:enter { $x = args->file }", "int64"),
        ("t:sys:enter { $x = args.task.pid }", "int32"),
        ("t:sys:enter { $x = args.args[1] }", "uint64"),
        ("t:sys:* { $x = args.pid }", "int64"),
        ("fentry:wake { $x = args.parent.pid }", "int32"),
        ("fexit:wake { $x = retval }", "int32"),
        ("kprobe:wake { $x = arg0 }", "int64"),
    ] {
        let (checked, _) = run_on(source, &on).unwrap_or_else(|e| panic!("{source}: {e:?}"));
        assert_eq!(
            super::words::name(&checked.vars[0], &checked.structs),
            want,
            "{source}"
        );
    }
    let (checked, _) = run_on(
        "begin { print((sizeof(struct task), offsetof(struct task, parent), COLOR_A, kaddr(\"wake\"), cgroupid(\"/c\"))) }",
        &on,
    )
    .unwrap();
    let known: Vec<&Res> = checked.res.values().collect();
    for want in [48, 32, 1, 0xffff_ffff_8000_0000u64.cast_signed(), 7] {
        assert!(known.contains(&&Res::Int(want)), "{want}");
    }
    for (source, want) in [
        (
            "begin { print(((struct task *)1).nope) }",
            "`struct task` has no member `nope`",
        ),
        (
            "t:sys:enter { print(args.common_pid) }",
            "programs cannot read `common_pid` of a tracepoint",
        ),
        (
            "t:sys:* { print(args.comm) }",
            "`tracepoint:sys:exit` has no argument `comm`",
        ),
        ("t:sys:none { }", "the kernel has no tracepoint `sys:none`"),
        ("fentry:sleep { }", "the kernel has no function `sleep`"),
        (
            "fentry:wake { print(args.none) }",
            "the function has no parameter `none`",
        ),
    ] {
        let said = run_on(source, &on).unwrap_err();
        assert!(said.iter().any(|s| s == want), "{source}: {said:?}");
    }
}
