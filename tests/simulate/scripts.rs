//! Whole scripts: what they print, to the byte.

use super::support::{P2P, output, print, script};
use baretrace::{
    runtime::{Buffering, Form, Output, OutputOptions},
    simulate::{self, Capture, Settings, Value, invent::Shapes},
};

#[test]
fn the_p2p_log() {
    let events = r#"
{"probe":"net:inbound_message","pid":7,"args":[11,"1.2.3.4:8333","outbound-full-relay","pong",8,{"hex":"0001"}]}
{"probe":"usdt:./build/bin/bitcoind:net:outbound_message","args":[-1,"[2001:db8::1]:8333","inbound","ping",4000000,null]}
{"probe":"net:inbound_message","args":[2147483647,0,"","",0,0]}
"#;
    let printed = print(P2P, events);
    let want = "Logging P2P traffic
inbound 'pong' msg from peer 11 (outbound-full-relay, 1.2.3.4:8333) with 8 bytes
outbound 'ping' msg to peer -1 (inbound, [2001:db8::1]:8333) with 4000000 bytes
inbound '' msg from peer 2147483647 (, ) with 0 bytes


";
    assert_eq!(printed.output, want);
    assert_eq!(printed.errors, "Attached 3 probes\n");
    assert_eq!((printed.outcome.events, printed.outcome.lost), (3, 0));
}

#[test]
fn the_demo_prints_the_built_in_targets_messages() {
    let events = simulate::demo::events(1);
    let compiled = simulate::compile(&script(P2P), &Shapes::default()).unwrap();
    let printed = simulate::print(&compiled, events.iter().cloned().map(Ok)).unwrap();
    let mut want = "Logging P2P traffic\n".to_owned();
    for event in &events {
        let words = match event.probe.as_ref() {
            "net:inbound_message" => ("inbound", "from"),
            "net:outbound_message" => ("outbound", "to"),
            _ => continue,
        };
        let text = |n: usize| match &event.args[n] {
            Value::Text(text) => text.to_string(),
            Value::Number(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        want.push_str(&format!(
            "{} '{}' msg {} peer {} ({}, {}) with {} bytes\n",
            words.0,
            text(3),
            words.1,
            text(0),
            text(2),
            text(1),
            text(4)
        ));
    }
    want.push_str("\n\n");
    assert!(want.lines().count() > 20);
    assert_eq!(printed.output, want);
}

#[test]
fn intervals_fire_between_events() {
    let text = r#"
        usdt:app:app:hit { @n = count(); }
        interval:s:1 { print(@n); clear(@n); }
        interval:ms:1500 { printf("at %u ms on cpu %d in %s\n", nsecs / 1000000, cpu, comm); }
        END { printf("end\n"); }"#;
    let events = r#"
{"probe":"app:hit","time":500000000}
{"probe":"app:hit","time":900000000,"cpu":3}
{"probe":"app:hit","time":1500000000}
{"time":3500000000}"#;
    let want = "@n: 2
at 2000 ms on cpu 0 in baretrace
@n: 1
@n: 0
at 3500 ms on cpu 0 in baretrace
end


";
    let got = output(text, events);
    assert_eq!(got, want);
}

#[test]
fn the_process_is_the_events() {
    let text = r#"
        usdt:/usr/bin/app:app:hit / arg0 > 100 / { printf("%d %d %d %s %d %d %u\n", pid, tid, uid, comm, cpu, arg0, nsecs); }"#;
    let events = r#"
{"probe":"hit","args":[1]}
{"probe":"hit","args":[101]}
{"probe":"hit","args":[-1],"time":2000000000,"pid":5,"tid":6,"uid":7,"comm":"worker","cpu":2}
{"probe":"hit","args":[102],"pid":8}"#;
    let want = "1000 1000 1000 app 0 101 1001000000\n8 8 1000 app 0 102 2001000000\n\n\n";
    assert_eq!(output(text, events), want);
}

#[test]
fn exit_ends_the_run_with_its_code() {
    let text = r#"usdt:app:app:hit { printf("%d\n", arg0); if (arg0 == 2) { exit(3); } } END { printf("end\n"); }"#;
    let events = "{\"probe\":\"hit\",\"args\":[1]}\n".to_owned()
        + "{\"probe\":\"hit\",\"args\":[2]}\n"
        + "{\"probe\":\"hit\",\"args\":[3]}\n";
    let printed = print(text, &events);
    assert_eq!(printed.output, "1\n2\nend\n\n\n");
    assert_eq!(printed.outcome.exit, Some(3));
}

#[test]
fn what_happens_on_one_path_only_is_not_played_on_the_other() {
    let text = r#"usdt:app:app:hit {
            printf("a%d\n", arg0);
            if (arg0 == 1) { return; }
            printf("b%d\n", arg0);
            while (arg0 == 3) { printf("c%d\n", arg0); return; }
            for ($i : 0..3) { if ($i == arg0) { return; } }
            printf("d%d\n", arg0);
        }"#;
    let events: String = [1, 2, 3, 4]
        .iter()
        .map(|n| format!("{{\"probe\":\"app:hit\",\"args\":[{n}]}}\n"))
        .collect();
    let want = "a1\na2\nb2\na3\nb3\nc3\na4\nb4\nd4\n\n\n";
    assert_eq!(output(text, &events), want);
}

#[test]
fn maps_and_aggregations() {
    let text = r#"
        usdt:app:app:hit { @count[str(arg0)] = count(); @sum = sum(arg1); @h = hist(arg1); @last = arg1; @avg = avg(arg1); }"#;
    let mut events = String::new();
    for (cpu, (key, size)) in [("a", 1), ("b", 20), ("a", 300), ("a", 4)]
        .iter()
        .enumerate()
    {
        events.push_str(&format!(
            "{{\"probe\":\"app:hit\",\"cpu\":{cpu},\"args\":[\"{key}\",{size}]}}\n"
        ));
    }
    let got = output(text, &events);
    for want in [
        "@avg: 81\n",
        "@count[b]: 1\n@count[a]: 3\n",
        "@last: 4\n",
        "@sum: 325\n",
        "[256, 512)             1 |",
    ] {
        assert!(got.contains(want), "{want:?} in {got}");
    }
}

#[test]
fn functions_have_arguments_and_return_values() {
    let text = r#"
        uprobe:/opt/app:work { printf("work %d %s %d\n", arg0, str(arg1), arg5); }
        uretprobe:/opt/app:work { printf("= %d in %s\n", (int64)retval, comm); }"#;
    let events = r#"
{"probe":"work","args":[-5,"text",2,3,4,77]}
{"probe":"work","ret":-1}"#;
    assert_eq!(output(text, events), "work -5 text 77\n= -1 in app\n\n\n");
}

#[test]
fn a_full_ring_loses_and_says_so() {
    let text = r#"usdt:app:app:hit { printf("%d\n", arg0); }"#;
    let mut events = String::new();
    for n in 0..100 {
        // Ten at a time, ten milliseconds apart.
        let time = 1_000_000_000 + n / 10 * 10_000_000;
        events.push_str(&format!(
            "{{\"probe\":\"app:hit\",\"time\":{time},\"args\":[{n}]}}\n"
        ));
    }
    let shapes = Shapes::of(simulate::events::parse(&events)).unwrap();
    let compiled = simulate::compile(&script(text), &shapes).unwrap();
    let (out, err) = (Capture::default(), Capture::default());
    let options = OutputOptions {
        form: Form::Text,
        ..OutputOptions::default()
    };
    let sink = Output::to(Box::new(out.clone()), "memory", Buffering::Full);
    let mut player = compiled
        .player(options, sink, Box::new(err.clone()))
        .unwrap();
    let settings = Settings {
        ring_bytes: Some(80),
        ..compiled.settings()
    };
    let all = simulate::events::parse(&events);
    let (object, target) = (&compiled.object, &compiled.target);
    let outcome = simulate::run(object, target, &settings, all, &mut player).unwrap();
    let printed = String::from_utf8(out.bytes()).unwrap();
    let lines = printed.lines().filter(|line| !line.is_empty()).count() as u64;
    assert!(lines >= 10 && outcome.lost > 0, "{lines} {outcome:?}");
    assert_eq!(lines + outcome.lost, 100);
    let said = String::from_utf8(err.bytes()).unwrap();
    let want = format!("{} events lost at usdt:app:app:hit\n", outcome.lost);
    assert!(said.ends_with(&want), "{said}");
}

#[test]
fn time_is_the_simulated_machines() {
    let text = r#"usdt:app:app:hit { printf("%s %llu\n", strftime("%s", nsecs), elapsed); time("%s\n"); }"#;
    let events = r#"{"time":0}
{"probe":"app:hit","time":5000000000}"#;
    assert_eq!(
        output(text, events),
        "1767225605 5000000000\n1767225605\n\n\n"
    );
}

#[test]
fn the_same_every_time() {
    let text = r#"usdt:app:app:hit { @[rand % 10, nsecs] = count(); }"#;
    let events = "{\"probe\":\"app:hit\"}\n".repeat(20);
    assert_eq!(output(text, &events), output(text, &events));
}

/// As in the kernel, what exceeds the buffer comes in chunks, and is put together.
#[test]
fn strings_of_megabytes_and_the_groups_around_them() {
    let long = "0123456789abcdef".repeat(100_000);
    let events = format!(
        "{{\"probe\":\"net:inbound_message\",\"args\":[5,\"{long}\",\"x\",\"{}\",1600000,null]}}\n",
        &long[..30_000]
    );
    let text = r#"config = { max_strlen = 4194304 }
usdt:./build/bin/bitcoind:net:inbound_message {
  printf("%d ", arg0);
  if (arg0 > 3) { printf("%s,%s,%s", str(arg1), str(arg2), str(arg3)); }
  $i = 0;
  while ($i < 1000) { printf("|%s", str(arg3, 40)); $i++; }
  printf(" %r.\n", buf(arg1, 70000));
}
"#;
    let want = format!(
        "5 {long},x,{}{} {}.\n\n\n",
        &long[..30_000],
        format!("|{}", &long[..39]).repeat(1000),
        &long[..70_000]
    );
    let got = output(text, &events);
    assert!(got == want, "{} bytes for {}", got.len(), want.len());
}

/// Keys that end with a string are kept in one of two maps, and read as one.
#[test]
fn string_keys_of_all_lengths() {
    let lengths = [0, 1, 61, 62, 63, 64, 65, 126, 1022, 1500];
    let name = |len: usize| "k".repeat(len);
    let event = |len: usize| {
        format!(
            "{{\"probe\":\"net:inbound_message\",\"args\":[{len},\"{}\",\"\",\"\",2,null]}}\n",
            name(len)
        )
    };
    let events: String = lengths.into_iter().chain(lengths).map(event).collect();
    let text = r#"usdt:./build/bin/bitcoind:net:inbound_message {
  $n = str(arg1);
  @a[str(arg1)] = count();
  @b[arg0, $n] = sum(arg4);
  @c[str(arg1)] += 1;
  @d[str(arg1), arg0] = max(arg4);
  if (@c[$n] == 2 && arg0 != 64) { delete(@c, $n); }
  if (arg0 == 64) { print(@a[$n]); }
}
"#;
    let mut want = String::from("1\n2\n");
    let key = |len: usize| match len {
        // Cut as a printed string is.
        1024.. => format!("{}..", name(1024)),
        _ => name(len),
    };
    // Alike, and then in the order of the bytes.
    for len in lengths {
        want += &format!("@a[{}]: 2\n", key(len));
    }
    for len in lengths {
        want += &format!("@b[{len}, {}]: 4\n", key(len));
    }
    want += &format!("@c[{}]: 2\n", name(64));
    for len in lengths {
        want += &format!("@d[{}, {len}]: 2\n", key(len));
    }
    let got = output(text, &events);
    let got: Vec<&str> = got.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(got, want.lines().collect::<Vec<_>>());
}
