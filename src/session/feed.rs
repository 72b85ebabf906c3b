//! A script that is loaded and attached, whose records the caller takes: a run without a player.

use super::{
    Options, Timer,
    compile::{Compiled, Session},
    error::SessionError,
    maps::KernelMaps,
    run::{begin_rings, end_rings, head_start, load, only_in, specs},
};
use crate::{
    kernel::cpus,
    loader::Loaded,
    runtime::{
        self, MapReader,
        attach::{self, AttachOptions, Attachment},
        hit::{Hits, Whole},
        perf_ring::{Drained, Record, Rings},
    },
    spec::{AttachSpec, MapRole, Object},
    sys::{bpf::Map, process, trace},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    io,
    ops::ControlFlow,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

/// What one hit of a probe sent.
#[derive(Debug)]
pub struct Hit<'a> {
    /// CPU it was on.
    pub cpu: u32,
    /// `CLOCK_MONOTONIC` nanoseconds when its record was made, or the last chunk of it.
    pub time: u64,
    /// The record, whole.
    pub data: Whole<'a>,
}

/// The map in which programs find each CPU's ring.
fn ring_map<'l>(compiled: &Compiled, loaded: &'l Loaded) -> Option<&'l Map> {
    let index = compiled.object.map_index(|role| *role == MapRole::Ring);
    index.and_then(|index| loaded.maps.get(index))
}

/// A script that is loaded and attached. Dropping it detaches.
#[derive(Debug)]
pub struct Feed {
    // Dropped first: nothing may send into rings that are gone.
    attached: Vec<Attachment>,
    timers: Vec<(Timer, usize)>,
    rings: Option<Rings>,
    hits: Hits,
    loaded: Loaded,
    compiled: Compiled,
    ended: bool,
}

impl Feed {
    /// Compiles the script, checks it in user space, loads it, runs `begin` and attaches the rest; user probes fire in
    /// process `only` alone, if one is given. Unlike [`Options::pid`] it does not change where paths are looked up.
    ///
    /// # Errors
    /// What stands in the way; nothing stays attached then.
    pub fn start(options: &Options, only: Option<u32>) -> Result<Feed, SessionError> {
        head_start(options);
        let session = Session::for_kernel(options, None)?;
        let multi = session.multi;
        let mut compiled = session.compile()?;
        // Large rings take the kernel a while, in a thread of their own.
        let rings = begin_rings(options, &compiled)?;
        compiled.dry_run()?;
        if let Some(pid) = only {
            only_in(&mut compiled.object, pid);
        }
        let loaded = load(options, &compiled, multi)?;
        let rings = match (ring_map(&compiled, &loaded), rings) {
            (Some(map), Some(begun)) => Some(end_rings(begun, map)?),
            _ => None,
        };
        let mut feed = Feed {
            attached: Vec::new(),
            timers: Vec::new(),
            rings,
            hits: Hits::default(),
            loaded,
            compiled,
            ended: false,
        };
        feed.call(|spec| matches!(spec, AttachSpec::Begin))?;
        feed.attach(multi)?;
        runtime::head_start::over();
        // What compiling took is not needed again.
        process::trim_heap();
        Ok(feed)
    }

    fn attach(&mut self, multi: bool) -> Result<(), SessionError> {
        let cpus = cpus::online().map_err(|err| SessionError::Io("read online cpus", err))?;
        let how = AttachOptions {
            multi,
            cpus: &cpus,
            pid: None,
        };
        for (index, spec) in specs(&self.compiled.object) {
            let program = &self.compiled.object.programs[index];
            if attach::is_kernel_event(program.kind, spec) {
                let fd = self.loaded.programs[index].as_fd();
                let _why = trace::because(|| format!("attach `{}`", program.probe));
                let attachment =
                    attach::attach(fd, spec, &how).map_err(|error| SessionError::Attach {
                        probe: program.probe.clone(),
                        error,
                    })?;
                self.attached.push(attachment);
            } else if let AttachSpec::Interval(interval) = spec {
                let timer =
                    Timer::start(*interval).map_err(|err| SessionError::Io("timerfd", err))?;
                self.timers.push((timer, index));
            }
        }
        Ok(())
    }

    /// What is loaded, and how its records read.
    pub fn object(&self) -> &Object {
        &self.compiled.object
    }

    /// The compiled script.
    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// The script's maps.
    pub fn maps(&self) -> impl MapReader {
        KernelMaps(&self.loaded)
    }

    /// Runs the programs whose attachment `wanted` accepts, in script order.
    fn call(&self, wanted: impl Fn(&AttachSpec) -> bool) -> Result<(), SessionError> {
        specs(self.object())
            .filter(|(_, spec)| wanted(spec))
            .try_for_each(|(index, _)| self.call_program(index))
    }

    fn call_program(&self, index: usize) -> Result<(), SessionError> {
        let probe = &self.object().programs[index].probe;
        let _why = trace::because(|| format!("run `{probe}` once, now"));
        attach::run_raw_tp(self.loaded.programs[index].as_fd())
            .map(|_| ())
            .map_err(|err| SessionError::Io("bpf(BPF_PROG_TEST_RUN)", err))
    }

    /// Hands over, in order of kernel time, the records that there are; those that came in chunks when they are whole.
    ///
    /// `maps` of the script can be read while a record is looked at.
    pub fn drain(
        &mut self,
        mut deliver: impl FnMut(Hit<'_>, &mut dyn MapReader) -> ControlFlow<()>,
    ) -> Drained {
        if let (Some(rings), Some(map)) = (&mut self.rings, ring_map(&self.compiled, &self.loaded))
        {
            rings.take_place(map);
        }
        let mut maps = KernelMaps(&self.loaded);
        let hits = &mut self.hits;
        let deliver = |record: Record<'_>| match hits.put(record.cpu, record.data) {
            Some(data) => deliver(
                Hit {
                    cpu: record.cpu,
                    time: record.time,
                    data,
                },
                &mut maps,
            ),
            None => ControlFlow::Continue(()),
        };
        match &mut self.rings {
            Some(rings) if self.ended => rings.flush(deliver),
            Some(rings) => rings.drain(deliver),
            None => Drained::default(),
        }
    }

    /// Waits until a ring has filled a quarter, an `interval` has ticked, `also` is readable, or `time` is over. What
    /// has ticked is run.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&self, time: Duration, also: Option<BorrowedFd<'_>>) -> Result<(), SessionError> {
        let fds = self
            .timers
            .iter()
            .map(|(timer, _)| timer.as_fd())
            .chain(also)
            .chain(self.rings.iter().flat_map(Rings::fds));
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(err) => return Err(SessionError::Io("poll", err.into())),
        }
        self.timers
            .iter()
            .filter(|(timer, _)| timer.ticked())
            .try_for_each(|(_, index)| self.call_program(*index))
    }

    /// Detaches, and runs `end` once. What is still in the rings comes with the next [`Feed::drain`].
    ///
    /// # Errors
    /// The kernel's.
    pub fn end(&mut self) -> Result<(), SessionError> {
        attach::detach(&mut self.attached);
        self.timers.clear();
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.call(|spec| matches!(spec, AttachSpec::End))
    }

    /// Whether nothing is attached any more.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// For each program the number of its records that found no room.
    ///
    /// # Errors
    /// The kernel's.
    pub fn lost(&self) -> Result<Vec<u64>, SessionError> {
        let Some(map) = self
            .object()
            .map_index(|role| *role == MapRole::Lost)
            .and_then(|index| self.loaded.maps.get(index))
        else {
            return Ok(vec![0; self.object().programs.len()]);
        };
        let mut counts = vec![0; map.value_len()];
        let _why = trace::because(|| "how many records found no room".to_owned());
        map.lookup(&0u32.to_ne_bytes(), &mut counts)
            .map_err(|err: io::Error| SessionError::Io("bpf(BPF_MAP_LOOKUP_ELEM)", err))?;
        let (counts, _) = counts.as_chunks::<8>();
        Ok(counts
            .iter()
            .enumerate()
            .map(|(index, count)| u64::from_ne_bytes(*count) + self.hits.torn(index))
            .collect())
    }
}
