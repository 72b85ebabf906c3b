//! Lines of the tools that print one for each event, as the scripts in Bitcoin Core's `contrib/tracing` print them.

use super::wire;
use crate::{
    runtime::Output,
    trace::{Event, Value},
};
use std::{
    borrow::Cow,
    fmt::{self, Display, Write},
};

/// The value of an argument; nothing where a binary does not have it.
struct Of<'e>(Option<Value<'e>>);

impl Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // As numbers: the scripts know no names.
            Some(Value::Enum(n, _) | Value::Int(n)) => {
                f.pad_integral(*n >= 0, "", &n.unsigned_abs().to_string())
            }
            Some(Value::Text(text)) => f.pad(&on_one_line(&String::from_utf8_lossy(text))),
            Some(value) => f.pad(&value.to_string()),
            None => f.pad("?"),
        }
    }
}

/// What would move the cursor, or end the line, as `\xNN`.
fn on_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c.is_control() {
            true => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            false => out.push(c),
        }
    }
    out.into()
}

fn of<'e>(event: &'e Event, name: &str) -> Of<'e> {
    Of(event.get(name))
}

fn is(event: &Event, name: &str) -> bool {
    event.flag(name).unwrap_or(false)
}

/// `inbound 'pong' msg from peer 11 (outbound-full-relay, 1.2.3.4:8333) with 8 bytes`.
pub fn message(out: &mut String, e: &Event) {
    let (direction, word) = direction(e);
    let (peer, addr, kind) = (of(e, "peer_id"), of(e, "addr"), of(e, "conn_type"));
    let (msg_type, size) = (of(e, "msg_type"), of(e, "size"));
    let _ = writeln!(
        out,
        "{direction} '{msg_type}' msg {word} peer {peer} ({kind}, {addr}) with {size} bytes"
    );
}

fn direction(e: &Event) -> (&'static str, &'static str) {
    if e.short_name() == "inbound_message" {
        ("inbound", "from")
    } else {
        ("outbound", "to")
    }
}

/// ` inbound msg 'inv' from peer 4 (inbound, 1.2.3.4:8333) with 37 bytes: `, with a warning before it if bytes are missing.
/// The bytes are to follow, in hexadecimal.
pub fn raw_head(out: &mut String, e: &Event) {
    let size = match e.get("size") {
        Some(Value::Int(size)) => size,
        _ => 0,
    };
    let bytes = e.bytes("bytes").unwrap_or_default();
    let there = bytes.len();
    if i128::try_from(there).is_ok_and(|there| there < size) {
        let _ = write!(
            out,
            "Warning: incomplete message (only {there} out of {size} bytes)!"
        );
    }
    let direction = direction(e).0;
    let (peer, addr, kind) = (of(e, "peer_id"), of(e, "addr"), of(e, "conn_type"));
    let msg_type = of(e, "msg_type");
    let _ = write!(
        out,
        " {direction} msg '{msg_type}' from peer {peer} ({kind}, {addr}) with {size} bytes: "
    );
}

/// The line that begins with [`raw_head`], with the message's fields instead of its bytes; if it cannot be decoded, why, and false:
/// its bytes are to follow.
pub fn decoded_message(out: &mut String, e: &Event) -> bool {
    raw_head(out, e);
    let bytes = e.bytes("bytes").unwrap_or_default();
    let name = e.text("msg_type").unwrap_or_default();
    match wire::decode(&name, bytes, wire::SHOWN) {
        Some(Ok(fields)) => {
            let _ = writeln!(out, "{fields}");
            return true;
        }
        Some(Err(err)) => {
            let _ = write!(out, "(not a whole `{name}`: {err}) ");
        }
        None => out.push_str("(no type that is known) "),
    }
    false
}

/// Appends bytes in hexadecimal.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    const PAIRS: [[u8; 2]; 256] = {
        let mut pairs = [[0; 2]; 256];
        let mut n = 0;
        while n < 256 {
            pairs[n] = [DIGITS[n >> 4], DIGITS[n & 15]];
            n += 1;
        }
        pairs
    };
    out.reserve(2 * bytes.len());
    out.extend(bytes.iter().flat_map(|byte| PAIRS[usize::from(*byte)]));
}

/// Bytes of a payload that become digits at once.
const PIECE: usize = 16 << 10;

/// Writes bytes in hexadecimal, piece by piece: the digits of a whole block never lie in memory at once.
pub fn digits(out: &mut Output, bytes: &[u8]) {
    for part in bytes.chunks(PIECE) {
        hex(&mut out.buf, part);
        out.commit();
    }
}

/// `INBOUND conn from 127.0.0.1:45324: id=1, type=inbound, network=0, total=1` and the like.
pub fn connection(out: &mut String, e: &Event) {
    let (id, addr, kind) = (of(e, "id"), of(e, "addr"), of(e, "conn_type"));
    let network = of(e, "network");
    let _ = match e.short_name() {
        "misbehaving_connection" => {
            let reason = of(e, "reason");
            writeln!(out, "MISBEHAVING conn id={id}, message='{reason}'")
        }
        name @ ("inbound_connection" | "outbound_connection") => {
            let total = of(e, "existing");
            let start = if name == "inbound_connection" {
                "INBOUND conn from"
            } else {
                "OUTBOUND conn to"
            };
            writeln!(
                out,
                "{start} {addr}: id={id}, type={kind}, network={network}, total={total}"
            )
        }
        name => {
            let established = of(e, "established");
            let start = if name == "closed_connection" {
                "CLOSED"
            } else {
                "EVICTED"
            };
            writeln!(
                out,
                "{start} conn to {addr}: id={id}, type={kind}, network={network}, established={established}"
            )
        }
    };
}

/// Above the rows of [`utxo`].
pub fn utxo_header(out: &mut String) {
    let _ = writeln!(
        out,
        "{:<7} {:<71} {:>16} {:>7} {:>8}",
        "OP", "Outpoint", "Value", "Height", "Coinbase"
    );
}

/// `Added   <txid>:<vout> <value> <height> Yes`.
pub fn utxo(out: &mut String, e: &Event) {
    let word = match e.short_name() {
        "add" => "Added",
        "spent" => "Spent",
        _ => "Uncache",
    };
    let (txid, vout) = (of(e, "txid"), of(e, "vout"));
    let (value, height) = (of(e, "value"), of(e, "height"));
    let coinbase = if is(e, "coinbase") { "Yes" } else { "No" };
    let _ = writeln!(
        out,
        "{word:<7} {txid}:{vout:<6} {value:>16} {height:>7} {coinbase}"
    );
}

/// Above the rows of [`flush`].
pub fn flush_header(out: &mut String) {
    out.push_str("Logging utxocache flushes. Ctrl-C to end...\n");
    let _ = writeln!(
        out,
        "{:<15} {:<12} {:<15} {:<15} {:<8}",
        "Duration (µs)", "Mode", "Coins Count", "Memory Usage", "Flush for Prune"
    );
}

/// `2556340         IF_NEEDED    2899141         394844.34 kB    False   `.
pub fn flush(out: &mut String, e: &Event) {
    let (duration, coins) = (of(e, "duration"), of(e, "coins"));
    let mode = e.text("mode").unwrap_or_default();
    #[expect(
        clippy::cast_precision_loss,
        reason = "two decimals of kilobytes are printed"
    )]
    let memory = e.int("memory").unwrap_or(0) as f64 / 1000.0;
    let memory = format!("{memory:.2} kB");
    let prune = if is(e, "for_prune") { "True" } else { "False" };
    let _ = writeln!(
        out,
        "{duration:<15} {mode:<12} {coins:<15} {memory:<15} {prune:<8}"
    );
}

/// What the wallet does, an amount in BTC: `SELECTED wallet 'w': 1.00000000 BTC for 0.50000000 BTC by bnb, waste 120 sat`.
pub fn coin_selection(out: &mut String, e: &Event) {
    let wallet = of(e, "wallet");
    let outcome = || {
        let fee = Btc(e.int("fee").unwrap_or(0));
        let change = match e.int("change_pos") {
            Ok(-1) | Err(_) => "no change".to_string(),
            Ok(at) => format!("change is output {at}"),
        };
        match is(e, "success") {
            true => format!("fee {fee} BTC, {change}"),
            false => "failed".to_string(),
        }
    };
    let _ = match e.short_name() {
        "selected_coins" => {
            let (algorithm, waste) = (of(e, "algorithm"), of(e, "waste"));
            let [selected, target] =
                ["selected", "target"].map(|name| Btc(e.int(name).unwrap_or(0)));
            writeln!(
                out,
                "SELECTED wallet '{wallet}': {selected} BTC for {target} BTC by {algorithm}, waste {waste} sat"
            )
        }
        "normal_create_tx_internal" => writeln!(out, "CREATED wallet '{wallet}': {}", outcome()),
        "attempting_aps_create_tx" => {
            writeln!(out, "AGAIN wallet '{wallet}': without partial spends")
        }
        _ => {
            let used = if is(e, "use_aps") { "used" } else { "not used" };
            writeln!(
                out,
                "CREATED wallet '{wallet}' without partial spends ({used}): {}",
                outcome()
            )
        }
    };
}

/// Satoshi, shown in BTC with eight decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Btc(pub i64);

impl Display for Btc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let sat = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:08}", sat / 100_000_000, sat % 100_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        assert_eq!(Btc(123_456_789).to_string(), "1.23456789");
        assert_eq!(Btc(-1).to_string(), "-0.00000001");
        assert_eq!(Btc(i64::MIN).to_string(), "-92233720368.54775808");
    }

    #[test]
    fn padding_counts_as_printf_does() {
        assert_eq!(
            format!(
                "{:<6}|{:>4}|{:<2}",
                Of(Some(Value::Int(-5))),
                Of(Some(Value::Int(7))),
                Of(Some(Value::Int(123)))
            ),
            "-5    |   7|123"
        );
        assert_eq!(format!("{:>8}", Of(Some(Value::Text(b"abc")))), "     abc");
        let mut out = String::new();
        utxo_header(&mut out);
        assert_eq!(out.len(), 7 + 1 + 71 + 1 + 16 + 1 + 7 + 1 + 8 + 1);
        let mut digits = Vec::new();
        hex(&mut digits, &[0, 0x1f, 0xff]);
        assert_eq!(digits, b"001fff");
    }
}
