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

use super::{date, message::Message, wire};
use crate::trace::{Event, Value};
use serde_json::{Map, Number, Value as Json, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Appends an event and the end of its line; `decode` adds a message's fields as `decoded`, or why there are none as
/// `undecoded`.
pub fn event(out: &mut Vec<u8>, event: &Event, decode: bool) {
    let mut args = Map::new();
    for (arg, value) in event.values() {
        args.insert(arg.name.clone(), json(&value));
        if let Value::Enum(_, Some(name)) = value {
            args.insert(format!("{}_name", arg.name), name.into());
        }
    }
    let mut line = json!({
        "event": event.name(), "time": time(event.wall()), "time_ns": event.time(), "cpu": event.cpu(),
        "pid": event.pid(), "tid": event.tid(), "args": args,
    });
    if decode && let Some(message) = Message::of(event) {
        match wire::decode(&message.msg_type, &message.payload) {
            Some(Ok(fields)) => line["decoded"] = fields.json(),
            Some(Err(err)) => line["undecoded"] = err.to_string().into(),
            None => line["undecoded"] = "unknown message type".into(),
        }
    }
    push(out, &line);
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
