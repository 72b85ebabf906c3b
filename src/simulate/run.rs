//! The run: `begin`, the events in order with timed probes between them, `end`, maps.

use std::{collections::HashMap, rc::Rc, time::Duration};

use super::{
    error::SimulateError,
    events::{Event, EventError},
    layout::{ArgError, CTX_SIZE},
    maps::VmMaps,
    plan::{self, Place, SitePlan},
};
use crate::{
    runtime::{Flow, Player, RecordCtx, Sent, hit::Hits},
    spec::{AttachSpec, Interval, MapRole, Object, ProgramSpec, Target, stamped},
    vm::{Machine, World},
};

/// When the first event names no time, tracing begins a second after boot.
const START: u64 = 1_000_000_000;
/// Time between events that name none.
const STEP: u64 = 1_000_000;
/// How often the ring is read, in simulated nanoseconds, if its size is limited.
const READ_EVERY: u64 = 1_000_000;
/// Timed probes fire at most that often between two events.
const MAX_TICKS: u64 = 1_000_000;
/// Process id of the simulated tracer, in which `begin`, `end` and `interval` run.
pub(crate) const TRACER: u32 = 999;
/// Process id of an event that names none.
const PROCESS: u32 = 1000;

/// What to simulate beside the script and its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of records that the ring holds between two looks at it, a millisecond apart; `None` for no limit.
    pub ring_bytes: Option<usize>,
    /// `print_maps_on_exit`.
    pub print_maps: bool,
    /// Say how many attach points there are, as a run does.
    pub attached: Option<usize>,
    /// Take as long as the events took, and show each line in its time.
    pub pace: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            ring_bytes: None,
            print_maps: true,
            attached: None,
            pace: false,
        }
    }
}

/// What came of a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The script called `exit` with that code.
    pub exit: Option<i32>,
    /// Nobody reads the output any more.
    pub pipe_closed: bool,
    /// Events read.
    pub events: u64,
    /// Programs run.
    pub runs: u64,
    /// Records that found no room.
    pub lost: u64,
}

/// Runs `object`, which was compiled for `target`, on `events`; `player` gets what it sends.
///
/// # Errors
/// The first event that makes no sense, or program that goes wrong. What was printed until then is written out.
pub fn run<'e>(
    object: &Object,
    target: &Target,
    settings: &Settings,
    events: impl IntoIterator<Item = Result<Event<'e>, EventError>>,
    player: &mut Player,
) -> Result<Outcome, SimulateError> {
    let mut run = Run::new(object, target, settings, player)?;
    let mut events = events.into_iter().peekable();
    let start = match events.peek() {
        Some(Ok(first)) => first.time.unwrap_or(START),
        _ => START,
    };
    let result = run.all(start, &mut events);
    run.flush();
    result.map(|()| run.outcome)
}

/// A timed probe.
struct Timer {
    program: usize,
    period: u64,
    next: u64,
    /// `profile`: on every CPU.
    every_cpu: bool,
}

/// A run, step by step.
pub(crate) struct Run<'a> {
    object: &'a Object,
    target: &'a Target,
    settings: &'a Settings,
    machine: Machine,
    /// What the next program sees.
    pub(crate) world: World,
    /// And its context.
    pub(crate) ctx: Vec<u8>,
    timers: Vec<Timer>,
    /// By the name in the event; the second for events at return.
    plans: [HashMap<String, Rc<[Place]>>; 2],
    last_read: u64,
    /// The script has asked for its end, or nobody reads any more.
    pub(crate) stop: Option<Flow>,
    /// What programs send is not printed: `exit()` was called, and the probes are not gone yet.
    pub(crate) muted: bool,
    /// What came of it until now.
    pub(crate) outcome: Outcome,
    hits: Hits,
    pub(crate) player: &'a mut Player,
}

fn period(interval: Interval) -> u64 {
    let nanos = match interval {
        Interval::Nanos(nanos) => nanos,
        Interval::Hertz(hertz) => 1_000_000_000 / hertz.max(1),
    };
    nanos.max(1)
}

impl<'a> Run<'a> {
    /// Before anything has run.
    pub(crate) fn new(
        object: &'a Object,
        target: &'a Target,
        settings: &'a Settings,
        player: &'a mut Player,
    ) -> Result<Self, SimulateError> {
        let machine = Machine::with_cpus(object, target.cpus)
            .map_err(|why| SimulateError::unsupported(object, why))?;
        Ok(Run {
            object,
            target,
            settings,
            machine,
            world: World {
                ring_limit: settings.ring_bytes.unwrap_or(usize::MAX),
                ..World::default()
            },
            ctx: Vec::with_capacity(CTX_SIZE),
            timers: Vec::new(),
            plans: [HashMap::new(), HashMap::new()],
            last_read: 0,
            stop: None,
            muted: false,
            outcome: Outcome::default(),
            hits: Hits::default(),
            player,
        })
    }

    /// Sets the clock, and what programs take for the time tracing began.
    pub(crate) fn start(&mut self, start: u64) {
        self.world.time = start;
        self.last_read = start;
        for (index, spec) in self.object.maps.iter().enumerate() {
            if spec.role == MapRole::Data && spec.init.is_empty() && spec.value_size == 8 {
                let now = (start + self.world.boot_offset).to_ne_bytes();
                if let Some(map) = self.machine.map_mut(index) {
                    map.set(&0u32.to_ne_bytes(), &now);
                }
            }
        }
    }

    /// Puts stacks where a recorded run had them.
    pub(crate) fn put_stacks(&mut self, stacks: &[(u32, Vec<u64>)]) {
        let index = self.object.map_index(|role| *role == MapRole::Stacks);
        if let Some(map) = index.and_then(|index| self.machine.map_mut(index)) {
            for (id, frames) in stacks {
                map.put_stack(*id, frames);
            }
        }
    }

    /// Prints what the end of a run prints.
    pub(crate) fn finish(&mut self) -> Result<(), SimulateError> {
        self.read()?;
        self.player.end();
        if self.settings.print_maps {
            self.player.print_maps(&mut VmMaps(&mut self.machine))?;
        }
        self.say_lost();
        Ok(())
    }

    /// Writes out what was printed.
    pub(crate) fn flush(&mut self) {
        if self.player.flush() == Sent::Closed {
            self.outcome.pipe_closed = true;
        }
    }

    fn all<'e>(
        &mut self,
        start: u64,
        events: &mut dyn Iterator<Item = Result<Event<'e>, EventError>>,
    ) -> Result<(), SimulateError> {
        self.start(start);
        self.special(|spec| matches!(spec, AttachSpec::Begin))?;
        if let Some(points) = self.settings.attached {
            self.player.attached(points);
        }
        self.start_timers(start);
        while self.stop.is_none() {
            let Some(event) = events.next() else {
                break;
            };
            self.event(&event?)?;
        }
        self.stop = self.stop.take().filter(|flow| *flow == Flow::PipeClosed);
        self.special(|spec| matches!(spec, AttachSpec::End))?;
        self.finish()
    }

    fn start_timers(&mut self, start: u64) {
        for (program, spec) in self.object.programs.iter().enumerate() {
            self.start_timer(start, program, spec);
        }
    }

    /// Lets a timed program fire as time passes.
    pub(crate) fn start_timer(&mut self, start: u64, program: usize, spec: &ProgramSpec) {
        for attach in &spec.attach {
            let (interval, every_cpu) = match attach {
                AttachSpec::Interval(interval) => (*interval, false),
                AttachSpec::Profile(interval) => (*interval, true),
                _ => continue,
            };
            let period = period(interval);
            self.timers.push(Timer {
                program,
                period,
                next: start.saturating_add(period),
                every_cpu,
            });
        }
    }

    /// Runs the programs whose attachment `wanted` accepts, in script order, as the tracer does.
    fn special(&mut self, wanted: fn(&AttachSpec) -> bool) -> Result<(), SimulateError> {
        let object = self.object;
        for (index, program) in object.programs.iter().enumerate() {
            if program.attach.iter().any(wanted) {
                self.be(TRACER, plan::comm("baretrace"), 0);
                self.program(index)?;
            }
        }
        Ok(())
    }

    /// Makes the world that of another process, without memory.
    pub(crate) fn be(&mut self, pid: u32, comm: [u8; 16], cpu: u32) {
        let world = &mut self.world;
        (world.pid, world.tid, world.comm, world.cpu) = (pid, pid, comm, cpu);
        (world.uid, world.gid) = if pid == PROCESS { (1000, 1000) } else { (0, 0) };
        world.user.clear();
        self.ctx.clear();
        self.ctx.resize(CTX_SIZE, 0);
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), SimulateError> {
        let wrong = |what: String| Err(EventError::new(event.line, what).into());
        let time = match event.time {
            Some(time) => time,
            None if self.outcome.events == 0 => self.world.time,
            None => self.world.time.saturating_add(STEP),
        };
        if time < self.world.time {
            let now = self.world.time;
            return wrong(format!("`time` goes back from {now} to {time}"));
        }
        if event.cpu >= self.target.cpus {
            let (cpu, cpus) = (event.cpu, self.target.cpus);
            return wrong(format!(
                "there is no `cpu` {cpu}: the simulated machine has {cpus}, from 0"
            ));
        }
        self.outcome.events += 1;
        self.tick(time, event.line)?;
        if self.stop.is_some() {
            return Ok(());
        }
        self.pass(time)?;
        if event.probe.is_empty() {
            return Ok(());
        }
        let plans = &mut self.plans[usize::from(event.ret.is_some())];
        let places = match plans.get(event.probe.as_ref()) {
            Some(places) => Rc::clone(places),
            None => {
                let places: Rc<[Place]> = plan::places(self.object, self.target, event)?.into();
                plans.insert(event.probe.as_ref().to_owned(), Rc::clone(&places));
                places
            }
        };
        places.iter().try_for_each(|place| self.place(place, event))
    }

    /// Lets the event fire at one place.
    fn place(&mut self, place: &Place, event: &Event<'_>) -> Result<(), SimulateError> {
        let line = |err: ArgError| EventError::new(event.line, err.what);
        let site = match event.site {
            Some(number) => {
                let Some(site) = place.sites.get(number) else {
                    let what = format!(
                        "there is no `site` {number}: `{}` has {}, from 0",
                        event.probe,
                        place.sites.len()
                    );
                    return Err(EventError::new(event.line, what).into());
                };
                self.fill(site, event).map_err(line)?;
                site
            }
            None => {
                let mut first = None;
                let mut found = None;
                for site in &place.sites {
                    match self.fill(site, event) {
                        Ok(()) => {
                            found = Some(site);
                            break;
                        }
                        Err(err) if err.elsewhere => {
                            first.get_or_insert(err);
                        }
                        Err(err) => return Err(line(err).into()),
                    }
                }
                match (found, first) {
                    (Some(site), _) => site,
                    (None, Some(err)) => return Err(line(err).into()),
                    (None, None) => return Ok(()),
                }
            }
        };
        let world = &mut self.world;
        world.pid = event.pid.unwrap_or(PROCESS);
        world.tid = event.tid.unwrap_or(world.pid);
        world.uid = event.uid.unwrap_or(1000);
        world.gid = event.gid.unwrap_or(1000);
        world.cpu = event.cpu;
        world.comm = match &event.comm {
            Some(name) => plan::comm(name),
            None => place.comm,
        };
        for (program, only) in &site.programs {
            if only.is_none_or(|pid| pid == self.world.pid) {
                self.program(*program)?;
            }
        }
        Ok(())
    }

    fn fill(&mut self, site: &SitePlan, event: &Event<'_>) -> Result<(), ArgError> {
        let (ctx, user) = (&mut self.ctx, &mut self.world.user);
        site.layout.fill(&event.args, event.ret.as_ref(), ctx, user)
    }

    /// Fires timed probes until `time`, in the order of their times.
    pub(crate) fn tick(&mut self, time: u64, line: usize) -> Result<(), SimulateError> {
        let mut ticks = 0;
        while self.stop.is_none() {
            let due = self.timers.iter_mut().filter(|timer| timer.next <= time);
            let Some(timer) = due.min_by_key(|timer| timer.next) else {
                return Ok(());
            };
            let (program, now, every_cpu) = (timer.program, timer.next, timer.every_cpu);
            timer.next = timer.next.saturating_add(timer.period);
            ticks += 1;
            if ticks > MAX_TICKS {
                return Err(SimulateError::TooManyTicks {
                    probe: self.object.programs[program].probe.clone(),
                    line,
                });
            }
            self.pass(now)?;
            if every_cpu {
                for cpu in 0..self.target.cpus {
                    self.be(0, plan::comm(&format!("swapper/{cpu}")), cpu);
                    self.program(program)?;
                }
            } else {
                self.be(TRACER, plan::comm("baretrace"), 0);
                self.program(program)?;
            }
        }
        Ok(())
    }

    /// Lets time pass; the reader may look at the ring meanwhile.
    pub(crate) fn pass(&mut self, time: u64) -> Result<(), SimulateError> {
        let due = self.last_read.saturating_add(READ_EVERY);
        if self.settings.pace && self.stop.is_none() {
            if self.player.idle() == Sent::Closed {
                self.stop = Some(Flow::PipeClosed);
            }
            let nanos = time.saturating_sub(self.world.time);
            std::thread::sleep(Duration::from_nanos(nanos));
        }
        self.world.time = time;
        if time >= due {
            self.last_read = time;
            self.read()?;
        }
        Ok(())
    }

    pub(crate) fn program(&mut self, index: usize) -> Result<(), SimulateError> {
        self.outcome.runs += 1;
        self.machine
            .run(index, &mut self.world, &self.ctx)
            .map_err(|fault| SimulateError::fault(self.object, index, fault))?;
        self.world.signals.clear();
        if self.settings.ring_bytes.is_none() {
            self.read()?;
        }
        Ok(())
    }

    /// Plays what is in the ring.
    fn read(&mut self) -> Result<(), SimulateError> {
        self.say_faults();
        if self.world.records.is_empty() {
            return Ok(());
        }
        let mut maps = VmMaps(&mut self.machine);
        for record in self.world.records.iter() {
            if self.stop == Some(Flow::PipeClosed) {
                break;
            }
            // What has not even a time is none of ours.
            let Some((time, data)) = stamped(record.data) else {
                continue;
            };
            let about = RecordCtx {
                cpu: record.cpu,
                time,
                pid: None,
            };
            let Some(whole) = self.hits.put(record.cpu, data) else {
                continue;
            };
            if self.muted {
                continue;
            }
            match self.player.play(&whole, about, &mut maps)? {
                Flow::Continue => {}
                flow => {
                    if let Flow::Exit(code) = flow {
                        self.outcome.exit.get_or_insert(code);
                    }
                    self.outcome.pipe_closed |= flow == Flow::PipeClosed;
                    self.stop = Some(flow);
                }
            }
        }
        self.world.records.clear();
        Ok(())
    }

    fn say_faults(&mut self) {
        if !self.player.has_faults() {
            return;
        }
        let index = self.object.map_index(|role| *role == MapRole::Faults);
        let map = index.and_then(|index| self.machine.map(index));
        let Some(bytes) = map.and_then(|map| map.get(&0u32.to_ne_bytes(), 0)) else {
            return;
        };
        let words = bytes.as_chunks::<8>().0;
        self.player
            .faults(|index| words.get(index).map_or(0, |word| u64::from_ne_bytes(*word)));
    }

    fn say_lost(&mut self) {
        let lost = self.object.map_index(|role| *role == MapRole::Lost);
        let Some(map) = lost.and_then(|index| self.machine.map(index)) else {
            return;
        };
        let mut counts = vec![0u64; self.object.programs.len()];
        for cpu in 0..map.cpus() {
            let bytes = map.get(&0u32.to_ne_bytes(), cpu).unwrap_or_default();
            for (sum, count) in counts.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *sum += u64::from_ne_bytes(*count);
            }
        }
        for (program, count) in self.object.programs.iter().zip(counts) {
            if count > 0 {
                self.outcome.lost += count;
                self.player.lost(&program.probe, count);
            }
        }
    }
}
