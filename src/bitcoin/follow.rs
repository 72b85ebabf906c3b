//! The events of a node over its life: before it starts, over restarts, after an upgrade, of two at once.
//!
//! Probes are attached to the program's *file*, so a node that starts again is traced from its first event on. A file that
//! takes its place (an upgrade) has other operands: it is read anew, a new script compiled and attached beside the old one,
//! which goes when nothing runs it any more. Events of other nodes that run the same file are told apart by their process.

use super::{
    node::{self, Process, Which},
    schema, tracepoint,
};
use crate::trace::{Binary, Event, Events, Filter, TraceError};
use std::{
    collections::BTreeSet,
    fmt, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Time between two looks at processes and files, while there is a node and while there is none.
const LOOK: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(100));

/// What is wanted of a node.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Tracepoints as `context:name`.
    pub tracepoints: Vec<String>,
    /// Which hits.
    pub filter: Filter,
    /// Most bytes of a payload; `None` for no payloads.
    pub payload: Option<u32>,
    /// Arguments that are wanted; empty for all.
    pub only: Vec<&'static str>,
}

/// Why a node cannot be followed.
#[derive(Debug)]
pub enum FollowError {
    /// Reading the binary, compiling, attaching.
    Trace(TraceError),
    /// The binary has none of the tracepoints.
    NoTracepoint {
        /// The binary.
        binary: PathBuf,
        /// Those that are missing, with the release that has them.
        missing: Vec<(String, &'static str)>,
    },
    /// The binary has no tracepoints at all.
    NoUsdt(PathBuf),
    /// There is no such process.
    Process(u32, io::Error),
    /// The data directory cannot be read.
    Datadir(PathBuf, io::Error),
}

impl FollowError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            FollowError::Trace(err) => err.help(),
            FollowError::NoTracepoint { .. } => {
                Some("run a newer release, or another tool: `baretrace bitcoin schema` says what each has".to_string())
            }
            FollowError::NoUsdt(_) => Some(
                "Bitcoin Core's own Linux releases from 23.0 on have them; to build it with them: cmake -B build -DWITH_USDT=ON (needs sys/sdt.h, package systemtap-sdt-dev)"
                    .to_string(),
            ),
            FollowError::Process(..) => {
                Some("see `pidof bitcoind`; without --pid the running node is found".to_string())
            }
            FollowError::Datadir(..) => {
                Some("give the directory that bitcoind has as -datadir, as a user who may read it".to_string())
            }
        }
    }
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FollowError::Trace(err) => err.fmt(f),
            FollowError::NoTracepoint { binary, missing } => {
                write!(f, "`{}` has no tracepoint ", binary.display())?;
                for (n, (name, since)) in missing.iter().enumerate() {
                    let comma = if n > 0 { ", " } else { "" };
                    write!(f, "{comma}`{name}` (in Bitcoin Core since {since})")?;
                }
                Ok(())
            }
            FollowError::NoUsdt(binary) => {
                write!(f, "`{}` was built without tracepoints", binary.display())
            }
            FollowError::Process(pid, err) => write!(f, "look at process {pid}: {err}"),
            FollowError::Datadir(dir, err) => {
                write!(f, "read data directory `{}`: {err}", dir.display())
            }
        }
    }
}

impl std::error::Error for FollowError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FollowError::Trace(err) => Some(err),
            FollowError::Process(_, err) | FollowError::Datadir(_, err) => Some(err),
            FollowError::NoTracepoint { .. } | FollowError::NoUsdt(_) => None,
        }
    }
}

impl From<TraceError> for FollowError {
    fn from(err: TraceError) -> Self {
        FollowError::Trace(err)
    }
}

/// A file with probes attached.
#[derive(Debug)]
struct Live {
    file: (u64, u64),
    events: Events,
}

/// The events of a node over its life.
#[derive(Debug)]
pub struct Follow {
    which: Which,
    plan: Plan,
    live: Vec<Live>,
    /// Files that cannot be traced, said once.
    refused: BTreeSet<(u64, u64)>,
    /// Nodes that run now.
    nodes: Vec<Process>,
    /// The node that is meant by number or directory, as it was last seen.
    own: Option<Process>,
    /// Processes whose events are not wanted.
    others: BTreeSet<u32>,
    notices: Vec<String>,
    /// Losses of what is attached no more.
    lost: Vec<(String, u64)>,
    next_look: Instant,
    waiting: bool,
    stopped: bool,
}

impl Follow {
    /// Attaches to the node that `which` means, or waits for it.
    ///
    /// # Errors
    /// A node is there and cannot be traced; a process or directory that is not there.
    pub fn start(which: Which, plan: Plan) -> Result<Follow, FollowError> {
        let mut follow = Follow {
            which,
            plan,
            live: Vec::new(),
            refused: BTreeSet::new(),
            nodes: Vec::new(),
            own: None,
            others: BTreeSet::new(),
            notices: Vec::new(),
            lost: Vec::new(),
            next_look: Instant::now(),
            waiting: false,
            stopped: false,
        };
        if let Which::Pid(pid) = follow.which {
            follow.own = Some(Process::look(pid).map_err(|err| FollowError::Process(pid, err))?);
        }
        follow.look(true)?;
        Ok(follow)
    }

    /// Nodes that run now, by their number.
    pub fn nodes(&self) -> &[Process] {
        &self.nodes
    }

    /// What is to be said to the user since last asked: which node is traced, that one is waited for, warnings.
    pub fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// The next event; waits `time` for it.
    ///
    /// # Errors
    /// What the kernel says. A node that cannot be traced after an upgrade is a notice, no error.
    pub fn next(&mut self, time: Duration) -> Result<Option<Event>, FollowError> {
        let until = Instant::now() + time;
        loop {
            if !self.stopped && Instant::now() >= self.next_look {
                self.look(false)?;
            }
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            let wait = left.min(self.next_look.saturating_duration_since(now));
            // Each is asked in turn; one alone can be waited for.
            let each = match self.live.len() {
                0 => {
                    std::thread::sleep(if self.stopped { Duration::ZERO } else { wait });
                    Duration::ZERO
                }
                1 => wait,
                _ => wait.min(Duration::from_millis(2)),
            };
            for index in 0..self.live.len() {
                while let Some(event) = self.live[index].events.poll(each)? {
                    if self.is_wanted(&event) {
                        return Ok(Some(event));
                    }
                }
            }
            if left.is_zero() || self.stopped {
                return Ok(None);
            }
        }
    }

    /// Detaches. What was recorded comes with [`Follow::next`] until that has no more.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn stop(&mut self) -> Result<(), FollowError> {
        self.stopped = true;
        for live in &mut self.live {
            live.events.stop()?;
        }
        Ok(())
    }

    /// For each tracepoint the number of events that found no room, so far.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn lost(&self) -> Result<Vec<(String, u64)>, FollowError> {
        let mut all = self.lost.clone();
        for live in &self.live {
            add(&mut all, live.events.lost()?);
        }
        Ok(all)
    }

    /// Whether an event is of a node that is meant.
    fn is_wanted(&mut self, event: &Event) -> bool {
        let pid = event.pid();
        if matches!(self.which, Which::Any | Which::File(_))
            || self.nodes.iter().any(|n| n.pid == pid)
        {
            return true;
        }
        if self.others.contains(&pid) {
            return false;
        }
        let Ok(process) = Process::look(pid) else {
            // Ended already: it is the own one if its last events come late.
            return self.own.as_ref().is_some_and(|own| own.pid == pid);
        };
        let again = self
            .own
            .as_ref()
            .is_some_and(|own| own.is_again(&process) && !is_alive(own.pid));
        if again || self.is_of_datadir(pid) {
            self.adopt(process);
            return true;
        }
        self.others.insert(pid);
        false
    }

    fn is_of_datadir(&self, pid: u32) -> bool {
        match &self.which {
            Which::Datadir(dir) => {
                matches!(node::pid_of_datadir(dir), Ok(Some(found)) if found == pid)
            }
            _ => false,
        }
    }

    /// From now on this process is the node that is meant.
    fn adopt(&mut self, process: Process) {
        self.own = Some(process.clone());
        self.set_nodes(vec![process]);
    }

    /// Looks which nodes run, attaches to what is new, lets go what is over.
    fn look(&mut self, first: bool) -> Result<(), FollowError> {
        self.others.clear();
        match self.which.clone() {
            Which::File(path) => self.look_at_file(&path, first)?,
            Which::Any => {
                let nodes = node::processes(node::is_node, |_| true);
                self.attach_all(&nodes, first)?;
                if nodes.is_empty()
                    && self.live.is_empty()
                    && let Some(path) = node::installed()
                {
                    // Attached before it starts: nothing is missed.
                    self.attach_file(&path, first)?;
                }
                self.set_nodes(nodes);
            }
            Which::Pid(_) => self.look_for_own(None, first)?,
            Which::Datadir(dir) => {
                let pid = node::pid_of_datadir(&dir).map_err(|err| FollowError::Datadir(dir, err));
                match pid {
                    Ok(pid) => self.look_for_own(pid, first)?,
                    Err(err) if first => return Err(err),
                    Err(_) => self.look_for_own(None, first)?,
                }
            }
        }
        self.let_go()?;
        let wait = if self.nodes.is_empty() {
            self.say_waiting();
            LOOK.1
        } else {
            self.waiting = false;
            LOOK.0
        };
        self.next_look = Instant::now() + wait;
        Ok(())
    }

    /// The one node that is meant: as long as it runs it is that one, then one that is started in its stead.
    fn look_for_own(&mut self, by_file: Option<u32>, first: bool) -> Result<(), FollowError> {
        let alive = self.own.as_ref().filter(|own| is_same(own)).cloned();
        let found = alive.or_else(|| {
            let named = by_file.and_then(|pid| Process::look(pid).ok());
            // A number that was left in the file may be another program's by now.
            named.filter(|process| {
                node::is_node(&process.program)
                    || self.own.as_ref().is_some_and(|own| own.is_again(process))
            })
        });
        let found = found.or_else(|| {
            let own = self.own.as_ref()?;
            let name = own.program.file_name();
            node::processes(|program| program.file_name() == name, |p| own.is_again(p)).pop()
        });
        match found {
            Some(process) => {
                self.attach_all(std::slice::from_ref(&process), first)?;
                self.adopt(process);
            }
            None => {
                self.set_nodes(Vec::new());
                // What an upgrade has put there is attached before it starts.
                if let Some(program) = self.own.as_ref().map(|own| own.program.clone())
                    && program.exists()
                {
                    self.attach_file(&program, false)?;
                }
            }
        }
        Ok(())
    }

    fn look_at_file(&mut self, path: &Path, first: bool) -> Result<(), FollowError> {
        // A bare name that is nowhere is a mistake; a path may come to be.
        if path.exists() || (first && path.components().count() == 1) {
            self.attach_file(path, first)?;
        }
        let files: Vec<(u64, u64)> = self.live.iter().map(|live| live.file).collect();
        let name = path.file_name();
        let nodes = node::processes(|p| p.file_name() == name, |p| files.contains(&p.file));
        self.set_nodes(nodes);
        Ok(())
    }

    fn attach_all(&mut self, nodes: &[Process], first: bool) -> Result<(), FollowError> {
        for process in nodes {
            if self.is_known(process.file) {
                continue;
            }
            match Binary::of_process(process.pid) {
                Ok(binary) => self.attach(binary.of_all_processes(), process.file, first)?,
                // One that has ended meanwhile has nothing to attach to.
                Err(_) if !is_same(process) => {}
                Err(err) => self.refuse(err.into(), process.file, first)?,
            }
        }
        Ok(())
    }

    fn attach_file(&mut self, path: &Path, first: bool) -> Result<(), FollowError> {
        if node::file_id(path).is_ok_and(|id| self.is_known(id)) {
            return Ok(());
        }
        let binary = match Binary::open(path) {
            Ok(binary) => binary,
            // While an upgrade copies it, it is no ELF file yet.
            Err(_) if !first => return Ok(()),
            Err(err) => return Err(err.into()),
        };
        match node::file_id(binary.path()) {
            Ok(id) if !self.is_known(id) => self.attach(binary, id, first),
            _ => Ok(()),
        }
    }

    fn is_known(&self, file: (u64, u64)) -> bool {
        self.refused.contains(&file) || self.live.iter().any(|live| live.file == file)
    }

    fn attach(&mut self, binary: Binary, file: (u64, u64), first: bool) -> Result<(), FollowError> {
        match self.events(&binary) {
            Ok(events) => {
                self.live.push(Live { file, events });
                Ok(())
            }
            Err(err) => self.refuse(err, file, first),
        }
    }

    /// A file cannot be traced. Others may be: of an upgrade or of several nodes one may be without.
    fn refuse(
        &mut self,
        err: FollowError,
        file: (u64, u64),
        first: bool,
    ) -> Result<(), FollowError> {
        if first && self.live.is_empty() {
            return Err(err);
        }
        self.refused.insert(file);
        let help = err
            .help()
            .map_or(String::new(), |help| format!("\nhelp: {help}"));
        self.notices.push(format!("warning: {err}{help}"));
        Ok(())
    }

    fn events(&mut self, binary: &Binary) -> Result<Events, FollowError> {
        if binary.probes().is_empty() {
            return Err(FollowError::NoUsdt(binary.name().to_path_buf()));
        }
        let (there, missing): (Vec<&str>, Vec<&str>) = self
            .plan
            .tracepoints
            .iter()
            .map(String::as_str)
            .partition(|name| binary.probe(name).is_some());
        let missing = missing.into_iter().map(|name| {
            let point = name
                .split_once(':')
                .and_then(|(c, n)| tracepoint::find(c, n));
            (
                name.to_string(),
                point.map_or("a later release", |point| point.since()),
            )
        });
        let missing = FollowError::NoTracepoint {
            binary: binary.name().to_path_buf(),
            missing: missing.collect(),
        };
        if there.is_empty() {
            return Err(missing);
        }
        if there.len() < self.plan.tracepoints.len() {
            self.notices.push(format!("warning: {missing}"));
        }
        let mut subscription = binary.subscribe(&there)?.filter(&self.plan.filter)?;
        for name in subscription.probes() {
            let drift = binary.probe(&name).map(schema::drift).unwrap_or_default();
            let said = drift
                .iter()
                .map(|drift| format!("warning: `{}`: {drift}", binary.name().display()));
            self.notices.extend(said);
        }
        if let Some(limit) = self.plan.payload {
            subscription = subscription.payload(limit);
        }
        if !self.plan.only.is_empty() {
            subscription = subscription.only(&self.plan.only);
        }
        Ok(subscription.start()?)
    }

    /// Lets go of files that nothing runs any more, but for the one that was attached last.
    fn let_go(&mut self) -> Result<(), FollowError> {
        while self.live.len() > 1 {
            let last = self.live.len() - 1;
            let unused = |live: &Live| !self.nodes.iter().any(|node| node.file == live.file);
            let Some(index) = self.live[..last].iter().position(unused) else {
                break;
            };
            let events = &mut self.live[index].events;
            // What it has recorded is taken with the next look.
            if !events.is_over() {
                events.stop()?;
                break;
            }
            let lost = events.lost()?;
            add(&mut self.lost, lost);
            self.live.remove(index);
        }
        Ok(())
    }

    fn set_nodes(&mut self, nodes: Vec<Process>) {
        for old in &self.nodes {
            if !nodes.iter().any(|new| new.pid == old.pid) {
                self.notices
                    .push(format!("{} (pid {}) has ended", name_of(old), old.pid));
            }
        }
        for new in &nodes {
            if !self.nodes.iter().any(|old| old.pid == new.pid) {
                let (name, program) = (name_of(new), new.program.display());
                self.notices
                    .push(format!("tracing {name}, pid {} ({program})", new.pid));
            }
        }
        self.nodes = nodes;
    }

    fn say_waiting(&mut self) {
        if std::mem::replace(&mut self.waiting, true) {
            return;
        }
        let what = match (&self.which, &self.own) {
            (_, Some(own)) => format!(
                "`{}` does not run: waiting for it to start again",
                own.program.display()
            ),
            (Which::File(path), None) if self.live.is_empty() => {
                format!("`{}` is not there: waiting for it", path.display())
            }
            (Which::File(path), None) => {
                format!("`{}` does not run: waiting for it to start", path.display())
            }
            (Which::Datadir(dir), None) => {
                format!(
                    "no node runs in `{}`: waiting for one to start",
                    dir.display()
                )
            }
            _ => "no bitcoind runs: waiting for one to start".to_string(),
        };
        self.notices.push(what);
    }
}

fn add(all: &mut Vec<(String, u64)>, more: Vec<(String, u64)>) {
    for (name, count) in more {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += count,
            None => all.push((name, count)),
        }
    }
}

fn is_alive(pid: u32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// Whether it still runs: its number may be another process's by now.
fn is_same(process: &Process) -> bool {
    Process::look(process.pid)
        .is_ok_and(|now| now.file == process.file && now.words == process.words)
}

fn name_of(process: &Process) -> String {
    let name = process.program.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
