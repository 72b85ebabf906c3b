//! Plays records: does what each of their groups asks for.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use super::{
    clock::Clock,
    compile::{self, Place, Ready, Step, UserMap},
    fault::{self, Told},
    int, json,
    maps::{MapReader, NoSymbols, Symbols},
    names::Names,
    output::{Buffering, Form, Output, Sent},
    printf::FormatError,
    printmap::{self, How},
    record::{Item, Record, RecordError},
    value::{Common, Env},
};
use crate::spec::{Fault, MapKind, MapRole, Object, RECORD_HEADER, StructDef};

/// What the user chose.
#[derive(Clone, Debug)]
pub struct OutputOptions {
    /// Text or JSON.
    pub form: Form,
    /// `-B`.
    pub buffering: Buffering,
    /// `str_trunc_trailer`.
    pub trailer: String,
    /// `max_strlen`.
    pub max_strlen: u32,
    /// `max_cat_bytes`.
    pub max_cat_bytes: u64,
    /// `--unsafe`: `system` may run commands.
    pub allow_unsafe: bool,
    /// Without `--no-warnings`.
    pub warnings: bool,
}

impl Default for OutputOptions {
    fn default() -> Self {
        OutputOptions {
            form: Form::Text,
            buffering: Buffering::Line,
            trailer: "..".to_owned(),
            max_strlen: 1024,
            max_cat_bytes: 10240,
            allow_unsafe: false,
            warnings: true,
        }
    }
}

/// What the ring knows of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCtx {
    /// CPU that it was sent from.
    pub cpu: u32,
    /// Kernel time, nanoseconds.
    pub time: u64,
    /// Process, where known.
    pub pid: Option<u32>,
}

/// What to do after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Read on.
    Continue,
    /// The script called `exit` with that code.
    Exit(i32),
    /// Nobody reads the output any more: stop quietly.
    PipeClosed,
}

/// Why a record could not be played.
#[derive(Debug)]
pub enum PlayError {
    /// Its bytes make no sense.
    Record(RecordError),
    /// A format does not fit its arguments.
    Format(FormatError),
    /// A map could not be read or changed.
    Map {
        /// What was tried.
        what: &'static str,
        /// The map, with its `@`.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// An action names a map that is none of the script's.
    NoMap(usize),
    /// `system` without `--unsafe`.
    Unsafe,
}

impl fmt::Display for PlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlayError::Record(e) => e.fmt(f),
            PlayError::Format(e) => e.fmt(f),
            PlayError::Map { what, name, error } => write!(f, "{what} {name}: {error}"),
            PlayError::NoMap(index) => write!(
                f,
                "printing a map: number {index} is not a map of the script"
            ),
            PlayError::Unsafe => f.write_str("running system(): it needs --unsafe"),
        }
    }
}

impl std::error::Error for PlayError {}

impl From<RecordError> for PlayError {
    fn from(e: RecordError) -> Self {
        PlayError::Record(e)
    }
}

impl From<FormatError> for PlayError {
    fn from(e: FormatError) -> Self {
        PlayError::Format(e)
    }
}

/// Plays the records of one script.
pub struct Player {
    groups: Vec<Ready>,
    core: Core,
    script: String,
    faults: Vec<Fault>,
    told: Told,
}

/// All of a player that one step of a group may use.
struct Core {
    maps: Vec<UserMap>,
    /// For each map of the object: it is an array.
    arrays: Vec<bool>,
    /// For each map of the object: bytes of a key.
    key_sizes: Vec<usize>,
    stacks: Option<usize>,
    walked: Option<usize>,
    structs: Vec<StructDef>,
    symbols: Box<dyn Symbols + Send>,
    common: Common,
    options: OutputOptions,
    output: Output,
    errors: Box<dyn Write + Send>,
    /// Calls of `errorf` so far.
    complaints: u64,
    /// Messages go where the output goes.
    together: bool,
    scratch: Vec<u8>,
    /// When the record that is played was sent.
    sent: u64,
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Player({} groups, {:?})",
            self.groups.len(),
            self.core.output
        )
    }
}

impl Player {
    /// For that script, to standard output. Warnings and errors go to standard error.
    pub fn new(object: &Object, options: OutputOptions) -> Result<Self, PlayError> {
        let output = Output::stdout(options.buffering);
        Self::with_output(object, options, output, Box::new(io::stderr()))
    }

    /// For that script, to `output`, with messages to `errors`.
    pub fn with_output(
        object: &Object,
        options: OutputOptions,
        output: Output,
        errors: Box<dyn Write + Send>,
    ) -> Result<Self, PlayError> {
        let array = |kind| matches!(kind, MapKind::Array | MapKind::PercpuArray);
        let core = Core {
            maps: compile::maps(object),
            arrays: object.maps.iter().map(|m| array(m.kind)).collect(),
            key_sizes: object.maps.iter().map(|m| m.key_size as usize).collect(),
            stacks: object.map_index(|role| *role == MapRole::Stacks),
            walked: object.map_index(|role| *role == MapRole::WalkedStacks),
            structs: object.events.structs.clone(),
            symbols: Box::new(NoSymbols),
            common: Common {
                trailer: options.trailer.clone(),
                max_strlen: options.max_strlen,
                clock: Clock::now(),
                names: Names::default(),
            },
            options,
            output,
            errors,
            complaints: 0,
            together: false,
            scratch: Vec::new(),
            sent: 0,
        };
        Ok(Player {
            groups: compile::groups(object)?,
            core,
            script: object.script_name.clone(),
            faults: object.events.faults.clone(),
            told: Told::default(),
        })
    }

    /// Takes names of addresses from `symbols`.
    pub fn set_symbols(&mut self, symbols: Box<dyn Symbols + Send>) {
        self.core.symbols = symbols;
    }

    /// Takes names of users and control groups from `names`.
    pub fn set_names(&mut self, names: Names) {
        self.core.common.names = names;
    }

    /// Puts something before the names of addresses, such as what notes them.
    pub fn wrap_symbols(
        &mut self,
        wrap: impl FnOnce(Box<dyn Symbols + Send>) -> Box<dyn Symbols + Send>,
    ) {
        let inner = std::mem::replace(&mut self.core.symbols, Box::new(NoSymbols));
        self.core.symbols = wrap(inner);
    }

    /// Remembers what process `pid` has mapped now: it may have ended when its addresses are printed.
    pub fn preload_symbols(&mut self, pid: u32) {
        self.core.symbols.preload(pid);
    }

    /// Takes wall-clock time from `clock`.
    pub fn set_clock(&mut self, clock: Clock) {
        self.core.common.clock = clock;
    }

    /// Does all that one record asks for, in order. Its output stays together.
    pub fn play(
        &mut self,
        record: &[u8],
        ctx: RecordCtx,
        maps: &mut dyn MapReader,
    ) -> Result<Flow, PlayError> {
        let record = Record::new(record)?;
        self.core.sent = ctx.time;
        let mut at = RECORD_HEADER as usize;
        let mut exit = None;
        while let Some(item) =
            record.item(&mut at, |id| self.groups.get(id as usize).map(|g| g.size))
        {
            let Item::Group(id, args) = item? else {
                continue;
            };
            let group = self.groups.get(id as usize).map_or(&[][..], |g| &g.actions);
            for step in group {
                exit = self.core.step(step, &record, args, maps)?.or(exit);
            }
        }
        Ok(match (self.core.output.commit(), exit) {
            (Sent::Closed, _) => Flow::PipeClosed,
            (_, Some(code)) => Flow::Exit(code),
            _ => Flow::Continue,
        })
    }

    /// Tells what went wrong since the last call. `words(i)` is the `i`th `u64` of the map that counts it.
    pub fn faults(&mut self, words: impl Fn(usize) -> u64) {
        for (index, fault) in self.faults.iter().enumerate() {
            let new = self.told.take(index, words(2 * index));
            if new == 0 || !self.core.options.warnings {
                continue;
            }
            // An int, as helpers return it.
            let code = if fault.kind.has_code() {
                words(2 * index + 1) as i32
            } else {
                0
            };
            for _ in 0..new {
                if self.core.options.form == Form::Json {
                    fault::json(&mut self.core.output.buf, &self.script, fault, code);
                    self.core.output.commit();
                } else {
                    let mut text = Vec::new();
                    fault::text(&mut text, &self.script, fault, code);
                    let _ = self.core.errors.write_all(&text);
                }
            }
        }
    }

    /// Whether the script has places that can go wrong.
    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Prints all maps that hold something, in order of their names: what happens at the end of a script.
    pub fn print_maps(&mut self, maps: &mut dyn MapReader) -> Result<Sent, PlayError> {
        for user in &self.core.maps {
            let key_size = self.core.key_sizes.get(user.index).copied().unwrap_or(0);
            let entries = user
                .entries(maps, key_size)
                .map_err(|e| map_error("reading", user, e))?;
            let mut env = Env {
                structs: &self.core.structs,
                symbols: &mut *self.core.symbols,
                maps,
                stacks: self.core.stacks,
                walked: self.core.walked,
                common: &mut self.core.common,
            };
            let how = How {
                json: self.core.options.form == Form::Json,
                top: 0,
                div: 1,
                array: self.core.arrays.get(user.index) == Some(&true),
                asked: false,
            };
            printmap::map(&mut self.core.output.buf, &mut env, user, entries, how);
            self.core.output.commit();
        }
        Ok(self.core.output.flush())
    }

    /// Between the last event and the maps: two empty lines in text.
    pub fn end(&mut self) -> Sent {
        if self.core.options.form == Form::Text {
            self.core.output.buf.extend_from_slice(b"\n\n");
        }
        self.core.output.commit()
    }

    /// Says how many probes are attached.
    pub fn attached(&mut self, probes: usize) {
        if self.core.options.form == Form::Json {
            let text = format!(
                "{{\"type\": \"attached_probes\", \"count\": {probes}, \"data\": {{\"probes\": {probes}}}}}\n"
            );
            self.core.output.buf.extend_from_slice(text.as_bytes());
            self.core.output.commit();
        } else {
            let s = if probes == 1 { "" } else { "s" };
            let text = format!("Attached {probes} probe{s}\n");
            let _ = self.core.errors.write_all(text.as_bytes());
        }
    }

    /// Writes text that is no record's.
    pub fn say(&mut self, text: &[u8]) {
        self.core.output.buf.extend_from_slice(text);
        self.core.output.commit();
    }

    /// Keeps output back from now on.
    pub fn hold(&mut self) {
        self.core.output.hold();
    }

    /// The output that was kept back; what follows is written again.
    pub fn release(&mut self) -> Vec<u8> {
        self.core.output.release()
    }

    /// How often the script has called `errorf`.
    pub fn complaints(&self) -> u64 {
        self.core.complaints
    }

    /// In JSON.
    pub fn is_json(&self) -> bool {
        self.core.options.form == Form::Json
    }

    /// In text from now on, with messages among the output.
    pub fn text_together(&mut self) {
        self.core.options.form = Form::Text;
        self.core.together = true;
    }

    /// In JSON again, or in text, with messages apart from the output.
    pub fn apart(&mut self, json: bool) {
        self.core.options.form = if json { Form::Json } else { Form::Text };
        self.core.together = false;
    }

    /// Says that `count` events of `probe` were lost.
    pub fn lost(&mut self, probe: &str, count: u64) {
        if self.core.options.form == Form::Json {
            let out = &mut self.core.output.buf;
            let text = format!(
                "{{\"type\": \"lost_events\", \"count\": {count}, \"data\": {{\"events\": {count}, \"probe\": "
            );
            out.extend_from_slice(text.as_bytes());
            json::string(out, probe.as_bytes());
            out.extend_from_slice(b"}}\n");
            self.core.output.commit();
        } else {
            let _ = writeln!(self.core.errors, "{count} events lost at {probe}");
        }
    }

    /// No more records for now: lets whole lines be seen.
    pub fn idle(&mut self) -> Sent {
        self.core.output.idle()
    }

    /// Writes all that is buffered.
    pub fn flush(&mut self) -> Sent {
        self.core.output.flush()
    }
}

impl Core {
    fn step<'r>(
        &mut self,
        step: &Step,
        record: &Record<'r>,
        args: &'r [u8],
        maps: &mut dyn MapReader,
    ) -> Result<Option<i32>, PlayError> {
        let is_json = self.options.form == Form::Json;
        self.scratch.clear();
        let mut env = Env {
            structs: &self.structs,
            symbols: &mut *self.symbols,
            maps,
            stacks: self.stacks,
            walked: self.walked,
            common: &mut self.common,
        };
        let (out, scratch) = (&mut self.output.buf, &mut self.scratch);
        match step {
            Step::Printf(format) if !is_json => {
                let start = out.len();
                if let Err(e) = format.write(out, record, args, &mut env) {
                    out.truncate(start);
                    return Err(e.into());
                }
            }
            Step::Printf(format) => {
                format.write(scratch, record, args, &mut env)?;
                json::line(out, "printf", |out| json::string(out, scratch));
            }
            Step::Message {
                format,
                error,
                place,
            } => {
                format.write(scratch, record, args, &mut env)?;
                if *error || self.options.warnings {
                    self.message(*error, place);
                }
            }
            Step::PrintValue(field) => {
                let raw = record.field(args, field, env.structs)?;
                if is_json {
                    json::line(out, "value", |out| env.json(out, &field.ty, raw));
                } else {
                    env.text(out, &field.ty, raw);
                    out.push(b'\n');
                }
            }
            &Step::PrintMap { map, top, div } => {
                let user = find(&self.maps, map)?;
                let key_size = self.key_sizes.get(map).copied().unwrap_or(0);
                let entries = user.entries(env.maps, key_size);
                let entries = entries.map_err(|e| map_error("reading", user, e))?;
                let array = self.arrays.get(map) == Some(&true);
                let how = How {
                    json: is_json,
                    top,
                    div,
                    array,
                    asked: true,
                };
                printmap::map(out, &mut env, user, entries, how);
            }
            Step::PrintEntry { map, key } => {
                let user = find(&self.maps, *map)?;
                let raw = record.field(args, key, env.structs)?;
                let mut bytes = raw.bytes.to_vec();
                if let Some(ty) = &user.key {
                    // A key from a blob is as long as its string; the map's is padded with zeros.
                    bytes.resize(ty.size(env.structs) as usize, 0);
                }
                let found = user.lookup(env.maps, &bytes);
                let found = found.map_err(|e| map_error("reading", user, e))?;
                printmap::entry(out, &mut env, user, found, is_json);
            }
            &Step::Clear(map) => {
                let user = find(&self.maps, map)?;
                user.clear(env.maps)
                    .map_err(|e| map_error("clearing", user, e))?;
            }
            &Step::Zero(map) => {
                let user = find(&self.maps, map)?;
                let array = self.arrays.get(map) == Some(&true);
                let keep = if array { 8 } else { 0 };
                user.zero(env.maps, keep)
                    .map_err(|e| map_error("zeroing", user, e))?;
            }
            Step::Time(format) => {
                env.common.clock.time(scratch, format, self.sent);
                piece(out, "time", scratch, is_json);
            }
            Step::Join { parts, separator } => {
                for field in parts {
                    let raw = record.field(args, field, env.structs)?;
                    if raw.bytes.first().is_none_or(|b| *b == 0) {
                        continue;
                    }
                    if !scratch.is_empty() {
                        scratch.extend_from_slice(separator.as_bytes());
                    }
                    env.text(scratch, &field.ty, raw);
                }
                if !is_json {
                    scratch.push(b'\n');
                }
                piece(out, "join", scratch, is_json);
            }
            Step::Cat(format) => {
                format.write(scratch, record, args, &mut env)?;
                let path = Path::new(std::ffi::OsStr::from_bytes(scratch));
                let mut content = Vec::new();
                let read = File::open(path)
                    .and_then(|f| f.take(self.options.max_cat_bytes).read_to_end(&mut content));
                match read {
                    Ok(_) => piece(out, "cat", &content, is_json),
                    Err(e) => {
                        // Standard error is the last resort: there is nowhere to say that it failed.
                        let _ = writeln!(
                            self.errors,
                            "ERROR: failed to open file '{}' ({})",
                            path.display(),
                            said(&e)
                        );
                    }
                }
            }
            Step::System(format) => {
                if !self.options.allow_unsafe {
                    return Err(PlayError::Unsafe);
                }
                format.write(scratch, record, args, &mut env)?;
                let mut shell = Command::new("/bin/sh");
                shell.arg("-c").arg(std::ffi::OsStr::from_bytes(scratch));
                match shell.stdin(Stdio::null()).stderr(Stdio::inherit()).output() {
                    Ok(mut done) => {
                        if !is_json {
                            done.stdout.push(b'\n');
                        }
                        if done.status.success() || done.stdout.len() > 1 {
                            piece(out, "syscall", &done.stdout, is_json);
                        }
                        if let Some(why) = failure(done.status) {
                            let _ = writeln!(self.errors, "ERROR: {why}");
                        }
                    }
                    Err(e) => {
                        let _ = writeln!(self.errors, "ERROR: running /bin/sh for system(): {e}");
                    }
                }
            }
            Step::Exit(code) => {
                let Some(field) = code else {
                    return Ok(Some(0));
                };
                let raw = record.field(args, field, env.structs)?;
                // The low 32 bits, as exit(2) takes them.
                return Ok(Some(int::read(raw.bytes, true) as i32));
            }
        }
        Ok(None)
    }

    /// The message in the scratch buffer, to standard error or as JSON.
    fn message(&mut self, error: bool, place: &Place) {
        self.complaints += u64::from(error);
        if self.options.form == Form::Json {
            let out = &mut self.output.buf;
            let kind: &[u8] = if error { b"errorf" } else { b"warnf" };
            out.extend_from_slice(b"{\"type\": \"");
            out.extend_from_slice(kind);
            out.extend_from_slice(b"\", \"msg\": ");
            json::string(out, &self.scratch);
            out.extend_from_slice(b", \"filename\": ");
            json::string(out, place.file.as_bytes());
            out.extend_from_slice(
                format!(", \"line\": {}, \"col\": {}}}\n", place.line, place.col).as_bytes(),
            );
            return;
        }
        let word = if error { "ERROR" } else { "WARNING" };
        let mut line = format!("{}: {word}: ", place.text).into_bytes();
        line.extend_from_slice(&self.scratch);
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        if self.together {
            self.output.buf.extend_from_slice(&line);
        } else {
            let _ = self.errors.write_all(&line);
        }
    }
}

/// What the system says of an error, in its own words.
fn said(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    }
}

/// How a command of `system` went wrong, if it did.
fn failure(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("command exited with code {code}")),
        (None, Some(signal)) => Some(format!(
            "child process did not exit normally (ended by signal {signal})"
        )),
        (None, None) => Some("child process did not exit normally".to_owned()),
    }
}

/// A piece of output that is a string in JSON and itself in text.
fn piece(out: &mut Vec<u8>, kind: &str, bytes: &[u8], is_json: bool) {
    if is_json {
        json::line(out, kind, |out| json::string(out, bytes));
    } else {
        out.extend_from_slice(bytes);
    }
}

fn find(maps: &[UserMap], index: usize) -> Result<&UserMap, PlayError> {
    let found = maps.iter().find(|m| m.index == index);
    found.ok_or(PlayError::NoMap(index))
}

fn map_error(what: &'static str, map: &UserMap, error: io::Error) -> PlayError {
    PlayError::Map {
        what,
        name: map.name.clone(),
        error,
    }
}
