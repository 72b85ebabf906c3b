//! Events as JSON, one object a line.
//!
//! ```text
//! {"event":"net:inbound_message","time":"2026-11-25T04:13:28.012345678Z","time_ns":81234567890,"cpu":0,"pid":4711,
//!  "tid":4712,"args":{"peer_id":3,"addr":"192.0.2.1:8333",…}}
//! {"event":"lost","probe":"net:inbound_message","count":12}
//! ```
//!
//! `time` is UTC, `time_ns` the kernel's monotonic clock. Arguments have the names of the schema. A value with names comes
//! as number, and as text under the name with `_name` after it, if it has one. Hashes are hexadecimal as explorers show
//! them, `null` if they could not be read; bytes are hexadecimal; text that is no UTF-8 has `U+FFFD` where it is not.
//! New keys may come, these stay.

use super::{date, lines, message::Message, wire};
use crate::{
    runtime::Output,
    trace::{Event, Value},
};
use serde_json::{Number, Value as Json, json};
use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

/// Writes an event and the end of its line; `decode` adds a message's fields as `decoded`, or why there are none as
/// `undecoded`. Payloads are written piece by piece: their digits never lie in memory at once.
pub fn event(out: &mut Output, event: &Event, decode: bool) {
    let mut args: Vec<(String, Piece<'_>)> = Vec::new();
    for (arg, value) in event.values() {
        if let Value::Enum(_, Some(name)) = value {
            args.push((format!("{}_name", arg.name), Piece::Json(name.into())));
        }
        let value = match value {
            Value::Bytes(bytes) => Piece::Bytes(bytes),
            value => Piece::Json(json(&value)),
        };
        args.push((arg.name.clone(), value));
    }
    args.sort_by(|(a, _), (b, _)| a.cmp(b));
    out.buf.extend_from_slice(b"{\"args\":{");
    for (n, (name, value)) in args.into_iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        out.buf
            .extend_from_slice(format!("{comma}\"{name}\":").as_bytes());
        match value {
            Piece::Json(value) => out.buf.extend_from_slice(value.to_string().as_bytes()),
            Piece::Bytes(bytes) => digits(out, bytes),
        }
    }
    let cpu = event.cpu();
    out.buf
        .extend_from_slice(format!("}},\"cpu\":{cpu},").as_bytes());
    let mut rest = json!({
        "event": event.name(), "time": time(event.wall()), "time_ns": event.time(),
        "pid": event.pid(), "tid": event.tid(),
    });
    if decode && let Some(message) = Message::of(event) {
        match wire::decode(&message.msg_type, message.payload, usize::MAX) {
            Some(Ok(fields)) => {
                out.buf.extend_from_slice(b"\"decoded\":");
                // Writing to a buffer does not fail, and what a value holds can be said in JSON.
                let _ = serde_json::to_writer(Pieces(out), &fields);
                out.buf.push(b',');
            }
            Some(Err(err)) => rest["undecoded"] = err.to_string().into(),
            None => rest["undecoded"] = "unknown message type".into(),
        }
    }
    // Without its brace: these come later in the alphabet.
    out.buf
        .extend_from_slice(rest.to_string().trim_start_matches('{').as_bytes());
    out.buf.push(b'\n');
}

/// An output that is written out whenever it is full.
struct Pieces<'o>(&'o mut Output);

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.buf.extend_from_slice(bytes);
        self.0.commit();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Piece<'e> {
    Json(Json),
    Bytes(&'e [u8]),
}

fn digits(out: &mut Output, bytes: &[u8]) {
    out.buf.push(b'"');
    lines::digits(out, bytes);
    out.buf.push(b'"');
}

/// Appends how many events of `probe` were lost.
pub fn lost(out: &mut Vec<u8>, probe: &str, count: u64) {
    push(
        out,
        &json!({"event": "lost", "probe": probe, "count": count}),
    );
}

/// Appends a value and the end of its line.
pub fn push(out: &mut Vec<u8>, value: &Json) {
    out.extend_from_slice(value.to_string().as_bytes());
    out.push(b'\n');
}

/// `2026-11-25T04:13:28.012345678Z`.
pub fn time(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = date::utc(since.as_secs());
    format!(
        "{}.{:09}Z",
        seconds.trim_end_matches('Z'),
        since.subsec_nanos()
    )
}

/// A value as JSON.
pub fn json(value: &Value<'_>) -> Json {
    match value {
        Value::Int(n) | Value::Enum(n, _) => number(*n),
        Value::Bool(flag) => (*flag).into(),
        Value::Text(text) => String::from_utf8_lossy(text).into(),
        Value::Hash(None) => Json::Null,
        Value::Hash(Some(hash)) => hash.to_string().into(),
        Value::Bytes(_) => value.to_string().into(),
    }
}

fn number(n: i128) -> Json {
    Number::from_i128(n).map_or(Json::Null, Json::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Hash;
    use std::time::Duration;

    #[test]
    fn values() {
        assert_eq!(
            json(&Value::Int(u64::MAX.into())).to_string(),
            "18446744073709551615"
        );
        assert_eq!(json(&Value::Int(-5)).to_string(), "-5");
        assert_eq!(json(&Value::Text(b"a\xffb")).to_string(), "\"a\u{fffd}b\"");
        assert_eq!(json(&Value::Hash(None)), Json::Null);
        let mut bytes = [0; 32];
        bytes[0] = 0xab;
        let hash = json(&Value::Hash(Some(Hash(bytes))));
        assert!(
            hash.as_str()
                .is_some_and(|h| h.len() == 64 && h.ends_with("00ab"))
        );
        assert_eq!(json(&Value::Bytes(&[1, 0xff])), "01ff");
        assert_eq!(
            time(UNIX_EPOCH + Duration::from_millis(1500)),
            "1970-01-01T00:00:01.500000000Z"
        );
    }
}
