//! Events files that are wrong, and what is said of them.

use super::support::{P2P, error, script};
use baretrace::simulate::{self, invent::Shapes};

#[test]
fn what_is_wrong_with_an_event_is_said() {
    let good = r#"{"probe":"net:inbound_message","args":[1,"a","b","c",8,null],"time":5000000000}"#;
    for (line, want) in [
        ("{\"probe\":", "line 2, column 9: EOF while parsing a value"),
        ("nonsense", "line 2, column 2: expected ident"),
        (
            "{\"probe\":\"net:inbound_message\",\"arg\":[]}",
            "line 2, column 36: no field `arg`; did you mean `args`?",
        ),
        (
            "{\"probe\":\"net:inbond_message\",\"args\":[]}",
            "line 2: the script has no probe `net:inbond_message`; did you mean `net:inbound_message`?",
        ),
        (
            "{\"probe\":\"usdt:/other:net:inbound_message\",\"args\":[]}",
            "line 2: the script has no probe `usdt:/other:net:inbound_message`; did you mean",
        ),
        (
            "{\"probe\":\"quite:something\"}",
            "line 2: the script has no probe `quite:something`; the script has ",
        ),
        ("{\"probe\":\"begin\"}", "line 2: `begin` fires by itself"),
        (
            "{\"probe\":\"net:inbound_message\",\"ret\":1}",
            "has no return value",
        ),
        (
            "{\"probe\":\"net:inbound_message\",\"args\":[1,\"a\"]}",
            "line 2: the probe has 6 arguments, the event gives 2: argument 2 (`conn_type`) is missing",
        ),
        (
            "{\"probe\":\"net:inbound_message\",\"args\":[1,2,3,4,5,6,7]}",
            "line 2: the probe has 6 arguments, the event gives 7",
        ),
        (
            "{\"probe\":\"net:inbound_message\",\"args\":[\"x\",\"a\",\"b\",\"c\",8,null]}",
            "line 2: argument 0 (`peer_id`): it is a number, the event gives text or bytes",
        ),
        (
            "{\"probe\":\"net:inbound_message\",\"args\":[1,\"a\",\"b\",\"c\",1.5,null]}",
            "line 2, column 56: invalid type: floating point `1.5`",
        ),
        (
            "{\"probe\":\"net:inbound_message\",\"args\":[1,\"a\",\"b\",\"c\",8,{\"hex\":\"0g\"}]}",
            "`0g` is not pairs of hexadecimal digits",
        ),
        (
            "{\"probe\":\"net:inbound_message\",\"args\":[1,\"a\",\"b\",\"c\",8,null],\"time\":1}",
            "line 2: `time` goes back from 5000000000 to 1",
        ),
        (
            "{\"probe\":\"net:inbound_message\",\"args\":[1,\"a\",\"b\",\"c\",8,null],\"cpu\":4}",
            "line 2: there is no `cpu` 4",
        ),
        (
            "{\"probe\":\"net:inbound_message\",\"args\":[1,\"a\",\"b\",\"c\",8,null],\"site\":1}",
            "line 2: there is no `site` 1",
        ),
    ] {
        let got = error(P2P, &format!("{good}\n{line}"));
        assert!(got.contains(want), "{line}\n  said {got}\n  want {want}");
    }
}

#[test]
fn numbers_that_do_not_fit() {
    let script = "usdt:./bitcoind:utxocache:flush { printf(\"%d\", arg1); }";
    for (args, want) in [
        (
            "1,4294967296,1,1,true",
            "argument 1 (`mode`): 4294967296 does not fit into 4 bytes",
        ),
        (
            "1,1,1,1,256",
            "argument 4 (`for_prune`): 256 does not fit into 1 bytes",
        ),
        ("99999999999999999999,1,1,1,1", "floating point"),
    ] {
        let got = error(
            script,
            &format!("{{\"probe\":\"utxocache:flush\",\"args\":[{args}]}}"),
        );
        assert!(got.contains(want), "{args}: {got}");
    }
}

#[test]
fn time_that_nobody_can_wait_for() {
    let got = error(
        "interval:us:1 { @ = count(); }",
        "{\"time\":0}\n{\"time\":18446744073709551615}",
    );
    assert!(
        got.contains("line 2: so much time passes before it that `interval:us:1`"),
        "{got}"
    );
}

#[test]
fn a_wrong_script_is_shown_with_its_line() {
    let got = error("usdt:app:app:hit { printf(\"%d\", nosuch); }", "");
    assert!(got.contains("test.bt:1:"), "{got}");
}

/// Bytes changed, left out and doubled anywhere: an error with its line or a run, never a panic.
#[test]
fn damaged_files() {
    const DAMAGE: &[u8] = b"{}[]\",:0-9\\ex\n\xff";
    let good = r#"{"probe":"net:inbound_message","pid":7,"cpu":1,"time":1000,"args":[1,"a","b\n","c",8,{"hex":"00ff"}]}
# comment
{"probe":"net:outbound_message","comm":"x","args":[-1,0,null,true,8,{"hash":"0102"}]}
{"time":5000}
"#;
    let compiled = simulate::compile(&script(P2P), &Shapes::default()).unwrap();
    let (mut state, mut wrong) = (7u64, 0);
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..3000 {
        let mut bytes = good.as_bytes().to_vec();
        for _ in 0..=random(3) {
            if bytes.is_empty() {
                break;
            }
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = DAMAGE[random(DAMAGE.len())],
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, bytes[at]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let text = match simulate::events::text(&bytes) {
            Ok(text) => text,
            Err(err) => {
                assert!(err.line > 0);
                wrong += 1;
                continue;
            }
        };
        match simulate::print(&compiled, simulate::events::parse(text)) {
            Ok(printed) => assert!(printed.output.starts_with("Logging")),
            Err(simulate::SimulateError::Event(err)) => {
                assert!((1..=6).contains(&err.line), "{err}");
                wrong += 1;
            }
            Err(err) => panic!("{err} in {text}"),
        }
    }
    assert!(wrong > 1000, "{wrong} of 3000 files are wrong");
}
