//! Arguments of Bitcoin Core's tracepoints by name.

use super::support::{print, script};
use baretrace::{
    bitcoin::tracepoint::TRACEPOINTS,
    lang::{self, diag},
    simulate::{self, invent::Shapes},
    spec::Target,
};
use std::fmt::Write;

const ID: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

fn output(text: &str, events: &str) -> String {
    let text = text.replace("NODE", "usdt:/no/such/bitcoind");
    print(&text, &events.replace("ID", ID)).output
}

#[test]
fn they_are_read_as_what_they_are() {
    let text = r#"
NODE:net:inbound_message, NODE:net:outbound_message / args.msg_type == "ping" || args.size > 100 /
{
  printf("%s from %d at %s (%s): %d bytes, %r\n", args.msg_type, args.peer_id, args.addr, args.conn_type, args.size, args.bytes);
  @bytes[args.msg_type] = sum(args.size);
}
NODE:net:inbound_connection { printf("%s %d\n", args.network, args.network); print(args); }
NODE:net:closed_connection { printf("since %s\n", strftime("%Y", args.established * 1000000000)); printf("%s\n", date(args.established)); }
NODE:mempool:added { printf("%s %s BTC\n", args.txid, btc(args.fee)); print((args.txid, args.vsize)); @last[args.txid] = args.vsize; @id = args.txid; }
NODE:utxocache:flush { printf("%s %s %d\n", args.mode, args.for_prune, args.for_prune); print(args); }
NODE:validation:block_connected { printf("%s\n", hash256(arg0)); }
"#;
    let events = r#"
{"probe": "net:inbound_message", "args": [3, "192.0.2.1:8333", "inbound", "ping", 4, {"hex": "00ff4142"}]}
{"probe": "net:outbound_message", "args": [3, "192.0.2.1:8333", "inbound", "tx", 100, null]}
{"probe": "net:inbound_connection", "args": [-1, "x.onion:8333", "inbound", 3, 8]}
{"probe": "net:inbound_connection", "args": [4, "192.0.2.1:8333", "inbound", 77, 8]}
{"probe": "net:closed_connection", "args": [3, "192.0.2.1:8333", "inbound", 3, 1700000000]}
{"probe": "mempool:added", "args": [{"hash":"ID"}, 200, -150000001]}
{"probe": "utxocache:flush", "args": [1, 4, 3, 4, true]}
{"probe": "validation:block_connected", "args": [{"hash":"ID"}, 2, 1, 2, 3, 4]}
"#;
    let printed = output(text, events);
    let want = "\
ping from 3 at 192.0.2.1:8333 (inbound): 4 bytes, \\x00\\xffAB
Onion 3
{ .id = -1, .addr = x.onion:8333, .conn_type = inbound, .network = Onion, .existing = 8 }
77 77
{ .id = 4, .addr = 192.0.2.1:8333, .conn_type = inbound, .network = 77, .existing = 8 }
";
    assert_eq!(printed.get(..want.len()), Some(want), "{printed}");
    for want in [
        "\n2023-11-1",
        &format!("\n{ID} -1.50000001 BTC\n({ID}, 200)\n"),
        "\nFORCE_SYNC true 1\n{ .duration = 1, .mode = FORCE_SYNC, .coins = 3, .memory = 4, .for_prune = true }\n",
        &format!("\n{ID}\n\n\n@bytes[ping]: 4\n@id: {ID}\n@last[{ID}]: 200\n"),
    ] {
        assert!(printed.contains(want), "no {want:?} in {printed}");
    }
}

#[test]
fn hashes_and_enumerators_compare_as_they_are_printed() {
    let text = r#"
NODE:mempool:added / args.txid == "ID" / { printf("this\n"); }
NODE:mempool:added / "ID" != args.txid / { printf("other\n"); }
NODE:net:inbound_connection / args.network == "Onion" / { printf("onion\n"); }
NODE:net:inbound_connection / args.network != "I2P" / { printf("no i2p\n"); }
"#;
    let events = r#"
{"probe": "mempool:added", "args": [{"hash":"ID"}, 200, 1]}
{"probe": "mempool:added", "args": [{"hash":"f000000000000000000000000000000000000000000000000000000000000000"}, 200, 1]}
{"probe": "net:inbound_connection", "args": [1, "a", "inbound", 3, 8]}
{"probe": "net:inbound_connection", "args": [1, "a", "inbound", 4, 8]}
"#;
    let printed = output(&text.replace("ID", ID), events);
    assert_eq!(printed.trim_end(), "this\nother\nonion\nno i2p");
}

#[test]
fn every_argument_of_every_tracepoint_has_its_name() {
    let mut text = String::new();
    for point in TRACEPOINTS {
        let _ = write!(text, "NODE:{point} {{ print(args);");
        for arg in point.args {
            let _ = write!(text, " print(args.{});", arg.name);
        }
        text.push_str(" }\n");
    }
    let text = text.replace("NODE", "usdt:/no/such/bitcoind");
    let compiled = simulate::compile(&script(&text), &Shapes::default()).expect("it compiles");
    assert_eq!(compiled.points, 20);
}

#[test]
fn what_cannot_be_had_is_named() {
    for (text, want) in [
        (
            "NODE:net:*_connection { print(args.established) }",
            "`net:inbound_connection` has no argument `established`",
        ),
        (
            "NODE:mempool:added { print(args.vsiz) }",
            "did you mean `vsize`?",
        ),
        (
            "NODE:mempool:added, NODE:mempool:removed { print(args.fee) }",
            "argument `fee` differs between these probes",
        ),
        (
            "NODE:mempool:added / args.txid == \"ff\" / { print(1) }",
            "a hash is 64 hexadecimal digits",
        ),
        (
            "NODE:net:inbound_connection / args.network == \"onion\" / { print(1) }",
            "it is unroutable, IPv4, IPv6, Onion, I2P, CJDNS",
        ),
        (
            "NODE:other:thing { print(args.x) }",
            "`args` is not supported",
        ),
    ] {
        let text = text.replace("NODE", "usdt:/no/such/bitcoind");
        let script = script(&text);
        let err = simulate::compile(&script, &Shapes::default()).expect_err(&text);
        let said = err.render(&script, false);
        assert!(said.contains(want), "no `{want}` in {said}");
    }
}

/// Warnings of a script on a binary whose notes were changed.
fn warnings(text: &str, change: impl Fn(&mut Target)) -> Result<String, String> {
    let text = text.replace("NODE", "usdt:/no/such/bitcoind");
    let compiled = simulate::compile(&script(&text), &Shapes::default()).expect("it compiles");
    let mut target = compiled.target;
    change(&mut target);
    let tree = lang::parse(&text).expect("it parses");
    match lang::check(tree, &text, &target) {
        Ok((_, said)) => Ok(diag::render(&said, "x", &text, false)),
        Err(said) => Err(diag::render(&said, "x", &text, false)),
    }
}

#[test]
fn notes_that_differ_from_the_schema_are_a_warning() {
    let text = "NODE:mempool:added { print(args.vsize); print(args.fee); print(arg1) }";
    assert_eq!(warnings(text, |_| {}).unwrap(), "");
    let said = warnings(text, |target| {
        let arg = &mut target.binaries[0].usdt[0].sites[0].args[1];
        (arg.size, arg.signed) = (8, false);
    })
    .unwrap();
    for want in [
        "warning: argument `vsize` of `mempool:added` is not as expected",
        "expected int32, found uint64 in the binary",
    ] {
        assert!(said.contains(want), "no `{want}` in {said}");
    }
    assert!(!said.contains("`fee`"), "{said}");
    let said = warnings(text, |target| {
        target.binaries[0].usdt[0].sites[0].args.truncate(2);
    });
    let want = "`mempool:added` of this binary has no argument `fee`";
    assert!(
        said.as_ref().is_err_and(|said| said.contains(want)),
        "{said:?}"
    );
}
