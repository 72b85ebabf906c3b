//! Where a simulation prints: through the same player as a live run, on a clock of its own.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use super::{
    Outcome, SimulateError, events,
    events::Event,
    run::{self, Settings},
    script::{Compiled, Script, ScriptError, compile},
};
use crate::{
    runtime::{Buffering, Form, Output, OutputOptions, PlayError, Player, clock::Clock},
    spec::Object,
};

/// Nanoseconds from 1970 to the simulated machine's boot: 2026-01-01.
const BOOT: i128 = 1_767_225_600_000_000_000;

/// Bytes that are kept, to be looked at later.
#[derive(Clone, Debug, Default)]
pub struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// What has been written.
    pub fn bytes(&self) -> Vec<u8> {
        match self.0.lock() {
            Ok(bytes) => bytes.clone(),
            // Nothing that writes here panics half-way.
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.lock() {
            Ok(mut all) => all.extend_from_slice(bytes),
            Err(poisoned) => poisoned.into_inner().extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Compiled {
    /// The player of its records, with the settings of the script, on the simulated machine's clock.
    ///
    /// # Errors
    /// A format does not fit its arguments.
    pub fn player(
        &self,
        options: OutputOptions,
        output: Output,
        errors: Box<dyn Write + Send>,
    ) -> Result<Player, PlayError> {
        let options = OutputOptions {
            trailer: self.config.str_trunc_trailer.clone(),
            max_strlen: self.config.max_strlen,
            max_cat_bytes: u64::from(self.config.max_cat_bytes),
            ..options
        };
        player(&self.object, options, output, errors)
    }

    /// What a run says and does by default.
    pub fn settings(&self) -> Settings {
        Settings {
            print_maps: self.config.print_maps_on_exit,
            attached: Some(self.points),
            ..Settings::default()
        }
    }
}

/// A player for any object, on the simulated machine's clock.
///
/// # Errors
/// A format does not fit its arguments.
pub fn player(
    object: &Object,
    options: OutputOptions,
    output: Output,
    errors: Box<dyn Write + Send>,
) -> Result<Player, PlayError> {
    let mut player = Player::with_output(object, options, output, errors)?;
    player.set_clock(Clock::fixed(BOOT));
    Ok(player)
}

/// What a simulation printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// Why [`text`] printed nothing.
#[derive(Debug)]
pub enum TextError {
    /// The script is wrong.
    Script(ScriptError),
    /// The events are wrong, or a program is.
    Simulate(SimulateError),
}

impl std::fmt::Display for TextError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TextError::Script(err) => err.fmt(f),
            TextError::Simulate(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for TextError {}

/// Runs a script on the text of an events file and gives what it prints: a unit test of a script in one call.
///
/// # Errors
/// The script or an event is wrong, or a program goes wrong.
pub fn text(script: &Script, file: &str) -> Result<Printed, TextError> {
    let wrong = |err: events::EventError| TextError::Simulate(err.into());
    let events = events::Events::of(file).map_err(wrong)?;
    let compiled = compile(script, &events.shapes).map_err(TextError::Script)?;
    events
        .each(|events| print(&compiled, events))
        .map_err(TextError::Simulate)
}

/// Runs a compiled script and keeps what it prints.
///
/// # Errors
/// An event is wrong, or a program goes wrong.
pub fn print<'e>(
    compiled: &Compiled,
    events: impl IntoIterator<Item = Result<Event<'e>, events::EventError>>,
) -> Result<Printed, SimulateError> {
    let (output, errors) = (Capture::default(), Capture::default());
    let options = OutputOptions {
        form: Form::Text,
        buffering: Buffering::Full,
        ..OutputOptions::default()
    };
    let sink = Output::to(Box::new(output.clone()), "memory", Buffering::Full);
    let mut player = compiled.player(options, sink, Box::new(errors.clone()))?;
    let (object, target) = (&compiled.object, &compiled.target);
    let outcome = run::run(object, target, &compiled.settings(), events, &mut player)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Printed {
        output: text(output.bytes()),
        errors: text(errors.bytes()),
        outcome,
    })
}
