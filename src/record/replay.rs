//! Runs a script over a recording: on the simulated machine, each hit with the registers, the memory and the answers of
//! helpers that it had.

use super::{
    error::ReadError,
    format::{Meta, Point},
    hit::Hit,
    notes::Known,
    read::Recording,
    tap::{self, READS, STACK, STACK_ID},
    tapped::arguments,
};
use crate::{
    compile::{self, CompileError},
    lang::{self, Diagnostic, checked::Checked},
    lower::{Lowered, abi::abi},
    runtime::{Flow, Player, Sent, clock::Clock, names::Names},
    simulate::{
        CTX_SIZE, Compiled, Outcome, Run, Script, Settings, SimulateError, TRACER, address,
        diagnostic,
    },
    span::Span,
    spec::{ArgLoc, AttachSpec, Binary, MapRole, ProgramSpec, Target, UsdtArg},
    vm::{FaultKind, Told},
    wildcard,
};
use std::{collections::HashMap, fmt, path::PathBuf, time::Duration};

/// Places for stacks that a replay has at most; what a damaged recording puts beyond prints as no stack.
const MOST_STACKS: u32 = 1 << 18;

/// Why a recording cannot be replayed.
#[derive(Debug)]
pub enum ReplayError {
    /// The script is wrong, or asks for what the recording has not.
    Script(Vec<Diagnostic>),
    /// The checked script does not compile.
    Compile(CompileError),
    /// The recording is wrong.
    Read(ReadError),
    /// A program goes wrong.
    Simulate(Box<SimulateError>),
}

impl ReplayError {
    /// As text, with the lines of the script where it is to blame.
    pub fn render(&self, script: &Script, color: bool) -> Option<String> {
        let diagnostics = match self {
            ReplayError::Script(diagnostics) => diagnostics,
            ReplayError::Compile(err) => &vec![diagnostic(err)],
            ReplayError::Read(_) | ReplayError::Simulate(_) => return None,
        };
        Some(script.render(diagnostics, color))
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Script(diagnostics) => {
                let first = diagnostics.iter().find(|d| d.is_error());
                f.write_str(first.map_or("the script is wrong", |d| d.message.as_str()))
            }
            ReplayError::Compile(err) => err.fmt(f),
            ReplayError::Read(err) => err.fmt(f),
            ReplayError::Simulate(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for ReplayError {}

impl From<SimulateError> for ReplayError {
    fn from(err: SimulateError) -> Self {
        ReplayError::Simulate(Box::new(err))
    }
}

/// A script ready to run over a recording.
#[derive(Debug)]
pub struct Replay<'r> {
    recording: &'r Recording,
    /// The script, compiled for the machine that was recorded.
    pub compiled: Compiled,
    /// For each point, the programs that its hits run.
    routes: Vec<Vec<usize>>,
    /// It is the script that was recorded.
    own: bool,
    /// Files that the script names.
    paths: Vec<PathBuf>,
    /// How deep each stack is, by its id.
    depths: HashMap<u64, u64>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// As of a simulation; an event is a hit.
    pub outcome: Outcome,
    /// Where the recording was cut off.
    pub cut: Option<usize>,
    /// Hits that were not kept.
    pub lost: u64,
}

/// Compiles a script for the machine and the binaries of a recording.
///
/// # Errors
/// What is wrong with the script; the first thing that it asks for and the recording has not.
pub fn replay<'r>(recording: &'r Recording, script: &Script) -> Result<Replay<'r>, ReplayError> {
    let meta = &recording.meta;
    let tree = lang::parse(&script.text).map_err(ReplayError::Script)?;
    if let Some(refusal) = lang::points::refuse_kernel(&tree, "replayed") {
        return Err(ReplayError::Script(vec![refusal]));
    }
    let mut target = script.target(meta.arch, meta.cpus);
    target.debug = meta.debug.clone();
    // In the recording's order: what debug information says counts them.
    target.binaries = meta.binaries.clone();
    let mut paths = Vec::new();
    for want in lang::wanted(&tree, &script.params) {
        paths.push(PathBuf::from(want.path()));
        if !target
            .binaries
            .iter()
            .any(|binary| binary.written == want.path())
        {
            target
                .binaries
                .extend(same_file(&meta.binaries, want.path()));
        }
    }
    let missing = |diagnostics: Vec<Diagnostic>| {
        let help = format!("the recording has {}", names(meta));
        let here = |diagnostic: Diagnostic| match diagnostic.help {
            None if diagnostic.is_error() => diagnostic.help(help.clone()),
            _ => diagnostic,
        };
        ReplayError::Script(diagnostics.into_iter().map(here).collect())
    };
    let (checked, warnings) = lang::check(tree, &script.text, &target).map_err(missing)?;
    let reads = |lowered: &mut Lowered| -> Vec<_> {
        let programs = lowered.programs.iter();
        programs.map(|p| tap::context_reads(&p.ir)).collect()
    };
    let (mut object, reads) =
        compile::changed(&checked, &target, &script.name, &script.text, reads)
            .map_err(ReplayError::Compile)?;
    let notes = recording.notes();
    let depth = |(id, frames): &(u32, Vec<u64>)| (u64::from(*id), frames.len() as u64);
    let depths = notes.stacks.iter().map(depth).collect();
    if let Some(stacks) = object.map_index(|role| *role == MapRole::Stacks) {
        // Ids are places in the recorded map, which may have been larger.
        let ids = notes.stacks.iter().map(|(id, _)| *id);
        let last = ids.filter(|id| *id < MOST_STACKS).map(|id| id + 1).max();
        let entries = &mut object.maps[stacks].max_entries;
        *entries = last.map_or(*entries, |last| last.max(*entries));
    }
    let routes = routes(meta, &object.programs);
    for (number, program) in object.programs.iter().enumerate() {
        let points = || {
            let routes = routes.iter().enumerate();
            routes
                .filter(|(_, programs)| programs.contains(&number))
                .map(|(at, _)| &meta.points[at])
        };
        let plain = |spec: &AttachSpec| {
            matches!(
                spec,
                AttachSpec::User { .. } | AttachSpec::Software { .. } | AttachSpec::Watch { .. }
            )
        };
        if points().next().is_none() && program.attach.iter().any(plain) {
            let what = format!("the recording has no `{}`", program.probe);
            let help = format!("it has {}", names(meta));
            let span = place(&checked, program);
            return Err(ReplayError::Script(vec![
                Diagnostic::error(span, what).help(help),
            ]));
        }
        for point in points() {
            for (at, span) in reads.get(number).into_iter().flatten() {
                if !point.regs.contains(at) {
                    let what = format!(
                        "the recording of `{}` has not kept the register {}",
                        point.probe,
                        register(&target, *at)
                    );
                    let span = span.unwrap_or_else(|| place(&checked, program));
                    let error = Diagnostic::error(span, what)
                        .help("record a script that reads it, or the probe by its name");
                    return Err(ReplayError::Script(vec![error]));
                }
            }
        }
    }
    let recorded = &meta.script;
    let own = (&recorded.text, &recorded.params, &recorded.named)
        == (&script.text, &script.params, &script.named);
    let compiled = Compiled {
        points: checked.probes.iter().map(|probe| probe.points.len()).sum(),
        config: checked.config,
        target,
        object,
        warnings,
    };
    Ok(Replay {
        recording,
        compiled,
        routes,
        own,
        paths,
        depths,
    })
}

/// The recorded files that a path means, under that path: those that a pattern matches, or one of the same name
/// elsewhere.
fn same_file(binaries: &[Binary], path: &str) -> Vec<Binary> {
    let last = |path: &str| path.rsplit('/').next().map(str::to_owned);
    let renamed = |binary: &Binary| Binary {
        written: path.to_owned(),
        shown: match path.contains('*') {
            true => binary.path.to_string_lossy().into_owned(),
            false => path.to_owned(),
        },
        ..binary.clone()
    };
    if path.contains('*') {
        let matched = |binary: &&Binary| {
            wildcard::matches(path, &binary.written)
                || wildcard::matches(path, &binary.path.to_string_lossy())
        };
        return binaries.iter().filter(matched).map(renamed).collect();
    }
    let same = |binary: &&Binary| {
        let name = last(path);
        name == last(&binary.written) || name == last(&binary.path.to_string_lossy())
    };
    binaries
        .iter()
        .find(same)
        .map(renamed)
        .into_iter()
        .collect()
}

/// The probes of a recording, each once.
fn names(meta: &Meta) -> String {
    let mut names: Vec<&str> = Vec::new();
    for point in &meta.points {
        if !names.contains(&point.probe.as_str()) {
            names.push(&point.probe);
        }
    }
    match names.len() {
        0..=6 => names.join(", "),
        more => format!("{} and {} more", names[..5].join(", "), more - 5),
    }
}

/// The name of a register.
fn register(target: &Target, at: u16) -> String {
    let row = abi(target.arch).names.iter().find(|(_, reg)| *reg == at);
    row.map_or_else(
        || format!("at byte {at} of the context"),
        |(name, _)| format!("`{name}`"),
    )
}

/// Where a program's probe stands in the script.
fn place(checked: &Checked, program: &ProgramSpec) -> Span {
    let mut points = checked.probes.iter().flat_map(|probe| &probe.points);
    let found = points.find(|point| point.name == program.probe);
    found.map(|point| point.span).unwrap_or_default()
}

/// Whether a program attached at `new` sees the hits of one that was attached at `old`.
fn same_place(old: &AttachSpec, new: &AttachSpec) -> bool {
    match (old, new) {
        (
            AttachSpec::User {
                path: old_path,
                sites: old_sites,
                ret: old_ret,
                ..
            },
            AttachSpec::User {
                path, sites, ret, ..
            },
        ) => {
            let shared = |site: &crate::spec::UserSite| {
                sites.iter().any(|other| other.offset == site.offset)
            };
            (old_path, old_ret) == (path, ret) && old_sites.iter().any(shared)
        }
        (
            AttachSpec::Watch {
                addr: old_addr,
                len: old_len,
                mode: old_mode,
                ..
            },
            AttachSpec::Watch {
                addr, len, mode, ..
            },
        ) => (old_addr, old_len, old_mode) == (addr, len, mode),
        (old, new) => old == new,
    }
}

/// For each point the programs that its hits run. Where a place was recorded by several programs, the first program of
/// the script there sees the hits of the first one, and so on; those beyond see those of the first.
fn routes(meta: &Meta, programs: &[ProgramSpec]) -> Vec<Vec<usize>> {
    let mut routes = vec![Vec::new(); meta.points.len()];
    for (number, program) in programs.iter().enumerate() {
        let Some(attach) = program.attach.first() else {
            continue;
        };
        let before = programs[..number]
            .iter()
            .filter(|other| other.attach.iter().any(|a| same_place(a, attach)))
            .count();
        let here: Vec<usize> = (0..meta.points.len())
            .filter(|at| same_place(&meta.points[*at].attach, attach))
            .collect();
        // Programs for different sites of one probe are at different places, each with its own hits.
        let mut places: Vec<Vec<usize>> = Vec::new();
        for at in here {
            let spec = &meta.points[at].attach;
            match places
                .iter_mut()
                .find(|p| same_place(&meta.points[p[0]].attach, spec))
            {
                Some(place) => place.push(at),
                None => places.push(vec![at]),
            }
        }
        for place in places {
            let chosen = place.get(before).or(place.first());
            if let Some(at) = chosen {
                routes[*at].push(number);
            }
        }
    }
    routes
}

impl Replay<'_> {
    /// Runs the script; `player` gets what it sends. With `tempo` it takes as long as the recorded run.
    ///
    /// # Errors
    /// The recording is damaged; the script reads what was not recorded. What was printed until then is written out.
    pub fn run(
        &self,
        settings: &Settings,
        tempo: bool,
        player: &mut Player,
    ) -> Result<Replayed, ReplayError> {
        player.set_clock(Clock::recorded(self.recording.meta.clocks));
        let notes = self.recording.notes();
        let users = notes.users.iter().cloned().collect();
        let cgroups = notes.cgroups.iter().cloned().collect();
        player.set_names(Names::recorded(users, cgroups));
        let (paths, demangle) = (self.paths.clone(), self.compiled.config.cpp_demangle);
        player.set_symbols(Box::new(Known::new(&notes, paths, demangle)));
        let (object, target) = (&self.compiled.object, &self.compiled.target);
        let mut run = Run::new(object, target, settings, player)?;
        run.put_stacks(&notes.stacks);
        let mut replayed = Replayed::default();
        let result = self.all(&mut run, settings, tempo, &mut replayed);
        run.flush();
        replayed.outcome = run.outcome;
        result.map(|()| replayed)
    }

    fn all(
        &self,
        run: &mut Run<'_>,
        settings: &Settings,
        tempo: bool,
        replayed: &mut Replayed,
    ) -> Result<(), ReplayError> {
        let meta = &self.recording.meta;
        run.world.boot_offset = meta.suspended;
        let [monotonic, .., tai] = meta.clocks;
        run.world.tai_offset = monotonic.wrapping_sub(tai).cast_unsigned();
        let start = meta.start.wrapping_sub(meta.suspended);
        run.start(start);
        self.special(run, |spec| matches!(spec, AttachSpec::Begin))?;
        let mut attached = false;
        let mut reader = self.recording.reader();
        let mut hit = Hit::default();
        let mut last: Option<u64> = None;
        while run.stop.is_none() && reader.next(&mut hit).map_err(ReplayError::Read)? {
            let Some(point) = meta.points.get(hit.point as usize) else {
                continue;
            };
            if point.attach != AttachSpec::Begin && !attached {
                attached = true;
                if let Some(points) = settings.attached {
                    run.player.attached(points);
                }
                for (number, program) in self.compiled.object.programs.iter().enumerate() {
                    if !self
                        .routes
                        .iter()
                        .any(|programs| programs.contains(&number))
                    {
                        run.start_timer(run.world.time, number, program);
                    }
                }
            }
            if tempo && let Some(last) = last.replace(hit.time) {
                if run.player.idle() == Sent::Closed {
                    run.stop = Some(Flow::PipeClosed);
                    break;
                }
                std::thread::sleep(Duration::from_nanos(hit.time.saturating_sub(last)));
            }
            run.outcome.events += 1;
            let time = hit.boot.wrapping_sub(meta.suspended);
            run.world.told = None;
            run.tick(time, 0)?;
            if run.stop.is_some() {
                break;
            }
            // Hits of several CPUs stand in the order of their output.
            run.world.time = time;
            run.muted &= point.attach != AttachSpec::End;
            self.hit(run, &hit, point)?;
            if self.own && matches!(run.stop, Some(Flow::Exit(_))) {
                // Programs ran on until the probes were gone, but what they sent was printed no more.
                run.stop = None;
                run.muted = true;
            }
        }
        if let (Some(points), false) = (settings.attached, attached) {
            run.player.attached(points);
        }
        run.stop = run.stop.take().filter(|flow| *flow == Flow::PipeClosed);
        run.muted = false;
        self.special(run, |spec| matches!(spec, AttachSpec::End))?;
        run.finish()?;
        replayed.cut = reader.cut();
        replayed.lost = reader.end().map_or(0, |end| end.lost_hits());
        Ok(())
    }

    /// Runs programs that fire by themselves and were not recorded.
    fn special(
        &self,
        run: &mut Run<'_>,
        wanted: fn(&AttachSpec) -> bool,
    ) -> Result<(), ReplayError> {
        for (number, program) in self.compiled.object.programs.iter().enumerate() {
            let recorded = self
                .routes
                .iter()
                .any(|programs| programs.contains(&number));
            if !recorded && program.attach.iter().any(wanted) {
                run.world.told = None;
                run.be(TRACER, *b"baretrace\0\0\0\0\0\0\0", 0);
                run.program(number)?;
            }
        }
        Ok(())
    }

    fn hit(&self, run: &mut Run<'_>, hit: &Hit, point: &Point) -> Result<(), ReplayError> {
        for &number in &self.routes[hit.point as usize] {
            let program = &self.compiled.object.programs[number];
            if !fires(program, point, hit, self) {
                continue;
            }
            lay_out(run, hit, point, &self.depths);
            run.program(number)
                .map_err(|err| self.missing(err, hit, point))?;
        }
        Ok(())
    }

    /// Says which argument was not recorded, if that is what went wrong.
    fn missing(&self, err: SimulateError, hit: &Hit, point: &Point) -> ReplayError {
        let SimulateError::Fault { probe, fault, .. } = &err else {
            return err.into();
        };
        let what = match &fault.kind {
            FaultKind::UntoldMemory { addr, size } => {
                let args = arguments(std::slice::from_ref(&point.attach), &self.compiled.target);
                match self.argument(&args, *addr, hit, point) {
                    Some(name) => format!("the recording of `{probe}` has not {name}"),
                    None => {
                        format!("the recording of `{probe}` has not the {size} bytes at {addr:#x}")
                    }
                }
            }
            FaultKind::Untold(helper) => {
                format!("the recording of `{probe}` has not what {helper} returned")
            }
            _ => return err.into(),
        };
        let object = &self.compiled.object;
        let program = object
            .programs
            .iter()
            .find(|program| program.probe == *probe);
        let span = program.and_then(|p| p.origins.get(fault.insn).copied().flatten());
        let error = Diagnostic::error(span.unwrap_or_default(), what)
            .help("a recording of a script has what that script reads; record this one, or the probe by its name");
        ReplayError::Script(vec![error])
    }

    /// The argument that is at an address, or points there.
    fn argument(&self, args: &[&UsdtArg], addr: u64, hit: &Hit, point: &Point) -> Option<String> {
        let mut ctx = Vec::new();
        context(&mut ctx, hit, point);
        let register = |at: u16| {
            let at = usize::from(at);
            let bytes = ctx.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_ne_bytes(bytes))
        };
        for (number, arg) in args.iter().enumerate() {
            match &arg.loc {
                ArgLoc::Mem { base, index, disp } => {
                    let at = address(&ctx, *base, *index, *disp);
                    if at == addr {
                        return Some(format!("argument {number} (`{}`)", arg.text));
                    }
                    let value = hit.items.iter().find(|item| item.addr == at);
                    let value = value.and_then(|item| hit.data(item).try_into().ok());
                    if value.map(u64::from_ne_bytes) == Some(addr) {
                        return Some(format!("what argument {number} (`{}`) points to", arg.text));
                    }
                }
                ArgLoc::Reg { reg } if register(*reg) == Some(addr) => {
                    return Some(format!("what argument {number} (`{}`) points to", arg.text));
                }
                _ => {}
            }
        }
        None
    }
}

/// Whether a program that was routed to a point runs for a hit: where it is for some sites or one process only.
fn fires(program: &ProgramSpec, point: &Point, hit: &Hit, replay: &Replay<'_>) -> bool {
    let (
        Some(AttachSpec::User { sites, pid, .. }),
        AttachSpec::User {
            sites: recorded, ..
        },
    ) = (program.attach.first(), &point.attach)
    else {
        return true;
    };
    if pid.is_some_and(|pid| pid != hit.pid) {
        return false;
    }
    let ours = |offset: u64| sites.iter().any(|site| site.offset == offset);
    if recorded.iter().all(|site| ours(site.offset)) {
        return true;
    }
    // File and memory agree in the last twelve bits, as pages are mapped whole.
    let ip = abi(replay.compiled.target.arch).ip;
    let at = point.regs.iter().position(|reg| *reg == ip);
    let ip = at.and_then(|at| hit.regs.get(at)).copied().unwrap_or(0);
    let mut here = recorded
        .iter()
        .filter(|site| (site.offset ^ ip) & 0xfff == 0);
    here.any(|site| ours(site.offset))
}

/// Fills the context with a hit's registers.
fn context(ctx: &mut Vec<u8>, hit: &Hit, point: &Point) {
    ctx.clear();
    ctx.resize(CTX_SIZE, 0);
    for (at, value) in point.regs.iter().zip(&hit.regs) {
        let at = usize::from(*at);
        if let Some(room) = ctx.get_mut(at..at + 8) {
            room.copy_from_slice(&value.to_ne_bytes());
        }
    }
}

/// Makes the world that of a hit.
fn lay_out(run: &mut Run<'_>, hit: &Hit, point: &Point, depths: &HashMap<u64, u64>) {
    context(&mut run.ctx, hit, point);
    let world = &mut run.world;
    (world.pid, world.tid) = (hit.pid, hit.tid);
    (world.uid, world.gid) = (hit.uid, hit.gid);
    (world.comm, world.cpu) = (hit.comm, hit.cpu);
    world.user.clear();
    let told = world.told.get_or_insert_with(Told::default);
    told.numbers.clear();
    told.unreadable.clear();
    for item in &hit.items {
        if !READS.contains(&item.helper) {
            told.numbers.push((item.helper, item.addr, item.answer));
            if item.helper == STACK_ID
                && let Some(frames) = depths.get(&item.answer)
                && !hit
                    .items
                    .iter()
                    .any(|other| (other.helper, other.addr) == (STACK, item.addr))
            {
                // A script that asks for its depth alone sees the same stack.
                told.numbers.push((STACK, item.addr, 8 * frames));
            }
        } else if item.answer.cast_signed() < 0 {
            told.unreadable.push(item.addr);
        } else if item.len > 0 {
            world.user.map_copy(item.addr, hit.data(item));
        }
    }
}
