//! Events files: one JSON object a line, each one firing of a probe.
//!
//! ```text
//! # a comment
//! {"probe": "net:inbound_message", "pid": 7, "time": 1000, "args": [3, "192.0.2.1:8333", "inbound", "ping", 8, {"hex": "00ff"}]}
//! {"probe": "uretprobe:/bin/app:work", "ret": -1}
//! {"time": 3000000000}
//! ```

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt, sync::mpsc, thread};

use super::invent::Shapes;
use crate::suggest;

/// An argument's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'e> {
    /// `null`: nobody looks at it. A zero, or a null pointer.
    Null,
    /// A number, `true` (1) or `false` (0). Where a pointer is expected, the address itself.
    Number(i128),
    /// The address of that text with a NUL behind it.
    Text(Cow<'e, str>),
    /// The address of those bytes.
    Bytes(Vec<u8>),
}

/// One firing of a probe, or with an empty `probe` only the passing of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event<'e> {
    /// Line of the events file, from 1; 0 for an event from elsewhere.
    pub line: usize,
    /// The probe's full name, or its last parts: `net:inbound_message`.
    pub probe: Cow<'e, str>,
    /// Which of the probe's sites; without it the first that can hold the arguments.
    pub site: Option<usize>,
    /// Process id.
    pub pid: Option<u32>,
    /// Thread id; the process id without it.
    pub tid: Option<u32>,
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
    /// Command name, at most 15 bytes.
    pub comm: Option<Cow<'e, str>>,
    /// CPU.
    pub cpu: u32,
    /// Nanoseconds since boot; without it a millisecond after the event before.
    pub time: Option<u64>,
    /// Arguments.
    pub args: Vec<Value<'e>>,
    /// A function's return value: the probe is one at return.
    pub ret: Option<Value<'e>>,
}

/// What is wrong with a line of an events file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventError {
    /// Line, from 1; 0 for an event that comes from no file.
    pub line: usize,
    /// Column, from 1, where one is known.
    pub column: Option<usize>,
    /// What it is.
    pub what: String,
    /// What was probably meant.
    pub help: Option<String>,
}

impl EventError {
    pub(super) fn new(line: usize, what: impl Into<String>) -> Self {
        EventError {
            line,
            column: None,
            what: what.into(),
            help: None,
        }
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => {}
            (line, None) => write!(f, "line {line}: ")?,
            (line, Some(column)) => write!(f, "line {line}, column {column}: ")?,
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for EventError {}

/// The events of a file, read line by line. Empty lines and lines that begin with `#` are left out.
pub fn parse(text: &str) -> impl Iterator<Item = Result<Event<'_>, EventError>> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with('#')
        })
        .map(|(number, line)| parse_line(number + 1, line))
}

/// The events of a file whose lines were all looked at once.
#[derive(Debug)]
pub struct Events<'e> {
    text: &'e str,
    /// The events, if the file is not large.
    kept: Option<Vec<Event<'e>>>,
    /// What they say of their probes.
    pub shapes: Shapes,
}

impl<'e> Events<'e> {
    /// Looks at all lines.
    ///
    /// # Errors
    /// The first line that is no event.
    pub fn of(text: &'e str) -> Result<Events<'e>, EventError> {
        /// Bytes of a file whose events are kept in memory, where they take two to three times as much.
        const KEPT: usize = 32 << 20;
        let mut shapes = Shapes::default();
        let mut kept = (text.len() <= KEPT).then(Vec::new);
        for event in parse(text) {
            let event = event?;
            shapes.add(&event);
            if let Some(kept) = &mut kept {
                kept.push(event);
            }
        }
        Ok(Events { text, kept, shapes })
    }

    /// Gives them to `run`, one by one.
    pub fn each<R>(
        self,
        run: impl FnOnce(&mut dyn Iterator<Item = Result<Event<'e>, EventError>>) -> R,
    ) -> R {
        match self.kept {
            Some(events) => run(&mut events.into_iter().map(Ok)),
            None => ahead(self.text, run),
        }
    }
}

/// What [`parse`] reads, read ahead by another thread while `run` takes it.
pub fn ahead<'e, R>(
    text: &'e str,
    run: impl FnOnce(&mut dyn Iterator<Item = Result<Event<'e>, EventError>>) -> R,
) -> R {
    /// Events that change threads at once, and batches that wait.
    const BATCH: usize = 256;
    const WAITING: usize = 16;
    thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel::<Vec<_>>(WAITING);
        scope.spawn(move || {
            let mut events = parse(text);
            loop {
                let batch: Vec<_> = events.by_ref().take(BATCH).collect();
                // Nobody takes more once the script has ended.
                if batch.is_empty() || send.send(batch).is_err() {
                    return;
                }
            }
        });
        run(&mut receive.into_iter().flatten())
    })
}

/// The text of an events file.
///
/// # Errors
/// The line that is not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, EventError> {
    std::str::from_utf8(bytes).map_err(|err| {
        let good = &bytes[..err.valid_up_to()];
        let line = 1 + good.iter().filter(|b| **b == b'\n').count();
        let column = 1 + good.iter().rev().take_while(|b| **b != b'\n').count();
        EventError {
            column: Some(column),
            help: Some("bytes that are no text are written as {\"hex\": \"…\"}".to_owned()),
            ..EventError::new(line, "not UTF-8")
        }
    })
}

fn parse_line(number: usize, line: &str) -> Result<Event<'_>, EventError> {
    let mut event: Event<'_> = serde_json::from_str(line).map_err(|err| {
        let text = err.to_string();
        let place = format!(" at line {} column {}", err.line(), err.column());
        let what = text.strip_suffix(&place).unwrap_or(&text);
        let (what, help) = match what.split_once('\n') {
            Some((what, help)) => (what, Some(help.to_owned())),
            None => (what, None),
        };
        EventError {
            line: number,
            column: Some(err.column().max(1)),
            what: what.to_owned(),
            help,
        }
    })?;
    event.line = number;
    if event.probe.is_empty() && event.time.is_none() {
        return Err(EventError::new(
            number,
            "an event needs a `probe`, or a `time` to let pass",
        ));
    }
    if let Some(comm) = &event.comm
        && comm.len() > 15
    {
        return Err(EventError::new(
            number,
            format!("`comm` has {} bytes; the kernel keeps 15", comm.len()),
        ));
    }
    Ok(event)
}

/// Names of an event's fields.
const FIELDS: &[&str] = &[
    "probe", "site", "pid", "tid", "uid", "gid", "comm", "cpu", "time", "args", "ret",
];

impl<'de> Deserialize<'de> for Event<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, {\"probe\": …}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut event = Event::default();
        while let Some(Word(key)) = map.next_key()? {
            match key.as_ref() {
                "probe" => event.probe = map.next_value::<Word<'_>>()?.0,
                "site" => event.site = Some(map.next_value()?),
                "pid" => event.pid = Some(map.next_value()?),
                "tid" => event.tid = Some(map.next_value()?),
                "uid" => event.uid = Some(map.next_value()?),
                "gid" => event.gid = Some(map.next_value()?),
                "comm" => event.comm = Some(map.next_value::<Word<'_>>()?.0),
                "cpu" => event.cpu = map.next_value()?,
                "time" => event.time = Some(map.next_value()?),
                "args" => event.args = map.next_value::<Values<'_>>()?.0,
                "ret" => event.ret = Some(map.next_value()?),
                other => {
                    let help = match suggest::closest(other, FIELDS.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("an event has {}", FIELDS.join(", ")),
                    };
                    return Err(de::Error::custom(format!("no field `{other}`\n{help}")));
                }
            }
        }
        Ok(event)
    }
}

/// A string, borrowed from the line where it has no escapes.
struct Word<'e>(Cow<'e, str>);

impl<'de> Deserialize<'de> for Word<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(WordVisitor)
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Word(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Word(Cow::Owned(text.to_owned())))
    }
}

struct Values<'e>(Vec<Value<'e>>);

impl<'de> Deserialize<'de> for Values<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::with_capacity(8);
        while let Some(value) = seq.next_element_seed(ValueVisitor)? {
            values.push(value);
        }
        Ok(Values(values))
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> DeserializeSeed<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer, a string, {\"hex\": \"…\"}, {\"hash\": \"…\"} or null")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Number(i128::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(i128::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(i128::from(value)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let Some(Word(key)) = map.next_key()? else {
            return Err(de::Error::custom("an empty object is no argument"));
        };
        let reversed = match key.as_ref() {
            "hex" => false,
            "hash" => true,
            other => {
                return Err(de::Error::custom(format!(
                    "`{other}` is no kind of argument: there are `hex` (bytes as they lie in memory) and `hash` (last byte first)"
                )));
            }
        };
        let Word(digits) = map.next_value()?;
        let mut bytes = unhex(&digits).ok_or_else(|| {
            de::Error::custom(format!("`{digits}` is not pairs of hexadecimal digits"))
        })?;
        if reversed {
            bytes.reverse();
        }
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(de::Error::custom("an argument has one key only"));
        }
        Ok(Value::Bytes(bytes))
    }
}

/// Bytes from pairs of hexadecimal digits.
pub(super) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |c: u8| {
        char::from(c)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_event() {
        let line = r##"
            # nothing

            {"probe":"net:x","pid":7,"tid":8,"comm":"b-net","cpu":1,"time":5,"args":[1,-5,"te\"xt",{"hex":"00fF"},{"hash":"0102"},true,null,18446744073709551615]}
            {"time": 9}"##;
        let events: Vec<_> = parse(line).collect::<Result<_, _>>().unwrap();
        assert_eq!(events.len(), 2);
        let event = &events[0];
        assert_eq!((event.line, event.probe.as_ref()), (4, "net:x"));
        assert_eq!((event.pid, event.tid, event.cpu), (Some(7), Some(8), 1));
        assert_eq!(
            (event.comm.as_deref(), event.time),
            (Some("b-net"), Some(5))
        );
        let want = [
            Value::Number(1),
            Value::Number(-5),
            Value::Text("te\"xt".into()),
            Value::Bytes(vec![0, 255]),
            Value::Bytes(vec![2, 1]),
            Value::Number(1),
            Value::Null,
            Value::Number(i128::from(u64::MAX)),
        ];
        assert_eq!(event.args, want);
        assert!(matches!(
            parse_line(1, r#"{"probe":"x","args":["a"]}"#).unwrap().args[0],
            Value::Text(Cow::Borrowed(_))
        ));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (line, column, what) in [
            ("{", Some(1), "EOF while parsing an object"),
            (r#"{"probe" "x"}"#, Some(10), "expected `:`"),
            (r#"{"probe":"x"} {}"#, Some(15), "trailing characters"),
            (
                r#"[1]"#,
                Some(1),
                "invalid type: sequence, expected an event",
            ),
            (
                r#"{"probe":7}"#,
                Some(10),
                "invalid type: integer `7`, expected a string",
            ),
            (
                r#"{"probe":"x","args":7}"#,
                Some(21),
                "expected a list of arguments",
            ),
            (
                r#"{"probe":"x","args":[1.5]}"#,
                Some(24),
                "floating point `1.5`",
            ),
            (
                r#"{"probe":"x","args":[1e30]}"#,
                Some(25),
                "floating point `1e+30`",
            ),
            (
                r#"{"probe":"x","args":[{"hex":"0"}]}"#,
                Some(32),
                "`0` is not pairs",
            ),
            (
                r#"{"probe":"x","args":[{"oct":"0"}]}"#,
                Some(27),
                "`oct` is no kind",
            ),
            (
                r#"{"probe":"x","pid":-1}"#,
                Some(21),
                "invalid value: integer `-1`, expected u32",
            ),
            (r#"{"prob":"x"}"#, Some(7), "no field `prob`"),
            (r#"{"pid":1}"#, None, "needs a `probe`"),
            (
                r#"{"probe":"x","comm":"0123456789abcdef"}"#,
                None,
                "has 16 bytes",
            ),
        ] {
            let error = parse_line(3, line).unwrap_err();
            assert!(error.what.contains(what), "{line}: {error}");
            assert_eq!((error.line, error.column), (3, column), "{line}: {error}");
        }
        let error = parse_line(1, r#"{"prob":"x"}"#).unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `probe`?"));
        assert_eq!(
            text(b"a\nb\xff").unwrap_err().to_string(),
            "line 2, column 2: not UTF-8"
        );
    }
}
