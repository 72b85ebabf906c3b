//! The same script on the same events, live and simulated: the same output.

use super::support::script;
use baretrace::{
    kernel::detect,
    simulate::{
        self,
        events::{Event, Value},
        invent::Shapes,
    },
};
use serde_json::json;
use std::process::Command;

/// Prints, by probes of several kinds of arguments, what does not depend on the run: no pids, no times.
const SCRIPT: &str = r#"
usdt:"PATH":net:*_message { printf("%s %ld %s %s %s %ld\n", probe, arg0, str(arg1), str(arg2), str(arg3), arg4); @types[str(arg3)] = count(); @sizes = hist(arg4); printf("%d %s %s %s %d\n", args.peer_id, args.addr, args.conn_type, args.msg_type, args.size); }
usdt:"PATH":net:*_connection { printf("%s %ld %s\n", probe, arg0, str(arg1)); }
usdt:"PATH":utxocache:add,
usdt:"PATH":utxocache:spent { printf("%r:%d %d %ld %d\n", buf(arg0, 32), arg1, arg2, arg3, arg4); @value = stats(arg3); printf("%s:%d %s %s\n", args.txid, args.vout, btc(args.value), args.coinbase); @coins[args.txid] = args.height; }
usdt:"PATH":utxocache:flush { printf("%ld %d %ld %ld %d\n", arg0, arg1, arg2, arg3, arg4); @last = arg2; print(args); }
usdt:"PATH":validation:block_connected / args.height > 930001 / { print((args.hash, args.duration)); printf("%d %ld %d %ld %ld\n", arg1, arg2, arg3, arg4, arg5); }
usdt:"PATH":mempool:replaced { printf("%r %d %ld %ld %r %d %ld %d\n", buf(arg0, 8), arg1, arg2, arg3, buf(arg4, 8), arg5, arg6, arg7); print(args); @replaced = args.new_id; }
usdt:"PATH":mempool:removed { @removed[str(arg1), arg2] = sum(arg3); }
END { printf("end\n"); }
"#;

#[test]
fn live_and_simulated_output_are_equal() {
    if !detect::missing_rights(false).is_empty() {
        eprintln!("left out: this process may not trace");
        return;
    }
    let path = env!("CARGO_BIN_EXE_baretrace");
    let text = SCRIPT.replace("PATH", path);
    let events = simulate::demo::events(3);
    let rounds = events
        .iter()
        .filter(|event| event.probe == "utxocache:flush")
        .count();
    let live = Command::new(path)
        .args(["-q", "-e", &text, "-c"])
        .arg(format!("{path} demo-target --pause-us 0 --rounds {rounds}"))
        .output()
        .expect("the program is built");
    let live_text = String::from_utf8_lossy(&live.stdout);
    assert!(
        live.status.success(),
        "{}",
        String::from_utf8_lossy(&live.stderr)
    );
    let compiled = simulate::compile(&script(&text), &Shapes::default()).expect("it compiles");
    let simulated = simulate::print(&compiled, events.into_iter().map(Ok)).expect("it runs");
    assert!(simulated.output.lines().count() > 100);
    let differences = simulate::diff(&live_text, &simulated.output);
    assert_eq!(
        differences,
        None,
        "{}",
        differences.as_deref().unwrap_or("")
    );
}

/// Scripts of one thing each; `PATH` is the traced program.
const SCRIPTS: &[(&str, &str)] = &[
    (
        "aggregations",
        r#"usdt:"PATH":net:inbound_message {
            @avg[str(arg3)] = avg(arg4); @min = min(arg4); @max = max(arg4); @sum[arg0, str(arg2)] = sum(arg4);
            @stats[arg0] = stats(arg4); @log = hist(arg4); @lin = lhist(arg4, 0, 2000, 100); @n[str(arg3)]++; }"#,
    ),
    (
        "printing maps",
        r#"usdt:"PATH":net:*_message { @[str(arg3)] = sum(arg4); @two[arg0, probe] = count(); @gone[arg0] = arg4; delete(@gone, arg0); }
        end { print(@, 3); print(@, 2, 10); clear(@two); print(@two); zero(@); print(@[ "ping" ]); }"#,
    ),
    (
        "numbers",
        r#"usdt:"PATH":net:inbound_message {
            $n = (int32)arg4; $s = (int8)arg4; $u = (uint16)arg4;
            printf("%d %u %x %X %o %5d|%-5d|%05d %lld %#x\n", $n, $u, $n, $n, $n, $n, $n, $n, arg4, $n);
            printf("%d %d %d %d %d %d\n", $s, -$n / 7, -$n % 7, $n << 3, $n >> 2, ~$n);
            printf("%d %d %d %d\n", $n & 15, $n | 16, $n ^ 255, $n > 100 ? 1 : 0);
            printf("%c%%|%10s|%-10s|%.3s\n", 65 + $n % 26, str(arg3), str(arg3), str(arg3)); }"#,
    ),
    (
        "strings and bytes",
        r#"usdt:"PATH":net:outbound_message {
            printf("%s %d %s\n", str(arg3, 3), strncmp(str(arg3), "ping", 4), str(arg1) == "192.0.2.17:8333" ? "us" : "them");
            printf("%r %rx %rh\n", buf(arg5, 8), buf(arg5, 4), buf(arg5, 6));
            @seen[str(arg3)] = str(arg2); if (strcontains(str(arg3), "tx")) { @tx++; } }"#,
    ),
    (
        "control flow",
        r#"usdt:"PATH":net:inbound_message / arg4 > 10 && (arg0 == 0 || arg0 > 2) / {
            $i = 0; $sum = 0;
            while ($i < 5) { if ($i == 3) { $i++; continue; } $sum += $i; $i++; }
            for ($k : 0..4) { $sum += $k * 10; }
            unroll (3) { $sum++; }
            if ($sum > 50) { printf("more %d\n", $sum); } else if ($sum == 50) { printf("equal\n"); } else { printf("less %d\n", $sum); } }"#,
    ),
    (
        "loops over maps and tuples",
        r#"usdt:"PATH":net:inbound_message { @a[arg0] = arg4; @t[arg0] = (arg4, str(arg3)); }
        end { for ($kv : @a) { @sum += $kv.1; @keys++; } print((1, "two", (3, 4))); print(@t); print(@sum); }"#,
    ),
    (
        "begin and end",
        r#"begin { printf("begin\n"); @n = 0; }
        usdt:"PATH":net:inbound_message { @n++; printf("%d\n", @n); if (@n == 7) { return; } @later++; }
        end { printf("end %d\n", @n); }"#,
    ),
    (
        "hashes and wide reads",
        r#"usdt:"PATH":validation:block_connected { printf("%r %d\n", buf(arg0, 32), arg1); @[arg1] = count(); }
        usdt:"PATH":mempool:added { printf("%rx %ld %ld\n", buf(arg0, 32), arg1, arg2); }"#,
    ),
    (
        "json",
        r#"usdt:"PATH":net:inbound_message { printf("%s \"%d\"\n", str(arg3), arg4); @[str(arg3)] = hist(arg4); @s[arg0] = stats(arg4); print((arg0, str(arg3))); }"#,
    ),
];

/// An event as a line of an events file.
fn line(event: &Event<'_>) -> serde_json::Value {
    let value = |value: &Value<'_>| match value {
        Value::Null => json!(null),
        Value::Number(number) => serde_json::from_str(&number.to_string()).expect("a number"),
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": hex })
        }
    };
    let args: Vec<_> = event.args.iter().map(value).collect();
    match event.probe.as_ref() {
        "" => json!({ "time": event.time }),
        probe => json!({ "probe": probe, "args": args }),
    }
}

/// What a script prints live and simulated on the same events.
fn both(script_text: &str, json: bool) -> (String, String) {
    let path = env!("CARGO_BIN_EXE_baretrace");
    let text = script_text.replace("PATH", path);
    let events = simulate::demo::events(3);
    let flushes = events
        .iter()
        .filter(|event| event.probe == "utxocache:flush");
    let target = format!(
        "{path} demo-target --pause-us 0 --rounds {}",
        flushes.count()
    );
    let form = if json { "json" } else { "text" };
    let live = Command::new(path)
        .args(["-q", "-f", form, "-e", &text, "-c", &target])
        .output()
        .expect("the program is built");
    let live_text = String::from_utf8_lossy(&live.stdout).into_owned();
    assert!(
        live.status.success(),
        "{}",
        String::from_utf8_lossy(&live.stderr)
    );
    let mut lines = String::new();
    for event in &events {
        lines.push_str(&format!("{}\n", line(event)));
    }
    let file = std::env::temp_dir().join(format!("baretrace-both-{}.jsonl", std::process::id()));
    std::fs::write(&file, lines).expect("write events");
    let simulated = Command::new(path)
        .args(["simulate", "-q", "-f", form, "-e", &text, "--events"])
        .arg(&file)
        .output()
        .expect("the program is built");
    std::fs::remove_file(&file).expect("remove it");
    assert!(
        simulated.status.success(),
        "{}",
        String::from_utf8_lossy(&simulated.stderr)
    );
    (
        live_text,
        String::from_utf8_lossy(&simulated.stdout).into_owned(),
    )
}

#[test]
fn every_kind_of_script_prints_the_same() {
    if !detect::missing_rights(false).is_empty() {
        eprintln!("left out: this process may not trace");
        return;
    }
    for (name, script) in SCRIPTS {
        let (live, simulated) = both(script, *name == "json");
        assert!(live.lines().count() > 3, "{name}: {live}");
        let differences = simulate::diff(&live, &simulated);
        assert_eq!(
            differences,
            None,
            "{name}: {}",
            differences.as_deref().unwrap_or("")
        );
    }
}
