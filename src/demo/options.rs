//! The demo target's options, from its command line.

use std::fmt;
use std::time::Duration;

/// How the demo target runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rounds of the story per thread, each of about 40 events; 0 for no end.
    pub rounds: u64,
    /// Pause after each event; zero to fire flat out.
    pub pause: Duration,
    /// Threads that each tell the whole story.
    pub threads: u32,
    /// Print a line for each event that fired with a tracer attached.
    pub print: bool,
    /// Begin only after a line (or the end) of standard input.
    pub hold: bool,
    /// Begin only when a tracer is attached to the probe that is fired most; give up after that long.
    pub wait: Option<Duration>,
    /// Instead of the story, fire `net:inbound_message` that many times.
    pub messages: Option<u64>,
    /// Instead of the story, fire `baretrace:bench_tick` that many times in a tight loop, and print nanoseconds per hit.
    pub bench: Option<u64>,
    /// Instead of the story, fire events with data that makes no sense.
    pub odd: bool,
    /// Longest payload of a message in bytes; a block is that long.
    pub payload: usize,
    /// Ask the kernel to end this process with its parent.
    pub die_with_parent: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            rounds: 0,
            pause: Duration::from_millis(20),
            threads: 1,
            print: false,
            hold: false,
            wait: None,
            messages: None,
            bench: None,
            odd: false,
            payload: 4096,
            die_with_parent: false,
        }
    }
}

/// What one flag does to the options: nothing beside it, or a number.
enum Effect {
    Set(fn(&mut Options)),
    Number(fn(&mut Options, u64)),
}

/// Flags, the word for their value, their effect, and a line of help.
const FLAGS: &[(&str, &str, Effect, &str)] = &[
    (
        "--rounds",
        "N",
        Effect::Number(|o, n| o.rounds = n),
        "rounds of the story, 0 for no end (default 0)",
    ),
    (
        "--pause-us",
        "N",
        Effect::Number(|o, n| o.pause = Duration::from_micros(n)),
        "microseconds between events, 0 for flat out (default 20000)",
    ),
    (
        "--threads",
        "N",
        Effect::Number(|o, n| o.threads = u32::try_from(n).unwrap_or(u32::MAX).clamp(1, 256)),
        "threads, each telling the whole story (default 1)",
    ),
    (
        "--print",
        "",
        Effect::Set(|o| o.print = true),
        "print each event that a tracer was attached to",
    ),
    (
        "--hold",
        "",
        Effect::Set(|o| o.hold = true),
        "begin after a line on standard input",
    ),
    (
        "--wait-s",
        "N",
        Effect::Number(|o, n| o.wait = Some(Duration::from_secs(n))),
        "begin when a tracer is attached; give up after N seconds",
    ),
    (
        "--messages",
        "N",
        Effect::Number(|o, n| o.messages = Some(n)),
        "fire net:inbound_message N times instead; prints ns per hit on stderr",
    ),
    (
        "--bench",
        "N",
        Effect::Number(|o, n| o.bench = Some(n)),
        "fire baretrace:bench_tick N times in a tight loop; prints ns per hit",
    ),
    (
        "--odd",
        "",
        Effect::Set(|o| o.odd = true),
        "fire each tracepoint with data that makes no sense",
    ),
    (
        "--payload",
        "N",
        Effect::Number(|o, n| {
            o.payload = usize::try_from(n)
                .unwrap_or(usize::MAX)
                .clamp(256, 4_000_000)
        }),
        "longest message in bytes, 256 to 4000000 (default 4096)",
    ),
    (
        "--die-with-parent",
        "",
        Effect::Set(|o| o.die_with_parent = true),
        "end when the parent process ends",
    ),
];

/// A word on the command line that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionError {
    /// Not a flag.
    Unknown(String),
    /// A flag without the number it needs.
    Number(String),
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionError::Unknown(word) => {
                writeln!(f, "demo target: unknown option `{word}`; there are:")?
            }
            OptionError::Number(flag) => {
                writeln!(f, "demo target: `{flag}` needs a number; the options are:")?
            }
        }
        for (flag, value, _, help) in FLAGS {
            writeln!(f, "  {:<22} {help}", format!("{flag} {value}"))?;
        }
        Ok(())
    }
}

impl std::error::Error for OptionError {}

impl Options {
    /// Reads the words after `demo-target`.
    ///
    /// # Errors
    /// [`OptionError`] for the first word that is not understood; its text lists all flags.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Options, OptionError> {
        let mut options = Options::default();
        let mut words = words.iter().map(AsRef::as_ref);
        while let Some(word) = words.next() {
            let row = FLAGS.iter().find(|row| row.0 == word);
            match row.map(|row| &row.2) {
                Some(Effect::Set(set)) => set(&mut options),
                Some(Effect::Number(set)) => {
                    let number = words.next().and_then(|n| n.parse().ok());
                    set(
                        &mut options,
                        number.ok_or(OptionError::Number(word.to_owned()))?,
                    );
                }
                None => return Err(OptionError::Unknown(word.to_owned())),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_options() {
        let options = Options::parse(&["--rounds", "3", "--pause-us", "0", "--print"]).unwrap();
        assert_eq!(
            (options.rounds, options.pause, options.print),
            (3, Duration::ZERO, true)
        );
        let error = Options::parse(&["--round"]).unwrap_err();
        assert_eq!(error, OptionError::Unknown("--round".to_owned()));
        assert!(error.to_string().contains("--rounds N"));
        let error = Options::parse(&["--bench"]).unwrap_err();
        assert_eq!(error, OptionError::Number("--bench".to_owned()));
    }

    #[test]
    fn flags_are_unique() {
        let mut names: Vec<_> = FLAGS.iter().map(|row| row.0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FLAGS.len());
    }
}
