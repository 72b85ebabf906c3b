//! Events for each of Bitcoin Core's 20 tracepoints: what a script reads is what the file says.

use super::support::output;
use baretrace::bitcoin::tracepoint::{Kind, TRACEPOINTS};

/// One script with a probe for each tracepoint that prints all arguments, one event for each, and what must come out.
#[test]
fn all_tracepoints() {
    let (mut script, mut events, mut want) = (String::new(), String::new(), String::new());
    for (row, point) in TRACEPOINTS.iter().enumerate() {
        let (mut format, mut exprs) = (point.to_string(), String::new());
        let mut values: Vec<String> = Vec::new();
        want.push_str(&point.to_string());
        for (number, arg) in point.args.iter().enumerate() {
            let seed = row * 20 + number;
            let (conversion, expr, value, text) = match arg.kind {
                Kind::Str(max) => {
                    let text =
                        "s".repeat(usize::try_from(max).unwrap().clamp(4, 60)) + &seed.to_string();
                    (
                        " %s",
                        format!("str(arg{number})"),
                        format!("\"{text}\""),
                        text,
                    )
                }
                Kind::Hash => {
                    let shown = format!(
                        "{:0>64}",
                        format!("{:02x}{:02x}", 0x80 + row, 0x80 + number)
                    );
                    let parts: Vec<String> = shown
                        .as_bytes()
                        .chunks(2)
                        .rev()
                        .map(|b| String::from_utf8_lossy(b).into_owned())
                        .collect();
                    let bytes: String = parts.iter().map(|b| format!("\\x{b}")).collect();
                    (
                        " %r",
                        format!("buf(arg{number}, 32)"),
                        format!("{{\"hash\":\"{shown}\"}}"),
                        bytes,
                    )
                }
                Kind::Bytes(_) => (
                    " %r",
                    format!("buf(arg{number}, 2)"),
                    "{\"hex\":\"41ff\"}".to_owned(),
                    "A\\xff".to_owned(),
                ),
                Kind::Bool => (
                    " %d",
                    format!("arg{number}"),
                    "true".to_owned(),
                    "1".to_owned(),
                ),
                Kind::Enum(names) => {
                    let last = names.last().unwrap().0.to_string();
                    (" %d", format!("arg{number}"), last.clone(), last)
                }
                Kind::Int => {
                    let low = if arg.signed {
                        -(seed as i64) - 1
                    } else {
                        seed as i64
                    };
                    let cast = if arg.signed { "(int64)" } else { "" };
                    (
                        " %ld",
                        format!("{cast}arg{number}"),
                        low.to_string(),
                        low.to_string(),
                    )
                }
            };
            format.push_str(conversion);
            exprs.push_str(&format!(", {expr}"));
            values.push(value);
            want.push(' ');
            want.push_str(&text);
        }
        want.push('\n');
        script.push_str(&format!(
            "usdt:./bitcoind:{point} {{ printf(\"{format}\\n\"{exprs}); }}\n"
        ));
        events.push_str(&format!(
            "{{\"probe\":\"{point}\",\"args\":[{}]}}\n",
            values.join(",")
        ));
    }
    want.push_str("\n\n");
    assert_eq!(output(&script, &events), want);
}

#[test]
fn a_script_may_look_at_some_of_them() {
    let script = "usdt:./bitcoind:mempool:* { @[probe] = count(); }";
    let events = r#"
{"probe":"mempool:added","args":[null,1,2]}
{"probe":"net:inbound_message","args":[1,"a","b","c",8,null]}
{"probe":"mempool:rejected","args":[{"hash":"0000000000000000000000000000000000000000000000000000000000000001"},"dust"]}
{"probe":"mempool:added","args":[null,1,2]}"#;
    let want =
        "\n\n@[usdt:./bitcoind:mempool:rejected]: 1\n@[usdt:./bitcoind:mempool:added]: 2\n\n";
    assert_eq!(output(script, events).trim_end(), want.trim_end());
}

/// This program has all the tracepoints itself, with operands that a compiler chose: registers and memory.
#[test]
fn sites_of_a_real_binary() {
    let path = env!("CARGO_BIN_EXE_baretrace");
    let script = format!(
        r#"usdt:"{path}":utxocache:add {{ printf("%r %d %d %ld %d\n", buf(arg0, 4), arg1, arg2, arg3, arg4); }}
usdt:"{path}":validation:block_connected {{ printf("%d %ld %d %ld %ld\n", arg1, arg2, arg3, arg4, arg5); }}"#
    );
    let events = r#"
{"probe":"utxocache:add","args":[{"hex":"0102030400000000000000000000000000000000000000000000000000000000"},3,930000,-1,true]}
{"probe":"validation:block_connected","args":[null,-7,4000,-2,-3,-4]}"#;
    let want = "\\x01\\x02\\x03\\x04 3 930000 -1 1\n-7 4000 -2 -3 -4\n\n\n";
    assert_eq!(output(&script, events), want);
}
