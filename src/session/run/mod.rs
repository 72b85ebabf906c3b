//! A run: load, attach, read, print, and leave nothing behind.

mod iterate;
mod manual;
mod record;
mod unwind;

pub use record::{Record, record};

use super::{
    Attach, Mode, Options, Signals, Timer,
    compile::{Compiled, Session},
    emit::emit,
    error::{Placed, SessionError},
    maps::KernelMaps,
    privileges, said,
};
use crate::{
    kernel::cpus,
    lang::checked::MissingProbes,
    loader::{self, LoadOptions, Loaded},
    record::{End, Recorder},
    runtime::{
        Flow, Player, RecordCtx, Sent,
        attach::{self, AttachError, AttachOptions, Attachment},
        child::Child,
        clock::Clock,
        head_start,
        hit::Hits,
        perf_ring::{self, RingError, Rings, Stamp},
    },
    spec::{AttachSpec, MapRole, Object, ProgramSpec},
    sys::{bpf::Map, errno::Described, map_view::MapView, process, trace},
};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    time::ClockId,
};
use record::{Keep, is_start_time, nanos, recorder};
use std::{
    io::{self, Write},
    ops::ControlFlow,
    os::fd::{AsFd, OwnedFd},
    thread::{self, JoinHandle},
};
use unwind::Unwinding;

/// Longest and shortest wait between two looks at the rings, in milliseconds. A full ring wakes earlier.
const WAIT_MS: (u16, u16) = (1, 16);

/// Wait between two looks at the counters of faults where there is no ring, in milliseconds.
const FAULTS_MS: u16 = 200;

/// Rounds in which the rings are read at the end; each takes all there is, a writer that never ends must not keep us.
const LAST_ROUNDS: usize = 4;

/// Rounds in which it is noted what a command has mapped: it may have ended when its addresses are printed.
const LEARN_ROUNDS: usize = 12;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should, or by a signal.
    Done,
    /// The script called `exit` with that code.
    Exit(i32),
    /// Nobody reads the output any more.
    PipeClosed,
}

/// Runs the script that `options` name, to its end.
///
/// # Errors
/// What stands in the way; nothing stays attached then.
pub fn run(options: &Options) -> Result<Outcome, SessionError> {
    let (child, target) = traced(options)?;
    let session = Session::for_kernel(options, child.as_ref().map(Child::pid))?;
    let compiled = session.compile()?;
    compiled.print_warnings(options);
    for stage in &options.debug {
        let text = emit(*stage, &session, &compiled)?;
        // Whoever closed stderr does not want to know.
        let _ = writeln!(io::stderr(), "{text}");
    }
    compiled.dry_run()?;
    go(
        options,
        compiled,
        session.multi,
        child,
        target.as_ref(),
        false,
    )
}

/// Runs what was compiled elsewhere: those instructions or none.
///
/// # Errors
/// What stands in the way; nothing stays attached then. A program whose tag in the kernel is not that of its
/// instructions is not attached.
pub fn run_exactly(options: &Options, compiled: Compiled) -> Result<Outcome, SessionError> {
    let (child, target) = traced(options)?;
    let multi = super::compile::attach_multi(options)?.1;
    go(options, compiled, multi, child, target.as_ref(), true)
}

/// Begins the wait of the first user probe, if the text looks as if there were one.
pub(super) fn head_start(options: &Options) {
    const PROBES: [&str; 6] = ["usdt:", "uprobe:", "uretprobe:", "u:", "U:", "ur:"];
    let user = PROBES.iter().any(|name| options.script.text.contains(name));
    if user && options.attach != Attach::Perf {
        head_start::begin();
    }
}

/// The command that is started for the run, held, and what tells when the traced process ends.
fn traced(options: &Options) -> Result<(Option<Child>, Option<OwnedFd>), SessionError> {
    head_start(options);
    let child = match &options.command {
        // Where only the kernel is probed, the start of the command is to be seen too.
        Some(words) if super::compile::only_kernel(options) => {
            Some(Child::prepare_words(words).map_err(SessionError::Child)?)
        }
        Some(words) => Some(Child::start_words(words).map_err(SessionError::Child)?),
        None => None,
    };
    let target = match options.pid.or(child.as_ref().map(Child::pid)) {
        Some(pid) => watch(pid)?,
        None => None,
    };
    Ok((child, target))
}

/// Compares the kernel's tags with those computed here, and says so with `-v`. Where `must`, a difference ends the run; it
/// is a warning otherwise, for a later kernel may compute its tags in another way.
fn verify(
    options: &Options,
    object: &Object,
    loaded: &Loaded,
    must: bool,
) -> Result<(), SessionError> {
    let verdicts = match loader::tag::verify(object, loaded) {
        Ok(verdicts) => verdicts,
        Err(err) if must => return Err(SessionError::Io("bpf(BPF_OBJ_GET_INFO_BY_FD)", err)),
        Err(err) => {
            if options.verbose {
                let _ = writeln!(io::stderr(), "tags not compared: {}", Described(&err));
            }
            return Ok(());
        }
    };
    let told = options.verbose && !options.as_bpftrace;
    for verdict in verdicts {
        let holds = verdict.holds();
        if must && !holds {
            return Err(SessionError::Tag(verdict));
        }
        // Whoever closed stderr does not want to know.
        let _ = match (holds, told) {
            (false, _) if !options.no_warnings => writeln!(io::stderr(), "warning: {verdict}"),
            (_, true) => writeln!(io::stderr(), "{verdict}"),
            _ => Ok(()),
        };
    }
    Ok(())
}

/// From a compiled script to the end of its run.
fn go(
    options: &Options,
    compiled: Compiled,
    multi: bool,
    child: Option<Child>,
    target: Option<&OwnedFd>,
    exactly: bool,
) -> Result<Outcome, SessionError> {
    go_on(options, compiled, multi, child, target, exactly, None).map(|(outcome, _)| outcome)
}

/// The same; with `keep`, what was recorded and the size of the file besides.
fn go_on(
    options: &Options,
    mut compiled: Compiled,
    multi: bool,
    mut child: Option<Child>,
    target: Option<&OwnedFd>,
    exactly: bool,
    keep: Option<Keep<'_>>,
) -> Result<(Outcome, Option<(End, u64)>), SessionError> {
    if let Some(child) = &child {
        only_in(&mut compiled.object, child.pid());
    }
    let child_pid = child.as_ref().map(Child::pid);
    let unwinding = Unwinding::new(options, &mut compiled.object, child_pid);
    let rings = begin_rings(options, &compiled)?;
    let loaded = load(options, &compiled, multi)?;
    verify(options, &compiled.object, &loaded, exactly)?;
    let lost = keep.as_ref().map(|keep| keep.kept.lost);
    let clock = Clock::now();
    let mut recorder = match keep {
        Some(keep) => Some(recorder(options, keep, &loaded, &compiled.object, &clock)?),
        None => None,
    };
    let mut run = Run::new(options, &compiled, &loaded, rings, recorder.as_mut())?;
    run.player.set_clock(clock);
    run.unwinding = unwinding;
    let result = to_the_end(options, &compiled, run, multi, child.as_mut(), target);
    let (Some(recorder), Some(lost)) = (recorder, lost) else {
        return Ok((result?, None));
    };
    let lost = counts(&loaded.maps[lost])?;
    let written = recorder.finish(lost, &mut KernelMaps(&loaded));
    let outcome = result?;
    Ok((outcome, Some(written.map_err(SessionError::Record)?)))
}

/// A run from `begin` to what is printed last.
fn to_the_end(
    options: &Options,
    compiled: &Compiled,
    mut run: Run<'_>,
    multi: bool,
    mut child: Option<&mut Child>,
    target: Option<&OwnedFd>,
) -> Result<Outcome, SessionError> {
    run.unwind(true)?;
    // A dry run attaches, and runs nothing.
    if !options.dry_run {
        run.call(|spec| matches!(spec, AttachSpec::Begin))?;
    }
    // Printed before the kernel has attached the rest, which takes longer than all else. bpftrace reads nothing until then,
    // so that what cannot be attached is told whatever `begin` does, and the notice of attachment comes first.
    if !options.as_bpftrace {
        run.drain(true)?;
        if !matches!(run.stop, Stop::No) {
            run.announce();
            return run.finish(compiled);
        }
    }
    if let Err(err) = run.attach(multi) {
        run.player.flush();
        return Err(err);
    }
    head_start::over();
    // In a test's block stands what `begin` printed before it.
    if options.as_bpftrace && options.mode == Mode::Trace {
        run.drain(true)?;
        if !matches!(run.stop, Stop::No) {
            return run.finish(compiled);
        }
    }
    if let Some(child) = &mut child {
        if privileges::names(compiled, true) {
            // It may have ended before its addresses are looked at.
            child.run_to_entry();
            run.player.preload_symbols(child.pid());
            run.unwind(true)?;
        }
        child.release().map_err(SessionError::Child)?;
    }
    if options.mode != Mode::Bench {
        // Run times of programs are the administrator's to see.
        privileges::drop_unneeded(compiled, options);
    }
    if options.dry_run {
        return Ok(Outcome::Done);
    }
    match options.mode {
        Mode::Trace if run.iterates() => run.iterate()?,
        Mode::Trace if child.is_none() && run.is_over() => {}
        Mode::Trace => {
            let named = privileges::names(compiled, true);
            let learn = if named { LEARN_ROUNDS } else { 0 };
            run.events(options, target, child, learn)?;
        }
        Mode::Test => run.tests()?,
        Mode::Bench => run.benchmarks()?,
    }
    run.finish(compiled)
}

/// A descriptor that tells when a process ends, opened before anything else: a process that is not there is named as
/// such, and its number cannot pass to another one meanwhile. `None` where the system knows no such thing.
///
/// # Errors
/// [`SessionError::Process`]: no such process.
pub fn watch(pid: u32) -> Result<Option<OwnedFd>, SessionError> {
    match process::pidfd_open(pid) {
        Ok(fd) => Ok(Some(fd)),
        // A sandbox that knows no pidfd_open: the process's end does not end the run.
        Err(err) if err.raw_os_error() == Some(libc::ENOSYS) => Ok(None),
        Err(err) => Err(SessionError::Process(pid, err)),
    }
}

/// With `-c`, user probes fire in the command only.
pub(super) fn only_in(object: &mut Object, child: u32) {
    for spec in object.programs.iter_mut().flat_map(|p| &mut p.attach) {
        if let AttachSpec::User {
            pid: pid @ None, ..
        } = spec
        {
            *pid = Some(child);
        }
    }
}

pub(super) fn load(
    options: &Options,
    compiled: &Compiled,
    multi: bool,
) -> Result<Loaded, SessionError> {
    let object = &compiled.object;
    let loaded = loader::load(object, &LoadOptions { multi, lines: true }).map_err(|err| {
        let span = err.span();
        if let loader::LoadError::Rejected(rejected) = &err
            && options.verbose
        {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(io::stderr(), "{}", rejected.log.trim_end());
        }
        SessionError::Load(Placed::new(err, span, &object.script_name, &object.source))
    })?;
    // What programs take for the time tracing began.
    for (map, spec) in loaded.maps.iter().zip(&object.maps) {
        if is_start_time(spec) {
            let now = nanos(ClockId::CLOCK_BOOTTIME)?;
            let _why = trace::because(|| "the time at which tracing began".to_owned());
            map.update(&0u32.to_ne_bytes(), &now.to_ne_bytes(), 0)
                .map_err(|err| SessionError::Io("bpf(BPF_MAP_UPDATE_ELEM)", err))?;
        }
    }
    Ok(loaded)
}

/// Why the loop ends.
enum Stop {
    No,
    Done,
    Exit(i32),
    PipeClosed,
}

struct Run<'a> {
    object: &'a Object,
    loaded: &'a Loaded,
    rings: Option<Rings>,
    hits: Hits,
    /// The counters of what goes wrong.
    faults: Option<MapView>,
    player: Player,
    signals: Signals,
    timers: Vec<(Timer, usize)>,
    attached: Vec<Attachment>,
    stop: Stop,
    quiet: bool,
    verbose: bool,
    no_loss: bool,
    as_bpftrace: bool,
    missing: MissingProbes,
    /// `-p`.
    pid: Option<u32>,
    warnings: bool,
    /// Attach points of the script, wildcards expanded.
    points: usize,
    /// Benchmarks with the nanoseconds that a run took.
    measured: Vec<(String, manual::Measured)>,
    mode: Mode,
    recorder: Option<&'a mut Recorder>,
    unwinding: Option<Unwinding>,
}

impl<'a> Run<'a> {
    fn new(
        options: &Options,
        compiled: &'a Compiled,
        loaded: &'a Loaded,
        rings: Option<Begun>,
        mut recorder: Option<&'a mut Recorder>,
    ) -> Result<Self, SessionError> {
        let object = &compiled.object;
        let rings = match (object.map_index(|role| *role == MapRole::Ring), rings) {
            (Some(index), Some(begun)) => Some(end_rings(begun, &loaded.maps[index])?),
            _ => None,
        };
        let own_signals = specs(object).filter_map(|(_, spec)| match spec {
            AttachSpec::Signal(number) => Some(*number),
            _ => None,
        });
        let signals = Signals::new(own_signals).map_err(|err| SessionError::Io("signalfd", err))?;
        let mut player = compiled.player(options)?;
        if let Some(recorder) = &mut recorder {
            player.wrap_symbols(|inner| recorder.listen(inner));
        }
        Ok(Run {
            object,
            loaded,
            rings,
            hits: Hits::default(),
            faults: faults(object, loaded)?,
            player,
            signals,
            timers: Vec::new(),
            attached: Vec::new(),
            stop: Stop::No,
            // A dry run of bpftrace tells nothing.
            quiet: options.quiet || (options.as_bpftrace && options.dry_run),
            verbose: options.verbose,
            no_loss: options.no_loss,
            as_bpftrace: options.as_bpftrace,
            missing: compiled.settings.missing_probes,
            pid: options.pid,
            warnings: !options.no_warnings,
            points: compiled.settings.points,
            measured: Vec::new(),
            mode: options.mode,
            recorder,
            unwinding: None,
        })
    }

    /// Runs the programs whose attachment `wanted` accepts, in script order.
    fn call(&self, wanted: impl Fn(&AttachSpec) -> bool) -> Result<(), SessionError> {
        for (index, _) in specs(self.object).filter(|(_, spec)| wanted(spec)) {
            self.call_program(index)?;
        }
        Ok(())
    }

    fn call_program(&self, index: usize) -> Result<(), SessionError> {
        self.run_program(index).map(|_| ())
    }

    /// Runs a program; what it returned.
    fn run_program(&self, index: usize) -> Result<u32, SessionError> {
        let probe = &self.object.programs[index].probe;
        let _why = trace::because(|| format!("run `{probe}` once, now"));
        attach::run_raw_tp(self.loaded.programs[index].as_fd())
            .map_err(|err| SessionError::Io("bpf(BPF_PROG_TEST_RUN)", err))
    }

    fn attach(&mut self, multi: bool) -> Result<(), SessionError> {
        let cpus = cpus::online().map_err(|err| SessionError::Io("read online cpus", err))?;
        let how = AttachOptions {
            multi,
            cpus: &cpus,
            pid: self.pid,
        };
        if self.verbose {
            for (index, spec) in specs(self.object) {
                let probe = &self.object.programs[index].probe;
                // Whoever closed stderr does not want to know.
                let _ = match spec {
                    AttachSpec::Begin | AttachSpec::End => {
                        writeln!(io::stderr(), "Attaching '{probe}' probe")
                    }
                    _ => writeln!(io::stderr(), "Trying to attach probe: {probe}"),
                };
            }
        }
        // Of programs at one place the kernel runs the one attached last first; they run in the script's order.
        let specs_in_order: Vec<(usize, &AttachSpec)> = specs(self.object).collect();
        for (index, spec) in specs_in_order.into_iter().rev() {
            let program: &ProgramSpec = &self.object.programs[index];
            if attach::is_kernel_event(program.kind, spec) {
                let fd = self.loaded.programs[index].as_fd();
                let _why = trace::because(|| format!("attach `{}`", program.probe));
                match attach::attach(fd, spec, &how) {
                    Ok(attachment) => self.attached.push(attachment),
                    Err(error) => self.not_attached(&program.probe, error)?,
                }
            }
        }
        self.announce();
        for (index, spec) in specs(self.object) {
            if let AttachSpec::Interval(interval) = spec
                && !attach::is_kernel_event(self.object.programs[index].kind, spec)
            {
                let timer =
                    Timer::start(*interval).map_err(|err| SessionError::Io("timerfd", err))?;
                self.timers.push((timer, index));
            }
        }
        Ok(())
    }

    /// What `missing_probes` makes of a probe that cannot be attached.
    fn not_attached(&mut self, probe: &str, error: AttachError) -> Result<(), SessionError> {
        let failed = SessionError::Attach {
            probe: probe.to_owned(),
            error,
        };
        match self.missing {
            MissingProbes::Error => return Err(failed),
            MissingProbes::Warn if self.warnings => {
                // Whoever closed stderr does not want to know.
                let _ = match self.as_bpftrace {
                    true => writeln!(io::stderr(), "{}", said::skipped(probe)),
                    false => writeln!(io::stderr(), "warning: {failed}"),
                };
            }
            _ => {}
        }
        self.points = self.points.saturating_sub(1);
        match self.points {
            0 if self.as_bpftrace => Err(SessionError::NoneAttached),
            _ => Ok(()),
        }
    }

    /// Whether nothing can fire any more but `end`.
    fn is_over(&self) -> bool {
        specs(self.object).all(|(_, spec)| matches!(spec, AttachSpec::Begin | AttachSpec::End))
    }

    fn announce(&mut self) {
        if !self.quiet && self.mode == Mode::Trace {
            self.player.attached(self.points);
        }
    }

    /// Tells the programs where the processes have their code now, if they walk stacks and it is time to or `now`.
    fn unwind(&mut self, now: bool) -> Result<(), SessionError> {
        match &mut self.unwinding {
            Some(unwinding) => unwinding.refresh(self.loaded, now),
            None => Ok(()),
        }
    }

    /// Reads events until something ends the run. In the first `learn` rounds it is noted what the child has mapped.
    fn events(
        &mut self,
        options: &Options,
        target: Option<&OwnedFd>,
        mut child: Option<&mut Child>,
        mut learn: usize,
    ) -> Result<(), SessionError> {
        let mut wait = 0;
        loop {
            if let (Some(child), 1..) = (&child, learn) {
                self.player.preload_symbols(child.pid());
                learn -= 1;
            }
            self.unwind(false)?;
            let busy = self.drain(false)?;
            if !matches!(self.stop, Stop::No) {
                return Ok(());
            }
            wait = match busy {
                _ if options.no_loss => 0,
                true => WAIT_MS.0,
                false => (wait * 2).clamp(WAIT_MS.0, WAIT_MS.1),
            };
            if self.wait(wait, target)? {
                if let Some(child) = child.as_deref_mut() {
                    // Collected here, or it would stay a zombie as long as we run.
                    let _ = child.exit_status();
                }
                return Ok(());
            }
        }
    }

    /// Waits for a ring, a timer, a signal or the target's end, and serves them. True when the target has ended.
    fn wait(&mut self, ms: u16, target: Option<&OwnedFd>) -> Result<bool, SessionError> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(target.map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        fds.extend(
            self.timers
                .iter()
                .map(|(timer, _)| PollFd::new(timer.as_fd(), PollFlags::POLLIN)),
        );
        if let Some(rings) = &self.rings {
            fds.extend(rings.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        }
        // Without rings and counters there is nothing to look at in between.
        let timeout = match (&self.rings, &self.faults, &self.unwinding) {
            (Some(_), ..) => PollTimeout::from(ms),
            (None, _, Some(_)) => PollTimeout::from(WAIT_MS.0),
            (None, Some(_), None) => PollTimeout::from(FAULTS_MS),
            (None, None, None) => PollTimeout::NONE,
        };
        match poll(&mut fds, timeout) {
            Ok(0) | Err(nix::Error::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(err) => return Err(SessionError::Io("poll", err.into())),
        }
        let ended = target.is_some() && fds.get(1).and_then(PollFd::any) == Some(true);
        drop(fds);
        // What was sent before a tick may be an exit(): after it nothing more is to tick.
        let ticked: Vec<usize> = self
            .timers
            .iter()
            .filter(|(timer, _)| timer.ticked())
            .map(|(_, index)| *index)
            .collect();
        for index in ticked {
            self.drain(false)?;
            if !matches!(self.stop, Stop::No) {
                return Ok(ended);
            }
            self.call_program(index)?;
        }
        while let Some(signal) = self.signals.next() {
            let mut own = specs(self.object)
                .filter(|(_, spec)| matches!(spec, AttachSpec::Signal(number) if *number == signal))
                .peekable();
            if own.peek().is_none() {
                self.stop = Stop::Done;
            }
            for (index, _) in own {
                self.call_program(index)?;
            }
        }
        Ok(ended)
    }

    /// Plays what is in the rings; true if there was something. `all` at the end, when nothing is attached any more.
    fn drain(&mut self, all: bool) -> Result<bool, SessionError> {
        self.say_faults();
        let Run {
            rings: Some(rings),
            hits,
            player,
            stop,
            loaded,
            recorder,
            ..
        } = self
        else {
            return Ok(false);
        };
        if let Some(index) = self.object.map_index(|role| *role == MapRole::Ring) {
            rings.take_place(&loaded.maps[index]);
        }
        let mut maps = KernelMaps(loaded);
        let mut failed = None;
        let deliver = |record: perf_ring::Record<'_>| {
            if let Some(recorder) = recorder.as_deref_mut()
                && recorder.take(record.cpu, record.time, record.data)
            {
                return ControlFlow::Continue(());
            }
            let ctx = RecordCtx {
                cpu: record.cpu,
                time: record.time,
                pid: None,
            };
            let played = match hits.put(record.cpu, record.data) {
                Some(whole) => player.play(&whole, ctx, &mut maps),
                None => Ok(Flow::Continue),
            };
            match played {
                Ok(Flow::Continue) => return ControlFlow::Continue(()),
                Ok(Flow::Exit(code)) => *stop = Stop::Exit(code),
                Ok(Flow::PipeClosed) => *stop = Stop::PipeClosed,
                Err(err) => failed = Some(err),
            }
            if all && failed.is_none() && !matches!(stop, Stop::PipeClosed) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let drained = if all {
            rings.flush(deliver)
        } else {
            rings.drain(deliver)
        };
        if let Some(err) = failed {
            return Err(err.into());
        }
        if let Some(recorder) = &mut self.recorder
            && !recorder.idle(&mut maps)
            && matches!(self.stop, Stop::No)
        {
            // The file is full: what it has is kept.
            self.stop = Stop::Done;
        }
        if self.player.idle() == crate::runtime::Sent::Closed {
            self.stop = Stop::PipeClosed;
        }
        Ok(drained.delivered > 0 || drained.held)
    }

    /// Leaves out what was sent after the `exit()` that ended the run; a recorder keeps it.
    fn pass_over(&mut self) {
        let Run {
            rings: Some(rings),
            recorder,
            ..
        } = self
        else {
            return;
        };
        rings.flush(|record| {
            if let Some(recorder) = recorder.as_deref_mut() {
                recorder.take(record.cpu, record.time, record.data);
            }
            ControlFlow::Continue(())
        });
    }

    /// Tells what went wrong in programs since the last time.
    fn say_faults(&mut self) {
        if let Some(view) = &self.faults {
            self.player.faults(|index| view.word(index));
        }
    }

    /// Detaches, runs `end`, prints what is left.
    fn finish(mut self, compiled: &Compiled) -> Result<Outcome, SessionError> {
        attach::detach(&mut self.attached);
        if matches!(self.stop, Stop::PipeClosed) {
            return Ok(Outcome::PipeClosed);
        }
        if self.mode == Mode::Bench && !self.measured.is_empty() {
            let text = if self.player.is_json() {
                manual::json(&self.measured)
            } else {
                manual::table(&self.measured)
            };
            self.player.say(text.as_bytes());
        }
        while matches!(self.stop, Stop::No | Stop::Done) && self.drain(false)? {}
        if matches!(self.stop, Stop::Exit(_)) {
            self.pass_over();
        }
        self.call(|spec| matches!(spec, AttachSpec::End))?;
        for _ in 0..LAST_ROUNDS {
            if !self.drain(true)? {
                break;
            }
        }
        let mut maps = KernelMaps(self.loaded);
        self.player.end();
        if self.mode == Mode::Trace && compiled.settings.print_maps_on_exit {
            self.player.print_maps(&mut maps)?;
        }
        let lost = self.say_lost()?;
        match self.player.flush() {
            Sent::Fine => {}
            Sent::Closed => return Ok(Outcome::PipeClosed),
            Sent::Failed => return Err(SessionError::Output),
        }
        if lost > 0 && self.no_loss {
            return Err(SessionError::Lost(lost));
        }
        Ok(match self.stop {
            Stop::Exit(code) => Outcome::Exit(code),
            Stop::PipeClosed => Outcome::PipeClosed,
            Stop::Done | Stop::No => Outcome::Done,
        })
    }

    /// Says for each probe how many of its records found no room; how many those are in all.
    fn say_lost(&mut self) -> Result<u64, SessionError> {
        let Some(index) = self.object.map_index(|role| *role == MapRole::Lost) else {
            return Ok(0);
        };
        let mut lost = 0;
        let _why = trace::because(|| "how many records found no room".to_owned());
        let counts = counts(&self.loaded.maps[index])?;
        for (index, (program, count)) in self.object.programs.iter().zip(counts).enumerate() {
            let count = count + self.hits.torn(index);
            if count > 0 {
                self.player.lost(&program.probe, count);
                lost += count;
            }
        }
        Ok(lost)
    }
}

/// The counters of what goes wrong, if something can.
fn faults(object: &Object, loaded: &Loaded) -> Result<Option<MapView>, SessionError> {
    let Some(index) = object.map_index(|role| *role == MapRole::Faults) else {
        return Ok(None);
    };
    let _why = trace::because(|| "what goes wrong in programs".to_owned());
    let size = object.maps[index].value_size as usize;
    MapView::new(loaded.maps[index].as_fd(), size)
        .map(Some)
        .map_err(|err| SessionError::Io("mmap of a map", err))
}

/// The counters in a map's only value.
fn counts(map: &Map) -> Result<Vec<u64>, SessionError> {
    let mut bytes = vec![0; map.value_len()];
    map.lookup(&0u32.to_ne_bytes(), &mut bytes)
        .map_err(|err| SessionError::Io("bpf(BPF_MAP_LOOKUP_ELEM)", err))?;
    Ok(bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|count| u64::from_ne_bytes(*count))
        .collect())
}

/// All attachments with the index of their program.
pub(super) fn specs(object: &Object) -> impl Iterator<Item = (usize, &AttachSpec)> {
    object
        .programs
        .iter()
        .enumerate()
        .flat_map(|(index, program)| program.attach.iter().map(move |spec| (index, spec)))
}

/// Rings on their way: the kernel zeroes megabytes for them, while this thread has the programs verified. Then the size
/// that they are to grow to.
pub(super) type Begun = (JoinHandle<Result<Rings, RingError>>, Option<usize>);

/// Begins to make the rings, if programs send anything.
pub(super) fn begin_rings(
    options: &Options,
    compiled: &Compiled,
) -> Result<Option<Begun>, SessionError> {
    if compiled
        .object
        .map_index(|role| *role == MapRole::Ring)
        .is_none()
    {
        return Ok(None);
    }
    let cpus = cpus::online().map_err(|err| SessionError::Io("read online cpus", err))?;
    let longest = compiled.object.events.longest();
    let (start, full) = match compiled.settings.ring_pages {
        Some(pages) => {
            let size = usize::try_from(pages).unwrap_or(0) * crate::sys::mmap::page_size();
            (size, size)
        }
        None => (
            perf_ring::default_size(cpus.len()),
            perf_ring::size_for(cpus.len(), longest),
        ),
    };
    // Whoever may lose nothing waits for all of it.
    let (start, full) = match options.no_loss {
        true => (full * 4, full * 4),
        false => (start, full),
    };
    Ok(Some((
        thread::spawn(move || Rings::open(&cpus, start, Stamp::Program)),
        (full > start).then_some(full),
    )))
}

/// The rings, put into the map that programs write to.
pub(super) fn end_rings((begun, grow): Begun, map: &Map) -> Result<Rings, SessionError> {
    let mut rings = match begun.join() {
        Ok(rings) => rings.map_err(SessionError::Ring)?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    rings
        .install(map)
        .map_err(|err: io::Error| SessionError::Io("put rings into their map", err))?;
    if let Some(size) = grow {
        rings.grow(size);
    }
    Ok(rings)
}

impl From<Attach> for attach::AttachMode {
    fn from(how: Attach) -> Self {
        match how {
            Attach::Auto => attach::AttachMode::Auto,
            Attach::Multi => attach::AttachMode::Multi,
            Attach::Perf => attach::AttachMode::Perf,
        }
    }
}
