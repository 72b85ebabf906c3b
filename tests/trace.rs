//! Tracing as a library, on the built-in target: needs the rights to load programs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use baretrace::{
    kernel::detect,
    trace::{Arg, Binary, Event, Filter, Kind, Script, TraceError},
};
use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

const EXE: &str = env!("CARGO_BIN_EXE_baretrace");
const MESSAGES: &[&str] = &["net:inbound_message", "net:outbound_message"];

/// The target, which holds still until its standard input ends.
struct Node(Child);

impl Node {
    fn start(options: &str) -> Node {
        let mut command = Command::new(EXE);
        command.args([
            "demo-target",
            "--hold",
            "--die-with-parent",
            "--pause-us",
            "0",
        ]);
        let command = command.args(options.split_whitespace());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Node(child.unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn go(&mut self) {
        drop(self.0.stdin.take());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn may_trace() -> bool {
    let missing = detect::missing_rights(false);
    if !missing.is_empty() {
        eprintln!("skipped: this process may not trace");
    }
    missing.is_empty()
}

/// All events of one round of the target's story.
fn story(names: &[&str], filter: &str, payload: u32) -> Vec<Event> {
    let mut node = Node::start("--rounds 1");
    let mut subscription = Binary::of_process(node.pid())
        .unwrap()
        .subscribe(names)
        .unwrap();
    subscription = subscription
        .filter(&filter.parse::<Filter>().unwrap())
        .unwrap();
    if payload > 0 {
        subscription = subscription.payload(payload);
    }
    let mut events = subscription.start().unwrap();
    node.go();
    let all: Vec<Event> = events.by_ref().map(|event| event.unwrap()).collect();
    assert!(events.is_over());
    assert_eq!(events.lost().unwrap(), []);
    assert!(
        all.iter()
            .all(|event| event.pid() == node.pid() && event.tid() == node.pid())
    );
    assert!(all.is_sorted_by_key(Event::time));
    all
}

#[test]
fn events_have_typed_arguments() {
    if !may_trace() {
        return;
    }
    let all = story(MESSAGES, "", 0);
    let first = &all[0];
    assert_eq!(
        first.to_string(),
        "net:outbound_message peer_id=0 addr=192.0.2.17:8333 conn_type=outbound-full-relay msg_type=version size=102"
    );
    assert_eq!(first.int("peer_id").unwrap(), 0);
    assert_eq!(first.text("msg_type").unwrap(), "version");
    assert!(first.wall().elapsed().unwrap() < Duration::from_secs(60));
    let err = first.int("sice").unwrap_err();
    assert_eq!(
        err.to_string(),
        "`net:outbound_message` has no argument `sice`"
    );
    assert_eq!(err.help().as_deref(), Some("did you mean `size`?"));
    let err = first.int("addr").unwrap_err();
    assert_eq!(
        err.to_string(),
        "argument `addr` of `net:outbound_message` is text, not a number"
    );
}

#[test]
fn every_probe_of_the_schema_can_be_taken() {
    if !may_trace() {
        return;
    }
    let names = [
        "net:*",
        "validation:*",
        "utxocache:*",
        "coin_selection:*",
        "mempool:*",
    ];
    let all = story(&names, "", 0);
    let seen: std::collections::BTreeSet<&str> = all.iter().map(Event::name).collect();
    assert_eq!(seen.len(), 20, "{seen:?}");
    for event in &all {
        let point = baretrace::bitcoin::tracepoint::find(
            event.name().split(':').next().unwrap(),
            event.short_name(),
        );
        let wanted = point
            .unwrap()
            .args
            .iter()
            .filter(|a| !matches!(a.kind, Kind::Bytes(_)));
        assert!(wanted.map(|arg| arg.name).eq(event.names()), "{event}");
        assert_eq!(event.values().count(), event.names().count());
    }
    let coin = all.iter().find(|e| e.name() == "utxocache:add").unwrap();
    assert_eq!(
        coin.hash("txid").unwrap().to_string(),
        coin.text("txid").unwrap()
    );
    let open = all
        .iter()
        .find(|e| e.name() == "net:inbound_connection")
        .unwrap();
    assert!(matches!(
        &*open.text("network").unwrap(),
        "IPv4" | "IPv6" | "Onion" | "I2P" | "CJDNS" | "unroutable"
    ));
}

#[test]
fn filters_choose_hits() {
    if !may_trace() {
        return;
    }
    let all = story(MESSAGES, "", 0);
    let check = |filter: &str, accept: &dyn Fn(&Event) -> bool| {
        let want: Vec<String> = all
            .iter()
            .filter(|e| accept(e))
            .map(Event::to_string)
            .collect();
        let got: Vec<String> = story(MESSAGES, filter, 0)
            .iter()
            .map(Event::to_string)
            .collect();
        assert!(!want.is_empty(), "{filter}");
        assert_eq!(got, want, "{filter}");
    };
    let is =
        |name: &'static str, value: &'static str| move |e: &Event| e.text(name).unwrap() == value;
    check("type=inv", &is("msg_type", "inv"));
    check("type=inv|tx,size>=300", &|e| {
        matches!(&*e.text("msg_type").unwrap(), "inv" | "tx") && e.int("size").unwrap() >= 300
    });
    check("type!=inv", &|e| e.text("msg_type").unwrap() != "inv");
    check("type=ver*", &|e| {
        e.text("msg_type").unwrap().starts_with("ver")
    });
    check("addr=192.0.2.17:8333", &is("addr", "192.0.2.17:8333"));
    check("addr=192.0.2.17", &is("addr", "192.0.2.17:8333"));
    check("peer=0,direction=in", &|e| {
        e.int("peer_id").unwrap() == 0 && e.short_name() == "inbound_message"
    });
    let names = ["utxocache:add", "utxocache:spent"];
    let coins = story(&names, "", 0);
    let txid = coins[1].text("txid").unwrap();
    let want = coins
        .iter()
        .filter(|e| e.text("txid").unwrap() == txid)
        .count();
    assert_eq!(story(&names, &format!("txid={txid}"), 0).len(), want);
}

#[test]
fn payloads_come_when_asked_for() {
    if !may_trace() {
        return;
    }
    let all = story(MESSAGES, "type=block|version", 8000);
    assert!(all.len() > 1);
    for event in all {
        let bytes = event.bytes("bytes").unwrap();
        assert_eq!(
            bytes.len(),
            usize::try_from(event.int("size").unwrap()).unwrap()
        );
    }
    let event = &story(MESSAGES, "type=version", 0)[0];
    assert!(event.bytes("bytes").is_err());
}

/// Blocks of 4 MB, many times what a buffer in the kernel holds: whole, and the same as the target says they are.
#[test]
fn payloads_of_megabytes_arrive_whole() {
    if !may_trace() {
        return;
    }
    let mut node = Node::start("--rounds 2 --payload 4000000");
    let subscription = Binary::of_process(node.pid()).unwrap();
    let subscription = subscription.subscribe(MESSAGES).unwrap();
    let mut events = subscription.payload(4_000_000).start().unwrap();
    node.go();
    let all: Vec<Event> = events.by_ref().map(|event| event.unwrap()).collect();
    let lost: u64 = events.lost().unwrap().iter().map(|(_, count)| count).sum();
    let mut blocks = 0;
    for event in &all {
        let size = usize::try_from(event.int("size").unwrap()).unwrap();
        let bytes = event.bytes("bytes").unwrap();
        assert_eq!(bytes.len(), size);
        // Random numbers: what is missing or doubled repeats or is zero.
        let numbers = bytes.as_chunks::<8>().0;
        let different: std::collections::HashSet<_> = numbers.iter().collect();
        assert_eq!(different.len(), numbers.len());
        blocks += usize::from(size == 4_000_000);
    }
    assert!(blocks > 0 || lost > 0, "{blocks} blocks, {lost} lost");
}

#[test]
fn other_arguments_can_be_told() {
    if !may_trace() {
        return;
    }
    let mut node = Node::start("--rounds 1");
    let subscription = Binary::of_process(node.pid())
        .unwrap()
        .subscribe(MESSAGES)
        .unwrap();
    let err = subscription
        .clone()
        .args(MESSAGES[0], vec![Arg::new("x", Kind::Int, 6)])
        .unwrap_err();
    assert_eq!(
        err.to_string(),
        "`net:inbound_message` has no argument `x (argument 6)`"
    );
    let args = vec![Arg::new("kind", Kind::Str(20), 3)];
    let mut events = subscription
        .args(MESSAGES[0], args)
        .unwrap()
        .start()
        .unwrap();
    node.go();
    let event = events
        .find(|e| e.as_ref().unwrap().name() == MESSAGES[0])
        .unwrap()
        .unwrap();
    assert_eq!(event.to_string(), "net:inbound_message kind=version");
}

#[test]
fn an_iterator_can_be_stopped_from_elsewhere() {
    if !may_trace() {
        return;
    }
    let mut node = Node::start("");
    let binary = Binary::of_process(node.pid()).unwrap();
    let mut events = binary.subscribe(MESSAGES).unwrap().start().unwrap();
    assert!(events.poll(Duration::from_millis(20)).unwrap().is_none());
    assert!(!events.is_over());
    let stopper = events.stopper();
    node.go();
    assert_eq!(events.by_ref().map(Result::unwrap).take(100).count(), 100);
    stopper.stop();
    let _rest = events.by_ref().count();
    assert!(events.is_over());
}

#[test]
fn scripts_yield_values() {
    if !may_trace() {
        return;
    }
    let text = format!(
        "begin {{ printf(\"%s\", str($1)); }} usdt:{EXE}:net:inbound_message {{ @[str(arg3)] = count(); print((arg4, str(arg3))); }} interval:ms:20 {{ @i = 1; }} end {{ printf(\"over\"); }}"
    );
    let mut node = Node::start("--rounds 1");
    let mut outputs = Script::new(&text)
        .param("hello")
        .pid(node.pid())
        .start()
        .unwrap();
    node.go();
    let first = outputs.next().unwrap().unwrap();
    assert_eq!(
        (first.kind.as_str(), first.data.as_str()),
        ("printf", Some("hello"))
    );
    let value = outputs.next().unwrap().unwrap();
    assert_eq!(value.kind, "value");
    assert_eq!(value.data[1], "version");
    assert!(value.time > 0);
    node.0.wait().unwrap();
    outputs.stop().unwrap();
    let rest: Vec<_> = outputs.map(Result::unwrap).collect();
    assert!(rest.iter().any(|o| o.data == "over"));
    let map = rest.iter().rfind(|o| o.data.get("@").is_some()).unwrap();
    assert!(map.data["@"]["inv"].as_u64().unwrap() > 0, "{map:?}");
}

#[test]
fn what_is_not_there_is_said() {
    let node = Binary::open(EXE).unwrap();
    assert!(node.probe("net:inbound_message").unwrap().sites >= 1);
    let err = node.subscribe(&["net:inbound_mesage"]).unwrap_err();
    assert_eq!(
        err.help().as_deref(),
        Some("did you mean `net:inbound_message`?")
    );
    assert!(matches!(node.subscribe(&["net"]), Err(TraceError::Name(_))));
    let err = Binary::open("/bin/true")
        .unwrap()
        .subscribe(&["a:b"])
        .unwrap_err();
    assert_eq!(err.to_string(), "`/bin/true` has no USDT probes");
    assert!(
        Binary::open("/no/such")
            .unwrap_err()
            .to_string()
            .contains("ENOENT")
    );
    assert!(
        Binary::of_process(u32::MAX / 4)
            .unwrap_err()
            .to_string()
            .contains("read mappings")
    );
}
