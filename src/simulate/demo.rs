//! The built-in target's story as events: what the demo shows where nothing may be loaded.

use super::events::{Event, Value, unhex};
use crate::{
    bitcoin::tracepoint::{self, Argument, Kind},
    demo::{self, Options},
};

/// The first event's time: as if the target had been started at a second after boot.
const START: u64 = 1_000_000_000;
/// Process id of the simulated target.
const PID: u32 = 1001;

/// The first events of the demo target, at the pace of its default options; enough for that many seconds.
///
/// The story is the same as the one the real target tells; of a message's bytes there are the first 16.
pub fn events(seconds: u32) -> Vec<Event<'static>> {
    let options = Options::default();
    let pause = u64::try_from(options.pause.as_nanos()).unwrap_or(1).max(1);
    let wanted = 1 + u64::from(seconds) * 1_000_000_000 / pause;
    let per_round = demo::lines(&options, 1).len().max(1) as u64;
    let mut events: Vec<Event<'static>> = demo::lines(&options, wanted / per_round + 1)
        .iter()
        .filter_map(|line| event(line))
        .collect();
    for (number, event) in (1..).zip(&mut events) {
        event.time = Some(START + pause * number);
    }
    // Tracing begins at START, before the first event.
    let start = Event {
        time: Some(START),
        ..Event::default()
    };
    events.insert(0, start);
    events
}

/// An event from a line of the story.
fn event(line: &str) -> Option<Event<'static>> {
    let (probe, args) = line.split_once('\t')?;
    let (context, name) = probe.split_once(':')?;
    let known = tracepoint::find(context, name)?;
    let value = |(text, arg): (&str, &Argument)| match arg.kind {
        Kind::Int | Kind::Bool | Kind::Enum(_) => Some(Value::Number(text.parse().ok()?)),
        Kind::Str(_) => Some(Value::Text(text.to_owned().into())),
        Kind::Bytes(_) => Some(Value::Bytes(unhex(text)?)),
        Kind::Hash => {
            let mut bytes = unhex(text)?;
            bytes.reverse();
            Some(Value::Bytes(bytes))
        }
    };
    Some(Event {
        probe: probe.to_owned().into(),
        pid: Some(PID),
        comm: Some("baretrace".into()),
        args: args
            .split('\t')
            .zip(known.args)
            .map(value)
            .collect::<Option<_>>()?,
        ..Event::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_tracepoint_is_in_the_story_with_all_its_arguments() {
        let events = events(2);
        assert!(events.len() > 100);
        let names: HashSet<_> = events.iter().skip(1).map(|e| e.probe.as_ref()).collect();
        assert_eq!(names.len(), tracepoint::TRACEPOINTS.len());
        for event in &events[1..] {
            let (context, name) = event.probe.split_once(':').unwrap();
            let known = tracepoint::find(context, name).unwrap();
            assert_eq!(event.args.len(), known.args.len(), "{}", event.probe);
        }
        let last = events.last().and_then(|e| e.time).unwrap();
        assert!(last >= START + 2_000_000_000);
    }
}
