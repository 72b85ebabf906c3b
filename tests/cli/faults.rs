//! What goes wrong in programs while they run is said with its place, live and in simulation.

use crate::support::{EXE, as_bpftrace, can_trace, run, text};
use std::process::Command;

/// What the divisions say.
const DIVIDED: &str = "Divide or modulo by 0 detected. This can lead to unexpected results. 1 is being used as the result.";

/// What a full map says.
const FULL: &str = "Map full; can't update element. Try increasing max_map_keys config or manually setting the max \
    entries in a map declaration e.g. `let @a = hash(5000)`\nAdditional Info - helper: map_update_elem, retcode: -7";

/// What a missing key says.
const MISSING: &str = "Can't lookup map element because it does not exist.\n\
    Additional Info - helper: map_lookup_elem, retcode: 0";

/// Body of `begin`, flags, what is said of which part of it; what is printed.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
    &'static str,
);

const CASES: &[Case] = &[
    (
        "$n = (uint64)0; if (rand < 0) { $n = 1 } print((uint64)7 / $n); @x = (uint64)7; @x %= $n;",
        &[],
        &[("(uint64)7 / $n", DIVIDED), ("%= $n", DIVIDED)],
        "1\n\n\n@x: 1\n",
    ),
    (
        "@a[1] = 1; @a[2] = 2; @a[3]++; @a[4] += 4; @a[1] = 5; clear(@a);",
        &[],
        &[("@a[2] = 2", FULL), ("@a[3]++", FULL), ("@a[4] += 4", FULL)],
        "\n\n",
    ),
    (
        "@a[1] = sum(1); @a[2] = sum(2); @b[1] = hist(1); @b[2] = hist(2); clear(@b);",
        &[],
        &[("sum(2)", FULL), ("hist(2)", FULL)],
        "\n\n@a[1]: 1\n",
    ),
    (
        "$t = (uint8[4])(uint32)5; $i = rand < 0 ? 0 : 4; print($t[$i]);",
        &[],
        &[(
            "$t[$i]",
            "Array access out of bounds. This can lead to unexpected results.",
        )],
        "0\n\n\n",
    ),
    (
        "@a[1] = 1; print(@a[2]); delete(@a, 1); $s = @s; @s = \"x\"; print(has_key(@a, 3));",
        &["-k"],
        &[("@a[2]", MISSING), ("@s", MISSING)],
        "0\nfalse\n\n\n@s: x\n",
    ),
    ("@a[1] = 1; print(@a[2]);", &[], &[], "0\n\n\n@a[1]: 1\n"),
    (
        "print(*(uint64*)uptr(1)); printf(\"<%s>\\n\", str(uptr(2)));",
        &["-k"],
        &[
            (
                "*(uint64*)uptr(1)",
                "Bad address\nAdditional Info - helper: probe_read_user, retcode: -14",
            ),
            (
                "str(uptr(2))",
                "Bad address\nAdditional Info - helper: probe_read_user_str, retcode: -14",
            ),
        ],
        "0\n<>\n\n\n",
    ),
    (
        "$n = (uint64)0; if (rand < 0) { $n = 1 } print((uint64)7 / $n);",
        &["--no-warnings"],
        &[],
        "1\n\n\n",
    ),
];

/// The warning of `what` at `part` of the script.
fn warning(script: &str, part: &str, what: &str) -> String {
    let from = script.find(part).expect("the part");
    format!(
        "stdin:1:{}-{}: WARNING: {what}\n{script}\n{}{}\n",
        from + 1,
        from + part.len() + 1,
        " ".repeat(from),
        "~".repeat(part.len())
    )
}

#[test]
fn places_and_texts() {
    for (body, flags, faults, want) in CASES {
        let keys = if body.contains("@a[2] =") {
            "max_map_keys = 1"
        } else {
            "max_map_keys = 9"
        };
        let script = format!("config = {{ {keys} }} begin {{ {body} }}");
        let mut said: Vec<String> = faults
            .iter()
            .map(|(part, what)| warning(&script, part, what))
            .collect();
        said.sort();
        let check = |out: std::process::Output, how: &str| {
            assert_eq!(text(&out.stdout), *want, "{how}: {script}");
            let stderr = text(&out.stderr).replace("Attached 1 probe\n", "");
            let mut got: Vec<String> = stderr
                .split("stdin:1:")
                .skip(1)
                // What the compiler warns of is told elsewhere.
                .filter(|said| !said.contains("Return value discarded"))
                .filter(|said| !said.contains("help: write `_ = "))
                .map(|said| format!("stdin:1:{said}"))
                .collect();
            got.sort();
            assert_eq!(got, said, "{how}: {script}");
        };
        if can_trace() {
            let args = [*flags, &["-e", &script]].concat();
            check(as_bpftrace(&args), "live");
        }
        let args = [
            &["simulate"],
            *flags,
            &["-e", &script, "--events", "/dev/null"],
        ]
        .concat();
        check(run(Command::new(EXE).args(args), b""), "simulated");
    }
}

#[test]
fn json_has_the_code() {
    if !can_trace() {
        return;
    }
    let script = "let @a = hash(1); begin { @a[1] = 1; @a[2] = 2; print(@a[3]); print(cpid); print((uint64)1 / (uint64)cpu); }";
    let out = as_bpftrace(&["-f", "json", "-k", "-e", script]);
    let lines: Vec<serde_json::Value> = text(&out.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &str, col: usize| {
        let found = lines
            .iter()
            .find(|line| line["type"] == kind && line["col"] == col);
        found.unwrap_or_else(|| panic!("{kind} at {col}: {lines:?}"))
    };
    let col = |part: &str| script.find(part).expect("the part") + 1;
    let full = of("helper_error", col("@a[2]"));
    assert_eq!(full["msg"], "Argument list too long");
    assert_eq!(
        (&full["helper"], &full["retcode"]),
        (&"map_update_elem".into(), &(-7).into())
    );
    let missing = of("helper_error", col("@a[3]"));
    assert_eq!(
        (&missing["msg"], &missing["retcode"]),
        (&"Success".into(), &0.into())
    );
    assert_eq!(
        of("warnf", 5)["msg"],
        "No child command (`-c`); cpid is zero"
    );
}

#[test]
fn flags_that_contradict() {
    for (args, want) in [
        (&["-kk", "-e", "begin {}"][..], "-kk has been deprecated"),
        (
            &["-k", "--no-warnings", "-e", "begin {}"],
            "-k, --warnings conflicts with --no-warnings",
        ),
    ] {
        let out = as_bpftrace(args);
        assert_eq!(out.status.code(), Some(1));
        assert!(
            text(&out.stderr).starts_with(&format!("ERROR: USAGE: {want}")),
            "{}",
            text(&out.stderr)
        );
    }
}
