//! How many events a second. Run with `cargo test --release --test simulate -- --ignored --nocapture`.

use super::support::{P2P, script};
use baretrace::simulate::{self, invent::Shapes};
use std::time::Instant;

#[test]
#[ignore = "a figure of release builds"]
fn p2p_events_a_second() {
    const EVENTS: usize = 300_000;
    let mut text = String::new();
    for n in 0..EVENTS {
        let way = if n % 2 == 0 { "in" } else { "out" };
        text.push_str(&format!(
            "{{\"probe\":\"net:{way}bound_message\",\"pid\":77,\"comm\":\"b-msghand\",\"time\":{},\"args\":[{},\"192.0.2.17:8333\",\"outbound-full-relay\",\"ping\",{},{{\"hex\":\"0011223344556677\"}}]}}\n",
            1_000_000_000 + n * 1000,
            n % 125,
            n % 1000
        ));
    }
    let compiled = simulate::compile(&script(P2P), &Shapes::default()).unwrap();
    let start = Instant::now();
    let printed =
        simulate::events::ahead(&text, |events| simulate::print(&compiled, events)).unwrap();
    let with_file = EVENTS as f64 / start.elapsed().as_secs_f64();
    assert_eq!(printed.output.lines().count(), EVENTS + 3);
    let events: Vec<_> = simulate::events::parse(&text)
        .collect::<Result<_, _>>()
        .unwrap();
    let start = Instant::now();
    let again = simulate::print(&compiled, events.into_iter().map(Ok)).unwrap();
    let alone = EVENTS as f64 / start.elapsed().as_secs_f64();
    assert_eq!(again, printed);
    println!("{with_file:.0} events/s read from a file, {alone:.0} without reading");
    assert!(with_file >= 300_000.0, "{with_file:.0} events/s");
}
