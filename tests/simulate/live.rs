//! The same script on the same events, live and simulated: the same output.

use super::support::script;
use baretrace::{
    kernel::detect,
    simulate::{self, invent::Shapes},
};
use std::process::Command;

/// Prints, by probes of several kinds of arguments, what does not depend on the run: no pids, no times.
const SCRIPT: &str = r#"
usdt:"PATH":net:*_message { printf("%s %ld %s %s %s %ld\n", probe, arg0, str(arg1), str(arg2), str(arg3), arg4); @types[str(arg3)] = count(); @sizes = hist(arg4); }
usdt:"PATH":net:*_connection { printf("%s %ld %s\n", probe, arg0, str(arg1)); }
usdt:"PATH":utxocache:add,
usdt:"PATH":utxocache:spent { printf("%r:%d %d %ld %d\n", buf(arg0, 32), arg1, arg2, arg3, arg4); @value = stats(arg3); }
usdt:"PATH":utxocache:flush { printf("%ld %d %ld %ld %d\n", arg0, arg1, arg2, arg3, arg4); @last = arg2; }
usdt:"PATH":validation:block_connected / arg1 > 930001 / { printf("%d %ld %d %ld %ld\n", arg1, arg2, arg3, arg4, arg5); }
usdt:"PATH":mempool:replaced { printf("%r %d %ld %ld %r %d %ld %d\n", buf(arg0, 8), arg1, arg2, arg3, buf(arg4, 8), arg5, arg6, arg7); }
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
