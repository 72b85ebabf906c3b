//! What `explain` answers, and to what it answers with a better question.

use crate::support::Case;

#[test]
fn answers() {
    for (words, pieces) in [
        (
            &["r1 = *(u64 *)(r0 +8)"][..],
            &[
                "79    0   | 1",
                "loads 8 bytes",
                "since     kernel 3.18",
                "RFC 9669 §5.1",
                "ldxdw %r1, [%r0+8]",
            ][..],
        ),
        (
            &["r1", "s/=", "r2"],
            &["since     kernel 6.6", "sdiv %r1, %r2"],
        ),
        (&["ldxdw", "%r1,", "[%r0+8]"], &["r1 = *(u64 *)(r0 +8)"]),
        (&["7901080000000000"], &["r1 = *(u64 *)(r0 +8)"]),
        (&["79 01 08 00 00 00 00 00"], &["r1 = *(u64 *)(r0 +8)"]),
        (
            &["1801000001000000 0000000002000000"],
            &["r1 = 0x200000001 ll"],
        ),
        (
            &["cmpxchg"],
            &["(cmpxchg)  stores", "atomically", "lock cmpxchg"],
        ),
        (&["s>"], &["RFC 9669 §4.3"]),
        (
            &["map_lookup_elem"],
            &[
                "bpf_map_lookup_elem#1",
                "r1       a map",
                "r0       pointer to a map value, or 0",
            ],
        ),
        (&["1"], &["bpf_map_lookup_elem#1"]),
        (
            &["R0 invalid mem access 'map_value_or_null'"],
            &["means", "fix", "kernel/bpf/verifier.c"],
        ),
        (&["R2", "!read_ok"], &["means", "fix"]),
    ] {
        let mut args = vec!["explain"];
        args.extend(words);
        Case {
            args: &args,
            stdout: pieces,
            ..Case::default()
        }
        .check();
    }
}

#[test]
fn what_is_not_found() {
    for (word, code, pieces) in [
        (
            "map_lookup_elm",
            2,
            &["did you mean `map_lookup_elem`?"][..],
        ),
        ("ldxdww", 2, &["did you mean `ldxdw`?"]),
        ("lookup", 2, &["did you mean one of", "bpf_map_lookup_elem"]),
        (
            "r1 = *(u64 *)(r11 +8)",
            1,
            &["no register is called `r11`", "WORDS:1:15", "^^^"],
        ),
        (
            "ff00000000000000",
            1,
            &["no instruction has code 0xff", "WORDS:1:1"],
        ),
        (
            "hello there",
            2,
            &[
                "no instruction, operator, helper or verifier message",
                "help: give an instruction",
            ],
        ),
    ] {
        Case {
            args: &["explain", word],
            code,
            stderr: pieces,
            ..Case::default()
        }
        .check();
    }
}
